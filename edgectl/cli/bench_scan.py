"""`edgectl bench scan`: the real kernel on real sockets and the real clock, with its witness."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.clock import RtGrade, WitnessThread
from edgectl._kernel.fieldbus import FieldBus
from edgectl._kernel.kernel import Kernel
from edgectl.cli.bench_figures import Figures, quantiles, resident_kib
from edgectl.cli.bench_peers import Cost, Pattern, floor_cost, pymodbus_cost
from edgectl.cli.bench_tables import bus_tables
from edgectl.image.reader import SegmentReader
from edgectl.image.segment import private_segment
from edgectl.plant._peers import Behaviour
from edgectl.plant.responder import Fault, ResponderProcess

SCAN_PRIORITY, BUS_PRIORITY, DEVICE_PRIORITY = 80, 70, 60
LATE_NS = 10_000_000  # a start this late misses its deadline, and a witness is no witness
CONNECT_NS = 500_000_000  # the bus connects for so long before period 0
SETTLED_S = 5.0  # after this resident memory has no reason left to grow
PEER_SECONDS = 10.0
DRAIN_S = 0.5
KEPT = (
    "period", "lateness_ns", "exec_before_ns", "devices_fresh", "devices_counted",
    "healthy_age_ns", "overruns",
)  # fmt: skip
FAULTS = (Behaviour.SILENT, Behaviour.LATE, Behaviour.WRONG_ID, Behaviour.RESET)

Column = NDArray[np.int64]


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
        """The last devices are faulty, one for each behaviour, but never half of them."""
        if not self.faults:
            return []
        kinds = FAULTS[: max(self.devices // 2, 1)]
        first = self.devices - len(kinds)
        return [Fault(first + at, kind) for at, kind in enumerate(kinds)]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of the kernel left behind."""

    columns: dict[str, Column]  # of the journal's heads, by scan
    witness_ns: Column  # lateness by period, -1 where it did not wake
    bus: Cost  # the fieldbus thread
    scan: Cost  # the scan thread, by scans
    totals: dict[str, int]  # of the last snapshot
    rss_growth_kib: int
    lost: int  # journal records that this reader missed


class Journal:
    """The columns of every scan's head, in memory that is touched before the run."""

    def __init__(self, reader: SegmentReader, scans_max: int) -> None:
        self.reader = reader
        self.columns = {name: np.full(scans_max, -1, np.int64) for name in KEPT}
        self.scans_max = scans_max
        self.next_seq = 0
        self.filled = 0
        self.lost = 0

    def drain(self) -> None:
        """Take over what has been journaled since the call before."""
        while self.next_seq < self.reader.journal_head:
            batch = self.reader.journal(self.next_seq)
            count = min(len(batch.records), self.scans_max - self.filled)
            for name, column in self.columns.items():
                column[self.filled : self.filled + count] = batch.records["head"][name][:count]
            self.filled += count
            self.lost += batch.lost
            self.next_seq = batch.next_seq


def measure(bench: ScanBench, ports: list[int], cpu: int) -> Measured:
    """Run the kernel with its three threads for so many seconds from its first scan."""
    faulty = [fault.device for fault in bench.faulty]
    tables = bus_tables(ports, bench.registers, bench.period_ns, faulty)
    slots = max(int(20 * DRAIN_S * 1e9 / bench.period_ns), 64)
    segment = private_segment(tables.directory, slots)
    kernel = Kernel(tables, segment.buffer)
    bus = FieldBus(kernel, tables.links, tables.devices, tables.probes)
    lateness_ns = np.full(bench.periods + 1, -1, np.int64)
    witness = WitnessThread(lateness_ns)
    journal = Journal(segment.reader(), bench.periods + 64)
    origin_ns = time.monotonic_ns() + CONNECT_NS
    bodies: list[tuple[Callable[..., None], tuple[int, ...]]] = [
        (bus.run, (origin_ns, BUS_PRIORITY, cpu)),
        (witness.run, (origin_ns, bench.period_ns, SCAN_PRIORITY, cpu)),
        (kernel.run, (origin_ns, 2**62, SCAN_PRIORITY, cpu)),
    ]
    threads = [threading.Thread(target=body, args=args) for body, args in bodies]
    for thread in threads:
        thread.start()
    try:
        first, growth = watch(bench, journal, origin_ns)
    finally:
        kernel.stop()
        witness.stop()
        threads[2].join()
        bus.stop()
        for thread in threads:
            thread.join()
    journal.drain()
    last = journal.reader.snapshot()["head"]
    spent = {name: int(last[name]) - int(first[name]) for name in last.dtype.names}
    return Measured(
        columns={name: column[: journal.filled] for name, column in journal.columns.items()},
        witness_ns=lateness_ns[: bench.periods],
        bus=Cost(spent["transactions"], spent["bus_cpu_ns"]),
        scan=Cost(spent["scans"], spent["scan_cpu_ns"]),
        totals={str(name): int(last[name]) for name in last.dtype.names},
        rss_growth_kib=growth,
        lost=journal.lost,
    )


def watch(bench: ScanBench, journal: Journal, origin_ns: int) -> tuple[Any, int]:
    """Drain the journal until the seconds are over.

    Returns the snapshot's head after the first second, when every connection
    stands, and the growth of resident memory in KiB.
    """
    end_ns = origin_ns + bench.periods * bench.period_ns
    settle_ns = origin_ns + int(min(SETTLED_S, bench.seconds / 2) * 1e9)
    first: Any = None
    rss_kib = -1
    while (now_ns := time.monotonic_ns()) < end_ns:
        time.sleep(max(min(DRAIN_S, (end_ns - now_ns) * 1e-9), 0.0))
        journal.drain()
        if first is None and journal.filled > 0:
            first = journal.reader.snapshot()["head"]
        if rss_kib < 0 and time.monotonic_ns() >= settle_ns:
            rss_kib = resident_kib()
    return first, resident_kib() - rss_kib


def analyse(bench: ScanBench, run: Measured) -> Figures:
    """The figures of the kernel's run, by the rules of the acceptance page."""
    within = run.columns["period"] < bench.periods
    columns = {name: column[within] for name, column in run.columns.items()}
    on_time = witness_on_time(run.witness_ns)
    started_ns = np.full(bench.periods, np.iinfo(np.int64).max)
    started_ns[columns["period"]] = columns["lateness_ns"]
    missed = started_ns > LATE_NS
    honest = on_time[columns["period"]]
    counted = int(columns["devices_counted"][honest].sum())
    ages = columns["healthy_age_ns"][honest]
    witnessed = run.witness_ns[run.witness_ns >= 0]
    return {
        "scans": len(columns["period"]),
        "missed_while_witness_on_time": int((missed & on_time).sum()),
        "missed": int(missed.sum()),
        "overruns": bench.periods - len(columns["period"]),
        "witness_late_periods": int((~on_time).sum()),
        "fresh_fraction": round(int(columns["devices_fresh"][honest].sum()) / counted, 6)
        if counted
        else None,
        "healthy_age_ms_max": round(int(ages.max()) / 1e6, 3) if len(ages) else None,
        "lateness_us": quantiles(columns["lateness_ns"], 1e3),
        "witness_lateness_us": quantiles(witnessed, 1e3),
        "exec_us": quantiles(run.columns["exec_before_ns"][1:], 1e3),
        "cpu_us_per_transaction": round(run.bus.us_per_transaction, 3),
        "scan_cpu_us_per_scan": round(run.scan.us_per_transaction, 3),
        "transactions": run.totals["transactions"],
        "timeouts": run.totals["timeouts"],
        "late_replies": run.totals["late_replies"],
        "rss_growth_kib": run.rss_growth_kib,
        "journal_gap_records": run.lost,
        "rt_grade": RtGrade(run.totals["rt_grade"]).name,
        "bus_rt_grade": RtGrade(run.totals["bus_rt_grade"]).name,
    }


def witness_on_time(lateness_ns: Column) -> NDArray[np.bool_]:
    """Periods in which the witness woke less than 10 ms late, and in the one before."""
    good = (lateness_ns >= 0) & (lateness_ns < LATE_NS)
    before = np.concatenate([[True], good[:-1]])
    return good & before


def compare(bench: ScanBench, run: Measured, healthy: list[int], cpu: int) -> Figures:
    """The floor and pymodbus on the same responder, at the same pattern."""
    pattern = Pattern(
        healthy, bench.registers, bench.period_ns, min(PEER_SECONDS, max(bench.seconds, 1.0))
    )
    ours = run.bus.us_per_transaction
    floor = floor_cost(pattern, BUS_PRIORITY, cpu)
    figures: Figures = {
        "cpu_ratio_floor": round(ours / floor.us_per_transaction, 4),
        "cpu_ratio_pymodbus": None,
        "floor_cpu_us_per_transaction": round(floor.us_per_transaction, 3),
        "skipped": [],
    }
    try:
        peer = pymodbus_cost(pattern)
    except ImportError as error:
        figures["skipped"].append(f"cpu_ratio_pymodbus: {error}")
        return figures
    figures["cpu_ratio_pymodbus"] = round(ours / peer.us_per_transaction, 4)
    figures["pymodbus_cpu_us_per_transaction"] = round(peer.us_per_transaction, 3)
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
    """Run the whole bench; the responder, the kernel and its peers share one processor set."""
    cpu = max(os.sched_getaffinity(0))
    faulty = bench.faulty
    with ResponderProcess(bench.devices, faulty, fifo_priority=DEVICE_PRIORITY) as responder:
        with load(bench.stress):
            run = measure(bench, responder.ports, cpu)
            healthy = responder.ports[: bench.devices - len(faulty)]
            peers = compare(bench, run, healthy, cpu)
    asked = {
        "devices": bench.devices,
        "registers": bench.registers,
        "seconds": bench.seconds,
        "period_ms": bench.period_ns / 1e6,
        "stress": bench.stress,
        "faulty_devices": [str(fault) for fault in faulty],
    }
    return asked | analyse(bench, run) | peers
