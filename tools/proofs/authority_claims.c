/* What is proved of ext/authority.pyx, of tables of three rows where a table is asked for. */
#define MODULE 7edgectl_7_kernel_9authority
#include "authority.c"
#include "kernel.h"
#include "claims.h"

#define LOCK(name) OF(9interlock, e, name)
#define LONG_NS (INT64_MAX / 4)
#define HOUR_NS 3600000000000LL

typedef struct OF(9interlock, t, Interlocks) Interlocks;
typedef struct OF(9interlock, t, InterlockRow) InterlockRow;
typedef struct OF(9interlock, t, InterlockState) InterlockState;
typedef enum OF(9interlock, t, Reset) Reset;

static InterlockRow rows[3];
static InterlockState states[3];
static int32_t first_out[3];

static InterlockState any_state(void) {
    InterlockState state;
    ASSUME(state.status <= LOCK(INTERLOCK_LATCHED) && state.cause <= 1 && state.locked <= 1);
    ASSUME(state.start <= 1 && state.first_out <= 1);
    ASSUME(state.bypass_until_ns >= 0 && state.bypass_until_ns <= LONG_NS);
    return state;
}

static Interlocks any_table(void) {
    Interlocks table;
    table.rows = 3;
    table.table = rows;
    table.states = states;
    table.group_first_out = first_out;
    for (int at = 0; at < 3; at++) {
        InterlockRow row;
        ASSUME(row.group >= 0 && row.group < 3 && row.reset <= LOCK(RESET_RESTART));
        ASSUME(row.causes >= 1 && row.causes <= 3 && row.bypassable <= 1);
        ASSUME(row.first_cause >= 0 && row.first_cause < 2000);
        rows[at] = row;
        states[at] = any_state();
        first_out[at] = any_between(-1, 2);
    }
    return table;
}

/* PROVED of may_reset: a latch may be cleared only while its cause is gone, and by the authority
 * its row names; the push-button at the cabinet may do what an operator may. */
void reset_by_its_authority(void) {
    InterlockRow row;
    InterlockState state = any_state();
    int who = any_between(LOCK(RESET_AUTO), LOCK(RESET_RESTART));
    ASSUME(row.reset <= LOCK(RESET_RESTART));
    _Bool may = F(may_reset)(&row, &state, (Reset)who);
    _Bool person = who == LOCK(RESET_OPERATOR) || who == LOCK(RESET_LOCAL);
    CLAIM(!may || (state.status == LOCK(INTERLOCK_LATCHED) && !state.cause), "the cause is gone");
    CLAIM(!may || row.reset != LOCK(RESET_AUTO) || (state.locked && person), "locked out");
    CLAIM(!may || row.reset != LOCK(RESET_OPERATOR) || person, "an operator's");
    CLAIM(!may || row.reset != LOCK(RESET_LOCAL) || who == LOCK(RESET_LOCAL), "at the cabinet");
    CLAIM(!may || row.reset != LOCK(RESET_RESTART) || who == LOCK(RESET_RESTART), "a restart");
    _Bool named = who == row.reset && who != LOCK(RESET_AUTO);
    CLAIM(may || !named || state.status != LOCK(INTERLOCK_LATCHED) || state.cause, "who is named");
    REACHED(may && row.reset == LOCK(RESET_OPERATOR) && who == LOCK(RESET_LOCAL), "local");
    REACHED(!may && row.reset == LOCK(RESET_LOCAL) && who == LOCK(RESET_OPERATOR) &&
                state.status == LOCK(INTERLOCK_LATCHED) && !state.cause, "operator");
    REACHED(may && row.reset == LOCK(RESET_AUTO), "a lock-out");
}

/* PROVED of interlocks_reset, may_reset; unwind 4: of three rows: exactly those asked for that
 * may be reset are cleared, and counted; every other is left as it was; a row that is none
 * clears nothing. */
void reset_clears_no_more(void) {
    Interlocks table = any_table();
    InterlockState before[3] = {states[0], states[1], states[2]};
    int32_t asked = any_between(-1, 5), cleared, counted = 0;
    Reset who = (Reset)any_between(LOCK(RESET_AUTO), LOCK(RESET_RESTART));
    cleared = F(interlocks_reset)(&table, asked, who);
    for (int at = 0; at < 3; at++) {
        _Bool may = (asked < 0 || asked == at) && F(may_reset)(&rows[at], &before[at], who);
        counted += may;
        CLAIM(may ? states[at].status == LOCK(INTERLOCK_CLEAR) && !states[at].locked &&
                        !states[at].start && !states[at].off_delay.q && !states[at].window_trips
                  : states[at].status == before[at].status &&
                        states[at].locked == before[at].locked &&
                        states[at].start == before[at].start, "cleared, or as it was");
        CLAIM(states[at].trips == before[at].trips, "what happened is not forgotten");
    }
    CLAIM(cleared == counted, "counted");
    REACHED(cleared == 2, "some of them");
    REACHED(asked == 3, "no row");
    REACHED(asked == 2 && cleared == 1, "the one");
}

/* PROVED of interlocks_bypass, group_bypassed; unwind 4: of three rows: only one that says it
 * may be is bypassed, for at most 8 h, and only while no other of its group is; it ends by
 * itself. */
void bypass_bounded(void) {
    Interlocks table = any_table();
    int64_t now_ns = any_long_between(1, LONG_NS), length_ns = nondet_int64();
    int32_t row = any_between(-1, 4);
    InterlockState before[3] = {states[0], states[1], states[2]};
    int status = F(interlocks_bypass)(&table, row, length_ns, now_ns);
    _Bool done = status == E(AUTHORITY_DONE);
    CLAIM(!done || (row >= 0 && row < 3), "a row");
    for (int at = 0; at < 3; at++) {
        _Bool given = done && length_ns > 0 && at == row;
        CLAIM(!given || rows[at].bypassable, "never one that may not be");
        CLAIM(!given || (length_ns <= 8 * HOUR_NS &&
                         states[at].bypass_until_ns == now_ns + length_ns), "at most 8 h");
        CLAIM(given || (done && at == row) ||
                  states[at].bypass_until_ns == before[at].bypass_until_ns, "others are left");
        CLAIM(!done || length_ns > 0 || at != row || states[at].bypass_until_ns == 0, "given back");
        for (int other = 0; other < 3; other++)
            CLAIM(!given || other == at || rows[other].group != rows[at].group ||
                      states[other].bypass_until_ns <= now_ns, "one of a group");
        CLAIM(states[at].status == before[at].status, "its status is shown as ever");
    }
    REACHED(done && length_ns == 8 * HOUR_NS, "a whole shift");
    REACHED(status == E(AUTHORITY_GROUP_TAKEN), "taken");
    REACHED(status == E(AUTHORITY_NEVER), "never");
    REACHED(status == E(AUTHORITY_TOO_LONG) && length_ns == 8 * HOUR_NS + 1, "too long");
}

/* PROVED of interlocks_maintenance: maintenance mode lasts an hour at most and is left with any
 * length that is not above 0; what is refused changes nothing. */
void maintenance_bounded(void) {
    Interlocks table;
    int64_t now_ns = any_long_between(1, LONG_NS), length_ns = nondet_int64();
    int64_t before = table.maintenance_until_ns;
    int status = F(interlocks_maintenance)(&table, length_ns, now_ns);
    int64_t until_ns = table.maintenance_until_ns;
    CLAIM((status == E(AUTHORITY_DONE)) == (length_ns <= HOUR_NS), "an hour");
    CLAIM(status == E(AUTHORITY_DONE) || until_ns == before, "refused: as it was");
    CLAIM(length_ns > HOUR_NS || until_ns == (length_ns > 0 ? now_ns + length_ns : 0), "until");
    REACHED(length_ns == HOUR_NS && until_ns > now_ns, "the longest");
    REACHED(length_ns < 0 && until_ns == 0, "left");
}

/* PROVED of interlocks_inject; unwind 9: of three rows: a proof test runs only in maintenance
 * mode, of a cause that its row has, and no longer than it may; what is refused changes nothing,
 * and no test of another cause is lost. */
void inject_bounded(void) {
    Interlocks table = any_table(), before;
    int64_t now_ns = any_long_between(1, LONG_NS), until_ns = any_long_between(0, 2 * LONG_NS);
    int32_t row = any_between(-1, 4), cause = any_between(-1, 4), seen = any_between(0, 7);
    ASSUME(table.maintenance_until_ns >= 0 && table.injections[seen].until_ns >= 0);
    before = table;
    int status = F(interlocks_inject)(&table, row, cause, nondet_double(), until_ns, now_ns);
    _Bool done = status == E(AUTHORITY_DONE);
    CLAIM(!done || now_ns < table.maintenance_until_ns, "in maintenance mode");
    CLAIM(!done || (row >= 0 && row < 3 && cause >= 0 && cause < rows[row].causes), "its cause");
    CLAIM(!done || until_ns - now_ns <= 1000000000LL * E(INJECTION_S_MAX), "not for too long");
    _Bool same_place = table.injections[seen].cause == before.injections[seen].cause &&
                       table.injections[seen].until_ns == before.injections[seen].until_ns;
    CLAIM(done || same_place, "refused: as it was");
    CLAIM(same_place || before.injections[seen].until_ns == 0 ||
              before.injections[seen].cause == table.injections[seen].cause, "of another: kept");
    CLAIM(same_place || table.injections[seen].cause == rows[row].first_cause + cause, "this one");
    CLAIM(same_place || table.injections[seen].until_ns > 0, "and it stands");
    REACHED(done && !same_place && seen == 7, "the last place");
    REACHED(status == E(AUTHORITY_FULL), "full");
    REACHED(status == E(AUTHORITY_NO_MAINTENANCE), "not in maintenance");
}

/* PROVED of interlocks_retain, group_bypassed; unwind 4: of three rows at their start: what was
 * kept clears nothing: every row stands as tripped as before it, a latch that a person must
 * clear is a trip and no start, and a bypass lasts 8 h at most and only where it may be. */
void retain_clears_nothing(void) {
    Interlocks table = any_table();
    struct T(Retained) kept;
    int64_t now_ns = any_long_between(1, LONG_NS);
    int32_t row = any_between(-1, 4);
    ASSUME(kept.locked <= 1 && kept.first_out <= 1);
    for (int at = 0; at < 3; at++)
        ASSUME(states[at].status == LOCK(INTERLOCK_LATCHED) && states[at].start &&
               !states[at].locked && !states[at].first_out && !states[at].bypass_until_ns);
    int32_t before[3] = {first_out[0], first_out[1], first_out[2]};
    int status = F(interlocks_retain)(&table, row, &kept, now_ns);
    CLAIM((status == E(AUTHORITY_DONE)) == (row >= 0 && row < 3), "a row");
    for (int at = 0; at < 3; at++) {
        CLAIM(states[at].status == LOCK(INTERLOCK_LATCHED), "it stands");
        CLAIM(at == row || (states[at].start && !states[at].bypass_until_ns), "others are left");
        CLAIM(states[at].bypass_until_ns == 0 ||
                  (rows[at].bypassable &&
                   states[at].bypass_until_ns <= now_ns + 8 * HOUR_NS), "8 h");
        CLAIM(before[at] < 0 || first_out[at] == before[at], "who is first out stays so");
        _Bool stood = at == row && kept.status >= LOCK(INTERLOCK_TRIPPED);
        _Bool person = rows[at].reset == LOCK(RESET_OPERATOR) ||
                       rows[at].reset == LOCK(RESET_LOCAL);
        CLAIM(!stood || !person || !states[at].start, "a trip, and no start");
        _Bool automatic = rows[at].reset == LOCK(RESET_AUTO);
        CLAIM(!stood || !automatic || states[at].locked == kept.locked, "a lock-out");
        CLAIM(stood || (states[at].start && !states[at].locked), "what was clear begins anew");
    }
    REACHED(row == 1 && !states[1].start && first_out[rows[1].group] == 1, "a trip, first out");
    REACHED(row == 2 && states[2].bypass_until_ns > now_ns, "a bypass");
}
