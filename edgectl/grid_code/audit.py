"""What a device is set to against what it shall be set to, setting by setting. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edgectl.grid_code.code import OVER, Origin, Rules, TripRule, ValueRule
from edgectl.grid_code.settings import TRIP_MODELS, VALUES, Point, Settings, Value

EDGE = 1e-9  # a register's own rounding at the end of a range


class Verdict(StrEnum):
    """What became of one setting."""

    OK = "ok"
    NOT_DEFAULT = "not default"  # within the range, and nobody asked for something else
    OUTSIDE = "outside range"
    NOT_REQUIRED = "not as required"  # the site file asks for something else
    UNREAD = "cannot be read"


BAD = (Verdict.OUTSIDE, Verdict.NOT_REQUIRED)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the grid operator prescribes in place of a default; None leaves the default."""

    setting: str
    value: float | None
    time_s: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the audit. Times are None where the setting has none.

    value, time_s            of the device, None where they could not be read
    required, required_s     by the site, or the default
    allowed, allowed_s       ranges of the code, None where it has none
    reason                   in words, where the verdict alone does not say it
    """

    setting: str
    what: str
    unit: str
    model: int
    value: float | None
    time_s: float | None
    required: float | None
    required_s: float | None
    allowed: tuple[float, float] | None
    allowed_s: tuple[float, float] | None
    prescribed: bool
    verdict: Verdict
    reason: str
    origin: Origin | None


def audit(
    rules: Rules, requirements: Sequence[Requirement], settings: Settings
) -> tuple[Finding, ...]:
    """Every setting that the code is about, in its order."""
    wanted = {each.setting: each for each in requirements}
    findings = [_rating(rules, settings)]
    for quantity in TRIP_MODELS:
        stages = rules.stages(quantity)
        if stages:
            findings += _must_trip(stages, wanted, quantity, settings)
            findings += _may_trip(rules, quantity, settings)
            findings += _cease(rules, quantity, settings)
    for rule in rules.values:
        absent = rule.setting not in settings.values and rule.setting not in settings.missing
        if rule.setting in VALUES and not absent:
            findings.append(_single(rule, wanted.get(rule.setting), settings))
    return tuple(findings)


def exit_status(findings: Sequence[Finding]) -> int:
    """0 all within, 1 something outside, 2 something could not be read."""
    if any(each.verdict in BAD for each in findings):
        return 1
    return 2 if any(each.verdict == Verdict.UNREAD for each in findings) else 0


def faster_than(findings: Sequence[Finding], controller_s: float) -> list[Finding]:
    """Trips that a device does sooner than a controller could."""
    return [
        each
        for each in findings
        if each.what.endswith("shall trip")
        and not each.reason  # a disabled function is no trip
        and (each.time_s if each.time_s is not None else math.inf) <= controller_s
    ]


def _rating(rules: Rules, settings: Settings) -> Finding:
    """Whether the device is rated for the category that the site needs."""
    order = rules.categories
    rated = settings.category
    if rated is None or rated not in order:
        verdict, reason = Verdict.UNREAD, "model 702 does not say it"
    elif order.index(rated) < order.index(rules.category):
        verdict = Verdict.OUTSIDE
        reason = f"rated for category {rated}; the site needs {rules.category}"
    else:
        verdict, reason = Verdict.OK, f"rated for category {rated}"
    return Finding(
        "CATEGORY", "rating", "", 702, None, None, None, None, None, None, False, verdict, reason,
        None,
    )  # fmt: skip


def _compared(
    value: Value, required: float, allowed: tuple[float, float], prescribed: bool
) -> Verdict:
    """One number: equal means as near as its register can come."""
    if abs(value.value - required) <= value.step / 2 + EDGE:
        within = allowed[0] - EDGE <= value.value <= allowed[1] + EDGE
        return Verdict.OK if within or prescribed else Verdict.OUTSIDE
    if prescribed:
        return Verdict.NOT_REQUIRED
    if not allowed[0] - EDGE <= value.value <= allowed[1] + EDGE:
        return Verdict.OUTSIDE
    return Verdict.NOT_DEFAULT


def _worse(one: Verdict, other: Verdict) -> Verdict:
    order = (
        Verdict.OK, Verdict.NOT_DEFAULT, Verdict.UNREAD, Verdict.NOT_REQUIRED, Verdict.OUTSIDE,
    )  # fmt: skip
    return max(one, other, key=order.index)


def _must_trip(
    stages: Sequence[TripRule],
    wanted: Mapping[str, Requirement],
    quantity: str,
    settings: Settings,
) -> Iterator[Finding]:
    """Each stage of one quantity."""
    trip = settings.trips.get(quantity)
    why = settings.missing.get(quantity, "")
    points: Sequence[Point] = ()
    if trip is not None:
        points = effective(trip.curves.get("must_trip", ()), quantity, len(stages))
        if not points:
            why = f"model {trip.model} has no must-trip curve"
        elif len(points) != len(stages):
            why = f"stages in the device: {len(points)}, in the code: {len(stages)}"
            points = ()
    for at, rule in enumerate(stages):
        yield _stage(rule, wanted.get(rule.setting), settings, points[at] if points else None, why)


def effective(points: Sequence[Point], quantity: str, stages: int) -> tuple[Point, ...]:
    """The points that decide anything, outermost first.

    A device may hold a curve as stairs, with corners that another point makes idle: one that
    lies further out and is no slower. As many points as the code has stages are left as they are.
    """
    if len(points) <= stages:
        return tuple(points)
    over = quantity in OVER
    kept: list[Point] = []
    for point in points:  # outermost first
        outer = (each for each in kept if each.time_s.value <= point.time_s.value)
        if next(outer, None) is None:
            kept.append(point)
        same = [each for each in kept if each.threshold.value == point.threshold.value]
        if len(same) > 1:
            kept.remove(max(same, key=lambda each: each.time_s.value))
    return tuple(sorted(kept, key=lambda each: each.threshold.value, reverse=not over))


def _stage(
    rule: TripRule,
    wanted: Requirement | None,
    settings: Settings,
    point: Point | None,
    why: str,
) -> Finding:
    value, time_s = (rule.threshold, rule.time_s)
    if wanted is not None:
        value = wanted.value if wanted.value is not None else value
        time_s = wanted.time_s if wanted.time_s is not None else time_s
    trip = settings.trips.get(rule.quantity)
    if point is None:
        verdict, reason = Verdict.UNREAD, why
    else:
        prescribed = wanted is not None
        verdict = _worse(
            _compared(
                point.threshold, value, rule.threshold_allowed,
                prescribed and wanted is not None and wanted.value is not None,
            ),
            _compared(
                point.time_s, time_s, rule.time_allowed_s,
                prescribed and wanted is not None and wanted.time_s is not None,
            ),
        )  # fmt: skip
        reason = ""
        if trip is not None and not trip.enabled:
            verdict = Verdict.OUTSIDE if trip.enabled is False else Verdict.UNREAD
            reason = f"model {trip.model} is " + (
                "disabled: it never trips" if trip.enabled is False else "silent about Ena"
            )
    return Finding(
        setting=rule.setting,
        what=f"{rule.quantity.replace('_', ' ')}, shall trip",
        unit=rule.unit,
        model=TRIP_MODELS[rule.quantity],
        value=point.threshold.value if point else None,
        time_s=point.time_s.value if point else None,
        required=value,
        required_s=time_s,
        allowed=rule.threshold_allowed,
        allowed_s=rule.time_allowed_s,
        prescribed=wanted is not None,
        verdict=verdict,
        reason=reason,
        origin=rule.origin,
    )


def _may_trip(rules: Rules, quantity: str, settings: Settings) -> Iterator[Finding]:
    """From where on it may trip: never before it has ridden through."""
    trip = settings.trips.get(quantity)
    for at, point in enumerate(trip.curves.get("may_trip", ()) if trip else (), 1):
        stay_s = rules.stay_s(quantity, point.threshold.value)
        early = point.time_s.value < stay_s - EDGE
        reason = ""
        if early and math.isinf(stay_s):
            reason = "it shall operate there without end"
        elif early:
            reason = f"it shall ride through {stay_s:g} s beyond this"
        yield _curve_point(
            f"{_short(quantity)}-MAY{at}", f"{quantity.replace('_', ' ')}, may trip", quantity,
            point, None if math.isinf(stay_s) else stay_s, early, reason, rules,
        )  # fmt: skip


def _cease(rules: Rules, quantity: str, settings: Settings) -> Iterator[Finding]:
    """Where it ceases at once: never where it shall keep feeding."""
    trip = settings.trips.get(quantity)
    edge = rules.cease_edge(quantity)
    for at, point in enumerate(trip.curves.get("cease", ()) if trip else (), 1):
        value = point.threshold.value
        early = edge is not None and (
            value < edge - EDGE if quantity in OVER else value > edge + EDGE
        )
        unit = "pu" if quantity.endswith("voltage") else "Hz"
        reason = f"it shall keep feeding as far as {edge:g} {unit}" if early else ""
        yield _curve_point(
            f"{_short(quantity)}-MC{at}", f"{quantity.replace('_', ' ')}, momentary cessation",
            quantity, point, None, early, reason, rules,
        )  # fmt: skip


def _short(quantity: str) -> str:
    side, _, what = quantity.partition("_")
    return (side[0] + what[0]).upper()


def _curve_point(
    setting: str, what: str, quantity: str, point: Point, stay_s: float | None, bad: bool,
    reason: str, rules: Rules,
) -> Finding:  # fmt: skip
    own = next((each.origin for each in rules.regions if each.quantity == quantity), None)
    return Finding(
        setting=setting,
        what=what,
        unit="pu" if quantity.endswith("voltage") else "Hz",
        model=TRIP_MODELS[quantity],
        value=point.threshold.value,
        time_s=point.time_s.value,
        required=None,
        required_s=stay_s,
        allowed=None,
        allowed_s=None,
        prescribed=False,
        verdict=Verdict.OUTSIDE if bad else Verdict.OK,
        reason=reason,
        origin=own,
    )


def _single(rule: ValueRule, wanted: Requirement | None, settings: Settings) -> Finding:
    """One setting of a single number."""
    model = VALUES[rule.setting][0]
    asked = wanted.value if wanted is not None else None
    required = rule.value if asked is None else asked
    value = settings.values.get(rule.setting)
    if value is None:
        verdict, reason = Verdict.UNREAD, settings.missing.get(rule.setting, "")
    else:
        verdict, reason = _compared(value, required, rule.allowed, asked is not None), ""
    return Finding(
        setting=rule.setting,
        what=rule.meaning,
        unit=rule.unit,
        model=model,
        value=value.value if value else None,
        time_s=None,
        required=required,
        required_s=None,
        allowed=rule.allowed,
        allowed_s=None,
        prescribed=asked is not None,
        verdict=verdict,
        reason=reason,
        origin=rule.origin,
    )
