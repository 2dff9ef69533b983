"""A site whose plant and controller have two register maps of the device under a stop test.

What a device does need not be what its map says, and that is what the test is for.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from free_ports import free_ports

from edgectl.plant.host import HostOptions, WireHost
from edgectl.site_model import load_site

EDGECTL = [sys.executable, "-m", "edgectl.cli.main"]
NOON_UTC_NS = 1_690_049_000_000_000_000
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
"""
BATTERY = """
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
cause = { tag = "PCS-01.age", above_s = 1.0, reset_below_s = 0.5 }
on_bad_quality = "trip"
on_delay_ms = 0
off_delay_ms = 100
reset = "operator"
bypass = "never"
effect = { asset = "BESS-01", action = "zero" }
why = "I16"
proof_test = "FAT-01"
"""
PV = """
[[pv]]
id = "SOLAR-1"
power = "PV-01.active_power"
rating_w = 15_000_000
limit = "PV-01.active_power_limit"
refresh_ms = 400
{extra}
[[interlock]]
id = "IL-CUT"
title = "Generation lost"
group = "SOLAR-1"
priority = "low"
cause = {{ {cause} }}
on_bad_quality = "trip"
on_delay_ms = 0
off_delay_ms = 100
reset = "auto"
bypass = "never"
effect = {{ action = "alarm" }}
why = "Somebody should look."
proof_test = "FAT-01"
"""
METER = "meter/schneider-pm5560"
COMMON = {"GRID-01": "meter/socomec-diris-a14", "MTR-01": METER}


class Rig:
    """A site file for the controller, another for the plant, and a shared-memory folder.

    profiles  of the device under test, whose profile is own.toml, by the time after which it
              reverts, ms; 0: never. The controller's is the first
    """

    def __init__(
        self, folder: Path, devices: dict[str, str], assets: str, profiles: dict[int, str]
    ) -> None:
        self.folder, self.profiles = folder, profiles
        (self.device,) = (id_ for id_, profile in devices.items() if profile == "own.toml")
        entries = "".join(
            f'[[device]]\nid = "{id_}"\nprofile = "{profile}"\nhost = "127.0.0.1"\n'
            f"port = {port}\nunit = 1\nreply_ms = 20\nstale_after_ms = 1000\n"
            for (id_, profile), port in zip(devices.items(), free_ports(len(devices)), strict=True)
        )
        self.text = SITE.format(pid=os.getpid(), devices=entries) + assets
        self.site = self._written(folder / "controller", next(iter(profiles.values())))
        roomy = self.text.replace("import_cap_w = 90", "import_cap_w = 180")  # plant: full at 90
        self.site.write_text(roomy)
        self.environment = os.environ | {"EDGECTL_SHM_DIR": str(folder)}

    def _written(self, folder: Path, profile: str) -> Path:
        folder.mkdir()
        (folder / "own.toml").write_text(profile)
        site = folder / "site.toml"
        site.write_text(self.text)
        return site

    @contextmanager
    def plant(self, revert_ms: int) -> Iterator[Any]:
        """The devices, the one under test reverting after so long; 0: never."""
        site = load_site(self._written(self.folder / "plant", self.profiles[revert_ms]))
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

    def start(self, power_w: float, *words: str) -> subprocess.Popen[str]:
        """The command, running."""
        return subprocess.Popen(
            [*EDGECTL, "stoptest", str(self.site), "--device", self.device, "--by", "a test",
             "--power-w", f"{power_w:g}", "--yes", "--json", *words],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, power_w: float, *words: str) -> tuple[int, dict[str, Any], str]:
        """The command to its end: status, JSON, what it said."""
        with self.start(power_w, *words) as running:
            told, said = running.communicate(timeout=90)
        assert told, said
        return running.returncode, json.loads(told.splitlines()[-1]), said


def battery_rig(root: Path, folder: Path, *, meter: bool) -> Rig:
    """A battery whose converter's map says that it reverts after 1 s; plants: 1 s or never."""
    shipped = (root / "firmware_profiles/storage/sunspec-der-storage.toml").read_text()
    shipped = shipped.replace("refresh_ms   = 1000", "refresh_ms   = 400")
    quick = shipped.replace('"u32:5"', '"u32:1"')
    profiles = {1000: quick.replace("revert_ms    = 5000", "revert_ms    = 1000")}
    profiles[0] = quick.replace("revert_ms    = 5000\n", "")
    assert profiles[0] != quick
    devices = COMMON | {"PCS-01": "own.toml", "BMS-01": "battery/byd-c130"}
    devices |= {"MTR-B1": METER} if meter else {}
    own = 'proof_meter = "MTR-B1.active_power"' if meter else ""
    return Rig(folder, devices, BATTERY.replace("{meter}", own), profiles)


def pv_rig(root: Path, folder: Path, *, meter: bool, budget_ms: int | None = None) -> Rig:
    """A PV block whose inverter's map says that it reverts after 2 s; plants: 2 s or never."""
    shipped = (root / "firmware_profiles/inverter/huawei-sun2000.toml").read_text()
    profiles = {0: shipped.replace("refresh_ms = 10_000 ", "refresh_ms = 400 ")}
    profiles = {
        2000: profiles[0].replace("refresh_ms = 400 ", "revert_ms = 2000\nrefresh_ms = 400 ")
    } | profiles
    assert len({shipped, *profiles.values()}) == 3
    devices = COMMON | {"PV-01": "own.toml"} | ({"MTR-S1": METER} if meter else {})
    extra = 'proof_meter = "MTR-S1.active_power"\n' if meter else ""
    extra += f"stop_budget_ms = {budget_ms}\n" if budget_ms else ""
    cause = 'tag = "PV-01.age", above_s = 60.0, reset_below_s = 0.5'
    if meter:
        cause = 'tag = "SOLAR-1.effect_error", above_w = 1e6, reset_below_w = 5e5'
    return Rig(folder, devices, PV.format(extra=extra, cause=cause), profiles)
