"""`edgectl bench scan`: the real kernel on real sockets and the real clock, with its witness."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgectl._kernel.clock import RtGrade
from edgectl.cli.bench_child import Asked
from edgectl.cli.bench_clients import ClientProcess, MissingClientError
from edgectl.cli.bench_figures import Figures, resident_kib
from edgectl.cli.bench_tables import blocks_of, bus_tables
from edgectl.controller.deadlines import DeadlineLog, deadline_figures, witness_on_time
from edgectl.controller.runtime import BUS_FIFO_PRIORITY, Runtime, RuntimeOptions
from edgectl.image import private_segment
from edgectl.plant._peers import Behaviour
from edgectl.plant.responder import Fault, ResponderProcess

DEVICE_FIFO_PRIORITY = 60
LATE_REPLY_MS = 80  # after the timeout, and before three timeouts close the connection
SETTLED_S = 5.0  # after this resident memory has no reason left to grow
PEER_SECONDS = 10.0
DRAIN_S = 0.5
JOURNAL_SECONDS = 10.0
FAULTS = (Behaviour.SILENT, Behaviour.LATE, Behaviour.WRONG_ID, Behaviour.RESET)

Column = NDArray[Any]


@dataclass(frozen=True, slots=True)
class ScanBench:
    """What is asked of the bench."""

    devices: int
    registers: int
    seconds: float
    period_ns: int
    stress: bool
    faults: bool

    @property
    def periods(self) -> int:
        """Scan periods in all."""
        return max(round(self.seconds * 1e9 / self.period_ns), 1)

    @property
    def faulty(self) -> list[Fault]:
        """The last devices are faulty: one in a hundred for each behaviour, at least one of each.

        Never more than half of them all.
        """
        if not self.faults:
            return []
        each = max(self.devices // 100, 1)
        kinds = [kind for kind in FAULTS for _ in range(each)][: max(self.devices // 2, 1)]
        first = self.devices - len(kinds)
        return [Fault(first + at, kind) for at, kind in enumerate(kinds)]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of the kernel left behind."""

    columns: dict[str, Column]  # of the journal's heads, by scan
    witness_ns: Column  # lateness by period, -1 where it did not wake
    bus_cpu_us: float  # of the fieldbus thread, by transaction
    scan_cpu_us: float  # of the scan thread, by scan
    totals: dict[str, int]  # of the last snapshot
    rss_growth_kib: int
    lost: int  # journal records that this reader missed


def measure(bench: ScanBench, ports: list[int], options: RuntimeOptions) -> Measured:
    """Run the kernel with its threads for so many seconds from its first scan."""
    faulty = [fault.device for fault in bench.faulty]
    tables = bus_tables(ports, bench.registers, bench.period_ns, faulty)
    slots = max(int(JOURNAL_SECONDS * 1e9 / bench.period_ns), 64)
    segment = private_segment(tables.directory, slots)
    runtime = Runtime(tables, segment, options)
    log = DeadlineLog(segment.reader(), bench.periods + 64)
    runtime.start()
    try:
        first, growth = watch(bench, log, runtime.origin_ns)
    finally:
        runtime.stop()
    log.drain()
    last = log.reader.snapshot()["head"]
    spent = {name: int(last[name]) - int(first[name]) for name in last.dtype.names}
    return Measured(
        columns=log.columns,
        witness_ns=runtime.witness_lateness_ns[: bench.periods],
        bus_cpu_us=spent["bus_cpu_ns"] / spent["transactions"] / 1e3,
        scan_cpu_us=spent["scan_cpu_ns"] / spent["scans"] / 1e3,
        totals={str(name): int(last[name]) for name in last.dtype.names},
        rss_growth_kib=growth,
        lost=log.lost,
    )


def watch(bench: ScanBench, log: DeadlineLog, origin_ns: int) -> tuple[Any, int]:
    """Drain the journal until the seconds are over.

    Returns an early snapshot's head, when every connection stands, and the
    growth of resident memory in KiB.
    """
    end_ns = origin_ns + bench.periods * bench.period_ns
    settle_ns = origin_ns + int(min(SETTLED_S, bench.seconds / 2) * 1e9)
    first: Any = None
    rss_kib = -1
    while (now_ns := time.monotonic_ns()) < end_ns:
        time.sleep(max(min(DRAIN_S, (end_ns - now_ns) * 1e-9), 0.0))
        log.drain()
        if first is None and log.filled > 0:
            first = log.reader.snapshot()["head"]
        if rss_kib < 0 and time.monotonic_ns() >= settle_ns:
            rss_kib = resident_kib()
    return first, resident_kib() - rss_kib


def freshness(bench: ScanBench, run: Measured) -> Figures:
    """Fresh fraction and greatest age over the periods with the witness on time."""
    within = run.columns["period"] < bench.periods
    columns = {name: column[within] for name, column in run.columns.items()}
    honest = witness_on_time(run.witness_ns)[columns["period"]]
    counted = int(columns["devices_counted"][honest].sum())
    fresh = int(columns["devices_fresh"][honest].sum())
    ages_ns = columns["healthy_age_ns"][honest]
    return {
        "fresh_fraction": round(fresh / counted, 6) if counted else None,
        "healthy_age_ms_max": round(int(ages_ns.max()) / 1e6, 3) if len(ages_ns) else None,
    }


def analyse(bench: ScanBench, run: Measured) -> Figures:
    """The figures of the kernel's own run, by the rules of the acceptance page."""
    deadlines = deadline_figures(run.columns, run.witness_ns, bench.periods)
    return {
        **deadlines,
        **freshness(bench, run),
        "cpu_us_per_transaction": round(run.bus_cpu_us, 3),
        "scan_cpu_us_per_scan": round(run.scan_cpu_us, 3),
        "transactions": run.totals["transactions"],
        "timeouts": run.totals["timeouts"],
        "late_replies": run.totals["late_replies"],
        "rss_growth_kib": run.rss_growth_kib,
        "journal_gap_records": run.lost,
        "rt_grade": RtGrade(run.totals["rt_grade"]).name,
        "bus_rt_grade": RtGrade(run.totals["bus_rt_grade"]).name,
    }


def compare(bench: ScanBench, run: Measured, healthy: list[int], cpu: int) -> Figures:
    """The floor and pymodbus on the same responder, at the same pattern, one after the other."""
    asked = Asked(tuple(healthy), tuple(blocks_of(bench.registers)), bench.period_ns)
    seconds = min(PEER_SECONDS, max(bench.seconds, 1.0))
    figures: Figures = {"skipped": []}
    for name in ("floor", "pymodbus", "pymodbus_warm_heap"):
        figures[f"cpu_ratio_{name}"] = figures[f"{name}_cpu_us_per_transaction"] = None
        # Only the floor is scheduled as the bus thread is: it is what that thread is held against.
        placed = (cpu, BUS_FIFO_PRIORITY) if name == "floor" else (-1, 0)
        try:
            with ClientProcess(name, asked, *placed) as client:
                cost = client.lap(seconds)
        except MissingClientError as error:
            figures["skipped"].append(f"cpu_ratio_{name}: {error.problem}")
            continue
        figures[f"cpu_ratio_{name}"] = round(run.bus_cpu_us / cost.cpu_us, 4)
        figures[f"{name}_cpu_us_per_transaction"] = round(cost.cpu_us, 3)
        figures[f"{name}_page_faults_per_transaction"] = round(
            cost.page_faults / cost.transactions, 2
        )
    return figures


@contextmanager
def load(wanted: bool) -> Iterator[None]:
    """Two busy processes and one that writes and syncs, for as long as the context lasts."""
    kinds = ("busy", "busy", "disk") if wanted else ()
    command = [sys.executable, "-m", "edgectl.cli.bench_stress"]
    processes = [subprocess.Popen([*command, kind], stdin=subprocess.PIPE) for kind in kinds]
    try:
        yield
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.kill()
            process.wait()


def scan_figures(bench: ScanBench) -> Figures:
    """Run the whole bench: kernel, floor and pymodbus, one after the other, on one responder."""
    faulty = bench.faulty
    options = RuntimeOptions(witness_periods=bench.periods)
    with (
        ResponderProcess(
            bench.devices, faulty, LATE_REPLY_MS, fifo_priority=DEVICE_FIFO_PRIORITY
        ) as responder,
        load(bench.stress),
    ):
        run = measure(bench, responder.ports, options)
        healthy = responder.ports[: bench.devices - len(faulty)]
        peers = compare(bench, run, healthy, options.processors[1])
    asked = {
        "devices": bench.devices,
        "registers": bench.registers,
        "seconds": bench.seconds,
        "period_ms": bench.period_ns / 1e6,
        "stress": bench.stress,
        "faulty_devices": [str(fault) for fault in faulty],
    }
    return asked | analyse(bench, run) | peers
