"""`edgectl commission SITE`: hold the meters and batteries of a site against the physics."""

import json as json_text
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from edgectl.cli.commission_record import Recorder, read_site_of
from edgectl.cli.commission_report import show
from edgectl.cli.page import console
from edgectl.commissioning.physics import Assessment, assess
from edgectl.commissioning.physics_series import Observation
from edgectl.commissioning.physics_step import StepPlan
from edgectl.controller.runtime import RuntimeOptions
from edgectl.controller.session import Session
from edgectl.errors import EdgectlError, OverrunError, SegmentError
from edgectl.events import Level, configure_logging
from edgectl.image import SegmentReader, attach
from edgectl.site_model import Site, compile_tables, load_site

EPILOG = """\b
It reads the process image of the controller that runs for SITE; where none runs, it runs one
of its own that writes to no device. Only --step asks for something: it goes through interlocks
and limits as any request does, as 0, +W, 0, -W, 0, three seconds each.
What each check can tell, and what it cannot: docs/commissioning.md

\b
exit status
  0  nothing was found wrong
  1  findings, each with the line to change
  2  site file or command line refused, or nothing could be measured
  3  a device failed its identity check; nothing was written
  5  the controller that runs has another version of the site file
"""

IDENTIFY_S = 6.0  # a device that has not answered by then is reported as silent
LOOK_S = 0.05
STEP = re.compile(r"(?P<id>[^=]+)=(?P<number>[0-9.]+)\s*(?P<unit>W|kW|MW)")
UNIT_W = {"W": 1.0, "kW": 1e3, "MW": 1e6}


class NotMeasuredError(EdgectlError):
    """Nothing could be held against anything."""

    exit_code = 2


@dataclass(slots=True)
class Watch:
    """What a thread of the dry run leaves: the observation, or why there is none."""

    observation: Observation | None = None
    error: Exception | None = None


def commission(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")],
    seconds: Annotated[
        float, typer.Option(min=2.0, max=3600.0, help="How long to watch before any step.")
    ] = 30.0,
    step: Annotated[
        list[str] | None,
        typer.Option(help="Step a battery: BESS-01=2MW; may be repeated. Needs a running one."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Find reversed transformers, wrong scales, swapped words and exchanged meters.

    The sum of all meters against the grid meter, V·I·PF against P, energy counters against the
    integral of power, and on request a step of a battery: by values alone.
    """
    configure_logging(level=Level.ERROR)
    checked = load_site(site)
    plans = [_plan(checked, text) for text in step or []]
    reader = _running(checked)
    if reader is None:
        if plans:
            raise _no_controller(checked)
        assessment = assess(checked, _dry_run(checked, seconds))
    else:
        with reader:
            assessment = _attached(checked, reader, seconds, plans)
    if json:
        print(json_text.dumps(report(checked, assessment)))
    else:
        show(console(), checked, assessment)
    if assessment.findings:
        raise typer.Exit(1)
    if not assessment.measured:
        raise typer.Exit(2)


def _plan(site: Site, text: str) -> StepPlan:
    """A step from BESS-01=2MW."""
    found = STEP.fullmatch(text.strip())
    batteries = [each.id for each in site.batteries]
    if found is None or found["id"] not in batteries:
        raise typer.BadParameter(
            f"--step {text!r} is not BATTERY=POWER, as BESS-01=2MW; batteries: "
            f"{', '.join(batteries) or 'none'}"
        )
    power_w = float(found["number"]) * UNIT_W[found["unit"]]
    battery = next(each for each in site.batteries if each.id == found["id"])
    most_w = min(battery.charge_rating_w, battery.discharge_rating_w)
    if not 4.0 * battery.deadband_w <= power_w <= most_w:
        raise typer.BadParameter(
            f"--step {text!r}: {4.0 * battery.deadband_w:g} to {most_w:g} W is a step that can be "
            "seen and that the battery can make both ways"
        )
    return StepPlan(battery.id, power_w)


# ---- where the values come from


def _running(site: Site) -> SegmentReader | None:
    """The segment of a controller that runs for this very site file; None without one."""
    try:
        reader = attach(site.id)
    except SegmentError:
        return None
    if not reader.alive():
        reader.close()
        return None
    read_site_of(site, reader)
    return reader


def _attached(
    site: Site, reader: SegmentReader, seconds: float, plans: Sequence[StepPlan]
) -> Assessment:
    """Watch a running controller, then make the steps that were asked for."""
    head = reader.snapshot()["record"]
    if plans and (not head["armed"] or head["dry_run"]):
        raise NotMeasuredError(
            where=site.id,
            problem="the controller is not armed" if not head["armed"] else "it runs dry",
            because="It would take the request and write nothing.",
            remedy="Arm it, and reset what has tripped: edgectl top shows it.",
        )
    recorder = Recorder(site, reader)
    seen = recorder.record(seconds)
    return assess(site, seen, [(plan, recorder.step(plan)) for plan in plans])


def _dry_run(site: Site, seconds: float) -> Observation:
    """Run the controller's own bus without writing, and watch it."""
    session = Session(site, compile_tables(site), RuntimeOptions(dry_run=True))
    stop = threading.Event()
    watch = Watch()
    watcher = threading.Thread(target=_watch, args=(site, seconds, stop, watch), name="watch")
    watcher.start()
    try:
        session.run(stop, lambda: None)
    except OverrunError:
        pass  # a slow machine overruns its scans; the values carry their own times
    finally:
        stop.set()
        watcher.join()
    if watch.error is not None:
        raise watch.error
    if watch.observation is None:
        raise NotMeasuredError(
            where=site.id,
            problem="it was stopped before anything was seen",
            because="A verdict needs seconds of values.",
            remedy="Let it run its --seconds.",
        )
    return watch.observation


def _watch(site: Site, seconds: float, stop: threading.Event, watch: Watch) -> None:
    """Wait for the devices, record, and end the run."""
    try:
        with attach(site.id) as reader:
            end_s = time.monotonic() + IDENTIFY_S
            while time.monotonic() < end_s and not stop.is_set():
                if reader.journal_head > 0 and reader.snapshot()["links"]["identified"].all():
                    break
                time.sleep(LOOK_S)
            if not stop.is_set():
                watch.observation = Recorder(site, reader).record(seconds, stop.is_set)
    except EdgectlError as error:
        watch.error = error
    finally:
        stop.set()


def _no_controller(site: Site) -> NotMeasuredError:
    return NotMeasuredError(
        where=site.id,
        problem="no controller runs for this site, and a step was asked for",
        because="A battery is only moved through the interlocks of a running controller.",
        remedy=f"Start and arm it: edgectl run {site.path.name}. Then commission again.",
    )


# ---- for machines


def report(site: Site, assessment: Assessment) -> dict[str, Any]:
    """What --json prints."""
    return {
        "ok": not assessment.findings and assessment.measured,
        "site": site.id,
        "seconds": round(assessment.seconds, 3),
        "residual_w": _number(assessment.residual_w),
        "flow_w": _number(assessment.flow_w),
        "meters": [
            {
                "device": each.id,
                "branch": each.local.term.id,
                "role": each.role,
                "shown_w": _number(each.shown_w),
                "corrected_w": _number(each.corrected_w),
            }
            for each in assessment.branches
        ],
        "checks": [asdict(each) for each in assessment.checks],
        "findings": [asdict(each) for each in assessment.findings],
        "limits": list(assessment.limits),
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value != value else round(value, 1)
