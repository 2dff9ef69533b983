"""Records for a verifier to look at: chosen by a seed, whole, each with its proof of inclusion.

A verifier is shown what a tenant is not: all parts of a record with their salts. The sample is
therefore confidential between operator and verifier.
"""

import base64
import json
import random
from typing import Any

from edgectl.ledger import Kind, Ledger
from edgectl.ledger.merkle import inclusion_proof, verify_inclusion
from edgectl.ledger.record import decode, leaves_of, salt_run
from edgectl.ledger.rows import row_of
from edgectl.reports.words import iso

FORMAT = "edgectl.sample/1"
RECORD_FORMAT = "edgectl.record/1"
COUNT = 25


def sample(ledger: Ledger, from_s: int, to_s: int, seed: int, count: int = COUNT) -> dict[str, Any]:
    """Seconds of the period under a signed head, chosen at random, with their proofs.

    seed    of the choice: whoever knows it can repeat it
    count   how many, or all there are
    """
    heads = [each for each, _ in ledger.heads()]
    index = ledger.index()
    if not heads or not index or index[0][0] != 0:
        return _none(seed, "no signed head, or earlier months are not in this directory")
    head = heads[-1]
    leaves: list[bytes] = []
    seconds: list[int] = []
    for salt_key, pack in ledger.packs(0, head.size):
        records = decode(pack.body)
        leaves += leaves_of(salt_key, pack.first_seq, records)
        for seq, stored in enumerate(records, pack.first_seq):
            row = row_of(stored)
            if row.kind is Kind.SECOND and from_s <= row.utc_s < to_s and seq < head.size:
                seconds.append(seq)
    leaves = leaves[: head.size]
    chosen = sorted(random.Random(seed).sample(seconds, min(count, len(seconds))))
    return {
        "format": FORMAT, "seed": seed, "of": len(seconds), "head": head.document().decode(),
        "handovers": [json.loads(each.document()) for each in heads
                      if each.next_key is not None and each.number < head.number],
        "site": ledger.site, "size": head.size, "root": head.root.hex(),
        "records": [_shown(ledger, seq, leaves, head.root) for seq in chosen],
    }  # fmt: skip


def alone(found: dict[str, Any]) -> dict[str, bytes]:
    """Each sampled record as a file that tools/verify_ledger.py checks by itself, by name."""
    return {
        f"sample/record-{each['seq']:09d}.json": (json.dumps({
            "format": RECORD_FORMAT, "site": found["site"], "seq": each["seq"], "utc": each["utc"],
            "head": json.loads(found["head"]), "handovers": found["handovers"],
            "record": each["head"], "parts": each["parts"], "proof": each["proof"],
        }, indent=1) + "\n").encode()
        for each in found["records"]
    }  # fmt: skip


def _none(seed: int, why: str) -> dict[str, Any]:
    return {"format": FORMAT, "seed": seed, "of": 0, "records": [], "none_because": why}


def _shown(ledger: Ledger, seq: int, leaves: list[bytes], root: bytes) -> dict[str, Any]:
    salt_key, pack = next(iter(ledger.packs(seq, seq + 1)))
    stored = decode(pack.body)[seq - pack.first_seq]
    proof = inclusion_proof(leaves, seq)
    assert verify_inclusion(seq, len(leaves), leaves[seq], proof, root), "the ledger verifies"
    return {
        "seq": seq,
        "utc": iso(row_of(stored).utc_s),
        "head": _text(stored.head),
        "parts": [
            {"salt": _text(salt_run(salt_key, at, seq, 1)[0]), "part": _text(part)}
            for at, part in enumerate(stored.parts)
        ],
        "leaf": leaves[seq].hex(),
        "proof": [each.hex() for each in proof],
    }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
