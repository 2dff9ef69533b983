"""Tables of dispatch, metering, carbon and the scan."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.inventory import StockAnchor, StockMethod, StockStandby
from edgectl._kernel.layout import DTYPES
from edgectl.site_model.bounds import SLICES_OF_CAPACITY, TIERS_MAX
from edgectl.site_model.model import Battery, Load, Site
from edgectl.site_model.tags import SITE, SITE_POINTS

PPM = 1_000_000
MG_PER_G = 1000
MJ_PER_J = 1000
MILLIWATT_PER_W = 1000
NONE = -1
METHODS_OF_CARBON = {
    "weighted average": StockMethod.METHOD_WEIGHTED_AVERAGE,
    "fifo": StockMethod.METHOD_FIFO,
}
POLICIES_OF_STANDBY = {
    "concentrate": StockStandby.STANDBY_CONCENTRATE,
    "loss account": StockStandby.STANDBY_BOOK,
}


def ordered_loads(site: Site) -> tuple[Load, ...]:
    """Loads as the kernel has them: IT buses first, then auxiliaries."""
    return tuple(sorted(site.loads, key=lambda load: load.kind != "it"))


def control_arrays(
    site: Site, points: Mapping[str, int], outputs: Mapping[str, int], *, may_arm: bool
) -> dict[str, NDArray[np.void]]:
    """All tables that are neither the bus's nor the interlocks'.

    points   row of each tag in the point table
    outputs  row of each command's tag in the output table
    """
    devices = {each.id: at for at, each in enumerate(site.devices)}
    return {
        "storages": _rows(
            "StorageRow",
            [_storage(site, each, devices, points, outputs) for each in site.batteries],
        ),
        "pvs": _rows("PvRow", _pvs(site, devices, points, outputs)),
        "flexible": _rows("FlexibleRow", [_flexible(site, devices, points, outputs)]),
        "heartbeats": _rows(
            "HeartbeatRow",
            [
                {
                    "wraps_at": each.wraps_at,
                    "every_ns": each.every_ns,
                    "device": devices[_owner(each.command)],
                    "output": outputs[each.command],
                }
                for each in site.heartbeats
            ],
        ),
        "dispatch": _rows("DispatchRow", [_dispatch(site, points)]),
        "stocks": _rows(
            "StockRow",
            [_stock(each) for each in site.batteries],
        ),
        "scan": _rows("ScanRow", [_scan(site, points, outputs) | {"may_arm": may_arm}]),
    }


def _rows(struct: str, rows: list[dict[str, Any]]) -> NDArray[np.void]:
    """An array of one C struct; every field must be given, so none is 0 by oversight."""
    table = np.zeros(len(rows), dtype=DTYPES[struct])
    for at, row in enumerate(rows):
        _fill(struct, table[at], row)
    return table


def _fill(struct: str, place: np.void, row: Mapping[str, Any]) -> None:
    missing = set(place.dtype.names or ()) ^ set(row)
    assert not missing, f"{struct}: {sorted(missing)}"
    for name, value in row.items():
        if isinstance(value, dict):
            _fill(name, place[name], value)
        else:
            place[name] = value


def _owner(tag: str) -> str:
    return tag.partition(".")[0]


def _storage(
    site: Site,
    battery: Battery,
    devices: Mapping[str, int],
    points: Mapping[str, int],
    outputs: Mapping[str, int],
) -> dict[str, Any]:
    own = battery.id
    return {
        "charge_rating_w": battery.charge_rating_w,
        "discharge_rating_w": battery.discharge_rating_w,
        "capacity_j": battery.capacity_j,
        "reserve_ratio": battery.reserve_ratio,
        "ready_ratio": battery.ready_ratio,
        "full_ratio": battery.full_ratio,
        "ramp_w_per_s": battery.ramp_w_per_s,
        "deadband_w": battery.deadband_w,
        "economy_w": battery.economy_w,
        "refresh_ns": battery.refresh_ns,
        "dwell_ns": battery.dwell_ns,
        "device": devices[_owner(battery.command)],
        "output": outputs[battery.command],
        "power_point": points[battery.power],
        "soc_point": points[battery.soc],
        "request_point": points[f"{own}.request"],
        "setpoint_point": points[f"{own}.setpoint"],
        "rejected_point": points[f"{own}.rejected"],
        "lapsed_point": points[f"{own}.request_lapsed"],
        "proof": {
            "readback_tolerance_w": round(battery.readback_tolerance_w),
            "effect_ns": site.command(battery.command).effect_ns,
            "output": outputs[battery.command],
            "power_point": points[battery.power],
            "readback_point": NONE if battery.readback is None else points[battery.readback],
            "meter_point": NONE if battery.proof_meter is None else points[battery.proof_meter],
            "readback_error_point": points[f"{own}.readback_error"],
            "following_error_point": points[f"{own}.following_error"],
            "effect_error_point": points[f"{own}.effect_error"],
            "foreign_write_point": points[f"{own}.foreign_write"],
        },
    }


def efficiency_ppm(ratio: float) -> int:
    """An efficiency as the kernel has it; at least one in a million: none is nothing."""
    return max(1, round(ratio * PPM))


def mg_per_kwh(g_per_kwh: float) -> int:
    """An intensity as the kernel has it."""
    return round(g_per_kwh * MG_PER_G)


def _stock(battery: Battery) -> dict[str, Any]:
    """How what it holds is booked."""
    full, empty = battery.full_soc_ratio, battery.empty_soc_ratio
    capacity_mj = round(battery.capacity_j * MJ_PER_J)
    anchors = (StockAnchor.ANCHOR_NONE if full is None else StockAnchor.ANCHOR_FULL) | (
        StockAnchor.ANCHOR_NONE if empty is None else StockAnchor.ANCHOR_EMPTY
    )
    return {
        "charge_ppm": efficiency_ppm(battery.charge_efficiency),
        "discharge_ppm": efficiency_ppm(battery.discharge_efficiency),
        "standby_milliwatt": round(battery.standby_w * MILLIWATT_PER_W),
        "capacity_mj": capacity_mj,
        "slice_mj": capacity_mj // SLICES_OF_CAPACITY,
        "full_soc_ppm": round((full or 0.0) * PPM),
        "empty_soc_ppm": round((empty or 0.0) * PPM),
        "method": METHODS_OF_CARBON[battery.carbon_method],
        "standby": POLICIES_OF_STANDBY[battery.standby_carbon],
        "anchors": anchors,
    }


def _pvs(
    site: Site, devices: Mapping[str, int], points: Mapping[str, int], outputs: Mapping[str, int]
) -> list[dict[str, Any]]:
    rows = []
    for pv in site.pvs:
        readback = site.command(pv.limit).readback if pv.limit else None
        rows.append(
            {
                "rating_w": pv.rating_w,
                "deadband_w": pv.deadband_w,
                "refresh_ns": pv.refresh_ns,
                "device": devices[_owner(pv.limit or pv.power)],
                "power_point": points[pv.power],
                "output": outputs[pv.limit] if pv.limit else NONE,
                "readback_point": points[f"{_owner(pv.limit)}.{readback}"]
                if pv.limit and readback
                else NONE,
                "proof": {
                    "effect_ns": site.command(pv.limit).effect_ns if pv.limit else 0,
                    "meter_point": points[pv.proof_meter] if pv.proof_meter else NONE,
                    "effect_error_point": points[f"{pv.id}.effect_error"]
                    if pv.proof_meter
                    else NONE,
                },
            }
        )
    return rows


def _flexible(
    site: Site, devices: Mapping[str, int], points: Mapping[str, int], outputs: Mapping[str, int]
) -> dict[str, Any]:
    flexible = site.flexible
    if flexible is None:
        return {
            "floor_w": 0.0,
            "deadband_w": 0.0,
            "release_w_per_s": 0.0,
            "refresh_ns": 1,
            "hold_ns": 0,
            "tier_ratio": (0.0,) * TIERS_MAX,
            "device": NONE,
            "output": NONE,
            "available_point": NONE,
            "deferred_point": NONE,
        }
    return {
        "floor_w": flexible.it_floor_w,
        "deadband_w": flexible.deadband_w,
        "release_w_per_s": flexible.release_w_per_s,
        "refresh_ns": flexible.refresh_ns,
        "hold_ns": flexible.hold_ns,
        "tier_ratio": _tiers(flexible.tiers_ratio),
        "device": devices[_owner(flexible.command)],
        "output": outputs[flexible.command],
        "available_point": points[flexible.available],
        "deferred_point": points[flexible.deferred],
    }


def _tiers(tiers_ratio: tuple[float, ...]) -> tuple[float, ...]:
    """One ratio for each of the kernel's tiers; beyond the last it is the last."""
    return tiers_ratio + tiers_ratio[-1:] * (TIERS_MAX - len(tiers_ratio))


def _dispatch(site: Site, points: Mapping[str, int]) -> dict[str, Any]:
    return {
        "import_cap_w": site.grid.import_cap_w,
        "import_guard_w": site.grid.import_guard_w,
        "export_max_w": site.grid.export_max_w,
        "carbon_high_g_per_kwh": site.carbon.high_g_per_kwh,
        "carbon_low_g_per_kwh": site.carbon.low_g_per_kwh,
        "carbon_deadband_g_per_kwh": site.carbon.deadband_g_per_kwh,
        "grid_point": points[site.grid.power],
        "storages": len(site.batteries),
        "pvs": len(site.pvs),
        "heartbeats": len(site.heartbeats),
    }


def _scan(site: Site, points: Mapping[str, int], outputs: Mapping[str, int]) -> dict[str, Any]:
    loads = ordered_loads(site)
    internal = {f"{name}_point": points[f"{SITE}.{name}"] for name, _ in SITE_POINTS}
    internal["overruns_point"] = internal.pop("overruns_in_row_point")
    return {
        "period_ns": site.scan.period_ns,
        "lead_ns": site.scan.lead_ns,
        "default_mg_per_kwh": mg_per_kwh(site.carbon.default_g_per_kwh),
        "pv_mg_per_kwh": mg_per_kwh(site.carbon.pv_g_per_kwh),
        "initial_stock_mg_per_kwh": mg_per_kwh(site.carbon.initial_stock_g_per_kwh),
        "loads": len(loads),
        "it_loads": sum(load.kind == "it" for load in loads),
        "local_reset_point": NONE if site.local_reset is None else points[site.local_reset],
        "open_request_output": NONE if site.open_request is None else outputs[site.open_request],
        "first_device_age_point": points[f"{site.devices[0].id}.age"],
        **internal,
    }


def meter_rows(site: Site, points: Mapping[str, int]) -> NDArray[np.void]:
    """Grid, loads, storages, PV, generators, feeders; each with what it counts as when lost.

    That is the worst credible power of what consumes, and nothing of what generates or
    passes on: what is then missing is unmetered, at the default's intensity.
    """
    meters = [(site.grid.power, site.grid.import_cap_w)]
    meters += [(load.power, load.worst_case_w) for load in ordered_loads(site)]
    meters += [(each.power, each.charge_rating_w) for each in site.batteries]
    meters += [(pv.power, 0.0) for pv in site.pvs]
    meters += [(generator.power, 0.0) for generator in site.generators]
    meters += [(feeder.power, 0.0) for feeder in site.feeders]
    return _rows(
        "MeterRow",
        [
            {
                "substitute_w": substitute_w,
                "hold_ns": site.meter_hold_ns,
                "gap_max_ns": site.meter_gap_max_ns,
                "point": points[tag],
            }
            for tag, substitute_w in meters
        ],
    )
