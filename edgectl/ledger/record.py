"""A record's bytes: what its leaf is taken over, and how many of them lie together on disk.

A record is a head that anyone with a receipt may see, and parts. Part 0 is the site's own, part n
that of tenant n of the run. The leaf is over the head and the parts' commitments:

    commitment = SHA-256(0x02 || salt || part)        salt: 16 bytes, of this record and part
    leaf       = SHA-256(0x00 || head || commitments)

So a tenant is given the head, all commitments, and salt and bytes of one part: that proves the
part and says nothing of the others, which cannot be guessed behind their salts. Salts are not
stored: they come from the month's salt key, which leaves the operator's hands in no receipt.

On disk records lie in packs. A plain pack is records one after the other. A dense pack takes runs
of records of the same shape, each row combined by XOR with the one before, byte columns together,
and deflates that: what moves slowly costs nothing.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from edgectl.ledger.merkle import leaf_hash

SALT_BYTES = 16
SALTS_A_BLOCK = 64
CHECK_BYTES = 4  # of each leaf, beside it: names the one record that was altered
PARTS_MAX = 256
NOISE_ZEROS_MAX = 0.015  # of a column mixed by XOR: with fewer zeros deflating gains nothing
DEFLATE_LEVEL = 1  # higher levels gain 1 to 2 % here and take thrice the time
PACK_BYTES_MAX = 64 << 20  # a pack that claims to be larger is none of ours


Array = np.ndarray[Any, np.dtype[Any]]


class Codec(IntEnum):
    """First byte of a pack."""

    PLAIN = 0
    DENSE = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it lies in a pack; check is the beginning of its leaf hash."""

    head: bytes
    parts: tuple[bytes, ...]
    check: bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of head and parts."""
        return (len(self.head), *map(len, self.parts))


class PackError(ValueError):
    """A pack's bytes are not what a writer of ours makes."""


@dataclass(frozen=True, slots=True)
class Run:
    """Records of one shape, one after the other."""

    shape: tuple[int, ...]
    checks: bytes
    rows: bytes

    def __len__(self) -> int:
        return len(self.checks) // CHECK_BYTES

    def records(self) -> list[Stored]:
        """Each for itself."""
        found = []
        edges = [0, *np.cumsum(self.shape).tolist()]
        width = edges[-1]
        for at in range(len(self)):
            low = at * width
            fields = [self.rows[low + start : low + end] for start, end in pairwise(edges)]
            check = self.checks[CHECK_BYTES * at : CHECK_BYTES * (at + 1)]
            found.append(Stored(fields[0], tuple(fields[1:]), check))
        return found


def salt_run(key: bytes, part: int, first: int, count: int) -> list[bytes]:
    """Salts of one part of consecutive records.

    key     salt key of the month
    part    its index; first  sequence number of the first record
    """
    salts: list[bytes] = []
    for block in range(first // SALTS_A_BLOCK, (first + count - 1) // SALTS_A_BLOCK + 1):
        stream = hashlib.shake_128(key + struct.pack(">QH", block, part)).digest(
            SALTS_A_BLOCK * SALT_BYTES
        )
        salts += [stream[at : at + SALT_BYTES] for at in range(0, len(stream), SALT_BYTES)]
    skip = first % SALTS_A_BLOCK
    return salts[skip : skip + count]


def commitment(salt: bytes, part: bytes) -> bytes:
    """What stands in the leaf for a part."""
    return hashlib.sha256(b"\x02" + salt + part).digest()


def leaf_of(key: bytes, seq: int, head: bytes, parts: Sequence[bytes]) -> bytes:
    """Leaf hash of one record."""
    commitments = [commitment(salt_run(key, at, seq, 1)[0], part) for at, part in enumerate(parts)]
    return leaf_hash(head + b"".join(commitments))


def runs_of(records: Sequence[Stored]) -> list[Run]:
    """Consecutive records of the same shape together."""
    runs = []
    for shape, run in groupby(records, key=lambda each: each.shape):
        same = list(run)
        rows = b"".join([each.head + b"".join(each.parts) for each in same])
        runs.append(Run(shape, b"".join([each.check for each in same]), rows))
    return runs


def leaves_of(key: bytes, first: int, records: Sequence[Stored]) -> list[bytes]:
    """Leaf hashes of consecutive records, the first of which has the number `first`."""
    leaves: list[bytes] = []
    for run in runs_of(records):
        leaves += run_leaves(key, first + len(leaves), run.shape, run.rows)
    return leaves


def checked_runs(
    key: bytes, first: int, records: Sequence[Stored]
) -> tuple[list[Run], list[bytes]]:
    """Runs of records that have no checks yet, with them, and all leaf hashes."""
    runs, leaves = [], list[bytes]()
    for run in runs_of(records):
        found = run_leaves(key, first + len(leaves), run.shape, run.rows)
        checks = b"".join([leaf[:CHECK_BYTES] for leaf in found])
        runs.append(Run(run.shape, checks, run.rows))
        leaves += found
    return runs, leaves


def run_leaves(key: bytes, first: int, shape: Sequence[int], rows: bytes) -> list[bytes]:
    """Leaf hashes of a run of records of one shape that lie one after the other in rows."""
    sha256, width, head_bytes = hashlib.sha256, sum(shape), shape[0]
    count = len(rows) // width
    columns: list[list[bytes]] = []
    low = head_bytes
    for part, length in enumerate(shape[1:]):
        salts = salt_run(key, part, first, count)
        starts = range(low, low + count * width, width)
        columns.append(
            [
                sha256(b"\x02" + salt + rows[start : start + length]).digest()
                for salt, start in zip(salts, starts, strict=True)
            ]
        )
        low += length
    if not columns:
        return [sha256(b"\x00" + rows[at : at + width]).digest() for at in
                range(0, count * width, width)]  # fmt: skip
    return [
        sha256(b"\x00" + rows[at : at + head_bytes] + b"".join(commitments)).digest()
        for at, commitments in zip(
            range(0, count * width, width), zip(*columns, strict=True), strict=True
        )
    ]


def encode(records: Sequence[Stored], codec: Codec) -> bytes:
    """A pack of these records."""
    return encode_runs(runs_of(records), codec)


def encode_runs(runs: Sequence[Run], codec: Codec) -> bytes:
    """A pack of these runs."""
    if codec is Codec.PLAIN:
        plain = [part for run in runs for part in (_described(run), run.checks, run.rows)]
        return bytes([codec]) + b"".join(plain)
    noise, quiet = list[bytes](), list[bytes]()
    for run in runs:
        matrix = np.frombuffer(run.rows, np.uint8).reshape(len(run), -1).copy()
        matrix[1:] ^= matrix[:-1].copy()
        columns = np.ascontiguousarray(matrix.T)
        noisy = np.count_nonzero(columns == 0, axis=1) < NOISE_ZEROS_MAX * len(run)
        noise += [run.checks, columns[noisy].tobytes()]
        quiet += [_described(run), np.packbits(noisy).tobytes(), columns[~noisy].tobytes()]
    raw = b"".join(noise)
    deflated = zlib.compress(b"".join(quiet), DEFLATE_LEVEL)
    return bytes([codec]) + struct.pack(">I", len(raw)) + raw + deflated


def _described(run: Run) -> bytes:
    shape = run.shape
    return struct.pack(f">IH{len(shape)}I", len(run), len(shape) - 1, *shape)


def decode_runs(body: bytes) -> list[Run]:
    """The runs of a pack. Raises PackError where it is not one."""
    if not body or body[0] not in (Codec.PLAIN, Codec.DENSE):
        raise PackError("its first byte names no known form")
    if body[0] == Codec.PLAIN:
        content, noise = body[1:], b""
    else:
        (length,) = struct.unpack(">I", body[1:5]) if len(body) >= 5 else (len(body),)
        noise, content = body[5 : 5 + length], inflate(body[5 + length :])
    runs, at, taken = [], 0, 0
    while at < len(content):
        try:
            count, parts = struct.unpack_from(">IH", content, at)
            shape = struct.unpack_from(f">{parts + 1}I", content, at + 6)
        except struct.error as error:
            raise PackError("it ends inside the description of a run") from error
        at += 6 + 4 * (parts + 1)
        if not count or not shape[0] or parts > PARTS_MAX or count * sum(shape) > PACK_BYTES_MAX:
            raise PackError(f"a run of {count} records of {sum(shape)} bytes cannot be")
        if body[0] == Codec.PLAIN:
            end = at + count * (CHECK_BYTES + sum(shape))
            run = Run(shape, content[at : at + CHECK_BYTES * count],
                      content[at + CHECK_BYTES * count : end])  # fmt: skip
        else:
            run, end, taken = _dense_run(shape, count, content, at, noise, taken)
        if end > len(content):
            raise PackError(f"a run of {count} records does not fit")
        runs.append(run)
        at = end
    if taken != len(noise):
        raise PackError("bytes are left over")
    return runs


def _dense_run(
    shape: tuple[int, ...], count: int, content: bytes, at: int, noise: bytes, taken: int
) -> tuple[Run, int, int]:
    """A run out of its quiet columns, from `at` on, and its noisy ones, from `taken` on."""
    width = sum(shape)
    mask = np.unpackbits(np.frombuffer(content[at : at + -(-width // 8)], np.uint8))
    noisy = mask[:width].astype(bool)
    at += -(-width // 8)
    loud = int(noisy.sum())
    checks = noise[taken : taken + CHECK_BYTES * count]
    taken += CHECK_BYTES * count
    ends = at + (width - loud) * count, taken + loud * count
    if len(noisy) < width or mask[width:].any() or ends[0] > len(content) or ends[1] > len(noise):
        raise PackError(f"a run of {count} records does not fit")
    columns = np.empty((width, count), np.uint8)
    columns[~noisy] = np.frombuffer(content[at : ends[0]], np.uint8).reshape(-1, count)
    columns[noisy] = np.frombuffer(noise[taken : ends[1]], np.uint8).reshape(-1, count)
    return Run(shape, checks, _undo(columns)), ends[0], ends[1]


def _undo(columns: Array) -> bytes:
    """Byte columns combined row by row back into rows; eight columns at a time."""
    width, count = columns.shape
    padded = np.zeros((count, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = columns.T
    words = padded.view(np.uint64)
    np.bitwise_xor.accumulate(words, axis=0, out=words)
    return padded[:, :width].tobytes()


def inflate(content: bytes) -> bytes:
    """Inflate a dense pack: all of it, nothing after it, within bounds. Raises PackError."""
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(content, PACK_BYTES_MAX)
    except zlib.error as error:
        raise PackError(str(error)) from error
    if not inflater.eof or inflater.unused_data or inflater.unconsumed_tail:
        raise PackError("it is cut off, or something follows it")
    return found


def decode(body: bytes) -> list[Stored]:
    """The records of a pack. Raises PackError where it is not one."""
    return [record for run in decode_runs(body) for record in run.records()]
