"""tools/tamper and tools/crash, at a size that takes seconds, and that they can fail."""

import random
import sqlite3
from pathlib import Path

import pytest
from ledger_proofs import crash, tamper
from ledger_proofs.images import applied, images
from ledger_proofs.recorder import Op
from ledger_proofs.victim import (
    entries_of,
    found_by_a_stranger,
    found_by_us,
    month_file,
    write_ledger,
)

from edgectl.ledger.keys import load_private
from edgectl.ledger.seal import parse_seal, seal_path


@pytest.mark.slow
def test_every_flip_and_every_attack_on_a_small_ledger_is_found(tmp_path: Path) -> None:
    figures = tamper.run(1_300, 30, 5, 3, tmp_path)
    assert figures["found"] == figures["tried"], figures["missed"]
    assert len(figures["attacks"]) >= 39


def test_one_pages_flips_are_found_and_a_flip_that_is_undone_is_not(tmp_path: Path) -> None:
    directory = tmp_path / "ledger"
    write_ledger(directory, entries_of(40), directory / "bench.key")
    path = month_file(directory)
    content, seal = path.read_bytes(), parse_seal(seal_path(path).read_bytes())
    assert tamper.flip_pages((content[4096:4196], 1, seal.digests[:16] + tamper.page_digest(
        content[4096:4196]))) == (800, 800)  # fmt: skip
    with pytest.raises(AssertionError, match="not as sealed before"):
        tamper.flip_pages((content[:4096], 1, seal.digests))
    key = load_private(directory / "bench.key").public
    assert found_by_us(directory, key) is None
    assert found_by_a_stranger(directory, key) is None
    dice = random.Random(1)
    assert tamper.sampled(directory, dice, 20, found_by_us, key).found == 20


def test_killed_writers_lose_double_and_spoil_nothing(tmp_path: Path) -> None:
    tally = crash.kills(12, 5, tmp_path)
    assert (tally.kills, tally.lost, tally.duplicates, tally.silent_corruption) == (12, 0, 0, 0)
    assert tally.acknowledged > 0


def test_no_image_of_a_lost_power_loses_what_was_acknowledged(tmp_path: Path) -> None:
    tally = crash.powerless(1_500, 7, tmp_path)
    assert tally.images == 1_500
    assert (tally.lost, tally.duplicates, tally.silent_corruption) == (0, 0, 0), tally.first
    assert (tally.unopened, tally.false_alarms) == (0, 0), tally.first


def test_the_judge_of_crashes_sees_what_is_lost_and_what_is_wrong(tmp_path: Path) -> None:
    from edgectl.ledger import Ledger

    with Ledger("bench", tmp_path) as ledger:
        ledger.append([crash.entry(0), crash.entry(1)])
        assert crash.judge(ledger, 2, "whole").first == []
        assert crash.judge(ledger, 4, "short").lost == 2
        ledger.append([crash.entry(1)])
        assert crash.judge(ledger, 2, "twice").duplicates == 1
        assert crash.judge(ledger, 2, "twice").silent_corruption > 0


def test_a_ledger_that_does_not_sync_is_caught_by_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgectl.ledger import month

    prepare = month.prepare

    def careless(connection: sqlite3.Connection) -> None:
        prepare(connection)
        connection.execute("PRAGMA synchronous = OFF")

    monkeypatch.setattr(month, "prepare", careless)
    tally = crash.powerless(800, 7, tmp_path)
    assert tally.lost > 0, "a proof that cannot fail proves nothing"


def test_images_are_what_a_disk_may_keep() -> None:
    ops = [Op("write", "a", 0, b"12345678"), Op("sync", "a"), Op("write", "a", 4, b"xx"),
           Op("cut", "a", number=5), Op("acknowledged", number=3)]  # fmt: skip
    found = {image.files.get("a") for image in images(ops, random.Random(1), 5)}
    assert {b"12345678", b"1234xx78", b"12345", b"1234x"} <= found
    assert applied(b"ab", [Op("write", "a", 4, b"z")]) == b"ab\0\0z"
    assert [image.acknowledged for image in images(ops, random.Random(1), 0)][-1] == 3
