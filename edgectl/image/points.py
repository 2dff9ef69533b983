"""Journaled words back into values: the one decoder of what a record keeps of a point.

A record holds each point's words as they came, highest word first, or the bits
of the double for a point that the kernel fills itself. The arithmetic is the
scan's own, in its order, so that a value is the same to the last bit.

One thing a record does not hold: the power of ten that a SunSpec scale factor
adds at run time. It is learnt from the process image, where words and value
stand side by side; until then such a point has no value here, never a guess.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgectl._kernel.quality import Quality, Reason

EXPONENT_MAX = 10  # SunSpec sunssf: -10 to 10
POW10 = [float(f"1e{exponent}") for exponent in range(-EXPONENT_MAX, EXPONENT_MAX + 1)]
SIGNED_BITS = {"s16": 16, "s32": 32, "s64": 64}
AGE_UNKNOWN_US = 2**32 - 1


@dataclass(frozen=True, slots=True)
class PointValue:
    """One point of one scan.

    value  in unit; None where its words say nothing, or their scale is not known
    age_s  at that scan; None: older than can be said, or never received
    """

    name: str
    unit: str
    value: float | None
    quality: Quality
    reason: Reason
    age_s: float | None
    raw: int

    @property
    def good(self) -> bool:
        """Fit to decide on."""
        return self.quality != Quality.QUALITY_BAD


def bits_number(kind: str, bits: int) -> float:
    """The number that the words mean in a type of the profile's."""
    if kind == "internal" or kind == "f64":
        number: float = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
        return number
    if kind == "f32":
        number = struct.unpack("<f", (bits & 0xFFFFFFFF).to_bytes(4, "little"))[0]
        return number
    width = SIGNED_BITS.get(kind)
    if width is not None and bits >> (width - 1) & 1:
        return float((bits & (1 << width) - 1) - (1 << width))
    return float(bits)


class PointDecoder:
    """Decodes the points of one site's records."""

    def __init__(
        self, directory: Mapping[str, Any], exponents: Mapping[str, int] | None = None
    ) -> None:
        """Prepare for one directory.

        exponents  of scale factors, as an earlier decoder of the same run learnt them
        """
        self._points = directory["points"]
        self.index = {str(each["name"]): at for at, each in enumerate(self._points)}
        self.exponents: dict[str, int] = dict(exponents or {})
        self._factors = [
            at for at, each in enumerate(self._points) if each.get("factor") and each["journaled"]
        ]

    def learn(self, samples: Any) -> None:
        """Take the scale factors from a process image, where words and value stand together."""
        for at in self._factors:
            point, sample = self._points[at], samples[at]
            if int(sample["quality"]) == Quality.QUALITY_BAD:
                continue
            number, value = bits_number(point["type"], int(sample["raw"])), float(sample["value"])
            if number == 0.0:
                continue
            for exponent in range(-EXPONENT_MAX, EXPONENT_MAX + 1):
                scale = point["scale"] * POW10[exponent + EXPONENT_MAX]
                if number * scale + point["offset"] == value:
                    self.exponents[point["factor"]] = exponent

    def decode(self, index: int, raw: int) -> float | None:
        """Value of one point's words; None where its scale factor is not known.

        index  of the point table
        """
        point = self._points[index]
        kind = point.get("type")
        if kind is None:
            return None
        number = bits_number(kind, raw)
        if kind == "internal":
            return number
        scale = float(point["scale"])
        if point["factor"]:
            exponent = self.exponents.get(point["factor"])
            if exponent is None and number != 0.0:
                return None
            scale *= POW10[(exponent or 0) + EXPONENT_MAX]
        return number * scale + float(point["offset"])

    def point(self, row: Any) -> PointValue:
        """A PointRecord as a value. One that was never received has none."""
        index, raw = int(row["point"]), int(row["raw"])
        spec = self._points[index]
        reason = Reason(int(row["reason"]))
        age_us = int(row["age_us"])
        return PointValue(
            name=str(spec["name"]),
            unit=str(spec["unit"]),
            value=None if reason == Reason.REASON_NOT_YET else self.decode(index, raw),
            quality=Quality(int(row["quality"])),
            reason=reason,
            age_s=None if age_us == AGE_UNKNOWN_US else age_us * 1e-6,
            raw=raw,
        )

    def values(self, record: Any) -> dict[str, PointValue]:
        """Every journaled point of one record, by its tag."""
        return {each.name: each for each in map(self.point, record["points"])}
