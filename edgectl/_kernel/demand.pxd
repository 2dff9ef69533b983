"""Predictive demand: where the average power of a billing window will end."""

from libc.stdint cimport int64_t, uint8_t

cdef enum:
    DEMAND_W_MAX = 20000000000   # 20 GW, either way: more is taken as this
    DEMAND_WINDOW_MS_MAX = 3600000

cdef struct DemandRow:
    int64_t limit_w              # average power a window may end at
    int64_t window_ms            # 15 or 30 min, at most DEMAND_WINDOW_MS_MAX

cdef struct Demand:
    int64_t energy_mj            # of this window so far, import positive
    int64_t elapsed_ms           # of this window
    int64_t remainder_ns         # of the last step, carried
    uint8_t started
    uint8_t synced               # a sync pulse has begun a window: boundaries are the meter's

cdef void demand_update(
    Demand* demand, const DemandRow* row, double power_w, int64_t dt_ns, int64_t utc_ns,
    bint pulse, bint pulsed) noexcept nogil
cdef int64_t demand_forecast_w(
    const Demand* demand, const DemandRow* row, double power_w) noexcept nogil
cdef int64_t demand_room_w(const Demand* demand, const DemandRow* row) noexcept nogil
cdef int64_t demand_shortfall_w(
    const Demand* demand, const DemandRow* row, double power_w, double usable_j,
    double discharge_max_w) noexcept nogil
