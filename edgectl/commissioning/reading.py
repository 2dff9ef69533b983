"""The points of a profile, read and decoded as the scan does it."""

import math
import time
from collections.abc import Collection
from dataclasses import dataclass

from edgectl._kernel.process_image import decode
from edgectl._kernel.quality import Quality, Reason
from edgectl.commissioning.client import Failure, Line, Reply
from edgectl.profiles.model import Block, Point, Profile
from edgectl.site_model.tables_bus import point_rows

ILLEGAL = (2, 3)  # exceptions that name the request, not the device
REASONS = {
    Reason.REASON_NOT_IMPLEMENTED: "not implemented",
    Reason.REASON_NOT_FINITE: "no number",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One point at one moment.

    value   SI, out of range too; NaN when there is none
    good    the scan would trust it
    reason  why not; or, of a good value, what to know about it
    words   raw, in the order of the wire; empty when nothing was read
    """

    point: Point
    value: float
    good: bool
    reason: str
    words: tuple[int, ...]


def read_points(
    line: Line, unit: int, profile: Profile, names: Collection[str] | None = None
) -> list[Reading]:
    """Every point of a profile, or those of `names`, in the profile's order.

    A block that the device refuses is read again point by point: the site learns which
    register is not there.
    """
    readings: dict[str, Reading] = {}
    for block in profile.blocks:
        if names is not None and not any(each.name in names for each in block.points):
            continue
        for each in _read_block(line, unit, block, profile.low_first):
            readings[each.point.name] = each
    wanted = [p for p in profile.points if p.name in readings]
    return [readings[p.name] for p in wanted if names is None or p.name in names]


def _read_block(line: Line, unit: int, block: Block, low_first: bool) -> list[Reading]:
    answer = line.read(unit, block.function, block.address, block.count)
    if isinstance(answer, Reply):
        return decoded(block, answer.words, low_first)
    if answer.code not in ILLEGAL or len(block.points) == 1:
        return [lost(point, answer) for point in block.points]
    return [_alone(line, unit, block, point, low_first) for point in block.points]


def _alone(line: Line, unit: int, block: Block, point: Point, low_first: bool) -> Reading:
    """One point of a block that was refused as a whole."""
    first = point.first_word
    alone = Block(block.function, first, point.end_word - first, block.every, (point,))
    answer = line.read(unit, alone.function, alone.address, alone.count)
    if isinstance(answer, Failure):
        return lost(point, answer)
    reading = decoded(alone, answer.words, low_first)[0]
    last = block.address + block.count - 1
    reason = f"alone only: {block.address}-{last} as one is refused"
    if reading.reason:
        reason = f"{reading.reason}; {reason}"
    return Reading(point, reading.value, False, reason, reading.words)


def lost(point: Point, failure: Failure) -> Reading:
    """A point whose read failed."""
    return Reading(point, math.nan, False, failure.text, ())


def decoded(block: Block, words: tuple[int, ...], low_first: bool) -> list[Reading]:
    """A block's words as the scan would take them: the kernel decodes and judges."""
    rows = point_rows(block, low_first)
    now_ns = time.monotonic_ns()
    judged = decode(rows, words, now_ns)
    rows["limits"]["valid_min"], rows["limits"]["valid_max"] = -math.inf, math.inf
    unjudged = decode(rows, words, now_ns)  # a value out of range is not kept, but worth seeing
    readings = []
    for at, point in enumerate(block.points):
        value, quality, reason, _ = judged[at]
        good = quality == Quality.QUALITY_GOOD
        if not good:
            value, seen = unjudged[at][:2]
            value = value if seen == Quality.QUALITY_GOOD else math.nan
        first = point.address - block.address
        own = words[first : first + point.words]
        why = "" if good else _why(point, Reason(reason), block, words)
        readings.append(Reading(point, value, good, why, own))
    return readings


def _why(point: Point, reason: Reason, block: Block, words: tuple[int, ...]) -> str:
    if reason == Reason.REASON_CONFIGURATION and point.sf_address is not None:
        return f"scale factor {words[point.sf_address - block.address]:#06x} is none"
    if reason == Reason.REASON_OUT_OF_RANGE:
        low, high = point.valid_min, point.valid_max
        return f"out of range {low:g} to {high:g} {point.unit}".rstrip()
    return REASONS.get(reason, reason.name.removeprefix("REASON_").lower())
