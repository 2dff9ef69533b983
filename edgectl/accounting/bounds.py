"""A bound on every figure of a period: from meter classes and the factor to PUE and CUE.

Each load, and each source, is a meter of its own; all seconds of one are correlated. What
was estimated or substituted is known no better than that it lies between nothing and twice
what was booked. A meter that stands in numerator and denominator of a ratio errs in both alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any

from edgectl.accounting.gaps import Grade
from edgectl.accounting.period import Interval
from edgectl.accounting.uncertainty import (
    Bound,
    Contribution,
    carbon_bound_ug,
    energy_bound_mj,
    meter_u_ratio,
    ratio_bound,
)
from edgectl.errors import DataError

MJ_MG_PER_UG = 3_600_000
KILOWATT_HOUR_MJ = 3_600_000_000
UG_PER_KILOGRAM = 1_000_000_000


UNDECLARED_METER, UNDECLARED_TRANSFORMER, UNDECLARED_FACTOR = "2", "1", 0.2


def point_u_ratio(accuracy_class: str | None, ct_class: str | None) -> float:
    """Of a metering point as a site file declares it; what it does not is taken as poor.

    KeyError for a class that is in no table.
    """
    return meter_u_ratio(accuracy_class or UNDECLARED_METER, ct_class or UNDECLARED_TRANSFORMER)


@dataclass(frozen=True, slots=True)
class MeterUncertainty:
    """Relative standard uncertainties that are declared for a site.

    meter     of a metering point, see uncertainty.meter_u_ratio
    factor    of the zone's emission factor; no official figure exists, 0.05 to 0.2 is usual
    points    by source or sink, where it is not that of `meter`
    """

    meter: float
    factor: float
    points: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def declared(cls, start: Mapping[str, Any]) -> "MeterUncertainty":
        """Of the content of a START or NAMES row; what it does not declare counts as poor."""
        points: dict[str, float] = {}
        for each in start.get("meters") or ():
            u_ratio = point_u_ratio(each["accuracy_class"], each["ct_class"])
            points[each["of"]] = max(u_ratio, points.get(each["of"], 0.0))
        factor = start.get("factor_u_ratio")
        poor = point_u_ratio(None, None)
        return cls(poor, UNDECLARED_FACTOR if factor is None else factor, points)

    def of(self, name: str) -> float:
        """Of the metering point of a source or sink."""
        return self.points.get(name, self.meter)


@dataclass(frozen=True, slots=True)
class PeriodBounds:
    """Figures of a period with their bounds: mJ, ug, 1, kg/kWh."""

    it_mj: Bound
    facility_mj: Bound
    location_ug: Bound
    pue: Bound
    cue: Bound


def period_bounds(listed: Sequence[Interval], declared: MeterUncertainty) -> PeriodBounds:
    """Bounds of what the intervals add up to. Raises DataError without IT energy."""
    it = energy_bound_mj(_loads(listed, declared))
    if it.value <= 0:
        raise DataError(
            where="period",
            problem=f"{len(listed)} intervals hold {it.value:g} mJ of IT energy",
            because="PUE and CUE are per IT energy.",
            remedy="Take a period in which the site ran.",
        )
    sources = list(_sources(listed, declared))
    whole = energy_bound_mj(sources)
    facility_mj = sum(each.facility_mj for each in listed)
    facility = replace(whole, value=float(facility_mj))
    location_ug = sum(each.location.ug for each in listed)
    location = replace(carbon_bound_ug(sources), value=float(location_ug))
    per_kilowatt_hour = KILOWATT_HOUR_MJ / UG_PER_KILOGRAM
    cue = ratio_bound(location, it)
    return PeriodBounds(
        it,
        facility,
        location,
        ratio_bound(facility, it),
        Bound(cue.value * per_kilowatt_hour, cue.u * per_kilowatt_hour),
    )


def _loads(listed: Iterable[Interval], declared: MeterUncertainty) -> Iterable[Contribution]:
    for interval in listed:
        energy_mj = Counter[str]()
        for (_, sink), mj in interval.energy_mj.items():
            if interval.loads.get(sink) == "it":
                energy_mj[sink] += mj
        for load, mj in energy_mj.items():
            yield Contribution(load, "", mj, 0, declared.of(load), _fixed_mj(interval, mj))


def _sources(listed: Iterable[Interval], declared: MeterUncertainty) -> Iterable[Contribution]:
    """What came in, each source at the intensity it was booked with."""
    for interval in listed:
        energy_mj, carbon_ug = Counter[str](), Counter[str]()
        for (source, sink), mj in interval.energy_mj.items():
            energy_mj[source] += mj
            carbon_ug[source] += interval.carbon_ug[source, sink]
        for source, mj in energy_mj.items():
            if mj:
                booked = carbon_ug[source] * MJ_MG_PER_UG // mj
                yield Contribution(
                    source, "grid", mj, booked, declared.of(source), _fixed_mj(interval, mj),
                    declared.factor,
                )  # fmt: skip


def _fixed_mj(interval: Interval, energy_mj: int) -> float:
    """Standard uncertainty of the part that was not measured: rectangular, of its own size."""
    bad = interval.coverage.ratio(Grade.ESTIMATED, Grade.SUBSTITUTED, Grade.MISSING)
    return float(bad) * energy_mj / sqrt(3.0)
