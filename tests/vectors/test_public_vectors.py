"""Worked examples of others and of our methods, through the kernel's own doors."""

import pytest

from edgectl._kernel.carbon import FlowBench
from edgectl._kernel.totalizer import accumulate

S = 1_000_000_000
KWH_MJ = 3_600_000_000
BATTERY = 3  # as a source, after grid, PV and unmetered


def test_sci_one_second_end_to_end() -> None:
    """Impact Framework manifest pipelines/sci.yaml, child-1, first second.

    75 W over 8 cores, 2 of them ours, and 1e-6 kWh of network, at 800 g/kWh:
    6.208333333333333e-06 kWh and 0.004966666666666666 g operational.
    """
    power_w = 75.0 * 2 / 8 + 1e-6 * 3.6e6
    energies, *_ = accumulate([(at * S, power_w) for at in range(1, 5)])
    assert energies[1:] == [22_350] * 3
    assert energies[1] / KWH_MJ == pytest.approx(6.208333333333333e-06, rel=1e-15)
    bench = FlowBench(1, [], [], 0)
    booked_ug = [bench.trace(mj, 0, [mj], [], 800_000)[0][0][0][1] for mj in energies[1:]]
    assert booked_ug[0] == int(0.004966666666666666 * 1e6)
    assert sum(booked_ug) == 14_900, "the third second settles the carried remainders"


def test_storage_example_s1_to_the_microgram() -> None:
    """10 kWh at 400, 5 at 0 and 3 at 200 g/kWh in, 8 kWh out, 95 % either way.

    Stored 17.1 kWh with 4600 g; out 2265.31240382 g; left 8.67894737 kWh with
    2334.68759618 g at the same intensity as before.
    """
    bench = FlowBench(0, [(950_000, 950_000)], [0.0], 0)
    for kwh, mg_per_kwh in ((10, 400_000), (5, 0), (3, 200_000)):
        bench.trace(kwh * KWH_MJ, 0, [], [kwh * KWH_MJ], mg_per_kwh)
    ((energy_mj, carbon_ug, _),) = bench.stocks()
    assert (energy_mj, carbon_ug) == (17_100_000 * 3_600, 4_600_000_000)
    assert carbon_ug * 1e-6 / (energy_mj / KWH_MJ) == pytest.approx(269.00584795, abs=5e-9)

    cells, sources, _, errors = bench.trace(-8 * KWH_MJ, 0, [], [-8 * KWH_MJ], 0)
    delivered_ug = sources[BATTERY][1]
    export = 1
    assert cells[BATTERY][export] == (8 * KWH_MJ, delivered_ug)
    assert delivered_ug == 2_265_312_403
    assert delivered_ug * 1e-6 / 8 == pytest.approx(283.16405048, abs=5e-7)
    ((energy_mj, carbon_ug, shortfall_mj),) = bench.stocks()
    assert energy_mj == -(-8_678_947_368_421 * 3_600 // 1_000_000)
    assert carbon_ug == 4_600_000_000 - 2_265_312_403 == 2_334_687_597
    assert (shortfall_mj, errors) == (0, (0, 0))
