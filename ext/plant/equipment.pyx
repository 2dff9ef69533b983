"""The campus's equipment: training job, IT buses, PV, batteries, cooling.

First-order lags use the implicit Euler gain dt / (tau + dt), stable at any step.
No libm function but the exact square root, so that the same seed gives the same
bits everywhere. Parameters and their sources: edgectl/plant/parameters.py.
"""

from libc.math cimport sqrt
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint32_t, uint64_t

cdef extern from *:
    "#define SECOND_NS ((int64_t) 1000000000)"
    const int64_t SECOND_NS

# Two uniform halves of one draw added: a triangular density of unit variance.
cdef double NOISE_SCALE = 5.703121e-10      # sqrt(3/2) * 2**-31
cdef double UNIFORM_SCALE = 1.1102230246251565e-16   # 2**-53


cdef uint64_t random_draw(PlantState* plant) noexcept nogil:
    """Next 64 bits of splitmix64. Source: Steele, Lea, Flood, OOPSLA 2014, figure 16."""
    plant.random += <uint64_t> 0x9E3779B97F4A7C15
    cdef uint64_t z = plant.random
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef double random_noise(PlantState* plant) noexcept nogil:
    """Noise of zero mean and unit variance, bounded at 2.45."""
    cdef uint64_t z = random_draw(plant)
    return (<double> <int32_t> <uint32_t> z + <double> <int32_t> <uint32_t> (z >> 32)) * NOISE_SCALE


cdef inline double random_between(PlantState* plant, double low, double high) noexcept nogil:
    return low + (high - low) * (<double> (random_draw(plant) >> 11) * UNIFORM_SCALE)


cdef inline double clamp(double value, double low, double high) noexcept nogil:
    return low if value < low else high if value > high else value


cdef inline double toward(double value, double target, double step) noexcept nogil:
    return value + clamp(target - value, -step, step)


cdef void pace_set(PlantState* plant, int64_t dt_ns) noexcept nogil:
    """Filter gains for steps of dt; a discrete AR(1) keeps its variance at any step."""
    cdef const PlantRow* row = &plant.row
    cdef Pace* pace = &plant.pace
    cdef double dt_s = dt_ns * 1e-9

    pace.dt_ns, pace.dt_s = dt_ns, dt_s
    pace.wobble_keep = row.wobble_s / (row.wobble_s + dt_s)
    pace.wobble_gain = sqrt(1.0 - pace.wobble_keep * pace.wobble_keep) * row.wobble_ratio
    pace.cloud_keep = row.cloud_lag_s / (row.cloud_lag_s + dt_s)
    pace.cloud_gain = sqrt(1.0 - pace.cloud_keep * pace.cloud_keep)
    pace.frequency_keep = 8.0 / (8.0 + dt_s)
    pace.frequency_gain = sqrt(1.0 - pace.frequency_keep * pace.frequency_keep)
    pace.defer = dt_s / (row.defer_lag_s + dt_s)
    pace.storage = dt_s / (row.storage_lag_s + dt_s)


cdef void job_toggle(PlantState* plant) noexcept nogil:
    """Start or stop the training job and draw when that changes again."""
    cdef Job* job = &plant.job
    job.on = not job.on
    job.ramp_ns = <int64_t> (random_between(plant, 2.5, 3.0) * SECOND_NS)
    if job.on:
        job.power_w = random_between(plant, plant.row.job_low_w, plant.row.job_high_w)
        job.left_ns = <int64_t> (random_between(plant, 180.0, 1200.0) * SECOND_NS)
        job.checkpoint_left_ns = <int64_t> (random_between(plant, 20.0, 120.0) * SECOND_NS)
        if plant.row.job_first_run_ns > 0:
            job.power_w = 0.5 * (plant.row.job_low_w + plant.row.job_high_w)
            job.left_ns = plant.row.job_first_run_ns
            job.ramp_ns = 3 * SECOND_NS
            plant.row.job_first_run_ns = 0
    else:
        job.left_ns = <int64_t> (random_between(plant, 360.0, 2400.0) * SECOND_NS)


cdef double job_step(PlantState* plant) noexcept nogil:
    """Power of the training job now, W: ramps, synchronous steps and checkpoints."""
    cdef Job* job = &plant.job
    cdef int64_t dt_ns = plant.pace.dt_ns
    cdef double dt_s = plant.pace.dt_s

    if not plant.row.jobs:
        return 0.0
    job.left_ns -= dt_ns
    if job.left_ns <= 0:
        job_toggle(plant)
    if not job.on and job.level == 0.0:
        return 0.0
    job.level = toward(job.level, 1.0 if job.on else 0.0, dt_ns / <double> job.ramp_ns)

    job.swing_left_ns -= dt_ns
    if job.swing_left_ns <= 0:
        job.swing_low = not job.swing_low
        job.swing_left_ns = <int64_t> (
            random_between(plant, 0.6, 1.0) * SECOND_NS if job.swing_low
            else random_between(plant, 1.5, 3.0) * SECOND_NS)
    # The all-reduce waits of thousands of GPUs fall together: edges of 0.3 s.
    job.swing = toward(job.swing, -1.0 if job.swing_low else 0.0, dt_s / 0.3)

    job.checkpoint_left_ns -= dt_ns
    if job.checkpoint_left_ns <= 0:
        job.saving = not job.saving
        job.checkpoint_left_ns = <int64_t> (
            random_between(plant, 2.0, 4.0) * SECOND_NS if job.saving
            else random_between(plant, 60.0, 180.0) * SECOND_NS)
    job.checkpoint = toward(job.checkpoint, 1.0 if job.saving else 0.0, dt_s / 0.4)

    return job.level * (
        job.power_w * (1.0 - plant.row.checkpoint_ratio * job.checkpoint)
        + plant.row.job_swing_w * job.swing * (1.0 - job.checkpoint))


cdef void it_step(PlantState* plant) noexcept nogil:
    """Bus powers at the UPS output, the deferral in force, and the UPS loss upstream."""
    cdef const PlantRow* row = &plant.row
    cdef double job_w = job_step(plant)
    cdef double target, shift_w, x, power_w
    cdef double loss_w = 0.0
    cdef ItBus* bus
    cdef int32_t i

    if plant.since_defer_ns <= row.defer_revert_ns:
        plant.since_defer_ns += plant.pace.dt_ns
        if plant.since_defer_ns > row.defer_revert_ns:
            plant.defer_request_w = 0.0
    target = clamp(plant.defer_request_w, 0.0, plant.deferrable_w)
    plant.deferred_w += plant.pace.defer * (target - plant.deferred_w)
    plant.backlog_j += (plant.deferred_w - plant.catch_up_w) * plant.pace.dt_s
    if plant.backlog_j < 0.0:
        plant.backlog_j = 0.0
    shift_w = plant.catch_up_w - plant.deferred_w
    for i in range(row.it_buses):
        bus = &plant.it[i]
        bus.wobble = (bus.wobble * plant.pace.wobble_keep
                      + plant.pace.wobble_gain * random_noise(plant))
        power_w = (bus.base_w * (1.0 + bus.wobble) + bus.weight * shift_w
                   + bus.job_share * job_w)
        bus.power_w = power_w
        x = power_w / bus.ups_rating_w
        loss_w += bus.ups_rating_w * (
            row.ups_fixed_ratio + x * (row.ups_linear_ratio + row.ups_square_ratio * x))
    plant.ups_loss_w = loss_w
    plant.signals[SIGNAL_JOB_W] = job_w


cdef void dip_step(PlantState* plant) noexcept nogil:
    """A dense cloud's edge crosses the array: down in 4 s, back in 4 s."""
    cdef Dip* dip = &plant.dip
    if not plant.row.dips:
        return
    dip.left_ns -= plant.pace.dt_ns
    if dip.left_ns <= 0:
        dip.on = not dip.on
        if dip.on:
            dip.depth = random_between(plant, 0.35, 0.55)
            dip.left_ns = <int64_t> (random_between(plant, 8.0, 14.0) * SECOND_NS)
        else:
            dip.left_ns = <int64_t> (random_between(plant, 120.0, 1200.0) * SECOND_NS)
    dip.level = toward(dip.level, 1.0 if dip.on else 0.0, plant.pace.dt_s / 4.0)


cdef void pv_step(PlantState* plant) noexcept nogil:
    """What the sun gives, the limit lets through and the inverter's ramp allows."""
    cdef const PlantRow* row = &plant.row
    cdef double cover = plant.cloud_ratio
    # Broken cloud flickers most: 0 under a clear and under a closed sky.
    cdef double flicker = row.cloud_ratio * 4.0 * cover * (1.0 - cover)
    cdef double shade, limit_w
    cdef PvBlock* block
    cdef int32_t i

    dip_step(plant)
    for i in range(row.pvs):
        block = &plant.pv[i]
        if block.since_write_ns <= block.revert_ns:
            block.since_write_ns += plant.pace.dt_ns
        limit_w = block.rating_w if block.since_write_ns > block.revert_ns else block.limit_w
        block.ramped_limit_w = toward(
            block.ramped_limit_w, limit_w,
            row.pv_limit_ratio_per_s * block.rating_w * plant.pace.dt_s)
        block.cloud = (block.cloud * plant.pace.cloud_keep
                       + plant.pace.cloud_gain * random_noise(plant))
        shade = (1.0 - clamp(flicker * block.cloud, 0.0, 0.8)) * (
            1.0 - plant.dip.level * plant.dip.depth)
        block.available_w = plant.pv_ratio * block.rating_w * shade
        limit_w = clamp(block.power_w + row.pv_rise_ratio_per_s * block.rating_w
                        * plant.pace.dt_s, 0.0, block.ramped_limit_w)
        block.power_w = block.available_w if block.available_w < limit_w else limit_w


cdef void storage_step(PlantState* plant) noexcept nogil:
    """Setpoint, BMS limits, ramp, lag; then energy at the cells to the last joule."""
    cdef StorageUnit* unit
    cdef double target_w, stored_j
    cdef double dt_s = plant.pace.dt_s
    cdef int32_t i

    for i in range(plant.row.storages):
        unit = &plant.storage[i]
        if unit.since_write_ns <= unit.revert_ns:
            unit.since_write_ns += plant.pace.dt_ns
            if unit.since_write_ns > unit.revert_ns:
                unit.setpoint_w = 0.0
        target_w = clamp(unit.setpoint_w, -unit.discharge_limit_w, unit.charge_limit_w)
        if not unit.run:
            target_w = 0.0
        unit.ramped_w = toward(unit.ramped_w, target_w, unit.ramp_w_per_s * dt_s)
        unit.power_w += plant.pace.storage * (unit.ramped_w - unit.power_w)
        if dt_s == 0.0:
            continue
        stored_j = unit.stored_j + dt_s * (
            unit.power_w * unit.charge_ratio if unit.power_w > 0.0
            else unit.power_w / unit.discharge_ratio)
        if stored_j > unit.capacity_j:
            unit.power_w = (unit.capacity_j - unit.stored_j) / (unit.charge_ratio * dt_s)
            stored_j = unit.capacity_j
        elif stored_j < 0.0:
            unit.power_w = -unit.stored_j * unit.discharge_ratio / dt_s
            stored_j = 0.0
        unit.stored_j = stored_j


cdef void cooling_step(PlantState* plant, double dt_s, bint settle) noexcept nogil:
    """Chiller, towers, pumps and hall fans behind the hall's thermal lag."""
    cdef const PlantRow* row = &plant.row
    cdef double heat_w = plant.ups_loss_w
    cdef double target_w, x
    cdef int32_t i

    for i in range(row.it_buses):
        heat_w += plant.it[i].power_w
    x = heat_w / row.heat_design_w
    target_w = heat_w * plant.cooling_ratio + row.fan_w * x * x * x
    if settle:
        plant.cooling_w = target_w
    else:
        plant.cooling_w += dt_s / (row.cooling_lag_s + dt_s) * (target_w - plant.cooling_w)
    plant.house_w = row.house_w * (1.0 + 0.01 * random_noise(plant))
    plant.catch_up_w = 0.0
    if plant.defer_request_w <= 0.0 and plant.backlog_j > 0.0:
        plant.catch_up_w = clamp(
            plant.backlog_j / row.catch_up_s, 0.0, row.catch_up_ratio * plant.deferrable_w)


cdef void battery_slow_step(PlantState* plant, double dt_s) noexcept nogil:
    """Cell temperature, BMS limits and what the BMS shows, once a second."""
    cdef const PlantRow* row = &plant.row
    cdef StorageUnit* unit
    cdef double* signal
    cdef double soc, heat_w, warm, power_w
    cdef int32_t i

    for i in range(row.storages):
        unit = &plant.storage[i]
        signal = &plant.signals[plant.storage_signals + i * STORAGE_SIGNALS]
        power_w = unit.power_w
        heat_w = row.storage_heat_ratio * (
            power_w * (1.0 - unit.charge_ratio) if power_w > 0.0
            else -power_w * (1.0 / unit.discharge_ratio - 1.0))
        unit.cell_k += (dt_s * heat_w / (row.cell_capacity_ratio * unit.capacity_j)
                        + dt_s / (row.cell_cooling_s + dt_s) * (row.container_k - unit.cell_k))
        soc = unit.stored_j / unit.capacity_j
        # A BMS tapers its limits near full, near empty and above 45 degC.
        warm = clamp((328.15 - unit.cell_k - 2.0) / 10.0, 0.0, 1.0)
        unit.charge_limit_w = unit.charge_rating_w * warm * clamp((0.98 - soc) / 0.06, 0.0, 1.0)
        unit.discharge_limit_w = unit.discharge_rating_w * warm * clamp(
            (soc - 0.02) / 0.06, 0.0, 1.0)
        signal[STORAGE_SOC_RATIO] = soc
        signal[STORAGE_CELL_MAX_K] = unit.cell_k + 2.0
        signal[STORAGE_CELL_MIN_K] = unit.cell_k - 2.0
        signal[STORAGE_CHARGE_LIMIT_W] = unit.charge_limit_w
        signal[STORAGE_DISCHARGE_LIMIT_W] = unit.discharge_limit_w
        # 384 LFP cells in series, 3.20 V at rest in the middle and 0.12 V from end to end.
        signal[STORAGE_CELL_MAX_V] = 3.225 + 0.12 * soc + 0.03 * power_w / unit.charge_rating_w
        signal[STORAGE_CELL_MIN_V] = signal[STORAGE_CELL_MAX_V] - 0.02
        signal[STORAGE_DC_VOLTAGE_V] = 384.0 * (signal[STORAGE_CELL_MAX_V] - 0.01)
        signal[STORAGE_DC_CURRENT_A] = power_w / signal[STORAGE_DC_VOLTAGE_V]
        signal[STORAGE_CHARGE_LIMIT_A] = unit.charge_limit_w / signal[STORAGE_DC_VOLTAGE_V]
        signal[STORAGE_DISCHARGE_LIMIT_A] = unit.discharge_limit_w / signal[STORAGE_DC_VOLTAGE_V]
        # Below one part in a thousand of its rating the BMS says standby.
        signal[STORAGE_WORK_STATE] = (
            2.0 if power_w > 1e-3 * unit.charge_rating_w
            else 1.0 if power_w < -1e-3 * unit.discharge_rating_w else 0.0)
        signal[STORAGE_RUN] = unit.run
        signal[STORAGE_STORED_J] = unit.stored_j
        signal[STORAGE_REVERTED] = unit.since_write_ns > unit.revert_ns
        signal[STORAGE_REVERT_LEFT_S] = (
            0.0 if unit.revert_ns == INT64_MAX or unit.since_write_ns > unit.revert_ns
            else (unit.revert_ns - unit.since_write_ns) * 1e-9)
