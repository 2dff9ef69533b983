"""What was measured, and what was put in the place of what was not. A gap is never a zero.

The order of surrogates is conservative: the meter's counter first, which loses only the
shape; then consumption high, generation low, and the factor at the higher default.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import isqrt

from edgectl.accounting.apportion import largest_remainder


class Grade(StrEnum):
    """Where a figure came from, best first; the letter stands in the record."""

    MEASURED = "M"
    RECOVERED = "R"  # the counter bridged the gap; its shape is flat
    ESTIMATED = "E"  # the last good value held
    SUBSTITUTED = "S"  # a conservative surrogate
    MISSING = "X"  # nothing, and said so


class Side(StrEnum):
    """Which way is conservative."""

    CONSUMPTION = "high"
    GENERATION = "low"


VERIFIABLE_MAX = Fraction(5, 100)  # of a period substituted or missing


@dataclass(frozen=True, slots=True)
class Filled:
    """One second of a gap, filled."""

    utc_s: int
    energy_mj: int
    mg_per_kwh: int
    grade: Grade


def recovered(
    counter_mj: int, seconds: Sequence[int], mg_per_kwh: Sequence[int | None], default: int,
    *, highest: bool = True,
) -> list[Filled]:  # fmt: skip
    """A gap whose energy the counter knows: only its shape is lost, and it is spread flat.

    counter_mj   the counter's advance over the gap
    mg_per_kwh   factor of each second, None where it is not known: then `default`
    default      the zone's default, mg/kWh
    highest      every second takes the highest factor of the gap, as its energy may all
                 have flowed then; false: each its own, which weights them by flat energy
    """
    factors = [default if each is None else each for each in mg_per_kwh]
    parts = largest_remainder(counter_mj, [1] * len(seconds))
    top = max(factors, default=0)
    return [
        Filled(second, part, top if highest else factor, Grade.RECOVERED)
        for second, part, factor in zip(seconds, parts, factors, strict=True)
    ]


def substituted(
    side: Side, seconds: Sequence[int], history_mj: Sequence[int], default_mg_per_kwh: int
) -> list[Filled]:
    """A gap that nothing knows: mean and two standard deviations of the same period, or none.

    side         consumption is taken high, generation as nothing
    history_mj   energies of one second in comparable periods; at least two for consumption
    """
    if side is Side.GENERATION:
        energy_mj = 0
    elif len(history_mj) < 2:
        return [Filled(each, 0, default_mg_per_kwh, Grade.MISSING) for each in seconds]
    else:
        energy_mj = conservative_mj(history_mj)
    return [Filled(each, energy_mj, default_mg_per_kwh, Grade.SUBSTITUTED) for each in seconds]


def conservative_mj(history_mj: Sequence[int]) -> int:
    """Mean and two standard deviations of a sample, rounded up, in whole numbers."""
    count, total = len(history_mj), sum(history_mj)
    squares = count * sum(each * each for each in history_mj) - total * total
    # sigma = sqrt(squares / (n (n-1))); 2 sigma rounded up through the integer root.
    twice = isqrt(-(-4 * squares // (count * (count - 1))))
    twice += twice * twice * count * (count - 1) < 4 * squares
    return -(-total // count) + twice


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a period stands on what.

    counts      by grade: seconds of one meter, or scans of every meter
    energy_mj   by grade, where it is known
    """

    counts: dict[Grade, int]
    energy_mj: dict[Grade, int]

    def ratio(self, *grades: Grade) -> Fraction:
        """Part of the period with these grades; of nothing it is 0."""
        whole = sum(self.counts.values())
        return Fraction(sum(self.counts.get(each, 0) for each in grades), whole or 1)

    @property
    def verifiable(self) -> bool:
        """At most 5 % of the period is substituted or missing, and there is a period."""
        bad = self.ratio(Grade.SUBSTITUTED, Grade.MISSING)
        return sum(self.counts.values()) > 0 and bad <= VERIFIABLE_MAX


def coverage(parts: Iterable[tuple[Grade, int]]) -> Coverage:
    """Of one meter: the grade and mJ of each second."""
    counts = dict.fromkeys(Grade, 0)
    energy_mj = dict.fromkeys(Grade, 0)
    for grade, amount in parts:
        counts[grade] += 1
        energy_mj[grade] += amount
    return Coverage(counts, energy_mj)
