"""Function blocks: the turns of each, scan by scan."""

import math

import pytest

from edgectl._kernel.blocks import (
    hysteresis_trace,
    r_trig_trace,
    ramp_trace,
    sr_trace,
    tof_trace,
    ton_trace,
)

SCAN_NS = 100_000_000


def test_on_delay_of_two_scans_turns_true_after_two_scans_of_a_true_input() -> None:
    inputs = [False, True, True, True, True, False, True]
    assert ton_trace(inputs, 2 * SCAN_NS, SCAN_NS) == [
        False, False, False, True, True, False, False,
    ]  # fmt: skip


def test_on_delay_of_zero_follows_its_input_in_the_same_scan() -> None:
    inputs = [True, False, True, True]
    assert ton_trace(inputs, 0, SCAN_NS) == inputs


def test_one_wild_scan_never_passes_an_on_delay() -> None:
    assert not any(ton_trace([True, False] * 50, SCAN_NS, SCAN_NS))


def test_off_delay_of_two_scans_holds_true_for_two_scans_more() -> None:
    inputs = [False, True, False, False, False, True]
    assert tof_trace(inputs, 2 * SCAN_NS, SCAN_NS) == [False, True, True, True, False, True]


def test_off_delay_of_zero_falls_in_the_scan_of_its_input() -> None:
    inputs = [True, False, True, False]
    assert tof_trace(inputs, 0, SCAN_NS) == inputs


def test_off_delay_starts_anew_when_the_input_returns() -> None:
    inputs = [True, False, True, False, False]
    assert tof_trace(inputs, 2 * SCAN_NS, SCAN_NS) == [True] * 5


@pytest.mark.parametrize("start", [False, True])
def test_bistable_is_set_dominant(start: bool) -> None:
    pairs = [(False, False), (True, True), (False, False), (False, True), (False, False)]
    assert sr_trace(pairs, start) == [start, True, True, False, False]


def test_rising_edge_is_true_for_one_scan() -> None:
    inputs = [False, True, True, False, True]
    assert r_trig_trace(inputs) == [False, True, False, False, True]


def test_rising_edge_counts_an_input_that_is_true_from_the_start() -> None:
    assert r_trig_trace([True, True]) == [True, False]


def test_hysteresis_above_keeps_its_state_between_the_thresholds() -> None:
    inputs = [9.0, 10.0, 10.1, 9.0, 8.1, 8.0, 9.0]
    states = hysteresis_trace(inputs, on=10.0, off=8.0, above=True)
    assert states == [False, False, True, True, True, False, False]


def test_hysteresis_below_keeps_its_state_between_the_thresholds() -> None:
    inputs = [9.0, 8.0, 7.9, 9.0, 9.9, 10.0, 9.0]
    states = hysteresis_trace(inputs, on=8.0, off=10.0, above=False)
    assert states == [False, False, True, True, True, False, False]


@pytest.mark.parametrize("above", [True, False])
def test_hysteresis_keeps_its_state_on_an_input_that_is_no_number(above: bool) -> None:
    on, off, tripping = (10.0, 8.0, 11.0) if above else (8.0, 10.0, 7.0)
    states = hysteresis_trace([math.nan, tripping, math.nan], on, off, above)
    assert states == [False, True, True]


def test_ramp_moves_out_by_one_step_a_scan_and_stops_at_the_target() -> None:
    assert ramp_trace([25.0] * 4, 0.0, 10.0) == [10.0, 20.0, 25.0, 25.0]
    assert ramp_trace([-25.0] * 4, 0.0, 10.0) == [-10.0, -20.0, -25.0, -25.0]


@pytest.mark.parametrize("target", [math.nan, math.inf, -math.inf])
def test_ramp_stays_where_it_is_on_a_target_that_is_not_finite(target: float) -> None:
    assert ramp_trace([5.0, target, 5.0], 0.0, 2.0) == [2.0, 2.0, 4.0]


@pytest.mark.parametrize("step", [math.nan, math.inf, -1.0])
def test_ramp_stays_where_it_is_on_a_step_that_is_no_step(step: float) -> None:
    assert ramp_trace([5.0], 1.0, step) == [1.0]
