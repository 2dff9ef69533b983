"""The library of interlock templates: all causes of the catalogue, as data that ships with us.

A template is a row without what only the site knows. Files: catalogue/*.toml.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

SCHEMA = "edgectl.catalogue/1"
CAUSES = tuple(f"I{number:02d}" for number in range(1, 43))


@dataclass(frozen=True, slots=True)
class Template:
    """One row to be included and parametrised.

    catalogue  number of the cause
    mark       V: seen in the published source; K: engineering knowledge
    needs      key that the site must give, as written in a row, and what it is
    row        keys of [[interlock]]
    monitor    keys of the [[monitor]] that it brings with it; empty without
    """

    id: str
    catalogue: str
    mark: str
    source: str
    needs: dict[str, str]
    row: dict[str, Any]
    monitor: dict[str, Any]


@cache
def templates() -> dict[str, Template]:
    """Every template by its id, in the order of the catalogue."""
    folder = resources.files("edgectl.site_model") / "catalogue"
    found = []
    for file in folder.iterdir():
        if not file.name.endswith(".toml"):
            continue
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        assert data["schema"] == SCHEMA, f"{file.name}: {data['schema']}"
        found += [_template(each) for each in data["template"]]
    found.sort(key=lambda each: each.catalogue)  # stable: as in the file within a cause
    return {each.id: each for each in found}


def _template(data: dict[str, Any]) -> Template:
    return Template(
        id=data["id"],
        catalogue=data["id"].partition("-")[0],
        mark=data["mark"],
        source=data["source"],
        needs=data["needs"],
        row=data["row"],
        monitor=data.get("monitor", {}),
    )
