"""What stands at which bus of a site, before anything is drawn of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgectl.site_model import Site

ONE_BUS = "one bus"
PV_TOGETHER = "pv"  # as a bus holds them: one source in the kernel's books


@dataclass(frozen=True, slots=True)
class Item:
    """One thing at a bus. meter: id of the device that reads it, None where none does."""

    id: str
    kind: str  # pv, battery, generator, load, tie
    said: str  # a line of figures
    meter: str | None


@dataclass(frozen=True, slots=True)
class Feeder:
    """How a bus is fed. meter: None where no meter stands in it; line: its own id, if any."""

    bus: str
    meter: str | None = None
    line: str | None = None


@dataclass(frozen=True, slots=True)
class PlanBus:
    """One bus with all at it. fed: None at the grid."""

    id: str
    depth: int
    fed: Feeder | None
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The buses in drawing order: each behind the one that feeds it."""

    name: str
    grid: Item
    buses: tuple[PlanBus, ...]


def plan_of(site: Site) -> Plan:
    """The tree of a site's buses; without any, one bus with everything."""
    fed_by = {each.id: each.fed_by for each in site.buses} or {ONE_BUS: None}
    root = next(name for name, by in fed_by.items() if by is None)
    place = {name: each.id for each in site.buses for name in each.holds}
    at: dict[str, list[Item]] = {name: [] for name in fed_by}
    for held_as, item in _items(site):
        at[place.get(held_as, place.get(item.id, root))].append(item)
    feeders = {name: Feeder(by) for name, by in fed_by.items() if by is not None}
    for each in lines_of(site):
        start, end, name = str(each["from_bus"]), str(each["to_bus"]), str(each["id"])
        lower = end if fed_by.get(end) == start else start
        if fed_by.get(lower) in {start, end} and feeders[lower].line is None:
            feeders[lower] = Feeder(feeders[lower].bus, _device(each["meter"]), name)
            continue
        for here, words in ((start, f"to {end}"), (end, f"from {start}")):
            at[here].append(Item(name, "tie", words, _device(each["meter"])))
    grid = Item(
        "Grid connection", "grid", f"zone {site.zone}, import cap {_mw(site.grid.import_cap_w)}",
        _device(site.grid.power),
    )  # fmt: skip
    return Plan(site.name, grid, tuple(
        PlanBus(name, depth, feeders.get(name), tuple(at[name]))
        for name, depth in _in_order(root, fed_by)
    ))  # fmt: skip


def lines_of(site: Any) -> list[Mapping[str, str | None]]:
    """Metered lines between buses, where the site file can say them."""
    return [
        {"id": each.id, "from_bus": each.from_bus, "to_bus": each.to_bus, "meter": each.power}
        for each in getattr(site, "feeders", ())
    ]


def _items(site: Site) -> list[tuple[str, Item]]:
    """Everything but the grid, each with the name by which a bus may hold it."""
    found = [(PV_TOGETHER, Item(each.id, "pv", f"PV, {_mw(each.rating_w)}", _device(each.power)))
             for each in site.pvs]  # fmt: skip
    found += [
        (each.id, Item(
            each.id, "battery",
            f"battery, {_mw(each.discharge_rating_w)}, {each.capacity_j / 3.6e9:g} MWh",
            _device(each.power)))
        for each in site.batteries
    ]  # fmt: skip
    found += [
        (each.id, Item(each.id, "load", "IT load" if each.kind == "it" else "cooling and house",
                       _device(each.power)))
        for each in site.loads
    ]  # fmt: skip
    return found


def _in_order(root: str, fed_by: Mapping[str, str | None]) -> list[tuple[str, int]]:
    found, waiting = [], [(root, 0)]
    while waiting:
        name, depth = waiting.pop()
        found.append((name, depth))
        waiting += [(each, depth + 1) for each, by in reversed(fed_by.items()) if by == name]
    return found


def _device(tag: str | None) -> str | None:
    return tag.partition(".")[0] if tag else None


def _mw(w: float) -> str:
    return f"{w / 1e6:g} MW" if w >= 1e6 else f"{w / 1e3:g} kW"
