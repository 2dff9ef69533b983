"""Tables of integers as a record has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgectl.ledger.origins import OPENINGS


def table(content: bytes, width: int) -> list[list[int]]:
    """Rows of so many integers."""
    rows: list[list[int]] = np.frombuffer(content, "<i8").reshape(-1, width).tolist()
    return rows


def pairs(stocks: bytes) -> list[tuple[int, int]]:
    """Of each battery what it holds, mJ and ug."""
    return [(mj, ug) for mj, ug in table(stocks, 2)]


def openings(part: Mapping[str, Any], storages: int) -> list[list[int]]:
    """Of each battery what was declared or found; nothing in a ledger that does not say."""
    if "storage_openings" not in part:
        return [[0, 0]] * storages
    return table(part["storage_openings"], len(OPENINGS))
