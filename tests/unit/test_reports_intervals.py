"""Intervals of what rests on contracts, counts and declarations: by hand, and against draws."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from report_rig import MW_MJ, NOON_S, BookRig, document_of, figure

from edgectl.accounting.uncertainty import meter_u_ratio
from edgectl.reports import words
from edgectl.reports.declared import Declared
from edgectl.reports.evidence import uncertainty_rows
from edgectl.reports.page import html_of
from edgectl.reports.tables import write_csv, write_xlsx
from edgectl.reports.unbounded import REASONS, reason_of

SEED, DRAWS = 20_261_101, 40_000
HOUR_S = 3_600
CLASS = "0.5S"
U = meter_u_ratio(CLASS, CLASS)
DEVICES = ("grid", "pv", "IT-A", "IT-B", "COOLING", "BESS-01")
FACTOR_U, RESIDUAL_U, MIX_U, EMBODIED_U, COUNT_U = 0.05, 0.08, 0.1, 0.25, 0.02
MG_PER_KWH, RESIDUAL_MG, MIX_MG = 400_000, 520_000, 250_000
UG_PER_MJ = MG_PER_KWH / 3.6e6
KWH = 3.6e9  # mJ


@dataclass(frozen=True)
class Hour:
    """One second that stands for an hour: MW of sources, and what contracts deliver, MW."""

    grid: float
    pv: float = 0.0
    battery: float = 0.0  # gave, all of it from PV
    charge: float = 0.0  # took, of the mixture
    wind: float = 0.0
    mix: float = 0.0


SHARES = {"IT-A": 0.5, "IT-B": 0.25, "COOLING": 0.2, "losses": 0.05}
DEEP = (
    Hour(5.0, 3.0, wind=2.0), Hour(4.0, 4.0, charge=2.0, wind=9.0), Hour(7.0, wind=3.0, mix=2.5),
    Hour(6.0, battery=1.5, wind=4.0), Hour(8.0, 1.0),
)  # fmt: skip


def written(where: Path, hours: tuple[Hour, ...]) -> Path:
    """A ledger of a second an hour, its flows shared in proportion."""
    rig = BookRig(where)
    held = 10**13
    rig.counter(NOON_S, 1, 0)
    for at, each in enumerate(hours):
        sources = {"grid": each.grid, "pv": each.pv, "BESS-01": each.battery}
        whole = sum(sources.values())
        used = whole - each.charge
        sinks = {name: used * share for name, share in SHARES.items()} | {"BESS-01": each.charge}
        flows = {}
        for source, mw in sources.items():
            for sink, wanted in sinks.items():
                mj = round(mw * wanted / whole * MW_MJ)
                if mj:
                    flows[source, sink] = (mj, round(mj * UG_PER_MJ) if source == "grid" else 0)
        given = sum(mj for (source, _), (mj, _) in flows.items() if source == "BESS-01")
        rig.second(NOON_S + at * HOUR_S, flows, [(held, 0)],
                   given_mj={"BESS-01": (0, given, 0, 0)})  # fmt: skip
    rig.counter(NOON_S + (len(hours) - 1) * HOUR_S, 1, 1_000)
    return rig.write()


def declared(hours: tuple[Hour, ...], **more: Any) -> Declared:
    """Every meter of one class, two contracts, and what is declared of the rest."""

    def deliveries(name: str) -> list[tuple[str, float]]:
        return [
            (f"2026-01-01T{12 + at:02d}:00:00Z", getattr(each, name) * MW_MJ / KWH)
            for at, each in enumerate(hours) if getattr(each, name)
        ]  # fmt: skip

    contract = {"issuer": "R", "market": "US-TEX-ERCO"}
    said: dict[str, Any] = {
        "meter": [{"device": name, "accuracy_class": CLASS, "transformer_class": CLASS}
                  for name in DEVICES],
        "factors": {
            "standard_uncertainty_ratio": FACTOR_U, "residual_g_per_kwh": RESIDUAL_MG / 1000,
            "residual_standard_uncertainty_ratio": RESIDUAL_U,
        },
        "renewable": {"onsite_certificates": "cancelled"},
        "contract": [
            contract | {"id": "WIND", "instrument": "ppa", "generator": "w", "g_per_kwh": 0,
                        "deliveries": deliveries("wind")},
            contract | {"id": "MIX", "instrument": "supplier", "generator": "m",
                        "g_per_kwh": MIX_MG / 1000, "standard_uncertainty_ratio": MIX_U,
                        "renewable": False, "deliveries": deliveries("mix")},
        ],
    }  # fmt: skip
    return Declared.model_validate(said | more)


class Draws:
    """The same hours with every meter and factor drawn anew, each the same in all hours."""

    def __init__(self, hours: tuple[Hour, ...]) -> None:
        self.luck = np.random.default_rng(SEED)
        self.hours = hours
        self.off = {name: self.factor(U) for name in DEVICES}

    def factor(self, u_ratio: float) -> Any:
        return 1 + u_ratio * self.luck.standard_normal(DRAWS)

    def supplies(self, each: Hour) -> tuple[Any, Any, Any, Any]:
        """Grid, PV, battery, and the share of all that was used and not stored."""
        grid, pv = each.grid * self.off["grid"], each.pv * self.off["pv"]
        battery = each.battery * self.off["BESS-01"]
        used = 1 - each.charge * self.off["BESS-01"] / (grid + pv + battery)
        return grid, pv, battery, used

    def clean(self, grid_clean: Any = 0.0) -> tuple[list[Any], list[Any]]:
        """Clean part and whole of each hour's consumption."""
        parts, wholes = [], []
        for each in self.hours:
            grid, pv, battery, used = self.supplies(each)
            covered = np.minimum(grid, each.wind)  # the mix is no clean contract
            whole = (grid + pv + battery) * used
            part = (covered + pv + battery) * used
            parts.append(part + (whole - part) * grid_clean)
            wholes.append(whole)
        return parts, wholes

    def market(self) -> Any:
        """kg of the period."""
        residual, mix = self.factor(RESIDUAL_U), self.factor(MIX_U)
        total = 0.0
        for each in self.hours:
            grid = self.supplies(each)[0]
            by_wind = np.minimum(grid, each.wind)
            by_mix = np.minimum(grid - by_wind, each.mix)
            left = grid - by_wind - by_mix
            total = total + by_mix * MIX_MG * mix + left * RESIDUAL_MG * residual
        return total * MW_MJ / 3.6e6 / 1e9


def coverage(values: Any, low: float, high: float) -> float:
    return float(np.mean((values >= low) & (values <= high)))


def test_cfe_covers_95_of_100_draws(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, DEEP), declared(DEEP))
    parts, wholes = Draws(DEEP).clean()
    score = figure(document, "CFE score")
    assert score["value"] == pytest.approx(
        sum(np.median(each) for each in parts) / sum(np.median(each) for each in wholes), rel=1e-3
    )
    inside = coverage(sum(parts) / sum(wholes), score["low"], score["high"])
    assert inside == pytest.approx(0.954, abs=0.01), f"seed {SEED}"


def test_every_hours_score_covers_95_of_100_draws_or_is_exact(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, DEEP), declared(DEEP))
    for row, part, whole in zip(document["hours"], *Draws(DEEP).clean(), strict=True):
        low, high = row["cfe_score_low"], row["cfe_score_high"]
        if low == high:
            assert np.ptp(part / whole) < 1e-9, "fully covered: nothing a meter says changes it"
        else:
            inside = coverage(part / whole, low, high)
            assert inside == pytest.approx(0.954, abs=0.01), f"{row['utc']}, seed {SEED}"


def test_the_grids_own_clean_share_is_a_factor_like_others(tmp_path: Path) -> None:
    factors = {"grid_clean_ratio": 0.4, "grid_clean_standard_uncertainty_ratio": 0.1,
               "residual_g_per_kwh": 500}  # fmt: skip
    score = figure(document_of(written(tmp_path, DEEP), declared(DEEP, factors=factors)),
                   "CFE score")  # fmt: skip
    draws = Draws(DEEP)
    parts, wholes = draws.clean(0.4 * draws.factor(0.1))
    inside = coverage(sum(parts) / sum(wholes), score["low"], score["high"])
    assert inside == pytest.approx(0.954, abs=0.01), f"seed {SEED}"


@pytest.mark.parametrize("wind", [4.93, 4.97, 5.0, 5.03, 5.07])
def test_at_the_bend_the_interval_still_covers(tmp_path: Path, wind: float) -> None:
    """Contracts deliver about what was bought: the tangent would say exact, or only half."""
    hours = (Hour(5.0, 2.0, battery=1.0, wind=wind), Hour(5.0, wind=wind))
    document = document_of(written(tmp_path, hours), declared(hours))
    draws = Draws(hours)
    parts, wholes = draws.clean()
    score, market = figure(document, "CFE score"), document["scope2"]["market"]
    assert coverage(sum(parts) / sum(wholes), score["low"], score["high"]) > 0.945
    kilograms = coverage(draws.market(), market["carbon_ug_low"] / 1e9 - 1e-9,
                         market["carbon_ug_high"] / 1e9)  # fmt: skip
    assert kilograms > 0.945, f"seed {SEED}"


@pytest.mark.parametrize("wind", [4.93, 4.97, 5.0, 5.03, 5.07])
def test_at_the_bend_ref_is_covered_too(tmp_path: Path, wind: float) -> None:
    hours = (Hour(5.0, 2.0, wind=wind), Hour(5.0, 1.0), Hour(5.0, wind=wind))
    renewable = figure(document_of(written(tmp_path, hours), declared(hours)), "REF")
    parts, wholes = Draws(hours).clean()
    inside = coverage(sum(parts) / sum(wholes), renewable["low"], renewable["high"])
    assert inside > 0.945, f"seed {SEED}"


def test_market_based_carbon_covers_95_of_100_draws(tmp_path: Path) -> None:
    market = document_of(written(tmp_path, DEEP), declared(DEEP))["scope2"]["market"]
    values = Draws(DEEP).market()
    assert market["carbon_ug"] / 1e9 == pytest.approx(float(np.median(values)), rel=0.01)
    inside = coverage(values, market["carbon_ug_low"] / 1e9, market["carbon_ug_high"] / 1e9)
    assert inside == pytest.approx(0.954, abs=0.01), f"seed {SEED}"


def test_ref_covers_95_of_100_draws(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, DEEP), declared(DEEP))
    renewable = figure(document, "REF")
    draws = Draws(DEEP)
    part, whole = 0.0, 0.0
    for each in DEEP:
        grid, pv, battery, used = draws.supplies(each)
        part = part + np.minimum(grid, each.wind) + (pv + battery) * used
        whole = whole + (grid + pv + battery) - each.charge * draws.off["BESS-01"]
    ratio = part / (whole + document["balance"]["conversion_mj"] / MW_MJ)
    assert renewable["value"] == pytest.approx(float(np.median(ratio)), rel=1e-3)
    inside = coverage(ratio, renewable["low"], renewable["high"])
    assert inside == pytest.approx(0.954, abs=0.01), f"seed {SEED}"


def test_sci_covers_95_of_100_draws(tmp_path: Path) -> None:
    hours = (Hour(6.0, 2.0), Hour(5.0, 4.0), Hour(8.0))
    more = {
        "embodied": [{"tenant": "acme", "total_g": 4_000.0, "life_s": 10.0,
                      "standard_uncertainty_ratio": EMBODIED_U}],
        "counter": [{"name": "served", "standard_uncertainty_ratio": COUNT_U}],
    }  # fmt: skip
    (row,) = document_of(written(tmp_path, hours), declared(hours, **more))["sci"]
    draws = Draws(hours)
    own_ug = own = it = facility = used_ug = 0.0
    ug_per_mj = UG_PER_MJ * draws.factor(FACTOR_U)
    for each in hours:
        grid, pv, _, _ = draws.supplies(each)
        nominal = each.grid + each.pv
        load = nominal * SHARES["IT-A"] * draws.off["IT-A"]
        own, own_ug = own + load, own_ug + load * grid / (grid + pv) * ug_per_mj
        it = it + load + nominal * SHARES["IT-B"] * draws.off["IT-B"]
        facility, used_ug = facility + grid + pv, used_ug + grid * ug_per_mj
    operational = (own_ug + own * used_ug * (1 / it - 1 / facility)) * MW_MJ / 1e6
    embodied = 4_000.0 * 3 / 10 * draws.factor(EMBODIED_U)
    values = (operational + embodied) / (1_000 * draws.factor(COUNT_U))
    assert row["g_per_unit"] == pytest.approx(float(np.median(values)), rel=0.01)
    inside = coverage(values, row["g_per_unit_low"], row["g_per_unit_high"])
    assert inside == pytest.approx(0.954, abs=0.01), f"seed {SEED}"


def test_certificates_of_nothing_leave_ref_and_cfe_to_the_meters(tmp_path: Path) -> None:
    """PV 3 of 8 MW in one hour: u = s (1 - s) u_meter sqrt 2 in both, whatever loads are."""
    hours = (Hour(5.0, 3.0),)
    document = document_of(written(tmp_path, hours), declared(hours, contract=[]))
    half = 2 * 3 / 8 * 5 / 8 * U * 2**0.5
    for name in ("CFE score", "REF"):
        score = figure(document, name)
        assert score["value"] == pytest.approx(3 / 8)
        assert (score["low"], score["high"]) == pytest.approx((3 / 8 - half, 3 / 8 + half))


def test_market_based_carbon_by_hand(tmp_path: Path) -> None:
    """5 MWs bought, 2 by certificates: 3 at the residual mix, with the meter's error of all 5."""
    hours = (Hour(5.0, wind=2.0),)
    market = document_of(written(tmp_path, hours), declared(hours))["scope2"]["market"]
    ug_per_mws = MW_MJ * RESIDUAL_MG / 3.6e6
    half = 2 * ug_per_mws * ((5 * U) ** 2 + (3 * RESIDUAL_U) ** 2) ** 0.5
    assert market["carbon_ug"] == pytest.approx(3 * ug_per_mws)
    assert market["carbon_ug_low"] == pytest.approx(3 * ug_per_mws - half)
    assert market["carbon_ug_high"] == pytest.approx(3 * ug_per_mws + half)
    assert market["matched_mj_low"] == market["matched_mj_high"] == 2 * MW_MJ


def test_sci_of_one_source_by_hand(tmp_path: Path) -> None:
    """Only grid: the factor is in all of E I; M has its own 30 % where nobody states one."""
    hours = (Hour(8.0),)
    said = declared(hours, embodied=[{"tenant": "acme", "total_g": 100.0, "life_s": 1.0}])
    (row,) = document_of(written(tmp_path, hours), said)["sci"]
    own_g = 4.0 * MW_MJ * UG_PER_MJ / 1e6
    over_g = own_g / 6 * 2  # its part of 2 MW that are not IT
    assert row["operational_g"] == pytest.approx(own_g + over_g)
    # E I is own x used x (1/own + 1/it - 1/all) with own 4, it 6, used = all = 8: by each meter
    # relative to E I, whose bracket is 1/4 of 1/8 + 1/24 over what own takes of it.
    moves = (own_g + over_g * (1 - 4 / 6 * 8 / 2), -over_g * 2 / 6 * 8 / 2, over_g * 8 / 2)
    parts = (*(each * U for each in moves), (own_g + over_g) * FACTOR_U, 0.3 * 100.0)
    half = 2 * sum(each**2 for each in parts) ** 0.5
    assert row["embodied_g_low"] == pytest.approx(40.0)
    assert (row["g_per_unit_high"] - row["g_per_unit"]) * 1_000 == pytest.approx(half, rel=1e-3)
    assert "30 %" in row["embodied_said"]
    assert row["units_said"] == "a count, taken as exact"


EVERYTHING = {
    "period": {"water_m3": 0.001, "potable_water_m3": 0.001, "heat_reused_kwh": 0.1},
    "indicator": {"P_DI": 6_000, "GRID": "FCR"},
    "embodied": [{"tenant": "acme", "total_g": 4_000.0, "life_s": 10.0}],
    "factors": {"residual_g_per_kwh": 520, "marginal_g_per_kwh": 600, "grid_clean_ratio": 0.3},
}


def numbers(content: Any, name: str = "") -> Iterator[tuple[str, float, bool]]:
    """Every number of a document: its name, and whether it lies between two ends beside it."""
    if isinstance(content, list):
        for each in content:
            yield from numbers(each, name)
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        own = f"{name}.{key}" if name else key
        if key in ("low", "high") or key.endswith(("_low", "_high")):
            continue
        low, high = content.get(f"{key}_low"), content.get(f"{key}_high")
        if key == "value":
            low, high = content.get("low"), content.get("high")
        if isinstance(value, dict) and isinstance(low, dict) and isinstance(high, dict):
            yield from ((own, each, low[at] <= each <= high[at]) for at, each in value.items())
        elif isinstance(value, dict | list):
            yield from numbers(value, own)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            near = 1e-9 * abs(value)
            yield own, value, low is not None and low - near <= value <= high + near


@pytest.mark.parametrize("tenant", [None, "acme"])
def test_every_number_lies_in_an_interval_or_the_report_says_why_not(
    tmp_path: Path, tenant: str | None
) -> None:
    said = declared(DEEP, **EVERYTHING)
    document = document_of(written(tmp_path, DEEP), said, tenant=tenant)
    found = list(numbers(document))
    bare = {name for name, _, known in found if not known and reason_of(name) is None}
    assert not bare
    assert sum(known for _, _, known in found) > (100 if tenant is None else 30)
    told = {each["of"] for each in document["without_interval"]}
    assert told == {of for of, _, _ in REASONS}
    page = html_of(document, {})
    for _, why, _ in REASONS:
        assert why.replace("'", "&#39;") in page


def test_no_reason_stands_for_what_is_not_in_a_report(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, DEEP), declared(DEEP, **EVERYTHING))
    names = {name for name, _, _ in numbers(document)}
    absent = {"quality", "corrected", "factors.used", "figures.as_booked"}  # in other ledgers
    for _, _, where in REASONS:
        for each in where:
            here = any(name == each or name.startswith(f"{each}.") for name in names)
            assert here or any(each.startswith(prefix) for prefix in absent), each


def test_every_indicator_has_an_interval_or_its_reason(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, DEEP), declared(DEEP, **EVERYTHING))
    rows = {each["key"]: each for each in document["indicators"]}
    assert len(rows) == 24
    bounded = {key for key, each in rows.items() if each["low"] is not None}
    assert bounded == {"E_DC", "E_IT", "E_RES-TOT", "E_RES-GOO", "E_RES-PPA", "E_RES-OS", "W_IN",
                       "W_IN-POT", "E_REUSE"}  # fmt: skip
    assert rows["W_IN"]["interval"] == "taken as within 2 %"
    assert rows["P_DI"]["interval"] == "declared by the operator without an uncertainty"
    assert rows["CDD"]["interval"] == "not declared"
    ppa = rows["E_RES-PPA"]
    # Of the hour in which wind delivers more than was bought, what was bought; else what it does.
    half = 2 * 4.0 * U * MW_MJ / KWH
    assert ppa["value"] == pytest.approx((2.0 + 4.0 + 3.0 + 4.0) * MW_MJ / KWH)
    assert (ppa["low"], ppa["high"]) == pytest.approx((ppa["value"] - half, ppa["value"] + half))


def test_every_form_shows_the_ends(tmp_path: Path) -> None:
    document = document_of(written(tmp_path / "ledger", DEEP), declared(DEEP, **EVERYTHING))
    write_csv(document, tmp_path / "r.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text())))
    for row, hour in zip(rows, document["hours"], strict=True):
        for name in ("energy_mj", "carbon_ug", "cfe_score"):
            ends = [float(row[f"{name}{end}"]) for end in ("_low", "", "_high")]
            assert ends == sorted(ends)
            assert ends[2] == hour[f"{name}_high"]

    write_xlsx(document, tmp_path / "r.xlsx")
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    cells = {
        name: list(book[name].iter_rows(min_row=2, values_only=True))
        for name in ("Figures", "Scope 2", "Compute", "EU 2024-1364", "Without interval")
    }
    for row in cells["Figures"]:
        assert row[1] is None or row[3] <= row[1] <= row[4], row[0]
    scope2 = {row[0]: row[1:4] for row in cells["Scope 2"]}
    market = document["scope2"]["market"]
    assert scope2["market: carbon"][2] == market["carbon_ug_high"] / 1e9
    assert len(cells["Compute"]) == len(document["sci"]) == 1
    assert len(cells["Without interval"]) == len(REASONS)

    listed = {each["name"]: each for each in uncertainty_rows(document)}
    assert listed["CFE score"]["high"] == figure(document, "CFE score")["high"]
    assert listed["Scope 2, market-based"]["low"] == market["carbon_ug_low"] / 1e9
    assert listed["SCI, acme, served of gateway-1"]["low"] == document["sci"][0]["g_per_unit_low"]

    page = html_of(document, {})
    assert "CFE and REF rest on contracts" not in page
    low, high = (words.mass(market[f"carbon_ug_{end}"]) for end in ("low", "high"))
    assert f"{low} to {high}" in page


def test_a_market_without_a_residual_mix_has_neither_figure_nor_interval(tmp_path: Path) -> None:
    hours = (Hour(5.0),)
    said = declared(hours, factors={})
    document = document_of(written(tmp_path, hours), said)
    assert document["scope2"]["market"]["carbon_ug"] is None
    assert "carbon_ug_low" not in document["scope2"]["market"]
    assert "not declared" in html_of(document, {})


def test_a_factor_of_no_declared_uncertainty_is_known_to_20_per_cent(tmp_path: Path) -> None:
    hours = (Hour(5.0, wind=2.0, mix=1.0),)
    said = declared(hours)
    factors = said.factors.model_copy(update={"residual_standard_uncertainty_ratio": None})
    contracts = [
        each.model_copy(update={"standard_uncertainty_ratio": None}) for each in said.contract
    ]
    said = said.model_copy(update={"factors": factors, "contract": contracts})
    market = document_of(written(tmp_path, hours), said)["scope2"]["market"]
    grams = MW_MJ / 3.6e6 / 1e3
    parts = (5 * U * RESIDUAL_MG, 0.2 * 2 * RESIDUAL_MG, 0.2 * 1 * MIX_MG)
    half = 2 * grams * sum(each**2 for each in parts) ** 0.5
    assert (market["carbon_ug_high"] - market["carbon_ug"]) / 1e3 == pytest.approx(half, rel=1e-6)


def test_a_count_is_as_good_as_the_first_declaration_that_fits_it() -> None:
    said = Declared.model_validate({"counter": [
        {"name": "served", "source": "edge", "tenant": "bolt", "standard_uncertainty_ratio": 0.03},
        {"name": "served", "source": "edge", "standard_uncertainty_ratio": 0.02},
        {"name": "served", "standard_uncertainty_ratio": 0.01},
    ]})  # fmt: skip
    assert said.counter_u_ratio("bolt", "served", "edge") == 0.03
    assert said.counter_u_ratio("acme", "served", "edge") == 0.02
    assert said.counter_u_ratio("acme", "served", "gateway-1") == 0.01
    assert said.counter_u_ratio("acme", "jobs", "edge") is None, "it counts as exact"
