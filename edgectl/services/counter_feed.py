"""Counts of compute over MQTT: job-hours, tokens, requests, bits moved, by whoever runs them.

Topic edgectl/<site>/counter/<tenant>/<name>, JSON with value, unit and source. The value is a
counter: it never falls while its source runs, so a lost message loses nothing. What is refused is
said once for each reason and topic.
"""

import json
import queue
import time
from typing import Any

from edgectl.events import emit
from edgectl.services.ledger_feed import Count

QUEUE_MAX = 10_000  # messages between two ticks
PAYLOAD_BYTES_MAX = 4_096
TEXT_MAX = 128  # of tenant, name, unit and source
VALUE_MAX = 2**53  # exact in JSON everywhere
REFUSED_SAID_MAX = 1_000


class CounterFeed:
    """From paho's thread to the services' own."""

    def __init__(self, log: Any) -> None:
        self._queue: queue.Queue[tuple[str, bytes, int]] = queue.Queue(QUEUE_MAX)
        self._log = log
        self._last: dict[tuple[str, str, str], float] = {}
        self._said: set[tuple[str, str]] = set()

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take a message; one that finds the queue full is superseded by the next of its kind."""
        try:
            self._queue.put_nowait((topic, payload, time.time_ns()))
        except queue.Full:
            return

    def take(self) -> list[Count]:
        """What came since the last call and holds, the newest of each counter."""
        newest: dict[tuple[str, str], Count] = {}
        for _ in range(QUEUE_MAX):
            try:
                topic, payload, utc_ns = self._queue.get_nowait()
            except queue.Empty:
                break
            count = self._judged(topic, payload, utc_ns)
            if count is not None:
                newest[count.tenant, count.name] = count
        return list(newest.values())

    def _judged(self, topic: str, payload: bytes, utc_ns: int) -> Count | None:
        *_, tenant, name = topic.split("/")
        parsed = parse_count(tenant, name, payload, utc_ns)
        if isinstance(parsed, str):
            self._refuse(tenant, name, parsed)
            return None
        key = (tenant, name, parsed.source)
        before = self._last.get(key)
        if before is not None and parsed.value < before:
            # A source that starts anew counts from nothing; the ledger shows the step.
            self._refuse(tenant, name, f"it fell from {before} to {parsed.value}: a new start?")
        if len(self._last) < QUEUE_MAX or key in self._last:
            self._last[key] = parsed.value
        return parsed

    def _refuse(self, tenant: str, name: str, reason: str) -> None:
        key = (f"{tenant}/{name}", reason[:20])
        if key not in self._said and len(self._said) < REFUSED_SAID_MAX:
            self._said.add(key)
            emit(self._log, "ledger.counter_refused", tenant=tenant, counter=name, reason=reason)


def parse_count(tenant: str, name: str, payload: bytes, utc_ns: int) -> Count | str:
    """A count, or why it is none."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return f"{len(payload)} bytes are more than {PAYLOAD_BYTES_MAX}"
    try:
        said = json.loads(payload)
        value, unit, source = said["value"], said["unit"], said["source"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it is not JSON with value, unit and source"
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "its value is not a number"
    if not 0 <= value <= VALUE_MAX:  # refuses NaN as well
        return f"its value {value} is not between 0 and 2^53"
    texts = (tenant, name, unit, source)
    if not all(isinstance(each, str) and 0 < len(each) <= TEXT_MAX for each in texts):
        return f"tenant, name, unit and source are texts of 1 to {TEXT_MAX} characters"
    return Count(tenant, name, value, unit, source, utc_ns)
