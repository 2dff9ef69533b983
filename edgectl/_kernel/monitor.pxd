"""Monitors: quantities that no device measures, derived from those that are, for the rows."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.demand cimport Demand, DemandRow
from edgectl._kernel.overload cimport CurveRow, Overload
from edgectl._kernel.process_image cimport Image

cdef enum:
    MONITORS_MAX = 256
    INPUTS_MAX = 1024
    EDGES_MAX = 16               # edges a count remembers: it reads at most so many

cpdef enum MonitorKind:
    MONITOR_RATE = 0             # per second, over window_ns; either way when `absolute`
    MONITOR_SPREAD = 1           # greatest less least input
    MONITOR_IMBALANCE = 2        # greatest distance from the mean, over the mean
    MONITOR_BALANCE = 3          # first input less the sum of the others, over the first
    MONITOR_MISMATCH = 4         # 1 while an input differs from the first
    MONITOR_DIFFERENCE = 5       # first less second, either way
    MONITOR_UNCHANGED = 6        # s since the raw words of any input last changed
    MONITOR_DWELL = 7            # s since the input last went on or off
    MONITOR_COULOMB = 8          # state of charge less what was charged into it
    MONITOR_COUNT = 9            # times within window_ns that the input passed the level
    MONITOR_OPPOSED = 10         # W that one input charges and another discharges
    MONITOR_INVERSE_TIME = 11    # 1 where an inverse-time relay would trip
    MONITOR_DEMAND_FORECAST = 12
    MONITOR_DEMAND_ROOM = 13
    MONITOR_DEMAND_SHORTFALL = 14

cdef struct MonitorRow:
    double level                 # what is on (dwell), the level (count), the least whole (ratios)
    double capacity_j            # coulomb
    int64_t window_ns
    DemandRow demand
    int32_t first_input
    int32_t inputs
    int32_t output_point
    int32_t first_curve
    uint8_t kind                 # MonitorKind
    uint8_t absolute             # rate either way
    uint8_t below                # count: passing the level downwards

cdef struct MonitorState:
    Overload overload
    Demand demand
    double value                 # of a rate: of the last whole window
    double base                  # input at base_ns
    double charged_j             # since base_ns
    int64_t base_ns              # source time (rate), monotonic (others); 0: not yet
    int64_t edges_ns[EDGES_MAX]
    int32_t edge                 # place of the newest edge
    uint8_t on
    uint8_t valued               # value has been worked out once

cdef struct Storages:            # what the batteries could still give
    double usable_j
    double discharge_max_w

cdef struct Monitors:
    int32_t rows
    const MonitorRow* table
    const int32_t* inputs        # points
    const CurveRow* curves
    MonitorState* states
    Storages storages

cdef void monitors_evaluate(
    Monitors* monitors, Image* image, int64_t now_ns, int64_t dt_ns, int64_t utc_ns
) noexcept nogil
