"""Fuzz the C that Cython generates: libFuzzer with the address and undefined-behaviour sanitizers.

Exit status: 0 no finding, or nothing could be run and --require is not given; 1 a finding, or
--require and nothing could be run. A finding is kept in build/fuzz/TARGET/findings.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from proofs.cbmc import AbsentError
from proofs.generate import HERE, ROOT, generated, translate

PLACE = ROOT / "build" / "fuzz"
SANITIZERS = "-fsanitize=fuzzer,address,undefined"
CLANGS = ("clang", *(f"clang-{version}" for version in range(21, 13, -1)))
KERNEL = "edgectl._kernel."
INPUT_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One fuzzer: its C files, the modules whose C they include, what its first corpus holds."""

    name: str
    files: tuple[str, ...]
    modules: tuple[str, ...]
    seeds: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a fuzzer came to."""

    target: str
    executions: int
    finding: str  # the sanitizer's or the check's own line; empty: none


def asked(kind: int, count: int) -> bytes:
    """The head of an input: unit 1, transaction 1, address 0, value 7."""
    return bytes([kind, 1, 0, 0, 1, 0, 0, 0, 7]) + (count - 1).to_bytes(2, "big")


REPLIES = (  # kind of FUNCTIONS, count, reply without header and CRC
    (0, 10, "01010 2cd01"), (2, 2, "0103 04 00e6 ffff"), (3, 1, "0104 02 1234"),
    (4, 1, "0105 0000 0007"), (5, 1, "0106 0000 0007"), (6, 3, "010f 0000 0003"),
    (7, 2, "0110 0000 0002"), (2, 2, "0183 02"),
)  # fmt: skip
PDUS = tuple((kind, count, bytes.fromhex(text.replace(" ", ""))) for kind, count, text in REPLIES)
STREAMS = tuple(
    asked(kind, count) + b"\x07\0\x01\0\0" + len(pdu).to_bytes(2, "big") + pdu
    for kind, count, pdu in PDUS
)
LINES = tuple(asked(kind, count) + b"\x07\x01" + pdu + b"\0\0" for kind, count, pdu in PDUS)
POINT = bytes.fromhex("04 07 00 00 00 00 00 000000000000f03f".replace(" ", "")) + bytes(48)

TARGETS = (
    Target("modbus", ("modbus_fuzz.c",), (f"{KERNEL}modbus",), STREAMS),
    Target("rtu", ("rtu_fuzz.c", "modbus_door.c"), (f"{KERNEL}rtu", f"{KERNEL}modbus"), LINES),
    Target("points", ("process_image_fuzz.c", "quality_door.c"),
           (f"{KERNEL}process_image", f"{KERNEL}quality"), (POINT,)),
)  # fmt: skip


def compiler() -> str:
    """A clang that links the fuzzer; installed by apt where we may.

    Raises AbsentError.
    """
    if found := usable():
        return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
        packages = ["clang-14", "libfuzzer-14-dev", "libclang-rt-14-dev"]
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
        subprocess.run([*command, *packages], capture_output=True, check=False)
        if found := usable():
            return found
    raise AbsentError(
        "no clang with libFuzzer and its sanitizers; on Debian 12: "
        "apt-get install clang-14 libfuzzer-14-dev libclang-rt-14-dev"
    )


def usable() -> str:
    """The first clang that makes a fuzzer; empty where none does."""
    PLACE.mkdir(parents=True, exist_ok=True)
    probe = PLACE / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }\n")
    for name in CLANGS:
        if not shutil.which(name):
            continue
        command = [name, SANITIZERS, str(probe), "-o", str(PLACE / "probe")]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return name
    return ""


def build(clang: str, target: Target, folder: Path | None = None) -> Path:
    """Compile and link one fuzzer.

    folder   of generated C to prefer; a negative control hands in a spoilt copy

    Raises AbsentError with the compiler's words.
    """
    place = PLACE / (target.name if folder is None else f"{target.name}-spoilt")
    place.mkdir(parents=True, exist_ok=True)
    library = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("LDLIBRARY")
    if not library.exists():
        raise AbsentError(f"{library} is absent: the generated C refers to Python's library")
    folders = [folder] if folder else []
    folders += [generated(target.modules[0]).parent, HERE, Path(sysconfig.get_paths()["include"])]
    command = [clang, "-g", "-O1", "-w", SANITIZERS, "-fno-sanitize-recover=all"]
    command += ["-fno-fast-math", "-ffp-contract=off", *(f"-I{each}" for each in folders)]
    command += [str(HERE / name) for name in target.files]
    command += [str(library), f"-Wl,-rpath,{library.parent}", "-lm", "-ldl", "-lpthread", "-lutil"]
    program = place / "fuzzer"
    done = subprocess.run(
        [*command, "-o", str(program)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AbsentError(f"{target.name} does not build: {done.stderr[-2000:]}")
    return program


def fuzz(program: Path, target: Target, seconds: int) -> Run:
    """Run one fuzzer for some seconds, on top of what its corpus already holds."""
    corpus, findings = program.parent / "corpus", program.parent / "findings"
    for folder in (corpus, findings):
        folder.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    command = [
        str(program),
        str(corpus),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={findings}/",
        f"-max_len={INPUT_BYTES_MAX}",
        "-print_final_stats=1",
        "-timeout=5",
    ]
    environment = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + 120,
        env=environment,
    )
    executed = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    return Run(target.name, int(executed.group(1)) if executed else 0, finding(done))


def finding(done: subprocess.CompletedProcess[str]) -> str:
    """The line that says what was found; empty when the fuzzer ended well."""
    if done.returncode == 0:
        return ""
    told = re.search(r"^.*(runtime error:|ERROR: |_fuzz\.c:\d+: ).*$", done.stderr, re.M)
    return told.group(0) if told else f"exit status {done.returncode}: {done.stderr[-300:]}"


def main(words: Sequence[str] | None = None) -> int:
    """Build and run the targets one after the other; the seconds are shared among them."""
    parser = argparse.ArgumentParser(prog="tools/fuzz", description=__doc__)
    names = [target.name for target in TARGETS]
    parser.add_argument("--seconds", type=int, default=600, help="in all")
    parser.add_argument("--target", choices=names, help="one target in place of all")
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument("--require", action="store_true", help="fail where clang cannot be had")
    told = parser.parse_args(words)
    console = Console()
    chosen = [target for target in TARGETS if told.target in (None, target.name)]
    try:
        clang = compiler()
        translate(module for target in chosen for module in target.modules)
        programs = [build(clang, target) for target in chosen]
    except AbsentError as absent:
        console.print(f"SKIPPED, NOTHING IS FUZZED: {absent}", style="bold red", markup=False)
        if told.json:
            print(json.dumps({"executions": {}, "findings": {}, "skipped": [str(absent)]}))
        return 1 if told.require else 0
    each_s = max(1, told.seconds // len(chosen))
    runs = [fuzz(program, target, each_s) for program, target in zip(programs, chosen, strict=True)]
    for run in runs:
        verdict = f"FOUND {run.finding}" if run.finding else "no finding"
        line = f"{run.target}: {run.executions:,} executions in {each_s} s, {verdict}"
        console.print(line, markup=False, highlight=False)
    found = {run.target: run.finding for run in runs if run.finding}
    if told.json:
        executed = {run.target: run.executions for run in runs}
        print(json.dumps({"executions": executed, "findings": found, "skipped": []}))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
