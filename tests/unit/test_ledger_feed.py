"""The services' side of the ledger: it fails and comes back, signs, tells, and counts."""

import http.server
import json
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from event_log import EventLog
from ledger_rig import SITE, UTC_NS, FeedRig
from mqtt_stranger import wait

from edgectl.ledger import Kind, Ledger, clock, writer
from edgectl.ledger.heads import TreeHead, parse_document
from edgectl.ledger.payload import correction_said
from edgectl.ledger.rows import Row
from edgectl.ledger.signing import Witnesses, deliver
from edgectl.ledger.verify import verify
from edgectl.services import ledger_feed
from edgectl.services.counter_feed import CounterFeed, parse_count

BEGIN_S = UTC_NS // 10**9


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_feed, "RETRY_S", 0.0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[FeedRig]:
    made = FeedRig(tmp_path / "data")
    yield made
    made.feed.close()


def covered(where: Path) -> list[int]:
    with Ledger(SITE, where, read_only=True) as ledger:
        return [
            seq
            for row in ledger.rows(Kind.SECOND)
            for seq in range(row.first_seq, row.last_seq + 1)
        ]


def whole(rig: FeedRig) -> None:
    (result,) = verify(rig.where, rig.key)
    assert result.good, result.bad


def until(done: Callable[[], bool]) -> None:
    assert wait(done)


def test_seconds_wait_in_memory_for_a_directory_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").write_text("a file where the directory should be")
    rig = FeedRig(tmp_path / "data")
    rig.run(20)
    assert rig.log.names.count("ledger.write_failed") == 1, "said once"
    assert rig.feed._writer is not None
    assert len(rig.feed._writer.spool) == 20
    assert rig.feed.next_seq == 200, "the journal is read on"
    (tmp_path / "data").unlink()
    rig.run(2)
    assert rig.log.names.count("ledger.write_restored") == 1
    rig.feed.close()
    assert covered(rig.where) == list(range(216))
    whole(rig)


def test_a_disk_that_is_full_for_a_while_costs_no_record(rig: FeedRig) -> None:
    rig.run(5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        rig.run(120)
        assert "ledger.write_failed" in rig.log.names
        assert rig.feed.failing_since_s is not None, "its log was emptied, and it is full again"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    rig.run(3)
    assert rig.feed.failing_since_s is None
    assert rig.log.names[-1] == "ledger.write_restored"
    rig.feed.close()
    assert covered(rig.where) == list(range(1276))
    whole(rig)


def test_a_spool_that_is_full_leaves_the_rest_in_the_journal_and_then_books_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SPOOL_MAX", 10)
    (tmp_path / "data").write_text("in the way")
    rig = FeedRig(tmp_path / "data")
    rig.run(30)
    assert rig.log.names.count("ledger.spool_filled") == 1
    rig.run(900)
    (tmp_path / "data").unlink()
    rig.run(30)
    rig.feed.finish()
    rig.feed.close()
    found = covered(rig.where)
    assert len(found) == len(set(found))
    with Ledger(SITE, rig.where, read_only=True) as ledger:
        (gap,) = ledger.gaps()
    assert gap.scans is not None
    assert len(found) + gap.scans == 9600, "each scan is there, or counted as missing"
    whole(rig)


def test_a_run_that_ends_while_the_ledger_fails_is_written_before_the_next(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").write_text("in the way")
    first = FeedRig(tmp_path / "data")
    first.run(4)
    second = FeedRig(tmp_path / "data", UTC_NS + 10**11)
    first.feed.attach(second.reader)
    second.feed = first.feed
    (tmp_path / "data").unlink()
    second.run(4)
    second.feed.close()
    with Ledger(SITE, tmp_path / "data", read_only=True) as ledger:
        boots = [row.boot_id for row in ledger.rows(Kind.SECOND)]
        assert ledger.gaps() == []
    assert boots == sorted(boots)
    assert len(set(boots)) == 2
    assert len(covered(tmp_path / "data")) == 40 + 36


def test_a_restart_finds_its_place_and_signs_what_it_found(rig: FeedRig) -> None:
    rig.run(7)
    rig.restart()
    rig.run(7)
    rig.restart()
    rig.run(1)
    rig.feed.close()
    assert covered(rig.where) == list(range(146))
    assert [head.reason for head in rig.heads] == ["start", "stop"] * 3
    whole(rig)


def test_a_key_that_is_gone_is_not_replaced_but_said_and_waited_for(rig: FeedRig) -> None:
    rig.run(3)
    rig.feed.close()
    key = rig.where / f"{SITE}.key"
    content = key.read_bytes()
    key.unlink()
    rig.open()
    rig.run(3)
    assert not key.exists()
    assert rig.log.names[-1] == "ledger.write_failed"
    key.write_bytes(content)
    key.chmod(0o600)
    rig.run(3)
    rig.feed.close()
    assert covered(rig.where) == list(range(86))
    whole(rig)


def test_a_page_that_was_altered_meanwhile_is_an_alarm_and_stays_found(rig: FeedRig) -> None:
    rig.run(60)
    rig.feed.close()
    (path,) = rig.where.glob("*.sqlite")
    content = bytearray(path.read_bytes())
    free = content.rindex(bytes(64), 0, 8192)  # no record is touched
    content[free + 10] = 1
    path.write_bytes(content)
    rig.open()
    rig.run(5)
    assert rig.log.names.count("ledger.altered") == 1
    rig.feed.close()
    (result,) = verify(rig.where, rig.key)
    assert result.bad is not None
    assert "not as it was sealed" in result.bad


def test_a_clock_that_is_set_and_a_leap_second_are_records(rig: FeedRig) -> None:
    rig.run(3)
    rig.fake.utc_ns += 3_600 * 10**9
    rig.quality, rig.leap = "unsynchronised", "insertion due"
    rig.run(3)
    rig.fake.utc_ns -= 3_600 * 10**9
    rig.run(3)
    rig.feed.close()
    with Ledger(SITE, rig.where, read_only=True) as ledger:
        said = [row.public for row in ledger.rows(Kind.CLOCK)]
        qualities = {row.clock for row in ledger.rows(Kind.SECOND)}
    steps = [each["step_ns"] for each in said if each["what"] == "step"]
    assert steps == [3_600 * 10**9, -3_600 * 10**9]
    assert "leap second insertion due" in [each["what"] for each in said]
    assert qualities == {"synchronised", "unsynchronised"}
    assert covered(rig.where) == list(range(86)), "a step books no scan twice"
    whole(rig)


@pytest.mark.parametrize(
    ("state", "status", "quality", "leap"),
    [
        (clock.TIME_OK, 0, "synchronised", None),
        (clock.TIME_ERROR, clock.STA_UNSYNC, "unsynchronised", None),
        (clock.TIME_OK, clock.STA_UNSYNC, "unsynchronised", None),
        (clock.TIME_INS, 0, "synchronised", "insertion due"),
        (clock.TIME_OOP, 0, "synchronised", "in progress"),
    ],
)
def test_the_kernels_word_on_the_clock(
    state: int, status: int, quality: str, leap: str | None
) -> None:
    assert clock.state_of(5, state, status) == clock.ClockState(5, quality, leap)
    assert clock.clock_state().quality in {"synchronised", "unsynchronised", "unknown"}


def test_a_correction_is_appended_and_names_what_it_corrects(rig: FeedRig) -> None:
    rig.run(4)
    rig.feed.close()
    with Ledger(SITE, rig.where) as ledger:
        before = list(ledger.rows())
        said = correction_said(3, "register read again after the gap", {"energy_mj": 5}, 1, 3)
        row = Row(Kind.CORRECTION, UTC_NS, BEGIN_S, 0, -1, said.public, said.parts)
        ledger.append([(row, None)])
        after = list(ledger.rows())
    assert after[:-1] == before
    assert after[-1].public == {"refers_to": 3}
    assert after[-1].content()["figures"] == {"energy_mj": 5}


# ---- witnesses


def test_heads_reach_witness_directories_and_urls(tmp_path: Path) -> None:
    taken: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    witness = tmp_path / "witness"
    places = [str(witness), f"http://127.0.0.1:{server.server_port}/heads"]
    rig = FeedRig(tmp_path / "data", witnesses=places, interval_s=3600)
    rig.run(3)
    rig.feed.close()
    until(lambda: len(taken) == len(list(witness.glob("*.head.json"))) == 2)
    server.shutdown()
    server.server_close()
    kept = [parse_document(path.read_bytes()) for path in sorted(witness.glob("*.head.json"))]
    assert kept == [parse_document(each) for each in taken] == rig.heads
    assert verify(rig.where, rig.key, kept)[0].good


def test_a_witness_that_is_away_is_said_once_and_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgectl.ledger.signing.RETRY_S", 0.01)
    rig = FeedRig(tmp_path / "data")
    rig.run(2)
    rig.feed.close()
    place = tmp_path / "witness"
    place.write_text("in the way")
    told: list[tuple[str, str | None]] = []
    witnesses = Witnesses((str(place),), lambda *said: told.append(said))
    for head in rig.heads:
        witnesses.send(head)
    until(lambda: bool(told))
    place.unlink()
    until(lambda: len(told) == 2)
    until(lambda: len(list(place.glob("*.head.json"))) == len(rig.heads))
    witnesses.close()
    assert told[0][1] is not None
    assert told[1] == (str(place), None)
    assert len(told) == 2


def test_a_witness_does_not_let_a_head_be_said_twice_differently(tmp_path: Path) -> None:
    rigs = [FeedRig(tmp_path / name) for name in ("one", "two")]
    heads: list[TreeHead] = []
    for rig in rigs:
        rig.run(2)
        rig.feed.close()
        heads.append(rig.heads[0])
    assert deliver(str(tmp_path / "w"), heads[0]) is None
    assert deliver(str(tmp_path / "w"), heads[0]) is None
    assert "something else" in (deliver(str(tmp_path / "w"), heads[1]) or "")


# ---- counters


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"[]", b"5", b'{"value": 1}', b'{"value": true, "unit": "x", "source": "y"}',
        b'{"value": -1, "unit": "x", "source": "y"}', b'{"value": "1", "unit": "x", "source": "y"}',
        b'{"value": NaN, "unit": "x", "source": "y"}', b'{"value": 1, "unit": "", "source": "y"}',
        b'{"value": 1e300, "unit": "x", "source": "y"}', b"[" * 4000, b" " * 5000,
        b'{"value": 1, "unit": 5, "source": "y"}',
    ],
)  # fmt: skip
def test_a_count_that_is_none_is_refused_with_a_reason(payload: bytes) -> None:
    assert isinstance(parse_count("acme", "tokens", payload, 0), str)


def test_counts_come_in_by_topic_the_newest_of_each(rig: FeedRig) -> None:
    log = EventLog()
    feed = CounterFeed(log)
    for value in (5, 9):
        said = json.dumps({"value": value, "unit": "token", "source": "gateway"}).encode()
        feed.on_message("edgectl/fake/counter/acme/tokens", said)
    feed.on_message("edgectl/fake/counter/acme/jobs", b"nonsense")
    (count,) = feed.take()
    assert (count.tenant, count.name, count.value, count.source) == ("acme", "tokens", 9, "gateway")
    assert log.names == ["ledger.counter_refused"]
    assert feed.take() == []
    feed.on_message("edgectl/fake/counter/acme/tokens", said.replace(b"9", b"2"))
    assert feed.take()[0].value == 2, "a source that starts anew is booked as it says"
    assert "fell" in log.events[-1][1]["reason"]
