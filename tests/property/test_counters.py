"""Counters of every register type: energy is recovered within the stated bound, never invented."""

import struct
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from edgectl.accounting.counters import GRID, MANTISSA_BITS, WIDTH_BITS, register_counter, steps_of
from edgectl.accounting.registers import Counter, CounterReader, Event

NS_PER_S = 1_000_000_000
POWER_MAX_W = 2_000_000
SCALE_J = 3_600.0  # Wh
KINDS = [*WIDTH_BITS, *MANTISSA_BITS]
KNOWN = (Event.ADVANCED, Event.ROLLED_OVER, Event.SWAPPED)

times_s = st.integers(1, 900)  # between readings: also a gap of a quarter of an hour
loads_w = st.integers(0, POWER_MAX_W)
happenings = st.sampled_from(("", "", "", "", "reset", "swap"))


def rounded(kind: str, units: Fraction) -> float:
    """What a register of this type shows of a count, in its units."""
    if kind == "f32":
        shown: float = struct.unpack("<f", struct.pack("<f", float(units)))[0]
        return shown
    return float(units) if kind == "f64" else float(int(units))


class Meter:
    """A meter that counts exactly and shows what its register can."""

    def __init__(self, kind: str, counter: Counter, first: int) -> None:
        self.kind, self.counter = kind, counter
        per_unit = GRID if kind in MANTISSA_BITS else 1
        self.top = Fraction(counter.modulus, per_unit)
        self.units = Fraction(first) % self.top

    def run(self, energy_mj: int) -> None:
        self.units = (self.units + Fraction(energy_mj, 3_600_000)) % self.top

    def show(self) -> int:
        """Its steps; a float that is rounded up to the top shows nothing higher."""
        steps = steps_of(self.counter, rounded(self.kind, self.units) * SCALE_J)
        return min(steps, self.counter.modulus - 1)


def bound_mj(counter: Counter, *steps: int) -> Fraction:
    """What two showings can be off: a quantum each, at the larger of them."""
    return 2 * counter.step_mj * counter.quantum(max(steps)) + 1


@given(
    kind=st.sampled_from(KINDS),
    first=st.integers(0, 2**31),
    modulus=st.sampled_from((0, 0, 10**6, 10**9)),
    plan=st.lists(st.tuples(times_s, loads_w, happenings), min_size=1, max_size=25),
)
def test_energy_between_readings_is_within_the_bound_or_said_not_to_be_known(
    kind: str, first: int, modulus: int, plan: list[tuple[int, int, str]]
) -> None:
    if modulus and kind in WIDTH_BITS and modulus > 2 ** WIDTH_BITS[kind]:
        modulus = 0
    counter = register_counter("M", kind, SCALE_J, POWER_MAX_W, modulus=modulus)
    meter, reader, now_ns = Meter(kind, counter, first), CounterReader(counter), 0
    before = meter.show()
    reader.read(now_ns, before)
    since_mj, doubtful = 0, False
    for seconds, power_w, happens in plan:
        now_ns += seconds * NS_PER_S
        energy_mj = seconds * power_w * 1_000
        meter.run(energy_mj)
        since_mj += energy_mj
        if happens == "swap":
            last, other = meter.show(), Meter(kind, counter, 5)
            start = other.show()
            other.run(energy_mj)
            since_mj += energy_mj
            doubtful |= 2 * energy_mj > seconds * POWER_MAX_W * 1_000
            meter = other
            found = reader.change(now_ns, last, start, meter.show())
            quanta = bound_mj(counter, before, last) + bound_mj(counter, start, meter.show())
        else:
            if happens == "reset":
                meter, doubtful = Meter(kind, counter, 0), True
            found = reader.read(now_ns, meter.show())
            quanta = bound_mj(counter, before, meter.show())
        if found.event is Event.IMPLAUSIBLE:
            continue  # held against the same base
        if found.known and not doubtful:
            assert found.event in KNOWN
            assert abs(found.energy_mj - since_mj) <= quanta, (found, since_mj)
        most_mj = Fraction(5, 4) * since_mj + Fraction(5, 4) * POWER_MAX_W * 1_000 * (
            now_ns // NS_PER_S
        )
        assert 0 <= found.energy_mj <= most_mj + quanta, "no energy beyond what can have flowed"
        before, since_mj, doubtful = meter.show(), 0, False


@given(kind=st.sampled_from(KINDS), power_w=st.integers(1, POWER_MAX_W), over=st.integers(1, 3))
def test_a_silence_in_which_it_may_have_rolled_over_twice_recovers_nothing(
    kind: str, power_w: int, over: int
) -> None:
    modulus = 10_000
    counter = register_counter("M", kind, SCALE_J, POWER_MAX_W, modulus=modulus)
    meter, reader = Meter(kind, counter, 0), CounterReader(counter)
    reader.read(0, meter.show())
    seconds = over * modulus * 3_600 // power_w + 1
    meter.run(seconds * power_w * 1_000)
    found = reader.read(seconds * NS_PER_S, meter.show())
    assert (found.event, found.known, found.energy_mj) == (Event.AMBIGUOUS, False, 0)


@given(kind=st.sampled_from(sorted(MANTISSA_BITS)), exponent=st.integers(10, 40))
def test_the_quantum_is_the_distance_to_the_next_value_of_the_register(
    kind: str, exponent: int
) -> None:
    counter = register_counter("M", kind, SCALE_J, POWER_MAX_W)
    units = 2**exponent
    steps = steps_of(counter, float(units) * SCALE_J)
    code, width = ("<f", "<I") if kind == "f32" else ("<d", "<Q")
    (bits,) = struct.unpack(width, struct.pack(code, float(units)))
    (following,) = struct.unpack(code, struct.pack(width, bits + 1))
    ulp_steps = Fraction(following - units) * GRID
    assert counter.quantum(steps) == max(1, ulp_steps)
