"""What a link asks next: writes go first, and keep no read from its turn."""

import math

import pytest
from link_rig import PERIOD_NS, BenchUnit, LinkRig

from edgectl._kernel.fieldbus import RequestKind

READ, WRITE = RequestKind.REQUEST_READ, RequestKind.REQUEST_WRITE


def rig(outputs: int, blocks: int = 2, outstanding: int = 1) -> LinkRig:
    unit = BenchUnit([4] * blocks, [(1, 0)] * blocks, outputs, PERIOD_NS)
    made = LinkRig([unit], serial=False, outstanding=outstanding)
    made.connect(0)
    return made


def served(made: LinkRig, now_ns: int) -> RequestKind | None:
    """Ask once and answer it."""
    asked = made.bench.ask(now_ns)
    if asked is None:
        return None
    made.bench.answer(now_ns)
    return asked[0]


def test_a_write_goes_before_the_reads_that_wait() -> None:
    made = rig(outputs=1)
    made.bench.mark(0, 0)
    assert made.bench.commit(0, 1.0)
    assert [served(made, 1) for _ in range(4)] == [WRITE, READ, READ, None]


def test_writes_that_never_end_leave_every_read_its_turn() -> None:
    made = rig(outputs=2)
    kinds = []
    for step in range(30):
        made.bench.mark(step, step)
        for output in range(2):
            assert made.bench.commit(output, float(step))
        kinds.append(served(made, step))
    assert kinds == [WRITE, WRITE, READ] * 10


def test_where_no_read_waits_writes_go_on() -> None:
    made = rig(outputs=1)
    for step in range(5):
        assert made.bench.commit(0, float(step))
        assert served(made, step) == WRITE


def test_the_last_wish_is_the_one_that_is_written() -> None:
    made = rig(outputs=1)
    for value in (1.0, 2.0, 3.0):
        assert made.bench.commit(0, value)
    assert [served(made, 1), served(made, 2)] == [WRITE, None]


def test_a_wish_that_nothing_could_replace_is_not_written_later() -> None:
    """What waited through a silence is not what the scan wants now, only older."""
    made = rig(outputs=1)
    reader = made.segment.reader()
    assert made.bench.commit(0, 1.0)
    assert not made.bench.commit(0, math.nan)
    assert served(made, 1) is None
    assert made.bench.commit(0, 2.0)
    assert served(made, 2) == WRITE
    made.kernel.step(PERIOD_NS, 0, 0, 0)
    link = reader.snapshot()["links"][0]
    assert (int(link["writes"]), int(link["write_failures"])) == (1, 1)


def test_a_wish_that_was_written_already_cannot_be_withdrawn() -> None:
    made = rig(outputs=1)
    assert made.bench.commit(0, 1.0)
    assert served(made, 1) == WRITE
    assert not made.bench.commit(0, math.nan)
    assert served(made, 2) is None


def test_a_write_waits_for_the_reads_under_way_and_goes_before_all_others() -> None:
    made = rig(outputs=1, blocks=6, outstanding=3)
    made.bench.mark(0, 0)
    assert [made.bench.ask(1, place)[0] for place in range(3)] == [READ] * 3
    assert made.bench.commit(0, 1.0)
    for place in (2, 0):
        made.bench.answer(2, 0, place)
        assert made.bench.ask(2, 0 if place == 0 else 2) is None, "it waits, and nothing goes"
    made.bench.lose(3, 1)
    assert made.bench.ask(3)[0] == WRITE
    assert made.bench.ask(3, 1) is None, "nothing goes beside it"
    made.bench.answer(4)
    assert [made.bench.ask(4, place)[0] for place in range(3)] == [READ] * 3


def test_the_bench_fills_its_places_as_the_link_does() -> None:
    made = rig(outputs=0, blocks=6, outstanding=3)
    made.bench.mark(0, 0)
    with pytest.raises(ValueError, match="place 1 is asked for while 0 is free"):
        made.bench.ask(1, 1)
    made.bench.ask(1)
    with pytest.raises(ValueError, match="a request is outstanding in place 0"):
        made.bench.ask(1)
    with pytest.raises(ValueError, match="place 3; the link has 3"):
        made.bench.ask(1, 3)
    with pytest.raises(ValueError, match="nothing is outstanding in place 2"):
        made.bench.answer(1, 0, 2)
