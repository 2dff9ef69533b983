"""`edgectl check SITE`: is this file what we want to run? Contacts no device."""

import json as json_text
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgectl.cli.check_advice import advice
from edgectl.cli.page import STYLES, console, plain_table
from edgectl.errors import FileError
from edgectl.grid_code.site import site_rules
from edgectl.profiles import Profile
from edgectl.site_model import KernelTables, Site, compile_tables
from edgectl.site_model.load import load_site
from edgectl.site_model.proofs import stop_text
from edgectl.site_model.schedule import LinkSchedule, schedule
from edgectl.site_model.tables_control import ordered_loads
from edgectl.site_model.text import cause_text, effect_text

EPILOG = """\b
exit status
  0  the file and its profiles are sound; warnings are printed
  2  refused; all problems are listed, worst first
"""

PRIORITY_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": ""}
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
J_PER_MWH = 3.6e9
W_PER_MW = 1e6


def check(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A path, or a shipped site.")],
    points: Annotated[bool, typer.Option("--points", help="List every point as well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Check a site file and its device profiles.

    Prints devices, read plan, limits and interlocks as the controller would run them, and what
    deserves a second look. No device is contacted.
    """
    try:
        checked = load_site(site)
        if checked.grid_code is not None:
            site_rules(checked)
    except FileError as error:
        if not json:
            raise
        problems = [
            {"where": p.where, "problem": p.problem, "because": p.because, "remedy": p.remedy}
            for p in error.problems
        ]
        print(json_text.dumps({"ok": False, "site": site, "problems": problems}))
        raise typer.Exit(error.exit_code) from error
    tables = compile_tables(checked)
    if json:
        print(json_text.dumps(summary(checked, tables)))
        return
    show(console(), checked, tables, points=points)


def show(page: Console, site: Site, tables: KernelTables, *, points: bool = False) -> None:
    """Print the whole report."""
    page.print(_heading(site, tables))
    tables_shown = (
        _devices(site), _schedule(site), _limits(site), _assets(site), _interlocks(site)
    )  # fmt: skip
    for table in tables_shown:
        page.print()
        page.print(table)
    if points:
        page.print()
        page.print(_points(site))
    page.print()
    warnings = advice(site)
    notes = Table.grid(padding=(0, 1))
    for warning in warnings:
        notes.add_row(Text("!", style="yellow"), warning)
    page.print(notes)
    line = f"{site.path.name} is sound"
    line += f"; {len(warnings)} things to know before it runs." if warnings else "."
    page.print(Text(line, style="bold"))


def _heading(site: Site, tables: KernelTables) -> Text:
    scan = site.scan
    return Text.assemble(
        (f"{site.id}", "bold"),
        f"  {site.name}, {site.zone}, {site.latitude_deg:g}° {site.longitude_deg:g}°\n",
        f"scan {scan.period_ns // NS_PER_MS} ms, reads start {scan.lead_ns // NS_PER_MS} ms before;"
        f" journal {site.journal_minutes} min; armed by {site.arm}\n",
        f"{len(site.devices)} devices on {len(tables.links)} links, {len(tables.points)} points, "
        f"{len(tables.outputs)} commands, {len(site.interlocks)} interlocks\n",
        (f"sha256 {site.sha256}", "dim"),
    )


def _grid_table(title: str, columns: Sequence[tuple[str, str]]) -> Table:
    table = plain_table(title)
    for name, side in columns:
        table.add_column(
            name, justify="right" if side == "right" else "left", no_wrap=side != "fold",
            overflow="fold",
        )  # fmt: skip
    return table


def reads_each_scan(profile: Profile) -> tuple[int, int]:
    """Requests and registers (or bits) that a device is asked for at every scan."""
    fast = [block for block in profile.blocks if block.every == 1]
    return len(fast), sum(block.count for block in fast)


def _devices(site: Site) -> Table:
    table = _grid_table(
        "Devices and read plan",
        [
            ("id", "left"), ("profile", "left"), ("proved", "left"), ("address", "left"),
            ("pts", "right"), ("reads", "right"), ("slow", "right"), ("writes", "right"),
        ],
    )  # fmt: skip
    table.caption = "reads: requests/registers each scan; slow: requests further apart"
    table.caption_justify = "left"
    for device in site.devices:
        profile = device.profile
        requests, registers = reads_each_scan(profile)
        table.add_row(
            device.id,
            profile.name,
            Text(profile.verified, style=STYLES[profile.verified]),
            device.address,
            str(len(profile.points)),
            f"{requests}/{registers}",
            str(len(profile.blocks) - requests or ""),
            str(len(profile.commands) or ""),
        )
    return table


def _schedule(site: Site) -> Table:
    """What the field bus holds while replies take their reply_ms and one of them is lost."""
    table = _grid_table(
        "Schedule of the field bus",
        [
            ("link", "fold"), ("devices", "fold"), ("reads", "right"), ("load", "right"),
            ("turn", "right"), ("point with least margin", "fold"), ("age", "right"),
            ("stale", "right"), ("margin", "right"),
        ],
    )  # fmt: skip
    table.caption = (
        "reads: each scan; load: of the link's time; ms: turn, due to reply at worst; age, at worst"
    )
    table.caption_justify = "left"
    for row in schedule(site):
        times = (row.turn_ns, row.age_ns, row.limit_ns, row.margin_ns)
        turn, age, limit, margin = (f"{each / NS_PER_MS:.0f}" for each in times)
        table.add_row(
            row.link, ", ".join(row.devices), f"{row.requests:.1f}", f"{row.utilisation:.0%}",
            turn, row.worst, age, limit, margin,
        )  # fmt: skip
    return table


def _schedule_row(row: LinkSchedule) -> dict[str, Any]:
    """A link's schedule as --json prints it."""
    return {
        "link": row.link,
        "devices": list(row.devices),
        "requests_per_scan": row.requests,
        "utilisation": row.utilisation,
        "turn_ms": row.turn_ns / NS_PER_MS,
        "worst": row.worst,
        "age_ms": row.age_ns / NS_PER_MS,
        "limit_ms": row.limit_ns / NS_PER_MS,
        "margin_ms": row.margin_ns / NS_PER_MS,
    }


def _megawatt(value_w: float) -> str:
    return f"{value_w / W_PER_MW:g} MW"


def _limits(site: Site) -> Table:
    grid, carbon = site.grid, site.carbon
    table = _grid_table("Limits and carbon", [("what", "left"), ("value", "fold")])
    table.show_header = False
    table.add_row(
        "grid import",
        f"cap {_megawatt(grid.import_cap_w)}, dispatch aims {_megawatt(grid.import_guard_w)} under;"
        f" export at most {_megawatt(grid.export_max_w)}; meter {grid.power}",
    )
    table.add_row(
        "grid carbon",
        f"discharge above {carbon.high_g_per_kwh:g}, charge under {carbon.low_g_per_kwh:g} g/kWh; "
        f"{carbon.default_g_per_kwh:g} when the feed is lost ({carbon.basis})",
    )
    if carbon.feed is not None:
        source = carbon.feed.zone or carbon.feed.path
        table.add_row("carbon feed", f"{carbon.feed.kind}, {source}; asked by the services alone")
    if site.buses:
        tree = ", ".join(f"{each.id} from {each.fed_by or 'the grid'}" for each in site.buses)
        table.add_row("buses", f"{tree}; for the accounting alone")
    for tie in site.feeders:
        table.add_row("feeder", f"{tie.id}, {tie.from_bus} to {tie.to_bus}, by {tie.power}")
    for own in site.generators:
        table.add_row("generator", f"{own.id}, {own.carbon_g_per_kwh:g} g/kWh, by {own.power}")
    if site.flexible is not None:
        flexible = site.flexible
        table.add_row(
            "flexible load",
            f"nothing is shed under {_megawatt(flexible.it_floor_w)} of IT power; "
            f"comes back at {flexible.release_w_per_s / 1000:g} kW/s",
        )
    table.add_row(
        "lost meter",
        f"last good power for {site.meter_hold_ns / NS_PER_S:g} s, then the worst credible one",
    )
    return table


def _assets(site: Site) -> Table:
    table = _grid_table(
        "Assets and loads",
        [("id", "left"), ("kind", "left"), ("power", "left"), ("figures", "fold")],
    )
    for battery in site.batteries:
        table.add_row(
            battery.id,
            "battery",
            battery.power,
            f"+{_megawatt(battery.charge_rating_w)} -{_megawatt(battery.discharge_rating_w)}, "
            f"{battery.capacity_j / J_PER_MWH:g} MWh, {battery.reserve_ratio:.0%} to "
            f"{battery.full_ratio:.0%}, ramp {_megawatt(battery.ramp_w_per_s)}/s; "
            f"{stop_text(site, battery.command)}",
        )
    for pv in site.pvs:
        limited = (
            f"limited by {pv.limit}; {stop_text(site, pv.limit)}"
            if pv.limit
            else "cannot be limited"
        )
        table.add_row(pv.id, "pv", pv.power, f"{_megawatt(pv.rating_w)}, {limited}")
    for load in ordered_loads(site):
        worst = f"{_megawatt(load.worst_case_w)} when lost"
        table.add_row(load.id, f"load {load.kind}", load.power, worst)
    return table


def _interlocks(site: Site) -> Table:
    table = _grid_table(
        "Interlocks, in the order of evaluation",
        [
            ("id", "left"), ("when", "fold"), ("on/off", "right"), ("bad", "left"),
            ("then", "fold"), ("reset", "left"),
        ],
    )  # fmt: skip
    table.columns[1].min_width = 30
    table.caption = "on/off: delays, s; bad: what bad quality does; auto 3x: locked out after 3"
    table.caption_justify = "left"
    before = ""
    for row in site.interlocks:
        if row.group != before:
            table.add_row(Text(row.group, style="bold dim"))
            before = row.group
        causes = [cause_text(each) for each in row.causes]
        if len(causes) > 3:
            causes = [causes[0], f"... and {len(causes) - 1} more like it"]
        vote = f" ({row.vote}oo{len(row.causes)})" if len(row.causes) > 1 else ""
        table.add_row(
            Text(row.id, style=PRIORITY_STYLES[row.priority]),
            "\n".join(causes) + vote,
            f"{row.on_delay_ns / NS_PER_S:g}/{row.off_delay_ns / NS_PER_S:g}",
            row.on_bad_quality,
            effect_text(row),
            row.reset + (f" {row.lockout_trips}x" if row.lockout_trips else ""),
        )
    return table


def _points(site: Site) -> Table:
    table = _grid_table(
        "Points on the wire",
        [
            ("tag", "left"), ("unit", "left"), ("fn", "right"), ("address", "right"),
            ("type", "left"), ("valid", "fold"), ("stale", "right"),
        ],
    )  # fmt: skip
    for device in site.devices:
        for point in device.profile.points:
            table.add_row(
                f"{device.id}.{point.name}",
                point.unit,
                str(point.function),
                str(point.address),
                point.type,
                f"{point.valid_min:g} to {point.valid_max:g}",
                f"{point.stale_after_ns / NS_PER_S:g} s",
            )
    return table


def summary(site: Site, tables: KernelTables) -> dict[str, Any]:
    """What --json prints."""
    return {
        "ok": True,
        "site": site.id,
        "sha256": site.sha256,
        "period_ms": site.scan.period_ns / NS_PER_MS,
        "counts": {name: len(table) for name, table in tables.items()},
        "devices": [
            {
                "id": each.id,
                "profile": each.profile.name,
                "verified": each.profile.verified,
                "address": each.address,
                "points": len(each.profile.points),
                "requests_per_scan": reads_each_scan(each.profile)[0],
                "registers_per_scan": reads_each_scan(each.profile)[1],
                "commands": [command.name for command in each.profile.commands],
            }
            for each in site.devices
        ],
        "interlocks": [
            {"id": row.id, "title": row.title, "priority": row.priority, "effect": effect_text(row)}
            for row in site.interlocks
        ],
        "schedule": [_schedule_row(row) for row in schedule(site)],
        "import_cap_w": site.grid.import_cap_w,
        "warnings": advice(site),
    }
