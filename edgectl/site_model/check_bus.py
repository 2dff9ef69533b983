"""What a site file must not contain about its bus: lines, addresses, slow classes."""

from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address

from edgectl.profiles.model import INT64_MAX, Profile
from edgectl.profiles.problems import RANK_REFERENCE, RANK_SAFETY, RANK_VALUE, did_you_mean
from edgectl.profiles.read_plan import read_plan
from edgectl.site_model.context import Context
from edgectl.site_model.model import Device, Site
from edgectl.site_model.schedule import UNBOUNDED_NS, LinkSchedule, schedule
from edgectl.site_model.schema import DeviceEntry, LineEntry

NS_PER_MS = 1_000_000
DEVICES_NAMED = 4  # in a message; more are counted
RTU_UNIT_MAX = 247  # MSL 2.2: 1 to 247 are single devices, 0 is broadcast


def link_of(device: DeviceEntry) -> tuple[str, int]:
    """What tells a device's connection from others."""
    return (device.line, 0) if device.line else (device.host or "", device.port or 0)


def check_bus(context: Context) -> None:
    """Report every problem of lines and devices."""
    _check_lines(context)
    for at, device in enumerate(context.file.device):
        _check_place(context, at, device)
        _check_unit(context, at, device)
        _check_times(context, at, device)
        _check_reply(context, at, device)
    _check_units_once(context)


def _check_lines(context: Context) -> None:
    lines = context.file.line
    for at, line in enumerate(lines):
        for key, mine, others in (
            ("id", line.id, [each.id for each in lines[:at]]),
            ("port", line.port, [each.port for each in lines[:at]]),
        ):
            if mine in others:
                context.add(
                    context.path("line", at, key),
                    f"{mine} is already the {key} of another line",
                    "Two masters on one line talk over each other.",
                    "Give each line its own id and port.",
                    RANK_REFERENCE,
                )
        _check_stop_bits(context, at, line)


def _check_stop_bits(context: Context, at: int, line: LineEntry) -> None:
    if line.parity != "none" and line.stop_bits == 2:
        context.add(
            context.path("line", at, "stop_bits"),
            f"stop_bits is 2 with parity {line.parity}: 12 bits a character",
            "A character on a Modbus line has 11 bits (MSL 2.5.1), or 10 with neither.",
            "Write stop_bits = 1 with parity, 1 or 2 without.",
            RANK_VALUE,
        )


def _check_place(context: Context, at: int, device: DeviceEntry) -> None:
    """Either host and port, or a line that is there."""
    if device.line is not None:
        lines = {each.id for each in context.file.line}
        if device.host is not None or device.port is not None:
            context.add(
                context.path("device", at, "line"),
                f"{device.id} has a line and a host or port",
                "A device is on one link.",
                "Remove line, or host and port.",
                RANK_VALUE,
            )
        elif device.line not in lines:
            context.add(
                context.path("device", at, "line"),
                f"unknown line {device.line}",
                "Nothing says which serial port that is.",
                did_you_mean(device.line, lines),
                RANK_REFERENCE,
            )
        return
    if device.host is None or device.port is None:
        context.add(
            context.path("device", at),
            f"{device.id} has neither a line nor both host and port",
            "Nothing says where the device is.",
            'Give host = "192.168.10.21" and port = 502, or line = "RS485-1".',
            RANK_REFERENCE,
        )
        return
    try:
        IPv4Address(device.host)
    except AddressValueError:
        context.add(
            context.path("device", at, "host"),
            f"host is {device.host!r}; it must be an IPv4 address",
            "A name server that hangs must never hold up the bus.",
            'For example "192.168.10.21".',
            RANK_VALUE,
        )


def _check_unit(context: Context, at: int, device: DeviceEntry) -> None:
    profile = context.profiles.get(device.id)
    if profile is not None and device.unit not in profile.units:
        context.add(
            context.path("device", at, "unit"),
            f"unit is {device.unit}; {profile.name} answers at {list(profile.units)}",
            "A device asked by the wrong unit id stays silent, or a neighbour answers.",
            "Correct the unit, or add it to the profile once a device has answered there.",
            RANK_VALUE,
        )
    if device.line is not None and not 1 <= device.unit <= RTU_UNIT_MAX:
        context.add(
            context.path("device", at, "unit"),
            f"unit is {device.unit}; on a serial line it is 1 to {RTU_UNIT_MAX}",
            "0 is heard by all and answered by none; above 247 is reserved (MSL 2.2).",
            "Give the unit id that is set in the device.",
            RANK_VALUE,
        )


def _check_units_once(context: Context) -> None:
    seen: dict[tuple[str, int, int], str] = {}
    for at, device in enumerate(context.file.device):
        key = (*link_of(device), device.unit)
        if key in seen:
            place = device.line or f"{device.host}:{device.port}"
            context.add(
                context.path("device", at, "unit"),
                f"{device.id} and {seen[key]} are both unit {device.unit} at {place}",
                "One of them is not the device that its profile describes.",
                "Correct host, port, line or unit of one of them.",
                RANK_REFERENCE,
            )
        seen.setdefault(key, device.id)


def _check_times(context: Context, at: int, device: DeviceEntry) -> None:
    """No value is stale or frozen before its next reading can arrive."""
    profile = context.profiles.get(device.id)
    if profile is None:
        return
    period_ms = context.file.scan.period_ms
    for point in slowed(profile, device).points:
        between_ms = point.every * period_ms
        shortest = min(point.stale_after_ns, point.frozen_after_ns) // NS_PER_MS
        if shortest <= between_ms:
            context.add(
                context.path("device", at, "profile"),
                f"{point.name} of {profile.name} is read every {between_ms} ms and is stale or "
                f"frozen after {shortest} ms",
                "It would be bad before its next reading arrives, every time.",
                f"Raise stale_after_ms and frozen_after_ms over {between_ms} ms, or read more "
                "often.",
                RANK_VALUE,
            )
            return


def _check_reply(context: Context, at: int, device: DeviceEntry) -> None:
    profile = context.profiles.get(device.id)
    if profile is None or device.reply_ms is None:
        return
    timeout_ms = profile.timeout_ns // NS_PER_MS
    sharing = sum(link_of(each) == link_of(device) for each in context.file.device)
    most = 1 if device.line or sharing > 1 else profile.outstanding_max
    if most * device.reply_ms > timeout_ms:
        behind = f", and waits for {most - 1} others" if most > 1 else ""
        context.add(
            context.path("device", at, "reply_ms"),
            f"reply_ms is {device.reply_ms} ms{behind}; {profile.name} gives a reply up after "
            f"{timeout_ms} ms",
            "What it answers would be given up before it comes.",
            "Give the slowest reply that edgectl watch shows; a slower device needs a profile of "
            "its own with a longer timeout_ms.",
            RANK_VALUE,
        )


def slowed(profile: Profile, device: DeviceEntry) -> Profile:
    """The profile with the device's slow class, age limit and reply time, planned anew."""
    if device.reply_ms is not None:
        profile = replace(profile, reply_ns=device.reply_ms * NS_PER_MS)
    if device.every_scans == 1 and device.stale_after_ms is None:
        return profile
    points = tuple(
        replace(
            point,
            every=max(point.every, device.every_scans),
            stale_after_ns=point.stale_after_ns
            if device.stale_after_ms is None
            else max(device.stale_after_ms * NS_PER_MS, point.stale_after_ns),
            frozen_after_ns=INT64_MAX
            if point.frozen_after_ns == INT64_MAX
            else point.frozen_after_ns * max(1, device.every_scans // point.every),
        )
        for point in profile.points
    )
    blocks = read_plan(points, profile.max_registers, profile.gaps_legal)
    return replace(profile, points=points, blocks=blocks)


def check_schedule(context: Context, site: Site) -> None:
    """Report every link that cannot hold the age of its values, by its worst point."""
    ids = [each.id for each in context.file.device]
    for row in schedule(site):
        if row.holds:
            continue
        device = site.device(row.worst.partition(".")[0])
        context.add(
            context.path("device", ids.index(device.id)),
            _late_text(row),
            "Its values would turn bad, and trip, with nothing broken but one lost reply.",
            _late_remedy(row, device),
            RANK_SAFETY,
        )


def _late_text(row: LinkSchedule) -> str:
    many = len(row.devices)
    whom = ", ".join(row.devices) if many <= DEVICES_NAMED else f"its {many} devices"
    if row.age_ns >= UNBOUNDED_NS:
        return (
            f"{row.worst} may never be read: what {row.link} reads and writes for {whom} can fill "
            f"its time; {row.worst} is stale after {row.limit_ns // NS_PER_MS} ms"
        )
    turn_ms, age_ms = (-(-each // NS_PER_MS) for each in (row.turn_ns, row.age_ns))
    return (
        f"{row.worst} may be {age_ms} ms old and is stale after {row.limit_ns // NS_PER_MS} ms: "
        f"the reads and writes of {whom} keep {row.link} for up to {turn_ms} ms"
    )


def _late_remedy(row: LinkSchedule, device: Device) -> str:
    ways = ["read fewer points", "use a slower class (every_scans) for what else is on the link"]
    if len(row.devices) > 1:
        ways.append("put devices on another link")
    if row.age_ns < UNBOUNDED_NS:
        ways.append(f"write stale_after_ms = {-(-row.age_ns // NS_PER_MS)} if that is soon enough")
    text = ", ".join(ways[:-1]) + f", or {ways[-1]}."
    if device.profile.reply_ns < device.profile.timeout_ns:
        return text[0].upper() + text[1:]
    timeout_ms = device.profile.timeout_ns // NS_PER_MS
    return (
        f"Each reply counts with its timeout, {timeout_ms} ms: give reply_ms, the slowest reply "
        f"that edgectl watch shows. Else {text}"
    )
