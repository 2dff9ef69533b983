"""Rows that contradict each other: each may be right alone, and together they are a mistake."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from edgectl.profiles.problems import RANK_SAFETY
from edgectl.profiles.units import unit_text
from edgectl.site_model.context import Context
from edgectl.site_model.model import Cause, Interlock

Pair = tuple[Interlock, Interlock]


def check_contradictions(context: Context, rows: Sequence[Interlock]) -> None:
    """Report every pair of rows that cannot both be meant."""
    for row in rows:
        actions = {each.action for each in row.effects}
        if {"shed", "refuse_shed"} <= actions:
            _report(context, row, f"{row.id} asks to shed load and refuses to",
                    "Refusing wins, so its shedding would never happen.",
                    "Give each its own row.")  # fmt: skip
    for one, other in combinations(rows, 2):
        if len(one.causes) == len(other.causes) == 1:
            _check_pair(context, one, other)


def _check_pair(context: Context, one: Interlock, other: Interlock) -> None:
    for above, below in ((one, other), (other, one)):
        overlap = _overlap(above.causes[0], below.causes[0])
        if overlap and _opposite(above, below):
            _report(
                context,
                other,
                f"{above.id} and {below.id} both stand while {above.causes[0].tag} is {overlap}",
                "There the battery may neither charge nor discharge, and could never leave.",
                "Move one threshold, so that a way out is left.",
            )
    if _same(one.causes[0], other.causes[0]):
        actions = [{each.action for each in row.effects} for row in (one, other)]
        if ("shed" in actions[0] and "refuse_shed" in actions[1]) or (
            "refuse_shed" in actions[0] and "shed" in actions[1]
        ):
            _report(context, other, f"{one.id} and {other.id} have one cause, and one sheds "
                    "what the other refuses to", "Refusing wins, so nothing would be shed.",
                    "Remove one of them.")  # fmt: skip


def _overlap(above: Cause, below: Cause) -> str:
    """Where both causes are true, as text; empty where nowhere."""
    if above.tag != below.tag or (above.op, below.op) != ("above", "below") or above.on >= below.on:
        return ""
    low, high = (unit_text(each.on, each.unit) for each in (above, below))
    return f"between {low} and {high}"


def _opposite(one: Interlock, other: Interlock) -> bool:
    """Whether one takes the charging and the other the discharging of the same battery."""
    return any(
        _meet(mine, others)
        for taken, left in (("inhibit_charge", "inhibit_discharge"),
                            ("inhibit_discharge", "inhibit_charge"))
        for mine in _assets(one, taken)
        for others in _assets(other, left)
    )  # fmt: skip


def _assets(row: Interlock, action: str) -> Iterator[str | None]:
    return (each.asset for each in row.effects if each.action == action)


def _meet(one: str | None, other: str | None) -> bool:
    """Whether two targets have a battery in common; None is all of them."""
    return one is None or other is None or one == other


def _same(one: Cause, other: Cause) -> bool:
    return (one.tag, one.op, one.on) == (other.tag, other.op, other.on)


def _report(context: Context, row: Interlock, problem: str, because: str, remedy: str) -> None:
    at = next(n for n, each in enumerate(context.file.interlock) if each.id == row.id)
    context.add(context.path("interlock", at), problem, because, remedy, RANK_SAFETY)
