"""The kernel's structs as numpy dtypes."""

from typing import Any

import numpy as np

DTYPES: dict[str, np.dtype[Any]]
