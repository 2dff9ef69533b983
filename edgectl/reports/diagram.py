"""Single-line diagram of a site, drawn from its site file alone, in ink on paper.

Buses stand below the one that feeds them, one step to the right, and what is at a bus hangs from
its bar in rows. So nothing can overlap, however many there are; what is longer than a page goes
on on the next sheet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edgectl.reports import symbols
from edgectl.reports.plan import Item, Plan, PlanBus, plan_of
from edgectl.reports.symbols import HALF, folded, line, text
from edgectl.site_model import Site

WIDTH, MARGIN, COLUMN = 800, 24, 106
STEP, STEPS_WIDTH = 48, 330  # to the right for each bus on the way; all of them together
SHEET_HEIGHT = 980  # of WIDTH: fits a page of A4 with a heading
GRID_HEIGHT, BAR_Y, BARE_HEIGHT = 118, 26, 46
METER_Y, SYMBOL_Y, LABEL_Y, LABEL_STEP = 24, 58, 89, 11.5  # below the bar
BAR_WIDTH = 4.5
FONT = "DejaVu Sans, sans-serif"
NO_CLASS = "class not declared"
SYMBOLS = {"pv": symbols.pv, "battery": symbols.battery, "generator": symbols.generator,
           "load": symbols.load, "tie": symbols.tie}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """Some of a bus's feeders in one row, under their piece of its bar."""

    bus: PlanBus
    first: bool
    items: tuple[Item, ...]
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes by sheet; y0 and y1 of each sheet."""

    name: str
    sheets: tuple[tuple[float, float], ...]
    shapes: tuple[tuple[str, ...], ...]


def diagram_of(site: Site, classes: Mapping[str, str] | None = None) -> str:
    """All of it as one SVG.

    classes   of each metering device, in words; what is not in it is not declared
    """
    drawing = _drawn(plan_of(site), classes or {})
    shapes = [each for sheet in drawing.shapes for each in sheet]
    return _svg(drawing.name, drawing.sheets[0][0], drawing.sheets[-1][1], shapes)


def sheets_of(site: Site, classes: Mapping[str, str] | None = None) -> list[str]:
    """The same as sheets that each fit a page; all but the first say that they go on."""
    drawing = _drawn(plan_of(site), classes or {})
    count = len(drawing.sheets)
    found = []
    for at, ((y0, y1), shapes) in enumerate(zip(drawing.sheets, drawing.shapes, strict=True), 1):
        said = [text(WIDTH - MARGIN, y0 + 11, f"sheet {at} of {count}", "end", size=9)]
        name = f"{drawing.name}, sheet {at} of {count}" if count > 1 else drawing.name
        found.append(_svg(name, y0, y1, [*shapes, *(said if count > 1 else [])]))
    return found


def _svg(name: str, y0: float, y1: float, shapes: list[str]) -> str:
    return (
        f'<svg role="img" aria-label="Single-line diagram of {escape(name, {chr(34): "&quot;"})}" '
        f'width="100%" viewBox="0 {y0:g} {WIDTH} {y1 - y0:g}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="{FONT}">{"".join(shapes)}</svg>'
    )


def _drawn(plan: Plan, classes: Mapping[str, str]) -> Drawing:
    step = min(STEP, STEPS_WIDTH / max(1, max(each.depth for each in plan.buses)))
    rows, sheets = _placed(plan, classes, step)
    shapes: list[list[str]] = [[] for _ in sheets]
    shapes[0] += _grid(plan, classes, rows[0].y + BAR_Y)
    for row in rows:
        at = next(i for i, (y0, y1) in enumerate(sheets) if y0 <= row.y < y1)
        shapes[at] += _row(row, classes, step)
    for x, top, bottom in _spines(rows, step):
        for at, (y0, y1) in enumerate(sheets):
            if top < y1 and bottom > y0:
                shapes[at].append(line(x, max(top, y0), x, min(bottom, y1), BAR_WIDTH))
    return Drawing(plan.name, tuple(sheets), tuple(tuple(each) for each in shapes))


def _placed(
    plan: Plan, classes: Mapping[str, str], step: float
) -> tuple[list[Row], list[tuple[float, float]]]:
    """Rows with their places, none over the end of a sheet; the sheets."""
    rows: list[Row] = []
    sheets: list[tuple[float, float]] = []
    start, y = 0.0, float(GRID_HEIGHT)
    for bus in plan.buses:
        most = max(1, int((WIDTH - 2 * MARGIN - step * bus.depth) // COLUMN))
        count = max(1, -(-len(bus.items) // most))
        each = -(-len(bus.items) // count) if bus.items else 1  # rows alike in length
        for at in range(count):
            items = bus.items[at * each : (at + 1) * each]
            lines = max((len(_labels(one, classes)) for one in items), default=0)
            height = BAR_Y + LABEL_Y + LABEL_STEP * lines + 8 if items else BARE_HEIGHT
            if y + height - start > SHEET_HEIGHT:
                sheets.append((start, y))
                start, y = y, y + 16  # room for the sheet's number
            rows.append(Row(bus, at == 0, items, y, height))
            y += height
    return rows, [*sheets, (start, y)]


def _left(bus: PlanBus, step: float) -> float:
    return MARGIN + step * bus.depth


def _grid(plan: Plan, classes: Mapping[str, str], bar_y: float) -> list[str]:
    x, y = MARGIN + COLUMN / 2, 24
    grid = plan.grid
    return [
        line(x, y + HALF, x, bar_y), symbols.grid(x, y), symbols.meter(x, y + 50),
        text(x + 24, y - 2, grid.id, "start", weight="bold", size=11),
        text(x + 24, y + 12, grid.said, "start"),
        text(x + 24, y + 48, f"meter {grid.meter}", "start"),
        text(x + 24, y + 60, classes.get(grid.meter or "", NO_CLASS), "start", size=9),
    ]  # fmt: skip


def _row(row: Row, classes: Mapping[str, str], step: float) -> list[str]:
    left, bar_y = _left(row.bus, step), row.y + BAR_Y
    right = left + COLUMN * max(1, len(row.items))
    shapes = [line(left - BAR_WIDTH / 2, bar_y, right, bar_y, BAR_WIDTH)]
    # The grid's own conductor comes down over the left end of the first bar.
    name_x = left + 6 if row.bus.fed else left + COLUMN / 2 + 24
    if not row.first:
        shapes.append(text(left + 6, bar_y - 6, f"{row.bus.id}, continued", "start", size=9))
    else:
        shapes.append(
            f'<text x="{name_x:.1f}" y="{bar_y - 6:.1f}" font-size="10" fill="{symbols.INK}">'
            f'<tspan font-weight="bold" font-size="11">{escape(row.bus.id)}</tspan>'
            f"{escape(_fed(row.bus, classes))}</text>"
        )
        shapes += _feeder(row.bus, left, bar_y, step)
    for at, item in enumerate(row.items):
        shapes += _item(left + COLUMN * (at + 0.5), bar_y, item, classes)
    return shapes


def _fed(bus: PlanBus, classes: Mapping[str, str]) -> str:
    if bus.fed is None:
        return ""
    said = f"  fed by {bus.fed.bus}" + (f" over {bus.fed.line}" if bus.fed.line else "")
    if bus.fed.meter is None:
        return said + ", no meter in the feeder"
    return said + f", meter {bus.fed.meter}, {classes.get(bus.fed.meter, NO_CLASS)}"


def _feeder(bus: PlanBus, left: float, bar_y: float, step: float) -> list[str]:
    """From the bar of the bus above, which comes down on the left, to this one's."""
    if bus.fed is None:
        return []
    middle = [symbols.meter(left - step / 2, bar_y)] if bus.fed.meter else []
    return [line(left - step, bar_y, left, bar_y), *middle]


def _spines(rows: list[Row], step: float) -> list[tuple[float, float, float]]:
    """The bars' own turns downwards, to their further rows and the feeders of other buses."""
    found = []
    for row in rows:
        if row.first:
            last = max(
                each.y for each in rows
                if each.bus is row.bus or (each.first and each.bus.fed
                                           and each.bus.fed.bus == row.bus.id)
            )  # fmt: skip
            if last > row.y:
                found.append((_left(row.bus, step), row.y + BAR_Y, last + BAR_Y))
    return found


def _labels(item: Item, classes: Mapping[str, str]) -> list[tuple[str, float, str]]:
    room = COLUMN - 8
    meter = [("no meter", 8.5)] if item.meter is None else [
        (f"meter {item.meter}", 8.5), (classes.get(item.meter, NO_CLASS), 8.5)]  # fmt: skip
    return [
        *((each, 10, "bold") for each in folded(item.id, room, 10)),
        *((each, 9, "normal") for words in item.said.split(", ")
          for each in folded(words, room, 9)),
        *((each, size, "normal") for words, size in meter for each in folded(words, room, size)),
    ]  # fmt: skip


def _item(x: float, bar_y: float, item: Item, classes: Mapping[str, str]) -> list[str]:
    shapes = [line(x, bar_y, x, bar_y + SYMBOL_Y - HALF)]
    if item.meter is not None:
        shapes.append(symbols.meter(x, bar_y + METER_Y))
    shapes.append(SYMBOLS[item.kind](x, bar_y + SYMBOL_Y))
    labels = [
        text(x, bar_y + LABEL_Y + LABEL_STEP * at, words, size=size, weight=weight)
        for at, (words, size, weight) in enumerate(_labels(item, classes))
    ]
    return [f'<g><title>{escape(item.id)}, {escape(item.meter or "no meter")}</title>',
            *shapes, *labels, "</g>"]  # fmt: skip
