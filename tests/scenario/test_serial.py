"""Serial lines: right values from units that share a line, and no wrong one whatever comes."""

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from rtu_rig import RtuSlave, Say

from edgectl._kernel.clock import now_ns
from edgectl._kernel.fieldbus import FieldBus, LinkKind, LinkState
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.process_image import PointType
from edgectl._kernel.quality import Quality
from edgectl.cli.bench_tables import Draft, add_internal, common_arrays, directory_of, tables_of
from edgectl.controller.ports import open_port
from edgectl.image import private_segment
from edgectl.plant.rows import rows
from edgectl.site_model import Line

pytestmark = pytest.mark.wire

PERIOD_NS = 100_000_000
TIMEOUT_NS = 40_000_000
ADDRESS, COUNT = 100, 4
APART = 100  # registers from one block of a unit to its next
STALE_NS = 10**9


class SerialRig:
    """Kernel and bus over one line, stepped scan by scan.

    blocks  of each unit, all of the same length
    """

    def __init__(self, port: str, units: list[int], blocks: int = 1) -> None:
        self.units, self.blocks = units, blocks
        self.line = Line("RS485-1", port, 38400, "even", 1, 5_000_000, 0, rs485=False)
        draft = Draft()
        draft.links.append(
            {
                "kind": LinkKind.LINK_SERIAL, "devices": len(units), "char_ns": self.line.char_ns,
                "silence_ns": 1_750_000, "idle_ns": 5_750_000, "latency_ns": 5_000_000,
            }
        )  # fmt: skip
        for at, unit in enumerate(units):
            draft.devices.append(
                {
                    "link": 0, "timeout_ns": TIMEOUT_NS, "unit": unit, "first_block": at * blocks,
                    "blocks": blocks, "sync_function": 3, "sync_address": ADDRESS,
                    "sync_counts": (1, 2, 3),
                }
            )  # fmt: skip
            for block in range(at * blocks, (at + 1) * blocks):
                draft.blocks.append(
                    {"device": at, "first_point": block * COUNT, "points": COUNT, "count": COUNT,
                     "address": ADDRESS + APART * (block - at * blocks)}
                )  # fmt: skip
                draft.points += [
                    {"block": block, "device": at, "word": word, "type": PointType.TYPE_U16,
                     "limits.stale_after_ns": STALE_NS}
                    for word in range(COUNT)
                ]  # fmt: skip
        first = add_internal(draft, 0)
        arrays = common_arrays(
            draft, PERIOD_NS, loads=0, first_internal=first,
            meters=[{"point": 0, "hold_ns": PERIOD_NS}],
        )  # fmt: skip
        arrays["dispatch"] = rows("DispatchRow", {"grid_point": 0})
        directory = directory_of(draft, PERIOD_NS, loads=0, storages=0, interlocks=0)
        self.tables = tables_of(arrays, directory)
        self.segment = private_segment(self.tables.directory, 256)
        self.kernel = Kernel(self.tables, self.segment.buffer)
        self.bus = FieldBus(self.kernel, self.tables.links, self.tables.devices, self.tables.probes)
        self.reader = self.segment.reader()
        self.period = 0
        self.origin_ns = now_ns() + PERIOD_NS
        self.bus.open(self.origin_ns)
        self.tend()

    def tend(self) -> None:
        """Open the port when the bus wants it, as the controller does."""
        for link in self.bus.ports_wanted():
            self.bus.offer_port(link, open_port(self.line))

    def scan(self, slave: RtuSlave, times: int = 1) -> None:
        """Serve the bus and scan; a good value that the slave does not hold fails the test."""
        for _ in range(times):
            self.bus.poll(self.origin_ns + self.period * PERIOD_NS)
            self.kernel.step(now_ns(), time.time_ns(), self.period, 0)
            self.period += 1
            for block in range(len(self.units) * self.blocks):
                unit = self.units[block // self.blocks]
                first = ADDRESS + APART * (block % self.blocks)
                for word in range(COUNT):
                    value, quality, *_ = self.kernel.sample(block * COUNT + word)
                    if quality == Quality.QUALITY_GOOD:
                        assert value == slave.register(unit, first + word), f"unit {unit}"

    def good(self, device: int) -> bool:
        """The device's last register has a good value."""
        last = (device + 1) * self.blocks * COUNT - 1
        return bool(self.kernel.sample(last)[1] == Quality.QUALITY_GOOD)

    def link(self, device: int = 0) -> dict[str, int]:
        """Counters of a device."""
        row = self.reader.snapshot()["links"][device]
        return {name: int(row[name]) for name in row.dtype.names}


@pytest.fixture
def slave() -> Iterator[RtuSlave]:
    with RtuSlave({3, 4, 5}) as line:
        yield line


def test_units_that_share_a_line_are_all_read(slave: RtuSlave) -> None:
    rig = SerialRig(slave.port, [3, 4, 5])
    rig.scan(slave, 6)
    assert all(rig.good(at) for at in range(3))
    assert {each.unit for each in slave.asked} == {3, 4, 5}
    assert rig.link(1)["poll_max_ns"] > 0


@pytest.mark.parametrize(
    "say",
    [Say.BAD_CRC, Say.OTHER_UNIT, Say.TRUNCATED, Say.FEWER, Say.SILENT, Say.EXCEPTION],
    ids=lambda say: say.name,
)
def test_a_wrong_reply_never_reaches_the_image_and_harms_no_neighbour(
    slave: RtuSlave, say: Say
) -> None:
    rig = SerialRig(slave.port, [3, 4])
    rig.scan(slave, 4)
    before = rig.link(1)["replies"]
    slave.script[3].extend([say] * 3)
    rig.scan(slave, 6)
    assert rig.link(1)["replies"] >= before + 4, "the other unit has its turns"
    told = rig.link(0)
    count = told["timeouts"] + told["bad_replies"] + told["exceptions"]
    assert count >= 1


@pytest.mark.parametrize("say", [Say.BYTE_WISE, Say.NOISE_BEFORE], ids=lambda say: say.name)
def test_a_reply_in_pieces_or_after_noise_is_taken(slave: RtuSlave, say: Say) -> None:
    rig = SerialRig(slave.port, [3])
    rig.scan(slave, 3)
    slave.script[3].extend([say] * 5)
    rig.scan(slave, 5)
    assert rig.good(0)
    assert rig.link()["timeouts"] == 0


def test_a_late_reply_is_dropped_and_the_next_one_is_its_own(slave: RtuSlave) -> None:
    slave.delay_s = 0.055  # after the timeout, before the quarantine ends
    rig = SerialRig(slave.port, [3, 4])
    rig.scan(slave, 4)
    slave.script[3].append(Say.LATE)
    rig.scan(slave, 2)
    rig.scan(slave, 12)
    assert rig.good(0)
    assert rig.good(1)
    assert rig.link(0)["timeouts"] + rig.link(1)["timeouts"] >= 1
    late = rig.link(0)["late_replies"] + rig.link(1)["late_replies"]
    assert late >= 1


def test_a_dead_unit_is_held_off_for_longer_each_time() -> None:
    with RtuSlave({4}) as slave:
        rig = SerialRig(slave.port, [3, 4])
        rig.scan(slave, 25)
        dead = [each for each in slave.asked if each.unit == 3]
        living = [each for each in slave.asked if each.unit == 4]
        assert len(dead) <= 5, "held off after two failures"
        assert len(living) >= 20
        assert rig.good(1)
        assert not rig.good(0)


def test_a_pulled_adapter_is_opened_again(slave: RtuSlave) -> None:
    rig = SerialRig(slave.port, [3])
    rig.scan(slave, 4)
    assert rig.good(0)
    slave.close()
    rig.scan(slave, 3)
    assert rig.bus.link_states() == [LinkState.LINK_DOWN]
    assert rig.bus.ports_wanted() == [0]
    with RtuSlave({3}) as again:
        rig.line = Line("RS485-1", again.port, 38400, "even", 1, 5_000_000, 0, rs485=False)
        rig.tend()
        rig.scan(again, 6)
        assert rig.good(0)


def test_silence_is_kept_between_a_reply_and_the_next_request(slave: RtuSlave) -> None:
    rig = SerialRig(slave.port, [3, 4, 5])
    rig.scan(slave, 8)
    times = [each.time_s for each in slave.asked]
    least_s = min(later - earlier for earlier, later in pairwise(times))
    assert least_s >= 1.75e-3


LATE_MS = [
    *(110, 130),  # after the timeout and the rest, before the next request is given up
    *(pytest.param(each, marks=pytest.mark.slow) for each in (60, 70, 90, 100, 120, 140, 160, 220)),
    *(pytest.param(each, marks=pytest.mark.slow) for each in (500, 1050, 1100)),
]


@pytest.mark.untraced
@pytest.mark.parametrize("delay_ms", LATE_MS)
def test_a_unit_that_is_always_too_late_has_no_value_and_never_a_wrong_one(
    slave: RtuSlave, delay_ms: int
) -> None:
    """Two blocks of one length: each late reply would do for the other's, but for its step."""
    rig = SerialRig(slave.port, [3], blocks=2)
    rig.scan(slave, 4)
    assert rig.good(0)
    slave.delay_s = delay_ms * 1e-3
    slave.script[3].extend([Say.LATE] * 400)
    rig.scan(slave, 22)  # compares every good value with its own register
    assert rig.link()["timeouts"] >= 2


def test_a_unit_in_step_again_is_read_as_before(slave: RtuSlave) -> None:
    rig = SerialRig(slave.port, [3, 4], blocks=2)
    rig.scan(slave, 4)
    slave.delay_s = 0.12
    slave.script[3].append(Say.LATE)
    begin = len(slave.asked)
    rig.scan(slave, 8)
    own = [each for each in slave.asked[begin:] if each.unit == 3]
    syncs = [each for each in own if each.count != COUNT]
    assert syncs, "the first request after the lost one is as long as no other"
    assert own[1].count != COUNT
    assert rig.good(0)
    assert rig.good(1)


@pytest.mark.slow
def test_a_unit_that_ignores_what_it_does_not_know_comes_back_in_seconds(
    slave: RtuSlave,
) -> None:
    rig = SerialRig(slave.port, [3])
    rig.scan(slave, 4)
    slave.script[3].extend([Say.SILENT] * 4)  # one read, and three that would bring it in step
    rig.scan(slave, 90)
    assert rig.good(0)


def test_a_line_whose_device_could_not_be_found_in_step_is_refused(slave: RtuSlave) -> None:
    rig = SerialRig(slave.port, [3])
    rig.tables["devices"]["sync_function"] = 0
    with pytest.raises(ValueError, match="needs a read to find its step by"):
        FieldBus(rig.kernel, rig.tables["links"], rig.tables["devices"], rig.tables["probes"])
