"""The boundary table: what weather, users and the grid do to the campus, minute by minute.

Everything that needs sin, exp or a library is worked out here, before the first step;
the compiled step only interpolates between rows.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from edgectl.plant.parameters import PlantParameters
from edgectl.plant.traces import HOUR_NS, Series, Traces, WeatherYear, year_start_ns

MINUTE_NS = 60_000_000_000
KELVIN_OF_0_DEGC = 273.15


@dataclass(frozen=True, slots=True)
class Place:
    """Where the campus stands, for the sun."""

    latitude_deg: float
    longitude_deg: float


def wet_bulb_k(temperature_k: Series, humidity_ratio: Series) -> Series:
    """Wet bulb at sea-level pressure, K.

    Source: Stull, J. Appl. Meteorol. Climatol. 50 (2011) 2267, equation 1; good to 1 K from
    5 to 99 % humidity and -20 to 50 degC.
    """
    t, rh = temperature_k - KELVIN_OF_0_DEGC, np.clip(humidity_ratio, 0.05, 0.99) * 100.0
    return np.asarray(
        t * np.arctan(0.151977 * np.sqrt(rh + 8.313659))
        + np.arctan(t + rh)
        - np.arctan(rh - 1.676331)
        + 0.00391838 * rh**1.5 * np.arctan(0.023101 * rh)
        - 4.686035
        + KELVIN_OF_0_DEGC
    )


def cooling_ratio(parameters: PlantParameters, wet_k: Series) -> Series:
    """Chillers, pumps and towers: power per heat removed, hall fans apart.

    A chiller at a fixed fraction of Carnot, a tower that reaches the wet bulb plus its
    approach, and a waterside economiser that takes over as the tower water gets cold.
    """
    p = parameters
    tower_k = wet_k + p.tower_approach_k
    economised = np.clip(
        (p.return_water_k - (tower_k + p.exchanger_approach_k))
        / (p.return_water_k - p.chilled_water_k),
        0.0,
        1.0,
    )
    evaporator_k = p.chilled_water_k - p.evaporator_approach_k
    condenser_k = np.maximum(tower_k, p.condenser_water_min_k) + p.condenser_lift_k
    per_heat = (condenser_k - evaporator_k) / (p.carnot_ratio * evaporator_k)
    chiller = (1.0 - economised) * per_heat
    return np.asarray(chiller + p.pump_ratio + p.tower_fan_ratio * (1.0 + chiller))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Times as pvlib and numpy want them, with what the weather was then."""

    utc_ns: NDArray[np.int64]
    temperature_k: Series
    wind_m_per_s: Series
    cloud_ratio: Series
    irradiance: tuple[Series, Series, Series] | None


def pv_ratio(parameters: PlantParameters, place: Place, moments: _Moments) -> Series:
    """AC power per AC rating of fixed racks under the sky of these moments, 0 to 1.

    Clear sky: Ineichen; cloud: Kasten and Czeplak (1980) on the global irradiance, split by
    Erbs; cell temperature: Faiman; DC and inverter: PVWatts 5.
    """
    import pandas  # both take a second to import: only a plant with a sun pays for them
    from pvlib import atmosphere, clearsky, irradiance, solarposition, temperature

    p = parameters
    times = pandas.DatetimeIndex(moments.utc_ns.astype("datetime64[ns]"), tz="UTC")
    sun = solarposition.get_solarposition(
        times, place.latitude_deg, place.longitude_deg, method="nrel_numpy"
    )
    zenith, azimuth = sun["apparent_zenith"].to_numpy(), sun["azimuth"].to_numpy()
    if moments.irradiance is None:
        airmass = atmosphere.get_absolute_airmass(atmosphere.get_relative_airmass(zenith))
        with np.errstate(divide="ignore", invalid="ignore"):  # the sun below the horizon
            clear = clearsky.ineichen(zenith, airmass, p.linke_turbidity)
        global_wm2 = clear["ghi"] * (1.0 - 0.75 * moments.cloud_ratio**3.4)
        split = irradiance.erbs(global_wm2, zenith, times.day_of_year.to_numpy())
        direct_wm2, diffuse_wm2 = split["dni"], split["dhi"]
    else:
        global_wm2, direct_wm2, diffuse_wm2 = moments.irradiance
    plane = irradiance.get_total_irradiance(
        p.tilt_deg, p.azimuth_deg, zenith, azimuth, direct_wm2, global_wm2, diffuse_wm2
    )["poa_global"]
    plane = np.nan_to_num(np.asarray(plane, dtype=np.float64), nan=0.0)
    cell_degc = temperature.faiman(
        plane, moments.temperature_k - KELVIN_OF_0_DEGC, moments.wind_m_per_s
    )
    direct = plane / 1000.0 * (1.0 + p.temperature_per_k * (np.asarray(cell_degc) - 25.0))
    ac = direct * p.dc_ac_ratio * (1.0 - p.system_loss_ratio) * p.inverter_ratio
    return np.where(zenith < 90.0, np.clip(ac, 0.0, 1.0), 0.0)


class Boundary:
    """Makes boundary tables for one campus from its traces; keeps the years it has read."""

    def __init__(
        self, traces: Traces, place: Place, parameters: PlantParameters, it_buses: int
    ) -> None:
        self.traces = traces
        self._place = place
        self._parameters = parameters
        self._utilisation = traces.utilisation(it_buses)
        self._years: dict[int, tuple[WeatherYear, Series]] = {}

    def _year(self, year: int) -> tuple[WeatherYear, Series]:
        if year not in self._years:
            self._years[year] = (self.traces.weather(year), self.traces.carbon_g_per_kwh(year))
        return self._years[year]

    def table(self, utc_ns: int, rows: int, step_ns: int = MINUTE_NS) -> Series:
        """Rows of the compiled plant's columns, the first at utc_ns.

        utc_ns    UTC, ns
        rows      how many
        step_ns   between rows; the compiled plant needs minutes
        """
        moments_ns = utc_ns + step_ns * np.arange(rows, dtype=np.int64)
        first, last = (
            datetime.fromtimestamp(int(ns) // 1_000_000_000, UTC).year
            for ns in (moments_ns[0], moments_ns[-1])
        )
        parts = []
        for year in range(first, last + 1):
            inside = (moments_ns >= year_start_ns(year)) & (moments_ns < year_start_ns(year + 1))
            parts.append(self._rows(year, moments_ns[inside]))
        return np.ascontiguousarray(np.concatenate(parts))

    def _rows(self, year: int, moments_ns: NDArray[np.int64]) -> Series:
        """The rows of one calendar year; its hourly figures join up in a ring."""
        weather, carbon = self._year(year)
        hour = (moments_ns - year_start_ns(year)) / HOUR_NS

        def at(series: Series, centre_h: float = 0.0) -> Series:
            length = len(series)
            return np.asarray(
                np.interp(hour - centre_h, np.arange(length), series, period=length),
                dtype=np.float64,
            )

        # An EPW hour is a mean; it belongs to the middle of its hour.
        sky = weather.irradiance
        moments = _Moments(
            moments_ns,
            at(weather.temperature_k),
            at(weather.wind_m_per_s),
            at(weather.cloud_ratio),
            None if sky is None else (at(sky[0], 0.5), at(sky[1], 0.5), at(sky[2], 0.5)),
        )
        wet_k = wet_bulb_k(moments.temperature_k, at(weather.humidity_ratio))
        columns = [
            moments.temperature_k,
            wet_k,
            cooling_ratio(self._parameters, wet_k),
            pv_ratio(self._parameters, self._place, moments),
            moments.cloud_ratio,
            carbon[hour.astype(np.int64) % len(carbon)],
        ]
        columns += [at(self._utilisation[:, bus]) for bus in range(self._utilisation.shape[1])]
        return np.stack(columns, axis=1)
