#!/usr/bin/env python3
"""Line and branch coverage of the modules that decide, by gcov; prints what no test reaches.

Cython's own coverage plugin knows lines and no branches. So the modules of MODULES are translated
with a #line for every line of C, compiled by gcc with --coverage and without optimisation, and the
tests that name them run on that build. gcov then counts by line of the .pyx.

What counts: the lines of nogil bodies that make C (a docstring or a declaration makes none), and
on those lines every branch of the C. An `and`, an `or`, an `x if c else y` is several branches, so
that each operand must have decided both ways. What does not count, by where it stands and never by
its content: Python doors (`def`, classes), and C that Cython writes for itself (import, arguments,
reference counting). It stands outside the C functions of nogil bodies, and a noexcept nogil body
holds none of it; so no branch inside such a body is left out, whatever made it.

Fails where a module is under its row of MODULES.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scan_report
from proofs.generate import ROOT, translate

PLACE = ROOT / "build" / "gcov"
LIBRARY = PLACE / "lib"  # a package edgectl that is the tree's, but for the modules measured
TESTS = ("tests/unit", "tests/property", "tests/scenario")
MODULES = {  # least percent of lines and of branches
    "edgectl._kernel.blocks": (100.0, 100.0),
    "edgectl._kernel.interlock": (100.0, 100.0),
    "edgectl._kernel.authority": (100.0, 100.0),
    "edgectl._kernel.dispatch": (100.0, 100.0),
    "edgectl._kernel.curtail": (100.0, 100.0),
    "edgectl._kernel.monitor": (100.0, 100.0),
    "edgectl._kernel.overload": (100.0, 100.0),
    "edgectl._kernel.demand": (100.0, 100.0),
    "edgectl._kernel.inventory": (100.0, 100.0),
    "edgectl._kernel.carryover": (100.0, 100.0),
    "edgectl._kernel.network": (100.0, 100.0),
}
ELSEWHERE = "not in a body"  # the file that gcov is told of C that does not count
BODY = re.compile(r"^static .*\b__pyx_f_\w+\(.*\) \{$")
DIRECTIVE = re.compile(r'^#line (\d+) "')
ARITHMETIC = ("-fno-fast-math", "-ffp-contract=off")  # setup.py says the same
FLAGS = (*ARITHMETIC, "-O0", "--coverage", "-fprofile-update=prefer-atomic", "-fPIC", "-w")


class CoverageError(Exception):
    """The build, the tests or gcov failed; the message says which."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a .pyx that makes C: how often it ran, and each branch that leaves it."""

    number: int
    runs: int
    branches: tuple[int, ...]  # how often each was taken


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something was reached."""

    reached: int
    of: int

    @property
    def percent(self) -> float:
        """100 of nothing."""
        return 100.0 * self.reached / self.of if self.of else 100.0

    def __str__(self) -> str:
        return f"{self.reached}/{self.of} ({self.percent:.1f} %)"


def source_of(module: str) -> Path:
    """The .pyx of a kernel module, from the root."""
    return Path("ext", module.rpartition(".")[2]).with_suffix(".pyx")


def run(*command: str | Path, **variables: str) -> str:
    """Run one command at the root; returns its standard output.

    Raises CoverageError with the end of what it said if it fails.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-60:])
        raise CoverageError(f"{said}\nexit status {done.returncode}: {' '.join(words[:3])} ...")
    return done.stdout


def attributed(c: str) -> str:
    """The C with its #line directives kept in the functions of cdef bodies and turned elsewhere.

    Cython writes no directive for its own code, which would so count as the lines that follow the
    last one named; and its code for a `def` names lines that a body may name, too.
    """
    made, inside = [], False
    for line in c.split("\n"):
        if BODY.match(line):
            inside = True
        directive = DIRECTIVE.match(line)
        made.append(f'#line {directive[1]} "{ELSEWHERE}"' if directive and not inside else line)
        if line == "}":
            inside = False
            made.append(f'#line 1 "{ELSEWHERE}"')
    return "\n".join(made)


def build() -> None:
    """Compile the modules and lay the rest of the package around them, as links."""
    shutil.rmtree(LIBRARY, ignore_errors=True)
    translate(MODULES, PLACE / "c", emit_linenums=True)
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    own = [f"{module.rpartition('.')[2]}{suffix}" for module in MODULES]
    shutil.copytree(
        ROOT / "edgectl", LIBRARY / "edgectl",
        copy_function=os.symlink, ignore=shutil.ignore_patterns("__pycache__", *own),
    )  # fmt: skip
    (LIBRARY / "edgectl" / "firmware_profiles").symlink_to(ROOT / "firmware_profiles")
    for module in MODULES:
        c = (PLACE / "c" / source_of(module)).with_suffix(".c")
        compiled = LIBRARY.joinpath(*module.split(".")).with_suffix(suffix)
        include = f"-I{sysconfig.get_paths()['include']}"
        marked = c.with_suffix(".marked.c")
        marked.write_text(attributed(c.read_text()))
        marked.with_suffix(".gcda").unlink(missing_ok=True)
        run("gcc", *FLAGS, include, "-c", marked, "-o", marked.with_suffix(".o"))
        run("gcc", "--coverage", "-shared", marked.with_suffix(".o"), "-o", compiled)


def reaching_tests() -> list[str]:
    """Test files that name a module measured; others reach it by slower ways, if at all."""
    files = [path for folder in TESTS for path in (ROOT / folder).rglob("test_*.py")]
    named = [path for path in files if any(word in path.read_text() for word in MODULES)]
    return sorted(str(path.relative_to(ROOT)) for path in named)


def covered(module: str, report: dict[str, Any], bodies: list[scan_report.Body]) -> list[Line]:
    """Lines of nogil bodies from gcov's report, in their order.

    report  of one object file, by gcov --json-format
    bodies  of the module's source
    """
    source = str(source_of(module))
    inside = {n for body in bodies if body.nogil for n in range(body.first, body.last + 1)}
    found: dict[int, Line] = {}
    for file in report["files"]:
        if file["file"] != source:
            continue
        for line in file["lines"]:
            number = line["line_number"]
            if number in inside:
                branches = tuple(branch["count"] for branch in line["branches"])
                found[number] = Line(number, line["count"], branches)
    return [found[number] for number in sorted(found)]


def gcov(module: str) -> dict[str, Any]:
    """What gcov counted of one module."""
    notes = (PLACE / "c" / source_of(module)).with_suffix(".marked.gcno")
    if not notes.with_suffix(".gcda").exists():
        raise CoverageError(f"{module} was not measured: no test loaded the build in build/gcov")
    folder = PLACE / "json"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = ["gcov", "--json-format", "--branch-probabilities", str(notes)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    written = list(folder.glob("*.gcov.json.gz"))
    if done.returncode != 0 or len(written) != 1:
        raise CoverageError(f"gcov could not read {notes.name}: {done.stderr}")
    report: dict[str, Any] = json.loads(gzip.decompress(written[0].read_bytes()))
    return report


def gaps(module: str, source: str, lines: list[Line]) -> list[str]:
    """One line of text for each line and branch that nothing reached."""
    texts = source.split("\n")
    found = []
    for line in lines:
        where, text = f"{source_of(module)}:{line.number}", texts[line.number - 1].strip()
        missed = [str(at + 1) for at, count in enumerate(line.branches) if count == 0]
        if line.runs == 0:
            found.append(f"{where}: never run: {text}")
        elif missed:
            which = f"{', '.join(missed)} of {len(line.branches)}"
            found.append(f"{where}: branch {which} never taken: {text}")
    return found


def uncounted(source: str, lines: list[Line]) -> list[str]:
    """Nogil bodies of which gcov has no line, so that 100 % would say nothing of them."""
    numbers = {line.number for line in lines}
    return [
        body.name
        for body in scan_report.bodies(source)
        if body.nogil and numbers.isdisjoint(range(body.first, body.last + 1))
    ]


def judge(module: str, source: str, lines: list[Line]) -> bool:
    """Print one module's shares and gaps; whether they reach its row of MODULES.

    Raises CoverageError where there is a body and none of its lines was counted.
    """
    if absent := uncounted(source, lines):
        raise CoverageError(f"{source_of(module)}: not in gcov's report: {', '.join(absent)}")
    ran = Share(sum(line.runs > 0 for line in lines), len(lines))
    every = [count for line in lines for count in line.branches]
    taken = Share(sum(count > 0 for count in every), len(every))
    print(f"{source_of(module)}: lines {ran}, branches {taken}")
    for gap in gaps(module, source, lines):
        print(gap)
    lines_min_percent, branches_min_percent = MODULES[module]
    return ran.percent >= lines_min_percent and taken.percent >= branches_min_percent


def main() -> int:
    """Build, test, report; 1 if a module is under its row, 2 if it could not be measured."""
    try:
        build()
        files = reaching_tests()
        tests = (Path(sys.executable).with_name("pytest"), "-q", "-p", "no:cacheprovider")
        chosen = ("-m", "not slow and not alone", "--hypothesis-seed=0")  # the same every time
        said = run(*tests, *chosen, *files, PYTHONPATH=str(LIBRARY))
        print(said.splitlines()[-1])
        verdicts = []
        for module in MODULES:
            source = (ROOT / source_of(module)).read_text()
            lines = covered(module, gcov(module), scan_report.bodies(source))
            verdicts.append(judge(module, source, lines))
    except CoverageError as error:
        print(error)
        return 2
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
