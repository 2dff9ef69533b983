"""The work of a verification that can be shared out: packs to leaf hashes, record by record.

Statements that a meter was changed are signed for themselves; they are held against their
signatures here, where the records are at hand.
"""

from itertools import pairwise
from typing import Any

import msgpack
import numpy as np

from edgectl.ledger import month
from edgectl.ledger.keys import key_id
from edgectl.ledger.merkle import Subtree, cover
from edgectl.ledger.payload import Kind
from edgectl.ledger.record import CHECK_BYTES, PackError, Run, decode_runs, run_leaves
from edgectl.ledger.rows import row_of
from edgectl.ledger.swap import swap_of

INTEGER_BYTES = {0xCC: 1, 0xCD: 2, 0xCE: 4}  # of msgpack's unsigned integers, under 2^32


class BadError(Exception):
    """The first thing that is wrong."""

    def __init__(self, what: str, seq: int | None = None, utc_s: int | None = None) -> None:
        super().__init__(what)
        self.what, self.seq, self.utc_s = what, seq, utc_s


Task = tuple[bytes, list[month.Pack], list[int]]
Changed = dict[str, Any]  # what a record says of a meter that was changed
# first, end, subtrees, meters changed: one for each pack or cut
Answer = list[tuple[int, int, list[Subtree], list[Changed]]]


def digest_task(task: Task) -> Answer:
    """Leaf hashes of some packs, as aligned subtrees. Raises BadError for the first bad record.

    task    salt key, packs, sizes of the tree at which its root will be asked for
    """
    salt_key, packs, sizes = task
    answer: Answer = []
    for pack in packs:
        leaves: list[bytes] = []
        changed: list[Changed] = []
        try:
            seconds = 0
            for run in decode_runs(pack.body):
                first = pack.first_seq + len(leaves)
                found = run_leaves(salt_key, first, run.shape, run.rows)
                _hold_checks(found, run, first, pack.utc_s)
                seconds += _hold_heads(run, first)
                if b"\xa5meter" in run.rows:
                    changed += _changes(run)
                leaves += found
        except (PackError, ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
            at = pack.first_seq + len(leaves)
            raise BadError(f"it cannot be read: {error}", at, pack.utc_s) from error
        if len(leaves) != pack.count or seconds != pack.seconds:
            raise BadError(
                f"a pack of {pack.count} holds {len(leaves)}", pack.first_seq, pack.utc_s
            )
        cuts = [pack.first_seq, *(size for size in sizes if pack.first_seq < size <
                pack.first_seq + len(leaves)), pack.first_seq + len(leaves)]  # fmt: skip
        for low, high in pairwise(cuts):
            part = leaves[low - pack.first_seq : high - pack.first_seq]
            inside = [each for each in changed if low <= each["seq"] < high]
            answer.append((low, high, cover(low, part), inside))
    return answer


def _changes(run: Run) -> list[Changed]:
    """Meters that were changed, as these records say. Raises BadError for one nobody signed."""
    found: list[Changed] = []
    for stored in run.records():
        row = row_of(stored)
        if row.kind is not Kind.METER or row.public.get("what") != "swap":
            continue
        said = row.content()
        if not swap_of(said).signed:
            raise BadError(
                f"that {said['meter']} was changed is not signed by the key it names",
                row.seq, row.utc_s,
            )  # fmt: skip
        kept = ("meter", "at_utc_s", "by", "reason", "last_old_kwh", "first_new_kwh", "force",
                "outcome")  # fmt: skip
        key = key_id(bytes.fromhex(said["key"]))
        found.append({"seq": row.seq, "key_id": key} | {name: said[name] for name in kept})
    return found


def _hold_checks(leaves: list[bytes], run: Run, first: int, utc_s: int) -> None:
    if b"".join([leaf[:CHECK_BYTES] for leaf in leaves]) == run.checks:
        return
    for at, (leaf, stored) in enumerate(zip(leaves, run.records(), strict=True)):
        if leaf[:CHECK_BYTES] != stored.check:
            try:
                utc_s = row_of(stored).utc_s
            except PackError:
                utc_s += at  # what it says of itself cannot be read: a record a second
            raise BadError("it is not as it was written", first + at, utc_s)


def _hold_heads(run: Run, first: int) -> int:
    """Each record stands in its own place; how many of them are seconds."""
    width, head_bytes = sum(run.shape), run.shape[0]
    table = np.frombuffer(run.rows, np.uint8).reshape(-1, width)[:, :head_bytes]
    kind, seq = (_place(run.rows[:head_bytes], name) for name in (b"\xa4kind", b"\xa3seq"))
    if kind and seq and (table[:, kind] == table[0, kind]).all():
        weights = 256 ** np.arange(seq.stop - seq.start - 1, -1, -1, dtype=np.int64)
        numbers = table[:, seq].astype(np.int64) @ weights
        if (numbers == np.arange(first, first + len(run))).all():
            return len(run) * (run.rows[kind] == b"second")
    # Not all alike, or not as expected: one by one.
    seconds = 0
    for at in range(len(run)):
        head = msgpack.unpackb(run.rows[at * width : at * width + head_bytes])
        if head["seq"] != first + at:
            raise BadError(f"record {head['seq']} stands in its place", first + at, head["utc_s"])
        seconds += head["kind"] == "second"
    return seconds


def _place(head: bytes, key: bytes) -> slice | None:
    """Where the value of a key lies in a head: a short text, or an integer's own bytes."""
    at = head.find(key) + len(key)
    if at < len(key) or head.count(key) != 1 or at >= len(head):
        return None
    code = head[at]
    if code & 0xE0 == 0xA0:
        return slice(at + 1, at + 1 + (code & 0x1F))
    if code in INTEGER_BYTES:
        return slice(at + 1, at + 1 + INTEGER_BYTES[code])
    return slice(at, at + 1) if code < 0x80 else None
