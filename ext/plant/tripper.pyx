"""A meter and a converter that time how long a trip takes, for `edgectl bench trip`.

One loop serves both over Modbus TCP. While the converter runs, the meter's
register jumps over the row's threshold at an instant of its own; when the
converter is then told 0 W, both instants are written down, and the register
goes back. Both are on this loop's clock: the first as the register changes, the
second once the write has been received.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset
from posix.time cimport CLOCK_MONOTONIC
from posix.unistd cimport close, read

from edgectl.plant._sockets cimport (
    ADU_BYTES_MAX, EPOLLIN, EPOLL_CLOEXEC, EPOLL_CTL_ADD, IPPROTO_TCP, MSG_NOSIGNAL, NS_PER_S,
    SOCK_CLOEXEC, SOCK_NONBLOCK, TCP_NODELAY, accept4, big_endian_16, clock_ns, epoll_create1,
    epoll_ctl, epoll_event, epoll_wait, recv, send, setsockopt)

cdef enum:
    PEERS_MAX = 16               # the two listeners, and connections to them
    EVENTS_MAX = 16
    STREAM_BYTES = 520           # two whole requests
    WORDS = 32                   # registers of each device, from 0
    METER = 0                    # place of each device's listener
    CONVERTER = 1
    LIFE = 2                     # place of the descriptor whose end ends the loop
    GIVE_UP_S = 2                # a trip that takes longer is one that never came
    NS_PER_MS = 1000000

cpdef enum Register:             # f32, high word first
    REGISTER_POWER = 0           # of both devices; the meter's is what the row looks at
    REGISTER_CHARGE = 2          # state of charge, of the converter
    REGISTER_IDENTITY = 8        # u16
    REGISTER_SETPOINT = 16       # of the converter
    IDENTITY = 0x4564

cdef enum Phase:
    PHASE_IDLE = 0               # until the converter is told a power
    PHASE_RUNS = 1               # until the cause comes
    PHASE_CAUSE = 2              # until the converter is told 0 W

cdef struct Peer:
    int fd                       # -1: a free place
    int32_t device
    int32_t fill
    uint8_t stream[STREAM_BYTES]

cdef struct Tripper:
    int epoll
    int64_t injections
    int64_t at                   # injections done
    const int64_t* delay_ns      # from the start of power to each cause
    int64_t* cause_ns
    int64_t* safe_ns             # 0: it never came
    int64_t due_ns
    float quiet_w
    float cause_w
    int32_t phase                # Phase
    uint16_t words[2][WORDS]
    Peer peers[PEERS_MAX]


cdef void put_float(uint16_t* words, float value) noexcept nogil:
    """Two registers, high word first."""
    cdef uint32_t bits
    memcpy(&bits, &value, 4)
    words[0], words[1] = <uint16_t> (bits >> 16), <uint16_t> bits


cdef float get_float(const uint16_t* words) noexcept nogil:
    cdef uint32_t bits = (<uint32_t> words[0] << 16) | words[1]
    cdef float value
    memcpy(&value, &bits, 4)
    return value


cdef void injection_over(Tripper* rig, int64_t safe_ns) noexcept nogil:
    """Write down when the answer came, 0 for never, and take the cause away."""
    rig.safe_ns[rig.at] = safe_ns
    rig.at += 1
    rig.phase = PHASE_IDLE
    put_float(rig.words[METER] + REGISTER_POWER, rig.quiet_w)


cdef void setpoint_came(Tripper* rig, float setpoint_w, int64_t at_ns) noexcept nogil:
    """What the converter was told, and how the experiment goes on.

    A stop that nobody asked for (a reply came too late, say) begins the run anew.
    """
    if rig.at >= rig.injections:
        return
    if rig.phase == PHASE_CAUSE:
        if setpoint_w == 0.0:
            injection_over(rig, at_ns)
    elif setpoint_w == 0.0:
        rig.phase = PHASE_IDLE
    elif rig.phase == PHASE_IDLE:
        rig.phase = PHASE_RUNS
        rig.due_ns = at_ns + rig.delay_ns[rig.at]


cdef void time_passed(Tripper* rig, int64_t at_ns) noexcept nogil:
    """Let the cause come when it is due, and give up an answer that never comes."""
    if rig.phase == PHASE_RUNS and at_ns >= rig.due_ns:
        put_float(rig.words[METER] + REGISTER_POWER, rig.cause_w)
        rig.cause_ns[rig.at] = clock_ns(CLOCK_MONOTONIC)
        rig.phase = PHASE_CAUSE
    elif rig.phase == PHASE_CAUSE and at_ns - rig.cause_ns[rig.at] \
            > <int64_t> GIVE_UP_S * NS_PER_S:
        injection_over(rig, 0)


cdef int wait_ms(const Tripper* rig, int64_t at_ns) noexcept nogil:
    """How long the loop may wait for requests."""
    cdef int64_t left_ns = rig.due_ns - at_ns
    if rig.phase != PHASE_RUNS:
        return 100
    if left_ns <= 0:
        return 0
    return <int> (left_ns // NS_PER_MS + 1)


cdef int32_t answer(Tripper* rig, int32_t device, const uint8_t* request, int32_t length,
                    uint8_t* reply) noexcept nogil:
    """Serve one whole request, functions 3 and 16; returns the reply's length."""
    cdef uint16_t* words = rig.words[device]
    cdef int32_t address = big_endian_16(request + 8)
    cdef int32_t count = big_endian_16(request + 10)
    cdef bint fits = count >= 1 and address + count <= WORDS
    cdef int32_t at

    memcpy(reply, request, 12)
    if request[7] == 3 and fits:
        for at in range(count):
            reply[9 + 2 * at] = <uint8_t> (words[address + at] >> 8)
            reply[10 + 2 * at] = <uint8_t> words[address + at]
        reply[4], reply[5], reply[8] = 0, <uint8_t> (3 + 2 * count), <uint8_t> (2 * count)
        return 9 + 2 * count
    if request[7] == 16 and fits and length >= 13 + 2 * count:
        for at in range(count):
            words[address + at] = <uint16_t> big_endian_16(request + 13 + 2 * at)
        reply[4], reply[5] = 0, 6
        return 12
    reply[4], reply[5], reply[7], reply[8] = 0, 3, request[7] | 0x80, 2
    return 9


cdef void drop(Peer* peer) noexcept nogil:
    close(peer.fd)
    peer.fd = -1
    peer.fill = 0


cdef void receive(Tripper* rig, Peer* peer) noexcept nogil:
    """Take what has come on one connection and serve every whole request in it."""
    cdef uint8_t reply[ADU_BYTES_MAX]
    cdef int32_t length, replied
    cdef ssize_t got = recv(peer.fd, peer.stream + peer.fill, STREAM_BYTES - peer.fill, 0)
    cdef int64_t at_ns = clock_ns(CLOCK_MONOTONIC)

    if got <= 0:
        if got == 0 or (errno != EAGAIN and errno != EINTR):
            drop(peer)
        return
    peer.fill += <int32_t> got
    while peer.fill >= 12:
        length = 6 + big_endian_16(peer.stream + 4)
        if length < 12 or length > ADU_BYTES_MAX:
            drop(peer)
            return
        if peer.fill < length:
            return
        replied = answer(rig, peer.device, peer.stream, length, reply)
        if peer.device == CONVERTER and peer.stream[7] == 16 \
                and big_endian_16(peer.stream + 8) == REGISTER_SETPOINT:
            setpoint_came(rig, get_float(rig.words[CONVERTER] + REGISTER_SETPOINT), at_ns)
        if send(peer.fd, reply, replied, MSG_NOSIGNAL) != replied:
            drop(peer)
            return
        peer.fill -= length
        memmove(peer.stream, peer.stream + length, peer.fill)


cdef int32_t watch(Tripper* rig, int32_t place, int fd, int32_t device) noexcept nogil:
    """Take one descriptor into the loop; 0, or errno."""
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u64 = place
    rig.peers[place].fd, rig.peers[place].device, rig.peers[place].fill = fd, device, 0
    return errno if epoll_ctl(rig.epoll, EPOLL_CTL_ADD, fd, &event) < 0 else 0


cdef void welcome(Tripper* rig, int32_t listener) noexcept nogil:
    """Accept one connection; one that finds no place is closed."""
    cdef int on = 1
    cdef int fd = accept4(rig.peers[listener].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
    cdef int32_t place
    if fd < 0:
        return
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
    for place in range(LIFE + 1, PEERS_MAX):
        if rig.peers[place].fd < 0:
            if watch(rig, place, fd, listener) == 0:
                return
            rig.peers[place].fd = -1
            break
    close(fd)


cdef int32_t serve_until_done(Tripper* rig) noexcept nogil:
    """Run the loop until all injections are done or the life descriptor closes; errno, or 0."""
    cdef epoll_event events[EVENTS_MAX]
    cdef uint8_t byte
    cdef int ready, at
    cdef int32_t place

    while rig.at < rig.injections:
        ready = epoll_wait(rig.epoll, events, EVENTS_MAX, wait_ms(rig, clock_ns(CLOCK_MONOTONIC)))
        if ready < 0 and errno != EINTR:
            return errno
        for at in range(ready):
            place = <int32_t> events[at].data.u64
            if place == LIFE:
                if read(rig.peers[LIFE].fd, &byte, 1) <= 0:
                    return 0
            elif place == METER or place == CONVERTER:
                welcome(rig, place)
            elif rig.peers[place].fd >= 0:
                receive(rig, &rig.peers[place])
        time_passed(rig, clock_ns(CLOCK_MONOTONIC))
    return 0


def serve_trips(int meter, int converter, int life_fd, float quiet_w, float cause_w,
                const int64_t[::1] delay_ns not None, int64_t[::1] cause_ns not None,
                int64_t[::1] safe_ns not None):
    """Serve both devices until every injection is done or life_fd is closed.

    meter, converter   descriptors of listening, non-blocking sockets
    life_fd            descriptor of a pipe; the loop ends when its other end closes
    quiet_w, cause_w   power at the meter without the cause, and with it
    delay_ns           by injection: from the converter's first power to the cause
    cause_ns, safe_ns  by injection, filled in: when the register changed, when 0 W came;
                       0 where it never came within GIVE_UP_S

    Returns the injections done. Raises OSError where epoll fails.
    """
    cdef Tripper rig
    cdef int32_t failed, place

    if not delay_ns.shape[0] == cause_ns.shape[0] == safe_ns.shape[0] > 0:
        raise ValueError("delay_ns, cause_ns and safe_ns must be of one length, and not empty")
    memset(&rig, 0, sizeof(rig))
    for place in range(PEERS_MAX):
        rig.peers[place].fd = -1
    rig.injections = delay_ns.shape[0]
    rig.delay_ns, rig.cause_ns, rig.safe_ns = &delay_ns[0], &cause_ns[0], &safe_ns[0]
    rig.quiet_w, rig.cause_w = quiet_w, cause_w
    put_float(rig.words[METER] + REGISTER_POWER, quiet_w)
    put_float(rig.words[CONVERTER] + REGISTER_CHARGE, 0.5)
    rig.words[CONVERTER][<int> REGISTER_IDENTITY] = IDENTITY
    rig.epoll = epoll_create1(EPOLL_CLOEXEC)
    if rig.epoll < 0:
        raise OSError(errno, "epoll_create1")
    try:
        for place, fd in ((METER, meter), (CONVERTER, converter), (LIFE, life_fd)):
            failed = watch(&rig, place, fd, place)
            if failed:
                raise OSError(failed, "epoll_ctl")
        with nogil:
            failed = serve_until_done(&rig)
        if failed:
            raise OSError(failed, "epoll_wait")
        return rig.at
    finally:
        for place in range(LIFE + 1, PEERS_MAX):
            if rig.peers[place].fd >= 0:
                close(rig.peers[place].fd)
        close(rig.epoll)
