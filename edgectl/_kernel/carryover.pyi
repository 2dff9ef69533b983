"""One battery's stock over restarts: the tests' door."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgectl._kernel.inventory import InventoryBench

class CarryoverBench(InventoryBench):
    """One battery's stock over restarts."""

    def carry(self, kept: Mapping[str, Any], slices: Sequence[Mapping[str, Any]]) -> None: ...
    def kept(self) -> tuple[dict[str, Any], list[dict[str, Any]]]: ...
    def note(self, soc_ppm: int) -> None: ...
    def resume(self, soc_ppm: int, mg_per_kwh: int) -> None: ...
