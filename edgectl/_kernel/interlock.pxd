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
    TIERS_MAX = 4                # tiers of load that can be shed
    INJECTIONS_MAX = 8           # proof-test values at once

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
    EFFECT_HOLD = 1              # no start, no reversal, no increase: what is, or less
    EFFECT_LIMIT_CHARGE = 2      # clamp to the cause's value; 0 when it is bad
    EFFECT_LIMIT_DISCHARGE = 3
    EFFECT_LIMIT_IMPORT = 4      # clamp the import cap to the cause's value; no clamp when bad
    EFFECT_DERATE = 5            # clamp to a ratio of the rating, either way
    EFFECT_REFUSE_SHED = 6
    EFFECT_SHED = 7              # ask the flexible load for a tier of what it has
    EFFECT_BLOCK_COMMAND = 8     # no request from outside is heard
    EFFECT_INHIBIT_CHARGE = 9
    EFFECT_INHIBIT_DISCHARGE = 10
    EFFECT_RAMP_TO_ZERO = 11
    EFFECT_ZERO = 12
    EFFECT_OPEN_REQUEST = 13     # zero, and ask the hard-wired breaker to open
    EFFECT_SAFE_STATE = 14       # everything to safe: zero all, no request heard

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

cpdef enum RowFlag:              # bits beside the status, as journaled
    ROW_START = 1                # still the trip it started with
    ROW_FIRST_OUT = 2
    ROW_LOCKED = 4
    ROW_BYPASSED = 8
    ROW_DISCREPANT = 16          # its causes contradict each other
    ROW_UNDER_TEST = 32
    ROW_CAUSE = 64               # the voted cause, before delays

cdef struct CauseRow:
    double on
    double off
    int32_t point
    uint8_t op                   # CauseOp

cdef struct EffectRow:
    double value                 # ratio of the rating (derate), tier (shed), else 0
    int32_t target               # storage index; -1: every storage asset
    uint8_t effect               # Effect

cdef struct InterlockRow:
    int64_t on_delay_ns
    int64_t off_delay_ns
    int64_t lockout_window_ns    # lockout_trips within it turn auto into operator; INT64_MAX: never
    int64_t discrepancy_ns       # causes that contradict each other so long are told; 0: never
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
    Ton discrepancy
    int64_t tripped_scan         # scan of the last rising edge
    int64_t lockout_ns           # start of the lockout window
    int64_t bypass_until_ns      # monotonic; 0: not bypassed
    uint32_t trips               # rising edges since start; the start itself is none
    int32_t window_trips
    uint8_t status               # InterlockStatus
    uint8_t start                # still the trip it started with
    uint8_t first_out            # first of its group since that group was last clear
    uint8_t locked               # lock-out: auto became operator
    uint8_t cause                # the voted cause, before delays
    uint8_t bypassed             # in this scan: evaluated and shown, without effect

cdef struct CauseState:
    uint8_t q                    # with hysteresis
    uint8_t bad
    uint8_t not_yet              # bad because nothing was received since start
    uint8_t test                 # what a proof test's value says, beside the real one

cdef struct Injection:           # a proof test's value beside one cause's sample
    double value
    int64_t until_ns             # monotonic; 0: none
    int32_t cause                # row of the cause table
    int32_t row

cdef struct Permit:              # what the rows leave of one storage asset
    double charge_max_w
    double discharge_max_w
    double derate_ratio          # of the rating, 0..1
    int32_t row                  # row behind the worst effect, -1: none
    uint8_t effect               # worst Effect
    uint8_t hold
    uint8_t block_command
    uint8_t ramp_to_zero

cdef struct SitePermit:
    double import_max_w          # lowest limit on the import, infinity: none
    uint8_t shed_tier            # highest tier that a row asks to shed, 0: none
    uint8_t refuse_shed
    uint8_t open_request
    uint8_t safe_state
    int32_t tripped              # rows not clear
    int32_t first_out_row        # newest first-out, -1: none
    int32_t bypassed             # rows without effect by authority
    int32_t discrepant           # rows whose causes contradict each other

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
    Injection injections[INJECTIONS_MAX]
    int64_t maintenance_until_ns # monotonic; 0: no maintenance mode

cdef void interlocks_start(Interlocks* table) noexcept nogil
cdef void interlocks_evaluate(
    Interlocks* table, const Image* image, int64_t scan, int64_t now_ns, int64_t dt_ns
) noexcept nogil
