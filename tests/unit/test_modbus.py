"""Modbus frames: the standard's own examples, and every way a reply can be wrong."""

import struct
from dataclasses import dataclass

import pytest

from edgectl._kernel.modbus import FrameStatus, ModbusStatus, check, encode, frame

REQUEST = {"transaction": 0x1234, "unit": 7, "function": 3, "address": 100, "count": 2}
WRITE = {"transaction": 0x1234, "unit": 7, "function": 16, "address": 100, "count": 2}
RIGHT = bytes.fromhex("1234 0000 0007 07 03 04 0001 0002")
ECHO = bytes.fromhex("1234 0000 0006 07 10 0064 0002")


@dataclass(frozen=True, slots=True)
class Printed:
    """One worked example of MODBUS Application Protocol V1.1b3, chapter 6."""

    section: str
    function: int
    address: int
    count: int
    value: int
    words: tuple[int, ...]  # written, or read
    request: str  # PDU
    reply: str  # PDU


def bits(text: str) -> tuple[int, ...]:
    """Bits as the standard prints them, the first address first."""
    return tuple(int(bit) for bit in text.replace(" ", ""))


EXAMPLES = [
    Printed("6.1", 1, 0x13, 0x13, 0, bits("10110011 11010110 101"), "01 0013 0013", "01 03 CD6B05"),
    Printed(
        "6.2", 2, 0xC4, 0x16, 0, bits("00110101 11011011 101011"), "02 00C4 0016", "02 03 ACDB35"
    ),
    Printed("6.3", 3, 0x6B, 3, 0, (0x022B, 0, 0x64), "03 006B 0003", "03 06 022B 0000 0064"),
    Printed("6.4", 4, 0x08, 1, 0, (0x000A,), "04 0008 0001", "04 02 000A"),
    Printed("6.5", 5, 0xAC, 1, 0xFF00, (), "05 00AC FF00", "05 00AC FF00"),
    Printed("6.6", 6, 0x01, 1, 0x0003, (), "06 0001 0003", "06 0001 0003"),
    Printed(
        "6.11", 15, 0x13, 10, 0, bits("10110011 10"), "0F 0013 000A 02 CD01", "0F 0013 000A"
    ),
    Printed(
        "6.12", 16, 0x01, 2, 0, (0x000A, 0x0102), "10 0001 0002 04 000A 0102", "10 0001 0002"
    ),
]  # fmt: skip


def adu(pdu: str, transaction: int = 0x1234, unit: int = 7) -> bytes:
    """The frame of a PDU printed in hexadecimal."""
    content = bytes.fromhex(pdu)
    return struct.pack(">HHHB", transaction, 0, len(content) + 1, unit) + content


@pytest.mark.parametrize("printed", EXAMPLES, ids=lambda printed: printed.section)
def test_requests_and_replies_are_those_the_standard_prints(printed: Printed) -> None:
    fields = {
        "transaction": 0x1234, "unit": 7, "function": printed.function,
        "address": printed.address, "count": printed.count, "value": printed.value,
    }  # fmt: skip
    written = printed.words if printed.function in (15, 16) else ()
    assert encode(fields, written).hex() == adu(printed.request).hex()
    reply = adu(printed.reply)
    assert frame(reply) == (FrameStatus.FRAME_WHOLE, len(reply))
    read = list(printed.words) if printed.function <= 4 else []
    assert check(reply, fields) == (ModbusStatus.MODBUS_OK, read, 0)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ("1235 0000 0007 07 03 04 0001 0002", ModbusStatus.MODBUS_OTHER_TRANSACTION),
        ("0000 0000 0007 07 03 04 0001 0002", ModbusStatus.MODBUS_OTHER_TRANSACTION),
        ("1234 0000 0007 FF 03 04 0001 0002", ModbusStatus.MODBUS_OTHER_UNIT),
        ("1234 0000 0007 07 04 04 0001 0002", ModbusStatus.MODBUS_OTHER_FUNCTION),
        ("1234 0000 0005 07 03 02 0001", ModbusStatus.MODBUS_BAD_COUNT),
        ("1234 0000 0009 07 03 06 0001 0002 0003", ModbusStatus.MODBUS_BAD_COUNT),
        ("1234 0000 0007 07 03 06 0001 0002", ModbusStatus.MODBUS_BAD_COUNT),
        ("1234 0000 0007 07 03 02 0001 0002", ModbusStatus.MODBUS_BAD_COUNT),
        ("1234 0000 0003 07 03 00", ModbusStatus.MODBUS_BAD_COUNT),
        ("1234 0000 0004 07 83 02 00", ModbusStatus.MODBUS_BAD_COUNT),
        ("1234 0000 0003 07 84 02", ModbusStatus.MODBUS_OTHER_FUNCTION),
    ],
)
def test_a_reply_that_is_not_what_was_asked_is_refused_and_yields_no_word(
    reply: str, status: ModbusStatus
) -> None:
    assert check(bytes.fromhex(reply), REQUEST) == (status, [], 0)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 10, 11])
def test_an_exception_is_told_with_its_code(code: int) -> None:
    reply = adu(f"83 {code:02X}")
    assert check(reply, REQUEST) == (ModbusStatus.MODBUS_EXCEPTION, [], code)


def test_another_unit_is_accepted_only_where_the_profile_says_any() -> None:
    reply = adu("03 04 0001 0002", unit=255)
    assert check(reply, REQUEST | {"any_unit": True}) == (ModbusStatus.MODBUS_OK, [1, 2], 0)
    assert check(reply, REQUEST)[0] == ModbusStatus.MODBUS_OTHER_UNIT


@pytest.mark.parametrize(
    "echo",
    ["10 0065 0002", "10 0064 0001", "10 0064 0003"],
    ids=["address", "fewer registers", "more registers"],
)
def test_a_write_reply_that_does_not_repeat_the_request_is_refused(echo: str) -> None:
    assert check(ECHO, WRITE)[0] == ModbusStatus.MODBUS_OK
    assert check(adu(echo), WRITE)[0] == ModbusStatus.MODBUS_BAD_ECHO


@pytest.mark.parametrize("function", [5, 6])
def test_a_single_write_must_echo_its_value(function: int) -> None:
    fields = WRITE | {"function": function, "count": 1, "value": 0xFF00}
    assert check(adu(f"{function:02X} 0064 FF00"), fields)[0] == ModbusStatus.MODBUS_OK
    assert check(adu(f"{function:02X} 0064 FF01"), fields)[0] == ModbusStatus.MODBUS_BAD_ECHO


def test_a_frame_is_whole_at_its_last_byte_and_never_before() -> None:
    for fill in range(len(RIGHT)):
        assert frame(RIGHT[:fill]) == (FrameStatus.FRAME_PARTIAL, 0)
    assert frame(RIGHT) == (FrameStatus.FRAME_WHOLE, len(RIGHT))
    assert frame(RIGHT + RIGHT) == (FrameStatus.FRAME_WHOLE, len(RIGHT))


@pytest.mark.parametrize("length", [0, 1, 2, 255, 256, 0xFFFF])
def test_a_length_outside_the_standard_breaks_the_stream(length: int) -> None:
    head = bytes.fromhex("1234 0000") + length.to_bytes(2, "big")
    assert frame(head)[0] == FrameStatus.FRAME_BROKEN


@pytest.mark.parametrize("length", [3, 254])
def test_the_least_and_the_greatest_length_are_framed(length: int) -> None:
    whole = bytes.fromhex("1234 0000") + length.to_bytes(2, "big") + bytes(length)
    assert frame(whole[:-1])[0] == FrameStatus.FRAME_PARTIAL
    assert frame(whole) == (FrameStatus.FRAME_WHOLE, 6 + length)


def test_a_protocol_id_other_than_modbus_breaks_the_stream() -> None:
    assert frame(bytes.fromhex("1234 0001 0007"))[0] == FrameStatus.FRAME_BROKEN


@pytest.mark.parametrize(
    ("function", "count"), [(1, 2000), (2, 2000), (3, 125), (4, 125), (15, 1968), (16, 123)]
)
def test_a_request_beyond_the_standard_is_never_encoded(function: int, count: int) -> None:
    fields = REQUEST | {"function": function}
    words = [1] * (count + 1) if function >= 15 else []
    assert encode(fields | {"count": count}, words) != b""
    assert encode(fields | {"count": count + 1}, words) == b""
    assert encode(fields | {"count": 0}, words) == b""


@pytest.mark.parametrize("function", [0, 7, 8, 14, 17, 22, 23, 43, 0x83, 255])
def test_no_other_function_is_ever_encoded(function: int) -> None:
    assert encode(REQUEST | {"function": function}, [1, 2]) == b""
