"""A black box for other programs: one row a scan as CSV, or everything as JSON."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgectl._kernel.interlock import InterlockStatus
from edgectl.blackbox.format import BlackBox
from edgectl.blackbox.timeline import since_first_ms

HEAD = (
    "seq",
    "scan",
    "time_ns",
    "utc_ns",
    "dt_ns",
    "lateness_ns",
    "armed",
    "dry_run",
    "safe_state",
    "maintenance",
    "shed_tier",
    "grid_w",
    "it_w",
    "aux_w",
    "pv_w",
    "battery_w",
    "load_w",
    "shed_request_w",
    "deferred_w",
    "import_cap_w",
    "grid_mg_per_kwh",
    "tripped",
    "mails",
    "overruns",
)
STORAGE = (
    "wanted_w",
    "economy_w",
    "request_w",
    "setpoint_w",
    "output_w",
    "power_w",
    "soc_ratio",
    "charge_max_w",
    "discharge_max_w",
    "derate_ratio",
    "effect",
    "binding",
    "source",
    "written",
    "hold",
    "block_command",
    "ramp_to_zero",
    "lapsed",
    "rejected",
    "stopping",
)


def plain(value: Any) -> Any:
    """A number that JSON can carry: what is not finite is None."""
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def scans(box: BlackBox) -> Iterator[dict[str, Any]]:
    """One flat row a scan: head, batteries, rows, points with their quality."""
    decoder, directory = box.decoder(), box.directory
    for record in box.records:
        row: dict[str, Any] = {"ms": since_first_ms(box, record)}
        row |= {name: plain(record["head"][name]) for name in HEAD}
        for at, storage in enumerate(directory["storages"]):
            for name in STORAGE:
                row[f"{storage['id']}.{name}"] = plain(record["storages"][name][at])
        for at, interlock in enumerate(directory["interlocks"]):
            status = InterlockStatus(int(record["interlocks"][at]))
            row[str(interlock["id"])] = status.name.removeprefix("INTERLOCK_").lower()
            row[f"{interlock['id']}.flags"] = int(record["interlock_flags"][at])
        for name, point in decoder.values(record).items():
            row[name] = plain(point.value)
            row[f"{name}.quality"] = point.quality.name.removeprefix("QUALITY_").lower()
            row[f"{name}.reason"] = point.reason.name.removeprefix("REASON_").lower()
            row[f"{name}.raw"] = f"{point.raw:#x}"
        yield row


def write_csv(box: BlackBox, path: Path) -> int:
    """One line a scan; returns how many."""
    rows = list(scans(box))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["ms"])
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def summary(box: BlackBox) -> dict[str, Any]:
    """What the header says, in plain types."""
    header = box.header
    return {
        "site": header["site"],
        "site_sha256": box.directory.get("site_sha256"),
        "boot_id": header["boot_id"],
        "state": header["state"],
        "because": header["because"],
        "lost": header["lost"],
        "edgectl": header["edgectl"],
        "records": header["records"],
        "content_sha256": header["content_sha256"].hex(),
        "first_out": header["first_out"],
        "triggers": [
            {name: getattr(each, name) for name in type(each).__slots__} for each in box.triggers
        ],
        "units": {
            str(each["name"]): str(each["unit"])
            for each in box.directory["points"]
            if each["journaled"]
        },
    }


def write_json(box: BlackBox, path: Path) -> int:
    """Header and every scan; returns how many scans."""
    rows = list(scans(box))
    path.write_text(json.dumps(summary(box) | {"scans": rows}) + "\n", encoding="utf-8")
    return len(rows)
