"""Problems of one file: collected all, each at its line, worst first."""

import difflib
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from edgectl.errors import Problem
from edgectl.profiles.toml_text import Path, TomlText
from edgectl.profiles.units import unit_text

RANK_SYNTAX = 0
RANK_SAFETY = 1  # as written the plant would not be protected
RANK_REFERENCE = 2  # names something that is not there
RANK_VALUE = 3
RANK_KEY = 4

# Longest first: the unit at the end of a site key, and how a message prints it.
KEY_UNITS: tuple[tuple[str, str], ...] = (
    ("_w_per_s", "W/s"),
    ("_g_per_kwh", "g/kWh"),
    ("_ratio", "ratio"),
    ("_deg", "deg"),
    ("_ms", "ms"),
    ("_w", "W"),
    ("_j", "J"),
    ("_k", "K"),
    ("_s", "s"),
)
_OTHER_UNITS = ("_kw", "_mw", "_kwh", "_mwh", "_wh", "_degc", "_c", "_percent", "_pct", "_h")


@dataclass(slots=True)
class Report:
    """The problems found so far in one TOML file."""

    text: TomlText
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, problem: str, because: str, remedy: str, rank: int) -> None:
        """Add one problem at the line of a path."""
        subject = _subject(self.text, path)
        where = self.text.where(path)
        self.problems.append(
            Problem(f"{where} {subject}" if subject else where, problem, because, remedy, rank)
        )

    def ordered(self) -> list[Problem]:
        """Worst first, then by line."""
        return sorted(self.problems, key=lambda each: (each.rank, _line(each)))


def _line(problem: Problem) -> int:
    position = problem.where.split(" ")[0].split(":")
    return int(position[1]) if len(position) > 1 and position[1].isdigit() else 0


def _subject(text: TomlText, path: Path) -> str:
    """The id or name of the table that a path lies in, or the table's own name."""
    node: Any = text.data
    subject = ""
    for step, part in enumerate(path):
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(node, dict):
            own = node.get("id", node.get("name"))
            if isinstance(own, str) and step > 0:
                subject = own
    return subject or (f"[{path[0]}]" if len(path) > 1 and isinstance(path[0], str) else "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy naming the nearest known names, or all of them when there are few."""
    names = sorted(set(known))
    within = [each for each in names if name.rpartition("/")[2] in each.rpartition("/")[2]]
    near = within[:3] if name else []
    near = near or difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    if names and len(names) <= 24:
        return f"Known here: {', '.join(names)}."
    return f"Nothing like it is known here, among {len(names)} names."


def key_unit(key: str) -> str:
    """Unit that a key's last part names; "" when it has none."""
    return next((unit for suffix, unit in KEY_UNITS if key.endswith(suffix)), "")


def number_text(key: str, value: float) -> str:
    """A number of a key with the key's unit."""
    return unit_text(value, key_unit(key))


def schema_problems(
    report: Report, root: type[BaseModel], error: ValidationError, told: Sequence[Path] = ()
) -> None:
    """Turn pydantic's findings into problems with line, reason and remedy.

    told  paths whose problems are reported already
    """
    findings = error.errors(include_url=False, include_context=True)
    findings = [each for each in findings if each["loc"][:2] not in told]
    meant = {_meant(root, tuple(each["loc"]), each["type"]) for each in findings}
    for each in findings:
        path = tuple(each["loc"])
        if each["type"] == "missing" and path in meant:
            continue  # it is there, in another unit: one mistake, one message
        parent, info = _field(root, path)
        key = str(path[-1]) if path else ""
        kind = each["type"]
        if kind == "extra_forbidden":
            _unknown_key(report, path, parent)
        elif kind == "missing":
            because = _because(info)
            example = _example(info)
            remedy = f"Add {key}{f' = {example}' if example else ''}."
            report.add(path, f"{key} is missing", because, remedy, RANK_SAFETY)
        else:
            value = each.get("input")
            shown = number_text(key, value) if _is_number(value) else repr(value)
            message = each["msg"][:1].lower() + each["msg"][1:].removeprefix("Value error, ")
            message = message.partition(" after validation")[0]
            example = _example(info)
            remedy = f"For example {key} = {example}." if example else "Correct the value."
            report.add(path, f"{key} is {shown}; {message}", _because(info), remedy, RANK_VALUE)


def _meant(root: type[BaseModel], path: Path, kind: str) -> Path:
    """Path of the key that an unknown key is in another unit; () when it is none."""
    parent, _ = _field(root, path) if kind == "extra_forbidden" else (None, None)
    proper = _same_in_si(str(path[-1]), _keys(parent)) if path else ""
    return (*path[:-1], proper) if proper else ()


def _keys(model: type[BaseModel] | None) -> list[str]:
    """Keys of a table as the file has them."""
    return [info.alias or name for name, info in model.model_fields.items()] if model else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _because(info: FieldInfo | None) -> str:
    return (info.description if info else None) or "Every key has one meaning and one type."


def _example(info: FieldInfo | None) -> str:
    if info is None or not info.examples:
        return ""
    example = info.examples[0]
    bare = not isinstance(example, str) or example.startswith(("{", "["))
    return str(example) if bare else f'"{example}"'


def _unknown_key(report: Report, path: Path, parent: type[BaseModel] | None) -> None:
    key = str(path[-1])
    known = _keys(parent)
    proper = _same_in_si(key, known)
    if proper:
        report.add(
            path,
            f"wrong unit: {key}; the key is {proper}, in {key_unit(proper)}",
            "Site files and the controller use SI only, so that no number is read in two units.",
            f"Write {proper} and convert the number.",
            RANK_VALUE,
        )
        return
    report.add(
        path,
        f"unknown key {key}",
        "A key that is not understood would be a setting that silently has no effect.",
        did_you_mean(key, known),
        RANK_KEY,
    )


def _same_in_si(key: str, known: Iterable[str]) -> str:
    """The known key that differs from this one in its unit only; "" when there is none."""
    endings = [suffix for suffix, _ in KEY_UNITS] + list(_OTHER_UNITS)
    stems = {key.removesuffix(ending) for ending in endings if key.endswith(ending)} | {key}
    for name in known:
        unit = next((suffix for suffix, _ in KEY_UNITS if name.endswith(suffix)), "")
        if unit and name.removesuffix(unit) in stems:
            return name
    return ""


def _field(root: type[BaseModel], path: Path) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The model and field that a path names."""
    model: type[BaseModel] | None = root
    parent, info = model, None
    for part in path:
        if isinstance(part, int):
            continue
        if model is None:
            return parent, None
        parent = model
        info = next(
            (one for name, one in model.model_fields.items() if part in (name, one.alias)), None
        )
        model = _model_of(info.annotation) if info else None
    return parent, info


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model inside list[...], ... | None and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, tuple, Union, types.UnionType, Annotated):
        return next(filter(None, (_model_of(part) for part in get_args(annotation))), None)
    return None
