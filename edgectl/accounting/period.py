"""Rows of the ledger into intervals of a minute, a quarter of an hour or an hour.

Sums of integers alone: an interval's totals are the ledger's, to the last mJ and ug. What
the ledger does not have stands in the coverage, never as a zero that looks measured.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from edgectl.accounting.amounts import LocationCarbon
from edgectl.accounting.corrections import Correction, Deltas, Spread, Table
from edgectl.accounting.gaps import Coverage, Grade

LENGTH_S_MAX = 3_600  # evidence is of an hour at most
IT = "it"
EXPORT, LOSSES = "export", "losses"


class Kinded(Protocol):
    """The kind of a row, an enum of the ledger's."""

    @property
    def name(self) -> str:
        """START, NAMES, SECOND, ..."""
        ...


class Row(Protocol):
    """A row of the ledger, as far as it is read here."""

    @property
    def kind(self) -> Kinded:
        """What it says."""
        ...

    @property
    def boot_id(self) -> int:
        """Which run of the controller."""
        ...

    @property
    def utc_s(self) -> int:
        """The second it is of."""
        ...

    def content(self) -> dict[str, Any]:
        """All that its operator sees."""
        ...


@dataclass(frozen=True, slots=True)
class Names:
    """The order of a run's sources, sinks and storages, as its START row names them."""

    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    storages: tuple[str, ...]

    @classmethod
    def of(cls, start: Mapping[str, Any]) -> "Names":
        """Of the content of a START or NAMES row."""
        return cls(tuple(start["sources"]), tuple(start["sinks"]), tuple(start["storages"]))


@dataclass(slots=True)
class Interval:
    """What the ledger has of one run of the controller in one interval of UTC.

    loads           kind, it or aux, by id
    energy_mj       by (source, sink)
    carbon_ug       by (source, sink), location average as the kernel booked it
    counts          meter-scans by grade
    stocks          of the last second: (mJ, ug) by storage
    default_scans   in which the zone's default stood in for the factor
    factor_mg_per_kwh   least and greatest grid factor used; None before the first second
    deltas          what corrections add to it; as_corrected() applies them
    """

    start_s: int
    length_s: int
    boot_id: int
    names: Names
    loads: Mapping[str, str]
    seconds: int = 0
    scans: int = 0
    gap_scans: int = 0
    default_scans: int = 0
    energy_mj: Counter[tuple[str, str]] = field(default_factory=Counter)
    carbon_ug: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[Grade] = field(default_factory=Counter)
    stocks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    factor_mg_per_kwh: tuple[int, int] | None = None
    deltas: Deltas = field(default_factory=Deltas)

    def as_corrected(self) -> "Interval":
        """The same interval with its corrections applied; this one stays as booked.

        Each source and sink differs from what was booked by its delta, exactly. Storages'
        stocks are the kernel's, as booked.
        """
        high = self.factor_mg_per_kwh[1] if self.factor_mg_per_kwh else 0
        table = Table(self.energy_mj, self.carbon_ug, high)
        table.correct(self.deltas.energy_mj)
        counts = Counter(self.counts)
        for grade, scans in self.deltas.moved.items():
            moved = min(scans, counts[grade])
            counts[grade] -= moved
            counts[Grade.RECOVERED] += moved
        return replace(
            self, energy_mj=table.energy_mj, carbon_ug=table.carbon_ug, counts=counts,
            deltas=Deltas(),
        )  # fmt: skip

    @property
    def it_mj(self) -> int:
        """Energy of the loads of kind it."""
        return sum(mj for (_, to), mj in self.energy_mj.items() if self.loads.get(to) == IT)

    @property
    def facility_mj(self) -> int:
        """All that the site used itself: loads and losses, not what was stored or exported."""
        return sum(mj for (_, to), mj in self.energy_mj.items() if self._used(to))

    @property
    def location(self) -> LocationCarbon:
        """Carbon of all that the site used itself."""
        return LocationCarbon(sum(ug for (_, to), ug in self.carbon_ug.items() if self._used(to)))

    @property
    def grid_import_mj(self) -> int:
        """Drawn from the grid, also into storage."""
        return sum(mj for (source, _), mj in self.energy_mj.items() if source == "grid")

    @property
    def coverage(self) -> Coverage:
        """Meter-scans by grade; scans that the ledger does not have are missing, for each meter."""
        counts = {grade: self.counts[grade] for grade in Grade}
        meters = sum(counts.values()) // self.scans if self.scans else 1
        counts[Grade.MISSING] += self.gap_scans * meters
        return Coverage(counts, {})

    def _used(self, sink: str) -> bool:
        return sink != EXPORT and sink not in self.names.storages


def intervals(
    rows: Iterable[Row], length_s: int, corrections: Sequence[Correction] = ()
) -> Iterator[Interval]:
    """Intervals in the order of the ledger; one that two runs share comes once for each.

    rows       of every kind, in the order of their numbers
    length_s   of each interval, a divisor of an hour; they start at multiples of it in UTC
    corrections   what corrections_of() found, also in records after these rows: each interval
                  is as booked, with its deltas beside it

    Raises ValueError for another length, or a SECOND row whose run was not named before.
    """
    if not 0 < length_s <= LENGTH_S_MAX or LENGTH_S_MAX % length_s:
        raise ValueError(f"an interval of {length_s} s does not divide the hour")
    runs: dict[int, tuple[Names, dict[str, str]]] = {}
    current: Interval | None = None
    spread = Spread(corrections, length_s)
    for row in rows:
        if row.kind.name in ("START", "NAMES"):
            content = row.content()
            runs[row.boot_id] = (Names.of(content), dict(content["loads"]))
        if row.kind.name != "SECOND":
            continue
        if row.boot_id not in runs:
            raise ValueError(f"second {row.utc_s} is of run {row.boot_id}, never started")
        start_s = row.utc_s - row.utc_s % length_s
        if current is None or (current.start_s, current.boot_id) != (start_s, row.boot_id):
            if current is not None:
                yield _ended(current, spread)
            current = Interval(start_s, length_s, row.boot_id, *runs[row.boot_id])
        second = row.content()
        _add(current, second)
        if corrections:
            names = current.names
            cells = ((names.sources[at], names.sinks[to], mj) for at, to, mj, _ in second["cells"])
            spread.second(row.boot_id, start_s, row.utc_s, cells)
    if current is not None:
        yield _ended(current, spread)


def _ended(interval: Interval, spread: Spread) -> Interval:
    interval.deltas = spread.end(interval.boot_id, interval.start_s)
    return interval


def _add(interval: Interval, second: Mapping[str, Any]) -> None:
    names = interval.names
    interval.seconds += 1
    interval.scans += second["scans"]
    interval.gap_scans += second["gap_scans"]
    interval.default_scans += second["carbon_default_scans"]
    for source, sink, mj, ug in second["cells"]:
        interval.energy_mj[names.sources[source], names.sinks[sink]] += mj
        interval.carbon_ug[names.sources[source], names.sinks[sink]] += ug
    interval.counts[Grade.MEASURED] += second["measured"]
    interval.counts[Grade.ESTIMATED] += second["estimated"]
    interval.counts[Grade.SUBSTITUTED] += second["substituted"]
    interval.stocks = {
        name: (stock[0], stock[1])
        for name, stock in zip(names.storages, second["stocks"], strict=True)
    }
    low, high = second["used_min_mg_per_kwh"], second["used_max_mg_per_kwh"]
    before = interval.factor_mg_per_kwh or (low, high)
    interval.factor_mg_per_kwh = (min(before[0], low), max(before[1], high))
