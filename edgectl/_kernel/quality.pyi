"""What a value is worth."""

from collections.abc import Iterable
from enum import IntEnum

class Quality(IntEnum):
    QUALITY_BAD = 0
    QUALITY_UNCERTAIN = 1
    QUALITY_GOOD = 2

class Reason(IntEnum):
    REASON_NONE = 0
    REASON_NOT_YET = 1
    REASON_COMMUNICATION = 2
    REASON_CONFIGURATION = 3
    REASON_NOT_IMPLEMENTED = 4
    REASON_NOT_FINITE = 5
    REASON_OUT_OF_RANGE = 6
    REASON_SLEW = 7
    REASON_STALE = 8
    REASON_FROZEN = 9

def judge(
    samples: Iterable[tuple[int, float | None, int | None]],
    valid_min: float,
    valid_max: float,
    slew_max_per_s: float,
    stale_after_ns: int,
    frozen_after_ns: int,
) -> list[tuple[int, int, float]]: ...
