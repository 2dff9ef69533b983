"""One link of the Modbus master: a TCP connection or a serial line, with the devices behind it.

A link goes DOWN -> CONNECTING -> SETTLING -> READY <-> WAITING; a serial line,
whose port Python opens, goes from DOWN to SETTLING. When it is READY it sends
what exchange_choose says: one request, or where the device takes several at
once as many as there are, in one send. Nothing here blocks, and nothing done for
one link waits for another.

A reply is believed only if modbus_check agrees with the outstanding request
whose transaction it carries. Over TCP, a reply to a request given up earlier is
known by its transaction, counted and dropped; one that answers nothing we
remember closes the connection. A serial line has no transactions: there a reply ends with its
CRC, every request waits for 3.5 characters of silence, and what comes when
nothing is outstanding is dropped.
"""

from libc.errno cimport errno
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from edgectl._kernel.atomic cimport exchange32
from edgectl._kernel.exchange cimport (
    exchange_answered, exchange_choose, exchange_connected, exchange_failed, exchange_lost,
    exchange_refused)
from edgectl._kernel.fieldbus cimport (
    LATE_IDS_MAX, LINK_CONNECTING, LINK_DOWN, LINK_READY, LINK_SERIAL, LINK_SETTLING, LINK_WAITING,
    OUTSTANDING_MAX, Bus, Exchange, Framer, Link, LinkRow)
from edgectl._kernel.modbus cimport (
    ADU_BYTES_MAX, FRAME_BROKEN, FRAME_PARTIAL, MODBUS_EXCEPTION, MODBUS_OK,
    MODBUS_OTHER_TRANSACTION, MODBUS_OTHER_UNIT, FrameStatus, ModbusStatus, modbus_check,
    modbus_encode, modbus_frame)
from edgectl._kernel.process_image cimport BLOCK_WORDS_MAX
from edgectl._kernel.rtu cimport rtu_check, rtu_encode, rtu_frame, rtu_reply_bytes
from edgectl._kernel.sockets cimport (
    EAGAIN, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, MSG_NOSIGNAL,
    close, edgectl_connect, edgectl_connect_error, edgectl_watch, read, recv, send, write)

cdef enum:
    USER_TIMEOUT_MS = 3000       # a half-open connection is noticed in seconds
    BACKOFF_MIN_MS = 200
    BACKOFF_MAX_MS = 5000        # capped near seconds: a cabinet must come back by itself
    PORT_WAIT_MS = 100           # between looks for a port that was handed over
    RECEIVE_BYTES = 2340         # all replies that may be on their way, and a part of one before
    RECEIVES_MAX = 32            # of one event: more than all that was asked for can be
    GOOD_TO_RESET = 3            # replies in a row that reset the back-off
    NS_PER_MS = 1000000


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


cdef void link_down(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Close a link and try again after a growing, jittered time."""
    cdef Link* link = &bus.links[at]
    exchange_lost(bus, at, now_ns)
    if link.fd >= 0:
        close(link.fd)
        link.fd = -1
    link.state = LINK_DOWN
    link.gap = False
    link.framer.fill = 0
    link.failures_in_row = 0
    link.good_in_row = 0
    memset(link.late_known, 0, sizeof(link.late_known))
    if bus.link_rows[at].kind == LINK_SERIAL:
        arm_timer(bus, link, now_ns + <int64_t> PORT_WAIT_MS * NS_PER_MS)
        return
    arm_timer(bus, link, now_ns + jittered_ns(link, link.backoff_ns))
    link.backoff_ns *= 2
    if link.backoff_ns > <int64_t> BACKOFF_MAX_MS * NS_PER_MS:
        link.backoff_ns = <int64_t> BACKOFF_MAX_MS * NS_PER_MS


cdef void link_connect(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Start to connect; whether it worked is told by epoll or by the deadline."""
    cdef Link* link = &bus.links[at]
    cdef const LinkRow* row = &bus.link_rows[at]
    if row.kind == LINK_SERIAL:
        take_port(bus, at, now_ns)
        return
    link.fd = edgectl_connect(row.ipv4, row.port, USER_TIMEOUT_MS)
    if link.fd < 0 or edgectl_watch(bus.epoll_fd, EPOLL_CTL_ADD, link.fd, EPOLLOUT, at) < 0:
        link_down(bus, at, now_ns)
        return
    link.state = LINK_CONNECTING
    arm_timer(bus, link, now_ns + row.connect_timeout_ns)


cdef void take_port(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Take over the serial port that was opened for this line, if there is one."""
    cdef Link* link = &bus.links[at]
    cdef int32_t fd = <int32_t> exchange32(&link.offered, 0) - 1
    if fd < 0:
        arm_timer(bus, link, now_ns + <int64_t> PORT_WAIT_MS * NS_PER_MS)
        return
    link.fd = fd
    if edgectl_watch(bus.epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN, at) < 0:
        link_down(bus, at, now_ns)
        return
    link_settle(bus, at, now_ns)


cdef void link_connected(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """The connection stands, or it failed."""
    cdef Link* link = &bus.links[at]
    if edgectl_connect_error(link.fd) != 0 \
            or edgectl_watch(bus.epoll_fd, EPOLL_CTL_MOD, link.fd,
                             EPOLLIN | EPOLLRDHUP | EPOLLET, at) < 0:
        link_down(bus, at, now_ns)
        return
    link_settle(bus, at, now_ns)


cdef void link_settle(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Settle, then identify every device behind the link; a line must be silent first."""
    cdef Link* link = &bus.links[at]
    cdef int64_t settle_ns = bus.link_rows[at].settle_ns + bus.link_rows[at].silence_ns
    exchange_connected(bus, at, now_ns)
    link.state = LINK_SETTLING
    arm_timer(bus, link, now_ns + settle_ns)
    if settle_ns == 0:
        link.state = LINK_READY
        link_next(bus, at, now_ns)


cdef int32_t request_begin(
    Bus* bus, int32_t at, Exchange* asked, uint8_t* frame, int64_t now_ns) noexcept nogil:
    """Write a request's frame; its reply is awaited until the device's timeout.

    frame  room for ADU_BYTES_MAX

    Returns its length, bytes. On a serial line the timeout begins when the
    request is out, and the reply may take the time that its bytes need.
    """
    cdef Link* link = &bus.links[at]
    cdef const LinkRow* row = &bus.link_rows[at]
    cdef int64_t wait_ns = bus.device_rows[asked.device].timeout_ns
    cdef int32_t length

    link.transaction += 1
    asked.request.transaction = link.transaction
    asked.sent_ns = now_ns
    asked.waiting = True
    if row.kind == LINK_SERIAL:
        length = rtu_encode(frame, &asked.request, asked.words)
        link.framer.fill = 0
        wait_ns += (length + rtu_reply_bytes(&asked.request)) * row.char_ns + row.latency_ns
    else:
        length = modbus_encode(frame, &asked.request, asked.words)
    asked.deadline_ns = now_ns + wait_ns
    if link.outstanding == 0 or asked.deadline_ns < link.deadline_ns:
        arm_timer(bus, link, asked.deadline_ns)
    link.outstanding += 1
    link.device = asked.device
    link.state = LINK_WAITING
    bus.image.links[asked.device].requests += 1
    bus.transactions += 1
    return length


cdef Exchange* free_place(Link* link) noexcept nogil:
    """The first of the link's exchanges that does not wait; there is one where one is asked for."""
    cdef int32_t at
    for at in range(OUTSTANDING_MAX - 1):
        if not link.exchanges[at].waiting:
            return &link.exchanges[at]
    return &link.exchanges[OUTSTANDING_MAX - 1]


cdef void link_next(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Send what comes next on a link that has room for it: all at once what may go at once."""
    cdef Link* link = &bus.links[at]
    cdef uint8_t frames[OUTSTANDING_MAX * ADU_BYTES_MAX]
    cdef Exchange* asked
    cdef int32_t length = 0
    cdef int32_t most = bus.link_rows[at].outstanding_max
    cdef ssize_t sent

    if link.state < LINK_READY or link.gap:
        return
    while link.outstanding < most:
        asked = free_place(link)
        if not exchange_choose(bus, at, asked, now_ns):
            break
        length += request_begin(bus, at, asked, frames + length, now_ns)
    if length == 0:
        return
    if bus.link_rows[at].kind == LINK_SERIAL:
        sent = write(link.fd, frames, length)
    else:
        sent = send(link.fd, frames, length, MSG_NOSIGNAL)
    if sent != length:
        link_down(bus, at, now_ns)


cdef void link_free(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """A request ended: keep the device's gap or the line's silence before the next."""
    cdef Link* link = &bus.links[at]
    cdef int64_t gap_ns = bus.link_rows[at].gap_ns
    if bus.link_rows[at].silence_ns > gap_ns:
        gap_ns = bus.link_rows[at].silence_ns
    if link.outstanding == 0:
        link.state = LINK_READY
    if gap_ns > 0:
        link.gap = True
        arm_timer(bus, link, now_ns + gap_ns)


cdef void request_failed(Bus* bus, int32_t at, Exchange* asked, int64_t now_ns) noexcept nogil:
    """A request ended without a believable answer.

    Too many in a row close a connection; those that were on their way together
    count as one. A line stays open: closing it would wake no device.
    """
    cdef Link* link = &bus.links[at]
    asked.waiting = False
    link.outstanding -= 1
    exchange_failed(bus, at, asked, now_ns)
    link.good_in_row = 0
    if asked.sent_ns >= link.failed_ns:
        link.failures_in_row += 1
        link.failed_ns = now_ns
    if bus.link_rows[at].kind != LINK_SERIAL \
            and link.failures_in_row >= bus.link_rows[at].timeouts_to_close:
        link_down(bus, at, now_ns)
        return
    link_free(bus, at, now_ns)


cdef void request_timed_out(Bus* bus, int32_t at, Exchange* asked, int64_t now_ns) noexcept nogil:
    """Give a request up and remember its id, should the answer come late.

    The received part of a TCP frame is kept: the rest of it will come, and it is
    then a late reply and no riddle.
    """
    cdef Link* link = &bus.links[at]
    bus.image.links[asked.device].timeouts += 1
    link.late_ids[link.late_at] = asked.request.transaction
    link.late_known[link.late_at] = True
    link.late_at = (link.late_at + 1) % LATE_IDS_MAX
    request_failed(bus, at, asked, now_ns)


cdef void replies_expired(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Give up what is awaited no longer, and find the earliest deadline of the rest."""
    cdef Link* link = &bus.links[at]
    cdef Exchange* asked
    cdef int32_t slot
    for slot in range(OUTSTANDING_MAX):
        asked = &link.exchanges[slot]
        if asked.waiting and asked.deadline_ns <= now_ns:
            request_timed_out(bus, at, asked, now_ns)
    for slot in range(OUTSTANDING_MAX):
        asked = &link.exchanges[slot]
        if asked.waiting and asked.deadline_ns < link.deadline_ns:
            arm_timer(bus, link, asked.deadline_ns)


cdef void request_done(
    Bus* bus, int32_t at, Exchange* asked, ModbusStatus status, const uint16_t* words,
    uint8_t exception, int64_t now_ns) noexcept nogil:
    """A request was answered, and modbus_check said how."""
    cdef Link* link = &bus.links[at]
    if status != MODBUS_OK and status != MODBUS_EXCEPTION:
        bus.image.links[asked.device].bad_replies += 1
        request_failed(bus, at, asked, now_ns)
        return
    asked.waiting = False
    link.outstanding -= 1
    link.failures_in_row = 0
    if status == MODBUS_OK:
        link.good_in_row += 1
        if link.good_in_row >= GOOD_TO_RESET:
            link.backoff_ns = <int64_t> BACKOFF_MIN_MS * NS_PER_MS
        exchange_answered(bus, asked, words, now_ns)
    else:
        exchange_refused(bus, asked, exception, now_ns)
    link_free(bus, at, now_ns)


cdef bint is_late(Link* link, uint16_t transaction) noexcept nogil:
    """Whether the id is of a request given up earlier; each is known once."""
    cdef int32_t at
    for at in range(LATE_IDS_MAX):
        if link.late_known[at] and link.late_ids[at] == transaction:
            link.late_known[at] = False
            return True
    return False


cdef Exchange* awaiting(Link* link, uint16_t transaction) noexcept nogil:
    """The outstanding request that has this id; NULL when none has."""
    cdef int32_t at
    for at in range(OUTSTANDING_MAX):
        if link.exchanges[at].waiting and link.exchanges[at].request.transaction == transaction:
            return &link.exchanges[at]
    return NULL


cdef void frame_arrived(
    Bus* bus, int32_t at, const uint8_t* frame, int32_t length, int64_t now_ns) noexcept nogil:
    """Hold one whole TCP frame against what is outstanding."""
    cdef Link* link = &bus.links[at]
    cdef uint16_t words[BLOCK_WORDS_MAX]
    cdef uint8_t exception = 0
    cdef uint16_t transaction = (<uint16_t> frame[0] << 8) | frame[1]
    cdef Exchange* asked = awaiting(link, transaction)
    cdef ModbusStatus status

    if asked != NULL:
        status = modbus_check(frame, length, &asked.request, words, &exception)
        request_done(bus, at, asked, status, words, exception, now_ns)
    elif is_late(link, transaction):
        bus.image.links[link.device].late_replies += 1
    else:
        bus.image.links[link.device].bad_replies += 1
        link_down(bus, at, now_ns)


cdef void serial_arrived(Bus* bus, int32_t at, bint begins, int64_t now_ns) noexcept nogil:
    """Hold what a line brought against what is outstanding.

    begins  the line was silent before

    Bytes while nothing is outstanding are a reply given up, or noise: dropped,
    and the line must fall silent anew. A whole frame of another unit is a
    reply given up as well; the outstanding one may still come.
    """
    cdef Link* link = &bus.links[at]
    cdef Framer* framer = &link.framer
    cdef Exchange* asked = &link.exchanges[0]
    cdef uint16_t words[BLOCK_WORDS_MAX]
    cdef uint8_t exception = 0
    cdef int32_t length
    cdef FrameStatus frame
    cdef ModbusStatus status

    if link.state != LINK_WAITING:
        bus.image.links[link.device].late_replies += begins
        framer.fill = 0
        link.gap = True
        arm_timer(bus, link, now_ns + bus.link_rows[at].silence_ns)
        return
    frame = rtu_frame(framer.bytes, framer.fill, &length)
    if frame == FRAME_PARTIAL and framer.fill < ADU_BYTES_MAX:
        return
    if frame == FRAME_PARTIAL or frame == FRAME_BROKEN:
        bus.image.links[link.device].bad_replies += 1
        framer.fill = 0
        request_failed(bus, at, asked, now_ns)
        return
    status = rtu_check(framer.bytes, length, &asked.request, words, &exception)
    framer.fill = 0
    if status == MODBUS_OTHER_UNIT:
        bus.image.links[link.device].late_replies += 1
        return
    request_done(bus, at, asked, status, words, exception, now_ns)


cdef void link_readable(Bus* bus, int32_t at, bint ends, int64_t now_ns) noexcept nogil:
    """Take what came, consume every whole frame in it, and send what comes next.

    ends  the other side has closed: after what came there is an end to be read

    A connection is told of once (EPOLLET), so all of it must be taken: what
    leaves room in the buffer was all there was. What is still more than
    replies can be is nothing that was asked for.
    """
    cdef Link* link = &bus.links[at]
    cdef uint8_t bytes[RECEIVE_BYTES]
    cdef int32_t fd = link.fd
    cdef int32_t turn, before, room
    cdef ssize_t count

    if bus.link_rows[at].kind == LINK_SERIAL:
        line_readable(bus, at, now_ns)
        return
    for turn in range(RECEIVES_MAX):
        before = link.framer.fill
        room = RECEIVE_BYTES - before
        memcpy(bytes, link.framer.bytes, before)
        count = recv(fd, bytes + before, room, 0)
        if count < 0 and errno == EAGAIN:
            break
        if count <= 0:
            link_down(bus, at, now_ns)
            return
        consume_frames(bus, at, bytes, before + <int32_t> count, now_ns)
        if link.fd != fd:
            return
        if count < room and not ends:
            break
    else:
        link_down(bus, at, now_ns)
        return
    link_next(bus, at, now_ns)


cdef void line_readable(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """Take what a serial line brought."""
    cdef Link* link = &bus.links[at]
    cdef Framer* framer = &link.framer
    cdef bint begins = now_ns - link.heard_ns > bus.link_rows[at].idle_ns
    cdef ssize_t count
    if begins:
        framer.fill = 0
    link.heard_ns = now_ns
    count = read(link.fd, framer.bytes + framer.fill, ADU_BYTES_MAX - framer.fill)
    if count > 0:
        framer.fill += <int32_t> count
        serial_arrived(bus, at, begins, now_ns)
        link_next(bus, at, now_ns)
    elif count == 0 or errno != EAGAIN:
        link_down(bus, at, now_ns)


cdef void consume_frames(
    Bus* bus, int32_t at, const uint8_t* bytes, int32_t fill, int64_t now_ns) noexcept nogil:
    """Every whole frame of a TCP stream, in order; the rest is kept in the framer."""
    cdef Link* link = &bus.links[at]
    cdef Framer* framer = &link.framer
    cdef int32_t fd = link.fd
    cdef int32_t start = 0
    cdef int32_t rest, length
    cdef FrameStatus status
    while start < fill:
        rest = fill - start if fill - start < ADU_BYTES_MAX else ADU_BYTES_MAX
        status = modbus_frame(bytes + start, rest, &length)
        if status == FRAME_PARTIAL:
            break
        if status == FRAME_BROKEN:
            bus.image.links[link.device].bad_replies += 1
            link_down(bus, at, now_ns)
            return
        frame_arrived(bus, at, bytes + start, length, now_ns)
        if link.fd != fd:
            return
        start += length
    framer.fill = fill - start
    memcpy(framer.bytes, bytes + start, framer.fill)


cdef void link_expired(Bus* bus, int32_t at, int64_t now_ns) noexcept nogil:
    """A link's deadline has passed: what that means depends on its state."""
    cdef Link* link = &bus.links[at]
    link.deadline_ns = INT64_MAX
    if link.state == LINK_DOWN:
        link_connect(bus, at, now_ns)
    elif link.state == LINK_CONNECTING:
        link_down(bus, at, now_ns)
    elif link.state == LINK_WAITING:
        replies_expired(bus, at, now_ns)
        link_next(bus, at, now_ns)
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
    link.device = link.turn
    link.random = <uint64_t> 88172645463325252 ^ <uint64_t> (now_ns + at + 1)
    link.backoff_ns = <int64_t> BACKOFF_MIN_MS * NS_PER_MS
    link_connect(bus, at, now_ns)


cdef void link_stop(Bus* bus, int32_t at) noexcept nogil:
    """Close a link for good."""
    cdef int32_t offered = <int32_t> exchange32(&bus.links[at].offered, 0) - 1
    if offered >= 0:
        close(offered)
    if bus.links[at].fd >= 0:
        close(bus.links[at].fd)
        bus.links[at].fd = -1
        bus.links[at].state = LINK_DOWN
