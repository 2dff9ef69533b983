"""The Modbus TCP master: one epoll loop over all links, one request outstanding on each."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from edgectl._kernel.modbus cimport Framer, Request
from edgectl._kernel.process_image cimport Image

cdef enum:
    LINKS_MAX = 1024
    LATE_IDS_MAX = 16            # expired transaction ids remembered per link
    PROBES_MAX = 4096
    PROBE_WORDS_MAX = 10
    PROBE_ALTERNATIVES_MAX = 8

cdef struct LinkRow:
    int64_t connect_timeout_ns
    int64_t settle_ns            # after connect, before the first request
    int64_t gap_ns               # least time between a reply and the next request
    int32_t first_device         # the link's devices stand together
    int32_t devices
    int32_t timeouts_to_close    # in a row, over all its devices
    uint32_t ipv4                # host byte order
    uint16_t port

cdef struct BusDeviceRow:
    int64_t timeout_ns
    int32_t link
    int32_t first_block
    int32_t blocks
    int32_t first_probe
    int32_t probes
    int32_t first_output
    int32_t outputs
    uint8_t unit
    uint8_t any_unit
    uint8_t counted              # in the health figures

cdef struct ProbeRow:            # one identity read: any alternative must match under the mask
    int32_t alternatives
    uint16_t address
    uint16_t count
    uint8_t function
    uint16_t mask[PROBE_WORDS_MAX]
    uint16_t words[PROBE_ALTERNATIVES_MAX][PROBE_WORDS_MAX]

cpdef enum LinkState:
    LINK_DOWN = 0
    LINK_CONNECTING = 1
    LINK_SETTLING = 2
    LINK_READY = 3
    LINK_WAITING = 4             # one request outstanding

cpdef enum RequestKind:
    REQUEST_PROBE = 0
    REQUEST_READ = 1
    REQUEST_WRITE = 2

cdef struct Link:
    int64_t deadline_ns          # of the reply, the connect, the settling, the gap or the next try
    int64_t sent_ns
    int64_t backoff_ns
    uint64_t random              # state of the jitter
    int32_t fd                   # -1: none
    int32_t device               # of the outstanding request
    int32_t item                 # its probe, block or output
    int32_t failures_in_row
    int32_t good_in_row
    int32_t turn                 # device served last, so that all have their turn
    int32_t late_at
    uint16_t transaction         # last id used
    uint16_t late_ids[LATE_IDS_MAX]
    uint8_t late_known[LATE_IDS_MAX]
    uint8_t state                # LinkState
    uint8_t kind                 # RequestKind of the outstanding request
    uint8_t gap                  # READY, but the gap between requests still runs
    Request request
    Framer framer

cdef struct BusDevice:
    int64_t hold_until_ns        # nothing is asked of it before; INT64_MIN: no hold
    int32_t probes_agreed
    int32_t failures_in_row

cdef struct Bus:
    Image* image
    const LinkRow* link_rows
    const BusDeviceRow* device_rows
    const ProbeRow* probe_rows
    Link* links
    BusDevice* devices
    uint8_t* block_due
    int64_t* block_hold_ns       # a block the device refused is not asked before
    int32_t links_count
    int32_t epoll_fd
    int32_t event_fd             # the scan wakes the bus through it
    int64_t period_ns
    int64_t lead_ns
    int64_t origin_ns            # deadline of the scan's period 0
    int64_t period               # whose burst comes next
    int64_t timer_ns             # no link's deadline is earlier
    int64_t transactions
    int64_t* cpu_ns              # where the thread's CPU time is told
    int64_t* rt_grade
    uint32_t stop

cdef void bus_open(Bus* bus, int64_t now_ns) noexcept nogil
cdef void bus_poll(Bus* bus, int64_t until_ns) noexcept nogil
cdef void bus_close(Bus* bus) noexcept nogil
