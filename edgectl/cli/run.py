"""`edgectl run SITE`: the control loop for one site until stopped."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from edgectl._kernel.clock import RtGrade
from edgectl.controller.deadlines import DeadlineLog, deadline_figures
from edgectl.controller.runtime import SCANS_MAX, RuntimeOptions
from edgectl.controller.session import Session
from edgectl.errors import EdgectlError, FileError
from edgectl.events import configure_logging, emit
from edgectl.ledger import data_dir
from edgectl.services.supervisor import Supervisor
from edgectl.site_model import KernelTables, Site, compile_tables, load_site

DATA_HELP = "Ledger, latches, black boxes. [$EDGECTL_DATA_DIR, else ./edgectl-data]"

EPILOG = """\b
Every interlock starts tripped; those that latch wait for their reset.

\b
exit status
  0  stopped when asked; outputs in safe state
  1  the scan did not end when asked; the devices' own fallback must do
  2  site file refused; no device was contacted
  3  a device failed its identity check; nothing was written
  4  too many scans overran; outputs in safe state
  5  another controller of this site is running

first time here:  edgectl check SITE
"""

log = structlog.get_logger()


def run(
    site: Annotated[str, typer.Argument(help="Site file, or demo, or texas-100mw.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Sense, decide and record; write to no device.")
    ] = False,
    scans: Annotated[
        int | None, typer.Option("--scans", min=1, help="Stop after so many scans.")
    ] = None,
    services: Annotated[
        bool, typer.Option(help="Start and supervise the ledger and MQTT too.")
    ] = True,
    data: Annotated[Path | None, typer.Option("--data-dir", help=DATA_HELP)] = None,
    services_option: Annotated[
        list[str] | None,
        typer.Option("--services-option", help="Passed on to edgectl services; may be repeated."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write deadlines against a witness thread to this JSON file at the end."),
    ] = None,
    witness_s: Annotated[
        float, typer.Option("--witness-s", min=1.0, help="With --report: seconds witnessed.")
    ] = 3600.0,
    log_json: Annotated[bool, typer.Option(help="Log JSON lines.")] = False,
) -> None:
    """Run the control loop for one site until stopped.

    SITE names devices, tags, interlocks and carbon factors. Stop it with
    Ctrl-C or SIGTERM: every setpoint is brought to zero first.
    """
    configure_logging(log_json=log_json)
    checked, tables = _loaded(site)
    periods = round(witness_s * 1e9 / checked.scan.period_ns) if report else 0
    options = RuntimeOptions(dry_run=dry_run, scans_max=scans or SCANS_MAX, witness_periods=periods)
    kept = data_dir(data)
    passed = ["--data-dir", str(kept), *(services_option or [])]
    passed += ["--log-json"] if log_json else []
    supervisor = Supervisor(["services", site, *passed]) if services else None
    with _failure_told(checked.id):
        session = Session(checked, tables, options, kept)
        _control(session, DeadlineLog(session.reader, periods), supervisor, report)


def _loaded(name: str) -> tuple[Site, KernelTables]:
    """The site and its tables; the log keeps by which file the controller goes, or why by none."""
    try:
        site = load_site(name)
    except FileError as error:
        problems = [f"{each.where}: {each.problem}" for each in error.problems]
        emit(log, "site.refused", path=name, problems=problems)
        raise
    tables = compile_tables(site)
    emit(
        log,
        "site.loaded",
        site=site.id,
        path=str(site.path),
        sha256=site.sha256,
        devices=len(tables.devices),
        points=len(tables.points),
        interlocks=len(tables.interlocks),
    )
    return site, tables


@contextmanager
def _failure_told(site_id: str) -> Iterator[None]:
    """See that what ends the controller by an error stands in the log, too, as an event."""
    try:
        yield
    except Exception as error:
        said = f"{error.where}: {error.problem}" if isinstance(error, EdgectlError) else repr(error)
        emit(log, "controller.failed", site=site_id, error=said)
        raise


def _control(
    session: Session, deadlines: DeadlineLog, supervisor: Supervisor | None, report: Path | None
) -> None:
    """Run the controller, and its services beside it, until stopped; then write the report."""
    stop = _stopped_by_signal()

    def each_look() -> None:
        deadlines.drain()
        if supervisor is not None:
            supervisor.poll()

    try:
        if supervisor is not None:
            supervisor.start()
        session.run(stop, each_look)
    finally:
        if supervisor is not None:
            supervisor.stop()
        if report is not None:
            deadlines.drain()
            report.write_text(json.dumps(_report(session, deadlines), indent=1) + "\n")


def _stopped_by_signal() -> threading.Event:
    """Set by Ctrl-C and SIGTERM, from now on."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _report(session: Session, deadlines: DeadlineLog) -> dict[str, Any]:
    """Deadlines and counters of a run that has ended."""
    columns = deadlines.columns
    periods = int(columns["period"].max()) + 1 if deadlines.filled else 0
    head = session.reader.snapshot()["head"]
    figures = deadline_figures(columns, session.runtime.witness_lateness_ns, periods)
    return figures | {
        "rt_grade": RtGrade(int(head["rt_grade"])).name,
        "bus_rt_grade": RtGrade(int(head["bus_rt_grade"])).name,
        "journal_lost": deadlines.lost,
    }
