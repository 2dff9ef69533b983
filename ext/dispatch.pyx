"""Dispatch: request, arbiter, interlocks, limits, ramp, deadband and dwell, setpoint, output.

Safe local control needs no planner: hold the grid import under its cap, take
all PV, discharge on high grid carbon and charge on low, keep the reserve, and
ask the flexible load to defer what the batteries cannot hold alone.

Design: the wanted battery power is solved from the site without its battery
(net = grid - battery), both measured in the same scan, and not integrated from
an error. So a dead time in the loop delays the answer and cannot wind it up.
Import limits act this scan; economy waits for its dwell. The clamp to what the
interlocks permit stands last, after the ramp.
"""

from libc.math cimport INFINITY, fabs, isfinite
from libc.stdint cimport int32_t, int64_t

from edgectl._kernel.blocks cimport hysteresis_above, hysteresis_below, ramp
from edgectl._kernel.curtail cimport flexible_decide, pv_decide, pv_measure
from edgectl._kernel.interlock cimport EFFECT_ALARM, EFFECT_ZERO
from edgectl._kernel.least cimport maximum, minimum
from edgectl._kernel.process_image cimport image_set
from edgectl._kernel.proof cimport proof_measure, window_start
from edgectl._kernel.quality cimport QUALITY_BAD, QUALITY_GOOD, REASON_NONE, Sample

cdef enum:
    REQUEST_RATINGS_MAX = 2      # a request beyond this many ratings is an error, not a wish
    READY_BAND_PERCENT = 2       # of capacity, before charging to readiness begins
    LOST_STORAGE_S = 60          # longest revert time we accept: then it is at zero
    NS_PER_S = 1000000000


cdef double permitted_w(
    double request_w, double charge_max_w, double discharge_max_w) noexcept nogil:
    """Clamp a request to what is permitted; the single door to a battery setpoint.

    request_w        charge positive, any double
    charge_max_w     at least 0; anything else, NaN too, counts as 0
    discharge_max_w  likewise, as a positive number

    Returns a finite power in [-discharge_max_w, charge_max_w]; 0 for a request
    that is not a number.
    """
    cdef double high = charge_max_w if charge_max_w > 0.0 and isfinite(charge_max_w) else 0.0
    cdef double low = -discharge_max_w \
        if discharge_max_w > 0.0 and isfinite(discharge_max_w) else 0.0
    if request_w != request_w:
        return 0.0
    if request_w > high:
        return high
    if request_w < low:
        return low
    return request_w


cdef double storage_power_w(
    const StorageRow* row, const Storage* storage, const Sample* power, int64_t now_ns
) noexcept nogil:
    """Measured power, or for a lost one what it may still be doing.

    A lost battery that was told to discharge is believed to do so, so that the
    others stand in for it before it stops; one that was told to charge counts
    as doing so no longer. After the longest revert time it is at zero.
    """
    if power.quality != QUALITY_BAD:
        return power.value
    if now_ns - power.source_ns > <int64_t> LOST_STORAGE_S * NS_PER_S:
        return 0.0
    return minimum(storage.output_w, 0.0)


cdef void measure_storage(
    const StorageRow* row, Storage* storage, Image* image, int64_t now_ns) noexcept nogil:
    """What became of one battery's output, as points for the interlocks."""
    proof_measure(&row.proof, &storage.proof, image, storage.output_w, storage.output_ns, now_ns)
    image_set(image, row.request_point, storage.request_w, QUALITY_GOOD, REASON_NONE, now_ns)
    image_set(image, row.setpoint_point, storage.setpoint_w, QUALITY_GOOD, REASON_NONE, now_ns)
    image_set(image, row.rejected_point, storage.rejected, QUALITY_GOOD, REASON_NONE, now_ns)
    image_set(image, row.lapsed_point, storage.wanted.lapsed, QUALITY_GOOD, REASON_NONE, now_ns)


cdef void dispatch_measure(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil:
    """Take grid, PV and battery power of this scan, and work out the site without its battery.

    A lost grid meter counts as at its limit; lost PV as none.
    """
    cdef const DispatchRow* row = dispatch.row
    cdef const Sample* sample = &image.samples[row.grid_point]
    cdef double deferred_w = 0.0
    cdef int32_t at

    dispatch.grid_good = sample.quality != QUALITY_BAD
    dispatch.grid_w = sample.value if dispatch.grid_good else row.import_cap_w
    pv_measure(dispatch, image, now_ns)
    dispatch.battery_w = 0.0
    for at in range(row.storages):
        dispatch.battery_w += storage_power_w(
            &dispatch.storage_rows[at], &dispatch.storages[at],
            &image.samples[dispatch.storage_rows[at].power_point], now_ns)
        measure_storage(&dispatch.storage_rows[at], &dispatch.storages[at], image, now_ns)
    dispatch.net_w = dispatch.grid_w - dispatch.battery_w
    if dispatch.flexible_row.device >= 0:
        sample = &image.samples[dispatch.flexible_row.deferred_point]
        deferred_w = sample.value if sample.quality != QUALITY_BAD else 0.0
    dispatch.load_w = dispatch.net_w + deferred_w


cdef bint wanted_stands(WantedRequest* wanted, int64_t now_ns) noexcept nogil:
    """Whether a request from outside is there and not expired; a lapsed one is forgotten."""
    if wanted.expiry_ns == 0:
        return False
    if now_ns >= wanted.expiry_ns:
        wanted.expiry_ns = 0
        wanted.lapsed = True
        return False
    return True


cdef void judge_carbon(Dispatch* dispatch) noexcept nogil:
    """High or low grid carbon, with the site's deadband; the default in use is neither."""
    cdef const DispatchRow* row = dispatch.row
    if not dispatch.carbon_known:
        dispatch.carbon_high.q = False
        dispatch.carbon_low.q = False
        return
    hysteresis_above(&dispatch.carbon_high, dispatch.carbon_g_per_kwh, row.carbon_high_g_per_kwh,
                     row.carbon_high_g_per_kwh - row.carbon_deadband_g_per_kwh)
    hysteresis_below(&dispatch.carbon_low, dispatch.carbon_g_per_kwh, row.carbon_low_g_per_kwh,
                     row.carbon_low_g_per_kwh + row.carbon_deadband_g_per_kwh)


cdef double steering_w(
    const Dispatch* dispatch, const StorageRow* row, const Storage* storage,
    const Sample* soc) noexcept nogil:
    """What is best asked of a battery that nobody asked for anything.

    First be ready for the import cap: below ready_ratio charge, whatever the
    carbon, once no load is deferred. Above it discharge on high grid carbon and
    charge on low. With the feed lost neither is known, and nothing is steered.
    """
    cdef double charge_w = row.economy_w if dispatch.load_w <= dispatch.net_w else 0.0
    cdef double start_ratio = row.ready_ratio
    if storage.economy_w <= 0.0:
        start_ratio -= READY_BAND_PERCENT * 0.01
    if soc.quality == QUALITY_BAD or soc.value < start_ratio:
        return charge_w if soc.quality != QUALITY_BAD else 0.0
    if dispatch.carbon_high.q:
        return -row.economy_w if soc.value > row.ready_ratio else 0.0
    return charge_w if dispatch.carbon_low.q else 0.0


cdef void economy(
    const Dispatch* dispatch, const StorageRow* row, Storage* storage, const Sample* soc,
    int64_t now_ns) noexcept nogil:
    """Take over what steering asks, at most once a dwell."""
    cdef double wanted_w = steering_w(dispatch, row, storage, soc)
    if wanted_w == storage.economy_w:
        return
    if storage.economy_ns > 0 and now_ns - storage.economy_ns < row.dwell_ns:
        return
    storage.economy_w = wanted_w
    storage.economy_ns = now_ns


cdef double arbiter(
    Dispatch* dispatch, const StorageRow* row, Storage* storage, const Permit* permit,
    const Sample* soc, int64_t now_ns) noexcept nogil:
    """The request of highest standing: operator, plan, or local economy.

    A request that is not finite or beyond twice the rating is rejected and the
    local one stands. While a row blocks commands none from outside is heard.
    """
    cdef double rating_w = maximum(row.charge_rating_w, row.discharge_rating_w)

    economy(dispatch, row, storage, soc, now_ns)
    storage.rejected = False
    storage.source = SOURCE_LOCAL
    storage.binding = BINDING_NONE
    if not wanted_stands(&storage.wanted, now_ns):
        return storage.economy_w
    if permit.block_command:
        storage.binding = BINDING_INTERLOCK
        return storage.economy_w
    if not fabs(storage.wanted.value_w) <= REQUEST_RATINGS_MAX * rating_w:
        storage.rejected = True
        storage.binding = BINDING_REJECTED
        return storage.economy_w
    storage.source = storage.wanted.source
    return storage.wanted.value_w


cdef void room(
    const StorageRow* row, const Permit* permit, const Sample* soc, double setpoint_w,
    double* charge_max_w, double* discharge_max_w) noexcept nogil:
    """What one battery may do either way now: rating, interlocks, reserve, full.

    setpoint_w  of the scan before; while a row holds the battery, or ramps it
                to zero, it may do so much or less, and not start or turn round
    """
    cdef double ratio = permit.derate_ratio
    charge_max_w[0] = minimum(row.charge_rating_w * ratio, permit.charge_max_w)
    discharge_max_w[0] = minimum(row.discharge_rating_w * ratio, permit.discharge_max_w)
    if permit.hold or permit.ramp_to_zero:
        charge_max_w[0] = minimum(charge_max_w[0], maximum(setpoint_w, 0.0))
        discharge_max_w[0] = minimum(discharge_max_w[0], maximum(-setpoint_w, 0.0))
    if soc.quality == QUALITY_BAD:
        charge_max_w[0] = 0.0
        discharge_max_w[0] = 0.0
        return
    if soc.value <= row.reserve_ratio:
        discharge_max_w[0] = 0.0
    if soc.value >= row.full_ratio:
        charge_max_w[0] = 0.0


cdef double request_w(
    Dispatch* dispatch, const StorageRow* row, Storage* storage, const Permit* permit,
    const Sample* soc, double charge_max_w, double discharge_max_w, int64_t now_ns
) noexcept nogil:
    """What is asked of one battery within its room; what it does already while a row holds it."""
    cdef double wanted_w = arbiter(dispatch, row, storage, permit, soc, now_ns)
    cdef double asked_w = storage.setpoint_w if permit.hold else wanted_w
    if permit.ramp_to_zero:
        asked_w = 0.0
    asked_w = permitted_w(asked_w, charge_max_w, discharge_max_w)
    if asked_w != wanted_w:
        storage.binding = BINDING_INTERLOCK if permit.effect > EFFECT_ALARM else BINDING_RATING
    return asked_w


cdef double wanted_total_w(
    Dispatch* dispatch, double total_w, double held_w, double limit_w) noexcept nogil:
    """Bring the sum of requests between the export and the import limit.

    total_w  what arbiter and limits left
    held_w   sum of outputs as written, kept while the grid meter is lost:
             nothing is charged then and no discharge is given up
    """
    cdef double high_w = limit_w - dispatch.net_w
    cdef double low_w = -dispatch.net_w - dispatch.row.export_max_w
    if not dispatch.grid_good:
        return minimum(minimum(total_w, held_w), 0.0)
    if total_w < low_w:
        total_w = minimum(low_w, 0.0) if total_w < 0.0 else total_w
    return minimum(total_w, high_w)


cdef double room_left_w(
    const Storage* storage, const Permit* permit, double discharge_max_w, bint down, bint turn
) noexcept nogil:
    """How far a request can be moved to zero, or beyond it down to all that may be discharged.

    One that ramps to zero takes no part.
    """
    if permit.ramp_to_zero:
        return 0.0
    if turn:
        return storage.request_w + discharge_max_w
    return maximum(storage.request_w if down else -storage.request_w, 0.0)


cdef double spread_by(
    Dispatch* dispatch, const Permit* permits, double need_w, const double* discharge_max_w,
    bint down, bint turn) noexcept nogil:
    """Move every request by its share of the room it has; returns what is still needed, W."""
    cdef double room_w = 0.0
    cdef double share_ratio, left_w
    cdef int32_t at
    for at in range(dispatch.row.storages):
        room_w += room_left_w(&dispatch.storages[at], &permits[at], discharge_max_w[at], down, turn)
    if room_w <= 0.0:
        return need_w
    share_ratio = minimum(need_w / room_w, 1.0)
    for at in range(dispatch.row.storages):
        left_w = room_left_w(&dispatch.storages[at], &permits[at], discharge_max_w[at], down, turn)
        if left_w > 0.0:
            dispatch.storages[at].request_w += -share_ratio * left_w if down \
                else share_ratio * left_w
            dispatch.storages[at].binding = BINDING_IMPORT_CAP if down else BINDING_EXPORT_MAX
    return need_w - share_ratio * room_w


cdef void spread(
    Dispatch* dispatch, const Permit* permits, double total_w, const double* discharge_max_w
) noexcept nogil:
    """Move the requests to their new sum, each by its share of the room it has left.

    Down for the import cap: first all charging is given up, then the batteries
    discharge, so that no energy goes round in a circle. Up for the export limit:
    discharge is given up, and that is always enough.
    """
    cdef double sum_w = 0.0
    cdef double need_w
    cdef int32_t at
    cdef bint down

    for at in range(dispatch.row.storages):
        sum_w += dispatch.storages[at].request_w
    down = total_w < sum_w
    need_w = fabs(total_w - sum_w)
    dispatch.shortage_w = 0.0
    if need_w < 1.0:
        return
    need_w = spread_by(dispatch, permits, need_w, discharge_max_w, down, False)
    if down and need_w > 0.0:
        dispatch.shortage_w = maximum(
            spread_by(dispatch, permits, need_w, discharge_max_w, down, True), 0.0)


cdef void permit_storage(
    const StorageRow* row, Storage* storage, const Permit* permit, Binding halt,
    double charge_max_w, double discharge_max_w, int64_t dt_ns) noexcept nogil:
    """Ramp towards the request, then clamp to what is permitted; a trip is not ramped.

    halt  why the whole site is at zero, BINDING_NONE when it is not
    """
    cdef double target_w = permitted_w(storage.request_w, charge_max_w, discharge_max_w)

    if halt != BINDING_NONE or permit.effect >= EFFECT_ZERO:
        storage.setpoint_w = 0.0
        storage.ramp.out = 0.0
        storage.binding = halt if halt != BINDING_NONE else BINDING_INTERLOCK
        return
    ramp(&storage.ramp, target_w, row.ramp_w_per_s * 1e-9 * dt_ns)
    storage.setpoint_w = permitted_w(storage.ramp.out, charge_max_w, discharge_max_w)
    storage.ramp.out = storage.setpoint_w
    if storage.setpoint_w != target_w:
        storage.binding = BINDING_RAMP


cdef void dispatch_decide(
    Dispatch* dispatch, Image* image, const Permit* permits, const SitePermit* site,
    int64_t now_ns, int64_t dt_ns) noexcept nogil:
    """From requests to setpoints, for every battery, the PV and the flexible load.

    permits  [storages], what the interlocks left this scan
    site     what they ask of the site as a whole
    now_ns   monotonic; dt_ns measured since the scan before
    """
    cdef const DispatchRow* row = dispatch.row
    cdef double charge_max_w[STORAGES_MAX]
    cdef double discharge_max_w[STORAGES_MAX]
    cdef double total_w = 0.0
    cdef double held_w = 0.0
    cdef Storage* storage
    cdef int32_t at
    cdef Binding halt = BINDING_NONE

    if not dispatch.armed or dispatch.stopping:
        halt = BINDING_NOT_ARMED
    elif site.safe_state:
        halt = BINDING_INTERLOCK
    judge_carbon(dispatch)
    dispatch.import_cap_w = row.import_cap_w
    if wanted_stands(&dispatch.import_cap, now_ns) and dispatch.import_cap.value_w >= 0.0:
        dispatch.import_cap_w = minimum(row.import_cap_w, dispatch.import_cap.value_w)
    dispatch.import_cap_w = minimum(dispatch.import_cap_w, site.import_max_w)
    for at in range(row.storages):
        storage = &dispatch.storages[at]
        room(&dispatch.storage_rows[at], &permits[at],
             &image.samples[dispatch.storage_rows[at].soc_point], storage.setpoint_w,
             &charge_max_w[at], &discharge_max_w[at])
        storage.request_w = request_w(
            dispatch, &dispatch.storage_rows[at], storage, &permits[at],
            &image.samples[dispatch.storage_rows[at].soc_point],
            charge_max_w[at], discharge_max_w[at], now_ns)
        total_w += storage.request_w
        held_w += storage.output_w
    spread(dispatch, permits, wanted_total_w(
        dispatch, total_w, held_w, dispatch.import_cap_w - row.import_guard_w), discharge_max_w)
    for at in range(row.storages):
        permit_storage(
            &dispatch.storage_rows[at], &dispatch.storages[at], &permits[at], halt,
            charge_max_w[at], discharge_max_w[at], dt_ns)
    flexible_decide(dispatch, image, site, wanted_stands(&dispatch.flexible.wanted, now_ns),
                    now_ns, dt_ns)
    pv_decide(dispatch, dt_ns)


cdef void dispatch_start(Dispatch* dispatch) noexcept nogil:
    """Start state: nothing asked, PV at its rating."""
    cdef int32_t at
    for at in range(dispatch.row.pvs):
        dispatch.pvs[at].setpoint_w = dispatch.pv_rows[at].rating_w
        window_start(&dispatch.pvs[at].window)
    for at in range(dispatch.row.storages):
        window_start(&dispatch.storages[at].proof.window)
    dispatch.import_cap_w = dispatch.row.import_cap_w


def permitted_setpoint_w(double request_w, double charge_max_w, double discharge_max_w):
    """permitted_w; the tests' door."""
    return permitted_w(request_w, charge_max_w, discharge_max_w)


cdef class DispatchBench:
    """Batteries, a grid meter and a flexible load on their own, scan by scan; the tests' door.

    Point 0 is grid power, 1 available and 2 deferred load, then power and SoC
    of each storage; PV points are import positive: generation is negative.
    """

    cdef Dispatch dispatch
    cdef Image image
    cdef object arrays
    cdef Sample[64] samples
    cdef Permit[STORAGES_MAX] permits
    cdef int64_t now_ns

    def __cinit__(self, const DispatchRow[::1] row, const StorageRow[::1] storages,
                  const PvRow[::1] pvs, const FlexibleRow[::1] flexible):
        if storages.shape[0] > STORAGES_MAX or pvs.shape[0] > 8:
            raise ValueError(f"the bench holds {STORAGES_MAX} storages and 8 PV plants")
        self.arrays = (row, storages, pvs, flexible)
        self.dispatch.row, self.dispatch.flexible_row = &row[0], &flexible[0]
        self.dispatch.storage_rows = &storages[0] if storages.shape[0] else NULL
        self.dispatch.pv_rows = &pvs[0] if pvs.shape[0] else NULL
        self.image.points, self.image.samples = 64, self.samples
        self.dispatch.armed, self.dispatch.dry_run = True, True
        self.now_ns = 1
        dispatch_start(&self.dispatch)

    def want(self, int storage, double value_w, int source, int64_t ttl_ns):
        """A request from outside for one storage."""
        self.dispatch.storages[storage].wanted = WantedRequest(
            value_w, self.now_ns + ttl_ns, source, False)

    def want_shed(self, double value_w, int64_t ttl_ns):
        """A request from outside for the flexible load."""
        self.dispatch.flexible.wanted = WantedRequest(
            value_w, self.now_ns + ttl_ns, SOURCE_PLAN, False)

    def want_import_cap(self, double value_w, int64_t ttl_ns):
        """A request from outside to lower the import cap."""
        self.dispatch.import_cap = WantedRequest(
            value_w, self.now_ns + ttl_ns, SOURCE_PLAN, False)

    def written(self, int storage, double output_w):
        """Say that a setpoint was committed now, as ext/commit.pyx would."""
        self.dispatch.storages[storage].output_w = output_w
        self.dispatch.storages[storage].output_ns = self.now_ns

    def limited(self, int pv, double limit_w):
        """Say that a PV block's limit was committed now."""
        self.dispatch.pvs[pv].output_w, self.dispatch.pvs[pv].output_ns = limit_w, self.now_ns

    def halt(self, bint armed, bint stopping):
        """Disarm, or bring everything to safe, from the next scan on."""
        self.dispatch.armed, self.dispatch.stopping = armed, stopping

    def storage(self, int storage):
        """What became of one storage's request, by name."""
        cdef const Storage* found = &self.dispatch.storages[storage]
        return {"request_w": found.request_w, "setpoint_w": found.setpoint_w,
                "economy_w": found.economy_w, "source": found.source, "rejected": found.rejected,
                "lapsed": found.wanted.lapsed}

    def point(self, int point):
        """(value, quality) of one point, as the last scan left it."""
        return self.samples[point].value, self.samples[point].quality

    @property
    def site(self):
        """The site as measured in the last scan, by name."""
        return {"battery_w": self.dispatch.battery_w, "net_w": self.dispatch.net_w,
                "import_cap_w": self.dispatch.import_cap_w,
                "shortage_w": self.dispatch.shortage_w}

    def step(self, values, permits, double it_w, carbon_g_per_kwh, int64_t dt_ns, site=None):
        """One scan; values per point, None being bad; permits and site name
        only what differs from a free site. A carbon of None is a feed that is lost.

        Returns ([(request_w, setpoint_w, Binding)], shed request W, PV setpoints W).
        """
        cdef Permit free = Permit(INFINITY, INFINITY, 1.0, -1, EFFECT_ALARM, 0, 0, 0)
        cdef SitePermit site_permit = SitePermit(INFINITY, 0, 0, 0, 0, 0, -1, 0, 0)
        if site:
            site_permit = {**site_permit, **site}
        for at, value in enumerate(values):
            self.samples[at].quality = QUALITY_BAD if value is None else QUALITY_GOOD
            if value is not None:
                self.samples[at].value, self.samples[at].source_ns = value, self.now_ns
        for at, permit in enumerate(permits):
            self.permits[at] = {**free, **permit}
        self.dispatch.it_w = it_w
        self.dispatch.carbon_known = carbon_g_per_kwh is not None
        self.dispatch.carbon_g_per_kwh = carbon_g_per_kwh or 0.0
        self.now_ns += dt_ns
        dispatch_measure(&self.dispatch, &self.image, self.now_ns)
        dispatch_decide(
            &self.dispatch, &self.image, self.permits, &site_permit, self.now_ns, dt_ns)
        storages = [
            (self.dispatch.storages[at].request_w, self.dispatch.storages[at].setpoint_w,
             Binding(self.dispatch.storages[at].binding))
            for at in range(self.dispatch.row.storages)]
        pvs = [self.dispatch.pvs[at].setpoint_w for at in range(self.dispatch.row.pvs)]
        return storages, self.dispatch.flexible.request_w, pvs
