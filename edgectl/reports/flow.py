"""The flow of energy from sources to uses as one picture: bands as wide as their energy."""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from edgectl.reports.colours import BATTERY, INK, of_source
from edgectl.reports.words import energy

WIDTH, HEIGHT, BAR = 720, 250, 12
LEFT, RIGHT = 120, 560  # where the bands begin and end
GAP, TOP = 10, 14
LABEL_MIN = 26  # a node's room for its two lines of text
SOURCE_SAID = {"grid": "Grid", "pv": "PV", "unmetered": "Unmetered"}
USE_SAID = {"it": "IT equipment", "aux": "Cooling and house", "losses": "Losses",
            "export": "Export", "stored": "Into batteries"}  # fmt: skip


def flow_of(document: Mapping[str, Any]) -> str | None:
    """The picture; None where nothing flowed."""
    kinds = {row["sink"]: row["kind"] for row in document["origins"]}
    batteries = set(document["batteries"])
    bands: Counter[tuple[str, str]] = Counter()
    for path in document["paths"]:
        sink = path["sink"]
        use = "stored" if sink in batteries else kinds.get(sink, sink)
        use = sink if use == "other" else use
        bands[path["source"], use] += path["energy_mj"]
    bands = +bands
    if not bands:
        return None
    sources = _ordered({source for source, _ in bands}, document["sources"])
    uses = _ordered({use for _, use in bands}, list(USE_SAID))
    whole = sum(bands.values())
    room = HEIGHT - 2 * TOP - GAP * (max(len(sources), len(uses)) - 1)
    left = _nodes(sources, {s: _sum(bands, 0, s) for s in sources}, whole, room)
    right = _nodes(uses, {u: _sum(bands, 1, u) for u in uses}, whole, room)
    shapes = _bands(bands, sources, uses, left, right, room / whole)
    for name, (y, height, mj) in left.items():
        shapes += _node(LEFT - BAR, y, height, of_source(name))
        shapes += _label(LEFT - BAR - 8, y + height / 2, SOURCE_SAID.get(name, name), mj, "end")
    for name, (y, height, mj) in right.items():
        shapes += _node(RIGHT, y, height, BATTERY if name == "stored" else INK)
        shapes += _label(RIGHT + BAR + 8, y + height / 2, USE_SAID.get(name, name), mj, "start")
    bottom = max(y + max(height, LABEL_MIN) for y, height, _ in (*left.values(), *right.values()))
    return (
        f'<svg role="img" aria-label="Energy from sources to uses" width="100%" '
        f'viewBox="0 0 {WIDTH} {bottom + TOP:.0f}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="DejaVu Sans, sans-serif" font-size="11.5">{"".join(shapes)}</svg>'
    )


def _ordered(found: set[str], wished: list[str]) -> list[str]:
    return [*(each for each in wished if each in found), *sorted(found - set(wished))]


def _sum(bands: Mapping[tuple[str, str], int], side: int, name: str) -> int:
    return sum(mj for ends, mj in bands.items() if ends[side] == name)


def _nodes(
    names: list[str], amounts: Mapping[str, int], whole: int, room: float
) -> dict[str, tuple[float, float, int]]:
    """Top, height and mJ of each; a thin one still has room for its words."""
    found, y = {}, float(TOP)
    for name in names:
        height = max(1.0, room * amounts[name] / whole)
        top = y + max(0.0, (LABEL_MIN - height) / 2)
        found[name] = (top, height, amounts[name])
        y += max(height, LABEL_MIN) + GAP
    return found


def _bands(
    bands: Mapping[tuple[str, str], int], sources: list[str], uses: list[str],
    left: Mapping[str, tuple[float, float, int]], right: Mapping[str, tuple[float, float, int]],
    scale: float,
) -> list[str]:  # fmt: skip
    out = {name: left[name][0] for name in sources}
    into = {name: right[name][0] for name in uses}
    shapes = []
    middle = (LEFT + RIGHT) / 2
    for source in sources:
        for use in uses:
            height = bands.get((source, use), 0) * scale
            if not height:
                continue
            a, b = out[source], into[use]
            shapes.append(
                f'<path d="M{LEFT} {a:.2f}C{middle} {a:.2f} {middle} {b:.2f} {RIGHT} {b:.2f}'
                f"L{RIGHT} {b + height:.2f}C{middle} {b + height:.2f} {middle} {a + height:.2f} "
                f'{LEFT} {a + height:.2f}Z" fill="{of_source(source)}" fill-opacity="0.45"/>'
            )
            out[source], into[use] = a + height, b + height
    return shapes


def _node(x: float, y: float, height: float, colour: str) -> list[str]:
    return [f'<rect x="{x}" y="{y:.2f}" width="{BAR}" height="{height:.2f}" fill="{colour}"/>']


def _label(x: float, y: float, name: str, mj: int, anchor: str) -> list[str]:
    return [
        f'<text x="{x}" y="{y - 2:.1f}" text-anchor="{anchor}" fill="{INK}" font-weight="bold">'
        f'{escape(name)}</text><text x="{x}" y="{y + 12:.1f}" text-anchor="{anchor}" '
        f'fill="{INK}">{energy(mj)}</text>'
    ]
