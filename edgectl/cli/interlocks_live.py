"""What each row of a running controller does now, read from its segment."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgectl._kernel.interlock import InterlockStatus
from edgectl._kernel.quality import Quality
from edgectl.cli.interlocks_view import PRIORITY_STYLES
from edgectl.cli.page import plain_table
from edgectl.image import SegmentReader
from edgectl.image.authority import LATCHED, current_note, why_no_reset
from edgectl.site_model.text import quantity_text

NS_PER_S = 1_000_000_000
STYLES = {"clear": "green", "pending": "yellow", "tripped": "bold red", "latched": "red"}
FLAGS = ("start", "locked", "discrepant", "under_test")
SAID = {"start": "since start", "locked": "locked out", "discrepant": "causes contradict",
        "under_test": "under test"}  # fmt: skip


def left_text(seconds: float) -> str:
    """A time that is left, as h and min."""
    minutes = max(0, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def status(reader: SegmentReader, *, every: bool) -> RenderableType:
    """The rows that are not clear, bypassed or told on; or all."""
    image = reader.snapshot()
    rows = _states(reader, image)
    shown = [each for each in rows if every or each["status"] != "clear" or each["said"]]
    counts = [f"{sum(each['status'] == s for each in rows)} {s}" for s in STYLES]
    record = image["record"]
    head = Text(f"{reader.directory['site']}  scan {int(record['scan'])}  ", style="bold")
    head.append(", ".join(counts), style="")
    if not reader.alive():
        head.append("  no controller runs: this is the last it said", style="bold red")
    if record["maintenance"]:
        head.append(f"\nMAINTENANCE MODE {_note(reader, 'maintenance', '')}", style="bold magenta")
    table = plain_table()
    for name in ("group", "row", "status", "what", "its causes now", "trips"):
        table.add_column(name, no_wrap=name in ("row", "status"), overflow="fold",
                         justify="right" if name == "trips" else "left")  # fmt: skip
    for each in shown:
        table.add_row(
            Text(each["group"], style="dim"),
            Text(each["id"], style=PRIORITY_STYLES[each["priority"]]),
            Text(each["status"], style=STYLES[each["status"]]),
            Text.assemble(each["title"], *((f"\n{said}", "magenta") for said in each["said"])),
            "\n".join(each["causes"]),
            str(each["trips"] or ""),
        )
    nothing = Text("every row is clear", style="green")
    return Group(head, Text(""), table if shown else nothing)


def _states(reader: SegmentReader, image: Any) -> list[dict[str, Any]]:
    """Every row with its state in words."""
    now_ns = int(image["record"]["time_ns"])
    places = {str(each["name"]): at for at, each in enumerate(reader.directory["points"])}
    states = []
    for spec, state in zip(reader.directory["interlocks"], image["interlocks"], strict=True):
        said = [SAID[flag] for flag in FLAGS if state[flag]]
        if state["first_out"]:
            said.insert(0, f"FIRST OUT of {spec['group']}, scan {int(state['tripped_scan'])}")
        left_s = (int(state["bypass_until_ns"]) - now_ns) / NS_PER_S
        if state["bypassed"]:
            note = _note(reader, "bypass", str(spec["id"]))
            said.append(f"BYPASSED, {left_text(left_s)} left{note and ': ' + note}")
        word = InterlockStatus(int(state["status"])).name.removeprefix("INTERLOCK_").lower()
        states.append({
            "id": str(spec["id"]),
            "title": str(spec["title"]),
            "group": str(spec["group"]),
            "priority": str(spec["priority"]),
            "status": word,
            "said": said,
            "trips": int(state["trips"]),
            "first_out": bool(state["first_out"]),
            "bypass_left_s": left_s if state["bypassed"] else None,
            "causes": [_cause(each, image["samples"][places[each["tag"]]])
                       for each in spec["causes"][:3]],
        })  # fmt: skip
    return states


def _cause(cause: Any, sample: Any) -> str:
    """A tag with its value, or that it is bad."""
    if int(sample["quality"]) == Quality.QUALITY_BAD:
        return f"{cause['tag']} bad"
    difference = str(cause["tag"]).endswith(".value")
    shown = float(f"{float(sample['value']):.4g}")  # a meter's last digits are noise
    value = quantity_text(shown, str(cause["unit"]), difference=difference)
    return f"{cause['tag']} {value}"


def _note(reader: SegmentReader, action: str, row: str) -> str:
    note = current_note(reader.path, action, row)
    return f"{note['by']}, {note['reason'] or 'no reason given'}" if note else ""


def status_json(reader: SegmentReader) -> dict[str, Any]:
    """What --json prints."""
    image = reader.snapshot()
    return {
        "site": reader.directory["site"],
        "scan": int(image["record"]["scan"]),
        "alive": reader.alive(),
        "maintenance": bool(image["record"]["maintenance"]),
        "interlocks": _states(reader, image),
    }


def still_latched(reader: SegmentReader) -> list[tuple[str, str]]:
    """Rows that are latched and no operator may reset now, each with the reason."""
    states = reader.snapshot()["interlocks"]
    found = []
    for row, state in zip(reader.directory["interlocks"], states, strict=True):
        reason = why_no_reset(row, state)
        if int(state["status"]) == LATCHED and reason:
            found.append((str(row["id"]), reason[0]))
    return found
