"""Which part of the campus each device of a site stands for, and how each point is filled.

A device's role follows from the site file: it is the grid meter because the grid's power
tag names it. A point's source follows from the role and the point's name. A profile with a
point that no source is known for is refused: a register that nobody fills would read 0 and
look like a measurement.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from edgectl.errors import PlantError
from edgectl.plant.boundary import Place
from edgectl.plant.campus import INT64_MAX, Campus, PvSize, StorageSize
from edgectl.plant.parameters import PlantParameters
from edgectl.plant.wiring import PHASE_SHARES, PHASES
from edgectl.profiles.model import Point
from edgectl.site_model.model import Device, Load, Site

COOLING_WORDS = ("cool", "chil", "crah", "hvac", "tower")
SQRT3 = math.sqrt(3.0)


@dataclass(frozen=True, slots=True)
class Role:
    """What a device stands for.

    kind      grid it aux pv yield storage battery feeder flexible io
    index     of its kind; a BMS and the meter of its feeder have their battery's, the yield
              meter of a PV block has its inverter's
    rating_w  the most its power point is to show
    """

    kind: str
    index: int
    rating_w: float

    @property
    def unit(self) -> str:
        """Prefix of the role's signals."""
        if self.kind == "grid":
            return "grid"
        owner = {"battery": "storage", "feeder": "storage", "yield": "pv"}.get(self.kind, self.kind)
        return f"{owner}{self.index}"


@dataclass(frozen=True, slots=True)
class Source:
    """SI value = signal * gain + bias.

    magnitude  the largest value it is to show; picks scale factors and parts
    counter    an energy counter: it rolls over at its register's end
    parts      the point may show one of several equal parts, as one cluster of many
    """

    signal: str
    gain: float = 1.0
    bias: float = 0.0
    magnitude: float = 1.0
    counter: bool = False
    parts: bool = False


def constant(value: float) -> Source:
    """A register that never changes."""
    return Source("one", value, 0.0, max(abs(value), 1.0))


def device_of(tag: str) -> str:
    """Device id of a tag."""
    return tag.partition(".")[0]


def auxes(site: Site) -> tuple[list[Load], int]:
    """Auxiliary loads with the cooling ones first, and how many of them are cooling.

    A load is cooling by its id; with none so named the first one is.
    """
    loads = [each for each in site.loads if each.kind == "aux"]
    cooling = [each for each in loads if any(word in each.id.lower() for word in COOLING_WORDS)]
    if not cooling:
        cooling = loads[:1]
    return cooling + [each for each in loads if each not in cooling], len(cooling)


def site_roles(site: Site) -> dict[str, Role]:
    """Role of every device of the site that has one."""
    roles: dict[str, Role] = {}
    buses = [each for each in site.loads if each.kind == "it"]
    for kind, tags in (
        ("it", [(each.power, each.worst_case_w) for each in buses]),
        ("aux", [(each.power, each.worst_case_w) for each in auxes(site)[0]]),
        ("pv", [(each.power, each.rating_w) for each in site.pvs]),
        ("yield", [(each.proof_meter or "", each.rating_w) for each in site.pvs]),
        ("battery", [(each.soc, each.discharge_rating_w) for each in site.batteries]),
        ("feeder", [(each.proof_meter or "", each.charge_rating_w) for each in site.batteries]),
        ("storage", [(each.command, each.discharge_rating_w) for each in site.batteries]),
    ):
        for index, (tag, rating_w) in enumerate(tags):
            if tag:
                roles[device_of(tag)] = Role(kind, index, rating_w)
    roles[device_of(site.grid.power)] = Role("grid", 0, 2.0 * site.grid.import_cap_w)
    if site.flexible is not None:
        roles[device_of(site.flexible.command)] = Role("flexible", 0, site.grid.import_cap_w)
    for device in site.devices:
        if device.id not in roles and device.profile.device_class == "io":
            roles[device.id] = Role("io", 0, 1.0)
    for device in site.devices:
        if device.id not in roles and device.profile.device_class == "battery":
            roles[device.id] = _unnamed_bms(site, device, roles)
    return roles


def _unnamed_bms(site: Site, device: Device, roles: dict[str, Role]) -> Role:
    """A BMS no soc tag names: in the order of the devices, the next battery without one."""
    taken = {role.index for role in roles.values() if role.kind == "battery"}
    for index, battery in enumerate(site.batteries):
        if index not in taken:
            return Role("battery", index, battery.discharge_rating_w)
    raise PlantError(
        where=f"{site.path}: device {device.id}",
        problem=f"a battery system more than the {len(site.batteries)} batteries of the site",
        because="The plant would not know whose cells it shows.",
        remedy="Add the [[battery]] it belongs to, or take the device out.",
    )


def campus_of(site: Site) -> Campus:
    """The campus that a site file describes."""
    flexible = site.flexible
    loads, cooling = auxes(site)
    return Campus(
        it_buses=sum(each.kind == "it" for each in site.loads),
        auxes=len(loads),
        cooling_feeds=cooling,
        import_cap_w=site.grid.import_cap_w,
        pvs=tuple(
            PvSize(
                each.rating_w,
                INT64_MAX if each.limit is None else site.command(each.limit).revert_ns,
            )
            for each in site.pvs
        ),
        storages=tuple(
            StorageSize(
                each.charge_rating_w,
                each.discharge_rating_w,
                each.capacity_j,
                each.charge_efficiency,
                each.discharge_efficiency,
                site.command(each.command).revert_ns,
            )
            for each in site.batteries
        ),
        defer_revert_ns=site.command(flexible.command).revert_ns if flexible else INT64_MAX,
        place=Place(site.latitude_deg, site.longitude_deg),
        zone=site.zone,
    )


def _feed_sources(role: Role, p: PlantParameters) -> Iterator[tuple[str, Source]]:
    """What any power meter at a feed shows."""
    u, watt = role.unit, role.rating_w
    line_v = {
        "grid": p.grid_voltage_v,
        "pv": p.pv_voltage_v,
        "yield": p.pv_voltage_v,
        "storage": p.storage_voltage_v,
        "feeder": p.storage_voltage_v,
    }.get(role.kind, p.bus_voltage_v)
    tangent = math.sqrt(1.0 - p.power_factor**2) / p.power_factor
    amps = watt / (SQRT3 * line_v * p.power_factor)
    yield "active_power", Source(f"{u}.power_w", magnitude=watt)
    yield "reactive_power", Source(f"{u}.power_w", tangent, magnitude=watt)
    yield "apparent_power", Source(f"{u}.current_a", SQRT3 * line_v, magnitude=watt)
    yield "power_factor", constant(p.power_factor)
    yield "frequency", Source("frequency_hz", magnitude=80.0)
    yield "energy_import", Source(f"{u}.energy_import_j", magnitude=1e18, counter=True)
    yield "energy_export", Source(f"{u}.energy_export_j", magnitude=1e18, counter=True)
    yield "firmware_major", constant(2.0)
    for phase, share in zip(PHASES, PHASE_SHARES, strict=True):
        yield f"active_power_{phase}", Source(f"{u}.power_w", share / 3.0, magnitude=watt / 2)
        yield f"current_{phase}", Source(f"{u}.current_a", share, magnitude=1.2 * amps)
        yield f"voltage_{phase}", Source("voltage_ratio", line_v / SQRT3, magnitude=line_v)
    yield "current", Source(f"{u}.current_a", magnitude=1.2 * amps)
    for pair in ("l1_l2", "l2_l3", "l3_l1", "a_b", "b_c", "c_a", "ll"):
        yield f"voltage_{pair}", Source("voltage_ratio", line_v, magnitude=1.2 * line_v)
    yield "voltage_ll", Source("voltage_ratio", line_v, magnitude=1.2 * line_v)


def _cell_sources(role: Role) -> Iterator[tuple[str, Source]]:
    """What a battery's own system, or a converter that passes it on, shows."""
    u = role.unit
    amps = 1.2 * role.rating_w / 1000.0  # a DC bus of more than 1 000 V
    for name in ("soc", "storage_soc"):
        yield name, Source(f"{u}.soc_ratio")
    for name in ("soh", "storage_soh"):
        yield name, constant(0.98)
    yield "dc_voltage", Source(f"{u}.dc_voltage_v", magnitude=1500.0)
    yield "dc_current", Source(f"{u}.dc_current_a", magnitude=amps, parts=True)
    yield "charge_current_limit", Source(f"{u}.charge_limit_a", magnitude=amps, parts=True)
    yield "discharge_current_limit", Source(f"{u}.discharge_limit_a", magnitude=amps, parts=True)
    yield "charge_limit", Source(f"{u}.charge_limit_w", magnitude=role.rating_w)
    yield "discharge_limit", Source(f"{u}.discharge_limit_w", magnitude=role.rating_w)
    for end in ("max", "min"):
        yield f"cell_temperature_{end}", Source(f"{u}.cell_{end}_k", magnitude=150.0)
        yield f"cell_voltage_{end}", Source(f"{u}.cell_{end}_v", magnitude=5.0)
        yield f"cell_temperature_{end}_id", constant(17.0 if end == "max" else 204.0)
        yield f"cell_voltage_{end}_id", constant(101.0 if end == "max" else 330.0)
    yield "cabinet_temperature", Source(f"{u}.cell_min_k", bias=4.0, magnitude=150.0)
    yield "work_state", Source(f"{u}.work_state")
    yield "cluster_run_state", Source(f"{u}.run")
    yield "battery_state", Source(f"{u}.run", gain=2.0, bias=1.0, magnitude=3.0)
    yield "inverter_state", Source(f"{u}.run", gain=3.0, magnitude=3.0)
    yield "connection_state", Source(f"{u}.run")
    yield "setpoint_enabled", constant(1.0)
    yield "local_control", constant(0.0)
    yield "storage_status", constant(0.0)
    yield "heartbeat", Source("heartbeat", magnitude=65534.0)
    yield "active_power_setpoint_readback", Source(f"{u}.setpoint_w", magnitude=role.rating_w)
    yield "revert_remaining", Source(f"{u}.revert_left_s", magnitude=86400.0)


def _pv_sources(role: Role, p: PlantParameters) -> Iterator[tuple[str, Source]]:
    """What an inverter shows; what it generates counts up its yield."""
    u = role.unit
    yield "dc_power", Source(f"{u}.power_w", 1.0 / p.inverter_ratio, magnitude=role.rating_w)
    yield "active_power_limit_readback", Source(f"{u}.limit_w", magnitude=role.rating_w)
    yield "energy_export", Source(f"{u}.energy_import_j", magnitude=1e18, counter=True)
    yield "energy_import", Source(f"{u}.energy_export_j", magnitude=1e18, counter=True)
    yield "temperature", Source("dry_bulb_k", bias=12.0, magnitude=150.0)
    yield "status", constant(512.0)  # SUN2000: 0x0200, on grid


def _yield_sources(role: Role, p: PlantParameters) -> Iterator[tuple[str, Source]]:
    """What a power meter beside an inverter shows: the plant counts generation as positive."""
    for name, source in _feed_sources(role, p):
        turned = source.signal == f"{role.unit}.power_w"
        yield name, replace(source, gain=-source.gain) if turned else source
    yield "energy_export", Source(f"{role.unit}.energy_import_j", magnitude=1e18, counter=True)
    yield "energy_import", Source(f"{role.unit}.energy_export_j", magnitude=1e18, counter=True)


def _other_sources(role: Role) -> Iterator[tuple[str, Source]]:
    """The compute gateway, the safety inputs."""
    yield "deferrable_power", Source("deferrable_w", magnitude=role.rating_w)
    yield "deferred_power", Source("deferred_w", magnitude=role.rating_w)
    yield "defer_request_readback", Source("defer_request_w", magnitude=role.rating_w)
    yield "jobs_held", Source("deferred_w", 1.0 / 50e3, magnitude=1000.0)
    yield "estop_channel_a", Source("estop_closed")
    yield "estop_channel_b", Source("estop_closed")
    yield "fire_ok", Source("fire_ok")
    yield "reset_button", Source("reset_button")
    yield "door_closed", constant(1.0)
    yield "open_request_readback", Source("open_request")


@cache
def _sources(role: Role, p: PlantParameters) -> dict[str, Source]:
    """Every point name this role can fill; asked for each point of a device, so made once."""
    if role.kind in ("grid", "it", "aux", "feeder"):
        return dict(_feed_sources(role, p))
    if role.kind == "pv":
        return dict(_feed_sources(role, p)) | dict(_pv_sources(role, p))
    if role.kind == "yield":
        return dict(_yield_sources(role, p))
    if role.kind == "storage":
        return dict(_feed_sources(role, p)) | dict(_cell_sources(role))
    if role.kind == "battery":
        return dict(_cell_sources(role))
    return dict(_other_sources(role))


def point_source(role: Role, point: Point, device_id: str, p: PlantParameters) -> Source:
    """The source of one point.

    Raises PlantError for a point that nothing of this role's physics fills.
    """
    source = _sources(role, p).get(point.name)
    if source is None and point.unit == "bits":
        source = constant(0.0)  # flags of faults: none
    if source is None:
        raise PlantError(
            where=f"{device_id}.{point.name}",
            problem=f"the plant has nothing to show there ({role.kind}, unit {point.unit})",
            because="A register that nobody fills reads 0 and looks like a measurement.",
            remedy="Give the point a name the plant knows (docs/plant.md), or extend "
            "edgectl/plant/roles.py.",
        )
    return source
