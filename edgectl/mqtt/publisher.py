"""The connection to the broker: paho in its own thread, and nothing that waits.

MQTT 5 is spoken first. A broker that refuses it, closes on it twice or gives no
answer (amqtt 0.12 is lost in a last will of MQTT 5) is spoken to in 3.1.1,
without expiry and properties. Retries follow every 1 to 30 s for ever; a broker
that is away is reported once. What does not fit the queues is dropped and
counted: the ledger has it.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from paho.mqtt.client import (
    MQTT_CLEAN_START_FIRST_ONLY,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edgectl.events import emit
from edgectl.mqtt.topics import Topics

KEEPALIVE_S = 15
CONNECT_TIMEOUT_S = 5.0
RETRY_MIN_S, RETRY_MAX_S = 1, 30
QUEUE_MAX = 256  # messages on their way to the socket: 25 s of scans
EVENTS_MAX = 1_000  # events kept for a broker that is away
FAST_EXPIRY_S = 10
WILL_DELAY_S = 2  # masks a restart of the services
SESSION_EXPIRY_S = 60
CLOSED_BEFORE_FALLBACK = 2
CONNACK_S = 2.0  # without an answer the other protocol is tried
STOP_S = 2.0
INBOX_MAX = 64  # requests that wait to be looked at; more at once is no person

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
PROTOCOL_NAMES = {V5: "5", V311: "3.1.1"}


@dataclass(frozen=True, slots=True)
class Received:
    """A message that came in by the topic that is listened to."""

    payload: bytes
    retained: bool


class Publisher:
    """Publishes for one node. Every method returns at once."""

    def __init__(self, topics: Topics, host: str, port: int, log: Any = None) -> None:
        """Nothing is contacted before start().

        topics       where to publish
        host, port   of the broker
        log          structlog logger for declared events
        """
        self.topics = topics
        self.host, self.port = host, port
        self.protocol = V5
        self.controller = False  # one is read from
        self.published = 0  # messages written to the socket since start
        self.dropped = 0
        self.connections = 0  # that the broker accepted
        self._log = log or structlog.get_logger()
        self._lock = threading.RLock()  # paho may call back inside publish
        self._connected = False
        self._birth: bytes | None = None
        self._head: bytes | None = None
        self._on_counter: Callable[[str, bytes], None] | None = None
        self._reported = False  # that the broker is away
        self._closed_early = 0
        self._switch = False
        self._opened_s: float | None = None  # connection made, not yet accepted
        self._queued: set[int] = set()
        self._dropped_reported = 0
        self._client: Client | None = None
        self._topic: str | None = None
        self._inbox: deque[Received] = deque(maxlen=INBOX_MAX)

    @property
    def connected(self) -> bool:
        """The broker has accepted us and is there."""
        return self._connected

    def start(self) -> None:
        """Begin to connect, and go on trying."""
        self._client = self._new_client()
        self._client.connect_async(
            self.host, self.port, KEEPALIVE_S,
            clean_start=MQTT_CLEAN_START_FIRST_ONLY if self.protocol == V5 else False,
            properties=self._connect_properties(),
        )  # fmt: skip
        self._client.loop_start()

    def poll(self) -> None:
        """Change the protocol if the broker wants it; call it now and then."""
        with self._lock:
            opened_s = self._opened_s
            switch = self._switch or (
                opened_s is not None and time.monotonic() - opened_s > CONNACK_S
            )
            self._switch = False
        if self.dropped >= 2 * max(1, self._dropped_reported):
            self._dropped_reported = self.dropped
            emit(self._log, "mqtt.dropped", topic=self.topics.fast, messages=self.dropped)
        if not switch or self._client is None:
            return
        old = self._client
        self.protocol = V311 if self.protocol == V5 else V5
        old.on_connect = old.on_disconnect = old.on_connect_fail = old.on_publish = None
        old.on_socket_open = old.on_message = None
        old.disconnect()
        # It may still wait out a retry; nobody here waits with it.
        threading.Thread(target=old.loop_stop, daemon=True).start()
        self._closed_early, self._opened_s = 0, None
        self.start()

    def set_controller(self, running: bool) -> None:
        """Say in `status` whether the state comes from a running controller."""
        self.controller = running
        client = self._client
        if client is not None and self._connected:
            client.publish(self.topics.status, self._status(online=True), 1, retain=True)

    def set_birth(self, payload: bytes) -> None:
        """Publish the retained birth, now and at every connection to come."""
        self._birth = payload
        client = self._client
        if client is not None and self._connected:
            client.publish(self.topics.birth, payload, 1, retain=True)

    def set_head(self, payload: bytes) -> None:
        """Publish the newest signed head of the ledger, retained, now and at every connection."""
        self._head = payload
        client = self._client
        if client is not None and self._connected:
            client.publish(self.topics.ledger, payload, 1, retain=True)

    def on_counter(self, take: Callable[[str, bytes], None]) -> None:
        """Hand over topic and payload of each count of compute; called in paho's thread."""
        self._on_counter = take

    def publish_state(self, payload: bytes) -> bool:
        """Publish the retained state; False where it was dropped."""
        return self._publish(self.topics.state, payload, 0, retain=True,
                             properties=self._properties("application/json"))  # fmt: skip

    def publish_fast(self, payload: bytes) -> bool:
        """Publish one scan; False where it was dropped."""
        properties = self._properties("application/msgpack", FAST_EXPIRY_S)
        return self._publish(self.topics.fast, payload, 0, retain=False, properties=properties)

    def publish_event(self, event: dict[str, Any]) -> bool:
        """Publish what happened; kept for a broker that is away. False where it was dropped."""
        payload = json.dumps(event, default=str).encode()
        return self._publish(self.topics.event, payload, 1, retain=False,
                             properties=self._properties("application/json"))  # fmt: skip

    def listen(self, topic: str) -> None:
        """Subscribe to one topic at every connection to come."""
        self._topic = topic

    def received(self) -> Received | None:
        """The oldest message that came in and was not taken yet."""
        return self._inbox.popleft() if self._inbox else None

    def publish_retained(self, topic: str, payload: bytes) -> bool:
        """Publish what whoever comes later must see; False where it was dropped."""
        return self._publish(topic, payload, 0, retain=True,
                             properties=self._properties("application/json"))  # fmt: skip

    def publish_reply(self, topic: str, payload: bytes) -> bool:
        """Publish the answer to a request; False where it was dropped."""
        return self._publish(topic, payload, 1, retain=False,
                             properties=self._properties("application/json"))  # fmt: skip

    def stop(self) -> None:
        """Say goodbye, so that the last will is not needed, and end the thread."""
        client, self._client = self._client, None
        if client is None:
            return
        if self._connected:
            goodbye = client.publish(self.topics.status, self._status(online=False), 1, retain=True)
            try:
                goodbye.wait_for_publish(STOP_S)
            except (RuntimeError, ValueError):  # the connection went while we said it
                self._connected = False
        client.disconnect()
        ending = threading.Thread(target=client.loop_stop, daemon=True)
        ending.start()
        ending.join(STOP_S)
        self._connected = False

    def _publish(
        self, topic: str, payload: bytes, qos: int, *, retain: bool, properties: Properties | None
    ) -> bool:
        client = self._client
        if client is None or (qos == 0 and not self._connected):
            return False
        if qos:
            # Not under our lock: paho holds its own around the callback of an acknowledgement.
            info = client.publish(topic, payload, qos, retain, properties)
        else:
            with self._lock:
                if len(self._queued) >= QUEUE_MAX:
                    self.dropped += 1
                    return False
                info = client.publish(topic, payload, qos, retain, properties)
                if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                    self._queued.add(info.mid)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self.dropped += 1
        return info.rc in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN)

    def _new_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"edgectl-{self.topics.site}-{self.topics.node}",
            protocol=self.protocol,
            clean_session=None if self.protocol == V5 else True,
            reconnect_on_failure=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.reconnect_delay_set(RETRY_MIN_S, RETRY_MAX_S)
        client.max_queued_messages_set(EVENTS_MAX)
        client.suppress_exceptions = False
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        will: Properties | None = None
        if self.protocol == V5:
            will = _typed_properties(PacketTypes.WILLMESSAGE)
            will.WillDelayInterval = WILL_DELAY_S
            will.ContentType = "application/json"
        client.will_set(self.topics.status, self._status(online=False), 1, True, will)
        return client

    def _status(self, *, online: bool) -> bytes:
        status = {
            "online": online,
            "controller": online and self.controller,
            "site": self.topics.site,
            "node": self.topics.node,
            "state": self.topics.state,
        }
        return json.dumps(status).encode()

    def _connect_properties(self) -> Properties | None:
        if self.protocol != V5:
            return None
        properties = _typed_properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        return properties

    def _properties(self, content: str, expiry_s: int | None = None) -> Properties | None:
        if self.protocol != V5:
            return None
        properties = _typed_properties(PacketTypes.PUBLISH)
        properties.ContentType = content
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        return properties

    def _on_socket_open(self, _client: Client, _data: Any, _socket: Any) -> None:
        self._opened_s = time.monotonic()

    def _on_connect(
        self,
        client: Client,
        _data: Any,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._opened_s = None
        if not reason.is_failure:
            self._closed_early, self._reported = 0, False
            # Before anyone may see us here: who does is heard from then on.
            if self._topic is not None:
                client.subscribe(self._topic, qos=1)
            if self._on_counter is not None:
                client.subscribe(self.topics.counters, 1)
            self._connected = True
            self.connections += 1
            client.publish(self.topics.status, self._status(online=True), 1, retain=True)
            if self._birth is not None:
                client.publish(self.topics.birth, self._birth, 1, retain=True)
            if self._head is not None:
                client.publish(self.topics.ledger, self._head, 1, retain=True)
            emit(self._log, "mqtt.connected", host=self.host, port=self.port,
                 protocol=PROTOCOL_NAMES[self.protocol], topics=self.topics.state)  # fmt: skip
            if self.protocol != V5:
                emit(self._log, "mqtt.fell_back", host=self.host, port=self.port,
                     protocol=PROTOCOL_NAMES[self.protocol])  # fmt: skip
        elif "protocol version" in str(reason).lower():
            with self._lock:
                self._switch = True
        else:
            self._say_away("mqtt.refused", reason=str(reason))

    def _on_connect_fail(self, _client: Client, _data: Any) -> None:
        self._say_away("mqtt.unreachable", error="no connection")

    def _on_disconnect(
        self,
        _client: Client,
        _data: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._opened_s = None
        with self._lock:
            self._queued.clear()
            if not self._connected:  # closed before it was accepted: a broker may refuse so
                self._closed_early += 1
                if self._closed_early >= CLOSED_BEFORE_FALLBACK:
                    self._switch = True
        was_connected, self._connected = self._connected, False
        if was_connected and self._client is not None:
            self._say_away("mqtt.disconnected", reason=str(reason))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.topic != self._topic:
            if self._on_counter is not None:
                self._on_counter(message.topic, bytes(message.payload))
            return
        if len(self._inbox) == INBOX_MAX:
            self.dropped += 1  # the oldest makes room: the newest is what a person waits for
        self._inbox.append(Received(bytes(message.payload), bool(message.retain)))

    def _on_publish(
        self,
        _client: Client,
        _data: Any,
        mid: int,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._lock:
            self._queued.discard(mid)
            self.published += 1

    def _say_away(self, event: str, **fields: Any) -> None:
        if not self._reported:
            self._reported = True
            emit(self._log, event, host=self.host, port=self.port, **fields)


def _typed_properties(packet: int) -> Properties:
    """paho's Properties, whose own constructor carries no types."""
    return Properties(packet)  # type: ignore[no-untyped-call]
