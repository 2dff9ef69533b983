"""Quality: each reason, the order in which they are judged, and age."""

import math

import pytest

from edgectl._kernel.quality import Quality, Reason, judge

INT64_MAX = 2**63 - 1
S = 1_000_000_000
GOOD = (Quality.QUALITY_GOOD, Reason.REASON_NONE)
State = tuple[Quality, Reason, float]
Arrival = tuple[int, float | None, int]


def states(
    *arrivals: Arrival,
    slew_max_per_s: float = math.inf,
    stale_after_ns: int = INT64_MAX,
    frozen_after_ns: int = INT64_MAX,
) -> list[State]:
    """Judge arrivals (s, value or None for no reply, raw) of a point valid from -100 to 100."""
    samples = [(time_s * S, value, raw) for time_s, value, raw in arrivals]
    return [
        (Quality(quality), Reason(reason), value)
        for quality, reason, value in judge(
            samples, -100.0, 100.0, slew_max_per_s, stale_after_ns, frozen_after_ns
        )
    ]


def test_a_value_in_range_is_good() -> None:
    assert states((1, 42.0, 42)) == [(*GOOD, 42.0)]


@pytest.mark.parametrize("value", [-100.0, 100.0])
def test_the_limits_belong_to_the_range(value: float) -> None:
    assert states((1, value, 1)) == [(*GOOD, value)]


@pytest.mark.parametrize("value", [-100.0000001, 100.0000001, 1e300])
def test_a_value_out_of_range_is_bad_and_is_not_kept(value: float) -> None:
    bad = (Quality.QUALITY_BAD, Reason.REASON_OUT_OF_RANGE, 5.0)
    assert states((1, 5.0, 5), (2, value, 6)) == [(*GOOD, 5.0), bad]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_bad_and_is_not_kept(value: float) -> None:
    bad = (Quality.QUALITY_BAD, Reason.REASON_NOT_FINITE, 5.0)
    assert states((1, 5.0, 5), (2, value, 6)) == [(*GOOD, 5.0), bad]


def test_nothing_is_good_before_its_first_reply() -> None:
    not_yet = (Quality.QUALITY_BAD, Reason.REASON_NOT_YET, 0.0)
    assert states((1, None, 0), (2, None, 0)) == [not_yet, not_yet]


def test_a_jump_over_the_slew_limit_is_uncertain_once() -> None:
    jumped = (Quality.QUALITY_UNCERTAIN, Reason.REASON_SLEW, 30.0)
    assert states((1, 0.0, 0), (2, 30.0, 30), (3, 31.0, 31), slew_max_per_s=10.0) == [
        (*GOOD, 0.0), jumped, (*GOOD, 31.0),
    ]  # fmt: skip


def test_a_step_of_exactly_the_slew_limit_is_good() -> None:
    assert states((1, 0.0, 0), (3, 20.0, 20), slew_max_per_s=10.0)[1] == (*GOOD, 20.0)


def test_the_first_value_after_a_bad_one_is_not_judged_by_its_slew() -> None:
    arrivals: list[Arrival] = [(1, 0.0, 0), (2, math.nan, 1), (3, 90.0, 90)]
    assert states(*arrivals, slew_max_per_s=1.0)[2] == (*GOOD, 90.0)


def test_a_value_grows_stale_only_after_its_limit() -> None:
    stale = (Quality.QUALITY_BAD, Reason.REASON_STALE, 7.0)
    assert states((1, 7.0, 7), (3, None, 0), (4, None, 0), stale_after_ns=2 * S) == [
        (*GOOD, 7.0), (*GOOD, 7.0), stale,
    ]  # fmt: skip


def test_a_stale_value_is_good_again_with_its_next_reply() -> None:
    arrivals: list[Arrival] = [(1, 7.0, 7), (9, None, 0), (10, 8.0, 8)]
    assert states(*arrivals, stale_after_ns=S)[2] == (*GOOD, 8.0)


def test_identical_words_on_a_quantity_that_must_move_are_frozen() -> None:
    frozen = (Quality.QUALITY_BAD, Reason.REASON_FROZEN, 7.0)
    arrivals: list[Arrival] = [(1, 7.0, 7), (3, 7.0, 7), (4, 7.0, 7), (5, 7.5, 8)]
    assert states(*arrivals, frozen_after_ns=2 * S) == [
        (*GOOD, 7.0), (*GOOD, 7.0), frozen, (*GOOD, 7.5),
    ]  # fmt: skip


def test_a_quantity_that_may_stand_still_is_never_frozen() -> None:
    arrivals: list[Arrival] = [(1, 7.0, 7), (1_000_000, 7.0, 7)]
    assert states(*arrivals)[1] == (*GOOD, 7.0)


def test_not_finite_comes_before_range_and_range_before_frozen() -> None:
    arrivals: list[Arrival] = [(1, 7.0, 7), (9, 700.0, 7), (10, math.inf, 7)]
    reasons = [state[1] for state in states(*arrivals, frozen_after_ns=S)]
    assert reasons == [
        Reason.REASON_NONE, Reason.REASON_OUT_OF_RANGE, Reason.REASON_NOT_FINITE,
    ]  # fmt: skip
