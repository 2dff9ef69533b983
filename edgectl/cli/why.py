"""`edgectl why ASSET`: the chain from request to effect, and what bit on the way."""

import json as json_text
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from edgectl.blackbox import BlackBox, blackbox_dir, entries, read_blackbox, read_header
from edgectl.cli.blackbox import find
from edgectl.cli.page import console
from edgectl.errors import DataError, EdgectlError
from edgectl.explain import Answer, Scene, why_flexible, why_pv, why_row, why_storage
from edgectl.explain.causes import STATUS, RowNow
from edgectl.explain.scene import scene_of
from edgectl.explain.words import NS_PER_S, utc
from edgectl.image import SegmentReader, attach, segment_path
from edgectl.image.points import PointDecoder
from edgectl.ledger import data_dir
from edgectl.site_model import load_site

EPILOG = """\b
ASSET is a battery, its converter, a PV block, the flexible load (FLEX), or an interlock's id.

\b
exit status
  0  answered
  2  there is no such asset
  5  no controller of the site runs, and no file was named
  9  the scan is neither in the journal nor in a black box

example:  edgectl why BESS-01
"""

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}


class NoSuchAssetError(EdgectlError):
    """Nothing of that name is at the site."""

    exit_code = 2


def why(
    asset: Annotated[str, typer.Argument(metavar="ASSET", help="BESS-01, SOLAR-1, FLEX, IL-…")],
    site: Annotated[
        str | None, typer.Option("--site", help="Id or path; else the one that runs here.")
    ] = None,
    scan: Annotated[int | None, typer.Option("--scan", min=0, help="A past scan.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="A past moment, UTC: 2026-11-26T22:03:04.5")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A black box to look in.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Black boxes. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Say why a battery, a load or a row does what it does, now or at a past scan."""
    if scan is not None and at is not None:
        raise typer.BadParameter("name a --scan or a moment --at, not both")
    at_ns = None if at is None else utc_ns_of(at)
    if file is not None:
        scene = from_box(read_blackbox(find(file, data)), scan, at_ns)
    else:
        with attach(running(site)) as reader:
            scene = from_ring(reader, scan, at_ns) or from_boxes(reader, data, scan, at_ns)
    answer = explain(scene, asset)
    if json:
        print(json_text.dumps(as_plain(answer)))
    else:
        tell(console(), answer)


# ---- which scan


def running(site: str | None) -> str:
    """Id of the site that is meant: the one named, or the only one that runs here."""
    if site is not None:
        return site if _known(site) else load_site(site).id
    folder = segment_path("x").parent
    found = [each for each in sorted(folder.glob("edgectl-*.seg")) if _alive(each)]
    if len(found) == 1:
        return found[0].stem.removeprefix("edgectl-")
    names = ", ".join(each.stem.removeprefix("edgectl-") for each in found)
    raise DataError(
        where=str(folder),
        problem=f"{len(found)} controllers run here{': ' + names if names else ''}",
        because="The question is about one site.",
        remedy="Name it: --site ID. Or look into a black box: --file FILE.",
    )


def _known(site: str) -> bool:
    return os.sep not in site and not site.endswith(".toml") and segment_path(site).exists()


def _alive(path: Path) -> bool:
    try:
        with attach(path) as reader:
            return reader.alive()
    except EdgectlError:
        return False


def utc_ns_of(text: str) -> int:
    """ns since 1970 of an ISO 8601 time, UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time like 2026-11-26T22:03:04.5") from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * NS_PER_S + moment.microsecond * 1000


def index_of(records: Any, scan: int | None, at_ns: int | None, period_ns: int) -> int | None:
    """Place of the scan that is meant; None where it is not there."""
    if len(records) == 0:
        return None
    if scan is not None:
        found = np.flatnonzero(records["head"]["scan"] == scan)
        return int(found[0]) if len(found) else None
    if at_ns is not None:
        apart = np.abs(records["head"]["utc_ns"] - at_ns)
        nearest = int(np.argmin(apart))
        return nearest if int(apart[nearest]) <= period_ns else None
    return len(records) - 1


def from_ring(reader: SegmentReader, scan: int | None, at_ns: int | None) -> Scene | None:
    """From the journal of the running controller, now if no scan is named."""
    image = reader.snapshot()
    decoder = PointDecoder(reader.directory)
    decoder.learn(image["samples"])
    batch = reader.journal(reader.oldest_seq, limit=reader.layout.journal_slots)
    place = index_of(batch.records, scan, at_ns, int(reader.directory["period_ns"]))
    if place is None:
        return None
    records = batch.records[: place + 1]
    now = scan is None and at_ns is None
    source = "now" if now else "from the journal"
    if now and not reader.alive():
        source = "the last scan: the controller does not run"
    return scene_of(reader.directory, records, decoder, source, image["links"] if now else None)


def from_box(box: BlackBox, scan: int | None, at_ns: int | None) -> Scene:
    """From one black box; its first trip if no scan is named."""
    wanted = box.first.scan if scan is None and at_ns is None else scan
    place = index_of(box.records, wanted, at_ns, int(box.directory["period_ns"]))
    if place is None:
        scans = box.records["head"]["scan"]
        raise _not_there(str(box.path), f"it holds the scans {scans[0]} to {scans[-1]}")
    records = box.records[: place + 1]
    return scene_of(box.directory, records, box.decoder(), f"from {box.path.name}")


def from_boxes(
    reader: SegmentReader, data: Path | None, scan: int | None, at_ns: int | None
) -> Scene:
    """From the newest black box that holds the scan, of this run for a scan's number."""
    folder = blackbox_dir(data_dir(data))
    for each in reversed(entries(folder, str(reader.directory["site"]))):
        header = read_header(each.path)
        low, high = header["scans"] if scan is not None else header["utc_ns"]
        wanted = scan if scan is not None else at_ns
        if wanted is None or not low <= wanted <= high:
            continue
        if scan is not None and header["boot_id"] != reader.boot_id:
            continue
        return from_box(read_blackbox(each.path), scan, at_ns)
    raise _not_there(str(folder), "it is neither in the journal nor in a black box of this run")


def _not_there(where: str, problem: str) -> DataError:
    return DataError(
        where=where,
        problem=f"the scan is not there: {problem}",
        because="Only the last minutes, and what stood around trips, are kept scan by scan.",
        remedy="See what there is: edgectl blackbox list.",
    )


# ---- which asset


def explain(scene: Scene, asset: str) -> Answer:
    """The answer for an asset by any of its names. Raises NoSuchAssetError."""
    directory, wanted = scene.directory, asset.upper()
    for at, each in enumerate(directory["storages"]):
        if wanted in (str(each["id"]).upper(), str(each["command"]).partition(".")[0].upper()):
            return why_storage(scene, at)
    for at, each in enumerate(directory["pvs"]):
        if wanted in (str(each["id"]).upper(), str(each["power"]).partition(".")[0].upper()):
            return why_pv(scene, at)
    flexible = directory["flexible"]
    if flexible is not None:
        device = str(flexible["command"]).partition(".")[0].upper()
        if wanted in ("FLEX", "FLEXIBLE", device):
            return why_flexible(scene)
    for at, each in enumerate(directory["interlocks"]):
        if wanted == str(each["id"]).upper():
            return why_row(scene, at)
    names = [str(each["id"]) for each in (*directory["storages"], *directory["pvs"])]
    names += ["FLEX"] if flexible is not None else []
    raise NoSuchAssetError(
        where=asset,
        problem=f"site {directory['site']} has nothing of that name that is commanded",
        because="Only what is commanded, and the rows that stop it, have a why.",
        remedy=f"Name one of {', '.join(names)}, or the id of an interlock.",
    )


# ---- what people read


def tell(page: Console, answer: Answer) -> None:
    """The sentence, then the chain, then the rows with what must happen."""
    page.print(answer.headline, style="bold")
    page.print(f"scan {answer.scan}, {utc(answer.utc_ns)}, {answer.source}", style="dim")
    page.print()
    for step in answer.steps:
        label = Text(f"{step.name:<12}", style="cyan")
        for line in step.lines or ("",) * (not step.findings):
            page.print(label, Text(line), sep=" ")
            label = Text(" " * 12)
        for finding in step.findings:
            named = f"  [{', '.join(row.id for row in finding.rows)}]" if finding.rows else ""
            page.print(label, Text(f"> {finding.text}{named}", style="yellow"), sep=" ")
            label = Text(" " * 12)
    for row in answer.rows:
        page.print()
        tell_row(page, row, answer.since[row.id])
    if answer.missing:
        page.print()
        for each in answer.missing:
            page.print(f"not known: {each}", style="dim")


def tell_row(page: Console, row: RowNow, since: str) -> None:
    """One row: what, since when, its causes, who may reset it and what must happen first."""
    page.print(Text.assemble((row.id, STYLES.get(row.priority, "")), f"  {row.title}"))
    under_test = ["under proof test: a test's value stands beside the real ones"]
    lines: Sequence[str] = [
        f"{STATUS[row.status]}, {since}",
        *(each.text for each in row.causes),
        *(under_test if row.under_test else []),
        f"does: {'; '.join(row.effects)}",
        f"why: {row.why}",
        f"reset: {row.reset}",
    ]
    page.print(Padding(Text("\n".join(lines)), (0, 0, 0, 4), expand=False))


# ---- for machines


def as_plain(answer: Answer) -> dict[str, Any]:
    """What --json prints."""
    return {
        "asset": answer.asset,
        "scan": answer.scan,
        "utc_ns": answer.utc_ns,
        "source": answer.source,
        "headline": answer.headline,
        "codes": answer.codes,
        "steps": [
            {
                "name": step.name,
                "value_w": step.value_w,
                "lines": list(step.lines),
                "findings": [
                    {"code": each.code, "text": each.text, "rows": [r.id for r in each.rows]}
                    for each in step.findings
                ],
            }
            for step in answer.steps
        ],
        "rows": [
            {
                "id": row.id,
                "title": row.title,
                "status": row.status.name.removeprefix("INTERLOCK_").lower(),
                "since": answer.since[row.id],
                "causes": [
                    {
                        "tag": each.tag,
                        "value": each.value,
                        "unit": each.unit,
                        "quality": each.quality,
                        "tripping": each.says,
                        "text": each.text,
                    }
                    for each in row.causes
                ],
                "effects": list(row.effects),
                "why": row.why,
                "reset": row.reset,
            }
            for row in answer.rows
        ],
        "missing": list(answer.missing),
    }
