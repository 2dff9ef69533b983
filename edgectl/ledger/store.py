"""The ledger's files: one SQLite database a month, and what can be asked of them.

A row and the cursor it advances are one transaction in one file, so a crash
leaves both or neither. Row numbers go on over the months. The cursor is kept per
run of the controller, because each run numbers its journal from 0; it is the
greatest found in any month.
"""

import fcntl
import heapq
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgpack

from edgectl.errors import LedgerError
from edgectl.ledger.payload import SECOND_NS, Kind, leaf_hash

DATA_DIR_VARIABLE = "EDGECTL_DATA_DIR"
DATA_DIR_DEFAULT = "edgectl-data"
APPLICATION_ID = 0x65646765  # "edge"; SQLite shows it as the file's kind
SCHEMA_VERSION = 1
BUSY_MS = 2_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    seq            INTEGER PRIMARY KEY,  -- of the ledger, over all months, from 0
    kind           INTEGER NOT NULL,     -- 0 start, 1 second, 2 gap
    boot_id        INTEGER NOT NULL,     -- UTC ns: which run of the controller
    utc_s          INTEGER NOT NULL,
    first_scan_seq INTEGER NOT NULL,     -- of that run's journal
    last_scan_seq  INTEGER NOT NULL,
    payload        BLOB NOT NULL,        -- canonical msgpack
    leaf_hash      BLOB NOT NULL         -- SHA-256(0x00 || payload), RFC 6962
) STRICT;
CREATE INDEX IF NOT EXISTS record_utc ON record (utc_s);
CREATE TABLE IF NOT EXISTS cursor (
    boot_id     INTEGER PRIMARY KEY,
    next_seq    INTEGER NOT NULL,        -- first journal record that is not covered
    last_period INTEGER,
    last_utc_ns INTEGER,
    ended       INTEGER NOT NULL         -- 1: the run is over and wholly covered
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the ledger covers one run of the controller."""

    boot_id: int
    next_seq: int = 0
    last_period: int | None = None
    last_utc_ns: int | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be written, or read back."""

    kind: Kind
    boot_id: int
    utc_s: int
    first_seq: int
    last_seq: int
    payload: bytes
    seq: int = -1  # given when it is written

    def content(self) -> dict[str, Any]:
        """The payload unpacked."""
        return dict(msgpack.unpackb(self.payload, raw=False))


@dataclass(frozen=True, slots=True)
class Gap:
    """Scans the ledger does not have; `scans` is None where nobody can know how many."""

    boot_id: int
    utc_s: int
    first_seq: int
    scans: int | None


@dataclass(slots=True)
class Totals:
    """Sums over every SECOND row; the keys are names of source and sink."""

    energy_mj: Counter[tuple[str, str]] = field(default_factory=Counter)
    carbon_ug: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: int = 0
    scans: int = 0
    gap_scans: int = 0
    balance_error_mj: int = 0
    balance_error_ug: int = 0


def data_dir(chosen: str | Path | None = None) -> Path:
    """Where ledgers lie: what was chosen, else EDGECTL_DATA_DIR, else ./edgectl-data."""
    return Path(chosen or os.environ.get(DATA_DIR_VARIABLE) or DATA_DIR_DEFAULT)


class Ledger:
    """The ledger of one site."""

    def __init__(self, site: str, directory: Path, *, read_only: bool = False) -> None:
        """Open it.

        site        the site's id
        directory   of the files; made if it is not there
        read_only   ask only; a writer may go on meanwhile

        Raises LedgerError if another process writes it, or it cannot be opened.
        """
        self.site = site
        self.directory = directory
        self.read_only = read_only
        self._files: dict[Path, sqlite3.Connection] = {}
        self._lock = -1
        with self._explained():
            if not read_only:
                directory.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            for path in sorted(directory.glob(f"{site}-[0-9][0-9][0-9][0-9]-[0-9][0-9].sqlite")):
                self._open(path)
            self.next_seq = 1 + max(
                (
                    connection.execute("SELECT coalesce(max(seq), -1) FROM record").fetchone()[0]
                    for connection in self._files.values()
                ),
                default=-1,
            )

    def path_of(self, utc_s: int) -> Path:
        """The file of the month in which this second lies."""
        month = datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m")
        return self.directory / f"{self.site}-{month}.sqlite"

    def append(self, entries: Sequence[tuple[Row, Cursor]]) -> None:
        """Write rows, each with what is covered once it is written, durably.

        entries   in order; a new transaction starts where the month changes

        Raises LedgerError, with nothing or a whole number of transactions written.
        """
        with self._explained():
            start = 0
            for end in range(1, len(entries) + 1):
                path = self.path_of(entries[start][0].utc_s)
                if end == len(entries) or self.path_of(entries[end][0].utc_s) != path:
                    part = entries[start:end]
                    self._transact(path, [row for row, _ in part], [reach for _, reach in part])
                    start = end

    def mark(self, cursor: Cursor) -> None:
        """Advance a cursor without a row, in the newest file."""
        with self._explained():
            path = max(self._files, default=self.path_of(cursor.boot_id // SECOND_NS))
            self._transact(path, [], [cursor])

    def cursor(self, boot_id: int) -> Cursor | None:
        """How far this run of the controller is covered; None where it is not known."""
        found = [each for each in self._cursors() if each.boot_id == boot_id]
        return max(found, key=lambda each: (each.next_seq, each.ended), default=None)

    def unfinished(self, boot_id: int) -> list[Cursor]:
        """Runs other than `boot_id` that were never covered to their end."""
        reached: dict[int, Cursor] = {}
        for each in sorted(self._cursors(), key=lambda one: (one.next_seq, one.ended)):
            reached[each.boot_id] = each
        return [each for each in reached.values() if not each.ended and each.boot_id != boot_id]

    def rows(self, kind: Kind | None = None) -> Iterator[Row]:
        """Rows of one kind, or all, in the order of their numbers."""
        with self._explained():
            parts = [self._rows_of(connection, kind) for connection in self._files.values()]
            yield from heapq.merge(*parts, key=lambda row: row.seq)

    def _rows_of(self, connection: sqlite3.Connection, kind: Kind | None) -> Iterator[Row]:
        for seq, found, boot, utc_s, first, last, payload in connection.execute(
            "SELECT seq, kind, boot_id, utc_s, first_scan_seq, last_scan_seq, payload"
            " FROM record WHERE ?1 IS NULL OR kind = ?1 ORDER BY seq",
            (kind,),
        ):
            yield Row(Kind(found), boot, utc_s, first, last, payload, seq)

    def count(self, kind: Kind = Kind.SECOND) -> int:
        """Rows of one kind."""
        with self._explained():
            return sum(
                connection.execute(
                    "SELECT count(*) FROM record WHERE kind = ?", (kind,)
                ).fetchone()[0]
                for connection in self._files.values()
            )

    def gaps(self) -> list[Gap]:
        """Everything the ledger knows it does not have."""
        return [
            Gap(row.boot_id, row.utc_s, row.first_seq, row.content()["scans"])
            for row in self.rows(Kind.GAP)
        ]

    def totals(self) -> Totals:
        """Exact sums over all seconds of all runs."""
        totals = Totals()
        names: dict[int, tuple[list[str], list[str]]] = {}
        for row in self.rows(Kind.START):
            content = row.content()
            names[row.boot_id] = (content["sources"], content["sinks"])
        for row in self.rows(Kind.SECOND):
            content = row.content()
            sources, sinks = names[row.boot_id]
            for source, sink, energy_mj, carbon_ug in content["cells"]:
                totals.energy_mj[sources[source], sinks[sink]] += energy_mj
                totals.carbon_ug[sources[source], sinks[sink]] += carbon_ug
            totals.seconds += 1
            totals.scans += content["scans"]
            totals.gap_scans += content["gap_scans"]
            totals.balance_error_mj += content["balance_error_mj"]
            totals.balance_error_ug += content["balance_error_ug"]
        return totals

    def close(self) -> None:
        """Close every file and let another writer in."""
        for connection in self._files.values():
            connection.close()
        self._files.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _cursors(self) -> list[Cursor]:
        with self._explained():
            return [
                Cursor(boot, next_seq, period, utc_ns, bool(ended))
                for connection in self._files.values()
                for boot, next_seq, period, utc_ns, ended in connection.execute(
                    "SELECT boot_id, next_seq, last_period, last_utc_ns, ended FROM cursor"
                )
            ]

    def _transact(self, path: Path, rows: Sequence[Row], cursors: Sequence[Cursor]) -> None:
        connection = self._files.get(path) or self._open(path)
        latest = {each.boot_id: each for each in cursors}
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (self.next_seq + place, row.kind, row.boot_id, row.utc_s, row.first_seq,
                     row.last_seq, row.payload, leaf_hash(row.payload))
                    for place, row in enumerate(rows)
                ],
            )  # fmt: skip
            connection.executemany(
                "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?, ?)",
                [
                    (each.boot_id, each.next_seq, each.last_period, each.last_utc_ns,
                     int(each.ended))
                    for each in latest.values()
                ],
            )  # fmt: skip
        self.next_seq += len(rows)

    def _open(self, path: Path) -> sqlite3.Connection:
        if self.read_only:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        else:
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION) or (version == 0 and self.read_only):
            connection.close()
            raise LedgerError(
                where=str(path),
                problem=f"its schema is version {version}; this edgectl knows {SCHEMA_VERSION}",
                because="A row written in another form would break the record.",
                remedy="Use the edgectl that wrote it, or another data directory.",
            )
        if version == 0:
            connection.executescript(
                f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        self._files[path] = connection
        return connection

    def _take_lock(self) -> None:
        path = self.directory / f"{self.site}.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LedgerError(
                where=str(path),
                problem=f"another process writes the ledger of {self.site}",
                because="Two writers would book the same second twice.",
                remedy="Stop the other services, or choose another --data-dir.",
            ) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the system say into what an engineer can act on."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(
                where=str(self.directory),
                problem=f"the ledger of {self.site}: {error}",
                because="Seconds stay in shared memory only as long as the journal is deep.",
                remedy="Free space, repair the file, or choose another --data-dir.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
