"""The indicators of (EU) 2024/1364, Annex II: 24 of them, each measured, declared, or neither.

Energy and renewables come from the ledger; what no meter of a power controller knows is the
operator's to declare under [indicator], by the key in the first column.
"""

from typing import Any

from edgectl.reports.declared import MJ_PER_KWH, Declared
from edgectl.reports.figures import Balance

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


def indicators(
    balance: Balance, declared: Declared, renewable: dict[str, int | None]
) -> list[dict[str, Any]]:
    """All 24, in the order of the regulation."""
    measured = {
        "E_DC": balance.facility_mj, "E_IT": balance.it_mj, "E_RES-TOT": renewable["total"],
        "E_RES-GOO": renewable["goo"], "E_RES-PPA": renewable["ppa"],
        "E_RES-OS": renewable["own"],
    }  # fmt: skip
    period = declared.period
    said: dict[str, Any] = dict(declared.indicator)
    for key, value in (("W_IN", period.water_m3), ("W_IN-POT", period.potable_water_m3),
                       ("E_REUSE", period.heat_reused_kwh)):  # fmt: skip
        if value is not None:
            said[key] = value
    found = []
    for key, name, unit, group in INDICATORS:
        value, origin = None, ABSENT
        amount = measured.get(key)
        if amount is not None:
            matched = key.startswith("E_RES") and key != "E_RES-OS" and bool(declared.contract)
            value, origin = amount / MJ_PER_KWH, MATCHED if matched else MEASURED
        elif key in said:
            value, origin = said[key], DECLARED
        found.append({
            "key": key, "name": name, "unit": unit, "group": group, "value": value,
            "origin": origin,
        })  # fmt: skip
    return found


def unknown_keys(declared: Declared) -> list[str]:
    """Keys under [indicator] that are none of the 24."""
    known = {key for key, *_ in INDICATORS}
    return sorted(set(declared.indicator) - known)
