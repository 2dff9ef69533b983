"""All alarms of one site: their declarations and states, the alarm clock, floods.

Nothing here reads a file or a clock. The same records and requests give the same book,
whoever was killed in between.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgectl.alarms.catalogue import PRIORITIES, RULES, AlarmSpec
from edgectl.alarms.judge import NO_RULE, Judge
from edgectl.alarms.kpi import FLOOD_OFF_BELOW, FLOOD_ON_ABOVE, WINDOW_NS
from edgectl.alarms.machine import (
    Act,
    AlarmState,
    Change,
    Event,
    Sense,
    Signal,
    State,
    Step,
    due_ns,
    step,
)
from edgectl.alarms.sources import Array, Batch

RULE_PLACES = {rule.name: place for place, rule in enumerate(RULES)}
FLOOD_STARTED, FLOOD_ENDED, RETIRED = "flood_started", "flood_ended", "retired"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened, on every clock there is."""

    now_ns: int  # of the alarm clock: UTC at a start, monotonic from there on
    utc_ns: int = 0
    time_ns: int = 0  # monotonic
    boot_id: int = 0
    scan: int = -1


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the history."""

    alarm_id: str  # empty: the system of alarms itself
    event: str
    before: str
    after: str
    at: Moment
    by: str = ""
    reason: str = ""


@dataclass(slots=True)
class Book:
    """The alarms. `dirty` are those that were changed since the caller last stored them."""

    specs: dict[str, AlarmSpec] = field(default_factory=dict)
    states: dict[str, AlarmState] = field(default_factory=dict)
    now_ns: int = 0
    recent_ns: list[int] = field(default_factory=list)  # annunciations of the last 10 min
    flood_since_ns: int = 0  # 0: none
    dirty: set[str] = field(default_factory=set)
    _dues_ns: dict[str, int] = field(default_factory=dict)

    def restore(self, spec: AlarmSpec, state: AlarmState) -> None:
        """Take one alarm as it was stored."""
        self.specs[spec.id] = spec
        self._put(spec.id, state)
        self.dirty.discard(spec.id)

    def adopt(self, specs: Sequence[AlarmSpec], at: Moment) -> list[Happening]:
        """Take over what a site declares. What it no longer has is kept while it is owed."""
        known = {spec.id: spec for spec in specs}
        gone = [each for each in self.specs if each not in known]
        happened: list[Happening] = []
        for alarm_id in gone:
            if self.states[alarm_id].owed:
                happened += self.give(alarm_id, Sense(Signal.CLEAR, suppressed_by=""), at)
                continue
            happened.append(Happening(alarm_id, RETIRED, self.states[alarm_id].shown, "", at))
            del self.specs[alarm_id], self.states[alarm_id]
            self._dues_ns.pop(alarm_id, None)
            self.dirty.add(alarm_id)
        for alarm_id, spec in known.items():
            if self.specs.get(alarm_id) != spec:
                self.specs[alarm_id] = spec
                self.dirty.add(alarm_id)
            self._put(alarm_id, self.states.get(alarm_id, AlarmState()))
        return happened

    def take(self, judge: Judge, batch: Batch, moments: Sequence[Moment]) -> list[Happening]:
        """Go through consecutive scans.

        judge     of the site whose specs were adopted
        moments   one for each scan of the batch
        """
        judged = judge.judge(batch, np.array([each.now_ns for each in moments], np.int64))
        ids = [spec.id for spec in judge.specs]
        before = self._as_judged(ids)
        after = judged.signals.astype(np.int16) * 64 + judged.rules
        moved = np.vstack([before, after])[1:] != np.vstack([before, after])[:-1]
        happened: list[Happening] = []
        for scan, moment in enumerate(moments):
            first_out = int(batch.records["head"]["first_out_row"][scan])
            row = batch.directory["interlocks"][first_out]["id"] if first_out >= 0 else None
            for place in np.flatnonzero(moved[scan]).tolist():
                rule = int(judged.rules[scan, place])
                sense = Sense(
                    Signal(int(judged.signals[scan, place])),
                    "" if rule == NO_RULE else RULES[rule].name,
                    ids[place] == row,
                )
                happened += self.give(ids[place], sense, moment)
            happened += self.tick(moment)
        return happened

    def tick(self, at: Moment) -> list[Happening]:
        """Do what only waited for time: delays, shelves, the end of a flood."""
        self.now_ns = max(self.now_ns, at.now_ns)
        happened: list[Happening] = []
        due = [each for each, when_ns in self._dues_ns.items() if when_ns <= self.now_ns]
        for alarm_id in due:
            happened += self.give(alarm_id, Sense(), at)
        return happened + self._flood(at)

    def give(self, alarm_id: str, sense: Sense, at: Moment) -> list[Happening]:
        """One alarm's source says something."""
        return self._apply(alarm_id, step(self.states[alarm_id], self.specs[alarm_id].timing,
                                          sense, at.now_ns), at)  # fmt: skip

    def act(self, alarm_id: str, act: Act, at: Moment) -> tuple[list[Happening], str]:
        """A person asks something of one alarm: what happened, and why not."""
        self.now_ns = max(self.now_ns, at.now_ns)
        taken = step(self.states[alarm_id], self.specs[alarm_id].timing, act, self.now_ns)
        return self._apply(alarm_id, taken, at, act), taken.refused

    def counts(self) -> dict[str, int]:
        """Alarms by the state they show, every state named."""
        found = Counter(str(state.shown) for state in self.states.values())
        return {str(state): found[state] for state in State}

    def newest(self) -> str | None:
        """The alarm that was annunciated last among those that are shown and not normal."""
        shown = [each for each, state in self.states.items() if asks(state)]
        return max(shown, key=lambda each: self.states[each].annunciated_ns, default=None)

    def _as_judged(self, ids: Sequence[str]) -> Array:
        """What the states were last told, in the form in which scans are compared."""
        return np.array(
            [
                int(self.states[each].raw) * 64
                + RULE_PLACES.get(self.states[each].suppressed_by, NO_RULE)
                for each in ids
            ],
            np.int16,
        )

    def _apply(
        self, alarm_id: str, taken: Step, at: Moment, act: Act | None = None
    ) -> list[Happening]:
        self._put(alarm_id, taken.state)
        for change in taken.changes:
            if change.event == Event.ANNUNCIATED:
                self.recent_ns.append(at.now_ns)
        return [self._line(alarm_id, change, at, act) for change in taken.changes]

    def _line(self, alarm_id: str, change: Change, at: Moment, act: Act | None) -> Happening:
        # A shelf that ended in the same step was ended by time, whoever asked something else.
        person = act if act is not None and change.event != Event.SHELF_EXPIRED else None
        reason = person.reason if person else self.states[alarm_id].suppressed_by
        by = person.by if person else ""
        return Happening(alarm_id, change.event, change.before, change.after, at, by, reason)

    def _put(self, alarm_id: str, state: AlarmState) -> None:
        if self.states.get(alarm_id) != state:
            self.states[alarm_id] = state
            self.dirty.add(alarm_id)
        when_ns = due_ns(state, self.specs[alarm_id].timing)
        if when_ns is None:
            self._dues_ns.pop(alarm_id, None)
        else:
            self._dues_ns[alarm_id] = when_ns

    def _flood(self, at: Moment) -> list[Happening]:
        self.recent_ns = [each for each in self.recent_ns if each > self.now_ns - WINDOW_NS]
        count = len(self.recent_ns)
        if not self.flood_since_ns and count > FLOOD_ON_ABOVE:
            self.flood_since_ns = self.now_ns
            return [Happening("", FLOOD_STARTED, "", "", at, reason=f"{count} in 10 min")]
        if self.flood_since_ns and count < FLOOD_OFF_BELOW:
            self.flood_since_ns = 0
            return [Happening("", FLOOD_ENDED, "", "", at, reason=f"{count} in 10 min")]
        return []


def asks(state: AlarmState) -> bool:
    """Whether it stands in the list that an operator works through."""
    return not state.hidden and state.base != State.NORMAL


def rank(spec: AlarmSpec, state: AlarmState) -> tuple[bool, bool, int, bool, int]:
    """Sorts the list: what asks for a person first, then the worst, then the newest."""
    return (not asks(state), not state.owed, -PRIORITIES.index(spec.priority),
            not state.first_out, -state.annunciated_ns)  # fmt: skip
