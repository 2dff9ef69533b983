"""A receipt: one tenant's records of some time, with all that is needed to prove them.

It begins with the last record before that names the tenant's loads and leaves nothing out up to
the last one it shows: of every record there is at least the leaf's hash. From the second before
the time asked for on there are the head and the commitments of all parts, and of the tenant's own
part, inside the time, the salt and the bytes. Emission factors, which seconds name, are shown from
the beginning on. The hashes to the left and right complete the tree of a signed head. So the tenant
can prove what they were given, see that no second of theirs was left out, and learns nothing of
other tenants but how many there are.

Corrections come after what they correct. So a receipt goes on after the time, up to a signed head
that was made when the last of its windows should have closed: of what follows every record's head,
which says what kind it is, and of each correction the tenant's part. None of them can be held
back unseen. Where a correction's window begins before the time, so do the seconds that are shown.

A receipt is gzipped JSON: tools/verify_ledger.py checks it, `zcat | jq` shows it.
"""

import base64
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edgectl.accounting.corrections import corrections_of
from edgectl.accounting.own import OwnBooks
from edgectl.errors import ReceiptError
from edgectl.ledger.heads import TreeHead
from edgectl.ledger.merkle import Frontier, cover
from edgectl.ledger.payload import SECOND_NS, Kind, unpacked
from edgectl.ledger.record import Stored, commitment, decode, leaf_of, leaves_of, salt_run
from edgectl.ledger.rows import Row, row_of
from edgectl.ledger.store import Ledger
from edgectl.reports.period import first_record

FORMAT = "edgectl.receipt/2"
NAMING = (Kind.START, Kind.NAMES)
# A window of a counter closes within half an hour of its last second, unless a gap is open.
SETTLED_S = 1_860


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

    names: int  # says whose loads are whose: the last not after low
    before: int  # last second before low: from it on heads are shown
    low: int  # first whose part is shown: the first second asked for, or of a correction's window
    high: int  # last second asked for
    end: int  # last whose head is shown
    tenant: str
    part: int


def make_receipt(
    ledger: Ledger, tenant: str, from_s: int, to_s: int, until_s: int | None = None
) -> bytes:
    """The receipt of a tenant for the seconds from_s to to_s, the last not included.

    ledger    opened, read only is enough
    tenant    id, as the site file has it
    until_s   UTC: it rests on the first head from then on, or on the newest, and knows the
              corrections up to it; by default when those of the last second should be there

    Raises ReceiptError where the tenant is unknown, the time is not in the ledger, or is
    not covered by a signed head yet.
    """
    low, high = _asked(ledger, from_s, to_s)
    heads = ledger.heads()
    named, names, _ = _read(ledger, heads, low, low + 1)
    part = _part_of(ledger.site, named[names - named[0].seq], tenant)
    head = _head(ledger.site, heads, low, high, to_s + SETTLED_S if until_s is None else until_s)
    end = _end(ledger, tenant, part, high, head.size)
    found = [
        row.content() for row in ledger.rows(Kind.CORRECTION, low, end + 1)
        if _has(row, part) and _concerns(row, from_s, to_s)
    ]  # fmt: skip
    begin = _begin(ledger, found, from_s, low)
    before = _second_before(ledger, begin)
    kept, names, tree = _read(ledger, heads, before, head.size)
    base = kept[0].seq
    for each in kept[: begin + 1 - base]:
        names = each.seq if each.row.kind in NAMING else names
    span = Span(names, before, begin, high, end, tenant, part)
    _hold_tenants(ledger.site, kept[names - base : high + 1 - base], tenant, part)
    first = min(names, before)
    tree.add([each.leaf for each in kept[: first - base]])
    after = [each.leaf for each in kept[end + 1 - base :]]
    shown = kept[first - base : end + 1 - base]
    document = {
        "format": FORMAT,
        "site": ledger.site,
        "tenant": tenant,
        "part": part,
        "from_utc_s": from_s,
        "to_utc_s": to_s,
        "totals": _totals(shown, span, from_s, to_s),
        "head": json.loads(head.document()),
        "handovers": [
            json.loads(each.document()) for each, _ in heads
            if each.next_key is not None and each.number < head.number
        ],
        "first": first,
        "left": _text(tree.to_bytes()),
        "right": _text(b"".join(content for _, content in cover(end + 1, after))),
        "records": [_shown(each, span) for each in shown],
    }  # fmt: skip
    return gzip.compress(json.dumps(document).encode(), mtime=0)


def _head(
    site: str, heads: list[tuple[TreeHead, bytes]], low: int, high: int, until_s: int
) -> TreeHead:
    """The signed head that a receipt rests on. Raises ReceiptError."""
    usable = [each for each, _ in heads if each.size > high]
    if not usable:
        signed = heads[-1][0].size if heads else 0
        raise ReceiptError(
            where=f"receipt of {site}",
            problem=f"records {max(signed, low)} to {high} are not under a signed head yet",
            because="What nobody has signed proves nothing.",
            remedy="Wait for the next head, or ask up to the last one; edgectl verify shows it.",
        )
    return next((each for each in usable if each.utc_ns >= until_s * SECOND_NS), usable[-1])


def _end(ledger: Ledger, tenant: str, part: int, high: int, size: int) -> int:
    """The last record to show: the head's last, or the first that gives the part to another.

    What a run says whose tenants are others is not about the run before.
    """
    for row in ledger.rows(None, high + 1, size):
        if row.kind in NAMING and _tenants(row)[part - 1 : part] != [tenant]:
            return row.seq
    return size - 1


def _has(row: Row, part: int) -> bool:
    return len(row.parts) > part and bool(row.parts[part])


def _concerns(row: Row, from_s: int, to_s: int) -> bool:
    """Whether a CORRECTION record's window reaches into the time; of another kind, its own time."""
    figures = row.content()["figures"]
    if "gap_mj" not in figures:
        return from_s <= row.utc_s < to_s
    window = figures["first_s"] < to_s and figures["last_s"] >= from_s
    return bool(window and row.utc_s >= from_s)


def _begin(ledger: Ledger, found: Iterable[dict[str, Any]], from_s: int, low: int) -> int:
    """The first second to show: that of the first window, of its run, that reaches in."""
    firsts: dict[int, int] = {}
    for content in found:
        if "gap_mj" not in content["figures"]:
            continue
        boot_id, first_s = content["figures"]["boot_id"], content["figures"]["first_s"]
        if first_s < from_s:
            firsts[boot_id] = min(firsts.get(boot_id, first_s), first_s)
    if firsts:
        for row in ledger.rows(Kind.SECOND, first_record(ledger, min(firsts.values())), low):
            if row.boot_id in firsts and row.utc_s >= firsts[row.boot_id]:
                return row.seq
    return low


def _second_before(ledger: Ledger, seq: int) -> int:
    """The last second before a record; the ledger's first record where there is none."""
    for first, count, _ in reversed(ledger.index()):
        if first < seq:
            rows = list(ledger.rows(Kind.SECOND, first, min(first + count, seq)))
            if rows:
                return rows[-1].seq
    return 0


def _totals(shown: list[Kept], span: Span, from_s: int, to_s: int) -> dict[str, Any]:
    """Sums as booked, corrections, and as corrected, of the tenant's own parts."""
    rows = [
        each.row for each in shown
        if each.row.kind is Kind.CORRECTION and each.seq >= span.low
        and _has(each.row, span.part) and _concerns(each.row, from_s, to_s)
    ]  # fmt: skip
    own = OwnBooks(corrections_of(row.content() for row in rows), from_s, to_s)
    names: dict[int, dict[str, Any]] = {}
    for each in shown:
        row = each.row
        if row.kind in NAMING and span.names <= each.seq <= span.high:
            names[row.boot_id] = unpacked(row.parts[span.part])
        elif row.kind is Kind.SECOND and span.low <= each.seq <= span.high:
            said, called = unpacked(row.parts[span.part]), names[row.boot_id]
            sinks = dict(called["sinks"])
            cells = {
                (called["sources"][source], sinks[sink]): (mj, ug)
                for source, sink, mj, ug in said["cells"]
            }
            own.second(row.boot_id, row.utc_s, cells, said["used_max_mg_per_kwh"])
    return own.totals() | {"correction_records": [row.seq for row in rows]}


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


def _read(
    ledger: Ledger, heads: list[tuple[TreeHead, bytes]], low: int, end: int
) -> tuple[list[Kept], int, Frontier]:
    """Records up to end, the last not after low that names tenants, and the tree before them.

    Before a head comes a record of names, so one head back is enough.
    """
    before = [(head, peaks) for head, peaks in heads if head.size < low]
    if len(before) >= 2:
        head, peaks = before[-2]
        kept, names = _kept(ledger, head.size, low, end)
        if names is not None:
            return kept, names, Frontier.from_bytes(head.size, peaks)
    kept, names = _kept(ledger, 0, low, end)
    assert names is not None, "record 0 of a ledger is a START"
    return kept, names, Frontier()


def _kept(ledger: Ledger, base: int, low: int, end: int) -> tuple[list[Kept], int | None]:
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


def _tenants(row: Row) -> list[str]:
    """Ids that a START or NAMES record lists, in the order of their parts."""
    return [str(each["id"]) for each in unpacked(row.parts[0])["tenants"]]


def _part_of(site: str, named: Kept, tenant: str) -> int:
    """Which part is the tenant's. Raises ReceiptError where there is no such tenant."""
    tenants = _tenants(named.row)
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
            tenants = _tenants(each.row)
            if tenants[part - 1 : part] != [tenant]:
                when = datetime.fromtimestamp(each.row.utc_s, UTC).isoformat()
                raise ReceiptError(
                    where=f"receipt of {site}",
                    problem=f"the site's tenants changed at {when}; then they were: "
                    f"{', '.join(tenants) or 'none'}",
                    because="One receipt shows one part of each record, of one list of tenants.",
                    remedy="Make one receipt up to that time, and one from it on.",
                )


def _shown(kept: Kept, span: Span) -> dict[str, Any]:
    """A record as it stands in a receipt."""
    parts, kind = kept.stored.parts, kept.row.kind
    hidden = kept.seq < span.before and kept.seq != span.names
    if hidden and kind is not Kind.FACTOR:  # which the tenant's seconds may name
        return {"leaf": _text(kept.leaf)}
    commitments = [
        commitment(salt_run(kept.salt_key, at, kept.seq, 1)[0], each)
        for at, each in enumerate(parts)
    ]
    assert leaf_of(kept.salt_key, kept.seq, kept.stored.head, parts) == kept.leaf
    shown = {"head": _text(kept.stored.head), "commitments": _text(b"".join(commitments))}
    if kept.seq > span.high:
        whole = kind is Kind.CORRECTION or (
            kind is Kind.START and _tenants(kept.row)[span.part - 1 : span.part] == [span.tenant]
        )
    else:
        whole = kept.seq == span.names or kept.seq >= span.low
    if whole and len(parts) > span.part:
        shown |= {
            "salt": _text(salt_run(kept.salt_key, span.part, kept.seq, 1)[0]),
            "part": _text(parts[span.part]),
        }
    return shown


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
