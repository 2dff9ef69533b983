"""What tools/fuzz says is so: no finding in the parsers, and a seeded bug found in seconds."""

from pathlib import Path

import pytest
from proof_rig import spoil, tool
from proofs import fuzz, generate
from proofs.cbmc import AbsentError


def test_every_target_names_what_exists() -> None:
    assert len({target.name for target in fuzz.TARGETS}) == len(fuzz.TARGETS)
    for target in fuzz.TARGETS:
        assert all((generate.HERE / name).exists() for name in target.files)
        names = [module.rpartition(".")[2] for module in target.modules]
        assert all((generate.ROOT / "ext" / f"{name}.pyx").exists() for name in names)
        assert all(0 < len(seed) <= fuzz.INPUT_BYTES_MAX for seed in target.seeds)


@pytest.mark.slow
def test_a_minute_of_fuzzing_finds_nothing() -> None:
    told = tool("fuzz", "--seconds", "60", timeout_s=600)
    assert told["findings"] == {}
    assert all(told["executions"][target.name] > 10_000 for target in fuzz.TARGETS)


@pytest.mark.slow
def test_a_seeded_bug_is_found_in_seconds(tmp_path: Path) -> None:
    target = fuzz.TARGETS[0]
    try:
        program = fuzz.build(fuzz.compiler(), target, spoil(tmp_path).parent)
    except AbsentError as absent:
        pytest.skip(f"NOTHING IS FUZZED: {absent}")
    assert "heap-buffer-overflow" in fuzz.fuzz(program, target, 20).finding
