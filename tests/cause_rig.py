"""A site's rows in the real scan, fed register by register; no bus and no real clock.

The site is loaded and compiled as ever. Only what the kernel works out by itself (its own
points, and the monitors' where a case is not about them) is put onto the wire instead, as f64
registers of one more device, so that it can be set to the last bit: a row does not know
where its point comes from. What makes those points has tests of its own.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from cause_table import FILES, Row

from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.quality import Reason
from edgectl.image import private_segment
from edgectl.image.mailbox import post
from edgectl.profiles.model import INT64_MAX, Block, Point
from edgectl.site_model import KernelTables, Site, compile_tables, load_site

S = 1_000_000_000
START_NS = 1_000 * S
START_UTC_NS = 1_690_000_000 * S
RIG = "RIG"
F64_WORDS, BLOCK_WORDS = 4, 124
DISCRETE = ("bool", "count", "enum")
CLEAR, PENDING = InterlockStatus.INTERLOCK_CLEAR, InterlockStatus.INTERLOCK_PENDING
TRIPPED, LATCHED = InterlockStatus.INTERLOCK_TRIPPED, InterlockStatus.INTERLOCK_LATCHED
FLOATS = {"f32": (">f", ">I", 32), "f64": (">d", ">Q", 64)}
LONG_S = 3600 * S


@cache
def site_of(name: str) -> Site:
    """A site through the real load path."""
    return load_site(FILES[name])


@dataclass(frozen=True)
class Register:
    """Where a tag stands on the wire, and what its codes mean.

    A code is the raw integer of the register; of a float it is the place of its bit pattern in
    the order of the numbers, so that one more is always the next value that it can show.
    """

    point: Point
    block: int
    word: int
    sf_word: int
    low_first: bool
    exponent: int

    @property
    def codes(self) -> tuple[int, int]:
        """Least and greatest code."""
        kind = self.point.type
        if kind == "bit":
            return 0, 1
        if kind in FLOATS:
            pattern, _, _ = FLOATS[kind]
            most = _code(kind, struct.unpack(pattern, _bytes(kind, _top(kind)))[0])
            return -most, most
        bits = int(kind[1:])
        return (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def value(self, code: int) -> float:
        """What the kernel makes of a code, by the profile's own words: raw * scale * 10^sf + b."""
        raw = _number(self.point.type, code) if self.point.type in FLOATS else float(code)
        scale = self.point.scale
        if self.sf_word >= 0:
            scale *= float(f"1e{self.exponent}")
        return raw * scale + self.point.offset

    def at_most(self, value: float) -> int:
        """The code of the greatest value that is not over one."""
        up = self.up
        low, high = self.codes[:: 1 if up > 0 else -1]
        if self.value(high) <= value:
            return high
        assert self.value(low) <= value, f"{self.point.name} cannot show {value}"
        while abs(high - low) > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.value(middle) <= value else (low, middle)
        return low

    def at_least(self, value: float) -> int:
        """The code of the least value that is not under one."""
        code = self.at_most(value)
        return code if self.value(code) >= value else code + self.up

    @property
    def up(self) -> int:
        """The step of the code that makes the value greater."""
        return 1 if self.point.scale > 0 else -1

    def shows(self, code: int) -> bool:
        """Whether a good value can be this one."""
        low, high = self.codes
        good = low <= code <= high and code != self.point.sentinel
        return good and self.point.valid_min <= self.value(code) <= self.point.valid_max

    def words(self, code: int) -> list[int]:
        """The registers that carry a code."""
        kind = self.point.type
        if kind in FLOATS:
            _, pattern, bits = FLOATS[kind]
            raw = struct.unpack(pattern, _bytes(kind, code))[0]
        else:
            bits = 16 if kind == "bit" else int(kind[1:])
            raw = code % 2**bits
        count = bits // 16
        high_first = [raw >> 16 * (count - 1 - at) & 0xFFFF for at in range(count)]
        return high_first[::-1] if self.low_first else high_first


def _top(kind: str) -> int:
    """Code of the greatest finite float."""
    return 0x7F7FFFFF if kind == "f32" else 0x7FEFFFFFFFFFFFFF


def _bytes(kind: str, code: int) -> bytes:
    _, pattern, bits = FLOATS[kind]
    return struct.pack(pattern, code if code >= 0 else (1 << bits - 1) | -code)


def _number(kind: str, code: int) -> float:
    return float(struct.unpack(FLOATS[kind][0], _bytes(kind, code))[0])


def _code(kind: str, number: float) -> int:
    """The code of a float; of what is not a number, or infinite, too."""
    pattern, bits_pattern, bits = FLOATS[kind]
    raw = int(struct.unpack(bits_pattern, struct.pack(pattern, number))[0])
    return raw if raw < 1 << bits - 1 else -(raw - (1 << bits - 1))


@dataclass(frozen=True)
class Compiled:
    """Some rows of a site, as tables, and where their tags stand."""

    site: Site
    tables: KernelTables
    registers: dict[str, Register]
    rows: tuple[str, ...]


@cache
def compiled(name: str, ids: tuple[str, ...], *, monitors: bool) -> Compiled:
    """Tables of a site with these rows alone.

    monitors  leave them as they are; else their points, too, come over the wire
    """
    site = site_of(name)
    kept = tuple(row for row in site.interlocks if row.id in ids)
    site = replace(site, interlocks=kept)
    if monitors:
        used = {cause.tag.partition(".")[0] for row in kept for cause in row.causes}
        site = replace(site, monitors=tuple(each for each in site.monitors if each.id in used))
    else:
        site = _on_the_wire(replace(site, monitors=()))
    tables = compile_tables(site)
    tables.scan["may_arm"] = 1  # whether a battery's stop was proved is no matter of a row
    return Compiled(site, tables, _registers(site), tuple(row.id for row in kept))


def _on_the_wire(site: Site) -> Site:
    """The site with one more device that shows what no wire shows of its causes' tags."""
    wired = {f"{each.id}.{point.name}" for each in site.devices for point in each.profile.points}
    causes = (cause for row in site.interlocks for cause in row.causes)
    units = {cause.tag: cause.unit for cause in causes if cause.tag not in wired}
    if not units:
        return site
    points = [_f64(at, unit) for at, unit in enumerate(units.values())]
    per_block = BLOCK_WORDS // F64_WORDS
    blocks = tuple(
        Block(3, part[0].address, len(part) * F64_WORDS, 1, tuple(part))
        for part in (points[at : at + per_block] for at in range(0, len(points), per_block))
    )
    base = site.devices[0]
    profile = replace(
        base.profile, points=tuple(points), blocks=blocks, commands=(), probes=(), firmware=None,
        low_first=False,
    )  # fmt: skip
    device = replace(base, id=RIG, profile=profile, host="127.0.0.1", port=9, line=None)
    names = {tag: f"{RIG}.{point.name}" for tag, point in zip(units, points, strict=True)}
    rows = tuple(
        replace(row, causes=tuple(replace(c, tag=names.get(c.tag, c.tag)) for c in row.causes))
        for row in site.interlocks
    )
    return replace(site, devices=(*site.devices, device), interlocks=rows)


def _f64(at: int, unit: str) -> Point:
    return Point(
        name=f"p{at}", function=3, address=at * F64_WORDS, words=F64_WORDS, type="f64", bit=0,
        unit=unit, raw_unit=unit, scale=1.0, offset=0.0, sentinel=None, sf_address=None,
        valid_min=-1e15, valid_max=1e15, slew_max_per_s=float("inf"), stale_after_ns=S,
        frozen_after_ns=INT64_MAX, every=1, printed=None, source="",
    )  # fmt: skip


def _registers(site: Site) -> dict[str, Register]:
    found: dict[str, Register] = {}
    block_at = 0
    for device in site.devices:
        for block in device.profile.blocks:
            for point in block.points:
                sf_word = -1 if point.sf_address is None else point.sf_address - block.address
                found[f"{device.id}.{point.name}"] = Register(
                    point, block_at, point.address - block.address, sf_word,
                    device.profile.low_first, _exponent(point),
                )  # fmt: skip
            block_at += 1
    return found


def _exponent(point: Point) -> int:
    """The scale factor that the device of this site shows: ten kilowatts a step of power."""
    return 4 if point.unit in ("W", "var", "VA") else 0


class Rig:
    """Some rows of a site in a kernel that a test steps."""

    def __init__(self, site: str, ids: Iterable[str], *, monitors: bool = False) -> None:
        """Nothing was received yet, and every row stands at its start."""
        self.made = compiled(site, tuple(ids), monitors=monitors)
        tables = self.made.tables
        self.period_ns = self.made.site.scan.period_ns
        self.segment = private_segment(tables.directory, 4)
        self.reader = self.segment.reader()
        self.kernel = Kernel(tables, self.segment.buffer)
        self.now_ns = START_NS
        self.utc_ns = START_UTC_NS
        self.words: dict[int, np.ndarray[Any, Any]] = {}
        self.moving: dict[str, tuple[int, int]] = {}
        self.silent: set[int] = set()
        self.odd = False
        self.tags = self._tags()
        if self.made.site.local_reset is not None:
            self.show(self.made.site.local_reset, 0)

    def _tags(self) -> dict[str, str]:
        """From the tags of the site file to those on the wire."""
        written = [c.tag for r in site_of(self.site_name).interlocks if r.id in self.made.rows
                   for c in r.causes]  # fmt: skip
        here = [c.tag for r in self.made.site.interlocks for c in r.causes]
        return dict(zip(written, here, strict=True))

    @property
    def site_name(self) -> str:
        """Key of FILES."""
        return next(name for name in FILES if site_of(name).id == self.made.site.id)

    def register(self, tag: str) -> Register:
        """The register of a tag of the site file."""
        return self.made.registers[self.tags.get(tag, tag)]

    def show(self, tag: str, code: int, away: int = 0) -> None:
        """Show a code from the next scan on.

        away  where the point must move, it does between this code and so much further
        """
        register = self.register(tag)
        if away and register.point.frozen_after_ns < INT64_MAX:
            self.moving[tag] = (code, away)
        else:
            self.moving.pop(tag, None)
        self._put(register, register.words(code))

    def show_number(self, tag: str, number: float) -> None:
        """Show what is no number, or an infinite one, in a register that can."""
        register = self.register(tag)
        self.moving.pop(tag, None)
        self._put(register, register.words(_code(register.point.type, number)))

    def _put(self, register: Register, words: Sequence[int]) -> None:
        count = int(self.made.tables.blocks[register.block]["count"])
        block = self.words.setdefault(register.block, np.zeros(count, dtype=np.int64))
        if register.point.type == "bit":
            bit = 1 << register.point.bit
            block[register.word] = int(block[register.word]) & ~bit | (bit if words[0] else 0)
        else:
            block[register.word : register.word + len(words)] = words
        if register.sf_word >= 0:
            block[register.sf_word] = register.exponent % 65536

    def silence(self, tag: str) -> None:
        """Let the block of a tag come no more."""
        self.silent.add(self.register(tag).block)

    def fault(self, tag: str, reason: Reason) -> None:
        """Let the reads of a tag's block fail."""
        self.silence(tag)
        self.kernel.set_fault(self.register(tag).block, reason)

    def with_tag(self, tag: str, tags: Iterable[str]) -> set[str]:
        """Those of some tags that come in one reply with a tag."""
        block = self.register(tag).block
        return {each for each in tags if self.register(each).block == block}

    def step(self, dt_ns: int | None = None) -> None:
        """One scan, a period or so long after the one before; all that is not silent is fresh."""
        self.now_ns += self.period_ns if dt_ns is None else dt_ns
        self.utc_ns += self.period_ns if dt_ns is None else dt_ns
        self.odd = not self.odd
        for tag, (code, away) in self.moving.items():
            register = self.register(tag)
            self._put(register, register.words(code + away * self.odd))
        for block, words in self.words.items():
            if block not in self.silent:
                self.kernel.set_block(block, words.tolist(), self.now_ns)
        for device in range(len(self.made.site.devices)):
            self.kernel.set_link(device, True, self.now_ns)
        self.kernel.step(self.now_ns, self.utc_ns)

    def run(self, scans: int) -> None:
        """So many periods, in two scans at most: time is what the rows count."""
        if scans > 1:
            self.step((scans - 1) * self.period_ns)
        if scans > 0:
            self.step()

    def mail(
        self, kind: MailKind, target: int = -1, value: float = 0.0, authority: int = 0,
        ttl_ns: int = 7 * 86_400 * S,
    ) -> bool:  # fmt: skip
        """One request, taken in one more scan; whether it was accepted."""
        before = int(self.reader.snapshot()["head"]["mails_rejected"]) if self.kernel.scans else 0
        expiry_ns = self.now_ns + ttl_ns
        post(self.segment.head, self.segment.mailbox, kind, target, value, authority, expiry_ns)
        self.step()
        return int(self.reader.snapshot()["head"]["mails_rejected"]) == before

    def reset(self, row: Row, authority: Reset = Reset.RESET_OPERATOR) -> bool:
        """A reset from afar."""
        return self.mail(MailKind.MAIL_RESET, self.at(row), 0.0, authority)

    def press(self) -> None:
        """The push-button at the cabinet, pressed and let go."""
        tag = self.made.site.local_reset
        assert tag is not None
        self.show(tag, 1)
        self.step()
        self.show(tag, 0)
        self.step()

    def settle(self) -> None:
        """Have every row clear: nothing is wrong, and whoever may reset has."""
        self.step()
        self.step(LONG_S)
        self.step()
        self.mail(MailKind.MAIL_RESET, -1, 0.0, Reset.RESET_OPERATOR)
        self.press()
        found = {self.made.rows[at]: each for at, each in enumerate(self.statuses)}
        assert set(found.values()) <= {CLEAR}, f"not clear: {found}"

    def at(self, row: Row) -> int:
        """Place of a row in these tables."""
        return self.made.rows.index(row.id)

    @property
    def statuses(self) -> list[InterlockStatus]:
        """Status of every row."""
        return [InterlockStatus(each) for each in self.reader.snapshot()["interlocks"]["status"]]

    def state(self, row: Row) -> Any:
        """The snapshot of one row."""
        return self.reader.snapshot()["interlocks"][self.at(row)]

    def status(self, row: Row) -> InterlockStatus:
        """The status of one row."""
        return InterlockStatus(int(self.state(row)["status"]))

    def storage(self, asset: str) -> Any:
        """The snapshot of one battery."""
        names = [each.id for each in self.made.site.batteries]
        return self.reader.snapshot()["storages"][names.index(asset)]
