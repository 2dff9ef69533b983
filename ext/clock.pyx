"""Time, the scan's cadence, real-time scheduling and the witness.

All deciding is done on CLOCK_MONOTONIC; UTC is read for reports alone. The
cadence keeps absolute deadlines: after an overrun it skips whole periods and
keeps the phase, never bursts and never re-bases.
"""

from libc.errno cimport EINTR
from libc.stdint cimport int32_t, int64_t, uint32_t

from edgectl._kernel.atomic cimport load32, store32, store64

cdef extern from "<time.h>" nogil:
    ctypedef int clockid_t
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME
    int CLOCK_THREAD_CPUTIME_ID
    int TIMER_ABSTIME
    int clock_gettime(clockid_t clock, timespec* now)
    int clock_nanosleep(clockid_t clock, int flags, const timespec* until, timespec* remain)

cdef extern from "<sys/mman.h>" nogil:
    int MCL_CURRENT
    int MCL_FUTURE
    int mlockall(int flags)

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void* place, size_t size)

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <pthread.h>
    #include <sched.h>
    #include <string.h>
    static int edgectl_fifo(int priority)
    {
        struct sched_param param;
        memset(&param, 0, sizeof param);
        param.sched_priority = priority;
        return pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
    }
    static int edgectl_pin(int cpu)
    {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
    /* Touches the stack that the thread will use, so that no page fault comes later. */
    static void edgectl_prefault_stack(void)
    {
        volatile unsigned char page[256 * 1024];
        size_t at;
        for (at = 0; at < sizeof page; at += 1024)
            page[at] = 1;
    }
    """
    int edgectl_fifo(int priority) nogil
    int edgectl_pin(int cpu) nogil
    void edgectl_prefault_stack() nogil

cdef enum:
    NS_PER_S = 1000000000


cdef int64_t read_clock(clockid_t clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t> now.tv_sec * NS_PER_S + now.tv_nsec


cdef int64_t monotonic_ns() noexcept nogil:
    """Nanoseconds since an arbitrary start, never stepped: what decisions use."""
    return read_clock(CLOCK_MONOTONIC)


cdef int64_t utc_ns() noexcept nogil:
    """Nanoseconds since 1970 UTC, may be stepped: for reports alone."""
    return read_clock(CLOCK_REALTIME)


cdef int64_t thread_cpu_ns() noexcept nogil:
    """CPU time of the calling thread, ns."""
    return read_clock(CLOCK_THREAD_CPUTIME_ID)


cdef void sleep_until(int64_t deadline_ns) noexcept nogil:
    """Sleep to an absolute monotonic time; signals do not shorten it."""
    cdef timespec until
    until.tv_sec = deadline_ns // NS_PER_S
    until.tv_nsec = deadline_ns % NS_PER_S
    while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR:
        pass


cdef int64_t cadence_deadline_ns(const Cadence* cadence) noexcept nogil:
    """Monotonic start of the period to be run."""
    return cadence.origin_ns + cadence.index * cadence.period_ns


cdef CadenceStatus cadence_advance(Cadence* cadence, int64_t now_ns) noexcept nogil:
    """Move on to the first period whose start is not yet past at now_ns.

    cadence  changed in place: index, overruns (periods skipped), in_row
    now_ns   monotonic, when the scan ended

    A period that starts exactly now is still run.
    """
    cdef int64_t next_index = cadence.index + 1
    cdef int64_t late_ns = now_ns - (cadence.origin_ns + next_index * cadence.period_ns)
    cdef int64_t skipped = 0

    if late_ns > 0:
        skipped = (late_ns + cadence.period_ns - 1) // cadence.period_ns
    cadence.index = next_index + skipped
    cadence.overruns += skipped
    if skipped == 0:
        cadence.in_row = 0
        return CADENCE_ON_TIME
    cadence.in_row += 1
    return CADENCE_OVERRUN


cdef RtGrade enter_realtime(int32_t fifo_priority, int32_t cpu) noexcept nogil:
    """Give the calling thread SCHED_FIFO, its processor, and memory that stays.

    fifo_priority  1 to 99
    cpu            processor to stay on; -1: any

    Returns the grade reached; a refusal (no CAP_SYS_NICE, low RLIMIT_MEMLOCK)
    lowers the grade and is no error.
    """
    cdef bint locked = mlockall(MCL_CURRENT | MCL_FUTURE) == 0
    if cpu >= 0:
        edgectl_pin(cpu)
    edgectl_prefault_stack()
    if edgectl_fifo(fifo_priority) != 0:
        return RT_OTHER
    return RT_FIFO_LOCKED if locked else RT_FIFO


cdef void wake(int32_t event_fd) noexcept nogil:
    """Wake the thread that waits on an eventfd."""
    cdef int64_t one = 1
    write(event_fd, &one, sizeof(one))


cdef void witness_run(Witness* witness) noexcept nogil:
    """Sleep to the scan's deadlines and do nothing else but note how late it woke.

    It tells the host's own stalls from the scan's. Ends when stop is set or
    its table is full.
    """
    cdef int64_t index = 0
    cdef int64_t deadline_ns, now_ns
    while index < witness.periods and load32(&witness.stop) == 0:
        deadline_ns = witness.origin_ns + index * witness.period_ns
        sleep_until(deadline_ns)
        now_ns = monotonic_ns()
        store64(&witness.lateness_ns[index], now_ns - deadline_ns)
        index += 1
        if witness.origin_ns + index * witness.period_ns < now_ns:
            index = (now_ns - witness.origin_ns) // witness.period_ns + 1


cdef class WitnessThread:
    """A witness for `periods` periods; `run` is a thread's body and holds no GIL."""

    cdef Witness witness
    cdef int64_t[::1] lateness

    def __cinit__(self, int64_t[::1] lateness_ns):
        """lateness_ns  one entry a period, filled with -1; kept until the thread has ended."""
        self.lateness = lateness_ns
        self.witness.lateness_ns = &lateness_ns[0]
        self.witness.periods = lateness_ns.shape[0]

    def run(self, int64_t origin_ns, int64_t period_ns, int fifo_priority, int cpu):
        """Sleep to every deadline until stop; same scheduling class and processor as the scan."""
        self.witness.origin_ns, self.witness.period_ns = origin_ns, period_ns
        with nogil:
            if fifo_priority > 0:
                enter_realtime(fifo_priority, cpu)
            witness_run(&self.witness)

    def stop(self):
        """End run() at its next deadline."""
        store32(&self.witness.stop, 1)


def now_ns():
    """CLOCK_MONOTONIC in ns, the clock the kernel decides by."""
    return monotonic_ns()


def cadence_run(int64_t origin_ns, int64_t period_ns, ends_ns):
    """Period indices run, overruns and in_row for scans that end at ends_ns; the tests' door."""
    cdef Cadence cadence = Cadence(origin_ns, period_ns, 0, 0, 0)
    indices = []
    for end_ns in ends_ns:
        indices.append(cadence.index)
        cadence_advance(&cadence, end_ns)
    return indices, cadence.overruns, cadence.in_row
