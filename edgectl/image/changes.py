"""Changes from scan to scan, as declared events: for the log, and for the topic `event`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from edgectl._kernel.interlock import RowFlag

LOST_AFTER_PERIODS = 10  # of the scan, without a good reply
INTERLOCK_TRIPPED, INTERLOCK_LATCHED = 2, 3  # InterlockStatus
BYPASSED, DISCREPANT = int(RowFlag.ROW_BYPASSED), int(RowFlag.ROW_DISCREPANT)
Event = tuple[str, dict[str, Any]]
Notes = Callable[[str, str], dict[str, Any]]


class Changes:
    """Compares each scan with the one before. The first is what is compared with."""

    def __init__(
        self, directory: Mapping[str, Any], image: Any = None, notes: Notes | None = None
    ) -> None:
        """Prepare for the segment whose directory this is.

        image   snapshot that the first is compared with; None: the first is
        notes   gives who asked for an action on a row, and why
        """
        self._notes = notes
        self.site = str(directory["site"])
        self.interlocks = directory["interlocks"]
        self.devices = directory["devices"]
        self.links = {
            each: str(row["address"]) for row in directory["links"] for each in row["devices"]
        }
        self.period_ns = int(directory["period_ns"])
        self._late_links: set[str] = set()
        self._record: Any = None
        self._snapshot: Any = image

    def scans(self, records: Any) -> Iterator[Event]:
        """Events of journal records, in order."""
        for record in records:
            if self._record is not None:
                yield from self._scan(self._record, record)
            self._record = record

    def _scan(self, before: Any, record: Any) -> Iterator[Event]:
        then, head = before["head"], record["head"]
        scan = int(head["scan"])
        if head["overruns"] != then["overruns"]:
            yield (
                "scan.overrun",
                {
                    "scan": scan,
                    "period": int(head["period"]),
                    "skipped": int(head["overruns"] - then["overruns"]),
                    "lateness_us": int(head["lateness_ns"]) // 1000,
                    "exec_us": int(head["exec_before_ns"]) // 1000,
                },
            )
        if head["armed"] != then["armed"]:
            name = "controller.armed" if head["armed"] else "controller.disarmed"
            yield name, {"site": self.site, "scan": scan}
        if head["safe_state"] and not then["safe_state"]:
            yield "controller.safe_state_entered", {"site": self.site, "scan": scan}
        if head["carbon_default"] != then["carbon_default"]:
            g_per_kwh = int(head["grid_mg_per_kwh"]) / 1000
            if head["carbon_default"]:
                yield "carbon.default_used", {"scan": scan, "default_g_per_kwh": g_per_kwh}
            else:
                yield "carbon.feed_restored", {"scan": scan, "g_per_kwh": g_per_kwh}
        broken = head["balance_error_mj"] or head["balance_error_ug"]
        if broken and not (then["balance_error_mj"] or then["balance_error_ug"]):
            yield (
                "balance.broken",
                {
                    "scan": scan,
                    "balance_error_mj": int(head["balance_error_mj"]),
                    "balance_error_ug": int(head["balance_error_ug"]),
                },
            )
        yield from self._rows(before, record, scan)
        yield from self._authority(before, record, scan)

    def _authority(self, before: Any, record: Any, scan: int) -> Iterator[Event]:
        """Bypass, contradiction and maintenance mode, from the flags beside each row's status."""
        then, now = before["interlock_flags"], record["interlock_flags"]
        for row in np.flatnonzero((then ^ now) & (BYPASSED | DISCREPANT)).tolist():
            spec, changed = self.interlocks[row], int(then[row] ^ now[row])
            fields = {"interlock": spec["id"], "title": spec.get("title"), "scan": scan}
            group = {"group": spec.get("group")}
            if changed & BYPASSED and now[row] & BYPASSED:
                yield "interlock.bypassed", fields | group | self._who("bypass", spec["id"])
            elif changed & BYPASSED:
                yield "interlock.bypass_ended", fields | group
            if changed & DISCREPANT and now[row] & DISCREPANT:
                yield "interlock.discrepancy", fields | {"priority": spec.get("priority")}
        if record["head"]["maintenance"] and not before["head"]["maintenance"]:
            yield (
                "maintenance.entered",
                {"site": self.site, "scan": scan} | self._who("maintenance", ""),
            )
        elif before["head"]["maintenance"] and not record["head"]["maintenance"]:
            yield "maintenance.left", {"site": self.site, "scan": scan}

    def _who(self, action: str, row: str) -> dict[str, Any]:
        note = self._notes(action, row) if self._notes else {}
        return {key: note[key] for key in ("by", "reason") if key in note}

    def _rows(self, before: Any, record: Any, scan: int) -> Iterator[Event]:
        then, now = before["interlocks"], record["interlocks"]
        for row in np.flatnonzero(then != now).tolist():
            spec = self.interlocks[row]
            fields = {"interlock": spec["id"], "title": spec.get("title"), "scan": scan}
            acted, acts = (status[row] >= INTERLOCK_TRIPPED for status in (then, now))
            if now[row] == INTERLOCK_TRIPPED and then[row] != INTERLOCK_TRIPPED:
                yield (
                    "interlock.tripped",
                    fields
                    | {
                        "priority": spec.get("priority"),
                        "group": spec.get("group"),
                        "first_out": int(record["head"]["first_out_row"]) == row,
                        "effect": spec.get("effects"),
                    },
                )
            elif now[row] == INTERLOCK_LATCHED:
                yield "interlock.latched", fields | {"reset": spec.get("reset")}
            elif acted and not acts:
                yield "interlock.cleared", fields

    def image(self, snapshot: Any) -> Iterator[Event]:
        """Events of the process image, as often as it is looked at."""
        before, self._snapshot = self._snapshot, snapshot
        if before is None:
            return
        scan = int(snapshot["record"]["scan"])
        for spec, then, link, age_ns in zip(
            self.devices, before["links"], snapshot["links"], snapshot["device_age_ns"],
            strict=True,
        ):  # fmt: skip
            where = {"address": spec.get("address")}
            fields = {"device": spec["id"], "scan": scan, **where}
            was, state = (
                device_state(each, int(image["record"]["time_ns"]), self.period_ns)
                for each, image in ((then, before), (link, snapshot))
            )
            if state == "identified" != was:
                yield "device.connected", fields | {"connects": int(link["connects"])}
            elif state == "refused" != was:
                yield "device.identity_refused", fields | {"profile": spec.get("profile")}
            elif state == "lost" != was:
                yield (
                    "device.lost",
                    fields
                    | {
                        "age_ms": int(age_ns) // 1_000_000,
                        "timeouts": int(link["timeouts"]),
                    },
                )
            if link["write_failures"] > then["write_failures"]:
                yield (
                    "device.write_failed",
                    {
                        "device": spec["id"],
                        "scan": scan,
                        "failures": int(link["write_failures"]),
                        "exceptions": int(link["exceptions"]),
                    },
                )
        yield from self._turns(before, snapshot, scan)
        rejected = int(snapshot["head"]["mails_rejected"])
        if rejected > before["head"]["mails_rejected"]:
            yield "request.rejected", {"scan": scan, "count": rejected}

    def _turns(self, before: Any, snapshot: Any, scan: int) -> Iterator[Event]:
        """Links whose reads took longer than the schedule's bound, each once."""
        for spec, then, row in zip(self.devices, before["links"], snapshot["links"], strict=True):
            link, bound_ns = self.links[spec["id"]], int(spec["turn_bound_ns"])
            poll_ns = int(row["poll_max_ns"])
            if poll_ns <= bound_ns or int(then["poll_max_ns"]) > bound_ns:
                continue
            if link not in self._late_links:
                self._late_links.add(link)
                yield (
                    "bus.turn_exceeded",
                    {
                        "link": link,
                        "device": spec["id"],
                        "scan": scan,
                        "poll_ms": round(poll_ns / 1e6, 1),
                        "bound_ms": round(bound_ns / 1e6, 1),
                    },
                )


def device_state(link: Any, now_ns: int, period_ns: int) -> str:
    """One word for a device: refused, identified, connected, lost or never.

    now_ns      monotonic, of the scan
    period_ns   of the scan; an open connection without an answer is no device
    """
    good_ns = int(link["good_ns"])
    if link["refused"]:
        return "refused"
    if not good_ns:
        return "never"
    if not link["connected"] or now_ns - good_ns > LOST_AFTER_PERIODS * period_ns:
        return "lost"
    return "identified" if link["identified"] else "connected"
