"""The cause-and-effect table on its own: the tests' door, and its enumerations."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

class CauseOp(IntEnum):
    CAUSE_ABOVE = 0
    CAUSE_BELOW = 1
    CAUSE_EQUAL = 2
    CAUSE_NOT_EQUAL = 3
    CAUSE_LIMIT = 4
    CAUSE_BAD = 5

class Effect(IntEnum):
    EFFECT_ALARM = 0
    EFFECT_HOLD = 1
    EFFECT_LIMIT_CHARGE = 2
    EFFECT_LIMIT_DISCHARGE = 3
    EFFECT_LIMIT_IMPORT = 4
    EFFECT_DERATE = 5
    EFFECT_REFUSE_SHED = 6
    EFFECT_SHED = 7
    EFFECT_BLOCK_COMMAND = 8
    EFFECT_INHIBIT_CHARGE = 9
    EFFECT_INHIBIT_DISCHARGE = 10
    EFFECT_RAMP_TO_ZERO = 11
    EFFECT_ZERO = 12
    EFFECT_OPEN_REQUEST = 13
    EFFECT_SAFE_STATE = 14

class InterlockStatus(IntEnum):
    INTERLOCK_CLEAR = 0
    INTERLOCK_PENDING = 1
    INTERLOCK_TRIPPED = 2
    INTERLOCK_LATCHED = 3

class OnBad(IntEnum):
    ON_BAD_TRIP = 0
    ON_BAD_HOLD = 1

class Reset(IntEnum):
    RESET_AUTO = 0
    RESET_OPERATOR = 1
    RESET_LOCAL = 2
    RESET_RESTART = 3

class RowFlag(IntEnum):
    ROW_START = 1
    ROW_FIRST_OUT = 2
    ROW_LOCKED = 4
    ROW_BYPASSED = 8
    ROW_DISCREPANT = 16
    ROW_UNDER_TEST = 32
    ROW_CAUSE = 64

class InterlockBench:
    """A table driven value by value."""

    def __new__(
        cls,
        rows: NDArray[np.void],
        causes: NDArray[np.void],
        effects: NDArray[np.void],
        points: int,
        storages: int,
    ) -> Self: ...
    def step(
        self, values: Sequence[float | None], dt_ns: int
    ) -> tuple[list[InterlockStatus], list[tuple[float, float, Effect, int]], dict[str, Any]]: ...
    def reset(self, row: int, authority: int) -> int: ...
    def permit(self, storage: int) -> dict[str, Any]: ...
    def bypass(self, row: int, length_ns: int) -> int: ...
    def maintenance(self, length_ns: int) -> int: ...
    def inject(self, row: int, cause: int, value: float, length_ns: int) -> int: ...
    def retain(
        self,
        row: int,
        status: int,
        locked: bool = ...,
        first_out: bool = ...,
        bypass_left_ns: int = ...,
        trips: int = ...,
    ) -> int: ...
    def states_of(self, row: int) -> dict[str, Any]: ...
    def first_outs(self) -> list[int]: ...
    def trips(self) -> list[int]: ...
