"""Lines of a single-line diagram beside the tree of its buses: dashed, in lanes on the right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edgectl.reports.plan import Line
from edgectl.reports.symbols import METER_HALF, folded, line, meter, text

LABEL_ROOM, LANE_STEP, LANES_WIDTH = 112, 14, 140
STUB_STEP = 62  # between two ties at one bus: a name and three lines of words


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
        x = tie.x + METER_HALF + 8
        words = [f"meter {tie.line.meter}", class_said]
        said = [each for one in words for each in folded(one, LABEL_ROOM - 12, 8.5)]
        shapes += [
            f"<g><title>{escape(tie.line.id)}, from {escape(tie.line.from_bus)} to "
            f"{escape(tie.line.to_bus)}, meter {escape(tie.line.meter)}</title>",
            meter(x, tie.y_from),
            text(x + METER_HALF + 4, tie.y_from - 4, tie.line.id, "start", size=9, bold=True),
            *(text(tie.x + 8, tie.y_from + 19 + 10.5 * at, each, "start", size=8.5)
              for at, each in enumerate(said)),
            "</g>",
        ]  # fmt: skip
    if y0 <= tie.y_to < y1:
        shapes.append(text(tie.x + 8, tie.y_to - 4, f"{tie.line.id} from {tie.line.from_bus}",
                           "start", size=8.5))  # fmt: skip
    return shapes
