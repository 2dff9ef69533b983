"""What the journal says of the batteries, scan by scan, on a plant in process."""

from dataclasses import replace

import numpy as np
import pytest
from carryover_rig import both_methods

from edgectl._kernel.inventory import Origin, StockMethod, StockOpening, StockStandby
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.layout import DTYPES
from edgectl.image import post, private_segment
from edgectl.plant.in_process import in_process
from edgectl.plant.traces import ClimatologyTraces
from edgectl.site_model import Site, compile_tables, load_site

START_NS = 1_000_000_000
UTC_NS = 1_690_000_000_000_000_000
SCANS = 3_000
STANDBY_W = 2_000.0
DEMO: Site = load_site("demo")


def site(method: str, policy: str) -> Site:
    """The demo whose batteries lose nothing but what they lose standing."""
    return replace(
        DEMO,
        batteries=tuple(
            replace(each, charge_efficiency=1.0, discharge_efficiency=1.0, carbon_method=method,
                    standby_w=STANDBY_W, standby_carbon=policy, full_soc_ratio=0.9,
                    empty_soc_ratio=0.1)
            for each in DEMO.batteries
        ),
    )  # fmt: skip


def journal_of(model: Site) -> np.ndarray:
    tables = compile_tables(model)
    segment = private_segment(tables.directory, SCANS + 2)
    kernel = Kernel(tables, segment.buffer)
    post(segment.head, segment.mailbox, MailKind.MAIL_ARM, -1, 0.0, 0, 2**62)
    for battery, watts in enumerate((-1e6, 2e6)):
        post(segment.head, segment.mailbox, MailKind.MAIL_STORAGE_W, battery, watts, 2, 2**62)
    in_process(model, tables, ClimatologyTraces(), seed=1).run(kernel, SCANS, START_NS, UTC_NS)
    layout = segment.layout
    return np.frombuffer(segment.buffer, layout.record, SCANS, layout.journal_offset)


@pytest.mark.parametrize(
    ("method", "policy"),
    [("weighted average", "concentrate"), ("fifo", "loss account"), ("fifo", "concentrate")],
)
def test_every_records_stock_is_the_one_before_and_what_the_record_says(
    method: str, policy: str
) -> None:
    model = site(method, policy)
    journal = journal_of(model)
    flows, storages = journal["flows"], journal["storages"]
    count = storages.shape[1]
    first_sink, first_source = flows.shape[2] - 2 - count, flows.shape[1] - count
    assert set(storages["method"].flat) == {
        StockMethod.METHOD_FIFO if method == "fifo" else StockMethod.METHOD_WEIGHTED_AVERAGE
    }
    assert set(storages["standby"].flat) == {
        StockStandby.STANDBY_BOOK if policy == "loss account" else StockStandby.STANDBY_CONCENTRATE
    }
    for at in range(count):
        own = storages[:, at]
        came = flows[:, :, first_sink + at]
        left = flows[:, first_source + at, :]
        in_mj, in_ug = came["energy_mj"].sum(axis=1), came["carbon_ug"].sum(axis=1)
        out_mj, out_ug = left["energy_mj"].sum(axis=1), left["carbon_ug"].sum(axis=1)
        mj = (
            np.diff(own["stock_mj"])
            - (in_mj - out_mj - own["lost_mj"] + own["true_up_mj"] + own["opened_mj"])[1:]
        )
        ug = np.diff(own["stock_ug"]) - (in_ug - out_ug - own["lost_ug"] + own["opened_ug"])[1:]
        assert not own["shortfall_mj"].any()
        assert np.count_nonzero(own["opened_mj"]) == 1, "declared once"
        assert not mj.any()
        assert not ug.any()
        assert (own["delivered_mj"].sum(axis=1) == out_mj).all()
        assert (own["stock_origins_mj"].sum(axis=1) == own["stock_mj"]).all()
        assert own["stock_origins_mj"].min() >= 0
        assert own["lost_mj"].sum() == pytest.approx(STANDBY_W * 100 * SCANS, rel=0.02)
        assert (own["lost_ug"].sum() > 0) == (policy == "loss account")
    moved = storages["delivered_mj"].sum(axis=(0, 1))
    charged = np.diff(storages["stock_origins_mj"][[10, -1]], axis=0)
    assert moved[Origin.ORIGIN_OTHER] > 0, "a battery gave what it held before the ledger"
    assert charged[0, :, Origin.ORIGIN_GRID].max() > 0, "the other was charged from the grid"


def test_what_is_carried_is_held_by_the_first_scan_and_then_resumed() -> None:
    model = both_methods()
    tables = compile_tables(model)
    segment = private_segment(tables.directory, 64)
    kernel = Kernel(tables, segment.buffer)
    for at, count in enumerate((0, 2)):
        kept = np.zeros(1, DTYPES["StockKept"])
        slices = np.zeros(count, DTYPES["StockSlice"])
        kept["held"]["energy_mj"], kept["held"]["carbon_ug"] = 7_000_000, 900
        kept["held"]["origins_mj"] = (7_000_000, 0, 0, 0)
        kept["count"] = count
        if count:
            slices["energy_mj"], slices["carbon_ug"] = (3_000_000, 4_000_000), (800, 100)
            slices["origins_mj"] = [(each, 0, 0, 0) for each in (3_000_000, 4_000_000)]
        kernel.carry(at, kept, slices)
    plant = in_process(model, tables, ClimatologyTraces(), seed=1)
    plant.run(kernel, 1, START_NS, UTC_NS)
    image = segment.reader().snapshot()
    assert list(image["storages"]["stock_ug"]) == [900, 900]
    assert list(image["storages"]["opened_mj"]) == [0, 0], "nothing is declared"
    assert list(image["stocks"]["count"]) == [0, 2]
    assert image["slices"][0]["carbon_ug"][:2].tolist() == [800, 100]
    plant.run(kernel, 20, START_NS, UTC_NS)
    image = segment.reader().snapshot()
    assert set(image["stocks"]["opening"]) == {StockOpening.OPENING_RESUMED}
    assert image["stocks"]["soc_known"].all()


def test_the_kernel_takes_no_slices_beyond_its_ring_nor_for_an_average() -> None:
    tables = compile_tables(both_methods())
    kernel = Kernel(tables, private_segment(tables.directory, 8).buffer)
    kept = np.zeros(1, DTYPES["StockKept"])
    for count, storage in ((257, 1), (1, 0)):
        kept["count"] = count
        with pytest.raises(ValueError, match="slices"):
            kernel.carry(storage, kept, np.zeros(count, DTYPES["StockSlice"]))
    with pytest.raises(ValueError, match="slices"):
        kernel.carry(1, kept, np.zeros(3, DTYPES["StockSlice"]))
    with pytest.raises(IndexError):
        kernel.carry(2, kept, np.zeros(1, DTYPES["StockSlice"]))
