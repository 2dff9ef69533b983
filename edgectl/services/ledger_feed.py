"""Journal to ledger, and the ledger's signed heads to whoever keeps them.

A ledger that cannot be written is tried again; meanwhile seconds are booked into the writer's
spool, in memory, bounded and counted, and the controller never knows.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgectl.accounting.factors import FOREVER_NS, Factor
from edgectl.errors import EdgectlError
from edgectl.events import emit
from edgectl.image import SegmentReader
from edgectl.ledger import Ledger, LedgerWriter
from edgectl.ledger.clock import ClockState, clock_state
from edgectl.ledger.factors import FactorsInForce, UsedFactor, last_factors
from edgectl.ledger.heads import TreeHead
from edgectl.ledger.keys import key_id
from edgectl.ledger.payload import SECOND_NS, Appended, Correct, Kind, MeterSaid
from edgectl.ledger.rows import Row
from edgectl.ledger.signing import (
    HEAD_INTERVAL_S,
    KeyRing,
    SigningPolicy,
    Witnesses,
    key_path,
)

RETRY_S = 1.0
BATCHES_PER_PUMP = 5  # of 1000 scans: catching up must not keep MQTT waiting
RUNS_WAITING_MAX = 10  # of the controller, that ended while the ledger could not be written
COUNTERS_MAX = 1_000  # of all tenants, between two bookings
REFERRED_BACK = (200, 25_000)  # records in which a corrected one is looked for
NOT_FOUND = -1
COUNTER_S = 10.0  # a counter is booked no more often

Publish = Callable[[TreeHead], None]


@dataclass(frozen=True, slots=True)
class Count:
    """What came of one counter, last."""

    tenant: str
    name: str
    value: int | float
    unit: str
    source: str
    utc_ns: int


class LedgerFeed:
    """The ledger's side of the services: every scan, exactly once."""

    def __init__(
        self, site: str, directory: Path, log: Any, publish: Publish = lambda _head: None,
        clock: Callable[[], ClockState] = clock_state,
    ) -> None:  # fmt: skip
        """Nothing is opened before the first attach.

        publish   is given each signed head
        """
        self.site = site
        self.directory = directory
        self.failing_since_s: float | None = None
        self._retry_s = 0.0
        self._log = log
        self._publish = publish
        self._clock = clock
        self._policy = SigningPolicy()
        self._ring: KeyRing | None = None
        self._witnesses: Witnesses | None = None
        self._head_due_s = 0.0
        self._ledger: Ledger | None = None
        self._writer: LedgerWriter | None = None
        self._left: list[LedgerWriter] = []  # of runs before, whose seconds still wait
        self._reader: SegmentReader | None = None
        self._counts: dict[tuple[str, str], Count] = {}
        self._counts_due_s = 0.0
        self._factors = FactorsInForce()
        self._strangers: set[str] = set()
        self._full_said = False

    def attach(self, reader: SegmentReader) -> None:
        """Cover this run from the ledger's cursor on, under its site's policy."""
        if self._writer is not None and self._ledger is None and len(self._left) < RUNS_WAITING_MAX:
            self._writer.finish()
            self._left.append(self._writer)
        self._reader = reader
        self._writer = None
        said = reader.directory.get("ledger") or {}
        self._policy = SigningPolicy(
            Path(said["key"]) if said.get("key") else None,
            tuple(said.get("witnesses") or ()),
            float(said.get("interval_s", HEAD_INTERVAL_S)),
        )

    def pump(self) -> bool:
        """Book and write what is there; True once nothing is left to read or to write."""
        return self._guarded(finish=False)

    def finish(self) -> bool:
        """The run is over: write its last second; True once that is done."""
        return self._guarded(finish=True)

    def count(self, count: Count) -> bool:
        """Take what a counter says; False where there is no room or no such tenant."""
        writer, key = self._writer, (count.tenant, count.name)
        known = writer is None or count.tenant in writer.tenants
        if not known and count.tenant not in self._strangers:
            if len(self._strangers) < COUNTERS_MAX:
                self._strangers.add(count.tenant)
            emit(self._log, "ledger.counter_refused", tenant=count.tenant, counter=count.name,
                 reason="the site file declares no such tenant")  # fmt: skip
        if not known or (key not in self._counts and len(self._counts) >= COUNTERS_MAX):
            return False
        self._counts[key] = count
        return True

    def use_factor(self, factor: Factor, ttl_s: float) -> None:
        """This factor goes to the controller now: seconds that are booked with it will name it.

        Raises DataError for one that is no location average; the ledger's own trouble waits.
        """
        if self._writer is None:
            self.pump()  # services that just started: the ledger has it before the controller
        used = self._factors.post(
            used_factor(factor, self._reader), time.monotonic_ns(), int(ttl_s * SECOND_NS)
        )
        if self._writer is not None:
            self._writer.book_factor(used)
            try:
                self._writer.flush()
            except EdgectlError as error:
                self._failed(error, time.monotonic())

    @property
    def booked_seq(self) -> int:
        """Every journal record before it is in a whole second that was booked."""
        return self._writer.cursor.next_seq if self._writer else 0

    @property
    def settled(self) -> bool:
        """All that was booked is written."""
        return self._ledger is not None and self._writer is not None and not self._writer.spool

    def correct(self, appended: Sequence[Appended]) -> bool:
        """Append what the meters' counters say of seconds that are written; True once it is, too.

        It is not written where anything still waits before it: ask again. A correction that was
        written already does no harm, as the later of two for the same window holds.
        """
        if not self.settled:
            return False
        assert self._writer is not None, "what is settled has a writer"
        try:
            corrected = {each.last_seq for each in appended if isinstance(each, Correct)}
            numbers = self._numbers(corrected) if corrected else {}
            for each in appended:
                if isinstance(each, Correct):
                    self._writer.book_correction(each, numbers.get(each.last_seq, NOT_FOUND))
                elif isinstance(each, MeterSaid):
                    self._writer.book_meter(each)
                else:
                    self._writer.book_dark(each)
            self._writer.flush()
        except EdgectlError as error:
            self._failed(error, time.monotonic())
            return False
        return True

    @property
    def key(self) -> Path:
        """The private key's file."""
        return key_path(self._policy, self.site, self.directory)

    def newest(self) -> list[Row]:
        """The newest records in order, as far back as one is looked for; [] while some wait."""
        if not self.settled or self._ledger is None:
            return []
        try:
            return list(self._ledger.rows(None, max(0, self._ledger.next_seq - REFERRED_BACK[-1])))
        except EdgectlError as error:
            self._failed(error, time.monotonic())
            return []

    def _numbers(self, last_seqs: set[int]) -> dict[int, int]:
        """Numbers of this run's SECOND records, by the last journal record of each."""
        assert self._ledger is not None, "only what is open can be read"
        assert self._writer is not None, "a run is written"
        found: dict[int, int] = {}
        for back in REFERRED_BACK:
            first = max(0, self._ledger.next_seq - back)
            for row in self._ledger.rows(Kind.SECOND, first):
                if row.boot_id == self._writer.boot_id and row.last_seq in last_seqs:
                    found[row.last_seq] = row.seq
            if len(found) == len(last_seqs):
                break
        return found

    def close(self) -> None:
        """Sign what was written and close; the second under way stays in the journal."""
        if self._ledger is not None and self._writer is not None:
            try:
                self._book_counts()
                self._writer.flush()
                self._sign("stop")
            except EdgectlError as error:
                emit(self._log, "ledger.write_failed", path=str(self.directory),
                     error=error.problem, behind_scans=self._behind(),
                     spooled_records=len(self._writer.spool))  # fmt: skip
        self._drop()
        self._writer = None
        if self._witnesses is not None:
            self._witnesses.close()
            self._witnesses = None

    @property
    def next_seq(self) -> int:
        """Journal record that is read next; 0 before the first attach."""
        return self._writer.next_seq if self._writer else 0

    def _guarded(self, *, finish: bool) -> bool:
        now_s = time.monotonic()
        try:
            if self._ledger is None and now_s >= self._retry_s:
                self._open()
        except EdgectlError as error:
            self._failed(error, now_s)
        try:
            done = self._write(finish=finish)
        except EdgectlError as error:
            self._failed(error, now_s)
            return False
        if self._ledger is not None and self.failing_since_s is not None:
            self.failing_since_s, self._full_said = None, False
            emit(self._log, "ledger.write_restored", path=str(self.directory),
                 behind_scans=self._behind())  # fmt: skip
        return done and self._ledger is not None

    def _write(self, *, finish: bool) -> bool:
        """Read and book; True once the journal is read to its end."""
        reader = self._reader
        assert reader is not None, "attach comes first"
        if self._writer is None:
            self._writer = LedgerWriter(None, reader, self._clock, self._factors)
            if self._ledger is not None:
                self._join(self._writer, self._ledger)
        writer = self._writer
        for _ in range(BATCHES_PER_PUMP):
            if writer.full:
                self._say_full(writer)
                return False
            batch = reader.journal(writer.next_seq)
            if batch.lost:
                first_ns = batch.records["head"]["utc_ns"][:1].tolist()
                emit(self._log, "ledger.gap_found", boot_id=writer.boot_id,
                     first_seq=writer.next_seq, scans_lost=batch.lost,
                     utc_s=first_ns[0] // 10**9 if first_ns else None)  # fmt: skip
            writer.add(batch)
            if writer.next_seq >= reader.journal_head:
                if finish:
                    writer.finish()
                self._when_due()
                return True
        return False

    def _open(self) -> None:
        """Open the ledger with its key. Raises LedgerError or KeyFileError."""
        ledger = Ledger(self.site, self.directory)
        try:
            path = key_path(self._policy, self.site, self.directory)
            ring = KeyRing(path, make=ledger.last_head is None)
            ring.settle(ledger)
        except EdgectlError:
            ledger.close()
            raise
        if ring.made:
            emit(self._log, "ledger.key_made", path=str(ring.path),
                 key_id=key_id(ring.signer.public))  # fmt: skip
        for fault in ledger.altered[:10]:
            emit(self._log, "ledger.altered", path=str(self.directory), fault=fault)
        if not self._factors.recalled:
            self._factors.recall(last_factors(ledger), time.monotonic_ns())
        self._ledger, self._ring = ledger, ring
        if self._witnesses is None and self._policy.witnesses:
            self._witnesses = Witnesses(self._policy.witnesses, self._say_witness)
        emit(self._log, "ledger.opened", path=str(self.directory), records=ledger.count(),
             next_seq=ledger.next_seq, key_id=key_id(ring.signer.public))  # fmt: skip
        while self._left:
            self._left[0].join(ledger)
            self._left[0].finish()
            del self._left[0]
        if self._writer is not None:
            self._join(self._writer, ledger)

    def _join(self, writer: LedgerWriter, ledger: Ledger) -> None:
        """Write what waited, and vouch for it: after a crash, for what was found too."""
        writer.join(ledger)
        writer.book_names()
        writer.flush()
        self._sign("start")

    def _when_due(self) -> None:
        now_s = time.monotonic()
        if self._writer is None or self._ledger is None:
            return
        if self._counts and now_s >= self._counts_due_s:
            self._counts_due_s = now_s + COUNTER_S
            self._book_counts()
            self._writer.flush()
        if now_s >= self._head_due_s:
            self._writer.book_names()
            self._writer.flush()
            self._sign("interval")

    def _book_counts(self) -> None:
        assert self._writer is not None, "counts are booked by a writer"
        for each in self._counts.values():
            fields = {"name": each.name, "value": each.value, "unit": each.unit,
                      "source": each.source, "utc_ns": each.utc_ns}  # fmt: skip
            if not self._writer.book_counter(each.tenant, fields):
                emit(self._log, "ledger.counter_refused", tenant=each.tenant, counter=each.name,
                     reason="the site file declares no such tenant")  # fmt: skip
        self._counts.clear()

    def _sign(self, reason: str) -> None:
        assert self._ring is not None, "the ledger is opened with its key"
        assert self._ledger is not None, "only an open ledger is signed"
        self._head_due_s = time.monotonic() + self._policy.interval_s
        for head in self._ring.sign(self._ledger, reason, self._clock()):
            emit(self._log, "ledger.head_signed", number=head.number, records=head.size,
                 root=head.root.hex(), reason=head.reason, key_id=key_id(head.key))  # fmt: skip
            self._publish(head)
            if self._witnesses is not None:
                self._witnesses.send(head)

    def _failed(self, error: EdgectlError, now_s: float) -> None:
        self._drop()
        if self.failing_since_s is None:
            self.failing_since_s = now_s
            spooled = len(self._writer.spool) if self._writer else 0
            emit(self._log, "ledger.write_failed", path=str(self.directory),
                 error=error.problem, behind_scans=self._behind(),
                 spooled_records=spooled)  # fmt: skip
        self._retry_s = now_s + RETRY_S

    def _drop(self) -> None:
        """Start over from what is on disk: the failed file may have been moved or repaired."""
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = None
        if self._writer is not None:
            self._writer.leave()

    def _say_full(self, writer: LedgerWriter) -> None:
        if not self._full_said:
            self._full_said = True
            emit(self._log, "ledger.spool_filled", path=str(self.directory),
                 spooled_records=len(writer.spool))  # fmt: skip

    def _say_witness(self, witness: str, error: str | None) -> None:
        if error is None:
            emit(self._log, "ledger.witness_restored", witness=witness)
        else:
            emit(self._log, "ledger.witness_failed", witness=witness, error=error)

    def _behind(self) -> int:
        return self._reader.journal_head - self.next_seq if self._reader else 0


def used_factor(factor: Factor, reader: SegmentReader | None) -> UsedFactor:
    """A factor as the ledger has it, with the uncertainty that the run's site declares."""
    u_ratio = reader.directory.get("factor_u_ratio") if reader is not None else None
    ends = factor.valid_to_ns < FOREVER_NS
    return UsedFactor(
        factor.source, factor.kind.value, factor.scope.value, factor.zone, factor.version,
        factor.sha256, factor.mg_per_kwh, factor.valid_from_ns,
        factor.valid_to_ns if ends else None, factor.published_ns, factor.estimated, u_ratio,
    )  # fmt: skip
