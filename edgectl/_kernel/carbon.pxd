"""Which source fed which load, and the carbon that came with it, in integers.

Each scan's source energies enter at their buses, its sinks leave at theirs, and
network.pyx traces them; carbon follows its source's energy to the last ug. What a
battery holds is in inventory.pxd.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.inventory cimport ORIGINS, Stock, StockRow
from edgectl._kernel.network cimport SINKS_MAX, SOURCES_MAX, STORAGES_MAX, FlowCell, Network
from edgectl._kernel.totalizer cimport Total

cdef enum:
    METERS_MAX = 281             # grid, LOADS_MAX, STORAGES_MAX, 64 PV, generators, feeders

cdef enum:                       # sources; storage k is SOURCE_STORAGE + k, generators follow
    SOURCE_GRID = 0
    SOURCE_PV = 1
    SOURCE_UNMETERED = 2         # sinks metered more than sources did
    SOURCE_STORAGE = 3

cdef struct FlowTotal:
    Total energy
    Total carbon

cdef struct GeneratorRow:
    int64_t mg_per_kwh           # declared, of its fuel

cdef struct Flows:
    int32_t loads                # sinks 0..loads-1; then storages, export, losses
    int32_t storages
    int32_t pvs
    int32_t generators
    int32_t sources              # SOURCE_STORAGE + storages + generators
    int32_t sinks                # loads + storages + 2
    const int32_t* meter_buses   # of each meter: grid, loads, storages, PV, generators
    int64_t source_mj[SOURCES_MAX]
    int64_t source_ug[SOURCES_MAX]
    int64_t sink_mj[SINKS_MAX]
    int64_t remainder[SOURCES_MAX]   # of energy times intensity, carried
    Network* net
    FlowCell* cells              # [sources][sinks], this scan
    FlowTotal* totals            # [sources][sinks], lifetime
    FlowTotal source_totals[SOURCES_MAX]   # summed apart from the cells, to check them
    FlowTotal sink_totals[SINKS_MAX]
    const GeneratorRow* generator_rows
    const StockRow* stock_rows
    Stock* stocks
    int64_t drawn_mj[STORAGES_MAX][ORIGINS]    # delivered in this scan, by origin
    int64_t balance_error_mj     # of this scan: rows, columns and residual; 0
    int64_t balance_error_ug

cdef void flows_trace(
    Flows* flows, const int64_t* meter_mj, int64_t grid_mg_per_kwh, int64_t pv_mg_per_kwh,
    int64_t unmetered_mg_per_kwh) noexcept nogil
