"""Integrity: the tables in memory are still the tables that were checked at load.

Limits, delays and thresholds live in memory for months. A flipped bit in one is
a changed safety limit that nobody wrote. Each scan sums some words of the tables
(FNV-1a over 64-bit words: any change of one word changes the sum, as each step
is a bijection) and holds whole tables against the sums taken at start.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef enum:
    WORD_BYTES = 8


cdef uint64_t fold_words(uint64_t sum, const uint8_t* place, int64_t words) noexcept nogil:
    """The sum after some more words."""
    cdef const uint64_t* word = <const uint64_t*> place
    cdef int64_t at
    for at in range(words):
        sum = (sum ^ word[at]) * <uint64_t> 0x100000001B3
    return sum


cdef uint64_t fold_tail(uint64_t sum, const Span* span) noexcept nogil:
    """The sum after what is left behind the last whole word."""
    cdef uint64_t last = 0
    cdef int64_t whole = span.bytes // WORD_BYTES * WORD_BYTES
    cdef int64_t at
    for at in range(whole, span.bytes):
        last = last << 8 | span.place[at]
    return fold_words(sum, <const uint8_t*> &last, 1)


cdef bint integrity_add(Integrity* integrity, const void* place, int64_t bytes) noexcept nogil:
    """Take one table's sum; false where there is no place for it. place is on 8 bytes."""
    cdef Span* span
    if bytes <= 0:
        return True
    if integrity.count >= SPANS_MAX:
        return False
    span = &integrity.spans[integrity.count]
    span.place, span.bytes = <const uint8_t*> place, bytes
    span.sum = fold_tail(fold_words(0, span.place, bytes // WORD_BYTES), span)
    integrity.count += 1
    return True


cdef void integrity_look(Integrity* integrity) noexcept nogil:
    """Sum the next words of the table that is looked through, and judge it at its end."""
    cdef const Span* span
    cdef int64_t words
    if integrity.count == 0:
        return
    span = &integrity.spans[integrity.at]
    words = (span.bytes - integrity.done) // WORD_BYTES
    words = words if words < WORDS_PER_SCAN else WORDS_PER_SCAN
    integrity.running = fold_words(integrity.running, span.place + integrity.done, words)
    integrity.done += words * WORD_BYTES
    if integrity.done + WORD_BYTES <= span.bytes:
        return
    if fold_tail(integrity.running, span) != span.sum:
        integrity.fault = True
    integrity.running = 0
    integrity.done = 0
    integrity.at += 1
    if integrity.at == integrity.count:
        integrity.at = 0
        integrity.rounds += 1


cdef class IntegrityBench:
    """Tables of bytes under watch; the tests' door."""

    cdef Integrity integrity
    cdef list tables

    def __cinit__(self, tables):
        cdef const uint8_t[::1] view
        self.tables = list(tables)
        for table in self.tables:
            view = table
            if not integrity_add(&self.integrity, &view[0], view.shape[0]):
                raise ValueError(f"at most {SPANS_MAX} tables")

    def look(self, int scans):
        """(fault, rounds) after so many scans."""
        for _ in range(scans):
            integrity_look(&self.integrity)
        return bool(self.integrity.fault), self.integrity.rounds
