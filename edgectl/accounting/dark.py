"""What went through a meter between two runs of the controller, from its counter and the ledger.

The counter stood somewhere when it was last written down, and stands somewhere when the next run
first reads it. What the ledger has booked in between, by the old run after that and by the new
one before it, is taken off; the rest went through while nobody booked. Its shape is not known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any, Protocol

from edgectl.accounting.corrections import Correction
from edgectl.accounting.following import READING_S, Closed
from edgectl.accounting.gaps import Grade
from edgectl.accounting.margins import Change, Margin, Stand, shape_of
from edgectl.accounting.period import Row
from edgectl.accounting.registers import COVERAGE_K, Counter, CounterReader, Event

NS_PER_S = 1_000_000_000
CLOCK_S = 2  # by which the two clocks may differ, and within which a counter is read


class Numbered(Row, Protocol):
    """A row of the ledger with what is needed of its journal records."""

    @property
    def last_seq(self) -> int:
        """The last record of the journal that is in it."""
        ...


@dataclass(frozen=True, slots=True)
class Before:
    """What the newest records say of the run before this one.

    last_s    its last second; first_s the first of this one
    stands    of its counters, the newest of each margin, by name and side
    recovered   margins whose dark time is in the ledger already
    """

    boot_id: int
    last_s: int
    first_s: int
    stands: Mapping[tuple[str, bool], Stand]
    recovered: frozenset[tuple[str, bool]]


def before_of(rows: Sequence[Row], boot_id: int) -> Before | None:
    """The run before `boot_id`; None where these rows do not show its end."""
    first_s: int | None = None
    last: Row | None = None
    stands: dict[tuple[str, bool], Stand] = {}
    recovered = set()
    for row in rows:
        kind, ours = row.kind.name, row.boot_id == boot_id
        if kind == "SECOND" and ours and first_s is None:
            first_s = row.utc_s
        elif kind == "SECOND" and not ours:
            if last is not None and last.boot_id != row.boot_id:
                stands = {}  # those of a run still before it: what it booked is not added up
            last = row
        elif kind == "METER" and not ours:
            for said in row.content().get("stands") or ():
                stand = Stand.of(said)
                stands[stand.name, stand.source] = stand
        elif kind == "CORRECTION" and ours:
            figures = row.content().get("figures") or {}
            if figures.get("dark"):
                source = "source" in figures
                recovered.add((figures["source" if source else "sink"], source))
    if last is None or first_s is None:
        return None
    return Before(last.boot_id, last.utc_s, first_s, stands, frozenset(recovered))


@dataclass(slots=True)
class _Booked:
    """What the ledger holds of one margin between the two stands.

    old_mj    of the run before, as corrected; new_mj of this one
    gap_mj    of that, in seconds that both runs name
    """

    old_mj: int = 0
    new_mj: int = 0
    gap_mj: int = 0


def booked_of(
    rows: Iterable[Row], before: Before, old: Stand, new: Stand, boot_id: int
) -> _Booked:  # fmt: skip
    """Sum what was booked after `old` and up to `new`."""
    found = _Booked()
    by_second: dict[int, int] = {}
    corrections = []
    for row in rows:
        if row.kind.name == "SECOND" and row.boot_id == before.boot_id and row.utc_s > old.utc_s:
            by_second[row.utc_s] = _of_margin(row.content(), old)
        elif row.kind.name == "SECOND" and row.boot_id == boot_id and row.utc_s <= new.utc_s:
            mj = _of_margin(row.content(), new)
            found.new_mj += mj
            found.gap_mj += mj if row.utc_s <= before.last_s + 1 else 0
        elif row.kind.name == "CORRECTION" and row.boot_id == before.boot_id:
            figures = row.content().get("figures") or {}
            if "gap_mj" in figures and not figures.get("dark"):
                corrections.append(Correction.of(figures))
    found.old_mj = sum(by_second.values())
    held = {(each.first_s, each.last_s): each for each in corrections
            if each.margin == (old.name, old.source)}  # fmt: skip
    for each in held.values():
        after = sum(mj for utc_s, mj in by_second.items() if each.first_s <= utc_s <= each.last_s)
        if each.first_s > old.utc_s:
            found.old_mj += each.difference_mj
        elif each.booked_mj:
            found.old_mj += each.difference_mj * after // each.booked_mj
    return found


def _of_margin(content: Mapping[str, Any], stand: Stand) -> int:
    side = 0 if stand.source else 1
    return sum(cell[2] for cell in content["cells"] if cell[side] == stand.index)


def advance_of(
    old: Stand, new: Stand, counters: Sequence[Counter], changes: Mapping[str, Change]
) -> tuple[int, Event]:
    """What the counters advanced, mJ, and ADVANCED; or 0, and why it is not known.

    changes   of meters in between, by the counter's tag
    """
    elapsed_ns = (new.utc_s - old.utc_s + CLOCK_S) * NS_PER_S
    total_mj = 0
    for at, counter in enumerate(counters):
        change = changes.get(counter.meter)
        if old.shapes[at] != shape_of(counter) and change is None:
            return 0, Event.SWAPPED
        reader = CounterReader(counter)
        reader.resume([0, 0, 1, old.steps[at], 0])
        if change is None:
            found = reader.read(elapsed_ns, new.steps[at])
        else:
            found = reader.change(
                elapsed_ns, change.last_steps, change.first_steps, new.steps[at]
            )  # fmt: skip
        if not found.known:
            return 0, found.event
        total_mj += reader.total_mj
    return total_mj, Event.ADVANCED


def recovered_of(
    margin: Margin, before: Before, old: Stand, new: Stand, register_mj: int, booked: _Booked,
    last_seq: int, quanta_mj: Sequence[Fraction],
) -> Closed:  # fmt: skip
    """The correction of the dark time and of the seconds up to the new run's first reading.

    register_mj   what the counters advanced between the stands
    quanta_mj     what each counter can tell apart
    """
    first_s = min(before.last_s + 1, new.utc_s)
    dark_s = max(first_s, before.first_s - 1)
    through_mj = register_mj + new.moved_mj - old.moved_mj
    energy_mj = through_mj - booked.old_mj
    seconds = max(1, new.utc_s - old.utc_s)
    step_mj = isqrt(int(sum(each**2 for each in quanta_mj))) + READING_S * through_mj // seconds
    measured_mj = booked.old_mj + booked.new_mj - booked.gap_mj
    u_mj = ((margin.u_ratio * measured_mj) ** 2 + step_mj**2 / 6) ** 0.5
    least_mj = booked.new_mj - booked.gap_mj
    problem = None
    if least_mj - energy_mj > COVERAGE_K * u_mj:
        problem = f"power measured {least_mj - energy_mj} mJ more than the counter advanced"
    known_mj = max(least_mj, energy_mj)
    factor = Fraction(known_mj, booked.new_mj) if booked.new_mj else None
    return Closed(
        margin, first_s, new.utc_s, last_seq, booked.new_mj, known_mj, register_mj,
        booked.new_mj - known_mj, round(u_mj), factor, Grade.RECOVERED,
        ((first_s, dark_s, 0, 0),), booked.gap_mj, problem, dark=True,
    )  # fmt: skip
