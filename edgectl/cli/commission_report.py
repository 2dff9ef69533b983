"""The report of `edgectl commission`: findings first, then what was held against what."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgectl.cli.page import plain_table
from edgectl.commissioning.physics import Assessment
from edgectl.commissioning.physics_findings import Check, Finding, Result, watts
from edgectl.site_model import Site

COLUMNS = ("word order", "plausible", "v-i-pf", "energy")
ORDER = (Result.FINDING, Result.UNKNOWN, Result.OK)
STYLES: dict[Result | None, str] = {
    Result.OK: "green",
    Result.FINDING: "bold red",
    Result.UNKNOWN: "yellow",
}
MARKS = {Result.OK: "ok", Result.FINDING: "finding", Result.UNKNOWN: "not measured", None: "-"}
CERTAINTIES = {"sure": "bold red", "likely": "red", "ambiguous": "yellow"}
SHIFTED_RATIO = 0.001  # a corrected figure is shown where it differs by more


def show(console: Console, site: Site, assessment: Assessment) -> None:
    """Print the whole report."""
    checks = assessment.checks
    bad = sum(each.result is Result.FINDING for each in checks)
    unknown = sum(each.result is Result.UNKNOWN for each in checks)
    console.print(
        Text.assemble(
            (site.id, "bold"),
            f"  {site.name}: {assessment.seconds:.0f} s watched, {len(checks)} checks, "
            f"{bad} failed, {unknown} not measured\n",
        )
    )
    for number, finding in enumerate(assessment.findings, start=1):
        _finding(console, number, finding)
    console.print(_balance(assessment))
    console.print(Text(_rest(assessment), style="dim"))
    console.print()
    console.print(_matrix(checks))
    notes = [each for each in checks if each.name not in COLUMNS or each.result is Result.UNKNOWN]
    if notes:
        console.print()
        console.print(_details(notes))
    if assessment.limits:
        console.print()
        console.print(Text("What this cannot tell", style="bold"))
        for each in assessment.limits:
            console.print(Padding(Text(each), (0, 0, 0, 2), expand=False))
    console.print()
    console.print(Text(_conclusion(assessment), style="bold"))


def _conclusion(assessment: Assessment) -> str:
    count = len(assessment.findings)
    if count:
        return f"{count} finding{'s' if count > 1 else ''}; commission again once put right."
    if not assessment.measured:
        return "What was to be measured could not be: see above."
    return "Nothing was found wrong."


def _finding(console: Console, number: int, finding: Finding) -> None:
    console.print(
        Text.assemble(
            (f"{number}  ", "bold"),
            (finding.what, "bold red"),
            (f"  {finding.certainty}", CERTAINTIES[finding.certainty]),
        )
    )
    for each in finding.evidence:
        console.print(Padding(Text(each), (0, 0, 0, 3), expand=False))
    for each in finding.alternatives:
        console.print(Padding(Text(f"or: {each}", style="yellow"), (0, 0, 0, 3), expand=False))
    console.print(Padding(Text(f"Do: {finding.remedy}"), (0, 0, 0, 3), expand=False))
    for change in finding.changes:
        line = Text.assemble(
            (change.line, "bold cyan"), (f"   {change.at} in {change.file}", "dim")
        )
        console.print(Padding(line, (0, 0, 0, 7), expand=False))
    console.print()


def _balance(assessment: Assessment) -> Table:
    """The sum at the grid connection, meter by meter."""
    table = plain_table("Balance of the meters")
    for name in ("branch", "meter", "role"):
        table.add_column(name, no_wrap=True)
    for name in ("shown", "corrected"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in assessment.branches:
        moved = abs(each.corrected_w - each.shown_w) > SHIFTED_RATIO * abs(each.shown_w)
        moved |= each.shown_w != each.shown_w and each.corrected_w == each.corrected_w
        table.add_row(
            each.local.term.id,
            each.id,
            each.role,
            watts(each.shown_w),
            Text(watts(each.corrected_w) if moved else "", style="red"),
        )
    return table


def _rest(assessment: Assessment) -> str:
    """The line under the sum."""
    flow_w, rest_w = assessment.flow_w, assessment.residual_w
    share = f" ({rest_w / flow_w:.1%} of {watts(flow_w)})" if flow_w > 0.0 else ""
    return f"grid less all others {watts(rest_w)}{share}: losses and what has no meter"


def _matrix(checks: tuple[Check, ...]) -> Table:
    """The checks of each device by itself, a row a device."""
    table = plain_table("Each device by itself")
    table.add_column("device", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, no_wrap=True)
    worst: dict[str, dict[str, Result]] = {}
    for each in checks:
        if each.name in COLUMNS:
            row = worst.setdefault(each.subject, {})
            row[each.name] = min(row.get(each.name, Result.OK), each.result, key=ORDER.index)
    for device, row in worst.items():
        cells = [row.get(name) for name in COLUMNS]
        table.add_row(device, *(Text(MARKS[cell], STYLES.get(cell, "dim")) for cell in cells))
    return table


def _details(checks: list[Check]) -> Table:
    """What has figures of its own, or a reason why nothing was measured."""
    table = plain_table("Figures, and what was not measured")
    for name in ("check", "of", "result"):
        table.add_column(name, no_wrap=True)
    table.add_column("measured", overflow="fold")
    for each in sorted(checks, key=lambda check: ORDER.index(check.result)):
        mark = Text(each.result, style=STYLES[each.result])
        table.add_row(each.name, each.subject, mark, each.measured)
    return table
