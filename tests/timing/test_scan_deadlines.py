"""The running threads: cadence, journal and stop, on the real clock."""

import os
import time

import pytest

from edgectl.cli.bench_tables import bus_tables
from edgectl.controller.deadlines import DeadlineLog, deadline_figures
from edgectl.controller.runtime import Runtime, RuntimeOptions
from edgectl.image import SegmentReader, private_segment
from edgectl.plant.responder import ResponderProcess

pytestmark = [pytest.mark.alone, pytest.mark.wire]
PERIOD_NS = 20_000_000


def descriptors() -> int:
    """Open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def await_connected(reader: SegmentReader, scans: int) -> None:
    """Wait until so many more scans are done and every link stands."""
    end = reader.journal_head + scans
    deadline_s = time.monotonic() + 30.0
    while reader.journal_head < end or not reader.snapshot()["links"]["connected"].all():
        assert time.monotonic() < deadline_s
        time.sleep(PERIOD_NS * 1e-9)


@pytest.mark.parametrize("realtime", [True, False])
def test_no_deadline_is_missed_while_the_witness_is_on_time(realtime: bool) -> None:
    periods = 150
    with ResponderProcess(8) as responder:
        tables = bus_tables(responder.ports, 60, PERIOD_NS)
        segment = private_segment(tables.directory, 2 * periods)
        runtime = Runtime(
            tables, segment, RuntimeOptions(realtime=realtime, witness_periods=periods)
        )
        log = DeadlineLog(segment.reader(), 2 * periods)
        runtime.start()
        time.sleep((runtime.origin_ns - time.monotonic_ns() + periods * PERIOD_NS) * 1e-9)
        assert runtime.stop()
        log.drain()
    figures = deadline_figures(log.columns, runtime.witness_lateness_ns, periods)
    assert figures["scans"] + figures["overruns"] == periods
    if figures["witness_late_periods"] > periods // 20:
        pytest.skip(f"the witness was late in {figures['witness_late_periods']} periods: busy host")
    assert figures["missed_while_witness_on_time"] == 0
    assert log.lost == 0


def test_the_scan_ends_by_itself_after_the_scans_asked_for() -> None:
    with ResponderProcess(1) as responder:
        tables = bus_tables(responder.ports, 10, PERIOD_NS)
        segment = private_segment(tables.directory, 64)
        runtime = Runtime(tables, segment, RuntimeOptions(realtime=False, scans_max=10))
        runtime.start()
        assert runtime.wait(5.0)
        runtime.stop()
    heads = segment.reader().journal(0).records["head"]
    assert heads["scan"].tolist() == list(range(len(heads)))
    assert 10 <= len(heads) <= 12, "two more bring the outputs to safe"
    assert (heads["period"][1:] > heads["period"][:-1]).all()


def test_a_running_kernel_frees_and_allocates_no_descriptor_and_leaves_none_behind() -> None:
    with ResponderProcess(4) as responder:
        before = descriptors()
        tables = bus_tables(responder.ports, 10, PERIOD_NS)
        segment = private_segment(tables.directory, 64)
        runtime = Runtime(tables, segment, RuntimeOptions(realtime=False))
        runtime.start()
        await_connected(segment.reader(), scans=1)
        running = descriptors()
        await_connected(segment.reader(), scans=25)
        assert descriptors() == running
        runtime.stop()
        del runtime
        assert descriptors() == before
