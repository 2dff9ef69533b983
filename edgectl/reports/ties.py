"""Lines of a single-line diagram beside the tree of its buses: dashed, in lanes on the right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edgectl.reports.plan import Line
from edgectl.reports.symbols import METER_HALF, folded, line, meter, text

LABEL_ROOM, LANE_STEP, LANES_WIDTH = 124, 14, 140
ROOM, WORDS_STEP = LABEL_ROOM - 14, 10.5
STUB_STEP = 104  # between two ties at one bus: the longest names above and below each


@dataclass(frozen=True, slots=True)
class Tie:
    """One line with its place: from its bar's end at (x, y_from) to its lane and back to y_to."""

    line: Line
    x: float
    lane_x: float
    y_from: float
    y_to: float


def width_of(lines: Sequence[Line]) -> float:
    """Room that they need at the right of all bars."""
    return LABEL_ROOM + min(LANES_WIDTH, LANE_STEP * len(lines)) if lines else 0.0


def height_of(count: int) -> float:
    """Room that the ends of so many need under a bar."""
    return STUB_STEP * count if count else 0.0


def placed(lines: Sequence[Line], bars: Mapping[str, float], x: float) -> list[Tie]:
    """Short ones in the inner lanes, so that they cross little.

    bars   y of each bus
    x      where bars end
    """
    taken = dict.fromkeys(bars, 0)
    ends = []
    for each in lines:
        at = []
        for bus in (each.from_bus, each.to_bus):
            at.append(bars[bus] + STUB_STEP * taken[bus])
            taken[bus] += 1
        ends.append((each, at[0], at[1]))
    ends.sort(key=lambda each: (abs(each[2] - each[1]), each[0].id))
    step = min(LANE_STEP, LANES_WIDTH / max(1, len(ends)))
    return [
        Tie(each, x, x + LABEL_ROOM + step * lane, y_from, y_to)
        for lane, (each, y_from, y_to) in enumerate(ends)
    ]


def drawn(tie: Tie, y0: float, y1: float, class_said: str) -> list[str]:
    """What of it is between y0 and y1; its meter and name at the bus where it begins."""
    shapes = [
        line(tie.x, y, tie.lane_x, y, dashed=True) for y in (tie.y_from, tie.y_to) if y0 <= y < y1
    ]
    top, bottom = sorted((tie.y_from, tie.y_to))
    if top < y1 and bottom > y0:
        shapes.append(line(tie.lane_x, max(top, y0), tie.lane_x, min(bottom, y1), dashed=True))
    if y0 <= tie.y_from < y1:
        shapes += _beginning(tie, class_said)
    if y0 <= tie.y_to < y1:
        name = folded(tie.line.id, ROOM, 8.5)
        shapes += _above(tie.x + 8, tie.y_to, name, bold=False)
        shapes += _below(tie.x + 8, tie.y_to + 12, folded(f"from {tie.line.from_bus}", ROOM, 8.5))
    return shapes


def _beginning(tie: Tie, class_said: str) -> list[str]:
    x, own = tie.x + METER_HALF + 8, tie.line
    words = (f"to {own.to_bus}", f"meter {own.meter}", class_said)
    said = [each for one in words for each in folded(one, ROOM, 8.5)]
    return [
        f"<g><title>{escape(own.id)}, from {escape(own.from_bus)} to {escape(own.to_bus)}, "
        f"meter {escape(own.meter)}</title>",
        meter(x, tie.y_from),
        *_above(x + METER_HALF + 3, tie.y_from,
                folded(own.id, ROOM - 3 * METER_HALF, 8.5, bold=True), bold=True),
        *_below(tie.x + 8, tie.y_from + 19, said),
        "</g>",
    ]  # fmt: skip


def _above(x: float, y: float, words: list[str], *, bold: bool) -> list[str]:
    return [
        text(x, y - 4 - WORDS_STEP * at, each, "start", size=8.5, bold=bold)
        for at, each in enumerate(reversed(words))
    ]


def _below(x: float, y: float, words: list[str]) -> list[str]:
    return [text(x, y + WORDS_STEP * at, each, "start", size=8.5) for at, each in enumerate(words)]
