"""The grid carbon feed: a value with its time and its end, or none at all."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from event_log import EventLog
from fake_controller import UTC_NS, start_controller

from edgectl._kernel.journal import MailKind
from edgectl.accounting.factors import Factor, Kind, Scope
from edgectl.errors import DataError
from edgectl.services import CarbonPoster, FileFeed, Services, Settings


@pytest.fixture(autouse=True)
def shm_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own segments."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))


def grams(feed: FileFeed, utc_ns: int) -> float | None:
    """What the feed gives, as the file has it."""
    factor = feed.at(utc_ns)
    return None if factor is None else factor.mg_per_kwh / 1000


def factor(mg_per_kwh: int, kind: Kind = Kind.AVERAGE) -> Factor:
    return Factor(mg_per_kwh, kind, Scope.DIRECT, "ZONE", "a plan", "1", 0, 10, 5, False, "ab" * 32)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "utc_ns,g_per_kwh\n1000,300\n2000,412.5\n"),
        ("a.json", '{"rows": [[2000, 412.5], [1000, 300]]}'),
    ],
)
def test_a_row_of_a_feed_holds_until_the_next(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    feed = FileFeed(path, "ZONE")
    assert [grams(feed, utc) for utc in (999, 1000, 1999, 2000, 4000)] == [
        None,
        300,
        300,
        412.5,
        412.5,
    ]
    assert grams(feed, 4001) is None, "the last row does not hold for ever"


def test_a_feed_of_electricity_maps_gives_the_direct_column(tmp_path: Path) -> None:
    path = tmp_path / "ci.csv"
    path.write_text(
        "Datetime (UTC),Zone Id,Carbon Intensity gCO₂eq/kWh (direct),"
        "Carbon Intensity gCO₂eq/kWh (LCA)\n"
        "2023-11-14 22:00:00,US-TEX-ERCO,343.98,406.75\n"
        "2023-11-14 23:00:00,US-TEX-ERCO,,\n"
        "2023-11-15 00:00:00,US-TEX-ERCO,310.05,372.77\n"
    )
    feed = FileFeed(path, "ZONE")
    assert grams(feed, UTC_NS) == 343.98
    assert grams(feed, UTC_NS + 3600 * 10**9) == 343.98, "the empty hour is bridged"
    assert grams(feed, UTC_NS + 2 * 3600 * 10**9) == 310.05


def test_the_shared_trace_can_be_read_as_it_is(shared_data: Path) -> None:
    feed = FileFeed(shared_data / "ci" / "US-TEX-ERCO_2021_hourly.csv", "US-TEX-ERCO")
    assert grams(feed, 1_609_459_200 * 10**9) == 343.98


@pytest.mark.parametrize(("name", "text"), [("a.json", '{"g_per_kwh": 412}'),
                                            ("a.toml", "g_per_kwh = 412.0")])  # fmt: skip
def test_a_constant_holds_always(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert grams(FileFeed(tmp_path / name, "ZONE"), UTC_NS) == 412.0


def test_a_rewritten_feed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"g_per_kwh": 412}')
    feed = FileFeed(path, "ZONE")
    path.write_text('{"g_per_kwh": 17.25}')
    assert grams(feed, UTC_NS) == 17.25


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""),
        ("a.csv", "utc_ns,g_per_kwh\n"),
        ("a.csv", "time,value\n1,2\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1,nan\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1,-5\n"),
        ("a.csv", "utc_ns,g_per_kwh\n1,9000\n"),
        ("a.csv", "Datetime (UTC),x\n2023-01-01 00:00:00,1\n"),
        ("a.json", "{"),
        ("a.json", "[]"),
        ("a.json", '{"rows": [[1]]}'),
        ("a.toml", "g_per_kwh ="),
        ("a.csv", None),
    ],
)
def test_a_feed_in_no_known_form_is_refused(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="no grid carbon intensity"):
        FileFeed(tmp_path / name, "ZONE")


def test_the_poster_posts_with_an_expiry_and_says_a_failure_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgectl.services.carbon_feed.POST_EVERY_S", 0.0)
    values = [None, None, factor(412_500), None]
    log = EventLog()
    poster = CarbonPoster(SimpleNamespace(at=lambda _utc_ns: values.pop(0)), "fake", log, ttl_s=60)
    fake = start_controller()
    poster.poll()
    poster.poll()
    assert log.names == ["carbon.feed_failed"]
    poster.poll()
    mail = fake.segment.mailbox[0]
    assert (mail["kind"], mail["value"], poster.posted) == (4, 412.5, 1)
    left_ns = mail["expiry_ns"] - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert 0 < left_ns <= 60 * 10**9
    poster.poll()
    assert log.names == ["carbon.feed_failed"] * 2
    fake.segment.close()


def test_the_poster_outlives_a_controller_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgectl.services.carbon_feed.POST_EVERY_S", 0.0)
    log = EventLog()
    poster = CarbonPoster(SimpleNamespace(at=lambda _utc_ns: factor(400_000)), "nowhere", log)
    poster.poll()
    assert log.names == ["carbon.feed_failed"]


def test_services_post_the_feed_to_the_controller_they_read(tmp_path: Path) -> None:
    (tmp_path / "feed.json").write_text('{"g_per_kwh": 233}')
    settings = Settings("fake", tmp_path / "data", mqtt_port=0)
    services = Services(settings, EventLog(), FileFeed(tmp_path / "feed.json", "ZONE"))
    fake = start_controller()
    fake.run(3)
    services.tick()
    mails = {int(mail["kind"]): float(mail["value"]) for mail in fake.segment.mailbox[:2]}
    assert mails == {MailKind.MAIL_SERVICES: 0.0, MailKind.MAIL_GRID_CARBON: 233.0}
    services.close()
    fake.segment.close()
