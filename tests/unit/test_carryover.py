"""A battery's books over a restart: carried as they were, then moved by what moved meanwhile."""

from typing import Any

import pytest

from edgectl._kernel.carryover import CarryoverBench
from edgectl._kernel.inventory import Origin, StockAnchor, StockMethod, StockOpening, StockStandby

HELD_MAX = 2**62
S = 1_000_000_000
MG_PER_KWH = 3_600_000  # an ug for each mJ
REACH_MJ = 10**9
ROW = {
    "charge_ppm": 1_000_000, "discharge_ppm": 1_000_000, "standby_milliwatt": 0,
    "capacity_mj": 1_000, "slice_mj": 0, "full_soc_ppm": 900_000, "empty_soc_ppm": 100_000,
    "method": StockMethod.METHOD_WEIGHTED_AVERAGE, "standby": StockStandby.STANDBY_CONCENTRATE,
    "anchors": StockAnchor.ANCHOR_NONE,
}  # fmt: skip
FIFO = {"method": StockMethod.METHOD_FIFO}
GRID, OTHER = Origin.ORIGIN_GRID, Origin.ORIGIN_OTHER


def charged(*slices: tuple[int, int], soc_ppm: int | None = 500_000, **rules: Any) -> Any:
    """A battery that was charged from the grid with these, mJ and ug, when the run ended."""
    bench = CarryoverBench(ROW | rules)
    for energy_mj, carbon_ug in slices:
        bench.fill(energy_mj, carbon_ug, [energy_mj, 0, 0, 0])
    if soc_ppm is not None:
        bench.note(soc_ppm)
    return bench


def next_run(bench: CarryoverBench, reach_mj: int = REACH_MJ, **rules: Any) -> CarryoverBench:
    kept, slices = bench.kept()
    after = CarryoverBench(ROW | rules)
    after.carry(kept | {"reach_mj": reach_mj}, slices)
    after.begin()
    return after


def test_what_was_used_in_the_dark_leaves_with_its_carbon_whatever_the_policy() -> None:
    after = next_run(charged((400, 800)))
    after.resume(300_000, MG_PER_KWH)
    assert after.held() == (200, 400, [200, 0, 0, 0])
    assert after.account() == (0, 400, -200, 0, 1)
    assert after.opened() == (0, 0)


def test_first_in_first_out_loses_its_oldest_in_the_dark() -> None:
    after = next_run(charged((100, 900), (300, 0), **FIFO), **FIFO)
    after.resume(300_000, MG_PER_KWH)
    assert after.held() == (200, 0, [200, 0, 0, 0])
    assert after.account()[1:3] == (900, -200)
    assert [each[0] for each in after.slices()] == [200]


@pytest.mark.parametrize("rules", [{}, FIFO])
def test_what_came_in_the_dark_has_the_declared_carbon_and_no_known_origin(
    rules: dict[str, Any],
) -> None:
    after = next_run(charged((400, 0), **rules), **rules)
    after.resume(600_000, MG_PER_KWH)
    assert after.held() == (500, 100, [400, 0, 0, 100])
    assert after.account() == (0, 0, 100, 0, 1)
    assert after.opened() == (0, 100)
    assert sum(each[0] for each in after.slices()) == (500 if rules else 0)


def test_what_was_booked_since_is_not_corrected_again() -> None:
    after = next_run(charged((400, 0)))
    after.draw(150, 0)
    after.resume(350_000, MG_PER_KWH)
    assert after.held()[0] == 250
    assert after.account() == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("rules", [{}, FIFO])
def test_where_nothing_moved_nothing_is_touched(rules: dict[str, Any]) -> None:
    after = next_run(charged((0, 7), **rules), **rules)
    slices = after.slices()
    after.resume(500_000, MG_PER_KWH)
    assert after.held() == (0, 7, [0, 0, 0, 0]), "carbon that came with no energy stays"
    assert after.slices() == slices
    assert after.account() == (0, 0, 0, 0, 0)


def test_carbon_of_what_is_found_is_rounded_down_and_what_is_kept_has_no_reach() -> None:
    bench = charged((400, 0))
    assert bench.kept()[0]["reach_mj"] == 0
    after = next_run(bench)
    after.resume(501_000, MG_PER_KWH - 1)
    assert after.account()[2] == 1
    assert after.opened() == (0, 0)


def test_more_than_is_held_cannot_be_missing() -> None:
    after = next_run(charged((100, 7)))
    after.resume(0, MG_PER_KWH)
    assert after.held() == (0, 0, [0, 0, 0, 0])
    assert after.account()[1:3] == (7, -100)


def test_nothing_is_corrected_where_no_state_of_charge_was_known() -> None:
    after = next_run(charged((400, 800), soc_ppm=None))
    after.resume(900_000, MG_PER_KWH)
    assert after.held() == (400, 800, [400, 0, 0, 0])
    assert after.account() == (0, 0, 0, 0, 0)
    assert after.kept()[0]["opening"] == StockOpening.OPENING_RESUMED


@pytest.mark.parametrize(("soc_ppm", "true_up_mj"), [(900_000, 30), (100_000, -30)])
def test_no_more_is_corrected_than_the_battery_can_have_moved(
    soc_ppm: int, true_up_mj: int
) -> None:
    after = next_run(charged((400, 800)), reach_mj=30)
    after.resume(soc_ppm, MG_PER_KWH)
    assert after.account()[2] == true_up_mj


def test_books_that_have_no_room_take_no_more_than_their_range() -> None:
    after = next_run(charged((HELD_MAX - 10, HELD_MAX - 5)))
    after.resume(600_000, MG_PER_KWH)
    assert after.held()[:2] == (HELD_MAX, HELD_MAX)
    assert after.account()[2] == 10
    assert after.opened() == (0, 5)


def test_remainders_and_the_anchor_that_was_visited_go_on() -> None:
    rules = {"charge_ppm": 600_000, "discharge_ppm": 700_000, "standby_milliwatt": 3,
             "anchors": StockAnchor.ANCHOR_FULL}  # fmt: skip
    one, other = (CarryoverBench(ROW | rules) for _ in range(2))
    for bench in (one, other):
        bench.fill(3_001, 50, [3_001, 0, 0, 0])
        bench.draw(5, 0)
        bench.settle(950_000, True, S // 2)
    other = next_run(other, **rules)
    for bench in (one, other):
        bench.begin()
        bench.fill(3_001, 50, [3_001, 0, 0, 0])
        bench.draw(5, 0)
        bench.settle(950_000, True, S // 2)
    assert one.held() == other.held()
    assert one.account() == other.account()
    assert other.account()[4] == 0, "full was corrected before the restart, and is not again"


def test_declaring_opens_the_books_with_all_that_they_then_hold() -> None:
    bench = charged((5, 5))
    bench.begin()
    bench.start(1.0, MG_PER_KWH)
    assert bench.opened() == (1_000, 1_000)
    assert bench.account()[1:3] == (5, -5), "what was charged before leaves openly"
    assert bench.held()[2] == [0, 0, 0, 1_000]
    bench.begin()
    assert bench.opened() == (0, 0)
