"""Frames against pymodbus, which was written by others, and against any bytes at all."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
    WriteMultipleCoilsRequest,
    WriteMultipleCoilsResponse,
    WriteSingleCoilRequest,
    WriteSingleCoilResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from edgectl._kernel.modbus import FrameStatus, ModbusStatus, check, encode, frame

ADU_BYTES_MAX = 260
PEER = FramerSocket(DecodePDU(is_server=True))
COUNT_MAX = {1: 2000, 2: 2000, 3: 125, 4: 125, 5: 1, 6: 1, 15: 1968, 16: 123}

words_16 = st.integers(min_value=0, max_value=0xFFFF)
Fields = dict[str, Any]


@st.composite
def requests(draw: st.DrawFn) -> tuple[Fields, list[int]]:
    """A request within the standard, and the words that it writes or that answer it."""
    function = draw(st.sampled_from(sorted(COUNT_MAX)))
    count = draw(st.integers(min_value=1, max_value=COUNT_MAX[function]))
    is_bit = function in (1, 2, 15)
    seed = draw(st.lists(st.booleans() if is_bit else words_16, min_size=1, max_size=16))
    fields = {
        "transaction": draw(words_16),
        "unit": draw(st.integers(min_value=0, max_value=255)),
        "function": function,
        "address": draw(words_16),
        "count": count,
        "value": draw(st.sampled_from([0, 0xFF00]) if function == 5 else words_16),
    }
    return fields, [int(seed[at % len(seed)]) for at in range(count)]


def peer_request(fields: Fields, words: list[int]) -> ModbusPDU:
    """The same request in pymodbus."""
    common = {
        "dev_id": fields["unit"],
        "transaction_id": fields["transaction"],
        "address": fields["address"],
    }
    bits = [bool(word) for word in words]
    match fields["function"]:
        case 1:
            return ReadCoilsRequest(count=fields["count"], **common)
        case 2:
            return ReadDiscreteInputsRequest(count=fields["count"], **common)
        case 3:
            return ReadHoldingRegistersRequest(count=fields["count"], **common)
        case 4:
            return ReadInputRegistersRequest(count=fields["count"], **common)
        case 5:
            return WriteSingleCoilRequest(bits=[fields["value"] != 0], **common)
        case 6:
            return WriteSingleRegisterRequest(registers=[fields["value"]], **common)
        case 15:
            return WriteMultipleCoilsRequest(bits=bits, **common)
        case _:
            return WriteMultipleRegistersRequest(registers=words, **common)


def peer_reply(fields: Fields, words: list[int]) -> ModbusPDU:
    """What a pymodbus server would answer."""
    common = {"dev_id": fields["unit"], "transaction_id": fields["transaction"]}
    written = common | {"address": fields["address"]}
    bits = [bool(word) for word in words]
    match fields["function"]:
        case 1:
            return ReadCoilsResponse(bits=bits, **common)
        case 2:
            return ReadDiscreteInputsResponse(bits=bits, **common)
        case 3:
            return ReadHoldingRegistersResponse(registers=words, **common)
        case 4:
            return ReadInputRegistersResponse(registers=words, **common)
        case 5:
            return WriteSingleCoilResponse(bits=[fields["value"] != 0], **written)
        case 6:
            return WriteSingleRegisterResponse(registers=[fields["value"]], **written)
        case 15:
            return WriteMultipleCoilsResponse(count=fields["count"], **written)
        case _:
            return WriteMultipleRegistersResponse(count=fields["count"], **written)


@given(request=requests())
def test_a_request_is_byte_for_byte_what_pymodbus_sends(
    request: tuple[Fields, list[int]],
) -> None:
    fields, words = request
    ours = encode(fields, words if fields["function"] in (15, 16) else [])
    assert ours.hex() == PEER.buildFrame(peer_request(fields, words)).hex()


@given(request=requests())
def test_a_reply_of_pymodbus_is_accepted_with_its_words(
    request: tuple[Fields, list[int]],
) -> None:
    fields, words = request
    reply = PEER.buildFrame(peer_reply(fields, words))
    assert frame(reply) == (FrameStatus.FRAME_WHOLE, len(reply))
    read = words if fields["function"] <= 4 else []
    assert check(reply, fields) == (ModbusStatus.MODBUS_OK, read, 0)


def is_the_reply(reply: bytes, fields: Fields) -> bool:
    """The standard's whole condition, written down a second time and in another way."""
    head: bytes = fields["transaction"].to_bytes(2, "big")
    function, count = fields["function"], fields["count"]
    if function <= 4:
        size = -(-count // 8) if function <= 2 else 2 * count
        body = bytes([fields["unit"], function, size])
        whole = head + bytes(2) + (3 + size).to_bytes(2, "big") + body
        return reply.startswith(whole) and len(reply) == len(whole) + size
    said: int = fields["value"] if function in (5, 6) else count
    address: bytes = fields["address"].to_bytes(2, "big")
    body = bytes([fields["unit"], function]) + address
    return reply == head + bytes.fromhex("00000006") + body + said.to_bytes(2, "big")


def taken(stream: bytes, fields: Fields) -> tuple[ModbusStatus, list[int], int] | None:
    """What the master would make of a stream: frame, then check."""
    status, length = frame(stream)
    assert (length > 0) == (status == FrameStatus.FRAME_WHOLE)
    assert length <= len(stream)
    return check(stream[:length], fields) if length else None


@given(request=requests(), stream=st.binary(max_size=ADU_BYTES_MAX))
@example(({"transaction": 0, "unit": 0, "function": 3, "address": 0, "count": 1}, [0]), b"")
def test_no_bytes_at_all_are_accepted_that_are_not_the_reply(
    request: tuple[Fields, list[int]], stream: bytes
) -> None:
    fields, _ = request
    result = taken(stream, fields)
    if result is not None and result[0] == ModbusStatus.MODBUS_OK:
        assert is_the_reply(stream[: 6 + int.from_bytes(stream[4:6], "big")], fields)


@given(
    request=requests(),
    changes=st.lists(st.tuples(st.integers(0, 259), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 260),
    tail=st.binary(max_size=8),
)
def test_a_damaged_reply_is_accepted_only_if_it_is_still_a_right_one(
    request: tuple[Fields, list[int]], changes: list[tuple[int, int]], cut: int, tail: bytes
) -> None:
    fields, words = request
    damaged = bytearray(PEER.buildFrame(peer_reply(fields, words)))
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    stream = (bytes(damaged[:cut]) + tail)[:ADU_BYTES_MAX]
    result = taken(stream, fields)
    if result is None:
        return
    reply = stream[: 6 + int.from_bytes(stream[4:6], "big")]
    assert (result[0] == ModbusStatus.MODBUS_OK) == is_the_reply(reply, fields)
    if result[0] == ModbusStatus.MODBUS_EXCEPTION:
        assert reply[7] == fields["function"] | 0x80
        assert result[2] == reply[8]
        assert len(reply) == 9
    if result[0] != ModbusStatus.MODBUS_OK:
        assert result[1] == []


@given(request=requests(), cuts=st.lists(st.integers(1, 259), max_size=6))
def test_a_reply_is_found_however_the_stream_is_cut(
    request: tuple[Fields, list[int]], cuts: list[int]
) -> None:
    fields, words = request
    reply = PEER.buildFrame(peer_reply(fields, words))
    for fill in sorted({cut % len(reply) for cut in cuts}):
        assert frame(reply[:fill]) == (FrameStatus.FRAME_PARTIAL, 0)
    merged = (reply + reply)[:ADU_BYTES_MAX]
    assert frame(merged) == (FrameStatus.FRAME_WHOLE, len(reply))
