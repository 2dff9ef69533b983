"""The kernel as Python holds it: memory bound to one site's tables, threads' bodies, doors."""

from edgectl._kernel.scan cimport KernelState


cdef class Kernel:
    cdef KernelState* state
    cdef int fifo                # storages whose stock is kept in slices
    cdef object tables           # keeps the arrays alive that state points into
    cdef object segment          # keeps the mapping alive
    cdef void bind_image(self) except *
    cdef void bind_interlocks(self) except *
    cdef void bind_monitors(self) except *
    cdef void bind_integrity(self) except *
    cdef void bind_dispatch(self) except *
    cdef void bind_meters(self) except *
    cdef void bind_network(self) except *
    cdef void bind_segment(self) except *
