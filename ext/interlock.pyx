"""Interlocks: one cause-and-effect table, evaluated top to bottom each scan.

A row starts tripped and clears like any other: an auto row once its cause has
been absent for its off-delay, a latched one by the authority it names. Bad
quality counts as a vote to trip (so 2oo3 with one bad input is 1oo2, with two
bad it trips) or holds what the last good value said; the row names which.
Source of vote and degradation: IEC 61511-1 11.3, ISA-84 practice.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from edgectl._kernel.blocks cimport Hysteresis, hysteresis_above, hysteresis_below, tof, ton
from edgectl._kernel.process_image cimport Image
from edgectl._kernel.quality cimport (
    QUALITY_BAD, QUALITY_GOOD, REASON_NONE, REASON_NOT_YET, REASON_STALE, Sample)


cdef void cause_evaluate(
    CauseState* state, const CauseRow* row, const Sample* sample) noexcept nogil:
    """One cause against its sample; a bad sample leaves q at its last good answer."""
    cdef Hysteresis memory
    state.bad = sample.quality == QUALITY_BAD
    state.not_yet = state.bad and sample.reason == REASON_NOT_YET
    if row.op == CAUSE_BAD:
        state.q = state.bad
        state.bad = False
        return
    if state.bad:
        return
    memory.q = state.q
    if row.op == CAUSE_ABOVE:
        hysteresis_above(&memory, sample.value, row.on, row.off)
    elif row.op == CAUSE_BELOW:
        hysteresis_below(&memory, sample.value, row.on, row.off)
    elif row.op == CAUSE_EQUAL:
        memory.q = sample.value == row.on
    elif row.op == CAUSE_NOT_EQUAL:
        memory.q = sample.value != row.on
    else:
        memory.q = sample.value < row.on
    state.q = memory.q


cdef uint8_t vote(
    const InterlockRow* row, const CauseState* states, bint heard_only) noexcept nogil:
    """True when enough of the row's causes are true; a bad one counts under trip.

    heard_only  leave out causes of which nothing was heard since start: they
                keep the start's trip standing and make no new one
    """
    cdef int32_t at
    cdef int32_t count = 0
    for at in range(row.causes):
        if heard_only and states[at].not_yet:
            continue
        if states[at].q or (states[at].bad and row.on_bad == ON_BAD_TRIP):
            count += 1
    return count >= row.vote


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
    if effect == EFFECT_LIMIT_CHARGE and limit < permit.charge_max_w:
        permit.charge_max_w = limit
    elif effect == EFFECT_LIMIT_DISCHARGE and limit < permit.discharge_max_w:
        permit.discharge_max_w = limit
    if bites and effect > permit.effect:
        permit.effect = effect
        permit.row = row


cdef void permit_apply(Permit* permit, Effect effect, int32_t row) noexcept nogil:
    """Take from a storage asset what a tripped row takes."""
    if effect == EFFECT_INHIBIT_CHARGE or effect >= EFFECT_ZERO:
        permit.charge_max_w = 0.0
    if effect == EFFECT_INHIBIT_DISCHARGE or effect >= EFFECT_ZERO:
        permit.discharge_max_w = 0.0
    if effect > permit.effect or permit.row < 0:
        permit.effect = effect
        permit.row = row


cdef void effect_apply(
    Interlocks* table, const EffectRow* effect, int32_t row, bint standing,
    double limit_w) noexcept nogil:
    """One effect of one row, on its target or on every storage asset.

    The trip a row starts with holds everything at zero; it opens no breaker
    and sheds no load.
    """
    cdef int32_t at
    cdef int32_t first = 0 if effect.target < 0 else effect.target
    cdef int32_t last = table.storages if effect.target < 0 else effect.target + 1
    cdef bint limits = effect.effect == EFFECT_LIMIT_CHARGE \
        or effect.effect == EFFECT_LIMIT_DISCHARGE

    if limits:
        for at in range(first, last):
            permit_limit(&table.permits[at], <Effect> effect.effect, limit_w, standing, row)
        return
    if not standing:
        return
    if effect.effect == EFFECT_SHED:
        if not table.states[row].start:
            table.site.shed = True
    elif effect.effect == EFFECT_REFUSE_SHED:
        table.site.refuse_shed = True
    elif effect.effect >= EFFECT_INHIBIT_CHARGE:
        for at in range(first, last):
            permit_apply(&table.permits[at], <Effect> effect.effect, row)
        if effect.effect == EFFECT_OPEN_REQUEST and not table.states[row].start:
            table.site.open_request = True
        elif effect.effect == EFFECT_SAFE_STATE:
            table.site.safe_state = True


cdef double row_limit_w(
    const Interlocks* table, const InterlockRow* row, const Image* image) noexcept nogil:
    """The value a limit row clamps to: that of its first cause, 0 when it is bad."""
    cdef const CauseRow* cause = &table.causes[row.first_cause]
    cdef const Sample* sample = &image.samples[cause.point]
    if cause.op != CAUSE_LIMIT or sample.quality == QUALITY_BAD:
        return 0.0
    return sample.value


cdef void row_apply(Interlocks* table, const Image* image, int32_t at) noexcept nogil:
    """Add one row to its group and apply its effects; a limit row limits also while it is clear."""
    cdef const InterlockRow* row = &table.table[at]
    cdef bint standing = table.states[at].status >= INTERLOCK_TRIPPED
    cdef int32_t effect
    cdef double limit_w

    if not standing and table.causes[row.first_cause].op != CAUSE_LIMIT:
        return
    limit_w = row_limit_w(table, row, image)
    if standing:
        table.site.tripped += 1
        if not table.states[at].start:
            table.group_tripped[row.group] += 1
    for effect in range(row.first_effect, row.first_effect + row.effects):
        effect_apply(table, &table.effects[effect], at, standing, limit_w)


cdef void first_outs(Interlocks* table) noexcept nogil:
    """Forget the first-out of a group that is clear again."""
    cdef int32_t at
    for at in range(table.rows):
        if table.states[at].first_out and table.group_tripped[table.table[at].group] == 0:
            table.states[at].first_out = False
            table.group_first_out[table.table[at].group] = -1


cdef void interlocks_evaluate(
    Interlocks* table, const Image* image, int64_t scan, int64_t now_ns, int64_t dt_ns
) noexcept nogil:
    """Evaluate every row and leave permits for the dispatch.

    scan    number of this scan, kept by a row that trips in it
    now_ns  monotonic
    dt_ns   measured, since the scan before

    First-out: the first row to trip in a group whose rows were all clear.
    """
    cdef int32_t at, cause
    cdef const InterlockRow* row
    cdef int32_t newest = table.site.first_out_row

    for at in range(table.storages):
        table.permits[at] = Permit(INFINITY, INFINITY, -1, EFFECT_ALARM)
    memset(&table.site, 0, sizeof(SitePermit))
    memset(table.group_tripped, 0, GROUPS_MAX * sizeof(int32_t))
    for at in range(table.rows):
        row = &table.table[at]
        for cause in range(row.first_cause, row.first_cause + row.causes):
            cause_evaluate(&table.cause_states[cause], &table.causes[cause],
                           &image.samples[table.causes[cause].point])
        if row_step(&table.states[at], row, vote(row, table.cause_states + row.first_cause, False),
                    not table.states[at].start
                    or vote(row, table.cause_states + row.first_cause, True),
                    scan, now_ns, dt_ns) and table.group_first_out[row.group] < 0:
            table.group_first_out[row.group] = at
            table.states[at].first_out = True
            newest = at
        row_apply(table, image, at)
    first_outs(table)
    table.site.first_out_row = newest


cdef bint may_reset(
    const InterlockRow* row, const InterlockState* state, Reset authority) noexcept nogil:
    """Whether the authority may clear the row's latch; local may do what an operator may.

    An auto row clears by itself after its off-delay and not before, unless it is locked out.
    """
    if state.status != INTERLOCK_LATCHED or state.cause:
        return False
    if row.reset == RESET_AUTO and not state.locked:
        return False
    if row.reset == RESET_RESTART or row.reset == RESET_LOCAL:
        return authority == row.reset
    return authority == RESET_OPERATOR or authority == RESET_LOCAL


cdef int32_t interlocks_reset(Interlocks* table, int32_t row, Reset authority) noexcept nogil:
    """Clear the latch of one row, or of all for row -1, where cause and authority allow.

    Returns how many rows were cleared.
    """
    cdef int32_t at
    cdef int32_t first = 0 if row < 0 else row
    cdef int32_t last = table.rows if row < 0 else row + 1
    cdef int32_t cleared = 0

    if last > table.rows:
        return 0
    for at in range(first, last):
        if not may_reset(&table.table[at], &table.states[at], authority):
            continue
        table.states[at].status = INTERLOCK_CLEAR
        table.states[at].locked = False
        table.states[at].window_trips = 0
        table.states[at].start = False
        table.states[at].off_delay.q = False
        cleared += 1
    return cleared


cdef void interlocks_start(Interlocks* table) noexcept nogil:
    """Bring every row to its start state: tripped."""
    cdef int32_t at
    memset(table.states, 0, table.rows * sizeof(InterlockState))
    for at in range(table.rows):
        table.states[at].status = INTERLOCK_LATCHED
        table.states[at].start = True
        table.states[at].off_delay.q = True
        table.states[at].tripped_scan = -1
    for at in range(GROUPS_MAX):
        table.group_first_out[at] = -1
    memset(&table.site, 0, sizeof(SitePermit))
    table.site.first_out_row = -1


cdef class InterlockBench:
    """A table on its own, driven value by value; the tests' door."""

    cdef Interlocks table
    cdef Image image
    cdef object arrays
    cdef int64_t scan
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
        interlocks_evaluate(&self.table, &self.image, self.scan, self.scan * dt_ns, dt_ns)
        self.scan += 1
        statuses = [InterlockStatus(self.states[at].status) for at in range(self.table.rows)]
        permits = [
            (self.permits[at].charge_max_w, self.permits[at].discharge_max_w,
             Effect(self.permits[at].effect), self.permits[at].row)
            for at in range(self.table.storages)]
        return statuses, permits, dict(self.table.site)

    def reset(self, int row, authority):
        """Rows cleared by the authority."""
        return interlocks_reset(&self.table, row, authority)

    def first_outs(self):
        """Rows that are the first-out of their group now."""
        return [at for at in range(self.table.rows) if self.states[at].first_out]

    def trips(self):
        """Rising edges of each row since start."""
        return [self.states[at].trips for at in range(self.table.rows)]
