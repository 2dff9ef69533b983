"""Modbus TCP frames, sans I/O: encode a request, frame a stream, check a reply.

Sources: MODBUS Application Protocol Specification V1.1b3 (MAP) and MODBUS
Messaging on TCP/IP Implementation Guide V1.0b (MTI), modbus.org.

A reply is believed only when transaction, unit, function, byte count and, for
a write, the echo are what the outstanding request asked for. There is no
second guess: whatever differs is refused with the reason.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t
from libc.string cimport memcpy

cdef enum:
    EXCEPTION_BIT = 0x80         # MAP 7
    CRC_POLYNOMIAL = 0xA001      # MSL 6.2.2: 0x8005 with its bits turned round
    WORDS_MAX = 4096             # of the tests' door: beyond every limit, to show it refused


cdef void put16(uint8_t* place, uint16_t value) noexcept nogil:
    place[0] = value >> 8
    place[1] = value & 0xFF


cdef uint16_t get16(const uint8_t* place) noexcept nogil:
    return (<uint16_t> place[0] << 8) | place[1]


cdef uint8_t bits_byte(const uint16_t* words, int32_t count, int32_t first) noexcept nogil:
    """Eight bits as on the wire, lowest first (MAP 6.11): words from `first` on, a bit each.

    What is beyond count is 0, and is not read.
    """
    cdef uint8_t byte = 0
    cdef int32_t bit
    for bit in range(8):
        if first + bit < count and words[first + bit] != 0:
            byte |= 1 << bit
    return byte


cdef uint16_t crc_step(uint16_t crc, uint8_t byte) noexcept nogil:
    """One more byte into the CRC-16 of a serial frame (MSL 6.2.2).

    It stands here so that a proof of rtu.pyx can put any step in its place: then
    frames of every length can be proved, and this by itself.
    """
    cdef int32_t bit
    crc ^= byte
    for bit in range(8):
        crc = (crc >> 1) ^ (CRC_POLYNOMIAL if crc & 1 else 0)
    return crc


cdef int32_t count_max(uint8_t function) noexcept nogil:
    """Greatest count of a function (MAP 6.1 to 6.12); 0 for one that is not ours."""
    if function == 1 or function == 2:
        return READ_BITS_MAX
    if function == 3 or function == 4:
        return READ_REGISTERS_MAX
    if function == 15:
        return WRITE_BITS_MAX
    if function == 16:
        return WRITE_REGISTERS_MAX
    return 1 if function == 5 or function == 6 else 0


cdef int32_t modbus_encode(
    uint8_t* frame, const Request* request, const uint16_t* words) noexcept nogil:
    """Write the request's frame.

    frame    ADU_BYTES_MAX bytes
    request  function 1 to 6, 15 or 16, count within the limits of its function
    words    for function 15 one word a bit, for 16 the registers; else unused

    Returns the frame's length in bytes; 0 if the request is none of these.
    """
    cdef int32_t length = MBAP_BYTES + 5
    cdef int32_t bytes_after = 0
    cdef int32_t at
    cdef uint16_t last = request.count

    if request.function == 15:
        bytes_after = (request.count + 7) // 8
    elif request.function == 16:
        bytes_after = 2 * request.count
    elif request.function == 5 or request.function == 6:
        last = request.value
    if request.count < 1 or request.count > count_max(request.function):
        return 0
    put16(frame + 0, request.transaction)
    put16(frame + 2, 0)
    frame[6] = request.unit
    frame[7] = request.function
    put16(frame + 8, request.address)
    put16(frame + 10, last)
    if bytes_after > 0:
        frame[12] = bytes_after
        length = MBAP_BYTES + 6 + bytes_after
        if request.function == 16:
            for at in range(request.count):
                put16(frame + 13 + 2 * at, words[at])
        else:
            for at in range(bytes_after):
                frame[13 + at] = bits_byte(words, request.count, 8 * at)
    put16(frame + 4, length - 6)
    return length


cdef FrameStatus modbus_frame(const uint8_t* bytes, int32_t fill, int32_t* length) noexcept nogil:
    """Say whether a whole frame stands at the start of a received stream.

    bytes   what was received and not yet consumed
    fill    how many, 0 to ADU_BYTES_MAX
    length  set to the frame's length when it is whole

    A protocol id other than 0 or a length outside the standard means that the
    stream cannot be resynchronised: FRAME_BROKEN, close the connection.
    """
    cdef uint16_t rest
    length[0] = 0
    if fill < 6:
        return FRAME_PARTIAL
    rest = get16(bytes + 4)
    if get16(bytes + 2) != 0 or rest < MBAP_LENGTH_MIN or rest > MBAP_LENGTH_MAX:
        return FRAME_BROKEN
    if fill < 6 + <int32_t> rest:
        return FRAME_PARTIAL
    length[0] = 6 + rest
    return FRAME_WHOLE


cdef ModbusStatus check_read(
    const uint8_t* frame, int32_t length, const Request* request, uint16_t* words) noexcept nogil:
    """Registers of a reply to functions 1 to 4, one word a bit for 1 and 2."""
    cdef int32_t bytes_asked
    cdef int32_t at
    cdef bint bits = request.function <= 2

    bytes_asked = (request.count + 7) // 8 if bits else 2 * request.count
    if length != MBAP_BYTES + 2 + bytes_asked or frame[8] != bytes_asked:
        return MODBUS_BAD_COUNT
    for at in range(request.count):
        if bits:
            words[at] = (frame[9 + at // 8] >> (at % 8)) & 1
        else:
            words[at] = get16(frame + 9 + 2 * at)
    return MODBUS_OK


cdef ModbusStatus check_write(
    const uint8_t* frame, int32_t length, const Request* request) noexcept nogil:
    """Reply to functions 5, 6, 15, 16: it repeats address and value or count (MAP 6.5-6.12)."""
    cdef uint16_t echo = request.count
    if length != MBAP_BYTES + 5:
        return MODBUS_BAD_COUNT
    if request.function == 5 or request.function == 6:
        echo = request.value
    if get16(frame + 8) != request.address or get16(frame + 10) != echo:
        return MODBUS_BAD_ECHO
    return MODBUS_OK


cdef ModbusStatus modbus_check(
    const uint8_t* frame, int32_t length, const Request* request,
    uint16_t* words, uint8_t* exception) noexcept nogil:
    """Hold a whole frame against the outstanding request.

    frame      length bytes, as modbus_frame delivered them (9 to ADU_BYTES_MAX)
    request    what was asked
    words      room for request.count words, filled only on MODBUS_OK of a read
    exception  set to the device's exception code on MODBUS_EXCEPTION

    Nothing is written to words unless every check passed.
    """
    exception[0] = 0
    if length < MBAP_BYTES + 2:
        return MODBUS_BAD_COUNT
    if get16(frame) != request.transaction:
        return MODBUS_OTHER_TRANSACTION
    if frame[6] != request.unit and not request.any_unit:
        return MODBUS_OTHER_UNIT
    if frame[7] == (request.function | EXCEPTION_BIT):
        if length != MBAP_BYTES + 2:
            return MODBUS_BAD_COUNT
        exception[0] = frame[8]
        return MODBUS_EXCEPTION
    if frame[7] != request.function:
        return MODBUS_OTHER_FUNCTION
    if request.function <= 4:
        return check_read(frame, length, request, words)
    return check_write(frame, length, request)


cdef Request request_of(fields) except *:
    """A request from a dict of its fields; for the tests' doors."""
    cdef Request request
    request.transaction = fields["transaction"]
    request.unit = fields["unit"]
    request.function = fields["function"]
    request.address = fields["address"]
    request.count = fields.get("count", 1)
    request.value = fields.get("value", 0)
    request.any_unit = fields.get("any_unit", False)
    return request


def encode(fields, words=()):
    """Frame bytes of a request given as a dict of Request's fields; b"" if it cannot be."""
    cdef Request request = request_of(fields)
    cdef uint8_t frame[ADU_BYTES_MAX]
    cdef uint16_t values[WORDS_MAX]
    if len(words) > WORDS_MAX:
        raise ValueError(f"{len(words)} words; at most {WORDS_MAX}")
    for at, word in enumerate(words):
        values[at] = word
    return bytes(frame[:modbus_encode(frame, &request, values)])


def frame(bytes stream):
    """(FrameStatus, length) of the start of a stream of at most ADU_BYTES_MAX bytes."""
    cdef int32_t length
    if len(stream) > ADU_BYTES_MAX:
        raise ValueError(f"{len(stream)} bytes; at most {ADU_BYTES_MAX}")
    status = modbus_frame(<const uint8_t*> stream, len(stream), &length)
    return FrameStatus(status), length


def check(bytes reply, fields):
    """(ModbusStatus, words, exception) of a whole reply frame against a request."""
    cdef Request request = request_of(fields)
    cdef uint16_t words[READ_BITS_MAX]
    cdef uint8_t exception
    cdef uint8_t frame[ADU_BYTES_MAX]
    if len(reply) > ADU_BYTES_MAX or request.count > READ_BITS_MAX:
        raise ValueError(f"{len(reply)} bytes for {request.count} items is beyond the standard")
    memcpy(frame, <const uint8_t*> reply, len(reply))
    status = modbus_check(frame, len(reply), &request, words, &exception)
    count = request.count if status == MODBUS_OK and request.function <= 4 else 0
    return ModbusStatus(status), [words[at] for at in range(count)], exception
