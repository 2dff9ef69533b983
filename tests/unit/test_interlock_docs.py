"""docs/interlocks.md names every kind, curve, effect and template; site-file.md every key."""

from pathlib import Path

import pytest

from edgectl.events import EVENTS
from edgectl.site_model.check_interlocks import ACTIONS
from edgectl.site_model.monitors import CURVES, FORMS
from edgectl.site_model.schema_monitor import HeartbeatEntry, MonitorEntry
from edgectl.site_model.templates import templates


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "interlocks.md").read_text(encoding="utf-8")


def test_every_kind_of_monitor_and_every_curve_has_its_formula(page: str) -> None:
    assert [kind for kind in FORMS if f"| `{kind}` |" not in page] == []
    for name, (k, a, c) in CURVES.items():
        assert f"| `{name}` | {k:g} | {a:g} | {c:g} |" in page


def test_the_effects_stand_in_the_order_of_severity(page: str) -> None:
    table = page[page.index("## Effects") : page.index("## Reset")]
    places = [table.index(f"`{action}`") for action in sorted(ACTIONS, key=lambda a: ACTIONS[a])]
    assert places == sorted(places)


def test_every_template_and_what_it_needs_is_in_the_table(page: str) -> None:
    for template in templates().values():
        (line,) = [each for each in page.split("\n") if each.startswith(f"| `{template.id}` |")]
        assert all(f"`{key}`: {said}" in line for key, said in template.needs.items())
        assert template.source in line


def test_no_safety_integrity_level_is_claimed(page: str) -> None:
    assert "it claims no SIL" in page


def test_every_key_of_a_monitor_and_a_heartbeat_is_documented(root: Path) -> None:
    text = (root / "docs" / "site-file.md").read_text(encoding="utf-8")
    for model in (MonitorEntry, HeartbeatEntry):
        for name, info in model.model_fields.items():
            assert f"| `{name}` |" in text
            assert (info.description or "?") in text


def test_the_events_of_authority_are_declared_with_what_to_do() -> None:
    for name in ("interlock.bypassed", "interlock.bypass_ended", "interlock.discrepancy",
                 "maintenance.entered", "maintenance.left"):  # fmt: skip
        assert EVENTS[name].operator_action
