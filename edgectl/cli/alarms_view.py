"""How `edgectl alarms` looks: a line an alarm, and a word beside every colour."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgectl.alarms import AlarmCommand, Book, Happening
from edgectl.alarms.book import asks
from edgectl.alarms.catalogue import PRIORITIES
from edgectl.alarms.kpi import TARGET_SHARES, Kpis, verdicts
from edgectl.alarms.machine import Action, AlarmState, State
from edgectl.cli.page import plain_table, table
from edgectl.cli.top_parts import ATTENTION, DIM, NORMAL, TRIP, duration

NS_PER_S = 1_000_000_000
ADVICE_MAX = 5  # alarms whose operator action is printed under the list
PRIORITY_STYLES = {"critical": f"bold {TRIP}", "high": TRIP, "medium": ATTENTION, "low": ""}
STATE_WORDS = {
    State.UNACKNOWLEDGED: "UNACKNOWLEDGED",
    State.RETURNED: "GONE, UNACKNOWLEDGED",
    State.LATCHED_UNACKNOWLEDGED: "LATCHED, UNACKNOWLEDGED",
    State.LATCHED_ACKNOWLEDGED: "latched, acknowledged",
}
DONE = {
    Action.ACK: "acknowledged",
    Action.UNSHELVE: "shown again",
    Action.OUT_OF_SERVICE: "out of service until put back",
    Action.IN_SERVICE: "in service again",
}


def heading(site: str, book: Book, age_s: float | None) -> Text:
    """One line that says how bad it is."""
    owed = sum(state.owed and asks(state) for state in book.states.values())
    shown = sum(asks(state) for state in book.states.values())
    counts = book.counts()
    text = Text.assemble(
        (site, "bold"), "  ", (f"{owed} unacknowledged", f"bold {TRIP}" if owed else NORMAL),
        f" of {shown} alarms; {counts[State.SHELVED]} shelved, {counts[State.OUT_OF_SERVICE]} "
        f"out of service, {counts[State.SUPPRESSED]} suppressed",
    )  # fmt: skip
    if book.flood_since_ns:
        since = duration((book.now_ns - book.flood_since_ns) / NS_PER_S)
        text.append(f"\nFLOOD for {since}: {len(book.recent_ns)} alarms in 10 min. ", style=TRIP)
        text.append("Work from the first-out (▶) and the top down.")
    if age_s is not None:
        text.append(
            f"\nThis is {duration(age_s)} old: no services write it. Start them: edgectl run SITE.",
            style=ATTENTION,
        )
    return text


def list_table(book: Book, ids: Sequence[str]) -> Table:
    """One line an alarm, in the order given."""
    made = table([" ", "priority", "alarm", "state", "for>", "what"])
    for alarm_id in ids:
        spec, state = book.specs[alarm_id], book.states[alarm_id]
        style = PRIORITY_STYLES[spec.priority] if asks(state) else DIM
        made.add_row(
            Text("▶" if state.first_out else "●" if state.owed and asks(state) else " ", style),
            Text(spec.priority, style),
            Text(alarm_id, style),
            Text(state_words(book, state), "bold" if state.owed and asks(state) else DIM),
            _ago(book.now_ns, state.annunciated_ns),
            Text(spec.title, style),
        )
    return made


def state_words(book: Book, state: AlarmState) -> str:
    """The state, with who and how long where a person hid it."""
    shown = state.shown
    if shown is State.SHELVED:
        left = duration((state.shelved_until_ns - book.now_ns) / NS_PER_S)
        return f"shelved by {state.hidden_by}, {left} left"
    if shown is State.OUT_OF_SERVICE:
        return f"out of service by {state.hidden_by}"
    if shown is State.SUPPRESSED:
        return f"suppressed: {state.suppressed_by}"
    if shown is State.ACKNOWLEDGED and state.acknowledged_by:
        return f"acknowledged by {state.acknowledged_by}"
    return STATE_WORDS.get(shown, str(shown))


def advice(book: Book, ids: Sequence[str]) -> RenderableType:
    """What to do about the first few that nobody has acknowledged."""
    owed = [each for each in ids if book.states[each].owed and asks(book.states[each])]
    lines: list[RenderableType] = []
    for alarm_id in owed[:ADVICE_MAX]:
        spec = book.specs[alarm_id]
        lines.append(Text.assemble((f"{alarm_id}  ", "bold"), spec.operator_action))
        lines.append(Text(f"  {spec.meaning}", style=DIM))
    if owed:
        lines.append(Text(f"then: edgectl alarms SITE ack {owed[0]}", style=DIM))
    return Group(Text(), *lines) if lines else Text()


def nothing(declared: int) -> Text:
    """The list when there is none."""
    return Text(f"Nothing asks for attention. {declared} alarms are watched.", style=NORMAL)


def in_full(alarm: dict[str, Any]) -> Table:
    """Everything about one alarm."""
    made = plain_table(alarm["id"])
    made.add_column("", style="dim", no_wrap=True)
    made.add_column("", overflow="fold")
    made.show_header = False
    for name, value in alarm.items():
        if name not in ("schema", "id") and value is not None:
            made.add_row(name.replace("_", " "), str(value))
    return made


def history_table(lines: Sequence[Happening]) -> RenderableType:
    """One line an event; the newest first."""
    if not lines:
        return Text("Nothing has happened yet.", style=DIM)
    made = table(["time, UTC", "alarm", "event", "then", "by", "scan>", "reason"])
    for each in lines:
        bold = "bold" if each.event == "annunciated" else ""
        made.add_row(
            utc(each.at.now_ns),
            Text(each.alarm_id or "(all)", bold),
            Text(each.event.replace("_", " "), bold),
            each.after.replace("_", " "),
            each.by,
            str(each.at.scan) if each.at.scan >= 0 else "",
            each.reason,
        )
    return made


def kpi_table(found: Kpis) -> Table:
    """Each figure beside what practice asks of it."""
    good = verdicts(found)
    hours = found.span_ns / NS_PER_S / 3600
    made = table(["figure", "found>", "asked>", ""], f"Alarms of the last {hours:.1f} h")
    urgent = found.shares["high"] + found.shares["critical"]
    shares = " / ".join(f"{found.shares[each]:.0%}" for each in ("low", "medium"))
    asked = " / ".join(f"{each:.0%}" for each in TARGET_SHARES.values())
    for name, value, wanted, key in (
        ("annunciations", str(found.annunciations), "", ""),
        ("per 10 min, average", f"{found.rate_average:.2f}", "<= 1", "rate_average"),
        ("per 10 min, most", str(found.rate_max), "<= 10", "rate_max"),
        ("time in flood", f"{found.flood_ratio:.1%}", "< 1 %", "flood_ratio"),
        ("floods", str(found.floods), "", ""),
        ("chattering (3 in 60 s)", str(len(found.chattering)), "0", "chattering"),
        ("stale (over 24 h)", str(len(found.stale)), "< 5", "stale"),
        ("standing now", str(found.standing), "", ""),
        ("low / medium / high", f"{shares} / {urgent:.0%}", asked, "shares"),
    ):
        verdict = Text("") if not key else _verdict(good[key])
        made.add_row(name, value, wanted, verdict)
    return made


def frequent_table(found: Kpis, book: Book) -> RenderableType:
    """The ten that ask most often."""
    if not found.most_frequent:
        return Text()
    made = table(["alarm", "times>", "share>", "what"], "\nMost frequent")
    for alarm_id, times in found.most_frequent:
        spec = book.specs.get(alarm_id)
        mark = "  chatters" if alarm_id in found.chattering else ""
        made.add_row(alarm_id, str(times), f"{times / found.annunciations:.0%}",
                     (spec.title if spec else "no longer in the site") + mark)  # fmt: skip
    return made


def counts_line(book: Book) -> str:
    """The alarms in one line, for the terminal view."""
    shown = [each for each, state in book.states.items() if asks(state)]
    owed = [each for each in shown if book.states[each].owed]
    worst = max((PRIORITIES.index(book.specs[each].priority) for each in owed), default=0)
    parts = [f"{len(owed)} unacknowledged of {len(shown)} alarms"]
    if owed:
        parts[0] += f", worst {PRIORITIES[worst]}"
    for state in (State.SHELVED, State.OUT_OF_SERVICE):
        if count := book.counts()[state]:
            parts.append(f"{count} {state.replace('_', ' ')}")
    first = [each for each in shown if book.states[each].first_out]
    newest = book.newest()
    if first:
        parts.append(f"first out {', '.join(first)}")
    elif newest:
        parts.append(f"newest {newest}")
    return "; ".join(["FLOOD", *parts] if book.flood_since_ns else parts)


def done(command: AlarmCommand) -> str:
    """What a request did."""
    if command.action is Action.SHELVE:
        return f"shelved for {command.minutes:g} min; it comes back by itself"
    return DONE[command.action]


def utc(when_ns: int) -> str:
    """An instant to the second."""
    return datetime.fromtimestamp(when_ns / NS_PER_S, UTC).strftime("%m-%d %H:%M:%S")


def _ago(now_ns: int, then_ns: int) -> str:
    return duration((now_ns - then_ns) / NS_PER_S) if then_ns else ""


def _verdict(good: bool) -> Text:
    return Text("good", style=NORMAL) if good else Text("too much", style=ATTENTION)
