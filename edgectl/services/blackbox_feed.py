"""Journal to black box: 60 s before and 30 s after every trip, frozen to a file.

The ring is minutes deep, so nothing is copied in advance: what came before a trip is
still there when the trip is seen. A file is written as soon as its trip is seen and
again until its window closes, so that what led to a trip is on the disk even if the
power goes with it. How far the journal was looked through, and which window is open,
lies in a small file of its own; after a kill the next services go on from there.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from edgectl._kernel.interlock import RowFlag
from edgectl.blackbox import (
    Trigger,
    blackbox_dir,
    evict,
    file_name,
    read_blackbox,
    rising,
    write_blackbox,
)
from edgectl.blackbox.format import COMPLETE, OPEN, TRUNCATED
from edgectl.errors import DataError, SegmentError
from edgectl.events import emit
from edgectl.image import SegmentReader
from edgectl.image.points import PointDecoder

BEFORE_NS = 60_000_000_000
AFTER_NS = 30_000_000_000
WINDOW_NS = 300_000_000_000  # a row that goes on tripping does not make one file for ever
TRIGGERS_MAX = 1000
FREEZE_S = 5.0  # an open window is written again so often
SAVE_S = 5.0
LEARN_S = 1.0  # scale factors are looked at so often: a battery at zero shows none
RETRY_S = 1.0
BATCHES_PER_PUMP = 3
FAST, SMALL = 1, 6  # of zlib
BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """Trips that share a file.

    first_seq   oldest record wanted
    lost        records of it that were overwritten before they were looked at
    """

    first_seq: int
    triggers: tuple[Trigger, ...]
    lost: int = 0

    @property
    def from_ns(self) -> int:
        """Monotonic, of the first record wanted."""
        return self.triggers[0].time_ns - BEFORE_NS

    @property
    def until_ns(self) -> int:
        """Monotonic, at which it closes as things stand."""
        end_ns = self.triggers[-1].time_ns + AFTER_NS
        return min(end_ns, self.triggers[0].time_ns + WINDOW_NS)


@dataclass(slots=True)
class Place:
    """How far one run of the controller was looked through."""

    boot_id: int
    next_seq: int
    window: Window | None = None
    exponents: dict[str, int] = field(default_factory=dict)


class BlackboxFeed:
    """The black box's side of the services."""

    def __init__(self, site: str, data_dir: Path, log: Any) -> None:
        """Nothing is read or written before the first attach."""
        self.site = site
        self.folder = blackbox_dir(data_dir)
        self.failing = False
        self._log = log
        self._reader: SegmentReader | None = None
        self._place = Place(-1, 0)
        self._save_due_s = self._freeze_due_s = self._learn_due_s = self._retry_s = 0.0
        self._dirty = False

    @property
    def cursor_path(self) -> Path:
        """Where the place in the journal is kept."""
        return self.folder / f"{self.site}.cursor"

    def attach(self, reader: SegmentReader) -> None:
        """Go on in this run of the controller where its cursor stands, or at its oldest record."""
        self._reader = reader
        kept = self._load()
        if kept is not None and kept.boot_id == reader.boot_id:
            self._place = kept
            self._place.next_seq = min(kept.next_seq, reader.journal_head)
        else:
            if kept is not None and kept.window is not None:
                self._abandoned(kept.window)
            self._place = Place(reader.boot_id, reader.oldest_seq)
        self._dirty = False
        self._freeze_due_s = 0.0

    def pump(self) -> bool:
        """Look through what is there and freeze what is due; True once nothing is left to read."""
        assert self._reader is not None, "attach comes first"
        if self.failing and time.monotonic() < self._retry_s:
            return False
        try:
            done = self._pump(self._reader)
            self._save(force=False)
        except OSError as error:
            self._failed(error)
            return False
        self._restored()
        return done

    def finish(self) -> bool:
        """The run is over: what is open is written with what there is; True once that is done."""
        if not self.pump():
            return False
        try:
            if self._place.window is not None and self._reader is not None:
                self._freeze(self._reader, TRUNCATED, "the controller ended")
                self._place.window = None
                self._dirty = True
            self._save(force=True)
        except OSError as error:
            self._failed(error)
            return False
        return True

    def close(self) -> None:
        """Keep the place for the next services."""
        if self._reader is None:
            return
        try:
            self._save(force=True)
        except OSError as error:
            self._failed(error)
        self._reader = None

    def _pump(self, reader: SegmentReader) -> bool:
        if time.monotonic() >= self._learn_due_s and reader.journal_head > 0:
            self._learn(reader)
            self._learn_due_s = time.monotonic() + LEARN_S
        for _ in range(BATCHES_PER_PUMP):
            self._close_if_over(reader)
            before = max(self._place.next_seq - 1, 0)
            batch = reader.journal(before)
            fresh = batch.next_seq - self._place.next_seq
            if fresh <= 0:
                break
            self._take(batch.records, max(0, batch.first_seq - self._place.next_seq))
            self._place.next_seq = batch.next_seq
        self._close_if_over(reader)
        window = self._place.window
        if window is not None and time.monotonic() >= self._freeze_due_s:
            self._freeze(reader, OPEN, "")
            self._freeze_due_s = time.monotonic() + FREEZE_S
        return self._place.next_seq >= reader.journal_head

    def _take(self, records: Any, lost: int) -> None:
        """Find the trips of consecutive records whose first was looked at before."""
        window = self._place.window
        if lost:
            emit(self._log, "blackbox.gap_found", first_seq=self._place.next_seq, scans_lost=lost)
            if window is not None:
                window = replace(window, lost=window.lost + lost)
        for at, row in rising(records):
            trigger = self._trigger(records[at], row)
            if window is not None and trigger in window.triggers:
                continue  # a disk that was full has brought us here a second time
            if window is not None and trigger.time_ns > window.until_ns:
                # One that was overtaken by the next is written by its own close, from the ring.
                self._place.window = window
                self._freeze_closed()
                window = None
            if window is None:
                assert self._reader is not None, "attach comes first"
                period_ns = int(self._reader.directory["period_ns"])
                first = max(0, trigger.seq - -(-BEFORE_NS // period_ns))
                window = Window(first, (trigger,))
                self._freeze_due_s = 0.0
                emit(self._log, "blackbox.opened", interlock=trigger.id, scan=trigger.scan)
            elif len(window.triggers) < TRIGGERS_MAX:
                window = replace(window, triggers=(*window.triggers, trigger))
            self._dirty = True
        self._place.window = window

    def _trigger(self, record: Any, row: int) -> Trigger:
        assert self._reader is not None, "attach comes first"
        head, flags = record["head"], int(record["interlock_flags"][row])
        return Trigger(
            row=row,
            id=str(self._reader.directory["interlocks"][row]["id"]),
            scan=int(head["scan"]),
            seq=int(head["seq"]),
            utc_ns=int(head["utc_ns"]),
            time_ns=int(head["time_ns"]),
            first_out=bool(flags & RowFlag.ROW_FIRST_OUT),
            bypassed=bool(flags & RowFlag.ROW_BYPASSED),
        )

    def _close_if_over(self, reader: SegmentReader) -> None:
        """Close the window once the journal has gone beyond it."""
        window = self._place.window
        if window is None or self._place.next_seq == 0:
            return
        last = reader.journal(self._place.next_seq - 1, limit=1).records
        if len(last) and int(last["head"]["time_ns"][0]) > window.until_ns:
            self._freeze_closed()

    def _freeze_closed(self) -> None:
        assert self._reader is not None, "attach comes first"
        self._freeze(self._reader, COMPLETE, "")
        self._place.window = None
        self._dirty = True
        self._save(force=True)

    def _freeze(self, reader: SegmentReader, state: str, because: str) -> None:
        """Write the window's file with what the ring has of it now."""
        window = self._place.window
        assert window is not None, "the caller has looked"
        records, missing = self._records(reader, window)
        lost = window.lost + missing
        if state == COMPLETE and lost:
            state, because = TRUNCATED, f"{lost} records were overwritten before they were kept"
        first = first_out(window.triggers)
        order = (first, *(each for each in window.triggers if each is not first))
        path = self._path(window)
        self.folder.mkdir(parents=True, exist_ok=True)
        size = write_blackbox(
            path,
            {
                "site": self.site,
                "boot_id": reader.boot_id,
                "state": state,
                "because": because,
                "lost": lost,
                "first_out": {"row": first.row, "id": first.id, "scan": first.scan},
                "directory": dict(reader.directory),
                "exponents": self._place.exponents,
                "edgectl": version("edgectl"),
            },
            order,
            records,
            FAST if state == OPEN else SMALL,
        )
        if state == OPEN:
            return
        emit(
            self._log,
            "blackbox.frozen",
            file=path.name,
            interlock=first.id,
            scan=first.scan,
            trips=len(window.triggers),
            records=len(records),
            state=state,
            bytes=size,
        )
        keep = int(reader.directory["blackbox_keep_mb"]) * BYTES_PER_MB
        for gone in evict(self.folder, self.site, keep):
            emit(self._log, "blackbox.evicted", file=gone.path.name, bytes=gone.size)

    def _path(self, window: Window) -> Path:
        """Of the window's file: by the first out of its first scan, so the same every time."""
        first = first_out(window.triggers)
        return self.folder / file_name(self.site, first.utc_ns, first.id)

    def _abandoned(self, window: Window) -> None:
        """Controller and services went together: what is on the disk is all there will be."""
        path = self._path(window)
        try:
            box = read_blackbox(path)
            header = dict(box.header) | {
                "state": TRUNCATED,
                "because": "the controller and the services ended",
            }
            if box.header["state"] == OPEN:
                write_blackbox(path, header, box.triggers, box.records, SMALL)
        except (OSError, DataError) as error:
            emit(self._log, "blackbox.write_failed", path=str(path), error=str(error))

    def _records(self, reader: SegmentReader, window: Window) -> tuple[Any, int]:
        """(records of the window that are there, those of it that no longer are)."""
        parts, seq, missing = [], window.first_seq, 0
        while seq < reader.journal_head:
            batch = reader.journal(seq)
            missing += batch.lost
            parts.append(batch.records)
            seq = batch.next_seq
            times = batch.records["head"]["time_ns"]
            if len(times) == 0 or int(times[-1]) > window.until_ns:
                break
        # Zeroed first: numpy copies fields and not what lies between them, which is written too.
        records, at = np.zeros(sum(map(len, parts)), reader.layout.record), 0
        for part in parts:
            records[at : at + len(part)] = part
            at += len(part)
        times = records["head"]["time_ns"]
        first = int(np.searchsorted(times, window.from_ns))
        return records[first : int(np.searchsorted(times, window.until_ns, "right"))], missing

    def _learn(self, reader: SegmentReader) -> None:
        """Scale factors in force, which records do not hold."""
        decoder = PointDecoder(reader.directory, self._place.exponents)
        try:
            decoder.learn(reader.snapshot()["samples"])
        except SegmentError:  # the controller died inside: what was learnt before must do
            return
        self._place.exponents = decoder.exponents

    def _save(self, *, force: bool) -> None:
        """Keep the place: at once when a window has changed, else every few seconds."""
        now_s = time.monotonic()
        if not (force or self._dirty) and now_s < self._save_due_s:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.cursor_path.with_suffix(".part")
        with temporary.open("wb") as file:
            file.write(pack_place(self._place))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.cursor_path)
        self._dirty, self._save_due_s = False, now_s + SAVE_S

    def _load(self) -> Place | None:
        """The place of the services before; None where there is none that can be read."""
        try:
            return unpack_place(self.cursor_path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            emit(self._log, "blackbox.cursor_lost", path=str(self.cursor_path), error=str(error))
            return None

    def _failed(self, error: OSError) -> None:
        self._retry_s = time.monotonic() + RETRY_S
        if not self.failing:
            emit(self._log, "blackbox.write_failed", path=str(self.folder), error=str(error))
        self.failing = True

    def _restored(self) -> None:
        if self.failing:
            emit(self._log, "blackbox.write_restored", path=str(self.folder))
        self.failing = False


def first_out(triggers: tuple[Trigger, ...]) -> Trigger:
    """The first of the first scan that is marked first out, else the first there is."""
    together = [each for each in triggers if each.seq == triggers[0].seq]
    return next((each for each in together if each.first_out), triggers[0])


def pack_place(place: Place) -> bytes:
    """The cursor file's content."""
    window = place.window
    plain: Mapping[str, Any] = {
        "boot_id": place.boot_id,
        "next_seq": place.next_seq,
        "exponents": place.exponents,
        "window": None
        if window is None
        else {
            "first_seq": window.first_seq,
            "lost": window.lost,
            "triggers": [
                [getattr(each, name) for name in Trigger.__slots__] for each in window.triggers
            ],
        },
    }
    return bytes(msgpack.packb(plain))


def unpack_place(raw: bytes) -> Place:
    """What pack_place packed; ValueError, TypeError or KeyError where it is something else."""
    plain = msgpack.unpackb(raw, raw=False)
    window = plain["window"]
    return Place(
        int(plain["boot_id"]),
        int(plain["next_seq"]),
        None
        if window is None
        else Window(
            int(window["first_seq"]),
            tuple(Trigger(*each) for each in window["triggers"]),
            int(window["lost"]),
        ),
        dict(plain["exponents"]),
    )
