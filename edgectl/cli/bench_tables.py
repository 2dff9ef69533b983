"""Kernel tables made for a bench: devices of so many registers, or a site of so many tags."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.interlock import CauseOp, Effect, OnBad, Reset
from edgectl._kernel.process_image import PointType
from edgectl.plant.rows import rows
from edgectl.site_model.tables import KernelTables

BLOCK_REGISTERS_MAX = 124  # even, so that no f32 straddles two blocks; MAP 6.3 allows 125
STALE_AFTER_NS = 500_000_000
LEAD_RATIO = 0.6  # of the period, as the demo's 60 ms of 100 ms
TIMEOUT_RATIO = 0.5  # a reply that takes longer would not be in this scan anyway
INTERNAL = (
    "grid_power", "it_power", "aux_power", "pv_power", "battery_power", "shed_request",
    "overruns", "grid_carbon", "pue", "clock_step", "tables_fault", "services_age",
    "ledger_fault", "maintenance", "bypassed",
)  # fmt: skip
STORAGE_INTERNAL = (
    "request", "setpoint", "rejected", "lapsed", "proof.readback_error", "proof.following_error",
    "proof.effect_error", "proof.foreign_write",
)  # fmt: skip

Fields = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """Rows as they come together."""

    points: list[Fields] = field(default_factory=list)
    blocks: list[Fields] = field(default_factory=list)
    devices: list[Fields] = field(default_factory=list)
    links: list[Fields] = field(default_factory=list)


def blocks_of(registers: int) -> list[int]:
    """Sizes of the reads that make up so many registers."""
    full, rest = divmod(registers, BLOCK_REGISTERS_MAX)
    return [BLOCK_REGISTERS_MAX] * full + ([rest] if rest else [])


def add_device(
    draft: Draft, port: int, sizes: Sequence[int], period_ns: int, *, counted: bool, journaled: bool
) -> None:
    """One device on a port of its own, its registers read as f32 where they are even."""
    device = len(draft.devices)
    draft.links.append({"first_device": device, "port": port, "connect_timeout_ns": 10 * period_ns})
    draft.devices.append(
        {
            "link": device,
            "timeout_ns": int(period_ns * TIMEOUT_RATIO),
            "first_block": len(draft.blocks),
            "blocks": len(sizes),
            "counted": int(counted),
        }
    )
    address = 0
    for size in sizes:
        width = 2 if size % 2 == 0 else 1
        draft.blocks.append(
            {
                "device": device,
                "first_point": len(draft.points),
                "points": size // width,
                "address": address,
                "count": size,
            }
        )
        for word in range(0, size, width):
            draft.points.append(
                {
                    "block": len(draft.blocks) - 1,
                    "device": device,
                    "word": word,
                    "type": PointType.TYPE_F32 if width == 2 else PointType.TYPE_U16,
                    "limits.stale_after_ns": STALE_AFTER_NS,
                    "journaled": int(journaled),
                }
            )
        address += size


def bus_tables(
    ports: Sequence[int], registers: int, period_ns: int, faulty: Sequence[int] = ()
) -> KernelTables:
    """One device a port, all read each scan; nothing is journaled and nothing written.

    ports      loopback TCP ports
    registers  of each device, read with function 3
    period_ns  of the scan
    faulty     devices whose behaviour is wrong: left out of the health figures
    """
    draft = Draft()
    for device, port in enumerate(ports):
        add_device(
            draft, port, blocks_of(registers), period_ns,
            counted=device not in faulty, journaled=False,
        )  # fmt: skip
    first = add_internal(draft, 0)
    arrays = common_arrays(draft, period_ns, loads=0, first_internal=first, meters=[{}])
    directory = directory_of(draft, period_ns, loads=0, storages=0, interlocks=0)
    return tables_of(arrays, directory)


def tables_of(arrays: dict[str, NDArray[Any]], directory: dict[str, Any]) -> KernelTables:
    """The tables without names for single points, and with no monitor: a bench asks for none."""
    none: dict[str, NDArray[Any]] = {
        "meter_buses": np.zeros(len(arrays["meters"]), dtype=np.int32),
        "generators": rows("GeneratorRow"),
        "feeders": rows("FeederRow"),
        "monitors": rows("MonitorRow"),
        "inputs": np.zeros(0, dtype=np.int32),
        "curves": rows("CurveRow"),
        "heartbeats": rows("HeartbeatRow"),
    }
    return KernelTables(**(none | arrays), directory=directory, point_index={}, output_index={})


def add_internal(draft: Draft, storages: int) -> int:
    """The kernel's own points, after all that come over the wire; returns the first."""
    first = len(draft.points)
    own = len(INTERNAL) + len(draft.devices) + storages * len(STORAGE_INTERNAL)
    draft.points += [{} for _ in range(own)]
    return first


def common_arrays(
    draft: Draft, period_ns: int, *, loads: int, first_internal: int, meters: Sequence[Fields]
) -> dict[str, NDArray[Any]]:
    """The arrays that every bench fills the same way; no storage, no interlock."""
    scan = {f"{name}_point": first_internal + at for at, name in enumerate(INTERNAL)}
    scan |= {
        "period_ns": period_ns,
        "lead_ns": int(period_ns * LEAD_RATIO),
        "loads": loads,
        "it_loads": loads,
        "default_mg_per_kwh": 480_000,
        "first_device_age_point": first_internal + len(INTERNAL),
    }
    return {
        "points": rows("PointRow", *draft.points),
        "blocks": rows("BlockRow", *draft.blocks),
        "outputs": rows("OutputRow"),
        "links": rows("LinkRow", *draft.links),
        "devices": rows("BusDeviceRow", *draft.devices),
        "probes": rows("ProbeRow"),
        "causes": rows("CauseRow"),
        "effects": rows("EffectRow"),
        "interlocks": rows("InterlockRow"),
        "storages": rows("StorageRow"),
        "pvs": rows("PvRow"),
        "flexible": rows("FlexibleRow", {}),
        "dispatch": rows("DispatchRow", {}),
        "meters": rows("MeterRow", *meters),
        "stocks": rows("StockRow"),
        "scan": rows("ScanRow", scan),
    }


def directory_of(
    draft: Draft, period_ns: int, *, loads: int, storages: int, interlocks: int
) -> dict[str, Any]:
    """The segment's directory, as site_model would make it."""
    batteries = [f"BESS-{at}" for at in range(storages)]
    load_ids = [f"LOAD-{at}" for at in range(loads)]
    return {
        "site": "bench",
        "period_ns": period_ns,
        "points": [
            {"name": f"P-{at}", "unit": "W", "journaled": bool(point.get("journaled", 0))}
            for at, point in enumerate(draft.points)
        ],
        "devices": [{"id": f"DEV-{at}"} for at in range(len(draft.devices))],
        "interlocks": [{"id": f"IL-{at}"} for at in range(interlocks)],
        "storages": [{"id": name} for name in batteries],
        "sources": ["grid", "pv", "unmetered", *batteries],
        "sinks": [*load_ids, *batteries, "export", "losses"],
    }


def kernel_tables(
    tags: int, interlocks: int, period_ns: int, *, storages: int = 2, loads: int = 4
) -> KernelTables:
    """A site of `tags` wire points, all journaled, every interlock armed and none tripped.

    tags        f32 points, in blocks of 62, one block a device
    interlocks  rows; each watches its own point with hysteresis and both delays
    period_ns   of the scan
    storages    batteries that are dispatched each scan
    loads       metered loads
    """
    draft = Draft()
    left = tags
    while left > 0:
        points = min(left, BLOCK_REGISTERS_MAX // 2)
        add_device(draft, 1, [2 * points], period_ns, counted=True, journaled=True)
        left -= points
    first = add_internal(draft, storages)
    power = list(range(1 + loads + storages))  # grid, loads, storages: the first points
    arrays = common_arrays(
        draft, period_ns, loads=loads, first_internal=first,
        meters=[{"point": point, "hold_ns": period_ns} for point in power],
    )  # fmt: skip
    own = first + len(INTERNAL) + len(draft.devices)
    arrays |= {
        "outputs": rows("OutputRow", *({"type": PointType.TYPE_F32, "count": 2},) * storages),
        "storages": rows(
            "StorageRow",
            *(storage_row(at, 1 + loads + at, len(power) + at, own) for at in range(storages)),
        ),
        "stocks": rows(
            "StockRow", *({"charge_ppm": 950_000, "discharge_ppm": 950_000},) * storages
        ),
        "dispatch": rows(
            "DispatchRow",
            {"import_cap_w": 1e9, "grid_point": 0, "storages": storages, "export_max_w": 1e9},
        ),
    }
    arrays |= interlock_arrays(interlocks, tags)
    directory = directory_of(
        draft, period_ns, loads=loads, storages=storages, interlocks=interlocks
    )
    return tables_of(arrays, directory)


def storage_row(at: int, power_point: int, soc_point: int, own: int) -> Fields:
    """One battery; its output is never written, since no device is identified in a bench."""
    row: Fields = {
        "charge_rating_w": 1e6, "discharge_rating_w": 1e6, "capacity_j": 3.6e9,
        "ramp_w_per_s": 1e5, "deadband_w": 1e3, "economy_w": 1e5, "dwell_ns": 10**9,
        "device": 0, "output": at, "power_point": power_point, "soc_point": soc_point,
        "proof.output": at, "proof.power_point": power_point,
    }  # fmt: skip
    for place, name in enumerate(STORAGE_INTERNAL):
        row[f"{name}_point"] = own + at * len(STORAGE_INTERNAL) + place
    return row


def interlock_arrays(interlocks: int, tags: int) -> dict[str, NDArray[np.void]]:
    """Rows that watch one point each, far from their thresholds, over all points in turn."""
    step = max(tags // interlocks, 1) if interlocks else 1
    row = {
        "on_delay_ns": 200_000_000, "off_delay_ns": 10**9, "on_bad": OnBad.ON_BAD_TRIP,
        "reset": Reset.RESET_AUTO,
    }  # fmt: skip
    table = [{"first_cause": at, "first_effect": at, "group": at % 8} | row
             for at in range(interlocks)]  # fmt: skip
    causes = [{"point": at * step % tags, "op": CauseOp.CAUSE_ABOVE, "on": math.inf, "off": 1e30}
              for at in range(interlocks)]  # fmt: skip
    return {
        "interlocks": rows("InterlockRow", *table),
        "causes": rows("CauseRow", *causes),
        "effects": rows("EffectRow", *({"effect": Effect.EFFECT_ZERO},) * interlocks),
    }
