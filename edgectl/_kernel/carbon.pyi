"""Flow tracing with carbon, on its own: the tests' door."""

from collections.abc import Sequence
from typing import Self

class FlowBench:
    """Flows fed scan by scan."""

    def __new__(
        cls,
        loads: int,
        efficiencies_ppm: Sequence[tuple[int, int]],
        energies_j: Sequence[float],
        stock_mg_per_kwh: int,
        *,
        pvs: int = ...,
        generators_mg: Sequence[int] = ...,
        buses: int = ...,
        meter_buses: Sequence[int] | None = ...,
        feeders: Sequence[tuple[int, int, bool]] = ...,
    ) -> Self: ...
    def trace(
        self,
        grid_mj: int,
        pv_mj: int | Sequence[int],
        loads_mj: Sequence[int],
        storages_mj: Sequence[int],
        grid_mg_per_kwh: int,
        pv_mg_per_kwh: int = ...,
        unmetered_mg_per_kwh: int = ...,
        generators_mj: Sequence[int] = ...,
        feeders_mj: Sequence[int] = ...,
    ) -> tuple[list[list[tuple[int, int]]], list[tuple[int, int]], list[int], tuple[int, int]]: ...
    def stocks(self) -> list[tuple[int, int, int]]: ...
    def origins(self) -> list[tuple[list[int], list[int]]]: ...
    def totals_of(self, source: int, sink: int) -> tuple[tuple[int, int], tuple[int, int]]: ...
