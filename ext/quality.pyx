"""What a value is worth: quality, the reason, and the checks that set them.

A sample keeps its last value when it turns bad, so that a person can see what
was there last; nothing may decide on it. It never gets a time it did not earn:
source_ns moves only with a reply that carried the value.
"""

from libc.math cimport fabs, isfinite
from libc.stdint cimport int64_t, uint64_t


cdef void set_bad(Sample* sample, Reason reason) noexcept nogil:
    sample.quality = QUALITY_BAD
    sample.reason = reason


cdef void quality_judge(
    Sample* sample, const Limits* limits, double value, uint64_t raw, int64_t source_ns,
) noexcept nogil:
    """Take a freshly received value and say what it is worth.

    sample     changed in place
    limits     of the point
    value      SI unit of the point
    raw        words as received
    source_ns  ns, monotonic, when the reply was complete

    Order of judgement: not finite, out of range, slew, frozen; the first that
    applies is the reason. A value out of range or not finite is not kept.
    """
    cdef int64_t step_ns = source_ns - sample.source_ns
    cdef bint before_good = sample.quality == QUALITY_GOOD
    cdef double change

    if raw != sample.raw or sample.changed_ns == 0:
        sample.changed_ns = source_ns
    sample.raw = raw
    sample.source_ns = source_ns
    if not isfinite(value):
        set_bad(sample, REASON_NOT_FINITE)
        return
    if value < limits.valid_min or value > limits.valid_max:
        set_bad(sample, REASON_OUT_OF_RANGE)
        return
    change = fabs(value - sample.value)
    sample.value = value
    if before_good and step_ns > 0 and change * 1e9 > limits.slew_max_per_s * step_ns:
        sample.quality = QUALITY_UNCERTAIN
        sample.reason = REASON_SLEW
        return
    if source_ns - sample.changed_ns > limits.frozen_after_ns:
        set_bad(sample, REASON_FROZEN)
        return
    sample.quality = QUALITY_GOOD
    sample.reason = REASON_NONE


cdef void quality_age(Sample* sample, const Limits* limits, int64_t now_ns) noexcept nogil:
    """Turn a sample stale once its source time is older than stale_after_ns."""
    if sample.quality == QUALITY_BAD:
        return
    if now_ns - sample.source_ns > limits.stale_after_ns:
        set_bad(sample, REASON_STALE)


cdef void quality_lost(Sample* sample, Reason reason) noexcept nogil:
    """Mark a sample whose read failed or whose device says it has no such value."""
    set_bad(sample, reason)


def judge(samples, double valid_min, double valid_max, double slew_max_per_s,
          int64_t stale_after_ns, int64_t frozen_after_ns):
    """(quality, reason, value) after each of (time_ns, value, raw); the tests' door.

    A value of None is a scan without a reply: the sample ages to time_ns.
    """
    cdef Sample sample
    cdef Limits limits = Limits(
        frozen_after_ns, stale_after_ns, valid_min, valid_max, slew_max_per_s)
    sample.value, sample.source_ns, sample.changed_ns, sample.raw = 0.0, 0, 0, 0
    set_bad(&sample, REASON_NOT_YET)
    states = []
    for time_ns, value, raw in samples:
        if value is None:
            quality_age(&sample, &limits, time_ns)
        else:
            quality_judge(&sample, &limits, value, raw, time_ns)
        states.append((sample.quality, sample.reason, sample.value))
    return states
