"""The site with every cause of the catalogue, whole or with rows of a test's own."""

import re
from pathlib import Path

import pytest

from edgectl.errors import Problem, SiteFileError
from edgectl.site_model import Site, parse_site

PATH = Path(__file__).parent / "data" / "catalogue-42.toml"
TEXT = PATH.read_text(encoding="utf-8")
PLANT = TEXT[: TEXT.index("# --- What no device measures")]
ALARM = """
[[interlock]]
use        = "I39-ledger"
id         = "IL-LEDGER"
proof_test = "FAT-84"
"""
ROWS = {
    found[1]: found[0]
    for found in re.finditer(r'(?ms)^\[\[interlock\]\]\nuse +=\s"([^"]+)"\n.*?\n(?=\n|\Z)', TEXT)
}
MONITORS = TEXT[TEXT.index("[[monitor]]") : TEXT.index("# --- What devices watch us by")]


def site_of(rows: str) -> Site:
    """The plant with these rows only."""
    return parse_site(PATH, (PLANT + rows).encode())


def refused(rows: str) -> tuple[tuple[Problem, int], ...]:
    """Problems of the plant with these rows, each with its line counted within them."""
    with pytest.raises(SiteFileError) as caught:
        site_of(rows)
    before = PLANT.count("\n")
    return tuple(
        (each, int(each.where.split(" ")[0].split(":")[1]) - before)
        for each in caught.value.problems
    )
