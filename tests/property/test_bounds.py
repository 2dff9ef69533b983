"""Whatever is bought and contracted: ends hold the figure, and knowing less never narrows them."""

from hypothesis import assume, example, given
from hypothesis import strategies as st

from edgectl.accounting.scope2 import HOUR_NS, Instrument, Lot, cover
from edgectl.accounting.scope2_bounds import HourBounds, MarketFactors, market_carbon
from edgectl.accounting.uncertainty import (
    MJ_MG_PER_UG,
    Bound,
    Ends,
    combined,
    known_to,
    share_ends,
    sum_bound,
    sum_ends,
    through,
)

MJ_MAX = 10**15
TINY = 1e-150  # its square is none
ratio = st.floats(0.0, 0.4)
energy = st.integers(0, MJ_MAX)
deliveries = st.lists(st.tuples(energy, st.integers(0, 900_000)), max_size=4)
hours = st.lists(st.tuples(energy, deliveries), min_size=1, max_size=6)


def lots_of(delivered: list[tuple[int, int]]) -> list[Lot]:
    return [
        Lot(f"C{at}", Instrument.PPA, "R", f"G{at}", "Z", 0, HOUR_NS, mj, mg)
        for at, (mj, mg) in enumerate(delivered)
    ]


def hour_of(
    bought_mj: float, delivered: list[tuple[int, int]], u_ratio: float, u_factor: float = 0.0
) -> HourBounds:
    lots = lots_of(delivered)
    factors = MarketFactors(500_000, u_factor, {each.contract: u_factor for each in lots})
    return HourBounds(known_to("meter grid", float(bought_mj), u_ratio), lots, factors)


def holds(ends: Ends, value: float) -> bool:
    """Whether a value lies between the ends, up to what doubles round."""
    near = 1e-9 * max(abs(value), abs(ends.value), 1.0)
    return ends.low - near <= value <= ends.high + near


@given(period=hours, u_ratio=ratio, u_factor=ratio)
@example(period=[(10**12, [(10**12, 0)])], u_ratio=0.01, u_factor=0.2)
@example(period=[(0, [(10**12, 400_000)]), (10**12, [])], u_ratio=0.4, u_factor=0.0)
def test_ends_hold_the_figure(
    period: list[tuple[int, list[tuple[int, int]]]], u_ratio: float, u_factor: float
) -> None:
    bounds = [hour_of(*each, u_ratio, u_factor) for each in period]
    carbon = market_carbon(bounds)
    exact = 0.0
    for (bought_mj, _), each in zip(period, bounds, strict=True):
        taken, left_mj = cover(bought_mj, each.lots)
        exact += (sum(mj * lot.mg_per_kwh for lot, mj in taken) + left_mj * 500_000) / MJ_MG_PER_UG
        assert holds(each.taken(), sum(mj for _, mj in taken))
        assert holds(each.residual(), left_mj)
    assert holds(carbon, exact)


@given(bought=energy, delivered=deliveries, u_ratio=ratio, off=st.floats(-2.0, 2.0))
def test_what_contracts_cover_lies_between_the_ends_wherever_the_meter_errs_to(
    bought: int, delivered: list[tuple[int, int]], u_ratio: float, off: float
) -> None:
    """Both rise with what was bought: within k = 2 of the meter nothing can lie outside."""
    each = hour_of(bought, delivered, u_ratio)
    really = max(0.0, bought * (1 + off * u_ratio))
    taken, left_mj = cover(really, each.lots)
    assert holds(each.taken(), sum(mj for _, mj in taken))
    assert holds(each.residual(), left_mj)
    least, most = each.surplus()
    surplus = sum(lot.energy_mj for lot in each.lots) - sum(mj for _, mj in taken)
    near = 1e-9 * MJ_MAX
    assert least - near <= surplus <= most + near


@given(period=hours, u_ratio=ratio, u_factor=ratio, more=ratio)
def test_a_coarser_meter_or_factor_never_narrows(
    period: list[tuple[int, list[tuple[int, int]]]], u_ratio: float, u_factor: float, more: float
) -> None:
    def ends(by_meter: float, by_factor: float) -> Ends:
        return market_carbon(
            hour_of(bought, lots, by_meter, by_factor)
            for bought, lots in period
        )  # fmt: skip

    known = ends(u_ratio, u_factor)
    for coarser in (ends(u_ratio, u_factor + more),
                    ends(min(0.4, u_ratio + more), u_factor)):  # fmt: skip
        near = 1e-9 * max(1.0, known.value)
        assert coarser.low <= known.low + near
        assert coarser.high >= known.high - near


@given(part=st.floats(0.0, 1e6), rest=st.floats(0.0, 1e6), u_part=ratio, u_rest=ratio,
       limit=st.floats(0.0, 1e6))  # fmt: skip
def test_a_share_has_ends_around_it_and_none_where_all_is_one_meters(
    part: float, rest: float, u_part: float, u_rest: float, limit: float
) -> None:
    assume(part + rest > 1e-3)
    own, other = known_to("meter own", part, u_part), known_to("meter other", rest, u_rest)
    whole = sum_bound((own, other))
    taken = through(own, lambda mj: min(mj, limit))
    ends = share_ends(taken, whole)
    assert holds(ends, min(part, limit) / (part + rest))
    if part > 1e-3:
        alone = share_ends(Ends.alike(combined(part / 2, ((0.5, own),))), own)
        assert alone.low == alone.high == alone.value


@given(u=st.lists(st.just(0.0) | st.floats(TINY, 1e3), min_size=1, max_size=8))
def test_named_alike_adds_up_and_named_apart_adds_in_square(u: list[float]) -> None:
    alike = sum_bound(Bound(1.0, each, parts={"meter": each}) for each in u)
    apart = sum_bound(Bound(1.0, each, parts={f"meter {at}": each}) for at, each in enumerate(u))
    nameless = sum_bound(Bound(1.0, each) for each in u)
    assert abs(alike.u - sum(u)) <= 1e-9 * sum(u)
    assert apart.u <= alike.u * (1 + 1e-12)
    assert abs(apart.u - nameless.u) <= 1e-9 * apart.u
    doubled = sum_ends([Ends.alike(alike), Ends.alike(alike)])
    assert abs(doubled.down.u - 2 * alike.u) <= 1e-9 * alike.u
