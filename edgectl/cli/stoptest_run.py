"""One run of the controller for a stop test: bring a battery to its power, fall silent, watch.

The kernel runs as always, with every interlock alive; this asks it through the mailbox like any
other, and tells the bus to leave one device alone. However it ends, the device is spoken to
again and everything is brought to zero.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgectl._kernel.dispatch import Binding, RequestSource
from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.quality import Quality
from edgectl.commissioning.stop import (
    NS_PER_S,
    NotMeasuredError,
    Stop,
    StopPlan,
    Trace,
    judge,
    stopping_rows,
)
from edgectl.controller.runtime import RuntimeOptions
from edgectl.controller.session import Session
from edgectl.errors import OverrunError
from edgectl.image import Mailbox
from edgectl.site_model import KernelTables, Site, compile_tables

LOOK_S = 0.05
RENEW_S = 1.0
REQUEST_TTL_S = 3.0  # a request that nobody renews lapses: a lost terminal leaves nothing standing
READY_S = 10.0  # for identity and arming
CLEAR_S = 90.0  # for interlocks to clear, the push-button at the cabinet among them
REACH_S = 30.0  # for the power to come
ZERO_S = 10.0  # for it to go again; where the import cap keeps it, the controller's end does it
MUTE_NONE, MUTE_WRITES, MUTE_ALL = 0, 1, 2
ZERO_PERIODS = 15  # of the 20 scans that a kernel takes to stop

Say = Callable[[str], None]


class StopSession(Session):
    """A session that is armed for the test whatever the record says, and may silence a device."""

    def __init__(self, site: Site, tables: KernelTables, options: RuntimeOptions) -> None:
        super().__init__(site, tables, options)
        self.muted: int | None = None
        self.begun = threading.Event()  # it runs, and was asked to arm

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


def run_stop_tests(
    site: Site,
    plans: Sequence[StopPlan],
    cancel: threading.Event,
    say: Say,
    done: Callable[[StopPlan, Stop], None],
) -> None:
    """Run a controller and make each test in turn, on the calling thread and one more.

    cancel  set it to end early; everything is still brought to zero
    say     told what is going on
    done    told each result, as soon as the device is back at zero

    Raises NotMeasuredError where a test could not be made, SegmentError where a controller of
    the site runs, IdentityError where a device is another.
    """
    session = StopSession(site, stop_tables(site), RuntimeOptions())
    stop = threading.Event()
    failure = _Failure()
    tester = threading.Thread(
        target=_test, args=(session, plans, cancel, stop, say, done, failure), name="stoptest"
    )
    tester.start()
    try:
        session.run(stop, lambda: None)
    except OverrunError as error:
        failure.error = failure.error or error
    finally:
        cancel.set()
        tester.join()
    if failure.error is not None:
        raise failure.error


def _test(
    session: StopSession,
    plans: Sequence[StopPlan],
    cancel: threading.Event,
    stop: threading.Event,
    say: Say,
    done: Callable[[StopPlan, Stop], None],
    failure: _Failure,
) -> None:
    """The tester's thread."""
    try:
        while not session.begun.wait(LOOK_S):
            if cancel.is_set():
                raise _stopped_early(session.site)
        with Mailbox(session.path) as mailbox:
            for plan in plans:
                done(plan, StopTester(session, plan, mailbox, cancel, say).run())
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


class StopTester:
    """One test of one device in a running session."""

    def __init__(
        self,
        session: StopSession,
        plan: StopPlan,
        mailbox: Mailbox,
        cancel: threading.Event,
        say: Say,
    ) -> None:
        """Nothing is asked yet."""
        self.session, self.plan, self.mailbox = session, plan, mailbox
        self.cancel, self.say = cancel, say
        self.site = session.site
        self.trace = Trace()
        self.device = [each.id for each in self.site.devices].index(plan.device)
        self.point = session.tables.point_index[plan.watched]
        self.next_seq = 0
        self.request_w = 0.0
        self.renewed_s = 0.0
        self.image: Any = None

    def run(self) -> Stop:
        """Make the test; raises NotMeasuredError where it cannot be made."""
        self._await_ready()
        try:
            self._await_clear()
            self._reach()
            found = self._silence()
        finally:
            self._back_to_zero()
        return found

    # ---- looking and asking

    def _look(self) -> Any:
        """Take what is new; renew what is asked. Returns the snapshot."""
        if self.cancel.is_set() or not self.session.runtime.running:
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
        written = batch.records["storages"]["written"][:, self.plan.index] != 0
        self.trace.commits_ns += batch.records["head"]["time_ns"][written].tolist()
        self.image = image = reader.snapshot()
        link = image["links"][self.device]
        fate = int(link["writes"]) + int(link["write_failures"])
        self.trace.acks.append((int(image["record"]["time_ns"]), fate))
        sample = image["samples"][self.point]
        new = not self.trace.samples or int(sample["source_ns"]) > self.trace.samples[-1][0]
        if new and sample["quality"] == Quality.QUALITY_GOOD:
            self.trace.samples.append((int(sample["source_ns"]), float(sample["value"])))

    def _ask(self) -> None:
        """Every battery at zero but the one under test."""
        for at in range(len(self.site.batteries)):
            self.mailbox.put(
                MailKind.MAIL_STORAGE_W,
                at,
                self.request_w if at == self.plan.index else 0.0,
                RequestSource.SOURCE_OPERATOR,
                REQUEST_TTL_S,
            )
        self.renewed_s = time.monotonic()

    def _want(self, power_w: float) -> None:
        self.request_w = power_w
        self._ask()

    def _looks(self, seconds: float) -> Iterator[Any]:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            yield self._look()

    def _failed(self, problem: str, because: str, remedy: str) -> NotMeasuredError:
        return NotMeasuredError(
            where=self.plan.device, problem=problem, because=because, remedy=remedy
        )

    @property
    def _storage(self) -> Any:
        return self.image["storages"][self.plan.index]

    @property
    def _power_w(self) -> float | None:
        """What the watched point shows now; None while it is not good."""
        sample = self.image["samples"][self.point]
        return float(sample["value"]) if sample["quality"] == Quality.QUALITY_GOOD else None

    # ---- the steps

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
            "The whole site must be seen while a battery is moved.",
            "Find out why: edgectl probe HOST.",
        )

    def _await_clear(self) -> None:
        """Interlocks let the battery have its power; those that wait for a reset get it."""
        said = ""
        for image in self._looks(CLEAR_S):
            permit = self._storage
            most_w = permit["charge_max_w"] if self.plan.power_w > 0 else permit["discharge_max_w"]
            if most_w >= abs(self.plan.power_w):
                return
            self._reset(image)
            holding = ", ".join(self.site.interlocks[at].id for at in self._acting())
            if holding and holding != said:
                said = holding
                self.say(f"waiting for interlocks: {holding}")
        raise self._failed(
            f"held by {said or 'its limits'} for {CLEAR_S:g} s",
            "A test does not go past an interlock.",
            "Clear what has tripped, reset at the cabinet what waits for it, and test again.",
        )

    def _acting(self) -> list[int]:
        """Rows that act now, among those that stop the battery."""
        status = self.image["interlocks"]["status"]
        rows = stopping_rows(self.site, self.plan)
        return [at for at in rows if status[at] >= InterlockStatus.INTERLOCK_TRIPPED]

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

    def _reach(self) -> None:
        """Ask for the power, and see it stand for a while at the watched point."""
        self.say(f"asking {self.plan.battery.id} for {self.plan.power_w:g} W")
        self._want(self.plan.power_w)
        since_ns: int | None = None
        for image in self._looks(REACH_S + self.plan.steady_ns / NS_PER_S):
            now_ns, power_w = int(image["record"]["time_ns"]), self._power_w
            there = (
                power_w is not None
                and self.plan.reached(power_w)
                and self._storage["output_w"] == self.plan.power_w
            )
            since_ns = (since_ns or now_ns) if there else None
            if since_ns is not None and now_ns - since_ns >= self.plan.steady_ns:
                return
        now = self._storage
        raise self._failed(
            f"asked for {self.plan.power_w:g} W; the set point is {now['setpoint_w']:g} W "
            f"({Binding(int(now['binding'])).name.removeprefix('BINDING_').lower()}), "
            f"{self.plan.watched} shows {self.image['samples'][self.point]['value']:g} W",
            "Only a battery that runs can be seen to stop.",
            "Choose a power, a sign or an hour that the site's limits leave free; see whether the "
            "converter is in remote mode.",
        )

    def _silence(self) -> Stop:
        """Fall silent right after a write, and watch what the device does."""
        fate = self.trace.acks[-1][1]
        for _ in self._looks(2.0 * self.plan.battery.refresh_ns / NS_PER_S + 1.0):
            if self.trace.acks[-1][1] > fate:
                break
        failures = int(self.image["links"][self.device]["write_failures"])
        trips = self._trips()
        self.session.mute(self.device, MUTE_ALL if self.plan.silent else MUTE_WRITES)
        muted_ns = time.monotonic_ns()
        said_s = 0
        self.say(f"{self.plan.device}: silence begins ({self.plan.mode})")
        for image in self._looks(self.plan.observe_ns / NS_PER_S + LOOK_S):
            self._undisturbed(trips)
            if image["record"]["time_ns"] < muted_ns + self.site.scan.period_ns:
                continue
            found = judge(self.plan, self.trace, muted_ns, self.site.scan.period_ns)
            if found.stop_ns is not None:
                break
            if found.observed_ns // (5 * NS_PER_S) > said_s:
                said_s = found.observed_ns // (5 * NS_PER_S)
                self.say(f"{found.observed_ns / NS_PER_S:.0f} s: {found.last_power_w:g} W")
        if int(self.image["links"][self.device]["write_failures"]) != failures:
            raise self._failed(
                "its last write failed or was cut off",
                "When it was last written to is then not known.",
                "Test again; see the link if it repeats.",
            )
        return found

    def _trips(self) -> list[tuple[int, int]]:
        """(row, trips so far) of the interlocks that would stop the battery by themselves."""
        rows = stopping_rows(self.site, self.plan)
        return [(at, int(self.image["interlocks"][at]["trips"])) for at in rows]

    def _undisturbed(self, trips: Sequence[tuple[int, int]]) -> None:
        """Raise NotMeasuredError when an interlock acts that the silence does not explain."""
        now = self._trips()
        acted = [
            self.site.interlocks[at].id
            for (at, count), (_, before) in zip(now, trips, strict=True)
            if count > before
        ]
        if acted:
            raise self._failed(
                f"{', '.join(acted)} tripped during the silence",
                "What stops a battery then need not be its own fallback.",
                "Find the cause, and test again.",
            )

    def _back_to_zero(self) -> None:
        """Zero, first asked, then spoken; then see that it is so.

        One who was told to end leaves it to the session's end, which asks nobody's permission.
        """
        if self.cancel.is_set():
            return
        with _regardless(self):
            self._want(0.0)
            self._until(lambda: self._storage["setpoint_w"] == 0.0, ZERO_S)
            self.session.speak_again(round(ZERO_S * NS_PER_S / self.site.scan.period_ns))
            band_w = self.plan.tolerance_w
            at_zero = self._until(
                lambda: self._power_w is not None and abs(self._power_w) <= band_w, ZERO_S
            )
            shown = self.image["samples"][self.point]["value"]
            end = "is back at zero" if at_zero else f"DOES NOT COME TO ZERO: it shows {shown:g} W"
            self.say(f"{self.plan.device} {end}")

    def _until(self, there: Callable[[], bool], seconds: float) -> bool:
        """Look until something is so, whatever was cancelled meanwhile."""
        end_s = time.monotonic() + seconds
        while self.session.runtime.running and time.monotonic() < end_s:
            self._take()
            if there():
                return True
            time.sleep(LOOK_S)
        return False


@contextmanager
def _regardless(tester: StopTester) -> Iterator[None]:
    """Whatever goes wrong on the way back: the session's end unmutes and zeroes as well."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        tester.say(f"{tester.plan.device}: {error}; the controller stops now")
