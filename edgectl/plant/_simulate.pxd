"""The campus in process: signals to words in the kernel's own buffers, at simulated time."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from edgectl._kernel.process_image cimport BlockRow, OutputRow
from edgectl.plant._physics cimport Plant

cpdef enum CommandKind:          # as edgectl.plant.commands numbers them
    COMMAND_STORAGE = 0
    COMMAND_PV = 1
    COMMAND_FLEXIBLE = 2
    COMMAND_OPEN = 3
    COMMAND_NONE = 4

cpdef enum Shape:                # of a slot's words; slots of one shape stand together
    SHAPE_ONE = 0                # u16, s16, bit of a bit table
    SHAPE_TWO = 1                # u32, s32
    SHAPE_FOUR = 2               # u64, s64
    SHAPE_SINGLE = 3             # f32
    SHAPE_DOUBLE = 4             # f64
    SHAPE_BIT = 5                # one bit of a register

cdef struct SlotRow:             # one point: raw = signal * mul + add
    double mul
    double add
    double low
    double high
    int32_t signal
    int32_t word                 # its first, in the shadow
    uint8_t shape
    uint8_t low_first
    uint8_t bit
    uint8_t fast                 # encoded at each scan, else each second

cdef struct ActionRow:           # one output
    double scale                 # SI per raw, scale factor included
    int32_t index                # of the unit it moves
    uint8_t kind                 # CommandKind


cdef class Bus:
    cdef readonly Plant plant
    cdef readonly int64_t period         # of the next scan
    cdef readonly int64_t writes         # commands that reached the physics
    cdef object held                     # keeps the arrays alive that the pointers are into
    cdef const SlotRow* slots
    cdef int32_t fast_slots              # they come first
    cdef int32_t slots_used
    cdef const ActionRow* actions
    cdef int32_t actions_used
    cdef uint16_t* shadow                # every block's words, one after another
    cdef const int32_t* block_words      # where each block starts in it
    cdef const uint8_t* block_fast
    cdef int32_t* copied                 # second of the words in each of a block's buffers
    cdef uint8_t* silent                 # blocks that answer nothing
    cdef int32_t seconds                 # slow encodings so far
    cdef int64_t slow_ns
