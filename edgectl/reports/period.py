"""Which part of a ledger a report reads: its period, and where in the ledger that begins."""

from edgectl.errors import ReportError
from edgectl.ledger import Kind, Ledger, Row
from edgectl.reports.words import iso


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
    """The record to read from, so that all seconds from begin_s on have their names before them.

    Names stand at the beginning of a run and before every signed head: packs are looked through
    backwards from begin_s for the last that has some.
    """
    before = [each for each in ledger.index() if each[2] <= begin_s]
    for first, count, _ in reversed(before):
        named = [
            row.seq for row in ledger.rows(None, first, first + count)
            if row.kind in (Kind.START, Kind.NAMES) and row.utc_s < begin_s
        ]  # fmt: skip
        if named:
            return named[-1]
    return 0
