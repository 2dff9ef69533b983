"""FACTOR records: said once, again after names, read back, proved to a tenant; or refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import verify_ledger as stranger
from factor_rig import HOUR_NS, FactorRig, hold_every_second
from ledger_rig import UTC_NS

from edgectl.accounting.factors import FOREVER_NS, Factor, FactorBook, Kind, Scope
from edgectl.errors import DataError, LedgerError
from edgectl.ledger import Kind as Record
from edgectl.ledger import Ledger
from edgectl.ledger.factors import FactorsInForce, factor_of
from edgectl.ledger.record import Stored
from edgectl.ledger.rows import Row, row_of
from edgectl.ledger.verify import verify
from edgectl.reports.receipt import make_receipt
from edgectl.services.ledger_feed import used_factor

GOOD = Factor(300_000, Kind.AVERAGE, Scope.DIRECT, "Z", "s", "1", 10, 20, 5, False, "0" * 64)
BEGIN_S = UTC_NS // 10**9


@pytest.fixture
def rig(tmp_path: Path) -> FactorRig:
    return FactorRig(tmp_path / "data")


def kinds(rig: FactorRig) -> list[str]:
    with Ledger("fake", rig.where, read_only=True) as ledger:
        return [row.kind.name for row in ledger.rows()]


def test_a_factor_is_said_before_its_first_second_and_once(rig: FactorRig) -> None:
    rig.scans(6)
    rig.use(310_000)
    rig.fake.mg = 310_000
    rig.scans(20)
    rig.use(310_000)
    rig.scans(20)
    rig.feed.close()
    said = kinds(rig)
    assert said.count("FACTOR") == 1
    assert said.index("FACTOR") < said.index("SECOND")
    assert hold_every_second(rig)["named"] > 0


def test_after_names_it_is_said_again_so_that_an_hour_can_be_read_alone(rig: FactorRig) -> None:
    rig.use_and_take(310_000)
    rig.scans(25)
    rig.name()
    rig.scans(20)
    rig.feed.close()
    said = kinds(rig)
    last = len(said) - 1 - said[::-1].index("NAMES")
    assert said[last + 1 : last + 3] == ["FACTOR", "SECOND"]
    hold_every_second(rig)


def test_a_source_that_is_read_again_says_nothing_new() -> None:
    factors = FactorsInForce()
    one = used_factor(GOOD, None)
    assert factors.post(one, 0, 900) is one
    assert factors.post(replace(one, published_ns=99), 5, 900) is one
    other = replace(one, sha256="1" * 64)
    assert factors.post(other, 6, 900) is other


def test_a_value_that_lapsed_or_was_not_posted_yet_names_nobody(rig: FactorRig) -> None:
    factors = FactorsInForce()
    factors.post(used_factor(GOOD, None), 100 * 10**9, 900 * 10**9)
    rig.fake.run(10)
    head = rig.reader.journal(0).records["head"].copy()
    head["grid_mg_per_kwh"], head["carbon_default"] = 300_000, 0
    for time_s, unknown in ((98, 10), (99, 0), (100, 0), (1001, 0), (1002, 10)):
        head["time_ns"] = time_s * 10**9
        assert factors.named(head).said["factor_unknown_scans"] == unknown, time_s


def test_of_two_factors_with_one_value_the_one_that_was_in_force_is_named(rig: FactorRig) -> None:
    factors = FactorsInForce()
    first = used_factor(GOOD, None)
    second = replace(first, sha256="1" * 64)
    factors.post(first, 100 * 10**9, 900 * 10**9)
    factors.post(second, 200 * 10**9, 900 * 10**9)
    rig.fake.run(10)
    head = rig.reader.journal(0).records["head"].copy()
    head["grid_mg_per_kwh"], head["carbon_default"] = 300_000, 0
    head["time_ns"] = 150 * 10**9
    assert factors.named(head).used == (first,)
    head["time_ns"] = 250 * 10**9
    assert factors.named(head).used == (second,)


@pytest.mark.parametrize(
    ("utc_ns", "age_s"),
    [(9 * 10**9, -1), (10 * 10**9, 0), (20 * 10**9 - 1, 0), (20 * 10**9, 0), (25 * 10**9, 5)],
)
def test_age_is_how_long_its_time_is_over(utc_ns: int, age_s: int) -> None:
    factor = replace(used_factor(GOOD, None), valid_from_ns=10 * 10**9, valid_to_ns=20 * 10**9)
    assert factor.age_s(utc_ns) == age_s
    assert replace(factor, valid_to_ns=None).age_s(10**15) == 0


def test_a_ledger_that_cannot_be_written_loses_no_factor(
    rig: FactorRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.use_and_take(310_000)
    rig.scans(25)

    def full(*_: object) -> int:
        raise LedgerError(where="w", problem="disk is full", because="b", remedy="r")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append_some", full)
        patch.setattr("edgectl.services.ledger_feed.RETRY_S", 0.0)
        rig.use_and_take(320_000)
        rig.scans(25)
        rig.use_and_take(330_000)
        rig.scans(25)
    rig.feed._retry_s = 0.0
    rig.scans(25)
    rig.feed.close()
    seen = hold_every_second(rig)
    assert (seen["SECOND"], seen["unknown"]) == (10, 0)


def test_a_tenant_sees_the_factors_of_his_time_with_their_proof(
    rig: FactorRig, tmp_path: Path
) -> None:
    rig.use_and_take(310_000)
    rig.scans(100)
    rig.use_and_take(320_000)
    rig.scans(100)
    rig.fake.mg = None
    rig.scans(50)
    rig.feed.close()
    path = tmp_path / "acme.receipt"
    with Ledger("fake", rig.where, read_only=True) as ledger:
        path.write_bytes(make_receipt(ledger, "acme", BEGIN_S + 5, BEGIN_S + 22))
    summary = stranger.verify_receipt(path, rig.key)
    found = {each["mg_per_kwh"]: each for each in summary["factors"]}
    assert set(found) == {310_000, 320_000}, "also what was said before the time asked for"
    assert found[310_000]["source"] == "plan 310000"
    scans = [each["scans"] for each in summary["factors"]]
    assert sum(scans) + summary["default_factor_scans"] == summary["scans"] == 170
    assert summary["unknown_factor_scans"] == 0
    assert verify(rig.where, rig.key)[0].good
    stranger.verify_ledger(rig.where, rig.key, [], live=False)


def test_a_kind_of_a_later_edgectl_is_passed_over(rig: FactorRig) -> None:
    rig.scans(25)
    rig.feed.close()
    with Ledger("fake", rig.where, read_only=True) as ledger:
        row = next(ledger.rows(Record.SECOND))
    head = row.head("fake", 3).replace(b"\xa4kind\xa6second", b"\xa4kind\xa6wonder")
    read = row_of(Stored(head, row.parts, b""))
    assert isinstance(read, Row)
    assert read.kind is Record.UNKNOWN
    assert factor_of({"factor": b"\x80"}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"mg_per_kwh": -1}, {"mg_per_kwh": 5_000_001}, {"valid_to_ns": 10}, {"valid_from_ns": -1},
        {"valid_to_ns": FOREVER_NS + 1}, {"published_ns": -1}, {"source": "s" * 201},
        {"version": "v" * 201},
    ],
)  # fmt: skip
def test_a_factor_that_cannot_be_is_refused_when_it_arrives(change: dict[str, object]) -> None:
    with pytest.raises(DataError):
        replace(GOOD, **change)  # type: ignore[arg-type]


def test_where_two_factors_overlap_the_one_that_began_later_holds() -> None:
    book = FactorBook("Z", Kind.AVERAGE, Scope.DIRECT, 700_000)
    short = replace(GOOD, valid_from_ns=HOUR_NS // 2, valid_to_ns=HOUR_NS, mg_per_kwh=200_000)
    book.take([replace(GOOD, valid_from_ns=0, valid_to_ns=2 * HOUR_NS), short])
    chosen = [book.choose(utc_ns).mg_per_kwh for utc_ns in (0, HOUR_NS // 2, HOUR_NS)]
    assert chosen == [300_000, 200_000, 300_000]
