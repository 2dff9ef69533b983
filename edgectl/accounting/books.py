"""The ledger's seconds, traced over the site's own network, with the origin of every joule.

The kernel traces each scan over one bus and the ledger keeps its sums. Here the same sums
are placed at the buses where they are metered and traced again, so that a PV plant behind
one transformer feeds first what stands behind it. In a network that is a tree the power of
every feeder follows from what stands behind it; no meter is needed there.

What a battery gives back is told apart by where it came from: "grid" is energy direct,
"grid via BESS-01" is the same energy through that battery. The stocks kept here follow
the network's tracing; the kernel's own follow the one bus, and stay in the ledger.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgectl.accounting.apportion import largest_remainder
from edgectl.accounting.network import Line, Network, Sink, Source
from edgectl.accounting.storage import Inventory, Rules
from edgectl.accounting.tracing import METHOD, trace
from edgectl.errors import DataError

MAIN = "main"
VIA = " via "


@dataclass(frozen=True, slots=True)
class Topology:
    """Where things stand: a tree of buses.

    parent   bus by bus that it feeds; what is no key is the root, MAIN where there is one bus
    place    bus by id of a source or sink; the root where not named
    """

    parent: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises DataError where the buses are no tree, or something stands at no bus."""
        roots = set(self.parent.values()) - set(self.parent)
        if self.parent and len(roots) != 1:
            raise _refused(f"it has {len(roots)} buses that nothing feeds; a tree has one")
        for bus in self.parent:
            seen = [bus]
            while seen[-1] in self.parent:
                seen.append(self.parent[seen[-1]])
                if seen[-1] == bus:
                    raise _refused(f"{' feeds '.join(reversed(seen))}: it is a ring")
        known = set(self.buses)
        for name, bus in self.place.items():
            if bus not in known:
                raise _refused(f"{name} stands at bus {bus}, which is not in the tree")

    @classmethod
    def of(cls, buses: Sequence[Mapping[str, Any]]) -> "Topology":
        """Of a directory's or a site's buses: each with id, fed_by and holds."""
        return cls(
            {each["id"]: each["fed_by"] for each in buses if each["fed_by"]},
            {name: each["id"] for each in buses for name in each["holds"]},
        )

    @property
    def root(self) -> str:
        """The bus that nothing feeds: the grid's."""
        return next(iter(set(self.parent.values()) - set(self.parent)), MAIN)

    @property
    def buses(self) -> tuple[str, ...]:
        """The root first, then each bus after the one that feeds it."""
        found = [self.root]
        for bus in found:
            found += [each for each, above in self.parent.items() if above == bus]
        return tuple(found)

    def bus_of(self, name: str) -> str:
        """Where a source or sink stands."""
        return self.place.get(name, self.root)


@dataclass(frozen=True, slots=True)
class Names:
    """The order of a run's sources, sinks and storages, as its START row names them."""

    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    storages: tuple[str, ...]

    @classmethod
    def of(cls, start: Mapping[str, Any]) -> "Names":
        """Of the content of a START or NAMES row."""
        return cls(tuple(start["sources"]), tuple(start["sinks"]), tuple(start["storages"]))


@dataclass(frozen=True, slots=True)
class Flows:
    """What one interval came to: (origin, sink) to mJ and ug, summing to the ledger's own."""

    energy_mj: Mapping[tuple[str, str], int]
    carbon_ug: Mapping[tuple[str, str], int]
    method: str = METHOD

    def by_origin_mj(self, sink: str) -> dict[str, int]:
        """What a sink got, by origin."""
        return {origin: mj for (origin, to), mj in self.energy_mj.items() if to == sink and mj}

    def by_origin_ug(self, sink: str) -> dict[str, int]:
        """Its carbon, by origin of the energy."""
        return {origin: ug for (origin, to), ug in self.carbon_ug.items() if to == sink and ug}


class SiteBooks:
    """Books of one site over time; each interval is traced once, in order."""

    def __init__(self, topology: Topology, stocks: Mapping[str, Inventory]) -> None:
        """stocks   what each storage holds when the books begin, by id."""
        self.topology = topology
        self.stocks = dict(stocks)
        self.energy_mj: Counter[tuple[str, str]] = Counter()
        self.carbon_ug: Counter[tuple[str, str]] = Counter()

    def book(self, names: Names, cells: Sequence[Sequence[int]]) -> Flows:
        """Trace one interval and add it to the totals.

        names   of the run it is of
        cells   source, sink, mJ, ug: of a SECOND row, or the sums of several, an hour at most

        Energy is the ledger's. So is carbon, but for that of the storages: it leaves and
        enters the stocks kept here.
        """
        given_mj, given_ug, taken_mj = Counter[str](), Counter[str](), Counter[str]()
        for source, sink, mj, ug in cells:
            given_mj[names.sources[source]] += mj
            given_ug[names.sources[source]] += ug
            taken_mj[names.sinks[sink]] += mj
        sources: list[Source] = []
        for name in names.sources:
            sources += self._sources(names, name, given_mj[name], given_ug[name])
        sinks = tuple(
            Sink(each, self.topology.bus_of(each), taken_mj[each]) for each in names.sinks
        )
        lines = _feeders(self.topology, sources, sinks)
        traced = trace(Network(self.topology.buses, tuple(sources), sinks, lines))
        energy, carbon = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for at, origin in enumerate(traced.sources):
            for column, to in enumerate(traced.sinks):
                energy[origin, to] += traced.energy_mj[at][column]
                carbon[origin, to] += traced.carbon_ug[at][column]
        flows = Flows(energy, carbon)
        self._fill(names, flows)
        self.energy_mj.update(energy)
        self.carbon_ug.update(carbon)
        return flows

    def _sources(self, names: Names, name: str, energy_mj: int, carbon_ug: int) -> list[Source]:
        """A source, or one for each origin of what a storage gives back."""
        bus = self.topology.bus_of(name)
        if name not in names.storages:
            return [Source(name, bus, energy_mj, carbon_ug)] if energy_mj else []
        drawn = self.stocks[name].discharge(energy_mj)
        origins = {each: mj for each, mj in drawn.origins_mj.items() if mj}
        parts = largest_remainder(drawn.carbon_ug, list(origins.values())) if origins else []
        return [
            Source(f"{origin}{VIA}{name}", bus, mj, ug)
            for (origin, mj), ug in zip(origins.items(), parts, strict=True)
        ]

    def _fill(self, names: Names, flows: Flows) -> None:
        """What went into each storage, by where it came from first."""
        for name in names.storages:
            origins: Counter[str] = Counter()
            for origin, mj in flows.by_origin_mj(name).items():
                origins[origin.partition(VIA)[0]] += mj
            carbon_ug = sum(flows.by_origin_ug(name).values())
            if origins:
                self.stocks[name].charge(origins.total(), carbon_ug, origins)


def stocks_at(
    stored: Mapping[str, tuple[int, int]], rules: Mapping[str, Rules]
) -> dict[str, Inventory]:
    """Inventories that go on from what the ledger says was stored: (mJ, ug) by storage."""
    return {name: Inventory.holding(rules[name], *stored[name]) for name in stored}


def _feeders(
    topology: Topology, sources: Sequence[Source], sinks: Sequence[Sink]
) -> tuple[Line, ...]:
    """The lines of the tree: each carries what is needed behind it, or what is left over."""
    need_mj = dict.fromkeys(topology.buses, 0)
    for sink in sinks:
        need_mj[sink.bus] += sink.energy_mj
    for source in sources:
        need_mj[source.bus] -= source.energy_mj
    lines = []
    for bus in reversed(topology.buses[1:]):
        above, amount_mj = topology.parent[bus], need_mj[bus]
        need_mj[above] += amount_mj
        if amount_mj > 0:
            lines.append(Line(above, bus, amount_mj, amount_mj))
        elif amount_mj < 0:
            lines.append(Line(bus, above, -amount_mj, -amount_mj))
    return tuple(lines)


def _refused(problem: str) -> DataError:
    return DataError(
        where="topology",
        problem=problem,
        because="What stands behind a feeder decides what its power was.",
        remedy="Name for each bus the one that feeds it, up to the grid's.",
    )
