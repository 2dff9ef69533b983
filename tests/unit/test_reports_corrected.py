"""Reports apply the corrections of a ledger, and read no more of it than they need."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from report_rig import NOON_S, START_S, BookRig, books_of, document_of, figure

from edgectl.ledger import Kind, Ledger
from edgectl.reports.corrected import corrected
from edgectl.reports.declared import Declared
from edgectl.reports.figures import balance_of
from edgectl.reports.materiality import materiality
from edgectl.reports.page import html_of
from edgectl.reports.period import first_record


def window(
    name: str, booked_mj: int, energy_mj: int, seconds: int = 60, **more: Any
) -> dict[str, Any]:
    """Figures of a CORRECTION over the first seconds from noon."""
    return {
        "boot_id": START_S, "meter": "M.energy_import", "sink": name, "first_s": NOON_S,
        "last_s": NOON_S + seconds - 1, "booked_mj": booked_mj, "energy_mj": energy_mj,
        "register_mj": energy_mj, "residual_mj": energy_mj - booked_mj, "u_residual_mj": 1,
        "k": None, "grade": "M", "gaps": [], "gap_mj": 0,
    } | more  # fmt: skip


def two_minutes(where: Path, *corrections: tuple[int, dict[str, Any]]) -> Path:
    """IT-A and IT-B take 500 and 300 of 900 mJ a second for two minutes, the rest is lost."""
    rig = BookRig(where)
    for at in range(120):
        rig.second(NOON_S + at, {
            ("grid", "IT-A"): (500, 50), ("grid", "IT-B"): (300, 30), ("grid", "losses"): (100, 10),
        })  # fmt: skip
    for part, figures in corrections:
        rig.correction(NOON_S + 7_200, 60, part, figures)
    return rig.write()


def test_a_report_applies_corrections_and_says_what_was_booked(tmp_path: Path) -> None:
    where = two_minutes(tmp_path, (2, window("IT-B", 36_000, 36_600, 120)))
    document = document_of(where, books=books_of(where, (NOON_S, NOON_S + 120)))
    assert {row["sink"]: row["energy_mj"] for row in document["origins"]}["IT-B"] == 36_600
    assert document["balance"]["it_mj"] == 96_600
    assert document["balance"]["losses_mj"] == 12_000 - 600, "what a load had more was no loss"
    it = figure(document, "Energy of the IT equipment")
    assert (it["value"], it["as_booked"]) == (96_600 / 3.6e9, 96_000 / 3.6e9)
    assert document["check"]["difference_mj"] == 0, "the ledger's own sum is as it was"
    assert document["check"]["ledger_mj"] == 108_000
    assert document["corrected"]["margins"] == [
        {"name": "IT-B", "source": False, "difference_mj": 600}
    ]
    page = html_of(document, {})
    assert "As booked" in page
    assert "booked 0.01000" in page


def test_a_correction_is_no_misstatement_and_a_lost_path_is_one(tmp_path: Path) -> None:
    source = window("IT-B", 36_000, 36_600, 120) | {"sink": None, "source": "grid"}
    where = two_minutes(tmp_path, (0, source | {"booked_mj": 108_000, "energy_mj": 109_000}))
    books = corrected(books_of(where, (NOON_S, NOON_S + 120)))
    assert sum(hour.change.carbon_ug.total() for hour in books.hours.values()) > 0

    def arithmetic() -> float:
        weighed = materiality(books, None, Declared(), balance_of(books), 0.0)
        return float(weighed["rows"][0]["t"])

    assert arithmetic() == 0.0
    books.control_ug += 5
    assert arithmetic() == 5e-12


def test_a_correction_that_reaches_over_two_periods_is_shared_between_them(tmp_path: Path) -> None:
    where = two_minutes(tmp_path, (1, window("IT-A", 60_000, 61_201, 120)))
    halves = [
        document_of(where, books=books_of(where, (NOON_S + 60 * at, NOON_S + 60 * at + 60)))
        for at in range(2)
    ]
    gained = [each["corrected"]["margins"][0]["difference_mj"] for each in halves]
    assert sum(gained) == 1_201
    assert gained[0] in (600, 601)


def test_a_period_that_begins_within_a_minute_has_its_part_of_it(tmp_path: Path) -> None:
    where = two_minutes(tmp_path, (1, window("IT-A", 60_000, 61_201, 120)))
    edges = (NOON_S, NOON_S + 25, NOON_S + 97, NOON_S + 120)
    gained = []
    for span in pairwise(edges):
        document = document_of(where, books=books_of(where, span))
        gained.append(document["corrected"]["margins"][0]["difference_mj"])
    assert gained == [1_201 * 25 // 120, 1_201 * 97 // 120 - 1_201 * 25 // 120, 231]
    assert sum(gained) == 1_201


@pytest.mark.parametrize("length_s", [120, 30_000, 3 * 86_400])
def test_what_is_plotted_adds_up_to_the_corrected_totals(tmp_path: Path, length_s: int) -> None:
    """Points of a second, of a minute and of a quarter of an hour; windows begin anywhere."""
    where = two_minutes(
        tmp_path, (1, window("IT-A", 45_000, 46_201, 90)), (2, window("IT-B", 36_000, 30_001, 120)),
        (0, window("COOLING", 0, 777)),
    )  # fmt: skip
    books = books_of(where, (NOON_S, NOON_S + length_s))
    whole = document_of(where, books=books)
    assert whole["step_s"] == {120: 1, 30_000: 60, 3 * 86_400: 900}[length_s]
    plotted = [sum(each["mj"].values()) for each in whole["series"]]
    assert sum(plotted) == whole["corrected"]["corrected_mj"]
    by_source = {
        name: sum(each["mj"].get(name, 0) for each in whole["series"]) for name in whole["sources"]
    }
    assert by_source == {
        name: sum(each["energy_mj"] for each in whole["paths"] if each["source"] == name)
        for name in whole["sources"]
    }
    assert min(mj for each in whole["series"] for mj in each["mj"].values()) >= 0
    own = document_of(where, books=books, tenant="acme")
    assert sum(each["mj"]["IT-A"] for each in own["series"]) == 61_201
    assert books_of(where, (NOON_S, NOON_S + length_s)).series == books.series, "booked stays"


def test_without_corrections_nothing_is_said_of_them(tmp_path: Path) -> None:
    document = document_of(two_minutes(tmp_path), books=books_of(tmp_path, (NOON_S, NOON_S + 120)))
    assert document["corrected"] is None
    assert {each["as_booked"] for each in document["figures"]} == {None}
    assert "<h2>Corrections</h2>" not in html_of(document, {})


def test_what_is_recovered_is_not_counted_as_estimated_too(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    for at in range(60):
        rig.second(NOON_S + at, {("grid", "IT-A"): (500, 1)}, substituted=10)
    gap = {"gaps": [[NOON_S, NOON_S + 59, 0, 600]], "gap_mj": 30_000, "grade": "R"}
    rig.correction(NOON_S + 60, 1, 1, window("IT-A", 30_000, 24_000, 60, **gap))
    readings = document_of(rig.write(), books=books_of(tmp_path, (NOON_S, NOON_S + 60)))[
        "coverage"
    ]["readings"]
    assert readings["recovered"] == 600
    assert readings["substituted"] == 0
    assert sum(readings.values()) == 60 * 60


def test_corrections_are_told_to_whom_they_concern(tmp_path: Path) -> None:
    where = two_minutes(tmp_path, (2, window("IT-B", 18_000, 18_600)))
    books = books_of(where, (NOON_S, NOON_S + 120))
    whole = document_of(where, books=books)
    assert whole["quality"]["corrections"][0]["tenant"] == "bolt"
    own = document_of(where, books=books, tenant="bolt")
    assert own["corrected"]["corrected_mj"] - own["corrected"]["booked_mj"] == 600
    other = document_of(where, books=books, tenant="acme")
    assert other["quality"]["corrections"] == []
    assert other["corrected"]["margins"] == []
    assert "meter exchanged" in html_of(whole, {})


def test_a_report_of_the_end_begins_to_read_at_the_names_before_it(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    for hour in range(3):
        rig.start(Kind.NAMES, NOON_S + 3_600 * hour)
        for at in range(3):
            rig.second(NOON_S + 3_600 * hour + 60 * at, {("grid", "IT-A"): (500, 50)})
    span = (NOON_S + 7_200 + 60, NOON_S + 7_200 + 180)
    with Ledger("rig", rig.write(), read_only=True) as ledger:
        assert first_record(ledger, span[0]) == 5, "the second hour's names, an hour before"
        assert first_record(ledger, NOON_S) == 1, "the names just before its first second"
    books = books_of(tmp_path, span)
    assert books.energy() == {("grid", "IT-A"): 1_000}
    assert (books.first_seq, books.seconds) == (11, 2)
