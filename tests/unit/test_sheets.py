"""The matrix and the FAT sheet say what the kernel's tables say, and nothing else."""

import html
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from catalogue_rig import PATH

from edgectl._kernel.interlock import CauseOp, Effect
from edgectl.errors import EdgectlError
from edgectl.sheets import page
from edgectl.sheets.fat import fat_html
from edgectl.sheets.matrix import SITE_WIDE, columns, crossings, matrix_html
from edgectl.sheets.procedures import procedure, resolution
from edgectl.site_model import Interlock, Site, compile_tables, load_site
from edgectl.site_model.check_interlocks import STORAGE_ACTIONS

SITES = ("demo", "texas-100mw", str(PATH))


def sites() -> list[Site]:
    return [load_site(name) for name in SITES]


SITE = load_site(PATH)
ROW = {row.id: row for row in SITE.interlocks}


def marks(text: str, row: str) -> list[str]:
    """What stands in the columns of effects of one row."""
    (body,) = re.findall(rf'<tr id="{row}">(.*?)</tr>', text, re.S)
    return [html.unescape(each) for each in re.findall(r'<td class="mark[^"]*">([^<]*)</td>', body)]


@pytest.mark.parametrize("site", sites(), ids=lambda each: each.id)
def test_the_matrix_has_a_mark_wherever_the_kernels_tables_have_an_effect(site: Site) -> None:
    text, tables, across = matrix_html(site), compile_tables(site), columns(site)
    ids = [each.id for each in site.batteries]
    for row, place in zip(site.interlocks, tables["interlocks"], strict=True):
        first, count = int(place["first_effect"]), int(place["effects"])
        wanted = set()
        for effect in tables["effects"][first : first + count]:
            action = Effect(int(effect["effect"])).name.removeprefix("EFFECT_").lower()
            target = int(effect["target"])
            if action not in STORAGE_ACTIONS:
                wanted.add((SITE_WIDE, action))
                continue
            wanted |= {(each, action) for at, each in enumerate(ids) if target in (-1, at)}
        shown = marks(text, row.id)
        assert len(shown) == len(across)
        found = {(c.asset, c.action) for c, mark in zip(across, shown, strict=True) if mark}
        assert found == wanted, row.id


@pytest.mark.parametrize("site", sites(), ids=lambda each: each.id)
def test_no_column_is_empty_and_the_mildest_effect_of_an_asset_comes_first(site: Site) -> None:
    across = columns(site)
    used = {column for row in site.interlocks for column, _ in crossings(site, row)}
    assert set(across) == used
    for asset in {each.asset for each in across}:
        order = [Effect[f"EFFECT_{c.action.upper()}"] for c in across if c.asset == asset]
        assert order == sorted(order)


def test_a_mark_tells_latch_ratio_and_tier() -> None:
    text = matrix_html(SITE)
    assert set(marks(text, "IL-ESTOP")) == {"", "XK"}
    assert set(marks(text, "IL-CELL-HOT")) == {"", "XL"}
    assert set(marks(text, "IL-TABLES")) == {"", "XR"}
    assert set(marks(text, "IL-CELL-WARM")) == {"", "50 %"}
    assert set(marks(text, "IL-HEAT-SHED")) == {"", "X", "T1"}


def test_the_page_stands_alone_and_names_what_it_was_made_from() -> None:
    for text in (matrix_html(SITE), fat_html(SITE)):
        assert not re.search(r'(?:src|href)="|url\(|@import', text)
        assert SITE.sha256 in text
        assert "no SIL is claimed" in text
        assert "prefers-color-scheme: dark" in text
        assert "counter(pages)" in text
        assert "<script" not in text


def test_what_a_person_wrote_is_escaped() -> None:
    name = 'A <b>"site"</b> & more'
    text = page.heading("T", _named(SITE, name), [])
    assert "A &lt;b&gt;" in text
    assert "<b>&quot;" not in text


def _named(site: Site, name: str) -> Site:
    return replace(site, name=name)


@pytest.mark.parametrize("row", SITE.interlocks, ids=lambda each: each.id)
def test_every_procedure_trips_the_row_within_its_delay_and_two_scans(row: Interlock) -> None:
    steps = procedure(SITE, row)
    bound = f"{(row.on_delay_ns + 2 * SITE.scan.period_ns) / 1e9:g} s"
    if row.causes[0].op != "limit":
        acting = [each for each in steps if each.expect.startswith("trips: ")]
        assert acting
        assert {each.within for each in acting} == {bound}
        for action in {each.action.replace("_", " ") for each in row.effects}:
            assert action.split()[0] in acting[0].expect
    assert any("clear" in each.expect for each in steps[1:])
    if row.reset != "auto":
        assert any(each.expect.startswith("refused") for each in steps)


def test_values_are_one_step_of_the_register_beside_the_threshold() -> None:
    demo = load_site("demo")
    row = next(each for each in demo.interlocks if each.id == "IL-BESS-01-T-TRIP")
    step = resolution(demo, row.causes[0])
    assert step == demo.point("BMS-01.cell_temperature_max").scale
    said = [each.do for each in procedure(demo, row)]
    assert [text for text in said if "= 54.9 °C" in text.replace("\xa0", " ")]
    assert [text for text in said if "= 55 °C" in text.replace("\xa0", " ")]
    assert [text for text in said if "= 55.1 °C" in text.replace("\xa0", " ")]


def test_a_cause_that_no_cable_makes_bad_is_not_asked_to_be() -> None:
    assert not any("cable" in step.do for step in procedure(SITE, ROW["IL-OVERRUN"]))
    said = [step.do for step in procedure(SITE, ROW["IL-SPREAD-V"])]
    assert any("Pull the cable of PCS-01" in text for text in said)
    assert any("(injected)" in text for text in said)


def test_the_fat_sheet_has_every_row_with_its_steps_and_room_to_sign() -> None:
    text = fat_html(SITE)
    for row in SITE.interlocks:
        (card,) = re.findall(rf'<section id="{row.id}".*?</section>', text, re.S)
        assert card.count("<tr><td class=") == len(procedure(SITE, row))
        assert card.count("Witnessed by") == 1
        assert row.proof_test in card


def test_causes_of_the_sheet_are_those_of_the_tables() -> None:
    tables = compile_tables(SITE)
    ops = {CauseOp[f"CAUSE_{c.op.upper()}"] for row in SITE.interlocks for c in row.causes}
    assert ops == {CauseOp(int(each)) for each in np.unique(tables["causes"]["op"])}


def test_a_sheet_is_written_as_its_ending_says(tmp_path: Path) -> None:
    target = tmp_path / "matrix.html"
    page.write(target, matrix_html(SITE))
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(EdgectlError, match=r"\.html or \.pdf, not \.doc"):
        page.check_target(tmp_path / "matrix.doc")
    with pytest.raises(EdgectlError, match="cannot be written"):
        page.write(tmp_path / "nowhere" / "matrix.html", "")


def test_a_pdf_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EdgectlError, match=r"pip install 'edgectl\[report\]'"):
        page.check_target(tmp_path / "matrix.pdf")


def test_a_pdf_has_the_pages_of_the_sheet(tmp_path: Path) -> None:
    pytest.importorskip("weasyprint", reason="the extra report is not installed")
    target = tmp_path / "matrix.pdf"
    page.write(target, matrix_html(SITE))
    assert target.read_bytes().startswith(b"%PDF-")
