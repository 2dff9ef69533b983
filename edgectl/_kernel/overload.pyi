"""Inverse-time overload on its own: the tests' door."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def overload_trace(curve: NDArray[np.void], values: Sequence[float], dt_ns: int) -> list[float]: ...
