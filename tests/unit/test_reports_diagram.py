"""The single-line diagram: every bus, line and meter of a site, and nothing over anything else."""

import re
from dataclasses import replace
from itertools import combinations
from xml.etree.ElementTree import Element, fromstring

import pytest

from edgectl.reports.declared import Declared
from edgectl.reports.diagram import SHEET_HEIGHT, WIDTH, diagram_of, sheets_of
from edgectl.reports.evidence import classes_of, meters_of
from edgectl.reports.plan import ONE_BUS, plan_of
from edgectl.reports.symbols import folded, width_of
from edgectl.site_model import Site, load_site
from edgectl.site_model.model import Bus, Feeder, Generator, Load

SVG = "{http://www.w3.org/2000/svg}"
GLYPHS = {"G", "~"}  # of one symbol


def demo() -> Site:
    return load_site("demo")


def six_buses() -> Site:
    """A metered feeder, one that reads backwards, two ties, two generators."""
    buses = (
        Bus("MAIN", None, ("COOLING",)),
        Bus("HALL-1", "MAIN", ("IT-A", "IT-B", "SOLAR-1", "BESS-01")),
        Bus("HALL-2", "MAIN", ("IT-C", "IT-D", "SOLAR-2")),
        Bus("UPS-2", "HALL-2", ("IT-E",)),
        Bus("ESSENTIAL-SERVICES-BUS", "MAIN", ("GEN-1", "GEN-2", "HOUSE")),
        Bus("YARD", "HALL-2", ("BESS-02", "IT-F")),
    )
    return replace(
        demo(), buses=buses,
        generators=(Generator("GEN-1", "MTR-01.active_power", 2.5e6, 700, "0.5S", "0.5"),
                    Generator("GEN-2", "MTR-02.active_power", 8e5, 700)),
        feeders=(Feeder("F-HALL-1", "MAIN", "HALL-1", "MTR-03.active_power", "0.2S", "0.2S"),
                 Feeder("F-UPS", "UPS-2", "HALL-2", "MTR-04.active_power"),
                 Feeder("TIE-1-2", "HALL-1", "HALL-2", "MTR-05.active_power", "0.5S", "0.5"),
                 Feeder("TIE-EMERGENCY", buses[4].id, "HALL-1", "MTR-06.active_power")),
    )  # fmt: skip


def crowded(buses: int) -> Site:
    """Forty loads, some with the longest names there are, at a chain of so many buses."""
    loads = tuple(
        Load(f"LOAD-WITH-THE-LONGEST-NAME-{at:05d}" if at % 3 else f"IT-{at}", "it",
             "MTR-01.active_power", 1e6)
        for at in range(40)
    )  # fmt: skip
    ids = [f"BUS-{at}" for at in range(buses)]
    chain = tuple(
        Bus(ids[at], ids[at - 1] if at else None, tuple(load.id for load in loads[at::buses]))
        for at in range(buses)
    )
    ties = tuple(
        Feeder(f"TIE-{at}", ids[at], ids[-1 - at], "MTR-02.active_power")
        for at in range(buses // 2 - 1)
    )
    return replace(demo(), loads=loads, buses=chain, feeders=ties)


def drawn(svg: str) -> Element:
    return fromstring(svg)


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in drawn(svg).iter(f"{SVG}text")]


def boxes(svg: str) -> list[tuple[str, float, float, float, float]]:
    """Words with left, top, right and bottom of where they stand."""
    found = []
    for each in drawn(svg).iter(f"{SVG}text"):
        size, words = float(each.attrib["font-size"]), each.text or ""
        width = width_of(words, size, bold=each.attrib["font-weight"] == "bold")
        x, y = float(each.attrib["x"]), float(each.attrib["y"])
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[each.attrib["text-anchor"]]
        found.append((words, left, y - 0.75 * size, left + width, y + 0.2 * size))
    return found


SITES = {
    "demo": demo(), "texas": load_site("texas-100mw"), "six": six_buses(),
    "crowded 1": crowded(1), "crowded 3": crowded(3), "crowded 12": crowded(12),
    "no bus": replace(demo(), buses=(), feeders=()),
}  # fmt: skip


@pytest.mark.parametrize("name", SITES)
def test_no_words_stand_over_others_or_outside_the_sheet(name: str) -> None:
    for sheet in sheets_of(SITES[name]):
        found = boxes(sheet)
        _, y0, width, height = map(float, drawn(sheet).attrib["viewBox"].split())
        assert (width, height <= SHEET_HEIGHT) == (WIDTH, True)
        for words, left, top, right, bottom in found:
            assert 0 <= left < right <= WIDTH, words
            assert y0 <= top < bottom <= y0 + height, words
        for (one, l1, t1, r1, b1), (two, l2, t2, r2, b2) in combinations(found, 2):
            apart = r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
            assert apart or {one, two} <= GLYPHS, (one, two)


@pytest.mark.parametrize("name", SITES)
def test_every_bus_line_and_thing_is_drawn_with_its_meter(name: str) -> None:
    site, svg = SITES[name], diagram_of(SITES[name])
    words = " ".join(texts(svg))
    for bus in site.buses:
        assert bus.id in texts(svg)
    things = (*site.loads, *site.pvs, *site.batteries, *site.generators)
    titles = {each.text for each in drawn(svg).iter(f"{SVG}title")}
    for each in things:
        meter = each.power.partition(".")[0]
        assert f"{each.id}, meter {meter}" in titles
        assert f"meter {meter}" in words
    for feeder in site.feeders:
        assert feeder.id in words
    assert svg.count(">Wh<") == 1 + len(things) + len(site.feeders)


def test_all_of_it_stands_in_the_sheets_once() -> None:
    site = crowded(12)
    sheets = sheets_of(site)
    assert len(sheets) > 1
    in_sheets = [each for sheet in sheets for each in texts(sheet)]
    numbers = [f"sheet {at} of {len(sheets)}" for at in range(1, len(sheets) + 1)]
    assert sorted(in_sheets) == sorted([*texts(diagram_of(site)), *numbers])


def test_a_tie_that_closes_a_ring_is_dashed_and_a_feeder_of_the_tree_is_not() -> None:
    plan = plan_of(six_buses())
    feeders = {each.id: each.feeder.id for each in plan.buses if each.feeder}
    assert feeders == {"HALL-1": "F-HALL-1", "UPS-2": "F-UPS"}
    assert [each.id for each in plan.ties] == ["TIE-1-2", "TIE-EMERGENCY"]
    dashed = len(re.findall("stroke-dasharray", diagram_of(six_buses())))
    assert dashed == 3 * len(plan.ties) + 1  # TIE-EMERGENCY goes over the end of a sheet
    assert "stroke-dasharray" not in diagram_of(demo())


def test_a_feeder_that_is_metered_from_below_says_so() -> None:
    words = " ".join(texts(diagram_of(six_buses())))
    assert "fed by HALL-2 over F-UPS, meter MTR-04" in words
    assert "reads positive towards HALL-2" in words
    assert "fed by MAIN over F-HALL-1, meter MTR-03" in words
    assert "reads positive towards MAIN" not in words


def test_without_a_bus_all_stands_at_one() -> None:
    (bus,) = plan_of(SITES["no bus"]).buses
    assert bus.id == ONE_BUS
    assert len(bus.items) == len(demo().loads) + len(demo().pvs) + len(demo().batteries)


def test_what_no_bus_holds_stands_at_the_grids() -> None:
    site = replace(demo(), buses=(Bus("A", None, ()), Bus("B", "A", ("IT-A",))))
    root, lower = plan_of(site).buses
    assert [each.id for each in lower.items] == ["IT-A"]
    assert "IT-B" in {each.id for each in root.items}


def test_meters_of_feeders_and_generators_are_listed_with_the_site_files_classes() -> None:
    listed = {each["meters"]: each for each in meters_of(six_buses(), Declared())}
    assert listed["feeder F-HALL-1, MAIN to HALL-1"]["accuracy_class"] == "0.2S"
    assert listed["generator GEN-1"]["transformer_class"] == "0.5"
    assert listed["generator GEN-2"]["accuracy_class"] == "not declared"
    said = Declared.model_validate(
        {"meter": [{"device": "GRID-01", "accuracy_class": "1", "transformer_class": "1"}]}
    )
    (grid,) = [each for each in meters_of(demo(), said) if each["meters"] == "grid connection"]
    assert (grid["accuracy_class"], grid["transformer_class"]) == ("1", "1")
    assert classes_of([grid]) == {"GRID-01": "class 1, CT 1"}


def test_folding_cuts_nothing_and_fits() -> None:
    name = "LOAD-WITH-THE-LONGEST-NAME-00001"
    lines = folded(name, 98, 10, bold=True)
    assert "".join(lines) == name
    assert all(width_of(each, 10, bold=True) <= 98 for each in lines)
