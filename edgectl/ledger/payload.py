"""What a record of the ledger says, and its bytes.

START names a run of the controller and the order of its sources, sinks and storages; NAMES says
the same again before each signed head, so that an hour can be read alone. SECOND sums the scans of
one UTC second. GAP says that scans were lost to the ledger, and how many. CLOCK says that UTC was
set or a leap second is due. COUNTER is a count of somebody's compute, with its source. CORRECTION
refers to an earlier record, which stays as it is. FACTOR is an emission factor that seconds name.
or that a meter was changed, as somebody signed it.

Energy and carbon are sums of the journal's integers; nothing is rounded on the way. What concerns
a tenant's loads stands in the tenant's part, the rest in the site's: see record.py.

Canonical: msgpack with map keys sorted, integers in their shortest form, floats as 64 bits, no NaN
(what is not known is nil). Long rows of integers are one binary of little-endian int64, so that a
second has the same length as the next. A reader passes over keys it does not know: keys may be
added; one that changes its meaning gets a new PAYLOAD_VERSION. It passes over kinds, too.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgpack
import numpy as np

from edgectl.ledger.origins import (
    ACCOUNTS,
    OPENINGS,
    ORIGINS,
    storage_rows,
    storage_rules,
    through,
)

PAYLOAD_VERSION = 2
SECOND_NS = 1_000_000_000
MJ_PER_KWH = 3_600_000_000
UG_PER_MG = 1_000
INTERLOCK_TRIPPED = 2  # InterlockStatus; what is at or above it acts
QUALITY_GOOD = 2  # Quality
FACTOR_NAME_BYTES = 8  # of the SHA-256 of a FACTOR record's content
NAMED = struct.Struct(f"<{FACTOR_NAME_BYTES}sIi")  # factor, scans, s that its time was over

# The site's part of a SECOND has these, in this order, as int64 under "figures".
FIGURES = (
    "measured", "estimated", "substituted", "used_min_mg_per_kwh", "used_max_mg_per_kwh",
    "lateness_max_ns", "overruns", "armed_scans", "safe_state_scans", "dry_run_scans",
    "carbon_default_scans", "writes", "balance_error_mj", "balance_error_ug",
)  # fmt: skip
# Rows of int64, and how many stand in one: of the batteries, or of those that fed a tenant.
ROWS = {
    "stocks": 2, "stock_origins_mj": len(ORIGINS), "delivered_mj": len(ORIGINS),
    "storage_accounts": len(ACCOUNTS), "storage_openings": len(OPENINGS),
    "through_mj": len(ORIGINS),
}  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]
Payload = dict[str, Any]


class Kind(IntEnum):
    """Kinds of record. UNKNOWN is one of a later edgectl, when it is read back."""

    UNKNOWN = -1
    START = 0
    SECOND = 1
    GAP = 2
    CLOCK = 3
    CORRECTION = 4
    COUNTER = 5
    NAMES = 6
    FACTOR = 7
    METER = 8


@dataclass(frozen=True, slots=True)
class Said:
    """What one record says: what all may see, and the parts, the site's first."""

    public: Payload
    parts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Correct:
    """A correction that is to be appended.

    last_seq   of the SECOND record it refers to: the last that it corrects
    part       whose figures they are
    """

    last_seq: int
    reason: str
    figures: Payload
    part: int = 0


@dataclass(frozen=True, slots=True)
class MeterSaid:
    """A METER record that is to be appended.

    what   standing or swap
    """

    what: str
    content: Payload
    part: int = 0


@dataclass(frozen=True, slots=True)
class Dark:
    """A time in which no controller ran: a GAP record of no scans."""

    before_ns: int
    after_ns: int


Appended = Correct | MeterSaid | Dark


@dataclass(frozen=True, slots=True)
class Split:
    """How the sinks of a run are divided between the site, at 0, and its tenants."""

    sink_parts: Array  # for each sink: the index of its part
    load_points: tuple[tuple[int, ...], ...]  # for each part: journaled points of its loads

    @property
    def parts(self) -> int:
        """The site's and the tenants'."""
        return len(self.load_points)


def split_of(directory: Mapping[str, Any]) -> Split:
    """Who gets which sink. What no tenant has is the site's.

    directory   of the segment
    """
    owners: dict[str, int] = {}
    for at, tenant in enumerate(directory.get("tenants") or (), start=1):
        owners |= dict.fromkeys(tenant["loads"], at)
    journaled = [each["name"] for each in directory["points"] if each["journaled"]]
    places = {name: at for at, name in enumerate(journaled)}
    count = 1 + len(directory.get("tenants") or ())
    points: list[list[int]] = [[] for _ in range(count)]
    for load in directory.get("loads", ()):
        if load["id"] in owners and load["power"] in places:
            points[owners[load["id"]]].append(places[load["power"]])
    sinks = np.array([owners.get(name, 0) for name in directory["sinks"]], np.int64)
    return Split(sinks, tuple(map(tuple, points)))


def canonical(value: Any) -> bytes:
    """The one encoding of a payload.

    Raises ValueError for NaN or infinity, TypeError for what msgpack cannot say.
    """
    return bytes(msgpack.packb(_ordered(value), use_bin_type=True))


PLAIN = frozenset((int, str, bytes, bool, type(None)))  # most values, told at once


def _ordered(value: Any) -> Any:
    if type(value) in PLAIN:
        return value
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


def integers(values: Any) -> bytes:
    """A row of integers as a record has it."""
    return np.asarray(values, "<i8").tobytes()


def start_said(directory: Mapping[str, Any], boot_id: int, stocks: Payload | None = None) -> Said:
    """Names behind the indices of one run's SECOND records: START and NAMES.

    directory   of the segment
    boot_id     UTC ns at which the controller made the segment
    stocks      what START alone says of what the batteries hold
    """
    site = {
        "boot_id": boot_id,
        **{
            name: directory.get(name)
            for name in ("site", "site_sha256", "zone", "carbon_basis", "period_ns", "sources",
                         "sinks", "methods", "buses", "feeders", "generators", "meters",
                         "factor_u_ratio", "default_mg_per_kwh")
        },
        **(stocks or {}),
        "storages": [each["id"] for each in directory["storages"]],
        "storage_ppm": [
            [each.get("charge_ppm"), each.get("discharge_ppm")] for each in directory["storages"]
        ],
        "interlocks": [each["id"] for each in directory["interlocks"]],
        "loads": [[each["id"], each["kind"]] for each in directory.get("loads", ())],
        "import_cap_w": directory.get("import_cap_w"),
        "tenants": [dict(each) for each in directory.get("tenants") or ()],
    }  # fmt: skip
    parts = [canonical(site)]
    for at, tenant in enumerate(directory.get("tenants") or (), start=1):
        own = split_of(directory).sink_parts == at
        parts.append(
            canonical(
                {
                    "tenant": tenant["id"],
                    "name": tenant["name"],
                    "zone": directory.get("zone"),
                    "carbon_basis": directory.get("carbon_basis"),
                    "sources": directory["sources"],
                    "sinks": [
                        [int(sink), directory["sinks"][sink]] for sink in np.flatnonzero(own)
                    ],
                }
            )
        )
    return Said({}, tuple(parts))


def gap_said(scans: int | None, before_ns: int | None, after_ns: int | None) -> Said:
    """Scans that ran and are not in the ledger.

    scans       how many; None where the run ended unseen and nobody can know
    before_ns   UTC ns of the last scan in the ledger before them, if any
    after_ns    UTC ns of the first one after them, if any
    """
    return Said({"scans": scans, "before_ns": before_ns, "after_ns": after_ns})


def clock_said(what: str, step_ns: int | None, before_ns: int | None, after_ns: int) -> Said:
    """UTC was set against the monotonic clock ("step"), or the kernel awaits a leap second.

    step_ns     by how much UTC went forward
    before_ns   UTC of the scan before; after_ns of this one
    """
    return Said({"what": what, "step_ns": step_ns, "before_ns": before_ns, "after_ns": after_ns})


def only_part(part: int, parts: int, content: Payload) -> tuple[bytes, ...]:
    """Parts of a record that concerns one alone; the others' are empty."""
    return tuple(canonical(content) if at == part else b"" for at in range(parts))


def correction_said(
    refers_to: int, reason: str, content: Payload, part: int = 0, parts: int = 1
) -> Said:
    """What an earlier record should have said. That record is not touched.

    refers_to   its number
    reason      why, in a sentence
    content     the figures as they are now known
    part        whose they are
    """
    said = {"reason": reason, "figures": content}
    return Said({"refers_to": refers_to}, only_part(part, parts, said))


def second_said(
    split: Split, meters: int, records: Array, period_before: int | None,
    factors: Payload | None = None,
) -> Said:  # fmt: skip
    """Sum the scans of one UTC second.

    split           of the run
    meters          metered quantities of the site: each is measured, estimated or
                    substituted in each scan
    records         journal records, consecutive, all of one second
    period_before   period index of the scan before them; None where unknown
    factors         what each part says of the emission factors that were booked with

    gap_scans counts the periods since the scan before in which no scan ran or
    none reached the ledger, so that scans + gap_scans adds up to periods.
    """
    head, flows = records["head"], records["flows"]
    energy_mj, carbon_ug = flows["energy_mj"].sum(axis=0), flows["carbon_ug"].sum(axis=0)
    scans = len(records)
    before = int(head["period"][0]) - 1 if period_before is None else period_before
    public = {
        "first_utc_ns": int(head["utc_ns"][0]),
        "last_utc_ns": int(head["utc_ns"][-1]),
        "scans": scans,
        "gap_scans": int(head["period"][-1]) - before - scans,
    }
    rows, columns = np.nonzero((energy_mj != 0) | (carbon_ug != 0))
    fed = through(energy_mj, split.sink_parts, records["storages"], split.parts)
    parts = []
    for part in range(split.parts):
        own = split.sink_parts[columns] == part
        cells = _cells(rows[own], columns[own], energy_mj, carbon_ug)
        if part == 0:
            cells |= _site_part(meters, records, energy_mj, carbon_ug)
        else:
            places = list(split.load_points[part])
            quality = records["points"]["quality"][:, places]
            cells |= {
                "samples": scans * len(places),
                "good_samples": int((quality == QUALITY_GOOD).sum()),
                "used_max_mg_per_kwh": int(head["grid_mg_per_kwh"].max()),
                "carbon_default_scans": int((head["carbon_default"] != 0).sum()),
                "through": bytes(source for source, _ in fed[part]),
                "through_mj": integers([origins_mj for _, origins_mj in fed[part]]),
            }
        parts.append(canonical(cells | (factors or {})))
    return Said(public, tuple(parts))


def _cells(rows: Array, columns: Array, energy_mj: Array, carbon_ug: Array) -> Payload:
    """Cells that are not empty, in the order of the table: where they stand, mJ, ug CO2e."""
    places = np.stack((rows, columns), axis=1).astype(np.uint8)
    return {
        "cells": places.tobytes(),
        "energy_mj": integers(energy_mj[rows, columns]),
        "carbon_ug": integers(carbon_ug[rows, columns]),
    }


def _site_part(meters: int, records: Array, energy_mj: Array, carbon_ug: Array) -> Payload:
    """What of a second is the site's alone."""
    head, storages = records["head"], records["storages"]
    estimated, substituted = (
        int(head[name].sum()) for name in ("meters_estimated", "meters_substituted")
    )
    grid_mj, grid_ug = int(energy_mj[0].sum()), int(carbon_ug[0].sum())
    figures = {
        "measured": meters * len(records) - estimated - substituted,
        "estimated": estimated,
        "substituted": substituted,
        "used_min_mg_per_kwh": head["grid_mg_per_kwh"].min(),
        "used_max_mg_per_kwh": head["grid_mg_per_kwh"].max(),
        "lateness_max_ns": head["lateness_ns"].max(),
        "overruns": head["overruns"][-1],
        "writes": head["writes"].sum(),
        "balance_error_mj": np.abs(head["balance_error_mj"]).sum(),
        "balance_error_ug": np.abs(head["balance_error_ug"]).sum(),
    }
    for name in ("armed", "safe_state", "dry_run", "carbon_default"):
        figures[f"{name}_scans"] = (head[name] != 0).sum()
    tripped = (records["interlocks"] >= INTERLOCK_TRIPPED).any(axis=0)
    return {
        "figures": integers([figures[name] for name in FIGURES]),
        **{name: integers(rows) for name, rows in storage_rows(storages).items()},
        "storage_rules": storage_rules(storages),
        "soc_ratio": [known(each) for each in storages[-1]["soc_ratio"]],
        "grid_min_w": known(head["grid_w"].min()),
        "grid_max_w": known(head["grid_w"].max()),
        "grid_mean_w": _mean(head["grid_w"]),
        "weighted_mg_per_kwh": grid_ug * MJ_PER_KWH // (UG_PER_MG * grid_mj) if grid_mj else None,
        "pue": _mean(head["pue"]),
        "tripped": [int(row) for row in np.flatnonzero(tripped)],
    }


def _mean(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def unpacked(part: bytes) -> Payload:
    """A part as a map, its binaries as lists: cells become [source, sink, mJ, ug]."""
    content = dict(msgpack.unpackb(part, raw=False)) if part else {}
    if "cells" in content:
        places = np.frombuffer(content["cells"], np.uint8).reshape(-1, 2).tolist()
        amounts = zip(
            np.frombuffer(content.pop("energy_mj"), "<i8").tolist(),
            np.frombuffer(content.pop("carbon_ug"), "<i8").tolist(),
            strict=True,
        )
        content["cells"] = [[*at, *amount] for at, amount in zip(places, amounts, strict=True)]
    for name, width in ROWS.items():
        if isinstance(content.get(name), bytes):  # START says of stocks how they open, as maps
            content[name] = np.frombuffer(content[name], "<i8").reshape(-1, width).tolist()
    for name in ("through", "storage_rules"):
        if name in content:
            content[name] = list(content[name])
    if "factors" in content:
        content["factors"] = [
            [name.hex(), *amounts] for name, *amounts in NAMED.iter_unpack(content["factors"])
        ]
    if isinstance(content.get("figures"), bytes):
        values = np.frombuffer(content.pop("figures"), "<i8").tolist()
        content |= dict(zip(FIGURES, values, strict=False))
    return content


def merged(public: Mapping[str, Any], parts: Sequence[bytes]) -> Payload:
    """All that a record says, as its operator sees it: the site's figures, everybody's cells."""
    site = unpacked(parts[0]) if parts else {}
    content = {**site, **public}
    if "cells" in site:
        cells = [cell for part in parts for cell in unpacked(part)["cells"]]
        content["cells"] = sorted(cells)
    elif not site:
        for part in parts:
            content |= unpacked(part)
    return content
