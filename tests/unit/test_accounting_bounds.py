"""Bounds put together by hand: what errs together, what bends, and what contracts leave over."""

import pytest

from edgectl.accounting.scope2 import HOUR_NS, Instrument, Lot
from edgectl.accounting.scope2_bounds import HourBounds, MarketFactors, market_carbon
from edgectl.accounting.uncertainty import (
    Bound,
    Contribution,
    Ends,
    carbon_bound_ug,
    combined,
    energy_bound_mj,
    known_to,
    ratio_bound,
    share_ends,
    sum_bound,
    sum_ends,
    through,
)

KWH_MJ = 3_600_000_000


def metered(name: str, mj: float, u_ratio: float = 0.01) -> Bound:
    """An energy of a meter that is known to 1 %."""
    return known_to(f"meter {name}", mj, u_ratio)


def test_a_meter_in_part_and_whole_moves_both() -> None:
    pv, grid = metered("pv", 40.0), metered("grid", 60.0)
    share = ratio_bound(pv, sum_bound((pv, grid)))
    # s = p / (p + g): ds/s = (1 - s) (dp/p - dg/g), so u = 0.4 * 0.6 * 0.01 * sqrt 2.
    assert share.value == pytest.approx(0.4)
    assert share.u == pytest.approx(0.4 * 0.6 * 0.01 * 2**0.5)
    apart = ratio_bound(Bound(40.0, 0.4), Bound(100.0, 0.72))
    assert apart.u > 1.4 * share.u, "taken as independent it would be too wide"


def test_one_meter_alone_has_no_say_in_a_share_of_itself() -> None:
    grid = metered("grid", 60.0)
    assert ratio_bound(combined(30.0, ((0.5, grid),)), grid).u == 0.0


def test_what_has_no_name_is_independent_of_all() -> None:
    both = combined(3.0, ((1.0, Bound(1.0, 3.0)), (-1.0, Bound(2.0, 4.0)), (1.0, Bound(0, 0))))
    assert both.u == pytest.approx(5.0)
    assert both.rest == pytest.approx(5.0)
    assert combined(0.0, ((1.0, both), (-1.0, both))).u == pytest.approx(5.0 * 2**0.5)


def test_energy_and_its_carbon_err_alike_so_their_ratio_is_the_factors() -> None:
    part = Contribution("M", "zone", 10**9, 400_000, u_meter_ratio=0.02, u_fixed_mj=10**7,
                        u_factor_ratio=0.05)  # fmt: skip
    ratio = ratio_bound(carbon_bound_ug([part]), energy_bound_mj([part]))
    assert ratio.u / ratio.value == pytest.approx(0.05)


def test_a_bend_is_right_at_both_ends() -> None:
    bought = Bound(100.0, 5.0, parts={"meter grid": 5.0})
    over = through(bought, lambda mj: min(mj, 200.0))
    assert (over.low, over.high) == pytest.approx((90.0, 110.0)), "no contract is used up"
    under = through(bought, lambda mj: min(mj, 50.0))
    assert (under.low, under.high) == (50.0, 50.0), "it delivers all it has, whatever was bought"
    at = through(bought, lambda mj: min(mj, 104.0))
    assert (at.low, at.high) == pytest.approx((90.0, 104.0))
    beyond = through(bought, lambda mj: min(mj, 94.0))
    assert (beyond.low, beyond.high) == pytest.approx((90.0, 94.0))
    assert beyond.value == 94.0, "the tangent there is flat, the chord is not"


def test_nothing_bought_and_nothing_known_of_it_bends_nothing() -> None:
    assert through(Bound(0.0, 0.0), lambda mj: 2 * mj) == Ends.alike(Bound(0.0, 0.0))
    wild = through(Bound(10.0, 20.0), lambda mj: mj)
    assert (wild.low, wild.high) == (-30.0, 50.0), "a chord from 10 to 0 goes on below"


def test_hours_of_one_meter_add_up_and_do_not_average_out() -> None:
    hours = [through(metered("grid", 100.0), lambda mj: min(mj, 150.0)) for _ in range(24)]
    assert sum_ends(hours).up.u == pytest.approx(24.0)


def test_a_share_at_a_bend_reaches_as_far_as_either_side_does() -> None:
    """Bought 80 of 100, just covered: if it was more the share falls, by 0.8 x 0.8 of its error."""
    grid, other = metered("grid", 80.0), metered("other", 20.0)
    taken = through(grid, lambda mj: min(mj, 80.0))
    ends = share_ends(taken, sum_bound((grid, other)))
    by_grid, by_other = 0.8 * 0.8 * 0.01, 0.8 * 0.2 * 0.01
    assert ends.value == pytest.approx(0.8)
    assert ends.down.u == pytest.approx((by_grid**2 + by_other**2) ** 0.5)
    used_up = through(grid, lambda mj: min(mj, 120.0))
    known = share_ends(used_up, sum_bound((grid, other)))
    assert known.down.u == pytest.approx(0.8 * 0.2 * 0.01 * 2**0.5), "away from it, as if straight"


def lot(contract: str, kwh: float, mg: int) -> Lot:
    return Lot(contract, Instrument.PPA, "R", contract, "Z", 0, HOUR_NS, int(kwh * KWH_MJ), mg)


def hour(bought_kwh: float, *lots: Lot, u_ratio: float = 0.01) -> HourBounds:
    factors = MarketFactors(500_000, 0.1, {each.contract: 0.2 for each in lots})
    return HourBounds(metered("grid", bought_kwh * KWH_MJ, u_ratio), lots, factors)


def grams(ends: Ends) -> tuple[float, float, float]:
    return ends.low / 1e6, ends.value / 1e6, ends.high / 1e6


def test_a_covered_hour_of_certificates_is_exactly_nothing() -> None:
    assert grams(hour(100.0, lot("WIND", 200.0, 0)).carbon()) == (0.0, 0.0, 0.0)


def test_what_is_left_over_has_the_whole_error_of_what_was_bought() -> None:
    # 100 kWh +- 1 %, 90 by certificates, 10 at 500 g +- 10 %: u^2 = (1 kWh * 500)^2 + 500^2.
    low, value, high = grams(hour(100.0, lot("WIND", 90.0, 0)).carbon())
    u = (500.0**2 + (0.1 * 5_000.0) ** 2) ** 0.5
    assert (low, value, high) == pytest.approx((5_000 - 2 * u, 5_000, 5_000 + 2 * u))


def test_the_contract_that_is_not_used_up_is_the_one_that_gives_way() -> None:
    lots = (lot("WIND", 60.0, 0), lot("MIX", 80.0, 200_000))
    low, value, high = grams(hour(100.0, *lots).carbon())
    # 40 kWh of MIX at 200 g: the meter's 1 kWh moves at 200 g, the factor 20 % of 8000 g.
    u = (200.0**2 + 1_600.0**2) ** 0.5
    assert (low, value, high) == pytest.approx((8_000 - 2 * u, 8_000, 8_000 + 2 * u))


def test_a_covered_hour_near_its_bend_may_not_be_covered() -> None:
    low, value, high = grams(hour(100.0, lot("WIND", 101.0, 0)).carbon())
    assert (low, value, high) == pytest.approx((0.0, 0.0, 500.0)), "102 kWh, of which 1 is left"
    least, most = hour(100.0, lot("WIND", 101.0, 0)).surplus()
    assert (least / KWH_MJ, most / KWH_MJ) == pytest.approx((0.0, 3.0))


def test_a_factor_errs_alike_in_every_hour() -> None:
    hours = [hour(100.0, u_ratio=0.0) for _ in range(9)]
    assert market_carbon(hours).up.u == pytest.approx(9 * 0.1 * 50_000 * 1e6)


def test_a_residual_mix_of_nothing_is_exact() -> None:
    clean = HourBounds(metered("grid", KWH_MJ), (), MarketFactors(0, 0.2, {}))
    assert grams(clean.carbon()) == (0.0, 0.0, 0.0)
