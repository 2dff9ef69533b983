"""Scope 2 by contract: hour by hour, no certificate twice, no surplus carried over.

GHG Protocol Scope 2: what a load drew is matched with contracts of the same market
boundary, in the same hour, in the order of the hierarchy; what is left takes the
residual mix, or the fossil factor where a zone publishes none, never the grid average.
A surplus of one hour does not help another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from edgectl.accounting.amounts import MarketCarbon
from edgectl.accounting.apportion import CarbonCarry
from edgectl.errors import DataError

HOUR_NS = 3_600_000_000_000
G_PER_KWH_MAX = 5_000


class Instrument(IntEnum):
    """Kinds of contract, in the order in which they are used."""

    ON_SITE = 0  # own generation, certificates kept and cancelled
    PPA = 1  # power purchase agreement with its certificates
    GUARANTEE = 2  # guarantees of origin, RECs, I-RECs, bought without the power
    SUPPLIER = 3  # a supplier's disclosed mix


@dataclass(frozen=True, slots=True)
class Lot:
    """One contract's delivery within one hour or less.

    certificates   first and last number at the issuer; None where the instrument has none
    cancelled      certificates that are not cancelled for this load claim nothing
    start_ns       UTC, at most an hour before end_ns
    """

    contract: str
    instrument: Instrument
    issuer: str
    generator: str
    market: str
    start_ns: int
    end_ns: int
    energy_mj: int
    mg_per_kwh: int
    certificates: tuple[int, int] | None = None
    cancelled: bool = True

    def __post_init__(self) -> None:
        """Raises DataError for a lot that can claim nothing."""
        problem = None
        if not 0 < self.end_ns - self.start_ns <= HOUR_NS:
            problem = f"it runs {(self.end_ns - self.start_ns) / HOUR_NS:g} h, not up to one"
        elif self.start_ns // HOUR_NS != (self.end_ns - 1) // HOUR_NS:
            problem = "it lies across the hour"
        elif self.energy_mj < 0 or not 0 <= self.mg_per_kwh <= G_PER_KWH_MAX * 1000:
            problem = f"{self.energy_mj} mJ at {self.mg_per_kwh} mg/kWh"
        elif self.certificates and self.certificates[0] > self.certificates[1]:
            problem = f"certificates {self.certificates[0]} to {self.certificates[1]}"
        elif not self.cancelled:
            problem = "its certificates are not cancelled"
        if problem:
            raise _refused(
                self.contract, problem, "Hourly matching needs delivery and claim in one hour.",
                "Correct the contract's data, or leave the lot out.",
            )  # fmt: skip


class ContractBook:
    """Lots that may be claimed, each once."""

    def __init__(self, market: str) -> None:
        self.market = market
        self._lots: list[Lot] = []
        self._by_hour: dict[int, list[Lot]] = {}

    def add(self, lot: Lot) -> None:
        """Take a lot in.

        Raises DataError where it is of another market boundary, or where another lot
        already claims the same certificates or the same generator's same time.
        """
        if lot.market != self.market:
            raise _refused(
                lot.contract, f"it delivers into {lot.market}; the load is in {self.market}",
                "Power that cannot be delivered to the load matches nothing.",
                "Claim it for a load of its own market boundary.",
            )  # fmt: skip
        for other in self._lots:
            if clash := _clash(lot, other):
                raise _refused(
                    lot.contract, f"{clash}, as contract {other.contract} does",
                    "The same electricity would be claimed twice.",
                    "Take it out of one of the two contracts.",
                )  # fmt: skip
        self._lots.append(lot)
        self._by_hour.setdefault(lot.start_ns // HOUR_NS, []).append(lot)

    def of_hour(self, hour: int) -> list[Lot]:
        """Lots of one hour since 1970, in the order in which they are used."""
        found = self._by_hour.get(hour, ())
        return sorted(found, key=lambda each: (each.instrument, each.start_ns, each.contract))


def _clash(lot: Lot, other: Lot) -> str | None:
    if lot.certificates and other.certificates and lot.issuer == other.issuer:
        first = max(lot.certificates[0], other.certificates[0])
        last = min(lot.certificates[1], other.certificates[1])
        if first <= last:
            return f"it claims certificates {first} to {last} of {lot.issuer}"
    same_time = lot.start_ns < other.end_ns and other.start_ns < lot.end_ns
    # Numbered certificates of one generator and time are different energy; without them none is.
    numbered = lot.certificates and other.certificates and lot.issuer == other.issuer
    if lot.generator == other.generator and same_time and not numbered:
        return f"it claims generator {lot.generator} at {max(lot.start_ns, other.start_ns)} ns UTC"
    return None


@dataclass(frozen=True, slots=True)
class MatchedHour:
    """One hour of one load, by contract.

    by_contract_mj   what each contract covered
    residual_mj      what none did
    surplus_mj       delivered beyond the load; it is not carried over
    """

    hour: int
    load_mj: int
    by_contract_mj: Mapping[str, int]
    residual_mj: int
    surplus_mj: int
    carbon: MarketCarbon


Amount = TypeVar("Amount", int, float)


def cover(drawn_mj: Amount, lots: Sequence[Lot]) -> tuple[list[tuple[Lot, Amount]], Amount]:
    """What each lot of one hour covers of what was drawn, in their order, and what none does."""
    left_mj, taken = drawn_mj, []
    for lot in lots:
        own_mj = min(left_mj, lot.energy_mj)
        left_mj = left_mj - own_mj
        taken.append((lot, own_mj))
    return taken, left_mj


def match_hours(
    load_mj: Mapping[int, int], book: ContractBook, residual_mg_per_kwh: int
) -> list[MatchedHour]:
    """Match a load with contracts hour by hour.

    load_mj               by hour since 1970
    residual_mg_per_kwh   of the zone's residual mix, or its fossil factor
    """
    carries: dict[str, CarbonCarry] = {}
    found = []
    for hour, drawn_mj in sorted(load_mj.items()):
        surplus_mj, carbon_ug = 0, 0
        used: dict[str, int] = {}
        taken, left_mj = cover(drawn_mj, book.of_hour(hour))
        for lot, taken_mj in taken:
            surplus_mj += lot.energy_mj - taken_mj
            used[lot.contract] = used.get(lot.contract, 0) + taken_mj
            carry = carries.setdefault(lot.contract, CarbonCarry())
            carbon_ug += carry.book_ug(taken_mj, lot.mg_per_kwh)
        carry = carries.setdefault("", CarbonCarry())
        carbon_ug += carry.book_ug(left_mj, residual_mg_per_kwh)
        carbon = MarketCarbon(carbon_ug)
        found.append(MatchedHour(hour, drawn_mj, used, left_mj, surplus_mj, carbon))
    return found


def annual_shortfall_mj(hours: Sequence[MatchedHour]) -> int:
    """What yearly matching would have hidden: residual hours beside surplus hours."""
    return min(sum(each.residual_mj for each in hours), sum(each.surplus_mj for each in hours))


def _refused(contract: str, problem: str, because: str, remedy: str) -> DataError:
    return DataError(where=f"contract {contract}", problem=problem, because=because, remedy=remedy)
