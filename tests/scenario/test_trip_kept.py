"""A wrong input, a kill and a pulled cable, as a user meets them: latched, told, and on file."""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from controller_rig import EDGECTL, Running, controller, wait_for
from site_rig import demo_elsewhere, served

from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl.blackbox import entries, read_blackbox, read_header
from edgectl.controller.retain import LatchFile, latches_path
from edgectl.image import Mailbox, SegmentReader
from edgectl.plant import wire
from edgectl.site_model import Site, load_site

TRIPPED, LATCHED = InterlockStatus.INTERLOCK_TRIPPED, InterlockStatus.INTERLOCK_LATCHED


class Guarded(Running):
    """Its rows, and what an operator may do about them."""

    def __init__(self, site: Site, child: subprocess.Popen[bytes], reader: SegmentReader) -> None:
        super().__init__(site, child, reader)
        self.rows = {row.id: at for at, row in enumerate(site.interlocks)}

    def status(self, row: str) -> int:
        return int(self.reader.snapshot()["interlocks"][self.rows[row]]["status"])

    def reset(self) -> None:
        """Everything that an operator may."""
        with Mailbox(self.site.path.parent / f"edgectl-{self.site.id}.seg") as mailbox:
            mailbox.put(MailKind.MAIL_RESET, -1, 0.0, int(Reset.RESET_OPERATOR), 5.0)

    def clear(self) -> bool:
        """Reset what may be reset; whether nothing stands any more."""
        self.reset()
        time.sleep(0.25)
        return int(self.reader.snapshot()["record"]["tripped"]) == 0

    def opens(self) -> bool:
        """Whether the I/O module shows the request to open the breakers."""
        names = [str(each["name"]) for each in self.reader.directory["points"]]
        at = names.index("IO-01.open_request_readback")
        return bool(self.reader.snapshot()["samples"]["value"][at])


def ask(folder: Path, *words: str) -> dict[str, Any]:
    """What a command prints with --json."""
    environment = os.environ | {"EDGECTL_SHM_DIR": str(folder)}
    data = ("--data-dir", str(folder / "data"))
    ended = subprocess.run(
        [*EDGECTL, *words, *data, "--json"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Inputs of the simulated I/O module that read 0 whatever the plant says."""
    inputs: set[str] = set()
    sound = wire.slot_words

    def slot_words(slot: Any, plant: Any, low_first: bool) -> Sequence[int]:
        return [0] if slot.point.name in inputs else sound(slot, plant, low_first)

    monkeypatch.setattr(wire, "slot_words", slot_words)
    return inputs


@pytest.mark.slow
def test_an_estop_outlives_a_kill_and_a_pulled_cable_is_explained_and_on_file(
    root: Path, tmp_path: Path, opened: set[str]
) -> None:
    path = demo_elsewhere(root, tmp_path, "kept")
    site = load_site(path)
    latches = latches_path(tmp_path / "data", site.id)
    with served(site, standing=False) as plant:
        with controller(path, site, Guarded) as running:
            wait_for(running.clear, "every row clear")
            opened.add("estop_channel_a")
            wait_for(lambda: running.status("IL-ESTOP") == TRIPPED, "the E-stop")
            wait_for(running.opens, "the request to open")
            opened.clear()
            wait_for(lambda: running.status("IL-ESTOP") == LATCHED, "the latch")
            wait_for(lambda: kept(latches) == ["IL-ESTOP"], "the latch on disk")
            wait_for(lambda: "IL-ESTOP" in on_file(tmp_path), "the black box")
            running.child.kill()
            running.child.wait(10)

        with controller(path, site, Guarded) as running:
            row = running.reader.snapshot()["interlocks"][running.rows["IL-ESTOP"]]
            assert (row["status"], row["start"], row["first_out"]) == (LATCHED, 0, 1)
            wait_for(running.opens, "the request to open, again")
            running.reset()
            time.sleep(0.5)
            assert running.status("IL-ESTOP") == LATCHED, "no reset from afar is heard"
            answer = ask(tmp_path, "why", "IL-ESTOP", "--site", site.id)
            assert "kept over the restart" in answer["rows"][0]["since"]
            assert "reset at the cabinet" in answer["rows"][0]["reset"]

            port = site.device("BMS-01").port
            server = next(
                each for each in plant.wire._servers if each.comm_params.source_address[1] == port
            )
            wait_for(lambda: running.status("IL-BESS-01-BMS-LOST") == 0, "the BMS heard")
            plant.call(server.shutdown())  # the cable is out
            wait_for(lambda: running.status("IL-BESS-01-BMS-LOST") == TRIPPED, "the loss")
            wait_for(lambda: "IL-BESS-01-BMS-LOST" in on_file(tmp_path), "its black box")
            answer = ask(tmp_path, "why", "BESS-01", "--site", site.id)
            lost = next(each for each in answer["rows"] if each["id"] == "IL-BESS-01-BMS-LOST")
            assert lost["causes"][0]["tripping"] is True
            assert lost["causes"][0]["value"] > 1.0
            assert {"interlock", "soc_unknown"} <= set(answer["codes"])
    listed = ask(tmp_path, "blackbox", "list")["files"]
    assert {each["state"] for each in listed} <= {"truncated", "complete"}, "none is left open"
    found = map(read_blackbox, boxes(tmp_path))
    box, trip = next((box, trip) for box in found for trip in box.triggers if trip.id == "IL-ESTOP")
    at = box.records["head"]["seq"].tolist().index(trip.seq)
    causes = box.decoder().values(box.records[at])
    assert causes["IO-01.estop_channel_a"].value == 0.0
    assert causes["IO-01.estop_channel_b"].value == 1.0
    log = (tmp_path / "run.log").read_text()
    assert "latches.restored" in log
    assert "Traceback" not in log


def kept(path: Path) -> list[str]:
    """Rows that are latched on the disk."""
    found = LatchFile(path).read() if path.exists() else None
    return [] if found is None else [each.id for each in found.latches if each.standing]


def on_file(folder: Path) -> set[str]:
    """Rows whose trip is in any black box."""
    return {str(each["id"]) for path in boxes(folder) for each in read_header(path)["triggers"]}


def boxes(folder: Path) -> list[Path]:
    return [each.path for each in entries(folder / "data" / "blackbox")]


@pytest.mark.slow
def test_a_proof_test_at_a_running_site_is_timed_and_kept(root: Path, tmp_path: Path) -> None:
    path = demo_elsewhere(root, tmp_path, "proof")
    site = load_site(path)
    with served(site, standing=False), controller(path, site, Guarded) as running:
        wait_for(running.clear, "every row clear")
        words = ("prooftest", str(path), "IL-BESS-01-T-TRIP", "--by", "A. Name", "--yes")
        (result,) = ask(tmp_path, *words)["results"]
        assert result["passed"], result["why"]
        assert 1000.0 - 10.0 <= result["reaction_ms"] <= result["bound_ms"] + 10.0
        assert result["output_ms"] is not None
        assert result["latched"] is True
        assert running.status("IL-BESS-01-T-TRIP") == 0
        time.sleep(0.3)
        assert not running.reader.snapshot()["record"]["maintenance"]
