"""Points that a device sends and nobody can believe, as events: one a device and reason.

A site has thousands of points, and a bad one may come and go in every scan. So a reason is
said once for all points of a device, and again only after a minute without it. Points that are
bad because nothing comes from the device are not told here: device.lost says it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edgectl._kernel.quality import Quality, Reason

QUIET_NS = 60_000_000_000
BAD = int(Quality.QUALITY_BAD)
REASONS = len(Reason)
NOTHING_CAME = tuple(
    int(each)
    for each in (
        Reason.REASON_NONE,
        Reason.REASON_NOT_YET,
        Reason.REASON_COMMUNICATION,
        Reason.REASON_STALE,
    )
)


class PointChanges:
    """Which devices have bad points, and for which reasons."""

    def __init__(self, directory: Mapping[str, Any]) -> None:
        """Nothing is bad yet."""
        self._devices = [str(each["id"]) for each in directory["devices"]]
        place = {name: at for at, name in enumerate(self._devices)}
        self._points = [str(each["name"]) for each in directory["points"]]
        self._owner = np.array([place.get(each["device"], -1) for each in directory["points"]])
        self._seen_ns: dict[tuple[int, int], int] = {}  # device and reason: when it last was so

    def look(self, snapshot: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """What is new in the process image, as events."""
        now_ns, scan = int(snapshot["record"]["time_ns"]), int(snapshot["record"]["scan"])
        bad = np.flatnonzero((snapshot["samples"]["quality"] == BAD) & (self._owner >= 0))
        reasons = snapshot["samples"]["reason"][bad].astype(np.int64)
        silent = np.isin(reasons, NOTHING_CAME)
        unheard = set(self._owner[bad[silent]].tolist())
        refused = snapshot["links"]["refused"][self._owner[bad]] != 0  # told as a device's
        told = ~silent & ~refused
        keys = self._owner[bad[told]] * REASONS + reasons[told]
        found, firsts, counts = np.unique(keys, return_index=True, return_counts=True)
        for key, first, count in zip(found.tolist(), firsts.tolist(), counts.tolist(), strict=True):
            device, reason = divmod(key, REASONS)
            if (device, reason) not in self._seen_ns:
                yield (
                    "points.turned_bad",
                    self._fields(device, reason, scan)
                    | {"points": count, "point": self._points[bad[told][first]]},
                )
            self._seen_ns[device, reason] = now_ns
        yield from self._gone(unheard, now_ns, scan)

    def _gone(
        self, unheard: set[int], now_ns: int, scan: int
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Reasons that were not seen for long enough; a device of which nothing comes proves
        nothing."""
        for device, reason in list(self._seen_ns):
            if device in unheard:
                self._seen_ns[device, reason] = now_ns
            elif now_ns - self._seen_ns[device, reason] >= QUIET_NS:
                del self._seen_ns[device, reason]
                yield "points.turned_good", self._fields(device, reason, scan)

    def _fields(self, device: int, reason: int, scan: int) -> dict[str, Any]:
        word = Reason(reason).name.removeprefix("REASON_").lower()
        return {"device": self._devices[device], "scan": scan, "reason": word}
