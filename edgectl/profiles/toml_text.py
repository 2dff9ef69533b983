"""A TOML text with the line of each of its keys, which tomllib does not tell.

tomllib parses; the scanner here walks the same text, known to be valid by then,
and only notes where each key stands. A path is a tuple of keys and of ordinals
in arrays: ("interlock", 3, "cause", "above_w").
"""

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from edgectl.errors import Problem

Path = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")
_SCALAR = re.compile(r"[^,\]}\n#]+")
_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True)
class TomlText:
    """Parsed data and the line numbers of its keys.

    label  how errors name the file
    data   as tomllib has it
    lines  line, from 1, of each path
    """

    label: str
    data: dict[str, Any]
    lines: dict[Path, int]

    def where(self, path: Path) -> str:
        """file:line of a path, or of the nearest part of it that is written."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.label}:{self.lines.get(path, 1)}"

    def line(self, path: Path) -> int:
        """Line of a path, or of the nearest part of it that is written."""
        return int(self.where(path).rpartition(":")[2])


class BrokenTomlError(Exception):
    """The text is not TOML; `problem` says where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_toml(label: str, text: str) -> TomlText:
    """Parse a TOML text.

    label  how errors name the file
    text   its content

    Raises BrokenTomlError with line, column and the line itself.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BrokenTomlError(_broken(label, text, str(error))) from error
    return TomlText(label, data, _Scanner(text).scan())


def _broken(label: str, text: str, message: str) -> Problem:
    lines = text.splitlines() or [""]
    found = _POSITION.search(message)
    row, column = (int(found[1]), int(found[2])) if found else (len(lines), len(lines[-1]) + 1)
    reason = _POSITION.sub("", message).replace("(at end of document)", "").strip()
    shown = lines[min(row, len(lines)) - 1].replace("\t", " ")
    return Problem(
        f"{label}:{row}:{column}",
        f"this is not TOML: {reason}",
        f"{shown}\n  {' ' * (column - 1)}^",
        "Correct this line; nothing after it was read. Text needs quotes, numbers do not.",
        rank=0,
    )


class _Scanner:
    """Notes the line of every key; the text is valid TOML."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.newlines = [found.start() for found in re.finditer("\n", text)]
        self.lines: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        ordinals: dict[Path, int] = {}
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header(ordinals)
            else:
                self.pair(table)
            self.skip(_BLANK)
        return self.lines

    def skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found[0] if found else ""

    def note(self, path: Path) -> None:
        self.lines.setdefault(path, bisect_right(self.newlines, self.at - 1) + 1)

    def header(self, ordinals: dict[Path, int]) -> Path:
        array = self.text.startswith("[[", self.at)
        start = self.at
        self.at += 2 if array else 1
        keys = self.key()
        end, self.at = self.at, start
        path: Path = ()
        for depth, key in enumerate(keys, 1):
            path = (*path, key)
            self.note(path)
            if array and depth == len(keys):
                ordinals[path] = ordinals.get(path, -1) + 1
            if path in ordinals:
                path = (*path, ordinals[path])
        self.note(path)
        self.at = self.text.index("]", end) + (2 if array else 1)
        return path

    def key(self) -> list[str]:
        keys = []
        while True:
            self.skip(_SPACE)
            mark = self.text[self.at]
            if mark in "\"'":
                quoted = self.skip(_BASIC if mark == '"' else _LITERAL)
                keys.append(tomllib.loads(f"key = {quoted}")["key"])
            else:
                keys.append(self.skip(_BARE_KEY))
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def pair(self, table: Path) -> None:
        start = self.at
        keys = self.key()
        end, self.at = self.at, start
        for depth in range(1, len(keys) + 1):
            self.note((*table, *keys[:depth]))
        self.at = self.text.index("=", end) + 1
        self.value((*table, *keys))

    def value(self, path: Path) -> None:
        self.skip(_SPACE)
        self.note(path)
        mark = self.text[self.at]
        if mark == "[":
            self.array(path)
        elif mark == "{":
            self.inline(path)
        elif self.text.startswith(('"""', "'''"), self.at):
            quotes = self.text[self.at : self.at + 3]
            self.at = self.text.index(quotes, self.at + 3) + 3
            while self.text.startswith(mark, self.at):  # up to two quotes may end the text
                self.at += 1
        elif mark in "\"'":
            self.skip(_BASIC if mark == '"' else _LITERAL)
        else:
            self.skip(_SCALAR)

    def array(self, path: Path) -> None:
        self.at += 1
        ordinal = 0
        self.skip(_BLANK)
        while self.text[self.at] != "]":
            self.value((*path, ordinal))
            ordinal += 1
            self.skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
                self.skip(_BLANK)
        self.at += 1

    def inline(self, path: Path) -> None:
        self.at += 1
        self.skip(_BLANK)
        while self.text[self.at] != "}":
            self.pair(path)
            self.skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
                self.skip(_BLANK)
        self.at += 1
