"""Inverse-time overload: IEC 60255-151 and IEEE C37.112 curves as an integrator."""

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef enum:
    CURVE_POINTS = 512           # steps of one curve, in rising order of the quantity
    CURVES_MAX = 64
    OVERLOAD_DT_US_MAX = 10000000    # a longer step counts as this one: 10 s

cdef struct CurveRow:            # one step: from this quantity on, this rate
    double from_value            # unit of the monitored point
    int64_t rate_p_per_us        # 1e-12 of a trip per us; below 0: it cools down

cdef struct Overload:
    int64_t heat_p               # 1e-12 of a trip; 1e12 is the trip
    int64_t remainder_ns         # of the last step, carried

cdef int32_t curve_step(const CurveRow* curve, double value) noexcept nogil
cdef void overload_update(
    Overload* overload, const CurveRow* curve, double value, int64_t dt_ns) noexcept nogil
