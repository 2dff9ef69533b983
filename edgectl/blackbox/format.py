"""One black-box file: a header that explains itself, and the records as the ring had them.

```
"edgebox1" | u32 header bytes | SHA-256 of the header | header (msgpack) | chunks (zlib)
```
The header carries the site's directory, the layout of a record in numpy's own terms and
the SHA-256 of the chunks, so that a file is whole or is known not to be, and can be
read years later by whoever has zlib, msgpack and numpy.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from edgectl.errors import DataError
from edgectl.image.points import PointDecoder

MAGIC = b"edgebox1"
VERSION = 1
LENGTH = struct.Struct("<I")
SHA_BYTES = 32
HEADER_BYTES_MAX = 64 << 20
CHUNK_RECORDS = 100
COMPLETE, OPEN, TRUNCATED = "complete", "open", "truncated"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trip in the file."""

    row: int
    id: str
    scan: int
    seq: int
    utc_ns: int
    time_ns: int
    first_out: bool
    bypassed: bool


@dataclass(frozen=True, slots=True)
class BlackBox:
    """A whole file in memory. triggers[0] is the first out."""

    path: Path
    header: Mapping[str, Any]
    triggers: tuple[Trigger, ...]
    records: Any

    @property
    def directory(self) -> Mapping[str, Any]:
        """Of the site, as it was."""
        found: Mapping[str, Any] = self.header["directory"]
        return found

    @property
    def first(self) -> Trigger:
        """The trip that opened the file."""
        return self.triggers[0]

    def decoder(self) -> PointDecoder:
        """For its points, with the scale factors that were in force."""
        return PointDecoder(self.directory, self.header["exponents"])


def describe(dtype: np.dtype[Any]) -> Any:
    """A dtype in plain types."""
    if dtype.names is not None:
        assert dtype.fields is not None
        fields = [dtype.fields[name] for name in dtype.names]
        return {
            "names": list(dtype.names),
            "formats": [describe(each[0]) for each in fields],
            "offsets": [each[1] for each in fields],
            "itemsize": dtype.itemsize,
        }
    if dtype.subdtype is not None:
        return [describe(dtype.subdtype[0]), list(dtype.subdtype[1])]
    return dtype.str


def described(plain: Any) -> np.dtype[Any]:
    """The dtype that describe() put in plain types."""
    if isinstance(plain, str):
        return np.dtype(plain)
    if isinstance(plain, Mapping):
        return np.dtype(
            {
                "names": list(plain["names"]),
                "formats": [described(each) for each in plain["formats"]],
                "offsets": list(plain["offsets"]),
                "itemsize": int(plain["itemsize"]),
            }
        )
    base, shape = plain
    return np.dtype((described(base), tuple(shape)))


def write_blackbox(
    path: Path, header: Mapping[str, Any], triggers: Sequence[Trigger], records: Any, level: int
) -> int:
    """Write a file whole or not at all, and see it onto the disk; returns its bytes.

    header   what write_blackbox does not fill itself
    level    of zlib, 1 fast to 9 small

    Raises OSError; what stood under the name is then untouched.
    """
    chunks = [
        zlib.compress(records[at : at + CHUNK_RECORDS].tobytes(), level)
        for at in range(0, len(records), CHUNK_RECORDS)
    ]
    content = hashlib.sha256()
    for chunk in chunks:
        content.update(chunk)
    full = dict(header) | {
        "version": VERSION,
        "triggers": [
            {name: getattr(each, name) for name in Trigger.__slots__} for each in triggers
        ],
        "records": len(records),
        "scans": _ends(records["head"]["scan"]),
        "utc_ns": _ends(records["head"]["utc_ns"]),
        "dtype": describe(records.dtype),
        "chunks": [len(chunk) for chunk in chunks],
        "content_sha256": content.digest(),
    }
    packed = bytes(msgpack.packb(full, use_bin_type=True))
    parts = [MAGIC, LENGTH.pack(len(packed)), hashlib.sha256(packed).digest(), packed, *chunks]
    _replace(path, parts)
    return sum(map(len, parts))


def _ends(column: Any) -> list[int]:
    """First and last of a column, [] where there are none."""
    return [int(column[0]), int(column[-1])] if len(column) else []


def _replace(path: Path, parts: Sequence[bytes]) -> None:
    """Put a new file under a name: written, on the disk, then renamed, then the name synced."""
    temporary = path.with_suffix(".part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_header(path: Path) -> dict[str, Any]:
    """The header alone, checked against its SHA-256. Raises DataError."""
    with _opened(path) as file:
        return _header(path, file)


def read_blackbox(path: Path) -> BlackBox:
    """A whole file, every byte of it checked. Raises DataError with what is wrong."""
    with _opened(path) as file:
        header = _header(path, file)
        content = file.read()
    found = hashlib.sha256(content).digest()
    if found != header["content_sha256"]:
        raise _refused(
            path,
            f"the SHA-256 of its records is {found.hex()[:16]}… and should be "
            f"{header['content_sha256'].hex()[:16]}…",
        )
    dtype = described(header["dtype"])
    at, raw = 0, bytearray()
    for length in header["chunks"]:
        raw += zlib.decompress(content[at : at + length])
        at += length
    if len(raw) != header["records"] * dtype.itemsize:
        raise _refused(
            path, f"{len(raw)} bytes of records for {header['records']} of {dtype.itemsize}"
        )
    records = np.frombuffer(bytes(raw), dtype=dtype)
    return BlackBox(path, header, tuple(Trigger(**each) for each in header["triggers"]), records)


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            where=str(path),
            problem=f"cannot be opened: {error.strerror}",
            because="There is nothing to show without it.",
            remedy="List the files there are: edgectl blackbox list.",
        ) from error


def _header(path: Path, file: Any) -> dict[str, Any]:
    head = file.read(len(MAGIC) + LENGTH.size + SHA_BYTES)
    if len(head) < len(MAGIC) + LENGTH.size + SHA_BYTES or not head.startswith(MAGIC):
        raise _refused(path, f"it begins with {head[: len(MAGIC)]!r}, not {MAGIC!r}")
    (length,) = LENGTH.unpack_from(head, len(MAGIC))
    if length > HEADER_BYTES_MAX:
        raise _refused(path, f"its header would have {length} bytes")
    packed = file.read(length)
    if hashlib.sha256(packed).digest() != head[-SHA_BYTES:]:
        raise _refused(path, "its header does not have the SHA-256 that stands before it")
    header: dict[str, Any] = msgpack.unpackb(packed, raw=False)
    if header["version"] != VERSION:
        raise _refused(path, f"it is of version {header['version']}; this edgectl reads {VERSION}")
    return header


def _refused(path: Path, problem: str) -> DataError:
    return DataError(
        where=str(path),
        problem=problem,
        because="A record of an incident that was changed, or cut off, proves nothing.",
        remedy="Use a copy made before the file was damaged.",
    )
