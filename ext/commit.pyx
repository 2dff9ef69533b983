"""From permitted setpoint to output image: when a setpoint is written, and when not.

Only the scan calls this, and only with what dispatch_decide permitted.
"""

from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.atomic cimport load64
from edgectl._kernel.dispatch cimport (
    REWRITES_MAX, Dispatch, DispatchRow, FlexibleRow, Heartbeat, HeartbeatRow, Pv, Storage,
    StorageRow)
from edgectl._kernel.process_image cimport OUTPUT_COMMITTED, Image, image_commit

cdef enum:
    OPEN_REFRESH_S = 5
    NS_PER_S = 1000000000


cdef bint due(
    double setpoint_w, double output_w, double deadband_w, int64_t output_ns,
    int64_t refresh_ns, int64_t now_ns) noexcept nogil:
    """Whether a setpoint must be written: moved, dropped to zero, or due for its refresh."""
    if output_ns == 0 or now_ns - output_ns >= refresh_ns:
        return True
    if setpoint_w == 0.0 and output_w != 0.0:
        return True
    return fabs(setpoint_w - output_w) > deadband_w


cdef bint may_write(const Dispatch* dispatch, const Image* image, int32_t device) noexcept nogil:
    """Armed, not a dry run, and device and firmware are what the profile was written for."""
    return dispatch.armed and not dispatch.dry_run \
        and load64(&image.links[device].writable) == 1


cdef void commit_storage(
    Dispatch* dispatch, const StorageRow* row, Storage* storage, Image* image,
    int64_t now_ns) noexcept nogil:
    """Write one battery's setpoint where it is due; re-write a mismatch twice, no more."""
    cdef bint again = storage.proof.readback_error_w > row.proof.readback_tolerance_w \
        and storage.proof.rewrites < REWRITES_MAX \
        and load64(&image.output_buffers[row.output].done) == storage.proof.verified_commit
    storage.written = False
    if not may_write(dispatch, image, row.device):
        return
    if not again and not due(storage.setpoint_w, storage.output_w, row.deadband_w,
                             storage.output_ns, row.refresh_ns, now_ns):
        return
    if image_commit(image, row.output, storage.setpoint_w) != OUTPUT_COMMITTED:
        return
    storage.proof.rewrites += again
    storage.output_w = storage.setpoint_w
    storage.output_ns = now_ns
    storage.written = True
    dispatch.writes += 1


cdef void dispatch_commit(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil:
    """Commit every setpoint that is due to the output image; writes counts them."""
    cdef const DispatchRow* row = dispatch.row
    cdef const FlexibleRow* flex = dispatch.flexible_row
    cdef Pv* pv
    cdef int32_t at

    dispatch.writes = 0
    for at in range(row.storages):
        commit_storage(dispatch, &dispatch.storage_rows[at], &dispatch.storages[at], image, now_ns)
    for at in range(row.pvs):
        pv = &dispatch.pvs[at]
        pv.written = False
        if dispatch.pv_rows[at].output >= 0 \
                and may_write(dispatch, image, dispatch.pv_rows[at].device) \
                and due(pv.setpoint_w, pv.output_w, dispatch.pv_rows[at].deadband_w,
                        pv.output_ns, dispatch.pv_rows[at].refresh_ns, now_ns) \
                and image_commit(image, dispatch.pv_rows[at].output, pv.setpoint_w) \
                == OUTPUT_COMMITTED:
            pv.output_w, pv.output_ns, pv.written = pv.setpoint_w, now_ns, True
            dispatch.writes += 1
    dispatch.flexible.written = False
    if flex.device >= 0 and may_write(dispatch, image, flex.device) \
            and due(dispatch.flexible.request_w, dispatch.flexible.output_w, flex.deadband_w,
                    dispatch.flexible.output_ns, flex.refresh_ns, now_ns) \
            and image_commit(image, flex.output, dispatch.flexible.request_w) == OUTPUT_COMMITTED:
        dispatch.flexible.output_w = dispatch.flexible.request_w
        dispatch.flexible.output_ns = now_ns
        dispatch.flexible.written = True
        dispatch.writes += 1


cdef void heartbeats_commit(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil:
    """Move each counter that a device watches us by; one that is not armed is left to fall back."""
    cdef const HeartbeatRow* row
    cdef Heartbeat* heartbeat
    cdef int64_t beat
    cdef int32_t at
    for at in range(dispatch.row.heartbeats):
        row = &dispatch.heartbeat_rows[at]
        heartbeat = &dispatch.heartbeats[at]
        if not may_write(dispatch, image, row.device) \
                or (heartbeat.beat_ns > 0 and now_ns - heartbeat.beat_ns < row.every_ns):
            continue
        beat = heartbeat.beats + 1 if heartbeat.beats + 1 < row.wraps_at else 0
        if image_commit(image, row.output, <double> beat) == OUTPUT_COMMITTED:
            heartbeat.beats, heartbeat.beat_ns = beat, now_ns
            dispatch.writes += 1


cdef void open_request_commit(
    Dispatch* dispatch, Image* image, int32_t output, uint8_t wanted, int64_t now_ns
) noexcept nogil:
    """Write the request to the hard-wired breakers: at once on a change, else every few seconds.

    output  its coil; -1: the site has none
    wanted  true while an interlock asks the breakers to open
    """
    if output < 0 or not may_write(dispatch, image, image.output_rows[output].device):
        return
    if dispatch.open_ns > 0 and wanted == dispatch.open_written \
            and now_ns - dispatch.open_ns < <int64_t> OPEN_REFRESH_S * NS_PER_S:
        return
    if image_commit(image, output, wanted) == OUTPUT_COMMITTED:
        dispatch.open_written, dispatch.open_ns = wanted, now_ns
        dispatch.writes += 1
