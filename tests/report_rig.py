"""A ledger made second by second from flows a test chooses, as the services would write it."""

import random
from collections.abc import Iterable, Mapping, Sequence
from math import pi, sin
from pathlib import Path
from typing import Any

import numpy as np

from edgectl.ledger import Cursor, Kind, Ledger, Row
from edgectl.ledger.factors import UsedFactor, factor_said
from edgectl.ledger.keys import generate
from edgectl.ledger.origins import ACCOUNTS, shared_out
from edgectl.ledger.payload import (
    FIGURES,
    NAMED,
    Said,
    canonical,
    correction_said,
    gap_said,
    integers,
    only_part,
    start_said,
)
from edgectl.ledger.verify import verify
from edgectl.reports.books import Books, read_books
from edgectl.reports.declared import Declared, lots_of
from edgectl.reports.document import Asked, make_document
from edgectl.reports.period import period_of

START_S = 1_767_225_600  # 2026-01-01
SCANS = 10
LOADS = {"IT-A": "it", "IT-B": "it", "COOLING": "aux"}
TENANTS = ({"id": "acme", "name": "Acme Ltd", "loads": ["IT-A"]},
           {"id": "bolt", "name": "Bolt SE", "loads": ["IT-B"]})  # fmt: skip
MW_MJ = 10**9  # of one second
NOON_S = START_S + 12 * 3_600
MADE_S = START_S + 10**6
Flows = Mapping[tuple[str, str], tuple[int, int]]


class BookRig:
    """One run of one site."""

    def __init__(
        self, where: Path, site: str = "rig", batteries: tuple[str, ...] = ("BESS-01",),
        tenants: tuple[Mapping[str, Any], ...] = TENANTS,
    ) -> None:  # fmt: skip
        self.where, self.site, self.tenants, self.batteries = where, site, tenants, batteries
        self.sources = ["grid", "pv", "unmetered", *batteries]
        self.loads = dict(LOADS)
        self.sinks = [*LOADS, *batteries, "export", "losses"]
        self.owners = {load: at for at, each in enumerate(tenants, 1) for load in each["loads"]}
        self.used: UsedFactor | None = None
        self.seq, self.rows = 0, list[tuple[Row, Cursor | None]]()
        where.mkdir(parents=True, exist_ok=True)
        self.key = where / f"{site}.key"
        self.signer = generate(self.key)
        self.start()

    def start(self, kind: Kind = Kind.START, utc_s: int = START_S) -> None:
        """Begin a run, or name it again."""
        self._row(kind, utc_s, start_said(self._directory(), START_S))

    def _directory(self) -> dict[str, Any]:
        return {
            "site": self.site, "site_sha256": "0" * 64, "zone": "US-TEX-ERCO",
            "carbon_basis": "direct, location average", "period_ns": 10**9 // SCANS,
            "sources": self.sources, "sinks": self.sinks, "points": [], "interlocks": [],
            "storages": [{"id": each} for each in self.batteries], "import_cap_w": 1e7,
            "loads": [{"id": name, "kind": kind, "power": ""} for name, kind in self.loads.items()],
            "tenants": [dict(each) for each in self.tenants],
        }  # fmt: skip

    def _row(self, kind: Kind, utc_s: int, said: Said, clock: str = "synchronised") -> None:
        first = (utc_s - START_S) * SCANS
        row = Row(kind, START_S, utc_s, first, first + SCANS - 1, said.public, said.parts, clock)
        self.rows.append((row, Cursor(START_S, first + SCANS, first + SCANS, utc_s * 10**9)))

    def second(
        self, utc_s: int, flows: Flows, stocks: Iterable[tuple[int, int]] = (), *,
        gap_scans: int = 0, substituted: int = 0, mg: int = 400_000, clock: str = "synchronised",
        scans: int = SCANS, given_mj: Mapping[str, Sequence[int]] | None = None, unknown: int = 0,
    ) -> None:  # fmt: skip
        """Book one second: mJ and ug by source and sink, and what batteries then hold.

        given_mj   what each battery gave, by origin; None: of no known origin
        """
        parts, fed = [], self._through(flows, given_mj or {})
        for part in range(1 + len(self.tenants)):
            own = {way: each for way, each in flows.items() if self._part(way[1]) == part}
            content: dict[str, Any] = {
                "cells": bytes(
                    place for source, sink in own
                    for place in (self.sources.index(source), self.sinks.index(sink))
                ),
                "energy_mj": integers([mj for mj, _ in own.values()]),
                "carbon_ug": integers([ug for _, ug in own.values()]),
            }  # fmt: skip
            content |= {
                "samples": scans, "good_samples": scans, "used_max_mg_per_kwh": mg,
                "through": bytes(source for source, _ in fed[part]),
                "through_mj": integers([origins_mj for _, origins_mj in fed[part]]),
            } if part else self._own(
                list(stocks), substituted, mg, scans, self._delivered(flows, given_mj or {})
            )  # fmt: skip
            if self.used is not None:
                age_s = self.used.age_s(utc_s * 10**9)
                content |= {"factors": NAMED.pack(self.used.name, scans - unknown, age_s),
                            "factor_unknown_scans": unknown}  # fmt: skip
            parts.append(canonical(content))
        public = {"first_utc_ns": utc_s * 10**9, "last_utc_ns": utc_s * 10**9 + 9 * 10**8,
                  "scans": scans, "gap_scans": gap_scans}  # fmt: skip
        self._row(Kind.SECOND, utc_s, Said(public, tuple(parts)), clock)

    def _part(self, sink: str) -> int:
        return self.owners.get(sink, 0)

    def _own(
        self,
        stocks: list[tuple[int, int]],
        substituted: int,
        mg: int,
        scans: int,
        delivered_mj: list[list[int]],
    ) -> dict[str, Any]:
        figures = dict.fromkeys(FIGURES, 0) | {
            "measured": 6 * scans - substituted, "substituted": substituted,
            "used_min_mg_per_kwh": mg, "used_max_mg_per_kwh": mg,
        }  # fmt: skip
        held = stocks or [(0, 0)] * len(self.batteries)
        return {"figures": integers([figures[name] for name in FIGURES]),
                "stocks": integers(np.array(held)) if held else b"",
                "stock_origins_mj": integers([[0, 0, 0, mj] for mj, _ in held]),
                "delivered_mj": integers(delivered_mj),
                "storage_accounts": integers([[0] * len(ACCOUNTS)] * len(held)),
                "storage_rules": bytes(2 * len(held))}  # fmt: skip

    def _delivered(self, flows: Flows, given_mj: Mapping[str, Sequence[int]]) -> list[list[int]]:
        """What each battery gave, by origin."""
        found = []
        for battery in self.batteries:
            whole = sum(mj for (source, _), (mj, _) in flows.items() if source == battery)
            found.append(shared_out([whole], given_mj.get(battery, (0, 0, 0, 0)))[0])
        return found

    def _through(
        self, flows: Flows, given_mj: Mapping[str, Sequence[int]]
    ) -> list[list[tuple[int, list[int]]]]:
        """The same shared out among the parts."""
        found: list[list[tuple[int, list[int]]]] = [[] for _ in range(1 + len(self.tenants))]
        delivered = dict(zip(self.batteries, self._delivered(flows, given_mj), strict=True))
        for battery in self.batteries:
            amounts = [0] * len(found)
            for (source, sink), (mj, _) in flows.items():
                amounts[self._part(sink)] += mj if source == battery else 0
            for part, shares in enumerate(shared_out(amounts, delivered[battery])):
                if amounts[part]:
                    found[part].append((self.sources.index(battery), shares))
        return found

    def factor(self, utc_s: int, mg: int) -> None:
        """Seconds from here on name this factor."""
        used = UsedFactor(
            "Grid Office", "location average", "direct", "US-TEX-ERCO", "v3", f"{mg:064x}", mg,
            utc_s * 10**9, (utc_s + 60) * 10**9, utc_s * 10**9, u_ratio=0.1,
        )  # fmt: skip
        self.used = used
        self._row(Kind.FACTOR, utc_s, factor_said(used))

    def gap(self, utc_s: int, scans: int | None) -> None:
        """Scans that the ledger does not have."""
        self._row(Kind.GAP, utc_s, gap_said(scans, None, utc_s * 10**9))

    def counter(self, utc_s: int, tenant: int, value: float, unit: str = "token") -> None:
        """A count of a tenant's compute."""
        said = {"name": "served", "value": value, "unit": unit, "source": "gateway-1",
                "utc_ns": utc_s * 10**9}  # fmt: skip
        parts = only_part(tenant, 1 + len(self.tenants), said)
        self._row(Kind.COUNTER, utc_s, Said({}, parts))

    def correction(self, utc_s: int, refers_to: int, part: int, figures: dict[str, Any]) -> None:
        """What an earlier record should have said."""
        self._row(Kind.CORRECTION, utc_s, correction_said(
            refers_to, "meter exchanged", figures, part, 1 + len(self.tenants)))  # fmt: skip

    def write(self, *, sign: bool = True) -> Path:
        """Append and sign; the ledger's directory."""
        with Ledger(self.site, self.where, signer=self.signer) as ledger:
            ledger.append(self.rows)
            if sign:
                ledger.sign("stop", (self.rows[-1][0].utc_s + 1) * 10**9, "synchronised")
        return self.where


def day(rig: BookRig, seconds: range, seed: int = 1) -> None:
    """Seconds of a sunny winter day: PV at noon charges the battery, which gives in the evening."""
    luck = random.Random(seed)
    held_mj, held_ug = 20 * 3_600 * MW_MJ, 20 * 400_000_000_000 // 100
    for utc_s in seconds:
        hour = utc_s % 86_400 / 3_600
        loads = {"IT-A": 3.0, "IT-B": 2.0 + sin(hour), "COOLING": 1.1, "losses": 0.2}
        pv = max(0.0, 7.5 * sin((hour - 7) / 10 * pi)) if 7 < hour < 17 else 0.0
        charge = min(2.0, pv / 3) if 10 < hour < 15 else 0.0
        give = 2.0 if 18 < hour < 21 else 0.0
        mg = int(400_000 + 60_000 * sin(hour / 24 * 2 * pi))
        need = {name: mw * luck.uniform(0.98, 1.02) for name, mw in loads.items()}
        if charge:
            need["BESS-01"] = charge
        whole = sum(need.values())
        supply = {"pv": min(pv, whole), "BESS-01": give}
        supply["grid"] = whole - sum(supply.values())
        per_mj = {"pv": 0.0, "grid": mg / 3.6e6, "BESS-01": held_ug / held_mj}
        flows = {}
        for source, mw in supply.items():
            for sink, wanted in need.items():
                mj = int(mw * wanted / whole * MW_MJ)
                if mj > 0:
                    flows[source, sink] = (mj, int(mj * per_mj[source]))
        came = [each for (_, sink), each in flows.items() if sink == "BESS-01"]
        left = [each for (source, _), each in flows.items() if source == "BESS-01"]
        held_mj += int(0.95 * sum(mj for mj, _ in came)) - int(sum(mj for mj, _ in left) / 0.95)
        held_ug += sum(ug for _, ug in came) - sum(ug for _, ug in left)
        rig.second(utc_s, flows, [(held_mj, held_ug)], mg=mg)


def books_of(where: Path, span: tuple[int | None, int | None] = (None, None)) -> Books:
    """The books of a span of a rig's ledger, as written."""
    with Ledger("rig", where, read_only=True) as ledger:
        return read_books(ledger, *period_of(ledger, *span), {"BESS-01": (0.95, 0.95)})


def document_of(where: Path, declared: Declared | None = None, **asked: Any) -> dict[str, Any]:
    """The report on a rig's ledger."""
    said = declared or Declared()
    books = asked.pop("books", None) or books_of(where)
    (verdict,) = verify(where)
    lots = tuple(lots_of(said, where))
    return make_document(Asked(books, verdict, MADE_S, "1.2.3", declared=said, lots=lots, **asked))


def figure(document: dict[str, Any], name: str) -> dict[str, Any]:
    """One of its headline figures."""
    return next(each for each in document["figures"] if each["name"] == name)
