"""The ledger's files: one SQLite database a month, and what can be asked of them.

A record and the cursor it advances are one transaction in one file, so a crash leaves both or
neither. Record numbers and the Merkle tree go on over the months. The cursor is kept per run of
the controller, because each run numbers its journal from 0; it is the greatest found in any month.
"""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgectl.errors import LedgerError
from edgectl.ledger import month
from edgectl.ledger.heads import HeadError, TreeHead, make_head
from edgectl.ledger.keys import Signer
from edgectl.ledger.merkle import Frontier
from edgectl.ledger.payload import SECOND_NS, Kind
from edgectl.ledger.record import (
    Codec,
    PackError,
    Stored,
    checked_runs,
    decode,
    encode,
    encode_runs,
    leaves_of,
)
from edgectl.ledger.rows import Cursor, Entry, Gap, Row, Totals, row_of
from edgectl.ledger.seal import Sealer, seal_path, sync_directory, write_durably

DATA_DIR_VARIABLE = "EDGECTL_DATA_DIR"
DATA_DIR_DEFAULT = "edgectl-data"
PACK_MAX = 3_600  # records: an hour
DENSE_FROM = 16  # fewer are not worth a run of their own
DAY_S = 86_400
SALT_KEY_BYTES = 32
MONTHS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]"


def data_dir(chosen: str | Path | None = None) -> Path:
    """Where ledgers lie: what was chosen, else EDGECTL_DATA_DIR, else ./edgectl-data."""
    return Path(chosen or os.environ.get(DATA_DIR_VARIABLE) or DATA_DIR_DEFAULT)


def month_files(site: str, directory: Path) -> list[Path]:
    """The files of a site, oldest first."""
    return sorted(directory.glob(f"{site}-{MONTHS}.sqlite"))


@lru_cache(maxsize=64)
def _month_name(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m")


class Ledger:
    """The ledger of one site."""

    def __init__(
        self, site: str, directory: Path, *, read_only: bool = False, signer: Signer | None = None,
        connect: month.Connect = month.connect,
        write_file: Callable[[Path, bytes], None] = write_durably,
    ) -> None:  # fmt: skip
        """Open it.

        site        the site's id
        directory   of the files; made if it is not there
        read_only   ask only; a writer may go on meanwhile
        signer      signs heads and seals; without one there are none
        connect     opens a file; write_file replaces one durably

        Raises LedgerError if another process writes it, or it cannot be opened.
        """
        self.site = site
        self.directory = directory
        self.read_only = read_only
        self.signer = signer
        self.altered: list[str] = []  # pages that are not as they were sealed
        self.last_head: TreeHead | None = None
        self.tree = Frontier()
        self._connect = connect
        self._write_file = write_file
        self._files: dict[Path, Any] = {}
        self._current: Path | None = None
        self._salt_key = b""
        self._loose = 0  # first record that may lie in a plain pack
        self._lock = -1
        self._sealer = Sealer()
        with self._explained():
            if not read_only:
                directory.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            for path in reversed(month_files(site, directory)):
                self._open(path)
            if self._files and not read_only:
                self._resume(max(self._files))

    @property
    def next_seq(self) -> int:
        """Number of the next record."""
        if not self.read_only:
            return self.tree.size
        ends = [
            connection.execute("SELECT max(first_seq + count) FROM pack").fetchone()[0]
            for connection in self._files.values()
        ]
        return max((end for end in ends if end is not None), default=0)

    def path_of(self, utc_s: int) -> Path:
        """The file of the month in which this second lies."""
        return self.directory / f"{self.site}-{_month_name(utc_s // DAY_S)}.sqlite"

    def append(self, entries: Sequence[Entry]) -> None:
        """Write records, each with what is covered once it is written, durably.

        entries   in order; a new transaction starts where the month changes, which
                  it never does backwards

        Raises LedgerError, with nothing or a whole number of transactions written.
        """
        start = 0
        while start < len(entries):
            start += self.append_some(entries[start:])

    def append_some(self, entries: Sequence[Entry]) -> int:
        """Write the first of them in one transaction; how many these were."""
        with self._explained():
            path, day = self._month(entries[0][0]), entries[0][0].utc_s // DAY_S
            end = 1
            while end < min(len(entries), PACK_MAX) and (
                entries[end][0].utc_s // DAY_S == day or self._month(entries[end][0]) == path
            ):
                end += 1
            part = entries[:end]
            self._transact(path, [row for row, _ in part], [at for _, at in part if at])
            return end

    def mark(self, cursor: Cursor) -> None:
        """Advance a cursor without a record, in the newest file."""
        with self._explained():
            path = self._current or self.path_of(cursor.boot_id // SECOND_NS)
            self._transact(path, [], [cursor])

    def sign(
        self, reason: str, utc_ns: int, clock: str, next_key: bytes | None = None
    ) -> TreeHead | None:
        """Sign the tree as it stands, pack the records since the last head, seal the file.

        reason     one of heads.REASONS
        utc_ns     now; clock says what that is worth
        next_key   public key that signs from the next head on

        Returns the head; None where there is no signer or nothing to sign yet.
        Raises LedgerError where it cannot be written.
        """
        if self.signer is None or self._current is None or not self.tree.size:
            return None
        with self._explained():
            head = make_head(
                self.signer, self.site, self.tree.size, self.tree.root(), utc_ns, clock, reason,
                self.last_head, next_key,
            )  # fmt: skip
            connection = self._files[self._current]
            with self._transaction(connection):
                self._pack(connection)
                connection.execute(
                    "INSERT INTO head VALUES (?, ?, ?, ?)",
                    (head.number, head.body, head.signature, self.tree.to_bytes()),
                )
            self.last_head = head
            self._loose = self.tree.size
            self._seal()
            return head

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

    def rows(self, kind: Kind | None = None, first: int = 0, end: int | None = None) -> Iterator[
        Row
    ]:  # fmt: skip
        """Records of one kind, or all, in the order of their numbers: first to end."""
        with self._explained():
            for _, pack in self.packs(first, end):
                for at, stored in enumerate(decode(pack.body), start=pack.first_seq):
                    if at < first or (end is not None and at >= end):
                        continue
                    row = row_of(stored)
                    if kind is None or row.kind is kind:
                        yield row

    def packs(self, first: int = 0, end: int | None = None) -> Iterator[tuple[bytes, month.Pack]]:
        """Packs with the salt key of their month, in order."""
        for path in sorted(self._files):
            connection = self._files[path]
            salt_key = month.read_meta(connection).salt_key
            for pack in month.read_packs(connection, first, end):
                yield salt_key, pack

    def index(self) -> list[tuple[int, int, int]]:
        """First record, number of records and UTC second of every pack, in order."""
        with self._explained():
            return [
                row for path in sorted(self._files) for row in self._files[path].execute(
                    "SELECT first_seq, count, utc_s FROM pack ORDER BY first_seq"
                )
            ]  # fmt: skip

    def heads(self) -> list[tuple[TreeHead, bytes]]:
        """All signed heads with the peaks of their trees, in order."""
        with self._explained():
            return [
                each for path in sorted(self._files) for each in
                month.read_heads(self._files[path])
            ]  # fmt: skip

    def count(self, kind: Kind = Kind.SECOND) -> int:
        """Records of one kind."""
        if kind is not Kind.SECOND:
            return sum(1 for _ in self.rows(kind))
        with self._explained():
            return sum(
                connection.execute("SELECT coalesce(sum(seconds), 0) FROM pack").fetchone()[0]
                for connection in self._files.values()
            )

    def gaps(self) -> list[Gap]:
        """Everything the ledger knows it does not have."""
        return [
            Gap(row.boot_id, row.utc_s, row.first_seq, row.public["scans"])
            for row in self.rows(Kind.GAP)
        ]

    def totals(self) -> Totals:
        """Exact sums over all seconds of all runs."""
        totals = Totals()
        names: dict[int, tuple[list[str], list[str]]] = {}
        for row in self.rows():
            if row.kind is Kind.START:
                content = row.content()
                names[row.boot_id] = (content["sources"], content["sinks"])
            elif row.kind is Kind.SECOND:
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
        """Close every file and let another writer in. What was written since is sealed."""
        if self.signer is not None and self._current is not None and self.last_head is not None:
            try:
                with self._explained():
                    self._seal()
            except LedgerError:
                # SQLite would write its log into a file whose seal does not know of it.
                self._sealer.keep_log()
        for connection in self._files.values():
            connection.close()
        self._files.clear()
        self._sealer.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _month(self, row: Row) -> Path:
        """The file a record belongs to; a clock that is set back opens no older month."""
        path = self.path_of(row.utc_s)
        return path if self._current is None else max(path, self._current)

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
        if path != self._current:
            self._begin_month(path, rows[0] if rows else None)
        connection = self._files[path]
        stored = [
            Stored(row.head(self.site, self.tree.size + at), row.parts, b"")
            for at, row in enumerate(rows)
        ]
        runs, leaves = checked_runs(self._salt_key, self.tree.size, stored)
        tree = self.tree.copy()
        tree.add(leaves)
        latest = {each.boot_id: each for each in cursors}
        with self._transaction(connection):
            if rows:
                codec = Codec.DENSE if len(rows) >= DENSE_FROM else Codec.PLAIN
                seconds = sum(row.kind is Kind.SECOND for row in rows)
                connection.execute(
                    "INSERT INTO pack VALUES (?, ?, ?, ?, ?, ?)",
                    (self.tree.size, len(rows), seconds, rows[0].utc_s, tree.root(),
                     encode_runs(runs, codec)),
                )  # fmt: skip
            connection.executemany(
                "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?, ?)",
                [
                    (each.boot_id, each.next_seq, each.last_period, each.last_utc_ns,
                     int(each.ended))
                    for each in latest.values()
                ],
            )  # fmt: skip
        self.tree = tree

    @contextmanager
    def _transaction(self, connection: Any) -> Iterator[None]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _begin_month(self, path: Path, row: Row | None) -> None:
        """Sign and seal what was, and open the next file."""
        if self._current is not None and row is not None:
            self.sign("month", row.utc_s * SECOND_NS, row.clock)
            self._files.pop(self._current).close()
            self._files[self._current] = self._connect(self._current, True)
        connection = self._connect(path, False)
        month.prepare(connection)
        self._sealer.begin(path)
        salt_key = secrets.token_bytes(SALT_KEY_BYTES)
        meta = month.Meta(self.site, self.tree.size, salt_key, self.tree.copy(), self.last_head)
        month.create(connection, meta)
        sync_directory(self.directory)
        self._files[path], self._current = connection, path
        self._salt_key, self._loose = salt_key, self.tree.size

    def _pack(self, connection: Any) -> None:
        """Join the records since the last head to dense packs of up to an hour."""
        packs = list(month.read_packs(connection, self._loose))
        groups: list[list[month.Pack]] = []
        for pack in packs:
            if not groups or sum(each.count for each in groups[-1]) + pack.count > PACK_MAX:
                groups.append([])
            groups[-1].append(pack)
        for group in groups:
            if len(group) == 1:
                continue
            stored = [record for pack in group for record in decode(pack.body)]
            connection.executemany(
                "DELETE FROM pack WHERE first_seq = ?", [(pack.first_seq,) for pack in group]
            )
            connection.execute(
                "INSERT INTO pack VALUES (?, ?, ?, ?, ?, ?)",
                (group[0].first_seq, len(stored), sum(pack.seconds for pack in group),
                 group[0].utc_s, group[-1].root, encode(stored, Codec.DENSE)),
            )  # fmt: skip

    def _seal(self) -> None:
        """Seal the file as it will be, then let SQLite write it: in this order, see seal.py."""
        assert self._current is not None, "sign() found the month open"
        assert self.signer is not None, "sign() found a signer"
        assert self.last_head is not None, "sign() has just made it"
        seal = self._sealer.seal(self._current, self.signer, self.site, self.last_head.hash)
        self._write_file(seal_path(self._current), seal)
        # A reader may hold the log open; then it is emptied after the next head.
        self._files[self._current].execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def _open(self, path: Path) -> None:
        """Open a month; newest first, which alone is written."""
        newest = not self._files
        connection = self._connect(path, self.read_only or not newest)
        try:
            connection.execute(f"PRAGMA busy_timeout = {month.BUSY_MS}").fetchone()
            # Before the version: a writer may be making both, in one transaction.
            holds = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if month.check_version(connection, path):
                self._files[path] = connection
                return
            # The process that made it died before its first transaction: it holds nothing.
            if holds or not newest:
                raise sqlite3.DatabaseError(f"{path.name} is not a ledger")
        except BaseException:
            connection.close()
            raise
        connection.close()

    def _resume(self, path: Path) -> None:
        """Go on where the newest file stands, after a look at what it says of itself."""
        connection = self._files[path]
        month.prepare(connection)
        self._sealer.begin(path)
        try:
            meta = month.read_meta(connection)
            heads = month.read_heads(connection)
            if heads:
                self.last_head, peaks = heads[-1]
                self.tree = Frontier.from_bytes(self.last_head.size, peaks)
            else:
                self.last_head, self.tree = meta.previous, meta.frontier
            self._loose = self.tree.size
            self._replay(connection, meta.salt_key)
        except (HeadError, PackError, ValueError, KeyError) as error:
            raise sqlite3.DatabaseError(f"{path.name}: {error}") from error
        self._current, self._salt_key = path, meta.salt_key
        self.altered += self._sealer.look(path, sealed=bool(heads))

    def _replay(self, connection: Any, salt_key: bytes) -> None:
        """Add the records since the last head to the tree."""
        if self.last_head is not None and self.tree.root() != self.last_head.root:
            raise ValueError(f"head {self.last_head.number} does not fit the tree beside it")
        for pack in month.read_packs(connection, self.tree.size):
            if pack.first_seq != self.tree.size:
                raise ValueError(f"record {self.tree.size} is missing")
            self.tree.add(leaves_of(salt_key, pack.first_seq, decode(pack.body)))
            if self.tree.root() != pack.root:
                raise ValueError(
                    f"records {pack.first_seq} to {self.tree.size - 1} are not as they were written"
                )

    def _take_lock(self) -> None:
        path = self.directory / f"{self.site}.lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = -1
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
        except (sqlite3.Error, OSError, PackError, HeadError) as error:
            raise LedgerError(
                where=str(self.directory),
                problem=f"the ledger of {self.site}: {error}",
                because="Seconds are kept in memory meanwhile, and only so many.",
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
