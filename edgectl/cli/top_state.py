"""From the segment to what `edgectl top` shows: one snapshot and the journal's last minutes.

Nothing here keeps a number that the segment does not hold.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgectl._kernel.clock import RtGrade
from edgectl._kernel.dispatch import Binding
from edgectl._kernel.interlock import InterlockStatus
from edgectl._kernel.layout import DTYPES
from edgectl._kernel.quality import Quality, Reason
from edgectl.cli.top_model import (
    Array,
    Battery,
    Controller,
    Curves,
    Device,
    Interlock,
    Level,
    Load,
    Notice,
    Plant,
    Timing,
)
from edgectl.cli.top_parts import duration

HISTORY_RECORDS = 6_000  # 10 minutes at 100 ms: the widest chart
FLOW_RECORDS = 10  # powers by path are means over this many scans
STALLED_PERIODS = 20  # no scan for this long is worth a word
LOST_S = 2.0  # no good reply for this long: the device is called silent
TROUBLES = ("wrong identity", "no connection", "identifying", "silent")

BINDING_WORDS: dict[int, str] = {
    Binding.BINDING_NONE: "as requested",
    Binding.BINDING_REJECTED: "request rejected, last safe kept",
    Binding.BINDING_IMPORT_CAP: "import cap",
    Binding.BINDING_EXPORT_MAX: "export limit",
    Binding.BINDING_RATING: "rating or reserve",
    Binding.BINDING_INTERLOCK: "interlock",
    Binding.BINDING_RAMP: "ramp",
    Binding.BINDING_NOT_ARMED: "not armed",
}
GRADE_WORDS: dict[int, str] = {
    RtGrade.RT_OTHER: "ordinary scheduling",
    RtGrade.RT_FIFO: "FIFO, memory not locked",
    RtGrade.RT_FIFO_LOCKED: "FIFO and locked",
}


class History:
    """The journal's last minutes: heads of many records, flows of a few."""

    def __init__(self) -> None:
        """Empty: nothing was read yet."""
        self.heads: Array = np.zeros(0, DTYPES["RecordHead"])
        self.flows: Array | None = None
        self.flow_ns: Array = np.zeros(0, np.int64)

    def add(self, records: Array) -> None:
        """Take journal records in, oldest first; forget what is too old."""
        if not len(records):
            return
        self.heads = np.concatenate((self.heads, records["head"]))[-HISTORY_RECORDS:]
        flows = records["flows"][-FLOW_RECORDS:]
        kept = flows if self.flows is None else np.concatenate((self.flows, flows))
        self.flows = kept[-FLOW_RECORDS:].copy()
        self.flow_ns = self.heads["dt_ns"][-len(self.flows) :]

    def mean_flows(self, cells: tuple[int, int]) -> tuple[Array, Array]:
        """Power in W and carbon in ug/s from each source to each sink, over the last scans.

        cells   (sources, sinks), for a journal that holds nothing yet
        """
        seconds = float(self.flow_ns.sum()) / 1e9
        if self.flows is None or seconds <= 0.0:
            return np.zeros(cells), np.zeros(cells)
        energy_mj = self.flows["energy_mj"].sum(axis=0).astype(float)
        carbon_ug = self.flows["carbon_ug"].sum(axis=0).astype(float)
        return energy_mj / 1e3 / seconds, carbon_ug / seconds

    def curves(self) -> Curves:
        """Means of every whole second."""
        seconds = self.heads["utc_ns"] // 1_000_000_000
        utc_s, first = np.unique(seconds, return_index=True)
        if not len(utc_s):
            return Curves(utc_s, np.zeros(0), np.zeros(0))
        counts = np.diff(np.append(first, len(seconds)))
        means = [np.add.reduceat(self.heads[name], first) / counts for name in ("grid_w", "load_w")]
        return Curves(utc_s, *means)


def plant_of(
    directory: Mapping[str, Any], snapshot: Any, history: History, controller: Controller
) -> Plant:
    """Put one picture together.

    directory    of the segment
    snapshot     one record of the snapshot dtype
    history      of the journal
    controller   what is known of its process
    """
    record, sinks = snapshot["record"], list(directory["sinks"])
    shape = (len(directory["sources"]), len(sinks))
    power_w, carbon_ug_per_s = history.mean_flows(shape)
    it = [i for i, load in enumerate(directory["loads"]) if load["kind"] == "it"]
    it_w = power_w[:, it].sum(axis=1)
    it_kwh_per_s = float(it_w.sum()) / 3.6e6
    mode, level, note = mode_of(record, controller, int(directory["period_ns"]))
    return Plant(
        site=str(directory["site"]),
        zone=str(directory["zone"]),
        mode=mode,
        mode_level=level,
        mode_note=note,
        utc_ns=controller.now_utc_ns,
        uptime_s=(int(record["utc_ns"]) - controller.start_utc_ns) / 1e9,
        scan=int(record["scan"]),
        grid_w=float(record["grid_w"]),
        load_w=float(record["load_w"]),
        import_cap_w=float(record["import_cap_w"]),
        pv_w=float(record["pv_w"]),
        it_w=float(record["it_w"]),
        aux_w=float(record["aux_w"]),
        shed_request_w=float(record["shed_request_w"]),
        deferred_w=float(record["deferred_w"]),
        pue=float(record["pue"]),
        pv_rating_w=sum(float(pv.get("rating_w", np.nan)) for pv in directory["pvs"]),
        losses_w=float(power_w[:, sinks.index("losses")].sum()),
        export_w=float(power_w[:, sinks.index("export")].sum()),
        grid_g_per_kwh=int(record["grid_mg_per_kwh"]) / 1e3,
        carbon_default=bool(record["carbon_default"]),
        grid_kg_per_h=float(carbon_ug_per_s[0].sum()) * 3600.0 / 1e9,
        grid_energy_j=whole(snapshot["source_totals"][0]["energy"]),
        grid_carbon_g=whole(snapshot["source_totals"][0]["carbon"]) / 1e3,
        it_g_per_kwh=float(carbon_ug_per_s[:, it].sum()) / 1e6 / it_kwh_per_s
        if it_kwh_per_s > 0.0
        else float("nan"),
        it_shares=shares_of(source_kinds(directory), it_w),
        loads=loads_of(directory, power_w),
        batteries=batteries_of(directory, snapshot),
        devices=(devices := devices_of(directory, snapshot, controller)),
        interlocks=interlocks_of(directory, snapshot),
        interlocks_total=len(directory["interlocks"]),
        notices=(
            *gone_notices(directory, controller),
            *notices_of(directory, snapshot, history, devices),
        ),
        timing=timing_of(snapshot, history),
        curves=history.curves(),
    )


def whole(total: Any) -> float:
    """A lifetime total of two limbs, in its larger unit: J of energy, mg of carbon."""
    return float(total["units"]) + float(total["milli"]) / 1e3


def gone_notices(directory: Mapping[str, Any], controller: Controller) -> tuple[Notice, ...]:
    """What to do about a controller that does not run."""
    if controller.alive:
        return ()
    what = "stopped" if controller.stopped else f"gone (it was process {controller.pid})"
    level = Level.ATTENTION if controller.stopped else Level.TRIP
    site = directory["site"]
    return (
        Notice(level, f"The controller is {what}; all figures are those of its last scan."),
        Notice(level, f"Start it again: edgectl run {site}. This view finds it by itself."),
    )


def mode_of(record: Any, controller: Controller, period_ns: int) -> tuple[str, Level, str]:
    """The one word for what the controller is doing, how serious that is, and a note."""
    age_s = max(0.0, (controller.now_ns - int(record["time_ns"])) / 1e9)
    when = time.strftime("%H:%M:%S", time.gmtime(int(record["utc_ns"]) // 1_000_000_000))
    last = f"since {when} UTC, {duration(age_s)} ago"
    if controller.stopped:
        return "STOPPED", Level.ATTENTION, last
    if not controller.alive:
        return "CONTROLLER GONE", Level.TRIP, last
    if age_s > STALLED_PERIODS * period_ns / 1e9:
        return "NO NEW SCAN", Level.TRIP, f"for {age_s:.1f} s"
    if record["safe_state"]:
        return "SAFE STATE", Level.TRIP, "all set points at zero"
    if record["dry_run"]:
        return "DRY RUN", Level.ATTENTION, "no device is written"
    if record["armed"]:
        return "ARMED", Level.NORMAL, ""
    return "NOT ARMED", Level.ATTENTION, "set points held at zero"


def source_kinds(directory: Mapping[str, Any]) -> list[str]:
    """Sources by name, but a generating set by its kind."""
    generators = {each["id"] for each in directory.get("generators") or ()}
    return ["generator" if name in generators else name for name in directory["sources"]]


def shares_of(sources: list[str], power_w: Array) -> tuple[tuple[str, float], ...]:
    """Each source's share of a sum of powers; nothing where the sum is nothing."""
    total_w = float(power_w.sum())
    if total_w <= 0.0:
        return ()
    return tuple(
        (name, float(part) / total_w) for name, part in zip(sources, power_w, strict=True) if part
    )


def loads_of(directory: Mapping[str, Any], power_w: Array) -> tuple[Load, ...]:
    """Metered consumers in the directory's order."""
    return tuple(
        Load(
            name=str(load["id"]),
            is_it=load["kind"] == "it",
            power_w=float(power_w[:, index].sum()),
            shares=shares_of(source_kinds(directory), power_w[:, index]),
        )
        for index, load in enumerate(directory["loads"])
    )


def batteries_of(directory: Mapping[str, Any], snapshot: Any) -> tuple[Battery, ...]:
    """Storage assets in the directory's order."""
    found = []
    for asset, row in zip(directory["storages"], snapshot["storages"], strict=True):
        held = int(row["row"])
        found.append(
            Battery(
                name=str(asset["id"]),
                power_w=float(row["power_w"]),
                setpoint_w=float(row["setpoint_w"]),
                request_w=float(row["request_w"]),
                soc_ratio=float(row["soc_ratio"]),
                reserve_ratio=float(asset.get("reserve_ratio", 0.0)),
                binding=BINDING_WORDS.get(int(row["binding"]), "?"),
                held_by=str(directory["interlocks"][held]["id"]) if held >= 0 else "",
            )
        )
    return tuple(found)


def devices_of(
    directory: Mapping[str, Any], snapshot: Any, controller: Controller
) -> tuple[Device, ...]:
    """Devices in the directory's order, with their state in a word."""
    found = []
    for device, link in zip(directory["devices"], snapshot["links"], strict=True):
        state, level = device_state(link, controller)
        age_ms, age_limit_ms = oldest(device["stale_after"], snapshot)
        found.append(
            Device(
                name=str(device["id"]),
                profile=str(device["profile"]),
                state=state,
                level=level,
                age_ms=age_ms,
                age_limit_ms=age_limit_ms,
                round_trip_ms=float(link["round_trip_ns"]) / 1e6,
                poll_max_ms=float(link["poll_max_ns"]) / 1e6,
                poll_bound_ms=float(device["turn_bound_ns"]) / 1e6,
                timeouts=int(link["timeouts"]),
                late_replies=int(link["late_replies"]),
                bad_replies=int(link["bad_replies"]) + int(link["exceptions"]),
                writes=int(link["writes"]),
            )
        )
    return tuple(found)


def oldest(stale_after: Sequence[Sequence[int]], snapshot: Any) -> tuple[float, float]:
    """Age and limit, ms, of the oldest of a device's values that may be the least old.

    Of the one furthest beyond its limit instead, where one is beyond.

    stale_after  of each read of the device: a point's index, and its limit, ns

    The age is NaN where a value has never come.
    """
    now_ns, found = int(snapshot["record"]["time_ns"]), [(math.nan, math.nan)]
    for point, limit_ns in stale_after:
        source_ns = int(snapshot["samples"][point]["source_ns"])
        if source_ns <= 0:
            return math.nan, limit_ns / 1e6
        found.append(((now_ns - source_ns) / 1e6, limit_ns / 1e6))
    if beyond := [each for each in found if each[0] > each[1]]:
        return max(beyond, key=lambda each: each[0] / each[1])
    return min(found[1:] or found, key=lambda each: (each[1], -each[0]))


def device_state(link: Any, controller: Controller) -> tuple[str, Level]:
    """One word for a device and how serious it is."""
    if not controller.alive:
        return "not read", Level.ATTENTION
    if link["refused"]:
        return "wrong identity", Level.TRIP
    if not link["connected"]:
        return "no connection", Level.TRIP
    if not link["identified"]:
        return "identifying", Level.ATTENTION
    if controller.now_ns - int(link["good_ns"]) > LOST_S * 1e9:
        return "silent", Level.TRIP
    return "ok", Level.NORMAL


def interlocks_of(directory: Mapping[str, Any], snapshot: Any) -> tuple[Interlock, ...]:
    """Rows that are not clear: first-out first, then tripped before latched before pending."""
    found = []
    scan, period_s = int(snapshot["record"]["scan"]), int(directory["period_ns"]) / 1e9
    for row, now in zip(directory["interlocks"], snapshot["interlocks"], strict=True):
        status = int(now["status"])
        if status == InterlockStatus.INTERLOCK_CLEAR:
            continue
        found.append(
            Interlock(
                name=str(row["id"]),
                title=str(row["title"]),
                why=str(row["why"]),
                priority=str(row["priority"]),
                status=status_words(status, str(row["reset"]), now),
                level=status_level(status, str(row["priority"])),
                first_out=bool(now["first_out"]),
                since_s=max(0, scan - int(now["tripped_scan"])) * period_s,
            )
        )
    return tuple(sorted(found, key=lambda row: (-row.level, not row.first_out, row.since_s)))


def status_words(status: int, reset: str, now: Any) -> str:
    """What a row that is not clear is doing."""
    if status == InterlockStatus.INTERLOCK_PENDING:
        return "delay running"
    if status == InterlockStatus.INTERLOCK_TRIPPED:
        return "tripped since start" if now["start"] else "tripped"
    if now["locked"]:
        return "locked out, reset by operator"
    return "clearing" if reset == "auto" else f"latched, reset by {reset}"


def status_level(status: int, priority: str) -> Level:
    """Red for what acts; amber for what waits, and for a row that is only a low alarm."""
    acts = status == InterlockStatus.INTERLOCK_TRIPPED and priority != "low"
    return Level.TRIP if acts else Level.ATTENTION


def notices_of(
    directory: Mapping[str, Any], snapshot: Any, history: History, devices: tuple[Device, ...]
) -> tuple[Notice, ...]:
    """What is not as it should be now, the worst first. Interlocks stand apart."""
    record, head = snapshot["record"], snapshot["head"]
    found = [Notice(d.level, f"{d.name}: {d.state}") for d in devices if d.state in TROUBLES]
    if record["balance_error_mj"] or record["balance_error_ug"]:
        found.append(Notice(Level.TRIP, "energy or carbon does not balance: report this"))
    if record["carbon_default"]:
        found.append(Notice(Level.ATTENTION, "carbon feed lost: the zone's default is booked"))
    for name, what in (("meters_substituted", "worst case"), ("meters_estimated", "last value")):
        if count := int(record[name]):
            meters = "1 meter counts" if count == 1 else f"{count} meters count"
            found.append(Notice(Level.ATTENTION, f"{meters} with the {what}"))
    found += point_notices(directory, snapshot)
    if len(history.heads) and (late := int(np.ptp(history.heads["overruns"]))):
        found.append(Notice(Level.ATTENTION, f"{late} periods skipped in the last minutes"))
    if head["rt_grade"] == RtGrade.RT_OTHER:
        found.append(Notice(Level.ATTENTION, "ordinary scheduling: deadlines are best effort"))
    return tuple(sorted(found, key=lambda notice: -notice.level))


def point_notices(directory: Mapping[str, Any], snapshot: Any) -> list[Notice]:
    """One line for each device that answers and yet has points of poor quality."""
    poor: dict[str, list[tuple[str, int]]] = {}
    answering = {
        str(device["id"])
        for device, link in zip(directory["devices"], snapshot["links"], strict=True)
        if link["connected"] and link["identified"]
    }
    for point, sample in zip(directory["points"], snapshot["samples"], strict=True):
        if sample["quality"] != Quality.QUALITY_GOOD and point["device"] in answering:
            poor.setdefault(str(point["device"]), []).append(
                (str(point["name"]), int(sample["reason"]))
            )
    lines = []
    for points in poor.values():
        name, reason = points[0]
        why = Reason(reason).name.removeprefix("REASON_").replace("_", " ").lower()
        more = f" and {len(points) - 1} more" if len(points) > 1 else ""
        lines.append(Notice(Level.ATTENTION, f"{name}: {why}{more}"))
    return lines


def timing_of(snapshot: Any, history: History) -> Timing:
    """Scan health."""
    head, record = snapshot["head"], snapshot["record"]
    heads = history.heads if len(history.heads) else np.array([record], DTYPES["RecordHead"])
    late_us = np.percentile(heads["lateness_ns"], (50, 99, 100)) / 1e3
    exec_us = np.percentile(heads["exec_before_ns"], (50, 100)) / 1e3
    return Timing(
        lateness_p50_us=float(late_us[0]),
        lateness_p99_us=float(late_us[1]),
        lateness_max_us=float(late_us[2]),
        exec_p50_us=float(exec_us[0]),
        exec_max_us=float(exec_us[1]),
        overruns=int(record["overruns"]),
        devices_fresh=int(record["devices_fresh"]),
        devices_counted=int(record["devices_counted"]),
        transactions=int(head["transactions"]),
        timeouts=int(head["timeouts"]),
        late_replies=int(head["late_replies"]),
        setpoints_written=int(head["setpoints_written"]),
        readbacks=int(head["readbacks"]),
        readback_mismatches=int(head["readback_mismatches"]),
        grade=GRADE_WORDS.get(int(head["rt_grade"]), "unknown"),
        bus_grade=GRADE_WORDS.get(int(head["bus_rt_grade"]), "unknown"),
    )
