"""The form of [carbon] in a site file."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from edgectl.profiles.schema import Section, Text
from edgectl.site_model.schema_types import Intensity, Ratio

FeedKind = Literal["file", "mqtt", "electricity-maps", "watttime", "eia-930", "entso-e", "uk"]


class CarbonFeedSection(Section):
    """[carbon.feed]: where the grid's carbon intensity comes from."""

    kind: FeedKind = Field(
        description="The shape in which factors come; docs/accounting.md has each.",
        examples=["electricity-maps"],
    )
    path: Text | None = Field(
        default=None, description="A file of factors, relative to this file; read again."
    )
    topic: Text | None = Field(
        default=None, description="Where factors are published, at the broker of [mqtt]."
    )
    zone: Text | None = Field(
        default=None, description="The source's own name for the zone: an answer of another is no."
    )
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+$")] | None = Field(
        default=None, description="A proxy in place of the service's published address."
    )
    token_env: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = Field(
        default=None,
        description="The environment variable that holds the token: secrets stand in no site file.",
    )
    poll_s: Annotated[int, Field(ge=10, le=3_600)] = Field(
        default=300, description="Services publish every 5 to 60 minutes; more often is refused."
    )


class CarbonSection(Section):
    """[carbon]: intensities of the location average."""

    basis: Literal["direct, location average", "lifecycle, location average"] = Field(
        description="Direct and lifecycle figures differ by half; they must not be mixed.",
        examples=["direct, location average"],
    )
    default_g_per_kwh: Intensity = Field(
        description="Used and flagged when the feed is lost; the zone's higher default.",
        examples=[480.0],
    )
    high_g_per_kwh: Intensity = Field(
        description="Above it the battery discharges.", examples=[400.0]
    )
    low_g_per_kwh: Intensity = Field(description="Under it the battery charges.", examples=[300.0])
    deadband_g_per_kwh: Intensity = Field(
        default=10.0, description="Keeps steering from flapping around a threshold."
    )
    pv_g_per_kwh: Intensity = Field(
        description="Carbon of the site's own PV, on the same basis.", examples=[0.0]
    )
    initial_stock_g_per_kwh: Intensity = Field(
        description="Carbon of what batteries hold of which no record says: at a first start.",
        examples=[480.0],
    )
    factor_u_ratio: Ratio | None = Field(
        default=None,
        description="Standard uncertainty of the zone's factor; undeclared it counts as 0.2.",
        examples=[0.1],
    )
    feed: CarbonFeedSection | None = Field(
        default=None,
        description="Where factors come from, when no --carbon-feed is given.",
    )
