"""A device profile as the rest of edgectl sees it: checked, frozen, in SI units."""

from dataclasses import dataclass

INT64_MAX = 2**63 - 1  # a time that never comes


@dataclass(frozen=True, slots=True)
class Probe:
    """One identity read; any alternative must agree under the mask."""

    function: int
    address: int
    count: int
    mask: tuple[int, ...]
    alternatives: tuple[tuple[int, ...], ...]
    text: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Firmware:
    """Where the version stands, and the versions this map holds for.

    decode  words bytes nibbles text: FirmwareDecode of fieldbus.pxd
    ranges  (from, up to) as version keys, the latter excluded
    """

    function: int
    address: int
    count: int
    decode: str
    ranges: tuple[tuple[int, int], ...]
    source: str


@dataclass(frozen=True, slots=True)
class Point:
    """One value. value = raw * scale * 10**sf + offset, in `unit`, sign folded in.

    function       Modbus function that reads it: 1 coil, 2 discrete, 3 holding, 4 input
    words          registers (bits for functions 1 and 2) it takes
    type           u16 s16 u32 s32 u64 s64 f32 f64 bit
    sf_address     register of the SunSpec scale factor, None without
    valid_min/max  SI, after sign
    raw_unit       unit as the profile names it, before conversion to SI
    modulus        raw value at which a counter rolls over to 0; 0: at its width
    """

    name: str
    function: int
    address: int
    words: int
    type: str
    bit: int
    unit: str
    raw_unit: str
    scale: float
    offset: float
    sentinel: int | None
    sf_address: int | None
    valid_min: float
    valid_max: float
    slew_max_per_s: float
    stale_after_ns: int
    frozen_after_ns: int
    every: int
    printed: str | None
    source: str
    modulus: int = 0

    @property
    def first_word(self) -> int:
        """Lowest register that must be read to know the value."""
        return self.address if self.sf_address is None else min(self.address, self.sf_address)

    @property
    def end_word(self) -> int:
        """One past the highest register that must be read to know the value."""
        end = self.address + self.words
        return end if self.sf_address is None else max(end, self.sf_address + 1)


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that may be written: template words with the value put in.

    scale       raw = value / scale / 10**sf, value in `unit`, sign folded in
    raw_min/max what fits the register and the command's valid range
    sf_point    name of the point with the scale factor, None without
    readback    name of the point that shows what the device took, None if it cannot
    """

    name: str
    function: int
    address: int
    count: int
    value_word: int
    type: str
    template: tuple[int, ...]
    unit: str
    scale: float
    raw_min: float
    raw_max: float
    valid_min: float
    valid_max: float
    sf_point: str | None
    readback: str | None
    readback_none: str
    refresh_ns: int
    revert_ns: int
    effect_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class Block:
    """One read request: `count` registers (bits for functions 1 and 2) and its points."""

    function: int
    address: int
    count: int
    every: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One register map of one device, with its read plan.

    reply_ns  the slowest reply of a healthy device, at most timeout_ns
    """

    name: str
    sha256: str
    device_class: str
    vendor: str
    models: tuple[str, ...]
    source: str
    verified: str
    firmware: Firmware | None
    firmware_note: str
    identity_none: str
    low_first: bool
    timeout_ns: int
    reply_ns: int
    connect_timeout_ns: int
    settle_ns: int
    gap_ns: int
    timeouts_to_close: int
    outstanding_max: int
    any_unit: bool
    max_registers: int
    gaps_legal: bool
    units: tuple[int, ...]
    probes: tuple[Probe, ...]
    points: tuple[Point, ...]
    commands: tuple[Command, ...]
    blocks: tuple[Block, ...]

    def point(self, name: str) -> Point:
        """The point of a name; KeyError when the profile has none."""
        return {each.name: each for each in self.points}[name]

    def command(self, name: str) -> Command:
        """The command of a name; KeyError when the profile has none."""
        return {each.name: each for each in self.commands}[name]
