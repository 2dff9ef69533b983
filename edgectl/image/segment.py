"""The controller's side: make the segment, own it, close it.

A new segment is filled under a temporary name and renamed into place, so a
reader never sees half a head; whoever still maps the old file keeps it, sees
its controller gone, and attaches again.
"""

import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from edgectl._kernel.layout import DTYPES
from edgectl.errors import SegmentError
from edgectl.image.layout import (
    MAILBOX_SLOTS,
    Directory,
    SegmentLayout,
    head_fields,
    pack_directory,
    segment_layout,
    slots_for,
)
from edgectl.image.paths import remove_segment, segment_lock, segment_path
from edgectl.image.reader import SegmentReader, process_alive, read_head


class Segment:
    """A segment this process writes: the kernel gets `buffer`, Python keeps `head`."""

    def __init__(self, buffer: mmap.mmap, layout: SegmentLayout, path: Path | None) -> None:
        """Wrap a mapping that create_segment or private_segment has laid out."""
        self.buffer = buffer
        self.layout = layout
        self.path = path
        self._head: np.ndarray[Any, Any] | None = np.frombuffer(
            buffer, dtype=DTYPES["SegmentHead"], count=1
        )

    @property
    def head(self) -> np.ndarray[Any, Any]:
        """The SegmentHead in place, an array of one."""
        if self._head is None:
            raise ValueError("the segment is closed")
        return self._head

    @property
    def mailbox(self) -> np.ndarray[Any, Any]:
        """The Mail slots in place, for requests posted from inside this process."""
        return np.frombuffer(
            self.buffer,
            dtype=DTYPES["Mail"],
            count=MAILBOX_SLOTS,
            offset=self.layout.mailbox_offset,
        )

    def reader(self) -> SegmentReader:
        """Read it from inside this process, for simulated time and tests."""
        return SegmentReader(self.buffer, self.path)

    def close(self, *, orderly: bool = True, unlink: bool = False) -> None:
        """Let go of it.

        orderly   mark it stopped, so that readers need not call its end a crash
        unlink    remove the file too; without it the last records stay readable
        """
        if self._head is None:
            return
        if orderly:
            self._head["stopped"] = 1
        self._head = None
        if unlink and self.path is not None:
            remove_segment(self.path)
        # The kernel may still hold a view; the mapping then goes with the last of them.
        try:
            self.buffer.close()
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
        self.close(orderly=kind is None)


def create_segment(
    site_id: str, directory: Directory, journal_minutes: float, period_ns: int
) -> Segment:
    """Make the segment of a site, replacing that of a controller which is gone.

    site_id           of the site file
    directory         names and sizes, as site_model made it
    journal_minutes   of records the ring must hold
    period_ns         of the scan

    Every page is allocated and mapped before this returns. Raises SegmentError
    if a controller of this site is running, or memory does not suffice.
    """
    path = segment_path(site_id)
    layout = segment_layout(directory, slots_for(journal_minutes, period_ns))
    temporary = path.with_suffix(f".new-{os.getpid()}")
    with _explained(path, layout), segment_lock(path):
        _refuse_if_alive(path)
        temporary.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o644)
        try:
            os.fchmod(descriptor, 0o644)  # whatever the umask: the services may be another user
            os.posix_fallocate(descriptor, 0, layout.total_bytes)
            buffer = mmap.mmap(
                descriptor, layout.total_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE
            )
            segment = _laid_out(buffer, layout, directory, path)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
    return segment


def private_segment(directory: Directory, journal_slots: int) -> Segment:
    """A segment of this process alone, for simulated time: no file, no other reader."""
    layout = segment_layout(directory, journal_slots)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    return _laid_out(mmap.mmap(-1, layout.total_bytes, flags=flags), layout, directory, None)


def _laid_out(
    buffer: mmap.mmap, layout: SegmentLayout, directory: Directory, path: Path | None
) -> Segment:
    packed = pack_directory(directory)
    buffer[layout.directory_offset : layout.directory_offset + len(packed)] = packed
    segment = Segment(buffer, layout, path)
    for name, value in head_fields(layout).items():
        segment.head[name] = value
    segment.head["controller_pid"] = os.getpid()
    segment.head["start_ns"] = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    segment.head["start_utc_ns"] = time.time_ns()
    return segment


def _refuse_if_alive(path: Path) -> None:
    head = read_head(path)
    if head is None or head["stopped"]:
        return
    pid, start_ns = int(head["controller_pid"]), int(head["start_ns"])
    if process_alive(pid, start_ns):
        raise SegmentError(
            where=str(path),
            problem=f"another controller is running: pid {pid}",
            because="Two controllers would write set points to the same devices.",
            remedy=f"Stop it first (kill -TERM {pid}), or run a site with another id.",
        )


@contextmanager
def _explained(path: Path, layout: SegmentLayout) -> Iterator[None]:
    """Turn what the system says into what an engineer can act on."""
    try:
        yield
    except OSError as error:
        raise SegmentError(
            where=str(path),
            problem=f"cannot make a segment of {layout.total_bytes / 2**20:.1f} MiB: {error}",
            because="The controller keeps its process image and journal there.",
            remedy="Free space there, or name another directory in EDGECTL_SHM_DIR.",
        ) from error
