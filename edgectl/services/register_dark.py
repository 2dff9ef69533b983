"""What the ledger's newest records say of the time before this run, as corrections to append."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgectl.accounting.dark import (
    Before,
    Numbered,
    advance_of,
    before_of,
    booked_of,
    recovered_of,
)
from edgectl.accounting.following import Closed, MarginBook
from edgectl.accounting.margins import Change, Stand
from edgectl.accounting.registers import Event

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Lit:
    """What is known now of one margin's dark time: a correction, or why there is none."""

    at: int
    old: Stand
    closed: Closed | None
    event: Event = Event.ADVANCED


def lit_of(
    rows: Sequence[Numbered], boot_id: int, books: Mapping[int, MarginBook],
    changes: Mapping[str, Change],
) -> tuple[Before | None, list[Lit]]:  # fmt: skip
    """Look at the margins whose first reading of this run is known.

    rows      the ledger's newest, in order, up to those readings
    books     by place of the margin
    changes   of meters, that were declared

    Nothing comes of a margin that the records before do not vouch for.
    """
    before = before_of(rows, boot_id)
    if before is None:
        return None, []
    found = []
    for at, book in books.items():
        new, key = book.first, (book.margin.name, book.margin.source)
        old = before.stands.get(key)
        if new is None or old is None or key in before.recovered or not old.fits(new):
            continue
        counters = [each.counter for each in book.readers]
        register_mj, event = advance_of(old, new, counters, changes)
        if event is not Event.ADVANCED:
            found.append(Lit(at, old, None, event))
            continue
        booked = booked_of(rows, before, old, new, boot_id)
        last_seq = max(
            (row.last_seq for row in rows if row.kind.name == "SECOND"
             and row.boot_id == boot_id and row.utc_s <= new.utc_s), default=-1,
        )  # fmt: skip
        quanta = [each.counter.step_mj * each.counter.quantum(steps)
                  for each, steps in zip(book.readers, new.steps, strict=True)]  # fmt: skip
        found.append(
            Lit(at, old, recovered_of(book.margin, before, old, new, register_mj, booked, last_seq,
                                 quanta))
        )  # fmt: skip
    return before, found
