"""Monitors of a site file: keys and units checked, and the inverse-time curves as tables."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.layout import DTYPES
from edgectl.profiles.problems import RANK_KEY, RANK_SAFETY, RANK_VALUE, did_you_mean
from edgectl.profiles.toml_text import Path
from edgectl.profiles.units import DISCRETE, SUFFIXES
from edgectl.site_model.context import Context
from edgectl.site_model.model import Monitor
from edgectl.site_model.schema_monitor import MonitorEntry

CURVE_POINTS = 512  # of overload.pxd
COLD_POINTS = 32  # of these, below pick-up
HEAT_P_PER_US = 1e6  # 1e-12 of a trip per us is 1e-6 a second
MULTIPLE_MAX = 40.0  # beyond, a curve is flat: IEC 60255-151 5.2.2 asks at least 20
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of monitor is made of: its inputs, its keys, and the unit of what it gives."""

    inputs: tuple[int, int]  # least, most
    needs: tuple[str, ...] = ()  # keys without a unit
    may: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()  # keys that carry the inputs' unit, all of them needed
    unit: Callable[[str], str] = lambda unit: unit
    input_unit: str | None = None  # every input must have it


MANY = 64
FORMS: dict[str, Form] = {
    "rate": Form((1, 1), ("window_s",), ("either_way",), unit=lambda unit: f"{unit}/s"),
    "spread": Form((2, MANY)),
    "imbalance": Form((2, MANY), measured=("least",), unit=lambda _: "ratio"),
    "balance": Form((2, MANY), measured=("least",), unit=lambda _: "ratio"),
    "mismatch": Form((2, MANY), unit=lambda _: "bool"),
    "difference": Form((2, 2)),
    "unchanged": Form((1, MANY), unit=lambda _: "s"),
    "dwell": Form((1, 1), measured=("on_above",), unit=lambda _: "s"),
    "coulomb": Form((2, 2), ("window_s", "capacity_j"), unit=lambda _: "ratio"),
    "count": Form((1, 1), ("window_s",), measured=("above|below",), unit=lambda _: "count"),
    "opposed": Form((2, MANY), input_unit="W"),
    "inverse_time": Form(
        (1, 1), ("curve", "multiplier", "reset_s"), measured=("pickup",), unit=lambda _: "ratio"
    ),
    "demand_forecast": Form((1, 2), ("window_s", "limit_w"), unit=lambda _: "W"),
    "demand_room": Form((1, 2), ("window_s", "limit_w"), unit=lambda _: "W"),
    "demand_shortfall": Form((1, 2), ("window_s", "limit_w"), unit=lambda _: "W"),
}
PLAIN_KEYS = ("window_s", "either_way", "capacity_j", "curve", "multiplier", "reset_s", "limit_w")

# k, a and c of t = multiplier * (k / (M^a - 1) + c): IEC 60255-151:2009 annex A;
# IEEE C37.112-2018 table 1.
CURVES: dict[str, tuple[float, float, float]] = {
    "iec_si": (0.14, 0.02, 0.0),
    "iec_vi": (13.5, 1.0, 0.0),
    "iec_ei": (80.0, 2.0, 0.0),
    "ieee_mi": (0.0515, 0.02, 0.114),
    "ieee_vi": (19.61, 2.0, 0.491),
    "ieee_ei": (28.2, 2.0, 0.1217),
}


def monitor_unit(entry: MonitorEntry, units: dict[str, str]) -> str | None:
    """SI unit of a monitor's point; None while an input's is not known."""
    first = units.get(entry.inputs[0])
    return None if first is None else FORMS[entry.kind].unit(first)


def check_monitors(context: Context) -> tuple[Monitor, ...]:
    """All monitors that could be understood; problems are reported."""
    found = [
        _check(context, context.path("monitor", at), entry)
        for at, entry in enumerate(context.file.monitor)
    ]
    return tuple(each for each in found if each is not None)


def _check(context: Context, path: Path, entry: MonitorEntry) -> Monitor | None:
    form = FORMS[entry.kind]
    units = _input_units(context, path, entry, form)
    keys_are_right = _check_keys(context, path, entry, form)
    if units is None:
        return None
    measured = _measured(context, path, entry, form, units[0])
    if measured is None or not keys_are_right:
        return None
    if entry.kind == "demand_forecast" or entry.kind.startswith("demand_"):
        window_ms = (entry.window_s or 0.0) * 1000
        if window_ms > 3_600_000 or window_ms != int(window_ms):
            _value(context, (*path, "window_s"), f"window_s is {entry.window_s:g} s",
                   "A demand window is 15 or 30 min, an hour at most.")  # fmt: skip
            return None
    return Monitor(
        id=entry.id,
        kind=entry.kind,
        inputs=tuple(entry.inputs),
        unit=form.unit(units[0]),
        window_ns=round((entry.window_s or 0.0) * NS_PER_S),
        absolute=bool(entry.either_way),
        below="below" in measured,
        level=next(iter(measured.values()), 0.0),
        capacity_j=entry.capacity_j or 1.0,
        limit_w=round(entry.limit_w or 0.0),
        curve=entry.curve,
        multiplier=entry.multiplier or 1.0,
        reset_s=entry.reset_s or 1.0,
        why=entry.why,
    )


def _input_units(context: Context, path: Path, entry: MonitorEntry, form: Form) -> list[str] | None:
    """Units of the inputs, or None after reporting what is wrong with them."""
    least, most = form.inputs
    if not least <= len(entry.inputs) <= most:
        asked = str(least) if least == most else f"{least} to {most}"
        _value(context, (*path, "inputs"), f"{len(entry.inputs)} inputs; {entry.kind} has {asked}",
               "Name the points it is made of.")  # fmt: skip
        return None
    units = []
    for at, tag in enumerate(entry.inputs):
        unit = context.points.get(tag)
        if unit is None:
            context.unknown_tag((*path, "inputs", at), tag, context.points, "point")
            return None
        units.append(unit)
    fixed = {"coulomb": ["ratio", "W"], "demand_forecast": ["W", "bool"]}
    fixed |= {each: ["W", "bool"] for each in ("demand_room", "demand_shortfall")}
    needed = fixed.get(entry.kind) or [form.input_unit or units[0]] * len(units)
    for at, (unit, need) in enumerate(zip(units, needed, strict=False)):
        if unit != need and entry.kind != "unchanged":
            context.add(
                (*path, "inputs", at),
                f"{entry.inputs[at]} is in {unit}; {entry.kind} needs {need} here",
                "Quantities of different units cannot be held against each other.",
                did_you_mean(entry.inputs[at], (t for t, u in context.points.items() if u == need)),
                RANK_SAFETY,
            )
            return None
    return units


def _check_keys(context: Context, path: Path, entry: MonitorEntry, form: Form) -> bool:
    """Every key the kind needs, and none that says nothing to it."""
    sound = True
    for key in PLAIN_KEYS:
        given = getattr(entry, key) is not None
        if given and key not in (*form.needs, *form.may):
            context.add(
                (*path, key),
                f"{key} says nothing to a monitor of kind {entry.kind}",
                "Read with it, it would promise something it does not do.",
                "Remove it.",
                RANK_KEY,
            )
            sound = False
        if not given and key in form.needs:
            _value(context, path, f"{entry.kind} needs {key}", f"Add {key} = a number.")
            sound = False
    return sound


def _measured(
    context: Context, path: Path, entry: MonitorEntry, form: Form, unit: str
) -> dict[str, float] | None:
    """Values of the keys that carry the inputs' unit, by stem; None after a report."""
    suffix = SUFFIXES.get(unit, "")
    found: dict[str, float] = {}
    stems = {stem for keys in form.measured for stem in keys.split("|")}
    for key, value in entry.measured.items():
        stem = next((each for each in stems if key == f"{each}_{suffix}"), None)
        if stem is None:
            context.add(
                (*path, key),
                f"unknown key {key} for a monitor of kind {entry.kind} of points in {unit}",
                "The unit at the end of the key is part of the value; nothing is converted.",
                did_you_mean(key, [*(f"{each}_{suffix}" for each in stems), *PLAIN_KEYS]),
                RANK_KEY,
            )
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            _value(context, (*path, key), f"{key} is {value!r}", "Write a number.")
            return None
        if not math.isfinite(value) or (value <= 0 and stem in ("pickup", "least")):
            _value(context, (*path, key), f"{key} is {value}", "Write a finite number over 0.")
            return None
        found[stem] = float(value)
    if len(found) != len(form.measured) or (form.measured and unit in DISCRETE - {"count"}):
        wanted = " or ".join(f"{each}_{suffix}" for each in sorted(stems))
        _value(context, path, f"{entry.kind} needs exactly one of: {wanted or 'nothing'}",
               f"Add {wanted} = a number in {unit}.")  # fmt: skip
        return None
    return found


def _value(context: Context, path: Path, problem: str, remedy: str) -> None:
    because = "The row that looks at this monitor would protect against something else."
    context.add(path, problem, because, remedy, RANK_VALUE)


def curve_rows(monitor: Monitor) -> NDArray[np.void]:
    """The inverse-time curve of one monitor as the kernel's steps, neither column ever falling.

    Below pick-up it cools: rate -(1 - M^2) / reset_s (IEEE C37.112-2018, 4.3). Above, steps are
    geometric in M - 1 and carry the rate at their upper end: the trip comes at most 4 % before the
    curve's time, and never after it but for the scan in which it falls, up to MULTIPLE_MAX.
    """
    assert monitor.curve is not None, "only a monitor of kind inverse_time has one"
    k, a, c = CURVES[monitor.curve]
    rows = np.zeros(CURVE_POINTS, dtype=DTYPES["CurveRow"])
    cold = np.linspace(0.0, 1.0, COLD_POINTS + 1)
    hot = 1.0 + np.geomspace(0.005, MULTIPLE_MAX - 1.0, CURVE_POINTS - COLD_POINTS)
    ratio = (hot[1] - 1.0) / (hot[0] - 1.0)
    upper = 1.0 + (hot - 1.0) * ratio
    time_s = monitor.multiplier * (k / (upper**a - 1.0) + c)
    rows["from_value"][:COLD_POINTS] = cold[:-1] * monitor.level
    rows["from_value"][COLD_POINTS:] = hot * monitor.level
    rows["from_value"][COLD_POINTS] = monitor.level
    cold_rate = -(1.0 - cold[:-1] ** 2) / monitor.reset_s
    rows["rate_p_per_us"][:COLD_POINTS] = np.rint(cold_rate * HEAT_P_PER_US)
    rows["rate_p_per_us"][COLD_POINTS:] = np.maximum(np.rint(HEAT_P_PER_US / time_s), 1)
    assert (np.diff(rows["from_value"]) >= 0).all()
    assert (np.diff(rows["rate_p_per_us"]) >= 0).all()
    return rows
