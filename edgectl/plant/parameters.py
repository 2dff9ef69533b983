"""The reference campus in figures: every parameter of the simulated plant with its source.

[M] measured by us on public data, [S] read in the named source, [A] our assumption.
Sizes that a site file gives (battery and PV ratings) come from there, not from here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlantParameters:
    """SI units; ratios of 1. See docs/plant.md for how they act together."""

    # IT load, as a share of the site's import cap so that the campus fits its connection [A].
    it_max_per_cap_ratio: float = 1.0
    # Share of a server's full power that it draws idle. H100 nodes idle at 49 of 355 W of GPU
    # power (cbsugpu08, 2024-25 [M]); with host, fans and memory 0.4 of the node [A].
    idle_ratio: float = 0.4
    training_buses: int = 2  # the last of the site's IT buses carry the training job [A]
    training_size_ratio: float = 0.65  # their own servers against the other buses' [A]
    # Metered at the UPS output (PUE category 1): PDU loss counts as IT.
    pdu_loss_ratio: float = 0.01  # [A] PDU transformers at half load
    wobble_ratio: float = 0.004  # std of a bus's fast fluctuation [A]
    wobble_s: float = 1.0
    # UPS loss a + b x + c x^2 of its rating; 4.4 % at 45 % load: modern double conversion [A].
    ups_rating_ratio: float = 2.0  # of the bus's servers: 2N
    ups_fixed_ratio: float = 0.010
    ups_linear_ratio: float = 0.013
    ups_square_ratio: float = 0.020
    # Main transformers: no-load and load loss [A].
    transformer_rating_ratio: float = 1.6  # of the import cap
    transformer_fixed_ratio: float = 0.0006
    transformer_square_ratio: float = 0.006

    # Flexible load. A software demand response on 256 GPUs held 25 % for 3 h and answered
    # within 30 s (arXiv 2507.00909 [S]); a power cap acts faster than that [A].
    deferrable_ratio: float = 0.20
    defer_lag_s: float = 0.6  # 95 % after 1.8 s
    catch_up_ratio: float = 0.15  # of the deferrable load, while work waits [A]
    catch_up_s: float = 6 * 3600.0

    # Training job: all its GPUs compute and wait together, so its steps swing megawatts
    # within a second [A].
    job_low_per_cap_ratio: float = 0.081  # 6 MW of 74
    job_high_per_cap_ratio: float = 0.108  # 8 MW of 74
    job_swing_per_cap_ratio: float = 0.0135  # 1 MW of 74
    checkpoint_ratio: float = 0.5

    # Cooling: water-cooled chillers with a waterside economiser; Carnot fraction 0.55.
    # Economiser limits after the PUE tool of Lei and Masanet.
    carnot_ratio: float = 0.55
    chilled_water_k: float = 285.15  # supply
    return_water_k: float = 293.15
    evaporator_approach_k: float = 2.0
    tower_approach_k: float = 4.0
    exchanger_approach_k: float = 2.0
    condenser_water_min_k: float = 289.15  # below it a chiller loses its head pressure [A]
    condenser_lift_k: float = 7.0  # range and condenser approach above tower water
    pump_ratio: float = 0.030  # of the heat removed [A]
    tower_fan_ratio: float = 0.012
    fan_ratio: float = 0.048  # hall fans at the design heat, cube law below [A]
    heat_design_ratio: float = 1.05  # of the IT maximum
    cooling_lag_s: float = 240.0  # hall air and water loops [A]
    house_ratio: float = 0.020  # of the IT maximum: lighting, offices, controls [A]

    # PV: fixed racks facing south; NREL PVWatts version 5 defaults (NREL/TP-6A20-62641).
    tilt_deg: float = 25.0
    azimuth_deg: float = 180.0
    dc_ac_ratio: float = 1.25
    temperature_per_k: float = -0.0037
    system_loss_ratio: float = 0.14
    inverter_ratio: float = 0.96
    linke_turbidity: float = 3.5  # clean continental air, pvlib's range is 2 to 7 [A]
    cloud_ratio: float = 0.22  # fast flicker under broken cloud [A]
    cloud_lag_s: float = 15.0
    pv_rise_ratio_per_s: float = 0.2
    pv_limit_ratio_per_s: float = 0.5

    # Battery: containers with LFP cells. 150 to 250 ms from write to power is the usual
    # range of converters [A]; one-way efficiency 0.97 is a round trip of 0.94 at AC.
    storage_lag_s: float = 0.15
    storage_ramp_ratio_per_s: float = 4.0
    storage_start_ratio: float = 0.62
    storage_heat_ratio: float = 0.5
    cell_capacity_ratio: float = 0.0019  # J/K per J: 150 Wh/kg at 1 000 J/kg/K
    cell_cooling_s: float = 5 * 3600.0
    container_k: float = 298.15

    # Meters: class 0.5 (IEC 62053-22): a fixed gain error and a little noise each.
    meter_gain_ratio: float = 0.001
    meter_noise_ratio: float = 0.0002

    # Nominal line-to-line voltages for currents, and the power factors seen there [A].
    grid_voltage_v: float = 138_000.0
    bus_voltage_v: float = 13_800.0
    pv_voltage_v: float = 800.0
    storage_voltage_v: float = 690.0
    power_factor: float = 0.97
