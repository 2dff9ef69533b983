"""Who may clear what, and when: latch, reset, lock-out, restart, first-out."""

from collections.abc import Iterator

import pytest
from cause_rig import CLEAR, LATCHED, LONG_S, TRIPPED, Rig
from cause_states import free, make_all, quiet, scans, trip, untrip
from cause_table import Row, distinct_rows, table_of

from edgectl._kernel.authority import AuthorityStatus
from edgectl._kernel.interlock import Reset

ROWS = distinct_rows()
FAR = (Reset.RESET_AUTO, Reset.RESET_OPERATOR, Reset.RESET_LOCAL, Reset.RESET_RESTART)


def named(row: Row) -> str:
    return f"{row.site}-{row.id}"


def pairs() -> Iterator[tuple[Row, Row]]:
    """Each row with the next one of its group."""
    for row in ROWS:
        group = [each for each in table_of(row.site) if each.group == row.group]
        after = group[(group.index(row) + 1) % len(group)]
        shared = {c.tag for c in row.causes} & {c.tag for c in after.causes}
        if after is not row and not shared:
            yield row, after


PAIRS = list(pairs())


def named_pair(pair: tuple[Row, Row]) -> str:
    return f"{pair[0].site}-{pair[0].id}-{pair[1].id}"


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_latch_outlives_its_cause_and_a_row_without_one_does_not(row: Row) -> None:
    rig = quiet(row)
    trip(rig, row)
    untrip(rig, row)
    assert rig.status(row) is (LATCHED if row.latches else CLEAR)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_nobody_clears_a_row_whose_cause_stands(row: Row) -> None:
    rig = quiet(row)
    trip(rig, row)
    for authority in FAR:
        assert not rig.reset(row, authority)
        assert rig.status(row) is TRIPPED
    rig.press()
    assert rig.status(row) is TRIPPED


@pytest.mark.parametrize("authority", FAR, ids=lambda each: each.name)
@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_reset_from_afar_clears_what_an_operator_may_and_nothing_else(
    row: Row, authority: Reset
) -> None:
    rig = quiet(row)
    trip(rig, row)
    make_all(rig, row, False)
    rig.step()
    if rig.status(row) is CLEAR:  # no latch and no off-delay: there is nothing to reset
        assert not rig.reset(row, authority)
        return
    allowed = row.reset == "operator" and authority is Reset.RESET_OPERATOR
    assert rig.reset(row, authority) == allowed
    clear = allowed or (row.reset == "auto" and scans(rig, row.off_delay_ms) <= 1)
    assert rig.status(row) is (CLEAR if clear else LATCHED)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_the_button_at_the_cabinet_clears_what_local_and_operator_may(row: Row) -> None:
    rig = quiet(row)
    trip(rig, row)
    untrip(rig, row)
    rig.press()
    assert rig.status(row) is (LATCHED if row.reset == "restart" else CLEAR)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_button_that_is_held_or_tied_down_clears_nothing_more(row: Row) -> None:
    rig = quiet(row)
    assert rig.made.site.local_reset is not None
    rig.show(rig.made.site.local_reset, 1)
    rig.step()
    trip(rig, row)
    make_all(rig, row, False)
    rig.step()
    rig.step(LONG_S)
    assert rig.status(row) is (LATCHED if row.latches else CLEAR)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_row_starts_tripped_and_only_its_authority_ends_that(row: Row) -> None:
    rig = Rig(row.site, [row.id])
    make_all(rig, row, False)
    rig.step()
    assert rig.state(row)["start"] or (rig.status(row) is CLEAR and row.off_delay_ms == 0)
    rig.run(scans(rig, row.off_delay_ms))
    waits = row.reset in ("operator", "local")
    assert rig.status(row) is (LATCHED if waits else CLEAR)
    assert rig.state(row)["trips"] == 0, "a start is no trip"


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_start_with_the_cause_there_is_a_trip(row: Row) -> None:
    rig = Rig(row.site, [row.id])
    make_all(rig, row, True)
    rig.step()
    rig.run(scans(rig, row.on_delay_ms))
    assert rig.status(row) is TRIPPED
    assert (rig.state(row)["trips"], rig.state(row)["start"]) == (1, 0)


@pytest.mark.parametrize("row", [r for r in ROWS if r.lockout_trips], ids=named)
def test_a_row_that_trips_again_and_again_asks_for_a_person(row: Row) -> None:
    rig = quiet(row)
    for count in range(1, row.lockout_trips + 1):
        trip(rig, row)
        make_all(rig, row, False)
        rig.step()
        rig.run(scans(rig, row.off_delay_ms))
        locked = count == row.lockout_trips
        assert rig.state(row)["locked"] == locked
        assert rig.status(row) is (LATCHED if locked else CLEAR)
    assert rig.reset(row)
    assert rig.status(row) is CLEAR


@pytest.mark.parametrize("late_ns", [0, 1])
@pytest.mark.parametrize("row", [r for r in ROWS if r.lockout_trips], ids=named)
def test_trips_are_counted_within_the_window_alone(row: Row, late_ns: int) -> None:
    rig = quiet(row)
    trip(rig, row)
    first_ns = rig.now_ns
    for _ in range(row.lockout_trips - 2):
        free(rig, row) if rig.state(row)["locked"] else None
        make_all(rig, row, False)
        rig.step()
        rig.run(scans(rig, row.off_delay_ms))
        trip(rig, row)
    make_all(rig, row, False)
    rig.step()
    rig.run(scans(rig, row.off_delay_ms))
    assert row.on_delay_ms == 0, "the last trip comes with its cause"
    make_all(rig, row, True)
    rig.step(first_ns + row.lockout_window_s * 1_000_000_000 + late_ns - rig.now_ns)
    assert rig.status(row) is TRIPPED
    assert rig.state(row)["locked"] == (late_ns == 0)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_latch_outlives_a_restart_while_tripped(row: Row) -> None:
    before = quiet(row)
    trip(before, row)
    kept = before.state(row)
    rig = Rig(row.site, [row.id])
    status = rig.kernel.retain(
        0, int(kept["status"]), bool(kept["locked"]), bool(kept["first_out"]),
        int(kept["trips"]), 0, rig.now_ns,
    )  # fmt: skip
    assert status == AuthorityStatus.AUTHORITY_DONE
    make_all(rig, row, False)
    rig.step()
    rig.step(LONG_S)
    waits = row.reset in ("operator", "local")
    assert rig.status(row) is (LATCHED if waits else CLEAR)
    assert rig.state(row)["trips"] == 1
    assert rig.state(row)["start"] == 0
    assert rig.state(row)["first_out"] == waits
    if waits:
        rig.press()
        assert rig.status(row) is CLEAR


@pytest.mark.parametrize("row", [r for r in ROWS if r.lockout_trips], ids=named)
def test_a_lock_out_outlives_a_restart(row: Row) -> None:
    rig = Rig(row.site, [row.id])
    rig.kernel.retain(0, LATCHED, True, False, row.lockout_trips, 0, rig.now_ns)
    make_all(rig, row, False)
    rig.step()
    rig.step(LONG_S)
    assert rig.status(row) is LATCHED
    assert rig.state(row)["locked"]
    assert rig.reset(row)
    assert rig.status(row) is CLEAR


@pytest.mark.parametrize("pair", PAIRS, ids=named_pair)
def test_the_first_row_to_trip_in_a_group_is_its_first_out(pair: tuple[Row, Row]) -> None:
    first, second = pair
    rig = quiet(first, second)
    trip(rig, first)
    assert rig.state(first)["first_out"]
    trip(rig, second)
    assert rig.state(first)["first_out"]
    assert not rig.state(second)["first_out"]
    assert rig.reader.snapshot()["record"]["first_out_row"] == rig.at(first)


@pytest.mark.parametrize("pair", PAIRS, ids=named_pair)
def test_of_two_in_the_same_scan_the_upper_row_of_the_table_is_first(
    pair: tuple[Row, Row],
) -> None:
    rig = quiet(*pair)
    slow = max(pair, key=lambda row: row.on_delay_ms)
    fast = pair[0] if slow is pair[1] else pair[1]
    make_all(rig, slow, True)
    rig.step()
    wait = scans(rig, slow.on_delay_ms) - scans(rig, fast.on_delay_ms)
    rig.run(wait - 1)
    if wait == 0:
        rig = quiet(*pair)
        make_all(rig, slow, True)
    make_all(rig, fast, True)
    rig.step()
    rig.run(scans(rig, fast.on_delay_ms))
    assert [rig.status(row) for row in pair] == [TRIPPED, TRIPPED]
    assert rig.state(pair[0])["tripped_scan"] == rig.state(pair[1])["tripped_scan"]
    upper = min(pair, key=lambda row: row.at)
    assert [rig.state(row)["first_out"] for row in pair] == [row is upper for row in pair]


@pytest.mark.parametrize("pair", [p for p in PAIRS if p[0].reset != "restart"], ids=named_pair)
def test_a_group_that_is_clear_again_has_a_new_first_out(pair: tuple[Row, Row]) -> None:
    first, second = pair
    rig = quiet(first, second)
    trip(rig, first)
    free(rig, first)
    assert not rig.state(first)["first_out"]
    trip(rig, second)
    assert rig.state(second)["first_out"]
