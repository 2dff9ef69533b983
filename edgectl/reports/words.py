"""Numbers as people read them: a unit that fits, three or four digits, a space that holds."""

from datetime import UTC, datetime
from math import floor, log10

MJ_PER_WH = 3_600_000
UG_PER_G = 1_000_000
NARROW = "\u202f"  # groups digits
HOLD = "\u00a0"  # between number and unit

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


def percent(ratio: float, digits: int = 3) -> str:
    """A ratio as a percentage; what is not quite all is not written as 100."""
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
