"""The Merkle tree of RFC 6962 (and 9162), section 2.1: roots, proofs, and both built as it grows.

A tree of n leaves is the binary number n: one whole subtree for each bit that is set, from left
to right. These peaks are all that a writer has to keep. A run of leaves anywhere in the tree is
covered in the same way by aligned subtrees, so that a proof for a run needs only the peaks to its
left and the cover of what stands to its right.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
LEVELS_MAX = 64
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtree = tuple[int, bytes]  # level (a leaf is 0), hash


def leaf_hash(content: bytes) -> bytes:
    """SHA-256 of 0x00 and the content."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and the two hashes below."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(peaks: Sequence[bytes]) -> bytes:
    """The root over whole subtrees, from left to right."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def peak_levels(size: int) -> list[int]:
    """Levels of the whole subtrees of a tree, from left to right."""
    return [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]


def cover_levels(first: int, end: int) -> list[int]:
    """Levels of the aligned subtrees over leaves first to end, from left to right."""
    levels = []
    while first < end:
        room = (end - first).bit_length() - 1
        level = min(room, (first & -first).bit_length() - 1) if first else room
        levels.append(level)
        first += 1 << level
    return levels


def cover(first: int, leaves: Sequence[bytes]) -> list[Subtree]:
    """The aligned subtrees over consecutive leaf hashes.

    first    index of the first leaf in its tree
    """
    found: list[Subtree] = []
    low = 0
    for level in cover_levels(first, first + len(leaves)):
        nodes = list(leaves[low : low + (1 << level)])
        low += 1 << level
        for _ in range(level):
            nodes = _pairs(nodes)
        found.append((level, nodes[0]))
    return found


def _pairs(nodes: list[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    return [
        sha256(b"\x01" + left + right).digest()
        for left, right in zip(nodes[::2], nodes[1::2], strict=True)
    ]


@dataclass(slots=True)
class Frontier:
    """A tree that only grows: its size and its peaks."""

    size: int = 0
    peaks: list[Subtree] = field(default_factory=list)

    def push(self, subtrees: Iterable[Subtree]) -> None:
        """Add subtrees at the right; each must be aligned, as cover() makes them."""
        for level, content in subtrees:
            self.size += 1 << level
            while self.peaks and self.peaks[-1][0] == level:
                content = node_hash(self.peaks.pop()[1], content)
                level += 1
            self.peaks.append((level, content))

    def add(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes."""
        self.push(cover(self.size, leaves))

    def root(self) -> bytes:
        """Root of the tree as it stands."""
        return root_of([content for _, content in self.peaks])

    def copy(self) -> "Frontier":
        """One that grows apart from this one."""
        return Frontier(self.size, list(self.peaks))

    def to_bytes(self) -> bytes:
        """The peaks, one after the other; the size says where each stands."""
        return b"".join(content for _, content in self.peaks)

    @classmethod
    def from_bytes(cls, size: int, content: bytes) -> "Frontier":
        """What to_bytes() wrote of a tree of this size.

        Raises ValueError where the length does not fit the size.
        """
        levels = peak_levels(size)
        if len(content) != HASH_BYTES * len(levels):
            raise ValueError(f"a tree of {size} has {len(levels)} peaks, not {len(content)} bytes")
        hashes = [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
        return cls(size, list(zip(levels, hashes, strict=True)))


def root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes."""
    return root_of([content for _, content in cover(0, leaves)])


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Audit path of one leaf, from the bottom: RFC 6962, section 2.1.1."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"leaf {index} is not in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root(leaves[:split])]


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """Whether this leaf hash stands at this index of the tree: RFC 9162, section 2.1.3.2."""
    if not 0 <= index < size or len(leaf) != HASH_BYTES or len(expected_root) != HASH_BYTES:
        return False
    if len(proof) > LEVELS_MAX or any(len(each) != HASH_BYTES for each in proof):
        return False
    place, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(each, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, each)
        place, last = place >> 1, last >> 1
    return last == 0 and found == expected_root


def consistency_proof(leaves: Sequence[bytes], before: int) -> list[bytes]:
    """That the first `before` leaves were a tree of their own: RFC 6962, section 2.1.2."""
    if not 0 < before <= len(leaves):
        raise ValueError(f"a tree of {before} is no beginning of one of {len(leaves)}")
    return _consistency(leaves, before, whole=True)


def _consistency(leaves: Sequence[bytes], before: int, *, whole: bool) -> list[bytes]:
    if before == len(leaves):
        return [] if whole else [root(leaves)]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if before <= split:
        return [*_consistency(leaves[:split], before, whole=whole), root(leaves[split:])]
    return [*_consistency(leaves[split:], before - split, whole=False), root(leaves[:split])]


def verify_consistency(
    before: int, size: int, root_before: bytes, root_after: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `size` goes on from the one of `before`: RFC 9162, section 2.1.4.2."""
    if not 0 < before <= size or any(len(each) != HASH_BYTES for each in proof):
        return False
    if before == size:
        return not proof and root_before == root_after
    path = list(proof)
    if before & (before - 1) == 0:
        path.insert(0, root_before)
    if not path or len(path) > LEVELS_MAX:
        return False
    place, last = before - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first, second = node_hash(each, first), node_hash(each, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, each)
        place, last = place >> 1, last >> 1
    return last == 0 and first == root_before and second == root_after


def root_with_run(
    first: int, size: int, left: bytes, leaves: Sequence[bytes], right: bytes
) -> bytes | None:
    """Root of a tree of which only a run of leaves is known; None where the parts do not fit.

    first   index of the run's first leaf
    left    hashes of the peaks of the leaves before it
    right   hashes of the cover of the leaves after it, up to size
    """
    end = first + len(leaves)
    levels = cover_levels(end, size)
    if end > size or len(right) != HASH_BYTES * len(levels):
        return None
    try:
        tree = Frontier.from_bytes(first, left)
    except ValueError:
        return None
    tree.add(leaves)
    hashes = [right[at : at + HASH_BYTES] for at in range(0, len(right), HASH_BYTES)]
    tree.push(zip(levels, hashes, strict=True))
    return tree.root()
