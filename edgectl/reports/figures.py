"""Headline figures, each with its interval and what had to be assumed for it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from edgectl.accounting import kpi
from edgectl.accounting.bounds import (
    UNDECLARED_FACTOR,
    UNDECLARED_METER,
    UNDECLARED_TRANSFORMER,
)
from edgectl.accounting.uncertainty import (
    Bound,
    Contribution,
    carbon_bound_ug,
    energy_bound_mj,
    meter_u_ratio,
    ratio_bound,
    rectangular,
)
from edgectl.errors import DataError
from edgectl.reports.books import Books, Way
from edgectl.reports.declared import CATEGORIES, MJ_PER_KWH, Declared
from edgectl.reports.mixture import FROM_PV, PV
from edgectl.site_model import Site

# A meter of which nothing is known is a coarse one; no official figure of factors exists.
UNDECLARED_CLASS, UNDECLARED_CT = UNDECLARED_METER, UNDECLARED_TRANSFORMER
FACTOR_U_RATIO = UNDECLARED_FACTOR
WATER_LIMIT, HEAT_LIMIT = 0.02, 0.05  # of readings whose meter's class nobody declares
ESTIMATED_LIMIT, SUBSTITUTED_LIMIT = 0.5, 1.0  # of energy that was not measured
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


class Bounds:
    """How well each energy is known: classes of meters, and what was not measured."""

    def __init__(self, books: Books, site: Site | None, declared: Declared) -> None:
        self.books, self.site, self.declared = books, site, declared
        self.factor_u_ratio = declared.factors.standard_uncertainty_ratio
        if self.factor_u_ratio is None:
            self.factor_u_ratio = books.names.meters.factor if books.names else FACTOR_U_RATIO
        graded = {name: books.count(name) for name in ("measured", "estimated", "substituted")}
        whole = sum(graded.values()) or 1
        self.loose_ratio = (
            rectangular(ESTIMATED_LIMIT) * graded["estimated"]
            + rectangular(SUBSTITUTED_LIMIT) * graded["substituted"]
        ) / whole

    def device_of(self, name: str) -> str:
        """The device that meters a source or a sink; its own name where no site file says."""
        site = self.site
        if site is None:
            return name
        tags = {"grid": site.grid.power} | {each.id: each.power for each in site.loads}
        tags |= {each.id: each.power for each in site.batteries}
        if name == "pv" and site.pvs:
            return site.pvs[0].power.partition(".")[0]
        return tags.get(name, name).partition(".")[0]

    def u_ratio(self, name: str) -> float:
        """Relative standard uncertainty of the metering point of a source or a sink."""
        meter = self.declared.meter_of(self.device_of(name))
        if meter is None and self.books.names is not None:
            return self.books.names.meters.of(name)  # as the run's site file says, or poor
        if meter is None:
            return meter_u_ratio(UNDECLARED_CLASS, UNDECLARED_CT)
        return meter_u_ratio(meter.accuracy_class, meter.transformer_class)

    def part(self, name: str, mj: int, ug: int = 0) -> Contribution:
        """One metering point's share of a sum."""
        intensity = round(ug * 3_600_000 / mj) if mj else 0
        fixed_mj = self.loose_ratio * abs(mj)
        if name == "unmetered":
            fixed_mj = rectangular(SUBSTITUTED_LIMIT) * abs(mj)
        return Contribution(
            self.device_of(name), "grid", mj, intensity, self.u_ratio(name), fixed_mj,
            self.factor_u_ratio or 0.0,
        )  # fmt: skip

    def energy(self, parts: Mapping[str, int]) -> Bound:
        """A sum of metered energies."""
        return energy_bound_mj(self.part(name, mj) for name, mj in parts.items())

    def carbon(self, parts: Mapping[str, tuple[int, int]], exact_ug: int) -> Bound:
        """A sum of carbon; the value is the ledger's own."""
        bound = carbon_bound_ug(self.part(name, mj, ug) for name, (mj, ug) in parts.items())
        return replace(bound, value=float(exact_ug))


def by_name(cells: Mapping[Way, int], side: int) -> dict[str, int]:
    """Sums by source (side 0) or by sink (side 1)."""
    found: Counter[str] = Counter()
    for way, amount in cells.items():
        found[way[side]] += amount
    return dict(found)


def headlines(books: Books, site: Site | None, declared: Declared) -> list[Headline]:
    """The figures of page one, in their order."""
    balance, bounds = balance_of(books), Bounds(books, site, declared)
    kinds = books.names.kinds if books.names else {}
    energy, carbon = books.energy(), books.carbon()
    sources_mj, sinks_mj = by_name(energy, 0), by_name(energy, 1)
    sources_ug = by_name(carbon, 0)
    it = bounds.energy({n: mj for n, mj in sinks_mj.items() if kinds.get(n) == "it"})
    # A battery inside the boundary counts with what it gave less what it took.
    storages = books.names.storages if books.names else ()
    net_mj = sources_mj | {
        name: sources_mj.get(name, 0) - sinks_mj.get(name, 0) for name in storages
    }
    boundary = bounds.energy(net_mj | {"export": -balance.export_mj})
    facility = replace(boundary, value=float(balance.facility_mj))
    used = bounds.carbon(
        {name: (mj, sources_ug.get(name, 0)) for name, mj in sources_mj.items()}, balance.used_ug
    )
    found = [
        _bound("Energy of the data centre", facility, 1 / MJ_PER_KWH, "kWh", "E_DC"),
        _bound("Energy of the IT equipment", it, 1 / MJ_PER_KWH, "kWh", "E_IT"),
        _bound("Carbon of what was consumed", used, 1 / UG_PER_KG, "kg CO2e", _basis(books)),
        *_ratios(balance, facility, it, used, declared),
    ]
    return found


def _basis(books: Books) -> str:
    return books.names.basis if books.names else ""


def _bound(name: str, bound: Bound, scale: float, unit: str, standard: str) -> Headline:
    """A sum as a headline; it cannot be under zero."""
    low, high = max(0.0, bound.low * scale), bound.high * scale
    return Headline(name, bound.value * scale, low, high, unit, standard, "k = 2, about 95 %")


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
                             lambda: ratio_bound(_within(float(litres), WATER_LIMIT), it),
                             MJ_PER_KWH))  # fmt: skip
    if period.heat_reused_kwh is None:
        found.append(absent("ERF", "1", "ISO/IEC 30134-6", "no heat hand-over declared"))
    else:
        found.append(_erf(balance, period.heat_reused_kwh, facility))
    return found


def _within(value: float, limit_ratio: float) -> Bound:
    """A declared reading that is taken to lie within a limit, evenly (GUM 4.3.7)."""
    return Bound(value, rectangular(limit_ratio) * abs(value))


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
                   lambda: ratio_bound(_within(reused_mj, HEAT_LIMIT), facility))  # fmt: skip


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
