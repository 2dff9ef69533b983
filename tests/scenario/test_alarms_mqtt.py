"""Alarms as a stranger's MQTT client sees and answers them, with real brokers of both protocols."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alarm_rig import CLEAR, TRIPPED, Rig
from mqtt_stranger import Stranger, broker_of, wait

from edgectl.alarms import Health
from edgectl.alarms.machine import State
from edgectl.mqtt import Broker, Publisher, Topics
from edgectl.mqtt.broker import find_mosquitto
from edgectl.services.alarm_mqtt import PUBLISH_MAX, AlarmMqtt

TOPICS = Topics("fake", "edge-1")


@pytest.fixture(params=["mosquitto", "amqtt"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "mosquitto" and find_mosquitto() is None:
        pytest.skip("MQTT 5 NOT TESTED: mosquitto is not installed")
    with broker_of(request.param) as started:
        yield started


class Desk:
    """The services' side, driven step by step, and a stranger's."""

    def __init__(self, directory: Path, broker: Broker) -> None:
        self.rig = Rig(directory)
        self.rig.settle()
        self.publisher = Publisher(TOPICS, "127.0.0.1", broker.port, self.rig.log)
        self.mqtt = AlarmMqtt(self.rig.feed, self.publisher, self.rig.log)
        self.publisher.start()
        self.stranger = Stranger(broker.port)
        self.until(lambda: self.summary() is not None)
        self.until(lambda: len(self.states()) == len(self.rig.book.states))

    def until(self, condition: Any) -> None:
        def turn() -> bool:
            self.publisher.poll()
            self.rig.feed.pump(Health())
            self.mqtt.pump()
            return bool(condition())

        assert wait(turn)

    def summary(self) -> dict[str, Any] | None:
        found = self.stranger.of("alarm/summary")
        return json.loads(found[-1].payload) if found else None

    def states(self) -> dict[str, dict[str, Any]]:
        return {
            each.topic.split("/")[5]: json.loads(each.payload)
            for each in list(self.stranger.messages)
            if each.topic.startswith("edgectl/v1/fake/edge-1/alarm/")
            and each.topic.endswith("/state")
        }

    def ask(self, message: Any, *, retain: bool = False) -> dict[str, Any]:
        """Send a request as it is; the reply."""
        payload = message if isinstance(message, bytes) else json.dumps(message)
        before = len(self.stranger.of("alarm/reply"))
        self.stranger.client.publish(TOPICS.alarm_command, payload, 1, retain=retain)
        self.until(lambda: len(self.stranger.of("alarm/reply")) > before)
        return dict(json.loads(self.stranger.of("alarm/reply")[-1].payload))

    def close(self) -> None:
        self.stranger.close()
        self.publisher.stop()


@pytest.fixture
def desk(tmp_path: Path, broker: Broker) -> Iterator[Desk]:
    made = Desk(tmp_path, broker)
    yield made
    made.close()


def ack(alarm_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": alarm_id, "action": "ack", "by": "shift-2"} | fields


def test_a_stranger_sees_an_alarm_acknowledges_it_and_sees_that(desk: Desk) -> None:
    desk.rig.plant.set("IL-IMPORT", TRIPPED)
    desk.rig.plant.scan()
    desk.until(lambda: desk.states()["IL-IMPORT"]["state"] == "unacknowledged")
    desk.until(lambda: desk.summary()["unacknowledged"] == 1)  # type: ignore[index]
    reply = desk.ask(ack("IL-IMPORT", cmd_id="a-1"))
    assert reply == {"cmd_id": "a-1", "id": "IL-IMPORT", "action": "ack", "by": "shift-2",
                     "done": True, "refused": None}  # fmt: skip
    desk.until(lambda: desk.states()["IL-IMPORT"]["state"] == "acknowledged")
    assert desk.states()["IL-IMPORT"]["acknowledged_by"] == "shift-2"
    assert desk.states()["IL-IMPORT"]["operator_action"].startswith("Remove the cause.")
    shelve = ack("IL-IMPORT", action="shelve", minutes=5, reason="known, crew on site")
    assert desk.ask(shelve)["done"]
    desk.until(lambda: desk.summary()["states"]["shelved"] == 1)  # type: ignore[index]


def test_what_is_not_a_whole_request_is_refused_and_says_why(desk: Desk) -> None:
    desk.rig.plant.set("IL-IMPORT", TRIPPED)
    desk.rig.plant.scan()
    desk.until(lambda: desk.rig.shown("IL-IMPORT") is State.UNACKNOWLEDGED)
    for message, part in (
        (b"\xff\x00", "no JSON"),
        (b"[" * 3000, "no JSON: maximum recursion"),
        (b"x" * 5000, "at most 4096"),
        (["IL-IMPORT"], "dictionary"),
        (ack("IL-IMPRT"), "did you mean IL-IMPORT"),
        (ack("IL-IMPORT", by=""), "by"),
        (ack("IL-IMPORT", by="\x1b[2J"), "by"),
        (ack("IL-IMPORT", by="\ud800"), "by"),
        (ack("IL-IMPORT", **{"\x1b[2J": 1}), "?[2J"),
        (ack("IL-IMPORT", **{"\ud800": 1}), "unicode"),
        (ack("IL-IMPORT", power_w=1e6), "power_w"),
        (ack("IL-IMPORT", action="reset"), "action"),
        (ack("IL-IMPORT", action="shelve", reason="no time given"), "minutes"),
        (ack("IL-IMPORT", action="shelve", minutes=481, reason="too long"), "480"),
        (ack("IL-SOC"), "nothing to acknowledge"),
    ):
        reply = desk.ask(message)
        assert reply["done"] is False
        assert part in reply["refused"], reply
        assert all(each is None or str(each).isprintable() for each in reply.values())
    assert desk.rig.shown("IL-IMPORT") is State.UNACKNOWLEDGED
    assert desk.rig.log.names.count("alarm.request_refused") == 15


def test_a_retained_request_is_never_carried_out(tmp_path: Path, broker: Broker) -> None:
    early = Stranger(broker.port)
    early.client.publish(TOPICS.alarm_command, json.dumps(ack("IL-IMPORT")), 1, retain=True)
    assert wait(lambda: early.of("alarm/cmd"))
    desk = Desk(tmp_path, broker)
    try:
        desk.until(lambda: desk.stranger.of("alarm/reply"))
        reply = json.loads(desk.stranger.of("alarm/reply")[0].payload)
        assert reply["done"] is False
        assert "retained" in reply["refused"]
    finally:
        desk.close()
        early.close()


def test_alarms_are_there_for_whoever_comes_later_and_gone_ones_are_cleared(
    desk: Desk, broker: Broker
) -> None:
    late = Stranger(broker.port)
    assert wait(lambda: late.of("alarm/summary") and late.of("alarm/IL-ESTOP/state"))
    message = late.of("alarm/IL-ESTOP/state")[-1]
    late.close()
    assert message.retain
    assert json.loads(message.payload)["priority"] == "critical"
    del desk.rig.book.specs["IL-ESTOP"], desk.rig.book.states["IL-ESTOP"]
    desk.rig.feed.changed.add("IL-ESTOP")
    desk.until(lambda: desk.stranger.of("alarm/IL-ESTOP/state")[-1].payload == b"")


def test_while_the_broker_is_away_the_newest_of_each_alarm_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.settle()
    publisher = Publisher(TOPICS, "127.0.0.1", 1, rig.log)
    mqtt = AlarmMqtt(rig.feed, publisher, rig.log)
    sent: list[tuple[str, dict[str, Any]]] = []

    def keep(topic: str, payload: bytes) -> bool:
        sent.append((topic, json.loads(payload)))
        return True

    monkeypatch.setattr(publisher, "publish_retained", keep)
    for status in (TRIPPED, CLEAR) * 5:
        rig.plant.set("IL-IMPORT", status)
        rig.run(0.1)
        mqtt.pump()
    assert sent == []
    publisher._connected, publisher.connections = True, 1
    turns = 0
    while len(sent) < len(rig.book.states) and turns < 9:
        before = len(sent)
        mqtt.pump()
        turns += 1
        assert len(sent) - before <= PUBLISH_MAX + 1
    of_row = [each for topic, each in sent if topic == TOPICS.alarm_state("IL-IMPORT")]
    assert [each["annunciations"] for each in of_row] == [5]
