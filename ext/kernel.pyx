"""The kernel as Python holds it: memory bound to one site's tables, threads' bodies, doors.

All memory is taken here, before the threads start; they allocate nothing.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.stdlib cimport calloc, free

import numpy

from edgectl._kernel.authority import AuthorityStatus

from edgectl._kernel.atomic cimport load32, load64, store32, store64
from edgectl._kernel.authority cimport Retained, interlocks_retain
from edgectl._kernel.carbon cimport (
    METERS_MAX, SOURCE_STORAGE, FlowTotal, GeneratorRow)
from edgectl._kernel.carryover cimport StockKept, stock_carry
from edgectl._kernel.clock cimport (
    cadence_advance, cadence_deadline_ns, enter_realtime, monotonic_ns, sleep_until,
    thread_cpu_ns, utc_ns)
from edgectl._kernel.dispatch cimport (
    HEARTBEATS_MAX, PV_MAX, DispatchRow, FlexibleRow, HeartbeatRow, PvRow, StorageRow,
    dispatch_start)
from edgectl._kernel.integrity cimport integrity_add
from edgectl._kernel.interlock cimport (
    GROUPS_MAX, CauseRow, CauseState, EffectRow, InterlockRow, InterlockState, Permit,
    interlocks_start)
from edgectl._kernel.inventory cimport METHOD_FIFO, SLICES_MAX, Stock, StockRow, StockSlice
from edgectl._kernel.journal cimport (
    InterlockSnapshot, Mail, PointRecord, RecordHead, SegmentHead, SnapshotHead, StorageRecord)
from edgectl._kernel.monitor cimport MonitorRow, MonitorState
from edgectl._kernel.network cimport (
    BUSES_MAX, FEEDERS_MAX, GENERATORS_MAX, LOADS_MAX, STORAGES_MAX, FeederRow, FlowCell, Network)
from edgectl._kernel.overload cimport CurveRow
from edgectl._kernel.process_image cimport (
    BUFFER_INDEX, BlockBuffer, BlockRow, DeviceLink, OutputBuffer, OutputRow, PointRow, block_fault,
    block_publish, image_start)
from edgectl._kernel.quality cimport Reason, Sample
from edgectl._kernel.scan cimport DIGEST_LANES, KernelState, scan_cycle
from edgectl._kernel.site cimport ScanRow
from edgectl._kernel.totalizer cimport Meter, MeterRow

cdef enum:
    STOP_SCANS_MAX = 20          # then the devices' own fallback must do


cdef bint outputs_safe(const KernelState* state) noexcept nogil:
    """Whether every battery's output is zero and its fate on the wire is known."""
    cdef int32_t at
    cdef const OutputBuffer* buffer
    for at in range(state.dispatch.row.storages):
        buffer = &state.image.output_buffers[state.dispatch.storage_rows[at].output]
        if state.dispatch.storages[at].output_w != 0.0 \
                or load64(&buffer.done) != buffer.committed:
            return False
    return True


cdef void run_scans(KernelState* state, int64_t scans_max) noexcept nogil:
    """Scan on the real clock until asked to stop or scans_max are done; then stop to safe."""
    cdef int64_t now_ns, deadline_ns, end_ns
    cdef int32_t stopping_scans = 0

    while True:
        deadline_ns = cadence_deadline_ns(&state.cadence)
        sleep_until(deadline_ns)
        now_ns = monotonic_ns()
        if load32(&state.stop) or state.scans >= scans_max:
            state.dispatch.stopping = True
            stopping_scans += 1
        scan_cycle(state, now_ns, utc_ns(), state.cadence.index, now_ns - deadline_ns)
        end_ns = monotonic_ns()
        state.exec_before_ns = end_ns - now_ns
        state.scan_cpu_ns = thread_cpu_ns()
        cadence_advance(&state.cadence, end_ns)
        if stopping_scans > 1 and (outputs_safe(state) or stopping_scans > STOP_SCANS_MAX):
            return


cdef void refill(KernelState* state, int64_t now_ns, uint16_t salt) noexcept nogil:
    """Publish new words in every block, as a bus would; for timing alone."""
    cdef int32_t at, word
    cdef BlockBuffer* buffer
    for at in range(state.image.blocks):
        buffer = &state.image.block_buffers[at]
        for word in range(state.image.block_rows[at].count):
            buffer.words[buffer.back][word] = <uint16_t> (word + salt)
        block_publish(buffer, now_ns)


cdef void* room(Py_ssize_t count, size_t size) except NULL:
    """Zeroed memory for count structs, at least one."""
    cdef void* place = calloc(max(count, 1), size)
    if place == NULL:
        raise MemoryError(f"no memory for {count} structs of {size} bytes")
    return place


cdef class Kernel:
    """The kernel over one site's tables and one segment.

    tables   mapping of arrays as edgectl.site_model makes them, bounds checked there
    segment  writable buffer laid out by edgectl.image, its SegmentHead filled
    dry_run  sense, decide and record, and write to no device
    """

    def __cinit__(self, tables, segment, bint dry_run=False):
        self.state = <KernelState*> room(1, sizeof(KernelState))
        self.tables = dict(tables)
        self.segment = memoryview(segment)
        self.tables["journaled"] = numpy.flatnonzero(
            self.tables["points"]["journaled"]).astype(numpy.int32)
        self.tables["counted"] = numpy.ascontiguousarray(self.tables["devices"]["counted"])
        self.bind_image()
        self.bind_interlocks()
        self.bind_monitors()
        self.bind_dispatch()
        self.bind_meters()
        self.bind_segment()
        self.state.dispatch.dry_run = dry_run
        self.state.wake_fd = -1
        self.state.snapshot_every = 1
        self.bind_integrity()
        image_start(&self.state.image)
        interlocks_start(&self.state.interlocks)
        dispatch_start(&self.state.dispatch)

    cdef void bind_image(self) except *:
        cdef KernelState* state = self.state
        cdef const PointRow[::1] points = self.tables["points"]
        cdef const BlockRow[::1] blocks = self.tables["blocks"]
        cdef const OutputRow[::1] outputs = self.tables["outputs"]
        cdef const ScanRow[::1] scan = self.tables["scan"]
        cdef const int32_t[::1] journaled = self.tables["journaled"]
        cdef const uint8_t[::1] counted = self.tables["counted"]
        cdef Py_ssize_t devices = counted.shape[0]
        state.row = &scan[0]
        state.image.points, state.image.blocks = points.shape[0], blocks.shape[0]
        state.image.outputs, state.image.devices = outputs.shape[0], devices
        state.image.point_rows = &points[0]
        state.image.block_rows = &blocks[0] if blocks.shape[0] else NULL
        state.image.output_rows = &outputs[0] if outputs.shape[0] else NULL
        state.device_counted = &counted[0] if devices else NULL
        state.journaled = journaled.shape[0]
        state.journaled_points = &journaled[0] if journaled.shape[0] else NULL
        state.image.samples = <Sample*> room(points.shape[0], sizeof(Sample))
        state.image.block_buffers = <BlockBuffer*> room(blocks.shape[0], sizeof(BlockBuffer))
        state.image.output_buffers = <OutputBuffer*> room(outputs.shape[0], sizeof(OutputBuffer))
        state.image.links = <DeviceLink*> room(devices, sizeof(DeviceLink))
        state.image.device_age_ns = <int64_t*> room(devices, sizeof(int64_t))
        state.image.device_fresh = <uint8_t*> room(devices, 1)

    cdef void bind_interlocks(self) except *:
        cdef KernelState* state = self.state
        cdef const InterlockRow[::1] rows = self.tables["interlocks"]
        cdef const CauseRow[::1] causes = self.tables["causes"]
        cdef const EffectRow[::1] effects = self.tables["effects"]
        state.interlocks.rows = rows.shape[0]
        state.interlocks.storages = len(self.tables["storages"])
        state.interlocks.table = &rows[0] if rows.shape[0] else NULL
        state.interlocks.causes = &causes[0] if causes.shape[0] else NULL
        state.interlocks.effects = &effects[0] if effects.shape[0] else NULL
        state.interlocks.states = <InterlockState*> room(rows.shape[0], sizeof(InterlockState))
        state.interlocks.cause_states = <CauseState*> room(causes.shape[0], sizeof(CauseState))
        state.interlocks.permits = <Permit*> room(STORAGES_MAX, sizeof(Permit))
        state.interlocks.group_first_out = <int32_t*> room(GROUPS_MAX, sizeof(int32_t))
        state.interlocks.group_tripped = <int32_t*> room(GROUPS_MAX, sizeof(int32_t))

    cdef void bind_monitors(self) except *:
        cdef KernelState* state = self.state
        cdef const MonitorRow[::1] rows = self.tables["monitors"]
        cdef const int32_t[::1] inputs = self.tables["inputs"]
        cdef const CurveRow[::1] curves = self.tables["curves"]
        state.monitors.rows = rows.shape[0]
        state.monitors.table = &rows[0] if rows.shape[0] else NULL
        state.monitors.inputs = &inputs[0] if inputs.shape[0] else NULL
        state.monitors.curves = &curves[0] if curves.shape[0] else NULL
        state.monitors.states = <MonitorState*> room(rows.shape[0], sizeof(MonitorState))

    cdef void bind_integrity(self) except *:
        cdef const uint8_t[::1] table
        for name, array in self.tables.items():
            if array.nbytes == 0:
                continue
            table = array.view(numpy.uint8).reshape(-1)
            if not integrity_add(&self.state.integrity, &table[0], array.nbytes):
                raise ValueError(f"there is no room to watch over table {name}")

    cdef void bind_dispatch(self) except *:
        cdef KernelState* state = self.state
        cdef const HeartbeatRow[::1] heartbeats = self.tables["heartbeats"]
        cdef const DispatchRow[::1] dispatch = self.tables["dispatch"]
        cdef const StorageRow[::1] storages = self.tables["storages"]
        cdef const PvRow[::1] pvs = self.tables["pvs"]
        cdef const FlexibleRow[::1] flexible = self.tables["flexible"]
        if heartbeats.shape[0] > HEARTBEATS_MAX:
            raise ValueError(f"{heartbeats.shape[0]} heartbeats; at most {HEARTBEATS_MAX}")
        state.dispatch.heartbeat_rows = &heartbeats[0] if heartbeats.shape[0] else NULL
        if storages.shape[0] > STORAGES_MAX or pvs.shape[0] > PV_MAX:
            raise ValueError(f"{storages.shape[0]} storages and {pvs.shape[0]} PV plants; "
                             f"at most {STORAGES_MAX} and {PV_MAX}")
        state.dispatch.row = &dispatch[0]
        state.dispatch.storage_rows = &storages[0] if storages.shape[0] else NULL
        state.dispatch.pv_rows = &pvs[0] if pvs.shape[0] else NULL
        state.dispatch.flexible_row = &flexible[0]

    cdef void bind_meters(self) except *:
        cdef KernelState* state = self.state
        cdef const MeterRow[::1] meters = self.tables["meters"]
        cdef const StockRow[::1] stocks = self.tables["stocks"]
        if state.row.loads > LOADS_MAX or meters.shape[0] > METERS_MAX:
            raise ValueError(f"{state.row.loads} loads and {meters.shape[0]} meters; "
                             f"at most {LOADS_MAX} and {METERS_MAX}")
        state.meters = meters.shape[0]
        state.meter_rows = &meters[0]
        state.meter_states = <Meter*> room(meters.shape[0], sizeof(Meter))
        state.flows.loads = state.row.loads
        state.flows.storages = stocks.shape[0]
        self.bind_network()
        state.flows.sources = SOURCE_STORAGE + state.flows.storages + state.flows.generators
        state.flows.sinks = state.flows.loads + state.flows.storages + 2
        state.flows.stock_rows = &stocks[0] if stocks.shape[0] else NULL
        state.flows.stocks = <Stock*> room(stocks.shape[0], sizeof(Stock))
        for at in range(stocks.shape[0]):
            if stocks[at].method == METHOD_FIFO:
                state.flows.stocks[at].slices = <StockSlice*> room(SLICES_MAX, sizeof(StockSlice))
                self.fifo += 1
        state.flows.net.sources, state.flows.net.sinks = state.flows.sources, state.flows.sinks
        cells = state.flows.sources * state.flows.sinks
        state.flows.cells = <FlowCell*> room(cells, sizeof(FlowCell))
        state.flows.totals = <FlowTotal*> room(cells, sizeof(FlowTotal))

    cdef void bind_network(self) except *:
        cdef KernelState* state = self.state
        cdef const GeneratorRow[::1] generators = self.tables["generators"]
        cdef const FeederRow[::1] feeders = self.tables["feeders"]
        cdef const int32_t[::1] places = self.tables["meter_buses"]
        buses = max(self.tables["meter_buses"].max(), 0) + 1
        for name in ("from_bus", "to_bus"):
            buses = max(buses, self.tables["feeders"][name].max(initial=0) + 1)
        if buses > BUSES_MAX or feeders.shape[0] > FEEDERS_MAX \
                or generators.shape[0] > GENERATORS_MAX:
            raise ValueError(
                f"{buses} buses, {feeders.shape[0]} feeders and {generators.shape[0]} generators; "
                f"at most {BUSES_MAX}, {FEEDERS_MAX} and {GENERATORS_MAX}")
        state.flows.pvs = state.dispatch.row.pvs
        state.flows.generators = generators.shape[0]
        state.flows.generator_rows = &generators[0] if generators.shape[0] else NULL
        state.flows.meter_buses = &places[0]
        state.flows.net = <Network*> room(1, sizeof(Network))
        state.flows.net.buses = buses
        state.flows.net.feeders = feeders.shape[0]
        state.flows.net.feeder_rows = &feeders[0] if feeders.shape[0] else NULL

    cdef void bind_segment(self) except *:
        cdef KernelState* state = self.state
        cdef uint8_t[::1] buffer = self.segment
        cdef SegmentHead* head = <SegmentHead*> &buffer[0]
        cdef int64_t record_bytes = (
            sizeof(RecordHead) + state.flows.sources * state.flows.sinks * sizeof(FlowCell)
            + state.flows.storages * sizeof(StorageRecord)
            + 2 * ((state.interlocks.rows + 7) // 8 * 8)
            + state.journaled * sizeof(PointRecord))
        cdef int64_t snapshot_bytes = (
            sizeof(SnapshotHead) + sizeof(RecordHead)
            + (state.flows.sources * state.flows.sinks + state.flows.sources + state.flows.sinks)
            * sizeof(FlowTotal) + state.flows.storages * sizeof(StorageRecord)
            + state.interlocks.rows * sizeof(InterlockSnapshot)
            + state.image.devices * (sizeof(DeviceLink) + sizeof(int64_t))
            + state.image.points * sizeof(Sample)
            + state.flows.storages * sizeof(StockKept)
            + self.fifo * SLICES_MAX * sizeof(StockSlice))
        if head.record_bytes != record_bytes or head.snapshot_bytes < snapshot_bytes \
                or head.total_bytes > buffer.shape[0] \
                or head.journal_offset + head.journal_slots * record_bytes > head.total_bytes:
            raise ValueError(
                f"the segment holds records of {head.record_bytes} bytes and a snapshot of "
                f"{head.snapshot_bytes}; these tables need {record_bytes} and {snapshot_bytes}")
        state.segment.base = &buffer[0]
        state.segment.head = head
        state.segment.snapshot = &buffer[head.snapshot_offset]
        state.segment.mailbox = <Mail*> &buffer[head.mailbox_offset]
        state.segment.journal = &buffer[head.journal_offset]
        state.segment.record_bytes = record_bytes
        state.segment.journal_slots = head.journal_slots

    def __dealloc__(self):
        cdef KernelState* state = self.state
        if state == NULL:
            return
        free(state.image.samples)
        free(state.image.block_buffers)
        free(state.image.output_buffers)
        free(state.image.links)
        free(state.image.device_age_ns)
        free(state.image.device_fresh)
        free(state.monitors.states)
        free(state.interlocks.states)
        free(state.interlocks.cause_states)
        free(state.interlocks.permits)
        free(state.interlocks.group_first_out)
        free(state.interlocks.group_tripped)
        free(state.meter_states)
        for at in range(state.flows.storages):
            if state.flows.stocks != NULL:
                free(state.flows.stocks[at].slices)
        free(state.flows.stocks)
        free(state.flows.net)
        free(state.flows.cells)
        free(state.flows.totals)
        free(state)

    def retain(self, int row, int status, bint locked, bint first_out, int64_t trips,
               int64_t bypass_left_ns, int64_t now_ns):
        """Take over what an interlock row kept from the run before; only before the first scan.

        bypass_left_ns  of a bypass that still stands, 0 for none
        now_ns          monotonic

        Returns AuthorityStatus.
        """
        cdef Retained kept = Retained(bypass_left_ns, trips, status, locked, first_out)
        return interlocks_retain(&self.state.interlocks, row, &kept, now_ns)

    def carry(self, int storage, const StockKept[::1] kept, const StockSlice[::1] slices):
        """Take over what a battery held in the run before; only before the first scan.

        kept    one, as a snapshot has it; its figures are sound
        slices  of a battery of which first in leaves first, the oldest first
        """
        cdef Stock* stock
        if not 0 <= storage < self.state.flows.storages or kept.shape[0] != 1:
            raise IndexError(f"no storage {storage}")
        stock = &self.state.flows.stocks[storage]
        if kept[0].count != slices.shape[0] \
                or slices.shape[0] > (0 if stock.slices == NULL else SLICES_MAX):
            raise ValueError(f"{slices.shape[0]} slices of storage {storage}")
        stock_carry(stock, &kept[0], &slices[0] if slices.shape[0] else NULL)

    def run(self, int64_t origin_ns, int64_t scans_max, int fifo_priority, int cpu):
        """Scan on the real clock; a thread's body that holds no GIL.

        origin_ns      monotonic deadline of period 0
        scans_max      stop to safe after so many
        fifo_priority  SCHED_FIFO priority wanted, 0 to stay as it is
        cpu            processor to stay on, -1 for any
        """
        self.state.cadence.origin_ns = origin_ns
        self.state.cadence.period_ns = self.state.row.period_ns
        with nogil:
            if fifo_priority > 0:
                self.state.rt_grade = enter_realtime(fifo_priority, cpu)
            run_scans(self.state, scans_max)

    def stop(self):
        """Ask run() to bring every output to safe and end."""
        store32(&self.state.stop, 1)

    def step(self, int64_t now_ns, int64_t utc, int64_t period=-1, int64_t lateness_ns=0):
        """One scan at a given time; for simulation, replay and tests."""
        with nogil:
            scan_cycle(self.state, now_ns, utc, period if period >= 0 else self.state.scans,
                       lateness_ns)

    def time_scans(self, int64_t scans):
        """Time so many scans without I/O, every block fresh in each: ns array.

        The image is refilled outside the timed part.
        """
        cdef int64_t[::1] times = numpy.zeros(scans, numpy.int64)
        cdef int64_t at, start_ns, now_ns = monotonic_ns()
        with nogil:
            for at in range(scans):
                now_ns += self.state.row.period_ns
                refill(self.state, now_ns, <uint16_t> at)
                start_ns = monotonic_ns()
                scan_cycle(self.state, now_ns, now_ns, at, 0)
                times[at] = monotonic_ns() - start_ns
        return numpy.asarray(times)

    def set_block(self, int block, words, int64_t done_ns):
        """Publish words as a block's reply; for tests without a bus."""
        cdef BlockBuffer* buffer
        if not 0 <= block < self.state.image.blocks \
                or len(words) > self.state.image.block_rows[block].count:
            raise IndexError(f"no block {block} of {len(words)} words")
        buffer = &self.state.image.block_buffers[block]
        for at, word in enumerate(words):
            buffer.words[buffer.back][at] = word
        block_publish(buffer, done_ns)

    def set_fault(self, int block, int reason):
        """Say that a block's last read failed, and why; for tests without a bus."""
        if not 0 <= block < self.state.image.blocks:
            raise IndexError(f"no block {block}")
        block_fault(&self.state.image.block_buffers[block], <Reason> reason)

    def committed(self, int output):
        """(commits so far, words of the last) of a command; for tests without a bus."""
        cdef OutputBuffer* buffer
        if not 0 <= output < self.state.image.outputs:
            raise IndexError(f"no output {output}")
        buffer = &self.state.image.output_buffers[output]
        count = self.state.image.output_rows[output].count
        newest = load32(&buffer.middle) & BUFFER_INDEX
        return buffer.committed, [buffer.words[newest][at] for at in range(count)]

    def set_link(self, int device, bint identified, int64_t good_ns):
        """Say what the bus says of a device; for tests without a bus."""
        if not 0 <= device < self.state.image.devices:
            raise IndexError(f"no device {device}")
        store64(&self.state.image.links[device].connected, 1)
        store64(&self.state.image.links[device].identified, identified)
        store64(&self.state.image.links[device].writable, identified)
        store64(&self.state.image.links[device].good_ns, good_ns)

    def sample(self, int point):
        """(value, quality, reason, source_ns, raw) of a point; for tests."""
        if not 0 <= point < self.state.image.points:
            raise IndexError(f"no point {point}")
        found = self.state.image.samples[point]
        return found.value, found.quality, found.reason, found.source_ns, found.raw

    @property
    def scans(self):
        """Scans run."""
        return self.state.scans

    @property
    def overruns(self):
        """Periods skipped because a scan was still running."""
        return self.state.cadence.overruns

    @property
    def digest(self):
        """64-character digest of every record so far; only where digesting was switched on."""
        return "".join(f"{lane:016x}" for lane in self.state.digest[:DIGEST_LANES])

    def start_digest(self):
        """Fold every record from now on into the digest."""
        self.state.digesting = True

    @property
    def snapshot_every(self):
        """Scans per snapshot."""
        return self.state.snapshot_every

    @snapshot_every.setter
    def snapshot_every(self, int64_t scans):
        self.state.snapshot_every = max(scans, 1)
