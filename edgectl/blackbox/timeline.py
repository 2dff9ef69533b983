"""A black box as a time line: what tripped, in which order, and what stood around it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgectl._kernel.interlock import InterlockStatus, RowFlag
from edgectl.blackbox.format import BlackBox, Trigger
from edgectl.explain.causes import RowNow, row_now
from edgectl.explain.words import power, quantity

# Seconds from the first trip at which the plant is shown.
SHOWN_S = (
    -60.0,
    -30.0,
    -10.0,
    -5.0,
    -2.0,
    -1.0,
    -0.5,
    -0.2,
    -0.1,
    0.0,
    0.1,
    0.2,
    0.3,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    30.0,
)
MODES = (
    ("armed", "armed", "disarmed"),
    ("safe_state", "SAFE STATE entered", "safe state left"),
    ("maintenance", "maintenance mode entered", "maintenance mode left"),
    ("carbon_default", "carbon feed lost", "carbon feed back"),
    ("tables_fault", "TABLES IN MEMORY CHANGED", "tables sound again"),
    ("ledger_fault", "ledger cannot be written", "ledger is written again"),
)
SETPOINT_STEP_RATIO = 0.1  # of the rating: a move that is worth a line


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. ms counts from the first trip."""

    ms: float
    scan: int
    text: str


@dataclass(frozen=True, slots=True)
class Around:
    """The plant at one moment."""

    ms: float
    grid_w: float
    load_w: float
    import_cap_w: float
    setpoints_w: tuple[float, ...]
    powers_w: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Tripped:
    """One trip with what its causes read in that scan."""

    ms: float
    trigger: Trigger
    row: RowNow


def since_first_ms(box: BlackBox, record: Any) -> float:
    """ms of a record from the first trip, on the monotonic clock."""
    return round((int(record["head"]["time_ns"]) - box.first.time_ns) / 1e6, 1)


def trips(box: BlackBox) -> list[Tripped]:
    """Every trip in time's order, the first out first within its scan."""
    decoder, found = box.decoder(), []
    places = {int(seq): at for at, seq in enumerate(box.records["head"]["seq"].tolist())}
    for trigger in sorted(box.triggers, key=lambda each: (each.seq, not each.first_out)):
        at = places.get(trigger.seq)
        if at is None:
            continue
        record = box.records[at]
        row = row_now(box.directory, record, trigger.row, decoder.values(record))
        found.append(Tripped(since_first_ms(box, record), trigger, row))
    return found


def lines(box: BlackBox) -> list[Line]:
    """Everything that changed, in time's order."""
    records, found = box.records, []
    for at in _changed(records):
        before, record = records[at - 1], records[at]
        ms, scan = since_first_ms(box, record), int(record["head"]["scan"])
        texts = [*_rows(box, before, record), *_modes(before, record)]
        texts += _setpoints(box, before, record)
        found += [Line(ms, scan, text) for text in texts]
    return found


def _changed(records: Any) -> Sequence[int]:
    """Records in which something a line could tell of differs from the one before."""
    if len(records) < 2:
        return []
    differs = (records["interlocks"][1:] != records["interlocks"][:-1]).any(axis=1)
    differs |= (records["interlock_flags"][1:] != records["interlock_flags"][:-1]).any(axis=1)
    head = records["head"]
    for name, *_ in MODES:
        differs |= head[name][1:] != head[name][:-1]
    differs |= head["mails"][1:] > 0
    differs |= np.diff(head["overruns"]) != 0
    if records["storages"].shape[1]:
        moved = records["storages"]["setpoint_w"]
        differs |= (moved[1:] != moved[:-1]).any(axis=1)
    return [int(at) + 1 for at in np.flatnonzero(differs)]


def _rows(box: BlackBox, before: Any, record: Any) -> Iterator[str]:
    then, now = before["interlocks"], record["interlocks"]
    flags_then, flags_now = before["interlock_flags"], record["interlock_flags"]
    for row in np.flatnonzero((then != now) | (flags_then != flags_now)).tolist():
        spec, flags = box.directory["interlocks"][row], int(flags_now[row])
        name = f"{spec['id']} ({spec['title']})"
        status = int(now[row])
        if status != int(then[row]):
            if status == InterlockStatus.INTERLOCK_TRIPPED:
                mark = ", FIRST OUT" if flags & RowFlag.ROW_FIRST_OUT else ""
                yield f"{name} TRIPS{mark}"
            else:
                word = {
                    InterlockStatus.INTERLOCK_CLEAR: "clears",
                    InterlockStatus.INTERLOCK_PENDING: "sees its cause; its on-delay runs",
                    InterlockStatus.INTERLOCK_LATCHED: "has lost its cause and waits",
                }[InterlockStatus(status)]
                yield f"{name} {word}"
        for flag, came, went in (
            (RowFlag.ROW_BYPASSED, "is bypassed", "is no longer bypassed"),
            (RowFlag.ROW_UNDER_TEST, "is under proof test", "is no longer under test"),
            (RowFlag.ROW_DISCREPANT, "has causes that contradict each other", "agrees again"),
            (RowFlag.ROW_LOCKED, "is locked out", "is no longer locked out"),
        ):
            if (flags ^ int(flags_then[row])) & flag:
                yield f"{name} {came if flags & flag else went}"


def _modes(before: Any, record: Any) -> Iterator[str]:
    then, head = before["head"], record["head"]
    for name, came, went in MODES:
        if head[name] != then[name]:
            yield came if head[name] else went
    if head["mails"]:
        yield f"{int(head['mails'])} request{'s' if head['mails'] > 1 else ''} taken"
    if head["overruns"] != then["overruns"]:
        yield f"overrun: {int(head['overruns'] - then['overruns'])} periods skipped"


def _setpoints(box: BlackBox, before: Any, record: Any) -> Iterator[str]:
    for at, spec in enumerate(box.directory["storages"]):
        then_w = float(before["storages"]["setpoint_w"][at])
        now_w = float(record["storages"]["setpoint_w"][at])
        rating_w = max(spec["charge_rating_w"], spec["discharge_rating_w"])
        stopped = now_w == 0.0 != then_w
        if stopped or abs(now_w - then_w) >= SETPOINT_STEP_RATIO * rating_w:
            yield f"{spec['id']} setpoint {power(then_w)} -> {power(now_w)}"


def around(box: BlackBox) -> list[Around]:
    """The plant at chosen moments, as far as the file goes."""
    times_ns, found, seen = box.records["head"]["time_ns"], [], set()
    for wanted_s in SHOWN_S:
        wanted_ns = box.first.time_ns + int(wanted_s * 1e9)
        at = int(np.argmin(np.abs(times_ns - wanted_ns)))
        period_ns = int(box.directory["period_ns"])
        if at in seen or abs(int(times_ns[at]) - wanted_ns) > period_ns:
            continue
        seen.add(at)
        record = box.records[at]
        head, storages = record["head"], record["storages"]
        found.append(
            Around(
                ms=since_first_ms(box, record),
                grid_w=float(head["grid_w"]),
                load_w=float(head["load_w"]),
                import_cap_w=float(head["import_cap_w"]),
                setpoints_w=tuple(map(float, storages["setpoint_w"])),
                powers_w=tuple(map(float, storages["power_w"])),
            )
        )
    return found


def megawatt(value_w: float) -> str:
    """For a column: MW with two digits, or a word."""
    return f"{value_w / 1e6:.2f}" if np.isfinite(value_w) else quantity(value_w, "W")
