/* What is proved of ext/demand.pyx, of a window of 2 to the 20 ms, 17.5 minutes: by a power of two
 * the solver can divide. Energies are multiples of 4 kJ, ends of the window of 16 s, for the same
 * reason.
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
    demand.elapsed_ms = WINDOW_MS - ((nondet_uint8() & 63) << 14);
    demand.energy_mj = nondet_int32() * (1LL << 22);
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

static const double POWERS_W[6] = {-2e10, -1e6, 0.0, 1e6, 1e9, 2e10};

/* PROVED of demand_forecast_w, whole_w; unwind 7: the forecast never falls when power rises,
 * between -20 GW, -1 MW, 0, 1 MW, 1 GW and 20 GW, from any state of the window. */
void forecast_monotone_in_power(void) {
    Demand demand = any_window();
    DemandRow row = any_row();
    int64_t before = F(demand_forecast_w)(&demand, &row, POWERS_W[0]), low = before;
    for (int at = 1; at < 6; at++) {
        int64_t forecast = F(demand_forecast_w)(&demand, &row, POWERS_W[at]);
        CLAIM(before <= forecast, "monotone");
        before = forecast;
    }
    REACHED(low < before, "more");
    REACHED(low == before, "at its end nothing matters any more");
}

/* PROVED of demand_forecast_w, whole_w: the forecast never falls when more was drawn before, at
 * 1 GW from then on. */
void forecast_monotone_in_energy(void) {
    Demand demand = any_window(), fuller = demand;
    DemandRow row = any_row();
    fuller.energy_mj = nondet_int32() * (1LL << 22);
    ASSUME(fuller.energy_mj >= demand.energy_mj);
    int64_t low = F(demand_forecast_w)(&demand, &row, 1e9);
    int64_t high = F(demand_forecast_w)(&fuller, &row, 1e9);
    CLAIM(low <= high, "monotone");
    REACHED(low < high, "more");
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

/* PROVED of demand_shortfall_w, demand_room_w, whole_w: the shortfall is never negative and
 * never more than all that is over the room; batteries without power help nothing: in the middle
 * of the window, for any power, with 1 TJ to give. */
void shortfall_bounded(void) {
    Demand demand = any_window();
    DemandRow row = any_row();
    demand.elapsed_ms = WINDOW_MS / 2;
    double power = nondet_double(), discharge = nondet_double();
    int64_t over = F(whole_w)(power) - F(demand_room_w)(&demand, &row);
    int64_t shortfall = F(demand_shortfall_w)(&demand, &row, power, 1e12, discharge);
    CLAIM(shortfall >= 0, "never negative");
    CLAIM(shortfall <= over || shortfall == 0, "no more than is over");
    CLAIM(discharge > 0.0 || over <= 0 || shortfall == over, "no help without power");
    REACHED(shortfall > 0 && shortfall < over, "helped");
}

/* PROVED of demand_shortfall_w, demand_room_w, whole_w: and batteries without energy help
 * nothing, nor those of which it is not known. */
void shortfall_without_energy(void) {
    Demand demand = any_window();
    DemandRow row = any_row();
    demand.elapsed_ms = WINDOW_MS / 2;
    double power = nondet_double(), usable = nondet_bool() ? 0.0 : 1e300 * 1e300 * 0.0;
    int64_t over = F(whole_w)(power) - F(demand_room_w)(&demand, &row);
    int64_t shortfall = F(demand_shortfall_w)(&demand, &row, power, usable, nondet_double());
    CLAIM(shortfall == (over > 0 ? over : 0), "no help");
    REACHED(shortfall > 0 && usable != usable, "not known");
}
