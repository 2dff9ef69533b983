"""The scan: latch, measure, interlock, decide, commit, integrate, journal.

One function, scan_cycle, is one scan. It knows neither sockets nor clocks: it
reads the input image and is told the time, so that the same code runs on the
real bus and clock and on a simulated plant, bit for bit the same. Outputs are
committed before energy is integrated and records are written, so that the bus
has them as early as it can.
"""

from libc.math cimport NAN, fabs, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.atomic cimport load64
from edgectl._kernel.authority cimport (
    AUTHORITY_DONE, interlocks_bypass, interlocks_inject, interlocks_maintenance,
    interlocks_reset)
from edgectl._kernel.blocks cimport r_trig
from edgectl._kernel.carbon cimport METERS_MAX, flows_trace
from edgectl._kernel.carryover cimport stock_note, stock_resume
from edgectl._kernel.clock cimport wake
from edgectl._kernel.commit cimport dispatch_commit, heartbeats_commit, open_request_commit
from edgectl._kernel.dispatch cimport (
    SOURCE_LOCAL, SOURCE_OPERATOR, StorageRow, WantedRequest, dispatch_decide, dispatch_measure)
from edgectl._kernel.integrity cimport integrity_look
from edgectl._kernel.interlock cimport (
    RESET_AUTO, RESET_LOCAL, Reset, interlocks_evaluate)
from edgectl._kernel.inventory cimport (
    OPENING_AWAITED, OPENING_CARRIED, Stock, stock_begin, stock_settle, stock_start)
from edgectl._kernel.journal cimport (
    MAIL_ARM, MAIL_BYPASS, MAIL_DISARM, MAIL_GRID_CARBON, MAIL_IMPORT_CAP_W, MAIL_INJECT,
    MAIL_MAINTENANCE, MAIL_RESET, MAIL_SERVICES, MAIL_SHED_W, MAIL_STORAGE_W,
    MAILBOX_PER_SCAN_MAX, Mail, mailbox_take, snapshot_close, snapshot_open)
from edgectl._kernel.monitor cimport Storages, monitors_evaluate
from edgectl._kernel.process_image cimport image_latch, image_set
from edgectl._kernel.quality cimport (
    QUALITY_BAD, QUALITY_GOOD, REASON_NONE, REASON_NOT_YET, Reason, Sample)
from edgectl._kernel.record cimport Moment, record_write, snapshot_write
from edgectl._kernel.site cimport ScanRow
from edgectl._kernel.totalizer cimport meter_update

cdef extern from "<math.h>" nogil:
    long long llrint(double x)

cdef enum:
    CARBON_G_PER_KWH_MAX = 5000  # above any fuel's: a unit error
    LENGTH_S_MAX = 1000000       # of a bypass or maintenance; what is allowed is far less
    NS_PER_S = 1000000000
    PPM = 1000000
    SOC_RATIO_MAX = 100          # beyond, a state of charge is no ratio


cdef bint take_request(KernelState* state, const Mail* mail, WantedRequest* wanted) noexcept nogil:
    """A set point from outside replaces one of no higher standing."""
    if mail.authority <= SOURCE_LOCAL or mail.authority > SOURCE_OPERATOR:
        return False
    if wanted.expiry_ns > 0 and wanted.source > mail.authority \
            and wanted.expiry_ns > state.before_ns:
        return False
    wanted.value_w = mail.value
    wanted.expiry_ns = mail.expiry_ns
    wanted.source = mail.authority
    wanted.lapsed = False
    return True


cdef int64_t length_ns(double seconds) noexcept nogil:
    """A length in ns; what is no number or over LENGTH_S_MAX is so long that it is refused."""
    if seconds <= 0.0:
        return 0
    if seconds < LENGTH_S_MAX:
        return <int64_t> (seconds * NS_PER_S)
    return <int64_t> LENGTH_S_MAX * NS_PER_S


cdef bint take_authority(KernelState* state, const Mail* mail, int64_t now_ns) noexcept nogil:
    """Reset, bypass, maintenance mode, proof test; false when it is refused."""
    if mail.kind == MAIL_INJECT:
        return interlocks_inject(&state.interlocks, mail.target, mail.authority, mail.value,
                                 mail.expiry_ns, now_ns) == AUTHORITY_DONE
    if mail.authority <= RESET_AUTO or mail.authority >= RESET_LOCAL:
        return False
    if mail.kind == MAIL_RESET:
        return interlocks_reset(&state.interlocks, mail.target, <Reset> mail.authority) > 0
    if mail.kind == MAIL_BYPASS:
        return interlocks_bypass(&state.interlocks, mail.target, length_ns(mail.value),
                                 now_ns) == AUTHORITY_DONE
    return interlocks_maintenance(
        &state.interlocks, length_ns(mail.value), now_ns) == AUTHORITY_DONE


cdef bint take_mail(KernelState* state, const Mail* mail, int64_t now_ns) noexcept nogil:
    """Act on one mailbox entry; false when it is refused."""
    if mail.expiry_ns <= now_ns:
        return False
    if mail.kind == MAIL_GRID_CARBON:
        if not (mail.value >= 0.0 and mail.value <= CARBON_G_PER_KWH_MAX):
            return False
        state.carbon_g_per_kwh = mail.value
        state.carbon_expiry_ns = mail.expiry_ns
        return True
    if mail.kind == MAIL_STORAGE_W:
        if mail.target < 0 or mail.target >= state.dispatch.row.storages:
            return False
        return take_request(state, mail, &state.dispatch.storages[mail.target].wanted)
    if mail.kind == MAIL_SHED_W:
        return take_request(state, mail, &state.dispatch.flexible.wanted)
    if mail.kind == MAIL_IMPORT_CAP_W:
        return isfinite(mail.value) and take_request(state, mail, &state.dispatch.import_cap)
    if mail.kind == MAIL_RESET or MAIL_BYPASS <= mail.kind <= MAIL_INJECT:
        return take_authority(state, mail, now_ns)
    if mail.kind == MAIL_SERVICES:
        state.services_ns = now_ns
        state.ledger_fault = mail.value != 0.0
        return True
    if mail.kind == MAIL_ARM:
        state.dispatch.armed = state.row.may_arm
        return state.row.may_arm
    if mail.kind == MAIL_DISARM:
        state.dispatch.armed = False
        return True
    return False


cdef int32_t take_mails(KernelState* state, int64_t now_ns) noexcept nogil:
    """Empty the mailbox, at most MAILBOX_PER_SCAN_MAX entries; returns how many were taken."""
    cdef Mail mail
    cdef int32_t taken = 0
    while taken < MAILBOX_PER_SCAN_MAX and mailbox_take(&state.segment, &mail):
        taken += 1
        if not take_mail(state, &mail, now_ns):
            state.mails_rejected += 1
    return taken


cdef double sum_power_w(const KernelState* state, int32_t first, int32_t last) noexcept nogil:
    """Sum of what meters first..last-1 stand at, W; a lost one at what it is taken for."""
    cdef double sum_w = 0.0
    cdef int32_t at
    for at in range(first, last):
        sum_w += state.meter_states[at].power_milliwatt * 1e-3
    return sum_w


cdef void set_good(KernelState* state, int32_t point, double value, int64_t now_ns) noexcept nogil:
    image_set(&state.image, point, value, QUALITY_GOOD, REASON_NONE, now_ns)


cdef void measure_devices(KernelState* state, int64_t now_ns) noexcept nogil:
    """Seconds since each device's last good answer, as points for the interlocks."""
    cdef int32_t at
    cdef int64_t good_ns
    for at in range(state.image.devices):
        good_ns = load64(&state.image.links[at].good_ns)
        image_set(&state.image, state.row.first_device_age_point + at, (now_ns - good_ns) * 1e-9,
                  QUALITY_GOOD if good_ns > 0 else QUALITY_BAD,
                  REASON_NONE if good_ns > 0 else REASON_NOT_YET, now_ns)


cdef void measure_site(KernelState* state, double aux_w, int64_t now_ns) noexcept nogil:
    """The site's own figures as points of the image; what is missing says why the grid meter is."""
    cdef const ScanRow* row = state.row
    cdef Reason missing = <Reason> state.image.samples[state.dispatch.row.grid_point].reason
    cdef int32_t generators = 1 + row.loads + state.flows.storages + state.flows.pvs
    cdef double generated_w = -sum_power_w(state, generators, generators + state.flows.generators)
    cdef double facility_w = (state.dispatch.grid_w + state.dispatch.pv_w + generated_w
                              - state.dispatch.battery_w)
    cdef bint known = state.dispatch.grid_good and state.dispatch.it_w > 0.0

    image_set(&state.image, row.grid_power_point, state.dispatch.grid_w,
              QUALITY_GOOD if state.dispatch.grid_good else QUALITY_BAD,
              REASON_NONE if state.dispatch.grid_good else missing, now_ns)
    set_good(state, row.it_power_point, state.dispatch.it_w, now_ns)
    set_good(state, row.aux_power_point, aux_w, now_ns)
    set_good(state, row.pv_power_point, state.dispatch.pv_w, now_ns)
    set_good(state, row.battery_power_point, state.dispatch.battery_w, now_ns)
    set_good(state, row.shed_request_point, state.dispatch.flexible.request_w, now_ns)
    set_good(state, row.grid_carbon_point, state.dispatch.carbon_g_per_kwh, now_ns)
    image_set(&state.image, row.pue_point, facility_w / state.dispatch.it_w if known else NAN,
              QUALITY_GOOD if known else QUALITY_BAD,
              REASON_NONE if known else missing, now_ns)


cdef void measure_controller(KernelState* state, int64_t now_ns, int64_t utc) noexcept nogil:
    """The controller's own health, as points of the image.

    A step of UTC against the monotonic clock is shown in the scan that sees it.
    """
    cdef const ScanRow* row = state.row
    cdef int64_t offset_ns = utc - now_ns
    cdef int64_t step_ns = offset_ns - state.clock_offset_ns if state.scans > 0 else 0
    state.clock_offset_ns = offset_ns
    integrity_look(&state.integrity)
    set_good(state, row.overruns_point, state.cadence.in_row, now_ns)
    set_good(state, row.clock_step_point, fabs(step_ns * 1e-9), now_ns)
    set_good(state, row.tables_fault_point, state.integrity.fault, now_ns)
    set_good(state, row.ledger_fault_point, state.ledger_fault, now_ns)
    set_good(state, row.maintenance_point, state.interlocks.maintenance_until_ns > now_ns, now_ns)
    set_good(state, row.bypassed_point, state.interlocks.site.bypassed, now_ns)
    image_set(&state.image, row.services_age_point, (now_ns - state.services_ns) * 1e-9,
              QUALITY_GOOD if state.services_ns > 0 else QUALITY_BAD,
              REASON_NONE if state.services_ns > 0 else REASON_NOT_YET, now_ns)


cdef Storages storages_left(const KernelState* state) noexcept nogil:
    """What the batteries could still give above their floors; one of unknown charge gives none."""
    cdef Storages left = Storages(0.0, 0.0)
    cdef const StorageRow* row
    cdef const Sample* soc
    cdef int32_t at
    for at in range(state.dispatch.row.storages):
        row = &state.dispatch.storage_rows[at]
        soc = &state.image.samples[row.soc_point]
        if soc.quality != QUALITY_BAD and soc.value > row.reserve_ratio:
            left.usable_j += (soc.value - row.reserve_ratio) * row.capacity_j
            left.discharge_max_w += row.discharge_rating_w
    return left


cdef double measure(KernelState* state, int64_t now_ns) noexcept nogil:
    """Integrate every meter to now and work out the site; returns auxiliary power, W."""
    cdef const ScanRow* row = state.row
    cdef int32_t at
    cdef double aux_w

    for at in range(state.meters):
        meter_update(&state.meter_states[at], &state.meter_rows[at],
                     &state.image.samples[state.meter_rows[at].point], now_ns)
    state.carbon_default = state.carbon_expiry_ns <= now_ns
    state.dispatch.carbon_known = not state.carbon_default
    state.dispatch.carbon_g_per_kwh = row.default_mg_per_kwh * 1e-3 if state.carbon_default \
        else state.carbon_g_per_kwh
    state.dispatch.it_w = sum_power_w(state, 1, 1 + row.it_loads)
    aux_w = sum_power_w(state, 1 + row.it_loads, 1 + row.loads)
    dispatch_measure(&state.dispatch, &state.image, now_ns)
    measure_devices(state, now_ns)
    measure_site(state, aux_w, now_ns)
    return aux_w


cdef void local_reset(KernelState* state) noexcept nogil:
    """The push-button at the cabinet: its rising edge clears what local authority may clear."""
    cdef const Sample* button
    if state.row.local_reset_point < 0:
        return
    button = &state.image.samples[state.row.local_reset_point]
    r_trig(&state.local_reset, button.quality == QUALITY_GOOD and button.value != 0.0)
    if state.local_reset.q:
        interlocks_reset(&state.interlocks, -1, RESET_LOCAL)


cdef bint soc_good(const Sample* soc) noexcept nogil:
    """Whether a state of charge may move the books."""
    return soc.quality == QUALITY_GOOD and fabs(soc.value) <= SOC_RATIO_MAX


cdef int64_t soc_within_ppm(const Sample* soc) noexcept nogil:
    """A good state of charge, 0 to PPM."""
    cdef int64_t ppm = llrint(soc.value * PPM)
    if ppm < 0:
        return 0
    return ppm if ppm < PPM else PPM


cdef void open_stocks(KernelState* state) noexcept nogil:
    """Once each battery's state of charge is first known: declare its content, or resume it."""
    cdef int32_t at
    cdef const StorageRow* row
    cdef const Sample* soc
    cdef Stock* stock
    for at in range(state.dispatch.row.storages):
        row = &state.dispatch.storage_rows[at]
        soc = &state.image.samples[row.soc_point]
        stock = &state.flows.stocks[at]
        if stock.opening == OPENING_AWAITED and soc.quality != QUALITY_BAD:
            stock_start(stock, soc.value * row.capacity_j, state.row.initial_stock_mg_per_kwh)
        elif stock.opening == OPENING_CARRIED and soc_good(soc):
            stock_resume(stock, &state.flows.stock_rows[at], soc_within_ppm(soc),
                         state.row.initial_stock_mg_per_kwh)


cdef void settle_stocks(KernelState* state, int64_t dt_ns) noexcept nogil:
    """Standby losses and true-ups of this scan, once a content is booked."""
    cdef int32_t at
    cdef const Sample* soc
    cdef Stock* stock
    cdef bint good
    for at in range(state.dispatch.row.storages):
        stock = &state.flows.stocks[at]
        if stock.opening == OPENING_AWAITED:
            continue
        soc = &state.image.samples[state.dispatch.storage_rows[at].soc_point]
        good = soc_good(soc)
        stock_settle(stock, &state.flows.stock_rows[at],
                     llrint(soc.value * PPM) if good else 0, good, dt_ns)
        if good:
            stock_note(stock, soc_within_ppm(soc))


cdef void integrate(KernelState* state, int64_t dt_ns) noexcept nogil:
    """Trace this scan's energy and carbon from the sources to the loads."""
    cdef int64_t meter_mj[METERS_MAX]
    cdef int32_t at

    for at in range(state.dispatch.row.storages):
        stock_begin(&state.flows.stocks[at])
    open_stocks(state)
    for at in range(state.meters):
        meter_mj[at] = state.meter_states[at].energy_mj
    flows_trace(&state.flows, meter_mj, llrint(state.dispatch.carbon_g_per_kwh * 1000.0),
                state.row.pv_mg_per_kwh, state.row.default_mg_per_kwh)
    settle_stocks(state, dt_ns)


cdef void scan_cycle(
    KernelState* state, int64_t now_ns, int64_t utc, int64_t period, int64_t lateness_ns,
) noexcept nogil:
    """One scan.

    now_ns       monotonic, its start: all deciding and integrating uses this
    utc          ns since 1970, for reports alone
    period       index of the period on the cadence
    lateness_ns  start against the deadline
    """
    cdef int64_t dt_ns = now_ns - state.before_ns if state.scans > 0 else state.row.period_ns
    cdef int32_t mails = take_mails(state, now_ns)
    cdef Moment moment
    cdef uint8_t* written

    image_latch(&state.image, now_ns, state.row.period_ns)
    local_reset(state)
    moment = Moment(now_ns, utc, period, lateness_ns, dt_ns, 0.0, mails)
    moment.aux_w = measure(state, now_ns)
    measure_controller(state, now_ns, utc)
    state.monitors.storages = storages_left(state)
    monitors_evaluate(&state.monitors, &state.image, now_ns, dt_ns, utc)
    interlocks_evaluate(&state.interlocks, &state.image, state.scans, now_ns, dt_ns)
    dispatch_decide(&state.dispatch, &state.image, state.interlocks.permits,
                    &state.interlocks.site, now_ns, dt_ns)
    dispatch_commit(&state.dispatch, &state.image, now_ns)
    heartbeats_commit(&state.dispatch, &state.image, now_ns)
    open_request_commit(&state.dispatch, &state.image, state.row.open_request_output,
                        state.interlocks.site.open_request, now_ns)
    if state.dispatch.writes > 0 and state.wake_fd >= 0:
        wake(state.wake_fd)
    state.setpoints_written += state.dispatch.writes
    integrate(state, dt_ns)
    written = record_write(state, &moment)
    if state.scans % state.snapshot_every == 0:
        snapshot_write(state, written, snapshot_open(&state.segment))
        snapshot_close(&state.segment)
    state.before_ns = now_ns
    state.scans += 1
