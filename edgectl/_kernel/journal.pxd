"""The shared-memory segment: snapshot (seqlock), journal ring, request mailbox.

The kernel writes and never reads back, the mailbox apart, and believes nothing
it finds there. Readers can never block it.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from edgectl._kernel.inventory cimport ORIGINS

cdef enum:
    SEGMENT_VERSION = 4
    MAILBOX_SLOTS = 256
    MAILBOX_PER_SCAN_MAX = 16

cpdef enum MailKind:
    MAIL_STORAGE_W = 1           # target: storage index; value: W, charge positive
    MAIL_SHED_W = 2
    MAIL_IMPORT_CAP_W = 3        # may only lower the cap in force
    MAIL_GRID_CARBON = 4         # value: g CO2e/kWh, location average
    MAIL_RESET = 5               # target: interlock row, -1 all; authority: Reset
    MAIL_ARM = 6
    MAIL_DISARM = 7
    MAIL_SERVICES = 8            # value: 0 all well, 1 the ledger cannot be written
    MAIL_BYPASS = 9              # target: interlock row; value: s from now on, 0 ends it
    MAIL_MAINTENANCE = 10        # value: s from now on, 0 ends it
    MAIL_INJECT = 11             # target: interlock row; authority: its cause; until the expiry

cdef struct SegmentHead:
    uint64_t magic
    uint32_t version
    uint32_t head_bytes
    int64_t total_bytes
    int64_t directory_offset     # msgpack: names, dtypes, the site's SHA-256
    int64_t directory_bytes
    int64_t snapshot_offset
    int64_t snapshot_bytes
    int64_t mailbox_offset
    int64_t journal_offset
    int64_t record_bytes
    int64_t journal_slots
    int64_t controller_pid
    int64_t start_ns             # monotonic
    int64_t start_utc_ns
    int64_t snapshot_seq         # odd while the writer is inside
    int64_t journal_head         # sequence number of the next record
    int64_t mailbox_head         # written by producers, who take turns by a file lock
    int64_t mailbox_tail         # consumed by the kernel
    int64_t stopped              # 1 after an orderly stop

cdef struct Mail:
    int64_t seq                  # its place in the mailbox, stored last
    int64_t expiry_ns            # monotonic
    double value
    int32_t kind                 # MailKind
    int32_t target
    int32_t authority            # Reset for MAIL_RESET, MAIL_BYPASS and MAIL_MAINTENANCE,
                                 # RequestSource for set points, a cause for MAIL_INJECT
    int32_t check                # kind ^ target ^ authority ^ 0x5EED: a torn entry is dropped

cdef struct RecordHead:          # one scan
    int64_t seq                  # of the journal, from 0 without a hole
    int64_t scan                 # scans run
    int64_t period               # period index; the difference to scan is what was skipped
    int64_t time_ns              # monotonic, start of the scan
    int64_t utc_ns
    int64_t dt_ns                # since the scan before
    int64_t lateness_ns          # start against the deadline
    int64_t exec_before_ns       # execution time of the scan before
    int64_t overruns
    double grid_w                # import positive
    double it_w
    double aux_w
    double pv_w
    double battery_w             # charge positive
    double load_w                # what the grid would carry with neither battery nor deferral
    double shed_request_w
    double deferred_w
    double import_cap_w
    double pue                   # NaN where IT power is not known
    int64_t grid_mg_per_kwh
    int64_t balance_error_mj
    int64_t balance_error_ug
    int64_t healthy_age_ns       # oldest fast data of any device counted as healthy
    int32_t devices_fresh
    int32_t devices_counted
    int32_t tripped
    int32_t first_out_row
    int32_t writes               # outputs committed in this scan
    int32_t meters_estimated
    int32_t meters_substituted
    int32_t mails                # requests taken in this scan
    int32_t bypassed             # rows without effect by authority
    int32_t discrepant           # rows whose causes contradict each other
    uint8_t armed
    uint8_t dry_run
    uint8_t safe_state
    uint8_t carbon_default       # the feed is lost: the zone's default is in use
    uint8_t maintenance
    uint8_t shed_tier            # that a row asks for
    uint8_t tables_fault         # the tables in memory have changed
    uint8_t ledger_fault         # the services say the ledger cannot be written

cdef struct StorageRecord:
    double request_w
    double setpoint_w
    double output_w
    double power_w
    double soc_ratio
    double charge_max_w
    double discharge_max_w
    double derate_ratio
    double wanted_w              # from outside, NaN where nothing stands
    double economy_w             # what carbon steering asks
    int64_t stock_mj
    int64_t stock_ug
    int64_t stock_origins_mj[ORIGINS]    # by Origin; they sum to stock_mj
    int64_t delivered_mj[ORIGINS]    # AC of this scan, by Origin
    int64_t lost_mj              # stored, lost while standing in this scan
    int64_t lost_ug              # to the loss account in this scan
    int64_t true_up_mj           # books corrected by so much in this scan
    int64_t shortfall_mj         # stored energy of this scan that the books did not hold
    int64_t true_ups             # of this scan
    int64_t opened_mj            # stored energy declared in this scan
    int64_t opened_ug            # its carbon, or that of what is found after a restart
    int32_t row                  # interlock behind the worst effect
    uint8_t effect
    uint8_t binding
    uint8_t source
    uint8_t written
    uint8_t hold
    uint8_t block_command
    uint8_t ramp_to_zero
    uint8_t lapsed
    uint8_t rejected
    uint8_t stopping
    uint8_t method               # StockMethod
    uint8_t standby              # StockStandby

cdef struct PointRecord:
    uint64_t raw
    uint32_t age_us              # at the scan; UINT32_MAX: longer, or never
    uint16_t point
    uint8_t quality
    uint8_t reason

cdef struct SnapshotHead:
    int64_t seq                  # journal record this belongs to
    int64_t scans
    int64_t transactions
    int64_t timeouts
    int64_t late_replies
    int64_t setpoints_written
    int64_t readbacks
    int64_t readback_mismatches
    int64_t foreign_writes       # setpoints that somebody else changed
    int64_t trips
    int64_t mails_rejected
    int64_t rt_grade
    int64_t bus_rt_grade
    int64_t bus_cpu_ns           # CPU time of the fieldbus thread
    int64_t scan_cpu_ns

cdef struct InterlockSnapshot:
    int64_t tripped_scan
    int64_t trips
    int64_t bypass_until_ns      # monotonic; 0: not bypassed
    uint8_t status               # InterlockStatus
    uint8_t first_out
    uint8_t start
    uint8_t locked
    uint8_t bypassed
    uint8_t discrepant
    uint8_t under_test
    uint8_t cause                # the voted cause, before delays

cdef struct Segment:             # the kernel's own view of the mapping
    uint8_t* base
    SegmentHead* head
    uint8_t* snapshot
    Mail* mailbox
    uint8_t* journal
    int64_t record_bytes
    int64_t journal_slots
    int64_t next_seq
    int64_t mailbox_tail
    int64_t snapshot_seq

cdef uint8_t* journal_open(Segment* segment) noexcept nogil
cdef void journal_close(Segment* segment) noexcept nogil
cdef uint8_t* snapshot_open(Segment* segment) noexcept nogil
cdef void snapshot_close(Segment* segment) noexcept nogil
cdef bint mailbox_take(Segment* segment, Mail* mail) noexcept nogil
