"""The answer to "why": steps, what bit in each, and the one sentence that comes first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgectl.explain.causes import RowNow
from edgectl.explain.scene import Scene

# What decides, the strongest first: the first of these that is found is the headline.
DECIDES = (
    "arming_refused",
    "not_armed",
    "stopping",
    "safe_state",
    "interlock",
    "ramp_to_zero",
    "command_blocked",
    "request_rejected",
    "hold",
    "derate",
    "limit_row",
    "soc_unknown",
    "reserve",
    "full",
    "grid_lost",
    "import_cap",
    "export_max",
    "rating",
    "dry_run",
    "not_identified",
    "firmware",
    "device_silent",
    "not_written",
    "readback",
    "not_following",
    "not_seen",
    "ramp",
    "unexplained",
    "deadband",
    "request_lapsed",
    "dwell",
    "feed_lost",
    "ready_ratio",
    "carbon_low",
    "carbon_middle",
    "refuse_shed",
    "floor",
    "nothing_deferrable",
    "tier",
    "no_limit",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that bit.

    code  for machines; DECIDES has them all
    rows  of the cause-and-effect table behind it
    """

    code: str
    text: str
    rows: tuple[RowNow, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the chain: what comes out of it, and what bit."""

    name: str
    value_w: float | None
    lines: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything there is to say about one asset in one scan."""

    asset: str
    scan: int
    utc_ns: int
    source: str
    headline: str
    steps: tuple[Step, ...]
    rows: tuple[RowNow, ...]
    since: dict[str, str]
    missing: tuple[str, ...] = field(default=())

    @property
    def codes(self) -> list[str]:
        """Codes of everything that bit, in the chain's order."""
        return [each.code for step in self.steps for each in step.findings]


def answer_of(
    scene: Scene, asset: str, steps: Sequence[Step], missing: Sequence[str], does: str
) -> Answer:
    """Put the steps together; the strongest finding makes the headline."""
    found = [each for step in steps for each in step.findings]
    found.sort(key=lambda each: DECIDES.index(each.code))
    because = f". What decides: {found[0].text}" if found else ". It does as it is asked"
    if found and found[0].rows:
        because += f" ({', '.join(row.id for row in found[0].rows)})"
    rows = {row.id: row for each in found for row in each.rows}
    return Answer(
        asset=asset,
        scan=int(scene.head["scan"]),
        utc_ns=int(scene.head["utc_ns"]),
        source=scene.source,
        headline=f"{does}{because}",
        steps=tuple(steps),
        rows=tuple(rows.values()),
        since={row.id: scene.since(row.row) for row in rows.values()},
        missing=tuple(missing),
    )
