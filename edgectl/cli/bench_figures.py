"""Figures of a bench, as one JSON object or a short table."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Figures = dict[str, Any]


def resident_kib() -> int:
    """Resident memory of this process, KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def show(figures: Mapping[str, Any], as_json: bool) -> None:
    """Print a bench's figures: one JSON object as the last line, or a table."""
    if as_json:
        print(json.dumps(figures))
        return
    table = Table(show_header=False, box=None)
    for name, value in figures.items():
        if isinstance(value, dict):
            value = "  ".join(f"{key} {part}" for key, part in value.items())
        elif isinstance(value, list):
            value = "; ".join(str(part) for part in value) or "-"
        table.add_row(name, str(value))
    Console().print(table)
