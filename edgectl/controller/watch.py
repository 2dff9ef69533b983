"""The main thread's watch: what changed since it last looked, as events in the log.

It reads the segment like any other reader and can therefore disturb nothing.
"""

from functools import partial
from typing import Any

import numpy as np
import structlog

from edgectl.events import emit
from edgectl.image import SegmentReader
from edgectl.image.authority import current_note
from edgectl.image.changes import Changes

STALLED_AFTER_PERIODS = 5

log = structlog.get_logger()


class Watch:
    """Turns changes in journal and snapshot into log events."""

    def __init__(self, reader: SegmentReader) -> None:
        """reader   of the segment this process writes"""
        self.reader = reader
        nothing = np.zeros(1, reader.layout.snapshot)[0]  # so that what is there first is told too
        self.changes = Changes(reader.directory, nothing, partial(current_note, reader.path))
        self.next_seq = 0
        self.stalled = False

    def look(self, now_ns: int) -> Any:
        """Emit what changed; returns the snapshot.

        now_ns   monotonic
        """
        batch = self.reader.journal(self.next_seq)
        self.next_seq = batch.next_seq
        image = self.reader.snapshot()
        for name, fields in self.changes.scans(batch.records):
            emit(log, name, **fields)
        for name, fields in self.changes.image(image):
            emit(log, name, **fields)
        self._stalled(image["record"], now_ns)
        return image

    def _stalled(self, record: Any, now_ns: int) -> None:
        """Say once that no scan came in time."""
        age_ns = now_ns - int(record["time_ns"])
        period_ns = int(self.reader.directory["period_ns"])
        stalled = int(record["scan"]) > 0 and age_ns > STALLED_AFTER_PERIODS * period_ns
        if stalled and not self.stalled:
            site, scan = self.reader.directory["site"], int(record["scan"])
            emit(log, "controller.stalled", site=site, scan=scan, age_ms=age_ns // 1_000_000)
        self.stalled = stalled
