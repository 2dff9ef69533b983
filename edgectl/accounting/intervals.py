"""Time in the books: seconds cut where a factor changes, and clocks that were set.

Carbon is energy times a factor that is constant over a piece of time. A factor that
changes within an interval cuts it there; it is never averaged. Monotonic time says how
long an interval was, UTC only what it is called: where UTC was set back, intervals that
carry the same second are added, and where it was set forward, seconds are missing by
name only.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgectl.accounting.apportion import CarbonCarry, largest_remainder

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an interval in which one factor holds."""

    start_ns: int
    end_ns: int
    energy_mj: int
    mg_per_kwh: int
    carbon_ug: int


@dataclass(frozen=True, slots=True)
class Change:
    """From start_ns on this factor holds."""

    start_ns: int
    mg_per_kwh: int


def carbon_pieces(
    start_ns: int, end_ns: int, energy_mj: int, changes: Sequence[Change], carry: CarbonCarry
) -> list[Piece]:
    """Cut an interval at every change of the factor and book each piece.

    energy_mj   of the whole interval, taken as even within it; the pieces add up to it
    changes     in order of time; the first at or before start_ns
    carry       of this source, kept from interval to interval
    """
    times = [each.start_ns for each in changes]
    first = bisect_right(times, start_ns) - 1
    if first < 0 or end_ns <= start_ns or times != sorted(times):
        raise ValueError(f"no factor holds from {start_ns} to {end_ns}")
    later = {each.start_ns: each for each in changes[first + 1 :] if each.start_ns < end_ns}
    inside = list(later.values())  # of two at one instant the later one holds
    cuts = [start_ns, *(each.start_ns for each in inside), end_ns]
    lengths = [after - before for before, after in pairwise(cuts)]
    parts = largest_remainder(energy_mj, lengths)
    return [
        Piece(before, after, part, each.mg_per_kwh, carry.book_ug(part, each.mg_per_kwh))
        for before, after, part, each in zip(
            cuts, cuts[1:], parts, [changes[first], *inside], strict=False
        )
    ]


@dataclass(frozen=True, slots=True)
class Span:
    """What ran between two instants of monotonic time, with UTC at its start."""

    utc_ns: int
    elapsed_ns: int
    energy_mj: int
    carbon_ug: int


def by_second(spans: Iterable[Span]) -> dict[int, tuple[int, int]]:
    """(mJ, ug) by UTC second; a span over several is shared out by time, exactly.

    A step of the clock between spans changes names, never sums.
    """
    found: dict[int, tuple[int, int]] = {}
    for span in spans:
        first, left_ns = divmod(span.utc_ns, NS_PER_S)
        lengths = []
        rest_ns, room_ns = span.elapsed_ns, NS_PER_S - left_ns
        while rest_ns > 0:
            lengths.append(min(rest_ns, room_ns))
            rest_ns -= lengths[-1]
            room_ns = NS_PER_S
        lengths = lengths or [1]
        energies = largest_remainder(span.energy_mj, lengths)
        carbons = largest_remainder(span.carbon_ug, lengths)
        for at, (energy_mj, carbon_ug) in enumerate(zip(energies, carbons, strict=True)):
            before = found.get(first + at, (0, 0))
            found[first + at] = (before[0] + energy_mj, before[1] + carbon_ug)
    return found
