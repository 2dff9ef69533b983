"""A battery's books: losses, anchors, shortfall, and where its energy came from."""

import pytest

from edgectl.accounting.storage import (
    DECLARED,
    SLICES_MAX,
    UNMETERED,
    Anchor,
    Inventory,
    Method,
    Rules,
    Standby,
)
from edgectl.errors import DataError

LOSSLESS = Rules(1_000_000, 1_000_000, 3_600_000)  # a shortfall carries 1 ug/mJ
FIFO = Rules(1_000_000, 1_000_000, 3_600_000, Method.FIFO)


def test_the_declared_content_carries_the_declared_intensity() -> None:
    battery = Inventory(LOSSLESS, 1_000, 7_200_000)
    assert (battery.energy_mj, battery.carbon_ug) == (1_000, 2_000)
    assert battery.discharge(500).origins_mj == {DECLARED: 500}


def test_weighted_average_mixes_and_first_in_first_out_does_not() -> None:
    for rules, carbon_ug, origins in (
        (LOSSLESS, 500, {"grid": 50, "pv": 50}),
        (FIFO, 1_000, {"grid": 100}),
    ):
        battery = Inventory(rules)
        battery.charge(100, 1_000, {"grid": 100})
        battery.charge(100, 0, {"pv": 100})
        drawn = battery.discharge(100)
        assert (drawn.carbon_ug, dict(drawn.origins_mj)) == (carbon_ug, origins)


def test_a_charging_loss_leaves_all_the_carbon_in() -> None:
    battery = Inventory(Rules(900_000, 1_000_000, 0))
    assert battery.charge(1_000, 555, {"grid": 1_000}) == 900
    assert (battery.energy_mj, battery.carbon_ug) == (900, 555)


def test_what_is_delivered_beyond_the_books_is_unmetered_at_the_default() -> None:
    battery = Inventory(LOSSLESS)
    battery.charge(60, 6, {"pv": 60})
    drawn = battery.discharge(100)
    assert (drawn.carbon_ug, drawn.shortfall_mj) == (46, 40)
    assert drawn.origins_mj == {"pv": 60, UNMETERED: 40}
    assert battery.shortfall_mj == 40
    assert (battery.energy_mj, battery.carbon_ug) == (0, 0)


@pytest.mark.parametrize(
    ("standby", "left_ug", "lost_ug"), [(Standby.CONCENTRATE, 100, 0), (Standby.BOOK, 75, 25)]
)
@pytest.mark.parametrize("method", Method)
def test_standing_concentrates_the_carbon_or_books_its_share(
    method: Method, standby: Standby, left_ug: int, lost_ug: int
) -> None:
    battery = Inventory(Rules(1_000_000, 1_000_000, 0, method, standby))
    battery.charge(1_000, 100, {"grid": 1_000})
    drawn = battery.stand(250)
    assert (battery.energy_mj, battery.carbon_ug, drawn.carbon_ug) == (750, left_ug, lost_ug)


def test_standing_until_nothing_is_left_books_the_carbon_as_lost() -> None:
    battery = Inventory(LOSSLESS, 100, 3_600_000)
    assert battery.stand(1_000).carbon_ug == 100
    assert (battery.energy_mj, battery.carbon_ug) == (0, 0)


def test_standing_takes_from_every_slice_and_keeps_every_microgram() -> None:
    battery = Inventory(FIFO)
    for carbon_ug in (10, 0, 30):
        battery.charge(100, carbon_ug, {"grid": 100})
    battery.stand(299)
    assert (battery.energy_mj, battery.carbon_ug) == (1, 40)


def test_empty_moves_what_the_books_still_hold_to_the_loss_account() -> None:
    battery = Inventory(LOSSLESS, 500, 3_600_000)
    done = battery.true_up(Anchor.EMPTY, 0)
    assert (done.before_mj, done.after_mj, done.loss_account_ug) == (500, 0, 500)
    assert (battery.energy_mj, battery.carbon_ug) == (0, 0)


@pytest.mark.parametrize("stored_mj", [400, 600])
def test_full_moves_energy_and_no_carbon(stored_mj: int) -> None:
    battery = Inventory(LOSSLESS, 500, 3_600_000)
    assert battery.true_up(Anchor.FULL, stored_mj).loss_account_ug == 0
    assert (battery.energy_mj, battery.carbon_ug) == (stored_mj, 500)
    assert sum(battery.origins_mj.values()) == stored_mj


def test_carbon_left_in_an_empty_battery_goes_to_the_loss_account() -> None:
    battery = Inventory(Rules(1_000_000, 1_000_000, 0, empty_mj=10))
    battery.charge(11, 5, {"grid": 11})
    assert battery.settle_empty() is None
    battery.stand(1)
    settled = battery.settle_empty()
    assert settled is not None
    assert (settled.loss_account_ug, battery.energy_mj, battery.carbon_ug) == (5, 10, 0)
    assert battery.settle_empty() is None


def test_slices_are_bounded_and_nothing_is_lost_when_two_become_one() -> None:
    battery = Inventory(FIFO)
    for at in range(SLICES_MAX + 3):
        battery.charge(1, at, {"grid": 1})
    assert len(battery._slices) == SLICES_MAX
    assert battery.carbon_ug == sum(range(SLICES_MAX + 3))


@pytest.mark.parametrize(
    "wrong",
    [(0, 1, 0), (1, 0, 0), (1_000_001, 1, 0), (1, 1_000_001, 0), (1, 1, -1)],
)
def test_rules_that_make_energy_or_hide_carbon_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="An efficiency over 1 makes energy"):
        Rules(*wrong)


def test_a_charge_whose_origins_do_not_add_up_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="charge of 10 mJ"):
        Inventory(LOSSLESS).charge(10, 0, {"pv": 9})
    with pytest.raises(ValueError, match="a charge is not a discharge"):
        Inventory(LOSSLESS).discharge(-1)


def test_nothing_delivered_draws_nothing() -> None:
    battery = Inventory(LOSSLESS, 5, 3_600_000)
    assert battery.discharge(0).carbon_ug == 0
    assert battery.carbon_ug == 5
