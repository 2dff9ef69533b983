"""What the commissioning verbs believe of a reply, and that they never write."""

from itertools import pairwise

import pytest
from device_rig import HOST

from edgectl.commissioning.client import (
    Failure,
    Fault,
    Line,
    Reply,
    SerialAddress,
    TcpAddress,
    parse_address,
)
from edgectl.commissioning.identify import shipped_profiles
from edgectl.commissioning.probe import probe
from edgectl.plant.fault_server import Fault as WireFault
from edgectl.plant.fault_server import FaultServer, Step
from edgectl.profiles import load_profile

# Python that reads with pymodbus: nothing of ext/ is reached anew
pytestmark = [pytest.mark.untraced, pytest.mark.wire]

TIMEOUT_MS = 150


def line_to(port: int) -> Line:
    return Line(TcpAddress(HOST, port), TIMEOUT_MS)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (WireFault.FEWER_REGISTERS, Fault.BROKEN),
        (WireFault.MORE_REGISTERS, Fault.BROKEN),
        (WireFault.OTHER_FUNCTION, Fault.BROKEN),
        (WireFault.BYTE_COUNT_WRONG, Fault.BROKEN),
        (WireFault.SILENT, Fault.SILENT),
        (WireFault.ID_WRONG, Fault.SILENT),
        (WireFault.GARBAGE, Fault.SILENT),
        (WireFault.OTHER_UNIT, Fault.SILENT),
        (WireFault.ID_ZERO, Fault.BROKEN),
        (WireFault.PROTOCOL_NOT_ZERO, Fault.SILENT),
        (WireFault.CLOSE, Fault.CLOSED),
        (WireFault.EXCEPTION, Fault.EXCEPTION),
    ],
)
def test_a_wrong_reply_is_a_fault_and_the_next_read_is_right(
    fault: WireFault, expected: Fault
) -> None:
    with FaultServer(reads=[Step(fault)]) as server, line_to(server.port) as line:
        first = line.read(1, 3, 100, 2)
        assert isinstance(first, Failure)
        assert first.fault == expected, first.text
        second = line.read(1, 3, 100, 2)
        assert isinstance(second, Reply)
        assert second.words == (100, 101)


def test_a_late_reply_is_never_taken_for_the_next_one() -> None:
    late = Step(WireFault.LATE, delay_s=1.5 * TIMEOUT_MS / 1e3)
    with FaultServer(reads=[late]) as server, line_to(server.port) as line:
        assert isinstance(line.read(1, 3, 100, 2), Failure)
        answer = line.read(1, 3, 200, 2)
        assert isinstance(answer, Reply)
        assert answer.words == (200, 201)


def test_a_device_that_is_mute_after_connect_is_not_cut_off_before_it_speaks() -> None:
    with FaultServer(reads=[Step(WireFault.SILENT)] * 2) as server, line_to(server.port) as line:
        assert isinstance(line.read(1, 3, 1, 1), Failure)
        assert isinstance(line.read(1, 3, 1, 1), Failure)
        assert isinstance(line.read(1, 3, 1, 1), Reply)
        assert server.connections == 1


def test_a_connection_that_stays_mute_is_made_anew() -> None:
    with FaultServer(reads=[Step(WireFault.SILENT)] * 3) as server, line_to(server.port) as line:
        for _ in range(3):
            assert isinstance(line.read(1, 3, 1, 1), Failure)
        assert isinstance(line.read(1, 3, 1, 1), Reply)
        assert server.connections == 2


def test_requests_keep_the_gap_that_is_asked_for() -> None:
    with FaultServer() as server, line_to(server.port) as line:
        line.gap_ms = 30
        for _ in range(3):
            line.read(1, 3, 1, 1)
        times = [each.time_ns for each in server.requests]
    assert min(b - a for a, b in pairwise(times)) >= 28_000_000


def test_bits_are_cut_to_what_was_asked_for() -> None:
    with FaultServer() as server, line_to(server.port) as line:
        answer = line.read(1, 2, 0, 11)
        assert isinstance(answer, Reply)
        assert answer.words == (0,) * 11


def test_nothing_is_ever_written() -> None:
    registers = dict.fromkeys(range(65536), 0)
    with FaultServer(registers) as server, line_to(server.port) as line:
        probe(line, 1, shipped_profiles(), load_profile("storage/sunspec-der-storage"))
        assert {request.function for request in server.requests} <= {1, 2, 3, 4, 43}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", TcpAddress("10.0.0.1", 502)),
        ("plc:1502", TcpAddress("plc", 1502)),
        ("/dev/ttyUSB0", SerialAddress("/dev/ttyUSB0", 19200, "none", 2)),
    ],
)
def test_an_address_is_a_host_or_a_serial_port(
    text: str, expected: TcpAddress | SerialAddress
) -> None:
    assert parse_address(text, 19200, "none", 2) == expected
