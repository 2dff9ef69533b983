"""`edgectl top`: attaches to a running controller through shared memory and shows the plant.

It only reads: the controller neither knows nor cares that someone looks.
"""

import re
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import typer
from rich.console import Console
from rich.live import Live
from rich.terminal_theme import TerminalTheme

from edgectl.cli.top_alarms import AlarmLine
from edgectl.cli.top_model import Controller, Plant
from edgectl.cli.top_state import HISTORY_RECORDS, History, plant_of
from edgectl.cli.top_view import view
from edgectl.errors import SegmentError
from edgectl.image import SegmentReader, attach, segment_path
from edgectl.ledger import data_dir

REFRESH_S = 0.25
FONT = "font-family: 'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace"
PICTURE_COLUMNS, PICTURE_LINES = 132, 44  # where there is no terminal to ask

EPILOG = """\b
exit status
  0  shown
  5  no controller runs for this site

first time here:  edgectl demo
"""

DARK = TerminalTheme(
    (20, 23, 28),
    (200, 204, 212),
    [
        *((20, 23, 28), (232, 98, 90), (127, 174, 116), (227, 165, 63)),
        *((111, 159, 208), (165, 139, 208), (95, 179, 163), (200, 204, 212)),
    ],
)


class Watch:
    """One controller's segment and the history read from it."""

    def __init__(self, path: Path, data: Path | None = None) -> None:
        """Attach, and read the journal as far back as the charts go.

        path   of the segment
        data   where the services keep the alarms; None: where they do by default

        Raises SegmentError where there is none.
        """
        self.path = path
        self._alarms = AlarmLine(data_dir(data))
        self._open()

    def _open(self) -> None:
        self.reader: SegmentReader = attach(self.path)
        self.history = History()
        self.next_seq = max(self.reader.oldest_seq, self.reader.journal_head - HISTORY_RECORDS)

    def _follow(self) -> None:
        """Take over the segment of a controller that was started anew."""
        if self.reader.current():
            return
        try:
            before = self.reader
            self._open()
            before.close()
        except SegmentError:
            return  # it is just being replaced, or was removed: what we hold is still the last

    def plant(self) -> Plant:
        """The plant as of now.

        Raises SegmentError if the controller died while it wrote the snapshot.
        """
        self._follow()
        while True:
            batch = self.reader.journal(self.next_seq)
            self.history.add(batch.records)
            self.next_seq = batch.next_seq
            if not len(batch.records) or batch.next_seq >= self.reader.journal_head:
                break
        controller = Controller(
            pid=self.reader.controller_pid,
            alive=self.reader.alive(),
            stopped=self.reader.stopped,
            start_utc_ns=self.reader.boot_id,
            now_utc_ns=time.time_ns(),
            now_ns=time.clock_gettime_ns(time.CLOCK_MONOTONIC),
        )
        snapshot = self.reader.snapshot()
        plant = plant_of(self.reader.directory, snapshot, self.history, controller)
        alarms = self._alarms.notices(plant.site)
        return replace(plant, notices=(*alarms, *plant.notices))


def segments() -> list[Path]:
    """Every segment on this machine, those with a running controller first."""
    found = []
    for path in sorted(segment_path("any").parent.glob("edgectl-*.seg")):
        try:
            with attach(path) as reader:
                found.append((not reader.alive(), path))
        except SegmentError:
            continue  # of another version, or just being made
    return [path for _, path in sorted(found)]


def segment_of(site: str | None) -> Path:
    """The segment to look at.

    site   id, shipped name or site file; None takes the only one there is, or the only one whose
           controller runs

    Raises SegmentError where that is none or not one.
    """
    if site is not None:
        return segment_path(site_id_of(site))
    found = segments()
    running = [path for path in found if is_running(path)] or found
    if len(running) == 1:
        return running[0]
    names = ", ".join(path.stem.removeprefix("edgectl-") for path in running)
    where = str(segment_path("any").parent)
    if not running:
        raise SegmentError(
            where=where,
            problem="no controller runs on this machine",
            because="The view reads what a controller keeps in shared memory.",
            remedy="Start one: edgectl run SITE, or edgectl demo for a simulated campus.",
        )
    raise SegmentError(
        where=where,
        problem=f"several sites are here: {names}",
        because="The view shows one site.",
        remedy=f"Name it: edgectl top {running[0].stem.removeprefix('edgectl-')}",
    )


def is_running(path: Path) -> bool:
    """A controller writes this segment now."""
    with attach(path) as reader:
        return reader.alive()


def site_id_of(site: str) -> str:
    """The [site] id behind an id, the name of a shipped site, or the path of a site file."""
    file = Path(site)
    shipped = Path(str(resources.files("edgectl") / "sites" / f"{site}.toml"))
    for candidate in (file, shipped):
        if candidate.is_file():
            try:
                return str(tomllib.loads(candidate.read_text(encoding="utf-8"))["site"]["id"])
            except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
                raise SegmentError(
                    where=site,
                    problem=f"it names no [site] id: {error}",
                    because="The id is the name of the controller's segment.",
                    remedy=f"See what is wrong with the file: edgectl check {site}",
                ) from error
    return site


def live(
    path: Path, console: Console, until: Callable[[], bool] = lambda: False,
    data: Path | None = None,
) -> None:  # fmt: skip
    """Show a segment full screen until Ctrl-C, or until `until` says so.

    path      of the segment
    console   to draw on
    until     asked before every picture
    data      as Watch has it
    """
    watch = Watch(path, data)
    with Live(console=console, screen=True, auto_refresh=False, transient=True) as picture:
        while not until():
            began_s = time.monotonic()
            columns, lines = console.size
            picture.update(view(watch.plant(), columns, lines), refresh=True)
            time.sleep(max(0.0, REFRESH_S - (time.monotonic() - began_s)))


def draw(plant: Plant, picture: Path) -> None:
    """Write the view as an SVG picture."""
    with open("/dev/null", "w") as nowhere:
        console = Console(
            record=True, file=nowhere, width=PICTURE_COLUMNS, height=PICTURE_LINES,
            force_terminal=True, color_system="truecolor", legacy_windows=False,
        )  # fmt: skip
        console.print(view(plant, PICTURE_COLUMNS, PICTURE_LINES))
        svg = console.export_svg(title=f"edgectl top {plant.site}", theme=DARK)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # they ask the internet
    picture.write_text(svg.replace("font-family: Fira Code, monospace", FONT), encoding="utf-8")


def top(
    site: str | None = typer.Argument(
        None, metavar="SITE", help="Site id, shipped site or site file; default: the one running."
    ),
    once: bool = typer.Option(False, "--once", help="Print the view once and leave."),
    svg: Path | None = typer.Option(None, "--svg", help="Write the view as a picture and leave."),
    data: Path | None = typer.Option(
        None, "--data-dir", help="Of the alarms. [$EDGECTL_DATA_DIR, else ./edgectl-data]"
    ),
) -> None:
    """Watch a running controller in the terminal.

    Reads the controller's shared memory four times a second and changes nothing. Without a
    terminal it prints the view once.
    """
    path = segment_of(site)
    watch = Watch(path, data)
    if svg is not None:
        draw(watch.plant(), svg)
        return
    console = Console()
    if not once and console.is_terminal:
        try:
            live(path, console, data=data)
        except KeyboardInterrupt:
            sys.exit(0)
    plant = watch.plant()
    columns, lines = console.size if console.is_terminal else (PICTURE_COLUMNS, PICTURE_LINES)
    Console(width=columns).print(view(plant, columns, lines))
    if not watch.reader.alive():
        raise typer.Exit(SegmentError.exit_code)
