"""Numbers of the document that have no interval, and why; all others have one beside them.

A number is named by the keys that lead to it, joined by dots, places in a list left out; a name
stands for all that lies under it.
"""

from typing import Any

REASONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Times, record numbers and counts",
        "counted, so exact",
        (
            "step_s", "period", "ledger", "coverage.readings", "coverage.seconds_without_record",
            "quality.clock_seconds", "quality.restarts", "hours.seconds", "hours.scans",
            "hours.missing_scans", "hours.measured", "hours.estimated", "hours.substituted",
            "hours.default_factor_scans", "factors.used.seconds", "factors.used.scans",
            "factors.used.age_min_s", "factors.used.age_max_s", "factors.used.valid_from_ns",
            "factors.used.valid_to_ns", "factors.used.published_ns", "factors.default_seconds",
            "factors.default_scans", "factors.unknown_seconds", "factors.unknown_scans",
            "factors.unrecorded_seconds",
        ),
    ),
    (
        "Gaps, steps of the clock, corrections, exchanges of meters",
        "records, told as they were written",
        ("quality.gaps", "quality.clock_records", "quality.corrections", "quality.meters_changed"),
    ),
    (
        "Parts held against totals, corrections, parts of all readings",
        "arithmetic on the ledger's own integers, so exact",
        ("check", "corrected", "coverage.ratio", "coverage.substituted_or_missing_ratio",
         "coverage.verifiable_max_ratio", "quality.default_factor_ratio"),
    ),
    (
        "Emission factors",
        "as their source published or the operator declared them; their standard uncertainty is "
        "told beside them, or 20 % where nobody states one, and is in every figure made with them",
        ("factors.used.mg_per_kwh", "factors.used.u_ratio", "hours.used_min_mg_per_kwh",
         "hours.used_max_mg_per_kwh", "quality.used_min_mg_per_kwh",
         "quality.used_max_mg_per_kwh", "scope2.market.residual_mg_per_kwh", "marginal.mg_per_kwh"),
    ),
    (
        "What batteries hold, lost, and were trued up by",
        "states of the books and no reading; true-ups at full and empty say how far they were off",
        ("stocks", "balance.conversion_mj"),
    ),
    (
        "Each path and each contract within an hour, points of the plots",
        "details of sums that have one: the hour's, the path's, the contract's",
        ("hours.paths", "market_hours.by_contract_mj", "series"),
    ),
    (
        "What matching over the whole period would have hidden",
        "a comparison of two ways to reckon, both with the same readings",
        ("scope2.market.hidden_by_annual_matching_mj",),
    ),
    (
        "Figures as booked",
        "what stood in the ledger before its corrections: the interval is the corrected figure's",
        ("figures.as_booked",),
    ),
    (
        "Indicators that are declared or absent",
        "told in the row itself",
        ("indicators",),
    ),
)  # fmt: skip


def without_interval() -> list[dict[str, Any]]:
    """Of what, why, and where in the document."""
    return [{"of": of, "why": why, "where": list(where)} for of, why, where in REASONS]


def reason_of(name: str) -> str | None:
    """Why a number of this name has none; None where it must have one."""
    for _, why, where in REASONS:
        if any(name == each or name.startswith(f"{each}.") for each in where):
            return why
    return None
