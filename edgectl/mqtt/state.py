"""The retained state: one JSON object that a person can read, once a second.

Each value has its quality and the age it earned: the time of the message is the
time of the scan, never that of the publishing.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from edgectl.image.changes import device_state
from edgectl.mqtt.names import BINDING, QUALITY, REASON, RT_GRADE, SOURCE, STATUS, word

SCHEMA = "edgectl.state/1"
ROUND = 3  # digits: mW, mg; what a meter knows is far coarser
INTERLOCK_TRIPPED = 2  # InterlockStatus; what is at or above it acts

Json = dict[str, Any]


def number(value: Any) -> float | None:
    """A float fit for JSON: None where it is not finite."""
    return round(float(value), ROUND) if math.isfinite(value) else None


def milliseconds(value_ns: Any) -> float:
    """Milliseconds from ns, to the microsecond."""
    return round(int(value_ns) / 1e6, 3)


def utc_text(utc_ns: Any) -> str:
    """UTC as ISO 8601 with milliseconds."""
    moment = datetime.fromtimestamp(int(utc_ns) / 1e9, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StateEncoder:
    """Turns snapshots of one segment into state messages."""

    def __init__(self, directory: Mapping[str, Any], node: str) -> None:
        """Prepare for the segment whose directory this is."""
        self.directory = directory
        self.node = node
        self.period_ns = int(directory["period_ns"])
        self.points = [(str(each["name"]), str(each["unit"])) for each in directory["points"]]
        index = {name: place for place, (name, _) in enumerate(self.points)}
        self.loads = [
            (str(each["id"]), index[each["power"]])
            for each in directory.get("loads", ())
            if each.get("power") in index
        ]

    def encode(self, snapshot: Any) -> bytes:
        """The message, from a snapshot of the process image."""
        state = self.state(snapshot)
        return json.dumps(state, allow_nan=False, separators=(",", ":")).encode()

    def state(self, snapshot: Any) -> Json:
        """The message before it is text."""
        record = snapshot["record"]
        return {
            "schema": SCHEMA,
            "site": self.directory["site"],
            "node": self.node,
            "time": utc_text(record["utc_ns"]),
            "utc_ns": int(record["utc_ns"]),
            "scan": int(record["scan"]),
            "armed": bool(record["armed"]),
            "dry_run": bool(record["dry_run"]),
            "safe_state": bool(record["safe_state"]),
            "power": self._power(record),
            "loads": self._loads(snapshot["samples"]),
            "batteries": self._storages(snapshot["storages"]),
            "carbon": {
                "grid_g_per_kwh": int(record["grid_mg_per_kwh"]) / 1000,
                "default_used": bool(record["carbon_default"]),
            },
            "pue": number(record["pue"]),
            "totals": self._totals(snapshot["flows"]),
            "health": self._health(snapshot),
            "interlocks": self._interlocks(snapshot["interlocks"]),
            "devices": self._devices(snapshot, int(record["time_ns"])),
            "points": self._points(snapshot["samples"], int(record["time_ns"])),
        }

    def _power(self, record: Any) -> Json:
        names = ("grid_w", "load_w", "it_w", "aux_w", "pv_w", "battery_w", "deferred_w",
                 "shed_request_w", "import_cap_w")  # fmt: skip
        return {name: number(record[name]) for name in names}

    def _loads(self, samples: Any) -> Json:
        """Power of each load, with its quality."""
        return {
            load: {"power_w": number(samples[index]["value"]),
                   "quality": word(QUALITY, samples[index]["quality"])}
            for load, index in self.loads
        }  # fmt: skip

    def _storages(self, storages: Any) -> Json:
        interlocks = self.directory["interlocks"]
        state = {}
        for place, each in zip(self.directory["storages"], storages, strict=True):
            row = int(each["row"])
            stock_mj = int(each["stock_mj"])
            state[str(place["id"])] = {
                **{
                    name: number(each[name])
                    for name in ("power_w", "soc_ratio", "request_w", "setpoint_w", "output_w",
                                 "charge_max_w", "discharge_max_w")
                },
                "stock_g_per_kwh": round(int(each["stock_ug"]) * 3600 / stock_mj, ROUND)
                if stock_mj > 0
                else None,
                "source": word(SOURCE, each["source"]),
                "binding": word(BINDING, each["binding"]),
                "interlock": interlocks[row]["id"] if 0 <= row < len(interlocks) else None,
            }  # fmt: skip
        return state

    def _totals(self, flows: Any) -> Json:
        """Lifetime energy and carbon by path, where there were any."""
        sources, sinks = self.directory["sources"], self.directory["sinks"]
        energy, carbon = flows["energy"]["units"], flows["carbon"]["units"]
        return {
            f"{sources[row]}>{sinks[column]}": {
                "energy_j": int(energy[row, column]),
                "carbon_mg": int(carbon[row, column]),
            }
            for row, column in zip(*np.nonzero((energy != 0) | (carbon != 0)), strict=True)
        }

    def _health(self, snapshot: Any) -> Json:
        head, record = snapshot["head"], snapshot["record"]
        counters = ("scans", "transactions", "timeouts", "late_replies", "setpoints_written",
                    "readbacks", "readback_mismatches", "trips", "mails_rejected")  # fmt: skip
        return {
            **{name: int(head[name]) for name in counters},
            "overruns": int(record["overruns"]),
            "period_ms": milliseconds(self.period_ns),
            "lateness_ms": milliseconds(record["lateness_ns"]),
            "exec_ms": milliseconds(record["exec_before_ns"]),
            "rt_grade": word(RT_GRADE, head["rt_grade"]),
            "bus_rt_grade": word(RT_GRADE, head["bus_rt_grade"]),
            "devices_fresh": int(record["devices_fresh"]),
            "devices_counted": int(record["devices_counted"]),
            "healthy_age_ms": milliseconds(record["healthy_age_ns"]),
            "meters_estimated": int(record["meters_estimated"]),
            "meters_substituted": int(record["meters_substituted"]),
            "balance_error_mj": int(record["balance_error_mj"]),
            "balance_error_ug": int(record["balance_error_ug"]),
        }

    def _interlocks(self, interlocks: Any) -> Json:
        rows: Sequence[Mapping[str, Any]] = self.directory["interlocks"]
        return {
            "rows": len(rows),
            "tripped": [
                {
                    "id": row["id"],
                    "title": row.get("title"),
                    "priority": row.get("priority"),
                    "status": word(STATUS, each["status"]),
                    "first_out": bool(each["first_out"]),
                    "since_scan": int(each["tripped_scan"]),
                    "since_start": bool(each["start"]),
                    "trips": int(each["trips"]),
                }
                for row, each in zip(rows, interlocks, strict=True)
                if each["status"] >= INTERLOCK_TRIPPED
            ],
        }

    def _devices(self, snapshot: Any, now_ns: int) -> Json:
        state = {}
        ages_ns = snapshot["device_age_ns"]
        for row, link, age_ns in zip(
            self.directory["devices"], snapshot["links"], ages_ns, strict=True
        ):
            good_ns = int(link["good_ns"])
            state[str(row["id"])] = {
                "state": device_state(link, now_ns, self.period_ns),
                "age_ms": milliseconds(age_ns),
                "good_ms_ago": milliseconds(now_ns - good_ns) if good_ns else None,
                **{
                    name: int(link[name])
                    for name in ("requests", "replies", "timeouts", "late_replies", "bad_replies",
                                 "exceptions", "connects", "writes", "write_failures")
                },
                "round_trip_ms": milliseconds(link["round_trip_ns"]),
            }  # fmt: skip
        return state

    def _points(self, samples: Any, scan_ns: int) -> Json:
        columns = (samples[name].tolist() for name in ("value", "quality", "reason", "source_ns"))
        return {
            name: {
                "value": number(value),
                "unit": unit,
                "quality": word(QUALITY, quality),
                "reason": word(REASON, reason),
                "age_ms": milliseconds(scan_ns - source_ns) if source_ns else None,
            }
            for (name, unit), value, quality, reason, source_ns in zip(
                self.points, *columns, strict=True
            )
        }
