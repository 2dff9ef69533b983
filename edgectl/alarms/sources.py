"""What every alarm's source says at each scan: from journal records, the snapshot and our health.

A source is a function of a Batch that gives one row a scan and one column a target. A
truth value, a Signal, or a number where the kind has a limit. What the journal does not
hold (the bus, the services themselves) is known for the newest scan alone; before it the
source says nothing new.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgectl._kernel.interlock import InterlockStatus, RowFlag
from edgectl._kernel.quality import Quality, Reason
from edgectl.alarms.machine import Signal
from edgectl.image.changes import device_state

KEEP = -1  # in a column of signals: as it was
START_HOLD_NS = 30_000_000_000
OVERRUN_WINDOW_NS = 60_000_000_000
SILENT_REASONS = (Reason.REASON_NOT_YET, Reason.REASON_COMMUNICATION, Reason.REASON_STALE)

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """The interlock rows of several scans: one row a scan, one column a row of the table."""

    status: Array
    bypassed: Array
    discrepancy: Array
    under_test: Array


def rows_of(records: Array) -> Rows:
    """The one place that knows how a record keeps its interlock rows."""
    flags = records["interlock_flags"]
    return Rows(
        status=records["interlocks"],
        bypassed=(flags & RowFlag.ROW_BYPASSED) != 0,
        discrepancy=(flags & RowFlag.ROW_DISCREPANT) != 0,
        under_test=(flags & RowFlag.ROW_UNDER_TEST) != 0,
    )


@dataclass(frozen=True, slots=True)
class Health:
    """What the services know of themselves and of the controller's process."""

    ledger_failing: bool = False
    behind_scans: int = 0
    broker_away: bool = False
    controller_gone: bool = False
    disagreeing: tuple[str, ...] = ()  # devices whose power and counter disagree


@dataclass(slots=True)
class Memory:
    """What the sources remember from one batch to the next. Plain, so that it can be stored."""

    never_clear: list[bool] = field(default_factory=list)  # rows that act since the start
    never_heard: list[bool] = field(default_factory=list)  # the safe state stands since then
    overruns: list[tuple[int, int]] = field(default_factory=list)  # time_ns, total: each rise
    counters: dict[str, list[int]] = field(default_factory=dict)  # of the snapshot before
    said: dict[str, list[int]] = field(default_factory=dict)  # last signals of each source
    held_ns: dict[str, list[int]] = field(default_factory=dict)  # of each rule: when it last held


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive scans of one run, with what is known at the last of them."""

    directory: Mapping[str, Any]
    records: Array
    rows: Rows
    start_ns: int  # monotonic, when the run's segment was made
    memory: Memory
    snapshot: Any = None  # None: the batch does not end at the newest scan
    health: Health | None = None
    lost: int = 0  # records before this batch that nobody read

    @property
    def scans(self) -> int:
        """Rows of every column."""
        return len(self.records)

    def newest(self, values: Array | None, targets: int) -> Array:
        """Columns that are known for the last scan alone."""
        columns = np.full((self.scans, targets), KEEP, np.int8)
        if values is not None:
            columns[-1] = np.where(values, Signal.ACTIVE, Signal.CLEAR)
        return columns

    def head(self, name: str) -> Array:
        """One column: a field of the record's head as a truth value."""
        return np.asarray(self.records["head"][name] != 0).reshape(-1, 1)

    def young(self) -> Array:
        """One column: the scan is one of the run's first 30 s."""
        age_ns = self.records["head"]["time_ns"] - self.start_ns
        return np.asarray(age_ns <= START_HOLD_NS).reshape(-1, 1)


def row_status(batch: Batch) -> Array:
    """A row that trips is active; one that is latched holds."""
    status = batch.rows.status
    return np.select(
        [status == InterlockStatus.INTERLOCK_TRIPPED, status == InterlockStatus.INTERLOCK_LATCHED],
        [np.int8(Signal.ACTIVE), np.int8(Signal.HELD)],
        np.int8(Signal.CLEAR),
    )


def row_starting(batch: Batch) -> Array:
    """Rows that act since the start without a break, for its first 30 s."""
    acts = batch.rows.status >= InterlockStatus.INTERLOCK_TRIPPED
    unbroken = _unbroken(acts, batch.memory.never_clear)
    batch.memory.never_clear = unbroken[-1].tolist()
    return np.asarray(unbroken & batch.young())


def row_discrepancy(batch: Batch) -> Array:
    """Causes of a voted row disagree."""
    return batch.rows.discrepancy


def row_bypassed(batch: Batch) -> Array:
    """The row is bypassed."""
    return batch.rows.bypassed


def row_under_test(batch: Batch) -> Array:
    """A proof test works on the row."""
    return batch.rows.under_test


def row_proof_overdue(batch: Batch) -> Array:
    """The row's proof test should have been done before now."""
    never = np.iinfo(np.int64).max
    due_ns = [int(row.get("proof_due_utc_ns", never)) for row in batch.directory["interlocks"]]
    return np.asarray(batch.records["head"]["utc_ns"][:, None] > np.array(due_ns, np.int64))


def never_proved(batch: Batch) -> Array:
    """Rows that were never made to trip, as they are."""
    never = np.iinfo(np.int64).max
    count = sum(row.get("proof_due_utc_ns") == never for row in batch.directory["interlocks"])
    return np.full((batch.scans, 1), float(count))


def device_silent(batch: Batch) -> Array:
    """Nothing came from the device for so long that every journaled point of it is bad.

    A device without a journaled point is judged by the bus, at the newest scan.
    """
    devices = batch.directory["devices"]
    columns = batch.newest(_lost(batch), len(devices))
    points = batch.records["points"]
    names = [point["device"] for point in batch.directory["points"] if point["journaled"]]
    dead = (points["quality"] == Quality.QUALITY_BAD) & np.isin(points["reason"], SILENT_REASONS)
    owners = np.array(names, dtype=object)
    for place, device in enumerate(devices):
        own = owners == device["id"]
        if own.any():
            columns[:, place] = np.where(dead[:, own].all(axis=1), Signal.ACTIVE, Signal.CLEAR)
    return columns


def device_refused(batch: Batch) -> Array:
    """The identity check failed."""
    known = None if batch.snapshot is None else batch.snapshot["links"]["refused"] != 0
    return batch.newest(known, len(batch.directory["devices"]))


def device_disagrees(batch: Batch) -> Array:
    """The meter's power and its own counter disagree, in the newest window that closed."""
    devices = batch.directory["devices"]
    known = None
    if batch.health is not None:
        known = np.array([each["id"] in batch.health.disagreeing for each in devices], np.bool_)
    return batch.newest(known, len(devices))


def device_write_failed(batch: Batch) -> Array:
    """More writes failed than at the snapshot before."""
    return _rising(batch, "write_failures", "links", len(batch.directory["devices"]))


def requests_rejected(batch: Batch) -> Array:
    """More requests were rejected than at the snapshot before."""
    return _rising(batch, "mails_rejected", "head", 1)


def foreign_writes(batch: Batch) -> Array:
    """More proved set points changed without us than at the snapshot before."""
    return _rising(batch, "foreign_writes", "head", 1)


def safe_state(batch: Batch) -> Array:
    """The controller is in its safe state."""
    return batch.head("safe_state")


def safe_starting(batch: Batch) -> Array:
    """The safe state stands since the start without a break, for its first 30 s."""
    unbroken = _unbroken(batch.head("safe_state"), batch.memory.never_heard)
    batch.memory.never_heard = unbroken[-1].tolist()
    return np.asarray(unbroken & batch.young())


def not_armed(batch: Batch) -> Array:
    """It could be armed and is not."""
    return ~(batch.head("armed") | batch.head("dry_run") | batch.head("safe_state"))


def carbon_default(batch: Batch) -> Array:
    """The zone's default is booked."""
    return batch.head("carbon_default")


def balance_broken(batch: Batch) -> Array:
    """Parts and totals differ."""
    return batch.head("balance_error_mj") | batch.head("balance_error_ug")


def maintenance(batch: Batch) -> Array:
    """Maintenance mode is on."""
    return batch.head("maintenance")


def overruns(batch: Batch) -> Array:
    """Periods that were skipped in the last 60 s."""
    times_ns, totals = (batch.records["head"][name].tolist() for name in ("time_ns", "overruns"))
    rises = batch.memory.overruns or [(times_ns[0], totals[0])]
    column = np.zeros((batch.scans, 1))
    for place, (time_ns, total) in enumerate(zip(times_ns, totals, strict=True)):
        if total != rises[-1][1]:
            rises = [*rises, (time_ns, total)]
        # The first is what the window is counted from: the newest that is older than it.
        while len(rises) > 1 and rises[1][0] <= time_ns - OVERRUN_WINDOW_NS:
            rises = rises[1:]
        column[place] = total - rises[0][1]
    batch.memory.overruns = rises
    return column


def journal_gap(batch: Batch) -> Array:
    """Records before this scan were lost."""
    column = np.zeros((batch.scans, 1), np.bool_)
    column[0] = batch.lost > 0
    return column


def controller_gone(batch: Batch) -> Array:
    """Its process is gone and did not say goodbye."""
    return _of_health(batch, lambda health: health.controller_gone)


def ledger_failing(batch: Batch) -> Array:
    """The ledger feed is trying again."""
    return _of_health(batch, lambda health: health.ledger_failing)


def broker_away(batch: Batch) -> Array:
    """There is a broker to be spoken to and no connection."""
    return _of_health(batch, lambda health: health.broker_away)


def behind(batch: Batch) -> Array:
    """Records that wait in the journal; not a number where nobody looked."""
    column = np.full((batch.scans, 1), np.nan)
    if batch.health is not None:
        column[-1] = batch.health.behind_scans
    return column


Source = Callable[[Batch], Array]
SOURCES: dict[str, Source] = {
    each.__name__: each
    for each in (
        row_status, row_starting, row_discrepancy, row_bypassed, row_under_test,
        row_proof_overdue, never_proved, safe_starting, device_silent, device_refused,
        device_write_failed, device_disagrees,
        requests_rejected, foreign_writes, safe_state, not_armed, carbon_default,
        balance_broken, maintenance, overruns, journal_gap, controller_gone, ledger_failing,
        broker_away, behind,
    )
}  # fmt: skip


def _unbroken(now: Array, before: list[bool]) -> Array:
    """Columns that were true at every scan of the run up to each."""
    first = np.array(before or [True] * now.shape[1], np.bool_)
    return np.asarray(np.logical_and.accumulate(np.vstack([first, now]), axis=0)[1:])


def _of_health(batch: Batch, question: Callable[[Health], bool]) -> Array:
    known = None if batch.health is None else np.array([question(batch.health)])
    return batch.newest(known, 1)


def _lost(batch: Batch) -> Array | None:
    if batch.snapshot is None:
        return None
    now_ns, period_ns = int(batch.snapshot["record"]["time_ns"]), int(batch.directory["period_ns"])
    words = [device_state(link, now_ns, period_ns) for link in batch.snapshot["links"]]
    return np.array([word in ("lost", "never") for word in words], np.bool_)


def _rising(batch: Batch, name: str, part: str, targets: int) -> Array:
    if batch.snapshot is None:
        return batch.newest(None, targets)
    now = np.atleast_1d(batch.snapshot[part][name])
    before = np.array(batch.memory.counters.get(name, now.tolist()))
    batch.memory.counters[name] = now.tolist()
    # Less than before is a controller that was started anew.
    return batch.newest(now > before, targets)
