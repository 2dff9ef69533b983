"""ENTSO-E's transparency platform: actual generation per type (document A75), as XML.

Guide "Transparency Platform RESTful API", 4.4.8: GL_MarketDocument with a TimeSeries a
type of production. A series with an outBiddingZone is consumption of a pumped store and
is left out. Curve A03 leaves out points that repeat the one before.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from xml.etree import ElementTree

from edgectl.accounting import fuel_mix
from edgectl.accounting.factor_shapes import Asked, number, shape, utc_ns
from edgectl.accounting.factors import Factor, Kind, digest

POINTS_MAX = 4 * 24 * 31
NS_PER_MINUTE = 60_000_000_000
RESOLUTION = re.compile(r"^PT(?:(\d+)M|(\d+)H)$")


@shape("ENTSO-E")
def entsoe(content: bytes, asked: Asked) -> list[Factor]:
    """Factors a period of the finest resolution, from megawatts by type."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it declares a document type, which no answer of the service does")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from error
    if _local(root) == "Acknowledgement_MarketDocument":
        raise ValueError(f"it declines: {_text(root, 'Reason/text')}")
    mixes: dict[tuple[int, int], dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for series in _all(root, "TimeSeries"):
        zone = _find(series, "inBiddingZone_Domain.mRID")
        if zone is None:
            continue
        if (zone.text or "").strip() != asked.provider_zone:
            raise ValueError(f"it is of zone {zone.text!r}, asked was {asked.provider_zone!r}")
        fuel = fuel_mix.ENTSOE_FUELS[_text(series, "MktPSRType/psrType")]
        for period in _all(series, "Period"):
            for start_ns, end_ns, power in _points(series, period):
                mixes[start_ns, end_ns][fuel] += power
    factors = fuel_mix.FACTORS[asked.scope]
    created = _find(root, "createdDateTime")
    published_ns = utc_ns(created.text or "") if created is not None else asked.read_ns
    return [
        Factor(
            fuel_mix.mixed_mg_per_kwh(generation, factors, "ENTSO-E"),
            Kind.AVERAGE,
            asked.scope,
            asked.zone,
            f"ENTSO-E A75; {fuel_mix.SOURCE}",
            fuel_mix.VERSION,
            start_ns,
            end_ns,
            published_ns,
            False,
            digest(content),
        )
        for (start_ns, end_ns), generation in sorted(fuel_mix.whole_periods(mixes).items())
    ]


def _points(
    series: ElementTree.Element, period: ElementTree.Element
) -> Iterator[tuple[int, int, Fraction]]:
    """Start, end and mean power of each step of a period."""
    start_ns = utc_ns(_text(period, "timeInterval/start"))
    end_ns = utc_ns(_text(period, "timeInterval/end"))
    match = RESOLUTION.match(_text(period, "resolution"))
    if match is None:
        raise ValueError(f"resolution {_text(period, 'resolution')!r}")
    step_ns = (int(match[1] or 0) + 60 * int(match[2] or 0)) * NS_PER_MINUTE
    steps = (end_ns - start_ns) // step_ns
    if not 0 < steps <= POINTS_MAX:
        raise ValueError(f"{steps} points in one period, at most {POINTS_MAX}")
    given = {
        int(_text(point, "position")): number(_text(point, "quantity"))
        for point in _all(period, "Point")
    }
    curve = _find(series, "curveType")
    repeats = curve is not None and (curve.text or "").strip() == "A03"
    power: Fraction | None = None
    for at in range(steps):
        power = given.get(at + 1, power if repeats else None)
        if power is not None:
            yield start_ns + at * step_ns, start_ns + (at + 1) * step_ns, power


def _local(element: ElementTree.Element) -> str:
    """Its name without the namespace, which carries the version of the schema."""
    return element.tag.rpartition("}")[2]


def _all(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [each for each in element if _local(each) == name]


def _find(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next(iter(_all(element, name)), None)


def _text(element: ElementTree.Element, path: str) -> str:
    found: ElementTree.Element | None = element
    for name in path.split("/"):
        found = _find(found, name) if found is not None else None
    if found is None or not (found.text or "").strip():
        raise KeyError(path)
    return (found.text or "").strip()
