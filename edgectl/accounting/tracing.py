"""Which source fed which sink over any network: proportional sharing (Bialek, IEE
Proc.-GTD 143(4) 1996, 313).

What leaves a bus leaves in the mixture that came in. Buses are taken in topological
order; those that form a ring are solved together, exactly, with pivots down the
diagonal in the order of the network. All of it is in rational numbers and is rounded
once, at the end: energy so that every source and every sink adds up to the last mJ,
carbon so that every source's does to the last ug. The same input gives the same
output on any machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from edgectl.accounting.apportion import (
    MJ_MG_PER_UG,
    Table,
    largest_remainder,
    largest_remainder_table,
)
from edgectl.accounting.network import LOSSES, Line, Network, Sink, Source
from edgectl.accounting.rings import in_flow_order, solve_ring
from edgectl.errors import DataError

METHOD = "proportional sharing, Bialek 1996"
Mixture = dict[str, Fraction]  # by bus of origin


class LossRule(StrEnum):
    """Who bears what lines lose. Declared in every record that comes of it."""

    SEPARATE = "losses are a sink of their own at the sending bus's mixture"  # actual flows
    TO_LOADS = "losses are borne by the sinks behind them"  # gross
    TO_SOURCES = "losses are borne by the sources before them"  # net


@dataclass(frozen=True, slots=True)
class Trace:
    """The flows of one interval.

    energy_mj   [source][sink]; rows add up to their source. Columns add up to their sink
                too, but under TO_LOADS, where a sink also bears its losses
    carbon_ug   [source][sink]; rows add up to their source
    exact_mj    energy_mj before it was rounded
    intensity_mg_per_kwh   by bus, carbon over metered outflow; None where nothing flowed,
                and under TO_SOURCES, which says nothing of buses
    """

    rule: LossRule
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    energy_mj: Table
    carbon_ug: Table
    exact_mj: list[list[Fraction]]
    intensity_mg_per_kwh: Mapping[str, Fraction | None]
    method: str = METHOD

    def by_source_mj(self, sink: str) -> dict[str, int]:
        """What a sink got from each source."""
        column = self.sinks.index(sink)
        return {each: row[column] for each, row in zip(self.sources, self.energy_mj, strict=True)}

    def energy_of_mj(self, sink: str) -> int:
        """All that a sink got."""
        column = self.sinks.index(sink)
        return sum(row[column] for row in self.energy_mj)

    def carbon_of_ug(self, sink: str) -> int:
        """The carbon that came with it."""
        column = self.sinks.index(sink)
        return sum(row[column] for row in self.carbon_ug)


@dataclass(slots=True)
class _Graph:
    """Outgoing lines by bus with the share of the bus's outflow that arrives behind them."""

    outflow_mj: dict[str, int]
    arriving: dict[str, dict[str, Fraction]] = field(default_factory=dict)  # [to][from]


def trace(network: Network, rule: LossRule = LossRule.SEPARATE) -> Trace:
    """Trace one interval.

    network   every bus balanced to the mJ: see network.balanced
    rule      who bears the losses of lines

    Raises DataError for a bus that is not balanced, or a ring that nothing leaves.
    """
    _check_balance(network)
    if rule is LossRule.TO_SOURCES:
        return _trace_net(network)
    graph = _graph(network, gross=rule is LossRule.TO_LOADS)
    mixtures = _mixtures(network, graph)
    sinks, exact = _cells(network, graph, mixtures, with_losses=rule is LossRule.SEPARATE)
    energy = largest_remainder_table(exact) if rule is LossRule.SEPARATE else _rows(network, exact)
    return Trace(
        rule,
        tuple(each.id for each in network.sources),
        sinks,
        energy,
        _carbon(network, exact),
        exact,
        {bus: _intensity(network, graph, mixtures[bus], bus) for bus in network.buses},
    )


def _check_balance(network: Network) -> None:
    for bus in network.buses:
        came_mj, left_mj = network.inflow_mj(bus), network.outflow_mj(bus)
        if came_mj != left_mj:
            raise DataError(
                where=f"network, bus {bus}",
                problem=f"{came_mj} mJ came in and {left_mj} mJ left",
                because="What is not balanced cannot be traced to the last mJ.",
                remedy="Close it with network.balanced: losses, or unmetered at the default.",
            )


def _graph(network: Network, *, gross: bool) -> _Graph:
    graph = _Graph({bus: network.outflow_mj(bus) for bus in network.buses})
    for line in network.lines:
        amount_mj = line.sent_mj if gross else line.received_mj
        if amount_mj:
            into = graph.arriving.setdefault(line.to_bus, {})
            share = Fraction(amount_mj, graph.outflow_mj[line.from_bus])
            into[line.from_bus] = into.get(line.from_bus, Fraction(0)) + share
    return graph


def _mixtures(network: Network, graph: _Graph) -> dict[str, Mixture]:
    """By bus: the part of what each bus's own sources put in that comes through here."""
    origins = {each.bus for each in network.sources if each.energy_mj}
    found: dict[str, Mixture] = {}
    for ring in in_flow_order(network.buses, graph.arriving):
        base = {}
        for bus in ring:
            mixture: Mixture = {bus: Fraction(1)} if bus in origins else {}
            for before, share in graph.arriving.get(bus, {}).items():
                for origin, part in found.get(before, {}).items():
                    mixture[origin] = mixture.get(origin, Fraction(0)) + part * share
            base[bus] = mixture
        found |= solve_ring(ring, graph.arriving, base)
    return found


def _cells(
    network: Network, graph: _Graph, mixtures: Mapping[str, Mixture], *, with_losses: bool
) -> tuple[tuple[str, ...], list[list[Fraction]]]:
    """Sinks, losses of lines after them, and what each got of each source."""
    places = [(each.id, each.bus, each.energy_mj) for each in network.sinks]
    for line in network.lines if with_losses else ():
        if line.sent_mj > line.received_mj:
            name = f"{LOSSES}:{line.from_bus}-{line.to_bus}"
            places.append((_unused(name, places), line.from_bus, line.sent_mj - line.received_mj))
    exact = [
        [
            source.energy_mj
            * mixtures[bus].get(source.bus, Fraction(0))
            * Fraction(energy_mj, graph.outflow_mj[bus] or 1)
            for _, bus, energy_mj in places
        ]
        for source in network.sources
    ]
    return tuple(name for name, _, _ in places), exact


def _unused(name: str, places: Sequence[tuple[str, str, int]]) -> str:
    """Parallel lines are told apart by a number."""
    taken = {each[0] for each in places}
    number = 2
    wanted = name
    while wanted in taken:
        wanted = f"{name}#{number}"
        number += 1
    return wanted


def _rows(network: Network, exact: Sequence[Sequence[Fraction]]) -> Table:
    return [
        largest_remainder(source.energy_mj, row)
        for source, row in zip(network.sources, exact, strict=True)
    ]


def _carbon(network: Network, exact: Sequence[Sequence[Fraction]]) -> Table:
    return [
        largest_remainder(source.carbon_ug, row)
        for source, row in zip(network.sources, exact, strict=True)
    ]


def _intensity(network: Network, graph: _Graph, mixture: Mixture, bus: str) -> Fraction | None:
    if not graph.outflow_mj[bus]:
        return None
    carbon_ug = sum(
        (each.carbon_ug * mixture.get(each.bus, Fraction(0)) for each in network.sources),
        Fraction(0),
    )
    return carbon_ug * MJ_MG_PER_UG / graph.outflow_mj[bus]


def _trace_net(network: Network) -> Trace:
    """Looking downstream: what each load drew is followed back to the sources, lossless.

    It is the gross tracing of the network turned round. What a source put in beyond
    what reached loads is its own loss.
    """
    turned = Network(
        network.buses,
        tuple(Source(each.id, each.bus, each.energy_mj, 0) for each in network.sinks),
        tuple(Sink(each.id, each.bus, each.energy_mj) for each in network.sources),
    )
    # A line turned round receives more than it was sent, which no Network holds: its graph does.
    graph = _Graph({bus: network.inflow_mj(bus) for bus in network.buses})
    for line in network.lines:
        if line.received_mj:
            into = graph.arriving.setdefault(line.from_bus, {})
            share = Fraction(line.received_mj, graph.outflow_mj[line.to_bus])
            into[line.to_bus] = into.get(line.to_bus, Fraction(0)) + share
    _, by_sink = _cells(turned, graph, _mixtures(turned, graph), with_losses=False)
    exact = [list(row) for row in zip(*by_sink, strict=True)] or [[] for _ in network.sources]
    for source, row in zip(network.sources, exact, strict=True):
        row.append(source.energy_mj - sum(row, Fraction(0)))
    return Trace(
        LossRule.TO_SOURCES,
        tuple(each.id for each in network.sources),
        (*(each.id for each in network.sinks), LOSSES),
        largest_remainder_table(exact),
        _carbon(network, exact),
        exact,
        dict.fromkeys(network.buses),
    )


def line_by_source_mj(
    network: Network, line: Line, rule: LossRule = LossRule.SEPARATE
) -> dict[str, Fraction]:
    """What each source put into a line, before it is rounded: the sending bus's mixture."""
    graph = _graph(network, gross=rule is LossRule.TO_LOADS)
    mixture = _mixtures(network, graph)[line.from_bus]
    share = Fraction(line.sent_mj, graph.outflow_mj[line.from_bus] or 1)
    return {
        each.id: each.energy_mj * mixture.get(each.bus, Fraction(0)) * share
        for each in network.sources
    }
