"""What was seen of a site's points over some seconds: raw words, values, qualities, times.

A value that the controller refused, as one out of range, is what commissioning wants most; so
values are decoded again from the raw words, in the profile's word order or in the other one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.quality import Reason
from edgectl.profiles import Point
from edgectl.site_model import Device

Floats = NDArray[np.float64]
# Words under one of these reasons are no answer of the device, or an old one.
LOST = (
    Reason.REASON_NOT_YET,
    Reason.REASON_COMMUNICATION,
    Reason.REASON_CONFIGURATION,
    Reason.REASON_STALE,
)
INTEGERS: dict[str, type[np.unsignedinteger[Any] | np.signedinteger[Any]]] = {
    "u16": np.uint16, "s16": np.int16, "u32": np.uint32, "s32": np.int32,
    "u64": np.uint64, "s64": np.int64,
}  # fmt: skip
REGISTER_BITS = 16


def swapped(raw: NDArray[np.uint64], words: int) -> NDArray[np.uint64]:
    """Bits of `words` registers with the order of the registers turned round."""
    mask = np.uint64(0xFFFF)
    turned = np.zeros_like(raw)
    for at in range(words):
        word = (raw >> np.uint64(REGISTER_BITS * at)) & mask
        turned |= word << np.uint64(REGISTER_BITS * (words - 1 - at))
    return turned


def numbers(raw: NDArray[np.uint64], type_name: str) -> Floats:
    """The numbers that bits mean in a register type, before scale and offset."""
    if type_name == "f32":
        with np.errstate(invalid="ignore"):  # a signalling NaN is one all the same
            return raw.astype(np.uint32).view(np.float32).astype(np.float64)
    if type_name == "f64":
        return raw.view(np.float64).copy()
    return raw.astype(INTEGERS.get(type_name, np.uint64)).astype(np.float64)


@dataclass(frozen=True)
class PointSeries:
    """One point, one element a scan.

    value      SI, as the controller has it; the last good one while it refuses new ones
    raw        words as received, the first one highest once put in the profile's order
    quality    Quality
    reason     Reason
    source_ns  ns, monotonic, when the reply with these words was complete; 0: never
    """

    point: Point
    value: Floats
    raw: NDArray[np.uint64]
    quality: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    source_ns: NDArray[np.int64]

    @cached_property
    def answered(self) -> NDArray[np.bool_]:
        """Where the words are a fresh answer, whatever they are worth."""
        fresh = (self.source_ns > 0) & ~np.isin(self.reason, [int(each) for each in LOST])
        if self.point.sentinel is not None:
            fresh &= self.raw != np.uint64(self.point.sentinel)
        return np.asarray(fresh & ~self.at_end)

    @cached_property
    def at_end(self) -> NDArray[np.bool_]:
        """Where a signed register is as full as it can be: no measurement, but a lack of room."""
        if self.point.type not in ("s16", "s32", "s64"):
            return np.zeros(len(self.raw), np.bool_)
        ends = np.iinfo(INTEGERS[self.point.type])
        full = np.isin(numbers(self.raw, self.point.type), [float(ends.max), float(ends.min)])
        return np.asarray(full & (self.source_ns > 0))

    @property
    def at_register_end(self) -> bool:
        """Whether most answers are at the end of the register."""
        fresh = self.source_ns > 0
        return bool(fresh.any() and self.at_end.sum() > 0.5 * fresh.sum())

    @cached_property
    def replied(self) -> NDArray[np.bool_]:
        """The first scan of each reply, whatever it brought."""
        first = np.ones(len(self.source_ns), np.bool_)
        first[1:] = np.diff(self.source_ns) != 0
        return first & (self.source_ns > 0)

    @cached_property
    def new(self) -> NDArray[np.bool_]:
        """The first scan of each reply that brought usable words."""
        return self.replied & self.answered

    def decoded(self, *, other_order: bool = False) -> Floats:
        """Values in SI, decoded again; NaN where there was no answer.

        other_order   as if the profile had named the other word order
        """
        if self.point.sf_address is not None:  # its factor is in other words than these
            good = self.answered & (self.quality > 0)
            return np.where(good, self.value, np.nan)
        raw = swapped(self.raw, self.point.words) if other_order else self.raw
        value = numbers(raw, self.point.type) * self.point.scale + self.point.offset
        return np.where(self.answered & np.isfinite(value), value, np.nan)

    @property
    def quantum(self) -> float:
        """SI step of one count of an integer register; 0 for a float, NaN where not known."""
        if self.point.type in ("f32", "f64"):
            return 0.0
        if self.point.sf_address is None:
            return abs(self.point.scale)
        number = numbers(self.raw, self.point.type)
        known = self.answered & (number != 0.0) & (self.quality > 0)
        if not known.any():
            return float("nan")
        return float(np.median(np.abs(self.value[known] / number[known])))


@dataclass(frozen=True)
class StorageSeries:
    """One battery of the site: W, charge positive, one element a scan."""

    request_w: Floats
    setpoint_w: Floats
    output_w: Floats
    binding: NDArray[np.uint8]


@dataclass(frozen=True)
class Observation:
    """Some seconds of a site.

    time_ns    ns, monotonic, of each scan
    points     by tag
    storages   by the battery's id
    """

    time_ns: NDArray[np.int64]
    points: Mapping[str, PointSeries]
    storages: Mapping[str, StorageSeries]

    @property
    def seconds(self) -> float:
        """From the first scan to the last."""
        if len(self.time_ns) == 0:
            return 0.0
        return float(self.time_ns[-1] - self.time_ns[0]) * 1e-9


@dataclass(frozen=True)
class DeviceView:
    """One device's points, decoded in the word order that its values speak for.

    other_order   decode as if the profile had named the other order
    """

    device: Device
    observation: Observation
    other_order: bool = False

    def series(self, name: str) -> PointSeries | None:
        """A point by its name in the profile; None where the device has none."""
        return self.observation.points.get(f"{self.device.id}.{name}")

    def values(self, name: str) -> Floats | None:
        """Its values in SI, NaN where nothing usable came; None where nothing ever came."""
        found = self.series(name)
        if found is None:
            return None
        values = found.decoded(other_order=self.other_order)
        return values if np.isfinite(values).any() else None

    def median(self, name: str) -> float:
        """The middle of its values; NaN without any."""
        values = self.values(name)
        return float("nan") if values is None else float(np.nanmedian(values))

    def answered(self) -> bool:
        """Whether any point of it ever came."""
        return any(
            bool(series.answered.any())
            for tag, series in self.observation.points.items()
            if tag.startswith(f"{self.device.id}.")
        )


def observation_of(
    points: Mapping[str, Point],
    time_ns: NDArray[np.int64],
    samples: NDArray[Any],
    storages: Mapping[str, NDArray[Any]],
) -> Observation:
    """Put recorded samples under their tags.

    points     the wire points of the site by tag, in the order of the columns of `samples`
    time_ns    ns, monotonic, one a scan
    samples    Sample records, one row a scan, one column a point
    storages   StorageRecord arrays by the battery's id, one element a scan
    """
    return Observation(
        time_ns=time_ns,
        points={
            tag: PointSeries(
                point=point,
                value=samples["value"][:, at].copy(),
                raw=samples["raw"][:, at].copy(),
                quality=samples["quality"][:, at].copy(),
                reason=samples["reason"][:, at].copy(),
                source_ns=samples["source_ns"][:, at].copy(),
            )
            for at, (tag, point) in enumerate(points.items())
        },
        storages={
            name: StorageSeries(
                record["request_w"].copy(),
                record["setpoint_w"].copy(),
                record["output_w"].copy(),
                record["binding"].copy(),
            )
            for name, record in storages.items()
        },
    )
