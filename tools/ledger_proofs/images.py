"""What may lie on the disk after a crash, from a record of what was written and synced.

A disk keeps what was synced. Of what was written since it keeps any part, in any order, and of one
write any sectors. A new name is there for sure once the directory was synced.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger_proofs.recorder import Op

SECTOR = 512
SUBSETS_ALL = 6  # so many writes at most are left out in every combination

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Image:
    """Files after a crash, and how many records had been acknowledged before it."""

    files: Files
    acknowledged: int
    what: str


@dataclass(slots=True)
class _Disk:
    """What is surely there, and what was done since."""

    durable: Files = field(default_factory=dict)
    pending: dict[str, list[Op]] = field(default_factory=dict)
    acknowledged: int = 0

    def take(self, op: Op) -> None:
        """The next step."""
        if op.kind == "acknowledged":
            self.acknowledged = op.number
        elif op.kind == "sync":
            self.durable[op.file] = applied(
                self.durable.get(op.file), self.pending.pop(op.file, [])
            )
        elif op.kind == "names_synced":
            for name in [each for each in self.pending if self.pending[each][0].kind == "replace"]:
                self.durable[name] = self.pending.pop(name)[-1].content
        elif op.kind == "delete":
            # SQLite syncs the directory after a log or journal is deleted: treated as done.
            self.durable.pop(op.file, None)
            self.pending.pop(op.file, None)
        else:
            self.pending.setdefault(op.file, []).append(op)

    def image(self, chosen: dict[str, list[Op]], what: str) -> Image:
        """With these of the pending steps done."""
        files = dict(self.durable)
        for name, ops in chosen.items():
            if ops:
                files[name] = applied(files.get(name), ops)
        return Image(files, self.acknowledged, what)


def applied(content: bytes | None, ops: list[Op]) -> bytes:
    """A file after some steps."""
    made = bytearray(content or b"")
    for op in ops:
        if op.kind == "cut":
            del made[op.number :]
            made += bytes(op.number - len(made))
        elif op.kind == "replace":
            made = bytearray(op.content)
        else:
            made += bytes(max(0, op.offset - len(made)))
            made[op.offset : op.offset + len(op.content)] = op.content
    return bytes(made)


def images(ops: list[Op], dice: random.Random, around_each: int) -> Iterator[Image]:
    """Images around every step: all of it, none, each prefix, subsets, torn writes.

    around_each   how many at random beside those that are always made
    """
    disk = _Disk()
    for at, op in enumerate(ops):
        disk.take(op)
        pending = {name: list(steps) for name, steps in disk.pending.items() if steps}
        yield disk.image(pending, f"step {at}: killed")
        if not pending:
            continue
        yield disk.image({}, f"step {at}: nothing since the last sync")
        yield from _subsets(disk, pending, at)
        for _ in range(around_each):
            yield _at_random(disk, pending, dice, at)


def _subsets(disk: _Disk, pending: dict[str, list[Op]], at: int) -> Iterator[Image]:
    """Of few steps every subset, of many each prefix and each one left out."""
    flat = [(name, op) for name, steps in pending.items() for op in steps]
    if len(flat) <= SUBSETS_ALL:
        masks = range(1, (1 << len(flat)) - 1)
        chosen = [[flat[bit] for bit in range(len(flat)) if mask >> bit & 1] for mask in masks]
    else:
        chosen = [flat[:end] for end in range(1, len(flat))]
        chosen += [flat[:out] + flat[out + 1 :] for out in range(len(flat))]
    for number, steps in enumerate(chosen):
        yield disk.image(_by_file(steps), f"step {at}: subset {number}")


def _at_random(disk: _Disk, pending: dict[str, list[Op]], dice: random.Random, at: int) -> Image:
    """Some steps at random, and one or more of the writes torn at a sector."""
    chosen: list[tuple[str, Op]] = []
    for name, steps in pending.items():
        for op in steps:
            if dice.random() < 0.3:
                continue
            if op.kind == "write" and dice.random() < 0.5:
                chosen += [(name, part) for part in _torn(op, dice)]
            else:
                chosen.append((name, op))
    return disk.image(_by_file(chosen), f"step {at}: torn at random")


def _torn(op: Op, dice: random.Random) -> list[Op]:
    """Some sectors of one write."""
    parts, low = [], 0
    while low < len(op.content):
        high = min(len(op.content), low + SECTOR - (op.offset + low) % SECTOR)
        if dice.random() < 0.6:
            parts.append(Op("write", op.file, op.offset + low, op.content[low:high]))
        low = high
    return parts


def _by_file(steps: list[tuple[str, Op]]) -> dict[str, list[Op]]:
    found: dict[str, list[Op]] = {}
    for name, op in steps:
        found.setdefault(name, []).append(op)
    return found
