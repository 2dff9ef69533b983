"""Alarms to MQTT, and requests about them back. The newest of each is kept for a broker away."""

import json
from typing import Any

from pydantic import ValidationError

from edgectl.alarms import AlarmCommand
from edgectl.alarms.plain import alarm, summary
from edgectl.events import emit
from edgectl.mqtt import Publisher, Received
from edgectl.services.alarm_feed import AlarmFeed

PUBLISH_MAX = 50  # messages a tick: a site's thousand alarms must not crowd out its scans
REQUESTS_MAX = 16  # a tick
RETAINED = "it was retained: a request is heard once, when it is sent"
PAYLOAD_MAX = 4_096  # bytes


class AlarmMqtt:
    """The topics `alarm/...` of one publisher."""

    def __init__(self, feed: AlarmFeed, publisher: Publisher, log: Any) -> None:
        """Nothing is published before the first pump; listen from the next connection on."""
        self._feed = feed
        self._publisher = publisher
        self._log = log
        self._waiting: dict[str, None] = {}  # ids, in the order in which they changed
        self._summary: bytes | None = None
        self._connections = 0
        publisher.listen(publisher.topics.alarm_command)

    def pump(self) -> None:
        """Publish what changed; carry out what was asked."""
        for _ in range(REQUESTS_MAX):
            message = self._publisher.received()
            if message is None:
                break
            self._answer(message)
        changed, self._feed.changed = self._feed.changed, set()
        self._waiting.update(dict.fromkeys(sorted(changed)))
        book = self._feed.book
        if book is None or not self._publisher.connected:
            return
        if self._connections != self._publisher.connections:
            # A broker may have forgotten what it retained.
            self._connections = self._publisher.connections
            self._waiting, self._summary = dict.fromkeys(sorted(book.states)), None
        topics = self._publisher.topics
        for alarm_id in list(self._waiting)[:PUBLISH_MAX]:
            payload = _encoded(alarm(book, alarm_id)) if alarm_id in book.states else b""
            if not self._publisher.publish_retained(topics.alarm_state(alarm_id), payload):
                return
            del self._waiting[alarm_id]
        shown = summary(book)
        compared = _encoded(shown | {"time": None})
        if compared != self._summary and self._publisher.publish_retained(
            topics.alarm_summary, _encoded(shown)
        ):
            self._summary = compared

    def _answer(self, message: Received) -> None:
        asked: Any = {}
        try:
            if message.retained:
                raise ValueError(RETAINED)
            if len(message.payload) > PAYLOAD_MAX:
                raise ValueError(f"{len(message.payload)} bytes; at most {PAYLOAD_MAX} are read")
            asked = _decoded(message.payload)
            command = AlarmCommand.model_validate(asked)
            refused = self._feed.ask(command)
        except ValidationError as error:
            refused = "; ".join(_said(each) for each in error.errors())
        except ValueError as error:
            refused = str(error)
        refused = _printable(refused)
        said = asked if isinstance(asked, dict) else {}
        reply: dict[str, Any] = {
            key: _short(said.get(key)) for key in ("cmd_id", "id", "action", "by")
        }
        if refused:
            emit(self._log, "alarm.request_refused", alarm=reply["id"], by=reply["by"],
                 reason=refused)  # fmt: skip
        reply |= {"done": not refused, "refused": refused or None}
        self._publisher.publish_reply(self._publisher.topics.alarm_reply, _encoded(reply))


def _encoded(message: dict[str, Any]) -> bytes:
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()


def _decoded(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error


def _said(error: Any) -> str:
    where = ".".join(str(each) for each in error["loc"])
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _short(value: Any) -> str | None:
    """What a stranger sent, as far as it is given back."""
    return None if value is None else _printable(str(value)[:200])


def _printable(text: str) -> str:
    """Without what would move a terminal's cursor, or is no text at all."""
    return "".join(each if each.isprintable() else "?" for each in text)
