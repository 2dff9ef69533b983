#!/usr/bin/env python3
"""Write what is made from the source: docs/events.md, and the list of claims in docs/proofs.md.

`tools/make_docs.py --check` writes nothing and fails when a page is not what it would write.
"""

import sys
from pathlib import Path

from proofs import page as proofs

from edgectl.events import markdown_table

ROOT = Path(__file__).resolve().parent.parent
EVENTS = ROOT / "docs" / "events.md"

EVENTS_HEAD = """# Events

Every line edgectl can log. Made from `edgectl/events.py` by `tools/make_docs.py`; change it there.

Each event is one JSON object or one console line: its name, its level, and exactly the fields
below, with the unit last in a field's name. `info` is the normal course of things, `warning` asks
for attention, `error` means that something no longer does its work.
"""


def events_page() -> str:
    """docs/events.md."""
    return EVENTS_HEAD + "\n" + markdown_table()


def main() -> int:
    """Write the pages, or compare them with --check."""
    pages = {EVENTS: events_page(), proofs.PAGE: proofs.page()}
    if "--check" in sys.argv[1:]:
        same = [path.exists() and path.read_text() == text for path, text in pages.items()]
        return 0 if all(same) else 1
    for path, text in pages.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
