"""A SunSpec device written down as a device profile."""

import json
import math
import textwrap
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version

from edgectl.commissioning.client import DeviceError
from edgectl.commissioning.models import TYPES
from edgectl.commissioning.reading import Reading, decoded
from edgectl.commissioning.sunspec import MARKER_WORDS, Chain
from edgectl.commissioning.sunspec_points import (
    COVERED,
    FAST,
    METERS,
    REQUEST_WORDS_MAX,
    Draft,
    Drafted,
    draft,
)
from edgectl.profiles import Profile, parse_profile
from edgectl.profiles.units import UNITS

COLUMNS = 100
PROBE_WORDS_MAX = 10  # fieldbus.pxd: text of one identity probe
TIMEOUT_MIN_MS = 60
STORAGE = (124, 713, 802)
TEXT_OFFSETS = {"Mn": 2, "Md": 18}  # of model 1, words from its ID


@dataclass(frozen=True, slots=True)
class Written:
    """A profile's text, checked: it compiles, and says what the device said.

    differs  names of points that would read back another value: none, or the file is not to be used
    """

    text: str
    profile: Profile
    drafted: Drafted
    differs: tuple[str, ...]


def write(chain: Chain, unit: int, round_trip_ns: int, keep_all: bool, day: date) -> Written:
    """Put a discovered device into the form of profiles.

    chain          discovered with its words
    round_trip_ns  the longest that was seen; the timeout allows three of them
    keep_all       also points that the device says it does not implement
    day            of the reading

    Raises DeviceError if the chain holds nothing a profile could be made of.
    """
    drafted = draft(chain.models, keep_all)
    if not drafted.points:
        raise DeviceError(
            where=f"SunSpec at {chain.base}",
            problem=f"models {', '.join(map(str, chain.ids)) or 'none'}: no point to write",
            because="Only what a model with points implements can be read by a profile.",
            remedy="For another device start from its manual: tools/new_profile.",
        )
    timeout_ms = max(TIMEOUT_MIN_MS, math.ceil(3 * round_trip_ns / 1e7) * 10)
    parts = [
        _comment(chain, drafted, day),
        _device(chain, day),
        _modbus(unit, timeout_ms),
        *_identities(chain),
        *(_point(each) for each in drafted.points),
    ]
    text = "\n".join(parts)
    profile = parse_profile("written.toml", text.encode())
    return Written(text, profile, drafted, _differs(chain, drafted, profile))


def _quoted(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=True)


def device_class(chain: Chain) -> str:
    """What a site may use the device for."""
    if any(each in STORAGE for each in chain.ids):
        return "storage"
    return "meter" if any(each in METERS for each in chain.ids) else "inverter"


def _comment(chain: Chain, drafted: Drafted, day: date) -> str:
    """What the reader must know before the first line."""
    chained = " | ".join(
        [f"{chain.base} SunS", *(f"{m.address} {m.id} {m.label}" for m in chain.models)]
    )
    said = ", ".join(f"{key} {value!r}" for key, value in chain.common.items() if value)
    lines = [
        f"Written by `edgectl probe --write-profile` on {day.isoformat()} from what one device "
        "answered. Read it through before you use it; its maker has not seen it.",
        f"The device said: {said or 'nothing about itself'}.",
        f"Its chain, and this file holds for no other: {chained}",
        "Signs: import and charge are positive here. AC power of inverters is turned round (sign = "
        "export_positive); meters count import as positive already; DC values stand as the device "
        "counts them: compare with its display.",
        "There is no [[command]]: what may be written, within which limits, and what the device "
        "does in silence is for a person to add, from its manual.",
    ]
    off = [
        f"{m.id} at {m.address}: {m.verdict}" for m in chain.models if m.verdict not in ("ok", "")
    ]
    if off:
        lines.append(f"Lengths that are not pysunspec2's: {'; '.join(off)}.")
    foreign = [f"{m.id} at {m.address}" for m in chain.models if m.id not in COVERED]
    if foreign:
        lines.append(f"Models without points here: {', '.join(foreign)}.")
    lines += [
        f"Left out, {reason}: {', '.join(names)}." for reason, names in drafted.left_out.items()
    ]
    wrapped = (
        textwrap.fill(each, COLUMNS, initial_indent="# ", subsequent_indent="#   ")
        for each in lines
    )
    return "\n".join(wrapped) + '\n\nschema = "edgectl.profile/1"\n'


def _source() -> str:
    return f"pysunspec2 {version('pysunspec2')}"


def _device(chain: Chain, day: date) -> str:
    maker = chain.common.get("Mn") or "a maker that model 1 does not name"
    model = chain.common.get("Md") or "SunSpec device"
    revision = chain.common.get("Vr", "")
    numbers = ", ".join(f"model_{each}" for each in dict.fromkeys(chain.ids) if each in COVERED)
    return f"""\
[device]
class    = "{device_class(chain)}"
vendor   = {_quoted(maker)}
models   = [{_quoted(model)}]
source   = "{_source()} {numbers}; read from the device {day.isoformat()}"
verified = "bench"
firmware_note = {_quoted(f"read from version {revision!r}; no range is proved")}
"""


def _modbus(unit: int, timeout_ms: int) -> str:
    slow = timeout_ms > TIMEOUT_MIN_MS
    why = "   # three of the slowest replies seen; must be under the site's scan" if slow else ""
    return f"""\
[modbus]
word_order         = "high_first"
timeout_ms         = {timeout_ms}{why}
connect_timeout_ms = 1000
max_registers      = {REQUEST_WORDS_MAX}
gaps               = "legal"      # a model's registers all answer
units              = [{unit}]
"""


def _identities(chain: Chain) -> list[str]:
    """Marker, the header of every model with points, and what model 1 calls the device."""
    sections = [_identity(chain.base, 'text    = "SunS"', "SunSpec marker")]
    for model in chain.models:
        if model.id in COVERED:
            equals = f"equals  = [[{model.id}, {model.length}]]"
            source = f"{_source()} model_{model.id} ID, L"
            sections.append(_identity(model.address, equals, source))
    first = chain.base + MARKER_WORDS
    for name, offset in TEXT_OFFSETS.items():
        text = chain.common.get(name, "")[: 2 * PROBE_WORDS_MAX]
        if text and "?" not in text:
            source = f"{_source()} model_1 {name}, as the device answered"
            sections.append(_identity(first + offset, f"text    = {_quoted(text)}", source))
    return sections


def _identity(address: int, expected: str, source: str) -> str:
    return f"""\
[[identity]]
table   = "holding"
address = {address}
{expected}
source  = "{source}"
"""


def _number(value: float) -> str:
    """A bound without a superfluous fraction."""
    return str(int(value)) if value == int(value) else repr(round(value, 6))


def _point(point: Draft) -> str:
    field = point.field
    lines = [f"# {point.model.id}.{field.path}: {field.label}, SunSpec {field.type}", "[[point]]"]
    rows = {
        "name": f'"{point.name}"',
        "table": '"holding"',
        "address": str(point.address),
        "type": f'"{TYPES[field.type]}"',
        "unit": f'"{point.unit}"',
    }
    if field.sf_fixed:
        power = 10 ** abs(field.sf_fixed)
        rows["scale"] = f'"{power}"' if field.sf_fixed > 0 else f'"1/{power}"'
    if point.export:
        rows["sign"] = '"export_positive"'
    rows["sentinel"] = f"{field.sentinel:#0{2 + 4 * field.words}x}"
    if point.sf_address is not None:
        rows["scale_factor"] = str(point.sf_address)
    rows["valid"] = f"[{_number(point.valid[0])}, {_number(point.valid[1])}]"
    if point.name not in FAST:
        rows |= {"every_scans": "10", "stale_after_ms": "3000"}
    rows["source"] = f'"{_source()} model_{point.model.id} {field.path}"'
    return "\n".join([*lines, *(f"{key:14} = {value}" for key, value in rows.items())]) + "\n"


def _differs(chain: Chain, drafted: Drafted, profile: Profile) -> tuple[str, ...]:
    """Points that the kernel reads otherwise than SunSpec means, from the words of the walk."""
    registers = {
        model.address + at: word for model in chain.models for at, word in enumerate(model.words)
    }
    read: dict[str, Reading] = {}
    for block in profile.blocks:
        span = range(block.address, block.address + block.count)
        words = tuple(registers.get(address, 0) for address in span)
        read |= {each.point.name: each for each in decoded(block, words, low_first=False)}
    wrong = []
    for point in drafted.points:
        reading = read[point.name]
        if point.value is None:
            same = not reading.good
        else:
            unit = UNITS[point.unit]
            expected = point.value * float(unit.factor) + float(unit.offset)
            same = math.isclose(reading.value, expected, rel_tol=1e-9, abs_tol=1e-12)
        if not same:
            wrong.append(point.name)
    return tuple(wrong)
