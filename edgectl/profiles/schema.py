"""The form of a profile file, as pydantic models; descriptions double as error reasons."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Address = Annotated[int, Field(ge=0, le=0xFFFF)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]
Milliseconds = Annotated[int, Field(ge=1, le=86_400_000)]
Table = Literal["holding", "input", "discrete", "coil"]
TypeName = Literal["u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "bit"]
Sign = Literal["import_positive", "export_positive"]
Rational = str | int | float


class Section(BaseModel):
    """A table of the file: unknown keys refused, no number read from a text."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class DeviceSection(Section):
    """What the device is, and how far this file has been proved."""

    class_: Literal["meter", "inverter", "storage", "battery", "ups", "io", "flexible"] = Field(
        alias="class",
        description="The class says what a site may use the device for.",
        examples=["meter"],
    )
    vendor: Text = Field(description="Two vendors' maps look alike and mean different things.")
    models: list[Text] = Field(
        min_length=1, description="A map holds for named models, never for a family by hope."
    )
    source: Text = Field(
        description="A register map without its source cannot be checked by anyone.",
        examples=["EM-340 Modbus map, rev 4, May 2023, tables 3 and 7"],
    )
    verified: Literal["synthetic", "paper", "bench", "site"] = Field(
        description="The operator must know whether anyone has seen this map answer.",
        examples=["paper"],
    )
    firmware_note: Text | None = Field(
        default=None,
        description="What is known of versions where no range is, or why there are none.",
    )
    identity_none: Text | None = Field(
        default=None, description="Without identity the file must say why, and may write nothing."
    )


class ModbusSection(Section):
    """How to talk to it."""

    word_order: Literal["high_first", "low_first"] = Field(
        description="The wrong word order turns -221 W into -14 418 kW.", examples=["high_first"]
    )
    timeout_ms: Milliseconds = Field(
        description="A request without reply is given up after it; its link waits so long, no "
        "other does.",
        examples=[60],
    )
    reply_ms: Milliseconds | None = Field(
        default=None,
        description="The slowest reply of a healthy device; the schedule counts with it, with the "
        "timeout when left out.",
        examples=[20],
    )
    connect_timeout_ms: Milliseconds = Field(
        default=1000, description="Connecting may take longer than a scan; it blocks no one else."
    )
    connect_settle_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        default=0, description="Some devices answer nonsense right after connect."
    )
    gap_ms: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0, description="Some gateways need a pause between reply and next request."
    )
    timeouts_to_close: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="So many timeouts in a row mean that the connection is dead."
    )
    max_outstanding: Annotated[int, Field(ge=1, le=8)] = Field(
        default=1,
        description="Requests the device takes at once on a connection of its own; more than 1 "
        "only where its maker says so, or `edgectl probe` has shown it.",
    )
    unit_echo: Literal["exact", "any"] = Field(
        default="exact", description="Some gateways answer with a unit id that is not the asked."
    )
    max_registers: Annotated[int, Field(ge=1, le=125)] = Field(
        description="One request reads at most 125 registers (MAP 6.3); many devices take less.",
        examples=[125],
    )
    gaps: Literal["legal", "illegal"] = Field(
        description="Whether a read may run across registers that the map does not name.",
        examples=["illegal"],
    )
    units: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        min_length=1, description="Unit ids at which the device answers.", examples=["[1]"]
    )


class FirmwareSection(Section):
    """Where the device shows its firmware version, and for which versions this map holds."""

    table: Literal["holding", "input"] = Field(
        description="The version is read from registers.", examples=["holding"]
    )
    address: Address = Field(description="Address on the wire, from 0.")
    count: Annotated[int, Field(ge=1, le=10)] = Field(
        description="Registers that hold the version.", examples=[1]
    )
    decode: Literal["words", "bytes", "nibbles", "text"] = Field(
        description="How the registers make a version: one part a register or a byte, "
        "x.y.zz in half bytes and a byte, or the numbers in a text.",
        examples=["nibbles"],
    )
    ranges: list[Annotated[list[Text], Field(min_length=2, max_length=2)]] = Field(
        min_length=1,
        description="From and up to, without the latter. Outside of them the device is read and "
        "never written: makers move registers between versions.",
        examples=['[["1.3", "2"]]'],
    )
    source: Text = Field(description="A version nobody can look up excludes nothing.")


class IdentitySection(Section):
    """One read that must agree before anything is written to the device."""

    table: Literal["holding", "input"] = Field(
        description="Identity is read from registers.", examples=["holding"]
    )
    address: Address = Field(description="Address on the wire, from 0.")
    count: Annotated[int, Field(ge=1, le=10)] | None = Field(
        default=None, description="Registers to read; at most PROBE_WORDS_MAX, 10."
    )
    equals: list[list[Word]] | None = Field(
        default=None, description="The words that say it is this device; one list an alternative."
    )
    mask: list[Word] | None = Field(
        default=None, description="Bits of each word that must agree; all when left out."
    )
    text: Text | None = Field(
        default=None,
        description="The text that the registers must start with, two characters each.",
    )
    source: Text = Field(description="A register map without its source cannot be checked.")


class PointSection(Section):
    """One value of the device."""

    name: Name = Field(description="The site joins it to the device: MTR-01.active_power.")
    table: Table = Field(
        default="holding", description="Holding and input registers are two address spaces."
    )
    address: Address = Field(description="Address on the wire, from 0.", examples=[12])
    printed: str | None = Field(default=None, description="The number as the manual prints it.")
    type: TypeName = Field(description="How the registers are to be read.", examples=["s32"])
    bit: Annotated[int, Field(ge=0, le=15)] = Field(
        default=0, description="Bit of the register, 0 the lowest; for type bit."
    )
    unit: str = Field(
        description="A number whose unit is not known protects nothing.", examples=["W"]
    )
    scale: Rational = Field(default=1, description="value = raw * scale, in `unit`.")
    sign: Sign = Field(
        default="import_positive", description="Import and charge are positive everywhere inside."
    )
    sentinel: Annotated[int, Field(ge=0, le=2**64 - 1)] | None = Field(
        default=None, description="The raw words by which the device says: no such value."
    )
    scale_factor: Address | None = Field(
        default=None, description="SunSpec: address of the register with the power of ten."
    )
    valid: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        description="Outside this range the value is bad and no interlock may trust it.",
        examples=["[-1e6, 1e6]"],
    )
    slew_max_per_s: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Faster changes are not physical: quality bad, reason slew."
    )
    stale_after_ms: Milliseconds = Field(
        default=500, description="An old value is not a measurement of now."
    )
    frozen_after_ms: Milliseconds | None = Field(
        default=None, description="Raw words identical for so long on a quantity that must move."
    )
    every_scans: Annotated[int, Field(ge=1, le=36_000)] = Field(
        default=1, description="Read at every n-th scan."
    )
    modulus: Annotated[int, Field(ge=2, le=2**63)] | None = Field(
        default=None,
        description="Of a counter: the raw value that would follow its highest, where it shows 0 "
        "again; 1000000000 after 999999999. An integer rolls over at its width without it, a "
        "float never.",
    )
    modulus_source: Text | None = Field(
        default=None, description="Where the maker says so; a guess would invent energy."
    )
    source: Text | None = Field(
        default=None, description="Where this register is documented, when not as the device."
    )


class CommandSection(Section):
    """One thing that may be written."""

    name: Name = Field(description="The site joins it to the device: PCS-01.active_power_setpoint.")
    function: Literal[5, 6, 15, 16] = Field(
        description="One coil, one register, coils or registers (MAP 6.5, 6.6, 6.11, 6.12).",
        examples=[16],
    )
    address: Address = Field(description="Address on the wire, from 0.")
    layout: list[Text] = Field(
        min_length=1,
        description="What is written, in order: constants and exactly one value.",
        examples=['["u16:1", "s32:value"]'],
    )
    unit: str = Field(description="Unit of the value before scaling to raw.", examples=["W"])
    scale: Rational = Field(default=1, description="raw = value / scale.")
    sign: Sign = Field(
        default="import_positive", description="Import and charge are positive everywhere inside."
    )
    scale_factor: Name | None = Field(
        default=None, description="SunSpec: the point that holds the power of ten."
    )
    valid: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        description="No value outside this range is ever written.", examples=["[-1e6, 1e6]"]
    )
    readback: Text = Field(
        description="A write that cannot be read back is a hope; say which point shows it, or why "
        "none can.",
        examples=["active_power_setpoint_readback"],
    )
    refresh_ms: Milliseconds = Field(
        description="The output is written again at least this often.", examples=[1000]
    )
    revert_ms: Milliseconds | None = Field(
        default=None, description="The device falls back on its own after so long in silence."
    )
    effect_ms: Milliseconds = Field(
        default=2000, description="The whole effect shows at a meter within this time."
    )
    source: Text | None = Field(
        default=None, description="Where this register is documented, when not as the device."
    )


class ProfileFile(Section):
    """A whole profile file."""

    schema_: Literal["edgectl.profile/1"] = Field(
        alias="schema",
        description="The form of the file has a version of its own.",
        examples=["edgectl.profile/1"],
    )
    device: DeviceSection = Field(description="What the device is.")
    modbus: ModbusSection = Field(description="How to talk to it.")
    identity: list[IdentitySection] = Field(default=[], description="How to know it.")
    firmware: FirmwareSection | None = Field(
        default=None, description="For which firmware the map holds."
    )
    point: list[PointSection] = Field(min_length=1, description="What it measures.")
    command: list[CommandSection] = Field(default=[], description="What may be written.")
