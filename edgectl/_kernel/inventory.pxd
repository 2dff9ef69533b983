"""What a battery holds: energy, its carbon, and where it came from, in integers.

A stock is one mixture (weighted average) or a ring of slices in the order they were
charged (first in, first out). What is held is the sum of the slices either way.
"""

from libc.stdint cimport int32_t, int64_t

cdef enum:
    ORIGINS = 4
    SLICES_MAX = 256             # of one FIFO stock; the two oldest are merged beyond
    SLICES_OF_CAPACITY = 128     # a slice is closed when it holds this part of the capacity
    HELD_BITS = 62               # books hold up to 2**62 mJ and ug; the rest is booked as lost
    PPM = 1000000

cpdef enum Origin:
    ORIGIN_GRID = 0
    ORIGIN_PV = 1
    ORIGIN_GENERATOR = 2
    ORIGIN_OTHER = 3             # unmetered, found by a true-up, or held before accounting began

cpdef enum StockMethod:
    METHOD_WEIGHTED_AVERAGE = 0
    METHOD_FIFO = 1

cpdef enum StockStandby:
    STANDBY_CONCENTRATE = 0      # A: the carbon of energy lost stays with what is left
    STANDBY_BOOK = 1             # B: it goes to the loss account

cpdef enum StockAnchor:          # bits of StockRow.anchors
    ANCHOR_NONE = 0
    ANCHOR_FULL = 1
    ANCHOR_EMPTY = 2

cpdef enum StockOpening:        # how what a stock holds came to be booked in this run
    OPENING_AWAITED = 0          # nothing is known yet of what the battery holds
    OPENING_DECLARED = 1
    OPENING_CARRIED = 2          # over a restart, and not yet held against its state of charge
    OPENING_RESUMED = 3          # over a restart, with what moved meanwhile

cdef struct StockRow:
    int64_t charge_ppm           # AC to stored, parts per million
    int64_t discharge_ppm        # stored to AC
    int64_t standby_milliwatt    # lost at all times
    int64_t capacity_mj          # held at a state of charge of 1
    int64_t slice_mj             # FIFO: the newest slice takes more until it holds this
    int64_t full_soc_ppm         # at or above it the books are corrected, with ANCHOR_FULL
    int64_t empty_soc_ppm        # at or under it, with ANCHOR_EMPTY
    int64_t method               # StockMethod
    int64_t standby              # StockStandby
    int64_t anchors              # StockAnchor that are declared

cdef struct StockSlice:
    int64_t energy_mj            # stored
    int64_t carbon_ug            # of it
    int64_t origins_mj[ORIGINS]  # of it; they sum to energy_mj

cdef struct Stock:
    StockSlice held              # all of it
    StockSlice* slices           # [SLICES_MAX], NULL with the weighted average
    int64_t charge_remainder     # of the divisions, carried
    int64_t discharge_remainder
    int64_t standby_remainder
    int64_t lost_mj              # stored, of this scan; a true-up's is not in it
    int64_t lost_ug              # to the loss account in this scan
    int64_t true_up_mj           # of this scan: books after less before
    int64_t shortfall_mj         # of this scan: stored energy that the books did not hold
    int64_t true_ups             # of this scan: 0, 1, or 2 where a run resumes at an anchor
    int64_t opened_mj            # declared in this scan
    int64_t opened_ug            # declared in this scan, or of what is found after a restart
    int64_t soc_ppm              # of the last scan in which it was known
    int64_t soc_mj               # held then
    int64_t reach_mj             # most that the battery can have moved between two runs
    int32_t first                # oldest slice
    int32_t count
    int32_t visited              # the StockAnchor that corrected the books last, until it is left
    int32_t fresh                # declared and not settled yet: an anchor is only noted
    int32_t opening              # StockOpening
    int32_t soc_known            # soc_ppm and soc_mj say something

cdef int64_t share(int64_t amount, int64_t part, int64_t whole) noexcept nogil
cdef int64_t carbon_ug(
    int64_t energy_mj, int64_t mg_per_kwh, int64_t* remainder) noexcept nogil
cdef void split(
    int64_t amount, const int64_t* weights, int64_t whole, int64_t* parts) noexcept nogil
cdef StockSlice* slice_at(const Stock* stock, int32_t place) noexcept nogil
cdef void stock_put(Stock* stock, const StockSlice* added, int64_t slice_mj) noexcept nogil
cdef void stock_take(Stock* stock, int64_t stored_mj, StockSlice* taken) noexcept nogil
cdef void stock_begin(Stock* stock) noexcept nogil
cdef void stock_start(Stock* stock, double energy_j, int64_t mg_per_kwh) noexcept nogil
cdef int64_t stock_draw(
    Stock* stock, const StockRow* row, int64_t delivered_mj, int64_t default_mg_per_kwh,
    int64_t* remainder, int64_t* origins_mj) noexcept nogil
cdef void stock_fill(
    Stock* stock, const StockRow* row, int64_t charged_mj, int64_t charged_ug,
    const int64_t* origins_mj) noexcept nogil
cdef void stock_settle(
    Stock* stock, const StockRow* row, int64_t soc_ppm, bint soc_good, int64_t dt_ns,
) noexcept nogil

cdef class InventoryBench:
    cdef Stock stock
    cdef StockRow row
    cdef int64_t remainder
