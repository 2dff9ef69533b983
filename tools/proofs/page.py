"""The list of claims in docs/proofs.md."""

import re
from itertools import groupby

from proofs.claims import CLAIMS, Claim
from proofs.generate import ROOT

PAGE = ROOT / "docs" / "proofs.md"
LIST = re.compile(r"(?<=<!-- made by tools/make_docs.py -->\n).*(?=<!-- end -->)", re.S)


def listed() -> str:
    """The claims by module, as Markdown."""
    lines = []
    for module, claims in groupby(CLAIMS, key=lambda claim: claim.module):
        lines += [
            "",
            f"`ext/{module.rpartition('.')[2]}.pyx`",
            "",
            "| claim | of | unwind | says |",
        ]
        lines += ["|---|---|---|---|", *(row(claim) for claim in claims)]
    return "\n".join([*lines, "", ""])


def row(claim: Claim) -> str:
    """One line of the table."""
    rounds = max(claim.unwind, *(n for _, _, n in claim.loops), 0)
    return f"| `{claim.name}` | {', '.join(claim.functions)} | {rounds} | {claim.words} |"


def page() -> str:
    """docs/proofs.md with the list as the claim files have it."""
    return LIST.sub(lambda _: listed(), PAGE.read_text(), count=1)
