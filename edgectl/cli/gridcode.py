"""`edgectl gridcode ...`: trip settings against IEEE 1547, read from inverters. Never writes."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from edgectl.cli import gridcode_view as view
from edgectl.cli.device_parts import AS_JSON
from edgectl.cli.page import console
from edgectl.errors import DataError
from edgectl.grid_code.code import code_names, load_rules
from edgectl.grid_code.site import Audited, audit_device, audited_devices, site_rules
from edgectl.grid_code.window import (
    NS_PER_S,
    EnterLimits,
    Sample,
    Stage,
    default_enter,
    default_stages,
    judge,
)
from edgectl.site_model import load_site

COLUMNS = ("time_s", "v_low_pu", "v_high_pu", "frequency_hz")
AUDIT_EPILOG = """\b
SITE needs a [grid_code] section: docs/site-file.md. Nothing is ever written to a device. Where a
device takes one connection only, stop the controller first. Read: SunSpec models 702, 703, 707,
708, 709, 710, and 711 where there is one. What each verdict means: docs/grid-code.md

\b
exit status
  0  every setting read, and within the range or as the grid operator prescribes it
  1  something is outside
  2  nothing is outside of what could be read, but something could not be; or the site was refused

\b
examples
  edgectl gridcode audit demo
  edgectl gridcode audit SITE PCS-01 --json
"""
SHOW_EPILOG = """\b
example
  edgectl gridcode show ieee-1547-2018 III
"""
JUDGE_EPILOG = """\b
FILE is CSV with the columns time_s, v_low_pu, v_high_pu, frequency_hz: lowest and highest of the
voltages, per unit of nominal; an empty field is a value that was not measured. Without DEVICE
the defaults of the category are taken; with it, what the device is set to now.

\b
exit status
  0  with these settings it should have stayed
  1  it should have tripped
  2  nothing could be judged: the file, the site or the device

\b
example
  edgectl gridcode judge event.csv demo PCS-01
"""
TIMEOUT_MS = Annotated[int, typer.Option(min=10, max=60_000, help="Of one reply.")]


class EventFileError(DataError):
    """A recorded event is not in the form that judge reads."""

    exit_code = 2


app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(epilog=AUDIT_EPILOG)
def audit(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")],
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE]...", help="Only these.")
    ] = None,
    timeout_ms: TIMEOUT_MS = 1000,
    as_json: AS_JSON = False,
) -> None:
    """Read trip, ride-through and enter-service settings and hold them against IEEE 1547."""
    checked = load_site(site)
    rules = site_rules(checked)
    found: list[Audited] = []
    for device in audited_devices(checked, devices or []):
        audited = audit_device(checked, rules, device, timeout_ms)
        found.append(audited)
        if not as_json:
            view.show_audit(console(), rules, audited, checked.scan.period_ns)
    if as_json:
        print(json.dumps(view.audit_json(checked, rules, found)))
    else:
        console().print(view.conclusion(found))
    status = 1 if any(each.status == 1 for each in found) else max(each.status for each in found)
    if status:
        raise typer.Exit(status)


@app.command(epilog=SHOW_EPILOG)
def show(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A shipped one, or a path.")] = "",
    category: Annotated[str, typer.Argument(metavar="CATEGORY", help="As I, II or III.")] = "III",
    as_json: AS_JSON = False,
) -> None:
    """Print one category of a grid code, each figure with its clause; without CODE list them."""
    if not code:
        print(json.dumps({"codes": code_names()}) if as_json else "\n".join(code_names()))
        return
    rules = load_rules(code, category)
    if as_json:
        print(json.dumps(view.rules_json(rules)))
    else:
        view.show_rules(console(), rules)


@app.command("judge", epilog=JUDGE_EPILOG)
def judge_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recorded event, CSV.")],
    site: Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")],
    device: Annotated[
        str | None, typer.Argument(metavar="DEVICE", help="Ask this one for its settings.")
    ] = None,
    timeout_ms: TIMEOUT_MS = 1000,
    as_json: AS_JSON = False,
) -> None:
    """Say of a recorded event whether a device with these settings should have tripped."""
    samples = list(samples_of(file))
    checked = load_site(site)
    rules = site_rules(checked)
    stages: tuple[Stage, ...] = default_stages(rules)
    enter: EnterLimits | None = default_enter(rules)
    notes: tuple[str, ...] = ()
    whose = f"the defaults of {rules.id}, category {rules.category}"
    if device is not None:
        (own,) = audited_devices(checked, [device])
        audited = audit_device(checked, rules, own, timeout_ms)
        missing = audited.settings.missing.values() if audited.settings else ()
        if audited.settings is None or missing:
            why = audited.problem or "; ".join(missing)
            typer.echo(f"{device}: {why}\n  Without its settings nothing can be judged.", err=True)
            raise typer.Exit(2)
        stages, enter = audited.settings.stages(), audited.settings.enter_limits()
        notes = audited.settings.idle()
        whose = f"what {device} is set to now"
    judged = judge(samples, stages, enter)
    if as_json:
        print(json.dumps(view.judgement_json(judged, whose, samples, notes)))
    else:
        view.show_judgement(console(), judged, stages, whose, samples, notes)
    if judged.tripped:
        raise typer.Exit(1)


def samples_of(path: Path) -> Iterator[Sample]:
    """The samples of a recorded event, in order. Raises DataError with the line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(str(path), f"cannot be read: {error}") from error
    rows = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise _unusable(str(path), f"has no column {', '.join(missing)}")
    before_ns = None
    for row in rows:
        where = f"{path}:{rows.line_num}"
        try:
            time_s, *values = (float(row[name]) if row[name] else None for name in COLUMNS)
        except (TypeError, ValueError) as error:
            raise _unusable(where, f"not four numbers: {error}") from error
        if time_s is None or (before_ns is not None and time_s * NS_PER_S <= before_ns):
            raise _unusable(where, "its time is missing, or not later than the one before")
        before_ns = round(time_s * NS_PER_S)
        yield Sample(before_ns, *values)
    if before_ns is None:
        raise _unusable(str(path), "holds no sample")


def _unusable(where: str, problem: str) -> DataError:
    return EventFileError(
        where=where,
        problem=problem,
        because="What was not measured in order cannot be judged.",
        remedy=f"CSV with the columns {', '.join(COLUMNS)}; times in s, rising.",
    )
