"""The form of a grid code's file, as pydantic models; descriptions double as error reasons."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from edgectl.profiles.schema import Section, Text

Setting = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")]
Threshold = Annotated[float, Field(ge=0, le=1000)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Range = Annotated[list[Threshold], Field(min_length=2, max_length=2)]  # lowest, highest
SecondsRange = Annotated[list[Seconds], Field(min_length=2, max_length=2)]
Quantity = Literal["over_voltage", "under_voltage", "over_frequency", "under_frequency"]


class CodeSection(Section):
    """[code]: which grid code."""

    id: Text = Field(description="A site names its grid code by it.", examples=["ieee-1547-2018"])
    title: Text = Field(description="What it is called in full, with its year.")
    nominal_hz: Annotated[float, Field(gt=0, le=100)] = Field(
        description="A code for 60 Hz says nothing about a grid of 50 Hz."
    )
    categories: list[Text] = Field(
        min_length=1, description="Most figures depend on the category of the device."
    )


class SourceEntry(Section):
    """[[source]]: where figures were seen."""

    id: Text = Field(description="Figures name their sources by it.")
    what: Text = Field(description="Document, edition and place, so that anyone can look again.")


class Figure(Section):
    """What every figure carries."""

    categories: list[Text] = Field(min_length=1, description="For whom the figure holds.")
    clause: Text = Field(description="Table or clause of the code.", examples=["table 13"])
    sources: list[Text] = Field(min_length=1, description="Where it was seen.")
    verified: bool = Field(description="Two independent sources have it; false is no shame.")


class TripEntry(Figure):
    """[[trip]]: one stage at which a device shall trip."""

    setting: Setting = Field(description="What engineers call it.", examples=["UV1"])
    quantity: Quantity = Field(description="Which side of which quantity it watches.")
    threshold: Threshold = Field(description="Default, per unit or Hz.")
    threshold_allowed: Range = Field(description="Range it may be set to.")
    time_s: Seconds = Field(description="Default of the time beyond the threshold.")
    time_allowed_s: SecondsRange = Field(description="Range it may be set to.")

    @model_validator(mode="after")
    def _inside(self) -> Self:
        _default_inside(self.setting, self.threshold, self.threshold_allowed)
        _default_inside(self.setting, self.time_s, self.time_allowed_s)
        return self


class ValueEntry(Figure):
    """[[value]]: one setting that is a single number."""

    setting: Setting = Field(description="What it is called here.", examples=["ES_V_LOW"])
    meaning: Text = Field(description="What it is, for who reads the table.")
    unit: Literal["pu", "Hz", "s", ""] = Field(description="Of value and range.")
    value: Threshold = Field(description="Default.")
    allowed: Range = Field(description="Range it may be set to.")

    @model_validator(mode="after")
    def _inside(self) -> Self:
        _default_inside(self.setting, self.value, self.allowed)
        return self


class RideThroughEntry(Figure):
    """[[ride_through]]: a region in which a device stays for a time."""

    quantity: Quantity = Field(description="Which side of which quantity.")
    low: Threshold = Field(description="Lower end, per unit or Hz.")
    high: Threshold = Field(description="Upper end, per unit or Hz.")
    min_s: Seconds = Field(description="Shortest time it stays, at `low`.")
    slope_s_per_pu: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=0.0, description="Longer by so much for each unit above `low`."
    )
    mode: Literal["mandatory", "permissive", "momentary_cessation"] = Field(
        description="Whether it keeps feeding meanwhile."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not under high {self.high:g}")
        return self


class RocofEntry(Figure):
    """[[rocof]]: rate of change of frequency that a device rides through."""

    hz_per_s: Annotated[float, Field(gt=0, le=100)] = Field(description="Least it withstands.")


class CodeFile(Section):
    """A whole grid code."""

    schema_: Literal["edgectl.grid-code/1"] = Field(
        alias="schema", description="The form of the file has a version of its own."
    )
    code: CodeSection = Field(description="Which grid code.")
    source: list[SourceEntry] = Field(min_length=1, description="Where its figures were seen.")
    trip: list[TripEntry] = Field(min_length=1, description="When a device shall trip.")
    value: list[ValueEntry] = Field(default=[], description="Settings of a single number.")
    ride_through: list[RideThroughEntry] = Field(default=[], description="When it shall stay.")
    rocof: list[RocofEntry] = Field(default=[], description="Rates that it withstands.")


def _default_inside(setting: str, value: float, allowed: list[float]) -> None:
    low, high = allowed
    if not low <= value <= high:
        raise ValueError(f"{setting}: default {value:g} is outside its range {low:g} to {high:g}")
