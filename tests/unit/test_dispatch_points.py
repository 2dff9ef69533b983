"""What a scan shows of a battery as points, the export limit of PV, and tiers beyond the last.

Of edgectl._kernel.dispatch and edgectl._kernel.curtail.
"""

import pytest
from dispatch_site import RATING_W, Site

from edgectl._kernel.quality import Quality

REQUEST, SETPOINT, REJECTED, LAPSED, EFFECT_ERROR = 40, 41, 42, 43, 44
POINTS = {
    "request_point": REQUEST, "setpoint_point": SETPOINT, "rejected_point": REJECTED,
    "lapsed_point": LAPSED,
}  # fmt: skip
GOOD = Quality.QUALITY_GOOD
FLEXIBLE = {"device": 0, "tier_ratio": [0.1, 0.2, 0.4, 0.8], "release_w_per_s": 1e6}


def shown(site: Site) -> list[float]:
    """Request, setpoint, rejected and lapsed as the last scan shows them, all good."""
    found = [site.bench.point(point) for point in (REQUEST, SETPOINT, REJECTED, LAPSED)]
    assert [quality for _, quality in found] == [GOOD] * 4
    return [value for value, _ in found]


def test_request_and_setpoint_are_points_of_the_next_scan() -> None:
    site = Site(storage=POINTS | {"ramp_w_per_s": 500e3})
    site.want(200e3)
    site.scan()
    site.scan()
    assert shown(site) == [200e3, 50e3, 0.0, 0.0]


def test_a_request_beyond_twice_the_rating_and_one_that_ran_out_are_points() -> None:
    site = Site(storage=POINTS)
    site.want(2.1 * RATING_W)
    site.scan()
    site.scan()
    assert shown(site)[2:] == [1.0, 0.0]
    for _ in range(101):
        site.scan()
    assert shown(site)[2:] == [0.0, 1.0]


@pytest.mark.parametrize("export_max_w", [0.0, 100e3])
def test_pv_is_held_back_by_what_is_exported_beyond_the_limit(export_max_w: float) -> None:
    site = Site(pvs=1, dispatch={"export_max_w": export_max_w}, soc=0.9)
    site.pv_w = -200e3
    site.scan(grid_w=-150e3)
    assert site.pv_setpoints_w == [pytest.approx(50e3 + export_max_w)]


def test_pv_that_generates_beyond_its_limit_is_seen_by_the_meter_beside_it() -> None:
    meter = 5  # after grid, available, deferred, and a battery's two
    proof = {"proof.meter_point": meter, "proof.effect_error_point": EFFECT_ERROR}
    site = Site(pvs=1, pv=proof | {"proof.effect_ns": 500_000_000}, pv_w=-150e3)
    for _ in range(10):
        site.scan()
        assert site.bench.point(EFFECT_ERROR) == (0.0, GOOD), "nothing was written yet"
    site.bench.limited(0, 100e3)
    for _ in range(4):
        site.scan()
        assert site.bench.point(EFFECT_ERROR) == (0.0, GOOD), "its time is not over"
    for _ in range(4):
        site.scan()
    assert site.bench.point(EFFECT_ERROR) == (50e3, GOOD)
    site.scan(pv_w=None)
    assert site.bench.point(EFFECT_ERROR)[1] == Quality.QUALITY_BAD, "a lost meter proves nothing"
    site.scan(pv_w=-90e3)
    assert site.bench.point(EFFECT_ERROR) == (0.0, GOOD)


@pytest.mark.parametrize(("tier", "share"), [(1, 0.1), (4, 0.8), (5, 0.8), (255, 0.8)])
def test_a_tier_beyond_the_last_asks_for_as_much_as_the_last(tier: int, share: float) -> None:
    site = Site(flexible=FLEXIBLE, available_w=100e3, site={"shed_tier": tier})
    site.scan()
    assert site.shed_w == pytest.approx(share * 100e3)
