"""When the demonstration starts: an hour at which the campus is worth watching."""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from edgectl.plant.boundary import Boundary
from edgectl.plant.campus import Campus, build_plant
from edgectl.plant.traces import HOUR_NS, HOURS_A_YEAR, year_start_ns

# Net demand just before the training job, of the import cap: the job then takes it over.
NET_AIM_RATIO = 0.957
NET_SPREAD_RATIO = 0.008
PV_LEAST_RATIO = 0.28


def _merit(
    campus: Campus, boundary: Boundary, year: int, carbon_high_g_per_kwh: float
) -> NDArray[np.float64]:
    """How well each hour of a year would do, above 0 where net demand and sun both fit."""
    first_ns = year_start_ns(year)
    table = boundary.table(first_ns, HOURS_A_YEAR, HOUR_NS)
    plant = build_plant(campus, "steady", 0)
    net_w = np.empty(len(table))
    for hour in range(len(table)):
        plant.load(table[hour : hour + 1], first_ns + hour * HOUR_NS, settle=True)
        net_w[hour] = plant.read("grid.true_power_w")
    miss = np.abs(net_w / campus.import_cap_w - NET_AIM_RATIO)
    sun, carbon = table[:, 3], table[:, 5]
    # Just under the threshold: the batteries then answer the job, not the carbon.
    aim = 0.97 * carbon_high_g_per_kwh
    merit = 10.0 + sun - 3.0 * np.abs(carbon - aim) / aim
    return np.where((miss < NET_SPREAD_RATIO) & (sun > PV_LEAST_RATIO), merit, -miss)


def demo_start_utc_ns(campus: Campus, boundary: Boundary, carbon_high_g_per_kwh: float) -> int:
    """The hour with net demand just under the cap, much sun, and grid carbon near the
    site's upper threshold, among all years of the traces.

    campus                  its sizes
    boundary                its weather, utilisation and intensity
    carbon_high_g_per_kwh   the site's threshold for discharging

    Returns UTC ns; the hour with the nearest net demand where none has enough sun.
    """
    best: tuple[float, int] | None = None
    for year in boundary.traces.years:
        merit = _merit(campus, boundary, year, carbon_high_g_per_kwh)
        hour = int(np.argmax(merit))
        if best is None or merit[hour] > best[0]:
            best = (float(merit[hour]), year_start_ns(year) + hour * HOUR_NS)
    if best is None:
        raise ValueError("plant: the traces have no year")
    return best[1]


def parse_utc_ns(text: str) -> int:
    """UTC ns of an ISO 8601 time; one without an offset is UTC.

    Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000
