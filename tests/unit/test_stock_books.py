"""A report over several runs: what batteries hold at its end is what all its accounts make."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from carryover_rig import SECOND, UTC_NS, Runs, both_methods
from event_log import EventLog

from edgectl.controller import stocks
from edgectl.ledger import Ledger
from edgectl.reports.books import Books, read_books
from edgectl.reports.figures import balance_of

pytestmark = pytest.mark.untraced  # thousands of simulated scans

BEGIN_S = UTC_NS // 10**9
NAMES = tuple(each.id for each in both_methods().batteries)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    monkeypatch.setattr(stocks, "log", EventLog())
    made = Runs(tmp_path / "data")
    made.start()
    made.scans(20 * SECOND)
    return made


def books_of(runs: Runs, from_s: int = BEGIN_S) -> Books:
    with Ledger(runs.model.id, runs.data_dir, read_only=True) as ledger:
        return read_books(ledger, from_s, BEGIN_S + 3_600, {})


def stopped(runs: Runs) -> None:
    runs.stop()
    runs.start()


def killed(runs: Runs) -> None:
    runs.kill()
    runs.start()


def cut_off(runs: Runs) -> None:
    runs.keep()
    runs.scans(9 * SECOND)
    runs.kill(power_cut=True)
    runs.start()


def used_in_the_dark(runs: Runs) -> None:
    runs.stop()
    runs.dark(2_500, -9e6, -9e6)
    runs.start()


def charged_in_the_dark(runs: Runs) -> None:
    runs.stop()
    runs.dark(2_500, 9e6, 9e6)
    runs.start()


def exchanged(runs: Runs) -> None:
    runs.stop()
    first, second = runs.model.batteries
    other = replace(first, capacity_j=first.capacity_j * 0.99)
    runs.start(replace(runs.model, batteries=(other, second)))


@pytest.mark.parametrize(
    "restart", [stopped, killed, cut_off, used_in_the_dark, charged_in_the_dark, exchanged]
)
def test_conservation_in_a_report_over_a_restart_is_exact(
    runs: Runs, restart: Callable[[Runs], None]
) -> None:
    restart(runs)
    runs.scans(20 * SECOND)
    runs.stop()
    books = books_of(runs)
    for name in NAMES:
        stock = books.stocks[name]
        assert (stock.end_mj, stock.end_ug) == runs.held()[name][:2]
        assert stock.begin_mj is not None
        assert stock.begin_ug is not None
        assert stock.shortfall_mj == 0
        assert stock.end_mj - stock.begin_mj == stock.change_mj
        assert stock.end_ug - stock.begin_ug == stock.change_ug
        assert stock.change_ug == (
            stock.charged_ug - stock.given_ug - stock.lost_ug + stock.opened_ug
        )
    first = books.stocks[NAMES[0]]
    if restart in (stopped, killed):
        assert (first.true_up_mj, first.lost_ug, first.opened_ug) == (0, 0, 0)
    if restart in (used_in_the_dark, exchanged):
        assert first.lost_ug > 0, "nobody sees it vanish"
        assert first.true_up_mj < 0
    if restart is cut_off:
        assert first.true_up_mj > 0, "it gave what the file still has"
        assert first.opened_ug > 0
    assert runs.verified().restarts_followed == 1


def test_a_period_that_begins_with_a_restart_begins_with_what_was_carried(runs: Runs) -> None:
    runs.stop()
    held = runs.held()
    begin_s = runs.plant.utc_ns // 10**9
    runs.start()
    runs.scans(20 * SECOND)
    runs.stop()
    books = books_of(runs, begin_s)
    for name in NAMES:
        assert (books.stocks[name].begin_mj, books.stocks[name].begin_ug) == held[name][:2]


def test_energy_that_was_lost_in_the_batteries_is_not_less_for_what_was_declared(
    runs: Runs,
) -> None:
    exchanged(runs)
    runs.scans(20 * SECOND)
    runs.stop()
    books = books_of(runs)
    moved_mj = sum(each.charged_mj + each.given_mj for each in books.stocks.values())
    assert 0 < balance_of(books).conversion_mj < moved_mj // 10
