"""CBAM-style evidence pack: what a verifier of an installation would ask for, in one ZIP."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from edgectl.ledger import Ledger
from edgectl.reports.books import Books
from edgectl.reports.colours import PRINT, SCREEN, on
from edgectl.reports.declared import Declared
from edgectl.reports.diagram import NO_CLASS, diagram_of, sheets_of
from edgectl.reports.figures import UG_PER_KG, balance_of
from edgectl.reports.indirect import indirect
from edgectl.reports.materiality import materiality
from edgectl.reports.page import pdf_of, rendered
from edgectl.reports.plan import KINDS
from edgectl.reports.provenance import COLUMNS, factor_rows
from edgectl.reports.sample import alone, sample
from edgectl.site_model import Site
from edgectl.site_model.tables_directory import Metered

EARLIEST = (1980, 1, 1, 0, 0, 0)  # of a ZIP: the same evidence makes the same bytes
NOT_DECLARED = "not declared"
UNCERTAINTY = ("name", "value", "low", "high", "unit", "declared")


@dataclass(frozen=True, slots=True)
class Pack:
    """What a pack is made from."""

    document: Mapping[str, Any]
    ledger: Ledger
    books: Books
    site: Site | None
    declared: Declared
    seed: int
    schema: Path | None


def meters_of(site: Site | None, declared: Declared) -> list[dict[str, str]]:
    """Every metering point of the boundary with what is declared of it, or the site file says."""
    if site is None:
        return []
    points: list[tuple[str, Metered]] = [("grid connection", site.grid)]
    points += [(f"feeder {each.id}, {each.from_bus} to {each.to_bus}", each)
               for each in site.feeders]  # fmt: skip
    points += [(f"generator {each.id}", each) for each in site.generators]
    points += [(f"PV {each.id}", each) for each in site.pvs]
    points += [(f"battery {each.id}", each) for each in site.batteries]
    points += [(f"{KINDS[each.kind]} {each.id}", each) for each in site.loads]
    rows = []
    for meters, point in points:
        device = site.device(point.power.partition(".")[0])
        said = declared.meter_of(device.id)
        rows.append({
            "device": device.id, "meters": meters, "type": device.profile.name,
            "accuracy_class": (said.accuracy_class if said else point.accuracy_class)
            or NOT_DECLARED,
            "transformer_class": (said.transformer_class if said else point.ct_class)
            or NOT_DECLARED,
            "serial": (said.serial if said else None) or NOT_DECLARED,
            "calibrated": _date(said.calibrated if said else None),
            "due": _date(said.calibration_due if said else None),
        })  # fmt: skip
    return rows


def classes_of(meters: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Accuracy of each metering device in words, for the diagram."""
    return {
        each["device"]: NO_CLASS if each["accuracy_class"] == NOT_DECLARED
        else f"class {each['accuracy_class']}, CT {each['transformer_class']}"
        for each in meters
    }  # fmt: skip


def _date(value: date | None) -> str:
    return value.isoformat() if value else NOT_DECLARED


def make_pack(pack: Pack) -> dict[str, bytes]:
    """The pack's files by name, a manifest with their hashes last."""
    document = pack.document
    balance = balance_of(pack.books)
    meters = meters_of(pack.site, pack.declared)
    found = sample(pack.ledger, pack.books.from_s, pack.books.to_s, pack.seed)
    part = indirect(balance, pack.declared, pack.schema)
    weighed = materiality(pack.books, pack.site, pack.declared, balance,
                          document["coverage"]["substituted_or_missing_ratio"])  # fmt: skip
    classes = classes_of(meters)
    sheets = sheets_of(pack.site, classes) if pack.site else []

    def page(pdf: bool) -> str:
        inks = PRINT if pdf else SCREEN
        return rendered(
            "evidence.html.j2", d=document, pdf=pdf, site=pack.site, e=pack.declared.evidence,
            meters=meters, sheets=[on(each, inks) for each in sheets], materiality=weighed,
            how={each["of"]: each["choice"] for each in document["methods"]},
            sample=found, xml=part, no_buses=pack.site is not None and not pack.site.buses,
        )  # fmt: skip

    files = {
        "README.txt": f"CBAM-style evidence pack. Open evidence.html, or print evidence.pdf.\n"
                      f"{document['cbam']}\n"
                      "sample/: each record is checked alone, by verify_ledger.py record FILE "
                      "--key KEY\n"
                      f"indirect.xml: {part.said}\n".encode(),
        "evidence.html": page(False).encode(),
        "evidence.pdf": pdf_of(page(True), "evidence.pdf"),
        "meters.csv": _csv(meters),
        "hourly.csv": _csv(_hourly(document)),
        "uncertainty.csv": _csv(uncertainty_rows(document)),
        "gaps.csv": _csv(
            [{"utc": each["utc"], "record": each["seq"], "scans": each["scans"]}
             for each in document["quality"]["gaps"]], ("utc", "record", "scans")),
        "factors.csv": _csv(factor_rows(document), COLUMNS),
        "materiality.json": _json(weighed),
        "sample.json": _json(found),
        **alone(found),
    }  # fmt: skip
    if pack.site:
        files["single-line.svg"] = on(diagram_of(pack.site, classes), PRINT).encode()
    if part.xml:
        files["indirect.xml"] = part.xml
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return files | {"manifest.json": _json({"sha256": hashes})}


def write_pack(files: Mapping[str, bytes], path: Path) -> None:
    """As a ZIP whose bytes depend on the evidence alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), content, zipfile.ZIP_DEFLATED)


def uncertainty_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every figure with its ends, then what has none, and why."""
    scope2, rows = document["scope2"], []
    for each in document["figures"]:
        rows.append([each[name] for name in UNCERTAINTY])
    for name, said in (("location", scope2["location"]), ("market", scope2["market"])):
        ends = (said["carbon_ug"], said.get("carbon_ug_low"), said.get("carbon_ug_high"))
        scaled = [None if each is None else each / UG_PER_KG for each in ends]
        rows.append([f"Scope 2, {name}-based", *scaled, "kg CO2e", said["method"]])
    for each in document["sci"]:
        rows.append([
            f"SCI, {each['tenant']}, {each['counter']} of {each['source']}", each["g_per_unit"],
            each.get("g_per_unit_low"), each.get("g_per_unit_high"), f"g/{each['unit']}",
            f"embodied: {each['embodied_said']}; {each['units_said']}",
        ])  # fmt: skip
    for each in document["indicators"]:
        said = "; ".join(dict.fromkeys((each["origin"], each["interval"])))
        rows.append([*(each[name] for name in UNCERTAINTY[:-1]), said])
    for each in document["without_interval"]:
        rows.append([each["of"], None, None, None, None, f"no interval: {each['why']}"])
    return [dict(zip(UNCERTAINTY, each, strict=True)) for each in rows]


def _hourly(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    contracts = document["scope2"]["market"]["contracts"]
    return [
        {
            "utc": each["utc"], "bought_mj": each["bought_mj"],
            **{name: each[name] for name in ("bought_mj_low", "bought_mj_high")},
            **{f"{name}_mj": each["by_contract_mj"].get(name, 0) for name in contracts},
            **{f"{name}{end}": each.get(f"{name}{end}")
               for name in ("residual_mj", "surplus_mj", "market_ug")
               for end in ("", "_low", "_high")},
        }
        for each in document["market_hours"]
    ]  # fmt: skip


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _csv(rows: list[dict[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """Rows; columns that stand there even if there are none."""
    out = io.StringIO()
    if rows or columns:
        writer = csv.DictWriter(out, list(rows[0] if rows else columns))
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue().encode()
