"""One row of the cause-and-effect table as it stood in one scan, with what its causes read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgectl._kernel.interlock import InterlockStatus, RowFlag
from edgectl.explain.words import quantity, seconds
from edgectl.image.points import PointValue

STATUS = {
    InterlockStatus.INTERLOCK_CLEAR: "clear",
    InterlockStatus.INTERLOCK_PENDING: "cause there, on-delay running",
    InterlockStatus.INTERLOCK_TRIPPED: "tripped, its cause is there",
    InterlockStatus.INTERLOCK_LATCHED: "latched, its cause is gone",
}


@dataclass(frozen=True, slots=True)
class CauseNow:
    """One cause against its threshold.

    says  whether the value is on the tripping side; None where it cannot be told
    """

    tag: str
    unit: str
    value: float | None
    quality: str
    reason: str
    says: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class RowNow:
    """One row in one scan."""

    row: int
    id: str
    title: str
    why: str
    priority: str
    status: InterlockStatus
    flags: RowFlag
    causes: tuple[CauseNow, ...]
    effects: tuple[str, ...]
    reset: str

    @property
    def standing(self) -> bool:
        """Not clear: it acts, unless it is bypassed."""
        return self.status >= InterlockStatus.INTERLOCK_TRIPPED

    @property
    def under_test(self) -> bool:
        """A proof test's value stands beside its real ones."""
        return self.has(RowFlag.ROW_UNDER_TEST)

    def has(self, flag: RowFlag) -> bool:
        """Whether one of its flags is set."""
        return bool(int(self.flags) & int(flag))


def condition(cause: Mapping[str, Any]) -> str:
    """What the cause waits for, with its threshold and where it comes back."""
    unit, op = cause["unit"], cause["op"]
    on, off = quantity(cause["on"], unit), quantity(cause["off"], unit)
    return {
        "above": f"trips above {on}, comes back at {off}",
        "below": f"trips below {on}, comes back at {off}",
        "equal": f"trips at {on}",
        "not_equal": f"trips at anything but {on}",
        "limit": f"is a limit; it bites under the rating, {on}",
        "bad": "trips when it cannot be read",
    }[op]


def tripping(cause: Mapping[str, Any], value: float) -> bool | None:
    """Whether a good value is on the tripping side; None between the two thresholds."""
    on, off, op = float(cause["on"]), float(cause["off"]), cause["op"]
    if op == "above":
        return True if value > on else (False if value <= off else None)
    if op == "below":
        return True if value < on else (False if value >= off else None)
    if op == "equal":
        return value == on
    if op == "not_equal":
        return value != on
    if op == "limit":
        return value < on
    return False


def cause_now(cause: Mapping[str, Any], on_bad: str, point: PointValue | None) -> CauseNow:
    """One cause with what its point read. point: None where the record does not hold it."""
    tag, unit = str(cause["tag"]), str(cause["unit"])
    if point is None:
        text = f"{tag}: not in the record; {condition(cause)}"
        return CauseNow(tag, unit, None, "unknown", "", None, text)
    quality = point.quality.name.removeprefix("QUALITY_").lower()
    reason = point.reason.name.removeprefix("REASON_").lower().replace("_", " ")
    if not point.good:
        says = cause["op"] == "bad" or (True if on_bad == "trip" else None)
        last = "" if point.value is None else f", last words {quantity(point.value, unit)}"
        counts = "counts as tripping" if says else "the last good answer is held"
        text = f"{tag} cannot be read ({reason}{last}): {counts}; {condition(cause)}"
        return CauseNow(tag, unit, point.value, quality, reason, says, text)
    value = point.value
    says = tripping(cause, value) if value is not None else None
    shown = quantity(value, unit) if value is not None else "unknown (its scale is not recorded)"
    text = f"{tag} is {shown}; {condition(cause)}"
    return CauseNow(tag, unit, value, quality, reason, says, text)


def effect_text(effect: Mapping[str, Any]) -> str:
    """One effect in words."""
    asset, value = effect["asset"] or "every battery", effect["value"]
    return {
        "alarm": "alarm only",
        "hold": f"{asset}: no start, no reversal, no more than now",
        "limit_charge": f"{asset}: charge limited to the cause's value",
        "limit_discharge": f"{asset}: discharge limited to the cause's value",
        "limit_import": "grid import limited to the cause's value",
        "derate": f"{asset}: derated to {quantity(value, 'ratio')} of its rating",
        "refuse_shed": "no load is asked to defer",
        "shed": f"flexible load asked for tier {value:g}",
        "block_command": f"{asset}: no request from outside is heard",
        "inhibit_charge": f"{asset}: no charging",
        "inhibit_discharge": f"{asset}: no discharging",
        "ramp_to_zero": f"{asset}: ramped to zero",
        "zero": f"{asset}: zero at once",
        "open_request": f"{asset}: zero at once, and the breaker is asked to open",
        "safe_state": "everything to zero, no request is heard",
    }[str(effect["action"])]


def who_resets(spec: Mapping[str, Any], status: InterlockStatus, locked: bool) -> str:
    """Who may clear the row and what must happen first."""
    first = (
        "first its cause must go"
        if status == InterlockStatus.INTERLOCK_TRIPPED
        else "its cause is gone"
    )
    after = f"it clears by itself {seconds(int(spec['off_delay_ns']))} after its cause has gone"
    operator = f"{first}, then an operator may reset it: edgectl interlocks reset {spec['id']}"
    return {
        "auto": f"locked out after too many trips: {operator}" if locked else after,
        "operator": operator,
        "local": f"{first}, then somebody must press the reset at the cabinet; "
        "no reset from afar is heard",
        "restart": f"{first}, then the controller must be started again",
    }[str(spec["reset"])]


def row_now(
    directory: Mapping[str, Any], record: Any, row: int, values: Mapping[str, PointValue]
) -> RowNow:
    """A row as it stood in a record.

    values  of the record's points, by tag
    """
    spec = directory["interlocks"][row]
    status = InterlockStatus(int(record["interlocks"][row]))
    flags = RowFlag(int(record["interlock_flags"][row]))
    locked = bool(int(flags) & RowFlag.ROW_LOCKED)
    return RowNow(
        row=row,
        id=str(spec["id"]),
        title=str(spec["title"]),
        why=str(spec["why"]),
        priority=str(spec["priority"]),
        status=status,
        flags=flags,
        causes=tuple(
            cause_now(each, spec["on_bad_quality"], values.get(each["tag"]))
            for each in spec["causes"]
        ),
        effects=tuple(map(effect_text, spec["effects"])),
        reset=who_resets(spec, status, locked),
    )


def standing_rows(
    directory: Mapping[str, Any], record: Any, values: Mapping[str, PointValue]
) -> Sequence[RowNow]:
    """Every row of a record that is not clear."""
    rows = (record["interlocks"] >= int(InterlockStatus.INTERLOCK_TRIPPED)).nonzero()[0]
    return [row_now(directory, record, int(row), values) for row in rows]
