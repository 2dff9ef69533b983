"""Every shipped profile from bytes to values, against an encoder that is not ours.

pymodbus lays out words and frames; units, scales and signs are worked out here from the file's own
text, in fractions. What is tested is our way: profile, compiled rows, framing, decoding. A new
file under firmware_profiles is tested without a new test.
"""

import math
import tomllib
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from profile_rig import one_device
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
)
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
)

from edgectl._kernel.modbus import FrameStatus, ModbusStatus, check, encode, frame
from edgectl._kernel.process_image import decode
from edgectl._kernel.quality import Quality, Reason
from edgectl.profiles import Profile, load_profile, profile_names, profiles_root
from edgectl.site_model.tables_bus import Bus, bus_arrays

TRANSACTION = 0x4321
TYPES = {
    "u16": ModbusClientMixin.DATATYPE.UINT16,
    "s16": ModbusClientMixin.DATATYPE.INT16,
    "u32": ModbusClientMixin.DATATYPE.UINT32,
    "s32": ModbusClientMixin.DATATYPE.INT32,
    "u64": ModbusClientMixin.DATATYPE.UINT64,
    "s64": ModbusClientMixin.DATATYPE.INT64,
    "f32": ModbusClientMixin.DATATYPE.FLOAT32,
    "f64": ModbusClientMixin.DATATYPE.FLOAT64,
}
REQUESTS: dict[int, Any] = {
    1: ReadCoilsRequest, 2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest, 4: ReadInputRegistersRequest,
}  # fmt: skip
REPLIES: dict[int, Any] = {
    1: ReadCoilsResponse, 2: ReadDiscreteInputsResponse,
    3: ReadHoldingRegistersResponse, 4: ReadInputRegistersResponse,
}  # fmt: skip
TABLES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
TO_SI = {
    "kW": 1000, "kVA": 1000, "kvar": 1000, "mV": Fraction(1, 1000), "%": Fraction(1, 100),
    "Wh": 3600, "kWh": 3_600_000, "ms": Fraction(1, 1000),
}  # fmt: skip
EXPONENT = -1  # that every SunSpec scale factor has here

Registers = dict[tuple[int, int], int]  # (function, address) to a word, or to a bit


@cache
def text_of(name: str) -> dict[str, Any]:
    """The file as TOML has it, past all of our own code."""
    return tomllib.loads(profiles_root().joinpath(f"{name}.toml").read_text(encoding="utf-8"))


@cache
def rows_of(name: str) -> Bus:
    """The profile's tables as a site with this one device would have them."""
    return bus_arrays(one_device(name))


@pytest.fixture(params=profile_names())
def profile(request: pytest.FixtureRequest) -> Profile:
    return load_profile(request.param)


def laid_out(kind: str, raw: Any, low_first: bool) -> list[int]:
    """The registers of a raw number, as pymodbus lays them out."""
    order: Any = "little" if low_first else "big"
    return ModbusClientMixin.convert_to_registers(raw, TYPES[kind], word_order=order)


def raw_limits(kind: str) -> tuple[int, int]:
    bits = 16 * TYPES[kind].value[1]
    return (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def in_si(row: dict[str, Any], raw: float | Fraction) -> float:
    """What a raw number means, from the file's text alone."""
    value = Fraction(raw) * Fraction(str(row.get("scale", 1)))
    if "scale_factor" in row:
        value *= Fraction(10) ** EXPONENT
    value *= TO_SI.get(row["unit"], 1)
    if row["unit"] == "degC":
        value += Fraction("273.15")
    return float(-value if row.get("sign") == "export_positive" else value)


def sensible_raw(row: dict[str, Any]) -> Any:
    """A raw number whose value lies well inside the point's valid range."""
    low, high = (Fraction(str(edge)) for edge in row["valid"])
    wanted = low + (high - low) * Fraction(37, 100)
    wanted = -wanted if row.get("sign") == "export_positive" else wanted
    raw = wanted / Fraction(str(row.get("scale", 1)))
    raw /= Fraction(10) ** EXPONENT if "scale_factor" in row else 1
    if row["type"] in ("f32", "f64"):
        return float(np.float32(float(raw))) if row["type"] == "f32" else float(raw)
    floor, ceiling = raw_limits(row["type"])
    return max(floor + 1, min(ceiling - 1, round(raw)))


def put(registers: Registers, row: dict[str, Any], words: list[int]) -> None:
    for at, word in enumerate(words):
        registers[TABLES[row["table"]], row["address"] + at] = word


def plausible(name: str) -> tuple[Registers, dict[str, float]]:
    """Registers of a device in good health, and the value of each point in SI."""
    file, registers, values = text_of(name), {}, {}
    low_first = file["modbus"]["word_order"] == "low_first"
    rows = file["point"]
    factors = {(row["table"], row["scale_factor"]) for row in rows if "scale_factor" in row}
    for table, address in factors:
        registers[TABLES[table], address] = laid_out("s16", EXPONENT, False)[0]
    for row in rows:
        place = TABLES[row["table"]], row["address"]
        if row["type"] == "bit":
            registers[place] = registers.get(place, 0) | 1 << row.get("bit", 0)
            values[row["name"]] = 1.0
        elif (row["table"], row["address"]) in factors:
            values[row["name"]] = in_si(row, EXPONENT)
        else:
            raw = sensible_raw(row)
            put(registers, row, laid_out(row["type"], raw, low_first))
            values[row["name"]] = in_si(row, raw)
    return registers, values


def exchange(function: int, address: int, count: int, registers: Registers) -> list[int]:
    """One request and its reply as pymodbus frames them, through our encode and check."""
    words = [registers.get((function, address + at), 0) for at in range(count)]
    framer = FramerSocket(DecodePDU(False))
    place = {"address": address, "count": count, "dev_id": 1, "transaction_id": TRANSACTION}
    asked = framer.buildFrame(REQUESTS[function](**place))
    content: Any = (
        {"registers": words} if function >= 3 else {"bits": [word == 1 for word in words]}
    )
    reply = framer.buildFrame(REPLIES[function](dev_id=1, transaction_id=TRANSACTION, **content))
    fields = {
        "transaction": TRANSACTION, "unit": 1, "function": function, "address": address,
        "count": count,
    }  # fmt: skip
    assert encode(fields).hex() == asked.hex()
    assert frame(reply) == (FrameStatus.FRAME_WHOLE, len(reply))
    status, received, exception = check(reply, fields)
    assert (status, exception) == (ModbusStatus.MODBUS_OK, 0)
    assert received == words
    return received


def read(
    name: str, registers: Registers, *, judged: bool = True
) -> dict[str, tuple[float, int, int, int]]:
    """Every point of a profile, by its read plan, as the kernel decodes it.

    judged  against the valid ranges; without them every finite value is good
    """
    bus, found = rows_of(name), {}
    points = bus.points.copy()
    if not judged:
        points["limits"]["valid_min"], points["limits"]["valid_max"] = -math.inf, math.inf
    for block, row in zip(load_profile(name).blocks, bus.blocks, strict=True):
        words = exchange(block.function, block.address, block.count, registers)
        first = int(row["first_point"])
        decoded = decode(points[first : first + len(block.points)], words, 1)
        found |= {point.name: each for point, each in zip(block.points, decoded, strict=True)}
    return found


def test_bytes_of_a_healthy_device_become_the_values_of_its_map(profile: Profile) -> None:
    registers, values = plausible(profile.name)
    found = read(profile.name, registers)
    assert set(found) == set(values)
    for name, wanted in values.items():
        value, quality, reason, _ = found[name]
        assert value == pytest.approx(wanted, rel=1e-9, abs=1e-12), name
        assert (quality, reason) == (Quality.QUALITY_GOOD, Reason.REASON_NONE), name


def test_what_the_device_does_not_have_is_never_a_value(profile: Profile) -> None:
    """Each sentinel alone among healthy neighbours; every float as NaN."""
    file = text_of(profile.name)
    low_first = file["modbus"]["word_order"] == "low_first"
    for row in file["point"]:
        registers, _ = plausible(profile.name)
        if "sentinel" in row:
            put(registers, row, laid_out("u" + row["type"][1:], row["sentinel"], low_first))
            wanted = Reason.REASON_NOT_IMPLEMENTED
        elif row["type"] in ("f32", "f64"):
            put(registers, row, laid_out(row["type"], math.nan, low_first))
            wanted = Reason.REASON_NOT_FINITE
        else:
            continue
        factor = any(each.get("scale_factor") == row["address"] for each in file["point"])
        for name, (_, quality, reason, _) in read(profile.name, registers).items():
            here = name == row["name"]
            assert (reason == wanted) == here, name
            lost = here or (factor and reason == Reason.REASON_CONFIGURATION)
            assert (quality == Quality.QUALITY_BAD) == lost, name


@pytest.mark.parametrize("edge", [0, 1], ids=["lowest", "highest"])
def test_the_extremes_of_each_type_are_decoded_and_judged(profile: Profile, edge: int) -> None:
    file = text_of(profile.name)
    low_first = file["modbus"]["word_order"] == "low_first"
    factors = {row.get("scale_factor") for row in file["point"]} - {None}
    registers, raws = plausible(profile.name)[0], {}
    for row in file["point"]:
        if row["type"] == "bit" or row["address"] in factors:
            continue
        if row["type"] == "f32":
            raw: Any = float((np.finfo(np.float32).min, np.finfo(np.float32).max)[edge])
        elif row["type"] == "f64":
            raw = (-1e300, 1e300)[edge]  # its SI value still fits a double
        else:
            raw = raw_limits(row["type"])[edge]
            if row.get("sentinel") == raw % 2 ** (16 * TYPES[row["type"]].value[1]):
                raw += (1, -1)[edge]
        put(registers, row, laid_out(row["type"], raw, low_first))
        raws[row["name"]] = (row, raw)
    decoded = read(profile.name, registers, judged=False)
    judged = read(profile.name, registers)
    for name, (row, raw) in raws.items():
        wanted, point = in_si(row, raw), profile.point(name)
        assert decoded[name][0] == pytest.approx(wanted, rel=1e-9), name
        inside = point.valid_min <= decoded[name][0] <= point.valid_max
        reason = Reason.REASON_NONE if inside else Reason.REASON_OUT_OF_RANGE
        assert judged[name][2] == reason, name


def accepts(name: str, registers: Registers) -> bool:
    """Whether a device with these registers proves to be what the profile says."""
    for row in rows_of(name).probes:
        count, function, address = int(row["count"]), int(row["function"]), int(row["address"])
        words = exchange(function, address, count, registers)
        mask = [int(word) for word in row["mask"][:count]]
        alternatives = row["words"][: int(row["alternatives"]), :count].tolist()
        seen = [word & bits for word, bits in zip(words, mask, strict=True)]
        if not any(
            seen == [word & bits for word, bits in zip(each, mask, strict=True)]
            for each in alternatives
        ):
            return False
    return True


def itself(name: str) -> Registers:
    """The registers by which a device of this profile says what it is, from the file's text."""
    registers: Registers = {}
    for row in text_of(name).get("identity", []):
        words = row.get("equals", [[]])[-1]
        if "text" in row:
            words = ModbusClientMixin.convert_to_registers(
                row["text"], ModbusClientMixin.DATATYPE.STRING
            )
        put(registers, row, words)
    return registers


def test_a_device_proves_itself_and_no_other_of_the_shipped_profiles(profile: Profile) -> None:
    registers = itself(profile.name)
    assert accepts(profile.name, registers)
    if not profile.probes:
        assert profile.identity_none
        return
    for other in profile_names():
        if other != profile.name and load_profile(other).probes:
            assert not accepts(other, registers), f"{other} would accept a {profile.name}"


def test_a_silent_or_blank_device_proves_nothing(profile: Profile) -> None:
    if profile.probes:
        assert not accepts(profile.name, {})


# ---- one name, two maps


def test_the_em24_on_rs485_is_refused_by_the_profile_of_the_ethernet_version() -> None:
    """Read with the wrong map its import total would be the import of phase 2."""
    serial, ethernet = "meter/carlo-gavazzi-em24-rs485", "meter/carlo-gavazzi-em24-ethernet"
    assert load_profile(serial).point("energy_import").address == 0x42
    assert load_profile(ethernet).point("energy_import").address == 0x34
    assert load_profile(ethernet).point("energy_import_l2").address == 0x42

    registers = plausible(ethernet)[0] | itself(ethernet)
    right, wrong = read(ethernet, registers), read(serial, registers)
    assert wrong["energy_import"][0] == right["energy_import_l2"][0]
    assert wrong["energy_import"][1] == Quality.QUALITY_GOOD, "nothing about the value is odd"

    assert accepts(ethernet, registers)
    assert not accepts(ethernet, plausible(serial)[0]), "without the model code it is refused"
    assert "model code" in load_profile(serial).identity_none
    assert not load_profile(serial).commands


def test_the_em24_without_its_whole_map_is_refused() -> None:
    name = "meter/carlo-gavazzi-em24-ethernet"
    for application in range(7):
        assert not accepts(name, itself(name) | {(3, 0xA000): application})


@pytest.mark.parametrize("code", [1647, 1654, 0, 0xFFFF])
def test_another_model_code_than_the_em24s_is_refused(code: int) -> None:
    name = "meter/carlo-gavazzi-em24-ethernet"
    assert not accepts(name, itself(name) | {(3, 0x000B): code})


def test_two_janitza_maps_differ_in_energy_alone_and_both_files_say_so() -> None:
    first, second = load_profile("meter/janitza-umg96rm-e"), load_profile("meter/janitza-umg806")
    moved = {"energy_import": (19068, 19062), "energy_export": (19076, 19070)}
    for point in first.points:
        here, there = moved.get(point.name, (point.address, point.address))
        assert (point.address, second.point(point.name).address) == (here, there)
    for each in (first, second):
        assert "cannot be told apart" in each.identity_none
        assert not each.probes
        assert not each.commands


def test_what_two_lieberts_mean_by_30437_is_shown_to_be_undecidable_from_the_value() -> None:
    apm, aps = load_profile("ups/vertiv-unity-apm"), load_profile("ups/liebert-aps")
    assert (
        apm.point("output_apparent_power").printed == aps.point("battery_time").printed == "30437"
    )
    assert apm.point("output_power").printed == aps.point("battery_voltage").printed == "30438"
    registers = {(4, 436): 120, (4, 437): 110}
    assert read(apm.name, registers)["output_apparent_power"][:2] == (120e3, Quality.QUALITY_GOOD)
    assert read(aps.name, registers)["battery_time"][:2] == (7200.0, Quality.QUALITY_GOOD)
    for each in (apm, aps):
        assert "no register known" in each.identity_none
        assert not each.commands


SOCOMEC = {
    "meter/socomec-countis-e23": (["COUNTIS E23", "Countis E28"], 10.0),
    "meter/socomec-countis-e34": (["COUNTIS E34", "countis e44"], 10.0),
    "meter/socomec-diris-a14": (["DIRIS A14", "Diris A14"], 10.0),
    "meter/socomec-diris-b30": (["DIRIS B30", "diris b30"], 1.0),
}


@pytest.mark.parametrize("name", SOCOMEC)
def test_one_family_with_one_identity_text_is_told_apart_by_the_product_name(name: str) -> None:
    """Watts in one map and tens of watts in the others; the name comes in capitals or not."""
    written, scale = SOCOMEC[name]
    assert load_profile(name).point("active_power").scale == scale
    for text in written:
        registers = {(3, 0xC350 + at): ord(letter) for at, letter in enumerate("SOCO")}
        registers[3, 0xC354] = 400  # Diris, and here the Countis as well: the name must do
        words = ModbusClientMixin.convert_to_registers(text, ModbusClientMixin.DATATYPE.STRING)
        registers |= {(3, 0xC38A + at): word for at, word in enumerate(words)}
        assert [each for each in SOCOMEC if accepts(each, registers)] == [name]


def test_fixed_point_of_the_apc_is_a_power_of_two_of_its_own_for_each_register() -> None:
    name = "ups/apc-smart-ups"
    registers = {
        (3, 130): 50 << 9,
        (3, 142): 230 << 6,
        (3, 144): 50 << 7,
        (3, 135): -5 << 7 & 0xFFFF,
    }
    found = read(name, registers)
    assert found["soc"][0] == 0.5
    assert found["output_voltage"][0] == 230.0
    assert found["output_frequency"][0] == 50.0
    assert found["battery_temperature"][0] == pytest.approx(268.15)


def test_the_sunny_island_setpoint_is_one_block_with_its_own_enable() -> None:
    profile = load_profile("storage/sma-sunny-island")
    command = profile.command("active_power_setpoint")
    assert (command.function, command.address, command.count) == (16, 40149, 6)
    assert command.template == (0, 0, 0, 802, 0, 0)
    assert (command.value_word, command.scale) == (0, -1.0), "we count charging as positive"
    assert command.readback is None
    assert "30775" in command.readback_none
    assert not accepts(profile.name, itself("inverter/sma-tripower")), "8001 is no battery"
