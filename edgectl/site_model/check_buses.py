"""What the buses of a site file must be: a tree, and everything at one place."""

from edgectl.profiles.problems import RANK_REFERENCE, did_you_mean
from edgectl.site_model.context import Context

WHY = "What stands behind a feeder decides what its power was, and whose energy it carried."


def check_buses(context: Context) -> None:
    """Report unknown names, a second root, a ring, and what stands at two buses."""
    buses = context.file.bus
    if not buses:
        return
    known = {each.id for each in buses}
    if len(known) < len(buses):
        _add(context, 0, "id", "two buses have the same id", "Give each its own.")
    for at, bus in enumerate(buses):
        if bus.fed_by is not None and bus.fed_by not in known:
            _add(
                context, at, "fed_by", f"unknown bus {bus.fed_by}", did_you_mean(bus.fed_by, known)
            )
    roots = [each.id for each in buses if each.fed_by is None]
    if len(roots) != 1:
        _add(
            context, 0, "fed_by", f"{len(roots)} buses are fed by none; exactly one is the grid's",
            "Name for each other bus the one that feeds it.",
        )  # fmt: skip
    elif ring := _ring(context):
        _add(
            context,
            0,
            "fed_by",
            f"{', '.join(ring)} feed one another",
            "Let one be fed from above.",
        )
    _check_holds(context)


def _check_holds(context: Context) -> None:
    file = context.file
    blocks = {each.id for each in file.pv}
    known = blocks | {each.id for each in file.load} | {each.id for each in file.battery}
    seen: dict[str, str] = {}
    pv_at: set[str] = set()
    for at, bus in enumerate(file.bus):
        for own in bus.holds:
            if own not in known:
                _add(context, at, "holds", f"unknown {own}", did_you_mean(own, known))
            elif own in seen:
                _add(
                    context, at, "holds", f"{own} stands at {seen[own]} already",
                    "Name it at one bus.",
                )  # fmt: skip
            seen[own] = bus.id
        pv_at |= {bus.id} if blocks & set(bus.holds) else set()
    loose = blocks - set(seen)
    if len(pv_at) + bool(loose and pv_at) > 1:
        _add(
            context, 0, "holds", "PV blocks stand at several buses; they are one source here",
            "Name all of them at one bus.",
        )  # fmt: skip


def _ring(context: Context) -> list[str]:
    """Buses that lead round instead of to the root."""
    above = {each.id: each.fed_by for each in context.file.bus}
    for start in above:
        seen: list[str] = []
        at: str | None = start
        while at is not None and at not in seen:
            seen.append(at)
            at = above.get(at)
        if at is not None:
            return seen
    return []


def _add(context: Context, at: int, key: str, problem: str, remedy: str) -> None:
    context.add(context.path("bus", at, key), problem, WHY, remedy, RANK_REFERENCE)
