"""The campus in process: a site's plant behind a simulated bus, at simulated time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl.plant._physics import Plant
from edgectl.plant._simulate import (
    ACTION_DTYPE,
    SLOT_DTYPE,
    Bus,
    CommandKind,
    Shape,
    simulate,
)
from edgectl.plant.boundary import MINUTE_NS, Boundary
from edgectl.plant.campus import build_plant
from edgectl.plant.commands import site_commands
from edgectl.plant.registers import DeviceSlots, Slot, device_slots
from edgectl.plant.roles import campus_of, site_roles
from edgectl.plant.traces import Traces
from edgectl.plant.wiring import SOUND, Wiring
from edgectl.site_model.model import Site
from edgectl.site_model.tables import KernelTables

DAY_MINUTES = 24 * 60
COUNTER_END = 2.0**51
SHAPES = {
    "u16": Shape.SHAPE_ONE,
    "s16": Shape.SHAPE_ONE,
    "u32": Shape.SHAPE_TWO,
    "s32": Shape.SHAPE_TWO,
    "u64": Shape.SHAPE_FOUR,
    "s64": Shape.SHAPE_FOUR,
    "f32": Shape.SHAPE_SINGLE,
    "f64": Shape.SHAPE_DOUBLE,
}
# Points that the control acts on within a second are encoded at every scan; all others,
# phases, reactive power and counters too, each simulated second.
FAST_POINTS = frozenset(
    {
        "active_power",
        "active_power_setpoint_readback",
        "deferrable_power",
        "deferred_power",
        "estop_channel_a",
        "estop_channel_b",
        "fire_ok",
        "reset_button",
        "open_request_readback",
    }
)


@dataclass(slots=True)
class InProcess:
    """A plant on a simulated bus. Made by in_process()."""

    plant: Plant
    bus: Bus
    boundary: Boundary
    devices: tuple[DeviceSlots, ...]
    block_words: NDArray[np.int32]
    period_ns: int
    table_first_ns: int = 0

    def run(self, kernel: Any, scans: int, start_ns: int, utc_start_ns: int) -> None:
        """Run plant and kernel for so many scans, loading weather a day at a time.

        kernel         edgectl._kernel.kernel.Kernel over the same tables
        scans          how many; a further call goes on where this one ended
        start_ns       monotonic of period 0
        utc_start_ns   UTC of period 0
        """
        while scans > 0:
            utc_ns = utc_start_ns + self.bus.period * self.period_ns
            self.prepare(utc_ns)
            left_ns = self.plant.table_end_utc_ns - utc_ns
            part = min(scans, max(1, left_ns // self.period_ns))
            simulate(kernel, self.bus, part, start_ns, utc_start_ns)
            scans -= part

    def prepare(self, utc_ns: int) -> None:
        """Have a boundary table that covers utc_ns; at the first call bring the plant to rest."""
        first = self.table_first_ns == 0
        if first or utc_ns >= self.plant.table_end_utc_ns:
            self.table_first_ns = utc_ns // MINUTE_NS * MINUTE_NS
            table = self.boundary.table(self.table_first_ns, DAY_MINUTES + 1)
            self.plant.load(table, self.table_first_ns, settle=first)


def in_process(
    site: Site,
    tables: KernelTables,
    traces: Traces,
    *,
    scenario: str = "demo",
    seed: int = 1,
    wiring: Wiring = SOUND,
) -> InProcess:
    """A site's plant, with a bus that fills the blocks of these tables.

    site, tables   the same site
    traces         weather, utilisation and intensity
    scenario       "demo" or "steady"
    seed           of every draw
    wiring         faults of the devices' connections

    Raises PlantError for a device or point the plant has nothing for.
    """
    campus = campus_of(site)
    plant = build_plant(campus, scenario, seed)
    roles = site_roles(site)
    devices = tuple(
        device_slots(plant, each, roles[wiring.stands_for(each.id)], campus.parameters, wiring)
        for each in site.devices
        if each.id in roles
    )
    counts = tables.blocks["count"].astype(np.int64)
    block_words = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    shadow = np.zeros(int(counts.sum()) + 4, dtype=np.uint16)
    rows = [
        _slot_row(slot, each.low_first, tables, index, block_words)
        for each in devices
        for slot, index in _indexed(each, tables)
    ]
    rows.sort(key=lambda row: (not row[-1], row[6], row[4]))
    fast_words = np.array([row[5] for row in rows if row[-1]], dtype=np.int64)
    block_fast = np.histogram(fast_words, bins=block_words)[0] > 0
    for each in devices:
        _fixed_words(each, site, tables, block_words, shadow)
    bus = Bus(
        plant,
        np.array(rows, dtype=SLOT_DTYPE),
        _actions(site, devices, tables),
        shadow,
        np.ascontiguousarray(block_words[:-1]),
        block_fast.astype(np.uint8),
    )
    boundary = Boundary(traces, campus.place, campus.parameters, campus.it_buses)
    return InProcess(plant, bus, boundary, devices, block_words, int(tables.scan["period_ns"][0]))


def _indexed(each: DeviceSlots, tables: KernelTables) -> Iterator[tuple[Slot, int]]:
    """Each slot with the row of its point."""
    for slot in each.slots:
        yield slot, tables.point_index[f"{each.device.id}.{slot.point.name}"]


def _slot_row(
    slot: Slot,
    low_first: bool,
    tables: KernelTables,
    index: int,
    block_words: NDArray[np.int32],
) -> tuple[float | int, ...]:
    """One slot in the order of SlotRow's fields."""
    point = tables.points[index]
    shape = SHAPES.get(slot.point.type, Shape.SHAPE_BIT)
    if slot.point.type == "bit" and slot.point.function <= 2:
        shape = Shape.SHAPE_ONE
    low, high = (-COUNTER_END, COUNTER_END) if slot.wraps else (slot.low, slot.high)
    word = int(block_words[point["block"]]) + int(point["word"])
    return (
        *(slot.mul, slot.add, low, high, slot.signal, word),
        *(int(shape), int(low_first), slot.point.bit, slot.point.name in FAST_POINTS),
    )


def _fixed_words(
    each: DeviceSlots,
    site: Site,
    tables: KernelTables,
    block_words: NDArray[np.int32],
    shadow: NDArray[np.uint16],
) -> None:
    """Put the registers that never change into the shadow of every block that reads them."""
    row = [device.id for device in site.devices].index(each.device.id)
    for at, block in enumerate(tables.blocks):
        if block["device"] != row:
            continue
        for (function, address), word in each.fixed.items():
            offset = address - int(block["address"])
            if function == block["function"] and 0 <= offset < block["count"]:
                shadow[block_words[at] + offset] = word


def _actions(
    site: Site, devices: tuple[DeviceSlots, ...], tables: KernelTables
) -> NDArray[np.void]:
    """What each output does to the plant, in the outputs' order."""
    actions = np.zeros(len(tables.outputs), dtype=ACTION_DTYPE)
    actions["kind"] = int(CommandKind.COMMAND_NONE)
    commands = site_commands(site)
    for each in devices:
        for command in each.device.profile.commands:
            tag = f"{each.device.id}.{command.name}"
            exponent = 0
            if command.sf_point is not None:
                exponent = each.exponent(each.device.profile.point(command.sf_point).address)
            row = actions[tables.output_index[tag]]
            row["scale"] = command.scale * 10.0**exponent * each.command_gain
            acts_as = f"{each.acts_as}.{command.name}"
            if acts_as in commands:
                row["kind"], row["index"] = commands[acts_as]
    return actions
