"""Alter a ledger in every way and see whether it is found: `tools/tamper`.

Every single bit of every file of a ledger of 1 MiB is flipped: 8.4 million and some. To verify
8.4 million ledgers takes days, so each flip is judged by that step of the verifier which reads the
byte: a page's digest against the seal for the month's file, the whole reading of the seal for the
seal, the checks of its frames for a log. That the step and the whole verifier agree is tried on a
random sample of flips with both verifiers, complete. Then come the attacks of attacks.py.
"""

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgectl.cli.bench_ledger import SITE
from edgectl.ledger import Ledger
from edgectl.ledger.clock import ClockState
from edgectl.ledger.keys import load_private
from edgectl.ledger.seal import (
    DIGEST_BYTES,
    PAGE_BYTES,
    SealError,
    page_digest,
    parse_log,
    parse_seal,
    read_log,
    seal_path,
    wal_path,
)
from edgectl.ledger.signing import KeyRing
from edgectl.ledger.verify import verify
from ledger_proofs.attacks import Victim, attacks
from ledger_proofs.victim import (
    entries_of,
    found_by_a_stranger,
    found_by_us,
    month_file,
    write_ledger,
)

RECORDS_PER_MIB = 4_000  # and some
LOG_RECORDS = 5
SAMPLE, STRANGER_SAMPLE = 300, 60


@dataclass(slots=True)
class Count:
    """What was tried of one kind, and found."""

    tried: int = 0
    found: int = 0
    missed: list[str] = field(default_factory=list)

    def add(self, found: bool, what: str) -> None:
        """Count one."""
        self.tried += 1
        self.found += found
        if not found and len(self.missed) < 20:
            self.missed.append(what)


def flip_pages(work: tuple[bytes, int, bytes]) -> tuple[int, int]:
    """Flip every bit of some pages.

    work   content, number of its first page from 0, digests of the whole seal
    """
    content, first, digests = work
    tried = found = 0
    for at in range(0, len(content), PAGE_BYTES):
        number = first + at // PAGE_BYTES
        sealed = digests[DIGEST_BYTES * number : DIGEST_BYTES * (number + 1)]
        page = bytearray(content[at : at + PAGE_BYTES])
        if page_digest(page) != sealed:
            raise AssertionError(f"page {number + 1} is not as sealed before it was touched")
        for place in range(len(page)):
            for bit in range(8):
                page[place] ^= 1 << bit
                found += page_digest(page) != sealed
                page[place] ^= 1 << bit
            tried += 8
    return tried, found


def flips_of_the_file(directory: Path) -> Count:
    """Every bit of the month's file."""
    path = month_file(directory)
    content, seal = path.read_bytes(), parse_seal(seal_path(path).read_bytes())
    step = 16 * PAGE_BYTES
    work = [(content[at : at + step], at // PAGE_BYTES, seal.digests)
            for at in range(0, len(content), step)]  # fmt: skip
    count = Count()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for tried, found in pool.map(flip_pages, work):
            count.tried, count.found = count.tried + tried, count.found + found
    return count


def every_flip(content: bytes, found: Callable[[bytes], bool]) -> Count:
    """Every bit of some bytes, judged by a function."""
    count, altered = Count(), bytearray(content)
    for place in range(len(content)):
        for bit in range(8):
            altered[place] ^= 1 << bit
            count.add(found(bytes(altered)), f"byte {place}, bit {bit}")
            altered[place] ^= 1 << bit
    return count


def seal_found(content: bytes) -> bool:
    """Whether a seal's own reading finds that it was altered."""
    try:
        parse_seal(content)
    except SealError:
        return True
    return False


def log_found(content: bytes) -> bool:
    """Whether the reading of a log finds that not all of it is whole transactions."""
    log = parse_log(content)
    return log.end != log.length


def sampled(directory: Path, dice: random.Random, count: int, judge: Any, key: bytes) -> Count:
    """Random flips anywhere in a ledger's files, each judged by a whole verification.

    Left out are pages of the month's file that stand, newer, in the log of a killed
    writer: nothing reads them, and the next writer overwrites them.
    """
    found = Count()
    files = [path for path in (month_file(directory), seal_path(month_file(directory)),
                               wal_path(month_file(directory))) if path.exists()]  # fmt: skip
    sizes = [path.stat().st_size for path in files]
    superseded = read_log(files[0]).pages
    while found.tried < count:
        (path,) = dice.choices(files, sizes)
        place, bit = dice.randrange(path.stat().st_size), dice.randrange(8)
        if path == files[0] and place // PAGE_BYTES + 1 in superseded:
            # SQLite reads this page from the log, and writes it anew from there.
            continue
        with path.open("r+b") as file:
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ 1 << bit]))
        found.add(judge(directory, key) is not None, f"{path.name} byte {place}, bit {bit}")
        with path.open("r+b") as file:
            file.seek(place)
            file.write(bytes([byte]))
    if judge(directory, key) is not None:
        raise AssertionError("the ledger does not verify after the flips were undone")
    return found


def superseded_pages(directory: Path, key: bytes) -> Count:
    """Pages that the log supersedes, spoilt: the ledger must be the same, to its root."""
    path, count = month_file(directory), Count()
    content = path.read_bytes()
    (honest,) = verify(directory, key)
    for page in read_log(path).pages:
        low = (page - 1) * PAGE_BYTES
        if low >= len(content):
            continue
        spoilt = bytes(0xFF ^ each for each in content[low : low + PAGE_BYTES])
        path.write_bytes(content[:low] + spoilt + content[low + PAGE_BYTES :])
        (result,) = verify(directory, key)
        same = result.good and (result.root, result.records) == (honest.root, honest.records)
        count.add(same, f"page {page} of {path.name} is read though the log has it")
    path.write_bytes(content)
    return count


def crashed_ledger(directory: Path, entries: Any) -> bytes:
    """A copy of what a killed writer leaves: the log holds records since the last head."""
    live = directory.with_name("live")
    with Ledger(SITE, live) as ledger:
        ring = KeyRing(live / f"{SITE}.key")
        ring.settle(ledger)
        ledger.append(entries[:50])
        ring.sign(ledger, "interval", ClockState(0, "unknown", None))
        for entry in entries[50 : 50 + LOG_RECORDS]:
            ledger.append([entry])
        shutil.copytree(live, directory, ignore=shutil.ignore_patterns("*-shm"))
    return load_private(directory / f"{SITE}.key").public


def run(records: int, sample: int, stranger_sample: int, seed: int, room: Path) -> dict[str, Any]:
    """All of it; figures by kind."""
    start_s, dice = time.monotonic(), random.Random(seed)
    entries = entries_of(records)
    honest = room / "honest"
    heads = write_ledger(honest, entries, honest / f"{SITE}.key")
    key = load_private(honest / f"{SITE}.key").public
    for judge in (found_by_us, found_by_a_stranger):
        said = judge(honest, key, heads)
        if said is not None:
            raise AssertionError(f"the honest ledger does not verify: {said}")
    crashed = room / "crashed"
    crashed_key = crashed_ledger(crashed, entries)
    path = month_file(honest)
    counts = {
        "flips_of_file": flips_of_the_file(honest),
        "flips_of_seal": every_flip(seal_path(path).read_bytes(), seal_found),
        "flips_of_log": every_flip(wal_path(month_file(crashed)).read_bytes(), log_found),
        "flips_verified_whole": sampled(honest, dice, sample, found_by_us, key),
        "flips_verified_stand_alone": sampled(
            honest, dice, stranger_sample, found_by_a_stranger, key
        ),
        "flips_of_crashed_verified_whole": sampled(crashed, dice, sample, found_by_us, crashed_key),
        "flips_of_crashed_verified_stand_alone": sampled(
            crashed, dice, stranger_sample, found_by_a_stranger, crashed_key
        ),
        "superseded_pages_without_effect": superseded_pages(crashed, crashed_key),
        "attacks": Count(),
    }
    verdicts = {}
    for attack in attacks(Victim(honest, entries, heads, load_private(honest / f"{SITE}.key")),
                          room):  # fmt: skip
        verdicts[attack.name] = attack.verdicts()
        for verifier, verdict in verdicts[attack.name].items():
            counts["attacks"].add(verdict is not None, f"{attack.name} ({verifier})")
    return {
        "tried": sum(each.tried for each in counts.values()),
        "found": sum(each.found for each in counts.values()),
        "missed": [what for each in counts.values() for what in each.missed],
        "ledger_bytes": path.stat().st_size,
        "records": records,
        "seconds": round(time.monotonic() - start_s, 1),
        "kinds": {name: {"tried": each.tried, "found": each.found}
                  for name, each in counts.items()},
        "attacks": verdicts,
    }  # fmt: skip


def main() -> int:
    """Command line; exit 1 where something was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--records", type=int, default=RECORDS_PER_MIB, help="of the ledger")
    parser.add_argument("--sample", type=int, default=SAMPLE, help="flips verified whole")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgectl-tamper-") as room:
        figures = run(asked.records, asked.sample, min(asked.sample, STRANGER_SAMPLE), asked.seed,
                      Path(room))  # fmt: skip
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, verdict in figures["attacks"].items():
            print(f"{name}: {verdict['edgectl'] or 'NOT FOUND'}")
        for name, kind in figures["kinds"].items():
            print(f"{name}: {kind['found']} of {kind['tried']} found")
    return 0 if figures["tried"] == figures["found"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
