"""The state machine of one alarm: every transition there is, and none that loses an alarm."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgectl.alarms.machine import (
    SHELVED_MAX_NS,
    Act,
    Action,
    AlarmState,
    Event,
    Sense,
    Signal,
    State,
    Timing,
    due_ns,
    step,
)

NOW = Timing()
SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
N, U, A, R, LU, LA, G, H, I = State  # noqa: E741
HELD, ACTIVE, CLEAR = Signal.HELD, Signal.ACTIVE, Signal.CLEAR

senses = st.builds(
    Sense, st.sampled_from([None, *Signal]), st.sampled_from([None, "", "rule", "other"]),
    st.booleans(),
)  # fmt: skip
acts = st.builds(Act, st.sampled_from(list(Action)), st.just("op"), st.just("why"),
                 st.integers(0, 9 * HOUR_NS))  # fmt: skip
timings = st.builds(Timing, st.integers(0, 5 * SECOND_NS), st.integers(0, 5 * SECOND_NS))
waits = st.one_of(st.integers(0, 3 * SECOND_NS), st.integers(0, 10 * HOUR_NS))
walks = st.lists(st.tuples(waits, st.one_of(senses, acts)), max_size=40)


def walk(timing, inputs):
    """Every (before, input, now, Step) of a walk from the first state."""
    state, now_ns = AlarmState(), 0
    for wait_ns, given_ in inputs:
        now_ns += wait_ns
        if isinstance(given_, Act):
            given_ = replace(given_, until_ns=now_ns + given_.until_ns)
        taken = step(state, timing, given_, now_ns)
        yield state, given_, now_ns, taken
        state = taken.state


# ISA-18.2's diagram: what must be possible, and for the six visible states all that is.
DIAGRAM = {
    (N, U), (N, LU), (U, A), (U, R), (U, LU), (A, N), (A, LA), (R, N), (R, U), (R, LU),
    (LU, LA), (LU, R), (LU, U), (LA, N), (LA, U),
}  # fmt: skip
HIDING = {(each, hidden) for each in (N, U, A, R, LU, LA) for hidden in (G, H, I)}
SHOWING = {
    (G, N), (G, U), (G, R), (G, LU), (G, LA), (H, N), (H, U), (H, A), (H, R), (H, LU), (H, LA),
    (I, N), (I, U), (I, R), (I, LU), (I, LA),
}  # fmt: skip
BETWEEN = {(G, H), (H, G), (G, I), (H, I), (I, H)}


def reachable():
    """Every pair of states that one input leads across, found by going everywhere."""
    alphabet = [Sense(signal, by) for signal in Signal for by in ("", "rule")]
    alphabet += [Act(action, "op", "why", 2) for action in Action]
    expire = Sense()
    seen, edges, todo = set(), set(), [AlarmState()]
    while todo:
        state = todo.pop()
        # What has no part in the decisions must not make the states endless.
        state = replace(state, raw_since_ns=0, annunciations=0, annunciated_ns=0,
                        standing_since_ns=0, acknowledged_by="", hidden_by="", hidden_reason="",
                        shelved_until_ns=2 if state.shelved_until_ns else 0)  # fmt: skip
        if state in seen:
            continue
        seen.add(state)
        for given_, now_ns in [*((each, 1) for each in alphabet), (expire, 3)]:
            after = step(state, NOW, given_, now_ns).state
            if after.shown != state.shown:
                edges.add((state.shown, after.shown))
            todo.append(after)
    return edges


def test_every_transition_of_the_diagram_is_reachable_and_no_other() -> None:
    edges = reachable()
    for wanted in (DIAGRAM, HIDING, SHOWING, BETWEEN):
        assert wanted <= edges, f"never reached: {sorted(wanted - edges)}"
    assert {pair for pair in edges if not {G, H, I} & set(pair)} == DIAGRAM


@settings(max_examples=500)
@given(timings, walks)
@example(NOW, [(0, Sense(ACTIVE)), (0, Act(Action.SHELVE, "op", "", 1)), (0, Sense(CLEAR)),
               (5, Sense())])  # fmt: skip
@example(NOW, [(0, Sense(ACTIVE)), (0, Sense(CLEAR)), (0, Act(Action.OUT_OF_SERVICE, "op")),
               (0, Act(Action.IN_SERVICE, "op"))])  # fmt: skip
def test_no_path_loses_an_unacknowledged_alarm(timing, inputs) -> None:
    for before, given_, _, taken in walk(timing, inputs):
        events = [change.event for change in taken.changes]
        if before.owed and not taken.state.owed:
            assert isinstance(given_, Act)
            assert given_.action is Action.ACK
            assert Event.ACKNOWLEDGED in events
        if taken.state.owed:
            assert taken.state.base in (U, R, LU)
        if taken.state.base in (U, R, LU) and not taken.state.hidden:
            assert taken.state.owed, "what is shown as unacknowledged can be acknowledged"


@settings(max_examples=500)
@given(timings, walks)
def test_every_change_of_what_is_shown_is_in_the_history(timing, inputs) -> None:
    for before, _, _, taken in walk(timing, inputs):
        shown = before.shown
        for change in taken.changes:
            if change.before != change.after:
                assert change.before == shown
            shown = change.after
        assert shown == taken.state.shown
        if not taken.changes:
            assert taken.state.base == before.base


@settings(max_examples=500)
@given(timings, walks)
def test_an_alarm_is_counted_once_for_each_annunciation_and_never_while_hidden(
    timing, inputs
) -> None:
    for before, _, _, taken in walk(timing, inputs):
        told = sum(change.event is Event.ANNUNCIATED for change in taken.changes)
        assert taken.state.annunciations == before.annunciations + told
        assert told <= 2, "one when a shelf expired, one for what came with the same input"
        if before.hidden and taken.state.hidden:
            ended = any(change.event is Event.SHELF_EXPIRED for change in taken.changes)
            assert told == 0 or ended


@settings(max_examples=500)
@given(timings, walks)
def test_a_shelf_always_expires_within_8_h(timing, inputs) -> None:
    for _, _, now_ns, taken in walk(timing, inputs):
        until_ns = taken.state.shelved_until_ns
        assert until_ns == 0 or now_ns < until_ns <= now_ns + SHELVED_MAX_NS
        if until_ns:
            assert due_ns(taken.state, timing) is not None
            later = step(taken.state, timing, Sense(), until_ns)
            assert later.state.shelved_until_ns == 0
            assert Event.SHELF_EXPIRED in [change.event for change in later.changes]


@settings(max_examples=300)
@given(timings, walks)
def test_a_refusal_changes_nothing(timing, inputs) -> None:
    for before, _, _, taken in walk(timing, inputs):
        if taken.refused:
            expired = any(change.event is Event.SHELF_EXPIRED for change in taken.changes)
            assert taken.state == before or expired


@given(st.lists(st.integers(1, 3 * SECOND_NS), max_size=30), st.integers(SECOND_NS, 9 * SECOND_NS))
def test_what_is_shorter_than_the_on_delay_is_never_annunciated(lengths, on_delay_ns) -> None:
    timing, state, now_ns = Timing(on_delay_ns), AlarmState(), 0
    for length_ns in lengths:
        state = step(state, timing, Sense(ACTIVE), now_ns).state
        now_ns += min(length_ns, on_delay_ns - 1)
        state = step(state, timing, Sense(CLEAR), now_ns).state
        now_ns += 1
    assert (state.annunciations, state.shown) == (0, N)


@given(st.integers(2, 40), st.integers(2, 10))
def test_what_chatters_within_the_off_delay_is_one_annunciation(times, gap_ns) -> None:
    timing, state, now_ns = Timing(0, gap_ns + 1), AlarmState(), 0
    for _ in range(times):
        state = step(state, timing, Sense(ACTIVE), now_ns).state
        state = step(state, timing, Sense(CLEAR), now_ns + 1).state
        now_ns += gap_ns
    assert state.annunciations == 1
    assert step(state, timing, Sense(), now_ns + gap_ns + 1).state.shown is R


@pytest.mark.parametrize("delay_ns", [0, 1, SECOND_NS])
def test_a_delay_ends_at_its_own_instant_and_not_one_before(delay_ns: int) -> None:
    timing = Timing(delay_ns, delay_ns)
    state = step(AlarmState(), timing, Sense(ACTIVE), 10).state
    if delay_ns:
        assert due_ns(state, timing) == 10 + delay_ns
        assert step(state, timing, Sense(), 10 + delay_ns - 1).state.shown is N
    assert step(state, timing, Sense(), 10 + delay_ns).state.shown is U


def test_a_latch_counts_as_going_off_and_waits_for_that_delay() -> None:
    timing = Timing(0, 5)
    state = step(AlarmState(), timing, Sense(ACTIVE), 0).state
    state = step(state, timing, Sense(HELD), 1).state
    assert step(state, timing, Sense(), 5).state.shown is U
    assert step(state, timing, Sense(), 6).state.shown is LU


def test_an_alarm_that_ends_while_shelved_is_gone_when_it_comes_back() -> None:
    state = step(AlarmState(), NOW, Sense(ACTIVE), 0).state
    state = step(state, NOW, Act(Action.ACK, "op"), 1).state
    state = step(state, NOW, Act(Action.SHELVE, "op", "valve work", 100), 2).state
    assert (state.hidden_by, state.hidden_reason) == ("op", "valve work")
    state = step(state, NOW, Sense(CLEAR), 3).state
    state = step(state, NOW, Sense(), 100).state
    assert (state.shown, state.annunciations, state.hidden_by) == (N, 1, "")


def test_a_standing_alarm_is_annunciated_again_when_its_shelf_expires() -> None:
    state = step(AlarmState(), NOW, Sense(ACTIVE), 0).state
    state = step(state, NOW, Act(Action.ACK, "op"), 1).state
    state = step(state, NOW, Act(Action.SHELVE, "op", "later", 100), 2).state
    taken = step(state, NOW, Sense(), 100)
    assert [change.event for change in taken.changes] == [Event.SHELF_EXPIRED, Event.ANNUNCIATED]
    assert (taken.state.shown, taken.state.annunciations) == (U, 2)


def test_an_unacknowledged_alarm_that_was_shelved_is_annunciated_anew_when_shown() -> None:
    state = step(AlarmState(), NOW, Sense(ACTIVE), 0).state
    state = step(state, NOW, Act(Action.SHELVE, "op", "later", 100), 1).state
    taken = step(state, NOW, Act(Action.UNSHELVE, "op"), 2)
    assert (taken.state.shown, taken.state.owed, taken.state.annunciations) == (U, True, 2)
    # A rule is no person: what it hid unacknowledged is only shown again.
    state = step(taken.state, NOW, Sense(None, "rule"), 3).state
    assert step(state, NOW, Sense(None, ""), 4).state.annunciations == 2


def test_an_acknowledged_alarm_is_acknowledged_still_when_a_rule_ends() -> None:
    state = step(AlarmState(), NOW, Sense(ACTIVE), 0).state
    state = step(state, NOW, Act(Action.ACK, "op"), 1).state
    state = step(state, NOW, Sense(None, "rule"), 2).state
    assert state.shown is H
    state = step(state, NOW, Sense(None, ""), 3).state
    assert (state.shown, state.annunciations) == (A, 1)


def test_a_trip_and_its_rule_in_one_scan_make_no_sound() -> None:
    taken = step(AlarmState(), NOW, Sense(ACTIVE, "rule"), 0)
    assert (taken.state.shown, taken.state.annunciations) == (H, 0)
    taken = step(taken.state, NOW, Sense(CLEAR, ""), 1)
    assert (taken.state.shown, taken.state.annunciations) == (N, 0)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (Act(Action.ACK, "op"), "nothing to acknowledge"),
        (Act(Action.UNSHELVE, "op"), "not shelved"),
        (Act(Action.IN_SERVICE, "op"), "in service"),
        (Act(Action.SHELVE, "op", "why", 0), "at most 480 minutes"),
        (Act(Action.SHELVE, "op", "why", SHELVED_MAX_NS + 1), "at most 480 minutes"),
    ],
)
def test_what_makes_no_sense_is_refused_and_says_why(act: Act, why: str) -> None:
    assert why in step(AlarmState(), NOW, act, 0).refused
    assert not step(AlarmState(), NOW, Act(Action.SHELVE, "op", "x", SHELVED_MAX_NS), 0).refused


def test_an_alarm_that_is_put_back_is_not_on_its_old_shelf() -> None:
    state = step(AlarmState(), NOW, Act(Action.SHELVE, "a", "x", 100), 0).state
    state = step(state, NOW, Act(Action.OUT_OF_SERVICE, "b", "exchanged"), 1).state
    assert step(state, NOW, Act(Action.IN_SERVICE, "c"), 2).state.shown is N


def test_out_of_service_lasts_until_it_is_put_back_and_takes_the_shelf_with_it() -> None:
    state = step(AlarmState(), NOW, Act(Action.SHELVE, "a", "x", 100), 0).state
    state = step(state, NOW, Act(Action.OUT_OF_SERVICE, "b", "exchanged"), 1).state
    state = step(state, NOW, Sense(HELD), SHELVED_MAX_NS * 9).state
    assert (state.shown, state.hidden_by) == (I, "b")
    assert "out of service" in step(state, NOW, Act(Action.SHELVE, "a", "x", 2**62), 2).refused
    assert "already" in step(state, NOW, Act(Action.OUT_OF_SERVICE, "a", "x"), 2).refused
    taken = step(state, NOW, Act(Action.IN_SERVICE, "c"), SHELVED_MAX_NS * 9)
    assert [change.event for change in taken.changes] == [Event.PUT_BACK, Event.ANNUNCIATED]
    assert taken.state.shown is LU
