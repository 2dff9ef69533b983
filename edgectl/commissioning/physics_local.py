"""What one device can be told by itself: word order, frequency, voltages, V·I·PF against P."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgectl.commissioning.physics_findings import (
    Certainty,
    Check,
    Fault,
    Finding,
    Result,
    Verdict,
    scale_change,
    volts,
    watts,
    word_order_change,
)
from edgectl.commissioning.physics_series import DeviceView, Floats
from edgectl.commissioning.physics_terms import (
    PHASES,
    ROWS_MIN,
    SQRT3,
    Term,
    apparent,
    line_voltage,
    phase_apparent,
    phase_powers,
    phase_voltages,
    usable_rows,
)

FREQUENCY_HZ = (45.0, 65.0)
TOLERANCE = 0.05  # of V·I·PF against P: two classes of meter and a power factor's rounding
PF_ASSUMED = (0.5, 1.05)  # where the device shows neither reactive power nor power factor
POWERS_OF_TEN = (-3, -2, -1, 1, 2, 3)
ORDER_RIGHT, ORDER_LEAD = 0.75, 0.4  # share of plausible values, and its lead over the other order
JUMPS_MAX = 50.0  # of a value over its own middle: more is no measurement
PHYSICAL = ("voltage", "current", "active_power", "reactive", "apparent", "frequency", "energy")
# Nominal line-to-line voltages of public and plant networks, V (IEC 60038, ANSI C84.1).
NOMINAL_V = (
    208, 230, 400, 415, 480, 600, 690, 800, 1000, 2400, 3300, 4160, 6000, 6600, 6900, 10e3, 11e3,
    12.47e3, 13.2e3, 13.8e3, 15e3, 20e3, 22e3, 24.9e3, 30e3, 33e3, 34.5e3, 45e3, 60e3, 66e3, 69e3,
    90e3, 110e3, 115e3, 132e3, 138e3, 150e3, 161e3, 220e3, 230e3, 275e3, 330e3, 345e3, 380e3, 400e3,
    500e3,
)  # fmt: skip
NOMINAL_RATIO = 0.1


@dataclass(frozen=True, slots=True)
class Local:
    """What one device came to.

    view        decoded in the order its values speak for
    power_w     its power as corrected by what was found, NaN where it said nothing
    counting_w  its power as its own counters should have it: a current transformer that is
                reversed turns them as well
    verdicts    checks made, findings among them
    """

    term: Term
    view: DeviceView
    power_w: Floats
    counting_w: Floats
    verdicts: tuple[Verdict, ...]

    @property
    def stands_in(self) -> bool:
        """Whether V·I·PF stands in for a power register that is full."""
        series = self.view.series(self.term.point.name)
        return series is not None and series.at_register_end

    @property
    def rescaled(self) -> bool:
        """Whether its power was put right by more than a word order."""
        kinds = {each.finding.kind for each in self.verdicts if each.finding is not None}
        return bool(kinds & {Fault.SCALE, Fault.ONE_CT, Fault.PHASES})


def examine(term: Term, view: DeviceView) -> Local:
    """All checks that need no other device."""
    order = word_order(view)
    if order.finding is not None:
        view = replace(view, other_order=True)
    verdicts = [order, *plausible(view)]
    power = view.values(term.point.name)
    if power is None:
        power = np.full(len(view.observation.time_ns), np.nan)
    phases = odd_phase(term, view)
    if phases is not None:
        verdict, corrected = phases
        return Local(term, view, corrected, power, (*verdicts, verdict))
    found, corrected = power_factor(term, view, power)
    if found is not None:
        verdicts.append(found)
    turned = found is not None and found.finding is not None and found.finding.kind is Fault.ONE_CT
    return Local(term, view, corrected, power if turned else corrected, tuple(verdicts))


# ---- word order


def _steady_share(values: Floats, low: float, high: float) -> bool:
    """Whether a decoded point lies in its range nearly always and does not leap about."""
    known = np.isfinite(values)
    if not known.any():
        return False
    inside = known & (values >= low) & (values <= high)
    middle = float(np.median(np.abs(values[known])))
    steady = float(np.max(np.abs(values[known]))) <= JUMPS_MAX * middle + 1.0
    return bool(inside.sum() >= 0.9 * known.sum()) and steady


def _order_score(view: DeviceView) -> tuple[float, int]:
    """Share of the multi-word points that look like measurements, and how many there are."""
    marks: list[bool] = []
    for point in view.device.profile.points:
        series = view.series(point.name)
        if point.words < 2 or point.sf_address is not None or series is None:
            continue
        if not point.name.startswith(PHYSICAL) or not series.new.any():
            continue
        values = series.decoded(other_order=view.other_order)[series.new]
        marks.append(_steady_share(values, point.valid_min, point.valid_max))
    frequency = view.series("frequency")
    if frequency is not None and frequency.point.words > 1:
        middle = view.median("frequency")
        marks.append(FREQUENCY_HZ[0] <= middle <= FREQUENCY_HZ[1])
    return (sum(marks) / len(marks) if marks else 1.0), len(marks)


def word_order(view: DeviceView) -> Verdict:
    """Whether the values make sense in the profile's order of words, or in the other one only."""
    device = view.device
    here, count = _order_score(replace(view, other_order=False))
    there, _ = _order_score(replace(view, other_order=True))
    figures = f"{here:.0%} of {count} values plausible as read, {there:.0%} in the other order"
    if count < 2:
        return Verdict(Check("word order", device.id, Result.UNKNOWN, "too few values of 2 words"))
    if there < ORDER_RIGHT or there - here < ORDER_LEAD:
        return Verdict(Check("word order", device.id, Result.OK, figures))
    evidence = [f"{figures}."]
    for name in ("frequency", "active_power"):
        wrong = replace(view, other_order=False).median(name)
        right = replace(view, other_order=True).median(name)
        if math.isfinite(right):
            evidence.append(f"{name} reads {wrong:.4g} as it is and {right:.4g} with words swapped")
    return Verdict(
        Check("word order", device.id, Result.FINDING, figures),
        Finding(
            Fault.WORD_ORDER,
            (device.id,),
            f"word swap: {device.id} sends the words of a value the other way round",
            tuple(evidence),
            "Change the word order in the profile, or in the device where it has a setting for it.",
            (word_order_change(device),),
        ),
    )


# ---- frequency and voltage


def plausible(view: DeviceView) -> list[Verdict]:
    """Frequency and voltages against what there is in the world."""
    return [each for each in (_frequency(view), _voltage(view)) if each is not None]


def _power_of_ten(value: float, low: float, high: float) -> int | None:
    """k with low <= value / 10^k <= high; None where there is none."""
    return next((k for k in POWERS_OF_TEN if low <= value / 10.0**k <= high), None)


def _frequency(view: DeviceView) -> Verdict | None:
    device, middle = view.device, view.median("frequency")
    if not math.isfinite(middle):
        return None
    figures = f"{middle:.4g} Hz"
    if FREQUENCY_HZ[0] <= middle <= FREQUENCY_HZ[1]:
        return Verdict(Check("plausible", device.id, Result.OK, figures))
    k = _power_of_ten(middle, *FREQUENCY_HZ)
    point = device.profile.point("frequency")
    remedy = "Look the register up in the maker's map: this is no mains frequency."
    return Verdict(
        Check("plausible", device.id, Result.FINDING, figures),
        Finding(
            Fault.IMPLAUSIBLE if k is None else Fault.SCALE,
            (device.id,),
            f"frequency of {device.id} is {figures}"
            + ("" if k is None else f": {_times(10.0**k)}"),
            (f"A network runs at {FREQUENCY_HZ[0]:g} to {FREQUENCY_HZ[1]:g} Hz.",),
            remedy if k is None else "Correct the scale of the point.",
            () if k is None else (scale_change(device, point, 10.0**k),),
        ),
    )


def _nominal(line_v: float) -> float | None:
    """The nominal voltage that this one belongs to."""
    near = min(NOMINAL_V, key=lambda nominal: abs(line_v / nominal - 1.0))
    return near if abs(line_v / near - 1.0) <= NOMINAL_RATIO else None


def _voltage(view: DeviceView) -> Verdict | None:
    """Line-to-line against line-to-neutral, then against the nominal voltages."""
    device, line = view.device, line_voltage(view)
    if line is None or not np.isfinite(line).any():
        return None
    line_v = float(np.nanmedian(line))
    phases = phase_voltages(view)
    phase_v = float("nan") if phases is None else float(np.nanmedian(sum(phases))) / len(PHASES)
    ratio = line_v / phase_v if phase_v > 0.0 else SQRT3
    if abs(ratio / SQRT3 - 1.0) > TOLERANCE:
        text = f"line to line {volts(line_v)}, line to neutral {volts(phase_v)}"
        return _voltage_finding(
            view, text, f"{text}: {ratio:.3g} times, not 1.732", "One of the two holds the other."
        )
    nominal = _nominal(line_v)
    if nominal is not None:
        text = f"{volts(line_v)} line to line, nominal {volts(nominal)}"
        return Verdict(Check("plausible", device.id, Result.OK, text))
    factors = [10.0**k for k in POWERS_OF_TEN] + [SQRT3, 1.0 / SQRT3]
    fits = [f"{_times(f)} {volts(found)}" for f in factors if (found := _nominal(line_v / f))]
    text = f"{volts(line_v)} line to line"
    why = f"As {' or as '.join(fits[:3])} it would be a nominal voltage." if fits else ""
    return _voltage_finding(view, text, f"{text} is no nominal voltage", why)


def _voltage_finding(view: DeviceView, text: str, what: str, why: str) -> Verdict:
    return Verdict(
        Check("plausible", view.device.id, Result.FINDING, text),
        Finding(
            Fault.IMPLAUSIBLE,
            (view.device.id,),
            f"voltage of {view.device.id}: {what}",
            (why,) if why else (),
            "Compare the meter's own display; correct the scale or the voltage transformer ratio.",
            certainty=Certainty.LIKELY,
        ),
    )


def _times(factor: float) -> str:
    """What a factor does to a reading, in words: "10 times too high"."""
    if factor >= 1.0:
        return f"{factor:.4g} times too high"
    return f"{1.0 / factor:.4g} times too low"


# ---- V·I·PF against P


def odd_phase(term: Term, view: DeviceView) -> tuple[Verdict, Floats] | None:
    """One phase against the two others: a reversed transformer, or voltages exchanged.

    Returns the verdict and the power as it would be; None where the phases agree or say nothing.
    """
    powers, apparents = phase_powers(view, term.point.name), phase_apparent(view)
    if powers is None or apparents is None:
        return None
    rows = usable_rows(term, view, np.asarray(sum(apparents)))
    if len(rows) < ROWS_MIN:
        return None
    with np.errstate(all="ignore"):
        factors = np.array(
            [np.nanmedian(p[rows] / s[rows]) for p, s in zip(powers, apparents, strict=True)]
        )
    scale = 10.0 ** round(math.log10(max(np.max(np.abs(factors)), 1e-9)))
    figures = ", ".join(
        f"{phase.upper()} {watts(float(np.nanmedian(p[rows])))}"
        for phase, p in zip(PHASES, powers, strict=True)
    )
    positive = int((factors > 0.0).sum())
    sizes = np.abs(factors) / scale
    if positive in (1, 2) and sizes.min() > 0.3 and np.ptp(sizes) < 0.15:
        odd = int(np.flatnonzero((factors > 0.0) == (positive == 1))[0])
        majority = 1.0 if positive == 2 else -1.0
        corrected = majority * np.asarray(sum(np.abs(each) for each in powers))
        return _one_ct(term, odd, figures, powers, rows), corrected * _sign(term)
    if abs(float(factors.sum())) < 0.25 * scale and sizes.max() > 0.6:
        straight = int(np.argmax(sizes))
        total = np.asarray(sum(apparents)) * factors[straight]
        return _phases(term, straight, figures, powers, rows), total * _sign(term)
    return None


def _sign(term: Term) -> float:
    """The phases' points have no sign line where the total has one."""
    return -1.0 if term.point.scale < 0.0 else 1.0


def _one_ct(
    term: Term, odd: int, figures: str, powers: list[Floats], rows: NDArray[np.int64]
) -> Verdict:
    device, phase = term.device, PHASES[odd].upper()
    shown = float(np.nanmedian(np.asarray(sum(powers))[rows]))
    whole = float(np.nanmedian(np.asarray(sum(np.abs(each) for each in powers))[rows]))
    text = f"phases {figures}"
    return Verdict(
        Check("v-i-pf", device.id, Result.FINDING, text),
        Finding(
            Fault.ONE_CT,
            (device.id,),
            f"one CT reversed: {phase} of {device.id}",
            (
                f"Power by phase: {figures}; V·I is alike in all three.",
                f"The sum shows {watts(shown)} of {watts(whole)}: one part in three.",
            ),
            f"Turn the current transformer of {phase} round, or exchange its two leads. No line of "
            "the profile can put one phase right.",
        ),
    )


def _phases(
    term: Term, straight: int, figures: str, powers: list[Floats], rows: NDArray[np.int64]
) -> Verdict:
    device = term.device
    crossed = " and ".join(p.upper() for at, p in enumerate(PHASES) if at != straight)
    shown = float(np.nanmedian(np.asarray(sum(powers))[rows]))
    return Verdict(
        Check("v-i-pf", device.id, Result.FINDING, f"phases {figures}"),
        Finding(
            Fault.PHASES,
            (device.id,),
            f"phases exchanged: voltages of {crossed} against their currents at {device.id}",
            (
                f"Power by phase: {figures}; together {watts(shown)}.",
                "Two voltages exchanged against their currents make a sum of nothing.",
            ),
            f"Exchange the voltage leads of {crossed}, or the current transformers.",
        ),
    )


def _expected_factor(view: DeviceView, rows: NDArray[np.int64], va: Floats) -> tuple[float, str]:
    """Power factor by the device's own word; NaN where it has none. And how it is known."""
    own = view.values("power_factor")
    if own is not None and 0.3 <= abs(float(np.nanmedian(own[rows]))) <= 1.0:
        return abs(float(np.nanmedian(own[rows]))), "its power factor"
    reactive = view.values("reactive_power")
    if reactive is not None:
        share = float(np.nanmedian(np.abs(reactive[rows]) / va[rows]))
        if share < 0.95:
            return math.sqrt(1.0 - share**2), "its reactive power"
    return float("nan"), "no power factor"


def power_factor(term: Term, view: DeviceView, power: Floats) -> tuple[Verdict | None, Floats]:
    """V·I·PF against P: the verdict, and the power as it would be."""
    va = apparent(view)
    if va is None:
        return None, power
    device = term.device
    rows = usable_rows(term, view, va)
    series = view.series(term.point.name)
    phases = phase_powers(view, term.point.name)
    full = series is not None and series.at_register_end
    if full and phases is not None:  # what the register cannot hold, its phases still can
        power = np.asarray(sum(phases)) * _sign(term)
    if full and len(rows) >= ROWS_MIN and not np.isfinite(power[rows]).any():
        return _at_its_end(term, view, va, rows)
    if np.isfinite(power).any():
        rows = rows[np.isfinite(power[rows])]
    if len(rows) < ROWS_MIN:
        text = f"too little flows, or never steadily: V·I is {watts(_middle(va))[:-1]}VA"
        return _unknown(term, text), power
    expected, source = _expected_factor(view, rows, va)
    measured = float(np.median(np.abs(power[rows]) / va[rows]))
    text = (
        f"P {watts(_middle(power[rows]))}, V·I {watts(_middle(va[rows]))[:-1]}VA, "
        f"P/VI {measured:.3g}" + (f", PF {expected:.3g}" if math.isfinite(expected) else "")
    )
    factor = _power_error(measured, expected)
    if factor == 1.0:
        return Verdict(Check("v-i-pf", device.id, Result.OK, text)), power
    ratios = np.abs(power[rows] / va[rows])
    if factor != 1.0 and float(np.ptp(np.percentile(ratios, (25, 75)))) > TOLERANCE * measured:
        return _unknown(term, f"{text}: it moves too much, watch longer"), power
    if math.isnan(factor):
        one_of_three = abs(3.0 * measured / expected - 1.0) <= TOLERANCE
        return _unlike(term, text, source, one_of_three), power * (3.0 if one_of_three else 1.0)
    at_end = f" Its register stands at the end of {term.point.type}." if full else ""
    finding = _scaled(term, view, factor, f"{text}; expected by {source}.{at_end}")
    return Verdict(Check("v-i-pf", device.id, Result.FINDING, text), finding), power / factor


def _unknown(term: Term, text: str) -> Verdict:
    return Verdict(Check("v-i-pf", term.device.id, Result.UNKNOWN, text))


def _at_its_end(
    term: Term, view: DeviceView, va: Floats, rows: NDArray[np.int64]
) -> tuple[Verdict, Floats]:
    """A power register that holds no more: the verdict, and the power by V·I·PF instead."""
    device, point = term.device, term.point
    end_w = abs(point.scale) * 2.0 ** (16 * point.words - 1)
    expected, _ = _expected_factor(view, rows, va)
    stand_in = va * (expected if math.isfinite(expected) else 1.0)
    text = f"{term.tag} stands at {watts(end_w)}, the end of its {point.type}"
    text += f"; V·I is {watts(_middle(va[rows]))[:-1]}VA"
    finding = Finding(
        Fault.SCALE,
        (device.id,),
        f"scale: power of {device.id} does not fit its register, {point.type} of {watts(end_w)}",
        (f"{text}.", "A register at its end is no measurement, whatever scale it is given."),
        "Set the unit of the register, or the current transformer ratio, in the device; V·I·PF "
        "stands in for it in the balance here.",
        certainty=Certainty.LIKELY,
    )
    return Verdict(Check("v-i-pf", device.id, Result.FINDING, text), finding), stand_in


def _middle(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _power_error(measured: float, expected: float) -> float:
    """1 where P fits V·I, the power of ten it is off by, NaN where neither."""
    for k in (0, *POWERS_OF_TEN):
        ratio = measured / 10.0**k
        if math.isfinite(expected):
            if abs(ratio / expected - 1.0) <= TOLERANCE:
                return 10.0**k
        elif PF_ASSUMED[0] <= ratio <= PF_ASSUMED[1]:
            return 10.0**k
    return float("nan")


def _scaled(term: Term, view: DeviceView, factor: float, evidence: str) -> Finding:
    device, name = term.device, term.point.name
    points = [device.profile.point(name)]
    points += [series.point for p in PHASES if (series := view.series(f"{name}_{p}")) is not None]
    return Finding(
        Fault.SCALE,
        (device.id,),
        f"x{10 ** abs(round(math.log10(factor)))} scale: power of {device.id} is {_times(factor)}",
        (f"{evidence}",),
        "Correct the scale of the point, or the unit the device is set to.",
        tuple(scale_change(device, point, factor) for point in points),
    )


def _unlike(term: Term, text: str, source: str, one_of_three: bool) -> Verdict:
    """Power that V·I does not bear out, and no power of ten either."""
    device = term.device
    what = f"V·I·PF of {device.id} is not its power, by no power of ten"
    if one_of_three:
        what = f"one CT reversed at {device.id}, or its power is that of one phase"
    return Verdict(
        Check("v-i-pf", device.id, Result.FINDING, text),
        Finding(
            Fault.ONE_CT if one_of_three else Fault.IMPLAUSIBLE,
            (device.id,),
            what,
            (f"{text}; expected by {source}.",),
            "Read V, I, P and PF of each phase at the meter's own display; look for a current "
            "transformer that is reversed or on another phase.",
            certainty=Certainty.LIKELY,
        ),
    )
