"""Who may do what to a row from outside: reset, bypass, proof test, retained latches.

All of it is bounded in time but the reset, and nothing of it ever makes a row
say less than its real causes say: a bypass takes the effects and leaves the
status, a proof test adds a vote. Source of the bypass rules: IEC 61511-1 11.7
and 16.2.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t

from edgectl._kernel.interlock cimport (
    INJECTIONS_MAX, INTERLOCK_CLEAR, INTERLOCK_LATCHED, INTERLOCK_TRIPPED, RESET_AUTO, RESET_LOCAL,
    RESET_OPERATOR, RESET_RESTART, InterlockRow, InterlockState)

cdef enum:
    NS_PER_S = 1000000000


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


cdef bint group_bypassed(const Interlocks* table, int32_t row, int64_t now_ns) noexcept nogil:
    """Whether another row of this row's group is bypassed."""
    cdef int32_t at
    for at in range(table.rows):
        if at != row and table.table[at].group == table.table[row].group \
                and table.states[at].bypass_until_ns > now_ns:
            return True
    return False


cdef AuthorityStatus interlocks_bypass(
    Interlocks* table, int32_t row, int64_t length_ns, int64_t now_ns) noexcept nogil:
    """Take a row's effects away for a limited time, or give them back with length 0.

    row        of the table
    length_ns  at most BYPASS_S_MAX; it then ends by itself
    now_ns     monotonic

    At most one row of a group, and only rows that say they may be.
    """
    if row < 0 or row >= table.rows:
        return AUTHORITY_NO_ROW
    if length_ns <= 0:
        table.states[row].bypass_until_ns = 0
        return AUTHORITY_DONE
    if not table.table[row].bypassable:
        return AUTHORITY_NEVER
    if length_ns > <int64_t> BYPASS_S_MAX * NS_PER_S:
        return AUTHORITY_TOO_LONG
    if group_bypassed(table, row, now_ns):
        return AUTHORITY_GROUP_TAKEN
    table.states[row].bypass_until_ns = now_ns + length_ns
    return AUTHORITY_DONE


cdef AuthorityStatus interlocks_maintenance(
    Interlocks* table, int64_t length_ns, int64_t now_ns) noexcept nogil:
    """Enter maintenance mode for a limited time, or leave it with length 0; proof tests end
    with it."""
    if length_ns > <int64_t> MAINTENANCE_S_MAX * NS_PER_S:
        return AUTHORITY_TOO_LONG
    table.maintenance_until_ns = now_ns + length_ns if length_ns > 0 else 0
    return AUTHORITY_DONE


cdef AuthorityStatus interlocks_inject(
    Interlocks* table, int32_t row, int32_t cause, double value, int64_t until_ns,
    int64_t now_ns) noexcept nogil:
    """Give one cause of a row a value beside its real one, for a proof test.

    row, cause  of the table; the cause counted within the row
    until_ns    monotonic, at most INJECTION_S_MAX ahead; one that is past ends the injection
    """
    cdef int32_t at, place
    cdef int32_t free = -1

    if row < 0 or row >= table.rows or cause < 0 or cause >= table.table[row].causes:
        return AUTHORITY_NO_ROW
    if now_ns >= table.maintenance_until_ns:
        return AUTHORITY_NO_MAINTENANCE
    if until_ns - now_ns > <int64_t> INJECTION_S_MAX * NS_PER_S:
        return AUTHORITY_TOO_LONG
    place = table.table[row].first_cause + cause
    for at in range(INJECTIONS_MAX):
        if table.injections[at].until_ns > 0 and table.injections[at].cause == place:
            free = at
            break
        if table.injections[at].until_ns == 0 and free < 0:
            free = at
    if free < 0:
        return AUTHORITY_FULL
    table.injections[free].value = value
    table.injections[free].cause = place
    table.injections[free].row = row
    table.injections[free].until_ns = until_ns if until_ns > 0 else 1
    return AUTHORITY_DONE


cdef AuthorityStatus interlocks_retain(
    Interlocks* table, int32_t row, const Retained* kept, int64_t now_ns) noexcept nogil:
    """Take over, after interlocks_start, what a row kept from the run before.

    A latch that a person must clear, and a lock-out, are trips still and not
    starts: their effects stand in full. A row that a restart clears, or that
    clears by itself, begins as every other.
    """
    cdef InterlockState* state
    if row < 0 or row >= table.rows:
        return AUTHORITY_NO_ROW
    state = &table.states[row]
    state.trips = <uint32_t> kept.trips if kept.trips > 0 else 0
    if table.table[row].bypassable and 0 < kept.bypass_left_ns \
            <= <int64_t> BYPASS_S_MAX * NS_PER_S and not group_bypassed(table, row, now_ns):
        state.bypass_until_ns = now_ns + kept.bypass_left_ns
    if kept.status < INTERLOCK_TRIPPED or table.table[row].reset == RESET_RESTART:
        return AUTHORITY_DONE
    if table.table[row].reset != RESET_AUTO or kept.locked:
        state.start = False
        state.locked = kept.locked
        if kept.first_out and table.group_first_out[table.table[row].group] < 0:
            state.first_out = True
            table.group_first_out[table.table[row].group] = row
    return AUTHORITY_DONE
