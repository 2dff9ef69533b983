"""What gives way: the flexible load when the batteries cannot hold the import, PV on export.

Deferred load is asked for at once and given back slowly; what never may be
deferred, the floor, is not touched by any tier of shedding. PV is taken whole
and held back only by an export beyond its limit.
"""

from libc.math cimport isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t

from edgectl._kernel.dispatch cimport Dispatch, Flexible, FlexibleRow, Pv, PvRow
from edgectl._kernel.interlock cimport TIERS_MAX, SitePermit
from edgectl._kernel.least cimport maximum, minimum
from edgectl._kernel.process_image cimport Image
from edgectl._kernel.proof cimport limit_measure
from edgectl._kernel.quality cimport QUALITY_BAD, Sample


cdef double tier_w(
    const FlexibleRow* row, uint8_t tier, const Sample* available, double deferred_w
) noexcept nogil:
    """What a tier of shedding, from 1, asks for of all that can be deferred."""
    cdef int32_t at = tier - 1 if tier <= TIERS_MAX else TIERS_MAX - 1
    if available.quality == QUALITY_BAD:
        return 0.0
    return (available.value + deferred_w) * row.tier_ratio[at]


cdef void flexible_decide(
    Dispatch* dispatch, const Image* image, const SitePermit* site, bint wanted,
    int64_t now_ns, int64_t dt_ns) noexcept nogil:
    """Ask the flexible load to defer what the batteries cannot hold, and give it back slowly.

    wanted  a request from outside stands
    """
    cdef const FlexibleRow* row = dispatch.flexible_row
    cdef Flexible* flexible = &dispatch.flexible
    cdef const Sample* available
    cdef double deferred_w, ceiling_w, want_w

    if row.device < 0:
        return
    available = &image.samples[row.available_point]
    deferred_w = dispatch.load_w - dispatch.net_w
    ceiling_w = available.value + deferred_w if available.quality != QUALITY_BAD else 0.0
    ceiling_w = minimum(ceiling_w, dispatch.it_w + deferred_w - row.floor_w)
    want_w = deferred_w + dispatch.shortage_w if dispatch.shortage_w > 0.0 else 0.0
    if wanted and isfinite(flexible.wanted.value_w):
        want_w = maximum(want_w, flexible.wanted.value_w)
    if site.shed_tier > 0:
        want_w = maximum(want_w, tier_w(row, site.shed_tier, available, deferred_w))
    want_w = maximum(minimum(want_w, ceiling_w), 0.0)
    if site.refuse_shed or site.safe_state or dispatch.stopping:
        want_w = 0.0
        flexible.request_w = 0.0
    if want_w >= flexible.request_w:
        flexible.request_w = want_w
        if want_w > 0.0:
            flexible.raised_ns = now_ns
    elif now_ns - flexible.raised_ns >= row.hold_ns:
        flexible.request_w = maximum(
            flexible.request_w - row.release_w_per_s * 1e-9 * dt_ns, want_w)


cdef void pv_measure(Dispatch* dispatch, Image* image, int64_t now_ns) noexcept nogil:
    """What all PV generates, and what a meter beside a block sees beyond its limit.

    A PV point is import positive like any other, so generation, pv_w, is its negative.
    """
    cdef const PvRow* row
    cdef const Pv* pv
    cdef int32_t at
    dispatch.pv_w = 0.0
    for at in range(dispatch.row.pvs):
        row = &dispatch.pv_rows[at]
        pv = &dispatch.pvs[at]
        if image.samples[row.power_point].quality != QUALITY_BAD:
            dispatch.pv_w -= image.samples[row.power_point].value
        limit_measure(
            &row.proof, &dispatch.pvs[at].window, image, pv.output_w, pv.output_ns, now_ns)


cdef double pv_rating_w(const Dispatch* dispatch) noexcept nogil:
    cdef double sum_w = 0.0
    cdef int32_t at
    for at in range(dispatch.row.pvs):
        sum_w += dispatch.pv_rows[at].rating_w
    return sum_w


cdef void pv_decide(Dispatch* dispatch, int64_t dt_ns) noexcept nogil:
    """Take all PV; only an export beyond its limit holds it back, for as long as it lasts."""
    cdef double excess_w = -dispatch.grid_w - dispatch.row.export_max_w
    cdef Pv* pv
    cdef int32_t at
    for at in range(dispatch.row.pvs):
        pv = &dispatch.pvs[at]
        if dispatch.grid_good and excess_w > 0.0 and dispatch.pv_w > 0.0:
            pv.setpoint_w = maximum(minimum(
                pv.setpoint_w, (dispatch.pv_w - excess_w)
                * dispatch.pv_rows[at].rating_w / pv_rating_w(dispatch)), 0.0)
        else:
            pv.setpoint_w = minimum(
                pv.setpoint_w + 0.05e-9 * dt_ns * dispatch.pv_rows[at].rating_w,
                dispatch.pv_rows[at].rating_w)
