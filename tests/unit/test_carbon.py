"""Flow tracing and the battery's stock: who fed whom, and the carbon that came along."""

import pytest

from edgectl._kernel.carbon import FlowBench

KWH_MJ = 3_600_000_000
GRID, PV, UNMETERED, BATTERY = range(4)  # the kernel's order of sources
LOSSLESS = [(1_000_000, 1_000_000)]


def site(loads: int = 1, batteries: int = 0, energy_j: float = 0.0) -> FlowBench:
    """A site with lossless batteries, each holding energy_j at 1 mg/kWh."""
    return FlowBench(loads, LOSSLESS * batteries, [energy_j] * batteries, 1)


def test_one_source_feeds_every_load_and_all_its_carbon_arrives() -> None:
    cells, sources, _, errors = site(loads=2).trace(
        3 * KWH_MJ, 0, [KWH_MJ, 2 * KWH_MJ], [], 480_000
    )
    assert cells[GRID][:2] == [(KWH_MJ, 480_000_000), (2 * KWH_MJ, 960_000_000)]
    assert sources[GRID] == (3 * KWH_MJ, 1_440_000_000)
    assert errors == (0, 0)


def test_two_sources_are_shared_in_proportion() -> None:
    cells, *_ = site(loads=2).trace(3 * KWH_MJ, KWH_MJ, [2 * KWH_MJ, 2 * KWH_MJ], [], 400_000)
    assert [cell[0] for cell in cells[GRID][:2]] == [KWH_MJ * 3 // 2] * 2
    assert [cell[0] for cell in cells[PV][:2]] == [KWH_MJ // 2] * 2
    assert [cell[1] for cell in cells[PV][:2]] == [0, 0]


def test_what_no_meter_saw_arrive_is_losses_at_the_sources_intensity() -> None:
    cells, _, sinks, _ = site().trace(10 * KWH_MJ, 0, [9 * KWH_MJ], [], 100_000)
    export, losses = 1, 2
    assert (sinks[export], sinks[losses]) == (0, KWH_MJ)
    assert cells[GRID][losses] == (KWH_MJ, 100_000_000)


def test_what_no_meter_saw_leave_is_unmetered_and_carries_the_default() -> None:
    cells, *_ = site().trace(KWH_MJ, 0, [3 * KWH_MJ], [], 100_000, unmetered_mg_per_kwh=700_000)
    assert cells[UNMETERED][0] == (2 * KWH_MJ, 1_400_000_000)


def test_a_load_meter_that_reads_backwards_is_unmetered_and_never_clean() -> None:
    cells, sources, *_ = site().trace(0, 0, [-KWH_MJ], [], 100_000, unmetered_mg_per_kwh=700_000)
    assert sources[UNMETERED] == (KWH_MJ, 700_000_000)
    assert cells[UNMETERED][2] == (KWH_MJ, 700_000_000)


def test_export_takes_its_share_of_every_source() -> None:
    cells, _, sinks, _ = site(1, 1, 3600.0 * 1000 * 10).trace(
        -KWH_MJ, KWH_MJ, [KWH_MJ], [-KWH_MJ], 100_000
    )
    export = 2
    assert sinks[export] == KWH_MJ
    assert [cells[source][export][0] for source in (PV, BATTERY)] == [KWH_MJ // 2] * 2


def test_a_rounding_error_of_one_millijoule_is_nobodys() -> None:
    cells, sources, sinks, errors = site(loads=3).trace(10, 7, [5, 5, 7], [], 333_333)
    for source, (energy_mj, carbon_ug) in enumerate(sources):
        assert sum(cell[0] for cell in cells[source]) == energy_mj
        assert sum(cell[1] for cell in cells[source]) == carbon_ug
    for sink, energy_mj in enumerate(sinks):
        assert sum(row[sink][0] for row in cells) == energy_mj
    assert errors == (0, 0)


def test_the_carbon_of_many_small_scans_is_that_of_one_large() -> None:
    bench = site()
    small_ug = sum(bench.trace(7, 0, [7], [], 123_457)[1][GRID][1] for _ in range(10_000))
    large_ug = site().trace(70_000, 0, [70_000], [], 123_457)[1][GRID][1]
    assert small_ug == large_ug == 70_000 * 123_457 // 3_600_000


def test_a_battery_passes_on_the_carbon_it_was_charged_with() -> None:
    bench = site(1, 1)
    bench.trace(2 * KWH_MJ, 0, [0], [2 * KWH_MJ], 500_000)
    assert bench.stocks() == [(2 * KWH_MJ, 1_000_000_000, 0)]
    cells, *_ = bench.trace(0, 0, [KWH_MJ], [-KWH_MJ], 0)
    assert cells[BATTERY][0] == (KWH_MJ, 500_000_000)
    assert bench.stocks() == [(KWH_MJ, 500_000_000, 0)]


def test_charging_loss_leaves_its_carbon_with_what_is_stored() -> None:
    bench = FlowBench(0, [(900_000, 1_000_000)], [0.0], 0)
    bench.trace(KWH_MJ, 0, [], [KWH_MJ], 300_000)
    assert bench.stocks() == [(KWH_MJ * 9 // 10, 300_000_000, 0)]


def test_discharging_beyond_the_stock_carries_the_default_and_is_counted() -> None:
    bench = site(1, 1)
    bench.trace(KWH_MJ, 0, [0], [KWH_MJ], 100_000)
    cells, *_ = bench.trace(0, 0, [3 * KWH_MJ], [-3 * KWH_MJ], 0, unmetered_mg_per_kwh=700_000)
    assert cells[BATTERY][0] == (3 * KWH_MJ, 100_000_000 + 1_400_000_000)
    assert bench.stocks() == [(0, 0, 2 * KWH_MJ)]


def test_a_declared_stock_starts_with_the_declared_intensity() -> None:
    bench = FlowBench(0, LOSSLESS, [3600.0 * 1000 * 5], 480_000)
    assert bench.stocks() == [(5 * KWH_MJ, 2_400_000_000, 0)]


@pytest.mark.parametrize("energy_j", [-1.0, 0.0, float("nan")])
def test_a_stock_that_cannot_be_declared_is_empty(energy_j: float) -> None:
    assert FlowBench(0, LOSSLESS, [energy_j], 480_000).stocks() == [(0, 0, 0)]


def test_ten_gigawatts_at_a_kilogram_per_kilowatt_hour_are_exact_over_ten_seconds() -> None:
    energy_mj = 10**10 * 10 * 1000
    cells, _, _, errors = site().trace(energy_mj, 0, [energy_mj], [], 1_000_000)
    assert cells[GRID][0] == (energy_mj, energy_mj * 1_000_000 // 3_600_000)
    assert errors == (0, 0)
