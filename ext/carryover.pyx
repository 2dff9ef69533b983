"""What a battery holds, over a restart: kept, taken over, and held against what moved meanwhile.

Between two runs nobody books. What the second takes over is what the first held, to
the last mJ and ug; then the battery's own state of charge says, once it is known,
how much it has moved since, and that is a true-up which the record shows.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from edgectl._kernel.inventory cimport (
    HELD_BITS, OPENING_CARRIED, OPENING_RESUMED, ORIGIN_OTHER, PPM, SLICES_MAX, InventoryBench,
    Stock, StockRow, StockSlice, carbon_ug, share, slice_at, stock_put, stock_take)


cdef void stock_keep(const Stock* stock, StockKept* kept, StockSlice* slices) noexcept nogil:
    """What a restart must not lose.

    slices  [SLICES_MAX], made here, the oldest first; not touched with the weighted average
    """
    cdef int32_t at
    kept[0] = StockKept(
        stock.held, stock.charge_remainder, stock.discharge_remainder, stock.standby_remainder,
        stock.soc_ppm, stock.soc_mj, 0, stock.count, stock.visited, stock.opening, stock.soc_known)
    for at in range(stock.count):
        slices[at] = slice_at(stock, at)[0]


cdef void stock_carry(
    Stock* stock, const StockKept* kept, const StockSlice* slices) noexcept nogil:
    """Take over what the run before kept; before the first scan.

    kept    its figures are sound: the slices sum to what is held, with FIFO
    slices  [kept.count], which is 0 with the weighted average
    """
    stock.held = kept.held
    stock.charge_remainder = kept.charge_remainder
    stock.discharge_remainder = kept.discharge_remainder
    stock.standby_remainder = kept.standby_remainder
    stock.soc_ppm, stock.soc_mj, stock.reach_mj = kept.soc_ppm, kept.soc_mj, kept.reach_mj
    stock.count, stock.visited = kept.count, kept.visited
    stock.soc_known = kept.soc_known
    stock.opening = OPENING_CARRIED
    memcpy(stock.slices, slices, kept.count * sizeof(StockSlice))


cdef void stock_note(Stock* stock, int64_t soc_ppm) noexcept nogil:
    """The state of charge is known at the end of this scan, 0 to PPM."""
    stock.soc_known = True
    stock.soc_ppm, stock.soc_mj = soc_ppm, stock.held.energy_mj


cdef void stock_resume(
    Stock* stock, const StockRow* row, int64_t soc_ppm, int64_t mg_per_kwh) noexcept nogil:
    """Correct what was carried over a restart by how the state of charge moved meanwhile.

    soc_ppm     now, 0 to PPM
    mg_per_kwh  intensity of what is found: the declared one, never a clean one

    What is missing was used while nobody booked: its carbon goes to the loss account,
    whatever the policy. What was booked since the state of charge was last known
    has moved it too and is not corrected again. A state of charge has coarse steps:
    no more is corrected than the battery can have moved.
    """
    cdef int64_t remainder = 0
    cdef int64_t found_mj, room
    cdef StockSlice moved
    stock.opening = OPENING_RESUMED
    if not stock.soc_known:
        return
    found_mj = (share(row.capacity_mj, soc_ppm, PPM) - share(row.capacity_mj, stock.soc_ppm, PPM)
                - (stock.held.energy_mj - stock.soc_mj))
    if found_mj > stock.reach_mj:
        found_mj = stock.reach_mj
    elif found_mj < -stock.reach_mj:
        found_mj = -stock.reach_mj
    if found_mj < 0:
        stock_take(stock, -found_mj, &moved)
        stock.true_up_mj -= moved.energy_mj
        stock.lost_ug += moved.carbon_ug
    elif found_mj > 0:
        memset(&moved, 0, sizeof(StockSlice))
        room = (<int64_t> 1 << HELD_BITS) - stock.held.energy_mj
        moved.energy_mj = found_mj if found_mj < room else room
        moved.carbon_ug = carbon_ug(moved.energy_mj, mg_per_kwh, &remainder)
        room = (<int64_t> 1 << HELD_BITS) - stock.held.carbon_ug
        moved.carbon_ug = moved.carbon_ug if moved.carbon_ug < room else room
        moved.origins_mj[<int32_t> ORIGIN_OTHER] = moved.energy_mj
        stock.true_up_mj += moved.energy_mj
        stock.opened_ug += moved.carbon_ug
        stock_put(stock, &moved, row.slice_mj)
    stock.true_ups += found_mj != 0


cdef class CarryoverBench(InventoryBench):
    """One battery's stock over restarts; the tests' door."""

    def carry(self, kept, slices):
        """kept, slices: as kept() of another has them."""
        cdef StockSlice[SLICES_MAX] taken
        for at, each in enumerate(slices):
            taken[at] = each
        cdef StockKept carried = kept
        stock_carry(&self.stock, &carried, taken)

    def kept(self):
        """(StockKept, [StockSlice]) as mappings."""
        cdef StockSlice[SLICES_MAX] slices
        cdef StockKept kept
        stock_keep(&self.stock, &kept, slices)
        return dict(kept), [dict(slices[at]) for at in range(kept.count)]

    def note(self, int64_t soc_ppm):
        stock_note(&self.stock, soc_ppm)

    def resume(self, int64_t soc_ppm, int64_t mg_per_kwh):
        stock_resume(&self.stock, &self.row, soc_ppm, mg_per_kwh)
