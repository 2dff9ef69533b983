"""A link with several requests on their way: what goes beside what, and that each has its turn."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_rig import BenchUnit, LinkRig

from edgectl._kernel.fieldbus import RequestKind

MS = 1_000_000
READ, WRITE = RequestKind.REQUEST_READ, RequestKind.REQUEST_WRITE
BUSY = 6  # exception: the block is left alone for a second
BUSY_NS = 1000 * MS
STEPS = 400


@dataclass
class Player:
    """Marks, commits, asks and ends what is outstanding by chance, and holds the link to its rules.

    places   what is outstanding: kind and block or output
    due      blocks that are marked and not asked for since, and reads of others meanwhile
    turn     the block read last
    waiting  outputs whose commit is not written; ended_since: requests since one was free to go
    """

    rig: LinkRig
    outstanding: int
    chance: Random
    now: int = 0
    period: int = 0
    word: int = 0
    writes_in_row: int = 0
    ended_since: int = 0
    turn: int = 0
    places: dict[int, tuple[RequestKind, int]] = field(default_factory=dict)
    due: dict[int, int] = field(default_factory=dict)
    held_until: dict[int, int] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    answered: dict[int, int] = field(default_factory=dict)
    most_outstanding: int = 0

    def mark(self) -> None:
        """A burst: every block whose turn it is is due."""
        self.rig.bench.mark(self.period, self.now)
        for block, (every, phase) in enumerate(self.rig.units[0].every):
            if self.period % every == phase:
                self.due.setdefault(block, 0)
        self.period += 1

    def commit(self) -> None:
        """The scan wants an output written; a wish that waits is replaced."""
        if outputs := self.rig.units[0].outputs:
            output = self.chance.randrange(outputs)
            assert self.rig.bench.commit(output, self.chance.random())
            if not self.waiting:
                self.ended_since = 0
            self.waiting.add(output)

    def ask(self) -> None:
        """Fill the link, as it fills itself: each request in the first place that is free."""
        while len(self.places) < self.outstanding:
            place = min(set(range(self.outstanding)) - self.places.keys())
            may_write = self.writes_in_row < self.rig.units[0].outputs and bool(self.waiting)
            alone = not self.places
            asked = self.rig.bench.ask(self.now, place)
            if asked is None:
                self.nothing_goes(may_write)
                return
            kind, _, item = asked[:3]
            if kind == WRITE:
                assert alone, "a write is sent with nothing outstanding"
                self.written(item)
            else:
                assert kind == READ
                assert not may_write, "no read is sent while a write waits that may go"
                self.read(item)
            self.places[place] = kind, item
            self.most_outstanding = max(self.most_outstanding, len(self.places))

    def nothing_goes(self, may_write: bool) -> None:
        """The link has room and asks nothing: is there a rule for it?"""
        if not self.places:
            assert not self.waiting, "an idle link writes what waits"
        if self.writes_out() or may_write:
            return
        self.passed_over(range(len(self.rig.units[0].counts)))

    def passed_over(self, blocks: Iterable[int]) -> None:
        """These had their turn and were not asked for: each is out already, or left alone."""
        for block in self.due.keys() & set(blocks) - self.reads_out():
            assert self.held_until.get(block, 0) > self.now, "what is due goes where there is room"
            del self.due[block]  # until it is marked again

    def written(self, output: int) -> None:
        self.waiting.remove(output)
        if self.writes_in_row >= self.rig.units[0].outputs:
            self.passed_over(range(len(self.rig.units[0].counts)))  # no read wanted its turn
        self.writes_in_row += 1
        assert self.ended_since <= self.outstanding, "it waits for what was outstanding and no more"
        self.ended_since = 0

    def read(self, block: int) -> None:
        assert block in self.due, "what is not due is not read"
        assert block not in self.reads_out(), "one block is never outstanding twice"
        assert not self.writes_out(), "nothing is sent beside a write"
        assert self.held_until.get(block, 0) <= self.now
        del self.due[block]
        if self.writes_in_row >= self.rig.units[0].outputs:
            self.ended_since = 0  # until now it was a read's turn
        self.writes_in_row = 0
        blocks = len(self.rig.units[0].counts)
        between = (block - self.turn - 1) % blocks
        self.passed_over((self.turn + 1 + step) % blocks for step in range(between))
        self.turn = block
        for other in self.due.keys() - self.reads_out():
            if self.held_until.get(other, 0) <= self.now:
                self.due[other] += 1
                assert self.due[other] < blocks, "each other block goes before it once at most"

    def reads_out(self) -> set[int]:
        return {item for kind, item in self.places.values() if kind == READ}

    def writes_out(self) -> bool:
        return any(kind == WRITE for kind, _ in self.places.values())

    def end(self) -> None:
        """One that is outstanding, any of them, is answered, refused or lost."""
        if not self.places:
            return
        place = self.chance.choice(sorted(self.places))
        kind, item = self.places.pop(place)
        self.ended_since += 1
        fate = self.chance.random()
        if fate < 0.75:
            self.word += 1
            self.rig.bench.answer(self.now, self.word, place)
            if kind == READ:
                self.answered[item] = self.word
        elif fate < 0.95:
            self.rig.bench.lose(self.now, place)
        else:
            self.rig.bench.refuse(BUSY, self.now, place)
            if kind == READ:
                self.held_until[item] = self.now + BUSY_NS

    def scan(self) -> None:
        """The scan looks: every block has the words of its own last answer."""
        self.rig.kernel.step(self.now, 0, self.period, 0)
        for block, word in self.answered.items():
            assert self.rig.kernel.sample(block)[0] == word, f"block {block}"

    def play(self, steps: int) -> None:
        for _ in range(steps):
            self.now += self.chance.choice([0, 0, 1, 5, 30]) * MS
            step = self.chance.choices(
                [self.mark, self.commit, self.end, self.scan], [2, 1, 6, 1]
            )  # fmt: skip
            step[0]()
            if self.chance.random() < 0.8:
                self.ask()


def player(blocks: list[tuple[int, int]], outputs: int, outstanding: int, seed: int) -> Player:
    unit = BenchUnit([4] * len(blocks), blocks, outputs, 100 * MS)
    rig = LinkRig([unit], serial=False, outstanding=outstanding)
    rig.connect(0)
    return Player(rig, outstanding, Random(seed))


slow_classes = st.integers(1, 4).flatmap(
    lambda every: st.tuples(st.just(every), st.integers(0, every - 1))
)


@settings(max_examples=150, deadline=None)
@given(
    blocks=st.lists(slow_classes, min_size=1, max_size=10),
    outputs=st.integers(0, 3),
    outstanding=st.integers(1, 8),
    seed=st.integers(0, 2**32),
)
def test_what_goes_beside_what_and_every_turn(
    blocks: list[tuple[int, int]], outputs: int, outstanding: int, seed: int
) -> None:
    player(blocks, outputs, outstanding, seed).play(STEPS)


@pytest.mark.parametrize("outstanding", range(1, 9))
def test_a_link_fills_all_its_places(outstanding: int) -> None:
    """What is shown above is not shown of a link that never has several on their way."""
    found = player([(1, 0)] * 10, 0, outstanding, 1)
    found.play(STEPS)
    assert found.most_outstanding == outstanding


def test_writes_at_every_chance_leave_reads_their_turn_and_the_other_way_round() -> None:
    found = player([(1, 0)] * 6, 2, 4, 1)
    kinds = []
    for _ in range(60):
        found.mark()
        for _ in range(4):
            found.commit()
        found.ask()
        kinds += [kind for kind, _ in found.places.values()]
        while found.places:
            found.end()
    assert kinds == [WRITE, WRITE, READ] * 20
