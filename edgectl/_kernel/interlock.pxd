"""Interlocks: one cause-and-effect table, evaluated top to bottom each scan.

A row starts tripped. Bad quality has no default. Worst effect wins, by the
order of Effect. Row schema: docs/site-file.md.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t

from edgectl._kernel.blocks cimport Tof, Ton
from edgectl._kernel.process_image cimport Image

cdef enum:
    INTERLOCKS_MAX = 1024
    CAUSES_MAX = 2048
    EFFECTS_MAX = 4096
    GROUPS_MAX = 64

cpdef enum CauseOp:
    CAUSE_ABOVE = 0              # value > on; clears at value <= off
    CAUSE_BELOW = 1              # value < on; clears at value >= off
    CAUSE_EQUAL = 2              # value == on
    CAUSE_NOT_EQUAL = 3
    CAUSE_LIMIT = 4              # true while the value is under `on`, the rating; for limit effects
    CAUSE_BAD = 5                # quality is bad

cpdef enum OnBad:
    ON_BAD_TRIP = 0
    ON_BAD_HOLD = 1              # keep what the last good value said

cpdef enum Effect:               # order is severity: the worst wins
    EFFECT_ALARM = 0
    EFFECT_LIMIT_CHARGE = 1      # clamp to the cause's value; 0 when it is bad
    EFFECT_LIMIT_DISCHARGE = 2
    EFFECT_REFUSE_SHED = 3
    EFFECT_SHED = 4              # ask the flexible load for all it has
    EFFECT_INHIBIT_CHARGE = 5
    EFFECT_INHIBIT_DISCHARGE = 6
    EFFECT_ZERO = 7
    EFFECT_OPEN_REQUEST = 8      # zero, and ask the hard-wired breaker to open
    EFFECT_SAFE_STATE = 9        # everything to safe: zero all, no request heard

cpdef enum Reset:                # who may clear the latch
    RESET_AUTO = 0
    RESET_OPERATOR = 1
    RESET_LOCAL = 2              # the push-button at the cabinet, through an input
    RESET_RESTART = 3

cpdef enum InterlockStatus:
    INTERLOCK_CLEAR = 0
    INTERLOCK_PENDING = 1        # cause true, on-delay running
    INTERLOCK_TRIPPED = 2        # cause true
    INTERLOCK_LATCHED = 3        # cause gone, waits for its reset or off-delay

cdef struct CauseRow:
    double on
    double off
    int32_t point
    uint8_t op                   # CauseOp

cdef struct EffectRow:
    int32_t target               # storage index; -1: every storage asset
    uint8_t effect               # Effect

cdef struct InterlockRow:
    int64_t on_delay_ns
    int64_t off_delay_ns
    int64_t lockout_window_ns    # lockout_trips within it turn auto into operator; INT64_MAX: never
    int32_t lockout_trips
    int32_t first_cause
    int32_t causes
    int32_t first_effect
    int32_t effects
    int16_t vote                 # causes that must be true; a bad one counts as true under trip
    int16_t group                # first-out group
    uint8_t on_bad               # OnBad
    uint8_t reset                # Reset
    uint8_t priority             # ISA-18.2: 0 low, 1 medium, 2 high, 3 critical
    uint8_t bypassable

cdef struct InterlockState:
    Ton on_delay
    Tof off_delay
    int64_t tripped_scan         # scan of the last rising edge
    int64_t lockout_ns           # start of the lockout window
    uint32_t trips               # rising edges since start; the start itself is none
    int32_t window_trips
    uint8_t status               # InterlockStatus
    uint8_t start                # still the trip it started with
    uint8_t first_out            # first of its group since that group was last clear
    uint8_t locked               # lock-out: auto became operator
    uint8_t cause                # the voted cause, before delays

cdef struct CauseState:
    uint8_t q                    # with hysteresis
    uint8_t bad
    uint8_t not_yet              # bad because nothing was received since start

cdef struct Permit:              # what the rows leave of one storage asset
    double charge_max_w
    double discharge_max_w
    int32_t row                  # row behind the worst effect, -1: none
    uint8_t effect               # worst Effect

cdef struct SitePermit:
    uint8_t shed                 # a row asks for all flexible load
    uint8_t refuse_shed
    uint8_t open_request
    uint8_t safe_state
    int32_t tripped              # rows not clear
    int32_t first_out_row        # newest first-out, -1: none

cdef struct Interlocks:
    int32_t rows
    int32_t storages
    const InterlockRow* table
    const CauseRow* causes
    const EffectRow* effects
    InterlockState* states
    CauseState* cause_states
    Permit* permits
    int32_t* group_first_out     # row, -1 while the group is clear
    int32_t* group_tripped       # rows of the group that are not clear, this scan
    SitePermit site

cdef void interlocks_start(Interlocks* table) noexcept nogil
cdef void interlocks_evaluate(
    Interlocks* table, const Image* image, int64_t scan, int64_t now_ns, int64_t dt_ns
) noexcept nogil
cdef int32_t interlocks_reset(Interlocks* table, int32_t row, Reset authority) noexcept nogil
