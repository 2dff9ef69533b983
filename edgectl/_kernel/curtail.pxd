"""What gives way: the flexible load when the batteries cannot hold the import, PV on export."""

from libc.stdint cimport int64_t

from edgectl._kernel.dispatch cimport Dispatch
from edgectl._kernel.interlock cimport SitePermit
from edgectl._kernel.process_image cimport Image

cdef void flexible_decide(
    Dispatch* dispatch, const Image* image, const SitePermit* site, bint wanted,
    int64_t now_ns, int64_t dt_ns) noexcept nogil
cdef void pv_measure(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil
cdef void pv_decide(Dispatch* dispatch, int64_t dt_ns) noexcept nogil
