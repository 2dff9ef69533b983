"""A meter's counter: what each reading is, and what becomes of the seconds between."""

from fractions import Fraction

import pytest

from edgectl.accounting.registers import (
    Counter,
    CounterReader,
    Event,
    MeterBook,
    reconcile,
    step_of_mj,
)
from edgectl.errors import DataError

S = 1_000_000_000
HOUR = 3_600 * S
KWH_MJ = 3_600_000_000
COUNTER = Counter("PM5560 4711", Fraction(KWH_MJ), 1_000_000, 1_000_000)  # 1 kWh steps, 1 MW


def read(*readings: tuple[int, int], counter: Counter = COUNTER) -> list[tuple[Event, int, bool]]:
    """Event, kWh and whether it is known, of each (hour, steps)."""
    reader = CounterReader(counter)
    found = [reader.read(hour * HOUR, steps) for hour, steps in readings]
    return [(each.event, each.energy_mj // KWH_MJ, each.known) for each in found]


def test_the_first_reading_adds_nothing_and_the_next_its_difference() -> None:
    assert read((0, 500), (1, 900), (2, 900)) == [
        (Event.FIRST, 0, False),
        (Event.ADVANCED, 400, True),
        (Event.ADVANCED, 0, True),
    ]


def test_a_counter_rolls_over_where_the_power_can_explain_it() -> None:
    assert read((0, 999_900), (1, 150))[1] == (Event.ROLLED_OVER, 250, True)


def test_a_reset_counter_never_gives_a_huge_or_a_negative_energy() -> None:
    assert read((0, 400_000), (1, 300), (2, 500))[1:] == [
        (Event.RESET, 0, False),
        (Event.ADVANCED, 200, True),
    ]


def test_a_counter_that_runs_backwards_is_said_to() -> None:
    assert read((0, 400_000), (1, 399_800), (2, 399_600))[1:] == [(Event.REVERSED, 0, False)] * 2


def test_one_wild_reading_costs_nothing() -> None:
    assert read((0, 400_000), (1, 800_000), (2, 401_000))[1:] == [
        (Event.IMPLAUSIBLE, 0, False),
        (Event.ADVANCED, 1_000, True),
    ]


def test_fractions_of_a_step_are_carried() -> None:
    third = Counter("M", Fraction(10_000, 3), 10**10, 1_000_000)
    reader = CounterReader(third)
    energies = [reader.read(at * HOUR, at).energy_mj for at in range(4)]
    assert energies == [0, 3_333, 3_333, 3_334]


def test_a_swapped_meter_goes_on_where_the_old_one_ended() -> None:
    reader = CounterReader(COUNTER)
    reader.read(0, 1_000)
    new = Counter("PM5560 9999", Fraction(KWH_MJ, 10), 10_000_000, 1_000_000)
    swapped = reader.swap(HOUR, 1_400, new, 77)
    assert (swapped.event, swapped.energy_mj, swapped.known) == (Event.SWAPPED, 400 * KWH_MJ, True)
    assert reader.read(2 * HOUR, 5_077).energy_mj == 500 * KWH_MJ
    assert reader.total_mj == 900 * KWH_MJ


def test_a_current_transformer_s_ratio_is_applied_once() -> None:
    secondary = step_of_mj(Fraction(3_600), Fraction(400, 5), Fraction(1), ratio_in_meter=False)
    assert secondary == 80 * 3_600_000
    assert step_of_mj(Fraction(3_600), Fraction(400, 5), Fraction(1), ratio_in_meter=True) == (
        3_600_000
    )


@pytest.mark.parametrize("steps", [-1, 1_000_000])
def test_a_reading_the_counter_cannot_show_is_refused(steps: int) -> None:
    with pytest.raises(DataError, match="rolls over at 1000000"):
        CounterReader(COUNTER).read(0, steps)


@pytest.mark.parametrize("wrong", [(Fraction(0), 10, 1), (Fraction(1), 1, 1), (Fraction(1), 10, 0)])
def test_a_counter_that_cannot_count_is_refused(wrong: tuple[Fraction, int, int]) -> None:
    with pytest.raises(DataError, match="All three must be over 0"):
        Counter("M", *wrong)


def test_a_second_is_provisional_until_the_counter_speaks_and_is_then_corrected() -> None:
    book = MeterBook(CounterReader(Counter("M", Fraction(1_000), 10**6, 10_000)), 0.004)
    book.reading(0, 0)
    for second, integral_mj in enumerate((100_000, 200_000, 100_500)):
        book.second(second, integral_mj)
    assert len(book.provisional) == 3
    settled = book.reading(3 * S, 400)
    window = settled.window
    assert window is not None
    assert book.provisional == ()
    assert [each.energy_mj for each in window.corrections] == [99_875, 199_750, 100_375]
    assert sum(each.energy_mj for each in window.corrections) == 400_000
    assert sum(each.difference_mj for each in window.corrections) == -500 == -window.residual_mj
    assert (window.factor, window.alarm, window.recovered) == (
        Fraction(400_000, 400_500),
        None,
        False,
    )


def test_a_counter_that_stands_still_leaves_the_seconds_open() -> None:
    book = MeterBook(CounterReader(COUNTER), 0.004)
    book.reading(0, 5)
    book.second(0, 100)
    assert book.reading(S, 5).window is None
    assert book.provisional == ((0, 100),)


def test_seconds_before_a_reset_keep_their_integral_and_say_so() -> None:
    book = MeterBook(CounterReader(COUNTER), 0.004)
    book.reading(0, 400_000)
    book.second(0, 100)
    settled = book.reading(HOUR, 0)
    assert (settled.advance.event, settled.window) == (Event.RESET, None)
    assert settled.unconfirmed == ((0, 100),)
    assert book.provisional == ()


def test_a_wild_reading_closes_nothing() -> None:
    book = MeterBook(CounterReader(COUNTER), 0.004)
    book.reading(0, 400_000)
    book.second(0, 100)
    assert book.reading(S, 900_000).unconfirmed == ()
    assert book.provisional == ((0, 100),)


def test_a_swap_settles_the_seconds_before_it() -> None:
    book = MeterBook(CounterReader(COUNTER), 0.004)
    book.reading(0, 400_000)
    book.second(0, KWH_MJ)
    settled = book.swap(HOUR, 400_001, COUNTER, 0)
    assert settled.window is not None
    assert settled.window.counter_mj == KWH_MJ


def test_a_gap_that_the_counter_bridges_is_spread_flat() -> None:
    window = reconcile([(0, 0), (1, 0), (2, 0)], 100, Fraction(100), 0.004)
    assert window.recovered
    assert window.factor is None
    assert [each.energy_mj for each in window.corrections] == [34, 33, 33]


@pytest.mark.parametrize(
    ("integral_mj", "alarm"),
    [
        (1_000_000, None),
        (1_008_900, None),
        (1_009_100, "residual 9100 mJ"),
        (990_000, "residual -10000 mJ"),
    ],
)
def test_a_residual_over_twice_its_uncertainty_alarms(integral_mj: int, alarm: str | None) -> None:
    """u: 0.4 % of the power, and a step of 5000 mJ over sqrt(6): 4.5 J in all of 1 kJ."""
    found = reconcile([(0, integral_mj)], 1_000_000, Fraction(5_000), 0.004)
    assert found.u_residual_mj == pytest.approx(4_500, rel=0.02)
    assert (found.alarm or "").startswith(alarm or "")
    assert (found.alarm is None) == (alarm is None)


def test_a_factor_outside_two_per_cent_alarms_once_the_step_cannot_explain_it() -> None:
    fine = reconcile([(0, 1_030_000)], 1_000_000, Fraction(10), 0.02)
    assert fine.alarm is not None
    assert fine.alarm.startswith("factor 0.9709")
    coarse = reconcile([(0, 1_030_000)], 1_000_000, Fraction(100_000), 0.02)
    assert coarse.alarm is None, "one step more or less is 10 %"


def test_seconds_that_do_not_follow_one_another_are_a_programming_error() -> None:
    book = MeterBook(CounterReader(COUNTER), 0.004)
    book.second(5, 1)
    with pytest.raises(ValueError, match="does not follow"):
        book.second(5, 1)
