"""Tables of rows with every effect, bypassed, tested, contradicting: what they leave of anything.

Of edgectl._kernel.interlock and edgectl._kernel.dispatch.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from dispatch_site import RATING_W, Site
from hypothesis import given
from hypothesis import strategies as st
from interlock_model import (
    DT_NS,
    LIMITS,
    STORAGES,
    ZEROING,
    Fields,
    ModelRow,
    Value,
    build,
    limit_rows,
    model_rows,
    table_rows,
    values,
)

from edgectl._kernel.authority import AuthorityStatus
from edgectl._kernel.interlock import Effect, InterlockBench, Reset

DONE = AuthorityStatus.AUTHORITY_DONE
tables = st.lists(st.one_of(table_rows, limit_rows), min_size=1, max_size=5)
few = st.integers(0, 4)
acts = st.one_of(
    st.none(),
    st.just(("reset",)),
    st.tuples(st.just("maintenance"), st.integers(0, 8)),
    st.tuples(st.just("bypass"), few, st.integers(0, 6)),
    st.tuples(st.just("inject"), few, st.integers(0, 2), st.integers(-3, 3), st.integers(1, 6)),
)
Act = tuple[Any, ...] | None
Scan = tuple[list[Value], Act]


@dataclass
class Model:
    """The rows, and who has done what to them; times in scans."""

    rows: list[ModelRow]
    scan: int = 0
    maintenance_until: int = 0
    bypass_until: dict[int, int] = field(default_factory=dict)
    injected: dict[tuple[int, int], tuple[float, int]] = field(default_factory=dict)
    contradicting: dict[int, int] = field(default_factory=dict)

    def bypassed(self, at: int) -> bool:
        return self.bypass_until.get(at, 0) > self.scan

    def step(self, readings: list[Value]) -> None:
        """One scan of every row."""
        first = 0
        for at, row in enumerate(self.rows):
            for place, cause in enumerate(row.causes):
                value, until = self.injected.get((at, place), (0.0, 0))
                if self.scan >= min(until, self.maintenance_until):
                    self.injected.pop((at, place), None)
                    cause.try_out(None)
                else:
                    cause.try_out(value)
            row.step(readings[first : first + len(row.causes)], self.scan)
            first += len(row.causes)
            before = self.contradicting.get(at, -1)
            self.contradicting[at] = before + 1 if row.contradicts() else -1

    def discrepant(self) -> int:
        return sum(
            self.contradicting[at] >= row.row["discrepancy_scans"] > 0
            for at, row in enumerate(self.rows)
        )

    def standing(self, storage: int | None = None) -> list[ModelRow]:
        """Rows that act, on a battery or at all."""
        found = [r for at, r in enumerate(self.rows) if r.standing and not self.bypassed(at)]
        return [r for r in found if storage is None or r.row["target"] in (-1, storage)]

    def permit(self, storage: int, readings: list[Value]) -> Fields:
        """What the rows leave of one battery."""
        acting = [r.row for r in self.standing(storage) if r.row["effect"] not in LIMITS]
        effects = [row["effect"] for row in acting]
        ratios = [row["value"] for row in acting if row["effect"] == Effect.EFFECT_DERATE]
        zero = any(each in ZEROING for each in effects)
        charge_w = [0.0] if zero or Effect.EFFECT_INHIBIT_CHARGE in effects else [math.inf]
        discharge_w = [0.0] if zero or Effect.EFFECT_INHIBIT_DISCHARGE in effects else [math.inf]
        charge_w += self.limits(Effect.EFFECT_LIMIT_CHARGE, storage, readings)
        discharge_w += self.limits(Effect.EFFECT_LIMIT_DISCHARGE, storage, readings)
        return {
            "charge_max_w": min(charge_w),
            "discharge_max_w": min(discharge_w),
            "derate_ratio": min([1.0, *ratios]),
            "hold": Effect.EFFECT_HOLD in effects,
            "block_command": Effect.EFFECT_BLOCK_COMMAND in effects,
            "ramp_to_zero": Effect.EFFECT_RAMP_TO_ZERO in effects,
        }

    def limits(self, effect: Effect, storage: int | None, readings: list[Value]) -> list[float]:
        """Values of the limit rows, tripped or not; a bad one is 0, of the import none."""
        found, first = [], 0
        for at, row in enumerate(self.rows):
            value = readings[first]
            first += len(row.causes)
            meant = storage is None or row.row["target"] in (-1, storage)
            if row.row["effect"] != effect or not meant or self.bypassed(at):
                continue
            if value is None and effect == Effect.EFFECT_LIMIT_IMPORT:
                continue
            # the sample keeps its last value when it is bad; a limit is then 0 whatever it was
            limit = 0.0 if value is None else value
            if row.causes[0].test and value is not None:
                limit = min(limit, self.injected[(at, 0)][0])
            found.append(max(limit, 0.0))
        return found

    def site(self, readings: list[Value]) -> Fields:
        """What the rows ask of the site."""
        acting = [(r.row["effect"], r.row["value"], r.at_start) for r in self.standing()]
        tiers = [int(v) for e, v, start in acting if e == Effect.EFFECT_SHED and not start]
        return {
            "shed_tier": max([0, *tiers]),
            "refuse_shed": any(e == Effect.EFFECT_REFUSE_SHED for e, _, _ in acting),
            "open_request": any(e == Effect.EFFECT_OPEN_REQUEST and not s for e, _, s in acting),
            "safe_state": any(e == Effect.EFFECT_SAFE_STATE for e, _, _ in acting),
            "import_max_w": min(
                [math.inf, *self.limits(Effect.EFFECT_LIMIT_IMPORT, None, readings)]
            ),
            "tripped": sum(row.standing for row in self.rows),
            "bypassed": sum(self.bypassed(at) for at in range(len(self.rows))),
            "discrepant": self.discrepant(),
        }

    def act(self, act: Act) -> AuthorityStatus | None:
        """What somebody does after a scan; the answer there must be."""
        if act is None or (act[0] in ("bypass", "inject") and act[1] >= len(self.rows)):
            return None
        if act[0] == "reset":
            for row in self.rows:
                row.operator_reset()
            return None
        if act[0] == "maintenance":
            self.maintenance_until = self.scan + act[1] if act[1] else 0
            return DONE
        return self._bypass(*act[1:]) if act[0] == "bypass" else self._inject(*act[1:])

    def _bypass(self, at: int, scans: int) -> AuthorityStatus:
        group = self.rows[at].row["group"]
        mates = [o for o, r in enumerate(self.rows) if o != at and r.row["group"] == group]
        if scans == 0:
            self.bypass_until.pop(at, None)
            return DONE
        if not self.rows[at].row["bypassable"]:
            return AuthorityStatus.AUTHORITY_NEVER
        if any(self.bypassed(other) for other in mates):
            return AuthorityStatus.AUTHORITY_GROUP_TAKEN
        self.bypass_until[at] = self.scan + scans
        return DONE

    def _inject(self, at: int, cause: int, value: int, scans: int) -> AuthorityStatus:
        if cause >= len(self.rows[at].causes):
            return AuthorityStatus.AUTHORITY_NO_ROW
        if self.scan >= self.maintenance_until:
            return AuthorityStatus.AUTHORITY_NO_MAINTENANCE
        if (at, cause) not in self.injected and len(self.injected) == 8:
            return AuthorityStatus.AUTHORITY_FULL
        self.injected[(at, cause)] = (float(value), self.scan + scans)
        return DONE


def do(kernel: InterlockBench, rows: int, act: Act) -> AuthorityStatus | None:
    """The same act at the kernel's door."""
    if act is None or (act[0] in ("bypass", "inject") and act[1] >= rows):
        return None
    if act[0] == "reset":
        kernel.reset(-1, Reset.RESET_OPERATOR)
        return None
    if act[0] == "maintenance":
        return AuthorityStatus(kernel.maintenance(act[1] * DT_NS))
    if act[0] == "bypass":
        return AuthorityStatus(kernel.bypass(act[1], act[2] * DT_NS))
    return AuthorityStatus(kernel.inject(act[1], act[2], float(act[3]), act[4] * DT_NS))


def drawn(data: st.DataObject, table: list[Fields], most: int = 20) -> list[Scan]:
    points = sum(len(row["own"]) for row in table)
    scan = st.tuples(st.lists(values, min_size=points, max_size=points), acts)
    scans: list[Scan] = data.draw(st.lists(scan, min_size=1, max_size=most))
    return scans


@given(table=tables, data=st.data())
def test_every_effect_bypass_and_proof_test_does_what_the_model_does(
    table: list[Fields], data: st.DataObject
) -> None:
    kernel, model = build(table), Model(model_rows(table))
    for readings, act in drawn(data, table):
        statuses, _, site = kernel.step(readings, DT_NS)
        model.step(readings)
        assert statuses == [row.status for row in model.rows]
        for storage in range(STORAGES):
            expected = model.permit(storage, readings)
            found = kernel.permit(storage)
            assert {name: found[name] for name in expected} == expected
        expected = model.site(readings)
        assert {name: site[name] for name in expected} == expected
        model.scan += 1
        assert do(kernel, len(table), act) == model.act(act)


@given(table=tables, more=st.one_of(table_rows, limit_rows), data=st.data())
def test_a_further_row_never_loosens_anything(
    table: list[Fields], more: Fields, data: st.DataObject
) -> None:
    fewer, all_of_them = build(table), build([*table, more])
    own = len(more["own"])
    for readings, act in drawn(data, [*table, more]):
        _, _, site = fewer.step(readings[:-own], DT_NS)
        _, _, stricter_site = all_of_them.step(readings, DT_NS)
        for storage in range(STORAGES):
            permit, stricter = fewer.permit(storage), all_of_them.permit(storage)
            for name in ("charge_max_w", "discharge_max_w", "derate_ratio"):
                assert stricter[name] <= permit[name]
            for name in ("hold", "block_command", "ramp_to_zero", "effect"):
                assert stricter[name] >= permit[name]
        assert stricter_site["import_max_w"] <= site["import_max_w"]
        for name in ("shed_tier", "refuse_shed", "open_request", "safe_state", "tripped"):
            assert stricter_site[name] >= site[name]
        if act is not None and act[0] in ("reset", "maintenance"):  # a bypass is of one row alone
            do(fewer, len(table), act)
            do(all_of_them, len(table), act)


@given(table=tables, data=st.data())
def test_the_same_scans_give_the_same_answers(table: list[Fields], data: st.DataObject) -> None:
    scans = drawn(data, table)

    def run() -> list[Any]:
        kernel = build(table)
        found: list[Any] = []
        for readings, act in scans:
            found.append(kernel.step(readings, DT_NS))
            found.append([kernel.permit(storage) for storage in range(STORAGES)])
            found.append(do(kernel, len(table), act))
        return [repr(each) for each in found]

    assert run() == run()


requests_w = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 3).map(lambda n: n * RATING_W)
)


@given(table=tables, data=st.data())
def test_no_setpoint_is_ever_outside_what_the_rows_permit(
    table: list[Fields], data: st.DataObject
) -> None:
    kernel = build(table)
    plant = Site(batteries=STORAGES, storage={"ramp_w_per_s": 2e6})
    before_w = [0.0] * STORAGES
    for readings, act in drawn(data, table):
        _, _, site = kernel.step([None if r is None else r for r in readings], DT_NS)
        permits = [kernel.permit(storage) for storage in range(STORAGES)]
        plant.permits = permits
        plant.bench.want(0, data.draw(requests_w), 2, 10 * DT_NS)
        grid_w = data.draw(st.one_of(st.none(), st.integers(-20, 40).map(lambda n: n * 1e5)))
        found = plant.scan(grid_w=grid_w, site=site)
        for at, (permit, (_, setpoint_w, _)) in enumerate(zip(permits, found, strict=True)):
            rating_w = RATING_W * permit["derate_ratio"]
            assert setpoint_w <= min(rating_w, permit["charge_max_w"])
            assert -setpoint_w <= min(rating_w, permit["discharge_max_w"])
            if permit["effect"] >= Effect.EFFECT_ZERO or site["safe_state"]:
                assert setpoint_w == 0.0
            if permit["hold"] or permit["ramp_to_zero"]:
                assert min(before_w[at], 0.0) <= setpoint_w <= max(before_w[at], 0.0)
            before_w[at] = setpoint_w
        do(kernel, len(table), act)
