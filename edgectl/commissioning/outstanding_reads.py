"""Which reads to send at once: of unlike lengths and addresses, so that a mix-up shows.

Every one is sent singly first, and only what is answered then is sent beside others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgectl.commissioning.client import Line, Reply
from edgectl.commissioning.identify import HELLOS, Asker, Read
from edgectl.commissioning.probe import Probed
from edgectl.commissioning.sunspec import MARKER_WORDS, READ_MAX
from edgectl.profiles.model import Block, Profile

READS_MAX = 8  # OUTSTANDING_MAX of fieldbus.pxd
TRIALS_MAX = 64  # single reads that the search for them is worth
WHOLE_WORD = 0xFFFF
HEADER_WORDS = 2  # of a SunSpec model: ID and L
COMMON_WORDS = 66  # of model 1 with its header, without the pad that not every device has

Constants = dict[tuple[int, int], int]  # by function and address: the bits that never change


@dataclass(frozen=True, slots=True)
class Sample:
    """One read that the device answers when it is the only one.

    words     of its reply then
    constant  bits of each word that must be the same in every reply
    """

    function: int
    address: int
    count: int
    words: tuple[int, ...]
    constant: tuple[int, ...]

    def agrees(self, words: Iterable[int]) -> bool:
        """Whether the constant bits are as they were."""
        three = zip(words, self.words, self.constant, strict=True)
        return all((word ^ before) & mask == 0 for word, before, mask in three)


def samples(line: Line, probed: Probed) -> list[Sample]:
    """Up to READS_MAX reads, each answered singly just now; no two alike where that can be.

    Lengths and addresses are all different as far as the device has registers for it.
    """
    constants = constants_of(probed)
    asker = Asker(line, probed.unit)
    listed = list(dict.fromkeys(candidates(probed)))
    found: list[Sample] = []
    for alike in (_same_count_or_address, _same_count, _same):
        for read in listed:
            if len(found) == READS_MAX or len(asker.answers) == TRIALS_MAX:
                return found
            if any(alike(read, each) for each in found):
                continue
            answer = asker.read(*read)
            if isinstance(answer, Reply):
                function, address, count = read
                masks = (constants.get((function, address + at), 0) for at in range(count))
                found.append(Sample(*read, answer.words, tuple(masks)))
    return found


def _same_count_or_address(read: Read, other: Sample) -> bool:
    return read[2] == other.count or read[1] == other.address


def _same_count(read: Read, other: Sample) -> bool:
    return read[2] == other.count


def _same(read: Read, other: Sample) -> bool:
    return read == (other.function, other.address, other.count)


def constants_of(probed: Probed) -> Constants:
    """Registers that say who the device is, and so never change."""
    found: Constants = {}
    profile = probed.profile
    if profile is not None and probed.fits:
        for probe in profile.probes:
            for at, mask in enumerate(probe.mask):
                found[probe.function, probe.address + at] = mask
        if profile.firmware is not None:
            where = profile.firmware
            for address in range(where.address, where.address + where.count):
                found[where.function, address] = WHOLE_WORD
    if probed.chain is not None:
        for address, count in _chain_spans(probed):
            found |= {(3, at): WHOLE_WORD for at in range(address, address + count)}
    return found


def _chain_spans(probed: Probed) -> Iterator[tuple[int, int]]:
    """Address and count of what stands still in a SunSpec map: marker, model 1, headers."""
    chain = probed.chain
    if chain is None:
        return
    yield chain.base, MARKER_WORDS
    for model in chain.models:
        yield model.address, COMMON_WORDS if model.id == 1 else HEADER_WORDS


def candidates(probed: Probed) -> Iterator[Read]:
    """Reads that the device may answer, those that say who it is first."""
    profile = probed.profile
    if profile is not None:
        yield from ((each.function, each.address, each.count) for each in profile.probes)
        yield from _of_profile(profile)
    if probed.chain is not None:
        yield from ((3, *span) for span in _chain_spans(probed))
        for model in probed.chain.models:
            words = min(len(model.words), READ_MAX)
            yield from ((3, model.address, count) for count in range(words, 0, -1))
    if profile is None:
        for verdict in probed.verdicts:
            if verdict.probe is not None and isinstance(verdict.answer, Reply):
                yield verdict.probe.function, verdict.probe.address, verdict.probe.count
        for function, address, _ in HELLOS:
            yield from ((function, address + at, at + 1) for at in range(READS_MAX))
            yield from ((function, address, at + 1) for at in range(READS_MAX))


def _of_profile(profile: Profile) -> Iterator[Read]:
    """Its register blocks as the scan reads them, then parts of them, long and short in turn.

    A part begins and ends with a point: some devices refuse half of a 32 bit value. What has few
    registers is asked for single words of its identity and for its bits as well.
    """
    blocks = [each for each in profile.blocks if each.function > 2]
    yield from ((each.function, each.address, each.count) for each in blocks)
    parts = sorted({part for block in blocks for part in _parts(block)}, key=lambda each: each[2])
    while parts:
        yield parts.pop()
        if parts:
            yield parts.pop(0)
    for probe in profile.probes:
        yield from ((probe.function, probe.address + at, 1) for at in range(probe.count))
    bits = [each for each in profile.blocks if each.function <= 2]
    yield from ((each.function, each.address, each.count) for each in bits)


def _parts(block: Block) -> Iterator[Read]:
    points = sorted(block.points, key=lambda each: each.first_word)
    for at, first in enumerate(points):
        end = first.first_word
        for last in points[at:]:
            end = max(end, last.end_word)
            yield block.function, first.first_word, end - first.first_word
