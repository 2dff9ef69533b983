"""Journal records in, whole seconds out.

Only seconds that are over are booked; the scans of the second under way stay in memory and, by the
cursor, uncovered. Whoever starts again reads them again. So a crash at any instant neither loses a
scan nor books one twice.

What is booked and cannot be written yet waits in the spool, in order. The spool has a bound; when
it is full, records stay in the journal, and what the journal then loses is booked as a gap.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from edgectl.image import JournalBatch, SegmentReader
from edgectl.ledger.clock import ClockState, clock_state
from edgectl.ledger.factors import FactorsInForce, UsedFactor, factor_said
from edgectl.ledger.payload import (
    SECOND_NS,
    Array,
    Correct,
    Dark,
    Kind,
    MeterSaid,
    Payload,
    Said,
    clock_said,
    correction_said,
    gap_said,
    only_part,
    second_said,
    split_of,
    start_said,
)
from edgectl.ledger.rows import Cursor, Entry, Row
from edgectl.ledger.stocks import openings_said, stocks_before
from edgectl.ledger.store import Ledger

PENDING_MAX = 20_000  # scans; a clock that stands still must not fill the memory
SPOOL_MAX = 21_600  # records: six hours, some 50 MB
STEP_NS = 20_000_000  # UTC against the monotonic clock between two scans; slewing is far below


class LedgerWriter:
    """Covers one run of the controller."""

    def __init__(
        self, ledger: Ledger | None, reader: SegmentReader,
        clock: Callable[[], ClockState] = clock_state, factors: FactorsInForce | None = None,
    ) -> None:  # fmt: skip
        """Go on where the ledger stands for this run; without one, at the oldest record there is.

        factors   emission factors that were posted; without them all are unknown

        A run the ledger does not know gets a START record, and each run before it that
        ended unseen a GAP record. Raises LedgerError where these cannot be written.
        """
        directory = reader.directory
        self.reader = reader
        self.site = str(directory["site"])
        self.boot_id = reader.boot_id
        self.tenants = [str(each["id"]) for each in directory.get("tenants") or ()]
        # One meter of the grid, and one each of loads, storages and PV, as MeterRow has them.
        self.meters = 1 + sum(len(directory.get(name, ())) for name in ("loads", "storages", "pvs"))
        self.ledger: Ledger | None = None
        self.spool: list[Entry] = []
        self._clock = clock
        self._factors = FactorsInForce() if factors is None else factors
        self._told: dict[bytes, UsedFactor] = {}  # by FACTOR records since the last names
        self._split = split_of(directory)
        self._leap: str | None = None
        self._last_utc_ns: int | None = None  # of the last scan booked, in this process
        self._pending: Array = np.zeros(0, reader.layout.record)
        self.cursor = Cursor(self.boot_id, reader.oldest_seq)
        if ledger is not None:
            self.join(ledger)

    @property
    def next_seq(self) -> int:
        """Journal record to read next; those from the cursor on are pending."""
        return self.cursor.next_seq + len(self._pending)

    @property
    def full(self) -> bool:
        """No more is taken before something is written."""
        return len(self.spool) >= SPOOL_MAX

    def join(self, ledger: Ledger) -> None:
        """Write what waited in the spool, but for what this ledger has already, and go on.

        Raises LedgerError; what could not be written waits on.
        """
        found, told = ledger.cursor(self.boot_id), dict(self._told)
        directory = self.reader.directory
        opening: list[Entry] = []
        if found is None:
            found = Cursor(self.boot_id)
            stocks = openings_said(directory, stocks_before(ledger))
            opening = [*self._unseen_ends(ledger), (self._named(Kind.START, stocks), found)]
        waiting = self._not_in(found)
        scans = [row for row, _ in waiting if row.kind in (Kind.SECOND, Kind.GAP)]
        if not scans or scans[0].first_seq < found.next_seq:
            # Nothing of ours, or cut at another place: what the journal has is read again.
            waiting, self._pending, self.cursor = [], self._pending[:0], found
        elif scans[0].first_seq > found.next_seq:
            self._book_gap(opening, found, scans[0].first_seq, None)
        # The factors that waiting seconds name may stand before the first of them, left out.
        self._told = told if waiting else {}
        opening += [(self._factor(each, waiting[0][0].utc_s, waiting[0][0].first_seq), None)
                    for each in self._told.values()]  # fmt: skip
        self.ledger = ledger
        self.spool = [*opening, *waiting]
        self.flush()

    def leave(self) -> None:
        """The ledger is gone; what is booked from here on waits in the spool."""
        self.ledger = None

    def rewind(self) -> None:
        """Forget what is pending and ask the ledger where it stands."""
        assert self.ledger is not None, "there is a ledger to ask"
        self._pending, self.spool = self._pending[:0], []
        self._told.clear()
        self.cursor = self.ledger.cursor(self.boot_id) or Cursor(self.boot_id)
        self._last_utc_ns = None

    def flush(self) -> None:
        """Write the spool. Raises LedgerError; what was not written waits on."""
        while self.ledger is not None and self.spool:
            del self.spool[: self.ledger.append_some(self.spool)]

    def add(self, batch: JournalBatch) -> int:
        """Take the next records; book and write every second that is over.

        batch   read from next_seq on

        Returns the SECOND records booked. Raises LedgerError; then they wait in the spool.
        """
        if not len(batch.records):
            return 0
        entries: list[Entry] = []
        pending, cursor = self._pending, self.cursor
        clock = self._clock()
        if batch.lost:
            cursor = self._book(entries, cursor, pending, clock)
            cursor = self._book_gap(
                entries, cursor, batch.first_seq, int(batch.records["head"]["utc_ns"][0])
            )
            pending = pending[:0]
        records = np.concatenate((pending, batch.records))
        seconds = records["head"]["utc_ns"] // SECOND_NS
        cuts = [0, *(np.flatnonzero(seconds[1:] != seconds[:-1]) + 1).tolist()]
        if len(records) - cuts[-1] > PENDING_MAX:
            cuts.append(len(records))
        for low, high in pairwise(cuts):
            cursor = self._book(entries, cursor, records[low:high], clock)
        self.spool += entries
        self._pending, self.cursor = records[cuts[-1] :], cursor
        self.flush()
        return sum(row.kind is Kind.SECOND for row, _ in entries)

    def finish(self) -> int:
        """The run is over and read to its end: write its last, shorter second.

        Returns the SECOND records written. Raises LedgerError; then call it again.
        """
        if self.cursor.ended:
            return 0
        entries: list[Entry] = []
        cursor = self._book(entries, self.cursor, self._pending, self._clock())
        self.spool += entries
        self._pending, self.cursor = self._pending[:0], cursor
        self.flush()
        if self.ledger is not None:
            self.ledger.mark(replace(cursor, ended=True))
            self.cursor = replace(cursor, ended=True)
        return sum(row.kind is Kind.SECOND for row, _ in entries)

    def book_names(self) -> None:
        """A NAMES record: from here on, the records can be read without those before."""
        self.spool.append((self._named(Kind.NAMES), self.cursor))

    def book_factor(self, factor: UsedFactor) -> None:
        """A factor that goes to the controller now; said once between two records of names.

        Where there is no room it is said before the first second that names it.
        """
        name = factor.name
        if name not in self._told and not self.full:
            self._told[name] = factor
            utc_ns = self.cursor.last_utc_ns or self.boot_id
            row = self._factor(factor, utc_ns // SECOND_NS, self.cursor.next_seq)
            self.spool.append((row, self.cursor))

    def book_counter(self, tenant: str, count: Payload) -> bool:
        """A count of a tenant's compute; False where the site has no such tenant.

        count   name, value, unit, source and utc_ns
        """
        if tenant not in self.tenants or self.full:
            return False
        part, clock = 1 + self.tenants.index(tenant), self._clock()
        parts = only_part(part, self._split.parts, {"tenant": tenant, **count})
        self.spool.append((self._row(Kind.COUNTER, clock, Said({}, parts)), self.cursor))
        return True

    def book_correction(self, correct: Correct, refers_to: int) -> None:
        """Figures of an earlier record as they are known now.

        refers_to   its number
        """
        said = correction_said(
            refers_to, correct.reason, correct.figures, correct.part, self._split.parts
        )
        self.spool.append((self._row(Kind.CORRECTION, self._clock(), said), self.cursor))

    def book_meter(self, said: MeterSaid) -> None:
        """Where the meters' counters stand, or that one was changed."""
        parts = only_part(said.part, self._split.parts, said.content)
        row = self._row(Kind.METER, self._clock(), Said({"what": said.what}, parts))
        self.spool.append((row, self.cursor))

    def book_dark(self, dark: Dark) -> None:
        """A GAP record of no scans: nothing ran between two runs."""
        said = gap_said(0, dark.before_ns, dark.after_ns)
        self.spool.append((self._row(Kind.GAP, self._clock(), said), self.cursor))

    def _row(self, kind: Kind, clock: ClockState, said: Said) -> Row:
        """A record that covers no scan."""
        at, utc_ns = self.cursor.next_seq, self.cursor.last_utc_ns or self.boot_id
        return Row(
            kind, self.boot_id, utc_ns // SECOND_NS, at, at - 1, said.public, said.parts,
            clock.quality,
        )  # fmt: skip

    def _factor(self, factor: UsedFactor, utc_s: int, next_seq: int) -> Row:
        """A FACTOR record before the scan `next_seq`."""
        return Row(
            Kind.FACTOR, self.boot_id, utc_s, next_seq, next_seq - 1, factor_said(factor).public,
            clock=self._clock().quality,
        )  # fmt: skip

    def _named(self, kind: Kind, stocks: Payload | None = None) -> Row:
        said = start_said(self.reader.directory, self.boot_id, stocks)
        clock = self._clock()
        self._told.clear()
        if kind is Kind.START:
            return Row(
                kind, self.boot_id, self.boot_id // SECOND_NS, 0, -1, said.public, said.parts,
                clock.quality,
            )  # fmt: skip
        return self._row(kind, clock, said)

    def _not_in(self, found: Cursor) -> list[Entry]:
        """What of the spool a ledger with this cursor does not have."""
        for at, (_, reached) in enumerate(self.spool):
            if reached is not None and reached.next_seq > found.next_seq:
                return self.spool[at:]
        return []

    def _book(
        self, entries: list[Entry], cursor: Cursor, records: Array, clock: ClockState
    ) -> Cursor:
        """A SECOND record of these scans; none where there are none."""
        if not len(records):
            return cursor
        head = records["head"]
        self._book_clock(entries, cursor, records, clock)
        named = self._factors.named(head)
        said = second_said(self._split, self.meters, records, cursor.last_period, named.said)
        first, last = int(head["seq"][0]), int(head["seq"][-1])
        utc_s = int(head["utc_ns"][0]) // SECOND_NS
        for each in named.used:
            if each.name not in self._told:
                self._told[each.name] = each
                entries.append((self._factor(each, utc_s, first), cursor))
        reached = Cursor(self.boot_id, last + 1, int(head["period"][-1]), int(head["utc_ns"][-1]))
        row = Row(
            Kind.SECOND, self.boot_id, utc_s, first, last, said.public, said.parts, clock.quality
        )
        entries.append((row, reached))
        return reached

    def _book_clock(
        self, entries: list[Entry], cursor: Cursor, records: Array, clock: ClockState
    ) -> None:
        """CLOCK records where UTC moved otherwise than monotonic time, or a leap second nears."""
        utc_ns, dt_ns = records["head"]["utc_ns"], records["head"]["dt_ns"]
        before = self._last_utc_ns
        then = np.concatenate(([utc_ns[0] - dt_ns[0] if before is None else before], utc_ns[:-1]))
        steps = utc_ns - then - dt_ns
        found = [
            clock_said("step", int(steps[at]), int(then[at]), int(utc_ns[at]))
            for at in np.flatnonzero(np.abs(steps) > STEP_NS).tolist()
        ]
        if clock.leap != self._leap:
            self._leap = clock.leap
            found.append(clock_said(f"leap second {clock.leap or 'over'}", None, None,
                                    int(utc_ns[0])))  # fmt: skip
        self._last_utc_ns = int(utc_ns[-1])
        first = int(records["head"]["seq"][0])
        for said in found:
            row = Row(
                Kind.CLOCK, self.boot_id, said.public["after_ns"] // SECOND_NS, first, first - 1,
                said.public, said.parts, clock.quality,
            )  # fmt: skip
            entries.append((row, cursor))

    def _book_gap(
        self, entries: list[Entry], cursor: Cursor, next_seq: int, after_ns: int | None
    ) -> Cursor:
        """A GAP record of the scans from the cursor to next_seq, which are lost."""
        first = cursor.next_seq
        said = gap_said(next_seq - first, cursor.last_utc_ns, after_ns)
        utc_s = (after_ns or cursor.last_utc_ns or self.boot_id) // SECOND_NS
        reached = replace(cursor, next_seq=next_seq)
        row = Row(
            Kind.GAP, self.boot_id, utc_s, first, next_seq - 1, said.public,
            clock=self._clock().quality,
        )  # fmt: skip
        entries.append((row, reached))
        self._last_utc_ns = None
        return reached

    def _unseen_ends(self, ledger: Ledger) -> list[Entry]:
        """GAP records for runs that ended while nobody read; how many scans is not known."""
        entries: list[Entry] = []
        for cursor in ledger.unfinished(self.boot_id):
            said = gap_said(None, cursor.last_utc_ns, None)
            utc_s = (cursor.last_utc_ns or cursor.boot_id) // SECOND_NS
            row = Row(
                Kind.GAP, cursor.boot_id, utc_s, cursor.next_seq, cursor.next_seq - 1, said.public,
                clock=self._clock().quality,
            )  # fmt: skip
            entries.append((row, replace(cursor, ended=True)))
        return entries
