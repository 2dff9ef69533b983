"""Results of proof tests: one JSON line each, appended and never edited; and what is overdue."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgectl.errors import DataError
from edgectl.site_model.model import Site
from edgectl.site_model.tables_directory import interlock_digest, interlock_spec

DAY_S = 86_400
NEVER_TESTED = 2**63 - 1
NEEDED = {"site", "row", "row_digest", "utc_s", "passed"}  # a line without them is no result


@dataclass(frozen=True, slots=True)
class Result:
    """One test.

    row_digest    of what the row did when it was tested: a row that acts otherwise is untested
    as_found      status before; as_left   after, with who must still reset it
    reaction_ms   from the scan that took the values to the row's trip; None: it never tripped
    bound_ms      on-delay and one scan
    permit_ms     to the scan in which the batteries' permits were what the row demands
    setpoint_ms, output_ms  to their safe setpoint and to it being written; None: not seen,
                  because nothing is written while the controller is not armed
    readback_ms   to the devices themselves showing it; None: not seen in time, or none can
    cleared_ms    from the end of the values to clear, by itself or by its reset
    moved         a battery was really moved by it; False: all were safe already, or it moves none
    latched       it stayed latched without its cause; None: it is no row that latches
    """

    site: str
    site_sha256: str
    row: str
    row_digest: str
    utc_s: int
    by: str
    armed: bool
    passed: bool
    why: str
    as_found: str
    as_left: str
    injected: dict[str, float]
    reaction_ms: float | None
    bound_ms: float
    scans: int | None
    permit_ms: float | None
    setpoint_ms: float | None
    output_ms: float | None
    readback_ms: float | None
    moved: bool
    latched: bool | None
    cleared_ms: float | None
    edgectl: str


@dataclass(frozen=True, slots=True)
class Overdue:
    """A row whose last passed test is too long ago.

    last_utc_s   of the last test that was passed, of the row as it is; None: there was none
    days_over    beyond its interval; None: never tested
    """

    row: str
    title: str
    priority: str
    interval_days: int
    last_utc_s: int | None
    days_over: float | None
    why: str


def record_path(data_dir: Path, site_id: str) -> Path:
    """Where a site's results lie."""
    return data_dir / f"{site_id}.prooftests.jsonl"


def append(path: Path, result: Result) -> None:
    """Add one result and see it onto the disk. Raises DataError."""
    line = json.dumps(asdict(result), sort_keys=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            torn = file.tell() > 0 and _last_byte(path) != b"\n"
            file.write((b"\n" if torn else b"") + line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DataError(
            where=str(path),
            problem=f"cannot be written: {error.strerror}",
            because="A test whose result is not kept proves nothing.",
            remedy="Free space, or name another --data-dir; then test again.",
        ) from error


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def load(path: Path) -> list[Result]:
    """Every whole result, oldest first; a line that was cut off by a crash is passed over.

    A figure that the edgectl of then did not measure is None.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found, names = [], [each.name for each in fields(Result)]
    for line in lines:
        try:
            plain: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(plain, Mapping) and plain.keys() >= NEEDED:
            known: dict[str, Any] = {name: plain.get(name) for name in names}
            found.append(Result(**known))
    return found


class Dues:
    """When each row's proof test is due, in the segment's directory; kept up as tests are done."""

    def __init__(self, site_id: str, data_dir: Path) -> None:
        """Nothing is read before it is asked for."""
        self._path = record_path(data_dir, site_id)
        self._of: tuple[int, int] | None = None  # the directory, and the file's time, it is for
        self._known: dict[str, Any] = {}

    def directory(self, of_segment: Mapping[str, Any]) -> Mapping[str, Any]:
        """The directory, its rows with `proof_due_utc_ns`: NEVER_TESTED for one never tested."""
        try:
            changed_ns = self._path.stat().st_mtime_ns
        except OSError:
            changed_ns = 0
        if self._of != (id(of_segment), changed_ns):
            last = _last_passed(self._path)
            rows = [
                {**row, "proof_due_utc_ns": _due_utc_ns(row, last)}
                for row in of_segment["interlocks"]
            ]
            self._known = {**of_segment, "interlocks": rows}
            self._of = (id(of_segment), changed_ns)
        return self._known


def _due_utc_ns(row: Mapping[str, Any], last: Mapping[tuple[str, str], int]) -> int:
    at = last.get((str(row["id"]), interlock_digest(row)))
    if at is None:
        return NEVER_TESTED
    return (at + int(row["proof_interval_days"]) * DAY_S) * 10**9


def _last_passed(path: Path) -> dict[tuple[str, str], int]:
    """UTC s of each row's last passed test, by its id and by what it did."""
    last: dict[tuple[str, str], int] = {}
    for each in load(path):
        if each.passed:
            key = (each.row, each.row_digest)
            last[key] = max(last.get(key, 0), each.utc_s)
    return last


def overdue(site: Site, data_dir: Path, now_utc_s: int) -> list[Overdue]:
    """Rows whose proof test is due, the longest overdue first; those never tested before all.

    A test that was failed proves nothing; one of a row that was changed since proves
    nothing of the row as it is.
    """
    last = _last_passed(record_path(data_dir, site.id))
    tested = {row for row, _ in last}
    found = []
    for row in site.interlocks:
        at = last.get((row.id, interlock_digest(interlock_spec(row))))
        if at is not None and now_utc_s - at <= row.proof_interval_days * DAY_S:
            continue
        why = "never tested"
        if at is None and row.id in tested:
            why = "changed since its last test"
        over = None
        if at is not None:
            over = round((now_utc_s - at) / DAY_S - row.proof_interval_days, 1)
            why = f"{over:g} days over"
        found.append(
            Overdue(row.id, row.title, row.priority, row.proof_interval_days, at, over, why)
        )
    return sorted(found, key=lambda each: (each.days_over is not None, -(each.days_over or 0.0)))
