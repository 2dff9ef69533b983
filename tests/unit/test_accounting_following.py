"""A metered row or column, second by second, with the counter that stands for it."""

import json
from fractions import Fraction

import pytest

from edgectl.accounting.bounds import MeterUncertainty, point_u_ratio
from edgectl.accounting.corrections import Correction, Table, corrections_of
from edgectl.accounting.following import Closed, MarginBook, Second, Shown
from edgectl.accounting.gaps import Grade
from edgectl.accounting.margins import Margin
from edgectl.accounting.registers import Counter, Event

NS_PER_S = 1_000_000_000
MARGIN = Margin("IT-A", False, 0, 0, ("M.energy_import",), ("M.active_power",), 0.004)
COUNTER = Counter("M.energy_import", Fraction(1_000), 10**9, 2_000)
RUN_MJ = 1_000_000  # a second at 1 kW


def book() -> MarginBook:
    return MarginBook(MARGIN, [COUNTER])


def run(
    held: MarginBook, first: int, last: int, start: int = 0, booked_mj: int = RUN_MJ
) -> list[Closed]:
    """Seconds first to last with a counter that goes on from `start` steps at second 0."""
    closed: list[Closed] = []
    for at in range(first, last + 1):
        shown = Shown(start + 1_000 * at, at * NS_PER_S, 0)
        closed += held.second(Second(at, at, booked_mj), [shown]).closed
    return closed


def lose(held: MarginBook, first: int, last: int, booked_mj: int) -> list[Closed]:
    """Seconds in which the meter is lost."""
    closed: list[Closed] = []
    for at in range(first, last + 1):
        closed += held.second(Second(at, at, booked_mj, 0, 10), None).closed
    return closed


def test_a_window_closes_at_the_quarter_of_an_hour() -> None:
    (window,) = run(book(), 0, 1000)
    assert (window.first_s, window.last_s, window.last_seq) == (1, 899, 899)
    assert (window.booked_mj, window.energy_mj, window.residual_mj) == (899 * RUN_MJ,) * 2 + (0,)
    assert (window.grade, window.factor, window.problem) == (Grade.MEASURED, 1, None)


def test_a_gap_is_between_two_windows_of_its_own() -> None:
    held = book()
    closed = run(held, 0, 100) + lose(held, 101, 400, 3 * RUN_MJ) + run(held, 401, 500)
    before, gap = closed
    assert (before.first_s, before.last_s, before.grade) == (1, 100, Grade.MEASURED)
    assert (gap.first_s, gap.last_s, gap.grade) == (101, 401, Grade.RECOVERED)
    assert gap.gaps == ((101, 400, 0, 3_000),)
    assert (gap.gap_mj, gap.booked_mj) == (900 * RUN_MJ, 901 * RUN_MJ)
    assert gap.energy_mj == 301 * RUN_MJ
    assert gap.problem is None, "what stood in for power is not the meter's fault"


def test_a_gap_in_which_nothing_flowed_is_recovered_as_nothing() -> None:
    held = book()
    run(held, 0, 100)
    lose(held, 101, 200, 3 * RUN_MJ)
    closed: list[Closed] = []
    for at in range(201, 270):
        closed += held.second(Second(at, at, 0), [Shown(100_000, at * NS_PER_S, 0)]).closed
    (gap,) = closed
    assert gap.energy_mj == 0
    assert gap.booked_mj == 300 * RUN_MJ


def test_pieces_between_readings_and_seconds_cancel_over_adjoining_windows() -> None:
    held = book()
    closed: list[Closed] = []
    for at in range(2000):
        # Read 0.4 s before the end of the second: 400 steps less than at its end.
        shown = Shown(10_000 + 1_000 * at, at * NS_PER_S, 400_000 if at % 2 else 300_000)
        closed += held.second(Second(at, at, RUN_MJ), [shown]).closed
    closed += held.finish()
    register_mj = sum(each.register_mj for each in closed)
    assert register_mj == 1999 * RUN_MJ
    assert sum(each.energy_mj for each in closed) == register_mj + 400_000 - 300_000


def test_power_that_the_counter_does_not_confirm_is_a_problem_and_the_counter_is_booked() -> None:
    (window,) = run(book(), 0, 900, booked_mj=RUN_MJ * 103 // 100)
    assert window.energy_mj == 899 * RUN_MJ
    assert window.problem is not None
    assert window.problem in window.reason
    assert 2 * window.u_residual_mj < window.residual_mj


def test_a_reset_leaves_what_came_before_as_booked() -> None:
    held = book()
    run(held, 0, 100, start=10**8)
    found = held.second(Second(101, 101, RUN_MJ), [Shown(0, 101 * NS_PER_S, 0)])
    assert found.events == (("M.energy_import", Event.RESET),)
    assert found.closed == ()
    (window,) = run(held, 102, 900, start=-101_000)
    assert (window.first_s, window.last_s) == (102, 899)
    assert window.energy_mj == window.booked_mj


def test_a_counter_that_runs_backwards_confirms_nothing() -> None:
    held = book()
    run(held, 0, 100)
    events = []
    for at in range(101, 111):
        shown = Shown(100_000 - 500 * (at - 100), at * NS_PER_S, 0)
        found = held.second(Second(at, at, RUN_MJ), [shown])
        assert found.closed == ()
        events += [event for _, event in found.events]
    assert events == [Event.REVERSED] * 10
    assert held.finish() == ()


def test_a_meter_that_comes_and_goes_makes_one_window_a_minute() -> None:
    held = book()
    closed = run(held, 0, 100)
    for at in range(101, 700, 3):
        closed += lose(held, at, at + 1, 2 * RUN_MJ) + run(held, at + 2, at + 2)
    assert len(closed) <= 11
    assert sum(each.energy_mj for each in closed) == (closed[-1].last_s) * RUN_MJ
    assert closed[-1].gap_mj == 4 * RUN_MJ * len(closed[-1].gaps)


def test_a_counter_that_stays_beyond_belief_is_another_one() -> None:
    held = book()
    run(held, 0, 100)
    events = []
    for at in range(101, 115):
        shown = Shown(5 * 10**8 + 1_000 * at, at * NS_PER_S, 0)
        events += held.second(Second(at, at, RUN_MJ), [shown]).events
    assert [event for _, event in events] == [Event.IMPLAUSIBLE] * 9 + [Event.SWAPPED]
    (window,) = run(held, 115, 900, start=5 * 10**8)
    assert window.energy_mj == window.booked_mj, "the jump is nobody's energy"


def test_a_book_goes_on_where_its_state_says() -> None:
    whole, parts = book(), book()
    at_once = run(whole, 0, 300) + lose(whole, 301, 350, 7) + run(whole, 351, 950)
    found = run(parts, 0, 300) + lose(parts, 301, 330, 7)
    again = book()
    again.resume(json.loads(json.dumps(parts.state())))
    found += lose(again, 331, 350, 7) + run(again, 351, 950)
    assert found == at_once
    assert len(found) == 3


def test_seconds_that_a_clock_names_twice_are_corrected_once() -> None:
    held = book()
    run(held, 0, 500)
    held.forget()
    closed: list[Closed] = []
    for at in range(501, 1000):  # UTC was set back by 200 s
        shown = Shown(1_000 * at, at * NS_PER_S, 0)
        closed += held.second(Second(at - 200, at, RUN_MJ), [shown]).closed
    closed += held.finish()
    assert [each.first_s for each in closed] == [501]


def test_several_meters_of_one_margin_are_added() -> None:
    margin = Margin("pv", True, 1, 0, ("A.energy_export", "B.energy_export"),
                    ("A.active_power", "B.active_power"), 0.01)  # fmt: skip
    held = MarginBook(margin, [COUNTER, COUNTER])
    closed: list[Closed] = []
    for at in range(901):
        shown = [Shown(600 * at, at * NS_PER_S, 0), Shown(400 * at, at * NS_PER_S, 0)]
        closed += held.second(Second(at, at, RUN_MJ), shown).closed
    (window,) = closed
    assert window.energy_mj == 899 * RUN_MJ
    assert window.figures(5)["source"] == "pv"
    assert window.figures(5)["meter"] == "A.energy_export+B.energy_export"


def test_of_two_corrections_of_a_window_the_later_holds_and_others_are_passed_over() -> None:
    (window,) = run(book(), 0, 900)
    figures = window.figures(5)
    contents = [{"figures": figures | {"energy_mj": 1}}, {"figures": {"energy_mj": 5}},
                {"figures": figures}]  # fmt: skip
    assert corrections_of(contents) == [Correction.of(figures)]


def test_unmetered_energy_that_a_substitute_called_for_goes_first() -> None:
    energy_mj = {("grid", "IT-A"): 60, ("grid", "HOUSE"): 40, ("unmetered", "IT-A"): 30}
    carbon_ug = {("grid", "IT-A"): 6, ("grid", "HOUSE"): 4, ("unmetered", "IT-A"): 30}
    table = Table(energy_mj, carbon_ug, 480_000)
    table.correct({("IT-A", False): -40})
    assert table.energy_mj == {
        ("grid", "IT-A"): 50, ("grid", "HOUSE"): 40, ("grid", "losses"): 10,
    }  # fmt: skip
    assert sum(table.carbon_ug.values()) == 10, "the grid's carbon, and none that was made up"


def test_what_no_source_can_give_is_unmetered_at_the_highest_factor() -> None:
    table = Table({("grid", "IT-A"): 100, ("grid", "HOUSE"): 50}, {}, 3_600_000)
    table.correct({("IT-A", False): 20})
    assert table.energy_mj["unmetered", "IT-A"] + table.energy_mj["unmetered", "HOUSE"] == 20
    assert sum(table.carbon_ug.values()) == 20


def test_what_is_not_declared_counts_as_poor() -> None:
    start = {
        "meters": [
            {"of": "IT-A", "accuracy_class": "0.2S", "ct_class": "none"},
            {"of": "pv", "accuracy_class": "1", "ct_class": "none"},
            {"of": "pv", "accuracy_class": None, "ct_class": None},
        ],
        "factor_u_ratio": None,
    }
    declared = MeterUncertainty.declared(start)
    assert declared.of("IT-A") == pytest.approx(0.002 / 3**0.5)
    assert declared.of("pv") == declared.of("HOUSE") == point_u_ratio("2", "1")
    assert declared.factor == 0.2
    assert MeterUncertainty.declared({"factor_u_ratio": 0.0}).factor == 0.0
