"""For the tests of tools/prove and tools/fuzz: run one of them, and spoil generated C."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from proofs import generate

MODBUS = "edgectl._kernel.modbus"


def tool(name: str, *words: str, timeout_s: float) -> dict[str, Any]:
    """Run proofs.prove or proofs.fuzz; its last line. Skips, loudly, where programs are absent."""
    path = os.pathsep.join([str(generate.ROOT / "tools"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", f"proofs.{name}", "--json", *words],
        cwd=generate.ROOT, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    absent = [line for line in told["skipped"] if not line.startswith("mutants")]
    if absent:
        pytest.skip(f"NOTHING IS PROVED OR FUZZED: {absent[0]}")
    return told


def spoil(folder: Path) -> Path:
    """The C of modbus.pyx with one more word written than was asked for; its path."""
    generate.translate([MODBUS])
    text = generate.generated(MODBUS).read_text()
    body = text.index("check_read(uint8_t const *__pyx_v_frame")
    loop = re.compile(r"(for \((\w+) = 0; \2 )<( \w+; \2\+=1\))")
    spoilt, loops = loop.subn(r"\1<=\3", text[body:], count=1)
    assert loops == 1
    path = folder / "modbus.c"
    path.write_text(text[:body] + spoilt)
    return path
