"""The trip bench apart from its clock: which trips count, and how a lost one counts."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgectl._kernel.kernel import Kernel
from edgectl.cli.bench_trip import Answers, TripBench, honest, trip_tables
from edgectl.image import private_segment
from edgectl.plant._tripper import serve_trips

PERIOD_NS = 100_000_000
MS = 1_000_000


def answers(*instants: tuple[int, int]) -> Answers:
    """(cause, safe value) of each injection, ms from the first deadline; 0 for never."""
    cause, safe = np.array(instants, dtype=np.int64).T * MS
    return Answers(cause, safe)


def witness(*late_ms: int) -> Any:
    """A runtime whose witness woke so late in each period; -1: not at all."""
    lateness = np.array([each * MS if each >= 0 else -1 for each in late_ms], dtype=np.int64)
    return SimpleNamespace(witness_lateness_ns=lateness, origin_ns=0, period_ns=PERIOD_NS)


@pytest.mark.parametrize(
    ("late_ms", "counts"),
    [
        ((0, 0, 0, 0), True),
        ((0, 12, 0, 0), False),
        ((0, 0, 12, 0), False),
        ((0, -1, 0, 0), False),
        ((12, 0, 0, 0), False),  # period 1 is spoilt by the one before
        ((0, 0, 0, 12), True),
    ],
)
def test_a_trip_counts_where_the_witness_was_on_time_from_cause_to_answer(
    late_ms: tuple[int, ...], counts: bool
) -> None:
    assert honest(answers((130, 260)), witness(*late_ms)).tolist() == [counts]


def test_an_answer_that_never_came_is_over_every_bound() -> None:
    found = answers((130, 260), (300, 0))
    assert found.latency_ns.tolist() == [130 * MS, np.iinfo(np.int64).max]
    assert honest(found, witness(0, 0, 0, 0)).tolist() == [True, True]


def test_causes_come_at_every_phase_of_the_scan_and_the_same_for_a_seed() -> None:
    bench = TripBench(2000, PERIOD_NS, 1)
    delays_ns = bench.delays_ns
    assert (delays_ns == TripBench(2000, PERIOD_NS, 1).delays_ns).all()
    assert (delays_ns != TripBench(2000, PERIOD_NS, 2).delays_ns).any()
    tenths = np.histogram(delays_ns, bins=10, range=(0, PERIOD_NS))[0]
    assert tenths.min() > 100
    assert bench.bound_ns == 300 * MS, "a poll period and 200 ms"


def test_its_tables_are_tables_of_a_kernel() -> None:
    tables = trip_tables([1, 2], PERIOD_NS)
    segment = private_segment(tables.directory, 4)
    kernel = Kernel(tables, segment.buffer)
    kernel.step(10**12, 0)
    assert len(segment.reader().snapshot()["interlocks"]) == 1


def test_the_devices_refuse_columns_of_different_lengths() -> None:
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="of one length"):
        serve_trips(0, 0, 0, 0.0, 1.0, one, two, two)
    with pytest.raises(ValueError, match="not empty"):
        serve_trips(0, 0, 0, 0.0, 1.0, one[:0], one[:0], one[:0])
