"""Monitors in plain Python, from their words in docs and catalogue: what each must give."""

import math
from dataclasses import dataclass, field

from cause_table import Monitor

S = 1_000_000_000
COLD_TO_TRIP = {"iec_vi": (13.5, 1.0), "iec_ei": (80.0, 2.0), "iec_si": (0.14, 0.02)}
REST_MS_MIN = 1000  # nearer to its end nothing of a window can be steered


@dataclass
class Model:
    """One monitor, scan by scan; every input is good."""

    monitor: Monitor
    utc_ns: int
    memory: dict[str, float] = field(default_factory=dict)
    changed_ns: list[int] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    edges_ns: list[int] = field(default_factory=list)
    scans: int = 0

    def step(self, values: list[float], now_ns: int, dt_ns: int) -> float | None:
        """The value after one scan; None while there is none yet."""
        if not self.changed_ns:
            self.changed_ns = [now_ns] * len(values)
        for at, (value, before) in enumerate(zip(values, self.before, strict=False)):
            self.changed_ns[at] = now_ns if value != before else self.changed_ns[at]
        found = getattr(self, self.monitor.kind)(values, now_ns, dt_ns)
        self.before = list(values)
        self.scans += 1
        return None if found is None else float(found)

    def rate(self, values: list[float], now_ns: int, _: int) -> float | None:
        """Per second, over a window at least."""
        if "ns" not in self.memory:
            self.memory = {"ns": now_ns, "base": values[0]}
            return None
        passed_ns = now_ns - int(self.memory["ns"])
        if passed_ns >= self.monitor.window_s * S:
            value = (values[0] - self.memory["base"]) / (passed_ns * 1e-9)
            value = abs(value) if self.monitor.either_way else value
            self.memory = {"ns": now_ns, "base": values[0], "value": value}
        return self.memory.get("value")

    def spread(self, values: list[float], *_: int) -> float:
        return max(values) - min(values)

    def imbalance(self, values: list[float], *_: int) -> float:
        mean = sum(values) / len(values)
        far = max(abs(value - mean) for value in values)
        return far / abs(mean) if abs(mean) > self.monitor.level else 0.0

    def balance(self, values: list[float], *_: int) -> float:
        left = values[0] - sum(values[1:])
        return abs(left) / abs(values[0]) if abs(values[0]) > self.monitor.level else 0.0

    def mismatch(self, values: list[float], *_: int) -> float:
        return float(any(value != values[0] for value in values))

    def difference(self, values: list[float], *_: int) -> float:
        return abs(values[0] - values[1])

    def opposed(self, values: list[float], *_: int) -> float:
        charge_w = sum(value for value in values if value > 0)
        return min(charge_w, -sum(value for value in values if value < 0))

    def unchanged(self, _: list[float], now_ns: int, __: int) -> float:
        return (now_ns - min(self.changed_ns)) * 1e-9

    def dwell(self, values: list[float], now_ns: int, _: int) -> float:
        on = abs(values[0]) > self.monitor.level
        if self.scans == 0 or on != bool(self.memory["on"]):
            self.memory = {"on": on, "ns": now_ns}
        return (now_ns - int(self.memory["ns"])) * 1e-9

    def count(self, values: list[float], now_ns: int, _: int) -> float:
        below, level = self.monitor.below, self.monitor.level
        on = values[0] < level if below else values[0] > level
        if self.scans and on and not self.memory["on"]:
            self.edges_ns.append(now_ns)
        self.memory["on"] = on
        return sum(now_ns - each < self.monitor.window_s * S for each in self.edges_ns)

    def coulomb(self, values: list[float], now_ns: int, dt_ns: int) -> float:
        soc, power_w = values
        if "ns" not in self.memory or now_ns - self.memory["ns"] >= self.monitor.window_s * S:
            self.memory = {"ns": now_ns, "soc": soc, "j": 0.0}
            return 0.0
        self.memory["j"] += power_w * (dt_ns * 1e-9)
        return abs(soc - self.memory["soc"] - self.memory["j"] / self.monitor.capacity_j)

    def inverse_time(self, values: list[float], _: int, dt_ns: int) -> float:
        """The part of the curve's time that has passed; within 4 % of the curve, for it is steps.

        Cooling is left out: a case holds the quantity.
        """
        k, a = COLD_TO_TRIP[self.monitor.curve]
        multiple = abs(values[0]) / self.monitor.level
        if multiple > 1.0:
            time_s = self.monitor.multiplier * k / (multiple**a - 1.0)
            heat = self.memory.get("heat", 0.0) + dt_ns * 1e-9 / time_s
            self.memory["heat"] = min(heat, 1.25)
        return self.memory.get("heat", 0.0)

    def _window(self, power_w: float, dt_ns: int) -> tuple[int, int]:
        """Energy in W ms and time in ms of the demand window."""
        length_ms = int(self.monitor.window_s * 1000)
        if self.scans == 0:
            ms = self.utc_ns // 1_000_000 % length_ms
            self.memory = {"ms": ms, "mj": self.monitor.limit_w * ms}
        else:
            self.memory["ms"] += dt_ns // 1_000_000
            self.memory["mj"] += math.trunc(power_w) * (dt_ns // 1_000_000)
        assert self.memory["ms"] < length_ms, "a case stays within one window"
        return int(self.memory["mj"]), int(self.memory["ms"])

    def demand_forecast(self, values: list[float], _: int, dt_ns: int) -> float:
        energy, ms = self._window(values[0], dt_ns)
        length_ms = int(self.monitor.window_s * 1000)
        return math.trunc((energy + math.trunc(values[0]) * (length_ms - ms)) / length_ms)

    def demand_room(self, values: list[float], _: int, dt_ns: int) -> float:
        energy, ms = self._window(values[0], dt_ns)
        length_ms = int(self.monitor.window_s * 1000)
        left = self.monitor.limit_w * length_ms - energy
        return max(left // max(length_ms - ms, REST_MS_MIN), 0)

    def demand_shortfall(self, values: list[float], now_ns: int, dt_ns: int) -> float:
        """Without a battery that is known to hold anything."""
        return max(math.trunc(values[0]) - self.demand_room(values, now_ns, dt_ns), 0)
