"""`edgectl prooftest SITE ROW`: make an interlock trip on purpose, time it, keep the result."""

import getpass
import json as json_text
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from edgectl.cli.page import console, table
from edgectl.explain.causes import effect_text
from edgectl.explain.words import quantity, seconds
from edgectl.image import Mailbox, SegmentReader, attach
from edgectl.ledger import data_dir
from edgectl.prooftest import (
    NotTestableError,
    Ports,
    Result,
    TestPlan,
    append,
    load,
    overdue,
    plan_test,
    record_path,
    run_test,
)
from edgectl.prooftest.plan import refuse_unless_clear
from edgectl.site_model import Site, load_site

EPILOG = """\b
The running controller is put into maintenance mode. The values stand beside the real ones:
what is real trips as ever. What the row does, it does: an armed site is really brought to zero.

\b
exit status
  0  every row tested passed; with --due: nothing is overdue
  1  one did not pass, or with --due: a test is overdue
  2  could not be tested, or was not wanted; nothing was injected
  5  no controller of the site runs
  9  the result could not be kept

example:  edgectl prooftest demo IL-ESTOP --by "A. Name"
"""

WAIT_S = 0.03
ORDER = ("auto", "operator", "restart", "local")  # what needs a person comes last


def prooftest(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")],
    row: Annotated[str | None, typer.Argument(metavar="ROW", help="An interlock's id.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who tests. [the user's name]")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every row that is clear.")] = False,
    due: Annotated[bool, typer.Option("--due", help="Only list what is overdue.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it begins.")] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Results. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Make an interlock trip by values beside its real ones, and time what it does."""
    checked = load_site(site)
    folder = data_dir(data)
    if due:
        list_due(checked, folder, json)
        return
    if every == (row is not None):
        raise typer.BadParameter("name one ROW, or all of them with --all")
    with attach(checked.id) as reader:
        same_site(checked, reader)
        plans = plans_of(reader, row)
        explain(checked, reader, plans)
        if not yes and not typer.confirm("Begin?", err=True):
            raise typer.Exit(NotTestableError.exit_code)
        results = run_all(checked, reader, plans, by or getpass.getuser(), folder)
    if json:
        print(json_text.dumps(report(checked, folder, results)))
    if not results:
        raise typer.Exit(NotTestableError.exit_code)
    if not all(each.passed for each in results):
        raise typer.Exit(1)


def list_due(site: Site, folder: Path, json: bool) -> None:
    """What is overdue; exit status 1 where anything is."""
    found = overdue(site, folder, int(time.time()))
    if json:
        print(
            json_text.dumps(
                {
                    "site": site.id,
                    "rows": len(site.interlocks),
                    "overdue": [asdict(each) for each in found],
                }
            )
        )
    elif not found:
        console().print(f"All {len(site.interlocks)} rows of {site.id} are tested in time.")
    else:
        made = table(("row", "priority", "every>", "state", "title"))
        for each in found:
            made.add_row(each.row, each.priority, f"{each.interval_days} d", each.why, each.title)
        console().print(made)
        total = len(site.interlocks)
        console().print(
            f"{len(found)} of {total} rows are overdue: edgectl prooftest {site.id} ROW"
        )
    if found:
        raise typer.Exit(1)


def same_site(site: Site, reader: SegmentReader) -> None:
    """Refuse unless the controller runs this very file, and scans."""
    problem = ""
    if not reader.alive():
        problem = "its controller does not run"
    elif reader.directory["site_sha256"] != site.sha256:
        problem = "its controller runs another version of the site file"
    if problem:
        raise NotTestableError(
            where=str(site.path),
            problem=problem,
            because="The result would be of other rows than the file's.",
            remedy="Start it with this file: edgectl run SITE.",
        )


def plans_of(reader: SegmentReader, row: str | None) -> list[TestPlan]:
    """One plan, or one for every row that can be tested now, those that need a person last."""
    if row is not None:
        plan = plan_test(reader.directory, row)
        refuse_unless_clear(plan, reader.snapshot())
        return [plan]
    page, found = console(stderr=True), []
    for spec in reader.directory["interlocks"]:
        try:
            plan = plan_test(reader.directory, str(spec["id"]))
            refuse_unless_clear(plan, reader.snapshot())
        except NotTestableError as error:
            page.print(f"left out  {error.where}: {error.problem}", style="yellow")
            continue
        found.append(plan)
    return sorted(found, key=lambda each: ORDER.index(each.reset))


def explain(site: Site, reader: SegmentReader, plans: Sequence[TestPlan]) -> None:
    """What will happen, in numbers, and what it means at an armed site."""
    page = console(stderr=True)
    armed = bool(reader.snapshot()["record"]["armed"])
    for plan in plans:
        spec = reader.directory["interlocks"][plan.row]
        page.print(Text.assemble((plan.id, "bold"), f"  {plan.title}"))
        for at, value in plan.values:
            cause = spec["causes"][at]
            beside = f"{cause['tag']} is given {quantity(value, cause['unit'])} beside its own"
            page.print(f"    {beside}")
        for effect in spec["effects"]:
            page.print(f"    then: {effect_text(effect)}")
        page.print(f"    allowed: {seconds(plan.bound_ns)} to trip; reset: {plan.reset}")
    if armed and any(plan.storages for plan in plans):
        opens = " and breakers are asked to open" if any(plan.opens for plan in plans) else ""
        page.print(
            f"{site.id} IS ARMED: its batteries are really stopped{opens}.", style="bold red"
        )
    if armed and any("shed" in dict(plan.actions) for plan in plans):
        page.print("Flexible load is really asked to defer.", style="bold red")
    if not armed:
        page.print(
            f"{site.id} is not armed: that a setpoint is written cannot be seen.", style="yellow"
        )


def run_all(
    site: Site, reader: SegmentReader, plans: Sequence[TestPlan], by: str, folder: Path
) -> list[Result]:
    """Test one row after the other; each result is kept as it comes."""
    page, results = console(stderr=True), []
    with Mailbox(site.id) as mailbox:
        ports = Ports(reader, mailbox, lambda: time.sleep(WAIT_S), lambda text: None)
        for plan in plans:
            try:
                result = run_test(plan, ports, by)
            except NotTestableError as error:
                if len(plans) == 1:
                    raise
                page.print(f"left out  {error.where}: {error.problem}", style="yellow")
                continue
            append(record_path(folder, site.id), result)
            results.append(result)
            page.print(verdict(result))
    return results


def verdict(result: Result) -> Text:
    """The result in a line or two."""
    word, style = ("passed", "green") if result.passed else ("NOT PASSED", "bold red")
    text = Text.assemble((f"{word:<10}", style), (f"{result.row}  ", "bold"))
    if result.reaction_ms is not None:
        text.append(
            f"tripped after {result.reaction_ms:g} ms ({result.scans} scans), "
            f"allowed {result.bound_ms:g} ms"
        )
    for name, what in (
        ("setpoint_ms", "safe setpoint"),
        ("output_ms", "committed to the bus"),
        ("readback_ms", "shown by the device"),
    ):
        value = getattr(result, name)
        if value is not None:
            text.append(f"; {what} after {value:g} ms")
    if result.setpoint_ms is not None and not result.moved:
        text.append(" (they were there already)")
    if result.latched:
        text.append("; stayed latched" + (", then reset" if result.as_left == "clear" else ""))
    elif result.cleared_ms is not None:
        text.append(f"; cleared {result.cleared_ms:g} ms after the values had ended")
    if result.why:
        text.append(f"\n           {result.why}", style="red")
    if result.as_left != "clear":
        text.append(f"\n           as left: {result.as_left}", style="yellow")
    return text


def report(site: Site, folder: Path, results: Sequence[Result]) -> dict[str, Any]:
    """What --json prints."""
    path = record_path(folder, site.id)
    return {
        "site": site.id,
        "record": str(path),
        "tested": len(results),
        "passed": sum(each.passed for each in results),
        "results": [asdict(each) for each in results],
        "kept": len(load(path)),
    }
