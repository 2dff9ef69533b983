"""What a sound site file still deserves a second look for."""

from collections.abc import Iterator

from edgectl.profiles.model import INT64_MAX
from edgectl.site_model import Battery, Interlock, Site
from edgectl.site_model.schedule import schedule

NS_PER_MS = 1_000_000
STOPS = ("zero", "open_request", "safe_state")


def advice(site: Site) -> list[str]:
    """Warnings, each a sentence: nothing here is refused, all of it should be known."""
    return [*_profiles(site), *_bus(site), *_batteries(site), *_rows(site)]


def _profiles(site: Site) -> Iterator[str]:
    """Register maps that nobody has seen answer."""
    for grade, words in (
        ("synthetic", "made up for the demonstration; no product answers it"),
        ("paper", "from documents only; no device was read with it"),
    ):
        names = dict.fromkeys(d.profile.name for d in site.devices if d.profile.verified == grade)
        if names:
            yield f"{grade} register maps, {words}: {', '.join(names)}."
    for device in site.devices:
        if not device.profile.probes:
            yield f"{device.id} cannot be recognised: {device.profile.identity_none}."


def _bus(site: Site) -> Iterator[str]:
    """Links that are asked for more than they carry; and what starts to write by itself."""
    for row in schedule(site):
        if row.utilisation > 1:
            yield (
                f"{row.link} is asked to read {row.utilisation:.1f} times what it can while its "
                f"replies take their reply_ms: {', '.join(row.devices)} may be read less often "
                "than every_scans says."
            )
    if site.arm == "auto":
        yield "the controller arms itself: it writes as soon as its interlocks are clear."


def _batteries(site: Site) -> Iterator[str]:
    """Batteries that a lost device, or a dead controller, would leave running."""
    for battery in site.batteries:
        devices = {tag.partition(".")[0] for tag in (battery.command, battery.soc, battery.power)}
        for device_id in sorted(devices):
            if not _stops_on(site, battery, f"{device_id}.age"):
                yield f"{battery.id} is not stopped when {device_id} falls silent."
        command = site.command(battery.command)
        if command.revert_ns == INT64_MAX:
            yield f"{battery.command} has no fallback: a dead controller leaves it as it is."
        if battery.readback is None:
            yield f"{battery.command} cannot be read back: {command.readback_none}."


def _stops_on(site: Site, battery: Battery, tag: str) -> bool:
    return any(
        cause.tag == tag and _stops(row, battery.id)
        for row in site.interlocks
        for cause in row.causes
    )


def _stops(row: Interlock, battery_id: str) -> bool:
    return any(each.action in STOPS and each.asset in (None, battery_id) for each in row.effects)


def _rows(site: Site) -> Iterator[str]:
    """Rows that hold on bad quality, and rows that may be bypassed."""
    holding = [row.id for row in site.interlocks if row.on_bad_quality == "hold"]
    if holding:
        yield f"these interlocks hold on bad quality: {', '.join(holding)}."
    open_to_bypass = [
        row.id
        for row in site.interlocks
        if row.bypass == "authorised" and any(each.action != "alarm" for each in row.effects)
    ]
    if open_to_bypass:
        yield f"these interlocks act and may be bypassed: {', '.join(open_to_bypass)}."
