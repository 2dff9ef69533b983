"""CBAM cement, SCI, CodeCarbon, EED and the storage example S1, through the accounting."""

import json
import math
import zipfile
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from edgectl.accounting import cbam, fuel_mix, kpi
from edgectl.accounting.storage import Inventory, Method, Rules

KWH_MJ = 3_600_000_000
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
DOCUMENT = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
GRID, CPU = "grid/carbon-intensity", "cpu/thermal-design-power"


@pytest.fixture(scope="module")
def vectors(shared: Path) -> Path:
    folder = shared / "carbon" / "vectors"
    if not folder.is_dir():
        pytest.skip(f"PUBLIC VECTORS NOT TESTED: {folder} is missing")
    return folder


def cells(path: Path, sheet: str) -> dict[str, str]:
    """Numbers of one sheet of a workbook, as their text, by cell."""
    with zipfile.ZipFile(path) as book:
        names = ElementTree.fromstring(book.read("xl/workbook.xml"))
        (wanted,) = [
            each.get(DOCUMENT) for each in names.iter(f"{SHEET}sheet") if each.get("name") == sheet
        ]
        links = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
        (target,) = [each.get("Target") for each in links if each.get("Id") == wanted]
        content = ElementTree.fromstring(book.read(f"xl/{target}"))
    found = {}
    for cell in content.iter(f"{SHEET}c"):
        value = cell.find(f"{SHEET}v")
        if value is not None and value.text and cell.get("t") is None:
            found[str(cell.get("r"))] = value.text
    return found


@pytest.fixture(scope="module")
def cement(vectors: Path) -> tuple[cbam.Good, dict[str, str], dict[str, str]]:
    """The good of the Commission's template v2.1, from the cells a person fills in."""
    book = vectors / "cbam" / "cement-example.xlsx"
    process = cells(book, "D_Processes")
    results = cells(book, "Summary_Processes")
    made_t = Fraction(1_255_000) / Fraction("0.95")  # the formula of L16
    good = cbam.Good(
        activity_t=made_t,
        direct_t=Fraction(process["L54"]),
        electricity_mwh=made_t * Fraction("0.085") + 81_575,  # the formula of L65
        factor_t_per_mwh=exact(float(process["L66"])),
    )
    assert float(process["L16"]) == float(made_t)
    return good, process, results


def test_cbam_cement_to_the_last_digit(
    cement: tuple[cbam.Good, dict[str, str], dict[str, str]],
) -> None:
    good, process, results = cement
    found = cbam.embedded(good)
    assert float(good.electricity_mwh) == float(process["L65"]) == 193_864.47368421053
    assert float(good.factor_t_per_mwh) == 0.833
    assert float(found.indirect_t) == float(process["T66"]) == 161_489.10657894737
    assert float(good.activity_t) == float(process["L24"]) == 1_321_052.6315789474
    assert float(found.direct) == float(results["G102"]) == 0.7852147410358565
    assert float(found.indirect) == float(results["I102"]) == 0.12224275
    # The sheet adds two doubles, and so can we; the exact sum lies one unit in the last place off.
    sheet_total = float(results["K165"])
    assert float(found.direct) + float(found.indirect) == sheet_total == 0.9074574910358565
    assert abs(found.total - Fraction(sheet_total)) < math.ulp(sheet_total)
    assert found.electricity_mwh_per_t == Fraction("0.14675")
    assert found.indirect == Fraction("0.12224275"), "and exactly so"


def test_cbam_figures_are_rounded_to_five_decimals_last_of_all(
    cement: tuple[cbam.Good, dict[str, str], dict[str, str]],
) -> None:
    found = cbam.embedded(cement[0])
    assert str(cbam.rounded(found.direct)) == "0.78521"
    assert str(cbam.rounded(found.indirect)) == "0.12224"
    assert str(cbam.rounded(Fraction("0.000005"))) == "0.00000", "half to even, as declared"


def test_waste_gas_of_the_template() -> None:
    """12 800 TJ of waste gas at 56.1 t/TJ: 478 959.36 t."""
    assert cbam.waste_gas_t(Fraction(12_800), Fraction("56.1")) == Fraction("478959.36")


def manifest(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text())["tree"]["children"])


def exact(value: float) -> Fraction:
    return Fraction(repr(value))


def test_sci_of_the_manifest(vectors: Path) -> None:
    """(5 + 0.02) g over 100 requests. The manifest's own double is an ulp off: 0.0502 exactly."""
    child = manifest(vectors / "if_sci" / "builtins__sci__success.yaml")["child"]
    (given,), (wanted,) = child["inputs"], child["outputs"]
    found = kpi.sci(
        exact(given["carbon-operational"]),
        exact(given["carbon-embodied"]),
        Fraction(given["requests"]),
        "request",
    )
    assert found.exact == Fraction("0.0502")
    assert found.value == pytest.approx(wanted["sci"], rel=2e-16)


@pytest.mark.parametrize("at", range(4))
def test_sci_pipeline_from_cpu_load_to_grams(vectors: Path, at: int) -> None:
    """Seconds of a quarter of a server: interpolated power, energy, operational and embodied."""
    child = manifest(vectors / "if_sci" / "pipelines__sci.yaml")["child-1"]
    given, wanted = child["inputs"][at], child["outputs"][at]
    fixed = child["defaults"]
    share = Fraction(fixed["vcpus-allocated"], fixed["vcpus-total"])
    duration_s = Fraction(given["duration"])
    watts = interpolated(exact(given["cpu/utilization"])) * fixed[CPU]
    energy_kwh = watts * duration_s / 3_600_000 * share + exact(given["network/energy"])
    operational = energy_kwh * fixed[GRID]
    # The manifest's server, in g and s: a base of 1000 kg over four years, none of it shared.
    part = kpi.embodied(Fraction(1_000_000), duration_s, Fraction(126_144_000))
    found = kpi.sci(operational, part, Fraction(fixed["component"]), "component")
    assert float(watts) == pytest.approx(wanted["cpu-wattage"], rel=2e-16)
    assert float(energy_kwh) == pytest.approx(wanted["energy"], rel=4e-16)
    assert float(operational) == pytest.approx(wanted["carbon-operational"], rel=4e-16)
    assert float(part) == pytest.approx(wanted["embodied-carbon"], rel=2e-16)
    assert found.value == pytest.approx(wanted["sci"], rel=4e-16)
    # The manifest's doubles round at every step; all 15 digits that a double holds agree.
    assert f"{found.value:.15g}" == f"{wanted['sci']:.15g}"


def interpolated(load: Fraction) -> Fraction:
    """Teads' curve: part of the thermal design power by per cent of load."""
    knots = [(0, "0.12"), (10, "0.32"), (50, "0.75"), (100, "1.02")]
    for (low, below), (high, above) in pairwise(knots):
        if low <= load <= high:
            rise = Fraction(above) - Fraction(below)
            return Fraction(below) + rise * (load - low) / (high - low)
    raise ValueError(load)


def test_sci_embodied_examples() -> None:
    """An hour of a server of 1000 kg over four years is 28.54 g (ISO/IEC 21031); IF's scenario 1
    is 1200 kg; its scenario 2 multiplies a memory constant by a thousand, and is kept as it is."""
    hour = Fraction(3_600)
    four_years, five_years = Fraction(126_144_000), Fraction(157_680_000)
    assert float(kpi.embodied(Fraction(1_000_000), hour, four_years)) == pytest.approx(
        28.54, abs=5e-3
    )
    assert float(kpi.embodied(Fraction(1_200_000), hour, four_years)) == 34.24657534246575
    assert float(kpi.embodied(Fraction(21_352_000), hour, five_years)) == 487.48858447488584


def test_codecarbon_mix() -> None:
    """0.25*996 + 0.35*817 + 0.26*744 + 0.14*0 = 728.39 kg/MWh."""
    mix = {"coal": "0.25", "petroleum": "0.35", "gas": "0.26", "low": "0.14"}
    factors = {"coal": 996, "petroleum": 817, "gas": 744, "low": 0}
    shares = {name: Fraction(share) for name, share in mix.items()}
    assert fuel_mix.mixed_mg_per_kwh(shares, factors, "CodeCarbon") == 728_390


def test_eed_example() -> None:
    """10 GWh in all, 8 of IT, 12 000 m3, 1.5 reused, 6 renewable: 1.25, 1.5, 0.15, 0.60."""
    gwh = 1_000_000 * KWH_MJ
    year = kpi.EedEnergy(
        facility_mj=10 * gwh, it_mj=8 * gwh, water_litres=12_000_000, reused_mj=3 * gwh // 2,
        renewable_goo_mj=gwh, renewable_ppa_mj=3 * gwh, renewable_own_mj=2 * gwh,
    )  # fmt: skip
    found = kpi.eed(year, kpi.PueCategory.UPS_OUTPUT)
    assert [(each.name, each.exact) for each in found] == [
        ("PUE", Fraction("1.25")),
        ("WUE", Fraction("1.5")),
        ("ERF", Fraction("0.15")),
        ("REF", Fraction("0.60")),
    ]


@pytest.mark.parametrize(
    ("method", "drawn_ug"),
    [(Method.WEIGHTED_AVERAGE, 2_265_312_403), (Method.FIFO, 3_545_706_371)],
)
def test_storage_example_s1(method: Method, drawn_ug: int) -> None:
    """10 kWh at 400, 5 at 0, 3 at 200 g/kWh in; 8 kWh out; 95 % either way.

    Weighted average as in the kernel's test of the same example. First in, first out:
    8.42105263 kWh leave of the 9.5 stored at 4000 g: 3545.70637119 g.
    """
    battery = Inventory(Rules(950_000, 950_000, 700_000, method))
    for kwh, g_per_kwh in ((10, 400), (5, 0), (3, 200)):
        battery.charge(kwh * KWH_MJ, kwh * g_per_kwh * 1_000_000)
    assert (battery.energy_mj, battery.carbon_ug) == (17_100_000 * 3_600, 4_600_000_000)
    per_kwh = battery.carbon_ug * 1e-6 / (battery.energy_mj / KWH_MJ)
    assert per_kwh == pytest.approx(269.00584795, abs=5e-9)
    drawn = battery.discharge(8 * KWH_MJ)
    assert drawn.carbon_ug == drawn_ug
    assert battery.carbon_ug == 4_600_000_000 - drawn_ug
    assert battery.energy_mj / KWH_MJ == pytest.approx(8.67894737, abs=5e-9)
    if method is Method.WEIGHTED_AVERAGE:
        assert drawn.carbon_ug * 1e-6 / 8 == pytest.approx(283.16405048, abs=5e-7)
        assert battery.carbon_ug == 2_334_687_597


def test_the_manifests_are_the_ones_described(vectors: Path) -> None:
    """A vector that changed under us shows here first."""
    lines = (vectors / "SOURCE.md").read_text()
    assert "Impact Framework executed manifests" in lines
    assert json.loads((vectors / "bialek4.json").read_text())["actual"]["losses_MW"] == 14
