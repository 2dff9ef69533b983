"""The segment from Python: one owner, whole copies, counted gaps, a mailbox that says no."""

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from fake_controller import FakeController, directory

from edgectl.errors import MailboxFullError, SegmentError
from edgectl.image import (
    Mailbox,
    Segment,
    SegmentReader,
    attach,
    create_segment,
    post,
    private_segment,
    segment_path,
)
from edgectl.image.layout import MAILBOX_SLOTS, composite, slots_for
from edgectl.image.reader import process_alive

UTC_NS = 1_700_000_000_000_000_000


@pytest.fixture(autouse=True)
def shm_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has its own directory for segments."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def segment() -> Iterator[Segment]:
    """A running controller's segment."""
    with create_segment("fake", directory(), 0.1, 100_000_000) as made:
        yield made


def private(slots: int = 64) -> tuple[FakeController, SegmentReader]:
    """A controller and a reader in this process."""
    made = private_segment(directory(), slots)
    return FakeController(made, UTC_NS), made.reader()


def test_every_part_of_record_and_snapshot_starts_on_eight_bytes() -> None:
    for dtype in (private()[1].layout.record, private()[1].layout.snapshot):
        assert dtype.fields is not None
        assert all(offset % 8 == 0 for _, offset, *_ in dtype.fields.values())
        assert dtype.itemsize % 8 == 0
    odd = composite([("a", np.dtype("u1"), (3,)), ("b", np.dtype("i8"), (0,))])
    assert odd.itemsize == 8


def test_ring_holds_the_minutes_asked_for_and_the_slot_being_written() -> None:
    assert slots_for(10, 100_000_000) == 6001


def test_a_reader_finds_the_directory_and_the_last_scan(segment: Segment) -> None:
    FakeController(segment, UTC_NS).run(7)
    with attach("fake") as reader:
        assert reader.directory == directory()
        assert reader.alive()
        assert reader.current()
        snapshot = reader.snapshot()
        assert snapshot["head"]["seq"] == 6
        assert snapshot["record"]["utc_ns"] == UTC_NS + 600_000_000
        batch = reader.journal(0)
        assert (batch.first_seq, batch.lost, batch.next_seq) == (0, 0, 7)
        assert batch.records["flows"].shape == (7, 5, 7)


def test_a_snapshot_is_a_copy_that_later_scans_do_not_change() -> None:
    fake, reader = private()
    fake.scan()
    snapshot = reader.snapshot()
    fake.run(3)
    assert snapshot["head"]["seq"] == 0


def test_a_reader_cannot_write(segment: Segment) -> None:
    with attach("fake") as reader, pytest.raises(ValueError, match="read-only"):
        reader._head["journal_head"] = 99


def test_a_second_controller_of_a_site_is_refused_with_the_pid(segment: Segment) -> None:
    with pytest.raises(SegmentError, match=f"another controller is running: pid {os.getpid()}"):
        create_segment("fake", directory(), 0.1, 100_000_000)


def test_the_segment_of_a_dead_controller_is_replaced_and_old_readers_see_it(
    segment: Segment,
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    segment.head["controller_pid"] = dead.pid
    with attach("fake") as reader:
        assert not reader.alive()
        assert not reader.stopped
        with create_segment("fake", directory(), 0.1, 100_000_000):
            assert not reader.current()
            with attach("fake") as fresh:
                assert fresh.alive()


def test_an_orderly_stop_is_told_from_a_crash(segment: Segment) -> None:
    reader = attach("fake")
    segment.close()
    assert reader.stopped
    assert not reader.alive()
    create_segment("fake", directory(), 0.1, 100_000_000).close(unlink=True)
    assert not segment_path("fake").exists()


def test_a_process_with_a_recycled_pid_is_not_the_controller() -> None:
    now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert process_alive(os.getpid(), now_ns)
    assert not process_alive(os.getpid(), 0), "it started after the segment was made"
    assert not process_alive(0, now_ns)


def test_a_host_that_stalls_between_two_looks_at_its_clocks_makes_no_controller_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    looks = count(now_ns, 10**18)  # years between one look and the next
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _clock: next(looks))
    assert process_alive(os.getpid(), now_ns)


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while process_alive(child.pid, time.clock_gettime_ns(time.CLOCK_MONOTONIC)):
        assert time.monotonic() < deadline
    child.wait()


def test_what_the_writer_overtook_is_counted_and_not_delivered() -> None:
    fake, reader = private(slots=16)
    fake.run(100)
    batch = reader.journal(10)
    assert batch.lost == 75
    assert list(batch.records["head"]["seq"]) == list(range(85, 100))


def test_reading_goes_on_over_the_end_of_the_ring() -> None:
    fake, reader = private(slots=16)
    fake.run(12)
    batch = reader.journal(0)
    fake.run(8)
    more = reader.journal(batch.next_seq)
    assert more.lost == 0
    assert list(more.records["head"]["seq"]) == list(range(12, 20))
    limited = reader.journal(6, limit=4)
    assert list(limited.records["head"]["seq"]) == [6, 7, 8, 9]


def test_an_empty_read_is_no_gap() -> None:
    fake, reader = private()
    fake.run(3)
    batch = reader.journal(3)
    assert (len(batch.records), batch.lost, batch.next_seq) == (0, 0, 3)


@pytest.mark.parametrize("cursor", [-1, 4])
def test_a_cursor_of_another_run_is_refused(cursor: int) -> None:
    fake, reader = private()
    fake.run(3)
    with pytest.raises(SegmentError, match="another run"):
        reader.journal(cursor)


def test_records_that_do_not_carry_their_own_number_are_refused() -> None:
    fake, reader = private()
    fake.run(3)
    fake.journal["head"]["seq"][1] = 7
    with pytest.raises(SegmentError, match="do not carry their own numbers"):
        reader.journal(0)


def test_a_writer_that_died_inside_the_snapshot_is_named(segment: Segment) -> None:
    segment.head["snapshot_seq"] = 5
    segment.head["controller_pid"] = 2**22 + 1
    with attach("fake") as reader, pytest.raises(SegmentError, match="is gone"):
        reader.snapshot()


def test_a_writer_that_the_host_keeps_inside_the_snapshot_is_waited_for(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeController(segment, UTC_NS).scan()
    segment.head["snapshot_seq"] += 1
    slept_s = [0.0]

    def sleep(seconds: float) -> None:
        slept_s[0] += seconds
        if slept_s[0] > 1.0:
            segment.head["snapshot_seq"] |= 1
            segment.head["snapshot_seq"] += 1

    monkeypatch.setattr(time, "sleep", sleep)
    with attach("fake") as reader:
        assert reader.snapshot()["head"]["seq"] == 0
        segment.head["snapshot_seq"] += 1
        monkeypatch.setattr(time, "sleep", slept_s.append)
        with pytest.raises(SegmentError, match="Look at the load of the machine"):
            reader.snapshot()


def test_no_snapshot_is_ever_torn_by_a_writer_at_full_speed() -> None:
    fake, reader = private()
    fake.scan()
    running = True

    def write() -> None:
        while running:
            fake.scan()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            snapshot = reader.snapshot()
            assert snapshot["head"]["seq"] == snapshot["record"]["seq"]
            assert snapshot["record"]["period"] == snapshot["record"]["seq"]
    finally:
        running = False
        writer.join()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("magic", 1, "magic"),
        ("version", 1, "version"),
        ("head_bytes", 8, "head_bytes"),
        ("record_bytes", 8, "record_bytes"),
        ("snapshot_bytes", 8, "snapshot_bytes"),
        ("journal_slots", 2**40, "slots"),
        ("journal_slots", -1, "slots"),
        ("directory_offset", 2**50, "directory"),
        ("directory_bytes", -8, "directory"),
        ("total_bytes", 2**50, "total_bytes"),
    ],
)
def test_a_segment_of_another_shape_is_refused(
    segment: Segment, field: str, value: int, said: str
) -> None:
    segment.head[field] = value
    with pytest.raises(SegmentError, match=said):
        attach("fake")


@pytest.mark.parametrize("content", [b"", b"edgectl", b"\xff" * 4096, b"\0" * 100_000])
def test_a_file_that_is_no_segment_is_refused(shm_dir: Path, content: bytes) -> None:
    segment_path("other").write_bytes(content)
    with pytest.raises(SegmentError):
        attach("other")


def test_an_absent_segment_tells_how_to_make_one() -> None:
    with pytest.raises(SegmentError, match="edgectl run"):
        attach("nowhere")


@pytest.mark.parametrize("site_id", ["", "a/b", "..", "x" * 64, "a b"])
def test_a_site_id_that_is_no_file_name_is_refused(site_id: str) -> None:
    with pytest.raises(SegmentError, match="site id"):
        segment_path(site_id)


def test_a_directory_without_its_lists_is_refused() -> None:
    with pytest.raises(SegmentError, match="points"):
        private_segment({"site": "x"}, 16)


def test_a_request_lands_sealed_with_its_expiry(segment: Segment) -> None:
    with Mailbox("fake") as mailbox:
        before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        assert mailbox.put(kind=1, target=0, value=-5e5, authority=2, ttl_s=2.0) == 0
        after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        assert mailbox.pending() == 1
    mail = segment.mailbox[0]
    assert (mail["seq"], mail["kind"], mail["target"], mail["value"]) == (0, 1, 0, -5e5)
    assert mail["check"] == 1 ^ 0 ^ 2 ^ 0x5EED
    assert before_ns <= mail["expiry_ns"] - 2_000_000_000 <= after_ns
    assert segment.head["mailbox_head"][0] == 1


def test_a_full_mailbox_refuses_and_overwrites_nothing(segment: Segment) -> None:
    with Mailbox("fake") as mailbox:
        for place in range(MAILBOX_SLOTS):
            assert mailbox.put(1, 0, float(place), 2, 5.0) == place
        with pytest.raises(MailboxFullError, match="256 of 256"):
            mailbox.put(1, 0, 9.0, 2, 5.0)
        segment.head["mailbox_tail"] = 1
        assert mailbox.put(1, 0, 256.0, 2, 5.0) == MAILBOX_SLOTS
    assert segment.mailbox[0]["value"] == 256.0
    assert segment.mailbox[1]["value"] == 1.0


def fill_until_refused() -> None:
    with Mailbox("fake") as mailbox:
        for place in range(MAILBOX_SLOTS + 1):
            mailbox.put(1, 0, float(place), 2, 5.0)


def test_a_refusal_that_leaves_the_mailbox_is_the_one_that_was_raised(segment: Segment) -> None:
    with pytest.raises(MailboxFullError):
        fill_until_refused()
    assert segment.mailbox[0]["value"] == 0.0


@pytest.mark.parametrize(
    ("kind", "target", "value", "ttl_s"),
    [
        (1, 0, math.nan, 5.0),
        (1, 0, math.inf, 5.0),
        (1, 0, 1.0, 0.0),
        (1, 0, 1.0, -1.0),
        (1, 0, 1.0, math.nan),
        (1, 0, 1.0, math.inf),
        (2**31, 0, 1.0, 5.0),
        (1, -(2**31) - 1, 1.0, 5.0),
    ],
)
def test_a_request_that_cannot_be_is_refused_before_it_is_posted(
    segment: Segment, kind: int, target: int, value: float, ttl_s: float
) -> None:
    with Mailbox("fake") as mailbox, pytest.raises(SegmentError):
        mailbox.put(kind, target, value, 2, ttl_s)
    assert segment.head["mailbox_head"][0] == 0


@pytest.mark.parametrize(("head", "tail"), [(-1, -1), (5, 9), (2**62, 0), (0, -300)])
def test_a_mailbox_full_of_garbage_is_refused_not_followed(
    segment: Segment, head: int, tail: int
) -> None:
    segment.head["mailbox_head"], segment.head["mailbox_tail"] = head, tail
    with Mailbox("fake") as mailbox, pytest.raises(MailboxFullError):
        mailbox.put(1, 0, 1.0, 2, 5.0)


def test_a_mailbox_does_not_post_to_a_controller_that_was_replaced(segment: Segment) -> None:
    with Mailbox("fake") as mailbox:
        segment.close()
        with (
            create_segment("fake", directory(), 0.1, 100_000_000),
            pytest.raises(SegmentError, match="new segment"),
        ):
            mailbox.put(1, 0, 1.0, 2, 5.0)


def test_a_request_of_a_simulation_expires_on_the_simulated_clock() -> None:
    made = private_segment(directory(), 16)
    post(made.head, made.mailbox, 4, 0, 400.0, 1, expiry_ns=123)
    assert made.mailbox[0]["expiry_ns"] == 123


def test_producers_in_many_threads_lose_no_request(segment: Segment) -> None:
    def produce(worker: int) -> None:
        with Mailbox("fake") as mailbox:
            for number in range(20):
                mailbox.put(1, worker, float(number), 2, 5.0)

    threads = [threading.Thread(target=produce, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mails = segment.mailbox[:160]
    assert segment.head["mailbox_head"][0] == 160
    assert list(mails["seq"]) == list(range(160))
    assert {(int(m["target"]), int(m["value"])) for m in mails} == {
        (worker, number) for worker in range(8) for number in range(20)
    }


def test_the_segment_is_readable_by_others_and_writable_by_none(segment: Segment) -> None:
    assert segment_path("fake").stat().st_mode & 0o777 == 0o644
    assert segment.head.dtype.itemsize == segment.head["head_bytes"][0]
