"""A file layer that remembers: every write, cut and sync of SQLite, in order, by file.

SQLite runs on it as it is, in another build of it that lets us stand between: apsw. Shared memory
cannot be passed through there, so the file is locked for us alone and the index of the log lives
in our memory; what is written to the file and the log, and when it is synced, is the same.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from edgectl.ledger.seal import write_durably


@dataclass(frozen=True, slots=True)
class Op:
    """One step as the disk sees it, or what the ledger promised then."""

    kind: str  # write, cut, sync, delete, replace, names_synced, acknowledged
    file: str = ""
    offset: int = 0
    content: bytes = b""
    number: int = 0  # length of a cut; records acknowledged


class Recorder:
    """Opens ledgers on the remembering layer."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._vfs = _Layer(self.ops)

    def connect(self, path: Path, read_only: bool) -> Any:
        """As month.connect."""
        flags = apsw.SQLITE_OPEN_READONLY if read_only else (
            apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        )  # fmt: skip
        connection = apsw.Connection(str(path), flags, vfs=_Layer.NAME)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        return connection

    def write_file(self, path: Path, content: bytes) -> None:
        """As write_durably, which syncs the new file before it takes the old one's place."""
        write_durably(path, content)
        self.ops.append(Op("replace", path.name, content=content))
        self.ops.append(Op("names_synced"))

    def acknowledge(self, records: int) -> None:
        """The ledger has said that so many records are safe."""
        self.ops.append(Op("acknowledged", number=records))


class _Layer(apsw.VFS):
    NAME = "edgectl-recorder"

    def __init__(self, ops: list[Op]) -> None:
        self.ops = ops
        super().__init__(self.NAME, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        return _File(self.ops, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.ops.append(Op("delete", os.path.basename(filename)))


class _File(apsw.VFSFile):
    def __init__(self, ops: list[Op], name: Any, flags: list[int]) -> None:
        self.ops = ops
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self.name = os.path.basename(path or "")
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self.ops.append(Op("write", self.name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self.ops.append(Op("cut", self.name, number=newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self.ops.append(Op("sync", self.name))


Connect = Callable[[Path, bool], Any]
