"""Journal to ledger. A ledger that cannot be written is tried again; its cursor keeps the place."""

import time
from pathlib import Path
from typing import Any

from edgectl.errors import LedgerError
from edgectl.events import emit
from edgectl.image import SegmentReader
from edgectl.ledger import Ledger, LedgerWriter

RETRY_S = 1.0
BATCHES_PER_PUMP = 5  # of 1000 scans: catching up must not keep MQTT waiting


class LedgerFeed:
    """The ledger's side of the services: every scan, exactly once."""

    def __init__(self, site: str, directory: Path, log: Any) -> None:
        """Nothing is opened before the first attach."""
        self.site = site
        self.directory = directory
        self.failing_since_s: float | None = None
        self._retry_s = 0.0
        self._log = log
        self._ledger: Ledger | None = None
        self._writer: LedgerWriter | None = None
        self._reader: SegmentReader | None = None

    def attach(self, reader: SegmentReader) -> None:
        """Cover this run from the ledger's cursor on."""
        self._reader = reader
        self._writer = None

    def pump(self) -> bool:
        """Write what is there; True once nothing is left to read."""
        return self._guarded(finish=False)

    def finish(self) -> bool:
        """The run is over: write its last second; True once that is done."""
        return self._guarded(finish=True)

    def close(self) -> None:
        """Close the files; the second under way stays in the journal for the next."""
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = self._writer = None

    @property
    def next_seq(self) -> int:
        """Journal record that is read next; 0 while the ledger cannot be opened."""
        return self._writer.next_seq if self._writer else 0

    def _guarded(self, *, finish: bool) -> bool:
        now_s = time.monotonic()
        if self.failing_since_s is not None and now_s < self._retry_s:
            return False
        try:
            done = self._write(finish=finish)
        except LedgerError as error:
            self._failed(error, now_s)
            return False
        if self.failing_since_s is not None:
            self.failing_since_s = None
            emit(self._log, "ledger.write_restored", path=str(self.directory),
                 behind_scans=self._behind())  # fmt: skip
        return done

    def _write(self, *, finish: bool) -> bool:
        writer, reader = self._open(), self._reader
        assert reader is not None, "attach comes first"
        for _ in range(BATCHES_PER_PUMP):
            batch = reader.journal(writer.next_seq)
            if batch.lost:
                first_ns = batch.records["head"]["utc_ns"][:1].tolist()
                emit(self._log, "ledger.gap_found", boot_id=writer.boot_id,
                     first_seq=writer.next_seq, scans_lost=batch.lost,
                     utc_s=first_ns[0] // 10**9 if first_ns else None)  # fmt: skip
            writer.add(batch)
            if writer.next_seq >= reader.journal_head:
                if finish:
                    writer.finish()
                return True
        return False

    def _open(self) -> LedgerWriter:
        assert self._reader is not None, "attach comes first"
        if self._ledger is None:
            self._ledger = Ledger(self.site, self.directory)
            emit(self._log, "ledger.opened", path=str(self.directory),
                 records=self._ledger.count(), next_seq=self._ledger.next_seq)  # fmt: skip
        if self._writer is None:
            self._writer = LedgerWriter(self._ledger, self._reader)
        return self._writer

    def _failed(self, error: LedgerError, now_s: float) -> None:
        if self.failing_since_s is None:
            self.failing_since_s = now_s
            emit(self._log, "ledger.write_failed", path=str(self.directory),
                 error=error.problem, behind_scans=self._behind())  # fmt: skip
        self._retry_s = now_s + RETRY_S
        # Start over from what is on disk: the failed file may have been moved or repaired.
        self.close()

    def _behind(self) -> int:
        return self._reader.journal_head - self.next_seq if self._reader else 0
