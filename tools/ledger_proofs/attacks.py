"""Attacks on a ledger's content by somebody who knows its format as well as we do."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgectl.ledger.heads import TreeHead
from edgectl.ledger.keys import Signer, generate, load_private
from edgectl.ledger.merkle import Frontier
from edgectl.ledger.month import Pack, read_meta, read_packs
from edgectl.ledger.record import CHECK_BYTES, Codec, Stored, decode, encode, leaves_of
from edgectl.ledger.rows import Entry
from edgectl.ledger.seal import PAGE_BYTES, seal_path
from ledger_proofs.victim import (
    altered,
    found_by_a_stranger,
    found_by_us,
    month_file,
    reseal,
    write_ledger,
)

Edit = Callable[[list[Stored]], list[Stored]]


@dataclass(frozen=True, slots=True)
class Victim:
    """The honest ledger, its records, its heads and its key."""

    directory: Path
    entries: list[Entry]
    heads: list[TreeHead]
    signer: Signer


@dataclass(frozen=True, slots=True)
class Attack:
    """One altered copy, and what both verifiers were given to hold against it."""

    name: str
    directory: Path
    key: bytes
    pinned: tuple[TreeHead, ...] = ()

    def verdicts(self) -> dict[str, str | None]:
        """What each verifier found; None: nothing."""
        return {
            "edgectl": found_by_us(self.directory, self.key, self.pinned),
            "stand_alone": found_by_a_stranger(self.directory, self.key, self.pinned),
        }


def attacks(victim: Victim, room: Path) -> Iterator[Attack]:
    """Every attack, each on a copy of its own that is gone when the next is made."""
    for make in (_edits, _tables, _files, _rewritten):
        for attack in make(victim, room):
            yield attack
            shutil.rmtree(attack.directory)


def _copy(victim: Victim, room: Path, name: str) -> Path:
    directory = room / name.replace(" ", "-").replace(",", "")
    shutil.copytree(victim.directory, directory)
    return directory


def _edits(victim: Victim, room: Path) -> Iterator[Attack]:
    """Records altered with every check beside them made anew, with and without a new seal.

    The seal here is made with the ledger's own key, which no attacker has: so it is the
    tree, not the seal, that has to find these.
    """
    middle = 777
    edits: dict[str, Edit] = {
        "a byte of a part": lambda all_: _changed(all_, middle, part=True),
        "a byte of a head": lambda all_: _changed(all_, middle, part=False),
        "a record removed": lambda all_: all_[:middle] + all_[middle + 1 :],
        "the last record removed": lambda all_: all_[:-1],
        "the first record removed": lambda all_: all_[1:],
        "two records exchanged": lambda all_: [
            *all_[:middle], all_[middle + 1], all_[middle], *all_[middle + 2 :]
        ],
        "a record twice": lambda all_: [*all_[:middle], all_[middle], *all_[middle:]],
        "records of another day spliced in": lambda all_: [
            *all_[:middle], *all_[100:120], *all_[middle + 20 :]
        ],
    }  # fmt: skip
    for name, edit in edits.items():
        for sealed in (False, True):
            directory = _copy(victim, room, f"{name} {'sealed' if sealed else ''}")
            rewrite(month_file(directory), edit)
            if sealed:
                reseal(directory, victim.signer)
            yield Attack(f"{name}{', sealed anew' if sealed else ''}", directory,
                         victim.signer.public)  # fmt: skip


def _changed(records: list[Stored], at: int, *, part: bool) -> list[Stored]:
    record = records[at]
    if part:
        own = bytearray(record.parts[1])
        own[-3] ^= 1
        record = replace(record, parts=(record.parts[0], bytes(own), *record.parts[2:]))
    else:
        head = bytearray(record.head)
        head[head.index(b"utc_s") + 7] ^= 1
        record = replace(record, head=bytes(head))
    return [*records[:at], record, *records[at + 1 :]]


def rewrite(path: Path, edit: Edit) -> None:
    """Put edited records in place of the old, with fitting checks, roots and counts."""
    connection = sqlite3.connect(path)
    meta, packs = read_meta(connection), list(read_packs(connection))
    records = edit([each for pack in packs for each in decode(pack.body)])
    leaves = leaves_of(meta.salt_key, meta.first_seq, records)
    records = [replace(each, check=leaf[:CHECK_BYTES])
               for each, leaf in zip(records, leaves, strict=True)]  # fmt: skip
    tree = Frontier()
    connection.execute("DELETE FROM pack")
    for start in range(0, len(records), packs[0].count):
        part = records[start : start + packs[0].count]
        tree.add(leaves[start : start + len(part)])
        fresh = Pack(start, len(part), len(part), packs[0].utc_s, tree.root(),
                     encode(part, Codec.DENSE))  # fmt: skip
        connection.execute(
            "INSERT INTO pack VALUES (?, ?, ?, ?, ?, ?)",
            (fresh.first_seq, fresh.count, fresh.seconds, fresh.utc_s, fresh.root, fresh.body),
        )
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _tables(victim: Victim, room: Path) -> Iterator[Attack]:
    """Rows removed or exchanged in the tables, sealed anew with the ledger's own key."""
    statements = {
        "the last pack removed": "DELETE FROM pack WHERE first_seq ="
        " (SELECT max(first_seq) FROM pack)",
        "a pack in the middle removed": "DELETE FROM pack WHERE first_seq ="
        " (SELECT first_seq FROM pack ORDER BY first_seq LIMIT 1 OFFSET 1)",
        "two packs' contents exchanged": "UPDATE pack SET body = (SELECT body FROM pack p WHERE"
        " p.first_seq != pack.first_seq ORDER BY first_seq LIMIT 1) WHERE first_seq > 0",
        "a head in the middle removed": "DELETE FROM head WHERE number = 1",
        "a head's root exchanged": "UPDATE head SET body ="
        ' cast(replace(cast(body AS TEXT), \'"root":"\', \'"root":"00\') AS BLOB)'
        " WHERE number = 1",
        "a head's peaks exchanged": "UPDATE head SET frontier ="
        " zeroblob(length(frontier)) WHERE number = 1",
        "the salt key exchanged": "UPDATE meta SET value = zeroblob(32) WHERE name = 'salt_key'",
        "a trigger added": "CREATE TRIGGER t AFTER INSERT ON pack BEGIN SELECT 1; END",
        "a table turned into a view": "ALTER TABLE pack RENAME TO packs",
        "a count of seconds raised": "UPDATE pack SET seconds = seconds + 1 WHERE first_seq = 0",
    }
    for name, statement in statements.items():
        directory = _copy(victim, room, name)
        connection = sqlite3.connect(month_file(directory))
        connection.execute(statement)
        connection.commit()
        connection.close()
        reseal(directory, victim.signer)
        yield Attack(f"{name}, sealed anew", directory, victim.signer.public)


def _files(victim: Victim, room: Path) -> Iterator[Attack]:
    """Files cut, lengthened, exchanged or taken away."""
    size = month_file(victim.directory).stat().st_size
    cuts = {
        "cut inside a page": size - 1000, "cut at a page": size - PAGE_BYTES,
        "cut to one page": PAGE_BYTES, "cut to nothing": 0,
        "lengthened by a page": size + PAGE_BYTES, "lengthened by a byte": size + 1,
    }  # fmt: skip
    for name, length in cuts.items():
        directory = _copy(victim, room, name)
        with month_file(directory).open("r+b") as file:
            file.truncate(length)
        yield Attack(f"file {name}", directory, victim.signer.public)
    directory = _copy(victim, room, "no seal")
    seal_path(month_file(directory)).unlink()
    yield Attack("seal taken away", directory, victim.signer.public)
    directory = _copy(victim, room, "no file")
    month_file(directory).unlink()
    yield Attack("month's file taken away", directory, victim.signer.public)
    directory = _copy(victim, room, "foreign log")
    path = month_file(directory)
    path.with_name(f"{path.name}-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(5000))
    yield Attack("bytes laid beside it as a log", directory, victim.signer.public)


def _rewritten(victim: Victim, room: Path) -> Iterator[Attack]:
    """The whole ledger made anew: by a stranger, by the operator himself, or rolled back."""
    ours = victim.signer.public
    directory = room / "foreign-key"
    write_ledger(directory, victim.entries, room / "attacker.key")
    yield Attack("re-signed with another key", directory, ours)
    directory = room / "insider"
    forged = altered(victim.entries, 5)
    write_ledger(directory, forged, victim.directory / "bench.key")
    yield Attack("written anew with the ledger's own key, against a pinned head", directory, ours,
                 (victim.heads[-1],))  # fmt: skip
    directory = room / "rolled-back"
    write_ledger(directory, victim.entries[:-300], victim.directory / "bench.key")
    yield Attack("rolled back as a whole, against a pinned head", directory, ours,
                 (victim.heads[-1],))  # fmt: skip
    directory = _copy(victim, room, "stolen seal")
    stranger = room / "seal.key"
    signer = load_private(stranger) if stranger.exists() else generate(stranger)
    reseal(directory, signer)
    yield Attack("sealed anew with another key", directory, ours)
