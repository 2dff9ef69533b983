"""Kinds of values in a site file."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9-]{0,31}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9-]{0,31}\.[a-z][a-z0-9_]{0,47}$")]
Watts = Annotated[float, Field(ge=0, le=1e10)]
PositiveWatts = Annotated[float, Field(gt=0, le=1e10)]
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
Delay = Annotated[int, Field(ge=0, le=86_400_000)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Efficiency = Annotated[float, Field(gt=0, le=1)]
Intensity = Annotated[float, Field(ge=0, le=5000)]
AccuracyClass = Annotated[
    Literal["0.1S", "0.2S", "0.5S", "1", "2"] | None,
    Field(description="Class of the meter, IEC 62053; undeclared it counts as class 2."),
]
TransformerClass = Annotated[
    Literal["none", "0.1", "0.2S", "0.2", "0.5S", "0.5", "1"] | None,
    Field(description="Class of its current transformers, IEC 61869-2; undeclared: class 1."),
]
CarbonMethod = Literal["weighted average", "fifo"]
StandbyCarbon = Literal["concentrate", "loss account"]
