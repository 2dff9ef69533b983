"""Hourly weather, utilisation and grid intensity: read from a data directory or built in.

A data directory has the layout of the project's shared data: ci/ZONE_YEAR_hourly.csv,
weather/ZONE_YEAR.json, epw/*.epw and cpu/*.csv. Everything is put on UTC hours; a year
that the directory does not have is served by the nearest one it has.
"""

import csv
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgectl.errors import DataError
from edgectl.plant import climatology

Series = NDArray[np.float64]
HOUR_NS = 3_600_000_000_000
HOURS_A_YEAR = 8760


@dataclass(frozen=True, slots=True)
class WeatherYear:
    """Hourly weather of one year from 1 January 00 h UTC; irradiance only where measured.

    Irradiances in W/m2: global horizontal, direct normal, diffuse horizontal.
    """

    temperature_k: Series
    humidity_ratio: Series
    cloud_ratio: Series
    wind_m_per_s: Series
    irradiance: tuple[Series, Series, Series] | None


class Traces(Protocol):
    """What drives the campus from outside, by calendar year."""

    @property
    def source(self) -> str:
        """Where the figures come from, for reports."""

    @property
    def years(self) -> tuple[int, ...]:
        """Years with their own data, rising."""

    def weather(self, year: int) -> WeatherYear:
        """Hourly weather of a year."""

    def carbon_g_per_kwh(self, year: int) -> Series:
        """Hourly grid intensity of a year, direct, average."""

    def utilisation(self, buses: int) -> Series:
        """Utilisation, one row an hour of the year, one column an IT bus."""


def year_start_ns(year: int) -> int:
    """UTC ns of 1 January 00 h."""
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000


def _to_utc(values: list[float | None], offset_s: int) -> Series:
    """Local hours on UTC hours: hour h of UTC is local hour h + offset, wrapped at the year."""
    series = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    gaps = np.isnan(series)
    if gaps.any():
        index = np.arange(len(series))
        series[gaps] = np.interp(index[gaps], index[~gaps], series[~gaps])
    return np.roll(series, -(offset_s // 3600))


@dataclass(frozen=True)
class ClimatologyTraces:
    """The built-in year, the same for every calendar year."""

    seed: int = 1
    source: str = "built-in climatology: Open-Meteo, Electricity Maps 2021 to 2023, rounded"
    years: tuple[int, ...] = (2023,)

    @cached_property
    def _year(self) -> dict[str, Series]:
        return climatology.year(self.seed)

    def weather(self, year: int) -> WeatherYear:
        """Hourly weather; the calendar year makes no difference."""
        series = self._year
        return WeatherYear(
            series["temperature_k"],
            series["humidity_ratio"],
            series["cloud_ratio"],
            series["wind_m_per_s"],
            None,
        )

    def carbon_g_per_kwh(self, year: int) -> Series:
        """Hourly grid intensity; the calendar year makes no difference."""
        return self._year["carbon_g_per_kwh"]

    def utilisation(self, buses: int) -> Series:
        """One series, an hour later on each further bus, so that the buses do not move as one."""
        series = self._year["utilisation_ratio"]
        return np.stack([np.roll(series, bus % 3) for bus in range(buses)], axis=1)


@dataclass(frozen=True)
class DirectoryTraces:
    """Traces of a data directory; each file is read when first needed."""

    directory: Path
    zone: str

    def __post_init__(self) -> None:
        for part, pattern in (("ci", f"{self.zone}_*_hourly.csv"), ("cpu", "*.csv")):
            if not sorted((self.directory / part).glob(pattern)):
                raise DataError(
                    where=str(self.directory / part),
                    problem=f"no file {pattern}",
                    because="The plant needs grid intensity and utilisation of the site's zone.",
                    remedy="Name a directory with ci, weather and cpu in it, or leave --data out.",
                )

    @property
    def source(self) -> str:
        """The directory and the zone."""
        return f"{self.directory}, zone {self.zone}"

    @cached_property
    def years(self) -> tuple[int, ...]:
        """Years with grid intensity, rising."""
        names = (path.name for path in (self.directory / "ci").glob(f"{self.zone}_*_hourly.csv"))
        found = (re.fullmatch(r".*_(\d{4})_hourly\.csv", name) for name in names)
        return tuple(sorted(int(match[1]) for match in found if match))

    def _nearest(self, year: int) -> int:
        return min(self.years, key=lambda each: (abs(each - year), -each))

    def carbon_g_per_kwh(self, year: int) -> Series:
        """Direct (not lifecycle) average intensity; column 4 of Electricity Maps' files."""
        path = self.directory / "ci" / f"{self.zone}_{self._nearest(year)}_hourly.csv"
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        column = next(i for i, name in enumerate(rows[0]) if name.endswith("(direct)"))
        values = np.array([float(row[column] or "nan") for row in rows[1:]])
        return _to_utc(list(values), 0)

    def weather(self, year: int) -> WeatherYear:
        """The zone's own year where there is one, else the first typical year (EPW)."""
        path = self.directory / "weather" / f"{self.zone}_{self._nearest(year)}.json"
        if path.exists():
            return _open_meteo(path)
        typical = sorted((self.directory / "epw").glob("*.epw"))
        if typical:
            return _epw(typical[0])
        raise DataError(
            where=str(path),
            problem="there is no such file, and no epw/*.epw to stand in",
            because="Cooling and PV follow the weather; without it there is no campus.",
            remedy="Add the weather file, or leave --data out for the built-in climatology.",
        )

    def utilisation(self, buses: int) -> Series:
        """The directory's traces in turn; a bus that shares one runs an hour behind."""
        traces = []
        for path in sorted((self.directory / "cpu").glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                load = [float(row[1]) for row in list(csv.reader(file))[1:] if len(row) > 1]
            traces.append(np.resize(np.clip(load, 0.0, 1.0), HOURS_A_YEAR))
        return np.stack(
            [np.roll(traces[bus % len(traces)], bus // len(traces)) for bus in range(buses)],
            axis=1,
        )


def _open_meteo(path: Path) -> WeatherYear:
    """Open-Meteo's JSON: its hours carry the file's own fixed offset, never a DST jump."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    offset_s, hourly = int(whole["utc_offset_seconds"]), whole["hourly"]
    return WeatherYear(
        _to_utc(hourly["temperature_2m"], offset_s) + 273.15,
        _to_utc(hourly["relative_humidity_2m"], offset_s) / 100.0,
        _to_utc(hourly["cloudcover"], offset_s) / 100.0,
        _to_utc(hourly["windspeed_10m"], offset_s) / 3.6,
        None,
    )


def _epw(path: Path) -> WeatherYear:
    """EnergyPlus weather in local standard time; hour 1 is the hour that ends at 01:00."""
    with path.open(encoding="latin-1", newline="") as file:
        rows = list(csv.reader(file))
    offset_s = int(float(rows[0][8]) * 3600)
    data = rows[8:]

    def column(index: int) -> Series:
        return _to_utc([float(row[index]) for row in data], offset_s)

    return WeatherYear(
        column(6) + 273.15,
        column(8) / 100.0,
        column(22) / 10.0,
        column(21),
        (column(13), column(14), column(15)),
    )


def open_traces(data: Path | None, zone: str, seed: int = 1) -> Traces:
    """Traces of a data directory, or the built-in climatology when there is none.

    Raises DataError for a directory without the zone's files.
    """
    if data is None:
        return ClimatologyTraces(seed=seed)
    return DirectoryTraces(directory=data, zone=zone)


class GridCarbonTrace:
    """Average grid intensity by UTC time; each hour's figure holds for its hour."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._years: dict[int, Series] = {}

    def g_per_kwh(self, utc_ns: int) -> float:
        """Intensity in force at utc_ns, g CO2e/kWh, direct, location average."""
        year = datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC).year
        if year not in self._years:
            self._years[year] = self._traces.carbon_g_per_kwh(year)
        series = self._years[year]
        return float(series[(utc_ns - year_start_ns(year)) // HOUR_NS % len(series)])

    def at(self, utc_ns: int) -> float | None:
        """The same under the name that the services' carbon feeds have."""
        return self.g_per_kwh(utc_ns)
