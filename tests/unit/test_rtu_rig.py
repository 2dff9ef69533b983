"""The scripted slave does what its script says: seen by pymodbus' master and as bytes."""

import os
import select
import tty
from collections.abc import Iterator

import pytest
from pymodbus.client import ModbusSerialClient
from pymodbus.framer import FramerRTU
from rtu_rig import NOISE, RtuSlave, Say, crc

pytestmark = [pytest.mark.untraced, pytest.mark.wire]  # the rig of other tests
QUIET_S = 0.15
PATIENCE_S = 10.0  # until what should come is given up


@pytest.fixture
def slave() -> Iterator[RtuSlave]:
    with RtuSlave({3, 4}, delay_s=0.1, gap_s=0.002) as line:
        yield line


def request(unit: int) -> bytes:
    """Two holding registers from 100."""
    body = bytes([unit, 3, 0, 100, 0, 2])
    return body + crc(body)


def reply(unit: int, first: int) -> bytes:
    return reply_of(unit, first, first + 1)


def reply_of(unit: int, *words: int) -> bytes:
    body = bytes([unit, 3, 2 * len(words), *b"".join(each.to_bytes(2, "big") for each in words)])
    return body + crc(body)


class Port:
    """The master's side, byte by byte."""

    def __init__(self, slave: RtuSlave) -> None:
        self.descriptor = os.open(slave.port, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.descriptor)

    def ask(self, unit: int) -> None:
        os.write(self.descriptor, request(unit))

    def heard(self, wanted: int) -> list[bytes]:
        """So many bytes, however long they take, and what comes before QUIET_S without more."""
        pieces: list[bytes] = []
        while select.select([self.descriptor], [], [], self._patience_s(pieces, wanted))[0]:
            pieces.append(os.read(self.descriptor, 256))
        return pieces

    def _patience_s(self, pieces: list[bytes], wanted: int) -> float:
        return QUIET_S if sum(map(len, pieces)) >= wanted else PATIENCE_S


@pytest.fixture
def port(slave: RtuSlave) -> Iterator[Port]:
    master = Port(slave)
    yield master
    os.close(master.descriptor)


def test_pymodbus_reads_what_the_slave_holds(slave: RtuSlave) -> None:
    slave.registers[4, 101] = 77
    with ModbusSerialClient(slave.port, timeout=1.0, retries=0) as master:
        read = master.read_holding_registers
        assert read(100, count=2, device_id=3).registers == [3100, 3101]
        assert read(100, count=2, device_id=4).registers == [4100, 77]
        slave.script[3].append(Say.EXCEPTION)
        assert read(100, count=2, device_id=3).exception_code == 2
    assert [(each.unit, each.address, each.count) for each in slave.asked] == [
        (3, 100, 2), (4, 100, 2), (3, 100, 2),
    ]  # fmt: skip


WRONG = reply(3, 3100)[:-2] + b"\0\0"
OTHER = bytes([43]) + reply(3, 3100)[1:-2]
FEWER = bytes([3, 3, 2, *(3100).to_bytes(2, "big")])


@pytest.mark.parametrize(
    ("say", "bytes_heard"),
    [
        (Say.RIGHT, reply(3, 3100)),
        (Say.SILENT, b""),
        (Say.BAD_CRC, WRONG),
        (Say.OTHER_UNIT, OTHER + crc(OTHER)),
        (Say.LATE, reply(3, 3100)),
        (Say.BYTE_WISE, reply(3, 3100)),
        (Say.TRUNCATED, reply(3, 3100)[:-3]),
        (Say.NOISE_BEFORE, NOISE + reply(3, 3100)),
        (Say.NOISE_AFTER, reply(3, 3100) + NOISE),
        (Say.ECHO, request(3) + reply(3, 3100)),
        (Say.EXCEPTION, b"\x03\x83\x02" + crc(b"\x03\x83\x02")),
        (Say.FEWER, FEWER + crc(FEWER)),
    ],
    ids=lambda each: each.name if isinstance(each, Say) else "",
)
def test_a_script_is_what_comes(slave: RtuSlave, port: Port, say: Say, bytes_heard: bytes) -> None:
    slave.script[3].append(say)
    port.ask(3)
    pieces = port.heard(len(bytes_heard))
    assert b"".join(pieces) == bytes_heard
    if say in (Say.NOISE_BEFORE, Say.NOISE_AFTER, Say.BYTE_WISE):
        assert len(pieces) > 1, "not in one piece"
    port.ask(3)
    after = reply(3, 3100)
    assert b"".join(port.heard(len(after))) == after, "the script is used up"


def test_every_behaviour_is_tried_above() -> None:
    (tried,) = (
        mark.args[1]
        for mark in test_a_script_is_what_comes.pytestmark  # type: ignore[attr-defined]
    )
    assert {say for say, _ in tried} == set(Say)


def test_a_late_reply_lets_other_units_pass_and_none_of_its_own() -> None:
    now_s = 0.0
    with RtuSlave({3, 4}, delay_s=0.1, clock=lambda: now_s) as slave:
        port = Port(slave)
        slave.script[3].append(Say.LATE)
        for unit in (3, 4):
            port.ask(unit)
        at_once = reply(4, 4100)
        assert b"".join(port.heard(len(at_once))) == at_once
        slave.registers[3, 100] = 77
        port.ask(3)
        assert port.heard(0) == []
        now_s = 0.1
        late = reply(3, 3100) + reply_of(3, 77, 3101)
        assert b"".join(port.heard(len(late))) == late
        os.close(port.descriptor)


def test_the_rigs_crc_is_pymodbus_own() -> None:
    for content in (b"", b"\x01", bytes(range(256))):
        assert crc(content) == FramerRTU.compute_CRC(content).to_bytes(2, "big")
