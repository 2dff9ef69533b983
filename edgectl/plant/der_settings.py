"""What a simulated converter is set to: SunSpec models 703 and 707 to 710, as pysunspec2 lays them.

The defaults are those of a device of IEEE 1547-2018 Category III. A setting can be changed, so
that an audit has something to find. No physics follows them: the plant's grid never leaves them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sunspec2 import device as sunspec_device

from edgectl.errors import PlantError

FIRST = 703  # the first model of the settings, right behind those of the profile
RATINGS = 702
CATEGORY = "CATEGORY"
POINTS = 3  # places in each curve
V_SF, HZ_SF, TIME_SF = -2, -3, -3

# Model, axis, and what its curves hold: threshold in per cent or Hz, time in s.
Curve = tuple[tuple[str, float, float], ...]
TRIPS: dict[str, tuple[int, str, dict[str, Curve]]] = {
    "UV": (707, "V", {
        "MustTrip": (("UV1", 88.0, 21.0), ("UV2", 50.0, 2.0)),
        "MayTrip": (("UV-MAY1", 88.0, 20.0), ("UV-MAY2", 70.0, 10.0), ("UV-MAY3", 50.0, 1.0)),
        "MomCess": (("UV-MC1", 50.0, 0.083),),
    }),
    "OV": (708, "V", {
        "MustTrip": (("OV1", 110.0, 13.0), ("OV2", 120.0, 0.16)),
        "MayTrip": (("OV-MAY1", 110.0, 12.0),),
        "MomCess": (("OV-MC1", 110.0, 0.083),),
    }),
    "UF": (709, "Hz", {
        "MustTrip": (("UF1", 58.5, 300.0), ("UF2", 56.5, 0.16)),
        "MayTrip": (("UF-MAY1", 58.8, 299.0),),
        "MomCess": (),
    }),
    "OF": (710, "Hz", {
        "MustTrip": (("OF1", 61.2, 300.0), ("OF2", 62.0, 0.16)),
        "MayTrip": (("OF-MAY1", 61.2, 299.0),),
        "MomCess": (),
    }),
}  # fmt: skip
# Setting to point of 703, its default in the model's unit, and the power of ten of its register.
ENTER: dict[str, tuple[str, float, int]] = {
    "ES_V_LOW": ("ESVLo", 91.7, V_SF),
    "ES_V_HIGH": ("ESVHi", 105.0, V_SF),
    "ES_F_LOW": ("ESHzLo", 59.5, HZ_SF),
    "ES_F_HIGH": ("ESHzHi", 60.1, HZ_SF),
    "ES_DELAY": ("ESDlyTms", 300.0, 0),
    "ES_RAMP": ("ESRmpTms", 300.0, 0),
}
PER_UNIT = 100.0  # a voltage on the command line is per unit, in the register per cent


@dataclass(frozen=True, slots=True)
class DerSetting:
    """One setting of one device that is not the default. A voltage is per unit."""

    device: str
    setting: str
    value: float
    time_s: float | None = None


def settings() -> list[str]:
    """Names of everything that can be changed."""
    curves = [
        name for _, _, own in TRIPS.values() for curve in own.values() for name, _, _ in curve
    ]
    return [CATEGORY, *TRIPS, *curves, *ENTER]


def parse_der_setting(text: str) -> DerSetting:
    """From DEVICE=SETTING:VALUE or DEVICE=SETTING:VALUE:SECONDS. Raises PlantError otherwise."""
    device, _, what = text.partition("=")
    name, *numbers = what.split(":")
    try:
        value, *rest = (float(each) for each in numbers)
        if not device or name not in settings() or len(rest) > 1 or min(value, *rest, 0.0) < 0.0:
            raise ValueError
    except ValueError as error:
        raise PlantError(
            where=f"--der-setting {text}",
            problem="not DEVICE=SETTING:VALUE or DEVICE=SETTING:VALUE:SECONDS",
            because="A wrong setting that is not there would be looked for in vain.",
            remedy=f"SETTING is {', '.join(settings())}; as in PCS-01=UV1:0.70:2.0.",
        ) from error
    return DerSetting(device, name, value, rest[0] if rest else None)


def check_der_settings(changes: Sequence[DerSetting], devices: Iterable[str]) -> None:
    """Raise PlantError for a setting of a device that has no such models."""
    known = list(devices)
    for each in changes:
        if each.device not in known:
            raise PlantError(
                where=f"--der-setting {each.device}={each.setting}",
                problem=f"{each.device} serves no models 703 and 707 to 710",
                because="A wrong setting that is not there would be looked for in vain.",
                remedy=f"Choose from {', '.join(known) or 'another site'}.",
            )


def setting_models(changes: Sequence[DerSetting]) -> dict[int, list[int]]:
    """Words of each settings model of one device, ID and length first, in the order of a chain."""
    by_name = {each.setting: each for each in changes}
    models = {FIRST: _words(FIRST, _enter(by_name))}
    for name, (model, axis, curves) in TRIPS.items():
        enabled = by_name[name].value if name in by_name else 1
        models[model] = _words(model, _trip(axis, curves, by_name, int(enabled)))
    return models


def rated_category(changes: Sequence[DerSetting]) -> int:
    """AbnOpCatRtg of model 702: Category III is 2."""
    own = [each.value for each in changes if each.setting == CATEGORY]
    return int(own[0]) - 1 if own else 2


def _enter(changed: dict[str, DerSetting]) -> dict[str, Any]:
    data: dict[str, Any] = {"ES": 1, "V_SF": V_SF, "Hz_SF": HZ_SF}
    for name, (point, default, factor) in ENTER.items():
        value = default
        if name in changed:
            value = changed[name].value * (PER_UNIT if factor == V_SF else 1.0)
        data[point] = round(value / 10.0**factor)
    return data


def _trip(
    axis: str, curves: dict[str, Curve], changed: dict[str, DerSetting], enabled: int
) -> dict[str, Any]:
    factor = V_SF if axis == "V" else HZ_SF
    stored: dict[str, Any] = {"ReadOnly": 1}
    for kind, curve in curves.items():
        points: list[dict[str, int]] = []
        for name, default, default_s in curve:
            value, time_s = default, default_s
            if name in changed:
                value = changed[name].value * (PER_UNIT if axis == "V" else 1.0)
                own_s = changed[name].time_s
                time_s = default_s if own_s is None else own_s
            points.append({axis: round(value / 10.0**factor), "Tms": round(time_s / 10.0**TIME_SF)})
        stored[kind] = {"ActPt": len(curve), "Pt": points + [{}] * (POINTS - len(points))}
    return {
        "Ena": enabled, "AdptCrvReq": 0, "AdptCrvRslt": 1, "NPt": POINTS, "NCrvSet": 1,
        f"{axis}_SF": factor, "Tms_SF": TIME_SF, "Crv": [stored],
    }  # fmt: skip


def _words(model: int, data: dict[str, Any]) -> list[int]:
    raw = bytes(sunspec_device.Model(model_id=model, data={"ID": model, **data}).get_mb())
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
