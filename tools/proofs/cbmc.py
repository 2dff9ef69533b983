"""CBMC: get it, run one claim, read its answer."""

import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from proofs.claims import Claim
from proofs.generate import HERE, ROOT, generated

CACHE = ROOT / "build" / "cbmc"
CHECKS = (
    "--bounds-check", "--pointer-check", "--pointer-overflow-check", "--signed-overflow-check",
    "--undefined-shift-check", "--div-by-zero-check", "--unwinding-assertions",
)  # fmt: skip
MEMORY_BYTES_MAX = 12 << 30
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ANSWER = re.compile(r"^\[[^\]]+\] (?:line \d+ )?(.*): (SUCCESS|FAILURE|UNKNOWN|ERROR)$", re.M)
CLOSING = re.compile(r"^\*\* (\d+) of (\d+) failed", re.M)


class AbsentError(Exception):
    """A tool cannot be had here; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claim; proved, or the reasons why not."""

    claim: Claim
    seconds: float  # of processor time
    checks: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def proved(self) -> bool:
        """Whether every check holds and every REACHED is reached."""
        return not self.reasons


def find() -> Path:
    """The cbmc of this machine, or one fetched into build/cbmc.

    Raises AbsentError.
    """
    if found := shutil.which("cbmc"):
        return Path(found)
    cached = CACHE / "root" / "usr" / "bin" / "cbmc"
    if not cached.exists():
        fetch()
    if not cached.exists():
        raise AbsentError(f"the package held no {cached.name}")
    return cached


def mirror() -> str:
    """The package archive this machine is set up with."""
    for path in (*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")):
        if not path.exists():
            continue
        found = re.search(r"^(?:URIs:|deb(?: \[.*\])?)\s+(\S+/debian/?)\s", path.read_text(), re.M)
        if found:
            return found.group(1)
    raise AbsentError("cbmc is not installed and apt names no Debian archive to take it from")


def fetch() -> None:
    """Unpack Debian 11's cbmc 5.12 into the cache; it runs on later ones as well.

    Raises AbsentError.
    """
    if not shutil.which("apt-get") or not Path(KEYRING).exists():
        raise AbsentError("cbmc is not installed; install cbmc 5.12 or newer, and minisat")
    for folder in ("lists/partial", "cache/archives/partial"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    sources = CACHE / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror()} bullseye main\n")
    options = [f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=-"]
    options += [f"Dir::State::lists={CACHE / 'lists'}", f"Dir::Cache={CACHE / 'cache'}"]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    try:
        quietly([*apt, "update"])
        quietly([*apt, "download", "cbmc"])
        (package,) = CACHE.glob("cbmc_*.deb")
        quietly(["dpkg-deb", "-x", str(package), str(CACHE / "root")])
        if not shutil.which("minisat") and os.geteuid() == 0:
            quietly(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "minisat"])
    except (subprocess.SubprocessError, ValueError) as error:
        raise AbsentError(f"cbmc could not be fetched: {error}") from error


def quietly(command: list[str]) -> None:
    """Run one command in the cache; its output goes nowhere."""
    subprocess.run(command, cwd=CACHE, check=True, capture_output=True, timeout=300)


def version(tool: Path) -> str:
    """The tool's own version.

    Raises AbsentError if it does not run, for want of the solver's library say.
    """
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why = done.stderr.strip()
        raise AbsentError(f"cbmc does not run: {why}; `apt-get install minisat` may help")
    return done.stdout.split()[0]


def prove(tool: Path, claim: Claim, c: Path | None = None) -> Outcome:
    """Run one claim.

    c   the generated C in place of the module's own; a negative control hands in a spoilt copy
    """
    mangled = "".join(f"_{len(part)}{part}" for part in claim.module.split("."))[1:]
    loops = ",".join(f"__pyx_f_{mangled}_{name}.{at}:{n}" for name, at, n in claim.loops)
    folder = (c or generated(claim.module)).parent
    command = [str(tool), f"-I{folder}", f"-I{HERE}", f"-I{sysconfig.get_paths()['include']}"]
    command += [str(HERE / claim.source), "--function", claim.name, "--drop-unused-functions"]
    command += ["-D__builtin_isfinite=__CPROVER_isfinited"]
    command += ["--slice-formula", "--unwind", str(claim.unwind), *CHECKS]
    command += ["--unwindset", loops] if loops else []
    output, errors, cpu_s, in_time = bounded(command, claim.timeout_s)
    if not in_time:
        return Outcome(claim, cpu_s, 0, [f"no answer in {claim.timeout_s:g} s of processor time"])
    answers = ANSWER.findall(output)
    return Outcome(claim, cpu_s, len(answers), judge(answers, output, errors))


def bounded(command: list[str], cpu_s: float) -> tuple[str, str, float, bool]:
    """Run a command with bounded processor time and memory; its output, errors, seconds, in time.

    Processor time, so that a busy machine makes no proof fail; a formula that grows without end
    is refused by the operating system, and does not take the whole machine down.
    """

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(cpu_s), math.ceil(cpu_s) + 1))

    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=output, stderr=errors, preexec_fn=bound)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        in_time = child.returncode not in (-signal.SIGXCPU, -signal.SIGKILL)
        return output.read(), errors.read(), used.ru_utime + used.ru_stime, in_time


def judge(answers: list[tuple[str, str]], output: str, errors: str) -> list[str]:
    """Why this is no proof; empty when it is one.

    answers   (words, SUCCESS or FAILURE) of every check that was read in the output
    """
    closing = CLOSING.search(output)
    if closing is None:
        last = (errors.strip() or output.strip()).splitlines()[-1:]
        return [f"cbmc came to no end: {' '.join(last)}"]
    counted = (sum(result == "FAILURE" for _, result in answers), len(answers))
    if counted != (int(closing.group(1)), int(closing.group(2))):
        return [f"cbmc tells of {closing.group(0)}, its lines of {counted}"]
    reached = [(words, result) for words, result in answers if words.startswith("reached: ")]
    reasons = [
        f"refuted: {words}"
        for words, result in answers
        if result != "SUCCESS" and not words.startswith("reached: ")
    ]
    reasons += [f"never {words}" for words, result in reached if result != "FAILURE"]
    return reasons if reached else [*reasons, "no REACHED: it may be about nothing"]
