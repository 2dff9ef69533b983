"""Clean hours and renewable shares, with their intervals.

Both are shares of what the site used, by origin, and all origins are shared out alike: what a
share does not know is what the sources' own meters do not know, and a meter that stands in part
and whole moves both. Contracts cover what was bought up to what they deliver, hour by hour, which
bends the score there: see accounting/scope2_bounds.py. The same meter errs alike in all hours.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from edgectl.accounting import kpi
from edgectl.accounting.scope2 import Instrument, Lot
from edgectl.accounting.uncertainty import (
    Bound,
    Ends,
    combined,
    known_to,
    ratio_bound,
    share_ends,
    sum_bound,
    sum_ends,
)
from edgectl.errors import DataError
from edgectl.reports.books import HOUR_S, Hour
from edgectl.reports.declared import Declared
from edgectl.reports.figures import Headline, Measured, absent
from edgectl.reports.metering import FACTOR_U_RATIO
from edgectl.reports.mixture import FROM_PV, GRID, PV, UNMETERED
from edgectl.reports.scopes import Market, bought
from edgectl.reports.words import iso

GRID_SHARE = "clean share of the grid"
REF_STANDARD = "ISO/IEC 30134-3"
USED = ("it", "aux", "losses")


@dataclass(frozen=True, slots=True)
class CleanHour:
    """One hour: exactly, and its clean part and its whole with what bounds their ratio."""

    start_s: int
    exact: kpi.CfeHour
    part: Ends
    whole: Bound


def clean_hours(measured: Measured, market: Market) -> list[CleanHour]:
    """Each hour's load and its clean part.

    Of contracts those count that are renewable, or whose factor is 0: a supplier's mix is matched
    in scope 2, and is not clean for that.
    """
    sold = measured.declared.renewable.onsite_certificates == "sold"
    grid_clean = Fraction(str(measured.declared.factors.grid_clean_ratio or 0))
    clean = {each.id for each in measured.declared.contract if each.renewable or not each.g_per_kwh}
    matched = {
        each.hour: sum(mj for name, mj in each.by_contract_mj.items() if name in clean)
        for each in market.hours
    }
    found = []
    for start, hour in sorted(measured.books.hours.items()):
        used = _used(measured, hour)
        load_mj = sum(used.values())
        own = () if sold else (PV, FROM_PV)
        own_mj = sum(used[origin] for origin in own)
        # Of what was bought, a part charged batteries: it is no consumption of this hour.
        direct_mj = sum(used[origin] for origin in (GRID, UNMETERED, *((PV,) if sold else ())))
        bought_mj = sum(bought(hour, with_pv=sold).values())
        contract_mj = matched.get(start // HOUR_S, 0) * direct_mj // bought_mj if bought_mj else 0
        known = measured.bounds.by_origin(used)
        part = Ends.alike(sum_bound(known[origin] for origin in own if origin in known))
        if contract_mj:
            taken = market.bounds[start // HOUR_S].taken(lambda lot: lot.contract in clean)
            part = sum_ends((part, Ends(*(
                combined(float(contract_mj), ((direct_mj / bought_mj, each),))
                for each in (taken.down, taken.up)
            ))))  # fmt: skip
        found.append(CleanHour(
            start, kpi.CfeHour(load_mj, own_mj + contract_mj, grid_clean), part,
            sum_bound(known.values()),
        ))  # fmt: skip
    return found


def _used(measured: Measured, hour: Hour) -> Counter[str]:
    """mJ by origin of what the site consumed in an hour."""
    names = measured.books.names
    kinds = names.kinds if names else {}
    used: Counter[str] = Counter()
    for (sink, origin), mj in hour.origins_mj.items():
        if kinds.get(sink, sink) in USED:
            used[origin] += mj
    return used


def hourly_score(each: CleanHour, declared: Declared) -> dict[str, Any]:
    """An hour's row: load, clean part, and score with its interval; no score without a load."""
    row: dict[str, Any] = {
        "utc": iso(each.start_s), "load_mj": each.exact.load_mj, "clean_mj": each.exact.clean_mj,
        "score": None, "score_low": None, "score_high": None,
    }  # fmt: skip
    if each.exact.load_mj:
        score = float(each.exact.clean_of_load_mj / each.exact.load_mj)
        low, high = _score_limits(each.part, each.whole, score, declared)
        row |= {"score": score, "score_low": low, "score_high": high}
    return row


def _score_limits(
    part: Ends, whole: Bound, score: float, declared: Declared
) -> tuple[float, float]:
    """Of g + (1 - g) r, where r is what is clean without the grid's own share g."""
    factors = declared.factors
    share = factors.grid_clean_ratio or 0.0
    u_ratio = factors.grid_clean_standard_uncertainty_ratio
    known = known_to(GRID_SHARE, share, FACTOR_U_RATIO if u_ratio is None else u_ratio)
    ends = share_ends(part, whole)
    return _of_whole(Ends(*(
        combined(score, ((1 - share, each), (1 - each.value, known)))
        for each in (ends.down, ends.up)
    )))  # fmt: skip


def _of_whole(ends: Ends) -> tuple[float, float]:
    """Both ends of what can be neither under nothing nor over all."""
    return min(1.0, max(0.0, ends.low)), min(1.0, max(0.0, ends.high))


def cfe(hours: Sequence[CleanHour], declared: Declared) -> Headline:
    """The period's score, hours weighted by their load."""
    share = declared.factors.grid_clean_ratio
    said = "hour by hour; the grid's clean share " + (
        "not declared: counted as 0" if share is None else f"{share:g}, declared"
    )
    try:
        figure = kpi.cfe(each.exact for each in hours)
    except DataError as error:
        return absent("CFE score", "1", "24/7 CFE", error.problem)
    limits = _score_limits(
        sum_ends(each.part for each in hours), sum_bound(each.whole for each in hours),
        figure.value, declared,
    )  # fmt: skip
    return Headline("CFE score", figure.value, *limits, "1", "24/7 CFE", said)


@dataclass(frozen=True, slots=True)
class Renewable:
    """Energy of one of the kinds of (EU) 2024/1364, mJ."""

    mj: int
    ends: Ends


def renewables(measured: Measured, market: Market) -> dict[str, Renewable | None]:
    """By kind: total, certificates, agreements, on site; None where it is not declared.

    On-site generation counts only where its certificates are not somebody else's.
    """
    declared = measured.declared
    clean = {each.id for each in declared.contract if each.renewable and each.cancelled}
    state = declared.renewable.onsite_certificates
    own = None
    if state is not None:
        own = (
            Renewable(0, Ends.alike(Bound(0.0, 0.0)))
            if state == "sold"
            else own_generation(measured)
        )
    found: dict[str, Renewable | None] = {"total": None, "own": own, "goo": None, "ppa": None}
    kinds = {"goo": Instrument.GUARANTEE, "ppa": Instrument.PPA}
    bought_by = {name: _matched(market, kind, clean) for name, kind in kinds.items()}
    if declared.contract:
        found |= bought_by
    if own is not None:
        listed = (own, *bought_by.values())
        found["total"] = Renewable(
            sum(each.mj for each in listed), sum_ends(each.ends for each in listed)
        )
    return found


def own_generation(measured: Measured) -> Renewable:
    """What of it the site used: its share by origin, times what was used."""
    mj, facility = measured.balance.pv_used_mj, measured.facility
    used: list[dict[str, Bound]] = [
        measured.bounds.by_origin(_used(measured, hour)) for hour in measured.books.hours.values()
    ]
    part = sum_bound(each[name] for each in used for name in (PV, FROM_PV) if name in each)
    if not part.value or not facility.value:
        return Renewable(mj, Ends.alike(Bound(float(mj), 0.0)))
    share = ratio_bound(part, sum_bound(each for hour in used for each in hour.values()))
    terms = ((mj / share.value, share), (mj / facility.value, facility))
    return Renewable(mj, Ends.alike(combined(float(mj), terms)))


def _matched(market: Market, kind: Instrument, clean: Collection[str]) -> Renewable:
    """What clean contracts of one kind cover."""

    def wanted(lot: Lot) -> bool:
        return lot.instrument is kind and lot.contract in clean

    chosen = {each.contract for each in market.lots if wanted(each)}
    return Renewable(
        sum(mj for hour in market.hours for name, mj in hour.by_contract_mj.items()
            if name in chosen),
        sum_ends(market.bounds[hour.hour].taken(wanted) for hour in market.hours),
    )  # fmt: skip


def ref(measured: Measured, renewable: Mapping[str, Renewable | None]) -> Headline:
    """Renewable energy factor."""
    total = renewable["total"]
    if total is None:
        return absent(
            "REF", "1", REF_STANDARD,
            "not declared what became of the certificates of on-site generation",
        )  # fmt: skip
    try:
        figure = kpi.ref(total.mj, measured.balance.facility_mj)
    except DataError as error:
        return absent("REF", "1", REF_STANDARD, error.problem)
    limits = _of_whole(share_ends(total.ends, measured.facility))
    return Headline("REF", figure.value, *limits, "1", REF_STANDARD, figure.declared)
