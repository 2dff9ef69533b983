"""The controller's run under a test of silence, and what such a test sees and asks.

The kernel runs as always, with every interlock alive; a test asks it through the mailbox like any
other, and tells the bus to leave one device alone. However it ends, the device is spoken to
again and everything is brought to zero.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.quality import Quality
from edgectl.commissioning.stop import NotMeasuredError, SilencePlan, Trace
from edgectl.controller.runtime import RuntimeOptions
from edgectl.controller.session import Session
from edgectl.errors import OverrunError
from edgectl.image import Mailbox
from edgectl.site_model import KernelTables, Site, compile_tables

LOOK_S = 0.05
RENEW_S = 1.0
REQUEST_TTL_S = 3.0  # a request that nobody renews lapses: a lost terminal leaves nothing standing
READY_S = 10.0  # for identity and arming
MUTE_NONE, MUTE_WRITES, MUTE_ALL = 0, 1, 2
ZERO_PERIODS = 15  # of the 20 scans that a kernel takes to stop

Say = Callable[[str], None]
Plan = TypeVar("Plan", bound=SilencePlan)


def megawatt(value_w: float) -> str:
    """A power as a person reads it, to the kW."""
    return f"{round(value_w / 1e6, 3):g} MW"


class StopSession(Session):
    """A session that is armed for the test whatever the record says, and may silence a device."""

    def __init__(self, site: Site, tables: KernelTables, options: RuntimeOptions) -> None:
        super().__init__(site, tables, options)
        self.muted: int | None = None
        self.begun = threading.Event()  # it runs, and was asked to arm
        self.ended = threading.Event()  # it runs no more

    def mute(self, device: int | None, level: int = MUTE_NONE) -> None:
        """Silence one device; None lifts it again."""
        if self.muted is not None and self.muted != device:
            self.runtime.bus.mute(self.muted, MUTE_NONE)
        self.muted = device
        if device is not None:
            self.runtime.bus.mute(device, level)

    def speak_again(self, periods: int) -> None:
        """Lift the silence once zero waits to be written, at most so many scan periods from now.

        What waits for the device is an old set point until its scale factor was read again and
        zero could be put in its place: so reads come first, and writes after.
        """
        device = self.muted
        if device is None:
            return
        self.mute(device, MUTE_WRITES)
        outputs = [
            at
            for at, battery in enumerate(self.site.batteries)
            if battery.command.partition(".")[0] == self.site.devices[device].id
        ]
        for _ in range(periods):
            time.sleep(self.site.scan.period_ns * 1e-9)
            if not self.reader.snapshot()["storages"]["output_w"][outputs].any():
                break
        self.mute(None)

    def _arm_at_start(self) -> None:
        self._arm()
        self.begun.set()

    def _stop(self, *args: Any) -> None:
        if self.muted is not None:
            self.runtime.kernel.stop()
            self.speak_again(ZERO_PERIODS)
        super()._stop(*args)


def stop_tables(site: Site) -> KernelTables:
    """The site's tables, allowed to arm.

    A stop that was never proven must not be armed, and only an armed controller can prove it:
    this is the one place that lifts the refusal, for a test that a person asked for by name.
    """
    tables = compile_tables(site)
    tables.scan["may_arm"] = 1
    return tables


@dataclass(slots=True)
class _Failure:
    """What ended the tester's thread, if anything did."""

    error: BaseException | None = None


def run_session(
    site: Site,
    tables: KernelTables,
    work: Callable[[StopSession, Mailbox], None],
    cancel: threading.Event,
) -> None:
    """Run a controller on the calling thread and `work` on one more, until that has ended.

    cancel  set it to end early; everything is still brought to zero

    Raises what `work` raised, SegmentError where a controller of the site runs, IdentityError
    where a device is another.
    """
    session = StopSession(site, tables, RuntimeOptions())
    stop = threading.Event()
    failure = _Failure()
    tester = threading.Thread(
        target=_test, args=(session, work, cancel, stop, failure), name="stoptest"
    )
    tester.start()
    try:
        session.run(stop, lambda: None)
    except OverrunError as error:
        failure.error = failure.error or error
    finally:
        session.ended.set()
        tester.join()
    if failure.error is not None:
        raise failure.error


def _test(
    session: StopSession,
    work: Callable[[StopSession, Mailbox], None],
    cancel: threading.Event,
    stop: threading.Event,
    failure: _Failure,
) -> None:
    """The tester's thread."""
    try:
        while not session.begun.wait(LOOK_S):
            if cancel.is_set() or session.ended.is_set():
                raise _stopped_early(session.site)
        with Mailbox(session.path) as mailbox:
            work(session, mailbox)
    except BaseException as error:  # told on the main thread, whatever it is
        failure.error = error
    finally:
        stop.set()


def _stopped_early(site: Site) -> NotMeasuredError:
    return NotMeasuredError(
        where=site.id,
        problem="it was stopped before it began",
        because="Nothing is proven, and nothing was moved.",
        remedy="Test again.",
    )


class SilenceTester(ABC, Generic[Plan]):
    """One test of one device in a running session: what is seen and what is asked."""

    def __init__(
        self,
        session: StopSession,
        plan: Plan,
        mailbox: Mailbox,
        cancel: threading.Event,
        say: Say,
    ) -> None:
        """Nothing is asked yet."""
        self.session, self.mailbox = session, mailbox
        self.plan: Plan = plan
        self.cancel, self.say = cancel, say
        self.site = session.site
        self.trace = Trace()
        self.device = [each.id for each in self.site.devices].index(plan.device)
        self.point = session.tables.point_index[plan.watched]
        self.next_seq = 0
        self.renewed_s = 0.0
        self.image: Any = None

    # ---- looking and asking

    def _look(self) -> Any:
        """Take what is new; renew what is asked. Returns the snapshot."""
        if self.cancel.is_set() or not self.session.runtime.running or self.session.ended.is_set():
            raise self._failed("it was stopped", "Nothing is proven.", "Test again.")
        self._take()
        if time.monotonic() - self.renewed_s >= RENEW_S:
            self._ask()
        self.cancel.wait(LOOK_S)
        return self.image

    def _take(self) -> None:
        reader = self.session.reader
        batch = reader.journal(self.next_seq)
        self.next_seq = batch.next_seq
        before_ns = int(self.image["record"]["time_ns"]) if self.image is not None else 0
        self.image = image = reader.snapshot()
        self._commits(batch.records, before_ns)
        link = image["links"][self.device]
        fate = int(link["writes"]) + int(link["write_failures"])
        self.trace.acks.append((int(image["record"]["time_ns"]), fate))
        sample = image["samples"][self.point]
        new = not self.trace.samples or int(sample["source_ns"]) > self.trace.samples[-1][0]
        if new and sample["quality"] == Quality.QUALITY_GOOD:
            self.trace.samples.append((int(sample["source_ns"]), float(sample["value"])))

    @abstractmethod
    def _commits(self, records: Any, before_ns: int) -> None:
        """Note the set points for the device that were committed since the look before."""

    def _wanted_w(self, battery: int) -> float:
        """What is asked of a battery: zero, unless it is the one under test."""
        return 0.0

    def _ask(self) -> None:
        for at in range(len(self.site.batteries)):
            self.mailbox.put(
                MailKind.MAIL_STORAGE_W,
                at,
                self._wanted_w(at),
                RequestSource.SOURCE_OPERATOR,
                REQUEST_TTL_S,
            )
        self.renewed_s = time.monotonic()

    def _looks(self, seconds: float) -> Iterator[Any]:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            yield self._look()

    def _failed(self, problem: str, because: str, remedy: str) -> NotMeasuredError:
        return NotMeasuredError(
            where=self.plan.device, problem=problem, because=because, remedy=remedy
        )

    @property
    def _power_w(self) -> float | None:
        """What the watched point shows now; None while it is not good."""
        sample = self.image["samples"][self.point]
        return float(sample["value"]) if sample["quality"] == Quality.QUALITY_GOOD else None

    def _await_ready(self) -> None:
        """Every device identified, and armed."""
        for image in self._looks(READY_S):
            if image["links"]["identified"].all() and image["record"]["armed"]:
                return
        silent = [
            f"{device.id} at {device.address}"
            for device, link in zip(self.site.devices, self.image["links"], strict=True)
            if not link["identified"]
        ]
        raise self._failed(
            f"not identified within {READY_S:g} s: {', '.join(silent)}"
            if silent
            else f"the kernel did not arm within {READY_S:g} s",
            "The whole site must be seen while a device is silenced.",
            "Find out why: edgectl probe HOST.",
        )

    def _reset(self, image: Any) -> None:
        """Reset as the operator what has only waited for it since the start."""
        for at, row in enumerate(self.site.interlocks):
            now = image["interlocks"][at]
            if (
                row.reset == "operator"
                and now["start"]
                and now["status"] == InterlockStatus.INTERLOCK_LATCHED
            ):
                self.mailbox.put(MailKind.MAIL_RESET, at, 0.0, Reset.RESET_OPERATOR, REQUEST_TTL_S)

    def _until(self, there: Callable[[], bool], seconds: float) -> bool:
        """Look until something is so, whatever was cancelled meanwhile."""
        end_s = time.monotonic() + seconds
        while self.session.runtime.running and time.monotonic() < end_s:
            self._take()
            if there():
                return True
            time.sleep(LOOK_S)
        return False
