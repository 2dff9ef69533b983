"""What the softer effects leave of a setpoint and of the flexible load; what bit, and the ends.

Of edgectl._kernel.dispatch and edgectl._kernel.curtail.
"""

import math

import pytest
from dispatch_site import CAP_W, DT_NS, GUARD_W, RATING_W, Fields, S, Site

from edgectl._kernel.dispatch import Binding, RequestSource
from edgectl._kernel.interlock import Effect

FLEXIBLE = {"device": 0, "floor_w": 100e3, "release_w_per_s": 100e3, "hold_ns": 3 * DT_NS}
NOTHING: Fields = {}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_derate_leaves_its_part_of_the_rating_either_way(sign: int) -> None:
    site = Site(permit={"derate_ratio": 0.5, "effect": Effect.EFFECT_DERATE})
    site.want(sign * 300e3)
    _, setpoint_w, binding = site.scan()[0]
    assert (setpoint_w, binding) == (sign * 150e3, Binding.BINDING_INTERLOCK)


def test_a_hold_lets_what_runs_run_on_and_never_more() -> None:
    site = Site(grid_w=700e3)
    site.want(100e3)
    site.scan()
    hold = {"hold": 1, "effect": Effect.EFFECT_HOLD}
    site.want(300e3)
    assert site.setpoint_w(permit=hold) == 100e3
    site.want(-300e3)
    assert site.setpoint_w() == 100e3, "it does not turn round"
    site.want(20e3)
    assert site.setpoint_w() == 100e3, "it does what it did"
    assert site.setpoint_w(grid_w=CAP_W - GUARD_W - 40e3) == pytest.approx(40e3), "the cap may less"
    assert site.setpoint_w(grid_w=2 * CAP_W) == 0.0, "and no discharge begins"


def test_a_hold_of_a_battery_at_rest_lets_nothing_start() -> None:
    site = Site(permit={"hold": 1, "effect": Effect.EFFECT_HOLD})
    site.want(-200e3)
    assert site.setpoint_w() == 0.0
    assert site.setpoint_w(permit=NOTHING) == -200e3


@pytest.mark.parametrize("sign", [1, -1])
def test_a_ramp_to_zero_goes_down_by_the_ramp_and_the_cap_cannot_turn_it_round(sign: int) -> None:
    site = Site(storage={"ramp_w_per_s": 500e3}, grid_w=600e3)
    site.want(sign * 200e3)
    for _ in range(4):
        site.scan()
    assert site.scan()[0][1] == sign * 200e3
    down = {"ramp_to_zero": 1, "effect": Effect.EFFECT_RAMP_TO_ZERO}
    found = [site.setpoint_w(permit=down) for _ in range(5)]
    assert found == pytest.approx([sign * each for each in (150e3, 100e3, 50e3, 0.0, 0.0)])
    assert site.setpoint_w(grid_w=2 * CAP_W) == 0.0, "it takes no part in holding the cap"


def test_the_others_stand_in_for_a_battery_that_ramps_to_zero() -> None:
    site = Site(batteries=2)
    site.permits = [{"ramp_to_zero": 1, "effect": Effect.EFFECT_RAMP_TO_ZERO}, {}]
    found = site.scan(grid_w=1200e3)
    assert [setpoint for _, setpoint, _ in found] == [0.0, pytest.approx(-210e3)]


def test_a_row_that_blocks_commands_leaves_safe_local_control() -> None:
    site = Site(carbon=450.0)
    site.want(200e3)
    block = {"block_command": 1, "effect": Effect.EFFECT_BLOCK_COMMAND}
    _, setpoint_w, binding = site.scan(permit=block)[0]
    assert (setpoint_w, binding) == (-50e3, Binding.BINDING_INTERLOCK)
    assert site.bench.storage(0)["source"] == RequestSource.SOURCE_LOCAL
    assert site.setpoint_w(permit=NOTHING) == 200e3, "the request stands, and is heard again"


def test_what_cut_a_request_is_told() -> None:
    site = Site(grid_w=700e3)
    site.want(100e3)
    assert site.scan()[0][2] == Binding.BINDING_NONE
    site.want(500e3)
    assert site.scan(grid_w=400e3)[0][2] == Binding.BINDING_RATING
    limited = {"charge_max_w": 40e3, "effect": Effect.EFFECT_LIMIT_CHARGE}
    assert site.scan(permit=limited)[0][2] == Binding.BINDING_INTERLOCK


def test_a_limit_on_the_import_lowers_the_cap_and_never_lifts_it() -> None:
    site = Site(site={"import_max_w": 600e3})
    assert site.setpoint_w(grid_w=700e3) == pytest.approx(600e3 - GUARD_W - 700e3)
    assert site.bench.site["import_cap_w"] == 600e3
    site.scan(site={"import_max_w": 5 * CAP_W})
    assert site.bench.site["import_cap_w"] == CAP_W


@pytest.mark.parametrize(
    ("asked_w", "cap_w"), [(700e3, 700e3), (2e6, CAP_W), (-1.0, CAP_W), (0.0, 0.0)]
)
def test_a_request_may_lower_the_import_cap_for_its_time_alone(
    asked_w: float, cap_w: float
) -> None:
    site = Site()
    site.bench.want_import_cap(asked_w, 2 * DT_NS)
    site.scan()
    assert site.bench.site["import_cap_w"] == cap_w
    site.scan()
    assert site.bench.site["import_cap_w"] == CAP_W, "it has lapsed"


@pytest.mark.parametrize(
    ("tier", "asked_w"), [(1, 30e3), (2, 60e3), (3, 120e3), (4, 120e3), (9, 120e3)]
)
def test_each_tier_asks_for_its_part_of_what_can_be_deferred(tier: int, asked_w: float) -> None:
    tiers = FLEXIBLE | {"tier_ratio": (0.25, 0.5, 1.0, 1.0)}
    site = Site(flexible=tiers)
    site.scan(available_w=120e3, site={"shed_tier": tier, "tripped": 1})
    assert site.shed_w == pytest.approx(asked_w)


def test_a_tier_counts_what_is_deferred_already_and_nothing_that_cannot_be_read() -> None:
    site = Site(flexible=FLEXIBLE | {"tier_ratio": (0.5, 1.0, 1.0, 1.0)})
    shed = {"shed_tier": 1, "tripped": 1}
    site.scan(available_w=40e3, deferred_w=60e3, site=shed)
    assert site.shed_w == pytest.approx(50e3)
    other = Site(flexible=FLEXIBLE)
    other.scan(available_w=None, site=shed)
    assert other.shed_w == 0.0


@pytest.mark.parametrize(
    ("wanted_w", "asked_w"), [(50e3, 50e3), (1e6, 120e3), (-5e3, 0.0), (math.nan, 0.0)]
)
def test_a_request_to_defer_is_taken_within_what_can_be_deferred(
    wanted_w: float, asked_w: float
) -> None:
    site = Site(flexible=FLEXIBLE)
    site.bench.want_shed(wanted_w, 10 * S)
    site.scan(available_w=120e3)
    assert site.shed_w == asked_w


def test_a_request_to_defer_lapses_and_is_given_back_slowly() -> None:
    site = Site(flexible=FLEXIBLE)
    site.bench.want_shed(50e3, DT_NS + 1)
    site.scan(available_w=120e3)
    found = []
    for _ in range(5):
        site.scan(available_w=70e3, deferred_w=50e3)
        found.append(site.shed_w)
    assert found == pytest.approx([50e3, 50e3, 40e3, 30e3, 20e3])


def test_a_lost_battery_that_discharged_counts_for_the_longest_revert_and_then_no_more() -> None:
    site = Site(grid_w=500e3)
    site.scan(power_w=-200e3)
    site.bench.written(0, -200e3)
    site.scan(power_w=None)
    assert site.bench.site["battery_w"] == -200e3
    site.bench.step([500e3, 0.0, 0.0, None, 0.5], [{}], 400e3, 350.0, 60 * S - 2 * DT_NS)
    assert site.bench.site["battery_w"] == -200e3
    site.bench.step([500e3, 0.0, 0.0, None, 0.5], [{}], 400e3, 350.0, 1)
    assert site.bench.site["battery_w"] == 0.0


def test_a_lost_battery_that_charged_counts_as_doing_so_no_longer() -> None:
    site = Site()
    site.scan(power_w=200e3)
    site.bench.written(0, 200e3)
    site.scan(power_w=None)
    assert site.bench.site["battery_w"] == 0.0


@pytest.mark.parametrize(("armed", "stopping"), [(False, False), (True, True)])
def test_disarmed_or_stopping_every_battery_is_at_zero_at_once(armed: bool, stopping: bool) -> None:
    site = Site(batteries=2, flexible=FLEXIBLE)
    site.want(200e3)
    site.scan(grid_w=1700e3, available_w=120e3)
    site.bench.halt(armed, stopping)
    found = site.scan()
    assert [each[1:] for each in found] == [(0.0, Binding.BINDING_NOT_ARMED)] * 2
    assert (site.shed_w == 0.0) == stopping


def test_without_the_carbon_feed_nothing_is_steered_by_it() -> None:
    site = Site(carbon=450.0)
    assert site.setpoint_w() == -50e3
    assert site.setpoint_w(carbon=None) == 0.0


def test_a_request_that_lapsed_is_told_until_the_next_one() -> None:
    site = Site()
    site.bench.want(0, 100e3, RequestSource.SOURCE_PLAN, DT_NS)
    site.scan()
    assert site.bench.storage(0)["lapsed"]
    site.want(100e3)
    site.scan()
    assert not site.bench.storage(0)["lapsed"]


def test_a_dwell_holds_steering_from_its_first_change_on() -> None:
    site = Site(storage={"dwell_ns": 3 * DT_NS}, carbon=450.0)
    assert site.setpoint_w() == -50e3, "the first is not held back"
    assert [site.setpoint_w(carbon=350.0) for _ in range(3)] == [-50e3, -50e3, 0.0]


def test_an_unknown_charge_steers_nothing() -> None:
    site = Site(storage={"ready_ratio": 0.6}, carbon=450.0, soc=None)
    site.scan()
    assert site.bench.storage(0)["economy_w"] == 0.0


def test_a_discharge_is_given_up_where_the_site_would_export_by_itself() -> None:
    site = Site(grid_w=-50e3)
    site.want(-100e3)
    assert site.setpoint_w() == 0.0, "already beyond the export limit without any discharge"
    assert Site(batteries=0, grid_w=2e6).scan() == [], "a site without a battery is a site"


def test_the_rating_binds_the_cap_when_all_room_is_used() -> None:
    site = Site()
    request_w, setpoint_w, binding = site.scan(grid_w=3e6)[0]
    assert setpoint_w == -RATING_W
    assert request_w == pytest.approx(-RATING_W)
    assert binding == Binding.BINDING_IMPORT_CAP
    assert site.bench.site["shortage_w"] == pytest.approx(3e6 - (CAP_W - GUARD_W) - RATING_W)


def test_no_battery_discharges_for_the_cap_while_another_still_charges() -> None:
    site = Site(batteries=2, grid_w=500e3)
    site.want(200e3)
    found = site.scan(grid_w=CAP_W - GUARD_W - 50e3)
    assert [setpoint for _, setpoint, _ in found] == [pytest.approx(50e3), 0.0]
    assert found[1][2] == Binding.BINDING_NONE, "nothing was asked of the other"
    found = site.scan(grid_w=CAP_W - GUARD_W + 100e3)
    assert [setpoint for _, setpoint, _ in found] == pytest.approx([-50e3, -50e3])


def test_no_battery_charges_for_the_export_limit_while_another_still_discharges() -> None:
    site = Site(batteries=2, grid_w=500e3)
    site.want(-200e3)
    found = site.scan(grid_w=50e3)
    assert [setpoint for _, setpoint, _ in found] == [pytest.approx(-50e3), 0.0]
