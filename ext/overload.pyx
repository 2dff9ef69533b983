"""Inverse-time overload: IEC 60255-151 and IEEE C37.112 curves as an integrator.

The curve t(M) is made at load into CURVE_POINTS steps of rate 1/t, below pick-up
negative, as IEEE C37.112-2018 4.3 has the reset. Each scan adds rate * dt; at one
the relay would have operated. Integers, and a table that never falls (checked at
load), so that more current never trips later; that is proved, where a power
function could not be.
"""

from libc.stdint cimport int32_t, int64_t

cdef enum:
    HEAT_TRIP_P = 1000000000000  # 1e-12 of a trip
    HEAT_MAX_P = 1250000000000   # beyond the trip it gathers no more: it must cool from here
    NS_PER_US = 1000


cdef int32_t curve_step(const CurveRow* curve, double value) noexcept nogil:
    """Index of the last step that begins at or under the value; 0 for one that is no number."""
    cdef int32_t low = 0
    cdef int32_t high = CURVE_POINTS
    cdef int32_t middle, turn
    for turn in range(9):        # 2^9 is CURVE_POINTS
        middle = (low + high) // 2
        if value >= curve[middle].from_value:
            low = middle
        else:
            high = middle
    return low


cdef int64_t heat_after(int64_t heat_p, int64_t rate_p_per_us, int64_t dt_us) noexcept nogil:
    """Heat after a step, between cold and HEAT_MAX_P; the step's length is bounded before."""
    cdef int64_t heat = heat_p + rate_p_per_us * dt_us
    if heat < 0:
        return 0
    return heat if heat < <int64_t> HEAT_MAX_P else <int64_t> HEAT_MAX_P


cdef void overload_update(
    Overload* overload, const CurveRow* curve, double value, int64_t dt_ns) noexcept nogil:
    """Let a quantity act for dt_ns.

    curve  CURVE_POINTS steps, neither column ever falling
    value  magnitude in the curve's unit; the caller leaves out one of bad quality
    """
    cdef int64_t whole_ns = dt_ns + overload.remainder_ns
    cdef int64_t dt_us = whole_ns // NS_PER_US
    overload.remainder_ns = whole_ns - dt_us * NS_PER_US
    if dt_us > OVERLOAD_DT_US_MAX:
        dt_us = OVERLOAD_DT_US_MAX
    overload.heat_p = heat_after(
        overload.heat_p, curve[curve_step(curve, value)].rate_p_per_us, dt_us)


def overload_trace(const CurveRow[::1] curve, values, int64_t dt_ns):
    """Heat, 1 being the trip, after each value; the tests' door."""
    cdef Overload overload = Overload(0, 0)
    if curve.shape[0] != CURVE_POINTS:
        raise ValueError(f"a curve has {CURVE_POINTS} steps, not {curve.shape[0]}")
    heats = []
    for value in values:
        overload_update(&overload, &curve[0], value, dt_ns)
        heats.append(overload.heat_p / <double> HEAT_TRIP_P)
    return heats
