#!/usr/bin/env python3
"""Verify a ledger of edgectl, a tenant's receipt or a sampled record, with nothing of edgectl.

  verify_ledger.py LEDGER --key KEY [--head HEAD]     a data directory, or one SITE-YYYY-MM.sqlite
  verify_ledger.py receipt FILE --key KEY             what `edgectl receipt` wrote
  verify_ledger.py record FILE --key KEY              one of sample/ in an evidence pack

KEY is a public key: PEM, or 64 hex digits. HEAD is a signed head that you kept from elsewhere.
Needs Python 3.11 and the package `cryptography`. Written from docs/ledger.md, not from edgectl.
Exit status: 0 good; 1 bad, and the first bad record is named; 2 could not be read.
"""

import argparse
import base64
import gzip
import hashlib
import io
import json
import sqlite3
import struct
import sys
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PAGE = 4096
UNREADABLE = (OSError, EOFError, ValueError, LookupError, TypeError, zlib.error, struct.error)
Cell = tuple[str, str]  # source and sink
Amount = tuple[str, str, int, int]  # the same, with mJ and ug
MONTH = "[0-9][0-9][0-9][0-9]-[0-9][0-9]"
UNPACKED_MAX = 64 << 20
TABLES = sorted((
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE pack (first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, seconds INTEGER "
    "NOT NULL, utc_s INTEGER NOT NULL, root BLOB NOT NULL, body BLOB NOT NULL) STRICT",
    "CREATE TABLE head (number INTEGER PRIMARY KEY, body BLOB NOT NULL, signature BLOB NOT NULL, "
    "frontier BLOB NOT NULL) STRICT",
    "CREATE TABLE cursor (boot_id INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, "
    "last_period INTEGER, last_utc_ns INTEGER, ended INTEGER NOT NULL) STRICT",
))  # fmt: skip


class BadError(Exception):
    """What is wrong, and with which record."""

    def __init__(self, what: str, seq: int | None = None, utc_s: int | None = None) -> None:
        record = "" if seq is None else f"record {seq}"
        if record and utc_s:
            record += f", {datetime.fromtimestamp(utc_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
        super().__init__(": ".join(filter(None, (record, what))))


class UnreadableError(Exception):
    """Nothing here that could be verified."""


def sha(*parts: bytes) -> bytes:
    """SHA-256 of the parts, one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def raw(text: str) -> bytes:
    """Bytes that stand in JSON as base64."""
    return base64.b64decode(text, validate=True)


@contextmanager
def reading(failure: type[Exception], what: str) -> Iterator[None]:
    """Whatever cannot be read inside is this failure."""
    try:
        yield
    except UNREADABLE as error:
        raise failure(f"{what}: {error!r}") from error


# ---- the tree of RFC 6962, as a stack of whole subtrees


class Tree:
    """Leaves in, root out; `stack` holds (level, hash) of whole subtrees from the left."""

    def __init__(self, size: int = 0, peaks: bytes = b"") -> None:
        levels = [bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]
        if len(peaks) != 32 * len(levels):
            raise BadError(f"{len(peaks)} bytes are not the peaks of a tree of {size}")
        self.size = size
        self.stack = [(level, peaks[32 * at : 32 * at + 32]) for at, level in enumerate(levels)]

    def add(self, digest: bytes, level: int = 0) -> None:
        self.size += 1 << level
        while self.stack and self.stack[-1][0] == level:
            digest = sha(b"\1", self.stack.pop()[1], digest)
            level += 1
        self.stack.append((level, digest))

    def root(self) -> bytes:
        if not self.stack:
            return sha(b"")
        digest = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            digest = sha(b"\1", left, digest)
        return digest


# ---- signatures and heads


def signed(key: bytes, signature: bytes, content: bytes) -> bool:
    """Whether it is this key's signature over this content."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_key(path: Path) -> bytes:
    """The 32 bytes of a public key's file."""
    content = path.read_bytes()
    if len(content.strip()) == 64:
        return bytes.fromhex(content.strip().decode())
    key = load_pem_public_key(content)
    if not isinstance(key, Ed25519PublicKey):
        raise UnreadableError(f"{path}: not an Ed25519 public key")
    return key.public_bytes_raw()


class Head:
    """A signed head: what it says, and the hash by which the next one names it."""

    def __init__(self, body: bytes, signature: bytes) -> None:
        try:
            said = json.loads(body)
            self.number, self.site, self.size = said["number"], said["site"], said["size"]
            self.root, self.key = bytes.fromhex(said["root"]), bytes.fromhex(said["key"])
            self.next_key = bytes.fromhex(said["next_key"]) if said["next_key"] else None
            self.previous = bytes.fromhex(said["previous"]) if said["previous"] else None
            self.utc_s = said["utc_ns"] // 10**9
            known = said["format"] == "edgectl.head/1"
        except (ValueError, KeyError, TypeError) as error:
            raise BadError(f"a signed head cannot be read: {error}") from error
        self.hash = sha(body, signature)
        if not known or not signed(self.key, signature, b"edgectl.head/1\n" + body):
            raise BadError(f"the signature of head {self.number} does not fit its bytes", self.size)

    @classmethod
    def published(cls, document: dict[str, Any]) -> "Head":
        try:
            return cls(document["head"].encode(), bytes.fromhex(document["signature"]))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise BadError(f"it is no published head: {error}") from error

    def follows(self, before: "Head | None") -> None:
        if before is None:
            if self.number or self.previous:
                raise BadError(f"head {self.number} has none before it", 0)
            return
        if (self.number, self.previous) != (before.number + 1, before.hash):
            raise BadError(f"head {self.number} does not follow head {before.number}", before.size)
        if self.key != (before.next_key or before.key) or self.size < before.size:
            raise BadError(f"head {self.number} is signed by a key that nobody named", before.size)


# ---- one month's file: its pages, its log


def log_pages(path: Path) -> tuple[dict[int, int], int, int]:
    """Pages in the write-ahead log, pages of the file after it, and bytes that say nothing."""
    wal = path.with_name(path.name + "-wal")
    content = wal.read_bytes() if wal.exists() else b""
    nothing: tuple[dict[int, int], int, int] = ({}, 0, len(content))
    if len(content) < 32:
        return nothing
    magic, version, page, _, *salts, s0, s1 = struct.unpack(">8I", content[:32])
    order = ">" if magic & 1 else "<"
    if magic | 1 != 0x377F0683 or version != 3_007_000 or page != PAGE:
        return nothing
    sums = checksum(content[:24], (0, 0), order)
    if sums != (s0, s1):
        return nothing
    found: dict[int, int] = {}
    fresh: dict[int, int] = {}
    pages, end, at = 0, 32, 32
    while at + 24 + PAGE <= len(content):
        number, commit, *own, s0, s1 = struct.unpack(">6I", content[at : at + 24])
        sums = checksum(content[at : at + 8], sums, order)
        sums = checksum(content[at + 24 : at + 24 + PAGE], sums, order)
        if own != salts or sums != (s0, s1):
            break
        fresh[number] = at + 24
        at += 24 + PAGE
        if commit:
            found, fresh, pages, end = found | fresh, {}, commit, at
    return (found, pages, len(content) - end) if pages else nothing


def checksum(content: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """SQLite's running checksum of a log: file format, section 4.2."""
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    s0, s1 = sums
    for x, y in zip(words[::2], words[1::2], strict=True):
        s0 = (s0 + x + s1) & 0xFFFFFFFF
        s1 = (s1 + y + s0) & 0xFFFFFFFF
    return s0, s1


def check_pages(path: Path, keys: list[bytes], last_heads: list[bytes], live: bool) -> None:
    """Every page is as it was sealed, or stands in the log."""
    logged, pages, loose = log_pages(path)
    if loose and not live:
        raise BadError(f"{path.name}-wal: {loose} bytes are no whole transaction")
    seal = path.with_suffix(".seal")
    digests = b""
    if seal.exists():
        body, _, rest = seal.read_bytes().partition(b"\n")
        try:
            said = json.loads(body)
            key, digests = bytes.fromhex(said["key"]), rest[64:]
            fits = signed(key, rest[:64], b"edgectl.seal/1\n" + body)
            fits &= sha(digests).hex() == said["digests"] and len(digests) == 16 * said["pages"]
            fits &= said["file"] == path.name and key in keys
            fits &= bytes.fromhex(said["head"]) in last_heads
        except (ValueError, KeyError, TypeError) as error:
            raise BadError(f"{seal.name} cannot be read: {error}") from error
        if not fits:
            raise BadError(f"{seal.name} is not the seal that was made with the last head")
    elif last_heads and 1 not in logged:  # before its first seal a file is all in its log
        raise BadError(f"{seal.name} is missing")
    number = 0
    with path.open("rb") as file:
        while page := file.read(PAGE):
            number += 1
            if number not in logged and sha(page)[:16] != digests[16 * number - 16 : 16 * number]:
                raise BadError(f"{path.name}: page {number} is not as it was sealed")
    missing = [
        each for each in range(number + 1, max(len(digests) // 16, pages) + 1) if each not in logged
    ]
    if missing:
        raise BadError(f"{path.name}: page {missing[0]} is missing")


# ---- records


def unpack(content: bytes, at: int = 0) -> tuple[Any, int]:
    """One msgpack value and where it ends: the few forms that a record has."""
    code = content[at]
    at += 1
    if code < 0x80 or code >= 0xE0:
        return (code if code < 0x80 else code - 256), at
    if code in SCALARS:
        form = SCALARS[code]
        end = at + struct.calcsize(form)
        return struct.unpack(form, content[at:end])[0], end
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], at
    if code in LENGTHS:
        form, kind = LENGTHS[code]
        end = at + struct.calcsize(form)
        (length,), at = struct.unpack(form, content[at:end]), end
    else:
        kind = "map" if code < 0x90 else "list" if code < 0xA0 else "text"
        length = code & (0x1F if kind == "text" else 0x0F)
    if kind in ("text", "bytes"):
        if at + length > len(content):
            raise ValueError("a text ends after its record")
        raw = content[at : at + length]
        return (raw.decode() if kind == "text" else raw), at + length
    items = []
    for _ in range(length * (2 if kind == "map" else 1)):
        item, at = unpack(content, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if kind == "map" else items), at


SCALARS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
           0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}  # fmt: skip
LENGTHS = {0xC4: (">B", "bytes"), 0xC5: (">H", "bytes"), 0xC6: (">I", "bytes"),
           0xD9: (">B", "text"), 0xDA: (">H", "text"), 0xDB: (">I", "text"),
           0xDC: (">H", "list"), 0xDD: (">I", "list"),
           0xDE: (">H", "map"), 0xDF: (">I", "map")}  # fmt: skip


def said_by(content: bytes) -> dict[str, Any]:
    """A map that fills its bytes. Raises BadError."""
    try:
        value, end = unpack(content)
    except (IndexError, ValueError, struct.error, RecursionError) as error:
        raise BadError(f"its content cannot be read: {error}") from error
    if end != len(content) or not isinstance(value, dict):
        raise BadError("its content is not one map")
    return value


def rows_of(columns: list[bytes], count: int) -> bytes:
    """Byte columns, each row combined by XOR with the one before, back into rows.

    The prefix XOR of n rows is log2(n) shifts of one large integer.
    """
    width = len(columns)
    table = bytearray(count * width)
    for at, column in enumerate(columns):
        table[at::width] = column
    mixed, step, bits = int.from_bytes(table, "little"), 1, 8 * count * width
    while step < count:
        mixed ^= (mixed << (8 * width * step)) & ((1 << bits) - 1)
        step *= 2
    return mixed.to_bytes(count * width, "little")


class Bytes(io.BytesIO):
    """Bytes that are taken from the front."""

    def take(self, length: int) -> bytes:
        """The next bytes. Raises ValueError where there are not so many."""
        taken = self.read(length)
        if len(taken) != length:
            raise ValueError("a pack is cut off")
        return taken

    def left(self) -> bool:
        """Whether there still are some."""
        return self.tell() < len(self.getbuffer())


def records_of(body: bytes) -> list[tuple[bytes, list[bytes], bytes]]:
    """Head, parts and check of each record of a pack."""
    quiet, noise = Bytes(body[1:]), Bytes(b"")
    if body[:1] == b"\1":
        (length,) = struct.unpack(">I", quiet.take(4))
        noise = Bytes(quiet.take(length))
        inflater = zlib.decompressobj()
        quiet = Bytes(inflater.decompress(quiet.read(), UNPACKED_MAX))
        if not inflater.eof or inflater.unused_data or inflater.unconsumed_tail:
            raise ValueError("a pack is cut off")
    elif body[:1] != b"\0":
        raise ValueError("a pack of an unknown form")
    found = []
    while quiet.left():
        count, parts = struct.unpack(">IH", quiet.take(6))
        shape = struct.unpack(f">{parts + 1}I", quiet.take(4 * parts + 4))
        width = sum(shape)
        if not count or not 0 < width * count <= UNPACKED_MAX:
            raise ValueError("a run of no size")
        if body[0]:
            mask = int.from_bytes(quiet.take(-(-width // 8)), "big") >> (-width % 8)
            checks = noise.take(4 * count)
            order = [noise if mask >> bit & 1 else quiet for bit in range(width - 1, -1, -1)]
            rows = rows_of([source.take(count) for source in order], count)
        else:
            checks, rows = quiet.take(4 * count), quiet.take(count * width)
        for row in range(count):
            low, fields = row * width, []
            for length in shape:
                fields.append(rows[low : low + length])
                low += length
            found.append((fields[0], fields[1:], checks[4 * row : 4 * row + 4]))
    if noise.left():
        raise ValueError("bytes are left over")
    return found


def salt_of(key: bytes, seq: int, part: int) -> bytes:
    """Salt of one part of one record."""
    block = hashlib.shake_128(key + struct.pack(">QH", seq // 64, part)).digest(1024)
    return block[16 * (seq % 64) : 16 * (seq % 64) + 16]


def leaf_of(key: bytes, seq: int, head: bytes, parts: list[bytes]) -> bytes:
    """Leaf hash of one record."""
    return sha(b"\0", head, *(
        sha(b"\2", salt_of(key, seq, at), part) for at, part in enumerate(parts)
    ))  # fmt: skip


# ---- what batteries hold, from second to second and over restarts


def integers(content: bytes, width: int) -> list[tuple[int, ...]]:
    """Rows of little-endian int64."""
    found = struct.unpack(f"<{len(content) // 8}q", content)
    return [found[at : at + width] for at in range(0, len(found), width)]


class StockCheck:
    """Follows every battery's books. A battery is (mJ, ug, mJ by origin)."""

    def __init__(self) -> None:
        self.run, self.names = -1, []  # type: tuple[int, list[str]]
        self.sinks: dict[str, int] = {}
        self.ppm: list[Any] = []
        self.default_mg: int | None = None
        self.held: dict[str, tuple[int, ...]] | None = None  # None: no record said it yet
        self.next_seq = -1  # of the journal; another than this, and nothing can be followed
        self.apart: dict[str, int] = {}  # mJ that flows do not explain, by 1/(10^6 * ppm)
        self.restarts = self.unfollowed = 0

    def take(self, said: dict[str, Any], parts: list[bytes]) -> None:
        """The next record. Raises BadError, KeyError or ValueError."""
        kind, run = said["kind"], said["boot_id"]
        if kind == "start" or (kind == "names" and run != self.run):
            own = said_by(parts[0])
            self.run, self.names, self.next_seq = run, own["storages"], -1
            self.sinks = {name: own["sinks"].index(name) for name in self.names}
            self.default_mg, self.ppm = own.get("default_mg_per_kwh"), own.get("storage_ppm", [])
            if self.default_mg is None or not all(all(each) for each in self.ppm):
                self.ppm = []
            if kind == "start" and "stocks" in own:
                self.restart(said, own)
        elif kind == "second" and run == self.run:
            self.second(said, [said_by(part) for part in parts])

    def restart(self, said: dict[str, Any], own: dict[str, Any]) -> None:
        opened = {each["id"]: tuple(each["held"]) for each in own["stocks"]}
        before = own["stocks_before"] or {"held": {}}
        held = {name: tuple(of) for name, of in before["held"].items()}
        place = said["seq"], said["utc_s"]
        if self.held is not None and held != self.held:
            raise BadError(f"batteries held {self.held}; this START says {held}", *place)
        for name in sorted(opened.keys() | held.keys()):
            is_now, was = opened.get(name, (0,) * 6), held.get(name, (0,) * 6)
            change = own["stocks_adjusted"].get(name, (0,) * 6)
            if [a + b for a, b in zip(was, change, strict=True)] != list(is_now):
                raise BadError(f"{name} held {was}, adjusted {change}, and opens {is_now}", *place)
        if any(each["opened"] != "carried" and any(each["held"]) for each in own["stocks"]):
            raise BadError("a battery opens with what was not carried", *place)
        self.restarts += self.held is not None
        self.held, self.next_seq, self.apart = opened, 0, {}

    def second(self, said: dict[str, Any], parts: list[dict[str, Any]]) -> None:
        own, known = parts[0], "storage_openings" in parts[0] and bool(self.ppm)
        stocks = integers(own["stocks"], 2)
        origins: list[tuple[int, ...]] = [(0, 0, 0, mj) for mj, _ in stocks]
        if "stock_origins_mj" in own:
            origins = integers(own["stock_origins_mj"], 4)
        now = {name: (*stocks[at], *origins[at]) for at, name in enumerate(self.names)}
        if known and self.held is not None and said["first_seq"] == self.next_seq:
            cells = [
                (part["cells"][2 * at], part["cells"][2 * at + 1], mj, ug)
                for part in parts
                for at, ((mj,), (ug,)) in enumerate(
                    zip(integers(part["energy_mj"], 1), integers(part["carbon_ug"], 1), strict=True)
                )
            ]
            for at, name in enumerate(self.names):
                rows = integers(own["storage_accounts"], 5)[at]
                rows += integers(own["storage_openings"], 2)[at]
                fault = self.fault(at, self.held[name], now[name], cells, rows)
                if fault:
                    raise BadError(f"{name} {fault}", said["seq"], said["utc_s"])
        elif known:
            self.unfollowed, self.apart = self.unfollowed + 1, {}
        self.held, self.next_seq = now, said["last_seq"] + 1

    def fault(
        self, at: int, was: tuple[int, ...], now: tuple[int, ...],
        cells: list[tuple[int, int, int, int]], rows: tuple[int, ...],
    ) -> str:  # fmt: skip
        """What of one battery does not follow from the second before."""
        name, (charge, discharge) = self.names[at], self.ppm[at]
        lost_mj, lost_ug, true_up_mj, short_mj, _, opened_mj, opened_ug = rows
        came = [(mj, ug) for _, sink, mj, ug in cells if sink == self.sinks[name]]
        left = [(mj, ug) for source, _, mj, ug in cells if source == 3 + at]
        ug = was[1] + sum(ug for _, ug in came) - sum(ug for _, ug in left) - lost_ug + opened_ug
        ug += short_mj * (self.default_mg or 0) // 3_600_000  # and the remainder that is carried
        if not ug <= now[1] <= ug + (short_mj > 0):
            return f"held {was[1]} ug and holds {now[1]}; its flows make it {ug}"
        whole = 10**6 * discharge
        apart = (now[0] - was[0] - short_mj + lost_mj - true_up_mj - opened_mj) * whole
        apart -= sum(mj for mj, _ in came) * charge * discharge
        apart += sum(mj for mj, _ in left) * 10**12
        self.apart[name] = apart = self.apart.get(name, 0) + apart
        if abs(apart) >= 2 * whole or sum(now[2:]) != now[0] or min(now) < 0:
            return f"held {was[0]} mJ and holds {now}: {apart // whole} mJ from what flows make it"
        return ""


class LedgerCheck:
    """A walk through a ledger's files, in order."""

    def __init__(self, key: bytes, pinned: list[Head]) -> None:
        self.key, self.pinned = key, pinned
        self.tree, self.head = Tree(), None  # type: tuple[Tree, Head | None]
        self.heads: list[Head] = []
        self.roots: dict[int, bytes] = {}
        self.first = 0
        self.stocks = StockCheck()

    def file(self, path: Path, first: bool, alone: bool, live: bool) -> None:
        wal = path.with_name(path.name + "-wal")
        still = "" if wal.exists() and wal.stat().st_size else "&immutable=1"
        base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{still}", uri=True)
        base.text_factory = bytes
        try:
            found = base.execute("SELECT sql FROM sqlite_master").fetchall()
            sealed = path.with_suffix(".seal").exists()
            if not (first or found or sealed) and path.stat().st_size <= PAGE:
                return  # its writer died before the first transaction: it holds nothing
            tables = sorted(text.decode() for (text,) in found if text)
            if tables != TABLES:
                raise ValueError("its tables are not a ledger's")
            meta = {k.decode(): v for k, v in base.execute("SELECT name, value FROM meta")}
            self.begin(path, meta, first, alone)
            mine = self.chain(base, meta)
            self.walk(base, meta["salt_key"])
            before = self.first
            for head in mine:
                self.hold(head, before)
                before = head.size
            keys = [head.key for head in self.heads]
            check_pages(path, keys, [each.hash for each in mine[-2:]], live)
        finally:
            base.close()

    def begin(self, path: Path, meta: dict[str, bytes], first: bool, alone: bool) -> None:
        start = int(meta["first_seq"])
        if not path.name.startswith(meta["site"].decode() + "-"):
            raise BadError(f"{path.name} is the ledger of {meta['site'].decode()}", start)
        tree = Tree(start, meta["frontier"])
        previous = Head.published(json.loads(meta["previous"])) if meta["previous"] else None
        if first:
            if start and not alone:
                raise BadError(f"records 0 to {start - 1} are missing", 0)
            self.tree, self.first, self.head = tree, start, previous
            self.heads += [previous] if previous else []
        elif (start, tree.root()) != (self.tree.size, self.tree.root()):
            raise BadError(f"{path.name} begins with record {start}", min(self.tree.size, start))
        if (previous and previous.hash) != (self.head and self.head.hash):
            raise BadError(f"{path.name} does not follow the last head before it", start)
        self.roots[self.tree.size] = self.tree.root()

    def chain(self, base: sqlite3.Connection, meta: dict[str, bytes]) -> list[Head]:
        mine = []
        rows = base.execute("SELECT number, body, signature, frontier FROM head ORDER BY number")
        for number, body, signature, frontier in rows:
            head = Head(body, signature)
            head.follows(self.head)
            fits = number == head.number and head.site.encode() == meta["site"]
            if not fits or Tree(head.size, frontier).root() != head.root:
                raise BadError(f"what stands beside head {head.number} is not its own", head.size)
            mine.append(head)
            self.head = head
        self.heads += mine
        return mine

    def walk(self, base: sqlite3.Connection, salt_key: bytes) -> None:
        sizes = {head.size for head in (*self.heads, *self.pinned)}
        rows = base.execute(
            "SELECT first_seq, count, seconds, utc_s, root, body FROM pack ORDER BY first_seq"
        )
        for first, count, seconds, utc_s, root, body in rows:
            if first != self.tree.size:
                raise BadError(f"in its place comes {first}", self.tree.size, utc_s)
            try:
                records = records_of(body)
            except (ValueError, struct.error, zlib.error) as error:
                raise BadError(f"it cannot be read: {error}", first, utc_s) from error
            for head, parts, check in records:
                seq = self.tree.size
                leaf = leaf_of(salt_key, seq, head, parts)
                if leaf[:4] != check:
                    raise BadError("it is not as it was written", seq, utc_s + seq - first)
                said = said_by(head)
                utc_s = said.get("utc_s", utc_s)
                if said.get("seq") != seq:
                    raise BadError(f"record {said.get('seq')} stands in its place", seq, utc_s)
                seconds -= said.get("kind") == "second"
                if said.get("kind") == "meter" and said.get("what") == "swap":
                    hold_change(b"".join(parts), seq, utc_s)
                self.follow(said, parts, seq, utc_s)
                self.tree.add(leaf)
                if self.tree.size in sizes:
                    self.roots[self.tree.size] = self.tree.root()
            if len(records) != count or seconds:
                raise BadError(f"a pack of {count} holds {len(records)}", first, utc_s)
            if self.tree.root() != root:
                raise BadError("the tree up to its pack's end is another one", first, utc_s)

    def follow(self, said: dict[str, Any], parts: list[bytes], seq: int, utc_s: int) -> None:
        try:
            self.stocks.take(said, parts)
        except (KeyError, IndexError, TypeError, ValueError, struct.error) as error:
            raise BadError(
                f"what it says of batteries cannot be read: {error!r}", seq, utc_s
            ) from error

    def hold(self, head: Head, before: int) -> None:
        if head.size > self.tree.size:
            raise BadError(f"head {head.number} has {head.size}; here they end", self.tree.size)
        if self.roots.get(head.size) != head.root:
            raise BadError(f"from it to {head.size - 1} not all are head {head.number}'s", before)

    def finish(self) -> str:
        if not self.heads:
            raise BadError("no signed head: nobody has vouched for these records", self.first)
        if all(head.key != self.key for head in self.heads):
            raise BadError("the key given signed none of its heads", self.first)
        for head in self.pinned:
            if head.size > self.tree.size or self.roots.get(head.size) != head.root:
                raise BadError(
                    f"the head given from outside, of {head.size} records, is of another past",
                    min(self.tree.size, head.size),
                )
        last = self.heads[-1]
        loose = self.tree.size - last.size
        note = f"; {loose} after the last head are whole, not signed yet" if loose else ""
        if self.stocks.restarts:
            note += f"; what batteries hold follows over {self.stocks.restarts} restarts"
        if self.stocks.unfollowed:
            note += f"; not followed for missing scans in {self.stocks.unfollowed} seconds"
        return (f"good. {self.tree.size - self.first} records, {len(self.heads)} heads, root "
                f"{self.tree.root().hex()}{note}")  # fmt: skip


def verify_ledger(ledger: Path, key: bytes, pinned: list[Head], live: bool) -> str:
    """What is good of it, in a line. Raises BadError, UnreadableError."""
    files = [ledger]
    if ledger.is_dir():
        found = [*ledger.glob(f"*-{MONTH}.sqlite"), *ledger.glob(f"*-{MONTH}.seal")]
        files = sorted({each.with_suffix(".sqlite") for each in found})
    if not files or not any(e.exists() or e.with_suffix(".seal").exists() for e in files):
        raise UnreadableError(f"{ledger}: there is no ledger here")
    if len({each.name[:-15] for each in files}) > 1:
        raise UnreadableError(f"{ledger}: ledgers of several sites; name one file")
    check = LedgerCheck(key, pinned)
    for at, path in enumerate(files):
        try:
            check.file(path, at == 0, not ledger.is_dir(), live and at == len(files) - 1)
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
            if path.with_suffix(".seal").exists() or at:
                raise BadError(f"{path.name} cannot be read: {error}", check.tree.size) from error
            raise UnreadableError(f"{path}: it is not a ledger: {error}") from error
    return check.finish()


# ---- a tenant's receipt

# Origins of what a battery gave, in the order of `through_mj`.
THROUGH = ("grid through battery", "pv through battery", "generator through battery",
           "battery, origin not known")  # fmt: skip


def head_of(document: dict[str, Any], key: bytes) -> Head:
    """The signed head; its key is the one given, or one it handed over to, step by step."""
    keys = {key}
    for each in document["handovers"]:
        hand = Head.published(each)
        if hand.key in keys and hand.next_key:
            keys.add(hand.next_key)
    head = Head.published(document["head"])
    if head.key not in keys or head.site != document["site"]:
        raise BadError("its head is not signed by the key given, nor by one it handed over to")
    return head


def hold_change(part: bytes, seq: int, utc_s: int) -> dict[str, Any]:
    """A meter was changed, as a signed statement says: its own signature must be good."""
    own = said_by(part)
    text = ("edgectl.meter-swap/1\n" + own["statement"]).encode()
    if not signed(bytes.fromhex(own["key"]), bytes.fromhex(own["signature"]), text):
        raise BadError(f"change of {own['meter']}: not signed by the key it names", seq, utc_s)
    return own


def shares(amount: int, weights: list[int]) -> list[int]:
    """Whole parts: rounded down, what is left to the largest fractions, then to the earlier."""
    whole = sum(weights)
    parts = [amount * each // whole for each in weights]
    order = sorted(range(len(parts)), key=lambda at: (-(amount * weights[at] % whole), at))
    for at in order[: amount - sum(parts)]:
        parts[at] += 1
    return parts


def sums(mj: Counter[Cell], ug: Counter[Cell]) -> dict[str, Any]:
    """Of cells by source and sink."""
    found: dict[str, Any] = {"energy_mj": mj.total(), "carbon_ug": ug.total()}
    for name, cells, place in (("energy_mj_by_source", mj, 0), ("carbon_ug_by_source", ug, 0),
                               ("energy_mj_by_sink", mj, 1)):  # fmt: skip
        by: Counter[str] = Counter()
        for cell, amount in cells.items():
            by[cell[place]] += amount
        found[name] = {key: amount for key, amount in by.items() if amount}
    return found


class ReceiptCheck:
    """What a receipt says, once it is proved: sums of the tenant's own records."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.part = int(document["part"])
        self.low_s, self.high_s = int(document["from_utc_s"]), int(document["to_utc_s"])
        self.names: dict[int, dict[str, Any]] = {}  # by run of the controller
        self.mj, self.ug = Counter(), Counter()  # type: Counter[Cell], Counter[Cell]
        self.origin_mj: Counter[str] = Counter()
        self.seconds = self.scans = self.missed = self.samples = self.good = self.gaps = 0
        self.clocks: Counter[str] = Counter()
        self.counters: dict[tuple[str, str, str], list[float]] = {}
        self.corrections: list[dict[str, Any]] = []
        self.windows: dict[tuple[Any, ...], dict[str, Any]] = {}  # by run, sink and seconds
        # By run and first second, the seconds of a minute: UTC, highest factor used, cells.
        self.minutes: dict[tuple[int, int], list[tuple[int, int, list[Amount]]]] = {}
        self.minute, self.now = (-1, -1), []  # type: tuple[int, int], list[Any]
        self.factors: dict[bytes, dict[str, Any]] = {}  # by the name that seconds give them
        self.used: dict[bytes, list[int]] = {}  # seconds, scans, least and greatest age in s
        self.defaults = self.unknown = 0  # scans
        self.changes: list[dict[str, Any]] = []  # of meters
        self.reached = self.closed = False  # the first second asked for; another list of tenants
        # Run and time of the last second without its part before; what is before is not known.
        self.edge = None if document["first"] else (-1, -1)  # type: tuple[int, int] | None
        self.known = (-1, -1)  # the last record shown of this list of tenants, and its time

    def record(self, seq: int, shown: dict[str, str]) -> bytes:
        """The leaf of one record; what it shows is taken in."""
        if "leaf" in shown:
            if self.reached:
                raise BadError("its head is left out, inside the time or after it", seq)
            self.edge = None
            return raw(shown["leaf"])
        head, commitments = raw(shown["head"]), raw(shown["commitments"])
        said, part = said_by(head), b""
        if said["seq"] != seq or said["site"] != self.document["site"]:
            raise BadError(f"record {said['seq']} of {said['site']} stands in its place", seq)
        if "part" in shown:
            salt, part = raw(shown["salt"]), raw(shown["part"])
            own = commitments[32 * self.part : 32 * self.part + 32]
            if len(salt) != 16 or sha(b"\2", salt, part) != own:
                raise BadError("its part is not the one that was recorded", seq, said["utc_s"])
        self.take(seq, said, part, whole="part" in shown or not commitments)
        return sha(b"\0", head, commitments)

    def take(self, seq: int, said: dict[str, Any], part: bytes, whole: bool) -> None:
        kind, own, utc_s = said["kind"], said_by(part) if part else {}, said["utc_s"]
        if kind in ("start", "names") and whole:
            self.names[said["boot_id"]] = own
            if own["tenant"] != self.document["tenant"]:
                raise BadError(f"its part is that of {own['tenant']}", seq, utc_s)
        if kind == "factor":
            self.factors[sha(said["factor"])[:8]] = said_by(said["factor"])
        needed = inside = self.low_s <= utc_s < self.high_s
        if kind == "second" and not self.reached:
            needed |= whole  # before its time: a correction's window begins here
            self.edge = self.edge if self.edge and whole else (said["boot_id"], utc_s)
        self.reached |= kind == "second" and inside
        self.closed |= kind == "start" and self.reached and not whole
        if not self.closed:
            self.known = seq, utc_s
            needed |= kind == "correction" and self.reached
        if kind in ("start", "names") or not needed:
            return
        if not whole:
            raise BadError("the tenant's part is left out", seq, utc_s)
        if kind == "second":
            self.second(seq, said, own)
        elif kind == "gap":
            self.gaps += 1
        elif kind == "correction" and own and utc_s >= self.low_s:
            self.correction(seq, {"refers_to": said["refers_to"], **own}, inside)
        elif kind == "meter" and own and said["what"] == "swap":
            self.changes.append(hold_change(part, seq, utc_s))
        elif kind == "counter" and own:
            key = (own["name"], own["unit"], own["source"])
            self.counters.setdefault(key, []).append(own["value"])

    def correction(self, seq: int, own: dict[str, Any], inside: bool) -> None:
        """Keep one of the time asked for; of two for the same window the later holds."""
        said = own["figures"]
        if "gap_mj" in said:
            inside = said["first_s"] < self.high_s and said["last_s"] >= self.low_s
            if inside:
                key = said["boot_id"], said["sink"], said["first_s"], said["last_s"]
                self.windows[key] = {"record": seq, **said}
        if inside:
            self.corrections.append({"record": seq, **own})

    def second(self, seq: int, said: dict[str, Any], own: dict[str, Any]) -> None:
        names, utc_s = self.names.get(said["boot_id"]), said["utc_s"]
        if names is None:
            raise BadError("no record names the loads of this run", seq, utc_s)
        sinks, cells = dict(names["sinks"]), []
        count = len(own["cells"]) // 2
        energy = struct.unpack(f"<{count}q", own["energy_mj"])
        carbon = struct.unpack(f"<{count}q", own["carbon_ug"])
        for at in range(count):
            source, sink = own["cells"][2 * at], own["cells"][2 * at + 1]
            if sink not in sinks:
                raise BadError(f"sink {sink} is none of the tenant's", seq, utc_s)
            cells.append((names["sources"][source], sinks[sink], energy[at], carbon[at]))
        minute = said["boot_id"], self.span(utc_s)[0]
        if minute != self.minute:  # one that a clock set back brings again is not corrected again
            self.minute, self.now = minute, []
            self.minutes.setdefault(minute, self.now)
        self.now.append((utc_s, own["used_max_mg_per_kwh"], cells))
        if not self.low_s <= utc_s < self.high_s:
            return
        for name, load, mj, ug in cells:
            self.mj[name, load] += mj
            self.ug[name, load] += ug
        self.origins(seq, said, own, names["sources"])
        self.seconds += 1
        self.scans += said["scans"]
        self.missed += said["gap_scans"]
        self.samples += own["samples"]
        self.good += own["good_samples"]
        self.clocks[said["clock"]] += 1
        self.defaults += own.get("carbon_default_scans", 0)
        self.unknown += own.get("factor_unknown_scans", 0)
        for name, scans, age_s in struct.iter_unpack("<8sIi", own.get("factors", b"")):
            if name not in self.factors:
                raise BadError(f"no record shows its factor {name.hex()}", seq, utc_s)
            use = self.used.setdefault(name, [0, 0, age_s, age_s])
            use[:] = use[0] + 1, use[1] + scans, min(use[2], age_s), max(use[3], age_s)

    def span(self, utc_s: int) -> tuple[int, int]:
        """The minute of a second, cut where the time of the receipt begins and ends."""
        start, end = utc_s // 60 * 60, utc_s // 60 * 60 + 60
        for cut in (self.low_s, self.high_s):
            start, end = (max(start, cut), end) if cut <= utc_s else (start, min(end, cut))
        return start, end

    def lay(self, said: dict[str, Any], due: dict[tuple[int, int], Counter[str]]) -> None:
        """Share a correction out over its minutes: by what they booked, a gap's by time."""
        first, last, booked, gaps = (said[n] for n in ("first_s", "last_s", "booked_mj", "gaps"))
        more, whole = said["energy_mj"] - booked, booked or last - first + 1
        length = sum(gap[1] - gap[0] + 1 for gap in gaps)
        seen = gap_seen = gap_seconds = given = 0
        for at in range(bisect_left(self.order, (said["boot_id"], self.span(first)[0])),
                        bisect_left(self.order, (said["boot_id"], last + 1))):  # fmt: skip
            for utc_s, _, cells in self.minutes[self.order[at]]:
                if first <= utc_s <= last:
                    mj = sum(each for _, sink, each, _ in cells if sink == said["sink"])
                    seen += mj if booked else 1
                    if any(gap[0] <= utc_s <= gap[1] for gap in gaps):
                        gap_seen, gap_seconds = gap_seen + mj, gap_seconds + 1
            upto = more
            if last >= self.span(self.order[at][1])[1]:  # not its last minute, which has the rest
                upto = (1 if more > 0 else -1) * (abs(more) * min(seen, whole) // whole)
                if gaps and said["gap_mj"] + more >= 0:
                    upto = (said["gap_mj"] + more) * gap_seconds // length - gap_seen
            due.setdefault(self.order[at], Counter())[said["sink"]] += upto - given
            given = upto

    def change(self) -> tuple[Counter[Cell], Counter[Cell]]:
        """What corrections add: each sink's cells keep their mixture and intensities."""
        found_mj, found_ug = Counter(), Counter()  # type: Counter[Cell], Counter[Cell]
        due: dict[tuple[int, int], Counter[str]] = {}
        self.order = sorted(self.minutes)
        for window in self.windows.values():
            self.lay(window, due)
        for minute, sink, mj in ((at, *each) for at, own in due.items() for each in own.items()):
            if not self.low_s <= minute[1] < self.high_s:
                continue
            has_mj, has_ug, high = Counter[str](), Counter[str](), 0
            for _, used, cells in self.minutes[minute]:
                high = max(high, used)
                for source, load, own_mj, own_ug in cells:
                    has_mj[source] += own_mj * (load == sink)
                    has_ug[source] += own_ug * (load == sink)
            some = sorted(each for each in has_mj if has_mj[each] > 0)
            if not some:  # nobody can say from the tenant's own what fed it
                some, has_mj["unmetered"], has_ug["unmetered"] = ["unmetered"], 3_600_000, high
            sign, parts = 1 if mj > 0 else -1, shares(abs(mj), [has_mj[each] for each in some])
            for source, part in zip(some, parts, strict=True):
                found_mj[source, sink] += sign * part
                found_ug[source, sink] += sign * (has_ug[source] * part // has_mj[source])
        return found_mj, found_ug

    def totals(self) -> dict[str, Any]:
        """As booked, what corrections add, as corrected; the receipt must state the same."""
        edge = self.edge or (-1, self.low_s)
        if self.low_s <= edge[1] < self.high_s:
            raise BadError("nothing shows that its first second is the first of its time")
        sinks = {name for each in self.names.values() for _, name in each["sinks"]}
        for each in self.windows.values():
            if each["sink"] not in sinks:
                raise BadError(f"it corrects {each['sink']}, none of the tenant's", each["record"])
            if edge[0] == each["boot_id"] and edge[1] >= each["first_s"]:
                raise BadError("not all seconds that it corrects are shown", each["record"])
        more_mj, more_ug = self.change()
        found = {"as_booked": sums(self.mj, self.ug), "change": sums(more_mj, more_ug)}
        self.mj.update(more_mj)
        self.ug.update(more_ug)
        found["as_corrected"] = sums(self.mj, self.ug)
        stated, records = self.document["totals"], {each["record"] for each in self.corrections}
        for seq in sorted(records ^ set(stated["correction_records"])):
            why = "does not state it" if seq in records else "has none of this tenant and time"
            raise BadError(f"as a correction the receipt {why}", seq)
        for name, own in found.items():
            for key in own:
                if stated[name][key] != own[key]:
                    raise BadError(f"it states {name} {key} {stated[name][key]}, not {own[key]}")
        return found

    def origins(
        self, seq: int, said: dict[str, Any], own: dict[str, Any], sources: list[str]
    ) -> None:
        """Add a second's energy by origin: what came of a battery goes by what had charged it."""
        batteries = own.get("through", b"")
        given = struct.unpack(f"<{4 * len(batteries)}q", own.get("through_mj", b""))
        through = {source: given[4 * at : 4 * at + 4] for at, source in enumerate(batteries)}
        energy = struct.unpack(f"<{len(own['cells']) // 2}q", own["energy_mj"])
        by_source: Counter[int] = Counter()
        for source, amount in zip(own["cells"][::2], energy, strict=True):
            by_source[source] += amount
        if any(sum(through[each]) != by_source[each] for each in through):
            raise BadError("a battery's energy is not the sum of its origins", seq, said["utc_s"])
        for source, amount in by_source.items():
            if source in through:
                for name, part in zip(THROUGH, through[source], strict=True):
                    self.origin_mj[name] += part
            else:
                self.origin_mj[sources[source]] += amount

    def summary(self, head: Head) -> dict[str, Any]:
        totals, counters = self.totals(), []
        carbon = totals["as_corrected"]["carbon_ug"]
        for (name, unit, source), values in sorted(self.counters.items()):
            # A counter that starts anew counts from nothing: falls add what follows them.
            pairs = pairwise(values)
            count = sum(b - a if b >= a else b for a, b in pairs)
            per_unit = carbon / count if count else None
            counters.append({"name": name, "unit": unit, "source": source, "count": count,
                             "carbon_ug_per_unit": per_unit})  # fmt: skip
        return {
            "tenant": self.document["tenant"], "site": self.document["site"],
            "from_utc_s": self.low_s, "to_utc_s": self.high_s, "seconds": self.seconds,
            "scans": self.scans, "missed_scans": self.missed, "gaps": self.gaps,
            "samples": self.samples, "good_samples": self.good, "clock": dict(self.clocks),
            **totals,
            "booked_mj_by_origin": {name: mj for name, mj in self.origin_mj.items() if mj},
            "counters": counters, "corrections": self.corrections,
            "corrections_known_to_record": self.known[0],
            "corrections_known_to_utc_s": self.known[1],
            "meters_changed": self.changes, "factors": [
                {"name": name.hex(), **self.factors[name], **dict(zip(
                    ("seconds", "scans", "age_min_s", "age_max_s"), use, strict=True))}
                for name, use in self.used.items()
            ],
            "default_factor_scans": self.defaults, "unknown_factor_scans": self.unknown,
            "head_number": head.number, "head_records": head.size, "head_utc_s": head.utc_s,
        }  # fmt: skip


def cover(first: int, end: int) -> list[int]:
    """Levels of the aligned subtrees over leaves first to end."""
    levels = []
    while first < end:
        level = (end - first).bit_length() - 1
        if first:
            level = min(level, (first & -first).bit_length() - 1)
        levels.append(level)
        first += 1 << level
    return levels


def verify_receipt(path: Path, key: bytes) -> dict[str, Any]:
    """What a receipt proves. Raises BadError, UnreadableError."""
    with reading(UnreadableError, f"{path}: it is not a receipt"):
        document = json.loads(gzip.decompress(path.read_bytes()))
        if document["format"] != "edgectl.receipt/2":
            raise UnreadableError(f"{path}: not a receipt of a known form")
        check, first, shown = ReceiptCheck(document), int(document["first"]), document["records"]
        left, right = raw(document["left"]), raw(document["right"])
    with reading(BadError, "it cannot be read"):
        head = head_of(document, key)
        tree = Tree(first, left)
        for seq, each in enumerate(shown, start=first):
            tree.add(check.record(seq, each))
        levels = cover(tree.size, head.size)
        if len(right) != 32 * len(levels) or tree.size > head.size:
            raise BadError("its hashes do not complete the tree of its head")
        for at, level in enumerate(levels):
            tree.add(right[32 * at : 32 * at + 32], level)
        if tree.root() != head.root:
            raise BadError(f"its records are not those of signed head {head.number}")
        if not check.seconds:
            raise BadError("it holds no second of the time it is for")
        return check.summary(head)


# ---- one record of a verifier's sample


def verify_record(path: Path, key: bytes) -> dict[str, Any]:
    """What a sampled record says, proved (RFC 9162, 2.1.3.2). Raises BadError, UnreadableError."""
    with reading(UnreadableError, f"{path}: it is not a sampled record"):
        document = json.loads(path.read_bytes())
        if document["format"] != "edgectl.record/1":
            raise UnreadableError(f"{path}: not a sampled record of a known form")
        seq, proof = int(document["seq"]), [bytes.fromhex(each) for each in document["proof"]]
        head = raw(document["record"])
        rest = [raw(part[name]) for part in document["parts"] for name in ("salt", "part")]
    with reading(BadError, f"record {seq}: it cannot be read"):
        tree, said = head_of(document, key), said_by(head)
        pairs = zip(rest[::2], rest[1::2], strict=True)
        node = sha(b"\0", head, *(sha(b"\2", salt, part) for salt, part in pairs))
        at, last = seq, tree.size - 1
        for each in proof:
            if at & 1 or at == last:
                node = sha(b"\1", each, node)
                while at and not at & 1:
                    at, last = at >> 1, last >> 1
            else:
                node = sha(b"\1", node, each)
            at, last = at >> 1, last >> 1
        if (said["seq"], said["site"]) != (seq, document["site"]):
            raise BadError(f"record {said['seq']} of {said['site']} stands in its place", seq)
        if last or node != tree.root or any(len(salt) != 16 for salt in rest[::2]):
            raise BadError(f"it is not the one under signed head {tree.number}", seq)
        owns = [said_by(each) for each in rest[1::2]]
        total = {name: sum(sum(struct.unpack(f"<{len(own[name]) // 8}q", own[name]))
                           for own in owns) for name in ("energy_mj", "carbon_ug")}  # fmt: skip
        return {"site": said["site"], "record": seq, "utc_s": said["utc_s"], **total,
                "clock": said["clock"], "head_number": tree.number,
                "head_records": tree.size}  # fmt: skip


def read_heads(path: Path) -> list[Head]:
    """Heads of a file, or of every file of a witness's directory."""
    files = sorted(path.glob("*.head.json")) if path.is_dir() else [path]
    return [Head.published(json.loads(each.read_bytes())) for each in files]


def main() -> int:
    """Command line; the exit status."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("what", nargs="+", metavar="LEDGER | receipt FILE | record FILE")
    parser.add_argument("--key", required=True, type=Path, help="public key: PEM or hex")
    parser.add_argument("--head", action="append", default=[], type=Path, help="kept elsewhere")
    parser.add_argument("--live", action="store_true", help="it is being written now")
    asked = parser.parse_args()
    try:
        key = read_key(asked.key)
        alone = {"receipt": verify_receipt, "record": verify_record}.get(asked.what[0])
        if alone and len(asked.what) == 2:
            print(json.dumps(alone(Path(asked.what[1]), key)))
        elif len(asked.what) == 1:
            pinned = [head for path in asked.head for head in read_heads(path)]
            print(f"{asked.what[0]}: {verify_ledger(Path(asked.what[0]), key, pinned, asked.live)}")
        else:
            parser.error("give LEDGER, receipt FILE, or record FILE")
    except BadError as bad:
        print(f"{asked.what[-1]}: BAD. {bad}")
        return 1
    except (UnreadableError, OSError, ValueError) as error:
        print(f"{asked.what[-1]}: could not be read: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
