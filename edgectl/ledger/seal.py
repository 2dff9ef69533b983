"""The seal: every byte of a month's file, also those that no content check would miss.

A SQLite file holds bytes that carry no record: free pages, gaps between cells, counters. So each
signed head comes with a seal, a file beside the month's that holds a digest of every page, signed.
SQLite changes the file only when its write-ahead log is checkpointed, and that we do ourselves,
right after a seal of what the file will be then. So at any moment, also after a crash, a page is
either as the seal has it or stands, whole and with checksums, in the log.
"""

import fcntl
import hashlib
import json
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edgectl.ledger.heads import SIGNATURE_BYTES, canonical_json
from edgectl.ledger.keys import PUBLIC_BYTES, Signer, verifies

FORMAT = "edgectl.seal/1"
PAGE_BYTES = 4096
DIGEST_BYTES = 16
CHUNK_PAGES = 256
WAL_HEAD = struct.Struct(">8I")  # sqlite.org/fileformat2.html, section 4.1
WAL_FRAME = struct.Struct(">6I")
WAL_MAGIC = 0x377F0682  # and its checksums little-endian; one more is big-endian
WAL_VERSION = 3_007_000
SHARED_FIRST, SHARED_BYTES = 0x40000002, 510  # SQLite's lock bytes: os.h, SHARED_FIRST
FRAME_BYTES = WAL_FRAME.size + PAGE_BYTES


class SealError(ValueError):
    """Bytes that are no seal, with what is wrong."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Digests of the pages of one month's file, and who signed them."""

    site: str
    file: str
    pages: int
    head: bytes  # hash of the signed head it was made with
    key: bytes
    digests: bytes
    signed: bool


@dataclass(frozen=True, slots=True)
class Log:
    """A write-ahead log: where the newest committed form of each page lies in it."""

    pages: dict[int, int]  # page number, from 1: offset of its content
    file_pages: int  # of the month's file after the last commit; 0 where nothing is committed
    end: int  # of what is committed
    length: int


def seal_path(path: Path) -> Path:
    """Where the seal of a month's file lies."""
    return path.with_suffix(".seal")


def wal_path(path: Path) -> Path:
    """Where SQLite keeps the log of a month's file."""
    return path.with_name(f"{path.name}-wal")


def page_digest(page: bytes | bytearray | memoryview) -> bytes:
    """Digest of one page."""
    return hashlib.sha256(page).digest()[:DIGEST_BYTES]


def file_digests(file: int) -> list[bytes]:
    """Digests of all pages of a file; a last, shorter one counts as a page.

    file   descriptor. The writer keeps it as long as SQLite has the file: closing any
           descriptor of a file ends all POSIX locks that the process has on it.
    """
    found: list[bytes] = []
    while chunk := os.pread(file, CHUNK_PAGES * PAGE_BYTES, len(found) * PAGE_BYTES):
        view = memoryview(chunk)
        found += [page_digest(view[at : at + PAGE_BYTES]) for at in range(0, len(view), PAGE_BYTES)]
    return found


def digests_of(path: Path) -> list[bytes]:
    """As file_digests, for who does not write the file."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return file_digests(file)
    finally:
        os.close(file)


def make_seal(signer: Signer, site: str, file: str, head: bytes, digests: bytes) -> bytes:
    """The bytes of a seal: a line of JSON, its signature, the digests."""
    body = canonical_json(
        {
            "format": FORMAT,
            "site": site,
            "file": file,
            "page_bytes": PAGE_BYTES,
            "pages": len(digests) // DIGEST_BYTES,
            "head": head.hex(),
            "key": signer.public.hex(),
            "digests": hashlib.sha256(digests).hexdigest(),
        }
    )
    return body + b"\n" + signer.sign(FORMAT.encode() + b"\n" + body) + digests


def parse_seal(content: bytes) -> Seal:
    """Read a seal and check its signature and digests. Raises SealError where it is none."""
    body, separator, rest = content.partition(b"\n")
    signature, digests = rest[:SIGNATURE_BYTES], rest[SIGNATURE_BYTES:]
    try:
        said: dict[str, Any] = json.loads(body)
        if said["format"] != FORMAT or said["page_bytes"] != PAGE_BYTES:
            raise SealError(f"it is not of the form {FORMAT}")
        key = bytes.fromhex(said["key"])
        seal = Seal(
            str(said["site"]), str(said["file"]), int(said["pages"]), bytes.fromhex(said["head"]),
            key, digests, verifies(key, signature, FORMAT.encode() + b"\n" + body),
        )  # fmt: skip
        digest = str(said["digests"])
    except (ValueError, KeyError, TypeError) as error:
        raise SealError(f"it cannot be read: {error}") from error
    if not separator or len(signature) != SIGNATURE_BYTES or len(key) != PUBLIC_BYTES:
        raise SealError("a key or the signature has the wrong length")
    if seal.pages * DIGEST_BYTES != len(digests):
        raise SealError(f"it has {len(digests)} bytes of digests for {seal.pages} pages")
    if hashlib.sha256(digests).hexdigest() != digest or not seal.signed:
        raise SealError("its signature does not fit its bytes")
    return seal


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file as a whole: after a crash it is the old one or the new one."""
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_log(path: Path, *, checked: bool = True) -> Log:
    """Read the log of a month's file; an empty one where there is none.

    checked   verify every checksum; the writer need not do so with what it just wrote
    """
    try:
        content = wal_path(path).read_bytes()
    except FileNotFoundError:
        content = b""
    return parse_log(content, checked=checked)


def parse_log(content: bytes, *, checked: bool = True) -> Log:
    """As read_log, of the bytes."""
    nothing = Log({}, 0, 0, len(content))
    if len(content) < WAL_HEAD.size:
        return nothing
    magic, version, page_bytes, _, salt_1, salt_2, sum_1, sum_2 = WAL_HEAD.unpack_from(content)
    big = magic == WAL_MAGIC + 1
    if magic & ~1 != WAL_MAGIC or version != WAL_VERSION or page_bytes != PAGE_BYTES:
        return nothing
    sums = _checksum(content[:24], (0, 0), big=big)
    if checked and sums != (sum_1, sum_2):
        return nothing
    pages: dict[int, int] = {}
    fresh: dict[int, int] = {}
    file_pages, end, at = 0, WAL_HEAD.size, WAL_HEAD.size
    while at + FRAME_BYTES <= len(content):
        page, commit, *salts, sum_1, sum_2 = WAL_FRAME.unpack_from(content, at)
        data = at + WAL_FRAME.size
        if salts != [salt_1, salt_2] or not page:
            break
        if checked:
            sums = _checksum(content[at : at + 8], sums, big=big)
            sums = _checksum(content[data : data + PAGE_BYTES], sums, big=big)
            if sums != (sum_1, sum_2):
                break
        fresh[page] = data
        at += FRAME_BYTES
        if commit:
            pages |= fresh
            fresh = {}
            file_pages, end = commit, at
    if not file_pages:
        return nothing
    return Log(pages, file_pages, end, len(content))


def _checksum(content: bytes, start: tuple[int, int], *, big: bool) -> tuple[int, int]:
    """SQLite's running checksum, section 4.2: s0 += x + s1, s1 += y + s0, over pairs of words.

    It is linear modulo 2^32, so it is a sum of words by fixed weights.
    """
    words = np.frombuffer(content, ">u4" if big else "<u4").astype(np.uint32)
    weights, carried = _weights(len(words))
    sums = (weights * words).sum(axis=1, dtype=np.uint32)
    return (
        (int(sums[0]) + carried[0][0] * start[0] + carried[0][1] * start[1]) & 0xFFFFFFFF,
        (int(sums[1]) + carried[1][0] * start[0] + carried[1][1] * start[1]) & 0xFFFFFFFF,
    )


@lru_cache(maxsize=8)
def _weights(words: int) -> tuple[Any, tuple[tuple[int, int], tuple[int, int]]]:
    """For each of the two sums: the weight of each word, and of the two sums before."""
    weights = np.zeros((2, words), np.uint32)
    carried = []
    for which in (0, 1):
        first, second = (1, 0) if which == 0 else (0, 1)
        for pair in range(words // 2 - 1, -1, -1):
            weights[which, 2 * pair] = (first + second) & 0xFFFFFFFF
            weights[which, 2 * pair + 1] = second
            first, second = (first + second) & 0xFFFFFFFF, (first + 2 * second) & 0xFFFFFFFF
        carried.append((first, second))
    return weights, (carried[0], carried[1])


def page_faults(name: str, digests: Sequence[bytes], seal: Seal, log: Log) -> list[str]:
    """What in a month's file is neither as its seal has it nor stands in its log.

    name, digests   of the file as it is
    """
    found = []
    for page, digest in enumerate(digests, start=1):
        sealed = seal.digests[(page - 1) * DIGEST_BYTES : page * DIGEST_BYTES]
        if digest != sealed and page not in log.pages:
            found.append(page_fault(name, page, sealed))
    for page in range(len(digests) + 1, max(seal.pages, log.file_pages) + 1):
        if page not in log.pages:
            found.append(f"{name}: page {page} is missing")
    return found


def page_fault(name: str, page: int, sealed: bytes) -> str:
    """How a page that is not as it was sealed is named."""
    low = (page - 1) * PAGE_BYTES
    what = "is not as it was sealed" if sealed else "was not there when the file was sealed"
    return f"{name}: page {page} (bytes {low} to {low + PAGE_BYTES - 1}) {what}"


class Sealer:
    """Digests of the file that is written, kept from seal to seal."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._file = -1
        self._digests: list[bytes] | None = None

    def begin(self, path: Path) -> None:
        """Take a descriptor of our own of a file, beside SQLite's: see file_digests."""
        self.close()
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._digests = None

    def look(self, path: Path, *, sealed: bool) -> list[str]:
        """What changed since the file was sealed; the old digests stay, so it stays found.

        sealed   there should be a seal
        """
        try:
            seal = parse_seal(seal_path(path).read_bytes())
        except FileNotFoundError:
            # Before a month's first seal its every page is still in the log.
            gone = sealed and 1 not in read_log(path).pages
            return [f"{seal_path(path).name} is missing"] if gone else []
        except SealError as error:
            return [f"{seal_path(path).name}: {error}"]
        self._digests = [
            seal.digests[at : at + DIGEST_BYTES] for at in range(0, len(seal.digests), DIGEST_BYTES)
        ]
        return page_faults(path.name, file_digests(self._file), seal, read_log(path))

    def seal(self, path: Path, signer: Signer, site: str, head: bytes) -> bytes:
        """A seal of the file as it will be once its log is written into it."""
        content = wal_path(path).read_bytes() if wal_path(path).exists() else b""
        log = parse_log(content, checked=False)
        digests = file_digests(self._file) if self._digests is None else self._digests
        # What the file grows by and SQLite does not write is a hole: its lock page, at 1 GiB.
        digests += [page_digest(bytes(PAGE_BYTES))] * (log.file_pages - len(digests))
        for page, at in log.pages.items():
            digests[page - 1] = page_digest(content[at : at + PAGE_BYTES])
        self._digests = digests
        return make_seal(signer, site, path.name, head, b"".join(digests))

    def keep_log(self) -> None:
        """Keep SQLite from emptying its log when it closes the file as the last to have it.

        It does so under an exclusive lock. A lock of an open file description stands
        against it even within one process, as no other kind does.
        """
        if self._file >= 0:
            lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, SHARED_FIRST, SHARED_BYTES, 0)
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, lock)

    def close(self) -> None:
        """Let go of the descriptor, once SQLite has closed the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
