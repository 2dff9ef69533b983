"""A built-in year for the campus where no data directory is given: north-central Texas.

Round figures computed by us as means by month and hour, 2021 to 2023; no file is copied.
Weather: Open-Meteo reanalysis for Dallas (2 m temperature, relative humidity, cloud cover).
Carbon intensity: Electricity Maps, zone US-TEX-ERCO, direct, average; rounded to 10 g.
Utilisation: shape by us; mean and range between the Alibaba and Google cluster traces.
Around the means goes a seeded day-to-day variation, so that a year has hot spells, dull
days and windy nights: standard deviations 4 K, 12 % of humidity, 0.25 of cloud cover and
13 % of intensity (its coefficient of variation in the data is 20 % with the daily course).
"""

import numpy as np
from numpy.typing import NDArray

# degC at local standard hours 4 (coolest) and 16 (warmest), January to December.
_COOLEST_DEGC = (5, 4, 11, 14, 19, 24, 26, 26, 23, 16, 10, 9)
_WARMEST_DEGC = (14, 13, 20, 24, 28, 32, 36, 35, 33, 26, 18, 17)
_HUMID_RATIO = (0.75, 0.76, 0.76, 0.78, 0.86, 0.83, 0.75, 0.73, 0.73, 0.75, 0.81, 0.78)
_DRY_RATIO = (0.48, 0.50, 0.46, 0.47, 0.56, 0.51, 0.40, 0.40, 0.37, 0.42, 0.54, 0.52)
_CLOUD_RATIO = (0.47, 0.56, 0.50, 0.55, 0.68, 0.50, 0.38, 0.40, 0.27, 0.38, 0.48, 0.54)

# g CO2e/kWh by month at UTC hours 0, 3, 6, 9, 12, 15, 18 and 21.
_CARBON_G_PER_KWH = (
    (380, 350, 320, 310, 340, 330, 320, 310),
    (370, 340, 310, 320, 350, 330, 310, 310),
    (320, 290, 250, 250, 290, 260, 260, 270),
    (330, 310, 270, 270, 310, 280, 280, 300),
    (340, 330, 310, 310, 330, 310, 330, 330),
    (380, 370, 350, 350, 370, 350, 370, 370),
    (390, 390, 360, 370, 380, 360, 380, 380),
    (400, 390, 370, 370, 390, 360, 380, 380),
    (420, 380, 350, 350, 380, 350, 370, 380),
    (400, 360, 330, 330, 370, 330, 330, 340),
    (380, 340, 320, 320, 350, 330, 320, 320),
    (370, 340, 320, 310, 340, 310, 290, 290),
)

# Share of the servers' capacity in use by local standard hour.
_UTILISATION = (
    0.58, 0.56, 0.54, 0.53, 0.53, 0.54, 0.56, 0.59, 0.63, 0.67, 0.71, 0.74,
    0.76, 0.77, 0.78, 0.78, 0.76, 0.72, 0.68, 0.65, 0.63, 0.62, 0.61, 0.59,
)  # fmt: skip

_HOURS = 8760
_LOCAL_STANDARD_H = -6  # US Central Standard Time, all year


def _by_month(figures: tuple[float, ...], day: NDArray[np.float64]) -> NDArray[np.float64]:
    """Monthly figures, each at its month's middle, joined by straight lines over the year."""
    middles = (np.arange(-1, 13) + 0.5) * (365 / 12)
    values = np.array([figures[-1], *figures, figures[0]], dtype=np.float64)
    return np.asarray(np.interp(day, middles, values))


def _wander(generator: np.random.Generator, hours: int, tau_h: float) -> NDArray[np.float64]:
    """Hourly AR(1) noise of unit variance that forgets with tau_h."""
    keep = tau_h / (tau_h + 1.0)
    draws = generator.standard_normal(hours) * np.sqrt(1.0 - keep * keep)
    values = np.empty(hours)
    value = 0.0
    for hour in range(hours):
        value = value * keep + draws[hour]
        values[hour] = value
    return values


def year(seed: int) -> dict[str, NDArray[np.float64]]:
    """Hourly series of 365 days from 1 January 00 h UTC, drawn from the seed.

    seed   of the day-to-day variation

    Returns temperature_k, humidity_ratio, cloud_ratio, wind_m_per_s, carbon_g_per_kwh and
    utilisation_ratio.
    """
    generator = np.random.default_rng(seed)
    utc_h = np.arange(_HOURS)
    day = utc_h / 24.0
    local_h = (utc_h + _LOCAL_STANDARD_H) % 24
    # Fast rise from 4 to 16 h, slow fall back: two half cosines.
    warmth = 0.5 - 0.5 * np.cos(np.pi * ((local_h - 4) % 24) / 12.0)
    spell = _wander(generator, _HOURS, 60.0)
    cool, warm = _by_month(_COOLEST_DEGC, day), _by_month(_WARMEST_DEGC, day)
    humid, dry = _by_month(_HUMID_RATIO, day), _by_month(_DRY_RATIO, day)
    cloud = _by_month(_CLOUD_RATIO, day) + 0.25 * _wander(generator, _HOURS, 20.0)
    three_hours = np.array(_CARBON_G_PER_KWH, dtype=np.float64)
    month = np.minimum((day / (365 / 12)).astype(np.int64), 11)
    here = three_hours[month, (utc_h // 3) % 8]
    after = three_hours[month, (utc_h // 3 + 1) % 8]
    carbon = here + (after - here) * (utc_h % 3) / 3.0
    use = np.array(_UTILISATION)[local_h] + 0.035 * _wander(generator, _HOURS, 6.0)
    return {
        "temperature_k": 273.15 + cool + (warm - cool) * warmth + 4.0 * spell,
        "humidity_ratio": np.clip(
            humid + (dry - humid) * warmth + 0.12 * _wander(generator, _HOURS, 30.0), 0.1, 1.0
        ),
        "cloud_ratio": np.clip(cloud, 0.0, 1.0),
        "wind_m_per_s": np.clip(4.0 + 1.5 * _wander(generator, _HOURS, 12.0), 0.5, None),
        "carbon_g_per_kwh": carbon * (1.0 + 0.13 * _wander(generator, _HOURS, 24.0)),
        "utilisation_ratio": np.clip(use, 0.05, 0.98),
    }
