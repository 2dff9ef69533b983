"""The table of a site and the library of templates, for the terminal."""

from itertools import groupby
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgectl.cli.page import plain_table
from edgectl.errors import EdgectlError
from edgectl.profiles.problems import did_you_mean
from edgectl.site_model import Interlock, Site
from edgectl.site_model.templates import Template, example_row, templates
from edgectl.site_model.text import (
    causes_text,
    effect_text,
    monitor_text,
    reset_text,
    seconds_text,
)

PRIORITY_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": ""}
MARKS = {"V": "seen in the source", "K": "to be checked against the source"}


def _rows(site: Site, group: str | None) -> tuple[Interlock, ...]:
    """Rows of a group, or all. Raises EdgectlError for a group that no row has."""
    groups = [row.group for row in site.interlocks]
    if group is not None and group not in groups:
        raise EdgectlError(
            where=site.path.name,
            problem=f"there is no group {group}",
            because="No row would be shown.",
            remedy=did_you_mean(group, groups),
        )
    return tuple(row for row in site.interlocks if group in (None, row.group))


def show_rows(page: Console, site: Site, group: str | None, *, why: bool) -> None:
    """Print the table of a site, group by group."""
    rows = _rows(site, group)
    page.print(Text(f"{site.name}: {len(rows)} interlocks", style="bold"))
    for name, own in groupby(rows, key=lambda each: each.group):
        page.print()
        page.print(_table(site, name, list(own), why=why))
    page.print(Text("\non/off: delays, s; bad: what bad quality does; auto 3×: locked out after 3",
                    style="dim"))  # fmt: skip


def _table(site: Site, title: str, rows: list[Interlock], *, why: bool) -> Table:
    table = plain_table(title)
    for name in ("id", "when, and what then", "on/off", "bad", "reset", "bypass", "test"):
        whole = not name.startswith("when")
        table.add_column(name, ratio=None if whole else 1, no_wrap=whole, overflow="fold")
    for row in rows:
        table.add_row(
            Text(row.id, style=PRIORITY_STYLES[row.priority]),
            _when(site, row, why=why),
            f"{seconds_text(row.on_delay_ns)}/{seconds_text(row.off_delay_ns)}",
            row.on_bad_quality,
            reset_text(row),
            "8 h" if row.bypass == "authorised" else "never",
            row.proof_test,
        )
    return table


def _when(site: Site, row: Interlock, *, why: bool) -> Text:
    """Causes and effects of a row, what its monitors are made of, and why, where asked."""
    made = Text("\n".join(causes_text(row)))
    for each in sorted({monitor_text(site, cause.tag) for cause in row.causes} - {""}):
        made.append(f"\n= {each}", style="dim")
    made.append(f"\n→ {effect_text(row).replace('_', ' ')}", style="bold")
    if why:
        made.append(f"\n{row.title}. {row.why}", style="italic dim")
    return made


def rows_json(site: Site, group: str | None) -> dict[str, Any]:
    """What `list --json` prints."""
    return {
        "site": site.id,
        "sha256": site.sha256,
        "interlocks": [
            {
                "id": row.id,
                "catalogue": row.catalogue,
                "title": row.title,
                "group": row.group,
                "priority": row.priority,
                "causes": [
                    {"tag": c.tag, "op": c.op, "on": c.on, "off": c.off, "unit": c.unit}
                    for c in row.causes
                ],
                "vote": row.vote,
                "on_bad_quality": row.on_bad_quality,
                "on_delay_ms": row.on_delay_ns // 1_000_000,
                "off_delay_ms": row.off_delay_ns // 1_000_000,
                "effects": [
                    {"action": e.action, "asset": e.asset, "value": e.value} for e in row.effects
                ],
                "reset": row.reset,
                "bypass": row.bypass,
                "proof_test": row.proof_test,
                "proof_interval_days": row.proof_interval_days,
            }
            for row in _rows(site, group)
        ],
    }


def _templates(name: str | None) -> list[Template]:
    """Templates of a cause, or the one of a name, or all.

    Raises EdgectlError for a name that is none.
    """
    found = [each for each in templates().values() if name in (None, each.id, each.catalogue)]
    if not found:
        causes = {each.catalogue for each in templates().values()}
        raise EdgectlError(
            where=f"template {name}",
            problem="there is no such template and no such cause",
            because="The library has 42 causes, I01 to I42.",
            remedy=did_you_mean(str(name), [*templates(), *causes]),
        )
    return found


def show_templates(page: Console, name: str | None) -> None:
    """Print the library, or what one cause has in full with an example."""
    found = _templates(name)
    if name is None:
        table = plain_table(f"{len(found)} templates for the 42 causes of the catalogue")
        for column in ("template", "what it says", "what the site gives"):
            table.add_column(column, overflow="fold", no_wrap=column == "template")
        for each in found:
            given = ", ".join(each.needs) or "nothing"
            table.add_row(each.id, each.row["title"], Text(given, style="dim"))
        page.print(table)
        page.print("\none in full:  edgectl interlocks templates I07-high")
        return
    for each in found:
        _show_template(page, each)


def _show_template(page: Console, template: Template) -> None:
    row = template.row
    page.print(Text.assemble((template.id, "bold"), f"  {row['title']}"))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for key, value in _facts(template):
        facts.add_row(key, Text(value))
    page.print(Padding(facts, (0, 0, 1, 2)))
    page.print(Padding(Text(example_row(template), style="cyan"), (0, 0, 1, 4)))


def _facts(template: Template) -> list[tuple[str, str]]:
    row = template.row
    facts = [("why", row["why"]), ("source", f"{template.source} ({MARKS[template.mark]})")]
    facts += [(f"needs {key}", said) for key, said in template.needs.items()]
    if template.monitor:
        facts.append(("brings monitor", _keys(template.monitor, leave=("why",))))
    causes = row.get("causes") or [row["cause"]]
    facts += [("cause", _keys(each) or "its threshold is the site's") for each in causes]
    facts += [("effect", _keys(each)) for each in row.get("effects") or [row["effect"]]]
    rest = ("priority", "vote", "on_bad_quality", "on_delay_ms", "off_delay_ms", "discrepancy_ms",
            "reset", "bypass")  # fmt: skip
    facts.append(("defaults", ", ".join(f"{key} {row[key]}" for key in rest if key in row)))
    return facts


def _keys(table: dict[str, Any], leave: tuple[str, ...] = ()) -> str:
    return ", ".join(f"{key} = {value}" for key, value in table.items() if key not in leave)


def templates_json(name: str | None) -> dict[str, Any]:
    """What `templates --json` prints."""
    return {
        "templates": [
            {
                "id": each.id,
                "catalogue": each.catalogue,
                "mark": each.mark,
                "source": each.source,
                "needs": each.needs,
                "monitor": each.monitor,
                "row": each.row,
                "example": example_row(each),
            }
            for each in _templates(name)
        ]
    }
