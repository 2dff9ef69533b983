/* What is proved of ext/dispatch.pyx.
 *
 * Function blocks are proved by themselves (blocks_claims.c); here ramp is any function that keeps
 * what is proved there.
 */
#define MODULE 7edgectl_7_kernel_8dispatch
#include "dispatch.c"
#include "kernel.h"
#include "claims.h"

#define RAMP OF(6blocks, f, ramp) /* a pointer that importing the module would set */
#define QUALITY(name) OF(7quality, e, name)
#define EFFECT(name) OF(9interlock, e, name)
#define LONG_NS (INT64_MAX / 4)

typedef struct T(Storage) Storage;
typedef struct T(StorageRow) StorageRow;
typedef struct OF(7quality, t, Sample) Sample;
typedef struct OF(9interlock, t, Permit) Permit;

static double ramp_low, ramp_high; /* the band that a ramp was last held to */

static void any_ramp(struct OF(6blocks, t, Ramp) *block, double target, double step) {
    ramp_low = block->out - step;
    ramp_high = block->out + step;
    double out = nondet_double();
    ASSUME(finite_number(out) && out >= ramp_low && out <= ramp_high);
    block->out = out;
}

/* PROVED of permitted_w: for every double as request and as limits, NaN and infinities too: finite,
 * within the limits, 0 for a request that is not a number; a limit that is none counts as 0. */
void permitted_in_limits(void) {
    double request = nondet_double(), charge = nondet_double(), discharge = nondet_double();
    double power = F(permitted_w)(request, charge, discharge);
    CLAIM(finite_number(power), "finite");
    CLAIM(power <= 0.0 || (power <= charge && finite_number(charge)), "at most the charge limit");
    CLAIM(power >= 0.0 || (power >= -discharge && finite_number(discharge)), "the discharge limit");
    CLAIM(request == request || power == 0.0, "0 for what is not a number");
    REACHED(request > DBL_MAX && power == charge && power > 0.0, "an infinite request");
    REACHED(charge != charge && discharge > 0.0 && power < 0.0, "a limit that is no number");
    REACHED(request != request, "a request that is no number");
}

/* PROVED of permitted_w: a request within the limits is permitted as it is; one beyond them gets
 * the limit. */
void permitted_no_less(void) {
    double request = nondet_double(), charge = any_finite(), discharge = any_finite();
    ASSUME(charge >= 0.0 && discharge >= 0.0 && request == request);
    double power = F(permitted_w)(request, charge, discharge);
    CLAIM(request > charge || request < -discharge || power == request, "as asked");
    CLAIM(request <= charge || power == charge, "all there is");
    CLAIM(request >= -discharge || power == -discharge, "all there is, the other way");
    REACHED(power == request && request > 0.0, "granted");
}

static Sample any_sample(void) {
    Sample sample;
    sample.quality = (uint8_t)any_between(QUALITY(QUALITY_BAD), QUALITY(QUALITY_GOOD));
    return sample;
}

/* PROVED of room: a full battery gets no room to charge and an empty one none to discharge; a state
 * of charge that is bad gives no room either way. */
void room_by_charge(void) {
    StorageRow row;
    Permit permit;
    Sample soc = any_sample();
    double charge, discharge;
    F(room)(&row, &permit, &soc, &charge, &discharge);
    _Bool bad = soc.quality == QUALITY(QUALITY_BAD);
    CLAIM(!bad || (charge == 0.0 && discharge == 0.0), "bad: neither");
    CLAIM(!(soc.value >= row.full_ratio) || charge == 0.0, "full: no charge");
    CLAIM(!(soc.value <= row.reserve_ratio) || discharge == 0.0, "at the reserve: no discharge");
    REACHED(!bad && soc.value == row.full_ratio && discharge > 0.0, "just full");
    REACHED(!bad && soc.value == row.reserve_ratio && charge > 0.0, "just at the reserve");
}

/* PROVED of room, minimum: room is never more than the rating and never more than the interlocks
 * leave, either way. */
void room_by_permit(void) {
    StorageRow row;
    Permit permit;
    Sample soc = any_sample();
    double charge, discharge;
    ASSUME(row.charge_rating_w >= 0.0 && row.discharge_rating_w >= 0.0);
    ASSUME(permit.charge_max_w >= 0.0 && permit.discharge_max_w >= 0.0);
    F(room)(&row, &permit, &soc, &charge, &discharge);
    CLAIM(charge >= 0.0 && charge <= row.charge_rating_w && charge <= permit.charge_max_w, "charge");
    CLAIM(discharge >= 0.0 && discharge <= row.discharge_rating_w &&
              discharge <= permit.discharge_max_w, "discharge");
    REACHED(charge == row.charge_rating_w && charge < permit.charge_max_w && charge > 0.0, "rating");
    REACHED(charge == permit.charge_max_w && charge > 0.0, "interlock");
}

static void permit_any(Storage *storage, StorageRow *row, Permit *permit, int halt, double charge,
                       double discharge) {
    RAMP = any_ramp;
    row->ramp_w_per_s = 50000.0;
    F(permit_storage)(row, storage, permit, (enum T(Binding))halt, charge, discharge, 100000000);
}

/* PROVED of permit_storage: whatever was asked, a row that zeroes, opens or brings to safety, and a
 * halt of the site, give a setpoint of exactly 0 in the same scan; so does no room. */
void trip_gives_zero(void) {
    Storage storage;
    StorageRow row;
    Permit permit;
    int halt = any_between(E(BINDING_NONE), E(BINDING_NOT_ARMED));
    double charge = nondet_double(), discharge = nondet_double();
    ASSUME(permit.effect <= EFFECT(EFFECT_SAFE_STATE));
    permit_any(&storage, &row, &permit, halt, charge, discharge);
    _Bool trip = permit.effect >= EFFECT(EFFECT_ZERO);
    CLAIM(!trip || storage.setpoint_w == 0.0, "a trip");
    CLAIM(halt == E(BINDING_NONE) || storage.setpoint_w == 0.0, "a halt");
    CLAIM(charge > 0.0 || discharge > 0.0 || storage.setpoint_w == 0.0, "no room");
    CLAIM(storage.ramp.out == storage.setpoint_w, "the next ramp starts where this one ended");
    REACHED(trip && storage.request_w > 0.0, "a trip while something is asked");
    REACHED(!trip && halt == E(BINDING_NONE) && storage.setpoint_w > 0.0, "no trip");
}

/* PROVED of permit_storage, permitted_w: whatever was asked, the setpoint is finite and within the
 * room of this scan, also where the ramp alone would be slower. */
void setpoint_in_room(void) {
    Storage storage;
    StorageRow row;
    Permit permit;
    double charge = nondet_double(), discharge = nondet_double();
    storage.ramp.out = any_finite();
    permit_any(&storage, &row, &permit, E(BINDING_NONE), charge, discharge);
    double power = storage.setpoint_w;
    CLAIM(finite_number(power), "finite");
    CLAIM(power <= 0.0 || power <= charge, "at most the room to charge");
    CLAIM(power >= 0.0 || power >= -discharge, "at most the room to discharge");
    REACHED(power > 0.0 && power == charge, "all the room");
}

/* PROVED of permit_storage: between scans without a trip the setpoint moves by at most one step of
 * the ramp, as long as the room holds what it was before. */
void setpoint_ramped(void) {
    Storage storage;
    StorageRow row;
    Permit permit;
    double charge = any_finite(), discharge = any_finite();
    ASSUME(charge >= 0.0 && discharge >= 0.0);
    ASSUME(permit.effect < EFFECT(EFFECT_ZERO));
    storage.ramp.out = any_finite();
    ASSUME(storage.ramp.out <= charge && storage.ramp.out >= -discharge);
    permit_any(&storage, &row, &permit, E(BINDING_NONE), charge, discharge);
    CLAIM(storage.setpoint_w >= ramp_low && storage.setpoint_w <= ramp_high, "one step");
    REACHED(storage.setpoint_w == ramp_high && ramp_high < charge, "a whole step");
}

/* PROVED of storage_power_w: a measured battery counts as measured; a lost one never as charging,
 * as discharging no more than it was told, and after the longest revert time as nothing. */
void lost_storage(void) {
    StorageRow row;
    Storage storage;
    Sample power = any_sample();
    int64_t now_ns = any_long_between(0, LONG_NS);
    power.source_ns = any_long_between(0, now_ns);
    double counted = F(storage_power_w)(&row, &storage, &power, now_ns);
    _Bool bad = power.quality == QUALITY(QUALITY_BAD);
    CLAIM(bad || same(counted, power.value), "as measured");
    CLAIM(!bad || counted <= 0.0, "never charging");
    CLAIM(!bad || counted == 0.0 || counted == storage.output_w, "what it was told, or nothing");
    CLAIM(!bad || now_ns - power.source_ns <= 60000000000 || counted == 0.0, "60 s");
    REACHED(bad && counted < 0.0, "still discharging");
    REACHED(bad && storage.output_w < 0.0 && counted == 0.0, "no longer");
}

/* PROVED of wanted_stands: a request that is not there or whose time is over does not stand, and is
 * forgotten; one that stands is untouched. */
void request_expires(void) {
    struct T(WantedRequest) wanted;
    int64_t now_ns = any_long_between(1, LONG_NS), expiry_ns = wanted.expiry_ns;
    ASSUME(expiry_ns >= 0);
    _Bool stands = F(wanted_stands)(&wanted, now_ns);
    CLAIM(stands == (expiry_ns > now_ns), "until its expiry, and not in that scan");
    CLAIM(wanted.expiry_ns == (stands ? expiry_ns : 0), "forgotten, or as it was");
    REACHED(expiry_ns == now_ns, "just expired");
    REACHED(stands, "stands");
}

/* PROVED of arbiter, wanted_stands: without a request, or with one that is stale, not finite or
 * beyond twice the rating, local control stands; such a request is shown as rejected. */
void arbiter_rejects(void) {
    struct T(Dispatch) dispatch;
    StorageRow row;
    Storage storage;
    Sample soc = any_sample();
    int64_t now_ns = any_long_between(1, LONG_NS);
    row.charge_rating_w = any_between(1, 10000000);
    row.discharge_rating_w = any_between(1, 10000000);
    storage.economy_ns = any_long_between(0, now_ns);
    ASSUME(storage.wanted.expiry_ns >= 0);
    double rating = row.charge_rating_w > row.discharge_rating_w ? row.charge_rating_w
                                                                 : row.discharge_rating_w;
    double value = storage.wanted.value_w;
    _Bool stale = storage.wanted.expiry_ns <= now_ns;
    _Bool sane = value >= -2.0 * rating && value <= 2.0 * rating;
    double asked = F(arbiter)(&dispatch, &row, &storage, &soc, now_ns);
    CLAIM(!stale || storage.source == E(SOURCE_LOCAL), "stale: local control");
    CLAIM(sane || storage.source == E(SOURCE_LOCAL), "not sane: local control");
    CLAIM((!stale && sane) || same(asked, storage.economy_w), "and what it asks");
    CLAIM(storage.rejected == (!stale && !sane), "rejected exactly if it is not sane");
    CLAIM(stale || !sane || asked == value, "else as asked");
    REACHED(!stale && value != value, "no number");
    REACHED(!stale && value == 2.0 * rating && asked == value, "twice the rating");
}
