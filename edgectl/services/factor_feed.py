"""Emission factors into the mailbox: asked in a thread of their own, held for an hour at most.

The loop that feeds the ledger never waits for a network. A thread asks, or MQTT calls;
both put what they got into a book, and the loop reads from the book what holds now.
"""

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edgectl.accounting.factor_shapes import Asked, mqtt_json
from edgectl.accounting.factors import (
    HOLD_NS,
    Choice,
    Factor,
    FactorBook,
    Kind,
    Scope,
    Standing,
    refused,
)
from edgectl.errors import DataError
from edgectl.events import emit
from edgectl.services.carbon_feed import CarbonFeed, FileFeed
from edgectl.services.factor_http import HttpSource
from edgectl.site_model import Site
from edgectl.site_model.model import CarbonFeed as FeedOfSite

NS_PER_S = 1_000_000_000
STOP_S = 1.0  # the thread may be waiting for an answer; it is a daemon


class Source(Protocol):
    """Where factors come from."""

    def start(
        self, take: Callable[[list[Factor]], None], fail: Callable[[DataError], None]
    ) -> None:
        """Begin; every answer ends in one of the two calls, from any thread."""
        ...

    def close(self) -> None:
        """End."""
        ...


class Poller:
    """A source that is asked every so often, in a thread."""

    def __init__(
        self, ask: Callable[[int], list[Factor]], poll_s: float,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """clock   UTC ns; ask is given what it says."""
        self._ask = ask
        self._poll_s = poll_s
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(
        self, take: Callable[[list[Factor]], None], fail: Callable[[DataError], None]
    ) -> None:
        """As Source."""

        def run() -> None:
            while not self._stop.is_set():
                try:
                    take(self._ask(self._clock()))
                except DataError as error:
                    fail(error)
                self._stop.wait(self._poll_s)

        self._thread = threading.Thread(target=run, name="carbon-factors", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """As Source."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_S)


class Subscriber:
    """A topic on which factors are published, in the shape of factor_shapes.mqtt_json."""

    def __init__(self, host: str, port: int, topic: str, asked: Callable[[], Asked]) -> None:
        """Nothing is contacted before start()."""
        self._where = (host, port)
        self._topic = topic
        self._asked = asked
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)

    def start(
        self, take: Callable[[list[Factor]], None], fail: Callable[[DataError], None]
    ) -> None:
        """As Source; it goes on connecting for ever."""

        def subscribe(
            client: Client,
            _data: Any,
            _flags: ConnectFlags,
            code: ReasonCode,
            _p: Properties | None,
        ) -> None:
            if not code.is_failure:
                client.subscribe(self._topic, qos=1)

        def message(_client: Client, _data: Any, received: MQTTMessage) -> None:
            try:
                take(mqtt_json(bytes(received.payload), self._asked()))
            except DataError as error:
                fail(error)

        self._client.on_connect = subscribe
        self._client.on_message = message
        self._client.connect_async(*self._where)
        self._client.loop_start()

    def close(self) -> None:
        """As Source."""
        self._client.disconnect()
        self._client.loop_stop()


class FactorFeed:
    """A CarbonFeed over a book of factors."""

    def __init__(self, book: FactorBook, source: Source, log: Any) -> None:
        """Nothing is started before the first at()."""
        self.book = book
        self._source = source
        self._log = log
        self._lock = threading.Lock()
        self._problem: DataError | None = None
        self._started = False
        self._used: Factor | None = None
        self._held = False

    def at(self, utc_ns: int) -> Factor:
        """As CarbonFeed, never waiting.

        Raises DataError with the source's last problem where no factor of the last hour
        is there; the kernel then books the zone's default, and flags it.
        """
        if not self._started:
            self._started = True
            self._source.start(self._take, self._fail)
        with self._lock:
            choice, problem = self.book.choose(utc_ns), self._problem
        if choice.factor is None:
            self._held = False
            raise problem or refused(
                self.book.zone, "no factor of the last hour is there",
                "Wait for the source's first answer, or look at its status page.",
            )  # fmt: skip
        self._say(choice, choice.factor)
        return choice.factor

    def close(self) -> None:
        """As CarbonFeed."""
        if self._started:
            self._source.close()

    def _take(self, factors: list[Factor]) -> None:
        with self._lock:
            try:
                self.book.take(factors)
            except DataError as error:
                self._problem = error
            else:
                self._problem = None

    def _fail(self, error: DataError) -> None:
        with self._lock:
            self._problem = error

    def _say(self, choice: Choice, factor: Factor) -> None:
        if factor != self._used:
            self._used = factor
            emit(self._log, "carbon.factor_used", source=factor.source, version=factor.version,
                 g_per_kwh=factor.mg_per_kwh / 1000, valid_from_ns=factor.valid_from_ns,
                 valid_to_ns=factor.valid_to_ns, published_ns=factor.published_ns,
                 estimated=factor.estimated, answer_sha256=factor.sha256)  # fmt: skip
        held = choice.standing is Standing.HELD
        if held and not self._held:
            emit(self._log, "carbon.factor_held", source=factor.source,
                 g_per_kwh=factor.mg_per_kwh / 1000, age_s=choice.age_ns / NS_PER_S)  # fmt: skip
        self._held = held


class LateFile:
    """A FileFeed that may come later: a missing file must not keep the ledger from its work."""

    def __init__(self, path: Path, zone: str, scope: Scope) -> None:
        """The file is opened at the first at(). As FileFeed has it."""
        self._what = (path, zone, scope)
        self._feed: FileFeed | None = None

    def at(self, utc_ns: int) -> Factor | None:
        """As CarbonFeed. Raises DataError while the file cannot be read."""
        self._feed = self._feed or FileFeed(*self._what)
        return self._feed.at(utc_ns)

    def close(self) -> None:
        """As CarbonFeed."""


def feed_of(site: Site, log: Any, ttl_s: float) -> CarbonFeed | None:
    """The feed that a site file names; None without one.

    ttl_s   that a posted value stays good in the kernel: the hold ends so much earlier

    What keeps it from working, such as a token that is not in the environment, is what
    its at() raises: the services go on without it.
    """
    feed = site.carbon.feed
    if feed is None:
        return None
    scope = scope_of(site)
    if feed.path is not None:
        return LateFile(feed.path, site.zone, scope)
    hold_ns = max(0, HOLD_NS - int(ttl_s * NS_PER_S))
    default = round(site.carbon.default_g_per_kwh * 1000)
    book = FactorBook(site.zone, Kind.AVERAGE, scope, default, hold_ns)
    return FactorFeed(book, _source(site, feed, scope), log)


def scope_of(site: Site) -> Scope:
    """What the site's factors count."""
    return Scope(site.carbon.basis.partition(",")[0])


def _source(site: Site, feed: FeedOfSite, scope: Scope) -> Source:
    assert feed.zone is not None, "checked when the site was loaded"
    zone = feed.zone
    if feed.topic is not None:
        return Subscriber(
            site.mqtt.host,
            site.mqtt.port,
            feed.topic,
            lambda: Asked(site.zone, zone, scope, time.time_ns()),
        )
    token = os.environ.get(feed.token_env, "") if feed.token_env else ""
    if feed.token_env and not token:
        return Poller(partial(_without_token, feed.kind, feed.token_env), feed.poll_s)
    http = HttpSource(feed.kind, site.zone, zone, scope, url=feed.url, token=token)
    return Poller(http.ask, feed.poll_s)


def _without_token(kind: str, token_env: str, _now_ns: int) -> list[Factor]:
    raise refused(
        kind,
        f"the environment has no {token_env}",
        "Put the token there, under systemd with EnvironmentFile, and start the services again.",
    )
