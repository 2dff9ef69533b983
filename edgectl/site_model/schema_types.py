"""Kinds of values in a site file."""

from typing import Annotated

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
