"""The way in: one request with an expiry, put where the kernel will look.

Producers take turns by a file lock. The kernel believes nothing in a mailbox:
it checks the seal, the kind, the target, the value and the expiry of each entry
and drops what is wrong. What comes in here is still checked first, so that the
one who asks is told why.
"""

import math
import mmap
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from edgectl._kernel.layout import DTYPES
from edgectl.errors import MailboxFullError, SegmentError
from edgectl.image.layout import MAILBOX_SLOTS
from edgectl.image.paths import segment_lock, segment_path
from edgectl.image.reader import Array, attach, read_head

SEAL = 0x5EED  # journal.pxd: check = kind ^ target ^ authority ^ SEAL
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
TTL_MAX_S = 7 * 86_400.0  # a request that outlives a week is a setting, not a request


class Mailbox:
    """The request mailbox of a running controller."""

    def __init__(self, site: str | Path) -> None:
        """Map the head and the mailbox of a site's segment, and none of its records.

        site    the site's id, or the path of its segment

        Raises SegmentError where there is no segment, or it may not be written.
        """
        self.path = site if isinstance(site, Path) else segment_path(site)
        reader = attach(self.path)
        try:
            self.start_ns = reader.start_ns
            offset, length = reader.layout.mailbox_offset, reader.layout.journal_offset
        finally:
            reader.close()
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise SegmentError(
                where=str(self.path),
                problem=f"may not be written: {error.strerror}",
                because="A request reaches the controller through its segment.",
                remedy="Run this as the user that runs the controller.",
            ) from error
        try:
            self._buffer = mmap.mmap(descriptor, length)
        finally:
            os.close(descriptor)
        self._head = np.frombuffer(self._buffer, dtype=DTYPES["SegmentHead"], count=1)
        self._slots = np.frombuffer(
            self._buffer, dtype=DTYPES["Mail"], count=MAILBOX_SLOTS, offset=offset
        )

    def put(self, kind: int, target: int, value: float, authority: int, ttl_s: float) -> int:
        """Post one request.

        kind        a MailKind
        target      index of what it is for, in the order of the directory; -1: all
        value       W, or g CO2e/kWh for MAIL_GRID_CARBON
        authority   RequestSource of a set point, Reset of a reset
        ttl_s       s until it lapses

        Returns its place in the mailbox. Raises MailboxFullError, and SegmentError where
        a field cannot be or the controller was replaced by another.
        """
        now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if not 0.0 < ttl_s <= TTL_MAX_S:  # False for NaN too
            raise _refused(
                kind, target, f"it would last {ttl_s:g} s; over 0 to {TTL_MAX_S:g} is allowed"
            )
        expiry_ns = now_ns + int(ttl_s * 1e9)
        with segment_lock(self.path):
            self._check_current()
            return post(self._head, self._slots, kind, target, value, authority, expiry_ns)

    def pending(self) -> int:
        """Requests the kernel has not taken yet."""
        return int(self._head["mailbox_head"][0] - self._head["mailbox_tail"][0])

    def _check_current(self) -> None:
        """A replaced segment would swallow the request; the file tells."""
        head = read_head(self.path)
        if head is not None and int(head["start_ns"]) == self.start_ns:
            return
        raise SegmentError(
            where=str(self.path),
            problem="another controller has made a new segment",
            because="The old mailbox is no longer read: the request would be lost.",
            remedy="Open the mailbox again.",
        )

    def close(self) -> None:
        """Let go of the mapping; where an error on its way still holds a view, with that."""
        del self._head, self._slots
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


def post(
    head: Array, slots: Array, kind: int, target: int, value: float, authority: int, expiry_ns: int
) -> int:
    """Fill the next slot; the caller has the mailbox to itself.

    head, slots    SegmentHead and Mail views, in place
    expiry_ns      on the kernel's clock, which a simulation may have made
    others         as Mailbox.put

    Returns the place taken; raises as Mailbox.put.
    """
    for name, number in (("kind", kind), ("target", target), ("authority", authority)):
        if not INT32_MIN <= number <= INT32_MAX:
            raise _refused(kind, target, f"{name} {number} does not fit 32 bits")
    if not math.isfinite(value):
        raise _refused(kind, target, f"its value is {value}; only finite values are taken")
    place, tail = int(head["mailbox_head"][0]), int(head["mailbox_tail"][0])
    if place < 0 or not 0 <= place - tail < MAILBOX_SLOTS:
        raise MailboxFullError(
            where=f"request kind {kind} for {target}",
            problem=f"the mailbox holds {place - tail} of {MAILBOX_SLOTS} requests",
            because="The kernel takes 16 a scan; it seems to take none.",
            remedy="See whether the controller still scans: edgectl top.",
        )
    slot = slots[place % MAILBOX_SLOTS : place % MAILBOX_SLOTS + 1]
    slot["seq"] = -1  # not valid while it is being filled
    slot["expiry_ns"], slot["value"] = expiry_ns, value
    slot["kind"], slot["target"], slot["authority"] = kind, target, authority
    slot["check"] = kind ^ target ^ authority ^ SEAL
    slot["seq"] = place
    head["mailbox_head"] = place + 1
    return place


def _refused(kind: int, target: int, problem: str) -> SegmentError:
    return SegmentError(
        where=f"request kind {kind} for {target}",
        problem=problem,
        because="The controller would drop it, and nobody would learn why.",
        remedy="Correct the request.",
    )
