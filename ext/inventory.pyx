"""What a battery holds: energy, its carbon, and where it came from, in integers.

Charging adds all the carbon with what is stored of the energy; delivering takes
it out, so that nothing is counted twice. What is lost while standing and what is
put right at an anchor has accounts of its own, scan by scan:

    energy  held = before + stored - taken - lost + true-up + opened
    carbon  held = before + charged - drawn + shortfall's - lost + opened

both exact. Every split is by cumulative shares in the order of the origins, and
of the slices: sums are kept, no part is over what it is taken from, and what two
parts have in common with their sum needs no rule of its own.

Design of first in, first out: a ring of slices. The newest takes what is charged
until it holds a SLICES_OF_CAPACITY-th of the capacity, so the ring suffices for
any books that are not beyond twice the capacity; then the two oldest become one.
"""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from edgectl._kernel.totalizer cimport int128

cdef enum:
    MJ_MG_PER_UG = 3600000       # mJ * mg/kWh / 3 600 000 = ug
    NS_PER_S = 1000000000
    REARM_PPM = 20000            # so far the charge leaves an anchor before it counts again


cdef int64_t share(int64_t amount, int64_t part, int64_t whole) noexcept nogil:
    """floor(amount * part / whole) for 0 <= part <= whole, whole > 0; never overflows."""
    return <int64_t> (<int128> amount * part / whole)


cdef int64_t carbon_ug(
    int64_t energy_mj, int64_t mg_per_kwh, int64_t* remainder) noexcept nogil:
    """Carbon of an energy at an intensity; the division's remainder is carried."""
    cdef int128 product = <int128> energy_mj * mg_per_kwh + remainder[0]
    cdef int64_t whole = <int64_t> (product / MJ_MG_PER_UG)
    remainder[0] = <int64_t> (product - <int128> whole * MJ_MG_PER_UG)
    return whole


cdef void split(
    int64_t amount, const int64_t* weights, int64_t whole, int64_t* parts) noexcept nogil:
    """Share an amount out over the origins, by cumulative shares.

    weights  [ORIGINS], not negative
    whole    their sum; over 0 where amount is
    parts    [ORIGINS]; they sum to amount, and while amount is not over whole
             none is over its weight
    """
    cdef int64_t below = 0
    cdef int64_t given = 0
    cdef int64_t upto
    cdef int32_t at
    for at in range(ORIGINS):
        parts[at] = 0
        if weights[at] == 0:
            continue
        below += weights[at]
        upto = amount if below == whole else share(amount, below, whole)
        parts[at] = upto - given
        given = upto


cdef void slice_add(StockSlice* into, const StockSlice* more) noexcept nogil:
    cdef int32_t at
    into.energy_mj += more.energy_mj
    into.carbon_ug += more.carbon_ug
    for at in range(ORIGINS):
        into.origins_mj[at] += more.origins_mj[at]


cdef void slice_remove(StockSlice* of, const StockSlice* less) noexcept nogil:
    cdef int32_t at
    of.energy_mj -= less.energy_mj
    of.carbon_ug -= less.carbon_ug
    for at in range(ORIGINS):
        of.origins_mj[at] -= less.origins_mj[at]


cdef void slice_take(StockSlice* of, int64_t energy_mj, StockSlice* into) noexcept nogil:
    """Move energy in the mixture it has, and its carbon rounded down; all if there is no more."""
    cdef StockSlice part
    if energy_mj >= of.energy_mj:
        part = of[0]
    else:
        part.energy_mj = energy_mj
        part.carbon_ug = share(of.carbon_ug, energy_mj, of.energy_mj)
        split(energy_mj, of.origins_mj, of.energy_mj, part.origins_mj)
    slice_remove(of, &part)
    slice_add(into, &part)


cdef void slice_shrink(StockSlice* slice, int64_t energy_mj) noexcept nogil:
    """Lose energy down to this much, the mixture kept, and no carbon."""
    cdef int64_t parts[ORIGINS]
    cdef int32_t at
    split(energy_mj, slice.origins_mj, slice.energy_mj, parts)
    slice.energy_mj = energy_mj
    for at in range(ORIGINS):
        slice.origins_mj[at] = parts[at]


cdef StockSlice* slice_at(const Stock* stock, int32_t place) noexcept nogil:
    """A slice by its place from the oldest, 0 to count."""
    return &stock.slices[(stock.first + place) % SLICES_MAX]


cdef void stock_put(Stock* stock, const StockSlice* added, int64_t slice_mj) noexcept nogil:
    """Add to what is held; with FIFO to the newest slice while that holds under slice_mj."""
    cdef StockSlice* newest
    slice_add(&stock.held, added)
    if stock.slices == NULL:
        return
    if stock.count > 0:
        newest = slice_at(stock, stock.count - 1)
        if newest.energy_mj < slice_mj:
            slice_add(newest, added)
            return
    if stock.count == SLICES_MAX:
        slice_add(slice_at(stock, 1), slice_at(stock, 0))
        stock.first = (stock.first + 1) % SLICES_MAX
        stock.count -= 1
    slice_at(stock, stock.count)[0] = added[0]
    stock.count += 1


cdef void stock_take(Stock* stock, int64_t stored_mj, StockSlice* taken) noexcept nogil:
    """Take stored energy out, the oldest first with FIFO.

    stored_mj  over 0; what is held is taken where it is less
    taken      says what left
    """
    cdef StockSlice* oldest
    cdef int64_t left_mj = stored_mj
    cdef int64_t before_mj
    memset(taken, 0, sizeof(StockSlice))
    if stock.slices == NULL:
        slice_take(&stock.held, stored_mj, taken)
        return
    while stock.count > 0 and left_mj > 0:
        oldest = slice_at(stock, 0)
        before_mj = oldest.energy_mj
        slice_take(oldest, left_mj, taken)
        if before_mj > left_mj:
            break
        left_mj -= before_mj
        stock.first = (stock.first + 1) % SLICES_MAX
        stock.count -= 1
    slice_remove(&stock.held, taken)


cdef void slices_shrink(Stock* stock, int64_t left_mj) noexcept nogil:
    """Lose energy of every slice alike; the carbon of one that vanishes stays with the next.

    left_mj  over 0 and under what is held
    """
    cdef StockSlice now
    cdef int64_t below_mj = 0
    cdef int64_t given_mj = 0
    cdef int64_t carried_ug = 0
    cdef int64_t upto_mj
    cdef int32_t kept = 0
    cdef int32_t at
    for at in range(stock.count):
        now = slice_at(stock, at)[0]
        below_mj += now.energy_mj
        upto_mj = left_mj if below_mj == stock.held.energy_mj \
            else share(left_mj, below_mj, stock.held.energy_mj)
        carried_ug += now.carbon_ug
        if upto_mj == given_mj:
            continue
        slice_shrink(&now, upto_mj - given_mj)
        now.carbon_ug, carried_ug = carried_ug, 0
        given_mj = upto_mj
        slice_at(stock, kept)[0] = now
        kept += 1
    stock.count = kept
    slice_at(stock, kept - 1).carbon_ug += carried_ug
    memset(&stock.held, 0, sizeof(StockSlice))
    for at in range(stock.count):
        slice_add(&stock.held, slice_at(stock, at))


cdef int64_t stock_lose(Stock* stock, const StockRow* row, int64_t lost_mj) noexcept nogil:
    """Lose stored energy by the standby policy; returns the carbon that goes to the loss account.

    lost_mj  0 to what is held
    """
    cdef StockSlice taken
    if lost_mj <= 0:
        return 0
    if row.standby == STANDBY_BOOK or lost_mj == stock.held.energy_mj:
        stock_take(stock, lost_mj, &taken)
        return taken.carbon_ug
    if stock.slices == NULL:
        slice_shrink(&stock.held, stock.held.energy_mj - lost_mj)
    else:
        slices_shrink(stock, stock.held.energy_mj - lost_mj)
    return 0


cdef void stock_empty(Stock* stock) noexcept nogil:
    """Take everything off the books: the energy by true-up, the carbon to the loss account."""
    stock.true_up_mj -= stock.held.energy_mj
    stock.lost_ug += stock.held.carbon_ug
    memset(&stock.held, 0, sizeof(StockSlice))
    stock.count = 0


cdef void stock_find(Stock* stock, int64_t found_mj) noexcept nogil:
    """Book stored energy that nobody saw come: no carbon, no known origin."""
    cdef StockSlice found
    if found_mj <= 0:
        return
    memset(&found, 0, sizeof(StockSlice))
    found.energy_mj = found_mj
    found.origins_mj[<int32_t> ORIGIN_OTHER] = found_mj
    stock.true_up_mj += found_mj
    stock_put(stock, &found, <int64_t> 1 << HELD_BITS)


cdef void stock_true_up(
    Stock* stock, const StockRow* row, int32_t anchor, int64_t stored_mj) noexcept nogil:
    """Correct the stored energy at an anchor to what the battery says it holds.

    At empty the carbon that is left goes to the loss account. At full energy
    that is missing was lost like standing, energy found thins the same carbon.
    """
    cdef int64_t missing_mj = stock.held.energy_mj - stored_mj
    stock.true_ups += 1
    if anchor == ANCHOR_EMPTY:
        stock_empty(stock)
        stock_find(stock, stored_mj)
    elif missing_mj > 0:
        stock.lost_ug += stock_lose(stock, row, missing_mj)
        stock.true_up_mj -= missing_mj
    else:
        stock_find(stock, -missing_mj)


cdef void stock_begin(Stock* stock) noexcept nogil:
    """Before a scan: nothing was lost or corrected in it yet."""
    stock.lost_mj = 0
    stock.lost_ug = 0
    stock.true_up_mj = 0
    stock.shortfall_mj = 0
    stock.true_ups = 0
    stock.opened_mj = 0
    stock.opened_ug = 0


cdef void stock_start(Stock* stock, double energy_j, int64_t mg_per_kwh) noexcept nogil:
    """Declare what the battery holds when accounting begins, in place of what was booked before.

    energy_j    stored, J, under 2**62 mJ
    mg_per_kwh  intensity declared for it: the zone's default, never a clean one
    """
    cdef int64_t remainder = 0
    cdef StockSlice declared
    stock_empty(stock)
    stock.fresh = True
    if energy_j > 0.0:
        memset(&declared, 0, sizeof(StockSlice))
        declared.energy_mj = <int64_t> (energy_j * 1000.0)
        declared.carbon_ug = carbon_ug(declared.energy_mj, mg_per_kwh, &remainder)
        declared.origins_mj[<int32_t> ORIGIN_OTHER] = declared.energy_mj
        stock_put(stock, &declared, 0)
    stock.opened_mj = stock.held.energy_mj
    stock.opened_ug = stock.held.carbon_ug
    stock.opening = OPENING_DECLARED


cdef int64_t stock_draw(
    Stock* stock, const StockRow* row, int64_t delivered_mj, int64_t default_mg_per_kwh,
    int64_t* remainder, int64_t* origins_mj) noexcept nogil:
    """Take delivered AC energy out of the stock; returns the carbon that leaves with it, ug.

    delivered_mj  up to 2**42 mJ, 44 GW for 100 s
    remainder     of the default's carbon, carried
    origins_mj    [ORIGINS], made here: of what was delivered; they sum to it

    What is delivered beyond the stock's content carries the default intensity,
    never a zero, is of no known origin, and is counted as shortfall.
    """
    cdef StockSlice taken
    cdef int128 product
    cdef int64_t stored_mj, beyond_mj, drawn_ug

    memset(origins_mj, 0, ORIGINS * sizeof(int64_t))
    if delivered_mj <= 0:
        return 0
    product = <int128> delivered_mj * PPM + stock.discharge_remainder
    stored_mj = <int64_t> (product / row.discharge_ppm)
    stock.discharge_remainder = <int64_t> (product - <int128> stored_mj * row.discharge_ppm)
    stock_take(stock, stored_mj, &taken)
    beyond_mj = stored_mj - taken.energy_mj
    drawn_ug = taken.carbon_ug
    if beyond_mj > 0:
        stock.shortfall_mj += beyond_mj
        taken.origins_mj[<int32_t> ORIGIN_OTHER] += beyond_mj
        drawn_ug += carbon_ug(beyond_mj, default_mg_per_kwh, remainder)
    split(delivered_mj, taken.origins_mj, stored_mj, origins_mj)
    return drawn_ug


cdef void stock_fill(
    Stock* stock, const StockRow* row, int64_t charged_mj, int64_t charged_ug,
    const int64_t* origins_mj) noexcept nogil:
    """Add charged AC energy, less the charging loss, and all its carbon.

    charged_mj, charged_ug  not negative
    origins_mj              [ORIGINS], of the AC energy; they sum to it

    What the books have no room for is booked as lost, so that nothing ever wraps.
    """
    cdef StockSlice added
    cdef int128 product = <int128> charged_mj * row.charge_ppm + stock.charge_remainder
    cdef int64_t stored_mj = <int64_t> (product / PPM)
    cdef int64_t room_mj = (<int64_t> 1 << HELD_BITS) - stock.held.energy_mj
    cdef int64_t room_ug = (<int64_t> 1 << HELD_BITS) - stock.held.carbon_ug

    stock.charge_remainder = <int64_t> (product - <int128> stored_mj * PPM)
    added.energy_mj = stored_mj if stored_mj < room_mj else room_mj
    added.carbon_ug = charged_ug if charged_ug < room_ug else room_ug
    stock.lost_mj += stored_mj - added.energy_mj
    stock.lost_ug += charged_ug - added.carbon_ug
    split(added.energy_mj, origins_mj, charged_mj, added.origins_mj)
    stock_put(stock, &added, row.slice_mj)


cdef void stock_settle(
    Stock* stock, const StockRow* row, int64_t soc_ppm, bint soc_good, int64_t dt_ns,
) noexcept nogil:
    """Once a scan, after its flows: lose what standing costs, and correct the books at an anchor.

    soc_ppm   state of charge by the battery's own management system
    soc_good  no other moves the books
    dt_ns     since the scan before

    An anchor counts once until the charge has left it by REARM_PPM.
    """
    cdef int128 product
    cdef int64_t lost_mj
    cdef int32_t anchor = ANCHOR_NONE

    if row.standby_milliwatt > 0 and dt_ns > 0:
        product = <int128> row.standby_milliwatt * dt_ns + stock.standby_remainder
        lost_mj = <int64_t> (product / NS_PER_S)
        stock.standby_remainder = <int64_t> (product - <int128> lost_mj * NS_PER_S)
        if lost_mj > stock.held.energy_mj:
            lost_mj = stock.held.energy_mj
        stock.lost_ug += stock_lose(stock, row, lost_mj)
        stock.lost_mj += lost_mj
    if row.anchors == ANCHOR_NONE or not soc_good:
        return
    if row.anchors & ANCHOR_FULL and soc_ppm >= row.full_soc_ppm:
        anchor = ANCHOR_FULL
    elif row.anchors & ANCHOR_EMPTY and soc_ppm <= row.empty_soc_ppm:
        anchor = ANCHOR_EMPTY
    if anchor != ANCHOR_NONE:
        if stock.visited != anchor and not stock.fresh:
            soc_ppm = soc_ppm if soc_ppm < PPM else PPM
            stock_true_up(stock, row, anchor, share(row.capacity_mj, soc_ppm, PPM))
        stock.visited = anchor
    elif stock.visited == ANCHOR_FULL and soc_ppm < row.full_soc_ppm - REARM_PPM:
        stock.visited = ANCHOR_NONE
    elif stock.visited == ANCHOR_EMPTY and soc_ppm > row.empty_soc_ppm + REARM_PPM:
        stock.visited = ANCHOR_NONE
    stock.fresh = False


cdef class InventoryBench:
    """One battery's stock on its own; the tests' door."""

    def __cinit__(self, rules):
        """rules: mapping of StockRow's fields, all of them"""
        self.row = rules
        if self.row.method == METHOD_FIFO:
            self.stock.slices = <StockSlice*> calloc(SLICES_MAX, sizeof(StockSlice))
            if self.stock.slices == NULL:
                raise MemoryError("no memory for the slices of a stock")

    def __dealloc__(self):
        free(self.stock.slices)

    def start(self, double energy_j, int64_t mg_per_kwh):
        stock_start(&self.stock, energy_j, mg_per_kwh)

    def begin(self):
        stock_begin(&self.stock)

    def fill(self, int64_t charged_mj, int64_t charged_ug, origins):
        cdef int64_t[ORIGINS] origins_mj
        for at in range(ORIGINS):
            origins_mj[at] = origins[at]
        stock_fill(&self.stock, &self.row, charged_mj, charged_ug, origins_mj)

    def draw(self, int64_t delivered_mj, int64_t default_mg_per_kwh):
        """(ug, mJ by origin)."""
        cdef int64_t[ORIGINS] origins_mj
        ug = stock_draw(&self.stock, &self.row, delivered_mj, default_mg_per_kwh, &self.remainder,
                        origins_mj)
        return ug, [origins_mj[at] for at in range(ORIGINS)]

    def settle(self, int64_t soc_ppm, bint soc_good, int64_t dt_ns):
        stock_settle(&self.stock, &self.row, soc_ppm, soc_good, dt_ns)

    def held(self):
        """(mJ, ug, mJ by origin)."""
        return tuple(dict(self.stock.held).values())

    def slices(self):
        """The same of each slice, the oldest first; none with the weighted average."""
        return [tuple(dict(slice_at(&self.stock, at)[0]).values())
                for at in range(self.stock.count)]

    def account(self):
        """This scan's (lost mJ, lost ug, true-up mJ, shortfall mJ, true-ups)."""
        return (self.stock.lost_mj, self.stock.lost_ug, self.stock.true_up_mj,
                self.stock.shortfall_mj, self.stock.true_ups)

    def opened(self):
        """This scan's (mJ declared, ug declared or found after a restart)."""
        return self.stock.opened_mj, self.stock.opened_ug
