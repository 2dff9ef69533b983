"""Non-blocking sockets and ports as the links use them. A header, not a module: no .pyx."""

from libc.stdint cimport uint16_t, uint32_t


cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <errno.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <unistd.h>

    static int edgectl_option(int fd, int level, int name, int value)
    {
        return setsockopt(fd, level, name, &value, sizeof value);
    }

    /* A socket that never blocks, never gathers, and notices a dead peer in seconds. */
    static int edgectl_connect(uint32_t ipv4, uint16_t port, int user_timeout_ms)
    {
        struct sockaddr_in to;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -1;
        edgectl_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        edgectl_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms);
        edgectl_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        edgectl_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
        edgectl_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
        edgectl_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
        memset(&to, 0, sizeof to);
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(ipv4);
        to.sin_port = htons(port);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
            close(fd);
            return -1;
        }
        return fd;
    }

    static int edgectl_connect_error(int fd)
    {
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            return errno;
        return error;
    }

    static int edgectl_watch(int epoll_fd, int operation, int fd, uint32_t events, uint32_t link)
    {
        struct epoll_event event;
        memset(&event, 0, sizeof event);
        event.events = events;
        event.data.u32 = link;
        return epoll_ctl(epoll_fd, operation, fd, &event);
    }

    """
    int edgectl_connect(uint32_t ipv4, uint16_t port, int user_timeout_ms) nogil
    int edgectl_connect_error(int fd) nogil
    int edgectl_watch(int epoll_fd, int operation, int fd, uint32_t events, uint32_t link) nogil
    int close(int fd) nogil
    ssize_t read(int fd, void* place, size_t size) nogil
    ssize_t write(int fd, const void* place, size_t size) nogil
    ssize_t recv(int fd, void* place, size_t size, int flags) nogil
    ssize_t send(int fd, const void* place, size_t size, int flags) nogil
    enum: EPOLLIN
    enum: EPOLLOUT
    enum: EPOLLET
    enum: EPOLLRDHUP
    enum: EPOLL_CTL_ADD
    enum: EPOLL_CTL_MOD
    enum: MSG_NOSIGNAL
    enum: EAGAIN
