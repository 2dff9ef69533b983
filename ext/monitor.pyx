"""Monitors: quantities that no device measures, derived from those that are, for the rows.

A row of the cause-and-effect table compares one point with a threshold. Where the
catalogue asks for more (a rate, a spread, an inverse-time curve, a demand window)
a monitor makes a point of it, and the row's delays, vote and effects are the same
as ever. A monitor is no better than its inputs: where one is bad, so is its
point, for the same reason, and its memory stands still.
"""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.demand cimport (
    demand_forecast_w, demand_room_w, demand_shortfall_w, demand_update)
from edgectl._kernel.overload cimport CURVE_POINTS, overload_update
from edgectl._kernel.process_image cimport image_set
from edgectl._kernel.quality cimport (
    QUALITY_BAD, QUALITY_GOOD, REASON_NONE, REASON_NOT_YET, Quality, Reason, Sample)

cdef enum:
    HEAT_TRIP_P = 1000000000000  # of overload.pyx: one trip


cdef double rate(
    const MonitorRow* row, MonitorState* state, const Sample* sample) noexcept nogil:
    """Change per second from the samples of two source times at least a window apart."""
    cdef int64_t step_ns = sample.source_ns - state.base_ns
    if state.base_ns > 0 and step_ns < row.window_ns:
        return state.value
    if state.base_ns > 0:
        state.value = (sample.value - state.base) / (step_ns * 1e-9)
        if row.absolute:
            state.value = fabs(state.value)
        state.valued = True
    state.base, state.base_ns = sample.value, sample.source_ns
    return state.value


cdef double spread(const Monitors* monitors, const MonitorRow* row, const Image* image
                   ) noexcept nogil:
    """Greatest less least of the inputs."""
    cdef double low = image.samples[monitors.inputs[row.first_input]].value
    cdef double high = low
    cdef double value
    cdef int32_t at
    for at in range(row.first_input + 1, row.first_input + row.inputs):
        value = image.samples[monitors.inputs[at]].value
        low = value if value < low else low
        high = value if value > high else high
    return high - low


cdef double over(double part, double whole, double least) noexcept nogil:
    """A ratio; of a whole under the least that is asked about, 0."""
    return fabs(part) / fabs(whole) if fabs(whole) > least else 0.0


cdef double sum_from(
    const Monitors* monitors, const MonitorRow* row, const Image* image, int32_t first
) noexcept nogil:
    """Sum of the inputs from the first-th on."""
    cdef double sum = 0.0
    cdef int32_t at
    for at in range(row.first_input + first, row.first_input + row.inputs):
        sum += image.samples[monitors.inputs[at]].value
    return sum


cdef double imbalance(const Monitors* monitors, const MonitorRow* row, const Image* image
                      ) noexcept nogil:
    """Greatest distance of an input from the mean, over the mean (NEMA MG 1, 14.36)."""
    cdef double mean = sum_from(monitors, row, image, 0) / row.inputs
    cdef double far = 0.0
    cdef double distance
    cdef int32_t at
    for at in range(row.first_input, row.first_input + row.inputs):
        distance = fabs(image.samples[monitors.inputs[at]].value - mean)
        far = distance if distance > far else far
    return over(far, mean, row.level)


cdef double mismatch(const Monitors* monitors, const MonitorRow* row, const Image* image
                     ) noexcept nogil:
    """1 while an input differs from the first."""
    cdef double first = image.samples[monitors.inputs[row.first_input]].value
    cdef int32_t at
    for at in range(row.first_input + 1, row.first_input + row.inputs):
        if image.samples[monitors.inputs[at]].value != first:
            return 1.0
    return 0.0


cdef double unchanged(
    const Monitors* monitors, const MonitorRow* row, const Image* image, int64_t now_ns
) noexcept nogil:
    """Seconds since the input whose raw words have stood still longest last changed."""
    cdef int64_t longest_ns = 0
    cdef int64_t still_ns
    cdef int32_t at
    for at in range(row.first_input, row.first_input + row.inputs):
        still_ns = now_ns - image.samples[monitors.inputs[at]].changed_ns
        longest_ns = still_ns if still_ns > longest_ns else longest_ns
    return longest_ns * 1e-9


cdef double dwell(
    const MonitorRow* row, MonitorState* state, const Sample* sample, int64_t now_ns
) noexcept nogil:
    """Seconds since the input last went on or off; since the first look where it never did."""
    cdef bint on = fabs(sample.value) > row.level
    if state.base_ns == 0 or on != state.on:
        state.on = on
        state.base_ns = now_ns
    return (now_ns - state.base_ns) * 1e-9


cdef double coulomb(
    const MonitorRow* row, MonitorState* state, const Sample* soc, const Sample* power,
    int64_t now_ns, int64_t dt_ns) noexcept nogil:
    """State of charge less what was charged since the window began, as a ratio of the capacity.

    Losses make the two part slowly, so each window begins anew with what the
    BMS says; a jump, or a count that runs away, shows within one.
    """
    if state.base_ns == 0 or now_ns - state.base_ns >= row.window_ns:
        state.base, state.base_ns, state.charged_j = soc.value, now_ns, 0.0
        return 0.0
    state.charged_j += power.value * (dt_ns * 1e-9)
    return fabs(soc.value - state.base - state.charged_j / row.capacity_j)


cdef double count(
    const MonitorRow* row, MonitorState* state, const Sample* sample, int64_t now_ns
) noexcept nogil:
    """Times within the window that the input passed the level, EDGES_MAX at most."""
    cdef bint on = sample.value < row.level if row.below else sample.value > row.level
    cdef int32_t within = 0
    cdef int32_t at
    if on and not state.on and state.base_ns > 0:
        state.edge = (state.edge + 1) % EDGES_MAX
        state.edges_ns[state.edge] = now_ns
    state.on = on
    state.base_ns = now_ns
    for at in range(EDGES_MAX):
        if state.edges_ns[at] > 0 and now_ns - state.edges_ns[at] < row.window_ns:
            within += 1
    return within


cdef double opposed(const Monitors* monitors, const MonitorRow* row, const Image* image
                    ) noexcept nogil:
    """Power that some inputs charge while others discharge it, W."""
    cdef double charge_w = 0.0
    cdef double discharge_w = 0.0
    cdef double value
    cdef int32_t at
    for at in range(row.first_input, row.first_input + row.inputs):
        value = image.samples[monitors.inputs[at]].value
        if value > 0.0:
            charge_w += value
        else:
            discharge_w -= value
    return charge_w if charge_w < discharge_w else discharge_w


cdef double demand(
    const Monitors* monitors, const MonitorRow* row, MonitorState* state, const Image* image,
    bint bad, int64_t dt_ns, int64_t utc_ns) noexcept nogil:
    """Forecast, room or shortfall of the demand window; a lost meter counts as at the limit.

    The second input is the sync pulse: a rising edge begins a window.
    """
    cdef double power_w = <double> row.demand.limit_w if bad \
        else image.samples[monitors.inputs[row.first_input]].value
    cdef const Sample* pulse
    cdef bint rising = False
    if row.inputs > 1:
        pulse = &image.samples[monitors.inputs[row.first_input + 1]]
        rising = pulse.quality == QUALITY_GOOD and pulse.value != 0.0 and not state.on
        state.on = pulse.quality == QUALITY_GOOD and pulse.value != 0.0
    demand_update(&state.demand, &row.demand, power_w, dt_ns, utc_ns, rising, row.inputs > 1)
    if row.kind == MONITOR_DEMAND_FORECAST:
        return <double> demand_forecast_w(&state.demand, &row.demand, power_w)
    if row.kind == MONITOR_DEMAND_ROOM:
        return <double> demand_room_w(&state.demand, &row.demand)
    return <double> demand_shortfall_w(
        &state.demand, &row.demand, power_w, monitors.storages.usable_j,
        monitors.storages.discharge_max_w)


cdef double timed(
    const Monitors* monitors, const MonitorRow* row, MonitorState* state, const Image* image,
    int64_t now_ns, int64_t dt_ns) noexcept nogil:
    """The kinds that remember."""
    cdef const Sample* first = &image.samples[monitors.inputs[row.first_input]]
    if row.kind == MONITOR_RATE:
        return rate(row, state, first)
    if row.kind == MONITOR_DWELL:
        return dwell(row, state, first, now_ns)
    if row.kind == MONITOR_COUNT:
        return count(row, state, first, now_ns)
    if row.kind == MONITOR_COULOMB:
        return coulomb(row, state, first, &image.samples[monitors.inputs[row.first_input + 1]],
                       now_ns, dt_ns)
    overload_update(&state.overload, monitors.curves + row.first_curve * CURVE_POINTS,
                    fabs(first.value), dt_ns)
    return state.overload.heat_p / <double> HEAT_TRIP_P


cdef double plain(
    const Monitors* monitors, const MonitorRow* row, const Image* image, int64_t now_ns
) noexcept nogil:
    """The kinds that look at this scan alone."""
    cdef double first = image.samples[monitors.inputs[row.first_input]].value
    if row.kind == MONITOR_SPREAD:
        return spread(monitors, row, image)
    if row.kind == MONITOR_IMBALANCE:
        return imbalance(monitors, row, image)
    if row.kind == MONITOR_BALANCE:
        return over(first - sum_from(monitors, row, image, 1), first, row.level)
    if row.kind == MONITOR_MISMATCH:
        return mismatch(monitors, row, image)
    if row.kind == MONITOR_DIFFERENCE:
        return fabs(first - sum_from(monitors, row, image, 1))
    if row.kind == MONITOR_UNCHANGED:
        return unchanged(monitors, row, image, now_ns)
    return opposed(monitors, row, image)


cdef bint is_timed(uint8_t kind) noexcept nogil:
    return kind == MONITOR_RATE or MONITOR_DWELL <= kind <= MONITOR_COUNT \
        or kind == MONITOR_INVERSE_TIME


cdef const Sample* worst_input(
    const Monitors* monitors, const MonitorRow* row, const Image* image) noexcept nogil:
    """The first input of bad quality, else the first; a demand's sync pulse may be lost."""
    cdef int32_t at
    cdef int32_t asked = 1 if row.kind >= MONITOR_DEMAND_FORECAST else row.inputs
    cdef const Sample* first = &image.samples[monitors.inputs[row.first_input]]
    cdef const Sample* sample
    for at in range(row.first_input, row.first_input + asked):
        sample = &image.samples[monitors.inputs[at]]
        if sample.quality == QUALITY_BAD:
            return sample
    return first


cdef void monitor_evaluate(
    Monitors* monitors, int32_t at, Image* image, int64_t now_ns, int64_t dt_ns, int64_t utc_ns
) noexcept nogil:
    """Work out one monitor and write its point."""
    cdef const MonitorRow* row = &monitors.table[at]
    cdef MonitorState* state = &monitors.states[at]
    cdef const Sample* worst = worst_input(monitors, row, image)
    cdef bint bad = worst.quality == QUALITY_BAD
    cdef Quality quality = QUALITY_BAD if bad else QUALITY_GOOD
    cdef Reason reason = <Reason> worst.reason if bad else REASON_NONE
    cdef double value = 0.0

    if row.kind >= MONITOR_DEMAND_FORECAST:
        value = demand(monitors, row, state, image, bad, dt_ns, utc_ns)
    elif bad:
        if row.kind != MONITOR_COUNT and row.kind != MONITOR_INVERSE_TIME:
            state.base_ns = 0
            state.valued = False
    elif is_timed(row.kind):
        value = timed(monitors, row, state, image, now_ns, dt_ns)
        if row.kind == MONITOR_RATE and not state.valued:
            quality, reason = QUALITY_BAD, REASON_NOT_YET
    else:
        value = plain(monitors, row, image, now_ns)
    image_set(image, row.output_point, value, quality, reason, now_ns)


cdef void monitors_evaluate(
    Monitors* monitors, Image* image, int64_t now_ns, int64_t dt_ns, int64_t utc_ns
) noexcept nogil:
    """Work out every monitor, in the order of the table: one may take another's point.

    now_ns  monotonic
    utc_ns  asked once by a demand window, for where it stands at start
    """
    cdef int32_t at
    for at in range(monitors.rows):
        monitor_evaluate(monitors, at, image, now_ns, dt_ns, utc_ns)


cdef class MonitorBench:
    """Monitors on their own, fed value by value; the tests' door.

    Point k is input k; the monitors' own points follow.
    """

    cdef Monitors monitors
    cdef Image image
    cdef object arrays
    cdef Sample[128] samples
    cdef MonitorState[32] states
    cdef int64_t now_ns

    def __cinit__(self, const MonitorRow[::1] rows, const int32_t[::1] inputs,
                  const CurveRow[::1] curves, int points):
        if rows.shape[0] > 32 or points > 128:
            raise ValueError("the bench holds 32 monitors and 128 points")
        self.arrays = (rows, inputs, curves)
        self.monitors.rows, self.monitors.table = rows.shape[0], &rows[0]
        self.monitors.inputs = &inputs[0]
        self.monitors.curves = &curves[0] if curves.shape[0] else NULL
        self.monitors.states = self.states
        self.image.points, self.image.samples = points, self.samples
        self.now_ns = 1000000000

    def step(self, values, int64_t dt_ns, int64_t utc_ns=0, double usable_j=0.0,
             double discharge_max_w=0.0):
        """One scan with one value a point, None being bad: [(value, quality, reason)] of each."""
        self.now_ns += dt_ns
        self.monitors.storages = Storages(usable_j, discharge_max_w)
        for at, value in enumerate(values):
            self.samples[at].quality = QUALITY_BAD if value is None else QUALITY_GOOD
            self.samples[at].reason = REASON_NOT_YET if value is None else REASON_NONE
            if value is not None:
                if value != self.samples[at].value or self.samples[at].changed_ns == 0:
                    self.samples[at].changed_ns = self.now_ns
                self.samples[at].value, self.samples[at].source_ns = value, self.now_ns
        monitors_evaluate(&self.monitors, &self.image, self.now_ns, dt_ns, utc_ns)
        outputs = [self.samples[self.monitors.table[at].output_point]
                   for at in range(self.monitors.rows)]
        return [(each["value"], each["quality"], each["reason"]) for each in outputs]
