"""MQTT: what a stranger's client sees, with real brokers of both protocols."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
from fake_controller import FakeController, directory
from paho.mqtt import client as paho

from edgectl.errors import BrokerError
from edgectl.image import private_segment
from edgectl.mqtt import Broker, FastEncoder, Publisher, StateEncoder, Topics, start_broker
from edgectl.mqtt.broker import find_mosquitto, free_port
from edgectl.mqtt.publisher import QUEUE_MAX

TOPICS = Topics("fake", "edge-1")


class Log:
    """Names of the events a publisher emitted."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda name, **fields: self.names.append(name)


def wait(condition: Callable[[], Any], seconds: float = 8.0) -> bool:
    """Poll a condition of another thread or process."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Stranger:
    """An independent client, MQTT 3.1.1, subscribed to everything of edgectl."""

    def __init__(self, port: int) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self.ready = False
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTProtocolVersion.MQTTv311
        )
        self.client.on_message = lambda _c, _u, message: self.messages.append(message)
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe("edgectl/#", qos=1)
        assert wait(lambda: self.ready)

    def last(self, topic: str) -> paho.MQTTMessage | None:
        found = [message for message in self.messages if message.topic == topic]
        return found[-1] if found else None

    def online(self) -> bool | None:
        status = self.last(TOPICS.status)
        return None if status is None else bool(json.loads(status.payload)["online"])

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


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
    publisher = Publisher(TOPICS, "127.0.0.1", port, log or Log())
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
    fake = FakeController(private_segment(directory(), 64), 1_700_000_000_000_000_000)
    fake.scan()
    return fake, fake.segment.reader()


def test_each_broker_is_spoken_to_in_the_protocol_it_knows(
    broker: Broker, stranger: Stranger
) -> None:
    log = Log()
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
        assert wait(lambda: late.last(TOPICS.state) is not None)
        message = late.last(TOPICS.state)
        late.close()
    assert message is not None
    assert message.retain
    assert json.loads(message.payload)["power"]["grid_w"] == 70e6


def test_fast_and_event_arrive_and_are_not_retained(broker: Broker, stranger: Stranger) -> None:
    fake, reader = snapshots()
    encoder = FastEncoder(reader.directory)
    with connected(broker.port) as publisher:
        for _ in range(20):
            fake.scan()
            record = reader.journal(fake.seq - 1).records[0]
            publisher.publish_fast(encoder.encode(record, reader.snapshot()["samples"]))
        publisher.publish_event({"event": "interlock.tripped", "interlock": "IL-01"})
        assert wait(lambda: stranger.last(TOPICS.event) is not None)
    fast = [m for m in stranger.messages if m.topic == TOPICS.fast]
    assert [msgpack.unpackb(m.payload)["seq"] for m in fast] == list(range(1, 21))
    if broker.kind == "mosquitto":  # amqtt hands on with the subscriber's QoS
        assert fast[0].qos == 0
    event = stranger.last(TOPICS.event)
    assert event is not None
    assert (event.qos, json.loads(event.payload)["interlock"]) == (1, "IL-01")
    late = Stranger(broker.port)
    assert wait(lambda: late.last(TOPICS.status) is not None)
    late.close()
    assert {m.topic for m in late.messages} <= {TOPICS.status, TOPICS.state}


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
    port, log = free_port(), Log()
    publisher = Publisher(TOPICS, "127.0.0.1", port, log)
    publisher.start()
    try:
        assert wait(lambda: "mqtt.unreachable" in log.names)
        assert not publisher.publish_fast(b"nobody hears this")
        assert publisher.publish_event({"event": "device.lost"})
        with start_broker(port, "mosquitto"):
            stranger = Stranger(port)
            assert wait(lambda: publisher.connected)
            assert wait(lambda: stranger.last(TOPICS.event) is not None), "events are kept"
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


def test_stopping_without_a_broker_does_not_wait() -> None:
    publisher = Publisher(TOPICS, "127.0.0.1", free_port(), Log())
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
