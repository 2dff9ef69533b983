"""The states of one alarm after ISA-18.2, as a pure function of state, input and time.

A table moves the six states that the process and the operator make. Three more hide
an alarm: shelved by a person for a time, suppressed by design while a rule holds, out
of service until a person puts it back. What is hidden goes on by the same table
without a sound, and asks for attention when it is shown again.

`owed` says that the alarm was annunciated and nobody has acknowledged it. Only an
acknowledgement takes that away.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

SHELVED_MAX_NS = 8 * 3_600_000_000_000  # the longest that one person's judgement holds


class State(StrEnum):
    """What an alarm shows. The order is that of ISA-18.2's diagram, A to I."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"  # back to normal, never acknowledged
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"  # cause gone, waits for its reset
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"


class Signal(IntEnum):
    """What the source says; the order is how much it asks."""

    CLEAR = 0
    HELD = 1  # the cause is gone; the source waits for its own reset
    ACTIVE = 2


class Action(StrEnum):
    """What a person may ask."""

    ACK = "ack"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    OUT_OF_SERVICE = "out-of-service"
    IN_SERVICE = "in-service"


class Event(StrEnum):
    """What happened to an alarm."""

    ANNUNCIATED = "annunciated"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    LATCHED = "latched"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SHELF_EXPIRED = "shelf_expired"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    TAKEN_OUT = "taken_out"
    PUT_BACK = "put_back"
    HIDDEN_ON = "hidden_on"  # its source became active while it was hidden
    HIDDEN_OFF = "hidden_off"


# What no one needs to be told of as it happens; it stands in the history.
SILENT = (Event.SUPPRESSED, Event.UNSUPPRESSED, Event.HIDDEN_ON, Event.HIDDEN_OFF)

N, U, A, R, LU, LA = list(State)[:6]
TABLE: dict[State, tuple[State, State, State]] = {
    #    clear  held  active
    N:  (N,     LU,   U),
    U:  (R,     LU,   U),
    A:  (N,     LA,   A),
    R:  (R,     LU,   U),
    LU: (R,     LU,   U),
    LA: (N,     LA,   U),
}  # fmt: skip
ACKNOWLEDGE = {U: A, R: N, LU: LA}
NEVER_SHOWN = {R: N}  # nobody was told of what came and went while it was hidden


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a source must hold before it counts."""

    on_delay_ns: int = 0
    off_delay_ns: int = 0


@dataclass(frozen=True, slots=True)
class AlarmState:
    """Everything that is remembered of one alarm. Times are those of the alarm clock."""

    base: State = N
    signal: Signal = Signal.CLEAR  # after the delays
    raw: Signal = Signal.CLEAR  # before them
    raw_since_ns: int = 0
    owed: bool = False
    shelved_until_ns: int = 0  # 0: not shelved
    suppressed_by: str = ""  # the rule's id
    out_of_service: bool = False
    first_out: bool = False
    annunciations: int = 0
    annunciated_ns: int = 0
    standing_since_ns: int = 0  # 0: its source is clear
    acknowledged_by: str = ""
    hidden_by: str = ""  # who shelved it or took it out of service
    hidden_reason: str = ""

    @property
    def shown(self) -> State:
        """The one state that people see."""
        if self.out_of_service:
            return State.OUT_OF_SERVICE
        if self.shelved_until_ns:
            return State.SHELVED
        return State.SUPPRESSED if self.suppressed_by else self.base

    @property
    def hidden(self) -> bool:
        """It makes no sound now."""
        return self.out_of_service or bool(self.shelved_until_ns) or bool(self.suppressed_by)


@dataclass(frozen=True, slots=True)
class Sense:
    """What the source says now. None: as it said before."""

    signal: Signal | None = None
    suppressed_by: str | None = None
    first_out: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """What a person asks now. until_ns is for shelving only."""

    action: Action
    by: str
    reason: str = ""
    until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the alarm's history."""

    event: Event
    before: State
    after: State


@dataclass(frozen=True, slots=True)
class Step:
    """The state after an input, what happened, and why an act was refused."""

    state: AlarmState
    changes: tuple[Change, ...] = ()
    refused: str = ""


def step(state: AlarmState, timing: Timing, given: Sense | Act, now_ns: int) -> Step:
    """Take one input at one instant.

    state     before
    timing    of this alarm's declaration
    given     from the source, or from a person
    now_ns    of the alarm clock, never less than before
    """
    first = _expired(state, now_ns)
    second = (
        _act(first.state, given, now_ns)
        if isinstance(given, Act)
        else _sense(first.state, timing, given, now_ns)
    )
    return Step(second.state, first.changes + second.changes, second.refused)


def due_ns(state: AlarmState, timing: Timing) -> int | None:
    """When the alarm moves by itself though nothing new is said; None: never."""
    times_ns = [*_delay_ends(state, timing)]
    if state.shelved_until_ns:
        times_ns.append(state.shelved_until_ns)
    return min(times_ns, default=None)


def _delay_ends(state: AlarmState, timing: Timing) -> Iterator[int]:
    if state.raw != state.signal:
        rising = state.raw > state.signal
        yield state.raw_since_ns + (timing.on_delay_ns if rising else timing.off_delay_ns)


def _expired(state: AlarmState, now_ns: int) -> Step:
    """A shelf whose time is over ends, whoever slept."""
    if not state.shelved_until_ns or now_ns < state.shelved_until_ns:
        return Step(state)
    return _shown_again(state, replace(state, shelved_until_ns=0), Event.SHELF_EXPIRED, now_ns)


def _sense(state: AlarmState, timing: Timing, given: Sense, now_ns: int) -> Step:
    changes: tuple[Change, ...] = ()
    # Hidden first and shown again last, so that a rule which begins or ends in the very
    # scan of the trip makes no sound for what it suppresses.
    by = state.suppressed_by if given.suppressed_by is None else given.suppressed_by
    if by and by != state.suppressed_by:
        hidden = replace(state, suppressed_by=by)
        if not state.suppressed_by:
            changes = (Change(Event.SUPPRESSED, state.shown, hidden.shown),)
        state = hidden
    raw = state.raw if given.signal is None else given.signal
    if raw != state.raw:
        state = replace(state, raw=raw, raw_since_ns=now_ns)
    if any(now_ns >= end_ns for end_ns in _delay_ends(state, timing)):
        moved = _move(state, raw, first_out=given.first_out, now_ns=now_ns)
        state, changes = moved.state, changes + moved.changes
    elif given.first_out and state.base != N and not state.first_out:
        state = replace(state, first_out=True)
    if state.suppressed_by and not by:
        ended = _shown_again(state, replace(state, suppressed_by=""), Event.UNSUPPRESSED, now_ns)
        state, changes = ended.state, changes + ended.changes
    return Step(state, changes)


def _move(state: AlarmState, signal: Signal, *, first_out: bool, now_ns: int) -> Step:
    """The source's debounced signal changed: one step of the table."""
    base = TABLE[state.base][signal]
    if not state.owed:
        base = NEVER_SHOWN.get(base, base)
    moved = replace(
        state,
        base=base,
        signal=signal,
        first_out=base != N and (state.first_out or first_out),
        standing_since_ns=(state.standing_since_ns or now_ns) if signal else 0,
    )
    if state.hidden:
        event = Event.HIDDEN_ON if signal > state.signal else Event.HIDDEN_OFF
        return Step(moved, (Change(event, state.shown, moved.shown),))
    if base == U or (base == LU and signal > state.signal):
        return _annunciate(state, moved, now_ns)
    event = Event.LATCHED if signal == Signal.HELD else Event.RETURNED
    return Step(moved, (Change(event, state.shown, moved.shown),))


def _annunciate(before: AlarmState, after: AlarmState, now_ns: int) -> Step:
    """Ask for attention: counted once, and owed until somebody acknowledges."""
    told = replace(
        after, owed=True, annunciations=after.annunciations + 1, annunciated_ns=now_ns,
        acknowledged_by="",
    )  # fmt: skip
    return Step(told, (Change(Event.ANNUNCIATED, before.shown, told.shown),))


def _shown_again(before: AlarmState, after: AlarmState, event: Event, now_ns: int) -> Step:
    """One reason to hide it ended: annunciate what is new, and what a person had hidden."""
    if after.hidden:  # for another reason still
        return Step(after, (Change(event, before.shown, after.shown),))
    by_person = event != Event.UNSUPPRESSED
    if by_person:
        after = replace(after, hidden_by="", hidden_reason="")
    if after.base == A and by_person:
        after = replace(after, base=U)
    # From the hidden state to the base, then, where it asks, to the annunciation.
    change = Change(event, before.shown, after.shown)
    if after.base in (U, LU) and (by_person or not after.owed):
        told = _annunciate(after, after, now_ns)
        return Step(told.state, (change, *told.changes))
    return Step(after, (change,))


def _act(state: AlarmState, act: Act, now_ns: int) -> Step:
    match act.action:
        case Action.ACK:
            return _acknowledge(state, act)
        case Action.SHELVE:
            return _shelve(state, act, now_ns)
        case Action.UNSHELVE if state.shelved_until_ns:
            after = replace(state, shelved_until_ns=0)
            return _shown_again(state, after, Event.UNSHELVED, now_ns)
        case Action.UNSHELVE:
            return Step(state, refused="it is not shelved")
        case Action.OUT_OF_SERVICE if not state.out_of_service:
            # One reason at a time: a shelf that ran on would put it back unasked.
            after = replace(state, out_of_service=True, shelved_until_ns=0, hidden_by=act.by,
                            hidden_reason=act.reason)  # fmt: skip
            return Step(after, (Change(Event.TAKEN_OUT, state.shown, after.shown),))
        case Action.OUT_OF_SERVICE:
            return Step(state, refused=f"it is out of service already, by {state.hidden_by}")
        case Action.IN_SERVICE if state.out_of_service:
            after = replace(state, out_of_service=False)
            return _shown_again(state, after, Event.PUT_BACK, now_ns)
        case Action.IN_SERVICE:
            return Step(state, refused="it is in service")


def _acknowledge(state: AlarmState, act: Act) -> Step:
    if not state.owed:
        by = f", by {state.acknowledged_by}" if state.base in (A, LA) else ""
        what = f"it is {state.shown.replace('_', ' ')}{by}: there is nothing to acknowledge"
        return Step(state, refused=what)
    after = replace(state, base=ACKNOWLEDGE[state.base], owed=False, acknowledged_by=act.by)
    if after.base == N:
        after = replace(after, first_out=False)
    return Step(after, (Change(Event.ACKNOWLEDGED, state.shown, after.shown),))


def _shelve(state: AlarmState, act: Act, now_ns: int) -> Step:
    if state.out_of_service:
        return Step(state, refused=f"it is out of service, by {state.hidden_by}")
    if not now_ns < act.until_ns <= now_ns + SHELVED_MAX_NS:
        return Step(state, refused="it can be shelved for more than 0 and at most 480 minutes")
    after = replace(
        state, shelved_until_ns=act.until_ns, hidden_by=act.by, hidden_reason=act.reason
    )
    return Step(after, (Change(Event.SHELVED, state.shown, after.shown),))
