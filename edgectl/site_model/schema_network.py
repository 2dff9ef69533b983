"""The form of [[generator]], [[bus]] and [[feeder]] in a site file."""

from pydantic import Field

from edgectl.profiles.schema import Section
from edgectl.site_model.schema_types import (
    AccuracyClass,
    Id,
    Intensity,
    PositiveWatts,
    Tag,
    TransformerClass,
)


class GeneratorEntry(Section):
    """[[generator]]: a generating set that runs on a fuel; edgectl books it and never starts it."""

    id: Id = Field(description="Names the source in the ledger.", examples=["GEN-1"])
    power: Tag = Field(
        description="Its energy is a source, and no part of the grid's; it must be metered.",
        examples=["GEN-01.active_power"],
    )
    rating_w: PositiveWatts = Field(description="The most it can generate.", examples=[2_500_000])
    carbon_g_per_kwh: Intensity = Field(
        description="Carbon of its fuel per electric energy at its terminals, on the basis of "
        "[carbon].",
        examples=[700.0],
    )
    accuracy_class: AccuracyClass = None
    ct_class: TransformerClass = None


class BusEntry(Section):
    """[[bus]]: a busbar of the site, for the accounting alone."""

    id: Id = Field(description="Names the bus in the accounting.", examples=["BUS-A"])
    fed_by: Id | None = Field(
        default=None, description="The bus that feeds it; the one without stands at the grid."
    )
    holds: list[Id] = Field(
        default=[],
        description="Loads, PV blocks, batteries and generators at this bus; what is named "
        "nowhere stands at the grid's.",
    )


class FeederEntry(Section):
    """[[feeder]]: a metered line between two buses."""

    id: Id = Field(description="Names the feeder.", examples=["TIE-AB"])
    from_bus: Id = Field(
        description="Where it begins; its meter reads positive from here.", examples=["BUS-A"]
    )
    to_bus: Id = Field(description="Where it ends.", examples=["BUS-B"])
    power: Tag = Field(
        description="What it carries decides whose energy the buses behind it used.",
        examples=["MTR-T1.active_power"],
    )
    accuracy_class: AccuracyClass = None
    ct_class: TransformerClass = None
