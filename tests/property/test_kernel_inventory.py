"""A battery's stock in the kernel: the accounting's own integers, and nothing made or lost."""

from dataclasses import dataclass
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st
from stock_rig import (
    DEFAULT_MG_PER_KWH,
    METHODS,
    MJ_MG_PER_UG,
    NAMES,
    NS_PER_S,
    POLICIES,
    REARM_PPM,
    Row,
    Scan,
    by_origin,
    scan,
    stocks,
)

from edgectl._kernel.inventory import InventoryBench, StockAnchor
from edgectl.accounting.storage import PPM, Anchor, Inventory, Method, Rules, Standby


def bench_of(row: Row) -> InventoryBench:
    return InventoryBench(
        row | {"method": METHODS[row["method"]], "standby": POLICIES[row["standby"]]}
    )


@dataclass
class Books:
    """The accounting's inventory, settled each scan as the kernel's rules say."""

    row: Row
    inventory: Inventory
    remainder: int = 0
    visited: str = ""
    fresh: bool = False

    def settle(self, soc_ppm: int, soc_good: bool, dt_ns: int) -> tuple[int, int, int, int]:
        """(lost mJ, lost ug, true-up mJ, true-ups)."""
        whole = self.row["standby_milliwatt"] * dt_ns + self.remainder
        if self.row["standby_milliwatt"] and dt_ns:
            lost_mj, self.remainder = divmod(whole, NS_PER_S)
            lost_mj = min(lost_mj, self.inventory.energy_mj)
            lost_ug = self.inventory.stand(lost_mj).carbon_ug if lost_mj else 0
        else:
            lost_mj = lost_ug = 0
        if not soc_good or not self.row["anchors"]:
            return lost_mj, lost_ug, 0, 0
        at = self._anchor(soc_ppm)
        done = None
        if at and at != self.visited and not self.fresh:
            done = self.inventory.true_up(Anchor(at), self.row["capacity_mj"] * soc_ppm // PPM)
        if at:
            self.visited = at
        elif (self.visited == "full" and soc_ppm < self.row["full_soc_ppm"] - REARM_PPM) or (
            self.visited == "empty" and soc_ppm > self.row["empty_soc_ppm"] + REARM_PPM
        ):
            self.visited = ""
        self.fresh = False
        if done is None:
            return lost_mj, lost_ug, 0, 0
        return lost_mj, lost_ug + done.loss_account_ug, done.after_mj - done.before_mj, 1

    def _anchor(self, soc_ppm: int) -> str:
        if self.row["anchors"] & StockAnchor.ANCHOR_FULL and soc_ppm >= self.row["full_soc_ppm"]:
            return "full"
        if self.row["anchors"] & StockAnchor.ANCHOR_EMPTY and soc_ppm <= self.row["empty_soc_ppm"]:
            return "empty"
        return ""


@settings(max_examples=2_000, deadline=None)
@given(row=stocks, declared_j=st.one_of(st.just(0), st.integers(0, 10**9)),
       scans=st.lists(scan, max_size=14))  # fmt: skip
@example(row={"charge_ppm": PPM, "discharge_ppm": PPM, "standby_milliwatt": 1000,
              "capacity_mj": 1000, "slice_mj": 0, "full_soc_ppm": PPM, "empty_soc_ppm": 0,
              "method": Method.FIFO, "standby": Standby.CONCENTRATE, "anchors": 0},
         declared_j=0,
         scans=[([0, 0, 0, 0], 7, 0, 0, False, 0),
                ([1, 0, 0, 0], 7, 0, 0, False, NS_PER_S)])  # fmt: skip
def test_the_kernel_books_a_battery_as_the_accounting_does(
    row: Row, declared_j: int, scans: list[Scan]
) -> None:
    bench = bench_of(row)
    rules = Rules(row["charge_ppm"], row["discharge_ppm"], DEFAULT_MG_PER_KWH, row["method"],
                  row["standby"], slice_mj=row["slice_mj"])  # fmt: skip
    books = Books(row, Inventory(rules, declared_j * 1000, 700_000), fresh=declared_j > 0)
    if declared_j:
        bench.start(float(declared_j), 700_000)
    for origins, charged_ug, delivered_mj, soc_ppm, soc_good, dt_ns in scans:
        bench.begin()
        beyond_mj = books.inventory.shortfall_mj
        drawn = books.inventory.discharge(delivered_mj)
        assert bench.draw(delivered_mj, DEFAULT_MG_PER_KWH) == (
            drawn.carbon_ug, by_origin(drawn.origins_mj),
        )  # fmt: skip
        bench.fill(sum(origins), charged_ug, origins)
        books.inventory.charge(sum(origins), charged_ug, dict(zip(NAMES, origins, strict=True)))
        bench.settle(soc_ppm, soc_good, dt_ns)
        lost_mj, lost_ug, true_up_mj, true_ups = books.settle(soc_ppm, soc_good, dt_ns)
        beyond_mj = books.inventory.shortfall_mj - beyond_mj
        assert bench.account() == (lost_mj, lost_ug, true_up_mj, beyond_mj, true_ups)
        assert bench.held() == (
            books.inventory.energy_mj, books.inventory.carbon_ug,
            by_origin(books.inventory.origins_mj),
        )  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(row=stocks, declared_j=st.integers(0, 10**9), scans=st.lists(scan, max_size=20))
def test_conservation_of_energy_and_carbon_in_a_stock_is_exact(
    row: Row, declared_j: int, scans: list[Scan]
) -> None:
    """Against exact fractions: what came in is what went out, is held, was lost, was corrected."""
    bench = bench_of(row)
    bench.start(float(declared_j), 700_000)
    charge, discharge = (Fraction(row[name], PPM) for name in ("charge_ppm", "discharge_ppm"))
    charged, delivered, standing = Fraction(0), Fraction(0), Fraction(0)
    corrected_mj = beyond_mj = lost_mj = lost_ug = came_ug = left_ug = 0
    start_mj, start_ug, _ = bench.held()
    for origins, charged_ug, delivered_mj, soc_ppm, soc_good, dt_ns in scans:
        bench.begin()
        ug, given_mj = bench.draw(delivered_mj, DEFAULT_MG_PER_KWH)
        bench.fill(sum(origins), charged_ug, origins)
        bench.settle(soc_ppm, soc_good, dt_ns)
        assert sum(given_mj) == delivered_mj
        assert min(given_mj) >= 0
        left_ug, came_ug = left_ug + ug, came_ug + charged_ug
        charged, delivered = charged + sum(origins), delivered + delivered_mj
        standing += Fraction(row["standby_milliwatt"] * dt_ns, NS_PER_S)
        account = bench.account()
        lost_mj, lost_ug = lost_mj + account[0], lost_ug + account[1]
        corrected_mj, beyond_mj = corrected_mj + account[2], beyond_mj + account[3]
        held_mj, held_ug, held = bench.held()
        stored, taken = int(charged * charge), int(delivered / discharge)
        default_ug = int(Fraction(beyond_mj * DEFAULT_MG_PER_KWH, MJ_MG_PER_UG))
        assert held_mj == start_mj + stored - (taken - beyond_mj) - lost_mj + corrected_mj >= 0
        assert held_ug == start_ug + came_ug + default_ug - left_ug - lost_ug >= 0
        assert sum(held) == held_mj
        assert min(held) >= 0
        assert lost_mj <= standing
        slices = bench.slices()
        if row["method"] is Method.FIFO:
            assert sum(each[0] for each in slices) == held_mj
            assert sum(each[1] for each in slices) == held_ug
            assert [sum(each[2][at] for each in slices) for at in range(4)] == held
