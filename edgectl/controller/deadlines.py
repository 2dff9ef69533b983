"""Deadlines met and missed: the scan's own figures, held against the witness.

A deadline is missed when its scan did not run in its period, or started more
than LATE_NS late. It is ours when the witness, a bare thread of the same class
on the same processor, was on time in that period and the one before.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl.image import SegmentReader

LATE_NS = 10_000_000
COLUMNS = (
    "period", "lateness_ns", "exec_before_ns", "devices_fresh", "devices_counted",
    "healthy_age_ns", "overruns", "armed", "writes", "grid_w", "load_w", "it_w", "pue",
)  # fmt: skip

Column = NDArray[Any]


class DeadlineLog:
    """Chosen columns of every scan's record, in memory that is touched before the run."""

    def __init__(self, reader: SegmentReader, scans_max: int) -> None:
        """reader      of the segment; scans_max  records kept, later ones are only passed over"""
        self.reader = reader
        fields = reader.layout.record["head"].fields
        assert fields is not None
        self._columns = {name: np.zeros(scans_max, fields[name][0]) for name in COLUMNS}
        self.scans_max = scans_max
        self.next_seq = 0
        self.filled = 0
        self.lost = 0

    def drain(self) -> None:
        """Take over what has been journaled since the call before."""
        while self.next_seq < self.reader.journal_head:
            batch = self.reader.journal(self.next_seq)
            count = min(len(batch.records), self.scans_max - self.filled)
            for name, column in self._columns.items():
                column[self.filled : self.filled + count] = batch.records["head"][name][:count]
            self.filled += count
            self.lost += batch.lost
            self.next_seq = batch.next_seq

    @property
    def columns(self) -> dict[str, Column]:
        """By name, one entry a scan drained so far."""
        return {name: column[: self.filled] for name, column in self._columns.items()}


def quantiles(values: Column, divide_by: float) -> dict[str, float | None]:
    """Median, 99 %, 99.9 % and the greatest of values, each divided by divide_by.

    Every figure is one of the values, never between two. None where there are no values.
    """
    if len(values) == 0:
        return dict.fromkeys(("p50", "p99", "p999", "max"))
    found = np.quantile(values, [0.5, 0.99, 0.999, 1.0], method="higher") / divide_by
    return dict(
        zip(("p50", "p99", "p999", "max"), (round(float(v), 3) for v in found), strict=True)
    )


def witness_on_time(lateness_ns: Column) -> NDArray[np.bool_]:
    """Periods in which the witness woke less than LATE_NS late, and in the one before."""
    good = (lateness_ns >= 0) & (lateness_ns < LATE_NS)
    before = np.concatenate([[True], good[:-1]])
    return np.asarray(good & before, dtype=np.bool_)


def deadline_figures(
    columns: dict[str, Column], witness_ns: Column, periods: int
) -> dict[str, Any]:
    """Scans, overruns and missed deadlines over so many periods from the first scan.

    columns      as DeadlineLog keeps them
    witness_ns   lateness of the witness by period, -1 where it did not wake
    """
    within = columns["period"] < periods
    lateness_ns = columns["lateness_ns"][within]
    started_ns = np.full(periods, np.iinfo(np.int64).max)
    started_ns[columns["period"][within]] = lateness_ns
    missed = started_ns > LATE_NS
    on_time = witness_on_time(witness_ns[:periods])
    return {
        "scans": int(within.sum()),
        "overruns": periods - int(within.sum()),
        "missed": int(missed.sum()),
        "missed_while_witness_on_time": int((missed & on_time).sum()),
        "witness_late_periods": int((~on_time).sum()),
        "lateness_us": quantiles(lateness_ns, 1e3),
        "witness_lateness_us": quantiles(witness_ns[:periods][witness_ns[:periods] >= 0], 1e3),
        "exec_us": quantiles(columns["exec_before_ns"][within][1:], 1e3),
    }
