/* What is proved of ext/network.pyx: the order of buses, and what unmetered feeders carry. */
#define MODULE 7edgectl_7_kernel_7network
#include "network.c"
#include "kernel.h"
#include "claims.h"

#define BUSES 4

typedef struct T(Network) Network;
typedef struct T(FeederRow) FeederRow;

static Network net;

/* PROVED of find_order, depth, add_out, network_begin; unwind 6, 300 s: over four buses with any six
 * feeders the order names each bus once, and a feeder outside a ring leads from an earlier bus
 * to a later one. */
void order_follows_flow(void) {
    int32_t place[BUSES], seen = 0;
    net.buses = BUSES;
    F(network_begin)(&net);
    for (int bus = 0; bus < BUSES; bus++) {
        int32_t to_bus = any_between(0, BUSES - 1);
        if (to_bus != bus) F(add_out)(&net, bus, -1, to_bus, 1);
    }
    for (int more = 0; more < 2; more++) {
        int32_t to_bus = any_between(0, BUSES - 1);
        if (to_bus != more) F(add_out)(&net, more, -1, to_bus, 1);
    }
    F(find_order)(&net);
    for (int at = 0; at < BUSES; at++) {
        CLAIM(net.order[at] >= 0 && net.order[at] < BUSES, "a bus");
        seen |= 1 << net.order[at];
        place[net.order[at]] = at;
    }
    CLAIM(seen == (1 << BUSES) - 1, "each once");
    for (int bus = 0; bus < BUSES; bus++)
        for (int at = net.first_out[bus]; at >= 0; at = net.outs[at].next) {
            int32_t to_bus = net.outs[at].to_bus;
            _Bool ring = net.below[to_bus] >> bus & 1;
            CLAIM(ring || place[bus] < place[to_bus], "downstream is later");
        }
    REACHED(net.order[0] == 3 && net.order[3] == 0, "against the order of the site");
    REACHED(net.below[0] & 1, "a ring");
}

/* PROVED of network_feed; unwind 4: feeders without a meter, leaves first, close every bus but the
 * grid's, and what is open there is what was open in all. */
void feeders_close_a_tree(void) {
    FeederRow rows[2] = {{1, 2, -1}, {0, 1, -1}};
    int64_t meters[1] = {0}, sum = 0;
    net.buses = 3;
    net.feeders = 2;
    net.feeder_rows = rows;
    for (int bus = 0; bus < 3; bus++) {
        net.net_mj[bus] = any_long_between(-1000000000000000LL, 1000000000000000LL);
        sum += net.net_mj[bus];
    }
    F(network_feed)(&net, meters);
    CLAIM(net.net_mj[1] == 0 && net.net_mj[2] == 0, "closed");
    CLAIM(net.net_mj[0] == sum, "the rest stands at the grid's bus");
    REACHED(net.carried_mj[0] < 0 && net.carried_mj[1] > 0, "up and down");
}
