"""Weather, utilisation and intensity reach the plant on the right hour and in SI units."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edgectl.errors import DataError
from edgectl.plant.boundary import MINUTE_NS, Boundary, Place, cooling_ratio, wet_bulb_k
from edgectl.plant.parameters import PlantParameters
from edgectl.plant.traces import (
    HOUR_NS,
    ClimatologyTraces,
    DirectoryTraces,
    GridCarbonTrace,
    Traces,
    open_traces,
    year_start_ns,
)

ZONE = "US-TEX-ERCO"
DALLAS = Place(32.9, -97.0)
HEADER = "Datetime (UTC),Zone Id,Carbon Intensity gCO₂eq/kWh (direct),Carbon Intensity (LCA)"


def write_directory(root: Path, *, weather: bool = True, epw: bool = False) -> Path:
    """A data directory of 24 h: intensity 100 + hour, temperature 10 + local hour."""
    for folder in ("ci", "weather", "cpu", "epw"):
        (root / folder).mkdir()
    rows = [f"2022-01-01 {h:02}:00:00,{ZONE},{100 + h},{500 + h}" for h in range(24)]
    (root / "ci" / f"{ZONE}_2022_hourly.csv").write_text("\n".join([HEADER, *rows]))
    (root / "cpu" / "a.csv").write_text("\n".join([",cpu_load", *(f"{h},0.4" for h in range(24))]))
    (root / "cpu" / "b.csv").write_text(
        "\n".join([",cpu_load", *(f"{h},{0.01 * h}" for h in range(24))])
    )
    if weather:
        hourly = {
            "time": [f"2022-01-01T{h:02}:00" for h in range(24)],
            "temperature_2m": [10.0 + h for h in range(24)],
            "relative_humidity_2m": [50] * 24,
            "cloudcover": [0] * 24,
            "windspeed_10m": [36.0] * 23 + [None],
        }
        whole = {"utc_offset_seconds": -18000, "hourly": hourly}
        (root / "weather" / f"{ZONE}_2022.json").write_text(json.dumps(whole))
    if epw:
        head = ["LOCATION,Somewhere,TX,USA,X,1,32.9,-97.0,-6.0,170.7", *["filler"] * 7]
        data = [",".join(epw_row(hour)) for hour in range(24)]
        (root / "epw" / "a.epw").write_text("\n".join(head + data))
    return root


def epw_row(hour: int) -> list[str]:
    """One EPW row; the hour counts local standard time from 0."""
    row = ["0"] * 35
    row[6], row[8], row[21], row[22] = str(hour), "60", "3.0", "5"
    row[13], row[14], row[15] = "600", "700", "100"
    return row


def test_open_meteo_hours_carry_the_files_own_offset(tmp_path: Path) -> None:
    weather = DirectoryTraces(write_directory(tmp_path), ZONE).weather(2022)
    # Local 00 h at UTC-5 is 05 h UTC.
    assert weather.temperature_k[5] == pytest.approx(283.15)
    assert weather.temperature_k[4] == pytest.approx(283.15 + 23)
    assert weather.wind_m_per_s[0] == pytest.approx(10.0)
    assert np.isfinite(weather.wind_m_per_s).all(), "a missing hour is bridged"


def test_epw_stands_in_on_local_standard_time(tmp_path: Path) -> None:
    traces = DirectoryTraces(write_directory(tmp_path, weather=False, epw=True), ZONE)
    weather = traces.weather(2022)
    assert weather.temperature_k[6] == pytest.approx(273.15)
    assert weather.cloud_ratio[0] == pytest.approx(0.5)
    assert weather.irradiance is not None
    assert [float(each[0]) for each in weather.irradiance] == [600.0, 700.0, 100.0]


def test_intensity_is_the_direct_one_and_holds_for_its_hour(tmp_path: Path) -> None:
    feed = GridCarbonTrace(DirectoryTraces(write_directory(tmp_path), ZONE))
    first_ns = year_start_ns(2022)
    assert feed.g_per_kwh(first_ns) == 100.0
    assert feed.g_per_kwh(first_ns + HOUR_NS - 1) == 100.0
    assert feed.at(first_ns + 5 * HOUR_NS) == 105.0


def test_a_year_without_data_is_served_by_the_nearest(tmp_path: Path) -> None:
    traces = DirectoryTraces(write_directory(tmp_path), ZONE)
    assert traces.years == (2022,)
    assert traces.carbon_g_per_kwh(2030)[3] == 103.0


def test_buses_share_the_traces_an_hour_apart(tmp_path: Path) -> None:
    use = DirectoryTraces(write_directory(tmp_path), ZONE).utilisation(4)
    assert use.shape == (8760, 4)
    assert use[7].tolist() == pytest.approx([0.4, 0.07, 0.4, 0.06])


@pytest.mark.parametrize("missing", ["ci", "cpu"])
def test_a_directory_without_a_part_is_refused_at_once(tmp_path: Path, missing: str) -> None:
    write_directory(tmp_path)
    for file in (tmp_path / missing).iterdir():
        file.unlink()
    with pytest.raises(DataError, match="no file") as refusal:
        open_traces(tmp_path, ZONE)
    assert refusal.value.exit_code == 9


def test_a_directory_without_weather_says_what_to_add(tmp_path: Path) -> None:
    traces = DirectoryTraces(write_directory(tmp_path, weather=False), ZONE)
    with pytest.raises(DataError, match=r"no epw/\*\.epw to stand in"):
        traces.weather(2022)


def test_wet_bulb_agrees_with_stulls_own_example() -> None:
    # Stull (2011), section 2: 20 degC and 50 % give 13.7 degC.
    wet_k = wet_bulb_k(np.array([293.15]), np.array([0.5]))
    assert wet_k[0] - 273.15 == pytest.approx(13.7, abs=0.05)


def test_cooling_costs_more_the_warmer_the_wet_bulb() -> None:
    ratios = cooling_ratio(PlantParameters(), np.linspace(260.0, 305.0, 91))
    assert (np.diff(ratios) >= 0.0).all()
    assert ratios[0] == pytest.approx(0.042, abs=1e-3), "free cooling leaves pumps and towers"
    assert 0.15 < ratios[-1] < 0.35


def test_the_sun_shines_by_day_and_the_table_is_whole() -> None:
    boundary = Boundary(ClimatologyTraces(seed=3), DALLAS, PlantParameters(), 6)
    first_ns = int(datetime(2023, 7, 1, 6, tzinfo=UTC).timestamp()) * 1_000_000_000
    table = boundary.table(first_ns, 24 * 60)
    sun = table[:, 3]
    assert table.shape == (1440, 12)
    assert np.isfinite(table).all()
    assert sun[:180].max() == 0.0, "00 to 03 h local"
    assert 0.4 < sun[720 - 60 : 720 + 120].max() <= 1.0
    assert ((sun >= 0.0) & (sun <= 1.0)).all()
    assert np.abs(np.diff(sun)).max() < 0.02, "no jump from one minute to the next"


def test_a_table_runs_over_new_year() -> None:
    boundary = Boundary(ClimatologyTraces(), DALLAS, PlantParameters(), 2)
    table = boundary.table(year_start_ns(2023) - 30 * MINUTE_NS, 60)
    assert table.shape[0] == 60
    assert np.abs(np.diff(table[:, 0])).max() < 0.1


def test_the_climatology_is_the_same_for_the_same_seed_and_near_its_sources() -> None:
    one, same, other = (ClimatologyTraces(seed=seed) for seed in (1, 1, 2))
    carbon = one.carbon_g_per_kwh(2023)
    assert (carbon == same.carbon_g_per_kwh(2023)).all()
    assert not (carbon == other.carbon_g_per_kwh(2023)).all()
    assert 320.0 < carbon.mean() < 350.0  # Electricity Maps, 2021 to 2023: 337
    assert 0.1 < carbon.std() / carbon.mean() < 0.25
    weather = one.weather(2023)
    assert 291.0 < weather.temperature_k.mean() < 296.0
    assert 0.58 < one.utilisation(6).mean() < 0.70


def yield_h(traces: Traces) -> float:
    """Full-load hours of the DC rating in a year."""
    p = PlantParameters()
    table = Boundary(traces, DALLAS, p, 2).table(year_start_ns(traces.years[-1]), 8760, HOUR_NS)
    return float(table[:, 3].sum()) / p.dc_ac_ratio


def test_pv_yields_what_texas_yields() -> None:
    assert 1200.0 < yield_h(ClimatologyTraces()) < 1800.0


def test_real_traces_drive_the_plant(shared_data: Path) -> None:
    traces = DirectoryTraces(shared_data, ZONE)
    assert traces.years == (2021, 2022, 2023)
    carbon = traces.carbon_g_per_kwh(2023)
    assert len(carbon) == 8760
    assert carbon.mean() == pytest.approx(317.0, abs=2.0)
    weather = traces.weather(2023)
    # Coolest around sunrise, 12 to 14 h UTC: the trap of the file's fixed offset.
    coolest = int(np.argmin(weather.temperature_k.reshape(365, 24).mean(axis=0)))
    assert coolest in (12, 13)
    assert 1000.0 < yield_h(traces) < 1800.0
