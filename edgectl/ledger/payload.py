"""What a row of the ledger says, and its bytes.

Three kinds of row. A START row names a run of the controller and the order of
its sources, sinks and storages. A SECOND row sums the scans of one UTC second.
A GAP row says that scans were lost to the ledger, and how many. Energy and
carbon are sums of the journal's integers; nothing is rounded on the way.

Canonical: msgpack with map keys sorted, integers in their shortest form, floats
as 64 bits, no NaN (what is not known is nil). Equal content is equal bytes.
"""

import hashlib
import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgpack
import numpy as np

PAYLOAD_VERSION = 1
SECOND_NS = 1_000_000_000
MJ_PER_KWH = 3_600_000_000
UG_PER_MG = 1_000
INTERLOCK_TRIPPED = 2  # InterlockStatus; what is at or above it acts

Array = np.ndarray[Any, np.dtype[Any]]
Payload = dict[str, Any]


class Kind(IntEnum):
    """Kinds of row."""

    START = 0
    SECOND = 1
    GAP = 2


def canonical(value: Any) -> bytes:
    """The one encoding of a payload.

    Raises ValueError for NaN or infinity, TypeError for what msgpack cannot say.
    """
    return bytes(msgpack.packb(_ordered(value), use_bin_type=True))


def leaf_hash(payload: bytes) -> bytes:
    """SHA-256 of 0x00 and the payload: a leaf of RFC 6962, section 2.1."""
    return hashlib.sha256(b"\x00" + payload).digest()


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_ordered(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no place in the ledger; say None")
    return value


def known(value: float) -> float | None:
    """A float as the ledger keeps it: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def start_payload(directory: Mapping[str, Any], boot_id: int) -> Payload:
    """Names behind the indices of the SECOND rows of one run.

    directory   of the segment
    boot_id     UTC ns at which the controller made the segment
    """
    return {
        "version": PAYLOAD_VERSION,
        "kind": "start",
        "boot_id": boot_id,
        **{
            name: directory.get(name)
            for name in ("site", "site_sha256", "zone", "period_ns", "sources", "sinks")
        },
        "storages": [each["id"] for each in directory["storages"]],
        "interlocks": [each["id"] for each in directory["interlocks"]],
        "loads": [[each["id"], each["kind"]] for each in directory.get("loads", ())],
        "import_cap_w": directory.get("import_cap_w"),
    }


def gap_payload(
    site: str, boot_id: int, first_seq: int, scans: int | None, before_ns: int | None,
    after_ns: int | None,
) -> Payload:  # fmt: skip
    """Scans that ran and are not in the ledger.

    first_seq   the first that is missing
    scans       how many; None where the run ended unseen and nobody can know
    before_ns   UTC ns of the last scan in the ledger before them, if any
    after_ns    UTC ns of the first one after them, if any
    """
    return {
        "version": PAYLOAD_VERSION,
        "kind": "gap",
        "site": site,
        "boot_id": boot_id,
        "first_seq": first_seq,
        "scans": scans,
        "before_ns": before_ns,
        "after_ns": after_ns,
    }


def second_payload(
    site: str, boot_id: int, meters: int, records: Array, period_before: int | None
) -> Payload:
    """Sum the scans of one UTC second.

    meters          metered quantities of the site: each is measured, estimated or
                    substituted in each scan
    records         journal records, consecutive, all of one second
    period_before   period index of the scan before them; None where unknown

    gap_scans counts the periods since the scan before in which no scan ran or
    none reached the ledger, so that scans + gap_scans adds up to periods.
    """
    head, flows, storages = records["head"], records["flows"], records["storages"]
    energy_mj = flows["energy_mj"].sum(axis=0)
    carbon_ug = flows["carbon_ug"].sum(axis=0)
    scans = len(records)
    first_period = int(head["period"][0])
    before = first_period - 1 if period_before is None else period_before
    estimated, substituted = (
        int(head[name].sum()) for name in ("meters_estimated", "meters_substituted")
    )
    tripped = (records["interlocks"] >= INTERLOCK_TRIPPED).any(axis=0)
    return {
        "version": PAYLOAD_VERSION,
        "kind": "second",
        "site": site,
        "boot_id": boot_id,
        "second": int(head["utc_ns"][0]) // SECOND_NS,
        "first_utc_ns": int(head["utc_ns"][0]),
        "last_utc_ns": int(head["utc_ns"][-1]),
        "first_seq": int(head["seq"][0]),
        "last_seq": int(head["seq"][-1]),
        "scans": scans,
        "gap_scans": int(head["period"][-1]) - before - scans,
        "cells": sparse(energy_mj, carbon_ug),
        "stocks": [
            [int(each["stock_mj"]), int(each["stock_ug"]), known(each["soc_ratio"])]
            for each in storages[-1]
        ],
        "quality": {
            "measured": meters * scans - estimated - substituted,
            "estimated": estimated,
            "substituted": substituted,
        },
        "grid": _grid(head, energy_mj, carbon_ug),
        "pue": _mean(head["pue"]),
        "lateness_max_ns": int(head["lateness_ns"].max()),
        "overruns": int(head["overruns"][-1]),
        "armed_scans": int((head["armed"] != 0).sum()),
        "safe_state_scans": int((head["safe_state"] != 0).sum()),
        "dry_run_scans": int((head["dry_run"] != 0).sum()),
        "carbon_default_scans": int((head["carbon_default"] != 0).sum()),
        "writes": int(head["writes"].sum()),
        "tripped": [int(row) for row in np.flatnonzero(tripped)],
        "balance_error_mj": int(np.abs(head["balance_error_mj"]).sum()),
        "balance_error_ug": int(np.abs(head["balance_error_ug"]).sum()),
    }


def sparse(energy_mj: Array, carbon_ug: Array) -> list[list[int]]:
    """Cells that are not empty: source, sink, mJ, ug CO2e, in the order of the table."""
    rows, columns = np.nonzero((energy_mj != 0) | (carbon_ug != 0))
    return [
        [int(row), int(column), int(energy_mj[row, column]), int(carbon_ug[row, column])]
        for row, column in zip(rows, columns, strict=True)
    ]


def _grid(head: Array, energy_mj: Array, carbon_ug: Array) -> Payload:
    """Grid power of the second, and its carbon intensity as used and as booked."""
    grid_mj, grid_ug = int(energy_mj[0].sum()), int(carbon_ug[0].sum())
    used = head["grid_mg_per_kwh"]
    return {
        "min_w": known(head["grid_w"].min()),
        "max_w": known(head["grid_w"].max()),
        "mean_w": _mean(head["grid_w"]),
        "used_min_mg_per_kwh": int(used.min()),
        "used_max_mg_per_kwh": int(used.max()),
        "weighted_mg_per_kwh": grid_ug * MJ_PER_KWH // (UG_PER_MG * grid_mj) if grid_mj else None,
    }


def _mean(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
