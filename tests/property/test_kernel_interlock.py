"""Interlocks against a second, slower interlock table, written from the row schema."""

import math

from hypothesis import given
from hypothesis import strategies as st
from interlock_model import (
    DT_NS,
    LATCHED,
    STORAGES,
    TRIPPED,
    ZEROING,
    Fields,
    ModelRow,
    Value,
    build,
    model_rows,
    table_rows,
    values,
)

from edgectl._kernel.interlock import CauseOp, Effect, InterlockBench, OnBad, Reset
from edgectl.plant.rows import rows


def expected_permit(model: list[ModelRow], storage: int) -> tuple[float, float]:
    """What the standing rows leave of one battery."""
    charge_w = discharge_w = math.inf
    for row in model:
        if row.status in (TRIPPED, LATCHED) and row.row["target"] in (-1, storage):
            if row.row["effect"] in (Effect.EFFECT_INHIBIT_CHARGE, *ZEROING):
                charge_w = 0.0
            if row.row["effect"] in (Effect.EFFECT_INHIBIT_DISCHARGE, *ZEROING):
                discharge_w = 0.0
    return charge_w, discharge_w


@given(table=st.lists(table_rows, min_size=1, max_size=4), data=st.data())
def test_the_table_does_what_its_rows_say_for_any_values(
    table: list[Fields], data: st.DataObject
) -> None:
    kernel = build(table)
    model = model_rows(table)
    points = sum(len(row["own"]) for row in table)
    scans = data.draw(
        st.lists(
            st.tuples(st.lists(values, min_size=points, max_size=points), st.booleans()),
            min_size=1,
            max_size=25,
        )
    )
    for scan, (readings, reset) in enumerate(scans):
        statuses, permits, site = kernel.step(readings, DT_NS)
        at = 0
        for row in model:
            row.step(readings[at : at + len(row.causes)], scan)
            at += len(row.causes)
        assert statuses == [row.status for row in model]
        assert kernel.trips() == [len(row.trips) for row in model]
        assert site["tripped"] == sum(row.status in (TRIPPED, LATCHED) for row in model)
        for storage in range(STORAGES):
            assert permits[storage][:2] == expected_permit(model, storage)
        if reset:
            kernel.reset(-1, Reset.RESET_OPERATOR)
            for row in model:
                row.operator_reset()


@given(table=st.lists(table_rows, min_size=1, max_size=4), data=st.data())
def test_all_inputs_bad_trips_every_row_that_says_trip(
    table: list[Fields], data: st.DataObject
) -> None:
    kernel = build(table)
    points = sum(len(row["own"]) for row in table)
    for _ in range(4):
        statuses, _, _ = kernel.step([None] * points, DT_NS)
    for row, status in zip(table, statuses, strict=True):
        if row["on_bad"] == OnBad.ON_BAD_TRIP:
            assert status == TRIPPED


@given(value=st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)))
def test_a_limit_is_never_under_zero_and_always_a_number(value: Value) -> None:
    table = InterlockBench(
        rows("InterlockRow", {"on_bad": OnBad.ON_BAD_TRIP}),
        rows("CauseRow", {"op": CauseOp.CAUSE_LIMIT, "on": 1e6}),
        rows("EffectRow", {"effect": Effect.EFFECT_LIMIT_CHARGE}),
        1,
        1,
    )
    charge_max_w, discharge_max_w, _, _ = table.step([value], DT_NS)[1][0]
    assert charge_max_w >= 0.0, "NaN too would fail this"
    assert discharge_max_w == math.inf
