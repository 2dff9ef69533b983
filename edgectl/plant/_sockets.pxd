"""What the compiled peers share: sockets as a server uses them, clocks, bytes as sent.

A header, not a module: no .pyx.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from posix.time cimport clock_gettime, timespec

cdef extern from "sys/socket.h" nogil:
    int MSG_NOSIGNAL
    int SOCK_NONBLOCK
    int SOCK_CLOEXEC
    int SOL_SOCKET
    int SO_LINGER
    ctypedef struct sockaddr:
        pass
    cdef struct linger:
        int l_onoff
        int l_linger
    ctypedef uint32_t socklen_t
    int accept4(int fd, sockaddr* address, socklen_t* length, int flags)
    ssize_t send(int fd, const void* bytes, size_t length, int flags)
    ssize_t recv(int fd, void* bytes, size_t length, int flags)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length)

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_TCP

cdef extern from "netinet/tcp.h" nogil:
    int TCP_NODELAY

cdef extern from "sys/epoll.h" nogil:
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    uint32_t EPOLLIN
    cdef union epoll_data:
        uint64_t u64
        int fd
    cdef struct epoll_event:
        uint32_t events
        epoll_data data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int maximum, int timeout_ms)

cdef enum:
    ADU_BYTES_MAX = 260          # MODBUS Application Protocol V1.1b3, 4.1
    NS_PER_S = 1000000000


cdef inline int64_t clock_ns(int clock) noexcept nogil:
    """Time of one of the system's clocks, ns."""
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t> now.tv_sec * NS_PER_S + now.tv_nsec


cdef inline int32_t big_endian_16(const uint8_t* bytes) noexcept nogil:
    """Two bytes as sent, high first."""
    return (bytes[0] << 8) | bytes[1]
