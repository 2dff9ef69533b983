"""Which scans tripped which rows: the same rising edges that the kernel counts."""

from typing import Any

import numpy as np

from edgectl._kernel.interlock import InterlockStatus, RowFlag

TRIPPED = int(InterlockStatus.INTERLOCK_TRIPPED)
START = int(RowFlag.ROW_START)


def rising(records: Any) -> list[tuple[int, int]]:
    """(record, row) of every trip in consecutive records but the first, in time's order.

    A row that trips again while it is still latched has not tripped a second time; the trip
    that every row starts with is none; a real cause that comes while it still stands is one.
    """
    status, flags = records["interlocks"], records["interlock_flags"]
    now = (status[1:] == TRIPPED) & ((flags[1:] & START) == 0)
    quiet = (status[:-1] < TRIPPED) | ((flags[:-1] & START) != 0)
    return [(int(at) + 1, int(row)) for at, row in zip(*np.nonzero(now & quiet), strict=True)]
