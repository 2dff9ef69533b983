"""A serial unit that answers in order, however late: what is believed answers what was asked."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_rig import PERIOD_NS, SYNC_COUNTS, BenchUnit, LinkRig

from edgectl._kernel.fieldbus import RequestKind

MS = 1_000_000
TIMEOUT_NS = 40 * MS
LINE_NS = 2 * MS  # a reply needs so long at least, and the pause after it
LENGTH = 8  # of every block: a reply to any of them would do for all

Delay = Callable[[Random], int]
JITTER: dict[str, Delay] = {  # ms; under a second: a unit that refuses a sync is trusted after it
    "always_just_too_late": lambda chance: chance.randint(41, 60),
    "always_too_late": lambda chance: chance.randint(90, 140),
    "around_the_timeout": lambda chance: chance.randint(30, 50),
    "mostly_in_time": lambda chance: chance.choice([5, 5, 5, 5, 60, 160, 300]),
    "now_and_then_stuck": lambda chance: chance.choice([3, 3, 3, 30, 170, 200, 700, 900]),
    "a_period_late": lambda chance: chance.choice([100, 101, 138, 200, 240, 300]),
    "anything": lambda chance: chance.choice([3, 3, 3, chance.randint(40, 990)]),
}
LONG: dict[str, Delay] = {  # under four seconds: the last of the rests while out of step
    "seconds": lambda chance: chance.choice([3, 3, 3, chance.randint(40, 3900)]),
    "a_hold_late": lambda chance: chance.choice([3, 45, 160, 1100, 1160, 2100]),
}


@dataclass
class Line:
    """A line with units that keep what they were asked and answer it in order."""

    rig: LinkRig
    delay: Delay
    chance: Random
    refuses_syncs: bool
    now: int = 0
    sent: int = 0
    deadline: int | None = None  # of the outstanding request
    asked: tuple[RequestKind, int, int, int, int] | None = None
    coming: list[deque[tuple[int, int, tuple[RequestKind, int, int, int, int]]]] = field(
        default_factory=list
    )
    believed: int = 0
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.coming = [deque() for _ in self.rig.units]

    def send(self) -> None:
        """Send what the kernel asks, if nothing is outstanding."""
        if self.deadline is not None or (asked := self.rig.bench.ask(self.now)) is None:
            return
        self.asked, self.deadline, self.sent = asked, self.now + TIMEOUT_NS, self.sent + 1
        queue = self.coming[asked[1]]
        due = self.now + max(LINE_NS, self.delay(self.chance) * MS)
        if self.chance.random() > 0.03:  # else it is lost for good
            queue.append((max(due, queue[-1][0] if queue else 0), self.sent, asked))

    def arrived(self, unit: int) -> None:
        """Take a unit's next reply; only its length and its unit can be seen of it."""
        _, number, reply = self.coming[unit].popleft()
        if self.deadline is None or self.asked is None or self.asked[1] != unit:
            return
        self.deadline = None
        if reply[0] == RequestKind.REQUEST_SYNC and self.refuses_syncs:
            self.rig.bench.refuse(2, self.now)
        elif reply[4] == self.asked[4]:
            if self.asked[0] == RequestKind.REQUEST_READ:
                self.believed += 1
                if number != self.sent:
                    self.wrong.append(f"{self.now / MS:g} ms: {reply} believed as {self.asked}")
            self.rig.bench.answer(self.now)
        else:
            self.rig.bench.lose(self.now)

    def run(self, until: int) -> None:
        """From event to event."""
        burst = 0
        while self.now < until:
            due = [queue[0][0] for queue in self.coming if queue]
            times = [burst * PERIOD_NS, *due, *([self.deadline] if self.deadline else [])]
            self.now = min(times)
            ready = [at for at, each in enumerate(self.coming) if each and each[0][0] <= self.now]
            if ready:
                self.arrived(ready[0])
            elif self.deadline == self.now:
                self.deadline = None
                self.rig.bench.lose(self.now)
            else:
                self.rig.bench.mark(burst, self.now)
                burst += 1
            self.send()


def line(
    units: int,
    blocks: int,
    delay: Delay,
    seed: int,
    *,
    refuses: bool = False,
    syncs: tuple[int, int, int] = SYNC_COUNTS,
) -> Line:
    unit = BenchUnit([LENGTH] * blocks, [(1, 0)] * blocks, 0, TIMEOUT_NS)
    rig = LinkRig([unit] * units, serial=True, sync_counts=syncs)
    rig.connect(0)
    return Line(rig, delay, Random(seed), refuses)


@pytest.mark.parametrize("jitter", JITTER)
@settings(max_examples=25, deadline=None)
@given(
    units=st.integers(1, 3),
    blocks=st.integers(1, 4),
    refuses=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_no_late_reply_is_ever_taken_for_another(
    jitter: str, units: int, blocks: int, refuses: bool, seed: int
) -> None:
    """Two blocks or more: another's registers. One block: its own of one request before."""
    found = line(units, blocks, JITTER[jitter], seed, refuses=refuses)
    found.run(30_000 * MS)
    assert not found.wrong


@pytest.mark.parametrize("jitter", LONG)
@settings(max_examples=100, deadline=None)
@given(units=st.integers(1, 2), blocks=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_nor_is_one_that_comes_seconds_late(
    jitter: str, units: int, blocks: int, seed: int
) -> None:
    found = line(units, blocks, LONG[jitter], seed)
    found.run(60_000 * MS)
    assert not found.wrong


def test_one_length_alone_would_take_a_lost_sync_for_the_next() -> None:
    """What the turns of three lengths are for; and that this rig sees a wrong reply."""
    wrong = 0
    for seed in range(100):
        found = line(1, 3, LONG["a_hold_late"], seed, syncs=(1, 1, 1))
        found.run(120_000 * MS)
        wrong += len(found.wrong)
    assert wrong > 0


def test_a_unit_in_time_is_read_at_every_scan_and_comes_back_after_a_loss() -> None:
    found = line(2, 2, lambda _: 5, 1)
    found.run(60_000 * MS)
    assert found.believed > 0.8 * 4 * 600


def test_a_unit_that_refuses_to_be_found_in_step_is_still_read() -> None:
    found = line(1, 2, lambda _: 5, 1, refuses=True)
    found.run(60_000 * MS)
    assert found.believed > 0.3 * 2 * 600
