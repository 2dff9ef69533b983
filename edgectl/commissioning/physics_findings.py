"""What the physics says of a site: checks with their figures, and faults with their remedy."""

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from edgectl.profiles import Point
from edgectl.profiles.units import UNITS
from edgectl.site_model import Device, Site


class Fault(StrEnum):
    """Kinds of fault; the value is what --json prints."""

    SIGN = "sign"
    ONE_CT = "one_ct_reversed"
    PHASES = "phases_exchanged"
    SCALE = "scale"
    CT_RATIO = "ct_ratio"
    WORD_ORDER = "word_order"
    ENERGY_SCALE = "energy_scale"
    ENERGY_DIRECTION = "energy_direction"
    EXCHANGED = "exchanged"
    COMMAND_SIGN = "command_sign"
    NO_EFFECT = "no_effect"
    IMPLAUSIBLE = "implausible"
    UNEXPLAINED = "unexplained"


class Certainty(StrEnum):
    """How far the values alone carry a verdict."""

    SURE = "sure"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"


class Result(StrEnum):
    """Of one check."""

    OK = "ok"
    FINDING = "finding"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Change:
    """One line to change.

    file   the profile or site file
    at     the section in it
    line   as it should read
    """

    file: str
    at: str
    line: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    devices       whose
    what          one line: the fault
    evidence      sentences with numbers and units
    remedy        what to do at the plant, or to tell two explanations apart
    changes       the lines of profile or site that would put it right instead
    alternatives  other faults that explain the values as well
    """

    kind: Fault
    devices: tuple[str, ...]
    what: str
    evidence: tuple[str, ...]
    remedy: str
    changes: tuple[Change, ...] = ()
    certainty: Certainty = Certainty.SURE
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was held against the physics.

    name      balance, v-i-pf, energy, plausible, word order, step
    subject   device or battery, or the site
    measured  the figures
    """

    name: str
    subject: str
    result: Result
    measured: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check came to: its line, and the fault if there is one."""

    check: Check
    finding: Finding | None = None


def watts(value: float) -> str:
    """Power as a person reads it."""
    return _prefixed(value, "W")


def volts(value: float) -> str:
    """Voltage as a person reads it."""
    return _prefixed(value, "V")


def watt_hours(value_j: float) -> str:
    """Energy as a person reads it."""
    return _prefixed(value_j / 3600.0, "Wh")


def _prefixed(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "nothing"
    value = float(f"{value:.4g}")
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g} {prefix}{unit}"
    return f"{value:g} {unit}"


def factor_text(factor: float) -> str:
    """A power of ten as "10" or "1/10"."""
    ratio = Fraction(factor).limit_denominator(10**7)
    return str(ratio)


def profile_file(device: Device) -> str:
    """Where its profile stands."""
    name = device.profile.name
    return name if name.endswith(".toml") else f"firmware_profiles/{name}.toml"


def scale_change(device: Device, point: Point, too_high: float) -> Change:
    """The scale line that would divide what a point shows by `too_high`."""
    unit = UNITS[point.raw_unit].factor
    scale = Fraction(abs(point.scale)).limit_denominator(10**9) / unit
    scale /= Fraction(too_high).limit_denominator(10**7)
    return Change(profile_file(device), f'[[point]] "{point.name}"', f'scale = "{scale}"')


def sign_change(device: Device, point: Point) -> Change:
    """The sign line that would turn a point's sign."""
    sign = "export_positive" if point.scale > 0.0 else "import_positive"
    return Change(profile_file(device), f'[[point]] "{point.name}"', f'sign = "{sign}"')


def word_order_change(device: Device) -> Change:
    """The other word order."""
    order = "high_first" if device.profile.low_first else "low_first"
    return Change(profile_file(device), "[modbus]", f'word_order = "{order}"')


def exchange_change(site: Site, one: Device, other: Device) -> tuple[Change, ...]:
    """Give each of two devices the address of the other."""
    return tuple(
        Change(site.path.name, f'[[device]] "{to.id}"', _address(has))
        for to, has in ((one, other), (other, one))
    )


def _address(device: Device) -> str:
    """The lines of a site file that say where a device answers."""
    if device.line is not None:
        return f'line = "{device.line.id}", unit = {device.unit}'
    return f'host = "{device.host}", port = {device.port}, unit = {device.unit}'
