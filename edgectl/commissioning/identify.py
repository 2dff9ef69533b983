"""Who is it? The identity probes of profiles against what one unit answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edgectl.commissioning.client import Failure, Fault, Line, Reply
from edgectl.commissioning.reading import read_points
from edgectl.profiles import Probe, Profile, load_profile, profile_names
from edgectl.profiles.numbers import FUNCTIONS

SILENT_MAX = 6  # reads of a unit that may stay without reply before no more are sent
CANDIDATE_BLOCKS_MAX = 2  # requests that a guess at a profile without identity is worth
# What almost every device answers, be it with an exception: two registers and where SunSpec begins.
HELLOS = ((3, 0, 1), (3, 40000, 2), (4, 0, 1))

Read = tuple[int, int, int]  # function, address, count


def shipped_profiles() -> list[Profile]:
    """All profiles that come with edgectl."""
    return [load_profile(name) for name in profile_names()]


@dataclass(slots=True)
class Asker:
    """One unit, where each distinct read is sent once, and a mute one is soon left alone."""

    line: Line
    unit: int
    silent: int = 0
    answers: dict[Read, Reply | Failure] = field(default_factory=dict)

    def read(self, function: int, address: int, count: int) -> Reply | Failure:
        """The answer to one read, asked for at most once."""
        read = (function, address, count)
        if read not in self.answers:
            if self.silent >= SILENT_MAX:
                return Failure(Fault.SILENT, f"not asked: {SILENT_MAX} reads without answer")
            answer = self.line.read(self.unit, function, address, count)
            self.silent += isinstance(answer, Failure) and answer.fault == Fault.SILENT
            self.answers[read] = answer
        return self.answers[read]

    def hello(self, patience: int = len(HELLOS)) -> Failure | None:
        """Whether anyone is at this unit: None, or why it seems that nobody is.

        patience  reads that may go without an answer

        An exception is an answer, a gateway's word that its target is silent is none.
        """
        failure = Failure(Fault.SILENT, "no answer")
        for read in HELLOS[:patience]:
            answer = self.read(*read)
            if isinstance(answer, Reply) or (answer.code and not answer.gateway):
                return None
            failure = answer
            if answer.gateway or answer.fault == Fault.CLOSED:
                break
        return failure


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one profile's identity at one unit.

    probe    that refused, None when all agreed
    answer   to that probe
    """

    profile: Profile
    probe: Probe | None
    answer: Reply | Failure | None

    @property
    def matches(self) -> bool:
        """Every probe agreed."""
        return self.probe is None

    @property
    def bits(self) -> int:
        """How many bits of the device were compared: more is more certain."""
        masks = [word for probe in self.profile.probes for word in probe.mask]
        return sum(word.bit_count() for word in masks)


def agrees(probe: Probe, answer: Reply | Failure) -> bool:
    """One of the probe's alternatives is what was read, under its mask; as the kernel compares."""
    return isinstance(answer, Reply) and any(
        all(
            (read ^ expected) & mask == 0
            for read, expected, mask in zip(answer.words, words, probe.mask, strict=True)
        )
        for words in probe.alternatives
    )


def verdict(asker: Asker, profile: Profile) -> Verdict:
    """Hold one profile's probes against the unit, up to the first that refuses."""
    for probe in profile.probes:
        answer = asker.read(probe.function, probe.address, probe.count)
        if not agrees(probe, answer):
            return Verdict(profile, probe, answer)
    return Verdict(profile, None, None)


def verdicts(asker: Asker, profiles: Iterable[Profile]) -> list[Verdict]:
    """A verdict for every profile that has an identity; matches first, the most certain of all."""
    found = [verdict(asker, each) for each in profiles if each.probes]
    return sorted(found, key=lambda each: (not each.matches, -each.bits, each.profile.name))


def best(found: Sequence[Verdict]) -> Profile | None:
    """The profile that matched on most bits; None when none did or two did alike."""
    matches = [each for each in found if each.matches]
    if not matches or (len(matches) > 1 and matches[0].bits == matches[1].bits):
        return None
    return matches[0].profile


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile without identity whose registers answer. It may be the device's; nothing says so.

    asked, good   points of its first requests, and how many had a believable value
    """

    profile: Profile
    asked: int
    good: int


def candidates(asker: Asker, profiles: Iterable[Profile]) -> list[Candidate]:
    """Profiles without identity whose first requests are all answered, most good values first."""
    found = []
    for profile in profiles:
        if profile.probes or asker.silent >= SILENT_MAX:
            continue
        names = [p.name for b in profile.blocks[:CANDIDATE_BLOCKS_MAX] for p in b.points]
        first = profile.blocks[0]
        answer = asker.read(first.function, first.address, first.count)
        if isinstance(answer, Failure):
            continue
        readings = read_points(asker.line, asker.unit, profile, names)
        good = sum(each.good for each in readings)
        if all(each.words for each in readings) and good:
            found.append(Candidate(profile, len(readings), good))
    return sorted(found, key=lambda each: (-each.good / each.asked, -each.good, each.profile.name))


def readable(words: Iterable[int]) -> str:
    """The text in registers of two characters or one each; "" where there is none."""
    listed = list(words)
    wide = bytes(byte for word in listed for byte in divmod(word, 256)).rstrip(b"\0 ")
    narrow = bytes(word for word in listed if word < 0x80)
    for raw in (wide, narrow if len(narrow) == len(listed) else b""):
        if len(raw) > 1 and all(0x20 <= byte < 0x7F for byte in raw):
            return raw.decode()
    return ""


def printed_words(words: Iterable[int]) -> str:
    """Words as text where they are text, in hexadecimal otherwise."""
    listed = list(words)
    text = readable(listed)
    return repr(text) if text else " ".join(f"{word:04X}" for word in listed)


def printed_answer(answer: Reply | Failure | None) -> str:
    """What came back from a probe."""
    if isinstance(answer, Reply):
        return printed_words(answer.words)
    return "" if answer is None else answer.text


def printed_expectation(probe: Probe) -> str:
    """What a probe wanted to read; of several alternatives the first and their number."""
    if probe.text is not None:
        return repr(probe.text)
    first, *others = probe.alternatives
    return printed_words(first) + (f" or {len(others)} more" if others else "")


def printed_read(function: int, address: int, count: int) -> str:
    """A read as people name it: holding 40000, 2 registers."""
    table = {number: name for name, number in FUNCTIONS.items()}[function]
    return f"{table} {address}" + (f"-{address + count - 1}" if count > 1 else "")
