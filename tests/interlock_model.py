"""A second, slower interlock table, written from the row schema, and tables to try it with."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from edgectl._kernel.interlock import (
    CauseOp,
    Effect,
    InterlockBench,
    InterlockStatus,
    OnBad,
    Reset,
)
from edgectl.plant.rows import rows

DT_NS = 100_000_000
STORAGES = 2
CLEAR, PENDING = InterlockStatus.INTERLOCK_CLEAR, InterlockStatus.INTERLOCK_PENDING
TRIPPED, LATCHED = InterlockStatus.INTERLOCK_TRIPPED, InterlockStatus.INTERLOCK_LATCHED
LIMITS = (
    Effect.EFFECT_LIMIT_CHARGE,
    Effect.EFFECT_LIMIT_DISCHARGE,
    Effect.EFFECT_LIMIT_IMPORT,
)
ZEROING = (Effect.EFFECT_ZERO, Effect.EFFECT_OPEN_REQUEST, Effect.EFFECT_SAFE_STATE)

Fields = dict[str, Any]
Value = float | None


@dataclass
class ModelCause:
    """One cause, and what it last said of a good value."""

    op: CauseOp
    on: float
    off: float
    said: bool = False
    bad: bool = False
    test: bool = False  # what a proof test's value says

    def look(self, value: Value) -> None:
        self.bad = value is None and self.op != CauseOp.CAUSE_BAD
        if self.op == CauseOp.CAUSE_BAD:
            self.said = value is None
        elif value is not None:
            self.said = self.says(value, self.said)

    def try_out(self, value: Value) -> None:
        """Let a proof test's value say what it says, or nothing where there is none."""
        bad = self.op == CauseOp.CAUSE_BAD
        self.test = value is not None and (bad or self.says(value, self.test))

    def says(self, value: float, before: bool) -> bool:
        if self.op == CauseOp.CAUSE_EQUAL:
            return value == self.on
        if self.op == CauseOp.CAUSE_NOT_EQUAL:
            return value != self.on
        if self.op == CauseOp.CAUSE_ABOVE:
            return value > self.on or (before and value > self.off)
        if self.op == CauseOp.CAUSE_BELOW:
            return value < self.on or (before and value < self.off)
        return value < self.on


@dataclass
class ModelRow:
    """One row; delays are counted in scans."""

    row: Fields
    causes: list[ModelCause]
    status: InterlockStatus = LATCHED
    at_start: bool = True
    true_for: int = -1  # scans the cause has held before this one; -1: it does not hold
    gone_for: int = -1
    trips: list[int] = field(default_factory=list)
    counted: int = 0  # trips in the window that a reset has not forgiven
    window_start: int = 0
    locked: bool = False

    def step(self, values: list[Value], scan: int) -> None:
        for cause, value in zip(self.causes, values, strict=True):
            cause.look(value)
        held = self.row["on_bad"] == OnBad.ON_BAD_HOLD
        votes = sum(
            cause.test or (cause.said if not cause.bad or held else True) for cause in self.causes
        )
        cause_stands = votes >= self.row["vote"]
        self.true_for = self.true_for + 1 if cause_stands else -1
        confirmed = self.true_for >= self.row["on_scans"]
        standing = self.status in (TRIPPED, LATCHED)
        if confirmed and (self.at_start or not standing):
            self.trip(scan)
        if confirmed:
            self.status = TRIPPED
        elif standing and cause_stands:
            self.status = LATCHED
        elif standing:
            self.gone_for += 1
            if self.gone_for < self.row["off_scans"] or self.waits_for_a_person():
                self.status = LATCHED
            else:
                self.status, self.at_start = CLEAR, False
        else:
            self.status = PENDING if cause_stands else CLEAR
        if cause_stands or self.status == CLEAR:
            self.gone_for = -1

    def waits_for_a_person(self) -> bool:
        reset = self.row["reset"]
        if reset == Reset.RESET_AUTO:
            return self.locked
        return not (reset == Reset.RESET_RESTART and self.at_start)

    def trip(self, scan: int) -> None:
        self.trips.append(scan)
        self.at_start = False
        if self.counted == 0 or scan - self.window_start > self.row["window_scans"]:
            self.counted, self.window_start = 0, scan
        self.counted += 1
        self.locked = self.locked or self.counted >= self.row["lockout_trips"]

    def operator_reset(self) -> None:
        may = self.row["reset"] == Reset.RESET_OPERATOR or (
            self.row["reset"] == Reset.RESET_AUTO and self.locked
        )
        if may and self.status == LATCHED and self.true_for < 0:
            self.status, self.at_start = CLEAR, False
            self.locked, self.counted, self.gone_for = False, 0, -1

    def contradicts(self) -> bool:
        """Causes that can be read say different things."""
        return len({cause.said for cause in self.causes if not cause.bad}) > 1

    @property
    def standing(self) -> bool:
        return self.status in (TRIPPED, LATCHED)


def model_rows(table: list[Fields]) -> list[ModelRow]:
    """The same rows as build makes them."""
    return [
        ModelRow(row, [ModelCause(c["op"], c["on"], c["off"]) for c in row["own"]]) for row in table
    ]


values = st.one_of(st.none(), st.integers(-3, 3).map(float))
causes = st.builds(
    lambda op, low, gap: {
        "op": op,
        "on": float(low - gap if op == CauseOp.CAUSE_BELOW else low),
        "off": float(low if op == CauseOp.CAUSE_BELOW else low - gap),
    },
    st.sampled_from(list(CauseOp)),
    st.integers(-2, 2),
    st.integers(0, 2),
)
table_rows = st.builds(
    lambda own, vote, **fields: {**fields, "own": own, "vote": min(vote, len(own))},
    st.lists(causes, min_size=1, max_size=3),
    st.integers(1, 3),
    on_bad=st.sampled_from(list(OnBad)),
    reset=st.sampled_from(list(Reset)),
    on_scans=st.integers(0, 3),
    off_scans=st.integers(0, 3),
    lockout_trips=st.integers(1, 4),
    window_scans=st.integers(0, 12),
    discrepancy_scans=st.integers(0, 3),
    group=st.integers(0, 1),
    bypassable=st.booleans(),
    effect=st.sampled_from([e for e in Effect if e not in LIMITS]),
    value=st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 3.0]),
    target=st.integers(-1, STORAGES - 1),
)
limit_rows = st.builds(
    lambda row, on, effect: (
        row
        | {"own": [{"op": CauseOp.CAUSE_LIMIT, "on": on, "off": on}], "vote": 1, "effect": effect}
    ),
    table_rows,
    st.integers(-2, 2).map(float),
    st.sampled_from(LIMITS),
)


def build(table: list[Fields]) -> InterlockBench:
    """The kernel's table of the same rows; cause k watches point k."""
    own = [cause for row in table for cause in row["own"]]
    first = [sum(len(row["own"]) for row in table[:at]) for at in range(len(table))]
    interlocks = [
        {
            "first_cause": first[at], "causes": len(row["own"]), "vote": row["vote"],
            "first_effect": at, "on_bad": row["on_bad"], "reset": row["reset"],
            "on_delay_ns": row["on_scans"] * DT_NS, "off_delay_ns": row["off_scans"] * DT_NS,
            "lockout_trips": row["lockout_trips"],
            "lockout_window_ns": row["window_scans"] * DT_NS,
            "discrepancy_ns": row["discrepancy_scans"] * DT_NS, "group": row["group"],
            "bypassable": row["bypassable"],
        }
        for at, row in enumerate(table)
    ]  # fmt: skip
    return InterlockBench(
        rows("InterlockRow", *interlocks),
        rows("CauseRow", *({"point": at} | cause for at, cause in enumerate(own))),
        rows(
            "EffectRow",
            *({each: row[each] for each in ("effect", "value", "target")} for row in table),
        ),
        len(own),
        STORAGES,
    )
