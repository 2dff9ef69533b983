/* What is proved of ext/interlock.pyx: what a row takes, bypass, first-out, start.
 *
 * Functions over tables are proved of two rows, each with a cause and an effect, and two storages.
 */
#define MODULE 7edgectl_7_kernel_9interlock
#include <math.h>
#undef INFINITY /* which CBMC writes as a division by zero */
#define INFINITY (1e300 * 1e300)
#include "interlock.c"
#include "kernel.h"
#include "claims.h"
#include "interlock_doors.h"

/* PROVED of permit_apply: one more tripped row, with any effect and any value, permits nothing that
 * was not permitted before. */
void effects_only_take(void) {
    Permit permit = any_permit(), before = permit;
    int effect = any_between(E(EFFECT_ALARM), E(EFFECT_SAFE_STATE));
    F(permit_apply)(&permit, (enum T(Effect))effect, nondet_double(), any_between(0, 1023));
    CLAIM(no_looser(&before, &permit), "no looser in anything");
    CLAIM(permit.effect >= effect, "the worst effect is shown");
    CLAIM(permit.row >= 0, "with a row behind it");
    CLAIM(before.row < 0 || permit.effect > before.effect || permit.row == before.row, "the worst");
    REACHED(effect == E(EFFECT_DERATE) && permit.derate_ratio < before.derate_ratio, "derated");
    REACHED(before.charge_max_w > 0.0 && permit.charge_max_w == 0.0, "taken");
}

/* PROVED of permit_apply: an inhibited direction, and both under any effect from zero on, are left
 * exactly 0; a derate leaves no more than its ratio, nothing if that is no number; hold, block and
 * ramp to zero are set. */
void effects_take_enough(void) {
    Permit permit = any_permit();
    double ratio = nondet_double();
    int effect = any_between(E(EFFECT_ALARM), E(EFFECT_SAFE_STATE));
    F(permit_apply)(&permit, (enum T(Effect))effect, ratio, any_between(0, 1023));
    _Bool zero = effect >= E(EFFECT_ZERO);
    CLAIM(!(zero || effect == E(EFFECT_INHIBIT_CHARGE)) || permit.charge_max_w == 0.0, "charge");
    CLAIM(!(zero || effect == E(EFFECT_INHIBIT_DISCHARGE)) || permit.discharge_max_w == 0.0,
          "discharge");
    CLAIM(effect != E(EFFECT_DERATE) || permit.derate_ratio == 0.0 || permit.derate_ratio <= ratio,
          "derate");
    CLAIM(effect != E(EFFECT_HOLD) || permit.hold, "hold");
    CLAIM(effect != E(EFFECT_BLOCK_COMMAND) || permit.block_command, "block");
    CLAIM(effect != E(EFFECT_RAMP_TO_ZERO) || permit.ramp_to_zero, "ramp to zero");
    REACHED(effect == E(EFFECT_DERATE) && ratio != ratio, "a ratio that is no number");
    REACHED(effect == E(EFFECT_DERATE) && permit.derate_ratio == ratio && ratio > 0.0, "derate");
    REACHED(zero && permit.row >= 0, "zero");
}

/* PROVED of permit_apply: an effect takes nothing that it does not name: the other direction is
 * left as it was, and so is all under an alarm. */
void effects_take_no_more(void) {
    Permit permit = any_permit(), before = permit;
    int effect = any_between(E(EFFECT_ALARM), E(EFFECT_RAMP_TO_ZERO));
    F(permit_apply)(&permit, (enum T(Effect))effect, nondet_double(), any_between(0, 1023));
    CLAIM(effect == E(EFFECT_INHIBIT_CHARGE) || permit.charge_max_w == before.charge_max_w,
          "charge");
    CLAIM(effect == E(EFFECT_INHIBIT_DISCHARGE) || permit.discharge_max_w == before.discharge_max_w,
          "discharge");
    CLAIM(effect == E(EFFECT_DERATE) || permit.derate_ratio == before.derate_ratio, "derate");
    CLAIM(effect == E(EFFECT_HOLD) || permit.hold == before.hold, "hold");
    CLAIM(effect == E(EFFECT_BLOCK_COMMAND) || permit.block_command == before.block_command,
          "block");
    CLAIM(effect == E(EFFECT_RAMP_TO_ZERO) || permit.ramp_to_zero == before.ramp_to_zero, "ramp");
    REACHED(effect == E(EFFECT_INHIBIT_CHARGE) && permit.discharge_max_w > 0.0, "the other way");
}

/* PROVED of permit_limit: a limit clamps its own direction to its value and no other, to 0 where it
 * is no number or negative, and never gives anything back. */
void limits_clamp(void) {
    Permit permit = any_permit(), before = permit;
    double limit = nondet_double();
    _Bool bites = nondet_bool();
    int effect = any_between(E(EFFECT_LIMIT_CHARGE), E(EFFECT_LIMIT_DISCHARGE));
    F(permit_limit)(&permit, (enum T(Effect))effect, limit, bites, 7);
    _Bool charge = effect == E(EFFECT_LIMIT_CHARGE);
    double mine = charge ? permit.charge_max_w : permit.discharge_max_w;
    double was = charge ? before.charge_max_w : before.discharge_max_w;
    double other = charge ? permit.discharge_max_w : permit.charge_max_w;
    CLAIM(no_looser(&before, &permit), "no looser in anything");
    CLAIM(mine == 0.0 || mine <= limit, "at most the limit");
    CLAIM(mine == was || mine == 0.0 || mine == limit, "and no less than needed");
    CLAIM(other == (charge ? before.discharge_max_w : before.charge_max_w), "the other way");
    CLAIM(bites || permit.effect == before.effect, "a limit that does not bite is not told");
    CLAIM(!bites || permit.effect >= effect, "one that bites is");
    CLAIM(permit.row == (permit.effect == before.effect ? before.row : 7), "with its row");
    REACHED(limit != limit && was > 0.0 && mine == 0.0, "no number");
    REACHED(mine == limit && limit > 0.0 && limit < was, "clamped");
}

/* PROVED of site_apply: a trip that a row started with opens no breaker and sheds no load; the
 * highest tier wins; and nothing that was asked for is withdrawn. */
void start_opens_nothing(void) {
    SitePermit site = any_site(), before = site;
    EffectRow effect;
    _Bool start = nondet_bool();
    ASSUME(effect.effect <= E(EFFECT_SAFE_STATE));
    ASSUME(effect.effect != E(EFFECT_SHED) || (effect.value >= 0.0 && effect.value <= TIERS));
    F(site_apply)(&site, &effect, start);
    CLAIM(!start || (site.open_request == before.open_request &&
                     site.shed_tier == before.shed_tier), "a start");
    CLAIM(site.open_request >= before.open_request && site.shed_tier >= before.shed_tier &&
              site.refuse_shed >= before.refuse_shed && site.safe_state >= before.safe_state,
          "nothing is withdrawn");
    CLAIM(start || effect.effect != E(EFFECT_OPEN_REQUEST) || site.open_request, "opened");
    CLAIM(start || effect.effect != E(EFFECT_SHED) || site.shed_tier >= (uint8_t)effect.value,
          "shed");
    CLAIM(effect.effect != E(EFFECT_SAFE_STATE) || site.safe_state, "safe, also at a start");
    CLAIM(effect.effect != E(EFFECT_REFUSE_SHED) || site.refuse_shed, "refused, also at a start");
    CLAIM(site.import_max_w == before.import_max_w, "the import is another's");
    REACHED(!start && site.shed_tier > before.shed_tier, "shed");
    REACHED(start && effect.effect == E(EFFECT_OPEN_REQUEST) && !site.open_request, "not at start");
}

static CauseRow cause_rows[2];
static CauseState cause_states[2];
static InterlockRow table_rows[2];
static InterlockState row_states[2];
static EffectRow effect_rows[2];
static Permit permits[2];
static int32_t first_out[2], tripped[2];
static Sample samples[2];

/* Two rows, each with a cause, an effect and a group; two storages. */
static Interlocks small_table(void) {
    Interlocks table = {0};
    doors();
    table.rows = table.storages = 2;
    table.table = table_rows;
    table.causes = cause_rows;
    table.effects = effect_rows;
    table.states = row_states;
    table.cause_states = cause_states;
    table.permits = permits;
    table.group_first_out = first_out;
    table.group_tripped = tripped;
    table.site = any_site();
    ASSUME(table.site.tripped == 0 && table.site.bypassed == 0 && table.site.discrepant == 0);
    for (int at = 0; at < 2; at++) {
        InterlockRow row;
        EffectRow effect;
        CauseRow cause;
        row.first_cause = row.first_effect = cause.point = at;
        row.causes = row.effects = row.vote = 1;
        row.discrepancy_ns = 0;
        ASSUME(row.group >= 0 && row.group < 2 && row.reset <= E(RESET_RESTART));
        ASSUME(effect.effect <= E(EFFECT_SAFE_STATE) && effect.target >= -1 && effect.target < 2);
        ASSUME(effect.effect != E(EFFECT_SHED) || (effect.value >= 0.0 && effect.value <= TIERS));
        ASSUME(cause.op <= E(CAUSE_BAD));
        table_rows[at] = row;
        effect_rows[at] = effect;
        cause_rows[at] = cause;
        row_states[at] = any_state();
        cause_states[at] = any_cause();
        permits[at] = any_permit();
        samples[at] = any_sample();
        first_out[at] = any_between(-1, 1);
        tripped[at] = 0;
    }
    return table;
}

static struct OF(13process_image, t, Image) image;

static const struct OF(13process_image, t, Image) *small_image(void) {
    image.samples = samples;
    image.points = 2;
    return &image;
}

/* PROVED of row_apply, effect_apply, effect_limit, row_limit_w; unwind 9: of two rows, effects
 * and storages: a bypassed row, and one that is clear and no limit, takes nothing and asks
 * nothing of the site; it is counted as tripped all the same. */
void bypassed_applies_nothing(void) {
    Interlocks table = small_table();
    Permit before[2] = {permits[0], permits[1]};
    SitePermit site = table.site;
    _Bool stands = row_states[0].status >= E(INTERLOCK_TRIPPED);
    ASSUME(row_states[0].bypassed || (!stands && cause_rows[0].op != E(CAUSE_LIMIT)));
    F(row_apply)(&table, small_image(), 0);
    CLAIM(same_permit(&before[0], &permits[0]) && same_permit(&before[1], &permits[1]), "permits");
    CLAIM(table.site.import_max_w == site.import_max_w && table.site.shed_tier == site.shed_tier &&
              table.site.open_request == site.open_request &&
              table.site.safe_state == site.safe_state &&
              table.site.refuse_shed == site.refuse_shed, "site");
    CLAIM(tripped[0] == 0 && tripped[1] == 0, "and is first out of nothing");
    CLAIM(table.site.tripped == stands, "counted");
    REACHED(stands && effect_rows[0].effect == E(EFFECT_SAFE_STATE), "bypassed");
    REACHED(!stands, "clear");
}

/* PROVED of row_apply, effect_apply, effect_limit, row_limit_w; unwind 9: of two rows, effects
 * and storages: a row loosens no permit and never raises the import limit; one that stands with
 * an effect from zero on leaves its target, or every storage, exactly 0. */
void row_only_takes(void) {
    Interlocks table = small_table();
    Permit before[2] = {permits[0], permits[1]};
    SitePermit site = table.site;
    F(row_apply)(&table, small_image(), 0);
    CLAIM(no_looser(&before[0], &permits[0]) && no_looser(&before[1], &permits[1]), "permits");
    CLAIM(table.site.import_max_w <= site.import_max_w, "the import limit is never raised");
    _Bool zeroes = row_states[0].status >= E(INTERLOCK_TRIPPED) && !row_states[0].bypassed &&
                   effect_rows[0].effect >= E(EFFECT_ZERO);
    int effect = effect_rows[0].effect;
    _Bool softest = effect == E(EFFECT_ALARM) || effect == E(EFFECT_SHED) ||
                    effect == E(EFFECT_REFUSE_SHED);
    for (int at = 0; at < 2; at++) {
        _Bool meant = effect_rows[0].target < 0 || effect_rows[0].target == at;
        CLAIM(!zeroes || !meant || (permits[at].charge_max_w == 0.0 &&
                                    permits[at].discharge_max_w == 0.0), "zero");
        CLAIM(meant || same_permit(&before[at], &permits[at]), "who is not meant is left alone");
        CLAIM(!softest || same_permit(&before[at], &permits[at]), "nor who is not concerned");
    }
    REACHED(zeroes && effect_rows[0].target == 1, "its target");
    REACHED(table.site.import_max_w < site.import_max_w, "an import limit");
    REACHED(zeroes && row_states[0].start, "also at a start");
}

/* PROVED of row_evaluate; unwind 9: of two rows: a row is the first out of its group exactly
 * when it trips, is not bypassed, and no other of the group is; it takes that from nobody. */
void first_out_exact(void) {
    Interlocks table = small_table();
    int32_t group = table_rows[0].group, before = first_out[group], other = first_out[1 - group];
    uint32_t trips = row_states[0].trips;
    _Bool was = row_states[0].first_out;
    int64_t now_ns = any_long_between(0, LONG_NS), dt_ns = any_long_between(0, LONG_NS);
    int64_t on_ns = row_states[0].on_delay.elapsed_ns, off_ns = row_states[0].off_delay.elapsed_ns;
    ASSUME(on_ns >= 0 && on_ns <= LONG_NS && off_ns >= 0 && off_ns <= LONG_NS);
    ASSUME(row_states[0].lockout_ns >= 0 && row_states[0].lockout_ns <= now_ns);
    F(row_evaluate)(&table, small_image(), 0, nondet_int64(), now_ns, dt_ns);
    _Bool rises = row_states[0].trips != trips, bypassed = row_states[0].bypass_until_ns > now_ns;
    _Bool first = rises && !bypassed && before < 0;
    CLAIM(first_out[group] == (first ? 0 : before), "the first, and no later one");
    CLAIM(!!row_states[0].first_out == (first || was), "kept with the row");
    CLAIM(first_out[1 - group] == other, "of its own group");
    CLAIM(!!row_states[0].bypassed == bypassed, "a bypass ends by itself");
    REACHED(first, "first");
    REACHED(rises && before == 1, "second");
    REACHED(rises && bypassed, "bypassed");
}

/* PROVED of first_outs; unwind 3: of two rows: the first-out of a group is forgotten when no row of
 * it stands, and stays as long as one does. */
void first_out_kept(void) {
    Interlocks table = small_table();
    int32_t before[2] = {first_out[0], first_out[1]};
    tripped[0] = any_between(0, 2);
    tripped[1] = any_between(0, 2);
    _Bool was = row_states[0].first_out;
    int32_t group = table_rows[0].group;
    F(first_outs)(&table);
    CLAIM(!!row_states[0].first_out == (was && tripped[group] > 0), "forgotten with its group");
    CLAIM(tripped[group] == 0 || first_out[group] == before[group], "kept");
    CLAIM(!was || tripped[group] > 0 || first_out[group] == -1, "free for the next");
    REACHED(was && tripped[group] == 0, "forgotten");
    REACHED(was && tripped[group] == 1, "kept");
}

/* PROVED of interlocks_start; unwind 65: of two rows: every one starts tripped, as a start, with
 * its effects and no history, in a state that its steps keep; no proof test runs, nobody is
 * first out. */
void start_is_tripped(void) {
    static int32_t groups[64];
    Interlocks table = small_table();
    int at = any_between(0, 1);
    table.group_first_out = groups;
    F(interlocks_start)(&table);
    InterlockState *state = &row_states[at];
    CLAIM(state->status == E(INTERLOCK_LATCHED) && state->start && !state->locked, "tripped");
    CLAIM(state->trips == 0 && state->tripped_scan == -1 && !state->first_out, "no history");
    CLAIM(state->bypass_until_ns == 0 && table.maintenance_until_ns == 0, "no authority");
    CLAIM(table.injections[at].until_ns == 0, "no proof test");
    CLAIM(groups[at] == -1 && groups[63] == -1 && table.site.first_out_row == -1, "no first-out");
    CLAIM(table.site.import_max_w > DBL_MAX && !table.site.shed_tier && !table.site.refuse_shed &&
              !table.site.open_request && !table.site.safe_state, "the site is asked for nothing");
    InterlockRow row = table_rows[at];
    ASSUME(row.on_delay_ns >= 0 && row.off_delay_ns > 0);
    CLAIM(state->off_delay.q && row_keeps(state, &row, 0), "a state that its steps keep");
    REACHED(at == 1, "the last row");
}
