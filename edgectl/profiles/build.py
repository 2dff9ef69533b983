"""A checked profile file into the frozen profile: units to SI, sign folded in, words laid out."""

import math
from fractions import Fraction

from edgectl.profiles.model import INT64_MAX, Command, Firmware, Point, Probe, Profile
from edgectl.profiles.numbers import (
    FUNCTIONS,
    WORDS,
    rational,
    raw_range,
    split_layout,
    version_key,
    words_of,
)
from edgectl.profiles.read_plan import read_plan
from edgectl.profiles.schema import (
    CommandSection,
    FirmwareSection,
    IdentitySection,
    PointSection,
    ProfileFile,
)
from edgectl.profiles.units import UNITS

NS_PER_MS = 1_000_000


def build_profile(name: str, sha256: str, file: ProfileFile) -> Profile:
    """Compile a file that check_profile found no fault with."""
    device, modbus = file.device, file.modbus
    low_first = modbus.word_order == "low_first"
    points = tuple(_point(each, device.source) for each in file.point)
    gaps_legal = modbus.gaps == "legal"
    return Profile(
        name=name,
        sha256=sha256,
        device_class=device.class_,
        vendor=device.vendor,
        models=tuple(device.models),
        source=device.source,
        verified=device.verified,
        firmware=_firmware(file.firmware),
        firmware_note=device.firmware_note or "",
        identity_none=device.identity_none or "",
        low_first=low_first,
        timeout_ns=modbus.timeout_ms * NS_PER_MS,
        reply_ns=(modbus.reply_ms or modbus.timeout_ms) * NS_PER_MS,
        connect_timeout_ns=modbus.connect_timeout_ms * NS_PER_MS,
        settle_ns=modbus.connect_settle_ms * NS_PER_MS,
        gap_ns=modbus.gap_ms * NS_PER_MS,
        timeouts_to_close=modbus.timeouts_to_close,
        outstanding_max=modbus.max_outstanding,
        any_unit=modbus.unit_echo == "any",
        max_registers=modbus.max_registers,
        gaps_legal=gaps_legal,
        units=tuple(modbus.units),
        probes=tuple(_probe(each) for each in file.identity),
        points=points,
        commands=tuple(_command(each, device.source, low_first) for each in file.command),
        blocks=read_plan(points, modbus.max_registers, gaps_legal),
    )


def _factor(unit: str, scale: str | int | float, sign: str) -> Fraction:
    factor = rational(scale) * UNITS[unit].factor
    return -factor if sign == "export_positive" else factor


def _to_si(unit: str, value: float) -> float:
    """A number of a unit in SI; decimal texts stay exact, so 8 500 W is 8 500 W."""
    if math.isinf(value):
        return value
    return float(Fraction(str(value)) * UNITS[unit].factor + UNITS[unit].offset)


def _point(row: PointSection, source: str) -> Point:
    unit = UNITS[row.unit]
    slew = row.slew_max_per_s
    frozen = row.frozen_after_ms
    return Point(
        name=row.name,
        function=FUNCTIONS[row.table],
        address=row.address,
        words=WORDS[row.type],
        type=row.type,
        bit=row.bit if row.table in ("holding", "input") else 0,
        unit=unit.si,
        raw_unit=row.unit,
        scale=float(_factor(row.unit, row.scale, row.sign)),
        offset=float(unit.offset),
        sentinel=row.sentinel,
        sf_address=row.scale_factor,
        valid_min=_to_si(row.unit, row.valid[0]),
        valid_max=_to_si(row.unit, row.valid[1]),
        slew_max_per_s=math.inf if slew is None else float(Fraction(str(slew)) * unit.factor),
        stale_after_ns=row.stale_after_ms * NS_PER_MS,
        frozen_after_ns=INT64_MAX if frozen is None else frozen * NS_PER_MS,
        every=row.every_scans,
        printed=row.printed,
        source=row.source or source,
        modulus=row.modulus or 0,
    )


def probe_words(row: IdentitySection) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Mask and alternatives of an identity section, its text put into words."""
    if row.text is None:
        alternatives = tuple(tuple(each) for each in row.equals or ())
        width = len(alternatives[0]) if alternatives else 0
        return tuple(row.mask or [0xFFFF] * width), alternatives
    raw = row.text.encode("ascii")
    mask = b"\xff" * len(raw)
    if len(raw) % 2:
        raw, mask = raw + b"\0", mask + b"\0"
    pairs = range(0, len(raw), 2)
    return (
        tuple(int.from_bytes(mask[at : at + 2], "big") for at in pairs),
        (tuple(int.from_bytes(raw[at : at + 2], "big") for at in pairs),),
    )


def _probe(row: IdentitySection) -> Probe:
    mask, alternatives = probe_words(row)
    return Probe(
        function=FUNCTIONS[row.table],
        address=row.address,
        count=len(mask),
        mask=mask,
        alternatives=alternatives,
        text=row.text,
        source=row.source,
    )


def _firmware(row: FirmwareSection | None) -> Firmware | None:
    if row is None:
        return None
    return Firmware(
        function=FUNCTIONS[row.table],
        address=row.address,
        count=row.count,
        decode=row.decode,
        ranges=tuple((version_key(low), version_key(high)) for low, high in row.ranges),
        source=row.source,
    )


def _command(row: CommandSection, source: str, low_first: bool) -> Command:
    template: list[int] = []
    value_word, type_name = 0, ""
    for entry in row.layout:
        kind, what = split_layout(entry)
        if what == "value":
            value_word, type_name = len(template), kind
            template += [0] * WORDS[kind]
        else:
            template += words_of(kind, float(what), low_first)
    scale = float(_factor(row.unit, row.scale, row.sign))
    valid_min, valid_max = (_to_si(row.unit, edge) for edge in row.valid)
    raw_min, raw_max = raw_range(type_name)
    if row.scale_factor is None:  # else the raw range moves with the scale factor
        edges = sorted((valid_min / scale, valid_max / scale))
        raw_min, raw_max = max(raw_min, edges[0]), min(raw_max, edges[1])
    none = row.readback.startswith("none:")
    return Command(
        name=row.name,
        function=row.function,
        address=row.address,
        count=len(template),
        value_word=value_word,
        type=type_name,
        template=tuple(template),
        unit=UNITS[row.unit].si,
        scale=scale,
        raw_min=raw_min,
        raw_max=raw_max,
        valid_min=valid_min,
        valid_max=valid_max,
        sf_point=row.scale_factor,
        readback=None if none else row.readback,
        readback_none=row.readback.removeprefix("none:").strip() if none else "",
        refresh_ns=row.refresh_ms * NS_PER_MS,
        revert_ns=INT64_MAX if row.revert_ms is None else row.revert_ms * NS_PER_MS,
        effect_ns=row.effect_ms * NS_PER_MS,
        source=row.source or source,
    )
