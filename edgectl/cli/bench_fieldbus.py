"""`edgectl bench fieldbus`: our Modbus master against three other clients, on one server.

Every client is a process of its own. They have their laps in turn, round after round, so
that what the machine does meanwhile meets all of them; figures are medians over the rounds.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from statistics import median

from edgectl.cli.bench_child import Asked
from edgectl.cli.bench_clients import CLIENTS, ClientProcess, Cost, MissingClientError
from edgectl.cli.bench_figures import Figures
from edgectl.plant.responder import ResponderProcess

ROUNDS = 9  # odd, so that the median is one of them
WARM_UP_S = 0.1
TARGETS = {"floor": 1.3, "libmodbus": 0.8, "pymodbus": 0.1}  # greatest ratio wanted
SHOWN = ("edgectl", *TARGETS)
BEST_CASE = "pymodbus_warm_heap"
SEVERAL = {"edgectl": "edgectl_several", "floor": "floor_several"}  # the clients that can


@dataclass(frozen=True, slots=True)
class FieldbusBench:
    """What is asked of the bench."""

    connections: int
    registers: int
    seconds: float  # of each client, over all rounds
    outstanding: int  # requests to a device at once, of the clients that can, beside one at a time
    together: bool = False  # client and server on one processor


@contextmanager
def placed(server_pid: int, together: bool) -> Iterator[str]:
    """Keep this process and its children on one processor, and the server on it too or off it.

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


def measure(bench: FieldbusBench, ports: list[int], skipped: list[str]) -> dict[str, list[Cost]]:
    """Laps of every client that is installed, in turn; `skipped` is told of the others."""
    one = Asked(tuple(ports), (bench.registers,), 0)
    several = replace(one, outstanding=bench.outstanding)
    lap_s = bench.seconds / ROUNDS
    with ExitStack() as stack:
        clients: list[ClientProcess] = []
        for name in CLIENTS:
            try:
                asked = several if name in SEVERAL.values() else one
                clients.append(stack.enter_context(ClientProcess(name, asked)))
            except MissingClientError as error:
                skipped.append(f"{name}: {error.problem}")
        for client in clients:
            client.lap(WARM_UP_S)
        laps: dict[str, list[Cost]] = {client.name: [] for client in clients}
        for _ in range(ROUNDS):
            for client in clients:
                laps[client.name].append(client.lap(lap_s))
    return laps


def ratio(laps: dict[str, list[Cost]], peer: str, ours: str = "edgectl") -> float | None:
    """Median over the rounds of our CPU time by the peer's; None for a peer that is missing."""
    if peer not in laps:
        return None
    pairs = zip(laps[ours], laps[peer], strict=True)
    return round(median(mine.cpu_us / theirs.cpu_us for mine, theirs in pairs), 4)


def fieldbus_figures(bench: FieldbusBench) -> Figures:
    """All clients against one responder in a process of its own."""
    skipped: list[str] = []
    with (
        ResponderProcess(bench.connections) as responder,
        placed(responder.process.pid, bench.together) as placement,
    ):
        laps = measure(bench, responder.ports, skipped)
    times_us = {name: sorted(lap.cpu_us for lap in done) for name, done in laps.items()}
    cpu_us = {name: round(median(times), 3) for name, times in times_us.items()}
    spread = {name: [round(times[0], 3), round(times[-1], 3)] for name, times in times_us.items()}
    per_s = {name: round(median(lap.per_s for lap in done), 1) for name, done in laps.items()}
    faults = {
        name: round(median(lap.page_faults / lap.transactions for lap in done), 2)
        for name, done in laps.items()
    }
    return {
        "connections": bench.connections,
        "registers": bench.registers,
        "seconds": bench.seconds,
        "rounds": ROUNDS,
        "processors": placement,
        "cpu_us_per_transaction": {name: cpu_us.get(name) for name in SHOWN},
        "cpu_us_least_and_most": {name: spread.get(name) for name in (*SHOWN, BEST_CASE)},
        "page_faults_per_transaction": {name: faults.get(name) for name in (*SHOWN, BEST_CASE)},
        "transactions_per_s": {name: per_s.get(name) for name in SHOWN},
        "ratios": {peer: ratio(laps, peer) for peer in TARGETS},
        "cpu_us_pymodbus_warm_heap": cpu_us.get(BEST_CASE),
        "ratio_pymodbus_warm_heap": ratio(laps, BEST_CASE),
        "several": {
            "outstanding": bench.outstanding,
            "cpu_us_per_transaction": {name: cpu_us[each] for name, each in SEVERAL.items()},
            "transactions_per_s": {name: per_s[each] for name, each in SEVERAL.items()},
            "ratios": {
                peer: ratio(laps, SEVERAL.get(peer, peer), SEVERAL["edgectl"])
                for peer in (*TARGETS, BEST_CASE)
            },
        },
        "targets": TARGETS,
        "skipped": skipped,
    }
