"""What one scan leaves behind: its journal record and, now and then, the snapshot.

Both are written in the order that edgectl/image/layout.py reads them in; the
kernel refuses to start on a segment whose sizes differ.
"""

from libc.math cimport NAN
from libc.stdint cimport UINT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from edgectl._kernel.atomic cimport load64
from edgectl._kernel.carbon cimport FlowTotal
from edgectl._kernel.carryover cimport StockKept, stock_keep
from edgectl._kernel.dispatch cimport Storage
from edgectl._kernel.interlock cimport (
    INJECTIONS_MAX, ROW_BYPASSED, ROW_CAUSE, ROW_DISCREPANT, ROW_FIRST_OUT, ROW_LOCKED, ROW_START,
    ROW_UNDER_TEST, InterlockState, Permit)
from edgectl._kernel.inventory cimport SLICES_MAX, Stock, StockRow, StockSlice
from edgectl._kernel.journal cimport (
    InterlockSnapshot, PointRecord, RecordHead, SnapshotHead, StorageRecord, journal_close,
    journal_open)
from edgectl._kernel.network cimport FlowCell
from edgectl._kernel.process_image cimport DeviceLink
from edgectl._kernel.quality cimport Sample
from edgectl._kernel.scan cimport DIGEST_LANES, KernelState
from edgectl._kernel.totalizer cimport METER_ESTIMATED, METER_SUBSTITUTED

cdef extern from "<math.h>" nogil:
    long long llrint(double x)

cdef enum:
    NS_PER_US = 1000


cdef void record_health(const KernelState* state, RecordHead* head) noexcept nogil:
    """Device freshness and meter grades of this scan."""
    cdef int32_t at
    for at in range(state.image.devices):
        if not state.device_counted[at]:
            continue
        head.devices_counted += 1
        head.devices_fresh += state.image.device_fresh[at]
        if state.image.device_age_ns[at] > head.healthy_age_ns:
            head.healthy_age_ns = state.image.device_age_ns[at]
    for at in range(state.meters):
        head.meters_estimated += state.meter_states[at].grade == METER_ESTIMATED
        head.meters_substituted += state.meter_states[at].grade == METER_SUBSTITUTED


cdef void record_site(const KernelState* state, RecordHead* head, double aux_w) noexcept nogil:
    """Power, carbon and mode of this scan."""
    head.grid_w = state.dispatch.grid_w
    head.it_w = state.dispatch.it_w
    head.aux_w = aux_w
    head.pv_w = state.dispatch.pv_w
    head.battery_w = state.dispatch.battery_w
    head.load_w = state.dispatch.load_w
    head.shed_request_w = state.dispatch.flexible.request_w
    head.deferred_w = state.dispatch.load_w - state.dispatch.net_w
    head.import_cap_w = state.dispatch.import_cap_w
    head.pue = state.image.samples[state.row.pue_point].value
    head.grid_mg_per_kwh = llrint(state.dispatch.carbon_g_per_kwh * 1000.0)
    head.balance_error_mj = state.flows.balance_error_mj
    head.balance_error_ug = state.flows.balance_error_ug
    head.tripped = state.interlocks.site.tripped
    head.first_out_row = state.interlocks.site.first_out_row
    head.writes = state.dispatch.writes
    head.armed = state.dispatch.armed
    head.dry_run = state.dispatch.dry_run
    head.safe_state = state.interlocks.site.safe_state
    head.carbon_default = state.carbon_default
    head.bypassed = state.interlocks.site.bypassed
    head.discrepant = state.interlocks.site.discrepant
    head.shed_tier = state.interlocks.site.shed_tier
    head.tables_fault = state.integrity.fault
    head.ledger_fault = state.ledger_fault


cdef void record_stock(
    const KernelState* state, int32_t at, StorageRecord* record) noexcept nogil:
    """What one battery's books hold, what left them in this scan, and by which rules."""
    cdef const Stock* stock = &state.flows.stocks[at]
    cdef const StockRow* row = &state.flows.stock_rows[at]
    record.stock_mj = stock.held.energy_mj
    record.stock_ug = stock.held.carbon_ug
    memcpy(record.stock_origins_mj, stock.held.origins_mj, sizeof(record.stock_origins_mj))
    memcpy(record.delivered_mj, state.flows.drawn_mj[at], sizeof(record.delivered_mj))
    record.lost_mj = stock.lost_mj
    record.lost_ug = stock.lost_ug
    record.true_up_mj = stock.true_up_mj
    record.shortfall_mj = stock.shortfall_mj
    record.true_ups = stock.true_ups
    record.opened_mj = stock.opened_mj
    record.opened_ug = stock.opened_ug
    record.method = <uint8_t> row.method
    record.standby = <uint8_t> row.standby


cdef void record_storages(const KernelState* state, StorageRecord* records) noexcept nogil:
    """What was wanted, permitted and written of each battery, and why."""
    cdef int32_t at
    cdef StorageRecord* record
    cdef const Storage* storage
    cdef const Permit* permit
    for at in range(state.dispatch.row.storages):
        record = &records[at]
        storage = &state.dispatch.storages[at]
        permit = &state.interlocks.permits[at]
        memset(record, 0, sizeof(StorageRecord))
        record.request_w = storage.request_w
        record.setpoint_w = storage.setpoint_w
        record.output_w = storage.output_w
        record.power_w = state.image.samples[state.dispatch.storage_rows[at].power_point].value
        record.soc_ratio = state.image.samples[state.dispatch.storage_rows[at].soc_point].value
        record.charge_max_w = permit.charge_max_w
        record.discharge_max_w = permit.discharge_max_w
        record.derate_ratio = permit.derate_ratio
        record.wanted_w = storage.wanted.value_w if storage.wanted.expiry_ns > 0 else NAN
        record.economy_w = storage.economy_w
        record_stock(state, at, record)
        record.row = permit.row
        record.effect = permit.effect
        record.hold = permit.hold
        record.block_command = permit.block_command
        record.ramp_to_zero = permit.ramp_to_zero
        record.binding = storage.binding
        record.source = storage.source
        record.written = storage.written
        record.lapsed = storage.wanted.lapsed
        record.rejected = storage.rejected
        record.stopping = state.dispatch.stopping


cdef uint8_t row_flags(const InterlockState* state) noexcept nogil:
    """RowFlag bits of one row, but for what is under test."""
    return <uint8_t> (
        (ROW_START if state.start else 0) | (ROW_FIRST_OUT if state.first_out else 0)
        | (ROW_LOCKED if state.locked else 0) | (ROW_BYPASSED if state.bypassed else 0)
        | (ROW_DISCREPANT if state.discrepancy.q else 0) | (ROW_CAUSE if state.cause else 0))


cdef uint8_t* record_rows(const KernelState* state, uint8_t* place) noexcept nogil:
    """Status of every row, then its flags; returns what lies behind them."""
    cdef int32_t at
    cdef int64_t room = (state.interlocks.rows + 7) // 8 * 8
    for at in range(state.interlocks.rows):
        place[at] = state.interlocks.states[at].status
        place[room + at] = row_flags(&state.interlocks.states[at])
    for at in range(INJECTIONS_MAX):
        if state.interlocks.injections[at].until_ns > 0:
            place[room + state.interlocks.injections[at].row] |= ROW_UNDER_TEST
    return place + 2 * room


cdef void record_points(
    const KernelState* state, PointRecord* records, int64_t now_ns
) noexcept nogil:
    """Raw words, quality and age of every journaled point."""
    cdef int32_t at, point
    cdef const Sample* sample
    cdef int64_t age_us
    for at in range(state.journaled):
        point = state.journaled_points[at]
        sample = &state.image.samples[point]
        age_us = (now_ns - sample.source_ns) // NS_PER_US
        records[at].raw = sample.raw
        records[at].age_us = <uint32_t> age_us if age_us < UINT32_MAX else UINT32_MAX
        records[at].point = <uint16_t> point
        records[at].quality = sample.quality
        records[at].reason = sample.reason


cdef void fold(KernelState* state, const uint64_t* words, int64_t count) noexcept nogil:
    """Fold 64-bit words into the digest, in independent lanes (FNV-1a's prime, 64 bits each)."""
    cdef int64_t at
    for at in range(count):
        state.digest[at % DIGEST_LANES] = \
            (state.digest[at % DIGEST_LANES] ^ words[at]) * <uint64_t> 0x100000001B3


cdef uint8_t* record_write(KernelState* state, const Moment* moment) noexcept nogil:
    """Write this scan's journal record; returns it, valid until the ring comes round."""
    cdef uint8_t* place = journal_open(&state.segment)
    cdef RecordHead* head = <RecordHead*> place
    cdef int64_t cells = state.flows.sources * state.flows.sinks

    memset(head, 0, sizeof(RecordHead))
    head.seq = state.segment.next_seq
    head.scan = state.scans
    head.period = moment.period
    head.time_ns = moment.now_ns
    head.utc_ns = moment.utc_ns
    head.dt_ns = moment.dt_ns
    head.lateness_ns = moment.lateness_ns
    head.exec_before_ns = state.exec_before_ns
    head.overruns = state.cadence.overruns
    head.mails = moment.mails
    head.maintenance = state.interlocks.maintenance_until_ns > moment.now_ns
    record_site(state, head, moment.aux_w)
    record_health(state, head)
    place += sizeof(RecordHead)
    memcpy(place, state.flows.cells, cells * sizeof(FlowCell))
    place += cells * sizeof(FlowCell)
    record_storages(state, <StorageRecord*> place)
    place += state.dispatch.row.storages * sizeof(StorageRecord)
    place = record_rows(state, place)
    if state.digesting:
        fold(state, <const uint64_t*> head, (place - <uint8_t*> head) // 8)
    record_points(state, <PointRecord*> place, moment.now_ns)
    journal_close(&state.segment)
    return <uint8_t*> head


cdef void snapshot_totals(const KernelState* state, SnapshotHead* head, int64_t seq) noexcept nogil:
    """Counters since start."""
    cdef int32_t at
    memset(head, 0, sizeof(SnapshotHead))
    head.seq = seq
    head.scans = state.scans + 1
    head.setpoints_written = state.setpoints_written
    head.mails_rejected = state.mails_rejected
    head.rt_grade = state.rt_grade
    head.bus_rt_grade = load64(&state.bus_rt_grade)
    head.bus_cpu_ns = load64(&state.bus_cpu_ns)
    head.scan_cpu_ns = state.scan_cpu_ns
    for at in range(state.image.devices):
        head.transactions += state.image.links[at].requests
        head.timeouts += state.image.links[at].timeouts
        head.late_replies += state.image.links[at].late_replies
    for at in range(state.dispatch.row.storages):
        head.readbacks += state.dispatch.storages[at].proof.readbacks
        head.readback_mismatches += state.dispatch.storages[at].proof.readback_mismatches
        head.foreign_writes += state.dispatch.storages[at].proof.foreign_writes
    for at in range(state.interlocks.rows):
        head.trips += state.interlocks.states[at].trips


cdef uint8_t* put(uint8_t* place, const void* source, int64_t size) noexcept nogil:
    """Copy and step on; every part is a multiple of 8 bytes."""
    memcpy(place, source, size)
    return place + size


cdef void snapshot_stocks(const KernelState* state, uint8_t* place) noexcept nogil:
    """What a restart must not lose of the batteries' books."""
    cdef StockKept* kept = <StockKept*> place
    cdef StockSlice* slices = <StockSlice*> (place + state.flows.storages * sizeof(StockKept))
    cdef int32_t at
    for at in range(state.flows.storages):
        stock_keep(&state.flows.stocks[at], &kept[at], slices)
        if state.flows.stocks[at].slices != NULL:
            slices += SLICES_MAX


cdef void snapshot_write(
    const KernelState* state, const uint8_t* record, uint8_t* place) noexcept nogil:
    """Copy the process image out, in the order of edgectl/image/layout.py."""
    cdef int64_t cells = state.flows.sources * state.flows.sinks
    cdef InterlockSnapshot* interlock
    cdef uint8_t* rows
    cdef int32_t at

    snapshot_totals(state, <SnapshotHead*> place, (<const RecordHead*> record).seq)
    place = put(place + sizeof(SnapshotHead), record, sizeof(RecordHead))
    place = put(place, state.flows.totals, cells * sizeof(FlowTotal))
    place = put(place, state.flows.source_totals, state.flows.sources * sizeof(FlowTotal))
    place = put(place, state.flows.sink_totals, state.flows.sinks * sizeof(FlowTotal))
    record_storages(state, <StorageRecord*> place)
    place += state.dispatch.row.storages * sizeof(StorageRecord)
    rows = place
    for at in range(state.interlocks.rows):
        interlock = <InterlockSnapshot*> place
        memset(interlock, 0, sizeof(InterlockSnapshot))
        interlock.tripped_scan = state.interlocks.states[at].tripped_scan
        interlock.trips = state.interlocks.states[at].trips
        interlock.bypass_until_ns = state.interlocks.states[at].bypass_until_ns
        interlock.status = state.interlocks.states[at].status
        interlock.first_out = state.interlocks.states[at].first_out
        interlock.start = state.interlocks.states[at].start
        interlock.locked = state.interlocks.states[at].locked
        interlock.bypassed = state.interlocks.states[at].bypassed
        interlock.discrepant = state.interlocks.states[at].discrepancy.q
        interlock.cause = state.interlocks.states[at].cause
        place += sizeof(InterlockSnapshot)
    for at in range(INJECTIONS_MAX):
        if state.interlocks.injections[at].until_ns > 0:
            interlock = <InterlockSnapshot*> rows + state.interlocks.injections[at].row
            interlock.under_test = True
    place = put(place, state.image.links, state.image.devices * sizeof(DeviceLink))
    place = put(place, state.image.device_age_ns, state.image.devices * sizeof(int64_t))
    place = put(place, state.image.samples, state.image.points * sizeof(Sample))
    snapshot_stocks(state, place)
