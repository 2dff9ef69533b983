"""`edgectl bench trip`: from a cause at one device to 0 W at another, on real sockets.

A meter's register jumps over a row's threshold at a random instant of the scan; timed is
from that jump until the safe value has come to the converter. The row clears by itself, the
converter is told its power again, and the next cause comes.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.clock import RtGrade
from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import CauseOp, Effect, OnBad, Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.process_image import PointType
from edgectl.cli.bench_figures import Figures
from edgectl.cli.bench_tables import (
    INTERNAL,
    Draft,
    add_device,
    add_internal,
    common_arrays,
    directory_of,
    storage_row,
    tables_of,
)
from edgectl.controller.deadlines import quantiles, witness_on_time
from edgectl.controller.runtime import Runtime, RuntimeOptions
from edgectl.image import Segment, private_segment
from edgectl.image.mailbox import post
from edgectl.plant._tripper import Register, serve_trips
from edgectl.plant.responder import listen
from edgectl.plant.rows import rows
from edgectl.site_model.tables import KernelTables

BEYOND_POLL_NS = 200_000_000  # the worst answer may take a poll period and so much
DEVICE_FIFO_PRIORITY = 60
CHARGE_W, QUIET_W, ON_W, OFF_W, CAUSE_W = 100e3, 0.0, 1500.0, 1000.0, 2000.0
SECONDS_PER_INJECTION_MAX = 3.0  # the devices give up an answer after 2 s
START_S = 10.0
JOURNAL_SLOTS = 64
METER, CONVERTER = 0, 1
POWER_POINT, SOC_POINT = 1, 2  # the converter's; 0 is the meter's power

Column = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TripBench:
    """What is asked of the bench. seed: of the instants at which the causes come."""

    injections: int
    period_ns: int
    seed: int

    @property
    def bound_ns(self) -> int:
        """The longest that an answer may take."""
        return self.period_ns + BEYOND_POLL_NS

    @property
    def delays_ns(self) -> Column:
        """From the converter's power to each cause: any phase of the scan is as likely."""
        chance = np.random.default_rng(self.seed)
        return chance.integers(0, self.period_ns, self.injections, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Answers:
    """By injection, monotonic: when the register changed, and when 0 W came, 0 for never."""

    cause_ns: Column
    safe_ns: Column

    @property
    def latency_ns(self) -> Column:
        """How long each took; of one that never came, the largest number there is."""
        never = np.iinfo(np.int64).max
        return np.where(self.safe_ns > 0, self.safe_ns - self.cause_ns, never)


def trip_tables(ports: list[int], period_ns: int) -> KernelTables:
    """A meter, a converter with its battery, and one row between them."""
    draft = Draft()
    add_device(draft, ports[METER], [2], period_ns, counted=True, journaled=False)
    add_device(draft, ports[CONVERTER], [4], period_ns, counted=True, journaled=False)
    draft.devices[CONVERTER] |= {"first_output": 0, "outputs": 1, "first_probe": 0, "probes": 1}
    first = add_internal(draft, 1)
    arrays = common_arrays(
        draft, period_ns, loads=0, first_internal=first,
        meters=[{"point": 0}, {"point": POWER_POINT}],
    )  # fmt: skip
    storage = storage_row(0, POWER_POINT, SOC_POINT, first + len(INTERNAL) + len(draft.devices))
    storage |= {"device": CONVERTER, "ramp_w_per_s": 1e12}
    identity = {
        "alternatives": 1, "address": Register.REGISTER_IDENTITY, "count": 1, "function": 3,
        "mask": 0xFFFF, "words": Register.IDENTITY,
    }  # fmt: skip
    setpoint = {
        "device": CONVERTER, "address": Register.REGISTER_SETPOINT, "count": 2,
        "type": PointType.TYPE_F32,
    }  # fmt: skip
    arrays |= {
        "probes": rows("ProbeRow", identity),
        "outputs": rows("OutputRow", setpoint),
        "storages": rows("StorageRow", storage),
        "stocks": rows("StockRow", {}),
        "dispatch": rows("DispatchRow", {"grid_point": 0, "storages": 1}),
        "interlocks": rows(
            "InterlockRow", {"on_bad": OnBad.ON_BAD_TRIP, "reset": Reset.RESET_AUTO}
        ),
        "causes": rows("CauseRow", {"op": CauseOp.CAUSE_ABOVE, "on": ON_W, "off": OFF_W}),
        "effects": rows("EffectRow", {"effect": Effect.EFFECT_ZERO}),
    }
    directory = directory_of(draft, period_ns, loads=0, storages=1, interlocks=1)
    return tables_of(arrays, directory)


class Devices:
    """Both devices, served by a thread of their own."""

    def __init__(self, bench: TripBench) -> None:
        """Bind their ports; nothing is served yet."""
        self.listeners = listen(2, 0)
        self.ports = [each.getsockname()[1] for each in self.listeners]
        self.answers = Answers(
            np.zeros(bench.injections, np.int64), np.zeros(bench.injections, np.int64)
        )
        self.done = 0
        self._delays_ns = bench.delays_ns
        self._life_fds = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="devices", daemon=True)

    def _serve(self) -> None:
        with suppress(PermissionError):  # real devices do not slow down because we are busy
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(DEVICE_FIFO_PRIORITY))
        meter, converter = (each.fileno() for each in self.listeners)
        self.done = serve_trips(
            meter, converter, self._life_fds[0], QUIET_W, CAUSE_W,
            self._delays_ns, self.answers.cause_ns, self.answers.safe_ns,
        )  # fmt: skip

    def wait(self, timeout_s: float) -> bool:
        """Wait until every injection is done; whether they are."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve for as long as the context lasts."""
        self._thread.start()
        try:
            yield
        finally:
            os.close(self._life_fds[1])
            self._thread.join()
            os.close(self._life_fds[0])
            for each in self.listeners:
                each.close()


def ask(segment: Segment, seconds: float) -> None:
    """Arm, and ask the battery for a power that the trips take away."""
    expiry_ns = time.monotonic_ns() + int(seconds * 1e9)
    for kind, value in ((MailKind.MAIL_ARM, 0.0), (MailKind.MAIL_STORAGE_W, CHARGE_W)):
        post(
            segment.head, segment.mailbox, kind, 0, value, RequestSource.SOURCE_OPERATOR, expiry_ns
        )  # fmt: skip


def run_trips(bench: TripBench) -> tuple[Answers, Runtime, int, Any]:
    """Run kernel and devices until all injections are done.

    Returns the answers, the runtime with its witness, the injections done, and the head of
    the last snapshot.
    """
    seconds = START_S + bench.injections * SECONDS_PER_INJECTION_MAX
    devices = Devices(bench)
    tables = trip_tables(devices.ports, bench.period_ns)
    segment = private_segment(tables.directory, JOURNAL_SLOTS)
    options = RuntimeOptions(witness_periods=int(seconds * 1e9 // bench.period_ns))
    runtime = Runtime(tables, segment, options)
    with devices.served():
        runtime.start()
        try:
            ask(segment, seconds)
            devices.wait(seconds)
        finally:
            runtime.stop()
    return devices.answers, runtime, devices.done, segment.reader().snapshot()["head"]


def honest(answers: Answers, runtime: Runtime) -> NDArray[np.bool_]:
    """Injections during which the witness was on time, from the period of the cause on."""
    on_time = witness_on_time(runtime.witness_lateness_ns)
    late = np.concatenate([[0], np.cumsum(~on_time)])
    last = len(on_time)
    first = np.clip((answers.cause_ns - runtime.origin_ns) // runtime.period_ns, 0, last)
    ends_ns = np.where(answers.safe_ns > 0, answers.safe_ns, answers.cause_ns)
    end = np.clip((ends_ns - runtime.origin_ns) // runtime.period_ns + 1, 0, last)
    return np.asarray(late[end] == late[first], dtype=np.bool_)


def trip_figures(bench: TripBench) -> Figures:
    """Run the bench; figures count injections during which the witness was on time."""
    start_s = time.monotonic()
    answers, runtime, done, head = run_trips(bench)
    seconds = time.monotonic() - start_s
    answers = Answers(answers.cause_ns[:done], answers.safe_ns[:done])
    counted = honest(answers, runtime)
    latency_ns = answers.latency_ns[counted]
    left_out_ns = answers.latency_ns[~counted]
    periods = int(seconds * 1e9 // bench.period_ns)
    late = int((~witness_on_time(runtime.witness_lateness_ns[:periods])).sum())
    return {
        "injections": done,
        "latency_ms": quantiles(latency_ns, 1e6),
        "bound_ms": bench.bound_ns / 1e6,
        "over_bound": int((latency_ns > bench.bound_ns).sum()),
        "never_answered": int((answers.safe_ns == 0).sum()),
        "left_out": int((~counted).sum()),
        "latency_ms_left_out": quantiles(left_out_ns, 1e6),
        "witness_late_periods": late,
        "periods": periods,
        "period_ms": bench.period_ns / 1e6,
        "seconds": round(seconds, 1),
        "rt_grade": RtGrade(int(head["rt_grade"])).name,
        "bus_rt_grade": RtGrade(int(head["bus_rt_grade"])).name,
        "trips": int(head["trips"]),
    }
