"""The cause-and-effect matrix, as IEC 62881 lays one out: causes down, effects across.

A mark where they cross says that the cause asks for the effect, with what and until when.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from edgectl.sheets.page import heading, page, tag_text, text
from edgectl.site_model import Effect, Interlock, Site
from edgectl.site_model.check_interlocks import ACTIONS, STORAGE_ACTIONS
from edgectl.site_model.text import (
    cause_text,
    monitor_text,
    reset_text,
    seconds_text,
    vote_text,
)

TITLE = "Cause-and-effect matrix"
SITE_WIDE = "site"
LATCH_MARKS = {"auto": "", "operator": "L", "local": "K", "restart": "R"}
LEFT = ("#", "Cause", "Vote", "On s", "Off s", "Bad", "Reset", "Bypass", "Test")
LEGEND = (
    ("X", "asks for the effect; it ends by itself once the cause was gone for the off-delay"),
    ("XL", "latched: an operator resets it once the cause is gone"),
    ("XK", "latched: reset at the cabinet only"),
    ("XR", "latched: ends with a restart of the controller"),
    ("30 %", "derate: what is left of the rating, either way"),
    ("T1", "shed: the tier of load that is asked for"),
    ("open request, safe state", "every battery goes to zero as well"),
    ("Vote", "MooN: so many of the row's causes; a bad one counts as true where bad is trip"),
    ("On, Off", "s that the cause must hold, and be gone"),
    ("Bad", "what bad quality of a cause does: trip, or hold what the last good value said"),
    ("3×", "so many trips within the lock-out window ask for an operator"),
    ("■", "priority of the alarm (ISA-18.2): critical, high, medium, low"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One effect on one asset; of the site as a whole where asset is SITE_WIDE."""

    asset: str
    action: str


def columns(site: Site) -> list[Column]:
    """Every effect that a row of the site has, by asset, the mildest first."""
    used = {each for row in site.interlocks for each, _ in crossings(site, row)}
    assets = [*(each.id for each in site.batteries), SITE_WIDE]
    return sorted(used, key=lambda each: (assets.index(each.asset), ACTIONS[each.action]))


def crossings(site: Site, row: Interlock) -> Iterator[tuple[Column, Effect]]:
    """Columns that a row has a mark in; an effect on every battery is in the column of each."""
    for effect in row.effects:
        if effect.action not in STORAGE_ACTIONS:
            yield Column(SITE_WIDE, effect.action), effect
            continue
        for battery in site.batteries:
            if effect.asset in (None, battery.id):
                yield Column(battery.id, effect.action), effect


def mark(row: Interlock, effect: Effect) -> str:
    """What stands where a row and an effect cross."""
    latch = LATCH_MARKS[row.reset]
    if effect.action == "derate":
        return f"{effect.value * 100:g} %{latch and ' ' + latch}"
    if effect.action == "shed":
        return f"T{effect.value:g}{latch}"
    return f"X{latch}"


def matrix_html(site: Site) -> str:
    """The whole sheet."""
    across = columns(site)
    lines = [
        f"{len(site.interlocks)} causes, {len(across)} effects, scan period "
        f"{seconds_text(site.scan.period_ns)} s. Every row starts tripped; the most severe effect "
        "wins. Thresholds: trip, and the value that clears it.",
        "edgectl is a control system, not a safety instrumented system: no SIL is claimed. E-stop, "
        "fire panel, BMS contactors and protection relays act by wire.",
    ]
    body = (
        f"{heading(TITLE, site, lines)}<main>"
        f'<table class="matrix"><thead>{_head(across)}</thead>{_rows(site, across)}</table></main>'
        f"{_legend()}"
    )
    return page(TITLE, site, "matrix", body)


def _head(across: list[Column]) -> str:
    left = "".join(
        f'<th rowspan="2" class="{name.split()[0].lower().strip("#") or "no"}">{text(name)}</th>'
        for name in LEFT
    )
    assets = "".join(
        f'<th class="asset first" colspan="{len(list(own))}">{text(asset)}</th>'
        for asset, own in groupby(across, key=lambda each: each.asset)
    )
    effects = "".join(
        f'<th class="effect{first}"><div><span>{text(each.action.replace("_", " "))}</span></div>'
        "</th>"
        for each, first in _with_firsts(across)
    )
    return f"<tr>{left}{assets}</tr><tr>{effects}</tr>"


def _with_firsts(across: list[Column]) -> Iterator[tuple[Column, str]]:
    """Columns, each with the class that rules a line where an asset begins."""
    before = ""
    for each in across:
        yield each, " first" if each.asset != before else ""
        before = each.asset


def _rows(site: Site, across: list[Column]) -> str:
    width = len(LEFT) + len(across)
    made = []
    number = 0
    for group, rows in groupby(site.interlocks, key=lambda each: each.group):
        lines = []
        for row in rows:
            number += 1
            lines.append(_row(site, row, number, across))
        made.append(
            f'<tbody><tr class="group"><th colspan="{width}">{text(group)}</th></tr>'
            f"{''.join(lines)}</tbody>"
        )
    return "".join(made)


def _row(site: Site, row: Interlock, number: int, across: list[Column]) -> str:
    marks = {column: mark(row, effect) for column, effect in crossings(site, row)}
    cells = "".join(
        f'<td class="mark{first}{" set" if each in marks else ""} {row.priority}">'
        f"{text(marks.get(each, ''))}</td>"
        for each, first in _with_firsts(across)
    )
    plain = (
        vote_text(row),
        seconds_text(row.on_delay_ns),
        seconds_text(row.off_delay_ns),
        row.on_bad_quality,
        reset_text(row),
        row.bypass,
        row.proof_test,
    )
    left = "".join(f'<td class="plain">{text(each)}</td>' for each in plain)
    return (
        f'<tr id="{text(row.id)}"><td class="no">{number}</td>'
        f'<td class="cause {row.priority}">{_cause(site, row)}</td>{left}{cells}</tr>'
    )


def _cause(site: Site, row: Interlock) -> str:
    """Id, title, the conditions, and what monitors among them are made of."""
    number = f' <span class="cat">{text(row.catalogue)}</span>' if row.catalogue else ""
    conditions = "".join(f"<li>{tag_text(cause_text(each))}</li>" for each in row.causes)
    made_of = {monitor_text(site, each.tag) for each in row.causes} - {""}
    monitors = "".join(f'<p class="made">{tag_text(each)}</p>' for each in sorted(made_of))
    return (
        f'<span class="prio" title="{row.priority}"></span><b>{text(row.id)}</b>{number} '
        f'{text(row.title)}<ul>{conditions}</ul>{monitors}<p class="why">{text(row.why)}</p>'
    )


def _legend() -> str:
    rows = "".join(f"<dt>{text(sign)}</dt><dd>{text(said)}</dd>" for sign, said in LEGEND)
    return f'<footer class="legend"><h2>Legend</h2><dl>{rows}</dl></footer>'
