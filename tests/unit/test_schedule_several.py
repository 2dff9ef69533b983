"""The schedule's bound where a device takes several requests at once."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_rig import NO_SYNC, Master, loads_of_several

from edgectl.site_model.model import Scan
from edgectl.site_model.schedule import UNBOUNDED_NS, Cost, Unit, oldest_ns, turn_ns

SCAN = Scan(100, 60)
QUICK = Cost(2, 30)


def device(blocks: int, cost: Cost = QUICK, every: int = 1) -> Unit:
    return Unit((cost,) * blocks, (every,) * blocks, (), 0, NO_SYNC)


@pytest.mark.parametrize("outstanding", range(1, 9))
def test_within_a_period_a_turn_is_what_was_under_way_every_block_once_and_a_loss(
    outstanding: int,
) -> None:
    assert turn_ns([device(10)], 0, SCAN, 0, outstanding) == (outstanding + 10) * 2
    assert turn_ns([device(10)], 0, SCAN, 1, outstanding) == (outstanding + 10) * 2 + 30 - 2


def test_no_more_are_under_way_than_there_are_blocks() -> None:
    assert turn_ns([device(3)], 0, SCAN, 0, 8) == (3 + 3) * 2


@pytest.mark.parametrize("outstanding", range(2, 9))
def test_over_a_period_some_are_read_again_before_one_that_was_passed_over(
    outstanding: int,
) -> None:
    again = outstanding - 2
    unit = device(10, Cost(10, 100))
    assert turn_ns([unit], 0, SCAN, 0, outstanding) == (outstanding + 10 + again) * 10
    slow = device(10, Cost(10, 100), every=9)
    assert turn_ns([slow], 0, SCAN, 0, outstanding) == (outstanding + 10 + again) * 10


def test_but_never_more_than_were_marked_meanwhile() -> None:
    """One block is read at every scan and marked once more; four are slow, once marked at most."""
    unit = replace(device(5, Cost(15, 200)), every=(1, 9, 9, 9, 9))
    marked = turn_ns([replace(unit, every=(9,) * 5)], 0, Scan(1000, 60), 0, 5)
    assert marked == (5 + 5) * 15, "all within a period"
    assert turn_ns([unit], 0, SCAN, 0, 5) == (5 + 5 + 3) * 15


def test_a_write_waits_for_what_is_under_way_and_goes_once_a_scan() -> None:
    unit = replace(device(4), writes=(Cost(3, 30),))
    assert turn_ns([unit], 0, SCAN, 0, 3) == (3 + 4) * 2 + 3 + 3


# What is read how often, and from which scan on, so that a read takes exactly its bound.
REACHED = [
    (2, 52, (1, 1), (0, 0), 4),
    (3, 52, (1, 3, 1, 2), (0, 1, 0, 1), 8),
    (4, 52, (1, 4, 4, 1, 1), (0, 3, 3, 0, 0), 11),
    (5, 50, (3, 3, 4, 1, 2, 4, 1), (2, 2, 2, 0, 1, 0, 0), 15),
    (6, 60, (2, 4, 4, 3, 2, 3, 4, 1), (0, 3, 0, 2, 1, 0, 2, 0), 18),
    (7, 60, (2, 2, 4, 1, 2, 1, 1, 4, 2), (0, 1, 3, 0, 0, 0, 0, 2, 1), 21),
    (8, 25, (2, 1, 2, 3, 2, 4, 4, 1, 2, 1), (0, 0, 1, 0, 0, 3, 3, 0, 1, 0), 24),
]


@pytest.mark.parametrize(("outstanding", "takes", "every", "phases", "requests"), REACHED)
def test_the_bound_of_a_turn_is_reached(
    outstanding: int, takes: int, every: tuple[int, ...], phases: tuple[int, ...], requests: int
) -> None:
    unit = Unit((Cost(takes, 10 * takes),) * len(every), every, (), 0, NO_SYNC)
    never = 10**9
    master = Master([unit], SCAN, Random(1), 1.0, never, outstanding, list(phases))
    master.next_loss = never
    longest = max(poll for what, _, _, poll in master.run(5000) if what == "reply")
    assert longest == turn_ns([unit], 0, SCAN, 0, outstanding) == requests * takes


@settings(max_examples=300, deadline=None)
@given(
    load=st.integers(1, 8).flatmap(
        lambda several: st.tuples(st.just(several), loads_of_several(several))
    ),
    lead=st.integers(1, 99),
    late=st.sampled_from((0.5, 0.9, 1.0)),
    seed=st.integers(0, 2**32),
)
def test_no_value_grows_older_than_its_bound(
    load: tuple[int, Unit], lead: int, late: float, seed: int
) -> None:
    outstanding, unit = load
    scan = Scan(100, lead)
    turn = turn_ns([unit], 0, scan, 1, outstanding)
    clean = turn_ns([unit], 0, scan, 0, outstanding)
    if turn == UNBOUNDED_NS:
        return
    bounds = [
        oldest_ns(every * 100, clean - cost.answered_ns, turn)
        for cost, every in zip(unit.reads, unit.every, strict=True)
    ]
    apart = max(bounds) + 400  # a loss is over before the next
    master = Master([unit], scan, Random(seed), late, apart, outstanding)
    fresh: dict[int, int] = {}
    for what, _, item, poll in master.run(min(6 * apart, 40_000)):
        if what == "reply":
            assert poll <= turn
            fresh[item] = master.now
            continue
        for block, since in fresh.items():
            assert master.now - since <= bounds[block]
