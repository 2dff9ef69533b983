"""The kernel's enumerations as the words that stand in messages."""

from collections.abc import Mapping
from typing import Any

from edgectl._kernel.clock import RtGrade
from edgectl._kernel.dispatch import Binding, RequestSource
from edgectl._kernel.interlock import InterlockStatus
from edgectl._kernel.quality import Quality, Reason


def words(enumeration: Any, prefix: str) -> Mapping[int, str]:
    """Each member's name without its prefix, in lower case, by value."""
    return {
        int(member): name.removeprefix(prefix).lower()
        for name, member in enumeration.__members__.items()
    }


QUALITY = words(Quality, "QUALITY_")
REASON = words(Reason, "REASON_")
BINDING = words(Binding, "BINDING_")
SOURCE = words(RequestSource, "SOURCE_")
STATUS = words(InterlockStatus, "INTERLOCK_")
RT_GRADE = words(RtGrade, "RT_")


def word(table: Mapping[int, str], value: int) -> str:
    """The word of a value; one that this edgectl does not know stays a number."""
    return table.get(int(value), str(int(value)))
