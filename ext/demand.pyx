"""Predictive demand: where the average power of a billing window will end.

A utility bills the average import of each quarter or half hour. What was drawn
in this window so far is known; if the rest is drawn at today's power the window
ends at the forecast. Windows follow the meter's sync pulse where there is one,
else the quarters of UTC as they stood at start, counted in monotonic time from
then on. Of a window that had begun before us, the part before counts as drawn at
the limit. Integers, W and ms, so that the forecast never falls when power rises.
"""

from libc.stdint cimport int64_t

cdef enum:
    NS_PER_MS = 1000000
    MJ_PER_J = 1000
    REST_MS_MIN = 1000           # closer to the end than that nothing can be steered


cdef int64_t whole_w(double power_w) noexcept nogil:
    """Power in whole W, bounded; what is no number counts as the bound."""
    if power_w < -<double> DEMAND_W_MAX:
        return -<int64_t> DEMAND_W_MAX
    if power_w < <double> DEMAND_W_MAX:
        return <int64_t> power_w
    return <int64_t> DEMAND_W_MAX


cdef void window_begin(Demand* demand, const DemandRow* row, int64_t elapsed_ms) noexcept nogil:
    """Begin a window of which elapsed_ms have passed unseen: they count as drawn at the limit."""
    demand.elapsed_ms = elapsed_ms
    demand.energy_mj = row.limit_w * elapsed_ms
    demand.started = True


cdef void window_end(
    Demand* demand, const DemandRow* row, int64_t power_w, bint awaits_pulse) noexcept nogil:
    """At its end go on into the next window with what is over, or stand until the pulse comes."""
    cdef int64_t over_ms = demand.elapsed_ms - row.window_ms
    demand.elapsed_ms = row.window_ms
    if awaits_pulse:
        demand.energy_mj -= power_w * over_ms
        return
    window_begin(demand, row, 0)
    demand.elapsed_ms = over_ms
    demand.energy_mj = power_w * over_ms


cdef void demand_update(
    Demand* demand, const DemandRow* row, double power_w, int64_t dt_ns, int64_t utc_ns,
    bint pulse, bint pulsed) noexcept nogil:
    """Add one scan.

    power_w  import positive; the caller gives the limit for one of bad quality
    utc_ns   asked once, for where the first window stands
    pulse    the meter's sync pulse has just come
    pulsed   the site has such a pulse: without one yet, and past its end, a window goes on
    """
    cdef int64_t whole_ns = dt_ns + demand.remainder_ns
    cdef int64_t dt_ms = whole_ns // NS_PER_MS

    if not demand.started:
        window_begin(demand, row, utc_ns // NS_PER_MS % row.window_ms)
        return
    demand.remainder_ns = whole_ns - dt_ms * NS_PER_MS
    if dt_ms > row.window_ms:
        window_begin(demand, row, 0 if pulse else row.window_ms - 1)
        return
    demand.energy_mj += whole_w(power_w) * dt_ms
    demand.elapsed_ms += dt_ms
    if pulse:
        demand.synced = True
        window_begin(demand, row, 0)
    elif demand.elapsed_ms >= row.window_ms:
        window_end(demand, row, whole_w(power_w), pulsed and demand.synced)


cdef int64_t demand_forecast_w(
    const Demand* demand, const DemandRow* row, double power_w) noexcept nogil:
    """Average power at which this window ends if power_w is drawn until then, W."""
    return (demand.energy_mj + whole_w(power_w) * (row.window_ms - demand.elapsed_ms)) \
        // row.window_ms


cdef int64_t demand_room_w(const Demand* demand, const DemandRow* row) noexcept nogil:
    """Power that may be drawn until the window's end so that it ends at the limit, W, >= 0."""
    cdef int64_t rest_ms = row.window_ms - demand.elapsed_ms
    cdef int64_t left_mj = row.limit_w * row.window_ms - demand.energy_mj
    if left_mj <= 0:
        return 0
    return left_mj // (rest_ms if rest_ms > <int64_t> REST_MS_MIN else <int64_t> REST_MS_MIN)


cdef int64_t demand_shortfall_w(
    const Demand* demand, const DemandRow* row, double power_w, double usable_j,
    double discharge_max_w) noexcept nogil:
    """By how much power_w is over the room even with the batteries' help, W, >= 0.

    usable_j         above every battery's floor; what is no number is none
    discharge_max_w  of all batteries; they can give the smaller of it and of
                     usable_j over the rest of the window
    """
    cdef int64_t rest_ms = row.window_ms - demand.elapsed_ms
    cdef int64_t help_w = whole_w(discharge_max_w) if discharge_max_w > 0.0 else 0
    cdef int64_t over_w = whole_w(power_w) - demand_room_w(demand, row)
    cdef int64_t energy_w
    if rest_ms < REST_MS_MIN:
        rest_ms = REST_MS_MIN
    energy_w = whole_w(usable_j * MJ_PER_J / rest_ms) if usable_j > 0.0 else 0
    if energy_w < help_w:
        help_w = energy_w
    return over_w - help_w if over_w > help_w else 0


cdef class DemandBench:
    """A demand window on its own; the tests' door."""

    cdef Demand demand
    cdef DemandRow row

    def __cinit__(self, int64_t limit_w, int64_t window_ms):
        if not 0 < window_ms <= DEMAND_WINDOW_MS_MAX or not 0 <= limit_w <= DEMAND_W_MAX:
            raise ValueError(f"window {window_ms} ms, limit {limit_w} W")
        self.row = DemandRow(limit_w, window_ms)

    def step(self, double power_w, int64_t dt_ns, int64_t utc_ns=0, bint pulse=False,
             bint pulsed=False, double usable_j=0.0, double discharge_max_w=0.0):
        """One scan: (forecast W, room W, shortfall W)."""
        demand_update(&self.demand, &self.row, power_w, dt_ns, utc_ns, pulse, pulsed)
        return (demand_forecast_w(&self.demand, &self.row, power_w),
                demand_room_w(&self.demand, &self.row),
                demand_shortfall_w(&self.demand, &self.row, power_w, usable_j, discharge_max_w))

    @property
    def window(self):
        """(energy so far mJ, elapsed ms)."""
        return self.demand.energy_mj, self.demand.elapsed_ms
