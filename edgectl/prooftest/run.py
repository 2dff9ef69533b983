"""One proof test, step by step, through the two doors there are: mailbox in, journal out.

The values stand beside the real ones and take nothing from them: a real cause trips as
ever meanwhile. Every request lapses by itself; a test that is killed leaves a row that
clears, or waits for its reset, like after any trip.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

from edgectl._kernel.interlock import InterlockStatus, Reset, RowFlag
from edgectl._kernel.journal import MailKind
from edgectl.image import SegmentReader
from edgectl.image.points import PointDecoder
from edgectl.prooftest.plan import NotTestableError, TestPlan, refuse_unless_clear
from edgectl.prooftest.record import Result

MAINTENANCE_AFTER_NS = 120_000_000_000  # over what the test itself may take
MAINTENANCE_NS_MAX = 3_600_000_000_000  # of authority.pxd
TAKEN_NS = 3_000_000_000  # for a request to be seen to have been taken
LATCH_WATCH_NS = 2_000_000_000  # a latch must have held so long without its cause
READBACK_NS = 1_500_000_000  # for devices to show what they were given
LATE_NS = 10_000_000  # a scan may start so late and not be late: deadlines.py
MAIL_TTL_S = 2.0
CLEAR, TRIPPED = InterlockStatus.INTERLOCK_CLEAR, InterlockStatus.INTERLOCK_TRIPPED
LATCHED = InterlockStatus.INTERLOCK_LATCHED
ZEROING = ("zero", "open_request", "safe_state")
NOTHING_W = 1.0


class Mailbox(Protocol):
    """The way in."""

    def put(self, kind: int, target: int, value: float, authority: int, ttl_s: float) -> int:
        """Post one request."""
        ...


@dataclass(slots=True)
class Ports:
    """What a test needs of the world. wait lets some scans pass."""

    reader: SegmentReader
    mailbox: Mailbox
    wait: Callable[[], None]
    say: Callable[[str], None]
    utc_s: Callable[[], int] = lambda: int(time.time())


@dataclass(slots=True)
class Seen:
    """What the journal has shown so far, times in ns on the monotonic clock."""

    taken_ns: int | None = None
    taken_scan: int = 0
    tripped_ns: int | None = None
    tripped_scan: int = 0
    permit_ns: int | None = None
    setpoint_ns: int | None = None
    output_ns: int | None = None
    readback_ns: int | None = None
    latched: bool | None = None
    gone_ns: int | None = None
    cleared_ns: int | None = None
    armed: bool = False
    moved: bool = False
    setpoints_w: tuple[float, ...] = ()  # of the batteries it reaches, in the scan before it trips


class Test:
    """One test under way."""

    def __init__(self, plan: TestPlan, ports: Ports) -> None:
        """Nothing is asked before run()."""
        self.plan, self.ports, self.seen = plan, ports, Seen()
        self._decoder = PointDecoder(ports.reader.directory)
        self._decoder.learn(ports.reader.snapshot()["samples"])
        self._next_seq = ports.reader.journal_head

    def records(self, limit_ns: int) -> Any:
        """Records from here on as they come, until so long after the first."""
        end_ns: int | None = None
        while True:
            batch = self.ports.reader.journal(self._next_seq)
            self._next_seq = batch.next_seq
            for record in batch.records:
                now_ns = int(record["head"]["time_ns"])
                end_ns = now_ns + limit_ns if end_ns is None else end_ns
                yield record
                if now_ns > end_ns:
                    return
            if not len(batch.records):
                if not self.ports.reader.alive():
                    raise NotTestableError(
                        where=self.plan.id,
                        problem="the controller has ended during the test",
                        because="What the row does is seen in the controller's journal alone.",
                        remedy="Start it again, and see to what the row has left behind.",
                    )
                self.ports.wait()

    def row(self, record: Any) -> tuple[InterlockStatus, int]:
        """(status, flags) of the row under test."""
        return (
            InterlockStatus(int(record["interlocks"][self.plan.row])),
            int(record["interlock_flags"][self.plan.row]),
        )

    def enter(self) -> None:
        """Enter maintenance mode, for no longer than the test may take."""
        length_ns = self.plan.length_ns + self.plan.off_delay_ns + MAINTENANCE_AFTER_NS
        length_s = min(length_ns, MAINTENANCE_NS_MAX) * 1e-9
        self.put(MailKind.MAIL_MAINTENANCE, -1, length_s, int(Reset.RESET_OPERATOR), MAIL_TTL_S)
        for record in self.records(TAKEN_NS):
            if record["head"]["maintenance"]:
                self.seen.armed = bool(record["head"]["armed"])
                return
        raise NotTestableError(
            where=self.plan.id,
            problem="the controller did not enter maintenance mode",
            because="It takes a test's values in no other mode.",
            remedy="See whether it scans: edgectl top.",
        )

    def inject(self) -> None:
        """Put a value beside as many causes as the vote needs."""
        newest = self.ports.reader.journal(self.ports.reader.journal_head - 1).records[0]
        self.seen.setpoints_w = self.setpoints_w(newest)
        for cause, value in self.plan.values:
            self.put(MailKind.MAIL_INJECT, self.plan.row, value, cause, self.plan.length_ns * 1e-9)
        limit_ns = self.plan.length_ns + TAKEN_NS
        for record in self.records(limit_ns):
            status, flags = self.row(record)
            now_ns, scan = int(record["head"]["time_ns"]), int(record["head"]["scan"])
            if (
                self.seen.taken_ns is None
                and flags & RowFlag.ROW_UNDER_TEST
                and flags & RowFlag.ROW_CAUSE
            ):
                self.seen.taken_ns, self.seen.taken_scan = now_ns, scan
            if self.seen.tripped_ns is None and status != TRIPPED:
                self.seen.setpoints_w = self.setpoints_w(record)
            if self.seen.taken_ns is None:
                continue
            if self.seen.tripped_ns is None and status == TRIPPED:
                self.seen.tripped_ns, self.seen.tripped_scan = now_ns, scan
            if self.seen.tripped_ns is not None and self.effects(record, now_ns):
                return
            if now_ns - self.seen.taken_ns > self.plan.length_ns - 5 * self.plan.period_ns:
                return

    def effects(self, record: Any, now_ns: int) -> bool:
        """Note what the row's effects have reached; true once there is no more to wait for."""
        seen, storages = self.seen, record["storages"][list(self.plan.storages)]
        if seen.permit_ns is None and all(map(self.permitted, storages)):
            seen.permit_ns = now_ns
        if not self.plan.storages or not record["head"]["armed"]:
            return seen.permit_ns is not None
        if seen.setpoint_ns is None and all(self.safe(s, "setpoint_w") for s in storages):
            seen.setpoint_ns = now_ns
            pairs = zip(seen.setpoints_w, self.setpoints_w(record), strict=True)
            seen.moved = any(abs(before_w - now_w) > NOTHING_W for before_w, now_w in pairs)
        if seen.output_ns is None and all(self.safe(s, "output_w") for s in storages):
            seen.output_ns = now_ns
        if None in (seen.permit_ns, seen.setpoint_ns, seen.output_ns):
            return False
        if seen.readback_ns is None and self.read_back(record):
            seen.readback_ns = now_ns
        assert seen.output_ns is not None, "looked at above"
        return seen.readback_ns is not None or now_ns - seen.output_ns > READBACK_NS

    def setpoints_w(self, record: Any) -> tuple[float, ...]:
        """Of the batteries that the row reaches."""
        return tuple(float(record["storages"]["setpoint_w"][at]) for at in self.plan.storages)

    def read_back(self, record: Any) -> bool:
        """Whether every battery's device shows the safe output it was given."""
        values = self._decoder.values(record)
        for at in self.plan.storages:
            spec = self.ports.reader.directory["storages"][at]
            shown = values.get(spec["readback"] or "")
            if shown is None or shown.value is None or not shown.good:
                return False
            error_w = abs(shown.value - float(record["storages"]["output_w"][at]))
            if error_w > float(spec["readback_tolerance_w"]):
                return False
        return True

    def permitted(self, storage: Any) -> bool:
        """Whether a battery's permit is what the row demands."""
        for action, value in self.plan.actions:
            zero = action in ZEROING
            if (zero or action == "inhibit_charge") and storage["charge_max_w"] != 0.0:
                return False
            if (zero or action == "inhibit_discharge") and storage["discharge_max_w"] != 0.0:
                return False
            if action == "derate" and not storage["derate_ratio"] <= value:
                return False
            if action in ("hold", "ramp_to_zero", "block_command") and not storage[action]:
                return False
            if action in ("limit_charge", "limit_discharge"):
                limit_w = storage[f"{action.removeprefix('limit_')}_max_w"]
                if not limit_w <= self.plan.values[0][1]:
                    return False
        return True

    def safe(self, storage: Any, what: str) -> bool:
        """Whether a battery's setpoint or output is where the row wants it."""
        value_w, actions = float(storage[what]), {action for action, _ in self.plan.actions}
        if actions & {*ZEROING, "ramp_to_zero"}:
            return abs(value_w) < NOTHING_W
        high_w, low_w = float(storage["charge_max_w"]), float(storage["discharge_max_w"])
        return -low_w - NOTHING_W <= value_w <= high_w + NOTHING_W

    def withdraw(self) -> None:
        """End the values: each is taken again for a few scans, after which it says nothing."""
        for cause, value in self.plan.values:
            ttl_s = 4 * self.plan.period_ns * 1e-9
            self.put(MailKind.MAIL_INJECT, self.plan.row, value, cause, ttl_s)
        for record in self.records(TAKEN_NS + self.plan.length_ns):
            _, flags = self.row(record)
            if not flags & RowFlag.ROW_UNDER_TEST:
                self.seen.gone_ns = int(record["head"]["time_ns"])
                return

    def clear(self) -> None:
        """See an auto row clear by itself, and a latched one stay until its reset."""
        waits = self.plan.off_delay_ns + LATCH_WATCH_NS
        locked = False
        for record in self.records(waits):
            status, flags = self.row(record)
            locked = bool(flags & RowFlag.ROW_LOCKED)
            if status == CLEAR:
                self.seen.cleared_ns = int(record["head"]["time_ns"])
                break
        if self.plan.reset in ("operator", "local", "restart") or locked:
            self.seen.latched = self.seen.cleared_ns is None
        if self.seen.cleared_ns is not None or not (self.plan.reset == "operator" or locked):
            return
        self.put(MailKind.MAIL_RESET, self.plan.row, 0.0, int(Reset.RESET_OPERATOR), MAIL_TTL_S)
        for record in self.records(TAKEN_NS):
            if self.row(record)[0] == CLEAR:
                self.seen.cleared_ns = int(record["head"]["time_ns"])
                return

    def leave(self) -> None:
        """Leave maintenance mode, whatever happened."""
        self.put(MailKind.MAIL_MAINTENANCE, -1, 0.0, int(Reset.RESET_OPERATOR), MAIL_TTL_S)

    def put(self, kind: MailKind, target: int, value: float, authority: int, ttl_s: float) -> None:
        """Post one request."""
        self.ports.mailbox.put(int(kind), target, value, authority, ttl_s)


def run_test(plan: TestPlan, ports: Ports, by: str) -> Result:
    """Test one row to its end; the result says whether it passed.

    Raises NotTestableError where it could not begin. Maintenance mode is left in any case.
    """
    refuse_unless_clear(plan, ports.reader.snapshot())
    test = Test(plan, ports)
    try:
        test.enter()
        ports.say(f"{plan.id}: maintenance mode; {len(plan.values)} value(s) beside the real ones")
        test.inject()
        test.withdraw()
        test.clear()
    finally:
        test.leave()
    return result_of(plan, ports, test.seen, by)


def result_of(plan: TestPlan, ports: Ports, seen: Seen, by: str) -> Result:
    """What was seen as the record has it."""
    image = ports.reader.snapshot()
    directory = ports.reader.directory
    status = InterlockStatus(int(image["interlocks"][plan.row]["status"]))
    spec = directory["interlocks"][plan.row]
    left = status.name.removeprefix("INTERLOCK_").lower()
    if status != CLEAR and plan.reset in ("local", "restart"):
        left += {
            "local": ", waits for the reset at the cabinet",
            "restart": ", waits for a restart of the controller",
        }[plan.reset]
    why = fault(plan, seen, status)
    return Result(
        site=str(directory["site"]),
        site_sha256=str(directory["site_sha256"]),
        row=plan.id,
        row_digest=plan.digest,
        utc_s=ports.utc_s(),
        by=by,
        armed=seen.armed,
        passed=not why,
        why=why,
        as_found="clear",
        as_left=left,
        injected={str(spec["causes"][at]["tag"]): value for at, value in plan.values},
        reaction_ms=_ms(seen.taken_ns, seen.tripped_ns),
        bound_ms=plan.bound_ns / 1e6,
        scans=None if seen.tripped_ns is None else seen.tripped_scan - seen.taken_scan,
        permit_ms=_ms(seen.taken_ns, seen.permit_ns),
        setpoint_ms=_ms(seen.taken_ns, seen.setpoint_ns),
        output_ms=_ms(seen.taken_ns, seen.output_ns),
        readback_ms=_ms(seen.taken_ns, seen.readback_ns),
        moved=seen.moved,
        latched=seen.latched,
        cleared_ms=_ms(seen.gone_ns, seen.cleared_ns),
        edgectl=version("edgectl"),
    )


def _ms(from_ns: int | None, to_ns: int | None) -> float | None:
    return None if from_ns is None or to_ns is None else round((to_ns - from_ns) / 1e6, 1)


def fault(plan: TestPlan, seen: Seen, status: InterlockStatus) -> str:
    """Why the test is not passed; "" when it is."""
    if seen.taken_ns is None:
        return "the values were not taken: the row's vote did not become true"
    if seen.tripped_ns is None:
        return "the row did not trip"
    reaction_ns = seen.tripped_ns - seen.taken_ns
    if reaction_ns > plan.bound_ns + LATE_NS:
        return (
            f"it tripped after {reaction_ns / 1e6:.0f} ms; {plan.bound_ns / 1e6:.0f} ms is allowed"
        )
    if reaction_ns < plan.on_delay_ns - LATE_NS:
        return f"it tripped after {reaction_ns / 1e6:.0f} ms, before its on-delay was over"
    if plan.storages and seen.permit_ns is None:
        return "its effect was not seen in the batteries' permits"
    if seen.armed and plan.storages and seen.setpoint_ns is None:
        return "the batteries' setpoints did not become safe"
    if seen.armed and plan.storages and seen.output_ns is None:
        return "the safe setpoint was not written"
    if seen.gone_ns is None:
        return "the values did not end"
    if seen.latched is False:
        return "it cleared by itself, and must wait for its reset"
    if status == TRIPPED:
        return "a real cause stands since"
    if seen.cleared_ns is None and plan.reset in ("auto", "operator"):
        return "it did not clear after the values had ended"
    return ""
