"""An MQTT client that knows nothing of edgectl, for tests; brokers, and a network that hangs."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from free_ports import free_ports
from paho.mqtt import client as paho

from edgectl.mqtt import Broker, start_broker

PATIENCE_S = 60.0  # until a test gives up on what never comes; no claim rests on it


def broker_of(kind: str | None = None) -> Broker:
    """A broker at a port that no connection of a test beside this one can take before it."""
    return start_broker(free_ports(1)[0], kind)


def wait(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> bool:
    """Poll a condition of another thread or process."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Stranger:
    """MQTT 3.1.1, subscribed to everything of edgectl."""

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

    def of(self, leaf: str) -> list[paho.MQTTMessage]:
        """Messages of one leaf of the topic tree, in their order."""
        return [each for each in self.messages if each.topic.split("/", 4)[4] == leaf]

    def status(self) -> dict[str, Any]:
        """The newest status; empty before the first."""
        found = self.of("status")
        return dict(json.loads(found[-1].payload)) if found else {}

    def online(self) -> bool | None:
        """What the newest status says; None before the first."""
        return self.status().get("online")

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class HungNetwork:
    """Connections of paho that are neither made nor refused until `release`.

    tried      somebody waits for one
    came_back  somebody has waited to the end
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tried, self.came_back = threading.Event(), threading.Event()
        self._gate = threading.Event()
        monkeypatch.setattr("paho.mqtt.client.socket.create_connection", self._connect)

    def _connect(self, *_: Any, **__: Any) -> None:
        self.tried.set()
        self._gate.wait(PATIENCE_S)
        self.came_back.set()
        raise ConnectionRefusedError("it hung")

    def release(self) -> None:
        self._gate.set()
