"""Journal records in, whole seconds out.

Only seconds that are over are written; the scans of the second under way stay in
memory and, by the cursor, uncovered. Whoever starts again reads them again. So a
crash at any instant neither loses a scan nor books one twice.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from edgectl.image import JournalBatch, SegmentReader
from edgectl.ledger.payload import (
    SECOND_NS,
    Array,
    Kind,
    canonical,
    gap_payload,
    second_payload,
    start_payload,
)
from edgectl.ledger.store import Cursor, Ledger, Row

PENDING_MAX = 20_000  # scans; a clock that stands still must not fill the memory

Entry = tuple[Row, Cursor]


class LedgerWriter:
    """Covers one run of the controller."""

    def __init__(self, ledger: Ledger, reader: SegmentReader) -> None:
        """Go on where the ledger stands for this run.

        A run it does not know gets a START row, and each run before it that ended
        unseen a GAP row. Raises LedgerError where these cannot be written.
        """
        directory = reader.directory
        self.ledger = ledger
        self.site = str(directory["site"])
        self.boot_id = reader.boot_id
        # One meter of the grid, and one each of loads, storages and PV, as MeterRow has them.
        self.meters = 1 + sum(len(directory.get(name, ())) for name in ("loads", "storages", "pvs"))
        if ledger.cursor(self.boot_id) is None:
            payload = canonical(start_payload(directory, self.boot_id))
            row = Row(Kind.START, self.boot_id, self.boot_id // SECOND_NS, 0, -1, payload)
            ledger.append([*self._unseen_ends(), (row, Cursor(self.boot_id))])
        self._pending: Array = np.zeros(0, reader.layout.record)
        self.rewind()

    @property
    def next_seq(self) -> int:
        """Journal record to read next; those from the cursor on are pending."""
        return self.cursor.next_seq + len(self._pending)

    def rewind(self) -> None:
        """Forget what is pending and ask the ledger where it stands."""
        self._pending = self._pending[:0]
        self.cursor = self.ledger.cursor(self.boot_id) or Cursor(self.boot_id)

    def add(self, batch: JournalBatch) -> int:
        """Take the next records; write every second that is over.

        batch   read from next_seq on

        Returns the SECOND rows written. Raises LedgerError; then rewind.
        """
        if not len(batch.records):
            return 0
        entries: list[Entry] = []
        pending, cursor = self._pending, self.cursor
        if batch.lost:
            cursor = self._book(entries, cursor, pending)
            cursor = self._book_gap(entries, cursor, batch)
            pending = pending[:0]
        records = np.concatenate((pending, batch.records))
        seconds = records["head"]["utc_ns"] // SECOND_NS
        cuts = [0, *(np.flatnonzero(seconds[1:] != seconds[:-1]) + 1).tolist()]
        if len(records) - cuts[-1] > PENDING_MAX:
            cuts.append(len(records))
        for low, high in pairwise(cuts):
            cursor = self._book(entries, cursor, records[low:high])
        self.ledger.append(entries)
        self._pending, self.cursor = records[cuts[-1] :], cursor
        return sum(row.kind is Kind.SECOND for row, _ in entries)

    def finish(self) -> int:
        """The run is over and read to its end: write its last, shorter second.

        Returns the SECOND rows written. Raises LedgerError; then rewind.
        """
        if self.cursor.ended:
            return 0
        entries: list[Entry] = []
        cursor = self._book(entries, self.cursor, self._pending)
        self.ledger.append(entries)
        self._pending, self.cursor = self._pending[:0], replace(cursor, ended=True)
        self.ledger.mark(self.cursor)
        return len(entries)

    def _book(self, entries: list[Entry], cursor: Cursor, records: Array) -> Cursor:
        """A SECOND row of these scans; none where there are none."""
        if not len(records):
            return cursor
        head = records["head"]
        payload = second_payload(self.site, self.boot_id, self.meters, records, cursor.last_period)
        first, last = int(head["seq"][0]), int(head["seq"][-1])
        utc_s = int(head["utc_ns"][0]) // SECOND_NS
        reached = Cursor(self.boot_id, last + 1, int(head["period"][-1]), int(head["utc_ns"][-1]))
        row = Row(Kind.SECOND, self.boot_id, utc_s, first, last, canonical(payload))
        entries.append((row, reached))
        return reached

    def _book_gap(self, entries: list[Entry], cursor: Cursor, batch: JournalBatch) -> Cursor:
        """A GAP row of the scans that were overwritten before this batch."""
        after_ns = int(batch.records["head"]["utc_ns"][0])
        first = batch.first_seq - batch.lost
        payload = gap_payload(
            self.site, self.boot_id, first, batch.lost, cursor.last_utc_ns, after_ns
        )
        reached = replace(cursor, next_seq=batch.first_seq)
        row = Row(
            Kind.GAP, self.boot_id, after_ns // SECOND_NS, first, batch.first_seq - 1,
            canonical(payload),
        )  # fmt: skip
        entries.append((row, reached))
        return reached

    def _unseen_ends(self) -> list[Entry]:
        """GAP rows for runs that ended while nobody read; how many scans is not known."""
        entries = []
        for cursor in self.ledger.unfinished(self.boot_id):
            payload = gap_payload(
                self.site, cursor.boot_id, cursor.next_seq, None, cursor.last_utc_ns, None
            )
            utc_s = (cursor.last_utc_ns or cursor.boot_id) // SECOND_NS
            row = Row(
                Kind.GAP, cursor.boot_id, utc_s, cursor.next_seq, cursor.next_seq - 1,
                canonical(payload),
            )  # fmt: skip
            entries.append((row, replace(cursor, ended=True)))
        return entries
