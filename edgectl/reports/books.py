"""A period of a ledger read once: exact sums.

Records before the period count for what the batteries then held, and for corrections that reach
into it. Sums are made on two
ways that share nothing but the records' bytes: by named path and hour, and as bare rows of
integers. The report prints the difference, which is 0.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack
import numpy as np

from edgectl.accounting.bounds import MeterUncertainty
from edgectl.errors import ReportError
from edgectl.ledger import Kind, Ledger, Row
from edgectl.ledger.origins import ACCOUNTS, ORIGINS
from edgectl.ledger.payload import FIGURES, SECOND_NS
from edgectl.reports.integers import openings, pairs, table
from edgectl.reports.minutes import Change, Corrector, concerns, over_points
from edgectl.reports.mixture import by_origin
from edgectl.reports.period import first_record
from edgectl.reports.provenance import Provenance
from edgectl.reports.words import iso

HOUR_S = 3_600
MINUTE_S = 60
STEPS = ((900, 1), (6 * HOUR_S, 10), (2 * 86_400, 60), (40 * 86_400, 900))
STEP_MAX_S = HOUR_S
NAMED = ("measured", "estimated", "substituted")
LISTED = (Kind.GAP, Kind.CLOCK, Kind.COUNTER)  # of the period; corrections of any time
LISTED_MAX = 10_000  # gaps, corrections and clock records that are kept one by one

Way = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Names:
    """What one run of the controller calls its sources, sinks, loads and tenants."""

    boot_id: int
    site_sha256: str
    zone: str
    basis: str
    period_ns: int
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    storages: tuple[str, ...]
    kinds: Mapping[str, str]  # load: it, aux
    tenants: tuple[Mapping[str, Any], ...]
    meters: MeterUncertainty  # as its site file declares them


@dataclass(slots=True)
class Hour:
    """One hour of UTC."""

    energy_mj: Counter[Way] = field(default_factory=Counter)
    carbon_ug: Counter[Way] = field(default_factory=Counter)
    origins_mj: Counter[Way] = field(default_factory=Counter)  # by sink and origin
    counts: Counter[str] = field(default_factory=Counter)
    clocks: Counter[str] = field(default_factory=Counter)
    change: Change = field(default_factory=Change)  # what corrections add
    used_min_mg_per_kwh: int | None = None
    used_max_mg_per_kwh: int | None = None


@dataclass(slots=True)
class Stock:
    """One battery over the period; what it held is known from the ledger's own stocks."""

    begin_mj: int | None = None
    begin_ug: int | None = None
    end_mj: int = 0
    end_ug: int = 0
    change_mj: int = 0  # within the period's seconds
    change_ug: int = 0
    charged_mj: int = 0
    charged_ug: int = 0
    given_mj: int = 0
    given_ug: int = 0
    lost_mj: int = 0  # stored, while standing
    lost_ug: int = 0  # to the loss account
    true_up_mj: int = 0  # corrected at full, at empty and over restarts, both ways
    opened_mj: int = 0  # declared anew; what the period begins with is not in it
    opened_ug: int = 0  # declared anew, found after a restart, or adjusted upwards over one
    shortfall_mj: int = 0  # given beyond what the books held, as stored energy
    true_ups: int = 0
    origins_mj: list[int] = field(default_factory=lambda: [0] * len(ORIGINS))  # at the end
    method: int | None = None  # StockMethod at the end; None in a ledger that does not say
    standby: int | None = None  # StockStandby


@dataclass(slots=True)
class Books:
    """What the ledger says of a period."""

    site: str
    from_s: int
    to_s: int
    step_s: int
    names: Names | None = None
    runs: list[Names] = field(default_factory=list)
    hours: dict[int, Hour] = field(default_factory=dict)  # by first second
    series: dict[int, Counter[str]] = field(default_factory=dict)  # mJ from sources, to sinks
    series_change: dict[int, Counter[str]] = field(default_factory=dict)  # by corrections
    intensity: dict[int, list[float]] = field(default_factory=dict)  # sum, count of g/kWh
    stocks: dict[str, Stock] = field(default_factory=dict)
    samples: dict[str, list[int]] = field(default_factory=dict)  # by tenant: all, good
    gaps: list[dict[str, Any]] = field(default_factory=list)
    corrections: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)  # of meters
    clocks: list[dict[str, Any]] = field(default_factory=list)
    counters: list[dict[str, Any]] = field(default_factory=list)
    factors: Provenance = field(default_factory=Provenance)
    control_mj: int = 0
    control_ug: int = 0
    records: int = 0
    first_seq: int | None = None
    last_seq: int | None = None

    @property
    def seconds(self) -> int:
        """Records of a second."""
        return self.count("seconds")

    def count(self, name: str) -> int:
        """A count over all hours."""
        return sum(hour.counts[name] for hour in self.hours.values())

    def energy(self) -> Counter[Way]:
        """mJ by path over the period."""
        return _added(hour.energy_mj for hour in self.hours.values())

    def carbon(self) -> Counter[Way]:
        """ug by path over the period."""
        return _added(hour.carbon_ug for hour in self.hours.values())

    def origins(self) -> Counter[Way]:
        """mJ by sink and origin over the period."""
        return _added(hour.origins_mj for hour in self.hours.values())


def _added(counters: Iterable[Counter[Way]]) -> Counter[Way]:
    total: Counter[Way] = Counter()
    for each in counters:
        total.update(each)
    return total


def step_of(seconds: int) -> int:
    """Width of a point of the plots for a period of so many seconds."""
    return next((step for limit, step in STEPS if seconds <= limit), STEP_MAX_S)


def read_books(
    ledger: Ledger, from_s: int, to_s: int, efficiency: Mapping[str, tuple[float, float]],
    corrected: Callable[[int, Change], None] | None = None,
) -> Books:  # fmt: skip
    """Read it.

    from_s, to_s   UTC, the last not included
    efficiency     by battery: of charging and discharging, to tell what it held when a run began;
                   1 for those not named
    corrected      is told the first second of every minute that corrections change, and the change

    Raises LedgerError where it cannot be read, ReportError where the period has no second.
    """
    books = Books(ledger.site, from_s, to_s, step_of(to_s - from_s))
    corrector = Corrector.of(ledger, from_s, to_s)
    begin_s = corrector.begin_s - MINUTE_S
    reader = _Reader(books, efficiency, corrector, corrected)
    for row in ledger.rows(None, first_record(ledger, begin_s)):
        reader.take(row)
    reader.flush()
    if not reader.books.seconds:
        raise ReportError(
            where=f"report of {ledger.site}",
            problem=f"the ledger has no second from {iso(from_s)} to {iso(to_s)}",
            because="There is nothing to report on.",
            remedy="Ask for a time that the ledger covers; times are UTC, the end not included.",
        )
    return reader.books


class _Reader:
    """Takes records in order."""

    def __init__(
        self, books: Books, efficiency: Mapping[str, tuple[float, float]], corrector: Corrector,
        corrected: Callable[[int, Change], None] | None = None,
    ) -> None:  # fmt: skip
        self.books = books
        self.corrector, self.corrected = corrector, corrected
        self.efficiency = efficiency
        self.names: Names | None = None
        self.joined: Names | None = None  # the last run that is in books.names
        self.minute_s: int | None = None
        self.flows: list[Counter[Way]] = []  # of the minute, within the period, by part
        self.given_mj: list[dict[str, list[int]]] = []  # of the same, what batteries gave
        self.carbon_ug: Counter[Way] = Counter()  # of the same
        self.high_mg_per_kwh = 0  # of the same, the highest factor used
        self.stocks: dict[str, tuple[int, int]] = {}
        self.follows = False  # whether the record before was the second before

    def take(self, row: Row) -> None:
        books = self.books
        inside = books.from_s <= row.utc_s < books.to_s
        if inside:
            books.records += 1
            books.first_seq = row.seq if books.first_seq is None else books.first_seq
            books.last_seq = row.seq
        if row.kind is Kind.SECOND:
            self._second(row, inside=inside)
            return
        if row.kind is Kind.START or (row.kind is Kind.NAMES and self.names is None):
            self.flush()
            self._start(row)
        elif row.kind is Kind.GAP:
            self.follows = False
        elif row.kind is Kind.FACTOR:
            books.factors.record(row.public)
        changed = row.kind is Kind.METER and row.public.get("what") == "swap"
        if row.kind is Kind.CORRECTION or (inside and (changed or row.kind in LISTED)):
            self._listed(row)

    def _start(self, row: Row) -> None:
        said = dict(msgpack.unpackb(row.parts[0], raw=False))
        self.names = Names(
            row.boot_id, str(said["site_sha256"]), str(said["zone"]),
            str(said.get("carbon_basis") or "not recorded"),
            int(said["period_ns"] or SECOND_NS // 10),
            tuple(said["sources"]), tuple(said["sinks"]), tuple(said["storages"]),
            dict(said["loads"]), tuple(said["tenants"]), MeterUncertainty.declared(said),
        )  # fmt: skip
        self.books.runs.append(self.names)
        self.follows = False
        if row.kind is Kind.START and "stocks" in said:
            self._restart(row, said)

    def _restart(self, row: Row, said: Mapping[str, Any]) -> None:
        """Books go on with what START says, and what it adjusted stands in the accounts."""
        self.stocks = {each["id"]: tuple(each["held"][:2]) for each in said["stocks"]}
        self.follows = True
        if not self.books.from_s <= row.utc_s < self.books.to_s:
            return
        for name, (change_mj, change_ug, *_) in said["stocks_adjusted"].items():
            stock = self.books.stocks.get(name)
            if stock is None:
                continue  # the period begins with it
            stock.change_mj += change_mj
            stock.change_ug += change_ug
            stock.true_up_mj += change_mj
            stock.lost_ug += max(0, -change_ug)
            stock.opened_ug += max(0, change_ug)
            if name not in self.stocks:
                stock.end_mj = stock.end_ug = 0

    def _listed(self, row: Row) -> None:
        said: dict[str, Any] = {"seq": row.seq, "utc_s": row.utc_s, **row.public}
        if row.kind is Kind.GAP:
            if row.public["scans"] is not None:
                self._hour(row.utc_s).counts["missing"] += int(row.public["scans"])
            into = self.books.gaps
        elif row.kind is Kind.CLOCK:
            into = self.books.clocks
        else:
            own = [at for at, part in enumerate(row.parts) if part]
            content = row.content()
            said |= {key: content[key] for key in content if key not in said}
            tenants = self.names.tenants if self.names else ()
            said["tenant"] = tenants[own[0] - 1]["id"] if own and 0 < own[0] <= len(tenants) else (
                None
            )  # fmt: skip
            if row.kind is Kind.CORRECTION and not concerns(
                said, self.books.from_s, self.books.to_s
            ):
                return
            into = {Kind.COUNTER: self.books.counters, Kind.METER: self.books.changes}.get(
                row.kind, self.books.corrections
            )
        if len(into) < LISTED_MAX or row.kind is Kind.COUNTER:
            into.append(said)

    def _hour(self, utc_s: int) -> Hour:
        return self.books.hours.setdefault(utc_s // HOUR_S * HOUR_S, Hour())

    def _second(self, row: Row, *, inside: bool) -> None:
        names = self.names
        assert names is not None, "record 0 of a ledger is a START"
        if self.corrector.start_of(row.utc_s) != self.minute_s:
            self.flush()
            self.minute_s = self.corrector.start_of(row.utc_s)
        parts = [dict(msgpack.unpackb(part, raw=False)) for part in row.parts]
        energies: list[Counter[Way]] = []
        carbon: Counter[Way] = Counter()
        for part in parts:
            own: Counter[Way] = Counter()
            amounts_mj = np.frombuffer(part["energy_mj"], "<i8")
            amounts_ug = np.frombuffer(part["carbon_ug"], "<i8")
            places = part["cells"]
            for at, (mj, ug) in enumerate(
                zip(amounts_mj.tolist(), amounts_ug.tolist(), strict=True)
            ):
                path = (names.sources[places[2 * at]], names.sinks[places[2 * at + 1]])
                own[path] += mj
                carbon[path] += ug
            energies.append(own)
            if inside:
                self.books.control_mj += int(amounts_mj.sum())
                self.books.control_ug += int(amounts_ug.sum())
        energy = _added(energies)
        self.corrector.second(row.boot_id, row.utc_s, energy)
        stocks = dict(zip(names.storages, pairs(parts[0]["stocks"]), strict=True))
        if inside:
            if self.joined is not names:
                self.books.names = _joined(self.books.names, names)
                self.joined = names
            self._minute(parts, energies)
            self.carbon_ug.update(carbon)
            self._book(row, parts, energy, carbon)
            opened = zip(names.storages, openings(parts[0], len(names.storages)), strict=True)
            self._move(energy, carbon, stocks, dict(opened))
            self._accounts(parts[0])
        self.stocks = stocks
        self.follows = row.public["gap_scans"] == 0

    def _book(
        self, row: Row, parts: list[dict[str, Any]], energy: Counter[Way], carbon: Counter[Way]
    ) -> None:
        """Add a second of the period to its hour and to its point of the plots."""
        hour, names = self._hour(row.utc_s), self.names
        assert names is not None, "the caller has them"
        hour.energy_mj.update(energy)
        hour.carbon_ug.update(carbon)
        figures = dict(zip(FIGURES, np.frombuffer(parts[0]["figures"], "<i8").tolist(),
                           strict=False))  # fmt: skip
        hour.counts.update({name: figures[name] for name in (*NAMED, "carbon_default_scans")})
        hour.counts.update(
            seconds=1, scans=row.public["scans"], gap_scans=row.public["gap_scans"],
            balance_error_mj=figures["balance_error_mj"],
            balance_error_ug=figures["balance_error_ug"],
        )  # fmt: skip
        hour.clocks[row.clock] += 1
        self.books.factors.second(row.utc_s, parts[0], figures["carbon_default_scans"])
        low, high = figures["used_min_mg_per_kwh"], figures["used_max_mg_per_kwh"]
        self.high_mg_per_kwh = max(self.high_mg_per_kwh, high)
        known = hour.used_min_mg_per_kwh, hour.used_max_mg_per_kwh
        hour.used_min_mg_per_kwh = low if known[0] is None else min(known[0], low)
        hour.used_max_mg_per_kwh = high if known[1] is None else max(known[1], high)
        for tenant, part in zip(names.tenants, parts[1:], strict=True):
            all_good = self.books.samples.setdefault(str(tenant["id"]), [0, 0])
            all_good[0] += part["samples"]
            all_good[1] += part["good_samples"]
        point = row.utc_s // self.books.step_s * self.books.step_s
        bucket = self.books.series.setdefault(point, Counter())
        bucket["scans"] += row.public["scans"]
        for (source, sink), mj in energy.items():
            bucket[f"from {source}"] += mj
            bucket[f"to {sink}"] += mj
        mean = self.books.intensity.setdefault(point, [0.0, 0.0])
        mean[0] += (low + high) / 2000
        mean[1] += 1

    def _move(
        self, energy: Counter[Way], carbon: Counter[Way], stocks: Mapping[str, tuple[int, int]],
        opened: Mapping[str, list[int]],
    ) -> None:  # fmt: skip
        """Follow each battery's stock from second to second."""
        for name, (stock_mj, stock_ug) in stocks.items():
            stock = self.books.stocks.setdefault(name, Stock())
            stock.end_mj, stock.end_ug = stock_mj, stock_ug
            came_mj = sum(mj for (_, sink), mj in energy.items() if sink == name)
            came_ug = sum(ug for (_, sink), ug in carbon.items() if sink == name)
            left_mj = sum(mj for (source, _), mj in energy.items() if source == name)
            left_ug = sum(ug for (source, _), ug in carbon.items() if source == name)
            if name in self.stocks and self.follows:
                before_mj, before_ug = self.stocks[name]
            else:  # the first second of a run: from what it held after it
                eta_charge, eta_discharge = self.efficiency.get(name, (1.0, 1.0))
                before_mj = stock_mj - int(came_mj * eta_charge) + int(left_mj / eta_discharge)
                before_ug = stock_ug - came_ug + left_ug
            opened_mj, opened_ug = opened[name]
            if stock.begin_mj is None and opened_mj:  # declared as the period begins
                before_mj, before_ug = before_mj + opened_mj, before_ug + opened_ug
            elif name in self.stocks and self.follows:
                stock.opened_mj += opened_mj
                stock.opened_ug += opened_ug
            if stock.begin_mj is None:
                stock.begin_mj, stock.begin_ug = max(0, before_mj), max(0, before_ug)
            stock.change_mj += stock_mj - before_mj
            stock.change_ug += stock_ug - before_ug
            stock.charged_mj += came_mj
            stock.charged_ug += came_ug
            stock.given_mj += left_mj
            stock.given_ug += left_ug

    def _accounts(self, part: Mapping[str, Any]) -> None:
        """What batteries lost and what was corrected; a ledger of before says nothing of it."""
        if "storage_accounts" not in part or self.names is None:
            return
        accounts, held = table(part["storage_accounts"], len(ACCOUNTS)), part["stock_origins_mj"]
        rules = part["storage_rules"]
        for at, name in enumerate(self.names.storages):
            stock = self.books.stocks[name]
            for account, amount in zip(ACCOUNTS, accounts[at], strict=True):
                setattr(stock, account, getattr(stock, account) + amount)
            stock.origins_mj = table(held, len(ORIGINS))[at]
            stock.method, stock.standby = rules[2 * at], rules[2 * at + 1]

    def _minute(self, parts: list[dict[str, Any]], energies: list[Counter[Way]]) -> None:
        """Add a second to its minute: flows, and what batteries gave to each part by origin."""
        names = self.names
        assert names is not None, "the caller has them"
        while len(self.flows) < len(parts):
            self.flows.append(Counter())
            self.given_mj.append({})
        whole = parts[0].get("delivered_mj")
        site = dict(zip(names.storages, table(whole, len(ORIGINS)), strict=True)) if whole else {}
        for at, part in enumerate(parts):
            self.flows[at].update(energies[at])
            if at == 0 or "through" not in part:
                continue
            for source, origins_mj in zip(
                part["through"], table(part["through_mj"], len(ORIGINS)), strict=True
            ):
                name = names.sources[source]
                _add(self.given_mj[at], name, origins_mj)
                if name in site:
                    site[name] = [a - b for a, b in zip(site[name], origins_mj, strict=True)]
        for name, origins_mj in site.items():
            _add(self.given_mj[0], name, origins_mj)

    def flush(self) -> None:
        """Tell the minute's energy by origin, and what corrections make of it."""
        if self.names is None or self.minute_s is None:
            return
        cells, start_s = _added(self.flows), self.minute_s
        change = self.corrector.minute(
            self.names.boot_id, start_s, cells, self.carbon_ug, self.high_mg_per_kwh
        )
        if cells:
            hour = self._hour(start_s)
            for own, given_mj in zip(self.flows, self.given_mj, strict=True):
                hour.origins_mj.update(by_origin(own, self.names.storages, given_mj))
            if start_s >= self.books.from_s and change:
                hour.change.add(change)
                self._plot(start_s, change)
                if self.corrected is not None:
                    self.corrected(start_s, change)
        self.flows, self.given_mj, self.carbon_ug, self.high_mg_per_kwh = [], [], Counter(), 0

    def _plot(self, start_s: int, change: Change) -> None:
        """A minute's change to its points of the plots."""
        step_s, series = self.books.step_s, self.books.series
        first = start_s // step_s * step_s
        points = {
            at: series[at] for at in range(first, start_s - start_s % MINUTE_S + MINUTE_S, step_s)
            if at in series
        }  # fmt: skip
        for point, name, mj in over_points(change, points):
            self.books.series_change.setdefault(point, Counter())[name] += mj


def _joined(before: Names | None, names: Names) -> Names:
    """Names of several runs: what only an earlier one had is still in the period."""
    if before is None:
        return names
    return replace(
        names,
        sources=_union(before.sources, names.sources),
        sinks=_union(before.sinks, names.sinks),
        storages=_union(before.storages, names.storages),
        kinds={**before.kinds, **names.kinds},
    )


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _add(given_mj: dict[str, list[int]], name: str, origins_mj: list[int]) -> None:
    before = given_mj.get(name, [0] * len(ORIGINS))
    given_mj[name] = [a + b for a, b in zip(before, origins_mj, strict=True)]
