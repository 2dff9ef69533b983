"""What is declared: every source is there, every site's alarms are named once and complete."""

import re
from pathlib import Path

import numpy as np
import pytest
from alarm_rig import IDS, Plant, alarm_directory

from edgectl.alarms import Batch, Judge, Memory, rows_of
from edgectl.alarms.catalogue import KINDS, PRIORITIES, RULES, specs_of, targets_of
from edgectl.alarms.sources import SOURCES
from edgectl.site_model import compile_tables, load_site


def test_every_declared_source_is_a_function_and_every_function_is_declared() -> None:
    declared = {kind.source for kind in KINDS} | {rule.when for rule in RULES}
    assert declared == set(SOURCES)


@pytest.mark.parametrize("site", ["demo", "texas-100mw"])
def test_the_alarms_of_a_shipped_site_are_named_once_and_say_what_to_do(site: str) -> None:
    specs = specs_of(compile_tables(load_site(site)).directory)
    ids = [spec.id for spec in specs]
    assert len(set(ids)) == len(ids)
    for spec in specs:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", spec.id), "a level of a topic"
        assert spec.priority in PRIORITIES
        for text in (spec.title, spec.meaning, spec.consequence, spec.operator_action):
            assert text, spec.id
            assert not re.search(r"\{\w+\}", text), f"{spec.id}: {text}"


def test_a_row_brings_its_own_title_priority_effects_and_reset() -> None:
    spec = next(each for each in specs_of(alarm_directory()) if each.id == "IL-TEMP")
    assert (spec.title, spec.priority, spec.group) == ("Title of IL-TEMP", "high", "BESS")
    assert spec.meaning == "Why of IL-TEMP"
    assert spec.consequence == "zero"
    assert spec.operator_action == "Remove the cause. An operator resets the row then."
    assert (spec.on_delay_ns, spec.off_delay_ns) == (0, 0), "the row has delays of its own"


def test_only_rows_that_can_be_bypassed_or_disagree_have_these_alarms() -> None:
    ids = {spec.id for spec in specs_of(alarm_directory())}
    assert {each for each in ids if each.endswith(".BYPASS")} == {
        "IL-TEMP.BYPASS", "IL-SOC.BYPASS",
    }  # fmt: skip
    assert {each for each in ids if each.endswith(".DISCREPANCY")} == {
        "IL-ESTOP.DISCREPANCY", "IL-MIX.DISCREPANCY",
    }  # fmt: skip
    assert not any(each.endswith(".PROOF") for each in ids - {"SYS.PROOF"}), "no row says when"


def test_an_overdue_proof_test_is_judged_by_utc() -> None:
    plant = Plant()
    site = dict(plant.segment.reader().directory)
    due_ns = plant.utc_ns + 1_000_000_000
    site["interlocks"] = [row | {"proof_due_utc_ns": due_ns} for row in site["interlocks"]]
    plant.run(12)
    records = plant.segment.reader().journal(0).records
    batch = Batch(site, records, rows_of(records), plant.start_ns, Memory())
    judge = Judge(site)
    places = [at for at, spec in enumerate(judge.specs) if spec.kind == "{id}.PROOF"]
    assert len(places) == len(IDS)
    judged = judge.judge(batch, records["head"]["time_ns"])
    assert judged.signals[:, places].any(axis=1).tolist() == [False] * 11 + [True]


def test_a_source_gives_one_row_a_scan_and_one_column_a_target() -> None:
    plant = Plant()
    plant.run(7)
    reader = plant.segment.reader()
    records = reader.journal(0).records
    sizes = {"site": 1, "interlock": len(IDS), "device": len(reader.directory["devices"])}
    each_of = {kind.source: kind.each for kind in KINDS} | {rule.when: rule.each for rule in RULES}
    for snapshot in (None, reader.snapshot()):
        batch = Batch(
            reader.directory, records, rows_of(records), plant.start_ns, Memory(), snapshot
        )
        for name, source in SOURCES.items():
            assert source(batch).shape == (7, sizes[each_of[name]]), name


def test_a_batch_is_judged_alike_in_one_piece_and_scan_by_scan() -> None:
    plant = Plant()
    dice = np.random.default_rng(7)
    for _ in range(400):
        plant.interlocks = dice.choice(4, len(IDS)).tolist()
        plant.interlock_flags = dice.choice([0, 0, 0, 8, 16, 32], len(IDS)).tolist()
        plant.fields["maintenance"] = int(dice.random() < 0.3)
        plant.silent = {"BMS-01"} if dice.random() < 0.5 else set()
        plant.fields["overruns"] += int(dice.random() < 0.01)
        plant.scan()
    reader = plant.segment.reader()
    records = reader.journal(0).records
    judge, times_ns = Judge(reader.directory), records["head"]["time_ns"]

    def judged(size: int) -> list[np.ndarray]:
        memory, signals, rules = Memory(), [], []
        for at in range(0, len(records), size):
            part = records[at : at + size]
            batch = Batch(reader.directory, part, rows_of(part), plant.start_ns, memory)
            found = judge.judge(batch, times_ns[at : at + size])
            signals.append(found.signals)
            rules.append(found.rules)
        return [np.concatenate(signals), np.concatenate(rules)]

    whole = judged(len(records))
    assert set(np.unique(whole[1])) == {-1, 0, 1, 3, 5}
    for size in (1, 13):
        for one, other in zip(whole, judged(size), strict=True):
            np.testing.assert_array_equal(one, other)


def test_targets_are_the_site_its_rows_and_its_devices() -> None:
    site = alarm_directory()
    assert [len(targets_of(each, site)) for each in ("site", "interlock", "device")] == [1, 5, 6]


def test_the_page_shows_every_kind_and_every_rule(root: Path) -> None:
    page = (root / "docs" / "alarms.md").read_text()
    for kind in KINDS:
        assert f"| `{kind.pattern}` |" in page
    for rule in RULES:
        assert f"| {rule.name} |" in page
