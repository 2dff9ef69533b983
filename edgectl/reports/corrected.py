"""A period's books with their corrections applied; the books as written stay beside them."""

from collections import Counter
from collections.abc import Iterable, Mapping
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
    return replace(books, hours=hours)


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
