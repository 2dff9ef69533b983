"""The stop test of a battery's converter: bring it to its power, fall silent, watch, go to zero."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edgectl._kernel.dispatch import Binding
from edgectl._kernel.interlock import InterlockStatus
from edgectl.cli.stoptest_session import (
    LOOK_S,
    MUTE_ALL,
    MUTE_WRITES,
    Say,
    SilenceTester,
    StopSession,
    megawatt,
    run_session,
    stop_tables,
)
from edgectl.commissioning.stop import NS_PER_S, Stop, StopPlan, judge, stopping_rows
from edgectl.image import Mailbox
from edgectl.site_model import Site

CLEAR_S = 90.0  # for interlocks to clear, the push-button at the cabinet among them
REACH_S = 30.0  # for the power to come
ZERO_S = 10.0  # for it to go again; where the import cap keeps it, the controller's end does it


def run_stop_tests(
    site: Site,
    plans: Sequence[StopPlan],
    cancel: threading.Event,
    say: Say,
    done: Callable[[StopPlan, Stop], None],
) -> None:
    """Run a controller and make each test in turn.

    cancel  set it to end early; everything is still brought to zero
    say     told what is going on
    done    told each result, as soon as the device is back at zero

    Raises NotMeasuredError where a test could not be made, and what run_session raises.
    """

    def work(session: StopSession, mailbox: Mailbox) -> None:
        for plan in plans:
            done(plan, StopTester(session, plan, mailbox, cancel, say).run())

    run_session(site, stop_tables(site), work, cancel)


class StopTester(SilenceTester[StopPlan]):
    """One test of one battery's converter."""

    request_w = 0.0

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

    def _commits(self, records: Any, before_ns: int) -> None:
        written = records["storages"]["written"][:, self.plan.index] != 0
        self.trace.commits_ns += records["head"]["time_ns"][written].tolist()

    def _wanted_w(self, battery: int) -> float:
        return self.request_w if battery == self.plan.index else 0.0

    def _want(self, power_w: float) -> None:
        self.request_w = power_w
        self._ask()

    @property
    def _storage(self) -> Any:
        return self.image["storages"][self.plan.index]

    # ---- the steps

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

    def _reach(self) -> None:
        """Ask for the power, and see it stand for a while at the watched point."""
        self.say(f"asking {self.plan.battery.id} for {megawatt(self.plan.power_w)}")
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
                self.say(f"{found.observed_ns / NS_PER_S:.0f} s: {megawatt(found.last_power_w)}")
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
        if self.cancel.is_set() or self.session.ended.is_set():
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
            end = (
                "is back at zero"
                if at_zero
                else f"DOES NOT COME TO ZERO: it shows {megawatt(shown)}"
            )
            self.say(f"{self.plan.device} {end}")


@contextmanager
def _regardless(tester: StopTester) -> Iterator[None]:
    """Whatever goes wrong on the way back: the session's end unmutes and zeroes as well."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        tester.say(f"{tester.plan.device}: {error}; the controller stops now")
