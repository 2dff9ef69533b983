"""`edgectl blackbox`: list, show and export what was frozen around trips."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from edgectl.blackbox import BlackBox, Entry, blackbox_dir, entries, read_blackbox, read_header
from edgectl.blackbox.export import summary, write_csv, write_json
from edgectl.blackbox.timeline import around, lines, megawatt, trips
from edgectl.cli.page import console, table
from edgectl.errors import DataError
from edgectl.explain.words import utc
from edgectl.ledger import data_dir

app = typer.Typer(no_args_is_help=True, help="What stood around a trip.")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where they lie. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A path, or a name from the list.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]
STATES = {"complete": "green", "open": "yellow", "truncated": "yellow"}


def find(file: Path, data: Path | None) -> Path:
    """The file itself, or the one of that name in the data directory."""
    return file if file.exists() else blackbox_dir(data_dir(data)) / file.name


@app.command("list")
def list_files(
    site: Annotated[str | None, typer.Option("--site", help="Of one site alone.")] = None,
    data: DataDir = None,
    json: Json = False,
) -> None:
    """List the files there are, oldest first."""
    folder = blackbox_dir(data_dir(data))
    found: list[tuple[Entry, dict[str, Any] | None, str]] = []
    for each in entries(folder, site):
        try:
            header: dict[str, Any] | None = read_header(each.path)
        except DataError as error:
            found.append((each, None, error.problem))
            continue
        found.append((each, header, str(header["state"]) if header else ""))
    if json:
        rows = [
            {
                "file": each.path.name,
                "site": each.site,
                "utc": each.utc,
                "row": each.row,
                "bytes": each.size,
                "state": state,
                "trips": len(header["triggers"]) if header else None,
            }
            for each, header, state in found
        ]
        print(json_text.dumps({"folder": str(folder), "files": rows}))
        return
    page = console()
    if not found:
        page.print(f"No black box in {folder}: no row has tripped since there is one.")
        return
    made = table(("file", "first out", "trips>", "records>", "kB>", "state"))
    for each, header, state in found:
        made.add_row(
            each.path.name,
            each.row,
            str(len(header["triggers"])) if header else "–",
            str(header["records"]) if header else "–",
            f"{each.size / 1000:.0f}",
            Text(state, style=STATES.get(state, "red")),
        )
    page.print(made)


@app.command()
def show(file: File, data: DataDir = None, json: Json = False) -> None:
    """Show one as a time line: first out, rows in order with ms, the plant around it."""
    box = read_blackbox(find(file, data))
    if json:
        print(json_text.dumps(summary(box)))
        return
    page = console()
    head(page, box)
    page.print()
    page.print("What tripped, in order", style="bold")
    for each in trips(box):
        mark = "  FIRST OUT" if each.trigger.first_out else ""
        mark += "  by a proof test" if each.row.under_test else ""
        mark += "  bypassed: without effect" if each.trigger.bypassed else ""
        page.print(f"{each.ms:+9.1f} ms  {each.row.id}  {each.row.title}{mark}")
        for cause in each.row.causes:
            page.print(f"               {cause.text}", style="dim")
        page.print(f"               why: {each.row.why}", style="dim")
    page.print()
    page.print("Everything that changed", style="bold")
    for line in lines(box):
        page.print(f"{line.ms:+9.1f} ms  scan {line.scan}  {line.text}")
    page.print()
    plant(page, box)


def head(page: Console, box: BlackBox) -> None:
    """First out, when, and how whole the file is."""
    first, header = box.first, box.header
    titles = {str(row["id"]): str(row["title"]) for row in box.directory["interlocks"]}
    page.print(f"{first.id}: {titles[first.id]}", style="bold")
    page.print(f"site {header['site']}, scan {first.scan}, {utc(first.utc_ns)}")
    times = box.records["head"]["time_ns"]
    before_s, after_s = ((int(t) - first.time_ns) / 1e9 for t in (times[0], times[-1]))
    state = f"{header['state']}: {header['because']}" if header["because"] else header["state"]
    page.print(f"{len(box.records)} scans from {before_s:+.1f} s to {after_s:+.1f} s, {state}")
    page.print(f"SHA-256 {header['content_sha256'].hex()} holds", style="dim")
    if header["state"] == "open":
        page.print("The window is still open, or the services ended before they closed it.")


def plant(page: Console, box: BlackBox) -> None:
    """Grid and batteries around the first trip."""
    ids = [str(each["id"]) for each in box.directory["storages"]]
    columns = ["s>", "grid MW>", "cap MW>"]
    columns += [f"{each} {what}>" for each in ids for what in ("set", "is")]
    made = table(columns, "The plant around it (charge and import positive, MW)")
    for each in around(box):
        pairs = zip(each.setpoints_w, each.powers_w, strict=True)
        made.add_row(
            f"{each.ms / 1000:+.1f}",
            megawatt(each.grid_w),
            megawatt(each.import_cap_w),
            *(megawatt(value) for pair in pairs for value in pair),
        )
    page.print(made)


@app.command()
def export(
    file: File,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .csv or a .json file.")],
    data: DataDir = None,
) -> None:
    """Write every scan of one as CSV or JSON, values in SI, by the output's suffix."""
    writers = {".csv": write_csv, ".json": write_json}
    writer = writers.get(output.suffix)
    if writer is None:
        raise typer.BadParameter(f"{output.name} ends neither in .csv nor in .json")
    box = read_blackbox(find(file, data))
    try:
        count = writer(box, output)
    except OSError as error:
        raise DataError(
            where=str(output),
            problem=f"cannot be written: {error.strerror}",
            because="The export would be cut off.",
            remedy="Name another file.",
        ) from error
    console(stderr=True).print(f"{count} scans in {output}")
