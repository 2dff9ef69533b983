"""`edgectl bench fieldbus`: our Modbus master against three other clients, on one server.

The clients have their laps in turn, round after round, so that what the
machine does meanwhile meets all of them; the figures are medians over the rounds.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from edgectl.cli.bench_clients import CLIENTS, Asked, Lap
from edgectl.cli.bench_figures import Figures
from edgectl.plant.responder import ResponderProcess

ROUNDS = 9  # odd, so that the median is one of them
WARM_UP_S = 0.1
TARGETS = {"floor": 1.3, "libmodbus": 0.8, "pymodbus": 0.1}  # greatest ratio wanted


@dataclass(frozen=True, slots=True)
class FieldbusBench:
    """What is asked of the bench."""

    connections: int
    registers: int
    seconds: float  # of each client, over all rounds
    together: bool = False  # client and server on one processor


@dataclass(frozen=True, slots=True)
class LapTime:
    """What one client did in one round."""

    transactions: int
    cpu_ns: int
    wall_ns: int

    @property
    def cpu_us(self) -> float:
        """CPU time of one request and its reply, us."""
        return self.cpu_ns / self.transactions / 1e3

    @property
    def per_s(self) -> float:
        """Transactions per second."""
        return self.transactions / self.wall_ns * 1e9


def timed(lap: Lap, seconds: float) -> LapTime:
    """Run one lap and keep its wall time."""
    start_ns = time.monotonic_ns()
    transactions, cpu_ns = lap(seconds)
    return LapTime(transactions, cpu_ns, time.monotonic_ns() - start_ns)


@contextmanager
def placed(server_pid: int, together: bool) -> Iterator[str]:
    """Keep this thread on one processor, and the server on it too or off it.

    Gives what was reached: with one processor alone they are always together.
    """
    processors = os.sched_getaffinity(0)
    own = max(processors)
    others = {own} if together else processors - {own} or {own}
    os.sched_setaffinity(server_pid, others)
    os.sched_setaffinity(0, {own})
    try:
        yield "together" if others == {own} else "apart"
    finally:
        os.sched_setaffinity(0, processors)


def measure(bench: FieldbusBench, ports: list[int], skipped: list[str]) -> dict[str, list[LapTime]]:
    """Laps of every client that is installed, in turn; `skipped` is told of the others."""
    asked = Asked(ports, bench.registers)
    lap_s = bench.seconds / ROUNDS
    with ExitStack() as stack:
        clients: dict[str, Lap] = {}
        for name, connect in CLIENTS.items():
            try:
                clients[name] = connect(asked, stack)
            except ImportError as error:
                skipped.append(f"{name}: {error}")
        for lap in clients.values():
            lap(WARM_UP_S)
        laps: dict[str, list[LapTime]] = {name: [] for name in clients}
        for _ in range(ROUNDS):
            for name, lap in clients.items():
                laps[name].append(timed(lap, lap_s))
    return laps


def ratio(laps: dict[str, list[LapTime]], peer: str) -> float | None:
    """Median over the rounds of our CPU time by the peer's; None for a peer that is missing."""
    if peer not in laps:
        return None
    pairs = zip(laps["edgectl"], laps[peer], strict=True)
    return round(median(ours.cpu_us / theirs.cpu_us for ours, theirs in pairs), 4)


def fieldbus_figures(bench: FieldbusBench) -> Figures:
    """All four clients against one responder in a process of its own."""
    skipped: list[str] = []
    with (
        ResponderProcess(bench.connections) as responder,
        placed(responder.process.pid, bench.together) as placement,
    ):
        laps = measure(bench, responder.ports, skipped)
    cpu_us: dict[str, float | None] = dict.fromkeys(CLIENTS)
    per_s: dict[str, float | None] = dict.fromkeys(CLIENTS)
    spread: dict[str, list[float] | None] = dict.fromkeys(CLIENTS)
    for name, done in laps.items():
        times_us = sorted(lap.cpu_us for lap in done)
        cpu_us[name] = round(median(times_us), 3)
        spread[name] = [round(times_us[0], 3), round(times_us[-1], 3)]
        per_s[name] = round(median(lap.per_s for lap in done), 1)
    return {
        "connections": bench.connections,
        "registers": bench.registers,
        "seconds": bench.seconds,
        "rounds": ROUNDS,
        "processors": placement,
        "cpu_us_per_transaction": cpu_us,
        "cpu_us_least_and_most": spread,
        "transactions_per_s": per_s,
        "ratios": {peer: ratio(laps, peer) for peer in TARGETS},
        "targets": TARGETS,
        "skipped": skipped,
    }
