"""C11 memory order for the few words that two threads or two processes share.

Everything shared is a single-producer single-consumer hand-over, so acquire,
release and one exchange are all there is. A header, not a module: no .pyx.
"""

from libc.stdint cimport int64_t, uint32_t


cdef extern from *:
    """
    #include <stdint.h>
    static inline int64_t edgectl_load64(const int64_t *p)
        { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline void edgectl_store64(int64_t *p, int64_t v)
        { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    static inline uint32_t edgectl_load32(const uint32_t *p)
        { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
    static inline void edgectl_store32(uint32_t *p, uint32_t v)
        { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    static inline uint32_t edgectl_exchange32(uint32_t *p, uint32_t v)
        { return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL); }
    static inline void edgectl_fence(void)
        { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    """
    int64_t load64 "edgectl_load64"(const int64_t* place) noexcept nogil
    void store64 "edgectl_store64"(int64_t* place, int64_t value) noexcept nogil
    uint32_t load32 "edgectl_load32"(const uint32_t* place) noexcept nogil
    void store32 "edgectl_store32"(uint32_t* place, uint32_t value) noexcept nogil
    uint32_t exchange32 "edgectl_exchange32"(uint32_t* place, uint32_t value) noexcept nogil
    void fence "edgectl_fence"() noexcept nogil
