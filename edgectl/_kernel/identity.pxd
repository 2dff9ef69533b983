"""Who a device says it is: a reply to a probe held against the profile, and its version."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint64_t

from edgectl._kernel.fieldbus cimport ProbeRow

cdef bint probe_agrees(const ProbeRow* probe, const uint16_t* words) noexcept nogil
cdef uint64_t version_key(uint8_t decode, const uint16_t* words, int32_t count) noexcept nogil
cdef bint in_ranges(const ProbeRow* probe, uint64_t key) noexcept nogil
