"""Each row's delays, to the scan."""

import pytest
from cause_rig import CLEAR, LATCHED, PENDING, TRIPPED
from cause_states import make, make_all, quiet, scans, trip
from cause_table import Row, distinct_rows

ROWS = distinct_rows()
AROUND = (-1, 0, 1)


def named(row: Row) -> str:
    return f"{row.site}-{row.id}"


@pytest.mark.parametrize("late", AROUND)
@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_row_trips_after_its_on_delay_and_not_a_scan_sooner(row: Row, late: int) -> None:
    rig = quiet(row)
    make_all(rig, row, True)
    after = scans(rig, row.on_delay_ms) + late
    if after < 0:  # the scan before the cause came
        assert rig.status(row) is CLEAR
        return
    rig.step()
    rig.run(after)
    assert rig.status(row) is (PENDING if late < 0 else TRIPPED)
    assert rig.state(row)["trips"] == (late >= 0)
    tripped_scan = rig.state(row)["tripped_scan"]
    assert tripped_scan == (rig.kernel.scans - 1 - late if late >= 0 else -1)


@pytest.mark.parametrize("row", [r for r in ROWS if r.on_delay_ms > 0], ids=named)
def test_a_cause_that_is_gone_a_scan_before_the_delay_is_over_never_trips(row: Row) -> None:
    rig = quiet(row)
    for _ in range(2):
        make_all(rig, row, True)
        rig.step()
        rig.run(scans(rig, row.on_delay_ms) - 1)
        assert rig.status(row) is PENDING
        make_all(rig, row, False)
        rig.step()
        assert rig.status(row) is CLEAR
    assert rig.state(row)["trips"] == 0


@pytest.mark.parametrize("late", AROUND)
@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_row_clears_after_its_off_delay_or_waits_for_a_person(row: Row, late: int) -> None:
    rig = quiet(row)
    trip(rig, row)
    make_all(rig, row, False)
    after = scans(rig, row.off_delay_ms) + late
    if after < 0:  # the last scan of the cause
        assert rig.status(row) is TRIPPED
        return
    rig.step()
    rig.run(after)
    clears = row.reset == "auto" and late >= 0
    assert rig.status(row) is (CLEAR if clears else LATCHED)


@pytest.mark.parametrize("row", [r for r in ROWS if r.off_delay_ms > 0], ids=named)
def test_a_cause_that_comes_again_within_the_off_delay_is_still_the_same_trip(row: Row) -> None:
    rig = quiet(row)
    trip(rig, row)
    make_all(rig, row, False)
    rig.step()
    rig.run(scans(rig, row.off_delay_ms) - 1)
    make_all(rig, row, True)
    rig.step()
    make_all(rig, row, False)
    rig.step()
    rig.run(scans(rig, row.off_delay_ms) - 1)
    assert rig.status(row) is LATCHED, "the off-delay runs from the last scan of the cause"


@pytest.mark.parametrize("late", AROUND)
@pytest.mark.parametrize("row", [r for r in ROWS if r.discrepancy_ms > 0], ids=named)
def test_causes_that_contradict_each_other_are_told_after_their_time(row: Row, late: int) -> None:
    rig = quiet(row)
    make(rig, row.causes[0], True)
    rig.step()
    rig.run(scans(rig, row.discrepancy_ms) + late)
    assert rig.state(row)["discrepant"] == (late >= 0)
    make(rig, row.causes[0], False)
    rig.step()
    assert not rig.state(row)["discrepant"]
