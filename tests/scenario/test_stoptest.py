"""`edgectl stoptest` on the wire, against the simulated plant with a converter of shorter patience.

The plant and the controller are given the same site with two register maps: what the
converter does need not be what its map says, and that is what the test is for.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_ports

from edgectl._kernel.journal import MailKind
from edgectl.controller.runtime import RuntimeOptions
from edgectl.controller.session import Session
from edgectl.image import Mailbox
from edgectl.plant.host import HostOptions, WireHost
from edgectl.site_model import compile_tables, load_site
from edgectl.site_model.proofs import load_proofs, unproven

EDGECTL = [sys.executable, "-m", "edgectl.cli.main"]
NOON_UTC_NS = 1_690_049_000_000_000_000
DEVICES = {
    "GRID-01": "meter/socomec-diris-a14",
    "MTR-01": "meter/schneider-pm5560",
    "PCS-01": "pcs.toml",
    "BMS-01": "battery/byd-c130",
    "MTR-B1": "meter/schneider-pm5560",
}
POWER_W = 2e6

SITE = """
schema = "edgectl.site/1"
site.id = "stop-{pid}"
site.name = "Stop"
site.zone = "US-TEX-ERCO"
site.latitude_deg = 32.9
site.longitude_deg = -97.0
scan = {{ period_ms = 100, read_lead_ms = 60 }}
controller = {{ arm = "auto", proofs = "site.proofs.toml" }}
[grid]
power = "GRID-01.active_power"
import_cap_w = 90_000_000
import_guard_w = 100_000
export_max_w = 0
[carbon]
basis = "direct, location average"
default_g_per_kwh = 480.0
high_g_per_kwh = 400.0
low_g_per_kwh = 300.0
pv_g_per_kwh = 0.0
initial_stock_g_per_kwh = 480.0
{devices}
[[load]]
id = "IT-A"
kind = "it"
power = "MTR-01.active_power"
worst_case_w = 90_000_000
[[battery]]
id = "BESS-01"
power = "PCS-01.active_power"
soc = "BMS-01.soc"
command = "PCS-01.active_power_setpoint"
{meter}
stop_budget_ms = 3000
charge_rating_w = 10_000_000
discharge_rating_w = 10_000_000
capacity_j = 144_000_000_000
reserve_ratio = 0.1
ready_ratio = 0.3
full_ratio = 0.9
ramp_w_per_s = 20_000_000
deadband_w = 50_000
economy_w = 0
refresh_ms = 400
dwell_ms = 60_000
readback_tolerance_w = 50_000
charge_efficiency = 0.95
discharge_efficiency = 0.95
[[interlock]]
id = "IL-LOST"
title = "Converter silent"
group = "BESS-01"
priority = "high"
cause = {{ tag = "PCS-01.age", above_s = 1.0, reset_below_s = 0.5 }}
on_bad_quality = "trip"
on_delay_ms = 0
off_delay_ms = 100
reset = "operator"
bypass = "never"
effect = {{ asset = "BESS-01", action = "zero" }}
why = "I16"
proof_test = "FAT-01"
"""


class Rig:
    """A site file for the controller, another for the plant, and a shared-memory folder."""

    def __init__(self, root: Path, folder: Path, *, meter: bool) -> None:
        self.folder = folder
        shipped = (root / "firmware_profiles/storage/sunspec-der-storage.toml").read_text()
        shipped = shipped.replace("refresh_ms   = 1000", "refresh_ms   = 400")
        quick = shipped.replace('"u32:5"', '"u32:1"')
        self.profile_ms = {1000: quick.replace("revert_ms    = 5000", "revert_ms    = 1000")}
        self.profile_ms[0] = quick.replace("revert_ms    = 5000\n", "")
        assert self.profile_ms[0] != quick
        ports = free_ports(len(DEVICES))
        devices = "".join(
            f'[[device]]\nid = "{id_}"\nprofile = "{profile}"\nhost = "127.0.0.1"\n'
            f"port = {port}\nunit = 1\nreply_ms = 20\nstale_after_ms = 1000\n"
            for (id_, profile), port in zip(DEVICES.items(), ports, strict=True)
            if meter or id_ != "MTR-B1"
        )
        self.text = SITE.format(
            pid=os.getpid(),
            devices=devices,
            meter='proof_meter = "MTR-B1.active_power"' if meter else "",
        )
        self.site = self._written(folder / "controller", self.profile_ms[1000])
        roomy = self.text.replace("import_cap_w = 90", "import_cap_w = 180")  # plant: full at 90
        self.site.write_text(roomy)
        self.environment = os.environ | {"EDGECTL_SHM_DIR": str(folder)}

    def _written(self, folder: Path, profile: str) -> Path:
        folder.mkdir()
        (folder / "pcs.toml").write_text(profile)
        site = folder / "site.toml"
        site.write_text(self.text)
        return site

    @contextmanager
    def plant(self, revert_ms: int) -> Iterator[Any]:
        """The devices, with a converter that reverts after so long; 0: never."""
        site = load_site(self._written(self.folder / "plant", self.profile_ms[revert_ms]))
        host = WireHost(site, HostOptions(start_utc_ns=NOON_UTC_NS, scenario="steady"))
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        wire = host.wire()
        asyncio.run_coroutine_threadsafe(wire.start(), loop).result(10)
        try:
            yield host.plant
        finally:
            asyncio.run_coroutine_threadsafe(wire.stop(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [*EDGECTL, "stoptest", str(self.site), "--device", "PCS-01", "--by", "a test",
             "--power-w", f"{POWER_W:g}", "--yes", "--json", *words],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """The command to its end: status, JSON, what it said."""
        with self.start(*words) as running:
            told, said = running.communicate(timeout=90)
        assert told, said
        return running.returncode, json.loads(told.splitlines()[-1]), said


@pytest.mark.slow
@pytest.mark.parametrize(("meter", "mode"), [(True, "silent"), (False, "no_writes")])
def test_a_converter_that_falls_back_is_proven_and_its_site_may_be_armed(
    root: Path, tmp_path: Path, meter: bool, mode: str
) -> None:
    rig = Rig(root, tmp_path, meter=meter)
    assert unproven(load_site(rig.site)), "before the test it must not be"
    with rig.plant(revert_ms=1000) as plant:
        status, told, said = rig.run("--observe-s", "20")
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
    rig = Rig(root, tmp_path, meter=True)
    with rig.plant(revert_ms=0) as plant:
        status, told, said = rig.run("--observe-s", "4")
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
    rig = Rig(root, tmp_path, meter=True)
    with rig.plant(revert_ms=0) as plant:
        with rig.start("--observe-s", "60") as running:
            end_s = time.monotonic() + 30.0
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
    rig = Rig(root, tmp_path, meter=True)
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        "edgectl.controller.session.emit", lambda _, name, **fields: told.append((name, fields))
    )
    site = load_site(rig.site)
    with rig.plant(revert_ms=1000):
        session = Session(site, compile_tables(site), RuntimeOptions(realtime=False))
        stop, looks = threading.Event(), iter(range(100))

        def look() -> None:
            at = next(looks)
            if at == 1:
                with Mailbox(session.path) as mailbox:
                    mailbox.put(MailKind.MAIL_ARM, 0, 0.0, 0, 5.0)
            if at == 4:
                assert not session.reader.snapshot()["record"]["armed"]
                stop.set()

        session.run(stop, look)
    refused = [fields for name, fields in told if name == "controller.arm_refused"]
    assert [each["by"] for each in refused] == ["start", "request"]
    assert refused[0]["reasons"] == [str(each) for each in unproven(site)]
    written = [fields["setpoints_written"] for name, fields in told if name.endswith("stopped")]
    assert written == [0]
