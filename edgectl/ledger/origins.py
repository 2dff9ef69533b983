"""Where the energy out of batteries came from, as a record of one second says it.

The site's part has what each battery holds and gave, by origin, what was lost and corrected, and
by which rules; each tenant's part has how much of what the batteries gave them was of which
origin. The shares of all parts sum to what the battery gave, origin by origin, exactly.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

ORIGINS = ("grid", "pv", "generator", "other")  # Origin of inventory.pxd, in its order
OTHER = 3
ACCOUNTS = ("lost_mj", "lost_ug", "true_up_mj", "shortfall_mj", "true_ups")
# Stored energy that was declared, and carbon that was, or that is of what a restart found.
OPENINGS = ("opened_mj", "opened_ug")
FIRST_STORAGE = 3  # sources before them: grid, PV, unmetered; generators come after

Array = np.ndarray[Any, np.dtype[Any]]


def cumulative_shares(amount: int, weights: Sequence[int]) -> list[int]:
    """Share an amount out as the kernel does: exact in sum, in the order given.

    weights   not negative; all zero only where the amount is

    While the amount is not over the weights' sum, no share is over its weight.
    """
    whole = sum(weights)
    shares, below, given = [], 0, 0
    for weight in weights:
        below += weight
        upto = amount * below // whole if whole else 0
        shares.append(upto - given)
        given = upto
    return shares


def shared_out(amounts: Sequence[int], origins_mj: Sequence[int]) -> list[list[int]]:
    """Each amount by origin, so that every amount and every origin adds up.

    amounts      what a battery gave, by receiver
    origins_mj   the same by origin; the last is whatever the others leave of the amounts
    """
    left = [*map(int, origins_mj[:OTHER])]
    left.append(sum(amounts) - sum(left))
    found = []
    for amount in amounts:
        part = cumulative_shares(amount, left)
        left = [whole - own for whole, own in zip(left, part, strict=True)]
        found.append(part)
    return found


def through(
    energy_mj: Array, sink_parts: Array, storages: Array, parts: int
) -> list[list[tuple[int, list[int]]]]:
    """For each part: the batteries that fed it, as (source, mJ by origin).

    energy_mj    of one second, by source and sink; the batteries are those from FIRST_STORAGE
    sink_parts   for each sink: its part
    storages     StorageRecords of the second: scan by battery
    """
    found: list[list[tuple[int, list[int]]]] = [[] for _ in range(parts)]
    batteries_mj = energy_mj[FIRST_STORAGE : FIRST_STORAGE + storages.shape[1]]
    delivered_mj = storages["delivered_mj"].sum(axis=0)
    for at in np.flatnonzero(batteries_mj.sum(axis=1)).tolist():
        given = np.bincount(sink_parts, minlength=parts) * 0
        np.add.at(given, sink_parts, batteries_mj[at])
        shares = shared_out(given.tolist(), delivered_mj[at].tolist())
        for part, amount in enumerate(given.tolist()):
            if amount:
                found[part].append((FIRST_STORAGE + at, shares[part]))
    return found


def storage_rows(storages: Array) -> dict[str, Array]:
    """What the site's part says of its batteries, a row of integers for each.

    storages     StorageRecords of the second: scan by battery
    """
    last = storages[-1]
    return {
        "stocks": np.stack((last["stock_mj"], last["stock_ug"]), axis=1),
        "stock_origins_mj": last["stock_origins_mj"],
        "delivered_mj": storages["delivered_mj"].sum(axis=0),
        "storage_accounts": np.stack([storages[name].sum(axis=0) for name in ACCOUNTS], axis=1),
        "storage_openings": np.stack([storages[name].sum(axis=0) for name in OPENINGS], axis=1),
    }


def storage_rules(storages: Array) -> bytes:
    """Method and standby policy of each battery, StockMethod and StockStandby."""
    last = storages[-1]
    return bytes(np.stack((last["method"], last["standby"]), axis=1).astype(np.uint8).tobytes())
