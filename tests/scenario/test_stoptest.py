"""`edgectl stoptest` on the wire: a battery's converter of shorter patience, and an inverter."""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from stop_rig import battery_rig, pv_rig

from edgectl._kernel.journal import MailKind
from edgectl.controller.runtime import RuntimeOptions
from edgectl.controller.session import Session
from edgectl.image import Mailbox
from edgectl.site_model import compile_tables, load_site
from edgectl.site_model.proofs import load_proofs, unproven

pytestmark = pytest.mark.wire
POWER_W = 2e6
LIMIT_W = -3e6


@pytest.mark.slow
@pytest.mark.parametrize(("meter", "mode"), [(True, "silent"), (False, "no_writes")])
def test_a_converter_that_falls_back_is_proven_and_its_site_may_be_armed(
    root: Path, tmp_path: Path, meter: bool, mode: str
) -> None:
    rig = battery_rig(root, tmp_path, meter=meter)
    assert unproven(load_site(rig.site)), "before the test it must not be"
    with rig.plant(revert_ms=1000) as plant:
        status, told, said = rig.run(POWER_W, "--observe-s", "20")
        assert status == 0, said
        assert abs(plant.read("storage0.power_w")) < 1e4
    found = told["stops"][0]
    assert (found["mode"], found["independent"], found["outcome"]) == (mode, meter, "to zero")
    assert 1000 <= found["stop_ms"] <= 2200, "1 s of patience, a ramp, and our own reading"
    assert found["resolution_ms"] <= 500
    proof = load_proofs(rig.site.parent / "site.proofs.toml")[0]
    assert (proof.stop_ms, proof.by, proof.power_w) == (found["stop_ms"], "a test", POWER_W)
    assert unproven(load_site(rig.site)) == ()
    assert "silence begins" in said


@pytest.mark.slow
def test_one_that_keeps_its_setpoint_is_recorded_so_and_brought_to_zero(
    root: Path, tmp_path: Path
) -> None:
    rig = battery_rig(root, tmp_path, meter=True)
    with rig.plant(revert_ms=0) as plant:
        status, told, said = rig.run(POWER_W, "--observe-s", "4")
        assert status == 1, said
        assert plant.read("storage0.setpoint_w") == 0.0, "it was written to again at the end"
        end_s = time.monotonic() + 2.0
        while abs(plant.read("storage0.power_w")) >= 1e4:
            assert time.monotonic() < end_s, "the power follows"
    found = told["stops"][0]
    assert (found["outcome"], found["stop_ms"]) == ("kept its setpoint", None)
    assert found["observed_ms"] >= 3500
    assert "it kept its setpoint" in unproven(load_site(rig.site))[0].reason
    assert compile_tables(load_site(rig.site)).scan["may_arm"][0] == 0


def test_ctrl_c_in_the_middle_leaves_the_battery_at_zero_and_the_record_as_it_was(
    root: Path, tmp_path: Path
) -> None:
    rig = battery_rig(root, tmp_path, meter=True)
    with rig.plant(revert_ms=0) as plant:
        with rig.start(POWER_W, "--observe-s", "60") as running:
            end_s = time.monotonic() + 90.0
            assert running.stderr is not None
            while "silence begins" not in running.stderr.readline():
                assert time.monotonic() < end_s
            assert plant.read("storage0.power_w") == pytest.approx(POWER_W, rel=0.05)
            running.send_signal(signal.SIGINT)
            told, said = running.communicate(timeout=20)
        assert running.returncode == 2, said
        assert "it was stopped" in json.loads(told.splitlines()[-1])["error"]
        assert plant.read("storage0.setpoint_w") == 0.0, "the power follows within a second"
    assert not (rig.site.parent / "site.proofs.toml").exists()


def test_an_unproven_site_is_sensed_and_not_armed_and_each_refusal_says_why(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = battery_rig(root, tmp_path, meter=True)
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        "edgectl.controller.session.emit", lambda _, name, **fields: told.append((name, fields))
    )
    site = load_site(rig.site)
    with rig.plant(revert_ms=1000):
        session = Session(site, compile_tables(site), RuntimeOptions(realtime=False))
        stop, looks = threading.Event(), iter(range(100))

        def refusals() -> list[dict[str, Any]]:
            return [fields for name, fields in told if name == "controller.arm_refused"]

        def look() -> None:
            if next(looks) == 1:
                with Mailbox(session.path) as mailbox:
                    mailbox.put(MailKind.MAIL_ARM, 0, 0.0, 0, 5.0)
            if len(refusals()) == 2:  # the kernel has taken the request
                assert not session.reader.snapshot()["record"]["armed"]
                stop.set()

        session.run(stop, look)
    refused = refusals()
    assert [each["by"] for each in refused] == ["start", "request"]
    assert refused[0]["reasons"] == [str(each) for each in unproven(site)]
    written = [fields["setpoints_written"] for name, fields in told if name.endswith("stopped")]
    assert written == [0]


# ---- an inverter


def await_limit(plant: Any, limit_w: float) -> None:
    """The second run of the controller lifted the limit; the plant takes a write at its step."""
    end_s = time.monotonic() + 2.0
    while plant.read("pv0.limit_w") != limit_w:
        assert time.monotonic() < end_s, plant.read("pv0.limit_w")


@pytest.mark.slow
@pytest.mark.parametrize(("meter", "mode"), [(True, "silent"), (False, "no_writes")])
def test_an_inverter_that_lifts_its_limit_is_timed_recorded_and_let_go(
    root: Path, tmp_path: Path, meter: bool, mode: str
) -> None:
    rig = pv_rig(root, tmp_path, meter=meter)
    (before,) = unproven(load_site(rig.site))
    assert "never proven" in before.reason
    with rig.plant(revert_ms=2000) as plant:
        status, told, said = rig.run(LIMIT_W, "--observe-s", "20")
        assert status == 0, said
        await_limit(plant, 15e6)
    found = told["stops"][0]
    assert (found["mode"], found["independent"]) == (mode, meter)
    assert found["observed_through"] == ("MTR-S1" if meter else "PV-01") + ".active_power"
    assert found["outcome"] == "limit lifted"
    assert 2000 <= found["stop_ms"] <= 3500, "2 s of patience, a ramp, and our own reading"
    (proof,) = load_proofs(rig.site.parent / "site.proofs.toml")
    assert (proof.stop_ms, proof.power_w, proof.independent) == (found["stop_ms"], LIMIT_W, meter)
    assert unproven(load_site(rig.site)) == ()
    assert compile_tables(load_site(rig.site)).scan["may_arm"][0] == 1
    assert "may generate 15 MW again" in said


@pytest.mark.slow
def test_an_inverter_that_keeps_its_limit_does_not_hold_a_budget_to_zero(
    root: Path, tmp_path: Path
) -> None:
    rig = pv_rig(root, tmp_path, meter=True, budget_ms=5000)
    with rig.plant(revert_ms=0) as plant:
        status, told, said = rig.run(LIMIT_W, "--observe-s", "4")
        assert status == 1, said
        await_limit(plant, 15e6)
    found = told["stops"][0]
    assert (found["outcome"], found["stop_ms"]) == ("kept its setpoint", None)
    (refused,) = unproven(load_site(rig.site))
    assert "PV-01 did not go to zero" in refused.reason
    assert "the budget to zero is 5 s" in refused.reason
    assert compile_tables(load_site(rig.site)).scan["may_arm"][0] == 0
