"""Function blocks of IEC 61131-3 2.5.2, and hysteresis and ramp beside them."""

from libc.stdint cimport int64_t, uint8_t

cdef struct Ton:                 # on-delay: q follows input after it held for pt
    int64_t elapsed_ns
    uint8_t timing               # input held at the scan before
    uint8_t q

cdef struct Tof:                 # off-delay: q follows input's fall after pt
    int64_t elapsed_ns
    uint8_t timing               # input was already gone at the scan before
    uint8_t q

cdef struct Sr:                  # set dominant
    uint8_t q

cdef struct RTrig:               # one scan true on a rising edge
    uint8_t before
    uint8_t q

cdef struct Hysteresis:
    uint8_t q

cdef struct Ramp:
    double out

cdef void ton(Ton* block, uint8_t input, int64_t pt_ns, int64_t dt_ns) noexcept nogil
cdef void tof(Tof* block, uint8_t input, int64_t pt_ns, int64_t dt_ns) noexcept nogil
cdef void sr(Sr* block, uint8_t set1, uint8_t reset) noexcept nogil
cdef void r_trig(RTrig* block, uint8_t clk) noexcept nogil
cdef void hysteresis_above(Hysteresis* block, double input, double on, double off) noexcept nogil
cdef void hysteresis_below(Hysteresis* block, double input, double on, double off) noexcept nogil
cdef void ramp(Ramp* block, double target, double step) noexcept nogil
