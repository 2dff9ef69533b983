"""Totalizers against exact fractions."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from edgectl._kernel.totalizer import accumulate, total_of

powers_milliwatt = st.integers(min_value=-(10**13), max_value=10**13)  # 10 GW either way
steps_ns = st.integers(min_value=1, max_value=10**10)


@given(
    start_ns=st.integers(1, 10**15),
    samples=st.lists(st.tuples(steps_ns, powers_milliwatt), min_size=1, max_size=60),
)
def test_the_sum_of_all_scans_is_the_exact_integral_to_less_than_a_millijoule(
    start_ns: int, samples: list[tuple[int, int]]
) -> None:
    time_ns, series, exact_mj = start_ns, [], Fraction(0)
    for at, (step_ns, milliwatt) in enumerate(samples):
        time_ns += step_ns
        watt = milliwatt / 1000.0
        assert round(watt * 1000.0) == milliwatt
        series.append((time_ns, watt))
        if at:
            exact_mj += Fraction((samples[at - 1][1] + milliwatt) * step_ns, 2 * 10**9)
    energies, _, imported, exported, _ = accumulate(series)
    assert abs(sum(energies) - exact_mj) < 1
    bought, sold = (units * 1000 + milli for units, milli in (imported, exported))
    assert bought == sum(energy for energy in energies if energy > 0)
    assert sold == -sum(energy for energy in energies if energy < 0)


@given(parts=st.lists(st.integers(-(2**62), 2**62), max_size=40))
def test_two_limbs_hold_the_exact_sum(parts: list[int]) -> None:
    units, milli = total_of(parts)
    assert 0 <= milli <= 999
    assert units * 1000 + milli == sum(parts)
