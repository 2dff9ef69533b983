"""Our master against servers of other makers, and a master of another maker against our devices."""

import asyncio
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import interop_server
import pytest
from free_ports import free_ports
from interop_rig import held_now, server
from pymodbus.client import AsyncModbusTcpClient
from wire_rig import REGISTERS, Fields, WireRig, all_good

from edgectl._kernel.journal import MailKind
from edgectl._kernel.quality import Quality, Reason
from edgectl.commissioning.client import Line, TcpAddress
from edgectl.commissioning.identify import Asker
from edgectl.commissioning.outstanding_verdict import outstanding
from edgectl.commissioning.probe import recognise
from edgectl.plant.host import HostOptions, WireHost
from edgectl.plant.wire import Pace
from edgectl.site_model import load_site

pytestmark = pytest.mark.wire

PEERS = [
    "pymodbus",  # our plant's own, so it is always there
    *(pytest.param(peer, marks=pytest.mark.slow)
      for peer in ("libmodbus", "pyModbusTCP", "modbus-serial")),
]  # fmt: skip
LARGEST = {1: 2000, 2: 2000, 3: 125, 4: 125}  # MAP 6.1 to 6.4
BLOCK_ITEMS_MAX = 125  # what the image keeps of one reply
SETPOINT_W = 5000
BATTERY: Fields = {"refresh_ns": 2**62, "proof.readback_point": -1}
START_UTC_NS = 1_690_000_000_000_000_000
# What the battery's output is for each function: fields of its row, and what the server then holds.
WRITES: dict[int, tuple[Fields, list[int]]] = {
    5: ({"scale": SETPOINT_W / 0xFF00}, [1]),
    6: ({}, [SETPOINT_W]),
    15: ({"count": 10, "template_words": [0, 1, 0, 1, 0, 0, 0, 0, 0, 1]},
         [1, 1, 0, 1, 0, 0, 0, 0, 0, 1]),
    16: ({"count": 3, "template_words": [0, 77, 0xFFFF]}, [SETPOINT_W, 77, 0xFFFF]),
}  # fmt: skip


class InteropRig(WireRig):
    """The rig with its blocks and its output of other functions.

    read    fields of the first two blocks, by block
    output  fields of the battery's output
    """

    def __init__(self, port: int, read: Sequence[Fields] = (), output: Fields | None = None):
        self.read = read
        self.output = output or {}
        super().__init__([port], battery=None if output is None else BATTERY)

    def _tables(self, *parts: Any) -> Any:
        tables = super()._tables(*parts)
        tables.devices["timeout_ns"] = 2_000_000_000  # a peer in Python may be slow
        for block, fields in enumerate(self.read):
            for name, value in fields.items():
                tables.blocks[name][block] = value
        for name, value in self.output.items():
            if name == "template_words":
                tables.outputs[name][0][: len(value)] = value
            else:
                tables.outputs[name][0] = value
        return tables


def held_at_start(function: int) -> list[int]:
    """What a server holds in the table that a function reads."""
    return [int(item) for item in interop_server.contents()[function - 1]]


@pytest.mark.parametrize("function", [1, 2, 3, 4])
@pytest.mark.parametrize("peer", PEERS)
def test_values_of_another_makers_server(peer: str, function: int) -> None:
    most = min(LARGEST[function], BLOCK_ITEMS_MAX)
    read = [{"function": function}, {"function": function, "count": most}]
    held = held_at_start(function)
    with server(peer) as port, InteropRig(port, read) as rig:
        rig.scan_until(all_good)
        for _ in range(5):
            for reading in rig.scan():
                assert reading.value == held[reading.address], f"item {reading.address}"
        link = rig.link()
        assert (link["bad_replies"], link["exceptions"], link["connects"]) == (0, 0, 1)


@pytest.mark.parametrize("function", [1, 2, 3, 4])
@pytest.mark.parametrize("peer", PEERS)
def test_an_exception_of_another_makers_server(peer: str, function: int) -> None:
    read = [{"function": function}, {"function": function, "address": 5000}]
    with server(peer) as port, InteropRig(port, read) as rig:
        rig.scan_until(lambda found: found[-1].reason == Reason.REASON_CONFIGURATION)
        rig.scan_until(lambda found: all_good(found[:REGISTERS]))
        refused = rig.scan()[REGISTERS:]
        assert {one.quality for one in refused} == {Quality.QUALITY_BAD}
        link = rig.link()
        assert (link["bad_replies"], link["exceptions"], link["connects"]) == (0, 1, 1)


@pytest.mark.parametrize("function", WRITES)
@pytest.mark.parametrize("peer", PEERS)
def test_a_write_to_another_makers_server(peer: str, function: int) -> None:
    fields, wanted = WRITES[function]
    with server(peer) as port:
        with InteropRig(port, output=fields | {"function": function}) as rig:
            rig.scan_until(all_good)
            rig.ask(MailKind.MAIL_ARM)
            rig.scan_until(lambda _: rig.link()["writes"] == 1)
            rig.ask(MailKind.MAIL_STORAGE_W, float(SETPOINT_W))
            rig.scan_until(lambda _: rig.link()["writes"] == 2)
            link = rig.link()
            assert (link["write_failures"], link["bad_replies"], link["connects"]) == (0, 0, 1)
        assert held_now(port, function, len(wanted)) == wanted


@pytest.mark.parametrize("function", [5, 6])
@pytest.mark.parametrize("peer", PEERS)
def test_a_write_that_another_makers_server_refuses(peer: str, function: int) -> None:
    fields = WRITES[function][0] | {"function": function, "address": 5000}
    with server(peer) as port, InteropRig(port, output=fields) as rig:
        rig.scan_until(all_good)
        rig.ask(MailKind.MAIL_ARM)
        rig.scan_until(lambda _: rig.link()["write_failures"] == 1)
        link = rig.link()
        assert (link["writes"], link["bad_replies"], link["connects"]) == (0, 0, 1)


class StandingPace(Pace):
    """Time does not move: two readers find the same."""

    async def run(self) -> None:
        await asyncio.Event().wait()


async def with_mbpoll(port: int, unit: int, function: int, address: int, count: int) -> list[int]:
    """Items as mbpoll prints them."""
    kind = {1: "0", 2: "1", 3: "4:hex", 4: "3:hex"}[function]
    child = await asyncio.create_subprocess_exec(
        "mbpoll", "-0", "-1", "-q", "-o", "3", "-a", str(unit), "-t", kind, "-r", str(address),
        "-c", str(count), "-p", str(port), "127.0.0.1",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await child.communicate()
    found = re.findall(r"^\[(\d+)\]:\s+(\w+)", output.decode(), re.MULTILINE)
    assert [int(at) for at, _ in found] == list(range(address, address + count)), output.decode()
    return [int(item, 0) for _, item in found]


async def with_pymodbus(port: int, unit: int, function: int, address: int, count: int) -> list[int]:
    """The same items as pymodbus reads them."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=3.0, retries=0)
    assert await client.connect()
    ask: Any = {
        1: client.read_coils, 2: client.read_discrete_inputs,
        3: client.read_holding_registers, 4: client.read_input_registers,
    }[function]  # fmt: skip
    reply = await ask(address, count=count, device_id=unit)
    client.close()
    items = reply.bits if function <= 2 else reply.registers
    return [int(item) for item in items[:count]]


@pytest.mark.slow
def test_mbpoll_reads_every_block_of_our_demo_devices() -> None:
    if shutil.which("mbpoll") is None:
        pytest.skip("INTEROPERABILITY NOT TESTED: there is no mbpoll (Debian package mbpoll)")
    shipped = load_site("demo")
    ports = free_ports(len(shipped.devices))
    site = replace(
        shipped,
        devices=tuple(replace(d, port=p) for d, p in zip(shipped.devices, ports, strict=True)),
    )

    async def whole() -> int:
        host = WireHost(site, HostOptions(start_utc_ns=START_UTC_NS))
        host.pace.__class__ = StandingPace
        wire = host.wire()
        await wire.start()
        blocks = 0
        try:
            for device in site.devices:
                for block in device.profile.blocks:
                    where = (device.port, device.unit, block.function, block.address, block.count)
                    assert await with_mbpoll(*where) == await with_pymodbus(*where), device.id
                    blocks += 1
        finally:
            await wire.stop()
        return blocks

    assert asyncio.run(whole()) >= len(site.devices)


@pytest.mark.parametrize("peer", PEERS)
def test_probe_finds_out_which_servers_take_several_requests_at_once(peer: str) -> None:
    """pymodbus' answers only the first of a segment."""
    with server(peer) as port, Line(TcpAddress("127.0.0.1", port), timeout_ms=300) as line:
        found = outstanding(line, recognise(Asker(line, 1), []), lambda: None)
    takes = 1 if peer == "pymodbus" else 8
    assert found.greatest is not None
    assert found.greatest.at_once == takes, [each.first for each in found.tallies]
    assert found.after == ""
