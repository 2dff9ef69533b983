from array import array
from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

class Behaviour(IntEnum):
    ANSWER = 0
    SILENT = 1
    LATE = 2
    WRONG_ID = 3
    RESET = 4

def serve(
    listeners: Sequence[int], behaviours: Sequence[int], late_ns: int, life_fd: int
) -> int: ...
def floor_run(
    sockets: NDArray[np.int32] | array[int],
    requests: NDArray[np.uint8] | bytes,
    outstanding: int,
    reply_bytes: int,
    rounds: int,
    period_ns: int,
    periods: int,
) -> tuple[int, int]: ...
def blocking_run(
    contexts: NDArray[np.uint64] | array[int],
    read_registers: int,
    count: int,
    duration_ns: int,
) -> tuple[int, int]: ...
