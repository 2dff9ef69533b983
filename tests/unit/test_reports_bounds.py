"""Bounds of a report's figures rest on what is declared of the meters, and cover what they say."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_rig import MW_MJ, NOON_S, BookRig, books_of

from edgectl.accounting.bounds import MeterUncertainty, point_u_ratio
from edgectl.reports.books import Books
from edgectl.reports.certificates import certificates
from edgectl.reports.declared import Declared
from edgectl.reports.figures import Headline, headlines, measured
from edgectl.reports.metering import Bounds, over, traced_ug

SEED, DRAWS = 20_260_101, 20_000


def meters(accuracy_class: str | None, ct_class: str | None, factor: float) -> MeterUncertainty:
    """Every point of the rig metered alike."""
    names = ("grid", "pv", "IT-A", "IT-B", "COOLING", "BESS-01")
    declared = [
        {"of": name, "accuracy_class": accuracy_class, "ct_class": ct_class} for name in names
    ]
    return MeterUncertainty.declared({"meters": declared, "factor_u_ratio": factor})


def a_minute(where: Path, known: MeterUncertainty) -> Books:
    """A minute with the grid, at 400 g/kWh, and PV, as if the run had declared these meters."""
    rig = BookRig(where)
    for at in range(60):
        rig.second(NOON_S + at, {
            ("grid", "IT-A"): (3 * MW_MJ, 3 * MW_MJ // 9), ("pv", "IT-B"): (2 * MW_MJ, 0),
            ("grid", "COOLING"): (MW_MJ, MW_MJ // 9), ("grid", "losses"): (MW_MJ // 5, MW_MJ // 45),
        })  # fmt: skip
    books = books_of(rig.write(), (NOON_S, NOON_S + 60))
    assert books.names is not None
    return replace(books, names=replace(books.names, meters=known))


def named(found: list[Headline], name: str) -> Headline:
    return next(each for each in found if each.name == name)


def headlines_of(books: Books, declared: Declared) -> list[Headline]:
    """Page one, without a site file."""
    return headlines(measured(books, None, declared))


def half_ratio(each: Headline) -> float:
    """Half the interval over the value: k = 2 times the relative standard uncertainty."""
    assert each.value is not None
    assert each.low is not None
    assert each.high is not None
    return (each.high - each.low) / 2 / each.value


def test_the_classes_of_the_runs_site_file_bound_its_energy(tmp_path: Path) -> None:
    good = a_minute(tmp_path / "good", meters("0.2S", "0.2S", 0.05))
    poor = a_minute(tmp_path / "poor", meters(None, None, 0.05))
    energy = [
        half_ratio(named(headlines_of(each, Declared()), "Energy of the IT equipment"))
        for each in (good, poor)
    ]
    u = point_u_ratio("0.2S", "0.2S")
    assert energy[0] == pytest.approx(2 * u * np.hypot(3, 2) / 5, rel=1e-6), "two meters, k = 2"
    assert energy[1] > 5 * energy[0]


def test_the_factors_uncertainty_is_that_of_the_site_file(tmp_path: Path) -> None:
    books = a_minute(tmp_path, meters("0.2S", "0.2S", 0.07))
    carbon = named(headlines_of(books, Declared()), "Carbon of what was consumed")
    assert half_ratio(carbon) == pytest.approx(0.14, rel=0.01)


def test_declared_water_and_heat_give_figures_with_an_interval(tmp_path: Path) -> None:
    books = a_minute(tmp_path, meters("0.2S", "0.2S", 0.05))
    said = Declared.model_validate({"period": {"water_m3": 0.2, "heat_reused_kwh": 20.0}})
    found = headlines_of(books, said)
    assert half_ratio(named(found, "WUE")) == pytest.approx(2 * 0.02 / np.sqrt(3), rel=0.05)
    assert half_ratio(named(found, "ERF")) == pytest.approx(2 * 0.05 / np.sqrt(3), rel=0.05)
    assert "within 2 %" in named(found, "WUE").declared


def drawn(known: MeterUncertainty) -> dict[str, Any]:
    """Figures of the same minute with every meter and the factor drawn anew, independently."""
    luck = np.random.default_rng(SEED)

    def wrong(name: str) -> Any:
        return 1 + known.of(name) * luck.standard_normal(DRAWS)

    grid, pv = 4.2 * wrong("grid"), 2.0 * wrong("pv")
    it = 3.0 * wrong("IT-A") + 2.0 * wrong("IT-B")
    factor = 1 + known.factor * luck.standard_normal(DRAWS)
    return {
        "PUE": (grid + pv) / it, "Energy of the data centre": (grid + pv) * 60 * MW_MJ / 3.6e9,
        "Carbon of what was consumed": grid * factor * 60 * MW_MJ / 9 / 1e9,
        "CUE": grid * factor / 9 / it * 3.6,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["PUE", "Energy of the data centre", "Carbon of what was consumed", "CUE"]
)
def test_an_interval_covers_95_of_100_draws(tmp_path: Path, name: str) -> None:
    known = meters("0.5S", "0.5S", 0.05)
    figure = named(headlines_of(a_minute(tmp_path, known), Declared()), name)
    assert figure.low is not None
    assert figure.high is not None
    values = drawn(known)[name]
    inside = np.mean((values >= figure.low) & (values <= figure.high))
    assert inside == pytest.approx(0.954, abs=0.01), f"seed {SEED}"


def poor_grid(where: Path) -> tuple[Books, float, float]:
    """The minute's books with a coarse grid meter and fine ones else; u of both."""
    coarse, fine = point_u_ratio("2", "1"), point_u_ratio("0.2S", "0.2S")
    known = replace(meters("0.2S", "0.2S", 0.05), points={"grid": coarse}, meter=fine)
    return a_minute(where, known), coarse, fine


def test_what_came_through_a_battery_errs_with_its_meter_and_with_what_charged_it(
    tmp_path: Path,
) -> None:
    books, coarse, fine = poor_grid(tmp_path)
    bounds = Bounds(books, None, Declared())
    half = bounds.by_origin({"pv through battery": 500, "grid through battery": 500})
    # x = battery x pv / (pv + grid): relative error battery + (pv - grid) / 2.
    expected = 500 * np.sqrt(fine**2 + (fine / 2) ** 2 + (coarse / 2) ** 2)
    assert half["pv through battery"].u == pytest.approx(expected)
    alone = bounds.by_origin({"pv through battery": 500, "grid": 100})
    assert alone["pv through battery"].u == pytest.approx(500 * fine), "the battery's own meter"
    unknown = bounds.by_origin({"battery, origin not known": 500})
    assert unknown["battery, origin not known"].u == pytest.approx(500 * fine)


def test_import_and_export_are_of_one_meter_and_offset_each_other(tmp_path: Path) -> None:
    books, coarse, _ = poor_grid(tmp_path)
    bounds = Bounds(books, None, Declared())
    assert bounds.energy({"grid": 1000, "export": -400}).u == pytest.approx(600 * coarse)


def test_a_load_with_one_source_errs_with_its_own_meter_alone(tmp_path: Path) -> None:
    """What grid and load share out of one source cancels: source x load / source."""
    rig = BookRig(tmp_path)
    rig.second(NOON_S, {("grid", "IT-A"): (3 * MW_MJ, MW_MJ // 3), ("grid", "losses"): (MW_MJ, 0)})
    books = books_of(rig.write())
    bounds = Bounds(books, None, Declared())
    paths = over(bounds.paths().values())
    u = point_u_ratio(None, None)
    assert paths["grid", "IT-A"][0].u == pytest.approx(3 * MW_MJ * u)
    losses = paths["grid", "losses"][0]
    assert losses.u == pytest.approx(MW_MJ * u * np.hypot(4, 3)), "a small rest of large readings"
    carbon = traced_ug(paths, ("IT-A",), MW_MJ // 3)
    assert carbon.u == pytest.approx(MW_MJ / 3 * np.hypot(u, 0.2)), "and with the factor"


def test_certificates_say_how_well_their_quantities_are_metered(tmp_path: Path) -> None:
    books, _, fine = poor_grid(tmp_path)
    said = certificates(books, None)["metering_uncertainty"]
    assert said["expanded_ratio"] == pytest.approx({"rig/pv": 2 * fine, "rig/BESS-01": 2 * fine})
