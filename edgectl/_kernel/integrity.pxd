"""Integrity: the tables in memory are still the tables that were checked at load."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef enum:
    SPANS_MAX = 32
    WORDS_PER_SCAN = 64          # 512 bytes a scan: 300 KiB of tables take a minute

cdef struct Span:                # one table
    const uint8_t* place
    int64_t bytes
    uint64_t sum                 # as taken at start

cdef struct Integrity:
    Span spans[SPANS_MAX]
    int32_t count
    int32_t at                   # span that is looked through now
    int64_t done                 # bytes of it
    uint64_t running
    int64_t rounds               # times all were looked through
    uint8_t fault                # a table has changed; stands until restart

cdef bint integrity_add(Integrity* integrity, const void* place, int64_t bytes) noexcept nogil
cdef void integrity_look(Integrity* integrity) noexcept nogil
