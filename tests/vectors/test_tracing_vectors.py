"""Bialek's four-bus example (IEE Proc.-GTD 143(4) 1996): actual, average, gross, with carbon."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from edgectl.accounting.network import Line, Network, Sink, Source, averaged
from edgectl.accounting.tracing import LossRule, Trace, line_by_source_mj, trace

MWH_MJ = 3_600_000_000_000  # an hour of 1 MW
G_PER_KWH = {"G1": 820, "G2": 24}
DIGITS = 5e-7  # half of the last digit published


@pytest.fixture(scope="module")
def vector(shared: Path) -> dict[str, Any]:
    path = shared / "carbon" / "vectors" / "bialek4.json"
    if not path.is_file():
        pytest.skip(f"BIALEK VECTOR NOT TESTED: {path} is missing")
    return dict(json.loads(path.read_text()))


def network_of(flows: dict[str, Any], lines: list[list[Any]]) -> Network:
    """Of one hour, in mJ; a line has one power, or one at each end."""
    buses = ("1", "2", "3", "4")
    sources = [
        Source(f"G{bus}", bus, mj(power), mj(power) * G_PER_KWH[f"G{bus}"] // 3_600)
        for bus, power in zip(buses, flows["PG"], strict=True)
        if power
    ]
    sinks = [
        Sink(f"L{bus}", bus, mj(power))
        for bus, power in zip(buses, flows["PL"], strict=True)
        if power
    ]
    ends = [Line(str(a), str(b), mj(power[0]), mj(power[-1])) for a, b, *power in lines]
    return Network(buses, tuple(sources), tuple(sinks), tuple(ends))


def mj(power: float) -> int:
    return int(Fraction(str(power)) * MWH_MJ)


def megawatts(traced: Trace, sink: str) -> dict[str, float]:
    return {name: amount / MWH_MJ for name, amount in traced.by_source_mj(sink).items()}


def intensities(traced: Trace) -> list[float]:
    return [float(each) / 1000 for each in traced.intensity_mg_per_kwh.values() if each is not None]


def test_average_flows_reach_loads_and_lines_as_published(vector: dict[str, Any]) -> None:
    expected = vector["average_lossless"]
    network = network_of(expected, expected["lines"])
    traced = trace(network)
    for load, by_source in expected["load_from_gen"].items():
        assert megawatts(traced, load) == pytest.approx(by_source, abs=DIGITS)
    (line,) = [each for each in network.lines if (each.from_bus, each.to_bus) == ("4", "3")]
    found = {name: float(each / MWH_MJ) for name, each in line_by_source_mj(network, line).items()}
    assert found == pytest.approx(expected["line_4_3_from"], abs=DIGITS)


def test_average_carbon_closes_to_the_microgram(vector: dict[str, Any]) -> None:
    flows = vector["average_lossless"]
    expected = vector["carbon_with_EF_G1_820_G2_24_g_per_kWh"]
    traced = trace(network_of(flows, flows["lines"]))
    assert intensities(traced) == pytest.approx(expected["average_lossless_nodal_CI"], abs=DIGITS)
    total_ug = sum(map(sum, traced.carbon_ug))
    assert total_ug == int(expected["total_g_per_h_times_1000"] * 1000) * 1_000_000


def test_our_averaging_of_the_actual_flows_is_the_published_network(
    vector: dict[str, Any],
) -> None:
    flows = vector["average_lossless"]
    actual = network_of(vector["actual"], vector["actual"]["lines"])
    assert averaged(actual) == network_of(flows, flows["lines"])


def test_actual_flows_keep_losses_in_an_account_of_their_own(vector: dict[str, Any]) -> None:
    expected = vector["carbon_with_EF_G1_820_G2_24_g_per_kWh"]
    traced = trace(network_of(vector["actual"], vector["actual"]["lines"]))
    assert intensities(traced) == pytest.approx(expected["losses_separate_nodal_CI"], abs=DIGITS)
    loads_kg = [traced.carbon_of_ug(load) / 1e9 for load in ("L3", "L4")]
    assert loads_kg == pytest.approx(expected["load_carbon"], abs=DIGITS)
    losses = [each for each in traced.sinks if each.startswith("losses")]
    assert sum(map(traced.energy_of_mj, losses)) == vector["actual"]["losses_MW"] * MWH_MJ
    lost_kg = sum(map(traced.carbon_of_ug, losses)) / 1e9
    assert lost_kg == pytest.approx(expected["loss_carbon"], abs=DIGITS)
    assert sum(map(sum, traced.carbon_ug)) == int(expected["generation_carbon"]) * 10**9


def test_gross_flows_give_each_load_its_losses(vector: dict[str, Any]) -> None:
    expected = vector["gross_sending_shares"]
    traced = trace(network_of(vector["actual"], vector["actual"]["lines"]), LossRule.TO_LOADS)
    metered = dict(zip(("L3", "L4"), vector["actual"]["PL"][2:], strict=True))
    for load, by_source in expected["load_from_gen"].items():
        assert megawatts(traced, load) == pytest.approx(by_source, abs=DIGITS)
        gross = traced.energy_of_mj(load) / MWH_MJ
        assert gross == pytest.approx(expected["gross_load"][load], abs=DIGITS)
        assert gross - metered[load] == pytest.approx(expected["loss_alloc"][load], abs=DIGITS)
    carbon = vector["carbon_with_EF_G1_820_G2_24_g_per_kWh"]
    assert intensities(traced) == pytest.approx(carbon["losses_to_loads_nodal_CI"], abs=DIGITS)


def test_net_flows_give_each_source_its_losses(vector: dict[str, Any]) -> None:
    """Not in the vector: the balances alone are known, and the loads are met as metered."""
    network = network_of(vector["actual"], vector["actual"]["lines"])
    traced = trace(network, LossRule.TO_SOURCES)
    assert [traced.energy_of_mj(load) for load in ("L3", "L4")] == [300 * MWH_MJ, 200 * MWH_MJ]
    assert traced.energy_of_mj("losses") == vector["actual"]["losses_MW"] * MWH_MJ
    assert [sum(row) for row in traced.energy_mj] == [400 * MWH_MJ, 114 * MWH_MJ]
