"""A row of the cause-and-effect table as a person reads it: causes, effects, times."""

from edgectl.profiles.units import KELVIN_OF_0_DEGC, unit_text
from edgectl.site_model.model import Cause, Effect, Interlock, Site
from edgectl.site_model.tags import MONITOR_VALUE

SIGNS = {"above": ">", "below": "<", "equal": "=", "not_equal": "≠"}
NO_BREAK = "\N{NO-BREAK SPACE}"
W_PER_MW = 1e6
W_PER_KW = 1e3
NS_PER_S = 1_000_000_000


def quantity_text(value: float, unit: str, *, difference: bool = False) -> str:
    """A threshold as a person reads it: MW, °C, per cent.

    difference  of two readings: a temperature stays in K
    """
    if unit == "W":
        large = abs(value) >= W_PER_MW
        text = f"{value / W_PER_MW:g} MW" if large else f"{value / W_PER_KW:g} kW"
    elif unit == "K" and not difference:
        text = f"{value - float(KELVIN_OF_0_DEGC):g} °C"
    elif unit == "ratio":
        text = f"{value:.4g}" if abs(value) > 1 else f"{value * 100:g} %"
    elif unit == "ratio/s":
        text = f"{value * 100:g} %/s"
    else:
        text = f"{value:g}" if unit == "count" else unit_text(value, unit)
    return text.replace(" ", NO_BREAK)


def threshold_text(cause: Cause, value: float) -> str:
    """A value of a cause's tag."""
    return quantity_text(value, cause.unit, difference=cause.tag.endswith(f".{MONITOR_VALUE}"))


def condition_text(cause: Cause) -> str:
    """When a cause is true, without its tag."""
    if cause.op in ("bad", "limit"):
        return "is bad" if cause.op == "bad" else "clamps"
    text = f"{SIGNS[cause.op]} {threshold_text(cause, cause.on)}"
    same = cause.on == cause.off
    return text if same else f"{text}, until {threshold_text(cause, cause.off)}"


def cause_text(cause: Cause) -> str:
    """A cause as an operator reads it."""
    return f"{cause.tag} {condition_text(cause)}"


def causes_text(row: Interlock) -> list[str]:
    """The causes of a row, those that are alike in one line."""
    alike: dict[str, list[str]] = {}
    for cause in row.causes:
        alike.setdefault(condition_text(cause), []).append(cause.tag)
    lines = []
    for condition, tags in alike.items():
        more = f" and {len(tags) - 3} more" if len(tags) > 3 else ""
        lines.append(f"{', '.join(tags[:3])}{more} {condition}")
    if len(row.causes) > 1:
        lines[-1] += f" ({vote_text(row)})"
    return lines


def action_text(effect: Effect) -> str:
    """An action with its value."""
    if effect.action == "derate":
        return f"derate to {effect.value * 100:g} %".replace(" %", f"{NO_BREAK}%")
    if effect.action == "shed":
        return f"shed tier {effect.value:g}"
    return effect.action


def effect_text(row: Interlock) -> str:
    """All effects of a row; the asset only where it is not the row's own group."""
    return ", ".join(
        f"{action_text(each)} {each.asset}"
        if each.asset not in (None, row.group)
        else action_text(each)
        for each in row.effects
    )


def vote_text(row: Interlock) -> str:
    """MooN, where a row has several causes."""
    return f"{row.vote}oo{len(row.causes)}" if len(row.causes) > 1 else ""


def reset_text(row: Interlock) -> str:
    """Who resets, and after how many trips an auto row asks for a person."""
    return row.reset + (f" {row.lockout_trips}×" if row.lockout_trips else "")


def seconds_text(time_ns: int) -> str:
    """A time in s, as short as it can be written."""
    return f"{time_ns / NS_PER_S:g}"


def monitor_text(site: Site, tag: str) -> str:
    """What a monitor's point is made of; empty for any other tag."""
    monitor = next((each for each in site.monitors if f"{each.id}.{MONITOR_VALUE}" == tag), None)
    if monitor is None:
        return ""
    inputs = ", ".join(monitor.inputs[:3])
    more = len(monitor.inputs) - 3
    inputs += f" and {more} more" if more > 0 else ""
    window = f" over {seconds_text(monitor.window_ns)} s" if monitor.window_ns else ""
    curve = f" ({monitor.curve}, {monitor.multiplier:g})" if monitor.curve else ""
    return f"{monitor.kind.replace('_', ' ')}{curve} of {inputs}{window}"
