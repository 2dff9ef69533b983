"""Should it have tripped? Voltage and frequency samples against the stages of a device.

Each stage is an on-delay timer as IEEE 1547-2018 6.4 and 6.5 have it: it runs while the quantity
is beyond the threshold, and begins again from nothing once it is not. Time counts from the first
sample seen beyond, as the kernel's TON does, so that with samples every 100 ms a stage of 0.16 s
trips 200 ms after it. The device itself looks thousands of times a second and is never later.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edgectl.grid_code.code import OVER, VOLTAGES, Rules

NS_PER_S = 1_000_000_000
BLIND_AFTER_NS = 250_000_000  # samples further apart than two scans and a half leave a gap


@dataclass(frozen=True, slots=True)
class Stage:
    """One trip stage. threshold: pu or Hz."""

    name: str
    quantity: str
    threshold: float
    time_ns: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one moment; a value that is None or NaN is none.

    v_low_pu, v_high_pu  lowest and highest of the applicable voltages
    """

    time_ns: int
    v_low_pu: float | None
    v_high_pu: float | None
    frequency_hz: float | None

    def of(self, quantity: str) -> float | None:
        """The value that a stage of this quantity looks at."""
        if quantity not in VOLTAGES:
            value = self.frequency_hz
        else:
            value = self.v_high_pu if quantity in OVER else self.v_low_pu
        return None if value is None or math.isnan(value) else value


@dataclass(frozen=True, slots=True)
class EnterLimits:
    """Where voltage and frequency must be, and for how long, before a tripped device returns."""

    v_low_pu: float
    v_high_pu: float
    f_low_hz: float
    f_high_hz: float
    delay_ns: int

    def holds(self, sample: Sample) -> bool:
        """Whether all of it is within; a missing value is not."""
        low, high = sample.of("under_voltage"), sample.of("over_voltage")
        hertz = sample.of("over_frequency")
        return (
            low is not None
            and high is not None
            and hertz is not None
            and low >= self.v_low_pu
            and high <= self.v_high_pu
            and self.f_low_hz <= hertz <= self.f_high_hz
        )


@dataclass(slots=True)
class Timer:
    """On-delay: true once its input has been seen true for `time_ns`."""

    time_ns: int
    elapsed_ns: int = 0
    timing: bool = False
    q: bool = False

    def step(self, held: bool, dt_ns: int) -> bool:
        """Take one more look, dt after the one before."""
        if not held:
            self.elapsed_ns, self.timing, self.q = 0, False, False
            return False
        if self.timing:
            self.elapsed_ns += dt_ns
        self.timing = True
        self.q = self.elapsed_ns >= self.time_ns
        return self.q


@dataclass(slots=True)
class TripWindow:
    """All stages of a device, sample by sample.

    A missing value leaves its stages as the last good one had them.
    """

    stages: tuple[Stage, ...]
    timers: list[Timer] = field(init=False)
    _beyond: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        self.timers = [Timer(each.time_ns) for each in self.stages]
        self._beyond = [False] * len(self.stages)

    def step(self, sample: Sample, dt_ns: int) -> tuple[bool, ...]:
        """Whether each stage asks for a trip now."""
        for at, stage in enumerate(self.stages):
            value = sample.of(stage.quantity)
            if value is None:
                continue
            over = stage.quantity in OVER
            self._beyond[at] = value > stage.threshold if over else value < stage.threshold
        return tuple(
            timer.step(beyond, dt_ns)
            for timer, beyond in zip(self.timers, self._beyond, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that should have happened; what: a stage's name, or "return"."""

    time_ns: int
    what: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a device with these settings should have done.

    moments    trips, and from when on it may return, in order
    blind_ns   time without samples, or with one that lacks a value: a verdict over it is a guess
    longest    each stage's longest time beyond its threshold, ns
    """

    moments: tuple[Moment, ...]
    blind_ns: int
    longest: dict[str, int]

    @property
    def tripped(self) -> bool:
        """It should have tripped at least once."""
        return any(each.what != "return" for each in self.moments)


def judge(
    samples: Iterable[Sample], stages: Sequence[Stage], enter: EnterLimits | None
) -> Judgement:
    """Run a recorded event through the settings.

    enter  None: nothing is said about returning
    """
    window = TripWindow(tuple(stages))
    back = Timer(enter.delay_ns if enter else 0)
    moments: list[Moment] = []
    longest = dict.fromkeys((each.name for each in stages), 0)
    blind_ns, before, out = 0, None, False
    for sample in samples:
        dt_ns = sample.time_ns - before.time_ns if before else 0
        if dt_ns > BLIND_AFTER_NS or _lacks(sample):
            blind_ns += dt_ns
        asks = window.step(sample, dt_ns)
        for stage, timer in zip(stages, window.timers, strict=True):
            longest[stage.name] = max(longest[stage.name], timer.elapsed_ns)
        if any(asks) and not out:
            out = True
            first = stages[asks.index(True)].name
            moments.append(Moment(sample.time_ns, first))
        may_return = enter is not None and back.step(enter.holds(sample), dt_ns)
        if out and may_return and not any(asks):
            out = False
            moments.append(Moment(sample.time_ns, "return"))
        before = sample
    return Judgement(tuple(moments), blind_ns, longest)


def _lacks(sample: Sample) -> bool:
    return None in (
        sample.of("under_voltage"), sample.of("over_voltage"), sample.of("over_frequency")
    )  # fmt: skip


def default_stages(rules: Rules) -> tuple[Stage, ...]:
    """The stages of a category at their defaults."""
    return tuple(
        Stage(each.setting, each.quantity, each.threshold, round(each.time_s * NS_PER_S))
        for each in rules.trips
    )


def default_enter(rules: Rules) -> EnterLimits | None:
    """Enter service at the defaults of a category; None where the code says nothing of it."""
    values = {each.setting: each.value for each in rules.values}
    names = ("ES_V_LOW", "ES_V_HIGH", "ES_F_LOW", "ES_F_HIGH", "ES_DELAY")
    if any(name not in values for name in names):
        return None
    low, high, f_low, f_high, delay_s = (values[name] for name in names)
    return EnterLimits(low, high, f_low, f_high, round(delay_s * NS_PER_S))
