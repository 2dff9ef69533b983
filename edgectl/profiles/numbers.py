"""Raw numbers: widths, ranges and words of the types a register can hold."""

import struct
from fractions import Fraction

WORDS: dict[str, int] = {
    "u16": 1,
    "s16": 1,
    "u32": 2,
    "s32": 2,
    "u64": 4,
    "s64": 4,
    "f32": 2,
    "f64": 4,
    "bit": 1,
}
FUNCTIONS: dict[str, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}  # MAP 6.1-6.4
COMMAND_TYPES = ("u16", "s16", "u32", "s32", "f32", "bit")
VERSION_PARTS_MAX = 4  # fieldbus.pxd: of 16 bits each, in one 64-bit key
FLOAT32_MAX = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]  # IEEE 754-2008 3.6


def raw_range(type_name: str) -> tuple[float, float]:
    """Smallest and largest raw number of a command's type."""
    if type_name == "f32":
        return -FLOAT32_MAX, FLOAT32_MAX
    if type_name == "bit":
        return 0.0, 1.0
    bits = 16 * WORDS[type_name]
    if type_name.startswith("u"):
        return 0.0, float(2**bits - 1)
    return float(-(2 ** (bits - 1))), float(2 ** (bits - 1) - 1)


def rational(value: str | int | float) -> Fraction:
    """A scale as an exact number: 1, 0.01, "1/10".

    Raises ValueError or ZeroDivisionError when it is none.
    """
    return Fraction(str(value).replace(" ", ""))


def words_of(type_name: str, number: float, low_first: bool) -> tuple[int, ...]:
    """Registers of a constant, in the order of the wire.

    Raises ValueError when the number does not fit.
    """
    low, high = raw_range(type_name)
    if not low <= number <= high:
        raise ValueError(f"{number} does not fit {type_name}")
    if type_name == "f32":
        bits = int.from_bytes(struct.pack(">f", number), "big")
    else:
        bits = int(number) & (2 ** (16 * WORDS[type_name]) - 1)
    if WORDS[type_name] == 1:
        return (bits,)
    words = (bits >> 16, bits & 0xFFFF)
    return words[::-1] if low_first else words


def split_layout(entry: str) -> tuple[str, str]:
    """("s32", "value") of "s32:value".

    Raises ValueError when the type is unknown or what follows is no number.
    """
    type_name, colon, what = entry.replace(" ", "").partition(":")
    if not colon or type_name not in COMMAND_TYPES:
        raise ValueError(f"{entry!r} is not type:number or type:value; types {COMMAND_TYPES}")
    if what != "value":
        float(what)
    return type_name, what


def version_key(text: str) -> int:
    """A version as one number that orders as versions do: up to four parts of 16 bits.

    Raises ValueError when it is none, as "1.3.5" is one.
    """
    written = text.split(".")
    parts = [int(part) if part.isascii() and part.isdigit() else -1 for part in written]
    if len(parts) > VERSION_PARTS_MAX or not all(0 <= part <= 0xFFFF for part in parts):
        raise ValueError(f"{text!r} is not up to {VERSION_PARTS_MAX} numbers of 0 to 65535")
    parts += [0] * (VERSION_PARTS_MAX - len(parts))
    key = 0
    for part in parts:
        key = key << 16 | part
    return key


def version_text(key: int) -> str:
    """The version of a key, without the zeros at its end: "1.3" of the key of 1.3.0.0."""
    parts = [key >> shift & 0xFFFF for shift in (48, 32, 16, 0)]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return ".".join(str(part) for part in parts)
