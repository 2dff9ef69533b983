"""The simulated campus: one step of its physics, served on the wire and in process."""

from libc.stdint cimport int32_t, int64_t

from edgectl.plant._equipment cimport PlantState

cdef void plant_step(PlantState* plant, int64_t dt_ns, int64_t utc_ns) noexcept nogil
cdef void storage_write(PlantState* plant, int32_t storage, double setpoint_w) noexcept nogil
cdef void pv_write(PlantState* plant, int32_t pv, double limit_w) noexcept nogil
cdef void defer_write(PlantState* plant, double request_w) noexcept nogil
cdef void open_write(PlantState* plant, bint on) noexcept nogil


cdef class Plant:
    cdef PlantState* state
    cdef object table            # keeps the array alive that state points into
    cdef readonly dict names     # signal name to index
    cdef readonly tuple signal_names   # by index
