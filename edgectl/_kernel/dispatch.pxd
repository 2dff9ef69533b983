"""Dispatch: request, arbiter, interlocks, limits, ramp, deadband and dwell, setpoint, output.

A request is wanted, a setpoint is permitted, an output is written. Import
limits act this scan, economy waits. Battery power is charge positive.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.blocks cimport Hysteresis, Ramp
from edgectl._kernel.network cimport STORAGES_MAX
from edgectl._kernel.interlock cimport TIERS_MAX, Permit, SitePermit
from edgectl._kernel.process_image cimport Image
from edgectl._kernel.proof cimport EffectWindow, LimitProofRow, Proof, ProofRow

cdef enum:
    PV_MAX = 64
    REWRITES_MAX = 2             # interlock catalogue I22: re-write twice, then zero
    HEARTBEATS_MAX = 64

cpdef enum RequestSource:        # order is priority: the highest unexpired wins
    SOURCE_LOCAL = 0             # the kernel's own safe control
    SOURCE_PLAN = 1
    SOURCE_OPERATOR = 2

cpdef enum Binding:              # what bit last on the way from request to setpoint
    BINDING_NONE = 0
    BINDING_REJECTED = 1         # request not finite or beyond twice the rating: last safe kept
    BINDING_IMPORT_CAP = 2
    BINDING_EXPORT_MAX = 3
    BINDING_RATING = 4           # rating, reserve or full
    BINDING_INTERLOCK = 5
    BINDING_RAMP = 6
    BINDING_NOT_ARMED = 7

cdef struct StorageRow:
    double charge_rating_w
    double discharge_rating_w
    double capacity_j
    double reserve_ratio         # of capacity; dispatch never discharges below
    double ready_ratio           # kept for the import cap: steering never discharges below,
                                 # and what was used is charged again when there is room
    double full_ratio            # dispatch never charges above
    double ramp_w_per_s
    double deadband_w
    double economy_w             # what carbon steering may ask of it, either way
    int64_t refresh_ns           # write again at least this often
    int64_t dwell_ns             # economy changes no more often
    int32_t device               # converter
    int32_t output
    int32_t power_point
    int32_t soc_point            # ratio 0..1
    int32_t request_point        # internal points the kernel fills for interlocks
    int32_t setpoint_point
    int32_t rejected_point
    int32_t lapsed_point
    ProofRow proof

cdef struct PvRow:
    double rating_w
    double deadband_w
    int64_t refresh_ns
    int32_t device
    int32_t power_point
    int32_t output               # -1: cannot be limited
    int32_t readback_point
    LimitProofRow proof

cdef struct FlexibleRow:
    double floor_w               # IT power below which nothing is shed
    double deadband_w
    double release_w_per_s
    int64_t refresh_ns
    int64_t hold_ns
    double tier_ratio[TIERS_MAX] # of what can be deferred, that each tier of shedding asks
    int32_t device               # -1: the site has none
    int32_t output
    int32_t available_point      # W that could be deferred now
    int32_t deferred_point       # W that is deferred now

cdef struct HeartbeatRow:        # a counter that a device must see move, or it falls back itself
    int64_t wraps_at             # it goes on at 0 from here
    int64_t every_ns
    int32_t device
    int32_t output

cdef struct Heartbeat:
    int64_t beats                # last one written
    int64_t beat_ns              # 0: none yet

cdef struct DispatchRow:
    double import_cap_w
    double import_guard_w        # aim this far under the cap
    double export_max_w
    double carbon_high_g_per_kwh
    double carbon_low_g_per_kwh
    double carbon_deadband_g_per_kwh
    int32_t grid_point
    int32_t storages
    int32_t pvs
    int32_t heartbeats

cdef struct WantedRequest:       # from the mailbox
    double value_w
    int64_t expiry_ns            # monotonic; 0: none
    uint8_t source               # RequestSource
    uint8_t lapsed               # it ran out, and nothing has come in its place

cdef struct Storage:
    WantedRequest wanted
    Ramp ramp
    double request_w             # wanted, after the arbiter
    double setpoint_w            # permitted
    double output_w              # written
    double economy_w             # what carbon steering asks of it now
    int64_t output_ns            # when the output was committed; 0: never
    int64_t economy_ns           # last economy change
    Proof proof
    uint8_t source               # RequestSource that won
    uint8_t binding              # Binding
    uint8_t rejected
    uint8_t written              # committed in this scan

cdef struct Pv:
    EffectWindow window
    double setpoint_w
    double output_w
    int64_t output_ns
    uint8_t written

cdef struct Flexible:
    WantedRequest wanted
    double request_w
    double output_w
    int64_t raised_ns            # last time more was asked
    int64_t output_ns
    uint8_t written

cdef struct Dispatch:
    const DispatchRow* row
    const StorageRow* storage_rows
    const PvRow* pv_rows
    const FlexibleRow* flexible_row
    const HeartbeatRow* heartbeat_rows
    Heartbeat heartbeats[HEARTBEATS_MAX]
    Storage storages[STORAGES_MAX]
    Pv pvs[PV_MAX]
    Flexible flexible
    WantedRequest import_cap     # may only lower the site's own
    Hysteresis carbon_high
    Hysteresis carbon_low
    double grid_w
    double battery_w
    double pv_w
    double it_w
    double net_w                 # grid without the battery
    double load_w                # what the grid would carry with neither battery nor deferral
    double import_cap_w          # in force
    double carbon_g_per_kwh
    int64_t open_ns              # when the open request was last written; 0: never
    uint8_t open_written
    uint8_t carbon_known         # the feed is there; the default books, and steers nothing
    uint8_t grid_good
    double shortage_w            # what the batteries could not hold under the cap
    int32_t writes               # outputs committed in this scan
    uint8_t armed
    uint8_t dry_run
    uint8_t stopping             # bring every output to safe and ask for nothing more

cdef double permitted_w(
    double request_w, double charge_max_w, double discharge_max_w) noexcept nogil
cdef void dispatch_measure(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil
cdef void dispatch_decide(
    Dispatch* dispatch, Image* image, const Permit* permits, const SitePermit* site,
    int64_t now_ns, int64_t dt_ns) noexcept nogil
cdef void dispatch_start(Dispatch* dispatch) noexcept nogil
