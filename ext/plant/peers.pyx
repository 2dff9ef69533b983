"""Peers for benches and tests: a Modbus TCP responder and the floor under any client.

Both do the least that can be done, so that what is measured beside them is the
kernel under test. The responder answers one device a port, and what came at once
at once; the floor asks as the kernel asks, with prebuilt requests, and checks nothing.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove
from posix.time cimport CLOCK_MONOTONIC, timespec
from posix.unistd cimport close, read

from edgectl.plant._sockets cimport (
    ADU_BYTES_MAX, EPOLLIN, EPOLL_CLOEXEC, EPOLL_CTL_ADD, IPPROTO_TCP, MSG_NOSIGNAL, SOCK_CLOEXEC,
    SOCK_NONBLOCK, SOL_SOCKET, SO_LINGER, TCP_NODELAY, accept4, big_endian_16, clock_ns,
    epoll_create1, epoll_ctl, epoll_event, epoll_wait, linger, recv, send, setsockopt)

cdef extern from "time.h" nogil:
    int CLOCK_THREAD_CPUTIME_ID
    int TIMER_ABSTIME
    int clock_nanosleep(int clock, int flags, const timespec* request, timespec* remain)

ctypedef int (*ReadRegisters)(void*, int, int, uint16_t*) noexcept nogil

cdef enum:
    DESCRIPTORS_MAX = 8192       # a descriptor is its place in the table
    EVENTS_MAX = 256             # taken from one wait
    LATE_MAX = 1024              # replies held back at one time; more are dropped
    STREAM_BYTES = 1040          # four whole requests of any kind, 86 that read
    REPLIES_BYTES = 4160         # 16 whole replies go out at once
    OUTSTANDING_MAX = 16         # of the floor, on one connection
    PERIOD_WAIT_MS = 1000        # a reply that takes longer ends the floor's run

cpdef enum Behaviour:
    ANSWER = 0                   # at once, right
    SILENT = 1                   # takes requests and never answers
    LATE = 2                     # right, but after late_ns
    WRONG_ID = 3                 # the transaction id is not the request's
    RESET = 4                    # each request resets the connection

cdef enum Kind:
    KIND_UNUSED = 0
    KIND_LISTENER = 1
    KIND_CONNECTION = 2
    KIND_LIFE = 3                # closed by the parent when the responder should end

cdef struct Peer:
    int32_t kind
    int32_t behaviour
    int32_t fill
    uint32_t generation          # so that a late reply never goes to a later connection
    uint8_t stream[STREAM_BYTES]

cdef struct LateReply:
    int64_t due_ns
    int32_t fd
    int32_t length
    uint32_t generation
    uint8_t bytes[ADU_BYTES_MAX]

cdef struct Responder:
    int epoll
    int64_t late_ns
    int64_t answered
    int32_t fill                 # bytes of replies that wait to be sent to one connection
    uint8_t replies[REPLIES_BYTES]
    uint32_t counter             # seen in the low word of every pair: values change
    uint32_t late_head           # ring of held replies, in order of their due time
    uint32_t late_tail
    Peer* peers
    LateReply* late


cdef int32_t answer(uint8_t* reply, const uint8_t* request, uint32_t counter) noexcept nogil:
    """Write the reply to one whole request; returns its length, bytes.

    reply    room for ADU_BYTES_MAX
    request  header and PDU; functions 3, 4, 6 and 16 are served
    counter  goes into the second word of each pair of registers

    The first word of each pair is 0x4480, so that a pair read as f32, high word
    first, is a finite number from 1024 W up which moves with the counter.
    """
    cdef int64_t count = big_endian_16(request + 10)
    cdef int64_t i
    cdef uint32_t word

    memcpy(reply, request, 12)
    if request[7] == 3 or request[7] == 4:
        if 1 <= count <= 125:
            reply[8] = <uint8_t> (2 * count)
            for i in range(count):
                word = 0x4480 if i % 2 == 0 else counter + <uint32_t> i
                reply[9 + 2 * i] = <uint8_t> (word >> 8)
                reply[10 + 2 * i] = <uint8_t> word
            reply[4], reply[5] = 0, <uint8_t> (3 + 2 * count)
            return <int32_t> (9 + 2 * count)
        reply[8] = 3
    elif request[7] == 6 or request[7] == 16:
        reply[4], reply[5] = 0, 6
        return 12
    else:
        reply[8] = 1
    reply[4], reply[5] = 0, 3
    reply[7] = request[7] | 0x80
    return 9


cdef void watch(Responder* server, int fd, Kind kind, int32_t behaviour) noexcept nogil:
    """Take one descriptor into the loop; one that does not fit is closed."""
    cdef epoll_event event
    cdef Peer* peer

    if fd >= DESCRIPTORS_MAX:
        close(fd)
        return
    peer = &server.peers[fd]
    peer.kind, peer.behaviour, peer.fill = kind, behaviour, 0
    peer.generation += 1
    event.events = EPOLLIN
    event.data.u64 = 0
    event.data.fd = fd
    epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event)


cdef void drop(Responder* server, int fd, bint reset) noexcept nogil:
    """Close one connection; `reset` answers with RST in place of FIN."""
    cdef linger hard

    if reset:
        hard.l_onoff, hard.l_linger = 1, 0
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard))
    server.peers[fd].kind = KIND_UNUSED
    server.peers[fd].generation += 1
    close(fd)


cdef void welcome(Responder* server, int listener) noexcept nogil:
    """Accept one connection; it behaves as its port does."""
    cdef int on = 1
    cdef int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)

    if fd < 0:
        return
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
    watch(server, fd, KIND_CONNECTION, server.peers[listener].behaviour)


cdef void hold_back(Responder* server, int fd, const uint8_t* reply,
                    int32_t length) noexcept nogil:
    """Keep a reply until it is late; when the ring is full it is never sent."""
    cdef LateReply* held

    if server.late_head - server.late_tail >= LATE_MAX:
        return
    held = &server.late[server.late_head % LATE_MAX]
    held.due_ns = clock_ns(CLOCK_MONOTONIC) + server.late_ns
    held.fd, held.length, held.generation = fd, length, server.peers[fd].generation
    memcpy(held.bytes, reply, length)
    server.late_head += 1


cdef bint send_replies(Responder* server, int fd) noexcept nogil:
    """Send the replies that wait for one connection; False once it is gone."""
    cdef int32_t length = server.fill
    server.fill = 0
    if length > 0 and send(fd, server.replies, length, MSG_NOSIGNAL) != length:
        drop(server, fd, False)
        return False
    return True


cdef bint reply_to(Responder* server, int fd, const uint8_t* request) noexcept nogil:
    """Serve one whole request as the port behaves; False once the connection is gone."""
    cdef uint8_t* reply
    cdef int32_t behaviour = server.peers[fd].behaviour
    cdef int32_t length

    server.counter += 1
    if behaviour == Behaviour.SILENT:
        return True
    if behaviour == Behaviour.RESET:
        drop(server, fd, True)
        return False
    if server.fill > REPLIES_BYTES - ADU_BYTES_MAX and not send_replies(server, fd):
        return False
    reply = server.replies + server.fill
    length = answer(reply, request, server.counter)
    if behaviour == Behaviour.LATE:
        hold_back(server, fd, reply, length)
        return True
    if behaviour == Behaviour.WRONG_ID:
        reply[0] ^= 0x55
    server.fill += length
    server.answered += 1
    return True


cdef void receive(Responder* server, int fd) noexcept nogil:
    """Take what has come on one connection and serve every whole request in it."""
    cdef Peer* peer = &server.peers[fd]
    cdef int32_t start = 0
    cdef int32_t length
    cdef ssize_t got = recv(fd, peer.stream + peer.fill, STREAM_BYTES - peer.fill, 0)

    if got <= 0:
        if got == 0 or (errno != EAGAIN and errno != EINTR):
            drop(server, fd, False)
        return
    peer.fill += <int32_t> got
    server.fill = 0
    while peer.fill - start >= 12:
        length = <int32_t> (6 + big_endian_16(peer.stream + start + 4))
        if length < 12 or length > ADU_BYTES_MAX:
            drop(server, fd, True)
            return
        if peer.fill - start < length:
            break
        if not reply_to(server, fd, peer.stream + start):
            return
        start += length
    peer.fill -= start
    memmove(peer.stream, peer.stream + start, peer.fill)
    send_replies(server, fd)


cdef int send_late(Responder* server) noexcept nogil:
    """Send the held replies that are due; returns ms to the next, -1 for none."""
    cdef LateReply* held
    cdef int64_t now_ns

    while server.late_tail != server.late_head:
        held = &server.late[server.late_tail % LATE_MAX]
        now_ns = clock_ns(CLOCK_MONOTONIC)
        if held.due_ns > now_ns:
            return <int> ((held.due_ns - now_ns) / 1_000_000 + 1)
        if server.peers[held.fd].generation == held.generation:
            send(held.fd, held.bytes, held.length, MSG_NOSIGNAL)
            server.answered += 1
        server.late_tail += 1
    return -1


cdef int32_t serve_until_closed(Responder* server) noexcept nogil:
    """Run the loop until the life descriptor closes; returns errno of a failed wait, or 0."""
    cdef epoll_event events[EVENTS_MAX]
    cdef uint8_t byte
    cdef int ready, i, fd
    cdef int32_t kind

    while True:
        ready = epoll_wait(server.epoll, events, EVENTS_MAX, send_late(server))
        if ready < 0 and errno != EINTR:
            return errno
        for i in range(ready):
            fd = events[i].data.fd
            kind = server.peers[fd].kind
            if kind == KIND_CONNECTION:
                receive(server, fd)
            elif kind == KIND_LISTENER:
                welcome(server, fd)
            elif kind == KIND_LIFE and read(fd, &byte, 1) <= 0:
                return 0


def serve(listeners, behaviours, int64_t late_ns, int life_fd):
    """Answer Modbus TCP on listening sockets until life_fd is closed.

    listeners   descriptors of bound, listening, non-blocking sockets; one device each
    behaviours  one Behaviour for each listener
    late_ns     ns by which a port that is LATE holds its replies back
    life_fd     descriptor of a pipe; the loop ends when its other end closes.
                -1: it ends only with the process

    Returns the replies sent. Raises OSError where epoll fails.
    """
    cdef Responder server
    cdef int32_t failed
    cdef int fd

    server.epoll = epoll_create1(EPOLL_CLOEXEC)
    if server.epoll < 0:
        raise OSError(errno, "epoll_create1")
    server.late_ns, server.answered, server.counter = late_ns, 0, 0
    server.late_head = server.late_tail = 0
    server.peers = <Peer*> calloc(DESCRIPTORS_MAX, sizeof(Peer))
    server.late = <LateReply*> calloc(LATE_MAX, sizeof(LateReply))
    try:
        if server.peers == NULL or server.late == NULL:
            raise MemoryError
        for listener, behaviour in zip(listeners, behaviours, strict=True):
            watch(&server, listener, KIND_LISTENER, behaviour)
        if life_fd >= 0:
            watch(&server, life_fd, KIND_LIFE, Behaviour.ANSWER)
        with nogil:
            failed = serve_until_closed(&server)
        if failed:
            raise OSError(failed, "epoll_wait")
        for fd in range(DESCRIPTORS_MAX):
            if server.peers[fd].kind == KIND_CONNECTION:
                close(fd)
        return server.answered
    finally:
        close(server.epoll)
        free(server.peers)
        free(server.late)


cdef struct Floor:
    int epoll
    int32_t devices
    int32_t rounds               # requests to each device in one period
    int32_t outstanding          # of them on their way at once
    int32_t reply_bytes
    int32_t request_bytes
    const int32_t* sockets
    const uint8_t* requests      # `outstanding` of them, one after the other
    int32_t* unsent              # requests that a device is still to be sent in this period
    int32_t* left                # replies that it still has to give
    int32_t* fill                # bytes of the reply being received


cdef bint ask(Floor* client, int32_t device, int32_t most) noexcept nogil:
    """Send a device its next requests, at most so many; False where they did not go out."""
    cdef int32_t count = most if most < client.unsent[device] else client.unsent[device]
    cdef int32_t length = count * client.request_bytes
    client.unsent[device] -= count
    return count == 0 \
        or send(client.sockets[device], client.requests, length, MSG_NOSIGNAL) == length


cdef bint ask_all(Floor* client) noexcept nogil:
    """Send the first requests of a period on every connection; False where one did not go out."""
    cdef int32_t i
    for i in range(client.devices):
        client.unsent[i] = client.left[i] = client.rounds
        client.fill[i] = 0
        if not ask(client, i, client.outstanding):
            return False
    return True


cdef int64_t take_all(Floor* client, int32_t waiting) noexcept nogil:
    """Read until every device has answered all its rounds; returns transactions, -1 on failure."""
    cdef epoll_event events[EVENTS_MAX]
    cdef uint8_t replies[OUTSTANDING_MAX * ADU_BYTES_MAX]
    cdef int64_t transactions = 0
    cdef ssize_t got
    cdef int32_t done
    cdef int ready, i, device

    while waiting > 0:
        ready = epoll_wait(client.epoll, events, EVENTS_MAX, PERIOD_WAIT_MS)
        if ready == 0 or (ready < 0 and errno != EINTR):
            return -1
        for i in range(ready):
            device = events[i].data.fd
            got = recv(client.sockets[device], replies, sizeof(replies), 0)
            if got <= 0:
                return -1
            client.fill[device] += <int32_t> got
            done = client.fill[device] // client.reply_bytes
            if done == 0:
                continue
            transactions += done
            client.fill[device] -= done * client.reply_bytes
            client.left[device] -= done
            if client.left[device] == 0:
                waiting -= 1
            elif not ask(client, device, done):
                return -1
    return transactions


cdef int64_t run_floor(Floor* client, int64_t period_ns, int64_t periods) noexcept nogil:
    """Ask every device in each of `periods` periods; returns transactions, -1 on failure."""
    cdef int64_t deadline_ns = clock_ns(CLOCK_MONOTONIC)
    cdef int64_t transactions = 0
    cdef int64_t period, taken
    cdef timespec wake

    for period in range(periods):
        deadline_ns += period_ns
        wake.tv_sec = deadline_ns / 1_000_000_000
        wake.tv_nsec = deadline_ns % 1_000_000_000
        while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL) == EINTR:
            pass
        if not ask_all(client):
            return -1
        taken = take_all(client, client.devices)
        if taken < 0:
            return -1
        transactions += taken
    return transactions


def floor_run(int32_t[::1] sockets not None, const uint8_t[::1] requests not None,
              int32_t outstanding, int32_t reply_bytes, int32_t rounds, int64_t period_ns,
              int64_t periods):
    """Ask over connected sockets as the kernel does, at the least cost there is.

    sockets      descriptors of connected stream sockets, one a device
    requests     `outstanding` whole frames of one length, sent as they are each time
    outstanding  1 to 16 requests to a device on their way at once
    reply_bytes  length of the whole reply to each
    rounds       requests to each device in a period
    period_ns    ns from burst to burst
    periods      bursts

    Returns (transactions, CPU ns of this thread). Raises OSError when a device
    does not answer within a second or closes its connection.
    """
    cdef Floor client
    cdef epoll_event event
    cdef int64_t cpu_ns, transactions
    cdef int32_t i

    if not 1 <= outstanding <= OUTSTANDING_MAX:
        raise ValueError(f"{outstanding} requests at once; 1 to {OUTSTANDING_MAX} fit")
    if requests.shape[0] == 0 or requests.shape[0] % outstanding:
        raise ValueError(f"{requests.shape[0]} bytes are not {outstanding} requests of one length")
    client.devices, client.rounds = <int32_t> sockets.shape[0], rounds
    client.outstanding, client.reply_bytes = outstanding, reply_bytes
    client.request_bytes = <int32_t> requests.shape[0] // outstanding
    client.sockets, client.requests = &sockets[0], &requests[0]
    client.unsent = <int32_t*> calloc(client.devices, sizeof(int32_t))
    client.left = <int32_t*> calloc(client.devices, sizeof(int32_t))
    client.fill = <int32_t*> calloc(client.devices, sizeof(int32_t))
    client.epoll = epoll_create1(EPOLL_CLOEXEC)
    try:
        if client.unsent == NULL or client.left == NULL or client.fill == NULL or client.epoll < 0:
            raise MemoryError
        for i in range(client.devices):
            event.events = EPOLLIN
            event.data.u64 = 0
            event.data.fd = i
            epoll_ctl(client.epoll, EPOLL_CTL_ADD, sockets[i], &event)
        with nogil:
            cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID)
            transactions = run_floor(&client, period_ns, periods)
            cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns
        if transactions < 0:
            raise OSError("a device did not answer the floor client within 1 s")
        return transactions, cpu_ns
    finally:
        close(client.epoll)
        free(client.unsent)
        free(client.left)
        free(client.fill)


def blocking_run(const uint64_t[::1] contexts not None, uint64_t read_registers, int32_t count,
                 int64_t duration_ns):
    """Ask over contexts of a blocking client library, one after the other, as C would.

    contexts        addresses of connected contexts
    read_registers  address of int (*)(context, address, count, uint16_t *)
    count           registers of each read
    duration_ns     no new turn over all contexts is begun after this

    Returns (transactions, CPU ns of this thread). Raises OSError when a read fails.
    """
    cdef ReadRegisters read_block = <ReadRegisters> <void*> read_registers
    cdef uint16_t words[125]
    cdef int64_t cpu_ns, end_ns, transactions = 0
    cdef Py_ssize_t at
    cdef bint failed = not 0 < count <= 125

    with nogil:
        end_ns = clock_ns(CLOCK_MONOTONIC) + duration_ns
        cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        while not failed and clock_ns(CLOCK_MONOTONIC) < end_ns:
            for at in range(contexts.shape[0]):
                failed |= read_block(<void*> contexts[at], 0, count, words) != count
                transactions += 1
        cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns
    if failed:
        raise OSError(f"a device did not answer {count} registers to the blocking client")
    return transactions, cpu_ns
