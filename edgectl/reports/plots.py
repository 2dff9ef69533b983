"""Plots as SVG, letters drawn as shapes, so that they look alike on every screen and in print."""

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import nan
from typing import Any

from edgectl.reports.colours import FAINT, INK, ORIGIN, SAID, of_source
from edgectl.reports.extras import need
from edgectl.reports.mixture import ORIGINS
from edgectl.reports.words import off

WIDTH_IN = 7.1
HOURS_AS_BARS_MAX = 96
MJ_PER_S_TO_MW = 1e-9  # 1 MW is 1e9 mJ a second
REACH_MIN = 0.05  # per cent; less is no longer than a line is thick
REACH = {"elinewidth": 1.0, "ecolor": INK, "capsize": 1.5, "capthick": 0.8}
STYLE = {
    "svg.fonttype": "path", "svg.hashsalt": "edgectl", "font.family": "DejaVu Sans",
    "font.size": 8.5, "text.color": INK, "axes.edgecolor": FAINT, "axes.labelcolor": INK,
    "xtick.color": INK, "ytick.color": INK, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.grid.axis": "y", "grid.color": FAINT, "grid.linewidth": 0.6, "axes.axisbelow": True,
    "legend.frameon": False, "figure.facecolor": "none", "axes.facecolor": "none",
    "savefig.facecolor": "none", "xtick.major.size": 3, "ytick.major.size": 0,
}  # fmt: skip


def plots_of(document: dict[str, Any]) -> dict[str, str]:
    """The pictures of a report by name; one that has nothing to show is left out."""
    with need("matplotlib", "plots").rc_context(STYLE):
        made = {
            "supply": _supply(document),
            "origins": _origins(document),
            "intensity": _intensity(document),
            "clean": _clean(document),
            "intervals": _intervals(document),
        }
    return {name: svg for name, svg in made.items() if svg}


def _figure(height_in: float) -> Any:
    figure = need("matplotlib.figure", "plots").Figure(
        figsize=(WIDTH_IN, height_in), layout="constrained"
    )
    return figure, figure.add_subplot()


def _svg(figure: Any, said: str) -> str:
    """The figure's SVG element, without what differs from run to run."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%"', text, count=1)
    # Ids are of one picture; a page has several.
    prefix = re.sub(r"\W", "", said.lower())[:12]
    text = re.sub(r'id="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{said}" ', 1)


def _times(utc: Sequence[str]) -> list[datetime]:
    return [datetime.fromisoformat(each) for each in utc]


def _time_axis(axes: Any) -> None:
    dates = need("matplotlib.dates", "plots")
    locator = dates.AutoDateLocator(tz=UTC, minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    low, high = axes.get_xlim()
    if high - low < 1 / 24:
        formatter = dates.DateFormatter("%H:%M:%S", tz=UTC)
    else:
        formatter = dates.ConciseDateFormatter(locator, tz=UTC, show_offset=False)
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel("UTC")


def _legend(axes: Any) -> None:
    entries = len(axes.get_legend_handles_labels()[0])
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=entries if entries <= 4 else 3,
        borderaxespad=0, handlelength=1.1, handleheight=1.0, columnspacing=1.6,
    )  # fmt: skip


def _supply(document: dict[str, Any]) -> str | None:
    """Power by source over time."""
    series = document["series"]
    series = [each for each in series if each["covered_s"]]
    if len(series) < 2:
        return None
    found = {name for each in series for name, mj in each["mj"].items() if mj}
    names = [name for name in document["sources"] if name in found]
    names += sorted(found - set(names))  # of a tenant: loads
    figure, axes = _figure(2.5)
    times = _times([each["utc"] for each in series])
    rows = [
        [each["mj"].get(name, 0) / each["covered_s"] * MJ_PER_S_TO_MW for each in series]
        for name in names
    ]
    labels = {"grid": "Grid", "pv": "PV", "unmetered": "Unmetered"}
    axes.stackplot(times, rows, labels=[labels.get(name, name) for name in names],
                   colors=_colours(document, names), linewidth=0,
                   step="post" if len(series) < 40 else None)  # fmt: skip
    axes.set_ylabel("MW")
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    _time_axis(axes)
    _legend(axes)
    return _svg(figure, "Supply: power by source over time")


def _colours(document: dict[str, Any], names: list[str]) -> list[str]:
    shades = ("#4a74a8", "#8fb0d6", "#2f4f78", "#b9cde6")
    return [
        of_source(name) if name in document["sources"] else shades[at % len(shades)]
        for at, name in enumerate(names)
    ]


def _origins(document: dict[str, Any]) -> str | None:
    """Where each IT bus's energy came from, in per cent."""
    rows = [each for each in document["origins"] if each["kind"] == "it" and each["energy_mj"]]
    if not rows:
        return None
    present = [name for name in ORIGINS if any(row["origins_mj"].get(name) for row in rows)]
    figure, axes = _figure(0.75 + 0.25 * len(rows) + 0.2 * (len(present) > 4))
    left = [0.0] * len(rows)
    places = list(range(len(rows)))[::-1]
    for name in present:
        widths = [100 * row["origins_mj"].get(name, 0) / row["energy_mj"] for row in rows]
        axes.barh(places, widths, left=left, height=0.68, color=ORIGIN[name], label=SAID[name])
        for place, width, start in zip(places, widths, left, strict=True):
            if width >= 7:
                axes.text(start + width / 2, place, f"{width:.1f} %", ha="center", va="center",
                          color="white", fontsize=7.5, fontweight="bold")  # fmt: skip
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_yticks(places, [row["sink"] for row in rows])
    axes.set_xlim(0, 100)
    axes.grid(visible=False)
    axes.set_xlabel("% of the bus's energy")
    axes.spines["left"].set_visible(False)
    _legend(axes)
    return _svg(figure, "Origin of each IT bus in per cent")


def _intensity(document: dict[str, Any]) -> str | None:
    """The grid factor in force."""
    series = [each for each in document["series"] if each["g_per_kwh"] is not None]
    if len(series) < 2:
        return None
    figure, axes = _figure(1.8)
    values = [each["g_per_kwh"] for each in series]
    axes.step(_times([each["utc"] for each in series]), values, where="post",
              color=ORIGIN["grid"], linewidth=1.6)  # fmt: skip
    axes.set_ylabel("g CO₂e/kWh")
    axes.set_ylim(0, 1.15 * max(*values, 1))
    axes.margins(x=0)
    _time_axis(axes)
    return _svg(figure, "Grid intensity used for booking over time")


def _clean(document: dict[str, Any]) -> str | None:
    """Score of clean hours: bars, or a field of days and hours where there are many."""
    hours = [each for each in document["hours"] if each["cfe_score"] is not None]
    if not hours:
        return None
    if len(hours) > HOURS_AS_BARS_MAX:
        return _field(hours)
    figure, axes = _figure(1.9)
    scores = [100 * each["cfe_score"] for each in hours]
    if len(hours) <= 24:
        labels = [each["utc"][5:13].replace("T", " ") + " h" for each in hours]
        axes.bar(range(len(hours)), scores, width=min(0.8, 0.12 * len(hours) + 0.1),
                 color=ORIGIN["pv"], yerr=_reach(hours), error_kw=REACH)  # fmt: skip
        step = -(-len(hours) // 8)
        axes.set_xticks(range(0, len(hours), step), labels[::step])
        axes.set_xlim(-0.6, max(len(hours), 4) - 0.4)
        for place, score in enumerate(scores if len(hours) <= 12 else []):
            axes.text(
                place,
                100 * hours[place]["cfe_score_high"] + 2,
                f"{score:.0f} %",
                ha="center",
                fontsize=7.5,
                color=INK,
            )
        axes.set_xlabel("hour, UTC")
    else:
        axes.bar(_times([each["utc"] for each in hours]), scores, width=0.9 / 24, align="edge",
                 color=ORIGIN["pv"], yerr=_reach(hours), error_kw=REACH)  # fmt: skip
        _time_axis(axes)
    axes.set_ylim(0, 114)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_ylabel("% clean")
    return _svg(figure, "CFE score of each hour")


def _reach(hours: list[dict[str, Any]]) -> list[list[float]]:
    """How far each hour's score reaches down and up, in per cent; what is exact has no line."""
    ends = [
        [100 * abs(each[f"cfe_score_{name}"] - each["cfe_score"]) for each in hours]
        for name in ("low", "high")
    ]
    drawn = [down + up > REACH_MIN for down, up in zip(*ends, strict=True)]
    return [
        [reach if line else nan for reach, line in zip(side, drawn, strict=True)] for side in ends
    ]


def _field(hours: list[dict[str, Any]]) -> str:
    import numpy as np

    first = datetime.fromisoformat(hours[0]["utc"]).date()
    last = datetime.fromisoformat(hours[-1]["utc"]).date()
    field = np.full((24, (last - first).days + 1), np.nan)
    for each in hours:
        when = datetime.fromisoformat(each["utc"])
        field[when.hour, (when.date() - first).days] = 100 * each["cfe_score"]
    figure, axes = _figure(2.2)
    shown = axes.pcolormesh(np.ma.masked_invalid(field), cmap="cividis", vmin=0, vmax=100,
                            rasterized=True)  # fmt: skip
    axes.grid(visible=False)
    axes.set_yticks([0, 6, 12, 18, 24])
    axes.set_ylabel("hour, UTC")
    axes.set_xlabel(f"day, from {first.isoformat()}")
    figure.colorbar(shown, ax=axes, label="% clean", pad=0.01)
    return _svg(figure, "CFE score of every hour by day")


def _intervals(document: dict[str, Any]) -> str | None:
    """How far each headline figure may be off, in per cent of itself."""
    rows = [each for each in document["figures"] if each["value"] and each["low"] is not None]
    if not rows:
        return None
    figure, axes = _figure(0.55 + 0.27 * len(rows))
    for place, row in enumerate(reversed(rows)):
        low, high = (100 * (row[each] / row["value"] - 1) for each in ("low", "high"))
        axes.plot([low, high], [place, place], color=ORIGIN["grid"], linewidth=5,
                  solid_capstyle="butt", alpha=0.55)  # fmt: skip
        axes.plot([0], [place], "o", color=INK, markersize=3.5)
        said = off(row["value"], row["low"], row["high"])
        axes.text(high, place, f"  {said}", va="center", fontsize=7.5, color=INK)
    axes.set_yticks(range(len(rows)), [row["name"] for row in reversed(rows)])
    reach = max(max(abs(row["low"] / row["value"] - 1), row["high"] / row["value"] - 1)
                for row in rows)  # fmt: skip
    axes.set_xlim(-115 * reach - 0.5, 140 * reach + 0.5)
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("% of the figure, about 95 % sure")
    axes.spines["left"].set_visible(False)
    return _svg(figure, "Intervals of the headline figures")
