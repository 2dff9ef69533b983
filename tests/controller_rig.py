"""`edgectl run` in a process of its own, seen through its shared memory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edgectl.errors import SegmentError
from edgectl.image import SegmentReader, attach
from edgectl.site_model import Site

EDGECTL = [sys.executable, "-m", "edgectl.cli.main"]
WAIT_S = 100.0  # some rows clear once their cause has been gone for a minute


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Look until it is so; fails when it never is."""
    end_s = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end_s, f"{what}: not within {WAIT_S:.0f} s"
        time.sleep(0.05)


class Running:
    """A controller that runs, with its image."""

    def __init__(self, site: Site, child: subprocess.Popen[bytes], reader: SegmentReader) -> None:
        self.site, self.child, self.reader = site, child, reader


Seen = TypeVar("Seen", bound=Running)


@contextmanager
def controller(path: Path, site: Site, seen: type[Seen]) -> Iterator[Seen]:
    """With services that keep ledger and black box, and speak to no broker."""
    folder = path.parent
    words = [*EDGECTL, "run", str(path), "--data-dir", str(folder / "data")]
    words += ["--services-option", "--mqtt-port", "--services-option", "0"]
    environment = os.environ | {"EDGECTL_SHM_DIR": str(folder)}
    with (folder / "run.log").open("a") as log:
        child = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        try:
            segment = folder / f"edgectl-{site.id}.seg"
            wait_for(lambda: attached(segment, child.pid), "a segment")
            with attach(segment) as reader:
                wait_for(lambda: reader.journal_head > 0, "a scan")
                yield seen(site, child, reader)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)


def attached(segment: Path, pid: int) -> bool:
    """The segment is there and it is this controller's."""
    try:
        with attach(segment) as reader:
            return reader.controller_pid == pid
    except SegmentError:
        return False
