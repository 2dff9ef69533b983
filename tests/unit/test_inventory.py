"""A battery's stock in the kernel: its slices, anchors, policies, and the ends of its range."""

from typing import Any

import pytest

from edgectl._kernel.carbon import FlowBench
from edgectl._kernel.inventory import InventoryBench, Origin, StockAnchor, StockMethod, StockStandby

KWH_MJ = 3_600_000_000
SLICES_MAX = 256
HELD_MAX = 2**62
S = 1_000_000_000
GRID, PV, OTHER = Origin.ORIGIN_GRID, Origin.ORIGIN_PV, Origin.ORIGIN_OTHER
ROW = {
    "charge_ppm": 1_000_000, "discharge_ppm": 1_000_000, "standby_milliwatt": 0,
    "capacity_mj": 100_000, "slice_mj": 0, "full_soc_ppm": 900_000, "empty_soc_ppm": 100_000,
    "method": StockMethod.METHOD_WEIGHTED_AVERAGE, "standby": StockStandby.STANDBY_CONCENTRATE,
    "anchors": StockAnchor.ANCHOR_NONE,
}  # fmt: skip
ANCHORED = {"anchors": StockAnchor.ANCHOR_FULL | StockAnchor.ANCHOR_EMPTY}
FIFO = {"method": StockMethod.METHOD_FIFO}


def stock(**rules: Any) -> InventoryBench:
    return InventoryBench(ROW | rules)


def from_origin(origin: Origin, energy_mj: int) -> list[int]:
    return [energy_mj if at == origin else 0 for at in range(4)]


def charge(bench: InventoryBench, energy_mj: int, carbon_ug: int, origin: Origin = GRID) -> None:
    bench.fill(energy_mj, carbon_ug, from_origin(origin, energy_mj))


@pytest.mark.parametrize(
    ("rules", "drawn"), [({}, (500, [50, 50, 0, 0])), (FIFO, (1_000, [100, 0, 0, 0]))]
)
def test_the_average_mixes_and_first_in_first_out_does_not(
    rules: dict[str, Any], drawn: tuple[int, list[int]]
) -> None:
    bench = stock(**rules)
    charge(bench, 100, 1_000)
    charge(bench, 100, 0, PV)
    assert bench.draw(100, 0) == drawn


def test_storage_example_s1_through_the_stock_with_its_origins() -> None:
    """methods.md S1: 17.1 kWh and 4600 g stored, 8 kWh out with 2265.31240382 g."""
    bench = stock(charge_ppm=950_000, discharge_ppm=950_000)
    charge(bench, 10 * KWH_MJ, 4_000_000_000)
    charge(bench, 5 * KWH_MJ, 0, PV)
    charge(bench, 3 * KWH_MJ, 600_000_000)
    assert bench.held()[:2] == (17_100_000 * 3_600, 4_600_000_000)
    carbon_ug, origins_mj = bench.draw(8 * KWH_MJ, 0)
    assert carbon_ug == 2_265_312_403
    assert sum(origins_mj) == 8 * KWH_MJ
    assert origins_mj[GRID] == pytest.approx(8 * KWH_MJ * 13 / 18, abs=1)
    assert bench.held()[0] == -(-8_678_947_368_421 * 3_600 // 1_000_000)
    assert bench.held()[1] == 2_334_687_597


def test_storage_example_s1_first_in_first_out_gives_the_first_ten() -> None:
    bench = stock(charge_ppm=950_000, discharge_ppm=950_000, **FIFO)
    charge(bench, 10 * KWH_MJ, 4_000_000_000)
    charge(bench, 5 * KWH_MJ, 0, PV)
    charge(bench, 3 * KWH_MJ, 600_000_000)
    carbon_ug, origins_mj = bench.draw(8 * KWH_MJ, 0)
    # 8 / 0.95 of the 9.5 kWh of the first slice, at 4000 g in it
    assert carbon_ug == int(8 / 0.95 / 9.5 * 4_000_000_000)
    assert origins_mj == from_origin(GRID, 8 * KWH_MJ)


def test_a_slice_takes_more_until_it_holds_its_part_of_the_capacity() -> None:
    bench = stock(slice_mj=100, **FIFO)
    for _ in range(10):
        charge(bench, 30, 1)
    assert [each[0] for each in bench.slices()] == [120, 120, 60]


def test_the_ring_is_bounded_and_the_two_oldest_become_one() -> None:
    bench = stock(**FIFO)
    for at in range(SLICES_MAX + 3):
        charge(bench, 1, at)
    assert len(bench.slices()) == SLICES_MAX
    assert bench.slices()[0] == (4, 0 + 1 + 2 + 3, [4, 0, 0, 0])
    assert bench.held()[:2] == (SLICES_MAX + 3, sum(range(SLICES_MAX + 3)))
    for _ in range(SLICES_MAX + 3):
        bench.draw(1, 0)
    assert bench.held() == (0, 0, [0, 0, 0, 0])
    assert bench.slices() == [], "a slice that is used up leaves the ring"


@pytest.mark.parametrize("rules", [{}, FIFO])
@pytest.mark.parametrize(
    ("policy", "left_ug"),
    [(StockStandby.STANDBY_CONCENTRATE, 100), (StockStandby.STANDBY_BOOK, 75)],
)
def test_standing_concentrates_the_carbon_or_books_its_share(
    rules: dict[str, Any], policy: StockStandby, left_ug: int
) -> None:
    bench = stock(standby_milliwatt=25, standby=policy, **rules)
    charge(bench, 1_000, 100)
    bench.settle(0, False, 10 * S)
    assert bench.held()[:2] == (750, left_ug)
    assert bench.account() == (250, 100 - left_ug, 0, 0, 0)


def test_standing_power_under_a_millijoule_a_scan_is_carried() -> None:
    bench = stock(standby_milliwatt=25)
    charge(bench, 1_000, 100)
    for _ in range(100):
        bench.settle(0, False, S // 1_000)
    assert bench.held()[:2] == (998, 100), "2.5 mJ in 100 ms"


def test_carbon_that_came_with_no_whole_millijoule_stays_when_the_rest_stands() -> None:
    bench = stock(standby_milliwatt=60, **FIFO)
    charge(bench, 100, 10)
    charge(bench, 0, 7)
    bench.settle(0, False, S)
    assert bench.slices() == [(40, 17, [40, 0, 0, 0])]
    assert bench.held() == (40, 17, [40, 0, 0, 0])


def test_nothing_delivered_draws_no_carbon() -> None:
    bench = stock()
    charge(bench, 0, 7)
    assert bench.draw(0, 480_000) == (0, [0, 0, 0, 0])
    assert bench.held()[:2] == (0, 7)


def test_a_slice_that_vanishes_leaves_its_carbon_to_the_next() -> None:
    bench = stock(standby_milliwatt=101, **FIFO)
    charge(bench, 1, 10)
    charge(bench, 200, 7, PV)
    bench.settle(0, False, S)
    assert bench.slices() == [(100, 17, [0, 100, 0, 0])]


def test_standing_takes_no_more_than_is_held() -> None:
    bench = stock(standby_milliwatt=10**9)
    charge(bench, 1_000, 100)
    bench.begin()
    bench.settle(0, False, S)
    assert bench.held() == (0, 0, [0, 0, 0, 0])
    assert bench.account() == (1_000, 100, 0, 0, 0)


def test_full_corrects_the_energy_and_no_carbon() -> None:
    for before_mj, after in ((80_000, 90_000), (95_000, 90_000)):
        bench = stock(**ANCHORED)
        charge(bench, before_mj, 500)
        bench.settle(900_000, True, 0)
        assert bench.held()[:2] == (after, 500)
        assert bench.account() == (0, 0, after - before_mj, 0, 1)


def test_empty_moves_what_carbon_is_left_to_the_loss_account() -> None:
    bench = stock(**ANCHORED)
    charge(bench, 50_000, 500)
    bench.settle(100_000, True, 0)
    assert bench.held() == (10_000, 0, from_origin(OTHER, 10_000))
    assert bench.account() == (0, 500, -40_000, 0, 1)


def test_an_anchor_counts_once_until_the_charge_has_left_it() -> None:
    bench = stock(**ANCHORED)
    counts = []
    for soc_ppm in (900_000, 950_000, 880_000, 900_000, 879_999, 900_000, 100_000, 120_000, 100_000,
                    120_001, 99_999):  # fmt: skip
        bench.begin()
        bench.settle(soc_ppm, True, 0)
        counts.append(bench.account()[4])
    assert counts == [1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1]


def test_a_state_of_charge_that_is_not_good_corrects_nothing() -> None:
    bench = stock(**ANCHORED)
    charge(bench, 50_000, 500)
    bench.settle(1_000_000, False, 0)
    assert bench.account() == (0, 0, 0, 0, 0)


def test_what_is_declared_at_an_anchor_is_not_corrected_there() -> None:
    bench = stock(**ANCHORED)
    bench.start(10.0, 360_000)
    bench.begin()
    bench.settle(100_000, True, 0)
    assert bench.held() == (10_000, 1_000, from_origin(OTHER, 10_000))
    assert bench.account() == (0, 0, 0, 0, 0)


def test_carbon_of_what_is_declared_is_rounded_down() -> None:
    bench = stock()
    bench.start(0.001, 3_599_999)
    assert bench.held()[:2] == (1, 0)


def test_what_was_charged_before_the_declaration_leaves_by_the_accounts() -> None:
    bench = stock()
    charge(bench, 700, 30)
    bench.start(10.0, 360_000)
    assert bench.held()[:2] == (10_000, 1_000)
    assert bench.account() == (0, 30, -700, 0, 0)


def test_a_charge_under_zero_is_zero() -> None:
    bench = stock(**ANCHORED)
    charge(bench, 50_000, 500)
    bench.settle(-10_000, True, 0)
    assert bench.held() == (0, 0, [0, 0, 0, 0])


@pytest.mark.parametrize("soc_ppm", [1_500_000, 2_000_000])
def test_a_charge_over_one_is_one(soc_ppm: int) -> None:
    bench = stock(**ANCHORED)
    bench.settle(soc_ppm, True, 0)
    assert bench.held()[0] == ROW["capacity_mj"]


@pytest.mark.parametrize("rules", [{}, FIFO])
def test_ten_gigawatt_hours_a_day_for_twenty_years_never_wrap(rules: dict[str, Any]) -> None:
    """Books that gain without end, as when efficiencies are declared too high."""
    day_mj, day_ug = 10 * 10**6 * KWH_MJ, 10 * 10**6 * 10**9
    bench = stock(capacity_mj=day_mj, slice_mj=day_mj // 128, **rules)
    lost_mj = lost_ug = 0
    for _ in range(20 * 365):
        bench.begin()
        charge(bench, day_mj, day_ug)
        bench.settle(0, False, 86_400 * S)
        lost_mj, lost_ug = lost_mj + bench.account()[0], lost_ug + bench.account()[1]
    held_mj, held_ug, origins_mj = bench.held()
    assert held_mj == sum(origins_mj) == HELD_MAX
    assert held_mj + lost_mj == 20 * 365 * day_mj
    assert held_ug + lost_ug == 20 * 365 * day_ug
    for _ in range(100):
        carbon_ug, given_mj = bench.draw(day_mj, 0)
        assert carbon_ug > 0
        assert given_mj == from_origin(GRID, day_mj)


def test_carbon_over_the_range_of_the_books_is_booked_as_lost() -> None:
    bench = stock()
    charge(bench, 1, HELD_MAX)
    bench.begin()
    charge(bench, 1, 7)
    assert bench.held()[:2] == (2, HELD_MAX)
    assert bench.account()[:2] == (0, 7)


def test_what_one_battery_gives_another_keeps_its_origins() -> None:
    bench = FlowBench(1, [(1_000_000, 1_000_000)] * 3, [0.0] * 3, 0)
    bench.trace(300, 300, [0], [600, 0, 0], 3_600_000)
    bench.trace(0, 0, [11], [-100, 40, 49], 0)
    (held, given_mj), (second, _), (third, _) = bench.origins()
    assert given_mj == [50, 50, 0, 0]
    assert held == [250, 250, 0, 0]
    assert sum(second) == 40
    assert sum(third) == 49
    assert [a + b for a, b in zip(second, third, strict=True)] <= given_mj


def test_unmetered_energy_is_of_no_known_origin() -> None:
    bench = FlowBench(0, [(1_000_000, 1_000_000)], [0.0], 0)
    bench.trace(10, 20, [], [70], 0)
    assert bench.origins() == [([10, 20, 0, 40], [0, 0, 0, 0])]
