"""The services: kill them, starve them, restart what they read; the ledger stays whole."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_controller import FakeController, directory, flow_cells
from typer.testing import CliRunner

import edgectl.cli.services as services_verb
from edgectl.errors import DataError
from edgectl.events import EVENTS
from edgectl.image import Segment, attach, create_segment
from edgectl.ledger import Kind, Ledger
from edgectl.mqtt.broker import free_port
from edgectl.services import CarbonPoster, FileFeed, Services, Settings, Supervisor
from edgectl.services.watch import Watcher, as_message

UTC_NS = 1_700_000_000_000_000_000
FAKE = Path(__file__).parent.parent / "fake_controller.py"


class Log:
    """Keeps events; refuses what is not declared, as emit does."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda name, **fields: self.events.append((name, fields))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]


@pytest.fixture(autouse=True)
def shm_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has its own segments."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    return tmp_path


def controller(utc_ns: int = UTC_NS) -> FakeController:
    """A controller in this process, in simulated time."""
    return FakeController(create_segment("fake", directory(), 1, 100_000_000), utc_ns)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(Settings("fake", tmp_path / "data", mqtt_port=0), Log())
    yield made
    made.close()


def log_of(services: Services) -> Log:
    log = services._log
    assert isinstance(log, Log)
    return log


def drain(services: Services) -> None:
    """Tick until nothing is waiting."""
    while services.tick():
        pass


def covered(where: Path) -> dict[int, list[int]]:
    """Journal numbers of every run, as the ledger covers them."""
    found: dict[int, list[int]] = {}
    with Ledger("fake", where, read_only=True) as ledger:
        for row in ledger.rows(Kind.SECOND):
            found.setdefault(row.boot_id, []).extend(range(row.first_seq, row.last_seq + 1))
    return found


def test_services_wait_for_a_controller_and_say_so_once(services: Services) -> None:
    for _ in range(5):
        services.tick()
    assert log_of(services).names == ["segment.awaited"]
    fake = controller()
    fake.run(25)
    drain(services)
    assert log_of(services).names[1:] == ["segment.attached", "ledger.opened"]
    fake.segment.close()


def test_a_run_that_ends_is_booked_to_its_last_scan_and_the_next_is_found(
    services: Services, tmp_path: Path
) -> None:
    boots = []
    for scans in (25, 13, 4):
        fake = controller(UTC_NS + len(boots) * 10**10)
        boots.append(int(fake.head["start_utc_ns"][0]))
        fake.run(scans)
        drain(services)
        fake.segment.close()
        services.tick()
        services.tick()
    assert covered(tmp_path / "data") == {
        boots[0]: list(range(25)),
        boots[1]: list(range(13)),
        boots[2]: list(range(4)),
    }
    with Ledger("fake", tmp_path / "data", read_only=True) as ledger:
        assert ledger.gaps() == []
    assert log_of(services).names.count("segment.lost") == 3


def test_a_run_that_ended_while_the_services_were_away_is_booked_too(
    services: Services, tmp_path: Path
) -> None:
    fake = controller()
    fake.run(25)
    fake.segment.close()
    drain(services)
    assert list(covered(tmp_path / "data").values()) == [list(range(25))]


def test_services_that_fell_behind_catch_up_in_bounded_steps(
    services: Services, tmp_path: Path
) -> None:
    segment = create_segment("fake", directory(), 15, 100_000_000)
    fake = FakeController(segment, UTC_NS)
    fake.run(8_000)
    assert services.tick(), "more is waiting after one step"
    drain(services)
    fake.segment.close()
    services.tick()
    assert list(covered(tmp_path / "data").values()) == [list(range(8_000))]


def test_what_the_ring_lost_is_said_and_booked(services: Services, tmp_path: Path) -> None:
    fake = controller()
    fake.run(1_000)
    drain(services)
    (gap,) = [fields for name, fields in log_of(services).events if name == "ledger.gap_found"]
    assert gap["scans_lost"] == 1_000 - 600
    with Ledger("fake", tmp_path / "data", read_only=True) as ledger:
        assert [each.scans for each in ledger.gaps()] == [400]
    fake.segment.close()


def test_a_ledger_that_fails_is_said_once_retried_and_misses_nothing(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgectl.services.ledger_feed.RETRY_S", 0.0)
    fake = controller()
    fake.run(15)
    (tmp_path / "data").write_text("a file where the directory should be")
    for _ in range(3):
        assert services.tick() is False
    assert log_of(services).names.count("ledger.write_failed") == 1
    (tmp_path / "data").unlink()
    fake.run(10)
    drain(services)
    assert log_of(services).names.count("ledger.write_restored") == 1
    fake.segment.close()
    services.tick()
    assert list(covered(tmp_path / "data").values()) == [list(range(25))]


def test_a_failing_ledger_does_not_keep_the_services_from_the_next_controller(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgectl.services.ledger_feed.RETRY_S", 0.0)
    monkeypatch.setattr("edgectl.services.loop.GIVE_UP_S", 0.0)
    (tmp_path / "data").write_text("in the way")
    first = controller()
    first.run(5)
    services.tick()
    first.segment.close()
    services.tick()
    assert "segment.lost" not in log_of(services).names, "there is no other controller yet"
    second = controller()
    services.tick()
    services.tick()
    assert log_of(services).names.count("segment.attached") == 2
    second.segment.close()


def test_a_broker_that_is_away_delays_no_record(tmp_path: Path) -> None:
    log = Log()
    services = Services(Settings("fake", tmp_path / "data", mqtt_port=free_port()), log)
    fake = controller()
    start = time.monotonic()
    for _ in range(20):
        fake.run(10)
        services.tick()
    assert time.monotonic() - start < 5.0
    fake.segment.close()
    services.tick()
    services.close()
    assert list(covered(tmp_path / "data").values()) == [list(range(200))]


def test_services_asked_to_stop_after_their_controller_book_its_last_scan(
    tmp_path: Path,
) -> None:
    stop = threading.Event()
    services = Services(Settings("fake", tmp_path / "data", mqtt_port=0), Log())
    fake = controller()
    fake.run(25)
    services.tick()
    fake.run(4)
    fake.segment.close()
    stop.set()
    services.run(stop)
    assert list(covered(tmp_path / "data").values()) == [list(range(29))]


def test_orphaned_services_finish_the_run_and_end(tmp_path: Path) -> None:
    log = Log()
    settings = Settings("fake", tmp_path / "data", mqtt_port=0, parent_pid=2**22 + 1)
    fake = controller()
    fake.run(25)
    fake.segment.close()
    Services(settings, log).run(threading.Event())
    assert log.names[-1] == "services.stopped"
    assert list(covered(tmp_path / "data").values()) == [list(range(25))]


SERVE = """
import sys, threading
from pathlib import Path
from edgectl.services import Services, Settings
Services(Settings("fake", Path(sys.argv[1]), mqtt_port=0)).run(threading.Event())
"""


def test_killing_the_services_in_real_time_loses_no_scan(tmp_path: Path) -> None:
    data = tmp_path / "data"
    dice = random.Random(5)
    fake = subprocess.Popen(
        [sys.executable, str(FAKE), "fake", "--period-ms", "10", "--minutes", "2"],
        stdout=subprocess.PIPE,
    )
    assert fake.stdout is not None
    assert fake.stdout.readline() == b"ready\n"
    supervisor = Supervisor(
        ["-c", SERVE, str(data)], Log(), tmp_path / "services.log", program=[sys.executable]
    )
    supervisor.start()
    try:
        for kill in range(3):
            end = time.monotonic() + dice.uniform(0.8, 1.6)
            while time.monotonic() < end or supervisor.pid is None:
                supervisor.poll()
                time.sleep(0.02)
            os.kill(supervisor.pid, signal.SIGKILL)
            while supervisor.restarts <= kill:
                supervisor.poll()
                time.sleep(0.02)
        fake.terminate()
        fake.wait(10)
        reader = attach("fake")
        written, boot = reader.journal_head, reader.boot_id
        reader.close()
        deadline = time.monotonic() + 20
        while len(covered_or_none(data).get(boot, [])) < written:
            supervisor.poll()
            time.sleep(0.1)
            assert time.monotonic() < deadline, (tmp_path / "services.log").read_text()[-2000:]
    finally:
        supervisor.stop()
        fake.kill()
        fake.wait()
        fake.stdout.close()
    assert covered(data) == {boot: list(range(written))}
    assert supervisor.restarts == 3
    with Ledger("fake", data, read_only=True) as ledger:
        assert ledger.gaps() == []
        cells = sum(int(flow_cells(seq, 5, 7)[0].sum()) for seq in range(written))
        assert sum(ledger.totals().energy_mj.values()) == cells


def covered_or_none(where: Path) -> dict[int, list[int]]:
    """As covered, before the first file is there too."""
    return covered(where) if list(where.glob("*.sqlite")) else {}


def scan_pair(changes: dict[str, Any]) -> tuple[Any, Watcher]:
    """Two scans of which the second differs as told, and a watcher."""
    fake = FakeController(create_segment("fake", directory(), 1, 100_000_000), UTC_NS)
    fake.run(2)
    reader = fake.segment.reader()
    records = reader.journal(0).records
    for name, value in changes.items():
        records["head"][name][1] = value
    fake.segment.close()
    return records, Watcher(reader.directory)


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
    fake = controller()
    fake.scan()
    reader = fake.segment.reader()
    watcher = Watcher(reader.directory)
    assert list(watcher.image(reader.snapshot())) == []
    fake.image[area][field] = 1
    ((name, fields), *others) = watcher.image(reader.snapshot())
    assert name == expected
    assert set(fields) <= set(EVENTS[name].fields)
    assert len(others) == (5 if area == "links" else 0), "six devices, or one count"
    fake.segment.close()


def test_a_device_that_answers_again_is_connected() -> None:
    fake = controller()
    fake.scan()
    reader = fake.segment.reader()
    watcher = Watcher(reader.directory)
    fake.image["links"]["connected"][0, 2] = 0
    list(watcher.image(reader.snapshot()))
    fake.image["links"]["connected"][0, 2] = 1
    ((name, fields),) = watcher.image(reader.snapshot())
    assert (name, fields["device"]) == ("device.connected", reader.directory["devices"][2]["id"])
    fake.segment.close()


class Clock:
    """Time that is told, not waited for."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def ended(supervisor: Supervisor) -> None:
    """Wait until the child is noticed to have ended."""
    while supervisor.pid is not None:
        supervisor.poll()


def test_a_child_that_ends_is_started_again_ever_later() -> None:
    clock, log = Clock(), Log()
    supervisor = Supervisor(["-c", ""], log, program=[sys.executable], clock=clock)
    supervisor.start()
    waits = []
    for restart in range(7):
        ended(supervisor)
        waits.append(log.events[-1][1]["restart_in_s"])
        supervisor.poll()
        assert supervisor.pid is None, "not before its time"
        clock.now_s += waits[-1]
        supervisor.poll()
        assert supervisor.restarts == restart + 1
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    clock.now_s += 60.0
    ended(supervisor)
    assert log.events[-1][1]["restart_in_s"] == 0.2, "it had been healthy"
    supervisor.stop()


def test_a_program_that_is_missing_is_retried_not_raised() -> None:
    clock, log = Clock(), Log()
    supervisor = Supervisor([], log, program=["/nowhere/edgectl"], clock=clock)
    supervisor.start()
    clock.now_s = 1.0
    supervisor.poll()
    assert log.names == ["services.exited", "services.exited"]
    supervisor.stop()


def test_a_child_that_ignores_the_request_to_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("edgectl.services.supervisor.STOP_S", 0.2)
    ready = tmp_path / "ready"
    program = (
        "import signal, sys, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    )
    supervisor = Supervisor(["-c", program, str(ready)], Log(), program=[sys.executable])
    supervisor.start()
    while not ready.exists():
        time.sleep(0.01)
    supervisor.stop()
    assert supervisor.pid is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "utc_ns,g_per_kwh\n1000,300\n2000,412.5\n"),
        ("a.json", '{"rows": [[2000, 412.5], [1000, 300]]}'),
    ],
)
def test_a_row_of_a_feed_holds_until_the_next(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    feed = FileFeed(path)
    assert [feed.at(utc) for utc in (999, 1000, 1999, 2000, 4000)] == [None, 300, 300, 412.5, 412.5]
    assert feed.at(4001) is None, "the last row does not hold for ever"


def test_a_feed_of_electricity_maps_gives_the_direct_column(tmp_path: Path) -> None:
    path = tmp_path / "ci.csv"
    path.write_text(
        "Datetime (UTC),Zone Id,Carbon Intensity gCO₂eq/kWh (direct),"
        "Carbon Intensity gCO₂eq/kWh (LCA)\n"
        "2023-11-14 22:00:00,US-TEX-ERCO,343.98,406.75\n"
        "2023-11-14 23:00:00,US-TEX-ERCO,,\n"
        "2023-11-15 00:00:00,US-TEX-ERCO,310.05,372.77\n"
    )
    feed = FileFeed(path)
    assert feed.at(UTC_NS) == 343.98
    assert feed.at(UTC_NS + 3600 * 10**9) == 343.98, "the empty hour is bridged"
    assert feed.at(UTC_NS + 2 * 3600 * 10**9) == 310.05


def test_the_shared_trace_can_be_read_as_it_is(shared_data: Path) -> None:
    feed = FileFeed(shared_data / "ci" / "US-TEX-ERCO_2021_hourly.csv")
    assert feed.at(1_609_459_200 * 10**9) == 343.98


@pytest.mark.parametrize(("name", "text"), [("a.json", '{"g_per_kwh": 412}'),
                                            ("a.toml", "g_per_kwh = 412.0")])  # fmt: skip
def test_a_constant_holds_always(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert FileFeed(tmp_path / name).at(UTC_NS) == 412.0


def test_a_rewritten_feed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"g_per_kwh": 412}')
    feed = FileFeed(path)
    path.write_text('{"g_per_kwh": 17.25}')
    assert feed.at(UTC_NS) == 17.25


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""),
        ("a.csv", "utc_ns,g_per_kwh\n"),
        ("a.csv", "time,value\n1,2\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1,nan\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1,-5\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1,9000\n"),
        ("a.csv", "Datetime (UTC),x\n2023-01-01 00:00:00,1\n"),
        ("a.json", "{"),
        ("a.json", "[]"),
        ("a.json", '{"rows": [[1]]}'),
        ("a.toml", "g_per_kwh ="),
        ("a.csv", None),
    ],
)
def test_a_feed_in_no_known_form_is_refused(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="no grid carbon intensity"):
        FileFeed(tmp_path / name)


def test_the_poster_posts_with_an_expiry_and_says_a_failure_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgectl.services.carbon_feed.POST_EVERY_S", 0.0)
    values: list[float | None] = [None, None, 412.5, None]
    log = Log()
    poster = CarbonPoster(SimpleNamespace(at=lambda _utc_ns: values.pop(0)), "fake", log, ttl_s=60)
    fake = controller()
    poster.poll()
    poster.poll()
    assert log.names == ["carbon.feed_failed"]
    poster.poll()
    mail = fake.segment.mailbox[0]
    assert (mail["kind"], mail["value"], poster.posted) == (4, 412.5, 1)
    left_ns = mail["expiry_ns"] - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert 0 < left_ns <= 60 * 10**9
    poster.poll()
    assert log.names == ["carbon.feed_failed"] * 2
    fake.segment.close()


def test_the_poster_outlives_a_controller_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgectl.services.carbon_feed.POST_EVERY_S", 0.0)
    log = Log()
    poster = CarbonPoster(SimpleNamespace(at=lambda _utc_ns: 400.0), "nowhere", log)
    poster.poll()
    assert log.names == ["carbon.feed_failed"]


def test_services_post_the_feed_to_the_controller_they_read(tmp_path: Path) -> None:
    (tmp_path / "feed.json").write_text('{"g_per_kwh": 233}')
    settings = Settings("fake", tmp_path / "data", mqtt_port=0, carbon_feed=tmp_path / "feed.json")
    services = Services(settings, Log())
    fake = controller()
    fake.run(3)
    services.tick()
    assert fake.segment.mailbox[0]["value"] == 233
    services.close()
    fake.segment.close()


def test_the_verb_serves_until_sigterm_and_exits_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services_verb, "load_site", lambda _site: SimpleNamespace(id="fake"))
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    app = services_verb.typer.Typer()
    app.command()(services_verb.services)
    timer = threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGTERM))
    fake = controller()
    fake.run(25)
    try:
        timer.start()
        result = CliRunner().invoke(
            app, ["fake.toml", "--data-dir", str(tmp_path / "data"), "--mqtt-port", "0"]
        )
    finally:
        timer.join()
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
        services_verb.structlog.reset_defaults()
    assert result.exit_code == 0
    assert np.array_equal(list(covered(tmp_path / "data").values()), [range(20)])
    fake.segment.close()
    shutil.rmtree(tmp_path / "data")


def test_a_segment_that_is_replaced_while_read_is_read_to_its_end_first(
    services: Services, tmp_path: Path
) -> None:
    first: Segment = create_segment("fake", directory(), 1, 100_000_000)
    fake = FakeController(first, UTC_NS)
    fake.run(15)
    drain(services)
    fake.run(10)
    boot = int(fake.head["start_utc_ns"][0])
    fake.head["controller_pid"] = 2**22 + 1
    second = controller(UTC_NS + 10**10)
    second.run(12)
    for _ in range(4):
        drain(services)
    found = covered(tmp_path / "data")
    assert found[boot] == list(range(25))
    assert found[int(second.head["start_utc_ns"][0])] == list(range(10))
    second.segment.close()
