"""Symbols of a single-line diagram after IEC 60617, as SVG in ink and paper alone."""

from xml.sax.saxutils import escape

from edgectl.reports.colours import INK, PAPER

HALF = 15  # of a symbol's box
METER_HALF = 8
CAPITAL, SMALL, NARROW, BOLD = 0.72, 0.62, 0.42, 1.12  # widths against the size, DejaVu Sans


def line(
    x1: float, y1: float, x2: float, y2: float, width: float = 1.4, *, dashed: bool = False
) -> str:
    """One conductor, or with a larger width a busbar."""
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{INK}" '
        f'stroke-width="{width:g}"{dashes}/>'
    )


def text(
    x: float, y: float, words: str, anchor: str = "middle", *, size: float = 10, bold: bool = False
) -> str:
    """Words on one line."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" '
        f'font-weight="{"bold" if bold else "normal"}" fill="{INK}">{escape(words)}</text>'
    )


def width_of(words: str, size: float, *, bold: bool = False) -> float:
    """How wide words stand, on the wide side."""
    ratios = (
        CAPITAL if each.isupper() else SMALL if each.isalnum() else NARROW for each in words
    )  # fmt: skip
    return sum(ratios) * size * (BOLD if bold else 1.0)


def folded(words: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    """Words in as many lines as they need, broken where a name is best broken; nothing is cut."""
    found = []
    while width_of(words, size, bold=bold) > room:
        fits = max(n for n in range(1, len(words))
                   if n == 1 or width_of(words[:n].rstrip(), size, bold=bold) <= room)  # fmt: skip
        best = max(words.rfind(each, 0, fits) for each in " -_/") + 1
        cut = best or fits
        found.append(words[:cut].rstrip())
        words = words[cut:].lstrip()
    return [*found, words] if words else found


def _box(x: float, y: float, inside: str) -> str:
    return (
        f'<rect x="{x - HALF}" y="{y - HALF}" width="{2 * HALF}" height="{2 * HALF}" '
        f'fill="{PAPER}" stroke="{INK}" stroke-width="1.4"/>{inside}'
    )


def meter(x: float, y: float) -> str:
    """An integrating meter: a box with a register on top, Wh below."""
    half = METER_HALF
    return (
        f'<rect x="{x - half}" y="{y - half}" width="{2 * half}" height="{2 * half}" '
        f'fill="{PAPER}" stroke="{INK}" stroke-width="1.2"/>'
        + line(x - half, y - half + 4, x + half, y - half + 4, 1)
        + text(x, y + 5.6, "Wh", size=8)
    )


def grid(x: float, y: float) -> str:
    """A network: a hatched box."""
    h = HALF
    inside = "".join(line(x - h, y + at, x - at, y + h, 0.9) for at in (-h, 0)) + "".join(
        line(x + at, y - h, x + h, y - at, 0.9) for at in (-h, 0)
    )
    return _box(x, y, inside + line(x - h, y + h, x + h, y - h, 0.9))


def pv(x: float, y: float) -> str:
    """A photovoltaic generator: G, a cell, and light falling on it."""
    rays = "".join(
        line(x + at - 8, y - 12, x + at, y - 5, 1) + line(x + at, y - 5, x + at - 4, y - 5.6, 1)
        + line(x + at, y - 5, x + at - 0.8, y - 9, 1)
        for at in (-3, 5)
    )  # fmt: skip
    cell = line(x - 9, y + 1, x + 9, y + 1, 1.4) + line(x - 4, y + 4.5, x + 4, y + 4.5, 2.4)
    return _box(x, y, rays + cell + text(x + 10, y + 12, "G", size=8))


def battery(x: float, y: float) -> str:
    """Cells of a battery behind its converter: a box cut by a diagonal, ~ against cells."""
    cells = line(x + 1, y + 6, x + 12, y + 6, 1.2) + line(x + 3.5, y + 9.5, x + 9.5, y + 9.5, 2.4)
    return _box(x, y, line(x - HALF, y + HALF, x + HALF, y - HALF, 1) + cells
                + text(x - 7, y - 3, "~", size=12))  # fmt: skip


def generator(x: float, y: float) -> str:
    """A rotating generator: G in a circle."""
    return (
        f'<circle cx="{x}" cy="{y}" r="{HALF}" fill="{PAPER}" stroke="{INK}" stroke-width="1.4"/>'
        + text(x, y + 2, "G", size=12) + text(x, y + 11, "~", size=11)
    )  # fmt: skip


def load(x: float, y: float) -> str:
    """A consumer: an arrow away from the bus."""
    return line(x, y - HALF, x, y + 4) + (
        f'<path d="M{x - 7:.1f} {y + 2:.1f}L{x:.1f} {y + HALF:.1f}L{x + 7:.1f} {y + 2:.1f}Z" '
        f'fill="{INK}"/>'
    )
