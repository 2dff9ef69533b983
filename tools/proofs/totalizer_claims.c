/* What is proved of ext/totalizer.pyx.
 *
 * 20 years at 10 GW are counted in scans: a scan of 100 ms adds at most SCAN_MJ, and the total
 * after n scans is at most n times that, by induction over total_add.
 */
#define MODULE 7edgectl_7_kernel_9totalizer
#include "totalizer.c"
#include "kernel.h"
#include "claims.h"

#define SCANS_20_YEARS (20LL * 366 * 86400 * 10)
#define POWER_MILLIWATT_MAX 10000000000000LL /* 10 GW */
#define STEP_NS 100000000LL
#define SCAN_MJ (POWER_MILLIWATT_MAX / 1000000000LL * STEP_NS)

typedef struct T(Total) Total;

static Total any_total(void) {
    Total total;
    ASSUME(total.milli >= 0 && total.milli <= 999);
    return total;
}

/* Within 2 to the 41 either way, 2.2e12: more than a scan of 10 GW adds. The shift tells CBMC. */
static int64_t any_part(void) { return nondet_int64() >> 22; }

/* PROVED of total_add: nothing is lost or made: for any part of up to 2 to the 15 thousandths either
 * way the sum is exact, and the small limb 0 to 999. */
void total_add_exact(void) {
    Total total = any_total();
    int64_t part = nondet_int64() >> 48, milli = total.milli;
    total.units = 0;
    F(total_add)(&total, part);
    CLAIM(total.milli >= 0 && total.milli <= 999, "0 to 999, also below zero");
    CLAIM(total.units * 1000 + total.milli == milli + part, "exact");
    REACHED(part < 0 && total.units < 0, "a borrow");
    REACHED(part > 0 && total.units > 0, "a carry");
}

static _Bool within(Total total, int64_t units) {
    return total.units >= 0 && (total.units < units || (total.units == units && total.milli == 0));
}

/* scan  units that one scan adds at most */
static void lifetime(int64_t scan) {
    Total total = any_total();
    int64_t bound = any_long_between(0, (SCANS_20_YEARS - 1) * scan);
    ASSUME(within(total, bound));
    int64_t part = any_part();
    ASSUME(part >= 0 && part <= scan * 1000);
    F(total_add)(&total, part);
    CLAIM(within(total, bound + scan), "a scan later at most a scan's worth more");
    REACHED(bound == (SCANS_20_YEARS - 1) * scan && total.units == bound + scan,
            "the last scan of 20 years");
}

/* PROVED of total_add: a total of energy cannot overflow in 20 years of scans of 100 ms at 10 GW:
 * it grows by at most what one scan adds, and that times all of them is under 2 to the 63. */
void energy_20_years(void) { lifetime(SCAN_MJ / 1000); }

/* PROVED of total_add: a total of carbon cannot overflow in 20 years at 10 GW and 1 kg/kWh, in the
 * same way. */
void carbon_20_years(void) { lifetime(SCAN_MJ / 3600000 * 1000000 / 1000 + 1000); }

_Static_assert(SCANS_20_YEARS < INT64_MAX / (SCAN_MJ / 1000), "20 years fit");

static int64_t any_power(void) {
    int64_t power = nondet_int64() >> 19;
    ASSUME(power >= -POWER_MILLIWATT_MAX && power <= POWER_MILLIWATT_MAX);
    return power;
}

static int64_t any_megawatts(void) {
    int64_t megawatts = nondet_uint16() & 0x3FFF;
    ASSUME(megawatts <= 10000);
    return megawatts * 1000000000;
}

static int64_t rounded; /* rounding is not modelled: what llrint gives is the claim's to say */

long long llrint(double value) { return rounded; }

static struct T(Meter) any_meter(void) {
    struct T(Meter) meter = {0};
    rounded = any_power();
    meter.power_milliwatt = any_power();
    meter.remainder = any_long_between(-1999999999, 1999999999);
    meter.time_ns = any_long_between(1, INT64_MAX / 4);
    meter.good_ns = any_long_between(0, meter.time_ns);
    meter.started = 1;
    return meter;
}

static struct T(MeterRow) any_row(void) {
    struct T(MeterRow) row;
    ASSUME(row.substitute_w >= -1e10 && row.substitute_w <= 1e10);
    ASSUME(row.hold_ns >= 0 && row.gap_max_ns > 0);
    return row;
}

static struct OF(7quality, t, Sample) any_sample(void) {
    struct OF(7quality, t, Sample) sample;
    ASSUME(sample.value >= -1e10 && sample.value <= 1e10);
    return sample;
}

/* PROVED of meter_update, meter_power_milliwatt: a scan of 100 ms with any whole number of MW up to
 * 10 GW at its begin and its end adds at most what energy_20_years counts on, and at least nothing.
 */
void scan_energy_bounded(void) {
    struct T(Meter) meter = any_meter();
    struct T(MeterRow) row = any_row();
    struct OF(7quality, t, Sample) sample = any_sample();
    meter.power_milliwatt = any_megawatts();
    rounded = any_megawatts();
    sample.quality = OF(7quality, e, QUALITY_GOOD);
    meter.remainder = 0;
    meter.time_ns = 1;
    F(meter_update)(&meter, &row, &sample, meter.time_ns + STEP_NS);
    CLAIM(meter.energy_mj >= 0 && meter.energy_mj <= SCAN_MJ, "at most 10 GW for 100 ms");
    REACHED(meter.energy_mj == SCAN_MJ, "full import");
}

/* PROVED of meter_update: time that does not advance adds nothing and changes no total, whatever
 * the sample says. */
void time_stands_still(void) {
    struct T(Meter) meter = any_meter(), before = meter;
    struct T(MeterRow) row = any_row();
    struct OF(7quality, t, Sample) sample = any_sample();
    int64_t now_ns = any_long_between(0, meter.time_ns);
    int status = F(meter_update)(&meter, &row, &sample, now_ns);
    CLAIM(status == E(TOTALIZER_NOT_LATER) && meter.energy_mj == 0, "nothing to add");
    CLAIM(meter.time_ns == before.time_ns && meter.remainder == before.remainder &&
              meter.import_total.units == before.import_total.units, "totals and time stay");
    REACHED(now_ns == before.time_ns, "the same time twice");
}

/* PROVED of meter_power_milliwatt: a good sample is measured; a bad one is the last good power for
 * at most hold_ns, then the substitute; a lost meter is never taken as measured. */
void lost_meter_graded(void) {
    struct T(Meter) meter = any_meter();
    struct T(MeterRow) row = any_row();
    struct OF(7quality, t, Sample) sample = any_sample();
    int64_t now_ns = any_long_between(meter.time_ns, INT64_MAX / 2), good_ns = meter.good_ns;
    int64_t held = meter.power_milliwatt;
    _Bool bad = sample.quality == OF(7quality, e, QUALITY_BAD);
    int64_t power = F(meter_power_milliwatt)(&meter, &row, &sample, now_ns);
    CLAIM((meter.grade == E(METER_MEASURED)) == !bad && !meter.held == !bad, "measured if good");
    CLAIM(!bad || meter.grade == E(METER_SUBSTITUTED) || power == held, "held as it was");
    CLAIM(!bad || (good_ns > 0 && now_ns - good_ns <= row.hold_ns) ==
                      (meter.grade == E(METER_ESTIMATED)), "held no longer than it may be");
    CLAIM(meter.good_ns == (bad ? good_ns : now_ns), "only a good sample is a good time");
    REACHED(bad && meter.grade == E(METER_ESTIMATED), "estimated");
    REACHED(meter.grade == E(METER_SUBSTITUTED) && good_ns > 0, "substituted");
}
