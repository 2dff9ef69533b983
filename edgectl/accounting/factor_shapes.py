"""Answers of the services that publish emission factors, in the shapes they document.

Each function takes the bytes of one answer and gives factors, or raises DataError with
what is wrong. Nothing here speaks to a network.

Electricity Maps  api-portal.electricitymaps.com, v3 carbon-intensity latest and history
WattTime          docs.watttime.org, v3 historical and forecast
EIA               www.eia.gov/opendata, v2 electricity/rto/fuel-type-data, hour ending
UK                carbonintensity.org.uk, API 2.x: intensity and regional
MQTT              our own: see docs/accounting.md
ENTSO-E           factor_entsoe
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import wraps
from math import isfinite
from typing import Any

from edgectl.accounting import fuel_mix
from edgectl.accounting.factors import Factor, Kind, Scope, digest, refused

NS_PER_S = 1_000_000_000
HOUR_NS = 3_600 * NS_PER_S
GRAMS_PER_POUND = Fraction("453.59237")  # exactly, by definition
ANSWER_BYTES_MAX = 4_000_000
PLAIN_NUMBER = re.compile(r"^[+-]?\d{1,18}(\.\d{1,18})?$")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, which an answer must be of.

    zone      the site's name for it; provider_zone is the source's
    read_ns   UTC at which the answer came
    """

    zone: str
    provider_zone: str
    scope: Scope
    read_ns: int


Parser = Callable[[bytes, Asked], list[Factor]]


def shape(source: str) -> Callable[[Parser], Parser]:
    """A parser whose every surprise is one DataError that names the source."""

    def wrapped(parse: Parser) -> Parser:
        @wraps(parse)
        def guarded(content: bytes, asked: Asked) -> list[Factor]:
            if len(content) > ANSWER_BYTES_MAX:
                raise refused(source, f"its answer has {len(content)} bytes", "Ask for less.")
            try:
                found = parse(content, asked)
            except (
                KeyError,
                IndexError,
                TypeError,
                ValueError,
                OverflowError,
                AttributeError,
                RecursionError,
            ) as error:
                raise refused(
                    source,
                    f"its answer is not in the published shape: {type(error).__name__} {error}",
                    "Compare it with the service's documentation; it may have changed.",
                ) from error  # fmt: skip
            if not found:
                raise refused(source, "its answer holds no value", "Ask for another time.")
            return found

        return guarded

    return wrapped


@shape("Electricity Maps")
def electricity_maps(content: bytes, asked: Asked) -> list[Factor]:
    """/v3/carbon-intensity/latest, or the rows of /history."""
    answer = json.loads(content)
    rows = answer.get("history", [answer]) if isinstance(answer, dict) else answer
    found = []
    for row in rows:
        _same_zone(row["zone"], asked)
        if row["carbonIntensity"] is None:
            continue
        start_ns = utc_ns(row["datetime"])
        found.append(
            _average(
                asked, "Electricity Maps", str(row.get("estimationMethod") or "measured"),
                mg(row["carbonIntensity"]), start_ns, start_ns + _granularity_ns(row),
                utc_ns(row["updatedAt"]), bool(row.get("isEstimated")), content,
                Scope(row["emissionFactorType"]),
            )
        )  # fmt: skip
    return found


def _granularity_ns(row: Mapping[str, Any]) -> int:
    minutes = {"5_minutes": 5, "15_minutes": 15, "hourly": 60}
    return minutes[row.get("temporalGranularity", "hourly")] * 60 * NS_PER_S


@shape("WattTime")
def watttime(content: bytes, asked: Asked) -> list[Factor]:
    """/v3/historical or /v3/forecast; co2_aoer is an average, co2_moer is marginal."""
    answer = json.loads(content)
    meta = answer["meta"]
    _same_zone(meta["region"], asked)
    if meta["units"] != "lbs_co2_per_mwh":
        raise ValueError(f"units {meta['units']!r}, not lbs_co2_per_mwh")
    kind = {"co2_moer": Kind.MARGINAL, "co2_aoer": Kind.AVERAGE}[meta["signal_type"]]
    step_ns = int(meta.get("data_point_period_seconds", 300)) * NS_PER_S
    return [
        Factor(
            mg(number(row["value"]) * GRAMS_PER_POUND / 1000),
            kind,
            Scope.DIRECT,
            asked.zone,
            f"WattTime {meta['signal_type']}",
            f"model {meta['model']['date']}",
            utc_ns(row["point_time"]),
            utc_ns(row["point_time"]) + step_ns,
            utc_ns(row["last_updated"]) if row.get("last_updated") else asked.read_ns,
            False,
            digest(content),
        )
        for row in answer["data"]
    ]


@shape("EIA-930")
def eia_930(content: bytes, asked: Asked) -> list[Factor]:
    """/v2/electricity/rto/fuel-type-data: megawatt hours by fuel, periods hour ending."""
    hours: dict[int, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for row in json.loads(content)["response"]["data"]:
        _same_zone(row["respondent"], asked)
        if row["value-units"] != "megawatthours":
            raise ValueError(f"value-units {row['value-units']!r}, not megawatthours")
        if row["value"] is not None:
            fuel = fuel_mix.EIA_FUELS[row["fueltype"]]
            hours[utc_ns(row["period"] + ":00")][fuel] += number(row["value"])
    factors = fuel_mix.FACTORS[asked.scope]
    return [
        _average(
            asked, f"EIA-930 fuel mix; {fuel_mix.SOURCE}", fuel_mix.VERSION,
            fuel_mix.mixed_mg_per_kwh(generation, factors, "EIA-930"), end_ns - HOUR_NS, end_ns,
            asked.read_ns, False, content,
        )
        for end_ns, generation in sorted(fuel_mix.whole_periods(hours).items())
    ]  # fmt: skip


@shape("UK Carbon Intensity")
def uk_carbon_intensity(content: bytes, asked: Asked) -> list[Factor]:
    """/intensity for the nation, /regional/... for a region; half hours, direct."""
    rows = json.loads(content)["data"]
    if isinstance(rows, dict):
        rows = [rows]
    if "regionid" in rows[0]:
        _same_zone(str(rows[0]["regionid"]), asked)
        rows = rows[0]["data"]
    found = []
    for row in rows:
        intensity = row["intensity"]
        actual = intensity.get("actual")
        value = intensity["forecast"] if actual is None else actual
        if value is None:
            continue
        found.append(
            _average(
                asked, "UK Carbon Intensity", "actual" if actual is not None else "forecast",
                mg(value), utc_ns(row["from"]), utc_ns(row["to"]), asked.read_ns,
                actual is None, content, Scope.DIRECT,
            )
        )  # fmt: skip
    return found


@shape("MQTT")
def mqtt_json(content: bytes, asked: Asked) -> list[Factor]:
    """One message of our own shape."""
    row = json.loads(content)
    _same_zone(row["zone"], asked)
    start_ns = utc_ns(row["valid_from"])
    return [
        Factor(
            mg(row["g_per_kwh"]),
            Kind(row.get("kind", Kind.AVERAGE)),
            Scope(row["scope"]),
            asked.zone,
            str(row["source"]),
            str(row["version"]),
            start_ns,
            start_ns + int(row["valid_s"]) * NS_PER_S,
            utc_ns(row["published"]) if "published" in row else asked.read_ns,
            bool(row.get("estimated", False)),
            digest(content),
        )
    ]


def _average(
    asked: Asked, source: str, version: str, mg_per_kwh: int, start_ns: int, end_ns: int,
    published_ns: int, estimated: bool, content: bytes, scope: Scope | None = None,
) -> Factor:  # fmt: skip
    return Factor(
        mg_per_kwh, Kind.AVERAGE, scope or asked.scope, asked.zone, source, version, start_ns,
        end_ns, published_ns, estimated, digest(content),
    )  # fmt: skip


def _same_zone(found: Any, asked: Asked) -> None:
    if str(found) != asked.provider_zone:
        raise ValueError(f"it is of zone {found!r}, asked was {asked.provider_zone!r}")


def number(value: float | str) -> Fraction:
    """A published number, exactly as it is written where it is written plainly.

    Anything else goes through a double: an exponent of nine digits must not be computed.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")
    text = str(value).strip()
    if PLAIN_NUMBER.match(text):
        return Fraction(text)
    nearest = float(text)
    if not isfinite(nearest):
        raise ValueError(f"{text[:40]} is no finite number")
    return Fraction(nearest)


def mg(grams: float | str | Fraction) -> int:
    """g/kWh to whole mg/kWh, up; a value that is no number is a ValueError."""
    exact = grams if isinstance(grams, Fraction) else number(grams)
    return -((-exact * 1000).numerator // (exact * 1000).denominator)


def utc_ns(text: str) -> int:
    """An ISO 8601 instant; without a zone it is UTC, as these services write it."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1_000
