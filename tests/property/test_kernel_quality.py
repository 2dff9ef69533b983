"""Quality against a model of it, for any arrivals."""

import math
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edgectl._kernel.quality import Quality, Reason, judge

LOW, HIGH = -50.0, 50.0
S = 1_000_000_000
BAD, UNCERTAIN, GOOD = Quality.QUALITY_BAD, Quality.QUALITY_UNCERTAIN, Quality.QUALITY_GOOD

values = st.one_of(
    st.none(),
    st.integers(min_value=-60, max_value=60).map(float),
    st.sampled_from([math.nan, math.inf, -math.inf]),
)
arrivals = st.lists(st.tuples(st.integers(1, 4), values, st.integers(0, 2)), max_size=40)


@dataclass
class Model:
    """A sample as its contract words it, with every reply remembered."""

    slew_max_per_s: int
    stale_after_s: int
    frozen_after_s: int
    quality: Quality = BAD
    reason: Reason = Reason.REASON_NOT_YET
    value: float = 0.0
    source_s: int = 0
    changed_s: int = 0
    raw: int | None = None

    def no_reply(self, now_s: int) -> None:
        if self.quality != BAD and now_s - self.source_s > self.stale_after_s:
            self.quality, self.reason = BAD, Reason.REASON_STALE

    def reply(self, now_s: int, value: float, raw: int) -> None:
        step_s, before = now_s - self.source_s, (self.quality, self.value)
        if raw != self.raw:
            self.changed_s = now_s
        self.raw, self.source_s = raw, now_s
        if not math.isfinite(value):
            self.quality, self.reason = BAD, Reason.REASON_NOT_FINITE
        elif not LOW <= value <= HIGH:
            self.quality, self.reason = BAD, Reason.REASON_OUT_OF_RANGE
        else:
            self.value = value
            if before[0] == GOOD and abs(value - before[1]) > self.slew_max_per_s * step_s:
                self.quality, self.reason = UNCERTAIN, Reason.REASON_SLEW
            elif now_s - self.changed_s > self.frozen_after_s:
                self.quality, self.reason = BAD, Reason.REASON_FROZEN
            else:
                self.quality, self.reason = GOOD, Reason.REASON_NONE


@given(
    steps=arrivals,
    slew=st.integers(1, 60),
    stale_after_s=st.integers(1, 5),
    frozen_after_s=st.integers(1, 8),
)
def test_quality_follows_its_contract_for_any_arrivals(
    steps: list[tuple[int, float | None, int]],
    slew: int,
    stale_after_s: int,
    frozen_after_s: int,
) -> None:
    model = Model(slew, stale_after_s, frozen_after_s)
    samples, expected, now_s = [], [], 0
    for step_s, value, raw in steps:
        now_s += step_s
        samples.append((now_s * S, value, raw))
        if value is None:
            model.no_reply(now_s)
        else:
            model.reply(now_s, value, raw)
        expected.append((model.quality, model.reason, model.value))
    limits = (LOW, HIGH, float(slew), stale_after_s * S, frozen_after_s * S)
    assert judge(samples, *limits) == expected


@given(steps=arrivals)
def test_what_is_good_is_finite_in_range_and_young(
    steps: list[tuple[int, float | None, int]],
) -> None:
    samples, now_s, reply_s = [], 0, 0
    for step_s, value, raw in steps:
        now_s += step_s
        samples.append((now_s * S, value, raw))
    states = judge(samples, LOW, HIGH, math.inf, 3 * S, 2**63 - 1)
    for (time_ns, value, _), (quality, _, kept) in zip(samples, states, strict=True):
        reply_s = reply_s if value is None else time_ns // S
        if quality != BAD:
            assert LOW <= kept <= HIGH
            assert time_ns // S - reply_s <= 3
