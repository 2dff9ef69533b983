"""Small pieces of the terminal view: numbers with units, bars, area charts, colours.

A colour says one thing. Blue, teal and violet name the source of energy; amber asks for attention,
red is a trip, green is normal and kept quiet. Whatever a colour says, a word beside it says too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import ROUNDED
from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

TEXT = "#c8ccd4"
DIM = "#7d8590"
FAINT = "#3b414b"
GRID, PV, BATTERY, OTHER = "#6f9fd0", "#5fb3a3", "#a58bd0", "#8b8f98"
GENERATOR = "#c28f5f"
NORMAL, ATTENTION, TRIP = "#7fae74", "#e3a53f", "#e8625a"

EIGHTHS_UP = " ▁▂▃▄▅▆▇█"
MISSING = "–"


def source_style(name: str) -> str:
    """Colour of a source of energy by its name in the directory."""
    known = {"grid": GRID, "pv": PV, "unmetered": OTHER, "generator": GENERATOR}
    return known.get(name, BATTERY)


def number(value: float, digits: int, width: int = 0) -> str:
    """A number right-aligned in `width`, thousands set apart; a dash where it is not known."""
    text = f"{value:,.{digits}f}".replace(",", " ") if math.isfinite(value) else MISSING
    return text.rjust(width)


def megawatts(power_w: float, width: int = 6) -> str:
    """MW with two digits, right-aligned."""
    return number(power_w / 1e6, 2, width)


def duration(seconds: float) -> str:
    """Seconds as people say them: 12 s, 4:05, 3:04:05, 2 d 03:04."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86_400)
    hours, minutes, left = rest // 3600, rest // 60 % 60, rest % 60
    if days:
        return f"{days} d {hours:02d}:{minutes:02d}"
    if hours:
        return f"{hours}:{minutes:02d}:{left:02d}"
    return f"{minutes}:{left:02d}" if minutes else f"{left} s"


def words(*parts: str | tuple[str, str] | Text) -> Text:
    """One line of text: plain parts in the text colour, (text, style) parts in theirs."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        if isinstance(part, Text):
            text.append_text(part)
        elif isinstance(part, str):
            text.append(part, style=TEXT)
        else:
            text.append(*part)
    return text


def both_ends(left: Text, right: Text, width: int) -> Text:
    """`left` and `right` at the two ends of a line; left gives way where they do not fit."""
    room = max(0, width - right.cell_len - 1)
    line = left.copy()
    line.truncate(room, overflow="ellipsis")
    line.append(" " * max(1, width - line.cell_len - right.cell_len))
    line.append_text(right)
    return line


def bar(parts: Sequence[tuple[float, str]], width: int, track: str = FAINT) -> Text:
    """A thin horizontal bar of `width` cells, to the half cell.

    parts   (share of the whole, colour) from the left; shares of 0 and less leave no cell
    """
    edges, end = [], 0.0
    for share, colour in parts:
        end = min(1.0, end + (share if math.isfinite(share) and share > 0.0 else 0.0))
        edges.append((round(end * width * 2), colour))
    text = Text(no_wrap=True)
    for cell in range(width):
        left, right = (
            next((colour for edge, colour in edges if edge > half), track)
            for half in (2 * cell, 2 * cell + 1)
        )
        if left != track and right == track:
            text.append("╸", style=left)
        else:
            text.append("━" if left != track else "─", style=left)
    return text


@dataclass(frozen=True, slots=True)
class Area:
    """What an area chart shows: two curves over time, the second at or above the first."""

    lower: Sequence[float]  # filled with lower_style
    upper: Sequence[float]  # what stands above lower is filled with upper_style
    line: float  # a level to compare with
    lower_style: str
    upper_style: str


def area_chart(area: Area, low: float, high: float, width: int, height: int) -> list[Text]:
    """Rows of an area chart, top first, the newest value at the right edge.

    low, high   values at the bottom and the top
    """
    rows = []
    span = (high - low) or 1.0

    def eighths(value: float, row: int) -> int:
        """Eighths of this row's cell that lie under the value."""
        if not math.isfinite(value):
            return 0
        return max(0, min(8, round(((value - low) / span * height - row) * 8)))

    columns = list(zip(area.lower, area.upper, strict=True))[-width:]
    line_row = min(height - 1, max(0, int((area.line - low) / span * height)))
    for row in reversed(range(height)):
        text = Text(no_wrap=True)
        empty = ("┄", FAINT) if row == line_row else (" ", FAINT)
        for _ in range(width - len(columns)):
            text.append(*empty)
        for under, above in columns:
            filled, covered = eighths(under, row), eighths(above, row)
            if filled == 0 and covered == 0:
                text.append(*empty)
            elif filled == 0:
                text.append(EIGHTHS_UP[covered], style=area.upper_style)
            else:
                behind = f" on {area.upper_style}" if covered == 8 and filled < 8 else ""
                text.append(EIGHTHS_UP[filled], style=area.lower_style + behind)
        rows.append(text)
    return rows


def framed(title: str, body: RenderableType, width: int, height: int, note: str = "") -> Panel:
    """A panel of exactly this size; `note` stands at the right of its lower edge."""
    return Panel(
        body,
        box=ROUNDED,
        title=Text(f" {title} ", style=f"bold {TEXT}"),
        title_align="left",
        subtitle=Text(f" {note} ", style=DIM) if note else None,
        subtitle_align="right",
        border_style=FAINT,
        width=width,
        height=height,
        padding=(0, 1),
    )
