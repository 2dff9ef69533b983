"""What a silence that was watched says: the last write, the stop, and how exactly it is known."""

from dataclasses import replace

import pytest

from edgectl.commissioning.stop import (
    NS_PER_MS,
    NS_PER_S,
    NotMeasuredError,
    StopPlan,
    Trace,
    judge,
    plan_stop,
    stopping_rows,
)
from edgectl.commissioning.stop_pv import judge_pv, plan_pv
from edgectl.site_model import Site, load_site

SITE = load_site("demo")
PERIOD_NS = SITE.scan.period_ns
PLAN = plan_stop(SITE, "PCS-01", -2e6, 60 * NS_PER_S)
MUTED_NS = 5_350 * NS_PER_MS  # commits each second from 0 s on: the last one sent was at 5 s
READ_LATER_NS = 30 * NS_PER_MS


def trace(power_at_ms: dict[int, float], until_ms: int, *, coalesced: int = 0) -> Trace:
    """Commits at each full second, answered in the scan after; power in steps, read each scan."""
    made = Trace(commits_ns=[ms * NS_PER_MS for ms in range(0, until_ms, 1000)])
    power_w = PLAN.power_w
    for ms in range(0, until_ms, 100):
        sent = min(ms - 100, MUTED_NS // NS_PER_MS) // 1000 + 1 if ms >= 100 else 0
        made.acks.append((ms * NS_PER_MS, max(0, sent - coalesced)))
        power_w = next((w for at, w in reversed(power_at_ms.items()) if ms >= at), power_w)
        made.samples.append((ms * NS_PER_MS + READ_LATER_NS, power_w))
    return made


@pytest.mark.parametrize("coalesced", [0, 1])
def test_the_time_runs_from_the_last_write_that_reached_the_wire(coalesced: int) -> None:
    seen = trace({10_000: 0.0}, 13_000, coalesced=coalesced)
    found = judge(PLAN, seen, MUTED_NS, PERIOD_NS)
    assert (found.last_write_ns, found.outcome) == (5 * NS_PER_S, "to zero")
    assert found.stop_ns == 5 * NS_PER_S + READ_LATER_NS, "commits after it never left"
    assert found.resolution_ns == 2 * PERIOD_NS


def test_a_power_that_comes_back_within_two_seconds_was_only_passing() -> None:
    seen = trace({9_000: 0.0, 10_900: -2e6, 12_000: 0.0}, 13_900)
    assert judge(PLAN, seen, MUTED_NS, PERIOD_NS).stop_ns is None
    longer = trace({9_000: 0.0, 10_900: -2e6, 12_000: 0.0}, 14_200)
    assert judge(PLAN, longer, MUTED_NS, PERIOD_NS).stop_ns == 7 * NS_PER_S + READ_LATER_NS


@pytest.mark.parametrize(
    ("power_w", "outcome"), [(-2e6, "kept its setpoint"), (-1e6, "went elsewhere")]
)
def test_one_that_does_not_stop_says_what_it_did_instead(power_w: float, outcome: str) -> None:
    found = judge(PLAN, trace({9_000: power_w}, 30_000), MUTED_NS, PERIOD_NS)
    assert (found.stop_ns, found.outcome, found.last_power_w) == (None, outcome, power_w)


def test_what_nobody_saw_is_not_proven() -> None:
    seen = trace({9_000: 0.0}, 13_000)
    seen.samples = [each for each in seen.samples if not 8e9 < each[0] < 9.5e9]
    with pytest.raises(NotMeasuredError, match=r"no good value for 1\.\d s"):
        judge(PLAN, seen, MUTED_NS, PERIOD_NS)


def test_a_meter_of_its_own_allows_a_full_silence_and_without_one_reads_go_on() -> None:
    assert (PLAN.watched, PLAN.independent, PLAN.mode) == ("MTR-B1.active_power", True, "silent")
    assert "IL-BESS-01-PCS-LOST" in PLAN.expected
    weaker = plan_stop(without_meter(), "PCS-01", 2e6, NS_PER_S)
    assert (weaker.watched, weaker.independent) == ("PCS-01.active_power", False)
    assert weaker.mode == "no_writes"
    assert "IL-BESS-01-PCS-LOST" not in weaker.expected, "reads go on, so it must not trip"


def test_a_row_over_a_monitor_is_explained_by_the_silence_of_its_input() -> None:
    assert {"IL-BESS-01-LIFE", "IL-OPPOSED", "IL-BESS-01-RAMP"} <= set(PLAN.expected)
    assert "IL-BESS-02-LIFE" not in PLAN.expected
    assert "IL-BESS-01-T-RISE" not in PLAN.expected, "it hangs on the BMS, which goes on"


def without_meter() -> Site:
    """The demo site, its batteries seen by their converters alone."""
    blind = tuple(replace(each, proof_meter=None) for each in SITE.batteries)
    return replace(SITE, batteries=blind)


def test_the_stop_that_ends_a_test_is_one_the_silence_does_not_explain() -> None:
    names = {SITE.interlocks[at].id for at in stopping_rows(SITE, PLAN)}
    assert {"IL-ESTOP", "IL-OVERRUN", "IL-BESS-01-BMS-LOST"} <= names
    assert not names & {"IL-BESS-01-PCS-LOST", "IL-BESS-02-PCS-LOST"}


@pytest.mark.parametrize("power_w", [0.0, 100e3, 11e6, float("nan")])
def test_a_power_that_cannot_be_seen_or_made_is_refused(power_w: float) -> None:
    with pytest.raises(NotMeasuredError, match=r"can be seen to stop from 0\.2 to 10 MW"):
        plan_stop(SITE, "PCS-01", power_w, NS_PER_S)


def test_a_device_that_commands_no_battery_is_refused() -> None:
    with pytest.raises(NotMeasuredError, match="PCS-01, PCS-02"):
        plan_stop(SITE, "PV-01", 1e6, NS_PER_S)


def test_the_plan_allows_for_a_meters_noise() -> None:
    assert isinstance(PLAN, StopPlan)
    assert PLAN.tolerance_w == 0.05 * 2e6
    assert plan_stop(SITE, "PCS-01", 2e5, NS_PER_S).tolerance_w == 0.002 * 10e6


# ---- an inverter


def test_a_blocks_own_meter_allows_a_full_silence() -> None:
    assert (PV_PLAN.watched, PV_PLAN.independent, PV_PLAN.mode) == (
        "PV-01.active_power", False, "no_writes",
    )  # fmt: skip
    metered = replace(SITE.pvs[0], proof_meter="MTR-06.active_power")
    plan = plan_pv(replace(SITE, pvs=(metered, SITE.pvs[1])), "PV-01", -4e6, NS_PER_S)
    assert (plan.watched, plan.independent, plan.mode) == ("MTR-06.active_power", True, "silent")


PV_PLAN = plan_pv(SITE, "PV-01", -4e6, 60 * NS_PER_S)


def pv_trace(power_at_ms: dict[int, float], until_ms: int) -> Trace:
    """One write that the look at 5 s still waited for; generation in steps, read each scan."""
    made = Trace(commits_ns=[0, 5_000 * NS_PER_MS])
    power_w = PV_PLAN.power_w
    for ms in range(0, until_ms, 100):
        made.acks.append((ms * NS_PER_MS, 2 if ms > 5_000 else 1 if ms else 0))
        power_w = next((w for at, w in reversed(power_at_ms.items()) if ms >= at), power_w)
        made.samples.append((ms * NS_PER_MS + READ_LATER_NS, power_w))
    return made


@pytest.mark.parametrize(
    ("power_at_ms", "outcome", "stop_ms"),
    [
        ({}, "kept its setpoint", None),
        ({10_000: -9e6}, "limit lifted", 5_030),
        ({10_000: -9e6, 11_000: -4e6}, "kept its setpoint", None),
        ({8_000: 0.0}, "to zero", 3_030),
        ({8_000: -2e6}, "went elsewhere", None),
    ],
)
def test_an_inverter_keeps_its_limit_lifts_it_stops_or_goes_elsewhere(
    power_at_ms: dict[int, float], outcome: str, stop_ms: int | None
) -> None:
    seen = judge_pv(PV_PLAN, pv_trace(power_at_ms, 20_000), MUTED_NS, 300 * NS_PER_MS)
    assert seen.outcome == outcome
    assert seen.stop_ns == (None if stop_ms is None else stop_ms * NS_PER_MS)


def test_an_inverter_nobody_reads_is_not_proven() -> None:
    trace_ = pv_trace({}, 20_000)
    trace_.samples = [each for each in trace_.samples if not 9e9 < each[0] < 11e9]
    with pytest.raises(NotMeasuredError, match="no good value for"):
        judge_pv(PV_PLAN, trace_, MUTED_NS, 300 * NS_PER_MS)


@pytest.mark.parametrize("power_w", [4e6, -15e6, -1e3, 0.0])
def test_a_limit_that_shows_nothing_is_refused(power_w: float) -> None:
    with pytest.raises(NotMeasuredError, match="can be seen under a limit from"):
        plan_pv(SITE, "PV-01", power_w, NS_PER_S)
