"""Each cause with a point that cannot be believed: what the row says about bad quality holds."""

import math
from collections.abc import Iterator

import pytest
from cause_rig import CLEAR, FLOATS, TRIPPED, Register, Rig, compiled
from cause_states import bad_code, can_be_out_of_range, helpers, make, quiet, scans
from cause_table import Row, distinct_rows

from edgectl._kernel.quality import Reason
from edgectl.profiles.model import INT64_MAX

NUMBERS = {"nan": math.nan, "infinity": math.inf, "minus_infinity": -math.inf}
BLOCK_WIDE = {
    "stale": Reason.REASON_STALE,
    "communication": Reason.REASON_COMMUNICATION,
    "configuration": Reason.REASON_CONFIGURATION,
}
Case = tuple[Row, int, str]


def kinds(register: Register) -> Iterator[str]:
    """Ways in which a point of this register can be bad."""
    if register.point.type in FLOATS:
        yield from NUMBERS
    if can_be_out_of_range(register):
        yield "out_of_range"
    if register.point.sentinel is not None:
        yield "not_implemented"
    if register.point.frozen_after_ns < INT64_MAX:
        yield "frozen"
    yield from BLOCK_WIDE


def cases() -> Iterator[Case]:
    for row in distinct_rows():
        made = compiled(row.site, (row.id,), monitors=False)
        for at, cause in enumerate(made.site.interlocks[0].causes):
            for kind in kinds(made.registers[cause.tag]):
                yield row, at, kind


def named(case: Case) -> str:
    row, at, kind = case
    return f"{row.site}-{row.id}-{at}-{kind}"


CASES = list(cases())


def spoil(rig: Rig, tag: str, kind: str) -> None:
    """Make a point bad; the last scan is the first in which it is."""
    register = rig.register(tag)
    if kind in NUMBERS:
        rig.show_number(tag, NUMBERS[kind])
    elif kind == "out_of_range":
        rig.show(tag, bad_code(register))
    elif kind == "not_implemented":
        rig.show(tag, register.point.sentinel or 0)
    elif kind == "frozen":
        code, _ = rig.moving[tag]
        rig.show(tag, code)
        rig.step()
        rig.step(register.point.frozen_after_ns)
    elif kind == "configuration":
        rig.fault(tag, Reason.REASON_CONFIGURATION)
    elif kind == "communication":
        rig.fault(tag, Reason.REASON_COMMUNICATION)
        rig.step(register.point.stale_after_ns)
    else:
        rig.silence(tag)
        rig.step(register.point.stale_after_ns)
    rig.step(1 if kind in ("stale", "communication") else None)


def lost_with(rig: Rig, row: Row, at: int, kind: str) -> set[int]:
    """Places of the causes that are bad together with one: a reply carries several points."""
    if kind not in BLOCK_WIDE:
        return {at}
    tags = rig.with_tag(row.causes[at].tag, (each.tag for each in row.causes))
    return {place for place, each in enumerate(row.causes) if each.tag in tags}


def expected(row: Row, lost: set[int], true: set[int], before: bool) -> bool:
    """By the words of the row: a bad cause counts under trip, else as it last said."""
    says: dict[int, bool | None] = {}
    for at, cause in enumerate(row.causes):
        if at not in lost:
            says[at] = at in true
        elif cause.op == "bad":
            says[at] = True
        else:
            says[at] = None if row.on_bad == "trip" else before
    return row.votes(says)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_point_that_turns_bad_trips_or_holds_as_the_row_says(case: Case) -> None:
    row, at, kind = case
    rig = quiet(row)
    lost = lost_with(rig, row, at, kind)
    true = set(helpers(row, lost))
    for each in true:
        make(rig, row.causes[each], True)
    rig.step()
    assert rig.status(row) is not TRIPPED
    spoil(rig, row.causes[at].tag, kind)
    rig.run(scans(rig, row.on_delay_ms))
    trips = expected(row, lost, true, before=False)
    assert rig.state(row)["cause"] == trips
    assert rig.status(row) is (TRIPPED if trips else CLEAR)


@pytest.mark.parametrize("case", [c for c in CASES if c[0].causes[c[1]].op != "bad"], ids=named)
def test_a_trip_stands_when_the_point_behind_it_turns_bad(case: Case) -> None:
    row, at, kind = case
    rig = quiet(row)
    for each in row.causes:
        make(rig, each, True)
    rig.step()
    rig.run(scans(rig, row.on_delay_ms))
    assert rig.status(row) is TRIPPED
    spoil(rig, row.causes[at].tag, kind)
    assert rig.status(row) is TRIPPED
    assert rig.state(row)["cause"]


@pytest.mark.parametrize(
    "case", [each for each in CASES if each[2] in ("stale", "communication")], ids=named
)
def test_one_lost_reply_is_no_lost_value_until_its_limit_to_the_nanosecond(case: Case) -> None:
    row, at, kind = case
    rig = quiet(row)
    tag = row.causes[at].tag
    if kind == "stale":
        rig.silence(tag)
    else:
        rig.fault(tag, Reason.REASON_COMMUNICATION)
    rig.step(rig.register(tag).point.stale_after_ns)
    assert not rig.state(row)["cause"], "as old as it may be, and not older"
    rig.step(1)
    lost = lost_with(rig, row, at, kind)
    assert rig.state(row)["cause"] == expected(row, lost, set(), before=False)


@pytest.mark.parametrize(
    "row", [r for r in distinct_rows() if r.vote > 1 and r.on_bad == "trip"], ids=lambda r: r.id
)
def test_a_vote_degrades_with_each_point_that_is_lost(row: Row) -> None:
    rig = quiet(row)
    for lost, cause in enumerate(row.causes, start=1):
        spoil(rig, cause.tag, "out_of_range") if can_be_out_of_range(
            rig.register(cause.tag)
        ) else spoil(rig, cause.tag, "stale")
        bad = sum(
            rig.kernel.sample(rig.made.tables.point_index[rig.tags[each.tag]])[1] == 0
            for each in row.causes
        )
        assert bad >= lost
        rig.run(scans(rig, row.on_delay_ms))
        assert rig.state(row)["cause"] == (bad >= row.vote)
