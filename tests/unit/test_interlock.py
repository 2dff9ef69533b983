"""Interlocks: votes, delays, latches, who may reset, first-out, and what a trip does."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from edgectl._kernel.interlock import (
    CauseOp,
    Effect,
    InterlockBench,
    InterlockStatus,
    OnBad,
    Reset,
)
from edgectl._kernel.kernel import Kernel
from edgectl.cli.bench_tables import bus_tables
from edgectl.image import private_segment
from edgectl.plant.rows import rows

DT_NS = 100_000_000
CLEAR, PENDING = InterlockStatus.INTERLOCK_CLEAR, InterlockStatus.INTERLOCK_PENDING
TRIPPED, LATCHED = InterlockStatus.INTERLOCK_TRIPPED, InterlockStatus.INTERLOCK_LATCHED
Row = dict[str, Any]
Readings = list[float | None]

HOT = 2.0  # over every threshold of this file
COLD = 0.0
ABOVE = {"op": CauseOp.CAUSE_ABOVE, "on": 1.5, "off": 1.0}


def bench(*table: Row, storages: int = 1) -> InterlockBench:
    """A bench of rows; `causes` and `effects` of each are lists of their own rows.

    Cause k of the whole table watches point k.
    """
    causes: list[Row] = []
    effects: list[Row] = []
    interlocks: list[Row] = []
    for row in table:
        fields = dict(row)
        own_causes = fields.pop("causes", [ABOVE])
        own_effects = fields.pop("effects", [{"effect": Effect.EFFECT_ZERO}])
        fields |= {"first_cause": len(causes), "causes": len(own_causes)}
        fields |= {"first_effect": len(effects), "effects": len(own_effects)}
        for cause in own_causes:
            causes.append({"point": len(causes)} | cause)
        effects += own_effects
        interlocks.append(fields)
    return InterlockBench(
        rows("InterlockRow", *interlocks),
        rows("CauseRow", *causes),
        rows("EffectRow", *effects),
        len(causes),
        storages,
    )


def statuses(table: InterlockBench, *scans: Sequence[float | None]) -> list[InterlockStatus]:
    """The first row's status after each scan."""
    return [table.step(values, DT_NS)[0][0] for values in scans]


def permit(table: InterlockBench, *values: float | None, storage: int = 0) -> tuple[Any, ...]:
    """(charge_max_w, discharge_max_w, effect, row) after one more scan."""
    found: tuple[Any, ...] = table.step(list(values), DT_NS)[1][storage]
    return found


def cleared(*table: Row, storages: int = 1) -> InterlockBench:
    """A bench whose every row was reset from its start, with all causes absent."""
    made = bench(*table, storages=storages)
    points = sum(len(row.get("causes", [ABOVE])) for row in table)
    made.step([COLD] * points, DT_NS)
    for authority in (Reset.RESET_OPERATOR, Reset.RESET_LOCAL, Reset.RESET_RESTART):
        made.reset(-1, authority)
    assert made.step([COLD] * points, DT_NS)[2]["tripped"] == 0
    return made


@pytest.mark.parametrize("reset", list(Reset))
def test_every_row_starts_tripped_and_permits_nothing(reset: Reset) -> None:
    table = bench({"reset": reset, "off_delay_ns": DT_NS})
    assert permit(table, COLD) == (0.0, 0.0, Effect.EFFECT_ZERO, 0)
    assert table.trips() == [0], "the start is no trip"


def test_an_auto_row_clears_by_itself_once_its_off_delay_has_passed() -> None:
    table = bench({"reset": Reset.RESET_AUTO, "off_delay_ns": 2 * DT_NS})
    assert statuses(table, [COLD], [COLD], [COLD]) == [LATCHED, LATCHED, CLEAR]


def test_a_restart_is_itself_the_reset_of_a_row_that_asks_for_one() -> None:
    table = bench({"reset": Reset.RESET_RESTART, "off_delay_ns": DT_NS})
    assert statuses(table, [COLD], [COLD], [HOT], [COLD], [COLD], [COLD]) == [
        LATCHED, CLEAR, TRIPPED, LATCHED, LATCHED, LATCHED,
    ]  # fmt: skip


def test_the_trip_a_row_starts_with_opens_no_breaker_and_a_real_one_does() -> None:
    row = {"effects": [{"effect": Effect.EFFECT_OPEN_REQUEST}], "reset": Reset.RESET_OPERATOR}
    table = bench(row)
    _, permits, site = table.step([COLD], DT_NS)
    assert (permits[0][:2], site["open_request"]) == ((0.0, 0.0), 0)
    assert table.step([HOT], DT_NS)[2]["open_request"] == 1


def test_the_trip_a_row_starts_with_sheds_no_load_and_a_real_one_does() -> None:
    row = {"effects": [{"effect": Effect.EFFECT_SHED}], "reset": Reset.RESET_OPERATOR}
    table = bench(row)
    assert table.step([COLD], DT_NS)[2]["shed_tier"] == 0
    assert table.step([HOT], DT_NS)[2]["shed_tier"] == 1


def test_a_chattering_cause_keeps_an_auto_row_tripped() -> None:
    row = {"reset": Reset.RESET_AUTO, "on_delay_ns": 5 * DT_NS, "off_delay_ns": 2 * DT_NS}
    table = bench(row)
    assert statuses(table, *([[HOT], [COLD]] * 10)) == [LATCHED] * 20


def test_time_in_which_nobody_looked_is_no_healthy_time() -> None:
    table = bench({"reset": Reset.RESET_AUTO, "off_delay_ns": 3 * DT_NS})
    table.step([HOT], DT_NS)
    found = [table.step([COLD], dt_ns)[0][0] for dt_ns in (50 * DT_NS, DT_NS, DT_NS, DT_NS)]
    assert found == [LATCHED, LATCHED, LATCHED, CLEAR], "seen absent for three scans, not before"


def test_an_on_delay_lets_no_short_cause_through() -> None:
    table = cleared({"reset": Reset.RESET_OPERATOR, "on_delay_ns": 2 * DT_NS})
    assert statuses(table, [HOT], [HOT], [COLD], [HOT], [HOT], [HOT]) == [
        PENDING, PENDING, CLEAR, PENDING, PENDING, TRIPPED,
    ]  # fmt: skip
    assert table.trips() == [1]


def test_hysteresis_holds_a_trip_until_the_off_threshold() -> None:
    table = cleared({"reset": Reset.RESET_AUTO})
    assert statuses(table, [1.4], [1.6], [1.4], [1.01], [1.0]) == [
        CLEAR, TRIPPED, TRIPPED, TRIPPED, CLEAR,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "absent", "present"),
    [
        ({"op": CauseOp.CAUSE_ABOVE, "on": 1.0, "off": 1.0}, 1.0, 1.0000001),
        ({"op": CauseOp.CAUSE_BELOW, "on": 0.0, "off": 0.0}, 0.0, -1e-9),
        ({"op": CauseOp.CAUSE_EQUAL, "on": 3.0}, 2.0, 3.0),
        ({"op": CauseOp.CAUSE_NOT_EQUAL, "on": 0.0}, 0.0, 1.0),
        ({"op": CauseOp.CAUSE_BAD}, 0.0, None),
    ],
    ids=lambda value: value["op"].name if isinstance(value, dict) else "",
)
def test_each_cause_trips_in_the_scan_in_which_it_is_true(
    cause: Row, absent: float, present: float | None
) -> None:
    table = cleared({"causes": [cause], "reset": Reset.RESET_AUTO})
    assert statuses(table, [absent], [present], [absent]) == [CLEAR, TRIPPED, CLEAR]
    assert table.trips() == [1]


VOTES = [
    (needed, causes, true, bad)
    for causes in (1, 2, 3)
    for needed in range(1, causes + 1)
    for true in range(causes + 1)
    for bad in range(causes + 1 - true)
]


@pytest.mark.parametrize(("needed", "causes", "true", "bad"), VOTES)
def test_a_bad_input_votes_to_trip_where_the_row_says_trip(
    needed: int, causes: int, true: int, bad: int
) -> None:
    row = {"causes": [ABOVE] * causes, "vote": needed, "on_bad": OnBad.ON_BAD_TRIP}
    values: Readings = [*[HOT] * true, *[None] * bad, *[COLD] * (causes - true - bad)]
    (status,) = statuses(cleared(row), values)
    assert (status == TRIPPED) == (true + bad >= needed)


@pytest.mark.parametrize(("needed", "causes", "true", "bad"), VOTES)
def test_a_bad_input_keeps_its_last_good_vote_where_the_row_says_hold(
    needed: int, causes: int, true: int, bad: int
) -> None:
    row = {"causes": [ABOVE] * causes, "vote": needed, "on_bad": OnBad.ON_BAD_HOLD}
    before: Readings = [*[HOT] * true, *[COLD] * (causes - true)]
    table = cleared(row)
    expected = statuses(table, before)
    lost: Readings = [None] * bad
    assert statuses(table, lost + before[bad:]) == expected
    assert (expected == [TRIPPED]) == (true >= needed)


@pytest.mark.parametrize(
    ("reset", "may"),
    [
        (Reset.RESET_AUTO, set()),
        (Reset.RESET_OPERATOR, {Reset.RESET_OPERATOR, Reset.RESET_LOCAL}),
        (Reset.RESET_LOCAL, {Reset.RESET_LOCAL}),
        (Reset.RESET_RESTART, {Reset.RESET_RESTART}),
    ],
)
@pytest.mark.parametrize("authority", list(Reset))
def test_only_the_named_authority_clears_a_latch(
    reset: Reset, may: set[Reset], authority: Reset
) -> None:
    table = bench({"reset": reset, "off_delay_ns": 1000 * DT_NS})
    assert statuses(table, [HOT], [COLD]) == [TRIPPED, LATCHED]
    assert table.reset(0, authority) == (1 if authority in may else 0)
    assert statuses(table, [COLD]) == [CLEAR if authority in may else LATCHED]


def test_no_authority_clears_a_latch_whose_cause_stands() -> None:
    table = bench({"reset": Reset.RESET_OPERATOR})
    table.step([HOT], DT_NS)
    assert [table.reset(0, authority) for authority in Reset] == [0, 0, 0, 0]


def test_no_reset_passes_an_on_delay_that_is_running() -> None:
    table = bench({"reset": Reset.RESET_OPERATOR, "on_delay_ns": 5 * DT_NS})
    assert statuses(table, [HOT]) == [LATCHED]
    assert table.reset(0, Reset.RESET_OPERATOR) == 0


@pytest.mark.parametrize("row", [1, 2, 1000, 2**31 - 1])
def test_a_reset_of_a_row_that_is_not_there_clears_nothing(row: int) -> None:
    table = bench({"reset": Reset.RESET_OPERATOR})
    table.step([COLD], DT_NS)
    assert table.reset(row, Reset.RESET_OPERATOR) == 0


def test_a_cleared_row_trips_again_at_once() -> None:
    table = cleared({"reset": Reset.RESET_OPERATOR})
    assert statuses(table, [HOT], [COLD], [HOT]) == [TRIPPED, LATCHED, TRIPPED]
    assert table.trips() == [1], "a row that is still latched does not trip anew"


def test_a_row_that_trips_too_often_in_its_window_waits_for_an_operator() -> None:
    row = {"reset": Reset.RESET_AUTO, "lockout_trips": 3, "lockout_window_ns": 20 * DT_NS}
    table = cleared(row)
    assert statuses(table, [HOT], [COLD], [HOT], [COLD], [HOT], [COLD], [COLD]) == [
        TRIPPED, CLEAR, TRIPPED, CLEAR, TRIPPED, LATCHED, LATCHED,
    ]  # fmt: skip
    assert table.reset(0, Reset.RESET_OPERATOR) == 1
    assert statuses(table, [COLD], [HOT], [COLD]) == [CLEAR, TRIPPED, CLEAR]


def test_trips_further_apart_than_the_window_lock_nothing_out() -> None:
    row = {"reset": Reset.RESET_AUTO, "lockout_trips": 2, "lockout_window_ns": 3 * DT_NS}
    table = cleared(row)
    quiet = [[COLD]] * 4
    assert statuses(table, [HOT], *quiet, [HOT], [COLD]) == [
        TRIPPED, *[CLEAR] * 4, TRIPPED, CLEAR,
    ]  # fmt: skip


def test_the_first_row_to_trip_in_its_group_is_the_first_out() -> None:
    auto = {"reset": Reset.RESET_AUTO, "group": 1}
    table = cleared(auto, auto, auto | {"group": 2})
    table.step([COLD, HOT, COLD], DT_NS)
    assert table.first_outs() == [1]
    assert table.step([HOT, HOT, HOT], DT_NS)[2]["first_out_row"] == 2
    assert table.first_outs() == [1, 2]
    table.step([HOT, COLD, HOT], DT_NS)
    assert table.first_outs() == [1, 2], "kept until the whole group is clear"
    table.step([COLD, COLD, HOT], DT_NS)
    assert table.first_outs() == [2]
    table.step([HOT, COLD, HOT], DT_NS)
    assert table.first_outs() == [0, 2]


def test_the_start_is_nobodys_first_out_but_a_cause_at_the_start_is() -> None:
    table = bench({"reset": Reset.RESET_OPERATOR}, {"reset": Reset.RESET_OPERATOR})
    table.step([COLD, COLD], DT_NS)
    assert table.first_outs() == []
    table.step([COLD, HOT], DT_NS)
    assert table.first_outs() == [1]


EFFECTS = {
    Effect.EFFECT_ALARM: (math.inf, math.inf),
    Effect.EFFECT_HOLD: (math.inf, math.inf),
    Effect.EFFECT_DERATE: (math.inf, math.inf),
    Effect.EFFECT_BLOCK_COMMAND: (math.inf, math.inf),
    Effect.EFFECT_RAMP_TO_ZERO: (math.inf, math.inf),
    Effect.EFFECT_REFUSE_SHED: (math.inf, math.inf),
    Effect.EFFECT_SHED: (math.inf, math.inf),
    Effect.EFFECT_INHIBIT_CHARGE: (0.0, math.inf),
    Effect.EFFECT_INHIBIT_DISCHARGE: (math.inf, 0.0),
    Effect.EFFECT_ZERO: (0.0, 0.0),
    Effect.EFFECT_OPEN_REQUEST: (0.0, 0.0),
    Effect.EFFECT_SAFE_STATE: (0.0, 0.0),
}


@pytest.mark.parametrize("effect", list(EFFECTS))
@pytest.mark.parametrize("target", [-1, 1])
def test_an_effect_takes_what_it_names_from_its_target_and_from_no_other(
    effect: Effect, target: int
) -> None:
    row = {"effects": [{"effect": effect, "target": target}], "reset": Reset.RESET_AUTO}
    table = cleared(row, storages=3)
    _, permits, site = table.step([HOT], DT_NS)
    for storage, found in enumerate(permits):
        hit = target in (-1, storage)
        assert found[:2] == (EFFECTS[effect] if hit else (math.inf, math.inf))
    assert site["shed_tier"] == (effect == Effect.EFFECT_SHED)
    assert site["refuse_shed"] == (effect == Effect.EFFECT_REFUSE_SHED)
    assert site["open_request"] == (effect == Effect.EFFECT_OPEN_REQUEST)
    assert site["safe_state"] == (effect == Effect.EFFECT_SAFE_STATE)
    assert site["tripped"] == 1
    assert table.step([COLD], DT_NS)[1] == [(math.inf, math.inf, Effect.EFFECT_ALARM, -1)] * 3


def test_the_worst_effect_wins_whatever_the_order_of_the_rows() -> None:
    worst = [Effect.EFFECT_INHIBIT_CHARGE, Effect.EFFECT_ZERO, Effect.EFFECT_INHIBIT_DISCHARGE]
    table = cleared(*[{"effects": [{"effect": effect}]} for effect in worst])
    assert permit(table, HOT, HOT, HOT) == (0.0, 0.0, Effect.EFFECT_ZERO, 1)


LIMIT_ROW = {
    "causes": [{"op": CauseOp.CAUSE_LIMIT, "on": 100.0}],
    "effects": [{"effect": Effect.EFFECT_LIMIT_CHARGE}],
    "reset": Reset.RESET_AUTO,
}


@pytest.mark.parametrize(
    ("value", "charge_max_w"),
    [(100.0, 100.0), (150.0, 150.0), (40.0, 40.0), (0.0, 0.0), (-5.0, 0.0), (None, 0.0)],
)
def test_a_limit_clamps_to_its_tag_and_to_zero_when_it_is_not_good(
    value: float | None, charge_max_w: float
) -> None:
    assert permit(bench(LIMIT_ROW), value)[:2] == (charge_max_w, math.inf)


def test_a_limit_clamps_whatever_its_latch_says_and_the_lowest_wins() -> None:
    slow = LIMIT_ROW | {"on_delay_ns": 50 * DT_NS, "off_delay_ns": 50 * DT_NS}
    table = bench(slow, LIMIT_ROW)
    assert [permit(table, *scan)[0] for scan in ([80, 60], [30, 60], [90, 95], [500, 500])] == [
        60.0, 30.0, 90.0, 500.0,
    ]  # fmt: skip


def test_a_discharge_limit_leaves_charging_alone() -> None:
    row = LIMIT_ROW | {"effects": [{"effect": Effect.EFFECT_LIMIT_DISCHARGE}]}
    assert permit(bench(row), 25.0)[:2] == (math.inf, 25.0)


def test_a_channel_that_was_never_heard_does_not_hide_the_trip_of_the_other() -> None:
    tables = bus_tables([1, 2], 1, DT_NS)
    causes = ({"point": point, **ABOVE, "on": 10.0, "off": 5.0} for point in (0, 1))
    row = {"causes": 2, "vote": 1, "reset": Reset.RESET_OPERATOR}
    tables = replace(
        tables,
        interlocks=rows("InterlockRow", row),
        causes=rows("CauseRow", *causes),
        effects=rows("EffectRow", {"effect": Effect.EFFECT_OPEN_REQUEST}),
        directory=tables.directory | {"interlocks": [{"id": "IL-ESTOP"}]},
    )
    segment = private_segment(tables.directory, 64)
    kernel = Kernel(tables, segment.buffer)
    trips = []
    for scan, word in enumerate((1, 1, 99, 99), start=100):
        kernel.set_block(0, [word], scan * DT_NS - 1)
        kernel.step(scan * DT_NS, 0)
        trips.append(int(segment.reader().snapshot()["interlocks"][0]["trips"]))
    assert trips == [0, 0, 1, 1], "as long as it counts as the start's trip no breaker is opened"
