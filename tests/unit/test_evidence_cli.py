"""`edgectl why`, `blackbox` and `prooftest` as a person at the terminal meets them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from event_log import EventLog
from trip_rig import SITE, TABLES, TripRig
from typer.testing import CliRunner, Result

from edgectl._kernel.kernel import Kernel
from edgectl.blackbox import entries
from edgectl.cli.main import command_line
from edgectl.errors import DataError, EdgectlError, SegmentError
from edgectl.image import create_segment
from edgectl.services.blackbox_feed import BlackboxFeed

pytestmark = pytest.mark.untraced  # minutes of simulated scans


class SharedRig(TripRig):
    """A rig whose segment other processes could see."""

    def restart(self) -> None:
        period_ns = SITE.scan.period_ns
        self.segment = create_segment(SITE.id, TABLES.directory, 3.0, period_ns)
        self.reader = self.segment.reader()
        self.kernel = Kernel(TABLES, self.segment.buffer)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    monkeypatch.setenv("EDGECTL_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def rig(folder: Path) -> Iterator[SharedRig]:
    made = SharedRig(utc_ns=1_690_049_000_000_000_000)
    yield made
    made.segment.close()


def edgectl(*words: str) -> Result:
    return CliRunner().invoke(command_line(words[0]), list(words))


def said(*words: str) -> str:
    """What a command that succeeds prints."""
    ended = edgectl(*words)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def refused(*words: str) -> EdgectlError:
    ended = edgectl(*words)
    assert isinstance(ended.exception, EdgectlError), ended.output
    return ended.exception


def frozen(rig: SharedRig, folder: Path) -> str:
    """Name of the black box of an E-stop."""
    feed = BlackboxFeed(SITE.id, folder / "data", EventLog())
    feed.attach(rig.reader)
    feed.pump()
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(301)
    feed.pump()
    (only,) = entries(folder / "data" / "blackbox")
    return only.path.name


# ---- why


def test_the_only_site_that_runs_need_not_be_named(rig: SharedRig) -> None:
    rig.want(0, 2e6)
    rig.scans(40)
    text = said("why", "BESS-01")
    assert "It does as it is asked" in text
    for step in ("wanted", "arbiter", "interlocks", "ramp", "read-back", "effect"):
        assert f"\n{step}" in text


def test_a_row_that_acts_is_told_with_what_must_happen(rig: SharedRig) -> None:
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(10)
    text = " ".join(said("why", "BESS-01", "--site", "demo").split())
    assert "held at zero by an interlock (IL-ESTOP)" in text
    assert "IO-01.estop_channel_a is 1; trips at 0" in text
    assert "somebody must press the reset at the cabinet" in text
    assert "De-energise to trip" in text


def test_a_past_scan_is_answered_from_the_journal_and_then_from_a_black_box(
    rig: SharedRig, folder: Path
) -> None:
    rig.inject("IL-ESTOP", 0.0)
    scan = int(rig.row("IL-ESTOP")["tripped_scan"])
    rig.scans(20)
    before = json.loads(said("why", "BESS-01", "--scan", str(scan - 1), "--json"))
    at_trip = json.loads(said("why", "BESS-01", "--scan", str(scan), "--json"))
    assert "interlock" not in before["codes"]
    assert "interlock" in at_trip["codes"]
    assert at_trip["source"] == "from the journal"
    assert any("not in a past record" in each for each in at_trip["missing"])


def test_a_scan_the_ring_has_lost_is_found_in_a_black_box(rig: SharedRig, folder: Path) -> None:
    name = frozen(rig, folder)
    scan = int(rig.row("IL-ESTOP")["tripped_scan"])
    utc_ns = int(rig.reader.journal(scan).records["head"]["utc_ns"][0])
    rig.scans(1900)  # the ring holds three minutes
    found = json.loads(said("why", "BESS-01", "--scan", str(scan), "--json"))
    assert found["source"] == f"from {name}"
    assert found["rows"][0]["id"] == "IL-ESTOP"
    by_file = json.loads(said("why", "BESS-01", "--file", name, "--json"))
    assert by_file["scan"] == scan
    by_time = json.loads(said("why", "BESS-01", "--at", iso(utc_ns), "--json"))
    assert by_time["scan"] == scan
    assert refused("why", "BESS-01", "--scan", "99999").exit_code == 9


def iso(utc_ns: int) -> str:
    """A moment as --at takes it."""
    return datetime.fromtimestamp(utc_ns / 1e9, UTC).isoformat()


def test_without_a_controller_or_a_file_it_says_what_to_do(folder: Path) -> None:
    error = refused("why", "BESS-01")
    assert isinstance(error, DataError)
    assert "--file FILE" in error.remedy
    assert isinstance(refused("why", "BESS-01", "--site", "demo"), SegmentError)


# ---- blackbox


def test_a_black_box_is_listed_shown_and_exported(rig: SharedRig, folder: Path) -> None:
    assert "No black box in" in said("blackbox", "list")
    name = frozen(rig, folder)
    assert name in said("blackbox", "list")
    (listed,) = json.loads(said("blackbox", "list", "--json"))["files"]
    assert (listed["state"], listed["trips"], listed["row"]) == ("complete", 1, "IL-ESTOP")
    text = said("blackbox", "show", name)
    assert "IL-ESTOP: E-stop pressed, or one of its two channels open" in text
    assert "FIRST OUT" in text
    assert "by a proof test" in text
    assert "The plant around it" in text
    whole = json.loads(said("blackbox", "show", name, "--json"))
    assert whole["first_out"]["id"] == "IL-ESTOP"
    said("blackbox", "export", name, "-o", str(folder / "trip.csv"))
    assert (folder / "trip.csv").read_text().startswith("ms,seq,scan,")
    assert edgectl("blackbox", "export", name, "-o", str(folder / "trip.xls")).exit_code == 2
    no_place = str(folder / "nowhere" / "trip.csv")
    assert "cannot be written" in refused("blackbox", "export", name, "-o", no_place).problem


def test_a_damaged_black_box_is_listed_as_such_and_not_shown(rig: SharedRig, folder: Path) -> None:
    name = frozen(rig, folder)
    path = folder / "data" / "blackbox" / name
    raw = bytearray(path.read_bytes())
    raw[60] ^= 1
    path.write_bytes(raw)
    (listed,) = json.loads(said("blackbox", "list", "--json"))["files"]
    assert "SHA-256" in listed["state"]
    assert refused("blackbox", "show", name).exit_code == 9


# ---- prooftest


def test_what_is_overdue_is_listed_with_exit_status_one(folder: Path) -> None:
    ended = edgectl("prooftest", "demo", "--due", "--json")
    assert ended.exit_code == 1
    found = json.loads(ended.stdout)
    assert len(found["overdue"]) == found["rows"] == len(SITE.interlocks)
    assert "never tested" in edgectl("prooftest", "demo", "--due").stdout


def test_a_test_is_not_begun_without_a_yes(rig: SharedRig) -> None:
    mailed = int(rig.segment.head["mailbox_head"][0])
    ended = CliRunner().invoke(command_line("prooftest"), ["prooftest", "demo", "IL-ESTOP"], "n\n")
    assert ended.exit_code == 2
    assert "IS ARMED: its batteries are really stopped and breakers are asked to open" in (
        ended.output.replace("\n", " ")
    )
    assert int(rig.segment.head["mailbox_head"][0]) == mailed


def test_another_site_file_than_the_one_that_runs_is_refused(
    rig: SharedRig, folder: Path, root: Path
) -> None:
    text = (root / "edgectl" / "sites" / "demo.toml").read_text()
    (folder / "demo.toml").write_text(text.replace("Demo campus", "Demo campus, changed"))
    (folder / "demo.proofs.toml").write_text("")
    error = refused("prooftest", str(folder / "demo.toml"), "IL-ESTOP", "--yes")
    assert "another version of the site file" in error.problem


def test_one_row_or_all_must_be_named(folder: Path) -> None:
    assert edgectl("prooftest", "demo").exit_code == 2
    assert edgectl("prooftest", "demo", "IL-ESTOP", "--all").exit_code == 2
