"""A checked site file into the frozen site: times in ns, devices in bus order."""

from pathlib import Path

from edgectl.site_model.check_bus import slowed
from edgectl.site_model.context import Context
from edgectl.site_model.model import (
    Battery,
    Bus,
    Carbon,
    CarbonFeed,
    Device,
    Feeder,
    Flexible,
    Generator,
    Grid,
    GridCode,
    Heartbeat,
    Interlock,
    LedgerPolicy,
    Line,
    Load,
    Monitor,
    Mqtt,
    Pv,
    Scan,
    Site,
    Tenant,
)
from edgectl.site_model.schema import BatteryEntry, LineEntry, PvEntry, SiteFile
from edgectl.site_model.schema_carbon import CarbonSection

NS_PER_MS = 1_000_000


def build_site(
    path: Path,
    sha256: str,
    context: Context,
    monitors: tuple[Monitor, ...],
    interlocks: tuple[Interlock, ...],
) -> Site:
    """Build from a context in which the checks found no problem."""
    file = context.file
    site, carbon, metering = file.site, file.carbon, file.metering
    return Site(
        path=path,
        sha256=sha256,
        id=site.id,
        name=site.name,
        zone=site.zone,
        latitude_deg=site.latitude_deg,
        longitude_deg=site.longitude_deg,
        scan=Scan(
            file.scan.period_ms * NS_PER_MS,
            file.scan.read_lead_ms * NS_PER_MS,
        ),
        journal_minutes=file.journal.minutes,
        blackbox_keep_mb=file.blackbox.keep_mb,
        arm=file.controller.arm,
        proofs=path.parent / file.controller.proofs if file.controller.proofs else None,
        grid=Grid(**file.grid.model_dump()),
        carbon=_carbon(path, carbon),
        meter_hold_ns=metering.hold_ms * NS_PER_MS,
        meter_gap_max_ns=metering.gap_max_ms * NS_PER_MS,
        devices=_devices(context),
        loads=tuple(Load(**each.model_dump()) for each in file.load),
        pvs=tuple(map(_pv, file.pv)),
        batteries=tuple(_battery(context, each) for each in file.battery),
        buses=tuple(Bus(each.id, each.fed_by, tuple(each.holds)) for each in file.bus),
        flexible=_flexible(file),
        open_request=file.open_request.command if file.open_request else None,
        local_reset=file.local_reset.tag if file.local_reset else None,
        monitors=monitors,
        heartbeats=tuple(
            Heartbeat(each.command, each.every_ms * NS_PER_MS, each.wraps_at)
            for each in file.heartbeat
        ),
        interlocks=interlocks,
        mqtt=Mqtt(**file.mqtt.model_dump()),
        grid_code=_grid_code(file),
        ledger=_ledger(path, file),
        tenants=tuple(Tenant(each.id, each.name, tuple(each.loads)) for each in file.tenant),
        generators=tuple(Generator(**each.model_dump()) for each in file.generator),
        feeders=tuple(Feeder(**each.model_dump()) for each in file.feeder),
    )


def _ledger(path: Path, file: SiteFile) -> LedgerPolicy:
    """Paths in a site file start from where it lies; URLs stay as they are."""
    said = file.ledger
    return LedgerPolicy(
        (path.parent / said.signing_key).absolute() if said.signing_key else None,
        tuple(
            each if "://" in each else str((path.parent / each).absolute())
            for each in said.witnesses
        ),
        said.head_interval_s,
        tuple((path.parent / each).absolute() for each in said.technician_keys),
    )


def _carbon(site: Path, section: CarbonSection) -> Carbon:
    """Intensities; the feed's file is beside the site's."""
    fields = section.model_dump()
    feed = fields.pop("feed")
    if feed is not None and feed["path"] is not None:
        feed["path"] = site.parent / feed["path"]
    return Carbon(**fields, feed=CarbonFeed(**feed) if feed is not None else None)


def _devices(context: Context) -> tuple[Device, ...]:
    """Devices on the same link together, in the order of first mention."""
    lines = {each.id: _line(each) for each in context.file.line}
    links: dict[str, list[Device]] = {}
    for each in context.file.device:
        device = Device(
            each.id,
            slowed(context.profiles[each.id], each),
            each.host or "",
            each.port or 0,
            each.unit,
            each.counted,
            lines[each.line] if each.line else None,
        )
        links.setdefault(device.link, []).append(device)
    return tuple(device for devices in links.values() for device in devices)


def _line(entry: LineEntry) -> Line:
    fields = entry.model_dump()
    fields["latency_ns"] = fields.pop("latency_ms") * NS_PER_MS
    fields["turnaround_ns"] = fields.pop("turnaround_ms") * NS_PER_MS
    return Line(**fields)


def _pv(entry: PvEntry) -> Pv:
    fields = entry.model_dump()
    fields["refresh_ns"] = fields.pop("refresh_ms") * NS_PER_MS
    budget_ms = fields.pop("stop_budget_ms")
    fields["stop_budget_ns"] = None if budget_ms is None else budget_ms * NS_PER_MS
    return Pv(**fields)


def _battery(context: Context, entry: BatteryEntry) -> Battery:
    """A battery; its read-back is the one that the profile names for the command."""
    fields = entry.model_dump()
    fields["refresh_ns"] = fields.pop("refresh_ms") * NS_PER_MS
    fields["dwell_ns"] = fields.pop("dwell_ms") * NS_PER_MS
    fields["stop_budget_ns"] = fields.pop("stop_budget_ms") * NS_PER_MS
    if entry.readback is None:
        device_id, _, name = entry.command.partition(".")
        point = context.profiles[device_id].command(name).readback
        fields["readback"] = f"{device_id}.{point}" if point else None
    return Battery(**fields)


def _flexible(file: SiteFile) -> Flexible | None:
    if file.flexible is None:
        return None
    fields = file.flexible.model_dump()
    fields["refresh_ns"] = fields.pop("refresh_ms") * NS_PER_MS
    fields["hold_ns"] = fields.pop("hold_ms") * NS_PER_MS
    fields["tiers_ratio"] = tuple(fields["tiers_ratio"])
    return Flexible(**fields)


def _grid_code(file: SiteFile) -> GridCode | None:
    """Audited are the devices it names, else every battery's and PV block's own."""
    if file.grid_code is None:
        return None
    tags = [each.command for each in file.battery] + [each.power for each in file.pv]
    own = dict.fromkeys(tag.partition(".")[0] for tag in tags)
    return GridCode(
        file.grid_code.standard,
        file.grid_code.category,
        tuple(file.grid_code.devices or own),
        tuple((each.setting, each.value, each.time_s) for each in file.grid_code.required),
    )
