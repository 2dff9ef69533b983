"""A proof test sees a row trip in time, stay latched, and clear only as it may; and it is kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trip_rig import ROWS, SITE, TABLES, TripRig

from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl.image import post
from edgectl.prooftest import (
    Dues,
    NotTestableError,
    Ports,
    Result,
    append,
    load,
    overdue,
    plan_test,
    record_path,
    run_test,
)
from edgectl.prooftest.plan import TestPlan as Plan
from edgectl.prooftest.plan import beyond
from edgectl.prooftest.record import NEVER_TESTED

pytestmark = pytest.mark.untraced  # minutes of simulated scans

UTC_S = 1_700_000_000
DAY_S = 86_400


class Box:
    """A mailbox on the rig's own clock; it remembers what was asked."""

    def __init__(self, rig: TripRig, deaf_to: MailKind | None = None) -> None:
        self.rig, self.deaf_to = rig, deaf_to
        self.asked: list[tuple[int, int, float]] = []

    def put(self, kind: int, target: int, value: float, authority: int, ttl_s: float) -> int:
        self.asked.append((kind, target, value))
        if kind == self.deaf_to:
            return 0
        expiry_ns = self.rig.now_ns + int(ttl_s * 1e9)
        segment = self.rig.segment
        return post(segment.head, segment.mailbox, kind, target, value, authority, expiry_ns)


def ports(rig: TripRig, box: Box | None = None, each_scan: Any = None) -> Ports:
    """The rig as a test sees it: waiting is one scan."""

    def wait() -> None:
        rig.scans(1)
        if each_scan is not None:
            each_scan()

    return Ports(rig.reader, box or Box(rig), wait, lambda text: None, lambda: UTC_S)


def prove(rig: TripRig, row: str, box: Box | None = None, each_scan: Any = None) -> Result:
    return run_test(plan_test(TABLES.directory, row), ports(rig, box, each_scan), "A. Name")


def maintenance(rig: TripRig) -> bool:
    rig.scans(2)
    return bool(rig.record["head"]["maintenance"])


def test_an_estop_row_is_timed_stays_latched_and_is_left_to_the_person_at_the_cabinet() -> None:
    rig = TripRig()
    rig.put_to_work(5e6)
    result = prove(rig, "IL-ESTOP")
    assert result.passed, result.why
    assert (result.reaction_ms, result.scans, result.bound_ms) == (0.0, 0, 100.0)
    assert (result.permit_ms, result.setpoint_ms, result.output_ms) == (0.0, 0.0, 0.0)
    assert result.moved, "the batteries were at work"
    assert result.readback_ms is not None
    assert 0 < result.readback_ms <= 1000
    assert result.latched is True
    assert result.cleared_ms is None
    assert result.as_left == "latched, waits for the reset at the cabinet"
    assert rig.row("IL-ESTOP")["status"] == InterlockStatus.INTERLOCK_LATCHED
    assert not maintenance(rig)


@pytest.mark.parametrize(
    ("row", "reaction_ms"),
    [("IL-BESS-01-T-TRIP", 1000.0), ("IL-BESS-01-FOLLOW", 5000.0), ("IL-OVERRUN", 0.0)],
)
def test_an_operators_row_stays_latched_until_it_is_reset(row: str, reaction_ms: float) -> None:
    rig = TripRig()
    box = Box(rig)
    result = prove(rig, row, box)
    assert result.passed, result.why
    assert result.reaction_ms == reaction_ms
    assert result.latched is True
    assert (int(MailKind.MAIL_RESET), ROWS[row], 0.0) in box.asked
    assert result.as_left == "clear"


@pytest.mark.parametrize(
    ("row", "cleared_ms"),
    [("IL-IMPORT", 5000.0), ("IL-BESS-01-SOC-HIGH", 0.0), ("IL-BESS-01-BMS-LOST", 10_000.0)],
)
def test_an_auto_row_clears_by_itself_after_its_off_delay(row: str, cleared_ms: float) -> None:
    rig = TripRig()
    box = Box(rig)
    result = prove(rig, row, box)
    assert result.passed, result.why
    assert result.latched is None
    assert result.cleared_ms is not None
    assert abs(result.cleared_ms - cleared_ms) <= 100.0
    assert int(MailKind.MAIL_RESET) not in [kind for kind, *_ in box.asked]


@pytest.mark.parametrize("row", sorted(ROWS))
def test_every_row_of_the_demo_site_has_a_test_that_it_passes(row: str) -> None:
    rig = TripRig()
    result = prove(rig, row)
    assert result.passed, result.why
    assert result.reaction_ms is not None
    spec = TABLES.directory["interlocks"][ROWS[row]]
    assert spec["on_delay_ns"] / 1e6 <= result.reaction_ms <= result.bound_ms


def test_a_row_with_a_vote_of_two_is_given_two_values() -> None:
    directory = dict(TABLES.directory)
    rows = [dict(each) for each in directory["interlocks"]]
    rows[ROWS["IL-METERS"]]["vote"] = "2oo8"
    plan = plan_test(directory | {"interlocks": rows}, "IL-METERS")
    assert [at for at, _ in plan.values] == [0, 1]
    rows[ROWS["IL-METERS"]]["vote"] = "9oo9"
    with pytest.raises(NotTestableError, match="needs 9 values at once"):
        plan_test(directory | {"interlocks": rows}, "IL-METERS")


@pytest.mark.parametrize(
    ("op", "on", "off", "trips"),
    [
        ("above", 10.0, 5.0, lambda value: value > 10.0),
        ("above", 0.0, 0.0, lambda value: value > 0.0),
        ("below", -5e5, 0.0, lambda value: value < -5e5),
        ("equal", 0.0, 0.0, lambda value: value == 0.0),
        ("not_equal", 3.0, 3.0, lambda value: value != 3.0),
        ("limit", 10e6, 10e6, lambda value: value < 10e6),
    ],
)
def test_what_is_injected_is_on_the_tripping_side(
    op: str, on: float, off: float, trips: Any
) -> None:
    assert trips(beyond({"op": op, "on": on, "off": off}))


def test_a_row_that_stands_is_not_tested_and_nothing_is_asked() -> None:
    rig = TripRig()
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(10)
    box = Box(rig)
    with pytest.raises(NotTestableError, match="it is latched"):
        prove(rig, "IL-ESTOP", box)
    assert box.asked == []


def test_a_bypassed_row_is_not_tested() -> None:
    rig = TripRig()
    rig.post(MailKind.MAIL_BYPASS, ROWS["IL-DOOR"], 600.0, int(Reset.RESET_OPERATOR))
    rig.scans(1)
    box = Box(rig)
    with pytest.raises(NotTestableError, match="it is bypassed"):
        prove(rig, "IL-DOOR", box)
    assert box.asked == []


def test_an_unknown_row_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotTestableError, match="IL-ESTOP, IL-FIRE"):
        plan_test(TABLES.directory, "IL-ESTOPP")


def test_without_maintenance_mode_nothing_is_injected() -> None:
    rig = TripRig()
    box = Box(rig, deaf_to=MailKind.MAIL_MAINTENANCE)
    with pytest.raises(NotTestableError, match="did not enter maintenance mode"):
        prove(rig, "IL-ESTOP", box)
    assert int(MailKind.MAIL_INJECT) not in [kind for kind, *_ in box.asked]


def test_values_that_are_not_taken_fail_the_test_and_maintenance_mode_is_left() -> None:
    rig = TripRig()
    box = Box(rig, deaf_to=MailKind.MAIL_INJECT)
    result = prove(rig, "IL-DOOR", box)
    assert not result.passed
    assert result.why.startswith("the values were not taken")
    assert not maintenance(rig)


def test_a_row_slower_than_its_plan_allows_fails() -> None:
    rig = TripRig()
    plan = replace(plan_test(TABLES.directory, "IL-IMPORT"), on_delay_ns=500_000_000)
    result = run_test(plan, ports(rig), "A. Name")
    assert not result.passed
    assert result.why == "it tripped after 1000 ms; 600 ms is allowed"


def test_a_row_faster_than_its_plan_allows_fails() -> None:
    rig = TripRig()
    plan = replace(plan_test(TABLES.directory, "IL-IMPORT"), on_delay_ns=1_500_000_000)
    result = run_test(plan, ports(rig), "A. Name")
    assert result.why == "it tripped after 1000 ms, before its on-delay was over"


def test_a_latched_row_that_somebody_resets_meanwhile_does_not_pass() -> None:
    rig = TripRig()

    def meddle() -> None:
        rig.post(MailKind.MAIL_RESET, -1, 0.0, int(Reset.RESET_OPERATOR))

    result = prove(rig, "IL-BESS-01-T-TRIP", each_scan=meddle)
    assert not result.passed
    assert result.why == "it cleared by itself, and must wait for its reset"


def test_while_disarmed_the_permits_are_proved_and_the_outputs_are_said_not_to_be() -> None:
    rig = TripRig()
    rig.post(MailKind.MAIL_DISARM, 0, 0.0, int(Reset.RESET_OPERATOR))
    rig.scans(2)
    result = prove(rig, "IL-ESTOP")
    assert result.passed, result.why
    assert (result.armed, result.permit_ms) == (False, 0.0)
    assert (result.setpoint_ms, result.output_ms) == (None, None)


def test_batteries_that_were_safe_already_are_said_to_have_been() -> None:
    rig = TripRig()
    for battery in range(2):
        rig.want(battery, 0.0)
    rig.scans(30)
    result = prove(rig, "IL-ESTOP")
    assert result.passed, result.why
    assert (result.setpoint_ms, result.moved) == (0.0, False)


def test_a_test_that_is_broken_off_leaves_maintenance_mode() -> None:
    rig = TripRig()
    scans = iter(range(10))

    def interrupt() -> None:
        if next(scans, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prove(rig, "IL-BESS-01-FOLLOW", each_scan=interrupt)
    assert not maintenance(rig)
    rig.scans(80)
    assert rig.row("IL-BESS-01-FOLLOW")["under_test"] == 0


# ---- what is kept


def result_of(row: str, utc_s: int, *, passed: bool = True, digest: str | None = None) -> Result:
    plan: Plan = plan_test(TABLES.directory, row)
    return Result(
        site=SITE.id, site_sha256=SITE.sha256, row=row, row_digest=digest or plan.digest,
        utc_s=utc_s, by="A. Name", armed=True, passed=passed, why="" if passed else "late",
        as_found="clear", as_left="clear", injected={"x": 1.0}, reaction_ms=0.0, bound_ms=100.0,
        scans=0, permit_ms=0.0, setpoint_ms=0.0, output_ms=0.0, readback_ms=None, moved=True,
        latched=True, cleared_ms=1.0, edgectl="0",
    )  # fmt: skip


def test_results_are_appended_and_read_back(tmp_path: Path) -> None:
    path = record_path(tmp_path / "new", SITE.id)
    results = [result_of("IL-ESTOP", UTC_S), result_of("IL-FIRE", UTC_S + 1, passed=False)]
    for each in results:
        append(path, each)
    assert load(path) == results


def test_a_line_cut_off_by_a_crash_costs_that_line_alone(tmp_path: Path) -> None:
    path = record_path(tmp_path, SITE.id)
    append(path, result_of("IL-ESTOP", UTC_S))
    append(path, result_of("IL-FIRE", UTC_S))
    path.write_bytes(path.read_bytes()[:-30])
    append(path, result_of("IL-DOOR", UTC_S))
    assert [each.row for each in load(path)] == ["IL-ESTOP", "IL-DOOR"]


def test_a_result_of_an_older_edgectl_still_counts(tmp_path: Path) -> None:
    path = record_path(tmp_path, SITE.id)
    append(path, result_of("IL-ESTOP", UTC_S))
    plain = json.loads(path.read_text())
    del plain["readback_ms"], plain["moved"]
    path.write_text(json.dumps(plain) + "\n")
    assert "IL-ESTOP" not in due(tmp_path, UTC_S)
    (found,) = load(path)
    assert found.readback_ms is None


def due(folder: Path, now_utc_s: int) -> dict[str, str]:
    return {each.row: each.why for each in overdue(SITE, folder, now_utc_s)}


def test_every_row_is_overdue_until_it_was_tested_and_again_after_its_interval(
    tmp_path: Path,
) -> None:
    assert due(tmp_path, UTC_S) == dict.fromkeys(ROWS, "never tested")
    append(record_path(tmp_path, SITE.id), result_of("IL-ESTOP", UTC_S))
    days = SITE.interlocks[ROWS["IL-ESTOP"]].proof_interval_days
    assert "IL-ESTOP" not in due(tmp_path, UTC_S + days * DAY_S)
    late = due(tmp_path, UTC_S + (days + 2) * DAY_S)
    assert late["IL-ESTOP"] == "2 days over"
    assert overdue(SITE, tmp_path, UTC_S + (days + 2) * DAY_S)[-1].row == "IL-ESTOP"


def test_a_failed_test_and_one_of_another_row_prove_nothing(tmp_path: Path) -> None:
    path = record_path(tmp_path, SITE.id)
    append(path, result_of("IL-ESTOP", UTC_S, passed=False))
    append(path, result_of("IL-FIRE", UTC_S, digest="0" * 16))
    found = due(tmp_path, UTC_S)
    assert found["IL-ESTOP"] == "never tested"
    assert found["IL-FIRE"] == "changed since its last test"


def test_rows_that_were_never_tested_are_one_alarm_and_overdue_ones_their_own(
    tmp_path: Path,
) -> None:
    rows = [dict(each) for each in TABLES.directory["interlocks"][:3]]
    directory = {"interlocks": rows}
    dues = Dues("demo", tmp_path)
    assert [each["proof_due_utc_ns"] for each in dues.directory(directory)["interlocks"]] == [
        NEVER_TESTED
    ] * 3
    rig = TripRig()
    passed = prove(rig, str(rows[1]["id"]))
    append(record_path(tmp_path, "demo"), passed)
    due = dues.directory(directory)["interlocks"][1]["proof_due_utc_ns"]
    assert due == (passed.utc_s + rows[1]["proof_interval_days"] * 86_400) * 10**9
    rows[1]["vote"] = "9oo9"
    again = Dues("demo", tmp_path).directory({"interlocks": rows})
    assert again["interlocks"][1]["proof_due_utc_ns"] == NEVER_TESTED, "it is another row now"
