"""Devices to be looked at: pymodbus' own server, pysunspec2's chains, and a line of RTU units."""

import asyncio
import contextlib
import os
import select
import threading
import tty
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from free_ports import free_ports
from pymodbus.framer import FramerRTU
from pymodbus.pdu.device import ModbusControlBlock
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from sunspec2 import device as sunspec_device

from edgectl.plant.host import HostOptions, WireHost
from edgectl.profiles import Profile
from edgectl.site_model import Device, load_site

HOST = "127.0.0.1"
Registers = Mapping[int, int]
END_OF_CHAIN = (0xFFFF, 0)


@contextlib.contextmanager
def serve(
    units: Mapping[int, Registers], inputs: Registers | None = None, **identity: str
) -> Iterator[int]:
    """A pymodbus server with holding registers a unit; gives its port.

    inputs    input registers, of every unit
    identity  of function 43/14, by pymodbus' names

    Registers that are not named answer with exception 2, other units with exception 4.
    """
    port: list[int] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        devices = [_device(unit, holding, inputs or {}) for unit, holding in units.items()]
        server = ModbusTcpServer(devices, address=(HOST, 0))
        await server.serve_forever(background=True)
        port.append(server.transport.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        ready.set()
        await stop.wait()
        await server.shutdown()

    said = ModbusControlBlock().Identity
    before = {name: getattr(said, name) for name in identity}
    for name, text in identity.items():
        setattr(said, name, text)
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(5), "the server did not start"
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
        for name, text in before.items():
            setattr(said, name, text)


def _device(unit: int, holding: Registers, inputs: Registers) -> SimDevice:
    nothing = [SimData(65_000, values=[False], datatype=DataType.BITS)]
    return SimDevice(id=unit, simdata=(nothing, nothing, _blocks(holding), _blocks(inputs)))


def _blocks(registers: Registers) -> list[SimData]:
    """Runs of neighbouring registers, as pymodbus wants them."""
    runs: list[tuple[int, list[int]]] = []
    for address in sorted(registers):
        if runs and address == runs[-1][0] + len(runs[-1][1]):
            runs[-1][1].append(registers[address])
        else:
            runs.append((address, [registers[address]]))
    spare = (65_001, [0])
    return [
        SimData(first, values=words, datatype=DataType.REGISTERS)
        for first, words in runs or [spare]
    ]


def sunspec_model(number: int, **values: Any) -> sunspec_device.Model:
    """A model by pysunspec2: raw values by name, all else not implemented."""
    return sunspec_device.Model(model_id=number, data={"ID": number, **values})


def grouped_model(number: int, times: int) -> sunspec_device.Model:
    """A model with each of its repeating groups `times` there."""
    counts: dict[str, Any] = {}

    def count(group: dict[str, Any]) -> None:
        for inner in group.get("groups", []):
            if isinstance(inner.get("count"), str):
                counts[inner["count"]] = times
            elif inner.get("count") == 0:
                counts[inner["name"]] = [{}] * times
            count(inner)

    count(sunspec_device.get_model_def(number)["group"])
    return sunspec_model(number, **counts)


def words_of(model: sunspec_device.Model) -> list[int]:
    """Its registers, ID and L included."""
    raw = bytes(model.get_mb())
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def chain(
    models: Sequence[sunspec_device.Model | Sequence[int]],
    base: int = 40000,
    end: Sequence[int] = END_OF_CHAIN,
) -> dict[int, int]:
    """Registers of a SunSpec map: marker, models, end."""
    words = [0x5375, 0x6E53]
    for each in models:
        words += words_of(each) if isinstance(each, sunspec_device.Model) else list(each)
    return {base + at: word for at, word in enumerate([*words, *end])}


def holding_of(profile: Profile, word: int = 0) -> dict[int, int]:
    """Registers that a device of a profile has: its blocks filled, its identity as it must be."""
    registers = {
        address: word
        for block in profile.blocks
        for address in range(block.address, block.address + block.count)
    }
    for probe in profile.probes:
        for at, expected in enumerate(probe.alternatives[0]):
            registers[probe.address + at] = expected
    return registers


@contextlib.contextmanager
def campus(devices: Sequence[Device]) -> Iterator[None]:
    """The simulated campus of these devices of the demo site, on their ports."""
    site = replace(load_site("demo"), devices=tuple(devices))
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def run() -> None:
        wire = WireHost(site, HostOptions(start_utc_ns=1_690_000_000_000_000_000)).wire()
        await wire.start()
        ready.set()
        await stop.wait()
        await wire.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(20), "the campus did not start"
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def demo_devices() -> list[Device]:
    """Those of the demo site, on ports that are free."""
    devices = load_site("demo").devices
    ports = free_ports(len(devices))
    return [replace(each, port=port) for each, port in zip(devices, ports, strict=True)]


@contextlib.contextmanager
def serial_line(units: Mapping[int, Registers]) -> Iterator[str]:
    """A line of RTU units behind a pseudo terminal; gives the path of the port.

    Only units that are named answer; a register that is not named gets exception 2.
    """
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    stop = threading.Event()
    thread = threading.Thread(target=_answer, args=(ours, units, stop))
    thread.start()
    try:
        yield os.ttyname(theirs)
    finally:
        stop.set()
        thread.join()
        os.close(ours)
        os.close(theirs)


def _answer(port: int, units: Mapping[int, Registers], stop: threading.Event) -> None:
    """Serve reads of holding registers; all else is an illegal function."""
    heard = b""
    while not stop.is_set():
        if not select.select([port], [], [], 0.02)[0]:
            heard = b""
            continue
        heard += os.read(port, 256)
        size = 7 if heard[1:2] == b"\x2b" else 8
        if len(heard) < size:
            continue
        frame, heard = heard[:size], b""
        body, unit, function = frame[:-2], frame[0], frame[1]
        assert FramerRTU.compute_CRC(body).to_bytes(2, "big") == frame[-2:], "a request's CRC"
        if unit not in units:
            continue
        first, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
        addresses = range(first, first + count)
        if function != 3:
            reply = bytes([unit, function | 0x80, 1])
        elif any(address not in units[unit] for address in addresses):
            reply = bytes([unit, function | 0x80, 2])
        else:
            words = b"".join(units[unit][address].to_bytes(2, "big") for address in addresses)
            reply = bytes([unit, function, 2 * count]) + words
        os.write(port, reply + FramerRTU.compute_CRC(reply).to_bytes(2, "big"))
