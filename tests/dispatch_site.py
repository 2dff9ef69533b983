"""Batteries behind a grid meter, and a flexible load: the dispatch on its own, for its tests."""

from dataclasses import dataclass, field
from typing import Any

from edgectl._kernel.dispatch import Binding, DispatchBench, RequestSource
from edgectl.plant.rows import rows

DT_NS = 100_000_000
S = 1_000_000_000
GRID, AVAILABLE, DEFERRED, FIRST_STORAGE = 0, 1, 2, 3  # the bench's order of points
FREE: dict[str, float] = {}
CAP_W, GUARD_W, RATING_W = 1000e3, 10e3, 300e3
Fields = dict[str, Any]


@dataclass
class Site:
    """Batteries of 300 kW behind a cap of 1 MW; every reading can be set for the next scan."""

    batteries: int = 1
    storage: Fields = field(default_factory=dict)
    dispatch: Fields = field(default_factory=dict)
    flexible: Fields | None = None
    pvs: int = 0
    pv: Fields = field(default_factory=dict)
    grid_w: float | None = 500e3
    available_w: float | None = 0.0
    deferred_w: float | None = 0.0
    power_w: float | None = 0.0
    soc: float | None = 0.5
    lost: int = 0  # of the first batteries nothing can be read
    permit: dict[str, float] = field(default_factory=dict)
    pv_w: float | None = 0.0
    it_w: float = 400e3
    carbon: float | None = 350.0
    site: Fields | None = None
    permits: list[Fields] | None = None  # of each battery, where they differ

    def __post_init__(self) -> None:
        storage = {
            "charge_rating_w": RATING_W, "discharge_rating_w": RATING_W, "capacity_j": 1e9,
            "reserve_ratio": 0.2, "full_ratio": 0.9, "ramp_w_per_s": 1e9, "economy_w": 50e3,
        } | self.storage  # fmt: skip
        dispatch = {
            "import_cap_w": CAP_W, "import_guard_w": GUARD_W, "export_max_w": 0.0,
            "grid_point": GRID, "storages": self.batteries, "pvs": self.pvs,
            "carbon_high_g_per_kwh": 400.0, "carbon_low_g_per_kwh": 300.0,
            "carbon_deadband_g_per_kwh": 10.0,
        } | self.dispatch  # fmt: skip
        flexible = {"available_point": AVAILABLE, "deferred_point": DEFERRED}
        flexible |= self.flexible or {}
        points = range(FIRST_STORAGE, FIRST_STORAGE + 2 * self.batteries, 2)
        pv_points = range(points.stop, points.stop + self.pvs)
        self.bench = DispatchBench(
            rows("DispatchRow", dispatch),
            rows("StorageRow", *({"power_point": p, "soc_point": p + 1} | storage for p in points)),
            rows("PvRow", *({"power_point": p, "rating_w": 200e3} | self.pv for p in pv_points)),
            rows("FlexibleRow", flexible),
        )
        self.shed_w = 0.0
        self.pv_setpoints_w: list[float] = []

    def scan(self, **readings: Any) -> list[tuple[float, float, Binding]]:
        """One scan after changing readings: (request, setpoint, binding) of each battery."""
        for name, value in readings.items():
            setattr(self, name, value)
        values = [self.grid_w, self.available_w, self.deferred_w]
        lost = [None, None] * self.lost
        values += lost + [self.power_w, self.soc] * (self.batteries - self.lost)
        values += [self.pv_w] * self.pvs
        storages, self.shed_w, self.pv_setpoints_w = self.bench.step(
            values,
            self.permits or [self.permit] * self.batteries,
            self.it_w,
            self.carbon,
            DT_NS,
            self.site,
        )
        return storages

    def setpoint_w(self, **readings: Any) -> float:
        """The first battery's setpoint after one more scan."""
        return self.scan(**readings)[0][1]

    def want(self, value_w: float, source: RequestSource = RequestSource.SOURCE_PLAN) -> None:
        """Ask something of the first battery for ten seconds."""
        self.bench.want(0, value_w, source, 10 * S)
