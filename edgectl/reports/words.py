"""Numbers as people read them: a unit that fits, three or four digits, a space that holds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil, floor, log10
from typing import Any

from edgectl.accounting.uncertainty import Bound, Ends

MJ_PER_WH = 3_600_000
UG_PER_G = 1_000_000
NARROW = "\u202f"  # groups digits
HOLD = "\u00a0"  # between number and unit
PERCENT_MIN = 0.001
LOPSIDED = 0.05  # of an interval whose two halves are not said apart

ENERGY = ((10**12, "TWh"), (10**9, "GWh"), (10**6, "MWh"), (10**3, "kWh"), (1, "Wh"))
MASS = ((10**9, "kt"), (10**6, "t"), (10**3, "kg"), (1, "g"))


def number(value: float, digits: int = 4) -> str:
    """With so many digits that count, none of them after a whole number of more."""
    if value == 0:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    if round(abs(value), places) >= 10 ** (digits - places):  # 9.9997 is said as 10.00
        places -= 1
    places = max(0, places)
    text = f"{value:,.{places}f}"
    return text.replace(",", NARROW).replace("-", "\u2212")


def whole(value: int) -> str:
    """All digits, in groups."""
    return f"{value:,}".replace(",", NARROW).replace("-", "\u2212")


def unit(text: str) -> str:
    """A unit as it is printed."""
    for plain, printed in (("CO2e", "CO₂e"), ("m2", "m²"), ("m3", "m³")):
        text = text.replace(plain, printed)
    return text


def energy(mj: float) -> str:
    """mJ as Wh to TWh."""
    return _scaled(mj / MJ_PER_WH, ENERGY)


def mass(ug: float) -> str:
    """ug as g to kt of CO2 equivalent."""
    return _scaled(ug / UG_PER_G, MASS)


def _scaled(value: float, units: tuple[tuple[int, str], ...]) -> str:
    for size, unit in units:
        if abs(value) >= size:
            return f"{number(value / size)}{HOLD}{unit}"
    return f"{number(value)}{HOLD}{units[-1][1]}"


def span(name: str, of: Bound | Ends) -> dict[str, int]:
    """Both ends of an amount that cannot be under zero, beside it in the document."""
    return limits(name, of.low, of.high)


def limits(name: str, low: float, high: float) -> dict[str, int]:
    """The same of two numbers, outwards to whole units."""
    return {f"{name}_low": max(0, floor(low)), f"{name}_high": max(0, ceil(high))}


def within(row: Mapping[str, Any], name: str) -> str:
    """How far an amount may be off, in per cent of it: the same both ways, or each by itself."""
    value, low, high = row[name], row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if low is None or high is None else off(value, low, high)


def off(value: float | None, low: float, high: float) -> str:
    """The same of a figure with its ends."""
    if not value:
        return ""
    down, up = 100 * (1 - low / value), 100 * (high / value - 1)
    if abs(up - down) <= LOPSIDED * max(up, down):
        return f"\u00b1{number(max(up, down), 2)}{HOLD}%"
    return f"\u2212{number(down, 2)} / +{number(up, 2)}{HOLD}%"


def signed(mj: float) -> str:
    """A difference of energies, its sign before it."""
    return ("+" if mj > 0 else "") + energy(mj)


def correction(said: Mapping[str, Any]) -> str:
    """A CORRECTION record in a sentence."""
    figures = said.get("figures") or {}
    about = f"of record {said['refers_to']}" if "refers_to" in said else "of no one record"
    if "first_s" in figures and "last_s" in figures:
        about = f"{stamp(figures['first_s'])} to {stamp(figures['last_s'] + 1)} UTC"
    amounts = ""
    if "booked_mj" in figures and "energy_mj" in figures:
        amounts = (
            f": booked {energy(figures['booked_mj'])}, its counter says "
            f"{energy(figures['energy_mj'])}"
        )
    name = figures.get("sink") or figures.get("source")
    whose = f", {name}" if name else ""
    return f"Record {said['seq']}{whose}, {about}{amounts}. {said.get('reason') or ''}".strip()


def percent(ratio: float, digits: int = 3) -> str:
    """A ratio as a percentage; what is not quite all, or nothing, is not written as that."""
    if 0 < 100 * ratio < PERCENT_MIN:
        return f"< {PERCENT_MIN:g}{HOLD}%"
    text = number(100 * ratio, digits)
    if text.startswith("100") and ratio < 1:
        text = f"> {99.9}"
    return f"{text}{HOLD}%"


def stamp(utc_s: float) -> str:
    """UTC as a person reads it."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(utc_s: float) -> str:
    """UTC as a program reads it."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    left = round(seconds)
    found = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            found.append(f"{count}{HOLD}{unit}")
    return " ".join(found[:2]) or f"0{HOLD}s"
