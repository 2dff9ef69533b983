"""A site as the rest of edgectl sees it: checked, frozen, in SI units, times in ns."""

from dataclasses import dataclass
from pathlib import Path

from edgectl.profiles.model import Command, Point, Profile


@dataclass(frozen=True, slots=True)
class Scan:
    """The controller's cadence."""

    period_ns: int
    lead_ns: int


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid connection. power: tag; import positive."""

    power: str
    import_cap_w: float
    import_guard_w: float
    export_max_w: float
    accuracy_class: str | None = None
    ct_class: str | None = None


@dataclass(frozen=True, slots=True)
class CarbonFeed:
    """Where the grid's carbon intensity comes from. token_env: the variable, not the token."""

    kind: str
    path: Path | None
    topic: str | None
    zone: str | None
    url: str | None
    token_env: str | None
    poll_s: int


@dataclass(frozen=True, slots=True)
class Carbon:
    """Carbon intensities of the location average."""

    basis: str
    default_g_per_kwh: float
    high_g_per_kwh: float
    low_g_per_kwh: float
    deadband_g_per_kwh: float
    pv_g_per_kwh: float
    initial_stock_g_per_kwh: float
    feed: CarbonFeed | None
    factor_u_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One serial line. latency_ns: of the adapter; turnaround_ns: over the 3.5 characters."""

    id: str
    port: str
    baud: int
    parity: str
    stop_bits: int
    latency_ns: int
    turnaround_ns: int
    rs485: bool

    @property
    def char_ns(self) -> int:
        """Time of one character: start, 8 data, parity if any, stop bits."""
        bits = 9 + (self.parity != "none") + self.stop_bits
        return -(-bits * 1_000_000_000 // self.baud)


@dataclass(frozen=True, slots=True)
class Device:
    """One unit id at one address or on one serial line, with its register map.

    profile  this device's own: every_scans, stale_after_ms, reply_ms of the site are in it
    host     "" on a serial line
    port     0 on a serial line
    """

    id: str
    profile: Profile
    host: str
    port: int
    unit: int
    counted: bool
    line: Line | None

    @property
    def link(self) -> str:
        """The connection it shares with the other units there."""
        return self.line.id if self.line else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """Where it answers, as a person reads it."""
        return f"{self.link}/{self.unit}"


@dataclass(frozen=True, slots=True)
class Load:
    """One metered bus; kind is "it" or "aux"."""

    id: str
    kind: str
    power: str
    worst_case_w: float
    accuracy_class: str | None = None
    ct_class: str | None = None


@dataclass(frozen=True, slots=True)
class Pv:
    """One PV block; limit is the tag of a command, None if it cannot be limited.

    stop_budget_ns  None: it need not go to zero by itself
    """

    id: str
    power: str
    rating_w: float
    limit: str | None
    deadband_w: float
    refresh_ns: int
    proof_meter: str | None = None
    stop_budget_ns: int | None = None
    accuracy_class: str | None = None
    ct_class: str | None = None


@dataclass(frozen=True, slots=True)
class Generator:
    """A generating set on a fuel; generation is negative, as PV's."""

    id: str
    power: str
    rating_w: float
    carbon_g_per_kwh: float
    accuracy_class: str | None = None
    ct_class: str | None = None


@dataclass(frozen=True, slots=True)
class Battery:
    """One storage asset, converter and BMS together.

    carbon_method   "weighted average" or "fifo"
    standby_carbon  "concentrate" or "loss account"
    """

    id: str
    power: str
    soc: str
    command: str
    readback: str | None
    proof_meter: str | None
    stop_budget_ns: int
    charge_rating_w: float
    discharge_rating_w: float
    capacity_j: float
    reserve_ratio: float
    ready_ratio: float
    full_ratio: float
    ramp_w_per_s: float
    deadband_w: float
    economy_w: float
    refresh_ns: int
    dwell_ns: int
    readback_tolerance_w: float
    charge_efficiency: float
    discharge_efficiency: float
    accuracy_class: str | None = None
    ct_class: str | None = None
    carbon_method: str = "weighted average"
    standby_w: float = 0.0
    standby_carbon: str = "concentrate"
    full_soc_ratio: float | None = None
    empty_soc_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Flexible:
    """Load that can wait."""

    command: str
    available: str
    deferred: str
    it_floor_w: float
    deadband_w: float
    release_w_per_s: float
    refresh_ns: int
    hold_ns: int
    tiers_ratio: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Monitor:
    """A quantity made of points; its own point is <id>.value, in unit.

    level  of the kind's own measured key, in the inputs' unit
    """

    id: str
    kind: str
    inputs: tuple[str, ...]
    unit: str
    window_ns: int
    absolute: bool
    below: bool
    level: float
    capacity_j: float
    limit_w: int
    curve: str | None
    multiplier: float
    reset_s: float
    why: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A counter that a device watches us by; command is a tag."""

    command: str
    every_ns: int
    wraps_at: int


@dataclass(frozen=True, slots=True)
class Cause:
    """One condition. op: above below equal not_equal limit bad; on, off in the tag's unit."""

    tag: str
    op: str
    on: float
    off: float
    unit: str


@dataclass(frozen=True, slots=True)
class Effect:
    """One action; asset is a battery's id, None: every battery, or none is meant.

    value  the ratio of a derate, the tier of a shed, else 0
    """

    action: str
    asset: str | None
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Interlock:
    """One row of the cause-and-effect table."""

    id: str
    title: str
    group: str
    priority: str
    on_bad_quality: str
    vote: int
    on_delay_ns: int
    off_delay_ns: int
    reset: str
    lockout_trips: int
    lockout_window_ns: int
    discrepancy_ns: int
    bypass: str
    causes: tuple[Cause, ...]
    effects: tuple[Effect, ...]
    why: str
    proof_test: str
    proof_interval_days: int
    catalogue: str
    line: int


@dataclass(frozen=True, slots=True)
class GridCode:
    """What the inverters shall be set to.

    devices   ids of those that are audited
    required  setting, its value and its time where the grid operator prescribes them
    """

    standard: str
    category: str
    devices: tuple[str, ...]
    required: tuple[tuple[str, float | None, float | None], ...]


@dataclass(frozen=True, slots=True)
class Bus:
    """A busbar. fed_by: None at the grid; holds: ids of loads, PV blocks, batteries, generators."""

    id: str
    fed_by: str | None
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feeder:
    """A metered line between two buses; its power is positive from from_bus to to_bus."""

    id: str
    from_bus: str
    to_bus: str
    power: str
    accuracy_class: str | None = None
    ct_class: str | None = None


@dataclass(frozen=True, slots=True)
class Mqtt:
    """Where services publish."""

    host: str
    port: int
    node: str


@dataclass(frozen=True, slots=True)
class LedgerPolicy:
    """Who signs the ledger and who keeps its heads. key: None for one beside the ledger."""

    key: Path | None = None
    witnesses: tuple[str, ...] = ()
    interval_s: int = 3600
    technicians: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody whose loads are booked apart."""

    id: str
    name: str
    loads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A whole site. devices are in bus order: those that share a link together.

    proofs  path of the record of what was proved on the plant, None without
    """

    path: Path
    sha256: str
    id: str
    name: str
    zone: str
    latitude_deg: float
    longitude_deg: float
    scan: Scan
    journal_minutes: int
    blackbox_keep_mb: int
    arm: str
    proofs: Path | None
    grid: Grid
    carbon: Carbon
    meter_hold_ns: int
    meter_gap_max_ns: int
    devices: tuple[Device, ...]
    loads: tuple[Load, ...]
    pvs: tuple[Pv, ...]
    batteries: tuple[Battery, ...]
    buses: tuple[Bus, ...]
    flexible: Flexible | None
    open_request: str | None
    local_reset: str | None
    monitors: tuple[Monitor, ...]
    heartbeats: tuple[Heartbeat, ...]
    interlocks: tuple[Interlock, ...]
    mqtt: Mqtt
    grid_code: GridCode | None
    ledger: LedgerPolicy = LedgerPolicy()
    tenants: tuple[Tenant, ...] = ()
    generators: tuple[Generator, ...] = ()
    feeders: tuple[Feeder, ...] = ()

    @property
    def links(self) -> dict[str, tuple[Device, ...]]:
        """Devices by what they are connected through, in bus order."""
        links: dict[str, tuple[Device, ...]] = {}
        for device in self.devices:
            links[device.link] = (*links.get(device.link, ()), device)
        return links

    @property
    def lines(self) -> tuple[Line | None, ...]:
        """The serial line of each link in bus order, None where it is a TCP connection."""
        return tuple(devices[0].line for devices in self.links.values())

    def device(self, device_id: str) -> Device:
        """The device of an id; KeyError when the site has none."""
        return {each.id: each for each in self.devices}[device_id]

    def point(self, tag: str) -> Point:
        """The wire point of a tag; KeyError when there is none."""
        device_id, _, name = tag.partition(".")
        return self.device(device_id).profile.point(name)

    def command(self, tag: str) -> Command:
        """The command of a tag; KeyError when there is none."""
        device_id, _, name = tag.partition(".")
        return self.device(device_id).profile.command(name)
