"""Changes from scan to scan become events that are declared, and nothing else does."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_controller import start_controller

from edgectl.events import EVENTS
from edgectl.image.changes import Changes
from edgectl.services.mqtt_feed import as_message


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


@pytest.mark.parametrize(
    ("area", "field", "expected"),
    [
        ("links", "refused", "device.identity_refused"),
        ("links", "good_ns", "device.lost"),
        ("links", "write_failures", "device.write_failed"),
        ("head", "mails_rejected", "request.rejected"),
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
