"""The whole picture of `edgectl top`: a pure function of the plant and the terminal's size."""

import time

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgectl.cli.top_model import Level, Plant
from edgectl.cli.top_panels import (
    LEVEL_STYLE,
    attention_panel,
    bus_panel,
    carbon_panel,
    import_panel,
    power_panel,
    scan_panel,
)
from edgectl.cli.top_parts import ATTENTION, DIM, TEXT, both_ends, duration, number, words

COLUMNS_MIN, LINES_MIN = 80, 24
WIDE_COLUMNS = 118  # from here the right-hand panels stand beside the diagram
SIDE_COLUMNS = 40
CARBON_LINES = 8
SCAN_LINES = 12
IMPORT_LINES_MIN = 7
BUS_LINES_MIN = 5  # frame, heading and two devices


def view(plant: Plant, columns: int, lines: int) -> RenderableType:
    """Draw the plant.

    plant            what to show
    columns, lines   of the terminal; under COLUMNS_MIN x LINES_MIN the view says what it needs
    """
    if columns < COLUMNS_MIN or lines < LINES_MIN:
        return small_view(plant, columns)
    body = wide_body if columns >= WIDE_COLUMNS else narrow_body
    return Group(header(plant, columns), body(plant, columns, lines - 2), footer(columns))


def header(plant: Plant, columns: int) -> Text:
    """Site and mode on the left, time on the right."""
    left = words((" edgectl ", f"bold {TEXT}"), (f"{plant.site}  ", TEXT), mode_badge(plant))
    if plant.mode_note:
        left.append(f"  {plant.mode_note}", style=LEVEL_STYLE[plant.mode_level])
    parts = [utc(plant.utc_ns)]
    if columns < WIDE_COLUMNS and plant.mode_level == Level.TRIP:
        parts = [parts[0].partition(" ")[2]]  # the note needs the room
    else:
        parts = [f"scan {number(plant.scan, 0)}", f"up {duration(plant.uptime_s)}", *parts]
    if columns >= WIDE_COLUMNS and not plant.mode_note:
        parts = [plant.zone, plant.timing.grade, *parts]
    return both_ends(left, words((" · ".join(parts) + " ", DIM)), columns)


def mode_badge(plant: Plant) -> tuple[str, str]:
    """The mode, in the colour of how serious it is."""
    return f" {plant.mode} ", f"bold #14171c on {LEVEL_STYLE[plant.mode_level]}"


def utc(utc_ns: int) -> str:
    """Date and time of day."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(utc_ns // 1_000_000_000))


def footer(columns: int) -> Text:
    """How to leave, and that leaving stops nothing."""
    left = words((" Ctrl-C leaves; the controller goes on.", DIM))
    right = words(("battery power: charge + discharge −  ", DIM))
    return both_ends(left, right, columns)


def side_by_side(*panels: RenderableType) -> Table:
    """Panels of fixed size in one row."""
    grid = Table.grid(padding=0)
    for _ in panels:
        grid.add_column()
    grid.add_row(*panels)
    return grid


def diagram_lines(plant: Plant) -> int:
    """Lines the power panel would like, frame included."""
    sources = 3 * (2 + len(plant.batteries)) - 1
    return max(sources, len(plant.loads) + 3) + 2


def wide_body(plant: Plant, columns: int, lines: int) -> Table:
    """Left the diagram, what needs a look and the field bus; right import, carbon and the scan."""
    side = max(SIDE_COLUMNS, columns // 3)
    main = columns - side
    power = min(diagram_lines(plant), lines - 6)
    rest = lines - power
    bus = min(len(plant.devices) + 3, rest - attention_lines(plant, rest))
    left = [power_panel(plant, main, power)]
    left.append(attention_panel(plant, main, rest - bus if bus >= BUS_LINES_MIN else rest))
    if bus >= BUS_LINES_MIN:
        left.append(bus_panel(plant, main, bus))
    scan = min(SCAN_LINES, lines - CARBON_LINES - IMPORT_LINES_MIN)
    right = Group(
        import_panel(plant, side, lines - CARBON_LINES - scan),
        carbon_panel(plant, side, CARBON_LINES),
        scan_panel(plant, side, scan),
    )
    return side_by_side(Group(*left), right)


def attention_lines(plant: Plant, most: int) -> int:
    """Lines the panel of interlocks and alarms needs, frame included; at least four, half of
    `most` at most, unless all fits.
    """
    first_outs = sum(row.first_out for row in plant.interlocks)
    needed = len(plant.interlocks) + first_outs + len(plant.notices) + 4
    return max(4, min(needed, max(most // 2, most - len(plant.devices) - 3)))


def narrow_body(plant: Plant, columns: int, lines: int) -> Group:
    """One column of rows, what matters most first; what has no room is left out."""
    half, rest = columns // 2, columns - columns // 2
    power = min(diagram_lines(plant), max(10, lines - 11))
    parts: list[RenderableType] = [power_panel(plant, columns, power)]
    left = lines - power
    if left < CARBON_LINES + 6:
        carbon, attention = carbon_panel(plant, half, left), attention_panel(plant, rest, left)
        return Group(*parts, side_by_side(carbon, attention))
    figures = import_panel(plant, half, CARBON_LINES), carbon_panel(plant, rest, CARBON_LINES)
    parts.append(side_by_side(*figures))
    left -= CARBON_LINES
    bus = min(len(plant.devices) + 3, left - attention_lines(plant, left))
    scan = min(SCAN_LINES, left - bus - attention_lines(plant, left))
    bus, scan = (height if height >= BUS_LINES_MIN else 0 for height in (bus, scan))
    parts.append(attention_panel(plant, columns, left - bus - scan))
    if bus:
        parts.append(bus_panel(plant, columns, bus))
    if scan:
        parts.append(scan_panel(plant, columns, scan))
    return Group(*parts)


def small_view(plant: Plant, columns: int) -> Group:
    """The few figures that fit anywhere."""
    level = LEVEL_STYLE[plant.mode_level]
    lines = [
        words((f"{plant.site} ", TEXT), (plant.mode, f"bold {level}")),
        words(("grid ", DIM), f"{plant.grid_w / 1e6:.2f}", (" MW of ", DIM),
              f"{plant.import_cap_w / 1e6:.2f}", (" MW", DIM)),
        words(("PUE ", DIM), number(plant.pue, 3)),
        words((f"{len(plant.interlocks)} interlocks not clear", DIM)),
        *(words((row.name, LEVEL_STYLE[row.level])) for row in plant.interlocks[:3]),
        words((f"The full view needs {COLUMNS_MIN} x {LINES_MIN}.", ATTENTION)),
    ]  # fmt: skip
    for line in lines:
        line.truncate(columns, overflow="ellipsis")
    return Group(*lines)
