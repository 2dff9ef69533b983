"""Three ledgers that do not mix, and contracts that are claimed once, hour by hour."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgectl.accounting.amounts import Inventory, LocationCarbon, MarginalCarbon, MarketCarbon
from edgectl.accounting.scope2 import (
    HOUR_NS,
    ContractBook,
    Instrument,
    Lot,
    annual_shortfall_mj,
    match_hours,
)
from edgectl.errors import DataError

KWH_MJ = 3_600_000_000


def lot(**other: object) -> Lot:
    fields = {
        "contract": "PPA-1", "instrument": Instrument.PPA, "issuer": "ERCOT", "generator": "W1",
        "market": "ERCOT", "start_ns": 10 * HOUR_NS, "end_ns": 11 * HOUR_NS,
        "energy_mj": 10 * KWH_MJ, "mg_per_kwh": 0, "certificates": (1, 10),
    }  # fmt: skip
    return Lot(**{**fields, **other})  # type: ignore[arg-type]


def test_each_ledger_adds_its_own_kind_alone() -> None:
    books = Inventory()
    books.book(LocationCarbon(5))
    books.book(LocationCarbon(2))
    books.book(MarketCarbon(3))
    assert (books.location, books.market) == (LocationCarbon(7), MarketCarbon(3))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LocationCarbon(1), MarketCarbon(1)),
        (MarketCarbon(1), LocationCarbon(1)),
        (LocationCarbon(1), MarginalCarbon(1)),
        (MarginalCarbon(1), LocationCarbon(1)),
        (MarginalCarbon(1), MarginalCarbon(1)),
        (LocationCarbon(1), 1),
    ],
)
def test_nothing_else_can_be_added(one: object, other: object) -> None:
    with pytest.raises(TypeError):
        one + other  # type: ignore[operator]


def test_marginal_carbon_has_no_place_in_an_inventory() -> None:
    with pytest.raises(TypeError, match="MarginalCarbon has no place in an inventory"):
        Inventory().book(MarginalCarbon(1))  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_type_checker_refuses_what_mixes(tmp_path: Path) -> None:
    lines = [
        "from edgectl.accounting.amounts import *",
        "Inventory().book(LocationCarbon(1))",
        "Inventory().book(MarginalCarbon(1))",
        "LocationCarbon(1) + MarketCarbon(1)",
        "MarginalCarbon(1) + MarginalCarbon(1)",
    ]
    path = tmp_path / "mixed.py"
    path.write_text("\n".join(lines) + "\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [each.split(":")[1] for each in checked.stdout.split("\n") if ": error:" in each]
    assert found == ["3", "4", "5"], checked.stdout


def test_hours_are_matched_in_the_order_of_the_hierarchy_and_no_surplus_is_carried() -> None:
    book = ContractBook("ERCOT")
    book.add(lot(contract="GO-1", instrument=Instrument.GUARANTEE, generator="W2",
                 certificates=(50, 60), mg_per_kwh=11_000))  # fmt: skip
    book.add(lot())
    book.add(lot(contract="PPA-2", start_ns=11 * HOUR_NS, end_ns=12 * HOUR_NS,
                 certificates=(11, 20)))  # fmt: skip
    load = {10: 15 * KWH_MJ, 11: 4 * KWH_MJ, 12: 5 * KWH_MJ}
    first, second, third = match_hours(load, book, 500_000)
    assert first.by_contract_mj == {"PPA-1": 10 * KWH_MJ, "GO-1": 5 * KWH_MJ}
    assert (first.residual_mj, first.surplus_mj) == (0, 5 * KWH_MJ)
    assert first.carbon == MarketCarbon(5 * 11_000_000 // 1_000 * 1_000)
    assert (second.surplus_mj, second.carbon) == (6 * KWH_MJ, MarketCarbon(0))
    assert third.residual_mj == 5 * KWH_MJ, "the surplus of the hour before is gone"
    assert third.carbon == MarketCarbon(2_500_000_000)
    assert annual_shortfall_mj([first, second, third]) == 5 * KWH_MJ


OVERLAPS = {
    "the same certificates": (lot(contract="GO-9", generator="W9", certificates=(10, 12)),
                              "it claims certificates 10 to 10 of ERCOT"),
    "the same generator without certificates": (lot(contract="ON", certificates=None),
                                                "it claims generator W1"),
    "the same generator by another issuer": (lot(contract="X", issuer="M-RETS"),
                                             "it claims generator W1"),
    "part of the same hour": (
        lot(contract="Y", certificates=None, start_ns=10 * HOUR_NS + HOUR_NS // 2),
        "it claims generator W1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OVERLAPS)
def test_overlapping_contracts_are_refused(name: str) -> None:
    other, message = OVERLAPS[name]
    book = ContractBook("ERCOT")
    book.add(lot())
    with pytest.raises(DataError) as caught:
        book.add(other)
    assert message in caught.value.problem
    assert "as contract PPA-1 does" in caught.value.problem
    assert book.of_hour(10) == [lot()], "the book is as it was"


def test_two_tenants_may_hold_different_certificates_of_one_generator() -> None:
    book = ContractBook("ERCOT")
    book.add(lot())
    book.add(lot(contract="PPA-2", certificates=(11, 20)))
    assert len(book.of_hour(10)) == 2


def test_delivery_into_another_market_matches_nothing() -> None:
    with pytest.raises(DataError, match="it delivers into PJM; the load is in ERCOT"):
        ContractBook("ERCOT").add(lot(market="PJM"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end_ns": 12 * HOUR_NS}, "it runs 2 h"),
        ({"end_ns": 10 * HOUR_NS}, "it runs 0 h"),
        ({"start_ns": 10 * HOUR_NS + 1, "end_ns": 11 * HOUR_NS + 1}, "across the hour"),
        ({"energy_mj": -1}, "-1 mJ"),
        ({"mg_per_kwh": -1}, "-1 mg/kWh"),
        ({"mg_per_kwh": 5_000_001}, "5000001 mg/kWh"),
        ({"certificates": (5, 4)}, "certificates 5 to 4"),
        ({"cancelled": False}, "not cancelled"),
    ],
)
def test_a_lot_that_can_claim_nothing_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(lot(), **change)  # type: ignore[arg-type]
