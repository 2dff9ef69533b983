"""Demand windows: forecast, room and shortfall, sync, and what was drawn before us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgectl._kernel.demand import DemandBench

DT_NS = 100_000_000
S = 1_000_000_000
LIMIT_W, WINDOW_MS = 1_000_000, 900_000


def begun(elapsed_s: int = 0) -> DemandBench:
    """A window of which so much had passed at start."""
    made = DemandBench(LIMIT_W, WINDOW_MS)
    made.step(0.0, DT_NS, elapsed_s * S)
    return made


def test_what_was_drawn_before_the_start_counts_as_at_the_limit() -> None:
    made = begun(600)
    assert made.window == (LIMIT_W * 600_000, 600_000)
    assert made.step(0.0, 0)[0] == 666_666


def test_a_window_goes_on_into_the_next_with_what_is_over_its_end() -> None:
    made = begun(899)
    made.step(3e6, S + 200_000_000)
    assert made.window == (3_000_000 * 200, 200)


def test_windows_are_counted_in_monotonic_time_from_the_start_on() -> None:
    made = begun(0)
    for _ in range(10):
        made.step(500e3, 90 * S, utc_ns=0)
    assert made.window == (0, 0), "ten steps of 90 s are a window, whatever UTC says"


def test_a_pulse_ends_a_window_early_and_from_then_on_windows_wait_for_it() -> None:
    made = begun(0)
    made.step(1e6, 300 * S, pulsed=True)
    made.step(1e6, DT_NS, pulse=True, pulsed=True)
    assert made.window == (0, 0)
    made.step(2e6, 899 * S, pulsed=True)
    forecast_w, room_w, _ = made.step(2e6, 5 * S, pulsed=True)
    assert made.window[1] == WINDOW_MS, "it stands at its end until the pulse comes"
    assert (forecast_w, room_w) == (2_000_000, 0)
    made.step(0.0, DT_NS, pulse=True, pulsed=True)
    assert made.window == (0, 0)


def test_a_meter_that_never_pulses_does_not_stop_the_windows() -> None:
    made = begun(899)
    made.step(1e6, 2 * S, pulsed=True)
    assert made.window == (1_000_000 * 1000, 1000)


def test_a_stall_longer_than_a_window_begins_one_at_its_most_careful() -> None:
    made = begun(0)
    made.step(0.0, 3600 * S)
    assert made.window == (LIMIT_W * (WINDOW_MS - 1), WINDOW_MS - 1)
    made.step(0.0, 3600 * S, pulse=True)
    assert made.window == (0, 0)


def test_time_under_a_millisecond_is_carried() -> None:
    made = begun(0)
    for _ in range(10):
        made.step(1e6, 1_500_000)
    assert made.window[1] == 15


@pytest.mark.parametrize(
    ("power_w", "taken_w"),
    [(float("nan"), 20_000_000_000), (1e12, 20_000_000_000), (-1e12, -20_000_000_000)],
)
def test_a_power_beyond_reason_is_bounded(power_w: float, taken_w: int) -> None:
    made = begun(0)
    assert made.step(power_w, 0)[0] == taken_w


def test_the_room_is_what_may_still_be_drawn_and_steering_ends_a_second_before_the_window() -> None:
    made = begun(0)
    made.step(0.0, 899_500_000_000)
    assert made.step(0.0, 0)[1] == LIMIT_W * WINDOW_MS // 1000


@pytest.mark.parametrize(
    ("usable_j", "discharge_max_w", "shortfall_w"),
    [
        (0.0, 1e6, 1_000_000),
        (1e12, 0.0, 1_000_000),
        (1e12, 400e3, 600_000),
        (450 * 300e3, 1e6, 700_000),
        (1e12, 5e6, 0),
        (float("nan"), 1e6, 1_000_000),
        (1e12, float("nan"), 1_000_000),
    ],
)
def test_the_batteries_help_with_the_smaller_of_power_and_energy_above_their_floor(
    usable_j: float, discharge_max_w: float, shortfall_w: int
) -> None:
    made = begun(450)
    found = made.step(2e6, 0, usable_j=usable_j, discharge_max_w=discharge_max_w)
    assert found[2] == shortfall_w


@given(
    powers_w=st.lists(st.floats(-2e10, 2e10), min_size=1, max_size=40),
    more_w=st.floats(0.0, 1e9),
    step_ms=st.integers(1, 60_000),
    elapsed_s=st.integers(0, 899),
)
def test_more_power_never_makes_a_lower_forecast_or_more_room(
    powers_w: list[float], more_w: float, step_ms: int, elapsed_s: int
) -> None:
    less, more = begun(elapsed_s), begun(elapsed_s)
    for power_w in powers_w:
        low = less.step(power_w, step_ms * 1_000_000)
        high = more.step(power_w + more_w, step_ms * 1_000_000)
        assert low[0] <= high[0]
        assert low[1] >= high[1]
        assert low[2] <= high[2]


def test_a_window_of_no_length_or_over_an_hour_is_refused() -> None:
    for window_ms in (0, 3_600_001):
        with pytest.raises(ValueError, match="window"):
            DemandBench(1, window_ms)
