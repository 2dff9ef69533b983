"""What could be misstated, each against 5 % of the total: the verifier's own first question."""

from fractions import Fraction
from typing import Any

from edgectl.accounting.cbam import MATERIALITY, material, tonnes
from edgectl.accounting.uncertainty import COVERAGE_K
from edgectl.reports.books import Books
from edgectl.reports.declared import Declared
from edgectl.reports.figures import Balance
from edgectl.reports.metering import Bounds, by_name
from edgectl.site_model import Site

FACTOR = "The grid factor itself, at k = 2"


def materiality(
    books: Books, site: Site | None, declared: Declared, balance: Balance, missing_ratio: float
) -> dict[str, Any]:
    """Possible misstatements in t CO2e, and whether each is material.

    books   as corrected
    """
    energy, carbon = by_name(books.energy(), 0), by_name(books.carbon(), 0)
    total_t = tonnes(balance.used_ug)
    bounds = Bounds(books, site, declared)
    factor_u = bounds.factor_u_ratio or 0.0
    bounds.factor_u_ratio = 0.0
    metered = bounds.carbon({n: (mj, carbon.get(n, 0)) for n, mj in energy.items()}, 0)
    default_scans, scans = books.count("carbon_default_scans"), books.count("scans")
    added_ug = sum(hour.change.carbon_ug.total() for hour in books.hours.values())
    rows = [
        ("Arithmetic: paths less the ledger's sums and corrections",
         tonnes(abs(sum(carbon.values()) - books.control_ug - added_ug))),
        ("Metering, at k = 2", _t(COVERAGE_K * metered.u)),
        ("Energy no meter saw, taken at the default factor", tonnes(carbon.get("unmetered", 0))),
        ("Readings substituted or missing", total_t * Fraction(missing_ratio)),
        ("Seconds on the zone's default factor",
         total_t * Fraction(default_scans, scans) if scans else Fraction(0)),
        (FACTOR, total_t * Fraction(COVERAGE_K * factor_u)),
    ]  # fmt: skip
    return {
        "total_t": float(total_t),
        "threshold_ratio": float(MATERIALITY),
        "rows": [
            {"what": what, "t": float(amount), "ratio": float(amount / total_t) if total_t else 0.0,
             "material": None if what == FACTOR else material(amount, total_t)}
            for what, amount in rows
        ],
        "note": "Implementing Regulation (EU) 2025/2546 Art. 5. The factor is a choice that is "
        "declared, and not a reading: its uncertainty is told and is no misstatement.",
    }  # fmt: skip


def _t(ug: float) -> Fraction:
    return Fraction(ug) / 10**12
