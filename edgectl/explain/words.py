"""Numbers and times as an operator reads them."""

import math
from datetime import UTC, datetime

NS_PER_S = 1_000_000_000
ZERO_CELSIUS_K = 273.15
STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
SCALED = {"W", "J", "V", "A", "var", "VA"}


def quantity(value: float | None, unit: str) -> str:
    """A value with its unit: 5.2 MW, 62 %, 55 °C; a word where there is none."""
    if value is None:
        return "unknown"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else f"{'-' if value < 0 else ''}unlimited"
    if unit == "ratio":
        return f"{value * 100:.4g} %"
    if unit == "K":
        return f"{value - ZERO_CELSIUS_K:.1f} °C"
    if unit in SCALED:
        for size, prefix in STEPS:
            if abs(value) >= size:
                return f"{value / size:.4g} {prefix}{unit}"
    number = f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}".replace(",", " ")
    return number if unit in ("", "state", "bits", "bool", "count") else f"{number} {unit}"


def power(value_w: float) -> str:
    """Battery power in words: charging is positive."""
    if not math.isfinite(value_w):
        return quantity(value_w, "W")
    if abs(value_w) < 0.5:
        return "0 W"
    does = "charging" if value_w > 0 else "discharging"
    return f"{does} at {quantity(abs(value_w), 'W')}"


def seconds(time_ns: int) -> str:
    """A length of time: 0 s, 200 ms, 1.5 s, 5 min, 2 h 10 min."""
    if abs(time_ns) < NS_PER_S and time_ns:
        return f"{time_ns / 1e6:.3g} ms"
    whole_s = time_ns / 1e9
    if whole_s < 120:
        return f"{whole_s:.4g} s"
    minutes = round(whole_s / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def utc(utc_ns: int) -> str:
    """2026-11-26 22:03:04.120 UTC."""
    at = datetime.fromtimestamp(utc_ns // NS_PER_S, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{utc_ns // 1_000_000 % 1000:03d} UTC"
