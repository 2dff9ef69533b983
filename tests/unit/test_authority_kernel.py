"""Bypass, maintenance, proof test, retained latches: what each may do, and why it is refused.

Of edgectl._kernel.authority, through the bench of edgectl._kernel.interlock.
"""

import math
from typing import Any

import pytest

from edgectl._kernel.authority import AuthorityStatus
from edgectl._kernel.interlock import (
    CauseOp,
    Effect,
    InterlockBench,
    InterlockStatus,
    OnBad,
    Reset,
)
from edgectl.plant.rows import rows

DT_NS = 100_000_000
S = 1_000_000_000
SHIFT_NS, HOUR_NS = 8 * 3600 * S, 3600 * S
CLEAR, TRIPPED = InterlockStatus.INTERLOCK_CLEAR, InterlockStatus.INTERLOCK_TRIPPED
LATCHED = InterlockStatus.INTERLOCK_LATCHED
HOT, COLD = 2.0, 0.0
DONE, NO_ROW = AuthorityStatus.AUTHORITY_DONE, AuthorityStatus.AUTHORITY_NO_ROW
NEVER, TAKEN = AuthorityStatus.AUTHORITY_NEVER, AuthorityStatus.AUTHORITY_GROUP_TAKEN
TOO_LONG = AuthorityStatus.AUTHORITY_TOO_LONG
NO_MAINTENANCE = AuthorityStatus.AUTHORITY_NO_MAINTENANCE
FULL = AuthorityStatus.AUTHORITY_FULL
Fields = dict[str, Any]


def table(*changes: Fields, op: CauseOp = CauseOp.CAUSE_ABOVE) -> InterlockBench:
    """Rows that zero the battery over 1.5, may be bypassed, and are clear; row k is in group k."""
    fields = [
        {"first_cause": at, "first_effect": at, "group": at, "bypassable": 1} | change
        for at, change in enumerate(changes)
    ]
    count = range(len(changes))
    made = InterlockBench(
        rows("InterlockRow", *fields),
        rows("CauseRow", *({"point": at, "op": op, "on": 1.5, "off": 1.0} for at in count)),
        rows("EffectRow", *({"effect": Effect.EFFECT_ZERO} for _ in count)),
        len(changes),
        1,
    )
    quiet = HOT if op == CauseOp.CAUSE_LIMIT else COLD
    made.step([quiet] * len(changes), DT_NS)
    for authority in (Reset.RESET_OPERATOR, Reset.RESET_LOCAL):
        made.reset(-1, authority)
    assert made.step([quiet] * len(changes), DT_NS)[2]["tripped"] == 0
    return made


@pytest.mark.parametrize("row", [-1, 1, 99])
def test_a_row_that_is_not_there_is_neither_bypassed_nor_tested_nor_retained(row: int) -> None:
    made = table({})
    assert made.bypass(row, S) == NO_ROW
    assert made.inject(row, 0, HOT, S) == NO_ROW
    assert made.retain(row, TRIPPED) == NO_ROW


def test_a_row_that_says_never_is_not_bypassed_and_ending_nothing_is_no_fault() -> None:
    made = table({"bypassable": 0})
    assert made.bypass(0, S) == NEVER
    assert made.bypass(0, 0) == DONE
    assert made.bypass(0, -5) == DONE


def test_a_bypass_lasts_a_shift_at_most() -> None:
    made = table({})
    assert made.bypass(0, SHIFT_NS + 1) == TOO_LONG
    assert made.bypass(0, SHIFT_NS) == DONE


def test_one_row_of_a_group_is_bypassed_at_a_time_and_each_group_has_its_own() -> None:
    made = table({"group": 0}, {"group": 0}, {"group": 1})
    assert made.bypass(0, 2 * DT_NS) == DONE
    assert made.bypass(1, S) == TAKEN
    assert made.bypass(2, S) == DONE
    made.step([COLD] * 3, DT_NS)
    assert made.bypass(1, S) == TAKEN
    made.step([COLD] * 3, DT_NS)
    assert made.bypass(1, S) == DONE, "it has run out"


def test_a_bypassed_row_is_evaluated_and_shown_and_has_no_effect() -> None:
    made = table({"reset": Reset.RESET_OPERATOR})
    made.bypass(0, S)
    statuses, permits, site = made.step([HOT], DT_NS)
    assert statuses == [TRIPPED]
    assert permits[0] == (math.inf, math.inf, Effect.EFFECT_ALARM, -1)
    assert (site["tripped"], site["bypassed"], site["first_out_row"]) == (1, 1, -1)
    made.bypass(0, 0)
    assert made.step([HOT], DT_NS)[1][0][:2] == (0.0, 0.0)
    assert made.first_outs() == [], "it did not begin now"


def test_maintenance_lasts_an_hour_at_most_and_ends_when_asked() -> None:
    made = table({})
    assert made.maintenance(HOUR_NS + 1) == TOO_LONG
    assert made.inject(0, 0, HOT, S) == NO_MAINTENANCE
    assert made.maintenance(HOUR_NS) == DONE
    assert made.inject(0, 0, HOT, S) == DONE
    assert made.maintenance(0) == DONE
    assert made.inject(0, 0, HOT, S) == NO_MAINTENANCE


def test_maintenance_runs_out_by_itself_and_takes_its_tests_with_it() -> None:
    made = table({})
    made.maintenance(2 * DT_NS)
    made.inject(0, 0, HOT, HOUR_NS)
    found = [made.step([COLD], DT_NS)[0][0] for _ in range(4)]
    assert found == [TRIPPED, TRIPPED, CLEAR, CLEAR]
    assert made.inject(0, 0, HOT, S) == NO_MAINTENANCE


def test_a_proof_test_is_for_a_cause_the_row_has_and_for_an_hour_at_most() -> None:
    made = table({})
    made.maintenance(HOUR_NS)
    assert made.inject(0, 1, HOT, S) == NO_ROW
    assert made.inject(0, -1, HOT, S) == NO_ROW
    assert made.inject(0, 0, HOT, HOUR_NS + 1) == TOO_LONG
    assert made.inject(0, 0, HOT, HOUR_NS) == DONE


def test_there_is_room_for_eight_tests_and_a_cause_has_one_at_a_time() -> None:
    made = table(*({} for _ in range(9)))
    made.maintenance(HOUR_NS)
    assert [made.inject(row, 0, HOT, S) for row in range(9)] == [DONE] * 8 + [FULL]
    assert made.inject(3, 0, COLD, S) == DONE, "another value in the place of the one before"
    statuses = made.step([COLD] * 9, DT_NS)[0]
    assert [each == TRIPPED for each in statuses] == [True] * 3 + [False] + [True] * 4 + [False]
    made.step([COLD] * 9, S)
    made.step([COLD] * 9, DT_NS)
    assert made.inject(8, 0, HOT, S) == DONE, "the places are free again"


def test_a_test_that_is_over_before_it_begins_is_no_vote() -> None:
    made = table({})
    made.maintenance(HOUR_NS)
    assert made.inject(0, 0, HOT, -(10**18)) == DONE
    assert made.step([COLD], DT_NS)[0] == [CLEAR]


@pytest.mark.parametrize("value", [math.nan, -math.inf, COLD])
def test_no_injected_value_makes_a_row_say_less_than_its_real_cause(value: float) -> None:
    made = table({})
    made.maintenance(HOUR_NS)
    made.inject(0, 0, value, S)
    assert made.step([COLD], DT_NS)[0] == [CLEAR]
    assert made.step([HOT], DT_NS)[0] == [TRIPPED]


def test_a_bad_cause_is_tested_by_any_value() -> None:
    made = table({}, op=CauseOp.CAUSE_BAD)
    made.maintenance(HOUR_NS)
    made.inject(0, 0, COLD, S)
    assert made.step([COLD], DT_NS)[0] == [TRIPPED]


@pytest.mark.parametrize(("injected_w", "limit_w"), [(1.0, 1.0), (1.8, 1.8), (5.0, 2.0)])
def test_a_limit_under_test_clamps_to_the_lower_of_both(injected_w: float, limit_w: float) -> None:
    made = InterlockBench(
        rows("InterlockRow", {"on_bad": OnBad.ON_BAD_TRIP}, {"first_cause": 1, "first_effect": 1}),
        rows(
            "CauseRow",
            {"op": CauseOp.CAUSE_LIMIT, "on": 10.0},
            {"op": CauseOp.CAUSE_ABOVE, "on": 9.0, "point": 1},
        ),
        rows("EffectRow", {"effect": Effect.EFFECT_LIMIT_CHARGE}, {"effect": Effect.EFFECT_ALARM}),
        2,
        1,
    )
    made.maintenance(HOUR_NS)
    made.inject(1, 0, HOT, S)
    made.inject(0, 0, injected_w, S)
    assert made.step([HOT, COLD], DT_NS)[1][0][0] == limit_w


def test_a_latch_and_its_trips_are_retained_and_what_clears_by_itself_begins_anew() -> None:
    made = table({"reset": Reset.RESET_OPERATOR}, {"reset": Reset.RESET_AUTO})
    assert made.retain(0, TRIPPED, first_out=True, trips=7) == DONE
    kept = made.states_of(0)
    assert (kept["trips"], kept["start"], kept["first_out"]) == (7, 0, 1)
    assert made.retain(1, TRIPPED, trips=-3) == DONE
    assert made.states_of(1)["trips"] == 0


@pytest.mark.parametrize(
    ("reset", "status", "locked", "kept"),
    [
        (Reset.RESET_OPERATOR, LATCHED, False, True),
        (Reset.RESET_OPERATOR, CLEAR, False, False),
        (Reset.RESET_LOCAL, TRIPPED, False, True),
        (Reset.RESET_AUTO, TRIPPED, False, False),
        (Reset.RESET_AUTO, LATCHED, True, True),
        (Reset.RESET_RESTART, TRIPPED, True, False),
    ],
)
def test_what_a_person_must_clear_is_a_trip_after_the_restart_and_no_start(
    reset: Reset, status: InterlockStatus, locked: bool, kept: bool
) -> None:
    made = InterlockBench(
        rows("InterlockRow", {"reset": reset}),
        rows("CauseRow", {"op": CauseOp.CAUSE_ABOVE, "on": 1.5, "off": 1.0}),
        rows("EffectRow", {"effect": Effect.EFFECT_OPEN_REQUEST}),
        1,
        1,
    )
    made.retain(0, status, locked=locked, first_out=True)
    assert made.first_outs() == ([0] if kept else [])
    assert made.step([COLD], DT_NS)[2]["open_request"] == kept


def test_a_latch_that_was_not_its_groups_first_out_is_not_after_the_restart() -> None:
    made = table({"reset": Reset.RESET_OPERATOR})
    made.retain(0, TRIPPED, first_out=False)
    assert made.first_outs() == []


def test_a_group_has_one_first_out_also_after_a_restart() -> None:
    made = table(*({"group": 0, "reset": Reset.RESET_OPERATOR} for _ in range(2)))
    made.retain(0, TRIPPED, first_out=True)
    made.retain(1, TRIPPED, first_out=True)
    assert made.first_outs() == [0]


@pytest.mark.parametrize(
    ("left_ns", "bypassable", "stands"),
    [(S, 1, True), (SHIFT_NS, 1, True), (SHIFT_NS + 1, 1, False), (0, 1, False), (S, 0, False)],
)
def test_a_bypass_is_retained_for_what_is_left_of_a_sound_one(
    left_ns: int, bypassable: int, stands: bool
) -> None:
    made = table({"bypassable": bypassable})
    made.retain(0, CLEAR, bypass_left_ns=left_ns)
    assert made.step([COLD], DT_NS)[2]["bypassed"] == stands


@pytest.mark.parametrize("trips", [0, 1, 5])
def test_trips_are_retained_to_the_last_one(trips: int) -> None:
    made = table({})
    made.retain(0, CLEAR, trips=trips)
    assert made.states_of(0)["trips"] == trips


def test_two_bypasses_of_one_group_are_not_retained() -> None:
    made = table({"group": 0}, {"group": 0})
    made.retain(0, CLEAR, bypass_left_ns=S)
    made.retain(1, CLEAR, bypass_left_ns=S)
    assert made.step([COLD, COLD], DT_NS)[2]["bypassed"] == 1


def test_causes_that_contradict_each_other_are_told_and_trip_nothing_by_it() -> None:
    made = InterlockBench(
        rows("InterlockRow", {"causes": 3, "vote": 3, "discrepancy_ns": 2 * DT_NS}),
        rows("CauseRow", *({"point": at, "on": 1.5, "off": 1.0} for at in range(3))),
        rows("EffectRow", {"effect": Effect.EFFECT_ZERO}),
        3,
        1,
    )
    told = [made.step([HOT, HOT, COLD], DT_NS)[2]["discrepant"] for _ in range(4)]
    assert told == [0, 0, 1, 1]
    assert made.step([HOT, HOT, None], DT_NS)[2]["discrepant"] == 0, "a bad one says nothing"
    assert made.step([None, COLD, COLD], DT_NS)[2]["discrepant"] == 0
