"""Figures of a bench: quantiles, and one JSON object or a short table of them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Figures = dict[str, Any]


def quantiles(values: NDArray[np.int64], divide_by: float) -> dict[str, float | None]:
    """Median, 99 %, 99.9 % and the greatest of values, each divided by divide_by.

    Every figure is one of the values, never between two. None where there are no values.
    """
    if len(values) == 0:
        return dict.fromkeys(("p50", "p99", "p999", "max"))
    found = np.quantile(values, [0.5, 0.99, 0.999, 1.0], method="higher") / divide_by
    return dict(
        zip(("p50", "p99", "p999", "max"), (round(float(v), 3) for v in found), strict=True)
    )


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
