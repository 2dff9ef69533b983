"""The ledger: every scan in exactly one second, exact sums, no silent gap, no double booking."""

import hashlib
import math
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import numpy as np
import pytest
from fake_controller import FakeController, directory, flow_cells

from edgectl.errors import LedgerError
from edgectl.image import Segment, SegmentReader, create_segment, private_segment
from edgectl.ledger import Cursor, Kind, Ledger, LedgerWriter, canonical, data_dir, merkle, seal
from edgectl.ledger.keys import generate
from edgectl.ledger.month import read_meta
from edgectl.ledger.record import decode, leaf_of

UTC_NS = 1_700_000_000_400_000_000  # 0.4 s into a second


class Rig:
    """A controller, its reader and a ledger, all in this process and in simulated time."""

    def __init__(self, where: Path, slots: int = 4096, utc_ns: int = UTC_NS) -> None:
        self.segment = private_segment(directory(), slots)
        self.segment.head["start_utc_ns"] = utc_ns
        self.fake = FakeController(self.segment, utc_ns)
        self.reader = self.segment.reader()
        self.where = where
        self.open()

    def open(self) -> None:
        self.ledger = Ledger("fake", self.where)
        self.writer = LedgerWriter(self.ledger, self.reader)

    def restart(self) -> None:
        self.ledger.close()
        self.open()

    def pump(self, limit: int = 1000) -> int:
        """Read to the end; seconds written."""
        written = 0
        while (batch := self.reader.journal(self.writer.next_seq, limit)).next_seq:
            written += self.writer.add(batch)
            if self.writer.next_seq >= self.fake.seq:
                return written
        return written


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def journal_totals(seqs: range) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """What the ledger must add up to, in Python's own integers."""
    names = directory()
    energy: Counter[tuple[str, str]] = Counter()
    carbon: Counter[tuple[str, str]] = Counter()
    for seq in seqs:
        energy_mj, carbon_ug = flow_cells(seq, len(names["sources"]), len(names["sinks"]))
        for row, source in enumerate(names["sources"]):
            for column, sink in enumerate(names["sinks"]):
                if energy_mj[row, column] or carbon_ug[row, column]:
                    energy[source, sink] += int(energy_mj[row, column])
                    carbon[source, sink] += int(carbon_ug[row, column])
    return energy, carbon


def covered(ledger: Ledger, boot_id: int | None = None) -> list[int]:
    """Every journal number the SECOND rows cover, in their order."""
    return [
        seq
        for row in ledger.rows(Kind.SECOND)
        if boot_id in (None, row.boot_id)
        for seq in range(row.first_seq, row.last_seq + 1)
    ]


def test_only_seconds_that_are_over_are_written(rig: Rig) -> None:
    rig.fake.run(6)
    assert rig.pump() == 0
    rig.fake.run(1)
    assert rig.pump() == 1
    (row,) = rig.ledger.rows(Kind.SECOND)
    assert (row.first_seq, row.last_seq, row.utc_s) == (0, 5, UTC_NS // 10**9)
    assert rig.writer.cursor.next_seq == 6
    assert rig.writer.next_seq == 7


def test_sums_equal_the_journals_to_the_last_unit(rig: Rig) -> None:
    rig.fake.run(1007)
    assert rig.pump(limit=77) == 101
    totals = rig.ledger.totals()
    energy, carbon = journal_totals(range(1006))
    assert totals.energy_mj == energy
    assert totals.carbon_ug == carbon
    assert (totals.scans, totals.seconds, totals.gap_scans) == (1006, 101, 0)


def test_a_second_says_what_its_scans_said(rig: Rig) -> None:
    rig.fake.run(17)
    rig.pump()
    content = list(rig.ledger.rows(Kind.SECOND))[1].content()
    assert content["first_utc_ns"] // 10**9 == UTC_NS // 10**9 + 1
    assert content["scans"] == 10
    assert content["first_utc_ns"] == UTC_NS + 600_000_000
    assert (content["measured"], content["estimated"], content["substituted"]) == (65, 5, 0)
    assert content["grid_min_w"] == 70e6 + 6e3
    assert content["grid_max_w"] == 70e6 + 15e3
    assert content["grid_mean_w"] == pytest.approx(70e6 + 10.5e3)
    assert content["pue"] == 1.25
    assert content["lateness_max_ns"] == 20_015
    assert content["armed_scans"] == 10
    assert content["tripped"] == [2]
    assert content["stocks"] == [[9_000_000_000, 4_000_000]] * 2
    assert content["soc_ratio"] == [0.5, 0.5]
    assert content["stock_origins_mj"] == [[4_000_000_000, 5_000_000_000, 0, 0]] * 2
    assert content["storage_accounts"] == [[30, 20, 0, 0, 0]] * 2
    assert content["storage_rules"] == [0, 0, 0, 0]
    cells = [flow_cells(seq, 5, 7) for seq in range(6, 16)]
    energy, carbon = (sum(cell[part][0].sum() for cell in cells) for part in (0, 1))
    assert content["weighted_mg_per_kwh"] == int(carbon) * 3_600_000 // int(energy)


def test_empty_cells_take_no_room(rig: Rig) -> None:
    rig.fake.run(17)
    rig.pump()
    for row in rig.ledger.rows(Kind.SECOND):
        assert all(source != 1 for source, *_ in row.content()["cells"])


def test_a_leaf_is_the_rfc_6962_hash_of_the_head_and_the_salted_parts(rig: Rig) -> None:
    rig.fake.run(20)
    rig.pump()
    rig.ledger.close()
    (path,) = rig.where.glob("*.sqlite")
    leaves = []
    with sqlite3.connect(path) as connection:
        salt_key = read_meta(connection).salt_key
        for body, root in connection.execute("SELECT body, root FROM pack").fetchall():
            for stored in decode(body):
                content = stored.head
                for part, own in enumerate(stored.parts):
                    block = salt_key + (len(leaves) // 64).to_bytes(8, "big") + bytes([0, part])
                    low = 16 * (len(leaves) % 64)
                    salt = hashlib.shake_128(block).digest(1024)[low : low + 16]
                    content += hashlib.sha256(b"\2" + salt + own).digest()
                leaf = hashlib.sha256(b"\0" + content).digest()
                assert leaf == leaf_of(salt_key, len(leaves), stored.head, stored.parts)
                assert leaf.startswith(stored.check)
                assert canonical(msgpack.unpackb(stored.head)) == stored.head
                leaves.append(leaf)
            assert merkle.root(leaves) == root
    connection.close()
    assert len(leaves) == 3


def test_equal_content_is_equal_bytes_and_nan_is_refused() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": (1,)}}) == canonical(
        {"a": {"c": [1], "d": 2}, "b": 1}
    )
    with pytest.raises(ValueError, match="no place in the ledger"):
        canonical({"a": [math.nan]})


def test_values_that_are_not_known_are_nil(rig: Rig) -> None:
    rig.fake.run(7)
    rig.fake.journal["head"]["pue"] = math.nan
    rig.fake.journal["head"]["grid_w"] = math.nan
    rig.fake.journal["storages"]["soc_ratio"] = math.nan
    rig.pump()
    content = next(rig.ledger.rows(Kind.SECOND)).content()
    assert content["pue"] is None
    assert content["grid_mean_w"] is None
    assert content["soc_ratio"] == [None, None]


def test_a_second_split_over_a_restart_is_neither_lost_nor_doubled(rig: Rig) -> None:
    for scans in (3, 9, 1, 14, 2, 30):
        rig.fake.run(scans)
        rig.pump()
        rig.restart()
    rig.fake.run(8)
    rig.pump()
    assert covered(rig.ledger) == list(range(66))
    assert [row.content()["scans"] for row in rig.ledger.rows(Kind.SECOND)] == [6] + [10] * 6


def test_what_the_ring_lost_is_booked_as_a_gap_with_its_number(tmp_path: Path) -> None:
    rig = Rig(tmp_path, slots=64)
    rig.fake.run(9)
    rig.pump()
    rig.fake.run(491)
    rig.pump()
    rig.writer.finish()
    (gap,) = rig.ledger.gaps()
    assert (gap.first_seq, gap.scans) == (9, 500 - 63 - 9)
    assert covered(rig.ledger) == [*range(9), *range(437, 500)]
    totals = rig.ledger.totals()
    assert totals.scans + totals.gap_scans == 500, "each period is counted once"
    kinds = [row.kind for row in rig.ledger.rows()][:4]
    assert kinds == [Kind.START, Kind.SECOND, Kind.SECOND, Kind.GAP]


def test_skipped_periods_are_counted_as_gap_scans(rig: Rig) -> None:
    rig.fake.run(17)
    rig.fake.journal["head"]["period"][8:] += 4
    rig.pump()
    assert [row.content()["gap_scans"] for row in rig.ledger.rows(Kind.SECOND)] == [0, 4]


def test_two_runs_in_one_second_stay_two_rows(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.fake.run(3)
    first.pump()
    assert first.writer.finish() == 1
    first.ledger.close()
    second = Rig(tmp_path, utc_ns=UTC_NS + 300_000_000)
    second.fake.run(8)
    second.pump()
    rows = list(second.ledger.rows(Kind.SECOND))
    assert [row.utc_s for row in rows] == [UTC_NS // 10**9] * 2
    assert len({row.boot_id for row in rows}) == 2
    assert second.ledger.gaps() == []
    assert second.ledger.totals().energy_mj == sum(
        (journal_totals(range(scans))[0] for scans in (3, 3)), Counter()
    )


def test_a_run_that_ended_unseen_is_a_gap_of_unknown_length(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.fake.run(8)
    first.pump()
    first.ledger.close()
    second = Rig(tmp_path, utc_ns=UTC_NS + 10**10)
    (gap,) = second.ledger.gaps()
    assert (gap.boot_id, gap.first_seq, gap.scans) == (UTC_NS, 6, None)
    second.restart()
    assert len(second.ledger.gaps()) == 1


def test_a_finished_run_is_finished_once(rig: Rig) -> None:
    rig.fake.run(8)
    rig.pump()
    assert rig.writer.finish() == 1
    assert rig.writer.finish() == 0
    rig.restart()
    assert rig.writer.finish() == 0
    assert covered(rig.ledger) == list(range(8))


def test_each_month_has_its_file_and_numbers_go_on(tmp_path: Path) -> None:
    new_year_ns = 1_704_067_200 * 10**9
    rig = Rig(tmp_path, utc_ns=new_year_ns - 2 * 10**9)
    rig.fake.run(45)
    rig.pump()
    rig.restart()
    assert sorted(path.name for path in tmp_path.glob("*.sqlite")) == [
        "fake-2023-12.sqlite",
        "fake-2024-01.sqlite",
    ]
    assert [row.seq for row in rig.ledger.rows()] == list(range(5))
    rig.fake.run(10)
    rig.pump()
    assert [row.seq for row in rig.ledger.rows()] == list(range(6))
    assert covered(rig.ledger) == list(range(50))


def test_a_page_that_sqlite_leaves_out_as_the_file_grows_is_sealed_as_the_hole_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite never writes the page with its lock bytes, at 1 GiB; in the file it is zeros."""
    path = tmp_path / "fake-2024-01.sqlite"
    path.write_bytes(b"\1" * seal.PAGE_BYTES)
    content = b"\3" * seal.PAGE_BYTES
    seal.wal_path(path).write_bytes(content)
    monkeypatch.setattr(seal, "parse_log", lambda *_, **__: seal.Log({3: 0}, 3, 0, 0))
    sealer = seal.Sealer()
    sealer.begin(path)
    made = seal.parse_seal(sealer.seal(path, generate(tmp_path / "a.key"), "fake", b""))
    sealer.close()
    path.write_bytes(b"\1" * seal.PAGE_BYTES + bytes(seal.PAGE_BYTES) + content)
    assert seal.page_faults(path.name, seal.digests_of(path), made, seal.Log({}, 0, 0, 0)) == []


def test_a_second_writer_is_refused(rig: Rig) -> None:
    with pytest.raises(LedgerError, match="another process writes"):
        Ledger("fake", rig.where)


def test_a_reader_may_look_while_it_is_written(rig: Rig) -> None:
    rig.fake.run(27)
    rig.pump()
    with Ledger("fake", rig.where, read_only=True) as view:
        assert view.count() == rig.ledger.count() == 3
        assert view.count(Kind.START) == 1
        assert view.totals() == rig.ledger.totals()


def test_a_reader_that_comes_while_the_file_is_made_takes_it_for_no_foreign_one(
    tmp_path: Path,
) -> None:
    """Its first look at the file is before the writer's first transaction, its next one after."""
    (tmp_path / "fake-2023-11.sqlite").touch()
    writers: list[Rig] = []

    class Struck(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> Any:
            found = super().execute(sql, *values)
            if writers or not ("sqlite_master" in sql or "user_version" in sql):
                return found
            row = found.fetchone()
            writers.append(Rig(tmp_path))
            return SimpleNamespace(fetchone=lambda: row)

    def connect(at: Path, _read_only: bool) -> sqlite3.Connection:
        return sqlite3.connect(at, isolation_level=None, factory=Struck)

    with Ledger("fake", tmp_path, read_only=True, connect=connect) as view:
        assert view.count() == writers[0].ledger.count()


def test_a_ledger_of_another_version_is_refused(rig: Rig) -> None:
    rig.ledger.close()
    (path,) = rig.where.glob("*.sqlite")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(LedgerError, match="version 9"):
        Ledger("fake", rig.where)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"\0" * 4096])
def test_a_broken_file_is_named_not_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fake-2023-11.sqlite"
    path.write_bytes(content)
    with pytest.raises(LedgerError):
        Rig(tmp_path)
    assert path.read_bytes() == content


def test_a_failed_write_loses_nothing_once_it_can_be_repeated(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.fake.run(27)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(rig.ledger, "_transact", fail)
        with pytest.raises(LedgerError, match="disk is full"):
            rig.pump()
    rig.writer.rewind()
    rig.pump()
    assert covered(rig.ledger) == list(range(26))


def test_a_transaction_that_fails_half_way_leaves_neither_row_nor_cursor(rig: Rig) -> None:
    rig.fake.run(27)
    rig.pump()
    before = rig.writer.cursor
    row = next(rig.ledger.rows(Kind.SECOND))
    bad = Cursor(rig.writer.boot_id + 1, None)  # type: ignore[arg-type]  # refused by NOT NULL
    root = rig.ledger.tree.root()
    with pytest.raises(LedgerError):
        rig.ledger.append([(row, Cursor(rig.writer.boot_id, 99)), (row, bad)])
    assert rig.ledger.tree.root() == root
    assert rig.ledger.cursor(rig.writer.boot_id) == before
    assert rig.ledger.count() == 3


def test_a_clock_that_stands_still_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgectl.ledger.writer.PENDING_MAX", 50)
    rig = Rig(tmp_path)
    rig.fake.period_ns = 0
    for _ in range(10):
        rig.fake.run(20)
        rig.pump()
    assert rig.ledger.count() == 3
    rig.writer.finish()
    assert covered(rig.ledger) == list(range(200))


def test_a_clock_that_is_set_back_doubles_no_scan(rig: Rig) -> None:
    rig.fake.run(30)
    rig.pump()
    rig.fake.utc_ns -= 5 * 10**9
    rig.fake.run(30)
    rig.pump()
    rig.writer.finish()
    assert covered(rig.ledger) == list(range(60))


def test_an_overtaken_batch_without_records_changes_nothing(rig: Rig) -> None:
    rig.fake.run(5)
    batch = rig.reader.journal(0)
    assert rig.writer.add(replace(batch, records=batch.records[:0], lost=5)) == 0
    rig.pump()
    rig.writer.finish()
    assert covered(rig.ledger) == list(range(5))


def test_the_data_directory_is_what_was_chosen_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECTL_DATA_DIR", raising=False)
    assert data_dir() == Path("edgectl-data")
    monkeypatch.setenv("EDGECTL_DATA_DIR", "/var/lib/edgectl")
    assert data_dir() == Path("/var/lib/edgectl")
    assert data_dir("here") == Path("here")


def write_until_killed(reader: SegmentReader, where: Path) -> None:
    """What the services do, in small steps: the body of a process that will be killed."""
    ledger = Ledger("fake", where)
    writer = LedgerWriter(ledger, reader)
    while True:
        writer.add(reader.journal(writer.next_seq, limit=13))


@pytest.mark.parametrize("seed", [1, 2])
def test_no_scan_is_lost_or_doubled_by_killing_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    dice = random.Random(seed)
    segment: Segment = create_segment("fake", directory(), 30, 100_000_000)
    fake = FakeController(segment, UTC_NS)
    reader = segment.reader()
    room = segment.layout.journal_slots // 13  # no kill's share of the ring is ever outrun
    for kill in range(1, 13):
        child = os.fork()
        if child == 0:
            try:
                write_until_killed(reader, tmp_path)
            finally:
                os._exit(1)
        end = time.monotonic() + dice.uniform(0.005, 0.12)
        while time.monotonic() < end:
            fake.run(5 if fake.seq + 5 < kill * room else 0)
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer failed by itself"
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with Ledger("fake", tmp_path) as ledger:
        writer = LedgerWriter(ledger, reader)
        while writer.next_seq < fake.seq:
            writer.add(reader.journal(writer.next_seq))
        writer.finish()
        assert fake.seq < segment.layout.journal_slots, "the test must not outrun its own ring"
        assert covered(ledger) == list(range(fake.seq))
        assert ledger.gaps() == []
        energy, carbon = journal_totals(range(fake.seq))
        assert ledger.totals().energy_mj == energy
        assert ledger.totals().carbon_ug == carbon
        assert np.all(np.diff([row.seq for row in ledger.rows()]) == 1)
    segment.close(unlink=True)
