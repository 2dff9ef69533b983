"""Retentive latches: what a person must clear stays tripped over a power cut and a kill.

`<data dir>/<site>.latches` has two slots. Each write goes to the one that is older,
with the next sequence number and a CRC-32, and is on the disk before it counts; a
write that is cut off spoils one slot and leaves the other. At start the newest
whole slot is read, and each row is found by its id, so that rows may be added or
moved in the site file meanwhile.

A bypass goes on with the time it has left, by UTC and never longer than it had
when it was last written: where the clock was stepped back the smaller one counts.
"""

import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgpack
import structlog

from edgectl._kernel.authority import AuthorityStatus
from edgectl._kernel.interlock import InterlockStatus
from edgectl.events import emit
from edgectl.site_model.tables_directory import interlock_digest

MAGIC = b"edgelat1"
HEAD = struct.Struct("<8sQII")  # magic, sequence number, payload bytes, CRC-32 of all but itself
SLOT_BYTES = 256 * 1024  # 1024 rows, the kernel's most, at 120 bytes each, and as much again
SLOTS = 2
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


class BadSlotError(ValueError):
    """A slot is torn or is none of ours; why."""


def pack_slot(sequence: int, latches: Sequence[Latch]) -> bytes:
    """One slot as it lies in the file."""
    payload = msgpack.packb(
        [[getattr(each, name) for name in Latch.__slots__] for each in latches], use_bin_type=True
    )
    assert HEAD.size + len(payload) <= SLOT_BYTES, "1024 rows fit"
    head = HEAD.pack(MAGIC, sequence, len(payload), 0)
    crc = zlib.crc32(head + payload)
    return HEAD.pack(MAGIC, sequence, len(payload), crc) + bytes(payload)


def unpack_slot(raw: bytes, slot: int) -> Kept:
    """The slot's latches. Raises BadSlotError with what is wrong."""
    if len(raw) < HEAD.size:
        raise BadSlotError(f"{len(raw)} bytes; its head alone has {HEAD.size}")
    magic, sequence, length, crc = HEAD.unpack_from(raw)
    if magic != MAGIC:
        raise BadSlotError(f"it begins with {magic!r}")
    if length > SLOT_BYTES - HEAD.size or len(raw) < HEAD.size + length:
        raise BadSlotError(f"it says {length} bytes and has {len(raw) - HEAD.size}")
    payload = raw[HEAD.size : HEAD.size + length]
    found = zlib.crc32(HEAD.pack(magic, sequence, length, 0) + payload)
    if found != crc:
        raise BadSlotError(f"its CRC-32 is {found:#010x} and should be {crc:#010x}")
    try:
        latches = tuple(Latch(*each) for each in msgpack.unpackb(payload, raw=False))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BadSlotError(f"it cannot be read: {error}") from error
    return Kept(sequence, slot, latches)


class LatchFile:
    """The file of one site, with its two slots."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened before it is read or written."""
        self.path = path
        self.sequence = 0
        self._slot = 0  # the next to be written
        self._spoilt = False  # what is there cannot be read, and must not come back later

    def read(self) -> Kept | None:
        """The newest whole slot; None without a file, or with none that is whole."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._spoilt = True
            emit(log, "latches.lost", path=str(self.path), problem=error.strerror or str(error))
            return None
        kept, problems = [], []
        for slot in range(SLOTS):
            part = raw[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
            if slot > 0 and not part.strip(b"\0"):
                continue  # the first write of all fills one slot alone
            try:
                kept.append(unpack_slot(part, slot))
            except BadSlotError as error:
                problems.append(f"slot {slot}: {error}")
        if not kept:
            self._spoilt = True
            emit(log, "latches.lost", path=str(self.path), problem="; ".join(problems))
            return None
        for problem in problems:
            emit(log, "latches.slot_bad", path=str(self.path), problem=problem)
        newest = max(kept, key=lambda each: each.sequence)
        self.sequence = newest.sequence
        self._slot = (newest.slot + 1) % SLOTS
        return newest

    def write(self, latches: Sequence[Latch]) -> None:
        """Put them into the older slot and see them onto the disk. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self.path.exists()
        descriptor = os.open(self.path, flags, 0o644)
        try:
            if self._spoilt:
                os.ftruncate(descriptor, 0)
            slot = pack_slot(self.sequence + 1, latches)
            if os.pwrite(descriptor, slot, self._slot * SLOT_BYTES) != len(slot):
                raise OSError(None, "the disk took less than a slot")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            _sync_directory(self.path.parent)
        self._spoilt = False
        self.sequence += 1
        self._slot = (self._slot + 1) % SLOTS


def _sync_directory(folder: Path) -> None:
    """A new file is safe only once its name is on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
