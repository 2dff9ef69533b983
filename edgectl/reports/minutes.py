"""Corrections shared out over the minutes of a ledger that is read.

The ledger stays as written; a CORRECTION record says what a source or a sink really was over a
window. Each is shared out over its minutes (accounting/corrections.py), which are cut where the
period begins and ends, so that two periods side by side have every correction once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgectl.accounting.apportion import largest_remainder
from edgectl.accounting.corrections import Correction, Deltas, Margin, Spread, Table, corrections_of
from edgectl.ledger import Kind, Ledger
from edgectl.reports.period import first_record

MINUTE_S = 60

Way = tuple[str, str]


@dataclass(slots=True)
class Change:
    """What corrections add to what was booked.

    energy_mj, carbon_ug   by source and sink
    margins_mj             by source or sink that the corrections name
    moved                  scans that are recovered, by source or sink and the grade as booked
    own_mj, own_ug         what each sink's own cells alone make of it, as a receipt has it
    """

    energy_mj: Counter[Way] = field(default_factory=Counter)
    carbon_ug: Counter[Way] = field(default_factory=Counter)
    margins_mj: Counter[Margin] = field(default_factory=Counter)
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    own_mj: Counter[Way] = field(default_factory=Counter)
    own_ug: Counter[Way] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        """Whether anything is another than it was booked."""
        return any(
            map(any, (self.energy_mj.values(), self.carbon_ug.values(), self.moved.values()))
        )

    def add(self, more: "Change") -> None:
        """Another minute's."""
        self.energy_mj.update(more.energy_mj)
        self.carbon_ug.update(more.carbon_ug)
        self.margins_mj.update(more.margins_mj)
        self.moved.update(more.moved)
        self.own_mj.update(more.own_mj)
        self.own_ug.update(more.own_ug)


@dataclass(slots=True)
class Corrector:
    """Shares the ledger's corrections out over the minutes that are read, in their order."""

    found: Sequence[Correction]
    from_s: int
    to_s: int
    spread: Spread = field(init=False)

    def __post_init__(self) -> None:
        self.spread = Spread(self.found, MINUTE_S, (self.from_s, self.to_s))

    @classmethod
    def of(cls, ledger: Ledger, from_s: int, to_s: int) -> "Corrector":
        """The corrections that can reach into a period: they come after what they correct."""
        rows = ledger.rows(Kind.CORRECTION, first_record(ledger, from_s))
        return cls(corrections_of(row.content() for row in rows), from_s, to_s)

    @property
    def begin_s(self) -> int:
        """Where reading must begin so that corrections of the period are shared out as a whole."""
        reaching = (each.first_s for each in self.found if self._meets(each))
        return min([self.from_s, *reaching])

    def start_of(self, utc_s: int) -> int:
        """First second of the minute that holds this one, or of what the period cuts off it."""
        return self.spread.span(utc_s)[0]

    def second(self, boot_id: int, utc_s: int, cells: Mapping[Way, int]) -> None:
        """Count a second as booked."""
        listed = ((source, sink, mj) for (source, sink), mj in cells.items())
        self.spread.second(boot_id, self.start_of(utc_s), utc_s, listed)

    def minute(
        self, boot_id: int, start_s: int, cells: Mapping[Way, int], carbon: Mapping[Way, int],
        high_mg_per_kwh: int,
    ) -> Change:  # fmt: skip
        """The minute is over: what corrections make of its cells."""
        deltas = self.spread.end(boot_id, start_s)
        if not any(deltas.energy_mj.values()) and not any(deltas.moved.values()):
            return Change()
        table = Table(cells, carbon, high_mg_per_kwh)
        table.correct(deltas.energy_mj)
        return Change(
            _difference(table.energy_mj, cells), _difference(table.carbon_ug, carbon),
            deltas.energy_mj, _moved(deltas), table.own_mj, table.own_ug,
        )  # fmt: skip

    def _meets(self, each: Correction) -> bool:
        return each.first_s < self.to_s and each.last_s >= self.from_s


def _moved(deltas: Deltas) -> Counter[tuple[str, str]]:
    return Counter({
        (name, grade.name.lower()): scans
        for (name, _), grades in deltas.moved_of.items() for grade, scans in grades.items()
    })  # fmt: skip


def _difference(after: Mapping[Way, int], before: Mapping[Way, int]) -> Counter[Way]:
    ways = set(after) | set(before)
    found = {way: after.get(way, 0) - before.get(way, 0) for way in ways}
    return Counter({way: amount for way, amount in found.items() if amount})


def over_points(
    change: Change, points: Mapping[int, Mapping[str, int]]
) -> Iterator[tuple[int, str, int]]:
    """A minute's change over its points of the plots: by what they booked, else by their scans.

    points   of the minute, as booked: mJ "from" each source and "to" each sink, and "scans"

    Returns point, name and mJ; over the points each name adds up to the change.
    """
    total: Counter[str] = Counter()
    for (source, sink), mj in change.energy_mj.items():
        total.update({f"from {source}": mj, f"to {sink}": mj})
    for name, mj in total.items():
        weights = [each.get(name, 0) for each in points.values()]
        if not any(weights):
            weights = [each["scans"] for each in points.values()]
        parts = largest_remainder(abs(mj), weights)
        for point, part in zip(points, parts, strict=True):
            yield point, name, part if mj > 0 else -part


def concerns(said: Mapping[str, Any], from_s: int, to_s: int) -> bool:
    """Whether a CORRECTION record is about the period: its window, or its own time without one."""
    figures = said.get("figures")
    if isinstance(figures, Mapping) and "first_s" in figures and "last_s" in figures:
        return bool(figures["first_s"] < to_s and figures["last_s"] >= from_s)
    return bool(from_s <= said["utc_s"] < to_s)
