"""The report as plain data. Every form, for people and for programs, shows this and no more.

With a tenant it says what concerns that tenant's loads, and of the site only ratios, from
which another tenant's figures cannot be worked out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgectl.accounting.scope2 import Lot
from edgectl.errors import ReportError
from edgectl.ledger.verify import Result
from edgectl.reports.books import Books, Way
from edgectl.reports.clean import CleanHour, Renewable, cfe, clean_hours, ref, renewables
from edgectl.reports.compute import overhead_ug, sci
from edgectl.reports.corrected import applied, balanced, corrected
from edgectl.reports.declared import MJ_PER_KWH, Declared
from edgectl.reports.figures import (
    UG_PER_KG,
    Headline,
    Measured,
    headline,
    headlines,
    measured,
)
from edgectl.reports.indicators import indicators, unknown_keys
from edgectl.reports.metering import Paths, by_name, over, traced_ug
from edgectl.reports.methods import methods
from edgectl.reports.quality import coverage, quality
from edgectl.reports.rows import (
    balance_row,
    hour_rows,
    origin_rows,
    path_rows,
    series_rows,
    sinks_of,
    stock_rows,
)
from edgectl.reports.scopes import Market, marginal, market_hours, match, scope2
from edgectl.reports.unbounded import without_interval
from edgectl.reports.words import iso
from edgectl.site_model import Site

FORMAT = "edgectl.report/1"
NO_CBAM = (
    "Data-centre services are not CBAM goods today. Where this report follows the methods of "
    "Regulation (EU) 2023/956 it is CBAM-style evidence, and claims no compliance with it."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is made from.

    booked   as the ledger has it; the report applies its corrections
    """

    booked: Books
    verdict: Result
    made_s: int
    version: str
    site: Site | None = None
    declared: Declared = field(default_factory=Declared)
    declared_sha256: str | None = None
    lots: tuple[Lot, ...] = ()
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class _Views:
    """What all parts of a report are made of, worked out once."""

    known: Measured
    market: Market
    renewable: Mapping[str, Renewable | None]
    clean: list[CleanHour]
    hourly: Mapping[int, Paths]
    paths: Paths


def _views(asked: Asked, books: Books) -> _Views:
    known = measured(books, asked.site, asked.declared)
    market = match(known.bounds, asked.lots)
    hourly = known.bounds.paths()
    return _Views(known, market, renewables(known, market), clean_hours(known, market), hourly,
                  over(hourly.values()))  # fmt: skip


def make_document(asked: Asked) -> dict[str, Any]:
    """The whole report. Raises ReportError for a tenant that the site does not have."""
    books = corrected(asked.booked)
    tenant = _tenant(asked)
    views = _views(asked, books)
    known, sinks = views.known, sinks_of(books, tenant)
    document: dict[str, Any] = {
        "format": FORMAT,
        "edgectl": asked.version,
        "made_utc": iso(asked.made_s),
        "site": _site(asked),
        "tenant": tenant,
        "period": {
            "from_utc": iso(books.from_s), "to_utc": iso(books.to_s),
            "seconds": books.to_s - books.from_s, "seconds_in_ledger": books.seconds,
            "records": books.records, "first_record": books.first_seq,
            "last_record": books.last_seq,
        },
        "ledger": _ledger(asked.verdict),
        "check": _check(asked.booked, tenant),
        "figures": _figures(asked, views),
        "corrected": _corrected(asked.booked, books, tenant),
        "paths": path_rows(books, sinks, views.paths),
        "origins": origin_rows(books, sinks, tenant, known.bounds, views.paths),
        "sci": sci(known, views.paths, asked.tenant),
        "coverage": coverage(books, asked.tenant),
        "quality": quality(books, asked.tenant),
        "factors": books.factors.as_json(),
        "sources": list(books.names.sources) if books.names else [],
        "batteries": list(books.names.storages) if books.names else [],
        "step_s": books.step_s,
        "series": series_rows(books, tenant),
        "methods": methods(books, asked.site, asked.declared, asked.declared_sha256),
        "hours": hour_rows(books, views.clean, asked.declared, sinks, views.hourly),
        "without_interval": without_interval(),
        "cbam": NO_CBAM,
    }  # fmt: skip
    return document if tenant is not None else document | _of_the_site(asked, views)


def _of_the_site(asked: Asked, views: _Views) -> dict[str, Any]:
    """What no tenant is told."""
    known, market = views.known, views.market
    return {
        "balance": balance_row(known, views.paths),
        "stocks": stock_rows(known.books, known.bounds),
        "scope2": scope2(known, market),
        "market_hours": market_hours(market),
        "marginal": marginal(known),
        "indicators": indicators(known, views.renewable),
        "indicators_unknown": unknown_keys(asked.declared),
    }


def _figures(asked: Asked, views: _Views) -> list[dict[str, Any]]:
    """The figures of page one, each with what it is as booked where corrections changed it."""
    booked = found = [each.as_json() for each in _headlines(asked, views)]
    if asked.booked is not views.known.books:
        booked = [each.as_json() for each in _headlines(asked, _views(asked, asked.booked))]
    return [
        each | {"as_booked": before["value"] if before["value"] != each["value"] else None}
        for each, before in zip(found, booked, strict=True)
    ]


def _headlines(asked: Asked, views: _Views) -> list[Headline]:
    known = views.known
    site = [
        *headlines(known), ref(known, views.renewable), cfe(views.clean, asked.declared),
    ]  # fmt: skip
    tenant = _tenant(asked)
    return site if tenant is None else _tenant_figures(views, site, tenant["loads"])


def _corrected(
    booked: Books, after: Books, tenant: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """What corrections changed: the ledger's sums, what they add, and the sums of this report.

    A tenant is told of the tenant's own loads, and what their receipt says, which knows no others.
    """
    if booked is after:
        return None
    own = set(tenant["loads"]) if tenant else None

    def total(cells: Mapping[Way, int]) -> int:
        return sum(amount for (_, sink), amount in cells.items() if own is None or sink in own)

    found: dict[str, Any] = {
        "booked_mj": total(booked.energy()), "booked_ug": total(booked.carbon()),
        "corrected_mj": total(after.energy()), "corrected_ug": total(after.carbon()),
        "margins": [
            asdict(each) for each in applied(booked.hours.values())
            if own is None or (each.name in own and not each.source)
        ],
    }  # fmt: skip
    if own is not None:
        balance = balanced(booked.hours.values(), own)
        found |= {
            "receipt_ug": found["corrected_ug"] - balance.ug,
            "balance_ug": balance.ug, "balance_mj": balance.mj,
        }  # fmt: skip
    return found


def _tenant(asked: Asked) -> dict[str, Any] | None:
    if asked.tenant is None:
        return None
    names = asked.booked.names
    known = {str(each["id"]): each for each in (names.tenants if names else ())}
    if asked.tenant not in known:
        raise ReportError(
            where=f"report of {asked.booked.site}",
            problem=f"there is no tenant {asked.tenant!r}; there are: {', '.join(known) or 'none'}",
            because="A tenant's report shows one tenant's loads, and nobody else's.",
            remedy="Use an id of the site file's [[tenant]].",
        )
    found = known[asked.tenant]
    return {"id": found["id"], "name": found["name"], "loads": list(found["loads"])}


def _site(asked: Asked) -> dict[str, Any]:
    names, site = asked.booked.names, asked.site
    return {
        "id": asked.booked.site,
        "name": site.name if site else asked.booked.site,
        "zone": names.zone if names else None,
        "basis": names.basis if names else None,
        "site_file_sha256": sorted({each.site_sha256 for each in asked.booked.runs}),
        "site_file_given": None if site is None else site.sha256,
        "site_file_is_the_ledgers": None
        if site is None else any(each.site_sha256 == site.sha256 for each in asked.booked.runs),
        "operator": {
            key: value if value is None or isinstance(value, str) else value.isoformat()
            for key, value in asked.declared.operator.model_dump().items()
        },
    }  # fmt: skip


def _ledger(verdict: Result) -> dict[str, Any]:
    said = asdict(verdict)
    said["unsigned_records"] = max(0, verdict.records - verdict.signed_records)
    del said["ledger"], said["seconds"]  # of this machine, not of the record
    return said


def _check(books: Books, tenant: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parts against totals, each way; all differences are 0 or the report says by how much."""
    energy, carbon, origins = books.energy(), books.carbon(), books.origins()
    per_sink = by_name(energy, 1)
    per_origin: Counter[str] = Counter()
    for (sink, _), mj in origins.items():
        per_origin[sink] += mj
    said = {
        "ledger_mj": books.control_mj, "ledger_ug": books.control_ug,
        "paths_mj": sum(energy.values()), "paths_ug": sum(carbon.values()),
        "difference_mj": sum(energy.values()) - books.control_mj,
        "difference_ug": sum(carbon.values()) - books.control_ug,
        "origins_difference_mj": sum(
            abs(per_sink.get(sink, 0) - per_origin.get(sink, 0))
            for sink in set(per_sink) | set(per_origin)
        ),
        "balance_error_mj": books.count("balance_error_mj"),
        "balance_error_ug": books.count("balance_error_ug"),
    }  # fmt: skip
    if tenant is not None:  # the site's sums less one's own would be the others'
        said = {name: said[name] for name in said if "ledger" not in name and "paths" not in name}
    return said


def _tenant_figures(views: _Views, site: list[Headline], loads: list[str]) -> list[Headline]:
    """A tenant's own sums, and the site's ratios."""
    known = views.known
    energy, carbon = by_name(known.books.energy(), 1), by_name(known.books.carbon(), 1)
    own = known.bounds.energy({name: energy.get(name, 0) for name in loads})
    own_ug = traced_ug(views.paths, loads, sum(carbon.get(name, 0) for name in loads))
    shared_ug = overhead_ug(known, own)
    found = [
        headline("Energy of your equipment", own, 1 / MJ_PER_KWH, "kWh", "your meters"),
        headline("Carbon of your equipment", own_ug, 1 / UG_PER_KG, "kg CO2e",
                 "location average"),
        headline("Your share of cooling and losses", shared_ug, 1 / UG_PER_KG, "kg CO2e",
                 "shared as energy is", "your energy times the site's PUE less 1"),
    ]  # fmt: skip
    ratios = {"PUE", "CUE", "WUE", "ERF", "REF", "CFE score"}
    return [*found, *(one for one in site if one.name in ratios)]
