"""Time, the scan's cadence, real-time scheduling and the witness."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

class CadenceStatus(IntEnum):
    CADENCE_ON_TIME = 0
    CADENCE_OVERRUN = 1

class RtGrade(IntEnum):
    RT_OTHER = 0
    RT_FIFO = 1
    RT_FIFO_LOCKED = 2

class WitnessThread:
    """A bare thread's body that notes how late it woke, by period."""

    def __new__(cls, lateness_ns: NDArray[np.int64]) -> Self: ...
    def run(self, origin_ns: int, period_ns: int, fifo_priority: int, cpu: int) -> None: ...
    def stop(self) -> None: ...

def now_ns() -> int: ...
def cadence_run(
    origin_ns: int, period_ns: int, ends_ns: Iterable[int]
) -> tuple[list[int], int, int]: ...
