"""Tags of a site: what the wire gives, what the kernel itself fills, and their units."""

from collections.abc import Iterable, Mapping

from edgectl.profiles.model import Profile

SITE_POINTS: tuple[tuple[str, str], ...] = (
    ("grid_power", "W"),
    ("it_power", "W"),
    ("aux_power", "W"),
    ("pv_power", "W"),
    ("battery_power", "W"),
    ("shed_request", "W"),
    ("overruns_in_row", "count"),
    ("grid_carbon", "g/kWh"),
    ("pue", "ratio"),
    ("clock_step", "s"),
    ("tables_fault", "bool"),
    ("services_age", "s"),
    ("ledger_fault", "bool"),
    ("maintenance", "bool"),
    ("bypassed", "count"),
)
BATTERY_POINTS: tuple[tuple[str, str], ...] = (
    ("request", "W"),
    ("setpoint", "W"),
    ("rejected", "count"),
    ("request_lapsed", "bool"),
    ("readback_error", "W"),
    ("following_error", "W"),
    ("effect_error", "W"),
    ("foreign_write", "count"),
)
PV_POINT = ("effect_error", "W")  # of the blocks that have a meter of their own
DEVICE_AGE = ("age", "s")
MONITOR_VALUE = "value"
SITE = "SITE"


def internal_points(
    device_ids: Iterable[str],
    battery_ids: Iterable[str],
    monitors: Iterable[tuple[str, str]] = (),
    metered_pv_ids: Iterable[str] = (),
) -> list[tuple[str, str, str | None]]:
    """(tag, unit, owner's id or None) of the points that the kernel fills, in table order.

    monitors        (id, unit) of each
    metered_pv_ids  of the PV blocks with a proof_meter
    """
    points: list[tuple[str, str, str | None]] = [
        (f"{SITE}.{name}", unit, None) for name, unit in SITE_POINTS
    ]
    points += [(f"{each}.{DEVICE_AGE[0]}", DEVICE_AGE[1], each) for each in device_ids]
    points += [
        (f"{each}.{name}", unit, None) for each in battery_ids for name, unit in BATTERY_POINTS
    ]
    points += [(f"{each}.{MONITOR_VALUE}", unit, None) for each, unit in monitors]
    points += [(f"{each}.{PV_POINT[0]}", PV_POINT[1], None) for each in metered_pv_ids]
    return points


def point_units(
    profiles: Mapping[str, Profile], battery_ids: Iterable[str], metered_pv_ids: Iterable[str]
) -> dict[str, str]:
    """SI unit of every point's tag but the monitors'.

    profiles        by device id, in any order
    battery_ids     ids of the storage assets
    metered_pv_ids  of the PV blocks with a proof_meter
    """
    units = {
        f"{device_id}.{point.name}": point.unit
        for device_id, profile in profiles.items()
        for point in profile.points
    }
    internal = internal_points(profiles, battery_ids, metered_pv_ids=metered_pv_ids)
    return units | {tag: unit for tag, unit, _ in internal}


def command_units(profiles: Mapping[str, Profile]) -> dict[str, str]:
    """SI unit of every command's tag."""
    return {
        f"{device_id}.{command.name}": command.unit
        for device_id, profile in profiles.items()
        for command in profile.commands
    }
