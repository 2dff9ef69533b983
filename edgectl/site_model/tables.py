"""The site as the kernel's tables: one numpy array of C structs each, in bus order.

Order: links by first mention, a link's devices together, a device's blocks,
probes and outputs together, a block's points together. After the wire points
come the points that the kernel fills itself (tags.py).
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.layout import DTYPES
from edgectl.profiles.model import INT64_MAX
from edgectl.site_model.model import Site
from edgectl.site_model.proofs import unproven
from edgectl.site_model.tables_bus import Bus, bus_arrays
from edgectl.site_model.tables_control import control_arrays, meter_rows
from edgectl.site_model.tables_directory import directory_of
from edgectl.site_model.tables_interlock import interlock_arrays
from edgectl.site_model.tables_monitor import monitor_arrays
from edgectl.site_model.tables_network import network_arrays
from edgectl.site_model.tags import MONITOR_VALUE, internal_points

Table = NDArray[np.void]
ARRAYS = (
    "points",
    "blocks",
    "outputs",
    "links",
    "devices",
    "probes",
    "causes",
    "effects",
    "interlocks",
    "monitors",
    "inputs",
    "curves",
    "heartbeats",
    "storages",
    "pvs",
    "flexible",
    "dispatch",
    "meters",
    "meter_buses",
    "generators",
    "feeders",
    "stocks",
    "scan",
)


@dataclass(frozen=True, slots=True, eq=False)
class KernelTables(Mapping[str, Table]):
    """The kernel's tables by name, and the directory that names their rows.

    Reads as a mapping of the arrays; `directory` is apart because it is no array.
    point_index and output_index give the row of a tag.
    """

    points: Table
    blocks: Table
    outputs: Table
    links: Table
    devices: Table
    probes: Table
    causes: Table
    effects: Table
    interlocks: Table
    monitors: Table
    inputs: NDArray[np.int32]
    curves: Table
    heartbeats: Table
    storages: Table
    pvs: Table
    flexible: Table
    dispatch: Table
    meters: Table
    meter_buses: NDArray[np.int32]
    generators: Table
    feeders: Table
    stocks: Table
    scan: Table
    directory: dict[str, Any]
    point_index: dict[str, int]
    output_index: dict[str, int]

    def __getitem__(self, name: str) -> Table:
        if name not in ARRAYS:
            raise KeyError(name)
        table: Table = getattr(self, name)
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(ARRAYS)

    def __len__(self) -> int:
        return len(ARRAYS)


def compile_tables(site: Site) -> KernelTables:
    """All tables of a checked site. Nothing can fail here that check_site lets pass."""
    bus = bus_arrays(site)
    names: list[dict[str, Any]] = [
        {"name": tag, "unit": unit, "device": device, "type": "internal"}
        for tag, unit, device in internal_points(
            (each.id for each in site.devices),
            (each.id for each in site.batteries),
            ((each.id, each.unit) for each in site.monitors),
            (each.id for each in site.pvs if each.proof_meter is not None),
        )
    ]
    names = bus.point_names + names
    point_index = {str(each["name"]): at for at, each in enumerate(names)}
    output_index = {tag: at for at, tag in enumerate(bus.output_tags)}
    journaled = _journaled(site, point_index)
    points = _internal_rows(len(names))  # np.concatenate would drop the C padding
    points[: len(bus.points)] = bus.points
    points["journaled"][sorted(journaled)] = 1
    for at, each in enumerate(names):
        each["journaled"] = at in journaled
    reasons = [str(each) for each in unproven(site)]
    monitors, inputs = monitor_arrays(site, point_index)
    arrays: dict[str, NDArray[Any]] = {
        **_bus_tables(bus),
        **monitors,
        "inputs": inputs,
        **interlock_arrays(site, point_index),
        **control_arrays(site, point_index, output_index, may_arm=not reasons),
        "meters": meter_rows(site, point_index),
        **network_arrays(site),
        "points": points,
    }
    directory = directory_of(site, names, point_index, output_index)
    tables = {name: np.ascontiguousarray(arrays[name]) for name in ARRAYS}
    directory["arming_refused"] = reasons
    directory["tables_sha256"] = _sha256(tables)
    return KernelTables(
        **tables, directory=directory, point_index=point_index, output_index=output_index
    )


def _sha256(tables: Mapping[str, NDArray[Any]]) -> str:
    """One digest over the layout and the bytes of every table."""
    digest = hashlib.sha256()
    for name, table in tables.items():
        digest.update(f"{name} {len(table)} {table.dtype.descr}".encode())
        digest.update(table.tobytes())
    return digest.hexdigest()


def _bus_tables(bus: Bus) -> dict[str, Table]:
    return {
        "blocks": bus.blocks,
        "outputs": bus.outputs,
        "links": bus.links,
        "devices": bus.devices,
        "probes": bus.probes,
    }


def _internal_rows(count: int) -> Table:
    """Rows of points that no wire fills: any finite value is valid and none grows old."""
    rows = np.zeros(count, dtype=DTYPES["PointRow"])
    rows["block"] = -1
    rows["device"] = -1
    rows["sf_word"] = -1
    rows["scale"] = 1.0
    limits = rows["limits"]
    limits["valid_min"] = -math.inf
    limits["valid_max"] = math.inf
    limits["slew_max_per_s"] = math.inf
    limits["stale_after_ns"] = INT64_MAX
    limits["frozen_after_ns"] = INT64_MAX
    return rows


def _journaled(site: Site, point_index: Mapping[str, int]) -> set[int]:
    """Points that decisions and bookings rest on: replay and the ledger need them raw."""
    tags = set(_decided_on(site))
    for tag in _metered(site):
        device_id = tag.partition(".")[0]
        tags |= {f"{device_id}.energy_import", f"{device_id}.energy_export"}
    wire = {
        f"{device.id}.{point.name}" for device in site.devices for point in device.profile.points
    }
    shown = {f"{each.id}.{MONITOR_VALUE}" for each in site.monitors}
    shown |= {cause.tag for row in site.interlocks for cause in row.causes}
    return {point_index[tag] for tag in (tags & wire) | shown}


def _metered(site: Site) -> Iterable[str]:
    yield site.grid.power
    yield from (load.power for load in site.loads)
    yield from (pv.power for pv in site.pvs)
    yield from (generator.power for generator in site.generators)
    yield from (feeder.power for feeder in site.feeders)
    yield from (battery.power for battery in site.batteries)


def _decided_on(site: Site) -> Iterable[str]:
    """Tags that the site file names."""
    yield from _metered(site)
    for battery in site.batteries:
        yield battery.soc
        yield battery.readback or ""
        yield battery.proof_meter or ""
    for pv in site.pvs:
        yield pv.proof_meter or ""
    if site.flexible is not None:
        yield from (site.flexible.available, site.flexible.deferred)
    yield site.local_reset or ""
    for each in site.monitors:
        yield from each.inputs
    for tag in (*(each.command for each in site.batteries), *(each.limit for each in site.pvs)):
        if tag is None:
            continue
        command = site.command(tag)
        device_id = tag.partition(".")[0]
        yield f"{device_id}.{command.readback}"
        yield f"{device_id}.{command.sf_point}"
