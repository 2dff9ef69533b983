"""The form of an interlock row of the site file, as pydantic models."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgectl.profiles.schema import Section, Text
from edgectl.site_model.schema_types import Delay, Ratio, Tag


class LockoutEntry(Section):
    """lockout: a row that trips again and again asks for a person."""

    trips: Annotated[int, Field(ge=2, le=1000)] = Field(
        description="So many trips within the window turn auto into operator.", examples=[3]
    )
    window_s: Annotated[int, Field(ge=1, le=604_800)] = Field(
        description="The window in which they are counted.", examples=[3600]
    )


class CauseEntry(Section):
    """cause: a tag and one condition; the condition's keys carry the tag's unit."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)

    tag: Tag = Field(
        description="What the interlock looks at.", examples=["BMS-01.cell_temperature_max"]
    )
    equals: Annotated[int, Field(strict=True)] | None = Field(
        default=None, description="True while the state is this number."
    )
    not_equals: Annotated[int, Field(strict=True)] | None = Field(
        default=None, description="True while the state is another number."
    )
    limit: Literal[True] | None = Field(
        default=None, description="Clamps the asset to the tag's value."
    )
    bad: Literal[True] | None = Field(default=None, description="True while the quality is bad.")

    @property
    def thresholds(self) -> dict[str, Any]:
        """Keys that carry a unit, above_w and the like, as written."""
        return dict(self.model_extra or {})


class EffectEntry(Section):
    """effect: what is done, and to which asset."""

    action: str = Field(
        description="What the interlock does when it trips.", examples=["inhibit_charge"]
    )
    asset: str | None = Field(
        default=None, description="The battery it acts on; all of them when left out."
    )
    to_ratio: Ratio | None = Field(
        default=None, description="derate: what is left of the rating, either way."
    )
    tier: Annotated[int, Field(ge=1, le=4)] | None = Field(
        default=None, description="shed: which tier of [flexible]; the last when left out."
    )


class InterlockEntry(Section):
    """[[interlock]]: one row of the cause-and-effect table."""

    use: Text | None = Field(
        default=None,
        description="A template of the library; keys of the row stand over the template's.",
        examples=["I07-high"],
    )
    tag: Tag | None = Field(
        default=None, description="With use: what the template's cause looks at."
    )
    tags: list[Tag] | None = Field(
        default=None,
        description="With use: what its causes look at, in their order; one cause is repeated.",
    )
    asset: Text | None = Field(
        default=None,
        description="With use: the battery its effects act on, and the group if it names none.",
    )
    monitor: dict[str, Any] | None = Field(
        default=None,
        description="With use: keys of the monitor that the template brings; it has the row's id.",
    )
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$")] = Field(
        description="Alarms, reports and resets name the row by it.", examples=["IL-BESS-003"]
    )
    title: Text = Field(
        description="What an operator reads at three in the morning.",
        examples=["Stop charging before import reaches the main fuse"],
    )
    group: Text = Field(description="First-out is recorded per group.", examples=["BESS-01"])
    priority: Literal["low", "medium", "high", "critical"] = Field(
        description="The alarm's priority (ISA-18.2).", examples=["high"]
    )
    on_bad_quality: Literal["trip", "hold"] = Field(
        description="There is no default: a wrong guess either stops the plant or hides a danger.",
        examples=["trip"],
    )
    vote: (
        Annotated[str, StringConstraints(pattern=r"^(any|all|[1-9][0-9]*oo[1-9][0-9]*)$")] | None
    ) = Field(
        default=None,
        description="MooN: M of N readings of one quantity must be true; any or all joins "
        "different quantities.",
        examples=["2oo3"],
    )
    on_delay_ms: Delay = Field(
        description="The cause must hold so long before it trips.", examples=[0]
    )
    off_delay_ms: Delay = Field(
        description="The cause must be gone so long before it clears.", examples=[0]
    )
    reset: Literal["auto", "operator", "local", "restart"] = Field(
        description="Who may clear the latch.", examples=["operator"]
    )
    lockout: LockoutEntry | None = Field(
        default=None, description="How often an auto row may trip before a person must look."
    )
    discrepancy_ms: Delay = Field(
        default=0,
        description="Causes that contradict each other so long are told as an alarm; 0: never.",
        examples=[500],
    )
    bypass: Literal["never", "authorised"] = Field(
        description="Whether an authorised person may bypass the row for a limited time.",
        examples=["never"],
    )
    cause: CauseEntry | None = Field(default=None, description="What the row looks at.")
    causes: list[CauseEntry] | None = Field(
        default=None, min_length=1, description="Several causes, with a vote."
    )
    effect: EffectEntry | None = Field(default=None, description="What the row does.")
    effects: list[EffectEntry] | None = Field(
        default=None, min_length=1, description="Several effects."
    )
    why: Text = Field(
        description="A threshold nobody can explain is the one somebody will change.",
        examples=["Main fuse 1250 A. 780 kW leaves 10 % for inrush: calc note EC-014."],
    )
    proof_test: Text = Field(
        description="An interlock that was never made to trip is a hope.", examples=["FAT-07"]
    )
    proof_interval_days: Annotated[int, Field(ge=1, le=3660)] = Field(
        default=365, description="A proof test older than this is overdue, and an alarm."
    )
    catalogue: Annotated[str, StringConstraints(pattern=r"^I[0-4][0-9]$")] | None = Field(
        default=None, description="The cause of the shipped catalogue that the row covers."
    )
