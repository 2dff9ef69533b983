"""The field bus against devices that answer wrongly, late, twice, in pieces or not at all."""

import random
import signal
import time
from collections.abc import Iterator

import pytest
from free_ports import free_ports
from wire_rig import (
    BLOCKS,
    ONE_AT_A_TIME,
    PERIOD_NS,
    SETPOINT_ADDRESS,
    SEVERAL_AT_ONCE,
    SOC_PERCENT_ADDRESS,
    TIMEOUT_NS,
    Links,
    WireRig,
    all_good,
    assert_no_wrong_value,
)

from edgectl._kernel.fieldbus import LinkState
from edgectl._kernel.journal import MailKind
from edgectl._kernel.quality import Quality, Reason
from edgectl.cli.bench_scan import DEVICE_FIFO_PRIORITY
from edgectl.cli.bench_tables import bus_tables
from edgectl.controller.deadlines import witness_on_time
from edgectl.controller.runtime import Runtime, RuntimeOptions
from edgectl.image import SegmentReader, private_segment
from edgectl.plant.fault_server import Fault, FaultServer, Step
from edgectl.plant.responder import ResponderProcess

pytestmark = pytest.mark.wire

NS_PER_S = 1e9
PAST_TIMEOUT_S = 1.6 * TIMEOUT_NS / NS_PER_S
GOOD = Step()
FIRST_ADDRESS, _ = BLOCKS[0]
HARMLESS = [Step(Fault.BYTE_WISE), Step(Fault.SPLIT, 0.002), Step(Fault.SPLIT, 0.002, at_byte=1)]
REFUSED = [
    Fault.FEWER_REGISTERS, Fault.MORE_REGISTERS, Fault.OTHER_FUNCTION, Fault.OTHER_UNIT,
    Fault.BYTE_COUNT_WRONG,
]  # fmt: skip
CLOSING = [
    Fault.ID_ZERO, Fault.ID_WRONG, Fault.ID_EARLIER, Fault.TWICE, Fault.PROTOCOL_NOT_ZERO,
    Fault.LENGTH_SHORT, Fault.LENGTH_LONG, Fault.GARBAGE,
]  # fmt: skip
CUT_OFF = [Fault.TRUNCATED, Fault.RESET, Fault.CLOSE]
LATE = [  # where several are on their way, one is no later for being held until the next
    pytest.param(ONE_AT_A_TIME, Step(Fault.LATE, PAST_TIMEOUT_S), id="one-late"),
    pytest.param(ONE_AT_A_TIME, Step(Fault.SPLIT, PAST_TIMEOUT_S), id="one-split over it"),
    pytest.param(ONE_AT_A_TIME, Step(Fault.HELD), id="one-before the next"),
    pytest.param(ONE_AT_A_TIME, Step(Fault.BEHIND_NEXT), id="one-behind the next"),
    pytest.param(SEVERAL_AT_ONCE, Step(Fault.LATE, PAST_TIMEOUT_S), id="several-late"),
    pytest.param(SEVERAL_AT_ONCE, Step(Fault.SPLIT, PAST_TIMEOUT_S), id="several-split over it"),
]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as device:
        yield device


@pytest.fixture(params=[ONE_AT_A_TIME, SEVERAL_AT_ONCE], ids=["one", "several"])
def links(request: pytest.FixtureRequest) -> Links:
    """All faults are for a link with one request on its way, and for one with several."""
    found: Links = request.param
    return found


def of_links(links: Links, *codes: int) -> list[tuple[Links, int]]:
    """Cases of exception codes, of which several at once need no more than one."""
    return [(links, code) for code in codes]


def run(rig: WireRig, server: FaultServer, scans: int) -> None:
    """Scan so often; no value may be wrong in any of them."""
    for _ in range(scans):
        assert_no_wrong_value(rig.scan(), server)


@pytest.mark.parametrize("step", HARMLESS, ids=["bytes", "after header", "after first byte"])
def test_a_reply_in_pieces_is_as_good_as_one_in_a_piece(
    links: Links, server: FaultServer, step: Step
) -> None:
    server.reads.extend([step] * 12)
    with links.rig([server.port]) as rig:
        rig.scan_until(all_good)
        run(rig, server, 5)
        link = rig.link()
        assert (link["bad_replies"], link["connects"]) == (0, 1)


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.name)
def test_a_broken_reply_never_reaches_the_image(
    links: Links, server: FaultServer, fault: Fault
) -> None:
    with links.rig([server.port]) as rig:
        rig.scan_until(all_good)
        server.reads.extend([Step(fault), Step(fault)])
        run(rig, server, 4)
        rig.scan_until(all_good)
        link = rig.link()
        assert link["bad_replies"] == 2
        assert server.connections == 1, "the stream is still in step: it is kept"


@pytest.mark.parametrize("fault", CLOSING, ids=lambda fault: fault.name)
def test_a_reply_that_answers_nothing_we_asked_closes_the_connection(
    links: Links, server: FaultServer, fault: Fault
) -> None:
    with links.rig([server.port]) as rig:
        rig.scan_until(all_good)
        server.reads.append(Step(fault))
        run(rig, server, 2)
        rig.scan_until(lambda _: server.connections == 2)
        rig.scan_until(all_good)
        assert rig.link()["bad_replies"] >= 1


@pytest.mark.parametrize("fault", CUT_OFF, ids=lambda fault: fault.name)
def test_a_connection_that_is_cut_comes_back(
    links: Links, server: FaultServer, fault: Fault
) -> None:
    with links.rig([server.port]) as rig:
        rig.scan_until(all_good)
        server.reads.append(Step(fault))
        run(rig, server, 2)
        rig.scan_until(lambda _: server.connections == 2)
        rig.scan_until(all_good)


@pytest.mark.parametrize(("links", "step"), LATE)
def test_a_late_reply_never_desynchronises(links: Links, server: FaultServer, step: Step) -> None:
    with links.rig([server.port]) as rig:
        rig.scan_until(all_good)
        before = rig.link()["late_replies"]
        server.reads.extend([step, *[GOOD] * (len(links.blocks) - 1), step])
        run(rig, server, 6)
        rig.scan_until(all_good)
        link = rig.link()
        assert link["late_replies"] - before == link["timeouts"] >= 2
        assert server.connections == 1, "a late reply is dropped, not a reason to reconnect"


def test_a_device_that_is_always_late_is_never_believed_for_another_register(
    links: Links,
    server: FaultServer,
) -> None:
    server.reads.extend([Step(Fault.LATE, PAST_TIMEOUT_S)] * 30)
    with links.rig([server.port]) as rig:
        run(rig, server, 12)
        server.reads.clear()
        rig.scan_until(all_good)
        run(rig, server, 3)


@pytest.mark.parametrize(
    ("links", "code"), [*of_links(ONE_AT_A_TIME, 1, 2, 3), *of_links(SEVERAL_AT_ONCE, 2)]
)
def test_an_exception_for_what_is_asked_is_a_configuration_error(
    links: Links, server: FaultServer, code: int
) -> None:
    server.reads.extend([Step(Fault.EXCEPTION, code=code)] * 1000)
    with links.rig([server.port]) as rig:
        rig.scan_until(
            lambda found: any(one.reason == Reason.REASON_CONFIGURATION for one in found)
        )
        assert all(one.quality == Quality.QUALITY_BAD for one in rig.readings())
        run(rig, server, 10)
        assert rig.link()["exceptions"] == len(links.blocks), (
            "what is illegal is not asked each scan"
        )


@pytest.mark.parametrize(
    ("links", "code"), [*of_links(ONE_AT_A_TIME, 4, 5, 6, 8, 10, 11), *of_links(SEVERAL_AT_ONCE, 6)]
)
def test_an_exception_of_the_moment_passes(links: Links, server: FaultServer, code: int) -> None:
    with links.rig([server.port]) as rig:
        rig.scan_until(all_good)
        server.reads.append(Step(Fault.EXCEPTION, code=code))
        run(rig, server, 2)
        rig.scan_until(all_good)
        assert (rig.link()["exceptions"], server.connections) == (1, 1)


def test_another_unit_in_the_reply_is_taken_only_where_the_profile_says_so(
    links: Links,
    server: FaultServer,
) -> None:
    server.reads.extend([Step(Fault.OTHER_UNIT)] * 1000)
    with links.rig([server.port], any_unit=True) as rig:
        rig.scan_until(all_good)
        run(rig, server, 2)


def test_a_silent_device_goes_stale_and_is_never_good_on_old_words(
    links: Links, server: FaultServer
) -> None:
    with links.rig([server.port]) as rig:
        rig.scan_until(all_good)
        server.reads.extend([Step(Fault.SILENT)] * 1000)
        server.registers.update(dict.fromkeys(range(100, 260), 9999))
        rig.scan_until(
            lambda found: all(one.reason == Reason.REASON_COMMUNICATION for one in found)
        )
        assert {one.value for one in rig.readings()} == {
            float(address + word) for address, count in links.blocks for word in range(count)
        }, "the last value stays to be seen, as bad"


def test_a_device_that_is_not_there_is_asked_for_at_growing_intervals(links: Links) -> None:
    (port,) = free_ports(1)  # while nobody listens there, no connection may take it
    with FaultServer(port=port) as server, links.rig([port]) as rig:
        rig.scan_until(all_good)
        server.stop()
        rig.scan_until(lambda _: rig.link_state() == LinkState.LINK_DOWN)
        run(rig, server, 10)
        with FaultServer(port=port) as back:
            rig.scan_until(all_good, 120)
            assert back.connections == 1


SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_mixture_of_faults_brings_a_wrong_value_into_the_image(
    links: Links, server: FaultServer, seed: int
) -> None:
    draw = random.Random(seed)
    undetectable = {Fault.ID_SWAPPED} if links is ONE_AT_A_TIME else set()  # blocks as long
    faults = [each for each in Fault if each not in {Fault.ECHO_WRONG, *undetectable}]
    server.reads.extend(
        Step(draw.choice(faults), draw.uniform(0.0, 2 * PAST_TIMEOUT_S), draw.randrange(1, 17),
             draw.choice([4, 5, 6, 8, 10, 11]))
        for _ in range(60)
    )  # fmt: skip
    with links.rig([server.port]) as rig:
        for scan in range(40):
            server.registers[FIRST_ADDRESS] = 1000 + scan % 2
            readings = rig.scan()
            server.registers[FIRST_ADDRESS] = 1000 + scan % 2
            assert_no_wrong_value(readings[1:], server)
        server.reads.clear()
        rig.scan_until(all_good, 120)


BATTERY = {"refresh_ns": 2**62}


@pytest.fixture
def converter(server: FaultServer) -> FaultServer:
    """A device that takes setpoints; half charged."""
    server.registers |= {SOC_PERCENT_ADDRESS: 50, SETPOINT_ADDRESS: 0}
    return server


def armed(links: Links, server: FaultServer, **battery: int) -> WireRig:
    """A rig whose battery was asked for 5 kW; the first write, of 0 W, is through."""
    rig = links.rig([server.port], battery=BATTERY | battery)
    rig.scan_until(all_good)
    rig.ask(MailKind.MAIL_ARM)
    rig.scan_until(lambda _: len(server.written()) == 1)
    rig.ask(MailKind.MAIL_STORAGE_W, 5000.0)
    return rig


def words_written(server: FaultServer) -> list[int]:
    """The setpoints that reached the device, in order."""
    return [request.words[0] for request in server.written()]


def test_a_setpoint_is_written_once_and_read_back(links: Links, converter: FaultServer) -> None:
    with armed(links, converter) as rig:
        rig.scan_until(lambda _: converter.registers[SETPOINT_ADDRESS] == 5000)
        run(rig, converter, 10)
        assert words_written(converter) == [0, 5000]
        assert rig.reader.snapshot()["head"]["readback_mismatches"] == 0
        assert rig.link()["writes"] == 2


@pytest.mark.parametrize(
    "step",
    [Step(Fault.SILENT), Step(Fault.LATE, PAST_TIMEOUT_S), Step(Fault.RESET),
     Step(Fault.EXCEPTION, code=6), Step(Fault.ECHO_WRONG), Step(Fault.ID_WRONG)],
    ids=lambda step: step.fault.name,
)  # fmt: skip
def test_a_write_of_unknown_fate_is_never_blindly_repeated(
    links: Links, converter: FaultServer, step: Step
) -> None:
    with armed(links, converter, **{"proof.readback_point": -1}) as rig:
        converter.writes.append(step)
        run(rig, converter, 25)
        assert words_written(converter) == [0, 5000]
        assert rig.link()["write_failures"] == 1


@pytest.mark.parametrize(
    "step",
    [Step(Fault.LATE, PAST_TIMEOUT_S), Step(Fault.ECHO_WRONG)],
    ids=lambda step: step.fault.name,
)
def test_a_write_whose_reply_was_lost_is_settled_by_reading_back(
    links: Links, converter: FaultServer, step: Step
) -> None:
    with armed(links, converter) as rig:
        converter.writes.append(step)
        run(rig, converter, 15)
        assert words_written(converter) == [0, 5000], "the read-back shows that it took effect"
        assert rig.reader.snapshot()["head"]["readback_mismatches"] == 0


def test_a_write_that_took_no_effect_is_written_again_twice_and_no_more(
    links: Links,
    converter: FaultServer,
) -> None:
    with armed(links, converter) as rig:
        converter.writes.extend([Step(Fault.SILENT)] * 10)
        run(rig, converter, 30)
        assert words_written(converter) == [0, 5000, 5000, 5000]
        assert converter.registers[SETPOINT_ADDRESS] == 0


PROBE = {
    "alternatives": 1, "address": 500, "count": 1, "function": 3,
    "mask": [0xFFFF] * 10, "words": [[4711] * 10] * 8,
}  # fmt: skip


def test_a_device_that_is_not_what_its_profile_says_is_never_read_nor_written(
    links: Links,
    converter: FaultServer,
) -> None:
    with links.rig([converter.port], battery=BATTERY, probes=[PROBE]) as rig:
        rig.ask(MailKind.MAIL_ARM)
        rig.ask(MailKind.MAIL_STORAGE_W, 5000.0)
        run(rig, converter, 12)
        assert converter.written() == []
        assert {request.address for request in converter.requests} == {500}
        assert {one.reason for one in rig.readings()} == {Reason.REASON_CONFIGURATION}
        assert (rig.link()["identified"], rig.link()["refused"]) == (0, 1)


def test_a_device_that_proves_its_identity_is_read_and_written(
    links: Links, converter: FaultServer
) -> None:
    converter.registers[500] = 4711
    with links.rig([converter.port], battery=BATTERY, probes=[PROBE]) as rig:
        rig.ask(MailKind.MAIL_ARM)
        rig.scan_until(all_good)
        rig.scan_until(lambda _: len(converter.written()) == 1)


def test_a_commit_made_before_a_connection_was_lost_is_not_applied_after_it(
    links: Links,
    converter: FaultServer,
) -> None:
    with armed(links, converter, **{"proof.readback_point": -1}) as rig:
        converter.reads.append(Step(Fault.RESET))
        rig.scan_until(lambda _: converter.connections == 2)
        run(rig, converter, 10)
        writes_by_value = words_written(converter)
        assert writes_by_value.count(5000) <= 1


WITNESSED = 1_000  # periods: more than this test waits for on any machine


def await_scans(reader: SegmentReader, scans: int) -> None:
    """Wait until so many are done. The first may be late: memory is locked before it."""
    end_s = time.monotonic() + 60.0
    while reader.journal_head < scans:
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_a_stopped_device_moves_no_other_devices_data_by_a_millisecond() -> None:
    period_ns = 100_000_000
    with (
        ResponderProcess(7, fifo_priority=DEVICE_FIFO_PRIORITY) as healthy,
        ResponderProcess(1) as stopped,
    ):
        tables = bus_tables([*stopped.ports, *healthy.ports], 60, period_ns, faulty=[0])
        segment = private_segment(tables.directory, WITNESSED)
        runtime = Runtime(tables, segment, RuntimeOptions(witness_periods=WITNESSED))
        reader = segment.reader()
        runtime.start()
        try:
            await_scans(reader, 10)
            stopped.process.send_signal(signal.SIGSTOP)
            await_scans(reader, 40)
            links = reader.snapshot()["links"]
            heads = reader.journal(0).records["head"]
        finally:
            stopped.process.send_signal(signal.SIGCONT)
            runtime.stop()
    heads = heads[3:][heads["period"][3:] < WITNESSED]
    seen = heads[witness_on_time(runtime.witness_lateness_ns)[heads["period"]]]
    assert len(seen) > 20, "too few periods with the witness on time to tell"
    assert (seen["devices_fresh"] == seen["devices_counted"]).all()
    assert seen["healthy_age_ns"].max() < period_ns
    assert links[0]["timeouts"] > 2
    assert links[1:]["timeouts"].max() == 0


def test_the_rigs_timeout_leaves_room_for_a_late_reply_in_its_period() -> None:
    assert PAST_TIMEOUT_S * NS_PER_S < PERIOD_NS
