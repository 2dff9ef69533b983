"""A device read over and over: each point's value, range and age."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from edgectl.commissioning.reading import Reading
from edgectl.profiles.model import Point, Profile


@dataclass(slots=True)
class Track:
    """One point since the start. Times in ns on the monotonic clock, None: never."""

    point: Point
    reading: Reading | None = None
    low: float = math.nan
    high: float = math.nan
    value: float = math.nan  # the last good one
    good_ns: int | None = None
    changed_ns: int | None = None
    good: int = 0
    bad: int = 0

    def take(self, reading: Reading, now_ns: int) -> None:
        """One more reading."""
        self.reading = reading
        if not reading.good:
            self.bad += 1
            return
        self.good += 1
        if self.good_ns is not None and reading.value != self.value:
            self.changed_ns = now_ns
        self.value, self.good_ns = reading.value, now_ns
        self.low = reading.value if math.isnan(self.low) else min(self.low, reading.value)
        self.high = reading.value if math.isnan(self.high) else max(self.high, reading.value)

    def changed(self, now_ns: int) -> bool:
        """The newest reading changed the value."""
        return self.changed_ns == now_ns


class Watcher:
    """Reads the chosen points of a profile, cycle by cycle, and remembers.

    read   gives the readings of one cycle
    clock  ns, monotonic
    """

    def __init__(
        self,
        profile: Profile,
        names: Collection[str] | None,
        read: Callable[[], Sequence[Reading]],
        clock: Callable[[], int],
    ) -> None:
        self.tracks = {
            each.name: Track(each) for each in profile.points if names is None or each.name in names
        }
        self.read, self.clock = read, clock
        self.cycles = 0
        self.failed = 0  # cycles in which no point was read
        self.now_ns = self.start_ns = clock()
        self.cycle_ns = 0  # what the last cycle took

    def cycle(self) -> None:
        """Read once. A device that does not answer makes the values older, nothing else."""
        begun_ns = self.clock()
        readings = self.read()
        self.now_ns = self.clock()
        self.cycle_ns = self.now_ns - begun_ns
        self.cycles += 1
        self.failed += not any(each.words for each in readings)
        for each in readings:
            self.tracks[each.point.name].take(each, self.now_ns)
