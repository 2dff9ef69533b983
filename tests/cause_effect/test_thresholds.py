"""Each cause at its thresholds: one step of its register under, on, and over."""

from collections.abc import Iterator

import pytest
from cause_rig import CLEAR, TRIPPED, Register, Rig, compiled
from cause_states import edge, helpers, make, make_all, quiet, says, scans
from cause_table import Cause, Row, distinct_rows

Case = tuple[Row, int, int]


def register_of(row: Row, cause: Cause) -> Register:
    """The register of a cause, for a row alone in its rig."""
    made = compiled(row.site, (row.id,), monitors=False)
    written = [each.tag for each in row.causes]
    here = [each.tag for each in made.site.interlocks[0].causes]
    return made.registers[here[written.index(cause.tag)]]


def cases(which: str) -> Iterator[Case]:
    """Every code a step around a threshold that the register can show as a good value."""
    for row in distinct_rows():
        for at, cause in enumerate(row.causes):
            if cause.op == "bad" or (which == "off" and cause.op not in ("above", "below")):
                continue
            register = register_of(row, cause)
            threshold = cause.on if which == "on" else cause.off
            for step in (-1, 0, 1):
                code = edge(register, cause, threshold) + step * register.up
                if cause.op in ("equals", "not_equals"):
                    low, high = sorted(register.value(each) for each in register.codes)
                    if not low <= threshold + step <= high:
                        continue
                    code = register.at_most(threshold + step)
                if register.shows(code):
                    yield row, at, code


def named(case: Case) -> str:
    row, at, code = case
    return f"{row.site}-{row.id}-{at}-{code}"


def arranged(row: Row, at: int) -> Rig:
    """The row is clear and one vote short: what this cause says decides."""
    rig = quiet(row)
    for each in helpers(row, {at}):
        make(rig, row.causes[each], True)
    rig.run(2 + scans(rig, row.on_delay_ms))
    assert rig.status(row) is CLEAR
    return rig


@pytest.mark.parametrize("case", list(cases("on")), ids=named)
def test_a_row_trips_on_the_first_step_over_its_threshold_and_on_none_before(case: Case) -> None:
    row, at, code = case
    rig = arranged(row, at)
    register = rig.register(row.causes[at].tag)
    true = says(row.causes[at], register.value(code))
    away = register.up if true == (row.causes[at].op == "above") else -register.up
    rig.show(row.causes[at].tag, code, away)
    rig.step()
    rig.run(scans(rig, row.on_delay_ms))
    assert rig.status(row) is (TRIPPED if true else CLEAR)
    assert rig.state(row)["cause"] == true


@pytest.mark.parametrize("case", list(cases("off")), ids=named)
def test_a_cause_is_gone_on_its_reset_threshold_and_not_a_step_before(case: Case) -> None:
    row, at, code = case
    rig = arranged(row, at)
    make(rig, row.causes[at], True)
    rig.step()
    rig.run(scans(rig, row.on_delay_ms))
    assert rig.status(row) is TRIPPED
    rig.show(row.causes[at].tag, code)
    rig.step()
    register = rig.register(row.causes[at].tag)
    assert rig.state(row)["cause"] == says(row.causes[at], register.value(code), before=True)


@pytest.mark.parametrize("row", distinct_rows(), ids=lambda row: f"{row.site}-{row.id}")
def test_a_row_trips_when_all_its_causes_are_true_and_on_no_vote_less(row: Row) -> None:
    rig = quiet(row)
    for at, cause in enumerate(row.causes):
        make(rig, cause, True)
        rig.step()
        rig.run(scans(rig, row.on_delay_ms))
        assert rig.status(row) is (TRIPPED if at + 1 >= row.vote else CLEAR)
    make_all(rig, row, False)
