"""Lesser and greater of two. A header, not a module: no .pyx."""


cdef inline double minimum(double a, double b) noexcept nogil:
    return a if a < b else b


cdef inline double maximum(double a, double b) noexcept nogil:
    return a if a > b else b
