"""Whether the field bus can hold the age of its values: a bound for every link, before start.

How a link serves (ext/exchange.pyx): one request is outstanding, or up to m reads
where its one device takes m at once (`max_outstanding`) and answers them one after
the other. A write goes alone and first, but never more in a row than there are
outputs while a read waits. Else the devices have turns, and within a device its
blocks. A block is marked due every `every` periods T of the scan, at a burst; a mark
on a block that is due already changes nothing, so no queue grows.

How late may the reply to a block b of device D come after its mark? Until it has
come, the link has spent its time on no more than:

  1  the request that was on the wire at the mark: one, the longest; up to m, each of
     another block, where the device takes m
  2  D's own blocks: each once. D's blocks have turns, so D is visited for b at
     the latest after all its others; that is k visits for k blocks. Where the
     device takes m at once, b's turn may come while its read of before is still
     under way. It is passed over, and up to m - 2 blocks that were read before b
     may have been marked and be read once more before its next turn
  3  the reads of each other device: one between two visits of D, so at most k of
     its longest; and of each block one and one more for each mark that came
     meanwhile
  4  writes: for each output the one that waited, and one for each scan since
  5  one request lost anywhere on the link: its timeout in place of its reply. On a
     serial line its unit is then read in step again (exchange.pyx); where that
     is D, it rests for another timeout first, is asked again at the latest at the
     burst after, and is visited once more

Points 2, 3 and 4 depend on how long it takes. The least time R that is as long as
all of this is the bound, the *turn* of D (found by iteration from below). Where
R <= T and nothing is written, it is simply the sum of all blocks, 1 and 5.

How old may a value be? The scan ages a value by the completion of its reply, and
takes a reply that has come before it looks (image_latch): so its own period is
no part of the sum, and what counts is the time between two replies.

  The reply before was sent for a mark, so the next mark is at most every * T
  later. The reply to it comes within R:                          every * T + R
  Where that very reply is lost, its next mark comes every * T after the lost
  request's own; had that one waited so long that marks fell together,
  n = floor((R0 - cost) / (every * T)) of them, so much later:
                                                   (2 + n) * every * T + R

R0 is the turn without a loss. The last line is a point's worst age. A point whose
stale_after is below it could turn bad with no more than one reply lost, and the
site is refused.

Not in the bound: the time in which a device is away, connects or is identified;
a unit held off after two failures in a row; an exception reply; a thread of the
controller that runs late. What really happens is measured (`edgectl top`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgectl.profiles.model import INT64_MAX, Command
from edgectl.profiles.read_plan import reply_size, sync_reads
from edgectl.site_model.model import Device, Line, Scan, Site

RTU_FIXED_ABOVE_BAUD = 19_200  # above it the two times are fixed (MSL 2.5.1.1)
RTU_GAP_NS = 750_000  # 1.5 characters
RTU_SILENCE_NS = 1_750_000  # 3.5 characters
REQUEST_BYTES = 8  # unit, function, address, count, CRC; the reply to a write as well
READ_REPLY_BYTES = 5  # unit, function, byte count, CRC; and the data
WRITE_BYTES = 9  # a request of function 15 or 16 without its data
WRITE_COILS, WRITE_REGISTERS = 15, 16
STEPS_MAX = 1000  # of the iteration; one that needs more is near no bound at all
UNBOUNDED_NS = INT64_MAX


@dataclass(frozen=True, slots=True)
class LinkSchedule:
    """One link's bounds, and its point with the least margin.

    requests     reads at a scan, on average
    turns_ns     of each device, in the order of `devices`: from a read's due mark to its reply
                 at the latest; UNBOUNDED_NS where reads wait for ever
    worst        tag of the point, `age_ns` its greatest age, `limit_ns` its stale_after
    utilisation  of the link's time by its reads while each takes its reply time; over 1 due
                 marks fall together
    """

    link: str
    devices: tuple[str, ...]
    requests: float
    turns_ns: tuple[int, ...]
    worst: str
    age_ns: int
    limit_ns: int
    utilisation: float

    @property
    def turn_ns(self) -> int:
        """The longest of the devices' turns."""
        return max(self.turns_ns)

    @property
    def margin_ns(self) -> int:
        """What is left of the worst point's limit; negative where it does not hold."""
        return self.limit_ns - self.age_ns

    @property
    def holds(self) -> bool:
        """No value turns stale while at most one reply is lost."""
        return self.margin_ns >= 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request takes of the link's time, the pause after it included."""

    answered_ns: int
    lost_ns: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One device as a load on its link.

    reads          of each block, in the order of the read plan
    every          of each block
    rest_ns        serial: nothing is sent to it for so long after a lost reply
    sync           serial: the read that comes after it
    """

    reads: tuple[Cost, ...]
    every: tuple[int, ...]
    writes: tuple[Cost, ...]
    rest_ns: int
    sync: Cost


def silence_ns(line: Line) -> int:
    """3.5 characters, and what the line asks for on top."""
    return _characters_ns(line) + line.turnaround_ns


def idle_ns(line: Line) -> int:
    """1.5 characters, and what the adapter may hold back."""
    fast = line.baud > RTU_FIXED_ABOVE_BAUD
    return (RTU_GAP_NS if fast else line.char_ns * 3 // 2) + line.latency_ns


def _characters_ns(line: Line) -> int:
    """3.5 characters of silence, after which a frame has ended."""
    return RTU_SILENCE_NS if line.baud > RTU_FIXED_ABOVE_BAUD else line.char_ns * 7 // 2


def outstanding_max(devices: Sequence[Device]) -> int:
    """Requests that a link has on their way at once: what its profile says, for one device alone.

    Where several share a connection or a line there is a gateway or a bus between, which carries
    one request at a time.
    """
    alone = len(devices) == 1 and devices[0].line is None
    return devices[0].profile.outstanding_max if alone else 1


def schedule(site: Site) -> tuple[LinkSchedule, ...]:
    """The bounds of every link, in bus order."""
    return tuple(link_schedule(devices, site.scan) for devices in site.links.values())


def link_schedule(devices: Sequence[Device], scan: Scan) -> LinkSchedule:
    """The bounds of one link, for all devices that share it, in bus order."""
    gap_ns = max(each.profile.gap_ns for each in devices)
    units = [unit_of(each, gap_ns) for each in devices]
    most = outstanding_max(devices)
    turns_ns = tuple(turn_ns(units, own, scan, 1, most) for own in range(len(units)))
    found = []
    for own, device in enumerate(devices):
        clean_ns = turn_ns(units, own, scan, 0, most)
        for block, cost in zip(device.profile.blocks, units[own].reads, strict=True):
            wait_ns = clean_ns - cost.answered_ns
            age_ns = oldest_ns(block.every * scan.period_ns, wait_ns, turns_ns[own])
            point = min(block.points, key=lambda each: each.stale_after_ns)
            tag = f"{device.id}.{point.name}"
            found.append((point.stale_after_ns - age_ns, tag, age_ns, point.stale_after_ns))
    _, worst, age_ns, limit_ns = min(found)
    every = [every for unit in units for every in unit.every]
    costs = [cost.answered_ns for unit in units for cost in unit.reads]
    return LinkSchedule(
        link=devices[0].link,
        devices=tuple(each.id for each in devices),
        requests=sum(1 / each for each in every),
        turns_ns=turns_ns,
        worst=worst,
        age_ns=age_ns,
        limit_ns=limit_ns,
        utilisation=sum(
            cost / (scans * scan.period_ns) for cost, scans in zip(costs, every, strict=True)
        ),
    )


def oldest_ns(between_ns: int, wait_ns: int, turn: int) -> int:
    """The greatest age of a value at a scan, with one reply lost that may be its own.

    between_ns  between two of its due marks
    wait_ns     from a mark until the request is sent at the latest, with none lost
    turn        from a mark until its reply, with one lost
    """
    if turn == UNBOUNDED_NS:
        return UNBOUNDED_NS
    return (2 + wait_ns // between_ns) * between_ns + turn


def turn_ns(units: Sequence[Unit], own: int, scan: Scan, lost: int, outstanding: int = 1) -> int:
    """From a due mark of a block of units[own] until its reply, at the latest.

    lost         0 or 1: requests lost on the link meanwhile
    outstanding  reads on their way at once

    UNBOUNDED_NS where the link's writes and reads leave no room for it. The sum
    of the module's docstring, iterated from below to the least time that holds it.
    """
    me = units[own]
    every_cost = [cost for unit in units for cost in (*unit.reads, *unit.writes)]
    writes = [cost.answered_ns for unit in units for cost in unit.writes]
    out = max(1, min(outstanding, len(me.reads)))
    fixed_ns = out * max(cost.answered_ns for cost in every_cost)
    rest_ns = me.rest_ns + scan.period_ns if me.rest_ns else 0
    if lost:
        fixed_ns += max(
            cost.lost_ns - cost.answered_ns + unit.sync.answered_ns + (rest_ns if unit is me else 0)
            for unit in units
            for cost in (*unit.reads, *unit.writes)
        )
    others = [unit for unit in units if unit is not me]
    sweeps = len(me.reads) + (lost if me.rest_ns else 0)
    time_ns = fixed_ns + _own_ns(me, 0, 0)
    for _ in range(STEPS_MAX):
        bursts = -(-time_ns // scan.period_ns) - 1  # after its own, before its reply
        rounds = 1 + max(0, -(-(time_ns - scan.lead_ns) // scan.period_ns))
        needed_ns = fixed_ns + _own_ns(me, max(0, out - 2), bursts) + rounds * sum(writes)
        needed_ns += sum(_reads_ns(unit, sweeps, bursts) for unit in others)
        if needed_ns <= time_ns:
            return time_ns
        time_ns = needed_ns
    return UNBOUNDED_NS


def _own_ns(unit: Unit, again: int, bursts: int) -> int:
    """The most that the device's own reads take: each once and `again` of them, or by due marks."""
    costs = [cost.answered_ns for cost in unit.reads]
    return min(sum(costs) + again * max(costs), _marked_ns(unit, bursts))


def _reads_ns(unit: Unit, sweeps: int, bursts: int) -> int:
    """The most that another device's reads take: by its turns, and by its due marks."""
    by_turns = sweeps * max(cost.answered_ns for cost in (*unit.reads, unit.sync))
    return min(by_turns, _marked_ns(unit, bursts))


def _marked_ns(unit: Unit, bursts: int) -> int:
    """What its blocks take that were due, and again at each due mark in so many bursts since."""
    return sum(
        cost.answered_ns * (1 - (-bursts // every))
        for cost, every in zip(unit.reads, unit.every, strict=True)
    )


def unit_of(device: Device, gap_ns: int) -> Unit:
    """The load of one device; gap_ns: the link keeps it after each request."""
    profile = device.profile
    asked = [(block.function, block.count) for block in profile.blocks]
    reads = [_cost(device, gap_ns, count) for count in _read_bytes(asked)]
    writes = [_cost(device, gap_ns, count) for count in _write_bytes(profile.commands)]
    rest_ns = profile.timeout_ns if device.line else 0
    sync = Cost(0, 0)
    if device.line:
        function, _, counts = sync_reads(profile)
        lengths = _read_bytes([(function, count) for count in counts])
        sync = _cost(device, gap_ns, max(lengths))
    every = tuple(block.every for block in profile.blocks)
    return Unit(tuple(reads), every, tuple(writes), rest_ns, sync)


def _cost(device: Device, gap_ns: int, bytes_on_line: int) -> Cost:
    """One request: on a line its bytes, its silences and the adapter; then the device itself.

    A reply that needs longer than the kernel waits is a lost one, so what the
    kernel waits is the most that an answered one takes.
    """
    profile, line = device.profile, device.line
    if line is None:
        return Cost(profile.reply_ns + gap_ns, profile.timeout_ns + gap_ns)
    carried_ns = bytes_on_line * line.char_ns + line.latency_ns
    answer_ns = min(_characters_ns(line) + profile.reply_ns, profile.timeout_ns)
    after_ns = max(gap_ns, silence_ns(line))
    return Cost(carried_ns + answer_ns + after_ns, carried_ns + profile.timeout_ns + after_ns)


def _read_bytes(asked: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Bytes of request and reply on a serial line, of reads by function and count."""
    for function, count in asked:
        size = reply_size(function, count)
        yield REQUEST_BYTES + READ_REPLY_BYTES + (2 * size if function >= 3 else size)


def _write_bytes(commands: Sequence[Command]) -> Iterator[int]:
    """Bytes of request and reply on a serial line; functions 5 and 6 echo their request."""
    for command in commands:
        request = REQUEST_BYTES
        if command.function == WRITE_REGISTERS:
            request = WRITE_BYTES + 2 * command.count
        elif command.function == WRITE_COILS:
            request = WRITE_BYTES + -(-command.count // 8)
        yield request + REQUEST_BYTES
