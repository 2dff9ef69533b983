"""What an authorised person may do to each row for a limited time: bypass it, test it."""

from collections.abc import Iterator

import pytest
from cause_rig import CLEAR, LATCHED, TRIPPED, Rig, S
from cause_states import make_all, quiet, scans, trip
from cause_table import Cause, Row, distinct_rows, table_of

from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind

ROWS = distinct_rows()
BYPASSABLE = [row for row in ROWS if row.bypass == "authorised"]
SHIFT_S = 8 * 3600
HOUR_S = 3600


def named(row: Row) -> str:
    return f"{row.site}-{row.id}"


def bypass(rig: Rig, row: Row, seconds: float, by: Reset = Reset.RESET_OPERATOR) -> bool:
    return rig.mail(MailKind.MAIL_BYPASS, rig.at(row), seconds, by)


def mates() -> Iterator[tuple[Row, Row]]:
    """Rows that may be bypassed, and another of their group that may be."""
    for row in BYPASSABLE:
        group = [r for r in table_of(row.site) if r.group == row.group and r in BYPASSABLE]
        after = group[(group.index(row) + 1) % len(group)]
        if after is not row:
            yield row, after


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_row_is_bypassed_where_it_says_it_may_be_and_nowhere_else(row: Row) -> None:
    rig = quiet(row)
    allowed = row.bypass == "authorised"
    assert bypass(rig, row, row.on_delay_ms / 1000 + 60.0) == allowed
    trip(rig, row)
    assert rig.state(row)["bypassed"] == allowed
    assert rig.reader.snapshot()["record"]["bypassed"] == allowed
    assert rig.state(row)["first_out"] != allowed, "what has no effect is nobody's first cause"


@pytest.mark.parametrize("row", BYPASSABLE, ids=named)
def test_a_bypass_ends_by_itself_to_the_nanosecond(row: Row) -> None:
    rig = quiet(row)
    assert bypass(rig, row, 120.0)
    ends_ns = rig.now_ns + 120 * S
    trip(rig, row)
    if rig.now_ns < ends_ns - 1:
        rig.step(ends_ns - 1 - rig.now_ns)
        assert rig.state(row)["bypassed"]
    rig.step(max(ends_ns - rig.now_ns, 1))
    assert not rig.state(row)["bypassed"]
    assert rig.status(row) is TRIPPED


@pytest.mark.parametrize(
    ("seconds", "allowed"), [(SHIFT_S - 0.1, True), (SHIFT_S, True), (SHIFT_S + 0.1, False)]
)
@pytest.mark.parametrize("row", BYPASSABLE, ids=named)
def test_a_bypass_is_refused_beyond_a_shift(row: Row, seconds: float, allowed: bool) -> None:
    rig = quiet(row)
    assert bypass(rig, row, seconds) == allowed
    assert rig.state(row)["bypassed"] == allowed


@pytest.mark.parametrize("row", BYPASSABLE, ids=named)
def test_a_bypass_that_is_lifted_is_over_in_the_same_scan(row: Row) -> None:
    rig = quiet(row)
    assert bypass(rig, row, 60.0)
    assert bypass(rig, row, 0.0)
    assert not rig.state(row)["bypassed"]


@pytest.mark.parametrize(
    "by", [Reset.RESET_AUTO, Reset.RESET_LOCAL, Reset.RESET_RESTART], ids=lambda each: each.name
)
@pytest.mark.parametrize("row", BYPASSABLE, ids=named)
def test_nobody_but_an_operator_bypasses_from_afar(row: Row, by: Reset) -> None:
    rig = quiet(row)
    assert not bypass(rig, row, 60.0, by)
    assert not rig.state(row)["bypassed"]


@pytest.mark.parametrize("pair", list(mates()), ids=lambda p: f"{p[0].site}-{p[0].id}-{p[1].id}")
def test_a_second_bypass_in_a_group_is_refused_until_the_first_is_over(
    pair: tuple[Row, Row],
) -> None:
    first, second = pair
    rig = quiet(first, second)
    assert bypass(rig, first, 60.0)
    assert not bypass(rig, second, 60.0)
    assert bypass(rig, first, 90.0), "its own may be made longer"
    rig.step(90 * S)
    assert bypass(rig, second, 60.0)
    assert not bypass(rig, first, 60.0)


@pytest.mark.parametrize("row", BYPASSABLE, ids=named)
def test_a_bypass_outlives_a_restart_for_what_is_left_of_it(row: Row) -> None:
    rig = Rig(row.site, [row.id])
    rig.kernel.retain(0, CLEAR, False, False, 0, 60 * S, rig.now_ns)
    make_all(rig, row, False)
    rig.step(60 * S - 1)
    assert rig.state(row)["bypassed"]
    rig.step(1)
    assert not rig.state(row)["bypassed"]


@pytest.mark.parametrize("row", [r for r in ROWS if r not in BYPASSABLE], ids=named)
def test_a_row_that_may_never_be_bypassed_is_not_by_a_restart(row: Row) -> None:
    rig = Rig(row.site, [row.id])
    rig.kernel.retain(0, CLEAR, False, False, 0, 60 * S, rig.now_ns)
    make_all(rig, row, False)
    rig.step()
    assert not rig.state(row)["bypassed"]


def true_number(cause: Cause) -> float:
    """A value that makes a cause true."""
    return {
        "above": cause.on + 1.0, "below": cause.on - 1.0, "equals": cause.on,
        "not_equals": cause.on + 1.0, "limit": cause.on - 1.0, "bad": 0.0,
    }[cause.op]  # fmt: skip


def false_number(cause: Cause) -> float:
    """A value that makes a cause false, where a value can."""
    return {
        "above": cause.off - 1.0, "below": cause.off + 1.0, "equals": cause.on + 1.0,
        "not_equals": cause.on, "limit": cause.on + 1.0, "bad": 0.0,
    }[cause.op]  # fmt: skip


def maintenance(rig: Rig, seconds: float = HOUR_S) -> bool:
    return rig.mail(MailKind.MAIL_MAINTENANCE, -1, seconds, Reset.RESET_OPERATOR)


def inject(rig: Rig, row: Row, cause: int, value: float, ttl_ns: int) -> bool:
    """A proof-test value, until so long after the scan before this one."""
    return rig.mail(MailKind.MAIL_INJECT, rig.at(row), value, cause, ttl_ns)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_proof_test_trips_the_row_after_its_delay_and_ends(row: Row) -> None:
    rig = quiet(row)
    assert not inject(rig, row, 0, true_number(row.causes[0]), 60 * S), "no maintenance mode"
    assert maintenance(rig)
    length_ns = (row.on_delay_ms + 1000) * 1_000_000
    for at, cause in list(enumerate(row.causes))[: row.vote]:
        assert inject(rig, row, at, true_number(cause), length_ns)
    assert rig.state(row)["under_test"]
    rig.run(scans(rig, row.on_delay_ms))
    assert rig.status(row) is TRIPPED
    rig.step(length_ns)
    rig.step(HOUR_S * S)
    rig.step()
    assert rig.status(row) is (LATCHED if row.latches else CLEAR)
    assert not rig.state(row)["under_test"]


@pytest.mark.parametrize("row", [r for r in ROWS if r.causes[0].op != "bad"], ids=named)
def test_a_proof_test_never_masks_a_real_cause(row: Row) -> None:
    rig = quiet(row)
    assert maintenance(rig)
    for at, cause in enumerate(row.causes):
        assert inject(rig, row, at, false_number(cause), HOUR_S * S // 2)
    assert rig.status(row) is CLEAR
    trip(rig, row)
    assert rig.state(row)["cause"]


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_proof_test_ends_with_maintenance_mode(row: Row) -> None:
    rig = quiet(row)
    assert maintenance(rig)
    for at, cause in list(enumerate(row.causes))[: row.vote]:
        assert inject(rig, row, at, true_number(cause), HOUR_S * S // 2)
    assert rig.state(row)["cause"]
    assert maintenance(rig, 0.0)
    assert not rig.state(row)["cause"]


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_maintenance_and_proof_test_are_refused_beyond_an_hour(row: Row) -> None:
    rig = quiet(row)
    assert not maintenance(rig, HOUR_S + 1.0)
    assert maintenance(rig)
    value = true_number(row.causes[0])
    assert not inject(rig, row, 0, value, HOUR_S * S + rig.period_ns + 1)
    assert not inject(rig, row, len(row.causes), value, S)
    assert not rig.state(row)["under_test"]
