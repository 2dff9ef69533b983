"""Every trip leaves a whole file: what led to it, in order, bit for bit, whoever is killed."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_log import EventLog
from trip_rig import ROWS, SITE, TABLES, TripRig

from edgectl._kernel.interlock import InterlockStatus, RowFlag
from edgectl.blackbox import entries, evict, file_name, read_blackbox, read_header, rising
from edgectl.blackbox import timeline as lines_of
from edgectl.blackbox.export import write_csv, write_json
from edgectl.blackbox.format import describe, described
from edgectl.errors import DataError
from edgectl.image.layout import record_dtype
from edgectl.services import blackbox_feed
from edgectl.services.blackbox_feed import BlackboxFeed, pack_place, unpack_place

pytestmark = pytest.mark.untraced  # minutes of simulated scans

UTC_NS = 1_700_000_000_123_000_000
PERIODS_AFTER = 301  # 30 s and a scan


@pytest.fixture
def log() -> EventLog:
    return EventLog()


def feed_of(rig: TripRig, folder: Path, log: EventLog) -> BlackboxFeed:
    """A feed that looks at the rig's journal."""
    feed = BlackboxFeed(SITE.id, folder, log)
    feed.attach(rig.reader)
    return feed


def boxes(folder: Path) -> list[Path]:
    return [each.path for each in entries(folder / "blackbox")]


def leaves(records: Any) -> list[bytes]:
    """Every field's own bytes, and not what lies between fields."""
    if records.dtype.names is None:
        return [records.tobytes()]
    return [each for name in records.dtype.names for each in leaves(records[name])]


def tripped(tmp_path: Path, log: EventLog, row: str = "IL-ESTOP", before: int = 0) -> Path:
    """The file of one trip whose window has closed."""
    rig = TripRig()
    rig.put_to_work(5e6)
    feed = feed_of(rig, tmp_path, log)
    feed.pump()
    rig.scans(before)
    rig.inject(row, 0.0)
    rig.scans(PERIODS_AFTER)
    feed.pump()
    (path,) = boxes(tmp_path)
    return path


def test_a_trip_freezes_sixty_seconds_before_and_thirty_after(
    tmp_path: Path, log: EventLog
) -> None:
    box = read_blackbox(tripped(tmp_path, log, before=600))
    times_s = (box.records["head"]["time_ns"] - box.first.time_ns) / 1e9
    assert times_s[0] == -60.0
    assert times_s[-1] == 30.0
    assert list(np.diff(box.records["head"]["seq"])) == [1] * 900
    assert box.header["state"] == "complete"
    assert box.header["first_out"]["id"] == "IL-ESTOP"
    assert box.first.first_out
    assert log.names == ["blackbox.opened", "blackbox.frozen"]


def test_records_are_the_rings_own_byte_for_byte(tmp_path: Path, log: EventLog) -> None:
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(PERIODS_AFTER)
    feed.pump()
    box = read_blackbox(boxes(tmp_path)[0])
    ring = rig.reader.journal(int(box.records["head"]["seq"][0]), limit=len(box.records))
    assert leaves(box.records) == leaves(ring.records)


def test_the_trip_that_a_row_starts_with_is_none(tmp_path: Path, log: EventLog) -> None:
    rig = TripRig(settle=False)
    feed = feed_of(rig, tmp_path, log)
    rig.settle()
    feed.pump()
    assert boxes(tmp_path) == []


def test_rising_edges_are_those_the_kernel_counts() -> None:
    rig = TripRig()
    before = rig.reader.snapshot()["interlocks"]["trips"]  # in the first scan, which has no before
    for row in ("IL-ESTOP", "IL-FIRE", "IL-ESTOP", "IL-DOOR"):
        rig.inject(row, 0.0, scans=14)
        rig.scans(20)
    counted = rig.reader.snapshot()["interlocks"]["trips"] - before
    found = [row for _, row in rising(rig.reader.journal(0, limit=5000).records)]
    assert [found.count(row) for row in range(len(counted))] == counted.tolist()
    assert counted[ROWS["IL-ESTOP"]] == 1, "it was still latched the second time"


CLEAR, PENDING = InterlockStatus.INTERLOCK_CLEAR, InterlockStatus.INTERLOCK_PENDING
TRIPPED, LATCHED = InterlockStatus.INTERLOCK_TRIPPED, InterlockStatus.INTERLOCK_LATCHED
START = int(RowFlag.ROW_START)


@pytest.mark.parametrize(
    ("before", "now", "trips"),
    [
        ((CLEAR, 0), (TRIPPED, 0), True),
        ((PENDING, 0), (TRIPPED, 0), True),
        ((LATCHED, 0), (TRIPPED, 0), False),
        ((TRIPPED, 0), (TRIPPED, 0), False),
        ((LATCHED, START), (TRIPPED, 0), True),
        ((TRIPPED, START), (TRIPPED, 0), True),
        ((LATCHED, START), (TRIPPED, START), False),
        ((TRIPPED, 0), (LATCHED, 0), False),
    ],
)
def test_a_trip_is_a_rising_edge_that_is_not_the_starts(
    before: tuple[int, int], now: tuple[int, int], trips: bool
) -> None:
    records = np.zeros(2, record_dtype(TABLES.directory))
    records["interlocks"][:, 5] = before[0], now[0]
    records["interlock_flags"][:, 5] = before[1], now[1]
    assert rising(records) == ([(1, 5)] if trips else [])


def test_trips_within_one_window_share_a_file_and_extend_it(tmp_path: Path, log: EventLog) -> None:
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    rig.inject("IL-FIRE", 0.0)
    rig.scans(200)
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(PERIODS_AFTER)
    feed.pump()
    (path,) = boxes(tmp_path)
    box = read_blackbox(path)
    assert [each.id for each in box.triggers] == ["IL-FIRE", "IL-ESTOP"]
    last_s = (int(box.records["head"]["time_ns"][-1]) - box.triggers[1].time_ns) / 1e9
    assert last_s == 30.0


def test_a_row_that_goes_on_tripping_does_not_make_one_file_for_ever(
    tmp_path: Path, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blackbox_feed, "WINDOW_NS", 40_000_000_000)
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    for _ in range(12):
        rig.inject("IL-DOOR", 0.0, scans=14)
        rig.scans(60)
        feed.pump()
    rig.scans(PERIODS_AFTER)
    feed.pump()
    found = [read_blackbox(each) for each in boxes(tmp_path)]
    assert len(found) > 1
    assert sum(len(each.triggers) for each in found) == 12
    assert all(len(each.records) <= 1001 for each in found)


def test_what_led_to_a_trip_is_on_disk_before_its_window_closes(
    tmp_path: Path, log: EventLog
) -> None:
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    rig.inject("IL-ESTOP", 0.0)
    feed.pump()
    box = read_blackbox(boxes(tmp_path)[0])
    assert box.header["state"] == "open"
    assert box.first.id == "IL-ESTOP"


@pytest.mark.parametrize("kill_after_scans", [0, 1, 150, 300, 301])
def test_services_that_are_killed_leave_one_whole_file(
    tmp_path: Path, log: EventLog, kill_after_scans: int
) -> None:
    rig = TripRig()
    killed = feed_of(rig, tmp_path, log)
    killed.pump()
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(kill_after_scans)
    killed.pump()  # and then it is gone, without a word
    rig.scans(PERIODS_AFTER)
    after = feed_of(rig, tmp_path, log)
    after.pump()
    (path,) = boxes(tmp_path)
    box = read_blackbox(path)
    assert box.header["state"] == "complete"
    assert [each.id for each in box.triggers] == ["IL-ESTOP"]
    assert (int(box.records["head"]["time_ns"][-1]) - box.first.time_ns) == 30_000_000_000


def test_services_killed_before_they_kept_their_place_find_the_trip_again(
    tmp_path: Path, log: EventLog
) -> None:
    rig = TripRig()
    killed = feed_of(rig, tmp_path, log)
    rig.inject("IL-ESTOP", 0.0)
    killed.pump()
    killed.cursor_path.unlink()
    rig.scans(PERIODS_AFTER)
    feed_of(rig, tmp_path, log).pump()
    (path,) = boxes(tmp_path)
    assert read_blackbox(path).header["state"] == "complete"


def test_a_controller_that_ends_mid_window_leaves_a_file_marked_truncated(
    tmp_path: Path, log: EventLog
) -> None:
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(50)
    assert feed.finish()
    box = read_blackbox(boxes(tmp_path)[0])
    assert box.header["state"] == "truncated"
    assert box.header["because"] == "the controller ended"
    assert int(box.records["head"]["time_ns"][-1]) - box.first.time_ns < 30_000_000_000


def test_a_file_left_open_by_both_is_marked_once_the_next_run_is_read(
    tmp_path: Path, log: EventLog
) -> None:
    rig = TripRig()
    feed_of(rig, tmp_path, log).pump()
    rig.inject("IL-ESTOP", 0.0)
    feed_of(rig, tmp_path, log).pump()
    rig.restart()
    rig.scans(5)
    feed_of(rig, tmp_path, log).pump()
    header = read_header(boxes(tmp_path)[0])
    assert header["state"] == "truncated"
    assert header["because"] == "the controller and the services ended"


def test_services_away_longer_than_the_ring_is_deep_say_what_is_missing(
    tmp_path: Path, log: EventLog
) -> None:
    rig = TripRig(slots=256)
    feed = feed_of(rig, tmp_path, log)
    feed.pump()
    rig.inject("IL-ESTOP", 0.0)
    feed.pump()
    rig.scans(400)
    feed.pump()
    box = read_blackbox(boxes(tmp_path)[0])
    assert box.header["state"] == "truncated"
    assert box.header["lost"] > 0
    assert "blackbox.gap_found" in log.names


def test_a_full_disk_is_told_once_and_the_file_is_written_once_there_is_room(
    tmp_path: Path, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    feed.pump()
    sound = blackbox_feed.write_blackbox

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blackbox_feed, "write_blackbox", full)
    monkeypatch.setattr(blackbox_feed, "RETRY_S", 0.0)
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(PERIODS_AFTER)
    for _ in range(5):
        assert not feed.pump()
    assert log.names.count("blackbox.write_failed") == 1
    monkeypatch.setattr(blackbox_feed, "write_blackbox", sound)
    assert feed.pump()
    box = read_blackbox(boxes(tmp_path)[0])
    assert (box.header["state"], len(box.triggers)) == ("complete", 1)
    assert "blackbox.write_restored" in log.names


def test_a_disk_that_is_full_between_two_windows_doubles_no_trip(
    tmp_path: Path, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    feed.pump()
    sound, full = blackbox_feed.write_blackbox, True

    def write(*arguments: Any) -> int:
        if full:
            raise OSError(28, "No space left on device")
        return sound(*arguments)

    monkeypatch.setattr(blackbox_feed, "write_blackbox", write)
    monkeypatch.setattr(blackbox_feed, "RETRY_S", 0.0)
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(PERIODS_AFTER + 20)
    rig.inject("IL-FIRE", 0.0)
    rig.scans(PERIODS_AFTER)
    for _ in range(3):
        assert not feed.pump()
    full = False
    assert feed.pump()
    triggers = [[each.id for each in read_blackbox(path).triggers] for path in boxes(tmp_path)]
    assert triggers == [["IL-ESTOP"], ["IL-FIRE"]]


@pytest.mark.parametrize("where", ["header", "records", "cut"])
def test_a_file_that_was_changed_or_cut_off_is_refused(
    tmp_path: Path, log: EventLog, where: str
) -> None:
    path = tripped(tmp_path, log)
    raw = bytearray(path.read_bytes())
    if where == "cut":
        raw = raw[:-1]
    else:
        raw[100 if where == "header" else -100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="SHA-256"):
        read_blackbox(path)


def test_what_is_no_black_box_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ebb"
    with pytest.raises(DataError, match="cannot be opened"):
        read_blackbox(path)
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match="begins with"):
        read_blackbox(path)


def test_a_records_layout_is_rebuilt_from_plain_types() -> None:
    dtype = record_dtype(TABLES.directory)
    plain = json.loads(json.dumps(describe(dtype)))
    assert described(plain) == dtype
    assert described(plain).itemsize == dtype.itemsize


def test_a_cursor_that_is_spoilt_is_told_and_the_ring_is_read_again(
    tmp_path: Path, log: EventLog
) -> None:
    rig = TripRig()
    feed = feed_of(rig, tmp_path, log)
    rig.inject("IL-ESTOP", 0.0)
    feed.pump()
    feed.cursor_path.write_bytes(b"\xc1")
    rig.scans(PERIODS_AFTER)
    again = feed_of(rig, tmp_path, log)
    again.pump()
    assert "blackbox.cursor_lost" in log.names
    assert len(boxes(tmp_path)) == 1
    place = unpack_place(pack_place(again._place))
    assert place == again._place


def test_the_oldest_files_give_way_and_the_newest_of_each_row_never(tmp_path: Path) -> None:
    for minute, row in enumerate(["IL-A", "IL-B", "IL-A", "IL-A", "IL-A"]):
        name = file_name("demo", UTC_NS + minute * 60_000_000_000, row)
        (tmp_path / name).write_bytes(b"x" * 100)
    (tmp_path / file_name("demo-2", UTC_NS, "IL-A")).write_bytes(b"x" * 100)
    gone = evict(tmp_path, "demo", 300)
    assert [each.row for each in gone] == ["IL-A", "IL-A"]
    assert [each.row for each in entries(tmp_path, "demo")] == ["IL-B", "IL-A", "IL-A"]
    evict(tmp_path, "demo", 0)
    assert [each.row for each in entries(tmp_path, "demo")] == ["IL-B", "IL-A"]
    assert len(entries(tmp_path, "demo-2")) == 1


def test_a_name_says_site_time_and_row() -> None:
    assert file_name("demo", UTC_NS, "IL-A") == "demo-20231114T221320.123Z-IL-A.ebb"


def test_the_time_line_has_first_out_order_causes_and_the_plant(
    tmp_path: Path, log: EventLog
) -> None:
    box = read_blackbox(tripped(tmp_path, log, before=100))
    (trip,) = lines_of.trips(box)
    assert (trip.ms, trip.row.id) == (0.0, "IL-ESTOP")
    assert trip.row.status == InterlockStatus.INTERLOCK_TRIPPED
    assert trip.row.has(RowFlag.ROW_UNDER_TEST)
    assert "IO-01.estop_channel_a is 1; trips at 0" in [each.text for each in trip.row.causes]
    texts = {each.text: each.ms for each in lines_of.lines(box)}
    assert texts["IL-ESTOP (E-stop pressed, or one of its two channels open) TRIPS, FIRST OUT"] == 0
    assert texts["BESS-01 setpoint charging at 5 MW -> 0 W"] == 0
    assert texts["maintenance mode entered"] == -100.0
    around = lines_of.around(box)
    at_trip = next(each for each in around if each.ms == 0.0)
    later = next(each for each in around if each.ms == 5000.0)
    assert at_trip.setpoints_w == (0.0, 0.0)
    assert abs(at_trip.powers_w[0]) > 4e6
    assert abs(later.powers_w[0]) < 0.1e6


def test_every_scan_is_exported_with_values_in_si(tmp_path: Path, log: EventLog) -> None:
    box = read_blackbox(tripped(tmp_path, log))
    assert write_csv(box, tmp_path / "x.csv") == len(box.records)
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    at = int(np.flatnonzero(box.records["head"]["seq"] == box.first.seq)[0])
    assert rows[at]["IL-ESTOP"] == "tripped"
    assert float(rows[at]["grid_w"]) == box.records["head"]["grid_w"][at]
    power_w = float(rows[at]["PCS-01.active_power"])
    assert math.isclose(power_w, box.records["storages"]["power_w"][at][0], rel_tol=1e-12)
    assert abs(power_w) > 1e6
    assert rows[at]["PCS-01.active_power.quality"] == "good"
    write_json(box, tmp_path / "x.json")
    whole = json.loads((tmp_path / "x.json").read_text())
    assert len(whole["scans"]) == len(box.records)
    assert whole["units"]["PCS-01.active_power"] == "W"
    assert whole["scans"][at]["ms"] == 0.0
