"""Energy counters of device profiles, as the accounting follows them.

The process image carries a counter as energy in J; the accounting needs its steps. A step
is the point's scale, and it rolls over where its register does, unless the maker says
earlier.
"""

from fractions import Fraction
from math import isfinite

from edgectl.accounting.registers import Counter
from edgectl.errors import DataError
from edgectl.profiles.model import Point

MJ_PER_J = 1_000
WIDTH_BITS = {"u16": 16, "u32": 32, "u64": 64, "s16": 15, "s32": 31, "s64": 63}
STEPS_EXACT_MAX = 2**53  # a double holds every whole number up to it


def counter_of(
    device: str, point: Point, power_max_w: int, *, step_j: Fraction | None = None,
    modulus: int | None = None,
) -> Counter:  # fmt: skip
    """The counter behind a point.

    power_max_w   most that can flow through the meter
    step_j        of a counter that is a float, or scaled at run time: the maker's resolution
    modulus       steps at which the maker has it roll over; the register's width otherwise

    Raises DataError for a point that counts no energy, or whose step is not known.
    """
    meter = f"{device}.{point.name}"
    if point.unit != "J" or point.offset:
        raise _refused(meter, f"it is in {point.raw_unit} with offset {point.offset:g}")
    if step_j is None and (point.type not in WIDTH_BITS or point.sf_address is not None):
        why = f"type {point.type}" if point.type not in WIDTH_BITS else "scaled at run time"
        raise _refused(meter, f"{why}: its step is not fixed, and none is declared")
    step = step_j if step_j is not None else Fraction(abs(point.scale))
    bits = WIDTH_BITS.get(point.type, 53)
    return Counter(meter, step * MJ_PER_J, modulus or 2**bits, power_max_w)


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


def _refused(meter: str, problem: str) -> DataError:
    return DataError(
        where=f"counter {meter}",
        problem=problem,
        because="The counter is the primary quantity: its steps must be counted exactly.",
        remedy="Name a point that counts energy, and its step where the register has none.",
    )
