"""A controller without a kernel: fills a segment with plausible records, at any speed.

As a program:  python tests/fake_controller.py SITE [--seconds S] [--period-ms P]
prints "ready" once the segment is there and runs until SIGTERM or its time is over.
"""

import argparse
import signal
import sys
import time
from typing import Any

import numpy as np

from edgectl.image import Segment, create_segment

PERIOD_NS = 100_000_000
UTC_NS = 1_700_000_000_000_000_000
LOADS = ("IT-A", "IT-B", "AUX")
STORAGES = ("BESS-01", "BESS-02")
WIRE_POINTS = (
    ("GRID-01.active_power", "W", "GRID-01"),
    ("MTR-01.active_power", "W", "MTR-01"),
    ("MTR-02.active_power", "W", "MTR-02"),
    ("PV-01.active_power", "W", "PV-01"),
    ("PCS-01.active_power", "W", "PCS-01"),
    ("BMS-01.soc", "ratio", "BMS-01"),
)
GOOD = 2


def directory(site: str = "fake", period_ns: int = PERIOD_NS) -> dict[str, Any]:
    """The directory of a small site with two batteries."""
    points = [
        {"name": name, "unit": unit, "device": device, "journaled": True}
        for name, unit, device in WIRE_POINTS
    ]
    points += [{"name": "SITE.pue", "unit": "ratio", "device": "", "journaled": False}]
    devices = sorted({device for _, _, device in WIRE_POINTS})
    interlock = {"priority": "high", "why": "test", "reset": "auto", "effects": []}
    return {
        "site": site,
        "site_sha256": "0" * 64,
        "zone": "US-TEX-ERCO",
        "period_ns": period_ns,
        "points": points,
        "devices": [
            {
                "id": name,
                "profile": "meter/fake",
                "host": "127.0.0.1",
                "port": 1,
                "unit": 1,
                "turn_bound_ns": 184_000_000,
                "stale_after": [],
            }
            for name in devices
        ],
        "links": [{"address": "127.0.0.1:1", "devices": devices}],
        "interlocks": [
            interlock | {"id": f"IL-{row:02d}", "title": f"Row {row}"} for row in range(5)
        ],
        "storages": [{"id": name} for name in STORAGES],
        "pvs": [{"id": "PV-1"}],
        "loads": [
            {"id": "IT-A", "kind": "it", "power": "MTR-01.active_power"},
            {"id": "IT-B", "kind": "it", "power": "MTR-02.active_power"},
            {"id": "AUX", "kind": "aux", "power": "MTR-02.active_power"},
        ],
        "flexible": None,
        "import_cap_w": 78e6,
        "blackbox_keep_mb": 512,
        "groups": [],
        "mqtt": {"host": "127.0.0.1", "port": 1, "node": "edge-1"},
        "sources": ["grid", "pv", "unmetered", *STORAGES],
        "sinks": [*LOADS, *STORAGES, "export", "losses"],
    }


def flow_cells(seq: int, sources: int, sinks: int) -> tuple[np.ndarray, np.ndarray]:
    """Energy and carbon of every cell of scan `seq`, known to the tests too."""
    cell = np.arange(sources * sinks, dtype=np.int64).reshape(sources, sinks)
    energy_mj = (seq * 7919 + cell * 104_729) % 3_000_000_007
    energy_mj[1] = 0  # night: rows that stay empty must stay so in the ledger
    return energy_mj, (energy_mj * 133_333) // 1_000_000


class FakeController:
    """Writes what the kernel would, in the order the kernel would."""

    def __init__(self, segment: Segment, utc_ns: int, period_ns: int = PERIOD_NS) -> None:
        """Start at `utc_ns`, the time of record 0."""
        self.segment = segment
        self.period_ns = period_ns
        self.utc_ns = utc_ns
        layout = segment.layout
        buffer = segment.buffer
        self.head = segment.head
        self.journal = np.frombuffer(
            buffer, layout.record, layout.journal_slots, layout.journal_offset
        )
        self.image = np.frombuffer(buffer, layout.snapshot, 1, layout.snapshot_offset)
        self.interlocks = [0, 0, 2, 0, 0]
        self.interlock_flags = [0, 0, 0, 0, 0]
        self.seq = 0

    def write_record(self) -> None:
        """Fill the next slot of the ring; the head does not move yet."""
        seq = self.seq
        record = self.journal[seq % len(self.journal) : seq % len(self.journal) + 1]
        head = record["head"]
        utc_ns = self.utc_ns + seq * self.period_ns
        for name, value in {
            "seq": seq, "scan": seq + 1, "period": seq, "utc_ns": utc_ns,
            "time_ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC), "dt_ns": self.period_ns,
            "lateness_ns": 20_000 + seq % 1000, "exec_before_ns": 30_000, "overruns": seq // 500,
            "grid_w": 70e6 + seq % 997 * 1e3, "it_w": 60e6, "aux_w": 15e6, "pv_w": 5e6,
            "battery_w": -2e6, "load_w": 72e6, "import_cap_w": 78e6, "pue": 1.25,
            "grid_mg_per_kwh": 400_000 + seq % 7, "devices_fresh": 6, "devices_counted": 6,
            "armed": 1, "tripped": 1, "first_out_row": 2, "meters_estimated": seq % 2,
        }.items():  # fmt: skip
            head[name] = value
        sources, sinks = record["flows"].shape[1:]
        record["flows"]["energy_mj"], record["flows"]["carbon_ug"] = flow_cells(seq, sources, sinks)
        storages = record["storages"]
        storages["soc_ratio"], storages["power_w"], storages["stock_mj"] = 0.5, -1e6, 9e9
        storages["stock_ug"] = 4_000_000
        storages["stock_origins_mj"] = [4_000_000_000, 5_000_000_000, 0, 0]
        given_mj = record["flows"]["energy_mj"][:, -len(STORAGES) :].sum(axis=2)
        storages["delivered_mj"][:, :, 1] = given_mj // 3
        storages["delivered_mj"][:, :, 0] = given_mj - given_mj // 3
        storages["lost_mj"], storages["lost_ug"] = 3, 2
        record["interlocks"] = self.interlocks
        record["interlock_flags"] = self.interlock_flags
        points = record["points"]
        points["point"] = np.arange(points.shape[1])
        points["raw"], points["quality"], points["age_us"] = seq // 2, GOOD, 1000

    def write_snapshot(self) -> None:
        """The process image under its seqlock."""
        image = self.image
        record = self.journal[self.seq % len(self.journal)]
        self.head["snapshot_seq"] += 1
        image["head"]["seq"], image["head"]["scans"] = self.seq, self.seq + 1
        image["head"]["transactions"] = self.seq * 6
        image["record"] = record["head"]
        image["links"]["good_ns"] = record["head"]["time_ns"]
        image["storages"] = record["storages"]
        image["interlocks"]["status"] = record["interlocks"]
        image["links"]["connected"] = image["links"]["identified"] = 1
        for limb, cells in (("energy", "energy_mj"), ("carbon", "carbon_ug")):
            total = image["flows"][limb]
            milli = total["milli"] + record["flows"][cells]
            total["units"] += milli // 1000
            total["milli"] = milli % 1000
        samples = image["samples"]
        samples["value"] = 1e6 + np.arange(samples.shape[1])
        samples["raw"], samples["quality"] = self.seq // 2, GOOD
        samples["source_ns"] = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.head["snapshot_seq"] += 1

    def scan(self) -> None:
        """One scan."""
        self.write_record()
        self.write_snapshot()
        self.seq += 1
        self.head["journal_head"] = self.seq

    def run(self, scans: int) -> None:
        """Many, as fast as it goes."""
        for _ in range(scans):
            self.scan()


def start_controller(utc_ns: int = UTC_NS, minutes: float = 1.0) -> FakeController:
    """A controller of the site `fake` in this process, in simulated time."""
    return FakeController(create_segment("fake", directory(), minutes, PERIOD_NS), utc_ns)


def main() -> int:
    """Run in real time until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("site")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--period-ms", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=12.0)
    options = parser.parse_args()
    period_ns = options.period_ms * 1_000_000
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.__setitem__(0, False))
    with create_segment(
        options.site, directory(options.site, period_ns), options.minutes, period_ns
    ) as segment:
        fake = FakeController(segment, time.time_ns(), period_ns)
        print("ready", flush=True)
        start = time.monotonic()
        while running[0] and time.monotonic() - start < options.seconds:
            fake.scan()
            time.sleep(max(0.0, start + fake.seq * period_ns / 1e9 - time.monotonic()))
        del fake
    return 0


if __name__ == "__main__":
    sys.exit(main())
