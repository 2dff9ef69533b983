"""The table itself: every cause of the catalogue is there, and there are as many cases as asked."""

import subprocess
import sys
from pathlib import Path

import pytest
from cause_rig import site_of
from cause_table import FILES, WORST_LAST, distinct_rows, monitors_of, table_of

from edgectl._kernel.interlock import Effect

CAUSES = {f"I{number:02d}" for number in range(1, 43)}
CASES_MIN = 5000
LOADED_AS = {"equal": "equals", "not_equal": "not_equals"}


def test_the_catalogue_site_has_all_forty_two_causes() -> None:
    assert {row.number for row in table_of("catalogue")} == CAUSES


def collected(folder: Path, root: Path) -> list[str]:
    """Every case that `pytest FOLDER` would run, by name."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*words, folder], cwd=root, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_there_are_as_many_cases_as_asked_over_every_row_and_all_forty_two_causes(
    root: Path,
) -> None:
    cases = collected(Path(__file__).parent, root)
    assert len(cases) >= CASES_MIN
    names = "\n".join(cases)
    tried = {row for row in distinct_rows() if f"[{row.site}-{row.id}-" in names}
    assert tried == set(distinct_rows())
    assert {row.number for row in tried} == CAUSES


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
