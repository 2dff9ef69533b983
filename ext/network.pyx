"""Proportional sharing over any network of buses, in integers.

What leaves a bus leaves in the mixture that came in (Bialek, IEE Proc.-GTD 143(4)
1996, 313). Buses are taken in the order of flow; each source's energy at a bus is
spread over its ways out by cumulative integer shares, so that every source and every
way out adds up to the last mJ, and carbon follows its source's energy to the last ug.
What a feeder carries enters the next bus source by source.

Buses whose feeders lead round form a ring. Its mixtures are solved together in
doubles, with pivots down the diagonal in the order of the buses; integers are then
laid against that solution under what each way out still needs, so that a ring adds up
as exactly as a tree. The steps do not depend on the data's size: the same input gives
the same output in every build.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from edgectl._kernel.inventory cimport share

cdef extern from "<math.h>" nogil:
    long long llrint(double x)

cdef extern from *:
    int __builtin_popcountll(unsigned long long x) nogil

cdef double PIVOT_MIN = 1e-15    # a ring that nothing leaves has no solution: it is nobody's


cdef void network_begin(Network* net) noexcept nogil:
    """Forget the scan before."""
    cdef int32_t bus
    net.outs_count = 0
    memset(net.net_mj, 0, net.buses * sizeof(int64_t))
    memset(net.entered, 0, net.buses * SOURCES_MAX * sizeof(FlowCell))
    for bus in range(net.buses):
        net.first_out[bus] = -1
        net.last_out[bus] = -1


cdef void network_enter(Network* net, int32_t bus, int32_t source, int64_t mj) noexcept nogil:
    """Energy of a source comes in at a bus; its carbon is laid beside it later."""
    net.entered[bus * SOURCES_MAX + source].energy_mj += mj
    net.net_mj[bus] -= mj


cdef void add_out(
    Network* net, int32_t bus, int32_t sink, int32_t to_bus, int64_t mj) noexcept nogil:
    """Append a way out of a bus; the order at a bus is the order of its rounding."""
    cdef int32_t at = net.outs_count
    if mj == 0 or at >= OUTS_MAX:
        return
    net.outs[at] = Out(mj, mj, sink, to_bus, -1)
    if net.last_out[bus] >= 0:
        net.outs[net.last_out[bus]].next = at
    else:
        net.first_out[bus] = at
    net.last_out[bus] = at
    net.outs_count = at + 1


cdef void network_leave(Network* net, int32_t bus, int32_t sink, int64_t mj) noexcept nogil:
    """Energy leaves the network at a bus."""
    add_out(net, bus, sink, -1, mj)
    net.net_mj[bus] += mj


cdef void network_feed(Network* net, const int64_t* meter_mj) noexcept nogil:
    """Work out what each feeder carried, from its meter or from what its bus lacks.

    meter_mj  of the site's meters, this scan; of a feeder's, from_bus to to_bus positive

    Feeders without a meter are a forest and come leaves first: each closes its to_bus.
    What is open then at a bus is no feeder's: losses, or unmetered.
    """
    cdef int32_t at
    cdef const FeederRow* row
    cdef int64_t mj
    for at in range(net.feeders):
        row = &net.feeder_rows[at]
        mj = meter_mj[row.meter] if row.meter >= 0 else net.net_mj[row.to_bus]
        net.net_mj[row.from_bus] += mj
        net.net_mj[row.to_bus] -= mj
        net.carried_mj[at] = mj


cdef void network_join(Network* net) noexcept nogil:
    """Make each feeder a way out of the bus that its energy came from."""
    cdef int32_t at
    cdef const FeederRow* row
    for at in range(net.feeders):
        row = &net.feeder_rows[at]
        if net.carried_mj[at] > 0:
            add_out(net, row.from_bus, -1, row.to_bus, net.carried_mj[at])
        else:
            add_out(net, row.to_bus, -1, row.from_bus, -net.carried_mj[at])


cdef int32_t depth(const Network* net, int32_t bus) noexcept nogil:
    """How many buses reach it, and itself."""
    cdef uint64_t one = 1
    return __builtin_popcountll(net.above[bus] | one << bus)


cdef void find_order(Network* net) noexcept nogil:
    """Who reaches whom, and the buses in the order of flow.

    A bus downstream is reached by all that reach a bus upstream, by that bus, and by
    itself: the fewer they are, the sooner it comes. Buses of a ring are reached by the same.
    """
    cdef int32_t bus, middle, at, place
    cdef uint64_t one = 1
    for bus in range(net.buses):
        net.below[bus] = 0
        net.above[bus] = 0
        at = net.first_out[bus]
        while at >= 0:
            if net.outs[at].sink < 0:
                net.below[bus] |= one << net.outs[at].to_bus
            at = net.outs[at].next
    for middle in range(net.buses):
        for bus in range(net.buses):
            if net.below[bus] >> middle & 1:
                net.below[bus] |= net.below[middle]
    for bus in range(net.buses):
        for at in range(net.buses):
            if net.below[at] >> bus & 1:
                net.above[bus] |= one << at
    for bus in range(net.buses):
        place = bus
        while place > 0 and depth(net, net.order[place - 1]) > depth(net, bus):
            net.order[place] = net.order[place - 1]
            place -= 1
        net.order[place] = bus


cdef void hand(
    Network* net, FlowCell* cells, int32_t source, const Out* out, int64_t mj, int64_t ug
) noexcept nogil:
    """Give one source's energy and its carbon to a way out: a sink, or the bus behind a feeder."""
    cdef FlowCell* cell
    if out.sink >= 0:
        cell = &cells[source * net.sinks + out.sink]
    else:
        cell = &net.entered[out.to_bus * SOURCES_MAX + source]
    cell.energy_mj += mj
    cell.carbon_ug += ug


cdef void spread(
    Network* net, FlowCell* cells, int32_t bus, int32_t source, int64_t needed_sum
) noexcept nogil:
    """Spread one source's energy at a bus over what its ways out still need, carbon along with it.

    needed_sum  of all ways out, before; at least the energy

    By cumulative shares each is given within one mJ of the exact proportion, none
    more than it needs, and both sums are exact.
    """
    cdef const FlowCell* entered = &net.entered[bus * SOURCES_MAX + source]
    cdef int64_t needed_below = 0
    cdef int64_t given = 0
    cdef int64_t emitted = 0
    cdef int64_t upto, upto_ug
    cdef int32_t at = net.first_out[bus]
    cdef Out* out
    while at >= 0:
        out = &net.outs[at]
        at = out.next
        if out.needed_mj == 0:
            continue
        needed_below += out.needed_mj
        upto = entered.energy_mj if needed_below == needed_sum \
            else share(entered.energy_mj, needed_below, needed_sum)
        upto_ug = entered.carbon_ug if upto == entered.energy_mj \
            else share(entered.carbon_ug, upto, entered.energy_mj)
        out.needed_mj -= upto - given
        hand(net, cells, source, out, upto - given, upto_ug - emitted)
        given = upto
        emitted = upto_ug


cdef void pass_on(Network* net, FlowCell* cells, int32_t bus) noexcept nogil:
    """Spread all that entered a bus, source by source in their order."""
    cdef int64_t needed_sum = 0
    cdef int32_t source
    cdef int32_t at = net.first_out[bus]
    while at >= 0:
        needed_sum += net.outs[at].needed_mj
        at = net.outs[at].next
    for source in range(net.sources):
        if net.entered[bus * SOURCES_MAX + source].energy_mj == 0:
            continue
        spread(net, cells, bus, source, needed_sum)
        needed_sum -= net.entered[bus * SOURCES_MAX + source].energy_mj


cdef int32_t factor_ring(Network* net, uint64_t ring) noexcept nogil:
    """The members of a ring, and the factors of I - A; returns how many members.

    A[i][j] is the part of what goes through j that a feeder takes to i. It is no
    more than 1 down a column, so the pivots are the diagonal, in order.
    """
    cdef int32_t count = 0
    cdef int32_t bus, at, i, j, k
    cdef double* a = net.factor_ratio
    cdef int32_t place[BUSES_MAX]
    for bus in range(net.buses):
        if ring >> bus & 1:
            net.members[count] = bus
            place[bus] = count
            count += 1
    memset(a, 0, count * count * sizeof(double))
    for j in range(count):
        a[j * count + j] = 1.0
        net.through_mj[j] = 0.0
        at = net.first_out[net.members[j]]
        while at >= 0:
            net.through_mj[j] += <double> net.outs[at].energy_mj
            at = net.outs[at].next
        at = net.first_out[net.members[j]]
        while at >= 0:
            if stays(&net.outs[at], ring):
                a[place[net.outs[at].to_bus] * count + j] -= \
                    <double> net.outs[at].energy_mj / net.through_mj[j]
            at = net.outs[at].next
    for k in range(count):
        if not a[k * count + k] > PIVOT_MIN:
            a[k * count + k] = PIVOT_MIN
        for i in range(k + 1, count):
            a[i * count + k] /= a[k * count + k]
            for j in range(k + 1, count):
                a[i * count + j] -= a[i * count + k] * a[k * count + j]
    return count


cdef bint stays(const Out* out, uint64_t ring) noexcept nogil:
    """Whether a way out leads to another bus of the ring."""
    return out.sink < 0 and ring >> out.to_bus & 1


cdef void solve_ring(Network* net, int32_t count) noexcept nogil:
    """arriving_mj: from what enters at each member to all that goes through it."""
    cdef int32_t i, j
    cdef const double* a = net.factor_ratio
    for i in range(count):
        for j in range(i):
            net.arriving_mj[i] -= a[i * count + j] * net.arriving_mj[j]
    for i in range(count - 1, -1, -1):
        for j in range(i + 1, count):
            net.arriving_mj[i] -= a[i * count + j] * net.arriving_mj[j]
        net.arriving_mj[i] /= a[i * count + i]


cdef int64_t lay(Network* net, int32_t count, uint64_t ring, int64_t whole_mj) noexcept nogil:
    """Lay one source's energy against the solution; returns what no way out had room for.

    Each way out of the ring gets the integers up to its cumulative part, and never
    more than it still needs; what it could not take is offered to the next.
    """
    cdef double upto = 0.0
    cdef int64_t given = 0
    cdef int64_t most, mj
    cdef int32_t member, at
    cdef Out* out
    for member in range(count):
        at = net.first_out[net.members[member]]
        while at >= 0:
            out = &net.outs[at]
            if not stays(out, ring):
                upto += net.arriving_mj[member] * <double> out.energy_mj / net.through_mj[member]
                most = llrint(upto) if upto < <double> whole_mj else whole_mj
                mj = most - given
                if mj > out.needed_mj:
                    mj = out.needed_mj
                net.given_mj[at] = mj
                out.needed_mj -= mj
                given += mj
            at = out.next
    return whole_mj - given


cdef void hand_ring(
    Network* net, FlowCell* cells, int32_t source, int32_t count, uint64_t ring,
    const FlowCell* whole, int64_t left_mj) noexcept nogil:
    """Hand out what was laid, the rest to whoever still needs it, and the carbon along with it."""
    cdef int64_t given = 0
    cdef int64_t emitted = 0
    cdef int64_t more, upto_ug
    cdef int32_t member, at
    cdef Out* out
    for member in range(count):
        at = net.first_out[net.members[member]]
        while at >= 0:
            out = &net.outs[at]
            if not stays(out, ring):
                more = left_mj if left_mj < out.needed_mj else out.needed_mj
                out.needed_mj -= more
                left_mj -= more
                more += net.given_mj[at]
                given += more
                upto_ug = whole.carbon_ug if given == whole.energy_mj \
                    else share(whole.carbon_ug, given, whole.energy_mj)
                hand(net, cells, source, out, more, upto_ug - emitted)
                emitted = upto_ug
            at = out.next


cdef void pass_ring(Network* net, FlowCell* cells, uint64_t ring) noexcept nogil:
    """Spread all that entered a ring over the ways out of it, source by source."""
    cdef int32_t count = factor_ring(net, ring)
    cdef int32_t source, member
    cdef const FlowCell* entered
    cdef FlowCell whole
    for source in range(net.sources):
        whole = FlowCell(0, 0)
        for member in range(count):
            entered = &net.entered[net.members[member] * SOURCES_MAX + source]
            whole.energy_mj += entered.energy_mj
            whole.carbon_ug += entered.carbon_ug
            net.arriving_mj[member] = <double> entered.energy_mj
        if whole.energy_mj == 0:
            continue
        solve_ring(net, count)
        hand_ring(net, cells, source, count, ring, &whole,
                  lay(net, count, ring, whole.energy_mj))


cdef void network_trace(Network* net, FlowCell* cells) noexcept nogil:
    """Trace one scan; every bus must be closed.

    cells  [sources][sinks], added to

    Every source's cells add up to what entered, every sink's to what left, and
    every source's carbon is in its cells.
    """
    cdef int32_t at, bus
    cdef uint64_t ring
    cdef uint64_t passed = 0
    find_order(net)
    for at in range(net.buses):
        bus = net.order[at]
        ring = net.below[bus] & net.above[bus]
        if ring == 0:
            pass_on(net, cells, bus)
        elif not passed & ring:
            passed |= ring
            pass_ring(net, cells, ring)
