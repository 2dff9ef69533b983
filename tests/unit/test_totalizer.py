"""Totalizers: the trapezoid on integers, gaps that are never a zero, lifetimes of two limbs."""

import pytest

from edgectl._kernel.totalizer import MeterGrade, accumulate, total_of

S = 1_000_000_000
MEASURED, ESTIMATED = MeterGrade.METER_MEASURED, MeterGrade.METER_ESTIMATED
SUBSTITUTED = MeterGrade.METER_SUBSTITUTED


def test_a_constant_power_is_its_power_times_the_time() -> None:
    energies, _, imported, exported, _ = accumulate([(at * S, 1000.0) for at in range(11)])
    assert energies == [0] + [1_000_000] * 10
    assert (imported, exported) == ((10_000, 0), (0, 0))


def test_a_power_linear_between_scans_is_exact() -> None:
    energies, *_ = accumulate([(S, 0.0), (2 * S, 10.0), (4 * S, 30.0)])
    assert energies == [0, 5_000, 40_000]


def test_what_a_division_leaves_is_carried_and_never_lost() -> None:
    third_w = 0.001  # 1 mW over 1 ns is 1e-9 mJ: nothing in one scan, 1 mJ in 1e9
    energies, _, imported, _, _ = accumulate([(at * S // 10 + 1, third_w) for at in range(101)])
    assert set(energies) == {0, 1}
    assert imported == (0, 10)


def test_import_and_export_are_counted_apart() -> None:
    _, _, imported, exported, _ = accumulate([(S, 50.0), (2 * S, 50.0), (3 * S, -70.0),
                                              (4 * S, -70.0)])  # fmt: skip
    assert imported == (50, 0)
    assert exported == (10 + 70, 0)


def test_a_lost_meter_is_held_for_its_time_and_then_counts_as_the_worst() -> None:
    samples = [(S, 100.0), (2 * S, None), (3 * S, None), (4 * S, None), (5 * S, 100.0)]
    energies, grades, *_ = accumulate(samples, substitute_w=900.0, hold_ns=2 * S)
    assert grades == [MEASURED, ESTIMATED, ESTIMATED, SUBSTITUTED, MEASURED]
    assert energies == [0, 100_000, 100_000, 500_000, 500_000]


def test_a_meter_that_never_spoke_counts_as_the_worst_from_the_start() -> None:
    energies, grades, *_ = accumulate([(S, None), (2 * S, None)], 900.0, 10 * S)
    assert grades == [SUBSTITUTED, SUBSTITUTED]
    assert energies == [0, 900_000]


def test_a_step_over_the_gap_limit_is_bridged_and_told() -> None:
    samples = [(S, 100.0), (11 * S, 100.0), (12 * S, 100.0)]
    energies, grades, _, _, gap_ns = accumulate(samples, gap_max_ns=5 * S)
    assert energies == [0, 1_000_000, 100_000]
    assert grades == [MEASURED, SUBSTITUTED, MEASURED]
    assert gap_ns == 10 * S


def test_time_that_does_not_advance_adds_nothing() -> None:
    energies, _, imported, _, _ = accumulate([(2 * S, 5.0), (2 * S, 9e6), (S, 9e6), (3 * S, 5.0)])
    assert energies == [0, 0, 0, 5_000]
    assert imported == (5, 0)


@pytest.mark.parametrize(
    ("parts", "total"),
    [
        ([999, 1], (1, 0)),
        ([-1], (-1, 999)),
        ([-1, 1], (0, 0)),
        ([-1000], (-1, 0)),
        ([2**62, -(2**62)], (0, 0)),
        ([1500, -2700], (-2, 800)),
    ],
)
def test_the_lower_limb_stays_from_0_to_999_across_carry_and_sign(
    parts: list[int], total: tuple[int, int]
) -> None:
    assert total_of(parts) == total


def test_twenty_years_of_ten_gigawatts_fit_a_lifetime() -> None:
    years_20_s = 20 * 366 * 86_400
    step_s, power_w = 86_400, 10e9
    samples = [(S + at * step_s * S, power_w) for at in range(years_20_s // step_s + 1)]
    _, _, imported, _, _ = accumulate(samples)
    assert imported == (int(power_w) * years_20_s, 0)
