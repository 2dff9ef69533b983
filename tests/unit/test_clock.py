"""The cadence: absolute deadlines, whole periods skipped, the phase kept."""

import time

from edgectl._kernel.clock import cadence_run, now_ns

PERIOD_NS = 100_000_000
ORIGIN_NS = 7_000_000_123


def ends(*periods: float) -> list[int]:
    """Ends of scans, given in periods since the origin."""
    return [ORIGIN_NS + round(period * PERIOD_NS) for period in periods]


def test_scans_that_end_in_time_run_every_period() -> None:
    indices, overruns, in_row = cadence_run(ORIGIN_NS, PERIOD_NS, ends(0.1, 1.9, 2.5, 3.999))
    assert (indices, overruns, in_row) == ([0, 1, 2, 3], 0, 0)


def test_an_overrun_skips_whole_periods_and_keeps_the_phase() -> None:
    indices, overruns, in_row = cadence_run(ORIGIN_NS, PERIOD_NS, ends(0.5, 3.2, 4.5))
    assert (indices, overruns, in_row) == ([0, 1, 4], 2, 0)


def test_a_scan_that_ends_exactly_at_a_deadline_still_runs_that_period() -> None:
    assert cadence_run(ORIGIN_NS, PERIOD_NS, ends(1.0, 2.0)) == ([0, 1], 0, 0)
    one_ns_over = [ORIGIN_NS + PERIOD_NS + 1, ORIGIN_NS + 3 * PERIOD_NS]
    assert cadence_run(ORIGIN_NS, PERIOD_NS, one_ns_over) == ([0, 2], 1, 0)


def test_no_burst_follows_a_long_stall() -> None:
    indices, overruns, _ = cadence_run(ORIGIN_NS, PERIOD_NS, ends(1000.5, 1001.5, 1002.5))
    assert indices == [0, 1001, 1002]
    assert overruns == 1000


def test_overruns_in_a_row_are_counted_until_a_scan_is_in_time() -> None:
    overrunning = ends(1.5, 3.5, 5.5)
    assert cadence_run(ORIGIN_NS, PERIOD_NS, overrunning)[1:] == (3, 3)
    assert cadence_run(ORIGIN_NS, PERIOD_NS, [*overrunning, *ends(6.5)])[1:] == (3, 0)


def test_the_kernels_clock_is_the_monotonic_clock_of_python() -> None:
    before_ns = time.monotonic_ns()
    assert before_ns <= now_ns() <= time.monotonic_ns()
