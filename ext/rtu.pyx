"""Modbus RTU frames, sans I/O: encode a request, find a reply's end, check it.

Source: MODBUS over Serial Line Specification and Implementation Guide V1.02
(MSL), modbus.org.

A serial frame has no transaction id and no length of its own. Where a reply
ends follows from its function; that it is whole follows from its CRC; that it
answers the outstanding request is judged by modbus_check, the one judge there
is, on the same bytes behind a header of the request's own transaction.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t
from libc.string cimport memcpy

from edgectl._kernel.modbus cimport (
    ADU_BYTES_MAX, FRAME_BROKEN, FRAME_PARTIAL, FRAME_WHOLE, MODBUS_BAD_COUNT, MODBUS_BAD_CRC,
    MODBUS_OK, READ_BITS_MAX, FrameStatus, ModbusStatus, Request, crc_step, modbus_check,
    modbus_encode, request_of)

from edgectl._kernel import modbus

cdef enum:
    CRC_START = 0xFFFF           # MSL 6.2.2
    CRC_BYTES = 2
    HEADER_BYTES = 6             # of the MBAP header, without the unit that RTU has as well
    EXCEPTION_BIT = 0x80         # MAP 7
    EXCEPTION_BYTES = 5          # unit, function, code, CRC
    WRITE_REPLY_BYTES = 8        # unit, function, address, value or count, CRC
    READ_BYTES = 5               # unit, function, byte count, CRC


cdef uint16_t rtu_crc(const uint8_t* bytes, int32_t length) noexcept nogil:
    """CRC-16 of a frame's bytes (MSL 6.2.2); sent low byte first."""
    cdef uint16_t crc = CRC_START
    cdef int32_t at
    for at in range(length):
        crc = crc_step(crc, bytes[at])
    return crc


cdef int32_t rtu_encode(
    uint8_t* frame, const Request* request, const uint16_t* words) noexcept nogil:
    """Write the request's frame.

    frame    RTU_BYTES_MAX bytes
    request  as for modbus_encode; its transaction stays unused
    words    likewise

    Returns the frame's length in bytes; 0 if it is no request of ours.
    """
    cdef uint8_t adu[ADU_BYTES_MAX]
    cdef int32_t length = modbus_encode(adu, request, words) - HEADER_BYTES
    cdef uint16_t crc
    if length < 2 or length > RTU_BYTES_MAX - CRC_BYTES:
        return 0
    memcpy(frame, adu + HEADER_BYTES, length)
    crc = rtu_crc(frame, length)
    frame[length] = crc & 0xFF
    frame[length + 1] = crc >> 8
    return length + CRC_BYTES


cdef int32_t rtu_reply_bytes(const Request* request) noexcept nogil:
    """Bytes of the reply that the request asks for."""
    if request.function <= 2:
        return READ_BYTES + (request.count + 7) // 8
    if request.function <= 4:
        return READ_BYTES + 2 * request.count
    return WRITE_REPLY_BYTES


cdef FrameStatus rtu_frame(const uint8_t* bytes, int32_t fill, int32_t* length) noexcept nogil:
    """Say whether a whole reply stands at the start of what a line brought.

    bytes   what came since the line was silent
    fill    how many, 0 to ADU_BYTES_MAX
    length  set to the reply's length when it is whole

    FRAME_BROKEN: a function that has no reply of ours, or more bytes than fit a
    frame; the line must fall silent before anything is believed again.
    """
    cdef uint8_t function
    cdef int32_t whole
    length[0] = 0
    if fill < 3:
        return FRAME_PARTIAL
    function = bytes[1]
    if function & EXCEPTION_BIT:
        whole = EXCEPTION_BYTES
    elif 1 <= function <= 4:
        whole = READ_BYTES + bytes[2]
    elif function == 5 or function == 6 or function == 15 or function == 16:
        whole = WRITE_REPLY_BYTES
    else:
        return FRAME_BROKEN
    if whole > RTU_BYTES_MAX:
        return FRAME_BROKEN
    if fill < whole:
        return FRAME_PARTIAL
    length[0] = whole
    return FRAME_WHOLE


cdef ModbusStatus rtu_check(
    const uint8_t* frame, int32_t length, const Request* request,
    uint16_t* words, uint8_t* exception) noexcept nogil:
    """Hold a whole frame against the outstanding request.

    frame      as rtu_frame found it
    length     in bytes, at most RTU_BYTES_MAX
    request    what was asked
    words      set to the registers, or one word a bit; room for request.count
    exception  set to the code of an exception reply
    """
    cdef uint8_t adu[ADU_BYTES_MAX]
    cdef int32_t rest = length - CRC_BYTES
    cdef uint16_t crc
    if length < RTU_BYTES_MIN or length > RTU_BYTES_MAX:
        return MODBUS_BAD_COUNT
    crc = rtu_crc(frame, rest)
    if frame[rest] != (crc & 0xFF) or frame[rest + 1] != crc >> 8:
        return MODBUS_BAD_CRC
    adu[0] = request.transaction >> 8
    adu[1] = request.transaction & 0xFF
    adu[2] = 0
    adu[3] = 0
    adu[4] = 0
    adu[5] = <uint8_t> rest
    memcpy(adu + HEADER_BYTES, frame, rest)
    return modbus_check(adu, HEADER_BYTES + rest, request, words, exception)


def crc(bytes content):
    """CRC-16 of a frame's bytes."""
    return rtu_crc(<const uint8_t*> content, len(content))


def encode(fields, words=()):
    """Frame bytes of a request given as a dict of Request's fields; b"" if it cannot be."""
    cdef Request request = request_of({"transaction": 0, **fields})
    cdef uint8_t frame[ADU_BYTES_MAX]
    cdef uint16_t values[READ_BITS_MAX]
    if len(words) > READ_BITS_MAX:
        raise ValueError(f"{len(words)} words; at most {READ_BITS_MAX}")
    for at, word in enumerate(words):
        values[at] = word
    return bytes(frame[:rtu_encode(frame, &request, values)])


def frame(bytes stream):
    """(FrameStatus, length) of the start of what a line brought, at most ADU_BYTES_MAX bytes."""
    cdef int32_t length
    if len(stream) > ADU_BYTES_MAX:
        raise ValueError(f"{len(stream)} bytes; at most {ADU_BYTES_MAX}")
    status = rtu_frame(<const uint8_t*> stream, len(stream), &length)
    return modbus.FrameStatus(status), length


def check(bytes reply, fields):
    """(ModbusStatus, words, exception) of a whole reply frame against a request."""
    cdef Request request = request_of({"transaction": 0, **fields})
    cdef uint16_t words[READ_BITS_MAX]
    cdef uint8_t exception = 0
    if len(reply) > ADU_BYTES_MAX or request.count > READ_BITS_MAX:
        raise ValueError(f"{len(reply)} bytes for {request.count} items is beyond the standard")
    status = rtu_check(<const uint8_t*> reply, len(reply), &request, words, &exception)
    count = request.count if status == MODBUS_OK and request.function <= 4 else 0
    return modbus.ModbusStatus(status), [words[at] for at in range(count)], exception
