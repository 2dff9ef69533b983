"""A demand window on its own: the tests' door."""

from typing import Self

class DemandBench:
    """One window, scan by scan."""

    def __new__(cls, limit_w: int, window_ms: int) -> Self: ...
    def step(
        self,
        power_w: float,
        dt_ns: int,
        utc_ns: int = ...,
        pulse: bool = ...,
        pulsed: bool = ...,
        usable_j: float = ...,
        discharge_max_w: float = ...,
    ) -> tuple[int, int, int]: ...
    @property
    def window(self) -> tuple[int, int]: ...
