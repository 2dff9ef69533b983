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

static StorageRow any_row(void) {
    StorageRow row;
    ASSUME(row.charge_rating_w >= 0.0 && row.charge_rating_w <= 1e10);
    ASSUME(row.discharge_rating_w >= 0.0 && row.discharge_rating_w <= 1e10);
    return row;
}

static Permit any_permit(void) {
    Permit permit;
    ASSUME(permit.charge_max_w >= 0.0 && permit.discharge_max_w >= 0.0);
    ASSUME(permit.hold <= 1 && permit.block_command <= 1 && permit.ramp_to_zero <= 1);
    ASSUME(permit.effect <= EFFECT(EFFECT_SAFE_STATE));
    return permit;
}

/* PROVED of room: a full battery gets no room to charge and an empty one none to
 * discharge; a state of charge that is bad, stale too, gives no room either way. */
void room_by_charge(void) {
    StorageRow row = any_row();
    Permit permit = any_permit();
    Sample soc = any_sample();
    double charge, discharge;
    permit.derate_ratio = 1.0;
    F(room)(&row, &permit, &soc, nondet_double(), &charge, &discharge);
    _Bool bad = soc.quality == QUALITY(QUALITY_BAD);
    CLAIM(!bad || (charge == 0.0 && discharge == 0.0), "bad: neither");
    CLAIM(!(soc.value >= row.full_ratio) || charge == 0.0, "full: no charge");
    CLAIM(!(soc.value <= row.reserve_ratio) || discharge == 0.0, "at the reserve: no discharge");
    REACHED(!bad && soc.value == row.full_ratio && discharge > 0.0, "just full");
    REACHED(!bad && soc.value == row.reserve_ratio && charge > 0.0, "just at the reserve");
}

/* PROVED of room: room is never more than the rating and never more than the
 * interlocks leave, either way, and never below 0. */
void room_by_permit(void) {
    StorageRow row = any_row();
    Permit permit = any_permit();
    Sample soc = any_sample();
    double charge, discharge;
    permit.derate_ratio = 1.0;
    F(room)(&row, &permit, &soc, nondet_double(), &charge, &discharge);
    CLAIM(charge >= 0.0 && charge <= row.charge_rating_w && charge <= permit.charge_max_w,
          "charge");
    CLAIM(discharge >= 0.0 && discharge <= row.discharge_rating_w &&
              discharge <= permit.discharge_max_w, "discharge");
    REACHED(charge == row.charge_rating_w && charge < permit.charge_max_w && charge > 0.0,
            "rating");
    REACHED(charge == permit.charge_max_w && charge > 0.0, "interlock");
}

static void derated(double ratio) {
    StorageRow row = any_row();
    Permit permit = any_permit();
    Sample soc = any_sample();
    double charge, discharge;
    permit.derate_ratio = ratio;
    F(room)(&row, &permit, &soc, nondet_double(), &charge, &discharge);
    CLAIM(charge <= row.charge_rating_w * ratio, "charge");
    CLAIM(discharge <= row.discharge_rating_w * ratio, "discharge");
    REACHED(row.charge_rating_w == 1024.0 && charge == 1024.0 * ratio, "all that is left");
}

/* PROVED of room: a derate leaves at most its ratio of any rating either way: of a half. */
void room_derated(void) { derated(0.5); }

/* PROVED of room: and nothing of a ratio of 0. */
void room_derated_away(void) { derated(0.0); }

/* PROVED of room: while a row holds a battery or ramps it to zero it may do what it
 * does, or less: it does not start, turn round, or do more. */
void held_does_no_more(void) {
    StorageRow row = any_row();
    Permit permit = any_permit();
    Sample soc = any_sample();
    double charge, discharge, setpoint = any_finite();
    permit.derate_ratio = 1.0;
    ASSUME(permit.hold || permit.ramp_to_zero);
    F(room)(&row, &permit, &soc, setpoint, &charge, &discharge);
    CLAIM(charge == 0.0 || charge <= setpoint, "no more charge");
    CLAIM(discharge == 0.0 || discharge <= -setpoint, "no more discharge");
    CLAIM(charge == 0.0 || discharge == 0.0, "no other way");
    REACHED(charge == setpoint && setpoint > 0.0, "as it does");
    REACHED(setpoint == 0.0, "no start");
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
    CLAIM(halt == E(BINDING_NONE) || storage.binding == halt, "a halt is told as what it is");
    CLAIM(halt != E(BINDING_NONE) || !trip || storage.binding == E(BINDING_INTERLOCK), "a trip");
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
    double asked = storage.request_w;
    _Bool in_room = asked <= charge && asked >= -discharge;
    CLAIM(!in_room || storage.setpoint_w == asked || storage.binding == E(BINDING_RAMP),
          "and told");
    REACHED(storage.setpoint_w == ramp_high && ramp_high < charge, "a whole step");
}

static void whole_ramp(struct OF(6blocks, t, Ramp) *block, double target, double step) {
    block->out = target;
}

/* PROVED of permit_storage, permitted_w: where no ramp is in the way the setpoint is the
 * request, cut to the room and to nothing less; the reason why it is not what was asked is left
 * to whoever cut it. */
void setpoint_as_asked(void) {
    Storage storage;
    StorageRow row;
    Permit permit = any_permit();
    double charge = any_finite(), discharge = any_finite(), asked = any_finite();
    ASSUME(charge >= 0.0 && discharge >= 0.0 && permit.effect < EFFECT(EFFECT_ZERO));
    RAMP = whole_ramp;
    storage.request_w = asked;
    row.ramp_w_per_s = 50000.0;
    uint8_t binding = storage.binding;
    F(permit_storage)(&row, &storage, &permit, E(BINDING_NONE), charge, discharge, 100000000);
    CLAIM(storage.setpoint_w == (asked > charge ? charge : asked < -discharge ? -discharge : asked),
          "cut to the room");
    CLAIM(storage.binding == binding, "by nobody here");
    REACHED(storage.setpoint_w == asked && asked < 0.0, "as asked");
    REACHED(storage.setpoint_w == -discharge && asked < -discharge && discharge > 0.0, "cut");
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
    uint8_t lapsed = wanted.lapsed;
    _Bool stands = F(wanted_stands)(&wanted, now_ns);
    _Bool over = expiry_ns != 0 && expiry_ns <= now_ns;
    CLAIM(over ? wanted.lapsed == 1 : wanted.lapsed == lapsed, "told exactly when it runs out");
    CLAIM(stands == (expiry_ns > now_ns), "until its expiry, and not in that scan");
    CLAIM(wanted.expiry_ns == (stands ? expiry_ns : 0), "forgotten, or as it was");
    REACHED(expiry_ns == now_ns, "just expired");
    REACHED(stands, "stands");
}

/* PROVED of arbiter, wanted_stands: without a request, or with one that is stale, not finite or
 * beyond twice the rating, or while a row blocks commands, local control stands; a request that
 * is not sane is shown as rejected. */
void arbiter_rejects(void) {
    struct T(Dispatch) dispatch;
    StorageRow row;
    Storage storage;
    Permit permit = any_permit();
    Sample soc = any_sample();
    int64_t now_ns = any_long_between(1, LONG_NS);
    row.charge_rating_w = any_between(1, 10000000);
    row.discharge_rating_w = any_between(1, 10000000);
    storage.economy_ns = any_long_between(0, now_ns);
    ASSUME(storage.wanted.expiry_ns >= 0);
    double rating = row.charge_rating_w > row.discharge_rating_w ? row.charge_rating_w
                                                                 : row.discharge_rating_w;
    double value = storage.wanted.value_w;
    _Bool heard = storage.wanted.expiry_ns > now_ns && !permit.block_command;
    _Bool sane = value >= -2.0 * rating && value <= 2.0 * rating;
    double asked = F(arbiter)(&dispatch, &row, &storage, &permit, &soc, now_ns);
    CLAIM(heard || storage.source == E(SOURCE_LOCAL), "stale or blocked: local control");
    CLAIM(sane || storage.source == E(SOURCE_LOCAL), "not sane: local control");
    CLAIM((heard && sane) || same(asked, storage.economy_w), "and what it asks");
    CLAIM(storage.rejected == (heard && !sane), "rejected exactly if it is not sane");
    CLAIM(!heard || !sane || asked == value, "else as asked");
    REACHED(heard && value != value, "no number");
    REACHED(heard && value == 2.0 * rating && asked == value, "twice the rating");
    REACHED(!heard && storage.binding == E(BINDING_INTERLOCK), "blocked");
}

static struct T(Dispatch) dispatch;
static struct T(DispatchRow) site;

/* PROVED of wanted_total_w: with the grid meter lost nothing is charged and no discharge is
 * given up; with it the site stays under the import limit, and export turns no battery round:
 * for a limit of 100 W on the import and 20 W on the export, any request, and sites of up to 128
 * W either way. */
void total_between_limits(void) {
    double total = any_finite(), held = any_finite();
    int32_t net = (int8_t)nondet_uint8();
    dispatch.row = &site;
    dispatch.net_w = net;
    dispatch.grid_good = nondet_bool();
    site.export_max_w = 20.0;
    double wanted = F(wanted_total_w)(&dispatch, total, held, 100.0);
    _Bool good = dispatch.grid_good;
    CLAIM(good || (wanted <= 0.0 && wanted <= held && wanted <= total), "lost: no charge");
    CLAIM(!good || wanted <= (double)(100 - net), "under the import limit");
    CLAIM(!good || wanted <= total || wanted <= 0.0, "export turns no battery round");
    CLAIM(!good || total < (double)(-net - 20) || total > (double)(100 - net) || wanted == total,
          "within the limits as it is");
    REACHED(good && wanted < total, "over the limit");
    REACHED(good && wanted > total, "export");
    REACHED(!good && wanted == held && held < 0.0, "held");
}

/* PROVED of room_left_w: a battery that ramps to zero takes no part in the sharing; another
 * never moves beyond its room, and beyond zero only where it may turn. */
void share_in_room(void) {
    Storage storage;
    Permit permit = any_permit();
    double charge = nondet_uint16(), discharge = nondet_uint16();
    _Bool down = nondet_bool(), turn = down && nondet_bool();
    storage.request_w = (int16_t)nondet_uint16();
    ASSUME(storage.request_w <= charge && storage.request_w >= -discharge);
    double left = F(room_left_w)(&storage, &permit, discharge, down, turn);
    double after = down ? storage.request_w - left : storage.request_w + left;
    CLAIM(left >= 0.0, "forward");
    CLAIM(!permit.ramp_to_zero || left == 0.0, "no part");
    CLAIM(after <= charge && after >= -discharge, "in its room");
    CLAIM(turn || after == 0.0 || left == 0.0, "to zero and no further");
    REACHED(turn && left > 0.0 && after == -discharge && storage.request_w > 0.0, "turned");
    REACHED(!turn && left > 0.0 && after == 0.0, "given up");
}

/* PROVED of request_w, arbiter, permitted_w; 300 s: what is asked of a battery is finite and
 * within its room, whatever was asked from outside; 0 while a row ramps it to zero. */
void request_in_room(void) {
    StorageRow row;
    Storage storage;
    Permit permit = any_permit();
    Sample soc = any_sample();
    int64_t now_ns = any_long_between(1, LONG_NS);
    double charge = nondet_double(), discharge = nondet_double();
    row.charge_rating_w = any_between(1, 10000000);
    row.discharge_rating_w = any_between(1, 10000000);
    storage.economy_ns = any_long_between(0, now_ns);
    ASSUME(storage.wanted.expiry_ns >= 0);
    double setpoint = storage.setpoint_w;
    double asked = F(request_w)(&dispatch, &row, &storage, &permit, &soc, charge, discharge,
                                now_ns);
    CLAIM(finite_number(asked), "finite");
    CLAIM(asked <= 0.0 || asked <= charge, "at most the room to charge");
    CLAIM(asked >= 0.0 || asked >= -discharge, "at most the room to discharge");
    CLAIM(!permit.ramp_to_zero || asked == 0.0, "to zero");
    CLAIM(!permit.hold || asked == 0.0 || (asked <= 0.0 ? asked >= setpoint : asked <= setpoint),
          "held: no more than it does");
    REACHED(asked > 0.0 && asked == storage.wanted.value_w && storage.source == E(SOURCE_OPERATOR),
            "as the operator asked");
    REACHED(permit.hold && !permit.ramp_to_zero && asked == setpoint && setpoint < 0.0, "held");
}
