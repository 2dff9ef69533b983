"""Rows of the document: paths, origins, hours, batteries, amounts with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edgectl.accounting.uncertainty import sum_bound
from edgectl.reports.books import Books, Way
from edgectl.reports.clean import CleanHour, hourly_score, own_generation
from edgectl.reports.declared import Declared
from edgectl.reports.figures import Measured
from edgectl.reports.metering import EXPORT, LOSSES, Bounds, Paths, by_name, intensity, traced_ug
from edgectl.reports.mixture import ORIGINS
from edgectl.reports.scopes import location_bounds
from edgectl.reports.words import iso, span

UG_PER_MJ_TO_G_PER_KWH = 3_600


def sinks_of(books: Books, tenant: Mapping[str, Any] | None) -> list[str]:
    """Where energy went: all, or a tenant's own loads."""
    names = books.names
    if tenant is not None:
        return list(tenant["loads"])
    return list(names.sinks) if names else []


def path_rows(books: Books, sinks: list[str], paths: Paths) -> list[dict[str, Any]]:
    """From each source to each sink."""
    energy, carbon = books.energy(), books.carbon()
    sources = books.names.sources if books.names else ()
    found = []
    for way in ((source, sink) for source in sources for sink in sinks):
        if energy[way] or carbon[way]:
            row: dict[str, Any] = {
                "source": way[0], "sink": way[1], "energy_mj": energy[way],
                "carbon_ug": carbon[way],
            }  # fmt: skip
            found.append(row | _spans(row, way, paths))
    return found


def _spans(row: Mapping[str, Any], way: Way, paths: Paths) -> dict[str, int]:
    if way not in paths:  # carbon without energy, as a rounding leaves
        return {f"{name}_{end}": row[name] for name in ("energy_mj", "carbon_ug")
                for end in ("low", "high")}  # fmt: skip
    energy, carbon = paths[way]
    return span("energy_mj", energy) | span("carbon_ug", carbon)


def origin_rows(
    books: Books, sinks: list[str], tenant: Mapping[str, Any] | None, bounds: Bounds, paths: Paths
) -> list[dict[str, Any]]:
    """Where each load's energy came from, IT first."""
    names = books.names
    kinds = names.kinds if names else {}
    owners = {
        load: str(each["id"]) for each in (names.tenants if names else ())
        for load in each["loads"]
    }  # fmt: skip
    energy, carbon = by_name(books.energy(), 1), by_name(books.carbon(), 1)
    origins, known = books.origins(), bounds.origins()
    found = []
    for sink in sorted(sinks, key=lambda each: (kinds.get(each, "z") != "it",
                                                each not in kinds, each)):  # fmt: skip
        if not energy.get(sink) and sink not in kinds:
            continue
        mj, ug = energy.get(sink, 0), carbon.get(sink, 0)
        row: dict[str, Any] = {
            "sink": sink, "kind": kinds.get(sink, "other"),
            "tenant": owners.get(sink) if tenant is None else tenant["id"],
            "energy_mj": mj, "carbon_ug": ug,
            "g_per_kwh": ug * UG_PER_MJ_TO_G_PER_KWH / mj if mj else None,
            "origins_mj": {each: origins[sink, each] for each in ORIGINS if origins[sink, each]},
            "origins_mj_low": {}, "origins_mj_high": {},
        }  # fmt: skip
        for each in row["origins_mj"]:
            ends = span("mj", known[sink, each])
            row["origins_mj_low"][each], row["origins_mj_high"][each] = ends.values()
        found.append(row | _sums(sink, mj, ug, bounds, paths))
    return found


def _sums(sink: str, mj: int, ug: int, bounds: Bounds, paths: Paths) -> dict[str, Any]:
    """Ends of a sink's energy, carbon and intensity."""
    energy, carbon = bounds.energy({sink: mj}), traced_ug(paths, (sink,), ug)
    if sink == LOSSES:
        energy = sum_bound(each for (_, to), (each, _) in paths.items() if to == LOSSES)
    found: dict[str, Any] = span("energy_mj", energy) | span("carbon_ug", carbon)
    ratio = intensity(carbon, energy)
    if ratio is not None:
        found["g_per_kwh_low"] = max(0.0, ratio.low * UG_PER_MJ_TO_G_PER_KWH)
        found["g_per_kwh_high"] = ratio.high * UG_PER_MJ_TO_G_PER_KWH
    return found


def balance_row(measured: Measured, paths: Paths) -> dict[str, Any]:
    """The site's own boundary."""
    balance, bounds, books = measured.balance, measured.bounds, measured.books
    sources_mj, sinks_mj = by_name(books.energy(), 0), by_name(books.energy(), 1)
    kinds = books.names.kinds if books.names else {}
    named = {
        "grid_mj": {"grid": balance.grid_mj}, "pv_mj": {"pv": balance.pv_mj},
        "other_mj": {name: sources_mj.get(name, 0) for name in bounds.generators},
        "unmetered_mj": {"unmetered": balance.unmetered_mj},
        "export_mj": {EXPORT: balance.export_mj},
        "aux_mj": {name: mj for name, mj in sinks_mj.items() if kinds.get(name) == "aux"},
        "charged_mj": {name: sinks_mj.get(name, 0) for name in bounds.storages},
        "given_mj": {name: sources_mj.get(name, 0) for name in bounds.storages},
    }  # fmt: skip
    row: dict[str, Any] = asdict(balance) | {"facility_mj": balance.facility_mj}
    for name, amounts in named.items():
        row |= span(name, bounds.energy(amounts))
    losses = sum_bound(each for (_, sink), (each, _) in paths.items() if sink == LOSSES)
    bought, _ = location_bounds(measured)
    return row | span("it_mj", measured.it) | span("facility_mj", measured.facility) | span(
        "losses_mj", losses) | span("used_ug", measured.used) | span("grid_ug", bought) | span(
        "pv_used_mj", own_generation(measured).ends)  # fmt: skip


def stock_rows(books: Books, bounds: Bounds) -> dict[str, dict[str, Any]]:
    """Batteries by name: what their meters saw has an interval, what the books keep has none."""
    found = {}
    for name, each in books.stocks.items():
        found[name] = asdict(each) | span("charged_mj", bounds.energy({name: each.charged_mj}))
        found[name] |= span("given_mj", bounds.energy({name: each.given_mj}))
    return found


def hour_rows(
    books: Books, clean: Sequence[CleanHour], declared: Declared, sinks: list[str],
    paths: Mapping[int, Paths],
) -> list[dict[str, Any]]:  # fmt: skip
    """One row an hour: what the CSV has, and the plots."""
    wanted = set(sinks)
    scores = {each.start_s: hourly_score(each, declared) for each in clean}
    found = []
    for start, hour in sorted(books.hours.items()):
        own = {way: mj for way, mj in hour.energy_mj.items() if way[1] in wanted}
        known = [each for way, each in paths[start].items() if way[1] in wanted]
        counts = hour.counts
        found.append({
            "utc": iso(start), "seconds": counts["seconds"], "scans": counts["scans"],
            "missing_scans": counts["missing"] + counts["gap_scans"],
            "measured": counts["measured"], "estimated": counts["estimated"],
            "substituted": counts["substituted"],
            "default_factor_scans": counts["carbon_default_scans"],
            "used_min_mg_per_kwh": hour.used_min_mg_per_kwh,
            "used_max_mg_per_kwh": hour.used_max_mg_per_kwh,
            "energy_mj": sum(own.values()), **span("energy_mj", sum_bound(mj for mj, _ in known)),
            "carbon_ug": sum(ug for way, ug in hour.carbon_ug.items() if way[1] in wanted),
            **span("carbon_ug", sum_bound(ug for _, ug in known)),
            **{f"cfe_{name}": scores[start][name] for name in ("score", "score_low", "score_high")},
            "paths": [
                {"source": source, "sink": sink, "energy_mj": mj,
                 "carbon_ug": hour.carbon_ug[source, sink]}
                for (source, sink), mj in sorted(own.items())
            ],
        })  # fmt: skip
    return found


def series_rows(books: Books, tenant: Mapping[str, Any] | None) -> list[dict[str, Any]]:
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
