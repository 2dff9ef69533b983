/* What is proved of ext/demand.pyx, of a window of 2 to the 20 ms, 17.5 minutes: by a power of two the
 * solver can divide.
 *
 * Where two unknown numbers are multiplied they are narrow: powers in MW, times in seconds.
 */
#define MODULE 7edgectl_7_kernel_6demand
#include "demand.c"
#include "kernel.h"
#include "claims.h"

#define W_MAX 20000000000LL
#define WINDOW_MS (1LL << 20)
#define FULL_MJ (W_MAX * WINDOW_MS)

typedef struct T(Demand) Demand;
typedef struct T(DemandRow) DemandRow;

static Demand any_window(void) {
    Demand demand;
    demand.elapsed_ms = (nondet_uint16() & 1023) * 1000LL;
    ASSUME(demand.elapsed_ms <= WINDOW_MS);
    ASSUME(demand.energy_mj >= -FULL_MJ && demand.energy_mj <= FULL_MJ);
    return demand;
}

static DemandRow any_row(void) {
    DemandRow row;
    row.window_ms = WINDOW_MS;
    row.limit_w = nondet_uint16() * 65536LL;
    return row;
}

/* PROVED of whole_w: any double is a whole number of W within 20 GW either way; what is no number
 * counts as 20 GW, and a greater power is never less. */
void power_bounded(void) {
    double less = nondet_double(), more = nondet_double();
    int64_t low = F(whole_w)(less), high = F(whole_w)(more);
    CLAIM(low >= -W_MAX && low <= W_MAX, "bounded");
    CLAIM(less == less || low == W_MAX, "no number is the worst");
    CLAIM(!(less <= more) || low <= high, "monotone");
    REACHED(less < -DBL_MAX && low == -W_MAX, "minus infinity");
    REACHED(low > 0 && low < high && high < W_MAX, "two powers");
}

/* PROVED of demand_forecast_w, whole_w; 300 s: the forecast never falls when power rises; for whole
 * multiples of 1 MW up to 16 GW. */
void forecast_monotone_in_power(void) {
    Demand demand = any_window();
    DemandRow row = any_row();
    int64_t less = (nondet_uint16() & 0x3FFF), more = (nondet_uint16() & 0x3FFF);
    ASSUME(less <= more);
    int64_t low = F(demand_forecast_w)(&demand, &row, less * 1e6);
    int64_t high = F(demand_forecast_w)(&demand, &row, more * 1e6);
    CLAIM(low <= high, "monotone");
    REACHED(low < high, "more");
    REACHED(low == high && less < more, "at its end nothing matters any more");
}

/* PROVED of demand_forecast_w: the forecast never falls when more was drawn before. */
void forecast_monotone_in_energy(void) {
    Demand demand = any_window(), fuller = demand;
    DemandRow row = any_row();
    double power = 1e6 * (nondet_uint16() & 0x3FFF);
    fuller.energy_mj = any_long_between(demand.energy_mj, FULL_MJ);
    int64_t low = F(demand_forecast_w)(&demand, &row, power);
    CLAIM(low <= F(demand_forecast_w)(&fuller, &row, power), "monotone");
    REACHED(fuller.energy_mj > demand.energy_mj + WINDOW_MS, "more");
}

/* PROVED of demand_room_w: there is never less than no room, none once the limit's energy is drawn,
 * and never more room where more was drawn: in the middle of the window. */
void room_falls_with_energy(void) {
    Demand demand = any_window(), fuller;
    DemandRow row = any_row();
    demand.elapsed_ms = WINDOW_MS / 2;
    fuller = demand;
    fuller.energy_mj = any_long_between(demand.energy_mj, FULL_MJ);
    int64_t room = F(demand_room_w)(&demand, &row), less = F(demand_room_w)(&fuller, &row);
    CLAIM(room >= 0 && less >= 0, "never below nothing");
    CLAIM(less <= room, "falling");
    CLAIM(demand.energy_mj < row.limit_w * WINDOW_MS || room == 0, "nothing is left");
    REACHED(less < room && less > 0, "less");
    REACHED(room == 0 && demand.energy_mj > 0, "none");
}

/* PROVED of demand_shortfall_w: the shortfall is never negative, never more than all that is over the
 * room, and the batteries help it by no more than they can discharge. */
void shortfall_bounded(void) {
    Demand demand = any_window();
    DemandRow row = any_row();
    double power = nondet_double(), usable = nondet_double(), discharge = nondet_double();
    int64_t shortfall = F(demand_shortfall_w)(&demand, &row, power, usable, discharge);
    int64_t over = F(whole_w)(power) - F(demand_room_w)(&demand, &row);
    CLAIM(shortfall >= 0, "never negative");
    CLAIM(shortfall <= over || shortfall == 0, "without help all that is over");
    CLAIM(discharge > 0.0 || over <= 0 || shortfall == over, "no help without power");
    CLAIM(usable > 0.0 || over <= 0 || shortfall == over, "none without energy");
    REACHED(shortfall > 0 && shortfall < over, "helped");
    REACHED(shortfall == over && over > 0 && usable != usable, "no number is no energy");
}
