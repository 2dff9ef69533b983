"""One run of the controller as its meters' counters see it: the journal's seconds, by margin."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from edgectl._kernel.quality import Quality
from edgectl.accounting.bounds import point_u_ratio
from edgectl.accounting.counters import register_counter, steps_of
from edgectl.accounting.following import Followed, MarginBook, Second, Shown
from edgectl.accounting.margins import Change, Margin, Stand
from edgectl.accounting.registers import Counter
from edgectl.errors import DataError, SegmentError
from edgectl.image import JournalBatch, SegmentReader
from edgectl.image.points import PointDecoder
from edgectl.ledger.payload import SECOND_NS, MeterSaid, split_of
from edgectl.ledger.writer import STEP_NS

NS_PER_US = 1_000
RING_SCANS = 400  # how old a reading of a counter may be, in scans
STATE_VERSION = 2
SETTLE_S = 5  # after the first readings of a run, before its dark time is looked at

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a margin's points stand: in the record, and in the directory's table."""

    powers: tuple[int, ...]
    counters: tuple[tuple[int, int], ...]


class Run:
    """One run of the controller, as its counters see it."""

    def __init__(self, reader: SegmentReader) -> None:
        directory = reader.directory
        self.reader = reader
        self.decoder = PointDecoder(directory)
        self.margins = margins_of(directory)
        self.books: list[MarginBook | None] = [None] * len(self.margins)
        self.next_seq = reader.oldest_seq
        self.hold_ns = int(directory.get("meter_hold_ns") or 0)
        self.last_utc_ns: int | None = None
        self.pending: Array = np.zeros(0, reader.layout.record)
        self._kept: list[Any] = []  # of books that are not made yet
        self._points = directory["points"]
        journaled = [each["name"] for each in self._points if each["journaled"]]
        place = {name: at for at, name in enumerate(journaled)}
        self.places = [
            _Place(
                tuple(place[tag] for tag in each.powers),
                tuple((place[tag], self.decoder.index[tag]) for tag in each.counters),
            )
            for each in self.margins
        ]
        self.good_ns = [[0] * len(each.powers) for each in self.margins]
        self.times_ns: Array = np.zeros(0, np.int64)
        self.sums_mj: Array = np.zeros((0, len(self.margins)), np.int64)
        self.power_max_w = {
            each["power"]: max(1, int(each["power_max_w"]))
            for each in directory.get("meters") or ()
        }
        self.unfollowed: set[str] = set()
        self.lit: set[int] = set()  # margins whose dark time before the run is settled
        self.changes: dict[str, Change] = {}  # meters changed since the run before, by counter
        self.unexplained: dict[int, Stand] = {}  # before dark times that no counter explains
        self.stood: int | None = None  # hour whose stands are in the ledger

    def make_books(self) -> list[tuple[str, str]]:
        """Books of margins whose counters' steps are known now; what never will be, and why."""
        refused = []
        if any(each is None for each in self.books):
            try:
                self.decoder.learn(self.reader.snapshot()["samples"])
            except SegmentError:
                return []  # there is none yet, or it is being written: at the next call
        for at, margin in enumerate(self.margins):
            if self.books[at] is not None or margin.counters[0] in self.unfollowed:
                continue
            counters = []
            for tag, power in zip(margin.counters, margin.powers, strict=True):
                found = self._counter(tag, self.power_max_w[power])
                if isinstance(found, str):
                    refused.append((tag, found))
                    self.unfollowed.add(margin.counters[0])
                elif found is not None:
                    counters.append(found)
            if len(counters) == len(margin.counters):
                book = self.books[at] = MarginBook(margin, counters)
                if self._kept and self._kept[at] is not None:
                    book.resume(self._kept[at])
        return refused

    def _counter(self, tag: str, power_max_w: int) -> Counter | str | None:
        """The counter; why there is none, or None where its scale factor is not read yet."""
        point = self._points[self.decoder.index[tag]]
        exponent = 0
        if point["factor"]:
            if point["factor"] not in self.decoder.exponents:
                return None
            exponent = self.decoder.exponents[point["factor"]]
        if point["offset"]:
            return f"a counter with an offset of {point['offset']:g} J does not begin at 0"
        try:
            return register_counter(
                tag, str(point["type"]), point["scale"], power_max_w,
                exponent=exponent, modulus=int(point.get("modulus") or 0),
            )  # fmt: skip
        except DataError as error:
            return error.problem

    def unlit(self) -> dict[int, MarginBook]:
        """Books with a first reading whose dark time is due to be looked at."""
        if self.last_utc_ns is None:
            return {}
        settled_s = self.last_utc_ns // SECOND_NS - SETTLE_S
        return {
            at: book for at, book in enumerate(self.books)
            if book is not None and at not in self.lit
            and book.first is not None and book.first.utc_s <= settled_s
        }  # fmt: skip

    def stands(self) -> MeterSaid | None:
        """Where all counters stand, that can be vouched for."""
        found = [stand.plain() for book in self.books if book and (stand := book.stand())]
        return MeterSaid("standing", {"stands": found}) if found else None

    def forget(self) -> None:
        """Seconds are missing, or UTC was set."""
        self.times_ns, self.sums_mj = self.times_ns[:0], self.sums_mj[:0]
        for book in self.books:
            if book is not None:
                book.forget()

    def state(self) -> dict[str, Any]:
        """Where it stands, in plain types."""
        kept = self._kept or [None] * len(self.books)
        return {
            "version": STATE_VERSION,
            "boot_id": self.reader.boot_id,
            "meters": [list(each.counters) for each in self.margins],
            "next_seq": self.next_seq - len(self.pending),
            "last_utc_ns": self.last_utc_ns,
            "good_ns": self.good_ns,
            "lit": sorted(self.lit),
            "stood": self.stood,
            "unexplained": [[at, each.plain()] for at, each in self.unexplained.items()],
            "exponents": self.decoder.exponents,
            "books": [
                book.state() if book is not None else old
                for book, old in zip(self.books, kept, strict=True)
            ],
        }

    def resume(self, said: Mapping[str, Any]) -> None:
        """Go on from what state() said of this run."""
        self.next_seq, self.last_utc_ns = int(said["next_seq"]), said["last_utc_ns"]
        self.good_ns, self.lit, self.stood = said["good_ns"], set(said["lit"]), said["stood"]
        self.decoder.exponents.update(said["exponents"])
        self.unexplained = {at: Stand.of(each) for at, each in said["unexplained"]}
        self._kept = said["books"]

    def seconds(self, batch: JournalBatch, *, whole: bool) -> Iterator[tuple[int, Followed]]:
        """Take records; of each second over, each margin and what came of it.

        whole   nothing of the last second is still to come
        """
        records = np.concatenate((self.pending, batch.records))
        self.pending = records[:0]
        self.next_seq = batch.next_seq
        if not len(records):
            return
        utc_s = records["head"]["utc_ns"] // SECOND_NS
        cuts = [0, *(np.flatnonzero(utc_s[1:] != utc_s[:-1]) + 1).tolist(), len(records)]
        if not whole:
            self.pending = records[cuts[-2] :]
            del cuts[-1]
        for low, high in pairwise(cuts):
            yield from self._second(records[low:high])

    def _second(self, records: Array) -> Iterator[tuple[int, Followed]]:
        head = records["head"]
        utc_ns = int(head["utc_ns"][0])
        if self.last_utc_ns is not None:
            step_ns = utc_ns - self.last_utc_ns - int(head["dt_ns"][0])
            if abs(step_ns) > STEP_NS:
                self.forget()
        self.last_utc_ns = int(head["utc_ns"][-1])
        booked = self._sums(records)
        for at, margin in enumerate(self.margins):
            estimated, substituted = self._grades(at, records)
            book = self.books[at]
            if book is None:
                continue
            second = Second(
                utc_ns // SECOND_NS, int(head["seq"][-1]), booked[at], estimated, substituted
            )
            yield at, book.second(second, self._shown(at, margin, book, records[-1]))

    def _sums(self, records: Array) -> list[int]:
        """What the second booked of each margin; the sums by scan are remembered."""
        flows = records["flows"]["energy_mj"]
        columns = [
            flows[:, each.index, :].sum(axis=1)
            if each.source
            else flows[:, :, each.index].sum(axis=1)
            for each in self.margins
        ]
        by_scan = np.stack(columns, axis=1) if columns else np.zeros((len(records), 0), np.int64)
        base = self.sums_mj[-1] if len(self.sums_mj) else np.zeros(len(self.margins), np.int64)
        self.sums_mj = np.concatenate((self.sums_mj, base + by_scan.cumsum(axis=0)))[-RING_SCANS:]
        self.times_ns = np.concatenate((self.times_ns, records["head"]["time_ns"]))[-RING_SCANS:]
        return [int(each) for each in by_scan.sum(axis=0)]

    def _grades(self, at: int, records: Array) -> tuple[int, int]:
        """Scans estimated and substituted, by the kernel's own rule."""
        estimated = substituted = 0
        times_ns = records["head"]["time_ns"]
        for nth, place in enumerate(self.places[at].powers):
            bad = records["points"]["quality"][:, place] == Quality.QUALITY_BAD
            if not bad.any():
                self.good_ns[at][nth] = int(times_ns[-1])
                continue
            good_ns = self.good_ns[at][nth]
            for time_ns, is_bad in zip(times_ns.tolist(), bad.tolist(), strict=True):
                if not is_bad:
                    good_ns = time_ns
                elif good_ns and time_ns - good_ns <= self.hold_ns:
                    estimated += 1
                else:
                    substituted += 1
            self.good_ns[at][nth] = good_ns
        return estimated, substituted

    def _shown(self, at: int, margin: Margin, book: MarginBook, record: Any) -> list[Shown] | None:
        """What the margin's counters showed last; None where one of them cannot be read."""
        found: list[Shown] = []
        end_ns = int(record["head"]["time_ns"])
        for (place, index), reader in zip(self.places[at].counters, book.readers, strict=True):
            point = record["points"][place]
            value_j = self.decoder.decode(index, int(point["raw"]))
            if point["quality"] != Quality.QUALITY_GOOD or value_j is None:
                return None
            read_ns = end_ns - int(point["age_us"]) * NS_PER_US
            moved_mj = self._since(at, read_ns)
            try:
                steps = steps_of(reader.counter, value_j)
            except DataError:
                return None
            if moved_mj is None or steps >= reader.counter.modulus:
                return None
            # Meters of one margin are booked together: each is taken as an even part of it.
            found.append(Shown(steps, read_ns, moved_mj // len(margin.counters)))
        assert len(found) == len(margin.counters), "one for each counter"
        return found

    def _since(self, at: int, read_ns: int) -> int | None:
        """Booked since then; None where that is longer ago than is remembered."""
        after = int(np.searchsorted(self.times_ns, read_ns))
        if after >= len(self.times_ns):
            return 0
        if after == 0:
            return None
        before_ns, after_ns = (int(self.times_ns[each]) for each in (after - 1, after))
        last, upper, lower = (int(self.sums_mj[each, at]) for each in (-1, after, after - 1))
        part = (upper - lower) * (after_ns - read_ns) // (after_ns - before_ns)
        return last - upper + part


def margins_of(directory: Mapping[str, Any]) -> list[Margin]:
    """What is metered by a device that counts, with the counters that stand for it.

    directory   of the segment

    Import counts what flows to a load, into a battery, and from the grid; export what a
    battery or PV gives and what the grid takes. PV blocks are one source: all must count.
    """
    journaled = {each["name"] for each in directory["points"] if each["journaled"]}
    parts = split_of(directory).sink_parts
    sources, sinks = list(directory["sources"]), list(directory["sinks"])
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for each in directory.get("meters") or ():
        groups.setdefault(each["of"], []).append(each)
    found = []
    for name, meters in groups.items():
        for way, source in (("import", name == "grid"), ("export", name != "grid")):
            tags = tuple(f"{each['power'].partition('.')[0]}.energy_{way}" for each in meters)
            row = "export" if name == "grid" and not source else name
            if row not in (sources if source else sinks) or not journaled.issuperset(tags):
                continue
            index = (sources if source else sinks).index(row)
            found.append(
                Margin(
                    row, source, index, 0 if source else int(parts[index]), tags,
                    tuple(each["power"] for each in meters),
                    max(point_u_ratio(each["accuracy_class"], each["ct_class"]) for each in meters),
                )
            )  # fmt: skip
    return found
