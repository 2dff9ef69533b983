"""The report as CSV, one row an hour, and as a workbook; exact integers beside readable figures."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgectl.reports.declared import MJ_PER_KWH
from edgectl.reports.extras import need
from edgectl.reports.figures import UG_PER_KG
from edgectl.reports.provenance import COLUMNS, factor_rows

HOUR_COLUMNS = (
    "utc", "seconds", "scans", "missing_scans", "measured", "estimated", "substituted",
    "default_factor_scans", "used_min_mg_per_kwh", "used_max_mg_per_kwh", "energy_mj",
    "energy_mj_low", "energy_mj_high", "carbon_ug", "carbon_ug_low", "carbon_ug_high", "cfe_score",
    "cfe_score_low", "cfe_score_high",
)  # fmt: skip


def _ways(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(each["source"], each["sink"]) for each in document["paths"]]


def hour_rows(document: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows: an hour each, every path in mJ and ug."""
    ways = _ways(document)
    columns = list(HOUR_COLUMNS)
    for source, sink in ways:
        columns += [f"{source}>{sink}_mj", f"{source}>{sink}_ug"]
    rows = []
    for hour in document["hours"]:
        paths = {(each["source"], each["sink"]): each for each in hour["paths"]}
        row = [hour[name] for name in HOUR_COLUMNS]
        for way in ways:
            each = paths.get(way)
            row += [each["energy_mj"], each["carbon_ug"]] if each else [0, 0]
        rows.append(row)
    return columns, rows


def write_csv(document: Mapping[str, Any], path: Path) -> None:
    """The hours."""
    columns, rows = hour_rows(document)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_xlsx(document: Mapping[str, Any], path: Path) -> None:
    """A sheet a part. Integers a spreadsheet would round stand as text, with their unit."""
    openpyxl = need("openpyxl", "report.xlsx")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, columns, rows in _sheets(document):
        _sheet(book, title, columns, rows)
    book.save(path)


FIGURE_COLUMNS = ("name", "value", "as_booked", "low", "high", "unit", "standard", "declared")

Sheet = tuple[str, list[str], Iterable[list[Any]]]


def _correction(said: Mapping[str, Any]) -> list[Any]:
    figures = said.get("figures") or {}
    amounts = [figures.get(name) for name in ("first_s", "last_s", "booked_mj", "energy_mj")]
    return [
        said["seq"], said["utc"], figures.get("sink") or figures.get("source"),
        *(each if each is None else str(each) for each in amounts), said.get("reason"),
    ]  # fmt: skip


def _sheets(document: Mapping[str, Any]) -> list[Sheet]:
    columns, rows = hour_rows(document)
    found: list[Sheet] = [
        ("Summary", ["what", "value"], _summary(document)),
        ("Figures", [*FIGURE_COLUMNS],
         [[each[name] for name in FIGURE_COLUMNS] for each in document["figures"]]),
        ("Corrections",
         ["record", "UTC", "of", "first s", "last s", "booked mJ", "counter mJ", "why"],
         [_correction(each) for each in document["quality"]["corrections"]]),
        ("Paths", ["from", "to", "kWh", "mJ, exact", "kg CO2e", "ug CO2e, exact",
                   "kWh low", "kWh high", "kg CO2e low", "kg CO2e high"],
         [[each["source"], each["sink"], each["energy_mj"] / MJ_PER_KWH, str(each["energy_mj"]),
           each["carbon_ug"] / UG_PER_KG, str(each["carbon_ug"]),
           *_ends(each, "energy_mj", MJ_PER_KWH), *_ends(each, "carbon_ug", UG_PER_KG)]
          for each in document["paths"]]),
        ("Origins", ["bus", "kind", "tenant", "origin", "kWh", "mJ, exact", "kWh low", "kWh high"],
         [[row["sink"], row["kind"], row["tenant"], origin, mj / MJ_PER_KWH, str(mj),
           row["origins_mj_low"][origin] / MJ_PER_KWH, row["origins_mj_high"][origin] / MJ_PER_KWH]
          for row in document["origins"] for origin, mj in row["origins_mj"].items()]),
        ("Compute", list(COMPUTE_COLUMNS),
         [[each.get(name) for name in COMPUTE_COLUMNS] for each in document["sci"]]),
        ("Hours", columns, [[_kept(each) for each in row] for row in rows]),
        ("Factors", list(COLUMNS),
         [list(each.values()) for each in factor_rows(document)]),
        ("Coverage", ["readings", "number", "part"],
         [[name, number, document["coverage"]["ratio"][name]]
          for name, number in document["coverage"]["readings"].items()]),
        ("Methods", ["of", "choice", "note"],
         [[each["of"], each["choice"], each["note"]] for each in document["methods"]]),
    ]  # fmt: skip
    found.append((
        "Without interval", ["of", "because", "where in report.json"],
        [[each["of"], each["why"], ", ".join(each["where"])]
         for each in document["without_interval"]],
    ))  # fmt: skip
    if "indicators" in document:
        found.insert(6, (
            "EU 2024-1364", [column for column, _ in INDICATOR_COLUMNS],
            [[each[name] for _, name in INDICATOR_COLUMNS] for each in document["indicators"]],
        ))  # fmt: skip
        found.insert(7, ("Scope 2", ["amount", "value", "low", "high", "unit"], _scope2(document)))
    return found


INDICATOR_COLUMNS = (
    ("key", "key"), ("indicator", "name"), ("value", "value"), ("low", "low"), ("high", "high"),
    ("unit", "unit"), ("from", "origin"), ("interval", "interval"),
)  # fmt: skip
COMPUTE_COLUMNS = (
    "tenant", "counter", "source", "unit", "units", "units_low", "units_high", "units_said",
    "operational_g", "operational_g_low", "operational_g_high", "embodied_g", "embodied_g_low",
    "embodied_g_high", "embodied_said", "g_per_unit", "g_per_unit_low", "g_per_unit_high",
)  # fmt: skip


def _ends(row: Mapping[str, Any], name: str, scale: int) -> list[float | None]:
    """Both ends of an amount in a larger unit."""
    found = (row.get(f"{name}_low"), row.get(f"{name}_high"))
    return [None if each is None else each / scale for each in found]


def _scope2(document: Mapping[str, Any]) -> list[list[Any]]:
    """Both ledgers and, apart, marginal carbon; each amount with its ends."""
    scope2, rows = document["scope2"], []
    wanted = {"location": ("energy_mj", "carbon_ug"),
              "market": ("energy_mj", "matched_mj", "residual_mj", "surplus_mj", "carbon_ug"),
              "marginal, in no inventory": ("carbon_ug",)}  # fmt: skip
    for ledger, names in wanted.items():
        said = scope2.get(ledger, document["marginal"])
        for name in names:
            scale, unit = (MJ_PER_KWH, "kWh") if name.endswith("_mj") else (UG_PER_KG, "kg CO2e")
            value = None if said[name] is None else said[name] / scale
            what = name.removesuffix("_mj").removesuffix("_ug")
            rows.append([f"{ledger}: {what}", value, *_ends(said, name, scale), unit])
    return rows


EXACT_MAX = 10**15  # a spreadsheet keeps 15 digits


def _kept(value: Any) -> Any:
    return str(value) if isinstance(value, int) and abs(value) >= EXACT_MAX else value


def _summary(document: Mapping[str, Any]) -> list[list[Any]]:
    ledger, check = document["ledger"], document["check"]
    rows: list[list[Any]] = [
        ["site", document["site"]["id"]],
        ["tenant", document["tenant"]["id"] if document["tenant"] else "all"],
        ["from, UTC", document["period"]["from_utc"]],
        ["to, UTC", document["period"]["to_utc"]],
        ["ledger", "verifies" if ledger["good"] else f"DOES NOT VERIFY: {ledger['bad']}"],
        ["root", ledger["root"]],
        ["key", ledger["key_id"]],
        ["parts less totals, mJ", check["difference_mj"]],
        ["parts less totals, ug", check["difference_ug"]],
        ["note", document["cbam"]],
    ]
    return rows


def _sheet(book: Any, title: str, columns: list[str], rows: Iterable[list[Any]]) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(title)
    sheet.append(columns)
    for row in rows:
        sheet.append(row)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    for at, column in enumerate(sheet.iter_cols(max_row=200, values_only=True), start=1):
        longest = max(len(_shown(each)) for each in column)
        sheet.column_dimensions[get_column_letter(at)].width = min(60, longest + 2)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value if value is not None else "")
