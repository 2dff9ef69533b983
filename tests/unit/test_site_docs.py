"""The two reference pages name every key, every action and every unit."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from edgectl.profiles import load_profile, profile_names
from edgectl.profiles import schema as profile_schema
from edgectl.profiles.units import UNITS
from edgectl.site_model import bounds, schema_carbon, schema_interlock, schema_ledger
from edgectl.site_model import schema as site_schema
from edgectl.site_model.check_interlocks import ACTIONS
from edgectl.site_model.tags import BATTERY_POINTS, SITE_POINTS


def models(module: object) -> list[type[BaseModel]]:
    """Models that a schema module itself defines."""
    found = [each for each in vars(module).values() if isinstance(each, type)]
    own = getattr(module, "__name__", "")
    return [each for each in found if issubclass(each, BaseModel) and each.__module__ == own]


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("site-file.md", site_schema),
        ("site-file.md", schema_carbon),
        ("site-file.md", schema_interlock),
        ("site-file.md", schema_ledger),
        ("profiles.md", profile_schema),
    ],
)
def test_every_key_is_documented_with_its_reason(root: Path, page: str, module: object) -> None:
    text = (root / "docs" / page).read_text(encoding="utf-8")
    missing = []
    for model in models(module):
        for name, info in model.model_fields.items():
            key = info.alias or name
            if model.__name__ in ("SiteFile", "ProfileFile"):
                continue
            if f"| `{key}` |" not in text or (info.description or "?") not in text:
                missing.append(f"{model.__name__}.{key}")
    assert missing == []


def test_actions_units_points_and_bounds_are_documented(root: Path) -> None:
    site = (root / "docs" / "site-file.md").read_text(encoding="utf-8")
    profiles = (root / "docs" / "profiles.md").read_text(encoding="utf-8")
    wanted = [f"| `{action}` |" for action in ACTIONS]
    wanted += [f"`SITE.{name}`" for name, _ in SITE_POINTS]
    wanted += [f"`<BATTERY>.{name}`" for name, _ in BATTERY_POINTS]
    wanted += [name for name in vars(bounds) if name.endswith("_MAX")]
    assert [each for each in wanted if each not in site] == []
    assert [unit for unit in UNITS if f"`{unit}`" not in profiles] == []


@pytest.mark.parametrize("name", profile_names())
def test_the_table_of_profiles_says_what_the_files_say(root: Path, name: str) -> None:
    lines = (root / "docs" / "profiles.md").read_text(encoding="utf-8").split("\n")
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    profile = load_profile(name)
    _, _, verified, points, commands, identity, source = cells
    assert (verified, points) == (profile.verified, str(len(profile.points)))
    assert commands == (", ".join(f"`{each.name}`" for each in profile.commands) or "none")
    assert identity.startswith("none: ") == (not profile.probes)
    assert identity.removeprefix("none: ") == profile.identity_none or profile.probes
    assert source == profile.source
