"""The Modbus master: one epoll loop over all links, and what is outstanding on each."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from edgectl._kernel.modbus cimport Framer, Request
from edgectl._kernel.process_image cimport Image

cdef enum:
    LINKS_MAX = 1024
    OUTSTANDING_MAX = 8          # requests on their way at once on a link whose device takes them
    LATE_IDS_MAX = 64            # expired transaction ids remembered per link: of 8 batches
    PROBES_MAX = 4096
    PROBE_WORDS_MAX = 10
    PROBE_ALTERNATIVES_MAX = 8
    FIRMWARE_RANGES_MAX = 4
    VERSION_PARTS_MAX = 4        # of 16 bits each, the first one highest
    SYNC_COUNTS = 3              # lengths of the reads that bring a serial unit in step, in turn

cpdef enum LinkKind:
    LINK_TCP = 0
    LINK_SERIAL = 1              # Modbus RTU; Python opens the port and hands it over

cpdef enum FirmwareDecode:       # how registers make a version
    FIRMWARE_NONE = 0            # the probe is one of identity
    FIRMWARE_WORDS = 1           # one part a register
    FIRMWARE_BYTES = 2           # one part a byte
    FIRMWARE_NIBBLES = 3         # x.y.zz in half byte, half byte and byte of one register
    FIRMWARE_TEXT = 4            # the numbers in a text

cdef struct LinkRow:
    int64_t connect_timeout_ns
    int64_t settle_ns            # after connect, before the first request
    int64_t gap_ns               # least time between a reply and the next request
    int64_t char_ns              # serial: one character on the line
    int64_t silence_ns           # serial: kept before each request, 3.5 characters or more
    int64_t idle_ns              # serial: what comes after so long begins a new frame
    int64_t latency_ns           # serial: of the adapter, a reply is awaited so much longer
    int32_t first_device         # the link's devices stand together
    int32_t devices
    int32_t timeouts_to_close    # in a row, over all its devices
    int32_t outstanding_max      # 1; up to OUTSTANDING_MAX where its one device takes more
    uint32_t ipv4                # host byte order
    uint16_t port
    uint8_t kind                 # LinkKind

cdef struct BusDeviceRow:
    int64_t timeout_ns
    int32_t link
    int32_t first_block
    int32_t blocks
    int32_t first_probe
    int32_t probes
    int32_t first_output
    int32_t outputs
    uint16_t sync_address        # serial: reads whose replies are as long as no other's of the
    uint16_t sync_counts[SYNC_COUNTS]    # ... device, nor as each other's
    uint8_t sync_function
    uint8_t unit
    uint8_t any_unit
    uint8_t counted              # in the health figures

cdef struct ProbeRow:            # one read at connect: identity, or the firmware's version
    uint64_t low[FIRMWARE_RANGES_MAX]    # versions from, as version_key makes them
    uint64_t high[FIRMWARE_RANGES_MAX]   # ... up to, without the latter
    int32_t ranges
    int32_t alternatives         # identity: any must match under the mask
    uint8_t decode               # FirmwareDecode
    uint16_t address
    uint16_t count
    uint8_t function
    uint16_t mask[PROBE_WORDS_MAX]
    uint16_t words[PROBE_ALTERNATIVES_MAX][PROBE_WORDS_MAX]

cpdef enum LinkState:
    LINK_DOWN = 0                # serial: also while no port was handed over
    LINK_CONNECTING = 1
    LINK_SETTLING = 2
    LINK_READY = 3
    LINK_WAITING = 4             # a reply is awaited, or several are

cpdef enum RequestKind:
    REQUEST_PROBE = 0
    REQUEST_READ = 1
    REQUEST_WRITE = 2
    REQUEST_SYNC = 3             # serial: after a lost reply, its words are dropped

cdef struct Exchange:            # one request and what is awaited of it
    int64_t sent_ns
    int64_t deadline_ns          # of its reply
    int64_t due_ns               # when the read was marked due
    const uint16_t* words        # that the write sends
    int32_t device
    int32_t item                 # its probe, block or output
    uint8_t kind                 # RequestKind
    uint8_t waiting              # it was sent, and neither answered nor given up
    Request request

cdef struct Link:
    int64_t deadline_ns          # of a reply, the connect, the settling, the gap or the next try
    int64_t heard_ns             # serial: last time that bytes came
    int64_t failed_ns            # when a failure was counted last: what was sent before is no other
    int64_t backoff_ns
    uint64_t random              # state of the jitter
    int32_t fd                   # -1: none
    uint32_t offered             # shared: an opened port for the link to take, fd + 1; 0: none
    int32_t device               # asked last
    int32_t outstanding          # exchanges that wait
    int32_t failures_in_row
    int32_t good_in_row
    int32_t turn                 # device served last, so that all have their turn
    int32_t outputs              # of its devices: so many writes go in a row while a read waits
    int32_t writes_in_row
    int32_t late_at
    uint16_t transaction         # last id used
    uint16_t late_ids[LATE_IDS_MAX]
    uint8_t late_known[LATE_IDS_MAX]
    uint8_t state                # LinkState
    uint8_t gap                  # READY, but the gap between requests still runs
    Exchange exchanges[OUTSTANDING_MAX]
    Framer framer

cdef struct BusDevice:
    int64_t hold_until_ns        # nothing is read of it before
    int64_t hold_ns              # length of its next hold
    int64_t quarantine_ns        # serial: nothing is sent to it before, a late reply may come
    int32_t probes_agreed
    int32_t failures_in_row
    int32_t turn                 # block read last, so that all have their turn
    int32_t unsynced             # serial: requests lost since a reply was surely the asked one
    int32_t sync_turn            # which of its lengths was asked for last
    uint32_t mute                # shared: 1 no writes, 2 nothing at all is sent to it
    uint8_t in_range             # its firmware is one that the profile may write to

cdef struct Bus:
    Image* image
    const LinkRow* link_rows
    const BusDeviceRow* device_rows
    const ProbeRow* probe_rows
    Link* links
    BusDevice* devices
    uint8_t* block_due
    int64_t* block_due_ns        # since when
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
cdef void bus_mark(Bus* bus, int64_t now_ns) noexcept nogil
cdef void bus_poll(Bus* bus, int64_t until_ns) noexcept nogil
cdef void bus_close(Bus* bus) noexcept nogil
