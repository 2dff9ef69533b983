"""What a device does with its setpoint: read-back, foreign writes, effect at another meter."""

from libc.stdint cimport int32_t, int64_t

from edgectl._kernel.process_image cimport Image

cdef enum:
    EFFECT_SLOTS = 16            # of the window in which an output may still be on its way

cdef struct EffectWindow:        # lowest and highest output of each slot of the last effect time
    double low_w[EFFECT_SLOTS]
    double high_w[EFFECT_SLOTS]
    int64_t slot_ns              # when the slot being filled began; 0: nothing was written yet
    int32_t at                   # the slot being filled

cdef struct Proof:
    EffectWindow window
    double readback_error_w
    double following_error_w
    double effect_error_w        # of the independent meter, beyond what the outputs explain
    int64_t verified_commit      # last commit whose read-back was seen
    int64_t foreign_ns           # last time that somebody else's setpoint was seen; 0: never
    int64_t foreign_writes
    int64_t readbacks
    int64_t readback_mismatches
    int32_t rewrites             # of this mismatch, at most REWRITES_MAX of dispatch
    bint agreed                  # the device showed the verified commit

cdef struct ProofRow:
    double readback_tolerance_w
    int64_t effect_ns            # the whole effect shows within this time
    int32_t output
    int32_t power_point
    int32_t readback_point       # -1: the device cannot say
    int32_t meter_point          # independent of the converter; -1: there is none
    int32_t readback_error_point # internal points the kernel fills for interlocks
    int32_t following_error_point
    int32_t effect_error_point
    int32_t foreign_write_point

cdef struct LimitProofRow:       # of a PV block
    int64_t effect_ns            # the whole effect shows within this time
    int32_t meter_point          # independent of the inverter, import positive; -1: there is none
    int32_t effect_error_point   # internal point the kernel fills for interlocks

cdef void proof_measure(
    const ProofRow* row, Proof* proof, Image* image, double output_w, int64_t output_ns,
    int64_t now_ns) noexcept nogil
cdef void window_start(EffectWindow* window) noexcept nogil
cdef void window_add(
    EffectWindow* window, double output_w, int64_t effect_ns, int64_t now_ns) noexcept nogil
cdef double window_error_w(const EffectWindow* window, double power_w) noexcept nogil
cdef double window_excess_w(const EffectWindow* window, double power_w) noexcept nogil
cdef void limit_measure(
    const LimitProofRow* row, EffectWindow* window, Image* image, double limit_w,
    int64_t output_ns, int64_t now_ns) noexcept nogil
