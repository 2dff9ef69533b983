"""What the controller says of itself: its points in a real scan, and the mails behind them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cause_rig import START_UTC_NS, Rig, S
from cause_states import make_all
from cause_table import Row, table_of

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.quality import Quality, Reason

OPERATOR = Reset.RESET_OPERATOR
HEARTBEAT = "PCS-01.controller_heartbeat"
SCANS_A_ROUND = 3000  # more than the tables need to be looked through twice


def row_of(row_id: str) -> Row:
    return next(row for row in table_of("catalogue") if row.id == row_id)


@pytest.fixture
def rig() -> Rig:
    """A site with one quiet row, after its first scan."""
    row = row_of("IL-SERVICES")
    made = Rig("catalogue", [row.id])
    make_all(made, row, False)
    made.step()
    return made


def point(rig: Rig, tag: str) -> tuple[float, Quality, Reason]:
    """What a point shows."""
    value, quality, reason, *_ = rig.kernel.sample(rig.made.tables.point_index[tag])
    return value, Quality(quality), Reason(reason)


def value(rig: Rig, tag: str) -> float:
    found, quality, _ = point(rig, tag)
    assert quality is Quality.QUALITY_GOOD
    return found


def test_services_that_were_never_heard_of_are_not_known_and_then_grow_old(rig: Rig) -> None:
    unknown = (Quality.QUALITY_BAD, Reason.REASON_NOT_YET)
    assert point(rig, "SITE.services_age")[1:] == unknown
    assert rig.mail(MailKind.MAIL_SERVICES)
    assert value(rig, "SITE.services_age") == 0.0
    rig.step(61 * S)
    assert value(rig, "SITE.services_age") == pytest.approx(61.0)
    assert rig.mail(MailKind.MAIL_SERVICES)
    assert value(rig, "SITE.services_age") == 0.0


def test_a_ledger_that_cannot_be_written_is_told_until_it_can(rig: Rig) -> None:
    assert value(rig, "SITE.ledger_fault") == 0.0
    rig.mail(MailKind.MAIL_SERVICES, value=1.0)
    assert value(rig, "SITE.ledger_fault") == 1.0
    assert rig.reader.snapshot()["record"]["ledger_fault"] == 1
    rig.mail(MailKind.MAIL_SERVICES, value=0.0)
    assert value(rig, "SITE.ledger_fault") == 0.0


@pytest.mark.parametrize("step_s", [5, -5])
def test_a_step_of_the_wall_clock_is_shown_in_the_scan_that_sees_it(rig: Rig, step_s: int) -> None:
    assert value(rig, "SITE.clock_step") == 0.0, "the first scan has nothing to compare with"
    rig.step()
    assert value(rig, "SITE.clock_step") == 0.0
    rig.utc_ns += step_s * S
    rig.step()
    assert value(rig, "SITE.clock_step") == 5.0
    rig.step()
    assert value(rig, "SITE.clock_step") == 0.0


@contextmanager
def changed(rig: Rig, table: str, field: str, number: float) -> Iterator[None]:
    """A number of a table in memory is another for as long as the context lasts."""
    array = rig.made.tables[table]
    before = array[field].copy()
    array[field] = number
    try:
        yield
    finally:
        array[field] = before


def test_a_table_that_changes_in_memory_is_told_for_the_rest_of_the_run(rig: Rig) -> None:
    for _ in range(SCANS_A_ROUND):
        rig.kernel.step(rig.now_ns, START_UTC_NS)
    assert value(rig, "SITE.tables_fault") == 0.0
    with changed(rig, "storages", "dwell_ns", 1):
        for _ in range(SCANS_A_ROUND):
            rig.kernel.step(rig.now_ns, START_UTC_NS)
        assert value(rig, "SITE.tables_fault") == 1.0
    for _ in range(SCANS_A_ROUND):
        rig.kernel.step(rig.now_ns, START_UTC_NS)
    assert value(rig, "SITE.tables_fault") == 1.0
    assert rig.reader.snapshot()["record"]["tables_fault"] == 1


def test_maintenance_and_bypasses_are_shown_for_as_long_as_they_last(rig: Rig) -> None:
    assert (value(rig, "SITE.maintenance"), value(rig, "SITE.bypassed")) == (0.0, 0.0)
    assert rig.mail(MailKind.MAIL_MAINTENANCE, -1, 10.0, OPERATOR)
    assert rig.mail(MailKind.MAIL_BYPASS, 0, 10.0, OPERATOR)
    rig.step()
    assert (value(rig, "SITE.maintenance"), value(rig, "SITE.bypassed")) == (1.0, 1.0)
    assert rig.reader.snapshot()["record"]["maintenance"] == 1
    rig.step(10 * S)
    rig.step()
    assert (value(rig, "SITE.maintenance"), value(rig, "SITE.bypassed")) == (0.0, 0.0)


@pytest.mark.parametrize("authority", [-1, 0, 2, 3, 9])
@pytest.mark.parametrize("kind", [MailKind.MAIL_BYPASS, MailKind.MAIL_MAINTENANCE])
def test_nobody_but_an_operator_asks_for_a_bypass_or_maintenance(
    rig: Rig, kind: MailKind, authority: int
) -> None:
    assert not rig.mail(kind, 0, 10.0, authority)
    assert rig.mail(kind, 0, 10.0, OPERATOR)


@pytest.mark.parametrize("seconds", [1e6, 1e300])
@pytest.mark.parametrize("kind", [MailKind.MAIL_BYPASS, MailKind.MAIL_MAINTENANCE])
def test_a_length_beyond_reason_is_refused_and_not_wrapped(
    rig: Rig, kind: MailKind, seconds: float
) -> None:
    assert not rig.mail(kind, 0, seconds, OPERATOR)
    assert rig.mail(kind, 0, -seconds, OPERATOR), "nothing there to end is no fault"


@pytest.mark.parametrize("target", [-1, 1, 2**31 - 1])
def test_a_bypass_or_a_test_of_a_row_that_is_not_there_is_refused(rig: Rig, target: int) -> None:
    rig.mail(MailKind.MAIL_MAINTENANCE, -1, 60.0, OPERATOR)
    assert not rig.mail(MailKind.MAIL_BYPASS, target, 10.0, OPERATOR)
    assert not rig.mail(MailKind.MAIL_INJECT, target, 99.0, 0, S)
    assert rig.mail(MailKind.MAIL_INJECT, 0, 99.0, 0, S)
    assert not rig.mail(MailKind.MAIL_INJECT, 0, 99.0, 7, S), "it has no eighth cause"


def test_a_mail_that_is_out_of_date_is_refused(rig: Rig) -> None:
    assert not rig.mail(MailKind.MAIL_BYPASS, 0, 10.0, OPERATOR, ttl_ns=0)
    assert not rig.mail(MailKind.MAIL_SERVICES, ttl_ns=rig.period_ns)
    assert rig.mail(MailKind.MAIL_SERVICES, ttl_ns=rig.period_ns + 1)


def test_a_site_that_may_not_arm_is_not_armed_by_a_mail(rig: Rig) -> None:
    with changed(rig, "scan", "may_arm", 0):
        assert not rig.mail(MailKind.MAIL_ARM)
        assert rig.reader.snapshot()["record"]["armed"] == 0
    assert rig.mail(MailKind.MAIL_ARM)
    assert rig.reader.snapshot()["record"]["armed"] == 1
    assert rig.mail(MailKind.MAIL_DISARM)
    assert rig.reader.snapshot()["record"]["armed"] == 0


def beats(rig: Rig) -> int:
    return rig.kernel.committed(rig.made.tables.output_index[HEARTBEAT])[0]


def test_a_heartbeat_moves_at_its_own_pace_while_armed_and_stands_when_not(rig: Rig) -> None:
    rig.step(10 * S)
    assert beats(rig) == 0, "not armed: the device is left to fall back by itself"
    rig.mail(MailKind.MAIL_ARM)
    assert beats(rig) == 1
    for _ in range(30):
        rig.step()
    assert beats(rig) == 4, "every second"
    rig.mail(MailKind.MAIL_DISARM)
    rig.step(10 * S)
    assert beats(rig) == 4


def test_a_heartbeat_counts_by_one_and_goes_on_at_zero(rig: Rig) -> None:
    found = []
    with changed(rig, "heartbeats", "wraps_at", 3):
        rig.mail(MailKind.MAIL_ARM)
        for _ in range(5):
            found.append(rig.kernel.committed(rig.made.tables.output_index[HEARTBEAT])[1][-1])
            rig.step(S)
    assert found == [1, 2, 0, 1, 2]


def test_a_request_that_ran_out_is_shown_until_another_comes(rig: Rig) -> None:
    assert value(rig, "BESS-01.request_lapsed") == 0.0
    operator = RequestSource.SOURCE_OPERATOR
    rig.mail(MailKind.MAIL_STORAGE_W, 0, 1e5, operator, 2 * rig.period_ns)
    rig.step()
    rig.step()
    assert value(rig, "BESS-01.request_lapsed") == 1.0
    rig.mail(MailKind.MAIL_STORAGE_W, 0, 1e5, operator)
    rig.step()
    assert value(rig, "BESS-01.request_lapsed") == 0.0


def test_a_request_that_cannot_be_meant_is_shown_as_rejected(rig: Rig) -> None:
    rig.mail(MailKind.MAIL_STORAGE_W, 0, 1e9, RequestSource.SOURCE_OPERATOR)
    rig.step()
    assert value(rig, "BESS-01.rejected") == 1.0


@pytest.mark.parametrize(
    ("socs", "help_w"),
    [
        ((0.7, 0.7), 3e6),
        ((0.7, 0.4), 2e6),
        ((0.1, 0.4), 0.0),
        ((None, 0.7), 1e6),
        ((None, None), 0.0),
    ],
)
def test_a_demand_monitor_counts_on_what_the_batteries_hold_above_their_floors(
    socs: tuple[float | None, float | None], help_w: float
) -> None:
    rig = Rig("catalogue", ["IL-DEMAND-SHORTFALL"], monitors=True)
    rig.show("IO-01.sync_pulse", 0)
    power = rig.register("GRID-01.active_power")
    rig.show("GRID-01.active_power", power.at_most(15e6))
    for tag, soc in zip(("PCS-01.soc", "PCS-02.soc"), socs, strict=True):
        if soc is not None:
            rig.show(tag, rig.register(tag).at_most(soc))
    rig.step()
    found_w = value(rig, "IL-DEMAND-SHORTFALL.value")
    window_s, limit_w, power_w = 900, 9_000_000, 15_000_000
    left_s = window_s - rig.utc_ns / 1e9 % window_s
    energy_j = 0.0
    for soc, reserve, capacity_j in zip(socs, (0.2, 0.5), (14.4e9, 3.6e9), strict=True):
        energy_j += max((soc or 0.0) - reserve, 0.0) * capacity_j
    help_w = min(help_w, energy_j / left_s)
    assert found_w == pytest.approx(power_w - limit_w - help_w, abs=2000.0)
