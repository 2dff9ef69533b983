"""What stands at which bus of a site, before anything is drawn of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgectl.site_model import Site

ONE_BUS = "one bus"
KINDS = {"it": "IT load", "aux": "auxiliary load"}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing at a bus. meter: id of the device that reads it."""

    id: str
    kind: str  # grid, pv, battery, generator, load
    said: str  # figures, parted by commas
    meter: str


@dataclass(frozen=True, slots=True)
class Line:
    """A metered line between two buses; its meter reads positive from from_bus."""

    id: str
    from_bus: str
    to_bus: str
    meter: str


@dataclass(frozen=True, slots=True)
class PlanBus:
    """One bus with all at it.

    fed_by   the bus that feeds it, None at the grid
    feeder   the metered line from there, None where no meter stands in it
    """

    id: str
    depth: int
    fed_by: str | None
    feeder: Line | None
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The buses in drawing order: each behind the one that feeds it. ties: all further lines."""

    name: str
    grid: Item
    buses: tuple[PlanBus, ...]
    ties: tuple[Line, ...]


def plan_of(site: Site) -> Plan:
    """The tree of a site's buses; without any, one bus with everything."""
    fed_by = {each.id: each.fed_by for each in site.buses} or {ONE_BUS: None}
    root = next(name for name, by in fed_by.items() if by is None)
    place = {name: each.id for each in site.buses for name in each.holds}
    at: dict[str, list[Item]] = {name: [] for name in fed_by}
    for item in _items(site):
        at[place.get(item.id, root)].append(item)
    feeders, ties = _lines(site, fed_by)
    grid = Item(
        "Grid connection", "grid", f"zone {site.zone}, import cap {_mw(site.grid.import_cap_w)}",
        _device(site.grid.power),
    )  # fmt: skip
    return Plan(site.name, grid, tuple(
        PlanBus(name, depth, fed_by[name], feeders.get(name), tuple(at[name]))
        for name, depth in _in_order(root, fed_by)
    ), tuple(ties))  # fmt: skip


def _lines(
    site: Site, fed_by: Mapping[str, str | None]
) -> tuple[dict[str, Line], list[Line]]:  # fmt: skip
    """The one in the feed of each bus, by that bus, and those beside: ties, and a second feeder."""
    feeders: dict[str, Line] = {}
    ties = []
    for each in site.feeders:
        line = Line(each.id, each.from_bus, each.to_bus, _device(each.power))
        lower = line.to_bus if fed_by[line.to_bus] == line.from_bus else line.from_bus
        if fed_by[lower] in {line.from_bus, line.to_bus} and lower not in feeders:
            feeders[lower] = line
        else:
            ties.append(line)
    return feeders, ties


def _items(site: Site) -> list[Item]:
    """Everything but the grid: what generates, what stores, what uses."""
    found = [
        Item(each.id, "generator", f"generator, {_mw(each.rating_w)}", _device(each.power))
        for each in site.generators
    ]
    found += [Item(each.id, "pv", f"PV, {_mw(each.rating_w)}", _device(each.power))
              for each in site.pvs]  # fmt: skip
    found += [
        Item(each.id, "battery",
             f"battery, {_mw(each.discharge_rating_w)}, {each.capacity_j / 3.6e9:g} MWh",
             _device(each.power))
        for each in site.batteries
    ]  # fmt: skip
    found += [Item(each.id, "load", KINDS[each.kind], _device(each.power)) for each in site.loads]
    return found


def _in_order(root: str, fed_by: Mapping[str, str | None]) -> list[tuple[str, int]]:
    found, waiting = [], [(root, 0)]
    while waiting:
        name, depth = waiting.pop()
        found.append((name, depth))
        waiting += [(each, depth + 1) for each, by in reversed(list(fed_by.items())) if by == name]
    return found


def _device(tag: str) -> str:
    return tag.partition(".")[0]


def _mw(w: float) -> str:
    return f"{w / 1e6:g} MW" if w >= 1e6 else f"{w / 1e3:g} kW"
