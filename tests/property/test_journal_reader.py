"""No reader ever accepts a torn record, wherever the writer strikes in the middle of a copy.

The writer is run from inside the reader's own loads and copies, so that every
interleaving hypothesis can think of is tried, and none depends on luck with threads.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fake_controller import FakeController, directory, flow_cells
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgectl.errors import SegmentError
from edgectl.image import SegmentReader, private_segment

SLOTS = 8
UTC_NS = 1_700_000_000_000_000_000
strikes = st.lists(st.integers(0, 2 * SLOTS), max_size=40)


class Writer:
    """A controller that runs at every strike, and dies half way into the next record."""

    def __init__(self, plan: list[int]) -> None:
        self.segment = private_segment(directory(), SLOTS)
        self.fake = FakeController(self.segment, UTC_NS)
        self.plan = list(plan)

    def strike(self) -> None:
        """Run as many scans as planned, then fill the slot under way with rubbish."""
        self.fake.run(self.plan.pop(0) if self.plan else 0)
        slot = self.fake.seq % SLOTS
        self.fake.journal[slot : slot + 1].view(np.uint8)[:] = 0xA5


class StruckRing:
    """The ring, copied half a record at a time with a strike before each half."""

    def __init__(self, ring: np.ndarray, strike: Callable[[], None]) -> None:
        self.ring = ring
        self.strike = strike

    def __getitem__(self, part: slice) -> np.ndarray:
        live = self.ring[part]
        copy = np.empty_like(live)
        half = live.dtype.itemsize // 2
        from_bytes = live.view(np.uint8).reshape(len(live), live.dtype.itemsize)
        to_bytes = copy.view(np.uint8).reshape(len(live), live.dtype.itemsize)
        for row in range(len(live)):
            self.strike()
            to_bytes[row, :half] = from_bytes[row, :half]
            self.strike()
            to_bytes[row, half:] = from_bytes[row, half:]
        return copy


class StruckReader(SegmentReader):
    """A reader whose every load and copy lets the writer run first."""

    def arm(self, writer: Writer) -> None:
        self.writer = writer
        self._journal: Any = StruckRing(self._journal, writer.strike)

    @property
    def journal_head(self) -> int:
        self.writer.strike()
        return super().journal_head


@settings(max_examples=150, deadline=None)
@given(plan=strikes, before=st.integers(0, 3 * SLOTS), reads=st.integers(1, 6))
@example(plan=[0, SLOTS - 1, 0, 1], before=SLOTS, reads=2)
@example(plan=[0] + [1] * 30, before=SLOTS - 1, reads=4)
def test_every_record_is_delivered_whole_or_counted_lost(
    plan: list[int], before: int, reads: int
) -> None:
    writer = Writer(plan)
    writer.fake.run(before)
    reader = StruckReader(writer.segment.buffer, None)
    reader.arm(writer)
    cursor = 0
    for _ in range(reads):
        batch = reader.journal(cursor)
        assert batch.first_seq == cursor + batch.lost, "neither delivered nor counted"
        for number, record in enumerate(batch.records, start=batch.first_seq):
            energy_mj, carbon_ug = flow_cells(number, 5, 7)
            assert record["head"]["seq"] == number
            assert np.array_equal(record["flows"]["energy_mj"], energy_mj)
            assert np.array_equal(record["flows"]["carbon_ug"], carbon_ug)
            assert (record["points"]["raw"] == number // 2).all()
        cursor = batch.next_seq
    assert cursor <= writer.fake.seq


class StruckImage:
    """A snapshot area that the writer enters, and maybe never leaves, in mid copy."""

    def __init__(self, image: np.ndarray, writer: Writer, leaves: list[bool]) -> None:
        self.image, self.writer, self.leaves = image, writer, leaves

    def copy(self) -> np.ndarray:
        copy = self.image.copy()
        to_bytes, from_bytes = copy.view(np.uint8), self.image.view(np.uint8)
        half = len(to_bytes) // 2
        self.writer.strike()
        if self.leaves and not self.leaves.pop(0):
            self.writer.segment.head["snapshot_seq"] |= 1
        to_bytes[half:] = from_bytes[half:]
        return copy


@pytest.fixture(autouse=True, scope="module")
def no_pause() -> Iterator[None]:
    """The writer strikes in mid copy, not while the reader waits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgectl.image.reader.SNAPSHOT_PAUSE_S", 0.0)
        yield


@settings(max_examples=100, deadline=None)
@given(plan=strikes, leaves=st.lists(st.booleans(), max_size=3))
def test_a_snapshot_is_whole_or_refused(plan: list[int], leaves: list[bool]) -> None:
    writer = Writer(plan)
    writer.fake.scan()
    reader = SegmentReader(writer.segment.buffer, None)
    reader._snapshot = StruckImage(reader._snapshot, writer, leaves)  # type: ignore[assignment]
    try:
        snapshot = reader.snapshot()
    except SegmentError:
        assert writer.segment.head["snapshot_seq"][0] % 2 == 1, "refused without need"
        return
    number = snapshot["head"]["seq"]
    assert snapshot["record"]["seq"] == number
    assert (snapshot["samples"]["raw"] == number // 2).all()
