"""The meters' own counters, from the journal, against what the ledger booked by power.

Behind the ledger, never before it: a second is looked at once the ledger has booked it. What a
counter puts right is appended to the ledger through its one writer, and stays here until it is
written. Where this stands is kept in a file beside the ledger, and only when the ledger has all
that came before: whoever kills the services finds the same windows again. A window that was
written twice is the same window, and whoever reads takes it once.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgectl.accounting.following import Closed, Followed
from edgectl.accounting.margins import Margin
from edgectl.accounting.registers import Event
from edgectl.events import emit
from edgectl.image import SegmentReader
from edgectl.image.reader import JOURNAL_BATCH
from edgectl.ledger.payload import SECOND_NS, Appended, Correct, Dark
from edgectl.ledger.swap import swaps_path
from edgectl.services.ledger_feed import LedgerFeed
from edgectl.services.meter_swaps import SwapDesk
from edgectl.services.register_dark import lit_of
from edgectl.services.register_run import STATE_VERSION, Run

WAITING_MAX = 5_000  # corrections that the ledger cannot take yet
BATCHES_PER_PUMP = 5
STAND_S = 3_600  # the counters' stands go into the ledger so often, and when a run ends
STAND_LATER_S = 60  # after the hour: its last windows are closed then


class RegisterFeed:
    """The counters' side of the services."""

    def __init__(self, site: str, directory: Path, log: Any, ledger: LedgerFeed) -> None:
        """Nothing is opened before the first attach.

        ledger   what it has booked is followed; corrections go through it
        """
        self.path = directory / f"{site}.registers.json"
        self.disagreeing: dict[str, set[str]] = {}  # margins by device, in their newest window
        self._log = log
        self._ledger = ledger
        self._desk = SwapDesk(swaps_path(site, directory), log)
        self._run: Run | None = None
        self._waiting: list[Appended] = []
        self._failed = False
        self._saved_seq = -1
        self._said: set[tuple[str, Event]] = set()  # since a window of the counter closed

    def attach(self, reader: SegmentReader) -> None:
        """Follow this run, from where it was left."""
        run = Run(reader)
        self.disagreeing, self._saved_seq = {}, -1
        said = self._kept()
        known = [list(each.counters) for each in run.margins]
        if said and said.get("boot_id") == reader.boot_id and said.get("meters") == known:
            try:
                run.resume(said)
                self._make_books(run)
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                emit(self._log, "meter.state_failed", path=str(self.path), error=repr(error))
                run = Run(reader)
        self._run = run

    def pump(self) -> None:
        """Look at every second that the ledger has booked since the last call."""
        run = self._run
        if run is None or not run.margins:
            return
        self._make_books(run)
        for _ in range(BATCHES_PER_PUMP):
            left = self._ledger.booked_seq - run.next_seq
            if left <= 0 or len(self._waiting) >= WAITING_MAX:
                break
            batch = run.reader.journal(run.next_seq, min(JOURNAL_BATCH, left))
            if batch.lost:
                run.pending = run.pending[:0]
                run.forget()
                run.last_utc_ns = None
            whole = batch.next_seq >= self._ledger.booked_seq
            for at, followed in run.seconds(batch, whole=whole):
                self._say(run, at, followed)
        self._take_swaps(run)
        self._light(run)
        self._stand(run)
        if self._write() and run.next_seq != self._saved_seq:
            self._saved_seq = run.next_seq
            self._save(run)

    def _make_books(self, run: Run) -> None:
        for tag, reason in run.make_books():
            emit(self._log, "meter.not_followed", meter=tag, reason=reason)

    def finish(self) -> None:
        """The run is over and booked to its end: what the counters still say of it."""
        run = self._run
        if run is None:
            return
        for _ in range(run.reader.layout.journal_slots // JOURNAL_BATCH + 1):
            self.pump()
        for at, book in enumerate(run.books):
            if book is not None:
                self._say(run, at, Followed((), book.finish()))
        self._keep_stands(run)
        if self._write():
            self._save(run)
        self._run = None

    def close(self) -> None:
        """The services end: where the counters stand is kept in the ledger, too."""
        if self._run is not None:
            self._keep_stands(self._run)
            if self._write():
                self._save(self._run)

    def _take_swaps(self, run: Run) -> None:
        """Statements that meters were changed; each is answered once it is in the ledger."""
        if self._waiting or not self._ledger.settled:
            return
        for path in self._desk.waiting():
            taken = self._desk.take(path, run, self._ledger.key, self._ledger.newest())
            if taken is None:
                continue
            self._waiting.append(taken.said)
            self._say(run, taken.at, Followed((), (taken.closed,) if taken.closed else ()))
            if not self._write():
                return  # it is judged again once the ledger can be written
            content = taken.said.content
            emit(self._log, "meter.changed", meter=content["meter"], by=content["by"],
                 last_old_kwh=content["last_old_kwh"], first_new_kwh=content["first_new_kwh"],
                 outcome=taken.outcome)  # fmt: skip
            self._save(run)
            self._desk.answer(path, outcome=taken.outcome)

    def _light(self, run: Run) -> None:
        """What went through while no controller ran."""
        unlit = run.unlit()
        if not unlit or self._waiting:
            return
        rows = self._ledger.newest()
        if not rows:
            return
        before, found = lit_of(rows, run.reader.boot_id, unlit, run.changes)
        run.lit |= set(unlit)
        if before is not None and any(each.closed for each in found):
            self._waiting.append(Dark((before.last_s + 1) * SECOND_NS, before.first_s * SECOND_NS))
        for each in found:
            if each.closed is None:
                run.unexplained[each.at] = each.old
            broken = tuple((tag, each.event) for tag in run.margins[each.at].counters)
            self._say(run, each.at, Followed((), (each.closed,)) if each.closed
                      else Followed(broken))  # fmt: skip

    def _stand(self, run: Run) -> None:
        """Once an hour, a minute after it."""
        if run.last_utc_ns is None or run.unlit():
            return
        hour = (run.last_utc_ns // SECOND_NS - STAND_LATER_S) // STAND_S
        if hour != run.stood and not self._waiting:
            run.stood = hour
            self._keep_stands(run)

    def _keep_stands(self, run: Run) -> None:
        said = run.stands()
        if said is not None:
            self._waiting.append(said)

    def _say(self, run: Run, at: int, followed: Followed) -> None:
        margin = run.margins[at]
        for tag, event in followed.events:
            if event is Event.SWAPPED:  # beyond what its power can explain, time and again
                self._mark(margin, wrong=True)
            if event is not Event.ROLLED_OVER and (tag, event) not in self._said:
                self._said.add((tag, event))
                emit(self._log, "meter.register_broken", meter=tag, found=event.value)
        for closed in followed.closed:
            self._waiting.append(
                Correct(closed.last_seq, closed.reason, closed.figures(run.reader.boot_id),
                        margin.part)
            )  # fmt: skip
            self._judge(margin, closed)

    def _judge(self, margin: Margin, closed: Closed) -> None:
        self._mark(margin, wrong=closed.problem is not None)
        self._said -= {(tag, event) for tag in margin.counters for event in Event}
        if closed.problem:
            emit(self._log, "meter.disagreed", meter="+".join(margin.counters), of=margin.name,
                 first_s=closed.first_s, last_s=closed.last_s, booked_mj=closed.booked_mj,
                 register_mj=closed.energy_mj, u_mj=closed.u_residual_mj,
                 problem=closed.problem)  # fmt: skip
        if closed.gaps:
            emit(self._log, "meter.recovered", meter="+".join(margin.counters), of=margin.name,
                 first_s=closed.gaps[0][0], last_s=closed.gaps[-1][1],
                 booked_mj=closed.booked_mj, register_mj=closed.energy_mj)  # fmt: skip

    def _mark(self, margin: Margin, *, wrong: bool) -> None:
        kind = f"{margin.name} {'source' if margin.source else 'sink'}"
        for device in {tag.partition(".")[0] for tag in margin.counters}:
            own = self.disagreeing.setdefault(device, set())
            if wrong:
                own.add(kind)
            else:
                own.discard(kind)

    @property
    def devices(self) -> tuple[str, ...]:
        """Whose power and counter disagree, in the newest window."""
        return tuple(sorted(each for each, margins in self.disagreeing.items() if margins))

    def _write(self) -> bool:
        """Hand over what waits; True once the ledger has all of it and of what came before."""
        if self._waiting and self._ledger.correct(self._waiting):
            self._waiting = []
        return not self._waiting and self._ledger.settled

    def _kept(self) -> Mapping[str, Any] | None:
        try:
            said = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        usable = isinstance(said, dict) and said.get("version") == STATE_VERSION
        return said if usable else None

    def _save(self, run: Run) -> None:
        """Keep where this stands; a file that cannot be written costs the open windows alone."""
        fresh = self.path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(run.state()), encoding="utf-8")
            os.replace(fresh, self.path)
        except OSError as error:
            if not self._failed:
                emit(self._log, "meter.state_failed", path=str(self.path), error=str(error))
            self._failed = True
            return
        self._failed = False
