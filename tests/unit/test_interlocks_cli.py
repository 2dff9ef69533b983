"""`edgectl interlocks` on paper: list, templates, matrix, FAT sheet."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgectl.cli import page
from edgectl.cli.interlocks import app
from edgectl.cli.interlocks_view import show_rows
from edgectl.cli.page import console
from edgectl.errors import EdgectlError
from edgectl.site_model import load_site
from edgectl.site_model.templates import templates

CLI = CliRunner()


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is folded, so that what is said can be found."""
    monkeypatch.setattr(page, "WIDTH_OF_A_FILE", 300)


def said(*words: str) -> str:
    done = CLI.invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_list_shows_every_row_with_threshold_effect_reset_and_proof_test() -> None:
    text = said("list", "demo")
    site = load_site("demo")
    for row in site.interlocks:
        assert row.id in text
        assert row.proof_test in text
    flat = " ".join(text.replace("\xa0", " ").split())
    assert "BMS-01.cell_temperature_max > 55 °C, until 45 °C" in flat
    assert "IL-BESS-01-T-SPREAD.value > 10 K, until 8 K" in flat, "a difference stays in K"
    assert "= spread of BMS-01.cell_temperature_max" in flat
    assert "→ derate to 50 %" in flat
    assert "auto 3×" in flat


def test_a_group_is_listed_alone_with_its_reasons() -> None:
    text = said("list", "demo", "--group", "IT", "--why")
    assert "IL-IT-FLOOR" in text
    assert "IL-ESTOP" not in text
    assert "Below it only work that cannot wait is left." in " ".join(text.split())
    with pytest.raises(EdgectlError, match="there is no group ITT"):
        show_rows(console(), load_site("demo"), "ITT", why=False)


def test_the_list_as_json_is_the_table() -> None:
    told = json.loads(said("list", "demo", "--json"))
    site = load_site("demo")
    assert told["sha256"] == site.sha256
    assert [each["id"] for each in told["interlocks"]] == [row.id for row in site.interlocks]
    assert all(each["catalogue"].startswith("I") for each in told["interlocks"])


def test_the_library_lists_every_template_and_shows_one_in_full() -> None:
    text = said("templates")
    assert all(each in text for each in templates())
    one = said("templates", "I14")
    assert "I14-weld-discharge" in one
    assert "[commanded position, bool, 0 open; current, A, charge positive]" in one
    assert "causes     = [{}, { above_a = ..., reset_below_a = ... }]" in one
    told = json.loads(said("templates", "I07-high", "--json"))["templates"]
    assert [each["id"] for each in told] == ["I07-high"]
    assert told[0]["mark"] == "V"


def test_an_unknown_template_names_the_nearest() -> None:
    done = CLI.invoke(app, ["templates", "I07-hgh"])
    assert done.exit_code != 0
    assert "Did you mean I07-high" in str(done.exception)


@pytest.mark.parametrize("sheet", ["matrix", "fat"])
def test_a_sheet_is_written_where_it_was_asked_for(tmp_path: Path, sheet: str) -> None:
    target = tmp_path / "sheet.html"
    text = said(sheet, "demo", "-o", str(target))
    assert f"{len(load_site('demo').interlocks)} " in text
    assert "IL-ESTOP" in target.read_text(encoding="utf-8")
