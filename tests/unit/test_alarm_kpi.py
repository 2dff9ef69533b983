"""The figures of the alarms: each limit at its edge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgectl.alarms.kpi import STALE_NS, WINDOW_NS, chattering, floods, kpis, verdicts

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
PRIORITIES = {"L": "low", "M": "medium", "H": "high", "C": "critical"}


def every(step_s: float, count: int, start_s: float = 0.0) -> list[int]:
    return [round((start_s + step_s * each) * SECOND_NS) for each in range(count)]


def test_ten_in_10_min_are_no_flood_and_eleven_are() -> None:
    assert floods(every(1, 10), HOUR_NS) == []
    (flood,) = floods(every(1, 11), HOUR_NS)
    assert flood[0] == 10 * SECOND_NS, "it begins with the eleventh"


def test_a_flood_ends_when_fewer_than_five_are_left_in_the_window() -> None:
    ((since_ns, until_ns),) = floods(every(1, 11), HOUR_NS)
    # The seventh leaves the window 10 min after it came: four are left.
    assert until_ns == 6 * SECOND_NS + WINDOW_NS
    assert since_ns < until_ns


def test_a_flood_that_goes_on_ends_with_the_span() -> None:
    assert floods(every(1, 11), 300 * SECOND_NS) == [(10 * SECOND_NS, 300 * SECOND_NS)]


@given(st.lists(st.integers(0, 7200), max_size=60))
def test_floods_are_what_counting_second_by_second_finds(seconds: list[int]) -> None:
    times_ns = sorted(each * SECOND_NS for each in seconds)
    end_s = 9000
    found = floods(times_ns, end_s * SECOND_NS)
    inside, expected = False, 0
    for now in range(end_s):
        in_window = sum(now - 600 < each <= now for each in seconds)
        inside = in_window >= 5 if inside else in_window > 10
        expected += inside
    assert sum(until_ns - since_ns for since_ns, until_ns in found) == expected * SECOND_NS


@pytest.mark.parametrize(
    ("times_s", "most"),
    [((0, 30, 60), 3), ((0, 30, 60.1), None), ((0, 1), None), ((0, 1, 2, 3), 4)],
)
def test_three_within_60_s_are_chattering(times_s: tuple[float, ...], most: int | None) -> None:
    found = chattering([(round(each * SECOND_NS), "L") for each in times_s])
    assert found == ({} if most is None else {"L": most})
    spread = [(round(each * SECOND_NS), str(at)) for at, each in enumerate(times_s)]
    assert chattering(spread) == {}, "of one alarm, not of all together"


def test_the_figures_of_a_good_day() -> None:
    times = [(each, "L") for each in every(600, 8)] + [(5 * HOUR_NS, "M"), (6 * HOUR_NS, "H")]
    found = kpis(times, {"M": 20 * HOUR_NS}, PRIORITIES, 0, 24 * HOUR_NS)
    assert found.annunciations == 10
    assert found.rate_average == pytest.approx(10 / 144)
    assert found.rate_max == 1
    assert found.shares == {"low": 0.8, "medium": 0.1, "high": 0.1, "critical": 0.0}
    assert (found.standing, found.stale, found.floods) == (1, (), 0)
    assert found.most_frequent == (("L", 8), ("H", 1), ("M", 1))
    assert all(verdicts(found).values())


def test_the_figures_of_a_bad_hour() -> None:
    times = [(each, "C") for each in every(10, 60)]
    stale = {f"S{each}": -STALE_NS + HOUR_NS - 1 for each in range(5)}
    found = kpis(times, stale, PRIORITIES | dict.fromkeys(stale, "low"), 0, HOUR_NS)
    assert found.rate_average == 10.0
    assert found.rate_max == 60
    assert found.floods == 1
    assert found.flood_ratio == pytest.approx((550 + 600 - 100) / 3600)
    assert found.chattering == {"C": 7}
    assert len(found.stale) == 5
    assert not any(verdicts(found).values())


def test_a_flood_that_began_before_the_span_counts_only_inside() -> None:
    times = [(each, "L") for each in every(1, 11, -300)]
    found = kpis(times, {}, PRIORITIES, 0, HOUR_NS)
    assert (found.annunciations, found.floods) == (0, 1)
    assert found.flood_ratio == pytest.approx((600 - 294) / 3600)


def test_exactly_24_h_are_not_stale_yet() -> None:
    assert kpis([], {"L": 0}, PRIORITIES, 0, STALE_NS).stale == ()
    assert kpis([], {"L": 0}, PRIORITIES, 0, STALE_NS + 1).stale == ("L",)


def test_no_alarm_at_all_is_no_division_by_nothing() -> None:
    found = kpis([], {}, PRIORITIES, 0, 0)
    assert (found.rate_average, found.flood_ratio) == (0.0, 0.0)
    assert all(verdicts(found).values())
