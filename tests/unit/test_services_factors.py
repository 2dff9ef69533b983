"""Factors over HTTP and MQTT, from local servers that answer in the published shapes."""

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import factor_answers as answers
import pytest
from event_log import EventLog
from factor_answers import HOUR_NS, START_NS
from fake_controller import start_controller
from mqtt_stranger import PATIENCE_S, broker_of, wait
from paho.mqtt import publish

from edgectl._kernel.journal import MailKind
from edgectl.accounting.factors import Factor, FactorBook, Kind, Scope
from edgectl.errors import DataError, SiteFileError
from edgectl.services import Services, Settings
from edgectl.services.factor_feed import FactorFeed, Poller, feed_of
from edgectl.services.factor_http import HttpSource
from edgectl.site_model import Site, parse_site

NOW_NS = START_NS + 60 * 10**9
Answer = Callable[[str, dict[str, list[str]], dict[str, str]], tuple[int, bytes]]


class LocalService:
    """An HTTP server on loopback; `answer` says what it gives, `asked` what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                outer.asked.append(parts.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                code, content = answer(parts.path, parse_qs(parts.query), headers)
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", content.decode())
                    content = b""
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], LocalService]]:
    made: list[LocalService] = []

    def start(answer: Answer) -> LocalService:
        made.append(LocalService(answer))
        return made[-1]

    yield start
    for each in made:
        each.close()


def all_services(
    path: str, query: dict[str, list[str]], headers: dict[str, str]
) -> tuple[int, bytes]:
    """Each as its documentation has it, and only for who is allowed to ask."""
    if path == "/v3/carbon-intensity/latest":
        good = headers.get("auth-token") == "T" and query["zone"] == ["DE"]
        return (200, answers.electricity_maps()) if good else (401, b"")
    if path == "/login":
        good = headers.get("authorization") == "Basic " + base64.b64encode(b"me:pw").decode()
        return (200, b'{"token": "abc"}') if good else (403, b"")
    if path == "/v3/historical":
        good = headers.get("authorization") == "Bearer abc"
        return (200, answers.watttime()) if good else (401, b"")
    if path == "/v2/electricity/rto/fuel-type-data/data/":
        return (200, answers.eia_930()) if query.get("api_key") == ["T"] else (403, b"")
    if path == "/api":
        return (200, answers.entsoe()) if query.get("securityToken") == ["T"] else (401, b"")
    return (200, answers.uk()) if path == "/intensity" else (404, b"")


@pytest.mark.parametrize(
    ("service", "zone", "token", "mg_per_kwh"),
    [
        ("electricity-maps", "DE", "T", 302_000),
        ("watttime", "CAISO_NORTH", "me:pw", 394_626),
        ("eia-930", "ERCO", "T", 356_000),
        ("entso-e", answers.ZONE, "T", 92_500),
        ("uk", "GB", "", 263_000),
    ],
)
def test_each_service_is_asked_and_read_as_it_documents(
    serve: Callable[[Answer], LocalService], service: str, zone: str, token: str, mg_per_kwh: int
) -> None:
    local = serve(all_services)
    source = HttpSource(service, "ZONE", zone, Scope.DIRECT, url=local.url, token=token)
    found = source.ask(NOW_NS)
    assert (found[0].mg_per_kwh, found[0].zone, found[0].kind) == (mg_per_kwh, "ZONE", Kind.AVERAGE)


def test_watttime_logs_in_once_for_half_an_hour(serve: Callable[[Answer], LocalService]) -> None:
    local = serve(all_services)
    source = HttpSource("watttime", "Z", "CAISO_NORTH", Scope.DIRECT, url=local.url, token="me:pw")
    for after_ns in (0, HOUR_NS // 4, HOUR_NS):
        source.ask(NOW_NS + after_ns)
    assert local.asked == ["/login", "/v3/historical", "/v3/historical", "/login", "/v3/historical"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda *_: (401, b"secret T"), "answers 401"),
        (lambda *_: (500, b""), "answers 500"),
        (lambda *_: (302, b"http://127.0.0.1:1/elsewhere"), "answers 302"),
        (lambda *_: (200, b"<html>"), "not in the published shape"),
        (lambda *_: (200, b"x" * 5_000_000), "passed"),
    ],
)
def test_a_service_that_fails_says_so_without_the_token(
    serve: Callable[[Answer], LocalService], answer: Answer, message: str
) -> None:
    local = serve(answer)
    source = HttpSource("eia-930", "Z", "ERCO", Scope.DIRECT, url=local.url, token="s3cret")
    with pytest.raises(DataError, match=message) as caught:
        source.ask(NOW_NS)
    assert "s3cret" not in str(caught.value)
    assert len(local.asked) == 1, "a redirect is not followed"


def test_a_service_that_is_not_there_says_so() -> None:
    source = HttpSource("uk", "Z", "GB", Scope.DIRECT, url="http://127.0.0.1:9")
    with pytest.raises(DataError, match="cannot be reached: URLError"):
        source.ask(NOW_NS)


def feed_over(ask: Callable[[int], list[Factor]], log: EventLog) -> FactorFeed:
    book = FactorBook("ZONE", Kind.AVERAGE, Scope.DIRECT, 700_000)
    return FactorFeed(book, Poller(ask, 0.01, lambda: NOW_NS), log)


def test_the_feed_gives_what_holds_and_never_waits_for_the_network(
    serve: Callable[[Answer], LocalService],
) -> None:
    local = serve(all_services)
    source = HttpSource("electricity-maps", "ZONE", "DE", Scope.DIRECT, url=local.url, token="T")
    log = EventLog()
    looked = threading.Event()

    def ask(now_ns: int) -> list[Factor]:
        looked.wait(PATIENCE_S)
        return source.ask(now_ns)

    feed = feed_over(ask, log)
    with pytest.raises(DataError, match="no factor of the last hour"):
        feed.at(NOW_NS)
    looked.set()
    assert wait(lambda: feed.book.choose(NOW_NS).factor)
    assert feed.at(NOW_NS).mg_per_kwh == 302_000
    assert feed.at(START_NS + HOUR_NS + 60 * 10**9).mg_per_kwh == 302_000
    feed.at(START_NS + HOUR_NS + 120 * 10**9)
    assert log.names == ["carbon.factor_used", "carbon.factor_held"], "each is said once"
    with pytest.raises(DataError):
        feed.at(START_NS + 3 * HOUR_NS)
    feed.close()


def test_a_slow_service_holds_up_nobody() -> None:
    gate, answered = threading.Event(), threading.Event()

    def slow(_now_ns: int) -> list[Factor]:
        gate.wait(PATIENCE_S)
        answered.set()
        return []

    feed = feed_over(slow, EventLog())
    for _ in range(100):
        with pytest.raises(DataError):
            feed.at(NOW_NS)
    assert not answered.is_set()
    gate.set()
    feed.close()


def test_the_last_problem_is_what_is_said_while_nothing_holds() -> None:
    def refuse(_now_ns: int) -> list[Factor]:
        raise DataError(where="w", problem="gone", because="b", remedy="r")

    feed = feed_over(refuse, EventLog())

    def problem() -> str:
        with pytest.raises(DataError) as caught:
            feed.at(NOW_NS)
        return caught.value.problem

    assert wait(lambda: problem() == "gone")
    feed.close()


def site_with(feed: str, root: Path) -> Site:
    """The demo site with a feed."""
    text = (root / "edgectl" / "sites" / "demo.toml").read_text()
    text = text.replace("[metering]", f"feed = {feed}\n\n[metering]", 1)
    return parse_site(root / "edgectl" / "sites" / "demo.toml", text.encode())


def test_factors_published_over_mqtt_are_taken(root: Path) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with broker_of() as broker:
        text = (root / "edgectl" / "sites" / "demo.toml").read_text()
        text = text.replace(
            "[metering]", 'feed = { kind = "mqtt", topic = "grid/co2", zone = "DE" }\n\n[metering]'
        )
        text = re.sub(r"(?m)^port = 1883$", f"port = {broker.port}", text)
        site = parse_site(root / "edgectl" / "sites" / "demo.toml", text.encode())
        feed = feed_of(site, EventLog(), 900.0)
        assert isinstance(feed, FactorFeed)

        def taken() -> bool:
            publish.single(
                "grid/co2", answers.mqtt(valid_from=now), port=broker.port, hostname="127.0.0.1"
            )
            try:
                return feed.at(time.time_ns()).mg_per_kwh == 412_500
            except DataError:
                return False

        assert wait(taken)
        feed.close()


def test_a_feed_of_the_site_file_without_its_token_leaves_the_services_at_work(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EM_TOKEN", raising=False)
    site = site_with('{ kind = "electricity-maps", zone = "DE", token_env = "EM_TOKEN" }', root)
    feed = feed_of(site, EventLog(), 900.0)
    assert isinstance(feed, FactorFeed)

    def problem() -> str:
        with pytest.raises(DataError) as caught:
            feed.at(time.time_ns())
        return caught.value.problem

    assert wait(lambda: problem() == "the environment has no EM_TOKEN")
    feed.close()


def test_a_file_of_the_site_may_come_later(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "ci.json"
    feed = feed_of(site_with(f'{{ kind = "file", path = "{path}" }}', root), EventLog(), 900.0)
    assert feed is not None
    with pytest.raises(DataError):
        feed.at(NOW_NS)
    path.write_text('{"g_per_kwh": 233}')
    found = feed.at(NOW_NS)
    assert found is not None
    assert found.mg_per_kwh == 233_000
    feed.close()


def test_a_site_without_a_feed_has_none(root: Path) -> None:
    path = root / "edgectl" / "sites" / "demo.toml"
    assert feed_of(parse_site(path, path.read_bytes()), EventLog(), 900.0) is None


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ('{ kind = "uk" }', "zone is missing: a feed of kind uk needs it"),
        ('{ kind = "file", path = "a.csv", zone = "DE" }', "zone has no meaning for a feed of"),
        ('{ kind = "eia-930", zone = "ERCO" }', "token_env is missing"),
        ('{ kind = "eia-931", zone = "ERCO" }', "eia-931"),
        ('{ kind = "uk", zone = "GB", url = "ftp://x" }', "url"),
        ('{ kind = "uk", zone = "GB", url = "http://me:pw@x" }', "url"),
        ('{ kind = "uk", zone = "GB", poll_s = 1 }', "poll_s"),
        ('{ kind = "entso-e", zone = "Z", token_env = "my token" }', "token_env"),
    ],
)
def test_a_feed_that_could_not_work_is_refused_when_the_site_is_loaded(
    root: Path, feed: str, message: str
) -> None:
    with pytest.raises(SiteFileError) as caught:
        site_with(feed, root)
    assert message in str(caught.value)


def test_a_direct_source_is_refused_for_a_lifecycle_basis(root: Path) -> None:
    path = root / "edgectl" / "sites" / "demo.toml"
    text = path.read_text().replace('"direct, location average"', '"lifecycle, location average"')
    text = text.replace("[metering]", 'feed = { kind = "uk", zone = "GB" }\n\n[metering]', 1)
    with pytest.raises(SiteFileError, match="uk publishes direct emissions"):
        parse_site(path, text.encode())


def test_services_post_what_a_service_answers_with_the_hold_ending_in_time(
    serve: Callable[[Answer], LocalService],
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    now = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
    local = serve(lambda *_: (200, answers.uk().replace(b"2026-01-01T00:00Z", now.encode()).replace(
        b"2026-01-01T00:30Z", b"2100-01-01T00:00Z")))  # fmt: skip
    log = EventLog()
    feed = feed_of(
        site_with(f'{{ kind = "uk", zone = "GB", url = "{local.url}" }}', root), log, 900
    )
    assert isinstance(feed, FactorFeed)
    assert feed.book.hold_ns == 2_700 * 10**9, "the kernel keeps a value for 900 s more"
    monkeypatch.setattr("edgectl.services.carbon_feed.POST_EVERY_S", 0.01)
    services = Services(Settings("fake", tmp_path / "data", mqtt_port=0), log, feed)
    fake = start_controller()
    fake.run(3)

    def posted() -> bool:
        services.tick()
        mails = fake.segment.mailbox
        return bool((mails["value"][mails["kind"] == MailKind.MAIL_GRID_CARBON] == 263).any())

    assert wait(posted)
    services.close()
    fake.segment.close()
    assert "carbon.factor_used" in log.names
