"""CORRECTION records over what was booked: the counters' energy, the booked shape.

A correction gives a source or a sink other energy. A sink's cells keep their mixture and their
own intensities, so that whose sink it is can work out the same from these cells alone
(`own_changes`); what is added to or taken from a metered row or column comes from losses, which
no meter measures. Where there are no losses left, more
arrived than was seen to leave, and the difference is unmetered, as the kernel books it; where
a lost meter's substitute had called for unmetered energy, that goes first. So every metered
row and column is what its counter says, and the table still adds up.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from edgectl.accounting.apportion import MJ_MG_PER_UG, largest_remainder
from edgectl.accounting.gaps import Grade

LOSSES, UNMETERED = "losses", "unmetered"

Cell = tuple[str, str]
Margin = tuple[str, bool]  # name, and whether it is a source


@dataclass(frozen=True, slots=True)
class Correction:
    """What the counter says of one source or sink over the seconds first_s to last_s.

    gaps     [first s, last s, scans estimated, scans substituted] that it bridged
    gap_mj   booked in them
    """

    boot_id: int
    margin: Margin
    first_s: int
    last_s: int
    booked_mj: int
    energy_mj: int
    u_mj: int
    gaps: tuple[tuple[int, int, int, int], ...]
    gap_mj: int

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> "Correction":
        """Of the figures of a CORRECTION record. KeyError for one of another kind."""
        source = "source" in figures
        return cls(
            figures["boot_id"],
            (figures["source" if source else "sink"], source),
            figures["first_s"],
            figures["last_s"],
            figures["booked_mj"],
            figures["energy_mj"],
            figures["u_residual_mj"],
            tuple((each[0], each[1], each[2], each[3]) for each in figures["gaps"]),
            figures["gap_mj"],
        )

    @property
    def difference_mj(self) -> int:
        """What it adds to the booked energy."""
        return self.energy_mj - self.booked_mj

    @property
    def bridged(self) -> bool:
        """Its difference is the gaps' alone; measured seconds stand."""
        return bool(self.gaps) and self.gap_mj + self.difference_mj >= 0


def corrections_of(contents: Iterable[Mapping[str, Any]]) -> list[Correction]:
    """What holds of the CORRECTION records with these contents.

    Of two for the same window the later holds; a correction of another kind is passed over.
    """
    found: dict[tuple[int, Margin, int, int], Correction] = {}
    for content in contents:
        figures = content.get("figures")
        if isinstance(figures, Mapping) and "gap_mj" in figures:
            each = Correction.of(figures)
            found[each.boot_id, each.margin, each.first_s, each.last_s] = each
    return list(found.values())


@dataclass(slots=True)
class _Share:
    """How much of a correction its intervals have had so far."""

    of: Correction
    booked_mj: int = 0
    gap_mj: int = 0
    gap_s: int = 0
    seconds: int = 0
    given_mj: int = 0

    def second(self, utc_s: int, booked_mj: int) -> None:
        """Count a second of the window."""
        self.seconds += 1
        self.booked_mj += booked_mj
        if any(first <= utc_s <= last for first, last, _, _ in self.of.gaps):
            self.gap_mj += booked_mj
            self.gap_s += 1

    def take(self, *, rest: bool) -> int:
        """What is due now; all the rest at the window's end."""
        correction = self.of
        upto_mj = correction.difference_mj
        if not rest and correction.bridged:
            length_s = sum(last - first + 1 for first, last, _, _ in correction.gaps)
            whole_mj = correction.gap_mj + correction.difference_mj
            upto_mj = whole_mj * self.gap_s // length_s - self.gap_mj
        elif not rest:
            part, whole = self.booked_mj, correction.booked_mj
            if not whole:
                part, whole = self.seconds, correction.last_s - correction.first_s + 1
            sign = -1 if upto_mj < 0 else 1
            upto_mj = sign * (abs(upto_mj) * min(part, whole) // whole)
        due_mj = upto_mj - self.given_mj
        self.given_mj = upto_mj
        return due_mj


@dataclass(slots=True)
class Deltas:
    """What corrections add to one interval.

    energy_mj   by margin
    moved_of    scans that were estimated or substituted and are recovered, by margin
    u_mj        standard uncertainty of what the counters say, by margin
    """

    energy_mj: Counter[Margin] = field(default_factory=Counter)
    moved_of: dict[Margin, Counter[Grade]] = field(default_factory=dict)
    u_mj: dict[Margin, int] = field(default_factory=dict)

    @property
    def moved(self) -> Counter[Grade]:
        """The same of all margins together."""
        total: Counter[Grade] = Counter()
        for own in self.moved_of.values():
            total.update(own)
        return total


class Spread:
    """Shares corrections out over the intervals of a stream, in order."""

    def __init__(
        self, corrections: Sequence[Correction], length_s: int, cuts: Sequence[int] = ()
    ) -> None:
        """Take what is to be shared out.

        length_s   of an interval, which starts at multiples of it in UTC
        cuts       seconds of UTC at which one ends and another starts too: those of a period
        """
        self._length_s = length_s
        self._cuts = sorted(cuts)
        self._by_interval: dict[tuple[int, int], list[_Share]] = defaultdict(list)
        for each in corrections:
            share = _Share(each)
            start_s, end_s = self.span(each.first_s)
            while start_s <= each.last_s:
                self._by_interval[each.boot_id, start_s].append(share)
                start_s, end_s = self.span(end_s)

    def span(self, utc_s: int) -> tuple[int, int]:
        """First second of the interval that holds this one, and the first after it."""
        start_s = utc_s - utc_s % self._length_s
        end_s = start_s + self._length_s
        for cut_s in self._cuts:
            if start_s < cut_s <= utc_s:
                start_s = cut_s
            elif utc_s < cut_s < end_s:
                end_s = cut_s
        return start_s, end_s

    def second(
        self, boot_id: int, start_s: int, utc_s: int, cells: Iterable[tuple[str, str, int]]
    ) -> None:
        """Count a second of the interval that starts at start_s.

        cells   source, sink, mJ
        """
        shares = self._by_interval.get((boot_id, start_s))
        if not shares:
            return
        margins = Counter[Margin]()
        for source, sink, mj in cells:
            margins[source, True] += mj
            margins[sink, False] += mj
        for share in shares:
            if share.of.first_s <= utc_s <= share.of.last_s:
                share.second(utc_s, margins[share.of.margin])

    def end(self, boot_id: int, start_s: int) -> Deltas:
        """The interval is over: what corrections add to it."""
        deltas, (_, end_s) = Deltas(), self.span(start_s)
        for share in self._by_interval.pop((boot_id, start_s), ()):
            correction = share.of
            deltas.energy_mj[correction.margin] += share.take(rest=correction.last_s < end_s)
            square = deltas.u_mj.get(correction.margin, 0) ** 2 + correction.u_mj**2
            deltas.u_mj[correction.margin] = round(square**0.5)
            for gap in correction.gaps:
                own = deltas.moved_of.setdefault(correction.margin, Counter())
                own.update(_moved(gap, start_s, end_s))
        return deltas


def _moved(gap: tuple[int, int, int, int], start_s: int, end_s: int) -> dict[Grade, int]:
    """Scans of a gap that lie in an interval, by the grade they were booked with.

    The last good power was held first, and substituted only then.
    """
    first_s, last_s, estimated, substituted = gap
    length_s = last_s - first_s + 1
    upto_s, from_s = (min(max(each - first_s, 0), length_s) for each in (end_s, start_s))
    upto, before = ((estimated + substituted) * each // length_s for each in (upto_s, from_s))
    held = min(estimated, upto) - min(estimated, before)
    return {Grade.ESTIMATED: held, Grade.SUBSTITUTED: upto - before - held}


@dataclass(frozen=True, slots=True)
class CellChange:
    """What is added to one cell of a sink."""

    source: str
    mj: int
    ug: int


def own_changes(
    cells: Mapping[str, tuple[int, int]], difference_mj: int, high_mg_per_kwh: int
) -> list[CellChange]:
    """A sink's difference over its own cells: they keep their mixture and their intensities.

    cells             mJ and ug of the sink by source, over one interval
    high_mg_per_kwh   the highest factor used; where the sink has no cell nobody can say from the
                      sink's own what fed it: unmetered energy at this factor
    """
    some = {source: each for source, each in sorted(cells.items()) if each[0] > 0}
    some = some or {UNMETERED: (MJ_MG_PER_UG, high_mg_per_kwh)}
    sign = -1 if difference_mj < 0 else 1
    parts = largest_remainder(abs(difference_mj), [mj for mj, _ in some.values()])
    return [
        CellChange(source, sign * part, sign * (ug * part // mj))
        for (source, (mj, ug)), part in zip(some.items(), parts, strict=True)
    ]


class Table:
    """Cells of one interval, while they are put right.

    own_mj, own_ug   what each sink's own cells alone make of the corrections, by cell
    """

    def __init__(
        self, energy_mj: Mapping[Cell, int], carbon_ug: Mapping[Cell, int], high_mg_per_kwh: int
    ) -> None:
        """high_mg_per_kwh   for energy whose source has no intensity here: the highest used."""
        self.energy_mj = Counter(energy_mj)
        self.carbon_ug = Counter(carbon_ug)
        self.own_mj, self.own_ug = Counter[Cell](), Counter[Cell]()
        self._high_mg_per_kwh = high_mg_per_kwh
        self._high = Fraction(high_mg_per_kwh, MJ_MG_PER_UG)
        rows_mj, rows_ug = Counter[str](), Counter[str]()
        for (source, sink), mj in energy_mj.items():
            rows_mj[source] += mj
            rows_ug[source] += carbon_ug.get((source, sink), 0)
        self._rows_mj = rows_mj
        self._ug_per_mj = {each: Fraction(rows_ug[each], mj) for each, mj in rows_mj.items() if mj}

    def correct(self, deltas: Mapping[Margin, int]) -> None:
        """Give each margin its difference; then no cell is negative."""
        for (name, source), difference_mj in sorted(deltas.items()):
            if source:
                self._add(name, LOSSES, difference_mj)
            else:
                self._column(name, difference_mj)
        for each in sorted({at for at, _ in self.energy_mj}):
            self._repair(each)
        freed_mj = sum(mj if source else -mj for (_, source), mj in deltas.items())
        self._cancel(freed_mj)
        for cells in (self.energy_mj, self.carbon_ug):
            for cell in [each for each, amount in cells.items() if not amount]:
                del cells[cell]

    def _column(self, sink: str, difference_mj: int) -> None:
        """A sink's difference, by the mixture it had; else by that of the whole site."""
        cells = {at: (mj, self.carbon_ug[at, sink]) for (at, to), mj in self.energy_mj.items()
                 if to == sink}  # fmt: skip
        own = own_changes(cells, difference_mj, self._high_mg_per_kwh)
        for each in own:
            self.own_mj[each.source, sink] += each.mj
            self.own_ug[each.source, sink] += each.ug
        if not any(mj > 0 for mj, _ in cells.values()):
            own = self._by_site(difference_mj)
        for each in own:
            self.energy_mj[each.source, sink] += each.mj
            self.carbon_ug[each.source, sink] += each.ug
            self.energy_mj[each.source, LOSSES] -= each.mj
            self.carbon_ug[each.source, LOSSES] -= each.ug

    def _by_site(self, difference_mj: int) -> list[CellChange]:
        """A difference by the mixture of all sources, at their intensities."""
        weights = {each: mj for each, mj in self._rows_mj.items() if mj > 0} or {UNMETERED: 1}
        sign = -1 if difference_mj < 0 else 1
        parts = largest_remainder(abs(difference_mj), list(weights.values()))
        return [
            CellChange(at, sign * mj, sign * int(mj * self._ug_per_mj.get(at, self._high)))
            for at, mj in zip(weights, parts, strict=True)
        ]

    def _add(self, source: str, sink: str, mj: int) -> int:
        """Energy at its source's intensity; returns its carbon."""
        product = mj * self._ug_per_mj.get(source, self._high)
        ug = int(product)
        self.energy_mj[source, sink] += mj
        self.carbon_ug[source, sink] += ug
        return ug

    def _move(self, source: str, sink: str, to: str, mj: int) -> None:
        """Energy of a cell to another of its row, with its part of the cell's carbon."""
        whole_mj = self.energy_mj[source, sink]
        ug = self.carbon_ug[source, sink] * mj // whole_mj if whole_mj else 0
        self.energy_mj[source, sink] -= mj
        self.carbon_ug[source, sink] -= ug
        self.energy_mj[source, to] += mj
        self.carbon_ug[source, to] += ug

    def _repair(self, source: str) -> None:
        """A row that gave more than its losses: others take its place, last what nobody saw."""
        others = sorted({each for each, _ in self.energy_mj} - {source, UNMETERED})
        for other in [*others, UNMETERED]:
            for sink in sorted({to for at, to in self.energy_mj if at == source} - {LOSSES}):
                missing_mj = -self.energy_mj[source, LOSSES]
                mj = min(missing_mj, self.energy_mj[source, sink])
                spare_mj = max(0, self.energy_mj[other, LOSSES])
                if other != UNMETERED:
                    mj = min(mj, spare_mj)
                if mj <= 0:
                    continue
                self._move(source, sink, LOSSES, mj)
                had_mj = min(mj, spare_mj)
                self._move(other, LOSSES, sink, had_mj)
                if mj > had_mj:
                    product = (mj - had_mj) * self._high
                    self.energy_mj[other, sink] += mj - had_mj
                    self.carbon_ug[other, sink] += -int(-product)
        self._settle(source)

    def _cancel(self, freed_mj: int) -> None:
        """Unmetered energy that a lost meter's substitute called for: it never flowed.

        freed_mj   by which the corrections leave more to losses than was booked
        """
        freed_mj -= self._drop(LOSSES, min(freed_mj, self.energy_mj[UNMETERED, LOSSES]))
        others = sorted({each for each, _ in self.energy_mj} - {UNMETERED})
        for sink in sorted({to for at, to in self.energy_mj if at == UNMETERED} - {LOSSES}):
            for other in others:
                spare_mj = max(0, self.energy_mj[other, LOSSES])
                mj = self._drop(sink, min(freed_mj, spare_mj, self.energy_mj[UNMETERED, sink]))
                self._move(other, LOSSES, sink, mj)
                freed_mj -= mj

    def _drop(self, sink: str, mj: int) -> int:
        """Take unmetered energy out, with its carbon; returns how much."""
        if mj <= 0:
            return 0
        cell = (UNMETERED, sink)
        self.carbon_ug[cell] -= self.carbon_ug[cell] * mj // self.energy_mj[cell]
        self.energy_mj[cell] -= mj
        return mj

    def _settle(self, source: str) -> None:
        """Carbon that was left where no energy is goes to the row's greatest cell."""
        left_ug = self.carbon_ug[source, LOSSES]
        if self.energy_mj[source, LOSSES] > 0 and left_ug >= 0:
            return
        row = [(mj, to) for (at, to), mj in self.energy_mj.items()
               if at == source and to != LOSSES and mj > 0]  # fmt: skip
        if left_ug and row:
            self.carbon_ug[source, LOSSES] = 0
            self.carbon_ug[source, max(row)[1]] += left_ug
