"""SunSpec models as pysunspec2 defines them, laid out for one device.

Source: the model definitions in pysunspec2 (sunspec/models, Apache-2.0); SunSpec Device
Information Model Specification for what the types mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sunspec2 import mb, mdef

HEADER_WORDS = 2  # ID and L, which L does not count
INT16_NONE = 0x8000  # an unimplemented scale factor
NESTING_MAX = 4
REPEATS_MAX = 512
ADDRESSES = 0x10000  # MAP 4.4: no model reaches further, whatever it counts

# Our types; a type that is not here holds no number (string, pad, sunssf, addresses).
TYPES = {
    "int16": "s16", "uint16": "u16", "enum16": "u16", "bitfield16": "u16", "count": "u16",
    "acc16": "u16", "int32": "s32", "uint32": "u32", "enum32": "u32", "bitfield32": "u32",
    "acc32": "u32", "int64": "s64", "uint64": "u64", "acc64": "u64", "float32": "f32",
    "float64": "f64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One point of a model.

    path       names of the groups it is in, with their ordinals from 1, and its own: Prt[2].DCW
    offset     words from the model's ID
    type       SunSpec's
    sf_offset  of its scale factor's register, None without
    sf_fixed   power of ten that the definition states
    """

    path: str
    offset: int
    words: int
    type: str
    units: str
    label: str
    sf_offset: int | None
    sf_fixed: int

    @property
    def name(self) -> str:
        """Its own name, without groups."""
        return self.path.rpartition(".")[2]

    @property
    def sentinel(self) -> int:
        """The bits by which a device says that it has no such value."""
        none: int = mb.unimpl_value[self.type]
        return none & ((1 << 16 * self.words) - 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """A model's points at one device. words: of the whole model by its definition."""

    fields: tuple[Field, ...]
    words: int


@cache
def definition(model: int) -> dict[str, Any] | None:
    """The group of a model's definition; None where pysunspec2 has none."""
    file = resources.files("sunspec2") / "models" / "json" / f"model_{model}.json"
    if not file.is_file():
        return None
    group: dict[str, Any] = mdef.from_json_file(str(file))["group"]
    return group


def label(model: int) -> str:
    """What a model is called; "" where pysunspec2 does not know it."""
    group = definition(model)
    return str(group.get("label", group["name"])) if group else ""


def layout(model: int, words: Sequence[int]) -> Layout | None:
    """Lay a model out over what was read of it.

    words  from the model's ID on; the counts of its groups are taken from them

    Points past the end of `words` are left out. None for a model without definition.
    """
    group = definition(model)
    if group is None:
        return None
    draft = _Draft(words)
    draft.group(group, "", [], 0)
    inside = tuple(each for each in draft.fields if each.offset + each.words <= len(words))
    return Layout(inside, draft.end)


class _Draft:
    """Places the points of nested groups one after the other."""

    def __init__(self, words: Sequence[int]) -> None:
        self.words = words
        self.fields: list[Field] = []
        self.end = 0
        self.counts: dict[str, int] = {}

    def group(
        self, group: Mapping[str, Any], path: str, outer: list[dict[str, int]], depth: int
    ) -> None:
        """Place one instance of a group at the end of what is placed."""
        factors = {}
        at = self.end
        for point in group["points"]:
            if point["type"] == "sunssf":
                factors[point["name"]] = at
            if not outer and at < len(self.words):
                self.counts[point["name"]] = self.words[at]
            at += int(point["size"])
        scopes = [factors, *outer]
        for point in group["points"]:
            if self.end < len(self.words):
                self.fields.append(self._field(point, path, scopes))
            self.end += int(point["size"])
        for inner in group.get("groups", []):
            times = self._times(inner)
            for number in range(1, times + 1 if depth < NESTING_MAX else 1):
                if self.end >= ADDRESSES:
                    return
                ordinal = f"[{number}]" if "count" in inner else ""
                self.group(inner, f"{path}{inner['name']}{ordinal}.", scopes, depth + 1)

    def _field(self, point: Mapping[str, Any], path: str, scopes: list[dict[str, int]]) -> Field:
        factor = point.get("sf")
        named = (scope[factor] for scope in scopes if factor in scope)
        return Field(
            path=path + point["name"],
            offset=self.end,
            words=int(point["size"]),
            type=point["type"],
            units=point.get("units") or "",
            label=point.get("label") or point["name"],
            sf_offset=next(named, None) if isinstance(factor, str) else None,
            sf_fixed=factor if isinstance(factor, int) else 0,
        )

    def _times(self, group: Mapping[str, Any]) -> int:
        """How often a group is there; a count of 0 means: as often as the length allows."""
        count = group.get("count", 1)
        if isinstance(count, str):
            return min(self.counts.get(count, 0), REPEATS_MAX)
        if count == 0:
            size = sum(int(point["size"]) for point in group["points"])
            return min(max(len(self.words) - self.end, 0) // size, REPEATS_MAX)
        return min(int(count), REPEATS_MAX)


def bits(words: Sequence[int]) -> int:
    """Registers as one number, high word first, as SunSpec sends everything."""
    number = 0
    for word in words:
        number = number << 16 | word
    return number


def text(words: Sequence[int]) -> str:
    """A string's registers up to its first NUL; what is no printable ASCII becomes a "?"."""
    raw = b"".join(word.to_bytes(2, "big") for word in words).split(b"\0")[0]
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in raw).strip()


def numbers(found: Layout) -> Iterator[Field]:
    """The fields that hold a number, header left out."""
    return (each for each in found.fields if each.type in TYPES and each.offset >= HEADER_WORDS)
