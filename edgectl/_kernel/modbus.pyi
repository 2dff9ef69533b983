"""Modbus TCP frames, sans I/O: the doors of the tests and of commissioning."""

from collections.abc import Mapping, Sequence
from enum import IntEnum

class FrameStatus(IntEnum):
    FRAME_PARTIAL = 0
    FRAME_WHOLE = 1
    FRAME_BROKEN = 2

class ModbusStatus(IntEnum):
    MODBUS_OK = 0
    MODBUS_EXCEPTION = 1
    MODBUS_OTHER_TRANSACTION = 2
    MODBUS_OTHER_UNIT = 3
    MODBUS_OTHER_FUNCTION = 4
    MODBUS_BAD_COUNT = 5
    MODBUS_BAD_ECHO = 6
    MODBUS_BAD_CRC = 7

def encode(fields: Mapping[str, int], words: Sequence[int] = ...) -> bytes: ...
def frame(stream: bytes) -> tuple[FrameStatus, int]: ...
def check(reply: bytes, fields: Mapping[str, int]) -> tuple[ModbusStatus, list[int], int]: ...
