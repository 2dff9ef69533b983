"""Interlocks and limits of one battery: from what is asked to the request it is left with."""

from typing import Any

from edgectl._kernel.interlock import RowFlag
from edgectl.explain.answer import Finding, Step
from edgectl.explain.causes import RowNow
from edgectl.explain.scene import Scene
from edgectl.explain.words import power, quantity

SHARED_W = 1.0  # less is no move: dispatch.pyx, spread
STOPS = ("zero", "open_request", "safe_state")


def clamp(value_w: float, charge_max_w: float, discharge_max_w: float) -> float:
    """permitted_w of dispatch.pyx, for finite numbers."""
    return max(min(value_w, charge_max_w), -discharge_max_w) + 0.0  # and never -0


def acting(scene: Scene, asset: str, *actions: str) -> list[RowNow]:
    """Standing rows that are not bypassed and do one of these to the asset."""
    return [
        row
        for row in scene.rows
        if not row.has(RowFlag.ROW_BYPASSED)
        and any(
            effect["action"] in actions and effect["asset"] in (None, asset)
            for effect in scene.directory["interlocks"][row.row]["effects"]
        )
    ]


def steps(scene: Scene, index: int, spec: Any, record: Any, asked_w: float) -> list[Step]:
    """Interlocks, the battery's own limits, the site's limits."""
    low, high, by_rows = interlocks(scene, spec, record, asked_w)
    before = scene.before
    held_w = None if before is None else float(before["storages"][index]["setpoint_w"])
    wish_w = asked_w
    if record["hold"]:
        wish_w = float(record["setpoint_w"]) if held_w is None else held_w
    if record["ramp_to_zero"]:
        wish_w = 0.0
    if (record["hold"] or record["ramp_to_zero"]) and held_w is not None:
        high, low = min(high, max(held_w, 0.0)), min(low, max(-held_w, 0.0))
    permitted_w = clamp(wish_w, high, low)
    left = Step("interlocks", permitted_w, by_rows[0], by_rows[1])
    own = own_limits(scene, spec, record, permitted_w, high, low)
    return [left, own, site_limits(scene, spec, record, own.value_w or 0.0)]


def interlocks(
    scene: Scene, spec: Any, record: Any, asked_w: float
) -> tuple[float, float, tuple[tuple[str, ...], tuple[Finding, ...]]]:
    """(discharge W, charge W that the rows leave, (lines, findings))."""
    asset, ratio = str(spec["id"]), float(record["derate_ratio"])
    high = min(float(record["charge_max_w"]), float(spec["charge_rating_w"]) * ratio)
    low = min(float(record["discharge_max_w"]), float(spec["discharge_rating_w"]) * ratio)
    findings = []
    stops = acting(scene, asset, *STOPS)
    charge, discharge = (acting(scene, asset, f"inhibit_{way}") for way in ("charge", "discharge"))
    if stops:
        findings.append(Finding("interlock", "held at zero by an interlock", tuple(stops)))
    elif charge and asked_w > 0.0:
        findings.append(Finding("interlock", "a row forbids charging", tuple(charge)))
    elif discharge and asked_w < 0.0:
        findings.append(Finding("interlock", "a row forbids discharging", tuple(discharge)))
    if record["ramp_to_zero"]:
        rows = acting(scene, asset, "ramp_to_zero")
        findings.append(Finding("ramp_to_zero", "a row ramps it to zero", tuple(rows)))
    elif record["hold"]:
        rows = acting(scene, asset, "hold")
        findings.append(
            Finding(
                "hold",
                "a row holds it: no more than it does, no start and no reversal",
                tuple(rows),
            )
        )
    if ratio < 1.0:
        rows = acting(scene, asset, "derate")
        text = f"a row derates it to {quantity(ratio, 'ratio')} of its rating"
        if not -low <= asked_w <= high:
            findings.append(Finding("derate", text, tuple(rows)))
    way = "charge" if asked_w > 0.0 else "discharge"
    own_w = float(record[f"{way}_max_w"])
    room_w = float(spec[f"{way}_rating_w"]) * ratio
    forbidden = stops or (charge if asked_w > 0.0 else discharge)
    if not forbidden and own_w < min(abs(asked_w), room_w):
        rows = acting(scene, asset, f"limit_{way}")
        text = f"the device itself allows no more than {quantity(own_w, 'W')} {way}"
        findings.append(Finding("limit_row", text, tuple(rows)))
    lines = [f"rows leave {quantity(high, 'W')} charge, {quantity(low, 'W')} discharge"]
    lines += [
        f"{row.id} is bypassed and has no effect"
        for row in scene.rows
        if row.has(RowFlag.ROW_BYPASSED)
    ]
    return low, high, (tuple(lines), tuple(findings))


def own_limits(
    scene: Scene, spec: Any, record: Any, wish_w: float, high: float, low: float
) -> Step:
    """Rating, reserve and full of the battery itself."""
    soc, findings = scene.good(spec["soc"]), []
    if soc is None:
        findings.append(
            Finding(
                "soc_unknown",
                "its state of charge cannot be read: it is neither "
                "full nor empty, and does nothing",
            )
        )
        return Step("limits", 0.0, ("state of charge unknown",), tuple(findings))
    charge = f"{quantity(soc, 'ratio')} charged"
    reserve, full = float(spec["reserve_ratio"]), float(spec["full_ratio"])
    left_w = wish_w
    if soc <= reserve and wish_w < 0.0:
        left_w = 0.0
        findings.append(
            Finding(
                "reserve",
                f"{charge}: at the reserve of {quantity(reserve, 'ratio')} it discharges no more",
            )
        )
    if soc >= full and wish_w > 0.0:
        left_w = 0.0
        findings.append(
            Finding(
                "full",
                f"{charge}: at {quantity(full, 'ratio')} it counts as full and charges no more",
            )
        )
    wanted_w = float(record["wanted_w"])
    rating_w = float(spec["charge_rating_w" if wanted_w > 0 else "discharge_rating_w"])
    if record["source"] and abs(wanted_w) > rating_w and abs(wish_w) >= rating_w:
        findings.append(
            Finding(
                "rating", f"{power(wanted_w)} is asked; its rating is {quantity(rating_w, 'W')}"
            )
        )
    lines = (f"{charge}; reserve {quantity(reserve, 'ratio')}, full {quantity(full, 'ratio')}",)
    return Step("limits", left_w, lines, tuple(findings))


def site_limits(scene: Scene, spec: Any, record: Any, left_w: float) -> Step:
    """Import cap and export limit, as the batteries share them."""
    head, directory = scene.head, scene.directory
    request_w = float(record["request_w"])
    cap_w, guard_w = float(head["import_cap_w"]), float(directory["import_guard_w"])
    grid_w, net_w = float(head["grid_w"]), float(head["grid_w"]) - float(head["battery_w"])
    export_w = float(directory["export_max_w"])
    findings = []
    if request_w < left_w - SHARED_W or request_w > left_w + SHARED_W:
        down = request_w < left_w
        if scene.good(directory["grid"]) is None:
            findings.append(
                Finding(
                    "grid_lost",
                    "the grid meter cannot be read: nothing is "
                    "charged and no discharge is given up",
                )
            )
        elif down:
            findings.append(Finding("import_cap", import_text(scene, cap_w, guard_w, net_w)))
        else:
            findings.append(
                Finding(
                    "export_max",
                    f"without the batteries the grid would carry "
                    f"{quantity(net_w, 'W')}; no more than "
                    f"{quantity(export_w, 'W')} may flow back",
                )
            )
    lines = [
        f"grid {quantity(grid_w, 'W')}, cap {quantity(cap_w, 'W')} less guard "
        f"{quantity(guard_w, 'W')}; without the batteries {quantity(net_w, 'W')}",
        f"request: {power(request_w)}",
    ]
    return Step("site limits", request_w, tuple(lines), tuple(findings))


def import_text(scene: Scene, cap_w: float, guard_w: float, net_w: float) -> str:
    """Why the import cap bites, and who lowered it."""
    left_w = cap_w - guard_w - net_w
    gives = "leaves the batteries" if left_w >= 0.0 else "needs of the batteries"
    text = (
        f"the import cap, {quantity(cap_w, 'W')} less a guard of {quantity(guard_w, 'W')}, {gives} "
        f"{quantity(abs(left_w), 'W')}: without them the grid would carry {quantity(net_w, 'W')}"
    )
    if cap_w < float(scene.directory["import_cap_w"]):
        rows = [
            str(row["id"])
            for row in scene.directory["interlocks"]
            if any(effect["action"] == "limit_import" for effect in row["effects"])
        ]
        by = f"a request, or a limit row ({', '.join(rows)})" if rows else "a request"
        text += f"; the contract's is {quantity(scene.directory['import_cap_w'], 'W')}, {by} "
        text += "lowered it"
    return text
