"""The plant's serial lines: what a device holds is what its line says, and no port is overrun."""

import asyncio
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ConnectionException, ModbusIOException
from site_rig import ON_LINE, Served, demo_with_a_line, served

from edgectl._kernel import rtu
from edgectl.controller.ports import open_port
from edgectl.errors import PlantError
from edgectl.plant.serial_line import SerialLine
from edgectl.site_model import Site, load_site

pytestmark = pytest.mark.untraced  # Python against pymodbus: nothing of ext/ is reached anew

REQUEST = rtu.encode({"unit": 1, "function": 3, "address": 0x5B00, "count": 2})


@pytest.fixture
def site(root: Path, tmp_path: Path) -> Site:
    return load_site(demo_with_a_line(root, tmp_path))


@pytest.fixture
def plant(site: Site) -> Iterator[Served]:
    with served(site, tuple(ON_LINE)) as running:
        yield running


PATIENCE_S = 10.0  # until a reply that should come is given up; no claim rests on it


def client_of(plant: Served, timeout_s: float = PATIENCE_S) -> ModbusSerialClient:
    """pymodbus as the line's master; it sets the port twice, so parity would be refused."""
    line = plant.wire.lines[0].line
    client = ModbusSerialClient(line.port, baudrate=line.baud, timeout=timeout_s, retries=0)
    assert client.connect()
    return client


def test_every_unit_of_a_line_says_what_its_device_holds(plant: Served) -> None:
    client = client_of(plant)
    for device, unit in ON_LINE.items():
        profile = plant.device(device).device.profile
        measured = plant.measured(device)
        for block in profile.blocks:
            reply = client.read_holding_registers(block.address, count=block.count, device_id=unit)
            for at, word in enumerate(reply.registers, block.address):
                assert word == measured.get(at, word), f"{device} register {at}"
        (probe,) = profile.probes
        reply = client.read_holding_registers(probe.address, count=probe.count, device_id=unit)
        assert reply.registers == list(probe.alternatives[0])
    assert plant.measured("AUX-01") != plant.measured("AUX-02")
    client.close()  # type: ignore[no-untyped-call]


def test_a_unit_that_is_not_on_the_line_is_silent(plant: Served) -> None:
    client = client_of(plant, timeout_s=0.15)
    with pytest.raises(ModbusIOException):
        client.read_holding_registers(0x5B00, count=2, device_id=9)
    client.close()  # type: ignore[no-untyped-call]
    client = client_of(plant)
    assert not client.read_holding_registers(0x5B00, count=2, device_id=1).isError()
    assert client.read_holding_registers(10, count=2, device_id=1).exception_code == 2
    client.close()  # type: ignore[no-untyped-call]


def test_a_reply_takes_its_time_on_the_line_and_its_units_delay(plant: Served) -> None:
    client = client_of(plant)
    line = plant.wire.lines[0]
    blocks = plant.device("AUX-01").device.profile.blocks
    block = max(blocks, key=lambda each: each.count)
    characters_s = (8 + 5 + 2 * block.count) * line.line.char_ns * 1e-9
    assert characters_s > 0.05, "19200 baud, 11 bits"
    took_s = []
    for line.delays_s[1] in (0.0, 0.2):
        before_s = time.monotonic()
        reply = client.read_holding_registers(block.address, count=block.count, device_id=1)
        assert len(reply.registers) == block.count
        took_s.append(time.monotonic() - before_s)
    assert took_s[0] >= characters_s
    assert took_s[1] >= characters_s + 0.2
    client.close()  # type: ignore[no-untyped-call]


def test_a_pulled_line_hangs_up_and_comes_back_at_the_same_port(plant: Served, site: Site) -> None:
    (line,) = plant.wire.lines
    port = Path(line.line.port)
    before = client_of(plant)
    plant.call(line.stop())
    assert not port.is_symlink()
    with pytest.raises(ConnectionException):
        before.read_holding_registers(0x5B00, count=2, device_id=1)
    plant.call(line.start())
    again = client_of(plant)
    assert not again.read_holding_registers(0x5B00, count=2, device_id=1).isError()
    again.close()  # type: ignore[no-untyped-call]


def test_a_controller_that_comes_back_opens_the_port_again(plant: Served) -> None:
    line = plant.wire.lines[0].line
    for _ in range(3):
        port = open_port(line)
        os.write(port, REQUEST)
        assert select.select([port], [], [], PATIENCE_S)[0], "no reply"
        os.close(port)


def identity_of(path: Path) -> tuple[int, int, int]:
    """What tells a file from one that was put in its place; looking at it changes none of it."""
    status = path.lstat()
    return status.st_ino, status.st_mode, status.st_mtime_ns


@pytest.mark.parametrize("stands", ["file", "folder", "link", "terminal"])
def test_what_stands_at_the_port_is_left_alone(site: Site, tmp_path: Path, stands: str) -> None:
    port, other = tmp_path / "line", tmp_path / "other"
    other.write_text("precious")
    if stands == "file":
        port.write_text("precious")
    elif stands == "folder":
        port.mkdir()
    else:
        port.symlink_to(other if stands == "link" else "/dev/pts/ptmx")
    before = identity_of(port)
    with (
        pytest.raises(PlantError, match="no link to a pseudo-terminal"),
        served(site, tuple(ON_LINE)),
    ):
        raise AssertionError("it was served")
    assert identity_of(port) == before
    assert other.read_text() == "precious"


def test_what_a_killed_plant_left_is_replaced(site: Site, tmp_path: Path) -> None:
    port = tmp_path / "line"
    port.symlink_to("/dev/pts/999999")
    with served(site, tuple(ON_LINE)) as running:
        assert port.exists()
        running.call(_stopped_twice(running.wire.lines[0]))
    assert not port.is_symlink()


async def _stopped_twice(line: SerialLine) -> None:
    await line.stop()
    await line.stop()
    await asyncio.sleep(0)
