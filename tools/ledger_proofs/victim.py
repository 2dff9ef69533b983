"""A ledger to be attacked, and an attacker who may write files but has no key, or has one."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import verify_ledger as stranger

from edgectl.cli.bench_ledger import HOUR_S, SITE, START_S, Campus
from edgectl.errors import EdgectlError
from edgectl.ledger import Ledger
from edgectl.ledger.clock import ClockState
from edgectl.ledger.heads import TreeHead
from edgectl.ledger.keys import Signer
from edgectl.ledger.month import read_heads
from edgectl.ledger.rows import Entry
from edgectl.ledger.seal import digests_of, make_seal, seal_path
from edgectl.ledger.signing import KeyRing
from edgectl.ledger.verify import verify

METERS = 40
HEAD_EVERY = 600  # records


def entries_of(count: int, seed: int = 1) -> list[Entry]:
    """So many seconds of the bench's campus."""
    campus = Campus(METERS, seed)
    made: list[Entry] = []
    while len(made) < count:
        made += campus.entries(START_S + len(made) // HOUR_S * HOUR_S)
    return made[:count]


def write_ledger(directory: Path, entries: Sequence[Entry], key: Path) -> list[TreeHead]:
    """A ledger of these records, with a head every HEAD_EVERY and one when it stops."""
    ring = KeyRing(key)
    with Ledger(SITE, directory) as ledger:
        ring.settle(ledger)
        for start in range(0, len(entries), HEAD_EVERY):
            part = entries[start : start + HEAD_EVERY]
            ledger.append(part)
            reached = part[-1][1]
            now_ns = reached.last_utc_ns if reached and reached.last_utc_ns else 0
            ring.sign(ledger, "interval", ClockState(now_ns, "synchronised", None))
        ring.sign(ledger, "stop", ClockState(now_ns, "synchronised", None))
        return [head for head, _ in ledger.heads()]


def altered(entries: Sequence[Entry], at: int) -> list[Entry]:
    """The same records, one of them with other energy in it."""
    row, reached = entries[at]
    part = bytearray(row.parts[0])
    part[part.index(b"energy_mj") + 20] ^= 0x10
    changed = replace(row, parts=(bytes(part), *row.parts[1:]))
    return [*entries[:at], (changed, reached), *entries[at + 1 :]]


def month_file(directory: Path) -> Path:
    """The one month of the victim."""
    (path,) = directory.glob(f"{SITE}-*.sqlite")
    return path


def reseal(directory: Path, signer: Signer) -> None:
    """Make a seal of whatever the file is now, with the last head it claims."""
    path = month_file(directory)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        heads = read_heads(connection)
    finally:
        connection.close()
    digests = b"".join(digests_of(path))
    seal_path(path).write_bytes(make_seal(signer, SITE, path.name, heads[-1][0].hash, digests))


def found_by_us(directory: Path, key: bytes, pinned: Sequence[TreeHead] = ()) -> str | None:
    """What edgectl verify says is wrong; None where it finds nothing."""
    try:
        (result,) = verify(directory, key, pinned)
    except EdgectlError as error:
        return f"could not be read: {error.problem}"
    if result.good:
        return None
    return f"{result.bad} (record {result.bad_seq})"


def found_by_a_stranger(directory: Path, key: bytes, pinned: Sequence[TreeHead] = ()) -> str | None:
    """What the stand-alone verifier says is wrong; None where it finds nothing."""
    try:
        heads = [stranger.Head(each.body, each.signature) for each in pinned]
        stranger.verify_ledger(directory, key, heads, live=False)
    except stranger.BadError as bad:
        return str(bad)
    except stranger.UnreadableError as error:
        return f"could not be read: {error}"
    return None
