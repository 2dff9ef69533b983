"""Tables of the monitors: rows, their inputs, their inverse-time curves."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.layout import DTYPES
from edgectl._kernel.monitor import MonitorKind
from edgectl.site_model.model import Monitor, Site
from edgectl.site_model.monitors import CURVE_POINTS, curve_rows
from edgectl.site_model.tags import MONITOR_VALUE

NS_PER_MS = 1_000_000


def monitor_arrays(
    site: Site, points: Mapping[str, int]
) -> tuple[dict[str, NDArray[np.void]], NDArray[np.int32]]:
    """(monitors and curves, inputs): rows in the order of the site file.

    points  row of each tag in the point table
    """
    rows = np.zeros(len(site.monitors), dtype=DTYPES["MonitorRow"])
    inputs = np.array(
        [points[tag] for each in site.monitors for tag in each.inputs], dtype=np.int32
    )
    curved = [each for each in site.monitors if each.curve is not None]
    curves = np.zeros(len(curved) * CURVE_POINTS, dtype=DTYPES["CurveRow"])
    for at, each in enumerate(curved):
        curves[at * CURVE_POINTS : (at + 1) * CURVE_POINTS] = curve_rows(each)
    first = 0
    for place, each in zip(rows, site.monitors, strict=True):
        _fill(place, each, first, points)
        place["first_curve"] = curved.index(each) if each in curved else 0
        first += len(each.inputs)
    return {"monitors": rows, "curves": curves}, inputs


def _fill(place: np.void, each: Monitor, first: int, points: Mapping[str, int]) -> None:
    place["level"] = each.level
    place["capacity_j"] = each.capacity_j
    place["window_ns"] = each.window_ns
    place["demand"]["limit_w"] = each.limit_w
    place["demand"]["window_ms"] = max(each.window_ns // NS_PER_MS, 1)
    place["first_input"] = first
    place["inputs"] = len(each.inputs)
    place["output_point"] = points[f"{each.id}.{MONITOR_VALUE}"]
    place["kind"] = MonitorKind[f"MONITOR_{each.kind.upper()}"]
    place["absolute"] = each.absolute
    place["below"] = each.below
