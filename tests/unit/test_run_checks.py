"""The order of the steps of ./tools/test, and that one that fails hides none."""

import shutil
from pathlib import Path

import pytest
import run_checks
from run_checks import CheckError, Step


def passes(_slow: bool) -> None:
    print("said by the step")


def fails(_slow: bool) -> None:
    raise CheckError("7 of 8")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of the steps in the order in which they ended; steps run here, not in processes."""
    ended: list[str] = []

    def here(step: Step, slow: bool) -> tuple[bool, str]:
        passed = run_checks.one(step, slow)
        ended.append(step.name)
        return passed, f"output of {step.name}\n"

    steps = (
        Step("timing", "first in the table", passes, alone=True),
        Step("bad", "fails", fails),
        Step("good", "passes", passes),
    )
    monkeypatch.setattr(run_checks, "apart", here)
    monkeypatch.setattr(run_checks, "STEPS", steps)
    monkeypatch.setattr(run_checks, "BUILD", tmp_path)
    return ended


def test_every_step_runs_though_one_fails_and_what_measures_time_runs_last(
    done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_checks.main([]) == 1
    assert sorted(done[:2]) == ["bad", "good"]
    assert done[2:] == ["timing"]
    output = capsys.readouterr().out
    assert "FAILED bad: 7 of 8" in output
    assert all(output.count(f"output of {name}\n") == 1 for name in done)
    closing = output.splitlines()[-1]
    assert " 1 failed (bad), 2 passed in " in closing
    assert closing == closing.strip(" ")
    assert closing.startswith("=")


def test_a_single_step_runs_here_and_shows_its_output(
    done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_checks.main(["--only", "good"]) == 0
    assert done == []
    assert "said by the step" in capsys.readouterr().out


def test_a_failed_step_inside_tells_its_parent(done: list[str]) -> None:
    assert run_checks.main(["--only", "bad", "--inside"]) == 1
    assert run_checks.main(["--only", "good", "--inside"]) == 0


def test_a_step_in_a_process_of_its_own_is_told_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "checks.py"
    script.write_text("import sys\nprint(sys.argv[1:])\nsys.exit('--slow' in sys.argv)\n")
    monkeypatch.setattr(run_checks, "__file__", str(script))
    monkeypatch.setattr(run_checks, "BUILD", tmp_path)
    step = Step("good", "passes", passes)
    words = "'--only', 'good', '--inside'"
    assert run_checks.apart(step, slow=False) == (True, f"[{words}]\n")
    assert run_checks.apart(step, slow=True) == (False, f"[{words}, '--slow']\n")


@pytest.mark.parametrize("named", ["gcc", ""])
def test_a_compiler_that_was_chosen_is_left_alone(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/ccache")
    monkeypatch.delenv("CC", raising=False)
    if named:
        monkeypatch.setenv("CC", named)
    assert ("CC" in run_checks.compiler()) is (not named)


def test_slow_tests_run_only_when_asked_for() -> None:
    assert run_checks.marks(False, "not alone") == "not alone and not slow"
    assert run_checks.marks(True, "not alone") == "not alone"
