"""The process image: decode and encode, the tests' doors."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

class OutputStatus(IntEnum):
    OUTPUT_COMMITTED = 0
    OUTPUT_NOT_FINITE = 1
    OUTPUT_OUT_OF_RANGE = 2
    OUTPUT_NO_SCALE = 3

class PointType(IntEnum):
    TYPE_INTERNAL = 0
    TYPE_U16 = 1
    TYPE_S16 = 2
    TYPE_U32 = 3
    TYPE_S32 = 4
    TYPE_U64 = 5
    TYPE_S64 = 6
    TYPE_F32 = 7
    TYPE_F64 = 8
    TYPE_BIT = 9

class WordOrder(IntEnum):
    ORDER_HIGH_FIRST = 0
    ORDER_LOW_FIRST = 1

def decode(
    rows: NDArray[np.void], words: Sequence[int], done_ns: int
) -> list[tuple[float, int, int, int]]: ...
def encode_output(
    rows: NDArray[np.void], value: float, exponent: Any = ...
) -> tuple[OutputStatus, list[int]]: ...
