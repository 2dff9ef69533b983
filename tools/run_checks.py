#!/usr/bin/env python3
"""The steps of ./tools/test, two at a time, each with its heading, its own output and its time.

Every step runs even when another failed, so that one run tells everything. What measures time runs
after the others, with the machine for itself. A step's output is shown when the step ends; of a
single one (--only) it is shown as it comes. Ends with a line that says what failed, and exits
non-zero if anything did.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import scan_report

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
BUILD = ROOT / "build"
TRACE = BUILD / "trace"
DIST = BUILD / "dist"
KERNEL_COVERAGE_MIN_PERCENT = 85.0  # of the lines of ext/, by KERNEL_TESTS
KERNEL_TESTS = ("tests/unit", "tests/property", "tests/scenario")  # what runs on the traced build:
KERNEL_WORDS = ("edgectl._kernel", "edgectl.plant", "wire_rig")  # of these, files that say so
COMPILED = ("edgectl._kernel", "edgectl.plant")  # packages with .so and their stubs
PYTHON_DATA = BUILD / "coverage-python"
WORKERS = ("-n", "2")  # processes that share the tests of one step
STEPS_AT_ONCE = 2
LOG_LINES = 60  # of a failed build shown here
SITES = ("demo", "texas-100mw")  # ship with the package


class CheckError(Exception):
    """A step found what must not be; the message says what."""


@dataclass(frozen=True, slots=True)
class Step:
    """One heading of the run."""

    name: str
    what: str
    work: Callable[[bool], None]  # takes whether slow tests are wanted
    alone: bool = False  # nothing else may run beside it


def run(
    *command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None, log: str = ""
) -> None:
    """Run one command.

    command   program and arguments
    cwd       where
    env       variables set on top of this process's own
    log       name of a log in build/: the output goes there, and its end here if it fails;
              without one the output goes to this terminal

    Raises CheckError if it does not exit with 0.
    """
    words = [str(word) for word in command]
    sys.stdout.flush()
    with (BUILD / f"{log}.log").open("w") if log else nullcontext() as output:
        ended = subprocess.run(
            words, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT if log else None, check=False,
        )  # fmt: skip
    if ended.returncode != 0:
        if log:
            print(*(BUILD / f"{log}.log").read_text().splitlines()[-LOG_LINES:], sep="\n")
        shown = " ".join(words).replace(f"{ROOT}/", "")
        raise CheckError(f"exit status {ended.returncode}: {shown}")


def lint(_slow: bool) -> None:
    """Ruff over every Python file; nothing is rewritten."""
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")


def types(_slow: bool) -> None:
    """Mypy, strict, over the package and the tools."""
    run(BIN / "mypy", "--strict", "edgectl", "tools")


def stubs(_slow: bool) -> None:
    """Every compiled module has a stub, and the stub tells the truth."""
    modules = []
    for package in COMPILED:
        folder = ROOT.joinpath(*package.split("."))
        for compiled in sorted(folder.glob("*.so")):
            name = compiled.name.split(".")[0]
            if not (folder / f"{name}.pyi").exists():
                raise CheckError(f"{package}.{name} is compiled and has no stub {name}.pyi")
            modules.append(f"{package}.{name}")
    if not modules:
        raise CheckError("no compiled module was found: run tools/setup")
    allowed = ROOT / "tools" / "stubtest_allowlist.txt"
    flags = ("--concise", "--ignore-disjoint-bases", "--ignore-unused-allowlist")
    run(BIN / "stubtest", *flags, "--allowlist", allowed, *modules)


def annotate(_slow: bool) -> None:
    """No Python inside a nogil body."""
    run(sys.executable, "tools/scan_report.py")


def compiler() -> dict[str, str]:
    """Variables that let ccache answer for C that was compiled before, where there is a ccache."""
    if "CC" in os.environ or shutil.which("ccache") is None:
        return {}
    return {"CC": "ccache gcc", "CCACHE_NOHASHDIR": "1"}


def pytest(
    data: Path, of: str, marks: str, *words: str, env: Mapping[str, str] | None = None
) -> None:
    """Run pytest under coverage; its report follows the tests' own, whether they pass or not.

    data    file for the figures, of all worker processes
    of      folder or package of which lines count
    marks   which tests
    words   further arguments

    Raises CheckError if a test fails.
    """
    tool = (BIN / "pytest", "-q", "-p", "no:cacheprovider", f"--cov={of}", "--cov-report=term")
    own = {"COVERAGE_FILE": str(data), **(env or {})}
    run(*tool, "-m", marks, *words, env=own)


def marks(slow: bool, *others: str) -> str:
    """An expression for pytest -m."""
    return " and ".join([*others, *([] if slow else ["not slow"])])


def thorough(slow: bool) -> list[str]:
    """More examples of every property where time is no matter."""
    return ["--hypothesis-profile=thorough"] if slow else []


def tests(slow: bool) -> None:
    """All tests that bear company, against the tree, with coverage of the Python side."""
    words = [*WORKERS, "--durations=10", *thorough(slow)]
    pytest(PYTHON_DATA, "edgectl", marks(slow, "not alone"), *words)


def alone(slow: bool) -> None:
    """The others: each has the machine for itself. Their lines are added to those of `tests`."""
    words = ["--durations=10", *(["--cov-append"] if PYTHON_DATA.exists() else [])]
    pytest(PYTHON_DATA, "edgectl", marks(slow, "alone"), *words)


def kernel_lines(_slow: bool) -> None:
    """Line coverage of ext/, nogil lines and real threads included, by a build that traces itself.

    Raises CheckError if a module of ext/ is missing from the report, which Cython lets pass in
    silence, or if the whole is under KERNEL_COVERAGE_MIN_PERCENT.
    """
    build = [sys.executable, "setup.py", "build", f"--build-base={BUILD / 'trace-base'}"]
    build += [f"--build-lib={TRACE}", "build_ext", "--parallel=2"]
    run(*build, env={"EDGECTL_TRACE": "1", **compiler()}, log="trace-build")
    data, report = BUILD / "coverage-kernel", BUILD / "coverage-kernel.json"
    chosen = [*WORKERS, "--durations=5", *kernel_tests()]
    wanted = marks(False, "not alone", "not untraced")
    pytest(data, "ext", wanted, *chosen, env={"PYTHONPATH": str(TRACE)})
    run(BIN / "coverage", "json", "-q", f"--data-file={data}", "-o", report)
    covered = json.loads(report.read_text())
    absent = {
        name
        for path in (ROOT / "ext").rglob("*.pyx")
        if (name := str(path.relative_to(ROOT))) not in covered["files"]
        and scan_report.bodies(path.read_text())  # a table without functions has no line to reach
    }
    if absent:
        raise CheckError(f"not in the coverage report: {', '.join(sorted(absent))}")
    percent = covered["totals"]["percent_covered"]
    if percent < KERNEL_COVERAGE_MIN_PERCENT:
        least = KERNEL_COVERAGE_MIN_PERCENT
        raise CheckError(f"tests reach {percent:.1f} % of ext/; at least {least:g} % is asked")


def branches(_slow: bool) -> None:
    """Line and branch coverage of the modules that decide, by a build of gcc's own coverage."""
    run(sys.executable, "tools/branch_coverage.py", env=compiler())


def kernel_tests() -> list[str]:
    """Test files that reach compiled code by name; the others would only take longer."""
    files = [path for folder in KERNEL_TESTS for path in (ROOT / folder).rglob("test_*.py")]
    reaching = [p for p in files if any(word in p.read_text() for word in KERNEL_WORDS)]
    return sorted(str(path.relative_to(ROOT)) for path in reaching)


def package(_slow: bool) -> None:
    """Sdist, and a wheel made from that sdist, which is then installed and used."""
    shutil.rmtree(DIST, ignore_errors=True)
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", DIST, ".")
    run(*build, env=compiler(), log="dist")
    (wheel,) = DIST.glob("*.whl")
    check_wheel(wheel)
    with tempfile.TemporaryDirectory(prefix="edgectl-wheel-") as name:
        place = Path(name)
        python = bare_environment(place / "venv")
        pip = (sys.executable, "-m", "pip", "--python", python, "-q", "install")
        run(*pip, "--no-deps", "--no-index", wheel, cwd=place)
        edgectl = python.with_name("edgectl")
        run(edgectl, "--version", cwd=place)
        run(edgectl, "--help", cwd=place, log="help")
        for site in SITES:
            run(edgectl, "check", site, cwd=place, log=f"check-{site}")


def check_wheel(wheel: Path) -> None:
    """The wheel holds what the tree has to ship and no source of the kernel.

    Raises CheckError naming what is missing or too much.
    """
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {"edgectl/py.typed"}
    for pattern in ("edgectl/**/*.py", "edgectl/**/*.pxd", "edgectl/**/*.pyi"):
        wanted |= {str(p.relative_to(ROOT)) for p in ROOT.glob(pattern)}
    wanted |= {str(p.relative_to(ROOT)) for p in ROOT.glob("edgectl/sites/*.toml")}
    profiles = (ROOT / "firmware_profiles").rglob("*.toml")
    wanted |= {f"edgectl/{p.relative_to(ROOT)}" for p in profiles}
    for source in (ROOT / "ext").glob("*.pyx"):
        name = f"edgectl/_kernel/{source.stem}."
        if not any(h.startswith(name) and h.endswith(".so") for h in held):
            wanted.add(f"{name}so")
    if missing := sorted(wanted - held):
        raise CheckError(f"missing from the wheel: {', '.join(missing)}")
    if extra := sorted(h for h in held if h.endswith((".pyx", ".c", ".html"))):
        raise CheckError(f"too much in the wheel: {', '.join(extra)}")


def bare_environment(place: Path) -> Path:
    """A virtual environment that sees this one's packages but not its editable edgectl.

    place   folder to make

    Returns its python. Path files of the borrowed folder are not read, so the link to this tree
    that an editable installation leaves there has no effect.
    """
    venv.create(place, with_pip=False, symlinks=True)
    (borrowed,) = (BIN.parent / "lib").glob("python3*/site-packages")
    (own,) = (place / "lib").glob("python3*/site-packages")
    (own / "borrowed.pth").write_text(f"{borrowed}\n")
    return place / "bin" / "python"


STEPS = (
    Step("tests", "pytest with coverage of the Python side", tests),
    Step("lint", "ruff check, ruff format", lint),
    Step("types", "mypy --strict", types),
    Step("stubs", "stubtest of the compiled modules", stubs),
    Step("kernel", "traced build, line coverage of ext/", kernel_lines),
    Step("branches", "lines and branches of the deciding modules, by gcov", branches),
    Step("annotate", "no yellow line in a nogil body", annotate),
    Step("package", "sdist, wheel, installed and used", package),
    Step("alone", "tests that measure time, one after the other", alone, alone=True),
)


def wanted_steps(words: Sequence[str] | None) -> tuple[list[Step], bool, bool]:
    """The steps the command line asks for, whether slow tests are wanted, and for `apart`."""
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__)
    names = [step.name for step in STEPS]
    parser.add_argument("--slow", action="store_true", help="run the tests marked slow, too")
    parser.add_argument(
        "--only", action="append", choices=names, metavar="STEP", help=", ".join(names)
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    chosen = arguments.only or names
    steps = [step for step in STEPS if step.name in chosen]
    return steps, bool(arguments.slow), bool(arguments.inside)


def processor_s() -> float:
    """What this process and those it waited for have used; a busy machine changes it little."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def one(step: Step, slow: bool) -> bool:
    """Do one step here, its output on this terminal; whether it passed."""
    print(f"\n=== {step.name}: {step.what}", flush=True)
    begin_s, before_s = time.monotonic(), processor_s()
    verdict = "passed"
    try:
        step.work(slow)
    except CheckError as error:
        print(f"FAILED {step.name}: {error}", flush=True)
        verdict = "FAILED"
    took_s, used_s = time.monotonic() - begin_s, processor_s() - before_s
    print(f"--- {step.name} {verdict} in {took_s:.1f} s, processor {used_s:.1f} s", flush=True)
    return verdict == "passed"


def apart(step: Step, slow: bool) -> tuple[bool, str]:
    """Do one step in a process of its own; whether it passed, and its whole output."""
    log = BUILD / f"step-{step.name}.log"
    words = [sys.executable, __file__, "--only", step.name, "--inside"]
    with log.open("w") as output:
        ended = subprocess.run(
            [*words, *(["--slow"] if slow else [])], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    return ended.returncode == 0, log.read_text()


def every(steps: Sequence[Step], slow: bool) -> list[str]:
    """Do all steps, STEPS_AT_ONCE beside one another, then the lonely ones; names of the failed."""
    if len(steps) == 1:
        return [step.name for step in steps if not one(step, slow)]
    failed = []

    def told(step: Step, outcome: tuple[bool, str]) -> None:
        passed, output = outcome
        print(output, end="", flush=True)
        if not passed:
            failed.append(step.name)

    with ThreadPoolExecutor(STEPS_AT_ONCE) as pool:
        running = {pool.submit(apart, step, slow): step for step in steps if not step.alone}
        for ended in as_completed(running):
            told(running[ended], ended.result())
    for step in steps:
        if step.alone:
            told(step, apart(step, slow))
    return failed


def main(words: Sequence[str] | None = None) -> int:
    """Run the steps; 0 if all passed."""
    steps, slow, inside = wanted_steps(words)
    BUILD.mkdir(exist_ok=True)
    if inside:
        return 0 if one(steps[0], slow) else 1
    if "tests" in {step.name for step in steps}:
        PYTHON_DATA.unlink(missing_ok=True)
    begin_s = time.monotonic()
    failed = every(steps, slow)
    total_s = time.monotonic() - begin_s
    counts = [f"{len(failed)} failed ({', '.join(failed)})"] if failed else []
    counts.append(f"{len(steps) - len(failed)} passed")
    closing = f" {', '.join(counts)} in {total_s:.1f}s "
    print(f"\n{closing:=^80}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
