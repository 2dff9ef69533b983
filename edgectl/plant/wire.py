"""The campus on the wire: every device in a server of pymodbus, one TCP port or line a link.

Registers are worked out when they are asked for, with pymodbus's own conversion, so that
edgectl's decoder meets words it had no part in making.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edgectl.errors import PlantError
from edgectl.plant._physics import Plant
from edgectl.plant.boundary import MINUTE_NS, Boundary
from edgectl.plant.commands import Commands
from edgectl.plant.der_settings import DerSetting
from edgectl.plant.registers import DeviceSlots, Slot
from edgectl.plant.serial_line import SerialLine
from edgectl.plant.sunspec import background
from edgectl.profiles.model import Command

TICK_NS = 20_000_000
TICKS_APART_NS = 2_000_000_000  # after a longer stall, steps of a second
TABLE_HOURS = 26
EMPTY_ADDRESS = 0xFFFF  # pymodbus wants one register even in a table the device has not

DATATYPES = ModbusClientMixin.DATATYPE
CONVERSION = {
    "u16": DATATYPES.UINT16,
    "s16": DATATYPES.INT16,
    "u32": DATATYPES.UINT32,
    "s32": DATATYPES.INT32,
    "u64": DATATYPES.UINT64,
    "s64": DATATYPES.INT64,
    "f32": DATATYPES.FLOAT32,
    "f64": DATATYPES.FLOAT64,
}
# Table by the function that reads it, in the order pymodbus has its four tables.
TABLES = (1, 2, 3, 4)
READ_BY_WRITE = {5: 1, 15: 1, 6: 3, 16: 3}


def slot_words(slot: Slot, plant: Plant, low_first: bool) -> list[int]:
    """One point's registers now, by pymodbus; a bit is one word, 0 or 1."""
    raw = slot.raw(plant)
    kind = slot.point.type
    if kind == "bit":
        return [int(raw)]
    if kind in ("s16", "s32", "s64") and raw >= 1 << (16 * slot.point.words - 1):
        raw -= 1 << (16 * slot.point.words)  # a signed counter that rolled over
    return ModbusClientMixin.convert_to_registers(
        raw, CONVERSION[kind], "little" if low_first else "big"
    )


@dataclass(slots=True)
class _Reading:
    """What one asked range holds, and at which step of the plant it was filled."""

    slots: list[tuple[int, Slot]]
    steps: int = -1


class WireDevice:
    """One device behind its server: registers on demand, writes into the physics."""

    def __init__(
        self,
        device_slots: DeviceSlots,
        plant: Plant,
        commands: Commands,
        der_settings: Sequence[DerSetting] = (),
    ) -> None:
        self.device = device_slots.device
        self._der_settings = der_settings
        self.slots = device_slots
        self._plant = plant
        self._commands = commands
        self._readings: dict[tuple[int, int, int], _Reading] = {}
        self._low_first = device_slots.low_first
        self.requests = 0

    def simdevice(self) -> SimDevice:
        """The device as pymodbus serves it."""
        coils, inputs, holdings, registers = (self._table(function) for function in TABLES)
        tables = (coils, inputs, holdings, registers)
        return SimDevice(id=self.device.unit, simdata=tables, action=self.action)

    def _table(self, function: int) -> list[SimData]:
        """Registers or bits that answer under one function; the rest is an illegal address."""
        profile = self.device.profile
        words = {at: word for (table, at), word in self.slots.fixed.items() if table == function}
        for point in profile.points:
            if point.function == function:
                words |= {point.address + at: 0 for at in range(point.words)} | words
        for command in profile.commands:
            if READ_BY_WRITE[command.function] == function:
                words |= {command.address + at: 0 for at in range(command.count)} | words
        bits = function <= 2
        if function == 3:
            words = background(self.slots.fixed, self.device.id, self._der_settings) | words
        if not words and bits:
            return [SimData(EMPTY_ADDRESS, values=False, datatype=DataType.BITS)]
        if not words:
            return [SimData(EMPTY_ADDRESS, datatype=DataType.INVALID)]
        reach = profile.max_registers if profile.gaps_legal else 1
        return [
            SimData(
                run[0],
                values=[bool(words.get(at, 0)) if bits else words.get(at, 0) for at in run],
                datatype=DataType.BITS if bits else DataType.REGISTERS,
            )
            for run in _runs(sorted(words), reach)
        ]

    async def action(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called by pymodbus at each request, before it reads or writes its registers."""
        self.requests += 1
        self._plant.hear()
        if values is None:
            self._refresh(function, start, address, count, registers)
            return None
        return self._write(function, address, [int(value) for value in values])

    def _refresh(
        self, function: int, start: int, address: int, count: int, registers: list[int]
    ) -> None:
        """Fill the asked range, unless it was filled since the plant last moved."""
        key = (function, address, count)
        reading = self._readings.get(key)
        if reading is None:
            end = address + (16 * count if function <= 2 else count)
            reading = _Reading(
                [
                    (slot.point.address - start * (16 if function <= 2 else 1), slot)
                    for slot in self.slots.slots
                    if slot.point.function == function
                    and slot.point.address < end
                    and slot.point.address + slot.point.words > address
                ]
            )
            self._readings[key] = reading
        if reading.steps == self._plant.steps:
            return
        reading.steps = self._plant.steps
        for offset, slot in reading.slots:
            words = slot_words(slot, self._plant, self._low_first)
            if function <= 2:
                mask = 1 << (offset & 15)
                registers[offset >> 4] &= ~mask
                registers[offset >> 4] |= mask if words[0] else 0
            elif slot.point.type == "bit":
                registers[offset] &= ~(1 << slot.point.bit)
                registers[offset] |= words[0] << slot.point.bit
            else:
                registers[offset : offset + len(words)] = words

    def _write(self, function: int, address: int, values: list[int]) -> ExcCodes | None:
        """Act on a write that covers a command's value; refuse any other."""
        for command in self.device.profile.commands:
            first = command.address + command.value_word
            words = CONVERSION[command.type].value[1] if command.type in CONVERSION else 1
            if READ_BY_WRITE[command.function] != READ_BY_WRITE[function]:
                continue
            if address <= first and first + words <= address + len(values):
                at = first - address
                self._commands.write(
                    f"{self.slots.acts_as}.{command.name}",
                    self._value(command, values[at : at + words]),
                )
                self._readings.clear()
                return None
        return ExcCodes.ILLEGAL_ADDRESS

    def _value(self, command: Command, words: list[int]) -> float:
        """SI value of a written command, by pymodbus's own conversion."""
        if command.type == "bit":
            return float(words[0])
        raw = ModbusClientMixin.convert_from_registers(
            words, CONVERSION[command.type], "little" if self._low_first else "big"
        )
        exponent = 0
        if command.sf_point is not None:
            point = self.device.profile.point(command.sf_point)
            exponent = self.slots.exponent(point.address)
        value = float(raw) * command.scale * 10.0**exponent  # type: ignore[arg-type]
        return value * self.slots.command_gain


def _runs(addresses: list[int], reach: int) -> list[list[int]]:
    """Join addresses at most `reach` apart into whole ranges."""
    runs: list[list[int]] = []
    for address in addresses:
        if runs and address - runs[-1][-1] <= reach:
            runs[-1].extend(range(runs[-1][-1] + 1, address + 1))
        else:
            runs.append([address])
    return runs


class Pace:
    """Moves the plant in real time, and keeps its boundary table ahead of it."""

    def __init__(self, plant: Plant, boundary: Boundary, start_utc_ns: int) -> None:
        self._plant = plant
        self._boundary = boundary
        self._start_utc_ns = start_utc_ns
        self._elapsed_ns = 0
        plant.load(boundary.table(start_utc_ns, TABLE_HOURS * 60), start_utc_ns, settle=True)

    @property
    def utc_ns(self) -> int:
        """UTC of the simulated campus."""
        return self._start_utc_ns + self._elapsed_ns

    def advance(self, dt_ns: int) -> None:
        """Move the plant by dt in steps no longer than a tick, after a long stall a second."""
        step_ns = TICK_NS if dt_ns < TICKS_APART_NS else 50 * TICK_NS
        while dt_ns > 0:
            part_ns = min(dt_ns, step_ns)
            self._elapsed_ns += part_ns
            self._plant.step(part_ns, self.utc_ns)
            dt_ns -= part_ns
        if self.utc_ns > self._plant.table_end_utc_ns - 60 * MINUTE_NS:
            first_ns = self.utc_ns // MINUTE_NS * MINUTE_NS
            self._plant.load(self._boundary.table(first_ns, TABLE_HOURS * 60), first_ns)

    async def run(self) -> None:
        """Advance by the monotonic clock until cancelled."""
        before_ns = time.monotonic_ns()
        while True:
            await asyncio.sleep(TICK_NS * 1e-9)
            now_ns = time.monotonic_ns()
            self.advance(now_ns - before_ns)
            before_ns = now_ns


class WirePlant:
    """The servers of some or all devices of a campus, in the running asyncio loop.

    lines  serial lines that some of them are on
    """

    def __init__(self, devices: Iterable[WireDevice], pace: Pace) -> None:
        self.devices = list(devices)
        self._pace = pace
        self._servers: list[ModbusTcpServer] = []
        on_lines = sorted(
            (each for each in self.devices if each.device.line), key=lambda each: each.device.link
        )
        self.lines = [
            SerialLine(line, [each.simdevice() for each in group])
            for line, group in groupby(on_lines, key=lambda each: each.device.line)
            if line is not None
        ]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen at every link's address and make every line, then let time run.

        Raises PlantError where an address cannot be listened at, or a line's port is no
        place for a link; nothing is left listening.
        """
        by_link = sorted(
            (each for each in self.devices if each.device.line is None),
            key=lambda each: (each.device.host, each.device.port),
        )
        for (host, port), group in groupby(
            by_link, key=lambda each: (each.device.host, each.device.port)
        ):
            server = ModbusTcpServer([each.simdevice() for each in group], address=(host, port))
            try:
                await server.serve_forever(background=True)
            except (OSError, RuntimeError) as error:
                await self.stop()
                raise PlantError(
                    where=f"{host}:{port}",
                    problem=f"cannot listen there: {error}",
                    because="A device of the simulated campus would be missing.",
                    remedy="Stop what uses the port, or give the site file another one.",
                ) from error
            self._servers.append(server)
        for line in self.lines:
            try:
                await line.start()
            except PlantError:
                await self.stop()
                raise
        self._task = asyncio.get_running_loop().create_task(self._pace.run())

    async def until(self, stopped: asyncio.Event) -> None:
        """Serve until told to stop, or until time stands still because the physics failed."""
        assert self._task is not None, "started"
        told = asyncio.ensure_future(stopped.wait())
        await asyncio.wait({told, self._task}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()

    async def stop(self) -> None:
        """Stop time and close every server. Raises what had ended the physics, if anything did."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        for server in self._servers:
            await server.shutdown()  # type: ignore[no-untyped-call]
        self._servers.clear()
        for line in self.lines:
            await line.stop()
        if task is not None and not task.cancelled():
            task.result()
