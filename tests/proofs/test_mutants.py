"""What tools/prove --mutants does: mutants of every kind, judged by what kills them."""

import os
import subprocess
import sys

import pytest
from proof_rig import tool
from proofs import generate, mutants, mutate

SOURCE = '''
cdef double clip(double value, const Row* row) noexcept nogil:
    """A docstring with a < b and nothing to change."""
    cdef int32_t at
    cdef double low = -row.low if row.low > 0.0 else 0.0
    for at in range(1, row.count):
        if value < low and not row.off:
            row.effect = EFFECT_ZERO
            return <double> low
    return minimum(value, row.high)


def door(a, b):
    return a < b
'''
AFTER = {"EFFECT_ZERO": "EFFECT_OPEN"}


def changed() -> set[tuple[str, str]]:
    """(kind, statement after) of every mutant of SOURCE."""
    return {(m.name.split(":")[1], m.after) for m in mutate.mutants("x", SOURCE, AFTER)}


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("comparison", "if value <= low and not row.off:"),
        ("logic", "if value < low or not row.off:"),
        ("not", "if value < low and  row.off:"),
        ("negated", "if not (value < low and not row.off):"),
        ("negated", "cdef double low = -row.low if not (row.low > 0.0) else 0.0"),
        ("sign", "cdef double low = row.low if row.low > 0.0 else 0.0"),
        ("constant", "cdef double low = -row.low if row.low > 1.0 else 0.0"),
        ("constant", "row.effect = EFFECT_OPEN"),
        ("dropped", "pass"),
        ("return", "return 0"),
        ("opposite", "return maximum(value, row.high)"),
        ("opposite", "return minimum(value, row.low)"),
        ("range", "for at in range(1, (row.count) - 1):"),
        ("range", "for at in range((1) + 1, row.count):"),
    ],
)
def test_a_mutant_of_each_kind_is_made(kind: str, after: str) -> None:
    assert (kind, after) in changed()


def test_casts_docstrings_and_doors_are_left_alone() -> None:
    every = mutate.mutants("x", SOURCE, AFTER)
    assert not any("> low" in m.after.replace("<double> low", "") for m in every)
    assert {m.function for m in every} == {"clip"}
    assert all("docstring with a < b and" in m.source for m in every)


def test_a_name_stays_when_the_statement_moves() -> None:
    moved = "\n\n\n" + SOURCE
    assert [m.name for m in mutate.mutants("x", moved, AFTER)] == [
        m.name for m in mutate.mutants("x", SOURCE, AFTER)
    ]


def test_every_mutant_of_the_safety_code_has_its_own_name_and_differs() -> None:
    every = mutants.every()
    assert len(every) >= 100
    assert len({mutant.name for mutant in every}) == len(every)
    sources = {m: (generate.ROOT / f"ext/{m}.pyx").read_text() for m in mutants.TESTS}
    assert all(mutant.source != sources[mutant.module] for mutant in every)
    assert all((generate.ROOT / "tests" / t).exists() for ts in mutants.TESTS.values() for t in ts)


def test_an_equivalent_mutant_exists_and_says_why() -> None:
    known = mutants.equivalents()
    after = mutate.enums((generate.ROOT / "edgectl/_kernel").glob("*.pxd"))
    names = {
        mutant.name
        for module in mutants.TESTS
        for mutant in mutate.mutants(
            module, (generate.ROOT / f"ext/{module}.pyx").read_text(), after
        )
    }
    assert set(known) <= names, "the code has changed: is the mutant still equivalent?"
    assert all(len(reason) > 20 for reason in known.values())


def test_a_sample_is_always_the_same() -> None:
    every = mutants.every()
    assert mutants.sample(every, 5) == mutants.sample(list(reversed(every)), 5)
    assert mutants.sample(every, None) == every


@pytest.mark.slow
def test_a_module_as_it_is_passes_and_a_wrong_one_is_killed() -> None:
    script = """
from proofs import mutants
right, = (m for m in mutants.every(["blocks"]) if m.after == "block.q = block.elapsed_ns > pt_ns")
print([verdict.killer for verdict in mutants.by_tests([right], lambda verdict: None)])
"""
    path = os.pathsep.join([str(generate.ROOT / "tools"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=generate.ROOT, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert "tests/unit/test_blocks.py" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_no_mutant_of_a_sample_survives() -> None:
    told = tool("prove", "--only", "ton_exact", "--mutants", "30", timeout_s=3600)
    assert told["mutants"] >= 28, "what does not compile is no mutant"
    assert told["survivors"] == []
