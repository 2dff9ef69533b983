"""When the demonstration starts: an hour at which the campus is worth watching."""

from datetime import UTC, datetime

import numpy as np

from edgectl.plant.boundary import Boundary
from edgectl.plant.campus import Campus, build_plant
from edgectl.plant.traces import HOUR_NS, year_start_ns

# Net demand just before the training job, of the import cap: the job then takes it over.
NET_AIM_RATIO = 0.957
NET_SPREAD_RATIO = 0.008
PV_LEAST_RATIO = 0.28


def demo_start_utc_ns(campus: Campus, boundary: Boundary, carbon_high_g_per_kwh: float) -> int:
    """The hour of the newest year with net demand just under the cap, much sun, and grid
    carbon near the site's upper threshold.

    campus                  its sizes
    boundary                its weather, utilisation and intensity
    carbon_high_g_per_kwh   the site's threshold for discharging

    Returns UTC ns; the hour with the nearest net demand where none has enough sun.
    """
    year = boundary.traces.years[-1]
    first_ns = year_start_ns(year)
    table = boundary.table(first_ns, 8760, HOUR_NS)
    plant = build_plant(campus, "steady", 0)
    net_w = np.empty(len(table))
    for hour in range(len(table)):
        plant.load(table[hour : hour + 1], first_ns + hour * HOUR_NS, settle=True)
        net_w[hour] = plant.read("grid.true_power_w")
    miss = np.abs(net_w / campus.import_cap_w - NET_AIM_RATIO)
    sun, carbon = table[:, 3], table[:, 5]
    fits = (miss < NET_SPREAD_RATIO) & (sun > PV_LEAST_RATIO)
    if not fits.any():
        fits = miss <= np.partition(miss, 20)[20]
    merit = sun - np.abs(carbon - carbon_high_g_per_kwh) / carbon_high_g_per_kwh
    best = int(np.argmax(np.where(fits, merit, -np.inf)))
    return first_ns + best * HOUR_NS


def parse_utc_ns(text: str) -> int:
    """UTC ns of an ISO 8601 time; one without an offset is UTC.

    Raises ValueError for anything else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000
