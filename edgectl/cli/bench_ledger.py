"""Figures of the ledger: append and verify in bulk, bytes on disk, the live writer's cost.

The site is made up, its numbers are not smooth: every load has noise of 0.5 % from second to
second, PV follows the sun with clouds, batteries charge at noon and discharge in the evening, and
grid carbon moves every five minutes, each value named and long out of its time. Energy and carbon
of a second are shared among sources as the kernel does, in integers, so the low digits are as
random as they are in the field.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgectl._kernel.layout import DTYPES
from edgectl.cli.bench_figures import Figures
from edgectl.image import private_segment
from edgectl.ledger.clock import ClockState
from edgectl.ledger.factors import LOCATION_AVERAGE, UsedFactor, factor_said
from edgectl.ledger.origins import (
    ORIGINS,
    cumulative_shares,
    shared_out,
    storage_rows,
    storage_rules,
    through,
)
from edgectl.ledger.payload import FIGURES, NAMED, Kind, canonical, integers
from edgectl.ledger.rows import Cursor, Entry, Row
from edgectl.ledger.signing import KeyRing
from edgectl.ledger.store import Ledger
from edgectl.ledger.verify import verify
from edgectl.ledger.writer import LedgerWriter

SITE = "bench"
START_S = 1_767_225_600  # 2026-01-01: 30 days are one file
DAY_S = 86_400
HOUR_S = 3_600
HOURS = 24
FACTOR_S = 300
SCANS = 10
TENANTS = 2
LIVE_SECONDS = 300
MW_MJ = 1_000_000_000  # energy of 1 MW in one second, in mJ
STANDBY_MJ = 2_000_000  # that a battery loses in a second, standing


class Campus:
    """A site of so many meters: of the grid, four batteries, three PV blocks, the rest loads."""

    def __init__(self, meters: int, seed: int = 1) -> None:
        """meters   at least 10; the same seed makes the same records"""
        self.random = np.random.default_rng(seed)
        self.batteries = 4
        self.loads = meters - 1 - self.batteries - 3
        self.base_mj = self.random.uniform(0.5, 4.0, self.loads) * MW_MJ
        self.wander = np.ones(self.loads)
        sinks = self.loads + self.batteries + 2
        owners = np.zeros(sinks, np.int64)
        owners[: self.loads] = np.arange(self.loads) % (TENANTS + 1)
        self.owners = owners
        self.grid_mg, self.stock_mg, self.cloud = 400_000, 310_000, 1.0
        self.storages = np.zeros((1, self.batteries), DTYPES["StorageRecord"])
        self.stocks = self.random.integers(10**12, 10**13, (self.batteries, 2))
        self.held_mj = self.random.integers(10**11, 10**12, (self.batteries, len(ORIGINS)))
        self.factor: UsedFactor | None = None

    def hour(self, start_s: int) -> Iterator[tuple[int, np.ndarray[Any, Any], Any]]:
        """Energy and carbon of every second of an hour: table of source by sink."""
        for second in range(start_s, start_s + HOUR_S):
            day = (second % DAY_S) / DAY_S
            if second % FACTOR_S == 0:
                self.grid_mg = int(self.grid_mg * self.random.uniform(0.97, 1.03)) or 1
                self.cloud = self.random.uniform(0.6, 1.0)
            self.wander += self.random.normal(0.0, 2e-4, self.loads)
            loads = self.base_mj * self.wander * self.random.normal(1.0, 0.005, self.loads)
            sun = max(0.0, np.sin((day - 0.25) * 2 * np.pi)) * self.cloud
            pv = 0.3 * self.base_mj.sum() * sun * self.random.normal(1.0, 0.003)
            charge = 1.5 * MW_MJ * self.random.normal(1.0, 0.002, self.batteries)
            charging, discharging = 0.42 < day < 0.58, 0.75 < day < 0.88
            sinks = np.concatenate((loads, charge * charging, [0.0, 0.01 * loads.sum()]))
            sources = np.zeros(3 + self.batteries)
            sources[1], sources[3:] = pv, charge * discharging
            sources[0] = sinks.sum() - sources.sum()
            energy_mj = np.outer(sources, sinks / sinks.sum()).astype(np.int64)
            mg = np.array([self.grid_mg, 0, self.grid_mg, *[self.stock_mg] * self.batteries])
            carbon_ug = (energy_mj * mg[:, None]) // 3_600_000
            yield second, energy_mj, carbon_ug

    def entries(self, start_s: int) -> list[Entry]:
        """The records of an hour, as the writer makes them: a factor before what names it."""
        entries: list[Entry] = []
        for second, energy_mj, carbon_ug in self.hour(start_s):
            if second % FACTOR_S == 0:
                entries.append(self._factor(second))
            entries.append(self._entry(second, energy_mj, carbon_ug))
        return entries

    def _factor(self, second: int) -> Entry:
        begin_ns = (second - HOUR_S) * 10**9
        self.factor = UsedFactor(
            "bench", LOCATION_AVERAGE, "direct", SITE, "1", f"{second:064x}", self.grid_mg,
            begin_ns, begin_ns + FACTOR_S * 10**9, begin_ns,
        )  # fmt: skip
        first = (second - START_S) * SCANS
        row = Row(Kind.FACTOR, START_S, second, first, first - 1, factor_said(self.factor).public)
        return row, Cursor(START_S, first, first, second * 10**9)

    def _entry(self, second: int, energy_mj: Any, carbon_ug: Any) -> Entry:
        rows, columns = np.nonzero((energy_mj != 0) | (carbon_ug != 0))
        first = (second - START_S) * SCANS
        utc_ns = second * 10**9 + int(self.random.integers(0, 10**6))
        self.storages["delivered_mj"] = [self._given(energy_mj[3:].sum(axis=1))]
        fed = through(energy_mj, self.owners, self.storages, TENANTS + 1)
        assert self.factor is not None, "an hour begins with one"
        named = NAMED.pack(self.factor.name, SCANS, self.factor.age_s(utc_ns))
        parts = []
        for part in range(TENANTS + 1):
            own = self.owners[columns] == part
            places = np.stack((rows[own], columns[own]), axis=1).astype(np.uint8)
            content: dict[str, Any] = {
                "cells": places.tobytes(),
                "energy_mj": integers(energy_mj[rows[own], columns[own]]),
                "carbon_ug": integers(carbon_ug[rows[own], columns[own]]),
                "factors": named,
                "factor_unknown_scans": 0,
            }
            if part == 0:
                self.stocks += self.random.integers(-(10**6), 10**6, self.stocks.shape)
                self.held_mj += self.random.integers(-(10**6), 10**6, self.held_mj.shape)
                content |= self._site(energy_mj)
            else:
                content |= {"samples": 70, "good_samples": 70, "carbon_default_scans": 0,
                            "used_max_mg_per_kwh": self.grid_mg,
                            "through": bytes(source for source, _ in fed[part]),
                            "through_mj": integers([given for _, given in fed[part]]),
                            }  # fmt: skip
            parts.append(canonical(content))
        public = {"first_utc_ns": utc_ns, "last_utc_ns": utc_ns + 900_000_000 + int(
            self.random.integers(0, 10**5)), "scans": SCANS, "gap_scans": 0}  # fmt: skip
        row = Row(Kind.SECOND, START_S, second, first, first + SCANS - 1, public, tuple(parts),
                  "synchronised")  # fmt: skip
        return row, Cursor(START_S, first + SCANS, first + SCANS, utc_ns)

    def _storages(self) -> dict[str, Any]:
        self.storages["stock_mj"], self.storages["stock_ug"] = self.stocks.T
        self.storages["stock_origins_mj"] = self.held_mj
        self.storages["lost_mj"] = STANDBY_MJ
        return storage_rows(self.storages)

    def _given(self, delivered_mj: Any) -> Any:
        """What each battery gave, by origin, in the mixture that it holds."""
        return [
            shared_out([int(given)], cumulative_shares(int(given), held))[0]
            for given, held in zip(delivered_mj, self.held_mj.tolist(), strict=True)
        ]

    def _site(self, energy_mj: Any) -> dict[str, Any]:
        grid_w = float(energy_mj[0].sum()) / 1000
        noise = self.random.normal(1.0, 0.002, 3)
        figures = self.random.integers(0, 50_000, len(FIGURES))
        return {
            "figures": integers(np.where(np.arange(len(FIGURES)) == 5, figures, 400)),
            **{name: integers(rows) for name, rows in self._storages().items()},
            "storage_rules": storage_rules(self.storages),
            "soc_ratio": [0.5, 0.52, 0.49, 0.51],
            "grid_min_w": grid_w * noise[0], "grid_max_w": grid_w * noise[1],
            "grid_mean_w": grid_w, "weighted_mg_per_kwh": self.grid_mg,
            "pue": 1.2 * noise[2], "tripped": [],
        }  # fmt: skip


def ledger_figures(days: float, meters: int) -> Figures:
    """Write and verify so many days of one-second records, and run the live writer a while.

    Records are made one hour at a time and not timed: what is timed is from a record's fields
    to its durable commit, the heads and seals of every hour included. After the first day the
    same figures come again under new times; packs are of an hour, so that saves no byte.
    """
    campus = Campus(meters)
    append_s, records = 0.0, 0
    with tempfile.TemporaryDirectory(prefix="edgectl-bench-", dir=_room()) as name:
        directory = Path(name)
        ring = KeyRing(directory / f"{SITE}.key")
        with Ledger(SITE, directory) as ledger:
            ring.settle(ledger)
            first_day: list[list[Entry]] = []
            for hour in range(max(1, round(days * 24))):
                if hour < HOURS:
                    first_day.append(campus.entries(START_S + hour * HOUR_S))
                entries = [later(each, hour // HOURS) for each in first_day[hour % HOURS]]
                begin_s = time.perf_counter()
                ledger.append(entries)
                state = ClockState(entries[-1][0].utc_s * 10**9, "synchronised", None)
                ring.sign(ledger, "interval", state)
                append_s += time.perf_counter() - begin_s
                records += len(entries)
        stored = sum(each.stat().st_size for each in directory.glob(f"{SITE}-*"))
        begin_s = time.perf_counter()
        (one,) = verify(directory, ring.signer.public)
        single_s = time.perf_counter() - begin_s
        begin_s = time.perf_counter()
        (result,) = verify(directory, ring.signer.public, processes=os.cpu_count() or 1)
        verify_s = time.perf_counter() - begin_s
        if not (one.good and result.good):
            raise AssertionError(f"a ledger just written does not verify: {one.bad or result.bad}")
    return {
        "records": records,
        "meters": meters,
        "tenants": TENANTS,
        "append_per_s": round(records / append_s),
        "verify_per_s": round(records / verify_s),
        "verify_per_s_one_process": round(records / single_s),
        "bytes_per_record": round(stored / records, 1),
        "live_writer_core_fraction": live_fraction(meters),
    }


def later(entry: Entry, days: int) -> Entry:
    """The same second so many days later."""
    row, reached = entry
    assert reached is not None, "every second here moves the cursor"
    scans, span_ns = days * DAY_S * SCANS, days * DAY_S * 10**9
    times = ("first_utc_ns", "last_utc_ns")
    public = {
        name: value + span_ns if name in times else value for name, value in row.public.items()
    }
    return (
        replace(row, utc_s=row.utc_s + days * DAY_S, first_seq=row.first_seq + scans,
                last_seq=row.last_seq + scans, public=public),
        Cursor(START_S, reached.next_seq + scans, reached.next_seq + scans,
               (reached.last_utc_ns or 0) + span_ns),
    )  # fmt: skip


def live_fraction(meters: int) -> float:
    """Processor time of the live writer over one second, by that second.

    Ten scans are read from a journal, summed, divided among tenants, hashed and committed;
    a head at the end is shared out over its interval. Waiting for the disk is no work.
    """
    said = live_directory(meters)
    segment = private_segment(said, SCANS * (LIVE_SECONDS + 2))
    layout, chance = segment.layout, np.random.default_rng(1)
    journal = np.frombuffer(segment.buffer, layout.record, layout.journal_slots,
                            layout.journal_offset)  # fmt: skip
    count = SCANS * LIVE_SECONDS
    head = journal["head"][:count]
    head["seq"] = head["period"] = np.arange(count)
    head["dt_ns"] = 10**9 // SCANS
    head["utc_ns"] = START_S * 10**9 + np.arange(count) * (10**9 // SCANS)
    cells = journal["flows"][:count]
    cells["energy_mj"] = chance.integers(10**7, 10**8, cells["energy_mj"].shape)
    cells["carbon_ug"] = cells["energy_mj"] // 9
    given = cells["energy_mj"][:, 3:].sum(axis=2)
    journal["storages"][:count]["delivered_mj"] = given[:, :, None] // len(ORIGINS)
    reader = segment.reader()
    with tempfile.TemporaryDirectory(prefix="edgectl-bench-", dir=_room()) as name:
        ring = KeyRing(Path(name) / f"{SITE}.key")
        with Ledger(SITE, Path(name)) as ledger:
            ring.settle(ledger)
            writer = LedgerWriter(ledger, reader)
            begin_s = time.process_time()
            for second in range(1, LIVE_SECONDS + 1):
                segment.head["journal_head"] = second * SCANS
                writer.add(reader.journal(writer.next_seq))
            ring.sign(ledger, "interval", ClockState(START_S * 10**9, "synchronised", None))
            return round((time.process_time() - begin_s) / LIVE_SECONDS, 5)


def live_directory(meters: int) -> dict[str, Any]:
    """What a controller of such a site says of itself."""
    storages = [{"id": f"BESS-{at}"} for at in range(4)]
    loads = [
        {"id": f"L-{at}", "kind": "it", "power": f"MTR-{at}.active_power"}
        for at in range(meters - 8)
    ]
    return {
        "site": SITE, "zone": "", "period_ns": 10**9 // SCANS, "devices": [], "interlocks": [],
        "points": [{"name": each["power"], "unit": "W", "journaled": True} for each in loads],
        "storages": storages, "pvs": [{"id": "PV"}], "loads": loads,
        "tenants": [
            {"id": f"T-{at}", "name": "", "loads": [each["id"] for each in loads[at::3]]}
            for at in range(TENANTS)
        ],
        "sources": ["grid", "pv", "unmetered", *(each["id"] for each in storages)],
        "sinks": [*(each["id"] for each in loads), *(each["id"] for each in storages), "export",
                  "losses"],
    }  # fmt: skip


def _room() -> str | None:
    """Where the bench writes: a real disk, if the variable says where."""
    return os.environ.get("EDGECTL_BENCH_DIR")
