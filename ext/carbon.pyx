"""Which source fed which load, and the carbon that came with it, in integers.

Each scan's meter energies enter and leave at their buses, every bus is closed, and
network.pyx traces who fed whom. Carbon follows its source's energy to the last ug. What
a battery holds, and of what origin, is inventory.pyx.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from edgectl._kernel.inventory cimport (
    ORIGIN_GENERATOR, ORIGIN_GRID, ORIGIN_OTHER, ORIGIN_PV, ORIGINS, Stock, StockRow, carbon_ug,
    share, split, stock_begin, stock_draw, stock_fill, stock_start)
from edgectl._kernel.network cimport (
    BUSES_MAX, FEEDERS_MAX, GENERATORS_MAX, LOADS_MAX, STORAGES_MAX, FeederRow, Network,
    network_begin, network_enter, network_feed, network_join, network_leave, network_trace)
from edgectl._kernel.totalizer cimport total_add


cdef void enter(Flows* flows, int32_t bus, int32_t source, int64_t energy_mj) noexcept nogil:
    """A source's energy at a bus."""
    flows.source_mj[source] += energy_mj
    network_enter(flows.net, bus, source, energy_mj)


cdef void leave(Flows* flows, int32_t bus, int32_t sink, int64_t energy_mj) noexcept nogil:
    """A sink's energy at a bus."""
    flows.sink_mj[sink] += energy_mj
    network_leave(flows.net, bus, sink, energy_mj)


cdef void generate(
    Flows* flows, int32_t bus, int32_t source, int64_t energy_mj, int64_t* lost_mj
) noexcept nogil:
    """PV or a generator, import positive: what it takes for itself is a loss at its bus."""
    if energy_mj < 0:
        enter(flows, bus, source, -energy_mj)
    else:
        lost_mj[bus] += energy_mj
        flows.net.net_mj[bus] += energy_mj


cdef void gather_metered(Flows* flows, const int64_t* meter_mj, int64_t* lost_mj) noexcept nogil:
    """Sort this scan's meter energies into sources and sinks, each at its bus.

    lost_mj  by bus: what PV and generators took for themselves

    PV blocks of one bus are netted: a block that stands by takes from its neighbours.
    A load's meter that reads backwards is a source nobody metered.
    """
    cdef const int32_t* bus = flows.meter_buses
    cdef int32_t at, meter
    cdef int64_t pv_mj[BUSES_MAX]

    for at in range(flows.loads):
        if meter_mj[1 + at] >= 0:
            leave(flows, bus[1 + at], at, meter_mj[1 + at])
        else:
            enter(flows, bus[1 + at], SOURCE_UNMETERED, -meter_mj[1 + at])
    meter = 1 + flows.loads
    for at in range(flows.storages):
        if meter_mj[meter + at] >= 0:
            leave(flows, bus[meter + at], flows.loads + at, meter_mj[meter + at])
        else:
            enter(flows, bus[meter + at], SOURCE_STORAGE + at, -meter_mj[meter + at])
    if meter_mj[0] >= 0:
        enter(flows, bus[0], SOURCE_GRID, meter_mj[0])
    else:
        leave(flows, bus[0], flows.loads + flows.storages, -meter_mj[0])
    meter += flows.storages
    memset(pv_mj, 0, flows.net.buses * sizeof(int64_t))
    for at in range(flows.pvs):
        pv_mj[bus[meter + at]] += meter_mj[meter + at]
    for at in range(flows.net.buses):
        generate(flows, at, SOURCE_PV, pv_mj[at], lost_mj)
    meter += flows.pvs
    for at in range(flows.generators):
        generate(flows, bus[meter + at], SOURCE_STORAGE + flows.storages + at,
                 meter_mj[meter + at], lost_mj)


cdef void gather(Flows* flows, const int64_t* meter_mj) noexcept nogil:
    """Sources and sinks of this scan, with every bus closed.

    What came in at a bus and no meter saw leave is losses; what left and no meter
    saw come in is unmetered.
    """
    cdef int64_t lost_mj[BUSES_MAX]
    cdef int64_t open_mj
    cdef int32_t bus

    memset(flows.source_mj, 0, sizeof(flows.source_mj))
    memset(flows.sink_mj, 0, sizeof(flows.sink_mj))
    memset(lost_mj, 0, flows.net.buses * sizeof(int64_t))
    network_begin(flows.net)
    gather_metered(flows, meter_mj, lost_mj)
    network_feed(flows.net, meter_mj)
    for bus in range(flows.net.buses):
        open_mj = flows.net.net_mj[bus]
        flows.net.net_mj[bus] -= lost_mj[bus]
        if open_mj > 0:
            enter(flows, bus, SOURCE_UNMETERED, open_mj)
        else:
            lost_mj[bus] -= open_mj
        leave(flows, bus, flows.loads + flows.storages + 1, lost_mj[bus])
    network_join(flows.net)


cdef void emit(
    Flows* flows, int64_t grid_mg_per_kwh, int64_t pv_mg_per_kwh, int64_t unmetered_mg_per_kwh
) noexcept nogil:
    """The carbon of each source, laid beside its energy at each bus, to the last ug."""
    cdef int32_t source, bus, generator
    cdef int64_t intensity, energy_mj, given, emitted, upto
    cdef FlowCell* cell
    for source in range(flows.sources):
        energy_mj = flows.source_mj[source]
        flows.source_ug[source] = 0
        if energy_mj == 0:
            continue
        generator = source - SOURCE_STORAGE - flows.storages
        if source >= SOURCE_STORAGE and generator < 0:
            flows.source_ug[source] = stock_draw(
                &flows.stocks[source - SOURCE_STORAGE], &flows.stock_rows[source - SOURCE_STORAGE],
                energy_mj, unmetered_mg_per_kwh, &flows.remainder[source],
                flows.drawn_mj[source - SOURCE_STORAGE])
        else:
            intensity = unmetered_mg_per_kwh
            if source == SOURCE_GRID:
                intensity = grid_mg_per_kwh
            elif source == SOURCE_PV:
                intensity = pv_mg_per_kwh
            elif generator >= 0:
                intensity = flows.generator_rows[generator].mg_per_kwh
            flows.source_ug[source] = carbon_ug(energy_mj, intensity, &flows.remainder[source])
        given, emitted = 0, 0
        for bus in range(flows.net.buses):
            cell = &flows.net.entered[bus * SOURCES_MAX + source]
            given += cell.energy_mj
            upto = share(flows.source_ug[source], given, energy_mj)
            cell.carbon_ug = upto - emitted
            emitted = upto


cdef int32_t origin_of(int32_t source) noexcept nogil:
    """Where the energy of a source that is no storage came from."""
    if source == SOURCE_GRID:
        return ORIGIN_GRID
    if source == SOURCE_PV:
        return ORIGIN_PV
    return ORIGIN_OTHER if source == SOURCE_UNMETERED else ORIGIN_GENERATOR


cdef void fill_stocks(
    Flows* flows, const int64_t* charged_mj, const int64_t* charged_ug) noexcept nogil:
    """Charge each storage with its column, by origin.

    charged_mj, charged_ug  [storages]

    What one storage gives another keeps its origins: each cell is shared out by
    what is left of them, so that together they never get more of one than there is.
    """
    cdef int64_t left_mj[STORAGES_MAX][ORIGINS]
    cdef int64_t origins_mj[ORIGINS]
    cdef int64_t parts_mj[ORIGINS]
    cdef int64_t cell_mj, left_sum
    cdef int32_t storage, source, at

    memcpy(left_mj, flows.drawn_mj, flows.storages * ORIGINS * sizeof(int64_t))
    for storage in range(flows.storages):
        if charged_mj[storage] <= 0:
            continue
        memset(origins_mj, 0, sizeof(origins_mj))
        for source in range(flows.sources):
            cell_mj = flows.cells[source * flows.sinks + flows.loads + storage].energy_mj
            if cell_mj == 0:
                continue
            if not SOURCE_STORAGE <= source < SOURCE_STORAGE + flows.storages:
                origins_mj[origin_of(source)] += cell_mj
                continue
            left_sum = 0
            for at in range(ORIGINS):
                left_sum += left_mj[source - SOURCE_STORAGE][at]
            split(cell_mj, left_mj[source - SOURCE_STORAGE], left_sum, parts_mj)
            for at in range(ORIGINS):
                left_mj[source - SOURCE_STORAGE][at] -= parts_mj[at]
                origins_mj[at] += parts_mj[at]
        stock_fill(&flows.stocks[storage], &flows.stock_rows[storage],
                   charged_mj[storage], charged_ug[storage], origins_mj)


cdef void settle(Flows* flows) noexcept nogil:
    """Add this scan to the lifetime totals, fill the stocks, and check the balance."""
    cdef int32_t source, sink
    cdef FlowCell* cell
    cdef int64_t row_mj, row_ug
    cdef int64_t column_mj[SINKS_MAX]
    cdef int64_t column_ug[SINKS_MAX]

    memset(column_mj, 0, flows.sinks * sizeof(int64_t))
    memset(column_ug, 0, flows.sinks * sizeof(int64_t))
    flows.balance_error_mj = 0
    flows.balance_error_ug = 0
    for source in range(flows.sources):
        if flows.source_mj[source] == 0:
            continue
        row_mj, row_ug = 0, 0
        for sink in range(flows.sinks):
            cell = &flows.cells[source * flows.sinks + sink]
            if cell.energy_mj == 0:
                continue
            row_mj += cell.energy_mj
            row_ug += cell.carbon_ug
            column_mj[sink] += cell.energy_mj
            column_ug[sink] += cell.carbon_ug
            total_add(&flows.totals[source * flows.sinks + sink].energy, cell.energy_mj)
            total_add(&flows.totals[source * flows.sinks + sink].carbon, cell.carbon_ug)
        total_add(&flows.source_totals[source].energy, flows.source_mj[source])
        total_add(&flows.source_totals[source].carbon, flows.source_ug[source])
        flows.balance_error_mj += abs_difference(row_mj, flows.source_mj[source])
        flows.balance_error_ug += abs_difference(row_ug, flows.source_ug[source])
    for sink in range(flows.sinks):
        if flows.sink_mj[sink] == 0 and column_mj[sink] == 0:
            continue
        total_add(&flows.sink_totals[sink].energy, flows.sink_mj[sink])
        total_add(&flows.sink_totals[sink].carbon, column_ug[sink])
        flows.balance_error_mj += abs_difference(column_mj[sink], flows.sink_mj[sink])
    fill_stocks(flows, column_mj + flows.loads, column_ug + flows.loads)


cdef int64_t abs_difference(int64_t a, int64_t b) noexcept nogil:
    return a - b if a > b else b - a


cdef void flows_trace(
    Flows* flows, const int64_t* meter_mj, int64_t grid_mg_per_kwh, int64_t pv_mg_per_kwh,
    int64_t unmetered_mg_per_kwh) noexcept nogil:
    """Trace one scan's energies from sources to sinks, with their carbon.

    meter_mj              of each meter in the site's order, import and charge positive
    *_mg_per_kwh          intensities in force; that of unmetered energy is the default

    Invariants, tested each scan: every source's cells add up to it, every
    sink's to it, and all carbon that entered is in a cell.
    """
    gather(flows, meter_mj)
    memset(flows.drawn_mj, 0, flows.storages * sizeof(flows.drawn_mj[0]))
    memset(flows.cells, 0, flows.sources * flows.sinks * sizeof(FlowCell))
    emit(flows, grid_mg_per_kwh, pv_mg_per_kwh, unmetered_mg_per_kwh)
    network_trace(flows.net, flows.cells)
    settle(flows)


cdef class FlowBench:
    """Flows on their own, fed scan by scan; the tests' door.

    efficiencies_ppm   (charge, discharge) of each storage; energies_j  what each holds
    generators_mg      intensity of each generator, mg/kWh
    meter_buses        bus of each meter in the site's order; all at bus 0 where left out
    feeders            (from bus, to bus, whether it is metered); metered ones first
    """

    cdef Flows flows
    cdef Network net
    cdef FlowCell[SOURCES_MAX * SINKS_MAX] cells
    cdef FlowTotal[SOURCES_MAX * SINKS_MAX] totals
    cdef StockRow[STORAGES_MAX] rows
    cdef Stock[STORAGES_MAX] held
    cdef list beyond_mj  # of each storage, since the start
    cdef GeneratorRow[GENERATORS_MAX] generator_rows
    cdef FeederRow[FEEDERS_MAX] feeder_rows
    cdef int32_t[METERS_MAX] places

    def __cinit__(self, int loads, efficiencies_ppm, energies_j, int64_t stock_mg_per_kwh, *,
                  int pvs=1, generators_mg=(), int buses=1, meter_buses=None, feeders=()):
        cdef int at
        cdef int metered = 1 + loads + len(efficiencies_ppm) + pvs + len(generators_mg)
        if loads > LOADS_MAX or len(efficiencies_ppm) > STORAGES_MAX:
            raise ValueError(f"at most {LOADS_MAX} loads and {STORAGES_MAX} storages")
        if buses > BUSES_MAX or len(feeders) > FEEDERS_MAX or len(generators_mg) > GENERATORS_MAX:
            raise ValueError(f"at most {BUSES_MAX} buses, {FEEDERS_MAX} feeders and "
                             f"{GENERATORS_MAX} generators")
        if metered + len(feeders) > METERS_MAX:
            raise ValueError(f"at most {METERS_MAX} meters")
        self.flows.loads, self.flows.storages = loads, len(efficiencies_ppm)
        self.flows.pvs, self.flows.generators = pvs, len(generators_mg)
        self.flows.sources = SOURCE_STORAGE + self.flows.storages + self.flows.generators
        self.flows.sinks = loads + self.flows.storages + 2
        self.flows.cells, self.flows.totals = self.cells, self.totals
        self.flows.stock_rows, self.flows.stocks = self.rows, self.held
        self.flows.generator_rows = self.generator_rows
        self.flows.meter_buses = self.places
        self.flows.net = &self.net
        self.net.buses, self.net.feeders = buses, len(feeders)
        self.net.sources, self.net.sinks = self.flows.sources, self.flows.sinks
        self.net.feeder_rows = self.feeder_rows
        for at, bus in enumerate(meter_buses or ()):
            self.places[at] = bus
        for at, (from_bus, to_bus, has_meter) in enumerate(feeders):
            self.feeder_rows[at] = FeederRow(from_bus, to_bus, metered + at if has_meter else -1)
        for at, mg_per_kwh in enumerate(generators_mg):
            self.generator_rows[at].mg_per_kwh = mg_per_kwh
        for at, (charge_ppm, discharge_ppm) in enumerate(efficiencies_ppm):
            self.rows[at].charge_ppm, self.rows[at].discharge_ppm = charge_ppm, discharge_ppm
            stock_start(&self.held[at], energies_j[at], stock_mg_per_kwh)
        self.beyond_mj = [0] * self.flows.storages

    def trace(self, int64_t grid_mj, pv_mj, loads_mj, storages_mj, int64_t grid_mg_per_kwh,
              int64_t pv_mg_per_kwh=0, int64_t unmetered_mg_per_kwh=0, generators_mj=(),
              feeders_mj=()):
        """([source][sink] of (mJ, ug), sources (mJ, ug), sinks mJ, (error mJ, error ug)).

        pv_mj, generators_mj  generation positive; pv_mj a number, or one for each block
        feeders_mj            of the metered feeders
        """
        cdef int64_t[METERS_MAX] meter_mj
        blocks = [pv_mj] if isinstance(pv_mj, int) else pv_mj
        read = [grid_mj, *loads_mj, *storages_mj, *(-each for each in blocks),
                *(-each for each in generators_mj), *feeders_mj]
        for at, each in enumerate(read):
            meter_mj[at] = each
        for at in range(self.flows.storages):
            stock_begin(&self.held[at])
        flows_trace(&self.flows, meter_mj, grid_mg_per_kwh, pv_mg_per_kwh, unmetered_mg_per_kwh)
        for at in range(self.flows.storages):
            self.beyond_mj[at] += self.held[at].shortfall_mj
        sinks = self.flows.sinks
        cells = [[(self.cells[s * sinks + t].energy_mj, self.cells[s * sinks + t].carbon_ug)
                  for t in range(sinks)] for s in range(self.flows.sources)]
        sources = [(self.flows.source_mj[s], self.flows.source_ug[s])
                   for s in range(self.flows.sources)]
        return (cells, sources, [self.flows.sink_mj[t] for t in range(sinks)],
                (self.flows.balance_error_mj, self.flows.balance_error_ug))

    def stocks(self):
        """(mJ stored, ug in it, mJ of shortfall) of each storage."""
        return [(self.held[k].held.energy_mj, self.held[k].held.carbon_ug, self.beyond_mj[k])
                for k in range(self.flows.storages)]

    def origins(self):
        """([mJ stored by origin], [mJ delivered in the last scan by origin]) of each storage."""
        return [([self.held[k].held.origins_mj[o] for o in range(ORIGINS)],
                 [self.flows.drawn_mj[k][o] for o in range(ORIGINS)])
                for k in range(self.flows.storages)]

    def totals_of(self, int source, int sink):
        """Lifetime ((J, mJ), (mg, ug)) of one path."""
        cdef FlowTotal total = self.totals[source * self.flows.sinks + sink]
        return ((total.energy.units, total.energy.milli), (total.carbon.units, total.carbon.milli))
