"""Read plan: which registers are asked for in one request.

Fewest requests first: with one request outstanding per connection, a device's
time in the scan is the number of its requests. A point's registers, its scale
factor's included, are always in one reply, so no value is put together from
two moments.
"""

from collections.abc import Iterable, Sequence

from edgectl.profiles.model import Block, Point, Profile

BITS_A_BYTE = 8
SYNC_COUNTS = 3  # of fieldbus.pxd
BITS_MAX = 125  # BLOCK_WORDS_MAX of process_image.pxd: a bit takes a word in the image


def read_plan(points: Sequence[Point], max_registers: int, gaps_legal: bool) -> tuple[Block, ...]:
    """Blocks of a profile, sorted by rate, function and address.

    max_registers  of one request
    gaps_legal     a request may run across registers that no point names

    A point wider than max_registers is the caller's error, refused at load.
    """
    rates: dict[tuple[int, int], list[Point]] = {}
    for point in points:
        rates.setdefault((point.every, point.function), []).append(point)
    blocks: list[Block] = []
    for every, function in sorted(rates):
        limit = max_registers if function >= 3 else BITS_MAX
        blocks += _merge(rates[every, function], every, function, limit, gaps_legal)
    return tuple(blocks)


def sync_reads(profile: Profile) -> tuple[int, int, tuple[int, ...]]:
    """Function, address and counts of reads whose replies are as long as no other's of the profile.

    A serial line has no transactions: after a lost reply only such a reply is surely not it. They
    have turns, so that one of them that was lost as well is not taken for the next. Shorter parts
    of one block where it has enough of them, the rest longer than it: a unit may refuse those.
    """
    asked = [(block.function, block.count) for block in profile.blocks]
    asked += [(probe.function, probe.count) for probe in profile.probes]
    if profile.firmware is not None:
        asked.append((profile.firmware.function, profile.firmware.count))
    sizes = {(function, reply_size(function, count)) for function, count in asked}
    found = []
    for block in sorted(profile.blocks, key=lambda each: -each.count):
        step = BITS_A_BYTE if block.function <= 2 else 1
        counts = [
            count
            for count in range(step, BITS_MAX + 1, step)
            if (block.function, count // step) not in sizes
        ]
        parts = sum(count < block.count for count in counts[:SYNC_COUNTS])
        found.append((parts, block, tuple(counts[:SYNC_COUNTS])))
    _, block, counts_first = max(found, key=lambda each: each[0])
    return block.function, block.address, counts_first


def reply_size(function: int, count: int) -> int:
    """Bytes of the data in a reply to functions 1 and 2, registers in one to 3 and 4."""
    return -(-count // BITS_A_BYTE) if function <= 2 else count


def _merge(
    points: Iterable[Point], every: int, function: int, limit: int, gaps_legal: bool
) -> list[Block]:
    """Greedy over ascending addresses: a block grows while the next point still fits."""
    blocks: list[Block] = []
    group: list[Point] = []
    first = end = 0
    for point in sorted(points, key=lambda each: (each.first_word, each.address, each.bit)):
        grown = max(end, point.end_word)
        adjoins = gaps_legal or point.first_word <= end
        if group and grown - first <= limit and adjoins:
            group.append(point)
            end = grown
            continue
        if group:
            blocks.append(_block(function, first, end, every, group))
        group, first, end = [point], point.first_word, point.end_word
    if group:
        blocks.append(_block(function, first, end, every, group))
    return blocks


def _block(function: int, first: int, end: int, every: int, group: list[Point]) -> Block:
    ordered = tuple(sorted(group, key=lambda each: (each.address, each.bit)))
    return Block(function, first, end - first, every, ordered)
