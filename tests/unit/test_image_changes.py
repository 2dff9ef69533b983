"""Changes from scan to scan become events that are declared, and nothing else does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_controller import FakeController, directory, start_controller

from edgectl._kernel.interlock import RowFlag
from edgectl._kernel.quality import Quality, Reason
from edgectl.events import EVENTS
from edgectl.image import create_segment
from edgectl.image.changes import Changes, Event, Notes
from edgectl.services.mqtt_feed import as_message

ROW_START, ROW_LOCKED = int(RowFlag.ROW_START), int(RowFlag.ROW_LOCKED)
BAD = int(Quality.QUALITY_BAD)
FROZEN, SLEW = int(Reason.REASON_FROZEN), int(Reason.REASON_SLEW)
OUT_OF_RANGE, STALE = int(Reason.REASON_OUT_OF_RANGE), int(Reason.REASON_STALE)


@pytest.fixture(autouse=True)
def shm_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own segments."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))


def scan_pair(changes: dict[str, Any]) -> tuple[Any, Changes]:
    """Two scans of which the second differs as told, and a watcher."""
    fake = start_controller()
    fake.run(2)
    reader = fake.segment.reader()
    records = reader.journal(0).records
    for name, value in changes.items():
        records["head"][name][1] = value
    fake.segment.close()
    return records, Changes(reader.directory)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"overruns": 3}, ["scan.overrun"]),
        ({"armed": 0}, ["controller.disarmed"]),
        ({"safe_state": 1}, ["controller.safe_state_entered"]),
        ({"carbon_default": 1}, ["carbon.default_used"]),
        ({"balance_error_mj": -1}, ["balance.broken"]),
        ({"shed_request_w": 2e6}, ["dispatch.shed_requested"]),
    ],
)
def test_a_change_from_scan_to_scan_is_a_declared_event(
    changes: dict[str, Any], expected: list[str]
) -> None:
    records, watcher = scan_pair(changes)
    events = list(watcher.scans(records))
    assert [name for name, _ in events] == expected
    for event in events:
        name, fields = event
        assert set(fields) <= set(EVENTS[name].fields)
        assert json.dumps(as_message(event, records[1]["head"]))


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [(0, 2, "interlock.tripped"), (1, 2, "interlock.tripped"), (2, 3, "interlock.latched"),
     (3, 0, "interlock.cleared"), (2, 0, "interlock.cleared"), (3, 2, "interlock.tripped"),
     (0, 1, None), (1, 0, None)],
)  # fmt: skip
def test_an_interlocks_steps_are_told_apart(then: int, now: int, expected: str | None) -> None:
    records, watcher = scan_pair({})
    records["interlocks"][0, 4], records["interlocks"][1, 4] = then, now
    events = list(watcher.scans(records))
    assert [name for name, _ in events] == ([expected] if expected else [])
    for name, fields in events:
        assert fields["interlock"] == "IL-04"
        assert set(fields) <= set(EVENTS[name].fields)


def watched_row(
    then: int, now: int, flags: int = 0, notes: Notes | None = None, **spec: Any
) -> list[Event]:
    """What is told of row 4 when its status changes, by a directory in which it is as given."""
    records, _ = scan_pair({})
    records["interlocks"][:2, 4] = then, now
    records["interlock_flags"][0, 4] = flags
    named = directory()
    named["interlocks"][4] |= spec
    return list(Changes(named, notes=notes).scans(records))


def note_of(action: str, row: str) -> dict[str, Any]:
    return {"by": "J. Doe", "reason": "", "of": (action, row)}


@pytest.mark.parametrize("now", [0, 1], ids=["clear", "its cause is back and its on-delay runs"])
def test_a_reset_is_told_with_who_asked_for_it(now: int) -> None:
    asked: list[tuple[str, str]] = []

    def notes(action: str, row: str) -> dict[str, Any]:
        asked.append((action, row))
        return note_of(action, row)

    ((name, fields),) = watched_row(3, now, notes=notes, reset="operator")
    assert name == "interlock.reset"
    assert fields == {"interlock": "IL-04", "title": "Row 4", "scan": 2, "by": "J. Doe"}
    assert asked == [("reset", "IL-04")]


def test_a_reset_that_nobody_noted_names_nobody() -> None:
    ((name, fields),) = watched_row(3, 0, notes=lambda *_: {}, reset="operator")
    assert (name, "by" in fields) == ("interlock.reset", False)
    ((name, fields),) = watched_row(3, 0, reset="operator")
    assert (name, "by" in fields) == ("interlock.reset", False)


def test_a_local_row_is_reset_by_the_push_button_alone() -> None:
    ((name, fields),) = watched_row(3, 0, notes=note_of, reset="local")
    assert (name, fields["by"]) == ("interlock.reset", "the push-button at the cabinet")


@pytest.mark.parametrize("reset", ["auto", "restart"])
def test_a_row_that_lets_go_by_itself_is_no_reset(reset: str) -> None:
    ((name, _),) = watched_row(3, 0, ROW_START, note_of, reset=reset)
    assert name == "interlock.cleared"


def test_an_auto_row_that_was_locked_out_is_reset_by_a_person() -> None:
    ((name, fields),) = watched_row(3, 0, ROW_LOCKED, note_of, reset="auto")
    assert (name, fields["by"]) == ("interlock.reset", "J. Doe")


def test_a_lock_out_is_told_once_beside_the_trip_that_made_it() -> None:
    fake = start_controller()
    fake.run(4)
    records = fake.segment.reader().journal(0).records
    records["interlocks"][1:, 4] = 2
    records["interlock_flags"][1:3, 4] = ROW_LOCKED
    named = directory()
    named["interlocks"][4] |= {"lockout_trips": 3, "causes": [{"tag": "MTR-01.active_power"}]}
    (tripped, tripped_fields), (name, fields) = Changes(named).scans(records)
    fake.segment.close()
    assert (tripped, tripped_fields["tags"]) == ("interlock.tripped", ["MTR-01.active_power"])
    assert name == "interlock.locked_out"
    assert fields == {"interlock": "IL-04", "title": "Row 4", "scan": 2, "trips": 3}


def test_a_safe_state_names_the_rows_that_ask_for_it() -> None:
    records, _ = scan_pair({"safe_state": 1})
    records["interlocks"][:] = [2, 2, 3, 1, 0]
    named = directory()
    for at in (1, 2, 3):
        named["interlocks"][at] |= {"effects": [{"action": "alarm"}, {"action": "safe_state"}]}
    ((name, fields),) = Changes(named).scans(records)
    assert (name, fields["rows"]) == ("controller.safe_state_entered", ["IL-01", "IL-02"])


def test_shedding_is_told_when_it_begins_and_when_it_ends() -> None:
    fake = start_controller()
    fake.run(6)
    records = fake.segment.reader().journal(0).records
    records["head"]["shed_request_w"][1:5] = [2e6, 3e6, 1e6, 0.0]
    records["head"]["shed_tier"][1:4] = 2
    told = list(Changes(directory()).scans(records))
    fake.segment.close()
    assert told == [
        (
            "dispatch.shed_requested",
            {"scan": 2, "shed_w": 2e6, "tier": 2, "load_w": 72e6, "import_cap_w": 78e6},
        ),
        ("dispatch.shed_ended", {"scan": 5}),
    ]


@pytest.mark.parametrize(
    ("area", "field", "expected"),
    [
        ("links", "refused", "device.identity_refused"),
        ("links", "good_ns", "device.lost"),
        ("links", "write_failures", "device.write_failed"),
        ("head", "mails_rejected", "request.rejected"),
        ("head", "readback_mismatches", "readback.mismatched"),
    ],
)
def test_a_change_of_the_image_is_a_declared_event(area: str, field: str, expected: str) -> None:
    fake = start_controller()
    fake.scan()
    reader = fake.segment.reader()
    watcher = Changes(reader.directory)
    assert list(watcher.image(reader.snapshot())) == []
    fake.image[area][field] = 1
    ((name, fields), *others) = watcher.image(reader.snapshot())
    assert name == expected
    assert set(fields) <= set(EVENTS[name].fields)
    assert len(others) == (5 if area == "links" else 0), "six devices, or one count"
    fake.segment.close()


def test_a_device_that_answers_again_is_connected() -> None:
    fake = start_controller()
    fake.scan()
    reader = fake.segment.reader()
    watcher = Changes(reader.directory)
    fake.image["links"]["connected"][0, 2] = 0
    list(watcher.image(reader.snapshot()))
    fake.image["links"]["connected"][0, 2] = 1
    ((name, fields),) = watcher.image(reader.snapshot())
    assert (name, fields["device"]) == ("device.connected", reader.directory["devices"][2]["id"])
    fake.segment.close()


def test_a_turn_beyond_its_bound_is_told_once_a_link() -> None:
    fake = start_controller()
    fake.scan()
    reader = fake.segment.reader()
    bound_ns = reader.directory["devices"][2]["turn_bound_ns"]
    watcher = Changes(reader.directory)
    fake.image["links"]["poll_max_ns"][0, 2] = bound_ns
    assert list(watcher.image(reader.snapshot())) == list(watcher.image(reader.snapshot())) == []
    fake.image["links"]["poll_max_ns"][0, 2] = bound_ns + 1_000_000
    ((name, fields),) = watcher.image(reader.snapshot())
    assert name == "bus.turn_exceeded"
    assert fields == {
        "link": "127.0.0.1:1",
        "device": reader.directory["devices"][2]["id"],
        "scan": 1,
        "poll_ms": 185.0,
        "bound_ms": 184.0,
    }
    fake.image["links"]["poll_max_ns"] = bound_ns + 2_000_000
    assert list(watcher.image(reader.snapshot())) == [], "all six are behind one address"
    fake.segment.close()


def test_a_read_back_that_differs_names_its_battery_and_by_how_much() -> None:
    named = directory()
    for each in named["storages"]:
        each["readback_tolerance_w"] = 1e3
        named["points"].append(
            {"name": f"{each['id']}.readback_error", "unit": "W", "device": "", "journaled": False}
        )
    fake = FakeController(create_segment("fake", named, 1.0, 100_000_000), 0)
    fake.scan()
    reader = fake.segment.reader()
    watcher = Changes(reader.directory)
    list(watcher.image(reader.snapshot()))
    fake.image["head"]["readback_mismatches"] = 2
    fake.image["samples"]["value"][0, -2:] = 999.0, 4e5
    fake.image["storages"]["output_w"] = -2e6
    (event,) = watcher.image(reader.snapshot())
    assert event == (
        "readback.mismatched",
        {
            "scan": 1,
            "count": 2,
            "storage": "BESS-02",
            "output_w": -2e6,
            "readback_error_w": 4e5,
        },
    )
    assert list(watcher.image(reader.snapshot())) == []
    fake.segment.close()


class Points:
    """A site with two points on one device and one on another, looked at by a watcher."""

    def __init__(self) -> None:
        named = directory()
        named["points"][1]["device"] = "GRID-01"
        self.fake = FakeController(create_segment("fake", named, 1.0, 100_000_000), 0)
        self.fake.scan()
        self.reader = self.fake.segment.reader()
        self.watcher = Changes(self.reader.directory)
        self.now_ns = 0
        self.look()

    def look(self, after_s: float = 0.2) -> list[Event]:
        """What is told after so long; every device answered just now."""
        self.now_ns += round(after_s * 1e9)
        self.fake.image["record"]["time_ns"] = self.now_ns
        self.fake.image["links"]["good_ns"] = max(self.now_ns, 1)
        told = list(self.watcher.image(self.reader.snapshot()))
        for name, fields in told:
            assert set(fields) <= set(EVENTS[name].fields)
        return told

    def turn(self, point: int, reason: int, quality: int = BAD) -> None:
        self.fake.image["samples"]["quality"][0, point] = quality
        self.fake.image["samples"]["reason"][0, point] = reason

    def good(self, *points: int) -> None:
        for point in points:
            self.turn(point, 0, int(Quality.QUALITY_GOOD))


@pytest.fixture
def points() -> Iterator[Points]:
    made = Points()
    yield made
    made.fake.segment.close()


def test_points_that_turn_bad_are_one_event_a_device_and_reason(points: Points) -> None:
    points.turn(0, FROZEN)
    points.turn(1, FROZEN)
    points.turn(2, OUT_OF_RANGE)
    grid = {"device": "GRID-01", "scan": 1, "reason": "frozen", "points": 2}
    meter = {"device": "MTR-02", "scan": 1, "reason": "out_of_range", "points": 1}
    told = points.look()
    assert sorted(told, key=lambda event: str(event[1]["device"])) == [
        ("points.turned_bad", grid | {"point": "GRID-01.active_power"}),
        ("points.turned_bad", meter | {"point": "MTR-02.active_power"}),
    ]
    assert points.look() == []
    points.turn(1, OUT_OF_RANGE)
    ((_, fields),) = points.look()
    assert (fields["device"], fields["reason"]) == ("GRID-01", "out_of_range")


def test_a_point_that_flickers_is_told_once_until_it_was_good_for_a_minute(points: Points) -> None:
    told = []
    for _ in range(300):
        points.turn(0, OUT_OF_RANGE)
        told += points.look()
        points.good(0)
        told += points.look()
    assert [name for name, _ in told] == ["points.turned_bad"], "120 s of it"
    assert points.look(59.0) == []
    assert points.look(1.0) == [
        ("points.turned_good", {"device": "GRID-01", "scan": 1, "reason": "out_of_range"})
    ]
    points.turn(0, OUT_OF_RANGE)
    ((name, _),) = points.look()
    assert name == "points.turned_bad"


def test_points_of_a_device_that_says_nothing_are_told_by_the_device_alone(points: Points) -> None:
    points.turn(0, STALE)
    points.turn(2, SLEW, int(Quality.QUALITY_UNCERTAIN))
    points.turn(6, OUT_OF_RANGE)  # SITE.pue, of no device
    points.turn(3, int(Reason.REASON_CONFIGURATION))
    refused = [each["id"] for each in points.reader.directory["devices"]].index("PV-01")
    points.fake.image["links"]["refused"][0, refused] = 1
    assert [name for name, _ in points.look()] == ["device.identity_refused"]


def test_silence_does_not_make_a_frozen_point_good(points: Points) -> None:
    points.turn(0, FROZEN)
    points.look()
    points.turn(0, STALE)
    assert points.look(90.0) == []
    points.good(0)
    assert points.look(59.0) == []
    assert [name for name, _ in points.look(1.0)] == ["points.turned_good"]


def test_what_is_bad_when_the_watch_begins_is_what_is_compared_with(points: Points) -> None:
    points.turn(0, FROZEN)
    watcher = Changes(points.reader.directory)
    assert list(watcher.image(points.reader.snapshot())) == []
    assert list(watcher.image(points.reader.snapshot())) == []
