"""What a battery does with its setpoint: the tests' door."""

from typing import Self

class EffectBench:
    """An effect window with a meter beside it."""

    def __new__(cls, effect_ns: int) -> Self: ...
    def step(self, output_w: float, metered_w: float, now_ns: int) -> float: ...
    def limit_step(self, limit_w: float, generated_w: float, now_ns: int) -> float: ...
