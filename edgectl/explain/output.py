"""From a battery's request to what the meters see: halt, ramp, output, read-back, effect."""

import math
from typing import Any

import numpy as np

from edgectl._kernel.interlock import Effect
from edgectl.explain.answer import Finding, Step
from edgectl.explain.scene import Scene
from edgectl.explain.words import NS_PER_S, power, quantity, seconds

FOLLOWS_RATIO = 0.05  # of the rating: what a converter rounds, and a little more


def steps(scene: Scene, index: int, spec: Any, record: Any, missing: list[str]) -> list[Step]:
    """Setpoint, output, read-back, effect."""
    return [
        setpoint(scene, spec, record),
        written(scene, index, spec, record, missing),
        readback(scene, spec, record),
        effect(scene, spec, record),
    ]


def halts(scene: Scene) -> list[Finding]:
    """Why the whole site is at zero, if it is."""
    head, found = scene.head, []
    if not head["armed"]:
        reasons = scene.directory.get("arming_refused") or []
        if reasons:
            found.append(
                Finding(
                    "arming_refused",
                    "arming is refused, and nothing is written: " + "; ".join(map(str, reasons)),
                )
            )
        else:
            found.append(
                Finding(
                    "not_armed",
                    "the controller is not armed: it senses and decides "
                    "and keeps every battery at zero until somebody arms it",
                )
            )
    if any(scene.record["storages"]["stopping"]):
        found.append(Finding("stopping", "the controller is stopping: everything goes to zero"))
    if head["safe_state"]:
        rows = [
            row
            for row in scene.rows
            if any(
                each["action"] == "safe_state"
                for each in scene.directory["interlocks"][row.row]["effects"]
            )
        ]
        found.append(Finding("safe_state", "the site is in its safe state", tuple(rows)))
    return found


def setpoint(scene: Scene, spec: Any, record: Any) -> Step:
    """Halt, trip, ramp."""
    request_w, setpoint_w = float(record["request_w"]), float(record["setpoint_w"])
    findings = halts(scene)
    lines = [f"setpoint: {power(setpoint_w)}"]
    stopped = bool(findings) or int(record["effect"]) >= Effect.EFFECT_ZERO
    ramp_w_per_s = float(spec["ramp_w_per_s"])
    target_w = 0.0 if record["ramp_to_zero"] else request_w
    if not stopped and abs(setpoint_w - target_w) > 1e-6:
        left_s = abs(target_w - setpoint_w) / ramp_w_per_s
        findings.append(
            Finding(
                "ramp",
                f"it ramps at {quantity(ramp_w_per_s, 'W')}/s and is "
                f"{max(left_s, 0.1):.1f} s away from {power(target_w)}",
            )
        )
    return Step("ramp", setpoint_w, tuple(lines), tuple(findings))


def written(scene: Scene, index: int, spec: Any, record: Any, missing: list[str]) -> Step:
    """Whether the setpoint was written, and if not why."""
    setpoint_w, output_w = float(record["setpoint_w"]), float(record["output_w"])
    device = str(spec["command"]).partition(".")[0]
    findings = list(unwritable(scene, device, missing))
    lines = [f"output: {power(output_w)}", last_written(scene, index)]
    apart_w = abs(setpoint_w - output_w)
    if apart_w > 0.0 and not findings and scene.head["armed"]:
        refresh = seconds(int(spec["refresh_ns"]))
        if apart_w <= float(spec["deadband_w"]):
            findings.append(
                Finding(
                    "deadband",
                    f"setpoint and output are {quantity(apart_w, 'W')} apart, "
                    f"within the deadband of {quantity(spec['deadband_w'], 'W')}: it is written "
                    f"at the next refresh, every {refresh}",
                )
            )
        else:
            findings.append(
                Finding(
                    "not_written",
                    f"the setpoint is {quantity(apart_w, 'W')} from the output "
                    f"and was not written to {device}: it cannot be written, or its scale "
                    "factor is not good",
                )
            )
    return Step("output", output_w, tuple(lines), tuple(findings))


def unwritable(scene: Scene, device: str, missing: list[str]) -> list[Finding]:
    """Why nothing at all may be written to a device."""
    if scene.head["dry_run"]:
        return [Finding("dry_run", "this is a dry run: nothing is written to any device")]
    found = scene.device(device)
    if found is None:
        missing.append(
            f"whether {device} could be written, its identity and its firmware, is not "
            "in a past record"
        )
        return []
    state, link = found
    if state == "refused":
        return [
            Finding(
                "not_identified", f"{device} is not what its profile says: nothing is written to it"
            )
        ]
    if state in ("lost", "never"):
        return [Finding("device_silent", f"{device} does not answer")]
    if link["identified"] and not link["writable"]:
        return [
            Finding(
                "firmware",
                f"{device}'s firmware is outside what its profile may write "
                "to: it is read, and never written",
            )
        ]
    if not link["identified"]:
        return [Finding("not_identified", f"{device} has not said yet who it is")]
    return []


def last_written(scene: Scene, index: int) -> str:
    """When the output was last committed, as far back as the records go."""
    marks = np.flatnonzero(scene.records["storages"]["written"][:, index])
    if len(marks) == 0:
        return f"not written in the {len(scene.records)} scans that are known"
    ago_ns = int(scene.head["time_ns"]) - int(scene.records["head"]["time_ns"][marks[-1]])
    return f"last written {seconds(ago_ns)} before" if ago_ns else "written in this scan"


def readback(scene: Scene, spec: Any, record: Any) -> Step:
    """What the device says it was told."""
    tag, output_w = spec["readback"], float(record["output_w"])
    if not tag:
        return Step("read-back", None, ("the device cannot show what it was told",))
    value = scene.good(tag)
    if value is None:
        return Step("read-back", None, (f"{tag} cannot be read now",))
    findings = []
    error_w = abs(value - output_w)
    if error_w > float(spec["readback_tolerance_w"]) and not record["written"]:
        findings.append(
            Finding(
                "readback",
                f"the device holds {power(value)}, and {power(output_w)} was "
                "written: it did not take it, or somebody else writes",
            )
        )
    return Step("read-back", value, (f"{tag}: {power(value)}",), tuple(findings))


def effect(scene: Scene, spec: Any, record: Any) -> Step:
    """What the device does, and what another meter sees of it."""
    output_w, findings, lines = float(record["output_w"]), [], []
    tolerance_w = FOLLOWS_RATIO * max(spec["charge_rating_w"], spec["discharge_rating_w"])
    value_w: float | None = None
    for tag, code, who in (
        (spec["power"], "not_following", "the converter"),
        (spec["proof_meter"], "not_seen", "the meter beside it"),
    ):
        if not tag:
            continue
        seen_w = scene.good(tag)
        if seen_w is None or not math.isfinite(seen_w):
            lines.append(f"{tag} cannot be read")
            continue
        value_w = seen_w if value_w is None else value_w
        lines.append(f"{tag}: {power(seen_w)}")
        if abs(seen_w - output_w) > tolerance_w and not moving(scene, record, spec):
            findings.append(
                Finding(code, f"{who} shows {power(seen_w)} for an output of {power(output_w)}")
            )
    return Step("effect", value_w, tuple(lines), tuple(findings))


def moving(scene: Scene, record: Any, spec: Any) -> bool:
    """Whether the output has moved within the last second: the device may still be on its way."""
    start_ns = int(scene.head["time_ns"]) - NS_PER_S
    recent = scene.records[scene.records["head"]["time_ns"] >= start_ns]
    ids = [str(each["id"]) for each in scene.directory["storages"]]
    outputs_w = recent["storages"]["output_w"][:, ids.index(str(spec["id"]))]
    return bool(np.ptp(outputs_w) > float(spec["deadband_w"])) or len(recent) < 2
