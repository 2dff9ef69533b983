"""What batteries hold, from one run of the controller to the next, as START records say it.

What the last record says they held is the truth of the account. What the new run goes on with is
what the controller kept, which may be some seconds older or, where records were lost, younger. The
difference stands in START, integer for integer, so that over a restart

    held at the first scan's begin = held at the last record + adjusted

A battery that is gone, or declared anew, is adjusted to nothing; what is then declared stands
in the second in which it is.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from edgectl.ledger.origins import ORIGINS
from edgectl.ledger.payload import Kind, Payload
from edgectl.ledger.rows import Row
from edgectl.ledger.store import Ledger

READ_BACK = (200, 5_000, 25_000)  # records; names come with every head, hourly at most
NOTHING = (0,) * (2 + len(ORIGINS))

Held = dict[str, tuple[int, ...]]  # by battery: mJ, ug, mJ of each origin


@dataclass(frozen=True, slots=True)
class Before:
    """What the batteries hold by record `seq`, the newest that says so."""

    seq: int
    held: Held


class Stocks:
    """Follows what batteries hold, record by record: NAMES and START name them, SECOND says."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.before: Before | None = None
        self._names: dict[int, tuple[str, ...]] = {}  # of one run

    def take(self, row: Row) -> None:
        """The next record."""
        if row.kind in (Kind.START, Kind.NAMES):
            said = msgpack.unpackb(row.parts[0], raw=False)
            self._names = {row.boot_id: tuple(map(str, said["storages"]))}
            if row.kind is Kind.START and "stocks" in said:
                self.before = Before(row.seq, opened_held(said["stocks"]))
        elif row.kind is Kind.SECOND and row.boot_id in self._names:
            said = msgpack.unpackb(row.parts[0], raw=False)
            self.before = Before(row.seq, held_of(self._names[row.boot_id], said))


def opened_held(openings: Sequence[Mapping[str, Any]]) -> Held:
    """What batteries hold as a run opens."""
    return {str(each["id"]): tuple(each["held"]) for each in openings}


def held_of(names: Sequence[str], second: Mapping[str, Any]) -> Held:
    """What batteries hold at the end of a second; of records of before, no origin is known.

    second   the site's part
    """
    stocks = table(second["stocks"], 2)
    if "stock_origins_mj" in second:
        origins = table(second["stock_origins_mj"], len(ORIGINS))
        rows = [stock + each for stock, each in zip(stocks, origins, strict=True)]
    else:
        rows = [(mj, ug, *NOTHING[3:], mj) for mj, ug in stocks]
    return dict(zip(names, rows, strict=True))


def table(content: bytes, width: int) -> list[tuple[int, ...]]:
    """Rows of integers as a record has them. Raises ValueError where they are not whole."""
    if len(content) % (8 * width):
        raise ValueError(f"{len(content)} bytes are no rows of {width} integers")
    found = struct.unpack(f"<{len(content) // 8}q", content)
    return [found[at : at + width] for at in range(0, len(found), width)]


def stocks_before(ledger: Ledger) -> Before | None:
    """What the newest records say batteries hold; None where they do not. Raises LedgerError."""
    for back in READ_BACK:
        stocks = Stocks()
        for row in ledger.rows(None, max(0, ledger.next_seq - back)):
            stocks.take(row)
        if stocks.before is not None or back >= ledger.next_seq:
            return stocks.before
    return None


def adjusted(openings: Held, before: Held) -> Held:
    """What each battery's books change by between two runs; those that do not are left out."""
    found = {}
    for name in sorted(openings.keys() | before.keys()):
        opened, held = openings.get(name, NOTHING), before.get(name, NOTHING)
        change = tuple(a - b for a, b in zip(opened, held, strict=True))
        if any(change):
            found[name] = change
    return found


def openings_said(directory: Mapping[str, Any], before: Before | None) -> Payload:
    """What START says of it; nothing where the controller does not."""
    openings = directory.get("stocks")
    if openings is None:
        return {}
    changes = adjusted(opened_held(openings), before.held if before else {})
    return {
        "stocks": [dict(each) for each in openings],
        "stocks_before": None if before is None else {"seq": before.seq, "held": before.held},
        "stocks_adjusted": changes,
    }
