"""The scan: latch, measure, interlock, decide, commit, integrate, journal."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from edgectl._kernel.blocks cimport RTrig
from edgectl._kernel.carbon cimport Flows
from edgectl._kernel.clock cimport Cadence
from edgectl._kernel.dispatch cimport Dispatch
from edgectl._kernel.integrity cimport Integrity
from edgectl._kernel.interlock cimport Interlocks
from edgectl._kernel.journal cimport Segment
from edgectl._kernel.monitor cimport Monitors
from edgectl._kernel.process_image cimport Image
from edgectl._kernel.site cimport ScanRow
from edgectl._kernel.totalizer cimport Meter, MeterRow

cdef enum:
    DIGEST_LANES = 4

cdef struct KernelState:
    const ScanRow* row
    Image image
    Monitors monitors
    Integrity integrity
    Interlocks interlocks
    Dispatch dispatch
    Flows flows
    Segment segment
    Cadence cadence
    int32_t meters               # grid, loads, storages, PV, in this order
    const MeterRow* meter_rows
    Meter* meter_states
    const uint8_t* device_counted
    RTrig local_reset
    double carbon_g_per_kwh      # in force
    int64_t carbon_expiry_ns     # monotonic; 0: never had one
    int64_t services_ns          # monotonic, when the services were last heard of; 0: never
    int64_t clock_offset_ns      # UTC less monotonic, at the scan before
    int64_t scans
    int64_t before_ns            # start of the scan before
    int64_t exec_before_ns
    int64_t trips
    int64_t mails_rejected
    int64_t setpoints_written
    int64_t bus_cpu_ns           # shared, from the fieldbus thread
    int64_t scan_cpu_ns
    int64_t bus_rt_grade
    int64_t rt_grade
    int64_t snapshot_every       # scans per snapshot; 1 in real time
    int32_t wake_fd              # eventfd of the fieldbus thread, -1: none
    int32_t journaled            # points kept in every record
    const int32_t* journaled_points
    uint64_t digest[DIGEST_LANES]    # of every record but its points and times
    uint32_t stop                # shared: 1 asks for an orderly stop
    uint8_t digesting
    uint8_t carbon_default       # the feed is lost: the zone's default is in force
    uint8_t ledger_fault         # the services say the ledger cannot be written

cdef void scan_cycle(
    KernelState* state, int64_t now_ns, int64_t utc_ns, int64_t period, int64_t lateness_ns,
) noexcept nogil
