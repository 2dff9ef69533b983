"""The alarms' file: SQLite, one a site. What is remembered and the journal's cursor move together.

One writer holds the lock beside the file: the services, or, where none run, whoever asks
something. Everybody else reads, and may put a request into the table `command`, which the
writer answers in the transaction that carries it out.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from edgectl.alarms.book import Book, Happening, Moment
from edgectl.alarms.catalogue import AlarmSpec
from edgectl.alarms.command import AlarmCommand
from edgectl.alarms.kpi import WINDOW_NS, Annunciation
from edgectl.alarms.machine import AlarmState, Event, Signal, State
from edgectl.alarms.sources import Memory
from edgectl.errors import AlarmError

APPLICATION_ID = 0x6564616C  # "edal"; SQLite shows it as the file's kind
SCHEMA_VERSION = 1
BUSY_MS = 2_000
HISTORY_MAX = 1_000_000  # lines; the oldest go first
COMMANDS_MAX = 1_000  # answered ones that are kept
PENDING_MAX = 64  # requests taken in one transaction
SCHEMA = """
CREATE TABLE alarm (
    id    TEXT PRIMARY KEY,
    spec  TEXT NOT NULL,          -- as it was declared, JSON
    state TEXT NOT NULL           -- of the state machine, JSON
) STRICT;
CREATE TABLE history (
    seq      INTEGER PRIMARY KEY,
    alarm_id TEXT NOT NULL,       -- empty: the system of alarms itself
    event    TEXT NOT NULL,
    before   TEXT NOT NULL,
    after    TEXT NOT NULL,
    by       TEXT NOT NULL,       -- who asked for it; empty: nobody, it happened
    reason   TEXT NOT NULL,
    now_ns   INTEGER NOT NULL,    -- of the alarm clock
    utc_ns   INTEGER NOT NULL,
    time_ns  INTEGER NOT NULL,    -- monotonic
    boot_id  INTEGER NOT NULL,    -- run of the controller; 0: none
    scan     INTEGER NOT NULL     -- -1: none
) STRICT;
CREATE INDEX history_alarm ON history (alarm_id, seq);
CREATE INDEX history_annunciated ON history (now_ns) WHERE event = 'annunciated';
CREATE TABLE cursor (
    boot_id   INTEGER PRIMARY KEY,
    next_seq  INTEGER NOT NULL,   -- first journal record that is not taken
    offset_ns INTEGER NOT NULL,   -- alarm clock less monotonic clock, of this run
    memory    TEXT NOT NULL       -- of the sources, JSON
) STRICT;
CREATE TABLE clock (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    now_ns         INTEGER NOT NULL,
    flood_since_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE command (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    asked        TEXT NOT NULL,   -- AlarmCommand, JSON
    asked_utc_ns INTEGER NOT NULL,
    answer       TEXT             -- NULL: waiting; empty: done; else why it was refused
) STRICT;
"""


@dataclass(slots=True)
class Cursor:
    """How far one run's journal was taken."""

    boot_id: int
    next_seq: int
    offset_ns: int
    memory: Memory


def alarms_path(site: str, directory: Path) -> Path:
    """Where the alarms of a site are remembered."""
    return directory / f"{site}.alarms.sqlite"


class AlarmStore:
    """One site's file. A writer is made by `writer`, a reader by `reader`."""

    def __init__(self, path: Path, *, lock: int | None) -> None:
        """Open the file; see the two makers below.

        path   of the SQLite file; made by a writer where it is not there
        lock   descriptor of the lock that is held; None: only read, and ask
        """
        self.path = path
        self._lock = lock
        with self._explained():
            # A reader may put a request, so it opens the file for writing too.
            uri = f"{path.absolute().as_uri()}?mode={'rw' if lock is None else 'rwc'}"
            self._file = sqlite3.connect(uri, uri=True, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._file.close()
                raise

    @classmethod
    def writer(cls, site: str, directory: Path) -> Self | None:
        """The one writer; None where another process is it."""
        path = alarms_path(site, directory)
        with _explained(path):
            directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(path, lock=lock)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def reader(cls, site: str, directory: Path) -> Self:
        """A reader. Raises AlarmError where the site has no file yet."""
        path = alarms_path(site, directory)
        if not path.exists():
            raise AlarmError(
                where=str(path),
                problem=f"no alarms of {site} were ever kept here",
                because="The services write this file beside a running controller.",
                remedy="Start them: edgectl run SITE. Or name their --data-dir.",
            )
        return cls(path, lock=None)

    def book(self) -> Book:
        """Everything as it was stored last."""
        with self._explained():
            self._file.execute("BEGIN")
            try:
                return self._book()
            finally:
                self._file.execute("COMMIT")

    def _book(self) -> Book:
        book = Book()
        for alarm_id, spec, state in self._file.execute("SELECT id, spec, state FROM alarm"):
            book.restore(AlarmSpec(**json.loads(spec)), _state(json.loads(state)))
            assert alarm_id in book.specs, "the key is the declaration's own id"
        row = self._file.execute("SELECT now_ns, flood_since_ns FROM clock").fetchone()
        book.now_ns, book.flood_since_ns = row or (0, 0)
        book.recent_ns = [when_ns for when_ns, _ in self.annunciations(book.now_ns - WINDOW_NS)]
        return book

    def cursor(self, boot_id: int) -> Cursor | None:
        """Where one run of the controller goes on; None: it was never seen."""
        with self._explained():
            row = self._file.execute(
                "SELECT next_seq, offset_ns, memory FROM cursor WHERE boot_id = ?", (boot_id,)
            ).fetchone()
        if row is None:
            return None
        memory = Memory(**json.loads(row[2]))
        memory.overruns = [(time_ns, total) for time_ns, total in memory.overruns]
        return Cursor(boot_id, row[0], row[1], memory)

    def save(
        self, book: Book, happened: Sequence[Happening] = (), cursor: Cursor | None = None,
        answers: Sequence[tuple[int, str]] = (),
    ) -> None:  # fmt: skip
        """Store what changed, in one transaction; then the book is clean.

        book       its dirty alarms are written, its retired ones removed
        happened   since the last save
        cursor     up to which it happened
        answers    to requests: number, and why it was refused or nothing
        """
        with self._explained(), self._file:
            self._file.execute("BEGIN IMMEDIATE")
            for alarm_id in sorted(book.dirty):
                self._put(book, alarm_id)
            self._file.executemany(
                "INSERT INTO history (alarm_id, event, before, after, by, reason, now_ns, utc_ns,"
                " time_ns, boot_id, scan) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (each.alarm_id, each.event, each.before, each.after, each.by, each.reason,
                     each.at.now_ns, each.at.utc_ns, each.at.time_ns, each.at.boot_id,
                     each.at.scan)
                    for each in happened
                ],
            )  # fmt: skip
            self._file.execute(
                "INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", (book.now_ns, book.flood_since_ns)
            )
            if cursor is not None:
                self._file.execute(
                    "INSERT OR REPLACE INTO cursor VALUES (?, ?, ?, ?)",
                    (cursor.boot_id, cursor.next_seq, cursor.offset_ns,
                     json.dumps(asdict(cursor.memory))),
                )  # fmt: skip
            self._file.executemany(
                "UPDATE command SET answer = ? WHERE seq = ?",
                [(answer, seq) for seq, answer in answers],
            )
        book.dirty.clear()

    def ask(self, command: AlarmCommand, utc_ns: int) -> int:
        """Put a request for the writer to take; its number."""
        with self._explained():
            made = self._file.execute(
                "INSERT INTO command (asked, asked_utc_ns) VALUES (?, ?)",
                (command.model_dump_json(), utc_ns),
            )
        assert made.lastrowid is not None, "a row was inserted"
        return made.lastrowid

    def waiting(self) -> list[tuple[int, AlarmCommand | None]]:
        """Requests that nobody answered yet, oldest first; None where it is no request."""
        with self._explained():
            rows = self._file.execute(
                "SELECT seq, asked FROM command WHERE answer IS NULL ORDER BY seq LIMIT ?",
                (PENDING_MAX,),
            ).fetchall()
        return [(seq, _command(asked)) for seq, asked in rows]

    def answer(self, seq: int) -> str | None:
        """The answer to one request; None: it waits."""
        with self._explained():
            row = self._file.execute("SELECT answer FROM command WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else row[0]

    def history(self, alarm_id: str | None = None, limit: int = 100) -> list[Happening]:
        """The newest lines, newest first; of one alarm, or of all."""
        where, values = ("WHERE alarm_id = ?", (alarm_id,)) if alarm_id is not None else ("", ())
        with self._explained():
            rows = self._file.execute(
                "SELECT alarm_id, event, before, after, now_ns, utc_ns, time_ns, boot_id, scan,"
                f" by, reason FROM history {where} ORDER BY seq DESC LIMIT ?", (*values, limit),
            ).fetchall()  # fmt: skip
        return [
            Happening(row[0], row[1], row[2], row[3], Moment(*row[4:9]), row[9], row[10])
            for row in rows
        ]

    def annunciations(self, since_ns: int) -> list[Annunciation]:
        """Time and id of every annunciation after an instant, in order."""
        with self._explained():
            rows = self._file.execute(
                "SELECT now_ns, alarm_id FROM history WHERE event = ? AND now_ns > ?"
                " ORDER BY now_ns, seq", (str(Event.ANNUNCIATED), since_ns),
            ).fetchall()  # fmt: skip
        return [(when_ns, alarm_id) for when_ns, alarm_id in rows]

    def first_ns(self) -> int | None:
        """When the history begins, on the alarm clock."""
        with self._explained():
            row = self._file.execute("SELECT now_ns FROM history ORDER BY seq LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def prune(self) -> None:
        """Forget the oldest lines and answered requests; runs that ended long ago too."""
        with self._explained(), self._file:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.execute(
                "DELETE FROM history WHERE seq <= (SELECT max(seq) FROM history) - ?",
                (HISTORY_MAX,),
            )
            self._file.execute(
                "DELETE FROM command WHERE answer IS NOT NULL"
                " AND seq <= (SELECT max(seq) FROM command) - ?", (COMMANDS_MAX,),
            )  # fmt: skip
            self._file.execute(
                "DELETE FROM cursor WHERE boot_id NOT IN"
                " (SELECT boot_id FROM cursor ORDER BY boot_id DESC LIMIT 10)"
            )

    def close(self) -> None:
        """Close the file and let another writer in."""
        self._file.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _put(self, book: Book, alarm_id: str) -> None:
        if alarm_id not in book.specs:
            self._file.execute("DELETE FROM alarm WHERE id = ?", (alarm_id,))
            return
        spec, state = book.specs[alarm_id], book.states[alarm_id]
        self._file.execute(
            "INSERT OR REPLACE INTO alarm VALUES (?, ?, ?)",
            (alarm_id, json.dumps(spec.plain()), json.dumps(asdict(state))),
        )

    def _prepare(self) -> None:
        self._file.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        version = self._file.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION) or (version == 0 and self._lock is None):
            raise AlarmError(
                where=str(self.path),
                problem=f"its schema is version {version}; this edgectl knows {SCHEMA_VERSION}",
                because="Alarms read in another form would be shown wrong.",
                remedy="Use the edgectl that wrote it, or another data directory.",
            )
        if self._lock is not None:
            self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        if version == 0:
            self._file.executescript(
                f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with _explained(self.path):
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into what an engineer can act on."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise AlarmError(
            where=str(path),
            problem=f"the alarms' file: {error}",
            because="Alarms that cannot be stored are forgotten when the services end.",
            remedy="Free space, repair the file, or choose another --data-dir.",
        ) from error


def _command(asked: str) -> AlarmCommand | None:
    """What another process wrote, checked again: a row that is nonsense must not end us."""
    try:
        return AlarmCommand.model_validate_json(asked)
    except ValidationError:
        return None


def _state(plain: dict[str, Any]) -> AlarmState:
    known = {each.name for each in fields(AlarmState)}
    kept = {name: value for name, value in plain.items() if name in known}
    return AlarmState(
        **kept
        | {
            "base": State(kept["base"]),
            "signal": Signal(kept["signal"]),
            "raw": Signal(kept["raw"]),
        }
    )
