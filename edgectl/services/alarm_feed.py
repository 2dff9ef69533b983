"""Journal to alarms: every scan, in order, and every request that a person put.

What happened, the states it led to and the journal's cursor are stored in one
transaction, and only then said. Whoever kills the services finds them where the cursor
stands: the same records lead to the same alarms.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgectl.alarms import (
    AlarmCommand,
    AlarmStore,
    Batch,
    Book,
    Cursor,
    Happening,
    Health,
    Judge,
    Memory,
    Moment,
    alarms_path,
    rows_of,
)
from edgectl.alarms.desk import answer_waiting, carry_out
from edgectl.alarms.machine import SILENT
from edgectl.alarms.sources import Array
from edgectl.errors import AlarmError, SegmentError
from edgectl.events import EVENTS, emit
from edgectl.image import JournalBatch, SegmentReader
from edgectl.prooftest import Dues

RETRY_S = 1.0
SAVE_S = 5.0  # that the cursor may lie behind while nothing happens
IDLE_S = 1.0  # between two looks at what only waits for time
BATCHES_PER_PUMP = 5  # of 1000 scans, as the ledger takes them


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks, in ns."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    utc_ns: Callable[[], int] = time.time_ns


@dataclass(slots=True)
class _Run:
    """One run of the controller, while its journal is taken."""

    reader: SegmentReader
    judge: Judge
    cursor: Cursor
    last: Array  # the newest record that was taken, or none
    health: Health | None = None
    looked_ns: int = 0


@dataclass(slots=True)
class _Pending:
    """What happened since the last save."""

    happened: list[Happening] = field(default_factory=list)
    answers: list[tuple[int, str]] = field(default_factory=list)


class AlarmFeed:
    """The alarms' side of the services."""

    def __init__(self, site: str, directory: Path, log: Any, clock: Clock | None = None) -> None:
        """Nothing is opened before the first attach."""
        self.site = site
        self.directory = directory
        self._dues = Dues(site, directory)
        self.book: Book | None = None
        self.changed: set[str] = set()  # alarms that were stored since the publisher took them
        self._failing = False
        self._retry_ns = 0
        self._saved_ns = 0
        self._log = log
        self._clock = clock or Clock()
        self._store: AlarmStore | None = None
        self._reader: SegmentReader | None = None
        self._run: _Run | None = None
        self._pending = _Pending()

    def attach(self, reader: SegmentReader) -> None:
        """Take this run's journal from the cursor on."""
        self._reader, self._run = reader, None

    def pump(self, health: Health) -> bool:
        """Take what is there; True once nothing is left to read."""
        return self._guarded(lambda: self._take(health))

    def idle(self) -> None:
        """No controller is read: shelves still end, and requests are answered."""
        if self._store is None and not alarms_path(self.site, self.directory).exists():
            return
        self._guarded(self._idle)

    def detach(self) -> None:
        """The run is read to its end."""
        self._guarded(self._save_all)
        self._reader = self._run = None

    def close(self) -> None:
        """Let go of the file. What was not saved is still in the journal."""
        if self._store is not None:
            self._store.close()
        self._store = self._run = self.book = None
        self._pending = _Pending()

    def ask(self, command: AlarmCommand) -> str:
        """Carry out a request that came by another way than the file.

        Returns why it was refused, or nothing once it is stored.
        """
        refused = ["the alarms' file cannot be used now"]

        def work() -> bool:
            book = self._open()
            happened, refused[0] = carry_out(book, command, self._now(book))
            self._pending.happened += happened
            return self._save_all()

        if not self._guarded(work):
            return "the alarms' file cannot be used now"
        return refused[0]

    def _guarded(self, work: Callable[[], bool]) -> bool:
        now_ns = self._clock.monotonic_ns()
        if self._failing and now_ns < self._retry_ns:
            return False
        try:
            done = work()
        except AlarmError as error:
            if not self._failing:
                emit(self._log, "alarms.write_failed", path=error.where, error=error.problem)
            self._failing, self._retry_ns = True, now_ns + round(RETRY_S * 1e9)
            # Start over from what is on disk; the journal still has what came after.
            self.close()
            return False
        if self._failing:
            self._failing = False
            emit(self._log, "alarms.write_restored", path=str(self.directory))
        return done

    def _open(self) -> Book:
        if self._store is None:
            store = AlarmStore.writer(self.site, self.directory)
            if store is None:
                raise AlarmError(
                    where=str(alarms_path(self.site, self.directory)),
                    problem="another process holds the alarms' file",
                    because="Two writers would count the same alarm twice.",
                    remedy="A command line holds it for a moment; stop any other services.",
                )
            self._store = store
            self.book = store.book()
            self.changed.update(self.book.states)
            store.prune()
        assert self.book is not None, "read when the file was opened"
        return self.book

    def _attached(self, book: Book) -> _Run | None:
        """The run that is read, begun where its cursor stands."""
        reader, store = self._reader, self._store
        if self._run is not None or reader is None or store is None:
            return self._run
        cursor = store.cursor(reader.boot_id)
        last: Array = reader.journal(reader.journal_head).records
        if cursor is None:
            # UTC at the start, and never earlier than what was already remembered.
            offset_ns = max(reader.boot_id, book.now_ns) - reader.start_ns
            cursor = Cursor(reader.boot_id, 0, offset_ns, Memory())
        elif cursor.next_seq > 0:
            before = reader.journal(cursor.next_seq - 1, 1)
            last = before.records if not before.lost else last
        judge = Judge(self._dues.directory(reader.directory))
        self._run = _Run(reader, judge, cursor, last)
        at = Moment(book.now_ns or reader.boot_id, reader.boot_id, reader.start_ns, reader.boot_id)
        self._pending.happened += book.adopt(judge.specs, at)
        return self._run

    def _take(self, health: Health) -> bool:
        book = self._open()
        run = self._attached(book)
        assert run is not None, "attach comes first"
        caught_up = False
        for _ in range(BATCHES_PER_PUMP):
            batch = run.reader.journal(run.cursor.next_seq)
            caught_up = batch.next_seq >= run.reader.journal_head
            if len(batch.records):
                self._scans(book, run, batch, health if caught_up else None)
            if caught_up:
                break
        if caught_up:
            self._look(book, run, health)
            self._answer(book)
        self._save_if_due()
        return caught_up

    def _scans(self, book: Book, run: _Run, batch: JournalBatch, health: Health | None) -> None:
        snapshot = None
        if health is not None:
            try:
                snapshot = run.reader.snapshot()
            except SegmentError:  # the controller died inside; its journal is whole
                snapshot = None
            run.health, run.looked_ns = health, self._clock.monotonic_ns()
        if batch.lost:
            emit(self._log, "alarms.gap_found", boot_id=run.cursor.boot_id,
                 first_seq=run.cursor.next_seq, scans_lost=batch.lost)  # fmt: skip
        self._judge(book, run, batch.records, snapshot, health, batch.lost)
        run.cursor.next_seq = batch.next_seq
        run.last = batch.records[-1:].copy()

    def _judge(
        self, book: Book, run: _Run, records: Array, snapshot: Any, health: Health | None,
        lost: int = 0, now_ns: int = 0,
    ) -> None:  # fmt: skip
        """Hand consecutive scans to the book; now_ns where it is later than the scan's own."""
        batch = Batch(
            self._dues.directory(run.reader.directory), records, rows_of(records),
            run.reader.start_ns, run.cursor.memory, snapshot, health, lost,
        )  # fmt: skip
        moments = []
        for head in records["head"]:
            now_ns = max(now_ns, int(head["time_ns"]) + run.cursor.offset_ns, book.now_ns)
            moments.append(Moment(now_ns, int(head["utc_ns"]), int(head["time_ns"]),
                                  run.cursor.boot_id, int(head["scan"])))  # fmt: skip
        self._pending.happened += book.take(run.judge, batch, moments)

    def _look(self, book: Book, run: _Run, health: Health) -> None:
        """No new scan: what the services themselves know, and what waits for time."""
        now_ns = self._clock.monotonic_ns()
        if run.health == health and now_ns - run.looked_ns < IDLE_S * 1e9:
            return
        run.health, run.looked_ns = health, now_ns
        if len(run.last):
            # The last scan again, with today's health: its own sources say what they said.
            self._judge(book, run, run.last, None, health, now_ns=now_ns + run.cursor.offset_ns)
        else:
            self._pending.happened += book.tick(self._now(book))

    def _idle(self) -> bool:
        book = self._open()
        self._pending.happened += book.tick(self._now(book))
        self._answer(book)
        self._save_if_due()
        return True

    def _now(self, book: Book) -> Moment:
        """This instant on every clock; without a run UTC stands for the alarm clock."""
        time_ns, utc_ns = self._clock.monotonic_ns(), self._clock.utc_ns()
        if self._run is None:
            return Moment(max(book.now_ns, utc_ns), utc_ns, time_ns)
        cursor, last = self._run.cursor, self._run.last["head"]
        scan = int(last["scan"][0]) if len(last) else -1
        now_ns = max(book.now_ns, time_ns + cursor.offset_ns)
        return Moment(now_ns, utc_ns, time_ns, cursor.boot_id, scan)

    def _answer(self, book: Book) -> None:
        assert self._store is not None, "opened before"
        happened, answers = answer_waiting(self._store, book, self._now(book))
        self._pending.happened += happened
        self._pending.answers += answers

    def _save_if_due(self) -> None:
        old = self._clock.monotonic_ns() - self._saved_ns >= SAVE_S * 1e9
        if self._pending.happened or self._pending.answers or old:
            self._save_all()

    def _save_all(self) -> bool:
        """Store everything, then say it."""
        store, book, pending = self._store, self.book, self._pending
        if store is None or book is None:
            return True
        dirty = set(book.dirty)
        cursor = self._run.cursor if self._run is not None else None
        store.save(book, pending.happened, cursor, pending.answers)
        self._saved_ns = self._clock.monotonic_ns()
        self._pending = _Pending()
        self.changed |= dirty
        self._say(book, pending.happened)
        return True

    def _say(self, book: Book, happened: Sequence[Happening]) -> None:
        for each in happened:
            if each.event in SILENT:
                continue
            spec = book.specs.get(each.alarm_id)
            known = {
                "alarm": each.alarm_id, "site": self.site, "scan": each.at.scan,
                "before": each.before, "after": each.after, "by": each.by, "reason": each.reason,
                "priority": spec.priority if spec else None,
                "title": spec.title if spec else None,
                "operator_action": spec.operator_action if spec else None,
            }  # fmt: skip
            name = f"alarm.{each.event}"
            wanted = EVENTS[name].fields
            emit(self._log, name, **{key: known[key] for key in wanted})
