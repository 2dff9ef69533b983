"""A report says which emission factors its carbon was booked with, as the ledger recorded them."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from report_rig import MW_MJ, START_S, BookRig

from edgectl.ledger import Ledger
from edgectl.ledger.verify import verify
from edgectl.reports.books import read_books
from edgectl.reports.declared import Declared
from edgectl.reports.document import Asked, make_document
from edgectl.reports.evidence import Pack, make_pack
from edgectl.reports.page import html_of, pictures_of
from edgectl.reports.period import period_of
from edgectl.reports.provenance import factor_rows

FLOWS = {("grid", "IT-A"): (MW_MJ, 100_000_000)}


@pytest.fixture
def where(tmp_path: Path) -> Path:
    rig = BookRig(tmp_path / "data")
    rig.second(START_S, FLOWS)  # of an edgectl that named no factors
    rig.factor(START_S + 1, 400_000)
    for at in range(1, 100):
        rig.second(START_S + at, FLOWS, mg=400_000, unknown=2 if at == 50 else 0)
    rig.factor(START_S + 100, 420_000)
    for at in range(100, 130):
        rig.second(START_S + at, FLOWS, mg=420_000)
    return rig.write()


def asked_of(where: Path) -> Asked:
    with Ledger("rig", where, read_only=True) as ledger:
        books = read_books(ledger, *period_of(ledger, None, None), {})
    return Asked(books, verify(where)[0], START_S, "1.2.3")


def test_each_factor_is_listed_with_its_time_in_force_and_its_age(where: Path) -> None:
    document = make_document(asked_of(where))
    first, second = document["factors"]["used"]
    assert (first["mg_per_kwh"], first["seconds"], first["scans"]) == (400_000, 99, 988)
    assert (first["age_min_s"], first["age_max_s"]) == (0, 38), "held after its minute was over"
    assert (second["seconds"], second["age_max_s"]) == (30, 0)
    assert first["sha256"] == f"{400_000:064x}"
    assert document["factors"]["unrecorded_seconds"] == 1
    assert (document["factors"]["unknown_seconds"], document["factors"]["unknown_scans"]) == (1, 2)


def test_what_is_recorded_comes_before_what_is_declared(where: Path) -> None:
    said: dict[str, Any] = {"factors": {"source": "declared source"}}
    asked = asked_of(where)
    document = make_document(
        Asked(asked.booked, asked.verdict, 0, "1", declared=Declared.model_validate(said))
    )
    (choice,) = [each["choice"] for each in document["methods"] if each["of"] == "Grid factor"]
    assert "recorded: Grid Office, version v3, location average, direct; 2 factors" in choice
    assert "declared source" not in choice
    assert "not recorded" not in choice


def test_page_and_evidence_have_the_same_rows(where: Path) -> None:
    asked = asked_of(where)
    document = make_document(asked)
    page = html_of(document, pictures_of(document))
    assert f"{400_000:064x}" in page
    assert "an edgectl that recorded no factors" in page
    with Ledger("rig", where, read_only=True) as ledger:
        files = make_pack(Pack(document, ledger, asked.booked, None, Declared(), 1, None))
    rows = list(csv.DictReader(io.StringIO(files["factors.csv"].decode())))
    assert [each["mg_per_kwh"] for each in rows] == ["400000", "420000", ""]
    assert [each["seconds"] for each in rows] == ["99", "30", "1"]
    assert len(factor_rows(document)) == len(rows)
