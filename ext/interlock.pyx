"""Interlocks: one cause-and-effect table, evaluated top to bottom each scan.

A row starts tripped and clears like any other: an auto row once its cause has
been absent for its off-delay, a latched one by the authority it names. Bad
quality counts as a vote to trip (so 2oo3 with one bad input is 1oo2, with two
bad it trips) or holds what the last good value said; the row names which.
Source of vote and degradation: IEC 61511-1 11.3, ISA-84 practice.

A bypassed row is evaluated and shown and has no effect. A proof test adds a
vote to a row and takes none away: what is real trips as ever meanwhile.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from edgectl._kernel.authority cimport (
    Retained, interlocks_bypass, interlocks_inject, interlocks_maintenance, interlocks_reset,
    interlocks_retain)
from edgectl._kernel.blocks cimport Hysteresis, hysteresis_above, hysteresis_below, tof, ton
from edgectl._kernel.process_image cimport Image
from edgectl._kernel.quality cimport (
    QUALITY_BAD, QUALITY_GOOD, REASON_NONE, REASON_NOT_YET, REASON_STALE, Sample)


cdef uint8_t condition(const CauseRow* row, double value, uint8_t before) noexcept nogil:
    """What a good value says of one cause; `before` is what it said last, for the hysteresis."""
    cdef Hysteresis memory
    memory.q = before
    if row.op == CAUSE_ABOVE:
        hysteresis_above(&memory, value, row.on, row.off)
    elif row.op == CAUSE_BELOW:
        hysteresis_below(&memory, value, row.on, row.off)
    elif row.op == CAUSE_EQUAL:
        memory.q = value == row.on
    elif row.op == CAUSE_NOT_EQUAL:
        memory.q = value != row.on
    else:
        memory.q = value < row.on
    return memory.q


cdef void cause_evaluate(
    CauseState* state, const CauseRow* row, const Sample* sample) noexcept nogil:
    """One cause against its sample; a bad sample leaves q at its last good answer."""
    state.bad = sample.quality == QUALITY_BAD
    state.not_yet = state.bad and sample.reason == REASON_NOT_YET
    if row.op == CAUSE_BAD:
        state.q = state.bad
        state.bad = False
        return
    if state.bad:
        return
    state.q = condition(row, sample.value, state.q)


cdef void injections_apply(Interlocks* table, int64_t now_ns) noexcept nogil:
    """Let each proof-test value say what it says of its cause; one that is over says nothing."""
    cdef Injection* injection
    cdef const CauseRow* cause
    cdef int32_t at
    for at in range(INJECTIONS_MAX):
        injection = &table.injections[at]
        if injection.until_ns == 0:
            continue
        if now_ns >= injection.until_ns or now_ns >= table.maintenance_until_ns:
            injection.until_ns = 0
            table.cause_states[injection.cause].test = False
            continue
        cause = &table.causes[injection.cause]
        table.cause_states[injection.cause].test = cause.op == CAUSE_BAD or condition(
            cause, injection.value, table.cause_states[injection.cause].test)


cdef bint says_trip(const CauseState* state, uint8_t on_bad) noexcept nogil:
    """Whether one cause votes to trip: by its value, by its proof test, or by being bad."""
    return state.q or state.test or (state.bad and on_bad == ON_BAD_TRIP)


cdef uint8_t vote(
    const InterlockRow* row, const CauseState* states, bint heard_only) noexcept nogil:
    """True when enough of the row's causes are true; a bad one counts under trip.

    heard_only  leave out causes of which nothing was heard since start: they
                keep the start's trip standing and make no new one
    """
    cdef int32_t at
    cdef int32_t count = 0
    for at in range(row.causes):
        if not (heard_only and states[at].not_yet) and says_trip(&states[at], row.on_bad):
            count += 1
    return count >= row.vote


cdef bint contradicts(const InterlockRow* row, const CauseState* states) noexcept nogil:
    """Whether causes that can be read say different things."""
    cdef int32_t at
    cdef int32_t yes = 0
    cdef int32_t no = 0
    for at in range(row.causes):
        if states[at].bad:
            continue
        if states[at].q:
            yes += 1
        else:
            no += 1
    return yes > 0 and no > 0


cdef void row_tripped(
    InterlockState* state, const InterlockRow* row, int64_t scan, int64_t now_ns) noexcept nogil:
    """Count a rising edge, and lock out a row that trips again and again."""
    state.trips += 1
    state.tripped_scan = scan
    state.start = False
    if row.lockout_trips <= 0:
        return
    if now_ns - state.lockout_ns > row.lockout_window_ns or state.window_trips == 0:
        state.lockout_ns = now_ns
        state.window_trips = 0
    state.window_trips += 1
    if state.window_trips >= row.lockout_trips:
        state.locked = True


cdef bint latches(const InterlockState* state, const InterlockRow* row) noexcept nogil:
    """Whether the row waits for a person; a start is the reset of a row that asks for one."""
    if row.reset == RESET_AUTO:
        return state.locked
    return row.reset != RESET_RESTART or not state.start


cdef bint row_step(
    InterlockState* state, const InterlockRow* row, uint8_t cause, bint heard,
    int64_t scan, int64_t now_ns, int64_t dt_ns) noexcept nogil:
    """Delays and latch of one row; true on the rising edge of its trip.

    The off-delay runs from the last scan in which the cause was true, however
    short, so that a chattering cause keeps its row tripped. A row that is clear
    and whose cause is absent has nothing to time.
    """
    cdef bint standing = state.status >= INTERLOCK_TRIPPED
    cdef bint acts, rising

    state.cause = cause
    if state.status == INTERLOCK_CLEAR and not cause:
        return False
    ton(&state.on_delay, cause, row.on_delay_ns, dt_ns)
    acts = state.on_delay.q and (heard or not state.start)
    rising = acts and (not standing or state.start)
    if rising:
        row_tripped(state, row, scan, now_ns)
    tof(&state.off_delay, state.on_delay.q or (standing and cause), row.off_delay_ns, dt_ns)
    if acts:
        state.status = INTERLOCK_TRIPPED
    elif standing and (state.off_delay.q or latches(state, row)):
        state.status = INTERLOCK_LATCHED
    elif cause:
        state.status = INTERLOCK_PENDING
    else:
        state.status = INTERLOCK_CLEAR
        state.start = False
    return rising


cdef void permit_limit(
    Permit* permit, Effect effect, double limit_w, bint bites, int32_t row) noexcept nogil:
    """Clamp one direction of a storage asset; a limit that is not a number is 0."""
    cdef double limit = limit_w if limit_w > 0.0 else 0.0
    if effect == EFFECT_LIMIT_CHARGE:
        if limit < permit.charge_max_w:
            permit.charge_max_w = limit
    elif limit < permit.discharge_max_w:
        permit.discharge_max_w = limit
    if bites and effect > permit.effect:
        permit.effect = effect
        permit.row = row


cdef void permit_apply(
    Permit* permit, Effect effect, double value, int32_t row) noexcept nogil:
    """Take from a storage asset what a tripped row takes; nothing is ever given back.

    value  the ratio of a derate; one that is not a number derates to nothing
    """
    if effect == EFFECT_HOLD:
        permit.hold = True
    elif effect == EFFECT_DERATE:
        if not value >= permit.derate_ratio:
            permit.derate_ratio = value if value > 0.0 else 0.0
    elif effect == EFFECT_BLOCK_COMMAND:
        permit.block_command = True
    elif effect == EFFECT_RAMP_TO_ZERO:
        permit.ramp_to_zero = True
    if effect == EFFECT_INHIBIT_CHARGE or effect >= EFFECT_ZERO:
        permit.charge_max_w = 0.0
    if effect == EFFECT_INHIBIT_DISCHARGE or effect >= EFFECT_ZERO:
        permit.discharge_max_w = 0.0
    if effect > permit.effect or permit.row < 0:
        permit.effect = effect
        permit.row = row


cdef void site_apply(
    SitePermit* site, const EffectRow* effect, bint start) noexcept nogil:
    """What a tripped row asks of the site as a whole.

    start  it is the trip the row started with, which opens no breaker and sheds no load
    """
    cdef uint8_t tier
    if effect.effect == EFFECT_REFUSE_SHED:
        site.refuse_shed = True
    elif effect.effect == EFFECT_SAFE_STATE:
        site.safe_state = True
    elif start:
        return
    elif effect.effect == EFFECT_SHED:
        tier = <uint8_t> effect.value
        if tier > site.shed_tier:
            site.shed_tier = tier
    elif effect.effect == EFFECT_OPEN_REQUEST:
        site.open_request = True


cdef bint is_limit(uint8_t effect) noexcept nogil:
    return EFFECT_LIMIT_CHARGE <= effect <= EFFECT_LIMIT_IMPORT


cdef void effect_limit(
    Interlocks* table, const EffectRow* effect, int32_t row, bint standing, bint bad,
    double limit_w) noexcept nogil:
    """Clamp to the value of a limit row, which it does while it is clear, too."""
    cdef int32_t at
    cdef int32_t first = 0 if effect.target < 0 else effect.target
    cdef int32_t last = table.storages if effect.target < 0 else effect.target + 1
    if effect.effect == EFFECT_LIMIT_IMPORT:
        if not bad and limit_w < table.site.import_max_w:
            table.site.import_max_w = limit_w if limit_w > 0.0 else 0.0
        return
    for at in range(first, last):
        permit_limit(&table.permits[at], <Effect> effect.effect, 0.0 if bad else limit_w,
                     standing, row)


cdef void effect_apply(Interlocks* table, const EffectRow* effect, int32_t row) noexcept nogil:
    """One effect of one tripped row, on its target or on every storage asset, and on the site."""
    cdef int32_t at
    cdef int32_t first = 0 if effect.target < 0 else effect.target
    cdef int32_t last = table.storages if effect.target < 0 else effect.target + 1
    site_apply(&table.site, effect, table.states[row].start)
    if effect.effect == EFFECT_ALARM or effect.effect == EFFECT_SHED \
            or effect.effect == EFFECT_REFUSE_SHED:
        return
    for at in range(first, last):
        permit_apply(&table.permits[at], <Effect> effect.effect, effect.value, row)


cdef double row_limit_w(
    const Interlocks* table, const InterlockRow* row, const Image* image) noexcept nogil:
    """The value a limit row clamps to: that of its cause, or a proof test's lower one."""
    cdef double limit_w = image.samples[table.causes[row.first_cause].point].value
    cdef int32_t at
    if table.cause_states[row.first_cause].test:
        for at in range(INJECTIONS_MAX):
            if table.injections[at].until_ns > 0 \
                    and table.injections[at].cause == row.first_cause \
                    and table.injections[at].value < limit_w:
                limit_w = table.injections[at].value
    return limit_w


cdef void row_apply(Interlocks* table, const Image* image, int32_t at) noexcept nogil:
    """Add one row to its group and apply its effects; a limit row limits also while it is clear."""
    cdef const InterlockRow* row = &table.table[at]
    cdef InterlockState* state = &table.states[at]
    cdef bint standing = state.status >= INTERLOCK_TRIPPED
    cdef bint limits = table.causes[row.first_cause].op == CAUSE_LIMIT
    cdef int32_t effect

    table.site.tripped += standing
    if state.bypassed or not (standing or limits):
        return
    if standing and not state.start:
        table.group_tripped[row.group] += 1
    for effect in range(row.first_effect, row.first_effect + row.effects):
        if limits and is_limit(table.effects[effect].effect):
            effect_limit(table, &table.effects[effect], at, standing,
                         table.cause_states[row.first_cause].bad, row_limit_w(table, row, image))
        elif standing:
            effect_apply(table, &table.effects[effect], at)


cdef void first_outs(Interlocks* table) noexcept nogil:
    """Forget the first-out of a group that is clear again."""
    cdef int32_t at
    for at in range(table.rows):
        if table.states[at].first_out and table.group_tripped[table.table[at].group] == 0:
            table.states[at].first_out = False
            table.group_first_out[table.table[at].group] = -1


cdef void row_evaluate(
    Interlocks* table, const Image* image, int32_t at, int64_t scan, int64_t now_ns,
    int64_t dt_ns) noexcept nogil:
    """Causes, vote, delays and latch of one row, its bypass, and whether it is the first out."""
    cdef const InterlockRow* row = &table.table[at]
    cdef InterlockState* state = &table.states[at]
    cdef CauseState* causes = table.cause_states + row.first_cause
    cdef int32_t cause
    cdef bint rising

    for cause in range(row.causes):
        cause_evaluate(&causes[cause], &table.causes[row.first_cause + cause],
                       &image.samples[table.causes[row.first_cause + cause].point])
    state.bypassed = state.bypass_until_ns > now_ns
    table.site.bypassed += state.bypassed
    if row.discrepancy_ns > 0:
        ton(&state.discrepancy, contradicts(row, causes), row.discrepancy_ns, dt_ns)
        table.site.discrepant += state.discrepancy.q
    rising = row_step(state, row, vote(row, causes, False),
                      not state.start or vote(row, causes, True), scan, now_ns, dt_ns)
    if rising and not state.bypassed and table.group_first_out[row.group] < 0:
        table.group_first_out[row.group] = at
        state.first_out = True
        table.site.first_out_row = at


cdef void interlocks_evaluate(
    Interlocks* table, const Image* image, int64_t scan, int64_t now_ns, int64_t dt_ns
) noexcept nogil:
    """Evaluate every row and leave permits for the dispatch.

    scan    number of this scan, kept by a row that trips in it
    now_ns  monotonic
    dt_ns   measured, since the scan before

    First-out: the first row to trip in a group whose rows were all clear.
    """
    cdef int32_t at
    cdef int32_t newest = table.site.first_out_row

    for at in range(table.storages):
        table.permits[at] = Permit(INFINITY, INFINITY, 1.0, -1, EFFECT_ALARM, 0, 0, 0)
    table.site = SitePermit(INFINITY, 0, 0, 0, 0, 0, newest, 0, 0)
    memset(table.group_tripped, 0, GROUPS_MAX * sizeof(int32_t))
    injections_apply(table, now_ns)
    for at in range(table.rows):
        row_evaluate(table, image, at, scan, now_ns, dt_ns)
        row_apply(table, image, at)
    first_outs(table)


cdef void interlocks_start(Interlocks* table) noexcept nogil:
    """Bring every row to its start state: tripped."""
    cdef int32_t at
    memset(table.states, 0, table.rows * sizeof(InterlockState))
    memset(table.injections, 0, sizeof(table.injections))
    table.maintenance_until_ns = 0
    for at in range(table.rows):
        table.states[at].status = INTERLOCK_LATCHED
        table.states[at].start = True
        table.states[at].off_delay.q = True
        table.states[at].tripped_scan = -1
    for at in range(GROUPS_MAX):
        table.group_first_out[at] = -1
    table.site = SitePermit(INFINITY, 0, 0, 0, 0, 0, -1, 0, 0)


cdef class InterlockBench:
    """A table on its own, driven value by value; the tests' door."""

    cdef Interlocks table
    cdef Image image
    cdef object arrays
    cdef int64_t scan
    cdef int64_t now_ns
    cdef Sample[256] samples
    cdef InterlockState[64] states
    cdef CauseState[256] cause_states
    cdef Permit[16] permits
    cdef int32_t[GROUPS_MAX] group_first_out
    cdef int32_t[GROUPS_MAX] group_tripped

    def __cinit__(self, const InterlockRow[::1] rows, const CauseRow[::1] causes,
                  const EffectRow[::1] effects, int points, int storages):
        if rows.shape[0] > 64 or causes.shape[0] > 256 or points > 256 or storages > 16:
            raise ValueError("the bench holds 64 rows, 256 causes, 256 points, 16 storages")
        self.arrays = (rows, causes, effects)
        self.table.rows, self.table.storages = rows.shape[0], storages
        self.table.table, self.table.causes = &rows[0], &causes[0]
        self.table.effects = &effects[0] if effects.shape[0] else NULL
        self.table.states, self.table.cause_states = self.states, self.cause_states
        self.table.permits = self.permits
        self.table.group_first_out = self.group_first_out
        self.table.group_tripped = self.group_tripped
        self.image.points, self.image.samples = points, self.samples
        interlocks_start(&self.table)

    def step(self, values, int64_t dt_ns):
        """Evaluate once with one value a point, None being a bad sample.

        Returns (statuses, permits as (charge_max_w, discharge_max_w, effect, row), site dict).
        """
        for at, value in enumerate(values):
            self.samples[at].quality = QUALITY_BAD if value is None else QUALITY_GOOD
            self.samples[at].reason = REASON_STALE if value is None else REASON_NONE
            if value is not None:
                self.samples[at].value = value
        interlocks_evaluate(&self.table, &self.image, self.scan, self.now_ns, dt_ns)
        self.scan += 1
        self.now_ns += dt_ns
        statuses = [InterlockStatus(self.states[at].status) for at in range(self.table.rows)]
        permits = [
            (self.permits[at].charge_max_w, self.permits[at].discharge_max_w,
             Effect(self.permits[at].effect), self.permits[at].row)
            for at in range(self.table.storages)]
        return statuses, permits, dict(self.table.site)

    def permit(self, int storage):
        """The whole permit of one storage asset, by name."""
        return dict(self.permits[storage])

    def bypass(self, int row, int64_t length_ns):
        """AuthorityStatus of a bypass from now on; 0 ends it."""
        return interlocks_bypass(&self.table, row, length_ns, self.now_ns)

    def maintenance(self, int64_t length_ns):
        """AuthorityStatus of maintenance mode from now on; 0 ends it."""
        return interlocks_maintenance(&self.table, length_ns, self.now_ns)

    def inject(self, int row, int cause, double value, int64_t length_ns):
        """AuthorityStatus of a proof-test value for one cause of a row."""
        return interlocks_inject(
            &self.table, row, cause, value, self.now_ns + length_ns, self.now_ns)

    def retain(self, int row, int status, bint locked=False, bint first_out=False,
               int64_t bypass_left_ns=0, int64_t trips=0):
        """AuthorityStatus of taking over what a row kept from the run before."""
        cdef Retained kept = Retained(bypass_left_ns, trips, status, locked, first_out)
        return interlocks_retain(&self.table, row, &kept, self.now_ns)

    def states_of(self, int row):
        """The whole state of one row, by name."""
        return dict(self.states[row])

    def reset(self, int row, authority):
        """Rows cleared by the authority."""
        return interlocks_reset(&self.table, row, authority)

    def first_outs(self):
        """Rows that are the first-out of their group now."""
        return [at for at in range(self.table.rows) if self.states[at].first_out]

    def trips(self):
        """Rising edges of each row since start."""
        return [self.states[at].trips for at in range(self.table.rows)]
