"""A bound on every figure: GUM (JCGM 100), from classes of meters to ratios of sums.

Limits of a class are taken as rectangular, u = a/sqrt(3). The same meter errs the same
way all year, so its errors add up; different meters err independently. A factor errs
the same way for everything booked in its zone. What is small next to its parts, such as
PUE less one, inherits their whole uncertainty: it is reported as an interval.

A bound keeps what it is made of by name, so that a meter or a factor that stands in two
figures errs in both alike when they are put together (5.2 of the guide). Where a figure
bends, as what contracts cover does at what was bought, its slope is that of the chord from
the estimate to either end of the interval, and not of the tangent.

Limits: IEC 62053-22:2020 (0.1S to 0.5S) and 62053-21:2020 (1, 2) at unity power factor,
from 5 % (S classes) or 10 % of nominal current, and IEC 61869-2:2012 for current
transformers at rated current. They are the published class figures; a calibration
certificate, where there is one, is better.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt

COVERAGE_K = 2.0  # about 95 %
ROUNDED = 1e-12  # of what was added up: nothing but what doubles round away

METER_LIMIT_RATIO = {"0.1S": 0.001, "0.2S": 0.002, "0.5S": 0.005, "1": 0.01, "2": 0.02}
METER_LIMIT_LOW_RATIO = {"0.1S": 0.002, "0.2S": 0.004, "0.5S": 0.01, "1": 0.015, "2": 0.025}
CT_LIMIT_RATIO = {
    "none": 0.0, "0.1": 0.001, "0.2S": 0.002, "0.2": 0.002, "0.5S": 0.005, "0.5": 0.005,
    "1": 0.01,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure and how well it is known. `u` is its standard uncertainty, in its unit.

    parts   what of u comes from which meter or factor, signed; what stands under one name is
            correlated in full, all else is independent
    """

    value: float
    u: float
    k: float = COVERAGE_K
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def low(self) -> float:
        """Lower end of the interval at coverage factor k."""
        return self.value - self.k * self.u

    @property
    def high(self) -> float:
        """Upper end."""
        return self.value + self.k * self.u

    @property
    def rest(self) -> float:
        """What of u has no name, and is independent of everything."""
        named = sum(u * u for u in self.parts.values())
        left = self.u * self.u - named
        return sqrt(left) if left > ROUNDED * named else 0.0

    @property
    def expanded_ratio(self) -> float | None:
        """k u over the value; None for a value of 0."""
        return self.k * self.u / abs(self.value) if self.value else None


@dataclass(frozen=True, slots=True)
class Ends:
    """A figure whose two ends are not alike: `down` is right below its value, `up` above it."""

    down: Bound
    up: Bound

    @classmethod
    def alike(cls, bound: Bound) -> "Ends":
        """Of a figure that does not bend."""
        return cls(bound, bound)

    @property
    def value(self) -> float:
        """The figure."""
        return self.down.value

    @property
    def low(self) -> float:
        """Lower end."""
        return self.down.low

    @property
    def high(self) -> float:
        """Upper end."""
        return self.up.high


def rectangular(limit: float) -> float:
    """Standard uncertainty of what is only known to lie within +- limit."""
    return limit / sqrt(3.0)


def root_sum_square(*parts: float) -> float:
    """Independent standard uncertainties together."""
    return sqrt(sum(each * each for each in parts))


def register_u_mj(step_mj: float) -> float:
    """Of the difference of two readings of a counter: step/sqrt(6), triangular."""
    return step_mj / sqrt(6.0)


def meter_u_ratio(meter_class: str, ct_class: str = "none", *, low_current: bool = False) -> float:
    """Relative standard uncertainty of a metering point.

    low_current   1 to 5 % (S classes) or 5 to 10 % of nominal current: limits are wider

    KeyError for a class that is in no table.
    """
    limits = METER_LIMIT_LOW_RATIO if low_current else METER_LIMIT_RATIO
    return root_sum_square(rectangular(limits[meter_class]), rectangular(CT_LIMIT_RATIO[ct_class]))


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one meter adds to a sum, over any length of time at one factor.

    u_meter_ratio    of the metering point; the same meter's contributions are correlated
    u_fixed_mj       independent of other contributions: counter step, surrogates
    u_factor_ratio   of the emission factor; contributions of one zone are correlated
    """

    meter: str
    zone: str
    energy_mj: int
    mg_per_kwh: int = 0
    u_meter_ratio: float = 0.0
    u_fixed_mj: float = 0.0
    u_factor_ratio: float = 0.0


MJ_MG_PER_UG = 3_600_000


def meter_part(meter: str) -> str:
    """Name of what a meter's class adds."""
    return f"meter {meter}"


def gap_part(meter: str) -> str:
    """Name of what adds that a meter was not read, or was read in steps."""
    return f"gap {meter}"


def factor_part(zone: str) -> str:
    """Name of what an emission factor adds."""
    return f"factor {zone}"


def energy_bound_mj(parts: Iterable[Contribution]) -> Bound:
    """The sum of energies: correlated within a meter, independent between meters."""
    named: dict[str, float] = defaultdict(float)
    squares: dict[str, float] = defaultdict(float)
    total = 0
    for each in parts:
        total += each.energy_mj
        named[meter_part(each.meter)] += each.u_meter_ratio * each.energy_mj
        squares[gap_part(each.meter)] += each.u_fixed_mj**2
    return _named(float(total), named, squares)


def carbon_bound_ug(parts: Iterable[Contribution]) -> Bound:
    """The sum of energies times factors.

    u^2 = sum over meters (u_m sum E I)^2 + sum over zones (sum E u_I)^2 + fixed.
    """
    named: dict[str, float] = defaultdict(float)
    squares: dict[str, float] = defaultdict(float)
    total = 0.0
    for each in parts:
        carbon_ug = each.energy_mj * each.mg_per_kwh / MJ_MG_PER_UG
        total += carbon_ug
        named[meter_part(each.meter)] += each.u_meter_ratio * carbon_ug
        named[factor_part(each.zone)] += each.u_factor_ratio * carbon_ug
        squares[gap_part(each.meter)] += (each.u_fixed_mj * each.mg_per_kwh / MJ_MG_PER_UG) ** 2
    return _named(total, named, squares)


def _named(value: float, named: Mapping[str, float], squares: Mapping[str, float]) -> Bound:
    parts = {name: u for name, u in named.items() if u}
    parts |= {name: sqrt(square) for name, square in squares.items() if square}
    return Bound(value, root_sum_square(*parts.values()), parts=parts)


def known_to(name: str, value: float, u_ratio: float) -> Bound:
    """A figure of one name and its relative standard uncertainty; of 0 it is exact."""
    u = u_ratio * abs(value)
    return Bound(value, u, parts={name: u} if u else {})


def combined(value: float, terms: Iterable[tuple[float, Bound]]) -> Bound:
    """A figure of others, to first order (JCGM 100, 5.1 and 5.2).

    terms   how far the figure moves with each of the others, and that one
    """
    sums: dict[str, float] = defaultdict(float)
    sizes: dict[str, float] = defaultdict(float)
    rest = 0.0
    for slope, bound in terms:
        for name, u in bound.parts.items():
            sums[name] += slope * u
            sizes[name] += abs(slope * u)
        rest += (slope * bound.rest) ** 2
    parts = {name: u for name, u in sums.items() if abs(u) > ROUNDED * sizes[name]}
    return Bound(value, sqrt(sum(u * u for u in parts.values()) + rest), parts=parts)


def sum_bound(bounds: Iterable[Bound]) -> Bound:
    """A sum; what its terms share adds up, what they do not share adds in square."""
    listed = list(bounds)
    return combined(sum(each.value for each in listed), ((1.0, each) for each in listed))


def ratio_bound(over: Bound, under: Bound) -> Bound:
    """A ratio such as PUE or CUE; what both share cancels as far as it errs alike in both.

    Raises ZeroDivisionError where there is nothing to divide by.
    """
    value = over.value / under.value
    return combined(value, ((1 / under.value, over), (-value / under.value, under)))


def difference_bound(one: Bound, other: Bound) -> Bound:
    """A difference, such as what is left when metered loads are taken off."""
    return combined(one.value - other.value, ((1.0, one), (-1.0, other)))


def through(bound: Bound, rising: Callable[[float], float]) -> Ends:
    """What a rising function makes of a figure that is not negative, right at both ends.

    Ends go to ends, so that it covers what the figure covers, however the function bends.
    """
    value, low, high = rising(bound.value), max(0.0, bound.low), bound.high
    down = (value - rising(low)) / (bound.value - low) if bound.value > low else 0.0
    up = (rising(high) - value) / (high - bound.value) if high > bound.value else 0.0
    return Ends(combined(value, ((down, bound),)), combined(value, ((up, bound),)))


def sum_ends(listed: Iterable[Ends]) -> Ends:
    """A sum, at both ends."""
    found = list(listed)
    return Ends(sum_bound(each.down for each in found), sum_bound(each.up for each in found))


def share_ends(part: Ends, whole: Bound) -> Ends:
    """A share of a whole that errs with its part.

    Which chord makes the lower end depends on what the whole does meanwhile: the one that
    reaches further is taken, at either end.
    """
    return widest(ratio_bound(part.down, whole), ratio_bound(part.up, whole))


def widest(one: Bound, other: Bound) -> Ends:
    """Of two bounds of one value, for each end that which reaches further."""
    return Ends(
        min((one, other), key=lambda each: each.low), max((one, other), key=lambda each: each.high)
    )
