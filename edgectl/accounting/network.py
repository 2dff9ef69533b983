"""A network of buses for one interval: what came in, what went out, and what each line carried.

All energies are whole millijoules. A bus whose meters do not agree is closed as the
kernel closes the site's own: what came in and was not seen to leave is losses, what left
and was not seen to come in is unmetered and carries the default intensity.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgectl.accounting.apportion import MJ_MG_PER_UG, largest_remainder
from edgectl.errors import DataError

BUSES_MAX = 64
UNMETERED = "unmetered"
LOSSES = "losses"


@dataclass(frozen=True, slots=True)
class Source:
    """Energy that comes into the network at a bus, and the carbon that comes with it."""

    id: str
    bus: str
    energy_mj: int
    carbon_ug: int


@dataclass(frozen=True, slots=True)
class Sink:
    """Energy that leaves the network at a bus: a load, export, a battery that charges."""

    id: str
    bus: str
    energy_mj: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line, feeder or transformer, in the direction its energy went."""

    from_bus: str
    to_bus: str
    sent_mj: int
    received_mj: int


@dataclass(frozen=True, slots=True)
class Network:
    """One interval of a network. The order of its parts is the order of every rounding."""

    buses: tuple[str, ...]
    sources: tuple[Source, ...]
    sinks: tuple[Sink, ...]
    lines: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        """Raises DataError for what no network can be."""
        for problem in _problems(self):
            raise DataError(
                where="network",
                problem=problem,
                because="Energy of unknown place or sign cannot be traced.",
                remedy="Turn a reversed line around, and name every bus once.",
            )

    def inflow_mj(self, bus: str) -> int:
        """What came in at a bus: its sources and what its lines received."""
        return sum(each.energy_mj for each in self.sources if each.bus == bus) + sum(
            each.received_mj for each in self.lines if each.to_bus == bus
        )

    def outflow_mj(self, bus: str) -> int:
        """What left a bus: its sinks and what its lines were sent."""
        return sum(each.energy_mj for each in self.sinks if each.bus == bus) + sum(
            each.sent_mj for each in self.lines if each.from_bus == bus
        )


def _problems(network: Network) -> list[str]:
    known = set(network.buses)
    found = []
    if len(network.buses) > BUSES_MAX:
        found.append(f"it has {len(network.buses)} buses; at most {BUSES_MAX} are traced")
    for name, times in Counter(network.buses).items():
        if times > 1:
            found.append(f"bus {name} is listed {times} times")
    for kind, parts in (("source", network.sources), ("sink", network.sinks)):
        for name, times in Counter(each.id for each in parts).items():
            if times > 1:
                found.append(f"{kind} {name} is listed {times} times")
        for each in parts:
            if each.bus not in known:
                found.append(f"{kind} {each.id} is at bus {each.bus}, which is not listed")
            if each.energy_mj < 0:
                found.append(f"{kind} {each.id} has {each.energy_mj} mJ, less than nothing")
    for source in network.sources:
        if source.carbon_ug < 0 or (source.carbon_ug and not source.energy_mj):
            found.append(
                f"source {source.id} brings {source.carbon_ug} ug CO2e with {source.energy_mj} mJ"
            )
    for line in network.lines:
        name = f"line {line.from_bus} to {line.to_bus}"
        if not {line.from_bus, line.to_bus} <= known or line.from_bus == line.to_bus:
            found.append(f"{name} does not join two listed buses")
        if not 0 <= line.received_mj <= line.sent_mj:
            found.append(f"{name} was sent {line.sent_mj} mJ and received {line.received_mj} mJ")
    return found


def netted(network: Network) -> Network:
    """Lines between the same two buses in opposite directions, less what only went to and fro.

    Such pairs come from meters that waver about zero; taken as they are they make a ring.
    """
    lines = list(network.lines)
    for at, line in enumerate(lines):
        for other in range(at + 1, len(lines)):
            back = lines[other]
            if (back.from_bus, back.to_bus) != (line.to_bus, line.from_bus):
                continue
            line, lines[other] = _net_pair(line, back)
            lines[at] = line
    return replace(network, lines=tuple(each for each in lines if each.sent_mj))


def _net_pair(line: Line, back: Line) -> tuple[Line, Line]:
    """Take what both carried out of both, at either end, without making a loss negative."""
    common = min(line.received_mj, back.received_mj)
    return (
        replace(line, sent_mj=line.sent_mj - common, received_mj=line.received_mj - common),
        replace(back, sent_mj=back.sent_mj - common, received_mj=back.received_mj - common),
    )


def balanced(network: Network, default_mg_per_kwh: int) -> Network:
    """Close every bus: a sink of losses or an unmetered source makes up the difference.

    default_mg_per_kwh   of unmetered energy: the zone's default, never a clean one
    """
    sources, sinks = list(network.sources), list(network.sinks)
    for bus in network.buses:
        excess_mj = network.inflow_mj(bus) - network.outflow_mj(bus)
        if excess_mj > 0:
            sinks.append(Sink(f"{LOSSES}@{bus}", bus, excess_mj))
        elif excess_mj < 0:
            carbon_ug = -(excess_mj * default_mg_per_kwh // MJ_MG_PER_UG)
            sources.append(Source(f"{UNMETERED}@{bus}", bus, -excess_mj, carbon_ug))
    return replace(network, sources=tuple(sources), sinks=tuple(sinks))


def averaged(network: Network) -> Network:
    """Bialek's lossless network: each line carries the mean of its two ends.

    Half a line's loss is taken off at either end: added to the loads at that bus, else
    taken from its sources, else booked as losses there. For comparison with the
    literature only: the carbon of what is taken from a source is in no cell, so an
    inventory is never made from it.
    """
    loss_mj = dict.fromkeys(network.buses, 0)
    lines = []
    for line in network.lines:
        mean_mj = (line.sent_mj + line.received_mj) // 2
        loss_mj[line.from_bus] += line.sent_mj - mean_mj
        loss_mj[line.to_bus] += mean_mj - line.received_mj
        lines.append(replace(line, sent_mj=mean_mj, received_mj=mean_mj))
    sources, sinks = list(network.sources), list(network.sinks)
    for bus, half_mj in loss_mj.items():
        at = [place for place, each in enumerate(sinks) if each.bus == bus and each.energy_mj]
        if at:
            for place, more in zip(at, _shares(half_mj, [sinks[p] for p in at]), strict=True):
                sinks[place] = replace(sinks[place], energy_mj=sinks[place].energy_mj + more)
            continue
        at = [place for place, each in enumerate(sources) if each.bus == bus and each.energy_mj]
        taken_mj = min(half_mj, sum(sources[place].energy_mj for place in at))
        for place, less in zip(at, _shares(taken_mj, [sources[p] for p in at]), strict=True):
            sources[place] = _less(sources[place], less)
        if half_mj > taken_mj:
            sinks.append(Sink(f"{LOSSES}@{bus}", bus, half_mj - taken_mj))
    return Network(network.buses, tuple(sources), tuple(sinks), tuple(lines))


def _shares(amount_mj: int, parts: Sequence[Source | Sink]) -> list[int]:
    return largest_remainder(amount_mj, [each.energy_mj for each in parts])


def _less(source: Source, less_mj: int) -> Source:
    left_mj = source.energy_mj - less_mj
    carbon_ug = source.carbon_ug * left_mj // source.energy_mj
    return replace(source, energy_mj=left_mj, carbon_ug=carbon_ug)
