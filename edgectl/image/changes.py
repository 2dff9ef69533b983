"""Changes from scan to scan, as declared events: for the log, and for the topic `event`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from edgectl._kernel.interlock import RowFlag
from edgectl.image.point_changes import PointChanges

LOST_AFTER_PERIODS = 10  # of the scan, without a good reply
INTERLOCK_TRIPPED, INTERLOCK_LATCHED = 2, 3  # InterlockStatus
BYPASSED, DISCREPANT = int(RowFlag.ROW_BYPASSED), int(RowFlag.ROW_DISCREPANT)
LOCKED = int(RowFlag.ROW_LOCKED)
SHED_LEAST_W = 1.0  # what is less is a rest of the arithmetic, and is written to no device
BUTTON = "the push-button at the cabinet"
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
        self.storages = directory["storages"]
        self._point_at = {each["name"]: at for at, each in enumerate(directory["points"])}
        self.links = {
            each: str(row["address"]) for row in directory["links"] for each in row["devices"]
        }
        self.period_ns = int(directory["period_ns"])
        self._late_links: set[str] = set()
        self._points = PointChanges(directory)
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
            rows = self._asking(record["interlocks"], "safe_state")
            yield "controller.safe_state_entered", {"site": self.site, "scan": scan, "rows": rows}
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
        yield from self._shed(then, head, scan)
        yield from self._rows(before, record, scan)
        yield from self._authority(before, record, scan)

    def _asking(self, status: Any, action: str) -> list[str]:
        """Ids of the rows that act and ask for this."""
        return [
            str(self.interlocks[row]["id"])
            for row in np.flatnonzero(status >= INTERLOCK_TRIPPED).tolist()
            if any(each["action"] == action for each in self.interlocks[row].get("effects", ()))
        ]

    def _shed(self, then: Any, head: Any, scan: int) -> Iterator[Event]:
        """Load that is asked to defer. The kernel gives it back slowly, so this is seldom."""
        asked, asks = (each["shed_request_w"] >= SHED_LEAST_W for each in (then, head))
        if asks and not asked:
            yield (
                "dispatch.shed_requested",
                {
                    "scan": scan,
                    "shed_w": float(head["shed_request_w"]),
                    "tier": int(head["shed_tier"]),
                    "load_w": float(head["load_w"]),
                    "import_cap_w": float(head["import_cap_w"]),
                },
            )
        elif asked and not asks:
            yield "dispatch.shed_ended", {"scan": scan}

    def _authority(self, before: Any, record: Any, scan: int) -> Iterator[Event]:
        """Lock-out, bypass, contradiction and maintenance mode, from the flags beside each row."""
        then, now = before["interlock_flags"], record["interlock_flags"]
        for row in np.flatnonzero((then ^ now) & (BYPASSED | DISCREPANT | LOCKED)).tolist():
            spec, changed = self.interlocks[row], int(then[row] ^ now[row])
            fields = {"interlock": spec["id"], "title": spec.get("title"), "scan": scan}
            group = {"group": spec.get("group")}
            if changed & BYPASSED and now[row] & BYPASSED:
                yield "interlock.bypassed", fields | group | self._who("bypass", spec["id"])
            elif changed & BYPASSED:
                yield "interlock.bypass_ended", fields | group
            if changed & LOCKED and now[row] & LOCKED:
                yield "interlock.locked_out", fields | {"trips": spec.get("lockout_trips")}
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
                        "tags": [each["tag"] for each in spec.get("causes", ())],
                        "effect": spec.get("effects"),
                    },
                )
            elif now[row] == INTERLOCK_LATCHED:
                yield "interlock.latched", fields | {"reset": spec.get("reset")}
            elif acted and not acts and _was_reset(spec, then[row], before["interlock_flags"][row]):
                yield "interlock.reset", fields | self._reset_by(spec)
            elif acted and not acts:
                yield "interlock.cleared", fields

    def _reset_by(self, spec: Any) -> dict[str, Any]:
        if spec.get("reset") == "local":
            return {"by": BUTTON}
        note = self._who("reset", spec["id"])
        return {"by": note["by"]} if "by" in note else {}

    def image(self, snapshot: Any) -> Iterator[Event]:
        """Events of the process image, as often as it is looked at."""
        before, self._snapshot = self._snapshot, snapshot
        points = list(self._points.look(snapshot))
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
        yield from points
        yield from self._turns(before, snapshot, scan)
        yield from self._readbacks(before, snapshot, scan)
        rejected = int(snapshot["head"]["mails_rejected"])
        if rejected > before["head"]["mails_rejected"]:
            yield "request.rejected", {"scan": scan, "count": rejected}

    def _readbacks(self, before: Any, snapshot: Any, scan: int) -> Iterator[Event]:
        """Batteries that show another set point than was written, where more of them did."""
        count = int(snapshot["head"]["readback_mismatches"] - before["head"]["readback_mismatches"])
        if count <= 0:
            return
        fields = {"scan": scan, "count": count}
        differing = [
            {
                "storage": spec["id"],
                "output_w": float(snapshot["storages"][at]["output_w"]),
                "readback_error_w": error_w,
            }
            for at, spec in enumerate(self.storages)
            if (error_w := self._value(snapshot, f"{spec['id']}.readback_error"))
            > float(spec.get("readback_tolerance_w") or 0.0)
        ]
        for each in differing or [{}]:  # it may agree again by now; that it differed is told
            yield "readback.mismatched", fields | each

    def _value(self, snapshot: Any, tag: str) -> float:
        """What a point of the kernel's own shows; 0 where the site has no such point."""
        at = self._point_at.get(tag)
        return 0.0 if at is None else float(snapshot["samples"][at]["value"])

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


def _was_reset(spec: Any, status: int, flags: int) -> bool:
    """Whether a row that no longer acts was let go by somebody, and not by its own off-delay.

    status, flags   of the scan before
    """
    waits = spec.get("reset") in ("operator", "local") or bool(flags & LOCKED)
    return waits and bool(status == INTERLOCK_LATCHED)


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
