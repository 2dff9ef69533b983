"""Conditions of interlocks: from the keys of a cause to operator, threshold and reset."""

import math
import re
from collections.abc import Sequence

from edgectl.profiles.problems import RANK_KEY, RANK_SAFETY, RANK_VALUE, did_you_mean
from edgectl.profiles.toml_text import Path
from edgectl.profiles.units import DISCRETE, SUFFIXES, UNITS, unit_text
from edgectl.site_model.context import Context
from edgectl.site_model.model import Cause
from edgectl.site_model.schema_interlock import CauseEntry, EffectEntry

_THRESHOLD = re.compile(r"^(above|below|reset_below|reset_above)(?:_([a-z_]+))?$")
_FORMS = "above, below, equals, not_equals, limit or bad"


def read_cause(context: Context, path: Path, entry: CauseEntry) -> Cause | None:
    """One cause, or None after reporting what is wrong with it."""
    unit = context.points.get(entry.tag)
    if unit is None:
        context.unknown_tag((*path, "tag"), entry.tag, context.points, "point")
        return None
    thresholds = _thresholds(context, path, entry, unit)
    if thresholds is None:
        return None
    forms: list[str] = [form for form in ("above", "below") if form in thresholds]
    forms += ["equals"] if entry.equals is not None else []
    forms += ["not_equals"] if entry.not_equals is not None else []
    forms += ["limit"] if entry.limit else []
    forms += ["bad"] if entry.bad else []
    if len(forms) != 1:
        context.add(
            path,
            f"the cause has {' and '.join(forms) or 'no condition'}; it needs exactly one",
            "A row must say in one way when it is true.",
            f"Use one of {_FORMS}.",
            RANK_SAFETY,
        )
        return None
    form = forms[0]
    if form in ("above", "below"):
        return _window(context, path, entry.tag, unit, form, thresholds)
    if thresholds:
        context.add(
            (*path, next(iter(entry.thresholds))),
            f"{next(iter(entry.thresholds))} has no meaning beside {form}",
            "Only above and below have a threshold to come back from.",
            "Remove it.",
            RANK_KEY,
        )
        return None
    return _plain(context, path, entry, unit, form)


def _thresholds(
    context: Context, path: Path, entry: CauseEntry, unit: str
) -> dict[str, float] | None:
    """above, below and their resets by name, with the unit suffix checked and cut off."""
    found: dict[str, float] = {}
    sound = True
    for key, value in entry.thresholds.items():
        match = _THRESHOLD.match(key)
        proper = SUFFIXES.get(unit, "")
        if match is None:
            known = [f"{stem}_{proper}" for stem in ("above", "below")] if proper else []
            _complain(
                context,
                (*path, key),
                f"unknown key {key}",
                did_you_mean(key, [*known, "equals", "not_equals", "limit", "bad", "tag"]),
                RANK_KEY,
            )
        elif not proper:
            _complain(
                context,
                (*path, key),
                f"wrong unit: {key}; {entry.tag} is {unit}, which has no order",
                "Compare it with equals or not_equals.",
            )
        elif match[2] != proper:
            _complain(
                context,
                (*path, key),
                f"wrong unit: {key}; {entry.tag} is in {unit}",
                f"Write {match[1]}_{proper} and convert the number to {unit}.",
            )
        elif isinstance(value, bool) or not isinstance(value, int | float):
            _complain(context, (*path, key), f"{key} is {value!r}", "Write a number.")
        elif not math.isfinite(value):
            _complain(context, (*path, key), f"{key} is {value}", "Write a finite number.")
        else:
            found[match[1]] = float(value)
            continue
        sound = False
    return found if sound else None


def _complain(
    context: Context, path: Path, problem: str, remedy: str, rank: int = RANK_VALUE
) -> None:
    because = "The unit at the end of the key is part of the threshold; nothing is converted."
    context.add(path, problem, because, remedy, rank)


def _window(
    context: Context, path: Path, tag: str, unit: str, form: str, found: dict[str, float]
) -> Cause | None:
    """above with reset_below, or below with reset_above."""
    suffix = SUFFIXES[unit]
    other = "reset_below" if form == "above" else "reset_above"
    key, reset_key = f"{form}_{suffix}", f"{other}_{suffix}"
    stray = set(found) - {form, other}
    if stray or other not in found:
        context.add(
            path,
            f"{key} needs {reset_key}" + (f", not {sorted(stray)[0]}_{suffix}" if stray else ""),
            "Without a threshold of its own the row would trip and clear on the noise.",
            f"Add {reset_key} = a number {'under' if form == 'above' else 'over'} {key}.",
            RANK_SAFETY,
        )
        return None
    on, off = found[form], found[other]
    if (off >= on) if form == "above" else (off <= on):
        side = "under" if form == "above" else "over"
        noise = 0.975 if (form == "above") == (on >= 0) else 1.025
        context.add(
            (*path, reset_key),
            f"{reset_key} is {unit_text(off, unit)}; it must be {side} {key}, "
            f"{unit_text(on, unit)}",
            "As written the interlock could trip and reset in the same scan.",
            "Leave a deadband of at least the meter's noise, "
            f"for example {unit_text(on * noise if on else (-1 if form == 'above' else 1), '')}.",
            RANK_SAFETY,
        )
        return None
    if not _reachable(context, path, tag, unit, form, on, key):
        return None
    return Cause(tag, form, on, off, unit)


def _reachable(
    context: Context, path: Path, tag: str, unit: str, form: str, on: float, key: str
) -> bool:
    """A threshold outside the point's valid range could never be passed by a good value."""
    device_id, _, name = tag.partition(".")
    profile = context.profiles.get(device_id)
    point = next((each for each in profile.points if each.name == name), None) if profile else None
    if point is None or point.valid_min < on < point.valid_max:
        return True
    low, high = (unit_text(edge, unit) for edge in (point.valid_min, point.valid_max))
    if (on >= point.valid_max) if form == "above" else (on <= point.valid_min):
        said = "no good value can ever pass it"
    else:
        said = "every good value is past it"
    context.add(
        (*path, key),
        f"{key} is {unit_text(on, unit)}; {tag} is valid from {low} to {high}, so {said}",
        "The row would look like protection and be none.",
        "Check the number and its unit.",
        RANK_SAFETY,
    )
    return False


def _plain(context: Context, path: Path, entry: CauseEntry, unit: str, form: str) -> Cause | None:
    """equals, not_equals, limit and bad."""
    number = float(entry.equals if entry.equals is not None else entry.not_equals or 0)
    if form in ("equals", "not_equals") and unit not in DISCRETE:
        context.add(
            (*path, form),
            f"wrong unit: {form} on {entry.tag}, which is in {unit}",
            "A measured quantity is never exactly a number, so the row would never be true.",
            f"Use above_{SUFFIXES[unit]} or below_{SUFFIXES[unit]}.",
            RANK_SAFETY,
        )
        return None
    if form == "limit" and unit != UNITS["W"].si:
        context.add(
            (*path, "limit"),
            f"wrong unit: limit on {entry.tag}, which is in {unit}",
            "A limit clamps a setpoint in W.",
            "Name the point that gives the limit in W.",
            RANK_SAFETY,
        )
        return None
    op = {"equals": "equal", "not_equals": "not_equal"}.get(form, form)
    return Cause(entry.tag, op, number, number, unit)


def limit_threshold(context: Context, effects: Sequence[EffectEntry]) -> float:
    """Rating, W, under which a limit cause counts as true: of the assets it clamps."""
    ratings = [
        battery.charge_rating_w if effect.action == "limit_charge" else battery.discharge_rating_w
        for effect in effects
        for battery in context.file.battery
        if effect.asset in (None, battery.id)
    ]
    return max(ratings, default=0.0)
