"""The simulated campus keeps its books: energy balances, limits hold, the seed decides all."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edgectl.plant._physics import COLUMNS, Plant
from edgectl.plant.boundary import Place
from edgectl.plant.campus import INT64_MAX, Campus, PvSize, StorageSize, build_plant

SECOND_NS = 1_000_000_000
TICK_NS = 100_000_000
UTC_NS = 1_690_000_000 * SECOND_NS
CAPACITY_J = 144e9

CAMPUS = Campus(
    it_buses=6,
    auxes=2,
    cooling_feeds=1,
    import_cap_w=74e6,
    pvs=(PvSize(15e6), PvSize(15e6, revert_ns=10 * SECOND_NS)),
    storages=(
        StorageSize(10e6, 10e6, CAPACITY_J, 0.95, 0.96, revert_ns=5 * SECOND_NS),
        StorageSize(10e6, 8e6, CAPACITY_J, 0.97, 0.97),
    ),
    defer_revert_ns=30 * SECOND_NS,
    place=Place(32.9, -97.0),
    zone="US-TEX-ERCO",
)


def sky(pv_ratio: float = 0.6, cloud_ratio: float = 0.5) -> np.ndarray:
    """Two hours of the same weather, utilisation and intensity."""
    row = [303.15, 297.15, 0.2, pv_ratio, cloud_ratio, 390.0] + [0.7] * CAMPUS.it_buses
    return np.tile(np.array(row), (121, 1))


def plant_at_rest(
    campus: Campus = CAMPUS, scenario: str = "demo", seed: int = 1, pv_ratio: float = 0.6
) -> Plant:
    plant = build_plant(campus, scenario, seed)
    plant.load(sky(pv_ratio), UTC_NS, settle=True)
    return plant


def advance(plant: Plant, seconds: float, tick_ns: int = TICK_NS) -> None:
    for _ in range(round(seconds * SECOND_NS / tick_ns)):
        plant.step(tick_ns, UTC_NS + plant.time_ns)


def test_the_grid_balances_everything_in_every_step() -> None:
    plant = plant_at_rest()
    plant.write_storage_w(1, -6e6)
    plant.write_defer_w(4e6)
    for _ in range(900):
        advance(plant, 0.1)
        assert abs(plant.residual_w()) < 1e-3


def test_unmetered_cooling_is_a_loss_and_not_forgotten() -> None:
    plant = plant_at_rest(replace(CAMPUS, auxes=0, cooling_feeds=0))
    advance(plant, 5.0)
    assert abs(plant.residual_w()) < 1e-3
    assert plant.read("loss_w") > 10e6


@pytest.mark.parametrize("setpoint_w", [7e6, -7e6])
def test_stored_energy_is_the_integral_of_ac_power_and_efficiency(setpoint_w: float) -> None:
    plant = plant_at_rest()
    before_j = plant.stored_j(0)
    expected_j = 0.0
    for _ in range(400):
        plant.write_storage_w(0, setpoint_w)
        advance(plant, 0.1)
        power_w = plant.read("storage0.true_power_w")
        expected_j += 0.1 * (power_w * 0.95 if power_w > 0.0 else power_w / 0.96)
    assert plant.stored_j(0) - before_j == pytest.approx(expected_j, rel=1e-9)
    advance(plant, 1.0)
    soc_ratio = plant.stored_j(0) / CAPACITY_J
    assert plant.read("storage0.soc_ratio") == pytest.approx(soc_ratio, abs=1e-4)


def test_a_battery_neither_overflows_nor_goes_below_empty() -> None:
    small = StorageSize(10e6, 10e6, 4e7, 0.97, 0.97)
    plant = plant_at_rest(replace(CAMPUS, storages=(small, small)))
    plant.write_storage_w(0, 10e6)
    plant.write_storage_w(1, -10e6)
    for _ in range(300):
        advance(plant, 0.1)
        assert plant.stored_j(1) >= 0.0
        assert plant.stored_j(0) <= small.capacity_j
        assert abs(plant.residual_w()) < 1e-3


def test_battery_power_follows_a_write_within_half_a_second() -> None:
    plant = plant_at_rest()
    advance(plant, 1.0)
    plant.write_storage_w(0, -5e6)
    advance(plant, 0.1, tick_ns=20_000_000)
    assert -4.5e6 < plant.read("storage0.true_power_w") < -1e5
    advance(plant, 0.9, tick_ns=20_000_000)
    assert plant.read("storage0.true_power_w") == pytest.approx(-5e6, rel=0.02)


def test_silence_sends_the_converter_to_zero_after_its_revert_time() -> None:
    plant = plant_at_rest()
    plant.write_storage_w(0, 5e6)
    plant.write_storage_w(1, 5e6)
    advance(plant, 4.9)
    assert plant.read("storage0.true_power_w") == pytest.approx(5e6, rel=0.01)
    assert 0.0 < plant.read("storage0.revert_left_s") < 1.5
    advance(plant, 3.0)
    assert abs(plant.read("storage0.true_power_w")) < 1e4
    assert plant.read("storage0.setpoint_w") == 0.0
    assert plant.read("storage1.true_power_w") == pytest.approx(5e6, rel=0.01), "it has no timer"


def test_a_setpoint_beyond_the_rating_is_held_at_the_rating() -> None:
    plant = plant_at_rest()
    plant.write_storage_w(1, -50e6)
    advance(plant, 3.0)
    assert plant.read("storage1.true_power_w") == pytest.approx(-8e6, rel=0.01)


def test_pv_stays_under_its_limit_and_comes_back_when_it_lapses() -> None:
    plant = plant_at_rest(scenario="steady")
    plant.write_pv_limit_w(0, 2e6)
    plant.write_pv_limit_w(1, 2e6)
    advance(plant, 4.0)
    for _ in range(50):
        advance(plant, 0.1)
        assert plant.read("pv0.true_power_w") <= 2e6
    advance(plant, 10.0)
    assert plant.read("pv0.true_power_w") <= 2e6, "it has no timer"
    assert plant.read("pv1.true_power_w") > 8e6


def test_no_sun_is_no_pv() -> None:
    plant = plant_at_rest(pv_ratio=0.0)
    advance(plant, 60.0)
    assert plant.read("pv0.true_power_w") == 0.0


def test_deferral_is_obeyed_within_two_seconds_and_never_beyond_what_can_wait() -> None:
    plant = plant_at_rest(scenario="steady")
    it_w = sum(plant.read(f"it{bus}.true_power_w") for bus in range(6))
    can_wait_w = plant.read("deferrable_w")
    assert can_wait_w == pytest.approx(0.2 * it_w, rel=0.01)
    plant.write_defer_w(5e6)
    advance(plant, 2.0)
    assert plant.read("deferred_w") == pytest.approx(5e6, rel=0.06)
    assert plant.read("deferrable_w") == pytest.approx(can_wait_w - 5e6, rel=0.06)
    plant.write_defer_w(1e9)
    advance(plant, 8.0)
    assert plant.read("deferred_w") == pytest.approx(can_wait_w, rel=0.01)
    now_w = sum(plant.read(f"it{bus}.true_power_w") for bus in range(6))
    assert it_w - now_w == pytest.approx(can_wait_w, rel=0.05)


def test_deferral_lapses_in_silence_and_the_work_is_made_good() -> None:
    plant = plant_at_rest(scenario="steady")
    plant.write_defer_w(5e6)
    advance(plant, 29.0)
    owed_j = plant.read("backlog_j")
    assert owed_j == pytest.approx(5e6 * 28.4, rel=0.03)
    advance(plant, 10.0)
    assert plant.read("deferred_w") < 1e4
    assert plant.read("defer_request_w") == 0.0
    owed_j = plant.read("backlog_j")
    advance(plant, 600.0)
    assert plant.read("backlog_j") < owed_j


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    plants = [plant_at_rest(seed=seed) for seed in (7, 7, 8)]
    for plant in plants:
        advance(plant, 30.0)
    digests = [plant.digest() for plant in plants]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_the_demo_starts_a_training_job_at_12_s_and_stops_it_at_48_s() -> None:
    plant = plant_at_rest()
    advance(plant, 11.9)
    before_w = plant.read("it5.true_power_w")
    assert plant.read("job_w") == 0.0
    advance(plant, 3.3)
    assert 5e6 < plant.read("job_w") < 8e6
    assert plant.read("it5.true_power_w") > before_w + 2e6
    advance(plant, 36.0)
    assert plant.read("job_w") < 0.5e6


def test_the_demo_has_a_cloud_edge_at_30_s() -> None:
    plant = plant_at_rest()
    advance(plant, 29.9)
    before_w = plant.read("pv0.true_power_w")
    advance(plant, 5.0)
    assert plant.read("pv0.true_power_w") < 0.75 * before_w


def test_the_training_job_swings_in_steps_of_some_hundred_milliseconds() -> None:
    plant = plant_at_rest()
    advance(plant, 16.0)
    job_w = []
    for _ in range(800):
        advance(plant, 0.02, tick_ns=20_000_000)
        job_w.append(plant.read("job_w"))
    swings_w = np.diff(job_w)
    assert max(job_w) - min(job_w) > 0.9e6
    assert 0.0 < np.abs(swings_w).max() <= 0.2e6, "an edge takes 0.3 s or more"


def test_steady_has_neither_job_nor_dip() -> None:
    plant = plant_at_rest(scenario="steady")
    advance(plant, 60.0)
    assert plant.read("job_w") == 0.0
    assert plant.read("pv0.true_power_w") == pytest.approx(9e6, rel=1e-6)


def test_the_reset_button_is_pressed_twice_after_the_controller_was_heard() -> None:
    plant = plant_at_rest()
    advance(plant, 3.0)
    assert plant.read("reset_button") == 0.0, "nobody was heard yet"
    plant.hear()
    pressed = []
    for _ in range(60):
        advance(plant, 0.1)
        pressed.append(plant.read("reset_button"))
        plant.hear()
    edges = [at for at in range(1, 60) if pressed[at] > pressed[at - 1]]
    assert edges == [19, 39]
    assert sum(pressed) == 10


def test_energy_counters_are_the_integral_of_the_metered_power() -> None:
    plant = plant_at_rest()
    plant.write_storage_w(1, -5e6)
    names = ("grid", "it0", "pv0", "storage1")
    sums_j = dict.fromkeys(names, 0.0)
    start_j = {
        name: plant.read(f"{name}.energy_import_j") - plant.read(f"{name}.energy_export_j")
        for name in names
    }
    for _ in range(200):
        advance(plant, 0.1)
        for name in names:
            sums_j[name] += 0.1 * plant.read(f"{name}.power_w")
    for name in names:
        counted_j = plant.read(f"{name}.energy_import_j") - plant.read(f"{name}.energy_export_j")
        assert counted_j - start_j[name] == pytest.approx(sums_j[name], rel=1e-9)
    assert plant.read("storage1.energy_export_j") > 0.0


def test_meters_stay_within_their_class() -> None:
    plant = plant_at_rest()
    for _ in range(300):
        advance(plant, 0.1)
        for name in ("grid", "it0", "it5", "aux0", "pv1"):
            true_w = plant.read(f"{name}.true_power_w")
            assert abs(plant.read(f"{name}.power_w") / true_w - 1.0) < 0.005


def test_pue_of_a_hot_day_is_that_of_a_well_run_hall() -> None:
    plant = plant_at_rest(scenario="steady")
    it_w = sum(plant.read(f"it{bus}.true_power_w") for bus in range(6))
    pv_w = plant.read("pv0.true_power_w") + plant.read("pv1.true_power_w")
    assert 1.25 < (plant.read("grid.true_power_w") + pv_w) / it_w < 1.35


def test_cells_warm_up_under_load_and_stay_in_their_band() -> None:
    plant = plant_at_rest()
    start_k = plant.read("storage1.cell_max_k")
    for _ in range(1200):
        plant.write_storage_w(1, -8e6)
        plant.step(SECOND_NS, UTC_NS)
    warm_k = plant.read("storage1.cell_max_k")
    assert start_k + 0.1 < warm_k < 318.15


def test_a_step_of_any_length_settles_at_the_same_power() -> None:
    settled_w = []
    for tick_ns in (5_000_000, TICK_NS, SECOND_NS):
        plant = plant_at_rest(scenario="steady")
        plant.write_storage_w(1, 3e6)
        advance(plant, 10.0, tick_ns)
        settled_w.append(plant.read("storage1.true_power_w"))
    assert settled_w == pytest.approx([3e6] * 3, rel=1e-3)


def test_beyond_the_table_its_last_row_holds() -> None:
    plant = plant_at_rest()
    plant.step(TICK_NS, UTC_NS + 100 * 3600 * SECOND_NS)
    for _ in range(10):
        plant.step(TICK_NS, UTC_NS + 100 * 3600 * SECOND_NS)
    assert plant.read("carbon_g_per_kwh") == 390.0
    assert math.isfinite(plant.read("grid.power_w"))


def test_a_table_with_other_columns_is_refused() -> None:
    plant = build_plant(CAMPUS, "demo", 1)
    with pytest.raises(ValueError, match="needs 12 columns"):
        plant.load(np.zeros((2, len(COLUMNS))), UTC_NS)
    with pytest.raises(ValueError, match="no boundary table"):
        plant.step(TICK_NS, UTC_NS)


def test_an_unknown_scenario_or_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="scenario 'storm'"):
        build_plant(CAMPUS, "storm", 1)
    plant = plant_at_rest()
    with pytest.raises(KeyError):
        plant.read("it6.power_w")
    with pytest.raises(IndexError, match="signal 9999"):
        plant.value(9999)


def test_more_units_than_the_compiled_limits_are_refused() -> None:
    many = replace(CAMPUS, pvs=(PvSize(1e6, INT64_MAX),) * 17)
    with pytest.raises(ValueError, match="17 PV blocks"):
        build_plant(many, "demo", 1)
