"""A setpoint is proved: nobody else's write, effect at another meter, firmware it may go to."""

from collections.abc import Iterator
from typing import Any

import pytest
from wire_rig import (
    BLOCKS,
    PERIOD_NS,
    READBACK_ADDRESS,
    SETPOINT_ADDRESS,
    SOC_PERCENT_ADDRESS,
    WireRig,
    all_good,
)

from edgectl._kernel.fieldbus import FirmwareDecode
from edgectl._kernel.journal import MailKind
from edgectl.plant.fault_server import FaultServer
from edgectl.profiles.numbers import version_key

pytestmark = pytest.mark.wire

METER_ADDRESS, _ = BLOCKS[1]  # a register that stands for a meter of the feeder
ASKED_W = 5000
EFFECT_SCANS = 5
FIRMWARE_ADDRESS = 501


@pytest.fixture
def converter() -> Iterator[FaultServer]:
    with FaultServer() as server:
        server.registers |= {SOC_PERCENT_ADDRESS: 50, SETPOINT_ADDRESS: 0, METER_ADDRESS: 0}
        yield server


def armed(server: FaultServer, **options: Any) -> WireRig:
    """A rig that is armed and asked for 5 kW, its battery with a meter of its own."""
    rig = WireRig([server.port], battery={"refresh_ns": 2**62}, **options)
    point = rig.points[0][METER_ADDRESS]
    rig.tables["storages"]["proof"]["meter_point"] = point
    rig.tables["storages"]["proof"]["effect_ns"] = EFFECT_SCANS * PERIOD_NS
    rig.ask(MailKind.MAIL_ARM)
    rig.scan_until(all_good)
    rig.ask(MailKind.MAIL_STORAGE_W, float(ASKED_W))
    return rig


def words_written(server: FaultServer) -> list[int]:
    return [request.words[0] for request in server.written()]


def test_a_foreign_write_is_seen_told_and_written_over(converter: FaultServer) -> None:
    with armed(converter) as rig:
        rig.scan_until(lambda _: converter.registers[SETPOINT_ADDRESS] == ASKED_W)
        for _ in range(4):
            rig.scan()
        assert rig.proof("proof.foreign_write") == 0.0
        converter.registers[READBACK_ADDRESS] = 700  # another master's setpoint
        rig.scan_until(lambda _: rig.proof("proof.foreign_write") == 1.0, scans_max=4)
        rig.scan_until(lambda _: converter.registers[SETPOINT_ADDRESS] == ASKED_W, scans_max=4)
        assert words_written(converter)[-2:] == [ASKED_W, ASKED_W]
        assert rig.reader.snapshot()["head"]["foreign_writes"] == 1


def test_a_converter_that_says_yes_and_does_nothing_is_found_by_the_other_meter(
    converter: FaultServer,
) -> None:
    with armed(converter) as rig:
        rig.scan_until(lambda _: converter.registers[SETPOINT_ADDRESS] == ASKED_W)
        for _ in range(EFFECT_SCANS - 2):
            rig.scan()
            assert rig.proof("proof.effect_error") == 0.0, "its time is not over"
        rig.scan_until(lambda _: rig.proof("proof.effect_error") == ASKED_W, scans_max=8)
        assert rig.proof("proof.readback_error") == 0.0, "it shows the setpoint all the while"
        converter.registers[METER_ADDRESS] = ASKED_W
        rig.scan_until(lambda _: rig.proof("proof.effect_error") == 0.0, scans_max=4)


def firmware(low: str, high: str) -> dict[str, Any]:
    """A version probe of two registers."""
    return {
        "address": FIRMWARE_ADDRESS, "count": 2, "function": 3, "ranges": 1,
        "decode": int(FirmwareDecode.FIRMWARE_WORDS),
        "low": [version_key(low), 0, 0, 0], "high": [version_key(high), 0, 0, 0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("version", "writable"), [((2, 0), 1), ((2, 9), 1), ((3, 0), 0), ((1, 9), 0)]
)
def test_only_a_firmware_in_the_profiles_range_is_written(
    converter: FaultServer, version: tuple[int, int], writable: int
) -> None:
    converter.registers |= {FIRMWARE_ADDRESS: version[0], FIRMWARE_ADDRESS + 1: version[1]}
    with armed(converter, probes=[firmware("2", "3")]) as rig:
        for _ in range(10):
            rig.scan()
        assert all_good(rig.readings()), "it is read either way"
        assert (rig.link()["identified"], rig.link()["writable"]) == (1, writable)
        assert rig.link()["firmware"] == version_key(f"{version[0]}.{version[1]}")
        assert bool(words_written(converter)) == bool(writable)
