"""Energy totalizers (ISA-5.1 letter Q) in integers: mJ a scan, two limbs a lifetime."""

from libc.stdint cimport int64_t, uint8_t

from edgectl._kernel.quality cimport Sample

cdef extern from *:
    ctypedef long long int128 "__int128"

cpdef enum MeterGrade:
    METER_MEASURED = 0
    METER_ESTIMATED = 1          # last good power held, at most hold_ns
    METER_SUBSTITUTED = 2        # the worst credible power

cpdef enum TotalizerStatus:
    TOTALIZER_OK = 0
    TOTALIZER_STARTED = 1        # first sample: nothing to integrate yet
    TOTALIZER_GAP = 2            # step over gap_max_ns: counted, and bridged as substituted
    TOTALIZER_NOT_LATER = 3      # time did not advance: total unchanged

cdef struct Total:               # lifetime of J and mJ, or of mg and ug CO2e
    int64_t units
    int64_t milli                # 0 to 999 on top of units, also below zero

cdef struct MeterRow:
    double substitute_w          # import positive; what a lost meter counts as
    int64_t hold_ns
    int64_t gap_max_ns
    int64_t point                # sample with the power

cdef struct Meter:
    int64_t power_milliwatt      # at time_ns
    int64_t remainder            # of the last division, carried
    int64_t time_ns
    int64_t good_ns              # last good sample
    int64_t energy_mj            # of this scan, import positive
    int64_t gap_ns               # lifetime of steps over gap_max_ns
    Total import_total
    Total export_total
    uint8_t started
    uint8_t grade                # MeterGrade of this scan
    uint8_t held                 # power_milliwatt is not this scan's measurement

cdef void total_add(Total* total, int64_t milli) noexcept nogil
cdef TotalizerStatus meter_update(
    Meter* meter, const MeterRow* row, const Sample* sample, int64_t now_ns) noexcept nogil
