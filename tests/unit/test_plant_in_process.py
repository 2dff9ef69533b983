"""In process the campus says in C what it says on the wire, and the kernel runs on it."""

from dataclasses import dataclass

import numpy as np
import pytest

from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl.image import Segment, post, private_segment
from edgectl.plant._simulate import simulate
from edgectl.plant.host import demo_start
from edgectl.plant.in_process import InProcess, in_process
from edgectl.plant.traces import ClimatologyTraces
from edgectl.plant.wire import slot_words
from edgectl.site_model import KernelTables, Site, compile_tables, load_site

START_NS = 1_000_000_000
UTC_NS = 1_690_000_000_000_000_000
SITE: Site = load_site("demo")
TABLES: KernelTables = compile_tables(SITE)


@dataclass
class Rig:
    """Plant and kernel, armed from the first scan."""

    plant: InProcess
    kernel: Kernel
    segment: Segment

    def run(self, scans: int, utc_ns: int = UTC_NS) -> None:
        self.plant.run(self.kernel, scans, START_NS, utc_ns)

    def value(self, tag: str) -> float:
        return self.kernel.sample(TABLES.point_index[tag])[0]

    def quality(self, tag: str) -> int:
        return self.kernel.sample(TABLES.point_index[tag])[1]


def rig(seed: int = 1) -> Rig:
    segment = private_segment(TABLES.directory, 64)
    kernel = Kernel(TABLES, segment.buffer)
    kernel.start_digest()
    post(segment.head, segment.mailbox, MailKind.MAIL_ARM, -1, 0.0, 0, 2**62)
    return Rig(in_process(SITE, TABLES, ClimatologyTraces(), seed=seed), kernel, segment)


def test_words_in_c_are_those_of_pymodbus() -> None:
    plant = in_process(SITE, TABLES, ClimatologyTraces())
    plant.prepare(UTC_NS)
    plant.plant.write_storage_w(0, -3e6)
    compared = 0
    for step in range(1, 30):
        plant.plant.step(100_000_000, UTC_NS + step * 100_000_000)
        plant.bus.encode_all()
        for each in plant.devices:
            for slot in each.slots:
                row = TABLES.points[TABLES.point_index[f"{each.device.id}.{slot.point.name}"]]
                words = slot_words(slot, plant.plant, each.device.profile.low_first)
                first = int(plant.block_words[row["block"]]) + int(row["word"])
                if slot.point.type == "bit" and slot.point.function > 2:
                    continue
                assert plant.bus.words(first, len(words)) == words, slot.point.name
                compared += 1
    assert compared > 5000


def test_every_point_is_good_once_the_bus_has_run() -> None:
    rigged = rig()
    rigged.run(len(TABLES.blocks) + 2)  # a slow block has its first turn within so many
    bad = [tag for tag in TABLES.point_index if rigged.quality(tag) != 2]
    assert bad == ["SITE.services_age"], "no services run beside a simulation"


def test_the_kernel_reads_what_the_physics_has() -> None:
    rigged = rig()
    rigged.run(50)
    plant = rigged.plant.plant
    for tag, signal, resolution in (
        ("GRID-01.active_power", "grid.power_w", 10.0),
        ("MTR-05.active_power", "it4.power_w", 5.0),
        ("AUX-01.active_power", "aux0.power_w", 1.0),
        ("BMS-01.soc", "storage0.soc_ratio", 0.01),
        ("FLEX-01.deferrable_power", "deferrable_w", 1.0),
    ):
        assert rigged.value(tag) == pytest.approx(plant.read(signal), abs=resolution), tag


def test_a_counter_rolls_over_at_its_registers_end() -> None:
    plant = in_process(SITE, TABLES, ClimatologyTraces())
    plant.prepare(UTC_NS)
    grid = next(each for each in plant.devices if each.device.id == "GRID-01")
    slot = next(each for each in grid.slots if each.point.name == "energy_import")
    end_j = 2**32 * slot.point.scale
    plant.plant.force(slot.signal, end_j * 3 + 5 * slot.point.scale)
    plant.bus.encode_all()
    row = TABLES.points[TABLES.point_index["GRID-01.energy_import"]]
    first = int(plant.block_words[row["block"]]) + int(row["word"])
    assert plant.bus.words(first, 2) == [0, 5] == slot_words(slot, plant.plant, False)


@pytest.mark.untraced
def test_the_same_seed_twice_is_bit_for_bit_the_same() -> None:
    rigs = [rig(seed) for seed in (5, 5, 6)]
    for each in rigs:
        each.run(1500)
    kernels = [each.kernel.digest for each in rigs]
    plants = [each.plant.plant.digest() for each in rigs]
    assert kernels[0] == kernels[1]
    assert plants[0] == plants[1]
    assert kernels[0] != kernels[2]


@pytest.mark.untraced
def test_running_in_parts_is_running_in_one() -> None:
    whole, parts = rig(), rig()
    whole.run(900)
    for scans in (1, 299, 600):
        parts.run(scans)
    assert whole.kernel.digest == parts.kernel.digest


@pytest.mark.untraced
def test_the_controller_holds_the_cap_through_job_and_cloud() -> None:
    utc_ns = demo_start(SITE, None)
    rigged = rig()
    grid_w, load_w = [], []
    for _ in range(600):
        rigged.run(1, utc_ns)
        plant = rigged.plant.plant
        battery_w = plant.read("storage0.power_w") + plant.read("storage1.power_w")
        grid_w.append(plant.read("grid.power_w"))
        load_w.append(grid_w[-1] - battery_w + plant.read("deferred_w"))
    seconds_w = np.convolve(grid_w[60:], np.full(10, 0.1), "valid")
    cap_w = SITE.grid.import_cap_w
    assert max(load_w) > 1.04 * cap_w, "the load alone is over the cap by megawatts"
    assert seconds_w.max() <= 1.02 * cap_w
    assert np.mean(load_w[60:110]) < cap_w, "and under it before the job"
    assert rigged.plant.bus.writes > 50


@pytest.mark.untraced
def test_weather_is_loaded_a_day_at_a_time() -> None:
    rigged = rig()
    rigged.run(10)
    first_ns = rigged.plant.table_first_ns
    rigged.plant.bus.plant.load(
        rigged.plant.boundary.table(first_ns, 2), first_ns
    )  # a table of one minute stands for one that runs out
    rigged.run(1200)
    assert rigged.plant.table_first_ns > first_ns


def test_a_bus_of_another_site_or_without_weather_is_refused() -> None:
    tables = compile_tables(load_site("texas-100mw"))
    segment = private_segment(tables.directory, 8)
    plant = in_process(SITE, TABLES, ClimatologyTraces())
    with pytest.raises(ValueError, match="must come from one site"):
        simulate(Kernel(tables, segment.buffer), plant.bus, 1, START_NS, UTC_NS)
    with pytest.raises(ValueError, match="no boundary table"):
        simulate(rig().kernel, plant.bus, 1, START_NS, UTC_NS)
