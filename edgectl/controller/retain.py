"""Retentive latches: what a person must clear stays tripped over a power cut and a kill.

`<data dir>/<site>.latches` has two slots (slots.py). At start the newest whole slot is
read, and each row is found by its id, so that rows may be added or moved in the site
file meanwhile.

A bypass goes on with the time it has left, by UTC and never longer than it had
when it was last written: where the clock was stepped back the smaller one counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgpack
import structlog

from edgectl._kernel.authority import AuthorityStatus
from edgectl._kernel.interlock import InterlockStatus
from edgectl.controller.slots import BadSlotError, Form, SlotFile, pack, unpack
from edgectl.events import emit
from edgectl.site_model.tables_directory import interlock_digest

MAGIC = b"edgelat1"
SLOT_BYTES = 256 * 1024  # 1024 rows, the kernel's most, at 120 bytes each, and as much again
BYPASS_REFRESH_NS = 60_000_000_000  # a standing bypass is written so often, with what it has left
RETRY_NS = 5_000_000_000

log = structlog.get_logger()


class Kernel(Protocol):
    """The kernel's door to latches."""

    def retain(
        self,
        row: int,
        status: int,
        locked: bool,
        first_out: bool,
        trips: int,
        bypass_left_ns: int,
        now_ns: int,
    ) -> AuthorityStatus:
        """Take over one row, before the first scan."""
        ...


@dataclass(frozen=True, slots=True)
class Latch:
    """What one row keeps.

    digest             of what the row did when it was written
    bypass_left_ns     when it was written; 0: not bypassed
    bypass_until_utc_ns  likewise
    """

    id: str
    digest: str
    standing: bool
    locked: bool
    first_out: bool
    trips: int
    bypass_left_ns: int
    bypass_until_utc_ns: int

    def left_ns(self, utc_ns: int) -> int:
        """What is left of the bypass, never more than when it was written."""
        return max(0, min(self.bypass_left_ns, self.bypass_until_utc_ns - utc_ns))


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole slot."""

    sequence: int
    slot: int
    latches: tuple[Latch, ...]


def pack_slot(sequence: int, latches: Sequence[Latch]) -> bytes:
    """One slot as it lies in the file."""
    payload = msgpack.packb(
        [[getattr(each, name) for name in Latch.__slots__] for each in latches], use_bin_type=True
    )
    return pack(MAGIC, SLOT_BYTES, sequence, bytes(payload))


def unpack_slot(raw: bytes, slot: int) -> Kept:
    """The slot's latches. Raises BadSlotError with what is wrong."""
    sequence, payload = unpack(MAGIC, SLOT_BYTES, raw)
    try:
        latches = tuple(Latch(*each) for each in msgpack.unpackb(payload, raw=False))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BadSlotError(f"it cannot be read: {error}") from error
    return Kept(sequence, slot, latches)


class LatchFile(SlotFile[Sequence[Latch], Kept]):
    """The file of one site, with its two slots."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened before it is read or written."""
        super().__init__(path, Form(SLOT_BYTES, pack_slot, unpack_slot))

    def read(self) -> Kept | None:
        """The newest whole slot; None without a file, or with none that is whole."""
        kept = super().read()
        if kept is None and self.problems:
            emit(log, "latches.lost", path=str(self.path), problem="; ".join(self.problems))
        elif kept is not None:
            for problem in self.problems:
                emit(log, "latches.slot_bad", path=str(self.path), problem=problem)
        return kept


class Retention:
    """Keeps the latches of one controller and gives them back at the next start."""

    def __init__(self, path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """path   of the file; rows   of the directory, in the kernel's order"""
        self.file = LatchFile(path)
        self.rows = rows
        self._digests = [interlock_digest(row) for row in rows]
        # None: what is on the disk is another run's, and the first look writes.
        self._written: tuple[tuple[Any, ...], ...] | None = None if path.exists() else ()
        self._written_ns = 0
        self._failed_ns: int | None = None

    def restore(self, kernel: Kernel, now_ns: int, utc_ns: int) -> int:
        """Hand every kept row to the kernel before its first scan; returns how many.

        now_ns  monotonic
        """
        kept = self.file.read()
        if kept is None:
            return 0
        places = {row["id"]: at for at, row in enumerate(self.rows)}
        restored = bypassed = 0
        for latch in kept.latches:
            at = places.get(latch.id)
            if at is None:
                emit(log, "latches.row_vanished", interlock=latch.id, standing=latch.standing)
                continue
            if latch.digest != self._digests[at]:
                emit(log, "latches.row_changed", interlock=latch.id, standing=latch.standing)
            left_ns = latch.left_ns(utc_ns)
            status = InterlockStatus.INTERLOCK_LATCHED if latch.standing else 0
            kernel.retain(
                at, int(status), latch.locked, latch.first_out, latch.trips, left_ns, now_ns
            )
            restored += latch.standing
            bypassed += left_ns > 0
        emit(
            log,
            "latches.restored",
            path=str(self.file.path),
            sequence=kept.sequence,
            rows=restored,
            bypassed=bypassed,
        )
        return len(kept.latches)

    def look(self, image: Any, now_ns: int, utc_ns: int) -> None:
        """Write what changed since the last look, if anything did.

        image   snapshot of a kernel that has scanned at least once
        """
        if self._failed_ns is not None and now_ns - self._failed_ns < RETRY_NS:
            return
        states = self._states(image["interlocks"], now_ns)
        bypassed = any(state[-1] for state in states)
        due = bypassed and now_ns - self._written_ns >= BYPASS_REFRESH_NS
        if states == self._written and not due:
            return
        try:
            self.file.write([self._latch(state, now_ns, utc_ns) for state in states])
        except OSError as error:
            if self._failed_ns is None:
                emit(log, "latches.write_failed", path=str(self.file.path), error=str(error))
            self._failed_ns = now_ns
            return
        if self._failed_ns is not None:
            emit(log, "latches.write_restored", path=str(self.file.path))
        self._failed_ns = None
        self._written, self._written_ns = states, now_ns

    def _states(self, rows: Any, now_ns: int) -> tuple[tuple[Any, ...], ...]:
        """(row, standing, locked, first-out, trips, bypass until) of every row that keeps any."""
        states = []
        for at, (spec, row) in enumerate(zip(self.rows, rows, strict=True)):
            held = spec["reset"] in ("operator", "local") or bool(row["locked"])
            tripped = int(row["status"]) >= InterlockStatus.INTERLOCK_TRIPPED
            standing = held and tripped and not row["start"]
            until_ns = int(row["bypass_until_ns"])
            if until_ns <= now_ns:
                until_ns = 0
            if standing or until_ns:
                trips = int(row["trips"])
                states.append(
                    (at, standing, bool(row["locked"]), bool(row["first_out"]), trips, until_ns)
                )
        return tuple(states)

    def _latch(self, state: tuple[Any, ...], now_ns: int, utc_ns: int) -> Latch:
        at, standing, locked, first_out, trips, until_ns = state
        left_ns = until_ns - now_ns if until_ns else 0
        return Latch(
            id=str(self.rows[at]["id"]),
            digest=self._digests[at],
            standing=standing,
            locked=locked,
            first_out=first_out,
            trips=trips,
            bypass_left_ns=left_ns,
            bypass_until_utc_ns=utc_ns + left_ns if left_ns else 0,
        )


def latches_path(data_dir: Path, site_id: str) -> Path:
    """Where a site's latches lie."""
    return data_dir / f"{site_id}.latches"
