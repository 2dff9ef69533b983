"""Single-line diagram of a site, drawn from its site file alone, in ink on paper.

Buses stand below the one that feeds them, one step to the right, and what is at a bus hangs from
its bar in rows; lines that close a ring run dashed on the right. So nothing can overlap, however
many there are; what is longer than a page goes on on the next sheet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edgectl.reports import ties
from edgectl.reports.plan import Item, Plan, PlanBus, plan_of
from edgectl.reports.symbols import (
    HALF,
    battery,
    folded,
    generator,
    grid,
    line,
    load,
    meter,
    pv,
    text,
    width_of,
)
from edgectl.site_model import Site

WIDTH, MARGIN, COLUMN = 800, 24, 106
STEP, STEPS_WIDTH = 48, 330  # to the right for each bus on the way; all of them together
SHEET_HEIGHT = 980  # of WIDTH: fits a page of A4 with a heading
GRID_HEIGHT, NAME_HEIGHT, NAME_STEP, BELOW_BARE = 112, 28, 12, 20
METER_Y, SYMBOL_Y, LABEL_Y, LABEL_STEP = 24, 58, 89, 11.5  # below the bar
BAR_WIDTH, BAR_COLUMNS_MIN = 4.5, 2
FONT = "DejaVu Sans, sans-serif"
NO_CLASS = "class not declared"
SYMBOLS = {"pv": pv, "battery": battery, "generator": generator, "load": load}
Label = tuple[str, float, bool]  # words, size, bold


@dataclass(frozen=True, slots=True)
class Row:
    """Some of what is at a bus in one row, under their piece of its bar."""

    bus: PlanBus
    first: bool
    items: tuple[Item, ...]
    y: float
    bar_y: float
    height: float


@dataclass(frozen=True, slots=True)
class Page:
    """What a drawing is made of: the site, classes by metering device, and the room it has."""

    plan: Plan
    classes: Mapping[str, str]
    step: float
    right: float  # where bars end and ties begin

    def left(self, bus: PlanBus) -> float:
        return MARGIN + self.step * bus.depth

    def class_of(self, device: str) -> str:
        return self.classes.get(device, NO_CLASS)

    def ties_at(self, bus: PlanBus) -> int:
        return sum(bus.id in (each.from_bus, each.to_bus) for each in self.plan.ties)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes by sheet; y0 and y1 of each sheet; right: where bars end."""

    name: str
    right: float
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
    """The same as sheets that each fit a page, numbered where there are several."""
    drawing = _drawn(plan_of(site), classes or {})
    count = len(drawing.sheets)
    found = []
    for at, ((y0, y1), shapes) in enumerate(zip(drawing.sheets, drawing.shapes, strict=True), 1):
        said = [text(drawing.right, y0 + 11, f"sheet {at} of {count}", "end", size=9)]
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
    page = Page(plan, classes, step, WIDTH - MARGIN - ties.width_of(plan.ties))
    rows, sheets = _placed(page)
    shapes: list[list[str]] = [[] for _ in sheets]
    shapes[0] += _grid(page, rows[0].bar_y)
    for row in rows:
        at = next(i for i, (y0, y1) in enumerate(sheets) if y0 <= row.y < y1)
        shapes[at] += _row(page, row)
    bars = {row.bus.id: row.bar_y for row in rows if row.first}
    found = ties.placed(plan.ties, bars, page.right)
    for at, (y0, y1) in enumerate(sheets):
        for x, top, bottom in _spines(page, rows):
            if top < y1 and bottom > y0:
                shapes[at].append(line(x, max(top, y0), x, min(bottom, y1), BAR_WIDTH))
        for each in found:
            shapes[at] += ties.drawn(each, y0, y1, page.class_of(each.line.meter))
    return Drawing(plan.name, page.right, tuple(sheets), tuple(tuple(each) for each in shapes))


def _placed(page: Page) -> tuple[list[Row], list[tuple[float, float]]]:
    """Rows with their places, none over the end of a sheet; the sheets."""
    rows: list[Row] = []
    sheets: list[tuple[float, float]] = []
    start, y = 0.0, float(GRID_HEIGHT)
    for bus in page.plan.buses:
        most = max(1, int((page.right - page.left(bus)) // COLUMN))
        count = max(1, -(-len(bus.items) // most))
        each = -(-len(bus.items) // count) if bus.items else 1  # rows alike in length
        for at in range(count):
            items = bus.items[at * each : (at + 1) * each]
            above = NAME_HEIGHT + (NAME_STEP * max(0, len(_fed(page, bus)) - 1) if not at else 0)
            below = ties.height_of(page.ties_at(bus)) if not at else 0.0
            lines = max((len(_labels(page, one)) for one in items), default=0)
            hanging = LABEL_Y + LABEL_STEP * lines + 8 if items else BELOW_BARE
            height = above + max(hanging, below)
            if y + height - start > SHEET_HEIGHT:
                sheets.append((start, y))
                start, y = y, y + 16  # room for the sheet's number
            rows.append(Row(bus, at == 0, items, y, y + above, height))
            y += height
    return rows, [*sheets, (start, y)]


def _grid(page: Page, bar_y: float) -> list[str]:
    x, y = MARGIN + COLUMN / 2, 20
    own = page.plan.grid
    return [
        line(x, y + HALF, x, bar_y), grid(x, y), meter(x, y + 50),
        text(x + 24, y - 2, own.id, "start", bold=True, size=11),
        text(x + 24, y + 12, own.said, "start"),
        text(x + 24, y + 48, f"meter {own.meter}", "start"),
        text(x + 24, y + 60, page.class_of(own.meter), "start", size=9),
    ]  # fmt: skip


def _row(page: Page, row: Row) -> list[str]:
    bus, bar_y, left = row.bus, row.bar_y, page.left(row.bus)
    tied = row.first and page.ties_at(bus)
    reach = left + COLUMN * max(len(row.items), BAR_COLUMNS_MIN)
    right = page.right if tied else min(reach, page.right)
    shapes = [line(left - BAR_WIDTH / 2, bar_y, right, bar_y, BAR_WIDTH)]
    if row.first:
        shapes += _name(page, bus, bar_y)
        shapes += _feeder(page, bus, bar_y)
    else:
        shapes.append(text(left + 6, bar_y - 6, f"{bus.id}, continued", "start", size=9))
    for at, item in enumerate(row.items):
        shapes += _item(page, left + COLUMN * (at + 0.5), bar_y, item)
    return shapes


def _name(page: Page, bus: PlanBus, bar_y: float) -> list[str]:
    """Of a bus, over its bar, and how it is fed behind it."""
    # The grid's own conductor comes down over the left end of the first bar.
    x = page.left(bus) + (6 if bus.fed_by else COLUMN / 2 + 24)
    fed = _fed(page, bus)
    top = bar_y - 7 - NAME_STEP * max(0, len(fed) - 1)
    beside = x + width_of(bus.id, 11, bold=True) + 10
    return [
        text(x, top, bus.id, "start", size=11, bold=True),
        *(text(beside, top + NAME_STEP * at, words, "start", size=9)
          for at, words in enumerate(fed)),
    ]  # fmt: skip


def _fed(page: Page, bus: PlanBus) -> list[str]:
    """How a bus is fed, in lines that fit beside its name."""
    if bus.fed_by is None:
        return []
    feeder = bus.feeder
    if feeder is None:
        said = f"fed by {bus.fed_by}, no meter in the feed"
    else:
        said = f"fed by {bus.fed_by} over {feeder.id}, meter {feeder.meter}, "
        said += page.class_of(feeder.meter)
        if feeder.from_bus == bus.id:
            said += f", reads positive towards {bus.fed_by}"
    room = page.right - page.left(bus) - width_of(bus.id, 11, bold=True) - 16
    return folded(said, max(room, COLUMN), 9)


def _feeder(page: Page, bus: PlanBus, bar_y: float) -> list[str]:
    """From the bar of the bus above, which comes down on the left, to this one's."""
    if bus.fed_by is None:
        return []
    left = page.left(bus)
    middle = [meter(left - page.step / 2, bar_y)] if bus.feeder else []
    return [line(left - page.step, bar_y, left, bar_y), *middle]


def _spines(page: Page, rows: list[Row]) -> list[tuple[float, float, float]]:
    """The bars' own turns downwards, to further rows and feeders on the left, to ties right."""
    found = []
    for row in rows:
        if not row.first:
            continue
        last = max(
            each.bar_y for each in rows
            if each.bus is row.bus or (each.first and each.bus.fed_by == row.bus.id)
        )  # fmt: skip
        if last > row.bar_y:
            found.append((page.left(row.bus), row.bar_y, last))
        if (count := page.ties_at(row.bus)) > 1:
            found.append((page.right, row.bar_y, row.bar_y + ties.STUB_STEP * (count - 1)))
    return found


def _labels(page: Page, item: Item) -> list[Label]:
    room = COLUMN - 8
    return [
        *((each, 10, True) for each in folded(item.id, room, 10, bold=True)),
        *((each, 9, False) for words in item.said.split(", ") for each in folded(words, room, 9)),
        *((each, 8.5, False) for words in (f"meter {item.meter}", page.class_of(item.meter))
          for each in folded(words, room, 8.5)),
    ]  # fmt: skip


def _item(page: Page, x: float, bar_y: float, item: Item) -> list[str]:
    labels = [
        text(x, bar_y + LABEL_Y + LABEL_STEP * at, words, size=size, bold=bold)
        for at, (words, size, bold) in enumerate(_labels(page, item))
    ]
    return [
        f"<g><title>{escape(item.id)}, meter {escape(item.meter)}</title>",
        line(x, bar_y, x, bar_y + SYMBOL_Y - HALF), meter(x, bar_y + METER_Y),
        SYMBOLS[item.kind](x, bar_y + SYMBOL_Y), *labels, "</g>",
    ]  # fmt: skip
