"""Buses and what stands at them, as the kernel's tables: places of meters, feeders, generators."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.layout import DTYPES
from edgectl.site_model.model import Bus, Site
from edgectl.site_model.tables_control import MG_PER_G, ordered_loads

Array = NDArray[Any]


def network_arrays(site: Site) -> dict[str, Array]:
    """The tables of the site's network; without a bus in the site file, all stands at one."""
    order = flow_order(site.buses)
    index = {bus: at for at, bus in enumerate(order)}
    place = {own: index[bus.id] for bus in site.buses for own in bus.holds}
    metered = [
        *(each.id for each in ordered_loads(site)),
        *(each.id for each in site.batteries),
        *(each.id for each in site.pvs),
        *(each.id for each in site.generators),
    ]
    places = [0, *(place.get(own, 0) for own in metered)]
    first = len(places)
    rows = [
        (index[each.from_bus], index[each.to_bus], first + at)
        for at, each in enumerate(site.feeders)
    ]
    rows += [(index[above], index[bus], -1) for bus, above in unmetered_feeders(site)]
    feeders = np.zeros(len(rows), DTYPES["FeederRow"])
    for at, (from_bus, to_bus, meter) in enumerate(rows):
        feeders[at] = (from_bus, to_bus, meter)
    generators = np.zeros(len(site.generators), DTYPES["GeneratorRow"])
    generators["mg_per_kwh"] = [round(each.carbon_g_per_kwh * MG_PER_G) for each in site.generators]
    # A feeder stands at no bus; its meter is the last of the site's.
    meter_buses = np.array([*places, *(-1 for _ in site.feeders)], np.int32)
    return {"meter_buses": meter_buses, "feeders": feeders, "generators": generators}


def flow_order(buses: tuple[Bus, ...]) -> list[str]:
    """The grid's bus first, then each bus after the one that feeds it."""
    found = [each.id for each in buses if each.fed_by is None]
    for bus in found:
        found += [each.id for each in buses if each.fed_by == bus]
    return found


def unmetered_feeders(site: Site) -> list[tuple[str, str]]:
    """(bus, the one that feeds it) wherever no [[feeder]] meters that, leaves first."""
    metered = {frozenset((each.from_bus, each.to_bus)) for each in site.feeders}
    above: Mapping[str, str | None] = {each.id: each.fed_by for each in site.buses}
    return [
        (bus, str(above[bus]))
        for bus in reversed(flow_order(site.buses)[1:])
        if frozenset((bus, str(above[bus]))) not in metered
    ]
