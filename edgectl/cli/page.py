"""How a page of text is set: its width, its tables, the colours of how far a profile is proved."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

WIDTH_OF_A_FILE = 100  # columns, where the output is no terminal
STYLES = {"synthetic": "magenta", "paper": "yellow", "bench": "cyan", "site": "green"}


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal, or as a file is."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal else WIDTH_OF_A_FILE
    return Console(stderr=stderr, width=width, highlight=False)


def plain_table(title: str = "") -> Table:
    """A table without lines and without columns yet."""
    return Table(
        title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False,
        header_style="dim", padding=(0, 2, 0, 0),
    )  # fmt: skip


def table(columns: Sequence[str], title: str = "") -> Table:
    """A table without lines; the first column stays whole, one that ends with > is set right."""
    made = plain_table(title)
    for at, name in enumerate(columns):
        right = name.endswith(">")
        made.add_column(
            name.rstrip(">"), overflow="fold", no_wrap=at == 0, justify="right" if right else "left"
        )
    return made
