"""What `edgectl top` shows, as plain values: how it is drawn stands in top_view.py, where it comes
from in top_state.py.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Level(IntEnum):
    """How much something asks of the one who looks."""

    NORMAL = 0
    ATTENTION = 1
    TRIP = 2


@dataclass(frozen=True, slots=True)
class Load:
    """One metered consumer."""

    name: str
    is_it: bool
    power_w: float
    shares: tuple[tuple[str, float], ...]  # source name, share of its energy


@dataclass(frozen=True, slots=True)
class Battery:
    """One storage asset; power is charge positive."""

    name: str
    power_w: float
    setpoint_w: float
    request_w: float
    soc_ratio: float
    reserve_ratio: float
    binding: str
    held_by: str  # interlock behind the worst effect, empty: none


@dataclass(frozen=True, slots=True)
class Device:
    """One device on the field bus."""

    name: str
    profile: str
    state: str
    level: Level
    age_ms: float  # of the value that may be the least old, or of the one furthest beyond
    age_limit_ms: float  # how old that one may be
    round_trip_ms: float
    poll_max_ms: float  # since start, from a read's due mark to its reply
    poll_bound_ms: float  # of the schedule
    timeouts: int
    late_replies: int
    bad_replies: int
    writes: int


@dataclass(frozen=True, slots=True)
class Interlock:
    """One row of the cause-and-effect table that is not clear."""

    name: str
    title: str
    why: str
    priority: str
    status: str
    level: Level
    first_out: bool
    since_s: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is not as it should be, now."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Scan health over the history, and the bus counters since start."""

    lateness_p50_us: float
    lateness_p99_us: float
    lateness_max_us: float
    exec_p50_us: float
    exec_max_us: float
    overruns: int
    devices_fresh: int
    devices_counted: int
    transactions: int
    timeouts: int
    late_replies: int
    setpoints_written: int
    readbacks: int
    readback_mismatches: int
    grade: str
    bus_grade: str


@dataclass(frozen=True, slots=True)
class Curves:
    """History by the second; the newest last."""

    utc_s: Array
    grid_w: Array
    load_w: Array


@dataclass(frozen=True, slots=True)
class Controller:
    """What is known of the controller from outside its process."""

    pid: int
    alive: bool
    stopped: bool
    start_utc_ns: int
    now_utc_ns: int
    now_ns: int  # monotonic


@dataclass(frozen=True, slots=True)
class Plant:
    """Everything the view draws."""

    site: str
    zone: str
    mode: str
    mode_level: Level
    mode_note: str
    utc_ns: int
    uptime_s: float
    scan: int
    grid_w: float
    load_w: float
    import_cap_w: float
    pv_w: float
    pv_rating_w: float
    it_w: float
    aux_w: float
    losses_w: float
    export_w: float
    shed_request_w: float
    deferred_w: float
    pue: float
    grid_g_per_kwh: float
    carbon_default: bool
    grid_kg_per_h: float
    grid_energy_j: float  # since start
    grid_carbon_g: float
    it_g_per_kwh: float
    it_shares: tuple[tuple[str, float], ...]
    loads: tuple[Load, ...]
    batteries: tuple[Battery, ...]
    devices: tuple[Device, ...]
    interlocks: tuple[Interlock, ...]
    interlocks_total: int
    notices: tuple[Notice, ...]
    timing: Timing
    curves: Curves
