"""Corrections over booked cells: each metered row and column as its counter says, to the mJ."""

from collections import Counter as Count
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgectl.accounting.corrections import LOSSES, UNMETERED, Correction, Spread, Table
from edgectl.accounting.following import Closed, MarginBook, Second, Shown
from edgectl.accounting.margins import Margin
from edgectl.accounting.registers import Counter

SOURCES = ("grid", "pv", UNMETERED, "BESS-01")
SINKS = ("IT-A", "HOUSE", "BESS-01", "export", LOSSES)
NS_PER_S = 1_000_000_000
CELLS = [(source, sink) for source in SOURCES for sink in SINKS]
METERED = [(each, True) for each in SOURCES if each != UNMETERED]
METERED += [(each, False) for each in SINKS if each != LOSSES]


def margins(cells: dict[tuple[str, str], int]) -> Count[tuple[str, bool]]:
    found = Count[tuple[str, bool]]()
    for (source, sink), amount in cells.items():
        found[source, True] += amount
        found[sink, False] += amount
    return found


@given(
    cells=st.fixed_dictionaries(
        {each: st.tuples(st.integers(0, 10**12), st.integers(0, 10**6)) for each in CELLS}
    ),
    factors=st.fixed_dictionaries(
        {each: st.fractions(0, 2, max_denominator=97) for each in METERED}
    ),
)
def test_conservation_of_every_metered_row_and_column_under_corrections(
    cells: dict[tuple[str, str], tuple[int, int]], factors: dict[tuple[str, bool], Fraction]
) -> None:
    energy_mj = {each: mj for each, (mj, _) in cells.items()}
    carbon_ug = {each: mj * g // 10**6 for each, (mj, g) in cells.items()}
    before = margins(energy_mj)
    deltas = {each: int(before[each] * factor) - before[each] for each, factor in factors.items()}
    table = Table(energy_mj, carbon_ug, 500_000)
    table.correct(deltas)
    after = margins(table.energy_mj)
    for each, delta in deltas.items():
        assert after[each] == before[each] + delta, each
    assert min([0, *table.energy_mj.values()]) == 0, "no cell is negative"
    rows = sum(mj for (_, source), mj in after.items() if source)
    assert rows == sum(mj for (_, source), mj in after.items() if not source)


@given(
    booked=st.lists(st.integers(0, 10**9), min_size=1, max_size=300),
    energy=st.fractions(0, 3, max_denominator=97),
    first=st.integers(0, 59),
    length=st.sampled_from((1, 10, 60, 900)),
    gap=st.none() | st.tuples(st.integers(0, 299), st.integers(0, 299)),
)
def test_conservation_of_a_correction_over_the_intervals_it_is_shared_out_to(
    booked: list[int], energy: Fraction, first: int, length: int, gap: tuple[int, int] | None
) -> None:
    last = first + len(booked) - 1
    gaps: tuple[tuple[int, int, int, int], ...] = ()
    if gap is not None:
        low, high = sorted(min(each, len(booked) - 1) for each in gap)
        gaps = ((first + low, first + high, 3, 8 * (high - low + 1)),)
    gap_mj = sum(booked[low - first] for run in gaps for low in range(run[0], run[1] + 1))
    correction = Correction(
        1, ("IT-A", False), first, last, sum(booked), int(sum(booked) * energy), 7, gaps, gap_mj
    )
    spread, given_mj, moved = Spread([correction], length), 0, 0
    for start in range(0, last + 1, length):
        for at in range(max(start, first), min(start + length, last + 1)):
            spread.second(1, start, at, [("grid", "IT-A", booked[at - first])])
        deltas = spread.end(1, start)
        given_mj += deltas.energy_mj["IT-A", False]
        moved += deltas.moved.total()
        in_it = sum(booked[max(start - first, 0) : max(start + length - first, 0)])
        assert in_it + deltas.energy_mj["IT-A", False] >= -1, "an interval gives only what it has"
    assert given_mj == correction.difference_mj
    assert moved == sum(run[2] + run[3] for run in gaps)


@given(
    powers=st.lists(st.integers(0, 2_000_000), min_size=3, max_size=80),
    start=st.integers(10**10 - 10**8, 10**10 - 1),  # it may roll over
    lost=st.none() | st.tuples(st.integers(1, 78), st.integers(1, 78)),
    step_mj=st.integers(1, 10**6),
)
def test_conservation_of_windows_against_the_counter_over_losses_and_roll_overs(
    powers: list[int], start: int, lost: tuple[int, int] | None, step_mj: int
) -> None:
    counter = Counter("M", Fraction(step_mj), 10**10, 5_000)
    margin = Margin("IT-A", False, 0, 0, ("M.energy_import",), ("M.active_power",), 0.004)
    book = MarginBook(margin, [counter])
    low, high = sorted(lost) if lost else (len(powers), len(powers))
    closed: list[Closed] = []
    total_mj, corrected_mj = start * step_mj, Count[int]()
    for at, power in enumerate(powers):
        away = low <= at < high and at < len(powers) - 1
        booked = 3_000_000 if away else power
        corrected_mj[at] = booked
        total_mj += power
        steps = total_mj // step_mj % counter.modulus
        shown = None if away else [Shown(steps, at * NS_PER_S, 0)]
        found = book.second(Second(at, at, booked, 0, 10 * away), shown)
        closed += found.closed
    closed += book.finish()
    first = start * step_mj + powers[0]
    advanced = total_mj // step_mj * step_mj - first // step_mj * step_mj
    assert sum(each.register_mj for each in closed) == advanced
    assert sum(each.energy_mj for each in closed) == advanced
    for one, other in pairwise(closed):
        assert other.first_s > one.last_s, "no second is corrected twice"
    booked_mj = sum(each.booked_mj for each in closed)
    assert booked_mj == sum(corrected_mj.values()) - corrected_mj[0] or not closed
