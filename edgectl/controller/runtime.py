"""The controller's threads over one site's tables and one segment.

The scan and the fieldbus run compiled code without the GIL from start to stop;
Python only starts them, waits and asks them to end. A witness beside the scan,
on the same processor, tells the host's own stalls from ours.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.clock import WitnessThread, now_ns
from edgectl._kernel.fieldbus import FieldBus
from edgectl._kernel.kernel import Kernel
from edgectl.image import Segment

SCAN_FIFO_PRIORITY = 80
BUS_FIFO_PRIORITY = 70
START_AFTER_NS = 200_000_000  # time for the threads to become real-time before period 0
SCANS_MAX = 2**62
STACK_BYTES = 1 << 20  # locked in memory; the kernel's frames stay far below
SCAN_PERIODS_AFTER_STOP = 25  # STOP_SCANS_MAX of kernel.pyx, and some


def _processors() -> tuple[int, int]:
    """(scan's, bus's) processor: the last two that we may use, or the one there is."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[-2] if len(allowed) > 1 else allowed[-1]


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """How the threads run.

    dry_run           sense, decide and record; write to no device
    scans_max         stop to safe after so many scans
    realtime          ask for SCHED_FIFO and locked memory
    witness_periods   periods a witness runs beside the scan; 0: none
    """

    dry_run: bool = False
    scans_max: int = SCANS_MAX
    realtime: bool = True
    witness_periods: int = 0
    processors: tuple[int, int] = field(default_factory=_processors)


class Runtime:
    """Kernel, bus and witness with the threads that run them."""

    def __init__(
        self, tables: Mapping[str, NDArray[Any]], segment: Segment, options: RuntimeOptions
    ) -> None:
        """Bind the kernel to its tables and memory; nothing runs or connects yet.

        tables    as edgectl.site_model compiles them
        segment   that this process made
        """
        self.options = options
        self.kernel = Kernel(tables, segment.buffer, dry_run=options.dry_run)
        self.bus = FieldBus(self.kernel, tables["links"], tables["devices"], tables["probes"])
        self.period_ns = int(tables["scan"]["period_ns"][0])
        self.origin_ns = 0
        self.witness_lateness_ns = np.full(max(options.witness_periods, 1), -1, np.int64)
        self._witness = WitnessThread(self.witness_lateness_ns)
        self._scan: threading.Thread | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; the first scan comes START_AFTER_NS later."""
        scan_cpu, bus_cpu = self.options.processors
        scan_fifo = SCAN_FIFO_PRIORITY if self.options.realtime else 0
        bus_fifo = BUS_FIFO_PRIORITY if self.options.realtime else 0
        self.origin_ns = now_ns() + START_AFTER_NS
        before = threading.stack_size(STACK_BYTES)
        try:
            self._spawn("fieldbus", self.bus.run, self.origin_ns, bus_fifo, bus_cpu)
            self._scan = self._spawn(
                "scan", self.kernel.run, self.origin_ns, self.options.scans_max, scan_fifo, scan_cpu
            )
            if self.options.witness_periods > 0:
                self._spawn(
                    "witness",
                    self._witness.run,
                    self.origin_ns,
                    self.period_ns,
                    scan_fifo,
                    scan_cpu,
                )
        finally:
            threading.stack_size(before)

    def _spawn(self, name: str, body: Any, *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=body, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    @property
    def running(self) -> bool:
        """The scan thread has not ended."""
        return self._scan is not None and self._scan.is_alive()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the scan to end by itself (scans_max); whether it did."""
        if self._scan is None:
            return True
        self._scan.join(timeout_s)
        return not self._scan.is_alive()

    def stop(self) -> bool:
        """Bring every output to safe, then end all threads.

        Returns whether the scan ended by itself in time; if not, the devices'
        own fallback must do.
        """
        self.kernel.stop()
        ended = self.wait(SCAN_PERIODS_AFTER_STOP * self.period_ns * 1e-9 + 1.0)
        self.bus.stop()
        self._witness.stop()
        for thread in self._threads:
            thread.join(2.0 + self.period_ns * 1e-9)
        return ended
