"""How well each energy and each carbon of a period is known: meters, factors, what was not read.

Sums rest on the meters of their own sources or sinks. What went from a source to a sink was no
meter's to see: it is shared out in proportion, so it errs with its source, its sink and the whole
(source times sink over all that came in), hour by hour, the same meter in every hour alike.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from edgectl.accounting.bounds import UNDECLARED_FACTOR, UNDECLARED_METER, UNDECLARED_TRANSFORMER
from edgectl.accounting.uncertainty import (
    Bound,
    Contribution,
    carbon_bound_ug,
    combined,
    difference_bound,
    energy_bound_mj,
    factor_part,
    meter_u_ratio,
    ratio_bound,
    rectangular,
    sum_bound,
)
from edgectl.reports.books import Books, Way
from edgectl.reports.declared import Declared
from edgectl.reports.mixture import (
    FROM_GENERATOR,
    FROM_GRID,
    FROM_PV,
    GENERATOR,
    GRID,
    PV,
    THROUGH,
)
from edgectl.site_model import Site

# A meter of which nothing is known is a coarse one; no official figure of factors exists.
UNDECLARED_CLASS, UNDECLARED_CT = UNDECLARED_METER, UNDECLARED_TRANSFORMER
FACTOR_U_RATIO = UNDECLARED_FACTOR
ESTIMATED_LIMIT, SUBSTITUTED_LIMIT = 0.5, 1.0  # of energy that was not measured
LOSSES, EXPORT = "losses", "export"
CAME_AS = {FROM_GRID: GRID, FROM_PV: PV, FROM_GENERATOR: GENERATOR}
MJ_AT_1 = 10**9  # an energy that stands for 1, to ask for what is relative

Paths = Mapping[Way, tuple[Bound, Bound]]  # energy and carbon, mJ and ug


class Bounds:
    """Of one period."""

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
        names = books.names
        self.storages = names.storages if names else ()
        fixed = {"grid", "pv", "unmetered", *self.storages}
        self.generators = [each for each in (names.sources if names else ()) if each not in fixed]
        self._devices = _devices(site)
        self._ones: dict[str, Bound] = {}  # by source: 1, as well as its meter knows it

    def device_of(self, name: str) -> str:
        """The device that meters a source or a sink; its own name where no site file says."""
        name = "grid" if name == EXPORT else name  # one meter, both ways
        return self._devices.get(name, name)

    def u_ratio(self, name: str) -> float:
        """Relative standard uncertainty of the metering point of a source or a sink."""
        name = "grid" if name == EXPORT else name
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

    def by_origin(self, used_mj: Mapping[str, int]) -> dict[str, Bound]:
        """What some sinks used by origin, as far as its sources' meters decide.

        What came through a battery errs with the battery's meter, and its mixture with the
        meters that charged it: what all origins share cancels.
        """
        through = {name: used_mj.get(name, 0) for name in THROUGH}
        whole = sum(through.values())
        mixture = sum_bound(
            _scaled(self._came(CAME_AS[name]), mj / whole)
            for name, mj in through.items() if mj and name in CAME_AS
        )  # fmt: skip
        found = {}
        for origin, mj in used_mj.items():
            if origin not in through:
                found[origin] = _scaled(self._came(origin), mj)
                continue
            terms = [(float(mj), self._given()), (-float(mj), mixture)]
            if origin in CAME_AS:
                terms.append((float(mj), self._came(CAME_AS[origin])))
            found[origin] = combined(float(mj), terms)
        return found

    def _came(self, origin: str) -> Bound:
        """1, as well as a source's meter knows it; several generators count as one."""
        if origin == GENERATOR and self.generators:
            origin = self.generators[0]
        return self._one(origin)

    def _given(self) -> Bound:
        """1, as the least known of the batteries' meters knows it: several count as one."""
        return self._one(max(self.storages, key=self.u_ratio, default="battery"))

    def _one(self, name: str) -> Bound:
        if name not in self._ones:
            self._ones[name] = _scaled(self.energy({name: MJ_AT_1}), 1 / MJ_AT_1)
        return self._ones[name]

    def paths(self) -> dict[int, Paths]:
        """Energy and carbon of each path, mJ and ug, by first second of the hour."""
        found: dict[int, Paths] = {}
        for start, hour in self.books.hours.items():
            found[start] = {
                way: (energy, self._carbon_of(energy, hour.carbon_ug[way]))
                for way, energy in self._paths_of(hour.energy_mj).items()
            }
        return found

    def _paths_of(self, cells: Mapping[Way, int]) -> dict[Way, Bound]:
        came = {name: self.energy({name: mj}) for name, mj in by_name(cells, 0).items()}
        went = {name: self.energy({name: mj}) for name, mj in by_name(cells, 1).items()
                if name != LOSSES}  # fmt: skip
        whole = sum_bound(came.values())
        went[LOSSES] = difference_bound(whole, sum_bound(went.values()))  # no meter sees them
        return {
            (source, sink): combined(float(mj), (
                (mj / came[source].value, came[source]), (mj / went[sink].value, went[sink]),
                (-mj / whole.value, whole),
            )) for (source, sink), mj in cells.items() if mj and went[sink].value
        }  # fmt: skip

    def _carbon_of(self, energy: Bound, ug: int) -> Bound:
        u = (self.factor_u_ratio or 0.0) * ug
        factor = Bound(1.0, u, parts={factor_part("grid"): u} if u else {})
        return combined(float(ug), ((ug / energy.value, energy), (1.0, factor)))

    def origins(self) -> dict[Way, Bound]:
        """mJ of each sink by origin over the period: its own meter shared out by its origins."""
        listed: dict[Way, list[Bound]] = defaultdict(list)
        for hour in self.books.hours.values():
            used: dict[str, Counter[str]] = defaultdict(Counter)
            for (sink, origin), mj in hour.origins_mj.items():
                used[sink][origin] += mj
            for sink, by in used.items():
                known, own = self.by_origin(by), self.energy({sink: by.total()})
                whole = sum_bound(known.values())
                for origin, each in known.items():
                    if each.value:
                        terms = ((1.0, each), (each.value / own.value, own),
                                 (-each.value / whole.value, whole))  # fmt: skip
                        listed[sink, origin].append(combined(each.value, terms))
        return {way: sum_bound(found) for way, found in listed.items()}


def _devices(site: Site | None) -> dict[str, str]:
    """Metering device of each source and sink that a site file names."""
    if site is None:
        return {}
    tags = {"grid": site.grid.power} | {each.id: each.power for each in site.loads}
    tags |= {each.id: each.power for each in site.batteries}
    tags |= {each.id: each.power for each in site.generators}
    if site.pvs:
        tags["pv"] = site.pvs[0].power
    return {name: power.partition(".")[0] for name, power in tags.items()}


def over(hours: Iterable[Paths]) -> Paths:
    """Each path over several hours."""
    listed: dict[Way, list[tuple[Bound, Bound]]] = defaultdict(list)
    for hour in hours:
        for way, each in hour.items():
            listed[way].append(each)
    return {
        way: (sum_bound(mj for mj, _ in found), sum_bound(ug for _, ug in found))
        for way, found in listed.items()
    }


def traced_ug(paths: Paths, sinks: Iterable[str], exact_ug: int) -> Bound:
    """Carbon of some sinks: the sum of their paths, its value the ledger's own."""
    wanted = set(sinks)
    bound = sum_bound(ug for (_, sink), (_, ug) in paths.items() if sink in wanted)
    return replace(bound, value=float(exact_ug))


def intensity(carbon: Bound, energy: Bound) -> Bound | None:
    """ug per mJ; what both share cancels. None where nothing flowed."""
    return ratio_bound(carbon, energy) if energy.value else None


def _scaled(bound: Bound, scale: float) -> Bound:
    return combined(bound.value * scale, ((scale, bound),))


def by_name(cells: Mapping[Way, int], side: int) -> dict[str, int]:
    """Sums by source (side 0) or by sink (side 1)."""
    found: Counter[str] = Counter()
    for way, amount in cells.items():
        found[way[side]] += amount
    return dict(found)
