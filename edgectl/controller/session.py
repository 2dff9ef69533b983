"""One run of the controller, from the checked site to outputs in the safe state.

Start the threads, see what stands on the bus, arm, watch, stop. The main
thread does nothing that a scan waits for.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import structlog

from edgectl._kernel.clock import RtGrade
from edgectl._kernel.journal import MailKind
from edgectl.controller.ports import SerialPorts
from edgectl.controller.retain import Retention, latches_path
from edgectl.controller.runtime import SCAN_PERIODS_AFTER_STOP, Runtime, RuntimeOptions
from edgectl.controller.stocks import StockRetention, stocks_path
from edgectl.controller.watch import Watch
from edgectl.errors import EdgectlError, IdentityError, OverrunError
from edgectl.events import emit
from edgectl.image import Mailbox, Segment, create_segment, segment_path
from edgectl.image.layout import MAILBOX_SLOTS
from edgectl.site_model import KernelTables, Site

LOOK_S = 0.2
IDENTIFY_S = 5.0  # a device that has not answered by then is armed around, and not written
ARM_TTL_S = 5.0

log = structlog.get_logger()


@dataclass(slots=True)
class Outcome:
    """How a run ended."""

    cause: str = "asked"
    ended: bool = True  # the scan ended when it was asked to, with every output at zero
    safe_state: bool = False
    scans: int = 0


class Session:
    """A controller for one site; `run` returns when it has stopped."""

    def __init__(
        self,
        site: Site,
        tables: KernelTables,
        options: RuntimeOptions,
        data_dir: Path | None = None,
    ) -> None:
        """Make the segment, bind the kernel, give it its latches and stocks; contact no device.

        data_dir   where these are kept; None: none are kept and none given back

        Raises SegmentError if a controller of this site is running.
        """
        self.site = site
        self.options = options
        self.stocks: StockRetention | None = None
        directory = dict(tables.directory)
        if data_dir is not None:
            self.stocks = StockRetention(stocks_path(data_dir, site.id), directory["storages"])
            directory["stocks"] = self.stocks.openings(segment_path(site.id), time.time_ns())
        self.segment: Segment = create_segment(
            site.id, directory, site.journal_minutes, site.scan.period_ns
        )
        self.reader = self.segment.reader()
        self.runtime = Runtime(tables, self.segment, options)
        self.ports = SerialPorts(self.runtime.bus, site.lines)
        self.watch = Watch(self.reader)
        self.retention: Retention | None = None
        if self.stocks is not None:
            self.stocks.carry(self.runtime.kernel)
        if data_dir is not None:
            path = latches_path(data_dir, site.id)
            self.retention = Retention(path, tables.directory["interlocks"])
            self.retention.restore(self.runtime.kernel, time.monotonic_ns(), time.time_ns())
        self.tables = tables
        self.refused: list[str] = tables.directory["arming_refused"]
        self._mail_seen = 0

    def run(self, stop: Event, each_look: Callable[[], None]) -> Outcome:
        """Run until `stop` is set or the scans are done, then bring all outputs to safe.

        each_look   called about every LOOK_S, on the main thread

        Raises IdentityError if a device is not what its profile says (nothing
        was written), OverrunError if too many scans overran, EdgectlError if the
        scan did not end when it was asked to.
        """
        started_s = time.monotonic()
        outcome = Outcome()
        gc.collect()
        gc.freeze()
        self.ports.tend()
        self.runtime.start()
        try:
            self._await_first_scan()
            self._started()
            self._identify(stop)
            if not stop.is_set():
                self._arm_at_start()
            self._watch_until(stop, each_look, outcome)
        except EdgectlError as error:
            outcome.cause = error.problem
            raise
        finally:
            self._stop(outcome, started_s)
        if not outcome.ended:
            raise self._not_ended()
        if outcome.safe_state:
            raise OverrunError(
                where=self.site.id,
                problem="an interlock held the site in its safe state when the controller stopped",
                because="Too many scans overran, or another cause of a safe_state row stood.",
                remedy="See the log for controller.safe_state_entered and the row that tripped.",
            )
        return outcome

    def _not_ended(self) -> EdgectlError:
        return EdgectlError(
            where=self.site.id,
            problem=f"the scan did not end within {SCAN_PERIODS_AFTER_STOP} periods and 1 s "
            "after it was asked to",
            because="Nobody knows whether zero was written: the devices' own fallback must do.",
            remedy="See at the batteries that they stand still; keep the log and report it.",
        )

    def _await_first_scan(self) -> None:
        while self.reader.journal_head == 0 and self.runtime.running:
            time.sleep(0.02)

    def _started(self) -> None:
        head = self.reader.snapshot()["head"]
        emit(
            log,
            "controller.started",
            site=self.site.id,
            pid=int(self.segment.head["controller_pid"][0]),
            period_ms=self.site.scan.period_ns // 1_000_000,
            devices=len(self.tables.devices),
            points=len(self.tables.points),
            interlocks=len(self.tables.interlocks),
            rt_grade=RtGrade(int(head["rt_grade"])).name,
            bus_rt_grade=RtGrade(int(head["bus_rt_grade"])).name,
            dry_run=self.options.dry_run,
            journal_minutes=self.site.journal_minutes,
            segment=str(self.segment.path),
        )

    def _identify(self, stop: Event) -> None:
        """Wait until every device is identified, at most IDENTIFY_S.

        Raises IdentityError at the first look that finds one refused.
        """
        end_s = time.monotonic() + IDENTIFY_S
        while time.monotonic() < end_s and self.runtime.running and not stop.is_set():
            links = self._look()["links"]
            refused = [
                device
                for device, link in zip(self.reader.directory["devices"], links, strict=True)
                if link["refused"]
            ]
            if refused:
                raise self._identity_error(refused)
            if links["identified"].all():
                return
            stop.wait(LOOK_S / 4)

    def _identity_error(self, refused: list[Any]) -> IdentityError:
        named = ", ".join(
            f"{device['id']} at {device['address']} is no {device['profile']}" for device in refused
        )
        return IdentityError(
            where=str(self.site.path),
            problem=named,
            because="Its registers would be read as another device's, and written as such. "
            "Nothing was written to any device.",
            remedy="Check address, unit and model, or name the profile of the device there.",
        )

    def _arm_at_start(self) -> None:
        """Arm where the site says so and every battery's stop is proven; else go on sensing."""
        if self.site.arm != "auto":
            return
        if self.refused:
            self._tell_refused("start")
        else:
            self._arm()

    def _arm(self) -> None:
        with Mailbox(self.path) as mailbox:
            mailbox.put(MailKind.MAIL_ARM, 0, 0.0, 0, ARM_TTL_S)

    def _tell_refused(self, by: str) -> None:
        emit(log, "controller.arm_refused", site=self.site.id, by=by, reasons=self.refused)

    def _watch_arming(self) -> None:
        """Say why the kernel took no request to arm: it refuses them all, and cannot tell."""
        taken = int(self.segment.head["mailbox_tail"][0])
        slots = self.segment.mailbox
        for seq in range(max(self._mail_seen, taken - MAILBOX_SLOTS), taken):
            mail = slots[seq % MAILBOX_SLOTS]
            if mail["seq"] == seq and mail["kind"] == MailKind.MAIL_ARM:
                self._tell_refused("request")
        self._mail_seen = taken

    @property
    def path(self) -> Path:
        """Where the segment lies."""
        assert self.segment.path is not None
        return self.segment.path

    def _look(self) -> Any:
        self.ports.tend()
        if not self.tables.scan["may_arm"][0]:
            self._watch_arming()
        return self._kept(self.watch.look(time.monotonic_ns()))

    def _kept(self, image: Any) -> Any:
        """The image, with what must outlast us seen onto the disk, from the first scan on."""
        now_ns = time.monotonic_ns()
        if self.retention is not None and self.reader.journal_head > 0:
            self.retention.look(image, now_ns, time.time_ns())
        if self.stocks is not None and self.reader.journal_head > 0:
            self.stocks.look(image, self.reader.directory, self.reader.boot_id, now_ns)
        return image

    def _watch_until(self, stop: Event, each_look: Callable[[], None], outcome: Outcome) -> None:
        while not stop.is_set() and self.runtime.running:
            image = self._look()
            outcome.safe_state = bool(image["record"]["safe_state"])
            each_look()
            stop.wait(LOOK_S)
        if not self.runtime.running:
            outcome.cause = "scans done"

    def _stop(self, outcome: Outcome, started_s: float) -> None:
        outcome.ended = self.runtime.stop()
        # No port is opened again.
        image = self._kept(self.watch.look(time.monotonic_ns()))
        if self.stocks is not None and self.reader.journal_head > 0:
            self.stocks.finish(image, self.reader.directory, self.reader.boot_id)
        outcome.scans = self.runtime.kernel.scans
        if outcome.ended:
            emit(
                log,
                "controller.stopped",
                site=self.site.id,
                scans=outcome.scans,
                overruns=self.runtime.kernel.overruns,
                setpoints_written=int(image["head"]["setpoints_written"]),
                seconds=round(time.monotonic() - started_s, 3),
                cause=outcome.cause,
            )
        self.segment.close()
