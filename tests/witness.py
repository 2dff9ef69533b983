"""A failure on the real clock counts only where the host did not stall.

Tests marked `wire` answer a master with time-outs of some 30 ms from a thread of the same process.
On a busy machine that thread may be kept from running for longer, and no code of ours is at fault.
So a witness sleeps beside such a test; if the test fails and the witness was late, the test is
tried again, with new fixtures. A failure beside a witness that was on time stands at once, and so
does the last try.
"""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import pytest

STALL_S = 0.010  # later than this is not on time
LOOK_S = 0.005
TRIES = 4


class Witness:
    """A thread that only sleeps; how late it woke at worst."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)

    def _watch(self) -> None:
        due_s = time.monotonic() + LOOK_S
        while not self._end.wait(max(0.0, due_s - time.monotonic())):
            now_s = time.monotonic()
            self.late_s = max(self.late_s, now_s - due_s)
            due_s = now_s + LOOK_S

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()


def tried(
    attempt: Callable[[], Sequence[pytest.TestReport]],
    witness: Callable[[], Witness] = Witness,
) -> Sequence[pytest.TestReport]:
    """The reports of the first try that passed, or that failed while the witness was on time."""
    for left in reversed(range(TRIES)):
        with witness() as beside:
            reports = attempt()
        failed = [report for report in reports if report.failed]
        if not failed or beside.late_s < STALL_S or not left:
            break
    for report in failed:
        told = f"woke up to {1e3 * beside.late_s:.1f} ms late; this was try {TRIES - left}"
        report.sections.append(("witness", told))
    return reports
