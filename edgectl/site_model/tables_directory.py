"""The directory: names for the rows of the tables, in plain types that msgpack can carry."""

from collections.abc import Mapping
from typing import Any

from edgectl.site_model.model import Interlock, Site
from edgectl.site_model.schedule import schedule
from edgectl.site_model.tables_control import ordered_loads
from edgectl.site_model.tables_interlock import group_names

# How the kernel books; declared with every run, so that a record says by what it was made.
METHODS = {
    "tracing": "proportional sharing, Bialek 1996, at one bus, each scan",
    "rounding": "cumulative shares in the order of the tables; remainders are carried",
    "losses": "a sink of their own at the site's mixture",
    "storage": "weighted average",
    "standby": "A: the carbon stays with what is left",
    "storage_shortfall": "the zone's default intensity",
    "unmetered": "the zone's default intensity",
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
        "site": site.id,
        "site_name": site.name,
        "site_sha256": site.sha256,
        "zone": site.zone,
        "carbon_basis": site.carbon.basis,
        "period_ns": site.scan.period_ns,
        "journal_minutes": site.journal_minutes,
        "import_cap_w": site.grid.import_cap_w,
        "import_guard_w": site.grid.import_guard_w,
        "export_max_w": site.grid.export_max_w,
        "mqtt": {"host": site.mqtt.host, "port": site.mqtt.port, "node": site.mqtt.node},
        "points": points,
        "outputs": list(output_index),
        "devices": _devices(site),
        "links": [
            {"address": link, "devices": [each.id for each in devices]}
            for link, devices in site.links.items()
        ],
        "interlocks": [_interlock(each) for each in site.interlocks],
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
        "pvs": [
            {"id": each.id, "power": each.power, "rating_w": each.rating_w, "limit": each.limit}
            for each in site.pvs
        ],
        "loads": loads,
        "buses": [
            {"id": each.id, "fed_by": each.fed_by, "holds": list(each.holds)} for each in site.buses
        ],
        "methods": METHODS,
        "flexible": None if site.flexible is None else _flexible(site),
        "open_request": site.open_request,
        "open_request_output": -1 if site.open_request is None else output_index[site.open_request],
        "sources": ["grid", "pv", "unmetered", *batteries],
        "sinks": [*(str(each["id"]) for each in loads), *batteries, "export", "losses"],
        "grid_point": point_index[site.grid.power],
    }


def _devices(site: Site) -> list[dict[str, Any]]:
    bounds_ns = {
        device: turn_ns
        for row in schedule(site)
        for device, turn_ns in zip(row.devices, row.turns_ns, strict=True)
    }
    return [
        {
            "id": each.id,
            "profile": each.profile.name,
            "profile_sha256": each.profile.sha256,
            "verified": each.profile.verified,
            "address": each.address,
            "counted": each.counted,
            "turn_bound_ns": bounds_ns[each.id],
        }
        for each in site.devices
    ]


def _interlock(row: Interlock) -> dict[str, Any]:
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
        "reserve_ratio": battery.reserve_ratio,
        "full_ratio": battery.full_ratio,
    }


def _flexible(site: Site) -> dict[str, Any]:
    flexible = site.flexible
    assert flexible is not None, "the caller asks only for a site that has it"
    return {
        "command": flexible.command,
        "available": flexible.available,
        "deferred": flexible.deferred,
        "it_floor_w": flexible.it_floor_w,
    }
