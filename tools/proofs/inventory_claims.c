/* What is proved of ext/inventory.pyx: small numbers where two of them are multiplied. */
#define MODULE 7edgectl_7_kernel_9inventory
#include "inventory.c"
#include "kernel.h"
#include "claims.h"

#define DIVISOR 3600000

typedef struct T(Stock) Stock;
typedef struct T(StockRow) StockRow;
typedef struct T(StockSlice) StockSlice;

/* PROVED of share: for amounts up to 255 and wholes up to 15 a share is between 0 and the amount,
 * all of it for the whole and nothing for no part, and is the greatest that is not too much. */
void share_bounded(void) {
    int64_t amount = nondet_uint8(), whole = 1 + (nondet_uint8() & 14), part = nondet_uint8() & 15;
    ASSUME(part <= whole);
    int64_t given = F(share)(amount, part, whole);
    CLAIM(given >= 0 && given <= amount, "between nothing and everything");
    CLAIM(part != whole || given == amount, "the whole takes all");
    CLAIM(part != 0 || given == 0, "no part takes nothing");
    CLAIM(given * whole <= amount * part && (given + 1) * whole > amount * part, "rounded down");
    REACHED(given > 0 && given < amount && given * whole < amount * part, "rounded");
}

/* PROVED of share: a larger part never gets less. */
void share_monotone(void) {
    int64_t amount = nondet_uint8(), whole = 1 + (nondet_uint8() & 14), part = nondet_uint8() & 15;
    int64_t more = nondet_uint8() & 15;
    ASSUME(part <= more && more <= whole);
    CLAIM(F(share)(amount, part, whole) <= F(share)(amount, more, whole), "monotone");
    REACHED(part < more && amount > 100, "a larger part");
}

static void carried_at(int64_t mg_per_kwh) {
    int64_t energy = nondet_int32() & 0x7FFF, carried = nondet_int32() & 0x3FFFFF;
    ASSUME(carried < DIVISOR);
    int64_t carbon = F(carbon_ug)(energy, mg_per_kwh, &carried);
    CLAIM(carbon >= 0, "energy in, carbon in");
    CLAIM(carried >= 0 && carried < DIVISOR, "less than the divisor is carried");
    REACHED(carried > 0 && energy > 0, "something is carried");
}

/* PROVED of carbon_ug: at 400 g/kWh and energies of up to 32 J the carbon is never
 * negative, and what is carried stays smaller than the divisor, by induction. */
void carbon_remainder(void) { carried_at(400000); }

/* PROVED of carbon_ug: the same at the 1 kg/kWh of a bad hour. */
void carbon_remainder_high(void) { carried_at(1000000); }

/* PROVED of split; unwind 5: an amount of up to 15 shared out over four weights of up to 3 adds up,
 * nobody gets less than nothing, and none more than its weight while there is enough for all. */
void split_exact(void) {
    int64_t weights[4], parts[4], whole = 0, amount = nondet_uint8() & 15;
    for (int at = 0; at < 4; at++) whole += weights[at] = nondet_uint8() & 3;
    ASSUME(whole > 0 || amount == 0);
    F(split)(amount, weights, whole, parts);
    CLAIM(parts[0] + parts[1] + parts[2] + parts[3] == amount, "the parts are the whole");
    for (int at = 0; at < 4; at++) {
        CLAIM(parts[at] >= 0, "not less than nothing");
        CLAIM(amount > whole || parts[at] <= weights[at], "no more than there is");
    }
    REACHED(amount > 3 && parts[1] > 0 && parts[3] > 0 && parts[1] < weights[1], "several get some");
}

/* PROVED of stock_fill, split, stock_put, slice_add; unwind 5: charging at 96 % adds no more energy
 * than was drawn and all the carbon that came with it, takes nothing away, keeps the origin, and
 * carries less than a millionth of a mJ. */
void stock_filled(void) {
    Stock stock = {0};
    StockRow row = {960000, 960000};
    stock.held.carbon_ug = any_long_between(0, 1LL << 60);
    Stock before = stock;
    stock.charge_remainder = nondet_int32() & 0xFFFFF;
    ASSUME(stock.charge_remainder < 1000000);
    int64_t charged = nondet_uint16(), carbon = any_long_between(0, 1LL << 40);
    int64_t origins[4] = {0, charged, 0, 0};
    F(stock_fill)(&stock, &row, charged, carbon, origins);
    CLAIM(stock.held.energy_mj >= 0 && stock.held.energy_mj <= charged, "no more than was drawn");
    CLAIM(stock.held.origins_mj[1] == stock.held.energy_mj, "of the origin it had");
    CLAIM(stock.held.carbon_ug == before.held.carbon_ug + carbon, "all the carbon");
    CLAIM(stock.charge_remainder >= 0 && stock.charge_remainder < 1000000, "carried");
    CLAIM(stock.lost_mj == 0 && stock.lost_ug == 0, "nothing is lost where there is room");
    REACHED(stock.held.energy_mj > 1000, "a charge");
}

/* PROVED of stock_fill; unwind 5: whatever the books hold, a charge of up to 15 mJ without loss, and of
 * any carbon, never takes them over their range of 2**62 mJ and ug, and what they have no room for
 * is in the loss account, to the last mJ and ug. */
void stock_filled_to_the_brim(void) {
    Stock stock = {0};
    StockRow row = {1000000, 1000000};
    stock.held.energy_mj = stock.held.origins_mj[0] = any_long_between(0, 1LL << 62);
    stock.held.carbon_ug = any_long_between(0, 1LL << 62);
    Stock before = stock;
    int64_t charged = nondet_uint8() & 15, carbon = any_long_between(0, 1LL << 61);
    int64_t origins[4] = {charged, 0, 0, 0};
    F(stock_fill)(&stock, &row, charged, carbon, origins);
    CLAIM(stock.held.energy_mj <= 1LL << 62 && stock.held.carbon_ug <= 1LL << 62, "in range");
    CLAIM(stock.held.energy_mj + stock.lost_mj - before.held.energy_mj == charged, "every mJ");
    CLAIM(stock.held.carbon_ug - before.held.carbon_ug + stock.lost_ug == carbon, "every ug");
    REACHED(stock.lost_mj > 0 && stock.lost_ug > 0, "no room");
}

/* PROVED of stock_draw, stock_take, slice_take, share, carbon_ug; unwind 5: drawing leaves neither
 * energy nor carbon below zero, gives out no carbon that is not there but the default's for what is
 * beyond the stock, and counts that as shortfall; for stocks and draws of up to 255 mJ and 255 ug. */
void stock_drawn(void) {
    StockRow row = {960000, 1000000};
    Stock stock = {0};
    stock.held.energy_mj = stock.held.origins_mj[0] = nondet_uint8();
    stock.held.carbon_ug = nondet_uint8();
    Stock before = stock;
    int64_t carried = 0, delivered = nondet_uint8(), origins[4];
    int64_t taken = F(stock_draw)(&stock, &row, delivered, 0, &carried, origins);
    int64_t energy = before.held.energy_mj;
    CLAIM(stock.held.energy_mj >= 0 && stock.held.carbon_ug >= 0, "never below zero");
    CLAIM(taken == before.held.carbon_ug - stock.held.carbon_ug, "what leaves is what is missing");
    CLAIM(stock.held.energy_mj == (delivered < energy ? energy - delivered : 0),
          "the energy that was delivered");
    CLAIM(stock.held.energy_mj > 0 || stock.held.carbon_ug == 0 || delivered == 0,
          "an empty stock holds no carbon");
    CLAIM(stock.shortfall_mj == (delivered > energy ? delivered - energy : 0),
          "the rest is shortfall");
    REACHED(stock.shortfall_mj > 0, "more than there is");
    REACHED(taken > 0 && stock.held.carbon_ug > 0, "part of it");
}

/* PROVED of slice_take, split, slice_remove, slice_add; unwind 5: what is taken out of a mixture of
 * four origins of up to 3 mJ each is never more than is held of any, what is left and what is taken
 * are what there was, origin by origin and ug by ug, and both are the sum of their origins. */
void slice_taken(void) {
    StockSlice slice = {0}, taken = {0};
    for (int at = 0; at < 4; at++) {
        slice.origins_mj[at] = nondet_uint8() & 3;
        slice.energy_mj += slice.origins_mj[at];
    }
    slice.carbon_ug = nondet_uint8() & 15;
    StockSlice before = slice;
    int64_t asked = nondet_uint8() & 15, left = 0, out = 0;
    F(slice_take)(&slice, asked, &taken);
    for (int at = 0; at < 4; at++) {
        CLAIM(slice.origins_mj[at] >= 0 && taken.origins_mj[at] >= 0, "no more than is held");
        CLAIM(slice.origins_mj[at] + taken.origins_mj[at] == before.origins_mj[at], "every mJ");
        left += slice.origins_mj[at];
        out += taken.origins_mj[at];
    }
    CLAIM(slice.carbon_ug >= 0 && taken.carbon_ug >= 0, "no more carbon than is held");
    CLAIM(slice.carbon_ug + taken.carbon_ug == before.carbon_ug, "every ug");
    CLAIM(left == slice.energy_mj && out == taken.energy_mj, "the sum of its origins");
    CLAIM(taken.energy_mj == (asked < before.energy_mj ? asked : before.energy_mj), "as asked");
    REACHED(taken.energy_mj > 2 && slice.energy_mj > 2 && taken.carbon_ug > 1, "a part of it");
}

/* PROVED of stock_take, slice_at; unwind 5, stock_take.0 4: from a ring of three slices across the
 * end of its memory, first in, first out takes whole slices in their order and then part of one:
 * nothing is lost between the slices, what left, and the sum that the stock shows. */
void ring_taken(void) {
    static StockSlice slices[256];
    static const int places[3] = {254, 255, 0};
    Stock stock = {0};
    StockSlice taken;
    int64_t left_mj = 0, left_ug = 0;
    stock.slices = slices;
    stock.first = 254;
    stock.count = 3;
    for (int at = 0; at < 3; at++) {
        StockSlice* slice = &slices[places[at]];
        slice->energy_mj = slice->origins_mj[0] = nondet_uint8() & 3;
        slice->carbon_ug = nondet_uint8() & 3;
        stock.held.energy_mj += slice->energy_mj;
        stock.held.origins_mj[0] += slice->energy_mj;
        stock.held.carbon_ug += slice->carbon_ug;
    }
    Stock before = stock;
    int64_t asked = 1 + (nondet_uint8() & 15), held = before.held.energy_mj;
    F(stock_take)(&stock, asked, &taken);
    for (int at = 0; at < 3; at++) {
        left_mj += slices[places[at]].energy_mj;
        left_ug += slices[places[at]].carbon_ug;
    }
    CLAIM(stock.count >= 0 && stock.first >= 0 && stock.first < 256, "in the ring");
    CLAIM(taken.energy_mj == (asked < held ? asked : held), "as asked, and no more than is held");
    CLAIM(left_mj == stock.held.energy_mj && left_ug == stock.held.carbon_ug, "the sum is shown");
    CLAIM(left_mj + taken.energy_mj == held, "every mJ");
    CLAIM(left_ug + taken.carbon_ug == before.held.carbon_ug, "every ug");
    CLAIM(left_mj >= 0 && left_ug >= 0 && taken.carbon_ug >= 0, "never below zero");
    REACHED(stock.count == 1 && left_mj == 1 && taken.energy_mj > 4, "two slices and a part");
}

/* PROVED of stock_true_up, stock_find, stock_empty; unwind 5: at empty every ug goes to the loss
 * account; the true-up account is what the books hold after less what they held before; and the
 * energy that is left is of no known origin. */
void emptied(void) {
    Stock stock = {0};
    StockRow row = {1000000, 1000000};
    stock.held.energy_mj = stock.held.origins_mj[0] = any_long_between(0, 1LL << 61);
    stock.held.carbon_ug = any_long_between(0, 1LL << 61);
    Stock before = stock;
    int64_t stored = any_long_between(0, 1LL << 61);
    F(stock_true_up)(&stock, &row, E(ANCHOR_EMPTY), stored);
    CLAIM(stock.held.energy_mj == stored, "what the battery says");
    CLAIM(stock.true_up_mj == stored - before.held.energy_mj, "the account");
    CLAIM(stock.held.carbon_ug == 0 && stock.lost_ug == before.held.carbon_ug, "every ug");
    CLAIM(stock.held.origins_mj[3] == stored && stock.held.origins_mj[0] == 0, "not known");
    REACHED(stock.true_up_mj < 0 && stock.lost_ug > 0, "a correction");
}
