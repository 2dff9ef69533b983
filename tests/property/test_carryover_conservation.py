"""A battery's books over restarts: the accounting's own integers, and nothing made or lost."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from stock_rig import (
    DEFAULT_MG_PER_KWH,
    METHODS,
    NAMES,
    POLICIES,
    Row,
    Scan,
    amounts,
    by_origin,
    scan,
    stocks,
)

from edgectl._kernel.carryover import CarryoverBench
from edgectl._kernel.inventory import StockOpening
from edgectl.accounting.storage import PPM, Inventory, Method, Rules

DECLARED_MG_PER_KWH = 700_000
MJ_MG_PER_UG = 3_600_000

run = st.tuples(
    st.lists(scan, max_size=8),
    st.integers(0, PPM),  # state of charge at its last scan
    st.booleans(),  # that was known
    st.integers(0, PPM),  # at the first scan of the next
    st.one_of(st.just(2**60), amounts),  # that the battery can have moved in between
)
Run = tuple[list[Scan], int, bool, int, int]


def bench_of(row: Row) -> CarryoverBench:
    named = {"method": METHODS[row["method"]], "standby": POLICIES[row["standby"]], "anchors": 0}
    return CarryoverBench(row | named)


class Books:
    """The accounting's inventory beside the kernel's; it knows of no restart."""

    def __init__(self, row: Row, declared_mj: int) -> None:
        rules = Rules(row["charge_ppm"], row["discharge_ppm"], DEFAULT_MG_PER_KWH, row["method"],
                      row["standby"], slice_mj=row["slice_mj"])  # fmt: skip
        self.inventory = Inventory(rules, declared_mj, DECLARED_MG_PER_KWH)
        self.row = row
        self.remainder = 0

    def scan(self, bench: CarryoverBench, each: Scan) -> int:
        """One scan of both; the ug that came less those that left."""
        origins, charged_ug, delivered_mj, soc_ppm, _, dt_ns = each
        bench.begin()
        short_mj = self.inventory.shortfall_mj
        ug, _ = bench.draw(delivered_mj, DEFAULT_MG_PER_KWH)
        beyond_ug = self.inventory.discharge(delivered_mj).carbon_ug
        assert bench.account()[3] == self.inventory.shortfall_mj - short_mj
        bench.fill(sum(origins), charged_ug, origins)
        self.inventory.charge(sum(origins), charged_ug, dict(zip(NAMES, origins, strict=True)))
        bench.settle(soc_ppm, True, dt_ns)
        if self.row["standby_milliwatt"] and dt_ns:
            whole = self.row["standby_milliwatt"] * dt_ns + self.remainder
            lost_mj, self.remainder = divmod(whole, 10**9)
            if lost_mj:
                self.inventory.stand(lost_mj)
        # What a draw beyond the books costs depends on a remainder that the bench keeps itself.
        assert beyond_ug - ug in ((-1, 0, 1) if bench.account()[3] else (0,))
        return charged_ug - ug - bench.account()[1]


def held(books: Books) -> tuple[int, int, list[int]]:
    inventory = books.inventory
    return inventory.energy_mj, inventory.carbon_ug, by_origin(inventory.origins_mj)


def restarted(row: Row, before: CarryoverBench, reach_mj: int) -> CarryoverBench:
    """The next run's kernel, with what the run before kept and nothing else."""
    kept, slices = before.kept()
    after = bench_of(row)
    after.carry(kept | {"reach_mj": reach_mj}, slices)
    assert after.held() == before.held(), "to the last mJ and ug"
    assert after.slices() == before.slices()
    assert after.kept()[0]["opening"] == StockOpening.OPENING_CARRIED
    assert after.kept()[0] | {"opening": 0} == kept | {"opening": 0}
    return after


@settings(max_examples=400, deadline=None)
@given(row=stocks, declared_j=st.integers(0, 10**9), runs=st.lists(run, min_size=1, max_size=4))
def test_conservation_over_restarts_is_exact_in_both_methods(
    row: Row, declared_j: int, runs: list[Run]
) -> None:
    """The kernel that restarts holds what the accounting holds that never did."""
    bench, books = bench_of(row), Books(row, declared_j * 1000)
    bench.begin()
    bench.start(float(declared_j), DECLARED_MG_PER_KWH)
    assert bench.opened() == bench.held()[:2], "what is declared is opened"
    for scans, soc_ppm, known, next_ppm, reach_mj in runs:
        for each in scans:
            before_ug = bench.held()[1]
            came_ug = books.scan(bench, each)
            assert bench.held()[1] - before_ug >= came_ug, "only the default's carbon is more"
            if not bench.account()[3]:
                assert bench.held()[1] == before_ug + came_ug
            assert bench.held() == held(books)
        if known:
            bench.note(soc_ppm)
        said = bench.kept()[0]
        bench = restarted(row, bench, reach_mj)
        resume(row, bench, books, said | {"reach_mj": reach_mj}, next_ppm)


def resume(
    row: Row, bench: CarryoverBench, books: Books, said: dict[str, Any], next_ppm: int
) -> None:
    """The first scan of the next run: what its state of charge says moved, and nothing else."""
    before_mj, before_ug, _ = bench.held()
    moved_mj = 0
    if said["soc_known"]:
        then_mj, now_mj = (row["capacity_mj"] * ppm // PPM for ppm in (said["soc_ppm"], next_ppm))
        moved_mj = now_mj - then_mj - (before_mj - said["soc_mj"])
        moved_mj = max(-said["reach_mj"], min(moved_mj, said["reach_mj"]))
    bench.begin()
    bench.resume(next_ppm, DECLARED_MG_PER_KWH)
    drawn = books.inventory.resume(moved_mj, DECLARED_MG_PER_KWH)
    lost_mj, lost_ug, true_up_mj, short_mj, true_ups = bench.account()
    opened_mj, opened_ug = bench.opened()
    assert bench.held() == held(books)
    assert (lost_mj, short_mj, opened_mj) == (0, 0, 0)
    assert true_ups == (moved_mj != 0)
    assert bench.held()[0] == before_mj + true_up_mj
    assert bench.held()[1] == before_ug - lost_ug + opened_ug
    assert true_up_mj == max(moved_mj, -before_mj)
    assert lost_ug == max(0, drawn.carbon_ug)
    assert opened_ug == max(0, moved_mj) * DECLARED_MG_PER_KWH // MJ_MG_PER_UG, "never clean"
    assert bench.kept()[0]["opening"] == StockOpening.OPENING_RESUMED
    slices = bench.slices()
    if row["method"] is Method.FIFO:
        assert [sum(each[at] for each in slices) for at in (0, 1)] == list(bench.held()[:2])
