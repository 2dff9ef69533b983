"""What a site file must not contain, beyond its form: names, units, relations, bounds."""

from collections.abc import Sequence
from itertools import pairwise

from edgectl.profiles.problems import RANK_REFERENCE, RANK_SAFETY, RANK_VALUE, did_you_mean
from edgectl.profiles.toml_text import Path
from edgectl.profiles.units import unit_text
from edgectl.site_model import bounds
from edgectl.site_model.check_bus import check_bus, link_of
from edgectl.site_model.check_buses import check_buses
from edgectl.site_model.check_carbon import check_carbon_feed
from edgectl.site_model.check_stock import check_stocks
from edgectl.site_model.context import Context
from edgectl.site_model.schema import BatteryEntry, PvEntry
from edgectl.site_model.tags import SITE, internal_points

NS_PER_MS = 1_000_000


def check_site(context: Context) -> None:
    """Report every problem outside the interlocks."""
    _check_scan(context)
    _check_ids(context)
    check_bus(context)
    _check_grid_and_carbon(context)
    check_carbon_feed(context)
    _check_loads_and_pv(context)
    for at, battery in enumerate(context.file.battery):
        _check_battery(context, at, battery)
    check_stocks(context)
    check_buses(context)
    _check_site_commands(context)
    _check_heartbeats(context)
    _check_grid_code(context)
    _check_metered_once(context)
    _check_bounds(context)


def _check_scan(context: Context) -> None:
    scan, metering = context.file.scan, context.file.metering
    if scan.read_lead_ms >= scan.period_ms:
        context.add(
            ("scan", "read_lead_ms"),
            f"read_lead_ms is {scan.read_lead_ms} ms; it must be under period_ms, "
            f"{scan.period_ms} ms",
            "The bus would start reading for a scan before the scan ahead of it has run.",
            f"For example {max(1, scan.period_ms * 6 // 10)}.",
            RANK_SAFETY,
        )
    if metering.gap_max_ms < 2 * scan.period_ms:
        context.add(
            ("metering", "gap_max_ms"),
            f"gap_max_ms is {metering.gap_max_ms} ms; period_ms is {scan.period_ms} ms",
            "A single late scan would be booked as a gap.",
            f"Give at least two periods, {2 * scan.period_ms} ms.",
            RANK_VALUE,
        )


def _check_ids(context: Context) -> None:
    """Devices, loads, PV and batteries share one space of ids: tags, assets, ledger."""
    file = context.file
    arrays = (
        ("device", [each.id for each in file.device]),
        ("load", [each.id for each in file.load]),
        ("pv", [each.id for each in file.pv]),
        ("battery", [each.id for each in file.battery]),
        ("generator", [each.id for each in file.generator]),
        ("monitor", [each.id for each in file.monitor]),
    )
    seen = {SITE: "edgectl itself"}
    for section, ids in arrays:
        for at, own in enumerate(ids):
            if own in seen:
                context.add(
                    context.path(section, at, "id"),
                    f"{own} is already the id of {seen[own]}",
                    "Tags, interlocks and the ledger could not tell them apart.",
                    "Give each its own id.",
                    RANK_REFERENCE,
                )
            seen.setdefault(own, f"a {section}")


def _less(
    context: Context, path: Path, small: tuple[str, float], large: tuple[str, float], why: str
) -> None:
    """Report unless the first number is under the second; names end in their unit."""
    (name, value), (other, bound) = small, large
    unit = next(
        (u for s, u in (("_w", "W"), ("_ms", "ms"), ("_g_per_kwh", "g/kWh")) if name.endswith(s)),
        "",
    )
    if value >= bound:
        context.add(
            (*path, name),
            f"{name} is {unit_text(value, unit)}; it must be under {other}, "
            f"{unit_text(bound, unit)}",
            why,
            f"Lower {name}, or raise {other}.",
            RANK_SAFETY,
        )


def _check_grid_and_carbon(context: Context) -> None:
    grid, carbon = context.file.grid, context.file.carbon
    context.need_point(("grid", "power"), grid.power, "W")
    _less(
        context,
        ("grid",),
        ("import_guard_w", grid.import_guard_w),
        ("import_cap_w", grid.import_cap_w),
        "Dispatch would aim at importing nothing, or less.",
    )
    _less(
        context,
        ("carbon",),
        ("low_g_per_kwh", carbon.low_g_per_kwh),
        ("high_g_per_kwh", carbon.high_g_per_kwh),
        "The battery would be asked to charge and to discharge at once.",
    )
    if carbon.low_g_per_kwh < carbon.high_g_per_kwh:
        _less(
            context,
            ("carbon",),
            ("deadband_g_per_kwh", carbon.deadband_g_per_kwh),
            ("high_g_per_kwh - low_g_per_kwh", carbon.high_g_per_kwh - carbon.low_g_per_kwh),
            "Charging would not have stopped before discharging starts.",
        )


def _check_loads_and_pv(context: Context) -> None:
    file = context.file
    for at, load in enumerate(file.load):
        context.need_point(context.path("load", at, "power"), load.power, "W")
    if not any(each.kind == "it" for each in file.load) and "load" not in context.ordinals:
        context.add(
            ("load", 0, "kind"),
            "no load is of kind it",
            "PUE divides by the IT power; without any it does not exist.",
            'Give the buses that feed servers kind = "it".',
            RANK_VALUE,
        )
    for at, generator in enumerate(file.generator):
        context.need_point(context.path("generator", at, "power"), generator.power, "W")
    for at, pv in enumerate(file.pv):
        context.need_point(context.path("pv", at, "power"), pv.power, "W")
        if pv.limit is None:
            _check_unlimited(context, at, pv)
            continue
        if pv.proof_meter is not None:
            path = context.path("pv", at, "proof_meter")
            _check_proof_meter(context, path, pv.proof_meter, (pv.limit, pv.power), "PV block")
        context.need_command(context.path("pv", at, "limit"), pv.limit, "W")
        _check_refresh(context, context.path("pv", at, "refresh_ms"), pv.limit, pv.refresh_ms)


def _check_battery(context: Context, at: int, battery: BatteryEntry) -> None:
    path = context.path("battery", at)
    context.need_point((*path, "power"), battery.power, "W")
    context.need_point((*path, "soc"), battery.soc, "ratio")
    context.need_command((*path, "command"), battery.command, "W")
    if battery.readback is not None:
        context.need_point((*path, "readback"), battery.readback, "W")
    if battery.proof_meter is not None:
        own = battery.command, battery.power
        _check_proof_meter(context, (*path, "proof_meter"), battery.proof_meter, own, "battery")
    _less(
        context,
        path,
        ("reserve_ratio", battery.reserve_ratio),
        ("full_ratio", battery.full_ratio),
        "Between reserve and full nothing would be left to use.",
    )
    _less(
        context,
        path,
        ("reserve_ratio", battery.reserve_ratio),
        ("ready_ratio", battery.ready_ratio),
        "Nothing would be kept for the import cap.",
    )
    _less(
        context,
        path,
        ("ready_ratio", battery.ready_ratio),
        ("full_ratio", battery.full_ratio),
        "Carbon steering would have nothing to move.",
    )
    ratings = min(battery.charge_rating_w, battery.discharge_rating_w)
    for name, value in (("economy_w", battery.economy_w), ("deadband_w", battery.deadband_w)):
        if value > ratings:
            context.add(
                (*path, name),
                f"{name} is {unit_text(value, 'W')}; the smaller rating is "
                f"{unit_text(ratings, 'W')}",
                "It asks for more than the asset has.",
                "Give at most the rating.",
                RANK_VALUE,
            )
    _check_refresh(context, (*path, "refresh_ms"), battery.command, battery.refresh_ms)
    others = [each.command for each in context.file.battery[:at]]
    if battery.command in others:
        context.add(
            (*path, "command"),
            f"{battery.command} is already the command of another battery",
            "Two setpoints would be written over each other, scan by scan.",
            "Give each battery its own converter.",
            RANK_SAFETY,
        )


def _check_unlimited(context: Context, at: int, pv: PvEntry) -> None:
    """Nothing is proven of a block that nobody limits."""
    for name in ("proof_meter", "stop_budget_ms"):
        if getattr(pv, name) is not None:
            context.add(
                context.path("pv", at, name),
                f"{name} is given, and {pv.id} has no limit",
                "What is never written has no effect to see, and nothing to fall back from.",
                f"Name the command that limits it, or leave {name} out.",
                RANK_REFERENCE,
            )


def _check_proof_meter(
    context: Context, path: Path, tag: str, others: Sequence[str], what: str
) -> None:
    """Another device than the one that is commanded, or it proves nothing."""
    context.need_point(path, tag, "W")
    owner = tag.partition(".")[0]
    if owner in {each.partition(".")[0] for each in others}:
        context.add(
            path,
            f"proof_meter is of {owner}, which is commanded or measures the {what} itself",
            "A converter that does not do what it says would prove itself right.",
            f"Name the meter of the {what}'s feeder, or leave proof_meter out.",
            RANK_SAFETY,
        )


def _check_refresh(context: Context, path: Path, tag: str, refresh_ms: int) -> None:
    """Written again at least twice within the device's own fallback time."""
    device_id, _, name = tag.partition(".")
    profile = context.profiles.get(device_id)
    commands = {each.name: each for each in profile.commands} if profile else {}
    if name not in commands:
        return
    revert_ms = commands[name].revert_ns // NS_PER_MS
    if 2 * refresh_ms > revert_ms:
        context.add(
            path,
            f"refresh_ms is {refresh_ms} ms; {tag} falls back after {revert_ms} ms of silence",
            "One lost write would make the device fall back while the controller is alive.",
            f"Refresh at least twice in that time: at most {revert_ms // 2} ms.",
            RANK_SAFETY,
        )


def _check_site_commands(context: Context) -> None:
    """[flexible], [open_request] and [local_reset]."""
    file = context.file
    if file.flexible is not None:
        flexible = file.flexible
        context.need_command(("flexible", "command"), flexible.command, "W")
        context.need_point(("flexible", "available"), flexible.available, "W")
        context.need_point(("flexible", "deferred"), flexible.deferred, "W")
        _check_refresh(context, ("flexible", "refresh_ms"), flexible.command, flexible.refresh_ms)
        _check_tiers(context, flexible.tiers_ratio)
        it_w = sum(each.worst_case_w for each in file.load if each.kind == "it")
        if "load" not in context.ordinals:
            _less(
                context,
                ("flexible",),
                ("it_floor_w", flexible.it_floor_w),
                ("worst_case_w of all IT loads", it_w),
                "No IT power could ever be above the floor, so nothing would ever be shed.",
            )
    if file.open_request is not None:
        context.need_command(("open_request", "command"), file.open_request.command, "bool")
    if file.local_reset is not None:
        context.need_point(("local_reset", "tag"), file.local_reset.tag, "bool")


def _check_tiers(context: Context, tiers_ratio: list[float]) -> None:
    """A higher tier sheds more, or the worst row would shed less than a milder one."""
    if any(b <= a for a, b in pairwise([0.0, *tiers_ratio])):
        context.add(
            ("flexible", "tiers_ratio"),
            f"tiers_ratio is {tiers_ratio}; each must be over the one before",
            "The row that asks for the highest tier wins; it would shed no more, or less.",
            "For example [0.3, 0.6, 1.0].",
            RANK_SAFETY,
        )


def _check_heartbeats(context: Context) -> None:
    """Each counter goes to a command of its own that counts."""
    for at, each in enumerate(context.file.heartbeat):
        path = context.path("heartbeat", at, "command")
        context.need_command(path, each.command, "count")
        if each.command in [other.command for other in context.file.heartbeat[:at]]:
            context.add(
                path,
                f"{each.command} is already the command of another heartbeat",
                "Two counts would be written over each other.",
                "Remove one.",
                RANK_REFERENCE,
            )


def _check_grid_code(context: Context) -> None:
    """[grid_code]: devices that there are, and no setting prescribed twice."""
    code = context.file.grid_code
    if code is None:
        return
    known = {each.id for each in context.file.device} | context.broken
    for at, device in enumerate(code.devices):
        if device not in known:
            context.add(
                ("grid_code", "devices", at),
                f"unknown device {device}",
                "Its settings would never be looked at.",
                did_you_mean(device, known),
                RANK_REFERENCE,
            )
    settings = [each.setting for each in code.required]
    for at, entry in enumerate(code.required):
        twice = entry.setting in settings[:at]
        if twice or (entry.value is None and entry.time_s is None):
            context.add(
                ("grid_code", "required", at, "setting"),
                f"{entry.setting} is prescribed twice"
                if twice
                else f"{entry.setting} has neither value nor time_s",
                "Nobody could tell what the device shall be set to.",
                "Give each setting once, with what the grid operator prescribes.",
                RANK_VALUE,
            )


def _check_metered_once(context: Context) -> None:
    """No power is booked twice."""
    file = context.file
    seen = {file.grid.power: "[grid]"}
    entries = [("load", at, each.id, each.power) for at, each in enumerate(file.load)]
    entries += [("pv", at, each.id, each.power) for at, each in enumerate(file.pv)]
    entries += [("battery", at, each.id, each.power) for at, each in enumerate(file.battery)]
    entries += [("generator", at, each.id, each.power) for at, each in enumerate(file.generator)]
    entries += [("feeder", at, each.id, each.power) for at, each in enumerate(file.feeder)]
    for section, at, own, tag in entries:
        if tag in seen:
            context.add(
                context.path(section, at, "power"),
                f"{tag} already meters {seen[tag]}",
                "The same energy would be booked twice.",
                "Name the meter of this one.",
                RANK_REFERENCE,
            )
        seen.setdefault(tag, own)


def _check_bounds(context: Context) -> None:
    """The kernel's tables have named bounds."""
    file, profiles = context.file, list(context.profiles.values())
    internal = internal_points(
        [each.id for each in file.device],
        [each.id for each in file.battery],
        [(each.id, "") for each in file.monitor],
        [each.id for each in file.pv if each.proof_meter is not None],
    )
    causes = sum(len(each.causes or [0]) for each in file.interlock)
    effects = sum(len(each.effects or [0]) for each in file.interlock)
    counts = (
        ("device", "DEVICES_MAX", len(file.device)),
        ("device", "LINKS_MAX", len({link_of(each) for each in file.device})),
        ("device", "POINTS_MAX", sum(len(p.points) for p in profiles) + len(internal)),
        ("device", "BLOCKS_MAX", sum(len(p.blocks) for p in profiles)),
        ("device", "OUTPUTS_MAX", sum(len(p.commands) for p in profiles)),
        ("device", "PROBES_MAX", sum(len(p.probes) for p in profiles)),
        ("load", "LOADS_MAX", len(file.load)),
        ("pv", "PV_MAX", len(file.pv)),
        ("battery", "STORAGES_MAX", len(file.battery)),
        ("generator", "GENERATORS_MAX", len(file.generator)),
        ("bus", "BUSES_MAX", len(file.bus)),
        ("feeder", "FEEDERS_MAX", len(file.bus) + len(file.feeder)),
        ("monitor", "MONITORS_MAX", len(file.monitor)),
        ("monitor", "INPUTS_MAX", sum(len(each.inputs) for each in file.monitor)),
        ("monitor", "CURVES_MAX", sum(each.curve is not None for each in file.monitor)),
        ("heartbeat", "HEARTBEATS_MAX", len(file.heartbeat)),
        ("interlock", "INTERLOCKS_MAX", len(file.interlock)),
        ("interlock", "CAUSES_MAX", causes),
        ("interlock", "EFFECTS_MAX", effects),
        ("interlock", "GROUPS_MAX", len({each.group for each in file.interlock})),
    )
    for section, name, count in counts:
        bound = getattr(bounds, name)
        if count > bound:
            context.add(
                (section,),
                f"the site has {count} {name.removesuffix('_MAX').lower()}; {name} is {bound}",
                "The kernel's tables are of fixed size, so that nothing is allocated at run time.",
                "Split the site over two controllers.",
                RANK_VALUE,
            )
