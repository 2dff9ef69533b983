"""V/f windows: when a device should trip by its settings, and when it may return."""

import math

import pytest

from edgectl.grid_code.code import load_rules
from edgectl.grid_code.window import (
    EnterLimits,
    Moment,
    Sample,
    Stage,
    TripWindow,
    default_enter,
    default_stages,
    judge,
)

SCAN_NS = 100_000_000
S_NS = 1_000_000_000
STAGES = default_stages(load_rules("ieee-1547-2018", "III"))
ENTER = EnterLimits(0.917, 1.05, 59.5, 60.1, 5 * S_NS)
Values = tuple[float | None, float | None, float | None]
GOOD: Values = (1.0, 1.0, 60.0)


def low(v_pu: float | None) -> Values:
    return (v_pu, 1.0, 60.0)


def recorded(*parts: tuple[Values, int]) -> list[Sample]:
    """Samples every 100 ms: each part's values for so many scans."""
    values = [own for own, scans in parts for _ in range(scans)]
    return [Sample(at * SCAN_NS, *own) for at, own in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "stage", "time_s"),
    [
        ((0.49, 1.0, 60.0), "UV2", 2.0),
        ((0.87, 1.0, 60.0), "UV1", 21.0),
        ((1.0, 1.11, 60.0), "OV1", 13.0),
        ((1.0, 1.21, 60.0), "OV2", 0.2),
        ((1.0, 1.0, 61.3), "OF1", 300.0),
        ((1.0, 1.0, 62.1), "OF2", 0.2),
        ((1.0, 1.0, 58.4), "UF1", 300.0),
        ((1.0, 1.0, 56.4), "UF2", 0.2),
    ],
)
def test_each_stage_trips_its_time_after_it_was_first_seen_beyond(
    values: Values, stage: str, time_s: float
) -> None:
    judged = judge(recorded((GOOD, 10), (values, 3100)), STAGES, None)
    assert judged.moments == (Moment(S_NS + round(time_s * S_NS), stage),)


@pytest.mark.parametrize("scans", [209, 210, 211])
def test_the_last_scan_before_the_time_is_no_trip_and_the_time_itself_is(scans: int) -> None:
    judged = judge(recorded((GOOD, 1), (low(0.6), scans), (GOOD, 10)), STAGES, None)
    assert judged.tripped == (scans > 210), "seen first at 0 s of 21 s: the 211th sample is 21 s"


def test_the_threshold_itself_is_inside() -> None:
    for values in ((0.88, 1.10, 61.2), (0.88, 1.10, 58.5)):
        judged = judge(recorded((values, 4000)), STAGES, None)
        assert not judged.tripped
        assert set(judged.longest.values()) == {0}


def test_one_sample_back_inside_begins_the_time_again() -> None:
    samples = recorded((low(0.6), 200), (low(0.88), 1), (low(0.6), 200), (GOOD, 10))
    judged = judge(samples, STAGES, None)
    assert not judged.tripped
    assert judged.longest["UV1"] == 199 * SCAN_NS


def test_the_outer_stage_runs_on_while_the_inner_one_resets() -> None:
    samples = recorded((low(0.4), 15), (low(0.6), 190), (low(0.4), 15))
    judged = judge(samples, STAGES, None)
    assert [each.what for each in judged.moments] == ["UV1"]


def test_a_missing_value_holds_what_the_last_one_said_and_is_counted() -> None:
    samples = recorded((low(0.4), 10), (low(None), 5), (low(math.nan), 5), (low(0.4), 5))
    judged = judge(samples, STAGES, None)
    assert [each.what for each in judged.moments] == ["UV2"]
    assert judged.blind_ns == 10 * SCAN_NS


def test_a_gap_between_samples_is_counted_as_not_seen() -> None:
    samples = [Sample(0, *GOOD), Sample(3 * S_NS, *GOOD), Sample(3 * S_NS + SCAN_NS, *GOOD)]
    assert judge(samples, STAGES, None).blind_ns == 3 * S_NS


def test_it_may_return_only_after_everything_was_well_for_the_delay() -> None:
    samples = recorded(
        (GOOD, 1), ((1.0, 1.25, 60.0), 5), (GOOD, 40), ((1.0, 1.0, 60.2), 1), (GOOD, 60)
    )
    judged = judge(samples, STAGES, ENTER)
    assert [each.what for each in judged.moments] == ["OV2", "return"]
    assert judged.moments[1].time_ns == 47 * SCAN_NS + 5 * S_NS


def test_without_a_value_nothing_returns() -> None:
    samples = recorded((GOOD, 1), ((1.0, 1.25, 60.0), 5), ((1.0, 1.0, None), 100))
    assert [each.what for each in judge(samples, STAGES, ENTER).moments] == ["OV2"]


def test_a_stage_without_delay_trips_with_the_sample() -> None:
    window = TripWindow((Stage("OV", "over_voltage", 1.1, 0),))
    assert window.step(Sample(0, 1.0, 1.11, 60.0), 0) == (True,)


def test_the_defaults_of_a_category_are_a_window() -> None:
    rules = load_rules("ieee-1547-2018", "II")
    assert [each.name for each in default_stages(rules)] == [each.setting for each in rules.trips]
    enter = default_enter(rules)
    assert enter == EnterLimits(0.917, 1.05, 59.5, 60.1, 300 * S_NS)
