"""A link under a simulated clock: the kernel's own order of service, and devices that take time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st
from link_rig import BenchUnit, LinkRig

from edgectl._kernel.fieldbus import RequestKind
from edgectl.site_model.model import Scan
from edgectl.site_model.schedule import Cost, Unit

MS = 1_000_000
NO_SYNC = Cost(0, 0)  # of a unit that is on no serial line


@dataclass(frozen=True, slots=True)
class Sent:
    """One request on its way, and when its reply comes or it is given up."""

    kind: RequestKind
    unit: int
    item: int
    lost: bool
    ends: int


@dataclass
class Master:
    """A link as the kernel serves it; when replies come, what is lost and written is by chance.

    Times are ms. The units rest after a loss where they are on a serial line, all or none. With
    several outstanding the device serves them one after the other, in the order they were sent;
    of one that is lost, the device may have had the work or not.
    """

    units: list[Unit]
    scan: Scan
    chance: Random
    late: float  # share of replies that take their longest
    between_losses: int
    outstanding: int = 1
    phases: list[int] | None = None  # of the blocks of the first unit; None: by chance
    now: int = 0
    served: int = 0  # the device is busy until then
    next_loss: int = 0
    places: dict[int, Sent] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.next_loss = self.chance.randint(0, self.between_losses)
        self.rig = LinkRig(
            [
                BenchUnit(
                    [4] * len(unit.reads),
                    [
                        (every, self.phases[at] if self.phases else self.chance.randrange(every))
                        for at, every in enumerate(unit.every)
                    ],
                    len(unit.writes),
                    max(unit.rest_ns, 1) * MS,
                )
                for unit in self.units
            ],
            serial=any(unit.rest_ns for unit in self.units),
            outstanding=self.outstanding,
        )
        self.rig.connect(0)

    def send(self) -> None:
        """Send what the kernel chooses, as long as there is room."""
        while len(self.places) < self.outstanding:
            place = min(set(range(self.outstanding)) - self.places.keys())
            if (asked := self.rig.bench.ask(self.now * MS, place)) is None:
                return
            self.places[place] = self.sent(*asked[:3])

    def sent(self, kind: RequestKind, at: int, item: int) -> Sent:
        """What comes of one request."""
        unit, cost = self.units[at], self.units[at].sync
        if kind == RequestKind.REQUEST_WRITE:
            cost = unit.writes[item - self.rig.first_output[at]]
        elif kind == RequestKind.REQUEST_READ:
            item -= self.rig.first_block[at]
            cost = unit.reads[item]
        lost = self.now >= self.next_loss
        full = lost or self.chance.random() < self.late
        work = cost.answered_ns if full else self.chance.randint(0, cost.answered_ns)
        ends = max(self.now, self.served) + work
        if lost:
            self.next_loss = self.now + self.between_losses
        if not lost or self.chance.random() < 0.5:
            self.served = ends
        return Sent(kind, at, item, lost, self.now + cost.lost_ns if lost else ends)

    def ended(self, place: int) -> tuple[str, int, int, int] | None:
        """A request comes to its end; a reply to a read is told."""
        sent = self.places.pop(place)
        if sent.lost:
            self.rig.bench.lose(self.now * MS, place)
            return None
        self.rig.bench.answer(self.now * MS, 0, place)
        if sent.kind != RequestKind.REQUEST_READ:
            return None
        return "reply", sent.unit, sent.item, self.rig.bench.poll_ns(sent.unit) // MS

    def run(self, until: int) -> Iterator[tuple[str, int, int, int]]:
        """("reply", unit, block, time since its due mark) and ("scan", 0, 0, 0), in order."""
        burst = scan = 0
        outputs = sum(len(unit.writes) for unit in self.units)
        while self.now < until:
            times = [burst * self.scan.period_ns, scan * self.scan.period_ns + self.scan.lead_ns]
            first = min(self.places, key=lambda place: self.places[place].ends, default=None)
            if first is not None:
                times.append(self.places[first].ends)
            self.now = min(times)
            if first is not None and self.places[first].ends == self.now:
                if (told := self.ended(first)) is not None:
                    yield told
            elif times[0] == self.now:
                self.rig.bench.mark(burst, self.now * MS)
                burst += 1
            else:
                yield "scan", 0, 0, 0
                scan += 1
                for output in range(outputs):
                    if self.chance.random() < 0.5:
                        assert self.rig.bench.commit(output, 0.0)
            self.send()


@st.composite
def costs(draw: st.DrawFn, outstanding: int = 1) -> Cost:
    """Answered in time behind all that may be before it."""
    answered = draw(st.integers(1, 60))
    return Cost(answered, outstanding * answered + draw(st.integers(0, 120)))


@st.composite
def loads(draw: st.DrawFn, serial: bool) -> Unit:
    """A device of a link with one request outstanding."""
    reads = tuple(draw(st.lists(costs(), min_size=1, max_size=4)))
    every = tuple(draw(st.integers(1, 4)) for _ in reads)
    writes = tuple(draw(st.lists(costs(), max_size=1)))
    rest = draw(st.sampled_from((30, 90))) if serial else 0
    return Unit(reads, every, writes, rest, draw(costs()) if rest else NO_SYNC)


@st.composite
def loads_of_several(draw: st.DrawFn, outstanding: int) -> Unit:
    """The one device of a link with several: each of its requests takes the same."""
    cost = draw(costs(outstanding))
    every = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=10)))
    writes = (cost,) * draw(st.integers(0, 2))
    return Unit((cost,) * len(every), every, writes, 0, NO_SYNC)
