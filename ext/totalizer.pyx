"""Energy totalizers (ISA-5.1 letter Q) in integers: mJ a scan, two limbs a lifetime.

Every meter is integrated over the same span, from scan to scan by the measured
monotonic clock, by the trapezoid rule on integer mW; what the division leaves
is carried to the next scan, so that no rounding is ever lost or made twice.
One int64 of mJ is full after 2.56 TWh; a lifetime therefore counts J with its
mJ beside it: full after 29 years of 10 GW, where mJ alone would last 10 days.
"""

from libc.stdint cimport int64_t

from edgectl._kernel.quality cimport QUALITY_BAD, Sample

cdef extern from "<math.h>" nogil:
    long long llrint(double x)

cdef enum:
    TWO_NS_PER_S = 2000000000    # two for the mean of the trapezoid


cdef void total_add(Total* total, int64_t milli) noexcept nogil:
    """Add thousandths to a lifetime total.

    total  changed in place; milli stays 0 to 999 also below zero
    milli  mJ or ug, at most 2**62 either way
    """
    cdef int64_t sum_milli = total.milli + milli
    cdef int64_t units = sum_milli // 1000
    cdef int64_t rest = sum_milli - units * 1000
    if rest < 0:
        rest += 1000
        units -= 1
    total.units += units
    total.milli = rest


cdef int64_t meter_power_milliwatt(
    Meter* meter, const MeterRow* row, const Sample* sample, int64_t now_ns) noexcept nogil:
    """Power now, in mW: measured, else the last good one held, else the worst credible."""
    meter.held = sample.quality == QUALITY_BAD
    if not meter.held:
        meter.good_ns = now_ns
        meter.grade = METER_MEASURED
        return llrint(sample.value * 1000.0)
    if meter.started and meter.good_ns > 0 and now_ns - meter.good_ns <= row.hold_ns:
        meter.grade = METER_ESTIMATED
        return meter.power_milliwatt
    meter.grade = METER_SUBSTITUTED
    return llrint(row.substitute_w * 1000.0)


cdef TotalizerStatus meter_update(
    Meter* meter, const MeterRow* row, const Sample* sample, int64_t now_ns) noexcept nogil:
    """Add the energy since the scan before.

    meter   changed in place; energy_mj and grade are this scan's
    row     what to assume when the meter is lost
    sample  power, W, import positive
    now_ns  monotonic, start of this scan

    Exact where power is linear between scans; else the error of a step h is
    h^3/12 * |P''| (DLMF 3.5.1). A lost meter is never a zero.
    """
    cdef int64_t power = meter_power_milliwatt(meter, row, sample, now_ns)
    cdef int64_t step_ns = now_ns - meter.time_ns
    cdef TotalizerStatus status = TOTALIZER_OK
    cdef int128 numerator

    meter.energy_mj = 0
    if not meter.started:
        meter.started = True
        meter.power_milliwatt, meter.time_ns = power, now_ns
        return TOTALIZER_STARTED
    if step_ns <= 0:
        return TOTALIZER_NOT_LATER
    if step_ns > row.gap_max_ns:
        meter.gap_ns += step_ns
        meter.grade = METER_SUBSTITUTED
        status = TOTALIZER_GAP
    numerator = <int128> (meter.power_milliwatt + power) * step_ns + meter.remainder
    meter.energy_mj = <int64_t> (numerator / <int64_t> TWO_NS_PER_S)
    meter.remainder = <int64_t> (numerator - <int128> meter.energy_mj * <int64_t> TWO_NS_PER_S)
    if meter.energy_mj >= 0:
        total_add(&meter.import_total, meter.energy_mj)
    else:
        total_add(&meter.export_total, -meter.energy_mj)
    meter.power_milliwatt, meter.time_ns = power, now_ns
    return status


def accumulate(samples, double substitute_w=0.0, int64_t hold_ns=0, int64_t gap_max_ns=2**62):
    """Run (time_ns, power_w or None) through one meter; the tests' door.

    Returns (energy_mj of each, grade of each, import (J, mJ), export (J, mJ), gap_ns).
    """
    cdef Meter meter
    cdef MeterRow row = MeterRow(substitute_w, hold_ns, gap_max_ns, 0)
    cdef Sample sample
    meter = Meter(0, 0, 0, 0, 0, 0, Total(0, 0), Total(0, 0), False, 0, False)
    energies, grades = [], []
    for time_ns, power_w in samples:
        sample.quality = QUALITY_BAD if power_w is None else QUALITY_BAD + 2
        sample.value = 0.0 if power_w is None else power_w
        meter_update(&meter, &row, &sample, time_ns)
        energies.append(meter.energy_mj)
        grades.append(MeterGrade(meter.grade))
    return (energies, grades, (meter.import_total.units, meter.import_total.milli),
            (meter.export_total.units, meter.export_total.milli), meter.gap_ns)


def total_of(parts):
    """(units, milli) after adding each part in thousandths; the tests' door."""
    cdef Total total = Total(0, 0)
    for part in parts:
        total_add(&total, part)
    return total.units, total.milli
