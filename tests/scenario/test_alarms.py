"""Alarms from a controller's records: each source, the start, a lost device, a flood."""

from pathlib import Path

import pytest
from alarm_rig import (
    CLEAR,
    LATCHED,
    ROWS,
    SETTLED_S,
    TRIPPED,
    Plant,
    Rig,
    command,
)

from edgectl._kernel.interlock import RowFlag
from edgectl.alarms import AlarmStore, Health
from edgectl.alarms.kpi import floods
from edgectl.alarms.machine import State


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path / "data")
    made.settle()
    made.log.events.clear()
    return made


def annunciated(rig: Rig) -> list[str]:
    return [fields["alarm"] for name, fields in rig.log.events if name == "alarm.annunciated"]


def test_a_quiet_plant_has_no_alarm(rig: Rig) -> None:
    assert rig.asking() == set()
    assert annunciated(rig) == []
    assert len(rig.book.states) > len(ROWS)


def test_a_row_that_trips_latches_and_is_reset_goes_the_whole_way(rig: Rig) -> None:
    rig.plant.fields["first_out_row"] = 1
    rig.plant.set("IL-TEMP", TRIPPED)
    rig.run(0.1)
    assert rig.shown("IL-TEMP") is State.UNACKNOWLEDGED
    assert rig.state("IL-TEMP").first_out
    rig.plant.set("IL-TEMP", LATCHED)
    rig.run(0.1)
    assert rig.shown("IL-TEMP") is State.LATCHED_UNACKNOWLEDGED
    assert rig.feed.ask(command("IL-TEMP")) == ""
    assert rig.shown("IL-TEMP") is State.LATCHED_ACKNOWLEDGED
    rig.plant.set("IL-TEMP", CLEAR)
    rig.run(0.1)
    assert rig.shown("IL-TEMP") is State.NORMAL
    assert not rig.state("IL-TEMP").first_out
    assert annunciated(rig) == ["IL-TEMP"]
    store = rig.feed._store
    assert store is not None
    assert [each.event for each in store.history("IL-TEMP", 4)] == [
        "returned", "acknowledged", "latched", "annunciated",
    ]  # fmt: skip
    (line, *_) = store.history("IL-TEMP", 1)
    assert line.at.scan == rig.plant.seq
    assert line.at.time_ns == rig.plant.now_ns - 100_000_000


def test_a_pending_row_is_no_alarm_yet(rig: Rig) -> None:
    rig.plant.set("IL-TEMP", 1)
    rig.run(5.0)
    assert rig.asking() == set()


def test_rows_that_start_tripped_are_silent_for_30_s_and_then_heard(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for row in ("IL-ESTOP", "IL-SOC", "IL-TEMP"):
        rig.plant.set(row, TRIPPED)
    rig.run(5.0)
    assert rig.shown("IL-ESTOP") is State.SUPPRESSED
    assert rig.state("IL-ESTOP").suppressed_by == "starting"
    rig.plant.set("IL-SOC", CLEAR)
    rig.run(1.0)
    rig.plant.set("IL-SOC", TRIPPED)
    rig.run(0.1)
    assert annunciated(rig) == ["IL-SOC"], "it was clear and trips anew: heard at once"
    rig.plant.set("IL-TEMP", LATCHED)
    rig.run(SETTLED_S - 7)
    assert annunciated(rig) == ["IL-SOC"]
    rig.run(2.0)
    assert sorted(annunciated(rig)) == ["IL-ESTOP", "IL-SOC", "IL-TEMP"]
    assert rig.shown("IL-TEMP") is State.LATCHED_UNACKNOWLEDGED


def test_the_safe_state_of_the_start_is_silent_and_a_later_one_is_not(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.plant.fields["safe_state"] = 1
    rig.run(2.0)
    assert rig.asking() == set()
    rig.plant.fields["safe_state"] = 0
    rig.run(0.1)
    assert rig.shown("SYS.SAFE") is State.NORMAL
    rig.plant.fields["safe_state"] = 1
    rig.run(0.1)
    assert rig.shown("SYS.SAFE") is State.UNACKNOWLEDGED


def test_a_safe_state_that_never_ends_is_heard_after_the_start(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.plant.fields["safe_state"] = 1
    rig.run(SETTLED_S, step=50)
    assert rig.asking() == {"SYS.SAFE"}


def test_a_lost_device_is_one_alarm_and_the_critical_row(rig: Rig) -> None:
    rig.plant.silent = {"BMS-01", "PCS-01"}
    for row in ("IL-ESTOP", "IL-TEMP", "IL-SOC", "IL-MIX"):
        rig.plant.set(row, TRIPPED)
    rig.run(3.0)
    assert rig.asking() == {"BMS-01.COMM", "PCS-01.COMM", "IL-ESTOP", "IL-MIX"}
    assert rig.state("IL-TEMP").suppressed_by == "device silent"
    assert rig.book.specs["BMS-01.COMM"].priority == "high", "as urgent as what it hides"
    assert rig.book.specs["GRID-01.COMM"].priority == "medium"
    rig.plant.silent = set()
    rig.run(9.0)
    assert rig.shown("BMS-01.COMM") is State.UNACKNOWLEDGED, "its off-delay is 10 s"
    rig.plant.set("IL-TEMP", LATCHED)
    rig.plant.set("IL-SOC", CLEAR)
    rig.run(25.0)
    assert rig.shown("BMS-01.COMM") is State.RETURNED
    assert rig.shown("IL-SOC") is State.NORMAL, "it came and went with the device"
    assert rig.shown("IL-TEMP") is State.LATCHED_UNACKNOWLEDGED, "it waits for its reset"


def test_a_silence_shorter_than_the_on_delay_is_no_alarm(rig: Rig) -> None:
    rig.plant.silent = {"BMS-01"}
    rig.run(1.9)
    rig.plant.silent = set()
    rig.run(1.0)
    assert annunciated(rig) == []


def test_flags_of_a_row_are_alarms_and_a_test_hides_its_own_trip(rig: Rig) -> None:
    rig.plant.set("IL-TEMP", CLEAR, RowFlag.ROW_BYPASSED)
    rig.plant.set("IL-ESTOP", CLEAR, RowFlag.ROW_DISCREPANT)
    rig.run(6.0)
    assert rig.asking() == {"IL-TEMP.BYPASS", "IL-ESTOP.DISCREPANCY"}
    rig.plant.set("IL-ESTOP", TRIPPED, RowFlag.ROW_UNDER_TEST)
    rig.plant.set("IL-TEMP", CLEAR)
    rig.plant.fields |= {"armed": 0, "maintenance": 1}
    rig.run(90.0, step=10)
    assert rig.state("IL-ESTOP").suppressed_by == "under test"
    assert rig.state("SYS.DISARMED").suppressed_by == "maintenance"
    assert "SYS.MAINTENANCE" in rig.asking()
    rig.plant.set("IL-ESTOP", CLEAR)
    rig.plant.fields["maintenance"] = 0
    rig.run(61.0, step=10)
    assert rig.shown("SYS.DISARMED") is State.UNACKNOWLEDGED, "it was forgotten to arm again"
    assert "IL-ESTOP" not in annunciated(rig)


@pytest.mark.parametrize(
    ("fields", "on_delay_s", "alarm_id"),
    [
        ({"safe_state": 1}, 0, "SYS.SAFE"),
        ({"armed": 0}, 60, "SYS.DISARMED"),
        ({"carbon_default": 1}, 60, "SYS.CARBON"),
        ({"balance_error_mj": 1}, 0, "SYS.BALANCE"),
        ({"balance_error_ug": -3}, 0, "SYS.BALANCE"),
        ({"overruns": 3}, 0, "SYS.OVERRUN"),
    ],
)
def test_every_field_of_the_head_that_matters_makes_its_alarm(
    rig: Rig, fields: dict[str, int], on_delay_s: float, alarm_id: str
) -> None:
    rig.plant.fields |= fields
    if on_delay_s:
        rig.run(on_delay_s - 0.1, step=5)
        assert rig.asking() == set()
    rig.run(1.0)
    assert rig.asking() == {alarm_id}


def test_two_overruns_in_60_s_are_no_alarm_and_one_clears_when_they_are_old(rig: Rig) -> None:
    for total in (1, 2):
        rig.plant.fields["overruns"] = total
        rig.run(20.0, step=10)
    assert rig.asking() == set()
    rig.run(45.0, step=10)
    rig.plant.fields["overruns"] = 6
    rig.run(1.0)
    assert rig.shown("SYS.OVERRUN") is State.UNACKNOWLEDGED
    rig.run(57.0, step=10)
    assert rig.shown("SYS.OVERRUN") is State.UNACKNOWLEDGED
    rig.run(4.0)
    assert rig.shown("SYS.OVERRUN") is State.RETURNED


@pytest.mark.parametrize(
    ("health", "seconds", "alarm_id"),
    [
        (Health(ledger_failing=True), 2.5, "SYS.LEDGER"),
        (Health(broker_away=True), 61.0, "SYS.BROKER"),
        (Health(behind_scans=700), 6.0, "SYS.BEHIND"),
    ],
)
def test_what_the_services_know_of_themselves_makes_its_alarm(
    rig: Rig, health: Health, seconds: float, alarm_id: str
) -> None:
    rig.run(seconds, health)
    assert rig.asking() == {alarm_id}
    rig.run(15.0, Health(behind_scans=300))
    assert (rig.shown(alarm_id) is State.UNACKNOWLEDGED) == (alarm_id == "SYS.BEHIND"), "deadband"
    rig.run(1.0, Health(behind_scans=100))
    assert rig.shown(alarm_id) is State.RETURNED


def test_a_controller_that_vanishes_is_an_alarm_though_no_scan_tells_it(rig: Rig) -> None:
    rig.feed.pump(Health(controller_gone=True))
    assert rig.asking() == {"SYS.CONTROLLER"}
    assert rig.book.specs["SYS.CONTROLLER"].priority == "critical"
    rig.feed.detach()
    following = Rig(rig.directory.parent / "unused", Plant())
    rig.plant = following.plant
    rig.feed.attach(rig.reader())
    rig.run(0.2)
    assert rig.shown("SYS.CONTROLLER") is State.RETURNED


@pytest.mark.parametrize(
    ("link", "alarm_id"), [("refused", "BMS-01.IDENTITY"), ("write_failures", "BMS-01.WRITE")]
)
def test_what_only_the_bus_knows_makes_its_alarm(rig: Rig, link: str, alarm_id: str) -> None:
    rig.plant.links[link] = 1
    rig.run(0.1)
    assert alarm_id in rig.asking()
    assert "IL-TEMP" not in rig.asking()


def test_a_flood_is_said_when_it_begins_and_when_it_ends(rig: Rig) -> None:
    for _ in range(11):
        rig.plant.set("IL-IMPORT", TRIPPED)
        rig.run(0.2)
        rig.plant.set("IL-IMPORT", CLEAR)
        rig.run(0.2)
    assert rig.log.names.count("alarm.flood_started") == 1
    assert rig.book.flood_since_ns > 0
    rig.killed()
    rig.run(590.0, step=500)
    assert "alarm.flood_ended" not in rig.log.names
    rig.run(11.0, step=10)
    assert rig.log.names.count("alarm.flood_ended") == 1
    assert rig.log.names.count("alarm.flood_started") == 1, "the kill made no second one"
    with AlarmStore.reader("fake", rig.directory) as store:
        ended, started = store.history("", 2)
        times_ns = [when_ns for when_ns, _ in store.annunciations(0)]
    ((since_ns, until_ns),) = floods(times_ns, rig.book.now_ns)
    assert started.at.now_ns == since_ns, "what is said live is what the figures count"
    assert 0 <= ended.at.now_ns - until_ns < 100_000_000
