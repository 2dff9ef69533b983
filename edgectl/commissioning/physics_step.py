"""A battery's step: does it do what it is told, by its own meter and by the sum of all others?

The request goes the way of every request, through interlocks, limits and ramp; what is held
against the power is the output that was written in the end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.dispatch import Binding
from edgectl.commissioning.physics_findings import (
    Certainty,
    Change,
    Check,
    Fault,
    Finding,
    Result,
    Verdict,
    exchange_change,
    profile_file,
    scale_change,
    sign_change,
    watts,
)
from edgectl.commissioning.physics_series import DeviceView, Floats, Observation
from edgectl.commissioning.physics_terms import Term
from edgectl.site_model import Battery, Site

HOLD_S = 3.0  # shorter than any following-error delay worth setting, longer than a slow converter
LAG_MAX_S = 2.5
MOVED_RATIO = 0.5  # of the step asked for, that the output must have made
NEAR = 0.25  # of a gain of 1
STILL = 0.2  # a gain under it is none
CURRENT_FOLLOWS, CURRENT_RESTS = 0.6, 0.3  # correlation of a battery's direct current
ERROR_MAX = 0.3  # standard error of a gain that still says something
MS = 1000.0


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What was asked: 0, +power, 0, -power, 0, each held for hold_s. power_w: charge positive."""

    battery: str
    power_w: float
    hold_s: float = HOLD_S

    @property
    def requests_w(self) -> tuple[float, ...]:
        """The requests in their order."""
        return (0.0, self.power_w, 0.0, -self.power_w, 0.0)


@dataclass(frozen=True, slots=True)
class Gain:
    """How far one thing moved with the output; error is its standard error."""

    gain: float
    error: float
    correlation: float


@dataclass(frozen=True, slots=True)
class Response:
    """What moved. own, rest: gains of the converter and of grid less all else."""

    own: Gain
    rest: Gain
    converters: dict[str, Gain]
    currents: dict[str, Gain]
    delay_ms: float
    moved_w: float


def gain_of(output_w: Floats, power: Floats) -> Gain:
    """Least squares of a series on the output; NaN rows are left out."""
    known = np.isfinite(output_w) & np.isfinite(power)
    if known.sum() < 5 or np.ptp(output_w[known]) == 0.0:
        return Gain(math.nan, math.inf, 0.0)
    x = output_w[known] - output_w[known].mean()
    y = power[known] - power[known].mean()
    gain = float(x @ y / (x @ x))
    left = float(np.sum((y - gain * x) ** 2)) / max(int(known.sum()) - 2, 1)
    spread = float(np.sqrt(y @ y) * np.sqrt(x @ x))
    correlation = float(x @ y) / spread if spread > 0.0 else 0.0
    return Gain(gain, math.sqrt(left / float(x @ x)), correlation)


def later(series: Floats, scans: int) -> Floats:
    """A series as it would be so many scans later."""
    if scans == 0:
        return series
    return np.concatenate([np.full(scans, series[0]), series[:-scans]])


def best_lag(output_w: Floats, power: Floats, scans_max: int) -> int:
    """The lag, in scans, at which a power follows the output best, whatever its sign."""
    tried = [abs(gain_of(later(output_w, lag), power).correlation) for lag in range(scans_max + 1)]
    return int(np.argmax(tried))


def crossing_s(time_ns: NDArray[np.int64], values: Floats, level: float, rising: bool) -> float:
    """When a series first crosses a level; NaN where it does not."""
    over = values >= level if rising else values <= level
    at = int(np.argmax(over))
    if not over[at] or at == 0:
        return math.nan
    part = (level - values[at - 1]) / (values[at] - values[at - 1])
    return 1e-9 * float(time_ns[at - 1] + part * (time_ns[at] - time_ns[at - 1]))


def effect_ms(
    time_ns: NDArray[np.int64], output_w: Floats, source_ns: NDArray[np.int64], power_w: Floats
) -> float:
    """From half of the first move of the output to half of the power's move; NaN without one."""
    start = float(output_w[0])
    moved = np.abs(output_w - start) > 0.5 * np.max(np.abs(output_w - start))
    if not moved.any():
        return math.nan
    first = int(np.argmax(moved))
    end = first + int(np.argmin(moved[first:])) if not moved[first:].all() else len(moved)
    target = float(np.median(output_w[first:end]))
    known = np.isfinite(power_w)
    before, after = power_w[:first][known[:first]], power_w[first:end][known[first:end]]
    if len(before) == 0 or len(after) < 4:
        return math.nan
    low, high = float(np.median(before)), float(np.median(after[len(after) // 2 :]))
    window = slice(max(first - 5, 0), end)
    asked_s = crossing_s(time_ns[window], output_w[window], 0.5 * (start + target), target > start)
    rows = np.flatnonzero(known[window]) + window.start
    seen_s = crossing_s(source_ns[rows], power_w[rows], 0.5 * (low + high), high > low)
    return (seen_s - asked_s) * MS


def respond(
    site: Site, battery: Battery, observation: Observation, power_w: dict[str, Floats]
) -> Response:
    """Gains of everything that could have moved.

    power_w   of every branch by its tag, W, put right by what was found before
    """
    output = observation.storages[battery.id].output_w
    own_w = power_w[battery.power]
    period_ns = float(np.median(np.diff(observation.time_ns)))
    lag = best_lag(output, own_w, round(LAG_MAX_S * 1e9 / period_ns))
    delayed = later(output, lag)
    others = [watt for tag, watt in power_w.items() if tag not in (site.grid.power, battery.power)]
    rest = power_w[site.grid.power] - np.sum(others, axis=0)
    series = observation.points[battery.power]
    return Response(
        own=gain_of(delayed, own_w),
        rest=gain_of(delayed, rest),
        converters={each.id: gain_of(delayed, power_w[each.power]) for each in site.batteries},
        currents={
            each.id: gain_of(delayed, current)
            for each in site.batteries
            if (current := _direct_current(site, observation, each)) is not None
        },
        delay_ms=effect_ms(observation.time_ns, output, series.source_ns, own_w),
        moved_w=float(np.ptp(output)),
    )


def _direct_current(site: Site, observation: Observation, battery: Battery) -> Floats | None:
    """The direct current its own battery system shows; its sign is the maker's."""
    device = site.device(battery.soc.partition(".")[0])
    if device.id == battery.power.partition(".")[0]:
        return None  # the converter's word about its own battery proves no pairing
    return DeviceView(device, observation).values("dc_current")


def assess_step(
    site: Site,
    plan: StepPlan,
    observation: Observation,
    terms: Sequence[Term],
    power_w: dict[str, Floats],
) -> list[Verdict]:
    """The verdicts of one step test."""
    battery = next(each for each in site.batteries if each.id == plan.battery)
    term = next(each for each in terms if each.tag == battery.power)
    storage = observation.storages[battery.id]
    moved_w = float(np.ptp(storage.output_w))
    if moved_w < MOVED_RATIO * abs(plan.power_w):
        names = {Binding(int(each)).name.removeprefix("BINDING_") for each in storage.binding}
        bound = ", ".join(sorted(names - {"NONE"})).lower().replace("_", " ")
        text = (
            f"asked for ±{watts(abs(plan.power_w))}, the output moved by {watts(moved_w)} only "
            f"({bound or 'the request was not taken'})"
        )
        return [Verdict(Check("step", battery.id, Result.UNKNOWN, text))]
    found = respond(site, battery, observation, power_w)
    text = (
        f"output {watts(found.moved_w)}: {term.device.id} follows {found.own.gain:+.2f}, grid less "
        f"all else {found.rest.gain:+.2f}±{found.rest.error:.2f}"
    )
    if math.isfinite(found.delay_ms):
        text += f", effect after {found.delay_ms:.0f} ms"
    finding = _fault(site, battery, term, found, text)
    result = Result.OK if finding is None else Result.FINDING
    if finding is None and found.rest.error > ERROR_MAX:
        result = Result.UNKNOWN
        text += "; other loads moved too much, repeat with a larger step"
    verdicts = [Verdict(Check("step", battery.id, result, text), finding)]
    pairing = _pairing(site, battery, found)
    return verdicts if pairing is None else [*verdicts, pairing]


def _near(gain: Gain, value: float) -> bool:
    return abs(gain.gain / value - 1.0) <= NEAR + min(gain.error / abs(value), ERROR_MAX)


def _fault(site: Site, battery: Battery, term: Term, found: Response, text: str) -> Finding | None:
    """What the two gains say together."""
    own, rest, device = found.own, found.rest, term.device
    if not math.isfinite(own.gain) or abs(own.gain) < STILL:
        return _no_move(site, battery, term, found, text)
    if _near(own, 1.0) and (_near(rest, 1.0) or rest.error > ERROR_MAX):
        return None
    for sign in (1.0, -1.0):
        for k in range(-3, 4):
            factor = sign * 10.0**k
            if _near(own, factor) and _near(rest, 1.0) and factor != 1.0:
                return _measurement(term, factor, text)
            if _near(own, factor) and _near(rest, factor):
                return _command(site, battery, term, factor, text)
    if _near(own, 1.0) and _near(rest, -1.0):
        both = _command(site, battery, term, -1.0, text)
        return Finding(
            Fault.COMMAND_SIGN, (device.id,),
            f"command and measurement of {device.id} both have the wrong sign",
            (text + ".", "The converter agrees with the command, the grid meter with neither."),
            "Correct both signs; before that the battery discharges when it is to charge.",
            (*both.changes, sign_change(device, term.point)),
        )  # fmt: skip
    return Finding(
        Fault.IMPLAUSIBLE, (device.id,),
        f"step of {battery.id}: the converter and the grid meter do not agree",
        (text + ".",),
        "Repeat with a larger step while the loads are steady; then look whether the converter is "
        "in the branch that the site file says.",
        certainty=Certainty.LIKELY,
    )  # fmt: skip


def _no_move(site: Site, battery: Battery, term: Term, found: Response, text: str) -> Finding:
    moving = [
        each
        for each in site.batteries
        if each.id != battery.id and abs(found.converters[each.id].gain) > 0.5
    ]
    if moving:
        other = site.device(moving[0].power.partition(".")[0])
        return Finding(
            Fault.EXCHANGED, (term.device.id, other.id),
            f"wrong battery: {battery.id} is commanded and {moving[0].id} moves",
            (f"{text}; {other.id} follows {found.converters[moving[0].id].gain:+.2f}.",),
            "Exchange the two addresses, or the tags of command and power in the site file.",
            exchange_change(site, term.device, other),
        )  # fmt: skip
    if _near(found.rest, 1.0):
        return Finding(
            Fault.IMPLAUSIBLE, (term.device.id,),
            f"{term.tag} stands still while the battery moves",
            (text + ".",),
            "The battery does what it is told; its power point shows another register.",
        )  # fmt: skip
    return Finding(
        Fault.NO_EFFECT, (term.device.id,),
        f"no effect: {battery.id} does not follow its setpoint",
        (text + ".",),
        "Look at the converter: local control, no enable, a stopped battery, another master.",
    )  # fmt: skip


def _measurement(term: Term, factor: float, text: str) -> Finding:
    device = term.device
    if factor == -1.0:
        return Finding(
            Fault.SIGN, (device.id,),
            f"sign: power of {device.id} is measured the wrong way round",
            (text + ".", "The grid meter moved as asked, so the command is right."),
            "Correct the sign of the point, or turn the current transformers of its meter.",
            (sign_change(device, term.point),),
        )  # fmt: skip
    return Finding(
        Fault.SCALE, (device.id,),
        f"x{abs(factor):g} scale: power of {device.id} against what the grid meter saw",
        (text + ".",),
        "Correct the scale of the point" + (" and its sign." if factor < 0.0 else "."),
        (scale_change(device, term.point, abs(factor)),),
    )  # fmt: skip


def _command(site: Site, battery: Battery, term: Term, factor: float, text: str) -> Finding:
    device, command = site.device(battery.command.partition(".")[0]), site.command(battery.command)
    at = f'[[command]] "{command.name}"'
    if factor == -1.0:
        sign = "export_positive" if command.scale > 0.0 else "import_positive"
        return Finding(
            Fault.COMMAND_SIGN, (device.id,),
            f"command reversed: {battery.id} discharges when it is told to charge",
            (text + ".", "Converter and grid meter agree that it moved against the command."),
            "Correct the sign of the command.",
            (Change(profile_file(device), at, f'sign = "{sign}"'),),
        )  # fmt: skip
    return Finding(
        Fault.SCALE, (term.device.id,),
        f"x{abs(factor):g} scale: {battery.id} makes {factor:g} times what it is told",
        (text + ".", "Converter and grid meter agree."),
        "Correct the scale (or the scale factor) of the command.",
        (Change(profile_file(device), at, f"scale: multiply it by {abs(factor):g}"),),
    )  # fmt: skip


def _pairing(site: Site, battery: Battery, found: Response) -> Verdict | None:
    """Whose battery system saw the current: a converter may stand before another's cells."""
    own = found.currents.get(battery.id)
    if own is None:
        return None
    figures = ", ".join(f"{name} {each.correlation:+.2f}" for name, each in found.currents.items())
    text = f"direct current follows: {figures}"
    others = [
        name
        for name, each in found.currents.items()
        if name != battery.id and abs(each.correlation) > CURRENT_FOLLOWS
    ]
    if abs(own.correlation) > CURRENT_RESTS or not others:
        result = Result.OK if abs(own.correlation) > CURRENT_RESTS else Result.UNKNOWN
        return Verdict(Check("pairing", battery.id, result, text))
    other = next(each for each in site.batteries if each.id == others[0])
    bms = [site.device(each.soc.partition(".")[0]) for each in (battery, other)]
    converters = [site.device(each.power.partition(".")[0]) for each in (battery, other)]
    names = tuple(f"{one.id} and {two.id} exchanged" for one, two in (converters, bms))
    return Verdict(
        Check("pairing", battery.id, Result.FINDING, text),
        Finding(
            Fault.EXCHANGED,
            (converters[0].id, converters[1].id, bms[0].id, bms[1].id),
            f"{battery.id} is commanded, and the current flows in the battery of {other.id}",
            (text + ".",),
            f"Cannot tell {names[0]} from {names[1]} by physics: read one nameplate. Then exchange "
            "the addresses, below for the battery systems.",
            exchange_change(site, bms[0], bms[1]),
            Certainty.AMBIGUOUS,
            names,
        ),
    )
