"""Run the mutants of the safety code against its tests, and the survivors against its proofs.

A mutant is compiled into a copy of the package in which everything else is linked, then its
module's tests run in a process of their own until the first that fails. One that no test kills is
handed to the claims that name the changed function.
"""

import hashlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from proofs import cbmc, generate, mutate
from proofs.claims import CLAIMS, KERNEL
from proofs.generate import HERE, ROOT

PLACE = ROOT / "build" / "mutants"
EQUIVALENT = HERE / "equivalent.toml"
WORKERS = 2
SECONDS_MAX = 240  # of a mutant that makes a loop endless; a busy machine is slow
EFFECTS = ("unit/test_interlock_effects.py", "property/test_kernel_interlock_effects.py")
TESTS = {
    "blocks": ("unit/test_blocks.py", "property/test_kernel_blocks.py"),
    "interlock": (
        "unit/test_interlock.py", "unit/test_authority_kernel.py", *EFFECTS,
        "property/test_kernel_interlock.py",
    ),
    "authority": (
        "unit/test_authority_kernel.py", "unit/test_interlock.py", *EFFECTS,
        "property/test_kernel_interlock.py",
    ),
    "dispatch": (
        "unit/test_dispatch.py", "unit/test_dispatch_effects.py", "unit/test_dispatch_points.py",
        "property/test_kernel_dispatch.py", *EFFECTS[1:],
    ),
    "curtail": (
        "unit/test_dispatch.py", "unit/test_dispatch_effects.py", "unit/test_dispatch_points.py",
        "property/test_kernel_dispatch.py",
    ),
    "overload": ("unit/test_overload.py", "unit/test_monitor.py"),
    "demand": ("unit/test_demand.py", "unit/test_monitor.py"),
    "inventory": ("unit/test_inventory.py", "property/test_kernel_inventory.py"),
    "carryover": ("unit/test_carryover.py", "property/test_carryover_conservation.py"),
}  # fmt: skip
WARM = ("Cython.Compiler.Main", "Cython.Build", "pytest", "hypothesis", "numpy", "setuptools")


class BrokenError(Exception):
    """The tests of a mutant did not run: there is nothing to tell of it."""


class End(IntEnum):
    """How a mutant's process ends."""

    SURVIVED = 0
    KILLED = 1
    NO_MUTANT = 3  # it does not compile: no mutant
    BROKEN = 70  # the tests did not run: nothing is known


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant; killer is empty when nothing killed it."""

    mutant: mutate.Mutant
    killer: str
    seconds: float


def every(modules: Sequence[str] = tuple(TESTS)) -> list[mutate.Mutant]:
    """Every mutant of these modules that is not known to be equivalent."""
    after = mutate.enums((ROOT / "edgectl/_kernel").glob("*.pxd"))
    found = [
        mutant
        for module in modules
        for mutant in mutate.mutants(module, (ROOT / f"ext/{module}.pyx").read_text(), after)
    ]
    known = equivalents()
    return [mutant for mutant in found if mutant.name not in known]


def equivalents() -> dict[str, str]:
    """Mutants that change nothing anyone could see, by name, with the reason."""
    return {str(k): str(v) for k, v in tomllib.loads(EQUIVALENT.read_text()).items()}


def sample(found: Sequence[mutate.Mutant], most: int | None) -> list[mutate.Mutant]:
    """At most so many, spread over the functions, always the same; all without a number."""
    if most is None or most >= len(found):
        return list(found)
    by_chance = sorted(found, key=lambda mutant: mutant.name.rpartition(":")[2])
    return by_chance[:most]


def unchanged(module: str) -> mutate.Mutant:
    """The module as it is, to see that its tests run and pass where mutants do."""
    source = (ROOT / f"ext/{module}.pyx").read_text()
    return mutate.Mutant(f"{module}:as it is", module, "", 0, "", "", source)


def linked(folder: Path, module: str) -> Path:
    """A package whose files are the tree's, but for the one compiled module; where that goes."""
    shutil.rmtree(folder, ignore_errors=True)
    kernel = folder / "edgectl" / "_kernel"
    kernel.mkdir(parents=True)
    compiled = f"{module}{sysconfig.get_config_var('EXT_SUFFIX')}"
    for path in (ROOT / "edgectl").iterdir():
        if path.name != "_kernel":
            (folder / "edgectl" / path.name).symlink_to(path)
    for path in (ROOT / "edgectl" / "_kernel").iterdir():
        if path.name != compiled:
            (kernel / path.name).symlink_to(path)
    return kernel / compiled


def build(folder: Path, mutant: mutate.Mutant) -> bool:
    """Translate and compile one mutant into its copy of the package; whether that worked."""
    target = linked(folder, mutant.module)
    source = folder / f"{mutant.module}.pyx"
    source.write_text(mutant.source)
    try:
        c = generate.translate_one(f"{KERNEL}{mutant.module}", source)
    except Exception:  # Cython has its own kinds for each phase; none of them makes a mutant
        return False
    command = ["gcc", "-shared", "-fPIC", "-O0", "-w", "-fno-fast-math", "-ffp-contract=off"]
    command += [f"-I{sysconfig.get_paths()['include']}", str(c), "-o", str(target)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run_tests(folder: Path, tests: Sequence[str]) -> End:
    """The module's tests in this process, with the package of the folder."""
    import hypothesis  # by by_tests already: edgectl alone must be new here
    import pytest

    assert "edgectl" not in sys.modules
    sys.path.insert(0, str(folder))
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=phases, max_examples=60,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    hypothesis.settings.load_profile("mutants")
    quiet = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is imported already
    words = ["-x", "-q", "--tb=line", "-W", quiet, "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    code = pytest.main([*words, *(str(ROOT / "tests" / name) for name in tests)])
    place = importlib.import_module("edgectl").__file__
    if place is None or not Path(place).is_relative_to(folder):
        print(f"the tests ran with {place}, not with the mutant")
        return End.BROKEN
    ends = {pytest.ExitCode.OK: End.SURVIVED, pytest.ExitCode.TESTS_FAILED: End.KILLED}
    return ends.get(pytest.ExitCode(code), End.BROKEN)


def child(folder: Path, mutant: mutate.Mutant) -> End:
    """The whole life of one mutant, in a process of its own."""
    if not build(folder, mutant):
        return End.NO_MUTANT
    return run_tests(folder, TESTS[mutant.module])


def fork(folder: Path, mutant: mutate.Mutant) -> int:
    """Start a child, its output in the folder; the process id."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix(".log")
    process = os.fork()
    if process:
        return process
    code = int(End.BROKEN)
    try:
        os.setsid()
        with log.open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        signal.alarm(SECONDS_MAX)
        code = int(child(folder, mutant))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def killed_by(log: str, status: int) -> str:
    """Which test failed first, or the signal that ended them: a crash, or SIGALRM for no end."""
    if os.WIFSIGNALED(status):
        return f"the tests ended by {signal.Signals(os.WTERMSIG(status)).name}"
    failed = [line for line in log.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].split(" - ")[0].split(" ", 1)[1] if failed else "a test"


def by_tests(
    chosen: Sequence[mutate.Mutant], told: Callable[[Verdict], None], workers: int = WORKERS
) -> Iterator[Verdict]:
    """What the tests say of each mutant; those that do not compile are left out.

    Raises BrokenError where the tests do not run, or fail without a mutant.
    """
    for name in WARM:
        importlib.import_module(name)
    chosen = [*(unchanged(module) for module in sorted({m.module for m in chosen})), *chosen]
    waiting = list(reversed(chosen))
    running: dict[int, tuple[Path, mutate.Mutant, float]] = {}
    free = [PLACE / f"worker{at}" for at in range(workers)]
    while waiting or running:
        while waiting and free:
            folder, mutant = free.pop(), waiting.pop()
            running[fork(folder, mutant)] = (folder, mutant, time.monotonic())
        process, status = os.wait()
        if process not in running:
            continue
        folder, mutant, begin_s = running.pop(process)
        free.append(folder)
        end = os.waitstatus_to_exitcode(status)
        if end == End.NO_MUTANT:
            continue
        log = folder.with_suffix(".log").read_text(errors="replace")
        if end not in (End.SURVIVED, End.KILLED) and not os.WIFSIGNALED(status):
            raise BrokenError(f"{mutant.name}: its tests did not run:\n{log[-2000:]}")
        killer = "" if end == End.SURVIVED else killed_by(log, status)
        if not mutant.function:
            if killer:
                raise BrokenError(f"{mutant.name} fails {killer}: no mutant can be judged")
            continue
        verdict = Verdict(mutant, killer, time.monotonic() - begin_s)
        told(verdict)
        yield verdict


def by_proofs(tool: Path, mutant: mutate.Mutant) -> str:
    """The claim that refutes a mutant, of those that name its function; empty if none does."""
    folder = PLACE / "proofs" / hashlib.sha256(mutant.name.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{mutant.module}.pyx"
    source.write_text(mutant.source)
    c = generate.translate_one(f"{KERNEL}{mutant.module}", source)
    for claim in CLAIMS:
        if claim.module == f"{KERNEL}{mutant.module}" and mutant.function in claim.functions:
            outcome = cbmc.prove(tool, claim, c)
            if any(reason.startswith(("refuted", "never")) for reason in outcome.reasons):
                return f"proof {claim.name}"
    return ""


def judge(
    tool: Path | None, chosen: Sequence[mutate.Mutant], told: Callable[[Verdict], None]
) -> list[Verdict]:
    """What became of each mutant: killed by a test, else by a proof where there is cbmc."""
    verdicts = list(by_tests(chosen, told))
    if tool is None:
        return verdicts
    survivors = [verdict for verdict in verdicts if not verdict.killer]
    with ThreadPoolExecutor(WORKERS) as pool:
        killers = list(pool.map(lambda verdict: by_proofs(tool, verdict.mutant), survivors))
    proved = {v.mutant.name: killer for v, killer in zip(survivors, killers, strict=True)}
    return [
        Verdict(v.mutant, v.killer or proved.get(v.mutant.name, ""), v.seconds) for v in verdicts
    ]
