#!/usr/bin/env python3
"""Write what is made from the source: docs/events.md, and tables of alarms, interlocks and proofs.

`tools/make_docs.py --check` writes nothing and fails when a page is not what it would write.
"""

import re
import sys
from pathlib import Path

from proofs import page as proofs

from edgectl.alarms.catalogue import kinds_table, rules_table
from edgectl.events import markdown_table
from edgectl.site_model.templates import Template, templates

ROOT = Path(__file__).resolve().parent.parent
EVENTS = ROOT / "docs" / "events.md"
ALARMS = ROOT / "docs" / "alarms.md"
MADE = re.compile(r"(<!-- made by [^\n]*: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
INTERLOCKS = ROOT / "docs" / "interlocks.md"
BEGIN, END = "<!-- templates: begin (tools/make_docs.py) -->\n", "<!-- templates: end -->"
MS_PER_S = 1000

EVENTS_HEAD = """# Events

Every line edgectl can log. Made from `edgectl/events.py` by `tools/make_docs.py`; change it there.

Each event is one JSON object or one console line: its name, its level, and exactly the fields
below, with the unit last in a field's name. `info` is the normal course of things, `warning` asks
for attention, `error` means that something no longer does its work.
"""


def events_page() -> str:
    """docs/events.md."""
    return EVENTS_HEAD + "\n" + markdown_table()


def alarms_page() -> str:
    """docs/alarms.md, with its tables made anew."""
    tables = {"kinds": kinds_table(), "rules": rules_table()}
    return MADE.sub(lambda part: f"{part[1]}\n{tables[part[2]]}\n{part[3]}", ALARMS.read_text())


def interlocks_page() -> str:
    """docs/interlocks.md, with the table of its templates made anew."""
    before, rest = INTERLOCKS.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    head = (
        "| template | what it says | when | on/off s | then | reset | bypass | the site gives "
        "| source |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = "".join(template_line(each) for each in templates().values())
    return f"{before}{BEGIN}{head}{rows}{END}{after}"


def template_line(template: Template) -> str:
    """One template as a line of the table."""
    row = template.row
    causes = row.get("causes") or [row["cause"]]
    when = [_table_text(each) for each in causes]
    when = when[:1] if len(set(when)) == 1 else when
    vote = f" ({row['vote']})" if "vote" in row else ""
    kind = f"{template.monitor['kind'].replace('_', ' ')}: " if template.monitor else ""
    effects = row.get("effects") or [row["effect"]]
    delays = f"{row['on_delay_ms'] / MS_PER_S:g}/{row['off_delay_ms'] / MS_PER_S:g}"
    lockout = f" {row['lockout']['trips']}×" if "lockout" in row else ""
    cells = (
        f"`{template.id}`",
        f"{row['title']}. *{row['why']}*",
        kind + "; ".join(when) + vote,
        delays,
        ", ".join(_effect_text(each) for each in effects),
        row["reset"] + lockout,
        row["bypass"],
        "<br>".join(f"`{key}`: {said}" for key, said in template.needs.items()) or "nothing",
        f"{template.mark}: {template.source}",
    )
    return f"| {' | '.join(cells)} |\n"


def _table_text(cause: dict[str, object]) -> str:
    """The conditions of a cause; its tag only where the template has it."""
    return ", ".join(f"{key} {value}" for key, value in cause.items()) or "the site's threshold"


def _effect_text(effect: dict[str, object]) -> str:
    values = [f"{value}" for key, value in effect.items() if key != "action"]
    return " ".join([str(effect["action"]).replace("_", " "), *values])


def main() -> int:
    """Write the pages, or compare them with --check."""
    pages = {
        EVENTS: events_page(),
        ALARMS: alarms_page(),
        INTERLOCKS: interlocks_page(),
        proofs.PAGE: proofs.page(),
    }
    if "--check" in sys.argv[1:]:
        return 0 if all(path.read_text("utf-8") == text for path, text in pages.items()) else 1
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
