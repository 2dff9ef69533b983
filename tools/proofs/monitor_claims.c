/* What is proved of ext/monitor.pyx: a monitor is no better than its inputs. */
#define MODULE 7edgectl_7_kernel_7monitor
#include "monitor.c"
#include "kernel.h"
#include "claims.h"

#define QUALITY(name) OF(7quality, e, name)

typedef struct T(Monitors) Monitors;
typedef struct T(MonitorRow) MonitorRow;
typedef struct T(MonitorState) MonitorState;
typedef struct OF(7quality, t, Sample) Sample;
typedef struct OF(13process_image, t, Image) Image;

static Sample samples[3];
static const int32_t inputs[3] = {0, 1, 2};
static Image image;
static Monitors monitors;
static MonitorRow row;
static MonitorState state;
static double set_value;
static int set_quality, set_reason, sets;

static void seen_set(Image *of, int32_t point, double value, enum OF(7quality, t, Quality) quality,
                     enum OF(7quality, t, Reason) reason, int64_t source_ns) {
    set_value = value;
    set_quality = quality;
    set_reason = reason;
    sets++;
}

static void three_inputs(int kind) {
    MonitorRow any;
    MonitorState before;
    OF(13process_image, f, image_set) = seen_set;
    row = any;
    row.kind = kind;
    row.first_input = 0;
    row.inputs = 3;
    state = before;
    image.samples = samples;
    monitors.rows = 1;
    monitors.inputs = inputs;
    monitors.table = &row;
    monitors.states = &state;
    for (int at = 0; at < 3; at++) {
        Sample sample;
        ASSUME(sample.quality <= QUALITY(QUALITY_GOOD));
        ASSUME(sample.value >= -1e10 && sample.value <= 1e10);
        samples[at] = sample;
    }
}

/* PROVED of worst_input; unwind 4: of three inputs: a bad one is found if there is one, the
 * first of them; a lost sync pulse makes no demand window bad. */
void worst_input_found(void) {
    three_inputs(any_between(E(MONITOR_RATE), E(MONITOR_DEMAND_SHORTFALL)));
    const Sample *worst = F(worst_input)(&monitors, &row, &image);
    _Bool demand = row.kind >= E(MONITOR_DEMAND_FORECAST);
    _Bool first = samples[0].quality == QUALITY(QUALITY_BAD);
    _Bool other = samples[1].quality == QUALITY(QUALITY_BAD);
    _Bool last = samples[2].quality == QUALITY(QUALITY_BAD);
    int at = first || demand ? 0 : other ? 1 : last ? 2 : 0;
    CLAIM(worst == &samples[at], "the first that is bad");
    REACHED(at == 2, "the last");
    REACHED(demand && last && !first, "the pulse");
}

/* PROVED of monitor_evaluate, worst_input; unwind 4: of three inputs: where one is bad, what is
 * made of them is bad for the same reason, whatever the kind that is no demand window; its value
 * is nothing. */
void lost_input_is_told(void) {
    three_inputs(any_between(E(MONITOR_RATE), E(MONITOR_INVERSE_TIME)));
    int at = any_between(0, 2);
    for (int other = 0; other < 3; other++)
        ASSUME(other == at || samples[other].quality != QUALITY(QUALITY_BAD));
    samples[at].quality = QUALITY(QUALITY_BAD);
    sets = 0;
    F(monitor_evaluate)(&monitors, 0, &image, nondet_int64(), nondet_int64(), nondet_int64());
    CLAIM(sets == 1, "one point");
    CLAIM(set_quality == QUALITY(QUALITY_BAD) && set_reason == samples[at].reason, "bad, and why");
    CLAIM(set_value == 0.0, "and nothing");
    REACHED(at == 2 && row.kind == E(MONITOR_OPPOSED), "the last input");
}

/* PROVED of mismatch; unwind 4: of three inputs: 1 exactly while one differs from the first. */
void mismatch_exact(void) {
    three_inputs(E(MONITOR_MISMATCH));
    double found = F(mismatch)(&monitors, &row, &image);
    _Bool differ = samples[1].value != samples[0].value || samples[2].value != samples[0].value;
    CLAIM(found == (differ ? 1.0 : 0.0), "exactly");
    REACHED(found == 1.0 && samples[1].value == samples[0].value, "the last");
    REACHED(found == 0.0, "all the same");
}
