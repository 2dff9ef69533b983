"""Reports: what stands in them is what the ledger says, in every form, and no more than that."""

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from pypdf import PdfReader
from report_rig import (
    MW_MJ,
    NOON_S,
    SCANS,
    BookRig,
    books_of,
    day,
    document_of,
    figure,
)

from edgectl.accounting.scope2 import Instrument
from edgectl.errors import DataError
from edgectl.ledger import Kind, Ledger
from edgectl.reports import words
from edgectl.reports.certificates import certificates
from edgectl.reports.declared import Declared, lots_of
from edgectl.reports.document import NO_CBAM
from edgectl.reports.figures import balance_of
from edgectl.reports.flow import flow_of
from edgectl.reports.page import html_of, pictures_of, write_pdf
from edgectl.reports.tables import write_csv, write_xlsx


@pytest.fixture(scope="module")
def sunny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes around an hour's end at noon: the battery charges from PV and grid."""
    rig = BookRig(tmp_path_factory.mktemp("sunny"))
    rig.counter(NOON_S - 300, 1, 1_000)
    day(rig, range(NOON_S - 300, NOON_S + 300))
    rig.counter(NOON_S + 299, 1, 51_000)
    return rig.write()


def test_every_form_says_the_same_numbers(sunny: Path, tmp_path: Path) -> None:
    document = document_of(sunny)
    with Ledger("rig", sunny, read_only=True) as ledger:
        totals = ledger.totals()
    mj, ug = sum(totals.energy_mj.values()), sum(totals.carbon_ug.values())
    assert (document["check"]["paths_mj"], document["check"]["paths_ug"]) == (mj, ug)
    pictures = pictures_of(document)

    page = html_of(document, pictures)
    assert f"{words.whole(mj)} mJ" in page
    assert f"{words.whole(ug)} µg" in page
    assert "difference 0 mJ, 0 µg" in page

    write_pdf(document, pictures, tmp_path / "r.pdf")
    told = PdfReader(tmp_path / "r.pdf")
    text = re.sub(r"\s", "", "".join(each.extract_text() for each in told.pages))
    assert f"{mj}mJ" in text
    assert "Partsequaltotals:difference0mJ,0µg" in text

    write_csv(document, tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2, "the period lies in two hours"
    paths = [name for name in rows[0] if ">" in name and name.endswith("_mj")]
    assert sum(int(row[name]) for row in rows for name in paths) == mj
    assert sum(int(row["carbon_ug"]) for row in rows) == ug

    write_xlsx(document, tmp_path / "r.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "r.xlsx")["Paths"]
    cells = list(sheet.iter_rows(min_row=2, values_only=True))
    assert sum(int(row[3]) for row in cells) == mj
    assert sum(int(row[5]) for row in cells) == ug
    assert json.loads(json.dumps(document)) == document


def test_a_difference_is_shown_and_not_hidden(sunny: Path) -> None:
    books = books_of(sunny)
    document = document_of(sunny, books=replace(books, control_mj=books.control_mj - 7))
    assert document["check"]["difference_mj"] == 7
    assert "difference 7 mJ" in html_of(document, {})


def test_the_page_needs_nothing_from_elsewhere(sunny: Path) -> None:
    document = document_of(sunny)
    page = html_of(document, pictures_of(document))
    outside = re.findall(r'(?:src|href)="(?!#)[^"]*"|@import|url\((?!#)[^)]*\)', page)
    assert outside == []
    links = set(re.findall(r'(?:href="|url\()#([^")]+)', page))
    assert links <= set(re.findall(r'id="([^"]+)"', page)), "every reference is on the page"
    assert "#0a0b0c" not in page, "inks that stand for the page's own must be set"


def test_what_pv_put_into_the_battery_comes_out_as_pv(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    held_mj = 0
    for at in range(120):
        if at < 60:
            held_mj += MW_MJ * 95 // 100
            rig.second(NOON_S + at, {("pv", "BESS-01"): (MW_MJ, 0)}, [(held_mj, 0)])
        else:
            held_mj -= MW_MJ * 5 // 10 * 100 // 95
            rig.second(NOON_S + at, {("BESS-01", "IT-A"): (MW_MJ // 2, 0)}, [(held_mj, 0)],
                       given_mj={"BESS-01": (0, MW_MJ // 2, 0, 0)})  # fmt: skip
    origins = books_of(rig.write()).origins()
    assert origins["IT-A", "pv through battery"] == 60 * MW_MJ // 2
    assert sum(mj for (sink, _), mj in origins.items() if sink == "IT-A") == 60 * MW_MJ // 2


def test_origins_are_the_ledgers_own_whenever_the_period_begins(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    for at in range(120):
        flows = {("grid", "BESS-01"): (MW_MJ, 100)} if at < 60 else {
            ("BESS-01", "IT-A"): (9, 1), ("BESS-01", "IT-B"): (6, 1), ("BESS-01", "losses"): (3, 0),
        }  # fmt: skip
        given_mj = {"BESS-01": (6, 10, 1, 1)} if at >= 60 else {}
        rig.second(NOON_S + at, flows, [(10**10, 100)], given_mj=given_mj)
    books = books_of(rig.write(), span=(NOON_S + 60, None))
    assert books.seconds == 60
    by_sink, by_origin = Counter(), Counter()
    for (sink, origin), mj in books.origins().items():
        by_sink[sink] += mj
        by_origin[origin] += mj
    assert by_sink == {"IT-A": 60 * 9, "IT-B": 60 * 6, "losses": 60 * 3}
    assert by_origin == {
        "grid through battery": 60 * 6, "pv through battery": 60 * 10,
        "generator through battery": 60, "battery, origin not known": 60,
    }  # fmt: skip


def test_a_ledger_that_tells_no_origins_leaves_them_unknown(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    rig.second(NOON_S, {("BESS-01", "IT-A"): (9, 1)}, [(10, 100)])
    assert books_of(rig.write()).origins() == {("IT-A", "battery, origin not known"): 9}


def test_pue_counts_losses_and_what_the_battery_lost(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    rig.second(NOON_S, {("grid", "IT-A"): (1000, 4)}, [(0, 0)])
    rig.second(
        NOON_S + 1,
        {("grid", "IT-A"): (1000, 4), ("grid", "COOLING"): (300, 1), ("grid", "losses"): (50, 0),
         ("grid", "BESS-01"): (1000, 4)},
        [(950, 4)],
    )  # fmt: skip
    document = document_of(rig.write())
    balance = document["balance"]
    assert balance["conversion_mj"] == 50
    assert balance["facility_mj"] == 2000 + 300 + 50 + 50
    assert figure(document, "PUE")["value"] == pytest.approx(2400 / 2000)
    assert "category not declared" in figure(document, "PUE")["declared"]


def test_what_is_not_declared_is_said_to_be_so(sunny: Path) -> None:
    document = document_of(sunny)
    assert figure(document, "WUE") | {"standard": ""} == {
        "name": "WUE", "value": None, "as_booked": None, "low": None, "high": None,
        "unit": "L/kWh", "standard": "",
        "declared": "no water meter declared",
    }  # fmt: skip
    assert figure(document, "REF")["value"] is None
    assert document["scope2"]["market"]["carbon_ug"] is None, "no residual mix, no site file"
    assert document["marginal"]["carbon_ug"] is None
    origins = {each["key"]: each["origin"] for each in document["indicators"]}
    assert len(origins) == 24
    assert {key for key, said in origins.items() if said == "measured"} == {"E_DC", "E_IT"}


def test_what_is_declared_fills_the_indicators(sunny: Path) -> None:
    said = Declared.model_validate({
        "period": {"water_m3": 2.0, "heat_reused_kwh": 100.0},
        "renewable": {"onsite_certificates": "cancelled"},
        "indicator": {"P_DI": 6000, "NONSENSE": 1},
        "factors": {"marginal_g_per_kwh": 600, "residual_g_per_kwh": 500},
    })  # fmt: skip
    document = document_of(sunny, said)
    balance = document["balance"]
    it_kwh = balance["it_mj"] / 3.6e9
    assert figure(document, "WUE")["value"] == pytest.approx(2000 / it_kwh)
    assert figure(document, "REF")["value"] == pytest.approx(
        balance["pv_used_mj"] / balance["facility_mj"]
    )
    rows = {each["key"]: each for each in document["indicators"]}
    assert (rows["P_DI"]["value"], rows["P_DI"]["origin"]) == (6000, "declared")
    assert rows["E_RES-OS"]["value"] == pytest.approx(balance["pv_used_mj"] / 3.6e9)
    assert document["indicators_unknown"] == ["NONSENSE"]
    assert "no inventory" in document["marginal"]["label"]
    market, location = document["scope2"]["market"], document["scope2"]["location"]
    assert market["carbon_ug"] == pytest.approx(location["energy_mj"] * 500_000 / 3.6e6, abs=4)
    assert "total" not in document["scope2"], "the two ledgers have no sum"


CONTRACT = {
    "id": "W", "instrument": "ppa", "issuer": "R", "generator": "wind", "market": "US-TEX-ERCO",
    "g_per_kwh": 0,
}  # fmt: skip


def test_a_surplus_of_one_hour_helps_no_other(sunny: Path) -> None:
    deliveries = [("2026-01-01T11:00:00Z", 1e6)]
    said = Declared.model_validate({
        "contract": [CONTRACT | {"deliveries": deliveries}],
        "factors": {"residual_g_per_kwh": 500},
    })  # fmt: skip
    document = document_of(sunny, said)
    first, second = document["market_hours"]
    assert (first["residual_mj"], first["by_contract_mj"]["W"]) == (0, first["bought_mj"])
    assert (second["residual_mj"], second["by_contract_mj"]) == (second["bought_mj"], {})
    assert document["scope2"]["market"]["hidden_by_annual_matching_mj"] == second["bought_mj"]
    scores = [each["cfe_score"] for each in document["hours"]]
    assert scores[0] == 1.0
    assert scores[1] < 1.0


def test_contracts_come_from_a_file_too(sunny: Path, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("start_utc,kwh\n2026-01-01T11:00:00,2.5\n")
    said = Declared.model_validate({"contract": [CONTRACT | {"file": "w.csv"}]})
    (lot,) = lots_of(said, tmp_path)
    assert (lot.instrument, lot.energy_mj) == (Instrument.PPA, 9_000_000_000)
    delivered = {"deliveries": [("2026-01-01T11:00:00Z", 1)]}
    twice = Declared.model_validate(
        {"contract": [CONTRACT | delivered, CONTRACT | delivered | {"id": "V"}]}
    )
    with pytest.raises(DataError, match="claims generator"):
        document_of(sunny, twice)


def test_sold_certificates_take_pv_out_of_every_claim(sunny: Path) -> None:
    said = Declared.model_validate({
        "renewable": {"onsite_certificates": "sold"}, "factors": {"residual_g_per_kwh": 500},
    })  # fmt: skip
    document = document_of(sunny, said)
    assert figure(document, "REF")["value"] == 0
    assert figure(document, "CFE score")["value"] == 0
    market = document["scope2"]["market"]["energy_mj"]
    assert market == document["balance"]["grid_mj"] + document["balance"]["pv_mj"]


def test_sci_names_its_counter(sunny: Path) -> None:
    document = document_of(sunny)
    (row,) = document["sci"]
    assert (row["units"], row["unit"], row["source"]) == (50_000, "token", "gateway-1")
    assert row["g_per_unit"] == pytest.approx(row["operational_g"] / 50_000)
    assert "too low" in row["embodied_said"]


def test_a_tenant_learns_nothing_of_the_others(sunny: Path) -> None:
    document = document_of(sunny, tenant="acme")
    whole = document_of(sunny)
    told = json.dumps(document)
    others = [each for each in whole["paths"] if each["sink"] != "IT-A"]
    for each in others:
        assert str(each["energy_mj"]) not in told
    for secret in ("bolt", "Bolt", "IT-B", "COOLING", str(whole["check"]["ledger_mj"]),
                   str(whole["balance"]["it_mj"])):  # fmt: skip
        assert secret not in told
    own = [each for each in whole["paths"] if each["sink"] == "IT-A"]
    assert document["paths"] == own
    assert figure(document, "PUE") == figure(whole, "PUE")
    page = html_of(document, pictures_of(document))
    assert "IT-B" not in page
    assert "Acme Ltd" in page


def test_gaps_are_counted_and_refuse_the_statement(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    for at in range(20):
        rig.second(NOON_S + at, {("grid", "IT-A"): (100, 1)}, substituted=3)
    rig.gap(NOON_S + 25, 50)
    rig.second(NOON_S + 25, {("grid", "IT-A"): (100, 1)}, clock="unsynchronised")
    document = document_of(rig.write())
    coverage = document["coverage"]
    assert coverage["seconds_without_record"] == 5
    assert coverage["readings"]["substituted"] == 60
    assert coverage["readings"]["missing"] == 5 * SCANS * 6
    assert not coverage["verifiable"]
    assert document["quality"]["clock_seconds"] == {"synchronised": 20, "unsynchronised": 1}
    assert document["quality"]["gaps"][0]["scans"] == 50
    assert "not a verifiable statement" in html_of(document, {})


@pytest.mark.parametrize("batteries", [(), ("BESS-01",)])
def test_one_second_without_pv_is_a_report(tmp_path: Path, batteries: tuple[str, ...]) -> None:
    rig = BookRig(tmp_path, batteries=batteries, tenants=())
    rig.second(NOON_S, {("grid", "COOLING"): (100, 1)})
    document = document_of(rig.write())
    assert figure(document, "PUE")["value"] is None
    assert "IT energy is 0 mJ" in figure(document, "PUE")["declared"]
    page = html_of(document, pictures_of(document))
    assert "2026-01-01 12:00:00 to 2026-01-01 12:00:01 UTC" in page
    assert certificates(books_of(tmp_path), None)["certificates"] == []


def test_a_second_in_which_nothing_flowed_has_no_picture(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    rig.second(NOON_S, {})
    document = document_of(rig.write())
    assert flow_of(document) is None
    assert html_of(document, pictures_of(document))


def test_certificates_are_whole_and_storage_takes_its_share(sunny: Path) -> None:
    books = books_of(sunny)
    made = certificates(books, None)
    pv_mj = sum(mj for (source, _), mj in books.energy().items() if source == "pv")
    issued = sum(each["bundle_quantity"] for each in made["certificates"])
    assert pv_mj // 3_600_000 - len(made["certificates"]) <= issued <= pv_mj // 3_600_000
    assert len({each["issuance_id"] for each in made["certificates"]}) == 2
    (battery,) = made["storage"]
    into_mj = sum(mj for way, mj in books.energy().items() if way == ("pv", "BESS-01"))
    cancelled = sum(each["certificates_cancelled_wh"] for each in battery["charge_records"])
    assert into_mj // 3_600_000 - 2 < cancelled <= into_mj // 3_600_000
    assert all(each["is_charging"] for each in battery["charge_records"])


def test_a_discharge_is_allocated_to_what_charged_it(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    rig.second(NOON_S, {("pv", "BESS-01"): (3 * MW_MJ, 0), ("grid", "BESS-01"): (MW_MJ, 9)},
               [(4 * MW_MJ * 95 // 100, 9)])  # fmt: skip
    rig.second(NOON_S + 3_600, {("BESS-01", "IT-A"): (2 * MW_MJ, 4)}, [(MW_MJ, 5)])
    (battery,) = certificates(books_of(rig.write()), None)["storage"]
    parts = battery["allocated"]
    assert sum(each["sdr_proportion"] for each in parts) == pytest.approx(1)
    assert parts[-1]["scr_id"] == battery["charge_records"][0]["id"]
    (issued,) = battery["certificates"]
    assert issued["is_storage"]
    assert issued["bundle_quantity"] == 3 * 2 * MW_MJ // 4 // 3_600_000


def test_a_coarser_meter_makes_a_wider_interval(sunny: Path) -> None:
    def width(accuracy_class: str) -> float:
        said = Declared.model_validate({"meter": [
            {"device": name, "accuracy_class": accuracy_class} for name in ("IT-A", "IT-B")
        ]})  # fmt: skip
        shown = figure(document_of(sunny, said), "Energy of the IT equipment")
        assert shown["low"] < shown["value"] < shown["high"]
        return float(shown["high"] - shown["low"])

    assert width("0.2S") < width("0.5S") < width("2")


def test_every_page_says_what_is_no_cbam_good(sunny: Path) -> None:
    document = document_of(sunny)
    page = html_of(document, {})
    assert NO_CBAM in page
    assert "CBAM compliant" not in page
    assert balance_of(books_of(sunny)).facility_mj == document["balance"]["facility_mj"]


def test_a_load_that_was_taken_out_still_counts(tmp_path: Path) -> None:
    rig = BookRig(tmp_path, tenants=())
    rig.second(NOON_S, {("grid", "IT-A"): (500, 1), ("grid", "IT-B"): (500, 1)})
    del rig.loads["IT-B"]
    rig.sinks.remove("IT-B")
    rig.start()
    rig.second(NOON_S + 1, {("grid", "IT-A"): (500, 1)})
    document = document_of(rig.write())
    assert document["balance"]["it_mj"] == 1500
    assert document["quality"]["restarts"] == 1
    assert {row["sink"]: row["kind"] for row in document["origins"]}["IT-B"] == "it"


def test_a_month_that_begins_with_names_alone_can_be_read(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    rig.rows.clear()
    rig.start(Kind.NAMES)
    rig.second(NOON_S, {("grid", "IT-A"): (500, 1)})
    assert books_of(rig.write()).energy() == {("grid", "IT-A"): 500}


def test_numbers_are_said_in_a_unit_that_fits() -> None:
    plain = {
        words.energy(3_599_999): "1.000 Wh", words.energy(0): "0 Wh",
        words.energy(-5 * 3_600_000_000): "\u22125.000 kWh",
        words.energy(10_082_826_999_455): "2.801 MWh", words.mass(978_091_966_728): "978.1 kg",
        words.percent(0.99999): "> 99.9 %", words.percent(2.5e-8): "< 0.001 %",
        words.percent(1): "100 %", words.percent(0): "0 %",
        words.duration(90_061): "1 d 1 h", words.duration(0): "0 s",
        words.off(200.0, 190.0, 210.0): "±5.0 %", words.off(0.0, 0.0, 1.0): "",
        words.off(100.0, 0.0, 115.0): "\u2212100 / +15 %", words.unit("m3"): "m³",
        words.whole(1_234_567): "1\u202f234\u202f567", words.number(0.000123456): "0.0001235",
        words.number(9.99972): "10.00", words.number(0.99996, 3): "1.00",
    }  # fmt: skip
    for said, expected in plain.items():
        assert said.replace("\u00a0", " ") == expected


def test_contract_energy_that_charged_the_battery_is_no_clean_consumption(tmp_path: Path) -> None:
    rig = BookRig(tmp_path)
    rig.second(NOON_S, {("grid", "IT-A"): (3 * MW_MJ, 1), ("grid", "BESS-01"): (MW_MJ, 1)},
               [(MW_MJ, 1)])  # fmt: skip
    rig.second(NOON_S + 1, {("BESS-01", "IT-A"): (MW_MJ, 1)}, [(0, 0)])
    delivered = [("2026-01-01T12:00:00Z", 4 * MW_MJ / 3.6e9)]
    said = Declared.model_validate({"contract": [CONTRACT | {"deliveries": delivered}]})
    document = document_of(rig.write(), said)
    assert document["market_hours"][0]["residual_mj"] <= 4
    assert figure(document, "CFE score")["value"] == pytest.approx(3 / 4, abs=1e-6)


def test_more_heat_than_energy_is_no_figure(sunny: Path) -> None:
    said = Declared.model_validate({"period": {"heat_reused_kwh": 1e7}})
    shown = figure(document_of(sunny, said), "ERF")
    assert shown["value"] is None
    assert "1e+07 kWh of heat are declared, more than" in shown["declared"]
    half = Declared.model_validate({"period": {"heat_reused_kwh": 10.0}})
    document = document_of(sunny, half)
    facility_mj = document["balance"]["facility_mj"]
    assert figure(document, "ERF")["value"] == pytest.approx(10 * 3.6e9 / facility_mj)
