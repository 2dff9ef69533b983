"""The main thread's watch: what changed in the process image since it last looked, as events.

It reads the snapshot like any other reader and can therefore disturb nothing.
"""

from dataclasses import dataclass
from typing import Any

import structlog

from edgectl._kernel.interlock import InterlockStatus
from edgectl.events import emit
from edgectl.image import SegmentReader

LOST_AFTER_PERIODS = 10  # of the scan, without a good reply
STALLED_AFTER_PERIODS = 5
FEED_GRACE_SCANS = 100  # the services, and with them the feed, start after the scan

log = structlog.get_logger()


@dataclass(slots=True)
class Seen:
    """What the watch saw last of one device or interlock."""

    state: str = ""
    trips: int = 0


class Watch:
    """Turns changes between snapshots into events."""

    def __init__(self, reader: SegmentReader) -> None:
        """reader   of the segment this process writes"""
        self.reader = reader
        self.directory = reader.directory
        self.period_ns = int(self.directory["period_ns"])
        self.devices = [Seen() for _ in self.directory["devices"]]
        self.interlocks = [Seen() for _ in self.directory["interlocks"]]
        self.overruns = 0
        self.safe_state = False
        self.armed = False
        self.carbon_default: bool | None = None
        self.balance_broken = False

    def look(self, now_ns: int) -> Any:
        """Emit events for what changed; returns the snapshot.

        now_ns   monotonic
        """
        image = self.reader.snapshot()
        record = image["record"]
        scan = int(record["scan"])
        self._scan(record, scan, now_ns)
        for at, device in enumerate(self.directory["devices"]):
            self._device(self.devices[at], device, image["links"][at], scan, now_ns)
        for at, row in enumerate(self.directory["interlocks"]):
            self._interlock(self.interlocks[at], row, image["interlocks"][at], scan)
        return image

    def _scan(self, record: Any, scan: int, now_ns: int) -> None:
        site = self.directory["site"]
        age_ns = now_ns - int(record["time_ns"])
        if scan > 0 and age_ns > STALLED_AFTER_PERIODS * self.period_ns:
            emit(log, "controller.stalled", site=site, scan=scan, age_ms=age_ns // 1_000_000)
        if int(record["overruns"]) != self.overruns:
            emit(
                log,
                "scan.overrun",
                scan=scan,
                period=int(record["period"]),
                skipped=int(record["overruns"]) - self.overruns,
                lateness_us=int(record["lateness_ns"]) // 1_000,
                exec_us=int(record["exec_before_ns"]) // 1_000,
            )
            self.overruns = int(record["overruns"])
        if bool(record["armed"]) != self.armed:
            self.armed = bool(record["armed"])
            name = "controller.armed" if self.armed else "controller.disarmed"
            emit(log, name, site=site, scan=scan)
        if bool(record["safe_state"]) and not self.safe_state and self.armed:
            emit(log, "controller.safe_state_entered", site=site, scan=scan)
        self.safe_state = bool(record["safe_state"])
        self._carbon(record, scan)

    def _carbon(self, record: Any, scan: int) -> None:
        lost = bool(record["carbon_default"])
        g_per_kwh = int(record["grid_mg_per_kwh"]) / 1_000
        if lost != self.carbon_default and scan > FEED_GRACE_SCANS:
            if lost:
                emit(log, "carbon.default_used", scan=scan, default_g_per_kwh=g_per_kwh)
            else:
                emit(log, "carbon.feed_restored", scan=scan, g_per_kwh=g_per_kwh)
            self.carbon_default = lost
        errors = int(record["balance_error_mj"]), int(record["balance_error_ug"])
        if any(errors) and not self.balance_broken:
            self.balance_broken = True
            emit(
                log,
                "balance.broken",
                scan=scan,
                balance_error_mj=errors[0],
                balance_error_ug=errors[1],
            )

    def _device(self, seen: Seen, device: Any, link: Any, scan: int, now_ns: int) -> None:
        age_ns = now_ns - int(link["good_ns"])
        if link["refused"]:
            state = "refused"
        elif link["identified"] and age_ns < LOST_AFTER_PERIODS * self.period_ns:
            state = "connected"
        else:
            state = "lost" if seen.state else ""
        if state == seen.state:
            return
        seen.state = state
        where = {name: device[name] for name in ("host", "port", "unit")}
        where |= {"device": device["id"], "scan": scan}
        if state == "refused":
            emit(log, "device.identity_refused", profile=device["profile"], **where)
        elif state == "connected":
            emit(log, "device.connected", connects=int(link["connects"]), **where)
        else:
            emit(
                log,
                "device.lost",
                age_ms=age_ns // 1_000_000,
                timeouts=int(link["timeouts"]),
                **where,
            )

    def _interlock(self, seen: Seen, row: Any, now: Any, scan: int) -> None:
        state = InterlockStatus(int(now["status"])).name
        named = {"interlock": row["id"], "title": row["title"]}
        if int(now["trips"]) > seen.trips:
            emit(
                log,
                "interlock.tripped",
                priority=row["priority"],
                group=row["group"],
                scan=int(now["tripped_scan"]),
                first_out=bool(now["first_out"]),
                **named,
            )
        standing = ("INTERLOCK_TRIPPED", "INTERLOCK_LATCHED")
        if seen.state in standing and state not in standing and not int(now["start"]):
            emit(log, "interlock.cleared", scan=scan, **named)
        elif state == "INTERLOCK_LATCHED" and seen.state == "INTERLOCK_TRIPPED":
            emit(log, "interlock.latched", scan=scan, reset=row["reset"], **named)
        seen.state, seen.trips = state, int(now["trips"])
