"""What is proved, read out of the claim files.

A claim is a function of tools/proofs/MODULE_claims.c, or MODULE_PART_claims.c, under a

    /* PROVED of ramp; unwind 3, spread.0 17, 300 s: the words of the claim. */
    void ramp_within_step(void) {

After `of` stand the functions of the module's .pyx that it is about; after the semicolon, where
needed, one more than the longest loop goes round (2 without), the rounds of a loop that differs
(function.place, places from 0), and the seconds of processor time in which an answer must come.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from proofs.generate import HERE, ROOT

KERNEL = "edgectl._kernel."
SAID = re.compile(
    r"^/\* PROVED of (?P<of>\w+(?:, \w+)*)(?:; (?P<bounds>[\w., ]+))?: "
    r"(?P<words>(?:(?!\*/).)+?)\s*\*/\n"
    r"void (?P<name>\w+)\(void\)",
    re.M | re.S,
)
BOUND = re.compile(
    r"unwind (?P<unwind>\d+)|(?P<loop>\w+)\.(?P<at>\d+) (?P<rounds>\d+)|(?P<s>\d+) s"
)
UNWIND, TIMEOUT_S = 2, 240.0


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    name         its C function, without arguments
    words        what it says, in words
    module       whose generated C it is about
    functions    of that module's .pyx that it is about
    unwind       one more than the longest loop goes round; CBMC proves that it is enough
    loops        (function, place in it from 0, rounds) of loops that differ from unwind
    timeout_s    processor time; no answer by then is no proof
    part         of a module whose claims stand in several files
    """

    name: str
    words: str
    module: str
    functions: tuple[str, ...]
    unwind: int = UNWIND
    loops: tuple[tuple[str, int, int], ...] = ()
    timeout_s: float = TIMEOUT_S
    part: str = ""

    @property
    def source(self) -> str:
        """The C file that holds it."""
        words = [self.module.rpartition(".")[2], self.part, "claims.c"]
        return "_".join(filter(None, words))


def bounds(text: str) -> tuple[int, tuple[tuple[str, int, int], ...], float]:
    """Rounds, rounds of single loops, and seconds, out of the words before the colon.

    Raises ValueError for words that are none of these.
    """
    unwind, loops, timeout_s = UNWIND, [], TIMEOUT_S
    for word in filter(None, text.split(", ")):
        found = BOUND.fullmatch(word)
        if found is None:
            raise ValueError(f"{word!r}: not `unwind N`, `function.place N` or `N s`")
        if found["unwind"]:
            unwind = int(found["unwind"])
        elif found["s"]:
            timeout_s = float(found["s"])
        else:
            loops.append((found["loop"], int(found["at"]), int(found["rounds"])))
    return unwind, tuple(loops), timeout_s


def subject(path: Path) -> tuple[str, str]:
    """The short name of the module that a claim file is about, and the part, out of its name."""
    words = path.name.removesuffix("_claims.c").split("_")
    for most in range(len(words), 0, -1):
        if (ROOT / "ext" / f"{'_'.join(words[:most])}.pyx").exists():
            return "_".join(words[:most]), "_".join(words[most:])
    raise ValueError(f"{path.name}: no module of ext/ has this name")


def read(path: Path) -> list[Claim]:
    """The claims of one file, in its order.

    Raises ValueError for a comment that says PROVED and cannot be read.
    """
    text = path.read_text()
    module, part = subject(path)
    claims = []
    for said in SAID.finditer(text):
        unwind, loops, timeout_s = bounds(said["bounds"] or "")
        words = re.sub(r"\s*\n \*\s*", " ", said["words"]).rstrip(". ")
        functions = tuple(said["of"].split(", "))
        claims.append(
            Claim(
                said["name"], words, KERNEL + module, functions, unwind, loops, timeout_s, part
            )
        )  # fmt: skip
    if len(claims) != text.count("/* PROVED"):
        raise ValueError(f"{path.name}: {text.count('/* PROVED')} PROVED, {len(claims)} read")
    return claims


CLAIMS = tuple(claim for path in sorted(HERE.glob("*_claims.c")) for claim in read(path))
