"""The simulated campus: IT load, cooling, PV, batteries and the grid that balances them.

One step moves everything by dt. Fast things (load noise, training job, PV, battery
power, grid) move each step; slow ones (weather, utilisation, cooling, limits) each
second. The equipment's own physics: ext/plant/equipment.pyx.
"""

from libc.math cimport fabs
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

import hashlib

from edgectl.plant._equipment cimport (
    AUX_MAX, COLUMN_CARBON_G_PER_KWH, COLUMN_UTILISATION, FEED_CURRENT_A, FEED_ENERGY_EXPORT_J,
    FEED_ENERGY_IMPORT_J, FEED_POWER_W, FEED_SIGNALS, FEED_TRUE_POWER_W, IT_MAX, ItBus,
    PV_AVAILABLE_W, PV_LIMIT_W, PV_MAX, PV_SIGNALS, PlantRow, PlantState, PvBlock,
    SIGNAL_BACKLOG_J, SIGNAL_CARBON_G_PER_KWH, SIGNAL_CLOUD_RATIO, SIGNAL_DEFER_REQUEST_W,
    SIGNAL_DEFERRABLE_W, SIGNAL_DEFERRED_W, SIGNAL_DRY_BULB_K, SIGNAL_ESTOP_CLOSED,
    SIGNAL_FEEDS, SIGNAL_FIRE_OK, SIGNAL_FREQUENCY_HZ, SIGNAL_HEARTBEAT, SIGNAL_LOSS_W,
    SIGNAL_ONE, SIGNAL_OPEN_REQUEST, SIGNAL_RESET_BUTTON, SIGNAL_VOLTAGE_RATIO,
    SIGNAL_WET_BULB_K, SIGNALS_MAX, STORAGE_MAX, STORAGE_SETPOINT_W, STORAGE_SIGNALS,
    StorageUnit, battery_slow_step, cooling_step, it_step, pace_set, pv_step, random_draw,
    random_noise, storage_step)

# In the order of the enums in _equipment.pxd.
SITE_SIGNALS = (
    "frequency_hz", "voltage_ratio", "dry_bulb_k", "wet_bulb_k", "loss_w", "deferrable_w",
    "deferred_w", "defer_request_w", "backlog_j", "estop_closed", "fire_ok", "reset_button",
    "open_request", "heartbeat", "one", "carbon_g_per_kwh", "job_w", "cloud_ratio")
OF_FEED = ("power_w", "current_a", "energy_import_j", "energy_export_j", "true_power_w")
OF_STORAGE = (
    "soc_ratio", "cell_max_k", "cell_min_k", "charge_limit_w", "discharge_limit_w",
    "setpoint_w", "dc_voltage_v", "dc_current_a", "cell_max_v", "cell_min_v", "run",
    "stored_j", "reverted", "revert_left_s", "work_state", "charge_limit_a",
    "discharge_limit_a")
OF_PV = ("limit_w", "available_w")
COLUMNS = (
    "dry_bulb_k", "wet_bulb_k", "cooling_ratio", "pv_ratio", "cloud_ratio", "carbon_g_per_kwh")

cdef extern from *:
    """
    #define SECOND_NS ((int64_t) 1000000000)
    #define MINUTE_NS (60 * SECOND_NS)
    #define RESET_FIRST_NS (2 * SECOND_NS)   /* after the controller was first heard */
    #define RESET_SECOND_NS (4 * SECOND_NS)
    #define RESET_PRESSED_NS (SECOND_NS / 2)
    """
    const int64_t SECOND_NS, MINUTE_NS, RESET_FIRST_NS, RESET_SECOND_NS, RESET_PRESSED_NS

cdef inline double clamp(double value, double low, double high) noexcept nogil:
    return low if value < low else high if value > high else value


cdef inline void feed_set(
        PlantState* plant, int32_t feed, double power_w, double noise) noexcept nogil:
    """What one meter shows: its gain error, its noise, its counters."""
    cdef double* signal = &plant.signals[SIGNAL_FEEDS + feed * FEED_SIGNALS]
    cdef double measured_w = power_w * (plant.meter_gain[feed] + noise)
    cdef double energy_j = measured_w * plant.pace.dt_s

    signal[FEED_TRUE_POWER_W] = power_w
    signal[FEED_POWER_W] = measured_w
    signal[FEED_CURRENT_A] = fabs(measured_w) * plant.amps_per_w[feed]   # a current has no sign
    if energy_j >= 0.0:
        signal[FEED_ENERGY_IMPORT_J] += energy_j
    else:
        signal[FEED_ENERGY_EXPORT_J] -= energy_j


cdef inline double meter_noise(uint64_t* pool, double scale) noexcept nogil:
    """Uniform noise from 16 bits of the pool; four meters share one draw."""
    cdef double value = (<double> (pool[0] & 0xFFFF) - 32767.5) * scale
    pool[0] >>= 16
    return value


cdef void meters_step(PlantState* plant) noexcept nogil:
    """Balance the site at its grid connection and show it through the meters."""
    cdef const PlantRow* row = &plant.row
    cdef double through_w = plant.ups_loss_w + plant.cooling_w + plant.house_w
    cdef double grid_w = 0.0
    cdef double scale = row.meter_noise_ratio / 32768.0
    cdef uint64_t pool = random_draw(plant)
    cdef double power_w, x
    cdef int32_t feed = 1
    cdef int32_t i

    for i in range(row.it_buses):
        if feed & 3 == 0:
            pool = random_draw(plant)
        through_w += plant.it[i].power_w
        feed_set(plant, feed, plant.it[i].power_w, meter_noise(&pool, scale))
        feed += 1
    for i in range(row.auxes):
        if feed & 3 == 0:
            pool = random_draw(plant)
        power_w = (plant.cooling_w / row.cooling_feeds if i < row.cooling_feeds
                   else plant.house_w / (row.auxes - row.cooling_feeds))
        feed_set(plant, feed, power_w, meter_noise(&pool, scale))
        feed += 1
    for i in range(row.pvs):
        if feed & 3 == 0:
            pool = random_draw(plant)
        grid_w -= plant.pv[i].power_w
        feed_set(plant, feed, plant.pv[i].power_w, meter_noise(&pool, scale))
        feed += 1
    for i in range(row.storages):
        if feed & 3 == 0:
            pool = random_draw(plant)
        grid_w += plant.storage[i].power_w
        feed_set(plant, feed, plant.storage[i].power_w, meter_noise(&pool, scale))
        feed += 1
    x = through_w / row.grid_rating_w
    plant.transformer_loss_w = row.grid_rating_w * (
        row.transformer_fixed_ratio + row.transformer_square_ratio * x * x)
    grid_w += through_w + plant.transformer_loss_w
    pool = random_draw(plant)
    feed_set(plant, 0, grid_w, meter_noise(&pool, scale))


cdef void site_signals(PlantState* plant) noexcept nogil:
    """Frequency, voltage, losses, deferral and the buttons."""
    cdef double* signal = plant.signals
    cdef int64_t since_ns
    cdef int32_t i

    plant.frequency = (plant.frequency * plant.pace.frequency_keep
                       + plant.pace.frequency_gain * random_noise(plant))
    plant.voltage = (plant.voltage * plant.pace.frequency_keep
                     + plant.pace.frequency_gain * random_noise(plant))
    signal[SIGNAL_FREQUENCY_HZ] = 60.0 + 0.012 * plant.frequency
    signal[SIGNAL_VOLTAGE_RATIO] = 1.0 + 0.0015 * plant.voltage
    signal[SIGNAL_LOSS_W] = plant.ups_loss_w + plant.transformer_loss_w
    if plant.row.cooling_feeds == 0:               # no meter sees it
        signal[SIGNAL_LOSS_W] += plant.cooling_w
    if plant.row.auxes == plant.row.cooling_feeds:
        signal[SIGNAL_LOSS_W] += plant.house_w
    signal[SIGNAL_DEFERRABLE_W] = plant.deferrable_w - plant.deferred_w
    signal[SIGNAL_DEFERRED_W] = plant.deferred_w
    if plant.heard_ns >= 0:
        since_ns = plant.time_ns - plant.heard_ns
        signal[SIGNAL_RESET_BUTTON] = (
            0 <= since_ns - RESET_FIRST_NS < RESET_PRESSED_NS
            or 0 <= since_ns - RESET_SECOND_NS < RESET_PRESSED_NS)
    for i in range(plant.row.storages):
        signal[plant.storage_signals + i * STORAGE_SIGNALS + STORAGE_SETPOINT_W] = (
            plant.storage[i].setpoint_w)


cdef inline double between(const double* low, const double* high, double part) noexcept nogil:
    return low[0] + (high[0] - low[0]) * part


cdef void boundary_step(PlantState* plant, int64_t utc_ns) noexcept nogil:
    """Weather, utilisation and intensity now; beyond the table its last row holds."""
    cdef int64_t offset_ns = utc_ns - plant.table_utc_ns
    cdef int64_t minute = 0 if offset_ns < 0 else offset_ns // MINUTE_NS
    cdef int64_t last = plant.table_rows - 1
    cdef double part = (offset_ns - minute * MINUTE_NS) * (1e-9 / 60.0)
    cdef const double* here
    cdef const double* next_row
    cdef double total_w = 0.0
    cdef ItBus* bus
    cdef int32_t i

    if offset_ns < 0 or minute >= last:
        minute = 0 if offset_ns < 0 else last
        part = 0.0
    here = plant.table + minute * plant.table_columns
    next_row = here + plant.table_columns if minute < last else here
    plant.signals[SIGNAL_DRY_BULB_K] = between(here, next_row, part)
    plant.signals[SIGNAL_WET_BULB_K] = between(here + 1, next_row + 1, part)
    plant.cooling_ratio = between(here + 2, next_row + 2, part)
    plant.pv_ratio = between(here + 3, next_row + 3, part)
    plant.cloud_ratio = between(here + 4, next_row + 4, part)
    # Intensity is published by the hour and holds: between hours nothing is known.
    plant.signals[SIGNAL_CARBON_G_PER_KWH] = here[COLUMN_CARBON_G_PER_KWH]
    plant.signals[SIGNAL_CLOUD_RATIO] = plant.cloud_ratio
    for i in range(plant.row.it_buses):
        bus = &plant.it[i]
        bus.base_w = bus.idle_w + bus.dynamic_w * between(
            here + COLUMN_UTILISATION + i, next_row + COLUMN_UTILISATION + i, part)
        total_w += bus.base_w
    for i in range(plant.row.it_buses):
        plant.it[i].weight = plant.it[i].base_w / total_w
    plant.deferrable_w = plant.row.deferrable_ratio * total_w


cdef void slow_step(PlantState* plant, int64_t utc_ns, double dt_s, bint settle) noexcept nogil:
    """Everything that moves in minutes, once a second."""
    cdef double* signal = plant.signals
    cdef int32_t i

    boundary_step(plant, utc_ns)
    cooling_step(plant, dt_s, settle)
    battery_slow_step(plant, dt_s)
    signal[SIGNAL_ONE] = 1.0
    signal[SIGNAL_DEFER_REQUEST_W] = plant.defer_request_w
    signal[SIGNAL_BACKLOG_J] = plant.backlog_j
    signal[SIGNAL_HEARTBEAT] = <double> (plant.time_ns // SECOND_NS % 65_535)
    for i in range(plant.row.pvs):
        signal[plant.pv_signals + i * PV_SIGNALS + PV_LIMIT_W] = (
            plant.pv[i].rating_w if plant.pv[i].since_write_ns > plant.pv[i].revert_ns
            else plant.pv[i].limit_w)
        signal[plant.pv_signals + i * PV_SIGNALS + PV_AVAILABLE_W] = plant.pv[i].available_w


cdef void plant_step(PlantState* plant, int64_t dt_ns, int64_t utc_ns) noexcept nogil:
    """Move the whole campus by one step.

    plant    the campus, changed in place
    dt_ns    ns, 1 ms to 1 s; lags are exact in their settled value at any step
    utc_ns   ns, UTC at the end of the step: picks weather, utilisation, intensity
    """
    if dt_ns != plant.pace.dt_ns:
        pace_set(plant, dt_ns)
    plant.time_ns += dt_ns
    plant.slow_ns += dt_ns
    plant.steps += 1
    if plant.slow_ns >= SECOND_NS:
        slow_step(plant, utc_ns, plant.slow_ns * 1e-9, False)
        plant.slow_ns = 0
    it_step(plant)
    pv_step(plant)
    storage_step(plant)
    meters_step(plant)
    site_signals(plant)


cdef void storage_write(PlantState* plant, int32_t storage, double setpoint_w) noexcept nogil:
    """A setpoint arrived at a converter; W, charge positive. Its revert timer starts anew."""
    cdef StorageUnit* unit = &plant.storage[storage]
    unit.setpoint_w = clamp(setpoint_w, -unit.discharge_rating_w, unit.charge_rating_w)
    unit.since_write_ns = 0


cdef void pv_write(PlantState* plant, int32_t pv, double limit_w) noexcept nogil:
    """An active-power limit arrived at an inverter, W."""
    plant.pv[pv].limit_w = clamp(limit_w, 0.0, plant.pv[pv].rating_w)
    plant.pv[pv].since_write_ns = 0


cdef void defer_write(PlantState* plant, double request_w) noexcept nogil:
    """The compute gateway was asked to put off so much load, W."""
    plant.defer_request_w = request_w if request_w > 0.0 else 0.0
    plant.since_defer_ns = 0


cdef void open_write(PlantState* plant, bint on) noexcept nogil:
    """The controller asked the hard-wired breaker to open, or took that back."""
    plant.signals[SIGNAL_OPEN_REQUEST] = 1.0 if on else 0.0


cdef class Plant:
    """One campus in memory. Not for two threads at once."""

    def __cinit__(self):
        self.state = <PlantState*> calloc(1, sizeof(PlantState))
        if self.state == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.state)

    def __init__(self, row, it, pv, storage, feeds, int seed):
        """Lay out a campus at rest.

        row      mapping of PlantRow's fields
        it, pv, storage   sequences of mappings with the fields of each unit
        feeds    one (nominal A per W, meter gain) a feed: grid, IT, auxes, PV, storage
        seed     of every draw

        Raises ValueError for more units than the compiled limits.
        """
        if len(it) > IT_MAX or len(pv) > PV_MAX or len(storage) > STORAGE_MAX:
            raise ValueError(
                f"plant: {len(it)} IT buses, {len(pv)} PV blocks, {len(storage)} batteries; "
                f"at most {IT_MAX}, {PV_MAX} and {STORAGE_MAX} are simulated")
        if row["auxes"] > AUX_MAX:
            raise ValueError(f"plant: {row['auxes']} auxiliary meters; at most {AUX_MAX}")
        self.state.row = row
        self.state.random = <uint64_t> (seed & 0xFFFFFFFFFFFFFFFF)
        self.state.heard_ns = -1
        units_fill(self, it, pv, storage)
        signals_lay_out(self, feeds)

    def load(self, table, int64_t utc_ns, bint settle=False):
        """Take a new boundary table whose first row is at utc_ns.

        table    C-contiguous doubles, one row a minute, columns as Column says
        settle   bring cooling, PV and IT to rest under its first row

        Raises ValueError for a table that has other columns than this campus.
        """
        cdef const double[:, ::1] view = table
        if view.shape[1] != COLUMN_UTILISATION + self.state.row.it_buses or view.shape[0] < 1:
            raise ValueError(
                f"plant: boundary table of {view.shape[0]} x {view.shape[1]}; it needs "
                f"{COLUMN_UTILISATION + self.state.row.it_buses} columns and one row or more")
        self.table = table
        self.state.table = &view[0, 0]
        self.state.table_rows, self.state.table_columns = view.shape[0], view.shape[1]
        self.state.table_utc_ns = utc_ns
        if settle:
            plant_settle(self.state, utc_ns)

    def step(self, int64_t dt_ns, int64_t utc_ns):
        """One step of dt_ns, ending at utc_ns. Source: plant_step."""
        if self.state.table == NULL:
            raise ValueError("plant: no boundary table; call load() before step()")
        with nogil:
            plant_step(self.state, dt_ns, utc_ns)

    def hear(self):
        """The controller was heard: the reset button's two presses count from the first call."""
        if self.state.heard_ns < 0:
            self.state.heard_ns = self.state.time_ns

    def write_storage_w(self, int32_t storage, double setpoint_w):
        storage_write(self.state, storage, setpoint_w)

    def write_pv_limit_w(self, int32_t pv, double limit_w):
        pv_write(self.state, pv, limit_w)

    def write_defer_w(self, double request_w):
        defer_write(self.state, request_w)

    def write_open_request(self, bint on):
        open_write(self.state, on)

    def force(self, int index, double value):
        """Set one signal; holds until the physics next writes it. For panels and tests."""
        if not 0 <= index < self.state.signals_used:
            raise IndexError(f"plant: signal {index} of {self.state.signals_used}")
        self.state.signals[index] = value

    def value(self, int index):
        """One signal by its index, SI."""
        if not 0 <= index < self.state.signals_used:
            raise IndexError(f"plant: signal {index} of {self.state.signals_used}")
        return self.state.signals[index]

    def read(self, str name):
        """One signal by its name, SI. Raises KeyError for a name the campus does not have."""
        return self.state.signals[self.names[name]]

    def stored_j(self, int32_t storage):
        """Energy in one battery's cells now, J."""
        return self.state.storage[storage].stored_j

    @property
    def steps(self):
        return self.state.steps

    @property
    def time_ns(self):
        return self.state.time_ns

    @property
    def table_end_utc_ns(self):
        return self.state.table_utc_ns + (self.state.table_rows - 1) * MINUTE_NS

    def residual_w(self):
        """Grid less everything it feeds, from the true powers; 0 but for rounding."""
        cdef double balance_w = self.state.signals[SIGNAL_FEEDS + FEED_TRUE_POWER_W]
        cdef double power_w
        cdef int32_t feed
        cdef int32_t pv_first = 1 + self.state.row.it_buses + self.state.row.auxes
        for feed in range(1, self.state.feeds):
            power_w = self.state.signals[SIGNAL_FEEDS + feed * FEED_SIGNALS + FEED_TRUE_POWER_W]
            if pv_first <= feed < pv_first + self.state.row.pvs:
                power_w = -power_w
            balance_w -= power_w
        return balance_w - self.state.signals[SIGNAL_LOSS_W]

    def digest(self):
        """SHA-256 over every signal, counter and the generator's state."""
        cdef const unsigned char[:] signals = <const unsigned char[:sizeof(double) * SIGNALS_MAX]> (
            <const unsigned char*> self.state.signals)
        seal = hashlib.sha256(signals)
        seal.update(f"{self.state.random} {self.state.steps} {self.state.time_ns}".encode())
        return seal.hexdigest()


def units_fill(Plant plant, it, pv, storage):
    """Fill the units' structs from mappings; Cython checks that no field is missing."""
    cdef PlantState* state = plant.state
    cdef ItBus bus
    cdef PvBlock block
    cdef StorageUnit unit
    for i, fields in enumerate(it):
        bus = {"base_w": 0.0, "weight": 0.0, "wobble": 0.0, "power_w": 0.0, **fields}
        state.it[i] = bus
    for i, fields in enumerate(pv):
        block = {"limit_w": fields["rating_w"], "ramped_limit_w": fields["rating_w"],
                 "cloud": 0.0, "available_w": 0.0, "power_w": 0.0,
                 "since_write_ns": 0, **fields}
        state.pv[i] = block
    for i, fields in enumerate(storage):
        unit = {"setpoint_w": 0.0, "ramped_w": 0.0, "power_w": 0.0, "run": 1,
                "charge_limit_w": fields["charge_rating_w"],
                "discharge_limit_w": fields["discharge_rating_w"],
                "since_write_ns": 0, **fields}
        state.storage[i] = unit
    state.job.left_ns = state.row.job_first_ns
    state.job.checkpoint_left_ns = INT64_MAX
    state.dip.left_ns = state.row.dip_first_ns


def signals_lay_out(Plant plant, feeds):
    """Give every signal its index and its name."""
    cdef PlantState* state = plant.state
    cdef int32_t it = state.row.it_buses, auxes = state.row.auxes
    cdef int32_t pvs = state.row.pvs, storages = state.row.storages
    state.feeds = 1 + it + auxes + pvs + storages
    if len(feeds) != state.feeds:
        raise ValueError(f"plant: {len(feeds)} feeds described; the campus has {state.feeds}")
    for i, (amps_per_w, gain) in enumerate(feeds):
        state.amps_per_w[i], state.meter_gain[i] = amps_per_w, gain
    state.storage_signals = SIGNAL_FEEDS + state.feeds * FEED_SIGNALS
    state.pv_signals = state.storage_signals + storages * STORAGE_SIGNALS
    state.signals_used = state.pv_signals + pvs * PV_SIGNALS
    state.signals[SIGNAL_ONE] = 1.0
    state.signals[SIGNAL_ESTOP_CLOSED] = 1.0
    state.signals[SIGNAL_FIRE_OK] = 1.0

    if (len(SITE_SIGNALS), len(OF_FEED), len(OF_STORAGE), len(OF_PV), len(COLUMNS)) != (
            SIGNAL_FEEDS, FEED_SIGNALS, STORAGE_SIGNALS, PV_SIGNALS, COLUMN_UTILISATION):
        raise AssertionError("plant: signal names and signal enums differ in number")
    names = {name: index for index, name in enumerate(SITE_SIGNALS)}
    units = (["grid"] + [f"it{i}" for i in range(it)] + [f"aux{i}" for i in range(auxes)]
             + [f"pv{i}" for i in range(pvs)] + [f"storage{i}" for i in range(storages)])
    index = SIGNAL_FEEDS
    for owners, quantities in (
            (units, OF_FEED), (units[state.feeds - storages:], OF_STORAGE),
            ([f"pv{i}" for i in range(pvs)], OF_PV)):
        for owner in owners:
            for quantity in quantities:
                names[f"{owner}.{quantity}"] = index
                index += 1
    plant.names = names
    plant.signal_names = tuple(names)


cdef void plant_settle(PlantState* state, int64_t utc_ns) noexcept nogil:
    """Bring the campus to rest at utc_ns: the second pass cools what the first one heated."""
    cdef int32_t i
    cdef int32_t turn
    pace_set(state, 0)
    for turn in range(2):
        slow_step(state, utc_ns, 0.0, True)
        it_step(state)
    slow_step(state, utc_ns, 0.0, True)
    for i in range(state.row.pvs):
        state.pv[i].power_w = state.pv_ratio * state.pv[i].rating_w
        state.pv[i].available_w = state.pv[i].power_w
    meters_step(state)
    site_signals(state)
