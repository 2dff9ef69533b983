"""The order in which energy passes buses, and the rings in it, exactly."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from edgectl.errors import DataError

Arriving = Mapping[str, Mapping[str, Fraction]]  # [to][from]: share of the sender's outflow


def in_flow_order(buses: Sequence[str], arriving: Arriving) -> list[list[str]]:
    """Buses so that what feeds one comes before it; those of a ring together.

    Tarjan's strongly connected components, without recursion, along the lines backwards:
    a component is complete when all that feeds it is.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    place = {bus: at for at, bus in enumerate(buses)}
    for root in buses:
        if root in index:
            continue
        work = [(root, iter(sorted(arriving.get(root, {}), key=place.__getitem__)))]
        while work:
            bus, feeding = work[-1]
            if bus not in index:
                index[bus] = low[bus] = len(index)
                stack.append(bus)
                on_stack.add(bus)
            for other in feeding:
                if other not in index:
                    work.append(
                        (other, iter(sorted(arriving.get(other, {}), key=place.__getitem__)))
                    )
                    break
                if other in on_stack:
                    low[bus] = min(low[bus], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[bus])
                if low[bus] == index[bus]:
                    found.append(_component(bus, stack, on_stack, place))
    return found


def _component(
    bus: str, stack: list[str], on_stack: set[str], place: Mapping[str, int]
) -> list[str]:
    ring: list[str] = []
    while not ring or ring[-1] != bus:
        ring.append(stack.pop())
        on_stack.discard(ring[-1])
    return sorted(ring, key=place.__getitem__)


def solve_ring(
    ring: Sequence[str], arriving: Arriving, base: Mapping[str, Mapping[str, Fraction]]
) -> dict[str, dict[str, Fraction]]:
    """What passes each bus of a ring: base of it, plus what the others of the ring send it.

    ring   one bus, or several that feed one another
    base   by bus, what comes from outside the ring

    Gauss-Jordan with pivots down the diagonal in the given order. Every pivot is positive
    where anything leaves the ring: the matrix is then a non-singular M-matrix.
    """
    if len(ring) == 1:
        return {ring[0]: dict(base[ring[0]])}
    size = len(ring)
    rows = [
        [Fraction(at == to) - arriving.get(bus, {}).get(other, Fraction(0))
         for to, other in enumerate(ring)]
        for at, bus in enumerate(ring)
    ]  # fmt: skip
    right = [dict(base[bus]) for bus in ring]
    for pivot in range(size):
        if rows[pivot][pivot] == 0:
            raise DataError(
                where=f"network, ring {', '.join(ring)}",
                problem="energy goes round in it and nothing leaves",
                because="What never left a source has no origin.",
                remedy="Check the direction of the meters of these lines.",
            )
        for at in range(size):
            if at != pivot and rows[at][pivot]:
                _eliminate(rows, right, at, pivot)
    return {
        bus: {origin: part / rows[at][at] for origin, part in right[at].items()}
        for at, bus in enumerate(ring)
    }


def _eliminate(
    rows: list[list[Fraction]], right: list[dict[str, Fraction]], at: int, pivot: int
) -> None:
    factor = rows[at][pivot] / rows[pivot][pivot]
    rows[at] = [own - factor * other for own, other in zip(rows[at], rows[pivot], strict=True)]
    for origin, part in right[pivot].items():
        right[at][origin] = right[at].get(origin, Fraction(0)) - factor * part
