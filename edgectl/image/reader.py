"""The readers' side: copies that are whole, or a plain word that they are not.

Every copy follows the same shape: sequence before, copy, fence, sequence after.
The kernel's stores of the sequence numbers are releases; its door gives the
loads their order too, on machines that would change it.
"""

import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgpack
import numpy as np

from edgectl._kernel.journal import full_fence, load_acquire
from edgectl._kernel.layout import DTYPES
from edgectl.errors import SegmentError
from edgectl.image.layout import MAGIC, VERSION, Directory, head_fields, segment_layout
from edgectl.image.paths import segment_path

SNAPSHOT_TRIES = 200
SNAPSHOT_PAUSE_S = 0.000_1  # a write takes microseconds, on a host that lets the writer run
SNAPSHOT_LOOK_TRIES = 20  # after so many it is looked whether there is a writer
JOURNAL_BATCH = 1_000  # records a call; bounds the memory of a reader that is behind
HEAD_BYTES = DTYPES["SegmentHead"].itemsize
HEAD_OFFSETS = {name: field[1] for name, field in (DTYPES["SegmentHead"].fields or {}).items()}
JOURNAL_HEAD = HEAD_OFFSETS["journal_head"]  # the head itself is at 0
SNAPSHOT_SEQ = HEAD_OFFSETS["snapshot_seq"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class JournalBatch:
    """Consecutive records, copied out, and what was overwritten before them."""

    first_seq: int  # of records[0]; where none, of the next to come
    records: Array
    lost: int  # records between the asked-for sequence number and first_seq

    @property
    def next_seq(self) -> int:
        """Where the next read goes on."""
        return self.first_seq + len(self.records)


def read_head(path: Path) -> Any:
    """The head of a segment file, or None where the file is absent or too short."""
    try:
        with path.open("rb") as file:
            raw = file.read(HEAD_BYTES)
    except FileNotFoundError:
        return None
    if len(raw) < HEAD_BYTES:
        return None
    return np.frombuffer(raw, dtype=DTYPES["SegmentHead"], count=1)[0]


def process_alive(pid: int, start_ns: int) -> bool:
    """Is the process that made a segment still the one with this pid?

    pid        as the head has it
    start_ns   ns, monotonic, when the segment was made

    A zombie is dead; a process that started after the segment is another one.
    """
    if pid <= 0:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    fields = stat.rpartition(")")[2].split()  # the name may hold blanks; proc(5): state is next
    if fields[0] in "ZXx":
        return False
    started_boot_ns = int(fields[19]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    # The monotonic clock stands still in suspend, so this is the earliest it can have been. It is
    # read first: where the host stops us before the other, a controller is not taken for another.
    monotonic_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    suspended_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - monotonic_ns
    return started_boot_ns - suspended_ns <= start_ns


class SegmentReader:
    """A mapped segment, read only."""

    def __init__(self, buffer: mmap.mmap, path: Path | None) -> None:
        """Check head and directory of a mapping and lay views over it.

        Raises SegmentError where the file is no segment of this edgectl.
        """
        where = str(path or "private segment")
        self.path = path
        self._buffer = buffer
        if len(buffer) < HEAD_BYTES:
            raise _refused(where, f"it has {len(buffer)} bytes; a head alone has {HEAD_BYTES}")
        self._head = np.frombuffer(buffer, dtype=DTYPES["SegmentHead"], count=1)
        self.directory = _directory(self._head, buffer, where)
        self.layout = segment_layout(self.directory, int(self._head["journal_slots"][0]))
        for name, value in head_fields(self.layout).items():
            found = int(self._head[name][0])
            if found != value:
                raise _refused(where, f"{name} is {found}; by its directory it must be {value}")
        if len(buffer) < self.layout.total_bytes:
            raise _refused(where, f"{len(buffer)} bytes of {self.layout.total_bytes} are there")
        self._snapshot = np.frombuffer(
            buffer, dtype=self.layout.snapshot, count=1, offset=self.layout.snapshot_offset
        )
        self._journal = np.frombuffer(
            buffer,
            dtype=self.layout.record,
            count=self.layout.journal_slots,
            offset=self.layout.journal_offset,
        )

    @property
    def controller_pid(self) -> int:
        """Pid of the controller that made the segment."""
        return int(self._head["controller_pid"][0])

    @property
    def start_ns(self) -> int:
        """Monotonic ns when it was made."""
        return int(self._head["start_ns"][0])

    @property
    def boot_id(self) -> int:
        """UTC ns when it was made: tells one run's journal from another's."""
        return int(self._head["start_utc_ns"][0])

    @property
    def stopped(self) -> bool:
        """The controller stopped in good order."""
        return bool(self._head["stopped"][0])

    @property
    def journal_head(self) -> int:
        """Sequence number of the next record."""
        return load_acquire(self._buffer, JOURNAL_HEAD)

    @property
    def oldest_seq(self) -> int:
        """Oldest record that can still be read whole."""
        return max(0, self.journal_head - (self.layout.journal_slots - 1))

    def alive(self) -> bool:
        """The controller runs: its process is there and it did not say goodbye."""
        return not self.stopped and process_alive(self.controller_pid, self.start_ns)

    def current(self) -> bool:
        """The file under the segment's name is still the one that is mapped here."""
        if self.path is None:
            return True
        head = read_head(self.path)
        return head is not None and int(head["start_ns"]) == self.start_ns

    def snapshot(self) -> Any:
        """A whole copy of the process image, as one numpy record.

        Raises SegmentError if the writer died inside, or never left it.
        """
        for tried in range(1, SNAPSHOT_TRIES + 1):
            before = load_acquire(self._buffer, SNAPSHOT_SEQ)
            if before % 2 == 0:
                copy = self._snapshot.copy()
                full_fence()
                if load_acquire(self._buffer, SNAPSHOT_SEQ) == before:
                    return copy[0]
            if tried % SNAPSHOT_LOOK_TRIES == 0 and not self.alive():
                break
            time.sleep(tried * SNAPSHOT_PAUSE_S)  # 2 s in all: a stalled host is no dead writer
        gone = not self.alive()
        pid = self.controller_pid
        raise SegmentError(
            where=str(self.path or "private segment"),
            problem=f"no whole snapshot in {tried} tries"
            + (f"; controller pid {pid} is gone" if gone else ""),
            because="A half-written process image must not be shown as the plant.",
            remedy="Start the controller again: edgectl run SITE."
            if gone
            else f"Look at the load of the machine and at the state of pid {pid}.",
        )

    def journal(self, from_seq: int, limit: int = JOURNAL_BATCH) -> JournalBatch:
        """Copy records out, oldest first.

        from_seq   first record wanted
        limit      records at most

        What the writer has overtaken is counted in `lost`, never delivered torn.
        Raises SegmentError where from_seq lies beyond the journal's head.
        """
        head = self.journal_head
        if not 0 <= from_seq <= head:
            raise SegmentError(
                where=str(self.path or "private segment"),
                problem=f"record {from_seq} was asked for; the next to be written is {head}",
                because="This cursor belongs to another run of the controller.",
                remedy="Start at record 0 of this run; cursors are kept per boot_id.",
            )
        slots = self.layout.journal_slots
        first = max(from_seq, head - (slots - 1))
        end = min(head, first + limit)
        low, high = first % slots, end % slots
        if first >= end:
            copy = self._journal[:0].copy()
        elif low < high:
            copy = self._journal[low:high].copy()
        else:
            copy = np.concatenate((self._journal[low:], self._journal[:high]))
        full_fence()
        overtaken = min(max(0, self.oldest_seq - first), end - first)
        first, copy = first + overtaken, copy[overtaken:]
        if len(copy) and not np.array_equal(copy["head"]["seq"], np.arange(first, end)):
            raise _refused(
                str(self.path or "private segment"),
                f"records {first} to {end - 1} do not carry their own numbers",
            )
        return JournalBatch(first_seq=first, records=copy, lost=first - from_seq)

    def close(self) -> None:
        """Let go of the mapping, unless the segment is this process's own."""
        del self._head, self._snapshot, self._journal
        try:
            self._buffer.close()
        except BufferError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def attach(site: str | Path) -> SegmentReader:
    """Map the segment of a site, read only.

    site    the site's id, or the path of a segment file

    Raises SegmentError where there is none, or it is not one of this edgectl.
    """
    path = site if isinstance(site, Path) else segment_path(site)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SegmentError(
            where=str(path),
            problem=f"cannot be opened: {error.strerror}",
            because="The controller makes it when it starts.",
            remedy="Start the controller: edgectl run SITE.",
        ) from error
    try:
        size = os.fstat(descriptor).st_size
        if size < HEAD_BYTES:
            raise _refused(str(path), f"it has {size} bytes; a head alone has {HEAD_BYTES}")
        buffer = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    return SegmentReader(buffer, path)


def _directory(head: Array, buffer: mmap.mmap, where: str) -> Directory:
    """Unpack the directory after checking what says where it lies."""
    fixed = {"magic": MAGIC, "version": VERSION, "head_bytes": HEAD_BYTES}
    for name, value in fixed.items():
        found = int(head[name][0])
        if found != value:
            raise _refused(where, f"{name} is {found:#x}; this edgectl reads {value:#x}")
    start, length = int(head["directory_offset"][0]), int(head["directory_bytes"][0])
    if not HEAD_BYTES <= start <= start + length <= len(buffer):
        raise _refused(where, f"its directory would lie at {start}, {length} bytes long")
    try:
        directory = msgpack.unpackb(buffer[start : start + length], raw=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise _refused(where, f"its directory cannot be read: {error}") from error
    if not isinstance(directory, dict):
        raise _refused(where, "its directory is not a map")
    return directory


def _refused(where: str, problem: str) -> SegmentError:
    return SegmentError(
        where=where,
        problem=problem,
        because="Reading it with another layout would show wrong values as good ones.",
        remedy="Run the controller and its readers from the same edgectl version.",
    )
