/* What is proved of ext/carryover.pyx: a restart moves no more than it says, and nothing silently. */
#define MODULE 7edgectl_7_kernel_9carryover
#include "carryover.c"
#include "kernel.h"
#include "claims.h"

#define BOOK(kind, name) OF(9inventory, kind, name)
#define HELD_MAX (1LL << 62)
#define CAPACITY_MAX (1LL << 60)

typedef struct BOOK(t, Stock) Stock;
typedef struct BOOK(t, StockRow) StockRow;
typedef struct BOOK(t, StockSlice) StockSlice;

/* What share_bounded, carbon_remainder and stock_drawn say of the inventory's own. */
static int64_t any_share(int64_t amount, int64_t part, int64_t whole) {
    CLAIM(part >= 0 && part <= whole && whole > 0, "asked for a part of the whole");
    return any_long_between(0, amount);
}

static int64_t any_carbon(int64_t energy_mj, int64_t mg_per_kwh, int64_t *remainder) {
    CLAIM(energy_mj >= 0 && *remainder == 0, "of energy, and of nothing before");
    return energy_mj ? any_long_between(0, HELD_MAX) : 0;
}

static void any_take(Stock *stock, int64_t stored_mj, StockSlice *taken) {
    *taken = (StockSlice){0};
    CLAIM(stored_mj > 0, "something is taken");
    taken->energy_mj = stored_mj < stock->held.energy_mj ? stored_mj : stock->held.energy_mj;
    taken->carbon_ug = any_long_between(0, stock->held.carbon_ug);
    stock->held.energy_mj -= taken->energy_mj;
    stock->held.carbon_ug -= taken->carbon_ug;
}

static void whole_put(Stock *stock, const StockSlice *added, int64_t slice_mj) {
    CLAIM(added->origins_mj[3] == added->energy_mj && !added->origins_mj[0]
          && !added->origins_mj[1] && !added->origins_mj[2], "of no known origin");
    stock->held.energy_mj += added->energy_mj;
    stock->held.carbon_ug += added->carbon_ug;
}

/* PROVED of stock_resume: whatever the books hold, were left at and the state of charge says, a
 * restart moves the energy by the true-up that it books and by no more than the battery can have
 * moved, the carbon by what it books as lost or found, and neither below zero or beyond the range;
 * energy that is missing brings no carbon and energy found takes none; nothing moves where no state
 * of charge was known. */
void stock_resumed(void) {
    BOOK(f, share) = any_share;
    BOOK(f, carbon_ug) = any_carbon;
    BOOK(f, stock_take) = any_take;
    BOOK(f, stock_put) = whole_put;
    StockRow row = {0};
    Stock stock = {0};
    row.capacity_mj = any_long_between(0, CAPACITY_MAX);
    stock.held.energy_mj = any_long_between(0, HELD_MAX);
    stock.held.carbon_ug = any_long_between(0, HELD_MAX);
    stock.soc_mj = any_long_between(0, HELD_MAX);
    stock.reach_mj = any_long_between(0, CAPACITY_MAX);
    stock.soc_ppm = any_long_between(0, 1000000);
    stock.soc_known = nondet_bool();
    Stock before = stock;
    F(stock_resume)(&stock, &row, any_long_between(0, 1000000), 480000);
    int64_t moved = stock.held.energy_mj - before.held.energy_mj;
    CLAIM(moved == stock.true_up_mj, "by the true-up");
    CLAIM(moved <= before.reach_mj && moved >= -before.reach_mj, "no more than it can have moved");
    CLAIM(stock.held.carbon_ug - before.held.carbon_ug == stock.opened_ug - stock.lost_ug, "every ug");
    CLAIM(stock.held.energy_mj >= 0 && stock.held.energy_mj <= HELD_MAX, "mJ in range");
    CLAIM(stock.held.carbon_ug >= 0 && stock.held.carbon_ug <= HELD_MAX, "ug in range");
    CLAIM(stock.opened_ug >= 0 && stock.lost_ug >= 0, "neither account runs backwards");
    CLAIM(stock.opened_ug == 0 || moved > 0, "only what is found brings carbon");
    CLAIM(stock.lost_ug == 0 || stock.opened_ug == 0, "only what is missing takes it");
    CLAIM(before.soc_known || (moved == 0 && stock.true_ups == 0), "nothing is known");
    CLAIM(stock.opened_mj == 0 && stock.lost_mj == 0 && stock.shortfall_mj == 0, "no other account");
    REACHED(moved > 0 && stock.opened_ug > 0, "found");
    REACHED(moved < 0 && stock.lost_ug > 0, "missing");
    REACHED(moved == before.reach_mj && moved > 0, "all that it can have moved");
}
