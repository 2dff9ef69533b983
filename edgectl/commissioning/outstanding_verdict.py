"""What a profile should say of how many requests its device takes at once, and why."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgectl.commissioning.client import NS_PER_MS, DeviceError, Failure, Line, TcpAddress
from edgectl.commissioning.outstanding import Conditions, Tally, tallies
from edgectl.commissioning.outstanding_reads import Sample, samples
from edgectl.commissioning.probe import Probed
from edgectl.profiles.model import Profile

SAMPLES_MIN = 2  # of one read alone no mix-up shows
ROOM = 1.5  # of reply_ms over the slowest reply seen
TIMEOUT_TIMES = 3  # docs/transport.md: of the slowest reply
WORTH = 0.8  # of the time of a read: several at once that take longer are not worth it
SLOWER = 1.5  # times as long at once as alone: the device holds replies back
QUICK_NS = 1_000_000  # below, a read's time is more this program's than the device's


@dataclass(frozen=True, slots=True)
class Proposal:
    """The lines of [modbus].

    why  a max_outstanding of 1 is to stay; reply_ms and timeout_ms then stay as they are
    """

    max_outstanding: int
    reply_ms: int | None = None
    timeout_ms: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """All that was found out of requests at once.

    after  why it does not answer singly since a number failed; "" where it does
    """

    samples: Sequence[Sample]
    tallies: Sequence[Tally]
    proposal: Proposal
    after: str = ""

    @property
    def greatest(self) -> Tally | None:
        """The greatest number at which all went well."""
        passed = [each for each in self.tallies if each.passed]
        return passed[-1] if passed else None

    @property
    def failed(self) -> Tally | None:
        """The number that did not go well."""
        return next((each for each in self.tallies if not each.passed), None)


def outstanding(line: Line, probed: Probed, told: Callable[[], None]) -> Outstanding:
    """Find out how many requests at once one unit takes; `told` is called after each round.

    Raises DeviceError where that cannot be found out.
    """
    assert isinstance(line.address, TcpAddress), "a serial line carries one request at a time"
    if line.gap_ms > 0:
        why = f"it is asked with gap_ms = {line.gap_ms}: what needs a pause takes one at a time"
        return Outstanding((), (), Proposal(1, why=why))
    reads = samples(line, probed)
    line.close()  # many devices take one connection
    if len(reads) < SAMPLES_MIN:
        raise DeviceError(
            where=f"{line.address} unit {probed.unit}",
            problem=f"{len(reads)} different reads are answered; at least {SAMPLES_MIN} are needed",
            because="Replies to requests that are all alike can be mixed up and nobody sees it.",
            remedy="Name a profile of the device with --profile.",
        )
    profile = probed.profile
    asking = Conditions(
        line.address,
        probed.unit,
        line.timeout_ms,
        line.connect_timeout_ms,
        profile is not None and profile.any_unit,
        profile.settle_ns / 1e9 if profile else 0.0,
    )
    found = tallies(asking, reads, told)
    alone = found[0]
    if not alone.passed:
        raise DeviceError(
            where=f"{line.address} unit {probed.unit}",
            problem=f"it fails when asked one at a time: {alone.first}",
            because=f"That was in {alone.failed} of {alone.rounds} rounds of "
            "single reads; several at once were not tried.",
            remedy="Put this right first: a longer --timeout-ms, the cable, another master on it.",
        )
    after = ""
    if not found[-1].passed:
        first = reads[0]
        answer = line.read(probed.unit, first.function, first.address, first.count)
        after = answer.text if isinstance(answer, Failure) else ""
    return Outstanding(reads, found, propose(found, profile), after)


def propose(found: Sequence[Tally], profile: Profile | None) -> Proposal:
    """What the profile should say, of tallies of which the first, of single reads, passed."""
    alone, *_ = found
    best = [each for each in found if each.passed][-1]
    if best is alone:
        return Proposal(1, why=f"{found[-1].at_once} at once: {found[-1].kind.value}")
    if best.read_ns > max(QUICK_NS, WORTH * alone.read_ns):
        ms = [each.read_ns / NS_PER_MS for each in (alone, best)]
        cause = "they only wait for each other"
        if best.read_ns > SLOWER * alone.read_ns:
            cause = "each reply seems to wait until the one before it is acknowledged, as without "
            cause += "TCP_NODELAY in the device"
        why = f"nothing is gained: a read takes {ms[0]:.2f} ms alone and {ms[1]:.2f} ms among "
        return Proposal(1, why=f"{why}{best.at_once}; {cause}")
    turn_ns = max(alone.slowest_ns, best.slowest_ns / best.at_once)
    reply_ms = math.ceil(ROOM * turn_ns / NS_PER_MS)
    timeout_ms = math.ceil(TIMEOUT_TIMES * best.slowest_ns / NS_PER_MS)
    if profile is not None:
        if profile.reply_ns < profile.timeout_ns:  # as it is said in the file
            reply_ms = max(reply_ms, profile.reply_ns // NS_PER_MS)
        timeout_ms = max(timeout_ms, profile.timeout_ns // NS_PER_MS)
    return Proposal(best.at_once, reply_ms, max(timeout_ms, best.at_once * reply_ms))
