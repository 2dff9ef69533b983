"""Mutants of Cython source: one small change each, made on its tokens, with a lasting name.

Only the bodies of nogil functions are changed: what runs in the scan. A name is function, kind of
change, and a digest of the statement before and after: it stays while the statement does.
"""

import hashlib
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import scan_report

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
WORDS = {"and": "or", "or": "and", "True": "False", "False": "True", "INFINITY": "0.0"}
ARITHMETIC = {"+": "-", "-": "+", "*": "+", "//": "*", "/": "*", "+=": "-=", "-=": "+="}
OPPOSITES = (
    ("minimum", "maximum"), ("hysteresis_above", "hysteresis_below"), ("ton", "tof"),
    ("charge_max_w", "discharge_max_w"), ("charge_rating_w", "discharge_rating_w"),
    ("on", "off"), ("low", "high"), ("on_delay_ns", "off_delay_ns"), ("low_w", "high_w"),
)  # fmt: skip
SWAPS = dict(OPPOSITES) | {b: a for a, b in OPPOSITES}
CAST = re.compile(r"<\s*(?:const\s+)?\w+\s*\**\s*>")
ENUM = re.compile(r"^c(?:p)?def enum (?P<name>\w+):.*\n(?P<body>(?:    .*\n|\n)+)", re.M)
MEMBER = re.compile(r"^    (\w+)\b", re.M)
CONSTANT = re.compile(r"[A-Z][A-Z0-9_]+")
OPERAND = (tokenize.NAME, tokenize.NUMBER)
KEPT = ("if", "elif", "else", "while", "for", "cdef", "pass")
NO_OPERANDS = ("return", "and", "or", "not", "in", "if", "else", "elif")


class Edit(NamedTuple):
    """Characters of the source to replace; kind is the sort of change."""

    begin: int
    end: int
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module."""

    name: str
    module: str
    function: str
    line: int
    before: str
    after: str
    source: str

    @property
    def diff(self) -> str:
        """The changed statement, before and after."""
        return f"-{self.before}\n+{self.after}"


class Token(NamedTuple):
    """A token with its place in the source, counted in characters."""

    kind: int
    text: str
    begin: int
    end: int
    line: int


def enums(pxds: Iterator[Path]) -> dict[str, str]:
    """Each member of a named enum, and the one after it; the last one's is the first."""
    after: dict[str, str] = {}
    for path in pxds:
        for enum in ENUM.finditer(path.read_text()):
            members = MEMBER.findall(enum["body"])
            after |= dict(pairwise([*members, members[0]])) if len(members) > 1 else {}
    return after


def statements(source: str) -> Iterator[list[Token]]:
    """The tokens of each logical line."""
    starts = [0]
    for line in source.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    line_tokens: list[Token] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            if line_tokens:
                yield line_tokens
            line_tokens = []
        elif token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
            begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            line_tokens.append(Token(token.type, token.string, begin, end, token.start[0]))


def casts(tokens: list[Token], source: str) -> set[int]:
    """Where the brackets and stars of casts begin: they compare and multiply nothing."""
    begin, end = tokens[0].begin, tokens[-1].end
    spans = [found.span() for found in CAST.finditer(source, begin, end)]
    return {t.begin for t in tokens if any(low <= t.begin < high for low, high in spans)}


def of_tokens(tokens: list[Token], skip: set[int], after: dict[str, str]) -> Iterator[Edit]:
    """Changes of one token: comparison, logic, constant, arithmetic, opposite name."""
    for place, token in enumerate(tokens):
        if token.begin in skip:
            continue
        before = tokens[place - 1] if place else None
        binary = before is not None and (
            (before.kind in OPERAND and before.text not in NO_OPERANDS) or before.text in ")]"
        )
        text = token.text
        if text in COMPARISONS:
            yield Edit(token.begin, token.end, COMPARISONS[text], "comparison")
        elif text in WORDS:
            kind = "logic" if text in ("and", "or") else "constant"
            yield Edit(token.begin, token.end, WORDS[text], kind)
        elif text == "not":
            yield Edit(token.begin, token.end, "", "not")
        elif text in ARITHMETIC and (binary or text in ("+=", "-=")):
            yield Edit(token.begin, token.end, ARITHMETIC[text], "arithmetic")
        elif text == "-" and not binary:
            yield Edit(token.begin, token.end, "", "sign")
        elif token.kind == tokenize.NUMBER:
            yield Edit(token.begin, token.end, other_number(text), "constant")
        elif CONSTANT.fullmatch(text) and len(text) > 1:
            yield Edit(token.begin, token.end, after.get(text, f"({text} * 2)"), "constant")
        elif text in SWAPS and token.kind == tokenize.NAME:
            yield Edit(token.begin, token.end, SWAPS[text], "opposite")


def other_number(text: str) -> str:
    """Another number: 1 for 0, 0 for 1, else one more, or twice as much with a fraction."""
    if text in ("0", "0.0", "1", "1.0"):
        return text.translate(str.maketrans("01", "10", "")) if len(text) == 1 else (
            "1.0" if text == "0.0" else "0.0"
        )  # fmt: skip
    return f"{text} * 2" if re.search(r"[.e]", text) else f"({text} + 1)"


def matching(tokens: list[Token], place: int, ends: str) -> int | None:
    """The place of the next such token at the depth of `place`, None if a bracket closes first."""
    depth = 0
    for at in range(place + 1, len(tokens)):
        text = tokens[at].text
        if depth == 0 and text == ends:
            return at
        depth += (text in "([{") - (text in ")]}")
        if depth < 0:
            return None
    return None


def of_conditions(tokens: list[Token]) -> Iterator[Edit]:
    """Conditions negated: of if, elif, while, and of a choice inside an expression."""
    for place, token in enumerate(tokens):
        if token.text not in ("if", "elif", "while"):
            continue
        end = matching(tokens, place, ":" if place == 0 else "else")
        if end is not None and end > place + 1:
            first, last = tokens[place + 1], tokens[end - 1]
            yield Edit(first.begin, first.begin, "not (", "negated")
            yield Edit(last.end, last.end, ")", "negated")


def of_ranges(tokens: list[Token], source: str) -> Iterator[Edit]:
    """Ranges that end one too early, and that begin one too late."""
    for place, token in enumerate(tokens[:-1]):
        if token.text != "range" or tokens[place + 1].text != "(":
            continue
        close = matching(tokens, place + 1, ")")
        comma = matching(tokens, place + 1, ",")
        if close is None:
            continue
        first = tokens[(comma or place + 1) + 1]
        span = (first.begin, tokens[close - 1].end)
        yield Edit(*span, f"({source[slice(*span)]}) - 1", "range")
        if comma is not None and comma < close:
            span = (tokens[place + 2].begin, tokens[comma - 1].end)
            yield Edit(*span, f"({source[slice(*span)]}) + 1", "range")


def of_statement(tokens: list[Token]) -> Iterator[Edit]:
    """The statement left out, or another value returned."""
    head, span = tokens[0].text, (tokens[0].begin, tokens[-1].end)
    if head == "return" and len(tokens) > 1:
        value = " ".join(token.text for token in tokens[1:])
        other = "1" if value in ("0", "0.0", "False") else "0"
        yield Edit(tokens[1].begin, span[1], other, "return")
    elif head not in KEPT:
        yield Edit(*span, "pass", "dropped")


def changes(tokens: list[Token], source: str, after: dict[str, str]) -> Iterator[list[Edit]]:
    """Every change of one statement, as the edits that make it."""
    head = tokens[0].text
    if tokens[0].kind == tokenize.STRING or head in ("else", "pass"):
        return
    if head == "cdef":  # a declaration is changed only in the value it begins with
        begin = next((at for at, token in enumerate(tokens) if token.text == "="), None)
        if begin is None:
            return
        tokens = tokens[begin + 1 :]
    for edit in of_tokens(tokens, casts(tokens, source), after):
        yield [edit]
    conditions = list(of_conditions(tokens))
    yield from ([a, b] for a, b in zip(conditions[::2], conditions[1::2], strict=True))
    for edit in of_ranges(tokens, source):
        yield [edit]
    if head != "cdef":
        for edit in of_statement(tokens):
            yield [edit]


def applied(source: str, edits: list[Edit]) -> str:
    """The source with these edits made."""
    for edit in sorted(edits, reverse=True):
        source = source[: edit.begin] + edit.text + source[edit.end :]
    return source


def mutants(module: str, source: str, after: dict[str, str]) -> list[Mutant]:
    """Every mutant of one module.

    module  its short name
    source  of its .pyx
    after   of each member of an enum the one to put in its place
    """
    heads = {body.first: body for body in scan_report.bodies(source) if body.nogil}
    inside = {line: b for b in heads.values() for line in range(b.first, b.last + 1)}
    found: dict[str, Mutant] = {}
    for tokens in statements(source):
        body = inside.get(tokens[0].line)
        if body is None or tokens[0].line in heads:
            continue
        begin, end = tokens[0].begin, tokens[-1].end
        before = source[begin:end]
        for edits in changes(tokens, source, after):
            text = applied(source, edits)
            changed = text[begin : end + len(text) - len(source)]
            name = named(module, body.name, edits[0].kind, before, changed, found)
            found[name] = Mutant(
                name, module, body.name, tokens[0].line, before, changed, text
            )  # fmt: skip
    return list(found.values())


def named(
    module: str, function: str, kind: str, before: str, after: str, taken: dict[str, Mutant]
) -> str:
    """The mutant's name; where a function has the same statement twice, with a number."""
    digest = hashlib.sha256(f"{before}\n{after}".encode()).hexdigest()[:6]
    name = f"{module}.{function}:{kind}:{digest}"
    again = 2
    while name in taken:
        name = f"{module}.{function}:{kind}:{digest}:{again}"
        again += 1
    return name
