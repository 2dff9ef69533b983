/* What is proved of ext/quality.pyx. */
#define MODULE 7edgectl_7_kernel_7quality
#include "quality.c"
#include "kernel.h"
#include "claims.h"

#define STEP_NS 100000000

typedef struct T(Sample) Sample;
typedef struct T(Limits) Limits;

static Sample any_sample(void) {
    Sample sample;
    sample.quality = (uint8_t)any_between(E(QUALITY_BAD), E(QUALITY_GOOD));
    sample.reason = (uint8_t)any_between(E(REASON_NONE), E(REASON_FROZEN));
    sample.source_ns = any_long_between(0, INT64_MAX / 2);
    sample.changed_ns = any_long_between(0, sample.source_ns);
    return sample;
}

static Limits any_limits(void) {
    Limits limits;
    ASSUME(limits.valid_min <= limits.valid_max && limits.slew_max_per_s > 0.0);
    ASSUME(limits.frozen_after_ns > 0 && limits.stale_after_ns > 0);
    return limits;
}

/* PROVED of quality_judge, set_bad: a double that is not finite, or out of the point's range, makes
 * the sample bad, whatever it was, and is not kept. */
void judge_refuses(void) {
    Sample sample = any_sample();
    Limits limits = any_limits();
    double value = nondet_double(), held = sample.value;
    int64_t now_ns = any_long_between(sample.source_ns, INT64_MAX / 2);
    ASSUME(!(value >= limits.valid_min && value <= limits.valid_max) || !finite_number(value));
    F(quality_judge)(&sample, &limits, value, (uint64_t)nondet_int64(), now_ns);
    CLAIM(sample.quality == E(QUALITY_BAD), "bad");
    CLAIM(sample.reason == (finite_number(value) ? E(REASON_OUT_OF_RANGE) : E(REASON_NOT_FINITE)),
          "for this reason");
    CLAIM(same(sample.value, held), "not kept");
    REACHED(value != value, "not a number");
    REACHED(value > DBL_MAX && limits.valid_max > DBL_MAX, "infinite, and no limit");
    REACHED(value < limits.valid_min && finite_number(value), "too low");
}

/* PROVED of quality_judge: a sample that turns good again holds the very value that was received,
 * finite and within its range. */
void judge_good(void) {
    Sample sample = any_sample();
    Limits limits = any_limits();
    double value = nondet_double();
    sample.quality = E(QUALITY_BAD);
    F(quality_judge)(&sample, &limits, value, (uint64_t)nondet_int64(), sample.source_ns + STEP_NS);
    CLAIM(sample.quality == E(QUALITY_BAD) || sample.quality == E(QUALITY_GOOD), "good or bad");
    CLAIM(sample.quality == E(QUALITY_BAD) ||
              (finite_number(value) && sample.value == value && value >= limits.valid_min &&
               value <= limits.valid_max && sample.reason == E(REASON_NONE)),
          "good is finite, in range, and what was received");
    REACHED(sample.quality == E(QUALITY_GOOD) && value == limits.valid_max, "just in range");
}

/* PROVED of quality_judge: a quantity whose words have not changed for longer than it may stand
 * still is bad, unless its value just jumped; and the time it last changed is never invented. */
void judge_frozen(void) {
    Sample sample = any_sample();
    Limits limits = any_limits();
    double value = any_finite();
    uint64_t raw = sample.raw;
    int64_t now_ns = any_long_between(sample.source_ns, INT64_MAX / 2);
    int64_t changed_ns = sample.changed_ns;
    ASSUME(changed_ns > 0 && value == sample.value);
    F(quality_judge)(&sample, &limits, value, raw, now_ns);
    CLAIM(now_ns - changed_ns <= limits.frozen_after_ns || sample.quality == E(QUALITY_BAD),
          "frozen is bad");
    CLAIM(sample.changed_ns == changed_ns && sample.source_ns == now_ns, "times as received");
    REACHED(sample.reason == E(REASON_FROZEN), "frozen");
    REACHED(sample.quality == E(QUALITY_GOOD), "not yet");
}

/* PROVED of quality_judge: after a good value, one that is 1 W or more further away than 10 000 W a
 * second allow in 100 ms is uncertain, and is never good. */
void judge_slew(void) {
    Sample sample = any_sample();
    Limits limits = any_limits();
    int32_t value = any_between(-100000000, 100000000), held = any_between(-100000000, 100000000);
    sample.quality = E(QUALITY_GOOD);
    sample.value = held;
    limits.slew_max_per_s = 1e4;
    ASSUME(value >= limits.valid_min && value <= limits.valid_max);
    F(quality_judge)(&sample, &limits, value, (uint64_t)nondet_int64(), sample.source_ns + STEP_NS);
    int64_t change = value > held ? (int64_t)value - held : (int64_t)held - value;
    CLAIM((sample.quality == E(QUALITY_UNCERTAIN)) == (change > 1000), "uncertain over 1000 W");
    REACHED(change == 1000 && sample.quality == E(QUALITY_GOOD), "just allowed");
}

/* PROVED of quality_age: a sample older than it may be is bad, stale if nothing was wrong before;
 * a younger one is left as it is, and age makes nothing good. */
void age_stale(void) {
    Sample sample = any_sample(), before = sample;
    Limits limits = any_limits();
    int64_t now_ns = any_long_between(sample.source_ns, INT64_MAX / 2);
    F(quality_age)(&sample, &limits, now_ns);
    _Bool old = now_ns - before.source_ns > limits.stale_after_ns;
    CLAIM(!old || sample.quality == E(QUALITY_BAD), "too old is bad");
    CLAIM(old || sample.quality == before.quality, "not too old is as before");
    CLAIM(sample.quality == before.quality || sample.reason == E(REASON_STALE), "stale by name");
    CLAIM(sample.source_ns == before.source_ns && same(sample.value, before.value), "nothing else");
    REACHED(old && before.quality == E(QUALITY_GOOD), "a good one turns stale");
    REACHED(now_ns - before.source_ns == limits.stale_after_ns && sample.quality, "exactly as old");
}

/* PROVED of quality_lost: a lost sample is bad for the reason given, and nothing else changes. */
void lost_is_bad(void) {
    Sample sample = any_sample(), before = sample;
    int reason = any_between(E(REASON_NONE), E(REASON_FROZEN));
    F(quality_lost)(&sample, (enum T(Reason))reason);
    CLAIM(sample.quality == E(QUALITY_BAD) && sample.reason == reason, "bad");
    CLAIM(same(sample.value, before.value) && sample.source_ns == before.source_ns &&
              sample.changed_ns == before.changed_ns, "the last value stays to be seen");
    REACHED(before.quality == E(QUALITY_GOOD), "it was good");
}
