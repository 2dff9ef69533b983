"""How `edgectl gridcode` shows an audit, a grid code and a judgement: tables, sentences, JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from edgectl.cli.page import table
from edgectl.grid_code.audit import BAD, Finding, Verdict, faster_than
from edgectl.grid_code.code import Origin, Rules
from edgectl.grid_code.site import Audited
from edgectl.grid_code.window import NS_PER_S, Judgement, Sample, Stage
from edgectl.site_model import Site

MISSING = "–"
CATEGORY, MAY_TRIP = "CATEGORY", "-MAY"  # settings that are shown in a way of their own
STYLES = {
    Verdict.OK: "green",
    Verdict.NOT_DEFAULT: "yellow",
    Verdict.OUTSIDE: "bold red",
    Verdict.NOT_REQUIRED: "bold red",
    Verdict.UNREAD: "magenta",
}
SCANS_OF_A_TRIP = 2  # a trip of the controller takes up to two scans: docs/architecture.md


def setting_text(value: float | None, unit: str, time_s: float | None) -> str:
    """0.88 pu 21 s; a dash where there is nothing."""
    parts = [] if value is None else [f"{value:g} {unit}".rstrip()]
    parts += [] if time_s is None else [f"{time_s:g} s"]
    return "  ".join(parts) or MISSING


def allowed_text(
    allowed: tuple[float, float] | None, unit: str, allowed_s: tuple[float, float] | None
) -> str:
    """0–0.88 pu  21–50 s; one number where there is no choice."""
    parts = []
    for pair, own in ((allowed, unit), (allowed_s, "s")):
        if pair is not None:
            low, high = pair
            span = f"{low:g}" if low == high else f"{low:g}–{high:g}"
            parts.append(f"{span} {own}".rstrip())
    return "  ".join(parts) or MISSING


def show_audit(console: Console, rules: Rules, audited: Audited, scan_ns: int) -> None:
    """One device."""
    device, settings = audited.device, audited.settings
    head = f"{device.id} at {device.address}"
    if settings is None:
        console.print(Text.assemble((head, "bold"), f"\n  {audited.problem}\n"))
        return
    console.print(
        Text.assemble(
            (head, "bold"), f"  {settings.device}\n{rules.title}, category {rules.category}"
        )
    )
    made = table(["setting", "device", "required", "allowed", "verdict"])
    for each in audited.findings:
        own = setting_text(each.value, each.unit, each.time_s)
        required = setting_text(each.required, each.unit, each.required_s)
        if each.setting == CATEGORY:
            own, required = settings.category or MISSING, f"≥ {rules.category}"
        elif MAY_TRIP in each.setting and required != MISSING:
            required = f"≥ {required}"
        made.add_row(
            each.setting,
            own,
            Text(required, style="cyan" if each.prescribed else ""),
            allowed_text(each.allowed, each.unit, each.allowed_s),
            Text(each.verdict.value, style=STYLES[each.verdict]),
        )
    console.print(made)
    for each in audited.findings:
        if each.reason:
            console.print(f"  {each.setting}: {each.reason}")
    for note in settings.notes:
        console.print(f"  {note}")
    console.print(owner_text(audited.findings, scan_ns) + "\n")


def owner_text(findings: Sequence[Finding], scan_ns: int) -> str:
    """Which trips are faster than a controller, and who owns them."""
    bound_s = SCANS_OF_A_TRIP * scan_ns / NS_PER_S
    fast = [f"{each.setting} {each.time_s:g} s" for each in faster_than(findings, bound_s)]
    owns = (
        "The inverter or its relay owns every trip here; edgectl reads the settings, makes none of "
        "these trips and changes nothing."
    )
    if not fast:
        return owns
    return (
        f"{', '.join(fast)}: faster than a controller can, which takes two scans, "
        f"{bound_s:g} s, and the time of the bus. {owns}"
    )


def conclusion(found: Sequence[Audited]) -> str:
    """One line over all devices."""
    every = [finding for each in found for finding in each.findings]
    bad = sum(each.verdict in BAD for each in every)
    unread = sum(each.verdict == Verdict.UNREAD for each in every)
    changed = sum(each.verdict == Verdict.NOT_DEFAULT for each in every)
    silent = [each.device.id for each in found if each.settings is None]
    if not every:
        return f"nothing was read of {', '.join(silent)}"
    devices = len(found) - len(silent)
    parts = [f"{len(every)} settings of {devices} device{'s' * (devices != 1)}: {bad} outside"]
    parts.append(f"{changed} within but not the default")
    parts.append(f"{unread} could not be read")
    text = ", ".join(parts)
    return text + (f"; nothing was read of {', '.join(silent)}" if silent else "")


def _origin(origin: Origin | None) -> dict[str, Any]:
    if origin is None:
        return {"clause": None, "verified": None, "sources": []}
    return {
        "clause": origin.clause, "verified": origin.verified, "sources": list(origin.sources),
    }  # fmt: skip


def _finding(each: Finding, controller_s: float) -> dict[str, Any]:
    return {
        "setting": each.setting,
        "what": each.what,
        "model": each.model,
        "unit": each.unit,
        "value": each.value,
        "time_s": each.time_s,
        "required": each.required,
        "required_s": each.required_s,
        "allowed": each.allowed,
        "allowed_s": each.allowed_s,
        "prescribed": each.prescribed,
        "verdict": each.verdict.value,
        "reason": each.reason,
        "faster_than_controller": bool(faster_than([each], controller_s)),
        **_origin(each.origin),
    }


def audit_json(site: Site, rules: Rules, found: Sequence[Audited]) -> dict[str, Any]:
    """What --json prints."""
    controller_s = SCANS_OF_A_TRIP * site.scan.period_ns / NS_PER_S
    return {
        "site": site.id,
        "standard": rules.id,
        "category": rules.category,
        "controller_s": controller_s,
        "ok": all(each.status == 0 for each in found),
        "devices": [
            {
                "device": each.device.id,
                "address": each.device.address,
                "says": each.settings.device if each.settings else None,
                "problem": each.problem,
                "status": each.status,
                "notes": list(each.settings.notes) if each.settings else [],
                "settings": [_finding(one, controller_s) for one in each.findings],
            }
            for each in found
        ],
    }


# ---- a grid code


def show_rules(console: Console, rules: Rules) -> None:
    """Every figure of one category, with where it is from."""
    console.print(Text(f"{rules.title}, category {rules.category}", style="bold"))
    made = table(["setting", "default", "allowed", "clause", "seen in", ""])
    for trip in rules.trips:
        made.add_row(
            trip.setting,
            setting_text(trip.threshold, trip.unit, trip.time_s),
            allowed_text(trip.threshold_allowed, trip.unit, trip.time_allowed_s),
            *_origin_cells(trip.origin),
        )
    for value in rules.values:
        made.add_row(
            value.setting,
            setting_text(value.value, value.unit, None),
            allowed_text(value.allowed, value.unit, None),
            *_origin_cells(value.origin),
        )
    console.print(made)
    stays = table(["ride through", "between", "at least", "clause", "seen in", ""])
    for region in rules.regions:
        unit = "pu" if region.quantity.endswith("voltage") else "Hz"
        slope = f" + {region.slope_s_per_pu:g} s/pu" if region.slope_s_per_pu else ""
        stays.add_row(
            f"{region.quantity.replace('_', ' ')}, {region.mode.replace('_', ' ')}",
            f"{region.low:g} and {region.high:g} {unit}",
            f"{region.min_s:g} s{slope}",
            *_origin_cells(region.origin),
        )
    console.print(stays)
    if rules.rocof_hz_per_s is not None:
        console.print(f"rides through {rules.rocof_hz_per_s:g} Hz/s")
    for name, what in rules.sources:
        console.print(f"{name}: {what}")


def _origin_cells(origin: Origin) -> tuple[str, str, Text]:
    proved = Text("verified", style="green") if origin.verified else Text("unverified", "yellow")
    return origin.clause, ", ".join(origin.sources), proved


def rules_json(rules: Rules) -> dict[str, Any]:
    """What show --json prints."""
    return {
        "code": rules.id,
        "title": rules.title,
        "category": rules.category,
        "nominal_hz": rules.nominal_hz,
        "rocof_hz_per_s": rules.rocof_hz_per_s,
        "trips": [
            {
                "setting": each.setting, "quantity": each.quantity, "unit": each.unit,
                "threshold": each.threshold, "threshold_allowed": each.threshold_allowed,
                "time_s": each.time_s, "time_allowed_s": each.time_allowed_s,
                **_origin(each.origin),
            }
            for each in rules.trips
        ],
        "values": [
            {
                "setting": each.setting, "unit": each.unit, "value": each.value,
                "allowed": each.allowed, **_origin(each.origin),
            }
            for each in rules.values
        ],
        "ride_through": [
            {
                "quantity": each.quantity, "low": each.low, "high": each.high,
                "min_s": each.min_s, "slope_s_per_pu": each.slope_s_per_pu, "mode": each.mode,
                **_origin(each.origin),
            }
            for each in rules.regions
        ],
        "sources": dict(rules.sources),
    }  # fmt: skip


# ---- a recorded event


def show_judgement(
    console: Console, judged: Judgement, stages: Sequence[Stage], whose: str,
    samples: Sequence[Sample], notes: Sequence[str],
) -> None:  # fmt: skip
    """What should have happened, and how near each stage came.

    notes  what the device has that is not judged
    """
    span_s = (samples[-1].time_ns - samples[0].time_ns) / NS_PER_S
    console.print(f"{len(samples)} samples over {span_s:g} s, by {whose}")
    made = table(["stage", "beyond", "for", "longest seen"])
    for each in stages:
        unit = "pu" if each.quantity.endswith("voltage") else "Hz"
        sign = ">" if each.quantity.startswith("over") else "<"
        made.add_row(
            each.name,
            f"{sign} {each.threshold:g} {unit}",
            f"{each.time_ns / NS_PER_S:g} s",
            f"{judged.longest[each.name] / NS_PER_S:g} s",
        )
    console.print(made)
    for note in notes:
        console.print(f"  {note}")
    if not judged.tripped:
        console.print("It should have stayed: no stage ran out.")
    for moment in judged.moments:
        at_s = moment.time_ns / NS_PER_S
        if moment.what == "return":
            console.print(f"{at_s:g} s: it may enter service again")
        else:
            console.print(f"{at_s:g} s: it should have tripped by now, by {moment.what}")
    if judged.blind_ns:
        console.print(
            f"{judged.blind_ns / NS_PER_S:g} s without a whole sample: over it this is a guess"
        )


def judgement_json(
    judged: Judgement, whose: str, samples: Sequence[Sample], notes: Sequence[str]
) -> dict[str, Any]:
    """What judge --json prints."""
    return {
        "samples": len(samples),
        "settings": whose,
        "notes": list(notes),
        "should_have_tripped": judged.tripped,
        "moments": [
            {"time_s": each.time_ns / NS_PER_S, "what": each.what} for each in judged.moments
        ],
        "longest_s": {name: ns / NS_PER_S for name, ns in judged.longest.items()},
        "blind_s": judged.blind_ns / NS_PER_S,
    }
