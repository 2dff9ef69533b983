"""What tools/prove says is so: its table, its judgement, its proofs, and a seeded bug refuted."""

import re
from pathlib import Path

import pytest
import scan_report
from proof_rig import spoil, tool
from proofs import cbmc, claims, generate
from proofs.claims import CLAIMS, Claim

HELD = "[f.assertion.1] line 3 holds for every input: SUCCESS\n"
REACHED = "[f.assertion.2] line 4 reached: an answer: FAILURE\n"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_names_what_exists(claim: Claim) -> None:
    module = claim.module.rpartition(".")[2]
    names = {b.name for b in scan_report.bodies((generate.ROOT / f"ext/{module}.pyx").read_text())}
    assert set(claim.functions) <= names
    assert {name for name, _, _ in claim.loops} <= names
    assert claim.words
    text = (generate.HERE / claim.source).read_text()
    body = text[text.index(f"void {claim.name}(void)") :].partition("\n}\n")[0]
    assert "REACHED(" in body or re.search(r"\b\w+\(.*\)", body.partition("{")[2])


def test_every_function_without_arguments_of_a_claim_file_is_a_claim() -> None:
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    for path in generate.HERE.glob("*_claims.c"):
        written = re.findall(r"^void (\w+)\(void\)", path.read_text(), re.M)
        assert written == [claim.name for claim in claims.read(path)]


def test_a_claim_is_read_with_its_bounds_and_words(tmp_path: Path) -> None:
    path = tmp_path / "blocks_claims.c"
    path.write_text(
        "/* PROVED of ton, tof; unwind 3, tof.1 17, 90 s: one,\n * two. */\nvoid a(void) {"
    )
    assert claims.read(path) == [
        Claim("a", "one, two", "edgectl._kernel.blocks", ("ton", "tof"), 3, (("tof", 1, 17),), 90.0)
    ]


@pytest.mark.parametrize(
    "text", ["/* PROVED of ton; loops 3: a. */\nvoid a(void) {", "/* PROVED: a. */\nvoid a(void) {"]
)
def test_a_claim_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "blocks_claims.c"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"not `unwind|1 PROVED, 0 read"):
        claims.read(path)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (f"{HELD}{REACHED}** 1 of 2 failed (2 iterations)\n", None),
        (f"{HELD}** 0 of 1 failed (1 iterations)\n", "no REACHED"),
        (f"{HELD}{REACHED.replace('FAILURE', 'SUCCESS')}** 0 of 2 failed\n", "never reached"),
        (f"{HELD.replace('SUCCESS', 'FAILURE')}{REACHED}** 2 of 2 failed\n", "refuted: holds"),
        (f"{HELD}{REACHED}** 1 of 3 failed\n", "its lines of"),
        (f"{HELD}{REACHED}", "came to no end"),
    ],
    ids=["proof", "about nothing", "vacuous", "refuted", "unread answers", "cut off"],
)
def test_only_a_whole_answer_is_a_proof(output: str, reason: str | None) -> None:
    reasons = cbmc.judge(cbmc.ANSWER.findall(output), output, "")
    assert (reasons == []) if reason is None else (reason in reasons[0])


@pytest.mark.slow
def test_every_claim_is_proved() -> None:
    told = tool("prove", timeout_s=3600)
    assert told["refuted"] == {}
    assert told["properties_proved"] == len(CLAIMS)
    assert told["properties_failed"] == told["properties_skipped"] == 0
    assert told["sources_sha256_match"], "the modules in the tree come from other C"


@pytest.mark.slow
def test_a_seeded_bug_is_refuted(tmp_path: Path) -> None:
    try:
        program = cbmc.find()
        cbmc.version(program)
    except cbmc.AbsentError as absent:
        pytest.skip(f"NOTHING IS PROVED: {absent}")
    (claim,) = (claim for claim in CLAIMS if claim.name == "fc4_reply")
    outcome = cbmc.prove(program, claim, spoil(tmp_path))
    assert any("outside dynamic object bounds in __pyx_v_words" in r for r in outcome.reasons)
    assert cbmc.prove(program, claim).proved
