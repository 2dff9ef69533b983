"""One request and its outcome: what a link asks next, and what an answer means for a device."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from edgectl._kernel.fieldbus cimport Bus, Exchange

cdef bint exchange_choose(Bus* bus, int32_t at, Exchange* asked, int64_t now_ns) noexcept nogil
cdef void exchange_answered(
    Bus* bus, const Exchange* asked, const uint16_t* words, int64_t now_ns) noexcept nogil
cdef void exchange_refused(
    Bus* bus, const Exchange* asked, uint8_t exception, int64_t now_ns) noexcept nogil
cdef void exchange_failed(
    Bus* bus, int32_t at, const Exchange* asked, int64_t now_ns) noexcept nogil
cdef void exchange_connected(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil
cdef void exchange_lost(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil
