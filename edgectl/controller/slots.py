"""A small file that a power cut and a kill cannot spoil: two slots that take turns.

Each write goes to the slot that is older, with the next sequence number and a
CRC-32, and is on the disk before it counts; a write that is cut off spoils one
slot and leaves the other. The newest whole slot is what is read.
"""

import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

HEAD = struct.Struct("<8sQII")  # magic, sequence number, payload bytes, CRC-32 of all but itself
SLOTS = 2


class BadSlotError(ValueError):
    """A slot is torn or is none of ours; why."""


class Slot(Protocol):
    """What was found in a slot."""

    @property
    def sequence(self) -> int:
        """The greater of two is the newer."""
        ...

    @property
    def slot(self) -> int:
        """Which of the two."""
        ...


Kept = TypeVar("Kept", bound=Slot)
Content = TypeVar("Content", contravariant=True)


def pack(magic: bytes, slot_bytes: int, sequence: int, payload: bytes) -> bytes:
    """One slot as it lies in the file."""
    assert HEAD.size + len(payload) <= slot_bytes, "the tables' bounds leave room"
    head = HEAD.pack(magic, sequence, len(payload), 0)
    crc = zlib.crc32(head + payload)
    return HEAD.pack(magic, sequence, len(payload), crc) + payload


def unpack(magic: bytes, slot_bytes: int, raw: bytes) -> tuple[int, bytes]:
    """Sequence number and payload. Raises BadSlotError with what is wrong."""
    if len(raw) < HEAD.size:
        raise BadSlotError(f"{len(raw)} bytes; its head alone has {HEAD.size}")
    found_magic, sequence, length, crc = HEAD.unpack_from(raw)
    if found_magic != magic:
        raise BadSlotError(f"it begins with {found_magic!r}")
    if length > slot_bytes - HEAD.size or len(raw) < HEAD.size + length:
        raise BadSlotError(f"it says {length} bytes and has {len(raw) - HEAD.size}")
    payload = raw[HEAD.size : HEAD.size + length]
    found = zlib.crc32(HEAD.pack(magic, sequence, length, 0) + payload)
    if found != crc:
        raise BadSlotError(f"its CRC-32 is {found:#010x} and should be {crc:#010x}")
    return sequence, payload


@dataclass(frozen=True, slots=True)
class Form(Generic[Content, Kept]):
    """How a slot is made of its content and read back; unpack raises BadSlotError."""

    slot_bytes: int
    pack: Callable[[int, Content], bytes]  # sequence number, content
    unpack: Callable[[bytes, int], Kept]  # raw bytes, which slot


class SlotFile(Generic[Content, Kept]):
    """The file, with its two slots."""

    def __init__(self, path: Path, form: Form[Content, Kept]) -> None:
        """Nothing is opened before it is read or written."""
        self.path = path
        self.sequence = 0
        self.problems: list[str] = []  # that the last read met
        self._form = form
        self._slot = 0  # the next to be written
        self._spoilt = False  # what is there cannot be read, and must not come back later

    def read(self) -> Kept | None:
        """The newest whole slot; None without a file, or, with problems, where none is whole."""
        self.problems = []
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._spoilt = True
            self.problems.append(error.strerror or str(error))
            return None
        kept: list[Kept] = []
        size = self._form.slot_bytes
        for slot in range(SLOTS):
            part = raw[slot * size : (slot + 1) * size]
            if slot > 0 and not part.strip(b"\0"):
                continue  # the first write of all fills one slot alone
            try:
                kept.append(self._form.unpack(part, slot))
            except BadSlotError as error:
                self.problems.append(f"slot {slot}: {error}")
        if not kept:
            self._spoilt = True
            return None
        newest = max(kept, key=lambda each: each.sequence)
        self.sequence = newest.sequence
        self._slot = (newest.slot + 1) % SLOTS
        return newest

    def write(self, content: Content) -> None:
        """Put it into the older slot and see it onto the disk. Raises OSError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not self.path.exists()
        descriptor = os.open(self.path, flags, 0o644)
        try:
            if self._spoilt:
                os.ftruncate(descriptor, 0)
            slot = self._form.pack(self.sequence + 1, content)
            if os.pwrite(descriptor, slot, self._slot * self._form.slot_bytes) != len(slot):
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
