"""The campus in process: signals to words in the kernel's own buffers, at simulated time."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.kernel import Kernel
from edgectl.plant._physics import Plant

SLOT_DTYPE: np.dtype[np.void]
ACTION_DTYPE: np.dtype[np.void]

class CommandKind(IntEnum):
    COMMAND_STORAGE = 0
    COMMAND_PV = 1
    COMMAND_FLEXIBLE = 2
    COMMAND_OPEN = 3
    COMMAND_NONE = 4

class Shape(IntEnum):
    SHAPE_ONE = 0
    SHAPE_TWO = 1
    SHAPE_FOUR = 2
    SHAPE_SINGLE = 3
    SHAPE_DOUBLE = 4
    SHAPE_BIT = 5

class Bus:
    """One site's simulated bus: the plant, its points' slots and its outputs' actions."""

    plant: Plant
    period: int
    writes: int
    def __init__(
        self,
        plant: Plant,
        slots: NDArray[np.void],
        actions: NDArray[np.void],
        shadow: NDArray[np.uint16],
        block_words: NDArray[np.int32],
        block_fast: NDArray[np.uint8],
    ) -> None: ...
    def silence(self, block: int, on: bool) -> None: ...
    def encode_all(self) -> None: ...
    def words(self, first: int, count: int) -> list[int]: ...

def simulate(kernel: Kernel, bus: Bus, scans: int, start_ns: int, utc_start_ns: int) -> None: ...
