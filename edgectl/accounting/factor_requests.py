"""How each service of emission factors is asked: address, headers, and who reads the answer.

Tokens are taken from the environment, never from the site file, and are never logged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from edgectl.accounting.factor_entsoe import entsoe
from edgectl.accounting.factor_shapes import (
    NS_PER_S,
    Parser,
    eia_930,
    electricity_maps,
    uk_carbon_intensity,
    watttime,
)
from edgectl.accounting.factors import Scope


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    url          its published base; another may be given, such as a proxy on the site
    needs_token  it answers only to known users
    """

    url: str
    needs_token: bool
    parse: Parser


SERVICES: Mapping[str, Service] = {
    "electricity-maps": Service("https://api.electricitymaps.com", True, electricity_maps),
    "watttime": Service("https://api.watttime.org", True, watttime),
    "eia-930": Service("https://api.eia.gov", True, eia_930),
    "entso-e": Service("https://web-api.tp.entsoe.eu", True, entsoe),
    "uk": Service("https://api.carbonintensity.org.uk", False, uk_carbon_intensity),
}
NATION = "GB"  # of the UK service; any other zone is the number of a region


@dataclass(frozen=True, slots=True)
class Request:
    """One GET. `url` may hold a token: say `shown` instead."""

    url: str
    shown: str
    headers: Mapping[str, str] = field(default_factory=dict)


def request_for(
    service: str, base: str, zone: str, scope: Scope, token: str, now_ns: int
) -> Request:
    """What to ask a service for the factors of now and of the hours before.

    base    without a path, as Service.url has it
    zone    the service's name for it
    token   "" where none is needed; for WattTime the one its login gave
    """
    now = datetime.fromtimestamp(now_ns // NS_PER_S, UTC)
    path, query, headers = _PARTS[service](zone, scope, now)
    if token:
        secret = {"eia-930": "api_key", "entso-e": "securityToken"}.get(service)
        if secret:
            return Request(
                f"{base}{path}?{urlencode([*query, (secret, token)])}", f"{base}{path}", headers
            )
        name = {"electricity-maps": "auth-token"}.get(service, "Authorization")
        headers = {**headers, name: f"Bearer {token}" if name == "Authorization" else token}
    text = f"?{urlencode(query)}" if query else ""
    return Request(f"{base}{path}{text}", f"{base}{path}", headers)


Parts = tuple[str, list[tuple[str, str]], dict[str, str]]


def _electricity_maps(zone: str, scope: Scope, _now: datetime) -> Parts:
    query = [("zone", zone), ("emissionFactorType", scope.value)]
    return "/v3/carbon-intensity/latest", query, {}


def _watttime(zone: str, _scope: Scope, now: datetime) -> Parts:
    query = [
        ("region", zone),
        ("signal_type", "co2_aoer"),
        ("start", (now - timedelta(hours=2)).isoformat()),
        ("end", now.isoformat()),
    ]
    return "/v3/historical", query, {}


def _eia_930(zone: str, _scope: Scope, now: datetime) -> Parts:
    query = [
        ("frequency", "hourly"),
        ("data[0]", "value"),
        ("facets[respondent][]", zone),
        ("start", (now - timedelta(hours=6)).strftime("%Y-%m-%dT%H")),
        ("length", "500"),
    ]
    return "/v2/electricity/rto/fuel-type-data/data/", query, {}


def _entsoe(zone: str, _scope: Scope, now: datetime) -> Parts:
    end = now.replace(minute=0, second=0) + timedelta(hours=1)
    query = [
        ("documentType", "A75"),
        ("processType", "A16"),
        ("in_Domain", zone),
        ("periodStart", (end - timedelta(hours=6)).strftime("%Y%m%d%H%M")),
        ("periodEnd", end.strftime("%Y%m%d%H%M")),
    ]
    return "/api", query, {}


def _uk(zone: str, _scope: Scope, _now: datetime) -> Parts:
    path = "/intensity" if zone == NATION else f"/regional/regionid/{quote(zone, safe='')}"
    return path, [], {"Accept": "application/json"}


_PARTS = {
    "electricity-maps": _electricity_maps,
    "watttime": _watttime,
    "eia-930": _eia_930,
    "entso-e": _entsoe,
    "uk": _uk,
}
