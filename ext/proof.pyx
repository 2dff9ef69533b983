"""What a device does with its setpoint: read-back, foreign writes, effect at another meter.

A setpoint that was acknowledged is a hope. Three things make it a fact: the
device shows it, nobody else changes it, and a meter that is not the device's
own sees the power. Each is a point in the image, and an interlock row decides
what it means. Of a PV block only more than its limit is an error: less is the sun's.
"""

from libc.math cimport INFINITY, fabs, isfinite
from libc.stdint cimport int32_t, int64_t

from edgectl._kernel.atomic cimport load64
from edgectl._kernel.process_image cimport OutputBuffer, image_set
from edgectl._kernel.quality cimport (
    QUALITY_BAD, QUALITY_GOOD, REASON_NONE, Quality, Reason, Sample)

cdef enum:
    FOREIGN_SHOWN_S = 60         # how long a foreign write stands in its point
    NS_PER_S = 1000000000


cdef void window_start(EffectWindow* window) noexcept nogil:
    """Empty: no output is on its way, and nothing is expected of the meter."""
    cdef int32_t at
    for at in range(EFFECT_SLOTS):
        window.low_w[at] = INFINITY
        window.high_w[at] = -INFINITY
    window.slot_ns = 0
    window.at = 0


cdef void window_add(
    EffectWindow* window, double output_w, int64_t effect_ns, int64_t now_ns) noexcept nogil:
    """Take the output in force now; what is older than the effect time is forgotten.

    The window covers effect_ns and at most one slot of EFFECT_SLOTS - 1 more.
    """
    cdef int64_t width_ns = effect_ns // (EFFECT_SLOTS - 1) + 1
    cdef int32_t step
    if window.slot_ns == 0:
        window.slot_ns = now_ns
    for step in range(EFFECT_SLOTS):
        if now_ns - window.slot_ns < width_ns:
            break
        window.slot_ns += width_ns
        window.at = (window.at + 1) % EFFECT_SLOTS
        window.low_w[window.at] = output_w
        window.high_w[window.at] = output_w
    if now_ns - window.slot_ns >= width_ns:
        window.slot_ns = now_ns
    if output_w < window.low_w[window.at]:
        window.low_w[window.at] = output_w
    if output_w > window.high_w[window.at]:
        window.high_w[window.at] = output_w


cdef double window_error_w(const EffectWindow* window, double power_w) noexcept nogil:
    """How far a metered power is from everything that was output within the effect time.

    A device that ramps, or lags, or answers after a dead time, is always between
    the lowest and the highest output of that time; one that does not answer, or
    does something else, is outside once the time is over.
    """
    cdef double low_w = INFINITY
    cdef double high_w = -INFINITY
    cdef int32_t at
    for at in range(EFFECT_SLOTS):
        if window.low_w[at] < low_w:
            low_w = window.low_w[at]
        if window.high_w[at] > high_w:
            high_w = window.high_w[at]
    if low_w > high_w:
        return 0.0
    if power_w > high_w:
        return power_w - high_w
    return low_w - power_w if power_w < low_w else 0.0


cdef double window_excess_w(const EffectWindow* window, double power_w) noexcept nogil:
    """How far a metered power is above everything that was output within the effect time."""
    cdef double high_w = -INFINITY
    cdef int32_t at
    for at in range(EFFECT_SLOTS):
        if window.high_w[at] > high_w:
            high_w = window.high_w[at]
    return power_w - high_w if isfinite(high_w) and power_w > high_w else 0.0


cdef void measure_readback(
    const ProofRow* row, Proof* proof, const Image* image, double output_w,
    int64_t now_ns) noexcept nogil:
    """Hold the read-back against the last write, once it can have seen it.

    A read-back counts when its reply came after the write's reply: with one
    request outstanding it was then asked after the write took effect. One that
    differs after the same commit was seen to agree is a setpoint of somebody
    else.
    """
    cdef OutputBuffer* buffer = &image.output_buffers[row.output]
    cdef const Sample* sample = &image.samples[row.readback_point]
    cdef bint agrees

    if load64(&buffer.done) != buffer.committed or sample.quality == QUALITY_BAD:
        return
    if sample.source_ns <= load64(&buffer.done_ns):
        return
    proof.readback_error_w = fabs(sample.value - output_w)
    agrees = proof.readback_error_w <= row.readback_tolerance_w
    if proof.verified_commit != buffer.committed:
        proof.verified_commit = buffer.committed
        proof.readbacks += 1
        proof.readback_mismatches += not agrees
    elif proof.agreed and not agrees:
        proof.foreign_writes += 1
        proof.foreign_ns = now_ns
    if agrees:
        proof.rewrites = 0
    proof.agreed = agrees


cdef void measure_effect(
    const ProofRow* row, Proof* proof, Image* image, double output_w, int64_t output_ns,
    int64_t now_ns) noexcept nogil:
    """Hold another meter against what was output; a lost meter proves nothing, and says so."""
    cdef const Sample* meter = &image.samples[row.meter_point]
    cdef Quality quality = QUALITY_GOOD
    cdef Reason reason = REASON_NONE
    proof.effect_error_w = 0.0
    if output_ns > 0:
        window_add(&proof.window, output_w, row.effect_ns, now_ns)
    if meter.quality == QUALITY_BAD:
        quality = QUALITY_BAD
        reason = <Reason> meter.reason
    else:
        proof.effect_error_w = window_error_w(&proof.window, meter.value)
    image_set(image, row.effect_error_point, proof.effect_error_w, quality, reason, now_ns)


cdef void proof_measure(
    const ProofRow* row, Proof* proof, Image* image, double output_w, int64_t output_ns,
    int64_t now_ns) noexcept nogil:
    """Read-back, following and effect error of one battery, as points for the interlocks.

    output_w   last setpoint committed, charge positive
    output_ns  when; 0: never
    """
    cdef const Sample* power = &image.samples[row.power_point]
    cdef bint foreign

    if row.readback_point >= 0 and output_ns > 0:
        measure_readback(row, proof, image, output_w, now_ns)
    proof.following_error_w = 0.0
    if output_ns > 0 and power.quality != QUALITY_BAD:
        proof.following_error_w = fabs(power.value - output_w)
    if row.meter_point >= 0:
        measure_effect(row, proof, image, output_w, output_ns, now_ns)
    else:
        image_set(image, row.effect_error_point, 0.0, QUALITY_GOOD, REASON_NONE, now_ns)
    foreign = proof.foreign_ns > 0 \
        and now_ns - proof.foreign_ns < <int64_t> FOREIGN_SHOWN_S * NS_PER_S
    image_set(image, row.readback_error_point, proof.readback_error_w,
              QUALITY_GOOD, REASON_NONE, now_ns)
    image_set(image, row.following_error_point, proof.following_error_w,
              QUALITY_GOOD, REASON_NONE, now_ns)
    image_set(image, row.foreign_write_point, foreign, QUALITY_GOOD, REASON_NONE, now_ns)


cdef void limit_measure(
    const LimitProofRow* row, EffectWindow* window, Image* image, double limit_w,
    int64_t output_ns, int64_t now_ns) noexcept nogil:
    """Hold the meter beside a PV block against its limit; a lost meter proves nothing.

    limit_w    last limit committed, of what is generated
    output_ns  when; 0: never
    """
    cdef const Sample* meter
    if row.meter_point < 0:
        return
    meter = &image.samples[row.meter_point]
    if output_ns > 0:
        if window.slot_ns == 0:  # before the first limit any power was right
            window_add(window, INFINITY, row.effect_ns, now_ns)
        window_add(window, limit_w, row.effect_ns, now_ns)
    if meter.quality == QUALITY_BAD:
        image_set(image, row.effect_error_point, 0.0, QUALITY_BAD, <Reason> meter.reason, now_ns)
    else:
        image_set(image, row.effect_error_point, window_excess_w(window, -meter.value),
                  QUALITY_GOOD, REASON_NONE, now_ns)


cdef class EffectBench:
    """An effect window with a meter beside it, for tests."""

    cdef EffectWindow window
    cdef int64_t effect_ns

    def __cinit__(self, int64_t effect_ns):
        self.effect_ns = effect_ns
        window_start(&self.window)

    def step(self, double output_w, double metered_w, int64_t now_ns):
        """One scan: the output in force and what the meter shows; the error in W."""
        window_add(&self.window, output_w, self.effect_ns, now_ns)
        return window_error_w(&self.window, metered_w)

    def limit_step(self, double limit_w, double generated_w, int64_t now_ns):
        """One scan of a PV block: what it generates beyond its limits of the effect time, W."""
        window_add(&self.window, limit_w, self.effect_ns, now_ns)
        return window_excess_w(&self.window, generated_w)
