"""Headline figures, each with its interval and what had to be assumed for it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from edgectl.accounting import kpi
from edgectl.accounting.uncertainty import COVERAGE_K, Bound, known_to, ratio_bound, rectangular
from edgectl.errors import DataError
from edgectl.reports.books import Books, Way
from edgectl.reports.declared import CATEGORIES, MJ_PER_KWH, Declared
from edgectl.reports.metering import EXPORT, Bounds, by_name
from edgectl.reports.mixture import FROM_PV, PV
from edgectl.site_model import Site

WATER_LIMIT, HEAT_LIMIT = 0.02, 0.05  # of readings whose meter's class nobody declares
UG_PER_KG = 10**9


@dataclass(frozen=True, slots=True)
class Balance:
    """The site's own boundary over the period, mJ and ug."""

    grid_mj: int
    pv_mj: int
    other_mj: int  # generators
    unmetered_mj: int
    export_mj: int
    it_mj: int
    aux_mj: int
    losses_mj: int
    charged_mj: int
    given_mj: int
    conversion_mj: int  # lost in batteries
    used_ug: int  # carbon of what was consumed: loads, losses, the loss account
    grid_ug: int  # carbon of what was bought
    pv_used_mj: int  # on-site generation that reached loads and losses, through batteries too

    @property
    def facility_mj(self) -> int:
        """All that the data centre consumed: loads, losses, and what batteries lost."""
        return self.it_mj + self.aux_mj + self.losses_mj + self.conversion_mj


@dataclass(frozen=True, slots=True)
class Headline:
    """A figure for page one. value is None where it cannot be said, and `declared` says why."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    standard: str
    declared: str

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def balance_of(books: Books) -> Balance:
    """Sum the paths to what the standards ask for."""
    names = books.names
    kinds: Mapping[str, str] = names.kinds if names else {}
    storages = set(names.storages) if names else set()
    energy, carbon, origins = books.energy(), books.carbon(), books.origins()

    def of(cells: Counter[Way], source: str | None = None, kind: str | None = None) -> int:
        return sum(
            amount for (a, b), amount in cells.items()
            if (source is None or a == source) and (kind is None or kinds.get(b, b) == kind)
        )  # fmt: skip

    charged_mj = sum(mj for (_, sink), mj in energy.items() if sink in storages)
    given_mj = sum(mj for (source, _), mj in energy.items() if source in storages)
    known = {"grid", "pv", "unmetered"} | storages
    lost_mj = sum(
        each.charged_mj
        - each.given_mj
        - each.change_mj
        + each.true_up_mj
        + each.shortfall_mj
        + each.opened_mj
        for each in books.stocks.values()
    )
    lost_ug = sum(each.lost_ug for each in books.stocks.values())
    used = {"it", "aux", "losses"}
    return Balance(
        of(energy, "grid"), of(energy, "pv"),
        sum(mj for (source, _), mj in energy.items() if source not in known),
        of(energy, "unmetered"), of(energy, kind="export"), of(energy, kind="it"),
        of(energy, kind="aux"), of(energy, kind="losses"), charged_mj, given_mj, max(0, lost_mj),
        sum(ug for (_, sink), ug in carbon.items() if kinds.get(sink, sink) in used) + lost_ug,
        of(carbon, "grid") + of(carbon, "unmetered"),
        sum(mj for (sink, origin), mj in origins.items()
            if origin in (PV, FROM_PV) and kinds.get(sink, sink) in used),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """What every figure of a period rests on: its books, and its sums with their bounds."""

    books: Books
    site: Site | None
    declared: Declared
    balance: Balance
    bounds: Bounds
    it: Bound  # mJ
    facility: Bound  # mJ
    used: Bound  # ug


def measured(books: Books, site: Site | None, declared: Declared) -> Measured:
    """Work them out once for all figures."""
    balance, bounds = balance_of(books), Bounds(books, site, declared)
    kinds = books.names.kinds if books.names else {}
    energy, sources_ug = books.energy(), by_name(books.carbon(), 0)
    sources_mj, sinks_mj = by_name(energy, 0), by_name(energy, 1)
    it = bounds.energy({n: mj for n, mj in sinks_mj.items() if kinds.get(n) == "it"})
    # A battery inside the boundary counts with what it gave less what it took.
    net_mj = sources_mj | {
        name: sources_mj.get(name, 0) - sinks_mj.get(name, 0) for name in bounds.storages
    }
    boundary = bounds.energy(net_mj | {EXPORT: -balance.export_mj})
    facility = replace(boundary, value=float(balance.facility_mj))
    used = bounds.carbon(
        {name: (mj, sources_ug.get(name, 0)) for name, mj in sources_mj.items()}, balance.used_ug
    )
    return Measured(books, site, declared, balance, bounds, it, facility, used)


def headlines(known: Measured) -> list[Headline]:
    """The figures of page one, in their order."""
    return [
        headline("Energy of the data centre", known.facility, 1 / MJ_PER_KWH, "kWh", "E_DC"),
        headline("Energy of the IT equipment", known.it, 1 / MJ_PER_KWH, "kWh", "E_IT"),
        headline("Carbon of what was consumed", known.used, 1 / UG_PER_KG, "kg CO2e",
                 _basis(known.books)),
        *_ratios(known.balance, known.facility, known.it, known.used, known.declared),
    ]  # fmt: skip


def _basis(books: Books) -> str:
    return books.names.basis if books.names else ""


SURE = f"k = {COVERAGE_K:g}, about 95 %"


def headline(
    name: str, bound: Bound, scale: float, unit: str, standard: str, said: str = SURE
) -> Headline:
    """A sum as a headline; it cannot be under zero."""
    low, high = max(0.0, bound.low * scale), bound.high * scale
    return Headline(name, bound.value * scale, low, high, unit, standard, said)


def _ratios(
    balance: Balance, facility: Bound, it: Bound, used: Bound, declared: Declared
) -> list[Headline]:
    category = declared.pue.category
    period = declared.period
    pue_said = f"category {CATEGORIES[category]}" if category else (
        "category not declared: where IT energy is metered decides what PUE means"
    )  # fmt: skip
    found = [
        _figure(lambda: kpi.pue(balance.facility_mj, balance.it_mj,
                                CATEGORIES[category or "ups output"]),
                "PUE", "ISO/IEC 30134-2", pue_said, lambda: ratio_bound(facility, it), 1.0),
        _figure(lambda: kpi.cue(balance.used_ug, balance.it_mj), "CUE", "ISO/IEC 30134-8",
                "location average", lambda: ratio_bound(used, it), MJ_PER_KWH / UG_PER_KG),
    ]  # fmt: skip
    if period.water_m3 is None:
        found.append(absent("WUE", "L/kWh", "ISO/IEC 30134-9", "no water meter declared"))
    else:
        litres = Fraction(str(period.water_m3)) * 1000
        found.append(_figure(lambda: kpi.wue(litres, balance.it_mj), "WUE", "ISO/IEC 30134-9",
                             f"water declared by the operator, taken as within "
                             f"{WATER_LIMIT * 100:g} %",
                             lambda: ratio_bound(within("water", float(litres), WATER_LIMIT), it),
                             MJ_PER_KWH))  # fmt: skip
    if period.heat_reused_kwh is None:
        found.append(absent("ERF", "1", "ISO/IEC 30134-6", "no heat hand-over declared"))
    else:
        found.append(_erf(balance, period.heat_reused_kwh, facility))
    return found


def within(name: str, value: float, limit_ratio: float) -> Bound:
    """A declared reading that is taken to lie within a limit, evenly (GUM 4.3.7)."""
    return known_to(name, value, rectangular(limit_ratio))


def _erf(balance: Balance, reused_kwh: float, facility: Bound) -> Headline:
    """Energy reuse, unless more heat is declared than energy came in: another period's, or unit."""
    reused_mj = int(Fraction(str(reused_kwh)) * MJ_PER_KWH)
    if reused_mj > balance.facility_mj:
        return absent(
            "ERF", "1", "ISO/IEC 30134-6",
            f"{reused_kwh:g} kWh of heat are declared, more than "
            f"{balance.facility_mj / MJ_PER_KWH:g} kWh consumed: of another period?",
        )  # fmt: skip
    return _figure(lambda: kpi.erf(reused_mj, balance.facility_mj), "ERF", "ISO/IEC 30134-6",
                   f"heat declared by the operator, taken as within {HEAT_LIMIT * 100:g} %",
                   lambda: ratio_bound(within("heat", reused_mj, HEAT_LIMIT),
                                       facility))  # fmt: skip


def _figure(
    make: Any, name: str, standard: str, declared: str, bound: Any = None, scale: float = 1.0
) -> Headline:
    """A figure of kpi with its interval; absent, with the reason, where it has no meaning."""
    try:
        figure = make()
    except DataError as error:
        return absent(name, "1", standard, error.problem)
    interval = bound() if bound else None
    return Headline(
        name, figure.value, interval.low * scale if interval else None,
        interval.high * scale if interval else None, figure.unit, standard, declared,
    )  # fmt: skip


def absent(name: str, unit: str, standard: str, why: str) -> Headline:
    """A figure that cannot be said, and why."""
    return Headline(name, None, None, None, unit, standard, why)
