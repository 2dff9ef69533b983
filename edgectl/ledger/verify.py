"""Is the ledger whole, in order, and as it was signed? If not: which record is the first bad one.

Three things are held against each other. The records make a Merkle tree; its root must be that of
each signed head of that size. Heads are a chain, of the pinned key or of those it handed over to.
And every page of every file must be as its seal has it. A copy of a head from elsewhere pins all
that was before it; without one, a ledger that was rolled back as a whole looks like a younger one.
"""

import fcntl
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from edgectl.errors import LedgerError
from edgectl.ledger import month
from edgectl.ledger.digest import Answer, BadError, Changed, Task, digest_task
from edgectl.ledger.heads import TreeHead, chain_fault, trusted
from edgectl.ledger.keys import key_id
from edgectl.ledger.merkle import Frontier
from edgectl.ledger.record import decode
from edgectl.ledger.rows import row_of
from edgectl.ledger.seal import (
    PAGE_BYTES,
    Seal,
    SealError,
    digests_of,
    page_faults,
    parse_seal,
    read_log,
    seal_path,
)
from edgectl.ledger.stock_check import StockCheck
from edgectl.ledger.store import MONTHS

TASK_RECORDS = 3_600
TASKS_AHEAD = 8
LIVE_TRIES = 3
SCHEMA_TEXT = sorted(month.SCHEMA)


@dataclass(slots=True)
class Result:
    """What was found. `good` says all of it; `bad` the first that is not."""

    ledger: str
    good: bool = False
    records: int = 0
    first_seq: int = 0
    files: int = 0
    pages: int = 0
    heads: int = 0
    signed_records: int = 0  # covered by a signed head
    root: str | None = None
    key_id: str | None = None  # of the last head
    pinned: bool = False
    head_size: int | None = None  # of the head that was held against it
    seconds: float = 0.0
    bad: str | None = None
    bad_seq: int | None = None
    bad_utc_s: int | None = None
    notes: list[str] = field(default_factory=list)
    restarts_followed: int | None = None  # with what batteries hold; None: not asked
    seconds_unfollowed: int | None = None  # before which scans are missing
    changes: list[Changed] = field(default_factory=list)  # meters changed, each signed


def find_files(ledger: Path) -> list[Path]:
    """Month files of a directory, or the one that was named. Raises LedgerError."""
    if ledger.is_dir():
        found = sorted(ledger.glob(f"*-{MONTHS}.sqlite"))
        found += sorted(each.with_suffix(".sqlite") for each in ledger.glob(f"*-{MONTHS}.seal"))
        files = sorted(set(found))
    else:
        files = [ledger]
    if not files or not any(each.exists() or seal_path(each).exists() for each in files):
        raise LedgerError(
            where=str(ledger),
            problem="there is no ledger here",
            because="A ledger is one SQLite file a month, SITE-YYYY-MM.sqlite, in one directory.",
            remedy="Give the data directory of the services, or one of its files.",
        )
    return files


def verify(
    ledger: Path, key: bytes | None = None, pinned_heads: Sequence[TreeHead] = (),
    processes: int = 1, *, partial: bool = False, stocks: bool = False,
) -> list[Result]:  # fmt: skip
    """Verify every ledger in a directory, or one month's file alone.

    ledger         directory, or file
    key            public key that must have signed; None: the ledger's own word
    pinned_heads   heads kept elsewhere, which must be part of it
    processes      that compute hashes
    partial        earlier months may lie elsewhere, as they do for one file alone
    stocks         follow what batteries hold, too; it takes more than as long again

    Returns one result a site. Raises LedgerError where there is nothing to read.
    """
    sites: dict[str, list[Path]] = {}
    for path in find_files(ledger):
        sites.setdefault(site_of(path), []).append(path)
    results = []
    for site, paths in sites.items():
        for tries in range(1, LIVE_TRIES + 1):
            verifier = _Verifier(paths, key, pinned_heads, processes)
            verifier.stocks = StockCheck() if stocks else None
            result = verifier.run(partial=partial or not ledger.is_dir())
            if result.good or tries == LIVE_TRIES or not _written_now(paths[-1]):
                break
            time.sleep(0.2)  # the writer may have been between two of its steps
        if ledger.is_dir():
            result.ledger = str(ledger) if len(sites) == 1 else f"{ledger}, {site}"
        results.append(result)
    return results


def site_of(path: Path) -> str:
    """The site of a month's file, SITE-YYYY-MM.sqlite."""
    return path.stem[: -len("-YYYY-MM")]


def _holds_nothing(path: Path) -> bool:
    """A month's file whose writer died before its first transaction, which makes the tables."""
    if seal_path(path).exists() or path.stat().st_size > PAGE_BYTES:
        return False
    connection = month.connect(path, True)
    try:
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        connection.close()


def _written_now(path: Path) -> bool:
    """Whether a writer has this ledger open."""
    lock = path.parent / f"{site_of(path)}.lock"
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class _Verifier:
    """One site's files, once through."""

    def __init__(
        self, paths: Sequence[Path], key: bytes | None, pinned: Sequence[TreeHead], processes: int
    ) -> None:
        self.paths = paths
        self.key = key
        self.pinned = pinned
        self.processes = processes
        self.result = Result(str(paths[0]))
        self.tree = Frontier()
        self.head: TreeHead | None = None
        self.heads: list[TreeHead] = []
        self.vouching: list[TreeHead] = []  # heads whose keys may be the pinned one
        self.page_faults: list[str] = []
        self.roots: dict[int, bytes] = {}
        self.last_utc_s = 0
        self.partial = False
        self.stocks: StockCheck | None = None

    def run(self, *, partial: bool) -> Result:
        self.partial = partial
        start_s = time.perf_counter()
        result = self.result
        try:
            self._all()
            result.good = True
        except BadError as bad:
            result.bad, result.bad_seq, result.bad_utc_s = bad.what, bad.seq, bad.utc_s
        if self.page_faults:
            # A page alone names no record; where a record is bad as well, that one is named.
            result.notes += self.page_faults[:10]
        result.records = self.tree.size - result.first_seq
        result.root = self.tree.root().hex()
        result.heads = len(self.heads)
        if self.head is not None:
            result.key_id = key_id(self.head.key)
            result.signed_records = max(0, self.head.size - result.first_seq)
        result.seconds = round(time.perf_counter() - start_s, 3)
        return result

    def _all(self) -> None:
        with ProcessPoolExecutor(self.processes) if self.processes > 1 else _Inline() as pool:
            for at, path in enumerate(self.paths):
                try:
                    self._file(path, pool, first=at == 0)
                except (sqlite3.Error, OSError, ValueError, KeyError, LedgerError) as error:
                    text = error.problem if isinstance(error, LedgerError) else str(error)
                    self._unreadable(path, text)
        self._pin()
        if self.page_faults:
            raise BadError(f"{self.page_faults[0]}; no record in it is touched")
        if self.stocks is not None:
            self.result.restarts_followed = self.stocks.starts
            self.result.seconds_unfollowed = self.stocks.unfollowed
        if not self.heads:
            raise BadError("no signed head: nobody has vouched for these records")
        if self.key is None:
            self.result.notes.append(
                "no --key was given: the ledger agrees with itself; whose it is, is not proved"
            )
        loose = self.tree.size - (self.head.size if self.head else 0)
        if loose:
            self.result.notes.append(
                f"{loose} records after the last signed head are whole, and not signed yet"
            )

    def _unreadable(self, path: Path, text: str) -> None:
        """Raise BadError for a ledger's file, LedgerError for one that never was a ledger's."""
        ours = seal_path(path).exists()
        if path.exists() and not ours:
            with path.open("rb") as file:
                ours = b"edge" in file.read(72)
        if ours or self.result.files:
            if self.page_faults:
                raise BadError(f"{self.page_faults[0]}; {text}", self.tree.size)
            raise BadError(f"{path.name} cannot be read: {text}", self.tree.size)
        raise LedgerError(
            where=str(path),
            problem=f"it is not a ledger: {text}",
            because="Nothing in it could be verified.",
            remedy="Give the data directory of the services, or one of its SITE-YYYY-MM.sqlite.",
        )

    def _file(self, path: Path, pool: Any, *, first: bool) -> None:
        if path == self.paths[-1] and not first and _holds_nothing(path):
            self.result.notes.append(f"{path.name} holds nothing: its writer died as it made it")
            return
        seal = self._look_at_pages(path)
        connection = month.connect(path, True)
        try:
            if not month.check_version(connection, path):
                raise ValueError("it has no tables")
            connection.execute("BEGIN")
            found = [
                text
                for (text,) in connection.execute("SELECT sql FROM sqlite_master")
                if text is not None
            ]
            if sorted(found) != SCHEMA_TEXT:
                raise ValueError("its tables are not a ledger's")
            meta, heads = month.read_meta(connection), month.read_heads(connection)
            self.result.files += 1
            self._begin(path, meta, first=first)
            self._heads(path, meta, [head for head, _ in heads], seal)
            self._records(connection, meta, pool)
            self._hold_heads(path, heads)
        finally:
            connection.close()

    def _look_at_pages(self, path: Path) -> Seal | None:
        """Hold the file's pages against its seal; a fault is kept until the records were read."""
        log = read_log(path)
        if log.end != log.length and not _written_now(path):
            self.page_faults.append(
                f"{path.name}-wal: {log.length - log.end} bytes from byte {log.end} on are no "
                "whole transaction"
            )
        try:
            seal = parse_seal(seal_path(path).read_bytes())
        except FileNotFoundError:
            seal = None
            if 1 not in log.pages:
                self.page_faults.append(f"{seal_path(path).name} is missing")
        except SealError as error:
            self.page_faults.append(f"{seal_path(path).name}: {error}")
            return None
        sealed = seal or Seal("", path.name, 0, b"", b"", b"", signed=False)
        if sealed.file != path.name:
            self.page_faults.append(f"{seal_path(path).name} is the seal of {sealed.file}")
        self.page_faults += page_faults(path.name, digests_of(path), sealed, log)
        self.result.pages += max(sealed.pages, log.file_pages)
        return seal

    def _begin(self, path: Path, meta: month.Meta, *, first: bool) -> None:
        if not path.name.startswith(f"{meta.site}-"):
            raise BadError(f"{path.name} is the ledger of {meta.site}", meta.first_seq)
        if first:
            self.result.first_seq = meta.first_seq
            self.tree, self.head = meta.frontier, meta.previous
            self.roots[self.tree.size] = self.tree.root()
            if meta.previous is not None and meta.previous.signed:
                self.vouching.append(meta.previous)
            if meta.first_seq and not self.partial:
                raise BadError(
                    f"records 0 to {meta.first_seq - 1} are missing: no file of theirs", 0
                )
            if meta.first_seq:
                self.result.notes.append(
                    f"records before {meta.first_seq} are in files of earlier months"
                )
        elif meta.first_seq != self.tree.size or meta.frontier.root() != self.tree.root():
            raise BadError(
                f"{path.name} goes on at record {meta.first_seq}; the months before end with "
                f"{self.tree.size - 1}",
                min(self.tree.size, meta.first_seq),
                self.last_utc_s,
            )

    def _heads(
        self, path: Path, meta: month.Meta, heads: list[TreeHead], seal: Seal | None
    ) -> None:
        """The chain of signatures; sizes are held against the tree later."""
        previous = meta.previous
        known = self.head
        if previous is not None and not previous.signed:
            raise BadError(f"{path.name}: the head before it is not signed", meta.first_seq)
        if (previous and previous.hash) != (known and known.hash):
            raise BadError(f"{path.name} does not follow the last head before it", meta.first_seq)
        for head in heads:
            fault = chain_fault(self.head, head)
            if fault is None and head.site != meta.site:
                fault = f"head {head.number} is one of {head.site}"
            if fault is not None:
                before = self.head.size if self.head else meta.first_seq
                raise BadError(fault, before, head.utc_ns // 10**9)
            self.heads.append(head)
            self.vouching.append(head)
            self.head = head
        if seal is not None and (
            seal.site != meta.site
            or not any(seal.head == each.hash and seal.key == each.key for each in heads[-2:])
        ):
            self.page_faults.append(f"{seal_path(path).name} was not made with the last head")

    def _records(self, connection: Any, meta: month.Meta, pool: Any) -> None:
        """Through the packs: the tree grows, and each pack's root must be the tree's."""
        sizes = sorted({head.size for head in (*self.heads, *self.pinned)})
        packs = month.read_packs(connection)
        waiting: list[tuple[list[month.Pack], Any]] = []
        while True:
            while len(waiting) < TASKS_AHEAD and (task := _next_task(packs)):
                waiting.append((task, pool.submit(digest_task, (meta.salt_key, task, sizes))))
            if not waiting:
                return
            task, future = waiting.pop(0)
            ends = {pack.first_seq + pack.count: pack for pack in task}
            if task[0].first_seq != self.tree.size:
                raise BadError(
                    f"after record {self.tree.size - 1} comes {task[0].first_seq}",
                    self.tree.size,
                    task[0].utc_s,
                )
            for first, end, subtrees, changed in future.result():
                self.result.changes += changed
                if first != self.tree.size:
                    raise BadError(
                        f"after record {self.tree.size - 1} comes {first}", self.tree.size
                    )
                self.tree.push(subtrees)
                self.roots[end] = self.tree.root() if end in ends or end in sizes else b""
                if end in ends and self.roots[end] != ends[end].root:
                    raise BadError(
                        "the tree up to its pack's end is not as it was written",
                        ends[end].first_seq,
                        ends[end].utc_s,
                    )
            self.last_utc_s = task[-1].utc_s
            if self.stocks is not None:
                for pack in task:
                    for stored in decode(pack.body):
                        self.stocks.take(row_of(stored))

    def _hold_heads(self, path: Path, heads: list[tuple[TreeHead, bytes]]) -> None:
        before = self.result.first_seq
        for head, frontier in heads:
            what = f"head {head.number} of {head.size} records"
            if head.size > self.tree.size:
                raise BadError(
                    f"{what}, signed, is ahead: the records end with {self.tree.size - 1}",
                    self.tree.size,
                    self.last_utc_s,
                )
            if head.size not in self.roots and head.size:
                raise BadError(f"{path.name}: {what} is older than its file", before)
            if self.roots.get(head.size) != head.root:
                raise BadError(f"records are not those of {what}", before, head.utc_ns // 10**9)
            if Frontier.from_bytes(head.size, frontier).root() != head.root:
                raise BadError(f"the peaks beside {what} are not its own", before)
            before = head.size

    def _pin(self) -> None:
        """What was given from outside: a key, heads kept elsewhere."""
        if self.key is not None:
            if self.heads and not trusted(self.vouching, self.key):
                raise BadError(
                    f"key {key_id(self.key)} signed none of its heads; the last is signed by "
                    f"{key_id(self.heads[-1].key)}",
                    self.result.first_seq,
                )
            self.result.pinned = bool(self.heads)
        mine = {each.hash for each in self.heads}
        for head in self.pinned:
            if not head.signed:
                raise BadError(f"the head given from outside, {head.number}, is not signed")
            if self.key is None and head.key not in {each.key for each in self.heads}:
                raise BadError(f"the head given from outside is signed by {key_id(head.key)}", 0)
            if head.size > self.tree.size:
                raise BadError(
                    f"it ends with record {self.tree.size - 1}; the head given from outside "
                    f"has {head.size}",
                    self.tree.size,
                    self.last_utc_s,
                )
            if head.hash not in mine and self.roots.get(head.size) != head.root:
                raise BadError(
                    f"the head given from outside, of {head.size} records, is of another "
                    "ledger or of another past",
                    self._first_seq_of(head),
                )
            self.result.head_size = head.size

    def _first_seq_of(self, head: TreeHead) -> int:
        """Where the two pasts may part: after the last head that both could have."""
        return max((each.size for each in self.heads if each.size < head.size), default=0)


def _next_task(packs: Iterator[month.Pack]) -> list[month.Pack]:
    """The next packs, of an hour together."""
    task: list[month.Pack] = []
    for pack in islice(packs, TASK_RECORDS):
        task.append(pack)
        if sum(each.count for each in task) >= TASK_RECORDS:
            break
    return task


class _Inline:
    """A pool of no processes: computes when asked for the result."""

    def __enter__(self) -> "_Inline":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def submit(self, call: Any, task: Task) -> "_Later":
        return _Later(call, task)


@dataclass(frozen=True, slots=True)
class _Later:
    call: Any
    task: Task

    def result(self) -> Answer:
        answer: Answer = self.call(self.task)
        return answer
