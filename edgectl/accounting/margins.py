"""A metered row or column of the ledger's table, and where its counters stood at an instant.

A Stand goes into the ledger, once an hour and when a run ends. What the counters advanced from
there on needs nothing beside the ledger: the next run's first readings, and what was booked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgectl.accounting.registers import Counter


@dataclass(frozen=True, slots=True)
class Margin:
    """A row or column of the ledger's table that is metered.

    name       of the source or sink
    source     true: a row; else a column
    index      of it in the order of the run
    part       whose it is: 0 the site's, n that of tenant n
    counters   tags; their advances are added
    powers     tags of the power that was booked
    u_ratio    relative standard uncertainty of the metering point
    """

    name: str
    source: bool
    index: int
    part: int
    counters: tuple[str, ...]
    powers: tuple[str, ...]
    u_ratio: float


@dataclass(frozen=True, slots=True)
class Change:
    """A meter was changed: where the old counter ended and the new one began, in steps."""

    last_steps: int
    first_steps: int


Shape = tuple[int, int, int, int]


def shape_of(counter: Counter) -> Shape:
    """What tells one counter's steps from another's: the step in mJ as a fraction, where it rolls
    over (0: never), and the bits it keeps."""
    modulus = counter.modulus if counter.modulus < 2**64 else 0
    return counter.step_mj.numerator, counter.step_mj.denominator, modulus, counter.mantissa


@dataclass(frozen=True, slots=True)
class Stand:
    """Counters of one margin at the end of a second.

    moved_mj   booked by power from the readings to the end of the second
    steps      as each counter showed
    """

    name: str
    source: bool
    index: int
    utc_s: int
    moved_mj: int
    counters: tuple[str, ...]
    steps: tuple[int, ...]
    shapes: tuple[Shape, ...]

    def plain(self) -> list[Any]:
        """In plain types, as a METER record has it; of() reads it."""
        shapes = [list(each) for each in self.shapes]
        return [self.name, self.source, self.index, self.utc_s, self.moved_mj,
                list(self.counters), list(self.steps), shapes]  # fmt: skip

    @classmethod
    def of(cls, said: Sequence[Any]) -> "Stand":
        """What plain() said."""
        name, source, index, utc_s, moved_mj, counters, steps, shapes = said
        return cls(name, source, index, utc_s, moved_mj, tuple(counters), tuple(steps),
                   tuple((each[0], each[1], each[2], each[3]) for each in shapes))  # fmt: skip

    def fits(self, other: "Stand") -> bool:
        """Whether both are of the same row or column and of the same counters."""
        return (self.name, self.source, self.counters) == (other.name, other.source, other.counters)
