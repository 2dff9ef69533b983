"""The folder of black-box files: their names, what there is, and what gives way to what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "blackbox"
SUFFIX = ".ebb"
NAME = re.compile(
    r"(?P<site>.+)-(?P<utc>\d{8}T\d{6}\.\d{3}Z)-(?P<row>[A-Za-z0-9][A-Za-z0-9-]*)\.ebb"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file by its name. utc sorts as text."""

    path: Path
    site: str
    utc: str
    row: str
    size: int


def blackbox_dir(data_dir: Path) -> Path:
    """Where the files of a data directory lie."""
    return data_dir / FOLDER


def file_name(site: str, utc_ns: int, row: str) -> str:
    """Of the file that a row's trip opens."""
    at = datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC)
    return f"{site}-{at:%Y%m%dT%H%M%S}.{utc_ns // 1_000_000 % 1000:03d}Z-{row}{SUFFIX}"


def entries(folder: Path, site: str | None = None) -> list[Entry]:
    """Files there are, oldest first. site: of one alone."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        name = NAME.fullmatch(path.name)
        if name is None or (site is not None and name["site"] != site):
            continue
        try:
            size = path.stat().st_size
        except FileNotFoundError:  # given way meanwhile
            continue
        found.append(Entry(path, name["site"], name["utc"], name["row"], size))
    return sorted(found, key=lambda each: (each.utc, each.row))


def evict(folder: Path, site: str, keep_bytes: int) -> Sequence[Entry]:
    """Remove the oldest files of a site until the rest fits; returns what went.

    The newest file of each row stays, whatever its size: the bound is held but for those.
    """
    there = entries(folder, site)
    newest = {each.row: each.path for each in there}
    total, gone = sum(each.size for each in there), []
    for each in there:
        if total <= keep_bytes:
            break
        if newest[each.row] == each.path:
            continue
        each.path.unlink(missing_ok=True)
        total -= each.size
        gone.append(each)
    return gone
