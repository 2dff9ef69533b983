"""The indicators of (EU) 2024/1364, Annex II: 24 of them, each measured, declared, or neither.

Energy and renewables come from the ledger; what no meter of a power controller knows is the
operator's to declare under [indicator], by the key in the first column.
"""

from collections.abc import Mapping
from typing import Any

from edgectl.accounting.uncertainty import Ends
from edgectl.reports.clean import Renewable
from edgectl.reports.declared import MJ_PER_KWH, Declared
from edgectl.reports.figures import HEAT_LIMIT, SURE, WATER_LIMIT, Measured, within

# key, name, unit, group
INDICATORS = (
    ("P_DI", "Installed IT power demand", "kW", "energy"),
    ("S_DC", "Floor area of the data centre", "m2", "energy"),
    ("S_CR", "Floor area of the computer rooms", "m2", "energy"),
    ("E_DC", "Total energy consumption", "kWh", "energy"),
    ("E_IT", "Energy consumption of IT equipment", "kWh", "energy"),
    ("GRID", "Functions offered to the electricity grid", "", "energy"),
    ("C_BtG", "Average battery capacity offered to the grid", "kW", "energy"),
    ("W_IN", "Total water input", "m3", "energy"),
    ("W_IN-POT", "Total potable water input", "m3", "energy"),
    ("E_REUSE", "Waste heat reused", "kWh", "energy"),
    ("T_WH", "Average waste heat temperature", "°C", "energy"),
    ("T_IN", "Average setpoint of intake air", "°C", "energy"),
    ("REFR", "Types of refrigerants", "", "energy"),
    ("CDD", "Cooling degree days", "°C d", "energy"),
    ("E_RES-TOT", "Total renewable energy", "kWh", "energy"),
    ("E_RES-GOO", "Renewable energy from guarantees of origin", "kWh", "energy"),
    ("E_RES-PPA", "Renewable energy from purchase agreements", "kWh", "energy"),
    ("E_RES-OS", "Renewable energy generated on site", "kWh", "energy"),
    ("C_SERV", "ICT capacity for servers", "", "ICT capacity"),
    ("C_STOR", "ICT capacity for storage", "PB", "ICT capacity"),
    ("B_IN", "Incoming bandwidth", "Gbit/s", "data traffic"),
    ("B_OUT", "Outgoing bandwidth", "Gbit/s", "data traffic"),
    ("TR_IN", "Incoming data traffic (T_IN of the regulation)", "EB", "data traffic"),
    ("TR_OUT", "Outgoing data traffic (T_OUT of the regulation)", "EB", "data traffic"),
)
MEASURED, DECLARED, ABSENT = "measured", "declared", "not declared"
MATCHED = "measured, and declared contracts"


LIMITS = {"W_IN": WATER_LIMIT, "W_IN-POT": WATER_LIMIT, "E_REUSE": HEAT_LIMIT}
NOT_STATED = "declared by the operator without an uncertainty"


def indicators(known: Measured, renewable: Mapping[str, Renewable | None]) -> list[dict[str, Any]]:
    """All 24, in the order of the regulation, each with its interval or why it has none."""
    declared = known.declared
    measured = {
        "E_DC": Renewable(known.balance.facility_mj, Ends.alike(known.facility)),
        "E_IT": Renewable(known.balance.it_mj, Ends.alike(known.it)),
        "E_RES-TOT": renewable["total"], "E_RES-GOO": renewable["goo"],
        "E_RES-PPA": renewable["ppa"], "E_RES-OS": renewable["own"],
    }  # fmt: skip
    period = declared.period
    said: dict[str, Any] = dict(declared.indicator)
    for key, value in (("W_IN", period.water_m3), ("W_IN-POT", period.potable_water_m3),
                       ("E_REUSE", period.heat_reused_kwh)):  # fmt: skip
        if value is not None:
            said[key] = value
    found = []
    for key, name, unit, group in INDICATORS:
        row = {"key": key, "name": name, "unit": unit, "group": group}
        amount = measured.get(key)
        if amount is not None:
            matched = key.startswith("E_RES") and key != "E_RES-OS" and bool(declared.contract)
            found.append(row | _measured(amount, MATCHED if matched else MEASURED))
        else:
            found.append(row | _said(key, said.get(key)))
    return found


def _measured(amount: Renewable, origin: str) -> dict[str, Any]:
    return {
        "value": amount.mj / MJ_PER_KWH, "low": max(0.0, amount.ends.low / MJ_PER_KWH),
        "high": amount.ends.high / MJ_PER_KWH, "origin": origin, "interval": SURE,
    }  # fmt: skip


def _said(key: str, value: float | str | None) -> dict[str, Any]:
    """What no meter of a power controller knows."""
    row = {"value": value, "low": None, "high": None, "origin": DECLARED, "interval": NOT_STATED}
    if value is None:
        return row | {"origin": ABSENT, "interval": ABSENT}
    if key in LIMITS and isinstance(value, float | int):
        bound = within(key, float(value), LIMITS[key])
        row |= {"low": max(0.0, bound.low), "high": bound.high,
                "interval": f"taken as within {100 * LIMITS[key]:g} %"}  # fmt: skip
    return row


def unknown_keys(declared: Declared) -> list[str]:
    """Keys under [indicator] that are none of the 24."""
    known = {key for key, *_ in INDICATORS}
    return sorted(set(declared.indicator) - known)
