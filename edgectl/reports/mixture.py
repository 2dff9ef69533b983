"""What a battery gives, told to where it came from, as the ledger has it.

The kernel follows the origins of what each battery holds, scan by scan; a record says how much of
what a battery gave was of which, in all and to each tenant. Here it is shared out among the sinks
of each part of a record, minute by minute, so that every sink and every origin adds up exactly.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from edgectl.ledger.origins import shared_out

GRID, PV, UNMETERED, GENERATOR = "grid", "pv", "unmetered", "generator"
FROM_PV, FROM_GRID = "pv through battery", "grid through battery"
FROM_GENERATOR, FROM_BEFORE = "generator through battery", "battery, origin not known"
ORIGINS = (PV, FROM_PV, GRID, FROM_GRID, GENERATOR, FROM_GENERATOR, FROM_BEFORE, UNMETERED)
SOURCES = {GRID: GRID, PV: PV, UNMETERED: UNMETERED}  # any other source is a generator
THROUGH = (FROM_GRID, FROM_PV, FROM_GENERATOR, FROM_BEFORE)  # in the order of the ledger's origins

Way = tuple[str, str]


def by_origin(
    cells: Mapping[Way, int], storages: Sequence[str], given_mj: Mapping[str, Sequence[int]]
) -> Counter[Way]:
    """mJ by sink and origin of one part's cells.

    cells      mJ by source and sink
    given_mj   what each battery gave to this part, by origin as the ledger has them; one that is
               not named gave what is of no known origin
    """
    found: Counter[Way] = Counter()
    fed: dict[str, list[tuple[str, int]]] = {}
    for (source, sink), mj in cells.items():
        if source in storages:
            fed.setdefault(source, []).append((sink, mj))
        else:
            found[sink, SOURCES.get(source, GENERATOR)] += mj
    for source, sinks in fed.items():
        origins_mj = given_mj.get(source, (0,) * len(THROUGH))
        for (sink, _), shares in zip(
            sinks, shared_out([mj for _, mj in sinks], origins_mj), strict=True
        ):
            for origin, mj in zip(THROUGH, shares, strict=True):
                if mj:
                    found[sink, origin] += mj
    return found
