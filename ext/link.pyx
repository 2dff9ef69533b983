"""One link of the Modbus master: a TCP connection with one or more devices (units) behind it.

A link goes DOWN -> CONNECTING -> SETTLING -> READY <-> WAITING. When it is
READY it sends, in this order: a write that waits, an identity probe, a read
that is due. Nothing here blocks, and nothing done for one link waits for
another.

A reply is believed only if modbus_check agrees with the one request that is
outstanding. A reply to a request given up earlier is counted and dropped; one
that answers nothing we remember closes the connection. A write is sent once:
its fate is told to the scan, which reads back and decides.
"""

from libc.errno cimport errno
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from edgectl._kernel.atomic cimport store64
from edgectl._kernel.fieldbus cimport (
    LATE_IDS_MAX, LINK_CONNECTING, LINK_DOWN, LINK_READY, LINK_SETTLING, LINK_WAITING,
    REQUEST_PROBE, REQUEST_READ, REQUEST_WRITE, Bus, BusDevice, BusDeviceRow, Framer, Link,
    LinkRow, ProbeRow, RequestKind)
from edgectl._kernel.modbus cimport (
    ADU_BYTES_MAX, FRAME_BROKEN, FRAME_PARTIAL, MODBUS_EXCEPTION, MODBUS_OK,
    MODBUS_OTHER_TRANSACTION, FrameStatus, ModbusStatus, modbus_check, modbus_encode, modbus_frame)
from edgectl._kernel.process_image cimport (
    BLOCK_WORDS_MAX, BlockBuffer, DeviceLink, OutputBuffer, OutputRow, block_fault,
    block_publish, output_take)
from edgectl._kernel.quality cimport REASON_COMMUNICATION, REASON_CONFIGURATION, Reason
from edgectl._kernel.sockets cimport (
    EAGAIN, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, MSG_NOSIGNAL, close,
    edgectl_connect, edgectl_connect_error, edgectl_watch, recv, send)

cdef enum:
    USER_TIMEOUT_MS = 3000       # a half-open connection is noticed in seconds
    BACKOFF_MIN_MS = 200
    BACKOFF_MAX_MS = 5000        # capped near seconds: a cabinet must come back by itself
    GOOD_TO_RESET = 3            # replies in a row that reset the back-off
    UNIT_FAILURES_TO_HOLD = 2    # on a shared link, then its other units go first
    UNIT_HOLD_MS = 1000
    REFUSED_HOLD_MS = 10000      # an unknown device or an illegal address is asked again this late
    NS_PER_MS = 1000000
    EXCEPTION_CONFIGURATION_MAX = 3   # MAP 7: illegal function, address, value


cdef void arm_timer(Bus* bus, Link* link, int64_t deadline_ns) noexcept nogil:
    """Give a link a deadline, and keep the bus's earliest."""
    link.deadline_ns = deadline_ns
    if deadline_ns < bus.timer_ns:
        bus.timer_ns = deadline_ns


cdef int64_t jittered_ns(Link* link, int64_t base_ns) noexcept nogil:
    """base_ns with +-50 % of jitter (xorshift64), so that links do not come back together."""
    link.random ^= link.random << 13
    link.random ^= link.random >> 7
    link.random ^= link.random << 17
    return base_ns // 2 + <int64_t> (link.random % <uint64_t> base_ns)


cdef void link_fault(Bus* bus, int32_t at, Reason reason) noexcept nogil:
    """Tell the scan that every block behind a link has no communication."""
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef int32_t device, block
    for device in range(row.first_device, row.first_device + row.devices):
        store64(&bus.image.links[device].connected, 0)
        store64(&bus.image.links[device].identified, 0)
        bus.devices[device].probes_agreed = 0
        bus.devices[device].failures_in_row = 0
        for block in range(bus.device_rows[device].first_block,
                           bus.device_rows[device].first_block + bus.device_rows[device].blocks):
            if bus.image.links[device].refused == 0:
                block_fault(&bus.image.block_buffers[block], reason)


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


cdef void link_down(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Close a link and try again after a growing, jittered time."""
    cdef Link* link = &bus.links[at]
    if link.state == LINK_WAITING and link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, False, now_ns)
    if link.fd >= 0:
        close(link.fd)
        link.fd = -1
    link.state = LINK_DOWN
    link.gap = False
    link.framer.fill = 0
    link.failures_in_row = 0
    link.good_in_row = 0
    memset(link.late_known, 0, sizeof(link.late_known))
    link_fault(bus, at, REASON_COMMUNICATION)
    arm_timer(bus, link, now_ns + jittered_ns(link, link.backoff_ns))
    link.backoff_ns *= 2
    if link.backoff_ns > <int64_t> BACKOFF_MAX_MS * NS_PER_MS:
        link.backoff_ns = <int64_t> BACKOFF_MAX_MS * NS_PER_MS


cdef void link_connect(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Start to connect; whether it worked is told by epoll or by the deadline."""
    cdef Link* link = &bus.links[at]
    cdef const LinkRow* row = &bus.link_rows[at]
    link.fd = edgectl_connect(row.ipv4, row.port, USER_TIMEOUT_MS)
    if link.fd < 0 or edgectl_watch(bus.epoll_fd, EPOLL_CTL_ADD, link.fd, EPOLLOUT, at) < 0:
        link_down(bus, at, now_ns)
        return
    link.state = LINK_CONNECTING
    arm_timer(bus, link, now_ns + row.connect_timeout_ns)


cdef void link_connected(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """The connection stands: settle, then identify every device behind it."""
    cdef Link* link = &bus.links[at]
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef int32_t device
    if edgectl_connect_error(link.fd) != 0 \
            or edgectl_watch(bus.epoll_fd, EPOLL_CTL_MOD, link.fd, EPOLLIN, at) < 0:
        link_down(bus, at, now_ns)
        return
    for device in range(row.first_device, row.first_device + row.devices):
        store64(&bus.image.links[device].connected, 1)
        bus.image.links[device].connects += 1
        bus.devices[device].probes_agreed = 0
        bus.devices[device].hold_until_ns = 0
        device_agreed(bus, device, now_ns)
    link.state = LINK_SETTLING
    arm_timer(bus, link, now_ns + row.settle_ns)
    if row.settle_ns == 0:
        link.state = LINK_READY
        link_next(bus, at, now_ns)


cdef void device_agreed(Bus* bus, int32_t device, int64_t now_ns) noexcept nogil:
    """Once all probes agreed the device may be written; what waited from before is dropped.

    A commit made for the connection before is not applied to this one: the
    scan reads back and commits again.
    """
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef int32_t output
    if bus.devices[device].probes_agreed < row.probes:
        return
    for output in range(row.first_output, row.first_output + row.outputs):
        if output_take(&bus.image.output_buffers[output]):
            output_fate(bus, output, False, now_ns)
    store64(&bus.image.links[device].refused, 0)
    store64(&bus.image.links[device].identified, 1)


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


cdef void device_refuse(Bus* bus, int32_t device, int64_t now_ns) noexcept nogil:
    """Another device than the profile says: never written, its values are no values."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef int32_t block
    store64(&bus.image.links[device].refused, 1)
    store64(&bus.image.links[device].identified, 0)
    bus.devices[device].probes_agreed = 0
    bus.devices[device].hold_until_ns = now_ns + <int64_t> REFUSED_HOLD_MS * NS_PER_MS
    for block in range(row.first_block, row.first_block + row.blocks):
        block_fault(&bus.image.block_buffers[block], REASON_CONFIGURATION)


cdef bint link_send(
    Bus* bus, int32_t at, int32_t device, RequestKind kind, int32_t item,
    const uint16_t* words, int64_t now_ns) noexcept nogil:
    """Send link.request, filled but for unit and transaction; false when the link broke."""
    cdef Link* link = &bus.links[at]
    cdef uint8_t frame[ADU_BYTES_MAX]
    cdef int32_t length

    link.transaction += 1
    link.request.transaction = link.transaction
    link.request.unit = bus.device_rows[device].unit
    link.request.any_unit = bus.device_rows[device].any_unit
    link.kind, link.device, link.item = kind, device, item
    link.turn = device
    link.sent_ns = now_ns
    length = modbus_encode(frame, &link.request, words)
    link.state = LINK_WAITING
    if send(link.fd, frame, length, MSG_NOSIGNAL) != length:
        link_down(bus, at, now_ns)
        return False
    bus.image.links[device].requests += 1
    bus.transactions += 1
    arm_timer(bus, link, now_ns + bus.device_rows[device].timeout_ns)
    return True


cdef bint send_write(Bus* bus, int32_t at, int32_t device, int64_t now_ns) noexcept nogil:
    """Send a commit that waits for this device, if there is one."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef Link* link = &bus.links[at]
    cdef const OutputRow* output_row
    cdef OutputBuffer* buffer
    cdef int32_t output

    if bus.image.links[device].identified == 0:
        return False
    for output in range(row.first_output, row.first_output + row.outputs):
        buffer = &bus.image.output_buffers[output]
        if not output_take(buffer):
            continue
        output_row = &bus.image.output_rows[output]
        link.request.function = output_row.function
        link.request.address = output_row.address
        link.request.count = output_row.count
        link.request.value = buffer.words[buffer.front][0]
        store64(&buffer.sent, buffer.commit[buffer.front])
        link_send(bus, at, device, REQUEST_WRITE, output, buffer.words[buffer.front], now_ns)
        return True
    return False


cdef bint send_probe(Bus* bus, int32_t at, int32_t device, int64_t now_ns) noexcept nogil:
    """Send the next identity probe of a device that is not identified, if any."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef const ProbeRow* probe
    cdef Link* link = &bus.links[at]
    cdef int32_t item = row.first_probe + bus.devices[device].probes_agreed

    if bus.image.links[device].identified == 1 or bus.devices[device].hold_until_ns > now_ns:
        return False
    probe = &bus.probe_rows[item]
    link.request.function = probe.function
    link.request.address = probe.address
    link.request.count = probe.count
    link_send(bus, at, device, REQUEST_PROBE, item, NULL, now_ns)
    return True


cdef bint send_read(Bus* bus, int32_t at, int32_t device, int64_t now_ns) noexcept nogil:
    """Send the next read that is due, if any."""
    cdef const BusDeviceRow* row = &bus.device_rows[device]
    cdef Link* link = &bus.links[at]
    cdef int32_t block

    if bus.image.links[device].identified == 0 or bus.devices[device].hold_until_ns > now_ns:
        return False
    for block in range(row.first_block, row.first_block + row.blocks):
        if not bus.block_due[block]:
            continue
        bus.block_due[block] = False
        if bus.block_hold_ns[block] > now_ns:
            continue
        link.request.function = bus.image.block_rows[block].function
        link.request.address = bus.image.block_rows[block].address
        link.request.count = bus.image.block_rows[block].count
        link_send(bus, at, device, REQUEST_READ, block, NULL, now_ns)
        return True
    return False


cdef void link_next(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Send what comes next on a READY link: writes of all its devices, then probes, then reads."""
    cdef Link* link = &bus.links[at]
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef int32_t step, device

    if link.state != LINK_READY or link.gap:
        return
    for step in range(row.devices):
        if send_write(bus, at, row.first_device + step, now_ns):
            return
    for step in range(row.devices):
        device = row.first_device + (link.turn - row.first_device + 1 + step) % row.devices
        if send_probe(bus, at, device, now_ns) or send_read(bus, at, device, now_ns):
            return


cdef void link_free(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """A request ended: keep the device's gap, then send the next."""
    cdef Link* link = &bus.links[at]
    link.state = LINK_READY
    if bus.link_rows[at].gap_ns > 0:
        link.gap = True
        arm_timer(bus, link, now_ns + bus.link_rows[at].gap_ns)
        return
    link_next(bus, at, now_ns)


cdef void request_failed(Bus* bus, int32_t at, Reason reason, int64_t now_ns) noexcept nogil:
    """The outstanding request ended without a believable answer."""
    cdef Link* link = &bus.links[at]
    cdef BusDevice* device = &bus.devices[link.device]

    if link.kind == REQUEST_READ:
        block_fault(&bus.image.block_buffers[link.item], reason)
    elif link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, False, now_ns)
    device.failures_in_row += 1
    if bus.link_rows[at].devices > 1 and device.failures_in_row >= UNIT_FAILURES_TO_HOLD:
        device.hold_until_ns = now_ns + <int64_t> UNIT_HOLD_MS * NS_PER_MS
    link.good_in_row = 0
    link.failures_in_row += 1
    if link.failures_in_row >= bus.link_rows[at].timeouts_to_close:
        link.state = LINK_READY
        link_down(bus, at, now_ns)
        return
    link_free(bus, at, now_ns)


cdef void request_timed_out(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Give the outstanding request up and remember its id, should the answer come late.

    The received part of a frame is kept: the rest of it will come, and it is
    then a late reply and no riddle.
    """
    cdef Link* link = &bus.links[at]
    bus.image.links[link.device].timeouts += 1
    link.late_ids[link.late_at] = link.request.transaction
    link.late_known[link.late_at] = True
    link.late_at = (link.late_at + 1) % LATE_IDS_MAX
    request_failed(bus, at, REASON_COMMUNICATION, now_ns)


cdef void request_answered(
    Bus* bus, int32_t at, const uint16_t* words, int64_t now_ns) noexcept nogil:
    """A checked reply to the outstanding request."""
    cdef Link* link = &bus.links[at]
    cdef DeviceLink* state = &bus.image.links[link.device]
    cdef BlockBuffer* buffer

    state.replies += 1
    state.round_trip_ns = now_ns - link.sent_ns
    if state.round_trip_ns > state.round_trip_max_ns:
        state.round_trip_max_ns = state.round_trip_ns
    store64(&state.good_ns, now_ns)
    bus.devices[link.device].failures_in_row = 0
    link.failures_in_row = 0
    link.good_in_row += 1
    if link.good_in_row >= GOOD_TO_RESET:
        link.backoff_ns = <int64_t> BACKOFF_MIN_MS * NS_PER_MS
    if link.kind == REQUEST_READ:
        buffer = &bus.image.block_buffers[link.item]
        memcpy(buffer.words[buffer.back], words, link.request.count * sizeof(uint16_t))
        block_publish(buffer, now_ns)
    elif link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, True, now_ns)
    elif probe_agrees(&bus.probe_rows[link.item], words):
        bus.devices[link.device].probes_agreed += 1
        device_agreed(bus, link.device, now_ns)
    else:
        device_refuse(bus, link.device, now_ns)
    link_free(bus, at, now_ns)


cdef void request_refused(Bus* bus, int32_t at, uint8_t exception, int64_t now_ns) noexcept nogil:
    """An exception reply: the device is there and says no (MAP 7).

    What it calls illegal is asked again in seconds, in case it was changed;
    what it is too busy for, after a second.
    """
    cdef Link* link = &bus.links[at]
    cdef DeviceLink* state = &bus.image.links[link.device]
    cdef Reason reason = REASON_COMMUNICATION
    cdef int64_t hold_ns = now_ns + <int64_t> UNIT_HOLD_MS * NS_PER_MS

    state.exceptions += 1
    store64(&state.good_ns, now_ns)
    if exception <= EXCEPTION_CONFIGURATION_MAX:
        reason = REASON_CONFIGURATION
        hold_ns = now_ns + <int64_t> REFUSED_HOLD_MS * NS_PER_MS
        if link.kind == REQUEST_PROBE:
            device_refuse(bus, link.device, now_ns)
    link.failures_in_row = 0
    if link.kind == REQUEST_READ:
        block_fault(&bus.image.block_buffers[link.item], reason)
        bus.block_hold_ns[link.item] = hold_ns
    elif link.kind == REQUEST_WRITE:
        output_fate(bus, link.item, False, now_ns)
    elif reason == REASON_COMMUNICATION:
        bus.devices[link.device].hold_until_ns = hold_ns
    link_free(bus, at, now_ns)


cdef bint is_late(Link* link, uint16_t transaction) noexcept nogil:
    """Whether the id is of a request given up earlier; each is known once."""
    cdef int32_t at
    for at in range(LATE_IDS_MAX):
        if link.late_known[at] and link.late_ids[at] == transaction:
            link.late_known[at] = False
            return True
    return False


cdef void frame_arrived(Bus* bus, int32_t at, int32_t length, int64_t now_ns) noexcept nogil:
    """Hold one whole frame, at the start of the framer, against what is outstanding."""
    cdef Link* link = &bus.links[at]
    cdef const uint8_t* frame = link.framer.bytes
    cdef uint16_t words[BLOCK_WORDS_MAX]
    cdef uint8_t exception = 0
    cdef uint16_t transaction = (<uint16_t> frame[0] << 8) | frame[1]
    cdef ModbusStatus status = MODBUS_OTHER_TRANSACTION

    if link.state == LINK_WAITING:
        status = modbus_check(frame, length, &link.request, words, &exception)
    if status == MODBUS_OK:
        request_answered(bus, at, words, now_ns)
    elif status == MODBUS_EXCEPTION:
        request_refused(bus, at, exception, now_ns)
    elif status != MODBUS_OTHER_TRANSACTION:
        bus.image.links[link.device].bad_replies += 1
        request_failed(bus, at, REASON_COMMUNICATION, now_ns)
    elif is_late(link, transaction):
        bus.image.links[link.device].late_replies += 1
    else:
        bus.image.links[link.device].bad_replies += 1
        link_down(bus, at, now_ns)


cdef void link_readable(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Take what came and consume every whole frame in it."""
    cdef Link* link = &bus.links[at]
    cdef Framer* framer = &link.framer
    cdef int32_t fd = link.fd
    cdef int32_t length, consumed
    cdef FrameStatus status
    cdef ssize_t count = recv(
        fd, framer.bytes + framer.fill, ADU_BYTES_MAX - framer.fill, 0)

    if count <= 0:
        if count < 0 and errno == EAGAIN:
            return
        link_down(bus, at, now_ns)
        return
    framer.fill += <int32_t> count
    while framer.fill > 0:
        status = modbus_frame(framer.bytes, framer.fill, &length)
        if status == FRAME_PARTIAL:
            return
        if status == FRAME_BROKEN:
            bus.image.links[link.device].bad_replies += 1
            link_down(bus, at, now_ns)
            return
        consumed = length
        frame_arrived(bus, at, length, now_ns)
        if link.fd != fd or framer.fill < consumed:
            return
        framer.fill -= consumed
        memmove(framer.bytes, framer.bytes + consumed, framer.fill)


cdef void link_expired(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """A link's deadline has passed: what that means depends on its state."""
    cdef Link* link = &bus.links[at]
    link.deadline_ns = INT64_MAX
    if link.state == LINK_DOWN:
        link_connect(bus, at, now_ns)
    elif link.state == LINK_CONNECTING:
        link_down(bus, at, now_ns)
    elif link.state == LINK_WAITING:
        request_timed_out(bus, at, now_ns)
    else:
        link.state = LINK_READY
        link.gap = False
        link_next(bus, at, now_ns)


cdef void link_start(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Bring a link from nothing to its first attempt to connect."""
    cdef Link* link = &bus.links[at]
    link.fd = -1
    link.deadline_ns = INT64_MAX
    link.turn = bus.link_rows[at].first_device
    link.random = <uint64_t> 88172645463325252 ^ <uint64_t> (now_ns + at + 1)
    link.backoff_ns = <int64_t> BACKOFF_MIN_MS * NS_PER_MS
    link_connect(bus, at, now_ns)


cdef void link_stop(Bus* bus, int32_t at) noexcept nogil:
    """Close a link for good."""
    if bus.links[at].fd >= 0:
        close(bus.links[at].fd)
        bus.links[at].fd = -1
        bus.links[at].state = LINK_DOWN
