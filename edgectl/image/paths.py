"""Names of the segment's files, and the lock its producers take turns by."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgectl.errors import SegmentError

SHM_DIR_VARIABLE = "EDGECTL_SHM_DIR"
SITE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def segment_path(site_id: str) -> Path:
    """Where the segment of this site lies; EDGECTL_SHM_DIR overrides /dev/shm."""
    if not SITE_ID.fullmatch(site_id):
        raise SegmentError(
            where=f"site id {site_id!r}",
            problem="it is not 1 to 63 letters, digits, '.', '_' or '-'",
            because="The id names a file in shared memory.",
            remedy="Choose another [site] id.",
        )
    return Path(os.environ.get(SHM_DIR_VARIABLE) or "/dev/shm") / f"edgectl-{site_id}.seg"


def lock_path(path: Path) -> Path:
    """The file that producers of requests, and creators, lock to take turns."""
    return path.with_suffix(".lock")


@contextmanager
def segment_lock(path: Path) -> Iterator[None]:
    """Hold the lock file beside the segment. The kernel never looks at it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(lock_path(path), flags, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_segment(path: Path) -> None:
    """Remove the segment of a controller that has ended, and its lock; none is no error."""
    path.unlink(missing_ok=True)
    lock_path(path).unlink(missing_ok=True)
