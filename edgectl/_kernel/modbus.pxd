"""Modbus TCP frames, sans I/O: encode a request, frame a stream, check a reply.

Sources: MODBUS Application Protocol Specification V1.1b3 (MAP) and MODBUS
Messaging on TCP/IP Implementation Guide V1.0b (MTI), modbus.org.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t

cdef enum:
    MBAP_BYTES = 7              # MTI 3.1.3: transaction, protocol, length, unit
    ADU_BYTES_MAX = 260         # MAP 4.1: 253 of PDU and 7 of MBAP
    MBAP_LENGTH_MIN = 3         # unit, function, and at least one byte
    MBAP_LENGTH_MAX = 254       # unit and 253 of PDU
    READ_REGISTERS_MAX = 125    # MAP 6.3
    READ_BITS_MAX = 2000        # MAP 6.1
    WRITE_REGISTERS_MAX = 123   # MAP 6.12
    WRITE_BITS_MAX = 1968       # MAP 6.11

cpdef enum ModbusStatus:
    MODBUS_OK = 0
    MODBUS_EXCEPTION = 1         # a well-formed exception reply to this request
    MODBUS_OTHER_TRANSACTION = 2 # not the outstanding transaction id
    MODBUS_OTHER_UNIT = 3
    MODBUS_OTHER_FUNCTION = 4
    MODBUS_BAD_COUNT = 5         # byte count or frame length is not what was asked
    MODBUS_BAD_ECHO = 6          # a write reply that does not repeat the request
    MODBUS_BAD_CRC = 7           # serial lines only

cpdef enum FrameStatus:
    FRAME_PARTIAL = 0            # more bytes are needed
    FRAME_WHOLE = 1
    FRAME_BROKEN = 2             # not Modbus TCP, or a length outside the standard

cdef struct Request:
    uint16_t transaction
    uint16_t address
    uint16_t count               # registers or bits; 1 for functions 5 and 6
    uint8_t function
    uint8_t unit
    uint8_t any_unit             # the profile accepts another unit in the reply
    uint16_t value               # functions 5 and 6: the value written

cdef struct Framer:
    int32_t fill
    uint8_t bytes[ADU_BYTES_MAX]

cdef int32_t modbus_encode(
    uint8_t* frame, const Request* request, const uint16_t* words) noexcept nogil
cdef FrameStatus modbus_frame(const uint8_t* bytes, int32_t fill, int32_t* length) noexcept nogil
cdef ModbusStatus modbus_check(
    const uint8_t* frame, int32_t length, const Request* request,
    uint16_t* words, uint8_t* exception) noexcept nogil
cdef uint16_t crc_step(uint16_t crc, uint8_t byte) noexcept nogil
cdef Request request_of(fields) except *
