"""The form of a site file, as pydantic models; descriptions double as error reasons."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from edgectl.profiles.schema import Section, Text
from edgectl.site_model.schema_carbon import CarbonSection
from edgectl.site_model.schema_interlock import InterlockEntry
from edgectl.site_model.schema_ledger import LedgerSection, TenantEntry
from edgectl.site_model.schema_monitor import HeartbeatEntry, MonitorEntry
from edgectl.site_model.schema_network import BusEntry, FeederEntry, GeneratorEntry
from edgectl.site_model.schema_types import (
    AccuracyClass,
    CarbonMethod,
    Delay,
    Efficiency,
    Id,
    Milliseconds,
    PositiveWatts,
    Ratio,
    StandbyCarbon,
    Tag,
    TransformerClass,
    Watts,
)


class SiteSection(Section):
    """[site]: what and where."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = Field(
        description="The id names the shared-memory segment, the ledger and the MQTT topics.",
        examples=["demo"],
    )
    name: Text = Field(description="What a person calls the site.", examples=["Demo campus"])
    zone: Text = Field(
        description="The bidding or balancing zone whose grid carbon intensity applies.",
        examples=["US-TEX-ERCO"],
    )
    latitude_deg: Annotated[float, Field(ge=-90, le=90)] = Field(
        description="Weather and the sun's position depend on it.", examples=[32.9]
    )
    longitude_deg: Annotated[float, Field(ge=-180, le=180)] = Field(
        description="Weather and the sun's position depend on it.", examples=[-97.0]
    )


class ScanSection(Section):
    """[scan]: the controller's cadence."""

    period_ms: Annotated[int, Field(ge=5, le=10_000)] = Field(
        description="Every trip takes at most two periods after the value that causes it.",
        examples=[100],
    )
    read_lead_ms: Annotated[int, Field(ge=1)] = Field(
        description="The bus starts reading this long before each scan, so its data is fresh.",
        examples=[60],
    )


class JournalSection(Section):
    """[journal]: how long services may be away."""

    minutes: Annotated[int, Field(ge=10, le=1440)] = Field(
        default=12,
        description="Records kept in shared memory; services that are away longer lose some.",
        examples=[12],
    )


class BlackboxSection(Section):
    """[blackbox]: what is frozen for every trip."""

    keep_mb: Annotated[int, Field(ge=16, le=1_000_000)] = Field(
        default=512,
        description="Above it the oldest files go, the newest of each row never.",
        examples=[512],
    )


class ControllerSection(Section):
    """[controller]: start behaviour."""

    arm: Literal["auto", "operator"] = Field(
        default="operator",
        description="Who allows the first write after start: nobody has to, or an operator.",
        examples=["operator"],
    )
    proofs: Text | None = Field(
        default=None,
        description="The record of what was proved on the plant: without a proven stop time no "
        "battery is commanded.",
        examples=["demo.proofs.toml"],
    )


class GridSection(Section):
    """[grid]: the connection and its limits."""

    power: Tag = Field(
        description="Without the power at the connection no limit can be held.",
        examples=["GRID-01.active_power"],
    )
    import_cap_w: PositiveWatts = Field(
        description="The contract's limit; dispatch and interlocks hold the import under it.",
        examples=[80_000_000],
    )
    import_guard_w: Watts = Field(
        description="Dispatch aims this far under the cap, for what moves within a scan.",
        examples=[700_000],
    )
    export_max_w: Watts = Field(
        description="Most that may flow back into the grid; 0 forbids it.", examples=[0]
    )
    accuracy_class: AccuracyClass = None
    ct_class: TransformerClass = None


class MeteringSection(Section):
    """[metering]: what a lost meter counts as."""

    hold_ms: Delay = Field(
        default=2000,
        description="The last good power is held so long, then the worst credible one counts.",
    )
    gap_max_ms: Milliseconds = Field(
        default=1000, description="A longer step between scans is booked as substituted."
    )


class LineEntry(Section):
    """[[line]]: one serial line with Modbus RTU on it."""

    id: Id = Field(description="Devices name their line by it.", examples=["RS485-1"])
    port: Text = Field(
        description="The port; a path by id does not change when adapters are plugged elsewhere.",
        examples=["/dev/serial/by-id/usb-FTDI_USB-RS485_A1B2-if00-port0"],
    )
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = Field(
        description="A wrong speed makes every reply noise.", examples=[19200]
    )
    parity: Literal["even", "odd", "none"] = Field(
        description="Even is the standard's own (MSL 2.5.1).", examples=["even"]
    )
    stop_bits: Literal[1, 2] = Field(
        description="One with parity, two without, says the standard; many devices differ.",
        examples=[1],
    )
    latency_ms: Annotated[int, Field(ge=0, le=100)] = Field(
        default=5,
        description="How late the adapter hands over what it received; USB adapters gather.",
    )
    turnaround_ms: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0, description="Silence kept before each request, over the 3.5 characters."
    )
    rs485: bool = Field(
        default=False, description="The port's driver switches direction; most adapters do."
    )


class DeviceEntry(Section):
    """[[device]]: one unit id at one address, or on one serial line."""

    id: Id = Field(description="Tags start with it: GRID-01.active_power.", examples=["GRID-01"])
    profile: Text = Field(
        description="The register map; a shipped one, or a path ending in .toml beside this file.",
        examples=["meter/abb-b23"],
    )
    host: Text | None = Field(
        default=None,
        description="An IPv4 address: no name is looked up while the plant is running.",
        examples=["192.168.10.21"],
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="TCP port; 502 is Modbus's own.", examples=[502]
    )
    line: Id | None = Field(
        default=None, description="The serial line it is on, in place of host and port."
    )
    unit: Annotated[int, Field(ge=0, le=255)] = Field(
        description="Unit id behind the address.", examples=[1]
    )
    counted: bool = Field(
        default=True, description="Whether it counts in the figures of scan health."
    )
    every_scans: Annotated[int, Field(ge=1, le=36_000)] = Field(
        default=1,
        description="Slow class: none of its points is read more often than at every n-th scan.",
    )
    stale_after_ms: Milliseconds | None = Field(
        default=None,
        description="Age at which its values are bad, where the profile's is too short for this "
        "line.",
    )
    reply_ms: Milliseconds | None = Field(
        default=None,
        description="Its slowest healthy reply as seen at the site; the schedule counts with it. "
        "Behind a gateway it answers slower than the profile says.",
        examples=[40],
    )


class LoadEntry(Section):
    """[[load]]: one metered bus."""

    id: Id = Field(description="Names the bus in the ledger.", examples=["IT-A"])
    kind: Literal["it", "aux"] = Field(
        description="PUE is all loads over IT loads; the kind decides.", examples=["it"]
    )
    power: Tag = Field(
        description="A load that is not metered cannot be booked.",
        examples=["MTR-01.active_power"],
    )
    worst_case_w: PositiveWatts = Field(
        description="What the bus counts as when its meter is lost; too low hides an overload.",
        examples=[12_000_000],
    )
    accuracy_class: AccuracyClass = None
    ct_class: TransformerClass = None


class PvEntry(Section):
    """[[pv]]: one PV block."""

    id: Id = Field(description="Names the block in the ledger.", examples=["PV-1"])
    power: Tag = Field(
        description="Generation is a source; it must be metered.", examples=["PV-01.active_power"]
    )
    rating_w: PositiveWatts = Field(description="The most it can generate.", examples=[15_000_000])
    limit: Tag | None = Field(
        default=None, description="The command that limits it; without one it cannot be limited."
    )
    deadband_w: Watts = Field(
        default=10_000, description="Smaller changes of the limit are not written."
    )
    refresh_ms: Milliseconds = Field(
        default=10_000, description="The limit is written again at least this often."
    )
    proof_meter: Tag | None = Field(
        default=None,
        description="Another meter on the block's feeder: what the inverter says of itself "
        "proves nothing.",
        examples=["MTR-S1.active_power"],
    )
    stop_budget_ms: Milliseconds | None = Field(
        default=None,
        description="The block must be at zero so long after the controller falls silent; left "
        "out, it is enough to know what it does.",
        examples=[60_000],
    )
    accuracy_class: AccuracyClass = None
    ct_class: TransformerClass = None


class BatteryEntry(Section):
    """[[battery]]: one storage asset, converter and BMS together."""

    id: Id = Field(description="Names the asset; interlocks act on it.", examples=["BESS-01"])
    power: Tag = Field(
        description="Power at the converter, charge positive.", examples=["PCS-01.active_power"]
    )
    soc: Tag = Field(description="State of charge, as the BMS has it.", examples=["BMS-01.soc"])
    command: Tag = Field(
        description="Where the setpoint goes.", examples=["PCS-01.active_power_setpoint"]
    )
    readback: Tag | None = Field(
        default=None, description="Where the device shows the setpoint it took."
    )
    proof_meter: Tag | None = Field(
        default=None,
        description="Another meter on the battery's feeder: what the converter says of itself "
        "proves nothing.",
        examples=["MTR-B1.active_power"],
    )
    stop_budget_ms: Milliseconds = Field(
        description="The battery must have stopped so long after the controller falls silent.",
        examples=[10_000],
    )
    charge_rating_w: PositiveWatts = Field(
        description="No setpoint goes above it.", examples=[10_000_000]
    )
    discharge_rating_w: PositiveWatts = Field(
        description="No setpoint goes below it.", examples=[10_000_000]
    )
    capacity_j: Annotated[float, Field(gt=0, le=1e15)] = Field(
        description="Usable energy; 1 MWh is 3.6e9 J.", examples=[144_000_000_000]
    )
    reserve_ratio: Ratio = Field(
        description="Dispatch never discharges below it; the rest is for ride-through.",
        examples=[0.2],
    )
    ready_ratio: Ratio = Field(
        description="Kept for the import cap: carbon steering never discharges below it, and "
        "what the cap used is charged again as soon as there is room.",
        examples=[0.5],
    )
    full_ratio: Ratio = Field(description="Dispatch never charges above it.", examples=[0.9])
    ramp_w_per_s: PositiveWatts = Field(
        description="The setpoint moves no faster.", examples=[5_000_000]
    )
    deadband_w: Watts = Field(description="Smaller changes are not written.", examples=[20_000])
    economy_w: Watts = Field(
        description="Most that carbon steering alone may ask, either way.", examples=[5_000_000]
    )
    refresh_ms: Milliseconds = Field(
        description="The setpoint is written again at least this often, or the device reverts.",
        examples=[1000],
    )
    dwell_ms: Delay = Field(
        description="Carbon steering changes its mind no more often.", examples=[60_000]
    )
    readback_tolerance_w: PositiveWatts = Field(
        description="Read-back and output may differ by this much, for rounding in the device.",
        examples=[50_000],
    )
    charge_efficiency: Efficiency = Field(
        description="AC to stored; the rest is booked as loss.", examples=[0.95]
    )
    discharge_efficiency: Efficiency = Field(
        description="Stored to AC; the rest is booked as loss.", examples=[0.95]
    )
    carbon_method: CarbonMethod = Field(
        default="weighted average",
        description="Which energy leaves first, and its carbon with it; fifo is first in, first "
        "out, for granular certificates.",
    )
    standby_w: Watts = Field(
        default=0.0, description="Lost of what is stored, at all times: self-discharge, cooling."
    )
    standby_carbon: StandbyCarbon = Field(
        default="concentrate",
        description="Carbon of what is lost while standing: it stays with what is left, or goes "
        "to the loss account.",
    )
    full_soc_ratio: Ratio | None = Field(
        default=None,
        description="At or above it the books take over what the BMS says is stored.",
        examples=[0.9],
    )
    empty_soc_ratio: Ratio | None = Field(
        default=None,
        description="At or under it the same, and what carbon is left goes to the loss account.",
        examples=[0.05],
    )
    accuracy_class: AccuracyClass = None
    ct_class: TransformerClass = None


class FlexibleSection(Section):
    """[flexible]: load that can wait."""

    command: Tag = Field(description="Where the request goes.", examples=["FLEX-01.defer_request"])
    available: Tag = Field(
        description="What could be deferred now.", examples=["FLEX-01.deferrable_power"]
    )
    deferred: Tag = Field(description="What is deferred now.", examples=["FLEX-01.deferred_power"])
    it_floor_w: Watts = Field(
        description="IT power below which nothing is shed.", examples=[30_000_000]
    )
    deadband_w: Watts = Field(description="Smaller changes are not written.", examples=[50_000])
    release_w_per_s: PositiveWatts = Field(
        description="Deferred load comes back no faster, or it would overshoot the cap.",
        examples=[200_000],
    )
    refresh_ms: Milliseconds = Field(
        description="The request is written again at least this often.", examples=[5000]
    )
    hold_ms: Delay = Field(
        description="Nothing is released for so long after more was asked.", examples=[10_000]
    )
    tiers_ratio: Annotated[list[Ratio], Field(min_length=1, max_length=4)] = Field(
        default=[1.0],
        description="What each tier of shedding asks, of all that can be deferred; rising.",
        examples=[[0.3, 0.6, 1.0]],
    )


class OpenRequestSection(Section):
    """[open_request]: where the request to open the breakers goes."""

    command: Tag = Field(
        description="The output that asks the hard-wired breaker control to open.",
        examples=["IO-01.open_request"],
    )


class LocalResetSection(Section):
    """[local_reset]: the push-button at the cabinet."""

    tag: Tag = Field(
        description="What latches with reset = local is cleared by this input only.",
        examples=["IO-01.reset_button"],
    )


class RequiredSetting(Section):
    """[[grid_code.required]]: what the grid operator prescribes in place of a default."""

    setting: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,31}$")] = Field(
        description="The name it has in the grid code.", examples=["UV1"]
    )
    value: Annotated[float, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Threshold or value, per unit, Hz or s; the default when absent."
    )
    time_s: Annotated[float, Field(ge=0, le=86_400)] | None = Field(
        default=None, description="Time of a trip; the default when absent."
    )


class GridCodeSection(Section):
    """[grid_code]: what the inverters shall be set to; edgectl compares and never sets."""

    standard: Text = Field(
        description="The grid code: a shipped one, or a path ending in .toml beside this file.",
        examples=["ieee-1547-2018"],
    )
    category: Text = Field(
        description="Abnormal operating performance category that the grid operator asks for.",
        examples=["III"],
    )
    devices: list[Id] = Field(
        default=[],
        description="The inverters to audit; those of every battery and PV block when absent.",
    )
    required: list[RequiredSetting] = Field(
        default=[], description="What the grid operator prescribes in place of defaults."
    )


class MqttSection(Section):
    """[mqtt]: where services publish."""

    host: Text = Field(default="127.0.0.1", description="The broker's name or address.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=1883, description="The broker's port."
    )
    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        default="edge-1", description="Names this controller in topics; no '/', '+' or '#'."
    )


class SiteFile(Section):
    """A whole site file."""

    schema_: Literal["edgectl.site/1"] = Field(
        alias="schema",
        description="The form of the file has a version of its own.",
        examples=["edgectl.site/1"],
    )
    site: SiteSection = Field(description="What and where the site is.")
    scan: ScanSection = Field(description="The controller's cadence.")
    journal: JournalSection = Field(
        default_factory=JournalSection, description="How long services may be away."
    )
    blackbox: BlackboxSection = Field(
        default_factory=BlackboxSection, description="What is frozen for every trip."
    )
    controller: ControllerSection = Field(
        default_factory=ControllerSection, description="Start behaviour."
    )
    grid: GridSection = Field(description="The grid connection and its limits.")
    carbon: CarbonSection = Field(description="Carbon intensities.")
    metering: MeteringSection = Field(
        default_factory=MeteringSection, description="What a lost meter counts as."
    )
    line: list[LineEntry] = Field(default=[], description="Serial lines.")
    device: list[DeviceEntry] = Field(min_length=1, description="What stands on the bus.")
    load: list[LoadEntry] = Field(min_length=1, description="The metered loads.")
    pv: list[PvEntry] = Field(default=[], description="PV blocks.")
    battery: list[BatteryEntry] = Field(default=[], description="Storage assets.")
    generator: list[GeneratorEntry] = Field(default=[], description="Generating sets.")
    bus: list[BusEntry] = Field(default=[], description="The site's busbars, a tree.")
    feeder: list[FeederEntry] = Field(
        default=[], description="Metered lines between buses; they may close rings."
    )
    flexible: FlexibleSection | None = Field(default=None, description="Load that can wait.")
    open_request: OpenRequestSection | None = Field(
        default=None, description="Where the request to open the breakers goes."
    )
    local_reset: LocalResetSection | None = Field(
        default=None, description="The push-button at the cabinet."
    )
    monitor: list[MonitorEntry] = Field(
        default=[], description="Quantities made of points, for the interlocks."
    )
    heartbeat: list[HeartbeatEntry] = Field(
        default=[], description="Counters that devices watch us by."
    )
    grid_code: GridCodeSection | None = Field(
        default=None, description="What the inverters shall be set to."
    )
    interlock: list[InterlockEntry] = Field(
        min_length=1, description="A controller without interlocks is not run."
    )
    mqtt: MqttSection = Field(default_factory=MqttSection, description="Where services publish.")
    ledger: LedgerSection = Field(
        default_factory=LedgerSection, description="Who signs the ledger, and who keeps it."
    )
    tenant: list[TenantEntry] = Field(default=[], description="Whose loads are booked apart.")
