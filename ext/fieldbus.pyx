"""The Modbus master: one epoll loop over all links.

The bus starts its burst of reads a set time before each scan, takes replies as
they come, and writes what the scan committed as soon as it is woken. It holds
no GIL, and after start it allocates nothing.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from edgectl._kernel.atomic cimport exchange32, load32, store32, store64
from edgectl._kernel.clock cimport enter_realtime, monotonic_ns, thread_cpu_ns, wake
from edgectl._kernel.kernel cimport Kernel
from edgectl._kernel.link cimport (
    link_connected, link_expired, link_next, link_readable, link_start, link_stop)
from edgectl._kernel.process_image cimport BLOCK_WORDS_MAX, BUFFER_NEW

cdef extern from *:
    """
    #include <errno.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/eventfd.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    /* epoll_pwait2 has ns (Linux 5.11); older kernels round up to the next ms. */
    static int edgectl_wait(int epoll_fd, struct epoll_event *events, int most, int64_t wait_ns)
    {
        static int coarse = 0;
        int count;
    #ifdef SYS_epoll_pwait2
        if (!coarse) {
            struct timespec wait;
            wait.tv_sec = wait_ns / 1000000000;
            wait.tv_nsec = wait_ns % 1000000000;
            count = (int)syscall(SYS_epoll_pwait2, epoll_fd, events, most, &wait, NULL, 0);
            if (count >= 0 || errno != ENOSYS)
                return count;
            coarse = 1;
        }
    #endif
        count = epoll_wait(epoll_fd, events, most, (int)((wait_ns + 999999) / 1000000));
        return count;
    }
    static int edgectl_watch_wake(int epoll_fd, int fd)
    {
        struct epoll_event event;
        memset(&event, 0, sizeof event);
        event.events = EPOLLIN;
        event.data.u32 = UINT32_MAX;
        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
    static inline uint32_t edgectl_event_link(const struct epoll_event *e) { return e->data.u32; }
    static inline int edgectl_event_ends(const struct epoll_event *e)
    {
        return (e->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    }
    """
    cdef struct epoll_event:
        uint32_t events
    int edgectl_wait(int epoll_fd, epoll_event* events, int most, int64_t wait_ns) nogil
    int edgectl_watch_wake(int epoll_fd, int fd) nogil
    uint32_t edgectl_event_link(const epoll_event* event) nogil
    bint edgectl_event_ends(const epoll_event* event) nogil
    int epoll_create1(int flags) nogil
    int eventfd(unsigned int start, int flags) nogil
    int close(int fd) nogil
    ssize_t read(int fd, void* place, size_t size) nogil
    enum: EPOLL_CLOEXEC
    enum: EFD_NONBLOCK
    enum: EFD_CLOEXEC

cdef enum:
    EVENTS_MAX = 64              # events taken from one epoll_wait
    WAKE_LINK = 0xFFFFFFFF       # the eventfd, in place of a link index


cdef void serve_timers(Bus* bus, int64_t now_ns) noexcept nogil:
    """Expire deadlines that have passed, and find the earliest of the rest.

    timer_ns may be earlier than any link's deadline (a reply came first); then
    this finds nothing to expire. At most once a deadline set, so it is cheap.
    """
    cdef int32_t at
    bus.timer_ns = INT64_MAX
    for at in range(bus.links_count):
        if bus.links[at].deadline_ns <= now_ns:
            link_expired(bus, at, now_ns)
        if bus.links[at].deadline_ns < bus.timer_ns:
            bus.timer_ns = bus.links[at].deadline_ns


cdef void serve_burst(Bus* bus, int64_t now_ns) noexcept nogil:
    """Mark the reads that are due for the coming scan, and start every idle link."""
    cdef int32_t at
    cdef int64_t late_ns
    bus_mark(bus, now_ns)
    for at in range(bus.links_count):
        link_next(bus, at, now_ns)
    bus.period += 1
    late_ns = now_ns - burst_ns(bus)
    if late_ns > 0:
        bus.period += late_ns // bus.period_ns + 1
    store64(bus.cpu_ns, thread_cpu_ns())


cdef void bus_mark(Bus* bus, int64_t now_ns) noexcept nogil:
    """Mark the reads that are due in bus.period."""
    cdef int32_t at
    for at in range(bus.image.blocks):
        if bus.period % bus.image.block_rows[at].every == bus.image.block_rows[at].phase:
            if not bus.block_due[at]:
                bus.block_due_ns[at] = now_ns
            bus.block_due[at] = True


cdef int64_t burst_ns(const Bus* bus) noexcept nogil:
    """When the read burst for the coming scan begins."""
    return bus.origin_ns + bus.period * bus.period_ns - bus.lead_ns


cdef void serve_writes(Bus* bus, int64_t now_ns) noexcept nogil:
    """The scan committed outputs: write at once where the link is idle, else next on it."""
    cdef uint64_t count
    cdef int32_t output
    read(bus.event_fd, &count, sizeof(count))
    for output in range(bus.image.outputs):
        if load32(&bus.image.output_buffers[output].middle) & BUFFER_NEW:
            link_next(bus, bus.device_rows[bus.image.output_rows[output].device].link, now_ns)


cdef void serve_event(Bus* bus, const epoll_event* event, int64_t now_ns) noexcept nogil:
    """One event: the scan's wake-up, a connection that came about, or bytes."""
    cdef uint32_t at = edgectl_event_link(event)
    if at == WAKE_LINK:
        serve_writes(bus, now_ns)
    elif bus.links[at].fd < 0:
        return
    elif bus.links[at].state == LINK_CONNECTING:
        link_connected(bus, at, now_ns)
    else:
        link_readable(bus, at, edgectl_event_ends(event), now_ns)


cdef void bus_poll(Bus* bus, int64_t until_ns) noexcept nogil:
    """Wait for the next event, timer or burst, at most until a monotonic time, and serve it."""
    cdef epoll_event events[EVENTS_MAX]
    cdef int64_t now_ns = monotonic_ns()
    cdef int64_t wake_ns = until_ns
    cdef int32_t count, at

    if bus.timer_ns < wake_ns:
        wake_ns = bus.timer_ns
    if burst_ns(bus) < wake_ns:
        wake_ns = burst_ns(bus)
    count = edgectl_wait(
        bus.epoll_fd, events, EVENTS_MAX, wake_ns - now_ns if wake_ns > now_ns else 0)
    now_ns = monotonic_ns()
    for at in range(count):
        serve_event(bus, &events[at], now_ns)
        now_ns = monotonic_ns()
    if now_ns >= bus.timer_ns:
        serve_timers(bus, now_ns)
    if now_ns >= burst_ns(bus):
        serve_burst(bus, now_ns)


cdef void bus_open(Bus* bus, int64_t now_ns) noexcept nogil:
    """Start every link; the scan's cadence must be set."""
    cdef int32_t at
    bus.timer_ns = INT64_MAX
    for at in range(bus.links_count):
        link_start(bus, at, now_ns)


cdef void bus_close(Bus* bus) noexcept nogil:
    """Close every connection."""
    cdef int32_t at
    for at in range(bus.links_count):
        link_stop(bus, at)


cdef class FieldBus:
    """The master over a kernel's image. `run` is a thread's body and holds no GIL."""

    cdef Bus bus
    cdef Kernel kernel
    cdef object tables

    def __cinit__(self, Kernel kernel, const LinkRow[::1] links,
                  const BusDeviceRow[::1] devices, const ProbeRow[::1] probes):
        cdef Bus* bus = &self.bus
        self.kernel = kernel
        self.tables = (links, devices, probes)
        bus.image = &kernel.state.image
        bus.links_count = links.shape[0]
        bus.link_rows = &links[0] if links.shape[0] else NULL
        bus.device_rows = &devices[0] if devices.shape[0] else NULL
        bus.probe_rows = &probes[0] if probes.shape[0] else NULL
        bus.links = <Link*> calloc(max(links.shape[0], 1), sizeof(Link))
        bus.devices = <BusDevice*> calloc(max(devices.shape[0], 1), sizeof(BusDevice))
        bus.block_due = <uint8_t*> calloc(max(bus.image.blocks, 1), 1)
        bus.block_due_ns = <int64_t*> calloc(max(bus.image.blocks, 1), sizeof(int64_t))
        bus.block_hold_ns = <int64_t*> calloc(max(bus.image.blocks, 1), sizeof(int64_t))
        bus.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        bus.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if not (bus.links and bus.devices and bus.block_due and bus.block_due_ns
                and bus.block_hold_ns) or bus.epoll_fd < 0 or bus.event_fd < 0 \
                or edgectl_watch_wake(bus.epoll_fd, bus.event_fd) < 0:
            raise MemoryError("no memory or file descriptors left for the field bus")
        for at in range(bus.links_count):
            bus.links[at].fd = -1
        for at in range(devices.shape[0]):
            bus.links[devices[at].link].outputs += devices[at].outputs
        self._check(devices, probes)
        bus.period_ns = kernel.state.row.period_ns
        bus.lead_ns = kernel.state.row.lead_ns
        bus.cpu_ns, bus.rt_grade = &kernel.state.bus_cpu_ns, &kernel.state.bus_rt_grade
        kernel.state.wake_fd = bus.event_fd

    def _check(self, const BusDeviceRow[::1] devices, const ProbeRow[::1] probes):
        """Refuse what a link has no room for, before a reply proves it."""
        cdef const BusDeviceRow* row
        for at in range(self.bus.image.blocks):
            if not 1 <= self.bus.image.block_rows[at].count <= BLOCK_WORDS_MAX:
                raise ValueError(f"block {at} reads {self.bus.image.block_rows[at].count} items; "
                                 f"1 to {BLOCK_WORDS_MAX} fit")
        self._check_links()
        for at in range(probes.shape[0]):
            if not 1 <= probes[at].count <= PROBE_WORDS_MAX:
                raise ValueError(f"probe {at} reads {probes[at].count} registers; "
                                 f"1 to {PROBE_WORDS_MAX} fit")
        for at in range(devices.shape[0]):
            row = &devices[at]
            if self.bus.link_rows[row.link].kind == LINK_SERIAL and not (
                    1 <= row.sync_function <= 4 and row.any_unit == 0
                    and all(1 <= row.sync_counts[n] <= BLOCK_WORDS_MAX
                            for n in range(SYNC_COUNTS))):
                raise ValueError(f"device {at} is on a serial line: it needs a read to find its "
                                 "step by, and answers as itself")

    def _check_links(self):
        """Several at once are for one device of a connection of its own, asked without a pause."""
        cdef const LinkRow* row
        for at in range(self.bus.links_count):
            row = &self.bus.link_rows[at]
            alone = row.kind == LINK_TCP and row.devices == 1 and row.gap_ns == 0
            most = OUTSTANDING_MAX if alone else 1
            if not 1 <= row.outstanding_max <= most:
                raise ValueError(f"link {at} has {row.outstanding_max} requests outstanding at "
                                 f"once; 1 to {most} fit")

    def __dealloc__(self):
        bus_close(&self.bus)
        if self.bus.epoll_fd > 0:
            close(self.bus.epoll_fd)
        if self.bus.event_fd > 0:
            close(self.bus.event_fd)
        free(self.bus.links)
        free(self.bus.devices)
        free(self.bus.block_due)
        free(self.bus.block_due_ns)
        free(self.bus.block_hold_ns)

    def run(self, int64_t origin_ns, int fifo_priority, int cpu):
        """Serve the bus until stop; the thread's body.

        origin_ns      monotonic deadline of the scan's period 0
        fifo_priority  SCHED_FIFO priority wanted, 0 to stay as it is
        cpu            processor to stay on, -1 for any
        """
        cdef int64_t now_ns
        self.bus.origin_ns = origin_ns
        with nogil:
            if fifo_priority > 0:
                store64(self.bus.rt_grade, enter_realtime(fifo_priority, cpu))
            now_ns = monotonic_ns()
            bus_open(&self.bus, now_ns)
            while load32(&self.bus.stop) == 0:
                bus_poll(&self.bus, INT64_MAX)
            bus_close(&self.bus)

    def open(self, int64_t origin_ns):
        """Start the links without a thread, for single steps by poll()."""
        self.bus.origin_ns = origin_ns
        with nogil:
            bus_open(&self.bus, monotonic_ns())

    def poll(self, int64_t until_ns):
        """Serve until a monotonic time; for tests and commissioning."""
        with nogil:
            while monotonic_ns() < until_ns:
                bus_poll(&self.bus, until_ns)

    def stop(self):
        """End run() at its next event, at the latest with the next burst."""
        store32(&self.bus.stop, 1)
        wake(self.bus.event_fd)

    def offer_port(self, int link, int fd):
        """Hand an opened, configured, non-blocking serial port to a link, which owns it from now.

        One that was offered before and not taken is closed.
        """
        if not 0 <= link < self.bus.links_count or self.bus.link_rows[link].kind != LINK_SERIAL:
            raise ValueError(f"link {link} is no serial line of this bus")
        before = exchange32(&self.bus.links[link].offered, <uint32_t> fd + 1)
        if before > 0:
            close(<int> before - 1)

    def ports_wanted(self):
        """Serial links that have no port and were offered none."""
        return [at for at in range(self.bus.links_count)
                if self.bus.link_rows[at].kind == LINK_SERIAL
                and self.bus.links[at].state == LINK_DOWN
                and load32(&self.bus.links[at].offered) == 0]

    def mute(self, int device, int level):
        """Fall silent towards one device, to see what it does then.

        level  0 normal, 1 no writes, 2 nothing at all; the connection stays open
        """
        if not 0 <= device < self.bus.image.devices or not 0 <= level <= 2:
            raise ValueError(f"device {device}, level {level}: no such device or level")
        store32(&self.bus.devices[device].mute, level)

    @property
    def transactions(self):
        """Requests sent since start."""
        return self.bus.transactions

    def link_states(self):
        """LinkState of each link."""
        return [LinkState(self.bus.links[at].state) for at in range(self.bus.links_count)]
