"""The site's buses in one scan: what enters, what leaves, what feeders carry, and whose it is."""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:
    BUSES_MAX = 64               # one bit each in a word
    FEEDERS_MAX = 128
    LOADS_MAX = 64
    STORAGES_MAX = 16
    GENERATORS_MAX = 8
    SOURCES_MAX = 27             # 3 + STORAGES_MAX + GENERATORS_MAX
    SINKS_MAX = 82               # LOADS_MAX + STORAGES_MAX + 2
    OUTS_MAX = 274               # SINKS_MAX + BUSES_MAX + FEEDERS_MAX

cdef struct FlowCell:
    int64_t energy_mj
    int64_t carbon_ug

cdef struct FeederRow:           # metered ones first, then those that follow, leaves first
    int32_t from_bus
    int32_t to_bus
    int32_t meter                # of the site's meters; -1: carries what to_bus lacks

cdef struct Out:                 # a way out of a bus
    int64_t energy_mj
    int64_t needed_mj            # of it, not given yet
    int32_t sink                 # -1: a feeder
    int32_t to_bus               # of a feeder
    int32_t next                 # at the same bus, -1: the last

cdef struct Network:
    int32_t buses
    int32_t feeders
    int32_t sources
    int32_t sinks
    const FeederRow* feeder_rows
    int64_t carried_mj[FEEDERS_MAX]  # from_bus to to_bus positive, this scan
    int64_t net_mj[BUSES_MAX]    # what leaves less what enters; 0 once the bus is closed
    FlowCell entered[1728]       # [BUSES_MAX][SOURCES_MAX]
    Out outs[OUTS_MAX]
    int32_t outs_count
    int32_t first_out[BUSES_MAX]
    int32_t last_out[BUSES_MAX]
    uint64_t below[BUSES_MAX]    # buses that are reached from here
    uint64_t above[BUSES_MAX]    # buses that reach it
    int32_t order[BUSES_MAX]     # of flow
    int32_t members[BUSES_MAX]   # of the ring being solved
    double through_mj[BUSES_MAX]
    double factor_ratio[4096]   # [members][members]: of the ring's equations
    double arriving_mj[BUSES_MAX]
    int64_t given_mj[OUTS_MAX]   # by one source of a ring

cdef void network_begin(Network* net) noexcept nogil
cdef void network_enter(Network* net, int32_t bus, int32_t source, int64_t mj) noexcept nogil
cdef void network_leave(Network* net, int32_t bus, int32_t sink, int64_t mj) noexcept nogil
cdef void network_feed(Network* net, const int64_t* meter_mj) noexcept nogil
cdef void network_join(Network* net) noexcept nogil
cdef void network_trace(Network* net, FlowCell* cells) noexcept nogil
