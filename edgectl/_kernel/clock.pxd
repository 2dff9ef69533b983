"""Time, the scan's cadence, real-time scheduling and the witness."""

from libc.stdint cimport int32_t, int64_t, uint32_t

cpdef enum RtGrade:
    RT_OTHER = 0        # ordinary scheduling: deadlines are best effort
    RT_FIFO = 1         # SCHED_FIFO, memory not locked
    RT_FIFO_LOCKED = 2  # SCHED_FIFO and mlockall

cpdef enum CadenceStatus:
    CADENCE_ON_TIME = 0
    CADENCE_OVERRUN = 1  # whole periods were skipped; the phase was kept

cdef struct Cadence:
    int64_t origin_ns     # monotonic deadline of period 0
    int64_t period_ns
    int64_t index         # period being run, counted from 0
    int64_t overruns      # periods skipped since start
    int32_t in_row        # overrunning scans in a row, 0 after one on time

cdef struct Witness:
    int64_t origin_ns
    int64_t period_ns
    int64_t periods       # length of lateness_ns
    int64_t* lateness_ns  # by period index; -1 where the witness did not wake
    uint32_t stop

cdef int64_t monotonic_ns() noexcept nogil
cdef int64_t utc_ns() noexcept nogil
cdef int64_t thread_cpu_ns() noexcept nogil
cdef void sleep_until(int64_t deadline_ns) noexcept nogil
cdef int64_t cadence_deadline_ns(const Cadence* cadence) noexcept nogil
cdef CadenceStatus cadence_advance(Cadence* cadence, int64_t now_ns) noexcept nogil
cdef RtGrade enter_realtime(int32_t fifo_priority, int32_t cpu) noexcept nogil
cdef void wake(int32_t event_fd) noexcept nogil
cdef void witness_run(Witness* witness) noexcept nogil
