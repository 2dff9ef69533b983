"""One link of the Modbus master: a TCP connection with one or more devices (units) behind it."""

from libc.stdint cimport int32_t, int64_t

from edgectl._kernel.fieldbus cimport Bus

cdef void link_start(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil
cdef void link_stop(Bus* bus, int32_t at) noexcept nogil
cdef void link_next(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil
cdef void link_connected(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil
cdef void link_readable(Bus* bus, int32_t at, bint ends, int64_t now_ns) noexcept nogil
cdef void link_expired(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil
