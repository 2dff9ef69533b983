/* What is proved of ext/overload.pyx. */
#define MODULE 7edgectl_7_kernel_8overload
#include "overload.c"
#include "kernel.h"
#include "claims.h"

#define HEAT_MAX_P 1250000000000LL
#define POINTS E(CURVE_POINTS)

typedef struct T(CurveRow) CurveRow;
typedef struct T(Overload) Overload;

/* PROVED of curve_step; unwind 10: for any double and any curve at all the step is one of the
 * curve's, begins at or under the value, and the next one begins beyond it; 0 for what is no
 * number. */
void curve_step_found(void) {
    CurveRow curve[POINTS];
    double value = nondet_double();
    int32_t at = F(curve_step)(curve, value);
    CLAIM(at >= 0 && at < POINTS, "one of the curve's");
    CLAIM(at == 0 || value >= curve[at].from_value, "begun");
    CLAIM(at == POINTS - 1 || !(value >= curve[at + 1].from_value), "and the next one not");
    CLAIM(value == value || at == 0, "no number");
    REACHED(at == POINTS - 1, "the last");
    REACHED(at == 300 && value == curve[300].from_value, "exactly where it begins");
}

/* PROVED of curve_step; unwind 10: on a curve that never falls, checked at load, a greater value
 * never finds an earlier step. */
void curve_step_monotone(void) {
    CurveRow curve[POINTS];
    double less = nondet_double(), more = nondet_double();
    ASSUME(less <= more);
    int32_t below = F(curve_step)(curve, less), above = F(curve_step)(curve, more);
    if (above < below) ASSUME(curve[above + 1].from_value <= curve[below].from_value);
    CLAIM(below <= above, "monotone");
    REACHED(below == 3 && above == 500, "far apart");
    REACHED(below == above && less < more, "the same step");
}

/* PROVED of heat_after: heat stays between cold and its bound, from any state, for any rate
 * within 32 bits and any step of up to 10 s. */
void heat_bounded(void) {
    int64_t heat = any_long_between(0, HEAT_MAX_P);
    int64_t rate = nondet_int32(), dt_us = nondet_int32() & 0xFFFFFF;
    ASSUME(dt_us <= 10000000);
    int64_t after = F(heat_after)(heat, rate, dt_us);
    CLAIM(after >= 0 && after <= HEAT_MAX_P, "bounded");
    REACHED(after == HEAT_MAX_P && heat < HEAT_MAX_P, "as hot as it gets");
    REACHED(after == 0 && heat > 0, "cold");
}

/* PROVED of heat_after: in a scan of 100 ms more current, at a rate that is not less, and more heat
 * before never leave less heat: what is more loaded never trips later. */
void heat_monotone(void) {
    int64_t heat = any_long_between(0, HEAT_MAX_P), hotter = any_long_between(heat, HEAT_MAX_P);
    int64_t rate = nondet_int32(), faster = nondet_int32();
    ASSUME(rate <= faster);
    int64_t after = F(heat_after)(heat, rate, 100000);
    int64_t more = F(heat_after)(hotter, faster, 100000);
    CLAIM(after <= more, "never later");
    REACHED(after < more && heat == hotter, "faster");
    REACHED(rate < 0 && faster > 0, "one cools while the other heats");
}

static int64_t any_rate(void) { return nondet_int32(); }

/* PROVED of overload_update, heat_after, curve_step; unwind 10: for any double, any curve within
 * 32 bits of rate and any step of up to 1000 years the heat stays bounded, and less than a
 * microsecond is carried. */
void overload_bounded(void) {
    CurveRow curve[POINTS];
    Overload overload;
    ASSUME(overload.heat_p >= 0 && overload.heat_p <= HEAT_MAX_P);
    ASSUME(overload.remainder_ns >= 0 && overload.remainder_ns < 1000);
    double value = nondet_double();
    int32_t at = F(curve_step)(curve, value);
    curve[at].rate_p_per_us = any_rate();
    F(overload_update)(&overload, curve, value, any_long_between(0, INT64_MAX / 2));
    CLAIM(overload.heat_p >= 0 && overload.heat_p <= HEAT_MAX_P, "bounded");
    CLAIM(overload.remainder_ns >= 0 && overload.remainder_ns < 1000, "carried");
    REACHED(overload.heat_p == HEAT_MAX_P, "as hot as it gets");
    REACHED(value != value && overload.heat_p > 0, "no number");
}
