"""The schedule's bound: by hand, never passed by the link's own order of service, and refused."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgectl.errors import SiteFileError
from edgectl.profiles import load_profile
from edgectl.site_model import Device, Line, load_site, parse_site
from edgectl.site_model.schedule import link_schedule, schedule, worst_age_ns

MS = 1_000_000
PERIOD_NS = 100 * MS
LINE = Line("RS485-1", "/dev/ttyS1", 9600, "even", 1, 5 * MS, 0, rs485=False)


def meter(unit: int, line: Line | None = None) -> Device:
    return Device(
        f"MTR-{unit}", load_profile("meter/schneider-pm5560"), "10.0.0.1", 502, unit, True, line
    )


def test_a_link_takes_a_timeout_for_each_read() -> None:
    row = link_schedule([meter(1)], PERIOD_NS)
    assert row.turn_ns == sum(1 for _ in meter(1).profile.blocks) * meter(1).profile.timeout_ns
    assert row.age_ns == PERIOD_NS + row.turn_ns + PERIOD_NS
    both = link_schedule([meter(1), meter(2)], PERIOD_NS)
    assert both.turn_ns == 2 * row.turn_ns


def test_a_serial_line_takes_its_bytes_as_well() -> None:
    profile = meter(1).profile
    wide = max(profile.blocks, key=lambda block: block.count)
    one = replace(meter(1, LINE), profile=replace(profile, blocks=(wide,), commands=()))
    row = link_schedule([one], PERIOD_NS)
    char_ns = -(-11 * 10**9 // 9600)  # 8E1: eleven bits
    on_line_ns = (8 + 5 + 2 * wide.count) * char_ns
    assert row.turn_ns == profile.timeout_ns + on_line_ns + 5 * MS + char_ns * 7 // 2


@given(
    costs=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    every=st.lists(st.integers(1, 4), min_size=8, max_size=8),
    seed=st.randoms(use_true_random=False),
)
def test_no_value_grows_older_than_its_bound(
    costs: list[int], every: list[int], seed: Random
) -> None:
    """The link's order of service, ms by ms: due marks coalesce, blocks have turns."""
    due = [False] * len(costs)
    fresh = [0] * len(costs)  # when the block's last reply came
    turn, busy_until, serving = 0, 0, -1
    for now in range(4000):
        if now % 100 == 0:
            for at in range(len(costs)):
                due[at] = due[at] or (now // 100) % every[at] == 0
        if now < busy_until:
            continue
        if serving >= 0:
            assert now - fresh[serving] <= every[serving] * 100 + sum(costs)
            fresh[serving] = now
        serving = -1
        for step in range(len(costs)):
            at = (turn + 1 + step) % len(costs)
            if due[at]:
                due[at], turn, serving = False, at, at
                busy_until = now + seed.randint(1, costs[at])
                break


def test_shipped_sites_hold() -> None:
    for name in ("demo", "texas-100mw"):
        assert all(row.holds for row in schedule(load_site(name)))


def test_a_site_that_cannot_hold_is_refused_with_numbers() -> None:
    site = load_site("demo")
    text = site.path.read_text().replace("stale_after_ms = 600", "stale_after_ms = 500")
    with pytest.raises(SiteFileError) as caught:
        parse_site(site.path, text.encode())
    problem = caught.value.problems[0]
    assert "needs up to 360 ms for the 5 reads and the writes of PCS-01" in problem.problem
    assert "may be 560 ms old and is stale after 500 ms" in problem.problem
    assert "stale_after_ms = 561" in problem.remedy


def test_the_age_is_turn_and_two_waits() -> None:
    point = meter(1).profile.point("active_power")
    assert worst_age_ns(point, 40 * MS, PERIOD_NS) == 240 * MS
