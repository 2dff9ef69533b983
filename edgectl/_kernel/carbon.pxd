"""Which source fed which load, and the carbon that came with it, in integers.

Proportional sharing at the site's bus (Bialek, IEE Proc.-GTD 143(4) 1996):
each scan's source energies are apportioned over its sinks so that every row
and every column adds up to the last mJ; carbon follows its source's energy to
the last ug. What a battery holds is in inventory.pxd.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.inventory cimport ORIGINS, Stock, StockRow
from edgectl._kernel.totalizer cimport Total

cdef enum:
    STORAGES_MAX = 16
    LOADS_MAX = 64
    SOURCES_MAX = 19             # 3 + STORAGES_MAX
    SINKS_MAX = 82               # LOADS_MAX + STORAGES_MAX + 2

cdef enum:                       # sources; storage k discharging is SOURCE_STORAGE + k
    SOURCE_GRID = 0
    SOURCE_PV = 1
    SOURCE_UNMETERED = 2         # sinks metered more than sources did
    SOURCE_STORAGE = 3

cdef struct FlowCell:
    int64_t energy_mj
    int64_t carbon_ug

cdef struct FlowTotal:
    Total energy
    Total carbon

cdef struct Flows:
    int32_t loads                # sinks 0..loads-1; then storages, export, losses
    int32_t storages
    int32_t sources              # SOURCE_STORAGE + storages
    int32_t sinks                # loads + storages + 2
    int64_t source_mj[SOURCES_MAX]
    int64_t source_ug[SOURCES_MAX]
    int64_t sink_mj[SINKS_MAX]
    int64_t remainder[SOURCES_MAX]   # of energy times intensity, carried
    FlowCell* cells              # [sources][sinks], this scan
    FlowTotal* totals            # [sources][sinks], lifetime
    FlowTotal source_totals[SOURCES_MAX]   # summed apart from the cells, to check them
    FlowTotal sink_totals[SINKS_MAX]
    const StockRow* stock_rows
    Stock* stocks
    int64_t drawn_mj[STORAGES_MAX][ORIGINS]    # delivered in this scan, by origin
    int64_t balance_error_mj     # of this scan: rows, columns and residual; 0
    int64_t balance_error_ug

cdef void flows_trace(
    Flows* flows, int64_t grid_mj, int64_t pv_mj, const int64_t* load_mj,
    const int64_t* storage_mj, int64_t grid_mg_per_kwh, int64_t pv_mg_per_kwh,
    int64_t unmetered_mg_per_kwh) noexcept nogil
