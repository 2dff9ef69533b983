#!/usr/bin/env python3
"""Read the kernel's own source: nothing in a nogil body may touch Python.

Runs Cython's annotation over every ext/**/*.pyx with the directives of setup.py and fails on each
line inside a nogil function or a `with nogil:` block that Cython would colour yellow. Refuses, too,
a cdef function that states no error contract and every textual `include`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANNOTATE_DIR = Path("build/annotate")  # setup.py says the same

QUOTED = re.compile(
    r'("""|\'\'\')(?:\\.|[^\\])*?\1|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', re.S
)
ANNOTATED = re.compile(r'<pre class="cython line score-(\d+)".*?<span class="">(\d+)</span>')
FUNCTION = re.compile(
    r"^(cdef|cpdef)\s+(?!class\b|struct\b|enum\b|union\b|extern\b)[^=(]*?(\w+)\s*\("
)
PYTHON_FUNCTION = re.compile(r"^(?:async\s+)?def\s+(\w+)\s*\(")
NOGIL_BLOCK = re.compile(r"^with\s+nogil\b.*:$")
CONTRACT = re.compile(r"\b(noexcept|except)\b")


@dataclass(frozen=True, slots=True)
class Statement:
    """One logical line: its first and last line number, its indent in columns, its bare text."""

    first: int
    last: int
    indent: int
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """A function or block and the lines that belong to it, its own header included."""

    name: str
    first: int
    last: int
    nogil: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be, and where it stands."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}"


def bare(source: str) -> str:
    """The source with strings and comments blanked, every line in its place."""

    def blank(match: re.Match[str]) -> str:
        text = match.group()
        return "\n" * text.count("\n") if text.startswith("#") or "\n" in text else '""'

    return QUOTED.sub(blank, source)


def statements(source: str) -> Iterator[Statement]:
    """Logical lines of Cython source: lines inside brackets or after a backslash are joined."""
    pending: list[str] = []
    first = depth = 0
    for number, line in enumerate(bare(source).split("\n"), start=1):
        if not pending and not line.strip():
            continue
        first = first if pending else number
        pending.append(line)
        depth += sum(line.count(c) for c in "([{") - sum(line.count(c) for c in ")]}")
        if depth > 0 or line.endswith("\\"):
            continue
        text = " ".join(part.strip() for part in pending)
        yield Statement(first, number, len(pending[0]) - len(pending[0].lstrip()), text)
        pending, depth = [], 0


def bodies(source: str) -> list[Body]:
    """Every function of a .pyx, and every `with nogil:` block."""
    every = list(statements(source))
    found = []
    for place, head in enumerate(every):
        named = FUNCTION.match(head.text) or PYTHON_FUNCTION.match(head.text)
        block = NOGIL_BLOCK.match(head.text)
        if block is None and (named is None or not head.text.endswith(":")):
            continue
        inside = []
        for later in every[place + 1 :]:
            if later.indent <= head.indent:
                break
            inside.append(later)
        last = inside[-1].last if inside else head.last
        if named is not None:
            nogil = re.search(r"\bnogil\s*:$", head.text) is not None
            name = named.group(named.lastindex or 1)
            found.append(Body(name, head.first, last, nogil))
        elif inside:  # entering the block itself must touch Python; what stands in it must not
            found.append(Body("with nogil", inside[0].first, last, True))
    return found


def yellow_lines(html: str) -> dict[int, int]:
    """Line number to score, for each line that Cython's annotation does not leave white."""
    scores = ((int(line), int(score)) for score, line in ANNOTATED.findall(html))
    return {line: score for line, score in scores if score > 0}


def check_annotation(path: Path, source: str, html: str) -> list[Finding]:
    """Yellow lines inside nogil bodies of one module."""
    lines = source.split("\n")
    return [
        Finding(
            path, line, f"touches Python (score {score}) in {body.name}: {lines[line - 1].strip()}"
        )
        for line, score in sorted(yellow_lines(html).items())
        for body in bodies(source)
        if body.nogil and body.first <= line <= body.last
    ]


def check_source(path: Path, source: str) -> list[Finding]:
    """Functions that state no error contract, and includes, in a .pyx or .pxd."""
    found = []
    for statement in statements(source):
        function = FUNCTION.match(statement.text)
        if function is not None:
            contract = CONTRACT.search(statement.text, function.end())
            is_nogil = re.search(r"\bnogil\b", statement.text[function.end() :]) is not None
            if contract is None or (is_nogil and contract.group() != "noexcept"):
                name = function.group(2)
                found.append(
                    Finding(
                        path,
                        statement.first,
                        f"{name} is not noexcept: each call would pay a check",
                    )
                )
        if re.match(r"include\s", statement.text):
            found.append(
                Finding(path, statement.first, "include makes one unit of two files: cimport")
            )
    return found


def annotate_tree() -> None:
    """Let setup.py translate every module with annotation; nothing is compiled.

    Raises SystemExit with Cython's own words when a module does not translate.
    """
    command = [sys.executable, "setup.py", "--version"]
    environment = {**os.environ, "EDGECTL_ANNOTATE": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(run.stdout + run.stderr)


def main() -> int:
    """Print every finding; 1 if there is one."""
    annotate_tree()
    findings: list[Finding] = []
    modules = sorted((ROOT / "ext").rglob("*.pyx"))
    nogil = 0
    for module in modules:
        path = module.relative_to(ROOT)
        source = module.read_text()
        html = (ROOT / ANNOTATE_DIR / path).with_suffix(".html").read_text()
        findings += check_annotation(path, source, html)
        nogil += sum(body.nogil for body in bodies(source))
    for text in [*modules, *sorted((ROOT / "edgectl").rglob("*.pxd"))]:
        findings += check_source(text.relative_to(ROOT), text.read_text())
    print(*findings, sep="\n", end="\n" if findings else "")
    print(f"{len(modules)} modules, {nogil} nogil bodies, {len(findings)} findings")
    return 1 if findings or not nogil else 0


if __name__ == "__main__":
    raise SystemExit(main())
