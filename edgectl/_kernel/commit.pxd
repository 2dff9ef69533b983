"""From permitted setpoint to output image: when a setpoint is written, and when not."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.dispatch cimport Dispatch
from edgectl._kernel.process_image cimport Image

cdef void dispatch_commit(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil
cdef void heartbeats_commit(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil
cdef void open_request_commit(
    Dispatch* dispatch, Image* image, int32_t output, uint8_t wanted, int64_t now_ns
) noexcept nogil
