"""Who may do what to a row from outside: reset, bypass, proof test, retained latches."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.interlock cimport Interlocks, Reset

cdef enum:
    BYPASS_S_MAX = 28800         # IEC 61511-1 11.7: 8 h, a shift
    MAINTENANCE_S_MAX = 3600
    INJECTION_S_MAX = 3600       # a whole maintenance: the longest on-delay must fit in

cpdef enum AuthorityStatus:
    AUTHORITY_DONE = 0
    AUTHORITY_NO_ROW = 1
    AUTHORITY_NEVER = 2          # the row may not be bypassed by anybody
    AUTHORITY_GROUP_TAKEN = 3    # another row of its group is bypassed
    AUTHORITY_TOO_LONG = 4
    AUTHORITY_NO_MAINTENANCE = 5 # a proof test needs maintenance mode
    AUTHORITY_FULL = 6           # no free injection

cdef struct Retained:            # what a row keeps over a restart
    int64_t bypass_left_ns
    int64_t trips
    uint8_t status               # InterlockStatus
    uint8_t locked
    uint8_t first_out

cdef int32_t interlocks_reset(Interlocks* table, int32_t row, Reset authority) noexcept nogil
cdef AuthorityStatus interlocks_bypass(
    Interlocks* table, int32_t row, int64_t length_ns, int64_t now_ns) noexcept nogil
cdef AuthorityStatus interlocks_maintenance(
    Interlocks* table, int64_t length_ns, int64_t now_ns) noexcept nogil
cdef AuthorityStatus interlocks_inject(
    Interlocks* table, int32_t row, int32_t cause, double value, int64_t until_ns,
    int64_t now_ns) noexcept nogil
cdef AuthorityStatus interlocks_retain(
    Interlocks* table, int32_t row, const Retained* kept, int64_t now_ns) noexcept nogil
