"""The form of a monitor and of a heartbeat in the site file, as pydantic models."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from edgectl.profiles.schema import Section, Text
from edgectl.site_model.schema_types import Id, Milliseconds, PositiveWatts, Tag

MonitorKindName = Literal[
    "rate",
    "spread",
    "imbalance",
    "balance",
    "mismatch",
    "difference",
    "unchanged",
    "dwell",
    "coulomb",
    "count",
    "opposed",
    "inverse_time",
    "demand_forecast",
    "demand_room",
    "demand_shortfall",
]
CurveName = Literal["iec_si", "iec_vi", "iec_ei", "ieee_mi", "ieee_vi", "ieee_ei"]


class MonitorEntry(Section):
    """[[monitor]]: a quantity that no device measures, made of those that are; a point of its own.

    Keys that carry the inputs' unit (on_above_w, pickup_a, least_v) are read with it.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)

    id: Id = Field(
        description="Rows name it as <id>.value.", examples=["OVERLOAD-T1", "TEMP-RISE-01"]
    )
    kind: MonitorKindName = Field(
        description="What is made of the inputs; docs/interlocks.md lists the kinds.",
        examples=["inverse_time"],
    )
    inputs: list[Tag] = Field(
        min_length=1,
        max_length=64,
        description="The points it is made of; where one is bad, so is it.",
        examples=[["T1.current"]],
    )
    window_s: Annotated[float, Field(gt=0, le=86_400)] | None = Field(
        default=None, description="The time a rate, count, coulomb count or demand looks over."
    )
    either_way: bool | None = Field(
        default=None, description="A rate's magnitude instead of its sign."
    )
    capacity_j: Annotated[float, Field(gt=0, le=1e15)] | None = Field(
        default=None, description="What the battery holds, for the coulomb count."
    )
    curve: CurveName | None = Field(
        default=None, description="The inverse-time curve (IEC 60255-151, IEEE C37.112)."
    )
    multiplier: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None, description="TMS of an IEC curve, TD of an IEEE one."
    )
    reset_s: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        default=None, description="Time to cool from the trip at no load; longer is more careful."
    )
    limit_w: PositiveWatts | None = Field(
        default=None, description="Average power that a demand window may end at."
    )
    why: Text = Field(
        description="A figure nobody can explain is the one somebody will change.",
        examples=["Transformer T1, 20 MVA: calc note EC-021."],
    )

    @property
    def measured(self) -> dict[str, Any]:
        """Keys that carry a unit, as written."""
        return dict(self.model_extra or {})


class HeartbeatEntry(Section):
    """[[heartbeat]]: a counter that a device watches us by."""

    command: Tag = Field(
        description="Where the count goes; the device falls back by itself when it stands still.",
        examples=["BMS-01.controller_heartbeat"],
    )
    every_ms: Milliseconds = Field(
        description="At least twice within the device's own time-out.", examples=[1000]
    )
    wraps_at: Annotated[int, Field(ge=2, le=65_536)] = Field(
        default=65_536, description="The count goes on at 0 from here."
    )
