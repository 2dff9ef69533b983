"""The form of a site file, as pydantic models; descriptions double as error reasons."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgectl.profiles.schema import Section, Text

Id = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9-]{0,31}$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9-]{0,31}\.[a-z][a-z0-9_]{0,47}$")]
Watts = Annotated[float, Field(ge=0, le=1e10)]
PositiveWatts = Annotated[float, Field(gt=0, le=1e10)]
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
Delay = Annotated[int, Field(ge=0, le=86_400_000)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Efficiency = Annotated[float, Field(gt=0, le=1)]
Intensity = Annotated[float, Field(ge=0, le=5000)]


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
        description="Every trip takes at most two periods; every device must answer within one.",
        examples=[100],
    )
    read_lead_ms: Annotated[int, Field(ge=1)] = Field(
        description="The bus starts reading this long before each scan, so its data is fresh.",
        examples=[60],
    )
    overruns_to_safe: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="So many overrunning scans in a row lead to the safe state."
    )


class JournalSection(Section):
    """[journal]: how long services may be away."""

    minutes: Annotated[int, Field(ge=10, le=1440)] = Field(
        default=12,
        description="Records kept in shared memory; services that are away longer lose some.",
        examples=[12],
    )


class ControllerSection(Section):
    """[controller]: start behaviour."""

    arm: Literal["auto", "operator"] = Field(
        default="operator",
        description="Who allows the first write after start: nobody has to, or an operator.",
        examples=["operator"],
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


class CarbonSection(Section):
    """[carbon]: intensities of the location average."""

    basis: Literal["direct, location average", "lifecycle, location average"] = Field(
        description="Direct and lifecycle figures differ by half; they must not be mixed.",
        examples=["direct, location average"],
    )
    default_g_per_kwh: Intensity = Field(
        description="Used and flagged when the feed is lost; the zone's higher default.",
        examples=[480.0],
    )
    high_g_per_kwh: Intensity = Field(
        description="Above it the battery discharges.", examples=[400.0]
    )
    low_g_per_kwh: Intensity = Field(description="Under it the battery charges.", examples=[300.0])
    deadband_g_per_kwh: Intensity = Field(
        default=10.0, description="Keeps steering from flapping around a threshold."
    )
    pv_g_per_kwh: Intensity = Field(
        description="Carbon of the site's own PV, on the same basis.", examples=[0.0]
    )
    initial_stock_g_per_kwh: Intensity = Field(
        description="Carbon of what is in the batteries at first start.", examples=[480.0]
    )


class MeteringSection(Section):
    """[metering]: what a lost meter counts as."""

    hold_ms: Delay = Field(
        default=2000,
        description="The last good power is held so long, then the worst credible one counts.",
    )
    gap_max_ms: Milliseconds = Field(
        default=1000, description="A longer step between scans is booked as substituted."
    )


class DeviceEntry(Section):
    """[[device]]: one unit id at one address."""

    id: Id = Field(description="Tags start with it: GRID-01.active_power.", examples=["GRID-01"])
    profile: Text = Field(
        description="The register map; a shipped one, or a path ending in .toml beside this file.",
        examples=["meter/abb-b23"],
    )
    host: Text = Field(
        description="An IPv4 address: no name is looked up while the plant is running.",
        examples=["192.168.10.21"],
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        description="TCP port; 502 is Modbus's own.", examples=[502]
    )
    unit: Annotated[int, Field(ge=0, le=255)] = Field(
        description="Unit id behind the address.", examples=[1]
    )
    counted: bool = Field(
        default=True, description="Whether it counts in the figures of scan health."
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


class MqttSection(Section):
    """[mqtt]: where services publish."""

    host: Text = Field(default="127.0.0.1", description="The broker's name or address.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=1883, description="The broker's port."
    )
    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(
        default="edge-1", description="Names this controller in topics; no '/', '+' or '#'."
    )


class LockoutEntry(Section):
    """lockout: a row that trips again and again asks for a person."""

    trips: Annotated[int, Field(ge=2, le=1000)] = Field(
        description="So many trips within the window turn auto into operator.", examples=[3]
    )
    window_s: Annotated[int, Field(ge=1, le=604_800)] = Field(
        description="The window in which they are counted.", examples=[3600]
    )


class CauseEntry(Section):
    """cause: a tag and one condition; the condition's keys carry the tag's unit."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)

    tag: Tag = Field(
        description="What the interlock looks at.", examples=["BMS-01.cell_temperature_max"]
    )
    equals: Annotated[int, Field(strict=True)] | None = Field(
        default=None, description="True while the state is this number."
    )
    not_equals: Annotated[int, Field(strict=True)] | None = Field(
        default=None, description="True while the state is another number."
    )
    limit: Literal[True] | None = Field(
        default=None, description="Clamps the asset to the tag's value."
    )
    bad: Literal[True] | None = Field(default=None, description="True while the quality is bad.")

    @property
    def thresholds(self) -> dict[str, Any]:
        """Keys that carry a unit, above_w and the like, as written."""
        return dict(self.model_extra or {})


class EffectEntry(Section):
    """effect: what is done, and to which asset."""

    action: str = Field(
        description="What the interlock does when it trips.", examples=["inhibit_charge"]
    )
    asset: str | None = Field(
        default=None, description="The battery it acts on; all of them when left out."
    )


class InterlockEntry(Section):
    """[[interlock]]: one row of the cause-and-effect table."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$")] = Field(
        description="Alarms, reports and resets name the row by it.", examples=["IL-BESS-003"]
    )
    title: Text = Field(
        description="What an operator reads at three in the morning.",
        examples=["Stop charging before import reaches the main fuse"],
    )
    group: Text = Field(description="First-out is recorded per group.", examples=["BESS-01"])
    priority: Literal["low", "medium", "high", "critical"] = Field(
        description="The alarm's priority (ISA-18.2).", examples=["high"]
    )
    on_bad_quality: Literal["trip", "hold"] = Field(
        description="There is no default: a wrong guess either stops the plant or hides a danger.",
        examples=["trip"],
    )
    vote: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*oo[1-9][0-9]*$")] | None = Field(
        default=None, description="MooN: M of the N causes must be true.", examples=["2oo3"]
    )
    on_delay_ms: Delay = Field(
        description="The cause must hold so long before it trips.", examples=[0]
    )
    off_delay_ms: Delay = Field(
        description="The cause must be gone so long before it clears.", examples=[0]
    )
    reset: Literal["auto", "operator", "local", "restart"] = Field(
        description="Who may clear the latch.", examples=["operator"]
    )
    lockout: LockoutEntry | None = Field(
        default=None, description="How often an auto row may trip before a person must look."
    )
    bypass: Literal["never", "authorised"] = Field(
        description="Whether an authorised person may bypass the row for a limited time.",
        examples=["never"],
    )
    cause: CauseEntry | None = Field(default=None, description="What the row looks at.")
    causes: list[CauseEntry] | None = Field(
        default=None, min_length=1, description="Several causes, with a vote."
    )
    effect: EffectEntry | None = Field(default=None, description="What the row does.")
    effects: list[EffectEntry] | None = Field(
        default=None, min_length=1, description="Several effects."
    )
    why: Text = Field(
        description="A threshold nobody can explain is the one somebody will change.",
        examples=["Main fuse 1250 A. 780 kW leaves 10 % for inrush: calc note EC-014."],
    )
    proof_test: Text = Field(
        description="An interlock that was never made to trip is a hope.", examples=["FAT-07"]
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
    controller: ControllerSection = Field(
        default_factory=ControllerSection, description="Start behaviour."
    )
    grid: GridSection = Field(description="The grid connection and its limits.")
    carbon: CarbonSection = Field(description="Carbon intensities.")
    metering: MeteringSection = Field(
        default_factory=MeteringSection, description="What a lost meter counts as."
    )
    device: list[DeviceEntry] = Field(min_length=1, description="What stands on the bus.")
    load: list[LoadEntry] = Field(min_length=1, description="The metered loads.")
    pv: list[PvEntry] = Field(default=[], description="PV blocks.")
    battery: list[BatteryEntry] = Field(default=[], description="Storage assets.")
    flexible: FlexibleSection | None = Field(default=None, description="Load that can wait.")
    open_request: OpenRequestSection | None = Field(
        default=None, description="Where the request to open the breakers goes."
    )
    local_reset: LocalResetSection | None = Field(
        default=None, description="The push-button at the cabinet."
    )
    interlock: list[InterlockEntry] = Field(
        min_length=1, description="A controller without interlocks is not run."
    )
    mqtt: MqttSection = Field(default_factory=MqttSection, description="Where services publish.")
