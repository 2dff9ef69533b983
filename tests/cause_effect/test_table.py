"""The table itself: every cause of the catalogue is there, and there are as many cases as asked."""

import pytest
from cause_rig import site_of
from cause_table import FILES, WORST_LAST, monitors_of, table_of

from edgectl._kernel.interlock import Effect

CAUSES = {f"I{number:02d}" for number in range(1, 43)}
CASES_MIN = 5000
LOADED_AS = {"equal": "equals", "not_equal": "not_equals"}


def test_the_catalogue_site_has_all_forty_two_causes() -> None:
    assert {row.number for row in table_of("catalogue")} == CAUSES


def test_there_are_as_many_cases_as_asked_and_every_row_has_some(
    request: pytest.FixtureRequest,
) -> None:
    cases = [item for item in request.session.items if item.path.parent.name == "cause_effect"]
    whole = request.config.args == [] or any("cause_effect" in str(a) for a in request.config.args)
    if len({item.path for item in cases}) < len(list(request.path.parent.glob("test_*.py"))):
        whole = False
    names = " ".join(item.name for item in cases)
    assert not whole or len(cases) >= CASES_MIN
    for site in FILES:
        for row in table_of(site):
            assert not whole or f"{site}-{row.id}" in names


@pytest.mark.parametrize("site", FILES)
def test_what_is_loaded_is_what_is_written(site: str) -> None:
    for written, loaded in zip(table_of(site), site_of(site).interlocks, strict=True):
        assert [
            (each.tag, LOADED_AS.get(each.op, each.op), each.on, each.off) for each in loaded.causes
        ] == [(each.tag, each.op, each.on, each.off) for each in written.causes]
        assert [(e.action, e.asset, e.value) for e in loaded.effects] == [
            (e.action, e.asset, e.value) for e in written.effects
        ]
        assert (loaded.id, loaded.catalogue, loaded.group, loaded.vote) == (
            written.id, written.number, written.group, written.vote,
        )  # fmt: skip
        assert (loaded.on_bad_quality, loaded.reset, loaded.bypass, loaded.lockout_trips) == (
            written.on_bad, written.reset, written.bypass, written.lockout_trips,
        )  # fmt: skip
        delays_ns = (loaded.on_delay_ns, loaded.off_delay_ns, loaded.discrepancy_ns)
        delays_ms = (written.on_delay_ms, written.off_delay_ms, written.discrepancy_ms)
        assert delays_ns == tuple(each * 1_000_000 for each in delays_ms)


@pytest.mark.parametrize("site", FILES)
def test_every_monitor_is_loaded_as_it_is_written(site: str) -> None:
    loaded = {each.id: each for each in site_of(site).monitors}
    assert set(loaded) == set(monitors_of(site))
    for written in monitors_of(site).values():
        found = loaded[written.id]
        assert (found.kind, found.inputs, found.level) == (
            written.kind, written.inputs, written.level,
        )  # fmt: skip


def test_the_worst_effect_wins_in_the_order_that_is_written() -> None:
    names = [each.name.removeprefix("EFFECT_").lower() for each in sorted(Effect)]
    assert tuple(names) == WORST_LAST
