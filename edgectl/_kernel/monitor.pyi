"""Monitors on their own: the tests' door, and their kinds."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

class MonitorKind(IntEnum):
    MONITOR_RATE = 0
    MONITOR_SPREAD = 1
    MONITOR_IMBALANCE = 2
    MONITOR_BALANCE = 3
    MONITOR_MISMATCH = 4
    MONITOR_DIFFERENCE = 5
    MONITOR_UNCHANGED = 6
    MONITOR_DWELL = 7
    MONITOR_COULOMB = 8
    MONITOR_COUNT = 9
    MONITOR_OPPOSED = 10
    MONITOR_INVERSE_TIME = 11
    MONITOR_DEMAND_FORECAST = 12
    MONITOR_DEMAND_ROOM = 13
    MONITOR_DEMAND_SHORTFALL = 14

class MonitorBench:
    """Monitors driven value by value."""

    def __new__(
        cls,
        rows: NDArray[np.void],
        inputs: NDArray[np.int32],
        curves: NDArray[np.void],
        points: int,
    ) -> Self: ...
    def step(
        self,
        values: Sequence[float | None],
        dt_ns: int,
        utc_ns: int = ...,
        usable_j: float = ...,
        discharge_max_w: float = ...,
    ) -> list[tuple[float, int, int]]: ...
