"""A campus: what a site file says of the plant, with parameters for the rest, built in memory."""

from dataclasses import dataclass, field

import numpy as np

from edgectl.plant._physics import Plant
from edgectl.plant.boundary import Boundary, Place
from edgectl.plant.parameters import PlantParameters
from edgectl.plant.traces import Traces

INT64_MAX = 2**63 - 1
SCENARIOS = ("demo", "steady")
SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StorageSize:
    """One battery: W, J, ratios; revert_ns is the converter's own timer, INT64_MAX for none."""

    charge_rating_w: float
    discharge_rating_w: float
    capacity_j: float
    charge_efficiency_ratio: float
    discharge_efficiency_ratio: float
    revert_ns: int = INT64_MAX


@dataclass(frozen=True, slots=True)
class PvSize:
    """One PV block: AC rating, W; revert_ns is the inverter's own timer."""

    rating_w: float
    revert_ns: int = INT64_MAX


@dataclass(frozen=True, slots=True)
class Campus:
    """What the physics must know of a site.

    it_buses        metered IT buses
    auxes           auxiliary meters, the first cooling_feeds of them cooling
    import_cap_w    W; the IT load is sized by it
    """

    it_buses: int
    auxes: int
    cooling_feeds: int
    import_cap_w: float
    pvs: tuple[PvSize, ...]
    storages: tuple[StorageSize, ...]
    defer_revert_ns: int
    place: Place
    zone: str
    parameters: PlantParameters = field(default_factory=PlantParameters)


def _it_units(campus: Campus) -> list[dict[str, float]]:
    """Servers by bus: the training buses are smaller and carry the job between them."""
    p = campus.parameters
    training = min(p.training_buses, campus.it_buses)
    sizes = np.ones(campus.it_buses)
    sizes[campus.it_buses - training :] = p.training_size_ratio
    maximum_w = campus.import_cap_w * p.it_max_per_cap_ratio * sizes / sizes.sum()
    units = []
    for bus, server_w in enumerate(maximum_w):
        meter_w = float(server_w) * (1.0 + p.pdu_loss_ratio)
        units.append(
            {
                "idle_w": meter_w * p.idle_ratio,
                "dynamic_w": meter_w * (1.0 - p.idle_ratio),
                "ups_rating_w": meter_w * p.ups_rating_ratio,
                "job_share": 1.0 / training if bus >= campus.it_buses - training else 0.0,
            }
        )
    return units


def _row(campus: Campus, scenario: str) -> dict[str, float | int]:
    """The compiled plant's constants."""
    p, cap_w = campus.parameters, campus.import_cap_w
    it_max_w = cap_w * p.it_max_per_cap_ratio
    demo = scenario == "demo"
    return {
        "it_buses": campus.it_buses,
        "auxes": campus.auxes,
        "pvs": len(campus.pvs),
        "storages": len(campus.storages),
        "cooling_feeds": campus.cooling_feeds,
        "jobs": demo,
        "dips": demo,
        "deferrable_ratio": p.deferrable_ratio,
        "defer_lag_s": p.defer_lag_s,
        "defer_revert_ns": campus.defer_revert_ns,
        "catch_up_ratio": p.catch_up_ratio,
        "catch_up_s": p.catch_up_s,
        "wobble_ratio": p.wobble_ratio,
        "wobble_s": p.wobble_s,
        "ups_fixed_ratio": p.ups_fixed_ratio,
        "ups_linear_ratio": p.ups_linear_ratio,
        "ups_square_ratio": p.ups_square_ratio,
        "grid_rating_w": cap_w * p.transformer_rating_ratio,
        "transformer_fixed_ratio": p.transformer_fixed_ratio,
        "transformer_square_ratio": p.transformer_square_ratio,
        "house_w": it_max_w * p.house_ratio,
        "fan_w": it_max_w * p.fan_ratio,
        "heat_design_w": it_max_w * p.heat_design_ratio,
        "cooling_lag_s": p.cooling_lag_s,
        "job_low_w": cap_w * p.job_low_per_cap_ratio,
        "job_high_w": cap_w * p.job_high_per_cap_ratio,
        "job_swing_w": cap_w * p.job_swing_per_cap_ratio,
        "checkpoint_ratio": p.checkpoint_ratio,
        "cloud_ratio": p.cloud_ratio if demo else 0.0,
        "cloud_lag_s": p.cloud_lag_s,
        "pv_rise_ratio_per_s": p.pv_rise_ratio_per_s,
        "pv_limit_ratio_per_s": p.pv_limit_ratio_per_s,
        "storage_lag_s": p.storage_lag_s,
        "storage_heat_ratio": p.storage_heat_ratio,
        "cell_capacity_ratio": p.cell_capacity_ratio,
        "cell_cooling_s": p.cell_cooling_s,
        "container_k": p.container_k,
        "meter_noise_ratio": p.meter_noise_ratio,
        "job_first_ns": 12 * SECOND_NS,
        "job_first_run_ns": 36 * SECOND_NS,
        "dip_first_ns": 30 * SECOND_NS,
    }


def _feeds(campus: Campus, seed: int) -> list[tuple[float, float]]:
    """Nominal amps per watt and the gain of each meter: grid, IT, auxes, PV, storage."""
    p = campus.parameters
    volts = [p.grid_voltage_v] + [p.bus_voltage_v] * (campus.it_buses + campus.auxes)
    volts += [p.pv_voltage_v] * len(campus.pvs) + [p.storage_voltage_v] * len(campus.storages)
    errors = np.random.default_rng(seed).uniform(-1.0, 1.0, len(volts)) * p.meter_gain_ratio
    return [
        (float(1.0 / (np.sqrt(3.0) * volt * p.power_factor)), 1.0 + float(error))
        for volt, error in zip(volts, errors, strict=True)
    ]


def build_plant(campus: Campus, scenario: str, seed: int) -> Plant:
    """A campus at rest, without a boundary table yet.

    scenario   "demo": a training job and cloud edges, the first at fixed seconds;
               "steady": neither
    seed       of every draw
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"plant: scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    p = campus.parameters
    storages = [
        {
            "charge_rating_w": unit.charge_rating_w,
            "discharge_rating_w": unit.discharge_rating_w,
            "capacity_j": unit.capacity_j,
            "charge_ratio": unit.charge_efficiency_ratio,
            "discharge_ratio": unit.discharge_efficiency_ratio,
            "ramp_w_per_s": p.storage_ramp_ratio_per_s * unit.discharge_rating_w,
            "stored_j": p.storage_start_ratio * unit.capacity_j,
            "cell_k": p.container_k,
            "revert_ns": unit.revert_ns,
        }
        for unit in campus.storages
    ]
    pvs = [{"rating_w": unit.rating_w, "revert_ns": unit.revert_ns} for unit in campus.pvs]
    return Plant(
        _row(campus, scenario), _it_units(campus), pvs, storages, _feeds(campus, seed), seed
    )


def boundary_of(campus: Campus, traces: Traces) -> Boundary:
    """The boundary tables of this campus."""
    return Boundary(traces, campus.place, campus.parameters, campus.it_buses)
