"""Which part of a ledger a report reads: its period, and where in the ledger that begins."""

from edgectl.errors import ReportError
from edgectl.ledger import Kind, Ledger, Row
from edgectl.reports.words import iso

CLOCK_MARGIN_S = 3_600  # a clock is not set back by more without a trace in the packs


def period_of(ledger: Ledger, from_s: int | None, to_s: int | None) -> tuple[int, int]:
    """The period asked for, or all that the ledger has. Raises ReportError."""
    if from_s is not None and to_s is not None and from_s >= to_s:
        raise ReportError(
            where=f"report of {ledger.site}",
            problem=f"the period begins at {iso(from_s)} and ends at {iso(to_s)}",
            because="A period that ends before it begins holds nothing.",
            remedy="Give --from before --to; the end is not included.",
        )
    seconds = [row.utc_s for row in _edges(ledger)]
    if not seconds:
        raise ReportError(
            where=str(ledger.directory),
            problem=f"the ledger of {ledger.site} has no second in it",
            because="There is nothing to report on.",
            remedy="Let the services run for some seconds, then ask again.",
        )
    found = (min(seconds) if from_s is None else from_s, max(seconds) + 1 if to_s is None else to_s)
    if found[0] >= found[1]:
        raise ReportError(
            where=f"report of {ledger.site}",
            problem=f"the ledger covers {iso(min(seconds))} to {iso(max(seconds))} only",
            because="There is nothing to report on.",
            remedy="Ask for a time that the ledger covers; times are UTC.",
        )
    return found


def _edges(ledger: Ledger) -> list[Row]:
    """Seconds of the first and the last packs, enough to know where the ledger ends."""
    index = ledger.index()
    found: list[Row] = []
    for packs in (index, list(reversed(index))):
        for first, count, _ in packs:
            rows = list(ledger.rows(Kind.SECOND, first, first + count))
            found += rows
            if rows:
                break
    return found


def first_record(ledger: Ledger, begin_s: int) -> int:
    """The record to read from, so that all seconds from begin_s on come with their names.

    Names stand at the beginning of a run and before every signed head: packs are looked through
    backwards for some before the first second of the hour before begin_s, for a clock may have
    been set back. Where packs show that it was, all is read.
    """
    index = ledger.index()
    times_s = [each[2] for each in index]
    if times_s != sorted(times_s):
        return 0
    margin_s = begin_s - CLOCK_MARGIN_S
    for first, count, utc_s in reversed(index):
        if utc_s > margin_s:
            continue
        named = None
        for row in ledger.rows(None, first, first + count):
            if row.kind is Kind.SECOND and row.utc_s >= margin_s:
                break
            if row.kind in (Kind.START, Kind.NAMES):
                named = row.seq
        if named is not None:
            return named
    return 0
