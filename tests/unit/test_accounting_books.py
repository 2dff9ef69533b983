"""The ledger's seconds over the site's own buses, with the origin of every joule."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgectl.accounting.books import Names, SiteBooks, Topology, stocks_at
from edgectl.accounting.storage import Inventory, Rules
from edgectl.cli.check import check
from edgectl.errors import DataError, SiteFileError
from edgectl.site_model import compile_tables, parse_site

GRID, PV, UNMETERED, BESS = range(4)
IT_A, IT_B, CHARGE, EXPORT, LOSSES = range(5)
NAMES = Names(
    ("grid", "pv", "unmetered", "BESS-01"),
    ("IT-A", "IT-B", "BESS-01", "export", "losses"),
    ("BESS-01",),
)
RULES = Rules(1_000_000, 1_000_000, 480_000)
TWO_BUSES = Topology({"BUS-A": "BUS-0"}, {"IT-A": "BUS-A", "pv": "BUS-A"})


def books(topology: Topology, stored_mj: int = 0) -> SiteBooks:
    return SiteBooks(topology, {"BESS-01": Inventory(RULES, stored_mj, 480_000)})


def test_at_one_bus_all_get_the_same_mixture() -> None:
    flows = books(Topology()).book(NAMES, [[GRID, IT_A, 60, 600], [PV, IT_B, 40, 0]])
    assert flows.by_origin_mj("IT-A") == {"grid": 36, "pv": 24}
    assert flows.by_origin_mj("IT-B") == {"grid": 24, "pv": 16}
    assert flows.by_origin_ug("IT-A") == {"grid": 360}


def test_pv_behind_a_feeder_feeds_first_what_stands_behind_it() -> None:
    flows = books(TWO_BUSES).book(NAMES, [[GRID, IT_A, 60, 600], [PV, IT_B, 40, 0]])
    assert flows.by_origin_mj("IT-A") == {"grid": 20, "pv": 40}
    assert flows.by_origin_mj("IT-B") == {"grid": 40}


def test_pv_that_is_more_than_its_bus_needs_flows_up_to_the_others() -> None:
    flows = books(TWO_BUSES).book(NAMES, [[PV, IT_A, 60, 0], [PV, IT_B, 40, 0]])
    assert flows.by_origin_mj("IT-B") == {"pv": 40}


def test_what_a_battery_gives_back_is_told_apart_by_where_it_came_from() -> None:
    site = books(Topology())
    site.book(NAMES, [[GRID, CHARGE, 75, 300], [PV, CHARGE, 25, 0]])
    flows = site.book(NAMES, [[BESS, IT_A, 40, 99], [GRID, IT_A, 10, 50]])
    assert flows.by_origin_mj("IT-A") == {
        "grid": 10, "grid via BESS-01": 30, "pv via BESS-01": 10,
    }  # fmt: skip
    assert sum(flows.by_origin_ug("IT-A").values()) == 50 + 120, "from the stock kept here"
    assert site.stocks["BESS-01"].energy_mj == 60
    assert site.energy_mj["grid", "BESS-01"] == 75


def test_energy_through_two_batteries_keeps_its_first_origin() -> None:
    names = Names(
        ("grid", "BESS-01", "BESS-02"), ("BESS-01", "BESS-02", "IT-A"), ("BESS-01", "BESS-02")
    )
    site = SiteBooks(Topology(), {"BESS-01": Inventory(RULES), "BESS-02": Inventory(RULES)})
    site.book(names, [[0, 0, 100, 500]])
    site.book(names, [[1, 1, 80, 0]])
    flows = site.book(names, [[2, 2, 40, 0]])
    assert flows.by_origin_mj("IT-A") == {"grid via BESS-02": 40}
    assert flows.by_origin_ug("IT-A") == {"grid via BESS-02": 200}


def test_a_feeder_carries_what_stands_behind_the_feeders_behind_it() -> None:
    deep = Topology({"C": "B", "B": "A"}, {"IT-A": "C", "pv": "B", "IT-B": "A"})
    assert deep.buses == ("A", "B", "C")
    flows = books(deep).book(NAMES, [[GRID, IT_A, 50, 0], [GRID, IT_B, 30, 0], [PV, IT_A, 20, 0]])
    assert flows.by_origin_mj("IT-A") == {"grid": 50, "pv": 20}
    assert flows.by_origin_mj("IT-B") == {"grid": 30}


amounts = st.integers(0, 10**12)
intervals = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), amounts, amounts), max_size=8),
    max_size=6,
)


@given(intervals=intervals, two=st.booleans(), stored=amounts)
def test_conservation_of_the_ledger_s_energy_and_carbon_at_any_tree(
    intervals: list[Any], two: bool, stored: int
) -> None:
    site = books(TWO_BUSES if two else Topology(), stored)
    before_ug = site.stocks["BESS-01"].carbon_ug
    for cells in intervals:
        flows = site.book(NAMES, cells)
        for at, name in enumerate(NAMES.sinks):
            ledger_mj = sum(mj for _, sink, mj, _ in cells if sink == at)
            assert sum(flows.by_origin_mj(name).values()) == ledger_mj
        for at, name in enumerate(NAMES.sources):
            ledger_mj = sum(mj for source, _, mj, _ in cells if source == at)
            ledger_ug = sum(ug for source, _, mj, ug in cells if source == at)
            of_it = [
                key for key in flows.energy_mj
                if key[0] == name or key[0].endswith(f" via {name}")
            ]  # fmt: skip
            assert sum(flows.energy_mj[key] for key in of_it) == ledger_mj
            if name != "BESS-01" and ledger_mj:
                assert sum(flows.carbon_ug[key] for key in of_it) == ledger_ug
        stock = site.stocks["BESS-01"]
        entered_ug = sum(flows.by_origin_ug("BESS-01").values())
        left_ug = sum(
            ug for (origin, _), ug in flows.carbon_ug.items() if origin.endswith("via BESS-01")
        )
        if not stock.shortfall_mj:
            assert stock.carbon_ug == before_ug + entered_ug - left_ug
        before_ug = stock.carbon_ug


def test_stocks_go_on_from_what_the_ledger_says_was_stored() -> None:
    stock = stocks_at({"BESS-01": (1_000, 77)}, {"BESS-01": RULES})["BESS-01"]
    assert (stock.energy_mj, stock.carbon_ug) == (1_000, 77)


@pytest.mark.parametrize(
    ("parent", "place", "message"),
    [
        ({"A": "B", "C": "D"}, {}, "2 buses that nothing feeds"),
        ({"A": "B", "B": "A"}, {}, "0 buses that nothing feeds"),
        ({"A": "B", "C": "D", "D": "C"}, {}, "it is a ring"),
        ({}, {"IT-A": "X"}, "IT-A stands at bus X"),
    ],
)
def test_a_topology_that_is_no_tree_is_refused(
    parent: dict[str, str], place: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Topology(parent, place)


def site_text(root: Path, buses: str) -> bytes:
    text = (root / "edgectl" / "sites" / "demo.toml").read_text()
    return f"{text}\n{buses}\n".encode()


def test_a_site_s_buses_reach_the_accounting_through_the_directory(root: Path) -> None:
    path = root / "edgectl" / "sites" / "demo.toml"
    plain = parse_site(path, path.read_bytes())
    load, battery = plain.loads[0].id, plain.batteries[0].id
    pvs = ", ".join(f'"{each.id}"' for each in plain.pvs)
    site = parse_site(path, site_text(root, f"""
        [[bus]]
        id = "BUS-0"
        [[bus]]
        id = "BUS-A"
        fed_by = "BUS-0"
        holds = ["{load}", "{battery}", {pvs}]
    """))  # fmt: skip
    directory = compile_tables(site).directory
    topology = Topology.of(directory["buses"])
    assert topology.buses == ("BUS-0", "BUS-A")
    assert {topology.bus_of(each) for each in (load, battery, "pv")} == {"BUS-A"}
    assert topology.bus_of("losses") == "BUS-0"
    assert directory["methods"]["storage"] == "weighted average"
    assert Topology.of(compile_tables(plain).directory["buses"]).buses == ("main",)


@pytest.mark.parametrize(
    ("buses", "message"),
    [
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "B"', "2 buses are fed by none"),
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "A"\nfed_by = "A"', "two buses have the same id"),
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "B"\nfed_by = "C"', "unknown bus C"),
        ('[[bus]]\nid = "A"\n[[bus]]\nid = "B"\nfed_by = "C"\n[[bus]]\nid = "C"\nfed_by = "B"',
         "B, C feed one another"),
        ('[[bus]]\nid = "A"\nholds = ["NOTHING"]', "unknown NOTHING"),
        ('[[bus]]\nid = "A"\nholds = ["BESS-01", "BESS-01"]', "BESS-01 stands at A already"),
        ('[[bus]]\nid = "A"\nholds = ["SOLAR-1"]', "PV blocks stand at several buses"),
    ],
)  # fmt: skip
def test_buses_that_are_no_tree_are_refused(root: Path, buses: str, message: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        parse_site(root / "edgectl" / "sites" / "demo.toml", site_text(root, buses))
    assert message in str(caught.value)


def test_check_shows_the_feed_and_the_buses(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (root / "edgectl" / "sites" / "demo.toml").read_text()
    text = text.replace('proofs = "demo.proofs.toml"', "")
    text = text.replace("[metering]", 'feed = { kind = "uk", zone = "GB" }\n\n[metering]', 1)
    path = tmp_path / "buses.toml"
    path.write_text(f'{text}\n[[bus]]\nid = "B0"\n[[bus]]\nid = "B1"\nfed_by = "B0"\n')
    check(str(path))
    shown = " ".join(capsys.readouterr().out.split())
    assert "uk, GB; asked by the services alone" in shown
    assert "B0 from the grid, B1 from B0; for the accounting alone" in shown
