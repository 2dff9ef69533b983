"""The simulated campus's equipment: its state, and how each piece moves in one step.

Signals are SI doubles in one flat array; an encoder maps them to registers.
Everything is drawn from one seed and no libm function is in the step, so the
same seed gives the same bits on every machine.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef enum:
    IT_MAX = 32
    AUX_MAX = 16
    PV_MAX = 16
    STORAGE_MAX = 16
    FEEDS_MAX = 81               # 1 + IT_MAX + AUX_MAX + PV_MAX + STORAGE_MAX
    SIGNALS_MAX = 1280

cdef enum:                     # of the boundary table, one row a minute
    COLUMN_DRY_BULB_K = 0
    COLUMN_WET_BULB_K = 1
    COLUMN_COOLING_RATIO = 2     # cooling power per heat removed, without hall fans
    COLUMN_PV_RATIO = 3          # AC power per AC rating
    COLUMN_CLOUD_RATIO = 4
    COLUMN_CARBON_G_PER_KWH = 5
    COLUMN_UTILISATION = 6       # one column an IT bus from here on

cdef enum:                     # the first signals; feeds follow
    SIGNAL_FREQUENCY_HZ = 0
    SIGNAL_VOLTAGE_RATIO = 1     # of nominal, the same at every feed
    SIGNAL_DRY_BULB_K = 2
    SIGNAL_WET_BULB_K = 3
    SIGNAL_LOSS_W = 4            # UPS, transformers: metered nowhere
    SIGNAL_DEFERRABLE_W = 5      # on top of what is deferred already
    SIGNAL_DEFERRED_W = 6
    SIGNAL_DEFER_REQUEST_W = 7
    SIGNAL_BACKLOG_J = 8         # work put off and not yet made good
    SIGNAL_ESTOP_CLOSED = 9
    SIGNAL_FIRE_OK = 10
    SIGNAL_RESET_BUTTON = 11
    SIGNAL_OPEN_REQUEST = 12
    SIGNAL_HEARTBEAT = 13        # counts seconds, 0 to 65 534: 65 535 is a sentinel
    SIGNAL_ONE = 14              # constant 1, for fixed registers
    SIGNAL_CARBON_G_PER_KWH = 15
    SIGNAL_JOB_W = 16
    SIGNAL_CLOUD_RATIO = 17
    SIGNAL_FEEDS = 18            # feed f, quantity q: SIGNAL_FEEDS + f * FEED_SIGNALS + q

cdef enum:                     # as metered, import positive (PV: generation positive)
    FEED_POWER_W = 0
    FEED_CURRENT_A = 1
    FEED_ENERGY_IMPORT_J = 2
    FEED_ENERGY_EXPORT_J = 3
    FEED_TRUE_POWER_W = 4        # before the meter's error
    FEED_SIGNALS = 5

cdef enum:                     # follow the feeds
    STORAGE_SOC_RATIO = 0
    STORAGE_CELL_MAX_K = 1
    STORAGE_CELL_MIN_K = 2
    STORAGE_CHARGE_LIMIT_W = 3
    STORAGE_DISCHARGE_LIMIT_W = 4
    STORAGE_SETPOINT_W = 5       # in force, 0 after the revert timer
    STORAGE_DC_VOLTAGE_V = 6
    STORAGE_DC_CURRENT_A = 7     # charge positive
    STORAGE_CELL_MAX_V = 8
    STORAGE_CELL_MIN_V = 9
    STORAGE_RUN = 10             # 1: contactors closed, no trip
    STORAGE_STORED_J = 11
    STORAGE_REVERTED = 12        # 1: the revert timer has run out
    STORAGE_REVERT_LEFT_S = 13
    STORAGE_WORK_STATE = 14      # 0 standby, 1 discharging, 2 charging
    STORAGE_CHARGE_LIMIT_A = 15  # DC
    STORAGE_DISCHARGE_LIMIT_A = 16
    STORAGE_SIGNALS = 17

cdef enum:                     # follow the storages
    PV_LIMIT_W = 0               # in force
    PV_AVAILABLE_W = 1
    PV_SIGNALS = 2

cdef struct ItBus:
    double idle_w                # at the bus meter, PDU loss included
    double dynamic_w             # from idle to full
    double ups_rating_w
    double job_share             # of the training job
    double base_w                # slow: from utilisation
    double weight                # slow: share of the deferrable load
    double wobble                # relative, AR(1)
    double power_w

cdef struct StorageUnit:
    double charge_rating_w
    double discharge_rating_w
    double capacity_j
    double charge_ratio          # AC to stored
    double discharge_ratio       # stored to AC
    double ramp_w_per_s
    double setpoint_w
    double ramped_w
    double power_w               # AC, charge positive
    double stored_j
    double cell_k
    double charge_limit_w
    double discharge_limit_w
    int64_t revert_ns            # INT64_MAX: the device has no such timer
    int64_t since_write_ns
    uint8_t run

cdef struct PvBlock:
    double rating_w
    double limit_w
    double ramped_limit_w
    double cloud                 # AR(1), unit variance
    double available_w
    double power_w
    int64_t revert_ns
    int64_t since_write_ns

cdef struct Job:                 # the synchronous training job
    double power_w               # of this run, at full
    double level                 # 0 off, 1 on, ramps between
    double swing                 # -1 to 0: the communication phase
    double checkpoint            # 0 to 1: depth of the checkpoint dip
    int64_t left_ns              # until the next start or stop
    int64_t ramp_ns
    int64_t swing_left_ns        # until the next edge
    int64_t checkpoint_left_ns   # until the next checkpoint starts or ends
    uint8_t on
    uint8_t swing_low
    uint8_t saving

cdef struct Dip:                 # a cloud edge over the whole array
    double level                 # 0 clear, 1 at full depth
    double depth
    int64_t left_ns
    uint8_t on

cdef struct PlantRow:            # constants
    int32_t it_buses
    int32_t auxes
    int32_t pvs
    int32_t storages
    int32_t cooling_feeds        # auxes 0 to n-1 are cooling, the rest house load
    uint8_t jobs
    uint8_t dips
    double deferrable_ratio
    double defer_lag_s
    int64_t defer_revert_ns
    double catch_up_ratio        # of the deferrable load, while work waits
    double catch_up_s
    double wobble_ratio
    double wobble_s
    double ups_fixed_ratio
    double ups_linear_ratio
    double ups_square_ratio
    double grid_rating_w
    double transformer_fixed_ratio
    double transformer_square_ratio
    double house_w
    double fan_w                 # hall fans at the design heat
    double heat_design_w
    double cooling_lag_s
    double job_low_w
    double job_high_w
    double job_swing_w
    double checkpoint_ratio
    double cloud_ratio
    double cloud_lag_s
    double pv_rise_ratio_per_s
    double pv_limit_ratio_per_s
    double storage_lag_s
    double storage_heat_ratio    # of the converter's loss that warms the cells
    double cell_capacity_ratio   # J/K per J of capacity
    double cell_cooling_s        # time constant to the container's air
    double container_k
    double meter_noise_ratio
    int64_t job_first_ns
    int64_t job_first_run_ns
    int64_t dip_first_ns

cdef struct Pace:                # filter gains of the present step length
    int64_t dt_ns
    double dt_s
    double wobble_keep
    double wobble_gain
    double cloud_keep
    double cloud_gain
    double frequency_keep
    double frequency_gain
    double defer
    double storage

cdef struct PlantState:
    PlantRow row
    Pace pace
    Job job
    Dip dip
    ItBus it[IT_MAX]
    PvBlock pv[PV_MAX]
    StorageUnit storage[STORAGE_MAX]
    double cooling_w
    double house_w
    double ups_loss_w
    double transformer_loss_w
    double deferrable_w
    double deferred_w
    double defer_request_w
    int64_t since_defer_ns
    double backlog_j
    double catch_up_w
    double cooling_ratio
    double pv_ratio
    double cloud_ratio
    double frequency             # AR(1), unit variance
    double voltage               # AR(1), unit variance
    int32_t feeds
    int32_t signals_used
    int32_t storage_signals      # index of the first
    int32_t pv_signals
    double meter_gain[FEEDS_MAX]
    double amps_per_w[FEEDS_MAX] # at nominal voltage
    double signals[SIGNALS_MAX]
    uint64_t random
    int64_t steps
    int64_t time_ns              # since the plant's start
    int64_t slow_ns              # since the last slow step
    int64_t heard_ns             # since the controller was first heard; -1: not yet
    const double* table
    int64_t table_utc_ns         # of the first row
    int64_t table_rows
    int64_t table_columns

cdef void pace_set(PlantState* plant, int64_t dt_ns) noexcept nogil
cdef void it_step(PlantState* plant) noexcept nogil
cdef void pv_step(PlantState* plant) noexcept nogil
cdef void storage_step(PlantState* plant) noexcept nogil
cdef void cooling_step(PlantState* plant, double dt_s, bint settle) noexcept nogil
cdef void battery_slow_step(PlantState* plant, double dt_s) noexcept nogil
cdef uint64_t random_draw(PlantState* plant) noexcept nogil
cdef double random_noise(PlantState* plant) noexcept nogil
