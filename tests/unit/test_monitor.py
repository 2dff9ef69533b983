"""Monitors: what is made of points for the rows, and what a bad input makes of it."""

import math
from typing import Any

import numpy as np
import pytest

from edgectl._kernel.monitor import MonitorBench, MonitorKind
from edgectl.plant.rows import rows

DT_NS = 100_000_000
S = 1_000_000_000
GOOD, BAD = 2, 0
NONE, NOT_YET = 0, 1


def bench(kind: MonitorKind, inputs: int = 1, **fields: Any) -> MonitorBench:
    """One monitor of so many inputs; its point is the one after them."""
    row = {"kind": kind, "inputs": inputs, "output_point": inputs} | fields
    return MonitorBench(
        rows("MonitorRow", row), np.arange(inputs, dtype=np.int32), rows("CurveRow"), inputs + 1
    )


def values(made: MonitorBench, *scans: list[float | None], dt_ns: int = DT_NS) -> list[float]:
    """The monitor's value after each scan."""
    return [made.step(scan, dt_ns)[0][0] for scan in scans]


def test_a_rate_is_the_change_over_a_whole_window_and_not_known_before_one() -> None:
    made = bench(MonitorKind.MONITOR_RATE, window_ns=2 * DT_NS)
    assert made.step([300.0], DT_NS)[0][1:] == (BAD, NOT_YET)
    assert made.step([300.5], DT_NS)[0][1:] == (BAD, NOT_YET)
    assert made.step([301.0], DT_NS)[0] == (pytest.approx(5.0), GOOD, NONE)
    assert values(made, [311.0], [321.0]) == pytest.approx([5.0, 100.0])


def test_a_rate_falls_as_well_unless_it_is_taken_either_way() -> None:
    scans: list[list[float | None]] = [[50.0], [49.9]]
    assert values(bench(MonitorKind.MONITOR_RATE, window_ns=DT_NS), *scans)[-1] == pytest.approx(-1)
    either = bench(MonitorKind.MONITOR_RATE, window_ns=DT_NS, absolute=1)
    assert values(either, *scans)[-1] == pytest.approx(1.0)


def test_a_rate_over_a_loss_of_the_input_is_not_made_up() -> None:
    made = bench(MonitorKind.MONITOR_RATE, window_ns=DT_NS)
    values(made, [10.0], [11.0])
    assert made.step([None], DT_NS)[0][1] == BAD
    assert made.step([99.0], DT_NS)[0][1:] == (BAD, NOT_YET), "the first after it is a start"
    assert values(made, [99.5]) == pytest.approx([5.0])


@pytest.mark.parametrize(
    ("kind", "inputs", "fields", "value"),
    [
        (MonitorKind.MONITOR_SPREAD, [3.30, 3.45, 3.25], {}, 0.20),
        (MonitorKind.MONITOR_SPREAD, [5.0, 4.0, 3.0], {}, 2.0),
        (MonitorKind.MONITOR_IMBALANCE, [90.0, 100.0, 110.0], {"level": 1.0}, 0.1),
        (MonitorKind.MONITOR_IMBALANCE, [-90.0, -100.0, -110.0], {"level": 1.0}, 0.1),
        (MonitorKind.MONITOR_IMBALANCE, [0.1, 0.2, 0.3], {"level": 1.0}, 0.0),
        (MonitorKind.MONITOR_BALANCE, [1000.0, 400.0, 500.0], {"level": 1.0}, 0.1),
        (MonitorKind.MONITOR_BALANCE, [1000.0, 600.0, 500.0], {"level": 1.0}, 0.1),
        (MonitorKind.MONITOR_BALANCE, [0.5, 400.0, 500.0], {"level": 1.0}, 0.0),
        (MonitorKind.MONITOR_MISMATCH, [1.0, 1.0, 1.0], {}, 0.0),
        (MonitorKind.MONITOR_MISMATCH, [1.0, 1.0, 0.0], {}, 1.0),
        (MonitorKind.MONITOR_DIFFERENCE, [3.0, 5.0], {}, 2.0),
        (MonitorKind.MONITOR_DIFFERENCE, [5.0, 3.0], {}, 2.0),
        (MonitorKind.MONITOR_OPPOSED, [100e3, -60e3, 0.0], {}, 60e3),
        (MonitorKind.MONITOR_OPPOSED, [40e3, -60e3, -10e3], {}, 40e3),
        (MonitorKind.MONITOR_OPPOSED, [100e3, 60e3, 0.0], {}, 0.0),
    ],
)
def test_what_is_made_of_one_scan_is_what_its_kind_says(
    kind: MonitorKind, inputs: list[float | None], fields: dict[str, Any], value: float
) -> None:
    made = bench(kind, len(inputs), **fields)
    assert made.step(inputs, DT_NS)[0] == (pytest.approx(value), GOOD, NONE)


ONE_INPUT = (MonitorKind.MONITOR_RATE, MonitorKind.MONITOR_DWELL, MonitorKind.MONITOR_COUNT)
MANY_INPUTS = [
    kind
    for kind in MonitorKind
    if kind < MonitorKind.MONITOR_INVERSE_TIME and kind not in ONE_INPUT
]


@pytest.mark.parametrize("kind", [*ONE_INPUT, *MANY_INPUTS])
def test_a_monitor_is_no_better_than_its_worst_input(kind: MonitorKind) -> None:
    inputs = 1 if kind in ONE_INPUT else 2
    made = bench(kind, inputs)
    assert made.step([1.0] * (inputs - 1) + [None], DT_NS)[0][1:] == (BAD, NOT_YET)


def test_a_heartbeat_that_stands_still_ages_and_the_slowest_counts() -> None:
    made = bench(MonitorKind.MONITOR_UNCHANGED, 2)
    scans: list[list[float | None]] = [[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, 2.0]]
    assert values(made, *scans) == pytest.approx([0.0, 0.1, 0.2, 0.0])


def test_a_dwell_counts_from_the_last_change_between_on_and_off() -> None:
    made = bench(MonitorKind.MONITOR_DWELL, level=5.0)
    scans: list[list[float | None]] = [[0.0], [0.0], [9.0], [-9.0], [8.0], [1.0]]
    assert values(made, *scans) == pytest.approx([0.0, 0.1, 0.0, 0.1, 0.2, 0.0])
    assert made.step([None], DT_NS)[0][1] == BAD
    assert values(made, [1.0]) == [0.0], "who was not looked at has not stood still"


def test_a_coulomb_count_shows_a_jump_of_the_state_of_charge() -> None:
    made = bench(MonitorKind.MONITOR_COULOMB, 2, capacity_j=1e6, window_ns=10 * S)
    scans: list[list[float | None]] = [[0.50, 1e6], [0.60, 1e6], [0.70, 1e6], [0.90, 1e6]]
    assert values(made, *scans) == pytest.approx([0.0, 0.0, 0.0, 0.1])


def test_a_coulomb_count_begins_anew_with_each_window() -> None:
    made = bench(MonitorKind.MONITOR_COULOMB, 2, capacity_j=1e6, window_ns=3 * DT_NS)
    scans: list[list[float | None]] = [[0.5, 0.0], [0.6, 0.0], [0.6, 0.0], [0.6, 0.0], [0.6, 0.0]]
    assert values(made, *scans) == pytest.approx([0.0, 0.1, 0.1, 0.0, 0.0])


def test_a_count_knows_each_dip_within_its_window_and_forgets_it_after() -> None:
    made = bench(MonitorKind.MONITOR_COUNT, level=0.9, below=1, window_ns=5 * DT_NS)
    scans: list[list[float | None]] = [[v] for v in (0.5, 1.0, 0.5, 0.5, 1.0, 0.5, 1.0, 1.0, 1.0)]
    assert values(made, *scans) == [0, 0, 1, 1, 1, 2, 2, 1, 1], "what is on at first is no edge"


def test_a_count_passes_its_level_upwards_too_and_holds_as_many_as_it_can_remember() -> None:
    made = bench(MonitorKind.MONITOR_COUNT, level=10.0, window_ns=1000 * S)
    scans: list[list[float | None]] = [[0.0], [20.0]] * 20
    counted = values(made, *scans)
    assert counted[1::2] == [min(n, 16) for n in range(1, 21)]
    assert math.isnan(counted[0]) is False


def demand(kind: MonitorKind, inputs: int = 1) -> MonitorBench:
    """A 15-minute window at 1 MW."""
    return bench(kind, inputs, **{"demand.limit_w": 1_000_000, "demand.window_ms": 900_000})


def test_a_demand_window_knows_its_forecast_its_room_and_what_the_batteries_leave() -> None:
    quarter_ns = 900 * S
    expected = {
        MonitorKind.MONITOR_DEMAND_FORECAST: 1_500_000,
        MonitorKind.MONITOR_DEMAND_ROOM: 500_000,
        MonitorKind.MONITOR_DEMAND_SHORTFALL: 800_000,
    }
    for kind, value in expected.items():
        made = demand(kind)
        made.step([1.5e6], 450 * S, quarter_ns)
        made.step([1.5e6], 450 * S, quarter_ns)
        found = made.step([1.5e6], 0, quarter_ns, usable_j=450 * 200e3, discharge_max_w=1e6)
        assert found[0] == (value, GOOD, NONE)


def test_a_lost_demand_meter_counts_as_at_the_limit_and_says_so() -> None:
    made = demand(MonitorKind.MONITOR_DEMAND_FORECAST)
    made.step([0.0], DT_NS, 0)
    assert made.step([None], 450 * S)[0] == (pytest.approx(1e6, abs=200), BAD, NOT_YET)


def test_a_sync_pulse_begins_a_window_and_a_lost_pulse_is_none() -> None:
    made = demand(MonitorKind.MONITOR_DEMAND_FORECAST, 2)
    made.step([2e6, 0.0], DT_NS, 0)
    made.step([2e6, 0.0], 450 * S)
    before = made.step([0.0, None], DT_NS)[0]
    assert before == (pytest.approx(1e6, abs=1000), GOOD, NONE)
    assert made.step([0.0, 1.0], DT_NS)[0][0] == 0.0
    made.step([2e6, 1.0], 450 * S)
    assert made.step([0.0, 1.0], DT_NS)[0][0] == pytest.approx(1e6, abs=1000), "no second edge"
