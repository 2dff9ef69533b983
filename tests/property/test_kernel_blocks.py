"""Function blocks against models of them that are too simple to be wrong."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from edgectl._kernel.blocks import (
    hysteresis_trace,
    r_trig_trace,
    ramp_trace,
    sr_trace,
    tof_trace,
    ton_trace,
)

DT_NS = 100_000_000

bits = st.lists(st.booleans(), max_size=60)
delays_in_scans = st.integers(min_value=0, max_value=12)
any_float = st.floats(allow_nan=True, allow_infinity=True)
finite = st.floats(allow_nan=False, allow_infinity=False)


def held(inputs: list[bool], scan: int, value: bool) -> int:
    """Scans for which the input has stood at value, up to and without this one; -1: it has not."""
    scans = -1
    while scan >= 0 and inputs[scan] is value:
        scans, scan = scans + 1, scan - 1
    return scans


@given(inputs=bits, delay=delays_in_scans)
def test_on_delay_is_true_exactly_once_the_input_was_true_for_the_delay(
    inputs: list[bool], delay: int
) -> None:
    expected = [held(inputs, scan, True) >= delay for scan in range(len(inputs))]
    assert ton_trace(inputs, delay * DT_NS, DT_NS) == expected


@given(inputs=bits, delay=delays_in_scans)
def test_off_delay_is_false_exactly_once_the_input_was_false_for_the_delay(
    inputs: list[bool], delay: int
) -> None:
    expected = [
        any(inputs[: scan + 1]) and (inputs[scan] or held(inputs, scan, False) < delay)
        for scan in range(len(inputs))
    ]
    assert tof_trace(inputs, delay * DT_NS, DT_NS) == expected


@given(pairs=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60), start=st.booleans())
def test_bistable_remembers_the_last_set_or_reset_and_set_wins(
    pairs: list[tuple[bool, bool]], start: bool
) -> None:
    expected, state = [], start
    for set1, reset in pairs:
        if set1:
            state = True
        elif reset:
            state = False
        expected.append(state)
    assert sr_trace(pairs, start) == expected


@given(inputs=bits)
def test_rising_edge_marks_each_change_to_true_once(inputs: list[bool]) -> None:
    before = [False, *inputs]
    assert r_trig_trace(inputs) == [
        now and not then for then, now in zip(before, inputs, strict=False)
    ]


@given(
    inputs=st.lists(any_float, max_size=40),
    thresholds=st.tuples(finite, finite),
    above=st.booleans(),
)
@example(inputs=[math.nan, 2.0, math.nan, 1.0], thresholds=(1.0, 2.0), above=True)
def test_hysteresis_turns_at_its_thresholds_and_nowhere_else(
    inputs: list[float], thresholds: tuple[float, float], above: bool
) -> None:
    low, high = sorted(thresholds)
    expected, state = [], False
    for value in inputs:
        if (value > high) if above else (value < low):
            state = True
        elif (value <= low) if above else (value >= high):
            state = False
        expected.append(state)
    on, off = (high, low) if above else (low, high)
    assert hysteresis_trace(inputs, on, off, above) == expected


@given(targets=st.lists(any_float, max_size=40), start=finite, step=any_float)
@example(targets=[0.1], start=1e16, step=1.0)
@example(targets=[1e308, -1e308], start=0.0, step=1e308)
def test_ramp_never_leaves_its_band_and_never_passes_its_target(
    targets: list[float], start: float, step: float
) -> None:
    before = start
    for target, out in zip(targets, ramp_trace(targets, start, step), strict=True):
        assert math.isfinite(out)
        if not math.isfinite(target) or not math.isfinite(step) or step < 0:
            assert out == before
        else:
            assert before - step <= out <= before + step
            assert min(before, target) <= out <= max(before, target)
            if abs(target - before) < step:
                assert out == target, "within one step the ramp arrives"
        before = out
