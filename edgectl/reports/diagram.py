"""Single-line diagram of a site, drawn from its site file alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edgectl.reports.colours import BATTERY, INK, ORIGIN, PAPER
from edgectl.site_model import Site

COLUMN, MARGIN, PER_ROW = 92, 60, 9
BUS_Y, FEEDER, BOX = 150, 56, 34
ROW_HEIGHT = 190
FONT = "DejaVu Sans, sans-serif"


@dataclass(frozen=True, slots=True)
class Feeder:
    """What hangs on the bus: its name, what it is, its meter, a line of figures, a colour."""

    id: str
    kind: str
    meter: str
    figures: str
    colour: str


def diagram_of(site: Site) -> str:
    """The SVG: the grid and generation above the bus, storage and loads below."""
    above = [
        Feeder(each.id, "PV", each.power.partition(".")[0], f"{each.rating_w / 1e6:g} MW",
               ORIGIN["pv"])
        for each in site.pvs
    ]  # fmt: skip
    below = [
        Feeder(each.id, "battery", each.power.partition(".")[0],
               f"{each.discharge_rating_w / 1e6:g} MW, {each.capacity_j / 3.6e9:g} MWh", BATTERY)
        for each in site.batteries
    ]  # fmt: skip
    below += [
        Feeder(each.id, each.kind, each.power.partition(".")[0], each.kind.upper(), INK)
        for each in site.loads
    ]
    per_row = -(-len(below) // max(1, -(-len(below) // PER_ROW)))  # rows alike in length
    columns = max(per_row, min(len(above) + 1, PER_ROW), 3)
    rows = [below[at : at + per_row] for at in range(0, len(below), per_row)]
    width = 2 * MARGIN + COLUMN * columns
    height = BUS_Y + ROW_HEIGHT * len(rows) - 30
    grid = Feeder("Grid", site.zone, site.grid.power.partition(".")[0],
                  f"cap {site.grid.import_cap_w / 1e6:g} MW", ORIGIN["grid"])  # fmt: skip
    shapes = _bus(width, BUS_Y)
    shapes += _upper([grid, *above[: columns - 1]], width)
    if len(above) > columns - 1:
        shapes.append(_text(width - MARGIN, 20, f"and {len(above) - columns + 1} more PV", "end"))
    for at, row in enumerate(rows):
        bus_y = BUS_Y + ROW_HEIGHT * at
        if at:
            shapes += [*_bus(width, bus_y), _line(MARGIN / 2, BUS_Y, MARGIN / 2, bus_y),
                       _line(MARGIN / 2, bus_y, MARGIN, bus_y),
                       _line(MARGIN / 2, BUS_Y, MARGIN, BUS_Y)]  # fmt: skip
        shapes += _lower(row, bus_y, width)
    return (
        f'<svg role="img" aria-label="Single-line diagram of {escape(site.name)}" width="100%" '
        f'viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="{FONT}" font-size="10.5">{"".join(shapes)}</svg>'
    )


def _bus(width: int, y: float) -> list[str]:
    return [
        f'<line x1="{MARGIN}" y1="{y}" x2="{width - MARGIN}" y2="{y}" stroke="{INK}" '
        'stroke-width="4"/>'
    ]


def _places(count: int, width: int) -> list[float]:
    room = (width - 2 * MARGIN) / max(count, 1)
    return [MARGIN + room * (at + 0.5) for at in range(count)]


def _upper(feeders: Sequence[Feeder], width: int) -> list[str]:
    shapes = []
    for x, each in zip(_places(len(feeders), width), feeders, strict=True):
        top = BUS_Y - FEEDER - BOX - 8
        shapes += [_line(x, top + BOX, x, BUS_Y), _box(x, top, each), *_meter(x, BUS_Y - 28, each)]
        shapes.append(_text(x, top - 8, each.figures))
    return shapes


def _lower(feeders: Sequence[Feeder], bus_y: float, width: int) -> list[str]:
    shapes = []
    for x, each in zip(_places(len(feeders), width), feeders, strict=True):
        top = bus_y + FEEDER
        shapes += [_line(x, bus_y, x, top), _box(x, top, each), *_meter(x, bus_y + 28, each)]
        words = each.figures.split(", ")
        shapes += [_text(x, top + BOX + 16 + 13 * at, word) for at, word in enumerate(words)]
    return shapes


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{INK}" '
        'stroke-width="1.4"/>'
    )


def _box(x: float, y: float, each: Feeder) -> str:
    half = COLUMN / 2 - 7
    return (
        f'<rect x="{x - half:.1f}" y="{y:.1f}" width="{2 * half}" height="{BOX}" rx="3" '
        f'fill="{PAPER}" stroke="{each.colour}" stroke-width="2"/>'
        + _text(x, y + BOX / 2 + 4, each.id, weight="bold")
    )


def _meter(x: float, y: float, each: Feeder) -> list[str]:
    """A meter on its feeder: a circle, and the device that reads it."""
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{PAPER}" stroke="{INK}" '
        'stroke-width="1.2"/>',
        _text(x, y + 3.6, "M", size=9),
        _text(x + 12, y + 3.5, each.meter, "start", size=8.5),
    ]


def _text(
    x: float, y: float, words: str, anchor: str = "middle", *, size: float = 10.5,
    weight: str = "normal",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{INK}">{escape(words)}</text>'
    )
