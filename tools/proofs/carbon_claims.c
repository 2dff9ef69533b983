/* What is proved of ext/carbon.pyx: small numbers where two of them are multiplied. */
#define MODULE 7edgectl_7_kernel_6carbon
#include "carbon.c"
#include "kernel.h"
#include "claims.h"

#define DIVISOR 3600000

typedef struct T(Stock) Stock;
typedef struct T(StockRow) StockRow;

/* PROVED of share: for amounts up to 255 and wholes up to 15 a share is between 0 and the amount,
 * all of it for the whole and nothing for no part, and is the greatest that is not too much. */
void share_bounded(void) {
    int64_t amount = nondet_uint8(), whole = 1 + (nondet_uint8() & 14), part = nondet_uint8() & 15;
    ASSUME(part <= whole);
    int64_t given = OF(6shares, f, share)(amount, part, whole);
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
    CLAIM(OF(6shares, f, share)(amount, part, whole) <= OF(6shares, f, share)(amount, more, whole), "monotone");
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

/* PROVED of stock_fill: charging at 96 % adds no more energy than was drawn and all the carbon that
 * came with it, takes nothing away, and carries less than a millionth of a mJ. */
void stock_filled(void) {
    Stock stock = {0};
    StockRow row = {960000, 960000};
    stock.carbon_ug = any_long_between(0, 1LL << 60);
    Stock before = stock;
    stock.charge_remainder = nondet_int32() & 0xFFFFF;
    ASSUME(stock.charge_remainder < 1000000);
    int64_t charged = nondet_uint16(), carbon = any_long_between(0, 1LL << 40);
    F(stock_fill)(&stock, &row, charged, carbon);
    CLAIM(stock.energy_mj >= 0 && stock.energy_mj <= charged, "no more than was drawn");
    CLAIM(stock.carbon_ug == before.carbon_ug + carbon, "all the carbon");
    CLAIM(stock.charge_remainder >= 0 && stock.charge_remainder < 1000000, "carried");
    REACHED(stock.energy_mj > 1000, "a charge");
}

/* PROVED of stock_draw, share, carbon_ug: drawing leaves neither energy nor carbon below
 * zero, gives out no carbon that is not there but the default's for what is beyond the stock, and
 * counts that as shortfall; for stocks and draws of up to 255 mJ and 255 ug. */
void stock_drawn(void) {
    StockRow row = {960000, 1000000};
    Stock stock = {0};
    stock.energy_mj = nondet_uint8();
    stock.carbon_ug = nondet_uint8();
    Stock before = stock;
    int64_t carried = 0, delivered = nondet_uint8();
    int64_t taken = F(stock_draw)(&stock, &row, delivered, 0, &carried);
    CLAIM(stock.energy_mj >= 0 && stock.carbon_ug >= 0, "never below zero");
    CLAIM(taken == before.carbon_ug - stock.carbon_ug, "what leaves is what is missing");
    CLAIM(stock.energy_mj == (delivered < before.energy_mj ? before.energy_mj - delivered : 0),
          "the energy that was delivered");
    CLAIM(stock.energy_mj > 0 || stock.carbon_ug == 0, "an empty stock holds no carbon");
    CLAIM(stock.shortfall_mj == (delivered > before.energy_mj ? delivered - before.energy_mj : 0),
          "the rest is shortfall");
    REACHED(stock.shortfall_mj > 0, "more than there is");
    REACHED(taken > 0 && stock.carbon_ug > 0, "part of it");
}
