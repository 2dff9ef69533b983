"""How much of a period stands on measurement, and what is known of its clock and factors."""

from fractions import Fraction
from typing import Any

from edgectl.accounting.gaps import VERIFIABLE_MAX
from edgectl.ledger.payload import SECOND_NS
from edgectl.reports.books import Books
from edgectl.reports.words import iso

GRADES = ("measured", "recovered", "estimated", "substituted", "missing")
SAID = {
    "measured": "a fresh reading of the meter",
    "recovered": "not measured; its counter gave it afterwards, in an appended correction",
    "estimated": "the last good value, held for at most the site's hold time",
    "substituted": "a conservative stand-in",
    "missing": "no reading in the ledger",
}


def coverage(books: Books, tenant: str | None = None) -> dict[str, Any]:
    """Readings by grade, and the part of each; a period of which nothing is known is missing.

    tenant   counts the readings of that tenant's own meters
    """
    period_ns = books.names.period_ns if books.names else SECOND_NS
    scans = books.count("scans")
    graded = {name: books.count(name) for name in GRADES if name != "missing"}
    if tenant is not None:
        samples, good = books.samples.get(tenant, [0, 0])
        moved = min(samples - good, _moved(books, tenant))
        graded = {
            "measured": good, "recovered": moved, "estimated": samples - good - moved,
            "substituted": 0,
        }  # fmt: skip
    readings = sum(graded.values())
    meters = Fraction(readings, scans) if scans else Fraction(1)
    # A second is whole once it has any record; scans lost within it are counted by themselves.
    dark_s = max(0, books.to_s - books.from_s - books.seconds)
    dark = dark_s * SECOND_NS // period_ns
    missing = max(books.count("missing") + books.count("gap_scans"), dark)
    graded["missing"] = int(missing * meters)
    whole = sum(graded.values()) or 1
    bad = Fraction(graded["substituted"] + graded["missing"], whole)
    return {
        "readings": {name: graded[name] for name in GRADES},
        "ratio": {name: float(Fraction(graded[name], whole)) for name in GRADES},
        "said": SAID,
        "seconds_without_record": dark_s,
        "substituted_or_missing_ratio": float(bad),
        "verifiable": readings > 0 and bad <= VERIFIABLE_MAX,
        "verifiable_max_ratio": float(VERIFIABLE_MAX),
    }


def _moved(books: Books, tenant: str) -> int:
    """Readings of a tenant's loads that were not measured, and are recovered."""
    owned = next(
        (each["loads"] for each in (books.names.tenants if books.names else ())
         if str(each["id"]) == tenant), ()
    )  # fmt: skip
    return sum(
        scans for hour in books.hours.values() for (name, _), scans in hour.change.moved.items()
        if name in owned
    )  # fmt: skip


def quality(books: Books, tenant: str | None = None) -> dict[str, Any]:
    """Clock, factors, gaps, corrections, as the ledger's own records say.

    tenant   is told of that tenant's corrections alone
    """
    clocks: dict[str, int] = {}
    for hour in books.hours.values():
        for state, seconds in hour.clocks.items():
            clocks[state] = clocks.get(state, 0) + seconds
    lows = [each.used_min_mg_per_kwh for each in books.hours.values()]
    highs = [each.used_max_mg_per_kwh for each in books.hours.values()]
    scans = books.count("scans")
    return {
        "clock_seconds": clocks,
        "clock_records": [_told(each) for each in books.clocks],
        "gaps": [_told(each) for each in books.gaps],
        "corrections": [
            _told(each) for each in books.corrections if tenant in (None, each["tenant"])
        ],
        "meters_changed": [
            _told(each) for each in books.changes if tenant in (None, each["tenant"])
        ],
        "restarts": max(0, len(books.runs) - 1),
        "used_min_mg_per_kwh": min((each for each in lows if each is not None), default=None),
        "used_max_mg_per_kwh": max((each for each in highs if each is not None), default=None),
        "default_factor_ratio": books.count("carbon_default_scans") / scans if scans else 0.0,
    }


def _told(record: dict[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in record.items() if not isinstance(value, bytes)}
    return said | {"utc": iso(record["utc_s"])}
