"""From request to setpoint, on its own: the tests' door, and its enumerations."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

class Binding(IntEnum):
    BINDING_NONE = 0
    BINDING_REJECTED = 1
    BINDING_IMPORT_CAP = 2
    BINDING_EXPORT_MAX = 3
    BINDING_RATING = 4
    BINDING_INTERLOCK = 5
    BINDING_RAMP = 6
    BINDING_NOT_ARMED = 7

class RequestSource(IntEnum):
    SOURCE_LOCAL = 0
    SOURCE_PLAN = 1
    SOURCE_OPERATOR = 2

def permitted_setpoint_w(
    request_w: float, charge_max_w: float, discharge_max_w: float
) -> float: ...

class DispatchBench:
    """Batteries, a grid meter and a flexible load, scan by scan."""

    def __new__(
        cls,
        row: NDArray[np.void],
        storages: NDArray[np.void],
        pvs: NDArray[np.void],
        flexible: NDArray[np.void],
    ) -> Self: ...
    def want(self, storage: int, value_w: float, source: int, ttl_ns: int) -> None: ...
    def want_shed(self, value_w: float, ttl_ns: int) -> None: ...
    def want_import_cap(self, value_w: float, ttl_ns: int) -> None: ...
    def written(self, storage: int, output_w: float) -> None: ...
    def limited(self, pv: int, limit_w: float) -> None: ...
    def halt(self, armed: bool, stopping: bool) -> None: ...
    def storage(self, storage: int) -> dict[str, float]: ...
    def point(self, point: int) -> tuple[float, int]: ...
    @property
    def site(self) -> dict[str, float]: ...
    def step(
        self,
        values: Sequence[float | None],
        permits: Sequence[Mapping[str, float]],
        it_w: float,
        carbon_g_per_kwh: float | None,
        dt_ns: int,
        site: Mapping[str, float] | None = ...,
    ) -> tuple[list[tuple[float, float, Binding]], float, list[float]]: ...
