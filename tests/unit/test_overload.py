"""Inverse-time curves: the time to trip against the closed form, monotone, and the cooling."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgectl._kernel.monitor import MonitorBench, MonitorKind
from edgectl._kernel.overload import overload_trace
from edgectl.plant.rows import rows
from edgectl.site_model.model import Monitor
from edgectl.site_model.monitors import CURVES, curve_rows

DT_NS = 100_000_000
PICKUP_A = 400.0
MULTIPLES = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0)


def curve(name: str, multiplier: float = 1.0, reset_s: float = 100.0) -> Any:
    """The table of one curve."""
    return curve_rows(
        Monitor("OL", "inverse_time", ("T1.current",), "ratio", 0, False, False, PICKUP_A, 1.0, 0,
                name, multiplier, reset_s, "")
    )  # fmt: skip


def closed_form_s(name: str, multiple: float, multiplier: float = 1.0) -> float:
    """Time to trip as the standard writes it."""
    k, a, c = CURVES[name]
    return multiplier * (k / (multiple**a - 1.0) + c)


def trip_s(table: Any, current_a: float, longest_s: float) -> float:
    """Seconds until the heat reaches a trip."""
    scans = int(longest_s / 0.1) + 2
    heats = overload_trace(table, [current_a] * scans, DT_NS)
    return next(at for at, heat in enumerate(heats, start=1) if heat >= 1.0) * 0.1


@pytest.mark.parametrize("name", list(CURVES))
@pytest.mark.parametrize("multiple", MULTIPLES)
def test_the_time_to_trip_is_the_curves_within_five_percent_or_a_scan(
    name: str, multiple: float
) -> None:
    expected_s = closed_form_s(name, multiple)
    found_s = trip_s(curve(name), multiple * PICKUP_A, expected_s * 1.1 + 1.0)
    assert abs(found_s - expected_s) <= max(0.05 * expected_s, 0.1 + 1e-9)


def test_the_multiplier_stretches_the_curve() -> None:
    found_s = trip_s(curve("iec_vi", multiplier=0.3), 4 * PICKUP_A, 10.0)
    assert found_s == pytest.approx(closed_form_s("iec_vi", 4.0, 0.3), abs=0.15)


@given(
    name=st.sampled_from(list(CURVES)),
    currents=st.lists(st.floats(0.0, 50 * PICKUP_A), min_size=1, max_size=30),
    more=st.floats(0.0, 10 * PICKUP_A),
)
def test_more_current_never_leaves_less_heat(name: str, currents: list[float], more: float) -> None:
    table = curve(name)
    less = overload_trace(table, currents, DT_NS)
    greater = overload_trace(table, [each + more for each in currents], DT_NS)
    assert all(one <= other for one, other in zip(less, greater, strict=True))


def test_heat_rises_above_pick_up_and_is_lost_below_it_in_the_reset_time() -> None:
    table = curve("iec_vi", reset_s=10.0)
    heats = overload_trace(table, [2 * PICKUP_A] * 50 + [0.0] * 60, DT_NS)
    assert all(b > a for a, b in itertools.pairwise(heats[:50]))
    gathered = heats[49]
    assert heats[50 + int(gathered * 10.0 / 0.1) + 1] == 0.0
    assert heats[55] > 0.0


def test_a_current_that_is_no_number_cools_and_never_trips() -> None:
    assert overload_trace(curve("iec_ei"), [float("nan")] * 3, DT_NS) == [0.0] * 3


def test_heat_is_bounded_so_that_it_cools_from_the_trip_and_not_from_a_fault_current() -> None:
    heats = overload_trace(curve("iec_ei", reset_s=8.0), [1e9] * 100 + [0.0] * 40, DT_NS)
    assert max(heats) == 1.25
    assert heats[-1] < 1.0


def test_a_long_step_counts_as_ten_seconds_and_a_table_of_another_size_is_refused() -> None:
    table = curve("iec_si")
    (late,) = overload_trace(table, [1.5 * PICKUP_A], 3_600 * 10**9)
    (ten,) = overload_trace(table, [1.5 * PICKUP_A], 10 * 10**9)
    assert late == ten > 0.0
    with pytest.raises(ValueError, match="512 steps"):
        overload_trace(table[:100], [1.0], DT_NS)


def test_an_overload_monitor_holds_its_heat_while_its_input_is_lost() -> None:
    row = {"kind": MonitorKind.MONITOR_INVERSE_TIME, "output_point": 1}
    made = MonitorBench(rows("MonitorRow", row), np.zeros(1, np.int32), curve("iec_ei"), 2)
    made.step([-3 * PICKUP_A], DT_NS)
    heat = made.step([-3 * PICKUP_A], DT_NS)[0][0]
    assert heat > 0.0, "reverse current heats as well"
    assert made.step([None], DT_NS)[0][1] == 0
    assert made.step([0.0], 0)[0][0] == heat
