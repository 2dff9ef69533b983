#!/usr/bin/env python3
"""Write what is made from the source: docs/events.md, and the tables of docs/alarms.md.

`tools/make_docs.py --check` writes nothing and fails when a page is not what it would write.
"""

import re
import sys
from pathlib import Path

from edgectl.alarms.catalogue import kinds_table, rules_table
from edgectl.events import markdown_table

ROOT = Path(__file__).resolve().parent.parent
EVENTS = ROOT / "docs" / "events.md"
ALARMS = ROOT / "docs" / "alarms.md"
MADE = re.compile(r"(<!-- made by [^\n]*: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

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


def main() -> int:
    """Write the pages, or compare them with --check."""
    pages = {EVENTS: events_page(), ALARMS: alarms_page()}
    if "--check" in sys.argv[1:]:
        return 0 if all(p.exists() and p.read_text() == text for p, text in pages.items()) else 1
    for page, text in pages.items():
        page.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
