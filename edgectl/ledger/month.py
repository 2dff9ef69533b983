"""One month's file: its tables, how it is opened, and what is read from it.

Records lie in packs: those of the last hour one by one, as they were committed, those before the
last signed head in dense packs of up to an hour. Each pack has the root of the whole tree after
it, so that a damaged pack is known as such without a signature.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgectl.errors import LedgerError
from edgectl.ledger.heads import TreeHead, parse_document, parse_head
from edgectl.ledger.merkle import Frontier
from edgectl.ledger.seal import PAGE_BYTES, wal_path

APPLICATION_ID = 0x65646765  # "edge"; SQLite shows it as the file's kind
SCHEMA_VERSION = 2
BUSY_MS = 2_000
SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE pack (first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
    " seconds INTEGER NOT NULL, utc_s INTEGER NOT NULL, root BLOB NOT NULL, body BLOB NOT NULL)"
    " STRICT",
    "CREATE TABLE head (number INTEGER PRIMARY KEY, body BLOB NOT NULL, signature BLOB NOT NULL,"
    " frontier BLOB NOT NULL) STRICT",
    "CREATE TABLE cursor (boot_id INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL,"
    " last_period INTEGER, last_utc_ns INTEGER, ended INTEGER NOT NULL) STRICT",
)

Connection = Any  # sqlite3's, or one of the same three methods
Connect = Callable[[Path, bool], Connection]


@dataclass(frozen=True, slots=True)
class Meta:
    """What a month's file says of itself and of what was before it."""

    site: str
    first_seq: int
    salt_key: bytes
    frontier: Frontier  # of the tree at first_seq
    previous: TreeHead | None  # the last head of the months before


@dataclass(frozen=True, slots=True)
class Pack:
    """One row of packs."""

    first_seq: int
    count: int
    seconds: int
    utc_s: int
    root: bytes
    body: bytes


def connect(path: Path, read_only: bool) -> Connection:
    """A connection in which nothing happens by itself: no transaction, no checkpoint."""
    if read_only:
        # With no log there is nothing to share memory for; a directory may be read-only then.
        at_rest = "" if _has_log(path) else "&immutable=1"
        uri = f"{path.absolute().as_uri()}?mode=ro{at_rest}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    else:
        connection = sqlite3.connect(path, isolation_level=None)
    return connection


def _has_log(path: Path) -> bool:
    try:
        return wal_path(path).stat().st_size > 0
    except FileNotFoundError:
        return False


def prepare(connection: Connection) -> None:
    """Make every commit durable, and leave checkpoints to us."""
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}").fetchone()


def check_version(connection: Connection, path: Path) -> bool:
    """Whether the file has its tables yet. Raises LedgerError where it is another's."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, SCHEMA_VERSION):
        raise LedgerError(
            where=str(path),
            problem=f"its schema is version {version}; this edgectl knows {SCHEMA_VERSION}",
            because="A record written in another form would break the ledger.",
            remedy="Use the edgectl that wrote it, or another data directory.",
        )
    return bool(version)


def create(connection: Connection, meta: Meta) -> None:
    """Make the tables and say what the month begins with, in one transaction."""
    values = {
        "site": meta.site.encode(),
        "first_seq": str(meta.first_seq).encode(),
        "salt_key": meta.salt_key,
        "frontier": meta.frontier.to_bytes(),
        "previous": meta.previous.document() if meta.previous else b"",
    }
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", list(values.items()))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def read_meta(connection: Connection) -> Meta:
    """Read it. Raises ValueError or KeyError where something is missing or malformed."""
    values = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    first_seq = int(values["first_seq"])
    return Meta(
        values["site"].decode(),
        first_seq,
        values["salt_key"],
        Frontier.from_bytes(first_seq, values["frontier"]),
        parse_document(values["previous"]) if values["previous"] else None,
    )


def read_heads(connection: Connection) -> list[tuple[TreeHead, bytes]]:
    """Heads of the month with the peaks of their trees. Raises HeadError."""
    rows = connection.execute("SELECT body, signature, frontier FROM head ORDER BY number")
    return [(parse_head(body, signature), frontier) for body, signature, frontier in rows]


def read_packs(connection: Connection, first: int = 0, end: int | None = None) -> Iterator[Pack]:
    """Packs that hold records first to end, in order."""
    rows = connection.execute(
        "SELECT first_seq, count, seconds, utc_s, root, body FROM pack"
        " WHERE first_seq + count > ? AND (?2 IS NULL OR first_seq < ?2) ORDER BY first_seq",
        (first, end),
    )
    for row in rows:
        yield Pack(*row)
