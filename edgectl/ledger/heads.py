"""Signed tree heads: what the ledger was, at a moment, said so that it cannot be unsaid.

A head is a JSON object, its exact bytes, and an Ed25519 signature over FORMAT, a line feed and
these bytes. Each names the hash of the head before it, so heads are a chain; a change of key is a
head that the old key signed and that names the new one. A copy kept elsewhere, by a broker, a
witness or a customer, pins everything before it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgectl.ledger.keys import PUBLIC_BYTES, Signer, key_id, verifies

FORMAT = "edgectl.head/1"
SIGNATURE_BYTES = 64
REASONS = ("start", "interval", "stop", "month", "key", "asked")


class HeadError(ValueError):
    """Bytes that are no head, with what is wrong."""


@dataclass(frozen=True, slots=True)
class TreeHead:
    """One head, its exact bytes, and their signature."""

    body: bytes
    signature: bytes
    number: int  # heads of the ledger are counted from 0
    site: str
    size: int
    root: bytes
    utc_ns: int
    clock: str
    reason: str
    key: bytes
    previous: bytes | None  # hash of the head before it
    next_key: bytes | None  # signs from the next head on

    @property
    def hash(self) -> bytes:
        """By which the next head names this one: over body and signature."""
        return hashlib.sha256(self.body + self.signature).digest()

    @property
    def signed(self) -> bool:
        """Whether the signature is that of the key it names. Says nothing of whose key it is."""
        return verifies(self.key, self.signature, signed_bytes(self.body))

    def document(self) -> bytes:
        """As it is published, kept by witnesses and given to --head."""
        return json.dumps({"head": self.body.decode(), "signature": self.signature.hex()}).encode()


def signed_bytes(body: bytes) -> bytes:
    """What the signature of a head is over."""
    return FORMAT.encode() + b"\n" + body


def canonical_json(content: dict[str, Any]) -> bytes:
    """Keys sorted, no blanks: the form in which heads and seals are signed."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def make_head(
    signer: Signer, site: str, size: int, root: bytes, utc_ns: int, clock: str, reason: str,
    previous: TreeHead | None, next_key: bytes | None = None,
) -> TreeHead:  # fmt: skip
    """Sign a head.

    size, root    of the tree
    utc_ns        now, and clock says what that is worth
    previous      the head before it, None for the first
    next_key      public key that signs from the next head on, if this one hands over
    """
    body = canonical_json(
        {
            "format": FORMAT,
            "number": previous.number + 1 if previous else 0,
            "site": site,
            "size": size,
            "root": root.hex(),
            "utc_ns": utc_ns,
            "clock": clock,
            "reason": reason,
            "key": signer.public.hex(),
            "key_id": key_id(signer.public),
            "previous": previous.hash.hex() if previous else None,
            "next_key": next_key.hex() if next_key else None,
        }
    )
    return parse_head(body, signer.sign(signed_bytes(body)))


def parse_head(body: bytes, signature: bytes) -> TreeHead:
    """Read a head. Raises HeadError where it is none; the signature is not checked here."""
    try:
        content = json.loads(body)
        if not isinstance(content, dict) or content["format"] != FORMAT:
            raise HeadError(f"it is not of the form {FORMAT}")
        previous, next_key = content["previous"], content["next_key"]
        head = TreeHead(
            body, signature, int(content["number"]), str(content["site"]), int(content["size"]),
            bytes.fromhex(content["root"]), int(content["utc_ns"]), str(content["clock"]),
            str(content["reason"]), bytes.fromhex(content["key"]),
            bytes.fromhex(previous) if previous else None,
            bytes.fromhex(next_key) if next_key else None,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise HeadError(f"it cannot be read: {error}") from error
    if len(signature) != SIGNATURE_BYTES or len(head.key) != PUBLIC_BYTES or head.size < 0:
        raise HeadError("a number, a key or the signature has the wrong length")
    return head


def parse_document(content: bytes) -> TreeHead:
    """Read a head as document() wrote it. Raises HeadError."""
    try:
        outer = json.loads(content)
        body, signature = str(outer["head"]).encode(), bytes.fromhex(outer["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise HeadError(f"it is no published head: {error}") from error
    return parse_head(body, signature)


def chain_fault(before: TreeHead | None, head: TreeHead) -> str | None:
    """What is wrong with a head that follows another; None where nothing is."""
    if not head.signed:
        return f"the signature of head {head.number} does not fit its bytes"
    if before is None:
        return None if head.number == 0 else f"head {head.number} has none before it"
    if head.number != before.number + 1 or head.previous != before.hash:
        return f"head {head.number} does not follow head {before.number}"
    if head.size < before.size:
        return f"head {head.number} has {head.size} records, fewer than {before.size} before it"
    expected = before.next_key or before.key
    if head.key != expected:
        return (
            f"head {head.number} is signed by key {key_id(head.key)}, "
            f"not by {key_id(expected)} as the head before it says"
        )
    return None


def trusted(heads: Sequence[TreeHead], pinned: bytes) -> bool:
    """Whether a chain without faults is the pinned key's: it signed one of its heads.

    Heads after that are signed by it or by those it handed over to; heads before it
    are named, by hash, in the one it signed. Being named as next key proves nothing.
    """
    return any(head.key == pinned for head in heads)
