"""`edgectl run` and `edgectl demo` as a user meets them: real processes, real sockets."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_rig import demo_elsewhere

from edgectl.plant.fault_server import FaultServer

pytestmark = pytest.mark.untraced  # a process of its own: its lines are not collected
EDGECTL = [sys.executable, "-m", "edgectl.cli.main"]


@pytest.fixture
def site(root: Path, tmp_path: Path) -> Path:
    """The demo site under another id and on other ports, so that a demo may run beside."""
    return demo_elsewhere(root, tmp_path, "run")


@pytest.fixture
def environment(root: Path) -> Iterator[dict[str, str]]:
    """A shared-memory directory of the test's own: in memory, where no scan waits for a disk."""
    python_path = os.environ.get("PYTHONPATH", str(root))
    with tempfile.TemporaryDirectory(prefix="edgectl-test-", dir="/dev/shm") as place:
        yield os.environ | {"EDGECTL_SHM_DIR": place, "PYTHONPATH": python_path}


def edgectl(
    *arguments: str | Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*EDGECTL, *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def events_of(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The events of a log in JSON lines by name; what is printed for people is passed over."""
    lines = [line for line in ended.stderr.splitlines() if line.startswith("{")]
    return {event["event"]: event for event in map(json.loads, lines)}


@pytest.mark.alone
@pytest.mark.wire
def test_a_site_without_one_reachable_device_still_scans_and_writes_nothing(
    site: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    ended = edgectl(
        *("run", site, "--no-services", "--scans", "30", "--report", report, "--log-json"),
        environment=environment,
    )
    assert ended.returncode == 0, ended.stderr
    told = events_of(ended)
    assert told["site.loaded"]["sha256"] == hashlib.sha256(site.read_bytes()).hexdigest()
    assert told["site.loaded"]["path"] == str(site)
    assert told["controller.stopped"]["setpoints_written"] == 0
    assert told["controller.stopped"]["cause"] == "scans done"
    assert "controller.failed" not in told
    figures = json.loads(report.read_text())
    assert figures["scans"] >= 30
    assert figures["missed_while_witness_on_time"] == 0


def test_a_device_that_is_not_what_its_profile_says_stops_the_run_before_any_write(
    site: Path, environment: dict[str, str]
) -> None:
    converter_port = int(
        re.findall(r'id      = "PCS-01"(?:.|\n)*?port\s+= (\d+)', site.read_text())[0]
    )
    with FaultServer(port=converter_port) as impostor:  # its registers read as their addresses
        ended = edgectl("run", site, "--no-services", "--log-json", environment=environment)
    assert ended.returncode == 3, ended.stderr
    told = events_of(ended)
    who = f"PCS-01 at 127.0.0.1:{converter_port}/1 is no storage/"
    assert told["controller.stopped"]["cause"].startswith(who)
    assert told["controller.failed"]["error"].startswith(f"{site}: {who}")
    assert f"PCS-01 at 127.0.0.1:{converter_port}/1 is no" in ended.stderr
    assert "Nothing was written to any device." in ended.stderr
    assert {request.function for request in impostor.requests} <= {3, 4}


def test_a_broken_site_file_is_refused_before_any_device_is_contacted(
    site: Path, environment: dict[str, str]
) -> None:
    site.write_text(site.read_text().replace("import_cap_w", "import_cap_mw", 1))
    ended = edgectl("run", site, "--log-json", environment=environment)
    assert ended.returncode == 2
    (problem, *_) = events_of(ended)["site.refused"]["problems"]
    assert "wrong unit: import_cap_mw" in problem
    assert "wrong unit: import_cap_mw; the key is import_cap_w, in W" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.alone
@pytest.mark.wire
def test_the_demo_holds_the_cap_and_loses_nothing_when_its_services_are_killed(
    environment: dict[str, str], site: Path, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.json"
    ended = edgectl(
        *("demo", site, "--seconds", "24", "--summary", summary, "--kill-services", "2"),
        environment=environment,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(summary.read_text())
    assert found["scans"] + found["overruns"] >= 236
    assert found["missed_while_witness_on_time"] == 0
    assert found["devices"] >= 12
    assert found["setpoints_written"] > 0
    assert found["readback_ok"] is True
    assert (found["balance_error_mj"], found["balance_error_ug"]) == (0, 0)
    assert found["journal_gap_records"] == 0
    assert found["load_peak_w"] > found["import_cap_w"], "the load alone must exceed the cap"
    assert found["grid_peak_w"] <= 1.02 * found["import_cap_w"]
    assert sum(found["energy_mj_by_path"].values()) > 0
    reported = edgectl(
        *("report", "--ledger", found["ledger"], "--site", site, "-o", tmp_path / "report"),
        *("--only", "json,html"),
        environment=environment,
    )
    assert reported.returncode == 0, reported.stderr
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert document["site"]["site_file_is_the_ledgers"]
    # The summary counted the journal, the report the ledger: neither knows of the other.
    for name in ("mj", "ug"):
        counted = found["energy_mj_by_path" if name == "mj" else "carbon_ug_by_path"]
        assert document["check"][f"paths_{name}"] == sum(counted.values())
        assert document["check"][f"difference_{name}"] == 0
