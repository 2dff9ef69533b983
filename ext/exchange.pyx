"""One request and its outcome: what a link asks next, and what an answer means for a device.

The order is: a write that waits, then the devices in turn, each with a probe it
still owes or its next block that is due. So no device or block keeps another
from its turn. Writes go before reads, but never more in a row than the link has
outputs while a read waits; docs/schedule.md counts them.

A device that takes several requests at once is asked for several blocks, each of
them once. Whatever is not a read goes alone: it waits until nothing is
outstanding, and nothing is sent beside it. So a value read back was asked for
after the write was answered, however the device orders its work.

A write is sent once: its fate is told to the scan, which reads back and
decides. A device that falls silent behind a link that others share is left
alone for a while, and is asked who it is when it comes back.

On a serial line nothing tells a late reply from the next of the same length.
So after a lost reply, and when a port was opened, a unit is first asked for as
many registers as nothing else of it is ever asked for. A unit answers in order:
once that reply is there, the lost one came before it or never comes. Until then
nothing of the unit is believed, and nothing is written to it. Three such lengths
have turns, so that the reply to one that was lost as well is not taken for it.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

from edgectl._kernel.atomic cimport load32, store64
from edgectl._kernel.fieldbus cimport (
    FIRMWARE_NONE, LINK_SERIAL, OUTSTANDING_MAX, REQUEST_PROBE, REQUEST_READ, REQUEST_SYNC,
    REQUEST_WRITE, SYNC_COUNTS, Bus, BusDevice, BusDeviceRow, Exchange, Link, LinkRow, ProbeRow,
    RequestKind)
from edgectl._kernel.identity cimport in_ranges, probe_agrees, version_key
from edgectl._kernel.process_image cimport (
    BUFFER_NEW, BlockBuffer, DeviceLink, OutputBuffer, OutputRow, block_fault, block_publish,
    output_take)
from edgectl._kernel.quality cimport REASON_COMMUNICATION, REASON_CONFIGURATION, Reason

cdef enum:
    UNIT_FAILURES_TO_HOLD = 2    # on a shared link, then its other units go first
    UNIT_HOLD_MIN_MS = 1000
    UNIT_HOLD_MAX_MS = 8000      # capped near seconds: a cabinet must come back by itself
    HOLD_TIMEOUTS = 8            # a silent unit takes no more than a ninth of the link's time
    REFUSED_HOLD_MS = 10000      # an unknown device or an illegal address is asked again this late
    NS_PER_MS = 1000000
    EXCEPTION_CONFIGURATION_MAX = 3   # MAP 7: illegal function, address, value
    MUTE_WRITES = 1
    MUTE_ALL = 2
    SYNCS_MAX = 4                # unanswered, with holds of 1, 2 and 4 s between: then nothing that
                                 # was lost can still come, and a unit that ignores them is asked on


cdef void output_fate(Bus* bus, int32_t output, bint acknowledged, int64_t now_ns) noexcept nogil:
    """Tell the scan what became of the write in the front buffer."""
    cdef OutputBuffer* buffer = &bus.image.output_buffers[output]
    cdef DeviceLink* state = &bus.image.links[bus.image.output_rows[output].device]
    if acknowledged:
        state.writes += 1
    else:
        state.write_failures += 1
        store64(&buffer.failed, buffer.failed + 1)
    store64(&buffer.done_ns, now_ns)
    store64(&buffer.done, buffer.commit[buffer.front])


cdef void device_forget(Bus* bus, int32_t device) noexcept nogil:
    """Who the device is must be asked anew."""
    cdef DeviceLink* state = &bus.image.links[device]
    bus.devices[device].probes_agreed = 0
    bus.devices[device].in_range = True
    store64(&state.writable, 0)
    store64(&state.identified, 0)


cdef void device_agreed(Bus* bus, int32_t device, int64_t now_ns) noexcept nogil:
    """Once all probes agreed the device may be used; what waited from before is dropped.

    A commit made for the connection before is not applied to this one: the
    scan reads back and commits again. It may be written to if its firmware is
    one that the profile holds for, too.
    """
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef int32_t output
    if bus.devices[device].probes_agreed < row.probes:
        return
    for output in range(row.first_output, row.first_output + row.outputs):
        if output_take(&bus.image.output_buffers[output]):
            output_fate(bus, output, False, now_ns)
    bus.devices[device].hold_until_ns = now_ns
    store64(&bus.image.links[device].refused, 0)
    store64(&bus.image.links[device].identified, 1)
    store64(&bus.image.links[device].writable, bus.devices[device].in_range)


cdef void device_fault(Bus* bus, int32_t device, Reason reason) noexcept nogil:
    """Tell the scan that nothing of the device can be believed, and why."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef int32_t block
    for block in range(row.first_block, row.first_block + row.blocks):
        block_fault(&bus.image.block_buffers[block], reason)


cdef void device_refuse(Bus* bus, int32_t device, int64_t now_ns) noexcept nogil:
    """Another device than the profile says: never written, its values are no values."""
    store64(&bus.image.links[device].refused, 1)
    device_forget(bus, device)
    bus.devices[device].hold_until_ns = now_ns + <int64_t> REFUSED_HOLD_MS * NS_PER_MS
    device_fault(bus, device, REASON_CONFIGURATION)


cdef void device_hold(Bus* bus, int32_t device) noexcept nogil:
    """Leave a silent unit of a shared link alone, longer each time."""
    cdef BusDevice* state = &bus.devices[device]
    cdef int64_t least_ns = HOLD_TIMEOUTS * bus.device_rows[device].timeout_ns
    cdef int64_t most_ns = <int64_t> UNIT_HOLD_MAX_MS * NS_PER_MS
    if least_ns < <int64_t> UNIT_HOLD_MIN_MS * NS_PER_MS:
        least_ns = <int64_t> UNIT_HOLD_MIN_MS * NS_PER_MS
    if most_ns < least_ns:
        most_ns = least_ns
    state.hold_ns = 2 * state.hold_ns if state.hold_ns > 0 else least_ns
    if state.hold_ns > most_ns:
        state.hold_ns = most_ns
    if bus.device_rows[device].probes > 0:
        device_forget(bus, device)
    device_fault(bus, device, REASON_COMMUNICATION)


cdef void choose(
    Bus* bus, Exchange* asked, int32_t device, RequestKind kind, int32_t item) noexcept nogil:
    """Note whom the request is for; function, address and count are the caller's."""
    asked.kind, asked.device, asked.item = kind, device, item
    asked.words = NULL
    asked.request.unit = bus.device_rows[device].unit
    asked.request.any_unit = bus.device_rows[device].any_unit


cdef bint may_write(Bus* bus, int32_t device, int64_t now_ns) noexcept nogil:
    """Whether the device is one that is written to, now."""
    cdef const BusDevice* state = &bus.devices[device]
    return bus.image.links[device].writable != 0 and load32(&state.mute) < MUTE_WRITES \
        and state.quarantine_ns <= now_ns and state.unsynced == 0


cdef bint write_waits(Bus* bus, const LinkRow* row, int64_t now_ns) noexcept nogil:
    """Whether any_write would find a commit on this link. It takes none."""
    cdef const BusDeviceRow* device_row
    cdef int32_t device, output
    for device in range(row.first_device, row.first_device + row.devices):
        device_row = &bus.device_rows[device]
        for output in range(device_row.first_output, device_row.first_output + device_row.outputs):
            if load32(&bus.image.output_buffers[output].middle) & BUFFER_NEW \
                    and may_write(bus, device, now_ns):
                return True
    return False


cdef bint choose_write(Bus* bus, Exchange* asked, int32_t device, int64_t now_ns) noexcept nogil:
    """Take a commit that waits for this device, if there is one."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef const OutputRow* output_row
    cdef OutputBuffer* buffer
    cdef int32_t output

    if not may_write(bus, device, now_ns):
        return False
    for output in range(row.first_output, row.first_output + row.outputs):
        buffer = &bus.image.output_buffers[output]
        if not output_take(buffer):
            continue
        if buffer.withdrawn[buffer.front]:
            output_fate(bus, output, False, now_ns)
            continue
        output_row = &bus.image.output_rows[output]
        choose(bus, asked, device, REQUEST_WRITE, output)
        asked.request.function = output_row.function
        asked.request.address = output_row.address
        asked.request.count = output_row.count
        asked.request.value = buffer.words[buffer.front][0]
        asked.words = buffer.words[buffer.front]
        store64(&buffer.sent, buffer.commit[buffer.front])
        return True
    return False


cdef void choose_sync(Bus* bus, Exchange* asked, int32_t device) noexcept nogil:
    """Take the read that tells what was lost from what comes."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef BusDevice* state = &bus.devices[device]
    state.sync_turn = (state.sync_turn + 1) % SYNC_COUNTS
    choose(bus, asked, device, REQUEST_SYNC, 0)
    asked.request.function = row.sync_function
    asked.request.address = row.sync_address
    asked.request.count = row.sync_counts[state.sync_turn]


cdef void choose_probe(Bus* bus, Exchange* asked, int32_t device) noexcept nogil:
    """Take the next probe of a device that is not identified; it has one, or it would be."""
    cdef int32_t item = bus.device_rows[device].first_probe + bus.devices[device].probes_agreed
    cdef const ProbeRow* probe = &bus.probe_rows[item]

    choose(bus, asked, device, REQUEST_PROBE, item)
    asked.request.function = probe.function
    asked.request.address = probe.address
    asked.request.count = probe.count


cdef bint is_awaited(const Link* link, int32_t block) noexcept nogil:
    """Whether a read of this block is outstanding: its replies never overtake each other."""
    cdef int32_t at
    for at in range(OUTSTANDING_MAX):
        if link.exchanges[at].waiting and link.exchanges[at].item == block:
            return True
    return False


cdef bint choose_read(
    Bus* bus, const Link* link, Exchange* asked, int32_t device, int64_t now_ns) noexcept nogil:
    """Take the next block of a device that is due, if any; its blocks have turns as well."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef int32_t step, block

    for step in range(row.blocks):
        block = row.first_block + (bus.devices[device].turn + 1 + step) % row.blocks
        if not bus.block_due[block] or (link.outstanding > 0 and is_awaited(link, block)):
            continue
        bus.block_due[block] = False
        if bus.block_hold_ns[block] > now_ns:
            continue
        bus.devices[device].turn = block - row.first_block
        choose(bus, asked, device, REQUEST_READ, block)
        asked.due_ns = bus.block_due_ns[block]
        if asked.due_ns < bus.devices[device].hold_until_ns:
            asked.due_ns = bus.devices[device].hold_until_ns
        asked.request.function = bus.image.block_rows[block].function
        asked.request.address = bus.image.block_rows[block].address
        asked.request.count = bus.image.block_rows[block].count
        return True
    return False


cdef bint any_write(
    Bus* bus, Link* link, const LinkRow* row, Exchange* asked, int64_t now_ns) noexcept nogil:
    """Take a commit that waits for a device of the link, if there is one."""
    cdef int32_t step
    for step in range(row.devices):
        if choose_write(bus, asked, row.first_device + step, now_ns):
            link.writes_in_row += 1
            return True
    return False


cdef bint any_read(
    Bus* bus, Link* link, const LinkRow* row, Exchange* asked, int64_t now_ns) noexcept nogil:
    """Take what is to be read of the next device in turn, if there is anything."""
    cdef BusDevice* state
    cdef int32_t step, device
    for step in range(row.devices):
        device = row.first_device + (link.turn - row.first_device + 1 + step) % row.devices
        state = &bus.devices[device]
        if state.hold_until_ns > now_ns or state.quarantine_ns > now_ns \
                or load32(&state.mute) >= MUTE_ALL:
            continue
        if state.unsynced > 0:
            choose_sync(bus, asked, device)
        elif bus.image.links[device].identified == 0:
            choose_probe(bus, asked, device)
        elif not choose_read(bus, link, asked, device, now_ns):
            continue
        link.turn = device
        link.writes_in_row = 0
        return True
    return False


cdef bint beside_reads(
    Bus* bus, Link* link, const LinkRow* row, Exchange* asked, int64_t now_ns) noexcept nogil:
    """Take one more read beside those that are outstanding, of the link's only device.

    Not beside anything else, which stands in the first place as it went alone; and not
    while a write waits for them to end: they had their turn after the writes before.
    """
    if link.exchanges[0].waiting and link.exchanges[0].kind != REQUEST_READ:
        return False
    if write_waits(bus, row, now_ns):
        return False
    if bus.image.links[row.first_device].identified == 0:
        return False
    return any_read(bus, link, row, asked, now_ns)


cdef bint exchange_choose(Bus* bus, int32_t at, Exchange* asked, int64_t now_ns) noexcept nogil:
    """Fill the link's next request; false when there is nothing to ask.

    asked  an exchange of the link that does not wait
    """
    cdef Link* link = &bus.links[at]
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef bint had_turns = link.writes_in_row >= link.outputs

    if link.outstanding > 0:
        return beside_reads(bus, link, row, asked, now_ns)
    if not had_turns and any_write(bus, link, row, asked, now_ns):
        return True
    if any_read(bus, link, row, asked, now_ns):
        return True
    return had_turns and any_write(bus, link, row, asked, now_ns)


cdef void exchange_connected(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """The connection stands: every device behind it is to be identified.

    Through a serial port that was opened anew a reply to whoever had it before may come.
    """
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef int32_t device
    for device in range(row.first_device, row.first_device + row.devices):
        store64(&bus.image.links[device].connected, 1)
        bus.image.links[device].connects += 1
        bus.devices[device].probes_agreed = 0
        bus.devices[device].in_range = True
        bus.devices[device].hold_until_ns = 0
        bus.devices[device].quarantine_ns = 0
        bus.devices[device].unsynced = row.kind == LINK_SERIAL
        device_agreed(bus, device, now_ns)


cdef void exchange_lost(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """The connection is gone: tell the scan for every device behind it."""
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef Exchange* asked
    cdef int32_t device, slot
    for slot in range(OUTSTANDING_MAX):
        asked = &bus.links[at].exchanges[slot]
        if asked.waiting and asked.kind == REQUEST_WRITE:
            output_fate(bus, asked.item, False, now_ns)
        asked.waiting = False
    bus.links[at].outstanding = 0
    for device in range(row.first_device, row.first_device + row.devices):
        store64(&bus.image.links[device].connected, 0)
        device_forget(bus, device)
        bus.devices[device].failures_in_row = 0
        if bus.image.links[device].refused == 0:
            device_fault(bus, device, REASON_COMMUNICATION)


cdef void exchange_failed(
    Bus* bus, int32_t at, const Exchange* asked, int64_t now_ns) noexcept nogil:
    """A request ended without a believable answer.

    On a serial line the unit is sent nothing for another timeout, and is then out of step.
    """
    cdef BusDevice* device = &bus.devices[asked.device]
    cdef bint serial = bus.link_rows[at].kind == LINK_SERIAL

    if asked.kind == REQUEST_READ:
        block_fault(&bus.image.block_buffers[asked.item], REASON_COMMUNICATION)
    elif asked.kind == REQUEST_WRITE:
        output_fate(bus, asked.item, False, now_ns)
    if serial:
        device.quarantine_ns = now_ns + bus.device_rows[asked.device].timeout_ns
        device.unsynced = (device.unsynced + 1) % SYNCS_MAX
    device.failures_in_row += 1
    if (serial or bus.link_rows[at].devices > 1) \
            and device.failures_in_row >= UNIT_FAILURES_TO_HOLD:
        device_rest(bus, asked.device, now_ns)


cdef void device_rest(Bus* bus, int32_t device, int64_t now_ns) noexcept nogil:
    """Leave a serial unit alone, until what was lost has come or never will."""
    device_hold(bus, device)
    bus.devices[device].hold_until_ns = now_ns + bus.devices[device].hold_ns


cdef void device_heard(Bus* bus, int32_t device, int64_t now_ns) noexcept nogil:
    """The device said something that is believed."""
    store64(&bus.image.links[device].good_ns, now_ns)
    bus.devices[device].failures_in_row = 0
    bus.devices[device].hold_ns = 0


cdef void probe_answered(
    Bus* bus, const Exchange* asked, const uint16_t* words, int64_t now_ns) noexcept nogil:
    """A probe's reply: the device's identity, or its firmware's version."""
    cdef const ProbeRow* probe = &bus.probe_rows[asked.item]
    cdef uint64_t key
    if probe.decode != FIRMWARE_NONE:
        key = version_key(probe.decode, words, probe.count)
        store64(&bus.image.links[asked.device].firmware, <int64_t> key)
        bus.devices[asked.device].in_range = in_ranges(probe, key)
    elif not probe_agrees(probe, words):
        device_refuse(bus, asked.device, now_ns)
        return
    bus.devices[asked.device].probes_agreed += 1
    device_agreed(bus, asked.device, now_ns)


cdef void exchange_answered(
    Bus* bus, const Exchange* asked, const uint16_t* words, int64_t now_ns) noexcept nogil:
    """A checked reply to a request."""
    cdef DeviceLink* state = &bus.image.links[asked.device]
    cdef BlockBuffer* buffer

    state.replies += 1
    state.round_trip_ns = now_ns - asked.sent_ns
    if state.round_trip_ns > state.round_trip_max_ns:
        state.round_trip_max_ns = state.round_trip_ns
    device_heard(bus, asked.device, now_ns)
    if asked.kind == REQUEST_SYNC:
        bus.devices[asked.device].unsynced = 0
    elif asked.kind == REQUEST_READ:
        state.poll_ns = now_ns - asked.due_ns
        if state.poll_ns > state.poll_max_ns:
            state.poll_max_ns = state.poll_ns
        buffer = &bus.image.block_buffers[asked.item]
        memcpy(buffer.words[buffer.back], words, asked.request.count * sizeof(uint16_t))
        block_publish(buffer, now_ns)
    elif asked.kind == REQUEST_WRITE:
        output_fate(bus, asked.item, True, now_ns)
    else:
        probe_answered(bus, asked, words, now_ns)


cdef void exchange_refused(
    Bus* bus, const Exchange* asked, uint8_t exception, int64_t now_ns) noexcept nogil:
    """An exception reply: the device is there and says no (MAP 7).

    What it calls illegal is asked again in seconds, in case it was changed;
    what it is too busy for, after a second. A device that shows no version
    where the profile has one is read, and not written. An exception to a sync may
    be one to what was lost: it shows the unit in step only where nothing was
    asked of it for a second or longer before.
    """
    cdef bint rested = bus.devices[asked.device].hold_ns > 0
    cdef Reason reason = REASON_COMMUNICATION
    cdef int64_t hold_ns = now_ns + <int64_t> UNIT_HOLD_MIN_MS * NS_PER_MS

    bus.image.links[asked.device].exceptions += 1
    if asked.kind == REQUEST_SYNC and not rested:
        device_rest(bus, asked.device, now_ns)
        return
    device_heard(bus, asked.device, now_ns)
    if exception <= EXCEPTION_CONFIGURATION_MAX:
        reason = REASON_CONFIGURATION
        hold_ns = now_ns + <int64_t> REFUSED_HOLD_MS * NS_PER_MS
    if asked.kind == REQUEST_SYNC:
        bus.devices[asked.device].unsynced = 0
    elif asked.kind == REQUEST_READ:
        block_fault(&bus.image.block_buffers[asked.item], reason)
        bus.block_hold_ns[asked.item] = hold_ns
    elif asked.kind == REQUEST_WRITE:
        output_fate(bus, asked.item, False, now_ns)
    elif reason == REASON_COMMUNICATION:
        bus.devices[asked.device].hold_until_ns = hold_ns
    elif bus.probe_rows[asked.item].decode == FIRMWARE_NONE:
        device_refuse(bus, asked.device, now_ns)
    else:
        bus.devices[asked.device].in_range = False
        bus.devices[asked.device].probes_agreed += 1
        device_agreed(bus, asked.device, now_ns)
