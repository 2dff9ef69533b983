"""The directory: names for the rows of the tables, in plain types that msgpack can carry."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgpack

from edgectl.site_model.bounds import SLICES_OF_CAPACITY
from edgectl.site_model.model import (
    Battery,
    Device,
    Feeder,
    Generator,
    Grid,
    Interlock,
    Load,
    Pv,
    Site,
)
from edgectl.site_model.schedule import schedule
from edgectl.site_model.tables_control import efficiency_ppm, mg_per_kwh, ordered_loads
from edgectl.site_model.tables_interlock import group_names

Metered = Grid | Load | Battery | Pv | Generator | Feeder

# How the kernel books; declared with every run, so that a record says by what it was made.
METHODS = {
    "tracing": "proportional sharing, Bialek 1996, over the site's buses, each scan",
    "rounding": "cumulative shares in the order of the tables; remainders are carried",
    "losses": "a sink of their own, at the mixture of the bus that they leave",
    "storage_shortfall": "the zone's default intensity",
    "unmetered": "the zone's default intensity",
}
STORAGE_METHODS = {
    "weighted average": "weighted average",
    "fifo": f"first in, first out, in slices of 1/{SLICES_OF_CAPACITY} of the capacity",
}
STANDBY_POLICIES = {
    "concentrate": "A: the carbon stays with what is left",
    "loss account": "B: the carbon goes to the loss account",
}


def directory_of(
    site: Site,
    points: list[dict[str, Any]],
    point_index: Mapping[str, int],
    output_index: Mapping[str, int],
) -> dict[str, Any]:
    """Everything a reader of the segment needs to name what it sees."""
    loads = [
        {"id": each.id, "kind": each.kind, "power": each.power} for each in ordered_loads(site)
    ]
    batteries = [each.id for each in site.batteries]
    return {
        **_site(site),
        "points": points,
        "outputs": list(output_index),
        "devices": _devices(site, point_index),
        "links": [
            {"address": link, "devices": [each.id for each in devices]}
            for link, devices in site.links.items()
        ],
        "interlocks": [interlock_spec(each) for each in site.interlocks],
        "groups": group_names(site),
        "monitors": [
            {
                "id": each.id,
                "kind": each.kind,
                "inputs": list(each.inputs),
                "unit": each.unit,
                "why": each.why,
            }
            for each in site.monitors
        ],
        "storages": [_battery(site, each) for each in batteries],
        **_sources(site),
        **_network(site),
        "loads": loads,
        "methods": METHODS | _storage_methods(site),
        "flexible": None if site.flexible is None else _flexible(site),
        "open_request": site.open_request,
        "open_request_output": -1 if site.open_request is None else output_index[site.open_request],
        "meters": _meters(site),
        "meter_hold_ns": site.meter_hold_ns,
        "factor_u_ratio": site.carbon.factor_u_ratio,
        "default_mg_per_kwh": mg_per_kwh(site.carbon.default_g_per_kwh),
        "sources": ["grid", "pv", "unmetered", *batteries, *(g.id for g in site.generators)],
        "sinks": [*(str(each["id"]) for each in loads), *batteries, "export", "losses"],
        "grid_point": point_index[site.grid.power],
    }


def _sources(site: Site) -> dict[str, Any]:
    """What generates at the site."""
    return {
        "pvs": [_pv(site, each) for each in site.pvs],
        "generators": [
            {
                "id": each.id,
                "power": each.power,
                "rating_w": each.rating_w,
                "carbon_g_per_kwh": each.carbon_g_per_kwh,
            }
            for each in site.generators
        ],
    }


def _network(site: Site) -> dict[str, Any]:
    """Where everything stands, and what joins it."""
    return {
        "buses": [
            {"id": each.id, "fed_by": each.fed_by, "holds": list(each.holds)} for each in site.buses
        ],
        "feeders": [
            {"id": each.id, "from_bus": each.from_bus, "to_bus": each.to_bus, "power": each.power}
            for each in site.feeders
        ],
    }


def _storage_methods(site: Site) -> dict[str, str]:
    """How what the batteries hold is booked: once for all, or by battery where they differ."""
    said = {
        "storage": {each.id: STORAGE_METHODS[each.carbon_method] for each in site.batteries},
        "standby": {each.id: STANDBY_POLICIES[each.standby_carbon] for each in site.batteries},
        "storage_true_up": {each.id: _anchors(each) for each in site.batteries},
    }
    found = {}
    for name, by_battery in said.items():
        texts = set(by_battery.values())
        found[name] = texts.pop() if len(texts) == 1 else (
            "; ".join(f"{own}: {text}" for own, text in by_battery.items())
        )  # fmt: skip
    return found


def _anchors(battery: Battery) -> str:
    full, empty = battery.full_soc_ratio, battery.empty_soc_ratio
    at = [f"full at {full:g}"] if full is not None else []
    at += [f"empty at {empty:g}"] if empty is not None else []
    return " and ".join(at) or "none"


def _pv(site: Site, pv: Pv) -> dict[str, Any]:
    """A PV block in plain types."""
    return {
        "id": pv.id,
        "power": pv.power,
        "rating_w": pv.rating_w,
        "limit": pv.limit,
        "deadband_w": pv.deadband_w,
        "refresh_ns": pv.refresh_ns,
        "readback": _readback(site, pv.limit),
        "proof_meter": pv.proof_meter,
    }


def _site(site: Site) -> dict[str, Any]:
    """What the site says of itself as a whole."""
    return {
        "site": site.id,
        "site_name": site.name,
        "site_sha256": site.sha256,
        "zone": site.zone,
        "carbon_basis": site.carbon.basis,
        "period_ns": site.scan.period_ns,
        "journal_minutes": site.journal_minutes,
        "blackbox_keep_mb": site.blackbox_keep_mb,
        "arm": site.arm,
        "import_cap_w": site.grid.import_cap_w,
        "import_guard_w": site.grid.import_guard_w,
        "export_max_w": site.grid.export_max_w,
        "carbon": {
            "high_g_per_kwh": site.carbon.high_g_per_kwh,
            "low_g_per_kwh": site.carbon.low_g_per_kwh,
            "deadband_g_per_kwh": site.carbon.deadband_g_per_kwh,
        },
        "grid": site.grid.power,
        "mqtt": {"host": site.mqtt.host, "port": site.mqtt.port, "node": site.mqtt.node},
        "ledger": {
            "key": str(site.ledger.key) if site.ledger.key else None,
            "witnesses": list(site.ledger.witnesses),
            "interval_s": site.ledger.interval_s,
            "technicians": [str(each) for each in site.ledger.technicians],
        },
        "tenants": [
            {"id": each.id, "name": each.name, "loads": list(each.loads)} for each in site.tenants
        ],
    }


def _devices(site: Site, point_index: Mapping[str, int]) -> list[dict[str, Any]]:
    bounds_ns = {
        device: turn_ns
        for row in schedule(site)
        for device, turn_ns in zip(row.devices, row.turns_ns, strict=True)
    }
    booked = {each["power"].partition(".")[0] for each in _meters(site)}
    return [
        {
            "id": each.id,
            "profile": each.profile.name,
            "profile_sha256": each.profile.sha256,
            "verified": each.profile.verified,
            "address": each.address,
            "counted": each.counted,
            "booked": each.id in booked,
            "turn_bound_ns": bounds_ns[each.id],
            "stale_after": _stale_after(each, point_index),
        }
        for each in site.devices
    ]


def _stale_after(device: Device, point_index: Mapping[str, int]) -> list[list[int]]:
    """Of each read, the point that may be the least old: its index, and how old, ns.

    One is enough: all values of a read are of one age.
    """
    tightest = (
        min(block.points, key=lambda point: point.stale_after_ns) for block in device.profile.blocks
    )
    return [[point_index[f"{device.id}.{point.name}"], point.stale_after_ns] for point in tightest]


def interlock_spec(row: Interlock) -> dict[str, Any]:
    """A row of the cause-and-effect table in plain types."""
    return {
        "id": row.id,
        "title": row.title,
        "group": row.group,
        "priority": row.priority,
        "on_bad_quality": row.on_bad_quality,
        "vote": f"{row.vote}oo{len(row.causes)}",
        "on_delay_ns": row.on_delay_ns,
        "off_delay_ns": row.off_delay_ns,
        "reset": row.reset,
        "lockout_trips": row.lockout_trips,
        "bypass": row.bypass,
        "causes": [
            {"tag": each.tag, "op": each.op, "on": each.on, "off": each.off, "unit": each.unit}
            for each in row.causes
        ],
        "effects": [
            {"action": each.action, "asset": each.asset, "value": each.value}
            for each in row.effects
        ],
        "why": row.why,
        "proof_test": row.proof_test,
        "proof_interval_days": row.proof_interval_days,
        "catalogue": row.catalogue,
    }


TEXTS = ("title", "why", "proof_test", "proof_interval_days", "catalogue", "priority")


def interlock_digest(spec: Mapping[str, Any]) -> str:
    """What a row does, as a digest: it is another row when this differs, its wording aside."""
    acts = {key: spec[key] for key in sorted(spec.keys() - set(TEXTS))}
    return hashlib.sha256(bytes(msgpack.packb(acts))).hexdigest()[:16]


def _meters(site: Site) -> list[dict[str, Any]]:
    """Metering points, as the kernel has them: what they stand for, and how well they measure.

    power_max_w   most that flows through one: its counter is not believed to advance further
    """
    cap_w = max(site.grid.import_cap_w, site.grid.export_max_w)
    rows: list[tuple[str, Metered, float]] = [("grid", site.grid, cap_w)]
    rows += [(each.id, each, each.worst_case_w) for each in ordered_loads(site)]
    rows += [
        (each.id, each, max(each.charge_rating_w, each.discharge_rating_w))
        for each in site.batteries
    ]
    rows += [("pv", each, each.rating_w) for each in site.pvs]
    rows += [(each.id, each, each.rating_w) for each in site.generators]
    rows += [(f"feeder {each.id}", each, cap_w) for each in site.feeders]
    return [
        {
            "of": name,
            "power": each.power,
            "power_max_w": power_max_w,
            "accuracy_class": each.accuracy_class,
            "ct_class": each.ct_class,
        }
        for name, each, power_max_w in rows
    ]


def _battery(site: Site, own: str) -> dict[str, Any]:
    battery = next(each for each in site.batteries if each.id == own)
    return {
        "id": battery.id,
        "power": battery.power,
        "soc": battery.soc,
        "command": battery.command,
        "charge_rating_w": battery.charge_rating_w,
        "discharge_rating_w": battery.discharge_rating_w,
        "capacity_j": battery.capacity_j,
        "carbon_method": battery.carbon_method,
        "charge_ppm": efficiency_ppm(battery.charge_efficiency),
        "discharge_ppm": efficiency_ppm(battery.discharge_efficiency),
        "reserve_ratio": battery.reserve_ratio,
        "ready_ratio": battery.ready_ratio,
        "full_ratio": battery.full_ratio,
        "ramp_w_per_s": battery.ramp_w_per_s,
        "deadband_w": battery.deadband_w,
        "economy_w": battery.economy_w,
        "refresh_ns": battery.refresh_ns,
        "dwell_ns": battery.dwell_ns,
        "readback": battery.readback,
        "readback_tolerance_w": battery.readback_tolerance_w,
        "proof_meter": battery.proof_meter,
    }


def _readback(site: Site, command: str | None) -> str | None:
    """Tag of the point that shows what a device took of a command."""
    if command is None:
        return None
    point = site.command(command).readback
    return f"{command.partition('.')[0]}.{point}" if point else None


def _flexible(site: Site) -> dict[str, Any]:
    flexible = site.flexible
    assert flexible is not None, "the caller asks only for a site that has it"
    return {
        "command": flexible.command,
        "available": flexible.available,
        "deferred": flexible.deferred,
        "readback": _readback(site, flexible.command),
        "it_floor_w": flexible.it_floor_w,
        "deadband_w": flexible.deadband_w,
        "release_w_per_s": flexible.release_w_per_s,
        "refresh_ns": flexible.refresh_ns,
        "hold_ns": flexible.hold_ns,
        "tiers_ratio": list(flexible.tiers_ratio),
    }
