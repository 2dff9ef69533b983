"""What one scan leaves behind: its journal record and, now and then, the snapshot."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.scan cimport KernelState

cdef struct Moment:              # of one scan
    int64_t now_ns               # monotonic, its start
    int64_t utc_ns
    int64_t period
    int64_t lateness_ns
    int64_t dt_ns                # since the scan before
    double aux_w
    int32_t mails                # requests taken

cdef uint8_t* record_write(KernelState* state, const Moment* moment) noexcept nogil
cdef void snapshot_write(
    const KernelState* state, const uint8_t* record, uint8_t* place) noexcept nogil
