"""Receipts know the corrections of their time, and nobody can hold one back or add one."""

import json
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import verify_ledger as stranger
from receipt_rig import Change, Document, checked, hide, places, raw, receipt, summary, window
from report_rig import NOON_S, START_S, BookRig, books_of, document_of
from typer.testing import CliRunner

from edgectl.cli.main import command_line
from edgectl.ledger import Cursor, Kind, Ledger, Row
from edgectl.ledger.keys import load_public
from edgectl.ledger.payload import unpacked
from edgectl.reports.page import html_of
from edgectl.reports.words import iso

MINUTES = (NOON_S, NOON_S + 120)


def two_minutes(where: Path, *corrections: tuple[int, dict[str, Any]]) -> Path:
    """IT-A and IT-B take 500 and 300 of 900 mJ a second, from a minute before to one after."""
    rig = BookRig(where)
    for at in range(-60, 180):
        rig.second(NOON_S + at, {
            ("grid", "IT-A"): (400, 40), ("pv", "IT-A"): (100, 1), ("grid", "IT-B"): (300, 30),
            ("grid", "losses"): (100, 10), ("pv", "losses"): (50, 1),
        })  # fmt: skip
    for part, figures in corrections:
        rig.correction(NOON_S + 900, 60, part, figures)
    return rig.write()


def test_a_receipt_has_the_corrections_that_came_after_its_time_and_what_the_report_has(
    tmp_path: Path,
) -> None:
    where = two_minutes(
        tmp_path, (1, window("IT-A", 60_000, 61_200, seconds=120)),
        (2, window("IT-B", 36_000, 30_000, seconds=120)),
    )  # fmt: skip
    shown = summary(where, "acme", *MINUTES)
    booked, after = shown["as_booked"], shown["as_corrected"]
    assert (booked["energy_mj"], after["energy_mj"]) == (60_000, 61_200)
    assert after["energy_mj_by_source"] == {"grid": 48_960, "pv": 12_240}, "the mixture stays"
    assert shown["change"]["carbon_ug"] == 96 + 2, "at each cell's own intensity, rounded down"
    assert [each["figures"]["energy_mj"] for each in shown["corrections"]] == [61_200]
    own = document_of(where, books=books_of(where, MINUTES), tenant="acme")["corrected"]
    assert (own["corrected_mj"], own["corrected_ug"]) == (61_200, after["carbon_ug"])
    assert (own["receipt_ug"], own["balance_ug"], own["balance_mj"]) == (after["carbon_ug"], 0, 0)


def test_receipts_side_by_side_have_all_of_a_correction_once(tmp_path: Path) -> None:
    """Windows reach in from before: so do the tenant's seconds that are shown, and no others."""
    gap = {"gaps": [[NOON_S + 20, NOON_S + 99, 0, 800]], "gap_mj": 24_000, "grade": "R"}
    where = two_minutes(
        tmp_path, (1, window("IT-A", 90_000, 91_201, NOON_S - 30, 180)),
        (2, window("IT-B", 36_000, 29_999, seconds=120, **gap)),
    )  # fmt: skip
    edges = (NOON_S - 60, NOON_S, NOON_S + 25, NOON_S + 97, NOON_S + 180)
    for tenant, whole in (("acme", 1_201), ("bolt", -6_001)):
        parts = [summary(where, tenant, *span) for span in pairwise(edges)]
        assert sum(each["change"]["energy_mj"] for each in parts) == whole
        assert [each["seconds"] for each in parts] == [60, 25, 72, 83], "none of before is counted"
        for span, part in zip(pairwise(edges), parts, strict=True):
            document = document_of(where, books=books_of(where, span), tenant=tenant)
            assert document["corrected"]["corrected_mj"] == part["as_corrected"]["energy_mj"]


def random_ledger(where: Path, seed: int) -> Path:
    """Five minutes of a lively site with windows, gaps and a load that rests, all corrected."""
    luck, rig, booked = random.Random(seed), BookRig(where), dict[str, list[int]]()
    for at in range(300):
        mg = luck.randrange(100_000, 900_000)
        flows = {}
        for sink in ("IT-A", "IT-B", "COOLING", "losses"):
            rests = sink == "IT-A" and 120 <= at < 200
            for source, ug_per_mj in (("grid", mg / 3.6e6), ("pv", 0.01), ("BESS-01", 0.05)):
                mj = (
                    0
                    if rests
                    else luck.randrange(10**6, 5 * 10**6) * (8 if sink == "losses" else 1)
                )
                if mj and luck.random() < 0.9:
                    flows[source, sink] = (mj, int(mj * ug_per_mj))
        for sink in ("IT-A", "IT-B"):
            total = sum(mj for (_, to), (mj, _) in flows.items() if to == sink)
            booked.setdefault(sink, []).append(total)
        rig.second(NOON_S + at, flows, mg=mg)
    for part, sink in ((1, "IT-A"), (2, "IT-B")):
        edges = sorted({0, 300, *luck.sample(range(300), 6)})
        for low, high in pairwise(edges):
            mj, gaps, gap_mj = sum(booked[sink][low:high]), [], 0
            if luck.random() < 0.4 and high - low > 3:
                gaps = [[NOON_S + low + 1, NOON_S + high - 2, 3, 8 * (high - low - 2)]]
                gap_mj = sum(booked[sink][low + 1 : high - 1])
            energy_mj = int(mj * luck.uniform(0.9, 1.1)) + (mj == 0) * 10**6
            said = window(sink, mj, energy_mj, NOON_S + low, high - low, gaps=gaps, gap_mj=gap_mj)
            rig.correction(NOON_S + 900, 60, part, said)
    return rig.write()


@pytest.mark.parametrize("seed", range(6))
def test_a_receipt_agrees_with_the_report_to_the_last_unit_wherever_its_time_is_cut(
    tmp_path: Path, seed: int
) -> None:
    """The verifier's sums are its own code's; the report's come from the whole site's cells."""
    where, luck = random_ledger(tmp_path, seed), random.Random(seed)
    edges = (0, *sorted(luck.sample(range(1, 300), 2)), 300)
    for span in pairwise([NOON_S + each for each in edges]):
        books = books_of(where, span)
        for tenant, sink in (("acme", "IT-A"), ("bolt", "IT-B")):
            shown = summary(where, tenant, *span)["as_corrected"]
            document = document_of(where, books=books, tenant=tenant)
            (origin,) = document["origins"]
            assert shown["energy_mj_by_sink"].get(sink, 0) == origin["energy_mj"]
            assert shown["carbon_ug"] == document["corrected"]["receipt_ug"]
            if not document["corrected"]["balance_mj"]:
                by_source = {each["source"]: each["energy_mj"] for each in document["paths"]}
                assert shown["energy_mj_by_source"] == by_source


def test_where_the_site_must_balance_the_report_says_how_far_it_leaves_the_receipt(
    tmp_path: Path,
) -> None:
    """The loads' counters say more than came from the grid: others' cells decide what fed whom."""
    where = two_minutes(
        tmp_path, (1, window("IT-A", 60_000, 90_000, seconds=120)),
        (0, window("COOLING", 0, 30_000, seconds=120)),
    )  # fmt: skip
    shown = summary(where, "acme", *MINUTES)["as_corrected"]
    document = document_of(where, books=books_of(where, MINUTES), tenant="acme")
    own = document["corrected"]
    assert own["corrected_mj"] == shown["energy_mj"] == 90_000
    assert own["receipt_ug"] == shown["carbon_ug"]
    assert own["balance_mj"] > 0
    said = "of it from another source, because here all of the site must add up"
    assert said in html_of(document, {})
    assert own["corrected_ug"] - own["balance_ug"] == shown["carbon_ug"]


def test_energy_of_a_minute_in_which_nothing_fed_the_load_is_unmetered_at_the_highest_factor(
    tmp_path: Path,
) -> None:
    rig = BookRig(tmp_path)
    for at in range(60):
        rig.second(NOON_S + at, {("grid", "IT-B"): (300, 30)}, mg=360_000 + 1_000 * (at == 7))
    rig.correction(NOON_S + 900, 60, 1, window("IT-A", 0, 3_600_000))
    after = summary(rig.write(), "acme", NOON_S, NOON_S + 60)["as_corrected"]
    assert after["energy_mj_by_source"] == {"unmetered": 3_600_000}
    assert after["carbon_ug"] == 361_000


def test_of_two_corrections_of_a_window_the_later_holds_in_a_receipt_too(tmp_path: Path) -> None:
    where = two_minutes(
        tmp_path, (1, window("IT-A", 30_000, 31_000)), (1, window("IT-A", 30_000, 30_500))
    )
    shown = summary(where, "acme", *MINUTES)
    assert shown["change"]["energy_mj"] == 500
    assert len(shown["corrections"]) == 2, "both are told"


def test_a_correction_of_another_kind_is_told_and_changes_nothing(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    for at in range(60):
        rig.second(NOON_S + at, {("grid", "IT-A"): (500, 50)})
        if at == 30:
            rig.correction(NOON_S + 30, 1, 1, {"note": "class plate misread"})
    shown = summary(rig.write(), "acme", NOON_S, NOON_S + 60)
    assert [each["figures"] for each in shown["corrections"]] == [{"note": "class plate misread"}]
    assert shown["as_corrected"] == shown["as_booked"]


def test_a_receipt_says_up_to_when_it_knows_corrections(tmp_path: Path) -> None:
    """A head that was signed before the correction knows nothing of it, and says so."""
    rig = BookRig(tmp_path)
    for at in range(120):
        rig.second(NOON_S + at, {("grid", "IT-A"): (500, 50)})
    early = len(rig.rows)
    rig.correction(NOON_S + 900, 60, 1, window("IT-A", 30_000, 31_000))
    late = len(rig.rows)
    rig.second(NOON_S + 3_600, {("grid", "IT-A"): (500, 50)})
    sign_after(rig, (early, late, len(rig.rows)))
    span = (NOON_S, NOON_S + 60)
    known = {until: summary(tmp_path, "acme", *span, until_s=until) for until in
             (NOON_S, NOON_S + 900, None, NOON_S + 10**6)}  # fmt: skip
    assert [each["change"]["energy_mj"] for each in known.values()] == [0, 1_000, 1_000, 1_000]
    assert [each["head_number"] for each in known.values()] == [0, 1, 2, 2]
    times = [each["corrections_known_to_utc_s"] - NOON_S for each in known.values()]
    assert times == [119, 900, 3_600, 3_600]
    output = tmp_path / "early.receipt"
    words = ("--tenant", "acme", "--from", iso(NOON_S), "--to", iso(NOON_S + 60), "--corrected-to",
             iso(NOON_S), "--ledger", str(tmp_path), "-o", str(output))  # fmt: skip
    assert CliRunner().invoke(command_line("receipt"), ["receipt", *words]).exit_code == 0
    said = stranger.verify_receipt(output, load_public(tmp_path / "rig.key.pub"))
    assert said["head_number"] == 0


def sign_after(rig: BookRig, counts: Sequence[int]) -> None:
    """Write the rig's records with a signed head after so many."""
    done = 0
    with Ledger("rig", rig.where, signer=rig.signer) as ledger:
        for count in counts:
            ledger.append(rig.rows[done:count])
            ledger.sign("interval", (rig.rows[count - 1][0].utc_s + 1) * 10**9, "synchronised")
            done = count


def test_what_a_run_with_other_tenants_says_is_not_asked_of_it(tmp_path: Path) -> None:
    """A later run gives the part to somebody else: the receipt knows what came up to then."""
    rig = BookRig(tmp_path)
    for at in range(60):
        rig.second(NOON_S + at, {("grid", "IT-A"): (500, 50)})
    rig.correction(NOON_S + 100, 60, 1, window("IT-A", 30_000, 31_000))
    rig.tenants = rig.tenants[::-1]
    first = (NOON_S - START_S + 200) * 10
    later = NOON_S + 200
    rig.start(Kind.START, later)
    row, _ = rig.rows[-1]
    start = Row(Kind.START, later, later, 0, -1, row.public, row.parts)
    rig.rows[-1] = (start, Cursor(later))
    rig.correction(later + 1, 60, 1, window("IT-B", 1, 2, later))
    row, _ = rig.rows[-1]
    rig.rows[-1] = (Row(row.kind, later, row.utc_s, first, first - 1, row.public, row.parts), None)
    where = rig.write()
    document = receipt(where, "acme", NOON_S, NOON_S + 60)
    shown = checked(where, document)
    assert shown["change"]["energy_mj"] == 1_000
    assert shown["corrections_known_to_utc_s"] == NOON_S + 100
    assert "part" not in document["records"][-1], "whose loads they are then is not told"
    assert b"IT-B" not in json.dumps(document).encode()


def test_a_correction_of_others_is_there_and_says_nothing(tmp_path: Path) -> None:
    where = two_minutes(tmp_path, (2, window("IT-B", 18_000, 18_600)), (0, window("COOLING", 0, 9)))
    document = receipt(where, "acme", *MINUTES)
    for at in places(document, "correction"):
        assert document["records"][at]["part"] == "", "its own part, and it is empty"
    with Ledger("rig", where, read_only=True) as ledger:
        parts = [part for row in ledger.rows(Kind.CORRECTION) for part in row.parts if part]
    assert len(parts) == 2
    shown = {raw(each["part"]) for each in document["records"] if "part" in each}
    assert not shown & set(parts)
    assert checked(where, document)["corrections"] == []


def correction_of(document: Document) -> dict[str, Any]:
    return document["records"][places(document, "correction")[0]]


def give_part(document: Document, other: Document) -> None:
    own, others = correction_of(document), correction_of(other)
    own.update(part=others["part"], salt=others["salt"])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: hide(correction_of(d)), "head is left out, inside the time or after it"),
        (lambda d: [correction_of(d).pop(each) for each in ("part", "salt")], "part is left out"),
        (lambda d: correction_of(d).update(part=d["records"][-2]["head"]), "part is not the one"),
        (lambda d: d["records"].pop(places(d, "correction")[0]), "stands in its place"),
        (lambda d: d["totals"]["as_corrected"].update(energy_mj=60_000), "it states as_corrected"),
        (lambda d: d["totals"]["as_corrected"]["energy_mj_by_sink"].update({"IT-A": 1}), "by_sink"),
        (lambda d: d["totals"]["change"].update(carbon_ug=0), "it states change carbon_ug 0"),
        (lambda d: d["totals"].update(correction_records=[]), "does not state it"),
        (lambda d: d["totals"]["correction_records"].append(242), "none of this tenant and time"),
        (lambda d: d["totals"]["correction_records"].append(243), "none of this tenant and time"),
        (lambda d: d.pop("totals"), "cannot be read"),
        (lambda d: [hide(each) for each in d["records"][60:70]], "first of its time"),
    ],
)  # fmt: skip
def test_a_receipt_with_altered_corrections_is_refused(
    tmp_path: Path, change: Change, why: str
) -> None:
    """Records: 241 is acme's, 242 bolt's, 243 acme's of another time."""
    where = two_minutes(
        tmp_path, (1, window("IT-A", 60_000, 61_200, seconds=120)),
        (2, window("IT-B", 18_000, 18_600)), (1, window("IT-A", 30_000, 30_001, NOON_S + 120)),
    )  # fmt: skip
    document = receipt(where, "acme", *MINUTES)
    assert checked(where, document)["change"]["energy_mj"] == 1_200
    change(document)
    with pytest.raises(stranger.BadError, match=why):
        checked(where, document)


def test_another_tenants_correction_does_not_fit_into_a_receipt(tmp_path: Path) -> None:
    where = two_minutes(
        tmp_path, (1, window("IT-A", 60_000, 61_200, seconds=120)),
        (2, window("IT-B", 18_000, 18_600)),
    )  # fmt: skip
    own, other = (receipt(where, tenant, *MINUTES) for tenant in ("acme", "bolt"))
    others = other["records"][places(other, "correction")[1]]
    assert unpacked(raw(others["part"]))["figures"]["sink"] == "IT-B"
    at = places(own, "correction")[1]
    own["records"][at].update(part=others["part"], salt=others["salt"])
    with pytest.raises(stranger.BadError, match="not the one that was recorded"):
        checked(where, own)


def test_a_correction_that_was_booked_to_the_wrong_tenant_is_refused(tmp_path: Path) -> None:
    where = two_minutes(tmp_path, (1, window("IT-B", 18_000, 18_600)))
    with pytest.raises(stranger.BadError, match="it corrects IT-B, none of the tenant's"):
        summary(where, "acme", *MINUTES)


def test_seconds_of_a_window_before_the_time_cannot_be_left_out(tmp_path: Path) -> None:
    where = two_minutes(tmp_path, (1, window("IT-A", 45_000, 46_000, NOON_S - 30, 90)))
    document = receipt(where, "acme", *MINUTES)
    assert checked(where, document)["change"]["energy_mj"] == 667
    before = [at for at in places(document, "second") if "part" in document["records"][at]][:30]
    for at in before[:10]:
        hide(document["records"][at])
    with pytest.raises(stranger.BadError, match="not all seconds that it corrects are shown"):
        checked(where, document)


def test_a_receipt_of_the_earlier_form_which_knew_no_corrections_is_not_taken(
    tmp_path: Path,
) -> None:
    where = two_minutes(tmp_path)
    document = receipt(where, "acme", *MINUTES) | {"format": "edgectl.receipt/1"}
    with pytest.raises(stranger.UnreadableError, match="not a receipt of a known form"):
        checked(where, document)
