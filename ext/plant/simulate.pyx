"""Plant and kernel in one loop at simulated time, as fast as the processor allows.

A bus without sockets: the campus's signals become words in C, straight into the
kernel's block buffers; what the scan commits is taken from its output buffers
and moves the physics. Slots whose signal moves each step come first and are
encoded each scan, the others each simulated second. Integers are rounded half
to even, as Python and pymodbus round.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

import numpy

from edgectl._kernel.atomic cimport store64
from edgectl._kernel.kernel cimport Kernel
from edgectl._kernel.process_image cimport (
    BUFFER_NEW, TYPE_F32, TYPE_S16, TYPE_S32, TYPE_U32, BlockBuffer, DeviceLink, Image,
    OutputBuffer, OutputRow, output_take)
from edgectl._kernel.scan cimport KernelState, scan_cycle
from edgectl.plant._equipment cimport PlantState, SIGNAL_CARBON_G_PER_KWH
from edgectl.plant._physics cimport (
    Plant, defer_write, open_write, plant_step, pv_write, storage_write)

cdef extern from *:
    """
    #define SECOND_NS ((int64_t) 1000000000)
    #define CARBON_HOLDS_NS (3600 * SECOND_NS)
    """
    const int64_t SECOND_NS, CARBON_HOLDS_NS

# Added to a double below 2**51 it leaves the nearest even integer in the low bits.
cdef double ROUNDER = 6755399441055744.0


cdef inline int64_t rounded(double value) noexcept nogil:
    cdef double shifted = value + ROUNDER
    cdef int64_t bits, zero
    memcpy(&bits, &shifted, 8)
    memcpy(&zero, &ROUNDER, 8)
    return bits - zero


cdef inline void put_two(uint16_t* words, uint8_t low_first, uint32_t bits) noexcept nogil:
    words[low_first] = <uint16_t> (bits >> 16)
    words[1 - low_first] = <uint16_t> bits


cdef inline void put_four(uint16_t* words, uint8_t low_first, uint64_t bits) noexcept nogil:
    cdef int32_t at
    for at in range(4):
        words[at if low_first else 3 - at] = <uint16_t> bits
        bits >>= 16


cdef inline void slot_encode(
        const SlotRow* slot, const double* signals, uint16_t* shadow) noexcept nogil:
    """Bring one point's words up to date."""
    cdef double raw = signals[slot.signal] * slot.mul + slot.add
    cdef uint16_t* words = shadow + slot.word
    cdef float single
    cdef uint32_t half
    cdef uint64_t whole
    if slot.shape == SHAPE_SINGLE:
        single = <float> raw
        memcpy(&half, &single, 4)
        put_two(words, slot.low_first, half)
        return
    if slot.shape == SHAPE_DOUBLE:
        memcpy(&whole, &raw, 8)
        put_four(words, slot.low_first, whole)
        return
    raw = slot.low if raw < slot.low else slot.high if raw > slot.high else raw
    if slot.shape == SHAPE_TWO:
        put_two(words, slot.low_first, <uint32_t> rounded(raw))
    elif slot.shape == SHAPE_ONE:
        words[0] = <uint16_t> rounded(raw)
    elif slot.shape == SHAPE_FOUR:
        put_four(words, slot.low_first, <uint64_t> rounded(raw))
    else:
        words[0] = <uint16_t> ((words[0] & ~(1 << slot.bit)) | (rounded(raw) << slot.bit))


cdef void encode(Bus bus, int32_t first, int32_t last) noexcept nogil:
    cdef const double* signals = bus.plant.state.signals
    cdef uint16_t* shadow = bus.shadow
    cdef int32_t at
    for at in range(first, last):
        slot_encode(&bus.slots[at], signals, shadow)


cdef void publish(Bus bus, Image* image, int64_t period, int64_t done_ns) noexcept nogil:
    """Hand every block that is due to the scan, as a reply just received.

    Bus and scan are one thread here: the exchange of buffers is block_publish's, without its
    atomics. A block none of whose slots is fast is copied once a second into each of its
    three buffers; between, they hold its words already.
    """
    cdef BlockBuffer* buffer
    cdef DeviceLink* link
    cdef uint8_t back
    cdef int32_t at
    for at in range(image.blocks):
        if image.block_rows[at].every != 1 \
                and period % image.block_rows[at].every != image.block_rows[at].phase:
            continue
        if bus.silent[at]:
            continue
        buffer = &image.block_buffers[at]
        back = buffer.back
        if bus.block_fast[at] or bus.copied[3 * at + back] != bus.seconds:
            memcpy(buffer.words[back], bus.shadow + bus.block_words[at],
                   2 * image.block_rows[at].count)
            bus.copied[3 * at + back] = bus.seconds
        buffer.done_ns[back] = done_ns
        buffer.fault = 0
        buffer.back = buffer.middle & 3
        buffer.middle = back | BUFFER_NEW
        link = &image.links[image.block_rows[at].device]
        link.good_ns = done_ns
        link.requests += 1
        link.replies += 1


cdef double output_number(const OutputRow* row, const uint16_t* words) noexcept nogil:
    """The raw number of a command's value as it stands on the wire."""
    cdef const uint16_t* at = words + row.value_word
    cdef uint32_t bits
    cdef float single
    if row.type == TYPE_S16:
        return <int> <short> at[0]
    if row.type != TYPE_U32 and row.type != TYPE_S32 and row.type != TYPE_F32:
        return at[0]
    bits = (<uint32_t> at[row.word_order] << 16) | at[1 - row.word_order]
    if row.type == TYPE_F32:
        memcpy(&single, &bits, 4)
        return single
    return <double> <int32_t> bits if row.type == TYPE_S32 else <double> bits


cdef void obey(Bus bus, Image* image, int64_t done_ns) noexcept nogil:
    """Deliver what the scan committed, and acknowledge it."""
    cdef PlantState* plant = bus.plant.state
    cdef OutputBuffer* buffer
    cdef const ActionRow* action
    cdef double value
    cdef int32_t at
    for at in range(bus.actions_used):
        buffer = &image.output_buffers[at]
        if not output_take(buffer):
            continue
        action = &bus.actions[at]
        value = output_number(&image.output_rows[at], buffer.words[buffer.front]) * action.scale
        if action.kind == COMMAND_STORAGE:
            storage_write(plant, action.index, value)
        elif action.kind == COMMAND_PV:
            pv_write(plant, action.index, value)
        elif action.kind == COMMAND_FLEXIBLE:
            defer_write(plant, value)
        elif action.kind == COMMAND_OPEN:
            open_write(plant, value != 0.0)
        bus.writes += 1
        image.links[image.output_rows[at].device].writes += 1
        store64(&buffer.sent, buffer.commit[buffer.front])
        store64(&buffer.done_ns, done_ns)
        store64(&buffer.done, buffer.commit[buffer.front])


cdef void run(
        Bus bus, KernelState* state, int64_t scans, int64_t start_ns,
        int64_t utc_start_ns) noexcept nogil:
    cdef PlantState* plant = bus.plant.state
    cdef int64_t period_ns = state.row.period_ns
    cdef int64_t latency_ns = period_ns // 20      # request to reply, and commit to reply
    cdef int64_t last = bus.period + scans
    cdef int64_t period, now_ns, utc_ns
    for period in range(bus.period, last):
        now_ns = start_ns + period * period_ns
        utc_ns = utc_start_ns + period * period_ns
        plant_step(plant, period_ns, utc_ns)
        encode(bus, 0, bus.fast_slots)
        bus.slow_ns += period_ns
        if bus.slow_ns >= SECOND_NS:
            bus.slow_ns = 0
            bus.seconds += 1
            encode(bus, bus.fast_slots, bus.slots_used)
            state.carbon_g_per_kwh = plant.signals[SIGNAL_CARBON_G_PER_KWH]
            state.carbon_expiry_ns = now_ns + CARBON_HOLDS_NS
        publish(bus, &state.image, period, now_ns - latency_ns)
        scan_cycle(state, now_ns, utc_ns, period, 0)
        obey(bus, &state.image, now_ns + latency_ns)
    bus.period = last


cdef class Bus:
    """One site's simulated bus: the plant, its points' slots and its outputs' actions."""

    def __init__(
            self, Plant plant, const SlotRow[::1] slots, const ActionRow[::1] actions,
            uint16_t[::1] shadow, const int32_t[::1] block_words, const uint8_t[::1] block_fast):
        """Bind a plant to one site's blocks and outputs.

        slots        one a point, fast ones first; words within the shadow
        actions      one an output, in the outputs' order
        shadow       every block's words; constants are in it already
        block_words  where each block starts in the shadow
        block_fast   1 for a block with a fast slot in it

        Raises ValueError for a slot outside the shadow or the plant's signals.
        """
        cdef int32_t at
        for at in range(slots.shape[0]):
            if not (0 <= slots[at].signal < plant.state.signals_used
                    and 0 <= slots[at].word <= shadow.shape[0] - 4):
                raise ValueError(
                    f"slot {at}: signal {slots[at].signal}, word {slots[at].word}; the plant has "
                    f"{plant.state.signals_used} signals and the shadow {shadow.shape[0]} words, "
                    "the last 4 of them spare")
        self.plant = plant
        cdef int32_t[::1] copied = numpy.zeros(3 * block_words.shape[0] + 1, dtype=numpy.int32)
        cdef uint8_t[::1] silent = numpy.zeros(block_words.shape[0] + 1, dtype=numpy.uint8)
        self.held = (slots, actions, shadow, block_words, block_fast, copied, silent)
        self.copied = &copied[0]
        self.silent = &silent[0]
        self.block_fast = &block_fast[0] if block_fast.shape[0] else NULL
        self.slots = &slots[0] if slots.shape[0] else NULL
        self.slots_used = slots.shape[0]
        self.fast_slots = sum(slots[at].fast for at in range(slots.shape[0]))
        self.actions = &actions[0] if actions.shape[0] else NULL
        self.actions_used = actions.shape[0]
        self.shadow = &shadow[0]
        self.block_words = &block_words[0] if block_words.shape[0] else NULL
        self.slow_ns = SECOND_NS                   # the first scan encodes everything
        plant.hear()

    def encode_all(self):
        """Bring every slot's words up to date; simulate() does so by itself."""
        encode(self, 0, self.slots_used)

    def silence(self, int block, bint on):
        """Have a block answer nothing any more, or again.

        Raises IndexError for a block that is not there.
        """
        if not 0 <= block < len(self.held[3]):
            raise IndexError(f"bus: block {block} of {len(self.held[3])}")
        self.silent[block] = on

    def words(self, int first, int count):
        """Words of the shadow, for tests."""
        return list(self.held[2][first:first + count])


def simulate(Kernel kernel, Bus bus, int64_t scans, int64_t start_ns, int64_t utc_start_ns):
    """Run plant and kernel for so many scans; a further call goes on where this one ended.

    kernel        over the same tables as the bus
    scans         how many
    start_ns      monotonic of period 0, above 0
    utc_start_ns  UTC of period 0

    Raises ValueError where the kernel has another number of blocks or outputs than the bus,
    or the plant has no boundary table.
    """
    cdef KernelState* state = kernel.state
    cdef int32_t at
    if state.image.outputs != bus.actions_used \
            or state.image.blocks != len(bus.held[3]):
        raise ValueError(
            f"the kernel has {state.image.blocks} blocks and {state.image.outputs} outputs, the "
            f"bus {len(bus.held[3])} and {bus.actions_used}; both must come from one site")
    if bus.plant.state.table == NULL:
        raise ValueError("plant: no boundary table; call load() before simulate()")
    if state.scans == 0:         # another kernel at the same plant: its buffers are empty
        for at in range(3 * state.image.blocks):
            bus.copied[at] = -1
    for at in range(state.image.devices):
        state.image.links[at].connected = 1
        state.image.links[at].identified = 1
        state.image.links[at].writable = 1
    with nogil:
        run(bus, state, scans, start_ns, utc_start_ns)


cdef SlotRow slot_row
cdef ActionRow action_row
SLOT_DTYPE = numpy.asarray(<SlotRow[:1]> &slot_row).dtype
ACTION_DTYPE = numpy.asarray(<ActionRow[:1]> &action_row).dtype
