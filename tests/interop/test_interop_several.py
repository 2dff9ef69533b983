"""Our master with several requests on their way, against servers of other makers."""

import struct
from collections.abc import Iterator
from typing import Any

import interop_server
import pytest
from frame_tap import Recording, tcp_tap
from interop_rig import held_now, server
from wire_rig import Fields, WireRig

from edgectl._kernel.journal import MailKind
from edgectl._kernel.quality import Quality

pytestmark = [pytest.mark.wire, pytest.mark.slow]

TAKES_SEVERAL = ["libmodbus", "pyModbusTCP", "modbus-serial"]
FIRST_OF_A_SEGMENT = "pymodbus"  # a segment's first request is answered, the others are dropped
BLOCKS = [(25 * at, 2 + 2 * at) for at in range(10)]  # no two as long
PATIENT_NS, SHORT_NS = 2_000_000_000, 200_000_000
SCANS = 10
SETPOINT_W = 5000
BATTERY: Fields = {"refresh_ns": 2**62, "proof.readback_point": -1}


class SeveralRig(WireRig):
    """The rig with ten blocks and a device that is given some time."""

    def __init__(
        self, port: int, outstanding: int, timeout_ns: int, battery: Fields | None = None
    ) -> None:
        self.timeout_ns = timeout_ns
        super().__init__([port], outstanding=outstanding, blocks=BLOCKS, battery=battery)

    def _tables(self, *parts: Any) -> Any:
        tables = super()._tables(*parts)
        tables.devices["timeout_ns"] = self.timeout_ns
        return tables

    def read(self) -> int:
        """Scan; how many good values there are, none of them wrong."""
        _, _, held, _ = interop_server.contents()
        good = [
            each
            for each in self.scan()
            if each.quality == Quality.QUALITY_GOOD and each.address < BLOCKS[-1][0] + 25
        ]
        for each in good:
            assert each.value == held[each.address], f"register {each.address}"
        return len(good)

    def read_until_all(self) -> None:
        """Scan until every register was read."""
        wanted = sum(count for _, count in BLOCKS)
        assert any(self.read() == wanted for _ in range(40))


def frames_of(data: bytes) -> Iterator[int]:
    """The function of each whole frame of a stream."""
    while len(data) > 7:
        (length,) = struct.unpack_from(">H", data, 4)
        yield data[7]
        data = data[6 + length :]


def most_at_once(recording: Recording) -> tuple[int, int]:
    """Requests that were unanswered at one time; and those while one of them was a write."""
    out: list[int] = []
    most = beside = 0
    for _, from_master, data in recording.passed:
        for function in frames_of(data):
            if not from_master:
                out.pop(0)
                continue
            out.append(function)
            most = max(most, len(out))
            if {5, 6, 15, 16} & set(out):
                beside = max(beside, len(out))
    return most, beside


@pytest.mark.parametrize("outstanding", [2, 4, 8])
@pytest.mark.parametrize("peer", TAKES_SEVERAL)
def test_servers_that_take_several_at_once(peer: str, outstanding: int) -> None:
    with server(peer) as port, tcp_tap(port) as (tapped, recordings):
        rig = SeveralRig(tapped, outstanding, PATIENT_NS, BATTERY)
        with rig:
            rig.read_until_all()
            rig.ask(MailKind.MAIL_ARM)
            rig.scan_until(lambda _: rig.link()["writes"] == 1)
            rig.ask(MailKind.MAIL_STORAGE_W, float(SETPOINT_W))
            rig.scan_until(lambda _: rig.link()["writes"] == 2)
            for _ in range(SCANS):
                rig.read()
            link = rig.link()
            wrong = ("timeouts", "late_replies", "bad_replies", "exceptions", "write_failures")
            assert {name: int(link[name]) for name in wrong} == dict.fromkeys(wrong, 0)
            assert link["connects"] == 1
        assert held_now(port, 16, 1) == [SETPOINT_W]
        assert most_at_once(recordings[0]) == (outstanding, 1), "and a write goes alone"


@pytest.mark.parametrize("outstanding", [2, 4, 8])
def test_a_server_that_answers_the_first_of_a_segment_loses_the_others_and_tells_no_lies(
    outstanding: int,
) -> None:
    """So `max_outstanding` stays 1 for it; nothing but the counter of time-outs says why."""
    with server(FIRST_OF_A_SEGMENT) as port:
        rig = SeveralRig(port, outstanding, SHORT_NS)
        with rig:
            good = [rig.read() for _ in range(4 * SCANS)]
            link = rig.link()
        assert max(good) > 0
        assert link["timeouts"] > 0
        assert (link["bad_replies"], link["late_replies"]) == (0, 0)
