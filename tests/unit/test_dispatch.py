"""Dispatch: from requests to setpoints, scan by scan, without a plant."""

import math

import pytest
from dispatch_site import CAP_W, DT_NS, FREE, GUARD_W, RATING_W, Fields, Site

from edgectl._kernel.dispatch import Binding, RequestSource, permitted_setpoint_w
from edgectl._kernel.interlock import Effect


@pytest.mark.parametrize(
    ("request_w", "charge_max_w", "discharge_max_w", "permitted_w"),
    [
        (100.0, 50.0, 80.0, 50.0),
        (-100.0, 50.0, 80.0, -80.0),
        (30.0, 50.0, 80.0, 30.0),
        (math.nan, 50.0, 80.0, 0.0),
        (math.inf, 50.0, 80.0, 50.0),
        (-math.inf, 50.0, 80.0, -80.0),
        (10.0, math.nan, math.nan, 0.0),
        (-10.0, -5.0, -5.0, 0.0),
        (10.0, math.inf, 80.0, 0.0),
    ],
)
def test_the_single_door_clamps_and_never_lets_through_what_is_no_number(
    request_w: float, charge_max_w: float, discharge_max_w: float, permitted_w: float
) -> None:
    assert permitted_setpoint_w(request_w, charge_max_w, discharge_max_w) == permitted_w


def test_an_import_over_the_cap_is_met_in_the_same_scan() -> None:
    site = Site()
    assert site.setpoint_w(grid_w=900e3) == 0.0
    assert site.setpoint_w(grid_w=1200e3) == pytest.approx(CAP_W - GUARD_W - 1200e3)


def test_the_battery_holds_the_cap_against_the_site_without_itself() -> None:
    site = Site()
    assert site.setpoint_w(grid_w=950e3, power_w=-200e3) == pytest.approx(-160e3)


def test_two_batteries_share_the_excess_by_the_room_they_have() -> None:
    found = Site(batteries=2).scan(grid_w=1200e3)
    assert [setpoint for _, setpoint, _ in found] == pytest.approx([-105e3, -105e3])
    assert {binding for _, _, binding in found} == {Binding.BINDING_IMPORT_CAP}


def test_a_request_to_charge_is_cut_to_the_room_under_the_cap() -> None:
    site = Site()
    site.want(200e3)
    assert site.setpoint_w(grid_w=900e3) == pytest.approx(90e3)


def test_no_discharge_is_allowed_to_export_beyond_the_limit() -> None:
    site = Site()
    site.want(-200e3)
    _, setpoint_w, binding = site.scan(grid_w=120e3)[0]
    assert setpoint_w == pytest.approx(-120e3)
    assert binding == Binding.BINDING_EXPORT_MAX


def test_the_reserve_is_never_discharged_and_a_full_battery_never_charged() -> None:
    site = Site()
    assert site.setpoint_w(grid_w=1200e3, soc=0.2) == 0.0
    assert site.setpoint_w(soc=0.21) < 0.0
    site.want(100e3)
    assert site.setpoint_w(grid_w=500e3, soc=0.9) == 0.0
    assert site.setpoint_w(soc=0.89) == pytest.approx(100e3)


def test_a_battery_of_unknown_charge_does_nothing() -> None:
    site = Site()
    site.want(100e3)
    assert site.setpoint_w(soc=None) == 0.0
    assert site.setpoint_w(grid_w=1500e3) == 0.0


def test_a_lost_grid_meter_stops_charging_and_gives_up_no_discharge() -> None:
    site = Site()
    site.want(100e3)
    assert site.setpoint_w(grid_w=None) == 0.0
    site.want(-100e3)
    assert site.setpoint_w() == pytest.approx(-100e3)


def test_a_setpoint_never_moves_faster_than_its_ramp() -> None:
    site = Site(storage={"ramp_w_per_s": 100e3})
    site.want(200e3)
    moves = [site.setpoint_w() for _ in range(4)]
    assert moves == pytest.approx([10e3, 20e3, 30e3, 40e3])
    site.want(-200e3)
    assert site.setpoint_w() == pytest.approx(30e3)


def test_a_trip_is_not_ramped_and_the_way_back_is() -> None:
    site = Site(storage={"ramp_w_per_s": 1e6})
    site.want(-200e3)
    assert [site.setpoint_w(), site.setpoint_w()] == pytest.approx([-100e3, -200e3])
    tripped = {"charge_max_w": 0.0, "discharge_max_w": 0.0, "effect": Effect.EFFECT_ZERO}
    assert site.scan(permit=tripped)[0][1:] == (0.0, Binding.BINDING_INTERLOCK)
    assert site.setpoint_w(permit=FREE) == pytest.approx(-100e3)


def test_a_limit_of_the_bms_is_not_ramped_into() -> None:
    site = Site(storage={"ramp_w_per_s": 1e6})
    site.want(200e3)
    assert [site.setpoint_w(), site.setpoint_w()] == pytest.approx([100e3, 200e3])
    assert (
        site.setpoint_w(permit={"charge_max_w": 40e3, "effect": Effect.EFFECT_LIMIT_CHARGE}) == 40e3
    )


def test_the_safe_state_brings_every_battery_to_zero_at_once() -> None:
    site = Site(batteries=2)
    assert site.setpoint_w(grid_w=1200e3) < 0.0
    found = site.scan(site={"safe_state": 1, "tripped": 1})
    assert [setpoint for _, setpoint, _ in found] == [0.0, 0.0]


def test_carbon_steering_waits_for_its_dwell_and_the_cap_does_not() -> None:
    site = Site(storage={"dwell_ns": 5 * DT_NS})
    assert site.setpoint_w(carbon=450.0) == pytest.approx(-50e3)
    waited = [site.setpoint_w(carbon=250.0) for _ in range(5)]
    assert waited == pytest.approx([-50e3] * 4 + [50e3])
    assert site.setpoint_w(grid_w=1100e3) == pytest.approx(-110e3)


def test_carbon_steering_has_hysteresis() -> None:
    site = Site()
    steered = [site.setpoint_w(carbon=carbon) for carbon in (400, 401, 391, 390, 299, 309, 310)]
    assert steered == pytest.approx([0.0, -50e3, -50e3, 0.0, 50e3, 50e3, 0.0])


def test_the_highest_unexpired_request_wins_and_lapses() -> None:
    site = Site()
    site.want(-50e3, RequestSource.SOURCE_OPERATOR)
    assert site.setpoint_w() == pytest.approx(-50e3)
    lapsed = [site.setpoint_w() for _ in range(100)]
    assert lapsed[0] == pytest.approx(-50e3)
    assert lapsed[-1] == 0.0


@pytest.mark.parametrize("value_w", [math.nan, math.inf, -math.inf, 600_001.0, -600_001.0])
def test_a_request_that_cannot_be_meant_is_rejected_and_the_local_one_stands(
    value_w: float,
) -> None:
    site = Site(carbon=450.0)
    site.want(value_w)
    _, setpoint_w, binding = site.scan()[0]
    assert setpoint_w == pytest.approx(-50e3)
    assert binding == Binding.BINDING_REJECTED


def test_a_request_over_the_rating_is_cut_to_it() -> None:
    site = Site()
    site.want(-600e3)
    assert site.setpoint_w(grid_w=700e3) == pytest.approx(-RATING_W)


def test_a_battery_that_cannot_be_read_goes_to_zero_and_the_other_holds_the_cap() -> None:
    site = Site(batteries=2)
    site.scan(grid_w=1200e3)
    before = site.scan(grid_w=990e3, power_w=-105e3)
    assert [setpoint for _, setpoint, _ in before] == pytest.approx([-105e3, -105e3])
    after = site.scan(lost=1)
    assert [setpoint for _, setpoint, _ in after] == [0.0, pytest.approx(-105e3)]


FLEXIBLE = {"device": 0, "floor_w": 100e3, "release_w_per_s": 100e3, "hold_ns": 3 * DT_NS}


def test_the_flexible_load_defers_what_the_batteries_cannot_hold() -> None:
    site = Site(flexible=FLEXIBLE)
    site.scan(grid_w=1400e3, available_w=250e3)
    assert site.shed_w == pytest.approx(1400e3 - (CAP_W - GUARD_W) - RATING_W)


def test_nothing_is_shed_below_the_floor_nor_beyond_what_can_be_deferred() -> None:
    site = Site(flexible=FLEXIBLE)
    site.scan(grid_w=2000e3, available_w=250e3, it_w=180e3)
    assert site.shed_w == pytest.approx(80e3)
    site = Site(flexible=FLEXIBLE)
    site.scan(grid_w=2000e3, available_w=60e3)
    assert site.shed_w == pytest.approx(60e3)


def test_a_flexible_load_that_cannot_be_read_is_asked_for_nothing() -> None:
    site = Site(flexible=FLEXIBLE)
    site.scan(grid_w=2000e3, available_w=None)
    assert site.shed_w == 0.0


def test_deferred_load_is_held_and_then_given_back_slowly() -> None:
    site = Site(flexible=FLEXIBLE)
    site.scan(grid_w=1400e3, available_w=250e3)
    asked_w = site.shed_w
    given_back = []
    for _ in range(5):
        site.scan(grid_w=500e3, deferred_w=asked_w, available_w=250e3 - asked_w)
        given_back.append(asked_w - site.shed_w)
    assert given_back == pytest.approx([0.0, 0.0, 10e3, 20e3, 30e3])


@pytest.mark.parametrize("reason", ["refuse_shed", "safe_state"])
def test_shedding_that_is_refused_ends_in_the_same_scan(reason: str) -> None:
    site = Site(flexible=FLEXIBLE)
    site.scan(grid_w=1400e3, available_w=250e3)
    site.scan(site={"shed_tier": 1, "tripped": 1, reason: 1})
    assert site.shed_w == 0.0


def test_an_interlock_that_sheds_asks_for_all_there_is() -> None:
    site = Site(flexible=FLEXIBLE)
    site.scan(available_w=120e3, site={"shed_tier": 1, "tripped": 1})
    assert site.shed_w == pytest.approx(120e3)


def test_all_sun_is_taken_until_the_site_exports_beyond_its_limit() -> None:
    site = Site(pvs=2)
    site.scan(grid_w=100e3, pv_w=-150e3)
    assert site.pv_setpoints_w == [200e3, 200e3]
    site.scan(grid_w=-60e3)
    assert site.pv_setpoints_w == pytest.approx([120e3, 120e3])
    site.scan(grid_w=0.0)
    assert site.pv_setpoints_w == pytest.approx([121e3, 121e3]), "5 % of the rating a second"


def test_what_the_cap_used_is_charged_again_until_the_battery_is_ready() -> None:
    site = Site(storage={"ready_ratio": 0.6})
    assert site.setpoint_w(soc=0.59) == 0.0, "within the band nothing begins"
    assert site.setpoint_w(soc=0.57) == 50e3
    assert site.setpoint_w(soc=0.599) == 50e3, "once begun it goes on until ready"
    assert site.setpoint_w(soc=0.6) == 0.0


def test_readiness_is_charged_only_where_there_is_room_under_the_cap() -> None:
    site = Site(storage={"ready_ratio": 0.6}, soc=0.5)
    assert site.setpoint_w(grid_w=CAP_W - GUARD_W - 20e3) == pytest.approx(20e3)


def test_no_load_is_deferred_to_charge_a_battery() -> None:
    site = Site(storage={"ready_ratio": 0.6}, flexible={"device": 0}, soc=0.5)
    assert site.setpoint_w(deferred_w=30e3) == 0.0
    assert site.setpoint_w(deferred_w=0.0) == 50e3


def test_carbon_never_takes_what_is_kept_for_the_cap() -> None:
    site = Site(storage={"ready_ratio": 0.6}, carbon=450.0)
    assert site.setpoint_w(soc=0.7) == -50e3
    assert site.setpoint_w(soc=0.6) == 0.0
    assert site.setpoint_w(grid_w=1200e3) < -150e3, "the cap may take it down to the reserve"


@pytest.mark.parametrize("lost", [{"pv_w": None}, {"grid_w": None}], ids=["sun", "grid"])
def test_sun_is_not_held_back_on_a_reading_that_is_lost(lost: Fields) -> None:
    site = Site(pvs=2)
    site.scan(grid_w=-60e3, pv_w=-150e3)
    held_w = list(site.pv_setpoints_w)
    site.scan(**lost)
    assert site.pv_setpoints_w == pytest.approx([held + 1e3 for held in held_w])


def test_what_is_deferred_counts_as_nothing_while_it_cannot_be_read() -> None:
    site = Site(flexible=FLEXIBLE)
    everything = {"shed_tier": 1, "tripped": 1}
    site.scan(available_w=120e3, deferred_w=50e3, site=everything)
    assert site.shed_w == pytest.approx(170e3)
    other = Site(flexible=FLEXIBLE)
    other.scan(available_w=120e3, deferred_w=None, site=everything)
    assert other.shed_w == pytest.approx(120e3)
