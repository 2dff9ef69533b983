"""What a device is set to, out of its SunSpec models 702, 703, 707 to 710 and 711. Reads only.

Source: the model definitions in pysunspec2 (sunspec/models). The first stored curve of a trip
model is the one in force. Voltages are per cent of VNom there, per unit here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgectl.commissioning import models
from edgectl.commissioning.models import Field
from edgectl.commissioning.sunspec import Chain, Model
from edgectl.commissioning.sunspec_points import number
from edgectl.grid_code.window import NS_PER_S, EnterLimits, Stage

TRIP_MODELS = {
    "under_voltage": 707,
    "over_voltage": 708,
    "under_frequency": 709,
    "over_frequency": 710,
}
RATINGS, WATT_VAR = 702, 712
# Setting to model, point, and factor from the point's unit to ours.
VALUES = {
    "ES_V_LOW": (703, "ESVLo", 0.01),
    "ES_V_HIGH": (703, "ESVHi", 0.01),
    "ES_F_LOW": (703, "ESHzLo", 1.0),
    "ES_F_HIGH": (703, "ESHzHi", 1.0),
    "ES_DELAY": (703, "ESDlyTms", 1.0),
    "ES_RAMP": (703, "ESRmpTms", 1.0),
    "DROOP_DB_OF": (711, "Ctl[1].DbOf", 1.0),
    "DROOP_DB_UF": (711, "Ctl[1].DbUf", 1.0),
    "DROOP_K_OF": (711, "Ctl[1].KOf", 1.0),
    "DROOP_K_UF": (711, "Ctl[1].KUf", 1.0),
    "DROOP_T": (711, "Ctl[1].RspTms", 1.0),
}
OPTIONAL = (711, 712)  # a device without them lacks nothing that is audited
CURVES = {"must_trip": "MustTrip", "may_trip": "MayTrip", "cease": "MomCess"}
CATEGORIES = ("I", "II", "III")  # 702 AbnOpCatRtg: 0, 1, 2


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a device. step: the finest difference its register can hold."""

    value: float
    step: float


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve: beyond the threshold for the time."""

    threshold: Value
    time_s: Value


@dataclass(frozen=True, slots=True)
class TripModel:
    """One of 707 to 710. curves: by must_trip, may_trip, cease; those that it has."""

    model: int
    enabled: bool | None
    curves: dict[str, tuple[Point, ...]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What one device is set to.

    device      maker and model as it says
    category    abnormal operating category that it is rated for, None when it does not say
    trips       by quantity
    values      by setting
    missing     quantity or setting to why it could not be read
    notes       what it also has and is not compared
    """

    device: str
    category: str | None
    trips: dict[str, TripModel]
    values: dict[str, Value]
    missing: dict[str, str]
    notes: tuple[str, ...]

    def stages(self) -> tuple[Stage, ...]:
        """Every must-trip point of an enabled model, as stages of a window."""
        return tuple(
            Stage(
                f"{_prefix(quantity)}{at}",
                quantity,
                point.threshold.value,
                round(point.time_s.value * NS_PER_S),
            )
            for quantity, trip in self.trips.items()
            if trip.enabled
            for at, point in enumerate(trip.curves.get("must_trip", ()), 1)
        )

    def idle(self) -> tuple[str, ...]:
        """Trip functions that are there and do not trip, as sentences."""
        return tuple(
            f"model {trip.model} is not enabled: no {quantity.replace('_', ' ')} stage is judged"
            for quantity, trip in self.trips.items()
            if not trip.enabled
        )

    def enter_limits(self) -> EnterLimits | None:
        """What it waits for before it returns; None where it does not say."""
        names = ("ES_V_LOW", "ES_V_HIGH", "ES_F_LOW", "ES_F_HIGH", "ES_DELAY")
        if any(name not in self.values for name in names):
            return None
        low, high, f_low, f_high, delay = (self.values[name].value for name in names)
        return EnterLimits(low, high, f_low, f_high, round(delay * NS_PER_S))


def _prefix(quantity: str) -> str:
    """OV, UV, OF or UF."""
    side, _, what = quantity.partition("_")
    return (side[0] + what[0]).upper()


def read_settings(chain: Chain) -> Settings:
    """Everything of a chain that a grid code is about."""
    found = {model.id: model for model in reversed(chain.models)}  # the first of each number
    trips: dict[str, TripModel] = {}
    values: dict[str, Value] = {}
    missing: dict[str, str] = {}
    for quantity, number_ in TRIP_MODELS.items():
        model = found.get(number_)
        why = _unreadable(model, number_)
        if model is None or why:
            missing[quantity] = why
        else:
            trips[quantity] = _trip_model(model)
    for setting, (number_, path, factor) in VALUES.items():
        model = found.get(number_)
        if model is None and number_ in OPTIONAL:
            continue
        why = _unreadable(model, number_)
        value = None if model is None or why else _value(model, path, factor)
        if value is None:
            missing[setting] = why or f"model {number_} has no {path.rpartition('.')[2]}"
        else:
            values[setting] = value
    return Settings(
        chain.device, _category(found.get(RATINGS)), trips, values, missing, tuple(_notes(found))
    )


def _unreadable(model: Model | None, wanted: int) -> str:
    """Why nothing of a model can be believed; "" when it can."""
    if model is None:
        return f"no model {wanted} in its SunSpec map"
    return "" if model.verdict == "ok" else f"model {wanted}: {model.verdict}"


def _fields(model: Model) -> dict[str, Field]:
    laid = models.layout(model.id, model.words)
    return {each.path: each for each in laid.fields} if laid else {}


def _value(model: Model, path: str, factor: float) -> Value | None:
    """One number in our unit; None when the device does not have it."""
    field = _fields(model).get(path)
    value = number(model, field) if field else None
    if field is None or value is None:
        return None
    exponent = 0
    if field.sf_offset is not None:
        word = model.words[field.sf_offset]
        exponent = word - 0x10000 if word & 0x8000 else word
    step = 10.0**exponent * factor
    return Value(round(value * factor, 9), step)


def _trip_model(model: Model) -> TripModel:
    enabled = _value(model, "Ena", 1.0)
    curves: dict[str, tuple[Point, ...]] = {}
    over = model.id in (TRIP_MODELS["over_voltage"], TRIP_MODELS["over_frequency"])
    for kind, name in CURVES.items():
        points = tuple(_points(model, f"Crv[1].{name}."))
        if points:
            # The outermost first, which is the slowest: what engineers number 1.
            curves[kind] = tuple(
                sorted(points, key=lambda each: each.threshold.value, reverse=not over)
            )
    return TripModel(model.id, None if enabled is None else enabled.value == 1.0, curves)


def _points(model: Model, path: str) -> Iterator[Point]:
    """The active points of one curve, in the order of the device."""
    active = _value(model, f"{path}ActPt", 1.0)
    voltage = model.id in (TRIP_MODELS["under_voltage"], TRIP_MODELS["over_voltage"])
    axis, factor = ("V", 0.01) if voltage else ("Hz", 1.0)
    for at in range(1, 1 + (int(active.value) if active else 0)):
        threshold = _value(model, f"{path}Pt[{at}].{axis}", factor)
        time_s = _value(model, f"{path}Pt[{at}].Tms", 1.0)
        if threshold is not None and time_s is not None:
            yield Point(threshold, time_s)


def _category(model: Model | None) -> str | None:
    """What 702 says that the device is rated for."""
    rated = None if model is None else _value(model, "AbnOpCatRtg", 1.0)
    if rated is None or not 0 <= int(rated.value) < len(CATEGORIES):
        return None
    return CATEGORIES[int(rated.value)]


def _notes(found: dict[int, Model]) -> Iterator[str]:
    """What else stands in the device's map that the audit does not judge."""
    for wanted, name in ((711, "frequency droop"), (WATT_VAR, "watt-var")):
        model = found.get(wanted)
        enabled = _value(model, "Ena", 1.0) if model else None
        if enabled is not None:
            state = "enabled" if enabled.value == 1.0 else "disabled"
            judged = "" if wanted == 711 else ", not compared"
            yield f"{name} (model {wanted}) is {state}{judged}"
