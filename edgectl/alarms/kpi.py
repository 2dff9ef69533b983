"""How good the alarms are: rates, floods, chattering, stale alarms, priorities.

After ISA-18.2 and EEMUA 191; the figures are those that practice quotes from them. One
operator is meant. Pure functions of what the history holds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgectl.alarms.catalogue import PRIORITIES

NS_PER_S = 1_000_000_000
WINDOW_NS = 600 * NS_PER_S  # rates are counted per 10 min
FLOOD_ON_ABOVE = 10  # annunciations in 10 min: more than one a minute
FLOOD_OFF_BELOW = 5
CHATTER_COUNT, CHATTER_NS = 3, 60 * NS_PER_S  # three or more times within 60 s
STALE_NS = 24 * 3600 * NS_PER_S
TARGET_RATE = 1.0  # per 10 min, average: about 150 a day
TARGET_FLOOD_RATIO = 0.01
TARGET_STALE = 5
TARGET_SHARES = {"low": 0.80, "medium": 0.15, "high": 0.05}  # high and critical together
SHARES_MIN = 20  # annunciations; of fewer a share says nothing
MOST_FREQUENT = 10

Annunciation = tuple[int, str]  # ns of the alarm clock, id


@dataclass(frozen=True, slots=True)
class Kpis:
    """The figures of one span of time."""

    span_ns: int
    annunciations: int
    rate_average: float  # per 10 min
    rate_max: int  # in the fullest of the span's intervals of 10 min
    flood_ratio: float  # share of the time
    floods: int
    chattering: dict[str, int]  # id: most within 60 s
    stale: tuple[str, ...]
    standing: int
    shares: dict[str, float]  # of annunciations by priority
    most_frequent: tuple[tuple[str, int], ...]


def kpis(
    annunciations: Sequence[Annunciation], standing_since_ns: Mapping[str, int],
    priorities: Mapping[str, str], start_ns: int, end_ns: int,
) -> Kpis:  # fmt: skip
    """The figures from start_ns to end_ns, both included.

    annunciations      in order, from 10 min before start_ns on: a flood may have begun then
    standing_since_ns  of the alarms whose source is not clear at end_ns
    priorities         of every alarm
    """
    span_ns = max(end_ns - start_ns, 1)
    inside = [each for each in annunciations if start_ns <= each[0] <= end_ns]
    counts = Counter(alarm_id for _, alarm_id in inside)
    flooded = [
        (max(since_ns, start_ns), until_ns)
        for since_ns, until_ns in floods([when_ns for when_ns, _ in annunciations], end_ns)
        if until_ns > start_ns
    ]
    ranks = Counter(priorities.get(alarm_id, "low") for _, alarm_id in inside)
    return Kpis(
        span_ns=span_ns,
        annunciations=len(inside),
        rate_average=len(inside) * WINDOW_NS / max(span_ns, WINDOW_NS),
        rate_max=max(Counter((each - start_ns) // WINDOW_NS for each, _ in inside).values(),
                     default=0),
        flood_ratio=sum(until_ns - since_ns for since_ns, until_ns in flooded) / span_ns,
        floods=len(flooded),
        chattering=chattering(inside),
        stale=tuple(sorted(
            each for each, since_ns in standing_since_ns.items() if end_ns - since_ns > STALE_NS
        )),
        standing=len(standing_since_ns),
        shares={each: ranks[each] / len(inside) if inside else 0.0 for each in PRIORITIES},
        most_frequent=tuple(sorted(counts.items(), key=lambda each: (-each[1], each[0]))
                            [:MOST_FREQUENT]),
    )  # fmt: skip


def floods(times_ns: Sequence[int], end_ns: int) -> list[tuple[int, int]]:
    """Spans of flood: from more than 10 within 10 min until fewer than 5.

    times_ns   of annunciations, in order
    end_ns     a flood that goes on ends here
    """
    # What comes and what leaves the window at one instant is one step.
    steps: Counter[int] = Counter()
    for each_ns in times_ns:
        steps[each_ns] += 1
        steps[each_ns + WINDOW_NS] -= 1
    found: list[tuple[int, int]] = []
    count, since_ns = 0, None
    for when_ns, change in sorted(steps.items()):
        if when_ns >= end_ns:
            break
        count += change
        if since_ns is None and count > FLOOD_ON_ABOVE:
            since_ns = when_ns
        elif since_ns is not None and count < FLOOD_OFF_BELOW:
            found.append((since_ns, when_ns))
            since_ns = None
    return found if since_ns is None else [*found, (since_ns, end_ns)]


def chattering(annunciations: Sequence[Annunciation]) -> dict[str, int]:
    """Alarms that were annunciated at least 3 times within 60 s, and the most within 60 s."""
    times_ns: dict[str, list[int]] = {}
    for when_ns, alarm_id in annunciations:
        times_ns.setdefault(alarm_id, []).append(when_ns)
    found: dict[str, int] = {}
    for alarm_id, own_ns in times_ns.items():
        first, most = 0, 0
        for place, when_ns in enumerate(own_ns):
            while when_ns - own_ns[first] > CHATTER_NS:
                first += 1
            most = max(most, place - first + 1)
        if most >= CHATTER_COUNT:
            found[alarm_id] = most
    return found


def verdicts(figures: Kpis) -> dict[str, bool]:
    """Whether each figure is as good as practice asks."""
    urgent = figures.shares["high"] + figures.shares["critical"]
    return {
        "rate_average": figures.rate_average <= TARGET_RATE,
        "rate_max": figures.rate_max <= FLOOD_ON_ABOVE,
        "flood_ratio": figures.flood_ratio < TARGET_FLOOD_RATIO,
        "chattering": not figures.chattering,
        "stale": len(figures.stale) < TARGET_STALE,
        # What matters is that the urgent stay rare; fewer of the low is no fault.
        "shares": figures.annunciations < SHARES_MIN or urgent <= 2 * TARGET_SHARES["high"],
    }
