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
