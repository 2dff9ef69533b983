"""A bound on every figure: GUM (JCGM 100), from classes of meters to ratios of sums.

Limits of a class are taken as rectangular, u = a/sqrt(3). The same meter errs the same
way all year, so its errors add up; different meters err independently. A factor errs
the same way for everything booked in its zone. What is small next to its parts, such as
PUE less one, inherits their whole uncertainty: it is reported as an interval.

Limits: IEC 62053-22:2020 (0.1S to 0.5S) and 62053-21:2020 (1, 2) at unity power factor,
from 5 % (S classes) or 10 % of nominal current, and IEC 61869-2:2012 for current
transformers at rated current. They are the published class figures; a calibration
certificate, where there is one, is better.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

COVERAGE_K = 2.0  # about 95 %

METER_LIMIT_RATIO = {"0.1S": 0.001, "0.2S": 0.002, "0.5S": 0.005, "1": 0.01, "2": 0.02}
METER_LIMIT_LOW_RATIO = {"0.1S": 0.002, "0.2S": 0.004, "0.5S": 0.01, "1": 0.015, "2": 0.025}
CT_LIMIT_RATIO = {
    "none": 0.0, "0.1": 0.001, "0.2S": 0.002, "0.2": 0.002, "0.5S": 0.005, "0.5": 0.005,
    "1": 0.01,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure and how well it is known. `u` is its standard uncertainty, in its unit."""

    value: float
    u: float
    k: float = COVERAGE_K

    @property
    def low(self) -> float:
        """Lower end of the interval at coverage factor k."""
        return self.value - self.k * self.u

    @property
    def high(self) -> float:
        """Upper end."""
        return self.value + self.k * self.u

    @property
    def expanded_ratio(self) -> float | None:
        """k u over the value; None for a value of 0."""
        return self.k * self.u / abs(self.value) if self.value else None


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


def energy_bound_mj(parts: Iterable[Contribution]) -> Bound:
    """The sum of energies: correlated within a meter, independent between meters."""
    by_meter: dict[str, float] = defaultdict(float)
    total, fixed = 0, 0.0
    for each in parts:
        total += each.energy_mj
        by_meter[each.meter] += each.u_meter_ratio * each.energy_mj
        fixed += each.u_fixed_mj**2
    return Bound(float(total), sqrt(sum(u * u for u in by_meter.values()) + fixed))


def carbon_bound_ug(parts: Iterable[Contribution]) -> Bound:
    """The sum of energies times factors.

    u^2 = sum over meters (u_m sum E I)^2 + sum over zones (sum E u_I)^2 + fixed.
    """
    by_meter: dict[str, float] = defaultdict(float)
    by_zone: dict[str, float] = defaultdict(float)
    total, fixed = 0.0, 0.0
    for each in parts:
        carbon_ug = each.energy_mj * each.mg_per_kwh / MJ_MG_PER_UG
        total += carbon_ug
        by_meter[each.meter] += each.u_meter_ratio * carbon_ug
        by_zone[each.zone] += each.u_factor_ratio * carbon_ug
        fixed += (each.u_fixed_mj * each.mg_per_kwh / MJ_MG_PER_UG) ** 2
    squares = [u * u for u in (*by_meter.values(), *by_zone.values())]
    return Bound(total, sqrt(sum(squares) + fixed))


def ratio_bound(over: Bound, under: Bound, covariance: float = 0.0) -> Bound:
    """A ratio such as PUE or CUE.

    covariance   of the two, where they share meters; leaving it out widens the interval
                 of a ratio over 1 whose parts err together

    Raises ZeroDivisionError where there is nothing to divide by.
    """
    value = over.value / under.value
    variance = (over.u**2 + (value * under.u) ** 2 - 2 * value * covariance) / under.value**2
    return Bound(value, sqrt(max(variance, 0.0)), over.k)


def difference_bound(one: Bound, other: Bound, covariance: float = 0.0) -> Bound:
    """A difference, such as what is left when metered loads are taken off."""
    variance = one.u**2 + other.u**2 - 2 * covariance
    return Bound(one.value - other.value, sqrt(max(variance, 0.0)), one.k)
