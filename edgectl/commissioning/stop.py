"""The stop test: what is planned, and what a silence that was watched says.

Nothing here touches a device or a clock: the plan is worked out from the site, the verdict
from times and values that were taken. All times are monotonic ns.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from edgectl.errors import EdgectlError
from edgectl.profiles.model import INT64_MAX
from edgectl.site_model import Battery, Interlock, Site
from edgectl.site_model.proofs import Outcome

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
STAY_NS = 2 * NS_PER_S  # a power that comes back within it was only passing
GAP_MAX_NS = NS_PER_S  # without a sample for longer nobody saw what happened
FATE_NS = NS_PER_S  # what was on the wire when the silence began is answered by then
TOLERANCE_RATIO = 0.05  # of the power commanded
NOISE_RATIO = 0.002  # of the rating: what a class 0.5 meter may show at rest
REACHED_RATIO = 0.1  # measured and commanded power may differ by it, beyond the tolerance
DEADBANDS_MIN = 4.0  # the least power that stands clear of what is not even written
BREAKER = "open_request"
STOPS = ("zero", BREAKER, "safe_state")


class NotMeasuredError(EdgectlError):
    """The stop test could not be made, or saw something else than a silence. Outputs are safe."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencePlan:
    """One test of one device that is commanded. Watts are import and charge positive.

    asset        id of what is commanded through it
    power_w      what it runs at when it is left alone
    watched      tag whose power is believed
    independent  whether another device than the silenced one shows it
    silent       nothing is sent to the device; else only nothing is written
    refresh_ns   it is written to at least this often until then
    """

    asset: str
    command: str
    device: str
    power_w: float
    observe_ns: int
    watched: str
    independent: bool
    silent: bool
    tolerance_w: float
    revert_ns: int
    refresh_ns: int
    steady_ns: int = 2 * NS_PER_S

    @property
    def mode(self) -> str:
        """As the record has it."""
        return "silent" if self.silent else "no_writes"

    def reached(self, power_w: float) -> bool:
        """Whether a measured power is the commanded one."""
        return abs(power_w - self.power_w) <= self.band_w

    @property
    def band_w(self) -> float:
        """What measured and commanded power may differ by."""
        return self.tolerance_w + REACHED_RATIO * abs(self.power_w)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlan(SilencePlan):
    """The test of a battery's converter.

    index     of the battery in the site
    expected  ids of the interlocks that the silence itself may trip
    """

    battery: Battery
    index: int
    expected: tuple[str, ...]


def plan_stop(site: Site, device: str, power_w: float, observe_ns: int) -> StopPlan:
    """Plan the test of one battery's converter.

    device   its id
    power_w  what it is to run at when it is left alone, charge positive

    Raises NotMeasuredError for another device, or a power that it cannot show or make.
    """
    found = [at for at, one in enumerate(site.batteries) if _owner(one.command) == device]
    if not found:
        commands = [each.command for each in site.batteries]
        commands += [each.limit for each in site.pvs if each.limit is not None]
        known = ", ".join(map(_owner, commands)) or "none"
        raise NotMeasuredError(
            where=f"--device {device}",
            problem="no battery or PV of this site is commanded through it",
            because="A device that is never commanded has nothing to stop.",
            remedy=f"Devices that can be tested: {known}.",
        )
    battery = site.batteries[found[0]]
    rating_w = battery.charge_rating_w if power_w > 0 else battery.discharge_rating_w
    least_w = max(DEADBANDS_MIN * battery.deadband_w, DEADBANDS_MIN * NOISE_RATIO * rating_w)
    if not least_w <= abs(power_w) <= rating_w:
        raise NotMeasuredError(
            where=f"--power-w {power_w:g}",
            problem=f"{battery.id} can be seen to stop from {least_w / 1e6:g} to "
            f"{rating_w / 1e6:g} MW",
            because="Less drowns in the deadband and the noise of the meter, more is over the "
            "rating.",
            remedy="Choose a power the battery will really run at; negative discharges.",
        )
    watched = battery.proof_meter or battery.power
    independent = _owner(watched) != device
    own = _hang_on(site, battery.id)  # worked out from what it does: they follow any silence
    others = _hang_on(site, device)
    # An open breaker would stop the battery for the converter, and prove nothing of it.
    silent = independent and not any(_acts(row, BREAKER) for row in others)
    explained = [row for row in (*own, *(others if silent else ())) if not _acts(row, BREAKER)]
    return StopPlan(
        asset=battery.id,
        command=battery.command,
        battery=battery,
        index=found[0],
        device=device,
        power_w=power_w,
        observe_ns=observe_ns,
        watched=watched,
        independent=independent,
        silent=silent,
        tolerance_w=max(TOLERANCE_RATIO * abs(power_w), NOISE_RATIO * rating_w),
        revert_ns=site.command(battery.command).revert_ns,
        refresh_ns=battery.refresh_ns,
        expected=tuple(dict.fromkeys(row.id for row in explained)),
        steady_ns=max(2 * NS_PER_S, 5 * battery.refresh_ns // 2),
    )


def _owner(tag: str) -> str:
    return tag.partition(".")[0]


def _acts(row: Interlock, action: str) -> bool:
    return any(each.action == action for each in row.effects)


def _owners(site: Site, tag: str) -> set[str]:
    """Devices or batteries whose points a tag is made of; of a monitor those of its inputs."""
    monitor = next((each for each in site.monitors if each.id == _owner(tag)), None)
    if monitor is None:
        return {_owner(tag)}
    return {owner for each in monitor.inputs for owner in _owners(site, each)}


def _hang_on(site: Site, owner: str) -> tuple[Interlock, ...]:
    """Rows with a cause among the points of one device or battery."""
    return tuple(
        row
        for row in site.interlocks
        if any(owner in _owners(site, cause.tag) for cause in row.causes)
    )


def stopping_rows(site: Site, plan: StopPlan) -> tuple[int, ...]:
    """Interlocks, by row, that would stop the battery and that the silence does not explain."""
    return tuple(
        at
        for at, row in enumerate(site.interlocks)
        if row.id not in plan.expected
        and any(
            each.action in STOPS and each.asset in (None, plan.battery.id) for each in row.effects
        )
    )


def revert_text(plan: SilencePlan) -> str:
    """What the register map promises."""
    if plan.revert_ns == INT64_MAX:
        return "its register map promises no fallback"
    return f"its register map says it goes back after {plan.revert_ns / NS_PER_S:g} s"


# ---- what was seen


@dataclass(slots=True)
class Trace:
    """What was taken while a test ran.

    commits_ns  start of each scan that committed a set point for the device
    acks        (start of a scan, writes whose fate was known at its end)
    samples     (when the reply was complete, W) of the watched tag, good ones only
    """

    commits_ns: list[int] = field(default_factory=list)
    acks: list[tuple[int, int]] = field(default_factory=list)
    samples: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stop:
    """What the device did. stop_ns: None where it did not stop.

    resolution_ns  the true time is at most so much shorter
    """

    last_write_ns: int
    stop_ns: int | None
    resolution_ns: int
    observed_ns: int
    last_power_w: float
    outcome: Outcome


def last_write_ns(trace: Trace, muted_ns: int) -> int:
    """Start of the scan whose set point was the last to reach the wire.

    Each commit is sent once and in order, or replaced by a later one that has not been sent
    either. So commits less acknowledgements is the number of replaced ones, plus those still
    on their way at a look; the least difference that was seen is without the latter.
    """
    replaced = min(
        bisect_right(trace.commits_ns, when_ns) - count
        for when_ns, count in trace.acks
        if when_ns <= muted_ns
    )
    last = replaced + max(count for when_ns, count in trace.acks if when_ns <= muted_ns + FATE_NS)
    return trace.commits_ns[min(max(last, 1), len(trace.commits_ns)) - 1]


def seen_since(plan: SilencePlan, trace: Trace, written_ns: int) -> list[tuple[int, float]]:
    """What the watched point showed after the last write.

    Raises NotMeasuredError where it was not seen for too long.
    """
    seen = [each for each in trace.samples if each[0] >= written_ns]
    if not seen:
        raise _unseen(plan, 0)
    for before, after in pairwise(seen):
        if after[0] - before[0] > GAP_MAX_NS:
            raise _unseen(plan, after[0] - before[0])
    return seen


def judge(plan: StopPlan, trace: Trace, muted_ns: int, period_ns: int) -> Stop:
    """What a silence shows so far.

    muted_ns   when the device was silenced
    period_ns  of the scan: a write leaves within one after its commit

    Raises NotMeasuredError where the power was not seen for too long.
    """
    written_ns = last_write_ns(trace, muted_ns)
    seen = seen_since(plan, trace, written_ns)
    observed_ns, power_w = seen[-1][0] - written_ns, seen[-1][1]
    at = settled(seen, lambda power_w: abs(power_w) <= plan.tolerance_w)
    if at is None:
        outcome: Outcome = "kept its setpoint" if plan.reached(power_w) else "went elsewhere"
        return Stop(written_ns, None, period_ns, observed_ns, power_w, outcome)
    between_ns = seen[at][0] - seen[at - 1][0] if at else seen[at][0] - written_ns
    stop_ns = seen[at][0] - written_ns
    return Stop(written_ns, stop_ns, period_ns + between_ns, observed_ns, power_w, "to zero")


def settled(seen: Sequence[tuple[int, float]], there: Callable[[float], bool]) -> int | None:
    """The first sample there from which it stayed there for STAY_NS; None without one."""
    first = None
    for at, (when_ns, power_w) in enumerate(seen):
        if not there(power_w):
            first = None
        elif first is None:
            first = at
        if first is not None and when_ns - seen[first][0] >= STAY_NS:
            return first
    return None


def _unseen(plan: SilencePlan, gap_ns: int) -> NotMeasuredError:
    return NotMeasuredError(
        where=plan.watched,
        problem=f"no good value for {gap_ns / NS_PER_S:g} s of the silence"
        if gap_ns
        else "no good value after the last write",
        because="What nobody saw is not proven.",
        remedy="See why it is not read in time: edgectl watch, edgectl top.",
    )
