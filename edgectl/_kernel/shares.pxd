"""A part's share of an amount. A header, not a module: no .pyx."""

from libc.stdint cimport int64_t

from edgectl._kernel.totalizer cimport int128


cdef inline int64_t share(int64_t amount, int64_t part, int64_t whole) noexcept nogil:
    """floor(amount * part / whole) for 0 <= part <= whole, whole > 0; never overflows."""
    return <int64_t> (<int128> amount * part / whole)
