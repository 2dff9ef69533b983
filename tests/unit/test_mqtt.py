"""MQTT: what a stranger's client sees, with real brokers of both protocols."""

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from event_log import EventLog
from fake_controller import UTC_NS, FakeController, directory
from frame_tap import tcp_tap
from free_ports import free_ports
from mqtt_stranger import PATIENCE_S, HungNetwork, Stranger, broker_of, wait
from paho.mqtt.client import ConnectFlags

from edgectl.errors import BrokerError
from edgectl.image import private_segment
from edgectl.mqtt import Broker, FastEncoder, Publisher, StateEncoder, Topics, birth, start_broker
from edgectl.mqtt.broker import find_mosquitto
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
    with broker_of(request.param) as started:
        yield started


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that knows MQTT 5 is never taken for one that does not because it is slow."""
    found = request.node.callspec.params.get("broker") if hasattr(request.node, "callspec") else ""
    if found != "amqtt":
        monkeypatch.setattr("edgectl.mqtt.publisher.CONNACK_S", PATIENCE_S)


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
        assert wait(lambda: stranger.online() is True)
    assert wait(lambda: stranger.online() is False), "a clean stop says so"
    fell_back = ["mqtt.fell_back"] if broker.protocol == "3.1.1" else []
    assert log.names == ["mqtt.connected", *fell_back], "its thread has ended: all is said"


def test_the_state_is_retained_for_whoever_comes_later(broker: Broker) -> None:
    _, reader = snapshots()
    encoder = StateEncoder(reader.directory, "edge-1")
    with connected(broker.port) as publisher:
        assert publisher.publish_state(encoder.encode(reader.snapshot()))
    # Our goodbye was acknowledged after it, so the broker holds it before anyone comes.
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
        assert wait(lambda: stranger.of("event") and len(stranger.of("fast")) >= 20)
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
        assert wait(lambda: stranger.online() is True)
    finally:
        child.kill()
        child.wait()
    assert wait(lambda: stranger.online() is False)


def test_a_broker_that_is_away_is_said_once_and_found_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_mosquitto()
    monkeypatch.setattr("edgectl.mqtt.publisher.RETRY_MAX_S", 1)
    (port,), log = free_ports(1), EventLog()
    publisher = Publisher(TOPICS, "127.0.0.1", port, log)
    publisher.start()
    try:
        assert wait(lambda: "mqtt.unreachable" in log.names)
        assert not publisher.publish_fast(b"nobody hears this")
        assert publisher.publish_event({"event": "device.lost"})
        with broker_of("mosquitto") as broker:
            stranger = Stranger(broker.port)  # listens before the publisher's way is open
            with tcp_tap(broker.port, port):
                assert wait(lambda: publisher.connected)
                assert wait(lambda: stranger.of("event")), "events are kept"
            assert wait(lambda: "mqtt.disconnected" in log.names)
            stranger.close()
        assert not publisher.connected
    finally:
        publisher.stop()
    assert log.names == ["mqtt.unreachable", "mqtt.connected", "mqtt.disconnected"]


def test_a_broker_that_stands_still_costs_neither_time_nor_memory() -> None:
    need_mosquitto()
    with broker_of("mosquitto") as broker, connected(broker.port) as publisher:
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            taken = sum(publisher.publish_fast(bytes(50_000)) for _ in range(1_000))
            assert publisher.connected, "who waits for this broker waits until it is given up"
            assert publisher.dropped == 1_000 - taken > 0
            assert len(publisher._queued) <= QUEUE_MAX
            publisher.poll()
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        assert wait(lambda: not publisher._queued), "what was queued goes out"


def test_a_broker_that_refuses_us_is_said_once(tmp_path: Path) -> None:
    need_mosquitto()
    (port,), log = free_ports(1), EventLog()
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


def test_stopping_while_a_connection_hangs_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgectl.mqtt.publisher.STOP_S", 0.01)
    network = HungNetwork(monkeypatch)
    publisher = Publisher(TOPICS, "127.0.0.1", 1, EventLog())
    publisher.start()
    assert wait(network.tried.is_set)
    publisher.stop()
    publisher.stop()
    assert not network.came_back.is_set()
    network.release()


def test_it_listens_before_anyone_can_see_that_it_is_there() -> None:
    """Whoever answers its first retained message is heard."""
    publisher = Publisher(TOPICS, "127.0.0.1", 1, EventLog())
    publisher.listen("a/command")
    publisher.on_counter(lambda _topic, _payload: None)
    told: list[str] = []
    client: Any = SimpleNamespace(
        subscribe=lambda topic, qos: told.append(f"{topic} {publisher.connected}"),
        publish=lambda topic, *_, **__: told.append(topic),
    )
    reason: Any = SimpleNamespace(is_failure=False)
    publisher._on_connect(client, None, ConnectFlags(False), reason, None)
    assert told == ["a/command False", f"{TOPICS.counters} False", TOPICS.status]
    assert publisher.connected


def test_a_port_that_is_taken_is_named() -> None:
    need_mosquitto()
    with (
        broker_of("mosquitto") as first,
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
