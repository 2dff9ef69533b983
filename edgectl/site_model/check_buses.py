"""What the buses of a site file must be: a tree, metered ties, and everything at one place."""

from edgectl.profiles.problems import RANK_REFERENCE, did_you_mean
from edgectl.site_model.context import Context

WHY = "What stands behind a feeder decides what its power was, and whose energy it carried."


def check_buses(context: Context) -> None:
    """Report unknown names, a second root, a ring, and what stands at two buses.

    fed_by makes a tree, in which an unmetered feeder follows from what stands behind it.
    Further feeders may close rings: they are metered.
    """
    buses = context.file.bus
    known = {each.id for each in buses}
    _check_feeders(context, known)
    if not buses:
        return
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
            context, 0, "fed_by", f"{', '.join(ring)} feed one another",
            "Let one be fed from above, and name a tie that closes a ring as a [[feeder]].",
        )  # fmt: skip
    _check_holds(context)


def _check_holds(context: Context) -> None:
    file = context.file
    known = {each.id for each in file.load} | {each.id for each in file.pv}
    known |= {each.id for each in file.battery} | {each.id for each in file.generator}
    seen: dict[str, str] = {}
    for at, bus in enumerate(file.bus):
        for own in bus.holds:
            if own in context.broken:
                continue
            if own not in known:
                _add(context, at, "holds", f"unknown {own}", did_you_mean(own, known))
            elif own in seen:
                _add(
                    context, at, "holds", f"{own} stands at {seen[own]} already",
                    "Name it at one bus.",
                )  # fmt: skip
            seen[own] = bus.id


def _check_feeders(context: Context, known: set[str]) -> None:
    """Both ends of a metered feeder are buses, and not the same one."""
    seen: set[str] = set()
    for at, feeder in enumerate(context.file.feeder):
        path = context.path("feeder", at)
        for key, bus in (("from_bus", feeder.from_bus), ("to_bus", feeder.to_bus)):
            if bus not in known:
                remedy = did_you_mean(bus, known) if known else "Name the buses with [[bus]]."
                context.add((*path, key), f"unknown bus {bus}", WHY, remedy, RANK_REFERENCE)
        if feeder.from_bus == feeder.to_bus:
            context.add(
                (*path, "to_bus"), f"it begins and ends at {feeder.to_bus}", WHY,
                "Name the bus at its other end.", RANK_REFERENCE,
            )  # fmt: skip
        if feeder.id in seen:
            context.add(
                (*path, "id"), f"a second feeder {feeder.id}", WHY, "Give each its own id.",
                RANK_REFERENCE,
            )  # fmt: skip
        seen.add(feeder.id)
        context.need_point((*path, "power"), feeder.power, "W")


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
