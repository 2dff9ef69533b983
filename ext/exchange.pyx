"""One request and its outcome: what a link asks next, and what an answer means for a device.

The order is: a write that waits, then the devices in turn, each with a probe it
still owes or its next block that is due. So no device or block keeps another
from its turn. Writes go before reads, but never more in a row than the link has
outputs while a read waits; docs/schedule.md counts them.

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

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from edgectl._kernel.atomic cimport load32, store64
from edgectl._kernel.fieldbus cimport (
    FIRMWARE_BYTES, FIRMWARE_NIBBLES, FIRMWARE_NONE, FIRMWARE_TEXT, LINK_SERIAL, LINK_WAITING,
    PROBE_WORDS_MAX, REQUEST_PROBE, REQUEST_READ, REQUEST_SYNC, REQUEST_WRITE, VERSION_PARTS_MAX,
    SYNC_COUNTS, Bus, BusDevice, BusDeviceRow, FirmwareDecode, Link, LinkRow, ProbeRow,
    RequestKind)
from edgectl._kernel.process_image cimport (
    BlockBuffer, DeviceLink, OutputBuffer, OutputRow, block_fault, block_publish, output_take)
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
    PART_MAX = 0xFFFF            # of a version


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


cdef bint probe_agrees(const ProbeRow* probe, const uint16_t* words) noexcept nogil:
    """Whether the reply is one of the probe's alternatives under its mask."""
    cdef int32_t alternative, at
    cdef bint same
    for alternative in range(probe.alternatives):
        same = True
        for at in range(probe.count):
            if (words[at] & probe.mask[at]) != probe.words[alternative][at]:
                same = False
        if same:
            return True
    return False


cdef uint64_t text_version(const uint16_t* words, int32_t count) noexcept nogil:
    """The first numbers in a text of two characters a register, up to a NUL."""
    cdef uint64_t key = 0
    cdef uint32_t part = 0
    cdef int32_t parts = 0
    cdef int32_t at
    cdef uint8_t letter
    cdef bint inside = False
    for at in range(2 * count):
        letter = words[at // 2] & 0xFF if at % 2 else words[at // 2] >> 8
        if letter == 0:
            break
        if 48 <= letter <= 57:   # 0 to 9
            part = (part if inside else 0) * 10 + letter - 48
            part = part if part < PART_MAX else PART_MAX
            inside = True
        elif inside:
            inside = False
            parts += 1
            key = key << 16 | part
            if parts == VERSION_PARTS_MAX:
                return key
    if inside:
        parts += 1
        key = key << 16 | part
    return key << (16 * (VERSION_PARTS_MAX - parts)) if parts > 0 else 0


cdef uint64_t version_key(uint8_t decode, const uint16_t* words, int32_t count) noexcept nogil:
    """A version as one number that orders as versions do: four parts of 16 bits.

    decode  FirmwareDecode, not FIRMWARE_NONE
    words   the registers, `count` of them: at most 4, 2 for bytes, 1 for nibbles
    """
    cdef uint64_t key = 0
    cdef uint64_t word
    cdef int32_t at
    if decode == FIRMWARE_TEXT:
        return text_version(words, count)
    if decode == FIRMWARE_NIBBLES:
        word = words[0]
        return (word >> 12) << 48 | (word >> 8 & 0xF) << 32 | (word & 0xFF) << 16
    for at in range(VERSION_PARTS_MAX):
        key <<= 16
        if decode == FIRMWARE_BYTES and at // 2 < count:
            key |= words[at // 2] & 0xFF if at % 2 else words[at // 2] >> 8
        elif decode != FIRMWARE_BYTES and at < count:
            key |= words[at]
    return key


cdef bint in_ranges(const ProbeRow* probe, uint64_t key) noexcept nogil:
    """Whether the profile holds for a version."""
    cdef int32_t at
    for at in range(probe.ranges):
        if probe.low[at] <= key < probe.high[at]:
            return True
    return False


cdef void choose(
    Bus* bus, Link* link, int32_t device, RequestKind kind, int32_t item) noexcept nogil:
    """Note whom the request is for; function, address and count are the caller's."""
    link.kind, link.device, link.item = kind, device, item
    link.request.unit = bus.device_rows[device].unit
    link.request.any_unit = bus.device_rows[device].any_unit


cdef bint choose_write(Bus* bus, Link* link, int32_t device, int64_t now_ns) noexcept nogil:
    """Take a commit that waits for this device, if there is one."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef const OutputRow* output_row
    cdef OutputBuffer* buffer
    cdef int32_t output

    if bus.image.links[device].writable == 0 or load32(&bus.devices[device].mute) >= MUTE_WRITES \
            or bus.devices[device].quarantine_ns > now_ns or bus.devices[device].unsynced > 0:
        return False
    for output in range(row.first_output, row.first_output + row.outputs):
        buffer = &bus.image.output_buffers[output]
        if not output_take(buffer):
            continue
        if buffer.withdrawn[buffer.front]:
            output_fate(bus, output, False, now_ns)
            continue
        output_row = &bus.image.output_rows[output]
        choose(bus, link, device, REQUEST_WRITE, output)
        link.request.function = output_row.function
        link.request.address = output_row.address
        link.request.count = output_row.count
        link.request.value = buffer.words[buffer.front][0]
        link.words = buffer.words[buffer.front]
        store64(&buffer.sent, buffer.commit[buffer.front])
        return True
    return False


cdef void choose_sync(Bus* bus, Link* link, int32_t device) noexcept nogil:
    """Take the read that tells what was lost from what comes."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef BusDevice* state = &bus.devices[device]
    state.sync_turn = (state.sync_turn + 1) % SYNC_COUNTS
    choose(bus, link, device, REQUEST_SYNC, 0)
    link.request.function = row.sync_function
    link.request.address = row.sync_address
    link.request.count = row.sync_counts[state.sync_turn]


cdef void choose_probe(Bus* bus, Link* link, int32_t device) noexcept nogil:
    """Take the next probe of a device that is not identified; it has one, or it would be."""
    cdef int32_t item = bus.device_rows[device].first_probe + bus.devices[device].probes_agreed
    cdef const ProbeRow* probe = &bus.probe_rows[item]

    choose(bus, link, device, REQUEST_PROBE, item)
    link.request.function = probe.function
    link.request.address = probe.address
    link.request.count = probe.count


cdef bint choose_read(Bus* bus, Link* link, int32_t device, int64_t now_ns) noexcept nogil:
    """Take the next block of a device that is due, if any; its blocks have turns as well."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef int32_t step, block

    for step in range(row.blocks):
        block = row.first_block + (bus.devices[device].turn + 1 + step) % row.blocks
        if not bus.block_due[block]:
            continue
        bus.block_due[block] = False
        if bus.block_hold_ns[block] > now_ns:
            continue
        bus.devices[device].turn = block - row.first_block
        choose(bus, link, device, REQUEST_READ, block)
        link.due_ns = bus.block_due_ns[block]
        if link.due_ns < bus.devices[device].hold_until_ns:
            link.due_ns = bus.devices[device].hold_until_ns
        link.request.function = bus.image.block_rows[block].function
        link.request.address = bus.image.block_rows[block].address
        link.request.count = bus.image.block_rows[block].count
        return True
    return False


cdef bint any_write(Bus* bus, Link* link, const LinkRow* row, int64_t now_ns) noexcept nogil:
    """Take a commit that waits for a device of the link, if there is one."""
    cdef int32_t step
    for step in range(row.devices):
        if choose_write(bus, link, row.first_device + step, now_ns):
            link.writes_in_row += 1
            return True
    return False


cdef bint any_read(Bus* bus, Link* link, const LinkRow* row, int64_t now_ns) noexcept nogil:
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
            choose_sync(bus, link, device)
        elif bus.image.links[device].identified == 0:
            choose_probe(bus, link, device)
        elif not choose_read(bus, link, device, now_ns):
            continue
        link.turn = device
        link.writes_in_row = 0
        return True
    return False


cdef bint exchange_choose(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Fill the link's next request; false when there is nothing to ask."""
    cdef Link* link = &bus.links[at]
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef bint had_turns = link.writes_in_row >= link.outputs

    link.words = NULL
    if not had_turns and any_write(bus, link, row, now_ns):
        return True
    if any_read(bus, link, row, now_ns):
        return True
    return had_turns and any_write(bus, link, row, now_ns)


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
    cdef Link* link = &bus.links[at]
    cdef int32_t device
    if link.state == LINK_WAITING and link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, False, now_ns)
    for device in range(row.first_device, row.first_device + row.devices):
        store64(&bus.image.links[device].connected, 0)
        device_forget(bus, device)
        bus.devices[device].failures_in_row = 0
        if bus.image.links[device].refused == 0:
            device_fault(bus, device, REASON_COMMUNICATION)


cdef void exchange_failed(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """The outstanding request ended without a believable answer.

    On a serial line the unit is sent nothing for another timeout, and is then out of step.
    """
    cdef Link* link = &bus.links[at]
    cdef BusDevice* device = &bus.devices[link.device]
    cdef bint serial = bus.link_rows[at].kind == LINK_SERIAL

    if link.kind == REQUEST_READ:
        block_fault(&bus.image.block_buffers[link.item], REASON_COMMUNICATION)
    elif link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, False, now_ns)
    if serial:
        device.quarantine_ns = now_ns + bus.device_rows[link.device].timeout_ns
        device.unsynced = (device.unsynced + 1) % SYNCS_MAX
    device.failures_in_row += 1
    if (serial or bus.link_rows[at].devices > 1) \
            and device.failures_in_row >= UNIT_FAILURES_TO_HOLD:
        device_rest(bus, link.device, now_ns)


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
    Bus* bus, const Link* link, const uint16_t* words, int64_t now_ns) noexcept nogil:
    """A probe's reply: the device's identity, or its firmware's version."""
    cdef const ProbeRow* probe = &bus.probe_rows[link.item]
    cdef uint64_t key
    if probe.decode != FIRMWARE_NONE:
        key = version_key(probe.decode, words, probe.count)
        store64(&bus.image.links[link.device].firmware, <int64_t> key)
        bus.devices[link.device].in_range = in_ranges(probe, key)
    elif not probe_agrees(probe, words):
        device_refuse(bus, link.device, now_ns)
        return
    bus.devices[link.device].probes_agreed += 1
    device_agreed(bus, link.device, now_ns)


cdef void exchange_answered(
    Bus* bus, int32_t at, const uint16_t* words, int64_t now_ns) noexcept nogil:
    """A checked reply to the outstanding request."""
    cdef Link* link = &bus.links[at]
    cdef DeviceLink* state = &bus.image.links[link.device]
    cdef BlockBuffer* buffer

    state.replies += 1
    state.round_trip_ns = now_ns - link.sent_ns
    if state.round_trip_ns > state.round_trip_max_ns:
        state.round_trip_max_ns = state.round_trip_ns
    device_heard(bus, link.device, now_ns)
    if link.kind == REQUEST_SYNC:
        bus.devices[link.device].unsynced = 0
    elif link.kind == REQUEST_READ:
        state.poll_ns = now_ns - link.due_ns
        if state.poll_ns > state.poll_max_ns:
            state.poll_max_ns = state.poll_ns
        buffer = &bus.image.block_buffers[link.item]
        memcpy(buffer.words[buffer.back], words, link.request.count * sizeof(uint16_t))
        block_publish(buffer, now_ns)
    elif link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, True, now_ns)
    else:
        probe_answered(bus, link, words, now_ns)


cdef void exchange_refused(Bus* bus, int32_t at, uint8_t exception, int64_t now_ns) noexcept nogil:
    """An exception reply: the device is there and says no (MAP 7).

    What it calls illegal is asked again in seconds, in case it was changed;
    what it is too busy for, after a second. A device that shows no version
    where the profile has one is read, and not written. An exception to a sync may
    be one to what was lost: it shows the unit in step only where nothing was
    asked of it for a second or longer before.
    """
    cdef Link* link = &bus.links[at]
    cdef bint rested = bus.devices[link.device].hold_ns > 0
    cdef Reason reason = REASON_COMMUNICATION
    cdef int64_t hold_ns = now_ns + <int64_t> UNIT_HOLD_MIN_MS * NS_PER_MS

    bus.image.links[link.device].exceptions += 1
    if link.kind == REQUEST_SYNC and not rested:
        device_rest(bus, link.device, now_ns)
        return
    device_heard(bus, link.device, now_ns)
    if exception <= EXCEPTION_CONFIGURATION_MAX:
        reason = REASON_CONFIGURATION
        hold_ns = now_ns + <int64_t> REFUSED_HOLD_MS * NS_PER_MS
    if link.kind == REQUEST_SYNC:
        bus.devices[link.device].unsynced = 0
    elif link.kind == REQUEST_READ:
        block_fault(&bus.image.block_buffers[link.item], reason)
        bus.block_hold_ns[link.item] = hold_ns
    elif link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, False, now_ns)
    elif reason == REASON_COMMUNICATION:
        bus.devices[link.device].hold_until_ns = hold_ns
    elif bus.probe_rows[link.item].decode == FIRMWARE_NONE:
        device_refuse(bus, link.device, now_ns)
    else:
        bus.devices[link.device].in_range = False
        bus.devices[link.device].probes_agreed += 1
        device_agreed(bus, link.device, now_ns)


def firmware_key(FirmwareDecode decode, words):
    """A version read from registers as one number, as the bus makes it."""
    cdef uint16_t values[PROBE_WORDS_MAX]
    if not 0 < len(words) <= PROBE_WORDS_MAX:
        raise ValueError(f"{len(words)} registers; 1 to {PROBE_WORDS_MAX} hold a version")
    for at, word in enumerate(words):
        values[at] = word
    return version_key(decode, values, len(words))
