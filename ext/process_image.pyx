"""The process image: input blocks from the bus, samples, and the output image.

Each block and each output is a triple buffer between the fieldbus thread and
the scan: the writer fills its back buffer and exchanges it with the middle,
the reader exchanges its front with the middle when that is new. Neither waits,
neither retries, and the reader always has the newest whole reply. (A double
buffer would need a retry when the writer laps the reader.)
"""

from libc.math cimport fabs, isfinite
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from edgectl._kernel.atomic cimport exchange32, load32, store32
from edgectl._kernel.quality cimport (
    QUALITY_BAD, QUALITY_GOOD, REASON_CONFIGURATION, REASON_NONE, REASON_NOT_IMPLEMENTED,
    REASON_NOT_YET, REASON_STALE, quality_age, quality_judge, quality_lost)

cdef enum:
    SF_MAX = 10                  # SunSpec sunssf: -10 to 10

cdef extern from "<math.h>" nogil:
    long long llrint(double x)

cdef extern from *:
    """
    static const double edgectl_pow10[21] = {
        1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0,
        1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
    """
    const double POW10 "edgectl_pow10"[21]


cdef uint64_t point_bits(const PointRow* row, const uint16_t* words) noexcept nogil:
    """The point's bits, highest word first whatever the word order on the wire."""
    cdef const uint16_t* w = words + row.word
    if row.type == TYPE_U16 or row.type == TYPE_S16:
        return w[0]
    if row.type == TYPE_U32 or row.type == TYPE_S32 or row.type == TYPE_F32:
        if row.word_order == ORDER_LOW_FIRST:
            return (<uint64_t> w[1] << 16) | w[0]
        return (<uint64_t> w[0] << 16) | w[1]
    if row.type == TYPE_BIT:
        return (w[0] >> row.bit) & 1
    if row.word_order == ORDER_LOW_FIRST:
        return (<uint64_t> w[3] << 48) | (<uint64_t> w[2] << 32) | (<uint64_t> w[1] << 16) | w[0]
    return (<uint64_t> w[0] << 48) | (<uint64_t> w[1] << 32) | (<uint64_t> w[2] << 16) | w[3]


cdef double bits_number(uint8_t type, uint64_t bits) noexcept nogil:
    """The number that bits mean in a type."""
    cdef uint32_t low = <uint32_t> bits
    cdef float single
    cdef double number
    if type == TYPE_F32:
        memcpy(&single, &low, 4)
        return single
    if type == TYPE_S16:
        return <int> <short> <uint16_t> bits
    if type == TYPE_S32:
        return <int32_t> low
    if type == TYPE_S64:
        return <double> <int64_t> bits
    if type == TYPE_F64:
        memcpy(&number, &bits, 8)
        return number
    return <double> bits


cdef void point_decode(
    const PointRow* row, Sample* sample, const uint16_t* words, int64_t done_ns) noexcept nogil:
    """Decode one point of a fresh block into its sample.

    The same words as before from a good sample mean the same value: only its
    source time moves, unless it has stood still for too long.
    """
    cdef uint64_t bits = point_bits(row, words)
    cdef double scale = row.scale
    cdef int32_t exponent

    if bits == sample.raw and sample.quality == QUALITY_GOOD and row.sf_word < 0 \
            and done_ns - sample.changed_ns <= row.limits.frozen_after_ns:
        sample.source_ns = done_ns
        return
    if row.has_sentinel and bits == row.sentinel:
        sample.raw = bits
        sample.source_ns = done_ns
        quality_lost(sample, REASON_NOT_IMPLEMENTED)
        return
    if row.sf_word >= 0:
        exponent = <int> <short> words[row.sf_word]
        if exponent < -SF_MAX or exponent > SF_MAX:
            sample.raw = bits
            sample.source_ns = done_ns
            quality_lost(sample, REASON_CONFIGURATION)
            return
        scale *= POW10[exponent + SF_MAX]
    quality_judge(sample, &row.limits, bits_number(row.type, bits) * scale + row.offset,
                  bits, done_ns)


cdef void point_age(
    const PointRow* row, Sample* sample, uint32_t fault, int64_t now_ns) noexcept nogil:
    """A scan without a new reply: the sample keeps its value and grows older.

    One lost reply is not a lost value: it turns bad when it is stale, and the
    reason is then the link's fault where there is one. A value that never came
    stays "not yet": it is the start that goes on, and no new loss.
    """
    if fault == REASON_CONFIGURATION:
        quality_lost(sample, REASON_CONFIGURATION)
        return
    quality_age(sample, &row.limits, now_ns)
    if fault != REASON_NONE and sample.reason == REASON_STALE:
        sample.reason = fault


cdef void image_latch(Image* image, int64_t now_ns, int64_t period_ns) noexcept nogil:
    """Take over what the bus completed since the scan before, and age the rest.

    now_ns     monotonic, start of the scan
    period_ns  of the scan; a fast block (every scan) not renewed makes its
               device not fresh

    A block whose last reply is younger than any of its points may be has
    nothing to age, and is passed over.
    """
    cdef int32_t at, point, last
    cdef const BlockRow* block
    cdef BlockBuffer* buffer
    cdef uint32_t fault
    cdef bint fresh
    cdef int64_t done_ns, age_ns
    cdef const uint16_t* words

    for at in range(image.devices):
        image.device_age_ns[at] = 0
        image.device_fresh[at] = True
    for at in range(image.blocks):
        block = &image.block_rows[at]
        buffer = &image.block_buffers[at]
        fresh = (load32(&buffer.middle) & BUFFER_NEW) != 0
        if fresh:
            buffer.front = exchange32(&buffer.middle, buffer.front) & BUFFER_INDEX
        done_ns = buffer.done_ns[buffer.front]
        if block.every == 1:
            age_ns = now_ns - done_ns if done_ns > 0 else now_ns
            if age_ns > image.device_age_ns[block.device]:
                image.device_age_ns[block.device] = age_ns
            if not fresh or age_ns > period_ns:
                image.device_fresh[block.device] = False
        last = block.first_point + block.points
        if fresh:
            words = buffer.words[buffer.front]
            for point in range(block.first_point, last):
                point_decode(&image.point_rows[point], &image.samples[point], words, done_ns)
            continue
        fault = load32(&buffer.fault)
        if done_ns == 0 or now_ns - done_ns > buffer.stale_after_ns \
                or fault == REASON_CONFIGURATION:
            for point in range(block.first_point, last):
                point_age(&image.point_rows[point], &image.samples[point], fault, now_ns)


cdef void image_set(Image* image, int32_t point, double value, Quality quality, Reason reason,
                    int64_t source_ns) noexcept nogil:
    """Write one of the kernel's own points; an index below 0 is no point."""
    cdef Sample* sample
    if point < 0 or point >= image.points:
        return
    sample = &image.samples[point]
    sample.value = value
    sample.source_ns = source_ns
    sample.changed_ns = source_ns
    sample.quality = quality
    sample.reason = reason
    memcpy(&sample.raw, &value, 8)


cdef void put_number(
    uint16_t* words, uint8_t type, uint8_t word_order, double number) noexcept nogil:
    """Write a number of one or two words in the order of the wire."""
    cdef uint32_t bits
    cdef float single
    cdef uint16_t high, low
    if type == TYPE_U16 or type == TYPE_S16 or type == TYPE_BIT:
        words[0] = <uint16_t> <int64_t> number
        return
    if type == TYPE_F32:
        single = <float> number
        memcpy(&bits, &single, 4)
    else:
        bits = <uint32_t> <int64_t> number
    high, low = <uint16_t> (bits >> 16), <uint16_t> bits
    if word_order == ORDER_LOW_FIRST:
        high, low = low, high
    words[0], words[1] = high, low


cdef OutputStatus raw_of(
    const Image* image, const OutputRow* row, double value, double* raw) noexcept nogil:
    """Set raw to the number in the register; only where it can be written."""
    cdef const Sample* factor
    cdef double scale = row.scale

    if not isfinite(value):
        return OUTPUT_NOT_FINITE
    if row.sf_point >= 0:
        factor = &image.samples[row.sf_point]
        if factor.quality != QUALITY_GOOD or not fabs(factor.value) <= SF_MAX:
            return OUTPUT_NO_SCALE
        scale *= POW10[<int32_t> llrint(factor.value) + SF_MAX]
    raw[0] = value / scale
    if not (raw[0] >= row.raw_min and raw[0] <= row.raw_max):
        return OUTPUT_OUT_OF_RANGE
    if row.type != TYPE_F32:
        raw[0] = <double> llrint(raw[0])
    return OUTPUT_COMMITTED


cdef void output_withdraw(OutputBuffer* buffer) noexcept nogil:
    """What still waits is no longer wanted, and nothing can be put in its place."""
    if load32(&buffer.middle) & BUFFER_NEW:
        buffer.withdrawn[buffer.back] = True
        buffer.commit[buffer.back] = buffer.committed
        buffer.back = exchange32(&buffer.middle, buffer.back | BUFFER_NEW) & BUFFER_INDEX


cdef OutputStatus image_commit(Image* image, int32_t output, double value) noexcept nogil:
    """Put one permitted setpoint into the output image, for the bus to write.

    output  index of the command
    value   SI unit of the command

    Nothing is committed unless the value is finite, the device's scale factor
    is good and the raw number fits the register; what still waited to be
    written is then withdrawn: it is not what the scan wants any more.
    """
    cdef const OutputRow* row = &image.output_rows[output]
    cdef OutputBuffer* buffer = &image.output_buffers[output]
    cdef double raw = 0.0
    cdef OutputStatus status = raw_of(image, row, value, &raw)
    cdef uint16_t* words

    if status != OUTPUT_COMMITTED:
        output_withdraw(buffer)
        return status
    words = buffer.words[buffer.back]
    buffer.withdrawn[buffer.back] = False
    memcpy(words, row.template_words, sizeof(row.template_words))
    put_number(words + row.value_word, row.type, row.word_order, raw)
    buffer.committed += 1
    buffer.commit[buffer.back] = buffer.committed
    buffer.back = exchange32(&buffer.middle, buffer.back | BUFFER_NEW) & BUFFER_INDEX
    return OUTPUT_COMMITTED


cdef bint output_take(OutputBuffer* buffer) noexcept nogil:
    """Make the newest commit the front buffer; false when there is none to write."""
    if (load32(&buffer.middle) & BUFFER_NEW) == 0:
        return False
    buffer.front = exchange32(&buffer.middle, buffer.front) & BUFFER_INDEX
    return True


cdef void block_publish(BlockBuffer* buffer, int64_t done_ns) noexcept nogil:
    """Hand the back buffer, filled by the bus, to the scan."""
    buffer.done_ns[buffer.back] = done_ns
    store32(&buffer.fault, REASON_NONE)
    buffer.back = exchange32(&buffer.middle, buffer.back | BUFFER_NEW) & BUFFER_INDEX


cdef void block_fault(BlockBuffer* buffer, Reason reason) noexcept nogil:
    """Say that the block's last read failed, and why."""
    store32(&buffer.fault, reason)


cdef void image_start(Image* image) noexcept nogil:
    """Bring all buffers and samples to their start state: nothing received."""
    cdef int32_t at, point, first
    cdef int64_t stale_ns
    for at in range(image.blocks):
        first = image.block_rows[at].first_point
        image.block_buffers[at].stale_after_ns = INT64_MAX
        for point in range(first, first + image.block_rows[at].points):
            stale_ns = image.point_rows[point].limits.stale_after_ns
            if stale_ns < image.block_buffers[at].stale_after_ns:
                image.block_buffers[at].stale_after_ns = stale_ns
        image.block_buffers[at].back = 0
        image.block_buffers[at].middle = 1
        image.block_buffers[at].front = 2
    for at in range(image.outputs):
        image.output_buffers[at].back = 0
        image.output_buffers[at].middle = 1
        image.output_buffers[at].front = 2
    for at in range(image.points):
        image.samples[at].quality = QUALITY_BAD
        image.samples[at].reason = REASON_NOT_YET


def decode(const PointRow[::1] rows, words, int64_t done_ns):
    """[(value, quality, reason, raw)] of one block's words, each point from its start state.

    rows   points of the block, word offsets from its first register
    words  registers as received, at most BLOCK_WORDS_MAX
    """
    cdef uint16_t registers[BLOCK_WORDS_MAX]
    cdef Sample sample
    cdef Py_ssize_t at
    if len(words) > BLOCK_WORDS_MAX:
        raise ValueError(f"{len(words)} words; a block holds at most {BLOCK_WORDS_MAX}")
    for at, word in enumerate(words):
        registers[at] = word
    results = []
    for at in range(rows.shape[0]):
        sample.value, sample.source_ns, sample.changed_ns, sample.raw = 0.0, 0, 0, 0
        quality_lost(&sample, REASON_NOT_YET)
        point_decode(&rows[at], &sample, registers, done_ns)
        results.append((sample.value, sample.quality, sample.reason, sample.raw))
    return results


def encode_output(const OutputRow[::1] rows, double value, exponent=None):
    """(OutputStatus, words) that a command would write; the tests' door.

    exponent  of the scale factor, None where the command has none
    """
    cdef Image image
    cdef OutputBuffer buffer
    cdef Sample factor
    cdef OutputRow row = rows[0]
    cdef PointRow point
    image.points, image.blocks, image.devices, image.outputs = 1, 0, 0, 1
    image.output_rows, image.output_buffers, image.samples = &row, &buffer, &factor
    image.point_rows = &point
    buffer.committed = 0
    image_start(&image)
    row.sf_point = -1
    if exponent is not None:
        row.sf_point = 0
        factor.value, factor.quality = exponent, QUALITY_GOOD
    status = image_commit(&image, 0, value)
    if status != OUTPUT_COMMITTED:
        return OutputStatus(status), []
    output_take(&buffer)
    return OutputStatus(status), [buffer.words[buffer.front][at] for at in range(row.count)]
