"""Kill the ledger's writer at any moment, and take the power away at any step: `tools/crash`.

First a real writer is killed with SIGKILL at random instants, over and over, each going on where
the one before was cut off. What it had acknowledged through a pipe must be there, once, and the
ledger must verify as it was left. Then every write, cut and sync of a run is recorded, and from
the record come the images of the disk that a power failure could leave: at every step, with any
part of what was not synced, in any order, torn at sectors. The ledger is opened on each.
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from edgectl.cli.bench_ledger import SITE
from edgectl.errors import EdgectlError
from edgectl.ledger import Cursor, Entry, Kind, Ledger, Row
from edgectl.ledger.clock import ClockState
from edgectl.ledger.signing import KeyRing
from ledger_proofs.images import Image, images
from ledger_proofs.recorder import Recorder
from ledger_proofs.victim import found_by_us

BOOT = 1
BEGIN_S = 1_769_903_990  # ten seconds before a month ends
NOW = ClockState(BEGIN_S * 10**9, "unknown", None)
KILLS_A_LEDGER = 50
WORKS_S = 10.0  # to the first commit, on a busy machine
PART_BYTES = 150
RECORDS_PER_RUN = 36
BATCH = 200  # images a task


@dataclass(slots=True)
class Tally:
    """What happened, over all."""

    images: int = 0
    kills: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicates: int = 0
    silent_corruption: int = 0
    unopened: int = 0
    false_alarms: int = 0  # a crash taken for tampering
    first: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Sum up."""
        for name in ("images", "kills", "acknowledged", "lost", "duplicates",
                     "silent_corruption", "unopened", "false_alarms"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first = (self.first + other.first)[:10]


def entry(number: int) -> Entry:
    """Record of a number: its content follows from it, so that a wrong one is known."""
    part = random.Random(number).randbytes(PART_BYTES)
    public = {"scans": 1, "gap_scans": 0, "number": number}
    row = Row(Kind.SECOND, BOOT, BEGIN_S + number, number, number, public, (part,), "unknown")
    return row, Cursor(BOOT, number + 1, number, (BEGIN_S + number) * 10**9)


def judge(ledger: Ledger, acknowledged: int, what: str) -> Tally:
    """Hold what an opened ledger has against what it must have."""
    tally = Tally(acknowledged=acknowledged)
    rows = list(ledger.rows())
    numbers = [row.public.get("number") for row in rows]
    tally.lost = len(set(range(acknowledged)) - set(numbers))
    tally.duplicates = len(numbers) - len(set(numbers))
    for at, row in enumerate(rows):
        expected, _ = entry(at)
        same = (row.public, row.parts, row.utc_s) == (
            expected.public, expected.parts, expected.utc_s
        )  # fmt: skip
        tally.silent_corruption += not same
    cursor = ledger.cursor(BOOT)
    reached = cursor.next_seq if cursor else 0
    tally.silent_corruption += reached != len(rows) or ledger.next_seq != len(rows)
    tally.false_alarms = len(ledger.altered)
    if tally.lost or tally.duplicates or tally.silent_corruption or tally.false_alarms:
        tally.first.append(f"{what}: {len(rows)} records, {acknowledged} acknowledged, cursor "
                           f"{reached}, {ledger.altered[:2]}")  # fmt: skip
    return tally


# ---- killed


def write_until_killed(directory: Path, pipe: int, dice: random.Random) -> None:
    """What the services do, in small steps, telling the pipe what is safe."""
    with Ledger(SITE, directory) as ledger:
        ring = KeyRing(directory / f"{SITE}.key")
        ring.settle(ledger)
        ring.sign(ledger, "start", NOW)
        while True:
            start = ledger.next_seq
            ledger.append([entry(start + at) for at in range(dice.choice((1, 1, 1, 2, 30)))])
            os.write(pipe, ledger.next_seq.to_bytes(8, "big"))
            if dice.random() < 0.15:
                ring.sign(ledger, "interval", NOW)


def kill_once(directory: Path, dice: random.Random) -> int:
    """One life of a writer; what it acknowledged last."""
    reading, writing = os.pipe()
    seed = dice.randrange(2**31)
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            write_until_killed(directory, writing, random.Random(seed))
        finally:
            os._exit(1)
    os.close(writing)
    if dice.random() < 0.8:  # else it may die before it has opened anything
        select.select([reading], [], [], WORKS_S)
    time.sleep(dice.uniform(0.0, 0.06))
    if os.waitpid(child, os.WNOHANG) != (0, 0):
        raise AssertionError("the writer ended by itself")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = b""
    while chunk := os.read(reading, 1 << 16):
        told += chunk
    os.close(reading)
    return int.from_bytes(told[-8:], "big") if told else 0


def kills(count: int, seed: int, room: Path) -> Tally:
    """So many kills, in series of one ledger each."""
    tally, dice = Tally(), random.Random(seed)
    for series in range(-(-count // KILLS_A_LEDGER)):
        directory, acknowledged = room / f"killed-{series}", 0
        directory.mkdir()
        for _ in range(min(KILLS_A_LEDGER, count - tally.kills)):
            acknowledged = max(acknowledged, kill_once(directory, dice))
            tally.kills += 1
            key = directory / f"{SITE}.key"
            if not list(directory.glob("*.sqlite")) or not key.exists():
                continue
            with Ledger(SITE, directory) as ledger:
                KeyRing(key).settle(ledger)
                tally.add(judge(ledger, acknowledged, f"kill {tally.kills}"))
                KeyRing(key).sign(ledger, "start", NOW)
                signed = ledger.last_head is not None
            verdict = found_by_us(directory, KeyRing(key).signer.public) if signed else None
            if verdict is not None:
                tally.silent_corruption += 1
                tally.first.append(f"kill {tally.kills}: {verdict}")
        shutil.rmtree(directory)
    return tally


# ---- without power


def recorded(directory: Path, seed: int) -> Recorder:
    """A run of the ledger over the end of a month, with heads, on the remembering layer."""
    recorder, dice = Recorder(), random.Random(seed)
    with Ledger(
        SITE, directory, connect=recorder.connect, write_file=recorder.write_file
    ) as ledger:
        ring = KeyRing(directory / f"{SITE}.key")
        ring.settle(ledger)
        while ledger.next_seq < RECORDS_PER_RUN:
            start = ledger.next_seq
            ledger.append([entry(start + at) for at in range(dice.choice((1, 1, 2, 3)))])
            recorder.acknowledge(ledger.next_seq)
            if dice.random() < 0.2:
                ring.sign(ledger, "interval", NOW)
    return recorder


def open_images(work: tuple[list[Image], str]) -> Tally:
    """Open the ledger on each of these images."""
    batch, room = work
    tally = Tally()
    for image in batch:
        tally.images += 1
        with tempfile.TemporaryDirectory(dir=room) as name:
            directory = Path(name)
            for file, content in image.files.items():
                (directory / file).write_bytes(content)
            try:
                with Ledger(SITE, directory) as ledger:
                    tally.add(judge(ledger, image.acknowledged, image.what))
            except EdgectlError as error:
                tally.unopened += 1
                tally.lost += image.acknowledged
                tally.first = [*tally.first, f"{image.what}: {error.problem}"][:10]
    return tally


def powerless(wanted: int, seed: int, room: Path) -> Tally:
    """So many images, of as many runs as it takes."""
    tally, made = Tally(), 0

    def batches() -> Iterator[list[Image]]:
        nonlocal made
        run = 0
        while made < wanted:
            directory = room / f"recorded-{run}"
            recorder = recorded(directory, seed + run)
            shutil.rmtree(directory)
            found = images(recorder.ops, random.Random(seed + run), around_each=24)
            while batch := list(islice(found, min(BATCH, wanted - made))):
                made += len(batch)
                yield batch
                if made >= wanted:
                    return
            run += 1

    with ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = []
        for batch in batches():
            waiting.append(pool.submit(open_images, (batch, str(room))))
            if len(waiting) > 8:
                tally.add(waiting.pop(0).result())
        for each in waiting:
            tally.add(each.result())
    return tally


def run(kill_count: int, image_count: int, seed: int, room: Path) -> dict[str, Any]:
    """Both, with figures."""
    start_s = time.monotonic()
    killed = kills(kill_count, seed, room)
    dark = powerless(image_count, seed, room)
    both = Tally()
    both.add(killed)
    both.add(dark)
    return {
        "images": both.images,
        "kills": both.kills,
        "lost": both.lost,
        "duplicates": both.duplicates,
        "silent_corruption": both.silent_corruption,
        "unopened": both.unopened,
        "false_alarms": both.false_alarms,
        "acknowledged_checked": both.acknowledged,
        "first": both.first,
        "seed": seed,
        "seconds": round(time.monotonic() - start_s, 1),
    }


def main() -> int:
    """Command line; exit 1 where anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None  # the images need no disk
    with tempfile.TemporaryDirectory(prefix="edgectl-crash-", dir=place) as room:
        figures = run(asked.kills, asked.images, asked.seed, Path(room))
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name}: {value}")
    harm = ("lost", "duplicates", "silent_corruption", "unopened", "false_alarms")
    return 1 if any(figures[name] for name in harm) else 0


if __name__ == "__main__":
    raise SystemExit(main())
