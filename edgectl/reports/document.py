"""The report as plain data. Every form, for people and for programs, shows this and no more.

With a tenant it says what concerns that tenant's loads, and of the site only ratios, from
which another tenant's figures cannot be worked out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from edgectl.accounting.scope2 import Lot
from edgectl.accounting.uncertainty import COVERAGE_K
from edgectl.errors import ReportError
from edgectl.ledger.verify import Result
from edgectl.reports.books import Books, Way
from edgectl.reports.corrected import applied, balanced, corrected
from edgectl.reports.declared import MJ_PER_KWH, Declared
from edgectl.reports.figures import (
    UG_PER_KG,
    Balance,
    Bounds,
    Headline,
    balance_of,
    by_name,
    headlines,
)
from edgectl.reports.indicators import indicators, unknown_keys
from edgectl.reports.methods import methods
from edgectl.reports.mixture import ORIGINS
from edgectl.reports.quality import coverage, quality
from edgectl.reports.scopes import (
    cfe,
    clean_hours,
    marginal,
    match,
    ref,
    renewables,
    sci,
    scope2,
)
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


def make_document(asked: Asked) -> dict[str, Any]:
    """The whole report. Raises ReportError for a tenant that the site does not have."""
    books = corrected(asked.booked)
    tenant = _tenant(asked)
    balance = balance_of(books)
    market = match(books, asked.site, asked.declared, asked.lots)
    renewable = renewables(balance, asked.declared, market)
    hours = clean_hours(books, asked.declared, market)
    figures = _figures(asked, books)
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
        "figures": figures,
        "corrected": _corrected(asked.booked, books, tenant),
        "paths": _paths(books, _sinks(books, tenant)),
        "origins": _origins(books, _sinks(books, tenant), tenant),
        "sci": sci(books, asked.declared, _overhead(balance), asked.tenant),
        "coverage": coverage(books, asked.tenant),
        "quality": quality(books, asked.tenant),
        "factors": books.factors.as_json(),
        "sources": list(books.names.sources) if books.names else [],
        "batteries": list(books.names.storages) if books.names else [],
        "step_s": books.step_s,
        "series": _series(books, tenant),
        "methods": methods(books, asked.site, asked.declared, asked.declared_sha256),
        "hours": _hours(books, hours, _sinks(books, tenant)),
        "cbam": NO_CBAM,
    }  # fmt: skip
    if tenant is None:
        document |= {
            "balance": asdict(balance) | {"facility_mj": balance.facility_mj},
            "stocks": {name: asdict(each) for name, each in books.stocks.items()},
            "scope2": scope2(balance, market),
            "market_hours": _market_hours(market.hours),
            "marginal": marginal(balance, asked.declared),
            "indicators": indicators(balance, asked.declared, renewable),
            "indicators_unknown": unknown_keys(asked.declared),
        }
    return document


def _figures(asked: Asked, books: Books) -> list[dict[str, Any]]:
    """The figures of page one, each with what it is as booked where corrections changed it."""
    found = [each.as_json() for each in _headlines(asked, books)]
    booked = found
    if asked.booked is not books:
        booked = [each.as_json() for each in _headlines(asked, asked.booked)]
    return [
        each | {"as_booked": before["value"] if before["value"] != each["value"] else None}
        for each, before in zip(found, booked, strict=True)
    ]


def _headlines(asked: Asked, books: Books) -> list[Headline]:
    balance = balance_of(books)
    market = match(books, asked.site, asked.declared, asked.lots)
    renewable = renewables(balance, asked.declared, market)
    score = cfe(clean_hours(books, asked.declared, market), asked.declared)
    site = [*headlines(books, asked.site, asked.declared), ref(balance, renewable), score]
    if asked.tenant is None:
        return site
    tenant = _tenant(asked)
    return _tenant_figures(asked, books, site, _origins(books, _sinks(books, tenant), tenant))


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


def _sinks(books: Books, tenant: Mapping[str, Any] | None) -> list[str]:
    names = books.names
    if tenant is not None:
        return list(tenant["loads"])
    return list(names.sinks) if names else []


def _paths(books: Books, sinks: list[str]) -> list[dict[str, Any]]:
    energy, carbon = books.energy(), books.carbon()
    sources = books.names.sources if books.names else ()
    return [
        {"source": source, "sink": sink, "energy_mj": energy[source, sink],
         "carbon_ug": carbon[source, sink]}
        for source in sources for sink in sinks if energy[source, sink] or carbon[source, sink]
    ]  # fmt: skip


def _origins(
    books: Books, sinks: list[str], tenant: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """Where each load's energy came from, IT first."""
    names = books.names
    kinds = names.kinds if names else {}
    owners = {
        load: str(each["id"]) for each in (names.tenants if names else ())
        for load in each["loads"]
    }  # fmt: skip
    energy, carbon = by_name(books.energy(), 1), by_name(books.carbon(), 1)
    origins: Counter[Way] = books.origins()
    found = []
    for sink in sorted(sinks, key=lambda each: (kinds.get(each, "z") != "it",
                                                each not in kinds, each)):  # fmt: skip
        if not energy.get(sink) and sink not in kinds:
            continue
        mj, ug = energy.get(sink, 0), carbon.get(sink, 0)
        found.append({
            "sink": sink, "kind": kinds.get(sink, "other"),
            "tenant": owners.get(sink) if tenant is None else tenant["id"],
            "energy_mj": mj, "carbon_ug": ug,
            "g_per_kwh": ug * 3_600 / mj if mj else None,
            "origins_mj": {each: origins[sink, each] for each in ORIGINS if origins[sink, each]},
        })  # fmt: skip
    return found


def _overhead(balance: Balance) -> Fraction:
    """ug of what is consumed and is not IT, per mJ of IT; carbon is shared as energy is."""
    if not balance.it_mj or not balance.facility_mj:
        return Fraction(0)
    other_mj = balance.facility_mj - balance.it_mj
    return Fraction(balance.used_ug, balance.facility_mj) * other_mj / balance.it_mj


def _tenant_figures(
    asked: Asked, books: Books, site: list[Headline], origins: list[dict[str, Any]]
) -> list[Headline]:
    """A tenant's own sums, and the site's ratios."""
    bounds = Bounds(books, asked.site, asked.declared)
    own_mj = {each["sink"]: each["energy_mj"] for each in origins}
    own_ug = {each["sink"]: each["carbon_ug"] for each in origins}
    it = bounds.energy(own_mj)
    carbon = bounds.carbon(
        {name: (mj, own_ug[name]) for name, mj in own_mj.items()}, sum(own_ug.values())
    )
    overhead_ug = int(sum(own_mj.values()) * _overhead(balance_of(books)))
    said = f"k = {COVERAGE_K:g}, about 95 %"
    own = [
        Headline("Energy of your equipment", it.value / MJ_PER_KWH, it.low / MJ_PER_KWH,
                 it.high / MJ_PER_KWH, "kWh", "your meters", said),
        Headline("Carbon of your equipment", carbon.value / UG_PER_KG, carbon.low / UG_PER_KG,
                 carbon.high / UG_PER_KG, "kg CO2e", "location average", said),
        Headline("Your share of cooling and losses", overhead_ug / UG_PER_KG, None, None,
                 "kg CO2e", "shared as energy is", "your energy times the site's PUE less 1"),
    ]  # fmt: skip
    ratios = {"PUE", "CUE", "WUE", "ERF", "REF", "CFE score"}
    return [*own, *(one for one in site if one.name in ratios)]


def _hours(books: Books, clean: list[dict[str, Any]], sinks: list[str]) -> list[dict[str, Any]]:
    """One row an hour: what the CSV has, and the plots."""
    wanted = set(sinks)
    scores = {each["utc"]: each for each in clean}
    found = []
    for start, hour in sorted(books.hours.items()):
        own = {way: mj for way, mj in hour.energy_mj.items() if way[1] in wanted}
        counts = hour.counts
        found.append({
            "utc": iso(start), "seconds": counts["seconds"], "scans": counts["scans"],
            "missing_scans": counts["missing"] + counts["gap_scans"],
            "measured": counts["measured"], "estimated": counts["estimated"],
            "substituted": counts["substituted"],
            "default_factor_scans": counts["carbon_default_scans"],
            "used_min_mg_per_kwh": hour.used_min_mg_per_kwh,
            "used_max_mg_per_kwh": hour.used_max_mg_per_kwh,
            "energy_mj": sum(own.values()),
            "carbon_ug": sum(ug for way, ug in hour.carbon_ug.items() if way[1] in wanted),
            "cfe_score": scores[iso(start)]["score"] if iso(start) in scores else None,
            "paths": [
                {"source": source, "sink": sink, "energy_mj": mj,
                 "carbon_ug": hour.carbon_ug[source, sink]}
                for (source, sink), mj in sorted(own.items())
            ],
        })  # fmt: skip
    return found


def _series(books: Books, tenant: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Points of the plots; a tenant's are of their own loads."""
    loads = {f"to {load}" for load in tenant["loads"]} if tenant else set()
    period_ns = books.names.period_ns if books.names else 0
    found = []
    for start, bucket in sorted(books.series.items()):
        if tenant is None:
            amounts = {
                name.removeprefix("from "): mj for name, mj in bucket.items()
                if name.startswith("from ")
            }  # fmt: skip
        else:
            amounts = {name.removeprefix("to "): bucket[name] for name in sorted(loads)}
        total, count = books.intensity.get(start, [0.0, 0.0])
        found.append({
            "utc": iso(start), "covered_s": bucket["scans"] * period_ns / 1e9, "mj": amounts,
            "g_per_kwh": total / count if count else None,
        })  # fmt: skip
    return found


def _market_hours(hours: Any) -> list[dict[str, Any]]:
    return [
        {
            "utc": iso(each.hour * 3_600), "bought_mj": each.load_mj,
            "by_contract_mj": dict(each.by_contract_mj), "residual_mj": each.residual_mj,
            "surplus_mj": each.surplus_mj, "market_ug": each.carbon.ug,
        }
        for each in hours
    ]  # fmt: skip
