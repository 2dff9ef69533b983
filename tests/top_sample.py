"""A made-up campus in a private segment, for the terminal view: ten minutes of records."""

import time
from typing import Any

import numpy as np

from edgectl.cli.top_model import Controller, Plant
from edgectl.cli.top_state import History, plant_of
from edgectl.image import SegmentReader, private_segment

PERIOD_NS = 100_000_000
RECORDS = 6_000
UTC_NS = 1_795_382_043_000_000_000
CAP_W = 78e6
IT = tuple(f"IT-{letter}" for letter in "ABCDEFGH")
LOADS = (*IT, "COOLING", "UPS-LOSS", "AUX")
STORAGES = ("BESS-01", "BESS-02")
SOURCES = ("grid", "pv", "unmetered", *STORAGES)
SINKS = (*LOADS, *STORAGES, "export", "losses")
PROFILES = {
    "GRID-01": "meter/socomec-diris-a14",
    **{f"MTR-{i:02d}": "meter/janitza-umg-96" for i in range(1, 10)},
    "PV-01": "inverter/huawei-sun2000",
    **{f"PCS-{i:02d}": "storage/sunspec-701" for i in (1, 2)},
    **{f"BMS-{i:02d}": "battery/sunspec-802" for i in (1, 2)},
    "FLEX-01": "flexible/scheduler",
    "IO-01": "io/moxa-e1212",
}
INTERLOCKS = (
    ("IL-01", "E-stop of battery hall", "critical", "local", "Hard-wired stop of the hall."),
    ("IL-04", "BMS trip BESS-01", "high", "operator", "The BMS opened its contactors."),
    ("IL-11", "Cell temperature high BESS-02", "high", "operator",
     "328 K is 5 K under the maker's limit."),
    ("IL-16", "Communication lost MTR-07", "medium", "auto", "Not seen counts as worst."),
    ("IL-26", "Grid import over its cap", "high", "auto", "The contract ends at 78 MW."),
    *((f"IL-{i}", f"Row {i}", "low", "auto", "Test.") for i in range(30, 49)),
)  # fmt: skip


def directory() -> dict[str, Any]:
    """What the site model would put into the segment."""
    points = [
        {"name": f"{name}.active_power", "unit": "W", "device": name, "journaled": True}
        for name in PROFILES
    ]
    names = ("id", "title", "priority", "reset", "why")
    return {
        "site": "demo",
        "zone": "US-TEX-ERCO",
        "period_ns": PERIOD_NS,
        "points": points,
        "devices": [
            {
                "id": name,
                "profile": profile,
                "turn_bound_ns": 184_000_000,
                "stale_after": [(at, 500_000_000)],
            }
            for at, (name, profile) in enumerate(PROFILES.items())
        ],
        "interlocks": [dict(zip(names, row, strict=True)) for row in INTERLOCKS],
        "storages": [{"id": name, "reserve_ratio": 0.2} for name in STORAGES],
        "pvs": [{"id": "PV-1", "rating_w": 15e6}],
        "loads": [{"id": name, "kind": "it" if name in IT else "aux"} for name in LOADS],
        "import_cap_w": CAP_W,
        "sources": list(SOURCES),
        "sinks": list(SINKS),
    }


def fill_records(records: Any, end_ns: int) -> None:
    """Ten minutes: the load climbs over the cap, batteries hold the import under it."""
    index = np.arange(len(records))
    head = records["head"]
    load_w = 70e6 + 12e6 * np.sin(index / len(index) * 2.6) + 0.6e6 * np.sin(index / 37.0)
    head["seq"], head["scan"] = index, index + 1
    head["time_ns"] = end_ns - (len(index) - 1 - index) * PERIOD_NS
    head["utc_ns"] = UTC_NS - (len(index) - 1 - index) * PERIOD_NS
    head["dt_ns"] = PERIOD_NS
    head["load_w"] = load_w
    head["grid_w"] = np.minimum(load_w, 77.2e6 + 0.1e6 * np.sin(index / 11.0))
    head["battery_w"] = head["grid_w"] - load_w
    head["pv_w"], head["it_w"], head["aux_w"], head["pue"] = 12.41e6, 72.3e6, 16.87e6, 1.233
    head["import_cap_w"], head["grid_mg_per_kwh"] = CAP_W, 412_300
    head["lateness_ns"] = 9_000 + index * 7919 % 23_000
    head["exec_before_ns"] = 31_000 + index * 104_729 % 9_000
    head["devices_fresh"] = head["devices_counted"] = len(PROFILES)
    head["armed"] = 1
    source_w = np.array([76.6e6, 12.41e6, 0.0, 2.4e6, 1.7e6])
    sink_w = (
        np.array([9.6, 8.1, 10.2, 9.9, 7.4, 8.8, 9.7, 8.6, 11.3, 3.4, 2.17, 0, 0, 0, 0.4]) * 1e6
    )
    shared_w = np.outer(source_w, sink_w) / sink_w.sum()
    records["flows"]["energy_mj"] = shared_w * 0.1 * 1e3
    intensity_g_per_kwh = np.array([412.3, 0.0, 412.3, 318.0, 305.0])[:, None]
    records["flows"]["carbon_ug"] = shared_w * 0.1 / 3.6e6 * intensity_g_per_kwh * 1e6


def fill_snapshot(snapshot: Any, record: Any, now_ns: int) -> None:
    """Everything well, both batteries discharging."""
    snapshot["record"] = record["head"]
    head = snapshot["head"]
    head["transactions"], head["setpoints_written"], head["readbacks"] = 1_021_940, 8_411, 8_409
    head["rt_grade"] = head["bus_rt_grade"] = 2
    snapshot["source_totals"][0]["energy"]["units"] = 56_500_000_000
    snapshot["source_totals"][0]["carbon"]["units"] = 6_471_000_000
    storages = snapshot["storages"]
    storages["power_w"], storages["setpoint_w"] = (-2.4e6, -1.7e6), (-2.42e6, -1.71e6)
    storages["soc_ratio"], storages["row"], storages["binding"] = (0.63, 0.71), -1, 2
    links = snapshot["links"]
    links["connected"] = links["identified"] = 1
    links["good_ns"] = now_ns - 41_000_000
    links["round_trip_ns"] = 300_000 + np.arange(len(PROFILES)) * 37_000
    links["poll_max_ns"] = 12_300_000 + np.arange(len(PROFILES)) * 400_000
    snapshot["samples"]["quality"] = 2
    ages_ns = 38_000_000 + np.arange(len(snapshot["samples"])) * 400_000
    snapshot["samples"]["source_ns"] = snapshot["record"]["time_ns"] - ages_ns


def trouble(snapshot: Any) -> None:
    """The same campus on a bad day: a silent meter, a hot battery, a lost carbon feed."""
    names = list(PROFILES)
    snapshot["links"]["good_ns"][names.index("MTR-07")] -= 7_000_000_000
    snapshot["links"]["timeouts"][names.index("MTR-07")] = 84
    snapshot["links"]["poll_max_ns"][names.index("MTR-07")] = 203_000_000
    snapshot["samples"]["source_ns"][names.index("MTR-07")] -= 7_000_000_000
    snapshot["record"]["meters_substituted"] = 1
    snapshot["record"]["carbon_default"] = 1
    snapshot["record"]["devices_fresh"] -= 1
    snapshot["head"]["timeouts"], snapshot["head"]["late_replies"] = 84, 3
    snapshot["samples"]["quality"][names.index("BMS-01")] = 0
    snapshot["samples"]["reason"][names.index("BMS-01")] = 9
    rows = snapshot["interlocks"]
    scan = int(snapshot["record"]["scan"])
    for row, status, first_out, ago in ((2, 2, 1, 312), (3, 3, 0, 90), (1, 3, 1, 4_000)):
        rows["status"][row], rows["first_out"][row] = status, first_out
        rows["tripped_scan"][row] = scan - ago
    storages = snapshot["storages"]
    storages["power_w"][1] = storages["setpoint_w"][1] = 0.0
    storages["row"][1], storages["binding"][1] = 2, 5


def reader(*, troubled: bool = False) -> SegmentReader:
    """A segment with all of this in it, seen as a reader sees it."""
    segment = private_segment(directory(), RECORDS + 1)
    layout = segment.layout
    now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    journal = np.frombuffer(
        segment.buffer, layout.record, layout.journal_slots, layout.journal_offset
    )
    image = np.frombuffer(segment.buffer, layout.snapshot, 1, layout.snapshot_offset)
    fill_records(journal[:RECORDS], now_ns)
    fill_snapshot(image[0], journal[RECORDS - 1], now_ns)
    if troubled:
        trouble(image[0])
    segment.head["journal_head"] = RECORDS
    segment.head["start_utc_ns"] = UTC_NS - 753_000_000_000
    return segment.reader()


def plant(*, troubled: bool = False, alive: bool = True, stopped: bool = False) -> Plant:
    """The campus as the view takes it."""
    source = reader(troubled=troubled)
    history = History()
    for first in range(0, RECORDS, 1_000):
        history.add(source.journal(first).records)
    snapshot = source.snapshot()
    now_ns = int(snapshot["record"]["time_ns"])
    controller = Controller(
        pid=4711,
        alive=alive,
        stopped=stopped,
        start_utc_ns=source.boot_id,
        now_utc_ns=UTC_NS,
        now_ns=now_ns,
    )
    return plant_of(source.directory, snapshot, history, controller)
