"""Modbus RTU frames, sans I/O: encode a request, find a reply's end, check it.

Source: MODBUS over Serial Line Specification and Implementation Guide V1.02
(MSL), modbus.org.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t

from edgectl._kernel.modbus cimport FrameStatus, ModbusStatus, Request

cdef enum:
    RTU_BYTES_MAX = 256          # MSL 2.5.1: unit, 253 of PDU, CRC
    RTU_BYTES_MIN = 4            # unit, function, CRC

cdef uint16_t rtu_crc(const uint8_t* bytes, int32_t length) noexcept nogil
cdef int32_t rtu_encode(
    uint8_t* frame, const Request* request, const uint16_t* words) noexcept nogil
cdef int32_t rtu_reply_bytes(const Request* request) noexcept nogil
cdef FrameStatus rtu_frame(const uint8_t* bytes, int32_t fill, int32_t* length) noexcept nogil
cdef ModbusStatus rtu_check(
    const uint8_t* frame, int32_t length, const Request* request,
    uint16_t* words, uint8_t* exception) noexcept nogil
