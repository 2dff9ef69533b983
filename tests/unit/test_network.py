"""edgectl._kernel.network behind its books: who feeds whom behind which feeder."""

from pathlib import Path

import pytest

from edgectl._kernel.carbon import FlowBench
from edgectl.cli.check import check
from edgectl.errors import SiteFileError
from edgectl.site_model import compile_tables, parse_site
from edgectl.site_model.model import Site

GRID, PV, UNMETERED, BATTERY = range(4)
IT_A, IT_B, EXPORT, LOSSES = range(4)
TREE = [(0, 1, False)]
MG_PER_KWH = 3_600_000  # 1 ug a mJ: figures that are seen to be right


def two_buses(feeders: list[tuple[int, int, bool]] = TREE, buses: int = 2) -> FlowBench:
    """IT-A and PV stand at bus 1, IT-B at the grid's."""
    return FlowBench(2, [], [], 0, buses=buses, meter_buses=[0, 1, 0, 1], feeders=feeders)


def column(cells: list[list[tuple[int, int]]], sink: int) -> list[int]:
    """What one sink got from each source, mJ."""
    return [row[sink][0] for row in cells]


def test_pv_behind_a_feeder_feeds_first_what_stands_behind_it() -> None:
    cells, sources, _, errors = two_buses().trace(60, 40, [60, 40], [], MG_PER_KWH)
    assert column(cells, IT_A) == [20, 40, 0]
    assert column(cells, IT_B) == [40, 0, 0]
    assert (cells[GRID][IT_A][1], cells[GRID][IT_B][1]) == (20, 40), "carbon follows"
    assert sources[GRID] == (60, 60)
    assert errors == (0, 0)


def test_pv_that_is_more_than_its_bus_needs_flows_up_to_the_others_and_out() -> None:
    cells, *_ = two_buses().trace(-10, 110, [60, 40], [], MG_PER_KWH)
    assert column(cells, IT_A) == [0, 60, 0]
    assert column(cells, IT_B) == [0, 40, 0]
    assert column(cells, EXPORT) == [0, 10, 0]


def test_what_an_unmetered_feeder_cannot_explain_stands_at_the_grids_bus() -> None:
    cells, *_ = two_buses().trace(70, 40, [60, 40], [], MG_PER_KWH)
    assert column(cells, LOSSES) == [10, 0, 0]


def test_a_metered_feeder_places_losses_and_unmetered_energy_at_their_own_buses() -> None:
    metered = two_buses([(0, 1, True)])
    cells, *_ = metered.trace(70, 40, [60, 40], [], MG_PER_KWH, 0, 0, (), [25])
    assert column(cells, LOSSES) == [5 + 2, 3, 0], "5 at the grid's bus, 5 of the mixture behind"
    cells, *_ = metered.trace(55, 40, [60, 40], [], MG_PER_KWH, 0, 7_200_000, (), [15])
    assert cells[UNMETERED][IT_A] == (5, 10), "what the feeder did not bring, at the default"


def test_a_ring_is_solved_as_a_whole() -> None:
    # 30 leave the grid's bus for bus 2, 50 go on from there to bus 1, and 10 come back.
    bench = FlowBench(
        2, [], [], 0, buses=3, meter_buses=[0, 0, 1, 2],
        feeders=[(0, 2, True), (2, 1, True), (1, 0, True)],
    )  # fmt: skip
    cells, _, _, errors = bench.trace(100, 20, [80, 40], [], MG_PER_KWH, 0, 0, (), [30, 50, 10])
    # Of the grid's, x0 = 100 + x1 / 5 goes through bus 0, and x1 = x0 * 30 / 110 through bus 1.
    assert [cell[0] for cell in cells[GRID]] == [77, 23, 0, 0], "76.92 and 23.08"
    assert [cell[0] for cell in cells[PV]] == [3, 17, 0, 0]
    assert errors == (0, 0)


def test_a_rings_rounding_gives_nobody_more_than_it_needs() -> None:
    # Halves of 1 mJ from each of two sources to each of two loads: all round the same way.
    bench = FlowBench(
        2, [], [], 0, buses=2, meter_buses=[0, 0, 0, 0], feeders=[(0, 1, True), (1, 0, True)]
    )
    cells, sources, sinks, errors = bench.trace(1, 1, [1, 1], [], MG_PER_KWH, 0, 0, (), [2, 2])
    assert [sum(column(cells, sink)) for sink in (IT_A, IT_B)] == sinks[:2] == [1, 1]
    assert [sum(cell[0] for cell in row) for row in cells[:2]] == [1, 1]
    assert (sources[GRID], errors) == ((1, 1), (0, 0))


def test_what_only_runs_round_a_ring_is_nobodys() -> None:
    bench = FlowBench(
        1, [], [], 0, buses=3, meter_buses=[0, 0, 0],
        feeders=[(1, 2, True), (2, 1, True), (0, 1, False)],
    )  # fmt: skip
    cells, sources, sinks, errors = bench.trace(5, 0, [5], [], MG_PER_KWH, 0, 0, (), [9, 9])
    assert sinks == [5, 0, 0]
    assert cells[GRID][0] == sources[GRID] == (5, 5)
    assert errors == (0, 0)


def test_a_generator_is_a_source_of_its_own_with_its_fuels_carbon() -> None:
    bench = FlowBench(1, [], [], 0, generators_mg=[2 * MG_PER_KWH])
    cells, sources, sinks, errors = bench.trace(60, 0, [100], [], MG_PER_KWH, 0, 0, [40])
    assert column(cells, 0) == [60, 0, 0, 40]
    assert sources[3] == (40, 80)
    cells, _, sinks, _ = bench.trace(60, 0, [55], [], MG_PER_KWH, 0, 0, [-5])
    assert sinks == [55, 0, 5], "what a standing generator takes for itself is a loss"
    assert errors == (0, 0)


def test_a_block_that_stands_by_takes_from_the_others_at_its_bus_alone() -> None:
    bench = FlowBench(1, [], [], 0, pvs=2, buses=2, meter_buses=[0, 0, 1, 1], feeders=TREE)
    _, sources, sinks, _ = bench.trace(0, [50, -2], [48], [], MG_PER_KWH)
    assert (sources[PV][0], sinks[-1]) == (48, 0)
    apart = FlowBench(1, [], [], 0, pvs=2, buses=2, meter_buses=[0, 0, 1, 0], feeders=TREE)
    _, sources, sinks, _ = apart.trace(0, [50, -2], [48], [], MG_PER_KWH)
    assert (sources[PV][0], sinks[-1]) == (50, 2)


NETWORK = """
    [[generator]]
    id = "GEN-1"
    power = "{aux}"
    rating_w = 2_000_000
    carbon_g_per_kwh = 700.0
    [[bus]]
    id = "BUS-A"
    fed_by = "BUS-0"
    holds = ["{load}", "{battery}", "{pv}", "GEN-1"]
    [[bus]]
    id = "BUS-0"
    [[bus]]
    id = "BUS-B"
    fed_by = "BUS-A"
    [[feeder]]
    id = "TIE-1"
    from_bus = "BUS-0"
    to_bus = "BUS-B"
    power = "{tie}"
"""


def without_buses(root: Path) -> str:
    """The demo site's file, everything at one bus."""
    text = (root / "edgectl" / "sites" / "demo.toml").read_text()
    return text[: text.index("[[bus]]")] + text[text.index("[flexible]") :]


def site_with(root: Path, text: str) -> Site:
    """The demo site with more in its file; {aux} and {tie} are powers of meters of loads."""
    path = root / "edgectl" / "sites" / "demo.toml"
    plain = without_buses(root)
    demo = parse_site(path, plain.encode())
    tail = plain[plain.index("[[load]]") :]
    spare = [each for each in demo.loads if each.kind == "aux"]
    assert len(spare) > 1, "the demo site meters two auxiliaries"
    for each in spare[:2]:
        entry = next(part for part in tail.split("[[load]]") if f'"{each.id}"' in part)
        plain = plain.replace("[[load]]" + entry.split("[[")[0], "", 1)
    said = text.format(
        load=demo.loads[0].id, battery=demo.batteries[0].id, pv=demo.pvs[0].id,
        aux=spare[0].power, tie=spare[1].power,
    )  # fmt: skip
    return parse_site(path, f"{plain}\n{said}\n".encode())


def test_a_sites_network_reaches_the_kernel_in_the_order_it_is_worked_out(root: Path) -> None:
    site = site_with(root, NETWORK)
    tables = compile_tables(site)
    # BUS-0, BUS-A, BUS-B: the tie is metered, the others follow, leaves first.
    meters = len(tables.meters)
    assert tables.feeders.tolist() == [(0, 2, meters - 1), (1, 2, -1), (0, 1, -1)]
    assert tables.generators["mg_per_kwh"].tolist() == [700_000]
    assert len(tables.meter_buses) == meters
    assert tables.meter_buses[0] == 0
    assert tables.meter_buses[-1] == -1
    assert (tables.meter_buses == 1).sum() == 4
    directory = tables.directory
    assert directory["sources"][-1] == "GEN-1"
    assert [each["of"] for each in directory["meters"][-2:]] == ["GEN-1", "feeder TIE-1"]
    assert directory["feeders"][0]["to_bus"] == "BUS-B"
    assert directory["points"][tables.meters["point"][-1]]["journaled"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "B"', "2 buses are fed by none"),
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "A"\nfed_by = "A"', "two buses have the same id"),
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "B"\nfed_by = "C"', "unknown bus C"),
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "B"\nfed_by = "C"\n[[bus]]\nid = "C"\nfed_by = "B"',
         "B, C feed one another"),
        ('[[bus]]\nid = "A"\nholds = ["NOTHING"]', "unknown NOTHING"),
        ('[[bus]]\nid = "A"\nholds = ["{battery}", "{battery}"]', "stands at A already"),
        ('[[feeder]]\nid = "T"\nfrom_bus = "A"\nto_bus = "B"\npower = "{tie}"', "unknown bus A"),
        ('[[bus]]\nid = "A"\n[[feeder]]\nid = "T"\nfrom_bus = "A"\nto_bus = "A"\npower = "{tie}"',
         "it begins and ends at A"),
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "B"\nfed_by = "A"\n[[feeder]]\nid = "T"\n'
         'from_bus = "A"\nto_bus = "B"\npower = "NOTHING.active_power"', "unknown device NOTHING"),
        ('[[generator]]\nid = "{battery}"\npower = "{aux}"\nrating_w = 1000\n'
         "carbon_g_per_kwh = 700", "is already the id of a battery"),
        ('[[generator]]\nid = "G"\npower = "{aux}"\nrating_w = 1000', "carbon_g_per_kwh"),
        ('[[generator]]\nid = "G"\npower = "{aux}"\nrating_w = 1000\ncarbon_g_per_kwh = -1',
         "carbon_g_per_kwh"),
        ('[[generator]]\nid = "G"\npower = "{aux}"\nrating_w = 1000\ncarbon_g_per_kwh = 700\n'
         '[[generator]]\nid = "H"\npower = "{aux}"\nrating_w = 1000\ncarbon_g_per_kwh = 700',
         "already meters G"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_is_refused(root: Path, text: str, message: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        site_with(root, text)
    assert message in str(caught.value)


def test_check_shows_the_feed_the_buses_and_the_feeders(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = without_buses(root).replace('proofs = "demo.proofs.toml"', "")
    text = text.replace("[metering]", 'feed = { kind = "uk", zone = "GB" }\n\n[metering]', 1)
    path = tmp_path / "buses.toml"
    path.write_text(f'{text}\n[[bus]]\nid = "B0"\n[[bus]]\nid = "B1"\nfed_by = "B0"\n')
    check(str(path))
    shown = " ".join(capsys.readouterr().out.split())
    assert "uk, GB; asked by the services alone" in shown
    assert "B0 from the grid, B1 from B0; for the accounting alone" in shown
