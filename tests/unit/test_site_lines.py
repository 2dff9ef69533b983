"""The line of every key of a TOML text, and the terminal report of `edgectl check`."""

import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from edgectl.cli.check import check, show
from edgectl.profiles import profile_names, profiles_root
from edgectl.profiles.toml_text import Path as Place
from edgectl.profiles.toml_text import read_toml
from edgectl.site_model import compile_tables, find_site, load_site, site_names

AWKWARD = '''\
# a comment with [brackets] and = signs
title = "a # no comment, \\" quoted"   # but this is
plain.dotted = 1
"quoted key" = 'literal # text'

[table]
list = [
    { a = 1, b = "x}" },   # inline tables over lines
    { a = 2, b = "]" },
]
text = """
[not.a.table]
key = 1
"""
after = true

[[row]]
id = 1
[[row.inner]]
deep = 1
[[row.inner]]
deep = 2
[[row]]
id = 2
[[row.inner]]
deep = 3
[row.inner.more]
end = [[1, 2], [3]]
'''

LINES: dict[Place, int] = {
    ("title",): 2,
    ("plain", "dotted"): 3,
    ("quoted key",): 4,
    ("table", "list"): 7,
    ("table", "list", 0, "a"): 8,
    ("table", "list", 1, "b"): 9,
    ("table", "text"): 11,
    ("table", "after"): 15,
    ("row", 0, "id"): 18,
    ("row", 0, "inner", 1, "deep"): 22,
    ("row", 1): 23,
    ("row", 1, "inner", 0, "deep"): 26,
    ("row", 1, "inner", 0, "more", "end", 1, 0): 28,
}


@pytest.mark.parametrize(("place", "line"), LINES.items())
def test_a_key_is_found_at_its_line(place: Place, line: int) -> None:
    assert read_toml("x.toml", AWKWARD).line(place) == line


def test_a_missing_key_is_told_at_its_table() -> None:
    text = read_toml("x.toml", AWKWARD)
    assert text.where(("row", 1, "inner", 0, "absent")) == "x.toml:25"
    assert text.where(("absent",)) == "x.toml:1"


def places(node: Any, path: Place = ()) -> list[Place]:
    """Every path of parsed TOML."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = [(*path, key) for key, _ in items]
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


SHIPPED = [find_site(name) for name in site_names()] + [
    Path(str(profiles_root().joinpath(f"{name}.toml"))) for name in profile_names()
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_key_of_every_shipped_file_has_a_line(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    text = read_toml(path.name, content)
    assert text.data == tomllib.loads(content)
    assert [place for place in places(text.data) if place not in text.lines] == []
    lines = content.split("\n")
    for place, number in text.lines.items():
        if isinstance(place[-1], str):
            assert place[-1] in lines[number - 1]


def test_the_report_fits_a_terminal_of_100_columns() -> None:
    site = load_site("demo")
    console = Console(width=100, record=True, file=io.StringIO())
    show(console, site, compile_tables(site), points=True)
    text = console.export_text()
    for word in ("IL-BESS-02-FOLLOW", "storage/sunspec-der-storage", "paper", "3/232", "74 MW"):
        assert word in text
    assert "PCS-01.active_power_setpoint_readback" in text
    assert "demo.toml is sound" in text
    assert max(len(line.rstrip()) for line in text.split("\n")) <= 100


def test_json_is_one_object_on_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    check("demo", json=True)
    told = json.loads(capsys.readouterr().out.strip().split("\n")[-1])
    assert told["ok"] is True
    assert len(told["devices"]) == 19
    assert any("paper" in warning for warning in told["warnings"])


def test_a_refused_file_lists_its_problems_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = find_site("demo").read_text(encoding="utf-8")
    bad = tmp_path / "bad.toml"
    limit = "cause = { above_ratio = 0.80 }  # under the reset of the template\nproof_test"
    bad.write_text(re.sub(r'(?s)(SOC-HIGH".*?)proof_test', rf"\g<1>{limit}", text))
    with pytest.raises(typer.Exit) as ended:
        check(str(bad), json=True)
    assert ended.value.exit_code == 2
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert [problem["where"].split(" ")[1] for problem in told["problems"]] == [
        "IL-BESS-01-SOC-HIGH",
        "IL-BESS-02-SOC-HIGH",
    ]
