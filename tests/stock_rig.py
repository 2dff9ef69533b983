"""What a battery's books may meet, and how the kernel and the accounting name it."""

from typing import Any

from hypothesis import strategies as st

from edgectl._kernel.inventory import StockMethod, StockStandby
from edgectl.accounting.storage import DECLARED, PPM, UNMETERED, Method, Standby

NS_PER_S = 1_000_000_000
REARM_PPM = 20_000
DEFAULT_MG_PER_KWH = 480_000
MJ_MG_PER_UG = 3_600_000
NAMES = ("grid", "pv", "generator", UNMETERED)
METHODS = {Method.WEIGHTED_AVERAGE: StockMethod.METHOD_WEIGHTED_AVERAGE,
           Method.FIFO: StockMethod.METHOD_FIFO}  # fmt: skip
POLICIES = {Standby.CONCENTRATE: StockStandby.STANDBY_CONCENTRATE,
            Standby.BOOK: StockStandby.STANDBY_BOOK}  # fmt: skip

amounts = st.one_of(st.integers(0, 30), st.integers(0, 10**6), st.integers(0, 10**12))
efficiencies = st.one_of(st.just(PPM), st.integers(500_000, PPM))
stocks = st.fixed_dictionaries(
    {
        "charge_ppm": efficiencies,
        "discharge_ppm": efficiencies,
        "standby_milliwatt": st.one_of(st.just(0), st.integers(0, 10**9)),
        "capacity_mj": st.one_of(st.integers(0, 10**4), st.integers(0, 10**13)),
        "slice_mj": st.one_of(st.integers(0, 20), st.integers(0, 10**12)),
        "full_soc_ppm": st.integers(600_000, PPM),
        "empty_soc_ppm": st.integers(0, 400_000),
        "method": st.sampled_from(Method),
        "standby": st.sampled_from(Standby),
        "anchors": st.integers(0, 3),
    }
)
scan = st.tuples(
    st.lists(amounts, min_size=4, max_size=4),  # charged, by origin
    amounts,  # its carbon
    amounts,  # delivered
    st.one_of(st.integers(0, PPM), st.just(0), st.just(PPM)),  # state of charge
    st.booleans(),  # of good quality
    st.integers(0, 60 * NS_PER_S),  # dt
)
Scan = tuple[list[int], int, int, int, bool, int]
Row = dict[str, Any]


def by_origin(origins_mj: Any) -> list[int]:
    """As the kernel has them: what was declared is of no known origin."""
    found = [origins_mj.get(name, 0) for name in NAMES]
    found[3] += origins_mj.get(DECLARED, 0)
    return found
