"""A receipt: one tenant's records of some time, with all that is needed to prove them.

It begins with the last record before that names the tenant's loads, goes on to the first record
after the time asked for, and leaves nothing out between: of every record there is at least the
leaf's hash, of those in and around the time the head and the commitments of all parts, and of the
tenant's own part the salt and the bytes. Emission factors, which seconds name, are shown from the
beginning on. The hashes to the left and right complete the tree of a signed head. So the tenant can
prove what they were given, see that no second of theirs was left out, and learns nothing of other
tenants but how many there are.

A receipt is gzipped JSON: tools/verify_ledger.py checks it, `zcat | jq` shows it.
"""

import base64
import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edgectl.errors import ReceiptError
from edgectl.ledger.heads import TreeHead
from edgectl.ledger.merkle import Frontier, cover
from edgectl.ledger.payload import Kind, unpacked
from edgectl.ledger.record import Stored, commitment, decode, leaf_of, leaves_of, salt_run
from edgectl.ledger.rows import Row, row_of
from edgectl.ledger.store import Ledger

FORMAT = "edgectl.receipt/1"
NAMING = (Kind.START, Kind.NAMES)


@dataclass(frozen=True, slots=True)
class Kept:
    """A record with what its leaf is made of."""

    seq: int
    stored: Stored
    row: Row
    leaf: bytes
    salt_key: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """Records that a receipt is made from, by number."""

    names: int  # says whose loads are whose
    low: int  # first second asked for; the head of the record before is shown too
    high: int  # last second asked for
    end: int  # last whose head is shown


def make_receipt(ledger: Ledger, tenant: str, from_s: int, to_s: int) -> bytes:
    """The receipt of a tenant for the seconds from_s to to_s, the last not included.

    ledger   opened, read only is enough
    tenant   id, as the site file has it

    Raises ReceiptError where the tenant is unknown, the time is not in the ledger, or is
    not covered by a signed head yet.
    """
    low, high = _asked(ledger, from_s, to_s)
    heads = ledger.heads()
    base, tree = _base(heads, low)
    kept, names = _read(ledger, base, low, high + 1)
    if names is None:
        base, tree = 0, Frontier()
        kept, names = _read(ledger, base, low, high + 1)
    assert names is not None, "record 0 of a ledger is a START"
    part = _part_of(ledger.site, kept[names - base], tenant)
    _hold_tenants(ledger.site, kept[names - base : high + 1 - base], tenant, part)
    head = next((each for each, _ in heads if each.size > high), None)
    if head is None:
        signed = heads[-1][0].size if heads else 0
        raise ReceiptError(
            where=f"receipt of {ledger.site}",
            problem=f"records {max(signed, low)} to {high} are not under a signed head yet",
            because="What nobody has signed proves nothing.",
            remedy="Wait for the next head, or ask up to the last one; edgectl verify shows it.",
        )
    kept += _read(ledger, high + 1, low, head.size)[0]
    span = Span(names, low, high, min(high + 1, head.size - 1))
    tree = tree.copy()
    tree.add([each.leaf for each in kept[: names - base]])
    after = [each.leaf for each in kept[span.end + 1 - base :]]
    right = [content for _, content in cover(span.end + 1, after)]
    document = {
        "format": FORMAT,
        "site": ledger.site,
        "tenant": tenant,
        "part": part,
        "from_utc_s": from_s,
        "to_utc_s": to_s,
        "head": json.loads(head.document()),
        "handovers": [
            json.loads(each.document()) for each, _ in heads
            if each.next_key is not None and each.number < head.number
        ],
        "first": names,
        "left": _text(tree.to_bytes()),
        "right": _text(b"".join(right)),
        "records": [
            _shown(kept[seq - base], span, part) for seq in range(names, span.end + 1)
        ],
    }  # fmt: skip
    return gzip.compress(json.dumps(document).encode(), mtime=0)


def _asked(ledger: Ledger, from_s: int, to_s: int) -> tuple[int, int]:
    """Numbers of the first second asked for, and of the last record. Raises ReceiptError.

    Behind the last second stand counts and corrections of its time: they belong to it.
    """
    first = last = None
    near = ledger.index()
    for at, (start, count, utc_s) in enumerate(near):
        following = near[at + 1][2] if at + 1 < len(near) else to_s
        if max(utc_s, following) < from_s or utc_s > to_s:
            continue
        for row in ledger.rows(None, start, start + count):
            if not from_s <= row.utc_s < to_s:
                continue
            if first is None and row.kind is Kind.SECOND:
                first = row.seq
            last = row.seq if first is not None else None
    if first is None or last is None:
        begin, end = (datetime.fromtimestamp(each, UTC).isoformat() for each in (from_s, to_s))
        raise ReceiptError(
            where=f"receipt of {ledger.site}",
            problem=f"the ledger has no second from {begin} to {end}",
            because="There is nothing to prove.",
            remedy="Ask for a time that the ledger covers; times are UTC, the end not included.",
        )
    return first, last


def _base(heads: list[tuple[TreeHead, bytes]], low: int) -> tuple[int, Frontier]:
    """Where to begin to read: before a head comes a record of names, so one head back is enough."""
    before = [(head, peaks) for head, peaks in heads if head.size < low]
    if len(before) < 2:
        return 0, Frontier()
    head, peaks = before[-2]
    return head.size, Frontier.from_bytes(head.size, peaks)


def _read(ledger: Ledger, base: int, low: int, end: int) -> tuple[list[Kept], int | None]:
    """Records from base to end, and the last not after low that names tenants."""
    kept: list[Kept] = []
    names = None
    for salt_key, pack in ledger.packs(base, end):
        records = decode(pack.body)
        leaves = leaves_of(salt_key, pack.first_seq, records)
        for seq, (stored, leaf) in enumerate(zip(records, leaves, strict=True), pack.first_seq):
            if base <= seq < end:
                row = row_of(stored)
                kept.append(Kept(seq, stored, row, leaf, salt_key))
                if row.kind in NAMING and seq <= low:
                    names = seq
    return kept, names


def _part_of(site: str, named: Kept, tenant: str) -> int:
    """Which part is the tenant's. Raises ReceiptError where there is no such tenant."""
    tenants = [str(each["id"]) for each in unpacked(named.stored.parts[0])["tenants"]]
    if tenant not in tenants:
        raise ReceiptError(
            where=f"receipt of {site}",
            problem=f"at that time the site had no tenant {tenant!r}; it had: "
            f"{', '.join(tenants) or 'none'}",
            because="A receipt shows one tenant's records, and nobody else's.",
            remedy="Use an id of the site file's [[tenant]]; see edgectl check SITE.",
        )
    return 1 + tenants.index(tenant)


def _hold_tenants(site: str, kept: list[Kept], tenant: str, part: int) -> None:
    """Every run in the time has the tenant in the same place, or the part would be another's."""
    for each in kept:
        if each.row.kind in NAMING:
            tenants = [str(one["id"]) for one in unpacked(each.stored.parts[0])["tenants"]]
            if tenants[part - 1 : part] != [tenant]:
                when = datetime.fromtimestamp(each.row.utc_s, UTC).isoformat()
                raise ReceiptError(
                    where=f"receipt of {site}",
                    problem=f"the site's tenants changed at {when}; then they were: "
                    f"{', '.join(tenants) or 'none'}",
                    because="One receipt shows one part of each record, of one list of tenants.",
                    remedy="Make one receipt up to that time, and one from it on.",
                )


def _shown(kept: Kept, span: Span, part: int) -> dict[str, Any]:
    """A record as it stands in a receipt."""
    parts = kept.stored.parts
    before = kept.seq < span.low - 1 and kept.seq != span.names
    if before and kept.row.kind is not Kind.FACTOR:  # which the tenant's seconds may name
        return {"leaf": _text(kept.leaf)}
    commitments = [
        commitment(salt_run(kept.salt_key, at, kept.seq, 1)[0], each)
        for at, each in enumerate(parts)
    ]
    assert leaf_of(kept.salt_key, kept.seq, kept.stored.head, parts) == kept.leaf
    shown = {"head": _text(kept.stored.head), "commitments": _text(b"".join(commitments))}
    if parts and (kept.seq == span.names or span.low <= kept.seq <= span.high):
        shown |= {
            "salt": _text(salt_run(kept.salt_key, part, kept.seq, 1)[0]),
            "part": _text(parts[part]),
        }
    return shown


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
