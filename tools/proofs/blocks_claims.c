/* What is proved of ext/blocks.pyx, by one step from any state that keeps the invariant.
 *
 * A timer is held against its history: for how long its input was seen to stand. The relation
 * between history and state holds at the start and is kept by every step, so it holds always.
 */
#define MODULE 7edgectl_7_kernel_6blocks
#include "blocks.c"
#include "kernel.h"
#include "claims.h"

#define LONG_NS (INT64_MAX / 2)

/* seen   the input was true at the scan before
 * for_ns since it was first seen true; counts no further once the delay is over */
static _Bool ton_keeps(struct T(Ton) ton, _Bool seen, int64_t for_ns, int64_t pt_ns) {
    if (!seen) return !ton.q && !ton.timing && ton.elapsed_ns == 0;
    return ton.timing && ton.q == (for_ns >= pt_ns) && (ton.q || ton.elapsed_ns == for_ns);
}

/* PROVED of ton: from any state that fits its history, q is true exactly when the input has been
 * seen true, without a break, for at least the delay; with a delay of 0 in the same scan. */
void ton_exact(void) {
    struct T(Ton) ton;
    _Bool seen = nondet_bool(), input = nondet_bool();
    int64_t pt_ns = any_long_between(0, LONG_NS);
    int64_t dt_ns = any_long_between(0, LONG_NS);
    int64_t for_ns = any_long_between(0, LONG_NS);
    ASSUME(ton_keeps(ton, seen, for_ns, pt_ns));
    _Bool before = ton.q;
    F(ton)(&ton, input, pt_ns, dt_ns);
    int64_t then_ns = !seen ? 0 : for_ns >= pt_ns ? for_ns : for_ns + dt_ns;
    CLAIM(ton_keeps(ton, input, then_ns, pt_ns), "the state fits the longer history");
    CLAIM(ton.q == (input && then_ns >= pt_ns), "q as the delay says, neither early nor late");
    REACHED(!before && ton.q && pt_ns > 0 && then_ns == pt_ns, "turned exactly at the delay");
    REACHED(seen && input && !ton.q, "still timing");
    REACHED(before && !ton.q, "fallen with its input");
}

/* PROVED of ton: the state it starts in fits an input that was never seen. */
void ton_start(void) {
    struct T(Ton) ton = {0, 0, 0};
    CLAIM(ton_keeps(ton, 0, nondet_int64(), nondet_int64()), "start");
    REACHED(1, "a start");
}

/* was   q was true at the scan before
 * gone  the input was already gone then, for_ns since it was first seen so */
static _Bool tof_keeps(struct T(Tof) tof, _Bool was, _Bool gone, int64_t for_ns, int64_t pt_ns) {
    if (!was) return !tof.q;
    if (!gone) return tof.q && !tof.timing && tof.elapsed_ns == 0;
    return tof.q && tof.timing && tof.elapsed_ns == for_ns && for_ns < pt_ns;
}

/* PROVED of tof: from any state that fits its history, q stands while its input does and until the
 * input has been seen gone for the delay, and never rises without its input. */
void tof_exact(void) {
    struct T(Tof) tof;
    _Bool was = nondet_bool(), gone = nondet_bool(), input = nondet_bool();
    int64_t pt_ns = any_long_between(0, LONG_NS);
    int64_t dt_ns = any_long_between(0, LONG_NS);
    int64_t for_ns = any_long_between(0, LONG_NS);
    ASSUME(tof_keeps(tof, was, gone, for_ns, pt_ns));
    F(tof)(&tof, input, pt_ns, dt_ns);
    int64_t then_ns = was && gone ? for_ns + dt_ns : 0;
    _Bool stands = input || (was && then_ns < pt_ns);
    CLAIM(tof_keeps(tof, stands, !input, then_ns, pt_ns), "the state fits the longer history");
    CLAIM(!!tof.q == stands, "q as the delay says, neither early nor late");
    REACHED(was && gone && !stands && then_ns == pt_ns && pt_ns > 0, "fallen exactly at the delay");
    REACHED(stands && !input, "standing without its input");
    REACHED(!was && !input, "nothing to hold");
}

/* PROVED of sr: set wins over reset; without either q stays. */
void sr_set_dominant(void) {
    struct T(Sr) sr;
    uint8_t set1 = nondet_uint8(), reset = nondet_uint8();
    _Bool before = sr.q;
    F(sr)(&sr, set1, reset);
    CLAIM(!!sr.q == (set1 || (before && !reset)), "set, else kept until reset");
    REACHED(set1 && reset && sr.q, "both");
    REACHED(before && reset && !sr.q, "reset");
}

/* PROVED of r_trig: q is true in the scan in which the clock rises, and in no scan after it. */
void r_trig_one_scan(void) {
    struct T(RTrig) trig;
    uint8_t clock = nondet_uint8();
    _Bool before = trig.before;
    F(r_trig)(&trig, clock);
    _Bool first = trig.q;
    CLAIM(first == (clock && !before), "a rise and nothing else");
    F(r_trig)(&trig, clock);
    CLAIM(!trig.q, "a clock that stays gives no second scan");
    REACHED(first, "a rise");
}

/* PROVED of hysteresis_above: over `on` is true, at or under `off` false, between unchanged; an
 * input that is not a number changes nothing, an infinite one is as any other. */
void hysteresis_above_exact(void) {
    struct T(Hysteresis) block;
    double input = nondet_double(), on = nondet_double(), off = nondet_double();
    ASSUME(off <= on);
    uint8_t before = block.q;
    F(hysteresis_above)(&block, input, on, off);
    CLAIM(!(input > on) || block.q, "above on");
    CLAIM(!(input <= off) || !block.q, "at or below off");
    CLAIM(input > on || input <= off || block.q == before, "in the band, or not a number");
    REACHED(input == on && block.q && off < on, "exactly on keeps");
    REACHED(input == off && before && !block.q, "exactly off clears");
    REACHED(input != input, "not a number");
}

/* PROVED of hysteresis_below: under `on` is true, at or over `off` false, between unchanged; an
 * input that is not a number changes nothing. */
void hysteresis_below_exact(void) {
    struct T(Hysteresis) block;
    double input = nondet_double(), on = nondet_double(), off = nondet_double();
    ASSUME(off >= on);
    uint8_t before = block.q;
    F(hysteresis_below)(&block, input, on, off);
    CLAIM(!(input < on) || block.q, "below on");
    CLAIM(!(input >= off) || !block.q, "at or above off");
    CLAIM(input < on || input >= off || block.q == before, "in the band, or not a number");
    REACHED(input == on && block.q && off > on, "exactly on keeps");
    REACHED(input == off && before && !block.q, "exactly off clears");
    REACHED(input != input, "not a number");
}

/* The bounds are worked out of block.out itself: CBMC then knows that they are the numbers the
 * code works out, which two adders of floating numbers would hide from it. */
static void ramp_stays(double step) {
    double target = nondet_double();
    struct T(Ramp) block = {any_finite()};
    double low = block.out - step, high = block.out + step;
    F(ramp)(&block, target, step);
    CLAIM(block.out >= low && block.out <= high, "at most a step, as the machine rounds it");
    CLAIM(!(target >= low && target <= high) || block.out == target || !finite_number(target),
          "a target within a step is reached");
    REACHED(block.out == high && target > high, "a whole step up");
    REACHED(block.out == low && target < low, "a whole step down");
}

/* PROVED of ramp: for every double as target and every finite start, with steps of 1e-9, 0.1, 1,
 * 1250, 12500 and 1e6 W: at most a step, in the very rounding of the machine. */
void ramp_within_step(void) {
    ramp_stays(1e-9);
    ramp_stays(0.1);
    ramp_stays(1.0);
    ramp_stays(1250.0);
    ramp_stays(12500.0);
    ramp_stays(1e6);
}

/* PROVED of ramp: the output goes towards its target, not beyond it, and never away from it. */
void ramp_towards(void) {
    double before = any_finite(), target = any_finite(), step = any_finite();
    ASSUME(step >= 0.0);
    struct T(Ramp) block = {before};
    F(ramp)(&block, target, step);
    CLAIM(block.out >= (before < target ? before : target), "not under both");
    CLAIM(block.out <= (before > target ? before : target), "not over both");
    REACHED(block.out > before && block.out < target, "up, under way");
    REACHED(block.out < before && block.out > target, "down, under way");
}

/* PROVED of ramp: a target or step that is NaN or infinite, and a step below 0, move nothing. */
void ramp_refuses(void) {
    double before = nondet_double(), target = nondet_double(), step = nondet_double();
    ASSUME(!finite_number(target) || !finite_number(step) || step < 0.0);
    struct T(Ramp) block = {before};
    F(ramp)(&block, target, step);
    CLAIM(same(block.out, before), "where it was");
    REACHED(target != target, "no number");
    REACHED(finite_number(target) && step > 0.0, "an infinite step");
    REACHED(step < 0.0 && finite_number(target), "a step backwards");
}
