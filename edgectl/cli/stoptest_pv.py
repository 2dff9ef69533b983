"""The stop test of an inverter: hold it under a limit, stop writing to it, watch, lift the limit.

The kernel limits PV to its rating where nothing else holds it back. So the test runs on the
site's tables with the test's limit for a rating; and to lift it, a controller runs once more on
the site's own tables until the inverter has taken its full rating again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

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
from edgectl.commissioning.stop import NS_PER_S, Stop
from edgectl.commissioning.stop_pv import PvPlan, judge_pv
from edgectl.errors import OverrunError
from edgectl.image import Mailbox
from edgectl.site_model import KernelTables, Site

REACH_S = 60.0  # for the power to come under the limit
LIFT_S = 15.0  # for the inverter to take its rating again


def run_pv_tests(
    site: Site,
    plans: Sequence[PvPlan],
    cancel: threading.Event,
    say: Say,
    done: Callable[[PvPlan, Stop], None],
) -> None:
    """Test each inverter in turn, all of them under their limits meanwhile; then lift them.

    cancel  set it to end early; the limits are still lifted
    say     told what is going on
    done    told each result

    Raises NotMeasuredError where a test could not be made, and what run_session raises.
    """

    def work(session: StopSession, mailbox: Mailbox) -> None:
        for plan in plans:
            done(plan, PvTester(session, plan, mailbox, cancel, say).run())

    def lift(session: StopSession, mailbox: Mailbox) -> None:
        for plan in plans:
            PvTester(session, replace(plan, power_w=-plan.pv.rating_w), mailbox, ever, say).lift()

    ever = threading.Event()
    try:
        run_session(site, limited_tables(site, plans), work, cancel)
    finally:
        say("lifting the limits")
        with suppress(OverrunError):  # it ends before rows that start tripped have cleared
            run_session(site, stop_tables(site), lift, ever)


def limited_tables(site: Site, plans: Sequence[PvPlan]) -> KernelTables:
    """The site's tables, allowed to arm, with the tests' limits for ratings."""
    tables = stop_tables(site)
    for plan in plans:
        tables["pvs"]["rating_w"][plan.index] = -plan.power_w
    return tables


class PvTester(SilenceTester[PvPlan]):
    """One test of one inverter."""

    def _commits(self, records: Any, before_ns: int) -> None:
        """No record tells when it was committed: it was after the look before the fate came."""
        link = self.image["links"][self.device]
        fate = int(link["writes"]) + int(link["write_failures"])
        known = self.trace.acks[-1][1] if self.trace.acks else fate
        if not self.trace.acks:
            self.trace.commits_ns += [0] * fate
        self.trace.commits_ns += [before_ns - self.site.scan.period_ns] * (fate - known)

    def run(self) -> Stop:
        """Make the test; raises NotMeasuredError where it cannot be made."""
        self._await_ready()
        self._reach()
        try:
            return self._silence()
        finally:
            self.session.mute(None)

    def _reach(self) -> None:
        """See the power stand under the limit for a while."""
        self.say(f"{self.plan.asset} is limited to {megawatt(-self.plan.power_w)}")
        since_ns: int | None = None
        for image in self._looks(REACH_S + self.plan.steady_ns / NS_PER_S):
            self._reset(image)
            now_ns, power_w = int(image["record"]["time_ns"]), self._power_w
            there = power_w is not None and self.plan.reached(power_w)
            since_ns = (since_ns or now_ns) if there else None
            if since_ns is not None and now_ns - since_ns >= self.plan.steady_ns:
                return
        shown = self.image["samples"][self.point]["value"]
        raise self._failed(
            f"limited to {megawatt(-self.plan.power_w)}; {self.plan.watched} shows "
            f"{megawatt(shown)}",
            "Only an inverter that is held back can be seen to be let go.",
            "Choose a lower limit or a sunnier hour; see whether the inverter takes a limit.",
        )

    def _silence(self) -> Stop:
        """Fall silent right after a write, and watch what the inverter does."""
        fate = self.trace.acks[-1][1]
        for _ in self._looks(2.0 * self.plan.refresh_ns / NS_PER_S + 1.0):
            if self.trace.acks[-1][1] > fate:
                break
        failures = int(self.image["links"][self.device]["write_failures"])
        self.session.mute(self.device, MUTE_ALL if self.plan.silent else MUTE_WRITES)
        muted_ns = time.monotonic_ns()
        look_ns = round(2 * LOOK_S * NS_PER_S) + 2 * self.site.scan.period_ns
        said_s = 0
        self.say(f"{self.plan.device}: silence begins ({self.plan.mode})")
        for image in self._looks(self.plan.observe_ns / NS_PER_S + LOOK_S):
            if image["record"]["time_ns"] < muted_ns + self.site.scan.period_ns:
                continue
            found = judge_pv(self.plan, self.trace, muted_ns, look_ns)
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

    def lift(self) -> None:
        """Wait until the inverter has taken its full rating again; say so where it has not."""
        self._await_ready()
        first = int(self.image["links"][self.device]["writes"])
        if first > 0 or self._until(self._written, LIFT_S):
            self.say(f"{self.plan.asset} may generate {megawatt(self.plan.pv.rating_w)} again")
        else:
            self.say(f"{self.plan.asset} DID NOT TAKE ITS RATING AGAIN: it is still limited")

    def _written(self) -> bool:
        return int(self.image["links"][self.device]["writes"]) > 0
