"""Load beside a bench: `python -m edgectl.cli.bench_stress busy|disk`, until standard input closes.

It ends by itself after ten minutes whatever happens to the bench.
"""

import os
import select
import sys
import tempfile
import time

SECONDS_MAX = 600.0
SLICE_S = 0.2
CHUNK_BYTES = 1 << 20
FILE_BYTES_MAX = 64 << 20


def wanted() -> bool:
    """Whether whoever started this still holds the other end of standard input."""
    return not select.select([sys.stdin], [], [], 0)[0]


def busy() -> None:
    """Keep one processor busy for a moment."""
    end_s = time.monotonic() + SLICE_S
    total = 0
    while time.monotonic() < end_s:
        total += sum(range(1000))


def write_and_sync(descriptor: int) -> None:
    """Write one chunk through to the disk, and start over when the file is large."""
    os.write(descriptor, os.urandom(CHUNK_BYTES))
    os.fdatasync(descriptor)
    if os.lseek(descriptor, 0, os.SEEK_CUR) >= FILE_BYTES_MAX:
        os.lseek(descriptor, 0, os.SEEK_SET)


def main() -> None:
    """Load the machine the way the first argument says."""
    end_s = time.monotonic() + SECONDS_MAX
    with tempfile.TemporaryFile() as file:
        while wanted() and time.monotonic() < end_s:
            if sys.argv[1] == "disk":
                write_and_sync(file.fileno())
            else:
                busy()


if __name__ == "__main__":
    main()
