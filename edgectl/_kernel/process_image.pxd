"""The process image: input blocks from the bus, samples, and the output image."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from edgectl._kernel.quality cimport Limits, Quality, Reason, Sample

cdef enum:
    POINTS_MAX = 65536
    DEVICES_MAX = 1024
    BLOCKS_MAX = 4096
    OUTPUTS_MAX = 256
    BLOCK_WORDS_MAX = 125        # one reply: MAP 6.3
    OUTPUT_WORDS_MAX = 16        # one command's block

cpdef enum PointType:
    TYPE_INTERNAL = 0            # written by the kernel itself
    TYPE_U16 = 1
    TYPE_S16 = 2
    TYPE_U32 = 3
    TYPE_S32 = 4
    TYPE_U64 = 5
    TYPE_S64 = 6
    TYPE_F32 = 7
    TYPE_F64 = 8
    TYPE_BIT = 9                 # one bit of a register, 0 the lowest

cpdef enum WordOrder:
    ORDER_HIGH_FIRST = 0
    ORDER_LOW_FIRST = 1          # bytes inside a word stay high first

cdef struct PointRow:            # what every scan reads of it stands first
    int16_t word                 # first word inside the block
    int16_t sf_word              # SunSpec scale factor in the same block, -1: none
    uint8_t type                 # PointType
    uint8_t word_order           # WordOrder
    uint8_t bit
    uint8_t has_sentinel
    Limits limits
    double scale                 # value = raw * scale * 10**sf + offset, sign folded in
    double offset
    uint64_t sentinel            # bits, high word first, that mean "not implemented"
    int32_t block                # -1: internal
    int32_t device               # -1: the site's own
    uint8_t journaled            # kept in every journal record

cdef struct BlockRow:
    int32_t device
    int32_t first_point          # the block's points stand together
    int32_t points
    int32_t every                # read at each every-th scan
    int32_t phase                # ... at scans where index % every == phase
    uint16_t address
    uint16_t count               # registers, or bits for functions 1 and 2
    uint8_t function             # 1 to 4

cdef struct BlockBuffer:         # triple buffer: neither side ever waits or retries
    uint16_t words[3][BLOCK_WORDS_MAX]
    int64_t done_ns[3]           # reply complete, monotonic
    int64_t stale_after_ns       # the least of its points; the scan's own
    uint32_t middle              # shared: index, plus BUFFER_NEW when not yet latched
    uint32_t fault               # shared: Reason of the last failed read, 0 when it was good
    uint8_t back                 # the bus's own
    uint8_t front                # the scan's own

cdef enum:
    BUFFER_INDEX = 3
    BUFFER_NEW = 4

cdef struct OutputRow:           # one command of one device
    double scale                 # raw = value / scale / 10**sf, sign folded in
    double raw_min               # of the type on the wire; outside is refused
    double raw_max
    int32_t device
    int32_t sf_point             # sample with the scale factor's exponent, -1: none
    uint16_t address
    uint16_t count
    int16_t value_word           # where the value goes inside the block
    uint8_t function             # 5, 6, 15 or 16
    uint8_t type                 # PointType of the value
    uint8_t word_order
    uint16_t template_words[OUTPUT_WORDS_MAX]

cdef struct OutputBuffer:        # triple buffer, scan to bus; latest wins
    uint16_t words[3][OUTPUT_WORDS_MAX]
    int64_t commit[3]            # commit number of each
    uint8_t withdrawn[3]         # nothing is to be sent in place of what waited
    uint32_t middle
    uint8_t back                 # the scan's own
    uint8_t front                # the bus's own
    int64_t committed            # the scan's own: last commit number
    int64_t sent                 # shared: last commit put on the wire
    int64_t done                 # shared: last commit whose fate is known
    int64_t done_ns              # shared: since when, monotonic; stored before done
    int64_t failed               # shared: writes refused, timed out or dropped, never repeated

cdef struct DeviceLink:          # written by the bus, read by the scan and the snapshot
    int64_t connected
    int64_t identified           # 1 once every identity probe agreed on this connection
    int64_t refused              # 1 when one did not: no write will ever be sent
    int64_t writable             # identified, and its firmware is one the profile may write to
    int64_t firmware             # version key read at connect; 0: the profile reads none
    int64_t good_ns              # last valid reply, monotonic; 0: never
    int64_t requests
    int64_t replies
    int64_t timeouts
    int64_t late_replies         # answers to a request given up earlier: dropped
    int64_t bad_replies          # broken frame, unknown id, other function, count or echo
    int64_t exceptions
    int64_t connects
    int64_t writes               # acknowledged
    int64_t write_failures
    int64_t round_trip_ns        # of the last reply
    int64_t round_trip_max_ns
    int64_t poll_ns              # from a read's due mark to its reply: the last,
    int64_t poll_max_ns          # ... and the longest since start

cdef struct Image:
    int32_t points
    int32_t blocks
    int32_t devices
    int32_t outputs
    const PointRow* point_rows
    const BlockRow* block_rows
    const OutputRow* output_rows
    Sample* samples
    BlockBuffer* block_buffers
    OutputBuffer* output_buffers
    DeviceLink* links
    int64_t* device_age_ns       # age of the oldest of a device's fast blocks, at latch
    uint8_t* device_fresh        # every due fast block arrived since the scan before

cpdef enum OutputStatus:
    OUTPUT_COMMITTED = 0
    OUTPUT_NOT_FINITE = 1
    OUTPUT_OUT_OF_RANGE = 2      # does not fit the register
    OUTPUT_NO_SCALE = 3          # the scale factor is not good

cdef void image_latch(Image* image, int64_t now_ns, int64_t period_ns) noexcept nogil
cdef void image_set(Image* image, int32_t point, double value, Quality quality, Reason reason,
                    int64_t source_ns) noexcept nogil
cdef OutputStatus image_commit(Image* image, int32_t output, double value) noexcept nogil
cdef void block_publish(BlockBuffer* buffer, int64_t done_ns) noexcept nogil
cdef void block_fault(BlockBuffer* buffer, Reason reason) noexcept nogil
cdef bint output_take(OutputBuffer* buffer) noexcept nogil
cdef void image_start(Image* image) noexcept nogil
