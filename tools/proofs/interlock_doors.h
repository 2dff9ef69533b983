/* Shared by the claims of ext/interlock.pyx: its types, any states, the function blocks. */
#define QUALITY(name) OF(7quality, e, name)
#define REASON(name) OF(7quality, e, name)
#define BLOCKS(name) OF(6blocks, f, name) /* pointers that importing the module would set */
#define LONG_NS (INT64_MAX / 4)
#define TIERS 4

typedef struct T(CauseRow) CauseRow;
typedef struct T(CauseState) CauseState;
typedef struct T(InterlockRow) InterlockRow;
typedef struct T(InterlockState) InterlockState;
typedef struct T(EffectRow) EffectRow;
typedef struct T(Interlocks) Interlocks;
typedef struct T(Permit) Permit;
typedef struct T(SitePermit) SitePermit;
typedef struct OF(7quality, t, Sample) Sample;
typedef struct OF(6blocks, t, Ton) Ton;
typedef struct OF(6blocks, t, Tof) Tof;
typedef struct OF(6blocks, t, Hysteresis) Hysteresis;

static void second_ton(Ton *block, uint8_t input, int64_t pt_ns, int64_t dt_ns) {
    int64_t elapsed_ns = block->timing ? block->elapsed_ns + (block->q ? 0 : dt_ns) : 0;
    _Bool q = input && (block->q || elapsed_ns >= pt_ns);
    *block = (Ton){input ? elapsed_ns : 0, !!input, q};
}

static void second_tof(Tof *block, uint8_t input, int64_t pt_ns, int64_t dt_ns) {
    if (input) *block = (Tof){0, 0, 1};
    if (input || !block->q) return;
    if (block->timing) block->elapsed_ns += dt_ns;
    block->timing = 1;
    block->q = block->elapsed_ns < pt_ns;
}

static void second_above(Hysteresis *block, double input, double on, double off) {
    block->q = input > on || (block->q && !(input <= off));
}

static void second_below(Hysteresis *block, double input, double on, double off) {
    block->q = input < on || (block->q && !(input >= off));
}

static void doors(void) {
    BLOCKS(ton) = second_ton;
    BLOCKS(tof) = second_tof;
    BLOCKS(hysteresis_above) = second_above;
    BLOCKS(hysteresis_below) = second_below;
}

static Sample any_sample(void) {
    Sample sample;
    ASSUME(sample.quality <= QUALITY(QUALITY_GOOD));
    return sample;
}

static CauseState any_cause(void) {
    CauseState state;
    ASSUME(state.q <= 1 && state.bad <= 1 && state.not_yet <= 1 && state.test <= 1);
    ASSUME(!state.not_yet || state.bad);
    return state;
}

static InterlockState any_state(void) {
    InterlockState state;
    ASSUME(state.status <= E(INTERLOCK_LATCHED) && state.start <= 1 && state.locked <= 1);
    ASSUME(state.cause <= 1 && state.first_out <= 1 && state.bypassed <= 1);
    ASSUME(state.window_trips >= 0 && state.window_trips < 1000000000);
    return state;
}

/* for_ns  since the cause was first seen true; counts no further once the delay is over */
static _Bool row_keeps(const InterlockState *state, const InterlockRow *row, int64_t for_ns) {
    const Ton *on = &state->on_delay;
    const Tof *off = &state->off_delay;
    _Bool on_fits = state->cause ? on->timing && !!on->q == (for_ns >= row->on_delay_ns) &&
                                       (on->q || on->elapsed_ns == for_ns)
                                 : !on->q && !on->timing && on->elapsed_ns == 0;
    _Bool off_fits = !off->q || (off->timing ? off->elapsed_ns >= 0 &&
                                                   off->elapsed_ns < row->off_delay_ns
                                             : off->elapsed_ns == 0);
    switch (state->status) {
    case E(INTERLOCK_CLEAR): return on_fits && !state->cause && !state->start && !off->q;
    case E(INTERLOCK_PENDING): return on_fits && state->cause && !on->q && !state->start && !off->q;
    case E(INTERLOCK_TRIPPED): return on_fits && off_fits && on->q && !state->start && off->q;
    default: return on_fits && off_fits && (!on->q || state->start);
    }
}

struct step {
    InterlockRow row;
    InterlockState before, after;
    _Bool cause, heard, rising;
    int64_t scan;
    int64_t then_ns; /* since the cause was first seen true, after the step */
    int64_t gone_ns; /* since it was first seen absent, after the step */
};

/* One step from any state that fits its history. */
static struct step any_step(void) {
    struct step step;
    int64_t dt_ns = any_long_between(0, LONG_NS), for_ns = any_long_between(0, LONG_NS);
    int64_t now_ns = any_long_between(0, LONG_NS);
    doors();
    ASSUME(step.row.on_delay_ns >= 0 && step.row.on_delay_ns <= LONG_NS);
    ASSUME(step.row.off_delay_ns >= 0 && step.row.off_delay_ns <= LONG_NS);
    ASSUME(step.row.reset <= E(RESET_RESTART));
    step.before = any_state();
    ASSUME(step.before.lockout_ns >= 0 && step.before.lockout_ns <= now_ns);
    ASSUME(row_keeps(&step.before, &step.row, for_ns));
    step.cause = nondet_bool();
    step.heard = nondet_bool();
    step.scan = nondet_int64();
    step.after = step.before;
    step.rising = F(row_step)(&step.after, &step.row, step.cause, step.heard, step.scan, now_ns,
                              dt_ns);
    step.then_ns = for_ns >= step.row.on_delay_ns ? for_ns : for_ns + dt_ns;
    if (!step.before.cause) step.then_ns = 0;
    _Bool gone = step.before.off_delay.q && step.before.off_delay.timing;
    step.gone_ns = gone ? step.before.off_delay.elapsed_ns + dt_ns : 0;
    return step;
}

static Permit any_permit(void) {
    Permit permit;
    ASSUME(permit.charge_max_w >= 0.0 && permit.discharge_max_w >= 0.0);
    ASSUME(permit.derate_ratio >= 0.0 && permit.derate_ratio <= 1.0);
    ASSUME(permit.effect <= E(EFFECT_SAFE_STATE) && permit.hold <= 1);
    ASSUME(permit.block_command <= 1 && permit.ramp_to_zero <= 1);
    ASSUME(permit.row >= 0 || permit.effect == E(EFFECT_ALARM)); /* nobody took anything yet */
    return permit;
}

/* Whether nothing is permitted after that was not before. */
static _Bool no_looser(const Permit *before, const Permit *after) {
    return after->charge_max_w <= before->charge_max_w && after->charge_max_w >= 0.0 &&
           after->discharge_max_w <= before->discharge_max_w && after->discharge_max_w >= 0.0 &&
           after->derate_ratio <= before->derate_ratio && after->derate_ratio >= 0.0 &&
           after->hold >= before->hold && after->block_command >= before->block_command &&
           after->ramp_to_zero >= before->ramp_to_zero && after->effect >= before->effect;
}

static _Bool same_permit(const Permit *one, const Permit *other) {
    return one->charge_max_w == other->charge_max_w && one->row == other->row &&
           one->discharge_max_w == other->discharge_max_w && one->effect == other->effect &&
           one->derate_ratio == other->derate_ratio && one->hold == other->hold &&
           one->block_command == other->block_command && one->ramp_to_zero == other->ramp_to_zero;
}

static SitePermit any_site(void) {
    SitePermit site;
    ASSUME(site.import_max_w >= 0.0 && site.refuse_shed <= 1 && site.open_request <= 1);
    ASSUME(site.safe_state <= 1 && site.shed_tier <= TIERS);
    return site;
}
