"""Whether the field bus can hold the age of its values: a bound for every link, before start.

A link has one request outstanding and serves its devices, and each device's
blocks, in turn; a block that is due again before it was served is due once. One
turn of the link is

    turn = sum over its blocks and commands of (transmission + timeout + gap)

in which every reply may take as long as its timeout lets it. A block is marked
due every `every` scans: at the latest so long after its last reply it is due
again, and its next reply comes at most a turn later. The scan looks once a
period. Hence the oldest that a good value of a working device can be:

    age = every * period + turn + period

A site where that is beyond a point's stale_after is refused: its values would
turn bad with nothing broken.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgectl.profiles.model import Block, Command, Point
from edgectl.site_model.model import Device, Line, Site

RTU_FIXED_ABOVE_BAUD = 19_200  # above it the two times are fixed (MSL 2.5.1.1)
RTU_GAP_NS = 750_000  # 1.5 characters
RTU_SILENCE_NS = 1_750_000  # 3.5 characters
REQUEST_BYTES = 8  # unit, function, address, count, CRC
READ_REPLY_BYTES = 5  # unit, function, byte count, CRC; and the data
WRITE_BYTES = 9  # a request of function 16 without its data


@dataclass(frozen=True, slots=True)
class LinkSchedule:
    """One link's bound, and its point with the least margin.

    requests  reads in one turn
    turn_ns   longest that a block waits for its reply after it is due
    worst     tag of the point, `age_ns` its greatest age, `limit_ns` its stale_after
    """

    link: str
    devices: tuple[str, ...]
    requests: int
    turn_ns: int
    worst: str
    age_ns: int
    limit_ns: int

    @property
    def holds(self) -> bool:
        """Every value of a working device stays good."""
        return self.age_ns < self.limit_ns


def silence_ns(line: Line) -> int:
    """3.5 characters, and what the line asks for on top."""
    fast = line.baud > RTU_FIXED_ABOVE_BAUD
    return (RTU_SILENCE_NS if fast else line.char_ns * 7 // 2) + line.turnaround_ns


def idle_ns(line: Line) -> int:
    """1.5 characters, and what the adapter may hold back."""
    fast = line.baud > RTU_FIXED_ABOVE_BAUD
    return (RTU_GAP_NS if fast else line.char_ns * 3 // 2) + line.latency_ns


def schedule(site: Site) -> tuple[LinkSchedule, ...]:
    """The bound of every link, in bus order."""
    links: dict[str, list[Device]] = {}
    for device in site.devices:
        links.setdefault(device.link, []).append(device)
    return tuple(link_schedule(devices, site.scan.period_ns) for devices in links.values())


def link_schedule(devices: Sequence[Device], period_ns: int) -> LinkSchedule:
    """The bound of one link.

    devices    all that share it, at least one with a point
    period_ns  of the scan
    """
    line = devices[0].line
    gap_ns = max(each.profile.gap_ns for each in devices)
    if line is not None:
        gap_ns = max(gap_ns, silence_ns(line))
    turn_ns = 0
    requests = 0
    for device in devices:
        for bytes_on_line in _requests(device.profile.blocks, device.profile.commands):
            turn_ns += device.profile.timeout_ns + gap_ns
            if line is not None:
                turn_ns += bytes_on_line * line.char_ns + line.latency_ns
        requests += len(device.profile.blocks)
    device_id, point = min(
        ((each.id, point) for each in devices for point in each.profile.points),
        key=lambda found: found[1].stale_after_ns - found[1].every * period_ns,
    )
    return LinkSchedule(
        link=devices[0].link,
        devices=tuple(each.id for each in devices),
        requests=requests,
        turn_ns=turn_ns,
        worst=f"{device_id}.{point.name}",
        age_ns=worst_age_ns(point, turn_ns, period_ns),
        limit_ns=point.stale_after_ns,
    )


def worst_age_ns(point: Point, turn_ns: int, period_ns: int) -> int:
    """The oldest that a good value of a working device can be at a scan."""
    return point.every * period_ns + turn_ns + period_ns


def _requests(blocks: Iterable[Block], commands: Iterable[Command]) -> Iterable[int]:
    """Bytes on a serial line, request and reply, of each request of a turn."""
    for block in blocks:
        data = 2 * block.count if block.function >= 3 else -(-block.count // 8)
        yield REQUEST_BYTES + READ_REPLY_BYTES + data
    for command in commands:
        yield WRITE_BYTES + 2 * command.count + REQUEST_BYTES
