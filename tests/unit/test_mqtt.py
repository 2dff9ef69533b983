"""MQTT: what a stranger's client sees, with real brokers of both protocols."""

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from event_log import EventLog
from fake_controller import UTC_NS, FakeController, directory
from mqtt_stranger import Stranger, wait

from edgectl.errors import BrokerError
from edgectl.image import private_segment
from edgectl.mqtt import Broker, FastEncoder, Publisher, StateEncoder, Topics, birth, start_broker
from edgectl.mqtt.broker import find_mosquitto, free_port
from edgectl.mqtt.publisher import QUEUE_MAX
from edgectl.profiles import load_profile
from edgectl.site_model import compile_tables, load_site

TOPICS = Topics("fake", "edge-1")


def need_mosquitto() -> None:
    if find_mosquitto() is None:
        pytest.skip("MQTT 5 NOT TESTED: mosquitto is not installed")


@pytest.fixture(scope="module", params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "mosquitto":
        need_mosquitto()
    with start_broker(kind=request.param) as started:
        yield started


@pytest.fixture
def stranger(broker: Broker) -> Iterator[Stranger]:
    made = Stranger(broker.port)
    yield made
    made.close()


@contextlib.contextmanager
def connected(port: int, log: Any = None) -> Iterator[Publisher]:
    publisher = Publisher(TOPICS, "127.0.0.1", port, log or EventLog())
    publisher.start()

    def there() -> bool:
        publisher.poll()
        return publisher.connected

    try:
        assert wait(there)
        yield publisher
    finally:
        publisher.stop()


def snapshots() -> tuple[FakeController, Any]:
    fake = FakeController(private_segment(directory(), 64), UTC_NS)
    fake.scan()
    return fake, fake.segment.reader()


def test_each_broker_is_spoken_to_in_the_protocol_it_knows(
    broker: Broker, stranger: Stranger
) -> None:
    log = EventLog()
    with connected(broker.port, log) as publisher:
        assert publisher.protocol == {"5": 5, "3.1.1": 4}[broker.protocol]
        assert ("mqtt.fell_back" in log.names) == (broker.protocol == "3.1.1")
        assert wait(lambda: stranger.online() is True)
    assert wait(lambda: stranger.online() is False), "a clean stop says so"


def test_the_state_is_retained_for_whoever_comes_later(broker: Broker) -> None:
    _, reader = snapshots()
    encoder = StateEncoder(reader.directory, "edge-1")
    with connected(broker.port) as publisher:
        assert publisher.publish_state(encoder.encode(reader.snapshot()))
        assert wait(lambda: publisher.published >= 2)
        late = Stranger(broker.port)
        assert wait(lambda: late.of("state"))
        message = late.of("state")[-1]
        late.close()
    assert message.retain
    assert json.loads(message.payload)["power"]["grid_w"] == 70e6


def test_the_birth_names_tables_and_profiles_for_whoever_comes_later(broker: Broker) -> None:
    directory = compile_tables(load_site("demo")).directory
    with connected(broker.port) as publisher:
        publisher.set_birth(birth(directory, "edge-1"))
        assert wait(lambda: publisher.published >= 2)
        late = Stranger(broker.port)
        assert wait(lambda: late.of("birth"))
        message = late.of("birth")[-1]
        late.close()
    said = json.loads(message.payload)
    assert message.retain
    assert said["tables_sha256"] == directory["tables_sha256"]
    profile = load_profile("meter/schneider-pm5560")
    assert said["devices"]["MTR-01"] == {
        "profile": profile.name, "profile_sha256": profile.sha256, "verified": "paper",
    }  # fmt: skip


def test_fast_and_event_arrive_and_are_not_retained(broker: Broker, stranger: Stranger) -> None:
    fake, reader = snapshots()
    encoder = FastEncoder(reader.directory)
    with connected(broker.port) as publisher:
        for _ in range(20):
            fake.scan()
            record = reader.journal(fake.seq - 1).records[0]
            publisher.publish_fast(encoder.encode(record, reader.snapshot()["samples"]))
        publisher.publish_event({"event": "interlock.tripped", "interlock": "IL-01"})
        assert wait(lambda: stranger.of("event"))
    fast = stranger.of("fast")
    assert [msgpack.unpackb(m.payload)["seq"] for m in fast] == list(range(1, 21))
    if broker.kind == "mosquitto":  # amqtt hands on with the subscriber's QoS
        assert fast[0].qos == 0
    event = stranger.of("event")[-1]
    assert (event.qos, json.loads(event.payload)["interlock"]) == (1, "IL-01")
    late = Stranger(broker.port)
    assert wait(lambda: late.of("status"))
    late.close()
    assert {m.topic for m in late.messages} <= {TOPICS.status, TOPICS.state, TOPICS.birth}


PUBLISH_UNTIL_KILLED = """
import sys, time
from edgectl.mqtt import Publisher, Topics
publisher = Publisher(Topics("fake", "edge-1"), "127.0.0.1", int(sys.argv[1]))
publisher.start()
while True:
    publisher.poll()
    time.sleep(0.05)
"""


def test_the_last_will_says_offline_when_the_process_is_killed(
    broker: Broker, stranger: Stranger
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PUBLISH_UNTIL_KILLED, str(broker.port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait(lambda: stranger.online() is True, 15)
    finally:
        child.kill()
        child.wait()
    assert wait(lambda: stranger.online() is False)


def test_a_broker_that_is_away_is_said_once_and_found_when_it_comes() -> None:
    need_mosquitto()
    port, log = free_port(), EventLog()
    publisher = Publisher(TOPICS, "127.0.0.1", port, log)
    publisher.start()
    try:
        assert wait(lambda: "mqtt.unreachable" in log.names)
        assert not publisher.publish_fast(b"nobody hears this")
        assert publisher.publish_event({"event": "device.lost"})
        with start_broker(port, "mosquitto"):
            stranger = Stranger(port)
            assert wait(lambda: publisher.connected)
            assert wait(lambda: stranger.of("event")), "events are kept"
            stranger.close()
        assert wait(lambda: not publisher.connected)
    finally:
        publisher.stop()
    assert log.names.count("mqtt.unreachable") == 1
    assert log.names.count("mqtt.disconnected") == 1


def test_a_broker_that_stands_still_costs_neither_time_nor_memory() -> None:
    need_mosquitto()
    with start_broker(kind="mosquitto") as broker, connected(broker.port) as publisher:
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            taken = sum(publisher.publish_fast(bytes(50_000)) for _ in range(1_000))
            assert time.monotonic() - start < 2.0
            assert publisher.dropped == 1_000 - taken > 0
            assert len(publisher._queued) <= QUEUE_MAX
            publisher.poll()
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        assert wait(lambda: not publisher._queued), "what was queued goes out"


def test_a_broker_that_refuses_us_is_said_once(tmp_path: Path) -> None:
    need_mosquitto()
    port, log = free_port(), EventLog()
    (tmp_path / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\n")
    broker = subprocess.Popen(
        [str(find_mosquitto()), "-c", str(tmp_path / "m.conf")], stderr=subprocess.DEVNULL
    )
    publisher = Publisher(TOPICS, "127.0.0.1", port, log)
    try:
        assert wait(lambda: listens(port))
        publisher.start()
        assert wait(lambda: "mqtt.refused" in log.names)
        assert not publisher.connected
    finally:
        publisher.stop()
        broker.kill()
        broker.wait()
    assert log.names == ["mqtt.refused"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("closes", [True, False])
def test_a_broker_that_cannot_read_mqtt_5_is_tried_in_the_other_protocol(
    closes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that closes at once, and one that never says a word."""
    monkeypatch.setattr("edgectl.mqtt.publisher.CONNACK_S", 0.3)
    monkeypatch.setattr("edgectl.mqtt.publisher.CLOSED_BEFORE_FALLBACK", 1)
    publisher = Publisher(TOPICS, "127.0.0.1", 0, EventLog())
    with socket.create_server(("127.0.0.1", 0)) as server:
        publisher.port = server.getsockname()[1]
        publisher.start()
        connection, _ = server.accept()
        if closes:
            connection.close()

        def changed() -> bool:
            publisher.poll()
            return publisher.protocol == 4

        assert wait(changed)
        connection.close()
        publisher.stop()


def test_stopping_without_a_broker_does_not_wait() -> None:
    publisher = Publisher(TOPICS, "127.0.0.1", free_port(), EventLog())
    publisher.start()
    start = time.monotonic()
    publisher.stop()
    publisher.stop()
    assert time.monotonic() - start < 4.0


def test_a_port_that_is_taken_is_named() -> None:
    need_mosquitto()
    with (
        start_broker(kind="mosquitto") as first,
        pytest.raises(BrokerError, match="listens there already"),
    ):
        start_broker(first.port, "mosquitto")


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "$SYS", "a b"])
def test_a_name_that_would_bend_the_topic_tree_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a level"):
        Topics(name, "edge-1")


def test_state_has_every_quantity_with_its_quality_and_the_scans_own_time() -> None:
    fake, reader = snapshots()
    fake.run(9)
    state = StateEncoder(reader.directory, "edge-1").state(reader.snapshot())
    assert state["time"] == "2023-11-14T22:13:20.900Z"
    assert state["scan"] == 10
    assert state["loads"]["IT-A"] == {"power_w": 1_000_001.0, "quality": "good"}
    assert state["batteries"]["BESS-01"]["soc_ratio"] == 0.5
    assert state["carbon"] == {"grid_g_per_kwh": 400.002, "default_used": False}
    assert state["devices"]["GRID-01"]["state"] == "identified"
    assert [row["id"] for row in state["interlocks"]["tripped"]] == ["IL-02"]
    assert state["interlocks"]["tripped"][0]["status"] == "tripped"
    assert state["points"]["BMS-01.soc"]["quality"] == "good"
    assert state["health"]["rt_grade"] == "other"
    assert "pv>IT-A" not in state["totals"], "paths that never carried anything are left out"
    assert state["totals"]["grid>IT-A"]["energy_j"] > 0


def test_state_is_json_whatever_the_plant_sends() -> None:
    fake, reader = snapshots()
    fake.image["record"]["pue"] = math.nan
    fake.image["record"]["grid_w"] = math.inf
    fake.image["samples"]["value"][0, 0] = -math.inf
    fake.image["samples"]["quality"][0, 0] = 77
    fake.image["samples"]["source_ns"][0, 1] = 0
    fake.image["storages"]["row"] = 10_000
    state = json.loads(StateEncoder(reader.directory, "edge-1").encode(reader.snapshot()))
    assert state["pue"] is None
    assert state["power"]["grid_w"] is None
    assert state["points"]["GRID-01.active_power"] | {"age_ms": 0} == {
        "value": None, "unit": "W", "quality": "77", "reason": "none", "age_ms": 0,
    }  # fmt: skip
    assert state["points"]["MTR-01.active_power"]["age_ms"] is None
    assert state["batteries"]["BESS-01"]["interlock"] is None


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [("refused", 1, "refused"), ("connected", 0, "lost"), ("good_ns", 0, "never"),
     ("good_ns", 1, "lost"), ("identified", 0, "connected")],
)  # fmt: skip
def test_a_devices_state_is_one_word(field: str, value: int, word: str) -> None:
    fake, reader = snapshots()
    fake.image["links"][field] = value
    state = StateEncoder(reader.directory, "edge-1").state(reader.snapshot())
    assert state["devices"]["PV-01"]["state"] == word


def test_fast_carries_all_points_first_and_then_what_changed() -> None:
    fake, reader = snapshots()
    encoder = FastEncoder(reader.directory)
    sizes = []
    for _ in range(4):
        record = reader.journal(fake.seq - 1).records[0]
        message = msgpack.unpackb(encoder.encode(record, reader.snapshot()["samples"]))
        sizes.append(len(message["points"]))
        fake.scan()
    assert sizes == [6, 0, 6, 0], "the fake's words change every second scan"
    encoder.forget()
    record = reader.journal(fake.seq - 1).records[0]
    message = msgpack.unpackb(encoder.encode(record, reader.snapshot()["samples"]))
    assert message["points"]["GRID-01.active_power"] == [1e6, 2, 0, 1.0]
    assert message["batteries"]["BESS-01"] == [-1e6, 0.5, 0.0]


def test_fast_gives_no_value_to_words_that_a_newer_scan_has_superseded() -> None:
    fake, reader = snapshots()
    encoder = FastEncoder(reader.directory)
    old = reader.journal(0).records[0]
    old["points"]["age_us"] = 2**32 - 1
    fake.run(5)
    message = msgpack.unpackb(encoder.encode(old, reader.snapshot()["samples"]))
    assert message["points"]["GRID-01.active_power"] == [None, 2, 0, None]
