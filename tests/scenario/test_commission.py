"""`edgectl commission` as a user meets it: real processes, real sockets, faults in the wiring."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from site_rig import demo_elsewhere

pytestmark = pytest.mark.wire
EDGECTL = [sys.executable, "-m", "edgectl.cli.main"]
RESET_S = 13.0  # until the plant's reset button and the auto rows have let the batteries go
FAULTS = ("MTR-03=ct_reversed", "AUX-02=word_swap")


@pytest.fixture
def site(root: Path, tmp_path: Path) -> Path:
    """The demo site under another id and on free ports."""
    return demo_elsewhere(root, tmp_path, "com")


@pytest.fixture
def environment(root: Path, tmp_path: Path) -> dict[str, str]:
    """A shared-memory directory of the test's own."""
    python_path = os.environ.get("PYTHONPATH", str(root))
    return os.environ | {"EDGECTL_SHM_DIR": str(tmp_path), "PYTHONPATH": python_path}


@contextmanager
def plant_of(
    site: Path, environment: dict[str, str], faults: Sequence[str]
) -> Iterator[subprocess.Popen[str]]:
    """The campus with these faults, listening."""
    options = [word for fault in faults for word in ("--wiring-fault", fault)]
    with process(["plant", str(site), "--scenario", "steady", *options], environment) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["event"] == "plant.ready"
        yield running


@contextmanager
def process(words: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until it is asked to stop."""
    with subprocess.Popen(
        [*EDGECTL, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    ) as running:  # fmt: skip
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(20)


def commission(*words: str | Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EDGECTL, "commission", *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_two_faults_on_the_wire_are_named_with_their_lines(
    site: Path, environment: dict[str, str]
) -> None:
    with plant_of(site, environment, FAULTS):
        ended = commission(site, "--seconds", "4", "--json", environment=environment)
    assert ended.returncode == 1, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    named = {(each["kind"], tuple(each["devices"])) for each in found["findings"]}
    assert named == {("sign", ("MTR-03",)), ("word_order", ("AUX-02",))}
    lines = {each["line"] for finding in found["findings"] for each in finding["changes"]}
    assert lines == {'sign = "export_positive"', 'word_order = "low_first"'}
    assert 0.0 < found["residual_w"] < 0.06 * found["flow_w"]
    assert found["ok"] is False


@pytest.mark.slow
def test_a_step_through_a_running_controller_names_a_reversed_command(
    site: Path, environment: dict[str, str]
) -> None:
    with (
        plant_of(site, environment, ["PCS-01=command_reversed"]),
        process(["run", str(site), "--no-services"], environment),
    ):
        time.sleep(RESET_S)
        words = ("--seconds", "3", "--step", "BESS-01=2MW", "--json")
        ended = commission(site, *words, environment=environment)
    found = json.loads(ended.stdout.splitlines()[-1])
    assert [(each["kind"], each["devices"]) for each in found["findings"]] == [
        ("command_sign", ["PCS-01"])
    ]
    assert ended.returncode == 1


@pytest.mark.slow
def test_without_one_device_nothing_is_measured(site: Path, environment: dict[str, str]) -> None:
    ended = commission(site, "--seconds", "2", environment=environment)
    assert ended.returncode == 2, ended.stderr
    assert "could not be: see above" in ended.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--step", "BESS-09=2MW"], "batteries: BESS-01, BESS-02"),
        (["--step", "BESS-01=50MW"], "can be"),
        (["--step", "BESS-01=2MW"], "no controller runs for this site"),
    ],
)
def test_a_step_is_refused_before_anything_is_contacted(
    site: Path, environment: dict[str, str], words: list[str], told: str
) -> None:
    ended = commission(site, *words, environment=environment)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
