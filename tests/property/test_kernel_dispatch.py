"""Laws of the dispatch, for every request, reading, permit and state of charge."""

import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from edgectl._kernel.dispatch import Binding, DispatchBench, RequestSource, permitted_setpoint_w
from edgectl._kernel.interlock import Effect
from edgectl.plant.rows import rows

DT_NS = 100_000_000
S = 1_000_000_000
CAP_W, GUARD_W, EXPORT_W, RATING_W, RAMP_W = 1000e3, 10e3, 50e3, 300e3, 20e3
RESERVE, FULL = 0.2, 0.9
BATTERIES = 2
TOLERANCE_W = 2.0  # the dispatch does not move requests for less than 1 W

any_float = st.floats(allow_nan=True, allow_infinity=True)
power_readings = st.one_of(st.none(), st.floats(-3e6, 3e6))
# The interlocks hand over no limit under 0 and none that is not a number (test_kernel_interlock).
limits_w = st.one_of(st.just(math.inf), st.floats(0.0, 4e5), st.just(0.0))
ratios = st.one_of(st.just(1.0), st.floats(0.0, 1.0))
flags = st.sampled_from([0, 0, 0, 1])
permits = st.one_of(
    st.builds(dict),
    st.fixed_dictionaries(
        {
            "charge_max_w": limits_w,
            "discharge_max_w": limits_w,
            "derate_ratio": ratios,
            "hold": flags,
            "block_command": flags,
            "ramp_to_zero": flags,
            "effect": st.sampled_from([Effect.EFFECT_LIMIT_CHARGE, Effect.EFFECT_RAMP_TO_ZERO]),
        }
    ),
    st.builds(
        dict,
        charge_max_w=st.just(0.0),
        discharge_max_w=st.just(0.0),
        effect=st.just(Effect.EFFECT_ZERO),
    ),
)
socs = st.one_of(st.none(), st.floats(-0.1, 1.1), st.sampled_from([RESERVE, FULL]))
scans = st.lists(
    st.fixed_dictionaries(
        {
            "grid_w": power_readings,
            "power_w": st.lists(
                st.one_of(st.none(), st.floats(-4e5, 4e5)),
                min_size=BATTERIES,
                max_size=BATTERIES,
            ),
            "soc": st.lists(socs, min_size=BATTERIES, max_size=BATTERIES),
            "permit": st.lists(permits, min_size=BATTERIES, max_size=BATTERIES),
            "want_w": st.one_of(st.none(), any_float, st.floats(-7e5, 7e5)),
            "carbon": st.floats(0.0, 1000.0),
        }
    ),
    min_size=1,
    max_size=15,
)


def bench() -> DispatchBench:
    """Two batteries behind one cap; no flexible load, no sun."""
    storage = {
        "charge_rating_w": RATING_W, "discharge_rating_w": RATING_W, "capacity_j": 1e9,
        "reserve_ratio": RESERVE, "full_ratio": FULL, "ramp_w_per_s": RAMP_W / DT_NS * S,
        "economy_w": 50e3, "dwell_ns": S,
    }  # fmt: skip
    dispatch = {
        "import_cap_w": CAP_W, "import_guard_w": GUARD_W, "export_max_w": EXPORT_W,
        "storages": BATTERIES, "carbon_high_g_per_kwh": 400.0, "carbon_low_g_per_kwh": 300.0,
    }  # fmt: skip
    points = [{"power_point": 3 + 2 * k, "soc_point": 4 + 2 * k} for k in range(BATTERIES)]
    return DispatchBench(
        rows("DispatchRow", dispatch),
        rows("StorageRow", *(storage | point for point in points)),
        rows("PvRow"),
        rows("FlexibleRow", {"available_point": 1, "deferred_point": 2}),
    )


def step(table: DispatchBench, scan: dict[str, Any]) -> list[tuple[float, float, Binding]]:
    """One scan of drawn readings."""
    if scan["want_w"] is not None:
        table.want(0, scan["want_w"], RequestSource.SOURCE_PLAN, S)
    values = [scan["grid_w"], 0.0, 0.0]
    for power_w, soc in zip(scan["power_w"], scan["soc"], strict=True):
        values += [power_w, soc]
    storages, _, _ = table.step(values, scan["permit"], 4e5, scan["carbon"], DT_NS)
    return storages


def room_w(scan: dict[str, Any], at: int) -> tuple[float, float]:
    """What one battery may do at most: (charge, discharge)."""
    soc = scan["soc"][at]
    permit = scan["permit"][at]
    charge_w, discharge_w = (
        min(permit.get(f"{way}_max_w", math.inf), RATING_W * permit.get("derate_ratio", 1.0))
        for way in ("charge", "discharge")
    )
    if soc is None or soc >= FULL:
        charge_w = 0.0
    if soc is None or soc <= RESERVE:
        discharge_w = 0.0
    return charge_w, discharge_w


@given(request_w=any_float, charge_max_w=any_float, discharge_max_w=any_float)
@example(request_w=math.nan, charge_max_w=250e3, discharge_max_w=250e3)
@example(request_w=math.inf, charge_max_w=math.inf, discharge_max_w=math.inf)
@example(request_w=-0.0, charge_max_w=math.nan, discharge_max_w=-1.0)
def test_setpoint_is_safe_for_every_request_and_limit(
    request_w: float, charge_max_w: float, discharge_max_w: float
) -> None:
    setpoint_w = permitted_setpoint_w(request_w, charge_max_w, discharge_max_w)
    assert math.isfinite(setpoint_w)
    usable = [
        limit if math.isfinite(limit) and limit > 0.0 else 0.0
        for limit in (charge_max_w, discharge_max_w)
    ]
    assert -usable[1] <= setpoint_w <= usable[0]
    if -usable[1] <= request_w <= usable[0]:
        assert setpoint_w == request_w, "what is permitted is not touched"


@given(scans=scans)
def test_no_setpoint_ever_leaves_what_rating_interlocks_and_charge_permit(
    scans: list[dict[str, Any]],
) -> None:
    table = bench()
    for scan in scans:
        for at, (_, setpoint_w, _) in enumerate(step(table, scan)):
            charge_w, discharge_w = room_w(scan, at)
            assert math.isfinite(setpoint_w)
            assert -discharge_w <= setpoint_w <= charge_w
            if scan["permit"][at].get("effect") == Effect.EFFECT_ZERO:
                assert setpoint_w == 0.0


@given(scans=scans)
def test_no_setpoint_moves_faster_than_its_ramp_unless_it_is_taken_back(
    scans: list[dict[str, Any]],
) -> None:
    table = bench()
    before_w = [0.0] * BATTERIES
    for scan in scans:
        for at, (_, setpoint_w, _) in enumerate(step(table, scan)):
            moved_w = abs(setpoint_w - before_w[at])
            taken_back = abs(setpoint_w) < abs(before_w[at]) and setpoint_w * before_w[at] >= 0.0
            charge_w, discharge_w = room_w(scan, at)
            at_a_limit = setpoint_w in (charge_w, -discharge_w)
            assert moved_w <= RAMP_W * (1 + 1e-9) or (taken_back and at_a_limit)
            before_w[at] = setpoint_w


@given(scans=scans)
def test_what_is_asked_of_the_batteries_keeps_the_import_under_its_cap_if_they_can(
    scans: list[dict[str, Any]],
) -> None:
    table = bench()
    for scan in scans:
        for permit in scan["permit"]:  # held or ramping ones take no part
            permit.update(hold=0, ramp_to_zero=0)
        total_w = sum(request_w for request_w, _, _ in step(table, scan))
        if scan["grid_w"] is None:
            assert total_w <= TOLERANCE_W, "nothing is charged while the grid meter is lost"
            continue
        known_w = sum(power_w or 0.0 for power_w in scan["power_w"])
        room = sum(room_w(scan, at)[1] for at in range(BATTERIES))
        high_w = CAP_W - GUARD_W - (scan["grid_w"] - known_w)
        assert total_w <= max(high_w, -room) + TOLERANCE_W


@given(load_w=st.floats(0.0, CAP_W + 2 * RATING_W - GUARD_W), lag=st.integers(1, 4))
def test_the_cap_is_held_by_a_battery_that_follows_after_a_dead_time(
    load_w: float, lag: int
) -> None:
    table = bench()
    power_w = [[0.0] * BATTERIES for _ in range(lag)]
    grid_w = 0.0
    for _ in range(60):
        measured_w = power_w[-lag]
        grid_w = load_w + sum(measured_w)
        values = [grid_w, 0.0, 0.0]
        for each_w in measured_w:
            values += [each_w, 0.5]
        storages, _, _ = table.step(values, [{}] * BATTERIES, 4e5, 350.0, DT_NS)
        power_w.append([setpoint_w for _, setpoint_w, _ in storages])
    assert grid_w <= CAP_W - GUARD_W + TOLERANCE_W
    assert abs(power_w[-1][0] - power_w[-2][0]) < 1.0, "it has come to rest"
