"""What a battery holds, over a restart: kept, taken over, and held against what moved meanwhile."""

from libc.stdint cimport int32_t, int64_t

from edgectl._kernel.inventory cimport Stock, StockRow, StockSlice

cdef struct StockKept:           # of a stock, all that goes over a restart but its slices
    StockSlice held
    int64_t charge_remainder
    int64_t discharge_remainder
    int64_t standby_remainder
    int64_t soc_ppm
    int64_t soc_mj
    int64_t reach_mj             # given by who carries it; 0 in what a run keeps
    int32_t count                # of slices
    int32_t visited
    int32_t opening
    int32_t soc_known

cdef void stock_keep(const Stock* stock, StockKept* kept, StockSlice* slices) noexcept nogil
cdef void stock_carry(
    Stock* stock, const StockKept* kept, const StockSlice* slices) noexcept nogil
cdef void stock_note(Stock* stock, int64_t soc_ppm) noexcept nogil
cdef void stock_resume(
    Stock* stock, const StockRow* row, int64_t soc_ppm, int64_t mg_per_kwh) noexcept nogil
