/* What is proved of ext/overload.pyx. */
#define MODULE 7edgectl_7_kernel_8overload
#include "overload.c"
#include "kernel.h"
#include "claims.h"

#define HEAT_MAX_P 1250000000000LL
#define POINTS E(CURVE_POINTS)

typedef struct T(CurveRow) CurveRow;
typedef struct T(Overload) Overload;

static CurveRow curve[POINTS];

static void whole_numbers(void) {
    for (int at = 0; at < POINTS; at++) curve[at].from_value = at;
}

/* PROVED of curve_step; unwind 513: on a curve whose steps begin at whole numbers the step of
 * any double is one of the curve's, begins at or under it, and the next one beyond it; 0 for
 * what is no number. */
void curve_step_found(void) {
    whole_numbers();
    double value = nondet_double();
    int32_t at = F(curve_step)(curve, value);
    CLAIM(at >= 0 && at < POINTS, "one of the curve's");
    CLAIM(at == 0 || value >= curve[at].from_value, "begun");
    CLAIM(at == POINTS - 1 || !(value >= curve[at + 1].from_value), "and the next one not");
    CLAIM(value == value || at == 0, "no number");
    REACHED(at == POINTS - 1, "the last");
    REACHED(at == 300 && value == 300.0, "exactly where it begins");
}

/* PROVED of curve_step; unwind 513: on that curve a greater value never finds an earlier step. */
void curve_step_monotone(void) {
    whole_numbers();
    double less = nondet_double(), more = nondet_double();
    ASSUME(less <= more);
    int32_t below = F(curve_step)(curve, less), above = F(curve_step)(curve, more);
    CLAIM(below <= above, "monotone");
    REACHED(below == 3 && above == 500, "far apart");
    REACHED(below == above && less < more, "the same step");
}

/* PROVED of heat_after: heat stays between cold and its bound, from any state, for any rate
 * within 32 bits, in a scan of 100 ms and in the longest step that counts, 10 s. */
void heat_bounded(void) {
    int64_t heat = any_long_between(0, HEAT_MAX_P), rate = nondet_int32();
    int64_t after = F(heat_after)(heat, rate, 100000);
    int64_t later = F(heat_after)(heat, rate, 10000000);
    CLAIM(after >= 0 && after <= HEAT_MAX_P, "bounded");
    CLAIM(later >= 0 && later <= HEAT_MAX_P, "bounded");
    REACHED(later == HEAT_MAX_P && after < HEAT_MAX_P && after > heat, "as hot as it gets");
    REACHED(after == 0 && heat > 0, "cold");
}

/* PROVED of heat_after: in a step of 100 ms more current, at a rate that is not less, and more
 * heat before never leave less heat, so that what is more loaded never trips later: for rates
 * within 8 bits and heats within 24 of the bound and of cold. */
void heat_monotone(void) {
    int64_t base = nondet_bool() ? 0 : HEAT_MAX_P - 0xFFFFFF;
    int64_t heat = base + (nondet_int32() & 0xFFFFFF), hotter = base + (nondet_int32() & 0xFFFFFF);
    int64_t rate = (int8_t)nondet_uint8(), faster = (int8_t)nondet_uint8();
    ASSUME(rate <= faster && heat <= hotter);
    int64_t after = F(heat_after)(heat, rate, 100000);
    int64_t more = F(heat_after)(hotter, faster, 100000);
    CLAIM(after <= more, "never later");
    REACHED(after < more && heat == hotter, "faster");
    REACHED(rate < 0 && faster > 0, "one cools while the other heats");
}

/* PROVED of overload_update, heat_after, curve_step; unwind 513: a scan of 100 ms at any double
 * leaves the heat bounded and carries less than a microsecond. */
void overload_bounded(void) {
    Overload overload;
    whole_numbers();
    curve[0].rate_p_per_us = -1;
    curve[7].rate_p_per_us = 1000000;
    ASSUME(overload.heat_p >= 0 && overload.heat_p <= HEAT_MAX_P);
    int64_t carried = nondet_uint16() & 1023, whole = 100000000 + carried;
    ASSUME(carried < 1000);
    overload.remainder_ns = carried;
    F(overload_update)(&overload, curve, nondet_bool() ? 7.5 : 0.5, 100000000);
    CLAIM(overload.heat_p >= 0 && overload.heat_p <= HEAT_MAX_P, "bounded");
    CLAIM(overload.remainder_ns >= 0 && overload.remainder_ns < 1000, "carried");
    CLAIM(overload.remainder_ns == carried, "whole microseconds have acted");
    REACHED(overload.heat_p == HEAT_MAX_P, "as hot as it gets");
    REACHED(whole == 100000999, "almost one more");
}
