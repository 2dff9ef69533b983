"""Function blocks of IEC 61131-3 2.5.2, and hysteresis and ramp beside them.

Start states: TON, TOF, R_TRIG and both HYSTERESIS false, SR as its owner sets
it, RAMP at 0. Delays are exact: a delay of n scans turns q after the input has
held for n steps of dt.
"""

from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint8_t


cdef void ton(Ton* block, uint8_t input, int64_t pt_ns, int64_t dt_ns) noexcept nogil:
    """On-delay timer. With pt 0 q follows the input in the same scan.

    Time counts from the scan in which the input was first seen true: a long
    step before it, in which nobody looked, is no part of the delay.
    """
    if not input:
        block.elapsed_ns = 0
        block.timing = False
        block.q = False
        return
    if block.q:
        return
    if block.timing:
        block.elapsed_ns += dt_ns
    block.timing = True
    block.q = block.elapsed_ns >= pt_ns


cdef void tof(Tof* block, uint8_t input, int64_t pt_ns, int64_t dt_ns) noexcept nogil:
    """Off-delay timer: q falls once the input was seen false for pt."""
    if input:
        block.elapsed_ns = 0
        block.timing = False
        block.q = True
        return
    if not block.q:
        return
    if block.timing:
        block.elapsed_ns += dt_ns
    block.timing = True
    block.q = block.elapsed_ns < pt_ns


cdef void sr(Sr* block, uint8_t set1, uint8_t reset) noexcept nogil:
    """Bistable, set dominant."""
    block.q = set1 or (block.q and not reset)


cdef void r_trig(RTrig* block, uint8_t clk) noexcept nogil:
    """Rising edge: q is true in the one scan in which clk became true."""
    block.q = clk and not block.before
    block.before = clk


cdef void hysteresis_above(Hysteresis* block, double input, double on, double off) noexcept nogil:
    """q true above `on`, false at or below `off` (off <= on, checked at load).

    An input that is not a number changes nothing.
    """
    if input > on:
        block.q = True
    elif input <= off:
        block.q = False


cdef void hysteresis_below(Hysteresis* block, double input, double on, double off) noexcept nogil:
    """q true below `on`, false at or above `off` (off >= on, checked at load)."""
    if input < on:
        block.q = True
    elif input >= off:
        block.q = False


cdef void ramp(Ramp* block, double target, double step) noexcept nogil:
    """Move out towards target by at most step.

    Written as a clamp to [out - step, out + step]: the form `out + step if
    target - out > step` can leave the band by rounding. A target or step that
    is not finite leaves out where it is.
    """
    cdef double low, high
    if not isfinite(target) or not isfinite(step) or step < 0.0:
        return
    low = block.out - step
    high = block.out + step
    if target < low:
        block.out = low
    elif target > high:
        block.out = high
    else:
        block.out = target


def ton_trace(inputs, int64_t pt_ns, int64_t dt_ns):
    """q after each input; the tests' door, as are those below."""
    cdef Ton block = Ton(0, False, False)
    outputs = []
    for value in inputs:
        ton(&block, value, pt_ns, dt_ns)
        outputs.append(bool(block.q))
    return outputs


def tof_trace(inputs, int64_t pt_ns, int64_t dt_ns):
    """q after each input."""
    cdef Tof block = Tof(0, False, False)
    outputs = []
    for value in inputs:
        tof(&block, value, pt_ns, dt_ns)
        outputs.append(bool(block.q))
    return outputs


def sr_trace(pairs, bint start):
    """q after each (set1, reset)."""
    cdef Sr block = Sr(start)
    outputs = []
    for set1, reset in pairs:
        sr(&block, set1, reset)
        outputs.append(bool(block.q))
    return outputs


def r_trig_trace(inputs):
    """q after each clk."""
    cdef RTrig block = RTrig(False, False)
    outputs = []
    for value in inputs:
        r_trig(&block, value)
        outputs.append(bool(block.q))
    return outputs


def hysteresis_trace(inputs, double on, double off, bint above):
    """q after each input, above or below."""
    cdef Hysteresis block = Hysteresis(False)
    outputs = []
    for value in inputs:
        if above:
            hysteresis_above(&block, value, on, off)
        else:
            hysteresis_below(&block, value, on, off)
        outputs.append(bool(block.q))
    return outputs


def ramp_trace(targets, double start, double step):
    """out after each target."""
    cdef Ramp block = Ramp(start)
    outputs = []
    for target in targets:
        ramp(&block, target, step)
        outputs.append(block.out)
    return outputs
