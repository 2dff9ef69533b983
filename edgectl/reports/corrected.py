"""A period's books with their corrections applied; the books as written stay beside them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from edgectl.accounting.apportion import largest_remainder
from edgectl.reports.books import Books, Hour, Way
from edgectl.reports.mixture import FROM_BEFORE, GENERATOR, SOURCES, THROUGH


@dataclass(frozen=True, slots=True)
class Applied:
    """What one source or sink of the period gained or lost."""

    name: str
    source: bool
    difference_mj: int


def corrected(books: Books) -> Books:
    """The same period with its corrections applied; the books themselves where there are none."""
    if not any(hour.change for hour in books.hours.values()):
        return books
    storages = set(books.names.storages) if books.names else set()
    hours = {start: _hour(hour, storages) for start, hour in books.hours.items()}
    series = {at: Counter(each) for at, each in books.series.items()}
    for at, change in books.series_change.items():
        series[at].update(change)
    return replace(books, hours=hours, series=series)


def _hour(hour: Hour, storages: set[str]) -> Hour:
    if not hour.change:
        return hour
    energy_mj, counts = _sum(hour.energy_mj, hour.change.energy_mj), Counter(hour.counts)
    for (_, grade), scans in hour.change.moved.items():
        moved = min(scans, counts[grade])
        counts[grade] -= moved
        counts["recovered"] += moved
    return replace(
        hour, energy_mj=energy_mj, carbon_ug=_sum(hour.carbon_ug, hour.change.carbon_ug),
        origins_mj=_origins(energy_mj, hour.origins_mj, storages), counts=counts,
    )  # fmt: skip


def _sum(booked: Mapping[Way, int], change: Mapping[Way, int]) -> Counter[Way]:
    found = Counter(booked)
    found.update(change)
    return Counter({way: amount for way, amount in found.items() if amount})


def _origins(
    energy_mj: Mapping[Way, int], booked: Mapping[Way, int], storages: set[str]
) -> Counter[Way]:
    """By sink and origin: direct energy is the cell's own, that of batteries keeps its mixture."""
    found, through = Counter[Way](), Counter[str]()
    for (source, sink), mj in energy_mj.items():
        if source in storages:
            through[sink] += mj
        else:
            found[sink, SOURCES.get(source, GENERATOR)] += mj
    for sink, mj in through.items():
        weights = [booked.get((sink, origin), 0) for origin in THROUGH]
        if not any(weights):
            found[sink, FROM_BEFORE] += mj
            continue
        for origin, part in zip(THROUGH, largest_remainder(mj, weights), strict=True):
            found[sink, origin] += part
    return Counter({way: mj for way, mj in found.items() if mj})


def applied(hours: Iterable[Hour]) -> list[Applied]:
    """What the corrections gave to each source and sink over the period."""
    total: Counter[tuple[str, bool]] = Counter()
    for hour in hours:
        total.update(hour.change.margins_mj)
    return [Applied(name, source, mj) for (name, source), mj in sorted(total.items()) if mj]


@dataclass(frozen=True, slots=True)
class Balance:
    """What the site's balance made of some sinks' corrections beyond what their own cells say.

    mj   of energy that comes from another source; the sinks' sums are the same
    ug   of carbon that is added
    """

    mj: int
    ug: int


def balanced(hours: Iterable[Hour], sinks: Collection[str]) -> Balance:
    """What a report has of these sinks that a receipt cannot: it knows no cells of others."""
    moved_mj, added_ug = Counter[Way](), 0
    for hour in hours:
        change = hour.change
        for cells, sign in ((change.energy_mj, 1), (change.own_mj, -1)):
            for way, mj in cells.items():
                moved_mj[way] += sign * mj
        for cells, sign in ((change.carbon_ug, 1), (change.own_ug, -1)):
            added_ug += sign * sum(ug for (_, sink), ug in cells.items() if sink in sinks)
    return Balance(
        sum(mj for (_, sink), mj in moved_mj.items() if sink in sinks and mj > 0), added_ug
    )
