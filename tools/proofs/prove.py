"""Prove what claims.py says of the C that Cython generates, and print a table.

Exit status: 0 every claim is proved, or nothing could be run and --require is not given;
1 a claim is not proved, or --require and nothing could be run.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from proofs import cbmc, generate, mutants
from proofs.claims import CLAIMS, Claim

NOT_ASKED = "mutants: not asked"
WORKERS = 2  # a claim may hold a few GB
MUTANTS = 200  # where no number is given


def figures(version: str | None, outcomes: Sequence[cbmc.Outcome], skipped: int) -> dict[str, Any]:
    """What `--json` prints.

    version   of cbmc; None where there is none
    skipped   claims that were not run
    """
    modules = sorted({outcome.claim.module for outcome in outcomes})
    sources = {m: generate.sha256(generate.generated(m)) for m in modules}
    match = all(generate.compiled_from(m) == digest for m, digest in sources.items())
    return {
        "cbmc_version": version,
        "properties_proved": sum(outcome.proved for outcome in outcomes),
        "properties_failed": sum(not outcome.proved for outcome in outcomes),
        "properties_skipped": skipped,
        "sources_sha256": sources,
        "sources_sha256_match": match if sources else None,
        "mutants": None,
        "mutants_killed": None,
        "survivors": None,
        "skipped": [NOT_ASKED],
        "refuted": {o.claim.name: o.reasons for o in outcomes if not o.proved},
    }


def mutant_figures(verdicts: Sequence[mutants.Verdict], console: Console) -> dict[str, Any]:
    """The keys of `--json` about mutants, and the survivors for people."""
    survivors = [verdict.mutant for verdict in verdicts if not verdict.killer]
    for mutant in survivors:
        place = f"ext/{mutant.module}.pyx:{mutant.line} {mutant.name} survives"
        console.print(f"{place}\n{mutant.diff}", style="bold red", markup=False, highlight=False)
    killers = Counter("proof" if v.killer.startswith("proof ") else "test" for v in verdicts)
    return {
        "mutants": len(verdicts),
        "mutants_of_all": len(mutants.every()),
        "mutants_killed": len(verdicts) - len(survivors),
        "mutants_killed_by_proof": killers["proof"],
        "mutants_equivalent": len(mutants.equivalents()),
        "survivors": [{"name": m.name, "line": m.line, "diff": m.diff} for m in survivors],
    }


def tell_verdict(verdict: mutants.Verdict, console: Console) -> None:
    """One line as each mutant is through its tests."""
    killer = verdict.killer or "no test kills it"
    line = f"{verdict.mutant.name}: {killer}, {verdict.seconds:.1f} s"
    console.print(line, style="dim", highlight=False, markup=False)


def show(console: Console, outcomes: Sequence[cbmc.Outcome]) -> None:
    """The table: claim, result, seconds; docs/proofs.md has the words."""
    table = Table(title="Proofs of the generated C")
    for heading, place in (("claim", "left"), ("result", "left"), ("s", "right")):
        table.add_column(heading, justify=place)  # type: ignore[arg-type]
    for outcome in outcomes:
        result = "proved" if outcome.proved else "NOT PROVED: " + "; ".join(outcome.reasons[:3])
        table.add_row(outcome.claim.name, result, f"{outcome.seconds:.1f}")
    console.print(table)


def wanted(names: Sequence[str]) -> list[Claim]:
    """The claims of these names, all without any."""
    return [claim for claim in CLAIMS if not names or claim.name in names]


def run(
    tool: Path, chosen: Sequence[Claim], console: Console, workers: int = WORKERS
) -> list[cbmc.Outcome]:
    """Run the claims, some at a time, the longest first; outcomes in the order of the claims."""
    outcomes: dict[str, cbmc.Outcome] = {}
    with ThreadPoolExecutor(workers) as pool:
        by_length = sorted(chosen, key=lambda claim: (-claim.timeout_s, -claim.unwind))
        for outcome in pool.map(lambda claim: cbmc.prove(tool, claim), by_length):
            outcomes[outcome.claim.name] = outcome
            verdict = "proved" if outcome.proved else "NOT PROVED"
            line = f"{outcome.claim.name}: {verdict}, {outcome.seconds:.1f} s"
            console.print(line, style="dim", highlight=False)
    return [outcomes[claim.name] for claim in chosen]


def main(words: Sequence[str] | None = None) -> int:
    """Run the claims one after the other."""
    parser = argparse.ArgumentParser(prog="tools/prove", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument("--require", action="store_true", help="fail where cbmc cannot be had")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CLAIM",
        choices=[claim.name for claim in CLAIMS],
        help="one claim; repeatable",
    )
    parser.add_argument(
        "--mutants",
        nargs="?",
        type=int,
        const=MUTANTS,
        metavar="N",
        help="then N mutants of what decides, always the same; 0: all of them (hours)",
    )
    asked = parser.parse_args(words)
    console = Console(width=140) if asked.json else Console()
    chosen = wanted(asked.only)
    tool: Path | None = None
    outcomes: list[cbmc.Outcome] = []
    try:
        tool = cbmc.find()
        version = cbmc.version(tool)
    except cbmc.AbsentError as absent:
        console.print(f"SKIPPED, NOTHING IS PROVED: {absent}", style="bold red", markup=False)
        tool = None
        told = {**figures(None, [], len(CLAIMS)), "skipped": [f"every proof: {absent}", NOT_ASKED]}
    else:
        generate.translate(claim.module for claim in chosen)
        outcomes = run(tool, chosen, console)
        show(console, outcomes)
        told = figures(version, outcomes, len(CLAIMS) - len(chosen))
        tell_match(told["sources_sha256_match"], version, console)
    if asked.mutants is not None:
        verdicts = mutants.judge(
            tool,
            mutants.sample(mutants.every(), asked.mutants or None),
            lambda verdict: tell_verdict(verdict, console),
        )
        told |= mutant_figures(verdicts, console)
        told["skipped"].remove(NOT_ASKED)
    if asked.json:
        print(json.dumps(told))
    good = all(outcome.proved for outcome in outcomes) and not told["survivors"]
    if tool is None:
        return 1 if asked.require or not good else 0
    return 0 if good and told["sources_sha256_match"] else 1


def tell_match(match: bool | None, version: str, console: Console) -> None:
    """Whether the modules in the tree are what was proved, and what to do if not."""
    console.print(f"cbmc {version}; built modules come from this C: {match}", highlight=False)
    if not match:
        console.print(
            "The modules in the tree were built from other C, or nobody recorded from "
            "which: ./tools/setup builds them again.",
            style="bold red",
        )


if __name__ == "__main__":
    raise SystemExit(main())
