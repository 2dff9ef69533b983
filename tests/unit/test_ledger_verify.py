"""Verification: what is whole is good, what is not is named, by both verifiers alike."""

import gzip
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import verify_ledger as stranger
from ledger_rig import SITE, TENANTS, UTC_NS, FeedRig
from typer.testing import CliRunner

from edgectl.cli import key as key_verb
from edgectl.cli.main import command_line
from edgectl.errors import EdgectlError, KeyFileError, LedgerError, ReceiptError
from edgectl.ledger import Kind, Ledger
from edgectl.ledger.heads import HeadError, parse_document
from edgectl.ledger.keys import generate, key_id, load_private, load_public, next_path
from edgectl.ledger.payload import integers, unpacked
from edgectl.ledger.seal import seal_path, wal_path
from edgectl.ledger.signing import KeyRing
from edgectl.ledger.verify import verify
from edgectl.reports.receipt import make_receipt
from edgectl.services.ledger_feed import Count

BEGIN_S = UTC_NS // 10**9
MONTH = f"{SITE}-2023-11.sqlite"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[FeedRig]:
    made = FeedRig(tmp_path / "data", interval_s=10)
    made.run(30)
    yield made
    made.feed.close()


@pytest.fixture
def closed(rig: FeedRig) -> FeedRig:
    rig.feed.close()
    return rig


def judged(rig: FeedRig, pinned: Any = (), key: bytes | None = None) -> tuple[str | None, str]:
    """What each verifier says is bad; empty text for nothing."""
    own = key or rig.key
    (result,) = verify(rig.where, own, pinned)
    try:
        heads = [stranger.Head(each.body, each.signature) for each in pinned]
        stranger.verify_ledger(rig.where, own, heads, live=False)
    except stranger.BadError as bad:
        return result.bad, str(bad)
    return result.bad, ""


def test_a_ledger_is_good_while_it_is_written_and_after_it_was_closed(rig: FeedRig) -> None:
    (result,) = verify(rig.where, rig.key)
    assert (result.good, result.bad) == (True, None)
    assert any("not signed yet" in note for note in result.notes)
    stranger.verify_ledger(rig.where, rig.key, [], live=True)
    rig.feed.close()
    assert judged(rig) == (None, "")
    (result,) = verify(rig.where, rig.key)
    assert result.signed_records == result.records == 32
    assert result.pinned


def test_a_killed_writers_ledger_is_good_as_it_was_left(rig: FeedRig, tmp_path: Path) -> None:
    left = tmp_path / "left"
    shutil.copytree(rig.where, left, ignore=shutil.ignore_patterns("*-shm"))
    assert wal_path(left / MONTH).stat().st_size > 0
    (result,) = verify(left, rig.key)
    assert result.good, result.bad
    assert "good" in stranger.verify_ledger(left, rig.key, [], live=False)


def test_every_head_of_the_chain_pins_the_ledger(closed: FeedRig) -> None:
    assert len(closed.heads) >= 2
    assert judged(closed, closed.heads) == (None, "")
    forged = replace(closed.heads[0], signature=bytes(64))
    (result,) = verify(closed.where, closed.key, [forged])
    assert result.bad is not None
    assert "not signed" in result.bad


@pytest.mark.parametrize("place", ["file", "seal"])
def test_one_bit_anywhere_in_a_file_at_rest_is_found(closed: FeedRig, place: str) -> None:
    path = closed.where / MONTH
    path = path if place == "file" else seal_path(path)
    content = path.read_bytes()
    for at in range(0, len(content), max(1, len(content) // 40)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        ours, theirs = judged(closed)
        assert ours, f"byte {at} of {path.name}"
        assert theirs, f"byte {at} of {path.name}"
    path.write_bytes(content)
    assert judged(closed) == (None, "")


def test_the_first_altered_record_is_named_with_its_time(closed: FeedRig) -> None:
    path = closed.where / MONTH
    connection = sqlite3.connect(path)
    *_, (first, body) = connection.execute("SELECT first_seq, body FROM pack").fetchall()
    from edgectl.ledger.record import Codec, decode, encode

    records = decode(body)
    broken = bytearray(records[4].parts[0])
    broken[-1] ^= 1
    records[4] = replace(records[4], parts=(bytes(broken), *records[4].parts[1:]))
    changed = encode(records, Codec(body[0]))
    connection.execute("UPDATE pack SET body = ? WHERE first_seq = ?", (changed, first))
    connection.commit()
    connection.close()
    (result,) = verify(closed.where, closed.key)
    assert (result.bad_seq, result.bad) == (first + 4, "it is not as it was written")
    with Ledger(SITE, closed.where, read_only=True) as ledger:
        (row,) = ledger.rows(first=first + 4, end=first + 5)
    assert result.bad_utc_s == row.utc_s
    assert judged(closed)[1].startswith(f"record {first + 4}, ")


def test_a_wrong_key_and_a_missing_month_are_found(closed: FeedRig, tmp_path: Path) -> None:
    other = generate(tmp_path / "other.key").public
    ours, theirs = judged(closed, key=other)
    assert ours
    assert key_id(other) in ours
    assert "signed none" in theirs
    (closed.where / MONTH).unlink()
    ours, theirs = judged(closed)
    assert ours
    assert theirs


def test_months_are_one_chain_and_each_verifies_alone(tmp_path: Path) -> None:
    new_year_ns = 1_704_067_200 * 10**9
    rig = FeedRig(tmp_path, new_year_ns - 3 * 10**9)
    rig.run(8)
    rig.feed.close()
    files = sorted(tmp_path.glob("*.sqlite"))
    assert [path.stem for path in files] == ["fake-2023-12", "fake-2024-01"]
    (result,) = verify(tmp_path, rig.key)
    assert (result.good, result.files, result.bad) == (True, 2, None)
    for path in files:
        (alone,) = verify(path, rig.key)
        assert alone.good, alone.bad
        assert "good" in stranger.verify_ledger(path, rig.key, [], live=False)
    assert [head.reason for head in rig.heads if head.reason == "month"] == []
    with Ledger(SITE, tmp_path, read_only=True) as ledger:
        assert "month" in [head.reason for head, _ in ledger.heads()]
    files[0].unlink()
    seal_path(files[0]).unlink()
    (result,) = verify(tmp_path, rig.key)
    assert result.bad is not None
    assert "missing" in result.bad
    assert verify(tmp_path, rig.key, partial=True)[0].good


def test_a_month_that_was_made_and_not_begun_is_no_fault(closed: FeedRig) -> None:
    """What a writer leaves that dies between the file and its first transaction."""
    connection = sqlite3.connect(closed.where / f"{SITE}-2023-12.sqlite")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert judged(closed) == (None, "")


def test_a_key_is_rotated_and_both_keys_verify(closed: FeedRig) -> None:
    old = closed.key
    path = closed.where / f"{SITE}.key"
    result = CliRunner().invoke(key_verb.app, ["rotate", str(path), "--ledger", str(closed.where)])
    assert result.exit_code == 0, result.output
    assert closed.key != old
    closed.open()
    closed.run(3)
    closed.feed.close()
    assert judged(closed, key=old) == (None, "")
    assert judged(closed, key=closed.key) == (None, "")
    assert (closed.where / f"{SITE}.key.{key_id(old)}.old").exists()


def test_running_services_hand_over_to_the_key_that_waits(rig: FeedRig) -> None:
    old = rig.key
    path = rig.where / f"{SITE}.key"
    result = CliRunner().invoke(key_verb.app, ["rotate", str(path), "--ledger", str(rig.where)])
    assert "running services" in result.output
    rig.feed.close()
    assert rig.key != old
    assert [head.next_key for head in rig.heads][-2:] == [rig.key, None]
    assert judged(rig, key=old) == (None, "")


def test_a_rotation_cut_off_before_the_new_key_took_its_place_is_finished(
    closed: FeedRig,
) -> None:
    path = closed.where / f"{SITE}.key"
    follower = generate(next_path(path)).public
    with Ledger(SITE, closed.where, signer=load_private(path)) as ledger:
        ledger.sign("key", UTC_NS, "unknown", follower)
    with Ledger(SITE, closed.where) as ledger:
        KeyRing(path).settle(ledger)
        assert ledger.signer is not None
        assert ledger.signer.public == follower == closed.key


def test_a_ledger_does_not_go_on_with_a_key_that_nobody_named(closed: FeedRig) -> None:
    path = closed.where / f"{SITE}.key"
    path.unlink()
    generate(path)
    with Ledger(SITE, closed.where) as ledger, pytest.raises(KeyFileError, match="not the key"):
        KeyRing(path).settle(ledger)


def test_key_files_that_are_none_or_open_to_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_private(path).public == load_public(tmp_path / "a.key.pub")
    with pytest.raises(KeyFileError, match="already"):
        generate(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="0640"):
        load_private(path)
    (tmp_path / "none").write_text("no key")
    for load in (load_public, load_private):
        with pytest.raises(KeyFileError):
            load(tmp_path / "missing")
    with pytest.raises(KeyFileError):
        load_public(tmp_path / "none")
    (tmp_path / "hex").write_text(load_public(tmp_path / "a.key.pub").hex() + "\n")
    assert load_public(tmp_path / "hex") == load_public(tmp_path / "a.key.pub")


# ---- receipts


def receipt_of(rig: FeedRig, tenant: str, low: int, high: int) -> bytes:
    with Ledger(SITE, rig.where, read_only=True) as ledger:
        return make_receipt(ledger, tenant, BEGIN_S + low, BEGIN_S + high)


def test_a_receipt_proves_the_tenants_sums_and_shows_nothing_of_others(
    closed: FeedRig, tmp_path: Path
) -> None:
    path = tmp_path / "r.gz"
    path.write_bytes(receipt_of(closed, "acme", 5, 20))
    summary = stranger.verify_receipt(path, closed.key)
    with Ledger(SITE, closed.where, read_only=True) as ledger:
        rows = [row for row in ledger.rows(Kind.SECOND) if 5 <= row.utc_s - BEGIN_S < 20]
        salt_key = next(ledger.packs())[0]
    assert summary["seconds"] == len(rows) == 15
    cells = [cell for row in rows for cell in unpacked(row.parts[1])["cells"]]
    booked = summary["as_booked"]
    assert booked["energy_mj"] == sum(cell[2] for cell in cells)
    assert booked["carbon_ug"] == sum(cell[3] for cell in cells)
    assert summary["as_corrected"] == booked, "nothing was corrected"
    by_source, by_origin = booked["energy_mj_by_source"], summary["booked_mj_by_origin"]
    assert by_origin["pv through battery"] > 0
    assert sum(by_origin.values()) == booked["energy_mj"], "batteries split, nothing lost"
    assert by_origin["grid"] == by_source["grid"]
    text = gzip.decompress(path.read_bytes())
    import base64

    for row in rows:
        for other in (row.parts[0], row.parts[2]):
            assert base64.b64encode(other) not in text
    assert base64.b64encode(salt_key)[:40] not in text
    assert b"bolt" not in text


def test_origins_of_battery_energy_add_up_over_the_parts(closed: FeedRig) -> None:
    with Ledger(SITE, closed.where, read_only=True) as ledger:
        rows = list(ledger.rows(Kind.SECOND))
    for row in rows:
        site, *tenants = map(unpacked, row.parts)
        assert [len(each["through_mj"]) for each in tenants] == [2] * len(tenants)
        for at, delivered_mj in enumerate(site["delivered_mj"]):
            given = [each["through_mj"][each["through"].index(3 + at)] for each in tenants]
            left = [whole - sum(own) for whole, *own in zip(delivered_mj, *given, strict=True)]
            assert min(left) >= 0
            assert sum(left) == sum(cell[2] for cell in site["cells"] if cell[0] == 3 + at)
            for each, origins_mj in zip(tenants, given, strict=True):
                fed_mj = sum(cell[2] for cell in each["cells"] if cell[0] == 3 + at)
                assert sum(origins_mj) == fed_mj
                exact = fed_mj * delivered_mj[1] / sum(delivered_mj)
                assert abs(origins_mj[1] - exact) <= 4, "in the mixture of what was given"


def test_a_tenants_battery_energy_must_be_the_sum_of_its_origins() -> None:
    check = stranger.ReceiptCheck({"part": 1, "from_utc_s": 0, "to_utc_s": 9, "first": 0})
    own = {"cells": bytes([3, 0, 0, 0]), "energy_mj": integers([10, 5]), "through": bytes([3]),
           "through_mj": integers([1, 2, 3, 4])}  # fmt: skip
    check.origins(7, {"utc_s": 5}, own, ["grid", "pv", "unmetered", "BESS-01"])
    assert dict(check.origin_mj) == {
        "grid": 5, "grid through battery": 1, "pv through battery": 2,
        "generator through battery": 3, "battery, origin not known": 4,
    }  # fmt: skip
    with pytest.raises(stranger.BadError, match="not the sum of its origins"):
        check.origins(7, {"utc_s": 5}, own | {"through_mj": integers([1, 2, 3, 5])},
                      ["grid", "pv", "unmetered", "BESS-01"])  # fmt: skip


def altered(content: bytes, change: Any) -> bytes:
    document = json.loads(gzip.decompress(content))
    change(document)
    return gzip.compress(json.dumps(document).encode())


def drop(at: int) -> Any:
    return lambda document: document["records"].pop(at)


def hide(at: int) -> Any:
    def change(document: dict[str, Any]) -> None:
        import base64
        import hashlib

        shown = document["records"][at]
        head, own = (base64.b64decode(shown[name]) for name in ("head", "commitments"))
        leaf = hashlib.sha256(b"\0" + head + own).digest()
        document["records"][at] = {"leaf": base64.b64encode(leaf).decode()}

    return change


@pytest.mark.parametrize(
    "change",
    [
        drop(8), drop(-1), hide(8),
        lambda d: d["records"][8].update(part=d["records"][9]["part"]),
        lambda d: d["records"][8].update(salt=d["records"][9]["salt"]),
        lambda d: d["records"][8].pop("part"),
        lambda d: d["records"].insert(8, d["records"][8]),
        lambda d: d.update(part=2), lambda d: d.update(tenant="bolt"),
        lambda d: d.update(right="A" * 44), lambda d: d.update(first=d["first"] + 1),
        lambda d: d["head"].update(signature="00" * 64),
        lambda d: d.update(records=d["records"][:1]),
        lambda d: d.update(site="other"),
    ],
)  # fmt: skip
def test_an_altered_receipt_is_refused(closed: FeedRig, tmp_path: Path, change: Any) -> None:
    path = tmp_path / "r.gz"
    path.write_bytes(altered(receipt_of(closed, "acme", 2, 12), change))
    with pytest.raises(stranger.BadError):
        stranger.verify_receipt(path, closed.key)


def test_a_receipt_is_refused_for_strangers_other_times_and_what_is_not_signed(
    rig: FeedRig,
) -> None:
    with pytest.raises(ReceiptError, match=r"no tenant 'nobody'.*acme, bolt"):
        receipt_of(rig, "nobody", 0, 5)
    with pytest.raises(ReceiptError, match="has no second"):
        receipt_of(rig, "acme", 5_000, 6_000)
    with pytest.raises(ReceiptError, match="not under a signed head"):
        receipt_of(rig, "acme", 0, 29)


def test_tenants_that_change_places_never_get_each_others_part(
    closed: FeedRig, tmp_path: Path
) -> None:
    """A site file with another order of tenants: part 1 is somebody else's from there on."""
    swapped = FeedRig(closed.where, UTC_NS + 30 * 10**9, TENANTS[::-1])
    swapped.run(20)
    swapped.feed.close()
    with pytest.raises(ReceiptError, match=r"tenants changed at .*bolt, acme"):
        receipt_of(closed, "acme", 20, 40)
    for low, high in ((20, 29), (33, 45)):
        path = tmp_path / "r.gz"
        path.write_bytes(receipt_of(closed, "acme", low, high))
        assert stranger.verify_receipt(path, closed.key)["seconds"] == high - low


def test_carbon_per_unit_of_compute_names_its_counter(rig: FeedRig, tmp_path: Path) -> None:
    for value in (1_000, 4_000):
        assert rig.feed.count(Count("acme", "tokens", value, "token", "scheduler-1", UTC_NS))
        rig.feed._counts_due_s = 0.0
        rig.run(3)
    assert not rig.feed.count(Count("nobody", "tokens", 1, "token", "x", UTC_NS))
    assert rig.log.names.count("ledger.counter_refused") == 1
    rig.feed.close()
    path = tmp_path / "r.gz"
    path.write_bytes(receipt_of(rig, "acme", 10, 36))
    (counter,) = stranger.verify_receipt(path, rig.key)["counters"]
    assert (counter["source"], counter["unit"], counter["count"]) == ("scheduler-1", "token", 3000)
    path.write_bytes(receipt_of(rig, "bolt", 10, 36))
    assert stranger.verify_receipt(path, rig.key)["counters"] == []
    assert b"scheduler-1" not in gzip.decompress(path.read_bytes())


# ---- the commands


def command(verb: str, *words: str | Path) -> Any:
    return CliRunner().invoke(command_line(verb), [verb, *map(str, words)])


def test_verify_exits_0_1_or_2(closed: FeedRig, tmp_path: Path) -> None:
    key = closed.where / f"{SITE}.key.pub"
    good = command("verify", closed.where, "--key", key, "--json")
    assert good.exit_code == 0
    assert json.loads(good.stdout.splitlines()[-1])["good"] is True
    witness = tmp_path / "last.head.json"
    witness.write_bytes(closed.heads[-1].document())
    assert command("verify", closed.where, "--key", key, "--head", witness).exit_code == 0
    (tmp_path / "other.key.pub").write_text("ab" * 32)
    bad = command("verify", closed.where, "--key", tmp_path / "other.key.pub", "--json")
    assert bad.exit_code == 1
    assert json.loads(bad.stdout.splitlines()[-1])["bad_seq"] == 0
    no_ledger = tmp_path / "no.sqlite"
    no_ledger.write_bytes(b"not a database" * 400)
    for words in ((tmp_path / "nothing",), (no_ledger,), (closed.where, "--key", no_ledger),
                  (closed.where, "--head", no_ledger)):  # fmt: skip
        assert command("verify", *words).exit_code == 2, words


def test_the_stand_alone_verifier_exits_0_1_or_2(closed: FeedRig, root: Path) -> None:
    key = closed.where / f"{SITE}.key.pub"

    def run(*words: str | Path) -> int:
        script = root / "tools" / "verify_ledger.py"
        return subprocess.run(
            [sys.executable, script, *words], check=False, capture_output=True
        ).returncode

    (closed.where / "r.gz").write_bytes(receipt_of(closed, "bolt", 3, 9))
    assert run(closed.where, "--key", key) == 0
    assert run("receipt", closed.where / "r.gz", "--key", key) == 0
    assert run("receipt", key, "--key", key) == 2
    assert run(key, "--key", key) == 2
    seal_path(closed.where / MONTH).unlink()
    assert run(closed.where, "--key", key) == 1


def test_the_stand_alone_verifier_imports_nothing_of_edgectl(root: Path) -> None:
    import ast

    tree = ast.parse((root / "tools" / "verify_ledger.py").read_text())
    used = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
            for alias in node.names}  # fmt: skip
    used |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {name.split(".")[0] for name in used} - set(sys.stdlib_module_names)
    assert foreign == {"cryptography"}


def test_the_receipt_command_writes_what_the_verifier_takes(closed: FeedRig) -> None:
    low, high = (datetime.fromtimestamp(BEGIN_S + at, UTC).isoformat() for at in (3, 9))
    output = closed.where / "r.gz"
    words = ("--ledger", closed.where, "--from", low, "--to", high, "-o", output)
    assert command("receipt", "--tenant", "acme", *words).exit_code == 0
    assert stranger.verify_receipt(output, closed.key)["seconds"] == 6
    for tenant, wrong in (("nobody", words), ("acme", (*words[:3], "yesterday", *words[4:]))):
        found = command("receipt", "--tenant", tenant, *wrong)
        assert isinstance(found.exception, EdgectlError)
        assert found.exception.exit_code == 2


@pytest.mark.parametrize("content", [b"", b"{}", b'{"head": 1, "signature": "00"}', b"[]"])
def test_what_is_no_head_is_refused(content: bytes) -> None:
    with pytest.raises(HeadError):
        parse_document(content)


def test_a_place_without_a_ledger_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger here"):
        verify(tmp_path)
