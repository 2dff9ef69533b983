"""A meter and a converter that time how long a trip takes."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

class Register(IntEnum):
    REGISTER_POWER = 0
    REGISTER_CHARGE = 2
    REGISTER_IDENTITY = 8
    REGISTER_SETPOINT = 16
    IDENTITY = 0x4564

def serve_trips(
    meter: int,
    converter: int,
    life_fd: int,
    quiet_w: float,
    cause_w: float,
    delay_ns: NDArray[np.int64],
    cause_ns: NDArray[np.int64],
    safe_ns: NDArray[np.int64],
) -> int: ...
