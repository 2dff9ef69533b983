"""The single-line diagram: the site's tree of buses, nothing over anything, sheets that fit."""

from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import pytest

from edgectl.reports.diagram import SHEET_HEIGHT, WIDTH, diagram_of, sheets_of
from edgectl.reports.plan import Feeder, Item, Plan, PlanBus, plan_of
from edgectl.reports.symbols import GLYPH_RATIO
from edgectl.site_model import Site, load_site
from edgectl.site_model.model import Bus

DEMO = load_site("demo")
TEXT = "{http://www.w3.org/2000/svg}text"
SIX = (
    Bus("HV", None, ("pv",)), Bus("MV-A", "HV", ("BESS-01",)),
    Bus("LV-A1", "MV-A", ("IT-A", "IT-B")), Bus("LV-A2", "MV-A", ("IT-C",)),
    Bus("MV-B", "HV", ()), Bus("LV-B1", "MV-B", ("IT-D",)),
)  # fmt: skip


def large(buses: int, *, chain: bool) -> Site:
    """Forty loads with long names at so many buses."""
    loads = tuple(
        replace(DEMO.loads[at % len(DEMO.loads)], id=f"IT-HALL-NORTH-ROW-{at:02d}")
        for at in range(40)
    )
    return replace(DEMO, loads=loads, buses=tuple(
        Bus(f"BUS-{at}", None if at == 0 else f"BUS-{at - 1 if chain else (at - 1) // 2}",
            tuple(each.id for each in loads[at::buses]))
        for at in range(buses)
    ))  # fmt: skip


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    """Of each text, left, top, right, bottom, with the widest letters a font may have."""
    found = []
    for each in ElementTree.fromstring(svg).iter(TEXT):
        words = "".join(each.itertext())
        if words in {"Wh", "G", "~"}:
            continue
        size = float(each.attrib["font-size"])
        width = len(words) * size * GLYPH_RATIO
        x, y = float(each.attrib["x"]), float(each.attrib["y"])
        anchor = each.attrib.get("text-anchor", "start")
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        found.append((left, y - size * 0.75, left + width, y))
    return found


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("buses", [1, 2, 6, 12])
def test_no_words_stand_over_others_or_over_the_edge(buses: int, chain: bool) -> None:
    for svg in sheets_of(large(buses, chain=chain)):
        found = boxes(svg)
        for a, b in combinations(found, 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
        assert all(left >= 0 and right <= WIDTH for left, _, right, _ in found)


@pytest.mark.parametrize("buses", [1, 12])
def test_every_sheet_fits_a_page_and_together_they_show_all(buses: int) -> None:
    site = large(buses, chain=False)
    sheets = sheets_of(site)
    assert len(sheets) > 1
    for svg in sheets:
        view = ElementTree.fromstring(svg).attrib["viewBox"].split()
        assert float(view[3]) <= SHEET_HEIGHT
    titles = "".join(sheets)
    assert all(titles.count(f"<title>{each.id},") == 1 for each in site.loads)
    assert diagram_of(site).count("<title>") == titles.count("<title>")


def test_each_bus_is_fed_as_the_site_file_says() -> None:
    plan = plan_of(replace(DEMO, buses=SIX))
    found = {bus.id: (bus.depth, bus.fed and bus.fed.bus) for bus in plan.buses}
    assert found == {
        "HV": (0, None), "MV-A": (1, "HV"), "LV-A1": (2, "MV-A"), "LV-A2": (2, "MV-A"),
        "MV-B": (1, "HV"), "LV-B1": (2, "MV-B"),
    }  # fmt: skip
    at = {item.id: bus.id for bus in plan.buses for item in bus.items}
    assert (at["SOLAR-1"], at["BESS-01"], at["IT-C"], at["COOLING"]) == (
        "HV", "MV-A", "LV-A2", "HV",
    )  # fmt: skip
    assert "fed by MV-A, no meter in the feeder" in "".join(
        "".join(each.itertext())
        for each in ElementTree.fromstring(diagram_of(replace(DEMO, buses=SIX))).iter(TEXT)
    )


def test_without_buses_everything_stands_at_one() -> None:
    (only,) = plan_of(replace(DEMO, buses=())).buses
    assert {each.id for each in only.items} == {
        each.id for each in (*DEMO.loads, *DEMO.pvs, *DEMO.batteries)
    }


def test_a_metered_line_and_a_generator_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("x", Item("Grid connection", "grid", "zone Z", "GRID-01"), (
        PlanBus("A", 0, None, (Item("G-1", "generator", "generator, 2 MW", "GEN-01"),)),
        PlanBus("B", 1, Feeder("A", "M-7", "LINE-1"), (Item("L-9", "tie", "to A", None),)),
    ))  # fmt: skip
    monkeypatch.setattr("edgectl.reports.diagram.plan_of", lambda site: plan)
    svg = diagram_of(DEMO, {"M-7": "class 0.5S, CT 0.5"})
    assert "fed by A over LINE-1, meter M-7, class 0.5S, CT 0.5" in svg
    assert "<circle" in svg
    assert "<title>L-9, no meter</title>" in svg
