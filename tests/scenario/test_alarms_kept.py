"""What is kept of the alarms: through kills, gaps, full disks, set clocks and other hands."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from alarm_rig import (
    CLEAR,
    LATCHED,
    SECOND_NS,
    TRIPPED,
    Plant,
    Rig,
    alarm_directory,
    command,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt_stranger import wait

from edgectl.alarms import AlarmStore, Health
from edgectl.alarms.desk import request
from edgectl.alarms.machine import Action, State
from edgectl.errors import AlarmError
from edgectl.image import create_segment


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path / "data")
    made.settle()
    made.log.events.clear()
    return made


def test_the_alarms_are_those_of_the_records_whoever_was_killed_when(tmp_path: Path) -> None:
    """The same ten minutes, taken scan by scan, in gulps, and through thirty kills."""
    books = []
    for name, step, kill_every in (("one", 1, 0), ("gulps", 37, 0), ("killed", 7, 3)):
        rig = Rig(tmp_path / name)
        turns = 0
        for scene in range(120):
            rig.plant.set("IL-TEMP", (CLEAR, TRIPPED, LATCHED, CLEAR)[scene % 4])
            rig.plant.set("IL-SOC", TRIPPED if scene % 7 < 2 else CLEAR)
            rig.plant.set("IL-ESTOP", TRIPPED if scene < 20 or scene > 110 else CLEAR)
            rig.plant.silent = {"PCS-01"} if 30 <= scene % 60 < 34 else set()
            rig.plant.fields["first_out_row"] = 1 if scene % 4 else -1
            for at in range(0, 50, step):
                rig.plant.run(min(step, 50 - at))
                if kill_every and turns % kill_every == 0:
                    rig.killed()
                rig.feed.pump(Health())
                turns += 1
        rig.feed.detach()
        offset_ns = rig.plant.start_ns
        history = [
            (each.alarm_id, each.event, each.before, each.after, each.at.time_ns - offset_ns)
            for each in AlarmStore.reader("fake", tmp_path / name).history(None, 10_000)
            if each.event not in ("flood_started", "flood_ended")
        ]
        counts = {each: state.annunciations for each, state in rig.book.states.items()}
        shown = {each: state.shown for each, state in rig.book.states.items()}
        books.append((sorted(history), counts, shown))
    assert books[0][0] == books[1][0]
    assert books[0] == books[1] == books[2]
    assert books[0][1]["IL-TEMP"] == 30


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30), st.booleans()), max_size=12))
def test_no_kill_loses_an_unacknowledged_alarm(
    tmp_path_factory: pytest.TempPathFactory, scenes: list[tuple[int, int, bool]]
) -> None:
    rig = Rig(tmp_path_factory.mktemp("alarms"))
    rig.settle()
    tripped_before, trips = False, 0
    for status, scans, kill in scenes:
        rig.plant.set("IL-IMPORT", status)
        rig.plant.run(scans)
        trips += status == TRIPPED and not tripped_before
        tripped_before = status == TRIPPED
        if kill:
            rig.killed()
    rig.feed.pump(Health())
    held_first = next((status for status, _, _ in scenes if status >= TRIPPED), 0) == LATCHED
    assert rig.state("IL-IMPORT").owed == bool(trips or held_first)
    if not held_first:
        assert rig.state("IL-IMPORT").annunciations >= trips


SERVE = """
import sys, time
from pathlib import Path
from event_log import EventLog
from edgectl.alarms import Health
from edgectl.image import attach
from edgectl.services.alarm_feed import AlarmFeed
feed = AlarmFeed("fake", Path(sys.argv[1]), EventLog())
feed.attach(attach("fake"))
while True:
    feed.pump(Health())
"""


def test_sigkill_at_any_instant_loses_no_alarm_and_counts_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(root / "tests"))
    plant = Plant(segment=create_segment("fake", alarm_directory(), 12, 100_000_000))
    dice = random.Random(3)
    plant.run(400)
    trips, kills = 0, 0
    child = subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)])

    def seen() -> int:
        try:
            with AlarmStore.reader("fake", tmp_path) as store:
                return len(store.annunciations(0))
        except AlarmError:  # it is just being made
            return 0

    try:
        for scene in range(600):
            plant.set("IL-IMPORT", TRIPPED if scene % 2 else CLEAR)
            trips += scene % 2
            plant.run(10)
            if scene % 100 == 99 and kills < 5:
                # Somewhere in the middle of its work, and never at the same place.
                wanted = trips - dice.randrange(40)
                assert wait(lambda wanted=wanted: seen() >= wanted)
                child.kill()
                child.wait()
                kills += 1
                child = subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)])
    finally:
        child.kill()
        child.wait()
    rig = Rig(tmp_path, plant)
    while not rig.feed.pump(Health()):
        pass
    rig.feed.detach()
    assert kills == 5
    assert (trips, rig.state("IL-IMPORT").annunciations) == (300, 300)
    assert "alarms.gap_found" not in rig.log.names
    with AlarmStore.reader("fake", tmp_path) as store:
        told = [when_ns for when_ns, alarm_id in store.annunciations(0) if alarm_id == "IL-IMPORT"]
    assert len(told) == len(set(told)) == 300
    plant.segment.close()


def test_what_the_ring_lost_is_an_alarm_of_its_own(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Plant(slots=100))
    rig.run(1.0)
    rig.plant.run(500)
    rig.feed.pump(Health())
    assert "SYS.GAP" in rig.asking()
    (lost,) = [fields for name, fields in rig.log.events if name == "alarms.gap_found"]
    assert lost["scans_lost"] == 500 - 99


def test_a_shelf_outlives_the_services_and_the_controller_and_expires_in_their_absence(
    rig: Rig,
) -> None:
    rig.plant.set("IL-IMPORT", TRIPPED)
    rig.run(0.1)
    assert rig.feed.ask(command("IL-IMPORT", Action.SHELVE, minutes=10)) == ""
    rig.killed()
    rig.run(300.0, step=500)
    assert rig.shown("IL-IMPORT") is State.SHELVED
    rig.feed.detach()
    rig.late_ns = 299 * SECOND_NS
    rig.feed.idle()
    assert rig.shown("IL-IMPORT") is State.SHELVED, "no controller is read, and time goes on"
    rig.late_ns = 302 * SECOND_NS
    rig.feed.idle()
    assert rig.shown("IL-IMPORT") is State.UNACKNOWLEDGED
    assert rig.state("IL-IMPORT").annunciations == 2


def test_a_wall_clock_set_back_between_two_runs_freezes_no_shelf(rig: Rig) -> None:
    rig.run(300.0, step=500)
    rig.plant.set("IL-IMPORT", TRIPPED)
    rig.run(0.1)
    assert rig.feed.ask(command("IL-IMPORT", Action.SHELVE, minutes=1)) == ""
    rig.feed.detach()
    before_ns = rig.book.now_ns
    rig.plant = Plant()
    assert rig.plant.utc_ns < before_ns - 300 * SECOND_NS, "this run's UTC is earlier"
    rig.plant.set("IL-IMPORT", TRIPPED)
    rig.killed()
    rig.run(59.0, step=10)
    assert rig.shown("IL-IMPORT") is State.SHELVED
    rig.run(2.0)
    assert rig.shown("IL-IMPORT") is State.UNACKNOWLEDGED


def test_an_alarm_that_the_site_no_longer_has_goes_once_it_is_acknowledged(rig: Rig) -> None:
    rig.plant.set("IL-TEMP", TRIPPED)
    rig.run(0.1)
    rig.feed.detach()
    old = rig.plant
    site = {**dict(rig.reader().directory)}
    site["interlocks"] = [row for row in site["interlocks"] if row["id"] != "IL-TEMP"]
    rig.plant = Plant(site=site)
    rig.plant.interlocks, rig.plant.interlock_flags = [CLEAR] * 4, [0] * 4
    rig.feed.attach(rig.reader())
    rig.run(0.1)
    assert rig.shown("IL-TEMP") is State.RETURNED
    assert "IL-TEMP.BYPASS" not in rig.book.states
    rig.feed.ask(command("IL-TEMP"))
    rig.killed()
    rig.run(0.1)
    assert "IL-TEMP" not in rig.book.states
    assert ("alarm.retired", {"alarm": "IL-TEMP", "before": "normal"}) in rig.log.events
    assert old.seq > 0


def test_a_request_is_answered_by_running_services_and_survives_their_death(rig: Rig) -> None:
    rig.plant.set("IL-IMPORT", TRIPPED)
    rig.run(0.1)
    with AlarmStore.reader("fake", rig.directory) as reader:
        first = reader.ask(command("IL-IMPORT"), 1)
        assert reader.answer(first) is None
        rig.killed()
        rig.run(0.1)
        assert reader.answer(first) == ""
        assert rig.shown("IL-IMPORT") is State.ACKNOWLEDGED
        second = reader.ask(command("IL-IMPROT"), 2)
        rig.run(0.1)
        answer = reader.answer(second) or ""
        assert answer.startswith("no alarm is named 'IL-IMPROT'; did you mean IL-IMPORT, ")


def test_a_row_of_requests_that_is_nonsense_is_refused_and_ends_nobody(rig: Rig) -> None:
    with AlarmStore.reader("fake", rig.directory) as reader:
        reader._file.execute("INSERT INTO command (asked, asked_utc_ns) VALUES ('{}', 0)")
        good = reader.ask(command("IL-SOC"), 1)
        rig.run(0.1)
        assert reader.answer(good - 1) == "it is no request of this edgectl"
        assert "nothing to acknowledge" in str(reader.answer(good))


def test_without_services_a_request_is_carried_out_at_once(rig: Rig) -> None:
    rig.plant.set("IL-IMPORT", TRIPPED)
    rig.run(0.1)
    rig.feed.detach()
    rig.feed.close()
    assert request("fake", rig.directory, command("IL-IMPORT"), 0.0) == ""
    assert "nothing to acknowledge" in request("fake", rig.directory, command("IL-IMPORT"), 0.0)
    rig.feed = rig.started()
    rig.run(0.1)
    assert rig.shown("IL-IMPORT") is State.ACKNOWLEDGED
    assert rig.state("IL-IMPORT").acknowledged_by == "op"


def test_alarms_that_cannot_be_stored_are_taken_again_once_they_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgectl.services.alarm_feed.RETRY_S", 0.0)
    (tmp_path / "data").write_text("a file where the directory should be")
    rig = Rig(tmp_path / "data")
    rig.settle()
    rig.plant.set("IL-IMPORT", TRIPPED)
    rig.run(1.0)
    rig.plant.set("IL-IMPORT", CLEAR)
    rig.run(1.0)
    assert rig.log.names == ["alarms.write_failed"]
    (tmp_path / "data").unlink()
    rig.run(0.1)
    assert rig.log.names.count("alarms.write_restored") == 1
    assert rig.shown("IL-IMPORT") is State.RETURNED


def test_a_disk_that_fails_in_between_costs_nothing(rig: Rig) -> None:
    store = rig.feed._store
    assert store is not None
    store._file.close()
    rig.plant.set("IL-IMPORT", TRIPPED)
    rig.run(0.1)
    assert rig.log.names == ["alarms.write_failed"]
    rig.run(2.0)
    assert sorted(rig.log.names[1:]) == ["alarm.annunciated", "alarms.write_restored"]
    assert rig.state("IL-IMPORT").annunciations == 1
