"""Scope 2 both ways, the score of clean hours, renewable shares; marginal carbon kept apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from edgectl.accounting import kpi
from edgectl.accounting.scope2 import (
    ContractBook,
    Instrument,
    Lot,
    MatchedHour,
    annual_shortfall_mj,
    match_hours,
)
from edgectl.errors import DataError
from edgectl.reports.books import HOUR_S, Books, Hour
from edgectl.reports.declared import Declared
from edgectl.reports.figures import Balance, Headline, absent
from edgectl.reports.mixture import FROM_PV, GRID, PV, UNMETERED
from edgectl.reports.words import iso
from edgectl.site_model import Site

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

    @property
    def by_instrument_mj(self) -> dict[Instrument, int]:
        """What was matched, by kind of contract."""
        kinds = {each.contract: each.instrument for each in self.lots}
        found = dict.fromkeys(Instrument, 0)
        for hour in self.hours:
            for contract, mj in hour.by_contract_mj.items():
                found[kinds[contract]] += mj
        return found


def bought_mj(hour: Hour, *, with_pv: bool) -> int:
    """Of an hour: drawn from the grid, and what no meter saw, which is taken as bought."""
    sources = {"grid", "unmetered"} | ({"pv"} if with_pv else set())
    return sum(mj for (source, _), mj in hour.energy_mj.items() if source in sources)


def match(books: Books, site: Site | None, declared: Declared, lots: Sequence[Lot]) -> Market:
    """Match what was bought with contracts, hour by hour.

    Own generation whose certificates were sold is bought back at the residual mix.
    Raises DataError for lots that claim the same electricity twice or another market's.
    """
    names = books.names
    market = names.zone if names else ""
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
        start // HOUR_S: bought_mj(hour, with_pv=sold) for start, hour in books.hours.items()
        if hour.counts["seconds"]
    }  # fmt: skip
    hours = match_hours(loads, book, residual or 0)
    return Market(market, residual, said, lots, hours)


def scope2(balance: Balance, market: Market) -> dict[str, Any]:
    """The two ledgers side by side, as plain data; there is no sum of both."""
    known = market.residual_mg_per_kwh is not None
    return {
        "location": {
            "carbon_ug": balance.grid_ug,
            "energy_mj": balance.grid_mj + balance.unmetered_mj,
            "method": "average of the zone in each second, as the ledger booked it; what no meter "
            "saw counts as bought",
        },
        "market": {
            "carbon_ug": sum(each.carbon.ug for each in market.hours) if known else None,
            "energy_mj": sum(each.load_mj for each in market.hours),
            "matched_mj": sum(sum(each.by_contract_mj.values()) for each in market.hours),
            "residual_mj": sum(each.residual_mj for each in market.hours),
            "surplus_mj": sum(each.surplus_mj for each in market.hours),
            "hidden_by_annual_matching_mj": annual_shortfall_mj(market.hours),
            "residual_mg_per_kwh": market.residual_mg_per_kwh,
            "residual_said": market.residual_said,
            "market_boundary": market.market,
            "contracts": sorted({each.contract for each in market.lots}),
            "method": "contracts of the same market and hour, then the residual mix; no surplus "
            "is carried over",
        },
    }


def marginal(balance: Balance, declared: Declared) -> dict[str, Any]:
    """What a decision moves; it is in no inventory and is added to nothing."""
    factors = declared.factors
    said: dict[str, Any] = {
        "label": "consequential, for decisions only: no inventory, not scope 2, not to be added",
        "mg_per_kwh": None, "carbon_ug": None, "source": factors.marginal_source,
    }  # fmt: skip
    if factors.marginal_g_per_kwh is not None:
        mg = round(factors.marginal_g_per_kwh * MG_PER_G)
        energy_mj = balance.grid_mj + balance.unmetered_mj
        said |= {"mg_per_kwh": mg, "carbon_ug": energy_mj * mg // MJ_MG_PER_UG}
    return said


def clean_hours(books: Books, declared: Declared, market: Market) -> list[dict[str, Any]]:
    """Each hour's load, its clean part, and its score."""
    names = books.names
    kinds = names.kinds if names else {}
    grid_clean = Fraction(str(declared.factors.grid_clean_ratio or 0))
    sold = declared.renewable.onsite_certificates == "sold"
    matched = {each.hour: sum(each.by_contract_mj.values()) for each in market.hours}
    found = []
    for start, hour in sorted(books.hours.items()):
        used = [
            (origin, mj) for (sink, origin), mj in hour.origins_mj.items()
            if kinds.get(sink, sink) in ("it", "aux", "losses")
        ]  # fmt: skip
        load_mj = sum(mj for _, mj in used)
        own_mj = 0 if sold else sum(mj for origin, mj in used if origin in (PV, FROM_PV))
        # Of what was bought, a part charged batteries: it is no consumption of this hour.
        direct = {GRID, UNMETERED} | ({PV} if sold else set())
        direct_mj = sum(mj for origin, mj in used if origin in direct)
        bought = bought_mj(hour, with_pv=sold)
        contract_mj = matched.get(start // HOUR_S, 0) * direct_mj // bought if bought else 0
        each = kpi.CfeHour(load_mj, own_mj + contract_mj, grid_clean)
        ratio = each.clean_of_load_mj / load_mj if load_mj else None
        found.append({
            "utc": iso(start), "load_mj": load_mj, "clean_mj": each.clean_mj,
            "score": None if ratio is None else float(ratio),
        })  # fmt: skip
    return found


def cfe(hours: Sequence[dict[str, Any]], declared: Declared) -> Headline:
    """The period's score, hours weighted by their load."""
    share = declared.factors.grid_clean_ratio
    grid_clean = Fraction(str(share or 0))
    said = "hour by hour; the grid's clean share " + (
        "not declared: counted as 0" if share is None else f"{share:g}, declared"
    )
    try:
        figure = kpi.cfe(
            kpi.CfeHour(each["load_mj"], each["clean_mj"], grid_clean) for each in hours
        )
    except DataError as error:
        return absent("CFE score", "1", "24/7 CFE", error.problem)
    return Headline("CFE score", figure.value, None, None, "1", "24/7 CFE", said)


def renewables(balance: Balance, declared: Declared, market: Market) -> dict[str, int | None]:
    """Renewable energy of (EU) 2024/1364, mJ: total, certificates, agreements, on site.

    On-site generation counts only where its certificates are not somebody else's.
    """
    clean = {each.id for each in declared.contract if each.renewable and each.cancelled}
    by_kind = {"goo": 0, "ppa": 0}
    kinds = {each.contract: each.instrument for each in market.lots}
    for hour in market.hours:
        for contract, mj in hour.by_contract_mj.items():
            if contract in clean and kinds[contract] is Instrument.PPA:
                by_kind["ppa"] += mj
            elif contract in clean and kinds[contract] is Instrument.GUARANTEE:
                by_kind["goo"] += mj
    state = declared.renewable.onsite_certificates
    own = None if state is None else 0 if state == "sold" else balance.pv_used_mj
    contracts = bool(declared.contract)
    total = None if own is None else own + by_kind["goo"] + by_kind["ppa"]
    return {
        "total": total, "own": own,
        "goo": by_kind["goo"] if contracts else None,
        "ppa": by_kind["ppa"] if contracts else None,
    }  # fmt: skip


def ref(balance: Balance, renewable: dict[str, int | None]) -> Headline:
    """Renewable energy factor."""
    total = renewable["total"]
    if total is None:
        return absent(
            "REF", "1", "ISO/IEC 30134-3",
            "not declared what became of the certificates of on-site generation",
        )  # fmt: skip
    try:
        figure = kpi.ref(total, balance.facility_mj)
    except DataError as error:
        return absent("REF", "1", "ISO/IEC 30134-3", error.problem)
    return Headline("REF", figure.value, None, None, "1", "ISO/IEC 30134-3", figure.declared)


def sci(
    books: Books, declared: Declared, overhead_ug_per_mj: Fraction, tenant: str | None
) -> list[dict[str, Any]]:
    """Carbon per unit of each counter that tenants declared.

    overhead_ug_per_mj   of all consumption that is not IT, per mJ of IT
    """
    energy, carbon = books.energy(), books.carbon()
    found = []
    for (owner, name, source), (units, unit, span) in _counted(books).items():
        if tenant is not None and owner != tenant:
            continue
        loads = _loads_of(books, owner)
        it_mj = sum(mj for (_, sink), mj in energy.items() if sink in loads)
        own_ug = sum(ug for (_, sink), ug in carbon.items() if sink in loads)
        operational_g = (own_ug + it_mj * overhead_ug_per_mj) / 10**6
        life = next((each for each in declared.embodied if each.tenant == owner), None)
        part_g = Fraction(0)
        if life is not None:
            part_g = kpi.embodied(
                Fraction(str(life.total_g)), Fraction(books.seconds),
                Fraction(str(life.life_s)), Fraction(str(life.share)),
            )  # fmt: skip
        row = {
            "tenant": owner, "counter": name, "source": source, "unit": unit,
            "units": float(units), "from_utc": iso(span[0]), "to_utc": iso(span[1]),
            "operational_g": float(operational_g), "embodied_g": float(part_g),
            "embodied_said": "declared" if life else "not declared: M is 0, the figure is too low",
            "g_per_unit": None,
        }  # fmt: skip
        if units > 0:
            row["g_per_unit"] = kpi.sci(operational_g, part_g, units, unit).value
        found.append(row)
    return found


def _counted(books: Books) -> dict[Any, Any]:
    """Units between the first and last booking of each counter: units, unit, times."""
    first: dict[Any, dict[str, Any]] = {}
    last: dict[Any, dict[str, Any]] = {}
    for each in books.counters:
        key = (each["tenant"], each["name"], each["source"])
        first.setdefault(key, each)
        last[key] = each
    return {
        key: (
            Fraction(str(last[key]["value"])) - Fraction(str(first[key]["value"])),
            last[key]["unit"], (first[key]["utc_s"], last[key]["utc_s"]),
        )
        for key in first
    }  # fmt: skip


def _loads_of(books: Books, tenant: str) -> set[str]:
    names = books.names
    tenants = names.tenants if names else ()
    return {load for each in tenants if each["id"] == tenant for load in each["loads"]}
