"""One battery's stock of energy and carbon, on its own: the tests' door."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Self

class Origin(IntEnum):
    ORIGIN_GRID = 0
    ORIGIN_PV = 1
    ORIGIN_GENERATOR = 2
    ORIGIN_OTHER = 3

class StockMethod(IntEnum):
    METHOD_WEIGHTED_AVERAGE = 0
    METHOD_FIFO = 1

class StockStandby(IntEnum):
    STANDBY_CONCENTRATE = 0
    STANDBY_BOOK = 1

class StockAnchor(IntEnum):
    ANCHOR_NONE = 0
    ANCHOR_FULL = 1
    ANCHOR_EMPTY = 2

class StockOpening(IntEnum):
    OPENING_AWAITED = 0
    OPENING_DECLARED = 1
    OPENING_CARRIED = 2
    OPENING_RESUMED = 3

class InventoryBench:
    """One battery's stock."""

    def __new__(cls, rules: Mapping[str, int]) -> Self: ...
    def start(self, energy_j: float, mg_per_kwh: int) -> None: ...
    def begin(self) -> None: ...
    def fill(self, charged_mj: int, charged_ug: int, origins: Sequence[int]) -> None: ...
    def draw(self, delivered_mj: int, default_mg_per_kwh: int) -> tuple[int, list[int]]: ...
    def settle(self, soc_ppm: int, soc_good: bool, dt_ns: int) -> None: ...
    def held(self) -> tuple[int, int, list[int]]: ...
    def slices(self) -> list[tuple[int, int, list[int]]]: ...
    def account(self) -> tuple[int, int, int, int, int]: ...
    def opened(self) -> tuple[int, int]: ...
