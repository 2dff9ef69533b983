"""The flexible load, a PV block, and one row: why they do what they do."""

import math
from typing import Any

from edgectl._kernel.interlock import InterlockStatus, RowFlag
from edgectl.explain.answer import Answer, Finding, Step, answer_of
from edgectl.explain.causes import STATUS
from edgectl.explain.output import halts, unwritable
from edgectl.explain.scene import Scene
from edgectl.explain.words import quantity, seconds

MOVES_W = 1.0


def why_flexible(scene: Scene) -> Answer:
    """Why the flexible load is asked for what it is asked for."""
    spec, head = scene.directory["flexible"], scene.head
    device = str(spec["command"]).partition(".")[0]
    missing = [
        "a request from outside for the flexible load is not in the record, nor when the "
        "output was last written"
    ]
    request_w = float(head["shed_request_w"])
    deferred_w = scene.good(spec["deferred"])
    steps = [
        shortage(scene, missing),
        tiers(scene),
        room(scene, spec),
        flexible_output(scene, spec, device, request_w, deferred_w, missing),
    ]
    asked = quantity(request_w, "W") if request_w else "nothing"
    shown = "is silent" if deferred_w is None else f"defers {quantity(deferred_w, 'W')}"
    return answer_of(scene, device, steps, missing, f"{device} {shown}; {asked} is asked of it")


def shortage(scene: Scene, missing: list[str]) -> Step:
    """What the batteries could not hold under the cap."""
    head, directory = scene.head, scene.directory
    limit_w = float(head["import_cap_w"]) - float(directory["import_guard_w"])
    net_w = float(head["grid_w"]) - float(head["battery_w"])
    battery_w = float(scene.record["storages"]["request_w"].sum())
    short_w = max(0.0, net_w + battery_w - limit_w)
    lines = [
        f"without the batteries the grid would carry {quantity(net_w, 'W')}; the cap less its "
        f"guard is {quantity(limit_w, 'W')}; the batteries are asked for {quantity(battery_w, 'W')}"
    ]
    if short_w > MOVES_W:
        lines.append(f"{quantity(short_w, 'W')} are left over for the flexible load to defer")
    missing.append("the shortage itself is not in the record; it is worked out again here")
    return Step("shortage", short_w, tuple(lines))


def rows_with(scene: Scene, action: str) -> tuple[Any, ...]:
    """Standing rows of the whole site with one action, those bypassed aside."""
    return tuple(
        row
        for row in scene.rows
        if not row.has(RowFlag.ROW_BYPASSED)
        and any(
            each["action"] == action for each in scene.directory["interlocks"][row.row]["effects"]
        )
    )


def tiers(scene: Scene) -> Step:
    """Rows that ask for load to be shed, or refuse it."""
    findings, lines = [], []
    tier = int(scene.head["shed_tier"])
    if tier:
        findings.append(
            Finding(
                "tier", f"a row asks for tier {tier} of the flexible load", rows_with(scene, "shed")
            )
        )
    else:
        lines.append("no row asks for load to be shed")
    refusing = rows_with(scene, "refuse_shed")
    if refusing:
        findings.append(
            Finding(
                "refuse_shed",
                "a row refuses to shed anything: what is deferred comes back",
                refusing,
            )
        )
    return Step("interlocks", None, tuple(lines), tuple(findings))


def room(scene: Scene, spec: Any) -> Step:
    """What could be deferred, down to the floor."""
    available_w, deferred_w = scene.good(spec["available"]), scene.good(spec["deferred"]) or 0.0
    floor_w, it_w = float(spec["it_floor_w"]), float(scene.head["it_w"])
    findings = []
    above_w = it_w + deferred_w - floor_w
    if available_w is None:
        findings.append(
            Finding(
                "nothing_deferrable",
                f"{spec['available']} cannot be read: nothing is asked of what is not known",
            )
        )
        return Step("limits", 0.0, (), tuple(findings))
    ceiling_w = max(0.0, min(available_w + deferred_w, above_w))
    if above_w <= available_w + deferred_w:
        findings.append(
            Finding(
                "floor",
                f"IT stands at {quantity(it_w, 'W')}; below the floor of "
                f"{quantity(floor_w, 'W')} nothing is deferred",
            )
        )
    elif available_w + deferred_w <= MOVES_W:
        findings.append(Finding("nothing_deferrable", "there is no load that could wait now"))
    lines = (
        f"{quantity(available_w, 'W')} could be deferred and {quantity(deferred_w, 'W')} is; "
        f"floor of IT {quantity(floor_w, 'W')}; so at most {quantity(ceiling_w, 'W')}",
    )
    return Step("limits", ceiling_w, lines, tuple(findings))


def flexible_output(
    scene: Scene,
    spec: Any,
    device: str,
    request_w: float,
    deferred_w: float | None,
    missing: list[str],
) -> Step:
    """What is asked now, whether it can be written, and what follows."""
    findings = list(unwritable(scene, device, missing))
    if not scene.head["armed"]:
        findings = halts(scene)[:1]
    lines = [f"request: {quantity(request_w, 'W')}"]
    if request_w > MOVES_W:
        lines.append(
            f"it is given back at {quantity(spec['release_w_per_s'], 'W')}/s, "
            f"{seconds(int(spec['hold_ns']))} after more was last asked"
        )
    apart_w = math.inf if deferred_w is None else request_w - deferred_w
    if math.isfinite(apart_w) and apart_w > float(spec["deadband_w"]) and not findings:
        lines.append(f"{quantity(apart_w, 'W')} of it has not followed yet")
    return Step("output", request_w, tuple(lines), tuple(findings))


def why_pv(scene: Scene, index: int) -> Answer:
    """Why a PV block generates what it generates."""
    spec, head = scene.directory["pvs"][index], scene.head
    power_w = scene.good(spec["power"])
    missing = ["the limit as decided is not in the record; the device's own read-back is shown"]
    export_max_w = float(scene.directory["export_max_w"])
    excess_w = -float(head["grid_w"]) - export_max_w
    findings: list[Finding] = []
    lines = [
        f"grid {quantity(float(head['grid_w']), 'W')}; {quantity(export_max_w, 'W')} may flow back"
    ]
    if spec["limit"] is None:
        findings.append(Finding("no_limit", "it cannot be limited: it gives what the sun gives"))
    elif scene.good(scene.directory["grid"]) is None:
        lines.append("the grid meter cannot be read: PV is not held back on a guess")
    elif excess_w > 0.0 and float(head["pv_w"]) > 0.0:
        findings.append(
            Finding(
                "export_max",
                f"{quantity(excess_w, 'W')} too much flows back: PV is held back while that lasts",
            )
        )
    limits = Step("site limits", None, tuple(lines), tuple(findings))
    limit_w = scene.good(spec.get("readback"))
    shown = "unknown" if limit_w is None else quantity(limit_w, "W")
    device = str(spec["limit"] or spec["power"]).partition(".")[0]
    held: list[Finding] = []
    if spec["limit"] is not None:
        held = halts(scene)[:1] if not head["armed"] else unwritable(scene, device, missing)
    output = Step(
        "output",
        limit_w,
        (f"the device's limit reads {shown}; rating {quantity(spec['rating_w'], 'W')}",),
        tuple(held),
    )
    does = "is silent" if power_w is None else f"generates {quantity(-power_w, 'W')}"
    return answer_of(scene, str(spec["id"]), [limits, output], missing, f"{spec['id']} {does}")


def why_row(scene: Scene, row: int) -> Answer:
    """Why one row stands, or does not."""
    now = scene.row(row)
    flags = [
        word
        for flag, word in (
            (RowFlag.ROW_START, "still the trip it started with"),
            (RowFlag.ROW_FIRST_OUT, "first out of its group"),
            (RowFlag.ROW_LOCKED, "locked out"),
            (RowFlag.ROW_BYPASSED, "bypassed: without effect"),
            (RowFlag.ROW_DISCREPANT, "its causes contradict each other"),
            (RowFlag.ROW_UNDER_TEST, "under proof test"),
        )
        if now.has(flag)
    ]
    does = f"{now.id} is {', '.join([STATUS[now.status], *flags])}"
    standing = now.status > InterlockStatus.INTERLOCK_CLEAR
    findings = (Finding("interlock", now.title, (now,)),) if standing else ()
    lines = () if standing else tuple(each.text for each in now.causes)
    return answer_of(scene, now.id, [Step("row", None, lines, findings)], [], does)
