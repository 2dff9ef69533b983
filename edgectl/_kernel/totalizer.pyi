"""Energy totalizers in integers: the tests' doors."""

from collections.abc import Iterable
from enum import IntEnum

class MeterGrade(IntEnum):
    METER_MEASURED = 0
    METER_ESTIMATED = 1
    METER_SUBSTITUTED = 2

class TotalizerStatus(IntEnum):
    TOTALIZER_OK = 0
    TOTALIZER_STARTED = 1
    TOTALIZER_GAP = 2
    TOTALIZER_NOT_LATER = 3

def accumulate(
    samples: Iterable[tuple[int, float | None]],
    substitute_w: float = ...,
    hold_ns: int = ...,
    gap_max_ns: int = ...,
) -> tuple[list[int], list[MeterGrade], tuple[int, int], tuple[int, int], int]: ...
def total_of(parts: Iterable[int]) -> tuple[int, int]: ...
