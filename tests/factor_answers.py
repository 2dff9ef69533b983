"""Answers in the shapes that the services of emission factors publish, for tests."""

import json
from typing import Any

HOUR_NS = 3_600 * 10**9
START_NS = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z


def electricity_maps(**other: Any) -> bytes:
    row = {
        "zone": "DE",
        "carbonIntensity": 302,
        "datetime": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:40:01.000Z",
        "createdAt": "2025-12-29T00:41:00.000Z",
        "emissionFactorType": "direct",
        "isEstimated": True,
        "estimationMethod": "TIME_SLICER_AVERAGE",
        "temporalGranularity": "hourly",
    }
    return json.dumps({**row, **other}).encode()


def watttime(signal: str = "co2_aoer", value: float = 870.0, **meta: Any) -> bytes:
    answer = {
        "data": [
            {"point_time": "2026-01-01T00:00:00+00:00", "value": value},
            {"point_time": "2026-01-01T00:05:00+00:00", "value": value + 10},
        ],
        "meta": {
            "region": "CAISO_NORTH",
            "data_point_period_seconds": 300,
            "signal_type": signal,
            "units": "lbs_co2_per_mwh",
            "model": {"date": "2025-10-01"},
            "warnings": [],
            **meta,
        },
    }
    return json.dumps(answer).encode()


def eia_930(rows: list[tuple[str, str, str | float]] | None = None) -> bytes:
    """Period, fuel type, MWh. The last hour has wind alone: it is not finished."""
    listed = rows or [
        ("2026-01-01T01", "COL", "9000"),
        ("2026-01-01T01", "NG", 20_000),
        ("2026-01-01T01", "NUC", "5000"),
        ("2026-01-01T01", "WND", "6000"),
        ("2026-01-01T01", "SUN", "-7"),
        ("2026-01-01T01", "BAT", "-400"),
        ("2026-01-01T02", "WND", "9000"),
    ]
    data = [
        {
            "period": period,
            "respondent": "ERCO",
            "respondent-name": "Electric Reliability Council of Texas, Inc.",
            "fueltype": fuel,
            "type-name": fuel,
            "value": value,
            "value-units": "megawatthours",
        }
        for period, fuel, value in listed
    ]
    response = {"total": str(len(data)), "dateFormat": 'YYYY-MM-DD"T"HH24', "frequency": "hourly"}
    return json.dumps({"response": {**response, "data": data}, "apiVersion": "2.1.8"}).encode()


def uk(actual: int | None = 263, forecast: int | None = 266) -> bytes:
    row = {
        "from": "2026-01-01T00:00Z",
        "to": "2026-01-01T00:30Z",
        "intensity": {"forecast": forecast, "actual": actual, "index": "moderate"},
    }
    return json.dumps({"data": [row]}).encode()


def uk_region(region: int = 13) -> bytes:
    row = {
        "from": "2026-01-01T00:00Z",
        "to": "2026-01-01T00:30Z",
        "intensity": {"forecast": 98, "index": "low"},
        "generationmix": [{"fuel": "wind", "perc": 60.2}],
    }
    data = [{"regionid": region, "dnoregion": "UKPN London", "shortname": "London", "data": [row]}]
    return json.dumps({"data": data}).encode()


def mqtt(**other: Any) -> bytes:
    row = {
        "g_per_kwh": 412.5, "zone": "DE", "scope": "direct", "source": "plant historian",
        "version": "7", "valid_from": "2026-01-01T00:00:00Z", "valid_s": 900,
    }  # fmt: skip
    return json.dumps({**row, **other}).encode()


SERIES = """<TimeSeries><mRID>{number}</mRID><businessType>A01</businessType>
<objectAggregation>A08</objectAggregation>
<{side}BiddingZone_Domain.mRID codingScheme="A01">{zone}</{side}BiddingZone_Domain.mRID>
<quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name><curveType>{curve}</curveType>
<MktPSRType><psrType>{fuel}</psrType></MktPSRType><Period><timeInterval>
<start>2026-01-01T00:00Z</start><end>2026-01-01T01:00Z</end></timeInterval>
<resolution>PT15M</resolution>{points}</Period></TimeSeries>"""
ZONE = "10Y1001A1001A82H"


def entsoe(
    series: list[tuple[str, str, str, dict[int, float]]] | None = None, zone: str = ZONE
) -> bytes:
    """Side, fuel, curve type, and power by position."""
    listed = series or [
        ("in", "B04", "A01", {1: 100, 2: 100, 3: 100, 4: 100}),
        ("in", "B19", "A03", {1: 300, 3: 100}),
        ("out", "B10", "A01", {1: 50, 2: 50, 3: 50, 4: 50}),
    ]
    text = "".join(
        SERIES.format(
            number=at, side=side, fuel=fuel, curve=curve, zone=zone,
            points="".join(
                f"<Point><position>{position}</position><quantity>{power}</quantity></Point>"
                for position, power in points.items()
            ),
        )
        for at, (side, fuel, curve, points) in enumerate(listed)
    )  # fmt: skip
    return (
        '<?xml version="1.0" encoding="utf-8"?><GL_MarketDocument '
        'xmlns="urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"><mRID>x</mRID>'
        "<type>A75</type><process.processType>A16</process.processType>"
        f"<createdDateTime>2026-01-01T01:20:00Z</createdDateTime>{text}</GL_MarketDocument>"
    ).encode()


ENTSOE_DECLINES = (
    b'<Acknowledgement_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgement'
    b'document:7:0"><mRID>x</mRID><Reason><code>999</code><text>No matching data found</text>'
    b"</Reason></Acknowledgement_MarketDocument>"
)
