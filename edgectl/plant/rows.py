"""Kernel rows made by hand, for benches and tests that need no site file.

A field left out has its neutral value: never for times, infinite for limits,
-1 for an index that points nowhere.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.layout import DTYPES

NEVER_NS = 2**63 - 1

NEUTRAL: dict[str, dict[str, Any]] = {
    "PointRow": {
        "scale": 1.0,
        "limits.valid_min": -math.inf,
        "limits.valid_max": math.inf,
        "limits.slew_max_per_s": math.inf,
        "limits.stale_after_ns": NEVER_NS,
        "limits.frozen_after_ns": NEVER_NS,
        "block": -1,
        "device": -1,
        "sf_word": -1,
    },
    "BlockRow": {"every": 1, "function": 3},
    "OutputRow": {
        "scale": 1.0,
        "raw_min": -math.inf,
        "raw_max": math.inf,
        "sf_point": -1,
        "count": 1,
        "function": 16,
    },
    "LinkRow": {
        "connect_timeout_ns": 1_000_000_000,
        "devices": 1,
        "timeouts_to_close": 3,
        "outstanding_max": 1,
        "ipv4": 0x7F000001,
    },
    "BusDeviceRow": {"timeout_ns": 60_000_000, "unit": 1, "counted": 1},
    "InterlockRow": {
        "lockout_window_ns": NEVER_NS,
        "causes": 1,
        "effects": 1,
        "vote": 1,
        "priority": 2,
    },
    "EffectRow": {"target": -1, "value": 1.0},
    "MonitorRow": {
        "capacity_j": 1.0,
        "window_ns": 1_000_000_000,
        "demand.window_ms": 900_000,
        "inputs": 1,
    },
    "StorageRow": {
        "full_ratio": 1.0,
        "refresh_ns": NEVER_NS,
        "request_point": -1,
        "setpoint_point": -1,
        "rejected_point": -1,
        "lapsed_point": -1,
        "proof.effect_ns": 2_000_000_000,
        "proof.readback_point": -1,
        "proof.meter_point": -1,
        "proof.readback_error_point": -1,
        "proof.following_error_point": -1,
        "proof.effect_error_point": -1,
        "proof.foreign_write_point": -1,
    },
    "PvRow": {
        "refresh_ns": NEVER_NS,
        "output": -1,
        "readback_point": -1,
        "proof.effect_ns": 2_000_000_000,
        "proof.meter_point": -1,
        "proof.effect_error_point": -1,
    },
    "FlexibleRow": {"refresh_ns": NEVER_NS, "device": -1, "output": -1, "tier_ratio": 1.0},
    "DispatchRow": {
        "import_cap_w": math.inf,
        "export_max_w": math.inf,
        "carbon_high_g_per_kwh": math.inf,
        "carbon_low_g_per_kwh": -math.inf,
    },
    "MeterRow": {"gap_max_ns": NEVER_NS},
    "StockRow": {"charge_ppm": 1_000_000, "discharge_ppm": 1_000_000},
    "ScanRow": {
        "period_ns": 100_000_000,
        "lead_ns": 60_000_000,
        "may_arm": 1,
        "local_reset_point": -1,
        "open_request_output": -1,
    },
}


def rows(kind: str, *fields: Mapping[str, Any]) -> NDArray[np.void]:
    """An array of one kernel struct, one row a mapping of its fields.

    kind    name of the struct, a key of DTYPES
    fields  by row; a nested field is written with a dot, as limits.valid_max

    Raises ValueError for a field that the struct has not.
    """
    made = np.zeros(len(fields), DTYPES[kind])
    for at, given in enumerate(fields):
        for name, value in {**NEUTRAL.get(kind, {}), **given}.items():
            outer, _, inner = name.partition(".")
            if inner:
                made[outer][inner][at] = value
            else:
                made[outer][at] = value
    return made
