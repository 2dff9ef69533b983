"""edgectl report and export: what is written, what is refused, and with which exit status."""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import msgpack
import pytest
from pypdf import PdfReader
from receipt_rig import window
from report_rig import START_S, BookRig, books_of, day, document_of
from typer.testing import CliRunner, Result

from edgectl.cli.main import command_line
from edgectl.errors import EdgectlError
from edgectl.ledger import Ledger
from edgectl.reports import extras
from edgectl.reports.words import iso

NOON_S = START_S + 12 * 3_600
MONTH_END_S = START_S + 31 * 86_400


def edgectl(*words: str | Path) -> Result:
    """Run a verb as the console script does."""
    return CliRunner().invoke(command_line(str(words[0])), [str(each) for each in words])


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rig = BookRig(tmp_path_factory.mktemp("ledger"))
    day(rig, range(NOON_S, NOON_S + 60))
    return rig.write()


def refusal(*words: str | Path) -> str:
    result = edgectl(*words)
    assert isinstance(result.exception, EdgectlError), result.output
    assert result.exception.exit_code == 2
    return str(result.exception)


def test_all_forms_are_written_and_the_check_is_printed(ledger: Path, tmp_path: Path) -> None:
    key = ledger / "rig.key.pub"
    result = edgectl("report", "--ledger", ledger, "--site", "rig", "-o", tmp_path, "--key", key)
    assert result.exit_code == 0, result.output
    assert "parts equal totals: difference 0 mJ, 0 ug" in result.output
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "certificates.json", "evidence.zip", "report.csv", "report.html", "report.json",
        "report.pdf", "report.xlsx",
    ]  # fmt: skip
    said = json.loads((tmp_path / "report.json").read_text())
    assert said["ledger"]["good"]
    assert said["ledger"]["pinned"]
    assert said["ledger"]["root"] in (tmp_path / "report.html").read_text()


def test_only_what_was_asked_for_is_written(ledger: Path, tmp_path: Path) -> None:
    assert (
        edgectl("report", "--ledger", ledger, "--only", "json,csv", "-o", tmp_path).exit_code == 0
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report.csv", "report.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tenant", "nobody"), "there is no tenant 'nobody'; there are: acme, bolt"),
        (("--from", "2026-01-02", "--to", "2026-01-01"), "begins at 2026-01-02T00:00:00Z and ends"),
        (("--from", "2027-01-01"), "the ledger covers 2026-01-01T12:00:00Z"),
        (("--from", "2026-01-01T13:00", "--to", "2026-01-01T14:00"), "has no second from 2026"),
        (("--from", "yesterday"), "'yesterday' is not a date"),
        (("--site", "other"), "it holds the ledger of rig, not of other"),
        (("--only", "html,doc"), "no form doc"),
        (("--only", ""), "no form is named"),
        (("--tenant", "acme", "--only", "evidence"), "evidence show the whole site"),
        (("--declared", "absent.toml"), "No such file"),
    ],
)
def test_what_makes_no_sense_is_refused(
    ledger: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    output = tmp_path / "report"
    assert said in refusal("report", "--ledger", ledger, "-o", output, "--only", "json", *words)
    assert not output.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[operator]\nnmae = 'x'", "operator.nmae"),
        ("[period]\nwater_m3 = -1", "period.water_m3"),
        ("[[meter]]\ndevice = 'G'\naccuracy_class = '0.3'", "class '0.3'; known are 0.1S"),
        ("[[meter]]\ndevice = 'G'\naccuracy_class = '1'\ntransformer_class = '7'", "class '7'"),
        ("[factors]\nresidual_g_per_kwh = 1e9", "factors.residual_g_per_kwh"),
        ("not toml", "Expected"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(
    ledger: Path, tmp_path: Path, text: str, said: str
) -> None:
    declared = tmp_path / "declared.toml"
    declared.write_text(text)
    words = ("report", "--ledger", ledger, "--declared", declared, "-o", tmp_path, "--only", "json")
    assert said in refusal(*words)


def test_a_ledger_that_does_not_verify_is_refused_or_said_in_red(tmp_path: Path) -> None:
    rig = BookRig(tmp_path / "ledger")
    day(rig, range(NOON_S, NOON_S + 20))
    rig.write()
    words = ("report", "--ledger", rig.where, "-o", tmp_path / "out", "--only", "html,json")
    stranger = BookRig(tmp_path / "stranger").key.with_suffix(".key.pub")
    result = edgectl(*words, "--key", stranger)
    assert result.exit_code == 1
    assert "does not verify" in result.output
    assert not (tmp_path / "out").exists()
    assert edgectl(*words, "--key", stranger, "--unverified").exit_code == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "THIS LEDGER DOES NOT VERIFY" in page
    assert 'class="verdict bad"' in page
    assert "The ledger verifies" not in page


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras, "import_module", absent)
    with pytest.raises(EdgectlError, match=r"pip install 'edgectl\[report\]'"):
        extras.need("weasyprint", "report.pdf")


@pytest.mark.parametrize("form", ["pdf", "evidence"])
def test_a_missing_package_is_told_before_anything_is_written(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    output = tmp_path / "report"
    said = refusal("report", "--ledger", ledger, "-o", output, "--only", f"json,{form}")
    assert f"{form}: the package weasyprint is not installed" in said
    assert not output.exists()


def test_a_ledger_without_a_second_or_none_at_all_is_told(tmp_path: Path) -> None:
    where = BookRig(tmp_path / "ledger").write()
    words = ("-o", tmp_path / "report", "--only", "json")
    assert "has no second in it" in refusal("report", "--ledger", where, *words)
    result = edgectl("report", "--ledger", tmp_path / "none", *words)
    assert isinstance(result.exception, EdgectlError)
    assert result.exception.exit_code == 6
    assert not (tmp_path / "report").exists()


def test_a_missing_library_of_the_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise OSError("cannot load library 'libpango-1.0-0'")

    monkeypatch.setattr(extras, "import_module", broken)
    with pytest.raises(EdgectlError, match="libpango") as caught:
        extras.need("weasyprint", "report.pdf")
    assert "apt-get install" in caught.value.remedy
    assert "--only html" in caught.value.remedy


def proved(record: dict[str, Any], size: int) -> str:
    """Root that a record of a sample leads to: written from docs/ledger.md, nothing of ours."""

    def sha(*parts: bytes) -> bytes:
        return hashlib.sha256(b"".join(parts)).digest()

    commitments = [
        sha(b"\x02", base64.b64decode(each["salt"]), base64.b64decode(each["part"]))
        for each in record["parts"]
    ]
    node = sha(b"\x00", base64.b64decode(record["head"]), *commitments)
    at, last = record["seq"], size - 1
    for sibling in map(bytes.fromhex, record["proof"]):
        if at % 2 or at == last:
            node = sha(b"\x01", sibling, node)
            while not at % 2 and at:
                at, last = at // 2, last // 2
        else:
            node = sha(b"\x01", node, sibling)
        at, last = at // 2, last // 2
    return node.hex()


def pack(ledger: Path, output: Path, *words: str | Path) -> zipfile.ZipFile:
    result = edgectl("report", "--ledger", ledger, "-o", output, "--only", "evidence", *words)
    assert result.exit_code == 0, result.output
    return zipfile.ZipFile(output / "evidence.zip")


def test_a_verifier_can_prove_the_sample_alone(ledger: Path, tmp_path: Path) -> None:
    with pack(ledger, tmp_path, "--seed", "7") as files:
        sample = json.loads(files.read("sample.json"))
        hashes = json.loads(files.read("manifest.json"))["sha256"]
        assert all(hashlib.sha256(files.read(n)).hexdigest() == h for n, h in hashes.items())
        assert set(hashes) == set(files.namelist()) - {"manifest.json"}
    assert len(sample["records"]) == 25
    head = json.loads(json.loads(sample["head"])["head"])
    assert (head["size"], head["root"]) == (sample["size"], sample["root"])
    assert {proved(each, sample["size"]) for each in sample["records"]} == {sample["root"]}
    altered = json.loads(json.dumps(sample["records"][0]))
    content = msgpack.unpackb(base64.b64decode(altered["head"]))
    altered["head"] = base64.b64encode(msgpack.packb(content | {"scans": 9})).decode()
    assert proved(altered, sample["size"]) != sample["root"]


def alone(root: Path, record: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """The stranger's program, with no edgectl to import."""
    words = [sys.executable, "-I", root / "tools" / "verify_ledger.py", "record", record]
    return subprocess.run([*words, "--key", key], capture_output=True, text=True, check=False)


def test_each_sampled_record_is_a_file_that_the_strangers_program_checks(
    ledger: Path, tmp_path: Path, root: Path
) -> None:
    with pack(ledger, tmp_path, "--seed", "7") as files:
        names = [each for each in files.namelist() if each.startswith("sample/")]
        files.extractall(tmp_path)
    assert len(names) == 25
    key = ledger / "rig.key.pub"
    for name in names[:2] + names[-1:]:
        ended = alone(root, tmp_path / name, key)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        said = json.loads(ended.stdout)
        assert name == f"sample/record-{said['record']:09d}.json"
        with Ledger("rig", ledger, read_only=True) as opened:
            (row,) = [each for each in opened.rows() if each.seq == said["record"]]
        assert said["utc_s"] == row.utc_s
    stranger = BookRig(tmp_path / "stranger").key.with_suffix(".key.pub")
    assert alone(root, tmp_path / names[0], stranger).returncode == 1


@pytest.mark.parametrize("what", ["record", "part", "salt", "proof", "seq"])
def test_a_sampled_record_that_was_altered_does_not_check(
    ledger: Path, tmp_path: Path, root: Path, what: str
) -> None:
    with pack(ledger, tmp_path) as files:
        name = next(each for each in files.namelist() if each.startswith("sample/"))
        said = json.loads(files.read(name))
    if what == "seq":
        said["seq"] += 1
    elif what == "proof":
        said["proof"] = said["proof"][:-1]
    else:
        place = said if what == "record" else said["parts"][0]
        content = bytearray(base64.b64decode(place[what]))
        content[-1] ^= 1
        place[what] = base64.b64encode(content).decode()
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(said))
    ended = alone(root, altered, ledger / "rig.key.pub")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "BAD. record" in ended.stdout


def test_the_pack_has_the_same_page_as_pdf_with_numbered_pages(
    ledger: Path, tmp_path: Path
) -> None:
    with pack(ledger, tmp_path) as files:
        pages = PdfReader(io.BytesIO(files.read("evidence.pdf"))).pages
        html = files.read("evidence.html").decode()
    texts = [page.extract_text() for page in pages]
    for at, text in enumerate(texts, start=1):
        assert f"{at} / {len(texts)}" in text
    whole = "".join(texts)
    for heading in re.findall("<h2>(.*?)</h2>", html):
        assert heading.replace("&#39;", "'") in whole
    assert "CBAM compliant" not in whole
    factors = html[html.index("<td>Factors</td>") :].partition("</tr>")[0]
    assert "zone US-TEX-ERCO" in factors, "the grid factor's own method, not another row's"
    assert "GUM, k = 2" in html


def test_the_same_seed_makes_the_same_sample(ledger: Path, tmp_path: Path) -> None:
    found = []
    for at, seed in enumerate(("7", "7", "8")):
        with pack(ledger, tmp_path / str(at), "--seed", seed) as files:
            found.append(files.read("sample.json"))
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_without_a_covered_good_there_is_no_xml(ledger: Path, tmp_path: Path) -> None:
    with pack(ledger, tmp_path) as files:
        assert "indirect.xml" not in files.namelist()
        readme = files.read("README.txt").decode()
        page = files.read("evidence.html").decode()
        weighed = json.loads(files.read("materiality.json"))
    assert "data-centre services are not CBAM goods today" in readme
    assert "CBAM compliant" not in readme + page
    assert weighed["threshold_ratio"] == 0.05
    assert weighed["rows"][0]["t"] == 0.0


GOOD = """
[cbam_good]
cn_code = "76011000"
description = "unwrought aluminium"
produced_t = 12.5
determination_type = "01"
emission_factor_source = "D4b"
electricity_source = "SOE01"
measurement_unit = "{unit}"
"""


def test_the_xml_is_held_against_the_transitional_schema(
    ledger: Path, tmp_path: Path, shared: Path
) -> None:
    schema = shared / "carbon" / "vectors" / "cbam" / "QReport_v19.00.xsd"
    if not schema.is_file():
        pytest.skip(f"XML NOT VALIDATED: {schema} is not there")
    declared = tmp_path / "declared.toml"
    declared.write_text(GOOD.format(unit="TNE"))
    words: tuple[str | Path, ...] = ("--declared", declared, "--cbam-xsd", schema)
    with pack(ledger, tmp_path / "good", *words) as files:
        assert "valid against QReport_v19.00.xsd" in files.read("README.txt").decode()
        assert b"<SpecificEmbeddedEmissions>" in files.read("indirect.xml")
    declared.write_text(GOOD.format(unit="far too long"))
    with pack(ledger, tmp_path / "bad", *words) as files:
        assert "NOT VALID: line" in files.read("README.txt").decode()


def test_xml_that_was_not_validated_says_so(ledger: Path, tmp_path: Path) -> None:
    declared = tmp_path / "declared.toml"
    declared.write_text(GOOD.format(unit="TNE"))
    with pack(ledger, tmp_path / "none", "--declared", declared) as files:
        assert "NOT VALIDATED: no schema was given" in files.read("README.txt").decode()
    with pack(ledger, tmp_path / "gone", "--declared", declared, "--cbam-xsd", "no.xsd") as files:
        assert "NOT VALIDATED: no.xsd is not there" in files.read("README.txt").decode()


def test_exported_columns_add_up_to_the_ledger(tmp_path: Path) -> None:
    rig = BookRig(tmp_path / "ledger")
    day(rig, range(MONTH_END_S - 30, MONTH_END_S + 30))
    rig.write()
    output = tmp_path / "parquet"
    result = edgectl("export", "--parquet", "--ledger", rig.where, "-o", output)
    assert result.exit_code == 0, result.output
    with Ledger("rig", rig.where, read_only=True) as opened:
        totals, heads = opened.totals(), len(opened.heads())

    def asked(question: str, table: str) -> Any:
        place = f"'{output}/{table}/**/*.parquet'"
        return duckdb.sql(question.format(f"read_parquet({place}, hive_partitioning=true)"))

    rows = asked("SELECT source, sink, sum(energy_mj), sum(carbon_ug) FROM {} GROUP BY ALL",
                 "paths").fetchall()  # fmt: skip
    assert {(a, b): mj for a, b, mj, _ in rows} == dict(totals.energy_mj)
    assert {(a, b): ug for a, b, _, ug in rows} == dict(totals.carbon_ug)
    months = asked("SELECT month, count(*) FROM {} GROUP BY 1 ORDER BY 1", "seconds").fetchall()
    assert months == [("2026-01", 30), ("2026-02", 30)]
    own = asked("SELECT sum(energy_mj) FROM {} WHERE tenant = 'acme'", "tenants").fetchall()
    assert own[0][0] == sum(mj for (_, sink), mj in totals.energy_mj.items() if sink == "IT-A")
    assert duckdb.sql(f"SELECT count(*) FROM '{output}/heads.parquet'").fetchall() == [(heads,)]


def test_paths_and_changes_of_the_export_are_the_corrected_sums_of_the_report(
    tmp_path: Path,
) -> None:
    """The query that docs/reports.md gives, on a ledger whose windows reach over its period."""
    rig = BookRig(tmp_path / "ledger")
    day(rig, range(NOON_S, NOON_S + 240))
    for part, sink, booked_mj, energy_mj in (
        (1, "IT-A", 720_000_000_000, 730_000_000_001),
        (1, "IT-A", 720_000_000_000, 725_000_000_000),
        (2, "IT-B", 350_000_000_000, 349_000_000_000), (0, "COOLING", 1, 500_000_000_002),
    ):  # fmt: skip
        rig.correction(NOON_S + 900, 60, part, window(sink, booked_mj, energy_mj, seconds=240))
    rig.write()
    output, span = tmp_path / "parquet", ("--from", iso(NOON_S + 30), "--to", iso(NOON_S + 200))
    found = edgectl("export", "--parquet", "--ledger", rig.where, "-o", output, *span)
    assert found.exit_code == 0, found.output
    (query,) = re.findall(r'duckdb -c "(SELECT[^"]* UNION ALL\s[^"]*)"',
                          Path("docs/reports.md").read_text(encoding="utf-8"))  # fmt: skip
    rows = duckdb.sql(query.replace("parquet/", f"{output}/")).fetchall()
    books = books_of(rig.where, (NOON_S + 30, NOON_S + 200))
    after, before = document_of(rig.where, books=books), books.energy()
    assert {(a, b): (int(mj), int(ug)) for a, b, mj, ug in rows if mj or ug} == {
        (each["source"], each["sink"]): (each["energy_mj"], each["carbon_ug"])
        for each in after["paths"]
    }
    assert {(a, b): mj for a, b, mj, _ in rows if mj} != dict(before)
    held = duckdb.sql(f"SELECT tenant, name, holds FROM '{output}/corrections.parquet'").fetchall()
    assert held == [("acme", "IT-A", False), ("acme", "IT-A", True), ("bolt", "IT-B", True),
                    (None, "COOLING", True)]  # fmt: skip


def test_an_export_without_corrections_has_empty_tables_for_the_same_query(
    ledger: Path, tmp_path: Path
) -> None:
    output = tmp_path / "parquet"
    assert edgectl("export", "--parquet", "--ledger", ledger, "-o", output).exit_code == 0
    for table in ("corrections", "changes"):
        assert duckdb.sql(f"SELECT count(*) FROM '{output}/{table}.parquet'").fetchall() == [(0,)]


def test_two_exports_do_not_mix(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    assert "is not empty" in refusal("export", "--parquet", "--ledger", ledger, "-o", tmp_path)
    assert "no form was named" in refusal("export", "--ledger", ledger, "-o", tmp_path / "new")


def test_reports_write_nothing_into_the_ledger(ledger: Path, tmp_path: Path) -> None:
    def digests() -> dict[str, str]:
        return {
            each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in ledger.iterdir()
        }

    before = digests()
    assert edgectl("report", "--ledger", ledger, "-o", tmp_path, "--only", "json").exit_code == 0
    assert digests() == before


def test_a_folder_that_cannot_be_written_is_named(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refusal("report", "--ledger", ledger, "-o", tmp_path / "file" / "x", "--only", "json")
    assert "it cannot be written: Not a directory" in said


def test_a_contract_that_claims_nothing_ends_with_its_own_status(
    ledger: Path, tmp_path: Path
) -> None:
    declared = tmp_path / "declared.toml"
    declared.write_text(
        "[[contract]]\nid = 'W'\ninstrument = 'ppa'\nissuer = 'R'\ngenerator = 'w'\n"
        "market = 'US-TEX-ERCO'\ng_per_kwh = 0\ncancelled = false\n"
        "deliveries = [['2026-01-01T12:00:00Z', 1]]\n"
    )
    result = edgectl("report", "--ledger", ledger, "--declared", declared, "-o", tmp_path)
    assert isinstance(result.exception, EdgectlError)
    assert result.exception.exit_code == 9
    assert "certificates are not cancelled" in str(result.exception)
