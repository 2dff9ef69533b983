"""What a proof test of one row injects, and what it must see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgectl.errors import EdgectlError
from edgectl.site_model.tables_directory import interlock_digest

INJECTIONS_MAX = 8  # of interlock.pxd
INJECTION_NS_MAX = 600_000_000_000  # of authority.pxd
MARGIN_RATIO = 0.01  # beyond the threshold, of it: clear of any rounding
MARGIN_MIN = 1e-3
REACT_AFTER_NS = 2_000_000_000  # over the on-delay, before it counts as not tripped
NS_PER_S = 1_000_000_000


class NotTestableError(EdgectlError):
    """The row cannot be tested now. Nothing was injected."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class TestPlan:
    """One row's test.

    values      (cause within the row, value injected), as many as its vote needs
    storages    indices of the batteries its effects reach
    actions     (action, value of the effect) on those
    """

    row: int
    id: str
    title: str
    digest: str
    values: tuple[tuple[int, float], ...]
    on_delay_ns: int
    off_delay_ns: int
    reset: str
    storages: tuple[int, ...]
    actions: tuple[tuple[str, float], ...]
    opens: bool
    period_ns: int

    @property
    def bound_ns(self) -> int:
        """Within it the row must have tripped: its on-delay and one scan."""
        return self.on_delay_ns + self.period_ns

    @property
    def length_ns(self) -> int:
        """How long the values stand at most."""
        return self.on_delay_ns + REACT_AFTER_NS + 10 * self.period_ns


def beyond(cause: Mapping[str, Any]) -> float:
    """A value on the tripping side of a cause's threshold."""
    on, op = float(cause["on"]), str(cause["op"])
    margin = max(abs(on) * MARGIN_RATIO, abs(on - float(cause["off"])) * MARGIN_RATIO, MARGIN_MIN)
    if op == "above":
        return on + margin
    if op == "below":
        return on - margin
    if op == "not_equal":
        return on + 1.0
    if op == "limit":
        return on / 2.0
    return on if op == "equal" else 0.0


def plan_test(directory: Mapping[str, Any], row_id: str) -> TestPlan:
    """The plan of one row. Raises NotTestableError where there can be none."""
    rows = directory["interlocks"]
    place = next((at for at, each in enumerate(rows) if each["id"] == row_id), None)
    if place is None:
        ids = ", ".join(str(each["id"]) for each in rows)
        raise NotTestableError(
            where=row_id,
            problem=f"the running site {directory['site']} has no such row",
            because="A test of another row would prove nothing of this one.",
            remedy=f"Name one of: {ids}.",
        )
    spec = rows[place]
    need = int(str(spec["vote"]).partition("oo")[0])
    if need > INJECTIONS_MAX:
        raise _cannot(
            row_id,
            f"its vote {spec['vote']} needs {need} values at once; the kernel "
            f"takes {INJECTIONS_MAX}",
        )
    if int(spec["on_delay_ns"]) + REACT_AFTER_NS > INJECTION_NS_MAX - REACT_AFTER_NS:
        raise _cannot(
            row_id,
            f"its on-delay is {int(spec['on_delay_ns']) / NS_PER_S:g} s; a value "
            f"may stand for {INJECTION_NS_MAX // NS_PER_S} s",
        )
    return TestPlan(
        row=place,
        id=row_id,
        title=str(spec["title"]),
        digest=interlock_digest(spec),
        values=tuple((at, beyond(each)) for at, each in enumerate(spec["causes"][:need])),
        on_delay_ns=int(spec["on_delay_ns"]),
        off_delay_ns=int(spec["off_delay_ns"]),
        reset=str(spec["reset"]),
        storages=reached(directory, spec["effects"]),
        actions=tuple((str(each["action"]), float(each["value"])) for each in spec["effects"]),
        opens=any(each["action"] in ("open_request", "safe_state") for each in spec["effects"]),
        period_ns=int(directory["period_ns"]),
    )


def reached(directory: Mapping[str, Any], effects: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Batteries that the effects act on."""
    acting = [each for each in effects if each["action"] not in ("alarm", "shed", "refuse_shed")]
    return tuple(
        at
        for at, storage in enumerate(directory["storages"])
        if any(each["asset"] in (None, storage["id"]) for each in acting)
    )


def refuse_unless_clear(plan: TestPlan, image: Any) -> None:
    """Raise NotTestableError unless the row is clear, not bypassed and not under test."""
    row = image["interlocks"][plan.row]
    if row["bypassed"]:
        raise _cannot(plan.id, "it is bypassed: it would trip without effect")
    if row["under_test"]:
        raise _cannot(plan.id, "it is already under test")
    if row["status"]:
        word = ("clear", "waiting out its on-delay", "tripped", "latched")[int(row["status"])]
        raise _cannot(plan.id, f"it is {word}: a row that stands cannot be seen to trip")


def _cannot(row_id: str, problem: str) -> NotTestableError:
    return NotTestableError(
        where=row_id,
        problem=problem,
        because="A proof test must see the row go from clear to tripped by its own values.",
        remedy="See why it stands: edgectl why " + row_id + ". Nothing was injected.",
    )
