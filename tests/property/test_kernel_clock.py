"""The cadence, for any ends of scans."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgectl._kernel.clock import cadence_run


@given(
    origin_ns=st.integers(0, 10**18),
    period_ns=st.integers(1_000_000, 10**9),
    steps_ns=st.lists(st.integers(0, 10**10), min_size=1, max_size=40),
)
def test_every_period_is_run_once_or_counted_as_skipped(
    origin_ns: int, period_ns: int, steps_ns: list[int]
) -> None:
    ends_ns, now_ns = [], origin_ns
    for step_ns in steps_ns:
        now_ns += step_ns
        ends_ns.append(now_ns)
    indices, overruns, in_row = cadence_run(origin_ns, period_ns, ends_ns)
    assert indices[0] == 0
    skipped_in_row = 0
    skipped = 0
    for at, (before, after) in enumerate(pairwise(indices)):
        assert after > before
        assert origin_ns + after * period_ns >= ends_ns[at], "no deadline that is already past"
        if after > before + 1:
            assert origin_ns + (after - 1) * period_ns < ends_ns[at], "skipped no more than needed"
        skipped += after - before - 1
        skipped_in_row = skipped_in_row + 1 if after > before + 1 else 0
    last = -(-(ends_ns[-1] - origin_ns) // period_ns) - indices[-1] - 1
    assert overruns == skipped + max(last, 0)
    assert in_row == (skipped_in_row + 1 if last > 0 else 0)
