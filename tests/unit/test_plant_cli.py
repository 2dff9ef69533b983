"""`edgectl plant` serves, says so in one line, and stops when asked."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from free_ports import free_ports

from edgectl.plant.start import parse_utc_ns

pytestmark = pytest.mark.untraced  # a process of its own: its lines are not collected
EDGECTL = [sys.executable, "-m", "edgectl.cli.main", "plant"]


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EDGECTL, *words], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


def free_site(root: Path, folder: Path) -> Path:
    """The demo with its ports moved to where nobody listens."""
    text = (root / "edgectl" / "sites" / "demo.toml").read_text()
    shipped = range(15020, 15037)
    for port, free in zip(shipped, free_ports(len(shipped)), strict=True):
        text = text.replace(str(port), str(free))
    path = folder / "moved.toml"
    path.write_text(text)
    return path


def test_it_serves_the_devices_asked_for_until_it_is_told_to_stop(
    root: Path, tmp_path: Path
) -> None:
    site = free_site(root, tmp_path)
    words = [str(site), "--devices", "MTR-01,IO-01", "--start", "2023-08-14T20:00:00"]
    words += ["--wiring-fault", "MTR-01=ct_x10", "--wiring-fault", "MTR-02=exchanged:MTR-03"]
    words += ["--der-setting", "PCS-01=UV1:0.7:2"]
    with subprocess.Popen(
        [*EDGECTL, *words],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest, log = process.communicate(timeout=20)
        assert process.returncode == 0
    assert rest == "", "one line for programs; what people read is on standard error"
    told = [re.split(r"\s{2,}", line.partition("] ")[2]) for line in log.splitlines()]
    assert [line[0] for line in told] == [
        "plant.started", *["plant.fault_injected"] * 3, "plant.stopped",
    ]  # fmt: skip
    assert "devices=2" in told[0][1]
    assert [line[1] for line in told[1:]] == [
        "device=MTR-01 fault=ct_x10",
        "device=MTR-02 fault=exchanged:MTR-03",
        "device=PCS-01 fault=UV1:0.7:2",
        "requests=0 site=demo",
    ]
    assert ready["event"] == "plant.ready"
    assert ready["devices"] == ["MTR-01", "IO-01"]
    assert ready["start_utc"] == "2023-08-14T20:00:00+00:00"
    assert "climatology" in ready["traces"]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["demo", "--scenario", "storm"], 2, "storm"),
        (["demo", "--start", "yesterday"], 2, "yesterday"),
        (["demo", "--devices", "MTR-77", "--start", "2023-08-14"], 8, "no such device"),
        (["demo", "--data", "/nowhere"], 9, "no file"),
        (["nosite"], 2, "nosite"),
    ],
)
def test_a_wrong_word_is_refused_with_its_status(
    root: Path, words: list[str], status: int, told: str
) -> None:
    done = run(root, *words)
    assert done.returncode == status, done.stderr
    assert told in done.stderr
    # Once the site is known, a plant that does not come up stands in its log, too.
    assert ("plant.failed" in done.stderr) == (status in (8, 9))


def test_a_start_without_offset_is_utc() -> None:
    assert parse_utc_ns("1970-01-01T01:00:00") == 3_600_000_000_000
    assert parse_utc_ns("1970-01-01T01:00:00+01:00") == 0
