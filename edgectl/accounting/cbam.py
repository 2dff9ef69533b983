"""CBAM-style evidence: embedded emissions as Annex IV of Regulation (EU) 2023/956 has them.

Compute and hosting are not CBAM goods, and nothing here claims compliance. It is the same
arithmetic and the same evidence that an installation of a covered good needs, made with
the regulation's own units, t and MWh, as exact fractions; rounding comes last and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

from edgectl.errors import DataError

UG_PER_T = 10**12
MJ_PER_MEGAWATT_HOUR = 3_600_000_000_000
SEE_DECIMALS = 5  # at most so many, Implementing Regulation (EU) 2025/2547 Annex II A.1
ROUNDING = "ROUND_HALF_EVEN"  # the regulation names none: ours is declared
MATERIALITY = Fraction(5, 100)  # Implementing Regulation (EU) 2025/2546 Art. 5


@dataclass(frozen=True, slots=True)
class Precursor:
    """A material that brings emissions of its own, t and t CO2e per t."""

    name: str
    mass_t: Fraction
    specific_direct: Fraction
    specific_indirect: Fraction


@dataclass(frozen=True, slots=True)
class Good:
    """One good of one period.

    activity_t              produced, t
    direct_t                attributed direct emissions, t CO2e
    electricity_mwh         consumed
    factor_t_per_mwh        of that electricity
    includes_indirect       false for goods of Annex II, whose indirect emissions are not counted
    """

    activity_t: Fraction
    direct_t: Fraction
    electricity_mwh: Fraction
    factor_t_per_mwh: Fraction
    precursors: Sequence[Precursor] = ()
    includes_indirect: bool = True

    def __post_init__(self) -> None:
        """Raises DataError for nothing produced or a negative figure."""
        amounts = (self.direct_t, self.electricity_mwh, self.factor_t_per_mwh)
        if self.activity_t <= 0 or min(amounts) < 0:
            raise DataError(
                where="CBAM-style good",
                problem=f"{float(self.activity_t):g} t produced, direct {float(amounts[0]):g} t, "
                f"{float(amounts[1]):g} MWh at {float(amounts[2]):g} t/MWh",
                because="Specific embedded emissions are per tonne produced.",
                remedy="Give an activity over 0 and no negative amount.",
            )


@dataclass(frozen=True, slots=True)
class Embedded:
    """Specific embedded emissions, t CO2e per t, exact."""

    direct: Fraction
    indirect: Fraction
    indirect_t: Fraction
    electricity_mwh_per_t: Fraction

    @property
    def total(self) -> Fraction:
        """Direct and indirect together."""
        return self.direct + self.indirect


def embedded(good: Good) -> Embedded:
    """SEE = (attributed emissions + those of the precursors) / activity level."""
    indirect_t = good.electricity_mwh * good.factor_t_per_mwh
    with_precursors_t = good.direct_t + sum(
        (each.mass_t * each.specific_direct for each in good.precursors), Fraction(0)
    )
    indirect_all_t = indirect_t + sum(
        (each.mass_t * each.specific_indirect for each in good.precursors), Fraction(0)
    )
    return Embedded(
        with_precursors_t / good.activity_t,
        indirect_all_t / good.activity_t if good.includes_indirect else Fraction(0),
        indirect_t,
        good.electricity_mwh / good.activity_t,
    )


def waste_gas_t(volume_tj: Fraction, factor_t_per_tj: Fraction) -> Fraction:
    """Emissions of a waste gas exchanged: energy, factor of natural gas, 0.667."""
    return volume_tj * factor_t_per_tj * Fraction(667, 1000)


def rounded(exact: Fraction, decimals: int = SEE_DECIMALS) -> Decimal:
    """Half to even, last of all; what is stored stays exact."""
    with localcontext() as context:
        context.prec = 60
        quotient = Decimal(exact.numerator) / Decimal(exact.denominator)
        return quotient.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)


def material(misstated_t: Fraction, total_t: Fraction) -> bool:
    """Whether a misstatement is over 5 % of the total: a verifier would refuse."""
    return abs(misstated_t) > MATERIALITY * abs(total_t)


def tonnes(carbon_ug: int) -> Fraction:
    """Of the ledger's micrograms."""
    return Fraction(carbon_ug, UG_PER_T)


def megawatt_hours(energy_mj: int) -> Fraction:
    """Of the ledger's millijoules."""
    return Fraction(energy_mj, MJ_PER_MEGAWATT_HOUR)
