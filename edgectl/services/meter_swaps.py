"""Signed statements that a meter was changed, from their folder into the ledger and the books.

A statement lies as a file in `<site>.swaps` beside the ledger; its answer is put next to it under
the same name, and then the statement is taken away. Nothing of it is believed before its signature
is one of the ledger's own key or of a technician that the site file names.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgectl.accounting.counters import kwh_of, steps_of_kwh
from edgectl.accounting.following import Closed, MarginBook
from edgectl.accounting.margins import Change
from edgectl.accounting.registers import COVERAGE_K, NS_PER_S, PLAUSIBLE, Counter
from edgectl.errors import DataError, EdgectlError
from edgectl.events import emit
from edgectl.ledger.keys import key_id, load_public, public_path
from edgectl.ledger.payload import MeterSaid
from edgectl.ledger.rows import Row
from edgectl.ledger.swap import SignedSwap, Statement, parse_swap
from edgectl.services.register_run import Run

LOOK_S = 0.5
FILES_MAX = 100  # statements that are looked at in one go
FUTURE_S = 5  # by which two clocks may differ
FRESH_S = 3  # a meter that was read so lately answers


@dataclass(frozen=True, slots=True)
class Taken:
    """A statement that holds: its record, and what it puts right at once."""

    said: MeterSaid
    at: int
    closed: Closed | None
    outcome: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the counter that changed.

    steps, time_s   the last of the old meter, in UTC
    now, now_s      the first of the new one, if it was read; None while it is silent
    """

    counter: Counter
    steps: int
    time_s: int
    now: int | None
    now_s: int
    u_ratio: float


class SwapDesk:
    """Takes statements and answers them."""

    def __init__(self, folder: Path, log: Any, clock_s: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._log = log
        self._clock_s = clock_s
        self._looked_s = 0.0

    def waiting(self) -> list[Path]:
        """Statements that wait; the folder is looked at twice a second."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return []
        self._looked_s = now_s
        with suppress(OSError):
            return sorted(self.folder.glob("*.swap"))[:FILES_MAX]
        return []

    def take(self, path: Path, run: Run, key: Path, rows: Sequence[Row]) -> Taken | None:
        """Judge one statement; None once it is refused and answered.

        key    the ledger's own private key's file
        rows   the ledger's newest
        """
        try:
            signed = parse_swap(path.read_bytes())
            said = signed.said()
            self._hold_signature(signed, run, key)
            self._hold_time(said, run)
            at, tag = _counter_of(run, said.meter)
            _hold_once(signed, said, tag, rows)
            return self._judged(signed, said, run, at, tag)
        except OSError as error:
            self._refuse(path, f"it cannot be read: {error.strerror}")
        except EdgectlError as error:
            self._refuse(path, error.problem)
        return None

    def answer(self, path: Path, *, refused: str = "", outcome: str = "") -> None:
        """Say what became of it, and take it away."""
        fresh = path.with_suffix(".new")
        with suppress(OSError):
            fresh.write_text(json.dumps({"refused": refused, "outcome": outcome}), encoding="utf-8")
            os.replace(fresh, path.with_suffix(".answer"))
            path.unlink(missing_ok=True)

    def _refuse(self, path: Path, reason: str) -> None:
        emit(self._log, "meter.change_refused", path=str(path), reason=reason)
        self.answer(path, refused=reason)

    def _hold_signature(self, signed: SignedSwap, run: Run, key: Path) -> None:
        if not signed.signed:
            raise _no("its signature is not that of its key over this text: somebody changed it, "
                      "or nobody signed it")  # fmt: skip
        told = run.reader.directory.get("ledger") or {}
        files = [public_path(key), *map(Path, told.get("technicians") or ())]
        known = set()
        for each in files:
            with suppress(EdgectlError):  # a key that is not there signs nothing
                known.add(load_public(each).hex())
        if signed.key not in known:
            raise _no(f"key {key_id(bytes.fromhex(signed.key))} is neither the ledger's own nor "
                      "one of [ledger] technician_keys in the site file")  # fmt: skip

    def _hold_time(self, said: Statement, run: Run) -> None:
        site, now_s = str(run.reader.directory["site"]), self._clock_s()
        if said.site != site:
            raise _no(f"it is of site {said.site}; here is {site}")
        late = max(said.at_utc_s, said.said_utc_s) - now_s
        if late > FUTURE_S:
            raise _no(f"it is dated {late:.0f} s in the future, {_utc(said.at_utc_s)}")

    def _judged(
        self, signed: SignedSwap, said: Statement, run: Run, at: int, tag: str
    ) -> Taken:  # fmt: skip
        book = run.books[at]
        assert book is not None, "only a counter that is followed is found"
        now_s = int((run.last_utc_ns or 0) // NS_PER_S)
        known = known_of(run, book, tag, now_s)
        change = change_of(said, known)
        outcome, closed = "it is in the record; the seconds of the change stand as booked", None
        if (
            known.now is not None
            and book.broken is None
            and run.unexplained.pop(at, None) is not None
        ):
            run.changes[tag] = change
            run.lit.discard(at)
            outcome = "what both meters counted while no controller ran is recovered"
        else:
            waits = known.now is None
            closed = book.change(tag, change, waits=waits)
            if closed is not None:
                outcome = "what both meters counted around the change is appended as a correction"
            elif waits:
                outcome = "the new meter is followed from its first reading on"
        content = {
            "meter": tag, "at_utc_s": said.at_utc_s, "by": said.by, "reason": said.reason,
            "last_old_kwh": said.last_old, "first_new_kwh": said.first_new,
            "force": said.force, "statement": signed.statement, "signature": signed.signature,
            "key": signed.key, "last_steps": change.last_steps, "first_steps": change.first_steps,
            "outcome": outcome,
        }  # fmt: skip
        return Taken(MeterSaid("swap", content, book.margin.part), at, closed, outcome)


def known_of(run: Run, book: MarginBook, tag: str, now_s: int) -> _Known:
    """What the book knows of a counter at its change.

    A meter that is silent now is the one that is changed; else it was at its newest break.
    Raises DataError where it went on counting.
    """
    place = book.margin.counters.index(tag)
    reader, broken = book.readers[place], book.broken
    steps = reader.steps or 0
    u_ratio = book.margin.u_ratio
    end_ns = int(run.times_ns[-1]) if len(run.times_ns) else reader.time_ns
    silent_s = (end_ns - reader.time_ns) / NS_PER_S
    if silent_s >= FRESH_S:
        return _Known(reader.counter, steps, now_s - round(silent_s), None, now_s, u_ratio)
    if broken is not None and broken.stood is not None and broken.after is not None:
        return _Known(reader.counter, broken.stood.steps[place], broken.stood.utc_s,
                      broken.after.steps[place], broken.after.utc_s, u_ratio)  # fmt: skip
    old = run.unexplained.get(run.books.index(book))
    if old is not None and book.first is not None:
        return _Known(reader.counter, old.steps[place], old.utc_s, book.first.steps[place],
                      book.first.utc_s, u_ratio)  # fmt: skip
    raise _no(
        f"{tag} counted on without a break, to {kwh_of(reader.counter, steps):.2f} kWh "
        f"{silent_s:.0f} s ago: it is another meter that was changed, or this one was not yet"
    )


def change_of(said: Statement, known: _Known) -> Change:
    """The statement in steps. Raises DataError where the counter contradicts it, unless forced."""
    counter = known.counter
    last, first = (steps_of_kwh(counter, each) for each in said.readings_kwh)
    room = round(_room(counter, said.at_utc_s - known.time_s))
    slack = counter.quantum(known.steps) + round(COVERAGE_K * known.u_ratio * room)
    low, high = known.steps - slack, known.steps + room + slack
    rolled = last + counter.modulus if last < low else last
    if not said.force and not low <= rolled <= high:
        raise _no(
            f"the old meter's counter last showed {kwh_of(counter, known.steps):.2f} kWh, at "
            f"{_utc(known.time_s)}; at {_utc(said.at_utc_s)} it can have shown "
            f"{kwh_of(counter, max(low, 0)):.2f} to {kwh_of(counter, high):.2f} kWh, "
            f"and {said.last_old} kWh was stated"
        )
    if known.now is not None and not said.force:
        most = round(_room(counter, known.now_s - known.time_s)) + counter.quantum(known.now)
        if not 0 <= known.now - first <= most:
            raise _no(
                f"the new meter's counter showed {kwh_of(counter, known.now):.2f} kWh when it was "
                f"first read, at {_utc(known.now_s)}; it cannot have begun at "
                f"{said.first_new} kWh"
            )
    if known.steps - slack <= last < known.steps:
        last = known.steps  # within the meter's class: it counted nothing more
    if not (0 <= last < counter.modulus and 0 <= first < counter.modulus):
        raise _no(f"a counter of {counter.meter} never shows so much")
    return Change(last, first)


def _room(counter: Counter, elapsed_s: int) -> float:
    return float(PLAUSIBLE * counter.power_max_w * max(elapsed_s, 0) * 1_000 / counter.step_mj)


def _counter_of(run: Run, meter: str) -> tuple[int, str]:
    """Place of the margin and tag of the counter. Raises DataError where there is not one."""
    followed = [(at, tag) for at, book in enumerate(run.books) if book is not None
                for tag in book.margin.counters]  # fmt: skip
    found = [each for each in followed if meter in (each[1], each[1].partition(".")[0])]
    if len(found) == 1:
        return found[0]
    if found:
        tags = ", ".join(sorted(tag for _, tag in found))
        raise _no(f"{meter} has several counters; state each: {tags}")
    tags = ", ".join(sorted({tag.partition(".")[0] for _, tag in followed}))
    raise _no(f"no counter of {meter} is followed; there are {tags}")


def _hold_once(signed: SignedSwap, said: Statement, tag: str, rows: Sequence[Row]) -> None:
    oldest_s = next((row.utc_s for row in rows if row.kind.name == "SECOND"), said.at_utc_s)
    if said.at_utc_s < oldest_s:
        raise _no(f"the change was at {_utc(said.at_utc_s)}; what was booked before "
                  f"{_utc(oldest_s)} is no longer put right")  # fmt: skip
    for row in rows:
        if row.kind.name != "METER" or row.public.get("what") != "swap":
            continue
        content = row.content()
        same = (content["meter"], content["last_old_kwh"], content["first_new_kwh"])
        if content["statement"] == signed.statement or same == (
            tag, said.last_old, said.first_new
        ):  # fmt: skip
            raise _no(f"it was submitted already: record {row.seq}, by {content['by']}")


def _utc(utc_s: int) -> str:
    return f"{datetime.fromtimestamp(utc_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _no(problem: str) -> DataError:
    return DataError(
        where="statement of a meter's change",
        problem=problem,
        because="A wrong reading would book energy that never flowed.",
        remedy="Read both meters again; where it holds all the same, give --force and why.",
    )
