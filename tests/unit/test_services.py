"""The services: kill them, starve them, restart what they read; the ledger stays whole."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgpack
import numpy as np
import pytest
from event_log import EventLog
from fake_controller import UTC_NS, FakeController, directory, flow_cells, start_controller
from mqtt_stranger import HungNetwork, Stranger, broker_of, wait
from typer.testing import CliRunner

import edgectl.cli.services as services_verb
from edgectl.image import Segment, attach, create_segment
from edgectl.ledger import Kind, Ledger
from edgectl.mqtt.broker import find_mosquitto
from edgectl.services import Services, Settings, Supervisor

FAKE = Path(__file__).parent.parent / "fake_controller.py"


@pytest.fixture(autouse=True)
def shm_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own segments."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(Settings("fake", tmp_path / "data", mqtt_port=0), EventLog())
    yield made
    made.close()


def log_of(services: Services) -> EventLog:
    log = services._log
    assert isinstance(log, EventLog)
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
    fake = start_controller()
    fake.run(25)
    drain(services)
    assert log_of(services).names[1:] == [
        "segment.attached", "ledger.key_made", "ledger.opened", "ledger.head_signed"
    ]  # fmt: skip
    fake.segment.close()


def test_a_run_that_ends_is_booked_to_its_last_scan_and_the_next_is_found(
    services: Services, tmp_path: Path
) -> None:
    boots = []
    for scans in (25, 13, 4):
        fake = start_controller(UTC_NS + len(boots) * 10**10)
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
    assert log_of(services).names.count("segment.ended") == 3


def test_a_run_that_ended_while_the_services_were_away_is_booked_too(
    services: Services, tmp_path: Path
) -> None:
    fake = start_controller()
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
    fake = start_controller()
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
    fake = start_controller()
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


def test_a_failing_ledger_does_not_keep_the_services_from_the_next_start_controller(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgectl.services.ledger_feed.RETRY_S", 0.0)
    monkeypatch.setattr("edgectl.services.loop.GIVE_UP_S", 0.0)
    (tmp_path / "data").write_text("in the way")
    first = start_controller()
    first.run(5)
    services.tick()
    first.segment.close()
    services.tick()
    assert "segment.ended" not in log_of(services).names, "there is no other controller yet"
    second = start_controller()
    services.tick()
    services.tick()
    assert log_of(services).names.count("segment.attached") == 2
    second.segment.close()


def test_a_broker_whose_network_hangs_delays_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = HungNetwork(monkeypatch)
    services = Services(Settings("fake", tmp_path / "data", mqtt_port=1), EventLog())
    fake = start_controller()
    services.tick()
    assert wait(network.tried.is_set)
    for second in range(20):
        fake.run(10)
        services.tick()
        assert services._ledger.next_seq == 10 * (second + 1)
    assert not network.came_back.is_set(), "all this while nobody has waited for it"
    network.release()
    fake.segment.close()
    services.tick()
    services.close()
    assert list(covered(tmp_path / "data").values()) == [list(range(200))]


def test_services_asked_to_stop_after_their_controller_book_its_last_scan(
    tmp_path: Path,
) -> None:
    stop = threading.Event()
    services = Services(Settings("fake", tmp_path / "data", mqtt_port=0), EventLog())
    fake = start_controller()
    fake.run(25)
    services.tick()
    fake.run(4)
    fake.segment.close()
    stop.set()
    services.run(stop)
    assert list(covered(tmp_path / "data").values()) == [list(range(29))]


def test_orphaned_services_finish_the_run_and_end(tmp_path: Path) -> None:
    log = EventLog()
    settings = Settings("fake", tmp_path / "data", mqtt_port=0, parent_pid=2**22 + 1)
    fake = start_controller()
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


@pytest.mark.alone
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
        ["-c", SERVE, str(data)], EventLog(), tmp_path / "services.log", program=[sys.executable]
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


def test_the_verb_serves_until_sigterm_and_exits_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        services_verb,
        "load_site",
        lambda _site: SimpleNamespace(id="fake", carbon=SimpleNamespace(feed=None)),
    )
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    app = services_verb.typer.Typer()
    app.command()(services_verb.services)
    tick = Services.tick

    def asked_to_stop_once_it_has_read(services: Services) -> bool:
        busy = tick(services)
        if not busy:
            os.kill(os.getpid(), signal.SIGTERM)
        return busy

    monkeypatch.setattr(Services, "tick", asked_to_stop_once_it_has_read)
    fake = start_controller()
    fake.run(25)
    try:
        result = CliRunner().invoke(
            app, ["fake.toml", "--data-dir", str(tmp_path / "data"), "--mqtt-port", "0"]
        )
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
        services_verb.structlog.reset_defaults()
    assert result.exit_code == 0
    assert np.array_equal(list(covered(tmp_path / "data").values()), [range(20)])
    fake.segment.close()


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
    second = start_controller(UTC_NS + 10**10)
    second.run(12)
    for _ in range(4):
        drain(services)
    found = covered(tmp_path / "data")
    assert found[boot] == list(range(25))
    assert found[int(second.head["start_utc_ns"][0])] == list(range(10))
    second.segment.close()


def test_a_stranger_sees_every_scan_once_and_what_happened(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("MQTT 5 NOT TESTED: mosquitto is not installed")
    fake = start_controller()
    with broker_of("mosquitto") as broker:
        stranger = Stranger(broker.port)
        settings = Settings("fake", tmp_path / "data", mqtt_port=broker.port)
        services = Services(settings, EventLog())

        def told() -> bool:
            services.tick()
            return bool(stranger.status().get("controller"))

        assert wait(told)
        first = fake.seq
        for _ in range(30):
            fake.scan()
            services.tick()
        fake.interlocks[4] = 2
        fake.scan()
        services.tick()
        assert wait(lambda: stranger.of("event"))
        fake.segment.close()
        services.tick()
        services.tick()
        assert wait(lambda: stranger.status().get("controller") is False)
        services.close()
        assert wait(lambda: stranger.status().get("online") is False)
        stranger.close()
    seqs = [msgpack.unpackb(message.payload)["seq"] for message in stranger.of("fast")]
    assert seqs == list(range(first, first + 31))
    assert json.loads(stranger.of("event")[0].payload)["interlock"] == "IL-04"
    assert json.loads(stranger.of("state")[0].payload)["scan"] <= first + 31
