"""What the site says of itself. A header, not a module: no .pyx."""

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef struct ScanRow:
    int64_t period_ns
    int64_t lead_ns              # the bus starts its read burst this long before the scan
    int64_t default_mg_per_kwh   # zone's higher default, when the carbon feed is lost
    int64_t pv_mg_per_kwh
    int64_t initial_stock_mg_per_kwh
    int32_t loads                # metered loads: IT buses first, then auxiliaries
    int32_t it_loads
    int32_t local_reset_point    # push-button input; -1: none
    int32_t open_request_output  # coil that asks the breakers to open; -1: none
    int32_t grid_power_point     # internal points the kernel fills
    int32_t it_power_point
    int32_t aux_power_point
    int32_t pv_power_point
    int32_t battery_power_point
    int32_t shed_request_point
    int32_t overruns_point
    int32_t grid_carbon_point
    int32_t clock_step_point
    int32_t tables_fault_point
    int32_t services_age_point
    int32_t ledger_fault_point
    int32_t maintenance_point
    int32_t bypassed_point
    int32_t pue_point
    int32_t first_device_age_point   # one a device, s since its last good reply
    uint8_t may_arm              # 0: a battery's stop was never proven, nothing is written
