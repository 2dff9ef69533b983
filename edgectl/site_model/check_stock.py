"""How a battery's energy and carbon are booked: what would contradict itself, or never happen."""

from edgectl.profiles.problems import RANK_VALUE
from edgectl.profiles.units import unit_text
from edgectl.site_model.context import Context
from edgectl.site_model.schema import BatteryEntry

REARM_RATIO = 0.02  # REARM_PPM of ext/inventory.pyx: so far the charge leaves an anchor


def check_stocks(context: Context) -> None:
    """Report true-ups that could not be told apart or never come, and losses out of proportion."""
    for at, battery in enumerate(context.file.battery):
        _check_anchors(context, at, battery)
        _check_standby(context, at, battery)


def _check_anchors(context: Context, at: int, battery: BatteryEntry) -> None:
    path = context.path("battery", at)
    full, empty = battery.full_soc_ratio, battery.empty_soc_ratio
    if full is not None and full > battery.full_ratio:
        context.add(
            (*path, "full_soc_ratio"),
            f"full_soc_ratio is {full:g}; full_ratio is {battery.full_ratio:g}",
            "Dispatch never charges so far: the books would never be put right.",
            "Give at most full_ratio.",
            RANK_VALUE,
        )
    if full is not None and empty is not None and full - empty <= 2 * REARM_RATIO:
        context.add(
            (*path, "empty_soc_ratio"),
            f"empty_soc_ratio is {empty:g} and full_soc_ratio {full:g}; the second must be over "
            f"the first by more than {2 * REARM_RATIO:g}",
            "The books would be corrected to empty and to full by the same few percent.",
            "Take the states of charge at which the BMS calibrates itself.",
            RANK_VALUE,
        )


def _check_standby(context: Context, at: int, battery: BatteryEntry) -> None:
    path = context.path("battery", at)
    ratings = min(battery.charge_rating_w, battery.discharge_rating_w)
    if battery.standby_w >= ratings:
        context.add(
            (*path, "standby_w"),
            f"standby_w is {unit_text(battery.standby_w, 'W')}; the smaller rating is "
            f"{unit_text(ratings, 'W')}",
            "A battery that loses what it can be charged with never holds anything.",
            "Give what it loses standing, in W: some percent of its energy a month.",
            RANK_VALUE,
        )
    books_losses = battery.standby_w > 0 or battery.full_soc_ratio is not None
    if battery.standby_carbon == "loss account" and not books_losses:
        context.add(
            (*path, "standby_carbon"),
            "standby_carbon is 'loss account'; neither standby_w nor full_soc_ratio is given",
            "No loss would ever be booked: the loss account would look clean, and would be empty.",
            "Give standby_w, or full_soc_ratio, or leave standby_carbon out.",
            RANK_VALUE,
        )
