"""Energy counters of device profiles, as the accounting follows them.

The process image carries a counter as energy in J; the accounting needs its steps. A step
is the point's scale, and it rolls over where its register does, unless the profile says that
the maker has it roll over earlier.

A floating-point register has no step of its own: it keeps 24 or 53 bits of whatever it shows.
Its steps are a grid fine enough for small counts, 1/1024 of the register's unit; where the
count is too large for that, only every n-th step can be shown, and Counter.quantum says so.
Such a register has no roll-over of its own either: without a declared one a fall is a reset.
"""

from fractions import Fraction
from math import isfinite

from edgectl.accounting.registers import Counter
from edgectl.errors import DataError
from edgectl.profiles.model import Point

MJ_PER_J = 1_000
WIDTH_BITS = {"u16": 16, "u32": 32, "u64": 64, "s16": 15, "s32": 31, "s64": 63}
MANTISSA_BITS = {"f32": 24, "f64": 53}  # IEEE 754-2019, table 3.5, with the hidden bit
GRID = 1_024  # steps of a floating-point register's unit
NEVER = 2**1_100  # steps: above the largest double on this grid
STEPS_EXACT_MAX = 2**53  # a double holds every whole number up to it
DENOMINATOR_MAX = 1_000_000  # of a step in J: profiles scale by decimal fractions


def register_counter(
    meter: str, kind: str, scale_j: float, power_max_w: int, *, exponent: int = 0, modulus: int = 0,
) -> Counter:  # fmt: skip
    """The counter of a register.

    kind       u16 ... f64, as the profile has it
    scale_j    J of one of the register's units
    exponent   power of ten that is added at run time
    modulus    the register's value at which the maker has it roll over; 0: at its width

    Raises DataError for a type that cannot count.
    """
    step_j = Fraction(abs(scale_j)).limit_denominator(DENOMINATOR_MAX) * Fraction(10) ** exponent
    if kind in MANTISSA_BITS:
        steps = modulus * GRID or NEVER
        return Counter(meter, step_j * MJ_PER_J / GRID, steps, power_max_w, MANTISSA_BITS[kind])
    if kind not in WIDTH_BITS:
        raise _refused(meter, f"a register of type {kind} cannot count")
    return Counter(meter, step_j * MJ_PER_J, modulus or 2 ** WIDTH_BITS[kind], power_max_w)


def counter_of(device: str, point: Point, power_max_w: int, *, exponent: int | None = None,
               ) -> Counter:  # fmt: skip
    """The counter behind a point.

    power_max_w   most that can flow through the meter
    exponent      of a counter that is scaled at run time

    Raises DataError for a point that counts no energy, or whose step is not known.
    """
    meter = f"{device}.{point.name}"
    if point.unit != "J" or point.offset:
        raise _refused(meter, f"it is in {point.raw_unit} with offset {point.offset:g}")
    if point.sf_address is not None and exponent is None:
        raise _refused(meter, "scaled at run time: its step is not fixed, and none is declared")
    return register_counter(
        meter, point.type, point.scale, power_max_w,
        exponent=exponent or 0, modulus=point.modulus,
    )  # fmt: skip


def steps_of(counter: Counter, value_j: float) -> int:
    """The counter's steps for a value of the process image.

    Raises DataError for a value that is no number, negative, or too large to be exact.
    """
    if not isfinite(value_j) or value_j < 0.0:
        raise _refused(counter.meter, f"it shows {value_j:g} J")
    steps = round(Fraction(value_j) * MJ_PER_J / counter.step_mj)
    if steps > STEPS_EXACT_MAX:
        raise _refused(counter.meter, f"{value_j:g} J is more steps than a double holds exactly")
    return steps


def kwh_of(counter: Counter, steps: int) -> float:
    """What that many steps are in kWh."""
    return float(steps * counter.step_mj / (3_600_000 * MJ_PER_J))


def steps_of_kwh(counter: Counter, kwh: Fraction) -> int:
    """The nearest steps for a reading in kWh, as a person takes it from a meter."""
    return round(kwh * 3_600_000 * MJ_PER_J / counter.step_mj)


def _refused(meter: str, problem: str) -> DataError:
    return DataError(
        where=f"counter {meter}",
        problem=problem,
        because="The counter is the primary quantity: its steps must be counted exactly.",
        remedy="Name a point that counts energy, and its step where the register has none.",
    )
