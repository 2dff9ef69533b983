"""What is known of one scan: its record, its values, and what came before it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgectl._kernel.interlock import InterlockStatus, RowFlag
from edgectl.explain.causes import RowNow, row_now, standing_rows
from edgectl.explain.words import utc
from edgectl.image.changes import device_state
from edgectl.image.points import PointDecoder, PointValue


@dataclass(frozen=True, slots=True)
class Scene:
    """One scan.

    records  consecutive, of which the last is the scan in question; those before say since when
    links    of the process image, one a device; None for a past scan: records do not hold them
    source   where the records come from, in words
    """

    directory: Mapping[str, Any]
    records: Any
    values: Mapping[str, PointValue]
    source: str
    links: Any = None
    rows: tuple[RowNow, ...] = field(default=())

    @property
    def record(self) -> Any:
        """The scan in question."""
        return self.records[-1]

    @property
    def head(self) -> Any:
        """Its head."""
        return self.record["head"]

    @property
    def before(self) -> Any:
        """The record of the scan before; None where it is not there."""
        return self.records[-2] if len(self.records) > 1 else None

    def good(self, tag: str | None) -> float | None:
        """A point's value, None where it is not good or not there."""
        point = self.values.get(tag or "")
        return point.value if point is not None and point.good else None

    def row(self, row: int) -> RowNow:
        """One row."""
        return row_now(self.directory, self.record, row, self.values)

    def since(self, row: int) -> str:
        """Since when a row has stood, as far back as the records go."""
        if int(self.record["interlock_flags"][row]) & RowFlag.ROW_START:
            return "since the controller started: every row starts tripped"
        standing = self.records["interlocks"][:, row] >= int(InterlockStatus.INTERLOCK_TRIPPED)
        clear = np.flatnonzero(~standing)
        if len(clear) == 0:
            first = self.records[0]["head"]
            if int(first["seq"]) == 0:
                return "since before the controller started: its latch was kept over the restart"
            return f"since before {utc(int(first['utc_ns']))}, where the records begin"
        head = self.records[int(clear[-1]) + 1]["head"]
        return f"since scan {int(head['scan'])}, {utc(int(head['utc_ns']))}"

    def device(self, device: str) -> tuple[str, Any] | None:
        """(state in a word, its DeviceLink) of a device; None where links are not known."""
        if self.links is None:
            return None
        ids = [str(each["id"]) for each in self.directory["devices"]]
        if device not in ids:
            return None
        link = self.links[ids.index(device)]
        period_ns = int(self.directory["period_ns"])
        return device_state(link, int(self.head["time_ns"]), period_ns), link


def scene_of(
    directory: Mapping[str, Any],
    records: Any,
    decoder: PointDecoder,
    source: str,
    links: Any = None,
) -> Scene:
    """The last of consecutive records, decoded."""
    record = records[-1]
    values = decoder.values(record)
    rows = tuple(standing_rows(directory, record, values))
    return Scene(directory, records, values, source, links, rows)
