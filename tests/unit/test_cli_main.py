"""The command line's frame: help without loading, errors as text, exit statuses as written."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgectl.cli import main as cli
from edgectl.errors import EdgectlError, IdentityError

HEAVY = ("numpy", "pydantic", "pymodbus", "pvlib", "structlog", "paho")


def install_verb(monkeypatch: pytest.MonkeyPatch, verb: str, **contents: object) -> None:
    """Put a made-up verb into the table and a module behind it."""
    module = ModuleType(f"edgectl.cli.{verb}")
    for name, value in contents.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.VERBS, verb, "made up")


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgectl", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_help_loads_no_heavy_package() -> None:
    code = (
        "import sys; sys.argv = ['edgectl', '--help']\n"
        "from edgectl.cli.main import main\n"
        "try: main()\n"
        f"finally: print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED []" in run.stdout
    for verb in cli.VERBS:
        assert f"\n  {verb} " in run.stdout


def test_help_names_every_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    assert "3  a device failed its identity check; nothing was written" in text
    assert "..." not in text.split("Commands:")[1], "a verb's line of help is cut off"


def test_every_exit_status_of_an_error_is_in_the_help() -> None:
    def below(kind: type[EdgectlError]) -> list[type[EdgectlError]]:
        return [kind, *(each for sub in kind.__subclasses__() for each in below(sub))]

    said = {int(line.split()[0]) for line in cli.EPILOG.splitlines() if line[2:3].isdigit()}
    assert {each.exit_code for each in below(EdgectlError)} <= said


def test_every_verb_in_the_table_has_its_module(root: Path) -> None:
    for verb in cli.VERBS:
        assert (root / "edgectl" / "cli" / f"{verb}.py").exists(), f"no module for {verb}"


def test_an_error_is_plain_text_and_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise IdentityError(
            where="MTR-01", problem="register 10 is 7, not 340", because="B.", remedy="R."
        )

    install_verb(monkeypatch, "refuse", refuse=refuse)
    assert status_of(monkeypatch, "refuse") == 3
    assert capsys.readouterr().err == "MTR-01: register 10 is 7, not 340\n  B.\n  R.\n"


def test_ctrl_c_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait() -> None:
        raise KeyboardInterrupt

    install_verb(monkeypatch, "wait", wait=wait)
    assert status_of(monkeypatch, "wait") == 130
    assert capsys.readouterr().err == ""


def test_a_verb_without_its_module_is_an_error_and_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(cli.VERBS, "nowhere", "made up")
    monkeypatch.setattr(sys, "argv", ["edgectl", "nowhere"])
    with pytest.raises(ModuleNotFoundError, match=r"edgectl\.cli\.nowhere"):
        cli.main()


def test_a_package_that_is_not_installed_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def heavy() -> None:
        raise ModuleNotFoundError("No module named 'pvlib'", name="pvlib")

    install_verb(monkeypatch, "heavy", heavy=heavy)
    assert status_of(monkeypatch, "heavy") == 1
    assert "pip install 'edgectl[demo]'" in capsys.readouterr().err


def test_a_wrong_verb_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "chekc") == 2
    assert "check" in capsys.readouterr().err
