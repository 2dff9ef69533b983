"""The ledger's rows as intervals: sums to the last unit, and what is missing said so."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from edgectl.accounting.bounds import MeterUncertainty, period_bounds
from edgectl.accounting.gaps import Grade
from edgectl.accounting.period import Interval, intervals
from edgectl.errors import DataError
from edgectl.ledger import Kind


@dataclass(frozen=True)
class LedgerRow:
    """As Ledger.rows gives them."""

    kind: Kind
    boot_id: int
    utc_s: int
    said: dict[str, Any]

    def content(self) -> dict[str, Any]:
        return self.said


def start(boot_id: int) -> LedgerRow:
    names = {
        "sources": ["grid", "pv"], "sinks": ["IT-A", "HOUSE", "BESS-01", "export", "losses"],
        "storages": ["BESS-01"], "loads": [["IT-A", "it"], ["HOUSE", "aux"]],
    }  # fmt: skip
    return LedgerRow(Kind.START, boot_id, 0, names)


def second(boot_id: int, at_s: int, cells: list[list[int]], **other: int) -> LedgerRow:
    content = {
        "scans": 10, "gap_scans": 0, "cells": cells, "stocks": [[5, 6]], "soc_ratio": [None],
        "carbon_default_scans": 1, "measured": 20, "estimated": 10, "substituted": 0,
        "used_min_mg_per_kwh": 400_000, "used_max_mg_per_kwh": 400_000,
    }  # fmt: skip
    return LedgerRow(Kind.SECOND, boot_id, at_s, {**content, **other})


def test_scans_the_ledger_does_not_have_are_missing_for_every_meter() -> None:
    (interval,) = intervals([start(1), second(1, 0, [], gap_scans=10)], 900)
    assert interval.coverage.counts[Grade.MISSING] == 30
    assert interval.coverage.ratio(Grade.MISSING) == Fraction(1, 2)
    assert not interval.coverage.verifiable


def test_what_was_stored_and_exported_is_not_the_site_s_own_use() -> None:
    cells = [[0, 0, 100, 10], [0, 1, 20, 2], [0, 2, 30, 3], [1, 3, 40, 4], [1, 4, 5, 1]]
    (found,) = intervals([start(1), second(1, 60, cells), LedgerRow(Kind.GAP, 1, 61, {})], 60)
    assert (found.it_mj, found.facility_mj, found.location.ug) == (100, 125, 13)
    assert found.grid_import_mj == 150
    assert found.stocks == {"BESS-01": (5, 6)}


def test_intervals_start_at_multiples_in_utc_and_runs_are_kept_apart() -> None:
    ledger = [
        start(1), second(1, 59, []),
        second(1, 60, [], used_min_mg_per_kwh=300_000), second(1, 119, []),
        start(2), second(2, 119, []),
    ]  # fmt: skip
    found = list(intervals(ledger, 60))
    assert [(each.start_s, each.boot_id, each.seconds) for each in found] == [
        (0, 1, 1), (60, 1, 2), (60, 2, 1),
    ]  # fmt: skip
    assert found[1].factor_mg_per_kwh == (300_000, 400_000)
    assert found[1].default_scans == 2


@pytest.mark.parametrize("length_s", [0, 7, 7_200])
def test_an_interval_that_does_not_divide_the_hour_is_refused(length_s: int) -> None:
    with pytest.raises(ValueError, match="does not divide the hour"):
        list(intervals([], length_s))


def test_a_second_of_a_run_that_never_started_is_refused() -> None:
    with pytest.raises(ValueError, match="never started"):
        list(intervals([second(3, 0, [])], 60))


def test_nothing_measured_is_no_coverage() -> None:
    empty = Interval(0, 60, 1, *(next(intervals([start(1), second(1, 0, [])], 60)).names, {}))
    assert not empty.coverage.verifiable


def test_every_figure_of_a_period_has_a_bound() -> None:
    cells = [[0, 0, 1_000_000, 500], [0, 1, 300_000, 150]]
    rows = [second(1, at, cells, measured=30, estimated=0) for at in (0, 60)]
    listed = list(intervals([start(1), *rows], 60))
    found = period_bounds(listed, MeterUncertainty(0.004, 0.1))
    assert (found.it_mj.value, found.it_mj.u) == (2e6, pytest.approx(0.004 * 2e6))
    assert found.pue.value == pytest.approx(1.3)
    assert found.pue.u == pytest.approx(1.3 * 0.004 * 2**0.5)
    assert found.location_ug.u == pytest.approx(1_300 * (0.004**2 + 0.1**2) ** 0.5, rel=1e-3)
    assert found.cue.value == pytest.approx(1_300 / 2e6 * 3.6)


def test_what_was_not_measured_widens_the_bound() -> None:
    cells = [[0, 0, 1_000_000, 500]]
    (interval,) = intervals([start(1), second(1, 0, cells)], 60)
    found = period_bounds([interval], MeterUncertainty(0.004, 0.1))
    assert found.it_mj.u == pytest.approx(1e6 * (0.004**2 + (1 / 3) ** 2 / 3) ** 0.5)


def test_a_period_without_it_energy_has_no_figures() -> None:
    (interval,) = intervals([start(1), second(1, 0, [])], 60)
    with pytest.raises(DataError, match="0 mJ of IT energy"):
        period_bounds([interval], MeterUncertainty(0.004, 0.1))
