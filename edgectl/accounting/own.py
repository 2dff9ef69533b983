"""One tenant's cells of a period, as booked and as corrected, from nothing but the tenant's own.

A receipt states these sums, and tools/verify_ledger.py works them out again. Each correction of
one of the tenant's sinks is shared out over its minutes, as in a report; within a minute the
sink's cells keep their mixture and their intensities. Energy of every sink is so to the last mJ
what a report has. What a report moves between sources because the whole site must balance is
not here: nobody could check it without the others' figures.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from edgectl.accounting.corrections import Cell, Correction, Spread, own_changes

MINUTE_S = 60


class OwnBooks:
    """Takes the tenant's seconds in their order, from where the first correction begins."""

    def __init__(self, corrections: Sequence[Correction], from_s: int, to_s: int) -> None:
        """corrections   of the tenant's sinks; from_s, to_s   the period, the last not included."""
        self.from_s, self.to_s = from_s, to_s
        self.booked_mj, self.booked_ug = Counter[Cell](), Counter[Cell]()
        self.change_mj, self.change_ug = Counter[Cell](), Counter[Cell]()
        self._spread = Spread(corrections, MINUTE_S, (from_s, to_s))
        self._high_mg_per_kwh = 0  # of the minute's seconds
        self._minute: tuple[int, int] | None = None  # run and first second
        self._cells: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)

    def second(
        self, boot_id: int, utc_s: int, cells: Mapping[Cell, tuple[int, int]],
        used_max_mg_per_kwh: int,
    ) -> None:  # fmt: skip
        """Count a second: mJ and ug by source and sink, and the highest factor it used."""
        minute = boot_id, self._spread.span(utc_s)[0]
        if minute != self._minute:
            self._end()
            self._minute = minute
        listed = ((source, sink, mj) for (source, sink), (mj, _) in cells.items())
        self._spread.second(boot_id, minute[1], utc_s, listed)
        if not self.from_s <= utc_s < self.to_s:
            return
        self._high_mg_per_kwh = max(self._high_mg_per_kwh, used_max_mg_per_kwh)
        for (source, sink), (mj, ug) in cells.items():
            self.booked_mj[source, sink] += mj
            self.booked_ug[source, sink] += ug
            before = self._cells[sink].get(source, (0, 0))
            self._cells[sink][source] = before[0] + mj, before[1] + ug

    def _end(self) -> None:
        """A minute is over: what corrections add to its cells."""
        if self._minute is None:
            return
        boot_id, start_s = self._minute
        deltas = self._spread.end(boot_id, start_s)
        if self.from_s <= start_s < self.to_s:
            for (sink, _), difference_mj in deltas.energy_mj.items():
                for each in own_changes(self._cells[sink], difference_mj, self._high_mg_per_kwh):
                    self.change_mj[each.source, sink] += each.mj
                    self.change_ug[each.source, sink] += each.ug
        self._cells.clear()
        self._high_mg_per_kwh = 0

    def totals(self) -> dict[str, Any]:
        """All seconds are in: sums as booked, what corrections add, and as corrected."""
        self._end()
        self._minute = None
        after_mj, after_ug = Counter(self.booked_mj), Counter(self.booked_ug)
        after_mj.update(self.change_mj)
        after_ug.update(self.change_ug)
        return {
            "as_booked": _sums(self.booked_mj, self.booked_ug),
            "change": _sums(self.change_mj, self.change_ug),
            "as_corrected": _sums(after_mj, after_ug),
        }


def _sums(energy_mj: Mapping[Cell, int], carbon_ug: Mapping[Cell, int]) -> dict[str, Any]:
    return {
        "energy_mj": sum(energy_mj.values()),
        "carbon_ug": sum(carbon_ug.values()),
        "energy_mj_by_source": _by(energy_mj, 0),
        "carbon_ug_by_source": _by(carbon_ug, 0),
        "energy_mj_by_sink": _by(energy_mj, 1),
    }


def _by(cells: Mapping[Cell, int], at: int) -> dict[str, int]:
    found = Counter[str]()
    for cell, amount in cells.items():
        found[cell[at]] += amount
    return {name: amount for name, amount in sorted(found.items()) if amount}
