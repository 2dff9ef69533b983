"""The bench's own peers: they must be right before anything is measured against them."""

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from pymodbus.client import ModbusTcpClient

from edgectl.cli.bench_tables import bus_tables, kernel_tables
from edgectl.plant._peers import Behaviour, floor_run
from edgectl.plant.responder import Fault, ResponderProcess

pytestmark = pytest.mark.wire

PERIOD_NS = 20_000_000
READ_ONE_BYTES = 11


def requests(count: int) -> npt.NDArray[np.uint8]:
    """So many equal requests for one register."""
    return np.frombuffer(bytes.fromhex("0001 0000 0006 01 03 0000 0001") * count, np.uint8)


@pytest.fixture(scope="module")
def responder() -> Iterator[ResponderProcess]:
    faults = [Fault(device, kind) for device, kind in enumerate(Behaviour)]
    with ResponderProcess(len(faults), faults, late_ms=100) as process:
        yield process


def client(responder: ResponderProcess, behaviour: Behaviour) -> ModbusTcpClient:
    """A pymodbus client of the device with a behaviour, connected."""
    made = ModbusTcpClient("127.0.0.1", port=responder.ports[behaviour], timeout=0.4, retries=0)
    assert made.connect()  # type: ignore[no-untyped-call]
    return made


def test_the_responder_answers_reads_with_registers_that_move(responder: ResponderProcess) -> None:
    with client(responder, Behaviour.ANSWER) as peer:
        before = peer.read_holding_registers(0, count=10).registers
        after = peer.read_input_registers(0, count=10).registers
    assert len(before) == len(after) == 10
    assert before[0::2] == after[0::2] == [0x4480] * 5
    assert before[1::2] != after[1::2]


def test_the_responder_echoes_writes_and_refuses_what_it_cannot(
    responder: ResponderProcess,
) -> None:
    with client(responder, Behaviour.ANSWER) as peer:
        assert not peer.write_register(7, 99).isError()
        assert not peer.write_registers(7, [1, 2, 3]).isError()
        assert peer.read_coils(0, count=8).exception_code == 1


def test_the_responder_keeps_devices_apart(responder: ResponderProcess) -> None:
    with client(responder, Behaviour.SILENT) as silent, client(responder, Behaviour.ANSWER) as peer:
        silent.send(b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x02")
        assert not peer.read_holding_registers(0, count=2).isError()


def raw_reply(responder: ResponderProcess, behaviour: Behaviour, timeout_s: float) -> bytes:
    """What one device answers to one read, b"" when it closes."""
    port = responder.ports[behaviour]
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as peer:
        peer.sendall(bytes.fromhex("0102 0000 0006 01 03 0000 0001"))
        return peer.recv(300)


@pytest.mark.parametrize(("count", "registers"), [(16, 1), (30, 125), (200, 2)])
def test_what_comes_at_once_is_answered_at_once_and_in_order(
    responder: ResponderProcess, count: int, registers: int
) -> None:
    """More than its buffers hold as well: 30 replies of 259 bytes, 200 requests of 12."""
    reply_bytes = 9 + 2 * registers
    asked = b"".join(struct.pack(">HHHBBHH", at, 0, 6, 1, 3, 0, registers) for at in range(count))
    got = b""
    with socket.create_connection(
        ("127.0.0.1", responder.ports[Behaviour.ANSWER]), timeout=2.0
    ) as peer:
        peer.sendall(asked)
        while len(got) < count * reply_bytes:
            part = peer.recv(65_536)
            assert part, "it closed before all were answered"
            got += part
    replies = [got[at : at + reply_bytes] for at in range(0, len(got), reply_bytes)]
    assert [int.from_bytes(reply[:2], "big") for reply in replies] == list(range(count))
    assert {reply[2:9] for reply in replies} == {
        struct.pack(">HHBBB", 0, 3 + 2 * registers, 1, 3, 2 * registers)
    }


def test_each_behaviour_is_what_its_name_says(responder: ResponderProcess) -> None:
    right = raw_reply(responder, Behaviour.ANSWER, 2.0)
    assert right[:9] == bytes.fromhex("0102 0000 0005 01 03 02")
    assert raw_reply(responder, Behaviour.LATE, 2.0)[:9] == right[:9]
    assert raw_reply(responder, Behaviour.WRONG_ID, 2.0)[:2] != right[:2]
    with pytest.raises(TimeoutError):
        raw_reply(responder, Behaviour.LATE, 0.05)
    with pytest.raises(TimeoutError):
        raw_reply(responder, Behaviour.SILENT, 0.3)
    with pytest.raises(ConnectionResetError):
        raw_reply(responder, Behaviour.RESET, 2.0)


def test_the_responder_ends_with_whoever_started_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgectl.plant.responder", "--devices", "2",
         "--until-stdin-closes"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert len(json.loads(process.stdout.readline())["ports"]) == 2
    process.stdin.close()
    assert process.wait(timeout=5.0) == 0
    process.stdout.close()


@pytest.mark.parametrize("text", ["3", "x=silent", "3=loud", ""])
def test_a_fault_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="is not DEVICE=BEHAVIOUR"):
        Fault.parse(text)


def test_the_floor_says_so_when_a_device_does_not_answer(responder: ResponderProcess) -> None:
    port = responder.ports[Behaviour.SILENT]
    with socket.create_connection(("127.0.0.1", port)) as peer:
        fds = np.array([peer.fileno()], np.int32)
        with pytest.raises(OSError, match="did not answer"):
            floor_run(fds, requests(1), 1, READ_ONE_BYTES, 1, PERIOD_NS, 2)


@pytest.mark.parametrize(("outstanding", "rounds"), [(1, 3), (2, 5), (8, 3), (16, 40)])
def test_the_floor_asks_as_often_as_it_is_told_however_many_at_once(
    responder: ResponderProcess, outstanding: int, rounds: int
) -> None:
    port = responder.ports[Behaviour.ANSWER]
    with socket.create_connection(("127.0.0.1", port)) as peer:
        fds = np.array([peer.fileno()], np.int32)
        asked = floor_run(
            fds, requests(outstanding), outstanding, READ_ONE_BYTES, rounds, PERIOD_NS, 3
        )
    transactions, cpu_ns = asked
    assert transactions == 3 * rounds
    assert cpu_ns > 0


@pytest.mark.parametrize(
    ("count", "outstanding", "said"),
    [(1, 0, "0 requests at once"), (17, 17, "1 to 16 fit"), (5, 8, "60 bytes are not 8 requests"),
     (0, 1, "0 bytes are not 1 requests")],
)  # fmt: skip
def test_what_the_floor_cannot_ask_is_refused(count: int, outstanding: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        floor_run(
            np.array([-1], np.int32), requests(count), outstanding, READ_ONE_BYTES, 1, PERIOD_NS, 1
        )


def test_a_benchs_tables_read_every_register_of_every_device_once() -> None:
    tables = bus_tables([1, 2, 3], 250, PERIOD_NS, faulty=[2])
    assert tables.blocks["count"].reshape(3, -1).sum(axis=1).tolist() == [250] * 3
    assert tables.blocks["address"].tolist() == [0, 124, 248] * 3
    assert tables.devices["counted"].tolist() == [1, 1, 0]
    for at, block in enumerate(tables.blocks):
        points = tables.points[block["first_point"] : block["first_point"] + block["points"]]
        assert (points["block"] == at).all()
        assert points["word"].max() + 2 == block["count"]


@pytest.mark.parametrize("tags", [16, 62, 63, 2000])
def test_a_benchs_site_has_as_many_tags_and_interlocks_as_asked(tags: int) -> None:
    tables = kernel_tables(tags, 30, PERIOD_NS)
    assert int((tables.points["block"] >= 0).sum()) == tags
    assert len(tables.interlocks) == 30
    assert tables.causes["point"].max() < tags
