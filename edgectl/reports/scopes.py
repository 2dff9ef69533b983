"""Scope 2 both ways, each with its interval; marginal carbon kept apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgectl.accounting.scope2 import (
    ContractBook,
    Lot,
    MatchedHour,
    annual_shortfall_mj,
    match_hours,
)
from edgectl.accounting.scope2_bounds import HourBounds, MarketFactors, market_carbon
from edgectl.accounting.uncertainty import (
    Bound,
    combined,
    factor_part,
    known_to,
    sum_bound,
    sum_ends,
)
from edgectl.reports.books import HOUR_S, Hour
from edgectl.reports.declared import Declared
from edgectl.reports.figures import Measured
from edgectl.reports.metering import FACTOR_U_RATIO, Bounds, by_name
from edgectl.reports.words import iso, limits, span

MG_PER_G = 1000
MJ_MG_PER_UG = 3_600_000


@dataclass(frozen=True, slots=True)
class Market:
    """Hourly matching of a period."""

    market: str
    residual_mg_per_kwh: int | None
    residual_said: str
    lots: Sequence[Lot]
    hours: Sequence[MatchedHour]
    bounds: Mapping[int, HourBounds]  # by hour since 1970


def bought(hour: Hour, *, with_pv: bool) -> dict[str, int]:
    """mJ of an hour: drawn from the grid, and what no meter saw, which is taken as bought."""
    sources = ("grid", "unmetered", *(("pv",) if with_pv else ()))
    return {
        name: sum(mj for (source, _), mj in hour.energy_mj.items() if source == name)
        for name in sources
    }


def match(known: Bounds, lots: Sequence[Lot]) -> Market:
    """Match what was bought with contracts, hour by hour.

    Own generation whose certificates were sold is bought back at the residual mix.
    Raises DataError for lots that claim the same electricity twice or another market's.
    """
    books, site, declared = known.books, known.site, known.declared
    market = books.names.zone if books.names else ""
    factors = declared.factors
    if factors.residual_g_per_kwh is not None:
        residual: int | None = round(factors.residual_g_per_kwh * MG_PER_G)
        said = factors.residual_source or "residual mix, declared by the operator"
    elif site is not None:
        residual = round(site.carbon.default_g_per_kwh * MG_PER_G)
        said = "no residual mix declared: the zone's higher default of the site file"
    else:
        residual, said = None, "no residual mix declared, and no site file that has a default"
    book = ContractBook(market)
    for lot in lots:
        book.add(lot)
    sold = declared.renewable.onsite_certificates == "sold"
    loads = {
        start // HOUR_S: bought(hour, with_pv=sold) for start, hour in books.hours.items()
        if hour.counts["seconds"]
    }  # fmt: skip
    hours = match_hours({hour: sum(each.values()) for hour, each in loads.items()}, book,
                        residual or 0)  # fmt: skip
    doubts = _doubts(declared, residual or 0)
    bounds = {
        hour: HourBounds(known.energy(each), book.of_hour(hour), doubts)
        for hour, each in loads.items()
    }
    return Market(market, residual, said, lots, hours, bounds)


def _doubts(declared: Declared, residual_mg_per_kwh: int) -> MarketFactors:
    """What is not declared of a factor's uncertainty counts as of the grid's."""
    return MarketFactors(
        residual_mg_per_kwh, _or_poor(declared.factors.residual_standard_uncertainty_ratio),
        {each.id: _or_poor(each.standard_uncertainty_ratio) for each in declared.contract},
    )  # fmt: skip


def _or_poor(u_ratio: float | None) -> float:
    return FACTOR_U_RATIO if u_ratio is None else u_ratio


def scope2(measured: Measured, market: Market) -> dict[str, Any]:
    """The two ledgers side by side, as plain data; there is no sum of both."""
    known, balance = market.residual_mg_per_kwh is not None, measured.balance
    hours = [market.bounds[each.hour] for each in market.hours]
    return {
        "location": {
            "carbon_ug": balance.grid_ug,
            "energy_mj": balance.grid_mj + balance.unmetered_mj,
            **_location(measured),
            "method": "average of the zone in each second, as the ledger booked it; what no meter "
            "saw counts as bought",
        },
        "market": {
            "carbon_ug": sum(each.carbon.ug for each in market.hours) if known else None,
            **(span("carbon_ug", market_carbon(hours)) if known else {}),
            "energy_mj": sum(each.load_mj for each in market.hours),
            **span("energy_mj", sum_bound(each.bought for each in hours)),
            "matched_mj": sum(sum(each.by_contract_mj.values()) for each in market.hours),
            **span("matched_mj", sum_ends(each.taken() for each in hours)),
            "residual_mj": sum(each.residual_mj for each in market.hours),
            **span("residual_mj", sum_ends(each.residual() for each in hours)),
            "surplus_mj": sum(each.surplus_mj for each in market.hours),
            **limits("surplus_mj", sum(each.surplus()[0] for each in hours),
                     sum(each.surplus()[1] for each in hours)),
            "hidden_by_annual_matching_mj": annual_shortfall_mj(market.hours),
            "residual_mg_per_kwh": market.residual_mg_per_kwh,
            "residual_said": market.residual_said,
            "market_boundary": market.market,
            "contracts": sorted({each.contract for each in market.lots}),
            "method": "contracts of the same market and hour, then the residual mix; no surplus "
            "is carried over",
        },
    }  # fmt: skip


def _location(measured: Measured) -> dict[str, int]:
    carbon, energy = location_bounds(measured)
    return span("carbon_ug", carbon) | span("energy_mj", energy)


def location_bounds(measured: Measured) -> tuple[Bound, Bound]:
    """Carbon and energy of what was bought, location-based: ug and mJ."""
    books, bounds = measured.books, measured.bounds
    energy, carbon = by_name(books.energy(), 0), by_name(books.carbon(), 0)
    amounts = {name: (energy.get(name, 0), carbon.get(name, 0)) for name in ("grid", "unmetered")}
    return (
        bounds.carbon(amounts, measured.balance.grid_ug),
        bounds.energy({name: mj for name, (mj, _) in amounts.items()}),
    )


def market_hours(market: Market) -> list[dict[str, Any]]:
    """One row an hour, each amount with its interval."""
    known = market.residual_mg_per_kwh is not None
    found = []
    for each in market.hours:
        bounds = market.bounds[each.hour]
        found.append({
            "utc": iso(each.hour * HOUR_S), "bought_mj": each.load_mj,
            **span("bought_mj", bounds.bought),
            "by_contract_mj": dict(each.by_contract_mj),
            **span("matched_mj", bounds.taken()),
            "residual_mj": each.residual_mj, **span("residual_mj", bounds.residual()),
            "surplus_mj": each.surplus_mj, **limits("surplus_mj", *bounds.surplus()),
            "market_ug": each.carbon.ug,
            **(span("market_ug", bounds.carbon()) if known else {}),
        })  # fmt: skip
    return found


def marginal(measured: Measured) -> dict[str, Any]:
    """What a decision moves; it is in no inventory and is added to nothing."""
    factors, balance = measured.declared.factors, measured.balance
    said: dict[str, Any] = {
        "label": "consequential, for decisions only: no inventory, not scope 2, not to be added",
        "mg_per_kwh": None, "carbon_ug": None, "source": factors.marginal_source,
    }  # fmt: skip
    if factors.marginal_g_per_kwh is not None:
        mg = round(factors.marginal_g_per_kwh * MG_PER_G)
        energy_mj = balance.grid_mj + balance.unmetered_mj
        carbon_ug = energy_mj * mg // MJ_MG_PER_UG
        drawn = measured.bounds.energy({"grid": balance.grid_mj, "unmetered": balance.unmetered_mj})
        factor = known_to(factor_part("marginal"), mg / MJ_MG_PER_UG,
                          _or_poor(factors.marginal_standard_uncertainty_ratio))  # fmt: skip
        bound = combined(float(carbon_ug), ((factor.value, drawn), (drawn.value, factor)))
        said |= {"mg_per_kwh": mg, "carbon_ug": carbon_ug, **span("carbon_ug", bound)}
    return said
