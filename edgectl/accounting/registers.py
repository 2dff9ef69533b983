"""Energy from a meter's own counter: its advance is the truth, power gives only the shape.

A counter is a whole number of steps that grows, rolls over, is sometimes reset, is
replaced with its meter, and runs backwards where a current transformer is mounted the
wrong way round. Each of these is an event with a sign and a reason; none of them ever
becomes a negative or a huge energy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from edgectl.accounting.apportion import largest_remainder
from edgectl.errors import DataError

NS_PER_S = 1_000_000_000
PLAUSIBLE = Fraction(5, 4)  # of power_max_w: overload and the reading's own time


class Event(StrEnum):
    """What a reading of a counter turned out to be."""

    FIRST = "first reading: nothing before it is known"
    ADVANCED = "advanced, or stood still"
    ROLLED_OVER = "rolled over"
    RESET = "reset: what it counted before the reset is lost"
    REVERSED = "ran backwards: check the current transformer's direction"
    IMPLAUSIBLE = "jumped further than the power can explain"
    SWAPPED = "meter or transformer ratio changed"
    AMBIGUOUS = "silent for so long that it may have rolled over more than once"


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of one meter, one direction.

    meter         with its serial number
    step_mj       energy of one step at the primary side, transformer ratio included
    modulus       steps at which it rolls over to 0
    power_max_w   most that can flow: a larger advance is not believed
    mantissa      bits that a floating-point register keeps of the steps; 0: all of them
    """

    meter: str
    step_mj: Fraction
    modulus: int
    power_max_w: int
    mantissa: int = 0

    def __post_init__(self) -> None:
        """Raises DataError for a counter that cannot count."""
        if self.step_mj <= 0 or self.modulus < 2 or self.power_max_w <= 0:
            raise _refused(
                self.meter,
                f"a step of {self.step_mj} mJ, roll-over at {self.modulus}, {self.power_max_w} W",
                "All three must be over 0; take them from the meter's sheet and its transformers.",
            )

    def quantum(self, steps: int) -> int:
        """Steps between two neighbouring values that the register can show here.

        A floating-point register keeps so many bits: the larger the count, the coarser it is.
        """
        return 1 << max(0, steps.bit_length() - self.mantissa) if self.mantissa else 1


@dataclass(frozen=True, slots=True)
class Advance:
    """What a reading added.

    energy_mj   whole mJ since the reading before; fractions of a step are carried
    known       false where the energy since the reading before is not known: the gap is
                then estimated or substituted, never zero
    """

    event: Event
    energy_mj: int
    known: bool


class CounterReader:
    """Follows one counter from reading to reading."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.total_mj = 0
        self._exact_mj = Fraction(0)
        self._steps: int | None = None
        self._time_ns = 0

    def read(self, time_ns: int, steps: int) -> Advance:
        """Take a reading.

        time_ns   monotonic; what could have flowed since the last reading is judged by it
        steps     as the counter shows
        """
        if not 0 <= steps < self.counter.modulus:
            raise _refused(
                self.counter.meter,
                f"it shows {steps}, and rolls over at {self.counter.modulus}",
                "Correct the counter's modulus or its register type.",
            )
        event, advanced = self._judge(time_ns, steps)
        if event is not Event.IMPLAUSIBLE:  # else the next reading is held against the same one
            self._steps, self._time_ns = steps, time_ns
        known = event in (Event.ADVANCED, Event.ROLLED_OVER)
        return Advance(event, self._book(advanced) if known else 0, known=known)

    def _judge(self, time_ns: int, steps: int) -> tuple[Event, int]:
        """What the reading is, and how many steps it adds."""
        before = self._steps
        if before is None:
            return Event.FIRST, 0
        room = self._room(time_ns - self._time_ns, max(before, steps))
        if room >= self.counter.modulus:
            return Event.AMBIGUOUS, 0
        if steps >= before:
            fits = steps - before <= room
            return (Event.ADVANCED, steps - before) if fits else (Event.IMPLAUSIBLE, 0)
        over = steps + self.counter.modulus - before
        if over <= room:
            return Event.ROLLED_OVER, over
        if before - steps <= room:
            return Event.REVERSED, 0
        return (Event.RESET if steps <= room else Event.IMPLAUSIBLE), 0

    def swap(self, time_ns: int, last_steps: int, counter: Counter, first_steps: int) -> Advance:
        """The meter, or its transformer, was changed: a signed statement of both readings.

        last_steps    the old counter at the change
        first_steps   the new one at the change
        """
        end = self.read(time_ns, last_steps)
        self.counter = counter
        self._steps = None
        self.read(time_ns, first_steps)
        return replace(end, event=Event.SWAPPED)

    def change(self, time_ns: int, last_steps: int, first_steps: int, steps: int) -> Advance:
        """The meter was changed at some time since the reading before, and now shows `steps`.

        What both counted is known only where both readings of the statement can be believed.
        """
        since_ns = self._time_ns
        end = self.swap(time_ns, last_steps, self.counter, first_steps)
        self._time_ns = since_ns  # when in between it was is not known
        begun = self.read(time_ns, steps)
        known = end.known and begun.known
        energy_mj = end.energy_mj + begun.energy_mj
        return Advance(Event.SWAPPED, energy_mj if known else 0, known=known)

    @property
    def steps(self) -> int | None:
        """What it showed last; None before the first reading."""
        return self._steps

    @property
    def time_ns(self) -> int:
        """When it showed that, monotonic."""
        return self._time_ns

    @property
    def quantum_mj(self) -> Fraction:
        """What its register can tell apart where it stands."""
        return self.counter.step_mj * self.counter.quantum(self._steps or 0)

    def state(self) -> list[int | None]:
        """Where it stands, in plain integers."""
        exact = self._exact_mj
        return [self.total_mj, exact.numerator, exact.denominator, self._steps, self._time_ns]

    def resume(self, state: Sequence[int | None]) -> None:
        """Go on from what state() said of this same counter."""
        total_mj, numerator, denominator, steps, time_ns = state
        self.total_mj, self._exact_mj = total_mj or 0, Fraction(numerator or 0, denominator or 1)
        self._steps, self._time_ns = steps, time_ns or 0

    def _room(self, elapsed_ns: int, steps: int) -> Fraction:
        """Most steps that can have been counted; one more for where within a step it stood."""
        energy_mj = PLAUSIBLE * self.counter.power_max_w * max(elapsed_ns, 0) / 1_000_000
        return energy_mj / self.counter.step_mj + self.counter.quantum(steps)

    def _book(self, steps: int) -> int:
        self._exact_mj += steps * self.counter.step_mj
        energy_mj = int(self._exact_mj) - self.total_mj
        self.total_mj += energy_mj
        return energy_mj


def step_of_mj(step_secondary_j: Fraction, current_ratio: Fraction, voltage_ratio: Fraction,
               *, ratio_in_meter: bool) -> Fraction:  # fmt: skip
    """A step at the primary side.

    step_secondary_j   J of one step as the meter shows it
    current_ratio      of the current transformer, 400/5 is Fraction(400, 5)
    voltage_ratio      of the voltage transformer, 1 without one
    ratio_in_meter     true where the meter is set to the ratios and shows primary values
    """
    ratio = Fraction(1) if ratio_in_meter else current_ratio * voltage_ratio
    return step_secondary_j * 1000 * ratio


@dataclass(frozen=True, slots=True)
class Correction:
    """Appended to the record when the counter has spoken; a second is never edited.

    factor       counter over integral for the window, None where the integral saw nothing
    """

    utc_s: int
    provisional_mj: int
    energy_mj: int
    factor: Fraction | None

    @property
    def difference_mj(self) -> int:
        """What the correction adds to the second."""
        return self.energy_mj - self.provisional_mj


@dataclass(frozen=True, slots=True)
class Window:
    """The seconds between two advances of a counter, reconciled.

    residual_mj        integral less counter
    u_residual_mj      its standard uncertainty: that of power and that of the counter's step
    alarm              what does not fit, None where all does
    recovered          power saw nothing and the counter did: spread flat
    corrections        one a second, adding up to the counter's advance exactly
    """

    counter_mj: int
    integral_mj: int
    residual_mj: int
    u_residual_mj: float
    factor: Fraction | None
    alarm: str | None
    recovered: bool
    corrections: tuple[Correction, ...]


FACTOR_MIN, FACTOR_MAX = Fraction(98, 100), Fraction(102, 100)
COVERAGE_K = 2  # an alarm is a residual beyond so many standard uncertainties


def reconcile(
    seconds: Sequence[tuple[int, int]], counter_mj: int, step_mj: Fraction, u_power_ratio: float
) -> Window:
    """Give the counter's advance the shape of the integrated power.

    seconds         (UTC s, provisional mJ) from advance to advance, at least one
    counter_mj      what the counter advanced
    step_mj         of the counter: its advance has the uncertainty step/sqrt(6)
    u_power_ratio   standard uncertainty of the power, relative

    The factor is held against 0.98 to 1.02 once the step alone cannot move it by that
    much; before that the residual alone is judged.
    """
    integral_mj = sum(amount for _, amount in seconds)
    recovered = integral_mj == 0
    weights = [1 if recovered else amount for _, amount in seconds]
    parts = largest_remainder(counter_mj, weights)
    factor = None if recovered else Fraction(counter_mj, integral_mj)
    residual_mj = integral_mj - counter_mj
    variance = (u_power_ratio * integral_mj) ** 2 + float(step_mj) ** 2 / 6
    return Window(
        counter_mj,
        integral_mj,
        residual_mj,
        variance**0.5,
        factor,
        _misfit(residual_mj, variance, counter_mj, step_mj, factor),
        recovered,
        tuple(
            Correction(utc_s, provisional_mj, energy_mj, factor)
            for (utc_s, provisional_mj), energy_mj in zip(seconds, parts, strict=True)
        ),
    )


def _misfit(
    residual_mj: int, variance: float, counter_mj: int, step_mj: Fraction, factor: Fraction | None
) -> str | None:
    limit_mj = COVERAGE_K * variance**0.5
    if abs(residual_mj) > limit_mj:
        return f"residual {residual_mj} mJ, over {limit_mj:.0f} mJ: the counter is used"
    step_can_explain = COVERAGE_K**2 * step_mj**2 / 6 > ((FACTOR_MAX - 1) * counter_mj) ** 2
    if factor is not None and not step_can_explain and not FACTOR_MIN <= factor <= FACTOR_MAX:
        return f"factor {float(factor):.4f}, outside 0.98 to 1.02: the counter is used"
    return None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reading settled.

    window        where the counter advanced over open seconds
    unconfirmed   seconds the counter can no longer confirm: their integral stands, estimated
    """

    advance: Advance
    window: Window | None = None
    unconfirmed: tuple[tuple[int, int], ...] = ()


class MeterBook:
    """Provisional seconds of one meter, and the corrections appended to them.

    The sum of all confirmed seconds with their corrections is what the counter advanced,
    exactly.
    """

    def __init__(self, reader: CounterReader, u_power_ratio: float) -> None:
        self.reader = reader
        self.u_power_ratio = u_power_ratio
        self._open: list[tuple[int, int]] = []
        self._advanced_mj = 0

    @property
    def provisional(self) -> tuple[tuple[int, int], ...]:
        """Seconds that the counter has not confirmed yet: (UTC s, mJ)."""
        return tuple(self._open)

    def second(self, utc_s: int, integral_mj: int) -> None:
        """Book a second provisionally; 0 mJ where no power was read."""
        if integral_mj < 0 or (self._open and utc_s <= self._open[-1][0]):
            raise ValueError(f"second {utc_s} with {integral_mj} mJ does not follow {self._open}")
        self._open.append((utc_s, integral_mj))

    def reading(self, time_ns: int, steps: int) -> Reading:
        """Take a reading of the counter."""
        return self._settle(self.reader.read(time_ns, steps))

    def swap(self, time_ns: int, last_steps: int, counter: Counter, first_steps: int) -> Reading:
        """The meter was changed: see CounterReader.swap."""
        return self._settle(self.reader.swap(time_ns, last_steps, counter, first_steps))

    def _settle(self, advance: Advance) -> Reading:
        self._advanced_mj += advance.energy_mj
        seconds = tuple(self._open)
        if not advance.known and advance.event is not Event.IMPLAUSIBLE:
            self._open = []
            return Reading(advance, None, seconds)
        if not self._advanced_mj or not seconds:
            return Reading(advance)
        window = reconcile(seconds, self._advanced_mj, self.reader.quantum_mj, self.u_power_ratio)
        self._open, self._advanced_mj = [], 0
        return Reading(advance, window)


def _refused(meter: str, problem: str, remedy: str) -> DataError:
    return DataError(
        where=f"counter of {meter}",
        problem=problem,
        because="The counter is the primary quantity: what it says must be understood.",
        remedy=remedy,
    )
