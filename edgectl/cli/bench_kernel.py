"""`edgectl bench kernel`: one scan timed without I/O, or a whole site in simulated time."""

import time
from dataclasses import dataclass

import numpy as np

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl.cli.bench_figures import Figures
from edgectl.cli.bench_tables import kernel_tables
from edgectl.controller.deadlines import quantiles
from edgectl.image.mailbox import post
from edgectl.image.segment import Segment, private_segment
from edgectl.plant.boundary import Boundary
from edgectl.plant.in_process import InProcess, in_process
from edgectl.plant.roles import campus_of
from edgectl.plant.start import demo_start_utc_ns
from edgectl.plant.traces import open_traces
from edgectl.site_model.load import load_site
from edgectl.site_model.model import Site
from edgectl.site_model.tables import KernelTables, compile_tables

PERIOD_NS = 100_000_000
TIMED_SCANS = 20_000
UNTIMED_SCANS = 1_000  # until caches and branch predictors know the tables
JOURNAL_SLOTS = 64  # nobody reads: the records stay in cache
SETTLE_S = 5.0  # simulated, before the interlocks are reset and the controller armed
EXPIRY_NS = 2**62
SNAPSHOT_EVERY = 600  # a minute of scans: nobody looks at a simulation more often
VESSIM_SECONDS = 300


def exec_figures(tags: int, interlocks: int) -> Figures:
    """Time one scan of a made-up site, every point fresh in every scan and journaled."""
    tables = kernel_tables(tags, interlocks, PERIOD_NS)
    segment = private_segment(tables.directory, JOURNAL_SLOTS)
    kernel = Kernel(tables, segment.buffer)
    kernel.time_scans(UNTIMED_SCANS)
    times_ns = kernel.time_scans(TIMED_SCANS)
    return {
        "tags": tags,
        "interlocks": interlocks,
        "scans": TIMED_SCANS,
        "exec_us": quantiles(times_ns, 1e3),
        "skipped": [],
    }


@dataclass(slots=True)
class Simulated:
    """One site, its plant and its kernel, in simulated time."""

    site: Site
    tables: KernelTables
    segment: Segment
    kernel: Kernel
    plant: InProcess
    utc_start_ns: int

    def run(self, scans: int) -> None:
        """Run on for so many scans."""
        self.plant.run(self.kernel, scans, 1, self.utc_start_ns)

    def ask(self, kind: MailKind, target: int, authority: int) -> None:
        """Post one request that does not lapse."""
        post(self.segment.head, self.segment.mailbox, int(kind), target, 0.0, authority, EXPIRY_NS)


def simulated(name: str, seed: int) -> Simulated:
    """A site at the hour at which the demonstration starts.

    name  of a site that ships with edgectl, or a path
    seed  of weather and load

    Raises SiteFileError and PlantError as their loaders do.
    """
    site = load_site(name)
    tables = compile_tables(site)
    segment = private_segment(tables.directory, JOURNAL_SLOTS)
    kernel = Kernel(tables, segment.buffer)
    kernel.snapshot_every = SNAPSHOT_EVERY
    traces = open_traces(None, site.zone, seed)
    campus = campus_of(site)
    boundary = Boundary(traces, campus.place, campus.parameters, campus.it_buses)
    start_ns = demo_start_utc_ns(campus, boundary, site.carbon.high_g_per_kwh)
    plant = in_process(site, tables, traces, seed=seed)
    return Simulated(site, tables, segment, kernel, plant, start_ns)


def simulate_figures(hours: float, seed: int, name: str) -> Figures:
    """Run a site for so many simulated hours, armed and with all its interlocks."""
    rig = simulated(name, seed)
    rig.kernel.start_digest()
    period_s = rig.plant.period_ns * 1e-9
    scans = round(hours * 3600.0 / period_s)
    settle = min(round(SETTLE_S / period_s), scans)
    start_s = time.perf_counter()
    rig.run(settle)
    rig.ask(MailKind.MAIL_RESET, -1, int(Reset.RESET_OPERATOR))
    rig.ask(MailKind.MAIL_ARM, 0, int(RequestSource.SOURCE_OPERATOR))
    rig.run(scans - settle)
    wall_s = time.perf_counter() - start_s
    head = rig.segment.reader().snapshot()
    skipped: list[str] = []
    return {
        "site": name,
        "seed": seed,
        "scans": rig.kernel.scans,
        "wall_s": round(wall_s, 3),
        "scans_per_s": round(scans / wall_s, 1),
        "simulated_s_per_s": round(scans * period_s / wall_s, 1),
        "digest": rig.kernel.digest,
        "setpoints_written": int(head["head"]["setpoints_written"]),
        "trips": int(head["head"]["trips"]),
        "balance_error_mj": int(head["record"]["balance_error_mj"]),
        "balance_error_ug": int(head["record"]["balance_error_ug"]),
        "vessim_simulated_s_per_s": vessim_speed(skipped),
        "skipped": skipped,
    }


def vessim_speed(skipped: list[str]) -> float | None:
    """Simulated seconds per second of vessim: battery, PV, load and grid at 1-s steps.

    skipped  told why, when vessim is not installed; the result is None then
    """
    try:
        import pandas  # both only for this figure, and not installed with edgectl
        import vessim
    except ImportError as error:
        skipped.append(f"vessim_simulated_s_per_s: {error}")
        return None
    offsets_s = np.arange(VESSIM_SECONDS + 1)
    load_w = pandas.Series(60e6 + 5e6 * np.sin(offsets_s / 50.0), index=offsets_s)
    pv_w = pandas.Series(10e6 + 2e6 * np.cos(offsets_s / 70.0), index=offsets_s)
    environment = vessim.Environment(sim_start="2024-06-01", step_size=1)
    environment.add_microgrid(
        actors=[
            vessim.Consumer("it", vessim.Trace(load_w)),
            vessim.Producer("pv", vessim.Trace(pv_w)),
        ],
        dispatchables=[
            vessim.SimpleBattery("battery", capacity=40e6, initial_soc=0.5, c_rate=0.5),
            vessim.GridConnection(),
        ],
    )
    start_s = time.perf_counter()
    environment.run(until=VESSIM_SECONDS)
    return round(VESSIM_SECONDS / (time.perf_counter() - start_s), 1)
