"""Flow tracing: every row, every column and every microgram adds up, for any flows."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from edgectl._kernel.carbon import FlowBench

LOADS, STORAGES = 3, 2
FIRST_STORAGE = 3  # as a source, after grid, PV and unmetered
SOURCES = FIRST_STORAGE + STORAGES
MJ_MG_PER_UG = 3_600_000

amounts = st.one_of(st.integers(-50, 50), st.integers(-(10**14), 10**14))
intensities = st.integers(0, 2_000_000)
scans = st.lists(
    st.tuples(
        amounts,
        amounts,
        st.lists(amounts, min_size=LOADS, max_size=LOADS),
        st.lists(amounts, min_size=STORAGES, max_size=STORAGES),
        intensities,
        intensities,
        intensities,
    ),
    min_size=1,
    max_size=12,
)
efficiencies = st.lists(
    st.tuples(st.integers(500_000, 1_000_000), st.integers(500_000, 1_000_000)),
    min_size=STORAGES,
    max_size=STORAGES,
)
Scan = tuple[int, int, list[int], list[int], int, int, int]


def whole(limbs: tuple[int, int]) -> int:
    """A two-limb lifetime total as one integer of thousandths."""
    return limbs[0] * 1000 + limbs[1]


@given(scans=scans, efficiencies=efficiencies)
def test_rows_columns_and_lifetimes_are_exact_for_any_flows(
    scans: list[Scan], efficiencies: list[tuple[int, int]]
) -> None:
    bench = FlowBench(LOADS, efficiencies, [1e6, 0.0], 400_000)
    lifetime: dict[tuple[int, int], list[int]] = {}
    for scan in scans:
        cells, sources, sinks, errors = bench.trace(*scan)
        assert errors == (0, 0)
        assert sum(source[0] for source in sources) == sum(sinks)
        for at, row in enumerate(cells):
            assert sum(cell[0] for cell in row) == sources[at][0]
            assert sum(cell[1] for cell in row) == sources[at][1]
            for sink, (energy_mj, carbon_ug) in enumerate(row):
                assert energy_mj >= 0
                assert carbon_ug >= 0
                total = lifetime.setdefault((at, sink), [0, 0])
                total[0] += energy_mj
                total[1] += carbon_ug
        for sink, energy_mj in enumerate(sinks):
            assert sum(row[sink][0] for row in cells) == energy_mj
    for (source, sink), (energy_mj, carbon_ug) in lifetime.items():
        energy, carbon = bench.totals_of(source, sink)
        assert (whole(energy), whole(carbon)) == (energy_mj, carbon_ug)


@given(scans=scans)
def test_each_cell_is_the_proportional_share_to_a_millijoule_a_source(scans: list[Scan]) -> None:
    bench = FlowBench(LOADS, [(1_000_000, 1_000_000)] * STORAGES, [0.0] * STORAGES, 0)
    for scan in scans:
        cells, sources, sinks, _ = bench.trace(*scan)
        through = sum(sinks)
        for at, row in enumerate(cells):
            for sink, (energy_mj, _) in enumerate(row):
                exact = Fraction(sources[at][0] * sinks[sink], through) if through else Fraction(0)
                assert abs(energy_mj - exact) <= SOURCES


@given(scans=scans)
def test_carbon_of_metered_sources_is_energy_times_intensity_with_nothing_lost(
    scans: list[Scan],
) -> None:
    bench = FlowBench(LOADS, [(1_000_000, 1_000_000)] * STORAGES, [0.0] * STORAGES, 0)
    exact, booked = [Fraction(0)] * 3, [0] * 3
    for scan in scans:
        _, sources, _, _ = bench.trace(*scan)
        for at, mg_per_kwh in enumerate(scan[4:]):
            exact[at] += Fraction(sources[at][0] * mg_per_kwh, MJ_MG_PER_UG)
            booked[at] += sources[at][1]
            assert 0 <= exact[at] - booked[at] < 1


@given(scans=scans, efficiencies=efficiencies)
def test_no_carbon_is_made_or_lost_in_a_battery(
    scans: list[Scan], efficiencies: list[tuple[int, int]]
) -> None:
    bench = FlowBench(LOADS, efficiencies, [1e9, 5e8], 400_000)
    held = [stock[1] for stock in bench.stocks()]
    for scan in scans:
        before = bench.stocks()
        cells, sources, _, _ = bench.trace(*scan)
        for k, (energy_mj, carbon_ug, shortfall_mj) in enumerate(bench.stocks()):
            charged_ug = sum(row[LOADS + k][1] for row in cells)
            drawn_ug = sources[FIRST_STORAGE + k][1]
            assert energy_mj >= 0
            if shortfall_mj == before[k][2]:
                held[k] += charged_ug - drawn_ug
                assert carbon_ug == held[k]
            else:
                assert drawn_ug >= held[k], "what the stock held left with the rest"
                held[k] = carbon_ug
