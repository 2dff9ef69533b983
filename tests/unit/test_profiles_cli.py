"""`edgectl profile` and tools/new_profile, as someone meets them who adds a device."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgectl.cli import main as cli
from edgectl.profiles import load_profile, profile_names

FILLED = {
    'source   = ""                     # ? document': 'source   = "EM100 map, rev 1" # document',
    'word_order    = "?"': 'word_order    = "low_first"',
    "max_registers = 0 ": "max_registers = 20 ",
    "units         = []": "units         = [1]",
    'address = -1                      # ? on the wire, from 0\ntext': "address = 10\ntext",
    'text    = ""': 'text    = "EM100"',
    'source  = ""': 'source  = "page 2"',
    'address  = -1': "address  = 40",
    'type     = "?"': 'type     = "s32"',
    "valid    = [0, 0]": "valid    = [-1e6, 1e6]",
    'source   = ""                     # ? page': 'source   = "page 7" # page',
}  # fmt: skip


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgectl", "profile", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def new_profile(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "new_profile"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_list_names_every_shipped_profile_and_how_far_it_is_proved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "list") == 0
    text = capsys.readouterr().out
    assert [name for name in profile_names() if name not in text] == []
    assert status_of(monkeypatch, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["profiles"]
    assert [each["name"] for each in listed] == profile_names()
    assert {each["verified"] for each in listed} == {"paper", "synthetic"}


@pytest.mark.parametrize("name", profile_names())
def test_show_names_every_point_command_and_probe(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = load_profile(name)
    assert status_of(monkeypatch, "show", name) == 0
    text = capsys.readouterr().out
    assert profile.sha256 in text
    assert [
        each.name for each in (*profile.points, *profile.commands) if each.name not in text
    ] == []
    assert ("identity  none" in text) == (not profile.probes)
    assert status_of(monkeypatch, "show", name, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in shown["point"]] == [each.name for each in profile.points]
    assert len(shown["identity"]) == len(profile.probes)


def test_an_unknown_profile_is_refused_with_its_neighbour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "show", "meter/abb-b24") == 2
    assert "Did you mean meter/abb-b23" in capsys.readouterr().err


def test_lint_of_the_shipped_folder_finds_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "lint", str(root / "firmware_profiles")) == 0
    assert f"{len(profile_names())} files, 0 refused" in capsys.readouterr().out


def test_lint_lists_the_problems_of_all_files_and_ends_with_2(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = (root / "firmware_profiles" / "battery" / "byd-c130.toml").read_text()
    (tmp_path / "good.toml").write_text(good)
    (tmp_path / "one.toml").write_text(good.replace('"mV"', '"mVolt"'))
    (tmp_path / "two.toml").write_text("schema = \n")
    assert status_of(monkeypatch, "lint", str(tmp_path)) == 2
    told = capsys.readouterr()
    assert told.err.count("wrong unit: 'mVolt'") == 2
    assert "this is not TOML" in told.err
    assert "3 files, 2 refused, 3 problems" in told.out
    assert status_of(monkeypatch, "lint", "--json", str(tmp_path)) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["files"], len(found["problems"])) == (False, 3, 3)


@pytest.mark.parametrize("what", ["", "nothing.toml"])
def test_lint_of_nothing_is_no_success(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "lint", str(tmp_path / what)) == 2
    assert "there is no" in capsys.readouterr().err


def test_a_skeleton_is_refused_only_for_what_must_be_filled_in(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new_profile(root, "meter/acme-em100", str(tmp_path)).returncode == 0
    path = tmp_path / "meter" / "acme-em100.toml"
    text = path.read_text()
    asked = {
        n for n, line in enumerate(text.split("\n"), start=1) if "# ?" in line or '"?"' in line
    }

    assert status_of(monkeypatch, "lint", "--json", str(path)) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    lines = {int(each["where"].split(" ")[0].rpartition(":")[2]) for each in problems}
    assert lines <= asked
    of_range = {n for n, line in enumerate(text.split("\n"), start=1) if line.startswith("valid ")}
    assert asked - lines == of_range, "a range is judged when the form is right"

    for before, after in FILLED.items():
        assert text.count(before) >= 1, before
        if not before.startswith("valid"):
            text = text.replace(before, after, 1)
    path.write_text(text)
    assert status_of(monkeypatch, "lint", "--json", str(path)) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert "valid is [0 W, 0 W]" in problem["problem"]

    path.write_text(text.replace("valid    = [0, 0]", FILLED["valid    = [0, 0]"]))
    assert status_of(monkeypatch, "lint", str(path)) == 0
    assert load_profile(str(path)).models == ("EM100",)


def test_new_profile_overwrites_nothing_and_knows_its_classes(root: Path, tmp_path: Path) -> None:
    assert new_profile(root, "meter/acme-em100", str(tmp_path)).returncode == 0
    again = new_profile(root, "meter/acme-em100", str(tmp_path))
    assert again.returncode == 2
    assert "is there already" in again.stdout
    for wrong in ("toaster/acme-t1", "meter/acme", "acme-em100", "meter/../acme-em100", ""):
        assert new_profile(root, wrong, str(tmp_path)).returncode == 2, wrong
    assert [each.name for each in tmp_path.rglob("*.toml")] == ["acme-em100.toml"]
