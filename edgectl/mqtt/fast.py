"""The fast message: one scan, msgpack, what changed since the scan before.

Journal records carry the words the device sent. Their value in SI units comes
from the snapshot, if it holds the same words; else a newer scan has superseded
them already and the value is nil, with the next message right behind.
"""

from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from edgectl.mqtt.state import number

SCHEMA = 1
AGE_UNKNOWN_US = 2**32 - 1  # PointRecord.age_us: longer, or never
POWERS = ("grid_w", "load_w", "it_w", "aux_w", "pv_w", "battery_w", "deferred_w", "import_cap_w",
          "pue")  # fmt: skip


class FastEncoder:
    """Turns journal records of one segment, one after the other, into fast messages."""

    def __init__(self, directory: Mapping[str, Any]) -> None:
        """Prepare for the segment whose directory this is."""
        self.names = [str(each["name"]) for each in directory["points"]]
        self.storages = [str(each["id"]) for each in directory["storages"]]
        self._before: Any = None

    def forget(self) -> None:
        """Let the next message carry every point."""
        self._before = None

    def encode(self, record: Any, samples: Any) -> bytes:
        """One message.

        record    of the journal
        samples   of the newest snapshot
        """
        head, points = record["head"], record["points"]
        message = {
            "v": SCHEMA,
            "scan": int(head["scan"]),
            "seq": int(head["seq"]),
            "utc_ns": int(head["utc_ns"]),
            "period": int(head["period"]),
            "lateness_us": int(head["lateness_ns"]) // 1000,
            "armed": bool(head["armed"]),
            "tripped": int(head["tripped"]),
            **{name: number(head[name]) for name in POWERS},
            "grid_g_per_kwh": int(head["grid_mg_per_kwh"]) / 1000,
            "batteries": {
                name: [number(each["power_w"]), number(each["soc_ratio"]),
                       number(each["setpoint_w"])]
                for name, each in zip(self.storages, record["storages"], strict=True)
            },
            "points": self._changed(points, samples),
        }  # fmt: skip
        self._before = points.copy()
        return bytes(msgpack.packb(message, use_bin_type=True))

    def _changed(self, points: Any, samples: Any) -> dict[str, list[Any]]:
        """name: [value, quality, reason, age in ms]; all of them the first time."""
        if self._before is None:
            changed = np.arange(len(points))
        else:
            before = self._before
            changed = np.flatnonzero(
                (points["raw"] != before["raw"])
                | (points["quality"] != before["quality"])
                | (points["reason"] != before["reason"])
            )
        found = {}
        for place in changed.tolist():
            point = points[place]
            index, age_us = int(point["point"]), int(point["age_us"])
            sample = samples[index]
            found[self.names[index]] = [
                number(sample["value"]) if sample["raw"] == point["raw"] else None,
                int(point["quality"]),
                int(point["reason"]),
                None if age_us == AGE_UNKNOWN_US else age_us / 1000,
            ]
        return found
