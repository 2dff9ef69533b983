"""Energy counters against the integral of the power beside them.

A counter steps. So its gain is taken from its first step to its last, when it is known where
in a count it stands, and compared with the power integrated between the same two replies.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgectl.commissioning.physics_findings import (
    Certainty,
    Check,
    Fault,
    Finding,
    Result,
    Verdict,
    factor_text,
    scale_change,
    watt_hours,
    watts,
)
from edgectl.commissioning.physics_local import Local
from edgectl.commissioning.physics_series import DeviceView, Floats, PointSeries
from edgectl.commissioning.physics_terms import QUANTA_MIN
from edgectl.profiles import Point
from edgectl.site_model import Battery, Device, Site

STEPS_MIN = 3  # steps of a counter that a gain is taken over
TOLERANCE = 0.05
TOLERANCE_MAX = 0.25  # worse than that the seconds were too few
FACTORS = (1e-6, 1e-3, 0.01, 0.1, 10.0, 100.0, 1e3, 1e6, 3600.0, 1 / 3600.0, 3.6, 1 / 3.6)
KNOWN_RATIO = 0.9  # of the power's replies: an integral does not bridge more
SOC_SLACK = 0.01
SOC_STEPS = 3  # counts of a state of charge before it has a direction
SOC_POWER_RATIO = 0.1  # of the rating: less moves no state of charge that one would wait for
STANDING_QUANTA = 100  # counts that must have been due before a counter is called standing


@dataclass(frozen=True, slots=True)
class Gain:
    """What one counter did.

    energy_j    between its first and its last step; over all, where it did not step
    import_j    integral of imported power between the same replies
    export_j    of exported power
    steps       how often it moved
    span_s      between them
    quantum_j   one count
    cadence_s   between two replies
    """

    point: Point
    energy_j: float
    import_j: float
    export_j: float
    steps: int
    span_s: float
    quantum_j: float
    cadence_s: float

    @property
    def uncertainty_ratio(self) -> float:
        """Of energy_j, from the counts and from when a reply was made."""
        if self.steps < STEPS_MIN or self.energy_j <= 0.0 or self.span_s <= 0.0:
            return math.inf
        return self.quantum_j / self.energy_j + 0.5 * self.cadence_s / self.span_s


def integral_j(time_ns: NDArray[np.int64], power_w: Floats, first_ns: int, last_ns: int) -> float:
    """Energy between two moments, by the trapezoid rule over what is known."""
    known = np.isfinite(power_w)
    if known.sum() < 2 or last_ns <= first_ns:
        return 0.0
    at_s = (time_ns[known] - first_ns) * 1e-9
    end_s = (last_ns - first_ns) * 1e-9
    inner = (at_s > 0.0) & (at_s < end_s)
    grid_s = np.concatenate([[0.0], at_s[inner], [end_s]])
    values = np.interp(grid_s, at_s, power_w[known])
    return float(np.sum(0.5 * (values[1:] + values[:-1]) * np.diff(grid_s)))


def gain_of(local: Local, series: PointSeries) -> Gain | None:
    """What a counter did against its device's power; None without two replies."""
    rows = np.flatnonzero(series.new)
    if len(rows) < 2:
        return None
    values = series.decoded(other_order=local.view.other_order)[rows]
    moments = series.source_ns[rows]
    moved = np.flatnonzero(np.diff(values) > 0.0) + 1
    spans = len(moved) >= STEPS_MIN
    first, last = (int(moved[0]), int(moved[-1])) if spans else (0, len(rows) - 1)
    start, end = int(moments[first]), int(moments[last])
    moments_w = _at_replies(local)
    if moments_w is None:
        return None
    return Gain(
        point=series.point,
        energy_j=float(values[last] - values[first]),
        import_j=integral_j(moments_w[0], np.maximum(moments_w[1], 0.0), start, end),
        export_j=integral_j(moments_w[0], np.maximum(-moments_w[1], 0.0), start, end),
        steps=max(len(moved) - 1, 0) if spans else len(moved),
        span_s=(end - start) * 1e-9,
        quantum_j=series.quantum if math.isfinite(series.quantum) else 0.0,
        cadence_s=float(np.median(np.diff(moments))) * 1e-9,
    )


def _at_replies(local: Local) -> tuple[NDArray[np.int64], Floats] | None:
    """Power at the moments it was measured, as its counters should have it."""
    series = local.view.series(local.term.point.name)
    if series is None:
        return None
    rows = np.flatnonzero(series.replied)
    if len(rows) < 2 or np.isfinite(local.counting_w[rows]).mean() < KNOWN_RATIO:
        return None
    return series.source_ns[rows], local.counting_w[rows]


def check_energy(local: Local) -> list[Verdict]:
    """Both counters of one device against its power."""
    counted: dict[str, Gain] = {}
    for name in ("energy_import", "energy_export"):
        series = local.view.series(name)
        found = None if series is None else gain_of(local, series)
        if found is not None:
            counted[name] = found
    return [
        verdict
        for name, gain in counted.items()
        if (verdict := _judge(local, name, gain)) is not None
    ]


def _judge(local: Local, name: str, gain: Gain) -> Verdict | None:
    device = local.term.device
    exports = name == "energy_export"
    due_j, other_j = gain.import_j, gain.export_j
    if exports:
        due_j, other_j = other_j, due_j
    text = f"{name} {watt_hours(gain.energy_j)} in {gain.span_s:.1f} s"
    if due_j <= 0.0 and other_j <= 0.0:
        return None
    if due_j < 0.1 * other_j:
        if gain.uncertainty_ratio < TOLERANCE_MAX and _near(gain.energy_j / other_j, 1.0, gain):
            return _wrong_way(local, name, gain, text, other_j)
        return None  # rightly at rest, as far as it is
    text += f", power says {watt_hours(due_j)}"
    if gain.uncertainty_ratio > TOLERANCE_MAX:
        return _too_little(local, gain, text, due_j)
    ratio = gain.energy_j / due_j
    if _near(ratio, 1.0, gain):
        return Verdict(Check("energy", device.id, Result.OK, text))
    factor = next((each for each in FACTORS if _near(ratio, each, gain)), None)
    return _scaled(local, gain, text, ratio, factor)


def _near(ratio: float, factor: float, gain: Gain) -> bool:
    return abs(ratio / factor - 1.0) <= TOLERANCE + gain.uncertainty_ratio


def _too_little(local: Local, gain: Gain, text: str, due_j: float) -> Verdict:
    """Counted too little to say anything: for how long to look, or a counter that stands."""
    device = local.term.device
    stands = gain.steps == 0 and gain.quantum_j > 0.0 and due_j > STANDING_QUANTA * gain.quantum_j
    if stands:
        return Verdict(
            Check("energy", device.id, Result.FINDING, text),
            Finding(
                Fault.ENERGY_SCALE,
                (device.id,),
                f"energy counter stands: {gain.point.name} of {device.id}",
                (f"{text}: {due_j / gain.quantum_j:.0f} counts were due, none came.",),
                "Its unit is coarser than the profile says, or the register is another one: look "
                "it up in the maker's map.",
                certainty=Certainty.LIKELY,
            ),
        )
    power_w = due_j / gain.span_s if gain.span_s > 0.0 else 0.0
    seconds = QUANTA_MIN * max(gain.quantum_j, 1.0) / power_w if power_w > 0.0 else math.inf
    seconds = max(seconds, 4.0 * gain.cadence_s, 4.0 * STEPS_MIN)
    more = seconds - gain.span_s
    wait = f"observe {more:.0f} s more" if 0.0 < more < 86_400.0 else "observe it under load"
    return Verdict(
        Check("energy", device.id, Result.UNKNOWN, f"{text}: not enough energy moved, {wait}")
    )


def _scaled(local: Local, gain: Gain, text: str, ratio: float, factor: float | None) -> Verdict:
    device, point = local.term.device, gain.point
    known = factor is not None
    what = f"energy scale: {point.name} of {device.id} counts {ratio:.4g} times what its power says"
    if factor is not None:
        what = f"energy scale: {point.name} of {device.id} is x{factor_text(factor)}"
    return Verdict(
        Check("energy", device.id, Result.FINDING, text),
        Finding(
            Fault.ENERGY_SCALE,
            (device.id,),
            what,
            (f"{text}: {ratio:.4g} times; good to {gain.uncertainty_ratio + TOLERANCE:.0%}.",),
            "Correct the scale of the counter." if known else "Look its unit up in the map.",
            (scale_change(device, point, factor),) if factor is not None else (),
            Certainty.SURE if known else Certainty.LIKELY,
        ),
    )


def _wrong_way(local: Local, name: str, gain: Gain, text: str, other_j: float) -> Verdict:
    """A counter that runs while power flows the other way: a sign, or two exchanged counters."""
    device = local.term.device
    way = "imports" if name == "energy_export" else "exports"
    mean = watts(other_j / gain.span_s)
    return Verdict(
        Check("energy", device.id, Result.FINDING, f"{text} while its power {way} {mean}"),
        Finding(
            Fault.ENERGY_DIRECTION,
            (device.id,),
            f"energy direction: {name} of {device.id} counts while its power {way}",
            (f"{text}; power {way} {watt_hours(other_j)} in the same time.",),
            "Either the sign of the power point is wrong in the profile, or the two counters are "
            "exchanged there; the balance of the meters tells which.",
            certainty=Certainty.AMBIGUOUS,
            alternatives=(f"the sign of {local.term.point.name}", "exchanged energy counters"),
        ),
    )


# ---- state of charge


def check_soc(site: Site, battery: Battery, local: Local) -> Verdict | None:
    """A battery's state of charge against what flowed; None where nothing did or it is unknown."""
    device = site.device(battery.soc.partition(".")[0])
    view = DeviceView(device, local.view.observation)
    series, values = view.series(battery.soc.partition(".")[2]), None
    if series is not None:
        values = view.values(series.point.name)
    power = _at_replies(local)
    if series is None or values is None or power is None:
        return None
    middle = float(np.nanmedian(values))
    if not -SOC_SLACK <= middle <= 1.0 + SOC_SLACK:
        return _soc_scale(device, series, middle)
    rows = np.flatnonzero(np.isfinite(values))
    first, last = (int(local.view.observation.time_ns[rows[at]]) for at in (0, -1))
    moved_j = integral_j(*power, first, last)
    change = float(values[rows[-1]] - values[rows[0]])
    step = series.quantum if math.isfinite(series.quantum) else 0.0
    mean_w = moved_j / ((last - first) * 1e-9) if last > first else 0.0
    if abs(mean_w) < SOC_POWER_RATIO * local.term.rating_w:
        return None
    text = f"soc {change:+.2%} while {watt_hours(moved_j)} flowed in"
    if abs(moved_j) < SOC_STEPS * step * battery.capacity_j:
        wait_s = SOC_STEPS * step * battery.capacity_j / abs(mean_w)
        text += f": not enough energy moved, observe {wait_s:.0f} s at this power"
        return Verdict(Check("soc", battery.id, Result.UNKNOWN, text))
    if change * moved_j > 0.0:
        return Verdict(Check("soc", battery.id, Result.OK, text))
    return Verdict(
        Check("soc", battery.id, Result.FINDING, text),
        Finding(
            Fault.EXCHANGED,
            (local.term.device.id, device.id),
            f"state of charge of {battery.id} does not go with its power",
            (f"{text}; its capacity is {watt_hours(battery.capacity_j)}.",),
            "A step of the battery tells a wrong sign from another battery's state of charge.",
            certainty=Certainty.AMBIGUOUS,
            alternatives=(f"sign of {local.term.tag}", f"{battery.soc} is another battery's"),
        ),
    )


def _soc_scale(device: Device, series: PointSeries, middle: float) -> Verdict:
    """A state of charge that no battery has."""
    text = f"{series.point.name} {middle:.4g} of 1"
    factor = next((f for f in (10.0, 100.0) if SOC_SLACK < middle / f <= 1.0 + SOC_SLACK), None)
    return Verdict(
        Check("soc", device.id, Result.FINDING, text),
        Finding(
            Fault.SCALE,
            (device.id,),
            f"scale: state of charge of {device.id} reads {middle:.4g}",
            (f"{text}: a battery has 0 to 1.",),
            "Correct the scale of the point, or its unit: some count 0.01 %, some 1 %.",
            () if factor is None else (scale_change(device, series.point, factor),),
        ),
    )
