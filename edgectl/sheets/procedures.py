"""How a row is made to act on a rig: values just under, at and over each threshold.

The steps follow from the row alone, so that table, test and sheet cannot disagree. Times are
bounds: the row's delay and two scan periods, one to latch the value and one to decide.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgectl.profiles.model import Point
from edgectl.site_model import Cause, Interlock, Site
from edgectl.site_model.text import action_text, seconds_text, threshold_text

SCANS_TO_ACT = 2
COARSE_RATIO = 0.001  # of the threshold, where a point has neither resolution nor hysteresis
FINE_RATIO = 0.1  # of the hysteresis, where a point has no resolution of its own
NS_PER_S = 1_000_000_000
WHO = {
    "operator": "an operator resets it (edgectl interlocks reset)",
    "local": "the push-button at the cabinet resets it",
    "restart": "the controller is restarted",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What the rig does, what must be seen, and within which time; "" where none is asked."""

    do: str
    expect: str
    within: str = ""


def procedure(site: Site, row: Interlock) -> list[Step]:
    """The steps that show what a row does."""
    act = Step("Start: every cause clear, the row clear", "status clear; its effects are absent")
    steps = [act]
    if row.causes[0].op == "limit":
        steps += _limit(site, row)
    else:
        steps += _thresholds(site, row)
        steps += _vote(site, row)
    steps += _quality(site, row)
    steps += _reset(site, row)
    return steps


def resolution(site: Site, cause: Cause) -> float:
    """The smallest step of a cause's tag that a rig can set, SI."""
    point = _wire_point(site, cause.tag)
    if point is not None and point.type not in ("f32", "f64") and point.sf_address is None:
        return abs(point.scale)
    if cause.unit in ("count", "state", "bits", "bool"):
        return 1.0
    if cause.on == cause.off:
        return max(abs(cause.on), 1.0) * COARSE_RATIO
    return float(10.0 ** math.floor(math.log10(abs(cause.on - cause.off) * FINE_RATIO)))


def _wire_point(site: Site, tag: str) -> Point | None:
    device, _, name = tag.partition(".")
    own = next((each for each in site.devices if each.id == device), None)
    points = own.profile.points if own else ()
    return next((each for each in points if each.name == name), None)


def owner(site: Site, tag: str) -> str:
    """Device whose silence makes a tag bad; empty where nothing can."""
    device, _, name = tag.partition(".")
    if _wire_point(site, tag) is not None:
        return device
    monitor = next((each for each in site.monitors if each.id == device), None)
    if monitor is not None:
        return owner(site, monitor.inputs[0])
    if tag == "SITE.grid_power":
        return owner(site, site.grid.power)
    battery = next((each for each in site.batteries if each.id == device), None)
    if battery is not None and name.endswith("_error"):
        return owner(site, battery.proof_meter or battery.power)
    return ""


def _set(site: Site, cause: Cause, value: str) -> str:
    """How a cause's tag gets a value: at its device, or injected where none gives it."""
    injected = "" if _wire_point(site, cause.tag) else " (injected)"
    return f"{cause.tag} = {value}{injected}"


def within(site: Site, delay_ns: int) -> str:
    """The bound of a reaction."""
    return f"{seconds_text(delay_ns + SCANS_TO_ACT * site.scan.period_ns)} s"


def reaction(row: Interlock) -> str:
    """What is seen when the row acts."""
    effects = "; ".join(
        f"{action_text(each).replace('_', ' ')}{f' {each.asset}' if each.asset else ''}"
        for each in row.effects
    )
    return f"trips: {effects}"


def _others(row: Interlock) -> str:
    """How many other causes must be true for one to decide."""
    need = row.vote - 1
    return f", with {need} other {'cause' if need == 1 else 'causes'} true" if need else ""


def _thresholds(site: Site, row: Interlock) -> Iterator[Step]:
    """Just under, at, and just over each cause's threshold; and back."""
    told: set[tuple[str, float, str]] = set()
    for cause in row.causes:
        alike = (cause.op, cause.on, cause.unit)
        if alike in told:
            yield Step(f"The same with {cause.tag}{_others(row)}", reaction(row),
                       within(site, row.on_delay_ns))  # fmt: skip
            continue
        told.add(alike)
        yield from _one_threshold(site, row, cause)


def _one_threshold(site: Site, row: Interlock, cause: Cause) -> Iterator[Step]:
    step = resolution(site, cause)
    wait = seconds_text(row.on_delay_ns + SCANS_TO_ACT * site.scan.period_ns)
    if cause.op == "bad":
        yield from _delayed(site, row, f"{cause.tag} bad{_others(row)}", f"{cause.tag} good")
        return
    if cause.op in ("above", "below"):
        sign = 1 if cause.op == "above" else -1
        safe, at, over = (
            _set(site, cause, threshold_text(cause, cause.on + k * sign * step)) for k in (-1, 0, 1)
        )
        yield Step(f"{safe} for {wait} s{_others(row)}", "stays clear")
        yield Step(f"{at} for {wait} s", "stays clear")
        yield from _delayed(site, row, over, safe, still=True)
        off = _set(site, cause, threshold_text(cause, cause.off))
        yield Step(f"{off}, where it clears", "its cause is gone")
        return
    true, false = (cause.on, 1 - cause.on if cause.on in (0, 1) else cause.on + 1)
    if cause.op == "not_equal":
        true, false = false, true
    quiet = _set(site, cause, f"{false:g}")
    yield Step(f"{quiet} for {wait} s{_others(row)}", "stays clear")
    yield from _delayed(site, row, _set(site, cause, f"{true:g}"), quiet)


def _delayed(
    site: Site, row: Interlock, true: str, false: str, *, still: bool = False
) -> Iterator[Step]:
    """Too short for the on-delay, long enough, and back; still: back is within the hysteresis."""
    short_ns = row.on_delay_ns - SCANS_TO_ACT * site.scan.period_ns
    if short_ns > 0:
        yield Step(f"{true} for {seconds_text(short_ns)} s, then {false}", "pending; never trips")
    yield Step(true, reaction(row), within(site, row.on_delay_ns))
    yield Step(false, "stays tripped: within its two thresholds" if still else "its cause is gone")


def _vote(site: Site, row: Interlock) -> Iterator[Step]:
    """One cause fewer than the vote does nothing; a contradiction is told."""
    many = len(row.causes)
    if many > 1 and row.vote > 1:
        yield Step(f"{row.vote - 1} of the {many} causes true", "stays clear")
        yield Step(f"{row.vote} of the {many} causes true", reaction(row),
                   within(site, row.on_delay_ns))  # fmt: skip
    if row.discrepancy_ns:
        yield Step(f"Causes that say different things for {seconds_text(row.discrepancy_ns)} s",
                   "shown as discrepant, event interlock.discrepancy",
                   within(site, row.discrepancy_ns))  # fmt: skip


def _limit(site: Site, row: Interlock) -> Iterator[Step]:
    """A limit clamps in every scan, from the rating down to nothing."""
    cause = row.causes[0]
    for ratio in (1.0, 0.5, 0.0):
        value = threshold_text(cause, cause.on * ratio)
        yield Step(f"{cause.tag} = {value}, and ask for more than that",
                   f"{row.effects[0].action.replace('_', ' ')} to {value}",
                   within(site, 0))  # fmt: skip


def _quality(site: Site, row: Interlock) -> Iterator[Step]:
    """What bad quality does, where something can make a cause bad."""
    cause = row.causes[0]
    device = owner(site, cause.tag)
    if not device or all(each.op == "bad" for each in row.causes):
        return
    if row.on_bad_quality == "hold":
        expect = "nothing changes: it holds"
    elif cause.op != "limit":
        expect = f"counts as a vote to trip{_others(row)}"
    elif row.effects[0].action == "limit_import":
        expect = "no clamp"
    else:
        expect = "clamps to nothing"
    yield Step(f"Pull the cable of {device}: {cause.tag} is bad", expect)


def _reset(site: Site, row: Interlock) -> Iterator[Step]:
    """The way back: by itself, or by whom the row names, and not before the cause is gone."""
    if row.reset == "auto":
        yield Step(f"Every cause gone for {seconds_text(row.off_delay_ns)} s",
                   "clears by itself", within(site, row.off_delay_ns))  # fmt: skip
        if row.lockout_trips:
            window = seconds_text(row.lockout_window_ns)
            yield Step(f"{row.lockout_trips} trips within {window} s", "locked out: stays latched")
            yield Step("An operator resets it", "clears", within(site, 0))
        return
    yield Step(f"While the cause stands, {WHO[row.reset]}", "refused: stays tripped")
    yield Step(f"With the cause gone, {WHO[row.reset]}", "latched until then, then clear",
               within(site, 0))  # fmt: skip
    if row.reset == "operator":
        yield Step("Trip it, restart the controller", "still latched: a restart resets nothing")
