"""Serial frames: encoded and judged as pymodbus does it, and never believed when they differ."""

import pytest
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    WriteMultipleRegistersRequest,
)

from edgectl._kernel import rtu
from edgectl._kernel.modbus import FrameStatus, ModbusStatus

READ = {"unit": 17, "function": 3, "address": 0x6B, "count": 3}


def reply(registers: list[int], unit: int = 17) -> bytes:
    """A reply frame as pymodbus builds it."""
    framer = FramerRTU(DecodePDU(False))
    return framer.buildFrame(ReadHoldingRegistersResponse(registers=registers, dev_id=unit))


def test_requests_are_pymodbus_own_bytes() -> None:
    framer = FramerRTU(DecodePDU(True))
    read = ReadHoldingRegistersRequest(address=0x6B, count=3, dev_id=17)
    assert rtu.encode(READ) == framer.buildFrame(read)
    write = WriteMultipleRegistersRequest(address=1, registers=[10, 0x102], dev_id=17)
    fields = {"unit": 17, "function": 16, "address": 1, "count": 2}
    assert rtu.encode(fields, [10, 0x102]) == framer.buildFrame(write)
    assert rtu.encode({**READ, "count": 126}) == b""


def test_a_reply_is_found_by_its_function_and_believed_by_its_crc() -> None:
    frame = reply([1, 2, 65535])
    for cut in range(len(frame)):
        assert rtu.frame(frame[:cut]) == (FrameStatus.FRAME_PARTIAL, 0)
    assert rtu.frame(frame) == (FrameStatus.FRAME_WHOLE, len(frame))
    assert rtu.check(frame, READ) == (ModbusStatus.MODBUS_OK, [1, 2, 65535], 0)
    assert rtu.crc(frame[:-2]) == int.from_bytes(frame[-2:], "little")


@pytest.mark.parametrize("bit", range(0, 88, 3))
def test_one_wrong_bit_is_seen(bit: int) -> None:
    frame = bytearray(reply([1, 2, 65535]))
    frame[bit // 8] ^= 1 << bit % 8
    status, length = rtu.frame(bytes(frame))
    if status == FrameStatus.FRAME_WHOLE:
        assert rtu.check(bytes(frame[:length]), READ)[0] == ModbusStatus.MODBUS_BAD_CRC


@pytest.mark.parametrize(
    ("frame", "status"),
    [
        (reply([1, 2, 3], unit=18), ModbusStatus.MODBUS_OTHER_UNIT),
        (reply([1, 2]), ModbusStatus.MODBUS_BAD_COUNT),
        (reply([1, 2, 3, 4]), ModbusStatus.MODBUS_BAD_COUNT),
        (b"\x11\x04\x06\0\1\0\2\0\3", ModbusStatus.MODBUS_OTHER_FUNCTION),
    ],
)
def test_another_reply_than_the_asked_is_refused(frame: bytes, status: ModbusStatus) -> None:
    if status == ModbusStatus.MODBUS_OTHER_FUNCTION:
        frame += rtu.crc(frame).to_bytes(2, "little")
    assert rtu.check(frame, READ)[0] == status


def test_exceptions_and_what_is_no_reply() -> None:
    body = b"\x11\x83\x02"
    frame = body + rtu.crc(body).to_bytes(2, "little")
    assert rtu.frame(frame) == (FrameStatus.FRAME_WHOLE, 5)
    assert rtu.check(frame, READ) == (ModbusStatus.MODBUS_EXCEPTION, [], 2)
    assert rtu.frame(b"\x11\x2b\x0e\x01") == (FrameStatus.FRAME_BROKEN, 0)
    assert rtu.frame(b"\x11\x03\xff" + bytes(257)) == (FrameStatus.FRAME_BROKEN, 0)
    assert rtu.check(b"\x11\x03", READ)[0] == ModbusStatus.MODBUS_BAD_COUNT
    with pytest.raises(ValueError, match="at most 260"):
        rtu.frame(bytes(261))
