"""Which source fed which load, and the carbon that came with it, in integers.

Proportional sharing at the site's bus (Bialek, IEE Proc.-GTD 143(4) 1996):
each scan's source energies are apportioned over its sinks so that every row
and every column adds up to the last mJ. Sources are taken in order; each is
spread over what the sinks still need by cumulative integer shares, and the
last takes the rest. Carbon follows its source's energy to the last ug. What a
battery holds, and of what origin, is inventory.pyx.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from edgectl._kernel.inventory cimport (
    ORIGIN_GRID, ORIGIN_OTHER, ORIGIN_PV, ORIGINS, Stock, StockRow, carbon_ug, share, split,
    stock_begin, stock_draw, stock_fill, stock_start)
from edgectl._kernel.totalizer cimport total_add

cdef void add_signed(Flows* flows, int32_t sink, int64_t energy_mj) noexcept nogil:
    """A sink's energy; a meter that reads backwards is a source nobody metered."""
    if energy_mj >= 0:
        flows.sink_mj[sink] += energy_mj
    else:
        flows.source_mj[SOURCE_UNMETERED] -= energy_mj


cdef void gather(
    Flows* flows, int64_t grid_mj, int64_t pv_mj, const int64_t* load_mj,
    const int64_t* storage_mj) noexcept nogil:
    """Sort this scan's meter energies into sources and sinks and close the balance.

    What the sources delivered and no meter saw arrive is losses; what arrived
    and no source meter saw leave is unmetered.
    """
    cdef int32_t at
    cdef int32_t export = flows.loads + flows.storages
    cdef int64_t residual

    memset(flows.source_mj, 0, sizeof(flows.source_mj))
    memset(flows.sink_mj, 0, sizeof(flows.sink_mj))
    if grid_mj >= 0:
        flows.source_mj[SOURCE_GRID] = grid_mj
    else:
        flows.sink_mj[export] = -grid_mj
    if pv_mj >= 0:
        flows.source_mj[SOURCE_PV] = pv_mj
    else:
        flows.sink_mj[export + 1] = -pv_mj
    for at in range(flows.loads):
        add_signed(flows, at, load_mj[at])
    for at in range(flows.storages):
        if storage_mj[at] >= 0:
            flows.sink_mj[flows.loads + at] = storage_mj[at]
        else:
            flows.source_mj[SOURCE_STORAGE + at] = -storage_mj[at]
    residual = 0
    for at in range(flows.sources):
        residual += flows.source_mj[at]
    for at in range(flows.sinks):
        residual -= flows.sink_mj[at]
    if residual >= 0:
        flows.sink_mj[export + 1] += residual
    else:
        flows.source_mj[SOURCE_UNMETERED] -= residual


cdef void apportion(
    Flows* flows, FlowCell* row, int64_t energy_mj, int64_t emission_ug,
    int64_t* needed_mj, int64_t needed_sum) noexcept nogil:
    """Spread one source over what the sinks still need, and its carbon along with it.

    row         the source's cells, zero before
    energy_mj   at most needed_sum
    needed_mj   by sink, reduced by what this source gave

    By cumulative shares each cell is within one mJ of the exact proportion,
    none exceeds its sink's need, and both sums are exact.
    """
    cdef int32_t sink
    cdef int64_t needed_below = 0
    cdef int64_t given = 0
    cdef int64_t emitted = 0
    cdef int64_t upto, cell

    for sink in range(flows.sinks):
        if needed_mj[sink] == 0:
            continue
        needed_below += needed_mj[sink]
        upto = energy_mj if needed_below == needed_sum \
            else share(energy_mj, needed_below, needed_sum)
        cell = upto - given
        given = upto
        needed_mj[sink] -= cell
        row[sink].energy_mj = cell
        upto = emission_ug if given == energy_mj else share(emission_ug, given, energy_mj)
        row[sink].carbon_ug = upto - emitted
        emitted = upto


cdef int32_t origin_of(int32_t source) noexcept nogil:
    """Where the energy of a source that is no storage came from."""
    if source == SOURCE_GRID:
        return ORIGIN_GRID
    return ORIGIN_PV if source == SOURCE_PV else ORIGIN_OTHER


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
            if source < SOURCE_STORAGE:
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
    Flows* flows, int64_t grid_mj, int64_t pv_mj, const int64_t* load_mj,
    const int64_t* storage_mj, int64_t grid_mg_per_kwh, int64_t pv_mg_per_kwh,
    int64_t unmetered_mg_per_kwh) noexcept nogil:
    """Trace one scan's energies from sources to sinks, with their carbon.

    grid_mj, pv_mj        import and generation positive
    load_mj               [loads], consumption positive
    storage_mj            [storages], charge positive
    *_mg_per_kwh          intensities in force; that of unmetered energy is the default

    Invariants, tested each scan: every source's cells add up to it, every
    sink's to it, and all carbon that entered is in a cell.
    """
    cdef int64_t needed_mj[SINKS_MAX]
    cdef int64_t needed_sum = 0
    cdef int32_t at
    cdef int64_t energy_mj, intensity

    gather(flows, grid_mj, pv_mj, load_mj, storage_mj)
    memset(flows.drawn_mj, 0, flows.storages * sizeof(flows.drawn_mj[0]))
    memset(flows.cells, 0, flows.sources * flows.sinks * sizeof(FlowCell))
    for at in range(flows.sinks):
        needed_mj[at] = flows.sink_mj[at]
        needed_sum += flows.sink_mj[at]
    for at in range(flows.sources):
        energy_mj = flows.source_mj[at]
        flows.source_ug[at] = 0
        if energy_mj == 0:
            continue
        if at >= SOURCE_STORAGE:
            flows.source_ug[at] = stock_draw(
                &flows.stocks[at - SOURCE_STORAGE], &flows.stock_rows[at - SOURCE_STORAGE],
                energy_mj, unmetered_mg_per_kwh, &flows.remainder[at],
                flows.drawn_mj[at - SOURCE_STORAGE])
        else:
            intensity = unmetered_mg_per_kwh
            if at == SOURCE_GRID:
                intensity = grid_mg_per_kwh
            elif at == SOURCE_PV:
                intensity = pv_mg_per_kwh
            flows.source_ug[at] = carbon_ug(energy_mj, intensity, &flows.remainder[at])
        apportion(flows, flows.cells + at * flows.sinks, energy_mj, flows.source_ug[at],
                  needed_mj, needed_sum)
        needed_sum -= energy_mj
    settle(flows)


cdef class FlowBench:
    """Flows on their own, fed scan by scan; the tests' door."""

    cdef Flows flows
    cdef FlowCell[SOURCES_MAX * SINKS_MAX] cells
    cdef FlowTotal[SOURCES_MAX * SINKS_MAX] totals
    cdef StockRow[STORAGES_MAX] rows
    cdef Stock[STORAGES_MAX] held
    cdef list beyond_mj  # of each storage, since the start

    def __cinit__(self, int loads, efficiencies_ppm, energies_j, int64_t stock_mg_per_kwh):
        cdef int at
        if loads > LOADS_MAX or len(efficiencies_ppm) > STORAGES_MAX:
            raise ValueError(f"at most {LOADS_MAX} loads and {STORAGES_MAX} storages")
        self.flows.loads, self.flows.storages = loads, len(efficiencies_ppm)
        self.flows.sources = SOURCE_STORAGE + self.flows.storages
        self.flows.sinks = loads + self.flows.storages + 2
        self.flows.cells, self.flows.totals = self.cells, self.totals
        self.flows.stock_rows, self.flows.stocks = self.rows, self.held
        for at, (charge_ppm, discharge_ppm) in enumerate(efficiencies_ppm):
            self.rows[at].charge_ppm, self.rows[at].discharge_ppm = charge_ppm, discharge_ppm
            stock_start(&self.held[at], energies_j[at], stock_mg_per_kwh)
        self.beyond_mj = [0] * self.flows.storages

    def trace(self, int64_t grid_mj, int64_t pv_mj, loads_mj, storages_mj,
              int64_t grid_mg_per_kwh, int64_t pv_mg_per_kwh=0, int64_t unmetered_mg_per_kwh=0):
        """([source][sink] of (mJ, ug), sources (mJ, ug), sinks mJ, (error mJ, error ug))."""
        cdef int64_t load_mj[LOADS_MAX]
        cdef int64_t storage_mj[STORAGES_MAX]
        for at in range(self.flows.loads):
            load_mj[at] = loads_mj[at]
        for at in range(self.flows.storages):
            storage_mj[at] = storages_mj[at]
            stock_begin(&self.held[at])
        flows_trace(&self.flows, grid_mj, pv_mj, load_mj, storage_mj,
                    grid_mg_per_kwh, pv_mg_per_kwh, unmetered_mg_per_kwh)
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
