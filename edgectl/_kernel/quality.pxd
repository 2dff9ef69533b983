"""What a value is worth: quality, the reason, and the checks that set them."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

cpdef enum Quality:
    QUALITY_BAD = 0
    QUALITY_UNCERTAIN = 1
    QUALITY_GOOD = 2

cpdef enum Reason:
    REASON_NONE = 0
    REASON_NOT_YET = 1           # nothing was received since start
    REASON_COMMUNICATION = 2     # the link is down or the device answers an error
    REASON_CONFIGURATION = 3     # identity refused, illegal address, scale factor missing
    REASON_NOT_IMPLEMENTED = 4   # the device sends its own "no such value"
    REASON_NOT_FINITE = 5
    REASON_OUT_OF_RANGE = 6
    REASON_SLEW = 7
    REASON_STALE = 8
    REASON_FROZEN = 9            # raw words identical on a quantity that must move

cdef struct Sample:
    double value                 # SI unit of the point, import and charge positive
    int64_t source_ns            # monotonic, when the reply that carried it was complete
    int64_t changed_ns           # monotonic, when the raw words last changed
    uint64_t raw                 # words as received, first word highest
    uint8_t quality              # Quality
    uint8_t reason               # Reason

cdef struct Limits:
    int64_t frozen_after_ns      # INT64_MAX: a quantity that may stand still
    int64_t stale_after_ns
    double valid_min
    double valid_max
    double slew_max_per_s        # infinity: not checked

cdef void quality_judge(
    Sample* sample, const Limits* limits, double value, uint64_t raw, int64_t source_ns,
) noexcept nogil
cdef void quality_age(Sample* sample, const Limits* limits, int64_t now_ns) noexcept nogil
cdef void quality_lost(Sample* sample, Reason reason) noexcept nogil
