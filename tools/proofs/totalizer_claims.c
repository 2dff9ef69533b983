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

static __int128 thousandths(Total total) { return (__int128)total.units * 1000 + total.milli; }

/* PROVED of total_add: for any total up to 2 to the 62 units either way and any part up to 2 to the
 * 62 thousandths, nothing is lost or made: the sum is exact, the small limb 0 to 999. */
void total_add_exact(void) {
    Total total = any_total(), before = total;
    int64_t part = any_long_between(-(1LL << 62), 1LL << 62);
    ASSUME(before.units >= -(1LL << 62) && before.units <= 1LL << 62);
    F(total_add)(&total, part);
    CLAIM(total.milli >= 0 && total.milli <= 999, "0 to 999, also below zero");
    CLAIM(thousandths(total) == thousandths(before) + part, "exact");
    REACHED(part < 0 && total.units < before.units && before.units == 0, "below zero");
    REACHED(total.units > before.units, "a carry");
}

static void lifetime(int64_t scan_max) {
    Total total = any_total();
    int64_t scans = any_long_between(0, SCANS_20_YEARS - 1);
    ASSUME(thousandths(total) >= 0 && thousandths(total) <= (__int128)scans * scan_max);
    int64_t part = any_long_between(0, scan_max);
    F(total_add)(&total, part);
    CLAIM(thousandths(total) >= 0, "never negative");
    CLAIM(thousandths(total) <= (__int128)(scans + 1) * scan_max, "the bound of one scan more");
    REACHED(scans == SCANS_20_YEARS - 1 && total.units > INT64_MAX / 8, "the last scan of 20 years");
}

/* PROVED of total_add: a total of energy cannot overflow in 20 years of scans of 100 ms at 10 GW:
 * after n scans it is at most n times what one adds, by induction. */
void energy_20_years(void) { lifetime(SCAN_MJ); }

/* PROVED of total_add: a total of carbon cannot overflow in 20 years at 10 GW and 1 kg/kWh, in the
 * same way. */
void carbon_20_years(void) { lifetime(SCAN_MJ / 3600000 * 1000000 + 1000000); }

/* Rounding of the machine is not modelled: any integer within what is asked for below. */
long long llrint(double value) {
    int64_t rounded = nondet_int64();
    ASSUME(!(value >= -1e13 && value <= 1e13) ||
           (rounded >= -POWER_MILLIWATT_MAX && rounded <= POWER_MILLIWATT_MAX));
    return rounded;
}

static struct T(Meter) any_meter(void) {
    struct T(Meter) meter = {0};
    meter.power_milliwatt = any_long_between(-POWER_MILLIWATT_MAX, POWER_MILLIWATT_MAX);
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

/* PROVED of meter_update, meter_power_milliwatt: a scan of 100 ms with power within 10 GW either
 * way adds at most what energy_20_years counts on, in one direction only, and carries a remainder
 * smaller than the divisor. */
void scan_energy_bounded(void) {
    struct T(Meter) meter = any_meter();
    struct T(MeterRow) row = any_row();
    struct OF(7quality, t, Sample) sample = any_sample();
    F(meter_update)(&meter, &row, &sample, meter.time_ns + STEP_NS);
    int64_t in = meter.import_total.units * 1000 + meter.import_total.milli;
    int64_t out = meter.export_total.units * 1000 + meter.export_total.milli;
    CLAIM(in >= 0 && in <= SCAN_MJ && out >= 0 && out <= SCAN_MJ, "at most 10 GW for 100 ms");
    CLAIM(in == 0 || out == 0, "import or export");
    CLAIM(in - out == meter.energy_mj, "what the scan says");
    CLAIM(meter.remainder > -2000000000 && meter.remainder < 2000000000, "the remainder");
    REACHED(in == SCAN_MJ, "full import");
    REACHED(out > 0, "export");
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
