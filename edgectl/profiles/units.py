"""Units a profile may use, and the SI unit each becomes inside edgectl."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """value_si = value * factor + offset."""

    si: str
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)


KELVIN_OF_0_DEGC = Fraction("273.15")  # SI Brochure, 9th edition, 2.3.1

UNITS: dict[str, Unit] = {
    "W": Unit("W"),
    "kW": Unit("W", Fraction(1000)),
    "MW": Unit("W", Fraction(1_000_000)),
    "var": Unit("var"),
    "kvar": Unit("var", Fraction(1000)),
    "VA": Unit("VA"),
    "kVA": Unit("VA", Fraction(1000)),
    "V": Unit("V"),
    "mV": Unit("V", Fraction(1, 1000)),
    "kV": Unit("V", Fraction(1000)),
    "A": Unit("A"),
    "mA": Unit("A", Fraction(1, 1000)),
    "kA": Unit("A", Fraction(1000)),
    "Hz": Unit("Hz"),
    "ohm": Unit("ohm"),
    "kohm": Unit("ohm", Fraction(1000)),
    "Mohm": Unit("ohm", Fraction(1_000_000)),
    "K": Unit("K"),
    "degC": Unit("K", Fraction(1), KELVIN_OF_0_DEGC),
    "J": Unit("J"),
    "Wh": Unit("J", Fraction(3600)),
    "kWh": Unit("J", Fraction(3_600_000)),
    "MWh": Unit("J", Fraction(3_600_000_000)),
    "ratio": Unit("ratio"),
    "%": Unit("ratio", Fraction(1, 100)),
    "s": Unit("s"),
    "ms": Unit("s", Fraction(1, 1000)),
    "count": Unit("count"),
    "g/kWh": Unit("g/kWh"),
    "state": Unit("state"),  # an enumeration
    "bits": Unit("bits"),  # a field of flags
    "bool": Unit("bool"),  # 0 or 1
}

# The last part of a site file's key that carries this unit: above_w, below_ratio.
SUFFIXES: dict[str, str] = {
    "W": "w",
    "var": "var",
    "VA": "va",
    "V": "v",
    "A": "a",
    "Hz": "hz",
    "ohm": "ohm",
    "K": "k",
    "J": "j",
    "ratio": "ratio",
    "s": "s",
    "count": "count",
    "g/kWh": "g_per_kwh",
}
SUFFIXES |= {f"{unit}/s": f"{suffix}_per_s" for unit, suffix in SUFFIXES.items()}

DISCRETE = frozenset({"state", "bits", "bool", "count"})  # units that `equals` may compare


def unit_text(value: float, unit: str) -> str:
    """A number with grouped thousands and its unit, as error messages print it."""
    number = f"{value:,.10g}".replace(",", " ")
    return number if unit in ("", "ratio", "state", "bits", "bool") else f"{number} {unit}"
