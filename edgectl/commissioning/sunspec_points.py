"""SunSpec models as points of a profile: what each is called here, its unit, sign and range."""

import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgectl.commissioning import models
from edgectl.commissioning.models import Field
from edgectl.commissioning.sunspec import Model

# The models that a profile is written for; the others of a chain stand in its comment.
INVERTERS = (101, 102, 103, 111, 112, 113)
METERS = (201, 202, 203, 204, 211, 212, 213, 214)
COVERED = (1, *INVERTERS, 120, 121, 122, 123, 124, 160, *METERS, 701, 702, 703, 704, 713, 714, 802)
REQUEST_WORDS_MAX = 125  # MAP 6.3
SF_MAX = 10  # SunSpec sunssf: -10 to 10
RATING_MARGIN = 1.5  # over the rating: an inrush is still a measurement
NAME_MAX = 48

UNITS = {
    "w": "W", "va": "VA", "var": "var", "a": "A", "v": "V", "hz": "Hz", "wh": "Wh", "c": "degC",
    "secs": "s", "pct": "%", "cos()": "ratio", "%": "%", "%whrtg": "%", "% ahrrtg": "%",
    "% wmax": "%", "% wchamax": "%", "% wdischamax": "%", "% varmax": "%", "% varaval": "%",
}  # fmt: skip

_INVERTER_NAMES = {
    "A": "current", "AphA": "current_l1", "AphB": "current_l2", "AphC": "current_l3",
    "PPVphAB": "voltage_l1_l2", "PPVphBC": "voltage_l2_l3", "PPVphCA": "voltage_l3_l1",
    "PhVphA": "voltage_l1", "PhVphB": "voltage_l2", "PhVphC": "voltage_l3", "W": "active_power",
    "Hz": "frequency", "VA": "apparent_power", "VAr": "reactive_power", "WH": "energy_export",
    "DCA": "dc_current", "DCV": "dc_voltage", "DCW": "dc_power", "TmpCab": "temperature_cabinet",
    "St": "status", "Evt1": "events",
}  # fmt: skip
_METER_NAMES = {
    "A": "current", "AphA": "current_l1", "AphB": "current_l2", "AphC": "current_l3",
    "PhV": "voltage_ln", "PhVphA": "voltage_l1", "PhVphB": "voltage_l2", "PhVphC": "voltage_l3",
    "PPV": "voltage_ll", "PhVphAB": "voltage_l1_l2", "PhVphBC": "voltage_l2_l3",
    "PhVphCA": "voltage_l3_l1", "Hz": "frequency", "W": "active_power",
    "WphA": "active_power_l1", "WphB": "active_power_l2", "WphC": "active_power_l3",
    "VA": "apparent_power", "VAR": "reactive_power", "TotWhExp": "energy_export",
    "TotWhImp": "energy_import", "Evt": "events",
}  # fmt: skip
NAMES: dict[int, dict[str, str]] = {
    **dict.fromkeys(INVERTERS, _INVERTER_NAMES),
    **dict.fromkeys(METERS, _METER_NAMES),
    124: {"WChaMax": "charge_power_max", "ChaState": "storage_soc", "ChaSt": "charge_status"},
    160: {"DCA": "dc_current", "DCV": "dc_voltage", "DCW": "dc_power", "DCWH": "dc_energy",
          "Tmp": "temperature", "DCSt": "status", "DCEvt": "events"},
    701: {"W": "active_power", "VA": "apparent_power", "Var": "reactive_power", "A": "current",
          "PF": "power_factor", "LLV": "voltage_ll", "LNV": "voltage_ln", "Hz": "frequency",
          "TotWhInj": "energy_export", "TotWhAbs": "energy_import", "InvSt": "inverter_state",
          "ConnSt": "connection_state", "Alrm": "alarms", "TmpCab": "cabinet_temperature",
          "WL1": "active_power_l1", "WL2": "active_power_l2", "WL3": "active_power_l3",
          "AL1": "current_l1", "AL2": "current_l2", "AL3": "current_l3",
          "VL1": "voltage_l1", "VL2": "voltage_l2", "VL3": "voltage_l3"},
    702: {"WMaxRtg": "power_rating", "WChaRteMaxRtg": "charge_limit",
          "WDisChaRteMaxRtg": "discharge_limit"},
    704: {"WSetEna": "setpoint_enabled", "WSet": "active_power_setpoint_readback",
          "WSetRvrtRem": "revert_remaining"},
    713: {"WHRtg": "energy_rating", "WHAvail": "energy_available", "SoC": "storage_soc",
          "SoH": "storage_soh", "Sta": "storage_status"},
    714: {"DCA": "dc_current", "DCV": "dc_voltage", "DCW": "dc_power",
          "DCWhInj": "dc_energy_export", "DCWhAbs": "dc_energy_import", "Tmp": "temperature"},
    802: {"SoC": "soc", "SoH": "soh", "LocRemCtl": "local_control", "Hb": "heartbeat",
          "State": "battery_state", "Evt1": "battery_events", "V": "dc_voltage",
          "A": "dc_current", "W": "dc_power", "AChaMax": "charge_current_limit",
          "ADisChaMax": "discharge_current_limit"},
}  # fmt: skip
FAST = {
    "active_power", "soc", "storage_soc", "active_power_setpoint_readback",
    "charge_current_limit", "discharge_current_limit",
}  # fmt: skip

# Generating and discharging are positive there, negative here. What a DC side counts as positive
# is the maker's own choice and is left as it is.
EXPORT_POSITIVE: dict[int, re.Pattern[str]] = {
    **dict.fromkeys(INVERTERS, re.compile(r"W$")),
    701: re.compile(r"(W|Var|A)(L[123])?$"),
    704: re.compile(r"(WSet|VarSet)(Pct)?(Rvrt)?$"),
}
RATINGS: dict[str, dict[int, tuple[str, ...]]] = {
    "W": {120: ("WRtg",), 121: ("WMax",), 124: ("WChaMax",),
          702: ("WMaxRtg", "WChaRteMaxRtg", "WDisChaRteMaxRtg")},
    "VA": {120: ("VARtg",), 121: ("VAMax",), 702: ("VAMaxRtg", "VAChaRteMaxRtg")},
    "A": {120: ("ARtg",), 702: ("AMaxRtg",)},
}  # fmt: skip
RATED = (*INVERTERS, 701)  # models whose AC side the ratings bound


@dataclass(frozen=True, slots=True)
class Draft:
    """One point of the profile to be. value: in its unit, after sign; None: not implemented."""

    name: str
    model: Model
    field: Field
    unit: str
    export: bool
    valid: tuple[float, float]
    value: float | None

    @property
    def type(self) -> str:
        """As profiles write it."""
        return models.TYPES[self.field.type]

    @property
    def address(self) -> int:
        """On the wire."""
        return self.model.address + self.field.offset

    @property
    def sf_address(self) -> int | None:
        """Of the scale factor."""
        offset = self.field.sf_offset
        return None if offset is None else self.model.address + offset


@dataclass(frozen=True, slots=True)
class Drafted:
    """Points, and what was left out: reason to the names SunSpec gives them."""

    points: list[Draft]
    left_out: dict[str, list[str]]


def number(model: Model, field: Field) -> float | None:
    """What a field says, in its SunSpec unit; None when it is not implemented."""
    words = model.words[field.offset : field.offset + field.words]
    raw = models.bits(words)
    if raw == field.sentinel:
        return None
    value: float = raw
    if field.type.startswith("float"):
        kind = ">f" if field.words == 2 else ">d"
        value = struct.unpack(kind, raw.to_bytes(2 * field.words, "big"))[0]
        if not math.isfinite(value):
            return None
    elif field.type.startswith("int") and raw >> (16 * field.words - 1):
        value = raw - 2 ** (16 * field.words)
    exponent = field.sf_fixed
    if field.sf_offset is not None:
        exponent = model.words[field.sf_offset]
        exponent -= 0x10000 if exponent & 0x8000 else 0
        if not -SF_MAX <= exponent <= SF_MAX:
            return None
    return value * 10.0**exponent


def unit_of(model: int, field: Field) -> str:
    """Its unit as profiles write it; "" when profiles have none for it."""
    if field.units:
        return UNITS.get(field.units.strip().lower(), "")
    if field.type.startswith("enum"):
        return "state"
    if field.type.startswith("bitfield"):
        return "bits"
    return "ratio" if "PF" in field.name and field.sf_offset is not None else "count"


def _ratings(found: Sequence[Model]) -> dict[str, float]:
    """The greatest rating that the device states for each unit; none is no key."""
    ratings: dict[str, float] = {}
    for model in found:
        laid = models.layout(model.id, model.words)
        for field in laid.fields if laid else ():
            for unit, names in RATINGS.items():
                if field.path in names.get(model.id, ()) and not _skipped(model, field, unit):
                    value = number(model, field) or 0.0
                    ratings[unit] = max(ratings.get(unit, 0.0), value)
    if "VA" in ratings or "W" in ratings:
        ratings["var"] = max(ratings.get("VA", 0.0), ratings.get("W", 0.0))
    return {unit: value for unit, value in ratings.items() if value > 0}


def _valid(model: int, field: Field, unit: str, ratings: dict[str, float]) -> tuple[float, float]:
    """The range outside of which the value is not believed."""
    type_name = models.TYPES[field.type]
    signed = type_name[0] in "sf"
    if unit in ("state", "bits", "count", "s"):
        bits_of = 16 * field.words
        return (-(2.0 ** (bits_of - 1)) + 1 if signed else 0.0), 2.0 ** min(bits_of, 53) - 2
    rated = ratings.get(unit) if model in RATED and not field.name.startswith("DC") else None
    if rated is not None:
        high = RATING_MARGIN * rated
    elif field.name in ("SoC", "SoH", "ChaState"):
        return 0.0, 100.0
    else:
        high = {"W": 1e8, "VA": 1e8, "var": 1e8, "A": 5e4, "V": 1e5, "Wh": 1e15, "%": 1000.0,
                "ratio": 1.0}.get(unit, 1e9)  # fmt: skip
    if unit == "Hz":
        return (40.0, 70.0) if field.name in ("Hz", "ECPNomHz") else (0.0, 100.0)
    if unit == "degC":
        return -60.0, 200.0
    return (-high if signed else 0.0), high


def _snake(name: str) -> str:
    """SunSpec's name in our spelling: WMaxLimPct is w_max_lim_pct."""
    for word in ("SoC", "SoH", "DoD", "VAr"):
        name = name.replace(word, word.capitalize())
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z]|\d|_|$)|[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return "_".join(part.lower() for part in parts)


def _family(model: int) -> object:
    """Models that measure the same things: only the first of a chain gets the plain names."""
    return "ac" if model in (*INVERTERS, *METERS, 701) else model


def _name(model: int, field: Field, plain: bool, taken: set[str]) -> str:
    """Our name for a field: the usual one, or made of the model's number and SunSpec's name.

    plain  the usual name without the model's number, where it is not taken
    """
    own = NAMES.get(model, {}).get(field.name, "")
    group = re.match(r"(\w+)\[(\d+)\]\.", field.path)
    if group:
        kind = {"Prt": "port"}.get(group[1], group[1].lower())
        name = f"{kind}_{group[2]}_{own or _snake(field.name)}"
    else:
        name = own or f"m{model}_" + _snake(field.path.replace(".", "_"))
    if name in taken or not (plain or name.startswith(f"m{model}_")):
        name = f"m{model}_{name}"
    name = name[: NAME_MAX - 3].rstrip("_")
    ordinal = 2
    first = name
    while name in taken:
        name = f"{first}_{ordinal}"
        ordinal += 1
    return name


def _skipped(model: Model, field: Field, unit: str) -> str:
    """Why a field is no point; "" when it is one."""
    if field.name.startswith("PF") and model.id in (*INVERTERS, *METERS):
        return "makers mix per cent and ratio"
    if not unit:
        return f"its unit {field.units.strip()} is none that edgectl knows"
    if field.sf_offset is not None:
        if field.sf_offset >= len(model.words):
            return "its scale factor would lie past the model's end"
        reach = max(field.offset + field.words, field.sf_offset + 1) - min(
            field.offset, field.sf_offset
        )
        if reach > REQUEST_WORDS_MAX:
            return f"over {REQUEST_WORDS_MAX} registers from its scale factor"
    return ""


def draft(chain: Sequence[Model], keep_all: bool) -> Drafted:
    """The points of every covered model.

    keep_all  also those that the device says it does not implement
    """
    ratings = _ratings(chain)
    points: list[Draft] = []
    left_out: dict[str, list[str]] = {}
    taken: set[str] = set()
    first: dict[object, int] = {}
    for model, field in _fields(chain):
        unit = unit_of(model.id, field)
        reason = _skipped(model, field, unit)
        value = None if reason else number(model, field)
        if not reason and value is None and not keep_all:
            reason = "not implemented, so the device said"
        if reason:
            left_out.setdefault(reason, []).append(f"{model.id}.{field.path}")
            continue
        pattern = EXPORT_POSITIVE.get(model.id)
        export = bool(pattern and pattern.match(field.path))
        low, high = _valid(model.id, field, unit, ratings)
        owner = first.setdefault(_family(model.id), model.address)
        name = _name(model.id, field, owner == model.address, taken)
        taken.add(name)
        if value is not None:
            value = 0.0 - value if export else value
        valid = (-high, -low) if export else (low, high)
        points.append(Draft(name, model, field, unit, export, valid, value))
    return Drafted(points, left_out)


def _fields(chain: Sequence[Model]) -> Iterator[tuple[Model, Field]]:
    for model in chain:
        if model.id not in COVERED:
            continue
        laid = models.layout(model.id, model.words)
        assert laid is not None, f"pysunspec2 defines model {model.id}"
        for field in models.numbers(laid):
            if (model.id, field.name) != (1, "DA") and not field.name.endswith("Pad"):
                yield model, field
