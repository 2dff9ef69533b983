"""Tables of the interlocks: rows, causes, effects."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.interlock import CauseOp, OnBad, Reset
from edgectl._kernel.layout import DTYPES
from edgectl.site_model.check_interlocks import ACTIONS
from edgectl.site_model.model import Interlock, Site

PRIORITIES = ("low", "medium", "high", "critical")  # ISA-18.2, the index is the kernel's number


def group_names(site: Site) -> list[str]:
    """First-out groups in the order of first mention; the index is the kernel's number."""
    return list(dict.fromkeys(row.group for row in site.interlocks))


def interlock_arrays(site: Site, points: Mapping[str, int]) -> dict[str, NDArray[np.void]]:
    """Rows in the order of the site file, each row's causes and effects together.

    points  row of each tag in the point table
    """
    rows = np.zeros(len(site.interlocks), dtype=DTYPES["InterlockRow"])
    causes = np.zeros(sum(len(r.causes) for r in site.interlocks), dtype=DTYPES["CauseRow"])
    effects = np.zeros(sum(len(r.effects) for r in site.interlocks), dtype=DTYPES["EffectRow"])
    groups = group_names(site)
    assets = {battery.id: at for at, battery in enumerate(site.batteries)}
    cause_at = effect_at = 0
    for at, row in enumerate(site.interlocks):
        _fill_row(rows[at], row, groups.index(row.group), cause_at, effect_at)
        for cause in row.causes:
            causes[cause_at] = (
                cause.on,
                cause.off,
                points[cause.tag],
                CauseOp[f"CAUSE_{cause.op.upper()}"],
            )
            cause_at += 1
        for effect in row.effects:
            target = -1 if effect.asset is None else assets[effect.asset]
            effects[effect_at] = (effect.value, target, ACTIONS[effect.action])
            effect_at += 1
    return {"interlocks": rows, "causes": causes, "effects": effects}


def _fill_row(
    place: np.void, row: Interlock, group: int, first_cause: int, first_effect: int
) -> None:
    place["on_delay_ns"] = row.on_delay_ns
    place["off_delay_ns"] = row.off_delay_ns
    place["lockout_window_ns"] = row.lockout_window_ns
    place["discrepancy_ns"] = row.discrepancy_ns
    place["lockout_trips"] = row.lockout_trips
    place["first_cause"] = first_cause
    place["causes"] = len(row.causes)
    place["first_effect"] = first_effect
    place["effects"] = len(row.effects)
    place["vote"] = row.vote
    place["group"] = group
    place["on_bad"] = OnBad[f"ON_BAD_{row.on_bad_quality.upper()}"]
    place["reset"] = Reset[f"RESET_{row.reset.upper()}"]
    place["priority"] = PRIORITIES.index(row.priority)
    place["bypassable"] = row.bypass == "authorised"
