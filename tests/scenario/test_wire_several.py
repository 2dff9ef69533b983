"""Several requests at once on one connection: what only then can go wrong, and goes not."""

from collections.abc import Iterator, Sequence

import pytest
from wire_rig import (
    ONE_AT_A_TIME,
    PERIOD_NS,
    SETPOINT_ADDRESS,
    SEVERAL_AT_ONCE,
    SEVERAL_BLOCKS,
    SOC_PERCENT_ADDRESS,
    TIMEOUT_NS,
    WireRig,
    all_good,
    assert_no_wrong_value,
)

from edgectl._kernel.journal import MailKind
from edgectl.plant.fault_server import WRITES, Fault, FaultServer, Step

pytestmark = pytest.mark.wire

MOST = SEVERAL_AT_ONCE.outstanding
READS = len(SEVERAL_BLOCKS)  # of a scan: MOST at once, and the rest when they are answered
A_WHILE_S = 0.004  # well within the timeout
GOOD, HELD, SILENT = Step(), Step(Fault.HELD), Step(Fault.SILENT)
SLOW, BEHIND = Step(Fault.LATE, A_WHILE_S), Step(Fault.BEHIND_NEXT)
SWAPPED, TWICE = Step(Fault.ID_SWAPPED), Step(Fault.TWICE)
HEADER_BYTES = 9  # of a reply, before its registers
ENDS = [  # of the replies to the first MOST reads of a scan, which begins with the second block
    sum(HEADER_BYTES + 2 * count for _, count in SEVERAL_BLOCKS[1 : 1 + upto])
    for upto in range(1, MOST + 1)
]
CUTS = sorted(
    {*range(1, ENDS[-1], 11), *(end + by for end in ENDS[:-1] for by in (-1, 0, 1, 6, 7, 8))}
)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({SOC_PERCENT_ADDRESS: 50, SETPOINT_ADDRESS: 0}) as device:
        yield device


@pytest.fixture
def rig(server: FaultServer) -> Iterator[WireRig]:
    """Read once without a fault."""
    with SEVERAL_AT_ONCE.rig([server.port]) as made:
        made.scan_until(all_good)
        yield made


def run(rig: WireRig, server: FaultServer, script: Sequence[Step]) -> None:
    """Scan until the script of reads is used up, and once more; no value may be wrong."""
    server.reads.extend(script)
    while server.reads:
        assert_no_wrong_value(rig.scan(), server)
    assert_no_wrong_value(rig.scan(), server)


def faults(rig: WireRig) -> dict[str, int]:
    """The counters of what went wrong that are not zero."""
    link = rig.link()
    names = ("timeouts", "late_replies", "bad_replies", "exceptions")
    return {name: int(link[name]) for name in names if link[name]}


def test_a_device_is_asked_for_several_at_once_and_for_no_more(server: FaultServer) -> None:
    server.reads.extend([SLOW] * 5 * READS)
    with SEVERAL_AT_ONCE.rig([server.port]) as rig:
        rig.scan_until(all_good)
        run(rig, server, ())
    assert max(len(request.beside) for request in server.requests) == MOST - 1


@pytest.mark.parametrize(
    "script",
    [
        [*[BEHIND] * (MOST - 1), GOOD, BEHIND, GOOD],
        [BEHIND, GOOD, GOOD, BEHIND, GOOD, GOOD],
        [*[HELD] * (MOST - 1), GOOD, HELD, GOOD],
    ],
    ids=["backwards", "two exchanged", "in one segment"],
)
def test_replies_in_any_order_are_each_taken_for_what_they_answer(
    rig: WireRig, server: FaultServer, script: list[Step]
) -> None:
    server.registers.update({address: 7 * address for address in range(100, 260)})
    run(rig, server, script * 5)
    assert all_good(rig.readings())
    assert faults(rig) == {}
    assert server.connections == 1


def test_replies_in_one_segment_may_be_cut_anywhere(rig: WireRig, server: FaultServer) -> None:
    script: list[Step] = []
    for cut in CUTS:
        script += [*[HELD] * (MOST - 1), Step(Fault.SPLIT, 0.001, at_byte=cut), HELD, GOOD]
    run(rig, server, script)
    assert all_good(rig.readings())
    assert faults(rig) == {}
    assert server.connections == 1


def test_replies_whose_ids_are_swapped_are_both_refused(rig: WireRig, server: FaultServer) -> None:
    run(rig, server, [GOOD, SWAPPED])
    rig.scan_until(all_good)
    assert faults(rig) == {"bad_replies": 2}
    assert server.connections == 1, "the stream is in step: only the two are lost"


@pytest.mark.parametrize("missing", range(MOST))
def test_a_reply_that_is_missing_keeps_the_others_from_nothing(
    rig: WireRig, server: FaultServer, missing: int
) -> None:
    before = int(rig.link()["replies"])
    run(rig, server, [*[GOOD] * missing, SILENT, *[GOOD] * (READS - 1 - missing)])
    rig.scan_until(all_good)
    assert faults(rig) == {"timeouts": 1}
    assert int(rig.link()["replies"]) - before >= 2 * READS - 1
    assert server.connections == 1


def test_each_is_given_up_at_its_own_time(rig: WireRig, server: FaultServer) -> None:
    """One is lost at once; two that were sent a while later would have been lost with it."""
    slow = Step(Fault.LATE, 0.6 * TIMEOUT_NS / 1e9)
    run(rig, server, [SILENT, *[slow] * (READS - 1)])
    rig.scan_until(all_good)
    assert faults(rig) == {"timeouts": 1}


def test_none_is_waited_for_after_its_time(rig: WireRig, server: FaultServer) -> None:
    """Two are lost that were sent after the first that is lost: all are given up at the scan."""
    server.reads.extend([SILENT, *[SLOW] * (MOST - 1), *[SILENT] * (READS - MOST)])
    assert_no_wrong_value(rig.scan(), server)
    assert faults(rig) == {"timeouts": 1 + READS - MOST}


def test_what_is_lost_together_is_one_failure_of_the_connection(
    rig: WireRig, server: FaultServer
) -> None:
    run(rig, server, [SILENT] * READS)
    rig.scan_until(all_good)
    assert faults(rig) == {"timeouts": READS}
    assert server.connections == 1, "two failures: of the first reads of a scan, and of its others"


def test_a_third_failure_in_a_row_closes_the_connection(rig: WireRig, server: FaultServer) -> None:
    server.reads.extend([SILENT] * 1000)
    rig.scan_until(lambda _: server.connections == 2)
    assert int(rig.link()["timeouts"]) > 2, "no two failures close it"
    server.reads.clear()
    rig.scan_until(all_good)


@pytest.mark.parametrize(
    "script",
    [[TWICE] * MOST, [GOOD, GOOD, GOOD, TWICE], [BEHIND, TWICE], [HELD, HELD, TWICE]],
    ids=["each", "the last", "backwards", "in one segment"],
)
def test_a_reply_that_comes_twice_closes_the_connection(
    rig: WireRig, server: FaultServer, script: list[Step]
) -> None:
    run(rig, server, script)
    rig.scan_until(lambda _: server.connections == 2)
    rig.scan_until(all_good)
    assert faults(rig)["bad_replies"] == 1, "what is lost with the connection is nothing bad"


@pytest.mark.parametrize("late", [HELD, BEHIND], ids=["before", "behind"])
def test_replies_that_all_come_with_the_next_are_dropped(
    rig: WireRig, server: FaultServer, late: Step
) -> None:
    server.registers.update(dict.fromkeys(range(100, 260), 9999))
    server.reads.extend([late] * MOST)
    rig.scan()
    server.registers.update({address: address for address in range(100, 260)})
    run(rig, server, ())
    rig.scan_until(all_good)
    assert_no_wrong_value(rig.readings(), server)
    assert faults(rig) == {"timeouts": MOST, "late_replies": MOST}
    assert server.connections == 1


def test_the_late_replies_of_many_scans_are_each_known(rig: WireRig, server: FaultServer) -> None:
    scans = 12
    late = Step(Fault.LATE, 1.2 * scans * PERIOD_NS / 1e9)
    run(rig, server, [*[late] * (READS - 1), GOOD] * scans)
    lost = scans * (READS - 1)
    assert faults(rig) == {"timeouts": lost}, "none has come yet"
    rig.scan_until(lambda _: faults(rig) == {"timeouts": lost, "late_replies": lost})
    assert server.connections == 1


def test_a_late_reply_is_known_once(server: FaultServer) -> None:
    """One at a time, for then the next request follows the one that was given up."""
    with ONE_AT_A_TIME.rig([server.port]) as rig:
        rig.scan_until(all_good)
        run(rig, server, [HELD, Step(Fault.ID_EARLIER)])
        rig.scan_until(lambda _: server.connections == 2)
        rig.scan_until(all_good)
        assert faults(rig) == {"timeouts": 1, "late_replies": 1, "bad_replies": 1}


def test_a_device_that_answers_only_the_first_of_several_loses_replies_and_tells_no_lies(
    rig: WireRig, server: FaultServer
) -> None:
    run(rig, server, [GOOD, *[SILENT] * (MOST - 1)] * 8)
    assert set(faults(rig)) == {"timeouts"}
    assert server.connections == 1, "it answers: it is not dead"


def test_what_is_no_read_goes_alone(server: FaultServer) -> None:
    """Set points under way among reads that are all slow, and two probes before them."""
    probe = {
        "alternatives": 1, "address": 500, "count": 1, "function": 4,
        "mask": [0xFFFF] * 10, "words": [[500] * 10] * 8,
    }  # fmt: skip
    battery = {"refresh_ns": 2**62}
    server.reads.extend([SLOW] * 1000)
    server.writes.extend([SLOW] * 1000)
    with SEVERAL_AT_ONCE.rig([server.port], battery=battery, probes=[probe, probe]) as rig:
        rig.scan_until(all_good)
        rig.ask(MailKind.MAIL_ARM)
        rig.scan_until(lambda _: len(server.written()) == 1)
        for written in range(2, 8):
            rig.ask(MailKind.MAIL_STORAGE_W, 1000.0 * written)
            rig.scan_until(lambda _, written=written: len(server.written()) == written)
        rig.scan_until(all_good)
        assert faults(rig) == {}
    alone = [each for each in server.requests if each.function in (4, *WRITES)]
    assert len(alone) == 2 + 7
    assert {each.beside for each in alone} == {()}
    assert {function for each in server.requests for function in each.beside} == {3}
