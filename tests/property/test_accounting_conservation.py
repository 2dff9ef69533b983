"""Conservation: whatever the network, the parts add up to the totals, exactly.

The oracle solves the whole nodal matrix in fractions and knows nothing of orders or rings.
"""

from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from edgectl.accounting.apportion import (
    CarbonCarry,
    largest_remainder,
    largest_remainder_table,
)
from edgectl.accounting.network import Line, Network, Sink, Source, averaged, balanced, netted
from edgectl.accounting.tracing import LossRule, Trace, trace
from edgectl.errors import DataError

DEFAULT_MG_PER_KWH = 480_000
Amounts = st.one_of(st.integers(0, 5), st.integers(0, 10**13))


@st.composite
def networks(draw: st.DrawFn, *, rings: bool) -> Network:
    """Any network: sources and sinks anywhere, lines along the order of buses or also against."""
    buses = tuple(f"B{at}" for at in range(draw(st.integers(1, 6))))
    place = st.sampled_from(buses)
    sources = tuple(
        Source(f"S{at}", draw(place), energy, draw(Amounts) if energy else 0)
        for at, energy in enumerate(draw(st.lists(Amounts, max_size=5)))
    )
    sinks = tuple(
        Sink(f"L{at}", draw(place), energy)
        for at, energy in enumerate(draw(st.lists(Amounts, max_size=5)))
    )
    lines = []
    pairs = [(a, b) for a in range(len(buses)) for b in range(len(buses)) if a != b]
    for a, b in draw(st.lists(st.sampled_from(pairs), max_size=8)) if pairs else []:
        sent = draw(Amounts)
        received = sent - draw(st.integers(0, sent // 10))
        start, end = (a, b) if rings else (min(a, b), max(a, b))
        lines.append(Line(buses[start], buses[end], sent, received))
    return Network(buses, sources, sinks, tuple(lines))


def traced(network: Network, rule: LossRule) -> Trace:
    """A ring that nothing leaves is refused: no such network has an answer."""
    try:
        return trace(network, rule)
    except DataError as error:
        assume("goes round" not in error.problem)
        raise


def oracle(network: Network, rule: LossRule) -> list[list[Fraction]]:
    """[source][sink] by one dense solve of (I - C) T = G, sinks of losses left out."""
    size = len(network.buses)
    at = {bus: place for place, bus in enumerate(network.buses)}
    out = [network.outflow_mj(bus) for bus in network.buses]
    matrix = [[Fraction(row == column) for column in range(size)] for row in range(size)]
    for line in network.lines:
        amount = line.received_mj if rule is LossRule.SEPARATE else line.sent_mj
        if amount:
            share = Fraction(amount, out[at[line.from_bus]])
            matrix[at[line.to_bus]][at[line.from_bus]] -= share
    inverse = inverted(matrix)
    return [
        [
            source.energy_mj
            * inverse[at[sink.bus]][at[source.bus]]
            * Fraction(sink.energy_mj, out[at[sink.bus]] or 1)
            for sink in network.sinks
        ]
        for source in network.sources
    ]


def inverted(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Gauss-Jordan with a search for pivots."""
    size = len(matrix)
    rows = [[*row, *(Fraction(at == to) for to in range(size))] for at, row in enumerate(matrix)]
    for column in range(size):
        pivot = next((at for at in range(column, size) if rows[at][column]), None)
        assume(pivot is not None)
        assert pivot is not None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [each / rows[column][column] for each in rows[column]]
        for at in range(size):
            if at != column and rows[at][column]:
                factor = rows[at][column]
                rows[at] = [a - factor * b for a, b in zip(rows[at], rows[column], strict=True)]
    return [row[size:] for row in rows]


@pytest.mark.parametrize("rings", [False, True])
@given(data=st.data())
def test_tracing_conservation_is_exact_in_rows_and_columns(
    rings: bool, data: st.DataObject
) -> None:
    network = balanced(data.draw(networks(rings=rings)), DEFAULT_MG_PER_KWH)
    found = traced(network, LossRule.SEPARATE)
    for at, source in enumerate(network.sources):
        assert sum(found.energy_mj[at]) == source.energy_mj
        assert sum(found.carbon_ug[at]) == source.carbon_ug
    for sink in network.sinks:
        assert found.energy_of_mj(sink.id) == sink.energy_mj
    lost = sum(line.sent_mj - line.received_mj for line in network.lines)
    behind = found.sinks[len(network.sinks) :]
    assert sum(found.energy_of_mj(each) for each in behind) == lost
    assert all(cell >= 0 for row in [*found.energy_mj, *found.carbon_ug] for cell in row)


@pytest.mark.parametrize("rule", [LossRule.SEPARATE, LossRule.TO_LOADS])
@given(data=st.data())
def test_conservation_the_oracle_in_fractions_finds_no_difference(
    rule: LossRule, data: st.DataObject
) -> None:
    network = balanced(data.draw(networks(rings=True)), DEFAULT_MG_PER_KWH)
    found, exact = traced(network, rule), oracle(network, rule)
    sinks = len(network.sinks)
    assert [row[:sinks] for row in found.exact_mj] == exact, "error 0 before rounding"
    for at, row in enumerate(found.exact_mj):
        for whole, part in zip(found.energy_mj[at], row, strict=True):
            assert part - 1 < whole < part + 1, "one of the two whole numbers beside it"
        assert found.carbon_ug[at] == largest_remainder(network.sources[at].carbon_ug, row)
        if rule is LossRule.TO_LOADS:
            assert found.energy_mj[at] == largest_remainder(network.sources[at].energy_mj, row)
    if rule is LossRule.SEPARATE:
        assert found.energy_mj == largest_remainder_table(found.exact_mj)


@given(network=networks(rings=True))
def test_conservation_of_net_flows_meets_every_load_and_every_source(network: Network) -> None:
    network = balanced(network, DEFAULT_MG_PER_KWH)
    found = traced(network, LossRule.TO_SOURCES)
    for at, source in enumerate(network.sources):
        assert sum(found.energy_mj[at]) == source.energy_mj
        assert sum(found.carbon_ug[at]) == source.carbon_ug
    for sink in network.sinks:
        assert found.energy_of_mj(sink.id) == sink.energy_mj
    assert all(cell >= 0 for row in found.energy_mj for cell in row)


@given(network=networks(rings=True))
def test_conservation_holds_when_opposite_lines_are_netted(network: Network) -> None:
    before, after = balanced(network, 0), balanced(netted(network), 0)
    assert [each.energy_mj for each in before.sources] == [each.energy_mj for each in after.sources]
    assert [each.energy_mj for each in before.sinks] == [each.energy_mj for each in after.sinks]


@given(network=networks(rings=False))
def test_averaged_networks_balance_and_lose_nothing_on_lines(network: Network) -> None:
    lossless = averaged(balanced(network, DEFAULT_MG_PER_KWH))
    assert all(line.sent_mj == line.received_mj for line in lossless.lines)
    found = traced(lossless, LossRule.SEPARATE)
    assert sum(map(sum, found.energy_mj)) == sum(each.energy_mj for each in lossless.sources)


@given(total=st.integers(0, 10**15), weights=st.lists(st.integers(0, 10**9), max_size=12))
@example(total=3, weights=[1, 1])
def test_conservation_largest_remainder_is_exact_and_within_one(
    total: int, weights: list[int]
) -> None:
    assume(any(weights))
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    exact = [Fraction(total * each, sum(weights)) for each in weights]
    assert all(abs(part - each) < 1 for part, each in zip(parts, exact, strict=True))
    fractions = sorted(((each - each.__floor__()), -at) for at, each in enumerate(exact))
    raised = [at for at, part in enumerate(parts) if part > exact[at].__floor__()]
    assert sorted(raised) == sorted(-at for _, at in fractions[len(fractions) - len(raised) :])


@st.composite
def tables(draw: st.DrawFn) -> list[list[Fraction]]:
    """Rows and columns with whole sums: made of rotations of fractions between whole cells."""
    rows, columns = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    table = [[Fraction(draw(st.integers(1, 9))) for _ in range(columns)] for _ in range(rows)]
    for _ in range(draw(st.integers(0, 12))):
        a, b = draw(st.permutations(range(rows)))[:2]
        c, d = draw(st.permutations(range(columns)))[:2]
        move = Fraction(draw(st.integers(0, 6)), draw(st.integers(7, 13)))
        if min(table[a][d], table[b][c]) > move:
            table[a][c] += move
            table[b][d] += move
            table[a][d] -= move
            table[b][c] -= move
    return table


@given(table=tables())
def test_conservation_of_a_rounded_table_in_both_directions(table: list[list[Fraction]]) -> None:
    found = largest_remainder_table(table)
    assert [sum(row) for row in found] == [sum(row) for row in table]
    assert [sum(column) for column in zip(*found, strict=True)] == [
        sum(column) for column in zip(*table, strict=True)
    ]
    for row, exact in zip(found, table, strict=True):
        for whole, part in zip(row, exact, strict=True):
            assert whole in (part.__floor__(), part.__ceil__())


@given(bookings=st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 2_000_000))))
def test_conservation_of_carried_carbon_is_never_a_microgram_off(
    bookings: list[tuple[int, int]],
) -> None:
    carry = CarbonCarry()
    booked, exact = 0, Fraction(0)
    for energy_mj, mg_per_kwh in bookings:
        booked += carry.book_ug(energy_mj, mg_per_kwh)
        exact += Fraction(energy_mj * mg_per_kwh, 3_600_000)
        assert 0 <= exact - booked < 1
    assert exact - booked == Fraction(carry.remainder, 3_600_000)
