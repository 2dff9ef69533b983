"""A metered row or column of the ledger's table, followed by the counters that measure it.

The kernel books integrated power; the counter is the truth. A window runs from one reading of
the counter to another and closes at a whole second. What ran between a reading and the end of
its second is booked by power and carried along: the end of one window is the start of the
next, so that over adjoining windows these pieces cancel and the counters' advance remains.

A window with a gap in it is recovered: its measured seconds stay, and what the counter says
beyond them is the gap's. A counter that cannot vouch for a window closes none.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from fractions import Fraction
from math import isqrt
from typing import Any

from edgectl.accounting.gaps import Grade
from edgectl.accounting.margins import Change, Margin, Stand, shape_of
from edgectl.accounting.registers import (
    COVERAGE_K,
    Advance,
    Counter,
    CounterReader,
    Event,
    reconcile,
)

WINDOW_S = 900  # corrections are closed at quarters of an hour in UTC
WINDOW_MIN_S = 60  # but for that of a run's end; a gap that begins sooner joins what is open
IDLE_S = 60  # a counter that stands still so long after a gap says that nothing flowed
NS_PER_S = 1_000_000_000
READING_S = 1  # meters renew their registers about once a second
RUNS_MAX = 64  # gaps that one correction tells apart
IMPLAUSIBLE_MAX = 10  # readings beyond belief in a row: it is another counter


@dataclass(frozen=True, slots=True)
class Second:
    """A second as it was booked.

    estimated, substituted   scans in which its power was not measured, of all its meters
    """

    utc_s: int
    last_seq: int
    booked_mj: int
    estimated: int = 0
    substituted: int = 0

    @property
    def bad(self) -> bool:
        """Some of it was not measured."""
        return self.estimated + self.substituted > 0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a counter showed.

    time_ns    monotonic, when it was read
    moved_mj   booked from then to the end of the second
    """

    steps: int
    time_ns: int
    moved_mj: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of a second at which all counters were read."""

    utc_s: int
    last_seq: int
    total_mj: int
    moved_mj: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A window that the counters confirm or put right.

    booked_mj     as the ledger has it; energy_mj as it is now known
    register_mj   advance of the counters; energy_mj is it and the pieces at both ends
    gaps          [first s, last s, scans estimated, scans substituted] of each gap
    gap_mj        booked in the gaps
    problem       why meter and counter disagree, None where they agree
    dark          its gap is a time between two runs, in which nothing was booked
    """

    margin: Margin
    first_s: int
    last_s: int
    last_seq: int
    booked_mj: int
    energy_mj: int
    register_mj: int
    residual_mj: int
    u_residual_mj: int
    factor: Fraction | None
    grade: Grade
    gaps: tuple[tuple[int, int, int, int], ...]
    gap_mj: int
    problem: str | None
    dark: bool = False

    def figures(self, boot_id: int) -> dict[str, Any]:
        """As a CORRECTION record has them."""
        return {
            "boot_id": boot_id,
            "meter": "+".join(self.margin.counters),
            "source" if self.margin.source else "sink": self.margin.name,
            "first_s": self.first_s,
            "last_s": self.last_s,
            "booked_mj": self.booked_mj,
            "energy_mj": self.energy_mj,
            "register_mj": self.register_mj,
            "residual_mj": self.residual_mj,
            "u_residual_mj": self.u_residual_mj,
            "k": None if self.factor is None else float(self.factor),
            "grade": self.grade.value,
            "gaps": [list(each) for each in self.gaps],
            "gap_mj": self.gap_mj,
            **({"dark": True} if self.dark else {}),
        }

    @property
    def reason(self) -> str:
        """In a sentence."""
        if self.dark:
            text = "no controller ran; the meter's counter gives the energy"
        elif self.grade is Grade.RECOVERED:
            text = "the meter was lost; its counter gives the energy"
        else:
            text = "the meter's counter is the truth for the energy"
        return f"{text}; {self.problem}" if self.problem else text


@dataclass(slots=True)
class _Open:
    """What ran since the start of the window."""

    start: Mark
    booked_mj: int = 0
    gap_mj: int = 0
    gaps: list[tuple[int, int, int, int]] = field(default_factory=list)

    def add(self, second: Second) -> None:
        self.booked_mj += second.booked_mj
        if not second.bad:
            return
        self.gap_mj += second.booked_mj
        self._gap((second.utc_s, second.utc_s, second.estimated, second.substituted))

    def fold(self, after: "_Open") -> None:
        """Add what ran after this."""
        self.booked_mj += after.booked_mj
        self.gap_mj += after.gap_mj
        for each in after.gaps:
            self._gap(each)

    def _gap(self, run: tuple[int, int, int, int]) -> None:
        first_s, last_s, estimated, substituted = run
        if self.gaps and (self.gaps[-1][1] >= first_s - 1 or len(self.gaps) == RUNS_MAX):
            first_s, _, more, most = self.gaps.pop()
            estimated, substituted = estimated + more, substituted + most
        self.gaps.append((first_s, last_s, estimated, substituted))

    def plain(self) -> list[Any]:
        """In plain types; of() reads it."""
        return [_plain(self.start), self.booked_mj, self.gap_mj, [list(each) for each in self.gaps]]

    @classmethod
    def of(cls, said: Sequence[Any] | None) -> "_Open | None":
        """What plain() said."""
        if said is None:
            return None
        start, booked_mj, gap_mj, gaps = said
        return cls(Mark(*start), booked_mj, gap_mj, [tuple(each) for each in gaps])


@dataclass(frozen=True, slots=True)
class Broken:
    """A window that a counter could not vouch for to its end, as a meter was changed or reset.

    register_mj   what the counters advanced in it before the break
    stood         where they stood then; after at its end, which is mark
    """

    window: _Open
    register_mj: int
    stood: Stand | None
    mark: Mark | None = None
    after: Stand | None = None

    def plain(self) -> list[Any]:
        """In plain types; of() reads it."""
        assert self.mark is not None, "a break is kept once its end is read"
        stands = [each.plain() if each else None for each in (self.stood, self.after)]
        return [self.window.plain(), self.register_mj, stands[0], _plain(self.mark), stands[1]]

    @classmethod
    def of(cls, said: Sequence[Any] | None) -> "Broken | None":
        """What plain() said."""
        window = _Open.of(said[0]) if said else None
        if said is None or window is None:
            return None
        _, register_mj, stood, mark, after = said
        return cls(window, register_mj, Stand.of(stood) if stood else None, Mark(*mark),
                   Stand.of(after) if after else None)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Followed:
    """What a second led to: events that are no plain advance, and windows that closed."""

    events: tuple[tuple[str, Event], ...] = ()
    closed: tuple[Closed, ...] = ()


class MarginBook:
    """Follows one margin second by second."""

    def __init__(self, margin: Margin, counters: Sequence[Counter]) -> None:
        """counters   of margin.counters, in that order."""
        self.margin = margin
        self.readers = [CounterReader(each) for each in counters]
        self._open: _Open | None = None  # from its start to the newest mark
        self._tail: _Open | None = None  # from the newest mark on
        self._implausible = [0] * len(self.readers)
        self._floor_s = 0  # UTC that was named already: a clock set back names it twice
        self.first: Stand | None = None  # at the run's first mark
        self.broken: Broken | None = None  # the newest break, until a statement explains it
        self._stood: Stand | None = None  # the newest that its readings confirm
        self._changes: dict[int, Change] = {}  # declared, of meters that were not read since

    def second(self, second: Second, shown: Sequence[Shown] | None) -> Followed:
        """Take a second.

        shown   by each counter, in their order; None where not all were read
        """
        closed: list[Closed] = []
        if second.bad and self._tail is not None and not self._tail.gaps:
            closed += self._close(WINDOW_MIN_S)
        if self._tail is not None:
            self._tail.add(second)
        if shown is None or second.bad:
            return Followed((), tuple(closed))
        before_mj = self._total_mj
        self._stood = stood = self.stand() or self._stood
        events, lost = self._read(shown)
        before = self._broken_at(stood) if lost else None
        if lost:
            self._open = self._tail = None
        if any(self._implausible):
            return Followed(events, tuple(closed))
        moved_mj = sum(each.moved_mj for each in shown)
        mark = Mark(second.utc_s, second.last_seq, self._total_mj, moved_mj)
        if self._open is None or self._tail is None:
            if second.utc_s >= self._floor_s:
                self._open, self._tail = _Open(mark), _Open(mark)
                self.first = self.first or self.stand()
                if before is not None:
                    self.broken = replace(before, mark=mark, after=self.stand())
            return Followed(events, tuple(closed))
        self._open.fold(self._tail)
        self._tail = _Open(mark)
        if self._due(self._open, second.utc_s, advanced=self._total_mj > before_mj):
            closed += self._close(1)
        return Followed(events, tuple(closed))

    def forget(self) -> None:
        """Seconds are missing, or UTC was set: what is open is not confirmed and stands."""
        if self._tail is not None:
            self._floor_s = max(self._floor_s, self._tail.start.utc_s)
        self._open = self._tail = None

    def finish(self) -> tuple[Closed, ...]:
        """The run is over."""
        return tuple(self._close(1))

    def change(self, tag: str, change: Change, *, waits: bool) -> Closed | None:
        """The meter behind a counter was changed, as somebody declared.

        waits   it was not read since: the change is applied with the first reading

        Else the window around the newest break is closed, if both readings can be believed.
        """
        broken, self.broken = self.broken, None
        at = self.margin.counters.index(tag)
        if waits:
            self._changes[at] = change
            return None
        if broken is None or broken.mark is None or broken.after is None or broken.stood is None:
            return None
        window, mark = broken.window, broken.mark
        seconds = mark.utc_s - window.start.utc_s
        register_mj = broken.register_mj
        for each, reader in enumerate(self.readers):
            fresh = CounterReader(reader.counter)
            fresh.resume([0, 0, 1, broken.stood.steps[each], 0])
            steps, end_ns = broken.after.steps[each], (seconds + READING_S) * NS_PER_S
            found = (
                fresh.change(end_ns, change.last_steps, change.first_steps, steps)
                if each == at
                else fresh.read(end_ns, steps)
            )
            if not found.known:
                return None
            register_mj += found.energy_mj
        energy_mj = max(0, register_mj + mark.moved_mj - window.start.moved_mj)
        return self._closed(window, mark, register_mj, energy_mj)

    def _broken_at(self, stood: Stand | None) -> "Broken | None":
        """What is open as the counters can no longer vouch for it."""
        window, tail = self._open, self._tail
        if window is None or tail is None:
            return None
        register_mj = tail.start.total_mj - window.start.total_mj
        window.fold(tail)
        return Broken(window, register_mj, stood)

    def stand(self) -> Stand | None:
        """Where the counters stand, at the newest mark; None where they cannot be vouched for."""
        if self._tail is None or any(self._implausible):
            return None
        mark = self._tail.start
        steps = [each.steps or 0 for each in self.readers]
        return Stand(self.margin.name, self.margin.source, self.margin.index, mark.utc_s,
                     mark.moved_mj, self.margin.counters, tuple(steps),
                     tuple(map(shape_of, (each.counter for each in self.readers))))  # fmt: skip

    @property
    def _total_mj(self) -> int:
        return sum(each.total_mj for each in self.readers)

    def _read(self, shown: Sequence[Shown]) -> tuple[tuple[tuple[str, Event], ...], bool]:
        """Events, and whether the open window can no longer be confirmed."""
        events: list[tuple[str, Event]] = []
        lost = False
        for at, (reader, each) in enumerate(zip(self.readers, shown, strict=True)):
            advance = self._advance(at, reader, each)
            if advance.event not in (Event.ADVANCED, Event.FIRST):
                events.append((self.margin.counters[at], advance.event))
            lost |= not advance.known and advance.event is not Event.IMPLAUSIBLE
        return tuple(events), lost

    def _advance(self, at: int, reader: CounterReader, shown: Shown) -> Advance:
        change = self._changes.pop(at, None)
        if change is None:
            advance = reader.read(shown.time_ns, shown.steps)
        else:
            advance = reader.change(
                shown.time_ns, change.last_steps, change.first_steps, shown.steps
            )  # fmt: skip
        if advance.event is not Event.IMPLAUSIBLE:
            self._implausible[at] = 0
            return advance
        self._implausible[at] += 1
        if self._implausible[at] < IMPLAUSIBLE_MAX:
            return advance
        # It stays where nothing could have brought it: another meter, or one that was set.
        self._implausible[at] = 0
        fresh = CounterReader(reader.counter)
        fresh.read(shown.time_ns, shown.steps)
        self.readers[at] = fresh
        return Advance(Event.SWAPPED, 0, known=False)

    def _due(self, window: _Open, utc_s: int, *, advanced: bool) -> bool:
        length_s = utc_s - window.start.utc_s
        if window.gaps:  # a meter that comes and goes is one window a minute, and no more
            idle = utc_s - window.gaps[-1][1] >= IDLE_S
            return length_s >= WINDOW_MIN_S and (advanced or idle)
        quarter = (utc_s + 1) // WINDOW_S > (window.start.utc_s + 1) // WINDOW_S
        return quarter and (advanced or length_s >= 2 * WINDOW_S)

    def _close(self, length_min_s: int) -> list[Closed]:
        """Close the window at the newest mark; the next one starts there."""
        window, tail = self._open, self._tail
        if window is None or tail is None:
            return []
        start, mark = window.start, tail.start
        if mark.utc_s - start.utc_s < length_min_s:
            return []
        self._open, self._floor_s = _Open(mark), mark.utc_s
        register_mj = mark.total_mj - start.total_mj
        energy_mj = max(0, register_mj + mark.moved_mj - start.moved_mj)
        if not window.booked_mj and not energy_mj:
            return []
        return [self._closed(window, mark, register_mj, energy_mj)]

    def _closed(self, window: _Open, mark: Mark, register_mj: int, energy_mj: int) -> Closed:
        first_s = window.start.utc_s + 1
        seconds = mark.utc_s - window.start.utc_s
        squares = sum(each.quantum_mj**2 for each in self.readers)
        step_mj = Fraction(isqrt(int(squares)) + READING_S * energy_mj // seconds)
        measured_mj = window.booked_mj - window.gap_mj
        held = reconcile([(mark.utc_s, window.booked_mj)], energy_mj, step_mj, self.margin.u_ratio)
        problem, u_mj = held.alarm, held.u_residual_mj
        if window.gaps:
            u_mj = ((self.margin.u_ratio * measured_mj) ** 2 + float(step_mj) ** 2 / 6) ** 0.5
            over_mj = measured_mj - energy_mj
            problem = None
            if over_mj > COVERAGE_K * u_mj:
                problem = f"power measured {over_mj} mJ more than the counter advanced"
        return Closed(
            self.margin, first_s, mark.utc_s, mark.last_seq, window.booked_mj, energy_mj,
            register_mj, held.residual_mj, round(u_mj), held.factor,
            Grade.RECOVERED if window.gaps else Grade.MEASURED, tuple(window.gaps),
            window.gap_mj, problem,
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Where it stands, in plain types."""
        return {
            "readers": [each.state() for each in self.readers],
            "implausible": list(self._implausible),
            "floor_s": self._floor_s,
            "first": self.first.plain() if self.first else None,
            "broken": self.broken.plain() if self.broken else None,
            "stood": self._stood.plain() if self._stood else None,
            "changes": [[at, *astuple(each)] for at, each in self._changes.items()],
            "open": self._open.plain() if self._open else None,
            "tail": self._tail.plain() if self._tail else None,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what state() said."""
        for reader, each in zip(self.readers, state["readers"], strict=True):
            reader.resume(each)
        self._implausible = list(state["implausible"])
        self._floor_s = state["floor_s"]
        self.first = Stand.of(state["first"]) if state["first"] else None
        self._stood = Stand.of(state["stood"]) if state["stood"] else None
        self.broken = Broken.of(state["broken"])
        self._changes = {at: Change(last, first) for at, last, first in state["changes"]}
        self._open, self._tail = _Open.of(state["open"]), _Open.of(state["tail"])


def _plain(mark: Mark) -> list[int]:
    return [mark.utc_s, mark.last_seq, mark.total_mj, mark.moved_mj]
