/* What is proved of ext/interlock.pyx: causes, votes, delays and latches of a row.
 *
 * The function blocks are proved by themselves (blocks_claims.c); here they are written a second
 * time. A row is proved by one step from any state that row_keeps allows; interlocks_start leaves
 * such a state and every step keeps it.
 */
#define MODULE 7edgectl_7_kernel_9interlock
#include "interlock.c"
#include "kernel.h"
#include "claims.h"
#include "interlock_doors.h"

/* PROVED of condition: over `on` is true, at or under `off` false, between what it was before; what
 * is no number changes nothing. */
void condition_above(void) {
    CauseRow row;
    doors();
    row.op = E(CAUSE_ABOVE);
    double value = nondet_double();
    _Bool before = nondet_bool();
    ASSUME(row.off <= row.on);
    _Bool q = F(condition)(&row, value, before);
    CLAIM(q == (value > row.on || (before && !(value <= row.off))), "with its hysteresis");
    REACHED(value != value && q, "no number");
    REACHED(q && value == row.on && value > row.off, "kept at the threshold");
    REACHED(before && !q, "cleared");
}

/* PROVED of condition: under `on` is true, at or over `off` false, between what it was before; what
 * is no number changes nothing. */
void condition_below(void) {
    CauseRow row;
    doors();
    row.op = E(CAUSE_BELOW);
    double value = nondet_double();
    _Bool before = nondet_bool();
    ASSUME(row.off >= row.on);
    _Bool q = F(condition)(&row, value, before);
    CLAIM(q == (value < row.on || (before && !(value >= row.off))), "with its hysteresis");
    REACHED(value != value && q, "no number");
    REACHED(q && value == row.on && value < row.off, "kept at the threshold");
    REACHED(before && !q, "cleared");
}

/* PROVED of condition: equal, not equal and under the rating say what they say of any double, with
 * no memory: what is no number is equal to nothing. */
void condition_plain(void) {
    CauseRow row;
    row.op = any_between(E(CAUSE_EQUAL), E(CAUSE_LIMIT));
    double value = nondet_double();
    _Bool q = F(condition)(&row, value, nondet_bool());
    CLAIM(row.op != E(CAUSE_EQUAL) || q == (value == row.on), "equal");
    CLAIM(row.op != E(CAUSE_NOT_EQUAL) || q == !(value == row.on), "not equal");
    CLAIM(row.op != E(CAUSE_LIMIT) || q == (value < row.on), "limit");
    REACHED(value != value && q, "no number differs");
    REACHED(row.op == E(CAUSE_LIMIT) && q, "under the rating");
}

/* PROVED of cause_evaluate: a bad sample leaves what the last good one said and is told as bad; one
 * that was never heard is told as that. */
void cause_keeps_q(void) {
    CauseRow row;
    CauseState state, before;
    Sample sample = any_sample();
    doors();
    ASSUME(row.op < E(CAUSE_BAD));
    before = state;
    F(cause_evaluate)(&state, &row, &sample);
    _Bool bad = sample.quality == QUALITY(QUALITY_BAD);
    CLAIM(!!state.bad == bad, "bad is told");
    CLAIM(!bad || state.q == before.q, "and the last good answer stays");
    CLAIM(!!state.not_yet == (bad && sample.reason == REASON(REASON_NOT_YET)), "never heard");
    CLAIM(state.test == before.test, "a proof test is no sample");
    REACHED(bad && state.q, "kept");
    REACHED(!bad && state.q != before.q, "changed by a good one");
}

/* PROVED of cause_evaluate: the cause "bad" is true exactly while its sample is, and is itself
 * never bad: it votes once and not twice. */
void cause_of_badness(void) {
    CauseRow row;
    CauseState state;
    Sample sample = any_sample();
    row.op = E(CAUSE_BAD);
    F(cause_evaluate)(&state, &row, &sample);
    CLAIM(!!state.q == (sample.quality == QUALITY(QUALITY_BAD)), "true while it is bad");
    CLAIM(!state.bad, "known");
    REACHED(state.q, "bad");
    REACHED(sample.quality == QUALITY(QUALITY_UNCERTAIN), "uncertain is not bad");
}

/* PROVED of says_trip: a cause votes to trip by its value, by its proof test, or by being bad where
 * its row trips on that. */
void says_trip_exact(void) {
    CauseState state = any_cause();
    uint8_t on_bad = any_between(E(ON_BAD_TRIP), E(ON_BAD_HOLD));
    _Bool says = F(says_trip)(&state, on_bad);
    CLAIM(says == (state.q || state.test || (state.bad && on_bad == E(ON_BAD_TRIP))), "exactly");
    REACHED(says && !state.q && !state.test, "by being bad");
    REACHED(!says && state.bad, "held");
}

static _Bool voted(int votes, int causes, const CauseState *states, uint8_t on_bad) {
    InterlockRow row;
    row.vote = votes;
    row.causes = causes;
    row.on_bad = on_bad;
    return F(vote)(&row, states, 0);
}

static _Bool a, b, c; /* what each cause says */

static void any_three(CauseState *states, uint8_t on_bad) {
    for (int at = 0; at < 3; at++) states[at] = any_cause();
    _Bool trip = on_bad == E(ON_BAD_TRIP);
    a = states[0].q || states[0].test || (states[0].bad && trip);
    b = states[1].q || states[1].test || (states[1].bad && trip);
    c = states[2].q || states[2].test || (states[2].bad && trip);
}

/* PROVED of vote, says_trip; unwind 4: the truth table of 1oo1, for every value, quality and proof
 * test of its cause under either rule for bad ones. */
void vote_1oo1(void) {
    CauseState states[3];
    uint8_t on_bad = any_between(E(ON_BAD_TRIP), E(ON_BAD_HOLD));
    any_three(states, on_bad);
    CLAIM(voted(1, 1, states, on_bad) == a, "the one");
    REACHED(a, "true");
    REACHED(!a && b, "what is beyond its causes has no vote");
}

/* PROVED of vote, says_trip; unwind 4: the truth table of 1oo2. */
void vote_1oo2(void) {
    CauseState states[3];
    uint8_t on_bad = any_between(E(ON_BAD_TRIP), E(ON_BAD_HOLD));
    any_three(states, on_bad);
    CLAIM(voted(1, 2, states, on_bad) == (a || b), "either");
    REACHED(a && !b, "one is enough");
    REACHED(!a && !b && c, "neither");
}

/* PROVED of vote, says_trip; unwind 4: the truth table of 2oo2. */
void vote_2oo2(void) {
    CauseState states[3];
    uint8_t on_bad = any_between(E(ON_BAD_TRIP), E(ON_BAD_HOLD));
    any_three(states, on_bad);
    CLAIM(voted(2, 2, states, on_bad) == (a && b), "both");
    REACHED(a && !b && c, "one is not enough");
    REACHED(a && b, "both");
}

/* PROVED of vote, says_trip; unwind 4: the truth table of 2oo3. */
void vote_2oo3(void) {
    CauseState states[3];
    uint8_t on_bad = any_between(E(ON_BAD_TRIP), E(ON_BAD_HOLD));
    any_three(states, on_bad);
    CLAIM(voted(2, 3, states, on_bad) == ((a && b) || (a && c) || (b && c)), "any two");
    REACHED(!a && b && c, "the last two");
    REACHED(a && !b && !c, "one is not enough");
}

/* PROVED of vote, says_trip; unwind 4: 2oo3 under "trip" with one bad cause is 1oo2 of the others,
 * with two bad it trips; under "hold" bad ones go on saying what they said when they were good. */
void vote_degrades(void) {
    CauseState states[3], held[3];
    any_three(states, E(ON_BAD_TRIP));
    ASSUME(states[0].bad);
    CLAIM(voted(2, 3, states, E(ON_BAD_TRIP)) == (b || c), "one bad: 1oo2");
    CLAIM(!states[1].bad || voted(2, 3, states, E(ON_BAD_TRIP)), "two bad: trip");
    for (int at = 0; at < 3; at++) held[at] = states[at];
    for (int at = 0; at < 3; at++) held[at].bad = 0;
    CLAIM(voted(2, 3, states, E(ON_BAD_HOLD)) == voted(2, 3, held, E(ON_BAD_HOLD)), "hold");
    REACHED(!b && !c, "one bad alone");
    REACHED(states[1].bad && !states[2].bad && !c, "two bad");
    REACHED(voted(2, 3, states, E(ON_BAD_TRIP)) && !voted(2, 3, states, E(ON_BAD_HOLD)), "differ");
}

/* PROVED of vote, says_trip; unwind 4: a proof test only ever adds votes: a table that trips
 * without it trips with it, for every vote of up to three causes. */
void vote_under_test(void) {
    CauseState states[3], tested[3];
    InterlockRow row;
    row.causes = any_between(1, 3);
    row.vote = any_between(1, 3);
    any_three(states, E(ON_BAD_TRIP));
    for (int at = 0; at < 3; at++) {
        tested[at] = states[at];
        tested[at].test = states[at].test || nondet_bool();
    }
    _Bool heard = nondet_bool();
    _Bool without = F(vote)(&row, states, heard), with = F(vote)(&row, tested, heard);
    CLAIM(!without || with, "what is real trips as ever");
    REACHED(with && !without, "the test trips it");
}

/* PROVED of vote, says_trip; unwind 4: causes that were never heard are left out where only heard
 * ones are asked for, and that never makes a trip. */
void vote_of_the_heard(void) {
    CauseState states[3];
    InterlockRow row;
    row.causes = any_between(1, 3);
    row.vote = any_between(1, 3);
    any_three(states, row.on_bad);
    _Bool heard = F(vote)(&row, states, 1), every = F(vote)(&row, states, 0);
    CLAIM(!heard || every, "never more than all of them");
    CLAIM(!heard || !states[0].not_yet || !states[1].not_yet || !states[2].not_yet, "somebody");
    REACHED(every && !heard, "the start's trip");
    REACHED(heard && states[0].not_yet, "the others are enough");
}

/* PROVED of contradicts; unwind 4: causes contradict each other exactly when two that can be read
 * differ. */
void contradicts_exact(void) {
    CauseState states[3];
    InterlockRow row;
    row.causes = 3;
    any_three(states, E(ON_BAD_HOLD));
    _Bool yes = (!states[0].bad && states[0].q) || (!states[1].bad && states[1].q) ||
                (!states[2].bad && states[2].q);
    _Bool no = (!states[0].bad && !states[0].q) || (!states[1].bad && !states[1].q) ||
               (!states[2].bad && !states[2].q);
    CLAIM(F(contradicts)(&row, states) == (yes && no), "both are said");
    REACHED(yes && !no && states[1].bad && !states[1].q, "a bad one contradicts nobody");
    REACHED(yes && no, "two differ");
}

/* PROVED of row_tripped: a trip is counted once with its scan, is no start any more, and locks out
 * exactly at the number of trips within the window that the row names. */
void tripped_locks_out(void) {
    InterlockRow row;
    InterlockState state = any_state(), before = state;
    int64_t scan = nondet_int64(), now_ns = any_long_between(0, LONG_NS);
    ASSUME(state.lockout_ns >= 0 && state.lockout_ns <= now_ns);
    F(row_tripped)(&state, &row, scan, now_ns);
    CLAIM(state.trips == (uint32_t)(before.trips + 1) && state.tripped_scan == scan, "counted");
    CLAIM(!state.start, "no start");
    _Bool fresh = before.window_trips == 0 || now_ns - before.lockout_ns > row.lockout_window_ns;
    int32_t within = fresh ? 1 : before.window_trips + 1;
    _Bool locks = row.lockout_trips > 0 && within >= row.lockout_trips;
    CLAIM(!!state.locked == (before.locked || locks), "locked out");
    CLAIM(row.lockout_trips <= 0 || state.window_trips == within, "within the window");
    REACHED(locks && !before.locked && within == 3, "the third");
    REACHED(fresh && before.window_trips > 5 && !locks, "too long ago");
}

/* PROVED of latches: a row waits for a person unless it clears by itself and is not locked out; one
 * that a restart resets does not wait at a start. */
void latches_exact(void) {
    InterlockRow row;
    InterlockState state = any_state();
    ASSUME(row.reset <= E(RESET_RESTART));
    _Bool waits = F(latches)(&state, &row);
    CLAIM(row.reset != E(RESET_AUTO) || waits == !!state.locked, "auto: if locked out");
    CLAIM(row.reset != E(RESET_RESTART) || waits == !state.start, "restart: not at a start");
    CLAIM((row.reset != E(RESET_OPERATOR) && row.reset != E(RESET_LOCAL)) || waits, "person");
    REACHED(row.reset == E(RESET_AUTO) && waits, "locked out");
    REACHED(row.reset == E(RESET_RESTART) && !waits, "restarted");
}

/* PROVED of row_step; 300 s: from any state that fits its history, a row is tripped exactly when
 * its cause has been seen true, without a break, for its on-delay, neither a scan earlier nor
 * later; before that it is pending, or still what stood. */
void on_delay_exact(void) {
    struct step step = any_step();
    CLAIM(row_keeps(&step.after, &step.row, step.then_ns), "the state fits the longer history");
    _Bool acts = step.cause && step.then_ns >= step.row.on_delay_ns &&
                 (step.heard || !step.before.start);
    CLAIM((step.after.status == E(INTERLOCK_TRIPPED)) == acts, "exactly at its delay");
    CLAIM(!acts || !step.after.start, "a trip is no start");
    _Bool stood = step.before.status >= E(INTERLOCK_TRIPPED);
    CLAIM(stood || !step.cause || acts || step.after.status == E(INTERLOCK_PENDING), "pending");
    CLAIM(stood || step.cause || step.after.status == E(INTERLOCK_CLEAR), "or clear");
    REACHED(acts && !stood && step.then_ns == step.row.on_delay_ns && step.then_ns > 0, "just");
    REACHED(step.after.status == E(INTERLOCK_PENDING) && step.then_ns > 0, "pending");
    REACHED(!acts && step.cause && step.then_ns > step.row.on_delay_ns, "not heard since start");
}

/* PROVED of row_step, row_tripped; 300 s: a step counts one trip, with its scan, exactly when a row
 * that did not stand, or only since start, is tripped; trips are never taken back. */
void trips_only_rise(void) {
    struct step step = any_step();
    _Bool stood = step.before.status >= E(INTERLOCK_TRIPPED) && !step.before.start;
    _Bool rises = step.after.status == E(INTERLOCK_TRIPPED) && !stood;
    CLAIM(step.rising == rises, "the rising edge is told");
    CLAIM(step.after.trips == (uint32_t)(step.before.trips + rises), "and counted once");
    CLAIM(!rises || step.after.tripped_scan == step.scan, "with its scan");
    CLAIM(rises || step.after.tripped_scan == step.before.tripped_scan, "or left");
    CLAIM(!step.before.locked || step.after.locked, "no step takes a lock-out back");
    REACHED(rises && step.before.start, "from a start");
    REACHED(rises && step.before.status == E(INTERLOCK_PENDING), "from pending");
    REACHED(step.after.status == E(INTERLOCK_TRIPPED) && !rises, "stands");
}

/* PROVED of row_step, latches; 300 s: a row that waits for a person never clears by itself, from
 * any state, whatever its cause does and for however long. */
void latched_stays(void) {
    struct step step = any_step();
    ASSUME(step.before.status >= E(INTERLOCK_TRIPPED));
    _Bool person = step.row.reset == E(RESET_OPERATOR) || step.row.reset == E(RESET_LOCAL);
    _Bool waits = person || (step.row.reset == E(RESET_RESTART) && !step.before.start) ||
                  (step.row.reset == E(RESET_AUTO) && step.before.locked);
    CLAIM(!waits || step.after.status >= E(INTERLOCK_TRIPPED), "it stands");
    CLAIM(waits || step.after.status >= E(INTERLOCK_TRIPPED) || !step.cause,
          "or its cause is gone");
    REACHED(waits && !step.cause && step.gone_ns > step.row.off_delay_ns, "long gone");
    REACHED(!waits && step.after.status == E(INTERLOCK_CLEAR), "one that waits for nobody");
}

/* PROVED of row_step; 300 s: a row that clears by itself stands until its cause has been seen
 * absent for the off-delay, and is clear in that very scan. */
void off_delay_exact(void) {
    struct step step = any_step();
    ASSUME(step.row.reset == E(RESET_AUTO) && !step.before.locked);
    ASSUME(step.before.status >= E(INTERLOCK_TRIPPED) && step.before.off_delay.q);
    _Bool clear = step.after.status == E(INTERLOCK_CLEAR);
    CLAIM(clear == (!step.cause && step.gone_ns >= step.row.off_delay_ns), "exactly");
    CLAIM(clear || step.after.status >= E(INTERLOCK_TRIPPED), "else it stands");
    CLAIM(clear || step.after.off_delay.q, "and goes on to");
    CLAIM(!clear || !step.after.start, "and is no start");
    REACHED(clear && step.gone_ns == step.row.off_delay_ns && step.gone_ns > 0, "just over");
    REACHED(!clear && !step.cause && step.gone_ns > 0, "not yet");
}
