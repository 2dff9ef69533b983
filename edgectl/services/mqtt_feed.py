"""Journal and snapshot to MQTT: live only. What a slow broker misses, the ledger has."""

import time
from functools import partial
from typing import Any

from edgectl.errors import SegmentError
from edgectl.image import SegmentReader
from edgectl.image.authority import current_note
from edgectl.image.changes import Changes, Event
from edgectl.mqtt import FastEncoder, Publisher, StateEncoder
from edgectl.mqtt.state import number

STATE_S = 1.0
LIVE_MAX = 100  # scans: one that is further behind goes on at the newest


class MqttFeed:
    """MQTT's side of the services, for one run of the controller."""

    def __init__(self, reader: SegmentReader, publisher: Publisher) -> None:
        """Begin at the newest scan of the reader's segment."""
        self._reader = reader
        self._publisher = publisher
        self._state = StateEncoder(reader.directory, publisher.topics.node)
        self._fast = FastEncoder(reader.directory)
        self._changes = Changes(reader.directory, notes=partial(current_note, reader.path))
        self._next_seq = reader.journal_head
        self._state_due_s = 0.0
        self._snapshot_seq = -1

    def pump(self) -> None:
        """Publish the scans since the last call, and the state when it is due."""
        head = self._reader.journal_head
        if head == self._next_seq:
            return
        batch = self._reader.journal(max(self._next_seq, head - LIVE_MAX))
        self._next_seq = batch.next_seq
        try:
            snapshot = self._reader.snapshot()
        except SegmentError:  # the controller died inside; its journal is whole
            return
        for record in batch.records:
            if self._publisher.connected:
                self._publisher.publish_fast(self._fast.encode(record, snapshot["samples"]))
            else:
                self._fast.forget()  # the first message of a connection has every point
            for event in self._changes.scans([record]):
                self._publisher.publish_event(as_message(event, record["head"]))
        for event in self._changes.image(snapshot):
            self._publisher.publish_event(as_message(event, snapshot["record"]))
        now_s = time.monotonic()
        if now_s >= self._state_due_s:
            # The phase is kept unless more than one was missed.
            missed = now_s - self._state_due_s > STATE_S
            self._state_due_s = (now_s if missed else self._state_due_s) + STATE_S
            self._publisher.publish_state(self._state.encode(snapshot))


def as_message(event: Event, record: Any) -> dict[str, Any]:
    """The event as it stands in the topic `event`, with the time of its scan."""
    name, fields = event
    plain = {
        key: number(value) if isinstance(value, float) else value for key, value in fields.items()
    }
    return {"event": name, "utc_ns": int(record["utc_ns"]), **plain}
